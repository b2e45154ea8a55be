"""Train checkpoints/pixel-features, the network whose features the sprite distances (KID) are measured in.

    python benchmarks/train_features.py --data FOLDER --out checkpoints/pixel-features

FOLDER (default: $LUNARIS_DATA) holds sprites_icons16, sprites_1bit16 and sprites_crawl32. A picture's targets are the words of its
caption that at least 12 training captions hold. Only training groups are seen, so that a validation sprite is as new to the network as
to the models it judges. The 32x32 sprites are shown at 16x16 as well. Minutes on one CPU thread.
"""

import argparse
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent.parent))

import lunaris
from lunaris.core.card import join_card, validate_card
from lunaris.core.images import to_model
from lunaris.pixel import features, sprites
from lunaris.pixel.data import SpriteSet, load_source

REAL = {"sprites_icons16": 16, "sprites_1bit16": 16, "sprites_crawl32": 32}
MIN_COUNT = 12
BATCH = 128


def halved(pictures: torch.Tensor) -> torch.Tensor:
    """Each 2x2 block averaged, premultiplied."""
    return F.avg_pool2d(pictures, 2)


def load(root: Path, split: str) -> dict[str, tuple[torch.Tensor, tuple[str, ...]]]:
    """Name -> (pictures (n, 4, h, w), captions) of one split of every source."""
    found: dict[str, tuple[torch.Tensor, tuple[str, ...]]] = {}
    for name, side in REAL.items():
        part: SpriteSet = load_source(root / name, side=side, split=split)
        found[name] = to_model(part.images), part.captions
        if side == 32:
            found[f"{name} at 16"] = halved(to_model(part.images)), part.captions
    for side in (16, 32):
        made = sprites.make(4000 if split == "train" else 500, side=side, seed=0, split=split)
        found[f"procedural at {side}"] = to_model(made.images), tuple(made.captions)
    return found


def words_of(caption: str) -> set[str]:
    return set(re.findall(r"\w+", caption.lower()))


def targets(captions: tuple[str, ...], words: tuple[str, ...]) -> torch.Tensor:
    """1 where a caption holds a word, (n, words)."""
    column = {word: i for i, word in enumerate(words)}
    hot = torch.zeros(len(captions), len(words))
    for row, caption in enumerate(captions):
        hot[row, [column[word] for word in words_of(caption) if word in column]] = 1
    return hot


