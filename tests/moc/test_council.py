"""The council's minutes against the model's own loss and routing, tokens that are half a character, and what muting an expert does."""

import json
import math

import pytest
import torch
import torch.nn.functional as F

from lunaris.core.config import ConfigError
from lunaris.core.decoding import token_bytes
from lunaris.core.tokenizer import BpeTokenizer
from lunaris.moc.checkpoint import new_model, special_ids
from lunaris.moc.config import MoCModelConfig
from lunaris.moc.council import council, what_if
from lunaris.moc.data import END, Encoder
from lunaris.moc.generate import bias_table, generate_request
from lunaris.moc.request import MoCRequest

torch.set_num_threads(1)
TINY = MoCModelConfig.tiny()
TEXT = "Era uma vez um gato que via a lua."
KINDS = {
    "moc": {},
    "one chosen": {"top_k": 1},
    "all chosen": {"top_k": 4},
    "no peers": {"peer_attention": False},
    "cross_all": {"cross_all": True},
    "no meeting": {"meeting": False},
    "soft_all": {"ffn": "soft_all"},
}


@pytest.fixture(scope="module")
def tokenizer():
    texts = ["Era uma vez um gato que via a lua.", "O coração da menina é bom.", "Once upon a time"] * 3
    return BpeTokenizer.train(texts, vocab_size=330, special_tokens=[END])


def made(tokenizer, **changes):
    """A model whose experts differ and whose every part has a say; PeerAttention.out starts at zero."""
    torch.manual_seed(1)
    model = new_model(TINY.replace(**changes), tokenizer)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.15) if parameter.ndim > 1 else parameter.uniform_(0.5, 1.5)
    return model.eval()


@pytest.fixture(scope="module")
def model(tokenizer):
    return made(tokenizer)


def rows_of(model, text: str) -> torch.Tensor:
    """The text as the model reads it."""
    encoder = Encoder(model.tokenizer)
    return torch.tensor([[encoder.end, *encoder(text)]])


# --- figures ------------------------------------------------------------------------------------------------------------------------


def test_losses_are_the_models_own(model):
    ids, minutes = rows_of(model, TEXT), council(model, TEXT)
    with torch.no_grad():
        output = model(ids, labels=ids)
        each = F.cross_entropy(output.logits[0, :-1], ids[0, 1:], reduction="none")
    assert minutes.loss == pytest.approx(float(output.loss), rel=1e-5)
    torch.testing.assert_close(torch.tensor([token.nats for token in minutes.tokens]), each, rtol=1e-4, atol=1e-5)
    for token in minutes.tokens:
        assert token.probability == pytest.approx(math.exp(-token.nats)) and token.bits == pytest.approx(token.nats / math.log(2))
    assert minutes.bits_per_byte == pytest.approx(minutes.nats / math.log(2) / len(TEXT.encode()))


