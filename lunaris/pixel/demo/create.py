"""Create: sprites from a prompt, their files, and the endpoint pixel_generate (PX-17)."""

import base64
import html
import io
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from lunaris.core import ui
from lunaris.pixel.demo import common
from lunaris.pixel.demo.common import NEW_SEED, SCALE, SEED_FOR_THIS_RUN, Page, chip, show
from lunaris.pixel.demo.texts import EXAMPLES, TEXTS
from lunaris.pixel.request import MAX_PROMPT, PixelRequest

if TYPE_CHECKING:
    import numpy as np


@ui.friendly
def pixel_generate(
    prompt: str = "",
    n: int = 16,
    seed: int = 0,
    temperature: float = 0.7,
    guidance: float = 1.0,
    model: str = "",
    request: gr.Request | None = None,
) -> tuple[list[tuple[str, str]], str, str, dict]:
    """Draw pixel-art sprites from a short description. The same arguments give the same pictures, byte for byte.

    Args:
        prompt: What to draw, in English or Portuguese, at most 300 characters, such as "a red potion"; empty draws anything.
        n: How many sprites, 1 to 64.
        seed: 0 to 4294967295. Sprite i uses seed + i, so each one can be made again alone.
        temperature: Spread of the random latents, 0 to 2; 0 gives the average sprite, 1 is as trained.
        guidance: Strength of the prompt, 0 to 5; 0 ignores it, 1 is as trained, more exaggerates.
        model: A bundled checkpoint such as "pixel-16", or owner/name[@revision] on the Hugging Face Hub; empty is the default.

    Returns:
        The sprites, one PNG each; one PNG sheet of them; a ZIP of everything at x1 and x8; what made them (seed, seconds, weights).
    """
    from lunaris.core.images import grid, png_bytes
    from lunaris.pixel import generate_request, unknown_words

    order = PixelRequest(prompt=prompt, n=ui.whole(n), seed=ui.whole(seed), temperature=temperature, guidance=guidance)
    loaded = common.model_for(model, request)
    started = time.perf_counter()
    images = generate_request(loaded.model, order)
    seconds = time.perf_counter() - started
    names = [f"{ui.slug(order.prompt)}-{order.seed + i}.png" for i in range(order.n)]
    files = dict(zip(names, map(png_bytes, images), strict=True))
    pictures = [(ui.keep(name, data), f"{i + 1} · {order.seed + i}") for i, (name, data) in enumerate(files.items())]
    stem = f"{ui.slug(order.prompt)}-{order.seed}"
    sheet = png_bytes(grid(images))
    report = {**order.to_dict(), "seconds": round(seconds, 3), **common.origin(loaded, model)}
    if order.prompt.strip():
        report["unknown_words"] = unknown_words(loaded.model, order.prompt)
    return pictures, ui.keep(f"{stem}-sheet.png", sheet), ui.keep(f"{stem}.zip", archive(files, images, sheet)), report


def archive(files: Mapping[str, bytes], images: "np.ndarray", sheet: bytes) -> bytes:
    """A ZIP of every sprite at x1 and at x8, and the sheet. Equal sprites give equal bytes."""
    from lunaris.core.images import png_bytes, upscale

    large = {f"x{SCALE}/{name}": png_bytes(upscale(image, SCALE)) for name, image in zip(files, images, strict=True)}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:  # PNG is compressed already
        for name, data in {**{f"x1/{name}": data for name, data in files.items()}, **large, "sheet.png": sheet}.items():
            bundle.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


# --- the view --------------------------------------------------------------------------------------------------------------------


def example_chips() -> str:
    """Prompts to click; each fills the prompt and generates."""
    rows = []
    for language, prompts in EXAMPLES.items():
        chips = [chip(prompt, press="#pixel-go") for prompt in prompts]
        chips.append(chip("", TEXTS.say("anything", language), press="#pixel-go"))
        heading = f"<span>{TEXTS.say('examples', language)}</span>"
        rows.append(f'<div class="i18n lunaris-chips" lang="{language}">{heading}{"".join(chips)}</div>')
    return "".join(rows)


def word_chips() -> str:
    """Every word of the training captions as a button that adds it to the prompt."""
    from lunaris.pixel.sprites import word_lists

    blocks = []
    lists_of = word_lists()
    for language, lists in (("en", lists_of["en"]), ("pt-BR", lists_of["pt"])):
        for group in ("colours", "kinds", "sizes", "styles"):
            # an English adjective stands before its noun, a Portuguese one after it
            where = "before" if language == "en" and group != "kinds" else "after"
            chips = "".join(chip(word, add=where) for word in lists[group])
            heading = f"<h4>{TEXTS.say(group, language)}</h4>"
            blocks.append(f'<div class="i18n" lang="{language}">{heading}<div class="lunaris-chips">{chips}</div></div>')
    return f'<p class="lunaris-hint">{TEXTS.html("words_hint")}</p>{"".join(blocks)}'


