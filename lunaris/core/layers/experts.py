"""Feed-forward layers: SwiGLU (Shazeer 2020), sparse experts (Shazeer et al. 2017; Switch: Fedus et al. 2022) and the Mixture of
Collaborative Experts (MC-01, MC-03…06), whose experts confer twice: before the choice (the meeting) and after it (the peers).

    x ──> every expert's hidden h_e ──> summary s_e ──> MEETING over the experts of one token ──> scores ──> the k chosen
                    │                       │                                                                │
                    └── down-projection of the chosen alone ──> y_j ──> PEER ATTENTION among the k ──> Σ w_j (y_j + o_j)

b batch · t tokens · n = b·t tokens in a row · d width · e experts · f hidden width of one expert · k chosen · r rank of a summary
m experts that a chosen one looks at: k or e
h_e = silu(x G_e) · (x U_e)  hidden activation (f)      y_e = h_e D_e  output (d)      s_e = y_e P  summary (r)

*Deferred down-projection.* The meeting reads summaries only, and y_e P = h_e (D_e P). The folded D_e P (f x r) is small, so all experts
are heard for the price of their hidden activations, and D_e itself runs for the chosen alone. It is the same function as running every
expert to its end, not an approximation: 2e + k matrices' work instead of 3e.

A token's experts see that token only: what happens here cannot leak from a later token to an earlier one.
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lunaris.core.layers.attention import rms_norm

Kind = Literal["collaborative", "switch", "top_k", "soft_all"]
FEW_TOKENS = 4  # up to so many, reading the weights is what costs: all experts' inputs in one product, outputs one by one
AT_ONCE = 1024  # without gradients, tokens are taken in such parts: their activations are used again before they have left the cache
TINY = 1e-12  # added to the mean square of a summary, which is small in a fresh model: 1e-6 would drown it


class Routing(NamedTuple):
    """The council's minutes, per token: what a viewer shows (MC-13).

    before         scores (logits) of the linear router alone
    after          the scores that decided: with the meeting's say and the caller's bias
    chosen         the k experts, best first (soft_all: all, in order)
    weights        their weights, in that order; they sum to 1 unless k is 1
    peers          how much each chosen expert (row) looks at each chosen one, or at all; None without peer attention
    contributions  norm of each chosen expert's part of the layer's output; the parts themselves sum to the output (less the consensus)
    """

    before: Float[Tensor, "b t e"]
    after: Float[Tensor, "b t e"]
    chosen: Int[Tensor, "b t k"]
    weights: Float[Tensor, "b t k"]
    peers: Float[Tensor, "b t k m"] | None
    contributions: Float[Tensor, "b t k"]


class RoutingSums(NamedTuple):
    """Sums over the counted tokens (padding is not counted), from which the auxiliary losses are made (MC-06). float32.

    load        choices per expert: each token gives 1/k to each expert it chose; no gradient
    importance  probabilities, of the softmax over all experts
    tokens      how many tokens were counted
    sameness    1 - H/log m of the peer attention, mean of the token's k rows; 0 where there is no peer
    z           square of the scores' logsumexp (ST-MoE's router z-loss, Zoph et al. 2022)
    entropy     of the probabilities, nats; no gradient
    """

    load: Float[Tensor, "e"]
    importance: Float[Tensor, "e"]
    tokens: Float[Tensor, ""]
    sameness: Float[Tensor, ""]
    z: Float[Tensor, ""]
    entropy: Float[Tensor, ""]


# --- experts --------------------------------------------------------------------------------------------------------------------


class SwiGLU(nn.Module):
    """down(silu(gate x) · up x): the dense feed-forward layer, and each expert's form."""

    def __init__(self, d_model: int, hidden: int):
        super().__init__()
        self.gate_proj = nn.Linear(d_model, hidden, bias=False)
        self.up_proj = nn.Linear(d_model, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, d_model, bias=False)

    def forward(self, x: Float[Tensor, "*axes d"]) -> Float[Tensor, "*axes d"]:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class StackedExperts(nn.Module):
    """`n_experts` SwiGLU layers in two tensors: gate_up (e, 2f, d), gate rows above up rows, and down (e, d, f).

    Work goes expert by expert: on a CPU that is faster than one batched product, because one expert's activations stay in the cache.
    """

    def __init__(self, d_model: int, n_experts: int, hidden: int):
        super().__init__()
        self.gate_up = nn.Parameter(torch.empty(n_experts, 2 * hidden, d_model))
        self.down = nn.Parameter(torch.empty(n_experts, d_model, hidden))
        self.reset_parameters()

    def reset_parameters(self, std: float = 0.02, out_std: float = 0.02) -> None:
        nn.init.normal_(self.gate_up, std=std)
        nn.init.normal_(self.down, std=out_std)

    def forward(self, x: Float[Tensor, "n d"], work: Callable[["StackedExperts", Tensor], Any]) -> Any:
        """`work(self, x)`. Whoever uses the experts does it in here: PEFT's `target_parameters` has an adapter in the weights of a module
        while that module is called, and no longer."""
        return work(self, x)

    def hidden(self, x: Float[Tensor, "n d"]) -> Tensor | tuple[Tensor, ...]:
        """Every expert's hidden activations for every token: e tensors (n, f), for few tokens as one (e, n, f)."""
        if len(x) <= FEW_TOKENS:
            both = self.gate_up @ x.t()  # (e, 2f, n); one product of a few rows reads memory at twice the speed of F.linear
            gate, up = both.chunk(2, dim=1)
            return (F.silu(gate) * up).transpose(1, 2)
        return tuple(_swiglu(x, weight) for weight in self.gate_up.unbind())  # unbind's backward writes each slice once

    def outputs(
        self,
        x: Float[Tensor, "n d"],
        chosen: Int[Tensor, "n k"],
        hidden: Tensor | tuple[Tensor, ...] | None = None,
        gains: tuple[Float[Tensor, "n e r"], Float[Tensor, "e f r"]] | None = None,
    ) -> Float[Tensor, "n k d"]:
        """The outputs of each token's chosen experts; `hidden` saves half the way where `self.hidden(x)` is there already.

        gains  what every expert heard, and each one's matrix that makes of it 1 + … as a factor on its hidden units; needs `hidden`
        """
        n, k = chosen.shape
        few = n <= FEW_TOKENS and not x.is_cuda and not torch.is_grad_enabled()
        inputs, downs = (self.gate_up, self.down) if few else (self.gate_up.unbind(), self.down.unbind())

        def run(expert: int, tokens: Tensor | slice) -> Tensor:
            if gains is not None:
                heard, turns = (part.to(x.dtype) for part in (_rows(gains[0], tokens)[:, expert], gains[1][expert]))
                return F.linear(_rows(hidden[expert], tokens) * (1 + F.linear(heard, turns)), downs[expert])
            if hidden is not None:
                return F.linear(_rows(hidden[expert], tokens), downs[expert])
            return F.linear(_swiglu(_rows(x, tokens), inputs[expert]), downs[expert])

        if few:
            pieces = [run(expert, slice(i, i + 1)) for i, row in enumerate(chosen.tolist()) for expert in row]
            return torch.cat(pieces or [x]).view(n, k, x.shape[1])
        slots = chosen.flatten()  # slot i is choice i % k of token i // k
        order = slots.argsort(stable=True)
        tokens = (order // k).split(slots.bincount(minlength=len(downs)).tolist())  # one wait per layer on a GPU
        pieces = [run(expert, rows) for expert, rows in enumerate(tokens) if len(rows)]
        return torch.cat(pieces or [x]).index_select(0, _inverse(order)).view(n, k, x.shape[1])

    def mixed(self, x: Float[Tensor, "n d"], weights: Float[Tensor, "n e"]) -> Float[Tensor, "n d"]:
        """Every expert's output times its weight, summed."""
        parts = zip(self.hidden(x), weights.to(x.dtype).unbind(1), self.down.unbind(), strict=True)
        return torch.stack([F.linear(h * w[:, None], down) for h, w, down in parts]).sum(0)


def _swiglu(x: Float[Tensor, "n d"], gate_up: Float[Tensor, "f2 d"]) -> Float[Tensor, "n f"]:
    gate, up = gate_up.split(len(gate_up) // 2)  # two products: each gives a contiguous tensor
    activated, factor = F.linear(x, gate), F.linear(x, up)
    if torch.is_grad_enabled():
        return F.silu(activated) * factor
    return F.silu(activated, inplace=True).mul_(factor)  # in fresh memory, touching it for the first time would cost more than the maths


def _rows(x: Tensor, rows: Tensor | slice) -> Tensor:
    return x[rows] if isinstance(rows, slice) else x.index_select(0, rows)


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    return parts[0] if len(parts) == 1 or parts[0] is None else torch.cat(parts)


def _pick(summaries: Float[Tensor, "n e r"], chosen: Int[Tensor, "n k"]) -> Float[Tensor, "n k r"]:
    """Of each token its chosen experts' summaries."""
    if len(chosen) == 1:
        return summaries.index_select(1, chosen[0])
    rows = chosen + torch.arange(len(chosen), device=chosen.device)[:, None] * summaries.shape[1]
    return summaries.flatten(0, 1).index_select(0, rows.flatten()).unflatten(0, chosen.shape)


def _inverse(order: Int[Tensor, "n"]) -> Int[Tensor, "n"]:
    """The permutation that undoes `order`."""
    return torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))


