"""LunarisCore's inference: one checked order, the same bytes however it comes in; and the figures of `evaluate`."""

import math

import numpy as np
import pytest

from lunaris.core.config import ConfigError
from lunaris.core.images import from_model, read_image, to_model, upscale
from lunaris.pixel import (
    PixelConfig,
    PixelFiles,
    PixelRequest,
    evaluate,
    generate,
    generate_request,
    interpolate,
    interpolate_prompts,
    replay,
    save_result,
    sprites,
    unknown_words,
)
from lunaris.pixel.config import PixelTrainConfig
from lunaris.pixel.data import load_source
from lunaris.pixel.metrics import faint_alpha_rate, isolated_pixel_rate, psnr, reconstruction_metrics, retrieval_r1
from lunaris.pixel.train import prepare


@pytest.fixture(scope="module")
def model():
    config = PixelConfig.tiny().replace(latent_dim=16, filters=(8, 16))
    return prepare(config, PixelTrainConfig(), load_source("procedural", side=16, n=200)).eval()


def test_request_and_keywords_give_the_same_bytes(model):
    order = {"prompt": "uma poção vermelha", "n": 3, "seed": 9, "temperature": 0.5, "guidance": 2.0}
    images = generate(model, **order)
    assert images.shape == (3, 16, 16, 4) and images.dtype == np.uint8
    assert np.array_equal(images, generate_request(model, PixelRequest.from_dict(order)))


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"prompt": "x" * 10_000}, "prompt must be at most 300 characters, got 10000"),
        ({"prompt": "a\nb"}, "without control characters"),
        ({"prompt": "a\x00b"}, "without control characters"),
        ({"prompt": 3}, "prompt must be a text, got 3"),
        ({"prompt": None}, "prompt must be a text, got None"),
        ({"n": 0}, "n must be a whole number from 1 to 64, got 0; try 16"),
        ({"n": 65}, "n must be a whole number from 1 to 64, got 65"),
        ({"n": 2.5}, "n must be a whole number"),
        ({"n": True}, "n must be a whole number"),
        ({"seed": -1}, "seed must be a whole number from 0 to 4294967295, got -1"),
        ({"seed": 2**32}, "seed must be a whole number"),
        ({"seed": 2**32 - 1, "n": 2}, r"seed \+ n must stay within 2\*\*32"),
        ({"temperature": math.nan}, "temperature must be a finite number from 0 to 2, got nan"),
        ({"temperature": "hot"}, "temperature must be a finite number from 0 to 2, got 'hot'"),
        ({"guidance": math.inf}, "guidance must be a finite number from 0 to 5, got inf"),
        ({"guidance": 6}, "guidance must be a finite number from 0 to 5, got 6"),
        ({"colour": "red"}, "unknown key 'colour'"),
    ],
)
def test_bad_orders_are_refused_in_one_sentence(order, message):
    with pytest.raises(ConfigError, match=message):
        PixelRequest.from_dict(order)


def test_empty_prompt_and_unicode_are_fine(model):
    for prompt in ("", "   ", "日本", "🐉", "é" * 300):
        assert generate(model, prompt, n=1).shape == (1, 16, 16, 4)


def test_interpolations_have_exact_ends(model):
    first, last = sprites.make(2, side=16, seed=3, split="all").images
    path = interpolate(model, first, last, steps=5)
    reconstructed = from_model(model.reconstruct(to_model(np.stack([first, last]))))
    assert len(path) == 5 and np.array_equal(path[[0, -1]], reconstructed)
    assert np.array_equal(interpolate(model, upscale(first, 3), last, steps=5), path)  # enlarged pixel art is the same picture
    words = interpolate_prompts(model, "a red potion", "a blue key", steps=4, seed=2, slerp=True)
    assert np.array_equal(words[0], generate(model, "a red potion", n=1, seed=2)[0])
    assert np.array_equal(words[-1], generate(model, "a blue key", n=1, seed=2)[0])


@pytest.mark.parametrize("steps", [1, 65, True])
def test_interpolation_steps_are_checked(model, steps):
    with pytest.raises(ValueError, match="steps must be a whole number from 2 to 64"):
        interpolate_prompts(model, "a", "b", steps=steps)


def test_interpolating_an_empty_prompt_is_one_sentence(model):
    with pytest.raises(ValueError, match="both prompts must say something"):
        interpolate_prompts(model, " ", "a blue key")


def test_unknown_words_are_named_whatever_accents_and_case(model, monkeypatch):
    monkeypatch.setattr(model, "words", {"uma": 3, "poção": 2, "a": 2, "red": 1, "potion": 1})
    assert unknown_words(model, "Uma POCAO quântica, a red potion") == ["quântica"]


