"""Sprites and captions to train on: procedural ones that need no network, a folder, or a Hub dataset.

A folder is either PNGs (captions from captions.jsonl, from a .txt file beside each picture, or from the file name) or the packed layout:
NAME.npz with `images` uint8 (n, h, w, 4) + NAME.captions.jsonl, one object per picture with at least "caption" and a "group" or "name".
Sources are mixed with "+", and "8*FOLDER" counts a folder eight times in every epoch: "procedural+8*icons+4*tiles".
Training and validation are split by group, never by index: variants of one thing stay on one side (PX-21).
"""

import functools
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lunaris.core.images import RgbaBatch, fit_square, read_image, to_model
from lunaris.core.sources import held_out, load_hub_table, mixture
from lunaris.core.tokenizer import BpeTokenizer
from lunaris.pixel import sprites
from lunaris.pixel.config import PixelConfig
from lunaris.pixel.request import MAX_PROMPT

MAX_SPRITES = 1_000_000
SPLITS = ("train", "validation", "all")


@dataclass(frozen=True)
class SpriteSet:
    """Pictures with one caption and one group each."""

    images: RgbaBatch
    captions: tuple[str, ...]
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.captions)

    def take(self, rows: Sequence[int]) -> "SpriteSet":
        return SpriteSet(self.images[list(rows)], tuple(self.captions[i] for i in rows), tuple(self.groups[i] for i in rows))

    def split(self, name: str) -> "SpriteSet":
        """The part called train, validation (about a tenth of the groups) or all."""
        if name not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {name!r}; try 'train'")
        if name == "all":
            return self
        return self.take([i for i, group in enumerate(self.groups) if held_out(group) == (name == "validation")])


# --- sources ---------------------------------------------------------------------------------------------------------------------


def load_source(
    source: str | Path, *, side: int, split: str = "train", n: int = 20_000, seed: int = 0, bilingual: bool = False
) -> SpriteSet:
    """The sprites of `source` at side x side pixels.

    `source` is "procedural" (then `n` sprites for `seed`), "procedural:potion,key" (these kinds only), a folder, a Hub dataset's
    `owner/name` with an image column, or several of these mixed with "+" (repetitions count in training only). With `bilingual`, every
    picture of a folder or dataset comes a second time with its caption in Portuguese, where `glossary` has all its words.
    Raises FileNotFoundError or ValueError with one sentence.
    """
    parts = mixture(source)
    sets = [_load_one(name, side=side, split=split, n=n, seed=seed, bilingual=bilingual) for _, name in parts]
    times = [count if split == "train" else 1 for count, _ in parts]
    return (
        sets[0] if len(sets) == 1 and times == [1] else join([part for part, count in zip(sets, times, strict=True) for _ in range(count)])
    )


def join(sets: Sequence[SpriteSet]) -> SpriteSet:
    """All sprites of several sets of the same size, in order."""
    captions, groups = (tuple(value for part in sets for value in getattr(part, name)) for name in ("captions", "groups"))
    return SpriteSet(np.concatenate([part.images for part in sets]), captions, groups)


def in_both_languages(data: SpriteSet) -> SpriteSet:
    """The set, and again every picture whose English caption the lexicon can say in Portuguese."""
    from lunaris.pixel.glossary import portuguese_caption

    said = [(row, portuguese_caption(caption)) for row, caption in enumerate(data.captions)]
    found = [(row, caption) for row, caption in said if caption]
    again = data.take([row for row, _ in found])
    return join([data, SpriteSet(again.images, tuple(caption for _, caption in found), again.groups)]) if found else data


def _load_one(source: str, *, side: int, split: str, n: int, seed: int, bilingual: bool) -> SpriteSet:
    name, _, kinds = source.partition(":")
    if name == "procedural":
        chosen = [kind for kind in kinds.split(",") if kind.strip()]
        made = sprites.make(n, side=side, seed=seed, split=split, bare=0.1, kinds=chosen)  # bare: visitors also type "a sword"
        groups = tuple(sprites.group(sprites.Label(*map(int, row))) for row in made.labels)
        return SpriteSet(made.images, tuple(made.captions), groups)
    if Path(source).is_dir():
        found = read_folder(Path(source), side=side)
    elif source.count("/") == 1 and not source.startswith((".", "/")):
        found = read_hub_dataset(source, side=side)
    else:
        raise FileNotFoundError(f"source must be 'procedural', a folder or a Hub dataset owner/name, got {source!r}; try 'procedural'")
    part = found.split(split)
    if not len(part):
        raise ValueError(f"{source} has no sprite in the {split} split ({len(found)} in all); add pictures of other groups")
    return in_both_languages(part) if bilingual and split == "train" else part


