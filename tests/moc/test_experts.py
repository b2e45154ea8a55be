"""The layer of collaborating experts, compared with a plain loop that runs every expert to its end, in float64."""

import copy
import math
import multiprocessing
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from lunaris.core.layers import experts
from lunaris.core.layers.experts import CollaborativeExpertsModule, RoutingSums, StackedExperts, SwiGLU, load_balance

D, E, K, HIDDEN, RANK = 32, 6, 2, 24, 8
torch.set_num_threads(1)

KINDS = {
    "moc": {},
    "no meeting": {"meeting": False},
    "no peers": {"peer_attention": False},
    "cross all": {"cross_all": True},
    "cross all, no meeting": {"cross_all": True, "meeting": False},
    "no norm": {"meeting_norm": False},
    "consensus": {"consensus": True},
    "refine": {"refine": True},
    "neither": {"meeting": False, "peer_attention": False},
    "top_k": {"kind": "top_k"},
    "soft_all": {"kind": "soft_all"},
}


def layer(top_k: int = K, seed: int = 0, **options) -> CollaborativeExpertsModule:
    """A layer whose every part has a say: `out` and `score` of a fresh one are zero or small."""
    torch.manual_seed(seed)
    module = CollaborativeExpertsModule(D, E, top_k, HIDDEN, RANK, **options)
    with torch.no_grad():
        module.router.normal_(std=0.3)
        module.experts.gate_up.normal_(std=0.2)
        module.experts.down.normal_(std=0.2)
        if module.meeting is not None:
            module.meeting.score.normal_(std=0.3)
        if module.peers is not None:
            module.peers.out.normal_(std=0.5)
        for added in (module.consensus, module.refine):
            if added is not None:
                added.normal_(std=0.5)
    return module


def unit(v: Tensor) -> Tensor:
    return v / v.square().mean().add(1e-12).sqrt()


def attend(queries: Tensor, keys: Tensor, values: Tensor, norm: bool) -> tuple[Tensor, Tensor]:
    r = queries.shape[-1]
    if norm:
        queries, keys = (v / v.square().mean(-1, keepdim=True).add(1e-6).sqrt() for v in (queries, keys))
    weights = (queries @ keys.T / math.sqrt(r)).softmax(-1)
    return weights @ values, weights


def by_hand(module: CollaborativeExpertsModule, x: Tensor, bias: Tensor | None = None) -> list[dict]:
    """The definition, token by token, every expert run to its end: no deferring, no sorting, no folding. float64."""
    p = {name: tensor.double() for name, tensor in module.named_parameters()}  # of a module in float64: the parameters themselves
    minutes = []
    for token in x.reshape(-1, D).double():
        outputs, hiddens = [], []
        for e in range(E):
            gate, up = p["experts.gate_up"][e, :HIDDEN] @ token, p["experts.gate_up"][e, HIDDEN:] @ token
            hiddens.append(gate * torch.sigmoid(gate) * up)
            outputs.append(p["experts.down"][e] @ hiddens[e])
        before = p["router"] @ token
        scores = before.clone()
        if "summary" in p:
            said = [unit(p["summary"] @ y) for y in outputs]
        if "meeting.score" in p:
            told = torch.stack([said[e] + p["meeting.names"][e] for e in range(E)])
            q, k, v = ((told @ w.T) for w in p["meeting.qkv"].split(RANK))
            heard, _ = attend(q, k, v, module.meeting.norm)
            for e in range(E):
                informed = unit(told[e] + p["meeting.out"] @ heard[e])
                scores[e] += p["meeting.score"][e] @ informed
                if "refine" in p:
                    outputs[e] = p["experts.down"][e] @ (hiddens[e] * (1 + p["refine"][e] @ informed))
        if bias is not None:
            scores = scores + bias.double()
        probabilities = scores.softmax(0)
        chosen = list(range(E)) if module.soft else scores.argsort(descending=True)[: module.top_k].tolist()
        weights = probabilities[chosen]
        weights = weights / weights.sum() if len(chosen) > 1 else weights
        parts = [outputs[e] for e in chosen]
        peers = None
        if "peers.out" in p:
            told = torch.stack([said[e] + p["peers.names"][e] for e in chosen])
            others = torch.stack([said[e] + p["peers.names"][e] for e in range(E)]) if module.cross_all else told
            wq, wk, wv = p["peers.qkv"].split(RANK)
            learned, peers = attend(told @ wq.T, others @ wk.T, others @ wv.T, module.peers.norm)
            parts = [part + p["peers.out"] @ o / math.sqrt(RANK) for part, o in zip(parts, learned, strict=True)]
        out = sum(w * part for w, part in zip(weights, parts, strict=True))
        if "consensus" in p:
            out = out + p["consensus"] @ sum(share * s for share, s in zip(probabilities, said, strict=True)) / math.sqrt(RANK)
        minutes.append(
            dict(out=out, before=before, after=scores, chosen=chosen, weights=weights, peers=peers, parts=parts, p=probabilities)
        )
    return minutes


