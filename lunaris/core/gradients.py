"""The gradient of a global batch, however it is cut into micro-batches and shared among processes.

With losses L_i (means over micro-batch i) and weights w_i (its tokens or examples), over all micro-batches of all processes,
    g = sum_i w_i grad L_i / sum_i w_i
is the gradient of the mean over the whole batch. A mean of the L_i would favour the tokens of short micro-batches.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lunaris.core.parallel import Processes
from lunaris.core.rng import reseed

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Loss:
    """What a loss function returns for one micro-batch.

    total    the mean loss, to minimise; finite even where the weight is 0
    weight   what it is the mean of: the number of examples (the default) or of tokens; never negative
    parts    named scalars to log beside it, means of the same kind
    """

    total: Float[Tensor, ""]
    weight: int | float | Tensor | None = None
    parts: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Sums:
    """Of this process's micro-batches: sum(w L) for the loss and each part, and W = sum(w); .grad holds sum(w / unit · grad L).

    The unit is the first weight, so that a single micro-batch gets exactly its own gradient, and fp16's loss scale stays in its range.
    """

    names: tuple[str, ...]
    values: Float[Tensor, "n"]
    weight: float | Tensor
    unit: float | Tensor


RESERVED = {"loss", "step", "lr", "grad_norm", "examples_per_s"}


def accumulate(
    model: nn.Module,
    batch: Batch,
    loss: Callable[[nn.Module, Batch, int], Loss],
    step: int,
    *,
    accumulation_steps: int,
    processes: Processes,
    seed: int,
) -> Sums:
    """Run this process's share of `batch` forward and backward, each micro-batch with its own random numbers."""
    pieces = split(batch, accumulation_steps * processes.count)
    mine = range(processes.rank, len(pieces), processes.count)
    names, values, total, unit = None, 0.0, 0.0, None
    for index in mine or [0]:  # with fewer examples than processes, some run along with weight 0
        piece = {key: tensor.to(processes.device, non_blocking=True) for key, tensor in pieces[index].items()}
        reseed(processes.device, seed, step, index)
        with processes.accelerator.autocast():
            result = loss(model, piece, step)
        weight = 0.0 if not mine else _number(batch_length(piece) if result.weight is None else result.weight)
        unit = _or_one(weight) if unit is None else unit
        names = _names(result, names)
        processes.accelerator.backward(result.total * (weight / unit))
        values = values + torch.stack([result.total, *result.parts.values()]).detach().float() * weight
        total = total + weight
    return Sums(names, values, total, unit)


def combine(sums: Sums, parameters: list[nn.Parameter], processes: Processes) -> tuple[tuple[str, ...], Float[Tensor, "n"]]:
    """Leave the global batch's gradient in every .grad; returns the names and means of the loss and its parts."""
    if processes.count > 1:
        sums = _sum_over_processes(sums, parameters, processes)
    if isinstance(sums.weight, float) and sums.weight == 0:
        raise ValueError("the batch has weight 0: it holds no example or token to learn from")
    if not isinstance(sums.weight, float) or sums.unit != sums.weight:
        torch._foreach_mul_([p.grad for p in parameters if p.grad is not None], sums.unit / sums.weight)
    return sums.names, sums.values / sums.weight


def _sum_over_processes(sums: Sums, parameters: list[nn.Parameter], processes: Processes) -> Sums:
    """All sums over all processes, in one message. A parameter keeps no gradient where no process has one, as with one process."""
    has = [p.grad is not None for p in parameters]
    gradients = [(torch.zeros_like(p) if p.grad is None else p.grad).float().flatten() * sums.unit for p in parameters]
    weight = torch.as_tensor(sums.weight, dtype=torch.float32, device=processes.device).reshape(1)
    flags = torch.tensor(has, dtype=torch.float32, device=processes.device)
    flat = torch.cat([*gradients, sums.values, weight, flags])
    processes.sum_(flat)
    *gradients, values, weight, flags = flat.split([p.numel() for p in parameters] + [len(sums.values), 1, len(has)])
    if not all(has):  # reading the flags makes a GPU wait, so only who needs them does
        has = [flag > 0 for flag in flags.tolist()]
    for parameter, gradient, exists in zip(parameters, gradients, has, strict=True):
        parameter.grad = gradient.view_as(parameter).to(parameter.dtype, copy=True) if exists else None
    return Sums(sums.names, values, _number(weight[0]), 1.0)


def split(batch: Batch, parts: int) -> list[Batch]:
    """`batch` in `parts` slices whose lengths differ by at most one; with fewer examples than parts, one example each."""
    n = batch_length(batch)
    parts = min(parts, n)
    edges = [n * i // parts for i in range(parts + 1)]
    return [{key: tensor[start:end] for key, tensor in batch.items()} for start, end in zip(edges, edges[1:], strict=False)]


def batch_length(batch: Batch) -> int:
    """The number of examples, which all tensors of a batch must agree on. Raises ValueError."""
    lengths = {key: len(tensor) if tensor.ndim else 0 for key, tensor in batch.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise ValueError(f"the tensors of a batch must share their first dimension, of at least 1, got {lengths}")
    return next(iter(lengths.values()))


def is_out_of_memory(error: BaseException) -> bool:
    from accelerate.utils.memory import should_reduce_batch_size

    known = isinstance(error, Exception) and should_reduce_batch_size(error)
    return known or isinstance(error, (torch.OutOfMemoryError, MemoryError))


def _names(result: Loss, expected: tuple[str, ...] | None) -> tuple[str, ...]:
    names = ("loss", *result.parts)
    if expected is None and RESERVED & result.parts.keys():
        raise ValueError(f"a loss part cannot be called '{min(RESERVED & result.parts.keys())}', which the log uses; give it another name")
    if expected not in (None, names):
        raise ValueError(f"the loss must return the same parts for each micro-batch of a step, got {names[1:]} after {expected[1:]}")
    return names


def _number(value: int | float | Tensor) -> float | Tensor:
    """A float where that makes no device wait, else a float32 scalar."""
    return value.detach().float() if isinstance(value, Tensor) and value.device.type != "cpu" else float(value)


def _or_one(weight: float | Tensor) -> float | Tensor:
    return torch.where(weight > 0, weight, 1.0) if isinstance(weight, Tensor) else weight or 1.0
