"""The Collaborative Experts tab: text as it is written, the council's minutes for each token of it, and what becomes of it when some
experts are mute (MC-05, MC-12, MC-13).

The same page is a tab of the hub and a Space of its own. Handlers keep no state: the model's name and the seed are arguments, so a
click, a REST call and an MCP tool with the same arguments give the same text. Torch and the model load on the first click.
One file per view, each with a `build(page)`; what they share is in common.py, the page's scripts and its style sheet lie beside it.
"""

import os

import gradio as gr

from lunaris.core import model_view, ui
from lunaris.moc.demo import about, common, compare, what_if, write
from lunaris.moc.demo.about import moc_load
from lunaris.moc.demo.common import Page, default_ref, model_for
from lunaris.moc.demo.minutes import moc_council
from lunaris.moc.demo.texts import EXAMPLES, TEXTS
from lunaris.moc.demo.what_if import moc_what_if
from lunaris.moc.demo.write import moc_generate

VIEWS = {  # by the tab's id, in their order
    "write": write,
    "what_if": what_if,
    "compare": compare,
    "model": about,
}

__all__ = ["EXAMPLES", "TEXTS", "build_demo", "model_for", "moc_council", "moc_generate", "moc_load", "moc_what_if", "warm"]


def warm() -> None:
    """Load the default model, so that the first visitor's click is as fast as the second's."""
    from lunaris.moc import generate

    generate(model_for("", None).model, max_new_tokens=1)


def build_demo() -> gr.Blocks:
    """The tab, and the page of the Space. Cheap: no model is loaded and nothing is fetched."""
    with gr.Blocks(title="Lunaris · Collaborative Experts", analytics_enabled=False, delete_cache=(3600, 7200)) as demo:
        ui.raw(f"<style>{common.asset('moc.css')}</style>")
        active = gr.Textbox(default_ref(), visible="hidden", label="model")  # in the page, so that views hear of its changes
        with gr.Tabs(elem_id="moc-tabs") as tabs:
            page = Page(active, tabs, demo)
            for name, view in VIEWS.items():
                with gr.Tab(TEXTS(name), id=name):
                    view.build(page)
        if os.environ.get("SPACE_ID"):
            gr.DuplicateButton(model_view.TEXTS("duplicate"))
    return demo
