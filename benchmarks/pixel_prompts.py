"""Does LunarisCore draw what the prompt asks for, and how fast? Writes its part of benchmarks/RESULTS.md.

    python benchmarks/pixel_prompts.py [--model pixel-16] [--quick] [--json]

Prompts name a kind and a colour, half in English, half in Portuguese, for pairs that training had ("seen") and pairs held out from it
("unseen"). A sprite counts when a classifier that knows nothing of the model sees the asked kind and colour in it: a small network trained
on sprites of the procedural generator, and on nothing a model drew. Its score on real jittered sprites is the ceiling, the same pictures
scored against shuffled prompts the floor. A second, harsher classifier is reported beside it: the nearest undisturbed drawing, bounding
boxes stretched to one size, which is misled by small changes of shape; pixel_naming.py tells how far each agrees with a blind judge.
Three disjoint seeds give the spread. Time is of one CPU thread, single sprites, medians, against the same number of sprites drawn by the
procedural generator that made the training data.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent))

import results

from lunaris import pixel
from lunaris.core.images import to_model
from lunaris.core.isolation import generators_put_back
from lunaris.pixel import sprites
from lunaris.pixel.matcher import shifted
from lunaris.pixel.sprites import COLOURS, KINDS, Label


class Classifier:
    """Pictures to (kind, colour) by a convolutional network, trained here in a minute or two on `n` procedural sprites of all pairs.

    In training they are moved by up to a pixel, mirrored, and carry some noise.
    """

    def __init__(self, side: int, *, n: int = 30_000, steps: int = 1200, seed: int = 4242):
        with generators_put_back(torch.device("cpu")):
            torch.manual_seed(seed)
            made = sprites.make(n, side=side, seed=seed, split="all")
            pictures, labels = to_model(made.images, 4), torch.from_numpy(made.labels[:, :2].astype(np.int64))
            self.net = self._network(side)
            optimiser = torch.optim.AdamW(self.net.parameters(), weight_decay=0.05)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
            for _ in range(steps):
                rows = torch.randint(0, n, (128,))
                images = shifted(pictures[rows])
                images = torch.where(torch.rand(128, 1, 1, 1) < 0.5, images.flip(-1), images)
                kind, colour = self._logits(images + 0.15 * torch.rand(128, 1, 1, 1) * torch.randn_like(images))
                loss = sum(F.cross_entropy(x, labels[rows, i], label_smoothing=0.05) for i, x in enumerate((kind, colour)))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
            self.net.eval()

    @staticmethod
    def _network(side: int) -> nn.Sequential:
        """Larger pictures enter as squares of pixels, so that what follows sees a 16x16 grid."""
        patch, width = side // 16, 32
        layers: list[nn.Module] = [nn.PixelUnshuffle(patch), nn.Conv2d(4 * patch**2, width, 3, padding=1)]
        layers += [nn.GroupNorm(8, width), nn.ReLU()]
        for after in (64, 128):
            for before, stride in ((width, 2), (after, 1)):
                layers += [nn.Conv2d(before, after, 3, stride=stride, padding=1), nn.GroupNorm(8, after), nn.ReLU()]
            width = after
        return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(width * 4 * 4, len(KINDS) + len(COLOURS)))

    def _logits(self, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.net(pictures * 2 - 1).split([len(KINDS), len(COLOURS)], 1)

    @torch.no_grad()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        chunks = to_model(images, 4).split(256)
        return np.concatenate([np.stack([x.argmax(1).numpy() for x in self._logits(chunk)], 1) for chunk in chunks])


class Templates:
    """The nearest-template classifier: pictures to (kind, colour). Place and size on the canvas do not count, left may be right."""

    def __init__(self, side: int):
        points, answers = [], []
        for row in sprites.labels("all").tolist():
            image = sprites.render(Label(*row), side)
            points += [features(image), features(image[:, ::-1])]
            answers += [row[:2]] * 2
        self.points, self.answers = np.stack(points), np.array(answers)
        self.squares = (self.points**2).sum(1)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        queries = np.stack([features(image) for image in images])
        return self.answers[(self.squares - 2 * queries @ self.points.T).argmin(1)]


def features(image: np.ndarray, to: int = 12) -> np.ndarray:
    """The picture's bounding box stretched to `to` x `to` by linear interpolation, RGBA in [0, 1]; zeros for an empty picture."""
    solid = image[..., 3] > 0
    if not solid.any():
        return np.zeros(to * to * 4, np.float32)
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    box = torch.from_numpy(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32) / 255)
    stretched = torch.nn.functional.interpolate(box.permute(2, 0, 1)[None], (to, to), mode="bilinear", align_corners=True)
    return stretched.flatten().numpy()


