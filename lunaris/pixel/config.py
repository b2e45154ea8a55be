"""LunarisCore's settings: the spec's YAML (PX-16), key for key, and the options added to it.

model:                                      training:
  latent_dim: 256                             batch_size: 64
  filters: [64, 128, 256, 512]                learning_rate: 2e-4
  input_shape: [16, 16, 3]                    beta1: 0.5
  use_text: true                              beta2: 0.999
  text_encoder_config: {hidden_dim: 512, …}   num_epochs: 100
  latent_fusion: {type: gate}                 save_interval: 5   # epochs
                                              eval_interval: 1   # epochs
"""

from dataclasses import dataclass
from typing import Literal

from lunaris.core import training
from lunaris.core.config import BaseConfig, ConfigError, option

SIDES = (8, 16, 32, 64)


@dataclass(frozen=True)
class TextEncoderConfig(BaseConfig):
    """How a prompt becomes one vector (PX-07, PX-08)."""

    kind: Literal["transformer", "bow"] = option(
        "transformer", "transformer (the spec's) or bow, a bag of words: small, and quick to learn"
    )
    vocab_size: int = option(50257, "entries of the token embedding; the tokenizer is trained on the captions", ge=300, le=200_000)
    max_length: int = option(64, "tokens read of a prompt", ge=1, le=1024)
    hidden_dim: int = option(512, "width", ge=8, le=4096)
    intermediate_dim: int = option(2048, "width of the feed-forward layer", ge=8, le=16384)
    num_layers: int = option(3, "transformer blocks", ge=1, le=48)
    num_heads: int = option(8, "attention heads", ge=1, le=64)
    dropout_rate: float = option(0.1, "dropout", ge=0, le=0.9)

    def check(self) -> None:
        if self.hidden_dim % self.num_heads:
            works = next(n for n in range(self.num_heads, 0, -1) if self.hidden_dim % n == 0)
            raise ConfigError(f"num_heads must divide hidden_dim {self.hidden_dim}, got {self.num_heads}; try {works}")


@dataclass(frozen=True)
class LatentFusionConfig(BaseConfig):
    """How latent and text meet (PX-11)."""

    type: Literal["concat", "add", "gate"] = option("concat", "concat (then projected back to latent_dim), add or gate")


@dataclass(frozen=True)
class FlowConfig(BaseConfig):
    """The quality sampler's network (flow.py); built when `sampler` is flow."""

    filters: tuple[int, ...] = option((32, 96, 192), "channels at each size, each half the one before", ge=8, le=2048)
    blocks: tuple[int, ...] = option((1, 2, 2), "residual blocks at each size, going down and again going up", ge=1, le=16)
    patch: int = option(1, "side of the squares of pixels taken together: 1, or 2 for the larger pictures", ge=1, le=4)
    word_dim: int = option(192, "width of a word", ge=8, le=2048)
    condition_dim: int = option(256, "width of what time and prompt together say", ge=8, le=4096)

    def check(self) -> None:
        if not self.filters:
            raise ConfigError("flow filters must name at least one size, got []; try [32, 96, 192]")
        if len(self.filters) != len(self.blocks):
            raise ConfigError(
                f"flow blocks must name as many sizes as filters ({len(self.filters)}), got {list(self.blocks)}; try [1, 2, 2]"
            )
        if any(width % 8 for width in self.filters):
            raise ConfigError(f"flow filters must be multiples of 8, got {list(self.filters)}; try [32, 96, 192]")


@dataclass(frozen=True)
class MatcherConfig(BaseConfig):
    """The networks that compare pictures with prompts (matcher.py); built when `ranking` is matcher."""

    filters: tuple[int, ...] = option((32, 64, 128, 192), "channels at full size and at each half of it", ge=8, le=2048)
    dim: int = option(192, "width of the compared vectors and of a word", ge=8, le=2048)
    patch: int = option(1, "side of the squares of pixels taken together: 1, or 2 for the larger pictures", ge=1, le=4)

    def check(self) -> None:
        if not self.filters or any(width % 8 for width in self.filters):
            raise ConfigError(f"matcher filters must be multiples of 8, at least one, got {list(self.filters)}; try [32, 64, 128, 192]")


