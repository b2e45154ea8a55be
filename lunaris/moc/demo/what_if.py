"""What if: experts are muted or favoured, and the page shows which tokens change and what it costs on a text; the endpoint moc_what_if."""

import functools
import html
import json
import math
from collections.abc import Sequence
from typing import Any

import gradio as gr

from lunaris.core import ui
from lunaris.moc.demo import common
from lunaris.moc.demo.common import HEAVY, Page, piece
from lunaris.moc.demo.texts import TEXTS

LENGTH = 40  # tokens of the two continuations, unless asked otherwise

# --- the endpoint ----------------------------------------------------------------------------------------------------------------


@ui.friendly
def moc_what_if(
    text: str,
    mute: str = "",
    expert_bias: str = "",
    max_new_tokens: int = LENGTH,
    temperature: float = 0.8,
    top_p: float = 0.95,
    seed: int = 0,
    model: str = "",
    request: gr.Request | None = None,
) -> dict:
    """What muting and favouring experts does to a text: its loss and the most probable token at every place before and after, and its
    continuation without and with the wish, drawn with the same seed.

    Args:
        text: The text, at most 100000 characters; the newest 256 tokens of it are listed.
        mute: Experts that are never chosen, such as "3 0.5" (3 in every layer, 5 in layer 0).
        expert_bias: What is added to experts' scores, such as "2=1.5 0.3=-1"; above 0 favours.
        max_new_tokens: Tokens of each continuation at most, 1 to 1024.
        temperature: 0 to 2.
        top_p: Above 0 to 1.
        seed: 0 to 4294967295, the same for both continuations.
        model: A bundled checkpoint such as "moc-pt", or owner/name[@revision] on the Hugging Face Hub; empty is the default.

    Returns:
        The tokens with their costs in nats before and after, bits per byte before and after, both continuations and where they part.
    """
    from lunaris.moc.council import what_if

    asked = common.order(
        text, mute=mute, expert_bias=expert_bias, max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, seed=seed
    )
    loaded = common.model_for(model, request)
    values = asked.to_dict()
    del values["prompt"]
    found = what_if(loaded.model, asked.prompt, newest=common.SHOWN, **values)
    wish = {"mute": " ".join(asked.mute), "expert_bias": " ".join(asked.expert_bias), "seed": asked.seed}
    return {**found.to_dict(), **wish, **common.origin(loaded, model)}


# --- on the page -----------------------------------------------------------------------------------------------------------------


@ui.friendly
def compare(
    text: str,
    mute: str,
    expert_bias: str,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
    model: str,
    request: gr.Request,
) -> str:
    return result_html(moc_what_if(text, mute, expert_bias, max_new_tokens, temperature, top_p, seed, model, request))


@functools.wraps(compare)
def compare_live(text: str, mute: str, expert_bias: str, *others: Any) -> str:
    """The same for the board, which may take the last wish back: then there is nothing to compare."""
    return compare(text, mute, expert_bias, *others) if f"{mute}{expert_bias}".strip() else nothing()


def nothing() -> str:
    return ui.empty_state(TEXTS, "if_empty")


def result_html(found: dict[str, Any]) -> str:
    """Both losses, both continuations side by side, and the text token by token, in both languages."""
    tokens, (before, after) = found["tokens"], found["bits_per_byte"]
    change = after - before
    verdict = "same" if abs(change) < 5e-4 else "worse" if change > 0 else "better"
    where = found["first_difference"]
    parts = TEXTS.html("parted", place=where + 1) if where is not None else TEXTS.html("never_parted")
    facts = "".join(
        f"<div><dt>{TEXTS.html(key)}</dt><dd>{value}</dd></div>"
        for key, value in (
            ("loss_bpb", f"{before:.3f} → {after:.3f} <small>({change:+.3f}) {TEXTS.html(f'verdict_{verdict}')}</small>"),
            ("loss_nats", f"{found['loss'][0]:.3f} → {found['loss'][1]:.3f}"),
            ("best_changed", TEXTS.html("of_places", n=found["changed"], all=len(tokens))),
            ("continuation", parts),
        )
    )
    sides = "".join(
        f'<section><h4>{TEXTS.html(key)}</h4><p class="moc-side">{side(found[f"pieces_{when}"], where)}</p></section>'
        for key, when in (("without", "before"), ("with", "after"))
    )
    note = ui.both(html.escape(found["note"]), html.escape(ui.in_portuguese(found["note"])))
    note = f'<p class="lunaris-hint">{note}</p>' if found["note"] else ""
    strip = "".join(effect(token) for token in tokens)
    return (
        f'<div class="moc-what-if"><dl class="lunaris-facts">{facts}</dl><div class="moc-sides">{sides}</div>'
        f'<h4>{TEXTS.html("effect")}</h4><p class="lunaris-hint">{TEXTS.html("effect_hint")}</p>{note}'
        f'<ol class="moc-effects" tabindex="0" role="list">{strip}</ol></div>'
    )


def side(pieces: Sequence[str], first: int | None) -> str:
    """A continuation as running text; the first token that differs is marked, and what follows it is set apart."""
    same = html.escape("".join(_joined(pieces if first is None else pieces[:first])))
    if first is None:
        return same
    marked, rest = "".join(_joined(pieces[first : first + 1])), html.escape("".join(_joined(pieces[first + 1 :])))
    mark = html.escape(marked) if marked.strip() else piece(marked) or TEXTS.html("over")
    return f'{same}<mark data-first>{mark}</mark><span class="moc-other">{rest}</span>'


