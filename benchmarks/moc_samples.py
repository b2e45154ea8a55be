"""Seventy texts of the shipped MoC, nothing picked, to be read: samples.md beside the weights, and a few of them on the card.

    python benchmarks/moc_samples.py --model moc-pt [--seed 0] [--out FILE]

Every prompt of the list is asked with five seeds. The generator of the training texts may have grown towards these prompts, so ten others
follow, with two seeds each, which a language model chose that knew what kinds of text it writes and had seen neither its texts nor ours.
What a reader finds is written into the file's head by hand, and stays there when the texts are made again from the same
weights, whose hash the head names, with the same settings.
"""

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from lunaris import moc
from lunaris.core import hub
from lunaris.core.card import join_card, parse_card, validate_card

PROMPTS = (
    "Era uma vez", "Capitolina era", "A moça chegou à janela e", "O conselheiro sorriu, e", "Naquela noite, o velho doutor",
    "Para criar um componente,", "Em Rust, a função", "Uma variável é", "Once upon a time", "Fellow citizens, the government",
)  # fmt: skip
STRANGERS = (
    "Era uma vez uma padeira que", "O sino da igreja tocou e", "No ano de 1890, a rua principal", "Por que o gelo flutua na água?",
    "Para criar uma variável em Python,", "Meus amigos, hoje estamos aqui para", "The old fisherman lived alone by",
    "A rainbow appears when", "My first program prints", "Ladies and gentlemen, thank you for",
)  # fmt: skip
SEEDS = {PROMPTS: 5, STRANGERS: 2}
SETTINGS = {"max_new_tokens": 110, "temperature": 0.7, "top_p": 0.9}
ON_CARD = 4


def texts(model: moc.MoCForCausalLM, seed: int) -> list[tuple[str, int, str]]:
    """(prompt, seed, what was written) of every text."""
    asked = [(prompt, seed + i) for prompts, seeds in SEEDS.items() for prompt in prompts for i in range(seeds)]
    return [(prompt, number, moc.generate(model, prompt, seed=number, **SETTINGS)) for prompt, number in asked]


def page(found: list[tuple[str, int, str]], how: str, verdict: str) -> str:
    """The texts as a Markdown page, quoted line by line."""
    parts = [f"# {len(found)} texts, nothing picked\n\n{how}\n\n{verdict}".rstrip()]
    for number, (prompt, seed, text) in enumerate(found, 1):
        quoted = "\n".join(f"> {line}".rstrip() for line in f"**{prompt}**{text}".split("\n"))
        parts.append(f"{number}. seed {seed}\n\n{quoted}")
    return "\n\n".join(parts) + "\n"


def verdict_of(path: Path, how: str) -> str:
    """What a reader wrote into the head of an earlier page made in the same way: everything between "## Read" and the first text."""
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    head, mark, rest = old.partition("## Read")
    return mark + rest.partition("\n1. seed")[0].rstrip() if how in head else ""


def add_to_card(folder: Path, found: list[tuple[str, int, str]], how: str) -> None:
    """The section "Samples" of the card, replacing an earlier one."""
    front, body = parse_card((folder / "README.md").read_text(encoding="utf-8"))
    before, _, after = body.partition("## Samples\n")
    after = after[after.index("\n## ") + 1 :] if "\n## " in after else after
    if not after:  # no such section yet: it comes before the data
        before, mark, after = body.partition("## Data and licences")
        after = mark + after
    shown = found[:: len(found) // ON_CARD][:ON_CARD]
    quoted = "\n\n".join("\n".join(f"> {line}".rstrip() for line in f"**{prompt}**{text}".split("\n")) for prompt, _, text in shown)
    section = f"## Samples\n\n{how} All {len(found)} are in [samples.md](samples.md); these are every {len(found) // ON_CARD}th.\n\n"
    text = join_card(front, f"{before}{section}{quoted}\n\n{after}")
    validate_card(text)
    (folder / "README.md").write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="moc-pt", help="a local checkpoint: a folder or a bundled name")
    parser.add_argument("--seed", type=int, default=0, help="the first seed of every prompt")
    parser.add_argument("--out", default="", help="write only the page, to this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    folder, model = hub.resolve(args.model), moc.load(args.model)
    settings = ", ".join(f"{name} {value}" for name, value in SETTINGS.items())
    command = f"python benchmarks/moc_samples.py --model {Path(args.model).name}" + (f" --seed {args.seed}" if args.seed else "")
    how = f"By `{command}`: {settings}. Nothing is picked."
    found, path = texts(model, args.seed), Path(args.out) if args.out else folder / "samples.md"
    head = f"{how} Weights: `{hub.weight_hash(folder)}`."
    path.write_text(page(found, head, verdict_of(path, head)), encoding="utf-8")
    if not args.out:
        add_to_card(folder, found, how)


if __name__ == "__main__":
    main()
