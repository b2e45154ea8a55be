"""The Collaborative Experts tab without a browser: endpoints, streaming and stopping, links, what the page says (MC-05, MC-12, MC-13)."""

import itertools
import json
import re
import string
import subprocess
import sys
import time
from pathlib import Path

import gradio as gr
import pytest
from browser import needs_chromium

from lunaris import moc
from lunaris.core import hub, models, ui
from lunaris.core.config import ConfigError
from lunaris.moc import demo, stories
from lunaris.moc.config import MoCModelConfig
from lunaris.moc.demo import about, common, minutes, orders, story, what_if, write
from lunaris.moc.demo.orders import Order
from lunaris.moc.grammar import LANGUAGES, Dice
from lunaris.pixel.demo.orders import from_link as pixel_from_link

ROOT = Path(__file__).parents[2]
SHORT = {"max_new_tokens": 12, "seed": 5}


def request_from(client: str = "127.0.0.1", host: str = "127.0.0.1:7860", **headers: str) -> gr.Request:
    return gr.Request(headers={"host": host, **headers}, client={"host": client, "port": 5000})


@pytest.fixture(scope="module")
def model():
    return demo.model_for("", None).model


# --- endpoints -------------------------------------------------------------------------------------------------------------------


def test_the_tab_writes_what_the_library_writes_and_sends_it_as_it_grows(model, monkeypatch):
    monkeypatch.setattr(write, "TOLD_EVERY", 0.0)
    seen = list(demo.moc_generate("Era uma vez", **SHORT))
    expected = moc.generate_request(model, moc.MoCRequest(prompt="Era uma vez", **SHORT))
    texts = [text for text, _ in seen]
    assert texts[0] == "" and texts[-1] == expected.text == moc.generate(model, "Era uma vez", **SHORT)
    assert all(later.startswith(earlier) for earlier, later in zip(texts, texts[1:], strict=False)) and len(set(texts)) > 5
    assert [report["finish"] for _, report in seen] == ["writing"] * (len(seen) - 1) + ["length"]
    report = seen[-1][1]
    assert report["ids"] == list(expected.ids) and report["tokens"] == 12 and report["prompt"] == "Era uma vez"
    assert report["weights"] == hub.weight_hash(hub.resolve(moc.CHECKPOINT))
    json.dumps(report)


def test_every_argument_of_an_order_reaches_the_model(model):
    order = {"max_new_tokens": 15, "temperature": 1.3, "top_p": 0.8, "seed": 3, "top_k": 40, "repetition_penalty": 1.2}
    *_, (text, report) = demo.moc_generate("O gato", **order, stop="zzz\n\\n\\n", mute="1 0.2", expert_bias="3=2.5, 1.0=-1")
    lists = {"stop": ["zzz", "\n\n"], "mute": ["1", "0.2"], "expert_bias": ["3=2.5", "1.0=-1"]}
    assert text == moc.generate(model, "O gato", **order, **lists)
    assert Order.from_dict({name: report[name] for name in orders.ARGUMENTS}).request() == moc.MoCRequest.from_dict(
        {"prompt": "O gato", **order, **lists}
    )


def test_closing_the_stream_ends_the_writing(monkeypatch):
    """Stop closes the handler: not one more token may be chosen after that."""
    monkeypatch.setattr(write, "TOLD_EVERY", 0.0)
    steps = []
    from lunaris.moc.fast import MoCStepper

    plain = MoCStepper.step
    monkeypatch.setattr(MoCStepper, "step", lambda self, token: steps.append(token) or plain(self, token))
    writing = demo.moc_generate("Era", max_new_tokens=500)
    for _ in range(4):
        next(writing)
    writing.close()
    before = len(steps)
    assert before < 10 and list(writing) == []
    time.sleep(0.2)
    assert len(steps) == before


