"""AdamW and Muon with their learning-rate schedule, and the average of the weights (EMA).

AdamW: Loshchilov & Hutter 2019. Muon: Jordan et al. 2024, with the step size of Liu et al. 2025 (Moonlight). Warm-up and cosine:
Loshchilov & Hutter 2017. The average's decay is warmed up, as in Polyak averaging of short runs: min(decay, (1 + t) / (10 + t)) after t
steps, so that the first weights are soon forgotten.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from jaxtyping import Float
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


class Muon(torch.optim.Optimizer):
    """Muon for the matrices inside a network, AdamW for the rest, with one learning rate for both.

    A matrix moves along its momentum with all singular values made about 1, times 0.2 · √(longer side), which gives the step the root
    mean square of AdamW's. torch.optim.Muon (2.9 and later) does that in bfloat16, one matrix at a time; here it is float32, since a CPU
    without bfloat16 units needs twenty times as long, and stacked matrices (experts) and equal shapes go through one batched product.

    matrices  pairs of a parameter and its shape as a stack: (m, a, b). `inner_matrices` finds them
    """

    MOMENTUM, FEW_STEPS = 0.95, 5
    POLYNOMIAL = (3.4445, -4.7750, 2.0315)  # of the odd quintic x ↦ a x + b x³ + c x⁵ that drives singular values towards 1

    def __init__(
        self,
        matrices: Mapping[nn.Parameter, tuple[int, int, int]],
        others: Iterable[nn.Parameter],
        *,
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
    ):
        self._shapes = dict(matrices)
        plain = adamw(others, lr=lr, betas=betas, weight_decay=weight_decay)
        groups = [{"params": list(matrices), "weight_decay": weight_decay}, *plain.param_groups]
        super().__init__(groups, dict(lr=lr))
        self._plain = plain
        self._plain.param_groups = self.param_groups[1:]  # the same dictionaries: one learning rate, one state
        self._plain.state = self.state

    def load_state_dict(self, state_dict) -> None:
        super().load_state_dict(state_dict)
        self._plain.param_groups, self._plain.state = self.param_groups[1:], self.state

    @torch.no_grad()
    def step(self, closure=None) -> None:
        self._plain.step()
        group = self.param_groups[0]
        alike: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = {}
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            momentum = state["momentum"].lerp_(parameter.grad, 1 - self.MOMENTUM)
            ahead = parameter.grad.lerp(momentum, self.MOMENTUM).view(self._shapes[parameter])  # Nesterov's
            tall = ahead.shape[1] > ahead.shape[2]
            wide = ahead.transpose(1, 2) if tall else ahead
            alike.setdefault(wide.shape[1:], []).append((parameter, wide))
        for (a, b), pairs in alike.items():
            moves = orthogonalised(torch.cat([wide for _, wide in pairs]), self.POLYNOMIAL, self.FEW_STEPS)
            for (parameter, _), move in zip(pairs, moves.split([len(wide) for _, wide in pairs]), strict=True):
                tall = self._shapes[parameter][1:] != (a, b)
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_((move.transpose(1, 2) if tall else move).reshape(parameter.shape), alpha=-group["lr"] * 0.2 * math.sqrt(b))


def orthogonalised(
    stack: Float[Tensor, "m a b"], polynomial: tuple[float, float, float] = Muon.POLYNOMIAL, steps: int = Muon.FEW_STEPS
) -> Float[Tensor, "m a b"]:
    """Each matrix (a <= b) with its singular vectors kept and its singular values brought into about 0.7 … 1.2 (Newton-Schulz)."""
    first, third, fifth = polynomial
    x = stack.float() / stack.float().norm(dim=(1, 2), keepdim=True).clamp(min=1e-20)
    for _ in range(steps):
        square = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=third, alpha=fifth), x, beta=first)
    return x.to(stack.dtype)


def inner_matrices(model: nn.Module, *, least: int = 8) -> dict[nn.Parameter, tuple[int, int, int]]:
    """The parameters that are matrices from features to features, with their shapes as stacks of matrices (m, a, b).

    Left out are what Muon is not for: embeddings, the head that gives a vocabulary's logits, the parameters whose rows are no features
    (routers, names), which a module lists in ROWS_ALONE, and all with a side below `least`. A convolution's weight is one matrix, from its
    patch to its channels; other tensors of three dimensions are stacks, as of experts.
    """
    apart = {id(module.weight) for module in model.modules() if isinstance(module, (nn.Embedding, nn.EmbeddingBag))}
    head = getattr(model, "get_output_embeddings", lambda: None)()
    apart |= {id(head.weight)} if head is not None else set()
    apart |= {id(getattr(module, name)) for module in model.modules() for name in getattr(module, "ROWS_ALONE", ())}
    patches = {id(module.weight) for module in model.modules() if isinstance(module, nn.modules.conv._ConvNd)}
    found = {}
    for parameter in model.parameters():
        if parameter.ndim < 2 or id(parameter) in apart or not parameter.requires_grad:
            continue
        alone = parameter.ndim == 2 or id(parameter) in patches
        shape = (1, len(parameter), parameter[0].numel()) if alone else (math.prod(parameter.shape[:-2]), *parameter.shape[-2:])
        if min(shape[1:]) >= least:
            found[parameter] = shape
    return found


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
