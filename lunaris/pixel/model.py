"""LunarisCore: a variational autoencoder for pixel art (Kingma & Welling 2014), optionally steered by text.

    image x ── Encoder ──> mean, logvar ── reparameterise ──> z ─┐
                                                                 ├─ fusion ──> h ── Decoder + head ──> picture
    prompt  ── TextEncoder ──────────────────────────────────> t ─┘

b batch · c channels · h, w picture size · l latent_dim · t tokens · s slots · p palette entries
mean, logvar  parameters of q(z|x), both (b, l); logvar is clamped to ±8
z             latent: mean + exp(logvar/2)·eps in training, temperature·eps when sampling
null          learned vector that stands in for t when there is no prompt; also what text dropout puts there
Pictures in the model are in [0, 1]; with four channels RGB is premultiplied by alpha, so that invisible colour costs nothing.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lunaris.core.images import FAINT_ALPHA
from lunaris.core.tokenizer import BpeTokenizer
from lunaris.pixel.config import LatentFusionConfig, PixelConfig, TextEncoderConfig
from lunaris.pixel.flow import FlowUNet, sample
from lunaris.pixel.matcher import Matcher, masked_mean

UNLIKELY = 1e-8  # no probability is less: it bounds the cost of one surprising pixel
IN_FAVOUR = 0.05  # of the sketch: a painting must fit its prompt better by this cosine to take the sketch's place
CLOSE_CALL = 1e-3  # difference of two log-probabilities under which a batch's rounding could decide; it stays under 1e-4

# --- pictures --------------------------------------------------------------------------------------------------------------------


def _norm(kind: str, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.GroupNorm(8, channels)


def halvings(side: int, stages: int) -> int:
    """How many of `stages` halve a picture of `side` pixels: down to 2x2 at most (PX-03: a 16x16 picture has 3, not 4)."""
    return min(stages, int(math.log2(side)) - 1)


class Encoder(nn.Module):
    """Pictures to the parameters of q(z|x) (PX-02): per filter a 3x3 convolution + norm + ReLU, then two dense heads.

    A stage halves the picture until it is 2x2; later filters keep the size. BatchNorm (the spec's) uses the batch in training and its
    running statistics in eval(), so a single picture is encoded as it would be in a batch (PX-24). With `patch` 2 the first stage takes
    squares of 2x2 pixels, as the decoder then draws them.
    """

    def __init__(
        self,
        latent_dim: int,
        filters: tuple[int, ...],
        input_shape: tuple[int, int, int] = (16, 16, 3),
        norm: str = "batch",
        patch: int = 1,
    ):
        super().__init__()
        self.patch = patch
        side, channels = input_shape[0] // patch, input_shape[2] * patch**2
        halved, layers = halvings(side, len(filters)), []
        for i, width in enumerate(filters):
            layers += [nn.Conv2d(channels, width, 3, stride=2 if i < halved else 1, padding=1), _norm(norm, width), nn.ReLU()]
            channels = width
        grid = side // 2**halved
        self.stages = nn.Sequential(*layers)
        self.mean = nn.Linear(channels * grid * grid, latent_dim)
        self.logvar = nn.Linear(channels * grid * grid, latent_dim)

    def forward(self, images: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b l"], Float[Tensor, "b l"]]:
        flat = self.stages(F.pixel_unshuffle(images, self.patch)).flatten(1)  # (b, filters[-1]·grid²)
        return self.mean(flat), self.logvar(flat).clamp(-8, 8)


class Decoder(nn.Module):
    """Latents to features of the picture's size (PX-04): dense to a small grid, then one doubling + norm + ReLU per filter.

    The grid starts at side / 2^doublings (PX-05: 2x2 for 16x16), so the output has the asked size for 8, 16, 32 and 64. The last
    convolution gives `output_shape[2]` channels without an activation: the head turns them into a picture. With `patch` 2 it gives
    squares of 2x2 pixels instead (Shi et al. 2016, "sub-pixel convolution"): the dear stages work at half the side.
    """

    def __init__(
        self,
        latent_dim: int,
        output_shape: tuple[int, int, int],
        filters: tuple[int, ...],
        norm: str = "batch",
        upsample: str = "transpose",
        patch: int = 1,
    ):
        super().__init__()
        self.patch = patch
        side, channels = output_shape[0] // patch, output_shape[2] * patch**2
        doubled = halvings(side, len(filters) - 1)
        self.grid = side // 2**doubled
        self.width = filters[0]
        self.dense = nn.Linear(latent_dim, filters[0] * self.grid**2)
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(zip(filters, filters[1:], strict=False)):
            if i >= doubled:
                layers.append(nn.Conv2d(before, after, 3, padding=1))
            elif upsample == "transpose":
                layers.append(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1))  # 4 is a multiple of 2: no checkerboard (PX-06)
            else:
                layers += [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1)]
            layers += [_norm(norm, after), nn.ReLU()]
        self.stages = nn.Sequential(*layers, nn.Conv2d(filters[-1], channels, 3, padding=1))

    def forward(self, latent: Float[Tensor, "b l"]) -> Float[Tensor, "b c h w"]:
        start = F.relu(self.dense(latent)).unflatten(1, (self.width, self.grid, self.grid))
        return F.pixel_shuffle(self.stages(start), self.patch)


# --- heads: how features become a picture -----------------------------------------------------------------------------------------


class MseHead(nn.Module):
    """The spec's head: a sigmoid per channel and a squared error, read as a Gaussian likelihood of standard deviation sigma."""

    def __init__(self, config: PixelConfig):
        super().__init__()
        self.channels = config.channels

    def scores(self, features: Float[Tensor, "b c h w"], latent: Float[Tensor, "b l"]) -> Float[Tensor, "b c h w"]:
        return features

    def picture(self, scores: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return torch.sigmoid(scores)

    def nll(
        self, features: Float[Tensor, "b c h w"], latent: Float[Tensor, "b l"], images: Float[Tensor, "b c h w"], sigma: float
    ) -> Float[Tensor, "b"]:
        """Squared error summed over the picture, over 2·sigma² (a mean would let the KL term win: posterior collapse)."""
        return (torch.sigmoid(features) - images).square().flatten(1).sum(1) / (2 * sigma**2)


def largest(votes: Float[Tensor, "*rows p"]) -> Int[Tensor, "*rows"]:
    """`votes.argmax(-1)`, the first of equals; on the CPU by NumPy, in a seventh of the time."""
    if votes.device.type != "cpu" or votes.dtype != torch.float32:
        return votes.argmax(-1)
    return torch.from_numpy(votes.detach().numpy().argmax(-1))


class PaletteHead(nn.Module):
    """A categorical choice per pixel among the palette's colours (PX-40). The palette is fitted to the training data and saved."""

    def __init__(self, config: PixelConfig):
        super().__init__()
        self.channels = config.palette_size
        self.register_buffer("palette", torch.zeros(config.palette_size, config.channels))  # (p, c), as the model's pictures
        self.register_buffer("used", torch.zeros(config.palette_size))  # 1 = a fitted colour, 0 = an empty entry

    @torch.no_grad()
    def fit_palette(self, colours: Float[Tensor, "p c"]) -> None:
        """Take `colours` as the palette; fewer than palette_size leaves entries that are never drawn."""
        if not 1 <= len(colours) <= len(self.palette):
            raise ValueError(f"a palette must have 1 to {len(self.palette)} colours, got {len(colours)}; raise palette_size")
        self.palette.zero_()[: len(colours)] = colours
        self.used.zero_()[: len(colours)] = 1

    @torch.no_grad()
    def adopt_palette(self, colours: Float[Tensor, "p c"]) -> None:
        """Put each of `colours` in the place of the nearest one in the palette, nearest pairs first; the places left keep theirs.

        A slot's liking for a place is what the model learned: there "red" goes on meaning red, in the new shade.
        """
        distance = torch.cdist(colours, self.palette)
        distance[:, self.used == 0] = 10.0  # an empty place is worse than any colour
        free_colour, free_place = torch.ones(len(colours), dtype=torch.bool), torch.ones(len(self.palette), dtype=torch.bool)
        for pair in distance.flatten().argsort(stable=True).tolist():
            colour, place = divmod(pair, len(self.palette))
            if free_colour[colour] and free_place[place]:
                self.palette[place], self.used[place] = colours[colour], 1
                free_colour[colour] = free_place[place] = False

    def nearest(self, images: Float[Tensor, "b c h w"]) -> Int[Tensor, "b h w"]:
        """Index of the nearest palette colour of every pixel."""
        pixels = images.movedim(1, -1).flatten(0, 2)  # (b·h·w, c)
        colours = self.palette[self.used > 0]
        near = torch.addmm(-colours.square().sum(1), pixels, colours.T, alpha=2)  # less squared distance, but for what all colours share
        return largest(near).unflatten(0, (len(images), *images.shape[2:]))

    def snap(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Every pixel in its nearest palette colour."""
        return self.palette[self.used > 0][self.nearest(images)].movedim(-1, 1)

    def _logits(self, logits: Tensor) -> Tensor:
        """`logits` (..., p) with the empty entries switched off."""
        return logits.masked_fill(self.used == 0, -torch.inf)

    def scores(self, features: Float[Tensor, "b p h w"], latent: Float[Tensor, "b l"]) -> Float[Tensor, "b h w p"]:
        """log p(colour) of every pixel."""
        return F.log_softmax(self._logits(features.movedim(1, -1)), -1)

    def weights(self, features: Float[Tensor, "b p h w"], latent: Float[Tensor, "b l"]) -> Float[Tensor, "b h w p"]:
        """p(colour) of every pixel: what `scores` is the log of, at half its price."""
        return self._logits(features.movedim(1, -1)).softmax(-1)

    def picture(self, scores: Float[Tensor, "b h w p"]) -> Float[Tensor, "b c h w"]:
        return self.show(largest(scores))

    def show(self, colours: Int[Tensor, "b h w"]) -> Float[Tensor, "b c h w"]:
        """The picture whose pixels have these places in the palette."""
        return self.palette[colours].movedim(-1, 1)

    def nll(
        self, features: Float[Tensor, "b s h w"], latent: Float[Tensor, "b l"], images: Float[Tensor, "b c h w"], sigma: float
    ) -> Float[Tensor, "b"]:
        """-log p of every pixel's nearest palette colour, summed over the picture."""
        return -self.log_p(features, latent, self.nearest(images)).flatten(1).sum(1)

    def log_p(
        self, features: Float[Tensor, "b s h w"], latent: Float[Tensor, "b l"], colours: Int[Tensor, "b h w"]
    ) -> Float[Tensor, "b h w"]:
        """log p(that colour) of every pixel."""
        return self.scores(features, latent).gather(-1, colours[..., None])[..., 0]


class SlotHead(PaletteHead):
    """Indexed colour, the way pixel artists work: every pixel picks one of s slots, every sprite gives each slot a palette colour.

    p(colour | pixel) = Σ_s softmax(slots)[s] · P_s(colour), with P from the latent. Shape and colour are said apart, so a new pair of
    them is no new thing, and a sprite has at most s colours.
    """

    def __init__(self, config: PixelConfig):
        super().__init__(config)
        self.channels = config.slots
        self.slots = config.slots
        self.colour = nn.Sequential(nn.Linear(config.latent_dim, 256), nn.ReLU(), nn.Linear(256, config.slots * config.palette_size))

    def scores(self, features: Float[Tensor, "b s h w"], latent: Float[Tensor, "b l"]) -> Float[Tensor, "b h w p"]:
        return self.weights(features, latent).clamp_min(UNLIKELY).log()

    def weights(self, features: Float[Tensor, "b s h w"], latent: Float[Tensor, "b l"]) -> Float[Tensor, "b h w p"]:
        pixel = F.softmax(features.movedim(1, -1), -1)  # (b, h, w, s)
        colour = F.softmax(self._logits(self.colour(latent).unflatten(1, (self.slots, -1))), -1)  # (b, s, p)
        return torch.einsum("bhws,bsp->bhwp", pixel, colour)

    def log_p(
        self, features: Float[Tensor, "b s h w"], latent: Float[Tensor, "b l"], colours: Int[Tensor, "b h w"]
    ) -> Float[Tensor, "b h w"]:
        """As `scores` gives it, without working out the colours that were not asked for: training needs no others."""
        pixel = F.log_softmax(features, 1).flatten(2)  # (b, s, h·w)
        colour = F.log_softmax(self._logits(self.colour(latent).unflatten(1, (self.slots, -1))), -1)  # (b, s, p)
        chosen = colour.gather(-1, colours.flatten(1)[:, None].expand(-1, self.slots, -1))  # (b, s, h·w)
        return (pixel + chosen).logsumexp(1).clamp_min(math.log(UNLIKELY)).unflatten(1, colours.shape[1:])


HEADS = {"mse": MseHead, "palette": PaletteHead, "slot": SlotHead}


# --- text ------------------------------------------------------------------------------------------------------------------------


class TransformerBlock(nn.Module):
    """Pre-norm attention and feed-forward, both residual (PX-09)."""

    def __init__(self, hidden_dim: int, intermediate_dim: int, num_heads: int, dropout_rate: float):
        super().__init__()
        self.num_heads = num_heads
        self.norm1, self.norm2 = nn.LayerNorm(hidden_dim), nn.LayerNorm(hidden_dim)
        self.qkv = nn.Linear(hidden_dim, 3 * hidden_dim)
        self.out = nn.Linear(hidden_dim, hidden_dim)
        self.feed_forward = nn.Sequential(nn.Linear(hidden_dim, intermediate_dim), nn.GELU(), nn.Linear(intermediate_dim, hidden_dim))
        self.dropout = nn.Dropout(dropout_rate)

    def forward(self, x: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)  # each (b, heads, t, d_head)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        x = x + self.dropout(self.out(attended.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.feed_forward(self.norm2(x)))


class TextEncoder(nn.Module):
    """Tokens to one vector (PX-07): embedding + learned positions, transformer blocks, masked mean, dense (PX-08)."""

    def __init__(
        self,
        output_dim: int,
        hidden_dim: int = 512,
        intermediate_dim: int = 2048,
        num_layers: int = 3,
        num_heads: int = 8,
        dropout_rate: float = 0.1,
        vocab_size: int = 50257,
        max_length: int = 64,
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_dim)
        self.positions = nn.Parameter(0.02 * torch.randn(max_length, hidden_dim))
        self.blocks = nn.ModuleList(TransformerBlock(hidden_dim, intermediate_dim, num_heads, dropout_rate) for _ in range(num_layers))
        self.norm = nn.LayerNorm(hidden_dim)
        self.dense = nn.Linear(hidden_dim, output_dim)

    def forward(self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b l"]:
        mask = mask.clone()
        mask[:, 0] |= ~mask.any(1)  # attention over nothing is NaN: an empty prompt looks at one padding token
        x = self.embedding(tokens) + self.positions[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, mask)
        return self.dense(masked_mean(self.norm(x), mask))


class BagOfWords(nn.Module):
    """Tokens to one vector without their order: the mean embedding through a small MLP.

    "red" adds the same thing next to every noun, so pairs that training never showed come out right far more often than with the
    transformer on little data.
    """

    def __init__(self, output_dim: int, hidden_dim: int, intermediate_dim: int, dropout_rate: float, vocab_size: int):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_dim)
        self.mlp = nn.Sequential(nn.Linear(hidden_dim, intermediate_dim), nn.GELU(), nn.Linear(intermediate_dim, output_dim))
        self.direct = nn.Linear(hidden_dim, output_dim)
        self.dropout = nn.Dropout(dropout_rate)

    def forward(self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b l"]:
        mean = self.dropout(masked_mean(self.embedding(tokens), mask))
        return self.direct(mean) + self.mlp(mean)


def make_text_encoder(config: TextEncoderConfig, output_dim: int) -> nn.Module:
    if config.kind == "bow":
        return BagOfWords(output_dim, config.hidden_dim, config.intermediate_dim, config.dropout_rate, config.vocab_size)
    return TextEncoder(
        output_dim,
        config.hidden_dim,
        config.intermediate_dim,
        config.num_layers,
        config.num_heads,
        config.dropout_rate,
        config.vocab_size,
        config.max_length,
    )


# --- fusion ----------------------------------------------------------------------------------------------------------------------


class LatentConcat(nn.Module):
    """[z, t] projected back to the latent's width (PX-12), so one decoder serves with and without text.

    Starts as z plus a random projection of t: with the null vector (zero at first) it is z alone, as in a model without text."""

    def __init__(self, latent_dim: int):
        super().__init__()
        self.project = nn.Linear(2 * latent_dim, latent_dim)
        with torch.no_grad():
            self.project.weight.copy_(torch.cat([torch.eye(latent_dim), torch.randn(latent_dim, latent_dim) / latent_dim**0.5], 1))
            self.project.bias.zero_()

    def forward(self, z: Float[Tensor, "b l"], text: Float[Tensor, "b l"]) -> Float[Tensor, "b l"]:
        return self.project(torch.cat([z, text], -1))


class LatentAdd(nn.Module):
    """z + t."""

    def __init__(self, latent_dim: int):
        super().__init__()

    def forward(self, z: Float[Tensor, "b l"], text: Float[Tensor, "b l"]) -> Float[Tensor, "b l"]:
        return z + text


class LatentGating(nn.Module):
    """g·z + (1 - g)·t with g = sigmoid(W[z, t]), a gate per dimension."""

    def __init__(self, latent_dim: int):
        super().__init__()
        self.gate = nn.Linear(2 * latent_dim, latent_dim)

    def forward(self, z: Float[Tensor, "b l"], text: Float[Tensor, "b l"]) -> Float[Tensor, "b l"]:
        gate = torch.sigmoid(self.gate(torch.cat([z, text], -1)))
        return gate * z + (1 - gate) * text


FUSIONS = {"concat": LatentConcat, "add": LatentAdd, "gate": LatentGating}


# --- the whole -------------------------------------------------------------------------------------------------------------------


class LunarCore(nn.Module):
    """The model (PX-10). The first five arguments are the spec's; `options` are the further fields of `PixelConfig`.

    Wrong values raise `ConfigError`. `tokenizer` is set by training and loading; without one, prompts are refused.
    """

    def __init__(
        self,
        latent_dim: int = 256,
        filters: tuple[int, ...] | list[int] = (64, 128, 256, 512),
        input_shape: tuple[int, int, int] | list[int] = (16, 16, 3),
        use_text: bool = False,
        fusion_type: str = "concat",
        **options,
    ):
        super().__init__()
        fusion = options.pop("latent_fusion", LatentFusionConfig(type=fusion_type))
        settings = {"latent_dim": latent_dim, "filters": filters, "input_shape": input_shape, "use_text": use_text, "latent_fusion": fusion}
        self.config = config = PixelConfig.from_dict(settings | options)
        self.tokenizer: BpeTokenizer | None = None
        self.words: dict[str, int] = {}

        self.head = HEADS[config.head](config)
        output_shape = (config.side, config.side, self.head.channels)
        self.encoder = Encoder(config.latent_dim, config.filters, config.input_shape, config.norm, config.patch)
        self.decoder = Decoder(config.latent_dim, output_shape, config.filters[::-1], config.norm, config.upsample, config.patch)
        if config.use_text:
            self.text_encoder = make_text_encoder(config.text_encoder_config, config.latent_dim)
            self.fusion = FUSIONS[config.latent_fusion.type](config.latent_dim)
            self.null = nn.Parameter(torch.zeros(config.latent_dim))
        if config.sampler == "flow":
            self.flow = FlowUNet(config)
        if config.ranking == "matcher":
            self.matcher = Matcher(config)
        if config.use_text and config.text_gate:
            self.text_gate = nn.Linear(config.latent_dim, config.latent_dim)
            nn.init.constant_(self.text_gate.bias, -1.0)  # mostly closed: the prompt has to do the work from the first step

    @classmethod
    def from_config(cls, config: PixelConfig) -> "LunarCore":
        return cls(**{f.name: getattr(config, f.name) for f in dataclasses.fields(config)})

    @property
    def device(self) -> torch.device:
        return self.encoder.mean.weight.device

    # parts of the path

    def encode(self, images: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b l"], Float[Tensor, "b l"]]:
        """mean and logvar of q(z|x)."""
        return self.encoder(images)

    def posterior(
        self, mean: Float[Tensor, "b l"], logvar: Float[Tensor, "b l"], text: Float[Tensor, "b l"], prompted: Bool[Tensor, "b 1"]
    ) -> tuple[Float[Tensor, "b l"], Float[Tensor, "b l"]]:
        """mean and logvar of what the latent of a picture still carries beside its prompt, for the rows that are `prompted`.

        Training drops prompts, so the encoder has to put kind and colour into z in case it is alone. With a prompt they would be said
        twice, and a z drawn at random contradicts the prompt: "a red potion" came out in any colour. So the text closes a gate per
        latent number: z' = g·z + sqrt(1 - g²)·eps, which is N(0, 1) where g is 0, as when sampling.
        """
        if not self.config.text_gate:
            return mean, logvar
        gate = torch.where(prompted, torch.sigmoid(self.text_gate(text)), 1.0)
        return gate * mean, (gate.square() * logvar.exp() + 1 - gate.square()).log()

    def fuse(self, z: Float[Tensor, "b l"], text: Float[Tensor, "b l"] | None) -> Float[Tensor, "b l"]:
        """z steered by a text vector, or by the learned 'no prompt' vector; z itself in a model without text."""
        if not self.config.use_text:
            return z
        return self.fusion(z, self.null.expand_as(z) if text is None else text)

    def scores(self, latent: Float[Tensor, "b l"]) -> Tensor:
        """What the head makes of a fused latent: (b, c, h, w) before the sigmoid, or log p(colour) as (b, h, w, p)."""
        return self.head.scores(self.decoder(latent), latent)

    def decode(self, z: Float[Tensor, "b l"], text: Float[Tensor, "b l"] | None = None, guidance: float = 1.0) -> Float[Tensor, "b c h w"]:
        """Pictures in [0, 1]. `guidance` moves the scores along (with text) - (without): classifier-free guidance (Ho & Salimans 2022)."""
        return self.head.picture(self._votes(z, text, guidance))

    def _votes(self, z: Float[Tensor, "b l"], text: Float[Tensor, "b l"] | None, guidance: float) -> Tensor:
        """What `head.picture` draws from: scores, or where no guidance moves them p(colour), which needs no logarithm."""
        if self.config.head == "mse" or (text is not None and guidance != 1):
            return self._guided_scores(z, text, guidance)
        latent = self.fuse(z, text)
        return self.head.weights(self.decoder(latent), latent)

    def _guided_scores(self, z: Float[Tensor, "b l"], text: Float[Tensor, "b l"] | None, guidance: float) -> Tensor:
        scores = self.scores(self.fuse(z, text))
        if text is not None and guidance != 1:
            plain = self.scores(self.fuse(z, None))
            scores = torch.where(scores == plain, scores, plain + guidance * (scores - plain))  # equal may be -inf on both sides
        return scores

    def embed(self, prompts: list[str]) -> Float[Tensor, "b l"]:
        """Text vectors. Raises ValueError for a model without text."""
        if not self.config.use_text or self.tokenizer is None:
            raise ValueError("this checkpoint was trained without text, so it takes no prompt; leave the prompt empty or load another one")
        return self.text_encoder(*self.tokens(prompts))

    def tokens(self, prompts: list[str]) -> tuple[Int[Tensor, "b t"], Bool[Tensor, "b t"]]:
        """The prompts' token ids and which of them are real, on the model's device."""
        tokens, mask = self.tokenizer.batch(prompts, self.config.text_encoder_config.max_length)
        return tokens.to(self.device), mask.to(self.device)

    # what it is for

    def noise(self, seed: int, batch_size: int = 1, *, draft: int = 0) -> Float[Tensor, "b l"]:
        """z ~ N(0, I); row i comes from seed + i alone, drawn on the CPU so that every device starts from the same numbers.

        `draft` 1, 2, … are the latents that follow the first one in the same generator.
        """
        return self._seeded(seed, batch_size, (self.config.latent_dim,), draft)

    def _seeded(self, seed: int, batch_size: int, shape: tuple[int, ...], draft: int = 0) -> Tensor:
        rows = []
        for i in range(batch_size):
            generator = torch.Generator().manual_seed((seed + i) % 2**63)
            rows.append([torch.randn(shape, generator=generator) for _ in range(draft + 1)][draft])
        return torch.stack(rows).to(self.device)

    @torch.no_grad()
    def generate(
        self,
        batch_size: int = 1,
        prompt: str | None = None,
        *,
        seed: int = 0,
        temperature: float = 1.0,
        guidance: float = 1.0,
        mode: str = "instant",
        steps: int = 4,
        candidates: int = 1,
        on_picture: Callable[[int], None] | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """New pictures in [0, 1] (PX-17), with or without a prompt. Picture i is the one that seed + i gives alone, bit for bit.

        mode        "instant": one pass of the VAE's decoder; "quality": the flow, if the checkpoint has one, paints over that in `steps`
        temperature spread of the latents; the flow always starts from its full noise
        guidance    strength of the prompt: 0 ignores it, 1 as the checkpoint draws best (`flow_guidance` in quality mode)
        candidates  drafts per picture, of which the one that fits the prompt best is kept; 1 for an empty prompt
        on_picture  called with the number of pictures that are done
        """
        words = " ".join((prompt or "").split()) if guidance else ""  # a trailing space is no other prompt; ignored is as not said
        tell = on_picture or (lambda done: None)
        if mode == "quality":
            if self.config.sampler != "flow":
                raise ValueError("this checkpoint has no flow for quality mode; choose mode 'instant' or another checkpoint")
            sketches = self._sketch(batch_size, words, seed, temperature, min(guidance, 1.0), candidates)  # it is the flow that exaggerates
            pictures = []  # one at a time: in a batch the CPU sums in another order, and every step would carry the difference further
            for i in range(batch_size):
                pictures.append(self.finish(sketches[i : i + 1], [words], seed=seed + i, steps=steps, guidance=guidance))
                tell(i + 1)
            return torch.cat(pictures)
        return self._sketch(batch_size, words, seed, temperature, guidance, candidates, tell)

    def _sketch(
        self,
        batch_size: int,
        words: str,
        seed: int,
        temperature: float,
        guidance: float,
        candidates: int,
        tell: Callable[[int], None] = lambda done: None,
    ) -> Float[Tensor, "b c h w"]:
        """The VAE's sprites; of several candidates the one that fits the prompt best."""
        text = self.embed([words]) if words else None
        if candidates == 1 or text is None:
            pictures = self.decode_each(self.noise(seed, batch_size) * temperature, text, guidance)
            tell(batch_size)
            return pictures
        chosen = []
        for i in range(batch_size):
            z = torch.cat([self.noise(seed + i, draft=draft) for draft in range(candidates)]) * temperature
            drafts = self.decode_each(z, text, guidance)
            chosen.append(drafts[self.match(drafts, [words]).argmax()])
            tell(i + 1)
        return torch.stack(chosen)

    @torch.no_grad()
    def paint(
        self, sketches: Float[Tensor, "b c h w"], prompts: list[str], *, seed: int = 0, steps: int = 4, guidance: float = 1.0
    ) -> Float[Tensor, "b c h w"]:
        """The flow's pictures over sketches in [0, 1], a prompt each ("" = none). Row i is what seed + i gives alone, up to rounding.

        `guidance` counts in the checkpoint's `flow_guidance`, up to its `guided_until`.
        """
        tokens, mask = self.tokens(prompts)
        said = torch.tensor([bool(prompt) for prompt in prompts], device=self.device)[:, None]
        meaning = torch.where(said, self.text_encoder(tokens, mask), 0.0)
        noise = torch.cat([self._seeded(flow_seed(seed + i), 1, sketches.shape[1:]) for i in range(len(sketches))])
        strength, until = guidance * self.config.flow_guidance, self.config.guided_until
        return sample(self.flow, noise, tokens, mask, meaning, sketches * 2 - 1, steps=steps, guidance=strength, until=until)

    @torch.no_grad()
    def finish(
        self, sketches: Float[Tensor, "b c h w"], prompts: list[str], *, seed: int = 0, steps: int = 4, guidance: float = 1.0
    ) -> Float[Tensor, "b c h w"]:
        """`paint`; but where a matcher finds that the sketch fits its prompt about as well, the sketch stays: its colours are clean. Below
        `sketch_fit` it stays only if the painting fits worse; where the painting is empty it stays always.

        The painting is compared in the palette's colours, as the matcher knows sprites.
        """
        painted = self.paint(sketches, prompts, seed=seed, steps=steps, guidance=guidance)
        if self.config.channels == 4:
            blank = (painted[:, 3] < FAINT_ALPHA).flatten(1).all(1)
            painted = torch.where(blank[:, None, None, None], sketches, painted)
        if self.config.ranking != "matcher":
            return painted
        shown = painted if self.config.head == "mse" else self.head.snap(painted)
        fit = self.match(torch.cat([sketches, shown]), prompts)  # (2b, b)
        before, after = (part.diagonal() for part in fit.split(len(sketches)))
        said = torch.tensor([bool(prompt) for prompt in prompts], device=self.device)
        favour = torch.where(before >= self.config.sketch_fit, IN_FAVOUR, 0.0)
        stays = said & (before > after - favour)
        return torch.where(stays[:, None, None, None], sketches, painted)

    @torch.no_grad()
    def match(self, pictures: Float[Tensor, "b c h w"], prompts: list[str]) -> Float[Tensor, "b p"]:
        """How well each picture fits each prompt, -1 to 1: a cosine of the matcher's vectors, or without a matcher of the VAE's own."""
        if self.config.ranking == "matcher":
            tokens, mask = self.tokens(prompts)
            return self.matcher.picture(pictures) @ self.matcher.words(tokens, mask).T
        return F.normalize(self.encode(pictures)[0], dim=-1) @ F.normalize(self.embed(prompts), dim=-1).T

    def decode_each(
        self, z: Float[Tensor, "b l"], text: Float[Tensor, "_ l"] | None = None, guidance: float = 1.0
    ) -> Float[Tensor, "b c h w"]:
        """`decode` with every row as it would come out alone, bit for bit, at nearly the speed of a batch. `text` has one row, or one each.

        In a batch the CPU sums in another order: scores move in the sixth digit, and a pixel between two colours may flip. Only where the
        two best colours of a pixel are closer than that by far is the row decoded again, alone. A head without a choice has no such
        test, so there every row is decoded alone.
        """
        if text is not None:
            text = text.expand(len(z), -1)
        rows = range(len(z))
        if len(z) > 1 and self.config.head != "mse" and self.device.type == "cpu":
            votes = self._votes(z, text, guidance)
            chosen = largest(votes)
            first, second = votes.gather(-1, chosen[..., None])[..., 0], votes.scatter(-1, chosen[..., None], -torch.inf).amax(-1)
            if text is None or guidance == 1:
                first, second = (x.clamp_min(UNLIKELY).log() for x in (first, second))
            unsure = ~((first - second).flatten(1).amin(1) > CLOSE_CALL * max(1.0, guidance))
            pictures = self.head.show(chosen)
            rows = torch.nonzero(unsure)[:, 0].tolist()
        else:
            pictures = None
        alone = {i: self.decode(z[i : i + 1], None if text is None else text[i : i + 1], guidance) for i in rows}
        if pictures is None:
            return torch.cat([alone[i] for i in range(len(z))])
        for i, picture in alone.items():
            pictures[i : i + 1] = picture
        return pictures

    @torch.no_grad()
    def reconstruct(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Each picture through its own latent mean and back (bit-equal in any batch)."""
        return self.decode_each(torch.cat([self.encode(image[None])[0] for image in images]))

    @torch.no_grad()
    def interpolate(
        self, image1: Float[Tensor, "c h w"], image2: Float[Tensor, "c h w"], steps: int = 10, *, slerp: bool = False
    ) -> Float[Tensor, "n c h w"]:
        """`steps` pictures from one to the other (PX-18). The ends equal the two reconstructions."""
        first, last = (self.encode(image[None])[0] for image in (image1, image2))
        path = interpolation(first[0], last[0], steps, slerp=slerp)
        return self.decode_each(path)

    @torch.no_grad()
    def interpolate_prompts(
        self,
        prompt1: str,
        prompt2: str,
        steps: int = 10,
        *,
        seed: int = 0,
        temperature: float = 1.0,
        guidance: float = 1.0,
        slerp: bool = False,
    ) -> Float[Tensor, "n c h w"]:
        """`steps` pictures from one prompt to the other with the same z (PX-18). The ends equal `generate` with that prompt and seed."""
        first, last = (self.embed([" ".join(prompt.split())]) for prompt in (prompt1, prompt2))
        z = self.noise(seed) * temperature
        path = interpolation(first[0], last[0], steps, slerp=slerp)
        return self.decode_each(z.expand(steps, -1), path, guidance)


def flow_seed(seed: int) -> int:
    """The seed of the flow's noise for a picture's seed: another one, since its first numbers would else be the picture's latent.

    Hashed, not shifted: torch's generator reads 32 bits of a seed, so seed + 2**40 is the seed itself to it.
    """
    return int.from_bytes(hashlib.blake2b(f"flow {seed}".encode(), digest_size=4).digest(), "little")


def interpolation(first: Float[Tensor, "l"], last: Float[Tensor, "l"], steps: int, *, slerp: bool = False) -> Float[Tensor, "n l"]:
    """`steps` points from first to last, both ends exact: a straight line, or along the arc (Shoemake 1985) with `slerp`."""
    if steps < 2:
        raise ValueError(f"steps must be at least 2 (the two ends), got {steps}; try 10")
    share = torch.linspace(0, 1, steps, device=first.device)[:, None]
    angle = torch.acos(F.cosine_similarity(first, last, dim=0).clamp(-1, 1))
    if slerp and angle.sin() > 1e-4:  # nearly parallel vectors have no arc to speak of
        path = (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * last) / angle.sin()
    else:
        path = (1 - share) * first + share * last
    path[0], path[-1] = first, last
    return path


def save(model: LunarCore, folder: str | Path, *, card: str = "", dtype: torch.dtype | None = None) -> Path:
    """The model as a checkpoint folder: model.safetensors, config.json, tokenizer and word list when it reads text."""
    from lunaris.core import hub

    files = {"README.md": card} if card else {}
    if model.tokenizer is not None:
        files |= model.tokenizer.to_files() | {"words.json": json.dumps(model.words, ensure_ascii=False, indent=0) + "\n"}
    config = {"family": "pixel", "model": model.config.to_dict()}
    return hub.save(folder, tensors=model.state_dict(), config=config, files=files, dtype=dtype)


def load(ref: str | Path, *, revision: str | None = None, device: str = "cpu") -> LunarCore:
    """The checkpoint behind `ref` (folder, bundled name, owner/name[@revision]), ready to generate.

    Raises HubError, FileNotFoundError or ValueError with one sentence; a missing, surplus or misshapen weight is an error.
    """
    from lunaris.core import hub
    from lunaris.core.runtime import get_optimal_device

    folder = hub.resolve(ref, revision=revision)
    config = hub.load_config(folder)
    if config.get("family") != "pixel":
        raise ValueError(f"{ref} is a checkpoint of family {config.get('family')!r}, not 'pixel'; load it in its own tab")
    model = LunarCore.from_config(PixelConfig.from_dict(config.get("model", {}), prefix="model."))
    hub.load_into(model, folder)
    if model.config.use_text:
        model.tokenizer = BpeTokenizer.load(folder)
        if model.tokenizer.vocab_size > model.config.text_encoder_config.vocab_size:
            raise ValueError(
                f"{ref}: the tokenizer has {model.tokenizer.vocab_size} entries, the model {model.config.text_encoder_config.vocab_size}"
            )
        words = folder / "words.json"
        model.words = json.loads(words.read_text(encoding="utf-8")) if words.is_file() else {}
    return model.to(get_optimal_device(device)).eval()
