"""The quality sampler: its attention and steps against plain loops and closed forms, its training stage, its place in the checkpoint."""

import importlib
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lunaris.core.config import ConfigError
from lunaris.pixel import LunarCore, PixelConfig, PixelRequest, PixelTrainConfig, generate, load, train
from lunaris.pixel.config import FlowConfig
from lunaris.pixel.data import Batches, load_source
from lunaris.pixel.flow import Attention, FlowUNet, flow_loss, sample, waves

FLOW = FlowConfig(filters=(8, 16), blocks=(1, 1), word_dim=16, condition_dim=16)
SMALL = PixelConfig.tiny().replace(latent_dim=16, filters=(8, 16))
CONFIG = SMALL.replace(sampler="flow", flow=FLOW)
QUICK = PixelTrainConfig.tiny().replace(steps=3, batch_size=8, sprites=24, warmup_steps=0, tracker="none", device="cpu")


def awake(net: FlowUNet) -> FlowUNet:
    """The network with its zero-initialised layers filled, so that every path carries something."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            if not parameter.any():
                parameter.normal_(std=0.2)
    return net.eval()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(folder with the VAE alone, folder with the flow added to it)."""
    root = tmp_path_factory.mktemp("flow")
    vae = train(SMALL, QUICK, root / "vae", progress=False)
    flow = train(CONFIG, QUICK.replace(stage="flow", init_from=str(vae)), root / "flow", progress=False)
    return vae, flow


NOTHING = (torch.zeros(1, 16), torch.zeros(1, 4, 8, 8))  # no meaning, no sketch


class Known(FlowUNet):
    """A stand-in for the network that knows the sprite: the flow must end on it, whatever the steps."""

    def __init__(self, sprite):
        torch.nn.Module.__init__(self)
        self.sprite, self.calls = sprite, []

    def read(self, tokens, mask):
        return torch.zeros(*tokens.shape, 2), mask

    def forward(self, x, t, words, mask, meaning, sketch):
        self.calls.append(float(t[0]))
        return self.sprite.expand_as(x) * mask.any(1).float()[:, None, None, None]  # without a prompt: grey


@pytest.mark.parametrize("steps", [2, 3, 8])
def test_steps_follow_the_straight_line_to_the_sprite(steps):
    sprite, noise = torch.rand(1, 4, 8, 8) * 2 - 1, torch.randn(1, 4, 8, 8)
    net, tokens, mask = Known(sprite), torch.ones(1, 3, dtype=torch.long), torch.ones(1, 3, dtype=torch.bool)
    end = sample(net, noise, tokens, mask, *NOTHING, steps=steps, guidance=1.0)
    torch.testing.assert_close(end, (sprite + 1) / 2)
    assert net.calls == pytest.approx([i / steps for i in range(steps)])


def test_guidance_moves_away_from_the_picture_without_a_prompt():
    sprite = torch.full((1, 4, 8, 8), 0.25)
    tokens, mask = torch.ones(1, 3, dtype=torch.long), torch.ones(1, 3, dtype=torch.bool)
    end = sample(Known(sprite), torch.randn(1, 4, 8, 8), tokens, mask, *NOTHING, steps=4, guidance=3.0)
    torch.testing.assert_close(end, torch.full_like(end, (0.75 + 1) / 2))  # 0 + 3 · (0.25 - 0)
    end = sample(Known(sprite), torch.randn(1, 4, 8, 8), tokens, mask, *NOTHING, steps=4, guidance=0.0)
    torch.testing.assert_close(end, torch.full_like(end, 0.5))  # the prompt is ignored


