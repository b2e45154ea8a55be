"""The Pixel Art tab: sprites from a prompt, morphs between two prompts or two pictures, and the model behind them (PX-17, PX-18, PX-22).

The same page is a tab of the hub and a Space of its own. Handlers keep no state: the model's name and the seed are arguments, so a
click, a REST call and an MCP tool with the same arguments give the same bytes. Torch and the model load on the first click.
"""

import base64
import html
import io
import json
import logging
import math
import os
import re
import time
import zipfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from lunaris.core import hub, models, ui
from lunaris.core.config import ConfigError
from lunaris.pixel import CHECKPOINT
from lunaris.pixel.request import MAX_PROMPT, PixelRequest

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("lunaris")

FAMILY = "pixel"
SCALE = 8  # the enlarged pictures people share
MORPH_STEPS = (2, 32)

# --- texts -----------------------------------------------------------------------------------------------------------------------

TEXTS = ui.Texts(
    FAMILY,
    {
        "create": ("Create", "Criar"),
        "morph": ("Morph", "Transformar"),
        "model": ("Model", "Modelo"),
        "prompt": ("What to draw", "O que desenhar"),
        "prompt_hint": ("a red potion", "uma poção vermelha"),
        "prompt_info": (
            "English or Portuguese. Leave it empty, and the model draws whatever comes to mind.",
            "Em português ou inglês. Deixe vazio, e o modelo desenha o que vier à cabeça.",
        ),
        "generate": ("Generate", "Gerar"),
        "stop": ("Stop", "Parar"),
        "examples": ("Try", "Experimente"),
        "anything": ("anything", "qualquer coisa"),
        "words": ("Words the model knows", "Palavras que o modelo conhece"),
        "words_hint": ("Click a word to add it to the prompt.", "Clique em uma palavra para adicioná-la à descrição."),
        "colours": ("Colours", "Cores"),
        "kinds": ("Things", "Coisas"),
        "sizes": ("Sizes", "Tamanhos"),
        "styles": ("Styles", "Estilos"),
        "count": ("Sprites", "Sprites"),
        "seed": ("Seed", "Semente (seed)"),
        "seed_info": ("The same seed gives the same pictures.", "A mesma semente dá as mesmas imagens."),
        "keep_seed": ("Keep seed", "Manter semente"),
        "dice": ("New seed", "Nova semente"),
        "tuning": ("Fine-tuning", "Ajuste fino"),
        "temperature": ("Variety", "Variedade"),
        "temperature_info": (
            "Temperature of the random latents: 0 is the average sprite, 1 as trained.",
            "Temperatura dos latentes aleatórios: 0 é o sprite médio, 1 é como no treino.",
        ),
        "guidance": ("Prompt strength", "Força da descrição"),
        "guidance_info": (
            "Guidance: 0 ignores the prompt, 1 follows it as trained, more exaggerates.",
            "Guidance: 0 ignora a descrição, 1 segue como no treino, mais exagera.",
        ),
        "sprites": ("Sprites", "Sprites"),
        "empty": ("Your sprites appear here", "Seus sprites aparecem aqui"),
        "empty_hint": ("Say what to draw, and press Generate.", "Diga o que desenhar e clique em Gerar."),
        "selected": ("Selected sprite", "Sprite escolhido"),
        "png1": ("PNG ×1", "PNG ×1"),
        "png8": ("PNG ×8", "PNG ×8"),
        "sheet": ("Sheet", "Folha"),
        "zip": ("All (ZIP)", "Tudo (ZIP)"),
        "to_first": ("Start of a morph", "Início da transformação"),
        "to_last": ("End of a morph", "Fim da transformação"),
        "morph_intro": (
            "A walk through the model's latent space, from one sprite to another. Same seed, same walk.",
            "Um passeio pelo espaço latente do modelo, de um sprite a outro. Mesma semente, mesmo passeio.",
        ),
        "two_prompts": ("Two prompts", "Duas descrições"),
        "two_pictures": ("Two pictures", "Duas imagens"),
        "from": ("From", "De"),
        "to": ("To", "Para"),
        "from_hint": ("a red potion", "uma poção vermelha"),
        "to_hint": ("a blue potion", "uma poção azul"),
        "pictures_info": (
            "Upload two pictures, or pick sprites under Create. They are fitted to the model's size.",
            "Envie duas imagens, ou escolha sprites em Criar. Elas são ajustadas ao tamanho do modelo.",
        ),
        "morph_empty": ("Your morph appears here", "Sua transformação aparece aqui"),
        "morph_empty_hint": ("Say from what to what, and press Morph.", "Diga de quê para quê e clique em Transformar."),
        "picture_from": ("Start", "Início"),
        "picture_to": ("End", "Fim"),
        "steps": ("Steps", "Passos"),
        "animation": ("Animation", "Animação"),
        "frames": ("Frames", "Quadros"),
        "gif": ("GIF ×8", "GIF ×8"),
        "strip": ("Frames (PNG)", "Quadros (PNG)"),
        "picker": ("Checkpoint", "Checkpoint"),
        "picker_info": (
            "A checkpoint that ships with Lunaris, or owner/name@revision on the Hugging Face Hub.",
            "Um checkpoint que vem com o Lunaris, ou dono/nome@revisão no Hugging Face Hub.",
        ),
        "picker_info_local": (
            "A checkpoint that ships with Lunaris, owner/name@revision on the Hugging Face Hub, or a folder on this computer.",
            "Um checkpoint que vem com o Lunaris, dono/nome@revisão no Hugging Face Hub, ou uma pasta neste computador.",
        ),
        "load": ("Load", "Carregar"),
        "in_use": ("In use", "Em uso"),
        "about": ("About this model", "Sobre este modelo"),
        "card": ("Model card", "Cartão do modelo"),
        "no_card": ("This checkpoint has no card.", "Este checkpoint não tem cartão."),
        "later": ("Press Load to fetch this checkpoint.", "Clique em Carregar para buscar este checkpoint."),
        "picture_size": ("Picture size", "Tamanho da imagem"),
        "parameters": ("Parameters", "Parâmetros"),
        "latent": ("Latent numbers", "Números latentes"),
        "text": ("Reads prompts", "Lê descrições"),
        "yes": ("yes", "sim"),
        "no": ("no", "não"),
        "colours_used": ("Colours", "Cores"),
        "slot": ("palette of {palette}, at most {slots} a sprite", "paleta de {palette}, no máximo {slots} por sprite"),
        "palette": ("palette of {palette}", "paleta de {palette}"),
        "mse": ("any", "livres"),
        "weights": ("Weights", "Pesos"),
        "limits": ("What it cannot do", "O que ele não faz"),
        "limit_size": (
            "Pictures are {side}×{side} pixels: there is no room for fine detail, faces or text.",
            "As imagens têm {side}×{side} pixels: não há espaço para detalhes finos, rostos ou texto.",
        ),
        "limit_words": (
            "It knows the words it was trained on. Others steer little or nothing, and the result says which.",
            "Ele conhece as palavras do treino. As outras guiam pouco ou nada, e o resultado diz quais.",
        ),
        "limit_mix": (
            "Short prompts work best: one thing, one colour. It does not count, and it does not place things.",
            "Descrições curtas funcionam melhor: uma coisa, uma cor. Ele não conta nem posiciona coisas.",
        ),
        "limit_train": (
            "It runs on any CPU. Training your own small one takes minutes there; larger ones want a GPU.",
            "Roda em qualquer CPU. Treinar um pequeno leva minutos nela; os maiores pedem uma GPU.",
        ),
        "report_frames": ("frames", "quadros"),
        "report_unknown": (
            "Words this model does not know, so of little effect:",
            "Palavras que este modelo não conhece, com pouco efeito:",
        ),
        "folder_refused": (
            "this server loads no folders: give the name of a bundled checkpoint ({names}) or owner/name[@revision]",
            "este servidor não carrega pastas: dê o nome de um checkpoint incluído ({names}) ou dono/nome[@revisão]",
        ),
        "duplicate": ("Duplicate this Space", "Duplicar este Space"),
        "loaded": ("{ref} is in use.", "{ref} está em uso."),
    },
)

