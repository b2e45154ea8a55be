"""LunarisCore's architecture: sizes, modes, fusions, heads, guidance, seeds. Compared with plain loops and closed forms."""

import math

import numpy as np
import pytest
import torch

from lunaris.core.config import ConfigError
from lunaris.core.images import from_model
from lunaris.pixel import LatentAdd, LatentConcat, LatentGating, LunarCore, PixelConfig, TextEncoder, load
from lunaris.pixel.config import LatentFusionConfig, PixelTrainConfig, TextEncoderConfig
from lunaris.pixel.data import load_source
from lunaris.pixel.model import CLOSE_CALL, BagOfWords, Decoder, Encoder, PaletteHead, SlotHead, interpolation, largest, masked_mean
from lunaris.pixel.train import prepare

SMALL_TEXT = TextEncoderConfig(vocab_size=400, hidden_dim=16, intermediate_dim=32, num_layers=2, num_heads=4, max_length=8)


def core(**changes) -> LunarCore:
    """A small model in eval mode, with tokenizer and palette where it needs them."""
    torch.manual_seed(0)
    config = PixelConfig.tiny().replace(latent_dim=16, filters=(8, 16, 24), **changes)
    return prepare(config, PixelTrainConfig(), load_source("procedural", side=config.side, n=40)).eval()


@pytest.mark.parametrize("side", [8, 16, 32, 64])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("filters", [(64, 128, 256, 512), (8, 16), (8,), (8, 16, 24, 32, 40, 48)])
def test_decode_of_encode_has_the_input_shape(side, channels, filters):
    """PX-03, PX-05: the spec's four strides leave 1x1 of a 16x16 picture, and its decoder made 32x32 of it, so the loss could not run."""
    model = LunarCore(latent_dim=8, filters=filters, input_shape=(side, side, channels)).eval()
    x = torch.rand(2, channels, side, side)
    mean, logvar = model.encode(x)
    assert mean.shape == logvar.shape == (2, 8) and model.decode(mean).shape == x.shape
    assert model.generate(batch_size=3).shape == (3, channels, side, side)


@pytest.mark.parametrize("upsample", ["transpose", "resize"])
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_upsample_and_norm_options_keep_the_shape(upsample, norm):
    model = LunarCore(latent_dim=8, filters=(8, 16), input_shape=(16, 16, 3), upsample=upsample, norm=norm).eval()
    assert model.generate().shape == (1, 3, 16, 16)
    kinds = {type(layer).__name__ for layer in model.modules()}
    assert ("BatchNorm2d" in kinds) == (norm == "batch") and ("ConvTranspose2d" in kinds) == (upsample == "transpose")


def test_spec_signature_and_defaults():
    """PX-02, PX-04, PX-07, PX-10: names, order and defaults are the spec's."""
    model = LunarCore(256, [64, 128, 256, 512], (16, 16, 3), use_text=False, fusion_type="concat")
    assert (model.config.latent_dim, model.config.filters, model.config.head) == (256, (64, 128, 256, 512), "mse")
    assert Encoder(latent_dim=4, filters=(8,))(torch.rand(1, 3, 16, 16))[0].shape == (1, 4)
    assert Decoder(4, output_shape=(16, 16, 3), filters=(8, 8))(torch.rand(1, 4)).shape == (1, 3, 16, 16)
    encoder = TextEncoder(output_dim=256)
    assert encoder.embedding.weight.shape == (50257, 512) and len(encoder.blocks) == 3 and encoder.blocks[0].num_heads == 8
    assert encoder.blocks[0].feed_forward[0].out_features == 2048 and encoder.blocks[0].dropout.p == 0.1


def test_pictures_are_in_0_1():
    """PX-06: the sigmoid bounds the plain head; palette colours are bounded by construction."""
    for head in ("mse", "palette", "slot"):
        pictures = core(head=head).generate(4, seed=1, temperature=2.0)
        assert pictures.min() >= 0 and pictures.max() <= 1


def test_logvar_is_clamped():
    model = core()
    with torch.no_grad():
        model.encoder.logvar.bias.fill_(1e4)
    assert model.encode(torch.rand(1, 4, 16, 16))[1].max() == 8


# --- text ----------------------------------------------------------------------------------------------------------------------


