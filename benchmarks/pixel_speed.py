"""How fast does LunarisCore draw, on one CPU thread? Writes its part of benchmarks/RESULTS.md.

    python benchmarks/pixel_speed.py [--model pixel-16] [--quick] [--json]

Medians of whole calls as a visitor makes them (words read, sprites drawn, faint alpha cleaned), what is compared running in turn. The
instant mode draws 64 sprites in one call against 64 calls of one, which give the same bytes. The quality mode is the flow sampler,
for a checkpoint that has one. A click is `explore.decode_point`. In palette mode every pixel is looked at.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

import results

from lunaris import pixel
from lunaris.pixel import explore, metrics, palette

PROMPTS = ("a red potion", "uma chave azul", "green tree icon", "document with arrow")


@dataclass(frozen=True)
class Time:
    """Median seconds of a call: on the clock, and what of it this process computed (less where others use the machine too)."""

    clock: float
    computing: float


def medians(calls: dict[str, Callable[[int], object]], repeats: int) -> dict[str, Time]:
    """Name -> how long a call takes. The calls run in turn, so that a busy moment of the machine meets all of them; the first round
    does not count."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for i in range(repeats + 1):
        for name, call in calls.items():
            clock, computing = time.perf_counter(), time.process_time()
            call(i)
            times[name].append((time.perf_counter() - clock, time.process_time() - computing))
    return {name: Time(*map(statistics.median, zip(*values[1:], strict=True))) for name, values in times.items()}


def prompt(model, i: int) -> str:
    """The i-th prompt of those that are asked in turn; none for a model without text."""
    return PROMPTS[i % len(PROMPTS)] if model.config.use_text else ""


def foreign_pixels(model, mode: str, n: int) -> int:
    """Pixels outside the palette that was asked for, over every named palette and one of our own, n sprites each."""
    names = [*palette.NAMED, "#102030 #c04050 #f0e0a0"]
    orders = [{"prompt": prompt(model, i), "palette": name, "n": n, "seed": 100 * i} for i, name in enumerate(names)]
    return sum(palette.foreign_pixels(pixel.generate(model, mode=mode, **order), palette.parse(order["palette"])) for order in orders)


def measure(model, quick: bool) -> list[dict]:
    """The claims."""
    repeats = 3 if quick else 30
    side, modes = model.config.side, metrics.modes(model)

    def batch(i: int) -> np.ndarray:
        return pixel.generate(model, prompt(model, i), n=64, seed=64 * i)

    def loop(i: int) -> np.ndarray:
        return np.concatenate([pixel.generate(model, prompt(model, i), n=1, seed=64 * i + j) for j in range(64)])

    many = medians({"batch": batch, "loop": loop}, repeats)
    same = "the same bytes" if np.array_equal(batch(0), loop(0)) else "OTHER bytes"
    one = {
        "instant": lambda i: pixel.generate(model, prompt(model, i), n=1, seed=i),
        "click": lambda i: explore.decode_point(model, (i % 21 - 10) / 10, (i % 13 - 6) / 6, prompt=prompt(model, 0)),
    }
    if "quality" in modes:
        one["quality"] = lambda i: pixel.generate(model, prompt(model, i), n=1, seed=i, mode="quality")
    single = medians(one, 4 * repeats)

    def claim(name: str, value: float, unit: str, n: int, baseline: str = "", **goal) -> dict:
        name = f"{side}x{side}: {name}"
        return {"name": name, "value": round(value, 2), "unit": unit, "spread": None, "n": n, "baseline": baseline, "aim": None, **goal}

    def one_call(name: str, key: str, **goal) -> dict:
        found = single[key]
        return claim(name, 1000 * found.clock, "ms", 4 * repeats, f"{1000 * found.computing:.2f} ms of it computing", **goal)

    rates = {name: (64 / found.clock, 64 / found.computing) for name, found in many.items()}
    baseline = f"a loop of single calls {rates['loop'][0]:.0f}, {same}; per second of computing {rates['batch'][1]:.0f}"
    goal = {"at_least": 400, "aim": 800} if side == 16 else {}
    claims = [
        claim("instant mode, batches of 64", rates["batch"][0], "sprites per second", repeats, baseline, **goal),
        one_call("instant mode, one sprite", "instant", at_most=10, aim=5),
    ]
    if "quality" in single:
        claims.append(one_call("quality mode, one sprite", "quality", at_most=80, aim=50))
    claims.append(one_call("a click on the latent map", "click", at_most=100))
    for mode in modes:
        n = 4 if quick else 16
        foreign = foreign_pixels(model, mode, n)
        looked_at = (len(palette.NAMED) + 1) * n * side * side
        claims.append(claim(f"pixels outside the palette, {mode} mode", foreign, "pixels", looked_at, at_most=0, aim=0))
    return claims


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pixel-16", help="folder, bundled name or owner/name[@revision]")
    parser.add_argument("--quick", action="store_true", help="under a minute: fewer repeats")
    parser.add_argument("--json", action="store_true", help="print the claims as one JSON object and write nothing")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = pixel.load(args.model)
    claims = measure(model, args.quick)
    if args.json:
        print(json.dumps({"claims": claims}))
        return
    name = Path(args.model).name
    title = f"LunarisCore {model.config.side}x{model.config.side}: how fast, on one thread?"
    command = f"python benchmarks/pixel_speed.py --model {name}"
    results.publish(f"pixel_speed_{model.config.side}", title, command, claims, keep=not args.quick)


if __name__ == "__main__":
    main()
