"""The callbacks: when they act, that they act alike after a resume, and that memory running out costs nothing but time."""

import pytest
import torch
from training_jobs import toy

from lunaris.core.callbacks import Checkpoint, DynamicBatchSize, EarlyStopping, ReduceOnPlateau
from lunaris.core.training import Callback, TrainingError, fit


def train(model, out, *, loss=toy.loss, scores=None, callbacks=(), resume=False, should_stop=None, **changes):
    """Evaluate every second step; evaluation number i gives scores[i]."""
    evaluate = (lambda model, step: {"loss": scores[step // 2 - 1]}) if scores else None
    changes = {"steps": 20, "eval_every": 2} | changes
    options = dict(callbacks=callbacks, evaluate=evaluate, resume=resume, should_stop=should_stop, progress=False)
    return fit(model, toy.batches(), loss, toy.config(**changes), out, **options)


class Recorder(Callback):
    def __init__(self):
        self.calls, self.rates = [], []

    def on_start(self, run):
        self.calls.append(("start", run.step))

    def on_step(self, run):
        self.rates.append(run.metrics()["lr"] / run.config.learning_rate_at(run.step))

    def on_eval(self, run, metrics):
        self.calls.append(("eval", run.step, metrics["eval/loss"]))

    def on_checkpoint(self, run, folder):
        self.calls.append(("checkpoint", run.step, folder.name))

    def on_end(self, run):
        self.calls.append(("end", run.step))


def test_hooks_are_called_in_order(tmp_path):
    recorder = Recorder()
    train(toy.Toy(), tmp_path, steps=4, save_every=3, scores=[2.0, 1.0], callbacks=[recorder])
    assert recorder.calls == [
        ("start", 0),
        ("eval", 2, 2.0),
        ("checkpoint", 3, "step-00000003"),
        ("eval", 4, 1.0),
        ("checkpoint", 4, "step-00000004"),
        ("end", 4),
    ]


SCORES = [5.0, 4.0, 4.1, 4.05, 3.0, 3.0, 3.1, 3.2, 9.0, 9.0]


def test_early_stopping_counts_evaluations_that_are_not_better(tmp_path):
    result = train(toy.Toy(), tmp_path, scores=SCORES, callbacks=[EarlyStopping(patience=3)])
    assert result.step == 16 and not result.cancelled  # 3.0 at step 10 is followed by 3.0, 3.1 and 3.2
    assert result.stop_reason == "eval/loss has not been better than 3.0 for 3 evaluations"


@pytest.mark.parametrize(
    ("scores", "options", "stops_at"),
    [
        ([1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0, 9.0, 9.0, 9.0], {"mode": "max", "patience": 2}, 14),
        ([5.0, 4.9, 4.8, 4.7, 4.6, 4.5, 4.4, 4.3, 4.2, 4.1], {"min_delta": 0.5, "patience": 5}, 12),
        ([float("nan")] * 10, {"patience": 4}, 8),
    ],
)
def test_early_stopping_knows_direction_margin_and_nan(tmp_path, scores, options, stops_at):
    assert train(toy.Toy(), tmp_path, scores=scores, callbacks=[EarlyStopping(**options)]).step == stops_at


def test_early_stopping_counts_on_after_a_resume_and_stays_stopped(tmp_path):
    for last_step in (13, 15, 99):
        steps = iter(range(0 if last_step == 13 else 13 if last_step == 15 else 15, 99))
        result = train(
            toy.Toy(),
            tmp_path,
            scores=SCORES,
            callbacks=[EarlyStopping(patience=3)],
            resume=True,
            should_stop=lambda steps=steps, last=last_step: next(steps) == last,
        )
    assert result.step == 16 and result.stop_reason
    again = train(toy.Toy(), tmp_path, scores=SCORES, callbacks=[EarlyStopping(patience=3)], resume=True)
    assert again.step == 16 and again.stop_reason == result.stop_reason
    assert train(toy.Toy(), tmp_path, scores=SCORES, callbacks=[EarlyStopping(patience=6)], resume=True).step == 20


def test_a_plateau_lowers_the_rate_of_the_steps_after_it(tmp_path):
    recorder = Recorder()
    scores = [3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0]
    train(toy.Toy(), tmp_path, scores=scores, callbacks=[ReduceOnPlateau(factor=0.5, patience=2, min_scale=0.2), recorder])
    assert recorder.rates == pytest.approx([1.0] * 8 + [0.5] * 4 + [0.25] * 6 + [0.2] * 2)


def test_a_metric_that_the_evaluation_lacks_is_named(tmp_path):
    with pytest.raises(ValueError, match="EarlyStopping follows 'eval/fid', which the evaluation lacks; it has eval/loss"):
        train(toy.Toy(), tmp_path, scores=SCORES, callbacks=[EarlyStopping("eval/fid")])
    with pytest.raises(ValueError, match="mode must be 'min' or 'max', got 'lower'"):
        EarlyStopping(mode="lower")
    with pytest.raises(ValueError, match="factor must be between 0 and 1, got 2"):
        ReduceOnPlateau(factor=2.0)


def test_checkpoint_saves_the_averaged_weights_of_the_best_evaluation(tmp_path):
    saved, at_eval = [], {}

    def evaluate(model, step):
        at_eval[step] = model.embed.weight.detach().clone()
        return {"loss": SCORES[step // 2 - 1]}

    def save(model, step):
        saved.append((step, model.embed.weight.detach().clone()))

    model = toy.Toy()
    config = toy.config(steps=20, eval_every=2)
    fit(model, toy.batches(), toy.loss, config, tmp_path, callbacks=[Checkpoint(save)], evaluate=evaluate, progress=False)
    assert [step for step, _ in saved] == [2, 4, 10]
    for step, weight in saved:
        assert torch.equal(weight, at_eval[step])


def test_checkpoint_without_a_metric_follows_the_saved_states(tmp_path):
    steps = []
    train(toy.Toy(), tmp_path, save_every=8, callbacks=[Checkpoint(lambda model, step: steps.append(step), metric=None)])
    assert steps == [8, 16, 20]


# --- memory ---------------------------------------------------------------------------------------------------------------------


def hungry(limit: int, from_step: int = 4):
    """A loss that cannot hold more than `limit` examples at a time from step `from_step` on, and notices in the middle of its work."""

    def loss(model, batch, step):
        result = toy.loss(model, batch, step)
        if step >= from_step and len(batch["tokens"]) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return result

    return loss


def test_memory_running_out_raises_accumulation_and_leaves_the_result_alone(tmp_path, capsys):
    easy, tight = toy.Toy(), toy.Toy()
    train(easy, tmp_path / "easy")
    train(tight, tmp_path / "tight", loss=hungry(limit=2), callbacks=[DynamicBatchSize()])
    for name, tensor in toy.weights(easy).items():
        torch.testing.assert_close(toy.weights(tight)[name], tensor, rtol=0, atol=1e-5)
    assert "memory ran out after step 3: batches are now cut into 4 micro-batches" in capsys.readouterr().out


def test_the_failed_attempt_leaves_no_mark_on_batch_statistics(tmp_path):
    """BatchNorm counts its batches: 3 steps of one, then 17 of two, and none for the attempt that failed after its forward pass."""
    model = toy.Toy(batch_norm=True)
    train(model, tmp_path, loss=hungry(limit=3), callbacks=[DynamicBatchSize()])
    assert model.norm.num_batches_tracked == 3 + 17 * 2


def test_raised_accumulation_survives_a_resume(tmp_path):
    whole, parts = toy.Toy(dropout=0.2), toy.Toy(dropout=0.2)
    train(whole, tmp_path / "whole", loss=hungry(limit=2), callbacks=[DynamicBatchSize()])
    asked = iter(range(100))
    train(parts, tmp_path / "parts", loss=hungry(limit=2), callbacks=[DynamicBatchSize()], should_stop=lambda: next(asked) == 9)
    sizes = set()

    def watch(model, batch, step):
        sizes.add(len(batch["tokens"]))
        return toy.loss(model, batch, step)

    train(parts, tmp_path / "parts", loss=watch, callbacks=[DynamicBatchSize()], resume=True)
    assert sizes == {1, 2}
    assert torch.equal(whole.embed.weight, parts.embed.weight)


def test_without_the_callback_memory_running_out_is_one_sentence_with_the_remedy(tmp_path):
    with pytest.raises(TrainingError) as caught:
        train(toy.Toy(), tmp_path, loss=hungry(limit=2), save_every=2)
    message = str(caught.value)
    assert "memory ran out at step 4 with 6 examples at a time; the state of step 2 is safe" in message
    assert "raise accumulation_steps (now 1)" in message and "continue with --resume" in message
    result = train(toy.Toy(), tmp_path, loss=hungry(limit=2), accumulation_steps=3, resume=True)
    assert result.step == 20


def test_single_examples_that_do_not_fit_stop_instead_of_trying_for_ever(tmp_path):
    with pytest.raises(TrainingError, match="memory ran out at step 4 with 1 examples at a time"):
        train(toy.Toy(), tmp_path, loss=hungry(limit=0), callbacks=[DynamicBatchSize()])


def test_other_errors_are_not_taken_for_memory(tmp_path):
    def loss(model, batch, step):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        train(toy.Toy(), tmp_path, loss=loss, callbacks=[DynamicBatchSize()])


def test_an_unstable_gradient_norm_raises_accumulation_once_per_window(tmp_path):
    def jumpy(model, batch, step):
        result = toy.loss(model, batch, step)
        return toy.Loss(result.total * (100.0 if step == 8 else 1.0), result.weight, result.parts)

    seen = []

    class Watch(Callback):
        def on_step(self, run):
            seen.append(run.accumulation_steps)

    calm, jumps = DynamicBatchSize(spread=1.0, window=6), DynamicBatchSize(spread=1.0, window=6)
    train(toy.Toy(), tmp_path / "calm", callbacks=[calm, Watch()])
    assert set(seen) == {1}
    seen.clear()
    train(toy.Toy(), tmp_path / "jumpy", loss=jumpy, callbacks=[jumps, Watch()])
    assert seen == [1] * 7 + [2] * 13
