"""A model of twice the side starts as the small one, pixel for pixel."""

import numpy as np
import pytest
import torch

from lunaris.core import runtime
from lunaris.core.config import ConfigError
from lunaris.core.images import to_model
from lunaris.pixel import grow, load, save
from lunaris.pixel.config import FlowConfig, MatcherConfig, PixelConfig, PixelTrainConfig
from lunaris.pixel.data import SpriteSet, load_source
from lunaris.pixel.model import LunarCore
from lunaris.pixel.train import prepare, train

FLOW = FlowConfig(filters=(8, 16), blocks=(1, 1), word_dim=8, condition_dim=16)
SMALL = PixelConfig.tiny().replace(
    latent_dim=8, filters=(8, 16), sampler="flow", flow=FLOW, ranking="matcher", matcher=MatcherConfig(filters=(8, 16), dim=16)
)
RUN = PixelTrainConfig.tiny()


def doubled(images: np.ndarray) -> np.ndarray:
    return images.repeat(2, 1).repeat(2, 2)


@pytest.fixture(scope="module")
def data() -> SpriteSet:
    return load_source("procedural", side=16, n=60)


@pytest.fixture(scope="module")
def small(data: SpriteSet) -> LunarCore:
    """Every weight random, those too that a flow starts at zero: else it would draw nothing whatever its other weights were."""
    model = prepare(SMALL, RUN, data).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.fixture(scope="module")
def grown(small: LunarCore, data: SpriteSet) -> LunarCore:
    """From the same sprites with every pixel doubled, so that words and colours are the same ones."""
    model = prepare(grow.doubled(SMALL), RUN, SpriteSet(doubled(data.images), data.captions, data.groups))
    grow.grow(model, small)
    return model.eval()


@torch.no_grad()
def test_the_grown_model_draws_the_small_ones_sprites_with_every_pixel_doubled(small, grown, data):
    """Each part alone, and a prompt's sprite as a whole. A second path: the small model's answer, enlarged."""
    z, text = small.noise(1, 6), small.embed(["red potion"]).expand(6, -1)
    torch.testing.assert_close(grown.embed(["red potion"]).expand(6, -1), text)
    larger = small.decode(z, text).repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(grown.decode(z, text), larger)
    ours, theirs = grown.generate(2, "um gato azul", seed=5, candidates=4), small.generate(2, "um gato azul", seed=5, candidates=4)
    torch.testing.assert_close(ours, theirs.repeat_interleave(2, -1).repeat_interleave(2, -2))
    images = to_model(data.images[:5], 4)
    for mine, known in zip(grown.encode(to_model(doubled(data.images[:5]), 4)), small.encode(images), strict=True):
        torch.testing.assert_close(mine, known, atol=1e-5, rtol=1e-5)
    prompts = ["red potion", "peixe"]
    torch.testing.assert_close(grown.match(to_model(doubled(data.images[:5]), 4), prompts), small.match(images, prompts))
    x, t, meaning = torch.randn(5, 4, 16, 16), torch.rand(5), torch.randn(5, 8)
    tokens, mask = small.tokens(["red potion"] * 5)
    large = x.repeat_interleave(2, -1).repeat_interleave(2, -2)
    mine = grown.flow(large, t, *grown.flow.read(tokens, mask), meaning, large)
    known = small.flow(x, t, *small.flow.read(tokens, mask), meaning, x)
    torch.testing.assert_close(mine, known.repeat_interleave(2, -1).repeat_interleave(2, -2), atol=1e-5, rtol=1e-5)