EXAMPLES = {
    "en": (
        "a red potion",
        "a small green slime",
        "a blue sword",
        "a pink heart, outlined",
        "a purple ghost",
        "an orange cat",
    ),
    "pt-BR": (
        "uma poção vermelha",
        "um slime verde pequeno",
        "uma espada azul",
        "um coração rosa contornado",
        "um fantasma roxo",
        "um gato laranja",
    ),
}

# --- models ----------------------------------------------------------------------------------------------------------------------


def default_ref() -> str:
    """What the tab opens with: LUNARIS_MODEL (a Space's variable), else the bundled checkpoint."""
    return os.environ.get("LUNARIS_MODEL", "").strip() or CHECKPOINT


def bundled_refs() -> list[str]:
    """The names of the bundled checkpoints of this family."""
    return [name for name, folder in hub.bundled().items() if hub.load_config(folder).get("family") == FAMILY]


def model_for(ref: Any, request: gr.Request | None, *, refresh: bool = False) -> models.Loaded:
    """The model behind a visitor's `ref` ("" = the default), from memory when it is there. Only who may name folders can load one."""
    if not isinstance(ref, str):
        raise ConfigError(f"model must be a text, got {str(ref)[:40]!r}; try '{CHECKPOINT}'")
    ref = ref.strip() or default_ref()
    folders = ref == default_ref() or ui.serves_only_this_machine(request)
    if not folders and ref.startswith(("/", ".", "~")):
        raise ConfigError(TEXTS.say("folder_refused", ui.language_of(request), names=", ".join(bundled_refs())))
    return models.shared().get(FAMILY, ref, _load, folders=folders, refresh=refresh)


