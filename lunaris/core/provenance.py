"""What a picture or a text says about itself: the record that makes it again, and the mark that a machine made it.

In a picture both are text chunks of the PNG, so they travel with the file and change no pixel; a text saved as JSON has the record under
"lunaris" and the mark under "ai_generated".

    lunaris              JSON, a `Record`: the call, its arguments, the checkpoint with a hash of its weights, versions and threads
    XML:com.adobe.xmp    IPTC digital source type trainedAlgorithmicMedia, which picture sites and search engines read
    AI-generated         the same for people

A record names no time, no person and no path of this computer. When it is read it comes from a stranger: its size is bounded before
it is unpacked, every field is checked, and a checkpoint that it names is only ever a bundled one or one on the Hub.
"""

import base64
import binascii
import functools
import hashlib
import io
import json
import os
import platform
import re
import struct
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from PIL import Image

import lunaris
from lunaris.core import hub
from lunaris.core.config import BaseConfig, ConfigError, option
from lunaris.core.images import MAX_BYTES, MAX_PIXELS, Rgba, png_bytes, read_image

KEY = "lunaris"
FORMAT = 1
MAX_RECORD = 256 * 1024  # bytes; two embedded 64x64 pictures of pure noise take 45,000
MAX_SIDE = 64  # of an embedded picture
PUBLIC_REF = re.compile(r"\w[\w.-]{0,95}(/\w[\w.-]{0,95}(@[\w./+-]{1,100})?)?", re.ASCII)
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
XMP = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"/></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""
PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
AFTER_HEADER = 33  # signature and IHDR


@dataclass(frozen=True)
class Record(BaseConfig):
    """What makes a picture again. The file shows sprite `index` of the call's result, or all of them as a sheet."""

    family: str = option("", "the family whose call it was")
    call: str = option("", "the family's function")
    args: dict[str, Any] = option(None, "its arguments; a picture among them is {png: base64, sha256: of its pixels}")
    model: str = option("", "a bundled checkpoint, owner/name[@revision], or the bare name of a folder (local)")
    local: bool = option(False, "whether the model was a folder on the maker's computer")
    weights: str = option("", "first 16 hex digits of the SHA-256 of the checkpoint's model.safetensors")
    index: int | None = option(None, "which picture of the result the file shows, from 0; null = all, as a sheet", ge=0, le=1023)
    scale: int = option(1, "every pixel became a square of this side", ge=1, le=64)
    columns: int = option(0, "pictures per row of the sheet; 0 = nearly square", ge=0, le=64)
    padding: int = option(0, "transparent pixels between the pictures of the sheet, before scaling", ge=0, le=64)
    made_with: dict[str, str | int] = option(None, "versions, threads, device and processor")
    format: int = option(FORMAT, "version of this table", ge=1)

    def check(self) -> None:
        if self.family not in lunaris.FAMILIES:
            raise ConfigError(f"the record names the family {self.family[:40]!r}; this Lunaris has {', '.join(lunaris.FAMILIES)}")
        texts = {"call": self.call, "model": self.model, **{f"made_with.{key[:40]}": text for key, text in self.made_with.items()}}
        for key, text in texts.items():
            if not (key.isprintable() and str(text).isprintable() and 1 <= len(str(text)) <= 200):  # they are shown on a terminal
                raise ConfigError(f"{key!a} must be 1 to 200 printable characters, got {str(text)[:40]!a}; the record is damaged")
        if not self.local and not PUBLIC_REF.fullmatch(self.model):
            raise ConfigError(f"model must be a bundled name or owner/name, got {self.model[:40]!r}; a file may not choose a folder")
        if not re.fullmatch(r"[0-9a-f]{16}", self.weights):
            raise ConfigError(f"weights must be 16 hex digits, got {self.weights[:40]!r}; the record is damaged")


# --- write ------------------------------------------------------------------------------------------------------------------------


def record(
    family: str,
    call: str,
    args: Mapping[str, Any],
    *,
    model: str | Path,
    weights: str,
    index: int | None = None,
    device: str = "cpu",
    **more: Any,
) -> dict[str, Any]:
    """A record as plain values, checked, with this machine's versions in it. `more`: scale, columns, padding.

    `model` is the ref that was loaded: of a folder only its name is kept. `weights` is `hub.weight_hash`, which `models.Loaded` has.
    """
    name, local = _public_ref(str(model))
    table = {"family": family, "call": call, "args": dict(args), "model": name, "local": local, "weights": weights, "index": index}
    return Record.from_dict({**table, **more, "made_with": environment(device)}).to_dict()


