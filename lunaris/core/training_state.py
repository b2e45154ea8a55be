"""The training state on disk: all that a killed run needs to go on as though it had never stopped.

    out/state/step-00000123/   model.safetensors  ema.safetensors  optimizer.safetensors    names -> tensors
                               state.json     step, config, callbacks' states, versions, and the size of every file

A folder gets its name step-... in one rename, after all of it has reached the disk, and loses that name in one rename before anything in
it is deleted. So whenever the process dies, every folder called step-... is whole; what was in the making starts with a dot and is
swept away at the next start.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

RECORD = "state.json"
FULL = (errno.ENOSPC, errno.EDQUOT)

Tensors = Mapping[str, Tensor]


class TrainingError(RuntimeError):
    """Training cannot go on (NaN, full disk, out of memory); the message is one sentence, the last saved state is intact."""


def save_state(root: Path, record: dict[str, Any], tensors: Mapping[str, Tensors], *, keep: int) -> Path:
    """Write `record` and the groups of `tensors` as root/step-<record["step"]>, then delete all but the newest `keep` states.

    Returns the new folder. Raises `TrainingError` when it cannot be written; the earlier states are then as they were.
    """
    final = root / f"step-{record['step']:08d}"
    making = root / f".writing-{final.name}"
    remedy = f"{saved_sentence(root)}; free some space and continue with --resume"
    with one_sentence(f"the state of step {record['step']} was not saved", remedy=remedy):
        try:
            making.mkdir(parents=True)
            for name, group in tensors.items():
                plain = {key: tensor.detach().to("cpu", copy=True).contiguous() for key, tensor in group.items()}  # no shared memory
                save_file(plain, making / f"{name}.safetensors")
            sizes = {path.name: path.stat().st_size for path in sorted(making.iterdir())}
            (making / RECORD).write_text(json.dumps(record | {"files": sizes}, indent=2) + "\n", encoding="utf-8")
            for path in (*making.iterdir(), making):
                _flush(path)
            _delete(final)  # only ever a folder that `is_whole` refused
            os.rename(making, final)
            _flush(root)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
    for old in whole_states(root)[:-keep]:
        _delete(old)
    return final


def read_state(folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """The record and the groups of tensors of a folder that `latest_state` returned. Raises `ValueError` when it is unreadable."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        names = [name.removesuffix(".safetensors") for name in record["files"]]
        return record, {name: load_file(folder / f"{name}.safetensors") for name in names}
    except (OSError, ValueError, SafetensorError) as error:
        raise ValueError(f"cannot read the training state {folder} ({error}); delete it to resume from the one before") from None


def latest_state(root: Path) -> Path | None:
    """The whole state with the highest step, or None."""
    return (whole_states(root) or [None])[-1]


def saved_sentence(root: Path) -> str:
    """What to fall back on when training fails, as a part of a sentence."""
    last = latest_state(root)
    return f"the state of step {step_of(last)} is safe in {root}" if last else "no state was saved before"


def step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def whole_states(root: Path) -> list[Path]:
    """The folders root/step-*, lowest step first, whose files are all there in full size."""
    return [folder for folder in sorted(root.glob("step-*")) if _is_whole(folder)]


def sweep(root: Path) -> None:
    """Delete what a killed run left half-written or half-deleted."""
    for pattern in (".writing-*", ".deleting-*"):
        for folder in root.glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)


def check_same(saved: Mapping[str, Any], now: Mapping[str, Any], stored: Tensors, live: Tensors, *, may_change: set[str]) -> None:
    """Raise `ValueError` that names the first setting or parameter in which a run differs from the one that was saved.

    `saved` and `now` are records (their keys config, model_config and frozen count), `stored` and `live` the tensors that are trained.
    """
    remedy = "use that, or another --out"
    for table, of in (("config", ""), ("model_config", "the model's ")):
        before, after = saved[table] or {}, now[table] or {}
        for key in sorted(before.keys() & after.keys() - may_change):
            if before[key] != after[key]:
                raise ValueError(f"cannot resume with {of}{key} {after[key]!r}: this run began with {before[key]!r}; {remedy}")
    steps = saved["config"]["steps"]
    if now["config"]["steps"] < steps:
        raise ValueError(f"cannot resume with steps {now['config']['steps']}: this run is for {steps} and may only grow; {remedy}")
    remedy = "use the model that this run began with, or another --out"
    for name in sorted(stored.keys() ^ live.keys()):
        raise ValueError(f"cannot resume: '{name}' is trained in {'the saved state' if name in stored else 'this model'} only; {remedy}")
    for name, tensor in live.items():
        before, after = (f"{tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for t in (stored[name], tensor))
        if before != after:
            raise ValueError(f"cannot resume: '{name}' was {before} and is {after} in this model; {remedy}")
    if saved["frozen"] != now["frozen"]:
        raise ValueError(f"cannot resume: the frozen weights are not those this run began with; {remedy}")


def digest(tensors: Tensors) -> str:
    """A fingerprint of names and values; "" for no tensors."""
    found = hashlib.sha256()
    for name, tensor in tensors.items():
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return found.hexdigest() if tensors else ""


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keep a second training out of `root`; the lock goes with the process, however it ends. Raises `ValueError` when it is taken."""
    with one_sentence(f"cannot write to {root.parent}", remedy="give another --out"):
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(f"another training is writing to {root.parent}; wait until it ends or give another --out") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def one_sentence(what: str, *, remedy: str = "free some space and continue with --resume") -> Iterator[None]:
    """Turn what a disk can answer (full, read-only, not a folder) into a `TrainingError` of one sentence."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        full = getattr(error, "errno", None) in FULL or any(f"(os error {code})" in str(error) for code in FULL)
        reason = "the disk is full" if full else getattr(error, "strerror", None) or str(error)
        raise TrainingError(f"{what}: {reason}; {remedy}") from error


def _intact(root: Path) -> str:
    last = latest_state(root)
    return f"that of step {int(last.name[5:])} is intact" if last else "there is none before it"


def _is_whole(folder: Path) -> bool:
    with suppress(OSError, ValueError, KeyError):
        sizes = json.loads((folder / RECORD).read_text(encoding="utf-8"))["files"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    return False


def _delete(folder: Path) -> None:
    if folder.exists():
        doomed = folder.with_name(f".deleting-{folder.name}")
        os.rename(folder, doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def _flush(path: Path) -> None:
    """Have the disk itself hold `path` before we go on. A folder cannot be flushed on Windows and on some network disks."""
    if path.is_dir():
        with suppress(OSError):
            _fsync(path, os.O_RDONLY)
    else:
        _fsync(path, os.O_RDWR)


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