def test_the_councils_minutes_are_the_librarys(model):
    from lunaris.moc.council import council

    *_, (_, report) = demo.moc_generate("Era uma vez", **SHORT)
    answer = demo.moc_council("Era uma vez", report["ids"])
    expected = council(model, "Era uma vez", ids=report["ids"])
    assert {key: answer[key] for key in expected.to_dict()} == json.loads(json.dumps(expected.to_dict()))
    assert demo.moc_council("Era uma vez", " ".join(map(str, report["ids"]))) == answer  # as MCP says it
    assert answer["model"] == moc.CHECKPOINT and answer["given"] == report["prompt_tokens"]


def test_the_page_shows_the_minutes_of_what_stands_in_the_box(model, monkeypatch):
    """As it was written where it was not touched, and encoded afresh where it was."""
    *_, (text, report) = demo.moc_generate("Era uma vez", **SHORT, mute="3")
    request = request_from()
    as_written = write.look("Era uma vez" + text, report, "", request)
    assert [token["id"] for token in as_written["tokens"]][-12:] == report["ids"] and as_written["given"] < len(as_written["tokens"])
    assert all(3 not in chosen for layer in as_written["layers"] for chosen in layer["chosen"])
    edited = write.look("Era uma vez um gato", report, "", request)
    assert edited["given"] == len(edited["tokens"]) and edited["tokens"] != as_written["tokens"]
    assert write.look("", report, "", request) is None
    monkeypatch.setattr(common, "SHOWN", 64)
    long = write.look("um gato " * 400, None, "", request_from(**{"accept-language": "pt-BR"}))
    assert len(long["tokens"]) == common.SHOWN and "aparecem os 64 mais novos" in long["note"]


def test_what_if_answers_what_the_library_does(model):
    from lunaris.moc.council import what_if as library

    answer = demo.moc_what_if("Era uma vez um gato", mute="3", max_new_tokens=8, seed=2)
    expected = library(model, "Era uma vez um gato", mute=["3"], max_new_tokens=8, seed=2).to_dict()
    assert {key: answer[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: next(demo.moc_generate("a\x00")), "prompt must be text without control characters, got '\\x00'; take it out"),
        (lambda: next(demo.moc_generate("a", 0)), "max_new_tokens must be a whole number from 1 to 1024, got 0; try 200"),
        (lambda: next(demo.moc_generate("a", temperature=2.5)), "temperature must be a finite number from 0 to 2"),
        (lambda: next(demo.moc_generate("a", stop="a\nb\nc\nd\ne")), "stop must be at most 4 texts"),
        (lambda: next(demo.moc_generate("a", mute="x")), "mute must name experts as 3"),
        (lambda: next(demo.moc_generate("a", mute="8")), "an expert must be from 0 to 7, got 8; try 0"),
        (lambda: next(demo.moc_generate("a", expert_bias="2:3")), "expert_bias must be written as 3=2.5"),
        (lambda: next(demo.moc_generate("a", model="no-such-model")), "no-such-model"),
        (lambda: demo.moc_council(""), "text must have at least one token, got none; write something first"),
        (lambda: demo.moc_council("a", [1] * 2000), "ids must be a list of at most 1,024 token ids"),
        (lambda: demo.moc_council("a", "7 x"), "ids must be a list of at most 1,024 token ids, got"),
        (lambda: demo.moc_council("a", None), "ids must be a list of at most 1,024 token ids, got 'None'; leave it out"),
        (lambda: demo.moc_council("a", [-1]), "ids must have token ids from 0 to 4095, got '-1'; leave it out"),
        (lambda: demo.moc_what_if("a"), "mute or expert_bias must name an expert, got neither; try mute '3'"),
        (lambda: demo.moc_what_if("a", mute="0 1 2 3 4 5 6"), "mute must leave at least 2 experts of a layer to choose, got 1"),
        (lambda: demo.moc_load("pixel-16"), "pixel-16 is a checkpoint of family 'pixel', not 'moc'; load it in its own tab"),
    ],
)
def test_a_bad_order_is_one_sentence_in_both_languages(call, sentence):
    with pytest.raises(gr.Error) as error:
        call()
    assert sentence in error.value.message and "\n" not in error.value.message
    words = set(re.findall(r"\w+", re.sub(r"'[^']*'", "", ui.in_portuguese(error.value.message))))
    english = {"must", "be", "got", "try", "from", "to", "at", "most", "whole", "number", "leave", "take", "write", "load", "list", "layer"}
    assert not words & english, ui.in_portuguese(error.value.message)


