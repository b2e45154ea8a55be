"""The Pixel Art tab: sprites from a prompt, morphs between two prompts or two pictures, and the model behind them (PX-17, PX-18, PX-22).

The same page is a tab of the hub and a Space of its own. Handlers keep no state: the model's name and the seed are arguments, so a
click, a REST call and an MCP tool with the same arguments give the same bytes. Torch and the model load on the first click.
One file per view, each with a `build(page)`; what they share is in common.py.
"""

import os

import gradio as gr

from lunaris.core import model_view
from lunaris.pixel.demo import about, create, explore, morph, retrain, studio
from lunaris.pixel.demo.about import pixel_load
from lunaris.pixel.demo.again import pixel_replay
from lunaris.pixel.demo.common import Page, default_ref, model_for
from lunaris.pixel.demo.create import pixel_generate
from lunaris.pixel.demo.morph import pixel_interpolate, pixel_interpolate_prompts
from lunaris.pixel.demo.texts import EXAMPLES, TEXTS

VIEWS = {  # by the tab's id, in their order
    "create": create,
    "morph": morph,
    "explore": explore,
    "studio": studio,
    "retrain": retrain,
    "model": about,
}

__all__ = [
    "EXAMPLES",
    "TEXTS",
    "build_demo",
    "model_for",
    "pixel_generate",
    "pixel_interpolate",
    "pixel_interpolate_prompts",
    "pixel_load",
    "pixel_replay",
    "warm",
]


def warm() -> None:
    """Load the default model, so that the first visitor's click is as fast as the second's."""
    from lunaris.pixel import generate

    generate(model_for("", None).model, n=1)


def build_demo() -> gr.Blocks:
    """The tab, and the page of the Space. Cheap: no model is loaded and nothing is fetched."""
    with gr.Blocks(title="Lunaris · Pixel Art", analytics_enabled=False, delete_cache=(3600, 7200)) as demo:
        active = gr.Textbox(default_ref(), visible="hidden", label="model")  # in the page, so that views hear of its changes
        with gr.Tabs(elem_id="pixel-tabs") as tabs:
            page = Page(active, tabs, demo)
            for name, view in VIEWS.items():
                with gr.Tab(view.TEXTS(name), id=name):
                    view.build(page)
        page.connect()
        if os.environ.get("SPACE_ID"):
            gr.DuplicateButton(model_view.TEXTS("duplicate"))
    return demo
