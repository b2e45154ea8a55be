"""The token loop against transformers' generate and a plain loop, on transformers' own Llama: a family-neutral stepper of its logits."""

import math

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.generation import TopKLogitsWarper, TopPLogitsWarper

from lunaris.core import decoding
from lunaris.core.decoding import Sampler, Sampling, TextStream, probabilities, token_bytes, tokens
from lunaris.core.tokenizer import BpeTokenizer

torch.set_num_threads(1)


class Plain:
    """A stepper that reads the whole text again for every token, and notes what it was asked to read."""

    def __init__(self, model, max_len=64):
        self.model, self.max_len, self.ids, self.starts = model, max_len, [], []

    def start(self, ids):
        self.ids = list(ids)
        self.starts.append(list(ids))
        return self._logits()

    def step(self, token):
        self.ids.append(token)
        assert len(self.ids) <= self.max_len
        return self._logits()

    @torch.no_grad()
    def _logits(self):
        return self.model(torch.tensor([self.ids])).logits[0, -1]


@pytest.fixture(scope="module")
def llama():
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 200}
    model = LlamaForCausalLM(LlamaConfig(**sizes, max_position_embeddings=64, initializer_range=0.3, eos_token_id=3)).eval()
    model.generation_config.eos_token_id = None
    return model


def generated(model, prompt, seed=0, **order):
    torch.manual_seed(seed)
    return model.generate(torch.tensor([prompt]), pad_token_id=0, **order)[0, len(prompt) :].tolist()


PROMPT = [5, 9, 17, 5, 30]


def test_greedy_tokens_are_those_of_transformers(llama):
    ours = list(tokens(Plain(llama), PROMPT, max_new_tokens=40, sampling=Sampling(temperature=0)))
    assert ours == generated(llama, PROMPT, max_new_tokens=40, do_sample=False) and len(ours) == 40


@pytest.mark.parametrize(
    ("sampling", "order"),
    [
        ({}, {"top_k": 0}),
        ({"temperature": 0.7, "top_p": 0.8}, {"temperature": 0.7, "top_p": 0.8, "top_k": 0}),
        ({"temperature": 2.0, "top_p": 0.99}, {"temperature": 2.0, "top_p": 0.99, "top_k": 0}),
        ({"temperature": 1.3, "top_k": 20, "top_p": 0.9}, {"temperature": 1.3, "top_k": 20, "top_p": 0.9}),
        ({"repetition_penalty": 1.4}, {"top_k": 0, "repetition_penalty": 1.4}),
    ],
)
def test_sampled_tokens_are_those_of_transformers_with_the_same_seed(llama, monkeypatch, sampling, order):
    """2.0/0.99 keeps more than HEAD tokens, so both ways to the nucleus are taken."""
    monkeypatch.setattr(decoding, "HEAD", 64)  # of 200
    for seed in (1, 2):
        ours = list(tokens(Plain(llama), PROMPT, max_new_tokens=30, sampling=Sampling(seed=seed, **sampling)))
        assert ours == generated(llama, PROMPT, seed, max_new_tokens=30, do_sample=True, **order)


def test_greedy_repetition_penalty_is_that_of_transformers(llama):
    order = {"temperature": 0.0, "repetition_penalty": 1.5}
    ours = list(tokens(Plain(llama), PROMPT, max_new_tokens=30, sampling=Sampling(**order)))
    assert ours == generated(llama, PROMPT, max_new_tokens=30, do_sample=False, repetition_penalty=1.5)


def test_writing_ends_at_the_end_token_which_is_not_yielded(llama):
    free = list(tokens(Plain(llama), PROMPT, max_new_tokens=20, sampling=Sampling(temperature=0)))
    end = free[7]
    ended = list(tokens(Plain(llama), PROMPT, max_new_tokens=20, sampling=Sampling(temperature=0), end=(end,)))
    assert ended == free[: free.index(end)]


def test_a_banned_token_is_never_written(llama):
    free = list(tokens(Plain(llama), PROMPT, max_new_tokens=10, sampling=Sampling(temperature=0)))
    bias = torch.zeros(200)
    bias[free[0]] = -torch.inf
    assert free[0] not in list(tokens(Plain(llama), PROMPT, max_new_tokens=10, sampling=Sampling(temperature=0), bias=bias))


