"""`python -m lunaris moc …`: prepare, train with the spec's own file, evaluate, generate as a stream; mistakes are one line and exit 2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_errors import error_of

import lunaris
from lunaris.cli import main
from lunaris.moc import generate, load

SPEC = """
model:
  d_model: 32
  n_layers: 1
  n_heads: 2
  n_kv_heads: 1
  vocab_size: 300
  max_seq_len: 32
  n_experts: 4
  top_k: 2
  aux_loss_weight: 0.01
data_dir: "tokens"
out_dir: "model"
learning_rate: 3e-3
max_steps: 4
batch_size: 2
gradient_accumulation_steps: 2
wandb_project: ""
wandb_run_name: ""
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder in which the spec's file was trained: texts/, tokens/, config_moc.yaml, model/."""
    folder = tmp_path_factory.mktemp("moc")
    (folder / "texts").mkdir()
    for i in range(30):
        (folder / f"texts/{i}.txt").write_text(f"Texto {i}. O mar estava calmo e a casa era branca. " * 8, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["moc", "prepare", "--input", "texts/*.txt", "--out", "tokens", "--vocab-size", "300", "--json"]) == 0
        (folder / "config_moc.yaml").write_text(SPEC)
        assert main(["moc", "train", "config_moc.yaml"]) == 0
    return folder


def test_the_specs_file_trains_unchanged_from_the_prepared_folder(folder):
    """MC-08: out_dir and data_dir come from the file; every part of the loss is in the log."""
    config = json.loads((folder / "model/config.json").read_text())
    assert (config["d_model"], config["num_experts_per_tok"], config["vocab_size"]) == (32, 2, 300)
    lines = [json.loads(line) for line in (folder / "model/metrics.jsonl").read_text().splitlines()]
    logged = [line for line in lines if "loss/main" in line]
    assert {"loss/aux", "loss/balance", "loss/diversity", "loss/z", "perplexity", "tokens_per_s"} <= logged[-1].keys()
    assert max(line["step"] for line in logged) == 4


