"""How good are LunarisCore's sprites? Against the plain VAE, the nearest training sprite, and the data's own halves.

    python benchmarks/pixel_quality.py [--model pixel-16] [--plain FOLDER] [--data FOLDER] [--quick] [--json] [--card] [--sheet FOLDER]

Judged on procedural sprites and on the real sets in --data (default: $LUNARIS_DATA) that have the model's size. Everything is split by
group. Four systems draw for the same captions: the model in each of its modes, the plain VAE of the spec (--plain, trained on the same
data for as long), and no model at all: the training sprite whose caption fits best (BM25). The data's own halves are the floors.

KID         distance in the features of checkpoints/pixel-features (lunaris/pixel/features.py): 384 sprites a seed, 3 seeds
found       share of captions whose own sprite is, in those features, the nearest to the drawn one among 32 with other captions
seen words  held-out captions whose every word the model's training had (one seed); with an unseen word, no model can know what is meant
isolated    opaque pixels unlike all their neighbours; faint: pixels with alpha under 0.1; both as drawn, compare with the data's
exact       pixels whose colour the training sprites have
nearest     distance to the nearest training sprite (premultiplied RGBA, Euclidean), median, and the share of copies (under 0.5)
kind and colour are told by the classifiers of pixel_prompts.py, which know nothing of the model

--sheet writes 64 numbered sprites a page without captions, and the key apart, so that a person can name them blind; the pages PAGE-data.png
have the data's own sprites of the same captions, which are not ours to publish: what can be named of them is the most that can be asked.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parent.parent))

import pixel_prompts
import results

from lunaris import pixel
from lunaris.core.images import RgbaBatch, from_model, to_model, to_pil, upscale
from lunaris.pixel import features, metrics
from lunaris.pixel.data import SpriteSet, load_source
from lunaris.pixel.generate import understood
from lunaris.pixel.train import count_words

REAL = {16: ("sprites_icons16", "sprites_1bit16"), 32: ("sprites_crawl32",)}
COPY = 0.5  # nearer than this to a training sprite is a copy: one pixel between black and white is 1.7
EXACT = "donot_use_mm_for_euclid_dist"  # the quick way gives a copy a distance of 0.2
KID_GOALS = {"training captions": (0.02, 0.01), "held-out captions": (0.25, 0.15)}  # at most, aim
FOUND = ("training captions", "held-out, seen words")  # where a caption's own sprite can be looked for
R1_GOALS = {"sprites_icons16": (0.25, 0.35), "sprites_crawl32": (0.33, 0.45)}  # at least, aim
PROMPT_GOALS = {"seen": (0.95, 0.98), "unseen": (0.85, 0.92)}


@dataclass(frozen=True)
class System:
    """Something that draws for captions: pictures (n, c, h, w) in [0, 1] as they come, before faint alpha is cleaned."""

    name: str
    draw: Callable[[Sequence[str], int], torch.Tensor]
    channels: int = 4


@dataclass(frozen=True)
class Source:
    """A set of sprites in its two parts."""

    name: str
    train: SpriteSet
    held: SpriteSet


# --- who draws --------------------------------------------------------------------------------------------------------------------


def model_system(model, mode: str, name: str, candidates: int = 0) -> System:
    def draw(captions: Sequence[str], seed: int) -> torch.Tensor:
        return metrics.draw(model, captions, seed=seed, mode=mode, candidates=candidates)

    return System(name, draw, model.config.channels)


class NearestByCaption:
    """The training sprite whose caption scores best by BM25 (Robertson & Zaragoza 2009); one of the equals, by seed."""

    def __init__(self, train: SpriteSet, k1: float = 1.2, b: float = 0.75):
        self.pictures = to_model(train.images)
        self.columns = {word: i for i, word in enumerate(count_words(train.captions))}
        counts = self._counts(train.captions)
        df = (counts > 0).sum(0)
        length = counts.sum(1, keepdims=True)
        idf = np.log(1 + (len(counts) - df + 0.5) / (df + 0.5))
        self.weights = idf * counts * (k1 + 1) / (counts + k1 * (1 - b + b * length / length.mean()))

    def _counts(self, captions: Sequence[str]) -> np.ndarray:
        counts = np.zeros((len(captions), len(self.columns)), np.float32)
        for row, caption in enumerate(captions):
            for word, n in count_words((caption,)).items():
                if word in self.columns:
                    counts[row, self.columns[word]] = n
        return counts

    def __call__(self, captions: Sequence[str], seed: int) -> torch.Tensor:
        scores = self._counts(captions) @ self.weights.T.astype(np.float32)
        ties = np.random.default_rng(seed).random(scores.shape, np.float32) * 1e-4
        return self.pictures[(scores + ties).argmax(1)]


# --- how it is judged ---------------------------------------------------------------------------------------------------------------


def appearance(pictures: torch.Tensor, train: SpriteSet) -> dict[str, float]:
    """isolated, faint, exact, nearest and copies of pictures as a system gives them (see the top of this file)."""
    images = from_model(pictures)
    flat, known = (to_model(x).flatten(1) for x in (images, train.images))
    nearest = torch.cat([torch.cdist(chunk, known, compute_mode=EXACT).amin(1) for chunk in flat.split(256)])
    colours = np.unique(np.ascontiguousarray(from_model(to_model(train.images))).view(np.uint32))
    return {
        "isolated": metrics.isolated_pixel_rate(images),
        "faint": metrics.faint_alpha_rate(pictures),
        "exact": float(np.isin(images.view(np.uint32), colours).mean()),
        "nearest": float(nearest.median()),
        "copies": float((nearest < COPY).float().mean()),
    }


def found(drawn: RgbaBatch, captions: Sequence[str], part: SpriteSet, *, of: int = 32, seed: int = 0) -> float:
    """Share of the captions whose sprite in `part` is the nearest, of `of` sprites with distinct captions, to the one drawn for it.

    Raises Unmeasured for fewer than `of` distinct captions. Chance is 1 / of.
    """
    rows = metrics.first_of_each(captions, of)
    net, own = features.load(), dict(zip(part.captions, part.images, strict=True))
    real = features.features(net, np.stack([own[captions[row]] for row in rows]))
    return metrics.own_is_nearest(features.features(net, drawn[rows]) @ real.T, of=of, seed=seed)


def judged(system: System, source: Source, is_seen: Callable[[str], bool], seeds: Sequence[int], n: int) -> dict[str, dict | None]:
    """Measure -> {"value", "spread"} over the seeds, None where too few sprites are there to tell."""
    if system.channels == 3:
        source = Source(source.name, metrics.on_white(source.train), metrics.on_white(source.held))
    drawn: list[torch.Tensor] = []
    asked: list[Sequence[str]] = []

    def artist(captions: Sequence[str], seed: int) -> RgbaBatch:
        asked.append(captions)
        drawn.append(system.draw(captions, seed))
        return from_model(drawn[-1])

    known = [i for i, caption in enumerate(source.held.captions) if is_seen(caption)]
    unknown = [i for i, caption in enumerate(source.held.captions) if not is_seen(caption)]
    parts = {
        "training captions": source.train,
        "held-out captions": source.held,
        "held-out, seen words": source.held.take(known),
        "held-out, unseen words": source.held.take(unknown),
    }
    row: dict[str, dict | None] = {}
    for name, part in parts.items():
        try:
            few = seeds[:1] if "words" in name else seeds  # the two halves of a part that is measured with every seed
            kids = [metrics.caption_kid(artist, part, n=n, seed=seed).value for seed in few]
        except metrics.Unmeasured:
            row[f"KID, {name}"] = None
            continue
        row[f"KID, {name}"] = over_seeds(kids)
        if name in FOUND:
            row[f"found, {name}"] = found_of(part, drawn[-len(few) :], asked[-len(few) :])
        if name == "training captions":
            looks = [appearance(pictures, source.train) for pictures in drawn]
            row |= {key: over_seeds([look[key] for look in looks]) for key in looks[0]}
    return row


def found_of(part: SpriteSet, drawn: Sequence[torch.Tensor], asked: Sequence[Sequence[str]]) -> dict[str, float | None] | None:
    """`found` over the seeds; None where there are too few captions."""
    try:
        shares = [found(from_model(drawn[seed]), asked[seed], part, seed=seed) for seed in range(len(drawn))]
    except metrics.Unmeasured:
        return None
    return over_seeds(shares)


def of_the_data(source: Source, kid_n: int) -> dict[str, dict[str, dict | None]]:
    """The rows of the data themselves: the floors of the distances, and what held-out sprites look like."""
    floors = metrics.data_floors(source.train.take(range(min(len(source.train), kid_n))), source.held)
    measured: dict[str, dict | None] = {}
    for name, figure in floors.items():
        try:
            kid = figure()
            measured[name] = {"value": kid.value, "spread": kid.spread}
        except metrics.Unmeasured:
            measured[name] = None
    look = appearance(to_model(source.held.images), source.train)
    rows = {
        "the data: random halves": {"KID, training captions": measured["kid_floor_whole"]},
        "the data: halves by group": {"KID, held-out captions": measured["kid_floor"]},
        "the data: held-out part": {"KID, held-out captions": measured["kid_floor_held_out"]},
    }
    rows["the data: held-out part"] |= {key: {"value": value, "spread": None} for key, value in look.items()}
    return rows


def prompts_right(system: System, classify, harsher, split: str, n: int, seed: int) -> dict[str, float]:
    """Shares of n plain prompts, every other one Portuguese, whose sprite has the kind and colour asked for."""
    pairs = pixel_prompts.pairs(split)
    chosen = np.resize(np.array(pairs)[np.random.default_rng(seed).permutation(len(pairs))], (n, 2))
    portuguese = np.arange(n) % 2 == 1
    prompts = [pixel_prompts.plain_prompt(int(k), int(c), "pt" if pt else "en") for (k, c), pt in zip(chosen, portuguese, strict=True)]
    images = from_model(system.draw(prompts, seed * 100_000))
    right, nearest = ((judge(images) == chosen).all(1) for judge in (classify, harsher))
    shares = {"English": right[~portuguese].mean(), "Portuguese": right[portuguese].mean()}
    return {"both": right.mean(), **shares, "by nearest template": nearest.mean()}


def over_seeds(values: Sequence[float]) -> dict[str, float | None]:
    values = [float(value) for value in values]
    return {"value": statistics.mean(values), "spread": statistics.pstdev(values) if len(values) > 1 else None}


# --- the claims ---------------------------------------------------------------------------------------------------------------------


def claim(name: str, found: dict | None, unit: str, n: int, baseline: str = "", **goal) -> dict:
    rounded = {key: None if found is None or found[key] is None else round(found[key], 4) for key in ("value", "spread")}
    return {"name": name, "unit": unit, "n": n, "baseline": baseline, **rounded, "aim": None, **goal}


def prompt_claims(systems: Sequence[System], side: int, seeds: Sequence[int], n: int, steps: int) -> list[dict]:
    """Procedural kind and colour, seen and unseen pairs, English and Portuguese apart; `steps` are the classifier's, in training."""
    classify, harsher = pixel_prompts.Classifier(side, steps=steps), pixel_prompts.Templates(side)
    top = {judge: pixel_prompts.ceiling(judge, side, n) for judge in (classify, harsher)}
    claims = []
    for system in systems:
        for pairs, split in (("seen", "train"), ("unseen", "validation")):
            rows = [prompts_right(system, classify, harsher, split, n, seed) for seed in seeds]
            for key in rows[0]:
                goal = dict(zip(("at_least", "aim"), PROMPT_GOALS[pairs], strict=True)) if key == "both" and system.name != PLAIN else {}
                name = f"procedural, {pairs} pairs, kind and colour right{'' if key == 'both' else f', {key}'}: {system.name}"
                found = over_seeds([row[key] for row in rows])
                baseline = f"real sprites {top[harsher if 'template' in key else classify]:.3f}"
                of_language = 2 if key in ("English", "Portuguese") else 1  # every other prompt is in Portuguese
                claims.append(claim(name, found, "share of prompts", n * len(seeds) // of_language, baseline, **goal))
            gap = over_seeds([abs(statistics.mean(row["English"] - row["Portuguese"] for row in rows))])
            claims.append(
                claim(f"procedural, {pairs} pairs, English and Portuguese apart: {system.name}", gap, "", n * len(seeds), aim=0.03)
            )
    return claims


PLAIN, NEAREST = "plain VAE", "nearest training sprite"
JUDGES = """Kind and colour are told by a small network that was trained on procedural sprites alone. The rows by nearest template are those
of a harsher classifier; how far each agrees with a blind judge is in pixel_naming's table."""

PLAIN_RUNS = {  # what --plain was, by its folder's name
    "plain16": """The plain VAE is the spec's (squared error, batch norm, transformer text encoder, no alignment) in our sizes, on the same
data: 3,128 steps of 64 sprites, where ours had 20,000, ended early for want of CPU time, with averaged weights.
`python -m lunaris pixel train --preset small --head mse --text-encoder-config.kind transformer --no-text-gate --norm batch --alignment none
--beta 1 --kl-warmup 0.2 --sprites 60000 --bilingual --steps 6000 --learning-rate 1e-3
--source 'procedural+8*sprites_icons16+4*sprites_1bit16' --out plain16`""",
}


def kid_claims(source: Source, table: dict[str, dict], best: str, n: int) -> list[dict]:
    """The two distances of the model's best mode, the other rows as baselines; the goals are for real icons."""
    claims = []
    for captions, (at_most, aim) in KID_GOALS.items():
        key = f"KID, {captions}"
        others = {name: row.get(key) for name, row in table.items() if name != best}
        baseline = ", ".join(f"{name} {found['value']:.3f}" for name, found in others.items() if found)
        goal = {"at_most": at_most, "aim": aim} if source.name == "sprites_icons16" else {}
        claims.append(claim(f"{source.name}, {key}: {best}", table[best].get(key), "", n, baseline, **goal))
    return claims


def found_claims(source: Source, table: dict[str, dict], best: str, seeds: Sequence[int]) -> list[dict]:
    """How often what the model's best mode drew leads to the sprite that was asked for; the other rows as baselines."""
    claims = []
    for captions in FOUND:
        key = f"found, {captions}"
        others = [f"{name} {row[key]['value']:.3f}" for name, row in table.items() if name != best and row.get(key)]
        n = 3200 * (1 if "words" in captions else len(seeds))
        claims.append(claim(f"{source.name}, {key}: {best}", table[best].get(key), "", n, ", ".join(["chance 0.031", *others])))
    return [made for made in claims if made["value"] is not None]


def retrieval_claims(model, source: Source, is_seen: Callable[[str], bool], seeds: Sequence[int]) -> list[dict]:
    """R@1 of 32 on held-out groups, captions of seen words and with unseen words apart too."""
    claims = []
    for name, wanted in (("", None), (", seen words", True), (", unseen words", False)):
        rows = [i for i, caption in enumerate(source.held.captions) if wanted is None or is_seen(caption) == wanted]
        try:
            found = over_seeds([metrics.retrieval_r1(model, source.held.take(rows), seed=seed) for seed in seeds])
        except metrics.Unmeasured:
            continue
        goal = dict(zip(("at_least", "aim"), R1_GOALS[source.name], strict=True)) if not name and source.name in R1_GOALS else {}
        claims.append(claim(f"{source.name}, caption to sprite, R@1 of 32{name}", found, "", 3200 * len(seeds), "chance 0.031", **goal))
    return claims


def for_card(claims: Sequence[dict]) -> dict[str, float]:
    """The headline numbers: what has a goal, the distances to the real sets, which have one at 16x16 alone, and what of them is found."""
    real = tuple(f"{name}, {what}, " for names in REAL.values() for name in names for what in ("KID", "found"))
    shown = [c for c in claims if "at_least" in c or "at_most" in c or c["name"].startswith(real)]
    return {c["name"]: c["value"] for c in shown if c["value"] is not None}


def as_markdown(title: str, table: dict[str, dict]) -> str:
    """A table with a row per system and a column per measure."""
    columns = sorted(dict.fromkeys(key for row in table.values() for key in row), key=lambda name: not name.startswith(("KID", "found")))
    lines = [f"### {title}", "", f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in table.items():
        cells = [cell(row.get(column)) for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(found: dict | None) -> str:
    if found is None:
        return ""
    return f"{found['value']:.3f}" + ("" if found["spread"] is None else f" ± {found['spread']:.3f}")


# --- the sheet for blind naming ---------------------------------------------------------------------------------------------------


def sheet_prompts(sources: Sequence[Source], is_seen: Callable[[str], bool]) -> dict[str, list[str]]:
    """64 procedural prompts (seen and unseen pairs, both languages), 64 real captions of seen words, held-out ones first, and 64 real
    captions that training had."""
    rng = np.random.default_rng(0)
    procedural = []
    for split in ("train", "validation"):
        pairs = pixel_prompts.pairs(split)
        for i, row in enumerate(rng.permutation(len(pairs))[:32]):
            procedural.append(pixel_prompts.plain_prompt(*pairs[row], "pt" if i % 2 else "en"))
    pages = {"procedural": [procedural[i] for i in rng.permutation(64)]}
    pools = []
    for source in sources:
        held, train = ({caption for caption in part.captions if is_seen(caption)} for part in (source.held, source.train))
        pools.append([pool[j] for pool in (sorted(held), sorted(train - held)) for j in rng.permutation(len(pool))])
    real = [pool for source, pool in zip(sources, pools, strict=True) if source.name != "procedural"]
    captions = [caption for row in itertools.zip_longest(*real) for caption in row if caption]  # the sets in turn
    if not captions:
        return pages
    trained = sorted({caption for source in sources if source.name != "procedural" for caption in source.train.captions})
    return pages | {"real": captions[:64], "known": [trained[i] for i in rng.permutation(len(trained))[:64]]}


def write_sheets(folder: Path, systems: Sequence[System], pages: dict[str, list[str]], sources: Sequence[Source]) -> None:
    """PAGE-MODE.png with numbered sprites, PAGE-data.png with those of the data, and key.json with what was asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {
        caption: image
        for source in sources
        for part in (source.train, source.held)
        for caption, image in zip(part.captions, part.images, strict=True)
    }
    for page, captions in pages.items():
        if drawn.keys() >= set(captions):
            numbered(np.stack([drawn[caption] for caption in captions])).save(folder / f"{page}-data.png")
        for system in systems:
            images = from_model(system.draw(captions, 0))
            numbered(images).save(folder / f"{page}-{system.name.split()[-1].strip('()')}.png")
    key = {page: {str(i + 1): caption for i, caption in enumerate(captions)} for page, captions in pages.items()}
    (folder / "key.json").write_text(json.dumps(key, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


GREY = 208
COLUMNS, SIZE, LABEL, MARGIN = 8, 112, 14, 8  # of a sheet, in pixels


def corner(i: int) -> tuple[int, int]:
    """x and y of sprite i on a sheet."""
    return i % COLUMNS * (SIZE + MARGIN) + 4, i // COLUMNS * (SIZE + LABEL + MARGIN) + 2 + LABEL


def numbered(images: RgbaBatch) -> Image.Image:
    """The sprites enlarged on grey, each with its number above."""
    rows = -(-len(images) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * (SIZE + MARGIN), rows * (SIZE + LABEL + MARGIN)), (GREY,) * 3)
    pen = ImageDraw.Draw(page)
    for i, image in enumerate(images):
        x, y = corner(i)
        big = to_pil(upscale(image, SIZE // image.shape[0]))
        pen.text((x, y - LABEL), str(i + 1), fill=(0, 0, 0))
        page.paste(big, (x, y), big)
    return page


def cells(page: Image.Image, side: int, n: int) -> RgbaBatch:
    """The n sprites of a sheet as they were, but that what was half transparent is opaque, and what had the sheet's grey is gone."""
    pixels, scale = np.asarray(page.convert("RGB")), SIZE // side
    cut = [pixels[y : y + scale * side : scale, x : x + scale * side : scale] for x, y in map(corner, range(n))]
    rgb = np.stack(cut)
    solid = (rgb != GREY).any(-1, keepdims=True)
    return np.concatenate([rgb * solid, np.uint8(255) * solid.astype(np.uint8)], -1)


# --- the run ------------------------------------------------------------------------------------------------------------------------


def load_sources(root: str, side: int, n: int) -> list[Source]:
    """Procedural sprites and the real sets of this side that are there, at most `n` sprites a part in random order."""
    found: list[Source] = []
    folders = [Path(root) / name for name in REAL.get(side, ())] if root else []
    for where in ["procedural", *(folder for folder in folders if folder.is_dir())]:
        parts = [load_source(where, side=side, split=split, n=n, seed=5) for split in ("train", "validation")]
        orders = [np.random.default_rng(5).permutation(len(part)).tolist() for part in parts]
        found.append(Source(Path(where).name, *(part.take(order) for part, order in zip(parts, orders, strict=True))))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pixel-16", help="folder, bundled name or owner/name[@revision]")
    parser.add_argument("--plain", default="", help="the spec's VAE, trained on the same data for as long: a folder or a name")
    parser.add_argument("--data", default=os.environ.get("LUNARIS_DATA", ""), help="the folder of the sprites_* folders")
    parser.add_argument("--quick", action="store_true", help="under a minute: fewer sprites, one seed")
    parser.add_argument("--json", action="store_true", help="print the claims as one JSON object and write nothing")
    parser.add_argument("--card", action="store_true", help="also put the headline numbers on the checkpoint's card")
    parser.add_argument("--sheet", default="", help="only write the sheets for blind naming into this folder")
    args = parser.parse_args()
    if not args.data:
        print("no --data and no LUNARIS_DATA: procedural sprites only", file=sys.stderr)
    torch.set_num_threads(1)
    model = pixel.load(args.model)
    side = model.config.side
    seeds, n, prompts = ([1], 48, 48) if args.quick else ([1, 2, 3], metrics.KID_SAMPLES, 192)
    ours = [model_system(model, mode, f"ours ({mode})") for mode in metrics.modes(model)]
    picked = model_system(model, "instant", "ours (best of 8)", 8)
    sources = load_sources(args.data, side, 600 if args.quick else 4000)

    def is_seen(caption: str) -> bool:
        return model.words.keys() >= count_words((understood(model, caption),)).keys()

    if args.sheet:
        write_sheets(Path(args.sheet), ours, sheet_prompts(sources, is_seen), sources)
        return
    plain = [model_system(pixel.load(args.plain), "instant", PLAIN)] if args.plain else []
    claims = prompt_claims([ours[0], picked, *ours[1:], *plain], side, seeds, prompts, 150 if args.quick else 1200)
    tables: dict[str, dict[str, dict]] = {}
    for source in sources:
        nearest = System(NEAREST, NearestByCaption(source.train))
        tables[source.name] = {system.name: judged(system, source, is_seen, seeds, n) for system in [*ours, *plain, nearest]}
        tables[source.name] |= of_the_data(source, 300 if args.quick else metrics.MAX_REFERENCE)
        claims += kid_claims(source, tables[source.name], ours[-1].name, n * len(seeds))
        claims += found_claims(source, tables[source.name], ours[-1].name, seeds)
        claims += retrieval_claims(model, source, is_seen, seeds)
    if args.json:
        print(json.dumps({"claims": claims, "tables": tables}))
        return
    command = f"python benchmarks/pixel_quality.py --model {Path(args.model).name}" + (f" --plain {Path(args.plain).name}" if plain else "")
    told = [text for text in (JUDGES, PLAIN_RUNS.get(Path(args.plain).name)) if text]
    more = "\n\n".join([*told, *(as_markdown(f"{name}, {side}x{side}", table) for name, table in tables.items())])
    title = f"LunarisCore {side}x{side}: how good are the sprites?"
    results.publish(f"pixel_quality_{side}", title, command, claims, keep=not args.quick, more=more)
    if args.card:
        results.add_to_card(args.model, for_card(claims), command)


if __name__ == "__main__":
    main()