def selected_html(name: str, data: bytes, caption: str) -> str:
    """The chosen sprite, large."""
    source = "data:image/png;base64," + base64.b64encode(data).decode()
    return (
        f'<figure class="lunaris-selected"><img src="{source}" alt="{html.escape(Path(name).stem)}">'
        f"<figcaption><b>{TEXTS.html('selected')}</b><span>{html.escape(caption)}</span></figcaption></figure>"
    )


@ui.friendly
def pick(items: list[dict], event: gr.SelectData) -> tuple[str, str, str]:
    """The clicked sprite of the grid: its picture, and the files of the two download buttons."""
    return chosen(items, event.index)


@ui.friendly
def pick_first(items: list[dict]) -> tuple[str, str, str]:
    """The first sprite of a new run."""
    return chosen(items, 0)


def chosen(items: list[dict], index: int) -> tuple[str, str, str]:
    from lunaris.core.images import png_bytes, read_image, upscale

    item = items[index]
    path = Path(item["image"]["path"])
    data = path.read_bytes()
    large = ui.keep(f"{path.stem}-x{SCALE}.png", png_bytes(upscale(read_image(data), SCALE)))
    return selected_html(path.name, data, item.get("caption") or ""), str(path), large


def build(page: Page) -> None:
    with gr.Row(elem_id="pixel-ask", elem_classes="lunaris-bar"):
        prompt = gr.Textbox(
            "",
            label=TEXTS("prompt"),
            placeholder=TEXTS("prompt_hint"),
            info=TEXTS("prompt_info"),
            max_length=MAX_PROMPT,
            max_lines=3,
            elem_id="pixel-prompt",
            scale=5,
        )
        go = gr.Button(TEXTS("generate"), variant="primary", elem_id="pixel-go", scale=1, min_width=140)
    ui.raw(example_chips(), elem_id="pixel-examples", elem_classes="lunaris-examples")
    with gr.Accordion(TEXTS("words"), open=False):
        ui.raw(word_chips(), elem_id="pixel-words", elem_classes="lunaris-words")
    with gr.Row(elem_id="pixel-work"):
        with gr.Column(scale=8, min_width=300, elem_id="pixel-results", elem_classes="lunaris-result"):
            with gr.Row(elem_id="pixel-summary", elem_classes="lunaris-summary"):
                report = common.report_component("pixel-report")
                sheet = gr.DownloadButton(TEXTS("sheet"), size="sm", scale=0, min_width=90)
                bundle = gr.DownloadButton(TEXTS("zip"), size="sm", scale=0, min_width=110)
            gallery = common.picture_grid(TEXTS("sprites"), "pixel-grid")
            waiting = ui.raw(common.empty_state("empty"), elem_classes="lunaris-waiting")
            stop = gr.Button(TEXTS("stop"), variant="stop", size="sm", elem_id="pixel-stop", elem_classes="lunaris-stop")
            with gr.Row(elem_classes="lunaris-summary"):
                selected = ui.raw(elem_id="pixel-selected")
                with gr.Column(min_width=280):
                    with gr.Row():
                        png = gr.DownloadButton(TEXTS("png1"), size="sm", min_width=92)
                        png8 = gr.DownloadButton(TEXTS("png8"), size="sm", min_width=92)
                    with gr.Row():
                        to_first = gr.Button(TEXTS("to_first"), size="sm", min_width=130)
                        to_last = gr.Button(TEXTS("to_last"), size="sm", min_width=130)
        with gr.Column(scale=4, min_width=280, elem_id="pixel-options"):
            n = common.order_slider("n", TEXTS("count"), step=1)
            with gr.Column(elem_classes="lunaris-card"):
                with gr.Row(elem_classes="lunaris-bar"):
                    seed = common.seed_field(info=TEXTS("seed_info"))
                    dice = gr.Button(TEXTS("dice"), size="sm", min_width=120)
                keep_seed = gr.Checkbox(label=TEXTS("keep_seed"), container=False)
            temperature, guidance = common.tuning_fields()

    dice.click(None, None, seed, js=NEW_SEED, api_visibility="private")
    run = gr.on(
        [go.click, prompt.submit], None, [seed, keep_seed], seed, js=SEED_FOR_THIS_RUN, api_visibility="private", show_progress="hidden"
    ).then(
        pixel_generate,
        [prompt, n, seed, temperature, guidance, page.active],
        [gallery, sheet, bundle, report],
        api_name="pixel_generate",
        preprocess=False,  # PixelRequest checks the values as they come, with the same sentences on every way in
        show_progress_on=[gallery, waiting],
    )
    run.success(None, js=show("#pixel-summary"), api_visibility="private")
    run.success(pick_first, gallery, [selected, png, png8], preprocess=False, show_progress="hidden", api_visibility="private")
    gallery.select(pick, gallery, [selected, png, png8], preprocess=False, show_progress="hidden", api_visibility="private")
    stop.click(None, cancels=[run], api_visibility="private")
    page.form.update(prompt=prompt, n=n, seed=seed, temperature=temperature, guidance=guidance)
    page.sends += [(to_first, png, "morph:first"), (to_last, png, "morph:last")]