PLAIN = ("a", 10, 0.8, 0.95, 0, 0, 1.0, "", "", "", "")


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (0, 3, "prompt must be a text, got 3"),
        (1, "many", "max_new_tokens must be a whole number, got 'many'"),
        (2, None, "temperature must be a finite number, got None"),
        (4, 1.5, "seed must be a whole number, got 1.5"),
        (7, ["x"], "stop must be a text, got ['x']"),
        (10, {"path": "x"}, "model must be a text"),
    ],
)
def test_a_value_of_the_wrong_type_is_one_sentence(place, value, sentence):
    """REST takes what it gets; JSON's 7.0 is a seed."""
    with pytest.raises(ConfigError) as error:
        Order.of(*PLAIN[:place], value, *PLAIN[place + 1 :])
    assert sentence in str(error.value)
    assert Order.of("a", 10.0, *PLAIN[2:4], 7.0, *PLAIN[5:]) == Order("a", 10, seed=7)


def test_the_sentence_about_a_full_window_has_its_portuguese(model):
    written = moc.generate_request(model, moc.MoCRequest(prompt="um gato " * 400, max_new_tokens=1))
    assert f"o modelo olha {model.config.max_seq_len} tokens para trás" in ui.in_portuguese(written.note)


def test_a_visitor_from_elsewhere_may_name_no_folder(monkeypatch, tmp_path):
    fresh = models.ModelCache(10**9)
    monkeypatch.setattr(models, "shared", lambda: fresh)
    with pytest.raises(ConfigError, match=r"this server loads no folders: give the name of a bundled checkpoint \(moc-pt"):
        demo.model_for(str(tmp_path), request_from(client="192.168.1.9"))


def test_another_familys_default_is_not_ours(monkeypatch):
    """LUNARIS_MODEL names one checkpoint, and the hub has several families."""
    monkeypatch.setenv("LUNARIS_MODEL", "pixel-16")
    assert common.default_ref() == moc.CHECKPOINT
    monkeypatch.setenv("LUNARIS_MODEL", "someone/moc")
    assert common.default_ref() == "someone/moc"


# --- links -----------------------------------------------------------------------------------------------------------------------

ORDER = Order(prompt="Era uma & <b>\nvez", max_new_tokens=30, temperature=0.5, seed=7, stop="\\n", mute="3 0.1", expert_bias="2=1.5")


def test_a_link_brings_the_whole_order_back():
    assert orders.from_link(ORDER.link()) == ORDER
    assert re.fullmatch(r"\?[\w%+.&=-]*", ORDER.link())
    assert Order().link() == "?moc=&seed=0"
    assert orders.from_link("?moc=Era+uma+vez&seed=3&temperature=0.5&utm_source=x") == Order(prompt="Era uma vez", seed=3, temperature=0.5)


def test_a_link_fills_the_form_and_writes_nothing():
    *filled, linked = write.fill_from_link(ORDER.link())
    assert linked and dict(zip(orders.FILLED, filled, strict=True)) == {**ORDER.to_dict(), "keep_seed": True, "model": moc.CHECKPOINT}
    assert write.fill_from_link("?prompt=a+red+potion&seed=3")[-1] is False


def test_each_family_leaves_the_others_links_alone():
    """Pixel Art took the seed of every link for its own, and drew."""
    assert pixel_from_link(ORDER.link()) is None
    assert orders.from_link("?prompt=a+cat&seed=3") is None


