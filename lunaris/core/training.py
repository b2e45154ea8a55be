"""`fit`: the one training loop of every family, on `accelerate`, with exact resume.

The data are a pure function of (seed, step), and every random generator is seeded afresh from a hash of (seed, step, micro-batch), where
the micro-batches of a step are numbered over all processes. So a step's dropout depends on nothing that happened before it. That
replaces saved generator states, which miss the generators that libraries hide, differ between devices, and go wrong as soon as an
evaluation or a resumed process draws one number more. A run killed at any moment and resumed equals the run never killed, bit for bit
on the CPU (same machine, same number of threads), dropout included; and P processes with A micro-batches each see the randomness of
one process with P·A.

The gradient is that of the mean over the global batch, however unevenly it is cut (see `gradients`), so accumulation_steps and the number
of processes change speed and memory, not the result. BatchNorm is the exception: it normalises with the statistics of each micro-batch,
so cutting the batch changes what it computes, in every framework; and its running statistics are those of process 0, which the others
copy after every step, as in DistributedDataParallel. GroupNorm and LayerNorm have no such ties.
"""

import math
import platform
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

import lunaris
from lunaris.core.config import BaseConfig, option
from lunaris.core.gradients import Batch, Loss, accumulate, batch_length, combine, is_out_of_memory
from lunaris.core.isolation import eval_mode, generators_put_back, noted_signals, settings_put_back
from lunaris.core.optim import Average, Muon, adamw, inner_matrices, load_optimizer, optimizer_tensors, warmup_cosine
from lunaris.core.parallel import Processes
from lunaris.core.rng import reseed
from lunaris.core.tracking import MetricsLog, StepNumbers, Tracker, TrackerName
from lunaris.core.training_state import (
    TrainingError,
    check_same,
    digest,
    latest_state,
    locked,
    read_state,
    save_state,
    saved_sentence,
    step_of,
    sweep,
)

__all__ = ["Batch", "Callback", "FitResult", "Loss", "Run", "TrainConfig", "TrainingError", "fit"]


