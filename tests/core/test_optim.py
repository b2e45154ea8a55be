"""Muon: its step beside a float64 singular value decomposition and a plain loop, what it is used for, exact resume."""

import math

import pytest
import torch
from torch import nn

from lunaris.core.optim import Muon, adamw, inner_matrices, load_optimizer, optimizer_tensors, orthogonalised
from lunaris.core.training import TrainConfig, fit
from lunaris.moc import MoCConfig, MoCForCausalLM, MoCModelConfig

TINY = MoCModelConfig(
    d_model=64, n_layers=1, n_heads=2, n_kv_heads=2, vocab_size=96, max_seq_len=16, n_experts=4, expert_hidden=48, rank=32
)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def quintic(x: torch.Tensor, times: int) -> torch.Tensor:
    first, third, fifth = Muon.POLYNOMIAL
    for _ in range(times):
        x = first * x + third * x**3 + fifth * x**5
    return x


def test_orthogonalising_is_a_polynomial_of_the_singular_values(generator):
    """Newton-Schulz keeps the singular vectors: beside it, the same polynomial of the singular values in float64."""
    stack = torch.randn(3, 24, 40, generator=generator)
    u, s, v = torch.linalg.svd(stack.double(), full_matrices=False)
    expected = u * quintic(s / s.norm(dim=1, keepdim=True), Muon.FEW_STEPS)[:, None] @ v
    torch.testing.assert_close(orthogonalised(stack).double(), expected, rtol=0, atol=2e-5)
    values = torch.linalg.svdvals(orthogonalised(stack))
    assert values.min() > 0.6 and values.max() < 1.3


def test_a_step_equals_a_plain_loop(generator):
    """Momentum, Nesterov's look ahead, decay and the step's size, for a wide and a tall matrix and a stack, three steps long."""
    shapes = {"wide": (32, 40), "tall": (40, 32), "stack": (3, 40, 32)}
    weights = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    ours = {name: nn.Parameter(weight.clone()) for name, weight in weights.items()}
    matrices = {p: (1, *p.shape) if p.ndim == 2 else tuple(p.shape) for p in ours.values()}
    rest = nn.Parameter(torch.ones(5))
    optimizer = Muon(matrices, [rest], lr=0.02, betas=(0.9, 0.99), weight_decay=0.1)
    momenta = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for _ in range(3):
        gradients = {name: torch.randn(weight.shape, generator=generator) for name, weight in weights.items()}
        for name, p in ours.items():
            p.grad = gradients[name].clone()
        optimizer.step()
        for name, weight in weights.items():
            momenta[name] = 0.95 * momenta[name] + 0.05 * gradients[name]
            ahead = 0.05 * gradients[name] + 0.95 * momenta[name]
            for one, move in zip(weight.view(-1, *weight.shape[-2:]), ahead.view(-1, *weight.shape[-2:]), strict=True):
                u, s, v = torch.linalg.svd(move.double(), full_matrices=False)
                direction = (u * quintic(s / s.norm(), 5)) @ v
                one.mul_(1 - 0.02 * 0.1).sub_((0.02 * 0.2 * math.sqrt(40) * direction).float())
    for name, weight in weights.items():
        torch.testing.assert_close(ours[name].detach(), weight, rtol=0, atol=1e-5)
    assert torch.equal(rest, torch.ones(5))  # no gradient, no step


def test_the_rest_moves_as_adamw_moves_it(generator):
    start = torch.randn(7, 5, generator=generator)
    matrix, ours, alone = nn.Parameter(torch.randn(32, 32)), nn.Parameter(start.clone()), nn.Parameter(start.clone())
    settings = dict(lr=0.01, betas=(0.8, 0.95), weight_decay=0.2)
    both = Muon({matrix: (1, 32, 32)}, [ours], **settings), adamw([alone], **settings)
    for step in range(4):
        matrix.grad = torch.randn(32, 32, generator=generator)
        ours.grad = torch.randn(7, 5, generator=generator)
        alone.grad = ours.grad.clone()
        for optimizer in both:
            for group in optimizer.param_groups:
                group["lr"] = 0.01 * (step + 1)  # as `fit` sets it
            optimizer.step()
    assert torch.equal(ours, alone)


