"""Random numbers that depend on where a training is, never on how it got there."""

import hashlib
import random

import numpy as np
import torch


def reseed(device: torch.device, *key: int | str) -> None:
    """Seed Python's, numpy's and torch's generators (CPU and `device`) with a hash of `key`, e.g. (seed, step, micro-batch).

    Same key, same numbers, on every machine. `torch.manual_seed` does the same a hundred times slower, as it asks for every kind of device.
    """
    seed = int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "little") >> 1  # torch takes 63 bits
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
