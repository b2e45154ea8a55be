"""What LunarisCore's pictures are worth, in numbers that need no network (PX-20). Every figure names its floor or its range.

psnr_db              reconstruction of held-out sprites, premultiplied RGBA, dB; higher is better
active_dims          latent dimensions with a variance of their means above 0.01: 0 is posterior collapse (Burda et al. 2016)
kl_nats              mean KL(q(z|x) || N(0, I)) of held-out sprites
retrieval_r1_of_32   how often the right one of 32 captions lies nearest to the picture's latent mean; chance is 0.031
isolated_pixel_rate  opaque pixels unlike all four neighbours, of generated sprites; compare with the data's own rate
faint_alpha_rate     pixels with 0 < alpha < 0.1, before they are cleaned
"""

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lunaris.core.images import RgbaBatch, from_model, to_model
from lunaris.pixel.data import SpriteSet, load_source
from lunaris.pixel.model import LunarCore


@torch.no_grad()
def reconstruction_metrics(model: LunarCore, data: SpriteSet) -> dict[str, float]:
    """psnr_db, kl_nats and active_dims on `data`, in evaluation mode whatever mode the model is in."""
    was_training = model.training
    model.eval()
    images = to_model(data.images, model.config.channels).to(model.device)
    mean, logvar = _in_chunks(model.encode, images)
    decoded = _in_chunks(model.decode, mean)
    model.train(was_training)
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(1)
    return {
        "psnr_db": psnr(decoded, images),
        "kl_nats": float(kl.mean()),
        "active_dims": float((mean.var(0) > 0.01).sum()) if len(mean) > 1 else 0.0,
    }


def psnr(pictures: Float[Tensor, "n c h w"], originals: Float[Tensor, "n c h w"]) -> float:
    """Peak signal-to-noise ratio in dB over the whole set, peak 1; capped at 99 for equal pictures."""
    error = float((pictures - originals).square().mean())
    return min(99.0, -10 * math.log10(error)) if error > 0 else 99.0


@torch.no_grad()
def retrieval_r1(model: LunarCore, data: SpriteSet, *, of: int = 32, draws: int = 100, seed: int = 0) -> float:
    """Share of pictures whose own caption is the nearest (cosine, latent mean to text vector) of `of` distinct captions.

    NaN when the model reads no text or the data has fewer than `of` distinct captions. Chance is 1 / of.
    """
    first = {caption: row for row, caption in reversed(list(enumerate(data.captions)))}
    if not model.config.use_text or len(first) < of:
        return float("nan")
    rows = sorted(first.values())
    part = data.take(rows)
    image = F.normalize(_in_chunks(model.encode, to_model(part.images, model.config.channels).to(model.device))[0], dim=-1)
    text = F.normalize(model.embed(list(part.captions)), dim=-1)
    rng, hits = np.random.default_rng(seed), 0
    for _ in range(draws):
        chosen = rng.choice(len(rows), of, replace=False)
        hits += int(((image[chosen] @ text[chosen].T).argmax(1) == torch.arange(of, device=image.device)).sum())
    return hits / (draws * of)


def isolated_pixel_rate(images: RgbaBatch, threshold: float = 0.12) -> float:
    """Share of opaque pixels that differ by more than `threshold` (of full range, largest channel) from all four neighbours."""
    pixels = to_model(images).numpy()  # (n, 4, h, w), premultiplied
    padded = np.pad(pixels, ((0, 0), (0, 0), (1, 1), (1, 1)))
    h, w = pixels.shape[2:]
    neighbours = [padded[:, :, 1 + y : 1 + y + h, 1 + x : 1 + x + w] for y, x in ((-1, 0), (1, 0), (0, -1), (0, 1))]
    alone = np.all([np.abs(pixels - other).max(1) > threshold for other in neighbours], 0)
    opaque = pixels[:, 3] > 0.5
    return float((alone & opaque).sum() / max(1, opaque.sum()))


def faint_alpha_rate(pictures: Float[Tensor, "n c h w"]) -> float:
    """Share of pixels with 0 < alpha < 0.1 in a model's own pictures; 0 for RGB models."""
    if pictures.shape[1] == 3:
        return 0.0
    alpha = pictures[:, 3]
    return float(((alpha > 1e-4) & (alpha < 0.1)).float().mean())


def evaluate(model: LunarCore, data: str | Path, *, n: int = 512, seed: int = 0) -> dict:
    """The figures above on the held-out groups of `data` (any source of `data.load_source`), with sample size and references."""
    held = load_source(data, side=model.config.side, split="validation", n=n, seed=seed)
    rows = np.random.default_rng(seed).permutation(len(held))[:n]
    held = held.take([int(row) for row in rows])
    prompts = held.captions if model.config.use_text else [None] * len(held)
    drawn = torch.cat([model.generate(1, prompt, seed=seed + i, temperature=0.7) for i, prompt in enumerate(prompts)])
    return {
        "data": str(data),
        "n": len(held),
        **reconstruction_metrics(model, held),
        "latent_dims": model.config.latent_dim,
        "retrieval_r1_of_32": retrieval_r1(model, held, seed=seed),
        "retrieval_chance": 1 / 32,
        "isolated_pixel_rate": isolated_pixel_rate(from_model(drawn)),
        "isolated_pixel_rate_of_data": isolated_pixel_rate(held.images),
        "faint_alpha_rate": faint_alpha_rate(drawn),
    }


def _in_chunks(fn, x: Tensor, size: int = 256):
    """fn over x, `size` rows at a time, results joined."""
    parts = [fn(chunk) for chunk in x.split(size)]
    if isinstance(parts[0], tuple):
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))
    return torch.cat(parts)
