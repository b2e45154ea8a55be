"""The latent map and the arithmetic on prompts: points against generate and closed forms, the grammar against what people type."""

import math
import re

import numpy as np
import pytest
import torch

from lunaris import pixel
from lunaris.core.config import ConfigError
from lunaris.core.images import fit_square
from lunaris.pixel import PixelConfig, explore, generate, palette, sprites
from lunaris.pixel.config import PixelTrainConfig
from lunaris.pixel.data import load_source
from lunaris.pixel.explore import Term, arithmetic, combine, decode_point, latent_map, parse, plane, reconstruct, work_out, written
from lunaris.pixel.pixelise import pixelise
from lunaris.pixel.train import prepare

FOUR = "a red cat | a green ghost | a blue potion | a yellow sword"


def core(**changes) -> pixel.LunarCore:
    torch.manual_seed(0)
    config = PixelConfig.tiny().replace(latent_dim=16, filters=(8, 16), **changes)
    return prepare(config, PixelTrainConfig(), load_source("procedural", side=config.side, n=200)).eval()


@pytest.fixture(scope="module")
def model():
    return core()


@pytest.fixture(scope="module")
def textless():
    return core(use_text=False, text_gate=False)


@pytest.fixture(scope="module")
def shipped():
    return pixel.load("pixel-16")


# --- the map ---------------------------------------------------------------------------------------------------------------------


def test_the_corners_of_four_prompts_are_what_generate_draws(model):
    order = {"seed": 7, "temperature": 0.5, "guidance": 1.5}
    for name, (x, y) in zip(FOUR.split(" | "), ((-1, 1), (1, 1), (-1, -1), (1, -1)), strict=True):
        np.testing.assert_array_equal(decode_point(model, x, y, prompt=FOUR, **order), generate(model, name, n=1, **order))


def test_the_middle_of_four_prompts_is_their_mean(model):
    surface = plane(model, FOUR, seed=3)
    texts = model.embed(FOUR.split(" | "))
    torch.testing.assert_close(surface.at(0.0, 0.0)[1], texts.mean(0, keepdim=True))
    torch.testing.assert_close(surface.at(0.5, 1.0)[1], 0.25 * texts[:1] + 0.75 * texts[1:2])
    torch.testing.assert_close(surface.at(0.3, -0.6)[0], model.noise(3) * 0.7, rtol=0, atol=0)


def test_two_prompts_turn_into_each_other_and_upwards_z_changes(model):
    for name, x in (("a red cat", -1), ("a blue key", 1)):
        np.testing.assert_array_equal(
            decode_point(model, x, 0, prompt="a red cat | a blue key", seed=5), generate(model, name, n=1, seed=5)
        )
    surface = plane(model, "a red cat|a blue key", seed=5)
    assert torch.equal(surface.at(0.2, 0.0)[0], surface.at(-0.8, 0.0)[0])
    assert not torch.equal(surface.at(0.2, 0.5)[0], surface.at(0.2, 0.0)[0])


def test_one_prompt_stays_while_z_turns_away_from_the_seeds_own(model):
    np.testing.assert_array_equal(decode_point(model, 0, 0, prompt="a cat", seed=5), generate(model, "a cat", n=1, seed=5))
    surface = plane(model, "a cat", seed=5, temperature=0.7)
    z0, right, up = torch.cat([model.noise(5, draft=draft) for draft in range(3)])
    for x, y in ((0.5, 0), (0, -1), (1.5, 0.25), (8, 8)):
        z, text = surface.at(x, y)
        expected = z0 + x * right + y * up
        torch.testing.assert_close(z[0], 0.7 * expected * z0.norm() / expected.norm())
        assert torch.equal(text, model.embed(["a cat"]))


def test_no_prompt_draws_four_different_things_from_the_seed(model):
    names = plane(model, "", seed=1).names
    assert len({sprites.parse(name)[0] for name in names}) == len({sprites.parse(name)[1] for name in names}) == 4
    assert names == plane(model, " ", seed=1).names != plane(model, "", seed=2).names
    np.testing.assert_array_equal(latent_map(model, "", seed=1, cells=3), latent_map(model, " | ".join(names), seed=1, cells=3))


