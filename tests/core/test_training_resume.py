"""The training state: killed and resumed equals never killed, no kill and no full disk breaks it, and nothing resumes that should not."""

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn
from training_jobs import toy

import lunaris
from lunaris.core import tracking, training_state
from lunaris.core.config import BaseConfig, option
from lunaris.core.training import Callback, TrainingError, fit
from lunaris.core.training_state import latest_state, read_state, whole_states

JOBS = Path(__file__).parent / "training_jobs"
ROOT = Path(lunaris.__file__).parents[1]


def run_job(name: str, *args) -> dict:
    command = [sys.executable, str(JOBS / name), *map(str, args)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def train(model, out, **changes):
    keys = ("evaluate", "resume", "should_stop", "callbacks", "batch_at")
    options = {key: changes.pop(key) for key in keys if key in changes}
    batch_at = options.pop("batch_at", toy.batches())
    return fit(model, batch_at, toy.loss, toy.config(**changes), out, progress=False, **options)


def states(out) -> list[str]:
    return sorted(path.name for path in (out / "state").iterdir() if path.name != ".lock")


# --- kills ----------------------------------------------------------------------------------------------------------------------


def test_a_training_killed_many_times_equals_one_never_killed_bit_for_bit(tmp_path):
    """12 SIGKILLs, half at random moments and half inside saves, with dropout, EMA, BatchNorm, accumulation and stateful callbacks."""
    report = run_job("kill_and_resume.py", tmp_path)
    kills = report["kills"]
    assert len(kills) == 12 and all(kill["killed"] for kill in kills)
    assert sum("after_s" in kill for kill in kills) == sum("at_call" in kill for kill in kills) == 6
    assert len({kill["step"] for kill in kills}) >= 4 and 0 < kills[-1]["step"] < report["steps"]  # in the middle, and not all in one place
    assert report["whole"] == report["final"] == 0
    whole, killed = (latest_state(tmp_path / name / "state") for name in ("whole", "killed"))
    assert whole.name == killed.name == f"step-{report['steps']:08d}"
    for file in ("model", "ema", "optimizer"):
        assert (whole / f"{file}.safetensors").read_bytes() == (killed / f"{file}.safetensors").read_bytes(), file
    records = [json.loads((folder / "state.json").read_text()) for folder in (whole, killed)]
    for key in ("step", "accumulation_steps", "lr_scale", "callbacks"):
        assert records[0][key] == records[1][key], key
    assert records[0]["accumulation_steps"] > 2 and records[0]["lr_scale"] < 1  # the callbacks did act
    assert toy.metrics(tmp_path / "whole") == toy.metrics(tmp_path / "killed")
    assert len(toy.metrics(tmp_path / "whole")) > report["steps"] / 3


def test_a_save_killed_at_any_stage_leaves_the_latest_state_whole(tmp_path):
    report = run_job("kill_in_save.py", tmp_path)
    assert len(report) >= 20 and all(stage["signal"] == 9 for stage in report)
    assert {stage["step"] for stage in report} == {2, 3} and all(stage["whole"] for stage in report)
    kinds = {name.split("step")[0] for stage in report for name in stage["left"]}
    assert kinds == {"", ".writing-", ".deleting-"}  # kills hit half-written and half-deleted folders
    for stage in report:
        assert all(name.startswith("step-") for name in stage["swept"]) and "step-00000002" in stage["swept"]
        assert stage["again"] == ["step-00000002", "step-00000003"]


def test_what_a_killed_run_left_is_swept_away_at_the_next_start(tmp_path):
    train(toy.Toy(), tmp_path, save_every=5)
    for name in (".writing-step-00000099", ".deleting-step-00000001"):
        (tmp_path / "state" / name).mkdir()
        (tmp_path / "state" / name / "model.safetensors").write_text("half")
    train(toy.Toy(), tmp_path, save_every=5, steps=13, resume=True)
    assert states(tmp_path) == ["step-00000012", "step-00000013"]


def test_a_damaged_latest_state_gives_way_to_the_one_before(tmp_path, capsys):
    """Half a file, as a power cut may leave it where the disk lies about flushing."""
    whole, cut = toy.Toy(dropout=0.2), toy.Toy(dropout=0.2)
    for model, out in ((whole, tmp_path / "whole"), (cut, tmp_path / "cut")):
        train(model, out, save_every=5)
    file = tmp_path / "cut/state/step-00000012/optimizer.safetensors"
    os.truncate(file, file.stat().st_size // 2)
    train(toy.Toy(dropout=0.2), tmp_path / "cut", save_every=5, resume=True)
    assert "resuming after step 10 of 12" in capsys.readouterr().out
    assert states(tmp_path / "cut") == ["step-00000010", "step-00000012"]
    assert file.read_bytes() == (tmp_path / "whole/state/step-00000012/optimizer.safetensors").read_bytes()


def test_metrics_are_cut_back_to_the_step_that_is_resumed(tmp_path):
    train(toy.Toy(), tmp_path, save_every=5)
    expected = toy.metrics(tmp_path)
    shutil.rmtree(tmp_path / "state/step-00000012")
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 13, "loss": 1.0}\n{"step": 14, "lo')
    train(toy.Toy(), tmp_path, save_every=5, resume=True)
    assert toy.metrics(tmp_path) == expected


# --- the folders ----------------------------------------------------------------------------------------------------------------


def test_states_are_kept_as_many_as_asked_for_and_hold_named_tensors(tmp_path):
    model = toy.Toy(batch_norm=True)
    result = train(model, tmp_path, save_every=2, keep_checkpoints=3)
    assert states(tmp_path) == ["step-00000008", "step-00000010", "step-00000012"]
    record, groups = read_state(result.state)
    names = dict(model.named_parameters())
    assert "head.weight" not in names and "head.weight" not in groups["model"]  # tied to embed.weight: once is enough
    assert groups["model"].keys() == names.keys() | {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}
    assert groups["ema"].keys() == groups["model"].keys() - {"norm.num_batches_tracked"}
    assert {"embed.weight/exp_avg", "embed.weight/exp_avg_sq", "embed.weight/step"} <= groups["optimizer"].keys()
    assert record["step"] == 12 and record["config"]["save_every"] == 2 and record["versions"]["torch"] == torch.__version__
    for name, tensor in groups["ema"].items():
        assert torch.equal(tensor, model.state_dict()[name]), name  # the model ends with the average


def test_a_state_holds_nothing_of_this_machine(tmp_path):
    result = train(toy.Toy(), tmp_path / "run")
    assert str(tmp_path) not in (result.state / "state.json").read_text() + (tmp_path / "run/metrics.jsonl").read_text()


def test_the_state_of_a_frozen_base_is_as_small_as_its_adapter(tmp_path):
    model = nn.Sequential(nn.Linear(200, 200), nn.Linear(200, 2))
    model[0].requires_grad_(False)

    def batch_at(seed, step):
        return {"tokens": torch.ones(4, 200)}

    def loss(model, batch, step):
        return toy.Loss(model(batch["tokens"]).pow(2).mean())

    options = dict(progress=False)
    result = fit(model, batch_at, loss, toy.config(), tmp_path, **options)
    assert sum(path.stat().st_size for path in result.state.iterdir()) < 20_000
    fit(model, batch_at, loss, toy.config(steps=13), tmp_path, resume=True, **options)
    with torch.no_grad():
        model[0].weight[0, 0] += 1e-3
    with pytest.raises(ValueError, match="the frozen weights are not those this run began with"):
        fit(model, batch_at, loss, toy.config(steps=14), tmp_path, resume=True, **options)


# --- the full disk --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["save_file", "fsync", "rename", "mkdir"])
def test_a_full_disk_is_one_sentence_and_the_previous_state_stays(tmp_path, monkeypatch, where):
    whole, model = toy.Toy(dropout=0.2), toy.Toy(dropout=0.2)
    train(whole, tmp_path / "whole")

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    class FillTheDisk(Callback):
        def on_step(self, run):
            if run.step == 7:
                target = {"save_file": training_state, "fsync": os, "rename": os, "mkdir": Path}[where]
                monkeypatch.setattr(target, where, full)

    with pytest.raises(TrainingError) as caught:
        train(model, tmp_path / "full", save_every=4, callbacks=[FillTheDisk()])
    monkeypatch.undo()
    message = str(caught.value)
    assert "the disk is full" in message and "free some space and continue with --resume" in message and "\n" not in message
    assert states(tmp_path / "full") == ["step-00000004"]
    train(model, tmp_path / "full", resume=True)
    assert torch.equal(whole.embed.weight, model.embed.weight)


def test_a_full_disk_as_the_safetensors_library_reports_it_is_understood(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise training_state.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(training_state, "save_file", full)
    with pytest.raises(TrainingError, match="the state of step 12 was not saved: the disk is full; no state was saved before; free"):
        train(toy.Toy(), tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_metrics_that_cannot_be_written_stop_with_one_sentence(tmp_path, monkeypatch):
    """/dev/full is a real full disk: the error comes from the system, not from a mock."""

    class NoRoom(tracking.MetricsLog):
        def __init__(self, path, *, last_step):
            super().__init__(path, last_step=last_step)
            self._file.close()
            self._file = open("/dev/full", "ab", buffering=0)  # noqa: SIM115

    monkeypatch.setattr("lunaris.core.training.MetricsLog", NoRoom)
    with pytest.raises(TrainingError, match="the metrics could not be written: the disk is full"):
        train(toy.Toy(), tmp_path)


# --- what is refused ------------------------------------------------------------------------------------------------------------


def test_a_state_is_never_overwritten_without_resume(tmp_path):
    train(toy.Toy(), tmp_path)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    with pytest.raises(ValueError, match=r"holds a training at step 12; continue it with --resume \(resume=True\) or give another --out"):
        train(toy.Toy(), tmp_path)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before and states(tmp_path) == ["step-00000012"]


def test_resume_without_a_state_starts_anew_and_says_so(tmp_path, capsys):
    fresh, resumed = toy.Toy(), toy.Toy()
    train(fresh, tmp_path / "a")
    train(resumed, tmp_path / "b", resume=True)
    assert "no saved training state in" in capsys.readouterr().out
    assert torch.equal(fresh.embed.weight, resumed.embed.weight)


def test_a_finished_training_resumes_to_itself(tmp_path):
    model, again = toy.Toy(), toy.Toy(init_seed=3)
    first = train(model, tmp_path, evaluate=toy.evaluate)
    second = train(again, tmp_path, evaluate=toy.evaluate, resume=True)
    assert torch.equal(model.embed.weight, again.embed.weight)
    assert first == second


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 1e-2}, "cannot resume with learning_rate 0.01: this run began with 0.003; use that, or another --out"),
        ({"seed": 4}, "cannot resume with seed 4: this run began with 0"),
        ({"ema_decay": 0.0}, "cannot resume with ema_decay 0.0: this run began with 0.9"),
        ({"steps": 11}, "cannot resume with steps 11: this run is for 12 and may only grow"),
    ],
)
def test_a_changed_setting_is_refused_by_name(tmp_path, change, message):
    train(toy.Toy(), tmp_path)
    with pytest.raises(ValueError) as caught:
        train(toy.Toy(), tmp_path, resume=True, **change)
    assert message in str(caught.value)