def test_guesses_are_the_most_probable_tokens_at_each_place_and_after_the_text(model):
    minutes = council(model, TEXT, alternatives=3)
    with torch.no_grad():
        chances = model(rows_of(model, TEXT)).logits[0].softmax(-1)
    for row, guesses in zip(chances, [*(token.expected for token in minutes.tokens), minutes.next], strict=True):
        best = row.sort(descending=True)
        assert [guess.id for guess in guesses] == best.indices[:3].tolist()
        assert [guess.probability for guess in guesses] == pytest.approx(best.values[:3].tolist(), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_the_routing_of_each_token_when_it_was_read(kind, tokenizer):
    model = made(tokenizer, **KINDS[kind])
    minutes = council(model, TEXT)
    with torch.no_grad():
        routing = model(rows_of(model, TEXT), output_routing=True).routing
    assert len(minutes.layers) == TINY.n_layers and minutes.n_experts == 4
    for layer, record in zip(minutes.layers, routing, strict=True):
        for name in ("before", "after", "chosen", "weights"):
            torch.testing.assert_close(getattr(layer, name), getattr(record, name)[0, 1:], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(layer.shares.sum(-1), torch.ones(len(minutes.tokens)))
        torch.testing.assert_close(layer.load.sum(), torch.tensor(1.0))
        if record.peers is None:
            assert layer.peers is None
        else:
            torch.testing.assert_close(layer.peers.sum(-1), torch.ones_like(layer.peers[..., 0]))
    assert json.loads(json.dumps(minutes.to_dict()))["layers"][0]["load"] == pytest.approx(minutes.layers[0].load.tolist(), abs=1e-4)


def test_shares_are_of_the_norms_of_what_each_chosen_expert_gave(model):
    with torch.no_grad():
        routing = model(rows_of(model, TEXT), output_routing=True).routing[1]
    parts = routing.contributions[0, 1:]
    torch.testing.assert_close(council(model, TEXT).layers[1].shares, parts / parts.sum(-1, keepdim=True), rtol=1e-4, atol=1e-5)


def test_a_model_without_experts_has_losses_and_no_layers(tokenizer):
    minutes = council(made(tokenizer, ffn="dense"), TEXT)
    assert minutes.layers == () and minutes.n_experts == 0 and minutes.loss > 0


def test_tokens_that_were_written_are_read_as_they_were_written(model):
    """The written text, encoded afresh, may fall into other tokens than those that the model chose."""
    written = generate_request(model, MoCRequest(prompt="O gato", max_new_tokens=40, temperature=1.5, seed=20))
    minutes = council(model, "O gato", ids=written.ids)
    assert [token.id for token in minutes.tokens] == [*Encoder(model.tokenizer)("O gato"), *written.ids]
    assert minutes.given == written.prompt_tokens and len(written.ids) == 39  # the last one was half a character
    by_ids = council(model, [token.id for token in minutes.tokens])
    assert by_ids.loss == minutes.loss and by_ids.given == len(minutes.tokens)


def test_same_text_same_minutes(model):
    assert council(model, TEXT).to_dict() == council(model, TEXT).to_dict()


# --- tokens as text -----------------------------------------------------------------------------------------------------------------


def test_half_a_character_is_shown_as_the_character_it_belongs_to(model):
    text = "a 🌙ção"
    minutes = council(model, text)
    assert "".join(token.text for token in minutes.tokens) == text
    table = token_bytes(model.tokenizer)
    assert len(minutes.tokens) > len(text.split())
    moon = [token for token in minutes.tokens if "🌙" in token.shown]
    assert [token.shown for token in moon] == ["🌙…", "…🌙…", "…🌙…", "…🌙"] and [token.text for token in moon] == ["", "", "", "🌙"]
    assert b"".join(table[token.id] for token in moon) == "🌙".encode()


def test_bytes_that_are_no_character_and_special_tokens_have_a_name(model):
    table = token_bytes(model.tokenizer)
    half, whole = table.index(b"\xf0"), table.index(b"a")
    assert [token.shown for token in council(model, [half, whole]).tokens] == ["\ufffd", "a"]
    assert council(model, [special_ids(model.tokenizer)[END], whole]).tokens[0].shown == END
    shown = {guess.shown for guess in council(model, "a", alternatives=512).next}
    assert "⟨F0⟩" in shown and END in shown


def test_a_text_in_windows_line_breaks_reads_as_in_plain_ones(model):
    assert council(model, "a\r\nb\rc").to_dict() == council(model, "a\nb\nc").to_dict()


# --- bounds -------------------------------------------------------------------------------------------------------------------------


def test_a_long_text_is_read_as_far_back_as_the_model_looks_and_says_what_is_cut(model):
    text = "um gato " * 100
    total = len(Encoder(model.tokenizer)(text))
    minutes = council(model, text)
    assert len(minutes.tokens) == TINY.max_seq_len - 1 and minutes.cut_tokens == total - len(minutes.tokens)
    assert f"the text has {total:,} tokens, of which the newest 127 are listed" in minutes.note
    ids = torch.tensor([Encoder(model.tokenizer)(text)[-TINY.max_seq_len :]])
    with torch.no_grad():
        assert minutes.loss == pytest.approx(float(model(ids, labels=ids).loss), rel=1e-5)


def test_only_the_newest_are_listed_and_have_the_figures_they_had(model):
    whole, newest = council(model, TEXT), council(model, TEXT, newest=5)
    assert [token.id for token in newest.tokens] == [token.id for token in whole.tokens[-5:]]
    assert [token.nats for token in newest.tokens] == pytest.approx([token.nats for token in whole.tokens[-5:]], rel=1e-5)
    torch.testing.assert_close(newest.layers[0].after, whole.layers[0].after[-5:])
    assert newest.given == 5 and council(model, "Era", ids=[5, 6, 7], newest=2).given == 0


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ({"text": ""}, "text must have at least one token, got none; write something first"),
        ({"text": "a\x00"}, "prompt must be text without control characters"),
        ({"text": [3, 400]}, "; leave it out"),
        ({"text": "a", "ids": [True]}, "ids must have token ids from 0 to "),
        ({"text": "a", "newest": 0}, "newest must be at least 1, got 0; try 256"),
        ({"text": "a", "mute": ["4"]}, "an expert must be from 0 to 3, got 4; try 0"),
        ({"text": "a", "mute": ["0", "1", "2"]}, "mute must leave at least 2 experts of a layer to choose, got 1; mute fewer"),
        ({"text": "a", "expert_bias": ["x"]}, "expert_bias must be written as 3=2.5"),
    ],
)
def test_a_bad_order_is_one_sentence(model, order, sentence):
    with pytest.raises(ConfigError) as error:
        council(model, **order)
    assert sentence in str(error.value) and "\n" not in str(error.value)


