"""A model of twice the side from a trained one (Karras et al. 2018, "progressive growing"), so that what it knows is not learned again.

The larger model takes 2x2 pixels where the smaller took one (`patch` doubles everywhere), so all layers but the outermost keep their
sizes. Entering layers see the mean of each square, leaving layers say the same to all four pixels: before its first step, the grown
model draws the sprites of the small one with every pixel doubled. Its own data may bring new words and new colours: a token the small
model had otherwise cut up starts as the mean of its pieces, a colour takes the place of the nearest one.
"""

import torch

from lunaris.core.config import ConfigError
from lunaris.pixel.config import PixelConfig
from lunaris.pixel.model import LunarCore, PaletteHead

WORDS = ("text_encoder.embedding.weight", "flow.embedding.weight", "matcher.words.embedding.weight")  # a row per token
SQUARE = 4  # pixels where there was one


def fits(config: PixelConfig, small: PixelConfig) -> bool:
    """Whether a model of these settings is asked to grow from the small one: its side is twice as long."""
    return config.side == 2 * small.side


def doubled(small: PixelConfig) -> PixelConfig:
    """The settings of the model of twice the side."""
    side = 2 * small.side
    flow, matcher = small.flow.replace(patch=2 * small.flow.patch), small.matcher.replace(patch=2 * small.matcher.patch)
    return small.replace(input_shape=(side, side, small.channels), patch=2 * small.patch, flow=flow, matcher=matcher)


@torch.no_grad()
def grow(model: LunarCore, small: LunarCore) -> None:
    """Give `model`, fresh with its own tokenizer and palette, the weights of `small`. What `small` has no part for stays fresh.

    Raises ConfigError where the settings differ in more than size.
    """
    wanted = doubled(small.config).replace(sampler=model.config.sampler, ranking=model.config.ranking)
    for part in ("flow", "matcher"):
        if not (hasattr(model, part) and hasattr(small, part)):  # its sizes bind nobody
            wanted = wanted.replace(**{part: getattr(model.config, part)})
    if model.config != wanted:
        key = next(name for name, value in wanted.to_dict().items() if model.config.to_dict()[name] != value)
        ours, theirs = model.config.to_dict()[key], wanted.to_dict()[key]
        raise ConfigError(f"to grow from init_from, {key} must be that of it with every patch doubled, got {ours}; set {theirs}")
    weights, target = small.state_dict(), model.state_dict()
    for name, value in target.items():
        if name not in weights or name in ("head.palette", "head.used"):
            continue
        known = weights[name]
        if name in WORDS:
            entries = range(model.tokenizer.vocab_size)  # the rows behind them are never read
            value[: len(entries)] = torch.stack([known[small.tokenizer.pieces(model.tokenizer, i)].mean(0) for i in entries])
        elif value.shape == known.shape:
            value.copy_(known)
        elif known.ndim == 4 and value.shape[1] == SQUARE * known.shape[1]:  # a convolution that sees squares
            value.copy_(known.repeat_interleave(SQUARE, 1) / SQUARE)
        else:  # one that draws squares, weight or bias
            value.copy_(known.repeat_interleave(SQUARE, 0))
    if isinstance(model.head, PaletteHead):
        colours = model.head.palette[model.head.used > 0].clone()
        model.head.palette.copy_(small.head.palette)
        model.head.used.copy_(small.head.used)
        model.head.adopt_palette(colours)