def _load(folder: Path) -> Any:
    from lunaris.pixel import load

    return load(folder)


def warm() -> None:
    """Load the default model, so that the first visitor's click is as fast as the second's."""
    from lunaris.pixel import generate

    generate(model_for("", None).model, n=1)


# --- what visitors may ask for: the handlers of tab, REST and MCP -----------------------------------------------------------------


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
    loaded = model_for(model, request)
    started = time.perf_counter()
    images = generate_request(loaded.model, order)
    seconds = time.perf_counter() - started
    names = [f"{ui.slug(order.prompt)}-{order.seed + i}.png" for i in range(order.n)]
    files = dict(zip(names, map(png_bytes, images), strict=True))
    pictures = [(ui.keep(name, data), f"{i + 1} · {order.seed + i}") for i, (name, data) in enumerate(files.items())]
    stem = f"{ui.slug(order.prompt)}-{order.seed}"
    sheet = png_bytes(grid(images))
    report = {**order.to_dict(), "seconds": round(seconds, 3), **origin(loaded, model)}
    if order.prompt.strip():
        report["unknown_words"] = unknown_words(loaded.model, order.prompt)
    return pictures, ui.keep(f"{stem}-sheet.png", sheet), ui.keep(f"{stem}.zip", archive(files, images, sheet)), report


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
    loaded, steps = model_for(model, request), checked_steps(steps)
    started = time.perf_counter()
    order = {"steps": steps, "seed": ends[0].seed, "temperature": ends[0].temperature, "guidance": ends[0].guidance}
    images = interpolate_prompts(loaded.model, ends[0].prompt, ends[1].prompt, **order)
    report = {"first": ends[0].prompt, "last": ends[1].prompt, **order, "seconds": round(time.perf_counter() - started, 3)}
    return morph_files(images, f"{ui.slug(first)}-to-{ui.slug(last)}-{ends[0].seed}", {**report, **origin(loaded, model)})


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

    pictures = [picture(value, name) for value, name in ((first, "first"), (last, "last"))]
    loaded, steps = model_for(model, request), checked_steps(steps)
    started = time.perf_counter()
    images = interpolate(loaded.model, *pictures, steps=steps)
    report = {"steps": steps, "seconds": round(time.perf_counter() - started, 3), **origin(loaded, model)}
    return morph_files(images, "morph", report)