def test_padding_changes_nothing():
    """PX-08: without a mask the mean ran over the padding too, so a prompt's vector depended on its neighbours in the batch."""
    for encoder in (TextEncoder(8, 16, 32, 2, 4, 0.0, 400, 16).eval(), BagOfWords(8, 16, 32, 0.0, 400).eval()):
        tokens = torch.tensor([[5, 6, 7]])
        padded = torch.tensor([[5, 6, 7, 0, 0]])
        alone = encoder(tokens, torch.ones(1, 3, dtype=torch.bool))
        torch.testing.assert_close(encoder(padded, padded > 0), alone, atol=1e-6, rtol=0)


def test_transformer_reads_word_order_and_the_bag_does_not():
    forward, backward = torch.tensor([[5, 6, 7]]), torch.tensor([[7, 6, 5]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    transformer, bag = TextEncoder(8, 16, 32, 2, 4, 0.0, 400, 16).eval(), BagOfWords(8, 16, 32, 0.0, 400).eval()
    assert not torch.allclose(transformer(forward, mask), transformer(backward, mask), atol=1e-4)
    torch.testing.assert_close(bag(forward, mask), bag(backward, mask))


def test_empty_prompt_is_finite():
    """Attention over no token at all is 0/0: the whole batch became NaN."""
    tokens, mask = torch.zeros(2, 3, dtype=torch.long), torch.tensor([[True, False, False], [False, False, False]])
    assert TextEncoder(8, 16, 32, 1, 4, 0.0, 400, 16).eval()(tokens, mask).isfinite().all()


def test_attention_equals_a_loop_over_heads():
    block = TextEncoder(8, 16, 32, 1, 4, 0.0, 400, 16).eval().blocks[0]
    x, mask = torch.randn(2, 5, 16), torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    q, k, v = block.qkv(block.norm1(x)).chunk(3, -1)
    heads = []
    for h in range(4):
        part = slice(4 * h, 4 * h + 4)
        logits = (q[..., part] @ k[..., part].transpose(1, 2)) / 2
        heads.append(logits.masked_fill(~mask[:, None], -math.inf).softmax(-1) @ v[..., part])
    y = x + block.out(torch.cat(heads, -1))
    torch.testing.assert_close(block(x, mask), y + block.feed_forward(block.norm2(y)), atol=1e-5, rtol=0)


def test_masked_mean_equals_a_loop():
    x, mask = torch.randn(3, 4, 2), torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]], dtype=torch.bool)
    for row in range(3):
        kept = [x[row, t] for t in range(4) if mask[row, t]]
        expected = torch.stack(kept).mean(0) if kept else torch.zeros(2)
        torch.testing.assert_close(masked_mean(x, mask)[row], expected)


# --- fusion --------------------------------------------------------------------------------------------------------------------


def test_the_three_fusions_are_what_their_names_say():
    """PX-11, PX-12: each keeps the latent's width, so one decoder serves with and without text."""
    z, t = torch.randn(3, 4), torch.randn(3, 4)
    concat, gate = LatentConcat(4), LatentGating(4)
    torch.testing.assert_close(LatentAdd(4)(z, t), z + t)
    torch.testing.assert_close(concat(z, t), torch.cat([z, t], 1) @ concat.project.weight.T + concat.project.bias)
    torch.testing.assert_close(concat(z, torch.zeros_like(t)), z)
    g = torch.sigmoid(torch.cat([z, t], 1) @ gate.gate.weight.T + gate.gate.bias)
    torch.testing.assert_close(gate(z, t), g * z + (1 - g) * t)


@pytest.mark.parametrize(("name", "cls"), [("concat", LatentConcat), ("add", LatentAdd), ("gate", LatentGating)])
def test_selector_strings(name, cls):
    assert isinstance(core(latent_fusion=LatentFusionConfig(name)).fusion, cls)


def test_unknown_fusion_is_refused():
    """PX-11: the spec's code took anything unknown as gating."""
    with pytest.raises(ConfigError, match="type must be one of 'concat', 'add', 'gate', got 'gating'"):
        LunarCore(fusion_type="gating", use_text=True)