def read_folder(folder: Path, *, side: int) -> SpriteSet:
    """Every sprite of a folder in one of the layouts above, fitted to side x side."""
    packed = sorted(folder.glob("*.npz"))
    found = _read_packed(packed[0], side) if packed else _read_pngs(folder, side)
    if not len(found):
        raise ValueError(f"{folder} holds no PNG and no .npz; put pictures in it, or use --source procedural")
    return found


def _read_packed(path: Path, side: int) -> SpriteSet:
    try:
        with np.load(path, allow_pickle=False) as data:
            images = data["images"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{path.name} must hold an array 'images' without Python objects ({type(error).__name__}); pack it again"
        ) from None
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 4 or not 1 <= len(images) <= MAX_SPRITES:
        raise ValueError(f"{path.name}: images must be uint8 of shape (n, h, w, 4), got {images.dtype} {images.shape}")
    rows = _read_captions(path.with_name(path.name.removesuffix(".npz") + ".captions.jsonl"))
    if len(rows) != len(images):
        raise ValueError(f"{path.name} has {len(images)} pictures but its captions file has {len(rows)} lines; they must agree")
    if images.shape[1:3] != (side, side):
        images = np.stack([fit_square(image, side) for image in images])
    return SpriteSet(images, *_captions_and_groups(rows))


def _read_pngs(folder: Path, side: int) -> SpriteSet:
    listed = folder / "captions.jsonl"
    rows = _read_captions(listed) if listed.is_file() else [_row_beside(folder, path) for path in sorted(folder.rglob("*.png"))]
    if len(rows) > MAX_SPRITES:
        raise ValueError(f"{folder} must hold at most {MAX_SPRITES:,} pictures, got {len(rows):,}")
    images = []
    for row in rows:
        path = (folder / str(row.get("file", ""))).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            raise ValueError(f'captions.jsonl names {row.get("file")!r}, which is not a file in {folder}; fix the "file" entry')
        images.append(fit_square(read_image(path), side))
    stacked = np.stack(images) if images else np.zeros((0, side, side, 4), np.uint8)
    return SpriteSet(stacked, *_captions_and_groups(rows))


def _row_beside(folder: Path, path: Path) -> dict:
    """Caption from the .txt file beside the picture, else from its name: `red_potion-02.png` is "red potion"."""
    name = " ".join(path.stem.replace("_", " ").replace("-", " ").split()).rstrip("0123456789 ") or path.stem
    text = path.with_suffix(".txt")
    caption = text.read_text(encoding="utf-8", errors="replace").strip() if text.is_file() else name
    return {"file": str(path.relative_to(folder)), "caption": caption, "group": name}


def _read_captions(path: Path) -> list[dict]:
    if not path.is_file():
        raise FileNotFoundError(f'no {path.name} beside the pictures; write one JSON object per line with a "caption"')
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # splitlines also cuts at what JSON allows inside a text
    except UnicodeDecodeError:
        raise ValueError(f"{path.name} must be UTF-8 text, got bytes that are none; save it as UTF-8") from None
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            raise ValueError(f"{path.name} line {number} is not JSON; write one object per line") from None
        if not isinstance(row, dict) or not isinstance(row.get("caption"), str):
            raise ValueError(f'{path.name} line {number} has no text under "caption"; add it')
        rows.append(row)
    return rows


