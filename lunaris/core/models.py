"""Loaded models, shared by all families: kept while they are used, unloaded least-recently-used first under a memory budget."""

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lunaris.core import hub, runtime

GIB = 2**30
Key = tuple[str, str, bool]  # family, ref, whether the ref may be a folder


@dataclass(frozen=True)
class Loaded:
    """A model in memory, the folder it came from, and what that folder's weights file looked like then."""

    model: Any
    folder: Path
    stamp: tuple[int, int]
    weights: str  # hash of the weights file
    size: int  # bytes


class ModelCache:
    """Models by (family, ref), at most `budget` bytes of them; one that is larger than the budget alone is still served.

    Any number of threads may ask at once: each model is loaded once, and nobody waits for another model's download.
    """

    def __init__(self, budget: int):
        self.budget = budget
        self._entries: OrderedDict[Key, Loaded] = OrderedDict()  # least recently used first
        self._loading: dict[Key, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, family: str, ref: str, load: Callable[[Path], Any], *, folders: bool = True, refresh: bool = False) -> Loaded:
        """The model behind `ref`, from memory when its files are as they were; `load(folder)` makes it otherwise.

        `folders=False` is for refs that visitors type (see `hub.resolve`): what others loaded from a folder is no answer to them. A Hub
        ref is asked for again only with `refresh`. Whatever `hub.resolve` or `load` raises passes through, and a model that was
        in memory before stays there.
        """
        key = (family, ref, folders)
        with self._lock:
            loading = self._loading.setdefault(key, threading.Lock())
        try:
            with loading:
                known = self._entries.get(key)
                folder = hub.resolve(ref, folders=folders) if known is None or refresh or _stamp(known.folder) is None else known.folder
                stamp = _stamp(folder)
                if known is None or (known.folder, known.stamp) != (folder, stamp):
                    model = _load(load, folder, ref)
                    known = Loaded(model, folder, stamp or (0, 0), hub.weight_hash(folder), size_of(model))
                self._put(key, known)
                return known
        finally:
            with self._lock:
                if key not in self._entries:
                    self._loading.pop(key, None)  # a ref that names nothing leaves nothing behind

    def names(self, family: str) -> list[str]:
        """The refs of `family` in memory, least recently used first."""
        with self._lock:
            return list(dict.fromkeys(ref for name, ref, _ in self._entries if name == family))

    def _put(self, key: Key, loaded: Loaded) -> None:
        with self._lock:
            self._entries[key] = loaded
            self._entries.move_to_end(key)
            while len(self._entries) > 1 and sum(entry.size for entry in self._entries.values()) > self.budget:
                old, _ = self._entries.popitem(last=False)
                self._loading.pop(old, None)


def _load(load: Callable[[Path], Any], folder: Path, ref: str) -> Any:
    """load(folder), its errors in terms of the ref: a visitor has nothing to learn from where this computer keeps its downloads."""
    try:
        return load(folder)
    except (ValueError, FileNotFoundError) as error:
        if str(folder) not in str(error):
            raise
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(str(error).replace(str(folder), ref)) from error


def _stamp(folder: Path) -> tuple[int, int] | None:
    """Changes when the weights in `folder` do; None when they are gone."""
    try:
        status = (folder / "model.safetensors").stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def size_of(model: Any) -> int:
    """Bytes of a module's parameters and buffers."""
    return sum(tensor.numel() * tensor.element_size() for tensor in (*model.parameters(), *model.buffers()))


def default_budget() -> int:
    """A quarter of the memory this process may use, in bytes, 8 GiB at most."""
    import psutil

    total = psutil.virtual_memory().total
    return min(total // 4, (runtime.cgroup_memory_limit() or total) // 4, 8 * GIB)


@functools.cache
def shared() -> ModelCache:
    """The cache of this process."""
    return ModelCache(default_budget())
