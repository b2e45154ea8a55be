"""Model: which checkpoint is in use, what it can and cannot do, and how to load another one."""

import html
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from lunaris.core import hub, ui
from lunaris.core.card import for_page
from lunaris.core.checkpoint import count_parameters
from lunaris.moc.demo import common
from lunaris.moc.demo.common import Page, bundled_refs, chip, default_ref, folder_of, model_for
from lunaris.moc.demo.texts import TEXTS

log = logging.getLogger("lunaris")


@ui.friendly
def moc_load(model: str = "", request: gr.Request | None = None, progress: gr.Progress = gr.Progress(track_tqdm=True)) -> dict:  # noqa: B008
    """Load a checkpoint and describe it. A checkpoint on the Hub is looked up again, so a new version of it is found.

    Args:
        model: A bundled checkpoint such as "moc-pt", or owner/name[@revision] on the Hugging Face Hub; empty is the default.

    Returns:
        The checkpoint's name, parameters, layers, experts, how many of them are chosen, window, weights hash, and its model card.
    """
    loaded = model_for(model, request, refresh=True)
    return describe(model.strip() or default_ref(), loaded.folder)


def describe(ref: str, folder: Path) -> dict[str, Any]:
    """What there is to say about a checkpoint, from its own files; no weight is read."""
    config = common.settings_in(folder)
    total = count_parameters(folder / "model.safetensors")
    idle = 0 if config.ffn in ("dense", "soft_all") else config.n_experts - config.top_k
    return {
        "model": ref,
        "parameters": total,
        "active": total - config.n_layers * idle * 3 * config.d_model * config.hidden,
        "layers": config.n_layers,
        "ffn": config.ffn,
        "experts": 0 if config.ffn == "dense" else config.n_experts,
        "chosen": 0 if config.ffn == "dense" else config.n_experts if config.ffn == "soft_all" else config.top_k,
        "meeting": config.ffn == "moc" and config.meeting,
        "peers": bool(config.peers),
        "vocabulary": config.vocab_size,
        "window": config.max_seq_len,
        "weights": hub.weight_hash(folder),
        "card": (folder / "README.md").read_text(encoding="utf-8") if (folder / "README.md").is_file() else "",
    }


def about_html(about: Mapping[str, Any]) -> str:
    """`describe` as a table and the limits, in both languages."""

    def number(value: int) -> str:
        return f"{value:,}".replace(",", "\u202f")

    council = TEXTS.html("council_of", k=about["chosen"], n=about["experts"]) if about["experts"] else TEXTS.html("no_council")
    rows = (
        ("in_use", f"<code>{html.escape(about['model'])}</code>"),
        ("parameters", number(about["parameters"])),
        ("active", number(about["active"])),
        ("layers", number(about["layers"])),
        ("experts", council),
        ("meets", TEXTS.html("yes" if about["meeting"] else "no")),
        ("confers", TEXTS.html("yes" if about["peers"] else "no")),
        ("vocabulary", number(about["vocabulary"])),
        ("window", TEXTS.html("window_of", n=about["window"])),
        ("weights", f"<code>{html.escape(about['weights'])}</code>"),
    )
    facts = "".join(f"<div><dt>{TEXTS.html(name)}</dt><dd>{value}</dd></div>" for name, value in rows)
    told = ("truth", "style", "window", *(("cost",) if about["meeting"] else ()))
    limits = "".join(f"<li>{TEXTS.html(f'limit_{name}', window=about['window'])}</li>" for name in told)
    title = f'<h3 class="lunaris-title">{TEXTS.html("limits")}</h3>'
    return f'<dl class="lunaris-facts">{facts}</dl>{title}<ul class="lunaris-limits">{limits}</ul>'


# --- the view --------------------------------------------------------------------------------------------------------------------


def build(page: Page) -> None:
    ref = default_ref()
    known = describe_without_network(ref)
    with gr.Row(elem_id="moc-model", elem_classes="lunaris-bar"):
        picker = gr.Textbox(
            ref,
            label=TEXTS("picker"),
            info=TEXTS("picker_info_local" if ui.serves_only_this_machine(None) else "picker_info"),
            max_lines=1,
            max_length=200,
            elem_id="moc-picker",
            scale=5,
        )
        load = gr.Button(TEXTS("load_it"), variant="primary", scale=1, min_width=120, elem_id="moc-load")
    names = list(dict.fromkeys([ref, *bundled_refs()]))
    ui.raw(f'<div class="lunaris-chips">{"".join(chip(name, fill="#moc-picker", press="#moc-load") for name in names)}</div>')
    described = gr.JSON(known, visible=False, label="checkpoint")
    about_now, card_now = in_words(known)
    about = ui.raw(about_now, elem_id="moc-about")
    with gr.Accordion(TEXTS("card"), open=False):
        card = gr.Markdown(card_now, elem_id="moc-card", elem_classes="lunaris-prose")

    loading = gr.on(
        [load.click, picker.submit],
        moc_load,
        picker,
        described,
        api_name="moc_load",
        preprocess=False,
        concurrency_limit=1,  # downloads one at a time
        show_progress_on=about,
    )  # a failure ends here, and the model in use stays
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    loading.success(show_model, described, [page.active, about, card], **quiet)
    page.active.change(show_known, page.active, [about, card], **quiet)  # a link may bring another model into use


def describe_without_network(ref: str, request: gr.Request | None = None) -> dict[str, Any] | None:
    """`describe` for a checkpoint that lies on this computer; None for one that must be fetched or cannot be read."""
    try:
        folder = folder_of(ref, request)
        return describe(ref, folder) if folder else None
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
