"""The minutes of a council: what every expert scored for each token of a text, who was chosen, who looked at whom, and whose word counted
(MC-13); and what would have been if some experts had been mute or favoured.

council(model, "Era uma vez")                       Minutes: tokens with their losses, one LayerMinutes per layer
what_if(model, "Era uma vez", mute=["3"], seed=7)   WhatIf: losses, best tokens and a continuation, without the wish and with it

The council of a token meets when the model *reads* it; what a token cost was decided by the councils before it. Nothing is drawn here but
the continuations, so all of it is the same on every run.

t tokens listed · e experts · k chosen · m experts that a chosen one looks at: k or e
"""

import codecs
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lunaris.core.config import ConfigError
from lunaris.core.decoding import token_bytes
from lunaris.core.isolation import eval_mode
from lunaris.moc.checkpoint import special_ids, tokenizer_of
from lunaris.moc.data import Encoder, bits_per_byte
from lunaris.moc.generate import Written, bias_table, generate_request, lines_joined
from lunaris.moc.model import Bias, MoCForCausalLM, MoCOutput
from lunaris.moc.request import MoCRequest

ALTERNATIVES = 5
NATS_PER_BIT = math.log(2)


# --- the minutes --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Guess:
    """A token that may come, and the model's probability of it."""

    id: int
    shown: str
    probability: float


@dataclass(frozen=True)
class TokenMinutes:
    """One token of the text.

    text         the characters that it completes: joined, they are the text
    shown        the characters that it is part of, "…" at the side where one goes on in the neighbouring token; a special token's name
    nats         -ln of its probability, given all before it
    probability  of it, at its place
    expected     the most probable tokens at its place, best first
    """

    id: int
    text: str
    shown: str
    nats: float
    probability: float
    expected: tuple[Guess, ...]

    @property
    def bits(self) -> float:
        return self.nats / NATS_PER_BIT


@dataclass(frozen=True)
class LayerMinutes:
    """One layer's councils, a row per token. The fields of `Routing`, and `shares`: contributions over their sum."""

    before: Float[Tensor, "t e"]
    after: Float[Tensor, "t e"]
    chosen: Int[Tensor, "t k"]
    weights: Float[Tensor, "t k"]
    peers: Float[Tensor, "t k m"] | None
    shares: Float[Tensor, "t k"]

    @property
    def load(self) -> Float[Tensor, "e"]:
        """Share of the choices that fell on each expert."""
        return torch.bincount(self.chosen.flatten(), minlength=self.before.shape[1]) / max(1, self.chosen.numel())


@dataclass(frozen=True)
class Minutes:
    """The councils over a text. All figures are of the tokens listed.

    tokens      the newest of the text; the first `given` of them are of the text itself, the others were written after it
    layers      one per layer, none for a model without experts
    next        what would come after the text, best first
    cut_tokens  how many of the oldest tokens are not listed
    note        one sentence where something must be said, else empty
    """

    tokens: tuple[TokenMinutes, ...]
    layers: tuple[LayerMinutes, ...]
    next: tuple[Guess, ...]
    n_experts: int
    given: int
    n_bytes: int
    cut_tokens: int
    note: str

    @property
    def nats(self) -> float:
        """Of all tokens together."""
        return sum(token.nats for token in self.tokens)

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nats / len(self.tokens)

    @property
    def bits_per_byte(self) -> float:
        return bits_per_byte(self.nats, self.n_bytes)

    def to_dict(self, digits: int = 4) -> dict[str, Any]:
        """Plain values, ready for JSON, rounded; the score of a muted expert is None."""
        tokens = [_rounded(asdict(token) | {"bits": token.bits}, digits) for token in self.tokens]
        layers = [
            {name: _rounded(tensor.tolist(), digits) for name, tensor in {**vars(layer), "load": layer.load}.items() if tensor is not None}
            for layer in self.layers
        ]
        return {
            "tokens": tokens,
            "layers": layers,
            "next": _rounded([asdict(guess) for guess in self.next], digits),
            "n_experts": self.n_experts,
            "given": self.given,
            "loss": round(self.loss, digits),
            "bits_per_byte": round(self.bits_per_byte, digits),
            "cut_tokens": self.cut_tokens,
            "note": self.note,
        }


