"""moc.data: sources and their split, prepared folders, batches as pure functions, windows that score every token once."""

import gzip
import json
import math
import shutil

import numpy as np
import pytest
import torch

from lunaris.core.config import ConfigError
from lunaris.core.tokenizer import BpeTokenizer
from lunaris.moc import data, stories
from lunaris.moc.data import END, Batches, Encoder, asked, bits_per_byte, encode_documents, load_source, open_prepared, prepare, windows

torch.set_num_threads(1)
TEXTS = {f"doc-{i}": f"Texto número {i}: a menina viu {i} estrelas.\n\nDepois, dormiu. {'ação ' * (i % 5)}" for i in range(60)}
HELD = [name for name in TEXTS if data.held_out(name)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sixty small documents as jsonl.gz with a SOURCE.md, as people pass them on."""
    folder = tmp_path_factory.mktemp("texts")
    rows = [{"id": name, "texto": text, "licenca": "CC0" if i % 2 else "MIT"} for i, (name, text) in enumerate(TEXTS.items())]
    (folder / "x.jsonl.gz").write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    (folder / "SOURCE.md").write_text("# little texts - made up\n- Origin: here", "utf-8")
    return folder


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared") / "data"
    return out, prepare(folder, out, vocab_size=400, seed=3)


def documents_of(stream, prepared):
    """The texts of a stream, cut at its ends of text, by the tokenizer's own decode."""
    cuts = np.flatnonzero(np.asarray(stream) == prepared.end)
    return [prepared.tokenizer.decode(part.tolist()) for part in np.split(np.asarray(stream), cuts + 1)[:-1]]


# --- sources ---------------------------------------------------------------------------------------------------------------------


def test_documents_are_split_by_group_and_none_is_lost(folder):
    train, held = (load_source(folder, split=split) for split in ("train", "validation"))
    assert {d.name for d in held} == set(HELD) and {d.name for d in train} == TEXTS.keys() - set(HELD) and len(HELD) > 2


def test_stories_are_the_procedural_ones_even_beside_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "procedural").mkdir()
    (tmp_path / "procedural/x.txt").write_text("mine, all mine " * 9, "utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_source("procedural", n=3)[0].text == stories.story(0).text
    assert load_source("./procedural")[0].text.startswith("mine")


def test_rows_of_one_group_stay_on_one_side(tmp_path):
    rows = [{"text": f"text {i}", "group": f"group {i // 7}", "id": str(i)} for i in range(280)]
    (tmp_path / "x.json").write_text(json.dumps(rows), "utf-8")
    train, held = (load_source(tmp_path, split=split) for split in ("train", "validation"))
    assert len(train) + len(held) == 280 and held
    assert not {d.group for d in train} & {d.group for d in held}


def test_repetitions_count_in_training_only(folder):
    once, twice = load_source(folder), load_source(f"2*{folder}")
    assert twice == once + once
    assert load_source(f"2*{folder}", split="validation") == load_source(folder, split="validation")


def test_a_mixture_joins_stories_folders_and_patterns(folder):
    found = load_source(f"procedural:pt + 2*{folder} + {folder}/*.gz", n=30, seed=4)
    assert len(found) == 30 + 3 * (60 - len(HELD))
    assert [d.text for d in found[:30]] == [story.text for story in stories.make(30, seed=4, languages=("pt",))]


def test_procedural_validation_is_a_tenth_with_other_groups():
    train, held = (load_source("procedural", split=split, n=200) for split in ("train", "validation"))
    assert len(train) == 200 and len(held) == 20 and not {d.group for d in train} & {d.group for d in held}


def test_a_single_book_holds_out_its_last_tenth(tmp_path):
    """One file is one group: split by group, one side would be empty."""
    text = "\n".join(f"Linha {i} de um livro sem fim." for i in range(200))
    (tmp_path / "livro.txt").write_text(text, "utf-8")
    train, held = (load_source(tmp_path / "livro.txt", split=split) for split in ("train", "validation"))
    assert train[0].text + held[0].text == text
    assert train[0].text.endswith("\n") and 0.08 < len(held[0].text) / len(text) < 0.13


@pytest.mark.parametrize(
    "source, error, message",
    [
        ("nowhere", FileNotFoundError, "source must be 'procedural', a file, a folder, a pattern or a Hub dataset"),
        ("/nowhere/*.txt", FileNotFoundError, "no file matches '/nowhere/"),
        ("procedural:fr", ValueError, "languages of stories must be of pt, en, got fr"),
        ("story", FileNotFoundError, "got 'story'; try 'procedural'"),
    ],
)
def test_bad_sources_are_one_sentence(source, error, message):
    with pytest.raises(error, match=message):
        load_source(source)
    with pytest.raises(ValueError, match="split must be one of train, validation, got 'test'"):
        load_source("procedural", split="test")
    with pytest.raises(ValueError, match="number of stories must be 1 to 1,000,000, got 0"):
        load_source("procedural", n=0)


def test_hub_datasets_give_their_text_column(monkeypatch):
    import datasets

    table = datasets.Dataset.from_dict({"text": [f"row {i}" for i in range(40)] + [""], "id": [str(i) for i in range(41)]})
    monkeypatch.setattr(datasets, "load_dataset", lambda repo_id, split: table)
    both = [document.text for split in ("train", "validation") for document in load_source("someone/texts", split=split)]
    assert sorted(both) == sorted(f"row {i}" for i in range(40))
    monkeypatch.setattr(datasets, "load_dataset", lambda repo_id, split: table.rename_column("text", "body"))
    with pytest.raises(ValueError, match="someone/texts must have a column texto or text, got body, id"):
        load_source("someone/texts")

    def fail(repo_id, split):
        raise ConnectionError("a long story")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(ValueError, match="cannot load the dataset someone/texts: ConnectionError; check"):
        load_source("someone/texts")


# --- prepare ---------------------------------------------------------------------------------------------------------------------


def test_the_tokens_decode_to_the_texts(made):
    prepared = open_prepared(made[0])
    assert sorted(documents_of(prepared.train, prepared)) == sorted(text for name, text in TEXTS.items() if name not in HELD)
    assert sorted(documents_of(prepared.validation, prepared)) == sorted(TEXTS[name] for name in HELD)


def test_meta_counts_documents_tokens_and_bytes(made):
    out, meta = made
    prepared = open_prepared(out)
    assert meta == prepared.meta == json.loads((out / "meta.json").read_text("utf-8"))
    assert meta["splits"]["train"] == {
        "documents": 60 - len(HELD),
        "tokens": len(prepared.train),
        "bytes": sum(len(text.encode()) for name, text in TEXTS.items() if name not in HELD),
    }
    assert prepared.n_bytes("validation") == sum(len(TEXTS[name].encode()) for name in HELD)
    assert meta["vocab_size"] == prepared.tokenizer.vocab_size <= 400
    assert (prepared.train == prepared.end).sum() == 60 - len(HELD) and prepared.train[-1] == prepared.end
    assert prepared.train.dtype == np.uint16 and not prepared.train.flags.writeable


def test_meta_says_where_the_texts_come_from_but_not_where_they_lie(made, folder):
    (source,) = made[1]["sources"]
    assert source["heading"] == "little texts - made up" and source["licences"] == {"CC0": 30, "MIT": 30}
    assert source["source"] == folder.name and str(folder) not in (made[0] / "meta.json").read_text("utf-8")


def test_meta_tells_what_was_asked_for_and_of_which_texts(made, folder, tmp_path):
    """From it a training tells whether a folder is still what it asks for."""
    wish = {"vocab_size": 400, "tokenizer": None, "n_stories": 50}
    before = asked(folder, **wish)
    assert made[1]["asked"] == before == {"stories": None, "vocab_size": 400, "texts": before["texts"]} and len(before["texts"][0]) == 64
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert asked(copy, **wish) == before  # wherever and whenever it was written
    (copy / "more.txt").write_text("Mais um texto.", encoding="utf-8")
    assert asked(copy, **wish)["texts"] != before["texts"]
    assert asked(f"procedural+{copy}/more.txt", **wish)["stories"] == 50 and asked("owner/name", **wish)["texts"] == [None]
    assert asked("procedural", **wish)["texts"] == [None]


def test_the_same_texts_and_seed_give_the_same_files(made, folder, tmp_path):
    prepare(folder, tmp_path / "again", vocab_size=400, seed=3)
    for path in made[0].iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    other = prepare(folder, tmp_path / "other", vocab_size=400, seed=4)
    assert other["files"]["train.bin"]["sha256"] != made[1]["files"]["train.bin"]["sha256"] and other["splits"] == made[1]["splits"]


def test_transformers_reads_the_tokenizer_and_stops_at_the_end_of_text(made):
    from transformers import AutoTokenizer

    theirs, ours = AutoTokenizer.from_pretrained(made[0]), open_prepared(made[0])
    assert theirs.eos_token_id == theirs.bos_token_id == ours.end
    text = TEXTS["doc-7"]
    assert theirs(text, add_special_tokens=False).input_ids == Encoder(ours.tokenizer)(text)


def test_special_words_inside_a_text_stay_text(tmp_path):
    """A document that quotes the marker must not end there: it would be two documents, and a person could inject one."""
    texts = [f"antes {END} depois <pad> e <unk> {i}" for i in range(40)]
    (tmp_path / "x.json").write_text(json.dumps(texts), "utf-8")
    prepare(tmp_path / "x.json", tmp_path / "out", vocab_size=300)
    prepared = open_prepared(tmp_path / "out")
    found = documents_of(prepared.train, prepared) + documents_of(prepared.validation, prepared)
    assert sorted(found) == sorted(texts)


def test_bytes_are_those_of_what_the_tokenizer_reads():
    """NFC makes one letter of a + accent; counting the bytes before would make bits per byte look better than they are."""
    tokenizer = BpeTokenizer.train(["ação"], vocab_size=300, special_tokens=[END])
    (ids,), size = encode_documents(["a\u0327a\u0303o"], tokenizer)
    composed = tokenizer.decode(ids.tolist())
    assert size == len(composed.encode()) < len("a\u0327a\u0303o".encode())


def test_a_tokenizer_that_normalises_nothing_counts_the_texts_own_bytes(tmp_path):
    """GPT-2's has no normaliser: `moc prepare --tokenizer` ended in an AttributeError."""
    table = json.loads(BpeTokenizer.train(["a"], vocab_size=300, special_tokens=[END]).to_files()["tokenizer.json"])
    (tmp_path / "tokenizer.json").write_text(json.dumps(table | {"normalizer": None}))
    (tmp_path / "texts").mkdir()
    for i in range(12):
        (tmp_path / f"texts/{i}.txt").write_text(f"cafe\u0301 {i}", encoding="utf-8")  # the accent by itself: one byte more than in NFC
    meta = prepare(tmp_path / "texts", tmp_path / "out", tokenizer=BpeTokenizer.load(tmp_path))
    assert sum(split["bytes"] for split in meta["splits"].values()) == sum(len(f"cafe\u0301 {i}".encode()) for i in range(12))


def test_a_models_own_tokenizer_can_be_used_again(made, tmp_path):
    own = open_prepared(made[0]).tokenizer
    prepare("procedural", tmp_path / "more", tokenizer=own, n_stories=20)
    assert open_prepared(tmp_path / "more", tokenizer=own).meta["tokenizer"] == made[1]["tokenizer"]
    with pytest.raises(ValueError, match="must have the entry <|endoftext|>, and has none"):
        prepare("procedural", tmp_path / "no", tokenizer=BpeTokenizer.train(["a"], vocab_size=300), n_stories=20)


def test_an_earlier_folder_is_replaced_and_a_foreign_one_is_left_alone(folder, tmp_path):
    out = tmp_path / "out"
    first = prepare(folder, out, vocab_size=300)
    assert prepare(folder, out, vocab_size=350)["vocab_size"] > first["vocab_size"] and open_prepared(out).meta["vocab_size"] > 300
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("precious", "utf-8")
    with pytest.raises(ValueError, match="holds other files; give a new folder"):
        prepare(folder, tmp_path / "mine", vocab_size=300)
    assert (tmp_path / "mine/thesis.txt").read_text("utf-8") == "precious"


def test_a_failure_while_writing_leaves_the_old_folder_whole(folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    prepare(folder, out, vocab_size=300)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lunaris.core.checkpoint._write", full)
    with pytest.raises(OSError, match="cannot write .*: No space left on device"):
        prepare(folder, out, vocab_size=350)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before and list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("size", [200, 65_536])
def test_a_vocabulary_that_does_not_fit_is_refused(size, tmp_path):
    with pytest.raises(ConfigError, match=rf"vocab_size must be 259 to 65,535, since ids are stored in 16 bits, got {size}; try 4096"):
        prepare("procedural", tmp_path / "out", vocab_size=size)


# --- open ------------------------------------------------------------------------------------------------------------------------


def spoil(out, tmp_path, change):
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    change(copy)
    return copy


def cut(path):
    path.write_bytes(path.read_bytes()[:-6])


def flip(path):
    raw = bytearray(path.read_bytes())
    raw[10] ^= 1
    path.write_bytes(raw)


def edit_meta(folder, **changes):
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    (folder / "meta.json").write_text(json.dumps(meta | changes), "utf-8")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda f: cut(f / "train.bin"), r"train\.bin must have [\d,]+ bytes and has [\d,]+; run moc prepare again"),
        (lambda f: flip(f / "train.bin"), r"train\.bin is not the file that meta\.json describes"),
        (lambda f: flip(f / "tokenizer.json"), r"tokenizer\.json is not the file that meta\.json describes"),
        (lambda f: (f / "valid.bin").unlink(), r"has no valid\.bin, which its meta\.json lists; run moc prepare again"),
        (lambda f: (f / "meta.json").unlink(), r"no meta\.json in .*; make the folder with moc prepare"),
        (lambda f: (f / "meta.json").write_text("{"), r"meta\.json is not one that moc prepare wrote"),
        (lambda f: edit_meta(f, format="other"), r"meta\.json is not one that moc prepare wrote"),
        (lambda f: edit_meta(f, files={"../x": {"bytes": 1, "sha256": ""}}), r"meta\.json is not one that moc prepare wrote"),
        (lambda f: edit_meta(f, splits=3), r"meta\.json is not one that moc prepare wrote"),
    ],
)  # fmt: skip
def test_a_damaged_folder_is_refused_in_one_sentence(made, tmp_path, change, message):
    copy = spoil(made[0], tmp_path, change)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        open_prepared(copy)
    assert "\n" not in str(caught.value)


