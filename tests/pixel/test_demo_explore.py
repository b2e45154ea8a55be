"""The Explore view without a browser: endpoints against the library, files that replay, what the page holds."""

import gradio as gr
import numpy as np
import pytest

from lunaris import pixel
from lunaris.core import images, provenance, ui
from lunaris.pixel import demo, explore, replay, sprites
from lunaris.pixel.demo import explore as view

FOUR = "a red cat | a green ghost | a blue potion | a yellow sword"


@pytest.fixture(scope="module")
def model():
    return pixel.load("pixel-16")


@pytest.fixture(autouse=True)
def uploads(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    view._maps.clear()


# --- the map ---------------------------------------------------------------------------------------------------------------------


def test_the_map_shows_what_the_library_maps_and_its_file_says_how(model):
    path, report = view.pixel_map(FOUR, 3, x=0.5, y=-0.25, zoom=2)
    expected = explore.latent_map(model, FOUR, seed=3, x=0.5, y=-0.25, zoom=2)
    np.testing.assert_array_equal(images.read_image(path), images.grid(expected, columns=13))
    assert report["names"] == FOUR.split(" | ") and "names_pt" not in report
    assert {key: report[key] for key in ("x", "y", "zoom", "cells", "side", "model")} == {
        "x": 0.5, "y": -0.25, "zoom": 2, "cells": 13, "side": 16, "model": "pixel-16",
    }  # fmt: skip
    assert replay.check(path).outcome == "identical"


def test_a_map_without_a_prompt_names_what_it_drew_in_both_languages():
    _, report = view.pixel_map("", 1)
    assert [sprites.parse(name) for name in report["names"]] == [sprites.parse(name) for name in report["names_pt"]]
    assert len(set(report["names"])) == 4


def test_a_map_is_drawn_once_and_the_oldest_make_room(monkeypatch):
    drawn = []
    monkeypatch.setattr(explore, "latent_map", lambda model, *args, real=explore.latent_map, **kw: drawn.append(1) or real(model, **kw))
    monkeypatch.setattr(view, "KEPT", 2)
    first = view.pixel_map("a cat", 0)[0]
    assert view.pixel_map("a cat", 0)[0] == first and len(drawn) == 1
    for seed in (1, 2):
        view.pixel_map("a cat", seed)
    assert len(view._maps) == 2
    assert view.pixel_map("a cat", 0)[0] == first and len(drawn) == 4


def test_a_refused_map_leaves_nothing_behind():
    with pytest.raises(gr.Error, match="zoom must be a finite number"):
        view.pixel_map("a cat", zoom=0.0)
    assert not view._maps


def test_a_point_is_what_the_library_decodes_in_two_sizes_that_replay(model):
    png, large, report = view.pixel_map_point(0.31, -0.7, FOUR, 3, temperature=0.5, guidance=1.5)
    expected = explore.decode_point(model, 0.31, -0.7, prompt=FOUR, seed=3, temperature=0.5, guidance=1.5)[0]
    np.testing.assert_array_equal(images.read_image(png), expected)
    np.testing.assert_array_equal(images.read_image(large), np.kron(expected, np.ones((8, 8, 1), np.uint8)))
    assert report["n"] == 1 and report["seed"] == 3
    for path in (png, large):
        assert replay.check(path).outcome == "identical"
    assert view.pixel_map_point(0.31, -0.7, FOUR, 3, temperature=0.5, guidance=1.5)[:2] == (png, large)


# --- arithmetic ------------------------------------------------------------------------------------------------------------------


def test_a_sum_shows_results_terms_and_steps_that_all_replay(model):
    results, of_terms, sums, report = view.pixel_arithmetic('red potion - red + 1.5*blue - "zyx - wvu"', 3, 5, palette="pico8")
    found = explore.work_out(model, 'red potion - red + 1.5*blue - "zyx - wvu"', n=3, seed=5, palette="pico8")
    for shown, expected in ((results, found.results), (of_terms, found.of_terms), (sums, found.sums)):
        np.testing.assert_array_equal([images.read_image(path) for path, _ in shown], expected)
        assert [replay.check(path).outcome for path, _ in shown] == ["identical"] * len(shown)
    assert [caption for _, caption in results] == ["1 · 5", "2 · 6", "3 · 7"]
    assert [caption for _, caption in of_terms] == ["red potion", "− red", "+ 1.5×blue", '− "zyx - wvu"']
    assert [caption for _, caption in sums][1:3] == ["red potion − red", "red potion − red + 1.5×blue"]
    assert provenance.read(results[1][0])["args"]["expression"] == report["expression"]
    assert report["unknown_words"] == ["zyx", "wvu"] and report["n"] == 3


def test_the_steps_are_drawn_on_the_page_and_captions_are_no_markup():
    _, of_terms, sums, _ = view.pixel_arithmetic('cat + "<b>hat</b>"', 1)
    items = [[{"image": {"path": path}, "caption": caption} for path, caption in shown] for shown in (of_terms, sums)]
    markup = view.sum_html(*items)
    assert markup.count("<li>") == 4 and "&lt;b&gt;hat" in markup and "<b>" not in markup


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: view.pixel_map("a | b | c"), "a map takes one, two or four prompts with | between them, got 'a | b | c'"),
        (lambda: view.pixel_map("a", seed=-1), "seed must be a whole number from 0 to 4294967295, got -1"),
        (lambda: view.pixel_map("a", x=9), "x and y must be a finite number from -4 to 4, got 9"),
        (lambda: view.pixel_map_point(9, 0), "x and y must be a finite number from -8 to 8, got 9"),
        (lambda: view.pixel_map_point(float("nan"), 0), "x and y must be a finite number from -8 to 8, got nan"),
        (lambda: view.pixel_map_point(0, 0, model="no-such-model"), "no-such-model"),
        (lambda: view.pixel_arithmetic(""), "expression must have from 1 to 8 terms, got 0; try 'cat + hat - red'"),
        (lambda: view.pixel_arithmetic("cat + "), "cannot read '+' as a term"),
        (lambda: view.pixel_arithmetic("cat - cat"), "the terms cancel each other out"),
        (lambda: view.pixel_arithmetic("cat", 65), "n must be a whole number from 1 to 64, got 65"),
        (lambda: view.pixel_arithmetic("cat", palette="#000000"), "palette must have from 2 to 256 different colours, got 1"),
    ],
)
def test_a_bad_order_is_one_sentence(call, sentence):
    with pytest.raises(gr.Error) as error:
        call()
    assert sentence in error.value.message
    assert "\n" not in error.value.message