def test_flags_override_the_specs_file_and_sections_work_too(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    words = ["moc", "train", "config_moc.yaml", "--steps", "2", "--top-k", "1", "--out", str(tmp_path / "a")]
    assert main(words) == 0
    assert json.loads((tmp_path / "a/config.json").read_text())["num_experts_per_tok"] == 1
    (tmp_path / "own.yaml").write_text(
        "model: {d_model: 32, n_layers: 1, n_heads: 2, n_kv_heads: 2, vocab_size: 300, max_seq_len: 32, expert_hidden: 16}\n"
        "training: {steps: 2, batch_size: 2, accumulation_steps: 1}\n"
    )
    assert main(["moc", "train", str(tmp_path / "own.yaml"), "--source", "tokens", "--out", str(tmp_path / "b")]) == 0
    assert json.loads((tmp_path / "b/config.json").read_text())["expert_hidden"] == 16


def test_evaluate_prints_the_figures_on_texts_it_was_not_trained_on(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    assert main(["moc", "evaluate", "--model", "./model", "--data", "texts", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {"bits_per_byte", "loss", "perplexity"} <= report.keys() and 0 < report["n"] < 30
    assert main(["moc", "evaluate", "--model", "./model", "--data", "texts", "--split", "all", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 30


def test_a_text_is_printed_as_the_library_writes_it_and_saved_with_what_made_it(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    words = ["moc", "generate", "--model", "./model", "--prompt", "Texto", "--max-new-tokens", "12", "--seed", "3"]
    expected = generate(load("./model"), "Texto", max_new_tokens=12, seed=3)
    assert main(words) == 0
    assert capsys.readouterr().out == expected + "\n"
    assert main([*words, "--out", "text.json"]) == 0
    saved = json.loads((folder / "text.json").read_text(encoding="utf-8"))
    assert (
        saved["text"] == expected
        and saved["ai_generated"]
        and saved["lunaris"]["args"]["seed"] == 3
        and len(saved["lunaris"]["weights"]) == 16
    )
    assert main([*words, "--out", "text.txt"]) == 0
    assert (folder / "text.txt").read_text(encoding="utf-8") == "Texto" + expected + "\n"


def test_the_text_comes_piece_by_piece(folder):
    """What is written must be seen while it is written: every piece is flushed."""
    code = (
        "import sys\nfrom lunaris import cli\npieces = []\n"
        "class Out:\n    def write(self, text): pieces.append(text)\n    def flush(self): pieces.append(None)\n"
        "    def fileno(self): return 1\n"
        "sys.stdout = Out()\n"
        "cli.main(['moc', 'generate', '--model', './model', '--max-new-tokens', '20', '--temperature', '1'])\n"
        "assert pieces.count(None) > 3, pieces"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(lunaris.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "config_moc.yaml", "--top-k", "9"], "top_k must be at most n_experts 4, got 9; try 4"),
        (["train", "config_moc.yaml", "--top-k", "0"], "top_k must be a whole number from 1"),
        (["train", "config_moc.yaml", "--n-heads", "3"], "n_heads must divide d_model 32, got 3; try 2"),
        (["train", "config_moc.yaml", "--source", "nowhere"], "source must be 'procedural'"),
        (["train", "--preset", "tiny"], "the checkpoint needs a folder; give --out DIR"),
        (["train", "typo.yaml"], "unknown key 'learning_rat' in typo.yaml; did you mean 'learning_rate'?"),
        (["prepare", "--input", "none/*.txt", "--out", "x"], "no file matches 'none/*.txt'"),
        (["prepare", "--input", " ", "--out", "x"], "input must name texts, got none"),
        (["prepare", "--input", "texts", "--out", "texts"], "texts holds other files; give a new folder"),
        (["generate", "--temperature", "nan"], "temperature must be a finite number from 0 to 2, got nan"),
        (["generate", "--mute", "99"], "an expert must be from 0 to"),
        (["evaluate", "--split", "train"], "invalid choice: 'train'"),
        (["evaluate", "--data", "nowhere", "--model", "./model"], "source must be 'procedural'"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(folder, words, message, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "typo.yaml").write_text("learning_rat: 0.1\n")
    before = {path.name for path in folder.iterdir()}
    assert message in error_of(capsys, "moc", *words)
    assert {path.name for path in folder.iterdir()} == before


def test_a_truncated_token_file_is_one_line(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tokens").mkdir()
    for path in (folder / "tokens").iterdir():
        (tmp_path / "tokens" / path.name).write_bytes(path.read_bytes())
    whole = (tmp_path / "tokens/train.bin").read_bytes()
    (tmp_path / "tokens/train.bin").write_bytes(whole[:-100])
    (tmp_path / "c.yaml").write_text(SPEC)
    assert "train.bin must have" in error_of(capsys, "moc", "train", "c.yaml")


# --- replay ---------------------------------------------------------------------------------------------------------------------------


def test_a_saved_text_is_written_again_or_told_apart(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    file = tmp_path / "t.json"
    assert (
        main(["moc", "generate", "--model", "./model", "--prompt", "Texto", "--max-new-tokens", "9", "--mute", "0", "--out", str(file)])
        == 0
    )
    capsys.readouterr()
    assert main(["replay", str(file), "--model", "./model"]) == 0
    assert capsys.readouterr().out.startswith("identical")
    table = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(table | {"text": table["text"][:3] + "!!"}))
    assert main(["replay", str(file), "--model", "./model"]) == 1
    assert "the first 3 of 5 characters are the same" in capsys.readouterr().out
    assert main(["replay", str(file)]) == 1
    assert "made with a folder called 'model' on the maker's computer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: {"text": "x"}, "this JSON holds no Lunaris record"),
        (lambda table: table | {"text": 5}, "the file must hold a text to compare with"),
        (lambda table: table | {"lunaris": table["lunaris"] | {"call": "rm"}}, "the record names the call 'rm'"),
        (
            lambda table: table | {"lunaris": table["lunaris"] | {"args": {"prompt": "x", "max_new_tokens": 10**9}}},
            "max_new_tokens must be",
        ),
        (lambda table: table | {"lunaris": table["lunaris"] | {"model": "../../etc", "local": False}}, "a file may not choose a folder"),
        (lambda table: None, "is no valid JSON"),
    ],
)
def test_a_hostile_record_is_one_line(folder, tmp_path, change, message, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    file = tmp_path / "t.json"
    assert main(["moc", "generate", "--model", "./model", "--max-new-tokens", "3", "--out", str(file)]) == 0
    table = change(json.loads(file.read_text(encoding="utf-8")))
    file.write_text("{" * 1000 if table is None else json.dumps(table))
    capsys.readouterr()
    assert message in error_of(capsys, "replay", file)
