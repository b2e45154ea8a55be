"""One training of the comparison (`moc.compare`): all its settings in, its figures out, kept in a file named after the settings.

The loop is `core.training.fit` and the loss that of `moc.train`, so a trial is what `moc train` does with the same settings. CPU seconds
are what this process computed for the steps alone, without the evaluations: the median step times their number, so a moment in which
other programs emptied the caches does not count.
"""

import contextlib
import functools
import hashlib
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lunaris.core import runtime
from lunaris.core.isolation import generators_put_back
from lunaris.core.layers.experts import PeerAttention
from lunaris.core.training import Callback, Run, TrainingError, fit
from lunaris.moc.checkpoint import new_model
from lunaris.moc.config import MoCModelConfig
from lunaris.moc.data import Batches, Prepared
from lunaris.moc.metrics import score_stream
from lunaris.moc.train import MoCTrainConfig, figures, make_loss

VERSION = 1  # raise it when a change of the code changes what a run gives: the kept runs are then made anew
KEPT = (
    "steps", "batch_size", "learning_rate", "optimizer", "beta1", "beta2", "weight_decay", "warmup_steps", "min_lr_ratio", "clip_norm",
    "ema_decay", "eval_every", "seed", "seq_len", "eval_tokens",
)  # fmt: skip
LOGGED = ("loss/main", "grad_norm", "router_entropy", "peer_entropy", "load_min", "load_max")
LOG_EVERY = 10


@dataclass(frozen=True)
class Trial:
    """What decides a run: the model, the training, the text (the SHA-256 of its training tokens + that of its validation tokens), and a
    cure that is taken `without`.

    without  "" or "peer_scale": the peer attention's output is not divided by the root of its rank
    """

    model: MoCModelConfig
    train: MoCTrainConfig
    text: str
    without: str = ""

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """Plain values. What is off (false, 0, empty) is left out, so that an option added to the model later, off by default, leaves the
        keys of kept runs as they are."""
        train = self.train.to_dict()
        told = {"model": self.model.to_dict(), "train": {name: train[name] for name in KEPT}, "text": self.text, "without": self.without}
        return {"version": VERSION} | {name: _on(value) if isinstance(value, Mapping) else value for name, value in told.items() if value}

    @functools.cached_property
    def key(self) -> str:
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:20]


def _on(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value or name == "seed"}


def kept(trial: Trial, folder: Path) -> dict[str, Any] | None:
    """The figures of a trial that has run to its end, or None."""
    try:
        found = json.loads((folder / f"{trial.key}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return found if isinstance(found, dict) and found.get("settings") == trial.settings else None


def run(trial: Trial, data: Prepared, folder: Path, *, should_stop: Callable[[], bool] | None = None) -> dict[str, Any] | None:
    """The figures of `trial`, from `folder` if it has run before; None when `should_stop` ended it, and then the next call goes on there.

    bits_per_byte, loss    of the validation tokens, the latter in nats per token; None when the training diverged
    curve                  [step, bits_per_byte] of each evaluation
    cpu_seconds            of the steps (see above)
    grad_norm              median and max over the steps, before clipping
    router_entropy, peer_entropy, load_min, load_max    of the last evaluation; loads in fair shares
    log                    every tenth step: [step, *LOGGED], None where a model has no such figure
    diverged               one sentence, or empty
    """
    found = kept(trial, folder)
    if found is not None:
        return found
    config, out = trial.train, folder / trial.key
    with generators_put_back(torch.device("cpu")):
        runtime.seed_everything(config.seed)
        model = new_model(trial.model, data.tokenizer)
    _take_out(model, trial.without)
    diary = _Diary(Batches(data, config.batch_size, config.seq_len))

    def evaluate(model: nn.Module, step: int) -> dict[str, float]:
        began = time.process_time()
        told = figures(score_stream(model, data.validation, seq_len=config.seq_len, max_tokens=config.eval_tokens))
        diary.aside += time.process_time() - began
        return {name: value for name, value in told.items() if not name.startswith("load/")}

    diverged = ""
    with contextlib.redirect_stdout(sys.stderr):  # where a benchmark prints JSON
        try:
            ended = fit(
                model, diary.batch_at, make_loss(config), config, out, callbacks=(diary,), evaluate=evaluate,
                resume=(out / "state").is_dir(), should_stop=should_stop, progress=False, go_on="give the same command again",
            )  # fmt: skip
        except TrainingError as error:
            if "became" not in str(error):
                raise
            diverged = f"{str(error).split(';')[0]}"
        else:
            if ended.cancelled:
                return None
    found = {"key": trial.key, "settings": trial.settings} | diary.figures(config.steps) | {"diverged": diverged}
    if diverged:
        found |= {"bits_per_byte": None, "loss": None}
    path = folder / f"{trial.key}.json"
    half = path.with_name(f"{trial.key}.{os.getpid()}.tmp")
    half.write_text(json.dumps(found) + "\n", encoding="utf-8")
    half.replace(path)
    shutil.rmtree(out, ignore_errors=True)
    return found


class _Diary(Callback):
    """What a training was like, step by step; it also hands out the batches, since a step begins with its batch."""

    def __init__(self, batches: Batches):
        self.aside = 0.0  # seconds of this step that went into an evaluation
        self._batches, self._began = batches, 0.0
        self._told: dict[str, Any] = {"seconds": [], "norms": [], "curve": [], "log": [], "last": {}}

    def batch_at(self, seed: int, step: int) -> dict[str, torch.Tensor]:
        self._began, self.aside = time.process_time(), 0.0
        return self._batches(seed, step)

    def on_step(self, run: Run) -> None:
        self._told["seconds"].append(time.process_time() - self._began - self.aside)
        numbers = run.metrics()
        self._told["norms"].append(numbers["grad_norm"])
        if run.step == 1 or run.step % LOG_EVERY == 0:
            self._told["log"].append([run.step, *(numbers.get(name) for name in LOGGED)])

    def on_eval(self, run: Run, metrics: dict[str, float]) -> None:
        last = {name.removeprefix("eval/"): value for name, value in metrics.items()}
        self._told["curve"].append([run.step, last["bits_per_byte"]])
        self._told["last"] = last

    def figures(self, steps: int) -> dict[str, Any]:
        told, norms = self._told, self._told["norms"]
        return {
            **told["last"],
            "curve": told["curve"],
            "cpu_seconds": steps * statistics.median(told["seconds"] or [0.0]),
            "grad_norm": {"median": statistics.median(norms or [0.0]), "max": max(norms, default=0.0)},
            "log": told["log"],
        }

    def state_dict(self) -> dict[str, Any]:
        return self._told

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._told = state


def _take_out(model: nn.Module, without: str) -> None:
    """Undo one of the cures of MoC's instability, for the study of where it comes from."""
    if without not in ("", "peer_scale"):
        raise ValueError(f"without must be empty or 'peer_scale', got {without!r}; the other cures are options of the model")
    for module in model.modules():
        if without and isinstance(module, PeerAttention):
            root = module.out.shape[1] ** 0.5
            module.register_forward_hook(lambda module, args, told, root=root: (told[0] * root, told[1]))
