"""A checkpoint is a folder: model.safetensors, config.json, README.md (its card) and small files beside them (HB-10).

It is written whole or not at all and read strictly: a missing, surplus, misshapen, NaN or cut-off weight is one sentence that names
it. Weights are safetensors only. A pickle is refused unread, because opening one runs whatever code its author put in.
"""

import contextlib
import ctypes
import hashlib
import json
import math
import os
import secrets
import shutil
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
DTYPES = ("F16", "BF16", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "BOOL")
MAX_CONFIG_BYTES = 1 << 20
MAX_WEIGHTS_BYTES = 10 << 30
MAX_HEADER_BYTES = 100 << 20  # safetensors' own limit
STALE_SECONDS = 3600  # a half-written folder older than this belongs to a run that was killed

Content = Path | bytes | str | Callable[[Path], None]  # a file to copy, its content, or what writes it to the path it is given


# --- write ----------------------------------------------------------------------------------------------------------------------


def save(
    folder: str | Path,
    *,
    tensors: Mapping[str, "torch.Tensor"],
    config: Mapping[str, Any],
    files: Mapping[str, str | bytes] | None = None,
    dtype: "torch.dtype | None" = None,
) -> Path:
    """Write the checkpoint `folder` and return it; what else lies in it (training state, logs) stays.

    `tensors` is a state dict; names that share memory are stored once. `files` are written beside (README.md, vocab.json, ...).
    `dtype` (torch.float16, torch.bfloat16) is what floating weights are stored as. The folder changes in one step: a run killed at any
    moment leaves the old checkpoint or the new one. Raises ValueError for weights that are not finite, OSError when it cannot write.
    """
    stored = {name: _storable(name, tensor, dtype) for name, tensor in _first_of_ties(tensors).items()}
    contents: dict[str, Content] = {
        WEIGHTS: lambda path: _write_weights(stored, path),
        CONFIG: json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
    }
    return write_folder(folder, contents | dict(files or {}), keep=True)


