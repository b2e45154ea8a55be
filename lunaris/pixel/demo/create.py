"""Create: sprites from a prompt, what can be done with each of them, and the endpoint pixel_generate (PX-17)."""

import base64
import html
import inspect
import itertools
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from lunaris.core import ui
from lunaris.pixel.demo import again as again_view
from lunaris.pixel.demo import common, draw, files, history, words
from lunaris.pixel.demo.common import PRESS_IF, SEED_FOR_THIS_RUN, Page, chip, show
from lunaris.pixel.demo.files import SCALE, SCALES
from lunaris.pixel.demo.orders import Order, from_link
from lunaris.pixel.demo.texts import EXAMPLES, REAL_EXAMPLES, TEXTS
from lunaris.pixel.request import MAX_PROMPT

if TYPE_CHECKING:
    from lunaris.pixel.export import Sprite

BACKGROUNDS = ("#ffffff", "#000000", "#203040", "#7ec8e3", "#5aa845")

Answer = tuple[list[tuple[str, str]], str, str, dict, str, str]  # sprites, sheet, ZIP, report, atlas, GIF

# --- the endpoint ----------------------------------------------------------------------------------------------------------------


@ui.friendly
def pixel_generate(
    prompt: str = "",
    n: int = 16,
    seed: int = 0,
    temperature: float = 0.7,
    guidance: float = 1.0,
    model: str = "",
    mode: str = "instant",
    steps: int = 4,
    candidates: int = 0,
    palette: str = "",
    colours: int = 0,
    background: str = "",
    cells: str = "",
    scale: int = SCALE,
    request: gr.Request | None = None,
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> Answer:
    """Draw pixel-art sprites from a short description. The same arguments give the same pictures, byte for byte.

    Args:
        prompt: What to draw, in English or Portuguese, at most 300 characters, such as "a red potion"; empty draws anything.
        n: How many sprites, 1 to 64.
        seed: 0 to 4294967295. Sprite i uses seed + i, so each one can be made again alone.
        temperature: Spread of the random latents, 0 to 2; 0 gives the average sprite, 1 is as trained.
        guidance: Strength of the prompt, 0 to 5; 0 ignores it, 1 is what the model does best, more exaggerates.
        model: A bundled checkpoint such as "pixel-16", or owner/name[@revision] on the Hugging Face Hub; empty is the default.
        mode: "instant", or "quality" for the flow sampler of checkpoints that have one.
        steps: Steps of the flow sampler, 2 to 32; quality mode only.
        candidates: Drafts per sprite, 1 to 8, of which the one that fits the prompt best is kept; 0 takes 1 instant, 8 quality.
        palette: Colours to keep to: gameboy, pico8, nes, c64, or a list such as "#0f380f #9bbc0f"; empty is as drawn.
        colours: Most colours in one sprite, 2 to 64; 0 is as drawn.
        background: Colour behind the sprites, such as "#203040"; empty is transparent.
        cells: Sprites with a seed of their own, such as "3:91823 7:12" (sprite from 1:seed); the others stay as they are.
        scale: The ZIP and the GIF hold the sprites enlarged by this factor, 1 to 32.

    Returns:
        The sprites, one PNG each; one PNG sheet of them; a ZIP of everything; what made them (seeds, seconds, weights); the sheet's
        atlas (JSON); a GIF of the sprites in turn.
    """
    order = Order(
        prompt=prompt,
        n=ui.whole(n),
        seed=ui.whole(seed),
        temperature=temperature,
        guidance=guidance,
        model=model,
        mode=mode,
        steps=ui.whole(steps),
        candidates=ui.whole(candidates),
        palette=palette,
        colours=ui.whole(colours),
        background=background,
        cells=cells,
    )
    scale = files.checked_scale(scale)
    sprites, facts = draw.draw(order, request, lambda done: progress((done, order.n)))
    return _answer(order, sprites, scale, facts)


def _answer(order: Order, sprites: "list[Sprite]", scale: int, facts: dict[str, Any]) -> Answer:
    seeds, packed = order.seeds(), _packed(order, sprites, scale)
    pictures = [(path, f"{i + 1} · {seeds[i]}") for i, path in enumerate(packed.sprites)]
    report = {**order.to_dict(), "seeds": seeds, "link": order.link(), **facts}
    return pictures, packed.sheet, packed.bundle, report, packed.atlas, packed.gif


def _packed(order: Order, sprites: "list[Sprite]", scale: int) -> files.Files:
    return files.pack(sprites, order, scale)


# --- one sprite of a run ---------------------------------------------------------------------------------------------------------


@ui.friendly
def reroll(
    items: list[dict] | None, index: int, report: dict | None, seed: int, scale: int, request: gr.Request | None = None
) -> tuple[Any, ...]:
    """The run with one cell drawn again with another seed; the others stay, file by file."""
    order, cell = Order.from_report(report), int(index) + 1
    own = {**order.own_seeds(), cell: int(seed)}
    order = order.replace(cells=" ".join(f"{cell}:{seed}" for cell, seed in sorted(own.items())))
    sprites = [files.read(path) for path in files.paths(items)]
    started = time.perf_counter()
    sprites[cell - 1] = draw.draw_cell(order, cell, request)
    facts = {name: report[name] for name in ("model", "weights", "side", "unknown_words") if name in report}
    return *_answer(order, sprites, files.checked_scale(scale), {**facts, "seconds": round(time.perf_counter() - started, 3)}), order.cells


@ui.friendly
def repack(items: list[dict] | None, report: dict | None, scale: int) -> tuple[Any, ...]:
    """The run's downloads at another scale."""
    if not items:
        return (gr.skip(),) * 2
    packed = _packed(Order.from_report(report), [files.read(path) for path in files.paths(items)], files.checked_scale(scale))
    return packed.bundle, packed.gif


@ui.friendly
def pick(items: list[dict], scale: int, event: gr.SelectData) -> tuple[Any, ...]:
    """The clicked sprite of the grid: its place, its picture, and the files of the two download buttons."""
    return chosen(items, event.index, scale)


@ui.friendly
def pick_first(items: list[dict], scale: int) -> tuple[Any, ...]:
    """The first sprite of a new run."""
    return chosen(items, 0, scale)


@ui.friendly
def pick_again(items: list[dict] | None, index: int, scale: int) -> tuple[Any, ...]:
    """The same place in what the grid shows now."""
    return chosen(items, min(int(index), len(items) - 1), scale) if items else (gr.skip(),) * 4


def chosen(items: list[dict], index: int, scale: int) -> tuple[Any, ...]:
    path, scale = files.paths(items)[index], files.checked_scale(scale)
    large = ui.keep(f"{path.stem}-x{scale}.png", files.read(path).png(scale))
    markup = selected_html(path.name, path.read_bytes(), items[index].get("caption") or "")
    return index, markup, str(path), gr.DownloadButton(f"PNG ×{scale}", value=large)


def selected_html(name: str, data: bytes, caption: str) -> str:
    """The chosen sprite, large."""
    source = "data:image/png;base64," + base64.b64encode(data).decode()
    return (
        f'<figure class="lunaris-selected"><img src="{source}" alt="{html.escape(Path(name).stem)}">'
        f"<figcaption><b>{TEXTS.html('selected')}</b><span>{html.escape(caption)}</span></figcaption></figure>"
    )


# --- the view --------------------------------------------------------------------------------------------------------------------


def example_chips(known: Mapping[str, int]) -> str:
    """Prompts to click, of words that are `known` to the checkpoint; each fills the prompt and generates."""
    rows = []
    offered = [all(word in known for word in re.findall(r"\w+", prompt)) for prompt in REAL_EXAMPLES["en"]]
    for language, prompts in EXAMPLES.items():
        prompts += tuple(itertools.compress(REAL_EXAMPLES[language], offered))
        chips = [chip(prompt, press="#pixel-go") for prompt in prompts]
        chips.append(chip("", ui.TEXTS.say("anything", language), press="#pixel-go"))
        heading = f"<span>{ui.TEXTS.say('examples', language)}</span>"
        rows.append(f'<div class="i18n lunaris-chips" lang="{language}">{heading}{"".join(chips)}</div>')
    return "".join(rows)


@ui.friendly
def fill_from_link(query: str) -> tuple[Any, ...]:
    """The form as the page's address says it, and whether to draw at once: never a checkpoint that would have to be fetched first."""
    order = from_link(query)
    if order is None:
        return (gr.skip(),) * (len(Order.FILLED) + 1)
    return *order.filled(), order.model in ("", *common.bundled_refs())


@ui.friendly
def fit_to_model(ref: str, mode: str, request: gr.Request) -> tuple[Any, str, str]:
    """The choice of mode where the checkpoint has a flow sampler, its words, and examples that it can draw."""
    flow = common.has_flow(ref, request)
    known = words.words_of(ref, request)
    return gr.Radio(visible=flow, value=mode if flow else "instant"), words.markup(known), example_chips(known)


@ui.friendly
def say_copied(where: str, request: gr.Request) -> None:
    """`where` the page has put the link: "clipboard" or "address"."""
    gr.Info(TEXTS.say("in_address" if where == "address" else "in_clipboard", ui.language_of(request)), duration=3)


def build(page: Page) -> None:
    """The fields, the results and what follows from them; fills `page.form` and `page.sends`."""
    form = page.form
    with gr.Row(elem_id="pixel-ask", elem_classes="lunaris-bar"):
        form["prompt"] = gr.Textbox(
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
    chips = example_chips(words.words_of(common.default_ref()))
    examples = ui.raw(chips, elem_id="pixel-examples", elem_classes="lunaris-examples")
    with gr.Accordion(TEXTS("words"), open=False) as known:
        vocabulary = ui.raw(elem_id="pixel-words", elem_classes="lunaris-words")
    with gr.Row(elem_id="pixel-work"):
        with gr.Column(scale=8, min_width=300, elem_id="pixel-results", elem_classes="lunaris-result"):
            with gr.Row(elem_id="pixel-summary", elem_classes="lunaris-summary"):
                report = common.report_component("pixel-report")
                copy = gr.Button(ui.TEXTS("copy_link"), size="sm", scale=0, min_width=120, elem_id="pixel-copy-link")
            gallery = common.picture_grid(TEXTS("sprites"), "pixel-grid")
            waiting = ui.raw(ui.empty_state(TEXTS, "empty"), elem_classes="lunaris-waiting")
            stop = gr.Button(TEXTS("stop"), variant="stop", size="sm", elem_id="pixel-stop", elem_classes="lunaris-stop")
            with gr.Row(elem_classes="lunaris-summary", elem_id="pixel-one"):
                selected = ui.raw(elem_id="pixel-selected")
                with gr.Column(min_width=280, elem_classes="lunaris-deeds"):
                    png = gr.DownloadButton(TEXTS("png1"), size="sm")
                    large = gr.DownloadButton(TEXTS("png8"), size="sm", elem_id="pixel-large")
                    again = gr.Button(TEXTS("reroll"), size="sm", elem_id="pixel-reroll")
                    sends = [gr.Button(TEXTS(name), size="sm") for name in ("to_studio", "to_first", "to_last")]
            with gr.Row(elem_classes="lunaris-downloads"):
                sheet = gr.DownloadButton(TEXTS("sheet"), size="sm", min_width=90)
                atlas = gr.DownloadButton(TEXTS("atlas"), size="sm", min_width=90)
                gif = gr.DownloadButton(TEXTS("gif"), size="sm", min_width=90)
                bundle = gr.DownloadButton(TEXTS("zip"), size="sm", min_width=110)
        with gr.Column(scale=4, min_width=280, elem_id="pixel-options", elem_classes="lunaris-options"):
            form["mode"] = gr.Radio(
                [(TEXTS("instant"), "instant"), (TEXTS("quality"), "quality")],
                value="instant",  # what REST and MCP take for a call that names no mode, as the library does
                label=TEXTS("mode"),
                info=TEXTS("mode_info"),
                visible=common.has_flow(common.default_ref()),
                elem_id="pixel-mode",
                elem_classes="lunaris-mode",
            )
            form["n"] = common.order_slider("n", TEXTS("count"), step=1)
            with gr.Column(elem_classes="lunaris-card"):
                form["seed"] = ui.seed_field(TEXTS("seed_info"))
                form["keep_seed"] = gr.Checkbox(label=ui.TEXTS("keep_seed"), container=False)
            with gr.Accordion(TEXTS("colours"), open=False, elem_id="pixel-colours"):
                form["palette"] = common.palette_field("pixel-palette")
                form["colours"] = gr.Slider(0, 64, 0, step=2, label=TEXTS("colour_count"), info=TEXTS("colour_count_info"))
                form["background"] = common.background_field("pixel-background", BACKGROUNDS)
            with gr.Accordion(ui.TEXTS("tuning"), open=False, elem_id="pixel-tuning"):
                form["temperature"], form["guidance"] = common.tuning_sliders()
                form["candidates"] = common.order_slider("candidates", TEXTS("candidates"), step=1, info=TEXTS("candidates_info"))
                form["steps"] = common.order_slider(
                    "steps", TEXTS("flow_steps"), step=1, info=TEXTS("flow_steps_info"), elem_classes="lunaris-quality"
                )
                scale = common.numbers(
                    gr.Radio([(f"×{k}", k) for k in SCALES], value=SCALE, label=TEXTS("scale"), info=TEXTS("scale_info"))
                )
    form["cells"] = gr.Textbox("", visible=False, label="cells")
    form["model"] = page.active
    index, query, run_now = gr.Number(0, visible=False), gr.Textbox(visible=False), gr.Checkbox(visible=False)
    as_it_is = gr.Button(visible="hidden", elem_id="pixel-as-it-is")  # draws the form with its seed and cells; pressed by the page

    inputs = [form[name] for name in inspect.signature(pixel_generate).parameters if name in form] + [scale]
    outputs = [gallery, sheet, bundle, report, atlas, gif]
    options = {"preprocess": False, "show_progress_on": [gallery, waiting]}  # `Order` checks values as they come, on every way in
    fresh = gr.on(
        [go.click, form["prompt"].submit],
        None,
        [form["seed"], form["keep_seed"]],
        [form["seed"], form["cells"]],
        js=SEED_FOR_THIS_RUN,
        api_visibility="private",
        show_progress="hidden",
    ).then(pixel_generate, inputs, outputs, api_name="pixel_generate", **options)
    same = as_it_is.click(pixel_generate, inputs, outputs, api_visibility="private", **options)
    one = [index, selected, png, large]
    quiet = {"preprocess": False, "show_progress": "hidden", "api_visibility": "private"}
    for run in (fresh, same):
        run.success(None, js=show("#pixel-summary"), api_visibility="private")
        run.success(pick_first, [gallery, scale], one, **quiet)
    gallery.select(pick, [gallery, scale], one, **quiet)
    rerolled = again.click(
        reroll,
        [gallery, index, report, form["seed"], scale],
        [*outputs, form["cells"]],
        js="(items, index, report, seed, scale) => [items, index, report, Math.floor(Math.random() * 1e6), scale]",
        **{**quiet, "show_progress": "minimal", "show_progress_on": gallery},
    )
    rerolled.success(pick_again, [gallery, index, scale], one, **quiet)
    scale.input(repack, [gallery, report, scale], [bundle, gif], **quiet).success(pick_again, [gallery, index, scale], one, **quiet)
    stop.click(None, cancels=[fresh, same, rerolled], api_visibility="private")
    copy.click(say_copied, report, None, js="(report) => window.lunaris.copyLink(report.link)", **quiet)
    known.expand(words.words_html, page.active, vocabulary, **quiet)
    page.active.change(fit_to_model, [page.active, form["mode"]], [form["mode"], vocabulary, examples], **quiet)

    filled_fields = [form[name] for name in Order.FILLED]
    page.demo.load(None, None, query, js="() => location.search", api_visibility="private").then(
        fill_from_link, query, [*filled_fields, run_now], **quiet
    ).then(None, run_now, None, js=PRESS_IF, api_visibility="private")
    page.sends += [(button, png, name) for button, name in zip(sends, ("studio", "morph:first", "morph:last"), strict=True)]
    history.build(page, [fresh, same, rerolled], report, gallery, filled_fields)
    again_view.build(page, filled_fields)