def test_a_prompt_too_long_for_a_link_has_none():
    assert Order(prompt="a" * 3001).link() == "" and len(Order(prompt="ç" * 3000).link()) < 20_000
    assert orders.from_link(Order(prompt="ç" * 3000).link()).prompt == "ç" * 3000


@pytest.mark.parametrize("query", ["?moc=a&seed=abc", "?moc=a&seed=1e999", "?moc=a&temperature=nan", "?moc=a&mute=x", "?moc=a&top_k=007"])
def test_a_bad_link_is_one_sentence(query):
    with pytest.raises(ConfigError) as error:
        orders.from_link(query)
    assert "\n" not in str(error.value)


# --- the page --------------------------------------------------------------------------------------------------------------------


def test_every_argument_of_every_endpoint_is_described():
    """MCP and OpenAPI take their descriptions from the docstrings."""
    from gradio.utils import get_function_description

    for handler in (demo.moc_generate, demo.moc_council, demo.moc_what_if, demo.moc_load):
        description, parameters, returns = get_function_description(handler)
        described = {name for name, text in parameters.items() if text}
        assert set(parameters) - described <= {"request", "progress"}, handler.__name__
        assert description and returns


def test_the_endpoints_have_the_librarys_defaults_and_no_helper_is_listed():
    page = ui.page({"moc": demo.build_demo()}, {})
    page.config = page.get_config_file()
    listed = page.get_api_info()["named_endpoints"]
    assert set(listed) == {"/moc_generate", "/moc_council", "/moc_what_if", "/moc_load"}
    given = {p["parameter_name"]: p["parameter_default"] for p in listed["/moc_generate"]["parameters"]}
    plain = moc.MoCRequest().to_dict()
    assert tuple(given) == orders.ARGUMENTS
    assert {name: value for name, value in given.items() if name not in (*("stop", "mute", "expert_bias"), "model")} == {
        name: value for name, value in plain.items() if name not in ("stop", "mute", "expert_bias")
    }


