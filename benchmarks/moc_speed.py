"""How fast is LunarisCodex-MoC on one CPU thread? Writes its part of benchmarks/RESULTS.md.

    python benchmarks/moc_speed.py [--model moc-pt] [--quick] [--json]

What is compared runs in turn, call by call, and is timed by what the thread computed, not by the clock: others may use the machine. A
figure is the median of the calls' ratios, its spread the two quartiles. The layer (width 256, 8 experts, 2 chosen) stands against

naive        what one writes first: a list of expert modules run in a loop, full-width nn.MultiheadAttention for the meeting and the peers
dense        a SwiGLU layer with the same number of parameters in all, which is what a mixture has to be cheaper than
dense, alike the same layer run as ours runs: without gradients AT_ONCE tokens at a time, its activation in place

Ours has 0.8 of the dense layer's multiply-adds, and may still need less than 0.8 of its time: the plain one takes all tokens at once and
puts each intermediate result into memory that nobody has touched yet, ours uses again what is in the cache. So the share against the plain
one, which is the goal's, is of the idea and of how it is run; that against the dense layer run alike is nearer to the idea's own.

The token loop (`moc.fast` under `core.decoding`) stands against transformers' generate of the same model, which must write the same tokens.
"""

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent))

import results

from lunaris import moc
from lunaris.core.decoding import Sampling, tokens
from lunaris.core.layers.experts import AT_ONCE, TINY, CollaborativeExpertsModule, Routing, SwiGLU
from lunaris.moc.fast import ExpertsStep, MoCStepper
from lunaris.moc.model import MoCForCausalLM

D, EXPERTS, CHOSEN, RANK = 256, 8, 2, 32
NARROW, WIDE = 352, 704  # hidden widths of one expert
PLAIN = moc.Config.small().replace(n_kv_heads=4, expert_hidden=NARROW)  # 4 layers, width 256, 4096 entries


def ratios(calls: Mapping[str, Callable[[], object]], rounds: int, *, over: str) -> dict[str, tuple[float, str, float]]:
    """Name -> (median of its time over that of the call `over`, the quartiles in words, its own median in ms).

    The calls of a round run one after another, and each round gives a ratio. The first two rounds do not count.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 2):
        for name, call in calls.items():
            began = time.thread_time()
            call()
            times[name].append(time.thread_time() - began)
    found = {}
    for name, values in times.items():
        shares = [own / other for own, other in zip(values[2:], times[over][2:], strict=True)]
        low, _, high = statistics.quantiles(shares, n=4)
        found[name] = statistics.median(shares), f"{low:.2f} … {high:.2f}", 1000 * statistics.median(values[2:])
    return found


# --- baselines --------------------------------------------------------------------------------------------------------------------------


class NaiveExperts(nn.Module):
    """The same idea as one writes it first: every expert to its end, one after another, and attention at full width, called as
    its documentation shows."""

    def __init__(self, d: int, n_experts: int, top_k: int, hidden: int, n_heads: int = 4):
        super().__init__()
        self.top_k = top_k
        self.experts = nn.ModuleList(SwiGLU(d, hidden) for _ in range(n_experts))
        self.router = nn.Linear(d, n_experts, bias=False)
        self.meeting = nn.MultiheadAttention(d, n_heads, bias=False, batch_first=True)
        self.score = nn.Linear(d, 1, bias=False)
        self.peers = nn.MultiheadAttention(d, n_heads, bias=False, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(0, -2)
        outputs = torch.stack([expert(flat) for expert in self.experts], dim=1)  # (n, e, d)
        heard, _ = self.meeting(outputs, outputs, outputs)
        scores = self.router(flat) + self.score(outputs + heard)[..., 0]
        best, chosen = scores.topk(self.top_k, dim=-1)
        theirs = outputs.gather(1, chosen[..., None].expand(-1, -1, x.shape[-1]))  # (n, k, d)
        learned, _ = self.peers(theirs, theirs, theirs)
        return (best.softmax(-1)[..., None] * (theirs + learned)).sum(1).view_as(x)


def all_experts(layer: CollaborativeExpertsModule, x: Tensor) -> tuple[Tensor, Tensor]:
    """The layer's output and choice, written out, with every expert run to its end and the summaries read from the outputs: nothing is
    deferred. In the dtype of `x`: float64 is as good as exact."""
    p = {name: weight.to(x.dtype) for name, weight in layer.named_parameters()}
    flat = x.flatten(0, -2)
    outputs = torch.stack([_swiglu(flat, *pair) for pair in zip(p["experts.gate_up"], p["experts.down"], strict=True)], dim=1)
    summaries = _unit(outputs @ p["summary"].t(), TINY)  # (n, e, r)
    told = summaries + p["meeting.names"]
    heard = _attend(told, p["meeting.qkv"])
    informed = _unit(told + heard @ p["meeting.out"].t(), TINY)
    scores = flat @ p["router"].t() + (informed * p["meeting.score"]).sum(-1)
    best, chosen = scores.topk(layer.top_k, dim=-1)
    rows = torch.arange(len(flat))[:, None]
    learned = _attend(summaries[rows, chosen] + p["peers.names"][chosen], p["peers.qkv"])
    parts = outputs[rows, chosen] + learned @ p["peers.out"].t() / math.sqrt(RANK)
    return (best.softmax(-1)[..., None] * parts).sum(1).view_as(x), chosen


def _unit(x: Tensor, eps: float = 1e-6) -> Tensor:
    """`rms_norm` in the dtype of `x`; the layer's own reckons in float32 whatever that is."""
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt()