@pytest.mark.parametrize(("until", "rows"), [(1.0, [2, 2, 2, 2]), (0.6, [2, 2, 2, 1]), (0.5, [2, 2, 1, 1]), (0.0, [1, 1, 1, 1])])
def test_late_steps_exaggerate_nothing_and_cost_one_row(until, rows):
    """Guidance in all of four steps left pixel-32's tiles more speckle than the real ones have, and every step cost two rows."""
    seen = []

    class Counting(Known):
        def forward(self, x, t, *told):
            seen.append(len(x))
            return super().forward(x, t, *told)

    sprite = torch.full((1, 4, 8, 8), 0.25)
    tokens, mask = torch.ones(1, 3, dtype=torch.long), torch.ones(1, 3, dtype=torch.bool)
    end = sample(Counting(sprite), torch.randn(1, 4, 8, 8), tokens, mask, *NOTHING, steps=4, guidance=3.0, until=until)
    assert seen == rows
    torch.testing.assert_close(end, torch.full_like(end, ((0.75 if rows[-1] == 2 else 0.25) + 1) / 2))


def test_a_prompt_made_weaker_stays_weaker_to_the_end():
    """`until` ends exaggeration alone: a prompt that is to be ignored must not come back in the last step."""
    sprite, tokens, mask = torch.full((1, 4, 8, 8), 0.25), torch.ones(1, 3, dtype=torch.long), torch.ones(1, 3, dtype=torch.bool)
    for guidance in (0.0, 0.4):
        end = sample(Known(sprite), torch.randn(1, 4, 8, 8), tokens, mask, *NOTHING, steps=4, guidance=guidance, until=0.5)
        torch.testing.assert_close(end, torch.full_like(end, (guidance * 0.25 + 1) / 2))


class Mixing(Known):
    """A stand-in whose sprite is a sum of all it is told, so that each part's weight can be read off the end."""

    def forward(self, x, t, words, mask, meaning, sketch):
        said = mask.any(1).float() + meaning.sum(1)
        return (0.1 * said)[:, None, None, None] + 0.2 * sketch


def test_guidance_exaggerates_the_words_and_not_the_sketch():
    """It once weighed prompt and sketch together: at 2, sprites of pixel-32 were nearer to a poor draft as well as to the words, and the
    feature network found the tile that was asked for in .44 of 32 instead of .46 (learned captions), .29 instead of .32 (others)."""
    tokens, mask = torch.ones(2, 3, dtype=torch.long), torch.ones(2, 3, dtype=torch.bool)
    mask[1] = False  # a row without a prompt
    meaning = torch.zeros(2, 16)
    meaning[0, 0] = 1.0
    sketch = torch.full((2, 4, 8, 8), 0.5)
    end = sample(Mixing(sketch), torch.randn(2, 4, 8, 8), tokens, mask, meaning, sketch, steps=3, guidance=3.0)
    torch.testing.assert_close(end[0], torch.full_like(end[0], (3.0 * 0.2 + 0.1 + 1) / 2))
    torch.testing.assert_close(end[1], torch.full_like(end[1], (0.1 + 1) / 2))