def test_a_folder_of_another_tokenizer_is_refused(made):
    other = BpeTokenizer.train(["something else entirely"] * 3, vocab_size=300, special_tokens=[END])
    with pytest.raises(ValueError, match="was made with another tokenizer than the model's; run moc prepare with the model's tokenizer"):
        open_prepared(made[0], tokenizer=other)


def test_the_tokenizers_hash_survives_transformers_saving_it(made, tmp_path):
    """A checkpoint saved by transformers has the same tokenizer in a differently spaced file."""
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(made[0]).save_pretrained(tmp_path)
    open_prepared(made[0], tokenizer=BpeTokenizer.load(tmp_path))


# --- batches ---------------------------------------------------------------------------------------------------------------------


def test_a_batch_depends_on_seed_and_step_alone():
    stream = np.arange(1000, dtype=np.uint16)
    one, two = Batches(stream, 4, 16), Batches(stream, 4, 16)
    forward = [one(7, step)["input_ids"] for step in range(1, 60)]
    backward = [two(7, step)["input_ids"] for step in range(59, 0, -1)]
    assert all(torch.equal(a, b) for a, b in zip(forward, reversed(backward), strict=True))
    assert not torch.equal(forward[0], one(8, 1)["input_ids"])


def test_batches_are_slices_of_the_ring_with_labels_for_a_shifting_model():
    stream = np.random.default_rng(0).integers(0, 500, 333).astype(np.uint16)
    batches = Batches(stream, 5, 20)
    ring = np.concatenate([stream, stream]).astype(np.int64)
    for step in (1, 2, 9):
        batch = batches(0, step)
        assert batch["input_ids"].shape == (5, 20) and batch["input_ids"].dtype == torch.int64
        assert torch.equal(batch["labels"], batch["input_ids"]) and batch["labels"].data_ptr() != batch["input_ids"].data_ptr()
        for row, start in zip(batch["input_ids"], batches.starts(0, step), strict=True):
            assert row.tolist() == ring[start : start + 20].tolist()