def _write_weights(tensors: dict[str, "torch.Tensor"], path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:  # a full disk, for one
        raise OSError(str(error)) from None


def _first_of_ties(tensors: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """The tensors without those that are the very memory of an earlier one (tied weights)."""
    first = {names[0] for names in _ties(tensors)}
    return {name: tensor for name, tensor in tensors.items() if name in first}


def _ties(tensors: Mapping[str, "torch.Tensor"]) -> list[list[str]]:
    """The names in groups that share one memory; most groups have one name."""
    groups: dict[tuple, list[str]] = {}
    for name, tensor in tensors.items():
        where = (tensor.device, tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype)
        groups.setdefault(where if tensor.numel() else (name,), []).append(name)
    return list(groups.values())


def _storable(name: str, tensor: "torch.Tensor", dtype: "torch.dtype | None") -> "torch.Tensor":
    tensor = tensor.detach().cpu()
    if not tensor.is_floating_point():
        return tensor.contiguous().clone()
    if not tensor.isfinite().all():
        raise ValueError(f"weight {name!r} holds NaN or infinite values and is not saved; train again with a lower learning rate")
    cast = tensor.to(dtype or tensor.dtype)
    if not cast.isfinite().all():
        raise ValueError(f"weight {name!r} reaches {tensor.abs().max():.3g}, too large for {dtype}; save it as bfloat16 or float32")
    return cast.contiguous().clone()


def write_folder(folder: str | Path, files: Mapping[str, Content], *, keep: bool = False) -> Path:
    """Make `folder` hold these files (path inside it -> content) in one step, and return it.

    Everything is written beside the folder, flushed to the disk, then the two change places: killed at any moment, the old folder or
    the new one is there, complete. `keep`: files that only the old folder has stay (hard links, so nothing is copied). Raises ValueError,
    OSError.
    """
    folder = Path(folder).absolute()
    folder = folder.resolve() if folder.is_symlink() else folder
    check_elsewhere(folder)
    for name in files:
        _check_relative(name)
    beside = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.new"
    try:
        recover(folder)
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError("it is a file, not a folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(folder)
        beside.mkdir()
        for name, content in files.items():
            _write(beside / name, content)
        if keep and folder.exists():
            _link_others(folder, beside)
        _flush_folders(beside)
        _put_in_place(beside, folder)
    except OSError as error:
        raise OSError(f"cannot write {folder}: {error.strerror or error}; choose a folder that you can write to") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def check_elsewhere(folder: Path) -> None:
    """Refuse a folder that this process is in: the new one takes its place and it is deleted, so we, and our shell, would be nowhere."""
    folder = folder.resolve()
    with contextlib.suppress(FileNotFoundError):  # we are nowhere already
        if Path.cwd().is_relative_to(folder):
            raise ValueError(f"the folder to write must not be the current one or one above it, got {folder}; give a folder inside it")


def recover(folder: Path) -> None:
    """Bring back `folder` if a run was killed between the two renames of a system that cannot swap folders."""
    if not folder.exists():
        for old in _siblings(folder, ".old"):
            os.rename(old, folder)
            return


def _check_relative(name: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in name:
        raise ValueError(f"a file in a checkpoint needs a plain relative path, got {name!r}; use one such as 'vocab.json'")


def _write(path: Path, content: Content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if callable(content):
        content(path)
    elif isinstance(content, Path):
        shutil.copyfile(content, path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _link_others(old: Path, new: Path) -> None:
    """Give `new` all of `old` that it lacks: one more name for the same file or link, or a copy where the disk has no hard links."""
    for root, folders, names in os.walk(old):
        for source in (Path(root) / name for name in (*folders, *names)):  # links to folders are among the folders
            target = new / source.relative_to(old)
            if target.exists():
                continue
            if source.is_dir() and not source.is_symlink():
                target.mkdir()
                continue
            try:
                os.link(source, target, follow_symlinks=False)
            except OSError:
                shutil.copy2(source, target, follow_symlinks=False)


def _put_in_place(new: Path, folder: Path) -> None:
    if not folder.exists():
        os.rename(new, folder)
    elif not _exchange(new, folder):
        old = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.old"
        os.rename(folder, old)  # from here until the next line the folder is missing; `recover` brings it back
        os.rename(new, folder)
        shutil.rmtree(old, ignore_errors=True)
    _flush_folder(folder.parent)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two folders atomically; False where the system cannot (Linux can, on most disks)."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    at_cwd, exchange = -100, 2
    return renameat2(at_cwd, os.fsencode(a), at_cwd, os.fsencode(b), exchange) == 0


def _flush_folders(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        _flush_folder(Path(folder))


def _flush_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # Windows cannot open a folder, some network disks cannot flush one
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _siblings(folder: Path, suffix: str) -> list[Path]:
    """What `write_folder` left beside `folder`, newest first."""
    if not folder.parent.is_dir():
        return []
    found = [path for path in folder.parent.iterdir() if path.name.startswith(f".{folder.name}.") and path.name.endswith(suffix)]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def _remove_stale(folder: Path) -> None:
    for path in [*_siblings(folder, ".new"), *_siblings(folder, ".old")]:
        if time.time() - path.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


# --- read -----------------------------------------------------------------------------------------------------------------------


def load_config(folder: str | Path) -> dict[str, Any]:
    """config.json of the checkpoint `folder`. Raises FileNotFoundError, ValueError."""
    path = _existing(Path(folder), CONFIG)
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size:,} bytes and a config has at most {MAX_CONFIG_BYTES:,}; this is not a config")
    try:
        config = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({' '.join(str(error).split())}); copy or download it again") from None
    if not isinstance(config, dict):
        raise ValueError(f"{path} must hold a table of keys and values, got a {type(config).__name__}")
    return config


def load_tensors(folder: str | Path, filename: str = WEIGHTS) -> dict[str, "torch.Tensor"]:
    """The weights of the checkpoint `folder` by name, on the CPU, all finite. Raises FileNotFoundError, ValueError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = _existing(Path(folder), filename)
    check_safetensors(path)
    try:
        tensors = load_file(path, device="cpu")
    except (SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is damaged ({' '.join(str(error).split())}); copy or download it again") from None
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"weight {name!r} in {path} holds NaN or infinite values; use an earlier checkpoint or train again")
    return tensors


def load_into(module: "torch.nn.Module", folder: str | Path) -> None:
    """Put the weights of the checkpoint `folder` into `module`, which keeps its dtype and device (fp16 on disk is fine).

    Strict: ValueError when a weight is missing, left over or of another shape; then `module` is as it was.
    """
    path = Path(folder) / WEIGHTS
    stored, own = load_tensors(folder), module.state_dict()
    for names in _ties(own):
        found = next((name for name in names if name in stored), None)
        if found:  # a tied weight is stored under one of its names
            stored |= {name: stored[found] for name in names if name not in stored}
    missing, surplus = [name for name in own if name not in stored], [name for name in stored if name not in own]
    if missing:
        raise ValueError(f"{path} lacks {_named('weight', missing)} of the model; it was made for another config or version")
    if surplus:
        raise ValueError(f"{path} has {_named('weight', surplus)} that the model lacks; it was made for another config or version")
    for name, tensor in stored.items():
        if tensor.shape != own[name].shape:
            raise ValueError(
                f"weight {name!r} has shape {tuple(tensor.shape)} in {path} and {tuple(own[name].shape)} in the model; "
                "it was made for another config"
            )
        if tensor.is_floating_point() != own[name].is_floating_point():
            raise ValueError(f"weight {name!r} is {tensor.dtype} in {path} and {own[name].dtype} in the model")
    module.load_state_dict(stored)


def weight_hash(folder: str | Path) -> str:
    """The first 16 hex digits of the SHA-256 of the checkpoint's weights: equal hashes, equal weights."""
    digest = hashlib.sha256()
    with open(_existing(Path(folder), WEIGHTS), "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


def check_checkpoint(names: Iterable[str], what: str) -> None:
    """Refuse a folder or repository `what` with these file names that is no checkpoint, saying whether all it has is a pickle."""
    names = sorted(names)
    if not any(name.endswith(".safetensors") for name in names):
        pickles = [name for name in names if name.lower().endswith(PICKLES)]
        if pickles:
            raise ValueError(
                f"{what} has no safetensors, only {_named('pickle', pickles)}, which could run code when opened; "
                "convert it to safetensors where you trust it"
            )
        raise FileNotFoundError(f"{what} has no {WEIGHTS}; a checkpoint holds {WEIGHTS} and {CONFIG}")
    if CONFIG not in names:
        raise FileNotFoundError(f"{what} has no {CONFIG}; a checkpoint holds {WEIGHTS} and {CONFIG}")


def check_safetensors(path: Path) -> dict[str, dict[str, Any]]:
    """What the header says of each weight: dtype, shape, data_offsets. Raises ValueError unless the file is what its name says, by its
    header alone: a pickle is named, a weight that is cut off or of an odd number format too."""
    size = path.stat().st_size
    if size > MAX_WEIGHTS_BYTES:
        raise ValueError(f"{path} has {size / 1e9:.1f} GB and Lunaris reads at most {MAX_WEIGHTS_BYTES / 1e9:.1f} GB of weights")
    with open(path, "rb") as file:
        start = file.read(9)  # 8 bytes with the header's length, then the header, a JSON table
        if start[8:] != b"{" and (start[:2] == b"PK" or start[:1] == b"\x80"):
            raise ValueError(f"{path} is a pickle under another name, which could run code when opened; it was not opened")
        length = struct.unpack("<Q", start[:8])[0] if start[8:] == b"{" else 0
        if not 2 <= length <= min(MAX_HEADER_BYTES, max(size - 8, 0)):
            raise ValueError(f"{path} is not a safetensors file or is cut short in its header; copy or download it again")
        try:
            header = json.loads(start[8:] + file.read(length - 1))
            header.pop("__metadata__", None)
            odd = next(((name, str(entry["dtype"])[:20]) for name, entry in header.items() if entry["dtype"] not in DTYPES), None)
            ends = {name: entry["data_offsets"][1] for name, entry in header.items()}
            cut = next((name for name, end in sorted(ends.items(), key=lambda item: item[1]) if 8 + length + end > size), None)
        except (ValueError, RecursionError, TypeError, KeyError, IndexError, AttributeError):
            raise ValueError(f"{path} is not a safetensors file (its header cannot be read); copy or download it again") from None
    if cut is not None:
        raise ValueError(f"{path} is cut short: weight {cut!r} is incomplete; copy or download it again")
    if odd is not None:
        raise ValueError(f"weight {odd[0]!r} in {path} must be F16, BF16, F32, F64, whole numbers or BOOL, got {odd[1]!r}; save it as BF16")
    return header


def _existing(folder: Path, name: str) -> Path:
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}; give the folder of a checkpoint")
    path = folder / name
    if not path.is_file():
        check_checkpoint([entry.name for entry in folder.iterdir()], str(folder))
        raise FileNotFoundError(f"{folder} has no {name}")
    return path


def _named(what: str, names: list[str], limit: int = 3) -> str:
    """weight 'a' | the weights 'a', 'b' | the weights 'a', 'b', 'c' and 4 more"""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"{what if len(names) == 1 else f'the {what}s'} {', '.join(repr(name) for name in names[:limit])}{more}"


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def count_parameters(weights: Path) -> int:
    """How many numbers a safetensors file holds, by its header. Raises ValueError as `check_safetensors`."""
    return sum(math.prod(entry["shape"]) for entry in check_safetensors(weights).values())
