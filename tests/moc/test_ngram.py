"""moc.ngram: modified Kneser-Ney against a plain loop over dictionaries, and as a probability model."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from lunaris.moc.ngram import NGram

LETTERS = "abcdr "
TOY = ["abracadabra", "a cab a cad", "dada bad", "abba cab", "", "dab a bad cad", "c"]


def toy_model(order):
    return NGram(order=order, encode=lambda text: [LETTERS.index(c) for c in text], vocab_size=len(LETTERS))


class PlainKneserNey:
    """The formula read aloud: one Counter per context, recursion over orders, no arrays."""

    def __init__(self, texts, order, end):
        self.order, self.size = order, end + 1
        tables = [defaultdict(Counter) for _ in range(order + 1)]  # tables[n][context of n-1 tokens][w]
        grams = [Counter() for _ in range(order + 1)]
        for text in texts:
            ids = [LETTERS.index(c) for c in text]
            row = [end] * (order - 1) + ids + ([end] if ids else [])
            for i in range(order - 1, len(row)):
                for n in range(1, order + 1):
                    grams[n][tuple(row[i - n + 1 : i + 1])] += 1
        for gram, count in grams[order].items():
            tables[order][gram[:-1]][gram[-1]] = count
        for n in range(1, order):
            for gram in grams[n + 1]:  # one left neighbour for each distinct longer n-gram
                tables[n][gram[1:-1]][gram[-1]] += 1
        self.tables = tables
        self.discounts = [None] + [self._discounts([c for row in tables[n].values() for c in row.values()]) for n in range(1, order + 1)]

    @staticmethod
    def _discounts(counts):
        n = [0] + [sum(c == k for c in counts) for k in (1, 2, 3, 4)]
        if 0 in n[1:]:
            return [0, 0.5, 1.0, 1.5]
        y = n[1] / (n[1] + 2 * n[2])
        found = [0] + [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
        return found if all(0 <= d <= k for k, d in enumerate(found)) else [0, 0.5, 1.0, 1.5]

    def p(self, context, w, n=None):
        n = self.order if n is None else n
        if n == 0:
            return 1 / self.size
        context = tuple(context)[len(context) - (n - 1) :]
        lower = self.p(context[1:], w, n - 1)
        row = self.tables[n].get(context)
        if not row:
            return lower
        total, d = sum(row.values()), self.discounts[n]
        taken = sum(d[min(c, 3)] for c in row.values())
        return max(row[w] - d[min(row[w], 3)], 0) / total + taken / total * lower


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_every_probability_equals_the_plain_loop(order):
    ours, plain = toy_model(order).fit(TOY), PlainKneserNey(TOY, order, end=len(LETTERS))
    generator = np.random.default_rng(0)
    contexts = [[], [0], [0, 1], [6, 6, 0, 1]] + generator.integers(0, 7, (40, 4)).tolist()
    for context in contexts:
        padded = ([len(LETTERS)] * (order - 1) + context)[len(context) :] if order > 1 else []
        expected = [plain.p(padded, w) for w in range(len(LETTERS) + 1)]
        np.testing.assert_allclose(ours.probabilities(context), expected, rtol=1e-12)


def test_discounts_estimated_from_the_data_are_used():
    """With few counts both sides fall back to fixed discounts; this corpus has enough for the estimate, at some order at least."""
    generator = np.random.default_rng(1)
    texts = ["".join(generator.choice(list(LETTERS), 60, p=[0.4, 0.25, 0.15, 0.1, 0.05, 0.05])) for _ in range(30)]
    plain, ours = PlainKneserNey(texts, 4, end=len(LETTERS)), toy_model(4).fit(texts)
    assert [0, 0.5, 1.0, 1.5] not in plain.discounts[3:]
    for context in ([0, 1, 0], [4, 3, 3], [2, 2, 2]):
        np.testing.assert_allclose(ours.probabilities(context), [plain.p(context, w) for w in range(7)], rtol=1e-12)


@pytest.mark.parametrize("context", [[], [97], list(b"o gat"), [0, 1, 2, 3], [256, 256, 256, 256]])
def test_probabilities_sum_to_one_and_none_is_zero(context):
    found = NGram().fit(["o gato viu o gato", "a gata viu o pato", "água"]).probabilities(context)
    assert found.shape == (257,) and (found > 0).all() and found.sum() == pytest.approx(1.0, abs=1e-12)


def test_bits_of_a_text_are_the_sum_over_its_tokens():
    model = NGram().fit(["uma casa amarela", "uma cama amarela", "a mesa"])
    text, bits = "uma mesa", 0.0
    for i, byte in enumerate(text.encode()):
        bits -= math.log2(model.probabilities(list(text.encode()[:i]))[byte])
    assert model.bits([text]) == (pytest.approx(bits, rel=1e-12), 8)
    assert model.bits_per_byte([text, "", text]) == pytest.approx(bits / 8)


def test_bytes_are_counted_not_letters():
    total, size = NGram().fit(["ação"]).bits(["ação"])
    assert size == 6 and total > 0


def test_seen_text_costs_less_than_shuffled_text():
    text = "o menino viu a menina na praça e a menina viu o menino no jardim. " * 20
    shuffled = "".join(np.random.default_rng(0).permutation(list(text)))
    model = NGram().fit([text])
    assert model.bits_per_byte([text]) < 0.3 < 3 < model.bits_per_byte([shuffled])


def test_longer_contexts_help_on_text_with_structure():
    text = "".join(f"a chave {c} abre a porta {c}. " for c in ["azul", "verde", "roxa", "rosa"] * 30)
    held = "a chave roxa abre a porta roxa. a chave azul abre a porta azul. "
    costs = [NGram(order=n).fit([text]).bits_per_byte([held]) for n in (1, 2, 3, 5)]
    assert costs == sorted(costs, reverse=True)


def test_bad_inputs_are_one_sentence():
    with pytest.raises(ValueError, match="order must be 1 to 8, got 9; try 5"):
        NGram(order=9)
    with pytest.raises(ValueError, match="over bytes must be 256"):
        NGram(vocab_size=100)
    with pytest.raises(ValueError, match="needs at least one text"):
        NGram().fit(["", ""])
    with pytest.raises(ValueError, match="call fit first"):
        NGram().bits_per_byte(["a"])
    with pytest.raises(ValueError, match="at least one byte of text"):
        NGram().fit(["a"]).bits_per_byte([])
    with pytest.raises(ValueError, match=r"ids in 0 … 3, got 0 … 7"):
        NGram(encode=lambda text: [0, 7], vocab_size=4).fit(["x"])


def test_more_tokens_than_the_bound_are_refused(monkeypatch):
    monkeypatch.setattr("lunaris.moc.ngram.MAX_TOKENS", 50)
    with pytest.raises(ValueError, match="counts at most 50 tokens"):
        NGram().fit(["twelve bytes"] * 4)
