"""What the views of the tab share: the models they may use, the parts they are made of, and what one view knows of another."""

import functools
import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.components import Component

from lunaris import pixel
from lunaris.core import hub, model_view, models, ui
from lunaris.core.config import ConfigError
from lunaris.pixel.demo.texts import FAMILY, TEXTS
from lunaris.pixel.request import PixelRequest

if TYPE_CHECKING:
    import numpy as np


@dataclass
class Page:
    """What the views of the tab know of each other; each view's `build(page)` adds its own to the tables."""

    active: gr.Textbox  # the hidden name of the checkpoint in use, an argument of every call
    tabs: gr.Tabs
    demo: gr.Blocks
    form: dict[str, Component] = field(default_factory=dict)  # the fields under Create, by their name in `orders.Order`
    takes: dict[str, "Place"] = field(default_factory=dict)  # where a sprite can be sent, such as "morph:first"
    sends: list[tuple[gr.Button, Component, str]] = field(default_factory=list)  # a button, a file, and its name in `takes`

    def connect(self) -> None:
        """Make every button of `sends` take its file to its place and show it there. Called when all views are built."""
        for button, file, name in self.sends:
            place = self.takes.get(name)
            if place is None:
                button.visible = False
                continue
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


class Checkpoints(model_view.Checkpoints):
    """Those of the family, and the models that visitors have retrained, which whoever has the name may use."""

    def model_for(self, ref: Any, request: gr.Request | None, **options: bool) -> models.Loaded:
        if folder := _retrained(ref):
            # under a name of their own: /healthz names only what is loaded for the family itself
            return models.shared().get("retrained", str(folder), self.load)
        return super().model_for(ref, request, **options)

    def folder_of(self, ref: str, request: gr.Request | None) -> Path | None:
        return _retrained(ref) or super().folder_of(ref, request)


def _retrained(ref: Any) -> Path | None:
    """Where the model of a "retrained:…" lies, None for another ref. Raises FileNotFoundError when this server has it no longer."""
    if not isinstance(ref, str) or not ref.strip().startswith("retrained:"):
        return None
    from lunaris.pixel.retrain import model_folder

    return model_folder(ref.strip())


CHECKPOINTS = Checkpoints(FAMILY, pixel.CHECKPOINT, lambda folder: pixel.load(folder))
default_ref, bundled_refs = CHECKPOINTS.default_ref, CHECKPOINTS.bundled_refs
model_for, folder_of = CHECKPOINTS.model_for, CHECKPOINTS.folder_of


def has_flow(ref: str, request: gr.Request | None = None) -> bool:
    """Whether a checkpoint has the quality sampler; False for one that must be fetched first or cannot be read."""
    try:
        folder = folder_of(ref, request)
        return folder is not None and hub.load_config(folder).get("model", {}).get("sampler") == "flow"
    except (ValueError, OSError):
        return False


def origin(loaded: models.Loaded, ref: str) -> dict[str, Any]:
    """What the pictures came from, so that they can be made again."""
    return {**CHECKPOINTS.origin(loaded, ref), "side": loaded.model.config.side}


def picture(value: Any, name: str) -> "np.ndarray":
    """An uploaded picture as RGBA. Gradio has checked by now that the file is one that was uploaded."""
    path = value.get("path") if isinstance(value, Mapping) else value
    if not isinstance(path, str) or not path:
        raise ConfigError(f"{name} must be a picture, got none; upload a PNG, GIF, WebP or JPEG file")
    from lunaris.core.images import read_image

    return read_image(path)


# --- parts -----------------------------------------------------------------------------------------------------------------------

SEED_FOR_THIS_RUN = "(seed, keep) => [keep ? seed : Math.floor(Math.random() * 1e6), '']"  # and no cell with a seed of its own
PRESS = "() => document.querySelector('#pixel-as-it-is').click()"
PRESS_IF = "(now) => { if (now) document.querySelector('#pixel-as-it-is').click(); }"


def show(selector: str) -> str:
    """JavaScript that scrolls a result into sight where it is not."""
    return f"() => {{ window.lunaris?.show('{selector}'); }}"


# What a result says about itself. A template that the browser fills in, so that REST and MCP get the plain values.
REPORT = """${!value ? "" : `<p class="lunaris-report" role="status">
  <b>${value.n ? `${value.n} sprite${value.n > 1 ? "s" : ""}` : `${value.steps} [frames]`}</b>
  ${"seed" in value ? `<span>seed <b>${value.seed}</b></span>` : ""}
  <span>${value.seconds.toFixed(2)} s</span><span>${value.side}×${value.side}</span>
  ${value.mode === "quality" ? `<span>[quality]</span>` : ""}
  <span>${value.model.replace(/[^\\w@/.-]/g, "")} <code>${value.weights.slice(0, 8)}</code></span>
</p>${(value.unknown_words || []).length ? `<p class="lunaris-hint">[unknown] <b>${value.unknown_words.join(", ")}</b></p>` : ""}`}"""


