"""One token at a time through a MoC, without what a general forward pass costs: the `Stepper` of `core.decoding`.

A step is a chain of products of a matrix with one vector, so what it costs is reading the weights, and calling operations. Therefore

- matrices with many rows lie column by column (`_by_columns`): a product with one vector then reads memory at its full speed, where row by
  row it reads at half of it;
- a norm is a number that goes into the next product as its factor, its weights into that product's matrix;
- keys and values of all positions have their place from the start, and no module is called on the way of a MoC with a meeting.

The matrices are made once per model and shared by its steppers, until a weight changes. Numbers agree with `MoCForCausalLM.forward` to
float32's rounding. A model in which something stands in for a part (an adapter of PEFT, a quantised layer, a hook) is called as a whole.

d d_model · h query heads · g key and value heads · c width of a head · s tokens read so far · e experts · k chosen · f hidden width
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lunaris.core.isolation import eval_mode
from lunaris.core.layers.attention import GroupedQueryAttention, RMSNorm, rms_norm, rope_table
from lunaris.core.layers.experts import TINY, CollaborativeExpertsModule, Meeting, PeerAttention, StackedExperts, SwiGLU
from lunaris.moc.model import CACHE, Bias, MoCDecoderLayer, MoCForCausalLM, MoCModel

MAX_COPY = 1 << 29  # bytes of weights that are laid out anew; a larger model's are read as they lie
KNOWN = {  # what is reckoned here without being called
    MoCForCausalLM, MoCModel, MoCDecoderLayer, GroupedQueryAttention, RMSNorm, SwiGLU, CollaborativeExpertsModule, StackedExperts, Meeting,
    PeerAttention, nn.Linear, nn.Embedding, nn.ModuleList,
}  # fmt: skip


class MoCStepper:
    """`model` reading one text, `max_len` tokens at most. Its weights must not change meanwhile; several steppers may share a model.

    `expert_bias` is that of `MoCForCausalLM.forward`: above 0 favours an expert, -inf mutes it. Raises its ValueErrors, and one for a model
    that is wrapped as a whole (PeftModel).
    """

    def __init__(self, model: nn.Module, *, expert_bias: Bias | None = None):
        if not isinstance(model, MoCForCausalLM):
            raise ValueError(
                f"the model must be a MoCForCausalLM, got {type(model).__name__}; merge the adapter first: model = model.merge_and_unload()"
            )
        self.max_len = model.model.settings.max_seq_len
        self._model, self._bias = model, expert_bias
        self._read = 0
        self._tables, self._cache = None, None
        with torch.inference_mode():
            self._biases = model.model._biases(expert_bias, model.device)
            if _is_as_built(model):
                self._tables = _Tables.of(model)
                self._memories = [layer.memory(self.max_len) for layer in self._tables.layers]

    @torch.inference_mode()
    def start(self, ids: Sequence[int]) -> Float[Tensor, "v"]:
        """Forget all, read `ids` in one pass, and return the logits after them. Raises ValueError for ids outside the vocabulary."""
        if not 1 <= len(ids) <= self.max_len:
            raise ValueError(f"a text of 1 to {self.max_len} tokens can be read, got {len(ids)}; cut the oldest")
        logits, cache = self._called(ids, None)
        if self._tables is None:
            self._cache = cache
        else:
            for memory, kept in zip(self._memories, cache.layers, strict=True):
                memory.all[:, : len(ids)] = torch.cat([kept.keys[0], kept.values[0]])
        self._read = len(ids)
        return logits

    def _called(self, ids: Sequence[int], cache: Any) -> tuple[Float[Tensor, "v"], Any]:
        """The logits after `ids`, by a call of the model, and its cache."""
        with eval_mode(self._model):
            rows = torch.tensor([list(ids)], device=self._model.device)
            output = self._model(rows, cache=cache, use_cache=True, logits_to_keep=1, expert_bias=self._bias)
        return output.logits[0, -1], output[CACHE]

    @torch.inference_mode()
    def step(self, token: int) -> Float[Tensor, "v"]:
        """Read one more token; the logits of the one after it. Raises ValueError when the window is full."""
        place, tables = self._read, self._tables
        if place >= self.max_len:
            raise ValueError(f"a text of {self.max_len} tokens is all that can be read; start again with its newest tokens")
        if tables is None:
            self._read = place + 1
            return self._called([token], self._cache)[0]
        x = tables.embedding[token]  # (d,)
        cos, sin = tables.cos[place], tables.sin[place]
        for layer, memory, bias in zip(tables.layers, self._memories, self._biases, strict=True):
            x = layer.step(x, cos, sin, place, memory, bias)
        self._read = place + 1
        return _product(tables.head, *_normed(x, tables.norm, tables.eps))


def _is_as_built(model: MoCForCausalLM) -> bool:
    """Whether its weights are all that there is to it: an adapter, a parametrisation or a hook has a say only when its module is called."""
    return all(type(m) in KNOWN and not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())


# --- the weights, laid out for one vector -----------------------------------------------------------------------------------------------


class _Tables:
    """What the steppers of a model share."""

    def __init__(self, model: MoCForCausalLM):
        config, head, norm = model.model.settings, model.lm_head.weight, model.model.norm.weight
        anew = head.device.type == "cpu" and head.dtype == torch.float32  # half precision would round what is folded
        anew = anew and sum(p.numel() * p.element_size() for p in model.parameters()) <= MAX_COPY
        self.embedding, self.eps = model.model.embed_tokens.weight, config.norm_eps
        self.head, self.norm = (_by_columns(head * norm), None) if anew else (head, norm)
        self.layers = [_Layer(layer, anew) for layer in model.model.layers]

        positions = torch.arange(config.max_seq_len, device=head.device)[None]
        cos, sin = rope_table(positions, config.head_dim, config.rope_theta, head.dtype)
        half = config.head_dim // 2
        sin = torch.cat([-sin[..., :half], sin[..., half:]], dim=-1)  # with `roll` for the halves' exchange, apply_rope in three steps
        rows = torch.ones(config.n_heads + 2 * config.n_kv_heads, 1, dtype=head.dtype, device=head.device)
        rows[: config.n_heads] = config.head_dim**-0.5  # the queries' scale, on the way
        turns = rows.clone()
        turns[-config.n_kv_heads :] = 0  # values are not turned
        self.cos = cos[0, 0][:, None] * rows  # (max_len, h + 2g, c)
        self.cos[:, -config.n_kv_heads :] = 1
        self.sin = sin[0, 0][:, None] * turns

    @classmethod
    def of(cls, model: MoCForCausalLM) -> "_Tables":
        """Those that were made before, unless a weight has changed since."""
        weights = list(model.parameters())
        if any(w.is_inference() for w in weights):  # those keep no count of their changes
            return cls(model)
        # Some numbers of each weight too: PEFT merges an adapter by `w.data += …`, of which no version tells.
        stamp = tuple((w.data_ptr(), w.dtype, w.device, w._version, w.flatten()[:: max(1, w.numel() // 64)].tolist()) for w in weights)
        kept = _KEPT.get(model)
        if kept is None or kept[0] != stamp:
            kept = _KEPT[model] = stamp, cls(model)
        return kept[1]


_KEPT: WeakKeyDictionary[MoCForCausalLM, tuple[tuple, _Tables]] = WeakKeyDictionary()


def _by_columns(weight: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    return weight.t().contiguous().t()


def _normed(x: Float[Tensor, "d"], weight: Float[Tensor, "d"] | None, eps: float) -> tuple[Float[Tensor, "d"], float]:
    """A vector and the factor on it that make RMSNorm of `x`; without weights (they are in the next matrix) that is x itself."""
    if weight is None:
        return x, (x.dot(x).item() / x.shape[0] + eps) ** -0.5
    return weight * rms_norm(x, eps), 1.0


def _product(matrix: Float[Tensor, "rows d"], x: Float[Tensor, "d"], factor: float) -> Float[Tensor, "rows"]:
    return torch.addmv(x[:1], matrix, x, beta=0, alpha=factor)  # with beta 0, nothing is read of the first


class _Memory(NamedTuple):
    """Keys, then values, of a text's positions (2g, max_len, c), and views on them: keys as (g, c, max_len), values as (g, max_len, c)."""

    all: Tensor
    keys: Tensor
    values: Tensor