def environment(device: str = "cpu") -> dict[str, str | int]:
    """What may change a sum on the way to a pixel: versions, threads, device, the kind of processor."""
    import torch

    return {**_versions(), "threads": torch.get_num_threads(), "device": device}


@functools.cache
def _versions() -> dict[str, str]:
    import numpy
    import PIL
    import torch

    return {
        "lunaris": lunaris.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "pillow": PIL.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }


def _public_ref(ref: str) -> tuple[str, bool]:
    """(what a file may say about a ref, whether it was a folder): the path of a folder is nobody's business.

    Nor is the id of "retrained:ID", with which anybody could draw with a visitor's own model; to a file that is a folder too.
    """
    if PUBLIC_REF.fullmatch(ref) and not Path(ref).is_dir():
        return ref, False
    name = PurePath(ref.replace("\\", "/")).name.partition(":")[0]
    return "".join(char for char in name if char.isprintable())[:96] or "folder", True


def stamp(png: bytes, record: Mapping[str, Any] | None = None) -> bytes:
    """The PNG with the AI-generated mark and its record; without a record (what private pictures get) the mark alone. Same pixels.

    Raises ValueError for what is no PNG or has a record already, `ConfigError` for a record that could not be read again.
    """
    if not png.startswith(PNG_START) or _chunk_start(KEY) in png:
        raise ValueError("only a PNG without a record can be stamped; give what core.images.png_bytes made")
    chunks = _text("AI-generated", f"yes, made with a trained model by Lunaris {lunaris.__version__}") + _text("XML:com.adobe.xmp", XMP)
    if record is not None:
        Record.from_dict(record)
        text = json.dumps(record, ensure_ascii=False)
        if len(text.encode("utf-8", "backslashreplace")) > MAX_RECORD:
            raise ConfigError(f"a record must be at most {MAX_RECORD // 1024} KB, got {len(text) // 1024}; give smaller pictures")
        chunks += _text(KEY, text)
    return png[:AFTER_HEADER] + chunks + png[AFTER_HEADER:]


def _text(key: str, text: str) -> bytes:
    """One iTXt chunk, not compressed, so that any viewer of bytes shows it."""
    data = _chunk_start(key) + b"\0\0\0\0" + text.encode("utf-8", "backslashreplace")  # a lone surrogate becomes JSON's own escape
    return struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


def _chunk_start(key: str) -> bytes:
    return b"iTXt" + key.encode() + b"\0"


# --- read -------------------------------------------------------------------------------------------------------------------------


def file_bytes(path: str | Path) -> bytes:
    """A file of at most 20 MB. Raises ValueError for a larger one, OSError with the reason when it cannot be read."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror or error}; give a PNG or JSON that Lunaris wrote") from None
    if len(data) > MAX_BYTES:
        raise ValueError(f"{path} must be at most {MAX_BYTES // 2**20} MB; give a file as Lunaris wrote it")
    return data


def read(source: str | Path | bytes) -> dict[str, Any]:
    """The record in a PNG or a JSON file, every field checked. Raises ValueError in one sentence for a file without one, or that is hostile
    or damaged."""
    data = source if isinstance(source, bytes) else file_bytes(source)
    if data[:1] == b"{":
        table = read_json(data).get(KEY)
        if table is None:
            raise ValueError("this JSON holds no Lunaris record: it was made elsewhere, or the record was taken out")
    else:
        table = _json(_record_text(data), "the record in this file")
    if isinstance(table, dict) and isinstance(table.get("format"), int) and table["format"] > FORMAT:
        newer = str(table["format"])[:40]
        raise ValueError(f"this file was made by a newer Lunaris (record format {newer}, known: {FORMAT}); update Lunaris")
    return Record.from_dict(table, prefix="record.").to_dict()


def read_json(data: bytes) -> dict[str, Any]:
    """A JSON file's table, as `save_result` wrote it. Raises ValueError in one sentence."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"the file must be at most {MAX_BYTES // 2**20} MB, got {len(data) / 2**20:.0f} MB; give it as Lunaris wrote it")
    table = _json(data, "this file")
    if not isinstance(table, dict):
        raise ValueError("this JSON holds no table; give a file that Lunaris wrote")
    return table


