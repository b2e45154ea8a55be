"""One run of the Create view in writing: what a link, the history of a visit and a re-rolled grid have in common."""

from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import parse_qsl, urlencode

from lunaris import FAMILIES
from lunaris.core import ui
from lunaris.core.config import ConfigError, option
from lunaris.pixel.demo import common
from lunaris.pixel.demo.texts import FAMILY
from lunaris.pixel.run import PixelRun


@dataclass(frozen=True)
class Order(PixelRun):
    """All that decides a run's pictures: the request, the seeds of cells that were drawn again, and the checkpoint."""

    model: str = option("", "the checkpoint; empty = the default")

    def run(self) -> PixelRun:
        """What the library is asked for."""
        return PixelRun(**{f.name: getattr(self, f.name) for f in fields(PixelRun)})

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
