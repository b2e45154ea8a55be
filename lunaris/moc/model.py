"""LunarisCodex-MoC (MC-01): a decoder in Llama's form whose feed-forward layer is a Mixture of Collaborative Experts.

    tokens ──> embedding ──> n_layers of [ x + attention(norm x);  x + experts(norm x) ] ──> norm ──> head ──> logits

b batch · t tokens of this call · d d_model · v vocab_size · e n_experts · k top_k · m peers that a chosen expert looks at
Names of modules and weights are those of transformers' Llama, so with ffn 'dense' the two load each other's weights.
"""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, GenerationMixin
from transformers.cache_utils import DynamicCache
from transformers.configuration_utils import PreTrainedConfig
from transformers.masking_utils import create_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.modeling_utils import PreTrainedModel

from lunaris.core.config import ConfigError
from lunaris.core.layers.attention import GroupedQueryAttention, RMSNorm, rope_table
from lunaris.core.layers.experts import (
    CollaborativeExpertsModule,
    Meeting,
    PeerAttention,
    Routing,
    RoutingSums,
    StackedExperts,
    SwiGLU,
    load_balance,
)
from lunaris.moc.config import MoCModelConfig

Bias = Tensor | Sequence[Sequence[float]]
CACHE = next(field.name for field in fields(CausalLMOutputWithPast) if field.name in ("cache", "past_key_values"))  # since 5.24, before

# --- config -----------------------------------------------------------------------------------------------------------------------


class MoCConfig(PreTrainedConfig):
    """`MoCModelConfig` in the form transformers reads: the same keys with the same checks, and transformers' own (eos_token_id, …).

    Its standard names (hidden_size, num_hidden_layers, …) are other names of ours. `top_k` alone is kept under transformers' name,
    num_experts_per_tok: `generate` would take a config's top_k for the sampling option. config.json holds every key, so a checkpoint
    does not change when a default does. Raises `ConfigError`.
    """

    model_type = "lunaris_moc"
    keys_to_ignore_at_inference = [CACHE]
    attribute_map = {
        "hidden_size": "d_model",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "num_key_value_heads": "n_kv_heads",
        "max_position_embeddings": "max_seq_len",
        "num_local_experts": "n_experts",
        "initializer_range": "init_std",
        "rms_norm_eps": "norm_eps",
        "tie_word_embeddings": "tie_embeddings",
    }
    use_cache: bool = True
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None

    def __init__(self, **kwargs: Any):
        kwargs = {self.attribute_map.get(key, key): value for key, value in kwargs.items()}
        given = {f.name: kwargs.pop(_key(f.name)) for f in fields(MoCModelConfig) if _key(f.name) in kwargs}
        if "top_k" in kwargs:
            given["top_k"] = kwargs.pop("top_k")
        for name, value in MoCModelConfig(**given).to_dict().items():
            setattr(self, _key(name), value)
        super().__init__(**kwargs)

    @classmethod
    def from_model_config(cls, config: MoCModelConfig, **kwargs: Any) -> "MoCConfig":
        """The transformers form of `config`; `kwargs` are transformers' own keys, such as eos_token_id."""
        return cls(**config.to_dict(), **kwargs)

    @property
    def model_config(self) -> MoCModelConfig:
        """The checked dataclass, of what the attributes are now."""
        return MoCModelConfig(**{f.name: getattr(self, _key(f.name)) for f in fields(MoCModelConfig)})

    @property
    def head_dim(self) -> int:
        return self.d_model // self.n_heads

    def to_diff_dict(self) -> dict[str, Any]:
        return super().to_diff_dict() | {_key(name): value for name, value in self.model_config.to_dict().items()}


def _key(name: str) -> str:
    """The name under which `MoCConfig` keeps a field of `MoCModelConfig`."""
    return "num_experts_per_tok" if name == "top_k" else name


