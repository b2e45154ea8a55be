"""Explore: a map of the latent space to click through, and arithmetic on prompts that shows what each term does."""

import base64
import html
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from lunaris.core import ui
from lunaris.pixel.demo import common, create, files
from lunaris.pixel.demo.common import Page, chip, show
from lunaris.pixel.request import MAX_PROMPT, PixelRequest
from lunaris.pixel.run import slug

TEXTS = ui.Texts(
    "pixel_explore",
    {
        "explore": ("Explore", "Explorar"),
        "map": ("Map", "Mapa"),
        "arithmetic": ("Arithmetic", "Aritmética"),
        "map_intro": (
            "Every point of this map is a sprite; click any of them. One prompt shows its variations, two or four (with | between them) "
            "turn into each other.",
            "Cada ponto deste mapa é um sprite; clique em qualquer um. Uma descrição mostra suas variações; duas ou quatro (com | entre "
            "elas) se transformam umas nas outras.",
        ),
        "map_prompt": ("What lies on the map", "O que há no mapa"),
        "map_prompt_hint": ("a red cat | a blue potion", "um gato vermelho | uma poção azul"),
        "map_prompt_info": ("Leave it empty, and the seed picks four things.", "Deixe vazio, e a semente escolhe quatro coisas."),
        "draw": ("Draw map", "Desenhar mapa"),
        "map_label": (
            "Map of sprites. Arrow keys move the point, with Shift in larger steps.",
            "Mapa de sprites. As setas movem o ponto; com Shift, em passos maiores.",
        ),
        "map_keys": (
            "With the map in focus, arrow keys move the point, with Shift by a whole sprite.",
            "Com o mapa em foco, as setas movem o ponto; com Shift, um sprite inteiro.",
        ),
        "in": ("Zoom in", "Aproximar"),
        "out": ("Zoom out", "Afastar"),
        "centre": ("Centre here", "Centralizar aqui"),
        "whole": ("Whole map", "Mapa inteiro"),
        "point": ("This point", "Este ponto"),
        "x": ("x →", "x →"),
        "y": ("y ↑", "y ↑"),
        "go_to": ("Show point", "Mostrar ponto"),
        "map_png": ("Map (PNG)", "Mapa (PNG)"),
        "sum_intro": (
            "Add and take away prompts. Every term is drawn alone, then what is left after each step, all with the same random latent.",
            "Some e subtraia descrições. Cada termo é desenhado sozinho, depois o que resta a cada passo, sempre com o mesmo latente.",
        ),
        "expression": ("Expression", "Expressão"),
        "expression_hint": ("red potion - red + blue", "poção vermelha - vermelho + azul"),
        "expression_info": (
            'Up to eight terms with + and -, weights such as 1.5*cat, quotes for "anything else".',
            'Até oito termos com + e -, pesos como 1,5*gato, aspas para "qualquer outra coisa".',
        ),
        "work_out": ("Work it out", "Calcular"),
        "sum_empty": ("Your sum appears here", "Sua conta aparece aqui"),
        "sum_empty_hint": ("Write an expression, or click an example.", "Escreva uma expressão ou clique em um exemplo."),
        "terms": ("Terms", "Termos"),
        "sums": ("Step by step", "Passo a passo"),
        "results": ("The result, from more seeds", "O resultado, com outras sementes"),
        "try": ("Try", "Experimente"),
        "surprise": ("surprise me", "surpreenda-me"),
    },
)

MAPS = {
    "en": ("a red cat | a green ghost | a blue potion | a yellow sword", "a cat", "skull | ghost", "a red heart | a green tree"),
    "pt-BR": (
        "um gato vermelho | um fantasma verde | uma poção azul | uma espada amarela",
        "um gato",
        "caveira | fantasma",
        "um coração vermelho | uma árvore verde",
    ),
}
SUMS = {
    "en": ("red potion - red + blue", "cat + hat", "skull + pink + 0.5*heart", "red cat - cat + ghost", "tree + white"),
    "pt-BR": (
        "poção vermelha - vermelho + azul",
        "gato + chapéu",
        "caveira + rosa + 0,5*coração",
        "gato vermelho - gato + fantasma",
        "árvore + branco",
    ),
}

# --- what visitors may ask for ----------------------------------------------------------------------------------------------------