def _captions_and_groups(rows: list[dict]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    captions = tuple(" ".join(row["caption"].split())[:MAX_PROMPT] for row in rows)
    return captions, tuple(str(row.get("group") or row.get("name") or caption) for row, caption in zip(rows, captions, strict=True))


def read_hub_dataset(repo_id: str, *, side: int) -> SpriteSet:
    """A Hub dataset's train split: its first image column, and "caption", "text" or "label" as the caption."""
    table = load_hub_table(repo_id)
    import datasets

    image = next((name for name, feature in table.features.items() if isinstance(feature, datasets.Image)), None)
    text = next((name for name in ("caption", "text", "label") if name in table.features), None)
    if image is None or text is None:
        raise ValueError(f"{repo_id} must have an image column and a caption, text or label column, got {', '.join(table.features)}")
    if len(table) > MAX_SPRITES:
        raise ValueError(f"{repo_id} must hold at most {MAX_SPRITES:,} pictures, got {len(table):,}")
    feature, rows, images = table.features[text], [], []
    for entry in table:
        images.append(fit_square(np.asarray(entry[image].convert("RGBA")), side))
        caption = feature.int2str(entry[text]) if isinstance(feature, datasets.ClassLabel) else str(entry[text])
        rows.append({"caption": caption, "group": entry.get("group") or entry.get("name")})
    return SpriteSet(np.stack(images), *_captions_and_groups(rows))


# --- batches ---------------------------------------------------------------------------------------------------------------------


class Batches:
    """`batch_at(seed, step)` over a sprite set: shuffled anew each epoch, a pure function of its arguments."""

    def __init__(self, data: SpriteSet, batch_size: int, config: PixelConfig, tokenizer: BpeTokenizer | None):
        self.images = to_model(data.images, config.channels)
        self.batch_size = batch_size
        self.per_epoch = max(1, -(-len(data) // batch_size))
        self.tokens, self.mask = (None, None)
        if tokenizer is not None:
            self.tokens, self.mask = tokenizer.batch(data.captions, config.text_encoder_config.max_length)
        self._order = functools.lru_cache(maxsize=2)(self._shuffled)

    def _shuffled(self, seed: int, epoch: int) -> Tensor:
        order = np.random.default_rng((seed, epoch)).permutation(len(self.images))
        short = self.per_epoch * self.batch_size - len(order)
        return torch.from_numpy(np.resize(order, len(order) + short))  # the last batch is filled up from the start of the same order

    def __call__(self, seed: int, step: int) -> dict[str, Tensor]:
        """The global batch of optimiser step 1, 2, …: images (b, c, h, w) in [0, 1]; with text also tokens and mask (b, t)."""
        epoch, index = divmod(step - 1, self.per_epoch)
        rows = self._order(seed, epoch)[index * self.batch_size : (index + 1) * self.batch_size]
        batch = {"images": self.images[rows]}
        if self.tokens is not None:
            batch |= {"tokens": self.tokens[rows], "mask": self.mask[rows]}
        return batch


def fit_palette(images: RgbaBatch, size: int, channels: int, *, seed: int = 0) -> Tensor:
    """Up to `size` colours (p, c) for these pictures, in the model's own values.

    All colours when they are few enough (exact), the most frequent first. Else transparent, if there is alpha; those that fill at least a
    thousandth of the other pixels, so that drawings from a fixed palette stay exact; and k-means on a sample of the rest (Lloyd 1982).
    """
    visible = np.where(images[..., 3:] > 0, images, np.uint8(0))  # editors keep colours where nothing shows
    packed, counts = np.unique(visible.view(np.uint32), return_counts=True)
    by_use = packed[np.argsort(-counts, kind="stable")]
    seen = by_use.view(np.uint8).reshape(-1, 1, 1, 4)  # as pictures of one pixel
    colours = to_model(seen, channels)[:, :, 0, 0]
    if len(colours) <= size:
        return colours
    generator = torch.Generator().manual_seed(seed)
    keep = 1 if channels == 4 else 0  # the transparent entry
    weights = torch.from_numpy(np.sort(counts)[::-1].astype(np.float64)) * ((colours[:, 3] > 0) if keep else 1)
    exact = torch.nonzero(weights >= weights.sum() / 1000)[: size // 2, 0]
    fixed = torch.cat([torch.zeros(keep, channels), colours[exact]])
    weights[exact] = 0
    sample = colours[torch.multinomial(weights, 20_000, replacement=True, generator=generator)]
    centres = sample[torch.randperm(len(sample), generator=generator)[: size - len(fixed)]].clone()
    for _ in range(15):
        nearest = torch.cdist(sample, centres).argmin(1)
        total = torch.zeros_like(centres).index_add_(0, nearest, sample)
        count = torch.bincount(nearest, minlength=len(centres))[:, None]
        centres = torch.where(count > 0, total / count.clamp_min(1), centres)
    return torch.cat([fixed, centres])
