"""A 5-gram model with interpolated modified Kneser-Ney smoothing (Kneser & Ney 1995; Chen & Goodman 1998): the baseline beside MoC (MC-12).

    p_n(w | h) = max(c(h w) - D(c), 0) / c(h ·) + γ(h) · p_{n-1}(w | h')        h' is h without its first token

c is the count at the highest order and the number of different tokens seen before h w at the others; D(c) is one of three discounts for
counts 1, 2 and 3 or more; γ(h) hands out exactly what the discounts took; p_0 is uniform over the vocabulary. So probabilities sum to 1.

All n-grams of a length are one sorted array of numbers: (id of its first n-1 tokens) · V + its last token. That is a trie without a
single Python object per n-gram, built by one sort per order.

n order · V vocabulary size · h context · w next token · E the end-of-text token, which also stands in front of every document
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

MAX_TOKENS = 30_000_000  # fitting takes about 200 bytes per token


@dataclass(frozen=True)
class _Level:
    """All n-grams of one length. keys sorted; share[i] = discounted count / count of the context; left[i] = γ of n-gram i as a context."""

    keys: Int64[np.ndarray, "m"]
    share: Float64[np.ndarray, "m"]
    left: Float64[np.ndarray, "m"]


class NGram:
    """An n-gram model over the UTF-8 bytes of texts, or over the ids of `encode` with `vocab_size` and `end`.

    order        longest n-gram, 1 … 8
    encode       text -> ids in [0, vocab_size); None: bytes, vocabulary 256
    vocab_size   ids that `encode` gives out, without the end of text
    """

    def __init__(self, *, order: int = 5, encode: Callable[[str], Sequence[int]] | None = None, vocab_size: int = 256):
        if not 1 <= order <= 8:
            raise ValueError(f"order must be 1 to 8, got {order}; try 5")
        if encode is None and vocab_size != 256:
            raise ValueError(f"vocab_size of a model over bytes must be 256, got {vocab_size}; give encode as well, or leave it out")
        if vocab_size < 1:
            raise ValueError(f"vocab_size must be at least 1, got {vocab_size}; give the tokenizer's own")
        self.order, self.vocab_size, self._encode = order, vocab_size, encode
        self.end = vocab_size  # one more than the tokenizer's ids
        self._levels: list[_Level] = []
        self._unseen_left = 0.0  # γ of the empty context

    # --- fit

    def fit(self, texts: Iterable[str]) -> "NGram":
        """Count `texts`, one document each, and return the model. Raises ValueError for no text, or for more than 20 million tokens."""
        tokens, counted = self._stream(texts)
        if not counted.any():
            raise ValueError("an n-gram model needs at least one text that is not empty; give some")
        size = self.vocab_size + 1
        ids, nodes = np.zeros(len(tokens), np.int64), 1  # the empty n-gram: one node, where every position is
        found = []
        for _ in range(self.order):
            before = np.concatenate([[0], ids[:-1]])
            keys, ids = np.unique(before * size + tokens, return_inverse=True)
            ids = ids.reshape(-1)
            found.append((keys, ids, nodes))
            nodes = len(keys)
        levels, places = [], np.flatnonzero(counted)
        for n, (keys, ids, parents) in enumerate(found, 1):
            if n < self.order:  # distinct left neighbours: one for each longer n-gram that ends in this one
                somewhere = np.full(len(found[n][0]), -1)
                somewhere[found[n][1][places]] = places  # any place of it will do: they all end in the same n-gram
                counts = np.bincount(ids[somewhere[somewhere >= 0]], minlength=len(keys))
            else:
                counts = np.bincount(ids[places], minlength=len(keys))
            levels.append(self._level(keys, counts, parents, levels))
        self._levels = levels
        return self

    def _level(self, keys: np.ndarray, counts: np.ndarray, parents: int, shorter: list[_Level]) -> _Level:
        """Discount one order; γ of its contexts goes to the level below, whose n-grams they are."""
        context = keys // (self.vocab_size + 1)
        discounts = _discounts(counts)
        taken = discounts[np.minimum(counts, 3)]
        total = np.bincount(context, counts, parents)
        left = np.bincount(context, taken, parents) / np.maximum(total, 1)
        left[total == 0] = 1.0  # nothing was ever seen after this context: the shorter one decides alone
        share = (counts - taken) / np.maximum(total, 1)[context]
        if shorter:
            shorter[-1].left[:] = left
        else:
            self._unseen_left = float(left[0])
        return _Level(keys, share, np.ones(len(keys)))

    def _stream(self, texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """All documents in one row, each behind order - 1 end-of-texts and before one; and which positions are counted."""
        lead = np.full(max(self.order - 1, 0), self.end, np.int32)
        pieces, flags, total = [], [], 0
        for text in texts:
            ids = self._ids(text)
            total += len(ids) + len(lead) + 1
            if total > MAX_TOKENS:
                raise ValueError(f"an n-gram model counts at most {MAX_TOKENS:,} tokens; give fewer texts")
            pieces += [lead, ids, lead[:1] if len(lead) else np.array([self.end], np.int32)]
            flags += [np.zeros(len(lead), bool), np.ones(len(ids), bool), np.ones(1, bool) if len(ids) else np.zeros(1, bool)]
        if not pieces:
            return np.zeros(0, np.int64), np.zeros(0, bool)
        return np.concatenate(pieces).astype(np.int64), np.concatenate(flags)

    def _ids(self, text: str) -> np.ndarray:
        if self._encode is None:
            return np.frombuffer(text.encode(), np.uint8).astype(np.int32)
        ids = np.asarray(self._encode(text), np.int64)
        if ids.size and not 0 <= ids.min() <= ids.max() < self.vocab_size:
            raise ValueError(f"encode must give ids in 0 … {self.vocab_size - 1}, got {ids.min()} … {ids.max()}; give its own vocab_size")
        return ids.astype(np.int32)

    # --- ask

    def bits(self, texts: Iterable[str]) -> tuple[float, int]:
        """Bits for all tokens of `texts`, and their bytes in UTF-8. Each document starts afresh; its end of text is not scored."""
        total, size = 0.0, 0
        for text in texts:
            tokens, scored = self._stream([text])
            scored[-1:] = False
            probability = self._probability(tokens)
            total -= float(np.log2(probability[scored]).sum())
            size += len(text.encode())
        return total, size

    def bits_per_byte(self, texts: Iterable[str]) -> float:
        """Bits per byte of UTF-8 on `texts`, to compare with `xz` and with a language model. Raises ValueError for no text."""
        total, size = self.bits(texts)
        if not size:
            raise ValueError("bits per byte need at least one byte of text; give a text that is not empty")
        return total / size

    def probabilities(self, context: Sequence[int]) -> Float[np.ndarray, "v"]:
        """p(w | context) for every token w and, last, the end of text; they sum to 1. Short contexts stand at a document's start."""
        row = [self.end] * (self.order - 1) + list(context)
        row = row[len(row) - (self.order - 1) :]
        rows = np.concatenate([[*row, w] for w in range(self.vocab_size + 1)]).astype(np.int64)
        return self._probability(rows)[self.order - 1 :: self.order]  # the last position of each row sees that row alone

    def _probability(self, tokens: np.ndarray) -> np.ndarray:
        """p of each token after the order - 1 tokens before it, shorter contexts at the very start; float64 (t,)."""
        if not self._levels:
            raise ValueError("this n-gram model has counted nothing yet; call fit first")
        size = self.vocab_size + 1
        probability = np.full(len(tokens), 1.0 / size)
        context, left = np.zeros(len(tokens), np.int64), np.full(len(tokens), self._unseen_left)
        for level in self._levels:
            keys = context * size + tokens
            place = np.minimum(np.searchsorted(level.keys, keys), len(level.keys) - 1)
            known = (level.keys[place] == keys) & (context >= 0)
            probability = left * probability + np.where(known, level.share[place], 0.0)
            found = np.where(known, place, -1)
            context = np.concatenate([[-1], found[:-1]])
            left = np.where(context >= 0, level.left[context], 1.0)  # after a context never seen the shorter one decides
        return probability


def _discounts(counts: np.ndarray) -> Float[np.ndarray, "4"]:
    """(0, D1, D2, D3+) from the counts of counts (Chen & Goodman 1998, eq. 26); where the data are too few for them, 0.5, 1, 1.5."""
    n1, n2, n3, n4 = (float((counts == k).sum()) for k in (1, 2, 3, 4))
    if min(n1, n2, n3, n4) == 0:
        return np.array([0.0, 0.5, 1.0, 1.5])
    y = n1 / (n1 + 2 * n2)
    found = np.array([0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    return found if (found >= 0).all() and (found <= [0, 1, 2, 3]).all() else np.array([0.0, 0.5, 1.0, 1.5])