@pytest.mark.parametrize("n, seq_len, batch_size", [(1000, 16, 4), (333, 20, 5), (64, 64, 3), (50, 50, 1), (101, 2, 7)])
def test_every_epoch_predicts_each_token_at_most_once_and_leaves_out_fewer_than_a_chunk(n, seq_len, batch_size):
    batches = Batches(np.arange(n, dtype=np.uint16), batch_size, seq_len)
    steps = math.lcm(batches.chunks, batch_size) // batch_size
    rows = np.concatenate([batches(1, step)["input_ids"].numpy() for step in range(1, steps + 1)])
    epochs = rows.reshape(-1, batches.chunks, seq_len)
    for epoch in epochs:
        predicted = epoch[:, 1:].ravel()
        assert len(set(predicted.tolist())) == len(predicted) > n - seq_len
    if len(epochs) > 1:
        assert not np.array_equal(epochs[0], epochs[1])


def test_the_cut_moves_between_epochs():
    """With a fixed cut, the same words would always be the first of a chunk, seen without context."""
    batches = Batches(np.arange(400, dtype=np.uint16), 1, 21)
    first_tokens = [
        {int(batches(0, epoch * batches.chunks + i)["input_ids"][0, 0]) % 20 for i in range(1, batches.chunks + 1)} for epoch in range(4)
    ]
    assert all(len(found) == 1 for found in first_tokens) and len(set.union(*first_tokens)) > 1


