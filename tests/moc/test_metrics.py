"""What a MoC is worth on a text: against a plain loop without windows, against compressors, and on every kind of data."""

import base64
import gzip
import hashlib
import json
import lzma
import math

import numpy as np
import pytest
import torch

from lunaris.core import hub
from lunaris.core.text import Document
from lunaris.core.tokenizer import BpeTokenizer
from lunaris.moc import stories
from lunaris.moc.checkpoint import load, new_model, save
from lunaris.moc.config import MoCModelConfig
from lunaris.moc.data import END, Encoder, Seen, load_source, load_unseen, open_prepared, prepare, windows
from lunaris.moc.metrics import evaluate, score_stream, stream_of, text_of, xz_bits_per_byte
from lunaris.moc.train import figures

torch.set_num_threads(1)
TINY = MoCModelConfig.tiny()
TEXTS = ["Era uma vez um gato que via a lua. " * 3, "O coração 🌙 da menina é bom.\n" * 2, "Once upon a time there was a cat. " * 4]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = new_model(TINY, BpeTokenizer.train(TEXTS, vocab_size=320, special_tokens=[END]))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.1)
    return model.eval()


@torch.no_grad()
def nats_one_by_one(model, ids, reach):
    """Each token of the stream but the ends of text, given at most `reach(i)` tokens before it, in a call of its own, summed in float64."""
    end, total, count = Encoder(model.tokenizer).end, 0.0, 0
    row = [end, *ids]
    for i in range(1, len(row)):
        if row[i] == end:
            continue
        logits = model(torch.tensor([row[max(0, i - reach(i)) : i]]), use_cache=False).logits[0, -1].double()
        total, count = total - float(logits.log_softmax(-1)[row[i]]), count + 1
    return total, count


def test_score_equals_a_plain_loop_on_a_text_shorter_than_the_window(model):
    ids = stream_of(TEXTS[1:2], model.tokenizer)
    assert len(ids) < TINY.max_seq_len
    nats, count = nats_one_by_one(model, ids.tolist(), lambda i: i)
    score = score_stream(model, ids)
    assert score.tokens == count == len(ids) - 1 and score.n_bytes == len(TEXTS[1].encode())
    assert score.nats == pytest.approx(nats, rel=1e-6)
    assert score.bits_per_byte == pytest.approx(nats / math.log(2) / len(TEXTS[1].encode()), rel=1e-6)


