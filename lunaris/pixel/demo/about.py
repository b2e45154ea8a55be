"""Model: which checkpoint is in use, what it can and cannot do, and how to load another one (PX-22)."""

import html
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from lunaris.core import hub, model_view, ui
from lunaris.pixel.demo.common import CHECKPOINTS, Page, default_ref, model_for
from lunaris.pixel.demo.texts import TEXTS


@ui.friendly
def pixel_load(model: str = "", request: gr.Request | None = None, progress: gr.Progress = gr.Progress(track_tqdm=True)) -> dict:  # noqa: B008
    """Load a checkpoint and describe it. A checkpoint on the Hub is looked up again, so a new version of it is found.

    Args:
        model: A bundled checkpoint such as "pixel-16", or owner/name[@revision] on the Hugging Face Hub; empty is the default.

    Returns:
        The checkpoint's name, size, text and colour abilities, weights hash, and its model card.
    """
    loaded = model_for(model, request, refresh=True)
    return VIEW.describe(model.strip() or default_ref(), loaded.folder)


def details(folder: Path, parameters: int) -> dict[str, Any]:
    """What its config.json says of the pictures."""
    config = hub.load_config(folder).get("model", {})
    return {
        "side": config.get("input_shape", [16])[0],
        "latent_dim": config.get("latent_dim"),
        "use_text": bool(config.get("use_text")),
        "head": config.get("head", "mse"),
        "sampler": config.get("sampler", "normal"),
        "palette_size": config.get("palette_size"),
        "slots": config.get("slots"),
    }


def rows(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    side, modes = int(about["side"]), ("instant", "quality") if about["sampler"] == "flow" else ("instant",)
    yield TEXTS.html("picture_size"), f"{side}×{side}"
    yield TEXTS.html("latent"), html.escape(str(about["latent_dim"]))
    yield TEXTS.html("text"), model_view.yes_or_no(about["use_text"])
    yield TEXTS.html("mode"), ", ".join(TEXTS.html(mode) for mode in modes)
    yield TEXTS.html("colours_used"), TEXTS.html(f"{about['head']}_head", palette=about["palette_size"], slots=about["slots"])


def limits(about: Mapping[str, Any]) -> list[str]:
    return [TEXTS.html(f"limit_{name}", side=int(about["side"])) for name in ("size", "words", "mix", "train")]


VIEW = model_view.ModelView(CHECKPOINTS, details, rows, limits)


def build(page: Page) -> None:
    VIEW.build(page.active, pixel_load)