def test_text_gate_hands_the_latent_over_to_the_prompt():
    """Dropped prompts made the encoder put kind and colour into z; a random z then contradicted the prompt, and the longer it
    trained, the less often a named colour came out. A closed gate leaves N(0, 1), an open one and a missing prompt leave q(z|x)."""
    model = core(text_gate=True)
    mean, logvar, text = torch.randn(3, 16), torch.randn(3, 16), torch.randn(3, 16)
    prompted = torch.tensor([[True], [False], [True]])
    with torch.no_grad():
        model.text_gate.weight.zero_()
        for bias, expected_mean, expected_logvar in ((-30.0, torch.zeros(16), torch.zeros(16)), (30.0, mean[0], logvar[0])):
            model.text_gate.bias.fill_(bias)
            gated = model.posterior(mean, logvar, text, prompted)
            torch.testing.assert_close(gated[0][0], expected_mean, atol=1e-5, rtol=0)
            torch.testing.assert_close(gated[1][0], expected_logvar, atol=1e-5, rtol=0)
            torch.testing.assert_close(gated[0][1], mean[1])
            torch.testing.assert_close(gated[1][1], logvar[1], atol=1e-5, rtol=1e-5)
        model.text_gate.bias.zero_()
        gated = model.posterior(mean, logvar, text, prompted)
    z = 0.5 * (mean[0] + (logvar[0] / 2).exp() * torch.randn(200_000, 16)) + 0.75**0.5 * torch.randn(200_000, 16)
    torch.testing.assert_close(gated[0][0], z.mean(0), atol=0.02, rtol=0)
    torch.testing.assert_close(gated[1][0].exp(), z.var(0), atol=0, rtol=0.02)


# --- heads ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["palette", "slot"])
def test_palette_heads_draw_only_palette_colours(head):
    """PX-40: exact by construction, untrained and at any temperature."""
    model = core(head=head)
    palette = {tuple(map(float, row)) for row in model.head.palette[model.head.used > 0]}
    pictures = model.generate(8, seed=3, temperature=2.0)
    assert {tuple(map(float, pixel)) for pixel in pictures.movedim(1, -1).reshape(-1, 4)} <= palette


def test_slot_head_probabilities_equal_the_mixture_written_as_a_loop():
    config = PixelConfig.tiny().replace(latent_dim=8, slots=3, palette_size=5)
    head = SlotHead(config)
    head.fit_palette(torch.rand(4, 4))  # the fifth entry stays empty
    features, latent = torch.randn(2, 3, 4, 4), torch.randn(2, 8)
    scores = head.scores(features, latent)
    colour = head.colour(latent).reshape(2, 3, 5)
    for b in range(2):
        table = torch.stack([torch.cat([colour[b, s, :4].softmax(-1), torch.zeros(1)]) for s in range(3)])
        pixel = features[b, :, 1, 2].softmax(0)
        expected = sum(pixel[s] * table[s] for s in range(3))
        torch.testing.assert_close(scores[b, 1, 2].exp(), expected.clamp_min(1e-8), atol=1e-6, rtol=1e-4)


def test_slot_head_scores_single_colours_as_it_scores_all():
    """Training works out the drawn colours alone; it must be what the whole table says, empty palette entries and floor included."""
    config = PixelConfig.tiny().replace(latent_dim=8, slots=3, palette_size=5)
    head = SlotHead(config)
    head.fit_palette(torch.rand(4, 4))
    features, latent, colours = 40 * torch.randn(2, 3, 4, 4), 4 * torch.randn(2, 8), torch.randint(0, 4, (2, 4, 4))
    expected = head.scores(features, latent).gather(-1, colours[..., None])[..., 0]
    torch.testing.assert_close(head.log_p(features, latent, colours), expected, atol=1e-4, rtol=1e-4)


def test_slot_head_uses_at_most_as_many_colours_as_slots():
    model = core(slots=2)
    with torch.no_grad():
        for picture in model.generate(6, seed=0, temperature=2.0):
            assert len({tuple(map(float, p)) for p in picture.movedim(0, -1).reshape(-1, 4)}) <= 4


def test_nll_is_the_sum_over_pixels_of_minus_log_probability():
    head = PaletteHead(PixelConfig.tiny().replace(palette_size=3))
    head.fit_palette(torch.tensor([[0.0, 0, 0, 0], [1.0, 0, 0, 1], [0, 1.0, 0, 1]]))
    images = head.palette[torch.randint(0, 3, (2, 4, 4))].movedim(-1, 1)
    features = torch.randn(2, 3, 4, 4)
    scores = head.scores(features, torch.zeros(2, 32))
    expected = [-sum(scores[b, y, x, head.nearest(images)[b, y, x]] for y in range(4) for x in range(4)) for b in range(2)]
    torch.testing.assert_close(head.nll(features, torch.zeros(2, 32), images, 0.1), torch.stack(expected))
    assert torch.equal(head.picture(torch.nn.functional.one_hot(head.nearest(images), 3).float()), images)


