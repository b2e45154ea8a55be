"""Pictures between numpy, torch and files: conversion, nearest-neighbour scaling, grids, bounded reading.

Arrays are uint8 (h, w, 4) in straight RGBA, as PNG stores them. Models work on floats in [0, 1], channels first; with four channels
RGB is premultiplied by alpha, so that averaging never mixes in invisible colour.
"""

import contextlib
import io
import math
import secrets
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps
from torch import Tensor

Rgba = UInt8[np.ndarray, "_ _ 4"]
RgbaBatch = UInt8[np.ndarray, "_ _ _ 4"]
T = TypeVar("T")

MAX_PIXELS = 4096 * 4096
MAX_BYTES = 20 * 2**20
FORMATS = ("PNG", "GIF", "WEBP", "JPEG")
LOW_GREYS = {"L;2": 85, "L;4": 17}  # Pillow's names for grey of 2 and 4 bits, and what one step of it is worth in 8
FAINT_ALPHA = 0.1  # below this a pixel is read as transparent: a fringe nobody asked for


def to_model(images: RgbaBatch, channels: int = 4) -> Float[Tensor, "n c h w"]:
    """Pictures for a model: premultiplied RGBA (channels 4), or RGB on white (channels 3), in [0, 1]."""
    pixels = torch.from_numpy(np.ascontiguousarray(images)).movedim(-1, 1).float() / 255  # (n, 4, h, w)
    colour, alpha = pixels[:, :3], pixels[:, 3:]
    if channels == 4:
        return torch.cat([colour * alpha, alpha], 1)
    return colour * alpha + (1 - alpha)


def from_model(pictures: Float[Tensor, "n c h w"]) -> RgbaBatch:
    """A model's pictures as straight RGBA; alpha under 0.1 becomes fully transparent, transparent pixels are black."""
    pixels = pictures.detach().float().cpu().clamp(0, 1)
    if pixels.shape[1] == 3:
        pixels = torch.cat([pixels, torch.ones_like(pixels[:, :1])], 1)
    colour, alpha = pixels[:, :3], pixels[:, 3:]
    alpha = torch.where(alpha < FAINT_ALPHA, 0.0, alpha)
    colour = torch.where(alpha > 0, (colour / alpha.clamp_min(1e-6)).clamp(0, 1), 0.0)
    return (torch.cat([colour, alpha], 1) * 255).round().to(torch.uint8).movedim(1, -1).contiguous().numpy()


def upscale(image: Rgba, factor: int) -> Rgba:
    """Nearest-neighbour enlargement: every pixel becomes a square of factor x factor."""
    if not 1 <= factor <= 64:
        raise ValueError(f"factor must be from 1 to 64, got {factor}; try 8")
    return image.repeat(factor, 0).repeat(factor, 1)


def grid(images: RgbaBatch, *, columns: int = 0, scale: int = 1, gap: int = 0) -> Rgba:
    """Pictures side by side, row by row (columns 0 = nearly square), enlarged by `scale`, `gap` transparent pixels between."""
    n, h, w, _ = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = np.zeros((rows * (h + gap) - gap, min(n, columns) * (w + gap) - gap, 4), np.uint8)
    for i, image in enumerate(images):
        y, x = (i // columns) * (h + gap), (i % columns) * (w + gap)
        sheet[y : y + h, x : x + w] = image
    return upscale(sheet, scale)


def to_pil(image: Rgba) -> Image.Image:
    return Image.fromarray(image)


def png_bytes(image: Rgba) -> bytes:
    """The picture as a PNG file; equal pictures give equal bytes."""
    buffer = io.BytesIO()
    to_pil(image).save(buffer, "PNG")
    return buffer.getvalue()


def write_file(path: str | Path, data: bytes) -> Path:
    """`data` as the file `path`, which changes in one step: whoever is killed leaves the old file or the new one.

    Raises OSError with the reason when it cannot be written.
    """
    path = Path(path)
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        half.write_bytes(data)
        half.replace(path)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}; choose another --out") from None
    finally:
        with contextlib.suppress(OSError):
            half.unlink()
    return path


