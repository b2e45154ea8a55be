"""AdamW with its learning-rate schedule, and the average of the weights (EMA).

AdamW: Loshchilov & Hutter 2019. Warm-up and cosine: Loshchilov & Hutter 2017. The average's decay is warmed up, as in Polyak averaging of
short runs: min(decay, (1 + t) / (10 + t)) after t steps, so that the first weights are soon forgotten.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def adamw(parameters: Iterable[nn.Parameter], *, lr: float, betas: tuple[float, float], weight_decay: float) -> torch.optim.AdamW:
    """AdamW over `parameters`; those of fewer than two dimensions (biases, norms) do not decay. Fused where torch can: six times faster."""
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=lr, betas=betas, fused=fused)


def warmup_cosine(step: int, *, steps: int, warmup_steps: int, floor: float) -> float:
    """The factor on the peak learning rate at step 1 … steps: a linear rise to 1, then half a cosine down to `floor`."""
    if step <= warmup_steps:
        return step / warmup_steps
    progress = min((step - warmup_steps) / (steps - warmup_steps), 1.0)
    return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2


def optimizer_tensors(optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The optimiser's state under names: "<parameter>/exp_avg" and so on."""
    names = _names_in_order(optimizer, parameters)
    state = optimizer.state_dict()["state"]
    return {f"{names[index]}/{kind}": tensor for index, entry in state.items() for kind, tensor in entry.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]) -> None:
    """Put what `optimizer_tensors` returned back."""
    index_of = {name: index for index, name in enumerate(_names_in_order(optimizer, parameters))}
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        name, kind = key.rsplit("/", 1)
        state.setdefault(index_of[name], {})[kind] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _names_in_order(optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> list[str]:
    name_of = {id(parameter): name for name, parameter in parameters.items()}
    return [name_of[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]


class Average:
    """The exponential moving average of `tensors`, kept in `shadow` under the same names; with decay 0 there is none."""

    def __init__(self, tensors: Mapping[str, Tensor], decay: float):
        self._live = [tensor.detach() for tensor in tensors.values()] if decay else []  # detached: same memory, no graph
        self._decay = decay
        self.shadow: dict[str, Tensor] = {name: tensor.detach().clone() for name, tensor in tensors.items()} if decay else {}

    def reset(self) -> None:
        """Start again from the live tensors."""
        for shadow, live in zip(self.shadow.values(), self._live, strict=True):
            shadow.copy_(live)

    def update(self, step: int) -> None:
        """shadow <- d · shadow + (1 - d) · live after step 1, 2, …, with d = min(decay, (1 + step) / (10 + step))."""
        if self._live:
            decay = min(self._decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(self.shadow.values()), self._live, 1 - decay)

    def swap(self) -> None:
        """Exchange the live tensors and the average, in place."""
        for shadow, live in zip(self.shadow.values(), self._live, strict=True):
            kept = live.clone()
            live.copy_(shadow)
            shadow.copy_(kept)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The model holds the average inside the context."""
        self.swap()
        try:
            yield
        finally:
            self.swap()