def test_building_the_page_loads_no_torch_and_asks_no_network():
    code = """
import socket, sys
def refuse(*args, **kwargs): raise AssertionError("asked the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from lunaris.core import serving
app = serving.create_app(("moc",))
assert not app.state.tabs["moc"].error, app.state.tabs["moc"].error
assert not {"torch", "transformers"} & set(sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr


def test_a_default_that_is_not_here_yet_does_not_stop_the_page(monkeypatch):
    monkeypatch.setenv("LUNARIS_MODEL", "owner/not-fetched")
    markup = json.dumps(demo.build_demo().get_config_file(), default=str)
    assert "owner/not-fetched" in markup and "Press Load to fetch this checkpoint." in markup


def test_every_text_exists_in_both_languages_with_the_same_placeholders():
    for key, pair in demo.TEXTS.table.items():
        names = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in pair]
        assert all(text.strip() for text in pair) and names[0] == names[1], key


def test_the_reports_words_are_in_both_languages():
    """It said "seed" on the Portuguese page."""
    portuguese = sentences(write.report_component().html_template, "pt-BR")
    assert {"tokens", "tokens/s", "semente"} <= set(portuguese) and "seed <b>" not in write.REPORT


def test_scripts_get_every_word_they_use_and_no_other():
    for script, given in (("minutes.js", minutes.WORDS), ("board.js", what_if.BOARD_WORDS)):
        used = set(re.findall(r"WORDS\.(\w+)", common.asset(script)))
        used |= {f"board_{wish}" for wish in ("mute", "normal", "favour")} if script == "board.js" else set()
        assert used == set(given), script


def test_no_script_and_no_style_names_an_address():
    for name in ("minutes.js", "board.js", "moc.css"):
        assert "http" not in common.asset(name) and "@import" not in common.asset(name)


def test_every_example_is_a_sound_order_and_both_languages_have_some():
    assert set(demo.EXAMPLES) == set(ui.LANGUAGES)
    for prompts in demo.EXAMPLES.values():
        assert len(prompts) > 3
        for label, prompt in prompts:
            assert moc.MoCRequest(prompt=prompt).prompt and 0 < len(label) < 40


@pytest.mark.parametrize("genre", ["scene", "explanation", "code", "speech", "how-to", "story"])
def test_the_examples_are_beginnings_that_the_model_has_read(genre):
    """An example in words that the generator no longer uses would be one more prompt of which the model knows nothing."""
    first_words = {"scene": "noite|night", "explanation": "O que é|What is", "code": "Python", "speech": "Discurso|Speech"}
    wanted = first_words.get(genre, {"how-to": "banho|school bag", "story": "Era uma|Once"}.get(genre))
    asked = {
        prompt for prompts in demo.EXAMPLES.values() for _, prompt in prompts if re.search(wanted, prompt) and "novo" not in prompt.lower()
    }
    firsts, seconds, write = stories._GENRES[genre]
    pairs = list(itertools.product(range(len(firsts)), range(len(seconds))))
    read = "\n".join(
        write(Dice("example", i), language, *pairs[i % len(pairs)])
        for i in range(8000 if genre == "scene" else 800)
        for language in LANGUAGES
    )
    assert len(asked) == 2 and all(prompt in read for prompt in asked)


def sentences(markup: str, language: str) -> list[str]:
    """The story in one language, as plain text."""
    return [re.sub(r"<[^>]+>", "", told) for told in re.findall(rf'<span class="i18n" lang="{language}">(.*?)</span>', markup)]


@pytest.mark.parametrize(("k", "n"), [(2, 8), (3, 8), (8, 8)])
def test_the_ministers_story_is_five_sentences_and_fits_any_number_of_chosen(k, n):
    markup = story.markup(MoCModelConfig(top_k=k, n_experts=n))
    for language, council in (("en", f"of the {n} ministers the {k}"), ("pt-BR", f"dos {n} ministros são escolhidos os {k}")):
        plain = sentences(markup, language)
        assert len(plain) == 5 and all(sentence.endswith(".") and sentence.count(".") == 1 for sentence in plain)
        assert any(council in sentence for sentence in plain)
    assert markup.count("<svg") == 5
    assert "of the n ministers the k" in re.sub(r"<[^>]+>", "", story.markup(None))


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, "drafts, meet, vote, confer, answer"),
        ({"top_k": 1}, "drafts, meet, vote, answer"),
        ({"meeting": False}, "vote, confer, answer"),
        ({"meeting": False, "cross_all": True}, "drafts, vote, confer, answer"),
        ({"peer_attention": False}, "drafts, meet, vote, answer"),
        ({"ffn": "soft_all"}, "drafts, vote, answer"),
        ({"ffn": "top_k"}, "vote, answer"),
        ({"ffn": "switch", "top_k": 1}, "vote, answer"),
    ],
)
def test_the_story_tells_of_no_step_that_the_model_lacks(changes, steps):
    """Of a checkpoint that chooses without a meeting the story said that every minister drafts and that they meet; of one that chooses one,
    "são escolhidos os 1" and "the 1 with the highest scores are chosen"."""
    config, steps = MoCModelConfig.tiny().replace(**changes), steps.split(", ")
    english, portuguese = (sentences(story.markup(config), language) for language in ui.LANGUAGES)
    words = {"drafts": "rascunha", "meet": "reúnem", "vote": "votação", "confer": "conversam", "answer": "resposta"}
    assert [word for word in words if re.search(rf"\b{word}\b", " ".join(english))] == steps
    assert [word for word, theirs in words.items() if re.search(rf"\b{theirs}\b", " ".join(portuguese))] == steps
    talk, one = len(steps) > 2 and config.ffn == "moc", config.top_k == 1
    assert ("so much talk" in english[-1]) == ("tanta conversa" in portuguese[-1]) == (talk and not one)
    assert ("the one with the highest score is chosen" in " ".join(english)) == ("é escolhido o que tem" in " ".join(portuguese)) == one
    assert story.markup(config).count('class="tick"') == (8 if config.ffn == "soft_all" else config.top_k)


def test_where_all_ministers_are_chosen_the_story_says_so():
    """A soft mixture adds up all of its experts; of its 8 ministers the story let 2 be chosen, as its config's unused top_k says."""
    markup = story.markup(MoCModelConfig(ffn="soft_all", n_experts=8, top_k=2))
    plain = re.sub(r"<[^>]+>", "", markup)
    assert "all 8 ministers are chosen" in plain and "todos os 8 ministros são escolhidos" in plain
    assert "of the 8 ministers" not in plain and "são escolhidos os" not in plain
    vote = markup.split("<svg")[2]  # they draft, they vote, they answer
    assert vote.count('class="chosen"') == vote.count('class="tick"') == 8 and 'class="minister"' not in vote