def test_score_equals_a_plain_loop_where_windows_overlap(model):
    """Windows of 16, each 8 further: what token i sees is told by arithmetic of this test, not by data.windows."""
    ids = stream_of(TEXTS, model.tokenizer)
    length, seq_len = len(ids) + 1, 16
    starts = [*range(0, length - seq_len, seq_len // 2), length - seq_len]

    def reach(i):
        return i - next(start for start in starts if i < start + seq_len)

    nats, count = nats_one_by_one(model, ids.tolist(), reach)
    score = score_stream(model, ids, seq_len=seq_len)
    assert len(ids) > 90 and score.tokens == count == len(ids) - len(TEXTS)
    assert score.n_bytes == sum(len(text.encode()) for text in TEXTS)
    assert score.nats == pytest.approx(nats, rel=1e-5)


def test_a_uniform_model_needs_log_v_nats_per_token(model):
    """A figure known without any model: all weights of the head 0."""
    flat = new_model(TINY.replace(tie_embeddings=False), model.tokenizer).eval()
    torch.nn.init.zeros_(flat.lm_head.weight)
    score = score_stream(flat, stream_of(TEXTS, model.tokenizer))
    assert score.loss == pytest.approx(math.log(512), rel=1e-6) and score.perplexity == pytest.approx(512, rel=1e-5)


def test_expert_figures_are_those_of_the_models_routing(model):
    ids = stream_of(TEXTS[1:2], model.tokenizer)
    score = score_stream(model, ids)
    with torch.no_grad():
        routing = model(torch.tensor([[Encoder(model.tokenizer).end, *ids.tolist()]]), output_routing=True).routing
    for layer, record in enumerate(routing):
        share = torch.bincount(record.chosen.flatten(), minlength=4).double() / record.chosen.numel()
        torch.testing.assert_close(score.load[layer], share, atol=1e-6, rtol=0)
        p = record.after.double().softmax(-1)
        assert float(score.router_entropy[layer]) == pytest.approx(float(-(p * p.log()).sum(-1).mean()), rel=1e-4)
    peers = torch.stack([record.peers for record in routing]).double()
    expected = -(peers * peers.log()).sum(-1).mean() / math.log(2)
    assert score.peer_entropy == pytest.approx(float(expected), rel=1e-4)


def test_the_mode_is_put_back_and_dropout_is_off(model):
    dropping = new_model(TINY.replace(dropout=0.5), model.tokenizer)
    dropping.load_state_dict(model.state_dict())
    ids = stream_of(TEXTS[:1], model.tokenizer)
    assert score_stream(dropping.train(), ids).nats == pytest.approx(score_stream(model, ids).nats, rel=1e-6) and dropping.training


def test_a_spread_score_reads_everywhere(model):
    """A text whose beginning costs much and whose rest costs little: the beginning alone would tell nothing of the rest."""
    ids = np.tile(stream_of(TEXTS, model.tokenizer), 4)
    pieces = list(windows(ids, 16, end=Encoder(model.tokenizer).end))
    kept = [pieces[round(i * (len(pieces) - 1) / 4)] for i in range(5)]
    with torch.no_grad():
        nats = 0.0
        for seen, scored in kept:
            log_p = model(torch.from_numpy(seen)[None], use_cache=False).logits[0].double().log_softmax(-1)
            nats -= sum(float(log_p[i - 1, seen[i]]) for i in np.flatnonzero(scored))
    score = score_stream(model, ids, seq_len=16, max_tokens=48, spread=True)
    assert score.nats == pytest.approx(nats, rel=1e-5) and score.tokens == sum(int(scored.sum()) for _, scored in kept)
    assert score_stream(model, ids, seq_len=16, max_tokens=10**6, spread=True).nats == score_stream(model, ids, seq_len=16).nats


@pytest.mark.parametrize("changes", [{"peer_attention": False}, {"top_k": 1}, {"ffn": "top_k"}, {"ffn": "soft_all"}])
def test_without_peers_there_is_no_entropy_of_theirs(model, folder, changes):
    """It was told as 1, the best there is, for models whose experts never look at each other."""
    lone = new_model(TINY.replace(**changes), model.tokenizer).eval()
    score = score_stream(lone, stream_of(TEXTS[:1], model.tokenizer))
    assert score.peer_entropy is None and score.router_entropy is not None
    assert "peer_entropy" not in figures(score) and "router_entropy" in figures(score)
    if changes == {"top_k": 1}:
        assert "peer_entropy" not in evaluate(lone, folder)


def test_limited_score_reads_the_beginning_alone(model):
    ids = stream_of(TEXTS, model.tokenizer)
    assert score_stream(model, ids, max_tokens=20).nats == score_stream(model, ids[:20]).nats


def test_nothing_to_score_is_one_sentence(model):
    with pytest.raises(ValueError, match="the data must have at least one token to score, got none"):
        score_stream(model, np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="the data must have at least one byte of text"):
        xz_bits_per_byte(b"")


def test_xz_figure_is_that_of_the_same_bytes(model):
    ids = stream_of(TEXTS, model.tokenizer)
    whole = "".join(TEXTS).encode()
    assert text_of(ids, model.tokenizer) == whole
    assert xz_bits_per_byte(whole) == 8 * len(lzma.compress(whole, preset=9)) / len(whole)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    rows = [{"id": f"d{i}", "texto": f"{i} {TEXTS[i % 3]}"} for i in range(40)]
    with gzip.open(folder / "a.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    (folder / "b.txt").write_text("Um texto a mais. " * 10, encoding="utf-8")
    return folder


def test_evaluate_measures_folders_patterns_mixtures_and_stories(model, folder):
    report = evaluate(model, folder)
    assert json.loads(json.dumps(report)) == report
    assert {"bits_per_byte", "loss", "perplexity", "tokens", "bytes", "xz_bits_per_byte", "load", "router_entropy"} <= report.keys()
    assert report["measured_on"] == "the validation side of the data" and 0 < report["n"] < 41
    assert report["perplexity"] == pytest.approx(math.exp(report["loss"]))
    assert report["bits_per_byte"] == pytest.approx(report["loss"] * report["tokens"] / math.log(2) / report["bytes"])
    both = evaluate(model, f"3*{folder}+{folder}/*.txt")
    assert both["n"] == report["n"] + 1  # the single txt has its last tenth held out; repetitions do not count here
    assert evaluate(model, "procedural", n=5)["n"] == 5


@pytest.mark.parametrize("n", [1, 2, 25])
def test_evaluate_all_measures_n_stories_of_both_sides(model, n):
    """It measured 2n: n of each side."""
    report = evaluate(model, "procedural", n=n, split="all")
    held = -(-n // 10)
    texts = [story.text for split, m in (("train", n - held), ("validation", held)) for story in stories.make(m, split=split)]
    assert report["n"] == n and report["bytes"] == sum(len(text.encode()) for text in texts)


def test_evaluate_all_scores_every_byte_of_the_folder(model, folder):
    """Once: "3*books" was measured three times over, and xz, which packs what repeats itself, told a third of the truth."""
    report = evaluate(model, folder, split="all")
    assert evaluate(model, f"3*{folder}", split="all") | {"data": str(folder)} == report
    bytes_there = sum(len(f"{i} {TEXTS[i % 3]}".encode()) for i in range(40)) + len("Um texto a mais. " * 10)
    assert report["bytes"] == bytes_there and report["n"] == 41 and report["measured_on"] == "all documents"


def test_a_prepared_folder_gives_what_its_texts_give_and_counts_its_bytes(model, folder, tmp_path):
    meta = prepare(folder, tmp_path / "ready", tokenizer=model.tokenizer)
    report = evaluate(model, tmp_path / "ready")
    assert report["bytes"] == meta["splits"]["validation"]["bytes"] == evaluate(model, folder)["bytes"]
    assert report["tokens"] == meta["splits"]["validation"]["tokens"] - report["n"]


def test_a_folder_of_another_tokenizer_is_refused(model, folder, tmp_path):
    prepare(folder, tmp_path / "other", vocab_size=300)
    with pytest.raises(ValueError, match="was made with another tokenizer than the model's"):
        evaluate(model, tmp_path / "other")


def test_bad_wishes_are_one_sentence(model, folder):
    with pytest.raises(ValueError, match="split must be one of unseen, validation, all, got 'train'; try 'unseen'"):
        evaluate(model, folder, split="train")
    with pytest.raises(ValueError, match="seq_len must be 2 to the model's max_seq_len 128, or 0 for that, got 500"):
        evaluate(model, folder, seq_len=500)


def test_a_dense_model_has_no_expert_figures(model, folder):
    dense = new_model(TINY.replace(ffn="dense"), model.tokenizer).eval()
    assert not {"load", "router_entropy", "peer_entropy"} & evaluate(dense, folder).keys()


# --- never on what it was trained on ------------------------------------------------------------------------------------------------


def test_a_model_is_measured_on_every_document_it_was_not_trained_on(model, folder, tmp_path):
    """Six held-out works in a folder of their own used to be cut down to the tenth whose names a hash chose, mostly none of them."""
    prepare(folder, tmp_path / "ready", tokenizer=model.tokenizer)
    trained = new_model(TINY, model.tokenizer)
    trained.seen = open_prepared(tmp_path / "ready").seen
    held = evaluate(model, folder, split="validation")
    same = evaluate(trained.eval(), folder)
    assert (same["n"], same["bytes"]) == (held["n"], held["bytes"]) and "others left out" in same["measured_on"]
    new = tmp_path / "new"
    new.mkdir()
    for i in range(5):
        (new / f"{i}.txt").write_text(f"{i}: {TEXTS[0]}", encoding="utf-8")
    assert evaluate(trained, new)["n"] == 5 and evaluate(trained, new)["bytes"] == evaluate(trained, new, split="all")["bytes"]
    assert evaluate(trained, "procedural", n=5)["n"] == 5


def test_what_was_seen_travels_with_the_checkpoint(model, folder, tmp_path):
    prepare(folder, tmp_path / "ready", tokenizer=model.tokenizer)
    trained = new_model(TINY, model.tokenizer)
    trained.seen = open_prepared(tmp_path / "ready").seen
    again = load(save(trained, tmp_path / "model"))
    assert again.seen.to_json() == trained.seen.to_json()
    assert load(save(model, tmp_path / "plain")).seen is None
    (tmp_path / "model/seen.json").write_text('{"marks": "no base 64"}')
    with pytest.raises(ValueError, match="seen.json is not one that moc prepare wrote"):
        load(tmp_path / "model")


def test_a_single_text_is_measured_on_the_tenth_it_lost(model, tmp_path):
    """Of one book, the last tenth was held out: that much of it is unseen, and of a text that was learned whole nothing is."""
    book = "".join(f"Linha {i} de um livro que tem muitas linhas.\n" for i in range(200))
    (tmp_path / "book.txt").write_text(book, encoding="utf-8")
    learned, held = (load_source(tmp_path / "book.txt", split=split) for split in ("train", "validation"))
    seen = Seen.of(learned)
    assert [document.text for document in load_unseen(tmp_path / "book.txt", seen)[0]] == [document.text for document in held]
    whole = Seen.of([Document(book, "book.txt", "book.txt")])
    with pytest.raises(ValueError, match="the model was trained on all 1 documents of .*; give others, or split: all"):
        load_unseen(tmp_path / "book.txt", whole)
    trained = new_model(TINY, model.tokenizer).eval()
    trained.seen = seen
    report = evaluate(trained, tmp_path / "book.txt")
    assert report["bytes"] == len(held[0].text.encode()) and "; of 1 the last tenth alone" in report["measured_on"]


def test_a_new_document_under_the_same_licence_is_measured_whole(model, tmp_path):
    """It begins as one of the training does, and was taken for one that lost its last tenth: nine tenths of it were not measured, and
    nothing said so."""
    licence = "Este livro pode ser copiado e alterado, desde que esta nota fique. " * 5
    books = ["".join(f"Linha {i} do livro {name}, que tem muitas linhas.\n" for i in range(90)) for name in ("azul", "verde")]
    for name, book in zip("ab", books, strict=True):
        (tmp_path / f"{name}.txt").write_text(licence + book, encoding="utf-8")
    learned = load_source(tmp_path / "a.txt")  # cut: it is alone
    trained = new_model(TINY, model.tokenizer).eval()
    trained.seen = Seen.of(learned)
    report = evaluate(trained, tmp_path / "b.txt")
    assert report["bytes"] == len((licence + books[1]).encode()) and "last tenth" not in report["measured_on"]
    both = load_unseen(f"{tmp_path}/*.txt", trained.seen)
    assert (
        both.left_out == 0
        and both.cut == 1
        and [len(d.text) for d in both.documents] == [len(licence + books[0]) - len(learned[0].text), len(licence + books[1])]
    )


def test_what_older_checkpoints_say_they_have_seen_means_the_same(tmp_path):
    """seen.json of before, as the shipped moc-pt has it: first and last marks in one list, reckoned here by hand."""
    book = "".join(f"Linha {i} de um livro.\n" for i in range(200))

    def mark(place: bytes, text: str) -> bytes:
        return hashlib.sha256(place + text.encode()).digest()[:5]

    learned = book[: book.rfind("\n", 0, len(book) * 9 // 10 + 1) + 1].strip()
    packed = base64.b64encode(mark(b"<", learned[:256]) + mark(b">", learned[-256:])).decode()
    (tmp_path / "seen.json").write_text(json.dumps({"what": "…", "marks": packed}))
    seen = Seen.read(tmp_path)
    document = Document(book, "b", "b")
    rest = seen.unseen(document).text
    assert rest == book[len(learned) + 1 :] and seen.unseen(Document(learned, "b", "b")) is None
    new = Document("Outro texto. " * 40, "c", "c")
    assert seen.unseen(new) is new
    joined = seen | Seen.of([new])  # a training that goes on from such a checkpoint
    (tmp_path / "seen.json").write_text(joined.to_json())
    again = Seen.read(tmp_path)
    assert again.to_json() == joined.to_json() and again.unseen(new) is None and again.unseen(document).text == rest
    assert hub.bundled()["moc-pt"].joinpath("seen.json").is_file() and Seen.read(hub.bundled()["moc-pt"]).unseen(new) is new
