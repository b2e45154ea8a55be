"""Writing with a MoC: the fast step against the model itself and transformers' generate, orders, streams, steering, files."""

import copy
import gc
import json
import math
import subprocess
import sys
import unicodedata
import weakref
from weakref import WeakKeyDictionary

import pytest
import torch

from lunaris.core.config import ConfigError
from lunaris.core.decoding import Sampling, token_bytes, tokens
from lunaris.core.tokenizer import BpeTokenizer
from lunaris.moc import fast
from lunaris.moc.checkpoint import new_model, special_ids
from lunaris.moc.config import MoCModelConfig
from lunaris.moc.council import council
from lunaris.moc.data import END, Encoder
from lunaris.moc.fast import MoCStepper
from lunaris.moc.generate import bias_table, generate, generate_request, save_result, stream
from lunaris.moc.model import MoCForCausalLM
from lunaris.moc.request import MoCFile, MoCRequest

torch.set_num_threads(1)
TINY = MoCModelConfig.tiny()
KINDS = {
    "moc": {},
    "one chosen": {"top_k": 1},
    "unnormalised meeting": {"meeting_norm": False, "n_kv_heads": 4},
    "no peers": {"peer_attention": False},
    "cross_all": {"cross_all": True},
    "no meeting": {"meeting": False},
    "top_k": {"ffn": "top_k"},
    "soft_all": {"ffn": "soft_all", "tie_embeddings": False},
    "dense": {"ffn": "dense", "n_heads": 1, "n_kv_heads": 1},
}


@pytest.fixture(scope="module")
def tokenizer():
    texts = ["Era uma vez um gato que via a lua.", "O coração da menina é bom.", "Once upon a time 🌙"] * 3
    return BpeTokenizer.train(texts, vocab_size=330, special_tokens=[END])


