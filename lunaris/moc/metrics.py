"""What a MoC is worth on a text, in numbers that need no network. Every byte of the text is scored exactly once.

bits_per_byte      what the model needs for a byte of UTF-8: comparable between tokenizers and with compressors; 8 is no model at all
loss, perplexity   nats per token and its exponential, of the main loss alone: comparable with the same tokenizer only
xz_bits_per_byte   what `xz -9` needs for a byte of the same text, all of it as one file
load               share of the choices per layer and expert; router_entropy per layer, nats, at most log e
peer_entropy       H/log m of the peer attention, 0 … 1; left out where no expert has a peer

The text is read as a stream, documents one after another with an end of text between, in windows that overlap: each token is judged with at
least half a window before it, or all that there is. Ends of text are seen and not scored, and count no byte.
"""

import lzma
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Integer
from torch import Tensor

from lunaris.core.decoding import token_bytes
from lunaris.core.isolation import eval_mode
from lunaris.core.sources import mixture
from lunaris.core.text import Document
from lunaris.core.tokenizer import BpeTokenizer
from lunaris.moc.checkpoint import tokenizer_of
from lunaris.moc.data import (
    META,
    SPLITS,
    Encoder,
    bits_per_byte,
    encode_documents,
    is_procedural,
    load_source,
    load_unseen,
    open_prepared,
    windows,
)
from lunaris.moc.model import MoCForCausalLM
from lunaris.moc.request import Split

MAX_LOGITS = 1 << 24  # numbers of a call's logits: 64 MB


@dataclass(frozen=True)
class Score:
    """Sums over a stream: what its tokens cost in nats, how many they are, their bytes, and the experts' figures (None for a dense model,
    and peer_entropy for one without peers).

    load is (layers, e) and router_entropy (layers,), both on the CPU, means over all tokens that were read.
    """

    nats: float
    tokens: int
    n_bytes: int
    load: Tensor | None = None
    router_entropy: Tensor | None = None
    peer_entropy: float | None = None

    @property
    def loss(self) -> float:
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.loss, 80.0))

    @property
    def bits_per_byte(self) -> float:
        return bits_per_byte(self.nats, self.n_bytes)


def evaluate(
    model: MoCForCausalLM, data: str | Path, *, n: int = 2000, seed: int = 0, split: str = "unseen", seq_len: int = 0
) -> dict[str, Any]:
    """The figures above, ready for JSON, on any source of `data.load_source` or on a prepared folder (then with its own tokenizer only).

    n        documents of the procedural stories; of other sources all are measured, each once, whatever its count in a mixture
    split    "unseen", every document that the model was not trained on, as its checkpoint tells (where it does not, and for stories and
             prepared folders: validation); "validation", the tenth that no training on this data sees; "all"
    seq_len  tokens of a window; 0 = the model's max_seq_len

    `measured_on` says it in words, with split "unseen" also how many were left out, and of how many the last tenth alone was measured.
    Raises what `load_source` and `open_prepared` raise, ValueError for a text without a token.
    """
    if split not in get_args(Split):
        raise ValueError(f"split must be one of {', '.join(get_args(Split))}, got {split!r}; try 'unseen'")
    if seq_len < 0 or seq_len == 1 or seq_len > model.config.max_seq_len:
        raise ValueError(f"seq_len must be 2 to the model's max_seq_len {model.config.max_seq_len}, or 0 for that, got {seq_len}; try 0")
    tokenizer = tokenizer_of(model)
    measured = "all documents" if split == "all" else "the validation side of the data"
    sides = SPLITS if split == "all" else ("validation",)
    if (Path(data) / META).is_file():
        opened = open_prepared(data, tokenizer=tokenizer)
        ids = np.concatenate([opened.validation if side == "validation" else opened.train for side in sides])
        documents = int((ids == opened.end).sum())
    else:
        seen = getattr(model, "seen", None)
        if split == "unseen" and seen is not None:
            texts, left_out, cut = load_unseen(data, seen, n=max(1, n * 10), seed=seed)
            measured = f"documents the model was not trained on; {left_out:,} others left out"
            measured += f"; of {cut:,} the last tenth alone, since the training had the rest" if cut else ""
        else:
            texts = [document for _, name in mixture(data) for document in _documents(name, sides, n, seed)]
        ids, documents = stream_of([document.text for document in texts], tokenizer), len(texts)
    score = score_stream(model, ids, seq_len=seq_len)
    text = text_of(ids, tokenizer)
    report: dict[str, Any] = {
        "data": str(data),
        "measured_on": measured,
        "n": documents,
        "bits_per_byte": score.bits_per_byte,
        "loss": score.loss,
        "perplexity": score.perplexity,
        "tokens": score.tokens,
        "bytes": score.n_bytes,
        "xz_bits_per_byte": xz_bits_per_byte(text),
    }
    report["of_xz"] = report["bits_per_byte"] / report["xz_bits_per_byte"]
    if score.load is not None:
        fair = score.load * score.load.shape[1]
        report |= {
            "load": score.load.tolist(),
            "load_min_of_fair": float(fair.min()),
            "load_max_of_fair": float(fair.max()),
            "router_entropy": score.router_entropy.tolist(),
            "router_entropy_max": math.log(score.load.shape[1]),
        }
    if score.peer_entropy is not None:
        report["peer_entropy"] = score.peer_entropy
    return report


