"""What the command line can do with pixel art beside train, generate and evaluate: what the tab's other views do, with the same results.

    python -m lunaris pixel interpolate|reconstruct|pixelise|tile|map|point|arithmetic … --out FILE.png
    python -m lunaris pixel retrain FOLDER --out DIR

Each verb is a dataclass and a function (order, out, ref) that writes `out` and returns what there is to tell of it. Equal arguments give
the bytes that the tab, REST and MCP give: the same functions draw, and the same record goes into the file. Free of torch until one runs.
"""

import re
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lunaris.core.config import BaseConfig, ConfigError, Verb, option
from lunaris.pixel.request import MAX_PROMPT, PixelOutput, PixelRequest, RetrainRequest

if TYPE_CHECKING:
    import numpy as np

    from lunaris.pixel.model import LunarCore

PICTURE = re.compile(r".+\.(png|gif|webp|jpe?g)", re.IGNORECASE | re.DOTALL)
GIF_SCALE = 8
Report = dict[str, Any]
Dither = Literal["none", "ordered", "floyd-steinberg"]


def like(name: str, cls: type[BaseConfig] = PixelRequest, **changes: Any) -> Any:
    """The option of that name in another order: its default, help and range, but for the `changes`."""
    field = next(field for field in fields(cls) if field.name == name)
    return option(**{"default": field.default, **field.metadata, **changes})


# --- between two prompts or pictures -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Interpolate(BaseConfig):
    """From one prompt, or picture, to another: a strip of all frames as a PNG, or an animated GIF."""

    first: str = option("", "the prompt to start from, or a picture file (its name ends in .png, .gif, .webp or .jpg)")
    last: str = option("", "the prompt to end with, or a picture file")
    steps: int = option(10, "how many frames, both ends included", ge=2, le=32)
    seed: int = like("seed", help="of the random latent, which all frames share; prompts only")
    temperature: float = like("temperature", help="spread of the random latent; prompts only")
    guidance: float = like("guidance", help="strength of the prompts: 0 ignores them, 1 is usual, more exaggerates; prompts only")
    palette: str = like("palette")
    scale: int = option(0, "every pixel becomes a square of this side; 0 = 1 in a PNG, 8 in a GIF", ge=0, le=64)
    private: bool = like("private", PixelOutput)

    @property
    def pictures(self) -> bool:
        return bool(PICTURE.fullmatch(self.first) and PICTURE.fullmatch(self.last))

    def check(self) -> None:
        if not self.pictures and (PICTURE.fullmatch(self.first) or PICTURE.fullmatch(self.last)):
            one, other = sorted((self.first, self.last), key=lambda end: not PICTURE.fullmatch(end))
            raise ConfigError(f"give two prompts or two picture files, got the file {one[-40:]!r} and {other[:40]!r}; try 'a cat' 'a dog'")
        if not self.pictures:
            for prompt in (self.first, self.last):
                PixelRequest(prompt=prompt, n=1, seed=self.seed, palette=self.palette)
            return
        for name in ("seed", "temperature", "guidance"):
            if getattr(self, name) != getattr(Interpolate, name):
                raise ConfigError(f"{name} has no say between two pictures, got {getattr(self, name)}; leave it out")
        PixelRequest(palette=self.palette)


def interpolate(order: Interpolate, out: str, ref: str) -> Report:
    path = _picture_path(out, ".png", ".gif")
    if order.pictures:
        args = {"image1": _picture(order.first), "image2": _picture(order.last), "steps": order.steps, "palette": order.palette}
    else:
        shared = {name: getattr(order, name) for name in ("steps", "seed", "temperature", "guidance", "palette")}
        args = {"prompt1": order.first, "prompt2": order.last, **shared}
    drawn = _draw(ref, "interpolate" if order.pictures else "interpolate_prompts", args, private=order.private)
    if path.suffix.lower() == ".gif":
        from lunaris.pixel import export

        return _written(path, export.gif(drawn.images, scale=order.scale or GIF_SCALE), frames=order.steps)
    return _written(path, drawn.png(columns=order.steps, scale=order.scale or 1), frames=order.steps)


# --- pictures ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reconstruct(BaseConfig):
    """A picture redrawn by the model."""

    file: str = option("", "the picture (PNG, GIF, WebP or JPEG); it is fitted to the model's size first")
    palette: str = like("palette")
    colours: int = like("colours", help="without a palette, most colours of the drawing, 2 to 64; 0 = as drawn")
    dither: Dither = option("none", "how shades between two colours of --palette or --colours are mixed")
    scale: int = like("scale", PixelOutput)
    private: bool = like("private", PixelOutput)

    def check(self) -> None:
        PixelRequest(palette=self.palette, colours=self.colours)


def reconstruct(order: Reconstruct, out: str, ref: str) -> Report:
    from lunaris.pixel import palette

    path, source = _picture_path(out), _picture(order.file)
    how = {name: getattr(order, name) for name in ("palette", "colours", "dither")}
    drawn = _draw(ref, "reconstruct", {"image": source, **how}, private=order.private)
    return _written(path, drawn.png(index=0, scale=order.scale), colours_used=palette.count(drawn.images[0]))


