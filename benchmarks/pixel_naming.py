"""Can one name what was drawn? Counts the answers of a blind judge and writes its part of benchmarks/RESULTS.md.

    python benchmarks/pixel_naming.py [--folder naming-16] [--json]

The folder keeps the sheets as `pixel_quality.py --sheet` drew them and answers.json: what was asked, what the judge named (a first and a
second guess, on the procedural sheet also the colour), and the verdict. first, second: that guess means the thing asked for; part: it
names one of the things in a caption of several ("arrow" for "telephone with arrow"); wrong: anything else. The judge saw the sheets alone.
A page may have several judges ("procedural, judge 2"), whose answers count alike; of a judge of an earlier sheet only the sprites that are
still the same. The page "known, of the data" has the data's own sprites of the captions of the page known, which are not ours to publish:
what a judge can name of them is the most that can be asked of a model.

The classifiers of pixel_prompts.py look at the procedural sheet too: how often they and the judge agree on whether the kind is right says
what their shares are worth.
"""

import argparse
import itertools
import json
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import pixel_prompts
import results
import torch
from PIL import Image
from pixel_quality import cells

from lunaris.core.images import RgbaBatch

SPRITES = 64  # on a sheet
VERDICTS = ("first", "second", "part", "wrong")
GOALS = {"procedural": (0.9, 0.95), "real": (0.5, 0.6), "known": (0.5, 0.6)}


def count(answers: dict[str, dict[str, dict]]) -> list[dict]:
    """A claim per sheet and way to count, over all its judges. Raises ValueError for a verdict that is none of VERDICTS."""
    claims, given = [], {}
    for page, rows in answers.items():
        given.setdefault(page.partition(", judge ")[0], []).append([row["verdict"] for row in rows.values()])
    for page, judges in given.items():
        verdicts = Counter(itertools.chain(*judges))
        if unknown := verdicts.keys() - set(VERDICTS):
            raise ValueError(f"a verdict must be one of {', '.join(VERDICTS)}, got {min(unknown)!r} on the sheet {page!r}")
        n, goals = verdicts.total(), GOALS.get(page)
        ways = {"first guess": {"first"}, "one of two guesses": {"first", "second"}, "in part": {"first", "second", "part"}}
        for way, counted in ways.items():
            goal = {"at_least": goals[0], "aim": goals[1]} if goals and way == "one of two guesses" else {"aim": None}
            share = round(sum(verdicts[name] for name in counted) / n, 4)
            each = [sum(name in counted for name in told) / len(told) for told in judges]
            apart = "each judge " + ", ".join(f"{own:.3f}" for own in each) if len(each) > 1 else ""
            claims.append({"name": f"{page}: named, {way}", "value": share, "unit": "", "spread": None, "n": n, "baseline": apart, **goal})
    return claims


def asked_kinds() -> dict[str, int]:
    """Plain prompt -> its kind."""
    pairs = [pair for split in ("train", "validation") for pair in pixel_prompts.pairs(split)]
    return {pixel_prompts.plain_prompt(*pair, language): pair[0] for pair in pairs for language in ("en", "pt")}


def agreement(images: RgbaBatch, judges: list[dict[str, dict]], classify, name: str) -> dict:
    """The claim how often a classifier and the judges agree on whether a procedural sprite shows the kind asked for."""
    kinds = asked_kinds()
    shown = classify(images)[:, 0]
    pairs = Counter(
        (bool(shown[int(number) - 1] == kinds[row["asked"]]), row["verdict"] in ("first", "second"))
        for rows in judges
        for number, row in rows.items()
    )
    return {
        "name": f"procedural: judge and {name} agree",
        "value": round((pairs[True, True] + pairs[False, False]) / pairs.total(), 4),
        "unit": "",
        "spread": None,
        "n": pairs.total(),
        "aim": None,
        "baseline": f"said wrong where the judge named it {pairs[False, True]}, right where not {pairs[True, False]}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default="naming-16", help="beside this file: the sheets and the answers")
    parser.add_argument("--json", action="store_true", help="print the claims as one JSON object and write nothing")
    args = parser.parse_args()
    folder, side = Path(__file__).parent / args.folder, int(args.folder.rpartition("-")[2])
    answers = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    claims = count(answers)
    torch.set_num_threads(1)
    with Image.open(folder / "procedural-quality.png") as page:
        images = cells(page, side, SPRITES)
    judges = [rows for page, rows in answers.items() if page.startswith("procedural")]
    for name, make in (("the classifier", pixel_prompts.Classifier), ("the nearest template", pixel_prompts.Templates)):
        claims.append(agreement(images, judges, make(side), name))
    if args.json:
        print(json.dumps({"claims": claims}))
        return
    more = (
        f"Sheets and every answer: `benchmarks/{args.folder}/`. Each judge was a vision-language model that saw one sheet alone, not a "
        "person; one seed. The verdicts are ours, each beside its answer. The captions of the sheet real are held-out ones, "
        "each word of which training had, in other company; those of the sheet known are training captions, drawn at random. The data's "
        "own sprites of these captions were named by the same model, by itself."
    )
    title = f"LunarisCore {side}x{side}: named blind"
    results.publish(
        f"pixel_naming_{side}", title, f"python benchmarks/pixel_naming.py --folder {args.folder}", claims, keep=True, more=more
    )


if __name__ == "__main__":
    main()
