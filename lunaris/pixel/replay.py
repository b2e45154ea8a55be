"""Sprites that can be made again: every PNG written here carries its record, and `check` proves it or says what differs.

    made = record(model, "generate", order.to_dict(), ref="pixel-16", weights=loaded.weights)
    file = png(images, made, index=3, scale=8)          # sprite 3, enlarged, stamped
    check(file)                                         # Verdict("identical", [])

A call can be replayed when it is in CALLS: a function of the model and plain values (or pictures) that gives equal bytes for equal ones.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from lunaris.core import hub, provenance
from lunaris.core.images import Rgba, RgbaBatch, fit_square, grid, png_bytes, read_image, upscale
from lunaris.core.provenance import Verdict
from lunaris.core.runtime import get_optimal_device
from lunaris.pixel.explore import arithmetic, decode_point, latent_map, reconstruct
from lunaris.pixel.export import sheet_size
from lunaris.pixel.generate import generate_request, interpolate, interpolate_prompts
from lunaris.pixel.model import LunarCore, load
from lunaris.pixel.run import PixelRun

FAMILY = "pixel"
Call = Callable[[LunarCore, Mapping[str, Any]], RgbaBatch]

# --- what can be made again -------------------------------------------------------------------------------------------------------


def keywords(function: Callable[..., RgbaBatch]) -> Call:
    """`function(model, **args)` for arguments out of a file: names and types are held to its signature, pictures are unpacked."""
    _, *parameters = inspect.signature(function).parameters.values()
    hints = {parameter.name: parameter.annotation for parameter in parameters}
    needed = [parameter.name for parameter in parameters if parameter.default is parameter.empty]

    def call(model: LunarCore, args: Mapping[str, Any]) -> RgbaBatch:
        wrong = [name for name in args if name not in hints] or [name for name in needed if name not in args]
        if wrong:
            raise ValueError(f"{function.__name__} takes {', '.join(hints)}, and the record's {wrong[0][:40]!a} is unknown or missing")
        return function(model, **{name: _value(name, hints[name], value) for name, value in args.items()})

    return call


def _value(name: str, hint: Any, value: Any) -> Any:
    if hint is Rgba:
        return provenance.unpack_picture(value)
    try:
        return TypeAdapter(hint).validate_python(value, strict=True)
    except ValidationError:
        raise ValueError(f"{name} must be of type {getattr(hint, '__name__', hint)}, got {str(value)[:40]!a}") from None


def _generate(model: LunarCore, args: Mapping[str, Any]) -> RgbaBatch:
    return generate_request(model, PixelRun.from_dict(args))


FUNCTIONS: dict[str, Callable[..., RgbaBatch]] = {
    function.__name__: function for function in (interpolate, interpolate_prompts, arithmetic, latent_map, decode_point, reconstruct)
}
CALLS: dict[str, Call] = {"generate": _generate, **{name: keywords(function) for name, function in FUNCTIONS.items()}}


# --- write ------------------------------------------------------------------------------------------------------------------------


def record(model: LunarCore, call: str, args: Mapping[str, Any], *, ref: str | Path, weights: str) -> dict[str, Any]:
    """The record of one call; `png` adds which of its pictures a file shows. Pictures among `args` go in, fitted to the model's size.

    A number is written as the call's signature has it: JSON's 1 and the command line's 1.0 are the same temperature, and one record.
    """
    _known(call)
    side = model.config.side
    parameters = inspect.signature(FUNCTIONS[call]).parameters if call in FUNCTIONS else {}

    def plain(name: str, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return provenance.pack_picture(fit_square(value, side))
        real = name in parameters and parameters[name].annotation is float
        return float(value) if real and isinstance(value, int) else value

    packed = {name: plain(name, value) for name, value in args.items()}
    return provenance.record(FAMILY, call, packed, model=ref, weights=weights, device=str(model.device))


def png(
    images: RgbaBatch,
    record: Mapping[str, Any] | None,
    *,
    index: int | None = None,
    scale: int = 1,
    columns: int = 0,
    padding: int = 0,
) -> bytes:
    """A stamped PNG of picture `index`, or of all as a sheet; record None (private) writes the AI-generated mark alone.

    Raises ValueError for one that would be too large to be read again.
    """
    sheet_size(images if index is None else images[index][None], columns=columns, scale=scale, padding=padding)
    shows = {"index": index, "scale": scale, "columns": columns, "padding": padding}
    image = upscale(images[index], scale) if index is not None else grid(images, columns=columns, scale=scale, gap=padding)
    return provenance.stamp(png_bytes(image), None if record is None else {**record, **shows})


def _known(call: str) -> Call:
    if call not in CALLS:
        raise ValueError(f"the record names the call {call[:40]!a}; this Lunaris can replay {', '.join(CALLS)}")
    return CALLS[call]


# --- make it again ----------------------------------------------------------------------------------------------------------------


def replay(record: Mapping[str, Any], model: LunarCore | None = None) -> RgbaBatch:
    """The pictures of the recorded call, made again by `model`, else by the checkpoint that the record names (bundled or on the Hub).

    Raises ValueError for a record that makes no sense, FileNotFoundError or HubError when its checkpoint cannot be had.
    """
    call = _known(record["call"])
    return call(model or load(provenance.checkpoint(record)), record["args"])


def check(png: bytes | str | Path, ref: str = "") -> Verdict:
    """Make the picture in a file again and compare every pixel. `ref` names the checkpoint, else the record does.

    Raises ValueError in one sentence for a file that holds no sound record.
    """
    data = png if isinstance(png, bytes) else provenance.file_bytes(png)
    record = provenance.read(data)
    _known(record["call"])
    try:
        folder = provenance.checkpoint(record, ref)
    except (FileNotFoundError, hub.HubError) as error:
        if ref:
            raise
        return Verdict("not replayed", [f"model missing: {error}"])
    return compare(data, load(folder, device=_device(record)), hub.weight_hash(folder))


def _device(record: Mapping[str, Any]) -> str:
    """The device it was made on where this machine has one, else the CPU."""
    try:
        return str(get_optimal_device(str(record["made_with"].get("device"))))
    except ValueError:
        return "cpu"


def compare(png: bytes, model: LunarCore, weights: str) -> Verdict:
    """The verdict on a stamped PNG with a model in memory and the hash of its weights."""
    record = provenance.read(png)
    differs = _pixels(read_image(png), replay(record, model), record)
    if record["weights"] != weights:
        differs.append(f"weights: {record['weights']} of {record['model']} then, {weights} now")
    notes = provenance.changes(record, provenance.environment(str(model.device)))
    if differs and not notes and record["weights"] == weights:
        notes = [provenance.unexplained(record)]
    return Verdict("different" if differs else "identical", differs + notes)


def _pixels(shown: Rgba, images: RgbaBatch, record: Mapping[str, Any]) -> list[str]:
    """How the picture in the file differs from the one made again: one line, or none."""
    n, first, padding = len(images), 1, record["padding"]
    if record["index"] is not None:
        if record["index"] >= n:
            raise ValueError(f"the record names picture {record['index'] + 1} of a call that makes {n}; the record is damaged")
        images, first, padding = images[record["index"]][None], record["index"] + 1, 0
    columns = min(len(images), record["columns"] or math.ceil(math.sqrt(len(images))))
    rows = math.ceil(len(images) / columns)
    cell, gap = (images.shape[1] + padding) * record["scale"], padding * record["scale"]
    width, height = columns * cell - gap, rows * cell - gap
    if shown.shape[:2] != (height, width):  # before it is drawn: a scale of 64 makes gigabytes of a sheet
        return [f"pixels: the file has {shown.shape[1]}x{shown.shape[0]}, made again it has {width}x{height}"]
    different = (shown != grid(images, columns=columns, scale=record["scale"], gap=padding)).any(-1)
    if not different.any():
        return []
    y, x = np.nonzero(different)
    where = sorted(set((y // cell * columns + x // cell + first).tolist()))
    names = ", ".join(map(str, where[:8])) + (f" and {len(where) - 8} more" if len(where) > 8 else "")
    return [f"pixels: {len(y):,} of {different.size:,} differ, in {'picture' if len(where) == 1 else 'pictures'} {names} of {n}"]