def test_batches_of_a_folder_are_those_of_its_training_part(made):
    prepared = open_prepared(made[0])
    for source in (made[0], str(made[0]), prepared):
        assert torch.equal(Batches(source, 2, 8)(0, 3)["input_ids"], Batches(np.array(prepared.train), 2, 8)(0, 3)["input_ids"])


@pytest.mark.parametrize(
    "batch_size, seq_len, message",
    [(2, 1, "seq_len must be at least 2"), (0, 8, "batch_size must be at least 1"), (1, 99, "at least seq_len = 99 tokens, got 40")],
)
def test_bad_batches_are_one_sentence(batch_size, seq_len, message):
    with pytest.raises(ValueError, match=message):
        Batches(np.zeros(40, np.uint16), batch_size, seq_len)


def test_echoes_repeat_their_first_tokens_and_are_as_many_as_asked_for():
    """Trained on stories alone, moc-pt copied nothing from its own text: a name that stood there already cost it ln 20 nats, one of the
    generator's twenty children. Texts that repeat themselves teach it, in a few hundred steps."""
    stream = np.random.default_rng(0).integers(0, 60_000, 5000).astype(np.uint16)
    plain, echoing = Batches(stream, 16, 64), Batches(stream, 16, 64, echoes=0.5)
    shares, lengths = [], []
    for step in range(1, 51):
        rows, periods = echoing(3, step)["input_ids"], echoing.periods(3, step)
        for row, as_it_was, period in zip(rows.tolist(), plain(3, step)["input_ids"].tolist(), periods.tolist(), strict=True):
            assert row == [as_it_was[i % period] for i in range(64)] and (period == 64 or 8 <= period <= 32)
        shares.append(float((periods < 64).mean()))
        lengths += [period for period in periods.tolist() if period < 64]
    assert 0.4 < sum(shares) / 50 < 0.6
    assert min(lengths) == 8 and max(lengths) == 32
    again = Batches(stream, 16, 64, echoes=0.5)
    assert torch.equal(again(3, 17)["input_ids"], echoing(3, 17)["input_ids"])


