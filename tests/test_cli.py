"""The command line, run as a person types it: what it prints, its exit codes, one line for every mistake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_errors import error_of

from lunaris.cli import main
from lunaris.core.images import read_image

ROOT = Path(__file__).parent.parent
TRAIN = [
    "pixel",
    "train",
    "--preset",
    "tiny",
    "--steps",
    "2",
    "--batch-size",
    "4",
    "--sprites",
    "16",
    "--device",
    "cpu",
    "--filters",
    "8",
    "16",
    "--latent-dim",
    "8",
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "model"
    assert main([*TRAIN, "--out", str(folder), "--seed", "5"]) == 0
    return folder


def test_train_generate_evaluate(checkpoint, tmp_path, capsys):
    words = ["pixel", "generate", "--model", str(checkpoint), "--prompt", "a red potion", "--n", "16", "--seed", "7"]
    assert main([*words, "--out", str(tmp_path / "a.png")]) == 0
    assert main([*words, "--out", str(tmp_path / "b.png")]) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert read_image(tmp_path / "a.png").shape == (64, 64, 4)
    capsys.readouterr()
    assert main(["pixel", "evaluate", "--model", str(checkpoint), "--data", "procedural", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["n"] == 512 and report["psnr_db"] > 0 and report["model"] == str(checkpoint)


def test_yaml_gives_the_settings_and_flags_override_it(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(
        "model: {latent_dim: 8, filters: [8, 16], input_shape: [8, 8, 4], head: slot, palette_size: 80}\n"
        "training: {batch_size: 4, sprites: 16, steps: 2, device: cpu, tracker: none}\n"
    )
    out = tmp_path / "m"
    assert main(["pixel", "train", str(tmp_path / "c.yaml"), "--latent-dim", "6", "--out", str(out)]) == 0
    config = json.loads((out / "config.json").read_text())["model"]
    assert (config["latent_dim"], config["input_shape"], config["use_text"]) == (6, [8, 8, 4], False)


def test_training_twice_into_one_folder_needs_resume(checkpoint, capsys):
    assert "--resume" in error_of(capsys, *TRAIN, "--seed", "5", "--out", checkpoint)
    assert main([*TRAIN, "--seed", "5", "--out", str(checkpoint), "--resume"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pixel", "generate", "--promt", "x", "--out", "x.png"], "unknown flag '--promt'; did you mean '--prompt'?"),
        (["pixel", "generate", "--n", "99", "--out", "x.png"], "n must be a whole number from 1 to 64, got 99"),
        (["pixel", "generate", "--n", "many", "--out", "x.png"], "argument --n: must be a whole number, got 'many'"),
        (["pixel", "generate", "--model", "../secrets", "--out", "x.png"], ".."),
        (["pixel", "generate", "--model", "no-such-model", "--out", "x.png"], "no-such-model"),
        (["pixel", "train", "--out", "x", "--head", "gan"], "argument --head: invalid choice: 'gan'"),
        (["pixel", "train", "--out", "x", "--latent-dim", "0", "--preset", "tiny"], "latent_dim must be a whole number from 2"),
        (["pixel", "train", "none.yaml", "--out", "x"], "no config file at none.yaml"),
        (["pixel", "train", "--source", "nowhere", "--preset", "tiny", "--out", "x"], "source must be 'procedural', a folder"),
        (["pixel", "trian"], "invalid choice: 'trian'"),
        (["pixle"], "invalid choice: 'pixle'"),
        ([], "the following arguments are required: COMMAND"),
        (["hub", "push", "nowhere-at-all", "someone/x"], "nowhere-at-all"),
        (["space", "build", "pixle", "--out", "x"], "invalid choice: 'pixle'"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in error_of(capsys, *words)
    assert list(tmp_path.iterdir()) == []  # nothing was left behind


def test_yaml_typo_names_the_key(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("model: {latent_dimm: 8}\n")
    assert "unknown key 'latent_dimm'; did you mean 'latent_dim'?" in error_of(capsys, "pixel", "train", tmp_path / "c.yaml", "--out", "x")


def test_output_that_cannot_be_written_is_one_line(checkpoint, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    where = tmp_path / "file" / "x.png"
    assert "cannot write" in error_of(capsys, "pixel", "generate", "--model", checkpoint, "--n", "1", "--out", where)


def test_hub_verbs_round_trip(checkpoint, tmp_path, capsys, fresh_hub):
    """HB-07: push, tag, list, resolve, pull and card against the local Hub."""
    assert main(["hub", "push", str(checkpoint), "lunar/cli-test", "--tag", "v1"]) == 0
    assert "lunar/cli-test" in capsys.readouterr().out
    assert main(["hub", "pull", "lunar/cli-test@v1", "--out", str(tmp_path / "copy")]) == 0
    assert (tmp_path / "copy" / "model.safetensors").read_bytes() == (checkpoint / "model.safetensors").read_bytes()
    capsys.readouterr()
    assert main(["hub", "resolve", "lunar/cli-test"]) == 0
    assert Path(capsys.readouterr().out.strip()).is_dir()
    assert main(["hub", "card", str(checkpoint)]) == 0
    assert "# LunarisCore 16x16" in capsys.readouterr().out
    assert main(["hub", "list", "--json"]) == 0
    assert any(model["ref"] == "pixel-16" for model in json.loads(capsys.readouterr().out))


def test_doctor_reports_hardware_and_packages(capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret_value")
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "usable" in text and "pip install 'wandb'" in text and "hf_secret_value" not in text
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["hardware"]["cpu_threads"] > 0 and {row["package"] for row in report["packages"]} >= {"gradio", "datasets", "trackio"}


def test_module_runs_from_the_shell():
    done = subprocess.run([sys.executable, "-m", "lunaris", "pixel", "generate"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "--out" in done.stderr


def test_unexpected_errors_are_not_dressed_up_as_mistakes(monkeypatch):
    """A bug shows its traceback; only the caller's mistakes become one line."""
    from lunaris.core import runtime

    def broken():
        raise KeyError("bug")

    monkeypatch.setattr(runtime, "doctor", broken)
    with pytest.raises(KeyError):
        main(["doctor"])