def strong(model):
    """Weights large enough that texts differ and every part of the layer has a say; PeerAttention.out starts at zero."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.15)
            else:
                parameter.uniform_(0.5, 1.5)
    return model.eval()


@pytest.fixture(scope="module")
def model(tokenizer):
    return strong(new_model(TINY, tokenizer))


# --- the fast step ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_fast_steps_have_the_logits_of_the_whole_text_in_float64(kind):
    """Every position against one pass without a cache, in float64, where a wrong formula cannot hide in rounding; with a bias too."""
    model = strong(MoCForCausalLM(TINY.replace(**KINDS[kind]))).double()
    text = torch.randint(0, TINY.vocab_size, (1, 40))
    bias = None if kind == "dense" else torch.randn(2, 4)
    with torch.no_grad():
        expected = model(text, use_cache=False, expert_bias=bias).logits[0]
    stepper = MoCStepper(model, expert_bias=bias)
    got = [stepper.start(text[0, :7].tolist()), *(stepper.step(token) for token in text[0, 7:].tolist())]
    tolerance = 2e-5 if kind != "dense" else 1e-9  # the router is reckoned in float32 whatever the dtype
    torch.testing.assert_close(torch.stack(got), expected[6:], rtol=tolerance, atol=tolerance * float(expected.abs().max()))


@pytest.mark.parametrize("kind", KINDS)
def test_fast_steps_have_the_logits_of_the_whole_text_in_float32(kind):
    """Only in float32 are norms folded into matrices and matrices laid out anew; a wrong one would be far off."""
    model = strong(MoCForCausalLM(TINY.replace(**KINDS[kind])))
    text = torch.randint(0, TINY.vocab_size, (1, 24))
    bias = None if kind == "dense" else torch.randn(2, 4)
    with torch.no_grad():
        expected = model(text, use_cache=False, expert_bias=bias).logits[0]
    stepper = MoCStepper(model, expert_bias=bias)
    got = [stepper.start(text[0, :7].tolist()), *(stepper.step(token) for token in text[0, 7:].tolist())]
    torch.testing.assert_close(torch.stack(got), expected[6:], rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_a_large_model_is_read_as_it_lies(monkeypatch):
    """Laid out anew, its weights would be in memory twice; the steps are the same."""
    model, text = strong(MoCForCausalLM(TINY)), [5, 6, 7, 8]
    usual = MoCStepper(model)
    expected = [usual.start(text[:2]), *map(usual.step, text[2:])]
    monkeypatch.setattr(fast, "MAX_COPY", 1000)
    monkeypatch.setattr(fast, "_KEPT", WeakKeyDictionary())
    stepper = MoCStepper(model)
    assert stepper._tables.layers[0].norm1 is model.model.layers[0].input_layernorm.weight
    torch.testing.assert_close([stepper.start(text[:2]), *map(stepper.step, text[2:])], expected, rtol=1e-4, atol=1e-4)


def test_steppers_share_their_tables_until_a_weight_changes():
    """A text written after a training step must be that of the new weights, and tables must not outlive their model."""
    model = strong(MoCForCausalLM(TINY))
    first, second = MoCStepper(model), MoCStepper(model)
    assert first._tables is second._tables
    before = first.start([5, 6]), first.step(7)
    with torch.no_grad():
        model.model.layers[1].mlp.experts.gate_up.mul_(0.5)
    third = MoCStepper(model)
    third.start([5, 6])
    after = third.step(7)
    with torch.no_grad():
        expected = model(torch.tensor([[5, 6, 7]]), use_cache=False).logits[0, -1]
    assert third._tables is not first._tables and float((after - before[1]).abs().max()) > 1e-2
    torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    alive = weakref.ref(first._tables)
    del model, first, second, third
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("targets", [{"target_modules": ["q_proj"]}, {"target_parameters": ["experts.down"]}])
def test_an_adapted_model_writes_with_its_adapter(model, targets):
    """The fast step reads weights where they lie, and an adapter of PEFT lies beside them: a fine-tuned model wrote what it had written
    before, without a word. Once merged, it wrote from tables of the old weights, since `weight.data += …` shows no new version."""
    peft = pytest.importorskip("peft")
    model, text = copy.deepcopy(model), [5, 6, 7, 8, 9]

    def written() -> torch.Tensor:
        stepper = MoCStepper(model)
        return torch.stack([stepper.start(text[:2]), *map(stepper.step, text[2:])])

    def called() -> torch.Tensor:
        with torch.no_grad():
            return model(torch.tensor([text]), use_cache=False).logits[0, 1:]

    before = written()
    torch.manual_seed(3)
    wrapped = peft.get_peft_model(model, peft.LoraConfig(r=4, init_lora_weights=False, **{"target_modules": [], **targets}))
    adapted = called()
    assert float((adapted - before).abs().max()) > 0.1
    torch.testing.assert_close(written(), adapted, rtol=1e-4, atol=1e-4 * float(adapted.abs().max()))
    with pytest.raises(ValueError, match="got PeftModel; merge the adapter first: model = model.merge_and_unload"):
        MoCStepper(wrapped)
    wrapped.merge_and_unload()
    torch.testing.assert_close(written(), adapted, rtol=1e-4, atol=1e-4 * float(adapted.abs().max()))
    assert MoCStepper(model)._tables is not None


def test_fast_steps_work_in_half_precision():
    model = strong(MoCForCausalLM(TINY)).bfloat16()
    text = torch.randint(0, TINY.vocab_size, (1, 12))
    with torch.no_grad():
        expected = model(text, use_cache=False).logits[0]
    stepper = MoCStepper(model)
    got = torch.stack([stepper.start(text[0, :4].tolist()), *(stepper.step(token) for token in text[0, 4:].tolist())])
    assert got.dtype == torch.bfloat16
    assert float((got - expected[3:]).float().abs().mean() / expected.float().abs().mean()) < 0.05


@pytest.mark.parametrize("kind", ["moc", "one chosen", "top_k", "dense"])
def test_tokens_are_those_of_transformers_generate(kind):
    model = strong(MoCForCausalLM(TINY.replace(**KINDS[kind])))
    prompt = [7, 3, 99, 250]

    def theirs(**order):
        torch.manual_seed(5)
        ids = model.generate(torch.tensor([prompt]), max_new_tokens=24, pad_token_id=0, **order)
        return ids[0, len(prompt) :].tolist()

    def ours(**order):
        return list(tokens(MoCStepper(model), prompt, max_new_tokens=24, sampling=Sampling(**order)))

    assert ours(temperature=0) == theirs(do_sample=False)
    order = {"temperature": 0.9, "top_p": 0.9}
    sampled = ours(seed=5, **order)
    assert sampled == theirs(do_sample=True, top_k=0, **order) and len(set(sampled)) > 4


def test_two_steppers_on_one_model_do_not_disturb_each_other(model):
    first, second = MoCStepper(model), MoCStepper(model)
    alone = [first.start([5, 6]), first.step(7), first.step(8)]
    first.start([5, 6]), second.start([9, 10, 11])
    mixed = first.step(7)
    second.step(12)
    assert torch.equal(mixed, alone[1]) and torch.equal(first.step(8), alone[2])


def test_a_full_window_is_refused_and_a_fresh_start_forgets(model):
    stepper = MoCStepper(model)
    fresh = stepper.start([4, 5, 6])
    stepper.start(list(range(10, 10 + TINY.max_seq_len)))
    with pytest.raises(ValueError, match="a text of 128 tokens is all that can be read"):
        stepper.step(3)
    assert torch.equal(stepper.start([4, 5, 6]), fresh)
    with pytest.raises(ValueError, match="a text of 1 to 128 tokens can be read, got 129"):
        stepper.start([1] * 129)


# --- orders -----------------------------------------------------------------------------------------------------------------------


def test_text_is_that_of_a_plain_loop_over_the_model(model, tokenizer):
    """A loop with nothing of ours in it but the tokenizer: greedy, with the entries that are no text left out."""
    encoder = Encoder(tokenizer)
    banned = [index for index in special_ids(tokenizer).values() if index != encoder.end] + list(range(tokenizer.vocab_size, 512))
    banned += [index for index in range(tokenizer.vocab_size) if any(map(control, tokenizer.decode([index])))]
    ids = [encoder.end, *encoder("Era uma")]
    start = len(ids)
    for _ in range(25):
        with torch.no_grad():
            logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
        logits[banned] = -torch.inf
        if int(logits.argmax()) == encoder.end:
            break
        ids.append(int(logits.argmax()))
    written = generate_request(model, MoCRequest(prompt="Era uma", max_new_tokens=25, temperature=0.0))
    assert list(written.ids) == ids[start:] and written.prompt_tokens == start - 1
    assert written.text == tokenizer.decode(ids[start:]).rstrip("\ufffd")


def test_same_seed_same_text_and_other_seed_other_text(model):
    first, again, other = (generate(model, "O gato", max_new_tokens=30, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_streamed_pieces_are_whole_characters_and_join_to_the_text(model):
    request = MoCRequest(prompt="Era", max_new_tokens=60, temperature=1.5, seed=3)
    pieces = list(stream(model, request))
    assert len(pieces) > 10 and "".join(pieces) == generate_request(model, request).text
    assert all(piece == piece.encode().decode() for piece in pieces)


def test_a_stream_that_is_left_keeps_what_was_written(model):
    request = MoCRequest(prompt="Era", max_new_tokens=40, seed=3)
    writing = stream(model, request)
    begun = next(writing) + next(writing)
    assert writing.result.text == begun and writing.result.finish == "length" and 2 <= len(writing.result.ids) < 40


def test_an_empty_prompt_begins_a_text_of_its_own(model):
    written = generate_request(model, MoCRequest(prompt="", max_new_tokens=12))
    assert written.prompt_tokens == 0 and len(written.ids) > 0 and written.note == ""


def test_stop_texts_end_the_writing_and_are_not_shown(model):
    free = generate(model, "Era", max_new_tokens=60, seed=3)
    stop = free[20:23]
    written = generate_request(model, MoCRequest(prompt="Era", max_new_tokens=60, seed=3, stop=(stop,)))
    assert written.text == free[: free.index(stop)] and written.finish == "stop"


@pytest.mark.parametrize("stop", ["ção\n", "c\u0327a\u0303o", "o\r\nda", "\r"])
def test_a_stop_text_is_read_as_a_prompt_is(model, tokenizer, monkeypatch, stop):
    """Stop texts were compared as they came: with a form's line breaks (CR LF), or accents by themselves, they were never found."""
    monkeypatch.setattr(
        sys.modules["lunaris.moc.generate"], "tokens", lambda *args, **order: iter(Encoder(tokenizer)("O coração\nda menina"))
    )
    written = generate_request(model, MoCRequest(stop=(stop,)))
    assert written.text == {"ç": "O cora", "c": "O cora", "o": "O coraçã", "\r": "O coração"}[stop[0]] and written.finish == "stop"


