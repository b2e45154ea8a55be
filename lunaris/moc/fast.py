"""One token at a time through a MoC, without what a general forward pass costs: the `Stepper` of `core.decoding`.

The keys and values of all positions have their place from the start, the three projections are one product, and no module is called on the
way of a MoC with a meeting. Numbers agree with `MoCForCausalLM.forward` to float32's rounding.

d d_model · h query heads · g key and value heads · c width of a head · s tokens read so far · e experts · k chosen · f hidden width
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lunaris.core.isolation import eval_mode
from lunaris.core.layers.attention import rms_norm, rope_table
from lunaris.core.layers.experts import TINY, CollaborativeExpertsModule
from lunaris.moc.model import Bias, MoCDecoderLayer, MoCForCausalLM


class MoCStepper:
    """`model` reading one text, `max_len` tokens at most. Its weights must not change meanwhile; several steppers may share a model.

    `expert_bias` is that of `MoCForCausalLM.forward`: above 0 favours an expert, -inf mutes it. Raises its ValueErrors.
    """

    def __init__(self, model: MoCForCausalLM, *, expert_bias: Bias | None = None):
        config = model.model.settings
        self.max_len = config.max_seq_len
        self._model, self._bias = model, expert_bias
        self._read = 0
        with torch.inference_mode():
            weight = model.lm_head.weight
            self._embedding, self._norm, self._eps = model.model.embed_tokens.weight, model.model.norm.weight, config.norm_eps
            self._head = weight
            positions = torch.arange(self.max_len, device=weight.device)[None]
            cos, sin = rope_table(positions, config.head_dim, config.rope_theta, weight.dtype)
            half = config.head_dim // 2
            sin = torch.cat([-sin[..., :half], sin[..., half:]], dim=-1)  # with `roll` for the halves' exchange, apply_rope in three steps
            rows = torch.ones(config.n_heads + 2 * config.n_kv_heads, 1, dtype=weight.dtype, device=weight.device)
            rows[: config.n_heads] = config.head_dim**-0.5  # the queries' scale, on the way
            turns = rows.clone()
            turns[-config.n_kv_heads :] = 0  # values are not turned
            self._cos = cos[0, 0][:, None] * rows  # (max_len, h + 2g, c)
            self._cos[:, -config.n_kv_heads :] = 1
            self._sin = sin[0, 0][:, None] * turns
            biases = model.model._biases(expert_bias, weight.device)
            self._layers = [_Layer(layer, self.max_len, bias) for layer, bias in zip(model.model.layers, biases, strict=True)]

    @torch.inference_mode()
    def start(self, ids: Sequence[int]) -> Float[Tensor, "v"]:
        """Forget all, read `ids` in one pass, and return the logits after them. Raises ValueError for ids outside the vocabulary."""
        if not 1 <= len(ids) <= self.max_len:
            raise ValueError(f"a text of 1 to {self.max_len} tokens can be read, got {len(ids)}; cut the oldest")
        with eval_mode(self._model):
            rows = torch.tensor([list(ids)], device=self._head.device)
            output = self._model(rows, use_cache=True, logits_to_keep=1, expert_bias=self._bias)
        for layer, kept in zip(self._layers, output.past_key_values.layers, strict=True):
            layer.kept[:, : len(ids)] = torch.cat([kept.keys[0], kept.values[0]])
        self._read = len(ids)
        return output.logits[0, -1]

    @torch.inference_mode()
    def step(self, token: int) -> Float[Tensor, "v"]:
        """Read one more token; the logits of the one after it. Raises ValueError when the window is full."""
        place = self._read
        if place >= self.max_len:
            raise ValueError(f"a text of {self.max_len} tokens is all that can be read; start again with its newest tokens")
        x = self._embedding[token : token + 1]  # (1, d)
        cos, sin = self._cos[place], self._sin[place]
        for layer in self._layers:
            x = layer.step(x, cos, sin, place)
        self._read = place + 1
        return F.linear(_normed(x, self._norm, self._eps), self._head)[0]


class _Layer:
    """A decoder layer for one token, with its keys and values."""

    def __init__(self, layer: MoCDecoderLayer, max_len: int, bias: Tensor | None):
        attention = layer.self_attn
        self.h, self.g, self.c = attention.n_heads, attention.n_kv_heads, attention.head_dim
        self.qkv = torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight])
        self.out = attention.o_proj.weight.t()
        self.kept = self.qkv.new_zeros(2 * self.g, max_len, self.c)  # keys, then values
        self.keys, self.values = self.kept[: self.g], self.kept[self.g :]
        self.norm1, self.norm2 = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
        self.eps = layer.input_layernorm.eps
        self.mlp, self.bias = layer.mlp, bias
        self.experts = _Council(layer.mlp, bias) if _Council.fits(layer.mlp) else None

    def step(self, x: Float[Tensor, "1 d"], cos: Float[Tensor, "hg c"], sin: Float[Tensor, "hg c"], place: int) -> Float[Tensor, "1 d"]:
        h, g, c = self.h, self.g, self.c
        rows = F.linear(_normed(x, self.norm1, self.eps), self.qkv).view(h + 2 * g, c)
        turned = torch.addcmul(rows * cos, rows.roll(c // 2, 1), sin)
        self.kept[:, place] = turned[h:]
        q = turned[:h].view(g, h // g, c)  # the queries of a group are so many rows that look at the same keys
        seen = torch.bmm(q, self.keys[:, : place + 1].transpose(1, 2)).softmax(-1)
        x = torch.addmm(x, torch.bmm(seen, self.values[:, : place + 1]).view(1, h * c), self.out)
        normed = _normed(x, self.norm2, self.eps)
        if self.experts is not None:
            return x + self.experts(normed)
        if isinstance(self.mlp, CollaborativeExpertsModule):
            return x + self.mlp(normed[None], bias=self.bias)[0][0]
        return x + self.mlp(normed)


class _Council:
    """A MoC layer with a meeting, for one token: what `CollaborativeExpertsModule` does, in as few operations as it takes.

    F.rms_norm is put together from eight operations, each of which costs more than its work on rows as short as an expert's summary. So
    those rows are kept with their mirror image, (y, -y): their mean is 0 and their variance y's mean square, and F.layer_norm, which is
    one operation, is then the RMS norm. Products of two mirrored rows count double, which `even` makes good.
    """

    @staticmethod
    def fits(mlp: torch.nn.Module) -> bool:
        return isinstance(mlp, CollaborativeExpertsModule) and mlp.meeting is not None and not mlp.soft and not mlp.cross_all

    def __init__(self, mlp: CollaborativeExpertsModule, bias: Tensor | None):
        e, r = mlp.meeting.names.shape
        self.e, self.k, self.r, self.bias = e, mlp.top_k, r, bias
        self.gate_up = mlp.experts.gate_up.flatten(0, 1)  # (e·2f, d)
        self.downs = mlp.experts.down.unbind()
        self.fold = _mirrored(mlp._fold_now().transpose(1, 2))  # (e, f, 2r)
        self.router = mlp.router.float()

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
        self.names = _mirrored(mlp.meeting.names.float())
        self.meet_out = _mirrored(mlp.meeting.out.float().t())  # (r, 2r)
        self.score = torch.cat([mlp.meeting.score.float(), torch.zeros_like(self.names[:, r:])], dim=1)
        self.peer_out = None if mlp.peers is None else mlp.peers.out.t() * r**-0.5

    def __call__(self, x: Float[Tensor, "1 d"]) -> Float[Tensor, "1 d"]:
        e, k, r = self.e, self.k, self.r
        gate, up = F.linear(x, self.gate_up).view(e, 1, -1).chunk(2, dim=-1)
        hidden = F.silu(gate).mul_(up)  # (e, 1, f)
        summaries = F.layer_norm((hidden @ self.fold)[:, 0].float(), (2 * r,), eps=TINY)  # (e, 2r)

        told = torch.addmm(self.constant, summaries, self.weight)
        turned = told[:, : self.n_rows * 2 * r].view(e, self.n_rows, 2 * r)
        turned = F.layer_norm(turned, (2 * r,), self.even, None, TINY) if self.norm else turned
        values = told[:, self.n_rows * 2 * r :]
        heard = (turned[:, 0] @ turned[:, 1].t()).softmax(-1) @ values[:, :r]
        informed = F.layer_norm(torch.addmm(summaries + self.names, heard, self.meet_out), (2 * r,), eps=TINY)
        scores = (self.router @ x[0].float()).add_((informed * self.score).sum(-1))
        if self.bias is not None:
            scores += self.bias

        best, chosen = scores.topk(k)
        weights = (best.softmax(-1) if k > 1 else (best - scores.logsumexp(-1)).exp())[None]  # (1, k)
        outputs = torch.cat([F.linear(hidden[i], self.downs[i]) for i in chosen.tolist()])  # (k, d)
        out = weights.to(x.dtype) @ outputs
        if self.peer_out is None:
            return out
        rows, theirs = turned.index_select(0, chosen), values.index_select(0, chosen)
        attention = (rows[:, 2] @ rows[:, 3].t()).softmax(-1)
        return torch.addmm(out, (weights @ (attention @ theirs[:, r:])).to(x.dtype), self.peer_out)


def _mirrored(x: Float[Tensor, "*axes r"]) -> Float[Tensor, "*axes r2"]:
    return torch.cat([x, -x], dim=-1)


def _normed(x: Float[Tensor, "1 d"], weight: Float[Tensor, "d"], eps: float) -> Float[Tensor, "1 d"]:
    """RMSNorm of one row: its squares are summed by one product."""
    if x.dtype != torch.float32 or x.device.type != "cpu":  # half precision squares in float32; a GPU would have to wait for the number
        return weight * rms_norm(x, eps)
    row = x[0]
    return (x * (float(row.dot(row)) / len(row) + eps) ** -0.5).mul_(weight)
