"""What the command line can do with a MoC beside train, generate and evaluate.

    python -m lunaris moc prepare --input "texts/*.txt" --out DIR     texts to tokens, once; train then reads DIR
    python -m lunaris moc compare --out DIR                           does it help? MoC beside its rivals under one trainer

Free of torch until one runs.
"""

from dataclasses import dataclass
from typing import Any

from lunaris.core.config import BaseConfig, ConfigError, Verb, option
from lunaris.moc.compare import CompareConfig, run_verb

Report = dict[str, Any]


@dataclass(frozen=True)
class Prepare(BaseConfig):
    """Texts made into tokens: a tokenizer, ids in 16 bits, and meta.json with the hash of every file."""

    input: str = option(
        "procedural",
        "what to read: a pattern in quotes such as 'texts/*.txt', a folder, a file (txt, md, json, jsonl, jsonl.gz, csv), a Hub dataset "
        "owner/name, procedural, or several joined by +",
    )
    vocab_size: int = option(4096, "entries of the tokenizer that is trained on the texts", ge=259, le=65_535)
    tokenizer: str = option("", "a checkpoint whose tokenizer is used instead, to train that model further")
    stories: int = option(20_000, "documents of the procedural source", ge=10, le=1_000_000)
    seed: int = option(0, "of the procedural source and of the documents' order", ge=0, le=2**32 - 1)

    def check(self) -> None:
        if not self.input.strip():
            raise ConfigError("input must name texts, got none; try 'texts/*.txt' or procedural")


def prepare(order: Prepare, out: str, ref: str) -> Report:
    from lunaris.core import hub
    from lunaris.core.tokenizer import BpeTokenizer
    from lunaris.moc import data

    tokenizer = BpeTokenizer.load(hub.resolve(order.tokenizer)) if order.tokenizer else None
    meta = data.prepare(order.input, out, vocab_size=order.vocab_size, tokenizer=tokenizer, n_stories=order.stories, seed=order.seed)
    counts = {f"{split}_{key}": number for split, table in meta["splits"].items() for key, number in table.items()}
    return {"out": out, "vocab_size": meta["vocab_size"], **counts}


VERBS = {
    "prepare": Verb("make texts into tokens once, for train to read", Prepare, prepare, model=False, out="DIR"),
    "compare": Verb("train MoC and its rivals alike and compare them", CompareConfig, run_verb, model=False, out="DIR"),
}
