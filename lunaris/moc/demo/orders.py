"""One run of the Write view in writing: what a link brings back."""

from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import parse_qsl, urlencode

from lunaris.core import model_view, ui
from lunaris.core.config import BaseConfig, option
from lunaris.moc.demo import common
from lunaris.moc.request import MoCRequest

PROMPT = "moc"  # a link for this tab names its prompt so: the page of the hub has other families' links too
LONGEST = 3000  # characters of a link's prompt; what mail and chats still take
NUMBERS = tuple(f.name for f in fields(MoCRequest) if f.type in (int, float))


@dataclass(frozen=True)
class Order(BaseConfig):
    """All that decides a text, as the form has it."""

    prompt: str = option("", "the beginning of the text")
    max_new_tokens: int = option(common.FIELDS["max_new_tokens"].default, "tokens to write at most")
    temperature: float = option(common.FIELDS["temperature"].default, "how wild")
    top_p: float = option(common.FIELDS["top_p"].default, "the share of the most probable tokens")
    seed: int = option(0, "of the draws")
    top_k: int = option(0, "only so many of the most probable tokens")
    repetition_penalty: float = option(1.0, "makes what was there before less probable")
    stop: str = option("", "texts that end the writing, one per line")
    mute: str = option("", "experts that are never chosen")
    expert_bias: str = option("", "experts that are favoured")
    model: str = option("", "the checkpoint; empty = the default")

    @classmethod
    def of(cls, *values: Any) -> "Order":
        """The order of a call's values, in the order of the fields. JSON knows one kind of number: 7.0 is a seed."""
        named = dict(zip(ARGUMENTS, values, strict=True))
        return cls.from_dict({name: ui.whole(value) if common.is_whole(name) else value for name, value in named.items()})

    def check(self) -> None:
        self.request()
        common.text("model", self.model, model_view.MAX_REF)

    def request(self) -> MoCRequest:
        """What the library is asked for; every number and every wish is checked here."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        del values["model"]
        return common.order(**values)

    def filled(self) -> tuple[Any, ...]:
        """Values for the form's fields `FILLED`. The seed is kept, since it is half of what makes the text."""
        more = {"keep_seed": True, "model": self.model or common.default_ref()}
        return tuple(more[name] if name in more else getattr(self, name) for name in FILLED)

    def link(self) -> str:
        """The query string that fills the form with this order, its prompt and seed always in it; "" for a prompt too long for a link."""
        if len(self.prompt) > LONGEST:
            return ""
        others = {f.name: value for f in fields(self) if f.name != "prompt" and (value := getattr(self, f.name)) != f.default}
        return "?" + urlencode({PROMPT: self.prompt, "seed": self.seed, **others})


ARGUMENTS = tuple(f.name for f in fields(Order))
FILLED = (*ARGUMENTS, "keep_seed")


def from_link(query: str) -> Order | None:
    """The order in a page's query string, None when it is none for this tab. Raises `ConfigError`."""
    given = dict(parse_qsl(query[:20_000].lstrip("?"), keep_blank_values=True))
    if PROMPT not in given:
        return None
    others = {name: value for name, value in given.items() if name in ARGUMENTS}
    return Order.from_dict(ui.link_values({**others, "prompt": given[PROMPT]}, NUMBERS))