@ui.friendly
def pixel_load(model: str = "", request: gr.Request | None = None, progress: gr.Progress = gr.Progress(track_tqdm=True)) -> dict:  # noqa: B008
    """Load a checkpoint and describe it. A checkpoint on the Hub is looked up again, so a new version of it is found.

    Args:
        model: A bundled checkpoint such as "pixel-16", or owner/name[@revision] on the Hugging Face Hub; empty is the default.

    Returns:
        The checkpoint's name, size, text and colour abilities, weights hash, and its model card.
    """
    loaded = model_for(model, request, refresh=True)
    return describe(model.strip() or default_ref(), loaded.folder)


def checked_steps(steps: Any) -> int:
    low, high = MORPH_STEPS
    steps = ui.whole(steps)
    if isinstance(steps, bool) or not isinstance(steps, int) or not low <= steps <= high:
        raise ConfigError(f"steps must be a whole number from {low} to {high}, got {str(steps)[:40]}; try 10")
    return steps


def picture(value: Any, name: str) -> "np.ndarray":
    """An uploaded picture as RGBA. Gradio has checked by now that the file is one that was uploaded."""
    path = value.get("path") if isinstance(value, Mapping) else value
    if not isinstance(path, str) or not path:
        raise ConfigError(f"{name} must be a picture, got none; upload a PNG, GIF, WebP or JPEG file")
    from lunaris.core.images import read_image

    return read_image(path)


def origin(loaded: models.Loaded, ref: str) -> dict[str, Any]:
    """What the pictures came from, so that they can be made again."""
    return {"model": ref.strip() or default_ref(), "weights": loaded.weights, "side": loaded.model.config.side}


# --- files -----------------------------------------------------------------------------------------------------------------------


def archive(files: Mapping[str, bytes], images: "np.ndarray", sheet: bytes) -> bytes:
    """A ZIP of every sprite at x1 and at x8, and the sheet. Equal sprites give equal bytes."""
    from lunaris.core.images import png_bytes, upscale

    large = {f"x{SCALE}/{name}": png_bytes(upscale(image, SCALE)) for name, image in zip(files, images, strict=True)}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:  # PNG is compressed already
        for name, data in {**{f"x1/{name}": data for name, data in files.items()}, **large, "sheet.png": sheet}.items():
            bundle.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


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


# --- about the model -------------------------------------------------------------------------------------------------------------


def describe(ref: str, folder: Path) -> dict[str, Any]:
    """What there is to say about a checkpoint, from its own files; no weight is read."""
    config = hub.load_config(folder).get("model", {})
    return {
        "model": ref,
        "side": config.get("input_shape", [16])[0],
        "parameters": count_parameters(folder / "model.safetensors"),
        "latent_dim": config.get("latent_dim"),
        "use_text": bool(config.get("use_text")),
        "head": config.get("head", "mse"),
        "palette_size": config.get("palette_size"),
        "slots": config.get("slots"),
        "weights": hub.weight_hash(folder),
        "card": (folder / "README.md").read_text(encoding="utf-8") if (folder / "README.md").is_file() else "",
    }


def count_parameters(weights: Path) -> int:
    """How many numbers a safetensors file holds, by its header."""
    with weights.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def about_html(about: Mapping[str, Any]) -> str:
    """`describe` as a table and the limits (PX-22), in both languages."""
    side = int(about["side"])
    colours = TEXTS.html(about["head"], palette=about["palette_size"], slots=about["slots"])
    rows = (
        ("in_use", f"<code>{html.escape(about['model'])}</code>"),
        ("picture_size", f"{side}×{side}"),
        ("parameters", f"{about['parameters']:,}".replace(",", "\u202f")),
        ("latent", html.escape(str(about["latent_dim"]))),
        ("text", TEXTS.html("yes" if about["use_text"] else "no")),
        ("colours_used", colours),
        ("weights", f"<code>{html.escape(about['weights'])}</code>"),
    )
    facts = "".join(f"<div><dt>{TEXTS.html(name)}</dt><dd>{value}</dd></div>" for name, value in rows)
    limits = "".join(f"<li>{TEXTS.html(f'limit_{name}', side=side)}</li>" for name in ("size", "words", "mix", "train"))
    title = f'<h3 class="lunaris-title">{TEXTS.html("limits")}</h3>'
    return f'<dl class="lunaris-facts">{facts}</dl>{title}<ul class="lunaris-limits">{limits}</ul>'


