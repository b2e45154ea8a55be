"""Studio: any picture as pixel art, redrawn by the model if one likes, and whether it tiles without a seam."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from lunaris.core import ui
from lunaris.core.config import ConfigError
from lunaris.pixel.demo import common, create, files
from lunaris.pixel.demo.common import Page, Place, show
from lunaris.pixel.request import PixelRequest

if TYPE_CHECKING:
    import numpy as np

TEXTS = ui.Texts(
    "pixel_studio",
    {
        "studio": ("Studio", "Estúdio"),
        "intro": (
            "Turn any photo or drawing into pixel art, let the model redraw it, and see whether it repeats without a seam.",
            "Transforme qualquer foto ou desenho em pixel art, deixe o modelo redesenhar e veja se a imagem se repete sem emenda.",
        ),
        "picture": ("Picture", "Imagem"),
        "side": ("Pixels per side", "Pixels por lado"),
        "fit": ("Fit", "Ajuste"),
        "contain": ("whole picture", "imagem inteira"),
        "cover": ("fill the square", "preencher o quadrado"),
        "colour_count": ("Colours", "Cores"),
        "colour_count_info": ("At most so many, unless a palette is chosen.", "No máximo tantas, a não ser que uma paleta seja escolhida."),
        "dither": ("Dithering", "Dithering"),
        "none": ("none", "nenhum"),
        "ordered": ("ordered", "ordenado"),
        "floyd-steinberg": ("Floyd-Steinberg", "Floyd-Steinberg"),
        "make": ("Make pixel art", "Fazer pixel art"),
        "redraw": ("Let the model redraw it", "O modelo redesenha"),
        "redraw_colours": ("Colours when redrawn", "Cores ao redesenhar"),
        "redraw_colours_info": (
            "At most so many, unless a palette is chosen; 0 is as the model draws it.",
            "No máximo tantas, a não ser que uma paleta seja escolhida; 0 é como o modelo desenha.",
        ),
        "redraw_hint": (
            "The model reads the picture into its latent numbers and draws it from them alone: what it does not know, it replaces.",
            "O modelo lê a imagem em seus números latentes e a desenha só a partir deles: o que não conhece, substitui.",
        ),
        "before": ("Before", "Antes"),
        "after": ("After", "Depois"),
        "empty": ("Your pixel art appears here", "Sua pixel art aparece aqui"),
        "empty_hint": (
            "Upload a picture, or send a sprite from another view.",
            "Envie uma imagem, ou mande um sprite de outra aba.",
        ),
        "tiling": ("Repeated picture", "Imagem repetida"),
        "tile": ("Check the tiling", "Testar a repetição"),
        "tile_hint": (
            "Repeats the result (or the picture, as long as there is none) and measures the seams.",
            "Repete o resultado (ou a imagem, enquanto não há um) e mede as emendas.",
        ),
        "columns": ("Columns", "Colunas"),
        "rows": ("Rows", "Linhas"),
        "accepted": ("Accepted: no seam to see.", "Aceita: nenhuma emenda à vista."),
        "rejected": ("Rejected: the seams show.", "Rejeitada: as emendas aparecem."),
        "across": ("side by side", "lado a lado"),
        "down": ("on top of each other", "uma sobre a outra"),
        "score": ("Seam score", "Nota das emendas"),
        "colours_used": ("colours", "cores"),
    },
)

SIDES = (8, 16, 24, 32, 48, 64, 96, 128)
TIMES = (1, 8)
FITS = ("contain", "cover")
DITHERS = ("none", "ordered", "floyd-steinberg")

# --- what visitors may ask for ----------------------------------------------------------------------------------------------------


@ui.friendly
def pixel_pixelise(
    picture: dict,
    side: int = 32,
    palette: str = "",
    colours: int = 16,
    dither: str = "none",
    fit: str = "contain",
    scale: int = files.SCALE,
    request: gr.Request | None = None,
) -> tuple[str, str, dict]:
    """Turn any picture into pixel art by shrinking it and reducing its colours.

    No model takes part, so the files bear an AI mark only if the picture does.

    Args:
        picture: A photo or drawing (PNG, GIF, WebP or JPEG).
        side: Width and height of the result in pixels, 8 to 128.
        palette: Colours to keep to: gameboy, pico8, nes, c64 or a list such as "#0f380f #306230"; empty takes the picture's own.
        colours: Without a palette, at most so many colours, 2 to 64.
        dither: none, ordered or floyd-steinberg.
        fit: contain (the whole picture, transparent margins) or cover (the square is filled, the rest cut off).
        scale: How much larger the second file is, 1 to 32.

    Returns:
        The pixel art as a PNG; the same enlarged; how it was made.
    """
    from lunaris.core.images import upscale
    from lunaris.pixel import palette as palettes
    from lunaris.pixel.pixelise import pixelise

    order = {
        "side": checked("side", side, SIDES[0], SIDES[-1], 32),
        "palette": PixelRequest(palette=palette).palette,
        "colours": checked("colours", colours, 2, 64, 16),
        "dither": dither,
        "fit": fit,
    }
    source, scale = common.picture(picture, "picture"), files.checked_scale(scale)
    started = time.perf_counter()
    image = pixelise(source, **order)
    report = {**order, "colours_used": palettes.count(image), "seconds": round(time.perf_counter() - started, 3), "scale": scale}
    stem = f"pixel-art-{order['side']}"
    small, large = kept(f"{stem}.png", image, picture), kept(f"{stem}-x{scale}.png", upscale(image, scale), picture)
    return small, large, report


@ui.friendly
def pixel_reconstruct(
    picture: dict,
    scale: int = files.SCALE,
    model: str = "",
    palette: str = "",
    colours: int = 0,
    dither: str = "none",
    request: gr.Request | None = None,
) -> tuple[str, str, dict]:
    """Let the model redraw a picture: encoded to its latent numbers and decoded from them alone, without a prompt.

    Args:
        picture: The picture (PNG, GIF, WebP or JPEG); it is fitted to the model's size first.
        scale: How much larger the second file is, 1 to 32.
        model: A bundled checkpoint such as "pixel-16", or owner/name[@revision] on the Hugging Face Hub; empty is the default.
        palette: Colours to keep the drawing to: gameboy, pico8, nes, c64 or a list such as "#0f380f #306230"; empty is as drawn.
        colours: Without a palette, most colours of the drawing, 2 to 64; 0 is as drawn.
        dither: none, ordered or floyd-steinberg, where a palette or a number of colours is given.

    Returns:
        The model's drawing as a PNG; the same enlarged; what made it.
    """
    from lunaris.pixel import explore, replay
    from lunaris.pixel import palette as palettes

    order = PixelRequest(palette=palette, colours=ui.whole(colours))
    how = {"palette": order.palette, "colours": order.colours, "dither": dither}
    source, scale = common.picture(picture, "picture"), files.checked_scale(scale)
    loaded = common.model_for(model, request)
    started = time.perf_counter()
    images = explore.reconstruct(loaded.model, source, **how)
    report = {**how, "colours_used": palettes.count(images[0]), "seconds": round(time.perf_counter() - started, 3), "scale": scale}
    args = {"image": source, **how}
    made = replay.record(loaded.model, "reconstruct", args, ref=model.strip() or common.default_ref(), weights=loaded.weights)
    png, large = (replay.png(images, made, index=0, scale=times) for times in (1, scale))
    return ui.keep("redrawn.png", png), ui.keep(f"redrawn-x{scale}.png", large), {**report, **common.origin(loaded, model)}


@ui.friendly
def pixel_tile(picture: dict, columns: int = 3, rows: int = 3, request: gr.Request | None = None) -> tuple[str, dict]:
    """Repeat a picture like a floor tile and measure whether its edges meet without a visible seam.

    Args:
        picture: The picture (PNG, GIF, WebP or JPEG), at most 256 x 256 pixels.
        columns: How many side by side, 1 to 8.
        rows: How many on top of each other, 1 to 8.

    Returns:
        The repeated picture as a PNG; the seam scores (1 = seamless) and whether it is accepted as a tile.
    """
    from lunaris.pixel.tiling import seam_score, tile

    times = [checked(name, value, *TIMES, 3) for name, value in (("columns", columns), ("rows", rows))]
    source = common.picture(picture, "picture")
    tiled = tile(source, *times)
    height, width = source.shape[:2]
    report = {**seam_score(source)._asdict(), "columns": times[0], "rows": times[1], "width": width, "height": height}
    return kept(f"tiled-{times[0]}x{times[1]}.png", tiled, picture), report


def kept(name: str, image: "np.ndarray", source: Any) -> str:
    """What was made of the uploaded `source` without a model, as a PNG to download; the AI-generated mark, if there is one, goes on."""
    from lunaris.core.images import png_bytes
    from lunaris.pixel import export

    return ui.keep(name, export.carry_mark(source["path"] if isinstance(source, Mapping) else source, png_bytes(image)))


def checked(name: str, value: Any, low: int, high: int, good: int) -> int:
    value = ui.whole(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(f"{name} must be a whole number from {low} to {high}, got {str(value)[:40]}; try {good}")
    return value


# --- the view ----------------------------------------------------------------------------------------------------------------------

# Values that the browser draws: {before, after} are addresses of pictures; a tiling is the report of pixel_tile and its picture's {src}.
PAIR = """${!value?.after ? `[waiting]` : `<div class="pair">
  <figure><img src="${value.before}" alt="[before_alt]"><figcaption>[before]</figcaption></figure>
  <figure><img class="sharp" src="${value.after}" alt="[after_alt]"><figcaption>[after]</figcaption></figure>
</div>`}"""
REPORT = """${!value ? "" : `<p class="lunaris-report" role="status"><b>${value.side}×${value.side}</b>
  <span>${value.colours_used} [colours_used]</span><span>${value.seconds.toFixed(2)} s</span>
  ${value.model ? `<span>${value.model.replace(/[^\\w@/.-]/g, "")} <code>${value.weights.slice(0, 8)}</code></span>` : ""}</p>`}"""
TILING = """${!value ? "" : `<div class="verdict ${value.accepted ? "good" : "bad"}" role="status">
  <b>${value.accepted ? `[accepted]` : `[rejected]`}</b>
  <span>[score] <b>${value.score.toFixed(2)}</b> · ${value.horizontal.toFixed(2)} [across], ${value.vertical.toFixed(2)} [down]</span>
</div><img class="sharp" src="${value.src}" alt="[tiling_alt]"
  style="aspect-ratio:${value.columns * value.width}/${value.rows * value.height}">`}"""
STYLE = """
  .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; }
  figure { margin: 0; }
  img { display: block; width: 100%; margin: 0; object-fit: contain; border: 1px solid var(--moon-line); border-radius: 14px;
    background: repeating-conic-gradient(var(--moon-check-a) 0 25%, var(--moon-check-b) 0 50%) 0 0 / 20px 20px; }
  figure img { aspect-ratio: 1; }
  .sharp { image-rendering: pixelated; }
  figcaption { padding: 6px 2px 0; color: var(--moon-muted); font-size: 15px; }
  .verdict { display: flex; flex-direction: column; gap: 2px; margin-bottom: 12px; padding: 10px 14px; border: 1px solid var(--moon-line);
    border-left: 5px solid var(--moon-danger); border-radius: 12px; background: var(--moon-panel); color: var(--moon-muted); }
  .verdict.good { border-left-color: #3f9d62; }
  .verdict b { color: var(--moon-ink); }
"""
SHOWN = """(picture, after, scale) => [{ before: picture.url, after: after.url }, after, after,
  { __type__: "update", label: `PNG ×${scale}` }, null]"""


def filled(template: str) -> str:
    """The template with its words, in both languages where markup may stand, and both in one text where it may not."""
    for key, texts in TEXTS.table.items():
        template = template.replace(f"[{key}_alt]", " / ".join(texts)).replace(f"[{key}]", TEXTS.html(key))
    return template.replace("[waiting]", ui.empty_state(TEXTS, "empty"))


def build(page: Page) -> None:
    ui.raw(f'<p class="lunaris-hint">{TEXTS.html("intro")}</p>')
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            picture = gr.Image(
                label=TEXTS("picture"),
                type="filepath",
                image_mode="RGBA",
                format="png",
                sources=["upload", "clipboard"],
                buttons=[],
                height=220,
                elem_id="pixel-studio-picture",
            )
            with gr.Row():
                make = gr.Button(TEXTS("make"), variant="primary", min_width=150, elem_id="pixel-studio-make")
                redraw = gr.Button(TEXTS("redraw"), min_width=150, elem_id="pixel-studio-redraw")
            ui.raw(f'<p class="lunaris-hint">{TEXTS.html("redraw_hint")}</p>')
            with gr.Row():
                side = common.numbers(
                    gr.Dropdown([(f"{n} × {n}", n) for n in SIDES], value=32, label=TEXTS("side"), filterable=False, min_width=130)
                )
                fit = gr.Dropdown(
                    [(TEXTS(name), name) for name in FITS], value="contain", label=TEXTS("fit"), filterable=False, min_width=130
                )
            colours = gr.Slider(2, 64, 16, step=1, label=TEXTS("colour_count"), info=TEXTS("colour_count_info"))
            palette = common.palette_field("pixel-studio-palette")
            dither = gr.Radio([(TEXTS(name), name) for name in DITHERS], value="none", label=TEXTS("dither"))
            # apart from `colours`, for what a caller by name leaves out is what a field shows, and a redrawing is as drawn then
            redrawn = gr.Slider(0, 64, 0, step=2, label=TEXTS("redraw_colours"), info=TEXTS("redraw_colours_info"))
            scale = common.numbers(gr.Radio([(f"×{k}", k) for k in files.SCALES], value=files.SCALE, label=common.TEXTS("scale")))
        with gr.Column(scale=6, min_width=300):
            pair = ui.raw(None, html_template=filled(PAIR), css_template=STYLE, elem_id="pixel-studio-pair")
            with gr.Row(elem_classes="lunaris-summary"):
                report = ui.raw(None, html_template=filled(REPORT), elem_id="pixel-studio-report")
                png = gr.DownloadButton("PNG ×1", size="sm", min_width=92)
                large = gr.DownloadButton(f"PNG ×{files.SCALE}", size="sm", min_width=92)
                to_first = gr.Button(create.TEXTS("to_first"), size="sm", min_width=130)
            after = gr.Image(visible=False, type="filepath", format="png")
            with gr.Column(elem_classes="lunaris-card"), gr.Row(elem_classes="lunaris-bar"):
                columns, rows = (
                    gr.Number(3, precision=0, minimum=TIMES[0], maximum=TIMES[1], label=TEXTS(name), min_width=80)
                    for name in ("columns", "rows")
                )
                tile = gr.Button(TEXTS("tile"), size="sm", min_width=140, elem_id="pixel-studio-tile")
            ui.raw(f'<p class="lunaris-hint">{TEXTS.html("tile_hint")}</p>')
            tiling = ui.raw(None, html_template=filled(TILING), css_template=STYLE, elem_id="pixel-studio-tiling")
            target = gr.Image(visible=False, type="filepath", format="png")  # what is repeated: the result, else the picture
            tiled, seams = gr.Image(visible=False, type="filepath", format="png"), gr.JSON(visible=False)

    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    for run in (
        make.click(
            pixel_pixelise,
            [picture, side, palette, colours, dither, fit, scale],
            [after, large, report],
            api_name="pixel_pixelise",
            preprocess=False,
            show_progress_on=pair,
        ),
        redraw.click(
            pixel_reconstruct,
            [picture, scale, page.active, palette, redrawn, dither],
            [after, large, report],
            api_name="pixel_reconstruct",
            preprocess=False,
            show_progress_on=pair,
        ),
    ):
        run.success(None, [picture, after, scale], [pair, png, target, large, tiling], js=SHOWN, **quiet)
        run.success(None, js=show("#pixel-studio-pair"), api_visibility="private")
    tile.click(
        pixel_tile, [target, columns, rows], [tiled, seams], api_name="pixel_tile", preprocess=False, show_progress_on=tiling
    ).success(None, [tiled, seams], tiling, js="(image, seams) => ({ ...seams, src: image.url })", **quiet)
    # another picture: what was made of the last one is gone
    picture.change(None, picture, [pair, report, tiling, target], js="(picture) => [null, null, null, picture]", **quiet)
    page.takes["studio"] = Place(picture, ((page.tabs, "studio"),))
    page.sends.append((to_first, png, "morph:first"))
