"""Llama's attention (Touvron et al. 2023): RMSNorm (Zhang & Sennrich 2019), rotary positions (Su et al. 2021), grouped queries
(Ainslie et al. 2023). Weights and numbers agree with transformers' LlamaAttention.

b batch · t tokens of this call · s tokens of cache and call together · h query heads · g key and value heads · c width of a head
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


def rms_norm(x: Float[Tensor, "*axes d"], eps: float = 1e-6) -> Float[Tensor, "*axes d"]:
    """`x` divided by the root of the mean of its squares over the last axis, reckoned in float32 whatever the dtype of `x`."""
    return F.rms_norm(x.float(), x.shape[-1:], eps=eps).to(x.dtype)


class RMSNorm(nn.Module):
    """`rms_norm` times a learned weight per channel, 1 at first."""

    def __init__(self, width: int, eps: float = 1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Float[Tensor, "*axes d"]) -> Float[Tensor, "*axes d"]:
        return self.weight * rms_norm(x, self.eps)


def rope_table(
    positions: Int[Tensor, "b t"], head_dim: int, theta: float, dtype: torch.dtype
) -> tuple[Float[Tensor, "b 1 t c"], Float[Tensor, "b 1 t c"]]:
    """Cosines and sines of the angles position · theta^(-2i/head_dim), the pair i in channels i and i + head_dim/2.

    Made anew in every call instead of kept in a buffer: a buffer that is not saved comes back from `from_pretrained` with whatever
    lay in memory, and one that is saved follows the model to half precision, where the angles of far positions are wrong.
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions.device) / head_dim
    angles = positions[:, None, :, None].float() * (1.0 / theta**exponents)  # (b, 1, t, c/2)
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def apply_rope(x: Float[Tensor, "b h t c"], cos: Float[Tensor, "rope 1 t c"], sin: Float[Tensor, "rope 1 t c"]) -> Float[Tensor, "b h t c"]:
    """`x` with every pair of channels turned by its angle; the product of two turned vectors depends on their distance alone."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


class GroupedQueryAttention(nn.Module):
    """Causal self-attention in which `n_heads` query heads share `n_kv_heads` key and value heads; no biases.

    n_heads and d_model must be multiples of n_kv_heads and n_heads. `index` is this layer's place in the cache. ValueError otherwise.
    """

    def __init__(self, d_model: int, n_heads: int, n_kv_heads: int, *, index: int = 0, dropout: float = 0.0):
        super().__init__()
        if d_model % n_heads or n_heads % n_kv_heads:
            raise ValueError(
                f"n_heads must divide d_model {d_model} and be a multiple of n_kv_heads {n_kv_heads}, got {n_heads}; try {n_kv_heads}"
            )
        self.n_heads, self.n_kv_heads, self.head_dim = n_heads, n_kv_heads, d_model // n_heads
        self.index, self.dropout = index, dropout
        self.q_proj = nn.Linear(d_model, d_model, bias=False)
        self.k_proj = nn.Linear(d_model, n_kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(d_model, n_kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(d_model, d_model, bias=False)

    def forward(
        self,
        x: Float[Tensor, "b t d"],
        cos: Float[Tensor, "rope 1 t c"],
        sin: Float[Tensor, "rope 1 t c"],
        *,
        mask: Tensor | None = None,
        cache: Any = None,
    ) -> Float[Tensor, "b t d"]:
        """What each token gathers from the tokens before it and itself.

        mask    (b, 1, t, s), True (or 0.0) where a token may look and False (or -inf) where not; None = plain causal, for which the call
                must be one token or the whole text
        cache   a transformers cache, to which this call's keys and values are added
        """
        b, t, d = x.shape
        q = self.q_proj(x).view(b, t, self.n_heads, self.head_dim).transpose(1, 2)  # (b, h, t, c)
        k = self.k_proj(x).view(b, t, self.n_kv_heads, self.head_dim).transpose(1, 2)  # (b, g, t, c)
        v = self.v_proj(x).view(b, t, self.n_kv_heads, self.head_dim).transpose(1, 2)
        q, k = apply_rope(q, cos, sin), apply_rope(k, cos, sin)
        if cache is not None:
            k, v = cache.update(k, v, self.index)  # (b, g, s, c)
        k, v = (_repeat_heads(heads, self.n_heads // self.n_kv_heads) for heads in (k, v))
        gathered = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=self.dropout if self.training else 0.0, is_causal=mask is None and t > 1
        )
        return self.o_proj(gathered.transpose(1, 2).reshape(b, t, d))


def _repeat_heads(x: Float[Tensor, "b g s c"], times: int) -> Float[Tensor, "b h s c"]:
    """Each head `times` times in a row, so that query head i meets key head i // times."""
    if times == 1:
        return x
    b, g, s, c = x.shape
    return x[:, :, None].expand(b, g, times, s, c).reshape(b, g * times, s, c)
