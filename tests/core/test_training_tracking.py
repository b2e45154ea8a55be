"""Trackers are guests: the numbers reach them, their failures reach nobody, and they publish nothing of this machine."""

import json
import math
import sys
import types

import pytest
import torch
from training_jobs import toy

from lunaris.core import tracking
from lunaris.core.tracking import MetricsLog, StepNumbers, Tracker
from lunaris.core.training import Callback, TrainingError, fit


def train(out, *, resume=False, callbacks=(), **changes):
    model = toy.Toy()
    fit(
        model,
        toy.batches(),
        toy.loss,
        toy.config(**changes),
        out,
        evaluate=toy.evaluate,
        resume=resume,
        callbacks=callbacks,
        progress=False,
    )
    return model


def test_trackio_holds_every_number_also_after_a_resume(tmp_path, capfd):
    """With the real trackio, in the folder that tests/conftest.py gives it; nothing but this machine is reached."""
    trackio = pytest.importorskip("trackio")
    project = f"test-{tmp_path.name}"
    train(tmp_path / "run-a", tracker="auto", project=project)
    train(tmp_path / "run-a", tracker="trackio", project=project, steps=15, resume=True)
    from trackio.sqlite_storage import SQLiteStorage

    assert [run.name for run in trackio.Api().runs(project)] == ["run-a"]
    logged = {record["step"]: record for record in SQLiteStorage.get_logs(project, "run-a")}
    for record in toy.metrics(tmp_path / "run-a"):
        step = record.pop("step")
        assert {name: logged[step][name] for name in record} == pytest.approx(record)
    assert sorted(logged) == list(range(1, 16))
    printed = "".join(capfd.readouterr())
    assert "/" not in printed.replace("eval/", "").replace("step/s", "")  # no path, no address


class FakeTracker(types.ModuleType):
    """Stands in for trackio or wandb: `init` gives a run that counts, and fails where it is told to."""

    def __init__(self, name, fails=""):
        super().__init__(name)
        self.__spec__ = types.SimpleNamespace(name=name)
        self.fails, self.inits, self.logs, self.finished = fails, [], [], 0

    def _maybe_fail(self, action):
        if self.fails == action:
            raise RuntimeError("cannot reach https://tracker.example/?token=hf_secret from /home/someone")

    def init(self, *args, **kwargs):
        self._maybe_fail("start")
        self.inits.append((args, kwargs))
        return self

    def log(self, metrics, step):
        self._maybe_fail("log")
        self.logs.append((step, metrics))

    def finish(self):
        self._maybe_fail("finish")
        self.finished += 1


def stand_in(monkeypatch, name, fails=""):
    """A `FakeTracker` that counts as installed under `name`."""
    fake = FakeTracker(name, fails)
    monkeypatch.setitem(sys.modules, name, fake)
    monkeypatch.setattr(tracking, "installed_version", lambda package: "1.0" if package == name else None)
    return fake


@pytest.mark.parametrize("action", ["start", "log", "finish"])
def test_a_tracker_that_fails_is_left_behind_with_one_line_that_leaks_nothing(tmp_path, monkeypatch, capsys, action):
    fake = stand_in(monkeypatch, "trackio", fails=action)
    model, alone = train(tmp_path / "a", tracker="trackio"), train(tmp_path / "b")
    assert torch.equal(model.embed.weight, alone.embed.weight)
    assert toy.metrics(tmp_path / "a") == toy.metrics(tmp_path / "b")
    out = capsys.readouterr().out
    assert out.count(f"trackio could not {action} (RuntimeError): going on without it") == 1 and len(fake.logs) == (
        12 if action == "finish" else 0
    )
    assert "secret" not in out and "/home" not in out and "http" not in out


def test_wandb_keeps_its_run_over_a_resume_and_gets_the_config(tmp_path, monkeypatch):
    fake = stand_in(monkeypatch, "wandb")
    train(tmp_path, tracker="wandb", project="p", run_name="r")
    train(tmp_path, tracker="wandb", project="p", run_name="r", steps=14, resume=True)
    (_, first), (_, second) = fake.inits
    assert first["id"] == second["id"] and len(first["id"]) == 8
    assert (first["project"], first["name"], first["resume"]) == ("p", "r", "allow") and first["config"]["learning_rate"] == 3e-3
    assert [step for step, _ in fake.logs] == list(range(1, 15)) and fake.finished == 2
    assert {"loss", "accuracy", "lr", "grad_norm", "eval/loss"} <= fake.logs[-1][1].keys()


