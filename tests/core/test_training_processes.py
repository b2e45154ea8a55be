"""Two processes under torchrun train as one does. The process group is real (gloo), and each test asserts that there were two."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from training_jobs import toy

import lunaris
from lunaris.core.training import fit
from lunaris.core.training_state import latest_state, read_state

JOB = Path(__file__).parent / "training_jobs" / "two_processes.py"
SETTINGS = dict(steps=20, accumulation_steps=2, eval_every=5, save_every=5)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """The folder and both processes' reports; all scenarios share one launch, since starting torch twice takes most of the time."""
    out = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(JOB), str(out)]
    environment = os.environ | {"PYTHONPATH": str(Path(lunaris.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-4000:]
    return out, [json.loads((out / f"rank-{rank}.json").read_text()) for rank in (0, 1)]


def train_alone(out, *, size=7, dropout=0.0, **changes):
    model = toy.Toy(dropout=dropout)
    fit(model, toy.batches(size), toy.loss, toy.config(**(SETTINGS | changes)), out, evaluate=toy.evaluate, progress=False)
    return model


def assert_equal_training(alone, together, tolerance):
    one, two = toy.metrics(alone), toy.metrics(together)
    assert len(one) == len(two) == 20
    for a, b in zip(one, two, strict=True):
        assert a == pytest.approx(b, abs=tolerance), a["step"]
    tensors = [read_state(latest_state(out / "state"))[1] for out in (alone, together)]
    for group in ("model", "ema"):
        for name, tensor in tensors[0][group].items():
            torch.testing.assert_close(tensors[1][group][name], tensor, rtol=0, atol=2e-5)


def test_two_processes_did_run_and_shared_the_work(job):
    out, reports = job
    assert [report["world"] for report in reports] == [2, 2] and {report["backend"] for report in reports} == {"gloo"}
    assert [report["plain"]["processes"] for report in reports] == [2, 2]
    seen = [report["plain"]["seen"] for report in reports]
    assert sum(seen) == 20 * 7 and min(seen) >= 20 * 3
    assert json.loads((latest_state(out / "plain/state") / "state.json").read_text())["processes"] == 2


def test_two_processes_equal_one_with_uneven_token_weights(job, tmp_path):
    """7 examples of 2 … 5 tokens over 2 processes × 2 micro-batches; the expert gets no gradient in some of them."""
    out, _ = job
    train_alone(tmp_path, accumulation_steps=1)
    losses = [[record["loss"] for record in toy.metrics(folder)] for folder in (tmp_path, out / "plain")]
    assert max(abs(a - b) for a, b in zip(*losses, strict=True)) < 1e-6
    assert_equal_training(tmp_path, out / "plain", tolerance=1e-5)


def test_dropout_is_that_of_one_process_with_as_many_micro_batches(job, tmp_path):
    out, _ = job
    train_alone(tmp_path, dropout=0.3, accumulation_steps=4)
    assert_equal_training(tmp_path, out / "dropout", tolerance=1e-5)


def test_more_processes_than_examples_equal_one_process(job, tmp_path):
    out, reports = job
    train_alone(tmp_path, size=1, accumulation_steps=1)
    assert reports[1]["tiny"]["processes"] == 2
    assert_equal_training(tmp_path, out / "tiny", tolerance=1e-5)


@pytest.mark.parametrize("scenario", ["plain", "dropout", "batch_norm", "tiny", "resumed", "hungry"])
def test_all_processes_end_with_the_same_weights_and_statistics(job, scenario):
    reports = job[1]
    assert reports[0][scenario]["weights"] == reports[1][scenario]["weights"]
    assert reports[0][scenario]["step"] == 20


def test_a_stop_asked_of_one_process_stops_both_and_the_resumed_run_equals_one_never_stopped(job):
    out, reports = job
    assert [(report["stopped"]["step"], report["stopped"]["cancelled"]) for report in reports] == [(7, True)] * 2
    for name in ("model", "ema", "optimizer"):
        files = [latest_state(out / run / "state") / f"{name}.safetensors" for run in ("dropout", "stopped")]
        assert files[0].read_bytes() == files[1].read_bytes(), name
    assert toy.metrics(out / "dropout") == toy.metrics(out / "stopped")


def test_memory_running_out_in_one_process_changes_both(job, tmp_path):
    out, _ = job
    assert json.loads((latest_state(out / "hungry/state") / "state.json").read_text())["accumulation_steps"] == 4
    train_alone(tmp_path, accumulation_steps=1)
    assert_equal_training(tmp_path, out / "hungry", tolerance=1e-5)


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        ("nan", "TrainingError: the loss became nan at step 4"),
        ("refused", "holds a training at step 20; continue it with --resume"),
        ("full", "TrainingError: the state of step 5 was not saved: the disk is full; no state was saved before"),
    ],
)
def test_what_fails_in_one_process_ends_both_with_the_same_sentence(job, scenario, message):
    assert all(message in report[scenario] for report in job[1])


def test_one_process_makes_no_process_group(tmp_path):
    train_alone(tmp_path, steps=2)
    assert not dist.is_initialized()
