"""LunarisCodex-MoC's settings: the spec's keys (MC-07) and the options added to them."""

from dataclasses import dataclass
from typing import Literal

from lunaris.core.config import BaseConfig, ConfigError, option


@dataclass(frozen=True)
class MoCModelConfig(BaseConfig):
    """The model. `ffn` with `meeting` and `peer_attention` makes it a MoC, each of its ablations or each of its rivals (MC-02)."""

    d_model: int = option(768, "width", ge=8, le=16384)
    n_layers: int = option(12, "decoder layers", ge=1, le=256)
    n_heads: int = option(12, "attention heads", ge=1, le=256)
    n_kv_heads: int = option(12, "heads of keys and values, shared by the attention heads", ge=1, le=256)
    vocab_size: int = option(50257, "entries of the token embedding", ge=2, le=200_000)
    max_seq_len: int = option(1024, "tokens the model is trained to look back on", ge=2, le=1_048_576)
    n_experts: int = option(8, "experts of a layer", ge=1, le=256)
    top_k: int = option(2, "experts chosen for a token; 1 = Switch, n_experts = all", ge=1, le=256)
    aux_loss_weight: float = option(0.01, "weight of balance + diversity_weight · diversity + z_loss_weight · z in the loss", ge=0, le=100)

    ffn: Literal["moc", "dense", "switch", "top_k", "soft_all"] = option(
        "moc",
        "feed-forward layer: moc (experts confer), dense (no experts), switch (one expert by a linear router), top_k (top_k by a linear "
        "router) or soft_all (every expert, weighted)",
    )
    meeting: bool = option(True, "moc: all experts look at each token and confer before k are chosen; off = a linear router chooses")
    peer_attention: bool = option(True, "moc: the chosen experts look at each other before their outputs are added")
    cross_all: bool = option(False, "moc: with peer_attention, the chosen look at all experts instead of at each other")
    expert_hidden: int = option(0, "hidden width of one expert; 0 = 8/3 · d_model / top_k, rounded up to a multiple of 32", ge=0, le=65536)
    dense_hidden: int = option(0, "dense: hidden width; 0 = top_k · expert_hidden, as much as is active of the experts", ge=0, le=1 << 22)
    rank: int = option(0, "moc: width of what experts tell each other; 0 = d_model / 8", ge=0, le=4096)
    diversity_weight: float = option(1.0, "weight of the diversity term, 1 - H/log k of the peer attention", ge=0, le=100)
    z_loss_weight: float = option(0.1, "weight of the z term, logsumexp² of the router's scores: keeps them small", ge=0, le=100)
    meeting_norm: bool = option(True, "moc: queries and keys of the meeting and of the peer attention are normalised: no runaway scores")
    meeting_gradient: float = option(
        0.1, "moc: part of the gradient of what experts tell each other that goes on into them; 1 = all of it", ge=0, le=1
    )
    consensus: bool = option(
        False, "moc: what all experts say in the meeting, each as loud as its probability, is added to the output, at the rank's width"
    )
    refine: bool = option(False, "moc: what a chosen expert heard in the meeting turns its hidden units up or down")
    tie_embeddings: bool = option(True, "the head is the token embedding")
    rope_theta: float = option(10_000.0, "base of the rotary positions", gt=1, le=1e9)
    norm_eps: float = option(1e-6, "added to the mean square in RMSNorm", gt=0, le=1e-2)
    dropout: float = option(0.0, "dropout of attention weights and of both branches of a layer", ge=0, le=0.9)
    init_std: float = option(
        0.02, "standard deviation of fresh weights; over √(2·n_layers) for those that write into the stream", gt=0, le=1
    )

    def check(self) -> None:
        if self.d_model % self.n_heads:
            raise ConfigError(
                f"n_heads must divide d_model {self.d_model}, got {self.n_heads}; try {_largest_divisor(self.d_model, self.n_heads)}"
            )
        if self.n_heads % self.n_kv_heads:
            works = _largest_divisor(self.n_heads, self.n_kv_heads)
            raise ConfigError(f"n_kv_heads must divide n_heads {self.n_heads}, got {self.n_kv_heads}; try {works}")
        if self.head_dim % 2:
            raise ConfigError(
                f"d_model / n_heads must be even for rotary positions, got {self.d_model} / {self.n_heads} = {self.head_dim}; "
                f"try d_model {self.n_heads * (self.head_dim + 1)}"
            )
        if self.ffn != "dense":
            self._check_experts()

    def _check_experts(self) -> None:
        if self.n_experts < 2:
            raise ConfigError(f"n_experts must be at least 2 for ffn {self.ffn!r}, got {self.n_experts}; try ffn: dense")
        if self.top_k > self.n_experts:
            raise ConfigError(f"top_k must be at most n_experts {self.n_experts}, got {self.top_k}; try {self.n_experts}")
        if self.ffn == "switch" and self.top_k != 1:
            raise ConfigError(f"ffn 'switch' chooses one expert, got top_k {self.top_k}; set top_k: 1 or ffn: top_k")
        if self.rank > self.d_model:
            raise ConfigError(f"rank must be at most d_model {self.d_model}, got {self.rank}; try {max(1, self.d_model // 8)}")
        if self.ffn == "moc" and self.cross_all and not self.peer_attention:
            raise ConfigError("cross_all needs peer_attention, which is false: it says whom the chosen look at; set peer_attention: true")
        for name in ("consensus", "refine"):
            if getattr(self, name) and not (self.ffn == "moc" and self.meeting):
                raise ConfigError(
                    f"{name} needs ffn 'moc' with its meeting, got ffn {self.ffn!r}, meeting {self.meeting}; set {name}: false"
                )

    @property
    def head_dim(self) -> int:
        return self.d_model // self.n_heads

    @property
    def hidden(self) -> int:
        """Hidden width of one expert, of the one dense layer where there are none."""
        expert = self.expert_hidden or -(-8 * self.d_model // (3 * self.top_k * 32)) * 32
        return (self.dense_hidden or self.top_k * expert) if self.ffn == "dense" else expert

    @property
    def summary_rank(self) -> int:
        return self.rank or max(1, self.d_model // 8)

    @property
    def hears_all(self) -> bool:
        """Whether every expert looks at every token, chosen or not."""
        return self.ffn == "soft_all" or (self.ffn == "moc" and (self.meeting or self.cross_all))

    @property
    def peers(self) -> int:
        """How many experts each chosen one looks at in the peer attention; 0 = there is none (one chosen expert has no peer, MC-05)."""
        if self.ffn != "moc" or not self.peer_attention:
            return 0
        return self.n_experts if self.cross_all else self.top_k if self.top_k > 1 else 0

    @classmethod
    def tiny(cls) -> "MoCModelConfig":
        """Seconds on a CPU: tests, CI, a notebook without a GPU."""
        return cls(d_model=64, n_layers=2, n_heads=4, n_kv_heads=2, vocab_size=512, max_seq_len=128, n_experts=4, expert_hidden=64, rank=16)

    @classmethod
    def small(cls) -> "MoCModelConfig":
        """What checkpoints/ ships: 5.1 million parameters, trained on a CPU."""
        return cls(
            d_model=256, n_layers=4, n_heads=4, n_kv_heads=2, vocab_size=4096, max_seq_len=256, expert_hidden=128, aux_loss_weight=0.04
        )  # fmt: skip

    @classmethod
    def full(cls) -> "MoCModelConfig":
        """The spec's own sizes, for a GPU."""
        return cls()


def _largest_divisor(number: int, limit: int) -> int:
    return next(n for n in range(min(number, limit), 0, -1) if number % n == 0)


Config = MoCModelConfig  # the name every family gives it
