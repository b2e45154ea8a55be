"""Model: which checkpoint is in use, what it can and cannot do, and how to load another one."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from lunaris.core import model_view, ui
from lunaris.core.model_view import number, yes_or_no
from lunaris.moc.demo import common
from lunaris.moc.demo.common import CHECKPOINTS, Page, default_ref, model_for
from lunaris.moc.demo.texts import TEXTS


@ui.friendly
def moc_load(model: str = "", request: gr.Request | None = None, progress: gr.Progress = gr.Progress(track_tqdm=True)) -> dict:  # noqa: B008
    """Load a checkpoint and describe it. A checkpoint on the Hub is looked up again, so a new version of it is found.

    Args:
        model: A bundled checkpoint such as "moc-pt", or owner/name[@revision] on the Hugging Face Hub; empty is the default.

    Returns:
        The checkpoint's name, parameters, layers, experts, how many of them are chosen, window, weights hash, and its model card.
    """
    loaded = model_for(model, request, refresh=True)
    return VIEW.describe(model.strip() or default_ref(), loaded.folder)


def details(folder: Path, parameters: int) -> dict[str, Any]:
    """What its config.json says of its council and its window."""
    config = common.settings_in(folder)
    idle = 0 if config.ffn in ("dense", "soft_all") else config.n_experts - config.top_k
    expert = config.hidden * (3 * config.d_model + (config.summary_rank if config.refine else 0))  # as in parameter_counts
    return {
        "active": parameters - config.n_layers * idle * expert,
        "layers": config.n_layers,
        "ffn": config.ffn,
        "experts": 0 if config.ffn == "dense" else config.n_experts,
        "chosen": 0 if config.ffn == "dense" else config.n_experts if config.ffn == "soft_all" else config.top_k,
        "meeting": config.ffn == "moc" and config.meeting,
        "peers": bool(config.peers),
        "vocabulary": config.vocab_size,
        "window": config.max_seq_len,
    }


def rows(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield TEXTS.html("active"), number(about["active"])
    yield TEXTS.html("layers"), number(about["layers"])
    council = TEXTS.html("council_of", k=about["chosen"], n=about["experts"]) if about["experts"] else TEXTS.html("no_council")
    yield TEXTS.html("experts"), council
    yield TEXTS.html("meets"), yes_or_no(about["meeting"])
    yield TEXTS.html("confers"), yes_or_no(about["peers"])
    yield TEXTS.html("vocabulary"), number(about["vocabulary"])
    yield TEXTS.html("window"), TEXTS.html("window_of", n=about["window"])


def limits(about: Mapping[str, Any]) -> list[str]:
    told = ("truth", "style", "window", *(("cost",) if about["meeting"] else ()))
    return [TEXTS.html(f"limit_{name}", window=about["window"]) for name in told]


VIEW = model_view.ModelView(CHECKPOINTS, details, rows, limits)


def build(page: Page) -> None:
    VIEW.build(page.active, moc_load)
