"""What the views of the tab share: the models they may use, the parts they are made of, and what one view knows of another."""

import functools
import html
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.components import Component

from lunaris.core import hub, models, ui
from lunaris.core.config import ConfigError
from lunaris.pixel import CHECKPOINT
from lunaris.pixel.demo.texts import FAMILY, TEXTS
from lunaris.pixel.request import PixelRequest

if TYPE_CHECKING:
    import numpy as np

SCALE = 8  # the enlarged pictures people share


@dataclass
class Page:
    """What the views of the tab know of each other; each view's `build(page)` adds its own to the tables."""

    active: gr.Textbox  # the hidden name of the checkpoint in use, an argument of every call
    tabs: gr.Tabs
    form: dict[str, Component] = field(default_factory=dict)  # the fields under Create, by their name in `PixelRequest`
    takes: dict[str, "Place"] = field(default_factory=dict)  # where a sprite can be sent, such as "morph:first"
    sends: list[tuple[gr.Button, Component, str]] = field(default_factory=list)  # a button, a file, and its name in `takes`

    def connect(self) -> None:
        """Make every button of `sends` take its file to its place and show it there. Called when all views are built."""
        for button, file, name in self.sends:
            place = self.takes[name]
            go = functools.partial(_arrive, [tab for _, tab in place.way])
            button.click(go, file, [place.picture, *(tabs for tabs, _ in place.way)], api_visibility="private")


@dataclass(frozen=True)
class Place:
    """A field that takes a picture, and which tabs to open, outermost first, to see it."""

    picture: gr.Image
    way: tuple[tuple[gr.Tabs, str], ...]


def _arrive(way: list[str], path: str | None) -> tuple[Any, ...]:
    return (path, *(gr.Tabs(selected=tab) for tab in way))


# --- models ----------------------------------------------------------------------------------------------------------------------


def default_ref() -> str:
    """What the tab opens with: LUNARIS_MODEL (a Space's variable), else the bundled checkpoint."""
    return os.environ.get("LUNARIS_MODEL", "").strip() or CHECKPOINT


def bundled_refs() -> list[str]:
    """The names of the bundled checkpoints of this family."""
    return [name for name, folder in hub.bundled().items() if hub.load_config(folder).get("family") == FAMILY]


def model_for(ref: Any, request: gr.Request | None, *, refresh: bool = False) -> models.Loaded:
    """The model behind a visitor's `ref` ("" = the default), from memory when it is there. Only who may name folders can load one."""
    if not isinstance(ref, str):
        raise ConfigError(f"model must be a text, got {str(ref)[:40]!r}; try '{CHECKPOINT}'")
    ref = ref.strip() or default_ref()
    folders = ref == default_ref() or ui.serves_only_this_machine(request)
    if not folders and ref.startswith(("/", ".", "~")):
        raise ConfigError(TEXTS.say("folder_refused", ui.language_of(request), names=", ".join(bundled_refs())))
    return models.shared().get(FAMILY, ref, _load, folders=folders, refresh=refresh)


def _load(folder: Path) -> Any:
    from lunaris.pixel import load

    return load(folder)


def origin(loaded: models.Loaded, ref: str) -> dict[str, Any]:
    """What the pictures came from, so that they can be made again."""
    return {"model": ref.strip() or default_ref(), "weights": loaded.weights, "side": loaded.model.config.side}


def picture(value: Any, name: str) -> "np.ndarray":
    """An uploaded picture as RGBA. Gradio has checked by now that the file is one that was uploaded."""
    path = value.get("path") if isinstance(value, Mapping) else value
    if not isinstance(path, str) or not path:
        raise ConfigError(f"{name} must be a picture, got none; upload a PNG, GIF, WebP or JPEG file")
    from lunaris.core.images import read_image

    return read_image(path)


# --- parts -----------------------------------------------------------------------------------------------------------------------

NEW_SEED = "() => Math.floor(Math.random() * 1e6)"
SEED_FOR_THIS_RUN = "(seed, keep) => keep ? seed : Math.floor(Math.random() * 1e6)"


def show(selector: str) -> str:
    """JavaScript that scrolls a result into sight where it is not."""
    return f"() => {{ window.lunaris?.show('{selector}'); }}"


# What a result says about itself. A template that the browser fills in, so that REST and MCP get the plain values.
REPORT = """${!value ? "" : `<p class="lunaris-report" role="status">
  <b>${value.n ? `${value.n} sprite${value.n > 1 ? "s" : ""}` : `${value.steps} [frames]`}</b>
  ${"seed" in value ? `<span>seed <b>${value.seed}</b></span>` : ""}
  <span>${value.seconds.toFixed(2)} s</span><span>${value.side}×${value.side}</span>
  <span>${value.model.replace(/[^\\w@/.-]/g, "")} <code>${value.weights.slice(0, 8)}</code></span>
</p>${(value.unknown_words || []).length ? `<p class="lunaris-hint">[unknown] <b>${value.unknown_words.join(", ")}</b></p>` : ""}`}"""


def report_component(elem_id: str) -> gr.HTML:
    template = REPORT
    for key in ("frames", "unknown"):
        template = template.replace(f"[{key}]", TEXTS.html(f"report_{key}"))
    return ui.raw(html_template=template, elem_id=elem_id)


def chip(text: str, label: str = "", fill: str = "#pixel-prompt", **data: str) -> str:
    """A button that puts `text` into a field; page.js reads the data attributes."""
    attributes = "".join(f' data-{key}="{html.escape(value)}"' for key, value in {"fill": fill, "text": text, **data}.items())
    return f'<button type="button" class="lunaris-chip"{attributes}>{html.escape(label or text)}</button>'


def empty_state(key: str) -> str:
    """What stands where a result will be."""
    return f'<div class="lunaris-empty">{ui.moon()}<b>{TEXTS.html(key)}</b><span>{TEXTS.html(f"{key}_hint")}</span></div>'


def picture_grid(label: Any, elem_id: str) -> gr.Gallery:
    """Small pictures side by side, pixels as squares, transparency as a checkerboard (static/page.css)."""
    return gr.Gallery(
        label=label,
        show_label=False,
        columns=8,
        height="auto",
        object_fit="contain",
        allow_preview=False,
        interactive=False,
        format="png",
        buttons=[],
        elem_id=elem_id,
        elem_classes=["lunaris-grid", "lunaris-pixels"],
    )


FIELDS = {field.name: field for field in fields(PixelRequest)}


def order_slider(name: str, label: Any, *, step: float, info: Any = None) -> gr.Slider:
    """A slider with the range and the default of that field of `PixelRequest`."""
    field = FIELDS[name]
    return gr.Slider(field.metadata["ge"], field.metadata["le"], field.default, step=step, label=label, info=info)


def seed_field(info: Any = None) -> gr.Number:
    return gr.Number(0, precision=0, minimum=0, maximum=FIELDS["seed"].metadata["le"], label=TEXTS("seed"), info=info, min_width=120)


def tuning_fields() -> tuple[gr.Slider, gr.Slider]:
    """Temperature and guidance, folded away."""
    with gr.Accordion(TEXTS("tuning"), open=False):
        return (
            order_slider("temperature", TEXTS("temperature"), step=0.05, info=TEXTS("temperature_info")),
            order_slider("guidance", TEXTS("guidance"), step=0.1, info=TEXTS("guidance_info")),
        )
