"""What a small network sees in a sprite, and how far two sets of sprites are apart in its eyes (KID, Bińkowski et al. 2018).

The network was trained to name the caption words of sprites (benchmarks/train_features.py), on training groups only; its 128 numbers
before the words are the features. Inception, which KID usually looks through, never saw a picture of 16 pixels.

    f(x)    features of picture x, scaled to length √d, d = 128: without that the distance measures how bright a set is
    k(a, b) = (a·b / d + 1)³
    KID     = mean k(x, x') over x ≠ x'  +  mean k(y, y') over y ≠ y'  -  2 mean k(x, y): 0 for sets of one kind, may fall below 0
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lunaris.core import hub, models
from lunaris.core.config import BaseConfig, option
from lunaris.core.images import RgbaBatch, to_model

CHECKPOINT = FAMILY = "pixel-features"  # a family of its own, so that no tab offers it as a model that draws
SUBSETS = 30  # random halves whose scatter tells how sure a KID is


@dataclass(frozen=True)
class FeaturesConfig(BaseConfig):
    """The network: its widths, and the caption words it was trained to name."""

    widths: tuple[int, ...] = option((32, 64, 128, 160), "channels of the stages; all but the first halve the picture", ge=8, le=512)
    dim: int = option(128, "features of a picture", ge=8, le=1024)
    words: tuple[str, ...] = option(("sprite",), "the words it names, in the order of its outputs")


class FeatureNet(nn.Module):
    """Pictures of 8 to 64 pixels to features, and features to words. The mean over the picture makes every size fit."""

    def __init__(self, config: FeaturesConfig):
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        before = 4
        for i, width in enumerate(config.widths):
            layers += [nn.Conv2d(before, width, 3, stride=2 if i else 1, padding=1), nn.GroupNorm(8, width), nn.ReLU()]
            if i < len(config.widths) - 1:
                layers += [nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(8, width), nn.ReLU()]
            before = width
        self.stages = nn.Sequential(*layers)
        self.dense = nn.Linear(before, config.dim)
        self.words = nn.Linear(config.dim, len(config.words))

    def features(self, pictures: Float[Tensor, "b 4 h w"]) -> Float[Tensor, "b d"]:
        """Features of length √d."""
        pooled = self.stages(pictures).mean((2, 3))
        return F.normalize(torch.relu(self.dense(pooled)), dim=-1) * self.config.dim**0.5

    def forward(self, pictures: Float[Tensor, "b 4 h w"]) -> Float[Tensor, "b words"]:
        """A logit per word."""
        return self.words(torch.relu(self.dense(self.stages(pictures).mean((2, 3)))))


def save(net: FeatureNet, folder: str | Path, *, card: str) -> Path:
    """The network as a checkpoint folder in half precision."""
    config = {"family": FAMILY, "model": net.config.to_dict()}
    return hub.save(folder, tensors=net.state_dict(), config=config, files={"README.md": card}, dtype=torch.float16)


def load(ref: str = CHECKPOINT) -> FeatureNet:
    """The network behind `ref`, from memory when it was asked for before. Raises FileNotFoundError, HubError or ValueError."""
    return models.shared().get(FAMILY, ref, _read).model


def _read(folder: Path) -> FeatureNet:
    config = hub.load_config(folder)
    if config.get("family") != FAMILY:
        raise ValueError(f"{folder} is a checkpoint of family {config.get('family')!r}, not {FAMILY!r}; give one that names sprites")
    net = FeatureNet(FeaturesConfig.from_dict(config.get("model", {}), prefix="model."))
    hub.load_into(net, folder)
    return net.eval()


@torch.no_grad()
def features(net: FeatureNet, images: RgbaBatch) -> Float[Tensor, "n d"]:
    """The features of sprites of 8 to 64 pixels; a picture has the same ones in any batch, up to rounding."""
    if not 8 <= images.shape[1] <= 64 or not 8 <= images.shape[2] <= 64:
        raise ValueError(f"sprites must have sides of 8 to 64 pixels, got {images.shape[2]}x{images.shape[1]}; scale them first")
    chunks = to_model(images).split(256)
    return torch.cat([net.features(chunk) for chunk in chunks]) if len(images) else torch.zeros(0, net.config.dim)


@dataclass(frozen=True)
class Kid:
    """A kernel inception distance, and the standard deviation that it would have over other draws of as many sprites."""

    value: float
    spread: float


def kid(ours: Float[Tensor, "n d"], theirs: Float[Tensor, "m d"], *, seed: int = 0) -> Kid:
    """The distance between two sets of features, unbiased: 0 on average for two draws from one source, however small they are.

    The spread is the scatter over random halves of both sets: that of a mean over half of a set is as wide around the whole set's as
    the whole set's is around the truth. Raises ValueError for less than 4 a side.
    """
    if min(len(ours), len(theirs)) < 4:
        raise ValueError(f"a distance needs at least 4 sprites on each side, got {len(ours)} and {len(theirs)}")
    rng = np.random.default_rng(seed)
    halves = [[half[rng.permutation(len(half))[: len(half) // 2]] for half in (ours, theirs)] for _ in range(SUBSETS)]
    return Kid(mmd2(ours, theirs), float(np.std([mmd2(a, b) for a, b in halves])))


def mmd2(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy under k."""
    within = [(k.sum() - k.diagonal().sum()) / (len(k) * (len(k) - 1)) for k in (_kernel(x, x), _kernel(y, y))]
    return float(within[0] + within[1] - 2 * _kernel(x, y).mean())


def _kernel(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    base = a @ b.T / a.shape[1] + 1
    return (base * base * base).double()  # the sums of millions of them need the digits, the products do not
