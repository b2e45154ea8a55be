"""The feature network and the distance in its features: the estimator against plain loops, the order of known damage, safe loading."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lunaris import pixel
from lunaris.core import hub
from lunaris.core.images import from_model, to_model
from lunaris.pixel import features, sprites
from lunaris.pixel.features import FeatureNet, FeaturesConfig, kid, mmd2


@pytest.fixture(scope="module")
def net():
    return features.load()


def points(n: int, seed: int, shift: float = 0.0, d: int = 16) -> torch.Tensor:
    """n random feature vectors of length √d around a direction."""
    raw = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    raw[:, 0] += shift
    return F.normalize(raw, dim=-1) * d**0.5


def test_distance_is_the_unbiased_estimate_of_the_paper():
    """Bińkowski et al. 2018, eq. 4, written as three loops."""
    x, y = points(5, 1).tolist(), points(4, 2).tolist()

    def k(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    within_x = sum(k(x[i], x[j]) for i in range(5) for j in range(5) if i != j) / 20
    within_y = sum(k(y[i], y[j]) for i in range(4) for j in range(4) if i != j) / 12
    across = sum(k(a, b) for a in x for b in y) / 20
    assert mmd2(torch.tensor(x), torch.tensor(y)) == pytest.approx(within_x + within_y - 2 * across, abs=1e-5)


def test_distance_of_small_draws_from_one_source_is_zero_on_average_and_negative_at_times():
    """A biased estimate would be above zero for every draw."""
    values = [mmd2(points(12, seed), points(12, 1000 + seed)) for seed in range(300)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 300**0.5 and min(values) < 0


def test_spread_tells_how_far_other_draws_would_be():
    draws = [kid(points(100, seed, 0.8), points(100, 1000 + seed)) for seed in range(40)]
    told, seen = np.mean([draw.spread for draw in draws]), np.std([draw.value for draw in draws])
    assert 0.5 * seen < told < 2 * seen


def test_the_same_seed_gives_the_same_distance():
    x, y = points(20, 1), points(20, 2)
    assert kid(x, y, seed=3) == kid(x, y, seed=3) and kid(x, y, seed=3).spread != kid(x, y, seed=4).spread


def test_a_handful_of_sprites_has_no_distance():
    with pytest.raises(ValueError, match="at least 4 sprites on each side, got 3 and 50"):
        kid(points(3, 1), points(50, 2))


@pytest.mark.parametrize("side", [8, 16, 32, 64])
def test_every_size_of_sprite_has_features_of_one_length_in_any_batch(net, side):
    images = sprites.make(6, side=side, seed=4).images
    found = features.features(net, images)
    torch.testing.assert_close(found.norm(dim=1), torch.full((6,), net.config.dim**0.5))
    torch.testing.assert_close(features.features(net, images[2:3]), found[2:3], rtol=0, atol=1e-3)


def test_no_sprites_have_no_features_and_other_sizes_are_refused(net):
    assert features.features(net, np.zeros((0, 16, 16, 4), np.uint8)).shape == (0, net.config.dim)
    for side in (4, 128):
        with pytest.raises(ValueError, match=f"sides of 8 to 64 pixels, got {side}x{side}"):
            features.features(net, np.zeros((1, side, side, 4), np.uint8))


def test_damage_moves_sprites_away_and_more_damage_further(net):
    """The order that matters: other sprites of the generator < blurred ones < noise."""
    reference = features.features(net, sprites.make(200, seed=1).images)
    pictures = to_model(sprites.make(100, seed=2).images)
    blurred = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1)), 3, 1)
    noise = torch.rand(pictures.shape, generator=torch.Generator().manual_seed(0))
    clean, soft, none = (kid(features.features(net, from_model(x)), reference).value for x in (pictures, blurred, noise))
    assert abs(clean) < 0.05 and 0.5 < soft < none


def test_the_network_names_what_it_sees_better_than_chance(net):
    """The weights in the repository are trained: of pairs it never saw, the likeliest of 12 colour words is right too often for luck."""
    words = {word: i for i, word in enumerate(net.config.words)}
    colours = [(i, words[colour.name_en]) for i, colour in enumerate(sprites.COLOURS) if colour.name_en in words]
    made = sprites.make(200, seed=9, split="validation", portuguese=0.0)
    with torch.no_grad():
        likeliest = net(to_model(made.images))[:, [column for _, column in colours]].argmax(1)
    right = [colours[j][0] == label for j, label in zip(likeliest.tolist(), made.labels[:, 1].tolist(), strict=True)]
    assert len(colours) == 12 and np.mean(right) > 0.2


def test_it_is_loaded_once(net):
    assert features.load() is net and not net.training


def test_it_survives_being_saved_up_to_half_precision(tmp_path):
    torch.manual_seed(0)
    small = FeatureNet(FeaturesConfig(widths=(8, 16), dim=8, words=("red", "potion"))).eval()
    folder = features.save(small, tmp_path / "net", card="")
    again = features.load(str(folder))
    images = sprites.make(3).images
    assert again.config == small.config
    torch.testing.assert_close(features.features(again, images), features.features(small, images), rtol=0, atol=0.02)


def test_it_is_no_model_that_draws_and_a_model_that_draws_is_no_feature_network():
    """Loaded in each other's place, both would fail with a list of missing weights."""
    with pytest.raises(ValueError, match="'pixel-features', not 'pixel'"):
        pixel.load("pixel-features")
    with pytest.raises(ValueError, match="family 'pixel', not 'pixel-features'"):
        features.load("pixel-16")


def test_a_damaged_config_is_one_sentence(tmp_path):
    small = FeatureNet(FeaturesConfig(widths=(8,), dim=8))
    config = {"family": "pixel-features", "model": {"widths": [8], "dim": 8, "layers": 9}}
    folder = hub.save(tmp_path / "net", tensors=small.state_dict(), config=config)
    with pytest.raises(ValueError, match="unknown key 'model.layers'"):
        features.load(str(folder))


def test_without_the_network_the_sentence_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("LUNARIS_CHECKPOINTS", str(tmp_path))
    monkeypatch.setattr(features.models, "shared", lambda: features.models.ModelCache(0))
    with pytest.raises(FileNotFoundError, match="pixel-features"):
        features.load()