def test_a_checkpoint_is_described_from_its_files(model):
    found = demo.moc_load()
    counts = moc.parameter_counts(model.config.model_config)
    assert (found["parameters"], found["active"]) == (counts.total, counts.active)
    assert (found["experts"], found["chosen"], found["layers"], found["window"]) == (8, 2, 4, model.config.max_seq_len)
    markup = about.VIEW.markup(found)
    assert "2 of 8 chosen" in markup and "2 de 8 escolhidos" in markup and "All experts are heard" in markup
    assert "All experts are heard" not in about.VIEW.markup({**found, "meeting": False})


@pytest.mark.parametrize(
    "changes", [{}, {"refine": True}, {"refine": True, "consensus": True, "rank": 5}, {"ffn": "soft_all"}, {"top_k": 1}]
)
def test_the_active_parameters_on_the_page_are_the_librarys(tmp_path, changes):
    """What an expert heard in the meeting turns its own units (refine), so those weights rest with it. The page counted them as active:
    123,584 for the tiny model, where parameter_counts, and so the card, says 119,488."""
    config = MoCModelConfig.tiny().replace(**changes)
    counts = moc.parameter_counts(config)
    assert changes != {"refine": True} or counts.active == 119_488
    (tmp_path / "config.json").write_text(json.dumps({"family": "moc"} | config.to_dict()))
    assert about.details(tmp_path, counts.total)["active"] == counts.active


def test_sizes_in_config_json_are_the_models(model):
    assert common.settings_of("") == model.config.model_config
    assert common.settings_of("owner/not-here") is None


# --- what if on the page ------------------------------------------------------------------------------------------------------------


def test_the_first_token_that_differs_is_marked_in_both_continuations():
    assert what_if.side([" um", " g", "ato", " viu"], 1) == ' um<mark data-first> g</mark><span class="moc-other">ato viu</span>'
    assert what_if.side([" um", "\n", "a"], 1) == ' um<mark data-first>↵</mark><span class="moc-other">a</span>'
    assert what_if.side([" um", " <b>"], None) == " um &lt;b&gt;"
    assert "the text ends" in what_if.side([" um"], 1)
    assert what_if.side(["🌙…", "…🌙…", "…🌙", "a"], 3) == '🌙<mark data-first>a</mark><span class="moc-other"></span>'


def test_a_result_says_what_the_wish_costs_in_both_languages():
    found = demo.moc_what_if("Era uma vez um gato", mute="0", max_new_tokens=5)
    markup = what_if.result_html(found)
    before, after = found["bits_per_byte"]
    assert f"{before:.3f} → {after:.3f}" in markup and markup.count("<li data-kind") == len(found["tokens"])
    assert all(f'lang="{language}"' in markup for language in ui.LANGUAGES)


def test_the_board_has_the_experts_of_the_model_in_use():
    assert what_if.board_value(moc.CHECKPOINT) == {"experts": 8, "layers": 4, "chosen": 2, "mute": "", "bias": ""}
    assert what_if.board_value("owner/not-here")["experts"] == 0