# --- what a call returns ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AuxiliaryLosses:
    """The losses beside the main one (MC-06), each the mean over layers, and what to log with them. Padding is not counted.

    balance         Switch's e · Σ f P: 1 when experts are used alike, e/k when the same k always are (see `load_balance`)
    diversity       1 - H/log m of the peer attention: 0 when all peers are heard alike, 1 when each hears one; 0 without peers
    z               mean square of the scores' logsumexp
    total           aux_loss_weight · (balance + diversity_weight · diversity + z_loss_weight · z): add it to the main loss
    load            share of the choices per layer and expert (rows sum to 1); the collapse alarm looks at it
    router_entropy  of the router's probabilities per layer, nats, at most log e
    peer_entropy    H/log m of the peer attention, in [0, 1], no gradient; None without peers. Evenly spread is not yet collaboration
    """

    balance: Float[Tensor, ""]
    diversity: Float[Tensor, ""]
    z: Float[Tensor, ""]
    total: Float[Tensor, ""]
    load: Float[Tensor, "layers e"]
    router_entropy: Float[Tensor, "layers"]
    peer_entropy: Float[Tensor, ""] | None


@dataclass
class MoCOutput(CausalLMOutputWithPast):
    """What `MoCForCausalLM` returns, beside transformers' own parts; absent ones are None.

    loss           cross-entropy of the labels alone, nats per token: exp(loss) is the perplexity. Train on loss + aux.total
    logits         (b, t, v), or of the last `logits_to_keep` tokens
    aux            the auxiliary losses, in training or with labels, for a model with experts
    routing        one `Routing` per layer, with output_routing=True
    hidden_states  the stream before each layer and after the last norm, (b, t, d) each, with output_hidden_states=True
    """

    loss: Tensor | None = None  # of any dtype, which transformers' own annotations rule out
    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    aux: AuxiliaryLosses | None = None
    routing: tuple[Routing, ...] | None = None


@dataclass
class MoCModelOutput(BaseModelOutputWithPast):
    """What `MoCModel` returns: the stream after the last norm, and the rest as in `MoCOutput`."""

    last_hidden_state: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    aux: AuxiliaryLosses | None = None
    routing: tuple[Routing, ...] | None = None


def _one(cache: Any, past_key_values: Any) -> Any:
    """The cache, under whichever of its two names it was given."""
    return past_key_values if cache is None else cache


class _Wishes(NamedTuple):
    """What a layer is asked for beside its output."""

    mask: Tensor | None
    sums: bool
    routing: bool


# --- the network --------------------------------------------------------------------------------------------------------------------


class MoCDecoderLayer(GradientCheckpointingLayer):
    """Attention and feed-forward, each on the normalised stream and added to it."""

    def __init__(self, config: MoCModelConfig, index: int):
        super().__init__()
        self.self_attn = GroupedQueryAttention(config.d_model, config.n_heads, config.n_kv_heads, index=index, dropout=config.dropout)
        self.mlp = _feed_forward(config)
        self.input_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.post_attention_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.dropout = config.dropout

    def forward(
        self,
        x: Float[Tensor, "b t d"],
        cos: Float[Tensor, "rope 1 t c"],
        sin: Float[Tensor, "rope 1 t c"],
        causal_mask: Tensor | None,
        bias: Float[Tensor, "e"] | None,
        wishes: _Wishes,
        cache: Any = None,
        past_key_values: Any = None,
    ) -> tuple[Float[Tensor, "b t d"], RoutingSums | None, Routing | None]:
        x = x + self._drop(self.self_attn(self.input_layernorm(x), cos, sin, mask=causal_mask, cache=_one(cache, past_key_values)))
        normed, sums, routing = self.post_attention_layernorm(x), None, None
        if isinstance(self.mlp, SwiGLU):
            out = self.mlp(normed)
        else:
            out, sums, routing = self.mlp(normed, bias=bias, mask=wishes.mask, want_sums=wishes.sums, want_routing=wishes.routing)
        return x + self._drop(out), sums, routing

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


def _feed_forward(config: MoCModelConfig) -> SwiGLU | CollaborativeExpertsModule:
    if config.ffn == "dense":
        return SwiGLU(config.d_model, config.hidden)
    return CollaborativeExpertsModule(
        config.d_model,
        config.n_experts,
        config.top_k,
        config.hidden,
        config.summary_rank,
        kind="collaborative" if config.ffn == "moc" else config.ffn,
        meeting=config.meeting,
        peer_attention=config.peer_attention,
        cross_all=config.cross_all,
        meeting_norm=config.meeting_norm,
        meeting_gradient=config.meeting_gradient,
        consensus=config.consensus,
        refine=config.refine,
    )


