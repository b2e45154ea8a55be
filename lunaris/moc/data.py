"""Text to learn from: procedural stories that need no network, files, folders or a Hub dataset; made into tokens once, read as a memmap.

Sources are mixed with "+", and "2*FOLDER" counts a folder twice in training: "procedural+2*books+notes/*.txt". Training and validation are
split by document, never by position: variants of one text (its `group`) stay on one side, as a hash of the group's name decides.

`prepare` makes a folder (MC-07):

    tokenizer.json, tokenizer_config.json    byte-level BPE, in transformers' format
    train.bin, valid.bin                     uint16 ids, documents one after another, an end of text after each
    seen.json                                fingerprints of the training documents; it goes with the model, see `Seen`
    meta.json                                counts of documents, tokens and bytes; SHA-256 of every file; where the texts come from

b batch · t time (tokens) · n tokens of a stream
"""

import base64
import functools
import glob
import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int64, Integer, UInt16
from torch import Tensor

from lunaris.core.checkpoint import write_folder
from lunaris.core.config import ConfigError
from lunaris.core.sources import held_out, load_hub_table, mixture
from lunaris.core.text import MAX_BYTES, TEXT_KEYS, Document, read_file, read_folder
from lunaris.core.tokenizer import BpeTokenizer
from lunaris.moc import stories

END = "<|endoftext|>"  # closes every document, and stands in front of the first word of a new one
SPLITS = ("train", "validation")
FILES = {"train": "train.bin", "validation": "valid.bin"}
META, FORMAT = "meta.json", "lunaris-tokens-1"
SEEN = "seen.json"
MAX_VOCAB = 65_535  # ids are stored in 16 bits
MAX_ROWS = 1_000_000
MAX_META_BYTES = 1 << 20
MAX_SEEN_BYTES = 1 << 26
MAX_STORIES = 1_000_000


# --- sources ---------------------------------------------------------------------------------------------------------------------


