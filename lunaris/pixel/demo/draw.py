"""An order of the Create view, drawn: one sprite per cell."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from lunaris.pixel.demo import common
from lunaris.pixel.demo.orders import Order

if TYPE_CHECKING:
    from lunaris.pixel.export import Sprite


def draw(order: Order, visitor: gr.Request | None, tell: Callable[[int], None] | None = None) -> "tuple[list[Sprite], dict[str, Any]]":
    """Every cell's sprite, and what made them. `tell` hears how many sprites are done, where that takes long."""
    from lunaris.pixel import export, generate_request, replay, unknown_words

    loaded, ref, run, started = common.model_for(order.model, visitor), _ref(order), order.run(), time.perf_counter()
    images = generate_request(loaded.model, run, tell)
    made = replay.record(loaded.model, "generate", run.recorded(), ref=ref, weights=loaded.weights)
    facts = {**common.origin(loaded, ref), "seconds": round(time.perf_counter() - started, 3)}
    if order.prompt.strip():
        facts["unknown_words"] = unknown_words(loaded.model, order.prompt)
    return export.sprites(images, made), facts


def draw_cell(order: Order, cell: int, visitor: gr.Request | None) -> "Sprite":
    """One cell (from 1) drawn alone: the same as in the whole grid."""
    from lunaris.pixel import export, generate_request, replay

    loaded, request = common.model_for(order.model, visitor), order.sprite(cell)
    made = replay.record(loaded.model, "generate", request.to_dict(), ref=_ref(order), weights=loaded.weights)
    return export.sprites(generate_request(loaded.model, request), made)[0]


def _ref(order: Order) -> str:
    return order.model.strip() or common.default_ref()