KEPT = 64  # maps in memory; one takes some ten kilobytes
_maps: OrderedDict[str, Any] = OrderedDict()
_lock = threading.Lock()


def _kept(key: str, draw: Callable[[], Any]) -> Any:
    """What `draw` made for this key, from memory where it is; the least recently used go first."""
    with _lock:
        if key in _maps:
            _maps.move_to_end(key)
            return _maps[key]
    made = draw()
    with _lock:
        _maps[key] = made
        while len(_maps) > KEPT:
            _maps.popitem(last=False)
    return made


@ui.friendly
def pixel_map(
    prompt: str = "",
    seed: int = 0,
    temperature: float = 0.7,
    guidance: float = 1.0,
    x: float = 0.0,
    y: float = 0.0,
    zoom: float = 1.0,
    model: str = "",
    request: gr.Request | None = None,
) -> tuple[str, dict]:
    """Draw a map of the latent space: 13 x 13 sprites on a plane. pixel_map_point gives the sprite at any point of it.

    Args:
        prompt: One prompt (its variations), or two or four with | between them (they turn into each other); empty picks four things.
        seed: 0 to 4294967295.
        temperature: Spread of the random latents, 0 to 2.
        guidance: Strength of the prompts, 0 to 5.
        x: The middle of the map, -4 (left) to 4 (right).
        y: The middle of the map, -4 (bottom) to 4 (top).
        zoom: 0.5 to 64; at 1 the outer sprites lie one unit from the middle.
        model: A bundled checkpoint such as "pixel-16", or owner/name[@revision] on the Hugging Face Hub; empty is the default.

    Returns:
        The map as one PNG; what made it, with the prompts at its corners.
    """
    from lunaris.pixel import explore, replay, sprites

    loaded = common.model_for(model, request)
    order = {"prompt": prompt, "seed": ui.whole(seed), "temperature": temperature, "guidance": guidance}
    view = {"x": x, "y": y, "zoom": zoom}
    started = time.perf_counter()

    def draw() -> tuple[bytes, tuple[str, ...]]:
        images = explore.latent_map(loaded.model, **order, **view)
        made = replay.record(loaded.model, "latent_map", {**order, **view}, ref=_ref(model), weights=loaded.weights)
        return replay.png(images, made, columns=explore.CELLS), explore.plane(loaded.model, **order).names

    png, names = _kept(repr((_ref(model), loaded.weights, order, view)), draw)
    report = {**order, **view, "names": list(names), "cells": explore.CELLS, "seconds": round(time.perf_counter() - started, 3)}
    if not prompt.strip():  # drawn ones are ours to translate
        report["names_pt"] = [sprites.caption(sprites.Label(*sprites.parse(name), 0, 0), "pt") for name in names]
    return ui.keep(f"map-{slug(prompt)}-{order['seed']}.png", png), {**report, **common.origin(loaded, model)}


@ui.friendly
def pixel_map_point(
    x: float,
    y: float,
    prompt: str = "",
    seed: int = 0,
    temperature: float = 0.7,
    guidance: float = 1.0,
    model: str = "",
    request: gr.Request | None = None,
) -> tuple[str, str, dict]:
    """Draw the sprite at one point of the map that pixel_map draws for the same prompt, seed and settings.

    Args:
        x: -8 (left) to 8 (right); 0 is the middle.
        y: -8 (bottom) to 8 (top); 0 is the middle.
        prompt: One prompt, or two or four with | between them; empty picks four things.
        seed: 0 to 4294967295.
        temperature: Spread of the random latents, 0 to 2.
        guidance: Strength of the prompts, 0 to 5.
        model: A bundled checkpoint such as "pixel-16", or owner/name[@revision] on the Hugging Face Hub; empty is the default.

    Returns:
        The sprite as a PNG; the same at x8; what made it.
    """
    from lunaris.pixel import explore, replay

    loaded = common.model_for(model, request)
    order = {"x": x, "y": y, "prompt": prompt, "seed": ui.whole(seed), "temperature": temperature, "guidance": guidance}
    started = time.perf_counter()
    images = explore.decode_point(loaded.model, **order)
    seconds = time.perf_counter() - started
    made = replay.record(loaded.model, "decode_point", order, ref=_ref(model), weights=loaded.weights)
    stem = f"{slug(prompt)}-{order['seed']}-at-{x:.3f}-{y:.3f}"
    png, large = (replay.png(images, made, index=0, scale=scale) for scale in (1, files.SCALE))
    report = {**order, "n": 1, "seconds": round(seconds, 4), **common.origin(loaded, model)}
    return ui.keep(f"{stem}.png", png), ui.keep(f"{stem}-x{files.SCALE}.png", large), report