@dataclass(frozen=True)
class PixelConfig(BaseConfig):
    """The model. Pictures are (height, width, channels) with 3 (RGB) or 4 (RGBA) channels and values in [0, 1]."""

    latent_dim: int = option(256, "numbers that describe a sprite", ge=2, le=4096)
    filters: tuple[int, ...] = option(
        (64, 128, 256, 512), "channels of the encoder's stages; the decoder uses them reversed", ge=1, le=4096
    )
    input_shape: tuple[int, int, int] = option((16, 16, 3), "height, width, channels", ge=1)
    use_text: bool = option(False, "read prompts")
    text_encoder_config: TextEncoderConfig = option(TextEncoderConfig(), "the text encoder")
    latent_fusion: LatentFusionConfig = option(LatentFusionConfig(), "how latent and text meet")
    text_gate: bool = option(False, "the prompt says which latent numbers still carry something; the others are drawn at random")
    head: Literal["mse", "palette", "slot"] = option(
        "mse", "mse (the spec's), palette (a colour index per pixel) or slot (indexed colour: a slot per pixel, a colour per slot)"
    )
    palette_size: int = option(128, "colours that the palette and slot heads choose from, transparent included", ge=2, le=256)
    slots: int = option(16, "colours one sprite may use with the slot head", ge=2, le=64)
    sampler: Literal["normal", "flow"] = option(
        "normal", "normal (pictures come from the VAE alone) or flow (a second network in pixel space draws the best quality)"
    )
    flow: FlowConfig = option(FlowConfig(), "the flow's network")
    ranking: Literal["latent", "matcher"] = option(
        "latent", "how drafts are compared with the prompt: latent (the VAE's own alignment) or matcher (two networks trained for it)"
    )
    matcher: MatcherConfig = option(MatcherConfig(), "the matcher's networks")
    sketch_fit: float = option(
        -1.0,
        "quality mode with a matcher: below this cosine with its prompt a sketch stays only if the painting fits worse",
        ge=-1,
        le=1,
    )
    flow_guidance: float = option(
        1.0, "quality mode: what a request's guidance is multiplied by; above 1 the words count for more than in training", ge=0, le=5
    )
    guided_until: float = option(
        1.0, "quality mode: from this time of the flow on, 0 noise to 1 sprite, guidance no longer exaggerates the words", ge=0, le=1
    )
    norm: Literal["batch", "group"] = option("batch", "batch (the spec's; evaluation uses running statistics) or group")
    upsample: Literal["transpose", "resize"] = option(
        "transpose", "transposed convolution (4x4, no checkerboard) or nearest resize + convolution"
    )

    patch: int = option(1, "side of the squares of pixels that encoder and decoder take at once: 1, or 2 for larger pictures", ge=1, le=4)

    def check(self) -> None:
        height, width, channels = self.input_shape
        if height != width or height not in SIDES:
            raise ConfigError(
                f"input_shape must be square with a side of {', '.join(map(str, SIDES))}, got {height}x{width}; try [16, 16, {channels}]"
            )
        if channels not in (3, 4):
            raise ConfigError(f"input_shape must end in 3 (RGB) or 4 (RGBA) channels, got {channels}; try [{height}, {width}, 4]")
        if not self.filters:
            raise ConfigError("filters must name at least one stage, got []; try [64, 128, 256]")
        if self.side % self.patch or self.side // self.patch < 8:
            raise ConfigError(f"patch must leave a grid of at least 8x8, got {self.patch} for a side of {self.side}; try 1")
        if self.ranking == "matcher" and self.side % self.matcher.patch:
            raise ConfigError(f"matcher patch must divide the side {self.side}, got {self.matcher.patch}; try 1")
        if self.norm == "group" and any(width % 8 for width in self.filters):
            raise ConfigError(f"filters must be multiples of 8 with norm 'group', got {list(self.filters)}; try [64, 128, 256]")
        if self.sampler == "flow":
            if not self.use_text:
                raise ConfigError("sampler 'flow' needs use_text true: it is steered by the words of a prompt; set use_text: true")
            smallest = self.flow.patch * 2 ** (len(self.flow.filters) - 1)
            if height % smallest:
                raise ConfigError(f"flow patch and sizes must divide the side {height}, got {smallest}; try patch 1 and three filters")
        if self.ranking == "matcher" and not self.use_text:
            raise ConfigError("ranking 'matcher' needs use_text true: it compares pictures with prompts; set use_text: true")

    @property
    def side(self) -> int:
        return self.input_shape[0]

    @property
    def channels(self) -> int:
        return self.input_shape[2]

    @classmethod
    def tiny(cls) -> "PixelConfig":
        """Seconds on a CPU: tests, CI, a notebook without a GPU."""
        text = TextEncoderConfig(kind="bow", vocab_size=1024, max_length=24, hidden_dim=64, intermediate_dim=128, num_layers=1, num_heads=4)
        return cls(
            latent_dim=32,
            filters=(32, 64, 96),
            input_shape=(16, 16, 4),
            use_text=True,
            text_encoder_config=text,
            text_gate=True,
            head="slot",
            slots=12,
            norm="group",
            palette_size=80,
        )

    @classmethod
    def small(cls) -> "PixelConfig":
        """The VAE of checkpoints/pixel-16: some hours on one CPU core. Its flow and its matcher are stages of their own (see its card)."""
        text = TextEncoderConfig(
            kind="bow", vocab_size=3072, max_length=32, hidden_dim=256, intermediate_dim=512, num_layers=2, num_heads=4
        )
        return cls(
            latent_dim=128,
            filters=(64, 128, 256),
            input_shape=(16, 16, 4),
            use_text=True,
            text_encoder_config=text,
            text_gate=True,
            head="slot",
            norm="group",
            palette_size=256,
        )

    @classmethod
    def full(cls) -> "PixelConfig":
        """The spec's own sizes, for a GPU."""
        return cls(use_text=True, latent_fusion=LatentFusionConfig(type="gate"))