def train(net: features.FeatureNet, pictures: dict[int, torch.Tensor], hot: dict[int, torch.Tensor], epochs: int, peak: float) -> None:
    """AdamW with a cosine; a batch holds sprites of one size, moved by a pixel at random."""
    rng = np.random.default_rng(0)
    per_epoch = {side: len(x) // BATCH for side, x in pictures.items()}
    steps = epochs * sum(per_epoch.values())
    optimizer = torch.optim.AdamW(net.parameters(), lr=peak, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=steps, pct_start=0.1)
    for epoch in range(epochs):
        started, total = time.perf_counter(), 0.0
        order = {side: rng.permutation(len(x)) for side, x in pictures.items()}
        batches = [(side, i) for side, n in per_epoch.items() for i in range(n)]
        for side, i in (batches[j] for j in rng.permutation(len(batches))):
            rows = torch.from_numpy(order[side][i * BATCH : (i + 1) * BATCH])
            y, x = rng.integers(0, 3, 2)
            shifted = F.pad(pictures[side][rows], (1, 1, 1, 1))[:, :, y : y + side, x : x + side]
            loss = F.binary_cross_entropy_with_logits(net(shifted), hot[side][rows], reduction="sum") / BATCH
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        print(f"epoch {epoch + 1}/{epochs}: loss {total / len(batches):.3f}, {time.perf_counter() - started:.0f} s", flush=True)


@torch.no_grad()
def precision_at_words(net: features.FeatureNet, pictures: torch.Tensor, hot: torch.Tensor) -> float:
    """Of the k likeliest words of a picture whose caption has k known words, the share that is right; mean over the pictures."""
    logits = torch.cat([net(chunk) for chunk in pictures.split(256)])
    shares = []
    for scores, truth in zip(logits, hot, strict=True):
        if k := int(truth.sum()):
            shares.append(float(truth[scores.topk(k).indices].mean()))
    return float(np.mean(shares))


def make_card(net: features.FeatureNet, counts: dict[str, int], metrics: dict[str, float], command: str) -> str:
    """The checkpoint's card; `counts` are sprites per source, `metrics` measured on validation groups."""
    parameters = sum(p.numel() for p in net.parameters())
    sources = ", ".join(f"{n:,} of `{name}`" for name, n in counts.items())
    metric_list = [{"type": "-".join(name.split()), "name": name, "value": value} for name, value in metrics.items()]
    dataset = {"name": "held-out groups of the training data", "type": "held-out-groups"}
    results = [{"task": {"type": "other"}, "dataset": dataset, "metrics": metric_list}]
    front = {
        "license": "cc-by-3.0",
        "library_name": "lunaris",
        "tags": ["lunaris", "pixel-art", "feature-extraction", f"lunaris-{lunaris.__version__}"],
        "model-index": [{"name": "Lunaris pixel features", "results": results}],
    }
    rows = "\n".join(f"| {name} | {value:g} |" for name, value in metrics.items())
    body = f"""
# Lunaris pixel features

## What it is

A convolutional network of {parameters / 1e6:.2f} million parameters that names the caption words of sprites of 8 to 64 pixels. It draws
nothing: its {net.config.dim} numbers before the words are what `lunaris pixel evaluate` measures the kernel inception distance (KID) in.

## Try it

```python
from lunaris.pixel import features

net = features.load("OWNER/NAME")
distance = features.kid(features.features(net, sprites1), features.features(net, sprites2))  # uint8 (n, h, w, 4) each
```

## Data and licences

Training groups only: {sources}, the last two at 16x16 and at 32x32.
Fugue Icons (C) Yusuke Kamiyamane, CC BY 3.0; Silk icons by Mark James, CC BY 2.5; 1-bit Pixel Icons by Nikoichu and the Dungeon Crawl
Stone Soup tiles, CC0 1.0; the procedural sprites are Lunaris' own.

Licence of the weights: `cc-by-3.0`.

## How it was trained

```bash
{command}
```

## Numbers

Measured on: {dataset["name"]}.

| measure | value |
|---|---|
{rows}

## Limits

- Distances in these features are comparable with each other, not with a KID in Inception's.
- It looks for what captions name: a little noise, hard alpha or fewer colours hardly move it. Read isolated pixels and faint alpha too.
- It knows the words of four sources; for pictures of another kind its distances say little.
"""
    text = join_card(front, body)
    validate_card(text)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("LUNARIS_DATA", ""), help="the folder of the sprites_* folders")
    parser.add_argument("--out", required=True, help="the checkpoint folder to write")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    args = parser.parse_args()
    if not args.data:
        parser.error("give --data or set LUNARIS_DATA to the folder that holds sprites_icons16 and the others")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    train_parts, held_parts = load(Path(args.data), "train"), load(Path(args.data), "validation")
    once = [captions for name, (_, captions) in train_parts.items() if " at 16" not in name]  # those sprites are the ones at 32 again
    counts = Counter(word for captions in once for caption in captions for word in words_of(caption))
    words = tuple(sorted(word for word, n in counts.items() if n >= MIN_COUNT))
    net = features.FeatureNet(features.FeaturesConfig(words=words))
    print(f"{len(words)} words, {sum(p.numel() for p in net.parameters()):,} parameters", flush=True)
    pictures, hot = {}, {}
    for side in (16, 32):
        parts = [part for part in train_parts.values() if part[0].shape[-1] == side]
        pictures[side] = torch.cat([x for x, _ in parts])
        hot[side] = torch.cat([targets(captions, words) for _, captions in parts])
    train(net, pictures, hot, args.epochs, args.learning_rate)
    net.eval()
    named = {name: precision_at_words(net, x, targets(captions, words)) for name, (x, captions) in held_parts.items()}
    metrics = {f"words named right, {name}": round(value, 3) for name, value in named.items()}
    sources = {name: len(x) for name, (x, _) in train_parts.items() if name in REAL}
    sources["procedural"] = len(train_parts["procedural at 16"][0])
    command = f"python benchmarks/train_features.py --data FOLDER --out DIR --epochs {args.epochs} --learning-rate {args.learning_rate}"
    print(features.save(net, args.out, card=make_card(net, sources, metrics, command)), metrics)


if __name__ == "__main__":
    main()
