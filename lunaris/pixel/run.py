"""A run of sprites: an order of which single sprites may have seeds of their own, and how the command line writes it. Free of torch."""

import re
from dataclasses import dataclass, fields
from typing import Any

from lunaris.core.config import ConfigError, option
from lunaris.pixel.glossary import fold
from lunaris.pixel.request import PixelOutput, PixelRequest


def slug(prompt: str) -> str:
    """A file name's worth of a prompt: "Poção vermelha!" is pocao-vermelha."""
    return re.sub(r"[^a-z0-9]+", "-", fold(prompt)).strip("-")[:40].strip("-") or "sprite"


@dataclass(frozen=True)
class PixelRun(PixelRequest):
    """An order for a grid of sprites, some of them drawn with another seed than their turn gives them."""

    cells: str = option("", "sprites with a seed of their own, such as '3:91823 7:12' (sprite from 1:seed); the others stay as they are")

    def check(self) -> None:
        super().check()
        for cell, seed in self.own_seeds().items():
            if not 1 <= cell <= self.n:
                raise ConfigError(f"cells must name cells from 1 to {self.n}, got {cell}; try '1:{seed}'")
            self.sprite(cell)

    def own_seeds(self) -> dict[int, int]:
        """Cell (from 1) -> its seed, for the cells that have one of their own."""
        items = self.cells.replace(",", " ").split()
        pairs = [re.fullmatch(r"(\d{1,2}):(\d{1,10})", item, re.ASCII) for item in items]
        if len(items) > 64 or not all(pairs):
            raise ConfigError(f"cells must be at most 64 pairs of cell:seed, got {self.cells[:40]!r}; try '3:91823 7:12'")
        return {int(pair[1]): int(pair[2]) for pair in pairs}

    def seeds(self) -> list[int]:
        """The seed of every cell."""
        own = self.own_seeds()
        return [own.get(i + 1, self.seed + i) for i in range(self.n)]

    def request(self, **changes: Any) -> PixelRequest:
        """The grid, own seeds left out."""
        return PixelRequest(**{**{f.name: getattr(self, f.name) for f in fields(PixelRequest)}, **changes})

    def sprite(self, cell: int) -> PixelRequest:
        """The request for one cell (from 1) alone."""
        return self.request(n=1, seed=self.seeds()[cell - 1])

    def recorded(self) -> dict[str, Any]:
        """The run as the arguments of a record: `cells` in order, and only where there are any, so that other files stay as they were."""
        own = sorted(self.own_seeds().items())
        return self.request().to_dict() | ({"cells": " ".join(f"{cell}:{seed}" for cell, seed in own)} if own else {})

    @property
    def stem(self) -> str:
        """What the names of the run's files begin with."""
        return f"{slug(self.prompt)}-{self.seed}"

    def names(self) -> list[str]:
        """A file name per cell; two cells may share a seed, so those with one of their own are numbered."""
        own, name = self.own_seeds(), slug(self.prompt)
        return [f"{name}-{seed}{f'-cell{i + 1}' if i + 1 in own else ''}.png" for i, seed in enumerate(self.seeds())]


@dataclass(frozen=True)
class PixelFiles(PixelOutput):
    """How the command line writes a run: FILE.png is a sheet, FILE.gif shows the sprites in turn, FILE.zip has every file of the tab."""

    scale: int = option(
        0, "every pixel becomes a square of this side; 0 = 1 in a PNG, 8 in a GIF and in the larger sprites of a ZIP", ge=0, le=64
    )
    atlas: bool = option(
        False, "also write the JSON atlas of --out FILE.png, as FILE.json; --out FILE.zip has it, a sheet, a GIF and each sprite as a PNG"
    )


Request, Output = PixelRun, PixelFiles  # the names every family gives them