def relative(a: Tensor, b: Tensor) -> float:
    return float(((a.double() - b).abs().max() / b.abs().max()).detach())


@pytest.mark.parametrize("tokens", [1, 3, 4, 5, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_layer_equals_every_expert_run_to_its_end(kind, tokens):
    """MC-03, MC-04: deferring, sorting, folding and the path for few tokens change the work, not the function: 1e-6, same choice."""
    module = layer(**KINDS[kind])
    x = torch.randn(1, tokens, D)
    bias = torch.linspace(-0.5, 0.5, E)
    with torch.no_grad():
        expected = by_hand(module, x, bias)
        out, _, routing = module(x, bias=bias, want_routing=True)
        plain, _, _ = module(x, bias=bias)
    assert relative(out[0], torch.stack([token["out"] for token in expected])) < 1e-6
    torch.testing.assert_close(plain, out, rtol=1e-5, atol=1e-6)  # asking for the minutes changes nothing
    assert routing.chosen[0].tolist() == [token["chosen"] for token in expected]
    for name in ("before", "after", "weights"):
        assert relative(getattr(routing, name)[0], torch.stack([token[name] for token in expected])) < 2e-6, name
    norms = torch.stack([torch.stack([w * part for w, part in zip(t["weights"], t["parts"], strict=True)]).norm(dim=-1) for t in expected])
    assert relative(routing.contributions[0], norms) < 2e-6
    if expected[0]["peers"] is None:
        assert routing.peers is None
    else:
        assert relative(routing.peers[0], torch.stack([token["peers"] for token in expected])) < 2e-6


@pytest.mark.parametrize("tokens", [3, 7])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_equal_those_of_the_plain_form(kind, tokens):
    """The trained path is the deferred one; autograd through the definition in float64 must agree."""
    module = layer(**KINDS[kind])
    x = torch.randn(1, tokens, D)
    module(x)[0].square().sum().backward()
    twin = copy.deepcopy(module).double()
    twin.zero_grad()
    sum(token["out"].square().sum() for token in by_hand(twin, x.double())).backward()
    for (name, ours), theirs in zip(module.named_parameters(), twin.parameters(), strict=True):
        if theirs.grad is None:
            assert ours.grad is None or not ours.grad.any(), name
        else:
            assert relative(ours.grad, theirs.grad) < 1e-4, name


@pytest.mark.parametrize("kind", ["collaborative", "top_k"])
def test_one_chosen_expert_keeps_the_router_learning(kind):
    """MC-05: w / Σw would be 1 for one expert and the router's gradient 0; peer attention over one is the identity, its loss 0."""
    module = layer(top_k=1, kind=kind)
    assert module.peers is None
    out, sums, routing = module(torch.randn(1, 30, D), want_sums=True, want_routing=True)
    out.square().sum().backward()
    assert module.router.grad.abs().max() > 1e-4
    assert sums.sameness == 0 and routing.peers is None and bool((routing.weights < 1).all())


def test_all_experts_chosen_equals_soft_all():
    x = torch.randn(2, 5, D)
    soft, every = layer(kind="soft_all"), layer(top_k=E, kind="top_k")
    torch.testing.assert_close(soft(x)[0], every(x)[0], rtol=1e-5, atol=1e-6)


def test_equal_experts_are_the_dense_layer():
    """Weights of two or more chosen sum to 1, so copies of one layer give that layer."""
    module, dense = layer(peer_attention=False), SwiGLU(D, HIDDEN)
    with torch.no_grad():
        module.experts.gate_up.copy_(torch.cat([dense.gate_proj.weight, dense.up_proj.weight]))
        module.experts.down.copy_(dense.down_proj.weight)
    x = torch.randn(2, 9, D)
    torch.testing.assert_close(module(x)[0], dense(x), rtol=1e-5, atol=1e-7)


def test_every_expert_learns_from_few_tokens_with_the_meeting():
    """With a linear router an expert that nobody chose gets nothing; the meeting hears all, so all learn, even in a fresh layer."""
    torch.manual_seed(0)
    x = torch.randn(1, 2, D)
    for meeting in (True, False):
        module = CollaborativeExpertsModule(D, E, 1, HIDDEN, RANK, meeting=meeting)
        module(x)[0].square().sum().backward()
        learning = (module.experts.gate_up.grad.flatten(1).norm(dim=1) > 0).sum()
        assert learning == E if meeting else learning <= 2


def test_meeting_gradient_scales_what_reaches_the_experts():
    """What an expert that was not chosen gets comes from the meeting alone."""
    x, norms = torch.randn(1, 1, D), {}
    for part in (1.0, 0.5, 0.0):
        module = layer(top_k=1, meeting_gradient=part)
        out, _, routing = module(x, want_routing=True)
        out.square().sum().backward()
        others = [e for e in range(E) if e != int(routing.chosen)]
        norms[part] = module.experts.gate_up.grad[others].norm()
    assert norms[1.0] > 0 and norms[0.0] == 0
    torch.testing.assert_close(norms[0.5], norms[1.0] / 2, rtol=1e-4, atol=0)


def test_kept_fold_follows_the_weights():
    """Decoding keeps summary · down between calls; a training step, a loaded or moved weight in between must be seen."""
    module, x = layer().eval(), torch.randn(1, 1, D)
    with torch.no_grad():
        module(x)
        assert module._fold is not None
        module.experts.down.mul_(-1.5)
        changed = module(x)[0]
        module.load_state_dict(layer(seed=1).state_dict())
        loaded = module(x)[0]
    fresh = layer()
    with torch.no_grad():
        fresh.experts.down.mul_(-1.5)
        assert torch.equal(changed, fresh(x)[0]) and torch.equal(loaded, layer(seed=1)(x)[0])
    assert copy.deepcopy(module)._fold is None and module.double()._fold is None
    with torch.inference_mode():
        assert torch.equal(layer(seed=1)(x)[0], loaded)


def test_muted_expert_is_never_chosen_and_a_favoured_one_always():
    module, x = layer(), torch.randn(3, 20, D)
    bias = torch.zeros(E)
    bias[2], bias[4] = -math.inf, 50.0
    out, sums, routing = module(x, bias=bias, want_sums=True, want_routing=True)
    assert not bool((routing.chosen == 2).any()) and bool((routing.chosen == 4).any(-1).all())
    assert all(bool(value.isfinite().all()) for value in (out, *sums)) and sums.load[2] == 0 == sums.importance[2]
    out.sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in module.parameters())


def test_scores_far_apart_give_no_nan():
    """The weights of the chosen underflow to 0/0 when they are cut out of a softmax over all, and -p log p to nan."""
    module, x = layer(), torch.randn(1, 12, D)
    bias = torch.tensor([400.0, 150.0, 0, 0, 0, -300])
    out, sums, routing = module(x, bias=bias, want_sums=True, want_routing=True)
    (out.sum() + sums.z + sums.sameness + sums.importance.square().sum()).backward()
    assert all(bool(value.isfinite().all()) for value in (out, *sums, routing.weights))
    assert all(bool(p.grad.isfinite().all()) for p in module.parameters())


def test_no_tokens_give_no_tokens():
    for kind in KINDS:
        assert layer(**KINDS[kind])(torch.zeros(0, 3, D))[0].shape == (0, 3, D)


@pytest.mark.parametrize("kind", ["moc", "top_k", "soft_all"])
def test_padding_does_not_count(kind):
    """Sums over a padded batch are those of the texts alone; without the mask they are not."""
    module = layer(**KINDS[kind])
    x = torch.randn(2, 8, D)
    mask = torch.ones(2, 8, dtype=torch.bool)
    mask[1, :5] = False
    masked = module(x, mask=mask, want_sums=True)[1]
    short = [module(x[:1], want_sums=True)[1], module(x[1:, 5:], want_sums=True)[1]]
    for name, value in masked._asdict().items():
        torch.testing.assert_close(value, sum(getattr(sums, name) for sums in short), rtol=1e-5, atol=1e-5)
    assert masked.tokens == 11 and not torch.allclose(module(x, want_sums=True)[1].importance, masked.importance, rtol=1e-2)


def test_tokens_do_not_see_each_other():
    module, x = layer(), torch.randn(1, 10, D)
    changed = x.clone()
    changed[0, 6:] = torch.randn(4, D)
    torch.testing.assert_close(module(x)[0][0, :6], module(changed)[0][0, :6], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(module(x)[0][0, 3:4], module(x[:, 3:4])[0][0], rtol=1e-5, atol=1e-6)


def test_half_precision_routes_in_full_precision():
    """Same inputs, rounded to bfloat16: the scores may differ by that rounding, not by bfloat16 arithmetic in router and softmax."""
    module = layer(kind="top_k").bfloat16()
    x = torch.randn(1, 50, D).bfloat16()
    out, sums, routing = module(x, want_sums=True, want_routing=True)
    exact = x[0].double() @ module.router.double().T
    assert out.dtype == torch.bfloat16 and routing.before.dtype == sums.importance.dtype == torch.float32
    assert relative(routing.before[0], exact) < 1e-6
    with torch.autocast("cpu", torch.bfloat16):
        out, _, routing = layer()(x.float(), want_routing=True)
    assert relative(routing.before[0], x[0].double() @ layer().router.double().T) < 1e-6
    assert bool(layer().bfloat16()(x)[0].isfinite().all())


def test_top_k_out_of_range_is_refused():
    for k in (0, E + 1):
        with pytest.raises(ValueError, match=f"top_k must be from 1 to n_experts {E}, got {k}; try 2"):
            CollaborativeExpertsModule(D, E, k, HIDDEN, RANK)


@pytest.mark.parametrize("options", [{"consensus": True, "meeting": False}, {"refine": True, "kind": "top_k"}])
def test_consensus_and_refine_without_a_meeting_are_refused(options):
    with pytest.raises(ValueError, match="consensus and refine need kind 'collaborative' and a meeting, got"):
        CollaborativeExpertsModule(D, E, K, HIDDEN, RANK, **options)


def test_many_tokens_are_taken_in_parts_without_a_seam(monkeypatch):
    """Without gradients a long text goes through the layer in parts; nobody must see where they meet, nor in the sums."""
    module, x = layer(), torch.randn(2, 45, D)
    mask = torch.rand(2, 45) > 0.2
    with torch.no_grad():
        whole = module(x, mask=mask, want_sums=True, want_routing=True)
        monkeypatch.setattr(experts, "AT_ONCE", 32)
        parts = module(x, mask=mask, want_sums=True, want_routing=True)
    for a, b in zip((whole[0], *whole[1], *whole[2]), (parts[0], *parts[1], *parts[2]), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_consensus_teaches_the_router_about_experts_that_were_not_chosen():
    """Top-k gives the router a gradient through the chosen alone; every expert's probability has a say in the consensus."""

    def rows_with_gradient(**options) -> int:
        module = layer(**options)
        module.meeting.score.data.zero_()
        module(torch.randn(1, 1, D))[0].square().sum().backward()
        return int((module.router.grad.abs().sum(-1) > 1e-7).sum())

    assert rows_with_gradient() == K and rows_with_gradient(consensus=True) == E


def test_fresh_consensus_and_refine_change_nothing():
    """Their matrices start at zero, so a model that is made with them begins where it would have begun without."""
    torch.manual_seed(0)
    module = CollaborativeExpertsModule(D, E, K, HIDDEN, RANK, consensus=True, refine=True)
    torch.manual_seed(0)
    plain = CollaborativeExpertsModule(D, E, K, HIDDEN, RANK)
    plain.load_state_dict({name: p for name, p in module.state_dict().items() if name not in ("consensus", "refine")})
    x = torch.randn(1, 9, D)
    torch.testing.assert_close(module(x)[0], plain(x)[0])


# --- losses ----------------------------------------------------------------------------------------------------------------------


def sums_of(chosen: Tensor, probabilities: Tensor) -> RoutingSums:
    zero = torch.zeros(())
    load = F.one_hot(chosen, E).float().mean(1).sum(0)
    return RoutingSums(load, probabilities.sum(0), torch.tensor(float(len(chosen))), zero, zero, zero)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_balance_is_1_when_even_and_e_over_k_when_collapsed(k):
    even = torch.stack([torch.arange(i, i + k) % E for i in range(E)])
    balance, load = load_balance([sums_of(even, torch.full((E, E), 1 / E))])
    torch.testing.assert_close(balance, torch.ones(1))
    torch.testing.assert_close(load, torch.full((1, E), 1 / E))
    collapsed = torch.arange(k).expand(E, k)
    probabilities = F.one_hot(collapsed, E).float().mean(1)
    torch.testing.assert_close(load_balance([sums_of(collapsed, probabilities)])[0], torch.full((1,), E / k))


def test_balance_keeps_layers_apart():
    """Two layers that collapsed to different halves look even when their tokens are pooled."""
    low, high = torch.tensor([[0, 1, 2]] * 4), torch.tensor([[3, 4, 5]] * 4)
    both = [sums_of(c, F.one_hot(c, E).float().mean(1)) for c in (low, high)]
    torch.testing.assert_close(load_balance(both)[0], torch.full((2,), 2.0))


def test_balance_gradient_lowers_the_busy_experts_probability():
    scores = torch.zeros(1, E, requires_grad=True)
    chosen = torch.zeros(1, 1, dtype=torch.long)
    load_balance([sums_of(chosen, scores.softmax(-1))])[0].sum().backward()
    assert scores.grad[0, 0] > 0 and bool((scores.grad[0, 1:] < 0).all())


def test_a_step_against_the_diversity_loss_spreads_the_peer_attention():
    """The sign (MC-06): minimising 1 - H/log m raises the entropy."""
    module, x = layer(meeting_norm=False), torch.randn(1, 64, D)
    before = module(x, want_sums=True)[1].sameness / 64
    before.backward()
    with torch.no_grad():
        module.peers.qkv -= 0.5 * module.peers.qkv.grad / module.peers.qkv.grad.norm()
    after = module(x, want_sums=True)[1].sameness / 64
    assert 0 < after < before < 1


@pytest.mark.parametrize("cross_all", [False, True])
def test_diversity_is_0_for_even_attention_and_1_for_one_sided(cross_all):
    module, x = layer(cross_all=cross_all, meeting_norm=False), torch.randn(1, 9, D)
    with torch.no_grad():
        qkv = module.peers.qkv
        qkv[:RANK] = 0  # no question: all peers are alike
        assert abs(float(module(x, want_sums=True)[1].sameness)) < 1e-5
        qkv[:RANK] = 1e6 * torch.randn(RANK, RANK)
        assert float(module(x, want_sums=True)[1].sameness) / 9 > 0.98


def test_stacked_experts_paths_agree():
    torch.manual_seed(0)
    experts, x = StackedExperts(D, E, HIDDEN), torch.randn(7, D)
    chosen = torch.stack([torch.randperm(E)[:K] for _ in range(7)])
    many = experts.outputs(x, chosen)
    torch.testing.assert_close(experts.outputs(x, chosen, experts.hidden(x)), many, rtol=1e-5, atol=1e-7)
    with torch.no_grad():
        few = torch.cat([experts.outputs(x[i : i + 2], chosen[i : i + 2]) for i in range(0, 7, 2)])
    torch.testing.assert_close(few, many, rtol=1e-5, atol=1e-7)


def _balance_a_share(rank: int, folder: Path) -> None:
    """What one of two processes does with its part of 40 tokens."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.manual_seed(0)
    module = CollaborativeExpertsModule(D, E, K, HIDDEN, RANK)
    x = torch.randn(1, 40, D)
    share = x[:, :13] if rank == 0 else x[:, 13:]  # unequal: a mean of the processes' means would be wrong
    sums = module(share, want_sums=True)[1]
    balance, load = load_balance([sums], over_processes=True)
    (balance[0] * share.shape[1] / 40).backward()  # as the trainer weighs it, by tokens
    gradient = module.router.grad.clone()
    dist.all_reduce(gradient)
    alone, _ = load_balance([sums])
    torch.save({"balance": balance.detach(), "load": load, "gradient": gradient, "alone": alone.detach()}, folder / f"{rank}.pt")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are forked, which spares each the import of torch")
def test_balance_of_two_processes_is_that_of_all_their_tokens(tmp_path, monkeypatch):
    """f · P is no mean over tokens: without global sums each process would balance its own share, and the loss depend on the split."""
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_balance_a_share, args=(rank, tmp_path), daemon=True) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    results = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    torch.manual_seed(0)
    module = CollaborativeExpertsModule(D, E, K, HIDDEN, RANK)
    balance, load = load_balance([module(torch.randn(1, 40, D), want_sums=True)[1]], over_processes=True)  # no group: nothing to sum
    balance[0].backward()
    for result in results:
        torch.testing.assert_close(result["balance"], balance.detach())
        torch.testing.assert_close(result["load"], load)
        torch.testing.assert_close(result["gradient"], module.router.grad, rtol=1e-4, atol=1e-7)
    assert abs(float(results[0]["alone"] - balance.detach())) > 1e-3