def test_a_cell_with_a_seed_of_its_own_is_what_that_seed_gives_alone_and_the_others_stay(model):
    images, alone = generate(model, "a red potion", n=4, seed=9), generate(model, "a red potion", n=1, seed=500)[0]
    mixed = generate(model, "a red potion", n=4, seed=9, cells="3:500")
    assert np.array_equal(mixed[2], alone) and np.array_equal(mixed[[0, 1, 3]], images[[0, 1, 3]])
    with pytest.raises(ConfigError, match="cells must name cells from 1 to 4, got 5; try '1:1'"):
        generate(model, n=4, cells="5:1")


def test_saved_sheet_reads_back(model, tmp_path):
    images = generate(model, n=4)
    sheet = read_image(save_result(images, tmp_path / "s.png", PixelFiles(scale=2, columns=4)))
    assert np.array_equal(sheet[:, :32], upscale(images[0], 2)) and sheet.shape == (32, 128, 4)
    with pytest.raises(ValueError, match=r"--out must end in \.png, \.gif or \.zip, got 's.exe'"):
        save_result(images, tmp_path / "s.exe")
    with pytest.raises(OSError, match="cannot write .*choose another --out"):
        save_result(images, tmp_path / "none" / "s.png")


def test_no_sheet_is_written_that_nothing_reads_again(model, tmp_path):
    """The command line wrote them, stamped, and replay refused them; at scale 64 one took gigabytes."""
    images = np.zeros((64, 16, 16, 4), np.uint8)
    assert read_image(save_result(images, tmp_path / "s.png", PixelFiles(scale=32, columns=8))).shape == (4096, 4096, 4)
    for write in (
        lambda: save_result(images, tmp_path / "t.png", PixelFiles(scale=64, columns=8)),
        lambda: replay.png(images, None, scale=64),
        lambda: replay.png(images, None, scale=33),
    ):
        with pytest.raises(ValueError, match="the sheet must have at most 16,777,216 pixels, got .*; use a smaller scale or fewer sprites"):
            write()
    assert not (tmp_path / "t.png").exists()
    assert read_image(replay.png(images, None, index=3, scale=64)).shape == (1024, 1024, 4)


# --- figures -----------------------------------------------------------------------------------------------------------------------


def test_psnr_of_known_error():
    pictures = to_model(sprites.make(3, split="all").images)
    assert psnr(pictures, pictures) == 99 and psnr(pictures, pictures + 0.1) == pytest.approx(20, abs=1e-3)


def test_isolated_pixels_equal_a_plain_loop():
    images = sprites.make(10, split="all", seed=4).images
    images[0, 5, 5] = (255, 0, 255, 255)
    pixels = to_model(images).movedim(1, -1).numpy()
    alone = opaque = 0
    for picture in pixels:
        for y in range(16):
            for x in range(16):
                if picture[y, x, 3] > 0.5:
                    around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
                    values = [picture[j, i] if 0 <= j < 16 and 0 <= i < 16 else np.zeros(4) for j, i in around]
                    alone += all(np.abs(picture[y, x] - value).max() > 0.12 for value in values)
                    opaque += 1
    assert isolated_pixel_rate(images) == pytest.approx(alone / opaque)


def test_faint_alpha_is_counted_before_it_is_cleaned():
    pictures = to_model(sprites.make(1, split="all").images)
    pictures[0, 3, 0, :4] = 0.05
    assert faint_alpha_rate(pictures) == pytest.approx(4 / 256) and faint_alpha_rate(pictures[:, :3]) == 0


def test_retrieval_is_1_for_a_perfect_pair_and_chance_for_noise(model, monkeypatch):
    """An encoder and a text encoder that agree on every caption find it; an untrained pair finds one in 32."""
    import torch

    held = load_source("procedural", side=16, split="validation", n=200, seed=2)
    assert 0.0 <= retrieval_r1(model, held, draws=40) < 0.12
    vectors = {caption: torch.randn(16) for caption in held.captions}
    rows = sorted({caption: row for row, caption in reversed(list(enumerate(held.captions)))}.values())
    perfect = torch.stack([vectors[held.captions[row]] for row in rows])
    monkeypatch.setattr(model, "encode", lambda images: (perfect, perfect))
    monkeypatch.setattr(model, "embed", lambda prompts: torch.stack([vectors[p] for p in prompts]))
    assert retrieval_r1(model, held, draws=5) == 1.0
    with pytest.raises(ValueError, match="32 distinct captions"):
        retrieval_r1(model, held.take(range(5)))


def test_reconstruction_metrics_leave_the_mode_alone(model):
    model.train()
    figures = reconstruction_metrics(model, load_source("procedural", side=16, n=20))
    assert model.training and set(figures) == {"psnr_db", "kl_nats", "active_dims"}
    model.eval()


def test_evaluate_gives_its_figures_with_sample_size_and_references(model):
    report = evaluate(model, "procedural", n=40)
    assert report["n"] == 40 and report["retrieval_chance"] == 1 / 32 and 0 <= report["isolated_pixel_rate"] <= 1
    assert report["faint_alpha_rate"] == 0 and 0 < report["isolated_pixel_rate_of_data"] < 0.5
