"""The runs of a visit: kept in the visitor's own browser, to look at, to draw again, to delete, to take along."""

import base64
import hashlib
import html
import re
from typing import Any

import gradio as gr
import numpy as np
from gradio.components import Component
from gradio.events import Dependency

from lunaris.core import hub, ui
from lunaris.core.config import ConfigError
from lunaris.pixel.demo import draw, files
from lunaris.pixel.demo.common import PRESS, Page
from lunaris.pixel.demo.orders import Order
from lunaris.pixel.demo.texts import TEXTS

KEEP = 24  # runs
PREVIEW = 4  # sprites of a run that are shown
PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]{1,40000}")
CLICKS = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-run]');
  if (!button) return;
  if (button.dataset.what === 'drop') trigger('drop', { run: button.dataset.run }); else trigger('use', { run: button.dataset.run });
});"""
SAVE = "() => setTimeout(() => document.querySelector('#pixel-history-file')?.click(), 300)"  # once Gradio has the file's address

Run = dict[str, Any]  # id, order (`Order.short`), picture (a PNG as a data: address)


def known(runs: Any) -> list[Run]:
    """The runs that can be shown, of what a browser kept; what another version or a stranger wrote there is left out."""
    return [run for run in runs if _sound(run)][:KEEP] if isinstance(runs, list) else []


def _sound(run: Any) -> bool:
    try:
        return bool(PICTURE.fullmatch(run["picture"])) and run["id"] == _id(Order.from_dict(run["order"]))
    except (ConfigError, TypeError, KeyError):
        return False


def _id(order: Order) -> str:
    """The same for a run and for what became of it by drawing single cells again."""
    return hashlib.sha256(order.replace(cells="").link().encode()).hexdigest()[:12]


def remember(runs: Any, order: Order, items: list[dict]) -> list[Run]:
    """The runs with this one first; what it replaces is itself, as it was before."""
    from lunaris.core.images import grid, png_bytes, read_image

    sprites = np.stack([read_image(path) for path in files.paths(items)[:PREVIEW]])
    picture = "data:image/png;base64," + base64.b64encode(png_bytes(grid(sprites, columns=PREVIEW))).decode()
    run = {"id": _id(order), "order": order.short(), "picture": picture}
    return [run, *(other for other in known(runs) if other["id"] != run["id"])][:KEEP]


def find(runs: Any, name: Any) -> Order:
    """The order of one run."""
    for run in known(runs):
        if run["id"] == name:
            return Order.from_dict(run["order"])
    raise ConfigError("this run is no longer in the history, got its number only; draw it again from the form")


def cards(runs: Any) -> str:
    """A card per run, newest first."""
    rows = []
    for run in known(runs):
        order = Order.from_dict(run["order"])
        title = html.escape(order.prompt) or f"<i>{TEXTS.html('anything_drawn')}</i>"
        buttons = "".join(
            f'<button type="button" class="lunaris-chip" data-run="{run["id"]}" data-what="{what}">{TEXTS.html(f"history_{what}")}</button>'
            for what in ("use", "drop")
        )
        facts = (f"seed {order.seed}", str(order.n), order.model, order.palette[:40], order.mode if order.mode == "quality" else "")
        rows.append(
            f'<li><img src="{run["picture"]}" alt="{html.escape(order.prompt) or "sprites"}"><div><b>{title}</b>'
            f"<span>{html.escape(' · '.join(filter(None, facts)))}</span></div>{buttons}</li>"
        )
    return f'<ul class="lunaris-runs lunaris-pixels">{"".join(rows)}</ul>' if rows else ""


# --- the view --------------------------------------------------------------------------------------------------------------------


@ui.friendly
def add(runs: Any, report: dict, items: list[dict]) -> tuple[list[Run], str]:
    """The history with the run that the page shows."""
    runs = remember(runs, Order.from_report(report), items)
    return runs, cards(runs)


@ui.friendly
def drop(runs: Any, event: gr.EventData) -> tuple[list[Run], str]:
    runs = [run for run in known(runs) if run["id"] != event.run]
    return runs, cards(runs)


@ui.friendly
def use(runs: Any, event: gr.EventData) -> tuple[Any, ...]:
    return find(runs, event.run).filled()


@ui.friendly
def take_all(runs: Any, request: gr.Request | None = None, progress: gr.Progress = gr.Progress()) -> str:  # noqa: B008
    """A ZIP with a folder per run, every sprite drawn again: the browser keeps the orders, not the pictures.

    A run whose checkpoint is gone costs the others nothing: left-out.txt says which, and why. Raises when none is left.
    """
    from lunaris.pixel import export

    orders, bundle, lost = [Order.from_dict(run["order"]) for run in known(runs)], {}, {}
    if not orders:
        raise ConfigError("the history is empty, got no run to download; press Generate first")
    for i, order in enumerate(progress.tqdm(orders)):
        folder = f"{i + 1:02}-{order.stem}"
        try:
            sprites, _ = draw.draw(order, request)
        except (FileNotFoundError, ValueError, hub.HubError) as error:  # swept, taken off the Hub, or of another kind by now
            lost[folder] = error
            continue
        bundle |= {f"{folder}/{name}": sprite.png() for name, sprite in zip(order.names(), sprites, strict=True)}
    if not bundle:
        raise next(iter(lost.values()))
    if lost:
        language = ui.language_of(request)
        lines = [f"{folder}: {ui.sentence_of(error, language)}" for folder, error in lost.items()]
        bundle["left-out.txt"] = "\n".join([TEXTS.say("history_lost", language), *lines, ""]).encode()
    return ui.keep("lunaris-sprites.zip", export.bundle(bundle))


def build(page: Page, runs: list[Dependency], report: gr.HTML, gallery: gr.Gallery, fields: list[Component]) -> None:
    """The folded list; `runs` are the events that end with a new grid, `fields` the form as `Order.filled` fills it."""
    kept = gr.BrowserState([], storage_key="lunaris-pixel-runs", secret="lunaris")  # a fixed secret: it must be read after a restart
    with gr.Accordion(TEXTS("history"), open=False, elem_id="pixel-history", elem_classes="lunaris-history"):
        ui.raw(f'<p class="lunaris-hint">{TEXTS.html("history_hint")}</p>')
        shown = gr.HTML("", js_on_load=CLICKS, apply_default_css=False, elem_id="pixel-runs")
        with gr.Row(elem_classes="lunaris-downloads"):
            take = gr.Button(TEXTS("history_zip"), size="sm", min_width=140)
            clear = gr.Button(TEXTS("history_clear"), size="sm", min_width=140)
        file = gr.DownloadButton(visible="hidden", elem_id="pixel-history-file")
    quiet = {"preprocess": False, "show_progress": "hidden", "api_visibility": "private"}
    for run in runs:
        run.success(add, [kept, report, gallery], [kept, shown], **quiet)
    page.demo.load(cards, kept, shown, **quiet)
    shown.drop(drop, kept, [kept, shown], **quiet)
    shown.use(use, kept, fields, **quiet).success(None, None, None, js=PRESS, api_visibility="private")
    clear.click(lambda: ([], ""), None, [kept, shown], **quiet)
    take.click(take_all, kept, file, **{**quiet, "show_progress": "minimal"}, show_progress_on=shown).success(
        None, None, None, js=SAVE, api_visibility="private"
    )
