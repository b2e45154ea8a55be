"""fit: its arithmetic against plain loops, its promises to the caller, and how it ends."""

import json
import math
import os
import random
import signal
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn
from training_jobs import toy

from lunaris.core.config import ConfigError, option
from lunaris.core.gradients import split
from lunaris.core.isolation import generators_put_back
from lunaris.core.rng import reseed
from lunaris.core.training import Callback, Loss, TrainConfig, TrainingError, fit


def train(model, out, *, batch_at=None, loss=toy.loss, progress=False, callbacks=(), **changes):
    keys = ("evaluate", "resume", "should_stop")
    options = {key: changes.pop(key) for key in keys if key in changes}
    return fit(model, batch_at or toy.batches(), loss, toy.config(**changes), out, progress=progress, callbacks=callbacks, **options)


def assert_same(a, b, *, tolerance=0.0):
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=tolerance, atol=tolerance, msg=lambda text, name=name: f"{name}: {text}")


# --- the arithmetic -------------------------------------------------------------------------------------------------------------


def test_fit_equals_a_plain_loop_of_adamw_cosine_clipping_and_ema(tmp_path):
    """AdamW is written out here, with no decay on 1-D parameters; warm-up, cosine, clipping and the EMA's warm-up likewise."""
    steps, peak, warmup, floor, clip, decay, wd, b1, b2 = 30, 3e-3, 5, 0.1, 0.5, 0.95, 0.1, 0.8, 0.99
    plain, ours = toy.Toy(), toy.Toy()
    parameters = dict(plain.named_parameters())
    m = {name: torch.zeros_like(p) for name, p in parameters.items()}
    v = {name: torch.zeros_like(p) for name, p in parameters.items()}
    updates = dict.fromkeys(parameters, 0)
    ema = {name: p.detach().clone() for name, p in parameters.items()}
    norms, rates = [], []
    for step in range(1, steps + 1):
        plain.zero_grad()
        toy.loss(plain, toy.batches()(0, step), step).total.backward()
        gradients = {name: p.grad for name, p in parameters.items() if p.grad is not None}
        norm = math.sqrt(sum(g.double().pow(2).sum().item() for g in gradients.values()))
        cosine = (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2
        lr = peak * (step / warmup if step <= warmup else floor + (1 - floor) * cosine)
        norms.append(norm)
        rates.append(lr)
        with torch.no_grad():
            for name, g in gradients.items():
                g = g * min(1.0, clip / (norm + 1e-6))
                p = parameters[name]
                updates[name] += 1
                m[name] = b1 * m[name] + (1 - b1) * g
                v[name] = b2 * v[name] + (1 - b2) * g * g
                if p.ndim > 1:
                    p -= lr * wd * p
                p -= lr * (m[name] / (1 - b1 ** updates[name])) / ((v[name] / (1 - b2 ** updates[name])).sqrt() + 1e-8)
            d = min(decay, (1 + step) / (10 + step))
            for name, p in parameters.items():
                ema[name] = d * ema[name] + (1 - d) * p
    changes = dict(steps=steps, learning_rate=peak, warmup_steps=warmup, min_lr_ratio=floor, clip_norm=clip, ema_decay=decay)
    train(ours, tmp_path, **changes, weight_decay=wd, beta1=b1, beta2=b2)
    assert_same({name: p.detach() for name, p in ours.named_parameters()}, ema, tolerance=2e-6)
    records = toy.metrics(tmp_path)
    assert [record["lr"] for record in records] == pytest.approx(rates, rel=1e-12)
    assert [record["grad_norm"] for record in records] == pytest.approx(norms, rel=1e-4)
    assert max(norms) > clip  # the log holds the norm before clipping, and clipping took place


def test_without_ema_the_last_weights_stay_in_the_model_and_differ_from_the_average(tmp_path):
    raw, averaged = toy.Toy(), toy.Toy()
    seen = {}

    class Keep(Callback):
        def on_step(self, run):
            seen.update(toy.weights(run.model))

    train(averaged, tmp_path / "a", ema_decay=0.9, callbacks=[Keep()])
    train(raw, tmp_path / "b", ema_decay=0.0)
    assert_same(toy.weights(raw), seen)
    assert not torch.equal(raw.embed.weight, averaged.embed.weight)


def test_small_weighted_batches_equal_one_big_one(tmp_path):
    """Micro-batches of 2 and 3 examples with 2 … 5 tokens each; a plain mean of their losses would differ, which the last line shows."""
    config = dict(steps=8, batch_at=toy.batches(size=7))
    one, many = toy.Toy(), toy.Toy()
    train(one, tmp_path / "one", **config)
    train(many, tmp_path / "many", accumulation_steps=3, **config)
    assert_same(toy.weights(one), toy.weights(many), tolerance=1e-5)
    pairs = list(zip(toy.metrics(tmp_path / "one"), toy.metrics(tmp_path / "many"), strict=True))
    for a, b in pairs:
        assert a == pytest.approx(b, abs=1e-5)

    def unweighted(model, batch, step):
        result = toy.loss(model, batch, step)
        return Loss(result.total, 1.0, result.parts)

    train(toy.Toy(), tmp_path / "wrong", loss=unweighted, accumulation_steps=3, **config)
    assert abs(toy.metrics(tmp_path / "wrong")[0]["loss"] - pairs[0][0]["loss"]) > 1e-3


def test_a_batch_smaller_than_the_number_of_micro_batches_is_used_whole(tmp_path):
    one, many = toy.Toy(), toy.Toy()
    train(one, tmp_path / "one", batch_at=toy.batches(size=3), steps=4)
    train(many, tmp_path / "many", batch_at=toy.batches(size=3), steps=4, accumulation_steps=8)
    assert_same(toy.weights(one), toy.weights(many), tolerance=1e-5)


def test_the_weight_is_the_number_of_examples_unless_given(tmp_path):
    def mean_square(model, batch, step):
        return Loss(model(batch["x"]).pow(2).mean())

    def batch_at(seed, step):
        return {"x": torch.arange(15.0).view(5, 3) + step}

    one, many = (nn.Linear(3, 1), nn.Linear(3, 1))
    many.load_state_dict(one.state_dict())
    train(one, tmp_path / "one", batch_at=batch_at, loss=mean_square)
    train(many, tmp_path / "many", batch_at=batch_at, loss=mean_square, accumulation_steps=3)
    assert_same(toy.weights(one), toy.weights(many), tolerance=1e-6)


def test_split_cuts_without_losing_or_reordering():
    batch = {"x": torch.arange(10), "y": torch.arange(20).view(10, 2)}
    pieces = split(batch, 4)
    assert [len(piece["x"]) for piece in pieces] == [2, 3, 2, 3]
    assert torch.equal(torch.cat([piece["y"] for piece in pieces]), batch["y"])
    assert len(split(batch, 64)) == 10


def test_frozen_parameters_stay_and_tied_ones_stay_tied(tmp_path):
    model = toy.Toy()
    model.hidden.requires_grad_(False)
    before = toy.weights(model)
    train(model, tmp_path)
    after = toy.weights(model)
    assert torch.equal(before["hidden.weight"], after["hidden.weight"]) and not torch.equal(before["embed.weight"], after["embed.weight"])
    assert model.head.weight is model.embed.weight
    train(model, tmp_path, steps=14, resume=True)
    assert model.head.weight is model.embed.weight


def test_batch_norm_in_eval_mode_stays_frozen_and_the_callers_modes_come_back(tmp_path):
    model = toy.Toy(batch_norm=True)
    model.norm.eval()
    train(model, tmp_path / "a")
    assert model.norm.num_batches_tracked == 0 and model.training and not model.norm.training
    model.eval()
    train(model, tmp_path / "b")
    assert model.norm.num_batches_tracked == 12 and not model.training


def test_evaluation_sees_the_averaged_weights_in_eval_mode_and_training_goes_on_from_the_raw_ones(tmp_path):
    seen = []

    def evaluate(model, step):
        seen.append((step, model.training, torch.is_grad_enabled(), model.embed.weight.detach().clone()))
        return {"loss": torch.tensor(1.5)}

    watched, alone = toy.Toy(dropout=0.3), toy.Toy(dropout=0.3)
    result = train(watched, tmp_path / "a", evaluate=evaluate, eval_every=5)
    train(alone, tmp_path / "b")
    assert [(step, training, grad) for step, training, grad, _ in seen] == [(5, False, False), (10, False, False), (12, False, False)]
    assert torch.equal(seen[-1][3], watched.embed.weight)  # the last evaluation's weights are those that stay in the model
    assert_same(toy.weights(watched), toy.weights(alone))
    assert result.metrics["eval/loss"] == 1.5 and watched.training
    assert [record["step"] for record in toy.metrics(tmp_path / "a") if "eval/loss" in record] == [5, 10, 12]


def test_bf16_trains_close_to_float32_and_fp16_on_a_cpu_is_refused(tmp_path):
    exact, half = toy.Toy(), toy.Toy()
    dtypes = set()
    half.hidden.register_forward_hook(lambda module, args, output: dtypes.add(output.dtype))
    train(exact, tmp_path / "a")
    train(half, tmp_path / "b", mixed_precision="bf16")
    assert dtypes == {torch.bfloat16} and half.hidden.weight.dtype == torch.float32
    assert_same(toy.weights(exact), toy.weights(half), tolerance=0.02)
    with pytest.raises(ConfigError, match="fp16' needs a GPU"):
        train(exact, tmp_path / "c", mixed_precision="fp16")
    train(exact, tmp_path / "d", mixed_precision="no")  # one process may use several settings, one after the other


# --- randomness -----------------------------------------------------------------------------------------------------------------


def test_same_seed_same_training_whatever_happened_before(tmp_path):
    first, second, other = (toy.Toy(dropout=0.3) for _ in range(3))
    train(first, tmp_path / "a", seed=5)
    torch.rand(7), random.random(), np.random.rand(3)
    train(second, tmp_path / "b", seed=5)
    train(other, tmp_path / "c", seed=6, batch_at=lambda seed, step: toy.batches()(5, step))
    assert_same(toy.weights(first), toy.weights(second))
    assert not torch.equal(first.embed.weight, other.embed.weight)  # the same data, but another dropout


def test_a_batch_that_draws_from_global_generators_is_still_the_same_each_time(tmp_path):
    def careless(seed, step):
        return toy.batches()(seed + torch.randint(1000, ()).item() + random.randrange(1000) + np.random.randint(1000), step)

    models = toy.Toy(), toy.Toy()
    for i, model in enumerate(models):
        train(model, tmp_path / str(i), batch_at=careless)
    assert_same(*map(toy.weights, models))


def test_the_callers_random_generators_and_threads_are_put_back(tmp_path):
    """Python's own generator is looked at without `fit`: the tests' type checker draws from it to choose what it checks."""
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    expected = torch.rand(3), random.random(), np.random.rand()
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    with generators_put_back(torch.device("cpu")):
        reseed(torch.device("cpu"), 3, "x")
    assert random.random() == expected[1]
    threads = torch.get_num_threads()
    inside = []

    def loss(model, batch, step):
        inside.append(torch.get_num_threads())
        return toy.loss(model, batch, step)

    train(toy.Toy(dropout=0.3), tmp_path, loss=loss, threads=2)
    assert set(inside) == {2} and torch.get_num_threads() == threads
    assert torch.equal(torch.rand(3), expected[0]) and np.random.rand() == expected[2]


# --- the log --------------------------------------------------------------------------------------------------------------------


def test_metrics_hold_the_loss_its_parts_rate_norm_and_speed(tmp_path):
    result = train(toy.Toy(), tmp_path, log_every=5)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 5, 10, 12]
    assert list(lines[0]) == ["step", "loss", "accuracy", "grad_norm", "lr", "examples_per_s"]
    assert lines[-1] == {"step": 12} | result.metrics and lines[-1]["examples_per_s"] > 0
    expected = toy.loss(toy.Toy(), toy.batches()(0, 1), 1)
    assert lines[0]["loss"] == pytest.approx(expected.total.item(), abs=1e-6)
    assert lines[0]["accuracy"] == pytest.approx(expected.parts["accuracy"].item(), abs=1e-6)