def _json(text: str | bytes, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # the latter: lists nested a hundred thousand deep
        raise ValueError(f"{what} is no valid JSON; it was damaged or made by hand") from None


def _record_text(png: bytes) -> str:
    """The text of our chunk. Pillow unpacks at most a megabyte of any text chunk, 64 of all; pixels are bounded before they are decoded."""
    if len(png) > MAX_BYTES:
        raise ValueError(f"the picture must be at most {MAX_BYTES // 2**20} MB, got {len(png) / 2**20:.0f} MB; give it as Lunaris wrote it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is stricter
            with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
                size, frames = image.size, image.n_frames
                text = image.text if frames == 1 and image.width * image.height <= MAX_PIXELS else {}  # this decodes every frame
    except Exception as error:  # a damaged file makes the decoder raise nearly anything: syntax, struct, zlib and value errors
        raise ValueError(f"this is not a readable PNG ({type(error).__name__}); give a PNG that Lunaris wrote") from None
    if size[0] * size[1] > MAX_PIXELS:
        raise ValueError(f"the picture must have at most {MAX_PIXELS:,} pixels, got {size[0]}x{size[1]}; give a smaller one")
    if frames > 1:
        raise ValueError(f"the picture must be a still one, got an animation of {frames:,} frames; give it as Lunaris wrote it")
    if KEY not in text:
        raise ValueError("this PNG holds no Lunaris record: it was made elsewhere, kept private, or its metadata was removed on the way")
    if len(text[KEY]) > MAX_RECORD:
        raise ValueError(f"a record must be at most {MAX_RECORD // 1024} KB, got {len(text[KEY]) // 1024}; the file was tampered with")
    return text[KEY]


# --- pictures inside a record -----------------------------------------------------------------------------------------------------


def pack_picture(image: Rgba) -> dict[str, str]:
    """A small picture (at most 64x64) as plain values."""
    if max(image.shape[:2]) > MAX_SIDE:
        raise ValueError(f"a picture in a record must be at most {MAX_SIDE} pixels a side, got {max(image.shape[:2])}; fit it first")
    return {"png": base64.b64encode(png_bytes(image)).decode(), "sha256": _pixel_hash(image)}


def unpack_picture(packed: Any) -> Rgba:
    """The picture again. Raises ValueError when it is none, is too large, or is not the one that was packed."""
    if not isinstance(packed, dict) or not all(isinstance(packed.get(key), str) for key in ("png", "sha256")):
        raise ValueError("a picture in a record must be a table with png and sha256; the record is damaged")
    try:
        data = base64.b64decode(packed["png"], validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a picture in the record is not base64; the record is damaged") from None
    image = read_image(data, max_pixels=MAX_SIDE**2)
    if _pixel_hash(image) != packed["sha256"]:
        raise ValueError("a picture in the record is not the one that was used: its SHA-256 differs; the record was changed")
    return image


def _pixel_hash(image: Rgba) -> str:
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


# --- make it again ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """identical (result and weights), different, or not replayed; `notes` says what is not as it was, a line each."""

    outcome: str
    notes: list[str]


def checkpoint(record: Mapping[str, Any], ref: str = "") -> Path:
    """The folder of the checkpoint to replay a record with: the caller's `ref`, else what the record names, never a folder of its choice.

    Raises FileNotFoundError or HubError when there is none.
    """
    if ref:
        return hub.resolve(ref)
    if record["local"]:
        raise FileNotFoundError(f"it was made with a folder called {record['model']!r} on the maker's computer; name it with --model")
    return hub.resolve(record["model"], folders=False)


def same_threads(record: Mapping[str, Any]) -> None:
    """Give torch as many threads as the picture was made with, as far as this machine has them: other numbers sum in another order."""
    from lunaris.core import runtime

    threads = record["made_with"].get("threads")
    if isinstance(threads, int) and threads >= 1:
        runtime.set_threads(min(threads, os.cpu_count() or 1))


def unexplained(record: Mapping[str, Any]) -> str:
    """What may be behind a difference where neither weights nor `changes` are."""
    return (
        "all else is as it was: the file was changed, another processor sums in another order, "
        f"or another state of Lunaris {record['made_with'].get('lunaris')} made it"
    )


def changes(record: Mapping[str, Any], now: Mapping[str, str | int]) -> list[str]:
    """What is not as it was when the picture was made, a line each; `now` is an `environment`."""
    then = record["made_with"]
    return [f"{key}: {then.get(key, 'not recorded')} then, {value} now" for key, value in now.items() if then.get(key) != value]