@pytest.mark.parametrize("stop", ["vez", " um g", "ato q", "uma vez um gato que via a lua"])
def test_the_tokens_of_a_text_are_those_that_are_shown(model, tokenizer, monkeypatch, stop):
    """The tokens of a stop text that was taken back stayed in `ids`: the council listed words that were not in the text, and counted them.
    At any moment the tokens joined are the text, when a stop text cuts a token, and while half a character or half a stop text waits."""
    encoder = Encoder(tokenizer)
    monkeypatch.setattr(
        sys.modules["lunaris.moc.generate"], "tokens", lambda *args, **order: iter(encoder("Era 🌙uma vez um gato que via a lua. Era"))
    )
    writing, seen = stream(model, MoCRequest(prompt="Uma", stop=(stop,))), []
    for _ in writing:
        seen.append(writing.result)
    written = writing.result
    assert written.text == "Era 🌙uma vez um gato que via a lua.".partition(stop)[0] and written.finish == "stop"
    for found in (*seen, written):
        assert b"".join(token_bytes(tokenizer)[index] for index in found.ids).decode() == found.text
        minutes = council(model, "Uma", ids=found.ids)
        assert "".join(token.text for token in minutes.tokens) == "Uma" + found.text


def test_half_a_character_at_the_end_is_no_token_of_the_text(model, tokenizer, monkeypatch):
    moon = Encoder(tokenizer)("a🌙")
    assert len(moon) > 2
    monkeypatch.setattr(sys.modules["lunaris.moc.generate"], "tokens", lambda *args, **order: iter(moon[:-1]))
    written = generate_request(model, MoCRequest(max_new_tokens=len(moon) - 1))
    assert written.text == "a" and list(written.ids) == moon[:1] and written.finish == "length"