def test_chunks_too_short_to_repeat_are_left_as_they_are():
    stream = np.arange(100, dtype=np.uint16)
    assert torch.equal(Batches(stream, 4, 16, echoes=1.0)(0, 1)["input_ids"], Batches(stream, 4, 16)(0, 1)["input_ids"])


# --- measuring -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 15, 40, 41])
@pytest.mark.parametrize("seq_len, context", [(8, None), (8, 1), (8, 7), (2, 1), (64, 32)])
def test_windows_score_every_token_once_with_context_before_it(n, seq_len, context):
    stream = np.arange(1, n + 1)  # each id is its place; 0 is the end of text that goes in front
    times, least = np.zeros(n + 1, int), context or seq_len // 2
    for ids, scored in windows(stream, seq_len, end=0, context=context):
        assert len(ids) == len(scored) == min(seq_len, n + 1) and not scored[0]
        assert (np.diff(ids) == 1).all()
        times[ids[scored]] += 1
        for i in np.flatnonzero(scored):
            assert i >= min(least, ids[i])  # at least `context` tokens before it, or all there are
    assert times.tolist() == [0] + [1] * n


@pytest.mark.parametrize(("n", "wanted"), [(1000, 6), (1000, 1), (40, 100)])
def test_fewer_windows_come_from_everywhere_in_the_stream(n, wanted):
    """The evaluations of a training read the beginning of the validation text, which may be a single work: its alarm and its logged loss
    judged that one alone. Fewer windows are some of all, as far apart as they can be, and the same ones each time."""
    stream, seq_len = np.arange(1, n + 1), 16
    every = [(ids.tolist(), scored.tolist()) for ids, scored in windows(stream, seq_len, end=0)]
    some = [(ids.tolist(), scored.tolist()) for ids, scored in windows(stream, seq_len, end=0, max_tokens=8 * wanted + 8)]
    places = [every.index(window) for window in some]
    assert len(places) == min(wanted, len(every)) and places == sorted(set(places)) and places[0] == 0
    if wanted > 1:
        assert places[-1] == len(every) - 1 and max(np.diff(places)) - min(np.diff(places)) <= 1
        assert abs(sum(sum(scored) for _, scored in some) - min(n, 8 * wanted + 8)) <= 8