@dataclass(frozen=True)
class Pixelise(BaseConfig):
    """Any picture as pixel art. No model takes part, so the file bears an AI mark only if the picture does."""

    file: str = option("", "a photo or drawing (PNG, GIF, WebP or JPEG)")
    side: int = option(32, "width and height of the result, pixels", ge=8, le=128)
    palette: str = like("palette", help="colours to keep to: gameboy, pico8, nes, c64 or a list such as '#0f380f #306230'; empty = its own")
    colours: int = option(16, "without a palette, at most so many colours", ge=2, le=64)
    dither: Dither = option("none", "how shades between two colours are mixed")
    fit: Literal["contain", "cover"] = option("contain", "contain (the whole picture, transparent margins) or cover (the square is filled)")
    scale: int = like("scale", PixelOutput)

    def check(self) -> None:
        PixelRequest(palette=self.palette)


def pixelise(order: Pixelise, out: str, ref: str) -> Report:
    from lunaris.core.images import png_bytes, upscale
    from lunaris.pixel import export, palette
    from lunaris.pixel.pixelise import pixelise

    path, source = _picture_path(out), _picture(order.file)
    how = {name: getattr(order, name) for name in ("side", "palette", "colours", "dither", "fit")}
    image = pixelise(source, **how)
    made = export.carry_mark(order.file, png_bytes(upscale(image, order.scale)))
    return _written(path, made, colours_used=palette.count(image))


@dataclass(frozen=True)
class Tile(BaseConfig):
    """A picture repeated like a floor tile, and whether its seams show."""

    file: str = option("", "the picture (PNG, GIF, WebP or JPEG), at most 256 x 256 pixels")
    columns: int = option(3, "how many side by side", ge=1, le=8)
    rows: int = option(3, "how many on top of each other", ge=1, le=8)


def tile(order: Tile, out: str, ref: str) -> Report:
    from lunaris.core.images import png_bytes
    from lunaris.pixel import export
    from lunaris.pixel.tiling import seam_score, tile

    path, source = _picture_path(out), _picture(order.file)
    tiled, seams = tile(source, order.columns, order.rows), seam_score(source)
    return _written(path, export.carry_mark(order.file, png_bytes(tiled)), **seams._asdict())


# --- around in the latent space --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Map(BaseConfig):
    """A map of the latent space: 13 x 13 sprites around a point."""

    prompt: str = option("", "one prompt (its variations), or two or four with | between them; empty = four things that the seed picks")
    seed: int = like("seed", help="of the map's random latents")
    temperature: float = like("temperature")
    guidance: float = like("guidance")
    x: float = option(0.0, "the middle of the map, from left to right", ge=-4, le=4)
    y: float = option(0.0, "the middle of the map, from bottom to top", ge=-4, le=4)
    zoom: float = option(1.0, "at 1 the outer sprites lie one unit from the middle, at 4 a quarter of one", ge=0.5, le=64)
    scale: int = like("scale", PixelOutput)
    private: bool = like("private", PixelOutput)

    def check(self) -> None:
        for prompt in self.prompt.split("|"):
            PixelRequest(prompt=prompt, n=1, seed=self.seed)


def map_(order: Map, out: str, ref: str) -> Report:
    from lunaris.pixel import explore

    path, surface = _picture_path(out), {name: getattr(order, name) for name in ("prompt", "seed", "temperature", "guidance")}
    drawn = _draw(ref, "latent_map", {**surface, "x": order.x, "y": order.y, "zoom": order.zoom}, private=order.private)
    names = explore.plane(drawn.model, **surface).names
    return _written(path, drawn.png(columns=explore.CELLS, scale=order.scale), corners=list(names), cells=explore.CELLS)


@dataclass(frozen=True)
class Point(BaseConfig):
    """The sprite at one point of the map that `map` draws for the same prompt, seed and settings."""

    x: float = option(0.0, "from -8 (left) to 8 (right); 0 is the middle", ge=-8, le=8)
    y: float = option(0.0, "from -8 (bottom) to 8 (top); 0 is the middle", ge=-8, le=8)
    prompt: str = option("", "as for map")
    seed: int = like("seed", help="as for map")
    temperature: float = like("temperature")
    guidance: float = like("guidance")
    scale: int = like("scale", PixelOutput)
    private: bool = like("private", PixelOutput)

    def check(self) -> None:
        for prompt in self.prompt.split("|"):
            PixelRequest(prompt=prompt, n=1, seed=self.seed)


def point(order: Point, out: str, ref: str) -> Report:
    path = _picture_path(out)
    args = {name: getattr(order, name) for name in ("x", "y", "prompt", "seed", "temperature", "guidance")}
    return _written(path, _draw(ref, "decode_point", args, private=order.private).png(index=0, scale=order.scale))