# --- what if ------------------------------------------------------------------------------------------------------------------------


def test_a_muted_expert_is_never_chosen_and_its_score_is_none(model):
    minutes = council(model, TEXT, mute=["2", "1.0"])
    assert 2 not in minutes.layers[0].chosen and 0 in minutes.layers[0].chosen
    assert not {0, 2} & set(minutes.layers[1].chosen.flatten().tolist())
    assert minutes.to_dict()["layers"][0]["after"][0][2] is None
    assert float(council(model, TEXT, expert_bias=["3=50"]).layers[1].load[3]) == pytest.approx(0.5)


def test_losses_and_best_tokens_are_those_of_the_model_with_and_without_the_wish(model):
    found = what_if(model, TEXT, mute=["1"], expert_bias=["0.2=3"], max_new_tokens=5)
    ids = rows_of(model, TEXT)
    bias = bias_table(MoCRequest(mute=("1",), expert_bias=("0.2=3",)), TINY)
    with torch.no_grad():
        plain, steered = model(ids, labels=ids), model(ids, labels=ids, expert_bias=bias)
    assert found.loss == pytest.approx((float(plain.loss), float(steered.loss)), rel=1e-5)
    moved = plain.logits[0, :-1].argmax(-1) != steered.logits[0, :-1].argmax(-1)
    assert [token.changed for token in found.tokens] == moved.tolist() and found.changed == int(moved.sum()) > 0
    assert all(token.changed or token.best_before == token.best_after for token in found.tokens)
    best = council(model, TEXT, alternatives=1, mute=["1"], expert_bias=["0.2=3"]).tokens
    assert [token.best_after for token in found.tokens] == [token.expected[0].shown for token in best]
    assert found.bits_per_byte[1] == pytest.approx(found.loss[1] * len(found.tokens) / math.log(2) / len(TEXT.encode()))


def test_continuations_are_those_of_generate_with_the_same_seed_and_part_where_it_says(model):
    order = {"max_new_tokens": 25, "temperature": 1.0, "seed": 9}
    found = what_if(model, TEXT, mute=["1"], **order)
    plain = generate_request(model, MoCRequest(prompt=TEXT, **order))
    steered = generate_request(model, MoCRequest(prompt=TEXT, mute=("1",), **order))
    assert (found.written_before, found.written_after) == (plain, steered)
    first = found.first_difference
    assert first is not None and plain.ids[:first] == steered.ids[:first] and plain.ids[first] != steered.ids[first]
    assert len(found.pieces_before) == len(plain.ids)
    assert json.loads(json.dumps(found.to_dict())) == json.loads(json.dumps(what_if(model, TEXT, mute=["1"], **order).to_dict()))


def test_a_wish_too_small_to_change_anything_changes_nothing(model):
    found = what_if(model, TEXT, expert_bias=["0=0.0"], max_new_tokens=10)
    assert found.loss[0] == pytest.approx(found.loss[1], abs=1e-6)
    assert found.changed == 0 and found.first_difference is None


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ({}, "mute or expert_bias must name an expert, got neither; try mute '3'"),
        ({"mute": ["9"]}, "an expert must be from 0 to 3, got 9"),
        ({"mute": ["1"], "temperature": 3.0}, "temperature must be a finite number from 0 to 2"),
        ({"mute": ["1"], "heat": 3.0}, "heat"),
    ],
)
def test_a_bad_wish_is_one_sentence(model, order, sentence):
    with pytest.raises(ConfigError) as error:
        what_if(model, TEXT, **order)
    assert sentence in str(error.value)


def test_a_model_without_experts_has_nobody_to_mute(tokenizer):
    with pytest.raises(ConfigError, match="mute and expert_bias need a model with experts"):
        what_if(made(tokenizer, ffn="dense"), TEXT, mute=["0"])
