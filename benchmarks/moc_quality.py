"""What is the shipped MoC worth on texts it has not seen? Writes its part of benchmarks/RESULTS.md.

    python benchmarks/moc_quality.py [--model moc-pt] [--read STORIES:SEED …] [--quick] [--json] [--card]

Bits per byte on the documents that its training held out, source by source, each document afresh: beside `xz -9` of the same bytes as one
file, and a Kneser-Ney 5-gram over the model's own tokens, counted once on each document of the same training: the stories are those of
--read. The real texts are those that LUNARIS_DATA holds; without it, the procedural stories alone are measured.

Whether it keeps to its people is told by what a child's name costs it in a Portuguese story: one that stands in the text already should be
cheap, for whoever looks back; a model that does not look back pays for it as for a name out of the blue.

--read  the stories that the model was trained on, run by run: how many, and their seed; by default moc-pt's, as its card tells
--card  put the figures on the checkpoint's card
"""

import argparse
import json
import math
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

import results

from lunaris import moc
from lunaris.core.text import Document
from lunaris.moc import stories
from lunaris.moc.data import Encoder, Seen, load_source, load_unseen
from lunaris.moc.metrics import score_stream, stream_of, xz_bits_per_byte
from lunaris.moc.ngram import NGram

REAL = ("texto_pt_literatura", "texto_pt_tecnico", "texto_en")
STORIES = 300  # of the procedural source, to measure on
READ = (  # (stories, seed) of moc-pt's runs; the third's are among the fourth's, and the seventh to ninth did not get to the end of theirs
    (8000, 0), (8000, 1), (12_000, 2), (12_000, 3), (16_000, 4), (26_000, 5), (26_000, 6), (26_000, 7),
)  # fmt: skip
TOLD = ("story", "dialogue")  # genres with two or three children in one text


def sources() -> dict[str, str]:
    """Name -> source: the real texts that are there, and the procedural stories."""
    root = Path(os.environ.get("LUNARIS_DATA", "nowhere"))
    return {name: str(root / name) for name in REAL if (root / name).is_dir()} | {"procedural": "procedural"}


def unseen(model: moc.MoCForCausalLM, source: str, limit: int) -> list[Document]:
    """The documents of `source` that the model was not trained on; with a limit, no more characters of each than that."""
    seen = model.seen or Seen.of(load_source(source, split="train", n=10))
    found = load_unseen(source, seen, n=10 * STORIES)[0]
    return [Document(document.text[: limit or None], document.name, document.group) for document in found]


