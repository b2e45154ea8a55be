"""Morph: a walk through the latent space between two prompts or two pictures (PX-18)."""

import time
from typing import Any

import gradio as gr

from lunaris.core import ui
from lunaris.core.config import ConfigError
from lunaris.pixel.demo import common
from lunaris.pixel.demo.common import Page, Place, show
from lunaris.pixel.demo.files import SCALE
from lunaris.pixel.demo.texts import TEXTS
from lunaris.pixel.request import MAX_PROMPT, PixelRequest
from lunaris.pixel.run import slug

MORPH_STEPS = (2, 32)


@ui.friendly
def pixel_interpolate_prompts(
    first: str,
    last: str,
    steps: int = 10,
    seed: int = 0,
    temperature: float = 0.7,
    guidance: float = 1.0,
    model: str = "",
    palette: str = "",
    request: gr.Request | None = None,
) -> tuple[str, list[tuple[str, str]], str, dict]:
    """Turn a sprite of one prompt into a sprite of another, step by step, keeping the random latent.

    Args:
        first: The prompt to start from, such as "a red potion".
        last: The prompt to end with, such as "a blue potion".
        steps: How many frames, both ends included, 2 to 32.
        seed: 0 to 4294967295.
        temperature: Spread of the random latent, 0 to 2.
        guidance: Strength of the prompts, 0 to 5.
        model: A bundled checkpoint such as "pixel-16", or owner/name[@revision] on the Hugging Face Hub; empty is the default.
        palette: Colours that all frames keep to: gameboy, pico8, nes, c64, or a list such as "#0f380f #9bbc0f"; empty is as drawn.

    Returns:
        An animated GIF at x8; the frames, one PNG each; one PNG strip of them; what made them.
    """
    order = {"n": 1, "seed": ui.whole(seed), "temperature": temperature, "guidance": guidance, "palette": palette}
    start, end = (PixelRequest(prompt=prompt, **order) for prompt in (first, last))
    args = {"steps": checked_steps(steps), **{name: getattr(start, name) for name in ("seed", "temperature", "guidance", "palette")}}
    stem = f"{slug(first)}-to-{slug(last)}-{start.seed}"
    facts = {"first": start.prompt, "last": end.prompt, **args}
    return _morph("interpolate_prompts", {"prompt1": start.prompt, "prompt2": end.prompt, **args}, stem, facts, model, request)


@ui.friendly
def pixel_interpolate(
    first: dict, last: dict, steps: int = 10, model: str = "", palette: str = "", request: gr.Request | None = None
) -> tuple[str, list[tuple[str, str]], str, dict]:
    """Turn one picture into another through the model's latent space, step by step. Pictures are fitted to the model's size first.

    Args:
        first: The picture to start from (PNG, GIF, WebP or JPEG).
        last: The picture to end with.
        steps: How many frames, both ends included, 2 to 32.
        model: A bundled checkpoint such as "pixel-16", or owner/name[@revision] on the Hugging Face Hub; empty is the default.
        palette: Colours that all frames keep to: gameboy, pico8, nes, c64, or a list such as "#0f380f #9bbc0f"; empty is as drawn.

    Returns:
        An animated GIF at x8; the frames, one PNG each; one PNG strip of them; what made them.
    """
    start, end = (common.picture(value, name) for value, name in ((first, "first"), (last, "last")))
    args = {"steps": checked_steps(steps), "palette": PixelRequest(palette=palette).palette}
    return _morph("interpolate", {"image1": start, "image2": end, **args}, "morph", args, model, request)


def _morph(
    call: str, args: dict[str, Any], stem: str, facts: dict[str, Any], model: str, visitor: gr.Request | None
) -> tuple[str, list[tuple[str, str]], str, dict]:
    """What both morphs answer: GIF, frames, strip, report. `call` names the library's function, whose arguments are `args`."""
    from lunaris import pixel
    from lunaris.pixel import export, replay

    loaded, ref = common.model_for(model, visitor), model.strip() or common.default_ref()
    started = time.perf_counter()
    images = getattr(pixel, call)(loaded.model, **args)
    seconds = round(time.perf_counter() - started, 3)
    made = replay.record(loaded.model, call, args, ref=ref, weights=loaded.weights)
    frames = [(ui.keep(f"{stem}-{i + 1:02}.png", replay.png(images, made, index=i)), str(i + 1)) for i in range(len(images))]
    strip = ui.keep(f"{stem}-strip.png", replay.png(images, made, columns=len(images)))
    gif = ui.keep(f"{stem}.gif", export.gif(images, scale=SCALE))
    return gif, frames, strip, {**facts, "seconds": seconds, **common.origin(loaded, ref)}