# --- how they confer --------------------------------------------------------------------------------------------------------------


class Meeting(nn.Module):
    """Before the choice (MC-03): self-attention over the experts of one token, and what each expert's score gains by it.

    Plain parameters instead of nn.Linear, here and below: whoever adapts or quantises "all linear layers" leaves the router alone, and
    all of it is reckoned in float32. `score` starts small, so that a fresh model is routed by the linear router and the meeting grows
    into its say; not at zero, since then no expert that is not chosen would get a gradient.
    """

    ROWS_ALONE = ("names", "score")

    def __init__(self, n_experts: int, rank: int, *, norm: bool = True):
        super().__init__()
        self.norm = norm
        self.names = nn.Parameter(torch.empty(n_experts, rank))  # who speaks
        self.qkv = nn.Parameter(torch.empty(3 * rank, rank))
        self.out = nn.Parameter(torch.empty(rank, rank))
        self.score = nn.Parameter(torch.empty(n_experts, rank))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        rank = len(self.out)
        nn.init.normal_(self.names, std=0.1)
        nn.init.normal_(self.qkv, std=rank**-0.5)
        nn.init.normal_(self.out, std=rank**-0.5)
        nn.init.normal_(self.score, std=0.02)

    def forward(self, summaries: Float[Tensor, "n e r"]) -> tuple[Float[Tensor, "n e"], Float[Tensor, "n e r"]]:
        """What to add to the experts' scores, from their normalised summaries, and what each expert knows then (float32)."""
        told = summaries + self.names.float()
        q, k, v = _query_key_value(told, self.qkv, self.norm)
        heard = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]  # each token is a text of e experts
        informed = rms_norm(told + F.linear(heard, self.out.float()), TINY)
        return (informed * self.score.float()).sum(-1), informed