@ui.friendly
def pixel_arithmetic(
    expression: str,
    n: int = 8,
    seed: int = 0,
    temperature: float = 0.7,
    guidance: float = 1.0,
    palette: str = "",
    model: str = "",
    request: gr.Request | None = None,
) -> tuple[list[tuple[str, str]], list[tuple[str, str]], list[tuple[str, str]], dict]:
    """Add and subtract prompts and draw what comes out, with every term and every step on the way.

    Args:
        expression: Such as "red potion - red + blue": up to 8 terms with + and -, weights such as 1.5*cat, quotes around "any - text".
        n: How many sprites of the result, 1 to 64.
        seed: 0 to 4294967295. Sprite i uses seed + i; terms and steps use seed.
        temperature: Spread of the random latents, 0 to 2.
        guidance: Strength of the prompts, 0 to 5.
        palette: Colours to keep to: gameboy, pico8, nes, c64 or a list such as "#0f380f #306230"; empty is as drawn.
        model: A bundled checkpoint such as "pixel-16", or owner/name[@revision] on the Hugging Face Hub; empty is the default.

    Returns:
        The sprites of the result, one PNG each; a sprite of each term; a sprite of the sum after each term, unless it is nothing; what
        made them.
    """
    from lunaris.pixel import explore, replay, unknown_words

    terms = explore.parse(expression)
    loaded = common.model_for(model, request)
    order = {"n": ui.whole(n), "seed": ui.whole(seed), "temperature": temperature, "guidance": guidance, "palette": palette}
    started = time.perf_counter()
    found = explore.work_out(loaded.model, expression, **order)
    seconds = time.perf_counter() - started

    def stamped(name: str, images: Any, i: int, call: str, **args: Any) -> str:
        made = replay.record(loaded.model, call, args, ref=_ref(model), weights=loaded.weights)
        return ui.keep(f"{name}.png", replay.png(images, made, index=i))

    stem, alone = f"{slug(expression)}-{order['seed']}", order | {"n": 1}
    results, of_terms, sums = [], [], []
    for i in range(order["n"]):
        path = stamped(f"{stem[:60]}-{i + 1:02}", found.results, i, "arithmetic", expression=expression, **order)
        results.append((path, f"{i + 1} · {order['seed'] + i}"))
    for i, term in enumerate(terms):
        sign = ("+ " if i else "") if term.weight > 0 else "− "
        prompt = PixelRequest(prompt=term.text, **alone).to_dict()
        of_terms.append((stamped(slug(term.text), found.of_terms[i : i + 1], 0, "generate", **prompt), sign + str(term).replace("*", "×")))
    for i, so_far in enumerate(map(explore.written, found.steps)):
        path = stamped(slug(so_far), found.sums[i : i + 1], 0, "arithmetic", expression=so_far, **alone)
        sums.append((path, so_far.replace(" - ", " − ").replace("*", "×")))
    unknown = list(dict.fromkeys(word for term in terms for word in unknown_words(loaded.model, term.text)))
    report = {"expression": expression, **order, "seconds": round(seconds, 3), "unknown_words": unknown}
    return results, of_terms, sums, {**report, **common.origin(loaded, model)}


def _ref(model: str) -> str:
    return model.strip() or common.default_ref()


# --- the map on the page -----------------------------------------------------------------------------------------------------------

