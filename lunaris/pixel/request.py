"""What a visitor may ask for. Free of torch, so that the app can check an order before any model is loaded."""

import re
from dataclasses import dataclass
from typing import Literal

from lunaris.core.config import BaseConfig, ConfigError, option

MAX_PROMPT = 300


@dataclass(frozen=True)
class PixelRequest(BaseConfig):
    """One order for sprites, however it comes in (tab, REST, MCP, command line); checked when it is made."""

    prompt: str = option("", "what to draw, in English or Portuguese; empty = anything")
    n: int = option(16, "how many sprites", ge=1, le=64)
    seed: int = option(0, "picture i uses seed + i, so each one can be made again alone", ge=0, le=2**32 - 1)
    temperature: float = option(0.7, "spread of the random latents: 0 = the average sprite, 1 = as trained", ge=0, le=2)
    guidance: float = option(1.0, "strength of the prompt: 0 ignores it, 1 as the model does best, more exaggerates", ge=0, le=5)

    mode: Literal["instant", "quality"] = option("instant", "instant (the VAE, milliseconds) or quality (the flow sampler, if trained)")
    steps: int = option(4, "steps of the flow sampler in quality mode", ge=2, le=32)
    candidates: int = option(
        0, "drafts per sprite, of which the one that fits the prompt best is kept; 0 = as the mode needs: 1 instant, 8 quality", ge=0, le=8
    )
    palette: str = option("", "colours to keep to: gameboy, pico8, nes, c64 or a list such as '#0f380f #306230'; empty = as drawn")
    colours: int = option(0, "most colours in one sprite, 2 to 64; 0 = as drawn", ge=0, le=64)
    background: str = option("", "colour behind the sprite, such as '#203040'; empty = transparent")

    @property
    def drafts(self) -> int:
        """How many drafts this order means. The flow paints what the sketch shows, so there a good sketch is worth the wait."""
        return self.candidates or (8 if self.mode == "quality" else 1)

    def check(self) -> None:
        if self.colours == 1:
            raise ConfigError("colours must be 0 (as drawn) or 2 to 64, got 1; a sprite of one colour shows nothing")
        if self.background and not re.fullmatch(r"#?[0-9a-fA-F]{6}", self.background):
            raise ConfigError(
                f"background must be a colour of six hex digits, got {self.background[:40]!r}; try '#203040', or leave it empty"
            )
        if self.palette:
            from lunaris.pixel import palette

            palette.parse(self.palette)
        if len(self.prompt) > MAX_PROMPT:
            raise ConfigError(
                f"prompt must be at most {MAX_PROMPT} characters, got {len(self.prompt)}; say it shorter, such as 'a red potion'"
            )
        if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", self.prompt):  # the last: halves of a character, which no tokenizer can read
            raise ConfigError("prompt must be plain text without control characters such as line breaks or tabs; try 'a red potion'")
        if self.seed + self.n > 2**32:
            raise ConfigError(f"seed + n must stay within 2**32, got {self.seed} + {self.n}; try seed 0")


@dataclass(frozen=True)
class PixelOutput(BaseConfig):
    """How the command line writes sprites into one PNG sheet."""

    scale: int = option(1, "every pixel becomes a square of this side", ge=1, le=64)
    columns: int = option(0, "sprites per row; 0 = nearly square", ge=0, le=64)
    private: bool = option(False, "write only the AI-generated mark into the file, not what `lunaris replay` needs: prompt, seed, model")


@dataclass(frozen=True)
class RetrainRequest(BaseConfig):
    """How to retrain a checkpoint on somebody's own pictures."""

    steps: int = option(300, "training steps of 32 pictures each", ge=10, le=3000)
    learning_rate: float = option(2e-3, "peak learning rate", ge=1e-5, le=1e-2)
    seed: int = option(0, "order of the pictures and the samples", ge=0, le=2**32 - 1)


# Why a picture that was brought to be learned from was left out, or used in part: what is told of it.
WHY = {
    "unreadable": "{detail}",
    "bytes": "{name} is larger than 2 MB",
    "empty": "{name} shows nothing: every pixel is transparent",
    "twin": "{name} is the same as {detail}",
    "outside": "{name} leads out of the ZIP",
    "unknown": "{name} is no PNG, GIF, WebP or JPEG file",
    "locked": "{name} needs a password",
    "animated": "{name} is animated: its first frame is used",
    "lines": "{name}: {detail} lines are not of the form <name.png: caption>",
}