class PeerAttention(nn.Module):
    """After the choice (MC-04): each chosen expert looks at its peers' summaries and adds what it learns to its output.

    `out` starts at zero, so a fresh layer, and one made from a model without, adds nothing at first.
    """

    ROWS_ALONE = ("names",)

    def __init__(self, d_model: int, n_experts: int, rank: int, *, norm: bool = True):
        super().__init__()
        self.norm = norm
        self.names = nn.Parameter(torch.empty(n_experts, rank))
        self.qkv = nn.Parameter(torch.empty(3 * rank, rank))
        self.out = nn.Parameter(torch.empty(d_model, rank))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.names, std=0.1)
        nn.init.normal_(self.qkv, std=self.out.shape[1] ** -0.5)
        nn.init.zeros_(self.out)

    def forward(
        self, chosen: Float[Tensor, "n k r"], ids: Int[Tensor, "n k"], all_summaries: Float[Tensor, "n e r"] | None
    ) -> tuple[Float[Tensor, "n k r"], Float[Tensor, "n k m"]]:
        """What each chosen expert learned (`out` takes it to width d), and the attention: rows sum to 1 (float32).

        chosen         normalised summaries of the chosen experts `ids`
        all_summaries  of all experts, when the chosen look at all; None = at each other
        """
        names = self.names.float()
        q, k, v = _query_key_value(chosen + names[ids], self.qkv, self.norm)
        if all_summaries is not None:
            _, k, v = _query_key_value(all_summaries + names, self.qkv, self.norm)
        attention = torch.bmm(q / math.sqrt(q.shape[-1]), k.transpose(1, 2)).softmax(-1)  # explicit: its entropy is a loss
        # Unscaled, √r large values made the gradient of `out` 50 times that of the experts, and its first steps too long.
        return torch.bmm(attention, v) / math.sqrt(q.shape[-1]), attention