def checked_steps(steps: Any) -> int:
    low, high = MORPH_STEPS
    steps = ui.whole(steps)
    if isinstance(steps, bool) or not isinstance(steps, int) or not low <= steps <= high:
        raise ConfigError(f"steps must be a whole number from {low} to {high}, got {str(steps)[:40]}; try 10")
    return steps


# --- the view --------------------------------------------------------------------------------------------------------------------


@ui.friendly
def gif_file(shown: dict) -> str:
    """The very file that is shown; as a picture, Gradio would write its first frame anew."""
    return shown["path"]


def build(page: Page) -> None:
    low, high = MORPH_STEPS
    ui.raw(f'<p class="lunaris-hint">{TEXTS.html("morph_intro")}</p>')
    with gr.Row(elem_id="pixel-morph"):
        with gr.Column(scale=5, min_width=300):
            steps = gr.Slider(low, high, 10, step=1, label=TEXTS("steps"))
            with gr.Accordion(TEXTS("colours"), open=False):
                palette = common.palette_field("pixel-morph-palette")
            with gr.Tabs(elem_id="pixel-morph-tabs") as tabs:
                with gr.Tab(TEXTS("two_prompts"), id="prompts"):
                    first = gr.Textbox(label=TEXTS("from"), placeholder=TEXTS("from_hint"), max_length=MAX_PROMPT, elem_id="pixel-from")
                    last = gr.Textbox(label=TEXTS("to"), placeholder=TEXTS("to_hint"), max_length=MAX_PROMPT, elem_id="pixel-to")
                    with gr.Column(elem_classes="lunaris-card"):
                        seed = ui.seed_field()
                    with gr.Accordion(ui.TEXTS("tuning"), open=False):
                        temperature, guidance = common.tuning_sliders()
                    go_prompts = gr.Button(TEXTS("morph"), variant="primary", elem_id="pixel-morph-prompts")
                with gr.Tab(TEXTS("two_pictures"), id="pictures"):
                    ui.raw(f'<p class="lunaris-hint">{TEXTS.html("pictures_info")}</p>')
                    with gr.Row():
                        pictures = [
                            gr.Image(
                                label=TEXTS(f"picture_{end}"),
                                type="filepath",
                                image_mode="RGBA",
                                format="png",
                                sources=["upload", "clipboard"],
                                buttons=[],
                                height=220,
                                min_width=140,
                                elem_id=f"pixel-picture-{end}",
                            )
                            for end in ("from", "to")
                        ]
                    go_pictures = gr.Button(TEXTS("morph"), variant="primary", elem_id="pixel-morph-pictures")
        with gr.Column(scale=6, min_width=300, elem_id="pixel-morphed", elem_classes="lunaris-result"):
            report = common.report_component("pixel-morph-report")
            animation = gr.Image(
                label=TEXTS("animation"),
                type="filepath",
                interactive=False,
                buttons=[],
                format="gif",
                elem_id="pixel-animation",
                height=280,
                elem_classes=["lunaris-pixels", "lunaris-animation"],
            )
            frames = common.picture_grid(TEXTS("frames"), "pixel-frames")
            waiting = ui.raw(ui.empty_state(TEXTS, "morph_empty"), elem_classes="lunaris-waiting")
            with gr.Row():
                gif = gr.DownloadButton(TEXTS("gif8"), size="md", min_width=120)
                strip = gr.DownloadButton(TEXTS("strip"), size="md", min_width=120)

    outputs, options = [animation, frames, strip, report], {"preprocess": False, "show_progress_on": [animation, waiting]}
    runs = (
        gr.on(
            [go_prompts.click, first.submit, last.submit],
            pixel_interpolate_prompts,
            [first, last, steps, seed, temperature, guidance, page.active, palette],
            outputs,
            api_name="pixel_interpolate_prompts",
            **options,
        ),
        go_pictures.click(pixel_interpolate, [*pictures, steps, page.active, palette], outputs, api_name="pixel_interpolate", **options),
    )
    for run in runs:
        run.success(None, js=show("#pixel-morph-report"), api_visibility="private")
        run.success(gif_file, animation, gif, preprocess=False, api_visibility="private", show_progress="hidden")
    way = ((page.tabs, "morph"), (tabs, "pictures"))
    page.takes.update({"morph:first": Place(pictures[0], way), "morph:last": Place(pictures[1], way)})