def load_source(source: str | Path, *, split: str = "train", n: int = 20_000, seed: int = 0) -> list[Document]:
    """The documents of `source` that belong to `split`, train or validation; repetitions ("3*books") count in training only.

    `source` is "procedural" (then `n` stories for `seed`, a tenth as many for validation), "procedural:pt" or "procedural:en", a file,
    a folder, a pattern such as "texts/*.txt", a Hub dataset's owner/name with a text column, or several of these joined by "+". Where all
    documents fall on one side (a single book), the last tenth of each is the validation part. Raises FileNotFoundError or ValueError.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}; try 'train'")
    parts = [(count, _load_one(name, split, n, seed)) for count, name in mixture(source)]
    return [document for count, part in parts for _ in range(count if split == "train" else 1) for document in part]


def _load_one(source: str, split: str, n: int, seed: int) -> list[Document]:
    language = source.partition(":")[2]
    if is_procedural(source):  # always the procedural ones, whatever lies in the working folder; "./procedural" is a folder of that name
        if not 1 <= n <= MAX_STORIES:
            raise ValueError(f"the number of stories must be 1 to {MAX_STORIES:,}, got {n}; try 20000")
        languages = (language,) if language else stories.LANGUAGES
        made = stories.make(n if split == "train" else max(1, n // 10), seed=seed, split=split, languages=languages)
        return [Document(story.text, f"stories/{seed}/{i}", story.group) for i, story in enumerate(made)]
    return _split(_read(source), split, source)


def _read(source: str) -> list[Document]:
    path = Path(source)
    if path.is_dir():
        return read_folder(path)
    if path.is_file():
        return read_file(path)
    if glob.has_magic(source):
        found = sorted(name for name in glob.glob(source, recursive=True) if Path(name).is_file())
        if not found:
            raise FileNotFoundError(f"no file matches {source!r}; check the folder and the pattern, such as 'texts/*.txt'")
        documents, left = [], MAX_BYTES
        for name in found:
            more = read_file(name, max_bytes=left)
            left -= sum(len(document.text.encode()) for document in more)
            documents += more
        return documents
    if source.count("/") == 1 and not source.startswith((".", "/")):
        return read_hub_dataset(source)
    raise FileNotFoundError(
        f"source must be 'procedural', a file, a folder, a pattern or a Hub dataset owner/name, got {source!r}; try 'procedural'"
    )


def _split(documents: list[Document], split: str, source: str) -> list[Document]:
    """One side of the split by group; where the other would be empty, the last tenth of every document is held out instead."""
    sides = [held_out(document.group) for document in documents]
    if any(sides) and not all(sides):
        return [document for document, held in zip(documents, sides, strict=True) if held == (split == "validation")]
    parts = [_cut(document, split) for document in documents]
    parts = [part for part in parts if part.text.strip()]
    if not parts:
        raise ValueError(f"{source} has too little text to hold a tenth of it out; add documents")
    return parts


def _cut(document: Document, split: str) -> Document:
    """The first nine tenths of a document, or the rest, parted at a line's end where one is near, else at a space."""
    text, about = document.text, len(document.text) * 9 // 10
    for mark in ("\n", " "):
        place = text.rfind(mark, about // 2, about + 1)
        if place >= 0:
            about = place + 1
            break
    return Document(text[:about] if split == "train" else text[about:], document.name, document.group, document.fields)


class Seen:
    """Which documents a model was trained on, so that it is never measured on one of them: two numbers for each, no text.

    ends   hashes of their last 256 characters
    pairs  hashes of their first and last 256 characters together. A document that lost its last tenth to validation is known by them: its
           first nine tenths are one of the documents
    marks  of older checkpoints: hashes of the first and of the last characters. There, a document is taken for one that lost its last
           tenth when it begins as one of the training, be it with the same licence
    """

    LENGTH, BYTES = 256, 5
    KINDS = ("ends", "pairs", "marks")

    def __init__(self, *, ends: Iterable[bytes] = (), pairs: Iterable[bytes] = (), marks: Iterable[bytes] = ()):
        self._ends, self._pairs, self._marks = frozenset(ends), frozenset(pairs), frozenset(marks)

    @classmethod
    def of(cls, documents: Iterable[Document]) -> "Seen":
        hashes = [cls._hashes(document.text) for document in documents]
        return cls(ends=(last for _, last, _ in hashes), pairs=(pair for *_, pair in hashes))

    @classmethod
    def read(cls, folder: Path) -> "Seen | None":
        """What a prepared folder or a checkpoint says; None where it says nothing. Raises ValueError for a damaged file."""
        path = folder / SEEN
        if not path.is_file():
            return None
        if path.stat().st_size > MAX_SEEN_BYTES:
            raise ValueError(f"{path} must have at most {MAX_SEEN_BYTES:,} bytes, got {path.stat().st_size:,}; fetch the checkpoint again")
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            packed = {kind: base64.b64decode(table[kind], validate=True) for kind in cls.KINDS if kind in table}
            if not packed:
                raise KeyError(cls.KINDS)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError(f"{path} is not one that moc prepare wrote; fetch the checkpoint again, or delete the file") from None
        size = cls.BYTES
        return cls(**{kind: [data[i : i + size] for i in range(0, len(data), size)] for kind, data in packed.items()})

    def __or__(self, other: "Seen") -> "Seen":
        return Seen(ends=self._ends | other._ends, pairs=self._pairs | other._pairs, marks=self._marks | other._marks)

    def to_json(self) -> str:
        kinds = {"ends": self._ends, "pairs": self._pairs, "marks": self._marks}
        told = {kind: base64.b64encode(b"".join(sorted(hashes))).decode() for kind, hashes in kinds.items() if hashes or kind == "ends"}
        return json.dumps({"what": "hashes of the training documents' first and last characters"} | told) + "\n"

    def unseen(self, document: Document) -> Document | None:
        """The part of a document that was not trained on: all of it, its last tenth, or None."""
        first, last, _ = self._hashes(document.text)
        if last in self._ends or last in self._marks:
            return None
        cut = first in self._marks or self._hashes(_cut(document, "train").text)[2] in self._pairs
        return _cut(document, "validation") if cut else document

    @classmethod
    def _hashes(cls, text: str) -> tuple[bytes, bytes, bytes]:
        """Of the first characters, of the last, of both."""
        first, last = text.strip()[: cls.LENGTH].encode(), text.strip()[-cls.LENGTH :].encode()
        parts = (b"<" + first, b">" + last, b"<" + first + b">" + last)
        return tuple(hashlib.sha256(part).digest()[: cls.BYTES] for part in parts)


class Unseen(NamedTuple):
    """Documents that a model was not trained on, how many others were left out, and of how many the last tenth alone is there."""

    documents: list[Document]
    left_out: int
    cut: int


def load_unseen(source: str | Path, seen: Seen, *, n: int = 20_000, seed: int = 0) -> Unseen:
    """The documents of `source` that a model has not `seen`. Procedural stories have a side of their own for this, a tenth of `n`.
    Raises ValueError when none is left, and what `load_source` raises."""
    kept, out, cut = [], 0, 0
    for _, name in mixture(source):
        if is_procedural(name):
            kept += _load_one(name, "validation", n, seed)
            continue
        documents = _read(name)
        parts = [(document, seen.unseen(document)) for document in documents]
        new = [(document, part) for document, part in parts if part is not None and part.text.strip()]
        out += len(parts) - len(new)
        cut += sum(part is not document for document, part in new)
        kept += [part for _, part in new]
    if not kept:
        raise ValueError(f"the model was trained on all {out:,} documents of {source}; give others, or split: all to measure on them")
    return Unseen(kept, out, cut)


def is_procedural(source: str) -> bool:
    return source.partition(":")[0] == "procedural"


def read_hub_dataset(repo_id: str) -> list[Document]:
    """A Hub dataset's train split: its column "texto" or "text", grouped by "group" or "id" where it has one."""
    table = load_hub_table(repo_id)
    column = next((key for key in TEXT_KEYS if key in table.features), None)
    if column is None:
        raise ValueError(f"{repo_id} must have a column {' or '.join(TEXT_KEYS)}, got {', '.join(table.features)}; take another dataset")
    if len(table) > MAX_ROWS:
        raise ValueError(f"{repo_id} must hold at most {MAX_ROWS:,} rows, got {len(table):,}; take a smaller one")
    found = []
    for number, row in enumerate(table, 1):
        if isinstance(row[column], str) and row[column].strip():
            group = str(row.get("group") or row.get("id") or f"{repo_id}:{number}")
            found.append(Document(row[column].replace("\r\n", "\n"), group, group))
    if not found:
        raise ValueError(f"{repo_id} holds no text; take another dataset")
    return found


# --- tokens ----------------------------------------------------------------------------------------------------------------------


class Encoder:
    """Texts to ids with a `BpeTokenizer`, many at a time. Words such as "<|endoftext|>" inside a text stay text: no document ends early."""

    def __init__(self, tokenizer: BpeTokenizer):
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(tokenizer.to_files()["tokenizer.json"])
        self._tokenizer.encode_special_tokens = True
        end = self._tokenizer.token_to_id(END)
        if end is None:
            raise ValueError(f"the tokenizer must have the entry {END}, and has none; make one with moc prepare")
        self.end: int = end

    def __call__(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def many(self, texts: Sequence[str]) -> Iterator[UInt16[np.ndarray, "t"]]:
        """The ids of each text, without the end of text."""
        for start in range(0, len(texts), 256):
            for encoding in self._tokenizer.encode_batch_fast(list(texts[start : start + 256]), add_special_tokens=False):
                yield np.array(encoding.ids, np.uint16)

    def normalised(self, text: str) -> str:
        """`text` as the tokenizer reads it, ours in NFC."""
        normalizer = self._tokenizer.normalizer
        return normalizer.normalize_str(text) if normalizer else text

    def bytes_of(self, text: str) -> int:
        """Bytes of `text` in UTF-8 as the tokenizer reads it: what a compressor would get."""
        return len(self.normalised(text).encode())


def tokenizer_hash(tokenizer: BpeTokenizer) -> str:
    """SHA-256 of what decides a tokenizer's ids (vocabulary, merges, specials, normalising); spacing of its file does not count."""
    data = json.loads(tokenizer.to_files()["tokenizer.json"])
    kept = {key: data.get(key) for key in ("model", "added_tokens", "normalizer", "pre_tokenizer")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def tokenizer_files(tokenizer: BpeTokenizer) -> dict[str, str]:
    """The tokenizer's files, saying too that `END` begins and ends a text, so that transformers' generate stops at it."""
    files = tokenizer.to_files()
    config = json.loads(files["tokenizer_config.json"]) | {"bos_token": END, "eos_token": END}
    return files | {"tokenizer_config.json": json.dumps(config, indent=2) + "\n"}


def prepare(
    source: str | Path,
    out: str | Path,
    *,
    vocab_size: int = 4096,
    tokenizer: BpeTokenizer | None = None,
    n_stories: int = 20_000,
    seed: int = 0,
) -> dict[str, Any]:
    """Make `out` hold the tokens of `source` in the layout above, whole or not at all, and return what its meta.json says.

    A tokenizer of at most `vocab_size` entries is trained on the training documents, each once, unless `tokenizer` is given (a model's own,
    to train it further). Documents are shuffled by `seed`; the same texts and settings give the same bytes. An earlier prepared folder is
    replaced. Raises ConfigError for a vocabulary that 16 bits do not hold, ValueError or FileNotFoundError for texts that cannot be read.
    """
    least = 256 + 3
    if tokenizer is None and not least <= vocab_size <= MAX_VOCAB:
        raise ConfigError(f"vocab_size must be {least} to {MAX_VOCAB:,}, since ids are stored in 16 bits, got {vocab_size}; try 4096")
    if tokenizer is not None and tokenizer.vocab_size > MAX_VOCAB:
        raise ConfigError(f"a tokenizer must have at most {MAX_VOCAB:,} entries, got {tokenizer.vocab_size:,}; train a smaller one")
    out = Path(out)
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / META).is_file())):
        raise ValueError(f"{out} holds other files; give a new folder, so that nothing is overwritten")

    parts = mixture(source)
    loaded = {split: [_load_one(name, split, n_stories, seed) for _, name in parts] for split in SPLITS}
    wish = asked(source, vocab_size=vocab_size, tokenizer=tokenizer, n_stories=n_stories)
    if tokenizer is None:
        texts = (document.text for part in loaded["train"] for document in part)
        tokenizer = BpeTokenizer.train(texts, vocab_size=vocab_size, special_tokens=[END])
    encoder = Encoder(tokenizer)
    files: dict[str, bytes | str] = dict(tokenizer_files(tokenizer))
    splits = {}
    for split in SPLITS:
        times = [count if split == "train" else 1 for count, _ in parts]
        stream, counts = _stream(encoder, loaded[split], times, seed)
        files[FILES[split]] = stream.tobytes()
        splits[split] = counts
    real = [part for (_, name), part in zip(parts, loaded["train"], strict=True) if not is_procedural(name)]
    files[SEEN] = Seen.of(document for part in real for document in part).to_json()
    meta = {
        "format": FORMAT,
        "vocab_size": tokenizer.vocab_size,
        "end": encoder.end,
        "tokenizer": tokenizer_hash(tokenizer),
        "seed": seed,
        "asked": wish,
        "splits": splits,
        "sources": [
            _describe(name, count, [loaded[split][i] for split in SPLITS]) for i, (count, name) in enumerate(parts)
        ],
        "files": {name: {"bytes": len(_encoded(content)), "sha256": _sha256(content)} for name, content in files.items()},
    }  # fmt: skip
    write_folder(out, files | {META: json.dumps(meta, indent=2, ensure_ascii=False) + "\n"})
    return meta