class MoCPreTrainedModel(PreTrainedModel):
    """What transformers asks of every class of the family."""

    config_class = MoCConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ["MoCDecoderLayer"]
    _skip_keys_device_placement = [CACHE]
    _supports_sdpa = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Fresh weights of one module, after those of its parts. Loaded ones stay: transformers guards torch.nn.init meanwhile."""
        super()._init_weights(module)
        std = self.config.init_std
        out_std = std / math.sqrt(2 * self.config.n_layers)
        if isinstance(module, GroupedQueryAttention):
            nn.init.normal_(module.o_proj.weight, std=out_std)
        elif isinstance(module, SwiGLU):
            nn.init.normal_(module.down_proj.weight, std=out_std)
        elif isinstance(module, (StackedExperts, CollaborativeExpertsModule)):
            module.reset_parameters(std, out_std)
        elif isinstance(module, (Meeting, PeerAttention)):
            module.reset_parameters()

    def _set_gradient_checkpointing(self, *args: Any, **kwargs: Any) -> None:
        func = kwargs.get("gradient_checkpointing_func", args[1] if len(args) > 1 else None)
        if getattr(func, "keywords", {}).get("use_reentrant"):
            raise ValueError(
                "gradient checkpointing must not be re-entrant, got use_reentrant=True, which loses the router's gradient in silence; "
                "use use_reentrant=False"
            )
        super()._set_gradient_checkpointing(*args, **kwargs)


class MoCModel(MoCPreTrainedModel):
    """The decoder without its head."""

    def __init__(self, config: MoCConfig):
        super().__init__(config)
        self.settings = config.model_config  # checked here, once
        self.embed_tokens = nn.Embedding(self.settings.vocab_size, self.settings.d_model)
        self.layers = nn.ModuleList(MoCDecoderLayer(self.settings, index) for index in range(self.settings.n_layers))
        self.norm = RMSNorm(self.settings.d_model, self.settings.norm_eps)
        self.load_over_processes = True  # in training; every process must then call the model equally often
        self.post_init()

    def forward(
        self,
        input_ids: Int[Tensor, "b t"] | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Int[Tensor, "..."] | None = None,
        cache: Any = None,
        inputs_embeds: Float[Tensor, "b t d"] | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        output_routing: bool = False,
        output_aux: bool | None = None,
        expert_bias: Bias | None = None,
        past_key_values: Any = None,
    ) -> MoCModelOutput:
        """The arguments of `MoCForCausalLM.forward`."""
        cache = _one(cache, past_key_values)
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("the model needs either input_ids or inputs_embeds, got both or none; give input_ids")
        x = self._embedded(input_ids) if inputs_embeds is None else inputs_embeds  # (b, t, d)
        biases = self._biases(expert_bias, x.device)
        use_cache = (self.config.use_cache if use_cache is None else use_cache) and not (self.training and cache is None)
        if use_cache and cache is None:
            cache = DynamicCache(config=self.config)
        if position_ids is None:
            seen = 0 if cache is None else cache.get_seq_length()
            position_ids = (torch.arange(x.shape[1], device=x.device) + seen)[None]
        causal_mask = create_causal_mask(
            config=self.config,
            inputs_embeds=x,
            attention_mask=attention_mask,
            position_ids=position_ids,
            **{CACHE: cache},
        )
        cos, sin = rope_table(position_ids, self.settings.head_dim, self.settings.rope_theta, x.dtype)
        with_experts = self.settings.ffn != "dense"
        wants_sums = (self.training if output_aux is None else output_aux) and with_experts
        wishes = _Wishes(_counted(attention_mask, x.shape[1]), wants_sums, output_routing)

        states: list[Tensor] = []
        records = []
        for layer, bias in zip(self.layers, biases, strict=True):
            states.append(x)
            x, *record = layer(x, cos, sin, causal_mask, bias, wishes, **{CACHE: cache})
            records.append(record)
        x = self.norm(x)
        wants_states = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return MoCModelOutput(
            last_hidden_state=x,
            **{CACHE: cache},
            hidden_states=(*states, x) if wants_states else None,
            aux=self._auxiliary([sums for sums, _ in records]) if wants_sums else None,
            routing=tuple(routing for _, routing in records) if output_routing and with_experts else None,
        )

    def _embedded(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        size = self.settings.vocab_size
        if ids.numel() and not ids.is_cuda and not ids.is_meta:  # a GPU would have to wait; it refuses such an id in its own words
            low, high = (int(value) for value in ids.aminmax())
            if low < 0 or high >= size:
                raise ValueError(f"token ids must be from 0 to {size - 1}, got {low if low < 0 else high}; use the model's own tokenizer")
        return self.embed_tokens(ids)

    def _biases(self, bias: Bias | None, device: torch.device) -> Sequence[Tensor | None]:
        """One row for each layer, checked."""
        n_layers, n_experts, ffn = self.settings.n_layers, self.settings.n_experts, self.settings.ffn
        if bias is None:
            return [None] * n_layers
        if ffn == "dense":
            raise ValueError("expert_bias needs a model with experts, got one with ffn 'dense'; leave it out")
        values = torch.as_tensor(bias, dtype=torch.float32, device=device)
        if values.shape != (n_layers, n_experts):
            raise ValueError(
                f"expert_bias must have one row per layer and one number per expert, ({n_layers}, {n_experts}), got {tuple(values.shape)}; "
                f"start from torch.zeros({n_layers}, {n_experts})"
            )
        if bool((values.isnan() | (values == math.inf)).any()):
            raise ValueError("expert_bias must hold numbers, or -inf to mute an expert, got NaN or +inf; use a large number such as 20")
        needed = 1 if ffn == "soft_all" else self.settings.top_k
        left = int((values > -math.inf).sum(-1).min())
        if left < needed:
            raise ValueError(f"expert_bias must leave at least {needed} experts of a layer to choose, got {left}; mute fewer")
        return values.unbind()

    def _auxiliary(self, sums: list[RoutingSums]) -> AuxiliaryLosses:
        config, tokens = self.settings, sums[0].tokens.clamp(min=1)
        balance, load = load_balance(sums, over_processes=self.training and self.load_over_processes)
        balance = balance.mean()
        diversity = torch.stack([layer.sameness for layer in sums]).mean() / tokens
        z = torch.stack([layer.z for layer in sums]).mean() / tokens
        total = config.aux_loss_weight * (balance + config.diversity_weight * diversity + config.z_loss_weight * z)
        entropy = torch.stack([layer.entropy for layer in sums]) / tokens
        peers = 1 - diversity.detach() if config.peers else None
        return AuxiliaryLosses(
            balance=balance, diversity=diversity, z=z, total=total, load=load, router_entropy=entropy, peer_entropy=peers
        )


def _counted(attention_mask: Any, t: int) -> Bool[Tensor, "b t"] | None:
    """Which tokens of this call are no padding; None = all (also for the four-dimensional mask that generate makes for a static cache)."""
    if not isinstance(attention_mask, Tensor) or attention_mask.ndim != 2:
        return None
    return attention_mask[:, -t:].bool()


class MoCForCausalLM(MoCPreTrainedModel, GenerationMixin):
    """The language model: `MoCModel` and a head, tied to the embedding or not.

    MoCForCausalLM(MoCConfig(**MoCModelConfig.tiny().to_dict())), or with a `MoCModelConfig` itself.
    """

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config: MoCConfig | MoCModelConfig):
        config = MoCConfig.from_model_config(config) if isinstance(config, MoCModelConfig) else config
        super().__init__(config)
        self.model = MoCModel(config)
        self.vocab_size = config.vocab_size
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: Int[Tensor, "b t"] | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Int[Tensor, "..."] | None = None,
        cache: Any = None,
        inputs_embeds: Float[Tensor, "b t d"] | None = None,
        labels: Int[Tensor, "b t"] | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        output_hidden_states: bool | None = None,
        output_routing: bool = False,
        output_aux: bool | None = None,
        expert_bias: Bias | None = None,
        num_items_in_batch: int | Tensor | None = None,
        return_dict: bool | None = None,
        past_key_values: Any = None,
        **kwargs: Any,
    ) -> MoCOutput | tuple:
        """Logits for the token after each token, and what else is asked for.

        attention_mask  (b, tokens so far), 0 for padding; padding is not counted in the auxiliary losses
        cache           what earlier calls left; `past_key_values` is its name in transformers before 5.24, and known in all
        labels          the same ids as input_ids, -100 where nothing is to be learned; they are shifted here
        output_aux      the auxiliary losses; by default in training, and with labels
        output_routing  the routing record of every layer
        expert_bias     (n_layers, n_experts) added to the router's scores: above 0 favours an expert, -inf mutes it
        num_items_in_batch  what the sum of the losses is divided by, when not by this call's labels (gradient accumulation)

        Raises ValueError for ids outside the vocabulary and for an expert_bias that leaves fewer than top_k experts.
        """
        if kwargs.pop("output_attentions", None):
            raise ValueError("attention weights are not kept by this model, got output_attentions=True; leave it out")
        if kwargs.keys() - {"cache_position", "token_type_ids"}:
            raise TypeError(f"unknown argument {min(kwargs)!r}; known: labels, attention_mask, output_routing, output_aux, expert_bias, …")
        output = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=_one(cache, past_key_values),
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            output_hidden_states=output_hidden_states,
            output_routing=output_routing,
            output_aux=labels is not None or self.training if output_aux is None else output_aux,
            expert_bias=expert_bias,
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep  # -0: all
        logits = self.lm_head(output.last_hidden_state[:, kept])
        result = MoCOutput(
            loss=None if labels is None else _main_loss(logits, labels, num_items_in_batch),
            logits=logits,
            **{CACHE: output.get(CACHE)},
            hidden_states=output.hidden_states,
            aux=output.aux,
            routing=output.routing,
        )
        return result.to_tuple() if return_dict is False else result

    def _expand_inputs_for_generation(self, *args: Any, expert_bias: Bias | None = None, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """transformers repeats every tensor once per beam; the bias has no batch to repeat."""
        ids, expanded = super()._expand_inputs_for_generation(*args, **kwargs)
        return ids, expanded if expert_bias is None else expanded | {"expert_bias": expert_bias}


def _main_loss(logits: Float[Tensor, "b t v"], labels: Int[Tensor, "b t"], items: int | Tensor | None) -> Float[Tensor, ""]:
    """Cross-entropy of each label given the tokens before it, in nats, mean over the labels (0 when there is none)."""
    if logits.shape[1] != labels.shape[1]:
        raise ValueError(f"labels must have a logit each, got {labels.shape[1]} labels for {logits.shape[1]} logits; use logits_to_keep=0")
    targets = labels[:, 1:].reshape(-1)
    total = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), targets, ignore_index=-100, reduction="sum")
    return total / ((targets != -100).sum().clamp(min=1) if items is None else items)


with contextlib.suppress(ValueError):  # a reloaded module (a notebook) finds its names taken
    AutoConfig.register(MoCConfig.model_type, MoCConfig)
    AutoModel.register(MoCConfig, MoCModel)
    AutoModelForCausalLM.register(MoCConfig, MoCForCausalLM)


# --- a dense model becomes a MoC ---------------------------------------------------------------------------------------------------


def upcycle(dense: MoCForCausalLM, config: MoCModelConfig, *, seed: int = 0) -> MoCForCausalLM:
    """A model of `config` with the logits of `dense` (Komatsuzaki et al. 2023, "sparse upcycling").

    Every expert is a copy of the dense layer, so whoever is chosen, the weighted sum is Σ w_j y = y: the weights of two or more chosen
    sum to 1, and the peer attention adds nothing yet. The router and the meeting are fresh; they give the copies different tokens and
    weights, and so they part in training. One chosen expert (top_k 1) has its probability as weight, which is not 1: it is refused.

    `config` must have the sizes of the dense model, and expert_hidden its hidden width. Raises `ConfigError`. `dense` is not changed.
    """
    old = dense.config.model_config
    if old.ffn != "dense":
        raise ConfigError(f"upcycle starts from a model with ffn 'dense', got {old.ffn!r}; train a dense one first")
    if config.ffn == "dense" or (config.top_k == 1 and config.ffn != "soft_all"):
        got = "ffn 'dense'" if config.ffn == "dense" else "top_k 1"
        raise ConfigError(f"upcycle needs experts whose weights sum to 1, with top_k of at least 2, got {got}; try ffn: moc and top_k: 2")
    for name in ("d_model", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "tie_embeddings", "rope_theta", "norm_eps"):
        ours, theirs = getattr(config, name), getattr(old, name)
        if ours != theirs:
            raise ConfigError(f"{name} must be that of the dense model, {theirs}, got {ours}; set {name}: {theirs}")
    if config.hidden != old.hidden:
        raise ConfigError(f"expert_hidden must be the dense model's hidden width {old.hidden}, got {config.hidden}; set it to {old.hidden}")

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MoCForCausalLM(MoCConfig.from_model_config(config, **_token_ids(dense.config)))
    model.to(device=dense.device, dtype=dense.dtype).train(dense.training)
    weights, source = model.state_dict(), dense.state_dict()
    with torch.no_grad():
        for name, tensor in source.items():
            if ".mlp." not in name:
                weights[name].copy_(tensor)
        for index in range(config.n_layers):
            mlp = f"model.layers.{index}.mlp"
            gate_up = torch.cat([source[f"{mlp}.gate_proj.weight"], source[f"{mlp}.up_proj.weight"]])
            weights[f"{mlp}.experts.gate_up"].copy_(gate_up)  # to every expert
            weights[f"{mlp}.experts.down"].copy_(source[f"{mlp}.down_proj.weight"])
    return model


def _token_ids(config: MoCConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}


# --- what it costs -----------------------------------------------------------------------------------------------------------------


class ParameterCounts(NamedTuple):
    """total: all; active: without the experts that a token did not choose; embedding: of the two, the token embedding and head."""

    total: int
    active: int
    embedding: int


def parameter_counts(config: MoCModelConfig) -> ParameterCounts:
    """How many parameters a model of `config` has. Active is the mixture's usual count: a MoC's other experts still run their first half
    (`macs_per_token` has the work)."""
    with torch.device("meta"):
        model = MoCForCausalLM(config)
    total = sum(p.numel() for p in {id(p): p for p in model.parameters()}.values())
    if config.tie_embeddings and model.lm_head.weight is not model.model.embed_tokens.weight:
        total -= model.lm_head.weight.numel()
    idle = 0 if config.ffn in ("dense", "soft_all") else config.n_experts - config.top_k
    embedding = config.vocab_size * config.d_model * (1 if config.tie_embeddings else 2)
    expert = 3 * config.d_model * config.hidden + (config.hidden * config.summary_rank if config.refine else 0)
    return ParameterCounts(total, total - config.n_layers * idle * expert, embedding)


def macs_per_token(config: MoCModelConfig, context: int, *, tokens: int | None = None) -> int:
    """Multiply-accumulates of the forward pass for one token that looks back on `context` tokens, itself included.

    All matrix products are counted, norms and activations are not; FLOPs are twice as many, and the backward pass costs twice the
    forward one. A text of t tokens has a mean context of (t + 1) / 2. Folding the MoC's down-projections is done once per call: give
    the call's `tokens` to have its share counted; None leaves it out, as in generation, where the fold is kept.
    """
    return config.n_layers * (attention_macs(config, context) + ffn_macs(config, tokens=tokens)) + config.d_model * config.vocab_size


def attention_macs(config: MoCModelConfig, context: int) -> int:
    """Multiply-accumulates of one attention layer for one token."""
    d, kv = config.d_model, config.n_kv_heads * config.head_dim
    return 2 * d * d + 2 * d * kv + 2 * context * d


def ffn_macs(config: MoCModelConfig, *, tokens: int | None = None) -> int:
    """Multiply-accumulates of one feed-forward layer for one token (see `macs_per_token`)."""
    d, f, r, e, k, m = config.d_model, config.hidden, config.summary_rank, config.n_experts, config.top_k, config.peers
    if config.ffn == "dense":
        return 3 * d * f
    linear_router = e * d
    if config.ffn == "soft_all":
        return linear_router + 3 * e * d * f
    if config.ffn != "moc":
        return linear_router + 3 * k * d * f
    if config.hears_all:
        run = 2 * e * d * f + e * f * r + k * d * f + (0 if tokens is None else -(-e * r * d * f // tokens))
    else:
        run = 3 * k * d * f + (k * d * r if m else 0)  # the chosen alone, and their summaries from their outputs
    meeting = e * 4 * r * r + 2 * e * e * r if config.meeting else 0
    told = k + e if config.cross_all else k
    peers = told * 3 * r * r + 2 * k * m * r + k * r + r * d if m else 0
    consensus = e * r + r * d if config.consensus else 0
    refine = k * f * r if config.refine else 0
    return linear_router + run + meeting + peers + consensus + refine + k * d