# The value is the report of pixel_map, the map's address, and the point: {..., src, px, py}.
MAP = """${(() => {
  if (!value) return "";
  const plain = (text) => text.replace(/[&<>"]/g, (c) => "&#" + c.charCodeAt(0) + ";");
  const reach = value.cells / (value.cells - 1) / value.zoom;
  const left = 50 + 50 * (value.px - value.x) / reach, top = 50 - 50 * (value.py - value.y) / reach;
  const inside = left > -1 && left < 101 && top > -1 && top < 101;
  const arrows = ({4: ["↖ ", " ↗", "↙ ", " ↘"], 2: ["← ", " →"]})[value.names.length] ?? [""];
  const word = (i) => value.names_pt ? `<span class="i18n" lang="en">${plain(value.names[i])}</span>
    <span class="i18n" lang="pt-BR">${plain(value.names_pt[i])}</span>` : plain(value.names[i]);
  const names = value.names.map((_, i) => "<span>" + (i % 2 ? word(i) + arrows[i] : arrows[i] + word(i)) + "</span>");
  return `<p class="names">${names.slice(0, 2).join("")}</p>
<div class="map" role="application" tabindex="0" aria-labelledby="pixel-map-label">
  <span class="sr-only" id="pixel-map-label">[label]</span>
  <img src="${value.src}" draggable="false" alt="${plain(value.names.join(" · ") || value.model)}">
  <i class="mark" style="left:${left}%;top:${top}%;width:${100 / value.cells}%;${inside ? "" : "display:none"}"></i>
</div>
<p class="names">${names.slice(2).join("")}</p>`;
})()}"""
MAP_STYLE = """
  .map { position: relative; aspect-ratio: 1; border: 1px solid var(--moon-line); border-radius: 14px; overflow: hidden; cursor: crosshair;
    touch-action: manipulation; background: var(--moon-check-b); }
  .map img { display: block; width: 100%; height: 100%; margin: 0; image-rendering: pixelated; user-select: none; }
  .mark { position: absolute; aspect-ratio: 1; transform: translate(-50%, -50%); border: 3px solid #fff; border-radius: 8px;
    box-shadow: 0 0 0 2px #1a1636, inset 0 0 0 2px #1a1636; pointer-events: none; }
  .names { display: flex; justify-content: space-between; gap: 12px; min-height: 26px; margin: 2px 4px; color: var(--moon-muted);
    font-size: 15px; }
"""
POINT = """${!value ? "" : `<figure><img src="${value.src}" alt="x ${value.x}, y ${value.y}">
  <figcaption>[point] <b>x ${value.x} · y ${value.y}</b></figcaption></figure>`}""".replace("[point]", TEXTS.html("point"))
POINT_STYLE = """
  figure { display: flex; flex-direction: column; align-items: center; gap: 8px; margin: 0; padding: 14px;
    border: 1px solid var(--moon-line);
    border-radius: 16px; background: var(--moon-panel); color: var(--moon-muted); }
  img { width: 256px; max-width: 100%; aspect-ratio: 1; margin: 0; border-radius: 8px; image-rendering: pixelated;
    background: repeating-conic-gradient(var(--moon-check-a) 0 25%, var(--moon-check-b) 0 50%) 0 0 / 32px 32px; }
  b { color: var(--moon-ink); }
"""
POINT_AT = """
const STEP = 0.25, BOUND = 8;
const point = (px, py) => {
  const bound = (number) => Math.round(Math.min(BOUND, Math.max(-BOUND, number)) * 1e4) / 1e4;
  props.value = { ...props.value, px: bound(px), py: bound(py) };
  element.closest("#pixel-map").point = [props.value.px, props.value.py];
  trigger("input");
};
element.addEventListener("click", (event) => {
  const box = event.target.closest(".map")?.getBoundingClientRect();
  if (!box) return;
  const reach = props.value.cells / (props.value.cells - 1) / props.value.zoom;
  point(props.value.x + reach * (2 * (event.clientX - box.left) / box.width - 1),
        props.value.y - reach * (2 * (event.clientY - box.top) / box.height - 1));
});
element.addEventListener("keydown", (event) => {
  const way = ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] })[event.key];
  if (!way || !event.target.closest(".map")) return;
  event.preventDefault();
  const cell = 2 / (props.value.cells - 1) / props.value.zoom * (event.shiftKey ? 1 : STEP);
  point(props.value.px + way[0] * cell, props.value.py + way[1] * cell);
});
"""
SHOWN = """(image, report) => [{ ...report, src: image.url, px: report.x, py: report.y }, report.x, report.y, report.zoom,
  report.prompt, report.seed, report.temperature, report.guidance, report.model, image]"""

