"""The seeded inference of LunarisCore: what the tab, REST, MCP, the command line and notebooks call. Same order, same bytes."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lunaris.core import provenance
from lunaris.core.images import Rgba, RgbaBatch, fit_square, from_model, grid, png_bytes, to_model, write_file
from lunaris.pixel import export
from lunaris.pixel import palette as palettes
from lunaris.pixel.glossary import fold, to_english
from lunaris.pixel.model import LunarCore
from lunaris.pixel.request import PixelRequest
from lunaris.pixel.run import PixelFiles, PixelRun


def generate(model: LunarCore, prompt: str = "", **order) -> RgbaBatch:
    """Sprites as straight RGBA; `order` has the fields of `PixelRun`: n, seed, temperature, guidance, mode, palette, cells, …

    Picture i is what seed + i gives alone, bit for bit. Raises `ConfigError` for a bad order.
    """
    return generate_request(model, PixelRun.from_dict({"prompt": prompt, **order}))


def generate_request(model: LunarCore, request: PixelRequest, on_picture: Callable[[int], None] | None = None) -> RgbaBatch:
    """The sprites that a checked order asks for. An empty prompt draws anything; a prompt to a model without text raises ValueError.

    A Portuguese word that the model does not know is read as its English one (`glossary`). `on_picture` hears how many are done.
    Cells of a `PixelRun` that have a seed of their own are drawn alone.
    """
    images = _drawn(model, request, on_picture)
    for cell in request.own_seeds() if isinstance(request, PixelRun) else ():
        images[cell - 1] = _drawn(model, request.sprite(cell))[0]
    return images


def _drawn(model: LunarCore, request: PixelRequest, on_picture: Callable[[int], None] | None = None) -> RgbaBatch:
    pictures = model.generate(
        request.n,
        understood(model, request.prompt),
        seed=request.seed,
        temperature=request.temperature,
        guidance=request.guidance,
        mode=request.mode,
        steps=request.steps,
        candidates=request.drafts,
        on_picture=on_picture,
    )
    return finish(from_model(pictures), palette=request.palette, colours=request.colours, background=request.background)


def understood(model: LunarCore, prompt: str) -> str:
    """The prompt as the model reads it: words it does not know, but the Portuguese lexicon does, in English."""
    return to_english(prompt, model.words) if prompt.strip() and model.words else prompt


def finish(images: RgbaBatch, *, palette: str = "", colours: int = 0, background: str = "") -> RgbaBatch:
    """Sprites in few colours (0 = all), or in those of a palette, on a background; each picture by itself, so no batch changes it."""
    if background:
        behind = np.array([*bytes.fromhex(background.lstrip("#")), 255], np.float32)
        alpha = images[..., 3:].astype(np.float32) / 255
        images = np.rint(images * alpha + behind * (1 - alpha)).astype(np.uint8)
        images[..., 3] = 255
    if colours:
        images = palettes.reduce(images, colours)
    if palette:  # last: nothing after it may bring another colour in
        images = palettes.apply(images, palettes.parse(palette))
    return images


def interpolate(model: LunarCore, image1: Rgba, image2: Rgba, *, steps: int = 10, slerp: bool = False, palette: str = "") -> RgbaBatch:
    """`steps` sprites (2 to 64) from one picture to another through the latent space; pictures of any size are fitted first."""
    _check_steps(steps)
    first, last = (
        to_model(fit_square(image, model.config.side)[None], model.config.channels)[0].to(model.device) for image in (image1, image2)
    )
    return finish(from_model(model.interpolate(first, last, steps, slerp=slerp)), palette=palette)


def interpolate_prompts(
    model: LunarCore,
    prompt1: str,
    prompt2: str,
    *,
    steps: int = 10,
    seed: int = 0,
    temperature: float = 0.7,
    guidance: float = 1.0,
    slerp: bool = False,
    palette: str = "",
) -> RgbaBatch:
    """`steps` sprites (2 to 64) from one prompt to another with the same latent; the ends are what `generate` gives for them."""
    _check_steps(steps)
    order = {"n": 1, "seed": seed, "temperature": temperature, "guidance": guidance, "palette": palette}
    first, last = (PixelRequest(prompt=prompt, **order) for prompt in (prompt1, prompt2))
    for request in (first, last):
        if not request.prompt.strip():
            raise ValueError("both prompts must say something, got an empty one; try 'a red potion' and 'a blue key'")
    ends = (understood(model, request.prompt) for request in (first, last))
    pictures = model.interpolate_prompts(*ends, steps, seed=seed, temperature=temperature, guidance=guidance, slerp=slerp)
    return finish(from_model(pictures), palette=palette)


def _check_steps(steps: int) -> None:
    if isinstance(steps, bool) or not isinstance(steps, int) or not 2 <= steps <= 64:
        raise ValueError(f"steps must be a whole number from 2 to 64, got {steps!r}; try 10")


def unknown_words(model: LunarCore, prompt: str) -> list[str]:
    """The words of a prompt that training never saw: they steer little or nothing. Accents and case do not matter."""
    known = {fold(word) for word in model.words}
    return [word for word in re.findall(r"\w+", understood(model, prompt)) if fold(word) not in known]


def save_result(images: RgbaBatch, path: str | Path, output: PixelFiles | None = None, record: Mapping[str, Any] | None = None) -> Path:
    """The sprites as a PNG sheet, a GIF (.gif) or a ZIP of everything (.zip, `export.run_files`).

    Every PNG is marked as AI-generated; `record` (`core.provenance.record`) lets `lunaris replay` make it again, and names the files in a
    ZIP or an atlas. Raises ValueError for another file type, OSError with the reason when it cannot be written.
    """
    path, output = Path(path), output or PixelFiles()
    kind = path.suffix.lower()
    if kind not in (".png", ".gif", ".zip"):
        raise ValueError(f"--out must end in .png, .gif or .zip, got {path.name!r}; try sprites.png")
    if output.atlas and kind != ".png":
        raise ValueError(f"--atlas goes with a PNG sheet, got --out {path.name!r}; try sprites.png, or a .zip, which has one")
    record, scale = None if output.private else record, output.scale or (1 if kind == ".png" else export.SCALE)
    run = export.run_of(record)
    if kind == ".gif":
        return write_file(path, export.gif(images, scale=scale, ms=export.SLIDE_MS, bounce=False))
    columns = min(output.columns, len(images))
    if kind == ".zip":
        files = export.run_files(export.sprites(images, record), run, scale=scale, columns=columns)
        return write_file(path, export.bundle(files))
    export.sheet_size(images, columns=columns, scale=scale)
    if output.atlas:
        names = run.names() if run else export.plain_names(len(images))
        _, atlas = export.sheet(images, names, columns=columns, scale=scale, file=path.name)
        write_file(path.with_suffix(".json"), export.atlas_json(atlas))
    sheet = png_bytes(grid(images, columns=columns, scale=scale))
    shows = {"columns": columns, "scale": scale, **({"args": run.recorded()} if run else {})}
    return write_file(path, provenance.stamp(sheet, record and {**record, **shows}))
