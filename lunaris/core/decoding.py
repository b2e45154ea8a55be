"""The token loop that language models write with: a model's own fast step, one choice per token, text as it comes.

    stepper.start(prompt) ──> logits ──> Sampler.choose ──> token ──> TextStream.push ──> a piece of text
                                 ^                            │
                                 └────── stepper.step <───────┘

A family brings a `Stepper`; nothing here knows a model. The rules of the choice, their order and the draw are those of transformers'
generate: repetition penalty (Keskar et al. 2019), temperature, top-k (Fan et al. 2018), top-p (Holtzman et al. 2020), torch.multinomial.
So one text alone with `seed` gets the tokens that generate gives after torch.manual_seed(seed), on the same device.

v entries of the vocabulary
"""

import codecs
import functools
import json
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lunaris.core.tokenizer import BpeTokenizer

COLD = 1e-6  # a temperature below it: logits divided by it may pass the largest float32
HEAD = 256  # top-p mostly keeps fewer: so many are looked at before the whole vocabulary is sorted, at no more cost than 64


@runtime_checkable
class Stepper(Protocol):
    """A model reading one text. `max_len` is how many tokens it can look back on, the newest included."""

    max_len: int

    def start(self, ids: Sequence[int]) -> Float[Tensor, "v"]:
        """Forget all, read `ids` (1 … max_len of them), and return the logits of the token after them."""

    def step(self, token: int) -> Float[Tensor, "v"]:
        """Read one more token; the logits of the one after it. At most max_len tokens since `start`, its own included."""


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen. Raises ValueError in one sentence for a value out of range.

    temperature         0 = the most probable token (greedy), 1 = as the model says, more is wilder
    top_p               only the most probable tokens that together reach this share, (0, 1]
    top_k               only so many of the most probable tokens; 0 = all
    repetition_penalty  divides the logit of a token that was there before (multiplies a negative one); 1 = off
    seed                of the draws
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self):
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(f"temperature must be a finite number of at least 0, got {self.temperature}; try 0.8")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}; try 0.95")
        if self.top_k < 0:
            raise ValueError(f"top_k must be at least 0, which is all tokens, got {self.top_k}; try 50")
        if not (math.isfinite(self.repetition_penalty) and self.repetition_penalty > 0):
            raise ValueError(f"repetition_penalty must be a finite number above 0, got {self.repetition_penalty}; try 1.1")


# --- the choice -------------------------------------------------------------------------------------------------------------------


