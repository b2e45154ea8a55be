"""An order of the Create view, drawn: one sprite per cell."""

import time
from collections.abc import Callable
from typing import Any

import gradio as gr

from lunaris.core import ui
from lunaris.pixel.demo import common
from lunaris.pixel.demo.files import Sprite
from lunaris.pixel.demo.orders import Order


def draw(order: Order, visitor: gr.Request | None, tell: Callable[[int], None] | None = None) -> tuple[list[Sprite], dict[str, Any]]:
    """Every cell's sprite, and what made them. `tell` hears how many sprites are done, where that takes long."""
    from lunaris.pixel import generate_request, replay, unknown_words

    loaded, ref, started = common.model_for(order.model, visitor), _ref(order), time.perf_counter()
    images = generate_request(loaded.model, order.request(), tell)
    made = replay.record(loaded.model, "generate", order.request().to_dict(), ref=ref, weights=loaded.weights)
    sprites = [Sprite(image, {**made, "index": i}) for i, image in enumerate(images)]
    for cell in order.own_seeds():
        sprites[cell - 1] = draw_cell(order, cell, visitor)
    facts = {**common.origin(loaded, ref), "seconds": round(time.perf_counter() - started, 3)}
    if order.prompt.strip():
        facts["unknown_words"] = unknown_words(loaded.model, order.prompt)
    return sprites, facts


def draw_cell(order: Order, cell: int, visitor: gr.Request | None) -> Sprite:
    """One cell (from 1) drawn alone: the same as in the whole grid."""
    from lunaris.pixel import generate_request, replay

    loaded, request = common.model_for(order.model, visitor), order.sprite(cell)
    made = replay.record(loaded.model, "generate", request.to_dict(), ref=_ref(order), weights=loaded.weights)
    return Sprite(generate_request(loaded.model, request)[0], {**made, "index": 0})


def _ref(order: Order) -> str:
    return order.model.strip() or common.default_ref()


def names(order: Order) -> list[str]:
    """A file name per cell; two cells may share a seed, so those with one of their own are numbered."""
    own, stem = order.own_seeds(), ui.slug(order.prompt)
    return [f"{stem}-{seed}{f'-cell{i + 1}' if i + 1 in own else ''}.png" for i, seed in enumerate(order.seeds())]