def card_markdown(card: str) -> str:
    """A card's text for the page: without front matter, and without pictures, which the visitor's browser would fetch from elsewhere."""
    body = re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL)
    body = re.sub(r"!\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])", r"\1", body)  # ![alt](address) and ![alt][name]
    return re.sub(r"<[^>]*>", "", body).strip()


# --- the page --------------------------------------------------------------------------------------------------------------------

NEW_SEED = "() => Math.floor(Math.random() * 1e6)"
SEED_FOR_THIS_RUN = "(seed, keep) => keep ? seed : Math.floor(Math.random() * 1e6)"


def show(selector: str) -> str:
    """JavaScript that scrolls a result into sight where it is not."""
    return f"() => {{ window.lunaris?.show('{selector}'); }}"


# What a result says about itself. A template that the browser fills in, so that REST and MCP get the plain values.
REPORT = """${!value ? "" : `<p class="lunaris-report" role="status">
  <b>${value.n ? `${value.n} sprite${value.n > 1 ? "s" : ""}` : `${value.steps} [frames]`}</b>
  ${"seed" in value ? `<span>seed <b>${value.seed}</b></span>` : ""}
  <span>${value.seconds.toFixed(2)} s</span><span>${value.side}×${value.side}</span>
  <span>${value.model.replace(/[^\\w@/.-]/g, "")} <code>${value.weights.slice(0, 8)}</code></span>
</p>${(value.unknown_words || []).length ? `<p class="lunaris-hint">[unknown] <b>${value.unknown_words.join(", ")}</b></p>` : ""}`}"""


def report_component(elem_id: str) -> gr.HTML:
    template = REPORT
    for key in ("frames", "unknown"):
        template = template.replace(f"[{key}]", TEXTS.html(f"report_{key}"))
    return ui.raw(html_template=template, elem_id=elem_id)


def chip(text: str, label: str = "", fill: str = "#pixel-prompt", **data: str) -> str:
    """A button that puts `text` into a field; page.js reads the data attributes."""
    attributes = "".join(f' data-{key}="{html.escape(value)}"' for key, value in {"fill": fill, "text": text, **data}.items())
    return f'<button type="button" class="lunaris-chip"{attributes}>{html.escape(label or text)}</button>'


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


def empty_state(key: str) -> str:
    """What stands where a result will be."""
    return f'<div class="lunaris-empty">{ui.moon()}<b>{TEXTS.html(key)}</b><span>{TEXTS.html(f"{key}_hint")}</span></div>'


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


def build_demo() -> gr.Blocks:
    """The tab, and the page of the Space. Cheap: no model is loaded and nothing is fetched."""
    ref = default_ref()
    with gr.Blocks(title="Lunaris · Pixel Art", analytics_enabled=False, delete_cache=(3600, 7200)) as demo:
        active = gr.Textbox(ref, visible=False, label="model")  # the checkpoint in use, an argument of every call
        with gr.Tabs(elem_id="pixel-tabs") as tabs:
            with gr.Tab(TEXTS("create"), id="create"):
                created = create_tab(active)
            with gr.Tab(TEXTS("morph"), id="morph"):
                morphed = morph_tab(active)
            with gr.Tab(TEXTS("model"), id="model"):
                model_tab(active, ref)
        for button, target in ((created["to_first"], morphed["first"]), (created["to_last"], morphed["last"])):
            button.click(send_to_morph, created["png"], [target, tabs, morphed["tabs"]], api_visibility="private")
        if os.environ.get("SPACE_ID"):
            gr.DuplicateButton(TEXTS("duplicate"))
    return demo


