"""What LunarisCore's pictures are worth, in numbers that need no network (PX-20). Every figure names its floor or its range.

psnr_db              reconstruction of held-out sprites, premultiplied RGBA, dB; higher is better
active_dims          latent dimensions with a variance of their means above 0.01: 0 is posterior collapse (Burda et al. 2016)
kl_nats              mean KL(q(z|x) || N(0, I)) of held-out sprites
retrieval_r1_of_32   how often the right one of 32 sprites lies nearest to its caption; chance is 0.031
kid                  distance of sprites drawn for the data's captions from the data (features.py); lower is better
kid_train_captions   the same for the captions of training groups, against training sprites that were not asked for
kid_held_out_captions  and for captions of held-out groups, whose words may be new, against held-out sprites
kid_floor            the data against itself, its groups halved: other things drawn by the same hand
kid_floor_held_out   training against held-out sprites, the floor of `kid_held_out_captions`
kid_floor_whole      the data's random halves, about 0: the floor of `kid_train_captions`
isolated_pixel_rate  opaque pixels unlike all four neighbours, of generated sprites; compare with the data's own rate
faint_alpha_rate     pixels with 0 < alpha < 0.1, before they are cleaned
quality_*            the same figure of the flow sampler, for checkpoints that have one; without the prefix it is the instant mode

What cannot be measured is None, and `not_measured` says why.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lunaris.core.images import RgbaBatch, from_model, to_model
from lunaris.pixel import features
from lunaris.pixel.config import PixelConfig
from lunaris.pixel.data import SpriteSet, join, load_source
from lunaris.pixel.features import Kid, kid
from lunaris.pixel.generate import understood
from lunaris.pixel.model import LunarCore
from lunaris.pixel.request import PixelRequest

MIN_KID = 32  # sprites a side: with fewer a distance is mostly chance
MAX_REFERENCE = 1000  # sprites that a distance is taken to; more would cost time and settle nothing
KID_SAMPLES = 384
FLOOR_DRAWS = 8

Artist = Callable[[Sequence[str], int], RgbaBatch]  # (captions, seed) -> a sprite for each; caption i gets seed + i


class Unmeasured(ValueError):
    """Why a figure cannot be had from this model and these data."""


# --- pictures --------------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def reconstruction_metrics(model: LunarCore, data: SpriteSet) -> dict[str, float]:
    """psnr_db, kl_nats and active_dims on `data`, in evaluation mode whatever mode the model is in."""
    images = to_model(data.images, model.config.channels).to(model.device)
    with _evaluating(model):
        mean, logvar = _in_chunks(model.encode, images)
        decoded = _in_chunks(model.decode, mean)
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


# --- words -----------------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def retrieval_r1(model: LunarCore, data: SpriteSet, *, of: int = 32, draws: int = 100, seed: int = 0) -> float:
    """Share of captions whose own sprite is the nearest (`LunarCore.match`) of `of` sprites with distinct captions.

    Raises Unmeasured when the model reads no text or the data has fewer than `of` distinct captions. Chance is 1 / of.
    """
    if not model.config.use_text:
        raise Unmeasured("the model reads no text")
    part = data.take(first_of_each(data.captions, of))
    pictures = to_model(part.images, model.config.channels).to(model.device)
    fit = _in_chunks(lambda chunk: model.match(chunk, list(part.captions)), pictures)  # (pictures, captions)
    return own_is_nearest(fit.T, of=of, draws=draws, seed=seed)


def first_of_each(captions: Sequence[str], at_least: int) -> list[int]:
    """Row numbers of the captions, of equal ones the first. Raises Unmeasured for fewer than `at_least`."""
    rows = sorted({caption: row for row, caption in reversed(list(enumerate(captions)))}.values())
    if len(rows) < at_least:
        raise Unmeasured(f"it needs {at_least} distinct captions, and there are {len(rows)}")
    return rows


def own_is_nearest(fit: Float[Tensor, "n n"], *, of: int = 32, draws: int = 100, seed: int = 0) -> float:
    """Share of rows whose own column fits best of `of` columns, over `draws` random choices of so many. Chance is 1 / of."""
    rng, hits = np.random.default_rng(seed), 0
    for _ in range(draws):
        chosen = rng.choice(len(fit), of, replace=False)
        hits += int((fit[chosen][:, chosen].argmax(1) == torch.arange(of, device=fit.device)).sum())
    return hits / (draws * of)


def modes(model: LunarCore) -> tuple[str, ...]:
    """The ways a checkpoint can draw, as `PixelRequest.mode` names them."""
    return ("instant", "quality") if model.config.sampler == "flow" else ("instant",)


@torch.no_grad()
def draw(
    model: LunarCore, captions: Sequence[str], *, seed: int = 0, mode: str = "instant", candidates: int = 0
) -> Float[Tensor, "n c h w"]:
    """One picture per caption as the model makes it, with a visitor's settings; picture i from seed + i. Captions steer where they can.

    In batches, unlike `LunarCore.generate`: the flow's pictures equal those up to rounding.
    """
    usual = PixelRequest(mode=mode, candidates=candidates)
    how = {"temperature": usual.temperature, "guidance": usual.guidance if mode == "instant" else 1.0}
    pictures = []
    for start in range(0, len(captions), 64):
        chunk = [" ".join(understood(model, caption).split()) for caption in captions[start : start + 64]]
        if usual.drafts > 1 and model.config.use_text:
            drawn = [model.generate(1, words, seed=seed + start + i, candidates=usual.drafts, **how) for i, words in enumerate(chunk)]
            drawn = torch.cat(drawn)
        else:
            text = None
            if model.config.use_text:
                silent = torch.tensor([not words for words in chunk], device=model.device)[:, None]
                text = torch.where(silent, model.null, model.embed(chunk))
            drawn = model.decode_each(model.noise(seed + start, len(chunk)) * how["temperature"], text, how["guidance"])
        if mode == "quality":
            drawn = model.finish(drawn, chunk, seed=seed + start, steps=usual.steps, guidance=usual.guidance)
        pictures.append(drawn)
    return torch.cat(pictures)


def artist_of(model: LunarCore, mode: str, drawn: list[Tensor]) -> Artist:
    """The model in one of its modes as an artist; `drawn` gets its pictures as they come, before faint alpha is cleaned.

    Drawing takes most of an evaluation's time: nothing is drawn twice.
    """

    def artist(captions: Sequence[str], seed: int) -> RgbaBatch:
        drawn.append(draw(model, captions, seed=seed, mode=mode))
        return from_model(drawn[-1])

    return artist


# --- distances -------------------------------------------------------------------------------------------------------------------


def group_halves(groups: Sequence[str], seed: int) -> tuple[list[int], list[int]]:
    """Row numbers of two parts of about equal size, no group in both."""
    rng = np.random.default_rng(seed)
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    halves: tuple[list[int], list[int]] = ([], [])
    names = sorted(members)
    for i in rng.permutation(len(names)):
        min(halves, key=len).extend(members[names[i]])
    return halves


def on_white(data: SpriteSet) -> SpriteSet:
    """The set as a model of 3 channels could draw it at best."""
    return SpriteSet(from_model(to_model(data.images, 3)), data.captions, data.groups)


def random_halves(n: int, seed: int) -> tuple[list[int], list[int]]:
    """Row numbers of two random halves of n rows."""
    order = np.random.default_rng(seed).permutation(n).tolist()
    return order[: n // 2], order[n // 2 :]


def distance(ours: Float[Tensor, "n d"], theirs: Float[Tensor, "m d"], seed: int = 0) -> Kid:
    """`features.kid`. Raises Unmeasured when a side has too few sprites to say anything."""
    if min(len(ours), len(theirs)) < MIN_KID:
        raise Unmeasured(f"a distance needs {MIN_KID} sprites on each side, and there are {len(ours)} and {len(theirs)}")
    return kid(ours, theirs, seed=seed)


def floor_of(seen: Float[Tensor, "n d"], halves: Callable[[int], tuple[Sequence[int], Sequence[int]]]) -> Kid:
    """Mean and scatter of the distance between the two parts that `halves(seed)` makes of a set, over several seeds."""
    parts = [halves(seed) for seed in range(FLOOR_DRAWS)]
    values = [distance(seen[list(one)], seen[list(other)]).value for one, other in parts]
    return Kid(float(np.mean(values)), float(np.std(values)))


def caption_kid(artist: Artist, data: SpriteSet | None, *, n: int = KID_SAMPLES, seed: int = 0) -> Kid:
    """How far `n` sprites that `artist` draws for captions of `data` are from sprites of `data` whose captions were not asked for.

    Where too few are left over, all sprites are the reference; where captions are fewer than `n`, they are asked for in turn. Raises
    Unmeasured for too few sprites, FileNotFoundError without the feature network.
    """
    if data is None or len(data) < MIN_KID:
        raise Unmeasured(f"a distance needs {MIN_KID} sprites, and there are {len(data) if data else 0}")
    net = features.load()
    order = np.random.default_rng(seed).permutation(len(data))
    asked, rest = np.resize(order, n), order[n:]
    reference = data.images[(rest if len(rest) >= n else order)[:MAX_REFERENCE]]
    drawn = artist([data.captions[i] for i in asked], seed)
    return distance(features.features(net, drawn), features.features(net, reference), seed)


def data_floors(train: SpriteSet | None, held: SpriteSet | None) -> dict[str, Callable[[], Kid]]:
    """Name -> how to measure it, for the distances of the data from itself."""
    parts = [part.take(range(min(len(part), MAX_REFERENCE))) for part in (train, held) if part]
    groups = [group for part in parts for group in part.groups]
    seen = functools.cache(lambda: [features.features(features.load(), part.images) for part in parts])

    def held_out() -> Kid:
        if len(parts) < 2:
            raise Unmeasured("no group is held out" if held is None else "every group is held out")
        return distance(*seen())

    return {
        "kid_floor": lambda: floor_of(torch.cat(seen()), lambda seed: group_halves(groups, seed)),
        "kid_floor_whole": lambda: floor_of(torch.cat(seen()), lambda seed: random_halves(len(groups), seed)),
        "kid_floor_held_out": held_out,
    }


# --- the report ------------------------------------------------------------------------------------------------------------------


def evaluate(model: LunarCore, data: str | Path, *, n: int = 512, seed: int = 0) -> dict[str, Any]:
    """The figures above for any source of `data.load_source`, with sample sizes and references, ready for JSON.

    All but the distances are measured on held-out groups, or on all sprites when none is held out (`measured_on` says which). At most
    `n` sprites are looked at and drawn for each figure. Raises what `load_source` raises for a source that cannot be read.
    """
    with _evaluating(model):
        return _evaluate(model, data, n, seed)


def _evaluate(model: LunarCore, data: str | Path, n: int, seed: int) -> dict[str, Any]:
    parts = _parts(data, model.config, n, seed)
    train, held_out = parts["train"], parts["validation"]
    held = held_out or train
    held = held.take(range(min(n, len(held))))
    report: dict[str, Any] = {
        "data": str(data),
        "measured_on": "held-out groups" if held_out else "all sprites: no group is held out",
        "n": len(held),
        **reconstruction_metrics(model, held),
        "latent_dims": model.config.latent_dim,
        "retrieval_chance": 1 / 32,
        "isolated_pixel_rate_of_data": isolated_pixel_rate(held.images),
        "faint_alpha_rate_of_data": faint_alpha_rate(to_model(held.images)),
    }
    missing: dict[str, str] = {}

    def measure(name: str, figure: Callable[[], float | Kid]) -> None:
        """Put a figure into the report; a distance with its spread; None and the reason where there is none."""
        try:
            value = figure()
        except (Unmeasured, FileNotFoundError) as why:  # the feature network may not have come along
            report[name], missing[name] = None, str(why)
            return
        report[name] = value.value if isinstance(value, Kid) else value
        if isinstance(value, Kid):
            report[f"{name}_spread"] = value.spread

    measure("retrieval_r1_of_32", lambda: retrieval_r1(model, held, seed=seed))
    kids = {"kid": join([part for part in (train, held_out) if part]), "kid_train_captions": train, "kid_held_out_captions": held_out}
    for mode in modes(model):
        prefix = "" if mode == "instant" else f"{mode}_"
        drawn: list[Tensor] = []
        artist = artist_of(model, mode, drawn)
        for name, part in kids.items():
            if name == "kid" or model.config.use_text:
                measure(f"{prefix}{name}", functools.partial(caption_kid, artist, part, n=min(n, KID_SAMPLES), seed=seed))
            else:
                report[f"{prefix}{name}"], missing[f"{prefix}{name}"] = None, "the model reads no text"
        looked_at = drawn[-1] if drawn else draw(model, held.captions, seed=seed, mode=mode)
        report[f"{prefix}isolated_pixel_rate"] = isolated_pixel_rate(from_model(looked_at))
        report[f"{prefix}faint_alpha_rate"] = faint_alpha_rate(looked_at)
    for name, figure in data_floors(train, held_out).items():
        measure(name, figure)
    return report | {"not_measured": missing}


def _parts(data: str | Path, config: PixelConfig, n: int, seed: int) -> dict[str, SpriteSet | None]:
    """The training and the held-out part of a source in random order; None for one without a sprite."""
    parts: dict[str, SpriteSet | None] = {}
    refused: list[ValueError] = []
    for name in ("train", "validation"):
        try:
            part = load_source(data, side=config.side, split=name, n=2 * n, seed=seed)
            part = part.take(np.random.default_rng(seed).permutation(len(part)).tolist())
            parts[name] = part if config.channels == 4 else on_white(part)
        except ValueError as error:  # this part is empty, or neither can be read
            parts[name] = None
            refused.append(error)
    if len(refused) == 2:
        raise refused[0]
    return parts


@contextlib.contextmanager
def _evaluating(model: LunarCore) -> Iterator[None]:
    """The model in evaluation mode; afterwards in the mode it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _in_chunks(fn, x: Tensor, size: int = 256):
    """fn over x, `size` rows at a time, results joined."""
    parts = [fn(chunk) for chunk in x.split(size)]
    if isinstance(parts[0], tuple):
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))
    return torch.cat(parts)