def test_the_progress_bar_shows_steps_and_loss(tmp_path, capsys):
    train(toy.Toy(), tmp_path / "a", progress=True)
    shown = capsys.readouterr().err
    assert "12/12" in shown and "loss=" in shown
    train(toy.Toy(), tmp_path / "b", progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["loss", "lr", "grad_norm"])
def test_a_part_may_not_take_a_name_of_the_log(tmp_path, name):
    def loss(model, batch, step):
        total = toy.loss(model, batch, step).total
        return Loss(total, 1, {name: total})

    with pytest.raises(ValueError, match=f"cannot be called '{name}'"):
        train(toy.Toy(), tmp_path, loss=loss)


# --- what stops it --------------------------------------------------------------------------------------------------------------


def test_should_stop_saves_and_a_resumed_run_equals_one_that_never_stopped(tmp_path, capsys):
    whole, stopped = toy.Toy(dropout=0.2), toy.Toy(dropout=0.2)
    train(whole, tmp_path / "whole")
    asked = iter(range(100))
    result = train(stopped, tmp_path / "stopped", should_stop=lambda: next(asked) == 7)
    assert result.cancelled and result.step == 7 and result.state.name == "step-00000007"
    assert "continue with --resume" in capsys.readouterr().out
    result = train(stopped, tmp_path / "stopped", resume=True)
    assert not result.cancelled and result.step == 12
    assert_same(toy.weights(whole), toy.weights(stopped))
    assert toy.metrics(tmp_path / "whole") == toy.metrics(tmp_path / "stopped")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_step_end_saves_and_says_how_to_go_on(tmp_path, capsys, number):
    whole, stopped, called = toy.Toy(dropout=0.2), toy.Toy(dropout=0.2), []
    train(whole, tmp_path / "whole")

    def loss(model, batch, step):
        if step == 5 and 5 not in called:
            os.kill(os.getpid(), number)
            time.sleep(0.01)
        called.append(step)
        return toy.loss(model, batch, step)

    before = signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(SystemExit(143)))
    before_int = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with Ctrl-C ignored
    try:
        with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
            train(stopped, tmp_path / "stopped", loss=loss)
        assert called[-1] == 5 and "stopped after step 5 of 12" in capsys.readouterr().out
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, before_int)
    train(stopped, tmp_path / "stopped", resume=True)
    assert_same(toy.weights(whole), toy.weights(stopped))