def test_new_words_start_as_the_mean_of_their_pieces_and_new_colours_beside_the_old(small):
    """ "yaktaur" is a token of the new data; the small model spelt it out."""
    images = np.zeros((40, 32, 32, 4), np.uint8)
    images[:, 8:24, 8:24] = (250, 10, 15, 255)  # nearly a red that the small model has
    captions = tuple(["yaktaur", "red potion"] * 20)
    model = prepare(grow.doubled(SMALL), RUN, SpriteSet(images, captions, captions))
    grow.grow(model, small)
    (token,), pieces = model.tokenizer.encode("yaktaur"), small.tokenizer.encode("yaktaur")
    assert len(pieces) > 1
    rows = small.flow.embedding.weight[pieces]
    torch.testing.assert_close(model.flow.embedding.weight[token], rows.mean(0))
    before, after = small.head.palette[small.head.used > 0], model.head.palette[model.head.used > 0]
    changed = (before != after).any(1)
    assert len(before) == len(after) and changed.sum() == 1  # transparent is known already
    new = torch.tensor([250, 10, 15, 255]) / 255
    torch.testing.assert_close(after[changed][0], new)
    assert torch.cdist(new[None], before).argmin() == changed.nonzero()[0, 0]


def test_a_model_that_differs_in_more_than_size_is_refused_by_name(small, data):
    for change, key in (({"latent_dim": 16}, "latent_dim"), ({"patch": 1}, "patch"), ({"filters": (8, 24)}, "filters")):
        model = LunarCore.from_config(grow.doubled(SMALL).replace(**change))
        with pytest.raises(ConfigError, match=f"to grow from init_from, {key} must be that of it with every patch doubled"):
            grow.grow(model, small)


def test_a_part_that_only_one_of_the_two_has_binds_nobody(small, data):
    """A flow may be added to a VAE that grows alone, in any size; it starts fresh."""
    alone = prepare(SMALL.replace(sampler="normal", ranking="latent"), RUN, data)
    wide = FlowConfig(filters=(16, 24), blocks=(1, 1), patch=4)
    model = prepare(grow.doubled(SMALL).replace(flow=wide, ranking="latent"), RUN, data)
    fresh = {name: value.clone() for name, value in model.flow.state_dict().items()}
    grow.grow(model, alone)
    assert all(torch.equal(value, fresh[name]) for name, value in model.flow.state_dict().items())
    assert torch.equal(model.encoder.mean.weight, alone.encoder.mean.weight)


def test_a_grown_model_can_keep_its_picture_weights_too(tmp_path, small, data):
    """`freeze` was passed over in silence when the model grew."""
    save(small, tmp_path / "small")
    run = RUN.replace(init_from=str(tmp_path / "small"), freeze=True)
    model = prepare(grow.doubled(SMALL), run, SpriteSet(doubled(data.images), data.captions, data.groups))
    free = {name.partition(".")[0] for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert free == {"text_encoder", "fusion", "null", "text_gate"}


def test_training_grows_from_half_the_side_and_changes_only_its_stage(tmp_path, small):
    """The VAE is trained first, the flow and the matcher that grew with it wait for their own stages; a second stage finds them."""
    save(small, tmp_path / "small")
    config = grow.doubled(SMALL)
    run = RUN.replace(steps=2, batch_size=8, sprites=24, warmup_steps=0, device="cpu", init_from=str(tmp_path / "small"))
    vae = load(train(config, run, tmp_path / "vae", progress=False))
    data = load_source("procedural", side=32, n=24, seed=0)
    runtime.seed_everything(run.seed)  # as the training does, for the rows of words that no caption has
    start = prepare(config, run, data)

    def changed(model: LunarCore, other: LunarCore) -> set[str]:
        weights, others = model.state_dict(), other.state_dict()
        return {name.partition(".")[0] for name, value in weights.items() if not torch.equal(value, others[name])}

    assert {"encoder", "decoder"} <= changed(vae, start) and not {"flow", "matcher"} & changed(vae, start)
    painted = load(train(config, run.replace(stage="flow", init_from=str(tmp_path / "vae")), tmp_path / "flow", progress=False))
    assert changed(painted, vae) == {"flow"}
    assert vae.generate(1, "red potion", mode="quality").shape == (1, 4, 32, 32)