def asked(source: str | Path, *, vocab_size: int, tokenizer: BpeTokenizer | None, n_stories: int) -> dict[str, Any]:
    """What decides a prepared folder beside its sources' names and the seed, for its meta.json. None where a wish does not count.

    texts  SHA-256 of each source's documents; None for procedural stories, and for what is not on this machine (a Hub dataset)
    """
    names = [name for _, name in mixture(source)]
    return {
        "stories": n_stories if any(map(is_procedural, names)) else None,
        "vocab_size": vocab_size if tokenizer is None else None,
        "texts": [_texts_hash(name) for name in names],
    }


def _texts_hash(source: str) -> str | None:
    here = Path(source).exists() or (glob.has_magic(source) and any(glob.iglob(source, recursive=True)))
    if is_procedural(source) or not here:
        return None
    digest = hashlib.sha256()
    for document in _read(source):
        digest.update(json.dumps([document.group, document.text]).encode())
    return digest.hexdigest()


def _stream(encoder: Encoder, parts: list[list[Document]], times: list[int], seed: int) -> tuple[UInt16[np.ndarray, "n"], dict[str, int]]:
    """All documents in a shuffled order, an end of text after each, and their counts; each is encoded once, however often repeated."""
    pieces: list[np.ndarray] = []
    sizes: list[int] = []
    end = np.array([encoder.end], np.uint16)
    for part, count in zip(parts, times, strict=True):
        ids = [np.concatenate([row, end]) for row in encoder.many([document.text for document in part])]
        pieces += ids * count
        sizes += [encoder.bytes_of(document.text) for document in part] * count
    order = np.random.default_rng(seed).permutation(len(pieces))
    stream = np.concatenate([pieces[i] for i in order])
    return stream, {"documents": len(pieces), "tokens": len(stream), "bytes": sum(sizes)}


