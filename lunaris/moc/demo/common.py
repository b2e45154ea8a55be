"""What the views of the tab share: the models they may use, the parts they are made of, and what one view knows of another."""

import functools
import html
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from lunaris import moc
from lunaris.core import hub, model_view, ui
from lunaris.core.config import ConfigError
from lunaris.moc.config import MoCModelConfig
from lunaris.moc.demo.texts import FAMILY, TEXTS
from lunaris.moc.request import MAX_PROMPT, MoCRequest

HERE = Path(__file__).parent
SHOWN = 256  # tokens that the page is sent the minutes of
HEAVY = {"concurrency_id": FAMILY, "concurrency_limit": 2}  # all that runs the model shares one pair of places


@dataclass
class Page:
    """What the views of the tab know of each other; each view's `build(page)` adds its own."""

    active: gr.Textbox  # the hidden name of the checkpoint in use, an argument of every call
    tabs: gr.Tabs
    demo: gr.Blocks
    form: dict[str, Component] = field(default_factory=dict)  # the fields under Write, by their name in `orders.Order`
    text: gr.Textbox | None = None  # what was written under Write
    ask_what_if: gr.Button | None = None  # under Write: takes that text to What if


# --- models ----------------------------------------------------------------------------------------------------------------------


CHECKPOINTS = model_view.Checkpoints(FAMILY, moc.CHECKPOINT, lambda folder: moc.load(folder))
default_ref, model_for, folder_of, origin = CHECKPOINTS.default_ref, CHECKPOINTS.model_for, CHECKPOINTS.folder_of, CHECKPOINTS.origin


def settings_of(ref: str, request: gr.Request | None = None) -> MoCModelConfig | None:
    """The sizes of a checkpoint by its config.json; None for one that must be fetched first or cannot be read."""
    try:
        folder = folder_of(ref, request)
        return None if folder is None else settings_in(folder)
    except (ValueError, OSError):
        return None


def settings_in(folder: Path) -> MoCModelConfig:
    """The sizes in a folder's config.json, which is in transformers' form: top_k has another name there. No torch is needed."""
    table = hub.load_config(folder)
    table = table | {"top_k": table.get("num_experts_per_tok", table.get("top_k"))}
    names = [f.name for f in fields(MoCModelConfig)]
    return MoCModelConfig.from_dict({name: table[name] for name in names if table.get(name) is not None})


# --- arguments -------------------------------------------------------------------------------------------------------------------


def text(name: str, value: Any, longest: int = MAX_PROMPT) -> str:
    """A text argument, checked: REST may send anything."""
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be a text, got {str(value)[:40]!r}; put it in quotes")
    if len(value) > longest:
        raise ConfigError(f"{name} must be at most {longest:,} characters, got {len(value):,}; give its end alone")
    return value


def order(prompt: Any, *, stop: Any = "", mute: Any = "", expert_bias: Any = "", **numbers: Any) -> MoCRequest:
    """A checked order from the arguments of a call: lists are written in one text field each."""
    return MoCRequest.from_dict(
        {
            "prompt": prompt,
            "stop": stop_texts(stop),
            "mute": wishes("mute", mute),
            "expert_bias": wishes("expert_bias", expert_bias),
            **{name: ui.whole(value) if is_whole(name) else value for name, value in numbers.items()},
        }
    )


def is_whole(name: str) -> bool:
    """Whether that field of an order is a whole number."""
    return name in FIELDS and FIELDS[name].type is int


def stop_texts(value: Any) -> list[str]:
    r"""One stop text per line; \n in it is a line break, \t a tab."""
    lines = text("stop", value, 1000).splitlines()
    return [line.replace("\\n", "\n").replace("\\t", "\t") for line in lines if line]


def wishes(name: str, value: Any) -> list[str]:
    """What names experts, with spaces or commas between."""
    return text(name, value, 4000).replace(",", " ").split()


# --- parts -----------------------------------------------------------------------------------------------------------------------

FIELDS = {f.name: f for f in fields(MoCRequest)}


def order_slider(name: str, *, step: float, high: float | None = None) -> gr.Slider:
    """A slider with the range and the default of that field of `MoCRequest`: calls by name take their defaults from here."""
    meta = FIELDS[name].metadata
    low = step if meta.get("ge") is None else meta["ge"]  # a range that leaves out its lower end begins one step above it
    return gr.Slider(low, high or meta["le"], FIELDS[name].default, step=step, label=TEXTS(name), info=TEXTS(f"{name}_info"))


chip = functools.partial(ui.chip, fill="#moc-prompt")


@functools.cache
def asset(name: str) -> str:
    """A file beside this one: the tab's style sheet, its scripts."""
    return (HERE / name).read_text(encoding="utf-8")


def words(*keys: str) -> Mapping[str, str]:
    """Texts for a script, as HTML in both languages."""
    return {key: TEXTS.html(key) for key in keys}


def piece(shown: str) -> str:
    """A token for the page: what cannot be seen gets a sign."""
    return html.escape(shown).replace("\n", "↵").replace("\t", "⇥").replace(" ", "␣")
