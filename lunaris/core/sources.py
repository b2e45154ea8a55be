"""Where training data come from, the same in every family: mixtures of sources, the held-out tenth, datasets of the Hub."""

import zlib
from pathlib import Path
from typing import Any


def mixture(source: str | Path) -> list[tuple[int, str]]:
    """(repetitions, source) of every part of "procedural+8*FOLDER"; a file or folder whose own name has these signs stands for itself."""
    if Path(source).exists():
        return [(1, str(source))]
    found = []
    for part in str(source).split("+"):
        count, star, name = part.strip().partition("*")
        found.append((int(count), name.strip()) if star and count.isdecimal() and 1 <= int(count) <= 1000 else (1, part.strip()))
    return found


def held_out(group: str) -> bool:
    """Whether a group belongs to validation, about one in ten: a hash of its name decides, so no later item can move it."""
    return zlib.crc32(group.encode()) % 10 == 0


def load_hub_table(repo_id: str) -> Any:
    """The train split of a Hub dataset, a `datasets.Dataset`. Raises ModuleNotFoundError, ValueError with one sentence."""
    try:
        import datasets
    except ModuleNotFoundError:
        raise ModuleNotFoundError("training on a Hub dataset needs the package datasets: pip install datasets") from None
    try:
        return datasets.load_dataset(repo_id, split="train")
    except Exception as error:  # the client raises a dozen kinds: network, missing, gated, damaged
        raise ValueError(
            f"cannot load the dataset {repo_id}: {type(error).__name__}; check the name, the network and your access"
        ) from None
