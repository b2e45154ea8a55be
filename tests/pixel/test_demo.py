"""The Pixel Art tab without a browser: who may load what, what files hold, what the page says (PX-17, PX-18, PX-22)."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from lunaris import pixel
from lunaris.core import hub, images, models, ui
from lunaris.core.card import for_page
from lunaris.core.config import ConfigError
from lunaris.pixel import demo, sprites
from lunaris.pixel.demo import about as about_view
from lunaris.pixel.demo import words

ROOT = Path(__file__).parents[2]


def request_from(client: str = "127.0.0.1", host: str = "127.0.0.1:7860", **headers: str) -> gr.Request:
    return gr.Request(headers={"host": host, **headers}, client={"host": client, "port": 5000})


@pytest.fixture
def cache(monkeypatch):
    """A model cache of this test's own."""
    fresh = models.ModelCache(10**9)
    monkeypatch.setattr(models, "shared", lambda: fresh)
    return fresh


@pytest.fixture
def own_model(tmp_path):
    """A folder with another checkpoint: the bundled one, its weights a little moved."""
    model = pixel.load("pixel-16")
    for parameter in model.parameters():
        parameter.data.mul_(1.05)
    return pixel.save(model, tmp_path / "mine", card="---\nlicense: mit\n---\n# Mine\n")


# --- who may name a folder -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "request_"),
    [
        ({"SPACE_ID": "someone/space"}, request_from()),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, request_from()),
        ({"GRADIO_SERVER_NAME": "192.168.1.5"}, request_from()),
        ({}, request_from(client="192.168.1.9", host="192.168.1.5:7860")),
        ({}, request_from(client="192.168.1.9")),
        ({}, request_from(host="abc.gradio.live")),
        ({}, request_from(host="evil.example:7860")),
        ({}, request_from(**{"x-forwarded-for": "8.8.8.8"})),
        ({}, request_from(host="")),
    ],
    ids=["space", "all-interfaces", "lan", "from-lan", "spoofed-host", "share-link", "rebound-name", "proxy", "no-host"],
)
def test_a_visitor_from_elsewhere_may_not(env, request_, monkeypatch, cache, own_model):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert not ui.serves_only_this_machine(request_)
    with pytest.raises(ConfigError, match="this server loads no folders: give the name of a bundled checkpoint"):
        demo.model_for(str(own_model), request_)


def test_a_relative_folder_is_no_way_round_for_a_visitor_from_elsewhere(monkeypatch, cache, own_model, fresh_hub):
    """out/mine has the shape of owner/name: from elsewhere it means the Hub."""
    monkeypatch.chdir(own_model.parents[1])
    ref = f"{own_model.parent.name}/mine"
    assert demo.model_for(ref, request_from()).folder.name == "mine"
    with pytest.raises(hub.HubError, match=own_model.parent.name):
        demo.model_for(ref, request_from(host="abc.gradio.live"))


def test_the_operators_own_default_is_served_to_everybody(monkeypatch, cache, own_model):
    """A notebook on Colab shares its tab, opened on the checkpoint it has just trained."""
    monkeypatch.setenv("LUNARIS_MODEL", str(own_model))
    elsewhere = request_from(host="abc.gradio.live")
    assert demo.model_for("", elsewhere).folder == own_model
    assert demo.model_for(str(own_model), elsewhere).folder == own_model


@pytest.mark.parametrize("ref", [None, 3, ["pixel-16"], {"path": "x"}])
def test_a_model_that_is_no_text_is_one_sentence(ref, cache):
    with pytest.raises(ConfigError, match="model must be a text, got .*; try 'pixel-16'"):
        demo.model_for(ref, None)


# --- handlers --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def uploads(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    return tmp_path / "uploads"


def test_the_tab_draws_what_the_library_draws(uploads):
    pictures, sheet, bundle, report, _, _ = demo.pixel_generate("a red potion", 5, 11)
    expected = pixel.generate(pixel.load("pixel-16"), "a red potion", n=5, seed=11)
    np.testing.assert_array_equal([images.read_image(path) for path, _ in pictures], expected)
    assert [caption for _, caption in pictures] == [f"{i + 1} · {11 + i}" for i in range(5)]
    np.testing.assert_array_equal(images.read_image(sheet), images.grid(expected))
    assert report["unknown_words"] == []
    assert report["weights"] == hub.weight_hash(hub.resolve("pixel-16"))
    assert {key: report[key] for key in ("prompt", "n", "seed", "model", "side")} == {
        "prompt": "a red potion",
        "n": 5,
        "seed": 11,
        "model": "pixel-16",
        "side": 16,
    }
    with zipfile.ZipFile(bundle) as files:
        assert len(files.namelist()) == 5 + 5 + 3
        for i, image in enumerate(expected):
            np.testing.assert_array_equal(images.read_image(files.read(f"x1/a-red-potion-{11 + i}.png")), image)
            large = images.read_image(files.read(f"x8/a-red-potion-{11 + i}.png"))
            np.testing.assert_array_equal(large, np.kron(image, np.ones((8, 8, 1), np.uint8)))
        assert files.read("a-red-potion-11-sheet.png") == Path(sheet).read_bytes()


