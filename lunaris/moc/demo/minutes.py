"""The council's minutes on the page: every token of a text, its surprise, and each layer's council over it; the endpoint moc_council."""

import json
import re
from typing import Any

import gradio as gr

from lunaris.core import ui
from lunaris.core.config import ConfigError
from lunaris.moc.demo import common
from lunaris.moc.demo.texts import TEXTS

WORDS = (  # of minutes.js
    *("of_tokens", "summary", "strip_hint", "next", "no_experts", "given", "own", "token", "of_all", "cost", "bits", "chance", "expected"),
    *("scores_hint", "layer", "expert", "before", "after", "weight", "share", "muted", "peers", "peers_hint", "no_peers"),
    *("who", "who_hint", "load", "end_of_text"),
)


@ui.friendly
def moc_council(
    text: str,
    ids: Any = "",
    mute: str = "",
    expert_bias: str = "",
    model: str = "",
    request: gr.Request | None = None,
) -> dict:
    """The minutes of a text: for each token its loss and what the model expected, and in every layer each expert's score before and after
    the meeting, who was chosen with which weight, how the chosen looked at each other, and each one's share of the output.

    Args:
        text: The text to look into, at most 100000 characters; the newest 256 tokens of it are listed.
        ids: Token ids that were written after the text, as moc_generate reports them, such as "12 45 7"; empty when there are none.
        mute: Experts that are never chosen, such as "3 0.5" (3 in every layer, 5 in layer 0).
        expert_bias: What is added to experts' scores, such as "2=1.5 0.3=-1".
        model: A bundled checkpoint such as "moc-pt", or owner/name[@revision] on the Hugging Face Hub; empty is the default.

    Returns:
        Tokens, layers, the most probable next tokens, loss and bits per byte, and what was cut.
    """
    from lunaris.moc.council import council

    order = common.order(text, mute=mute, expert_bias=expert_bias)
    loaded = common.model_for(model, request)
    minutes = council(loaded.model, order.prompt, ids=token_ids(ids), newest=common.SHOWN, mute=order.mute, expert_bias=order.expert_bias)
    return {**minutes.to_dict(), **common.origin(loaded, model)}


def token_ids(value: Any) -> list[int]:
    """Ids in a text, with spaces or commas between, or in a list, as JSON has them."""
    most = common.FIELDS["max_new_tokens"].metadata["le"]
    if isinstance(value, str):
        value = [int(part) if re.fullmatch(r"\d{1,6}", part, re.ASCII) else part for part in value.replace(",", " ").split()]
    ids = [ui.whole(index) for index in value] if isinstance(value, list) else None
    if ids is None or len(ids) > most or not all(isinstance(index, int) for index in ids):
        raise ConfigError(f"ids must be a list of at most {most:,} token ids, got {str(value)[:40]!r}; leave it out")
    return ids


def component() -> gr.HTML:
    """The viewer: its value is what `moc_council` answers."""
    script = f"const WORDS = {json.dumps(common.words(*WORDS))};\n{common.asset('minutes.js')}"
    return gr.HTML(None, html_template='<div class="moc-minutes"></div>', js_on_load=script, apply_default_css=False, elem_id="moc-council")


def as_shown(minutes: dict[str, Any] | None, language: str) -> dict[str, Any] | None:
    """The minutes with their sentence in the visitor's language."""
    if minutes and minutes["note"] and language == "pt-BR":
        return {**minutes, "note": ui.in_portuguese(minutes["note"])}
    return minutes


def heading() -> str:
    return f'<h3 class="lunaris-title">{TEXTS.html("council")}</h3><p class="lunaris-hint">{TEXTS.html("council_intro")}</p>'