def _query_key_value(told: Float[Tensor, "n a r"], weight: Float[Tensor, "r3 r"], norm: bool) -> tuple[Tensor, ...]:
    """Queries, keys and values (n, a, r) in float32, the first two normalised if asked for."""
    both, v = F.linear(told, weight.float()).unflatten(-1, (3, -1)).split([2, 1], dim=2)
    q, k = (rms_norm(both) if norm else both).unbind(2)
    return q, k, v.squeeze(2)


# --- the layer --------------------------------------------------------------------------------------------------------------------


class CollaborativeExpertsModule(nn.Module):
    """A feed-forward layer of experts: MoC, its ablations, and the mixtures it is compared with.

    kind            collaborative; switch and top_k (a linear router, the chosen experts run, nothing else); soft_all (all run, softmax
                    weights). What follows from `meeting` on is of the collaborative kind alone
    top_k           1 … n_experts. Weights are the softmax over the chosen, which sums to 1 (Mixtral); with one chosen its
                    probability among all (Switch), since 1 would leave the router without a gradient
    meeting         every expert runs on every token, and the router reads their meeting beside the token
    peer_attention  the chosen refine their outputs together; nothing to do with one chosen, unless
    cross_all       the chosen look at all experts instead of at each other
    meeting_norm    queries and keys are normalised in both (QK-norm, Henry et al. 2020)
    meeting_gradient  part of the gradient of the summaries that goes on into the experts: they are small, so that normalising them makes
                    it large, and whole it may drown what the experts learn from their own outputs
    consensus       with a meeting: all summaries, weighted by all experts' probabilities, are added to the output through a matrix that
                    starts at zero. So every expert's probability gets a gradient, where top-k gives one to the chosen alone
    refine          with a meeting: what a chosen expert knows after it scales its hidden units, by 1 + a matrix that starts at zero

    Routing is reckoned in float32 whatever the dtype. A lower dtype still changes the scores it starts from, so a few tokens choose
    otherwise in bfloat16. Raises ValueError for a top_k out of range.
    """

    ROWS_ALONE = ("router",)  # one row an expert, for `core.optim`

    def __init__(
        self,
        d_model: int,
        n_experts: int,
        top_k: int,
        hidden: int,
        rank: int,
        *,
        kind: Kind = "collaborative",
        meeting: bool = True,
        peer_attention: bool = True,
        cross_all: bool = False,
        meeting_norm: bool = True,
        meeting_gradient: float = 1.0,
        consensus: bool = False,
        refine: bool = False,
    ):
        super().__init__()
        if not 1 <= top_k <= n_experts:
            raise ValueError(f"top_k must be from 1 to n_experts {n_experts}, got {top_k}; try {min(2, n_experts)}")
        if (consensus or refine) and not (kind == "collaborative" and meeting):
            raise ValueError(
                f"consensus and refine need kind 'collaborative' and a meeting, got {kind!r}, meeting {meeting}; leave them out"
            )
        self.n_experts, self.top_k = n_experts, n_experts if kind == "soft_all" else top_k
        self.soft = kind == "soft_all"
        self.cross_all, self.meeting_gradient = cross_all, meeting_gradient
        confer = kind == "collaborative"
        self.experts = StackedExperts(d_model, n_experts, hidden)
        self.router = nn.Parameter(torch.empty(n_experts, d_model))
        self.meeting = Meeting(n_experts, rank, norm=meeting_norm) if confer and meeting else None
        has_peers = confer and peer_attention and (top_k > 1 or cross_all)
        self.peers = PeerAttention(d_model, n_experts, rank, norm=meeting_norm) if has_peers else None
        self.hears_all = self.meeting is not None or (has_peers and cross_all)
        self.summary = nn.Parameter(torch.empty(rank, d_model)) if self.meeting is not None or has_peers else None
        self.consensus = nn.Parameter(torch.empty(d_model, rank)) if consensus else None
        self.refine = nn.Parameter(torch.empty(n_experts, hidden, rank)) if refine else None
        self._fold: tuple[tuple, Tensor] | None = None
        self.reset_parameters()

    def reset_parameters(self, std: float = 0.02, out_std: float = 0.02) -> None:
        """Fresh weights; `out_std` for those that write into the stream."""
        nn.init.normal_(self.router, std=std)
        if self.summary is not None:
            nn.init.normal_(self.summary, std=self.summary.shape[1] ** -0.5)
        for added in (self.consensus, self.refine):
            if added is not None:
                nn.init.zeros_(added)
        self.experts.reset_parameters(std, out_std)
        for part in (self.meeting, self.peers):
            if part is not None:
                part.reset_parameters()

    def forward(
        self,
        x: Float[Tensor, "b t d"],
        *,
        bias: Float[Tensor, "e"] | None = None,
        mask: Bool[Tensor, "b t"] | None = None,
        want_sums: bool = False,
        want_routing: bool = False,
    ) -> tuple[Float[Tensor, "b t d"], RoutingSums | None, Routing | None]:
        """The layer's output, and on request what the auxiliary losses and a viewer need.

        bias  added to the scores: favours an expert (> 0), or mutes it (-inf; at least k must be left, which the caller checks)
        mask  False for padding, which is computed as any token but not counted in the sums
        """
        b, t, d = x.shape

        def sittings(experts: StackedExperts, flat: Tensor) -> list[tuple[Tensor | None, ...]]:
            fold = self._folded(experts, len(flat)) if self.hears_all else None
            at_once = len(flat) if x.is_cuda or torch.is_grad_enabled() else AT_ONCE
            parts = flat.split(at_once) if len(flat) > at_once else [flat]
            return [self._sit(experts, part, bias, fold, want_routing) for part in parts]

        minutes = self.experts(x.reshape(-1, d), sittings)
        out, before, scores, chosen, weights, attention, norms = (_joined(parts) for parts in zip(*minutes, strict=True))

        sums = self._sums(scores, chosen, attention, None if mask is None else mask.reshape(-1)) if want_sums else None
        routing = None
        if want_routing:
            fields = (before, scores, chosen, weights, attention, norms)
            routing = Routing(*(None if field is None else field.detach().unflatten(0, (b, t)) for field in fields))
        return out.view(b, t, d), sums, routing

    def _sit(
        self,
        experts: StackedExperts,
        flat: Float[Tensor, "n d"],
        bias: Float[Tensor, "e"] | None,
        fold: Float[Tensor, "e r f"] | None,
        want_norms: bool,
    ) -> tuple[Tensor | None, ...]:
        """The council's sitting over some tokens: its output, and what `Routing` has of it, the norms if wanted."""
        hidden, summaries = None, None
        if fold is not None:
            hidden = experts.hidden(flat)
            summaries = self._summaries(hidden, fold)  # (n, e, r)
        with _full_precision(flat):
            before = F.linear(flat.float(), self.router.float())  # (n, e)
            gained, informed = (None, None) if self.meeting is None else self.meeting(summaries)
            scores = before if gained is None else before + gained
            scores = scores if bias is None else scores + bias.float()
            chosen, weights = self._choose(scores)

        dtype = flat.dtype
        if self.soft and not want_norms:
            return experts.mixed(flat, weights), before, scores, chosen, weights, None, None
        outputs = experts.outputs(flat, chosen, hidden, None if self.refine is None else (informed, self.refine))  # (n, k, d)
        learned, attention = self._confer(outputs, chosen, summaries, flat)
        out = torch.bmm(weights[:, None].to(dtype), outputs)[:, 0]
        if learned is not None:
            gathered = torch.bmm(weights[:, None], learned)[:, 0]  # the projection is linear: once per token, not per expert
            out = out + F.linear(gathered.to(dtype), self.peers.out.to(dtype))
        if self.consensus is not None:
            said = torch.bmm(scores.softmax(-1)[:, None], summaries)[:, 0] / math.sqrt(summaries.shape[-1])
            out = out + F.linear(said.to(dtype), self.consensus.to(dtype))
        norms = None
        if want_norms:
            parts = outputs if learned is None else outputs + F.linear(learned.to(dtype), self.peers.out.to(dtype))
            norms = (weights[..., None] * parts.float()).norm(dim=-1)
        return out, before, scores, chosen, weights, attention, norms

    def _choose(self, scores: Float[Tensor, "n e"]) -> tuple[Int[Tensor, "n k"], Float[Tensor, "n k"]]:
        """The k best experts and their weights."""
        if self.soft:
            return torch.arange(self.n_experts, device=scores.device).expand(len(scores), -1), scores.softmax(-1)
        best, chosen = scores.topk(self.top_k, dim=-1)
        if self.top_k == 1:
            return chosen, (best - scores.logsumexp(-1, keepdim=True)).exp()
        return chosen, best.softmax(-1)  # the same as probabilities over their sum, and no 0/0 when all of them underflow

    def _summaries(self, hidden: Tensor | tuple[Tensor, ...], fold: Float[Tensor, "e r f"]) -> Float[Tensor, "n e r"]:
        """What every expert tells the others: its output's rank-r image, normalised, without running its down-projection."""
        if isinstance(hidden, Tensor):
            summaries = torch.bmm(hidden, fold.transpose(1, 2)).transpose(0, 1)
        else:
            summaries = torch.stack([F.linear(h, part) for h, part in zip(hidden, fold.unbind(), strict=True)], dim=1)
        if self.meeting_gradient < 1 and torch.is_grad_enabled():
            part = self.meeting_gradient
            summaries = summaries.detach() if part == 0 else summaries * part + summaries.detach() * (1 - part)
        return rms_norm(summaries.float(), TINY)

    def _folded(self, experts: StackedExperts, n: int) -> Float[Tensor, "e r f"]:
        """summary · down of every expert. Kept between calls that bring few tokens, for which it would cost more than all else; but not
        when something wraps the experts or stands in for a weight: that changes in silence."""
        weights = (self.summary, experts.down)
        own = self.experts is experts and all(isinstance(w, nn.Parameter) for w in weights)
        if not own:
            self._fold = None
        if not own or n > FEW_TOKENS or torch.is_grad_enabled() or any(w.is_inference() for w in weights):  # those count no changes
            return self._fold_now(experts)
        stamp = tuple((w.data_ptr(), w.dtype, w.device, w._version) for w in weights)
        kept = self._fold  # read once: another thread may put its own in between
        if kept is None or kept[0] != stamp:
            kept = self._fold = stamp, self._fold_now(experts)
        return kept[1]

    def _fold_now(self, experts: StackedExperts) -> Float[Tensor, "e r f"]:
        return torch.stack([self.summary @ down for down in experts.down.unbind()])  # `summary @ down` would copy down first

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "experts":  # wrapped, or unwrapped again, and an adapter merged meanwhile without a trace in `_version`
            self._fold = None
        super().__setattr__(name, value)

    def _apply(self, fn, recurse: bool = True):
        self._fold = None
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_fold": None}  # a copy of the module makes its own

    def _confer(
        self,
        outputs: Float[Tensor, "n k d"],
        chosen: Int[Tensor, "n k"],
        summaries: Float[Tensor, "n e r"] | None,
        x: Float[Tensor, "n d"],
    ) -> tuple[Float[Tensor, "n k r"] | None, Float[Tensor, "n k m"] | None]:
        if self.peers is None:
            return None, None
        if summaries is None:
            theirs = rms_norm(F.linear(outputs, self.summary.to(outputs.dtype)).float(), TINY)
        else:
            theirs = _pick(summaries, chosen)
        with _full_precision(x):
            return self.peers(theirs, chosen, summaries if self.cross_all else None)

    def _sums(
        self,
        scores: Float[Tensor, "n e"],
        chosen: Int[Tensor, "n k"],
        attention: Float[Tensor, "n k m"] | None,
        mask: Bool[Tensor, "n"] | None,
    ) -> RoutingSums:
        with _full_precision(scores):
            counted = torch.ones_like(scores[:, 0]) if mask is None else mask.float()
            log_z = scores.logsumexp(-1)
            probabilities = scores.softmax(-1)
            votes = (counted / self.top_k)[:, None].expand_as(chosen)
            load = torch.zeros_like(scores[0]).index_add_(0, chosen.flatten(), votes.flatten())
            if attention is None or attention.shape[-1] == 1:
                sameness = scores.new_zeros(())
            else:
                entropy = torch.special.entr(attention).sum(-1).mean(-1)  # entr(0) = 0, where -p log p is nan
                sameness = (1 - entropy / math.log(attention.shape[-1])) @ counted
            return RoutingSums(
                load=load.detach(),
                importance=counted @ probabilities,
                tokens=counted.sum(),
                sameness=sameness,
                z=log_z.square() @ counted,
                entropy=(torch.special.entr(probabilities).sum(-1) @ counted).detach(),
            )