def test_the_same_order_gives_the_same_files_byte_for_byte(uploads):
    first, again = (demo.pixel_generate("a blue key", 3, 5) for _ in range(2))
    assert (*first[:3], *first[4:]) == (*again[:3], *again[4:])  # equal bytes are one file
    assert Path(first[2]).read_bytes()[:2] == b"PK"


def test_an_empty_prompt_draws_anything_and_an_unknown_word_is_named(uploads):
    assert "unknown_words" not in demo.pixel_generate("", 1)[3]
    assert demo.pixel_generate("a red zyxwv", 1)[3]["unknown_words"] == ["zyxwv"]


def test_a_morph_between_prompts_ends_where_generate_is(uploads):
    gif, frames, strip, report = demo.pixel_interpolate_prompts("a red potion", "a blue key", 5, seed=3)
    model = pixel.load("pixel-16")
    ends = [pixel.generate(model, prompt, n=1, seed=3)[0] for prompt in ("a red potion", "a blue key")]
    np.testing.assert_array_equal(images.read_image(frames[0][0]), ends[0])
    np.testing.assert_array_equal(images.read_image(frames[-1][0]), ends[1])
    assert len(frames) == report["steps"] == 5
    assert images.read_image(strip).shape == (16, 80, 4)
    assert Path(gif).read_bytes()[:6] == b"GIF89a"


def test_a_morph_between_pictures_takes_pictures_of_any_size(uploads, tmp_path):
    Image.new("RGB", (200, 90), "red").save(tmp_path / "photo.jpg")
    Image.new("RGBA", (16, 16), "blue").save(tmp_path / "sprite.png")
    _, frames, _, report = demo.pixel_interpolate({"path": str(tmp_path / "photo.jpg")}, {"path": str(tmp_path / "sprite.png")}, 4)
    assert len(frames) == 4
    assert all(images.read_image(path).shape == (16, 16, 4) for path, _ in frames)
    assert "seed" not in report


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: demo.pixel_generate("x" * 10_000), "prompt must be at most 300 characters, got 10000"),
        (lambda: demo.pixel_generate("a\x00b"), "without control characters"),
        (lambda: demo.pixel_generate("a", 65), "n must be a whole number from 1 to 64, got 65"),
        (lambda: demo.pixel_generate("a", temperature=float("nan")), "temperature must be a finite number from 0 to 2, got nan"),
        (lambda: demo.pixel_interpolate_prompts("", "a key"), "both prompts must say something"),
        (lambda: demo.pixel_interpolate_prompts("a", "b", 33), "steps must be a whole number from 2 to 32, got 33; try 10"),
        (lambda: demo.pixel_interpolate({}, {}), "first must be a picture, got none"),
        (lambda: demo.pixel_interpolate({"path": __file__}, {}), "is not a readable picture"),
        (lambda: demo.pixel_load("no-such-model"), "no-such-model"),
        # half a character, which JSON can carry: the tokenizer answered with a TypeError, the visitor got a report number
        (lambda: demo.pixel_generate("a \ud800"), "prompt must be plain text without control characters"),
        (lambda: demo.pixel_interpolate_prompts("a", "\udfff"), "prompt must be plain text without control characters"),
        (lambda: demo.pixel_generate("a", palette="sunset"), "palette must be one of gameboy, pico8, nes, c64 or a list of hex colours"),
        (lambda: demo.pixel_generate("a", palette="#102030"), "palette must have from 2 to 256 different colours, got 1"),
        (lambda: demo.pixel_interpolate_prompts("a", "b", palette="#102030"), "palette must have from 2 to 256 different colours, got 1"),
        (lambda: demo.pixel_generate("a", colours=1), "colours must be 0 (as drawn) or 2 to 64, got 1"),
        (lambda: demo.pixel_generate("a", background="red"), "background must be a colour of six hex digits, got 'red'; try '#203040'"),
        (lambda: demo.pixel_generate("a", mode="best"), "mode must be one of"),
        (lambda: demo.pixel_generate("a", candidates=9), "candidates must be a whole number from 0 to 8, got 9"),
        (lambda: demo.pixel_generate("a", n=4, cells="5:1"), "cells must name cells from 1 to 4, got 5; try '1:1'"),
        (lambda: demo.pixel_generate("a", cells="five:1"), "cells must be at most 64 pairs of cell:seed, got 'five:1'; try '3:91823 7:12'"),
        (lambda: demo.pixel_generate("a", cells="1:9999999999"), "seed must be a whole number from 0 to 4294967295"),
        (lambda: demo.pixel_generate("a", scale=33), "scale must be a whole number from 1 to 32, got 33; try 8"),
        (lambda: demo.pixel_generate("a", scale=True), "scale must be a whole number from 1 to 32, got True; try 8"),
    ],
)
def test_a_bad_order_is_one_sentence(call, sentence, uploads):
    with pytest.raises(gr.Error) as error:
        call()
    assert sentence in error.value.message
    assert "\n" not in error.value.message


