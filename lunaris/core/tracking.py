"""Where the numbers of a training go: metrics.jsonl always, and a tracker (trackio, wandb, tensorboard) beside it when there is one.

A tracker is a guest: it is imported when training starts, and whatever goes wrong inside it is said once and training goes on without it.
"""

import contextlib
import io
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from lunaris.core.runtime import installed_version
from lunaris.core.training_state import TrainingError, one_sentence, saved_sentence

TrackerName = Literal["auto", "none", "trackio", "wandb", "tensorboard"]


class StepNumbers:
    """The numbers of the latest steps: kept on the device until someone asks, so that a GPU need not wait at every step."""

    def __init__(self, states: Path, *, may_overflow: bool):
        """`states`: where the training saves, for the message; `may_overflow`: fp16 skips the step when a gradient is not finite."""
        self._states, self._may_overflow = states, may_overflow
        self._unread: list[tuple[int, float, tuple[str, ...], Tensor]] = []
        self._latest: dict[str, float] = {}

    def add(self, step: int, lr: float, names: tuple[str, ...], values: Float[Tensor, "n"]) -> None:
        """`values` of `names` ("loss" and its parts), and after them the norm of the gradient."""
        self._unread.append((step, lr, names, values))

    def latest(self) -> dict[str, float]:
        """The numbers of the last step. Raises `TrainingError` when one of any step so far is not finite."""
        if self._unread:
            numbers = iter(torch.cat([values for *_, values in self._unread]).tolist())
            for step, lr, names, _ in self._unread:
                self._latest = {name: next(numbers) for name in (*names, "grad_norm")} | {"lr": lr}
                self._check_finite(step, names[1:])
            self._unread.clear()
        return dict(self._latest)

    def _check_finite(self, step: int, parts: tuple[str, ...]) -> None:
        for name in (*parts, "loss", "grad_norm"):  # a part first: it says more than the total that it spoils
            value = self._latest[name]
            if math.isfinite(value) or (name == "grad_norm" and self._may_overflow):
                continue
            what = {"loss": "the loss", "grad_norm": "the norm of the gradient"}.get(name, f"the loss part '{name}'")
            raise TrainingError(
                f"{what} became {value} at step {step}; {saved_sentence(self._states)}; "
                f"start again in another --out with a learning_rate below {self._latest['lr']:.2g} or more warmup_steps"
            )


class MetricsLog:
    """A JSONL file with one record per logged step; a resumed run cuts it back to the step it resumes from.

    A number that is not finite is written as null, since JSON has no NaN.
    """

    def __init__(self, path: Path, *, last_step: int):
        """Open `path` for appending, without the records after `last_step` (0: an empty file) and without a half-written line."""
        self._step = last_step
        with one_sentence(f"cannot write to {path}", remedy="give another --out"):
            kept = _length_up_to(path.read_bytes(), last_step) if path.exists() else 0
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115 (unbuffered: a line is written or not, even if killed)
            self._file.truncate(kept)

    def write(self, record: Mapping[str, float]) -> None:
        """Append `record`. Raises `TrainingError` when the disk is full."""
        finite = {name: value if math.isfinite(value) else None for name, value in record.items()}
        with one_sentence("the metrics could not be written"):
            self._file.write(json.dumps(finite).encode() + b"\n")

    def flush(self) -> None:
        """Have the disk hold every record so far."""
        with one_sentence("the metrics could not be written"):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _length_up_to(data: bytes, last_step: int) -> int:
    """Bytes of the leading lines that are whole and whose step is at most `last_step`."""
    length = 0
    for line in data.splitlines(keepends=True):
        try:
            if not line.endswith(b"\n") or json.loads(line)["step"] > last_step:
                break
        except (ValueError, KeyError, TypeError):
            break
        length += len(line)
    return length


class Tracker:
    """One of trackio, wandb, tensorboard, or none; `log` and `finish` never raise."""

    def __init__(
        self,
        name: TrackerName,
        *,
        project: str,
        run_name: str,
        run_id: str,
        resumed: bool,
        config: Mapping[str, Any],
        folder: Path,
        say: Callable[[str], None],
    ):
        """Start `name`; "auto" is trackio when it is installed, else none. Raises ModuleNotFoundError for a named one that is missing.

        `run_id` stays the same over all resumes of one training, and `resumed` tells whether this is one.
        """
        if name == "auto":
            name = "trackio" if installed_version("trackio") else "none"
        self.name, self._say, self._run = name, say, None
        if name == "none":
            return
        if not installed_version(name):
            raise ModuleNotFoundError(f"tracker '{name}' needs the package {name}: pip install {name}")
        with self._guarded("start"), _quiet():
            self._run = _START[name](project, run_name, run_id, resumed, dict(config), folder)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        if self._run is not None:
            with self._guarded("log"):
                self._run.log({name: value for name, value in metrics.items() if math.isfinite(value)}, step=step)

    def finish(self) -> None:
        if self._run is not None:
            with self._guarded("finish"), _quiet():
                self._run.finish()
            self._run = None

    @contextlib.contextmanager
    def _guarded(self, action: str) -> Iterator[None]:
        """An error's type is said, its text is not: that may hold a path, an address or a token."""
        try:
            yield
        except Exception as error:
            self._run = None
            self._say(f"{self.name} could not {action} ({type(error).__name__}): going on without it, metrics.jsonl has every number")


def _quiet() -> contextlib.AbstractContextManager:
    """Trackers greet and part with the paths of this machine; a notebook would publish them."""
    return contextlib.redirect_stdout(io.StringIO())


class _Trackio:
    def __init__(self, project: str, run_name: str, run_id: str, resumed: bool, config: dict[str, Any], folder: Path):
        import trackio

        resume = "allow" if resumed else "never"
        run = trackio.init(project, name=run_name, config=config, resume=resume, embed=False, auto_log_cpu=False, auto_log_gpu=False)
        self.log, self.finish = run.log, trackio.finish  # run.finish would be called once more when Python exits


def _wandb(project: str, run_name: str, run_id: str, resumed: bool, config: dict[str, Any], folder: Path) -> Any:
    import wandb

    return wandb.init(project=project, name=run_name, id=run_id, config=config, resume="allow", dir=str(folder))


class _TensorBoard:
    def __init__(self, project: str, run_name: str, run_id: str, resumed: bool, config: dict[str, Any], folder: Path):
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"))
        self._writer.add_text("config", "```json\n" + json.dumps(config, indent=2) + "\n```")

    def log(self, metrics: dict[str, float], step: int) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def finish(self) -> None:
        self._writer.close()


_START: dict[str, Callable[..., Any]] = {"trackio": _Trackio, "wandb": _wandb, "tensorboard": _TensorBoard}