def _joined(pieces: Sequence[str]) -> list[str]:
    """Pieces as text again: of a character in several tokens, the last one alone shows it."""
    return ["" if shown.endswith("…") and len(shown) > 1 else shown.removeprefix("…") if len(shown) > 1 else shown for shown in pieces]


def effect(token: dict[str, Any]) -> str:
    """One token of the strip: itself, what its cost gained or lost in bits, and the most probable token where it became another."""
    bits = (token["nats_after"] - token["nats_before"]) / math.log(2)
    kind = "up" if bits > 0.05 else "down" if bits < -0.05 else "even"
    other = f"<i>{piece(token['best_before'])} → {piece(token['best_after'])}</i>" if token["changed"] else ""
    strength = min(1.0, abs(bits) / 4)
    return f'<li data-kind="{kind}" style="--strength:{strength:.2f}"><b>{piece(token["shown"])}</b><span>{bits:+.2f}</span>{other}</li>'


# --- the experts to mute and favour ------------------------------------------------------------------------------------------------

BOARD_WORDS = ("board_mute", "board_normal", "board_favour", "board_layer", "board_all", "board_strength", "board_none", "expert", "layer")


def board_value(ref: str, mute: str = "", expert_bias: str = "", request: gr.Request | None = None) -> dict[str, Any]:
    """What the board shows: how many experts and layers the model has, and the wishes as they are written."""
    settings = common.settings_of(ref, request)
    dense = settings is None or settings.ffn == "dense"
    sizes = {"experts": 0, "layers": 0, "chosen": 0} if dense else {}
    if not dense:
        sizes = {"experts": settings.n_experts, "layers": settings.n_layers, "chosen": settings.top_k}
    return {**sizes, "mute": mute, "bias": expert_bias}


def board() -> gr.HTML:
    script = f"const WORDS = {json.dumps(common.words(*BOARD_WORDS))};\n{common.asset('board.js')}"
    value = board_value(common.default_ref())
    return gr.HTML(value, html_template='<div class="moc-board"></div>', js_on_load=script, apply_default_css=False, elem_id="moc-board")


@ui.friendly
def board_again(ref: str, request: gr.Request) -> tuple[dict[str, Any], str, str, str]:
    """Another model: its experts, no wish, and so no result."""
    return board_value(ref, request=request), "", "", nothing()


WISHES = "(board) => [board.mute, board.bias]"
TO_BOARD = """(board, mute, bias) => board && (board.mute !== mute || board.bias !== bias) ? { ...board, mute, bias } : board"""
IF_TEXT = """(board) => { const text = document.querySelector("#moc-if-text textarea");
  if (text?.value || !(board.mute + board.bias).trim()) setTimeout(() => document.querySelector("#moc-if-live").click(), 150); }"""
SHOW = "() => { window.lunaris?.show('#moc-if-result'); }"


def build(page: Page) -> None:
    ui.raw(f'<p class="lunaris-hint">{TEXTS.html("what_if_intro")}</p>')
    with gr.Row(elem_classes="lunaris-bar"):
        text = gr.Textbox(
            "",
            label=TEXTS("if_text"),
            placeholder=TEXTS("if_text_hint"),
            lines=3,
            max_lines=10,
            max_length=common.MAX_PROMPT,
            elem_id="moc-if-text",
            scale=5,
        )
        go = gr.Button(TEXTS("if_go"), variant="primary", elem_id="moc-if-go", scale=1, min_width=140)
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            chooser = board()
            with gr.Accordion(ui.TEXTS("tuning"), open=False):
                mute, bias = (
                    gr.Textbox("", label=TEXTS(name), info=TEXTS(f"{name}_info"), max_length=4000, elem_id=f"moc-if-{name}")
                    for name in ("mute", "expert_bias")
                )
                length = gr.Slider(1, 400, LENGTH, step=1, label=TEXTS("max_new_tokens"))
                temperature = common.order_slider("temperature", step=0.05)
                top_p = common.order_slider("top_p", step=0.01)
                seed = ui.seed_field(elem_id="moc-if-seed")
        with gr.Column(scale=7, min_width=300):
            result = ui.raw(nothing(), elem_id="moc-if-result")

    live = gr.Button(visible="hidden", elem_id="moc-if-live")  # pressed by the board
    hidden = {"preprocess": False, "show_progress": "hidden", "api_visibility": "private"}
    inputs = [text, mute, bias, length, temperature, top_p, seed, page.active]
    answer = gr.JSON(visible=False, label="effect")
    gr.Button(visible=False).click(moc_what_if, inputs, answer, api_name="moc_what_if", preprocess=False, show_progress="hidden", **HEAVY)
    compared = {"inputs": inputs, "outputs": result, "preprocess": False, "api_visibility": "private", **HEAVY}
    go.click(compare, **compared, trigger_mode="always_last").success(None, js=SHOW, api_visibility="private")
    live.click(compare_live, **compared, trigger_mode="always_last")  # of many wishes the last one counts; the page stays where it is
    changed = chooser.input(None, chooser, [mute, bias], js=WISHES, api_visibility="private", show_progress="hidden")
    changed.then(None, chooser, None, js=IF_TEXT, api_visibility="private")
    gr.on([mute.input, bias.input], None, [chooser, mute, bias], chooser, js=TO_BOARD, api_visibility="private", show_progress="hidden")
    page.active.change(board_again, page.active, [chooser, mute, bias, result], **hidden)
    page.ask_what_if.click(lambda text: (text, gr.Tabs(selected="what_if")), page.text, [text, page.tabs], **hidden)