def pairs(split: str) -> list[tuple[int, int]]:
    """All (kind, colour) of a split: "train" = seen, "validation" = unseen."""
    return [(k, c) for k in range(len(KINDS)) for c in range(len(COLOURS)) if bool(sprites.is_validation(k, c)) == (split == "validation")]


def plain_prompt(kind: int, colour: int, language: str) -> str:
    return sprites.caption(Label(kind, colour, 0, 0), language, 0)


def accuracy(model, classify, harsher, split: str, n: int, seed: int) -> dict[str, float]:
    """Shares of n prompts whose sprite has the right kind, colour, both; both by language, by the harsher classifier, and against
    shuffled prompts."""
    rng = np.random.default_rng(seed)
    chosen = np.array(pairs(split))[rng.permutation(len(pairs(split)))[:n]]
    languages = np.array(["en", "pt"])[np.arange(len(chosen)) % 2]
    prompts = [plain_prompt(int(k), int(c), language) for (k, c), language in zip(chosen, languages, strict=True)]
    images = np.concatenate([pixel.generate(model, prompt, n=1, seed=seed * 100_000 + i) for i, prompt in enumerate(prompts)])
    right = classify(images) == chosen
    both = right.all(1)
    shuffled = (classify(images) == np.roll(chosen, 1, 0)).all(1)
    return {
        "kind": right[:, 0].mean(),
        "colour": right[:, 1].mean(),
        "both": both.mean(),
        "both_en": both[languages == "en"].mean(),
        "both_pt": both[languages == "pt"].mean(),
        "both, nearest template": (harsher(images) == chosen).all(1).mean(),
        "shuffled": shuffled.mean(),
    }


def ceiling(classify, side: int, n: int) -> float:
    """The classifier on real sprites it has not seen."""
    made = sprites.make(n, side=side, seed=77, split="all")
    return float((classify(made.images) == made.labels[:, :2]).all(1).mean())


def speed(model, repeats: int) -> tuple[float, float]:
    """Median milliseconds for one sprite: the model's, and the procedural generator's, interleaved."""
    ours, theirs = [], []
    for i in range(repeats):
        start = time.perf_counter()
        pixel.generate(model, "a red potion", n=1, seed=i)
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        sprites.make(1, side=model.config.side, seed=i)
        theirs.append(time.perf_counter() - start)
    return statistics.median(ours) * 1000, statistics.median(theirs) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pixel-16", help="folder, bundled name or owner/name[@revision]")
    parser.add_argument("--quick", action="store_true", help="under a minute: fewer prompts, one seed")
    parser.add_argument("--json", action="store_true", help="print the claims as one JSON object and write nothing")
    parser.add_argument("--card", action="store_true", help="also put the shares on the checkpoint's card")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = pixel.load(args.model)
    seeds, n = ([1], 96) if args.quick else ([1, 2, 3], 192)
    classify, harsher = Classifier(model.config.side, steps=150 if args.quick else 1200), Templates(model.config.side)
    top = ceiling(classify, model.config.side, 100 if args.quick else 500)
    claims = []
    for split, name, least, aim in (("train", "seen", 0.95, 0.98), ("validation", "unseen", 0.85, 0.92)):
        rows = [accuracy(model, classify, harsher, split, n, seed) for seed in seeds]
        for key in ("both", "kind", "colour", "both_en", "both_pt", "both, nearest template"):
            values = [float(row[key]) for row in rows]
            claims.append(
                {
                    "name": f"{name} pairs, {key}",
                    "value": round(statistics.mean(values), 3),
                    "unit": "share of prompts",
                    "at_least": least if key == "both" else None,
                    "aim": aim if key == "both" else None,
                    "spread": round(statistics.pstdev(values), 3),
                    "n": n * len(seeds) // (2 if key in ("both_en", "both_pt") else 1),  # every other prompt is in Portuguese
                    "baseline": f"shuffled prompts {statistics.mean(float(row['shuffled']) for row in rows):.3f}, real sprites {top:.3f}",
                }
            )
    ours, theirs = speed(model, 30 if args.quick else 200)
    claims.append(
        {
            "name": "one sprite, one thread",
            "value": round(ours, 2),
            "unit": "ms",
            "at_most": 10,
            "aim": 5,
            "spread": None,
            "n": 30 if args.quick else 200,
            "baseline": f"procedural generator {theirs:.2f} ms",
        }
    )
    if args.json:
        print(json.dumps({"claims": claims}))
        return
    title, command = "LunarisCore: does it draw what was asked?", f"python benchmarks/pixel_prompts.py --model {args.model}"
    results.publish("pixel_prompts", title, command, claims, keep=not args.quick)
    if args.card:
        shares = {f"prompts drawn right, {c['name'].removesuffix(', both')}": c["value"] for c in claims if c["name"].endswith(", both")}
        results.add_to_card(args.model, shares, command)


if __name__ == "__main__":
    main()