def test_attention_equals_torchs_own_and_padding_has_no_say():
    torch.manual_seed(0)
    layer = Attention(16, 12, heads=2)
    torch.nn.init.normal_(layer.out.weight)
    x, words, mask = torch.randn(2, 16, 4, 4), torch.randn(2, 5, 12), torch.tensor([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()
    places = layer.norm(x).flatten(2).transpose(1, 2)
    q, k, v = layer.qkv(places).chunk(3, -1)
    word_k, word_v = layer.words(words).chunk(2, -1)
    heads = [part.unflatten(-1, (2, 8)).transpose(1, 2) for part in (q, torch.cat([k, word_k], 1), torch.cat([v, word_v], 1))]
    seen = torch.cat([torch.ones(2, 16, dtype=torch.bool), mask], 1)[:, None, None]
    expected = F.scaled_dot_product_attention(*heads, attn_mask=seen).transpose(1, 2).flatten(2)
    torch.testing.assert_close(layer(x, words, mask), x + layer.out(expected).transpose(1, 2).unflatten(2, (4, 4)), atol=1e-5, rtol=1e-5)
    changed = words.clone()
    changed[0, 2:] = 99.0
    torch.testing.assert_close(layer(x, changed, mask), layer(x, words, mask))


def test_loss_is_the_squared_error_of_the_velocity():
    """Rectified flow's target is sprite - noise; the network's sprite gives the velocity (sprite' - x_t) / (1 - t)."""
    torch.manual_seed(0)
    net = awake(FlowUNet(CONFIG))
    images = torch.rand(6, 4, 16, 16)
    tokens, mask, prompted = torch.randint(0, 50, (6, 4)), torch.ones(6, 4, dtype=torch.bool), torch.ones(6, 1, dtype=torch.bool)
    meaning, sketch = torch.randn(6, 16), torch.rand(6, 4, 16, 16)
    torch.manual_seed(7)
    loss = flow_loss(net, images, tokens, mask, prompted, meaning, sketch)
    torch.manual_seed(7)
    sprite = images * 2 - 1
    noise, t = torch.randn(6, 4, 16, 16), torch.sigmoid(torch.randn(6))
    errors = []
    for i in range(6):
        x = (1 - t[i]) * noise[i] + t[i] * sprite[i]
        seen = net(x[None], t[i : i + 1], *net.read(tokens[i : i + 1], mask[i : i + 1]), meaning[i : i + 1], sketch[i : i + 1])[0]
        gap = max(1 - float(t[i]), 0.05)
        errors.append((((seen - x) / gap - (sprite[i] - x) / gap) ** 2).mean())
    torch.testing.assert_close(loss, torch.stack(errors).mean(), atol=1e-3, rtol=1e-4)


def test_a_sprite_at_the_start_shows_the_network_nothing_but_noise():
    """pixel-32 drew a wizard for "scroll blue", a tile it had seen a hundred times: every painting starts at t = 0, where times from a
    logit-normal never are, and only one in seventy is below a tenth. There the error counts as it is."""
    torch.manual_seed(0)
    net = awake(FlowUNet(CONFIG))
    images = torch.rand(6, 4, 16, 16)
    tokens, mask, prompted = torch.randint(0, 50, (6, 4)), torch.ones(6, 4, dtype=torch.bool), torch.ones(6, 1, dtype=torch.bool)
    rest = torch.randn(6, 16), torch.rand(6, 4, 16, 16)
    torch.manual_seed(7)
    loss = flow_loss(net, images, tokens, mask, prompted, *rest, torch.ones(6, dtype=torch.bool))
    torch.manual_seed(7)
    noise = torch.randn(6, 4, 16, 16)
    expected = (net(noise, torch.zeros(6), *net.read(tokens, mask), *rest) - (images * 2 - 1)).square().mean()
    torch.testing.assert_close(loss, expected)


def test_the_share_of_sprites_at_the_start_is_the_options(trained, monkeypatch):
    model = load(trained[1])
    data = load_source("procedural", side=16, split="train", n=64, seed=1)
    batch = Batches(data, 64, model.config, model.tokenizer)(0, 1)
    training = importlib.import_module("lunaris.pixel.train")
    shares = {}

    def watch(net, images, tokens, mask, prompted, meaning, sketch, starting):
        shares[share] = 0.0 if starting is None else float(starting.float().mean())
        return sketch.sum()

    monkeypatch.setattr(training, "flow_loss", watch)
    for share in (0.0, 0.5, 1.0):
        torch.manual_seed(2)
        training.make_loss(QUICK.replace(stage="flow", init_from="pixel-16", start_share=share))(model, batch, 1)
    assert shares[0.0] == 0 and 0.3 < shares[0.5] < 0.7 and shares[1.0] == 1


def test_words_steer_and_an_absent_prompt_is_one_thing():
    net = awake(FlowUNet(CONFIG))
    x, t, mask = torch.randn(1, 4, 16, 16), torch.tensor([0.4]), torch.ones(1, 3, dtype=torch.bool)
    rest = torch.zeros(1, 16), torch.zeros_like(x)
    one, other = (net(x, t, *net.read(torch.tensor([tokens]), mask), *rest) for tokens in ([1, 2, 3], [4, 5, 6]))
    assert (one - other).abs().max() > 1e-3
    nothing = torch.zeros(1, 3, dtype=torch.bool)
    assert torch.equal(*(net(x, t, *net.read(torch.tensor([tokens]), nothing), *rest) for tokens in ([1, 2, 3], [4, 5, 6])))
    dropped = net(x, t, *net.read(torch.tensor([[1, 2, 3]]), mask, torch.zeros(1, 1, dtype=torch.bool)), *rest)
    assert torch.equal(dropped, net(x, t, *net.read(torch.tensor([[4, 5, 6]]), nothing), *rest))
    for changed in ((torch.ones(1, 16), rest[1]), (rest[0], torch.ones_like(x))):
        assert (net(x, t, *net.read(torch.tensor([[1, 2, 3]]), mask), *changed) - one).abs().max() > 1e-3


def test_waves_are_distinct_for_near_times():
    near, far = waves(torch.tensor([0.500, 0.501, 0.9]), 64).split([2, 1])
    assert waves(torch.zeros(1), 64).tolist()[0] == [0.0] * 32 + [1.0] * 32
    assert (near[0] - near[1]).norm() < (near[0] - far[0]).norm()
    assert math.isclose(float(near[0].square().sum()), 32, rel_tol=1e-5)  # sin² + cos²


@pytest.mark.parametrize(("side", "patch", "channels"), [(8, 1, 4), (16, 1, 3), (32, 2, 4), (64, 4, 4)])
def test_every_size_comes_back_in_its_shape(side, patch, channels):
    flow = FlowConfig(filters=(8, 16), blocks=(1, 1), patch=patch, word_dim=16, condition_dim=16)
    net = FlowUNet(CONFIG.replace(input_shape=(side, side, channels), flow=flow))
    x = torch.randn(2, channels, side, side)
    assert (
        net(
            x, torch.rand(2), *net.read(torch.ones(2, 2, dtype=torch.long), torch.ones(2, 2, dtype=torch.bool)), torch.zeros(2, 16), x
        ).shape
        == x.shape
    )


def test_quality_picture_alone_equals_the_picture_in_a_batch(trained):
    model = load(trained[1])
    many = generate(model, "a red potion", n=5, seed=3, mode="quality", steps=3)
    for i in range(5):
        assert np.array_equal(many[i], generate(model, "a red potion", n=1, seed=3 + i, mode="quality", steps=3)[0])
    assert not np.array_equal(many[0], many[1])


def test_adding_the_flow_leaves_the_instant_mode_as_it_was(trained):
    before, after = map(load, trained)
    assert np.array_equal(generate(before, "a blue key", n=4), generate(after, "a blue key", n=4))
    assert before.tokenizer.encode("a blue key") == after.tokenizer.encode("a blue key")
    assert after.config.sampler == "flow" and before.config.sampler == "normal"


def test_flow_learns_one_sprite_by_heart(tmp_path):
    """60 steps on a dozen sprites bring the loss down by half: the stage trains what it says it trains."""
    import json

    vae = train(SMALL, QUICK.replace(steps=1), tmp_path / "vae", progress=False)
    run = QUICK.replace(stage="flow", init_from=str(vae), steps=60, sprites=12, learning_rate=3e-3, log_every=1)
    train(CONFIG, run, tmp_path / "flow", progress=False)
    rows = [json.loads(line) for line in (tmp_path / "flow" / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def test_a_new_flow_starts_as_if_there_were_no_sketch():
    """Zero-initialised, so a flow trained without sketches goes on where it was when they are added."""
    net = FlowUNet(CONFIG)
    x, t, read = torch.randn(1, 4, 16, 16), torch.tensor([0.4]), net.read(torch.tensor([[1]]), torch.ones(1, 1, dtype=torch.bool))
    plain = net(x, t, *read, torch.zeros(1, 16), torch.zeros_like(x))
    assert torch.equal(net(x, t, *read, torch.randn(1, 16), torch.randn_like(x)), plain)


def test_quality_mode_paints_over_the_instant_sprite_of_the_same_seed(trained, monkeypatch):
    """The sketch is what instant mode draws for this prompt, seed and variety; the flow's noise shares no number with its latent.

    With a seed moved by 2**40 it did: torch's generator reads 32 bits of a seed.
    """
    from lunaris.pixel import model as module

    model = load(trained[1])
    seen = []
    monkeypatch.setattr(module, "sample", lambda net, noise, *rest, **how: seen.append((noise, rest[3])) or (rest[3] + 1) / 2)
    order = {"n": 3, "seed": 11, "temperature": 0.5}
    quality = {"mode": "quality", **order}
    assert np.array_equal(generate(model, "a blue key", candidates=1, **quality), generate(model, "a blue key", **order))
    assert np.array_equal(generate(model, "a blue key", **quality), generate(model, "a blue key", candidates=8, **order))
    latents = {float(number) for number in model.noise(11, 3).flatten()}
    shared = latents & {float(number) for noise, _ in seen for number in noise.flatten()}
    assert len(shared) <= 2  # of 48; two draws of 32-bit numbers may meet by chance


def test_quality_mode_without_a_flow_is_refused_in_one_sentence(trained):
    with pytest.raises(ValueError, match="no flow.*choose mode 'instant'"):
        generate(load(trained[0]), "a red potion", n=1, mode="quality")


def test_stage_and_sampler_must_agree(tmp_path):
    with pytest.raises(ConfigError, match="stage 'vae' trains sampler 'normal'"):
        train(CONFIG, QUICK, tmp_path / "x")
    with pytest.raises(ConfigError, match="stage 'flow' needs init_from"):
        QUICK.replace(stage="flow")
    with pytest.raises(ConfigError, match="needs use_text true"):
        CONFIG.replace(use_text=False, text_gate=False)
    with pytest.raises(ConfigError, match="multiples of 8"):
        FlowConfig(filters=(10, 20), blocks=(1, 1))
    with pytest.raises(ConfigError, match="flow filters must name at least one size, got \\[\\]"):
        FlowConfig(filters=(), blocks=())  # both empty passed every check, up to an IndexError in the network
    with pytest.raises(ConfigError, match="as many sizes as filters"):
        FlowConfig(filters=(8, 16), blocks=(1,))
    with pytest.raises(ConfigError, match="must divide the side 8"):
        CONFIG.replace(input_shape=(8, 8, 4), flow=FlowConfig(filters=(8, 8, 8), blocks=(1, 1, 1), patch=4))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("field", "value"), [("mode", "best"), ("steps", 1), ("steps", 33), ("candidates", -1), ("candidates", 9)])
def test_orders_outside_the_range_are_refused(field, value):
    with pytest.raises(ConfigError, match=field):
        PixelRequest.from_dict({field: value})


def test_flow_needs_no_extra_argument_of_the_spec():
    core = LunarCore(16, (8, 16), (16, 16, 4), use_text=True, sampler="flow", flow=FLOW)
    assert sum(p.numel() for p in core.flow.parameters()) > 0


def test_a_strange_sketch_is_a_draft_as_when_sampling_and_one_without_strangeness_the_reconstruction(trained, monkeypatch):
    """What the flow sees in training must include what it gets in use: at strangeness 1 the picture's own z has no say in the sketch."""
    model = load(trained[1])
    data = load_source("procedural", side=16, split="train", n=8, seed=1)
    batch = Batches(data, 8, model.config, model.tokenizer)(0, 1)
    everyone = torch.ones(8, 1, dtype=torch.bool)
    seen = []
    training = importlib.import_module("lunaris.pixel.train")  # `lunaris.pixel.train` alone is the function

    def watch(net, images, tokens, mask, prompted, meaning, sketch, starting):
        seen.append(sketch)
        return sketch.sum()

    monkeypatch.setattr(training, "flow_loss", watch)
    words = model.text_encoder(batch["tokens"], batch["mask"])
    for strangeness in (0.0, 1.0):
        torch.manual_seed(3)
        training.flow_part(model, batch, everyone, everyone, torch.full((8, 1), strangeness))
        torch.manual_seed(3)
        mean, logvar = model.posterior(*model.encode(batch["images"]), words, everyone)
        own, other = torch.randn_like(mean), torch.randn_like(mean)
        z = mean + (0.5 * logvar).exp() * own if strangeness == 0 else other
        assert torch.equal(seen[-1], (model.decode(z, words) * 2 - 1).detach())
    assert not torch.equal(seen[0], seen[1])