def report_component(elem_id: str) -> gr.HTML:
    template = REPORT
    for key in ("frames", "unknown", "quality"):
        template = template.replace(f"[{key}]", TEXTS.html(f"report_{key}"))
    return ui.raw(html_template=template, elem_id=elem_id)


chip = functools.partial(ui.chip, fill="#pixel-prompt")


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


def order_slider(name: str, label: Any, *, step: float, info: Any = None, **options: Any) -> gr.Slider:
    """A slider with the range and the default of that field of `PixelRequest`: calls by name take their defaults from here."""
    field = FIELDS[name]
    return gr.Slider(field.metadata["ge"], field.metadata["le"], field.default, step=step, label=label, info=info, **options)


def numbers(choice: Component) -> Component:
    """A choice of numbers, described as such: Gradio calls every choice a text, and then MCP refuses each number that is sent."""
    choice.api_info = lambda: {"type": "integer"}
    return choice


def tuning_sliders() -> tuple[gr.Slider, gr.Slider]:
    """Temperature and guidance."""
    return (
        order_slider("temperature", TEXTS("temperature"), step=0.05, info=TEXTS("temperature_info")),
        order_slider("guidance", TEXTS("guidance"), step=0.1, info=TEXTS("guidance_info")),
    )


# --- colours to choose from ------------------------------------------------------------------------------------------------------

PALETTE_TITLES = {"gameboy": "Game Boy", "pico8": "PICO-8", "nes": "NES", "c64": "C64"}
OWN_COLOURS = r"""<span class="lunaris-swatches">${(value.match(/#?\b[0-9a-f]{6}\b/gi) ?? []).slice(0, 32)
  .map((colour) => `<i style="background:#${colour.replace("#", "")}"></i>`).join("")}</span>"""
PICKER = r"""<label class="lunaris-chip">
  <input type="color" data-fill="#[field]" value="${/^#[0-9a-f]{6}$/i.test(value) ? value : "#8090a0"}">[name]</label>"""


def palette_field(elem_id: str) -> gr.Textbox:
    """A field for a palette's name or colours; above it the named ones to click, and the colours of an own list."""
    from lunaris.pixel.palette import NAMED

    options = {"": TEXTS.html("as_drawn")}
    options |= {name: f"{swatches(colours)} {html.escape(PALETTE_TITLES.get(name, name))}" for name, colours in NAMED.items()}
    return _field_with_choices(
        "palette", elem_id, options, OWN_COLOURS, placeholder="#0f380f #306230 #8bac0f", info=TEXTS("palette_info"), max_length=2100
    )


def background_field(elem_id: str, colours: Sequence[str]) -> gr.Textbox:
    """A field for the colour behind a sprite; above it transparent, a few colours and the browser's own picker."""
    options = {"": TEXTS.html("transparent")}
    options |= {colour: f'{swatches([colour])}<span class="sr-only">{colour}</span>' for colour in colours}
    picker = PICKER.replace("[field]", elem_id).replace("[name]", TEXTS.html("any_colour"))
    return _field_with_choices("background", elem_id, options, picker, placeholder="#203040", max_length=7)


def _field_with_choices(key: str, elem_id: str, options: Mapping[str, str], more: str, **field: Any) -> gr.Textbox:
    """A text field, and above it chips that fill it; the one whose value it holds is pressed."""
    pressed = '${value.toLowerCase().replace(/[^#0-9a-z]/g, "") === "[value]"}'  # "PICO-8" is pico8
    chips = "".join(
        f'<button type="button" class="lunaris-chip" data-fill="#{elem_id}" data-text="{value}" '
        f'aria-pressed="{pressed.replace("[value]", value)}">{label}</button>'
        for value, label in options.items()
    )
    title = f'<h4 class="lunaris-label">{TEXTS.html(key)}</h4>'
    box = ui.raw("", html_template=f'{title}<div class="lunaris-chips lunaris-choices">{chips}{more}</div>')
    text = gr.Textbox("", label=TEXTS(f"{key}_own"), max_lines=2, elem_id=elem_id, **field)
    text.change(None, text, box, js="(text) => text ?? ''", api_visibility="private")
    return text


def swatches(colours: Sequence[str]) -> str:
    """Colours as small squares in a row; of many, eight from all over the palette."""
    shown = colours[:: math.ceil(len(colours) / 8)]
    return '<span class="lunaris-swatches">' + "".join(f'<i style="background:{colour}"></i>' for colour in shown) + "</span>"