class _Layer:
    """A decoder layer for one token."""

    def __init__(self, layer: MoCDecoderLayer, anew: bool):
        attention = layer.self_attn
        self.h, self.g, self.c = attention.n_heads, attention.n_kv_heads, attention.head_dim
        self.norm1, self.norm2 = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
        self.eps = layer.input_layernorm.eps
        self.qkv = torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight])
        self.out = attention.o_proj.weight
        if anew:
            self.qkv, self.norm1 = _by_columns(self.qkv * self.norm1), None
        self.mlp = layer.mlp
        self.experts = None
        if ExpertsStep.fits(self.mlp):
            self.experts = ExpertsStep(self.mlp, norm=self.norm2 if anew else None, by_columns=anew)
            self.norm2 = None if anew else self.norm2

    def memory(self, max_len: int) -> _Memory:
        kept = self.qkv.new_zeros(2 * self.g, max_len, self.c)
        return _Memory(kept, kept[: self.g].transpose(1, 2), kept[self.g :])

    def step(
        self,
        x: Float[Tensor, "d"],
        cos: Float[Tensor, "hg c"],
        sin: Float[Tensor, "hg c"],
        place: int,
        memory: _Memory,
        bias: Tensor | None,
    ) -> Float[Tensor, "d"]:
        h, g, c, seen = self.h, self.g, self.c, place + 1
        rows = _product(self.qkv, *_normed(x, self.norm1, self.eps)).view(h + 2 * g, c)
        turned = torch.addcmul(rows * cos, rows.roll(c // 2, 1), sin)
        memory.all.select(1, place).copy_(turned[h:])
        q = turned[:h].view(g, h // g, c)  # the queries of a group are so many rows that look at the same keys
        looks = torch.bmm(q, memory.keys.narrow(2, 0, seen)).softmax(-1)
        x = torch.addmv(x, self.out, torch.bmm(looks, memory.values.narrow(1, 0, seen)).view(h * c))
        normed, factor = _normed(x, self.norm2, self.eps)
        if self.experts is not None:
            return self.experts(normed, factor, x, bias)
        if isinstance(self.mlp, CollaborativeExpertsModule):
            return x + self.mlp(normed[None, None], bias=bias)[0][0, 0]
        return x + self.mlp(normed)


class ExpertsStep:
    """A MoC layer with a meeting, for one token: what `CollaborativeExpertsModule` does, in as few operations as it takes.

    F.rms_norm is put together from eight operations, each of which costs more than its work on rows as short as an expert's summary. So
    those rows are kept with their mirror image, (y, -y): their mean is 0 and their variance y's mean square, and F.layer_norm, which is
    one operation, is then the RMS norm. Products of two mirrored rows count double, which `even` makes good.

    norm        weights of a norm before the layer, to be folded into its matrices
    by_columns  lay the first matrix out anew, for speed and a second time in memory
    """

    @staticmethod
    def fits(mlp: nn.Module) -> bool:
        """Whether the layer has all that is reckoned here, and no more."""
        if not isinstance(mlp, CollaborativeExpertsModule) or mlp.meeting is None or mlp.soft or mlp.cross_all:
            return False
        return mlp.refine is None and mlp.consensus is None

    @torch.inference_mode()
    def __init__(self, mlp: CollaborativeExpertsModule, *, norm: Float[Tensor, "d"] | None = None, by_columns: bool = True):
        e, r = mlp.meeting.names.shape
        self.e, self.k, self.r = e, mlp.top_k, r
        gate_up, self.router = mlp.experts.gate_up, mlp.router.float()
        if norm is not None:
            gate_up, self.router = gate_up * norm, self.router * norm.float()
        self.gate_up = gate_up.flatten(0, 1)  # (e·2f, d)
        if by_columns:
            gates, ups = gate_up.chunk(2, dim=1)
            self.gate_up = _by_columns(torch.cat([gates.flatten(0, 1), ups.flatten(0, 1)]))  # all gates, then all ups
        self.halves = (2, e) if by_columns else (e, 2)
        self.downs = mlp.experts.down.unbind()
        self.fold = _mirrored(mlp._fold_now(mlp.experts).transpose(1, 2))  # (e, f, 2r)

        parts = [mlp.meeting] if mlp.peers is None else [mlp.meeting, mlp.peers]
        self.even = torch.full((2 * r,), (r**-0.5 / 2) ** 0.5, device=self.router.device)
        self.norm = mlp.meeting.norm
        queries_keys, values, constants_qk, constants_v = [], [], [], []
        for part in parts:  # one product makes the queries, keys and values of the meeting and of the peer attention
            q, key, v = part.qkv.float().t().split(r, dim=1)
            qk = torch.cat([_mirrored(q), _mirrored(key)], dim=1)  # (r, 4r)
            qk = qk if self.norm else qk * self.even[0]
            queries_keys.append(qk), values.append(v)
            constants_qk.append(part.names.float() @ qk), constants_v.append(part.names.float() @ v)
        weight = torch.cat([*queries_keys, *values], dim=1)
        self.weight = torch.cat([weight, torch.zeros_like(weight)])  # (2r, 5r a part): of a mirrored row the first half is read
        self.constant = torch.cat([*constants_qk, *constants_v], dim=1)
        self.n_rows = 2 * len(parts)  # queries and keys of each part
        self.widths = [self.n_rows * 2 * r, len(parts) * r]  # of them, mirrored, and of the values
        self.names = _mirrored(mlp.meeting.names.float())
        self.meet_out = _mirrored(mlp.meeting.out.float().t())  # (r, 2r)
        self.score = torch.cat([mlp.meeting.score.float(), torch.zeros_like(self.names[:, r:])], dim=1)
        self.peer_out = None if mlp.peers is None else mlp.peers.out * r**-0.5

    def __call__(
        self, x: Float[Tensor, "d"], factor: float, stream: Float[Tensor, "d"], bias: Float[Tensor, "e"] | None = None
    ) -> Float[Tensor, "d"]:
        """`stream` plus the layer's output for `factor` · x."""
        e, k, r = self.e, self.k, self.r
        gate, up = _product(self.gate_up, x, factor).view(*self.halves, -1).unbind(0 if self.halves[0] == 2 else 1)
        hidden = F.silu(gate).mul_(up)  # (e, f)
        summaries = _standardised(torch.bmm(hidden[:, None], self.fold).view(e, 2 * r).float())

        told = torch.addmm(self.constant, summaries, self.weight)
        turned, values = told.split_with_sizes(self.widths, 1)
        turned = turned.view(e, self.n_rows, 2 * r)
        turned = _standardised(turned, self.even) if self.norm else turned
        heard = torch.mm(torch.mm(turned.select(1, 0), turned.select(1, 1).t()).softmax(-1), values.narrow(1, 0, r))
        informed = _standardised(torch.addmm(summaries + self.names, heard, self.meet_out))
        scores = torch.addmv((informed * self.score).sum(-1), self.router, x.float(), alpha=factor)
        if bias is not None:
            scores += bias

        best, chosen = scores.topk(k)
        weights = best.softmax(-1) if k > 1 else (best - scores.logsumexp(-1)).exp()
        out = stream
        for expert, weight in zip(chosen.tolist(), weights.tolist(), strict=True):
            out = torch.addmv(out, self.downs[expert], hidden[expert], alpha=weight)
        if self.peer_out is None:
            return out
        theirs = turned.index_select(0, chosen)
        looks = torch.mm(theirs.select(1, 2), theirs.select(1, 3).t()).softmax(-1)
        learned = torch.mv(values.index_select(0, chosen).t(), torch.mv(looks.t(), weights))
        return torch.addmv(out, self.peer_out, learned[r:].to(x.dtype))


def _standardised(rows: Float[Tensor, "*axes r2"], weight: Float[Tensor, "r2"] | None = None) -> Float[Tensor, "*axes r2"]:
    return torch.layer_norm(rows, rows.shape[-1:], weight, None, TINY)  # F.layer_norm is the same after a detour


def _mirrored(x: Float[Tensor, "*axes r"]) -> Float[Tensor, "*axes r2"]:
    return torch.cat([x, -x], dim=-1)