class Sampler:
    """Chooses token after token from logits; its random numbers are its own."""

    def __init__(self, sampling: Sampling):
        self.sampling = sampling
        self._generator: torch.Generator | None = None
        self._seen: Bool[Tensor, "v"] | None = None

    def choose(self, logits: Float[Tensor, "v"], before: Sequence[int] = ()) -> int:
        """The next token. `before`: all tokens so far; the penalty looks at those that came since the last call, and keeps the others."""
        order, logits = self.sampling, logits.float()
        if order.repetition_penalty != 1:
            logits = self._penalised(logits, before)
        if order.temperature == 0:
            best = int(logits.argmax())  # of a NaN, where there is one
            if math.isnan(logits[best]):
                raise _no_numbers()
            return best
        if self._generator is None:
            self._generator = torch.Generator(logits.device).manual_seed(order.seed)
        return draw(*_shortlist(logits, order), len(logits), self._generator)

    def _penalised(self, logits: Float[Tensor, "v"], before: Sequence[int]) -> Float[Tensor, "v"]:
        if self._seen is None:
            self._seen, self._noted = torch.zeros_like(logits, dtype=torch.bool), 0
        self._seen[torch.tensor(before[self._noted :], dtype=torch.long, device=logits.device)] = True
        self._noted = len(before)
        penalty = self.sampling.repetition_penalty
        return torch.where(self._seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def probabilities(logits: Float[Tensor, "v"], sampling: Sampling) -> Float[Tensor, "v"]:
    """What the draw is made from at a temperature above 0: 0 for the tokens that top-k and top-p leave out; the rest need not sum to 1."""
    best, ids = _shortlist(logits, sampling)
    return best if ids is None else torch.zeros_like(logits).scatter_(0, ids, best)


def _shortlist(logits: Float[Tensor, "v"], sampling: Sampling) -> tuple[Float[Tensor, "n"], Int[Tensor, "n"] | None]:
    """`probabilities` of the most probable tokens and their ids; all others have 0. Without ids it is all tokens in order."""
    temperature = sampling.temperature
    if temperature < COLD:  # the best at 0 overflows never; only here, since the shift rounds other logits than transformers divides
        logits, temperature = logits - logits.max(), max(temperature, 1e-30)
    logits = logits / temperature
    size = len(logits)
    if 0 < sampling.top_k < size:
        best, ids = logits.topk(sampling.top_k)
        best = best.softmax(-1)
        return (_nucleus(best, sampling.top_p) if sampling.top_p < 1 else best), ids
    everything = logits.softmax(-1)
    if sampling.top_p == 1:
        return everything, None
    best, ids = everything.topk(min(HEAD, size))
    if size > HEAD and float(best.sum()) < sampling.top_p:
        best, ids = everything.sort(descending=True)
    return _nucleus(best, sampling.top_p), ids


def _nucleus(best: Float[Tensor, "n"], top_p: float) -> Float[Tensor, "n"]:
    """`best`, sorted probabilities, with 0 for each one before which `top_p` is reached already; the first always stays."""
    return best * (best.cumsum(0) - best < top_p)


def draw(best: Float[Tensor, "n"], ids: Int[Tensor, "n"] | None, size: int, generator: torch.Generator) -> int:
    """The token that torch.multinomial draws when `ids` have the probabilities `best` and the rest of `size` tokens have 0.

    multinomial lets all tokens race: each takes an exponential time over its probability, and the first one wins. Of the times only those
    of `ids` are worked out, where that can be done; the others' random numbers are drawn and left. Raises ValueError for NaN.
    """
    if ids is not None and best.device.type == "cpu" and _times_are_from_uniforms():
        pace = best / _exponential(torch.empty(size, dtype=torch.float64).uniform_(generator=generator)[ids])
    else:
        whole = best if ids is None else best.new_zeros(size).scatter_(0, ids, best)
        pace = whole / torch.empty_like(whole).exponential_(generator=generator)
        ids = None
    fastest, place = pace.max(0)
    if math.isnan(fastest):
        raise _no_numbers()
    return int(place if ids is None else ids[place])


def _no_numbers() -> ValueError:
    return ValueError("the logits are not numbers (NaN), so no token can be drawn; the weights are broken, load another checkpoint")


def _exponential(uniform: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Exponential numbers in float32 from uniform ones in float64, by inversion."""
    return torch.log1p(-uniform).neg_().float()


@functools.cache
def _times_are_from_uniforms() -> bool:
    """Whether this torch makes its exponential numbers on the CPU like that, each from one uniform number. Most builds do."""
    one, other = (torch.Generator().manual_seed(0) for _ in range(2))
    uniform = torch.empty(1000, dtype=torch.float64).uniform_(generator=other)
    return torch.equal(torch.empty(1000).exponential_(generator=one), _exponential(uniform))


# --- the loop ---------------------------------------------------------------------------------------------------------------------


def tokens(
    stepper: Stepper,
    prompt: Sequence[int],
    *,
    max_new_tokens: int,
    sampling: Sampling | None = None,
    end: Collection[int] = (),
    bias: Float[Tensor, "v"] | None = None,
    on_cut: Callable[[int], None] | None = None,
) -> Iterator[int]:
    """The tokens after `prompt`, each as soon as it is chosen: `max_new_tokens` of them, fewer when one of `end` comes (not yielded).

    bias    added to the logits; -inf for a token that must not be written
    on_cut  told how many of the oldest tokens were left out, each time that the text outgrows `stepper.max_len`. The newest three
            quarters of the window are then read afresh, and writing goes on: rarely enough to be cheap, and the same on every run.

    Raises ValueError for an empty prompt, or a max_new_tokens below 1.
    """
    if not prompt:
        raise ValueError("the prompt must have at least one token, got none; start with the end of text")
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be at least 1, got {max_new_tokens}; try 100")
    return _tokens(stepper, list(prompt), max_new_tokens, Sampler(sampling or Sampling()), frozenset(end), bias, on_cut)


def _tokens(stepper, ids, max_new_tokens, sampler, end, bias, on_cut) -> Iterator[int]:  # apart, so that `tokens` checks when called
    start = 0  # of the window, in ids

    def read(limit: int) -> Tensor:
        nonlocal start
        cut = max(0, len(ids) - limit) - start
        if cut > 0:
            start += cut
            if on_cut is not None:
                on_cut(cut)
        return stepper.start(ids[start:])

    room = stepper.max_len
    newest = max(1, room - room // 4)
    logits = read(room if len(ids) <= room else newest)
    for _ in range(max_new_tokens - 1):
        token = sampler.choose(logits if bias is None else logits + bias, ids)
        if token in end:
            return
        yield token
        ids.append(token)
        logits = read(newest) if len(ids) - start > room else stepper.step(token)
    token = sampler.choose(logits if bias is None else logits + bias, ids)
    if token not in end:
        yield token


# --- text -------------------------------------------------------------------------------------------------------------------------


def token_bytes(tokenizer: BpeTokenizer) -> tuple[bytes, ...]:
    """The bytes of each entry, by id; none for a special one. Joined, they are the UTF-8 of the text: byte-level BPE loses nothing."""
    return _token_bytes(tokenizer)


@functools.lru_cache(maxsize=4)
def _token_bytes(tokenizer: BpeTokenizer) -> tuple[bytes, ...]:
    data = json.loads(tokenizer.to_files()["tokenizer.json"])
    special = {entry["id"] for entry in data["added_tokens"]}
    alphabet = _byte_alphabet()
    table = [b""] * (1 + max([*data["model"]["vocab"].values(), *special]))
    for entry, index in data["model"]["vocab"].items():
        if index not in special:
            table[index] = bytes(alphabet[char] for char in entry)
    return tuple(table)


def _byte_alphabet() -> dict[str, int]:
    """The character that stands for each byte in a byte-level vocabulary (Radford et al. 2019): itself if it can be seen, else one from
    256 on, in order."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    unseen = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(256 + place): byte for place, byte in enumerate(unseen)}


class TextStream:
    """Tokens in, text out as soon as it is certain: whole characters, and nothing that may turn out to be part of a stop string.

    `table` is `token_bytes` of the tokenizer; `stopped` is the stop string that was found, after which nothing comes any more. Bytes that
    are no UTF-8 become U+FFFD, except half a character at the very end, which is left out.
    """

    def __init__(self, table: Sequence[bytes], stop: Sequence[str] = ()):
        if not all(stop):
            raise ValueError("a stop string must not be empty; leave it out")
        self._table, self._stop = table, tuple(stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self.stopped: str | None = None

    def push(self, token: int) -> str:
        """The text that is certain now, maybe none."""
        if self.stopped is not None:
            return ""
        self._held += self._decoder.decode(self._table[token] if token < len(self._table) else b"")
        found = [(place, text) for text in self._stop if (place := self._held.find(text)) >= 0]
        if found:
            place, self.stopped = min(found, key=lambda hit: (hit[0], -len(hit[1])))
            return self._release(place)
        longest = max((_overlap(self._held, text) for text in self._stop), default=0)
        return self._release(len(self._held) - longest)

    def close(self) -> str:
        """What was held back in case a stop string came."""
        return "" if self.stopped is not None else self._release(len(self._held))

    def _release(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        return text


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of `text` that begins `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if stop.startswith(text[-n:])), 0)