# who opens the tab finds a map; it is drawn then and not before, and only once the button is there
FIRST_MAP = """() => {
  const draw = (tries) => {
    const button = document.querySelector("#pixel-map-go");
    if (!button && tries) return setTimeout(() => draw(tries - 1), 100);
    if (button && !document.querySelector("#pixel-map .map")) button.click();
  };
  setTimeout(() => draw(50), 50);
}"""


def zoomed(change: str) -> str:
    """JavaScript that turns point and zoom into the next view; `change` computes [x, y, zoom] from them."""
    return f"""(prompt, seed, temperature, guidance, x, y, zoom, model) => {{
  const bound = (number) => Math.min(4, Math.max(-4, number)), depth = (number) => Math.min(64, Math.max(0.5, number));
  return [prompt, seed, temperature, guidance, ...{change}, model];
}}"""


def chips(language: str, texts: Sequence[str], fill: str, press: str, more: str = "") -> str:
    """Examples to click in one language."""
    buttons = "".join(chip(text, fill=fill, press=press) for text in texts)
    return f'<div class="i18n lunaris-chips" lang="{language}"><span>{TEXTS.say("try", language)}</span>{buttons}{more}</div>'


def map_chips() -> str:
    rows = []
    for language, prompts in MAPS.items():
        surprise = chip("", TEXTS.say("surprise", language), fill="#pixel-map-prompt", press="#pixel-map-surprise")
        rows.append(chips(language, prompts, "#pixel-map-prompt", "#pixel-map-go", surprise))
    return "".join(rows)


def sum_chips() -> str:
    return "".join(chips(language, sums, "#pixel-sum", "#pixel-sum-go") for language, sums in SUMS.items())


def build(page: Page) -> None:
    tab = gr.context.Context.block
    with gr.Tabs(elem_id="pixel-explore-tabs"):
        with gr.Tab(TEXTS("map"), id="map"):
            build_map(page)
        with gr.Tab(TEXTS("arithmetic"), id="arithmetic"):
            build_arithmetic(page)
    tab.select(None, js=FIRST_MAP, api_visibility="private")