@dataclass(frozen=True)
class TrainConfig(BaseConfig):
    """How to train; a family derives its own from it and adds the settings of its loss."""

    steps: int = option(1000, "optimiser steps", ge=1)
    batch_size: int = option(64, "examples in the global batch of one step", ge=1)
    learning_rate: float = option(2e-4, "peak learning rate", gt=0.0)
    optimizer: Literal["adamw", "muon"] = option("adamw", "adamw, or muon for the inner matrices and adamw for the rest")
    beta1: float = option(0.9, "AdamW's decay of the first moment", ge=0.0, le=0.9999)
    beta2: float = option(0.999, "AdamW's decay of the second moment", ge=0.0, le=0.999999)
    weight_decay: float = option(0.01, "AdamW's weight decay, on parameters of two or more dimensions", ge=0.0)
    warmup_steps: int = option(0, "steps over which the learning rate rises to its peak", ge=0)
    min_lr_ratio: float = option(0.1, "learning rate at the last step, as a part of the peak", ge=0.0, le=1.0)
    clip_norm: float = option(1.0, "largest norm of the gradient; 0 = do not clip", ge=0.0)
    ema_decay: float = option(0.999, "decay of the average of the weights; 0 = no average", ge=0.0, le=0.999999)
    accumulation_steps: int = option(1, "micro-batches that a step's batch is cut into, to need less memory", ge=1)
    eval_every: int = option(0, "steps between evaluations; 0 = only at the end", ge=0)
    save_every: int = option(500, "steps between saved training states; 0 = only at the end", ge=0)
    keep_checkpoints: int = option(2, "saved training states to keep", ge=1)
    log_every: int = option(10, "steps between logged metrics", ge=1)
    seed: int = option(0, "seed of data order, dropout and sampling", ge=0, le=2**32 - 1)
    device: str = option("auto", "auto, cpu, cuda, cuda:N or mps")
    mixed_precision: Literal["no", "bf16", "fp16"] = option("no", "number format of the forward pass: no (float32), bf16 or fp16")
    threads: int = option(0, "CPU threads; 0 = leave torch's setting", ge=0)
    tracker: TrackerName = option("auto", "auto (trackio if installed), none, trackio, wandb or tensorboard")
    project: str = option("lunaris", "project name in the tracker")
    run_name: str = option("", "run name in the tracker; empty = the name of the output folder")

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of step 1 … steps: a linear rise over warmup_steps, then half a cosine down to min_lr_ratio of the peak."""
        return self.learning_rate * warmup_cosine(step, steps=self.steps, warmup_steps=self.warmup_steps, floor=self.min_lr_ratio)


# What may differ when a run is resumed, because it leaves the maths alone. `steps` may only grow.
MAY_CHANGE = {
    "steps", "accumulation_steps", "save_every", "keep_checkpoints", "log_every", "device", "threads", "tracker", "project", "run_name",
}  # fmt: skip


@dataclass(frozen=True)
class FitResult:
    """How a training ended: steps done, last logged metrics, last saved state; `cancelled` by should_stop, or a callback's reason.

    Without a `state` it was cancelled before it began: the model is as it was given, whatever `out` holds.
    """

    step: int
    metrics: dict[str, float]
    state: Path | None
    cancelled: bool = False
    stop_reason: str | None = None


class Callback:
    """Hooks into a training; all processes call them in the same order, so only `run.is_main` may write files.

    `state_dict` returns plain JSON values; they are saved with the step and given to `load_state_dict` before `on_start` of a resumed run.
    """

    def on_start(self, run: "Run") -> None:
        """Before the first step, of a new or of a resumed run."""

    def on_step(self, run: "Run") -> None:
        """After each step. `run.metrics()` has its numbers; asking for them makes a GPU wait."""

    def on_eval(self, run: "Run", metrics: dict[str, float]) -> None:
        """After an evaluation; its metrics are named eval/…"""

    def on_checkpoint(self, run: "Run", folder: Path) -> None:
        """After the training state was saved in `folder`."""

    def on_out_of_memory(self, run: "Run") -> bool:
        """Memory ran out in a step. True if something was changed so that the step is worth another try."""
        return False

    def on_end(self, run: "Run") -> None:
        """After the last step, also when it came early; the model holds its final weights."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def fit(
    model: nn.Module,
    batch_at: Callable[[int, int], Batch],
    loss: Callable[[nn.Module, Batch, int], Loss],
    train_config: TrainConfig,
    out: str | Path,
    *,
    callbacks: Sequence[Callback] = (),
    evaluate: Callable[[nn.Module, int], Mapping[str, float]] | None = None,
    resume: bool = False,
    should_stop: Callable[[], bool] | None = None,
    progress: bool = True,
    go_on: str = "continue with --resume (resume=True)",
) -> FitResult:
    """Train `model` in place and leave the averaged (EMA) weights in it, or the last ones when ema_decay is 0.

    batch_at(seed, step)         the global batch of step 1, 2, …: CPU tensors that share their first dimension; a pure function
    loss(model, batch, step)     the `Loss` of one micro-batch, on the model's device
    evaluate(model, step)        metrics, called by the main process with the averaged weights in eval mode and without gradients
    should_stop()                asked between steps: True saves the state and returns with `cancelled`
    go_on                        what the person who stopped it should do to go on

    Parameters that do not require gradients stay as they are. Modules that are in eval mode inside a training model stay in it (a frozen
    BatchNorm); a model in eval mode is put in training mode, and is back in its own mode at the end.

    Writes out/metrics.jsonl and out/state/step-…/ (see `training_state`). `resume=True` goes on from the last whole state, or starts anew
    when there is none and says so. Ctrl-C lets the step end, saves, says how to go on, and then interrupts. One process runs one
    training at a time, since torch has one random generator: a second call waits for the first.

    Raises ValueError for a state that does not fit or must not be overwritten, `TrainingError` when training cannot go on (a loss that is
    not finite, a full disk, too little memory); the last saved state stays intact in every case.
    """
    while not _ONE_AT_A_TIME.acquire(timeout=0.1):
        if should_stop is not None and should_stop():
            return FitResult(step=0, metrics={}, state=None, cancelled=True)
    try:
        with noted_signals() as signals, ExitStack() as stack:
            run = Run(model, train_config, Path(out), callbacks, go_on)
            stack.enter_context(generators_put_back(run.device))
            stack.enter_context(settings_put_back(model, train_config.threads))
            run.processes.on_main(lambda: stack.enter_context(locked(run.states)))
            result = run.train(batch_at, loss, evaluate, resume, should_stop, signals, progress)
    finally:
        _ONE_AT_A_TIME.release()
    if signals:
        signal.raise_signal(signals[0])
    return result