def test_too_many_colours_for_the_palette_are_refused():
    with pytest.raises(ValueError, match="a palette must have 1 to 3 colours, got 4; raise palette_size"):
        PaletteHead(PixelConfig.tiny().replace(palette_size=3)).fit_palette(torch.rand(4, 4))


# --- generate and interpolate ----------------------------------------------------------------------------------------------------


def test_picture_i_is_what_its_own_seed_gives_alone():
    model = core()
    batch = from_model(model.generate(6, "a red potion", seed=40, temperature=0.7))
    for i in range(6):
        assert np.array_equal(from_model(model.generate(1, "a red potion", seed=40 + i, temperature=0.7))[0], batch[i])


def test_same_seed_same_pictures_and_other_seed_other_pictures():
    model = core(head="mse")
    assert torch.equal(model.generate(2, seed=1), model.generate(2, seed=1))
    assert not torch.equal(model.generate(2, seed=1), model.generate(2, seed=9))


def test_prompt_temperature_and_guidance_each_change_the_picture():
    """PX-15, PX-17: the learned 'no prompt' vector makes guidance possible."""
    model = core(head="mse")
    base = model.generate(1, "a red potion", seed=1)
    for other in (
        model.generate(1, "a blue key", seed=1),
        model.generate(1, None, seed=1),
        model.generate(1, "a red potion", seed=1, temperature=0.5),
        model.generate(1, "a red potion", seed=1, guidance=3.0),
    ):
        assert not torch.allclose(base, other, atol=1e-5)


@pytest.mark.parametrize("head", ["mse", "palette", "slot"])
def test_guidance_1_is_plain_and_0_is_without_the_prompt(head):
    model = core(head=head)
    prompted = model.generate(2, "a red potion", seed=1, guidance=0.0)
    assert torch.equal(prompted, model.generate(2, seed=1))
    assert model.generate(2, "a red potion", seed=1, guidance=5.0).isfinite().all()


def test_blank_prompt_is_no_prompt():
    model = core()
    assert torch.equal(model.generate(1, "   ", seed=2), model.generate(1, seed=2))


def test_spaces_around_and_between_words_make_no_difference():
    """A trailing space was a token of its own, and "a red potion " drew something else."""
    model = core(head="mse")
    assert torch.equal(model.generate(1, "  a red  potion ", seed=2), model.generate(1, "a red potion", seed=2))


@pytest.mark.parametrize("slerp", [False, True])
@pytest.mark.parametrize("steps", [2, 7])
def test_interpolation_has_the_asked_length_and_exact_ends(slerp, steps):
    """PX-18."""
    model = core(head="mse")
    a, b = torch.rand(2, 4, 16, 16)
    path = model.interpolate(a, b, steps, slerp=slerp)
    assert len(path) == steps
    assert torch.equal(path[0], model.reconstruct(a[None])[0]) and torch.equal(path[-1], model.reconstruct(b[None])[0])
    prompts = model.interpolate_prompts("a red potion", "a blue key", steps, seed=4, temperature=0.7, slerp=slerp)
    assert len(prompts) == steps
    assert torch.equal(prompts[0], model.generate(1, "a red potion", seed=4, temperature=0.7)[0])
    assert torch.equal(prompts[-1], model.generate(1, "a blue key", seed=4, temperature=0.7)[0])


def test_slerp_walks_the_arc():
    """Between two orthogonal unit vectors every point of the arc has length 1 and the angles are even."""
    path = interpolation(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 5, slerp=True)
    expected = torch.tensor([[math.cos(i * math.pi / 8), math.sin(i * math.pi / 8)] for i in range(5)])
    torch.testing.assert_close(path, expected, atol=1e-6, rtol=0)


def test_interpolation_of_parallel_vectors_is_the_straight_line():
    path = interpolation(torch.tensor([1.0, 0.0]), torch.tensor([3.0, 0.0]), 3, slerp=True)
    torch.testing.assert_close(path, torch.tensor([[1.0, 0], [2.0, 0], [3.0, 0]]))


def test_one_step_is_refused():
    with pytest.raises(ValueError, match="steps must be at least 2"):
        interpolation(torch.zeros(2), torch.ones(2), 1)


def test_batchnorm_model_encodes_a_single_picture_as_in_a_batch():
    """PX-24: in eval mode the running statistics are used, so batch 1 is no special case."""
    model = core(norm="batch")
    x = torch.rand(4, 4, 16, 16)
    torch.testing.assert_close(model.encode(x[:1])[0], model.encode(x)[0][:1], atol=1e-5, rtol=1e-5)