def test_the_state_travels_by_name(generator):
    def new():
        torch.manual_seed(1)
        parameters = {"a": nn.Parameter(torch.randn(32, 33)), "b": nn.Parameter(torch.randn(4))}
        return parameters, Muon({parameters["a"]: (1, 32, 33)}, [parameters["b"]], lr=0.01, betas=(0.9, 0.9), weight_decay=0.0)

    def step(parameters, optimizer, seed):
        draws = torch.Generator().manual_seed(seed)
        for p in parameters.values():
            p.grad = torch.randn(p.shape, generator=draws)
        optimizer.step()

    whole, optimizer = new()
    step(whole, optimizer, 1)
    tensors = optimizer_tensors(optimizer, whole)
    assert set(tensors) == {"a/momentum", "b/step", "b/exp_avg", "b/exp_avg_sq"}
    resumed, other = new()
    for name, p in resumed.items():
        p.data.copy_(whole[name].data)
    load_optimizer(other, resumed, {name: tensor.clone() for name, tensor in tensors.items()})
    step(whole, optimizer, 2)
    step(resumed, other, 2)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_inner_matrices_are_those_from_features_to_features():
    """Embedding, head, router and names stay with AdamW; experts are stacks; a convolution is one matrix."""
    model = MoCForCausalLM(MoCConfig.from_model_config(TINY.replace(tie_embeddings=False)))
    names = {id(p): name for name, p in model.named_parameters()}
    found = {names[id(p)].removeprefix("model.layers.0."): shape for p, shape in inner_matrices(model).items()}
    experts = "mlp.experts"
    assert found[f"{experts}.gate_up"] == (4, 96, 64) and found[f"{experts}.down"] == (4, 64, 48)
    assert not [name for name in found if any(word in name for word in ("embed", "lm_head", "router", "names", "score", "norm"))]
    many = MoCForCausalLM(MoCConfig.from_model_config(TINY.replace(n_experts=16, rank=12)))  # whose router is as large as its ranks
    names |= {id(p): name for name, p in many.named_parameters()}
    small = {names[id(p)].removeprefix("model.layers.0.mlp."): shape for p, shape in inner_matrices(many).items() if 12 in shape}
    assert {"meeting.qkv", "meeting.out", "peers.qkv", "peers.out", "summary"} <= set(small)
    assert not [name for name in small if any(word in name for word in ("router", "names", "score"))]
    assert {"self_attn.q_proj.weight", "self_attn.o_proj.weight"} <= set(found)
    conv = nn.Conv2d(16, 32, 3)
    assert inner_matrices(conv) == {conv.weight: (1, 32, 144)}
    conv.weight.requires_grad_(False)
    assert inner_matrices(conv) == {}


def test_killed_and_resumed_with_muon_equals_never_killed(tmp_path):
    def run(out, **options):
        torch.manual_seed(0)
        model = MoCForCausalLM(MoCConfig.from_model_config(TINY))
        settings = TrainConfig(
            steps=6, batch_size=2, optimizer="muon", learning_rate=0.01, save_every=2, device="cpu", tracker="none", ema_decay=0.9
        )

        def batch_at(seed, step):
            return {"ids": torch.randint(0, 96, (2, 16), generator=torch.Generator().manual_seed(step))}

        def loss(model, batch, step):
            from lunaris.core.training import Loss

            value = model(input_ids=batch["ids"], labels=batch["ids"], use_cache=False).loss
            return Loss(total=value, weight=torch.tensor(30), parts={})

        fit(model, batch_at, loss, settings, out, progress=False, **options)
        return model.state_dict()

    whole = run(tmp_path / "whole")
    calls = iter(range(100))
    run(tmp_path / "cut", should_stop=lambda: next(calls) >= 3)
    resumed = run(tmp_path / "cut", resume=True)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
