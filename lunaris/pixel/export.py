"""Sprites as files: a sheet with a JSON atlas for game engines, an animated GIF, a ZIP, all that a run leaves. Equal input, equal bytes."""

import io
import itertools
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from lunaris.core.images import MAX_PIXELS, Rgba, RgbaBatch, grid, png_bytes, upscale
from lunaris.core.provenance import SOURCE_TYPE, stamp
from lunaris.pixel import palette
from lunaris.pixel.run import PixelRun

MAX_GIF_PIXELS = 8 * MAX_PIXELS  # over all frames: two seconds of work
SCALE = 8
SLIDE_MS = 400  # how long a sprite of a run stays in its GIF
MARKS = (b"iTXtAI-generated\0", PurePosixPath(SOURCE_TYPE).name.encode())  # what `stamp` writes, and the word of other makers' XMP


def sheet(
    images: RgbaBatch, names: list[str], *, columns: int = 0, scale: int = 1, padding: int = 0, file: str = "sprites.png"
) -> tuple[Rgba, dict[str, Any]]:
    """All sprites in one picture, and the atlas that says where each one lies: write it as JSON beside the picture, called `file`.

    The atlas is the "JSON hash" of TexturePacker and Aseprite, which Phaser, PixiJS, Godot importers and others read: "frames" maps
    each sprite's name to its rectangle in pixels of the sheet. A name that comes twice gets -2, -3... `columns` 0 is nearly square;
    every pixel becomes a square of `scale`; `padding` (0 to 64) transparent sprite pixels lie between sprites.
    """
    n, h, w, _ = images.shape
    if len(names) != n or not n:
        raise ValueError(f"sheet needs one name per sprite and at least one sprite, got {n} sprites and {len(names)} names; give each one")
    if not 0 <= columns <= n or not 0 <= padding <= 64 or not 1 <= scale <= 64:
        raise ValueError(
            f"columns must be from 0 to {n}, padding from 0 to 64 and scale from 1 to 64, got {columns}, {padding}, {scale}; try 0, 0, 1"
        )
    columns = columns or math.ceil(math.sqrt(n))
    size = sheet_size(images, columns=columns, scale=scale, padding=padding)
    frames = {}
    for i, name in enumerate(_unique(names)):
        x, y = (i % columns) * (w + padding) * scale, (i // columns) * (h + padding) * scale
        frames[name] = {
            "frame": {"x": x, "y": y, "w": w * scale, "h": h * scale},
            "rotated": False,
            "trimmed": False,
            "spriteSourceSize": {"x": 0, "y": 0, "w": w * scale, "h": h * scale},
            "sourceSize": {"w": w * scale, "h": h * scale},
        }
    meta = {
        "app": "Lunaris",
        "version": "1.0",
        "image": file,
        "format": "RGBA8888",
        "size": dict(zip("wh", size, strict=True)),
        "scale": "1",
    }
    return grid(images, columns=columns, scale=scale, gap=padding), {"frames": frames, "meta": meta}


def sheet_size(images: RgbaBatch, *, columns: int = 0, scale: int = 1, padding: int = 0) -> tuple[int, int]:
    """Width and height that `grid` will need. Raises ValueError above MAX_PIXELS, which no reader of ours takes."""
    n, h, w, _ = images.shape
    columns = min(n, columns or math.ceil(math.sqrt(n)))
    width, height = ((count * (side + padding) - padding) * scale for count, side in ((columns, w), (-(-n // columns), h)))
    _check_size("the sheet", width * height, MAX_PIXELS)
    return width, height


def gif(frames: RgbaBatch, *, scale: int = 8, ms: int = 120, bounce: bool = True) -> bytes:
    """The frames as an endless GIF, `ms` (20 to 10,000, in steps of 10) each; `bounce` plays them back as well.

    Every frame has its own palette, so its colours are exact, up to 255 of them; a frame with more (one of 32x32 can have them) is
    reduced to 255 of its own. A GIF pixel is opaque or transparent: alpha from 128 on is opaque.
    """
    n, h, w, _ = frames.shape
    if not n:
        raise ValueError("a GIF needs at least one frame, got none; choose some sprites")
    if not 1 <= scale <= 64:
        raise ValueError(f"scale must be from 1 to 64, got {scale}; try 8")
    if not 20 <= ms <= 10_000:
        raise ValueError(f"ms must be from 20 to 10000, got {ms}; try 120")
    if bounce:
        frames = np.concatenate([frames, frames[-2:0:-1]])
    _check_size("the GIF", len(frames) * h * w * scale**2, MAX_GIF_PIXELS)
    frames = palette.reduce(frames, 255)
    used = set((frames[frames[..., 3] > 0][:, :3] @ np.array([65536, 256, 1])).tolist())
    # Pillow compares frames and palette entries without their transparency: black would pass for transparent black, and vanish
    clear = next(code for code in itertools.count() if code not in used).to_bytes(3, "big")
    first, *rest = [_indexed(frame, scale, clear) for frame in frames]
    file = io.BytesIO()
    # disposal 2 clears a frame before the next: without it, what is transparent shows the frame before
    first.save(file, "GIF", save_all=True, append_images=rest, loop=0, duration=ms, disposal=2, transparency=0, optimize=False)
    return file.getvalue()


def bundle(files: dict[str, bytes]) -> bytes:
    """The files as one ZIP, without a date: equal files give equal bytes. Names are relative paths with forward slashes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # stored, not packed: PNG and GIF are packed already, and zlib versions differ
        for name, data in files.items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not path.parts or set(name) & set('\\:*?"<>|') or str(path) != name:
                raise ValueError(f"a name in a ZIP must be a relative path such as sprites/potion.png, got {name[:80]!r}; rename the file")
            info = zipfile.ZipInfo(name)  # its date is 1980-01-01
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, data)
    return buffer.getvalue()


def atlas_json(atlas: Mapping[str, Any]) -> bytes:
    return (json.dumps(atlas, indent=1) + "\n").encode()


def carry_mark(source: str | Path, png: bytes) -> bytes:
    """The PNG with the AI-generated mark where the picture file `source`, which it was made from without a model, bears one."""
    data = Path(source).read_bytes()
    return stamp(png) if any(mark in data for mark in MARKS) else png


# --- a run of sprites -------------------------------------------------------------------------------------------------------------


class Sprite(NamedTuple):
    """A sprite and the record that makes it again (None: private); as a file, a PNG with the AI-generated mark and the record in it."""

    image: Rgba
    record: dict[str, Any] | None

    def png(self, scale: int = 1) -> bytes:
        """The sprite as a stamped PNG, every pixel a square of side `scale`."""
        return stamp(png_bytes(upscale(self.image, scale)), self.record and {**self.record, "scale": scale})


def sprites(images: RgbaBatch, record: Mapping[str, Any] | None) -> list[Sprite]:
    """The pictures of a call, each with its own record: that of the call, or of the cell alone where it has a seed of its own."""
    run = run_of(record)
    own = run.own_seeds() if run else {}

    def record_of(i: int) -> dict[str, Any] | None:
        if record is None or run is None:
            return record and {**record, "index": i}
        alone = i + 1 in own
        args = (run.sprite(i + 1) if alone else run.request()).to_dict()
        return {**record, "args": args, "index": 0 if alone else i}

    return [Sprite(image, record_of(i)) for i, image in enumerate(images)]


def run_of(record: Mapping[str, Any] | None) -> PixelRun | None:
    """The run that a record is of, None for a record of another call."""
    return PixelRun.from_dict(record["args"]) if record and record["call"] == "generate" else None


def plain_names(n: int) -> list[str]:
    """File names that tell neither prompt nor seed."""
    return [f"sprite-{i + 1}.png" for i in range(n)]


def run_record(parts: list[Sprite], run: PixelRun) -> dict[str, Any] | None:
    """The record of the one run that makes all these sprites again; None where one was made otherwise, or was kept private."""
    records = [part.record for part in parts if part.record]
    if len(records) < len(parts):
        return None
    settings = [{**record, "index": 0, "args": {**record["args"], "n": 1, "seed": 0}} for record in records]
    seeds = [record["args"]["seed"] + record["index"] for record in records]
    same = seeds == run.seeds() and all(other == settings[0] for other in settings)
    return {**records[0], "index": None, "args": run.recorded()} if same else None


def run_files(parts: list[Sprite], run: PixelRun | None = None, *, scale: int = SCALE, columns: int = 0) -> dict[str, bytes]:
    """All that can be taken along of a run: every sprite as a PNG and enlarged, a sheet with its atlas, a GIF; equal sprites, equal bytes.

    Without a `run` no name tells prompt or seed, and the sheet has the AI-generated mark alone.
    """
    images = np.stack([part.image for part in parts])
    names, stem = (run.names(), run.stem) if run else (plain_names(len(parts)), "sprites")
    picture, atlas = sheet(images, names, columns=columns, file=f"{stem}-sheet.png")
    record = run and run_record(parts, run)
    return {
        **{f"x{times}/{name}": part.png(times) for times in sorted({1, scale}) for name, part in zip(names, parts, strict=True)},
        f"{stem}-sheet.png": stamp(png_bytes(picture), record and {**record, "columns": columns}),
        f"{stem}-sheet.json": atlas_json(atlas),
        f"{stem}.gif": gif(images, scale=scale, ms=SLIDE_MS, bounce=False),
    }


# --- what they share --------------------------------------------------------------------------------------------------------------


def _check_size(what: str, pixels: int, most: int) -> None:
    if pixels > most:
        raise ValueError(f"{what} must have at most {most:,} pixels, got {pixels:,}; use a smaller scale or fewer sprites")


def _unique(names: list[str]) -> list[str]:
    unique = []
    for name in names:
        copies = (f"{name}-{number}" for number in itertools.count(2))
        unique.append(next(key for key in itertools.chain([name], copies) if key not in unique))
    return unique


def _indexed(image: Rgba, scale: int, clear: bytes) -> Image.Image:
    """A picture of at most 255 opaque colours, enlarged, as indices into its own palette; 0 is transparent, as the colour `clear`."""
    opaque = image[..., 3] > 0
    colours, inverse = np.unique(image[opaque][:, :3], axis=0, return_inverse=True)
    index = np.zeros(opaque.shape, np.uint8)
    index[opaque] = inverse.reshape(-1) + 1
    indexed = Image.fromarray(index.repeat(scale, 0).repeat(scale, 1))
    indexed.putpalette(clear + colours.tobytes())
    return indexed