def _full_precision(x: Tensor) -> contextlib.AbstractContextManager:
    """A context without autocast, which would reckon the router in half precision."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else contextlib.nullcontext()


# --- losses -----------------------------------------------------------------------------------------------------------------------


def load_balance(sums: Sequence[RoutingSums], *, over_processes: bool = False) -> tuple[Float[Tensor, "layers"], Float[Tensor, "layers e"]]:
    """Switch's balance loss of each layer, and each expert's share of the choices (rows sum to 1).

    Layer by layer e · Σ_i f_i P_i, with f_i the share of choices (no gradient) and P_i the mean probability of expert i, both summing
    to 1: 1 when all experts are used alike, e/k when the same k always are. (transformers' own lets f sum to k and pools the layers: k
    and e, and a collapsed layer can hide behind the others.)

    over_processes  f and P are those of all processes' tokens: every process must call this equally often. P keeps the gradient of this
                    process's own mean, so that the mean of the processes' gradients, weighted by tokens, is the global loss's gradient.
    """
    load = torch.stack([layer.load for layer in sums])
    importance = torch.stack([layer.importance for layer in sums])
    tokens = sums[0].tokens
    mean = importance / tokens.clamp(min=1)
    if over_processes and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        flat = torch.cat([load.flatten(), importance.detach().flatten(), tokens[None]])
        dist.all_reduce(flat)
        load, importance = flat[:-1].view(2, *load.shape)
        tokens = flat[-1]
        mean = mean + (importance / tokens.clamp(min=1) - mean).detach()
    share = load / tokens.clamp(min=1)
    return load.shape[1] * (share * mean).sum(-1), share