def test_a_checkpoint_is_described_from_its_files(uploads, own_model, cache):
    about = demo.pixel_load(str(own_model))
    model = pixel.load(own_model)
    assert about["parameters"] == sum(p.numel() for p in model.state_dict().values())
    assert (about["side"], about["latent_dim"], about["use_text"]) == (model.config.side, model.config.latent_dim, True)
    assert about["weights"] == hub.weight_hash(own_model)
    assert "# Mine" in about["card"]
    markup = about_view.VIEW.markup(about)
    for language in ("en", "pt-BR"):
        assert f'lang="{language}"' in markup
    assert "16×16" in markup  # PX-22: the limits name the size


# --- the page --------------------------------------------------------------------------------------------------------------------


def test_a_card_brings_no_pictures_no_markup_and_no_front_matter():
    """A visitor's browser fetches nothing that a stranger's card names."""
    card = "---\nlicense: mit\n---\n# Name\n![a](https://x.example/a.png) ![b][1]\n<img src='https://x.example/c.png'> <script>x</script>\n[link](https://y.example)\n"
    text = for_page(card)
    assert text.startswith("# Name")
    assert "x.example" not in text
    assert "license" not in text
    assert "<" not in text
    assert "[link](https://y.example)" in text


@pytest.mark.parametrize("language", ui.LANGUAGES)
def test_every_example_names_a_thing_and_a_colour_the_model_was_trained_on(language):
    for prompt in demo.EXAMPLES[language]:
        kind, colour = sprites.parse(prompt)
        assert kind is not None, prompt
        assert colour is not None, prompt
        pixel.PixelRequest(prompt=prompt)


def test_both_languages_offer_the_same_examples():
    assert [sprites.parse(p) for p in demo.EXAMPLES["en"]] == [sprites.parse(p) for p in demo.EXAMPLES["pt-BR"]]


def test_the_words_of_both_languages_are_buttons():
    markup = words.markup({})
    for lists in sprites.word_lists().values():
        for word in (*lists["colours"], *lists["kinds"]):
            assert f'data-text="{word}"' in markup


def test_every_argument_of_every_endpoint_is_described():
    """MCP and OpenAPI take their descriptions from the docstrings."""
    from gradio.utils import get_function_description

    for handler in (demo.pixel_generate, demo.pixel_interpolate_prompts, demo.pixel_interpolate, demo.pixel_load, demo.pixel_replay):
        description, parameters, returns = get_function_description(handler)
        described = {name for name, text in parameters.items() if text}
        assert set(parameters) - described <= {"request", "progress"}, handler.__name__
        assert description
        assert returns


def test_the_endpoints_keep_their_arguments_and_no_helper_is_listed():
    page = ui.page({"pixel": demo.build_demo()}, {})
    page.config = page.get_config_file()
    listed = page.get_api_info()["named_endpoints"]
    assert set(listed) >= {"/pixel_generate", "/pixel_interpolate_prompts", "/pixel_interpolate", "/pixel_load", "/pixel_replay"}
    assert all(name.startswith("/pixel_") for name in listed)
    names = [parameter["parameter_name"] for parameter in listed["/pixel_generate"]["parameters"]]
    assert names[:6] == ["prompt", "n", "seed", "temperature", "guidance", "model"]  # of the first version: calls by position go on
    assert names[6:] == ["mode", "steps", "candidates", "palette", "colours", "background", "cells", "scale"]


def test_building_the_page_loads_no_torch_and_asks_no_network():
    code = """
import socket, sys
def refuse(*args, **kwargs): raise AssertionError("asked the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from lunaris.core import serving
app = serving.create_app()
assert not app.state.tabs["pixel"].error, app.state.tabs["pixel"].error
assert "torch" not in sys.modules
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("ref", ["owner/not-fetched", "/no/such/folder"])
def test_a_default_that_is_not_here_yet_does_not_stop_the_page(ref, monkeypatch):
    """A Space whose LUNARIS_MODEL is on the Hub opens at once and fetches it on the first click."""
    monkeypatch.setenv("LUNARIS_MODEL", ref)
    markup = json.dumps(demo.build_demo().get_config_file(), default=str)
    assert ref in markup
    assert "Press Load to fetch this checkpoint." in markup


def test_duplicate_is_offered_on_a_space_only(monkeypatch):
    def offered() -> bool:
        return any(isinstance(block, gr.DuplicateButton) for block in demo.build_demo().blocks.values())

    assert not offered()
    monkeypatch.setenv("SPACE_ID", "someone/space")
    assert offered()