def _attend(told: Tensor, qkv: Tensor) -> Tensor:
    """What each of `told` (n, a, r) hears of the others; queries and keys are normalised."""
    q, k, v = (told @ qkv.t()).chunk(3, dim=-1)
    attention = (_unit(q) @ _unit(k).transpose(1, 2) / math.sqrt(RANK)).softmax(-1)
    return attention @ v


def _swiglu(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    gate, up = F.linear(x, gate_up).chunk(2, dim=-1)
    return F.linear(F.silu(gate) * up, down)


def run_alike(dense: SwiGLU, x: Tensor) -> Tensor:
    """What `dense` gives without gradients, reckoned as our layer reckons: AT_ONCE tokens at a time, the activation in place."""
    parts = x.flatten(0, -2).split(AT_ONCE)
    hidden = (F.silu(dense.gate_proj(part), inplace=True).mul_(dense.up_proj(part)) for part in parts)
    return torch.cat([dense.down_proj(h) for h in hidden]).view_as(x)


# --- what is measured --------------------------------------------------------------------------------------------------------------------


def a_layer(hidden: int, seed: int = 0) -> CollaborativeExpertsModule:
    """A layer in which the meeting and the peers have a say."""
    torch.manual_seed(seed)
    layer = CollaborativeExpertsModule(D, EXPERTS, CHOSEN, hidden, RANK).eval()
    with torch.no_grad():
        layer.meeting.score.normal_(std=0.3)
        layer.peers.out.normal_(std=0.1)
    return layer


def total_width(layer: nn.Module) -> int:
    """The hidden width of the SwiGLU layer with as many parameters as `layer`."""
    return round(sum(p.numel() for p in layer.parameters()) / (3 * D))


def forwards(n_tokens: int, rounds: int) -> list[dict]:
    """The layer's forward pass, and forward with backward, against naive and dense."""
    x = torch.randn(1, n_tokens, D)
    narrow, wide = a_layer(NARROW), a_layer(WIDE)
    naive = NaiveExperts(D, EXPERTS, CHOSEN, NARROW).eval()
    dense = SwiGLU(D, total_width(wide)).eval()

    def learn(module: nn.Module) -> Callable[[], None]:
        def step() -> None:
            inputs = x.clone().requires_grad_()
            out = module(inputs)
            (out[0] if isinstance(out, tuple) else out).square().mean().backward()
            for p in module.parameters():
                p.grad = None

        return step

    with torch.no_grad():
        against_naive = ratios({"ours": lambda: narrow(x), "naive": lambda: naive(x)}, rounds, over="ours")["naive"]
        against_dense = ratios({"ours": lambda: wide(x), "dense": lambda: dense(x)}, rounds, over="dense")["ours"]
        against_alike = ratios({"ours": lambda: wide(x), "alike": lambda: run_alike(dense, x)}, rounds, over="alike")["ours"]
    learning = ratios({"ours": learn(narrow), "naive": learn(naive)}, max(4, rounds // 2), over="ours")["naive"]
    learning_dense = ratios({"ours": learn(wide), "dense": learn(dense)}, max(4, rounds // 2), over="dense")["ours"]
    what = f"{n_tokens} tokens, width {D}, {EXPERTS} experts, {CHOSEN} chosen"
    half = max(4, rounds // 2)
    return [
        claim("layer, forward: times as fast as the naive one", against_naive, rounds, f"{what}, f {NARROW}", at_least=3.3, aim=4.0),
        claim("layer, forward and backward: times as fast as the naive one", learning, half, f"{what}, f {NARROW}", at_least=2.5, aim=3.5),
        claim("layer, forward: time over the dense layer's", against_dense, rounds, f"{what}, f {WIDE}", at_most=0.85, aim=0.82),
        claim("layer, forward: time over that of the dense layer run alike", against_alike, rounds, f"{what}, f {WIDE}; the dense layer "
              f"too takes {AT_ONCE} tokens at a time and activates in place"),
        claim("layer, forward and backward: time over the dense layer's", learning_dense, half, f"{what}, f {WIDE}", at_most=1.3, aim=1.0),
    ]  # fmt: skip


def decode_step(rounds: int) -> list[dict]:
    """One token through the layer, as the token loop runs it, against the dense layer. Four layers in turn, as in a model: none of them
    finds its weights in the cache only because nothing else was read."""
    found = []
    with torch.inference_mode():
        for hidden in (NARROW, WIDE):
            layers = [a_layer(hidden, seed) for seed in range(4)]
            steps = [ExpertsStep(layer) for layer in layers]
            dense = [SwiGLU(D, total_width(layers[0])).eval() for _ in layers]
            x = torch.randn(D)

            def ours(steps=steps, x=x) -> None:
                for step in steps:
                    step(x, 1.0, x)

            def theirs(dense=dense, x=x) -> None:
                for layer in dense:
                    layer(x)

            took = ratios({"ours": ours, "dense": theirs}, rounds, over="dense")["ours"]
            found.append(claim(f"decode step, f {hidden}: time over the dense layer's", took, rounds, f"width {D}", at_most=1.5, aim=1.1))
    return found


def token_loop(name: str, model: MoCForCausalLM, rounds: int, n: int) -> list[dict]:
    """Writing `n` tokens by the token loop and by generate; they must be the same tokens."""
    prompt = torch.randint(5, model.config.vocab_size, (1, 16), generator=torch.Generator().manual_seed(3))
    settings = {"greedy": ({"do_sample": False}, Sampling(temperature=0)), "sampling": SAMPLED}
    found = []
    for kind, (options, sampling) in settings.items():
        options = options | {"max_new_tokens": n, "min_new_tokens": n, "eos_token_id": None, "pad_token_id": 0}

        def ours(sampling=sampling) -> list[int]:
            return list(tokens(MoCStepper(model), prompt[0].tolist(), max_new_tokens=n, sampling=sampling))

        def theirs(options=options) -> list[int]:
            torch.manual_seed(SEED)
            return model.generate(prompt, **options)[0, prompt.shape[1] :].tolist()

        same = "the same tokens" if ours() == theirs() else "OTHER tokens"
        took = ratios({"ours": ours, "theirs": theirs}, rounds, over="ours")
        speed = f"{1000 * n / took['ours'][2]:.0f} against {1000 * n / took['theirs'][2]:.0f} tokens per second of computing; {same}"
        found.append(claim(f"token loop, {name}, {kind}: times as fast as generate", took["theirs"], rounds, speed, at_least=2.4, aim=2.8))
    return found


SEED = 7
SAMPLED = (
    {"do_sample": True, "temperature": 0.8, "top_p": 0.95, "top_k": 0},
    Sampling(temperature=0.8, top_p=0.95, seed=SEED),
)


def deferring(n_tokens: int) -> list[dict]:
    """How far the layer is from the one that defers nothing, in output and in choice: both are float32, so each rounds in its own way, and
    how far each is from the exact values tells whether deferring costs precision."""
    layer, x = a_layer(NARROW), torch.randn(1, n_tokens, D, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        out, _, routing = layer(x, want_routing=True)
        expected, chosen = all_experts(layer, x)
        exact, _ = all_experts(layer, x.double())

    far = float((out - expected).norm() / expected.norm())
    largest = {"unit": "", "digits": 9}
    return [
        claim("deferred form, distance from the all-experts form", (far, None, 0), n_tokens, "float32, norms of all outputs", unit="",
              digits=9, at_most=1e-6),
        claim("deferred form, largest difference from the all-experts form", (largest_difference(out, expected), None, 0), n_tokens,
              "float32, of the largest output", at_most=1e-6, **largest),
        claim("deferred form, largest difference from the exact values", (largest_difference(out, exact), None, 0), n_tokens,
              "float32 against float64, of the largest output", **largest),
        claim("all-experts form, largest difference from the exact values", (largest_difference(expected, exact), None, 0), n_tokens,
              "float32 against float64: what rounding alone does", **largest),
        claim("deferred form, tokens that choose other experts", (other_choices(routing, chosen), None, 0), n_tokens, "", unit="tokens",
              digits=0, at_most=0),
    ]  # fmt: skip


def largest_difference(a: Tensor, b: Tensor) -> float:
    """As a share of the largest number of `b`."""
    return float((a - b).abs().max() / b.abs().max())


def other_choices(routing: Routing, chosen: Tensor) -> int:
    return int((routing.chosen.flatten(0, 1).sort(-1)[0] != chosen.sort(-1)[0]).any(-1).sum())


def claim(name: str, took: tuple, n: int, baseline: str, *, unit: str = "x", digits: int = 2, aim: float | None = None, **goal) -> dict:
    value, spread, _ = took
    value = round(value, digits) if value == 0 or digits < 9 else float(f"{value:.2g}")
    return {"name": name, "value": value, "unit": unit, "spread": spread, "n": n, "aim": aim, "baseline": baseline, **goal}


def measure(model: MoCForCausalLM | None, quick: bool) -> list[dict]:
    """The claims."""
    torch.manual_seed(0)
    plain = MoCForCausalLM(PLAIN).eval()
    loops = {"4 layers of width 256, fresh": plain} | ({} if model is None else {"the checkpoint": model})
    claims = forwards(512 if quick else 2048, 3 if quick else 20)
    claims += decode_step(20 if quick else 400)
    for name, one in loops.items():
        claims += token_loop(name, one, 2 if quick else 10, 16 if quick else 128)
    return claims + deferring(512 if quick else 2048)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="moc-pt", help="folder, bundled name or owner/name[@revision]; '' = none")
    parser.add_argument("--quick", action="store_true", help="under a minute: fewer tokens and repeats")
    parser.add_argument("--json", action="store_true", help="print the claims as one JSON object and write nothing")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = moc.load(args.model).eval() if args.model else None
    claims = measure(model, args.quick)
    if args.json:
        print(json.dumps({"claims": claims}))
        return
    command = (
        f"python benchmarks/moc_speed.py --model {Path(args.model).name}" if args.model else "python benchmarks/moc_speed.py --model ''"
    )
    results.publish("moc_speed", "LunarisCodex-MoC: how fast, on one thread?", command, claims, keep=not args.quick)


if __name__ == "__main__":
    main()
