"""What a training changes in the process around it, and puts back: generators, threads, modes, signals."""

import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn


@contextmanager
def generators_put_back(device: torch.device) -> Iterator[None]:
    """Leave the caller's random generators as they were."""
    others = [] if device.type == "cpu" else [torch.get_device_module(device)]
    states = random.getstate(), np.random.get_state(), torch.get_rng_state(), [other.get_rng_state() for other in others]
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        for other, state in zip(others, states[3], strict=True):
            other.set_rng_state(state)


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """Note a Ctrl-C or a request to terminate instead of acting on it; the second one acts at once."""
    caught: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, frame: Any) -> None:
        caught.append(number)
        signal.signal(number, before[number])

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) not in (None, signal.SIG_IGN):
                before[number] = signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def settings_put_back(model: nn.Module, threads: int) -> Iterator[None]:
    """Set the number of threads and training mode for the run, and put back what was there before."""
    threads_before = torch.get_num_threads()
    if threads:
        torch.set_num_threads(threads)
    try:
        with _modes_put_back(model):
            if not model.training:
                model.train()
            yield
    finally:
        torch.set_num_threads(threads_before)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Dropout and batch statistics off, for an evaluation."""
    with _modes_put_back(model):
        model.eval()
        yield


@contextmanager
def _modes_put_back(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