def _rounded(value: Any, digits: int) -> Any:
    """Floats rounded, however deep; -inf becomes None, which JSON can write."""
    if isinstance(value, float):
        return round(value, digits) if value > float("-inf") else None
    if isinstance(value, Mapping):
        return {key: _rounded(part, digits) for key, part in value.items()}
    return [_rounded(part, digits) for part in value] if isinstance(value, (list, tuple)) else value


def council(
    model: MoCForCausalLM,
    text: str | Sequence[int],
    *,
    ids: Sequence[int] = (),
    newest: int | None = None,
    mute: Sequence[str] = (),
    expert_bias: Sequence[str] = (),
    alternatives: int = ALTERNATIVES,
) -> Minutes:
    """The minutes of `text`, or of its token ids, and of the tokens `ids` that were written after it.

    newest       list so many of the newest tokens at most; None = all that the model can look back on
    mute, expert_bias  as in `MoCRequest`: the councils as they would have gone
    alternatives  how many guesses to list at each place

    Raises `ConfigError` for a text without a token, ids that are none of the tokenizer's, or experts that the model lacks.
    """
    order = _order(text, mute=mute, expert_bias=expert_bias)
    bias = bias_table(order, model.config.model_config)
    given = _ids(model, text)
    ids = [*given, *_checked(model, ids, "ids")]
    reading = _read(model, ids, newest, bias, routing=True)
    table, names, n = _tables(model), _names(model), reading.listed
    pieces = _pieces(ids, table, names)[-n:]
    log_p = reading.log_probabilities  # (n + 1, v): the last row is of what comes next
    nats = -log_p[:-1].gather(1, torch.tensor(ids[-n:], device=log_p.device)[:, None])[:, 0].double()
    guesses = _guesses(log_p, alternatives, table, names)
    tokens = [
        TokenMinutes(index, *piece, float(cost), float((-cost).exp()), expected)
        for index, piece, cost, expected in zip(ids[-n:], pieces, nats, guesses[:-1], strict=True)
    ]
    return Minutes(
        tokens=tuple(tokens),
        layers=tuple(_layer(routing, n) for routing in reading.output.routing or ()),
        next=guesses[-1],
        n_experts=model.config.n_experts if reading.output.routing else 0,
        given=max(0, len(given) - (len(ids) - n)),
        n_bytes=max(1, sum(len(table[index]) for index in ids[-n:])),  # special tokens alone have none
        cut_tokens=len(ids) - n,
        note=reading.note,
    )


def _layer(routing: Any, n: int) -> LayerMinutes:
    """The last `n` tokens of a layer's record. Where nobody contributed, nobody has a share."""
    before, after, chosen, weights, peers, parts = (None if field is None else field[0, -n:].cpu() for field in routing)
    return LayerMinutes(before, after, chosen, weights, peers, parts / parts.sum(-1, keepdim=True).clamp(min=1e-12))


def _guesses(log_p: Float[Tensor, "n v"], count: int, table: Sequence[bytes], names: Mapping[int, str]) -> tuple[tuple[Guess, ...], ...]:
    best, ids = log_p.topk(min(count, log_p.shape[1]), dim=-1)
    rows = zip(ids.tolist(), best.double().exp().tolist(), strict=True)
    return tuple(tuple(Guess(i, _alone(i, table, names), p) for i, p in zip(row, chances, strict=True)) for row, chances in rows)


# --- what if ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TokenEffect:
    """What a wish does to one token of the text: its cost in nats, and the most probable token at its place, before and after."""

    text: str
    shown: str
    nats_before: float
    nats_after: float
    best_before: str
    best_after: str
    changed: bool  # whether another token is the most probable at its place