def test_a_model_without_text_maps_what_lies_between_four_sprites(textless):
    surface = plane(textless, seed=4)
    assert surface.names == () and surface.text is None
    _, pictures = explore._drawn(textless, 4)
    for picture, (x, y) in zip(pictures, ((-1, 1), (1, 1), (-1, -1), (1, -1)), strict=True):
        np.testing.assert_array_equal(decode_point(textless, x, y, seed=4), reconstruct(textless, picture))
    with pytest.raises(ValueError, match="this checkpoint was trained without text"):
        latent_map(textless, "a cat")


def test_a_model_that_knows_other_words_is_asked_without_them(model):
    """A checkpoint fine-tuned on somebody's own captions: drawn prompts in words it does not know would all look the same."""
    stranger = core()
    stranger.words = {"kobold": 9}
    assert plane(stranger, "").names == ()
    assert latent_map(stranger, "", cells=3).shape == (9, 16, 16, 4)


@pytest.mark.parametrize("prompt", ["", "a cat", "a cat | a key", FOUR])
def test_every_sprite_of_a_map_is_the_point_decoded_alone(shipped, prompt):
    """Bit for bit: in a batch the CPU sums in another order, and a pixel on the edge between two colours may flip."""
    view = {"x": 0.25, "y": -0.5, "zoom": 2.0}
    images = latent_map(shipped, prompt, seed=2, cells=5, **view)
    for i, image in enumerate(images):
        x, y = 0.25 + (i % 5 - 2) / 4, -0.5 - (i // 5 - 2) / 4
        np.testing.assert_array_equal(image, decode_point(shipped, x, y, prompt=prompt, seed=2)[0])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ({"prompt": "a | b | c"}, "a map takes one, two or four prompts with | between them, got 'a | b | c'"),
        ({"prompt": "a | "}, "a map takes one, two or four prompts"),
        ({"prompt": "|"}, "a map takes one, two or four prompts"),
        ({"prompt": "a | " + "x" * 301}, "prompt must be at most 300 characters, got 301"),
        ({"prompt": "a\x00b"}, "without control characters"),
        ({"seed": -1}, "seed must be a whole number from 0 to 4294967295, got -1"),
        ({"temperature": 3}, "temperature must be a finite number from 0 to 2, got 3"),
        ({"zoom": 0.1}, "zoom must be a finite number from 0.5 to 64, got 0.1; try 1"),
        ({"zoom": math.nan}, "zoom must be a finite number"),
        ({"x": 5}, "x and y must be a finite number from -4 to 4, got 5; try 0"),
        ({"cells": 2}, "cells must be a whole number from 3 to 21, got 2; try 13"),
    ],
)
def test_a_bad_map_is_one_sentence(model, call, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        latent_map(model, **call)


def test_a_bad_point_is_one_sentence(model):
    for point in ((9, 0), (0, math.inf), (True, 0)):
        with pytest.raises(ValueError, match="x and y must be a finite number from -8 to 8"):
            decode_point(model, *point)


# --- arithmetic ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "terms"),
    [
        ("cat", [("cat", 1)]),
        ("+ cat", [("cat", 1)]),
        ("cat + hat - red", [("cat", 1), ("hat", 1), ("red", -1)]),
        ("cat+hat−red", [("cat", 1), ("hat", 1), ("red", -1)]),  # a real minus sign
        ("  a red   cat\n+ a hat ", [("a red cat", 1), ("a hat", 1)]),
        ("1.5*cat + 0.5 × hat - 2*red", [("cat", 1.5), ("hat", 0.5), ("red", -2)]),
        ("1,5*gato - ,25*azul", [("gato", 1.5), ("azul", -0.25)]),
        ("0.00001*cat + 1.2345678*hat", [("cat", 1e-5), ("hat", 1.2345678)]),  # written as 1e-05, it could not be read again
        ("2 cats", [("2 cats", 1)]),  # without * a number is a word
        ("coração cor-de-rosa - rosa", [("coração cor-de-rosa", 1), ("rosa", -1)]),
        ("cat -red", [("cat", 1), ("red", -1)]),
        ("cat- red", [("cat", 1), ("red", -1)]),
        ("""cat + 'hat'""", [("cat", 1), ("'hat'", 1)]),
        ('"a cat + a hat" - 2*"red, flat"', [("a cat + a hat", 1), ("red, flat", -2)]),
        ("“cat” + hat", [("cat", 1), ("hat", 1)]),
        (" + ".join("abcdefgh"), [(c, 1) for c in "abcdefgh"]),
    ],
)
def test_what_people_type_is_read_as_they_mean_it(expression, terms):
    assert parse(expression) == tuple(Term(text, weight) for text, weight in terms)
    assert parse(written(parse(expression))) == parse(expression)


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("", "expression must have from 1 to 8 terms, got 0; try 'cat + hat - red'"),
        (" ", "expression must have from 1 to 8 terms, got 0"),
        (" + ".join("abcdefghi"), "expression must have from 1 to 8 terms, got 9"),
        ("x" * 10_000, "expression must be at most 300 characters, got 10000; say it shorter, such as 'cat + hat - red'"),
        ("- red + cat", "the first term must be added, got '- red'; start with what the picture shows"),
        ("cat + ", "cannot read '+' as a term; join prompts with + and -, such as 'cat + hat - red'"),
        ("cat + + hat", "cannot read '+ + hat' as a term"),
        ("cat * hat", "cannot read '* hat' as a term"),
        ("cat*2", "cannot read '*2' as a term"),
        ('cat + "hat', "cannot read '+ \"hat' as a term"),
        ('"cat" hat', "cannot read 'hat' as a term"),
        ('cat + ""', "cannot read '+ \"\"' as a term"),
        ("cat + ...", "cannot read '+ ...' as a term"),
        ("0*cat", "a weight must be above 0 and at most 4, got 0; try '1.5*cat + hat'"),
        ("99*cat", "a weight must be above 0 and at most 4, got 99"),
        ("1e999*cat", "cannot read"),
        ("9" * 299 + "*", "cannot read"),
    ],
)
def test_an_expression_that_cannot_be_read_is_one_sentence(expression, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse(expression)


def test_bad_settings_and_bad_prompts_are_one_sentence(model, textless):
    for expression, order, sentence in (
        ("cat", {"n": 65}, "n must be a whole number from 1 to 64, got 65"),
        ("cat", {"temperature": math.nan}, "temperature must be a finite number"),
        ("cat", {"palette": "red"}, "palette must be one of gameboy"),
        ("cat + a\x00b", {}, "without control characters"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            arithmetic(model, expression, **order)
    with pytest.raises(ValueError, match="the terms cancel each other out, so nothing is left to draw"):
        arithmetic(model, "cat - cat")
    with pytest.raises(ValueError, match="this checkpoint was trained without text"):
        arithmetic(textless, "cat + hat")


def test_the_sum_is_one_of_directions_as_long_as_what_is_added():
    texts = torch.tensor([[3.0, 0.0], [0.0, 5.0], [0.0, 8.0]])
    total = np.array([1.0, 2.0 - 0.5])  # 1·east + 2·north - 0.5·north
    expected = total / np.hypot(*total) * (3 + 5) / 2
    torch.testing.assert_close(combine(texts, [1.0, 2.0, -0.5]), torch.tensor(expected[None], dtype=torch.float32))
    assert torch.equal(combine(texts[:1], [1.5]), texts[:1])


def test_one_term_is_what_generate_draws_and_picture_i_is_the_same_alone(model):
    order = {"seed": 11, "temperature": 0.9, "guidance": 2.0, "palette": "pico8"}
    np.testing.assert_array_equal(arithmetic(model, "a red cat", n=3, **order), generate(model, "a red cat", n=3, **order))
    images = arithmetic(model, "cat + 0.5*hat - red", n=5, **order)
    assert palette.foreign_pixels(images, palette.parse("pico8")) == 0
    for i, image in enumerate(images):
        np.testing.assert_array_equal(image, arithmetic(model, "cat + 0.5*hat - red", n=1, **order | {"seed": 11 + i})[0])


def test_the_workings_show_each_term_and_each_sum_with_the_same_z(model):
    found = work_out(model, "cat + hat - red", n=4, seed=6)
    for term, own in zip(("cat", "hat", "red"), found.of_terms, strict=True):
        np.testing.assert_array_equal(own, generate(model, term, n=1, seed=6)[0])
    for k, step in enumerate(found.sums, 1):
        np.testing.assert_array_equal(step, arithmetic(model, written(found.terms[:k]), n=1, seed=6)[0])
    np.testing.assert_array_equal(found.sums[-1], found.results[0])
    assert len(found.results) == 4


def test_terms_that_cancel_on_the_way_leave_out_a_step(model):
    """cat - cat + ghost was refused for the step that nobody had asked to see."""
    found = work_out(model, "cat - cat + ghost", n=2, seed=6)
    assert [written(step) for step in found.steps] == ["cat", "cat - cat + ghost"] and len(found.sums) == 2
    np.testing.assert_array_equal(found.results[0], found.sums[1])
    np.testing.assert_array_equal(found.sums[0], generate(model, "cat", n=1, seed=6)[0])
    with pytest.raises(ValueError, match="the terms cancel each other out"):
        work_out(model, "ghost + cat - ghost - cat")


def test_colours_can_be_swapped_by_arithmetic(shipped):
    """The rule of `combine` was chosen by this: the right kind and colour by the nearest of all sprites that prompts give with this z."""
    kinds, colours = [kind.name_en for kind in sprites.KINDS[::4]], [colour.name_en for colour in sprites.COLOURS]
    known = {(k, c): generate(shipped, f"{c} {k}", n=1, seed=3)[0].astype(int) for k in kinds for c in colours}
    right = 0
    for i, kind in enumerate(kinds):
        old, new = colours[i % 12], colours[(i * 5 + 3) % 12]
        image = arithmetic(shipped, f"{old} {kind} - {old} + {new}", n=1, seed=3)[0]
        right += min(known, key=lambda pair: np.abs(known[pair] - image).sum()) == (kind, new)
    assert right >= 0.9 * len(kinds), f"{right} of {len(kinds)}"


# --- a picture through the model ---------------------------------------------------------------------------------------------------


def test_a_picture_of_any_size_comes_back_as_the_models_own_drawing(model):
    picture = np.random.default_rng(0).integers(0, 256, (40, 24, 4), dtype=np.uint8)
    drawn = reconstruct(model, picture)
    assert drawn.shape == (1, 16, 16, 4)
    np.testing.assert_array_equal(drawn, reconstruct(model, fit_square(picture, 16)))


def test_a_redrawn_picture_keeps_to_colours_as_pixel_art_of_it_would(model):
    """Pixel art could be quantised and the model's redrawing of a picture could not: whoever wanted both had to take two steps."""
    picture = sprites.make(1, side=16, seed=3).images[0]
    drawn = reconstruct(model, picture)[0]
    for how in ({"palette": "gameboy"}, {"palette": "pico8", "dither": "ordered"}, {"colours": 3, "dither": "floyd-steinberg"}):
        np.testing.assert_array_equal(reconstruct(model, picture, **how)[0], pixelise(drawn, side=16, **how))
    np.testing.assert_array_equal(reconstruct(model, picture, dither="ordered")[0], drawn)  # there is nothing to mix
    for wrong, sentence in (
        ({"palette": "red"}, "palette must be one of"),
        ({"colours": 1}, "colours must be 0 .as drawn. or 2 to 64, got 1"),
        ({"dither": "lots"}, "dither must be one of none, ordered, floyd-steinberg, got 'lots'"),
    ):
        with pytest.raises(ValueError, match=sentence):
            reconstruct(model, picture, **wrong)
