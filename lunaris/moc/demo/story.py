"""The ministers' story: how a council of experts decides on a word, for a newcomer, in five sentences at most (MC-12)."""

from collections.abc import Sequence
from itertools import combinations

import gradio as gr

from lunaris.core import ui
from lunaris.moc.config import MoCModelConfig
from lunaris.moc.demo import common
from lunaris.moc.demo.common import Page
from lunaris.moc.demo.texts import TEXTS

STEPS = ("proposals", "meeting", "vote", "confer", "answer")
MINISTERS = tuple(
    (50 + 34 * x, 50 + 34 * y) for x, y in ((0, -1), (0.71, -0.71), (1, 0), (0.71, 0.71), (0, 1), (-0.71, 0.71), (-1, 0), (-0.71, -0.71))
)
CHOSEN = (1, 4)


def picture(step: str, chosen: Sequence[int] = CHOSEN) -> str:
    """One step of the council as a small drawing: eight ministers around a table, those at the places `chosen` chosen."""
    parts = []
    if step == "meeting":
        parts += [_line(a, b) for i, a in enumerate(MINISTERS) for b in MINISTERS[i + 1 :]]
    if step == "confer":
        parts += [_line(MINISTERS[a], MINISTERS[b], width=3) for a, b in combinations(chosen, 2)]
    if step == "answer":
        parts += [_line(MINISTERS[i], (50, 50), width=3) for i in chosen] + ['<circle class="word" cx="50" cy="50" r="11"/>']
    for i, (x, y) in enumerate(MINISTERS):
        elected = i in chosen and step in ("vote", "confer", "answer")
        parts.append(f'<circle class="{"chosen" if elected else "minister"}" cx="{x:.0f}" cy="{y:.0f}" r="9"/>')
        if step == "proposals":
            parts.append(f'<path class="paper" d="M{x - 4:.0f} {y - 2:.0f}h8M{x - 4:.0f} {y + 2:.0f}h5"/>')
        if step == "vote" and elected:
            parts.append(f'<path class="tick" d="M{x - 4:.0f} {y:.0f}l3 4l5 -7"/>')
    return f'<svg viewBox="0 0 100 100" aria-hidden="true">{"".join(parts)}</svg>'


def _line(a: tuple[float, float], b: tuple[float, float], width: float = 1) -> str:
    return f'<line x1="{a[0]:.0f}" y1="{a[1]:.0f}" x2="{b[0]:.0f}" y2="{b[1]:.0f}" stroke-width="{width}"/>'


def told(settings: MoCModelConfig) -> dict[str, str]:
    """Step -> its sentence, of a model with experts: a step that its settings lack is left out, and one chosen alone is no "they"."""
    meets, alone = settings.ffn == "moc" and settings.meeting, settings.top_k == 1 and settings.ffn != "soft_all"
    steps = {"proposals": "proposals"} if settings.hears_all else {"council": "council"}  # where the others draft nothing
    if meets:
        steps["meeting"] = "meeting"
    steps["vote"] = "vote_all" if settings.ffn == "soft_all" else "vote_one" if alone else "vote"
    if settings.peers and not alone:
        steps["confer"] = "confer"
    steps["answer"] = "answer_one" if alone else "answer" if meets or settings.peers else "answer_sparse"
    return steps


def markup(settings: MoCModelConfig | None) -> str:
    """The sentences of the model in use, each with its drawing; of k of n ministers where it has no council or is not known."""
    steps, sizes, chosen = {step: step for step in STEPS}, {"k": "k", "n": "n"}, CHOSEN
    if settings and settings.ffn != "dense":
        steps, sizes = told(settings), {"k": settings.top_k, "n": settings.n_experts}
        chosen = range(len(MINISTERS)) if settings.ffn == "soft_all" else CHOSEN[: settings.top_k]
    drawn = "".join(f"<li>{picture(step, chosen)}<p>{TEXTS.html(f'story_{key}', **sizes)}</p></li>" for step, key in steps.items())
    return f'<ol class="moc-story">{drawn}</ol>'


def build(page: Page) -> None:
    with gr.Accordion(TEXTS("story"), open=True, elem_id="moc-story"):
        told = ui.raw(markup(common.settings_of(common.default_ref())))
        link = gr.Button(TEXTS("to_compare"), size="sm", elem_id="moc-to-compare")
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    page.active.change(ui.friendly(_again), page.active, told, preprocess=False, **quiet)
    link.click(lambda: gr.Tabs(selected="compare"), None, page.tabs, **quiet)


def _again(ref: str, request: gr.Request) -> str:
    return markup(common.settings_of(ref, request))