def test_settings_that_leave_the_maths_alone_may_change(tmp_path):
    train(toy.Toy(), tmp_path)
    changes = dict(steps=14, save_every=1, keep_checkpoints=5, log_every=2, threads=1, accumulation_steps=2, project="x", run_name="y")
    assert train(toy.Toy(), tmp_path, resume=True, **changes).step == 14
    assert states(tmp_path) == ["step-00000012", "step-00000013", "step-00000014"]


def test_another_model_is_refused_by_the_name_of_the_parameter(tmp_path):
    train(toy.Toy(), tmp_path)

    wider = toy.Toy()
    wider.hidden = nn.Linear(8, 8, bias=False)
    with pytest.raises(ValueError, match="'hidden.bias' is trained in the saved state only; use the model that this run began with"):
        train(wider, tmp_path, resume=True)
    wider.hidden = nn.Linear(9, 8)
    with pytest.raises(ValueError, match=r"'hidden.weight' was \(8, 8\) float32 and is \(8, 9\) float32 in this model"):
        train(wider, tmp_path, resume=True)
    thawed = toy.Toy()
    thawed.extra = nn.Parameter(torch.zeros(2))
    with pytest.raises(ValueError, match="'extra' is trained in this model only"):
        train(thawed, tmp_path, resume=True)


