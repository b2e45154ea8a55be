"""The seeded inference of LunarisCore: what the tab, REST, MCP, the command line and notebooks call. Same order, same bytes."""

import re
import unicodedata
from pathlib import Path

from lunaris.core.images import Rgba, RgbaBatch, fit_square, from_model, grid, png_bytes, to_model
from lunaris.pixel.model import LunarCore
from lunaris.pixel.request import PixelOutput, PixelRequest


def generate(
    model: LunarCore, prompt: str = "", *, n: int = 16, seed: int = 0, temperature: float = 0.7, guidance: float = 1.0
) -> RgbaBatch:
    """`n` sprites as straight RGBA. Picture i is what seed + i gives alone, bit for bit. Raises `ConfigError` for a bad order."""
    return generate_request(model, PixelRequest(prompt=prompt, n=n, seed=seed, temperature=temperature, guidance=guidance))


def generate_request(model: LunarCore, request: PixelRequest) -> RgbaBatch:
    """The sprites that a checked order asks for. An empty prompt draws anything; a prompt to a model without text raises ValueError."""
    pictures = model.generate(request.n, request.prompt, seed=request.seed, temperature=request.temperature, guidance=request.guidance)
    return from_model(pictures)


def interpolate(model: LunarCore, image1: Rgba, image2: Rgba, *, steps: int = 10, slerp: bool = False) -> RgbaBatch:
    """`steps` sprites (2 to 64) from one picture to another through the latent space; pictures of any size are fitted first."""
    _check_steps(steps)
    first, last = (
        to_model(fit_square(image, model.config.side)[None], model.config.channels)[0].to(model.device) for image in (image1, image2)
    )
    return from_model(model.interpolate(first, last, steps, slerp=slerp))


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
) -> RgbaBatch:
    """`steps` sprites (2 to 64) from one prompt to another with the same latent; the ends are what `generate` gives for them."""
    _check_steps(steps)
    first, last = (PixelRequest(prompt=p, n=1, seed=seed, temperature=temperature, guidance=guidance) for p in (prompt1, prompt2))
    for request in (first, last):
        if not request.prompt.strip():
            raise ValueError("both prompts must say something, got an empty one; try 'a red potion' and 'a blue key'")
    pictures = model.interpolate_prompts(
        first.prompt, last.prompt, steps, seed=seed, temperature=temperature, guidance=guidance, slerp=slerp
    )
    return from_model(pictures)


def _check_steps(steps: int) -> None:
    if isinstance(steps, bool) or not isinstance(steps, int) or not 2 <= steps <= 64:
        raise ValueError(f"steps must be a whole number from 2 to 64, got {steps!r}; try 10")


def unknown_words(model: LunarCore, prompt: str) -> list[str]:
    """The words of a prompt that training never saw: they steer little or nothing. Accents and case do not matter."""
    known = {_plain(word) for word in model.words}
    return [word for word in re.findall(r"\w+", prompt) if _plain(word) not in known]


def _plain(word: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(char))


def save_result(images: RgbaBatch, path: str | Path, output: PixelOutput | None = None) -> Path:
    """The sprites as one PNG sheet. Raises ValueError for another file type, OSError with the reason when it cannot be written."""
    path, output = Path(path), output or PixelOutput()
    if path.suffix.lower() != ".png":
        raise ValueError(f"--out must end in .png, got {path.name!r}; try sprites.png")
    try:
        path.write_bytes(png_bytes(grid(images, columns=output.columns, scale=output.scale)))
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}; choose another --out") from None
    return path