# --- the page --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ui.LANGUAGES)
def test_every_example_can_be_read_and_names_things_the_model_knows(language, model):
    for prompt in view.MAPS[language]:
        for name in prompt.split("|"):
            assert sprites.parse(name)[0] is not None, name
            assert not pixel.unknown_words(model, name)
    for expression in view.SUMS[language]:
        for term in explore.parse(expression):
            assert any(index is not None for index in sprites.parse(term.text)), term


def test_both_languages_offer_the_same_examples():
    for english, portuguese in zip(*view.MAPS.values(), strict=True):
        assert [sprites.parse(name) for name in english.split("|")] == [sprites.parse(name) for name in portuguese.split("|")]
    for english, portuguese in zip(*view.SUMS.values(), strict=True):
        meant = [[(sprites.parse(term.text), term.weight) for term in explore.parse(text)] for text in (english, portuguese)]
        assert meant[0] == meant[1]


def test_every_argument_of_every_endpoint_is_described():
    from gradio.utils import get_function_description

    for handler in (view.pixel_map, view.pixel_map_point, view.pixel_arithmetic):
        description, parameters, returns = get_function_description(handler)
        described = {name for name, text in parameters.items() if text}
        assert set(parameters) - described <= {"request"}, handler.__name__
        assert description and returns


def test_the_endpoints_take_what_their_signatures_say():
    listed = demo.build_demo().get_api_info()["named_endpoints"]
    for handler in (view.pixel_map, view.pixel_map_point, view.pixel_arithmetic):
        names = [name for name in handler.__annotations__ if name not in ("return", "request")]
        assert [p["parameter_name"] for p in listed[f"/{handler.__name__}"]["parameters"]] == names