def read_image(source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS) -> Rgba:
    """A PNG, GIF, WebP or JPEG file as straight RGBA. Refuses, in one sentence, what is no picture, is damaged, or is too large to be safe.

    The size is read from the header before a pixel is decoded, so a small file that unpacks to gigabytes is refused unread. Of an
    animation comes the first frame (`ignored_frames` counts the rest), 16 bits become 8 by rounding, CMYK becomes RGB without its
    colour profile, and a photo is turned the way its camera was held.
    """
    return _read(source, _pixels, max_pixels)


def ignored_frames(source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS) -> int:
    """How many frames of an animation `read_image` leaves out; 0 for a still picture."""
    return _read(source, lambda image: getattr(image, "n_frames", 1) - 1, max_pixels)


def _read(source: str | Path | bytes, read: Callable[[Image.Image], T], max_pixels: int) -> T:
    name = "the picture" if isinstance(source, bytes) else Path(source).name
    size = len(source) if isinstance(source, bytes) else Path(source).stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{name} must be at most {MAX_BYTES // 2**20} MB, got {size / 2**20:.0f} MB; make it smaller")
    limit = f"{name} must have at most {max_pixels:,} pixels, got "
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own limit is stricter than Pillow's, and damaged metadata harms nobody
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
                shape = f"{image.width}x{image.height}"
                if image.width * image.height <= max_pixels:
                    return read(image)
    except Image.DecompressionBombError:
        raise ValueError(f"{limit}more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,}; make it smaller") from None
    except MemoryError:
        raise
    except Exception as error:  # a damaged file makes the decoders raise nearly anything: zlib, struct, index and value errors
        raise ValueError(f"{name} is not a readable picture ({type(error).__name__}); use a PNG, GIF, WebP or JPEG file") from None
    raise ValueError(f"{limit}{shape}; make it smaller")


def _pixels(image: Image.Image) -> Rgba:
    clear = image.info.get("transparency")
    if image.format == "PNG" and clear is not None and image.tile[0][3] in LOW_GREYS:
        image.info["transparency"] = clear * LOW_GREYS[image.tile[0][3]]  # Pillow scales the pixels to 8 bits, but not this
    ImageOps.exif_transpose(image, in_place=True)
    if not image.mode.startswith("I"):
        return np.asarray(image.convert("RGBA"))
    grey = np.asarray(image).astype(np.int64)  # 16 bits (mode I;16, in older Pillows I), which convert would clip at 255
    return np.stack([*3 * [(grey * 255 + 32767) // 65535], np.where(grey == clear, 0, 255)], -1).astype(np.uint8)


def edges(image: Rgba) -> tuple[list[int], list[int]]:
    """The rows that differ from the row above them, and the columns that differ from the one to their left; hidden colours do not count."""
    visible = np.where(image[..., 3:] > 0, image, np.uint8(0)).view(np.uint32)[..., 0]  # one number per pixel
    rows = (visible[1:] != visible[:-1]).any(1).nonzero()[0] + 1
    columns = (visible[:, 1:] != visible[:, :-1]).any(0).nonzero()[0] + 1
    return rows.tolist(), columns.tolist()


def enlargement(image: Rgba) -> int:
    """How many times a picture was enlarged by nearest neighbour: the largest k for which it is k x k squares of one colour each."""
    rows, columns = edges(image)
    return math.gcd(*image.shape[:2], *rows, *columns)


def fit_square(image: Rgba, side: int) -> Rgba:
    """The whole picture centred on a transparent square of `side` pixels; larger ones are averaged down, smaller ones kept as they are."""
    h, w = image.shape[:2]
    if max(h, w) > side:
        factor, rest = divmod(max(h, w), side)
        if not rest and enlargement(image) % factor == 0:
            image = image[::factor, ::factor]  # enlarged pixel art comes back pixel by pixel
        else:
            size = (max(1, round(w * side / max(h, w))), max(1, round(h * side / max(h, w))))
            premultiplied = to_pil(image).convert("RGBa").resize(size, Image.Resampling.BOX)
            image = np.asarray(premultiplied.convert("RGBA"))
        h, w = image.shape[:2]
    square = np.zeros((side, side, 4), np.uint8)
    y, x = (side - h) // 2, (side - w) // 2
    square[y : y + h, x : x + w] = image
    return square