@dataclass(frozen=True)
class WhatIf:
    """A text and its continuation without the wish (before) and with it (after). All figures are of the tokens listed.

    pieces_before, pieces_after  the continuations token by token, as they are shown
    first_difference             the first of their tokens that differs, from 0; None when they are the same
    """

    tokens: tuple[TokenEffect, ...]
    n_bytes: int
    written_before: Written
    written_after: Written
    pieces_before: tuple[str, ...]
    pieces_after: tuple[str, ...]
    first_difference: int | None
    cut_tokens: int
    note: str

    @property
    def loss(self) -> tuple[float, float]:
        """Nats per token, before and after."""
        return tuple(nats / len(self.tokens) for nats in self._nats())

    @property
    def bits_per_byte(self) -> tuple[float, float]:
        return tuple(bits_per_byte(nats, self.n_bytes) for nats in self._nats())

    @property
    def changed(self) -> int:
        """At how many places another token became the most probable."""
        return sum(token.changed for token in self.tokens)

    def _nats(self) -> tuple[float, float]:
        return sum(token.nats_before for token in self.tokens), sum(token.nats_after for token in self.tokens)

    def to_dict(self, digits: int = 4) -> dict[str, Any]:
        """Plain values, ready for JSON, rounded."""
        return _rounded(asdict(self) | {"loss": self.loss, "bits_per_byte": self.bits_per_byte, "changed": self.changed}, digits)


def what_if(
    model: MoCForCausalLM, text: str, *, mute: Sequence[str] = (), expert_bias: Sequence[str] = (), newest: int | None = None, **order: Any
) -> WhatIf:
    """What muting and favouring experts does to `text` and to what comes after it; `order` has the other fields of `MoCRequest`.

    Raises `ConfigError` for a text without a token, a wish that names no expert or one that the model lacks, and a bad order.
    """
    wished = _order(text, mute=mute, expert_bias=expert_bias, **order)
    if not wished.biases():
        raise ConfigError("mute or expert_bias must name an expert, got neither; try mute '3'")
    bias = bias_table(wished, model.config.model_config)
    ids = _ids(model, text)
    readings = [_read(model, ids, newest, table) for table in (None, bias)]
    table, names, n = _tables(model), _names(model), readings[0].listed
    told = torch.tensor(ids[-n:])[:, None]
    (nats_before, best_before), (nats_after, best_after) = (
        (-log_p.gather(1, told.to(log_p.device))[:, 0].double(), log_p.argmax(-1).tolist())
        for log_p in (reading.log_probabilities[:-1] for reading in readings)
    )
    columns = zip(_pieces(ids, table, names)[-n:], nats_before.tolist(), nats_after.tolist(), best_before, best_after, strict=True)
    effects = [
        TokenEffect(*piece, before, after, _alone(old, table, names), _alone(new, table, names), old != new)
        for piece, before, after, old, new in columns
    ]
    plain, steered = generate_request(model, wished.replace(mute=(), expert_bias=())), generate_request(model, wished)
    return WhatIf(
        tokens=tuple(effects),
        n_bytes=max(1, sum(len(table[index]) for index in ids[-n:])),
        written_before=plain,
        written_after=steered,
        pieces_before=tuple(shown for _, shown in _pieces(plain.ids, table, names)),
        pieces_after=tuple(shown for _, shown in _pieces(steered.ids, table, names)),
        first_difference=_first_difference(plain.ids, steered.ids),
        cut_tokens=len(ids) - n,
        note=readings[0].note,
    )


def _first_difference(a: Sequence[int], b: Sequence[int]) -> int | None:
    """The first place where two texts differ; the end of the shorter one where it begins the longer one."""
    if tuple(a) == tuple(b):
        return None
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


# --- reading ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reading:
    """One pass over a text; `log_probabilities` is at the place of each of its last `listed` tokens and of the one after them."""

    output: MoCOutput
    log_probabilities: Float[Tensor, "n v"]
    listed: int
    note: str