def test_a_changed_model_config_is_refused_by_its_key(tmp_path):
    """Dropout changes no shape; only the config tells."""

    @dataclass(frozen=True)
    class ToyConfig(BaseConfig):
        dropout: float = option(0.1, "dropout rate", ge=0.0, le=1.0)

    model = toy.Toy()
    model.config = ToyConfig()
    train(model, tmp_path)
    model.config = ToyConfig(dropout=0.5)
    with pytest.raises(ValueError, match="cannot resume with the model's dropout 0.5: this run began with 0.1"):
        train(model, tmp_path, resume=True, steps=13)


def test_an_unreadable_state_is_refused_with_the_remedy(tmp_path):
    result = train(toy.Toy(), tmp_path)
    file = result.state / "model.safetensors"
    file.write_bytes(b"\xff" * file.stat().st_size)
    with pytest.raises(ValueError, match="cannot read the training state .* delete it to resume from the one before"):
        train(toy.Toy(), tmp_path, resume=True)


def test_only_whole_folders_count_as_states(tmp_path):
    train(toy.Toy(), tmp_path, save_every=6)
    (tmp_path / "state/step-00000099").mkdir()
    (tmp_path / "state/step-00000098").mkdir()
    (tmp_path / "state/step-00000098/state.json").write_text('{"files": {"model.safetensors": 10}}')
    assert [folder.name for folder in whole_states(tmp_path / "state")] == ["step-00000006", "step-00000012"]
