"""The processes that train together, on `accelerate.Accelerator`: one by default, several under torchrun or accelerate launch.

Models are not wrapped in DistributedDataParallel: a loss may call any of the model's methods, each process may have a different number
of micro-batches, and a parameter may get no gradient in some of them. One sum over the processes at the end of a step covers all that.
"""

import atexit
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from lunaris.core.config import ConfigError
from lunaris.core.runtime import get_optimal_device
from lunaris.core.training_state import TrainingError

T = TypeVar("T")


def on_main(action: Callable[[], T]) -> T:
    """The result of `action()`, run by the main process alone where several train together; if it fails there it fails everywhere, so
    that all stop together. The files of a checkpoint are written this way: two processes at once would each sweep away the other's."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return action()
    answer: list[Any] = [None, None]
    failure = None
    if dist.get_rank() == 0:
        try:
            answer[0] = action()
        except Exception as error:
            failure, answer[1] = error, str(error)
    dist.broadcast_object_list(answer, src=0)
    if answer[1] is not None:
        raise failure or TrainingError(answer[1])
    return answer[0]


class Processes:
    """This process among `count`: its `rank` from 0, its `device`, and what all of them agree on. With count 1 nothing is ever sent."""

    def __init__(self, device: str, mixed_precision: str):
        self.accelerator = _accelerator(get_optimal_device(device), mixed_precision)
        self.device: torch.device = self.accelerator.device
        self.count: int = self.accelerator.num_processes
        self.rank: int = self.accelerator.process_index
        self.is_main = self.rank == 0

    def on_main(self, action: Callable[[], T]) -> T:
        """The result of `action()`, run by the main process alone; if it fails there it fails everywhere, so that all stop together."""
        return on_main(action) if self.count > 1 else action()

    def any(self, flag: bool) -> bool:
        """Whether `flag` is true in at least one process."""
        if self.count == 1:
            return flag
        count = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(count)
        return bool(count > 0)

    def sum_(self, tensor: Tensor) -> None:
        """Replace `tensor` by its sum over the processes."""
        if self.count > 1:
            dist.all_reduce(tensor)

    def copy_from_main(self, tensors: Iterable[Tensor]) -> None:
        """Give every process the main one's values, in place."""
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor.data, src=0)

    def tensors_from_main(self, groups: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
        """The main process's groups of tensors; the other processes need no access to the files they came from."""
        if self.count == 1:
            return {name: dict(group) for name, group in groups.items()}
        shapes = self.on_main(lambda: {name: {key: (t.shape, t.dtype) for key, t in group.items()} for name, group in groups.items()})
        received = {
            name: {
                key: groups[name][key].to(self.device) if self.is_main else torch.empty(shape, dtype=dtype, device=self.device)
                for key, (shape, dtype) in group.items()
            }
            for name, group in shapes.items()
        }
        for group in received.values():
            self.copy_from_main(group.values())
        return received

    def wait(self) -> None:
        """Return when every process is here."""
        self.accelerator.wait_for_everyone()


def _accelerator(device: torch.device, mixed_precision: str) -> Any:
    """An Accelerator for `device`; one that this Python process made earlier for other settings is forgotten first."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, DistributedType, PartialState

    if mixed_precision == "fp16" and device.type == "cpu":
        raise ConfigError("mixed_precision 'fp16' needs a GPU, got the CPU; try 'bf16' or 'no'")
    known = AcceleratorState._shared_state or PartialState._shared_state
    if known and (known["device"].type != device.type or known.get("_mixed_precision", mixed_precision) != mixed_precision):
        AcceleratorState._reset_state(reset_partial_state=True)
    if device.type == "cuda" and device.index is not None and not dist.is_initialized():
        torch.cuda.set_device(device)  # under torchrun, accelerate gives each process its own
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision=mixed_precision)
    accelerator.gradient_accumulation_steps = 1  # an environment variable of `accelerate launch` may say otherwise; fit weighs the losses
    kind = accelerator.distributed_type
    if kind != DistributedType.NO and not kind.value.startswith("MULTI_"):
        raise ConfigError(f"training runs in one process or data-parallel, got {kind.value}; use torchrun --nproc-per-node N")
    if dist.is_initialized():
        _leave_at_exit()
    return accelerator


@functools.cache
def _leave_at_exit() -> None:
    """Part from the other processes before Python takes the threads down that talk to them: gloo's have aborted a finished training."""
    atexit.register(lambda: dist.is_initialized() and dist.destroy_process_group())