def picture_grid(label: Any, elem_id: str) -> gr.Gallery:
    """Small pictures side by side, pixels as squares, transparency as a checkerboard (static/page.css)."""
    return gr.Gallery(
        label=label,
        show_label=False,
        columns=8,
        height="auto",
        object_fit="contain",
        allow_preview=False,
        interactive=False,
        format="png",
        buttons=[],
        elem_id=elem_id,
        elem_classes=["lunaris-grid", "lunaris-pixels"],
    )


FIELDS = {field.name: field for field in fields(PixelRequest)}


def order_slider(name: str, label: Any, *, step: float, info: Any = None) -> gr.Slider:
    """A slider with the range and the default of that field of `PixelRequest`."""
    field = FIELDS[name]
    return gr.Slider(field.metadata["ge"], field.metadata["le"], field.default, step=step, label=label, info=info)


def seed_field(info: Any = None) -> gr.Number:
    return gr.Number(0, precision=0, minimum=0, maximum=FIELDS["seed"].metadata["le"], label=TEXTS("seed"), info=info, min_width=120)


def tuning_fields() -> tuple[gr.Slider, gr.Slider]:
    """Temperature and guidance, folded away."""
    with gr.Accordion(TEXTS("tuning"), open=False):
        return (
            order_slider("temperature", TEXTS("temperature"), step=0.05, info=TEXTS("temperature_info")),
            order_slider("guidance", TEXTS("guidance"), step=0.1, info=TEXTS("guidance_info")),
        )


def create_tab(active: gr.Textbox) -> dict[str, gr.Component]:
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
                report = report_component("pixel-report")
                sheet = gr.DownloadButton(TEXTS("sheet"), size="sm", scale=0, min_width=90)
                bundle = gr.DownloadButton(TEXTS("zip"), size="sm", scale=0, min_width=110)
            gallery = picture_grid(TEXTS("sprites"), "pixel-grid")
            waiting = ui.raw(empty_state("empty"), elem_classes="lunaris-waiting")
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
            n = order_slider("n", TEXTS("count"), step=1)
            with gr.Column(elem_classes="lunaris-card"):
                with gr.Row(elem_classes="lunaris-bar"):
                    seed = seed_field(info=TEXTS("seed_info"))
                    dice = gr.Button(TEXTS("dice"), size="sm", min_width=120)
                keep_seed = gr.Checkbox(label=TEXTS("keep_seed"), container=False)
            temperature, guidance = tuning_fields()

    dice.click(None, None, seed, js=NEW_SEED, api_visibility="private")
    run = gr.on(
        [go.click, prompt.submit], None, [seed, keep_seed], seed, js=SEED_FOR_THIS_RUN, api_visibility="private", show_progress="hidden"
    ).then(
        pixel_generate,
        [prompt, n, seed, temperature, guidance, active],
        [gallery, sheet, bundle, report],
        api_name="pixel_generate",
        preprocess=False,  # PixelRequest checks the values as they come, with the same sentences on every way in
        show_progress_on=[gallery, waiting],
    )
    run.success(None, js=show("#pixel-summary"), api_visibility="private")
    run.success(pick_first, gallery, [selected, png, png8], preprocess=False, show_progress="hidden", api_visibility="private")
    gallery.select(pick, gallery, [selected, png, png8], preprocess=False, show_progress="hidden", api_visibility="private")
    stop.click(None, cancels=[run], api_visibility="private")
    return {"png": png, "to_first": to_first, "to_last": to_last}


@ui.friendly
def gif_file(shown: dict) -> str:
    """The very file that is shown; as a picture, Gradio would write its first frame anew."""
    return shown["path"]


