"""Replay: a PNG that Lunaris made is dropped, made again from its own record, and compared pixel by pixel."""

import html
from typing import Any

import gradio as gr

from lunaris.core import ui
from lunaris.core.config import ConfigError
from lunaris.pixel.demo import common
from lunaris.pixel.demo.common import PRESS_IF, Page
from lunaris.pixel.demo.orders import Order
from lunaris.pixel.demo.texts import FAMILY, TEXTS


@ui.friendly
def pixel_replay(file: dict, model: str = "", request: gr.Request | None = None) -> dict:
    """Make a PNG that Lunaris wrote again from the record inside it, and compare every pixel.

    Args:
        file: The PNG, as it was downloaded: other programs drop the record when they save it.
        model: The checkpoint to make it with; empty is the one that the record names.

    Returns:
        outcome ("identical" or "different"), notes on what differs, and the record.
    """
    from lunaris.core import provenance
    from lunaris.pixel import replay

    path = file.get("path") if isinstance(file, dict) else file
    if not isinstance(path, str) or not path:
        raise ConfigError("file must be a PNG, got none; upload one that Lunaris wrote")
    data = provenance.file_bytes(path)
    record = provenance.read(data)
    if record["family"] != FAMILY:
        raise ConfigError(f"this file was made by the {record['family']} family, not by {FAMILY}; drop it in that tab")
    if record["local"] and not model:
        raise ConfigError(f"this file was made with a folder called {record['model']!r}; load that checkpoint first, and name it as model")
    loaded = common.model_for(model or record["model"], request, folders=bool(model))
    verdict = replay.compare(data, loaded.model, loaded.weights)
    return {"outcome": verdict.outcome, "notes": verdict.notes, "record": record}


@ui.friendly
def replay_with(file: dict, active: str, request: gr.Request) -> dict:
    """The same from the tab: what was made with a folder is made again with the checkpoint in use."""
    from lunaris.core import provenance

    path = file.get("path") if isinstance(file, dict) else None
    local = bool(path) and provenance.read(provenance.file_bytes(path))["local"]
    return pixel_replay(file, active if local else "", request)


def verdict_html(verdict: dict[str, Any]) -> str:
    """The outcome in a sentence, and below it what is not as it was."""
    outcome = verdict["outcome"]
    notes = "".join(f"<li>{ui.both(html.escape(note), html.escape(ui.in_portuguese(note)))}</li>" for note in verdict["notes"])
    return (
        f'<div class="lunaris-verdict" data-outcome="{html.escape(outcome)}" role="status"><b>{TEXTS.html(f"replay_{outcome}")}</b>'
        f"{f'<ul>{notes}</ul>' if notes else ''}</div>"
    )


@ui.friendly
def show_verdict(verdict: dict, active: str) -> tuple[Any, ...]:
    """The verdict, the form as the file's order was, and whether to draw it: only sprites of Create have a form."""
    record = verdict["record"]
    if record["call"] != "generate":
        return verdict_html(verdict), *(gr.skip(),) * len(Order.FILLED), False
    order = Order.from_dict({**record["args"], "model": active if record["local"] else record["model"]})
    return verdict_html(verdict), *order.filled(), True


def build(page: Page, fields: list[gr.components.Component]) -> None:
    """The folded drop zone; `fields` is the form as `Order.filled` fills it."""
    with gr.Accordion(TEXTS("replay"), open=False, elem_id="pixel-replay"):
        ui.raw(f'<p class="lunaris-hint">{TEXTS.html("replay_hint")}</p>')
        file = gr.File(label=TEXTS("replay_file"), file_types=[".png"], height=140, elem_id="pixel-replay-file")
        shown = ui.raw(elem_id="pixel-verdict")
        verdict, now = gr.JSON(visible=False), gr.Checkbox(visible=False)
    options = {"preprocess": False, "api_visibility": "private"}
    made = file.upload(replay_with, [file, page.active], verdict, **options, show_progress_on=shown)
    made.success(show_verdict, [verdict, page.active], [shown, *fields, now], **options, show_progress="hidden").success(
        None, now, None, js=PRESS_IF, api_visibility="private"
    )
    file.clear(lambda: "", None, shown, **options, show_progress="hidden")
    endpoint = {"api_name": "pixel_replay", "preprocess": False, "show_progress": "hidden"}
    gr.Button(visible=False).click(pixel_replay, [file, gr.Textbox("", visible=False)], gr.JSON(visible=False), **endpoint)