def test_a_text_longer_than_the_model_is_cut_and_the_result_says_so(model):
    long = "gato lua " * 100
    written = generate_request(model, MoCRequest(prompt=long, max_new_tokens=5, temperature=0.0))
    assert written.cut_tokens == written.prompt_tokens - 96  # the end of text in front, out of sight too, was counted as one of them
    assert f"the oldest {written.cut_tokens:,} of prompt and text" in written.note and "looks back on 128" in written.note


def test_control_words_that_a_visitor_types_are_text(model, tokenizer):
    written = generate_request(model, MoCRequest(prompt=f"a{END}b", max_new_tokens=1))
    assert written.prompt_tokens == len(Encoder(tokenizer)(f"a{END}b")) > 5  # one entry would make it three
    assert Encoder(tokenizer).end not in Encoder(tokenizer)(f"a{END}b")


def test_padding_unknown_and_ids_without_text_are_never_written(tokenizer):
    """An untrained model at temperature 2 would write them all the time: 182 of its 512 ids are none of the tokenizer's."""
    fresh = new_model(TINY, tokenizer).eval()
    ids = generate_request(fresh, MoCRequest(max_new_tokens=300, temperature=2.0, top_p=1.0, seed=2)).ids
    assert max(ids) < tokenizer.vocab_size and not {0, 1} & set(ids)


def test_a_text_holds_no_control_character_that_a_prompt_must_not(model, monkeypatch):
    """At temperature 2 and top-p 1 a text could hold an ESC, and then Continue and What if refused the model's own text."""

    def texts():
        return [generate(model, seed=seed, max_new_tokens=25, temperature=2.0) for seed in range(12)]

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["lunaris.moc.generate"], "_controls", lambda tokenizer: ())
        assert any(map(control, "".join(texts())))
    for text in texts():
        assert not any(map(control, text)) and MoCRequest(prompt=text)


def control(char: str) -> bool:
    return unicodedata.category(char) == "Cc" and char not in "\n\r\t"


# --- steering ---------------------------------------------------------------------------------------------------------------------


def test_muted_experts_are_never_chosen_and_change_the_text(model):
    request = MoCRequest(prompt="Era", max_new_tokens=30, temperature=0.0, mute=("0.1", "2"))
    written = generate_request(model, request)
    assert written.text != generate(model, "Era", max_new_tokens=30, temperature=0.0)
    encoder = Encoder(model.tokenizer)
    ids = torch.tensor([[encoder.end, *encoder("Era"), *written.ids]])
    with torch.no_grad():
        output = model(ids, output_routing=True, expert_bias=bias_table(request, TINY))
    chosen = [set(layer.chosen.flatten().tolist()) for layer in output.routing]
    assert chosen[0] <= {0, 3} and chosen[1] <= {0, 1, 3}
    follows = output.logits[0, -len(written.ids) - 1 : -1, : model.tokenizer.vocab_size]
    follows[:, :2] = -torch.inf  # padding and unknown
    assert torch.equal(follows.argmax(-1), ids[0, -len(written.ids) :])  # the fast step heard the same wishes


