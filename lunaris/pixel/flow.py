"""The quality sampler: a flow from noise to sprites in pixel space (Lipman et al. 2023; Liu et al. 2023), steered by the prompt's words.

    x_t = (1 - t)·noise + t·sprite,  t from 0 to 1;     sampling follows dx/dt = (denoised(x_t, t) - x_t) / (1 - t) from noise at t = 0

The VAE sketches and the flow paints (Pandey et al. 2022, "DiffuseVAE"): beside the words, the network sees the sprite that the VAE draws.
In training that is the picture's own reconstruction through the few latent numbers the prompt leaves open, so the flow need not invent
the shape; in sampling it is the VAE's sprite for the seed. Either may be missing. The network predicts the sprite, not the velocity (Li &
He 2025, "Back to basics"): sprites lie near a small set of pictures that a small network can hold, noise does not; its last word is a
sprite without leftover speckle. The loss is still that of the velocity.

b batch · c channels · h, w side of the picture · k patch side · t time, or tokens of the prompt · d width of the conditioning vector
x, noise, sprite, sketch   (b, c, h, w) with values in [-1, 1]; RGB is premultiplied by alpha; a missing sketch is 0 everywhere
meaning                    (b, l) the VAE's text vector; 0 without a prompt
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lunaris.pixel.config import PixelConfig

MIN_GAP = 0.05  # 1 - t is kept above this where it divides: the last twentieth of the way would weigh without bound


def _silent(layer: nn.Module) -> nn.Module:
    """The layer with nothing to say at first: what it is added to starts as if it were not there."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut; the conditioning scales and shifts what is between them (FiLM, Perez et al. 2018)."""

    def __init__(self, before: int, after: int, d: int):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, before), nn.Conv2d(before, after, 3, padding=1)
        self.film = nn.Linear(d, 2 * after)
        self.norm2, self.conv2 = nn.GroupNorm(8, after), _silent(nn.Conv2d(after, after, 3, padding=1))
        self.shortcut = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x: Float[Tensor, "b c1 h w"], condition: Float[Tensor, "b d"]) -> Float[Tensor, "b c2 h w"]:
        scale, shift = self.film(condition)[..., None, None].chunk(2, 1)
        hidden = self.norm2(self.conv1(F.silu(self.norm1(x)))) * (1 + scale) + shift
        return self.shortcut(x) + self.conv2(F.silu(hidden))