def test_an_interrupt_raised_in_the_middle_of_a_step_saves_the_step_before(tmp_path, capsys):
    """BatchNorm's statistics have moved already when the third micro-batch is interrupted; they must be those of the step before."""
    whole, stopped, count = toy.Toy(batch_norm=True), toy.Toy(batch_norm=True), []

    def loss(model, batch, step):
        result = toy.loss(model, batch, step)
        count.append(step)
        if len(count) == 3 * 4 + 3:
            raise KeyboardInterrupt
        return result

    train(whole, tmp_path / "whole", accumulation_steps=3)
    with pytest.raises(KeyboardInterrupt):
        train(stopped, tmp_path / "stopped", accumulation_steps=3, loss=loss)
    assert "stopped after step 4" in capsys.readouterr().out
    train(stopped, tmp_path / "stopped", accumulation_steps=3, resume=True)
    assert_same(toy.weights(whole), toy.weights(stopped))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_before_it_reaches_the_weights(tmp_path, value):
    def loss(model, batch, step):
        result = toy.loss(model, batch, step)
        bad = result.total * value if step == 7 else result.total
        return Loss(result.total + bad, result.weight, {"kl": bad, "accuracy": result.parts["accuracy"]})

    model = toy.Toy()
    sentence = r"the loss part 'kl' became (nan|inf) at step 7; the state of step 6 is safe.*learning_rate below"
    with pytest.raises(TrainingError, match=sentence):
        train(model, tmp_path, loss=loss, save_every=3, log_every=100)
    assert all(tensor.isfinite().all() for tensor in toy.weights(model).values())
    assert sorted(path.name for path in (tmp_path / "state").glob("step-*")) == ["step-00000003", "step-00000006"]