def _documents(source: str, sides: Sequence[str], n: int, seed: int) -> list[Document]:
    """The documents of one source on `sides`; `n` stories in all, of both sides a tenth for validation, as `load_source` makes them."""
    held = -(-n // 10) if len(sides) > 1 else n
    wanted = {"train": n - held, "validation": 10 * held}
    sides = [side for side in sides if wanted[side] or not is_procedural(source)]
    return [document for side in sides for document in load_source(source, split=side, n=wanted[side], seed=seed)]


# --- scoring ----------------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def score_stream(
    model: MoCForCausalLM, ids: Integer[np.ndarray, "n"], *, seq_len: int = 0, max_tokens: int = 0, spread: bool = False
) -> Score:
    """What the stream `ids` costs, in evaluation mode; at most `max_tokens` of it, when not 0. The mode is put back.

    spread  those are taken from everywhere in the stream instead of from its beginning, which may be one single text

    Raises ValueError when nothing in it can be scored.
    """
    tokenizer = tokenizer_of(model)
    end, seq_len = Encoder(tokenizer).end, seq_len or model.config.max_seq_len
    lengths = np.array([len(entry) for entry in token_bytes(tokenizer)], np.int64)
    if spread:
        pieces = windows(ids, seq_len, end=end, max_tokens=max_tokens)
    else:
        pieces = windows(ids[:max_tokens] if max_tokens else ids, seq_len, end=end)
    rows = max(1, MAX_LOGITS // (seq_len * model.config.vocab_size))
    sums = _Sums()
    with eval_mode(model):
        while batch := list(islice(pieces, rows)):  # windows are all of one length, but for a stream shorter than one
            seen, scored = (torch.from_numpy(np.stack(part)).to(model.device) for part in zip(*batch, strict=True))
            sums.add(model, seen, scored)
            judged = seen[scored].cpu().numpy()
            sums.tokens += len(judged)
            sums.n_bytes += int(lengths[judged].sum())
    if not sums.tokens:
        raise ValueError("the data must have at least one token to score, got none; give a text that is not empty")
    return sums.score()


class _Sums:
    """What adds up over the windows."""

    def __init__(self):
        self.nats, self.tokens, self.n_bytes, self.read = 0.0, 0, 0, 0
        self.load: Tensor | float = 0.0
        self.router_entropy: Tensor | float = 0.0
        self.peer_entropy: float | None = None

    def add(self, model: MoCForCausalLM, ids: Integer[Tensor, "b t"], scored: Bool[Tensor, "b t"]) -> None:
        output = model.model(input_ids=ids, use_cache=False, output_aux=True)
        before = output.last_hidden_state[:, :-1][scored[:, 1:]]  # (m, d): only what is scored goes through the head
        costs = F.cross_entropy(model.lm_head(before).float(), ids[:, 1:][scored[:, 1:]], reduction="none")
        self.nats += float(costs.double().sum())
        if output.aux is not None:
            count = ids.numel()
            self.read += count
            self.load = self.load + output.aux.load.double().cpu() * count
            self.router_entropy = self.router_entropy + output.aux.router_entropy.double().cpu() * count
            if output.aux.peer_entropy is not None:
                self.peer_entropy = (self.peer_entropy or 0.0) + float(output.aux.peer_entropy) * count

    def score(self) -> Score:
        if not self.read:
            return Score(self.nats, self.tokens, self.n_bytes)
        load, entropy = self.load / self.read, self.router_entropy / self.read
        peers = None if self.peer_entropy is None else self.peer_entropy / self.read
        return Score(self.nats, self.tokens, self.n_bytes, load, entropy, peers)


def stream_of(texts: list[str], tokenizer: BpeTokenizer) -> Integer[np.ndarray, "n"]:
    """The ids of all texts, an end of text after each, as a prepared folder has them."""
    end = np.array([Encoder(tokenizer).end], np.int64)
    rows, _ = encode_documents(texts, tokenizer)
    return np.concatenate([part for row in rows for part in (row, end)] or [end[:0]])


def text_of(ids: Integer[np.ndarray, "n"], tokenizer: BpeTokenizer) -> bytes:
    """The UTF-8 of a stream, nothing between documents."""
    table = token_bytes(tokenizer)
    return b"".join(table[index] for index in ids.tolist())


def xz_bits_per_byte(text: bytes) -> float:
    """Bits that `xz -9` needs for a byte of `text`, its file's header included."""
    if not text:
        raise ValueError("the data must have at least one byte of text, got none; give a text that is not empty")
    return 8 * len(lzma.compress(text, preset=9)) / len(text)