@ui.friendly
def send_to_morph(path: str | None) -> tuple[Any, Any, Any]:
    """The selected sprite as one end of a morph between two pictures, and the way there."""
    return path, gr.Tabs(selected="morph"), gr.Tabs(selected="pictures")


def morph_tab(active: gr.Textbox) -> dict[str, Any]:
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
                        seed = seed_field()
                        dice = gr.Button(TEXTS("dice"), size="sm", min_width=120)
                    temperature, guidance = tuning_fields()
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
            report = report_component("pixel-morph-report")
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
            frames = picture_grid(TEXTS("frames"), "pixel-frames")
            waiting = ui.raw(empty_state("morph_empty"), elem_classes="lunaris-waiting")
            with gr.Row():
                gif = gr.DownloadButton(TEXTS("gif"), size="md", min_width=120)
                strip = gr.DownloadButton(TEXTS("strip"), size="md", min_width=120)

    dice.click(None, None, seed, js=NEW_SEED, api_visibility="private")
    outputs, common = [animation, frames, strip, report], {"preprocess": False, "show_progress_on": [animation, waiting]}
    runs = (
        gr.on(
            [go_prompts.click, first.submit, last.submit],
            pixel_interpolate_prompts,
            [first, last, steps, seed, temperature, guidance, active],
            outputs,
            api_name="pixel_interpolate_prompts",
            **common,
        ),
        go_pictures.click(pixel_interpolate, [*pictures, steps, active], outputs, api_name="pixel_interpolate", **common),
    )
    for run in runs:
        run.success(None, js=show("#pixel-morph-report"), api_visibility="private")
        run.success(gif_file, animation, gif, preprocess=False, api_visibility="private", show_progress="hidden")
    return {"first": pictures[0], "last": pictures[1], "tabs": tabs}


def model_tab(active: gr.Textbox, ref: str) -> None:
    known = describe_without_network(ref)
    with gr.Row(elem_id="pixel-model", elem_classes="lunaris-bar"):
        picker = gr.Textbox(
            ref,
            label=TEXTS("picker"),
            info=TEXTS("picker_info_local" if ui.serves_only_this_machine(None) else "picker_info"),
            max_lines=1,
            max_length=200,
            elem_id="pixel-picker",
            scale=5,
        )
        load = gr.Button(TEXTS("load"), variant="primary", scale=1, min_width=120, elem_id="pixel-load")
    names = list(dict.fromkeys([ref, *bundled_refs()]))
    ui.raw(f'<div class="lunaris-chips">{"".join(chip(name, fill="#pixel-picker", press="#pixel-load") for name in names)}</div>')
    described = gr.JSON(known, visible=False)
    about = ui.raw(about_html(known) if known else f'<p class="lunaris-hint">{TEXTS.html("later")}</p>', elem_id="pixel-about")
    with gr.Accordion(TEXTS("card"), open=False):
        card = gr.Markdown(card_markdown(known["card"]) if known else "", elem_id="pixel-card", elem_classes="lunaris-prose")

    loading = gr.on(
        [load.click, picker.submit],
        pixel_load,
        picker,
        described,
        api_name="pixel_load",
        preprocess=False,
        concurrency_limit=1,  # downloads one at a time
        show_progress_on=about,
    )  # a failure ends here, and the model in use stays
    loading.success(show_model, described, [active, about, card], api_visibility="private", show_progress="hidden")


def describe_without_network(ref: str) -> dict[str, Any] | None:
    """`describe` for a checkpoint that lies on this computer; None for one that must be fetched or cannot be read."""
    if ref not in bundled_refs() and not Path(ref).is_dir():
        return None
    try:
        about = describe(ref, hub.resolve(ref))
        about_html(about)
        return about
    except (ValueError, OSError, LookupError, TypeError) as error:
        log.warning("%s cannot be described: %s", ref, error)
        return None


@ui.friendly
def show_model(about: dict, request: gr.Request) -> tuple[str, str, str]:
    gr.Info(TEXTS.say("loaded", ui.language_of(request), ref=about["model"]), duration=4)
    return about["model"], about_html(about), card_markdown(about["card"])