def test_a_gradient_that_is_not_finite_stops_too(tmp_path):
    def loss(model, batch, step):
        result = toy.loss(model, batch, step)
        spike = (model.hidden.bias * 0).sum().sqrt() if step == 4 else 0.0  # the gradient of sqrt at 0 is infinite
        return Loss(result.total + spike, result.weight)

    with pytest.raises(TrainingError, match="the norm of the gradient became nan at step 4; no state was saved before"):
        train(toy.Toy(), tmp_path, loss=loss)


def test_one_training_at_a_time_and_a_waiting_one_can_be_cancelled(tmp_path):
    """Two threads of the hub must not draw from torch's one generator in turns."""
    *models, third = (toy.Toy(dropout=0.2) for _ in range(3))  # all before the threads start: a new model draws random numbers too
    inside, peak = [], []

    def loss(model, batch, step):
        inside.append(step)
        peak.append(len(inside))
        time.sleep(0.002)
        inside.pop()
        return toy.loss(model, batch, step)

    threads = [threading.Thread(target=train, args=(m, tmp_path / str(i)), kwargs={"loss": loss}) for i, m in enumerate(models)]
    for thread in threads:
        thread.start()
    waiting = train(third, tmp_path / "waiting", should_stop=lambda: True)
    for thread in threads:
        thread.join()
    assert max(peak) == 1 and waiting.cancelled
    assert_same(*map(toy.weights, models))


