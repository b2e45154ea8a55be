"""`evaluate` on whatever a visitor brings, and what stands behind its distances."""

import functools
import json

import numpy as np
import pytest
import torch

from lunaris.core.images import from_model, png_bytes
from lunaris.pixel import PixelConfig, evaluate, features, metrics, sprites
from lunaris.pixel.config import FlowConfig, PixelTrainConfig
from lunaris.pixel.data import SpriteSet, load_source
from lunaris.pixel.model import LunarCore
from lunaris.pixel.request import PixelRequest
from lunaris.pixel.train import prepare

KIDS = ("kid", "kid_train_captions", "kid_held_out_captions", "kid_floor", "kid_floor_whole", "kid_floor_held_out")
ISSUE = ("psnr_db", "kid", "kid_floor", "retrieval_r1_of_32", "isolated_pixel_rate", "faint_alpha_rate")


@functools.cache
def model_of(**changes) -> LunarCore:
    """An untrained model; text and flow as asked."""
    config = PixelConfig.tiny().replace(**{"latent_dim": 8, "filters": (8, 16)} | changes)
    torch.manual_seed(0)
    return prepare(config, PixelTrainConfig(), load_source("procedural", side=config.side, n=60)).eval()


def flow_model() -> LunarCore:
    return model_of(sampler="flow", flow=FlowConfig(filters=(8, 16), blocks=(1, 1), word_dim=8, condition_dim=16))


def spec_model() -> LunarCore:
    return model_of(use_text=False, text_gate=False, head="mse", norm="batch", input_shape=(8, 8, 3))


def folder_of(path, n: int, side: int = 16, name=lambda i, caption: caption):
    """A folder of n PNGs, each called as `name` says."""
    made = sprites.make(n, side=side, seed=3)
    for i, (image, caption) in enumerate(zip(made.images, made.captions, strict=True)):
        (path / f"{name(i, caption).replace(' ', '_')}-{i:03}.png").write_bytes(png_bytes(image))
    return path


# --- evaluate ---------------------------------------------------------------------------------------------------------------------


def test_evaluate_gives_every_figure_of_the_issue_with_its_floor():
    report = evaluate(model_of(), "procedural", n=48)
    assert report["not_measured"] == {} and report["n"] == 48 and report["measured_on"] == "held-out groups"
    assert all(isinstance(report[name], float) for name in (*ISSUE, *KIDS)) and all(report[f"{name}_spread"] >= 0 for name in KIDS)
    assert report["kid"] > 10 * max(abs(report["kid_floor"]), abs(report["kid_floor_whole"]))  # it draws nothing like a sprite yet
    assert json.loads(json.dumps(report)) == report


def test_evaluate_is_the_same_twice_and_leaves_the_mode_alone():
    model = model_of()
    model.train()
    assert evaluate(model, "procedural", n=33, seed=5) == evaluate(model, "procedural", n=33, seed=5)
    assert model.training
    model.eval()


def test_five_pictures_are_too_few_for_a_distance_but_not_for_a_report(tmp_path):
    report = evaluate(model_of(), folder_of(tmp_path, 5))
    assert report["n"] >= 1 and report["psnr_db"] > 0
    assert {name for name in report if report[name] is None} == {*KIDS, "retrieval_r1_of_32"} == set(report["not_measured"])
    assert report["not_measured"]["kid"] == "a distance needs 32 sprites, and there are 5"
    assert "32 distinct captions" in report["not_measured"]["retrieval_r1_of_32"]


def test_one_group_is_measured_whole_and_says_that_none_is_held_out(tmp_path):
    """A visitor's folder of 40 frames of one thing: no validation part exists, which used to be an error."""
    report = evaluate(model_of(), folder_of(tmp_path, 40, name=lambda i, caption: "slime"))
    assert report["measured_on"] == "all sprites: no group is held out" and report["n"] == 40
    assert report["kid"] > 0 and report["kid_held_out_captions"] is None and report["kid_train_captions"] > 0
    assert "no group is held out" in report["not_measured"]["kid_floor_held_out"]


def test_a_folder_without_a_picture_is_still_an_error(tmp_path):
    with pytest.raises(ValueError, match="holds no PNG"):
        evaluate(model_of(), tmp_path)


def test_an_rgb_model_without_text_is_compared_with_the_data_on_white(tmp_path):
    """8x8, no captions read, BatchNorm, three channels: against transparent sprites every picture of its own would look wrong."""
    report = evaluate(spec_model(), folder_of(tmp_path, 90, side=8), n=64)
    assert report["kid"] > 0 and report["faint_alpha_rate"] == report["faint_alpha_rate_of_data"] == 0
    for name in ("kid_train_captions", "kid_held_out_captions", "retrieval_r1_of_32"):
        assert report[name] is None and report["not_measured"][name] == "the model reads no text"
    data = load_source(tmp_path, side=8, split="all")
    assert (metrics.on_white(data).images[..., 3] == 255).all()


def test_the_largest_sprites_are_measured_too():
    report = evaluate(model_of(input_shape=(64, 64, 4), filters=(8, 8, 8)), "procedural", n=32)
    assert report["kid"] > 0 and report["psnr_db"] > 0


def test_a_flow_checkpoint_has_its_quality_mode_beside_the_instant_one():
    report = evaluate(flow_model(), "procedural", n=32)
    for name in ("kid", "kid_train_captions", "kid_held_out_captions", "isolated_pixel_rate", "faint_alpha_rate"):
        assert report[f"quality_{name}"] != report[name], name
    assert "quality_psnr_db" not in report  # the flow reconstructs nothing


