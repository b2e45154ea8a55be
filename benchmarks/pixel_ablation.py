"""What does each part of LunarisCore bring? The same small VAE, trained again and again with one part changed.

    python benchmarks/pixel_ablation.py [--steps 1200] [--seeds 2] [--quick] [--json] [--sheet FILE]

Every row has the same data (procedural sprites of a dozen kinds in twelve colours, every fifth pair held out), the same number of steps,
batches of 64 and sizes (filters 32, 64, 96; latent 64), and differs from "ours" only as its name says. "plain" is the spec's VAE: squared
error, transformer, nothing that ties text to picture. Sprites are single drafts at temperature 0.7, judged as in pixel_prompts.py. CPU
seconds are of one thread, data included, with whatever else the machine did. A small set and a short run: it says what helps early.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

import pixel_prompts
import results

from lunaris import pixel
from lunaris.core.images import from_model, grid, to_pil
from lunaris.pixel import metrics, sprites
from lunaris.pixel.config import PixelConfig, PixelTrainConfig, TextEncoderConfig

TEXT = TextEncoderConfig(kind="bow", vocab_size=2048, max_length=24, hidden_dim=128, intermediate_dim=256, num_layers=2, num_heads=4)
OURS = PixelConfig.tiny().replace(latent_dim=64, text_encoder_config=TEXT, palette_size=128, slots=16)
RUN = PixelTrainConfig.tiny().replace(learning_rate=2e-3, alignment_weight=1.0, sprites=8000, eval_every=0)
KINDS = ("potion", "key", "heart", "sword", "mushroom", "ghost", "fish", "house", "cat", "tree", "star", "boat")
SPEC = {"head": "mse", "text_gate": False, "norm": "batch", "text_encoder_config": TEXT.replace(kind="transformer")}
SPEC_RUN = {"beta": 1.0, "kl_warmup": 0.2}  # a squared error needs a lighter KL (facts of posterior collapse)

# name -> what differs in the model, what differs in the run
VARIANTS: dict[str, tuple[dict, dict]] = {
    "plain (the spec's)": (SPEC, SPEC_RUN | {"alignment": "none"}),
    "plain + InfoNCE": (SPEC, SPEC_RUN),
    "ours": ({}, {}),
    "ours, palette head instead of slots": ({"head": "palette"}, {}),
    "ours, squared error instead of slots": ({"head": "mse"}, SPEC_RUN),
    "ours, transformer instead of bag of words": ({"text_encoder_config": TEXT.replace(kind="transformer")}, {}),
    "ours, no text gate": ({"text_gate": False}, {}),
    "ours, transformer and no text gate": ({"text_encoder_config": TEXT.replace(kind="transformer"), "text_gate": False}, {}),
    "ours, no InfoNCE": ({}, {"alignment": "none"}),
    "ours, squares of 2x2 pixels": ({"patch": 2}, {}),
}
SAMPLE = ("a red potion", "chave azul", "a green sword", "fantasma roxo", "a yellow mushroom", "barco laranja", "a pink cat", "casa marrom")

ABOUT = "Shares of prompts whose sprite is right by the nearest template; what it says of real sprites is in pixel_quality's table."
READING = """One seed: differences under .10 (two standard errors of a difference at n = 192) say nothing. Colour by slots or by palette
is what brings sprites at all; squared error does not, and InfoNCE alone does not. In such a short run the transformer without the gate
was best on unseen pairs; the shipped pixel-16 has bag of words and gate, and the other way is still to be tried at full length. Squares
of 2x2 pixels on both sides take three fifths of the CPU time and combine unseen pairs less well (.13; .375 when the decoder alone drew
squares, measured before); at 32x32, where they let pixel-32 start as pixel-16 with every pixel doubled, they are used all the same."""
READ = "--steps 1000 --seeds 1"  # the run that READING is of; what another one says is for whoever reads it
LEFT_OUT = """Left out, and not measured by us: a flow on spatial latents, because the VAE's latent is one vector, on which the text path
works, and a spatial latent gives nothing before a prior for it is learned (a prototype's, sampled with N(0, I), had a KID of .388); and
an alpha bit of its own, because the transparent entry of the palette head already gives hard alpha."""


def one_run(name: str, source: str, steps: int, seed: int, folder: Path):
    """The trained model and the CPU seconds it took."""
    model, run = VARIANTS[name]
    settings = RUN.replace(steps=steps, seed=seed, warmup_steps=steps // 20, **run)
    began = time.process_time()
    pixel.train(OURS.replace(**model), settings, folder, source=source, progress=False)
    return pixel.load(folder), time.process_time() - began


def judge(model, classify, n: int, seed: int) -> dict[str, float]:
    """The figures of one run: shares of n prompts for seen and for unseen pairs, every other one Portuguese."""
    rows = {}
    kinds = {index for index, kind in enumerate(sprites.KINDS) if kind.name_en in KINDS}
    for name, split in (("seen", "train"), ("unseen", "validation")):
        pairs = [pair for pair in pixel_prompts.pairs(split) if pair[0] in kinds]
        chosen = np.resize(np.array(pairs)[np.random.default_rng(seed).permutation(len(pairs))], (n, 2))
        prompts = [pixel_prompts.plain_prompt(int(k), int(c), "pt" if i % 2 else "en") for i, (k, c) in enumerate(chosen)]
        right = classify(from_model(metrics.draw(model, prompts, seed=seed * 100_000))) == chosen
        rows |= {f"{name}, both": right.all(1).mean(), f"{name}, kind": right[:, 0].mean(), f"{name}, colour": right[:, 1].mean()}
    return rows


def as_table(found: dict[str, list[dict]]) -> str:
    columns = list(next(iter(found.values()))[0])
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, runs in found.items():
        cells = []
        for column in columns:
            values = [float(run[column]) for run in runs]
            digits = 0 if column == "CPU s" else 3
            spread = f" ± {statistics.pstdev(values):.{digits}f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.{digits}f}{spread}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1200, help="optimiser steps of every run")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of every variant")
    parser.add_argument("--quick", action="store_true", help="a minute: a few steps of three variants, written nowhere")
    parser.add_argument("--json", action="store_true", help="print the figures of every run as one JSON object and write nothing")
    parser.add_argument("--sheet", default="", help="also write a picture: a row of sprites for every variant of the first seed")
    args = parser.parse_args()
    torch.set_num_threads(1)
    source = f"procedural:{','.join(KINDS)}"
    steps, seeds, n = (20, 1, 32) if args.quick else (args.steps, args.seeds, 192)
    names = list(VARIANTS)[:3] if args.quick else list(VARIANTS)
    classify, found, rows = pixel_prompts.Templates(16), {name: [] for name in names}, []
    for seed in range(1, seeds + 1):
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                model, seconds = one_run(name, source, steps, seed, Path(folder))
            figures = judge(model, classify, n, seed) | {"CPU s": seconds}
            found[name].append({key: float(value) for key, value in figures.items()})
            print(f"seed {seed}, {name}: {found[name][-1]}", file=sys.stderr, flush=True)
            if seed == 1:
                rows.append(from_model(metrics.draw(model, SAMPLE, seed=7)))
    if args.sheet:
        to_pil(grid(np.concatenate(rows), columns=len(SAMPLE), scale=4)).save(args.sheet)
    if args.json:
        print(json.dumps(found))
        return
    title = f"LunarisCore: what each part brings ({steps} steps, {seeds} seeds, n = {n} prompts a seed)"
    command = f"python benchmarks/pixel_ablation.py --steps {steps} --seeds {seeds}"
    said = [ABOUT, as_table(found), *([READING] if command.endswith(READ) else []), LEFT_OUT]
    results.publish("pixel_ablation", title, command, [], keep=not args.quick, more="\n\n".join(said))


if __name__ == "__main__":
    main()
