"""One run of the Create view in writing: what a link, the history of a visit and a re-rolled grid have in common."""

import re
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import parse_qsl, urlencode

from lunaris import FAMILIES
from lunaris.core import ui
from lunaris.core.config import ConfigError, option
from lunaris.pixel.demo import common
from lunaris.pixel.demo.texts import FAMILY
from lunaris.pixel.request import PixelRequest


@dataclass(frozen=True)
class Order(PixelRequest):
    """All that decides a run's pictures: the request, the checkpoint, and the seeds of cells that were drawn again."""

    model: str = option("", "the checkpoint; empty = the default")
    cells: str = option("", "cells with a seed of their own, such as '3:91823 7:12' (cell from 1:seed)")

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
        """What the library is asked for, own seeds left out."""
        return PixelRequest(**{**{f.name: getattr(self, f.name) for f in fields(PixelRequest)}, **changes})

    def sprite(self, cell: int) -> PixelRequest:
        """The request for one cell (from 1) alone."""
        return self.request(n=1, seed=self.seeds()[cell - 1])

    @classmethod
    def from_report(cls, report: Any) -> "Order":
        """The order that a shown run was made from."""
        if not isinstance(report, dict):
            raise ConfigError("there is no run yet, got nothing to work on; press Generate first")
        return cls.from_dict({f.name: report[f.name] for f in fields(cls) if f.name in report})

    def filled(self) -> tuple[Any, ...]:
        """Values for the form's fields `FILLED`. The seed is kept, since it is half of what makes the pictures."""
        more = {"keep_seed": True, "model": self.model or common.default_ref()}
        return tuple(more[name] if name in more else getattr(self, name) for name in self.FILLED)

    def short(self) -> dict[str, Any]:
        """Only what is not as usual; `Order.from_dict` reads it again."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default}

    def link(self) -> str:
        """The query string that fills the form with this order; its seed is always in it."""
        return "?" + urlencode({"seed": self.seed, **self.short()})


Order.FILLED = (*(f.name for f in fields(Order)), "keep_seed")
NUMBERS = tuple(f.name for f in fields(Order) if f.type in (int, float))


def from_link(query: str) -> Order | None:
    """The order in a page's query string, None when there is none; parameters of others are left alone. Raises `ConfigError`.

    A link for another family's tab has that family's name as a parameter: its seed is none of ours.
    """
    known, given = {f.name for f in fields(Order)}, dict(parse_qsl(query[:4000].lstrip("?"), keep_blank_values=True))
    if given.keys() & set(FAMILIES) - {FAMILY}:
        return None
    given = {name: value for name, value in given.items() if name in known}
    return Order.from_dict(ui.link_values(given, NUMBERS)) if given else None
