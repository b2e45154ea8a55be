"""Which of several sprites fits a prompt best: two networks trained for nothing else (Radford et al. 2021, "CLIP").

    picture ── PictureTower ──┐
                              ├─ cosine, in [-1, 1]
    prompt  ── WordTower ─────┘

The VAE's own latent mean and text vector can be compared too, and are where a checkpoint has no matcher; but they have to serve the
drawing first. Drafts are cheap and the matcher cheaper, so the best of a few is drawn well more often than one. In training the VAE's
drafts are wrong answers beside the other pictures of the batch: what tells a drawing from a blend of two tells good drafts from bad
(Azadi et al. 2019, "discriminator rejection sampling").

b pictures · p prompts · n drafts · c channels · h, w side of the picture · t tokens · d width of the compared vectors
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lunaris.pixel.config import PixelConfig

START_SCALE = 10.0  # 1 / temperature at first, learned from there
MAX_SCALE = 50.0


def masked_mean(x: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b d"]:
    """The mean over real tokens; padding has no say, and a row without tokens is zero."""
    return (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp_min(1)


class PictureTower(nn.Module):
    """A picture as a unit vector: convolutions, a halving before each further width; at the end mean and maximum over the places."""

    def __init__(self, channels: int, filters: tuple[int, ...], d: int, patch: int = 1):
        super().__init__()
        self.patch, channels = patch, channels * patch**2
        layers: list[nn.Module] = [nn.Conv2d(channels, filters[0], 3, padding=1), nn.GroupNorm(8, filters[0]), nn.ReLU()]
        for before, after in zip(filters, filters[1:], strict=False):
            for width, stride in ((before, 2), (after, 1)):
                layers += [nn.Conv2d(width, after, 3, stride=stride, padding=1), nn.GroupNorm(8, after), nn.ReLU()]
        self.stages, self.leave = nn.Sequential(*layers), nn.Linear(2 * filters[-1], d)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        places = self.stages(F.pixel_unshuffle(images * 2 - 1, self.patch)).flatten(2)
        return F.normalize(self.leave(torch.cat([places.mean(-1), places.amax(-1)], -1)), dim=-1)


class WordTower(nn.Module):
    """A prompt as a unit vector, whatever the order of its words. In training whole tokens are dropped, so that each learns to matter."""

    def __init__(self, vocab_size: int, d: int, dropout_rate: float):
        super().__init__()
        self.embedding, self.dropout_rate = nn.Embedding(vocab_size, d), dropout_rate
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def forward(self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b d"]:
        if self.training:
            kept = mask & (torch.rand(mask.shape, device=mask.device) >= self.dropout_rate)
            mask = torch.where(kept.any(1, keepdim=True), kept, mask)
        mean = masked_mean(self.embedding(tokens), mask)
        return F.normalize(mean + self.mlp(mean), dim=-1)


class Matcher(nn.Module):
    """Both towers and the scale of their cosine in the loss."""

    def __init__(self, config: PixelConfig):
        super().__init__()
        settings, text = config.matcher, config.text_encoder_config
        self.picture = PictureTower(config.channels, settings.filters, settings.dim, settings.patch)
        self.words = WordTower(text.vocab_size, settings.dim, text.dropout_rate)
        self.log_scale = nn.Parameter(torch.tensor(START_SCALE).log())

    def forward(self, images: Float[Tensor, "b c h w"], tokens: Int[Tensor, "p t"], mask: Bool[Tensor, "p t"]) -> Float[Tensor, "b p"]:
        """Cosine of picture i and prompt j, times the learned scale."""
        scale = self.log_scale.exp().clamp(max=MAX_SCALE)
        return scale * self.picture(images) @ self.words(tokens, mask).T


def shifted(images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Each picture moved by up to a pixel each way, what leaves one side lost: the same thing to a person."""
    b, _, h, w = images.shape
    padded = F.pad(images, (1, 1, 1, 1))
    down, right = torch.randint(0, 3, (2, b), device=images.device)
    rows = (down[:, None] + torch.arange(h, device=images.device))[:, None, :, None]
    columns = (right[:, None] + torch.arange(w, device=images.device))[:, None, None, :]
    every = torch.arange(b, device=images.device)[:, None, None, None]
    layers = torch.arange(images.shape[1], device=images.device)[None, :, None, None]
    return padded[every, layers, rows, columns]


def contrast(logits: Float[Tensor, "b b"], same: Bool[Tensor, "b b"], wrong: Float[Tensor, "n b"] | None = None) -> Float[Tensor, ""]:
    """Symmetric InfoNCE (van den Oord et al. 2018) of picture i with prompt i against the others of the batch, in nats.

    `same` marks pairs with equal prompts; they are no negatives of each other. `wrong` are further pictures, right for no prompt.
    """
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(same & ~own, -torch.inf)
    target = torch.arange(len(logits), device=logits.device)
    pictures = logits if wrong is None else torch.cat([logits, wrong])
    return (F.cross_entropy(logits, target) + F.cross_entropy(pictures.T, target)) / 2
