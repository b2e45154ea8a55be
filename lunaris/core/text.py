"""Text files as documents: txt, md, json, jsonl, jsonl.gz and csv, read within bounds and always as UTF-8.

A `.txt` or `.md` file is one document. The others hold rows, one document each, with the text under `texto` or `text`. What is too large,
damaged, not UTF-8 or without text is refused in one sentence that names the file; a small .gz that unpacks to gigabytes is left unread.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TEXT_KEYS = ("texto", "text")
GROUP_KEYS = ("grupo", "group", "id", "name", "nome")
MAX_BYTES = 1 << 30  # of one file, unpacked
MAX_FILES = 100_000
NOT_TEXTS = ("source.md", "readme.md", "license.md", "license.txt", "requirements.txt")  # what lies beside texts and is none


@dataclass(frozen=True)
class Document:
    """One text, with the name to find it by, the group that it is split by, and the other fields of its row.

    Line ends are "\\n", whatever the file had, and the text can be written as UTF-8.
    """

    text: str
    name: str
    group: str
    fields: Mapping[str, Any] = field(default_factory=dict)


def read_file(path: str | Path, *, keys: Sequence[str] = TEXT_KEYS, max_bytes: int = MAX_BYTES) -> list[Document]:
    """Every document of one file, at least one; rows with an empty text are left out.

    A row's group is its `grupo`, `group`, `id`, `name` or `nome`, else its place in the file; a txt or md file's is its name. Raises
    FileNotFoundError, or ValueError in one sentence (type of the file, its size, its encoding, a damaged row, no text in it).
    """
    path = Path(path)
    read = _READERS.get(suffix_of(path))
    if read is None:
        raise ValueError(f"{path.name} must be one of {', '.join(_READERS)}; convert it to plain text or JSON lines")
    try:
        text = _decoded(path, _bytes(path, max_bytes))
    except FileNotFoundError:
        raise FileNotFoundError(f"no file at {path}; give the path of a text file") from None
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}; give a file that you may read") from None
    documents = [document for document in read(path.name, text, keys) if document.text.strip()]
    if not documents:
        raise ValueError(f"{path.name} holds no text; leave it out, or fill it")
    return documents


def read_folder(folder: str | Path, *, keys: Sequence[str] = TEXT_KEYS, max_bytes: int = MAX_BYTES) -> list[Document]:
    """Every document of the text files under `folder`, files in the order of their paths, at most `max_bytes` in all.

    A txt or md file's name and group are its path inside the folder. Hidden files, licences, SOURCE.md and README.md are no texts, and
    files of other types are left alone.
    """
    folder = Path(folder)
    found, left = [], max_bytes
    for path in text_files(folder):
        inside = path.relative_to(folder).as_posix()
        try:
            documents = read_file(path, keys=keys, max_bytes=left)
        except ValueError:
            if path.stat().st_size == 0:
                continue  # an empty file beside full ones is no reason to stop
            raise
        whole = suffix_of(path) in (".txt", ".md")
        found += [Document(d.text, inside, inside, d.fields) for d in documents] if whole else documents
        left -= sum(len(document.text.encode()) for document in documents)
    if not found:
        raise ValueError(f"{folder} holds no text; put {', '.join(_READERS)} files in it")
    return found


def text_files(folder: str | Path) -> list[Path]:
    """The files under `folder` that `read_folder` reads, sorted; at most 100,000."""
    folder = Path(folder)
    found = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if suffix_of(path) in _READERS and not hidden and path.name.lower() not in NOT_TEXTS and path.is_file():
            found.append(path)
    if len(found) > MAX_FILES:
        raise ValueError(f"{folder} must hold at most {MAX_FILES:,} text files, got {len(found):,}; join them into JSON lines")
    return found


def suffix_of(path: Path) -> str:
    """The ending that says how to read a file: ".jsonl.gz" is one ending."""
    name = path.name.lower()
    return next((suffix for suffix in sorted(_READERS, key=len, reverse=True) if name.endswith(suffix)), path.suffix.lower())


# --- bytes to text ---------------------------------------------------------------------------------------------------------------


def _bytes(path: Path, limit: int) -> bytes:
    packed = path.name.lower().endswith(".gz")
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            data = file.read(limit + 1)  # never more than the bound, whatever the header promises
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise ValueError(f"{path.name} is a damaged gzip file; copy or download it again") from None
    if len(data) > limit:
        raise ValueError(f"{path.name} must hold at most {limit:,} bytes unpacked; split it into smaller files")
    return data


def _decoded(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")  # some editors put a mark in front
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} must be UTF-8 text, and byte {error.start:,} is not; save it as UTF-8") from None


def _lines_joined(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


# --- text to documents -----------------------------------------------------------------------------------------------------------


def _read_plain(name: str, text: str, keys: Sequence[str]) -> Iterator[Document]:
    yield Document(_lines_joined(text), name, name)


def _read_json(name: str, text: str, keys: Sequence[str]) -> Iterator[Document]:
    data = _json(text, name)
    for number, row in enumerate(data if isinstance(data, list) else [data], 1):
        yield _row(row, name, f"entry {number}", number, keys)


def _read_jsonl(name: str, text: str, keys: Sequence[str]) -> Iterator[Document]:
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: U+2028 and others may stand inside a JSON string
        if line.strip():
            yield _row(_json(line, f"{name} line {number}"), name, f"line {number}", number, keys)


def _read_csv(name: str, text: str, keys: Sequence[str]) -> Iterator[Document]:
    if csv.field_size_limit() < MAX_BYTES:
        csv.field_size_limit(MAX_BYTES)  # the module's own bound, 131,072, is for all readers of the process; the file is bounded already
    rows = csv.DictReader(io.StringIO(text, newline=""))
    try:
        if not set(keys) & set(rows.fieldnames or ()):
            raise ValueError(f"{name} must have a column {' or '.join(keys)}, got {', '.join(rows.fieldnames or ['none'])}; rename one")
        for number, row in enumerate(rows, 2):
            if any((row.get(key) or "").strip() for key in keys):
                yield _row({key: value for key, value in row.items() if key}, name, f"row {number}", number, keys)
    except csv.Error as error:
        raise ValueError(f"{name} is not a CSV table ({error}); save it again with quoted texts") from None


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{where} is not JSON; write one object with a text in it") from None


def _row(row: Any, name: str, where: str, number: int, keys: Sequence[str]) -> Document:
    fields = {keys[0]: row} if isinstance(row, str) else row
    key = next((key for key in keys if isinstance(fields, dict) and isinstance(fields.get(key), str)), None)
    if key is None:
        raise ValueError(f"{name} {where} has no text under {' or '.join(map(repr, keys))}; add it")
    text = _lines_joined(fields[key])
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON can spell half of a surrogate pair, which no encoding can write
        raise ValueError(f"{name} {where} holds half a character (a lone surrogate); save the text again as UTF-8") from None
    label = next((str(fields[key]) for key in GROUP_KEYS if fields.get(key) not in (None, "")), f"{name}:{number}")
    return Document(text, label, label, {other: value for other, value in fields.items() if other != key})


_READERS: dict[str, Callable[[str, str, Sequence[str]], Iterator[Document]]] = {
    ".txt": _read_plain,
    ".md": _read_plain,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".jsonl.gz": _read_jsonl,
    ".csv": _read_csv,
}