def test_bias_table_adds_what_is_asked_for():
    request = MoCRequest(expert_bias=("3=2.5", "0.3=-1", "1.0=+4"), mute=("1.2",))
    assert bias_table(request, TINY) == [[0, 0, 0, 1.5], [4, 0, -math.inf, 2.5]]
    assert bias_table(MoCRequest(), TINY) is None


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"mute": ("4",)}, "an expert must be from 0 to 3, got 4; try 0"),
        ({"mute": ("2.0",)}, "a layer must be from 0 to 1, got 2; try 0"),
        ({"mute": ("0", "1", "2")}, "mute must leave at least 2 experts of a layer to choose, got 1; mute fewer"),
    ],
)
def test_experts_that_the_model_lacks_are_one_sentence(model, order, message):
    with pytest.raises(ConfigError, match=message):
        stream(model, MoCRequest(**order))


def test_steering_a_dense_model_is_refused(tokenizer):
    dense = new_model(TINY.replace(ffn="dense"), tokenizer)
    with pytest.raises(ConfigError, match="mute and expert_bias need a model with experts, got one with ffn 'dense'"):
        generate(dense, "a", mute=("1",))


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"temperature": math.nan}, "temperature must be a finite number from 0 to 2, got nan; try 0.8"),
        ({"temperature": 2.5}, "temperature must be a finite number from 0 to 2, got 2.5"),
        ({"top_p": 0.0}, "top_p must be a finite number above 0 and at most 1, got 0.0"),
        ({"top_k": -1}, "top_k must be a whole number from 0 to 100000, got -1"),
        ({"max_new_tokens": 0}, "max_new_tokens must be a whole number from 1 to 1024, got 0"),
        ({"max_new_tokens": 1025}, "max_new_tokens must be"),
        ({"repetition_penalty": 3.0}, "repetition_penalty must be"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"prompt": "a\x00"}, "prompt must be text without control characters, got '.x00'; take it out"),
        ({"prompt": "\ud83c"}, "prompt must be text without control characters"),
        ({"prompt": "a" * 100_001}, "prompt must be at most 100,000 characters, got 100,001"),
        ({"stop": ("",)}, "stop must be at most 4 texts of 1 to 100 characters"),
        ({"stop": tuple("abcde")}, "stop must be at most 4 texts"),
        ({"mute": ("x",)}, "mute must name experts as 3 .* got 'x'"),
        ({"expert_bias": ("3",)}, "expert_bias must be written as 3=2.5"),
        ({"expert_bias": ("3=nan",)}, "expert_bias must be written as"),
        ({"temprature": 1.0}, "unknown key 'temprature'; did you mean 'temperature'?"),
    ],
)
def test_bad_orders_are_one_sentence(model, order, message):
    with pytest.raises(ConfigError, match=message) as caught:
        generate(model, **({"prompt": "a"} | order))
    assert "\n" not in str(caught.value)


def test_a_model_without_a_tokenizer_says_what_is_missing():
    with pytest.raises(ValueError, match="the model has no tokenizer; load it with moc.load"):
        generate(MoCForCausalLM(TINY), "a")


# --- files ------------------------------------------------------------------------------------------------------------------------


def test_results_are_saved_as_text_or_with_all_that_belongs_to_them(model, tmp_path):
    written = generate_request(model, MoCRequest(prompt="Olá", max_new_tokens=10))
    assert save_result(written, tmp_path / "a.txt").read_text(encoding="utf-8") == f"Olá{written.text}\n"
    assert save_result(written, tmp_path / "b.txt", MoCFile(with_prompt=False)).read_text(encoding="utf-8") == f"{written.text}\n"
    saved = json.loads(save_result(written, tmp_path / "c.json", record={"model": "m"}).read_text(encoding="utf-8"))
    assert (
        saved["ai_generated"] is True
        and saved["lunaris"]["model"] == "m"
        and saved["text"] == written.text
        and saved["finish"] == written.finish
    )
    with pytest.raises(ValueError, match="--out must end in .txt or .json, got 'a.png'; try text.txt"):
        save_result(written, tmp_path / "a.png")


def test_an_order_is_checked_without_torch():
    """The app checks orders before any model is loaded."""
    code = "import sys; from lunaris.moc.request import MoCRequest; MoCRequest(prompt='a', mute=('1',)); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