@dataclass(frozen=True)
class Arithmetic(BaseConfig):
    """Prompts added and taken away, and what comes out drawn."""

    expression: str = option("", "such as 'red potion - red + blue': up to 8 terms, weights such as 1.5*cat, quotes around \"any - text\"")
    n: int = like("n", default=8)
    seed: int = like("seed")
    temperature: float = like("temperature")
    guidance: float = like("guidance")
    palette: str = like("palette")
    scale: int = like("scale", PixelOutput)
    columns: int = like("columns", PixelOutput)
    private: bool = like("private", PixelOutput)

    def check(self) -> None:
        PixelRequest(n=self.n, seed=self.seed, palette=self.palette)


def arithmetic(order: Arithmetic, out: str, ref: str) -> Report:
    from lunaris.pixel import explore, unknown_words

    path, terms = _picture_path(out), explore.parse(order.expression)
    args = {name: getattr(order, name) for name in ("expression", "n", "seed", "temperature", "guidance", "palette")}
    drawn = _draw(ref, "arithmetic", args, private=order.private)
    unknown = list(dict.fromkeys(word for term in terms for word in unknown_words(drawn.model, term.text)))
    return _written(path, drawn.png(columns=order.columns, scale=order.scale), unknown_words=unknown)


# --- a model of one's own --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Retrain(BaseConfig):
    """A checkpoint that learned somebody's own pictures, as the tab's view Retrain makes it."""

    folder: str = option("", "a folder or a ZIP of 4 to 200 pictures, with captions.txt, captions.jsonl or names such as red_potion-2.png")
    caption: str = option("", "one caption for all pictures that no captions file names; empty = from each file's name")
    name: str = option("my-sprites", "what the checkpoint's card calls it: small letters, digits and hyphens")
    steps: int = like("steps", RetrainRequest)
    learning_rate: float = like("learning_rate", RetrainRequest)
    seed: int = like("seed", RetrainRequest)

    def check(self) -> None:
        if len(self.caption) > MAX_PROMPT:
            raise ConfigError(f"caption must be at most {MAX_PROMPT} characters, got {len(self.caption)}; say it shorter")
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", self.name):
            raise ConfigError(f"name must be up to 40 small letters, digits and hyphens, got {self.name[:60]!r}; try 'my-sprites'")


def retrain(order: Retrain, out: str, ref: str) -> Report:
    from lunaris.pixel.retrain import retrain_folder

    request = RetrainRequest(steps=order.steps, learning_rate=order.learning_rate, seed=order.seed)

    def tell(sentence: str) -> None:
        print(sentence, file=sys.stderr)

    report = retrain_folder(order.folder, out, request, base_ref=ref, caption=order.caption, name=order.name, tell=tell)
    before, after = ({f"{key}_{when}": value for key, value in report.pop(when).items()} for when in ("before", "after"))
    return {"out": out, **report, **before, **after}


# --- what they share -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """The pictures of a call, the model that drew them, and the record that makes them again (None: private)."""

    images: "np.ndarray"
    model: "LunarCore"
    record: dict[str, Any] | None

    def png(self, **shows: Any) -> bytes:
        from lunaris.pixel import replay

        return replay.png(self.images, self.record, **shows)


def _draw(ref: str, call: str, args: dict[str, Any], *, private: bool) -> Drawn:
    """One of the calls that can be replayed, with the checkpoint behind `ref`."""
    from lunaris.core import hub
    from lunaris.pixel import load, replay

    folder = hub.resolve(ref)
    model = load(folder)
    images = replay.FUNCTIONS[call](model, **args)
    return Drawn(images, model, None if private else replay.record(model, call, args, ref=ref, weights=hub.weight_hash(folder)))


def _picture(file: str) -> "np.ndarray":
    from lunaris.core.images import read_image

    try:
        return read_image(file)
    except OSError as error:
        raise OSError(f"cannot read {file}: {error.strerror or error}; give a PNG, GIF, WebP or JPEG file") from None


def _picture_path(out: str, *suffixes: str) -> Path:
    """`out` as a path, before any work is done for it."""
    path, known = Path(out), suffixes or (".png",)
    if path.suffix.lower() not in known:
        raise ValueError(f"--out must end in {' or '.join(known)}, got {path.name!r}; try sprites{known[0]}")
    return path


def _written(path: Path, data: bytes, **facts: Any) -> Report:
    from lunaris.core.images import write_file

    return {"out": str(write_file(path, data)), **facts}


VERBS = {
    "interpolate": Verb("turn one prompt, or picture, into another, step by step", Interpolate, interpolate, ("first", "last")),
    "reconstruct": Verb("let the model redraw a picture", Reconstruct, reconstruct, ("file",)),
    "pixelise": Verb("turn any picture into pixel art, without a model", Pixelise, pixelise, ("file",), model=False),
    "tile": Verb("repeat a picture and measure whether its seams show", Tile, tile, ("file",), model=False),
    "map": Verb("draw a map of the latent space", Map, map_),
    "point": Verb("draw the sprite at one point of the map", Point, point, ("x", "y")),
    "arithmetic": Verb("add and take away prompts: 'cat + hat - red'", Arithmetic, arithmetic, ("expression",)),
    "retrain": Verb(
        "teach a checkpoint your own pictures; after Ctrl-C, the same command goes on", Retrain, retrain, ("folder",), out="DIR"
    ),
}