def test_captions_that_say_nothing_or_hold_odd_characters_are_drawn(tmp_path):
    made = sprites.make(40, seed=3)
    np.savez(tmp_path / "x.npz", images=made.images)
    captions = ["", "\u0000\u200b", "🐉" * 300, *made.captions[3:]]
    rows = [json.dumps({"caption": caption, "group": f"g{i}"}) for i, caption in enumerate(captions)]
    (tmp_path / "x.captions.jsonl").write_text("\n".join(rows))
    report = evaluate(flow_model(), tmp_path, n=40)
    assert report["kid"] > 0 and report["quality_kid"] > 0


def test_without_the_feature_network_everything_else_is_measured(tmp_path, monkeypatch):
    """A Space ships the checkpoint it opens and not this one."""
    monkeypatch.setenv("LUNARIS_CHECKPOINTS", str(tmp_path))
    monkeypatch.setattr(features.models, "shared", lambda: features.models.ModelCache(0))
    report = evaluate(model_of(), "procedural", n=40)
    assert set(report["not_measured"]) == set(KIDS) and "pixel-features" in report["not_measured"]["kid"]
    assert report["psnr_db"] > 0 and report["retrieval_r1_of_32"] is not None


# --- drawing for captions -----------------------------------------------------------------------------------------------------------


def test_what_is_measured_is_what_a_visitor_gets_bit_for_bit():
    model, captions = model_of(), ["a red potion", "", "chave  azul", "qwertz"]
    alone = [model.generate(1, caption, seed=7 + i, **usual("instant")) for i, caption in enumerate(captions)]
    assert torch.equal(metrics.draw(model, captions, seed=7), torch.cat(alone))


def test_the_flow_is_measured_on_what_a_visitor_gets_up_to_rounding():
    model, captions = flow_model(), ["a red potion", "", "green tree"] * 25
    drawn = metrics.draw(model, captions, seed=3, mode="quality")
    for i in (0, 1, 70):
        torch.testing.assert_close(drawn[i : i + 1], model.generate(1, captions[i], seed=3 + i, **usual("quality")), rtol=0, atol=1e-3)


def usual(mode: str) -> dict:
    """The settings that a visitor changes nothing of; whoever changes a default changes what is to be measured."""
    request = PixelRequest(mode=mode)
    return {name: getattr(request, name) for name in ("temperature", "guidance", "mode", "steps")} | {"candidates": request.drafts}


# --- distances ----------------------------------------------------------------------------------------------------------------------


def test_no_group_is_in_both_halves_and_they_are_about_equal():
    groups = [f"g{i % 13}" for i in range(100)] + ["large"] * 20
    for seed in range(5):
        one, other = metrics.group_halves(groups, seed)
        assert sorted(one + other) == list(range(120))
        assert {groups[i] for i in one} & {groups[i] for i in other} == set() and abs(len(one) - len(other)) <= 20
    assert metrics.group_halves(groups, 0) != metrics.group_halves(groups, 1)


def test_random_halves_hold_every_row_once():
    one, other = metrics.random_halves(11, 0)
    assert sorted(one + other) == list(range(11)) and len(one) == 5


def test_an_artist_of_the_datas_own_hand_is_at_no_distance_and_one_of_noise_far_away():
    data = load_source("procedural", side=16, n=300, seed=1)
    asked: list[str] = []

    def same_hand(captions, seed):
        asked.extend(captions)
        return sprites.make(len(captions), seed=50 + seed).images

    def noise(captions, seed):
        return np.random.default_rng(seed).integers(0, 256, (len(captions), 16, 16, 4), np.uint8)

    assert abs(metrics.caption_kid(same_hand, data, n=100).value) < 0.05 < 1 < metrics.caption_kid(noise, data, n=100).value
    assert len(asked) == 100 and set(asked) <= set(data.captions)


def test_the_reference_leaves_out_the_sprites_that_were_asked_for(monkeypatch):
    """An artist that hands back the asked sprites themselves must not be compared with those very sprites."""
    images = sprites.make(200, seed=1).images
    images[:, 0, 0] = [[i, 0, 0, 255] for i in range(200)]  # each carries its row
    numbers = tuple(map(str, range(200)))
    seen: list[set[int]] = []
    real = features.features
    monkeypatch.setattr(features, "features", lambda net, images: (seen.append(set(images[:, 0, 0, 0].tolist())), real(net, images))[1])
    metrics.caption_kid(lambda captions, seed: images[list(map(int, captions))], SpriteSet(images, numbers, numbers), n=80)
    drawn, reference = seen
    assert len(drawn) == 80 and drawn | reference == set(range(200)) and not drawn & reference


def test_few_captions_are_asked_for_in_turn():
    data = load_source("procedural", side=16, n=40, seed=1)
    asked: list[str] = []

    def artist(captions, seed):
        asked.extend(captions)
        return sprites.make(len(captions), seed=9).images

    metrics.caption_kid(artist, data, n=100)
    counts = [asked.count(caption) / data.captions.count(caption) for caption in set(data.captions)]
    assert len(asked) == 100 and min(counts) >= 2 and max(counts) <= 3


def test_faint_alpha_counts_the_pixels_a_visitor_never_sees():
    pictures = torch.zeros(1, 4, 2, 2)
    pictures[0, 3] = torch.tensor([[0.0, 0.05], [0.099, 0.5]])
    assert metrics.faint_alpha_rate(pictures) == 0.5 and (from_model(pictures)[..., 3] > 0).sum() == 1