def build_map(page: Page) -> None:
    ui.raw(f'<p class="lunaris-hint">{TEXTS.html("map_intro")}</p>')
    with gr.Row(elem_classes="lunaris-bar"):
        prompt = gr.Textbox(
            "",
            label=TEXTS("map_prompt"),
            placeholder=TEXTS("map_prompt_hint"),
            info=TEXTS("map_prompt_info"),
            max_lines=4,
            elem_id="pixel-map-prompt",
            scale=5,
        )
        go = gr.Button(TEXTS("draw"), variant="primary", elem_id="pixel-map-go", scale=1, min_width=140)
    ui.raw(map_chips(), elem_classes="lunaris-examples")
    surprise = gr.Button(visible="hidden", elem_id="pixel-map-surprise")  # a map of the next seed's own choice
    with gr.Row():
        with gr.Column(scale=6, min_width=300):
            atlas = gr.HTML(
                html_template=MAP.replace("[label]", TEXTS.html("map_label")),
                css_template=MAP_STYLE,
                js_on_load=POINT_AT,
                apply_default_css=False,
                elem_id="pixel-map",
            )
            with gr.Row():
                closer, further, centre, whole = (
                    gr.Button(TEXTS(name), size="sm", min_width=140) for name in ("in", "out", "centre", "whole")
                )
            image = gr.Image(visible=False, type="filepath", format="png")
            report = gr.JSON(visible=False)
        with gr.Column(scale=5, min_width=280):
            figure = ui.raw(None, html_template=POINT, css_template=POINT_STYLE, elem_id="pixel-point")
            sprite = gr.Image(visible=False, type="filepath", format="png")
            about = common.report_component("pixel-point-report")
            with gr.Row():
                png = gr.DownloadButton("PNG ×1", size="sm", min_width=92)
                large = gr.DownloadButton(f"PNG ×{files.SCALE}", size="sm", min_width=92)
            with gr.Row():
                to_first, to_studio = (gr.Button(create.TEXTS(name), size="sm", min_width=110) for name in ("to_first", "to_studio"))
            with gr.Column(elem_classes="lunaris-card"), gr.Row(elem_classes="lunaris-bar"):
                x, y = (gr.Number(0, label=TEXTS(name), step=0.05, min_width=90, elem_id=f"pixel-map-{name}") for name in ("x", "y"))
                show_point = gr.Button(TEXTS("go_to"), size="sm", min_width=120)
            ui.raw(f'<p class="lunaris-hint">{TEXTS.html("map_keys")}</p>')
            with gr.Accordion(ui.TEXTS("tuning"), open=False):
                seed = ui.seed_field()
                temperature, guidance = common.tuning_sliders()
                map_png = gr.DownloadButton(TEXTS("map_png"), size="sm", min_width=110)
    # the map that is shown, whatever the form says by now; what a call may leave out has its default here
    shown = [gr.Textbox("", visible=False), *(gr.Number(number, visible=False) for number in (0, 0.7, 1.0)), gr.Textbox("", visible=False)]
    zoom = gr.Number(1, visible=False)

    quiet, unseen = {"preprocess": False, "api_visibility": "private"}, {"api_visibility": "private", "show_progress": "hidden"}
    whole_map = {
        "fn": pixel_map,
        "inputs": [prompt, seed, temperature, guidance, x, y, zoom, page.active],
        "outputs": [image, report],
        "js": zoomed("[0, 0, 1]"),
        "show_progress_on": atlas,
    }
    runs = [
        gr.on([go.click, prompt.submit], **whole_map, api_name="pixel_map", preprocess=False),
        surprise.click(None, None, seed, js=ui.NEW_SEED, api_visibility="private").then(**whole_map, **quiet),
    ]
    for button, change in (
        (closer, "[bound(x), bound(y), depth(zoom * 2)]"),
        (further, "[bound(x), bound(y), depth(zoom / 2)]"),
        (centre, "[bound(x), bound(y), zoom]"),
        (whole, "[0, 0, 1]"),
    ):
        inputs = [*shown[:4], x, y, zoom, shown[4]]
        runs.append(button.click(pixel_map, inputs, [image, report], js=zoomed(change), show_progress_on=atlas, **quiet))
    at_point = {"fn": pixel_map_point, "inputs": [x, y, *shown], "outputs": [sprite, large, about], "show_progress": "hidden"}
    points = [
        gr.on([show_point.click, x.submit, y.submit], **at_point, api_name="pixel_map_point", preprocess=False),
        atlas.input(
            **at_point,
            js="(x, y, ...rest) => [...document.querySelector('#pixel-map').point, ...rest]",
            trigger_mode="always_last",  # of many clicks the last one counts
            **quiet,
        ),
    ]
    for run in runs:
        settled = run.success(None, [image, report], [atlas, x, y, zoom, *shown, map_png], js=SHOWN, **unseen)
        points.append(settled.success(**at_point, **quiet))
    for run in points:
        run.success(
            None, [sprite, about], [png, figure], js="(sprite, report) => [sprite, { src: sprite.url, x: report.x, y: report.y }]", **unseen
        )
    atlas.input(None, atlas, [x, y], js="(map) => [map.px, map.py]", **unseen)
    moved = "(map, x, y) => map && { ...map, px: Number(x), py: Number(y) }"
    gr.on([show_point.click, x.submit, y.submit], None, [atlas, x, y], atlas, js=moved, **unseen)
    page.sends += [(to_first, png, "morph:first"), (to_studio, png, "studio")]


# --- arithmetic on the page --------------------------------------------------------------------------------------------------------


def _picture(item: dict) -> str:
    data = base64.b64encode(Path(item["image"]["path"]).read_bytes()).decode()
    caption = html.escape(item.get("caption") or "")
    return f'<img src="data:image/png;base64,{data}" alt="{caption}"><span>{caption}</span>'


@ui.friendly
def sum_html(of_terms: list[dict], sums: list[dict]) -> str:
    """Terms on top, below each of them what the sum looks like with it."""
    rows = []
    for name, items in (("terms", of_terms), ("sums", sums)):
        figures = "".join(f"<li>{_picture(item)}</li>" for item in items)
        rows.append(f'<h3 class="lunaris-title">{TEXTS.html(name)}</h3><ol class="{name}">{figures}</ol>')
    return f'{"".join(rows)}<h3 class="lunaris-title">{TEXTS.html("results")}</h3>'