# --- bad input ------------------------------------------------------------------------------------------------------------------


def test_a_batch_of_uneven_tensors_or_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must share their first dimension.*'x': 3, 'y': 2"):
        train(toy.Toy(), tmp_path / "a", batch_at=lambda seed, step: {"x": torch.zeros(3), "y": torch.zeros(2)})
    with pytest.raises(ValueError, match="must share their first dimension"):
        train(toy.Toy(), tmp_path / "b", batch_at=lambda seed, step: {"x": torch.zeros(0)})


def test_a_batch_without_weight_is_refused(tmp_path):
    with pytest.raises(ValueError, match="weight 0: it holds no example or token"):
        train(toy.Toy(), tmp_path, loss=lambda model, batch, step: Loss(toy.loss(model, batch, step).total, 0))


def test_a_model_that_is_frozen_altogether_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no parameter to train.*requires_grad_"):
        train(toy.Toy().requires_grad_(False), tmp_path)


def test_an_output_path_that_is_a_file_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TrainingError, match="cannot write to .*file.*; give another --out"):
        train(toy.Toy(), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_second_training_in_the_same_folder_is_refused(tmp_path):
    def loss(model, batch, step):
        if step == 2:
            with pytest.raises(ValueError, match="another training is writing to"):
                train(toy.Toy(), tmp_path, resume=True)
        return toy.loss(model, batch, step)

    assert train(toy.Toy(), tmp_path, loss=loss).step == 12


def test_a_family_adds_its_own_settings():
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class VaeTraining(TrainConfig):
        kl_weight: float = option(1.0, "weight of the KL term", ge=0.0)

    assert VaeTraining(steps=7, kl_weight=0.5).replace(steps=8).to_dict()["kl_weight"] == 0.5
    with pytest.raises(ConfigError, match="learning_rate must be"):
        VaeTraining(learning_rate=0.0)


# --- speed ----------------------------------------------------------------------------------------------------------------------


def test_the_loop_costs_little_beside_the_steps(tmp_path):
    """Against a bare loop of the same forward, backward, clipping and AdamW, at steps of some 5 ms, medians of interleaved pairs.

    The bound is loose for a loaded machine: a stray copy of the model or a flush per step costs more than that.
    """

    def network():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(256, 384), nn.ReLU(), nn.Linear(384, 384), nn.ReLU(), nn.Linear(384, 256))

    x = torch.randn(128, 256, generator=torch.Generator().manual_seed(0))
    bare, ours = network(), network()
    optimizer = torch.optim.AdamW(bare.parameters(), lr=1e-3, fused=True)
    ratios, marks = [], []

    def bare_step():
        start = time.perf_counter()
        optimizer.zero_grad()
        (bare(x) - x).pow(2).mean().backward()
        nn.utils.clip_grad_norm_(bare.parameters(), 1.0)
        optimizer.step()
        return time.perf_counter() - start

    class Pairs(Callback):
        def on_step(self, run):
            marks.append(time.perf_counter() - run.began)
            ratios.append(marks[-1] / bare_step())
            run.began = time.perf_counter()

        def on_start(self, run):
            run.began = time.perf_counter()

    def loss(model, batch, step):
        return Loss((model(batch["x"]) - batch["x"]).pow(2).mean())

    train(ours, tmp_path, batch_at=lambda seed, step: {"x": x}, loss=loss, steps=80, log_every=10, callbacks=[Pairs()])
    ratio = sorted(ratios)[len(ratios) // 2]
    print(f"fit / bare loop: {ratio:.2f} at {sorted(marks)[len(marks) // 2] * 1e3:.1f} ms a step")
    assert ratio < 1.6