@torch.inference_mode()
def _read(model: MoCForCausalLM, ids: Sequence[int], newest: int | None, bias: Bias | None, *, routing: bool = False) -> _Reading:
    """The text as every text of the training began, with an end of text in front, as far back as the model looks."""
    if not ids:
        raise ConfigError("text must have at least one token, got none; write something first")
    if newest is not None and newest < 1:
        raise ConfigError(f"newest must be at least 1, got {newest}; try 256")
    window = model.config.max_seq_len
    rows = [Encoder(tokenizer_of(model)).end, *ids][-window:]
    listed = min(len(rows) - 1, newest or window)  # the first one has nothing before it to be judged by
    with eval_mode(model):
        output = model(
            torch.tensor([rows], device=model.device),
            use_cache=False,
            logits_to_keep=listed + 1,
            output_routing=routing,
            expert_bias=bias,
        )
    cut = len(ids) - listed
    note = (
        f"the text has {len(ids):,} tokens, of which the newest {listed:,} are listed; give a part of it alone to see others" if cut else ""
    )
    return _Reading(output, output.logits[0].float().log_softmax(-1), listed, note)


def _order(text: str | Sequence[int], **order: Any) -> MoCRequest:
    """The order with its text, so that every check and every sentence is that of `MoCRequest`."""
    lists = {name: list(value) if isinstance(value, tuple) else value for name, value in order.items()}
    return MoCRequest.from_dict({"prompt": text if isinstance(text, str) else "", **lists})


def _ids(model: MoCForCausalLM, text: str | Sequence[int]) -> list[int]:
    if isinstance(text, str):
        return Encoder(tokenizer_of(model))(lines_joined(text))
    return _checked(model, text, "text")


def _checked(model: MoCForCausalLM, ids: Sequence[int], name: str) -> list[int]:
    """Token ids that the tokenizer has."""
    size = tokenizer_of(model).vocab_size
    for index in ids:
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < size:
            raise ConfigError(f"{name} must have token ids from 0 to {size - 1}, got {str(index)[:40]!r}; leave it out")
    return list(ids)


# --- tokens as text -----------------------------------------------------------------------------------------------------------------


def _tables(model: MoCForCausalLM) -> tuple[bytes, ...]:
    """The bytes of every id of the model; none for those that the tokenizer lacks."""
    table = token_bytes(tokenizer_of(model))
    return (*table, *(b"",) * (model.config.vocab_size - len(table)))


def _names(model: MoCForCausalLM) -> dict[int, str]:
    return {index: name for name, index in special_ids(tokenizer_of(model)).items()}


def _pieces(ids: Sequence[int], table: Sequence[bytes], names: Mapping[int, str]) -> list[tuple[str, str]]:
    """(text, shown) of each token, see `TokenMinutes`: a byte-level token may hold half a character."""
    spans, place = [], 0
    for index in ids:
        spans.append((place, place + len(table[index])))
        place = spans[-1][1]
    characters = _characters(b"".join(table[index] for index in ids))
    pieces, first = [], 0
    for index, (start, end) in zip(ids, spans, strict=True):
        while first < len(characters) and characters[first][2] <= start:
            first += 1
        last = first
        while last < len(characters) and characters[last][1] < end:
            last += 1
        mine = characters[first:last]
        if not mine:
            pieces.append(("", names.get(index, "")))
            continue
        text = "".join(char for char, _, stop in mine if start < stop <= end)
        shown = "".join(char for char, *_ in mine)
        pieces.append((text, ("…" if mine[0][1] < start else "") + shown + ("…" if mine[-1][2] > end else "")))
    return pieces


def _characters(data: bytes) -> list[tuple[str, int, int]]:
    """The characters of UTF-8 with their places: from, to. What is no UTF-8 is U+FFFD."""
    decoder, found, start = codecs.getincrementaldecoder("utf-8")("replace"), [], 0
    for place in range(len(data) + 1):
        chars = decoder.decode(data[place : place + 1], final=place == len(data))
        decided = min(place + 1, len(data)) - len(decoder.getstate()[0])  # the bytes after it are the beginning of a character
        for i, char in enumerate(chars):
            end = decided if i == len(chars) - 1 else place  # what was waiting turned out to be no character
            found.append((char, start, end))
            start = end
    return found


def _alone(index: int, table: Sequence[bytes], names: Mapping[int, str]) -> str:
    """A token without its neighbours: its text, its name, or its bytes where they are no whole characters."""
    try:
        return table[index].decode() or names.get(index, f"#{index}")
    except UnicodeDecodeError:
        return "⟨" + table[index].hex(" ").upper() + "⟩"