def test_prompt_to_a_model_without_text_is_one_sentence():
    model = LunarCore(latent_dim=8, filters=(8,)).eval()
    with pytest.raises(ValueError, match="was trained without text"):
        model.generate(prompt="a red potion")
    assert model.generate(batch_size=2).shape == (2, 3, 16, 16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_shape": (12, 12, 3)}, "input_shape must be square with a side of 8, 16, 32, 64, got 12x12"),
        ({"input_shape": (16, 8, 3)}, "got 16x8"),
        ({"input_shape": (16, 16, 1)}, r"input_shape must end in 3 \(RGB\) or 4 \(RGBA\) channels, got 1"),
        ({"filters": ()}, "filters must name at least one stage"),
        ({"filters": (10,), "norm": "group"}, "filters must be multiples of 8 with norm 'group'"),
        ({"text_encoder_config": {"hidden_dim": 100, "num_heads": 8}}, "num_heads must divide hidden_dim 100, got 8; try 5"),
    ],
)
def test_impossible_combinations_name_a_value_that_works(changes, message):
    with pytest.raises(ConfigError, match=message):
        LunarCore(**changes)


# --- many at once ------------------------------------------------------------------------------------------------------------------


def test_a_batch_equals_its_pictures_made_alone():
    """512 sprites of the shipped model in batches of 64, with and without guidance; the rounding that could flip a pixel is measured."""
    model = load("pixel-16")
    text, noise = model.embed(["a red potion"]), model.noise(0, 256)
    with torch.no_grad():
        for guidance in (1.0, 2.0):
            together = torch.cat([model.decode_each(chunk, text, guidance) for chunk in noise.split(64)])
            alone = torch.cat([model.decode(z[None], text, guidance) for z in noise])
            assert torch.equal(together, alone)
        batch = model._guided_scores(noise[:64], text.expand(64, -1), 1.0)
        single = torch.cat([model._guided_scores(z[None], text, 1.0) for z in noise[:64]])
        top = single.topk(2, -1).indices
        assert (batch.gather(-1, top) - single.gather(-1, top)).abs().max() < CLOSE_CALL / 10


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_largest_vote_is_torchs_and_of_equals_the_first(dtype):
    """PyTorch's choice among 256 colours took a third of the time of eight drafts; NumPy's must be the same, ties and hopeless rows too."""
    votes = torch.randint(0, 4, (3, 5, 7, 16)).to(dtype)
    votes[0, 0, 0], votes[1, 1, 1, 3:] = -torch.inf, -torch.inf
    expected = [[row.index(max(row)) for row in plane.tolist()] for plane in votes.flatten(0, 1)]
    assert largest(votes).flatten(0, 1).tolist() == expected
    assert torch.equal(largest(votes), votes.argmax(-1))


def test_only_rows_with_a_close_call_are_decoded_again(monkeypatch):
    model = core(head="slot")
    calls = []
    plain = LunarCore.decode
    monkeypatch.setattr(LunarCore, "decode", lambda self, z, *rest: calls.append(len(z)) or plain(self, z, *rest))
    z = model.noise(0, 8)
    with torch.no_grad():
        monkeypatch.setattr("lunaris.pixel.model.CLOSE_CALL", 0.0)
        model.decode_each(z)
        assert len(calls) == 0
        monkeypatch.setattr("lunaris.pixel.model.CLOSE_CALL", 1e9)
        model.decode_each(z)
    assert calls == [1] * 8


def test_drafts_are_the_best_of_the_same_latents():
    """`candidates` keeps the draft whose encoding is nearest to the prompt; the first draft is the picture without candidates."""
    model = core(head="slot")
    text = model.embed(["a red potion"])
    with torch.no_grad():
        drafts = torch.cat([model.decode(model.noise(5, draft=j), text) for j in range(4)])
        fits = [float(torch.nn.functional.cosine_similarity(model.encode(d[None])[0], text)) for d in drafts]
    best = model.generate(1, "a red potion", seed=5, candidates=4)
    assert torch.equal(best[0], drafts[fits.index(max(fits))])
    assert torch.equal(model.generate(1, "a red potion", seed=5)[0], drafts[0])
    many = model.generate(3, "a red potion", seed=3, candidates=4)
    assert torch.equal(many[2], best[0])
