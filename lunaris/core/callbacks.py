"""Ready-made callbacks for `fit`: keep the best weights, stop early, need less memory, lower the learning rate on a plateau.

Each decides from numbers that all processes share, so all processes decide alike; each state survives a kill and resume.
"""

import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from lunaris.core.training import Callback, Run


class MetricCallback(Callback):
    """Follows one metric of the evaluations: `best` so far, and `stale`, the evaluations since then. NaN is never better."""

    def __init__(self, metric: str = "eval/loss", *, mode: str = "min", min_delta: float = 0.0):
        """`mode`: whether lower ("min") or higher ("max") is better; `min_delta`: by how much, at least."""
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got {mode!r}; try 'min' for a loss")
        self.metric, self.mode, self.min_delta = metric, mode, min_delta
        self.best: float | None = None
        self.stale = 0

    def on_eval(self, run: Run, metrics: dict[str, float]) -> None:
        if self.metric not in metrics:
            raise ValueError(f"{type(self).__name__} follows {self.metric!r}, which the evaluation lacks; it has {', '.join(metrics)}")
        value = metrics[self.metric]
        gain = math.inf if self.best is None else (self.best - value) * (1 if self.mode == "min" else -1)
        better = not math.isnan(value) and gain > self.min_delta
        if better:
            self.best = value
        self.stale = 0 if better else self.stale + 1
        self.react(run, better)

    def react(self, run: Run, better: bool) -> None:
        """Called after each evaluation; `better`: it was the best so far."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "stale": self.stale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.stale = state["best"], state["stale"]


class EarlyStopping(MetricCallback):
    """Stops when `patience` evaluations in a row were not better than the best one before them."""

    def __init__(self, metric: str = "eval/loss", *, patience: int = 5, mode: str = "min", min_delta: float = 0.0):
        super().__init__(metric, mode=mode, min_delta=min_delta)
        self.patience = patience

    def on_start(self, run: Run) -> None:
        self._stop_if_stale(run)  # a run that had stopped stays stopped when it is resumed

    def react(self, run: Run, better: bool) -> None:
        self._stop_if_stale(run)

    def _stop_if_stale(self, run: Run) -> None:
        if self.stale >= self.patience:
            run.stop(f"{self.metric} has not been better than {self.best} for {self.stale} evaluations")


class ReduceOnPlateau(MetricCallback):
    """Multiplies the learning rate by `factor` after `patience` evaluations without a better one, down to `min_scale` of the schedule."""

    def __init__(
        self,
        metric: str = "eval/loss",
        *,
        factor: float = 0.5,
        patience: int = 2,
        min_scale: float = 0.01,
        mode: str = "min",
        min_delta: float = 0.0,
    ):
        super().__init__(metric, mode=mode, min_delta=min_delta)
        if not 0 < factor < 1:
            raise ValueError(f"factor must be between 0 and 1, got {factor}; try 0.5")
        self.factor, self.patience, self.min_scale = factor, patience, min_scale

    def react(self, run: Run, better: bool) -> None:
        if self.stale >= self.patience:
            run.lr_scale = max(run.lr_scale * self.factor, self.min_scale)
            self.stale = 0


class Checkpoint(MetricCallback):
    """Calls `save(model, step)` with the averaged weights in the model after each better evaluation, so the best weights outlive the last.

    Without a metric it does so at each saved training state. `save` writes the checkpoint that people use.
    """

    def __init__(self, save: Callable[[nn.Module, int], Any], metric: str | None = "eval/loss", *, mode: str = "min"):
        super().__init__(metric or "", mode=mode)
        self._save = save

    def on_eval(self, run: Run, metrics: dict[str, float]) -> None:
        if self.metric:
            super().on_eval(run, metrics)

    def react(self, run: Run, better: bool) -> None:
        if better:
            self._write(run)

    def on_checkpoint(self, run: Run, folder: Path) -> None:
        if not self.metric:
            self._write(run)

    def _write(self, run: Run) -> None:
        def save() -> None:
            self._save(run.model, run.step)

        with run.averaged():
            run.processes.on_main(save)


class DynamicBatchSize(Callback):
    """Cuts the batches into twice as many micro-batches when memory runs out, or when the norm of the gradient becomes unstable.

    Unstable: over the last `window` steps its standard deviation is above `spread` times its mean, which with inputs of varying length
    goes before a peak in memory. The global batch stays the same, so this changes speed and memory and not the maths; against
    the noise itself, lower the learning rate or raise batch_size. It asks for the norm at every step, for which a GPU waits.
    """

    def __init__(self, *, spread: float = 2.0, window: int = 50):
        self.spread, self.window = spread, window
        self._norms: list[float] = []

    def on_out_of_memory(self, run: Run) -> bool:
        return self._raise(run, "memory ran out")

    def on_step(self, run: Run) -> None:
        norm = run.metrics()["grad_norm"]
        if math.isfinite(norm):  # fp16 has steps that overflow, and skips them
            self._norms = [*self._norms, norm][-self.window :]
        if len(self._norms) == self.window and statistics.pstdev(self._norms) > self.spread * statistics.fmean(self._norms):
            self._raise(run, "the norm of the gradient is unstable")

    def _raise(self, run: Run, why: str) -> bool:
        self._norms = []
        raised = run.raise_accumulation()
        if raised:
            run.say(f"{why} after step {run.step}: batches are now cut into {run.accumulation_steps} micro-batches")
        return raised

    def state_dict(self) -> dict[str, Any]:
        return {"norms": self._norms}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._norms = state["norms"]