SUM_STYLE = """
  ol { display: flex; flex-wrap: wrap; gap: 10px; margin: 6px 0 14px; padding: 0; list-style: none; }
  li { display: flex; flex-direction: column; width: 112px; border: 1px solid var(--moon-line); border-radius: 12px; overflow: hidden;
    background: var(--moon-panel); }
  li img { width: 100%; aspect-ratio: 1; margin: 0; image-rendering: pixelated;
    background: repeating-conic-gradient(var(--moon-check-a) 0 25%, var(--moon-check-b) 0 50%) 0 0 / 14px 14px; }
  li span { padding: 4px 6px; text-align: center; font-size: 14px; overflow-wrap: anywhere; }
  .sums li:last-child { border-color: var(--moon-accent); box-shadow: 0 0 0 1px var(--moon-accent); }
"""


@ui.friendly
def pick(items: list[dict], event: gr.SelectData) -> tuple[Any, ...]:
    """The clicked result, large, and its two files."""
    return create.chosen(items, event.index, files.SCALE)[1:]


@ui.friendly
def pick_first(items: list[dict]) -> tuple[Any, ...]:
    return create.chosen(items, 0, files.SCALE)[1:]


def build_arithmetic(page: Page) -> None:
    ui.raw(f'<p class="lunaris-hint">{TEXTS.html("sum_intro")}</p>')
    with gr.Row(elem_classes="lunaris-bar"):
        expression = gr.Textbox(
            label=TEXTS("expression"),
            placeholder=TEXTS("expression_hint"),
            info=TEXTS("expression_info"),
            max_length=MAX_PROMPT,
            max_lines=2,
            elem_id="pixel-sum",
            scale=5,
        )
        go = gr.Button(TEXTS("work_out"), variant="primary", elem_id="pixel-sum-go", scale=1, min_width=140)
    ui.raw(sum_chips(), elem_classes="lunaris-examples")
    with gr.Row():
        with gr.Column(scale=8, min_width=300, elem_id="pixel-summed", elem_classes="lunaris-result"):
            report = common.report_component("pixel-sum-report")
            steps = ui.raw(css_template=SUM_STYLE, elem_id="pixel-steps")
            gallery = common.picture_grid(TEXTS("results"), "pixel-sum-grid")
            waiting = ui.raw(ui.empty_state(TEXTS, "sum_empty"), elem_classes="lunaris-waiting")
            with gr.Row(elem_classes="lunaris-summary"):
                selected = ui.raw()
                with gr.Column(min_width=280):
                    with gr.Row():
                        png = gr.DownloadButton("PNG ×1", size="sm", min_width=92)
                        large = gr.DownloadButton(f"PNG ×{files.SCALE}", size="sm", min_width=92)
                    with gr.Row():
                        to_first, to_studio = (
                            gr.Button(create.TEXTS(name), size="sm", min_width=110) for name in ("to_first", "to_studio")
                        )
            of_terms, sums = gr.Gallery(visible=False), gr.Gallery(visible=False)
        with gr.Column(scale=4, min_width=280):
            n = gr.Slider(1, 64, 8, step=1, label=common.TEXTS("count"))
            with gr.Column(elem_classes="lunaris-card"):
                seed = ui.seed_field()
            with gr.Accordion(common.TEXTS("colours"), open=False):
                palette = common.palette_field("pixel-sum-palette")
            with gr.Accordion(ui.TEXTS("tuning"), open=False):
                temperature, guidance = common.tuning_sliders()

    quiet = {"preprocess": False, "show_progress": "hidden", "api_visibility": "private"}
    run = gr.on(
        [go.click, expression.submit],
        pixel_arithmetic,
        [expression, n, seed, temperature, guidance, palette, page.active],
        [gallery, of_terms, sums, report],
        api_name="pixel_arithmetic",
        preprocess=False,
        show_progress_on=[gallery, waiting],
    )
    run.success(sum_html, [of_terms, sums], steps, **quiet)
    run.success(pick_first, gallery, [selected, png, large], **quiet)
    run.success(None, js=show("#pixel-sum-report"), api_visibility="private")
    gallery.select(pick, gallery, [selected, png, large], **quiet)
    page.sends += [(to_first, png, "morph:first"), (to_studio, png, "studio")]