def test_the_tracker_is_closed_when_training_fails(tmp_path, monkeypatch):
    fake = stand_in(monkeypatch, "trackio")

    class Fail(Callback):
        def on_step(self, run):
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        train(tmp_path, tracker="trackio", callbacks=[Fail()])
    assert fake.finished == 1


@pytest.mark.parametrize("name", ["wandb", "tensorboard", "trackio"])
def test_a_tracker_that_is_asked_for_but_missing_is_an_error_with_the_remedy(tmp_path, monkeypatch, name):
    monkeypatch.setattr(tracking, "installed_version", lambda package: None)
    with pytest.raises(ModuleNotFoundError, match=rf"tracker '{name}' needs the package {name}: pip install {name}$"):
        train(tmp_path, tracker=name)
    train(tmp_path / "auto", tracker="auto")  # by default it is only used when it is there


def test_tensorboard_gets_every_number(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tmp_path, tracker="tensorboard")
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    losses = {event.step: event.value for event in events.Scalars("loss")}
    assert losses == pytest.approx({record["step"]: record["loss"] for record in toy.metrics(tmp_path)})


def test_numbers_that_are_not_finite_are_null_in_the_log_and_left_out_of_the_tracker(tmp_path, monkeypatch):
    fake = stand_in(monkeypatch, "trackio")
    log = MetricsLog(tmp_path / "metrics.jsonl", last_step=0)
    log.write({"step": 1, "loss": 2.0, "eval/fid": float("nan"), "eval/x": float("inf")})
    log.close()
    record = json.loads((tmp_path / "metrics.jsonl").read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert record == {"step": 1, "loss": 2.0, "eval/fid": None, "eval/x": None}
    options = dict(project="p", run_name="r", run_id="i", resumed=False, config={}, folder=tmp_path, say=print)
    Tracker("trackio", **options).log({"loss": 2.0, "eval/fid": float("nan")}, 1)
    assert fake.logs == [(1, {"loss": 2.0})]


def test_numbers_that_are_read_late_still_name_the_step_that_went_wrong(tmp_path):
    """On a GPU they are only fetched at every log_every-th step; until then nobody waits for them."""
    numbers = StepNumbers(tmp_path, may_overflow=False)
    for step, kl in ((1, 1.0), (2, 2.0), (3, 3.0)):
        numbers.add(step, 0.1 * step, ("loss", "kl"), torch.tensor([5.0, kl, 7.0]))
    assert numbers.latest() == {"loss": 5.0, "kl": 3.0, "grad_norm": 7.0, "lr": pytest.approx(0.3)}
    for step, kl in ((4, 4.0), (5, math.nan), (6, 6.0)):
        numbers.add(step, 0.1, ("loss", "kl"), torch.tensor([math.nan if step == 5 else 5.0, kl, 7.0]))
    with pytest.raises(TrainingError, match="the loss part 'kl' became nan at step 5"):
        numbers.latest()


def test_only_half_precision_may_overflow(tmp_path):
    """fp16 skips a step whose gradient is infinite and lowers its scale; in any other format that is the end."""
    for may_overflow in (True, False):
        numbers = StepNumbers(tmp_path, may_overflow=may_overflow)
        numbers.add(1, 0.1, ("loss",), torch.tensor([5.0, math.inf]))
        if may_overflow:
            assert numbers.latest()["grad_norm"] == math.inf
        else:
            with pytest.raises(TrainingError, match="the norm of the gradient became inf at step 1"):
                numbers.latest()


def test_a_log_opens_at_the_step_it_resumes_from(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    MetricsLog(path, last_step=2).close()
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'
    path.write_text('{"step": 1}\n{"step": 2}')  # a line that was cut, as it happens, at its end
    MetricsLog(path, last_step=2).close()
    assert path.read_text() == '{"step": 1}\n'
    MetricsLog(path, last_step=0).close()
    assert path.read_text() == ""
