"""What a visitor may ask a MoC to write. Free of torch, so that the app can check an order before any model is loaded."""

import re
from dataclasses import dataclass
from typing import Literal

from lunaris.core.config import BaseConfig, ConfigError, option

MAX_PROMPT = 100_000
MAX_STOPS, MAX_STOP = 4, 100
WHICH = re.compile(r"(?:(\d{1,3})\.)?(\d{1,3})")  # LAYER.EXPERT, or EXPERT in every layer
BIASED = re.compile(r"([\d.]+)=([+-]?\d{1,3}(?:\.\d+)?)")


@dataclass(frozen=True)
class MoCRequest(BaseConfig):
    """One order for text, however it comes (tab, REST, MCP, command line); checked when it is made. Experts are counted from 0."""

    prompt: str = option("", "the beginning of the text; empty = the model begins a text of its own")
    max_new_tokens: int = option(200, "tokens to write at most", ge=1, le=1024)
    temperature: float = option(0.8, "0 = always the most probable token, 1 = as the model says, more is wilder", ge=0, le=2)
    top_p: float = option(0.95, "only the most probable tokens that together reach this share; 1 = all", gt=0, le=1)
    top_k: int = option(0, "only so many of the most probable tokens; 0 = all", ge=0, le=100_000)
    repetition_penalty: float = option(1.0, "makes tokens that were there before less probable; 1 = off", ge=0.5, le=2)
    seed: int = option(0, "of the draws: the same order with the same seed writes the same text", ge=0, le=2**32 - 1)
    stop: tuple[str, ...] = option((), "texts that end the writing, and are not written themselves")
    mute: tuple[str, ...] = option((), "experts that are never chosen: 3 in every layer, or 0.3 in layer 0 alone")
    expert_bias: tuple[str, ...] = option((), "added to an expert's score: 3=2.5 in every layer, 0.3=-1 in layer 0 alone; above 0 favours")

    def check(self) -> None:
        if len(self.prompt) > MAX_PROMPT:
            raise ConfigError(f"prompt must be at most {MAX_PROMPT:,} characters, got {len(self.prompt):,}; give its end alone")
        for name, texts in (("prompt", (self.prompt,)), ("stop", self.stop)):
            if bad := next((char for text in texts for char in text if _unwritable(char)), None):
                raise ConfigError(f"{name} must be text without control characters, got {bad!r}; take it out")
        if len(self.stop) > MAX_STOPS or not all(1 <= len(text) <= MAX_STOP for text in self.stop):
            raise ConfigError(
                f"stop must be at most {MAX_STOPS} texts of 1 to {MAX_STOP} characters, got {len(self.stop)} of up to "
                f"{max(map(len, self.stop))}; try one line break"
            )
        for which in self.mute:
            if not WHICH.fullmatch(which):
                raise ConfigError(f"mute must name experts as 3 (in every layer) or 0.3 (in layer 0), got {which[:40]!r}; try '3'")
        for entry in self.expert_bias:
            found = BIASED.fullmatch(entry)
            if not found or not WHICH.fullmatch(found[1]):
                raise ConfigError(f"expert_bias must be written as 3=2.5 (every layer) or 0.3=2.5 (layer 0), got {entry[:40]!r}; try '3=2'")

    def biases(self) -> list[tuple[int | None, int, float]]:
        """(layer or None for all, expert, what is added to its score) of each wish; a muted expert gets -inf."""
        muted = [(which, float("-inf")) for which in self.mute]
        wishes = [*[(found[1], float(found[2])) for found in map(BIASED.fullmatch, self.expert_bias) if found], *muted]
        parsed = [(WHICH.fullmatch(which), value) for which, value in wishes]
        return [(None if found[1] is None else int(found[1]), int(found[2]), value) for found, value in parsed if found]


def _unwritable(char: str) -> bool:
    """Control characters other than line breaks and tabs, and halves of surrogate pairs, which no encoding can write."""
    code = ord(char)
    return (code < 32 and char not in "\n\r\t") or 127 <= code < 160 or 0xD800 <= code < 0xE000


@dataclass(frozen=True)
class MoCFile(BaseConfig):
    """How the command line writes a text: as .txt, or as .json with all that belongs to it."""

    with_prompt: bool = option(True, "put the prompt in front of what was written (txt)")


Split = Literal["unseen", "validation", "all"]


@dataclass(frozen=True)
class MoCEvaluation(BaseConfig):
    """What `evaluate` measures on."""

    n: int = option(2000, "documents of the procedural stories; of other data all are measured", ge=1, le=100_000)
    seed: int = option(0, "of the procedural stories", ge=0, le=2**32 - 1)
    split: Split = option(
        "unseen",
        "unseen (all documents that the model was not trained on, as its checkpoint tells), validation (the tenth held out) or all",
    )
    seq_len: int = option(0, "tokens of a window; 0 = as many as the model looks back on", ge=0, le=1_048_576)


Evaluation = MoCEvaluation
Request, Output = MoCRequest, MoCFile  # the names every family gives them
