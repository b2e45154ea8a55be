"""Morph: a walk through the latent space between two prompts or two pictures (PX-18)."""

import io
import time
from typing import TYPE_CHECKING, Any

import gradio as gr

from lunaris.core import ui
from lunaris.core.config import ConfigError
from lunaris.pixel.demo import common
from lunaris.pixel.demo.common import NEW_SEED, SCALE, Page, Place, show
from lunaris.pixel.demo.texts import TEXTS
from lunaris.pixel.request import MAX_PROMPT, PixelRequest

if TYPE_CHECKING:
    import numpy as np

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

    Returns:
        An animated GIF at x8; the frames, one PNG each; one PNG strip of them; what made them.
    """
    from lunaris.pixel import interpolate_prompts

    ends = [PixelRequest(prompt=p, n=1, seed=ui.whole(seed), temperature=temperature, guidance=guidance) for p in (first, last)]
    loaded, steps = common.model_for(model, request), checked_steps(steps)
    started = time.perf_counter()
    order = {"steps": steps, "seed": ends[0].seed, "temperature": ends[0].temperature, "guidance": ends[0].guidance}
    images = interpolate_prompts(loaded.model, ends[0].prompt, ends[1].prompt, **order)
    report = {"first": ends[0].prompt, "last": ends[1].prompt, **order, "seconds": round(time.perf_counter() - started, 3)}
    return morph_files(images, f"{ui.slug(first)}-to-{ui.slug(last)}-{ends[0].seed}", {**report, **common.origin(loaded, model)})


@ui.friendly
def pixel_interpolate(
    first: dict, last: dict, steps: int = 10, model: str = "", request: gr.Request | None = None
) -> tuple[str, list[tuple[str, str]], str, dict]:
    """Turn one picture into another through the model's latent space, step by step. Pictures are fitted to the model's size first.

    Args:
        first: The picture to start from (PNG, GIF, WebP or JPEG).
        last: The picture to end with.
        steps: How many frames, both ends included, 2 to 32.
        model: A bundled checkpoint such as "pixel-16", or owner/name[@revision] on the Hugging Face Hub; empty is the default.

    Returns:
        An animated GIF at x8; the frames, one PNG each; one PNG strip of them; what made them.
    """
    from lunaris.pixel import interpolate

    pictures = [common.picture(value, name) for value, name in ((first, "first"), (last, "last"))]
    loaded, steps = common.model_for(model, request), checked_steps(steps)
    started = time.perf_counter()
    images = interpolate(loaded.model, *pictures, steps=steps)
    report = {"steps": steps, "seconds": round(time.perf_counter() - started, 3), **common.origin(loaded, model)}
    return morph_files(images, "morph", report)


def checked_steps(steps: Any) -> int:
    low, high = MORPH_STEPS
    steps = ui.whole(steps)
    if isinstance(steps, bool) or not isinstance(steps, int) or not low <= steps <= high:
        raise ConfigError(f"steps must be a whole number from {low} to {high}, got {str(steps)[:40]}; try 10")
    return steps


def gif_bytes(images: "np.ndarray", *, scale: int = SCALE, frame_ms: int = 120) -> bytes:
    """The frames there and back again as a looping GIF; the ends rest. GIF knows no half-transparent pixels: alpha is cut at one half."""
    from lunaris.core.images import to_pil, upscale

    frames = [to_pil(upscale(image, scale)) for image in images]
    for frame in frames:
        frame.putalpha(frame.getchannel("A").point(lambda alpha: 255 if alpha >= 128 else 0))
    there_and_back = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    rests = [frame_ms * 5 if i in (0, len(frames) - 1) else frame_ms for i in there_and_back]
    buffer = io.BytesIO()
    first, *others = (frames[i] for i in there_and_back)
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=rests, loop=0, disposal=2)
    return buffer.getvalue()


def morph_files(images: "np.ndarray", stem: str, report: dict[str, Any]) -> tuple[str, list[tuple[str, str]], str, dict]:
    """What both morphs answer: GIF, frames, strip, report."""
    from lunaris.core.images import grid, png_bytes

    frames = [(ui.keep(f"{stem}-{i + 1:02}.png", png_bytes(image)), str(i + 1)) for i, image in enumerate(images)]
    strip = png_bytes(grid(images, columns=len(images)))
    return ui.keep(f"{stem}.gif", gif_bytes(images)), frames, ui.keep(f"{stem}-strip.png", strip), report


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
            with gr.Tabs(elem_id="pixel-morph-tabs") as tabs:
                with gr.Tab(TEXTS("two_prompts"), id="prompts"):
                    first = gr.Textbox(label=TEXTS("from"), placeholder=TEXTS("from_hint"), max_length=MAX_PROMPT, elem_id="pixel-from")
                    last = gr.Textbox(label=TEXTS("to"), placeholder=TEXTS("to_hint"), max_length=MAX_PROMPT, elem_id="pixel-to")
                    with gr.Column(elem_classes="lunaris-card"), gr.Row(elem_classes="lunaris-bar"):
                        seed = common.seed_field()
                        dice = gr.Button(TEXTS("dice"), size="sm", min_width=120)
                    temperature, guidance = common.tuning_fields()
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
            waiting = ui.raw(common.empty_state("morph_empty"), elem_classes="lunaris-waiting")
            with gr.Row():
                gif = gr.DownloadButton(TEXTS("gif"), size="md", min_width=120)
                strip = gr.DownloadButton(TEXTS("strip"), size="md", min_width=120)

    dice.click(None, None, seed, js=NEW_SEED, api_visibility="private")
    outputs, options = [animation, frames, strip, report], {"preprocess": False, "show_progress_on": [animation, waiting]}
    runs = (
        gr.on(
            [go_prompts.click, first.submit, last.submit],
            pixel_interpolate_prompts,
            [first, last, steps, seed, temperature, guidance, page.active],
            outputs,
            api_name="pixel_interpolate_prompts",
            **options,
        ),
        go_pictures.click(pixel_interpolate, [*pictures, steps, page.active], outputs, api_name="pixel_interpolate", **options),
    )
    for run in runs:
        run.success(None, js=show("#pixel-morph-report"), api_visibility="private")
        run.success(gif_file, animation, gif, preprocess=False, api_visibility="private", show_progress="hidden")
    way = ((page.tabs, "morph"), (tabs, "pictures"))
    page.takes.update({"morph:first": Place(pictures[0], way), "morph:last": Place(pictures[1], way)})
