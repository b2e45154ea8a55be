"""Does LunarisCore draw what the prompt asks for, and how fast? Writes its part of benchmarks/RESULTS.md.

    python benchmarks/pixel_prompts.py [--model pixel-16] [--quick] [--json]

Prompts name a kind and a colour, half in English, half in Portuguese, for pairs that training had ("seen") and pairs held out from it
("unseen"). A sprite counts when the nearest of the undisturbed drawings of every label, bounding boxes stretched to one size, has the asked
kind and colour: a classifier that knows nothing of the model. Its score on real jittered sprites is the ceiling, the same pictures
scored against shuffled prompts the floor. Three disjoint seeds give the spread. Time is of one CPU thread, single sprites,
medians, against the same number of sprites drawn by the procedural generator that made the training data.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

import results

from lunaris import pixel
from lunaris.pixel import sprites
from lunaris.pixel.sprites import COLOURS, KINDS, Label


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


def accuracy(model, classify: Templates, split: str, n: int, seed: int) -> dict[str, float]:
    """Shares of n prompts whose sprite has the right kind, colour, both; both by language; both against shuffled prompts."""
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
        "shuffled": shuffled.mean(),
    }


def ceiling(classify: Templates, side: int, n: int) -> float:
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
    classify = Templates(model.config.side)
    top = ceiling(classify, model.config.side, 100 if args.quick else 500)
    claims = []
    for split, name, least, aim in (("train", "seen", 0.95, 0.98), ("validation", "unseen", 0.85, 0.92)):
        rows = [accuracy(model, classify, split, n, seed) for seed in seeds]
        for key in ("both", "kind", "colour", "both_en", "both_pt"):
            values = [float(row[key]) for row in rows]
            claims.append(
                {
                    "name": f"{name} pairs, {key}",
                    "value": round(statistics.mean(values), 3),
                    "unit": "share of prompts",
                    "at_least": least if key == "both" else None,
                    "aim": aim if key == "both" else None,
                    "spread": round(statistics.pstdev(values), 3),
                    "n": n * len(seeds),
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