_ONE_AT_A_TIME = threading.RLock()


# --- the loop -------------------------------------------------------------------------------------------------------------------


class Run:
    """A training in progress, as callbacks see it.

    model, config, out     what `fit` was given; the model holds the raw weights, and the averaged ones inside `with run.averaged():`
    step, examples         optimiser steps done; examples in the latest global batch
    accumulation_steps     micro-batches per process in a step
    lr_scale               factor on the scheduled learning rate
    device, is_main        where the model is; whether this process writes files
    """

    def __init__(self, model: nn.Module, config: TrainConfig, out: Path, callbacks: Sequence[Callback] = (), go_on: str = ""):
        self.model, self.config, self.out, self.callbacks, self.go_on = model, config, out, tuple(callbacks), go_on
        self.processes = Processes(config.device, config.mixed_precision)
        self.device, self.is_main = self.processes.device, self.processes.is_main
        self.states = out / "state"
        self.step, self.examples = 0, 0
        self.accumulation_steps, self.lr_scale = config.accumulation_steps, 1.0
        self.stop_reason: str | None = None

        model.to(self.device)
        persistent = model.state_dict().keys()
        self._parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._buffers = {name: buffer for name, buffer in model.named_buffers() if name in persistent}
        self._frozen = digest({name: p for name, p in model.named_parameters() if not p.requires_grad})
        if not self._parameters:
            raise ValueError("the model has no parameter to train: all are frozen; unfreeze one with requires_grad_(True)")
        self._optimizer = _optimizer(config, model, self._parameters.values())
        self._scaler = self.processes.accelerator.scaler  # fp16 only
        floats = {name: buffer for name, buffer in self._buffers.items() if buffer.is_floating_point()}
        self._average = Average({**self._parameters, **floats}, config.ema_decay)
        self._run_id = secrets.token_hex(4)
        self._numbers = StepNumbers(self.states, may_overflow=self._scaler is not None)
        self._logged: dict[str, float] = {}
        self._metrics_log: MetricsLog | None = None
        self._tracker: Tracker | None = None
        self._state: Path | None = None
        self._updating = False

    # --- for callbacks

    def stop(self, reason: str) -> None:
        """End the training after this step; `reason` is for the person who waits."""
        self.stop_reason = reason

    def metrics(self) -> dict[str, float]:
        """loss, its parts, grad_norm (before clipping) and lr of the latest step."""
        return self._numbers.latest()

    def averaged(self) -> AbstractContextManager[None]:
        """A context in which the model holds the averaged (EMA) weights."""
        return self._average.swapped()

    def raise_accumulation(self) -> bool:
        """Cut each batch into twice as many micro-batches: less memory, same maths. False when they hold one example each already."""
        if self.accumulation_steps * self.processes.count >= self.examples:
            return False
        self.accumulation_steps *= 2
        return True

    def say(self, sentence: str) -> None:
        """Print `sentence`, once for all processes, above the progress bar."""
        if self.is_main:
            _tqdm().write(sentence)

    # --- the steps

    def train(self, batch_at, loss, evaluate, resume: bool, should_stop, signals: list[int], progress: bool) -> FitResult:
        """The body of `fit`; its arguments are those, and `signals` fills while it runs."""
        config = self.config
        resumed = self._begin(resume)
        bar = _tqdm()(total=config.steps, initial=self.step, unit="step", mininterval=0.5, disable=not (progress and self.is_main))
        cancelled = False
        try:
            self.processes.on_main(lambda: self._open_logs(resumed))
            self._tell("on_start")
            since, examples = time.perf_counter(), 0
            while self.step < config.steps and not self.stop_reason:
                if self._agreed(lambda: bool(signals) or (should_stop is not None and should_stop())):
                    cancelled = True
                    break
                self._advance(batch_at, loss)
                bar.update()
                examples += self.examples
                record: dict[str, float] = {}
                if self.step == 1 or self._is_due(config.log_every):
                    record = self.metrics()
                    bar.set_postfix(loss=f"{record['loss']:.4g}", refresh=False)
                    record["examples_per_s"] = examples / (time.perf_counter() - since)
                    since, examples = time.perf_counter(), 0
                scores = self._evaluate(evaluate) if evaluate and self._is_due(config.eval_every) else {}
                self._log(record | scores)
                self._tell("on_step")
                if scores:
                    self._tell("on_eval", scores)
                if config.save_every and self.step % config.save_every == 0:
                    self._save()
                if scores or self._is_saved():
                    since, examples = time.perf_counter(), 0  # examples_per_s is the speed of training alone
            self._save()
            self._average.swap()
            self._tell("on_end")
        except KeyboardInterrupt:
            if not signals and not self._updating and self.processes.count == 1:  # the batch, the loss or a callback raised it
                self._save()
                self.say(self._how_to_go_on())
            raise
        finally:
            bar.close()
            self._close_logs()
        if cancelled:
            self.say(self._how_to_go_on())
        self.processes.wait()
        return FitResult(self.step, self._logged, self._state, cancelled, self.stop_reason)

    def _advance(self, batch_at, loss) -> None:
        """One optimiser step. If anything is raised before the update, all is as it was after the step before."""
        config, step = self.config, self.step + 1
        reseed(self.device, config.seed, step, "batch")  # for a batch_at that is not as pure as it should be
        batch = batch_at(config.seed, step)
        self.examples = batch_length(batch)
        losses = None
        while losses is None:
            losses = self._compute_gradients(batch, loss, step)
        names, values = losses

        parameters = list(self._parameters.values())
        foreach = self.device.type == "cpu" or None  # torch decides elsewhere
        if self._scaler:
            self._scaler.unscale_(self._optimizer)
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None], foreach=foreach)
        if config.clip_norm:
            torch.nn.utils.clip_grads_with_norm_(parameters, config.clip_norm, norm, foreach=foreach)
        lr = self.lr_scale * config.learning_rate_at(step)
        self._numbers.add(step, lr, names, torch.cat([values, norm.reshape(1).float()]))
        if self.device.type == "cpu":
            self._numbers.latest()  # costs nothing here, and stops at a NaN before it reaches the weights

        self._updating = True
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        if self._scaler:
            self._scaler.step(self._optimizer)
            self._scaler.update()
        else:
            self._optimizer.step()
        self._optimizer.zero_grad()
        self.processes.copy_from_main(self._buffers.values())
        self._average.update(step)
        self.step = step
        self._updating = False

    def _compute_gradients(self, batch: Batch, loss, step: int) -> tuple[tuple[str, ...], Tensor] | None:
        """Put the gradient of the global batch in every .grad; names and means of the losses, or None to try again with less memory."""
        buffers = [buffer.clone() for buffer in self._buffers.values()]
        sums = None
        try:
            sums = accumulate(
                self.model,
                batch,
                loss,
                step,
                accumulation_steps=self.accumulation_steps,
                processes=self.processes,
                seed=self.config.seed,
            )
        except BaseException as error:
            self._undo(buffers)
            if not is_out_of_memory(error):
                raise
        handled = any(type(callback).on_out_of_memory is not Callback.on_out_of_memory for callback in self.callbacks)
        if sums is None and not handled:
            raise self._out_of_memory(step)
        if handled and self.processes.any(sums is None):
            self._undo(buffers)
            _clear_memory()
            if not any([callback.on_out_of_memory(self) for callback in self.callbacks]):  # a list: every callback hears of it
                raise self._out_of_memory(step)
            return None
        return combine(sums, list(self._parameters.values()), self.processes)

    def _undo(self, buffers: list[Tensor]) -> None:
        self._optimizer.zero_grad()
        for buffer, before in zip(self._buffers.values(), buffers, strict=True):
            buffer.copy_(before)

    def _out_of_memory(self, step: int) -> TrainingError:
        examples = -(-self.examples // (self.accumulation_steps * self.processes.count))
        return TrainingError(
            f"memory ran out at step {step} with {examples} examples at a time; {saved_sentence(self.states)}; "
            f"raise accumulation_steps (now {self.accumulation_steps}), which leaves the result alone, and continue with --resume"
        )

    def _is_due(self, every: int) -> bool:
        return self.step == self.config.steps or (every > 0 and self.step % every == 0)

    def _agreed(self, ask: Callable[[], bool]) -> bool:
        """Whether any process was asked to stop. GPUs compare notes only at steps where they wait for their numbers anyway."""
        if self.processes.count == 1:
            return ask()
        return (self.device.type == "cpu" or self.step % self.config.log_every == 0) and self.processes.any(ask())

    def _tell(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self, *args)

    # --- the numbers

    def _evaluate(self, evaluate) -> dict[str, float]:
        self._numbers.latest()  # a NaN is not worth an evaluation
        reseed(self.device, self.config.seed, self.step, "evaluate")
        with self.averaged(), eval_mode(self.model), torch.no_grad():
            return self.processes.on_main(lambda: {f"eval/{key}": float(value) for key, value in evaluate(self.model, self.step).items()})

    def _open_logs(self, resumed: bool) -> None:
        config = self.config
        self._metrics_log = MetricsLog(self.out / "metrics.jsonl", last_step=self.step)
        self._tracker = Tracker(
            config.tracker,
            project=config.project,
            run_name=config.run_name or self.out.resolve().name,
            run_id=self._run_id,
            resumed=resumed,
            config=config.to_dict(),
            folder=self.out,
            say=self.say,
        )

    def _log(self, record: dict[str, float]) -> None:
        if record:
            self._logged = record
            self.processes.on_main(lambda: self._metrics_log.write({"step": self.step} | record))
            if self._tracker:
                self._tracker.log(record, self.step)

    def _close_logs(self) -> None:
        if self._tracker:
            self._tracker.finish()
        if self._metrics_log:
            self._metrics_log.close()

    # --- the state on disk

    def _begin(self, resume: bool) -> bool:
        """Load the last state, or start anew with the main process's weights. Returns whether there was a state."""
        tensors: dict[str, dict[str, Tensor]] = {}

        def find() -> tuple[Path, dict[str, Any]] | None:
            sweep(self.states)
            folder = latest_state(self.states)
            if folder is None:
                return None
            if not resume:
                where = f"{self.out} holds a training at step {step_of(folder)}"
                raise ValueError(f"{where}; continue it with --resume (resume=True) or give another --out")
            record, groups = read_state(folder)
            check_same(record, self._record(), groups["model"], self._trained(), may_change=MAY_CHANGE)
            tensors.update(groups)
            return folder, record

        found = self.processes.on_main(find)
        if found is None:
            self.processes.copy_from_main([*self.model.parameters(), *self._buffers.values()])
            self._average.reset()
            if resume:
                self.say(f"no saved training state in {self.out}: starting anew")
            return False
        self._state, record = found
        self._restore(record, self.processes.tensors_from_main(tensors))
        self.say(f"resuming after step {self.step} of {self.config.steps}")
        return True

    def _restore(self, record: Mapping[str, Any], groups: Mapping[str, Mapping[str, Tensor]]) -> None:
        with torch.no_grad():
            for name, tensor in self._trained().items():
                tensor.copy_(groups["model"][name])
            for name, tensor in self._average.shadow.items():
                tensor.copy_(groups["ema"][name])
        load_optimizer(self._optimizer, self._parameters, groups["optimizer"])
        if self._scaler and record["scaler"]:
            self._scaler.load_state_dict(record["scaler"])
        self.step, self.lr_scale = record["step"], record["lr_scale"]
        if record["config"]["accumulation_steps"] == self.config.accumulation_steps:
            self.accumulation_steps = record["accumulation_steps"]  # as a callback left it
        self._logged, self._run_id = record["metrics"], record["run_id"]
        callbacks = self._named_callbacks()
        for name, state in record["callbacks"].items():
            if name in callbacks:
                callbacks[name].load_state_dict(state)
            else:
                self.say(f"this training had a callback {name}, which is missing now: going on without it")

    def _save(self) -> None:
        """Save the state of this step, unless it is there already."""
        self._numbers.latest()  # a NaN is never saved
        if not self._is_saved():
            self._state = self.processes.on_main(self._write)
            self._tell("on_checkpoint", self._state)

    def _write(self) -> Path:
        self._metrics_log.flush()
        optimizer = optimizer_tensors(self._optimizer, self._parameters)
        tensors = {"model": self._trained(), "ema": self._average.shadow, "optimizer": optimizer}
        return save_state(self.states, self._record(), tensors, keep=self.config.keep_checkpoints)

    def _record(self) -> dict[str, Any]:
        """All of the state that is not a tensor, as JSON values."""
        model_config = getattr(self.model, "config", None)
        callbacks = {name: callback.state_dict() for name, callback in self._named_callbacks().items()}
        return {
            "step": self.step,
            "config": self.config.to_dict(),
            "model_config": model_config.to_dict() if isinstance(model_config, BaseConfig) else None,
            "accumulation_steps": self.accumulation_steps,
            "lr_scale": self.lr_scale,
            "metrics": {name: value for name, value in self._logged.items() if math.isfinite(value)},
            "callbacks": {name: state for name, state in callbacks.items() if state},
            "scaler": self._scaler.state_dict() if self._scaler else None,
            "frozen": self._frozen,
            "run_id": self._run_id,
            "processes": self.processes.count,
            "versions": {"lunaris": lunaris.__version__, "torch": torch.__version__, "python": platform.python_version()},
        }

    def _is_saved(self) -> bool:
        return self._state is not None and step_of(self._state) == self.step

    def _trained(self) -> dict[str, Tensor]:
        """The tensors that training changes, each once: weights that are tied stay tied."""
        return {**self._parameters, **self._buffers}

    def _named_callbacks(self) -> dict[str, Callback]:
        """The callbacks under the name of their class; the second of a class is called Name-2."""
        named: dict[str, Callback] = {}
        for callback in self.callbacks:
            kind = type(callback).__name__
            count = sum(type(other) is type(callback) for other in named.values())
            named[f"{kind}-{count + 1}" if count else kind] = callback
        return named

    def _how_to_go_on(self) -> str:
        return f"stopped after step {self.step} of {self.config.steps}, saved in {self.states}: {self.go_on}"


def _optimizer(config: TrainConfig, model: nn.Module, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    settings = {"lr": config.learning_rate, "betas": (config.beta1, config.beta2), "weight_decay": config.weight_decay}
    if config.optimizer == "adamw":
        return adamw(parameters, **settings)
    matrices = inner_matrices(model)
    return Muon(matrices, [parameter for parameter in parameters if parameter not in matrices], **settings)


def _clear_memory() -> None:
    from accelerate.utils.memory import clear_device_cache

    clear_device_cache(garbage_collection=True)


def _tqdm() -> Any:
    from tqdm.auto import tqdm  # a bar in the terminal or in the notebook

    return tqdm