def test_each_token_comes_before_the_model_is_asked_for_the_next(llama):
    stepper = Plain(llama)
    writing = tokens(stepper, PROMPT, max_new_tokens=5, sampling=Sampling(temperature=0))
    next(writing)
    assert stepper.ids == PROMPT
    next(writing)
    assert len(stepper.ids) == len(PROMPT) + 1


def test_a_text_longer_than_the_window_is_read_again_from_its_newest_three_quarters(llama):
    """Against a loop that says what should be seen: 16 tokens at most, 12 of them after every cut; nothing is told twice."""
    cuts, stepper = [], Plain(llama, max_len=16)
    prompt = list(range(20, 40))
    ours = list(tokens(stepper, prompt, max_new_tokens=20, sampling=Sampling(temperature=0), on_cut=cuts.append))
    seen, whole, expected = prompt[-12:], list(prompt), []
    for _ in range(20):
        with torch.no_grad():
            expected.append(int(llama(torch.tensor([seen])).logits[0, -1].argmax()))
        whole.append(expected[-1])
        seen = [*seen, expected[-1]] if len(seen) < 16 else whole[-12:]
    assert ours == expected and all(len(start) == 12 for start in stepper.starts)
    assert cuts[0] == 8 and sum(cuts) == sum(cuts[:1]) + 5 * (len(cuts) - 1) and len(cuts) == len(stepper.starts) > 2


def test_probabilities_equal_the_filters_of_transformers():
    """In float64, over many rows: top-k, top-p and both; what is left out is 0, the rest has the same proportions."""
    torch.manual_seed(0)
    for k, p, spread in [(0, 0.9, 3.0), (0, 0.99, 0.3), (7, 1.0, 1.0), (7, 0.6, 1.0), (0, 1.0, 1.0), (500, 0.5, 2.0)]:
        scores = torch.randn(1, 300, dtype=torch.float64) * spread
        expected = scores / 0.9
        expected = TopKLogitsWarper(k)(None, expected) if k else expected
        expected = TopPLogitsWarper(p)(None, expected) if p < 1 else expected
        ours = probabilities(scores[0], Sampling(temperature=0.9, top_k=k, top_p=p))
        torch.testing.assert_close(ours / ours.sum(), expected.softmax(-1)[0])


def test_draws_follow_the_probabilities():
    logits = torch.tensor([0.0, math.log(2), math.log(5), -torch.inf])
    sampler = Sampler(Sampling(seed=4))
    drawn = torch.bincount(torch.tensor([sampler.choose(logits) for _ in range(4000)]), minlength=4) / 4000
    torch.testing.assert_close(drawn, torch.tensor([1 / 8, 2 / 8, 5 / 8, 0]), atol=0.03, rtol=0)


@pytest.mark.parametrize("inverted", [True, False])
def test_a_draw_is_that_of_multinomial(monkeypatch, inverted):
    """Draw after draw, with few tokens left of many, whether or not torch makes its exponential numbers by inversion."""
    if not inverted:
        monkeypatch.setattr(decoding, "_times_are_from_uniforms", lambda: False)
    ours, theirs = (torch.Generator().manual_seed(5) for _ in range(2))
    weights = torch.randn(100, 4096, generator=torch.Generator().manual_seed(1)).mul(2).softmax(-1)
    for i, row in enumerate(weights):
        best, ids = row.topk(1 + 9 * i)
        left = torch.zeros(4096).index_put((ids,), best)
        assert decoding.draw(best, ids, 4096, ours) == int(torch.multinomial(left, 1, generator=theirs))
        assert decoding.draw(row, None, 4096, ours) == int(torch.multinomial(row, 1, generator=theirs))


def test_logits_that_are_not_numbers_are_one_sentence():
    """At temperature 0 they were token 0 in silence."""
    some = torch.randn(300)
    some[7] = math.nan
    for order in ({}, {"top_p": 0.9}, {"top_k": 3}, {"temperature": 0.0}, {"temperature": 1e-38}):
        for logits in (torch.full((300,), math.nan), some):
            with pytest.raises(ValueError, match="logits are not numbers"):
                Sampler(Sampling(**order)).choose(logits)