def training_texts(places: dict[str, str], read: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Every training document once: of the procedural source the stories of `read`, of the others all."""
    for name, source in places.items():
        for n, seed in read if name == "procedural" else read[:1]:
            yield from (document.text for document in load_source(source, n=n, seed=seed))


def baseline(model: moc.MoCForCausalLM, places: dict[str, str], read: Sequence[tuple[int, int]]) -> NGram:
    """The 5-gram model over the same tokens and training documents."""
    encoder = Encoder(model.tokenizer)
    ngram = NGram(order=5, encode=encoder, vocab_size=model.tokenizer.vocab_size)
    return ngram.fit(training_texts(places, read))


def names_cost(model: moc.MoCForCausalLM, n: int = 4 * STORIES) -> tuple[list[float], list[float]]:
    """Nats for each child's name inside the sentences of held-out Portuguese texts: the names new there, and those there before."""
    encode, window = Encoder(model.tokenizer), model.config.max_seq_len
    names = [(encode(f" {kid[0]}"), encode(kid[0])) for kid in stories.KIDS]  # inside a sentence; where a text or a line begins
    costs: tuple[list[float], list[float]] = ([], [])
    for story in stories.make(n, seed=1, split="validation", languages=("pt",)):
        if story.genre not in TOLD:
            continue
        ids = [encode.end, *encode(story.text)][:window]
        with torch.inference_mode():
            told = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float().log_softmax(-1)
        seen = set()
        for i in range(1, len(ids)):
            for which, (name, first) in enumerate(names):
                if ids[i : i + len(name)] == name:
                    costs[which in seen].append(-sum(float(told[i + k - 1, token]) for k, token in enumerate(name)))
                    seen.add(which)
                elif ids[i : i + len(first)] == first:
                    seen.add(which)
    return costs


def names_claim(model: moc.MoCForCausalLM, n: int) -> dict:
    """The claim what a name costs that stands in the text already."""
    new, again = names_cost(model, n)
    kids = len(stories.KIDS)
    baseline = f"a name that is new there: {statistics.mean(new):.2f} (n = {len(new)}); one of {kids} at random: {math.log(kids):.2f}"
    return {
        "name": "procedural: a child's name that stands in the text already", "value": round(statistics.mean(again), 2), "unit": "nats",
        "spread": f"{statistics.stdev(again):.2f} over names", "n": f"{len(again)} names", "baseline": baseline, "aim": None,
    }  # fmt: skip


def measure(model: moc.MoCForCausalLM, *, quick: bool, read: Sequence[tuple[int, int]] = READ) -> list[dict]:
    """The claims: per source bits per byte, of what xz needs, and the 5-gram's."""
    places = sources()
    if quick:
        places = {"procedural": places["procedural"]}
    ngram = baseline(model, places, ((200, 0),) if quick else read)
    claims = []
    for name, source in places.items():
        documents = unseen(model, source, 2000 if quick else 0)[: 20 if quick else None]
        each = [score_stream(model, stream_of([document.text], model.tokenizer)) for document in documents]
        ours = sum(score.nats for score in each) / math.log(2) / sum(score.n_bytes for score in each)
        spread = statistics.stdev(score.bits_per_byte for score in each) if len(each) > 1 else None
        xz = xz_bits_per_byte("".join(document.text for document in documents).encode())
        grams = ngram.bits_per_byte(document.text for document in documents)
        size = sum(score.n_bytes for score in each)
        about = f"xz -9: {xz:.3f}; 5-gram: {grams:.3f}, that is {grams / xz:.2f} of xz"
        said = {"n": f"{len(documents)} documents, {size:,} bytes", "baseline": about, "aim": None}
        shown = None if spread is None else f"{spread:.3f} over documents"
        claims.append({"name": f"{name}: bits per byte", "value": round(ours, 3), "unit": "bits/byte", "spread": shown, **said})
        goal = {"at_most": 0.75, "aim": 0.65} if name == "texto_pt_literatura" else {}
        claims.append({"name": f"{name}: of what xz needs", "value": round(ours / xz, 3), "unit": "", "spread": None, **said, **goal})
    return [*claims, names_claim(model, 40 if quick else 4 * STORIES)]


def stories_and_seed(text: str) -> tuple[int, int]:
    """(8000, 1) from "8000:1"."""
    n, seed = text.split(":")
    return int(n), int(seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="moc-pt", help="folder, bundled name or owner/name[@revision]")
    parser.add_argument("--read", nargs="+", type=stories_and_seed, default=READ, metavar="STORIES:SEED", help="what it was trained on")
    parser.add_argument("--quick", action="store_true", help="under a minute: twenty stories alone")
    parser.add_argument("--json", action="store_true", help="print the claims as one JSON object and write nothing")
    parser.add_argument("--card", action="store_true", help="also put the figures on the checkpoint's card")
    args = parser.parse_args()
    torch.set_num_threads(1)
    claims = measure(moc.load(args.model), quick=args.quick, read=args.read)
    if args.json:
        print(json.dumps({"claims": claims}))
        return
    command = f"python benchmarks/moc_quality.py --model {Path(args.model).name}"
    if tuple(args.read) != READ:
        command += " --read " + " ".join(f"{n}:{seed}" for n, seed in args.read)
    title = f"LunarisCodex-MoC, {Path(args.model).name}: texts it has not seen"
    results.publish("moc_quality", title, command, claims, keep=not args.quick)
    if args.card:
        results.add_to_card(args.model, {claim["name"].replace(":", ","): claim["value"] for claim in claims}, command)


if __name__ == "__main__":
    main()