def _describe(source: str, times: int, sides: list[list[Document]]) -> dict[str, Any]:
    """What the card needs to say of a source: its name, its documents, SOURCE.md's heading and the licences its rows name."""
    path = Path(source)
    beside = (path if path.is_dir() else path.parent) / "SOURCE.md"
    note = beside.read_text(encoding="utf-8", errors="replace")[:10_000].strip() if path.exists() and beside.is_file() else ""
    licences = Counter(
        str(document.fields[key]) for side in sides for document in side for key in ("licenca", "license") if document.fields.get(key)
    )
    return {
        "source": path.name if path.exists() else source,  # a folder's place on this machine is nobody's business
        "times": times,
        "documents": {split: len(side) for split, side in zip(SPLITS, sides, strict=True)},
        "heading": note.splitlines()[0].lstrip("# ") if note else "",
        "note": note,
        "licences": dict(sorted(licences.items())),
    }


def _encoded(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _sha256(content: bytes | str) -> str:
    return hashlib.sha256(_encoded(content)).hexdigest()


# --- a prepared folder -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prepared:
    """A prepared folder, opened: its ids as read-only memmaps, its tokenizer, and what meta.json says."""

    folder: Path
    train: UInt16[np.ndarray, "n"]
    validation: UInt16[np.ndarray, "m"]
    tokenizer: BpeTokenizer
    meta: dict[str, Any]

    @property
    def end(self) -> int:
        """The id of the end of text."""
        return self.meta["end"]

    @property
    def seen(self) -> Seen | None:
        """Which documents are in the training part."""
        return Seen.read(self.folder)

    def text_hash(self, split: str) -> str:
        """SHA-256 of a split's tokens."""
        return self.meta["files"][FILES[split]]["sha256"]

    def n_bytes(self, split: str) -> int:
        """Bytes of the texts of a split, which bits per byte are of; ends of text count none."""
        return self.meta["splits"][split]["bytes"]


def open_prepared(folder: str | Path, *, tokenizer: BpeTokenizer | None = None) -> Prepared:
    """Open what `prepare` wrote. Every file's length and SHA-256 are compared with meta.json before a byte is used.

    `tokenizer` is the model's: a folder made with another one is refused. Raises FileNotFoundError or ValueError in one sentence.
    """
    folder = Path(folder)
    meta = read_meta(folder)
    for name, entry in meta["files"].items():
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(f"{folder} has no {name}, which its {META} lists; run moc prepare again")
        if path.stat().st_size != entry["bytes"]:
            raise ValueError(f"{path} must have {entry['bytes']:,} bytes and has {path.stat().st_size:,}; run moc prepare again")
        with path.open("rb") as file:
            if _file_sha256(file) != entry["sha256"]:
                raise ValueError(f"{path} is not the file that {META} describes (its SHA-256 differs); run moc prepare again")
    own = BpeTokenizer.load(folder)
    if tokenizer is not None and tokenizer_hash(tokenizer) != meta["tokenizer"]:
        raise ValueError(f"{folder} was made with another tokenizer than the model's; run moc prepare with the model's tokenizer")
    train, held = (np.memmap(folder / FILES[split], np.uint16, mode="r") for split in SPLITS)
    return Prepared(folder, train, held, own, meta)


def read_meta(folder: Path) -> dict[str, Any]:
    """What a prepared folder's meta.json says, checked. Raises FileNotFoundError or ValueError in one sentence."""
    path = folder / META
    if not path.is_file():
        raise FileNotFoundError(f"no {META} in {folder}; make the folder with moc prepare --input TEXTS --out {folder}")
    if path.stat().st_size > MAX_META_BYTES:
        raise ValueError(f"{path} must have at most {MAX_META_BYTES:,} bytes, got {path.stat().st_size:,}; run moc prepare again")
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        known = meta["format"] == FORMAT and isinstance(meta["end"], int) and isinstance(meta["tokenizer"], str)
        known = known and all(isinstance(meta["splits"][split][key], int) for split in SPLITS for key in ("tokens", "bytes"))
        files = meta["files"]
        known = known and {*FILES.values(), "tokenizer.json"} <= files.keys() and not any("/" in name or "\\" in name for name in files)
        known = known and all(isinstance(entry["bytes"], int) and isinstance(entry["sha256"], str) for entry in files.values())
        known = known and all(files[FILES[split]]["bytes"] == 2 * meta["splits"][split]["tokens"] > 0 for split in SPLITS)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        known = False
    if not known:
        raise ValueError(f"{path} is not one that moc prepare wrote; run it again")
    return meta


def _file_sha256(file: Any) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


# --- batches ---------------------------------------------------------------------------------------------------------------------


class Batches:
    """`batch_at(seed, step)` over a stream of ids: each chunk once an epoch, in a new order, cut at a new offset; a pure function.

    The stream is a ring (its last token, an end of text, comes before its first), cut into chunks of `seq_len` tokens that share one token
    with their neighbour, so that in an epoch no token is predicted twice and fewer than `seq_len` - 1 are left out. A batch may lie across
    the end of an epoch. As the position follows from the step, a resumed run sees the batches it would have seen.

    The share `echoes` of the chunks are echoes: their first tokens, between `ECHO` and half of `seq_len` many, over and over. What comes
    next is then to be found in the text itself, and a model learns to look for it there (induction heads, Olsson et al. 2022).
    """

    ECHO = 8  # tokens of the shortest piece

    def __init__(self, data: str | Path | Prepared | np.ndarray, batch_size: int, seq_len: int, *, echoes: float = 0.0):
        """`data` is a prepared folder (its training part) or ids (n,); Raises ValueError when it is shorter than one chunk."""
        opened = open_prepared(data) if isinstance(data, (str, Path)) else data
        self.tokens = opened.train if isinstance(opened, Prepared) else opened
        if seq_len < 2:
            raise ValueError(f"seq_len must be at least 2, one token to see and one to predict, got {seq_len}; try 256")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}; try 16")
        if len(self.tokens) < seq_len:
            raise ValueError(f"the data must have at least seq_len = {seq_len} tokens, got {len(self.tokens)}; add texts or lower seq_len")
        self.batch_size, self.seq_len = batch_size, seq_len
        self.echoes = echoes
        self.chunks = len(self.tokens) // (seq_len - 1)
        self._plan = functools.lru_cache(maxsize=2)(self._planned)

    @property
    def steps_per_epoch(self) -> int:
        """Steps until every chunk has been seen at least once."""
        return -(-self.chunks // self.batch_size)

    def _planned(self, seed: int, epoch: int) -> Int64[np.ndarray, "chunks"]:
        """Where the chunks of an epoch start, in the order they are seen."""
        generator = np.random.default_rng((seed, epoch))
        offset = int(generator.integers(len(self.tokens)))
        return (offset + generator.permutation(self.chunks) * (self.seq_len - 1)) % len(self.tokens)

    def starts(self, seed: int, step: int) -> Int64[np.ndarray, "b"]:
        """Where in the stream the chunks of a step start."""
        places = np.arange((step - 1) * self.batch_size, step * self.batch_size)
        return np.array([self._plan(seed, int(place) // self.chunks)[place % self.chunks] for place in places], np.int64)

    def periods(self, seed: int, step: int) -> Int64[np.ndarray, "b"]:
        """After how many tokens each chunk of a step begins anew; `seq_len` where it is no echo."""
        periods = np.full(self.batch_size, self.seq_len, np.int64)
        longest = self.seq_len // 2
        if self.echoes and longest > self.ECHO:
            generator = np.random.default_rng((seed, step, self.ECHO))
            rows = generator.random(self.batch_size) < self.echoes
            periods[rows] = np.exp(generator.uniform(np.log(self.ECHO), np.log(longest + 1), int(rows.sum())))  # as many short as long ones
        return periods

    def __call__(self, seed: int, step: int) -> dict[str, Tensor]:
        """The global batch of optimiser step 1, 2, …: input_ids and labels, int64 (b, t), the same ids in both.

        A causal model of transformers' kind shifts the labels itself: position i predicts label i + 1.
        """
        offsets = np.arange(self.seq_len) % self.periods(seed, step)[:, None]
        places = (self.starts(seed, step)[:, None] + offsets) % len(self.tokens)
        ids = torch.from_numpy(np.asarray(self.tokens[places]).astype(np.int64))
        return {"input_ids": ids, "labels": ids.clone()}


# --- measuring -------------------------------------------------------------------------------------------------------------------


def bits_per_byte(total_nats: float, n_bytes: int) -> float:
    """Bits per byte of UTF-8 for a text that costs `total_nats` (the sum over its tokens of -ln p): 8 is no model at all."""
    if n_bytes < 1:
        raise ValueError(f"bits per byte need at least one byte of text, got {n_bytes}; give a text that is not empty")
    return total_nats / math.log(2) / n_bytes


def encode_documents(texts: Iterable[str], tokenizer: BpeTokenizer) -> tuple[list[Int64[np.ndarray, "_"]], int]:
    """The ids of each text, without an end of text, and the bytes of all texts together, for `windows` and `bits_per_byte`."""
    encoder, texts = Encoder(tokenizer), list(texts)
    return [row.astype(np.int64) for row in encoder.many(texts)], sum(map(encoder.bytes_of, texts))


def windows(
    ids: Integer[np.ndarray, "n"], seq_len: int, *, end: int, context: int | None = None, max_tokens: int = 0
) -> Iterator[tuple[Int64[np.ndarray, "t"], Bool[np.ndarray, "t"]]]:
    """Windows of at most `seq_len` tokens over a stream, in which every token but the ends of text is scored exactly once.

    Yields (ids, scored): where scored[i], the cost of ids[i] given ids[:i] counts; scored[0] never does. The stream begins with an end of
    text, which is put in front when it is missing, so its first word is scored too. Each window but the first repeats at least `context`
    tokens (half of seq_len when None) that are seen and not scored: no token is judged with less than that before it, if the stream has
    it. All windows are `seq_len` long, unless the stream itself is shorter. Raises ValueError when context leaves nothing to score.

    max_tokens  when not 0: so many of the windows, evenly spread over the stream, as score about that many tokens
    """
    context = seq_len // 2 if context is None else context
    if not 1 <= context < seq_len:
        raise ValueError(f"context must be 1 to seq_len - 1 = {seq_len - 1}, got {context}; try half of seq_len")
    if not len(ids):
        return
    row = ids if ids[0] == end else np.concatenate([np.array([end], ids.dtype), ids])
    if len(row) < 2:
        return
    new = seq_len - context  # tokens that a window but the first scores
    count = 1 + max(0, -(-(len(row) - seq_len) // new))
    wanted = min(count, max(1, -(-(max_tokens - context) // new))) if max_tokens else count
    for place in np.linspace(0, count - 1, wanted).round().astype(int).tolist():
        start = max(0, min(place * new, len(row) - seq_len))
        done = (place - 1) * new + seq_len if place else 1  # tokens that need no score here; of the stream the first is only seen
        piece = np.asarray(row[start : start + seq_len]).astype(np.int64)
        yield piece, (np.arange(start, start + len(piece)) >= done) & (piece != end)