def test_ends_of_text_are_seen_and_not_scored():
    stream = np.array([0, 5, 6, 0, 7, 8, 9, 0])
    scored = [int(token) for ids, mask in windows(stream, 4, end=0) for token in ids[mask]]
    assert scored == [5, 6, 7, 8, 9]
    assert list(windows(np.zeros(0, np.uint16), 4, end=0)) == [] and list(windows(np.zeros(1, np.uint16), 4, end=0)) == []


def test_bits_per_byte_of_a_known_model_are_what_arithmetic_says(made):
    """A uniform model costs ln V nats a token, and a stream's windows score each of its tokens but the ends."""
    prepared = open_prepared(made[0])
    tokens = sum(int(mask.sum()) for _, mask in windows(prepared.validation, 16, end=prepared.end))
    assert tokens == len(prepared.validation) - len(HELD)
    size = prepared.n_bytes("validation")
    assert bits_per_byte(tokens * math.log(400), size) == pytest.approx(tokens * math.log2(400) / size)
    assert bits_per_byte(math.log(256) * 10, 10) == pytest.approx(8.0)


def test_bad_measurements_are_one_sentence():
    with pytest.raises(ValueError, match="at least one byte of text, got 0"):
        bits_per_byte(1.0, 0)
    with pytest.raises(ValueError, match="context must be 1 to seq_len - 1 = 7, got 8"):
        list(windows(np.arange(9), 8, end=0, context=8))
