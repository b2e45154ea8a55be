"""core.text: each format gives the same documents; what is damaged, too large or not text is refused in one sentence."""

import csv
import gzip
import json

import pytest

from lunaris.core.text import Document, read_file, read_folder, text_files

ROWS = [{"id": "a", "texto": "Olá, mundo.\nAção!"}, {"id": "b", "texto": 'uma "frase", com vírgula'}, {"id": "c", "texto": "🐉 fim"}]


def write_all_formats(folder):
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)
    (folder / "rows.jsonl").write_text(lines + "\n", "utf-8")
    (folder / "packed.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (folder / "list.json").write_text(json.dumps(ROWS), "utf-8")
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "texto"])
        writer.writeheader()
        writer.writerows(ROWS)
    return ["rows.jsonl", "packed.jsonl.gz", "list.json", "table.csv"]


def test_every_row_format_gives_the_same_documents(tmp_path):
    for name in write_all_formats(tmp_path):
        found = read_file(tmp_path / name)
        assert [document.text for document in found] == [row["texto"] for row in ROWS], name
        assert [document.group for document in found] == [document.name for document in found] == ["a", "b", "c"]


def test_a_plain_file_is_one_document_with_unix_line_ends(tmp_path):
    (tmp_path / "x.txt").write_bytes("\ufeffum\r\ndois\rtrês\n".encode())
    (tmp_path / "x.md").write_text("# título\n\ntexto", "utf-8")
    assert read_file(tmp_path / "x.txt") == [Document("um\ndois\ntrês\n", "x.txt", "x.txt")]
    assert read_file(tmp_path / "x.md")[0].text == "# título\n\ntexto"


def test_rows_keep_their_other_fields_and_take_their_group_from_them(tmp_path):
    rows = [{"text": "one", "group": "g", "licence": "CC0"}, {"text": "two"}, {"text": " "}, "three"]
    (tmp_path / "x.json").write_text(json.dumps(rows), "utf-8")
    found = read_file(tmp_path / "x.json")
    assert [(d.text, d.group) for d in found] == [("one", "g"), ("two", "x.json:2"), ("three", "x.json:4")]
    assert found[0].fields == {"group": "g", "licence": "CC0"}


def test_line_separators_inside_a_json_string_do_not_end_the_line(tmp_path):
    """str.splitlines would cut here, and half a line is not JSON."""
    text = "um\u2028dois\x85três\x0cquatro"
    (tmp_path / "x.jsonl").write_text(json.dumps({"text": text}, ensure_ascii=False), "utf-8")
    assert read_file(tmp_path / "x.jsonl")[0].text == text


def test_a_long_csv_field_is_read_whole(tmp_path):
    """The csv module stops at 131,072 characters unless told otherwise."""
    (tmp_path / "x.csv").write_text('text\n"' + "a" * 200_000 + '"\n', "utf-8")
    assert len(read_file(tmp_path / "x.csv")[0].text) == 200_000


def test_a_folder_is_read_in_the_order_of_its_paths_without_what_is_no_text(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / ".hidden").mkdir()
    files = {"b.txt": "B", "deep/a.txt": "A", "SOURCE.md": "x", "README.md": "x", ".hidden/c.txt": "C", "image.png": "x", "empty.txt": ""}
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    assert [(d.text, d.group) for d in read_folder(tmp_path)] == [("B", "b.txt"), ("A", "deep/a.txt")]
    assert [path.name for path in text_files(tmp_path)] == ["b.txt", "a.txt", "empty.txt"]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("x.pdf", b"%PDF", r"x\.pdf must be one of \.txt, \.md"),
        ("x.txt", "ação".encode("latin-1"), r"x\.txt must be UTF-8 text, and byte 1 is not; save it as UTF-8"),
        ("x.txt", b" \n", r"x\.txt holds no text"),
        ("x.jsonl", b'{"text": "a"}\n{oops', r"x\.jsonl line 2 is not JSON"),
        ("x.json", b"[" * 100_000, r"x\.json is not JSON"),
        ("x.jsonl", b'{"body": "a"}', r"x\.jsonl line 1 has no text under 'texto' or 'text'; add it"),
        ("x.jsonl", b'{"text": 3}', r"line 1 has no text under"),
        ("x.jsonl", b'{"text": "a\\ud800b"}', r"line 1 holds half a character"),
        ("x.csv", b"body\na\n", r"must have a column texto or text, got body; rename one"),
        ("x.csv", b"", r"must have a column texto or text, got none"),
        ("x.jsonl.gz", b"no gzip at all", r"x\.jsonl\.gz is a damaged gzip file"),
        ("x.jsonl.gz", gzip.compress(b'{"text": "a"}' * 99, mtime=0)[:-20], r"x\.jsonl\.gz is a damaged gzip file"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_file(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file at .*gone.txt; give the path of a text file"):
        read_file(tmp_path / "gone.txt")
    with pytest.raises(ValueError, match="holds no text; put .txt"):
        read_folder(tmp_path)


def test_files_and_folders_are_bounded_even_when_packed(tmp_path):
    bomb = tmp_path / "bomb.jsonl.gz"
    bomb.write_bytes(gzip.compress(b'{"text": "' + b"a" * 5_000_000 + b'"}'))
    assert bomb.stat().st_size < 10_000
    with pytest.raises(ValueError, match=r"bomb\.jsonl\.gz must hold at most 100,000 bytes unpacked"):
        read_file(bomb, max_bytes=100_000)
    bomb.unlink()
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text("x" * 40, "utf-8")
    assert len(read_folder(tmp_path, max_bytes=120)) == 3
    with pytest.raises(ValueError, match=r"c\.txt must hold at most 20 bytes"):
        read_folder(tmp_path, max_bytes=100)


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("lunaris.core.text.MAX_FILES", 2)
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text("x", "utf-8")
    with pytest.raises(ValueError, match="at most 2 text files, got 3; join them"):
        read_folder(tmp_path)