def test_a_note_of_what_if_is_in_both_languages():
    """It was English on the Portuguese page."""
    found = demo.moc_what_if("um gato " * 400, mute="0", max_new_tokens=1)
    english, portuguese = (" ".join(sentences(what_if.result_html(found), language)) for language in ("en", "pt-BR"))
    assert found["note"] in english and "are listed" not in portuguese and "aparecem os 255 mais novos" in portuguese


HARNESS = """(() => {
  const element = document.body, props = { value: VALUE }, WORDS = {}, watch = () => {};
  const trigger = () => { window.wishes = [props.value.mute, props.value.bias]; };
  SCRIPT
})()"""


@needs_chromium
def test_the_board_shows_what_the_wishes_say(browser):
    """A wish below 0 was shown as "Favour", and the slider of strength turned it into a favour; an expert muted everywhere was "Normal" in
    a layer, and stayed mute there when it was set to that."""
    page = browser.new_page()
    page.set_content('<div class="moc-board"></div>')
    value = {"experts": 4, "layers": 3, "chosen": 2, "mute": "3", "bias": "0.2=-1 1=2 0.0=1"}
    page.evaluate(HARNESS.replace("VALUE", json.dumps(value)).replace("SCRIPT", common.asset("board.js")))

    def states() -> list[str]:
        return [row.get_attribute("data-state") for row in page.locator("li").all()]

    assert states() == ["normal", "favour", "normal", "mute"]
    page.locator("[data-where='0']").click()
    assert states() == ["favour", "favour", "", "mute"] and page.locator("[data-expert='2'][aria-pressed=true]").count() == 0
    page.locator("input[type=range]").fill("4")
    assert page.evaluate("wishes") == ["3", "0.2=-1 1=2 0.0=4"]
    page.locator("[data-expert='3'][data-wish=normal]").click()
    page.locator("[data-expert='1'][data-wish=mute]").click()
    page.locator("[data-expert='2'][data-wish=favour]").click()
    assert states() == ["favour", "mute", "favour", "normal"]
    mute, bias = (text.split() for text in page.evaluate("wishes"))
    assert set(mute) == {"1.3", "2.3", "0.1"} and set(bias) == {"1.1=2", "2.1=2", "0.0=4", "0.2=4"}  # in the other layers as they were
    page.close()


def test_taking_the_last_wish_back_takes_the_result_back():
    """Setting the last expert back to Normal fired nothing: the effect of a wish that was no more stayed on the page."""
    others = (5, 0.0, 1.0, 0, "")
    empty = ui.empty_state(common.TEXTS, "if_empty")
    assert "moc-effects" in what_if.compare_live("Era uma vez", "0", "", *others, request_from())
    assert what_if.compare_live("Era uma vez", "", " ", *others, request_from()) == empty
    with pytest.raises(gr.Error, match="mute or expert_bias must name an expert"):  # whoever presses Compare is told what is missing
        what_if.compare("Era uma vez", "", "", *others, request_from())
    assert what_if.board_again("", request_from())[1:] == ("", "", empty)
    page = demo.build_demo()
    names = {block.elem_id: number for number, block in page.blocks.items() if getattr(block, "elem_id", None)}
    fired = [f for f in page.fns.values() if (names["moc-if-live"], "click") in f.targets]
    assert [f.fn.__name__ for f in fired] == ["compare"] and fired[0].fn is what_if.compare_live
    assert [block.elem_id for block in fired[0].outputs] == ["moc-if-result"]
    assert "!(board.mute + board.bias).trim()" in what_if.IF_TEXT


def test_a_visitor_from_elsewhere_compares_with_no_folder(monkeypatch, tmp_path):
    """The page's own handler did not pass on who asks, so that a visitor through a tunnel counted as somebody at this computer."""
    monkeypatch.setattr(models, "shared", lambda: models.ModelCache(10**9))
    with pytest.raises(gr.Error, match="this server loads no folders"):
        what_if.compare("Era uma vez", "0", "", 5, 0.0, 1.0, 0, str(tmp_path), request_from(client="192.168.1.9"))
