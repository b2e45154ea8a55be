"""The sample grid on a checkpoint's card: samples.png beside the weights, and the prompts in words.

    python benchmarks/pixel_samples.py --model pixel-16 [--seed 7] [--out FILE]

Half of the prompts name procedural kinds and colours, in English and Portuguese, by turns pairs that training had and had not; half are
captions as the real sets have them, of words the model knows, from --prompts or the list for its size below. Nothing is picked: every
cell is the model's best mode with that seed.
"""

import argparse
import io
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

import pixel_prompts

from lunaris import pixel
from lunaris.core import hub
from lunaris.core.card import join_card, parse_card, validate_card
from lunaris.core.images import from_model, grid, to_pil, write_file
from lunaris.core.provenance import stamp
from lunaris.pixel import metrics

COLUMNS = 8
REAL = {
    16: (
        "magnifier icon", "user icon", "clock icon", "globe icon", "folder icon", "printer icon", "star icon", "lock icon",
        "heart icon", "camera icon", "calendar icon", "pencil icon", "document icon", "arrow icon", "cup icon", "music icon",
    ),
    32: (
        "red dragon, dragon monster", "orc, monster", "skeleton, undead monster", "snake, animal monster", "red potion, potion item",
        "ring, item", "large shield, shield armour item", "long sword, weapon item", "axe, weapon item", "yellow book, item",
        "robe blue, body player equipment", "altar, altar dungeon", "stone, wall dungeon", "grass, floor dungeon", "deep water, dungeon",
        "flame, effect",
    ),
}  # fmt: skip


def procedural_prompts(n: int, seed: int) -> list[str]:
    """n prompts of different kinds, by turns seen and unseen pairs, every third and fourth Portuguese."""
    rng, prompts, kinds = np.random.default_rng(seed), [], set()
    pools = [[pixel_prompts.pairs(split)[i] for i in rng.permutation(len(pixel_prompts.pairs(split)))] for split in ("train", "validation")]
    while len(prompts) < n:
        kind, colour = next(pair for pair in pools[len(prompts) % 2] if pair[0] not in kinds)
        kinds.add(kind)
        prompts.append(pixel_prompts.plain_prompt(kind, colour, "pt" if len(prompts) % 4 > 1 else "en"))
    return prompts


def add_to_card(folder: Path, prompts: list[str], how: str) -> None:
    """The section "Samples" of the card, replacing an earlier one."""
    front, body = parse_card((folder / "README.md").read_text(encoding="utf-8"))
    before, _, after = body.partition("## Samples\n")
    after = after[after.index("\n## ") + 1 :] if "\n## " in after else after
    if not after:  # no such section yet: it comes before the data
        before, mark, after = body.partition("## Data and licences")
        after = mark + after
    rows = [", ".join(prompts[i : i + COLUMNS]) for i in range(0, len(prompts), COLUMNS)]
    told = "\n".join(f"{number}. {row}" for number, row in enumerate(rows, 1))
    section = (
        f"## Samples\n\n![{len(prompts)} sprites in rows of {COLUMNS}](samples.png)\n\n{how} Nothing is picked. Row by row:\n\n{told}\n\n"
    )
    text = join_card(front, before + section + after)
    validate_card(text)
    (folder / "README.md").write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pixel-16", help="a local checkpoint: a folder or a bundled name")
    parser.add_argument("--seed", type=int, default=7, help="cell i uses seed + i")
    parser.add_argument("--prompts", nargs="*", default=[], help="captions for the second half")
    parser.add_argument("--out", default="", help="write only the picture, to this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    folder, model = hub.resolve(args.model), pixel.load(args.model)
    real = list(args.prompts or REAL.get(model.config.side, ()))
    prompts = procedural_prompts(len(real) or 16, args.seed) + real
    mode = metrics.modes(model)[-1]
    images = from_model(metrics.draw(model, prompts, seed=args.seed, mode=mode))
    packed = io.BytesIO()
    to_pil(grid(images, columns=COLUMNS, scale=64 // model.config.side, gap=1)).save(packed, "PNG", optimize=True)
    write_file(args.out or folder / "samples.png", stamp(packed.getvalue()))  # marked, without a record: no one call makes it
    if not args.out:
        add_to_card(folder, prompts, f"By `python benchmarks/pixel_samples.py --model {Path(args.model).name}` in {mode} mode.")


if __name__ == "__main__":
    main()