class Attention(nn.Module):
    """Every place looks at every place and at every word. Plain products: on a CPU they train faster than the fused kernel."""

    def __init__(self, channels: int, d_words: int, heads: int = 4):
        super().__init__()
        self.heads, self.norm = heads, nn.GroupNorm(8, channels)
        self.qkv, self.words = nn.Linear(channels, 3 * channels), nn.Linear(d_words, 2 * channels)
        self.out = _silent(nn.Linear(channels, channels))

    def forward(self, x: Float[Tensor, "b c h w"], words: Float[Tensor, "b t e"], mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b c h w"]:
        places = self.norm(x).flatten(2).transpose(1, 2)  # (b, h·w, c)
        q, k, v = self.qkv(places).chunk(3, -1)
        word_k, word_v = self.words(words).chunk(2, -1)
        k, v = torch.cat([k, word_k], 1), torch.cat([v, word_v], 1)  # (b, h·w + t, c)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))  # (b, heads, ·, c/heads)
        hidden = F.pad(~mask, (places.shape[1], 0))[:, None, None]  # places are never hidden
        scores = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(hidden, -torch.inf)
        found = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        return x + self.out(found).transpose(1, 2).unflatten(2, x.shape[2:])


def waves(t: Float[Tensor, "b"], d: int) -> Float[Tensor, "b d"]:
    """Sines and cosines of t in [0, 1] at frequencies from 1 to 1000 radians (Vaswani et al. 2017)."""
    angle = t[:, None] * torch.exp(torch.linspace(0, math.log(1000), d // 2, device=t.device))
    return torch.cat([angle.sin(), angle.cos()], -1)


class FlowUNet(nn.Module):
    """The sprite behind a noisy picture. A U-Net (Ronneberger et al. 2015) with three sizes; with `patch` 2 the largest is half the side.

    Blocks at full size are few and thin: they sharpen. Most of the work is done at a half and a quarter, where attention is too.
    """

    def __init__(self, config: PixelConfig):
        super().__init__()
        flow, text = config.flow, config.text_encoder_config
        self.patch, d = flow.patch, flow.condition_dim
        inner = config.channels * flow.patch**2
        wide = flow.filters
        self.time = nn.Sequential(nn.Linear(64, d), nn.SiLU(), nn.Linear(d, d))
        self.embedding = nn.Embedding(text.vocab_size, flow.word_dim)
        self.null = nn.Parameter(torch.zeros(flow.word_dim))  # the one "word" of an absent prompt
        self.prompt = nn.Sequential(nn.Linear(flow.word_dim, d), nn.SiLU(), nn.Linear(d, d))
        self.meaning = _silent(nn.Linear(config.latent_dim, d))
        self.enter, self.sketch = nn.Conv2d(inner, wide[0], 3, padding=1), _silent(nn.Conv2d(inner, wide[0], 3, padding=1))
        self.down, self.attend_down, self.shrink = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.up, self.attend_up, self.grow = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for i, (width, blocks) in enumerate(zip(wide, flow.blocks, strict=True)):
            self.down.append(nn.ModuleList(Residual(width, width, d) for _ in range(blocks)))
            self.up.append(nn.ModuleList(Residual(width if j else 2 * width, width, d) for j in range(blocks)))
            self.attend_down.append(Attention(width, flow.word_dim) if i else None)
            self.attend_up.append(Attention(width, flow.word_dim) if i else None)
            if i + 1 < len(wide):
                self.shrink.append(nn.Conv2d(width, wide[i + 1], 2, stride=2))
                self.grow.append(nn.ConvTranspose2d(wide[i + 1], width, 2, stride=2))
        self.leave = nn.Sequential(nn.GroupNorm(8, wide[0]), nn.SiLU(), nn.Conv2d(wide[0], inner, 3, padding=1))

    def read(
        self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"], prompted: Bool[Tensor, "b 1"] | None = None
    ) -> tuple[Float[Tensor, "b t e"], Bool[Tensor, "b t"]]:
        """The prompt's words as vectors and which of them count; rows without a prompt have one: the learned "no prompt"."""
        silent = ~mask.any(1) if prompted is None else ~(prompted[:, 0] & mask.any(1))
        first = F.pad(torch.ones_like(mask[:, :1]), (0, mask.shape[1] - 1))
        words = torch.where(silent[:, None, None], self.null, self.embedding(tokens))
        return words, torch.where(silent[:, None], first, mask)

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        t: Float[Tensor, "b"],
        words: Float[Tensor, "b t e"],
        mask: Bool[Tensor, "b t"],
        meaning: Float[Tensor, "b l"],
        sketch: Float[Tensor, "b c h w"],
    ) -> Float[Tensor, "b c h w"]:
        pooled = (words * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        condition = F.silu(self.time(waves(t, 64)) + self.prompt(pooled) + self.meaning(meaning))
        hidden = self.enter(F.pixel_unshuffle(x, self.patch)) + self.sketch(F.pixel_unshuffle(sketch, self.patch))
        kept = []
        for i, blocks in enumerate(self.down):
            hidden = self.shrink[i - 1](hidden) if i else hidden
            hidden = self._level(hidden, blocks, self.attend_down[i], condition, words, mask)
            kept.append(hidden)
        for i in reversed(range(len(self.up))):
            hidden = self.grow[i](hidden) if i + 1 < len(self.up) else hidden
            hidden = self._level(torch.cat([hidden, kept[i]], 1), self.up[i], self.attend_up[i], condition, words, mask)
        return F.pixel_shuffle(self.leave(hidden), self.patch)

    def _level(self, hidden, blocks, attend, condition, words, mask):
        for block in blocks:
            hidden = block(hidden, condition)
        return hidden if attend is None else attend(hidden, words, mask)


def flow_loss(
    net: FlowUNet,
    images: Float[Tensor, "b c h w"],
    tokens: Int[Tensor, "b t"],
    mask: Bool[Tensor, "b t"],
    prompted: Bool[Tensor, "b 1"],
    meaning: Float[Tensor, "b l"],
    sketch: Float[Tensor, "b c h w"],
    starting: Bool[Tensor, "b"] | None = None,
) -> Float[Tensor, ""]:
    """Squared error of the velocity, averaged over pixels, at a time drawn for each picture (logit-normal, Esser et al. 2024).

    `images` in [0, 1]; rows that are not `prompted` are trained without their words; `meaning` and `sketch` as the network takes them.
    Rows that are `starting` are trained at t = 0, where every sampling starts: of the times drawn, one in seventy is below 0.1.
    """
    sprite = images * 2 - 1
    noise = torch.randn_like(sprite)
    t = torch.sigmoid(torch.randn(len(images), device=images.device))
    if starting is not None:
        t = torch.where(starting, 0.0, t)
    share = t[:, None, None, None]
    x = (1 - share) * noise + share * sprite
    error = net(x, t, *net.read(tokens, mask, prompted), meaning, sketch) - sprite
    return (error / (1 - share).clamp_min(MIN_GAP)).square().mean()


def sample(
    net: FlowUNet,
    noise: Float[Tensor, "b c h w"],
    tokens: Int[Tensor, "b t"],
    mask: Bool[Tensor, "b t"],
    meaning: Float[Tensor, "b l"],
    sketch: Float[Tensor, "b c h w"],
    *,
    steps: int,
    guidance: float,
    until: float = 1.0,
) -> Float[Tensor, "b c h w"]:
    """Pictures in [0, 1] from standard normal noise in `steps` Euler steps, the last of which is the network's own sprite.

    `guidance` 1 follows the prompt as trained; any other value draws each step from the model with the words and without them
    (Ho & Salimans 2022); 0 ignores them. The sketch is shown to both: it has no say in what is exaggerated. From t = `until` on nothing
    is exaggerated: by then the words have been heard, and more of them is speckle (Kynkäänniemi et al. 2024).
    """
    guided = guidance != 1 and bool(mask.any())
    with torch.inference_mode():  # a tenth faster than no_grad for a single sprite
        told = *net.read(tokens, mask), meaning, sketch
        if guided:  # rows without the words go along in the same pass, which costs half as much again, not twice
            silent = *net.read(tokens, torch.zeros_like(mask)), torch.zeros_like(meaning), sketch
            both = tuple(torch.cat(pair) for pair in zip(told, silent, strict=True))
        x = noise
        for i in range(steps):
            t, after = i / steps, (i + 1) / steps
            if guided and (guidance < 1 or t < until):
                sprite, free = net(torch.cat([x, x]), torch.full((2 * len(x),), t, device=x.device), *both).chunk(2)
                sprite = free + guidance * (sprite - free)
            else:
                sprite = net(x, torch.full((len(x),), t, device=x.device), *told)
            x = sprite if i == steps - 1 else x + (after - t) / (1 - t) * (sprite - x)
        result = ((x + 1) / 2).clamp(0, 1)
    return result.clone()  # an ordinary tensor again
