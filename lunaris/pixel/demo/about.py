"""Model: which checkpoint is in use, what it can and cannot do, and how to load another one (PX-22)."""

import html
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from lunaris.core import hub, ui
from lunaris.core.card import for_page
from lunaris.core.checkpoint import count_parameters
from lunaris.pixel.demo.common import Page, bundled_refs, chip, default_ref, folder_of, model_for
from lunaris.pixel.demo.texts import TEXTS

log = logging.getLogger("lunaris")


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
        "sampler": config.get("sampler", "normal"),
        "palette_size": config.get("palette_size"),
        "slots": config.get("slots"),
        "weights": hub.weight_hash(folder),
        "card": (folder / "README.md").read_text(encoding="utf-8") if (folder / "README.md").is_file() else "",
    }


def about_html(about: Mapping[str, Any]) -> str:
    """`describe` as a table and the limits (PX-22), in both languages."""
    side = int(about["side"])
    colours = TEXTS.html(f"{about['head']}_head", palette=about["palette_size"], slots=about["slots"])
    rows = (
        ("in_use", f"<code>{html.escape(about['model'])}</code>"),
        ("picture_size", f"{side}×{side}"),
        ("parameters", f"{about['parameters']:,}".replace(",", "\u202f")),
        ("latent", html.escape(str(about["latent_dim"]))),
        ("text", TEXTS.html("yes" if about["use_text"] else "no")),
        ("mode", ", ".join(TEXTS.html(mode) for mode in ("instant", "quality") if mode == "instant" or about["sampler"] == "flow")),
        ("colours_used", colours),
        ("weights", f"<code>{html.escape(about['weights'])}</code>"),
    )
    facts = "".join(f"<div><dt>{TEXTS.html(name)}</dt><dd>{value}</dd></div>" for name, value in rows)
    limits = "".join(f"<li>{TEXTS.html(f'limit_{name}', side=side)}</li>" for name in ("size", "words", "mix", "train"))
    title = f'<h3 class="lunaris-title">{TEXTS.html("limits")}</h3>'
    return f'<dl class="lunaris-facts">{facts}</dl>{title}<ul class="lunaris-limits">{limits}</ul>'


# --- the view --------------------------------------------------------------------------------------------------------------------


def build(page: Page) -> None:
    ref = default_ref()
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
    about_now, card_now = in_words(known)
    about = ui.raw(about_now, elem_id="pixel-about")
    with gr.Accordion(TEXTS("card"), open=False):
        card = gr.Markdown(card_now, elem_id="pixel-card", elem_classes="lunaris-prose")

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
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    loading.success(show_model, described, [page.active, about, card], **quiet)
    page.active.change(show_known, page.active, [about, card], **quiet)  # other views may bring another model into use


def describe_without_network(ref: str, request: gr.Request | None = None) -> dict[str, Any] | None:
    """`describe` for a checkpoint that lies on this computer; None for one that must be fetched or cannot be read."""
    try:
        folder = folder_of(ref, request)
        about = describe(ref, folder) if folder else None
        return about if about and about_html(about) else None
    except (ValueError, OSError, LookupError, TypeError) as error:
        log.warning("%s cannot be described: %s", ref, error)
        return None


@ui.friendly
def show_model(about: dict, request: gr.Request) -> tuple[str, str, str]:
    gr.Info(TEXTS.say("loaded", ui.language_of(request), ref=about["model"]), duration=4)
    return about["model"], *in_words(about)


@ui.friendly
def show_known(ref: str, request: gr.Request) -> tuple[str, str]:
    return in_words(describe_without_network(ref, request))


def in_words(about: dict[str, Any] | None) -> tuple[str, str]:
    """A description and the card for the page; without one, how to get it."""
    if about is None:
        return f'<p class="lunaris-hint">{TEXTS.html("later")}</p>', ""
    return about_html(about), for_page(about["card"])