@pytest.mark.parametrize("temperature", [1e-7, 1e-38, 1e-320])
@pytest.mark.parametrize("order", [{}, {"top_p": 0.9}, {"top_k": 5}])
def test_a_temperature_of_almost_nothing_writes_the_most_probable_token(temperature, order):
    """The division overflowed, and sound weights were called broken."""
    for seed in range(20):
        logits = 30 * torch.randn(300, generator=torch.Generator().manual_seed(seed))
        logits[seed] = -torch.inf  # a banned token
        sampling = Sampling(temperature=temperature, seed=seed, **order)
        assert Sampler(sampling).choose(logits) == int(logits.argmax())
        assert int(probabilities(logits, sampling).isnan().sum()) == 0


def test_the_callers_random_numbers_stay(llama):
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    list(tokens(Plain(llama), PROMPT, max_new_tokens=3))
    assert torch.equal(torch.rand(2), expected) and torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"temperature": math.nan}, "temperature must be a finite number of at least 0, got nan; try 0.8"),
        ({"temperature": -1}, "temperature must be"),
        ({"top_p": 0}, "top_p must be above 0 and at most 1, got 0"),
        ({"top_p": math.nan}, "top_p must be above 0 and at most 1, got nan"),
        ({"top_k": -1}, "top_k must be at least 0, which is all tokens, got -1"),
        ({"repetition_penalty": 0}, "repetition_penalty must be a finite number above 0, got 0"),
    ],
)
def test_bad_sampling_is_one_sentence(order, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**order)


def test_an_empty_prompt_or_no_token_to_write_is_refused_at_once(llama):
    with pytest.raises(ValueError, match="the prompt must have at least one token, got none"):
        tokens(Plain(llama), [], max_new_tokens=3)
    with pytest.raises(ValueError, match="max_new_tokens must be at least 1, got 0"):
        tokens(Plain(llama), PROMPT, max_new_tokens=0)


# --- text -------------------------------------------------------------------------------------------------------------------------

TEXT = "Olá, coração! 日本 🌙 «fim»"


@pytest.fixture(scope="module")
def tokenizer():
    return BpeTokenizer.train(["coração de pão", "fim do mundo"] * 4, vocab_size=280, special_tokens=["<|endoftext|>"])


def test_token_bytes_joined_are_the_text(tokenizer):
    table = token_bytes(tokenizer)
    assert b"".join(table[i] for i in tokenizer.encode(TEXT)).decode() == TEXT and len(table) == tokenizer.vocab_size
    assert [table[i] for i in range(3)] == [b"", b"", b""]  # padding, unknown, end of text
    assert sorted(entry for entry in table if len(entry) == 1) == [bytes([i]) for i in range(256)]


def test_no_piece_of_a_streamed_text_has_half_a_character(tokenizer):
    ids = tokenizer.encode(TEXT)
    stream = TextStream(token_bytes(tokenizer))
    pieces = [stream.push(i) for i in ids]
    assert len(ids) > len(TEXT) - 6 and "" in pieces  # the moon is four bytes, each a token of its own
    assert "".join(pieces) + stream.close() == TEXT and "\ufffd" not in "".join(pieces)


def test_half_a_character_at_the_end_is_left_out_and_a_broken_one_inside_is_marked(tokenizer):
    moon, letter = tokenizer.encode("🌙"), tokenizer.encode("a")
    stream = TextStream(token_bytes(tokenizer))
    assert "".join(map(stream.push, letter + moon[:2])) + stream.close() == "a"
    stream = TextStream(token_bytes(tokenizer))
    assert "".join(map(stream.push, moon[:2] + letter)) + stream.close() == "\ufffda"


def test_a_stop_text_over_several_tokens_is_never_shown(tokenizer):
    """Every cut of the text into pieces: what might become the stop text is held back, and comes when it does not."""
    table = [char.encode() for char in "aabxabcy"]
    for stop, expected in [
        (("abc",), "aabx"),
        (("zz",), "aabxabcy"),
        (("bcy", "xa"), "aab"),
        (("abcyz",), "aabxabcy"),
        (("ab", "abc"), "a"),
    ]:
        stream, told = TextStream(table, stop), ""
        for index in range(len(table)):
            told += stream.push(index)
            assert expected.startswith(told)
        assert told + stream.close() == expected
        assert (stream.stopped is None) == (expected == "aabxabcy")


def test_an_empty_stop_text_is_refused(tokenizer):
    with pytest.raises(ValueError, match="a stop string must not be empty"):
        TextStream(token_bytes(tokenizer), [""])