@dataclass(frozen=True)
class PixelTrainConfig(training.TrainConfig):
    """The training run. The spec counts in epochs; `steps`, when given, counts instead."""

    batch_size: int = option(64, "sprites per optimiser step, over all processes", ge=1, le=65536)
    learning_rate: float = option(2e-4, "peak learning rate", gt=0, le=1)
    beta1: float = option(0.5, "Adam's first decay", ge=0, le=0.9999)
    beta2: float = option(0.999, "Adam's second decay", ge=0, le=0.999999)
    steps: int = option(0, "optimiser steps; 0 = num_epochs over the data", ge=0)
    num_epochs: int = option(100, "passes over the training data", ge=1)
    save_interval: int = option(5, "epochs between checkpoints", ge=1)
    eval_interval: int = option(1, "epochs between evaluations", ge=1)
    stage: Literal["vae", "flow", "matcher"] = option(
        "vae", "what is trained: vae, or added to the checkpoint that init_from names: flow (the quality sampler) or matcher (the ranking)"
    )
    sprites: int = option(20_000, "sprites of the procedural source", ge=8, le=1_000_000)
    bilingual: bool = option(False, "give pictures with an English caption a Portuguese one as well, where the lexicon has the words")
    beta: float = option(1.0, "weight of the KL term", ge=0, le=1000)
    kl_warmup: float = option(0.2, "share of the run in which the KL weight rises from 0 to beta", ge=0, le=1)
    free_bits: float = option(0.0, "nats per latent dimension that cost nothing (against posterior collapse)", ge=0, le=10)
    recon_sigma: float = option(0.1, "standard deviation of a pixel in the mse head's likelihood, in [0, 1] units", gt=0, le=10)
    alignment: Literal["infonce", "cosine", "none"] = option("infonce", "text-image alignment between text vector and latent mean")
    alignment_weight: float = option(1.0, "weight of the alignment term", ge=0, le=1000)
    text_dropout: float = option(
        0.1, "share of captions replaced by the learned 'no prompt' vector (makes guidance possible)", ge=0, le=0.9
    )
    sketch_dropout: float = option(0.1, "stage flow: share of sprites painted without the VAE's sketch; 1 = none has one", ge=0, le=1)
    sketch_noise: float = option(0.5, "stage flow: share of sketches turned towards another sprite of the same prompt", ge=0, le=1)
    start_share: float = option(0.0, "stage flow: share of sprites seen at the very start, where all is noise still", ge=0, le=1)
    drafts: bool = option(True, "stage matcher: the VAE's own drafts are wrong answers too, so that it learns to tell good ones from bad")
    save_dtype: Literal["fp32", "fp16"] = option("fp32", "weights on disk; fp16 halves the file")
    init_from: str = option("", "checkpoint to start from: without text (progressive training), or of half the side (the model grows)")
    freeze: bool = option(False, "with init_from: train only the text encoder and the fusion")

    def check(self) -> None:
        super().check()
        if self.freeze and not self.init_from:
            raise ConfigError("freeze needs init_from, the checkpoint whose picture weights stay as they are; try init_from: pixel-16")
        if self.stage != "vae" and not self.init_from:
            raise ConfigError(f"stage {self.stage!r} needs init_from, the checkpoint that it is added to; train one with stage 'vae' first")

    @classmethod
    def tiny(cls) -> "PixelTrainConfig":
        return _indexed_colour(cls, steps=600, learning_rate=3e-3, sprites=4000, warmup_steps=20, ema_decay=0.97, tracker="none")

    @classmethod
    def small(cls) -> "PixelTrainConfig":
        return _indexed_colour(cls, steps=18_000, learning_rate=2e-3, sprites=60_000, warmup_steps=200, save_interval=1, save_dtype="fp16")

    @classmethod
    def full(cls) -> "PixelTrainConfig":
        return cls(sprites=100_000)


def _indexed_colour(cls: type[PixelTrainConfig], **settings) -> PixelTrainConfig:
    """Settings for the slot head with text. No KL warm-up and a heavier KL: what the prompt says then comes from the prompt, and the
    latent keeps the rest; with the spec's weights the latent learns the shape first and the prompt is ignored for long."""
    return cls(beta1=0.9, beta=3.0, kl_warmup=0.0, alignment_weight=0.3, clip_norm=5.0, **settings)


Config, TrainConfig = PixelConfig, PixelTrainConfig  # the names every family gives them
