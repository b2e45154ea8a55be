"""Does it help?: the MoC against its rivals and its own parts left out, as a table, pictures and learning curves (MC-02, MC-10, MC-12).

The figures are measured elsewhere (benchmarks/moc_compare.py) and lie beside the package as comparison.json; this view only shows them.
"""

import html
import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from lunaris.core import ui
from lunaris.core.config import BaseConfig, ConfigError, option
from lunaris.moc.demo.common import Page
from lunaris.moc.demo.texts import TEXTS

FILE = Path(__file__).parents[1] / "comparison.json"
GROUPS = ("equal_active", "equal_compute")
Curve = list[tuple[float, float, float]]  # step, mean and standard deviation of the bits per byte

log = logging.getLogger("lunaris")


@dataclass(frozen=True)
class Row(BaseConfig):
    """One variant in one reading, or in both, trained once per seed."""

    name: str = option("", "short name, which the curves go by")
    label_en: str = option("", "what it is, in English")
    label_pt: str = option("", "what it is, in Portuguese")
    params_total: int = option(1, "parameters", ge=1)
    params_active: int = option(1, "parameters that a token goes through", ge=1)
    macs_per_token: int = option(1, "multiply-accumulates per token", ge=1)
    cpu_seconds: float = option(0.0, "of one training", ge=0)
    bpb: tuple[float, ...] = option((), "bits per byte on validation text, one per seed")
    bpb_mean: float = option(0.0, "their mean", ge=0)
    bpb_sd: float = option(0.0, "their standard deviation", ge=0)
    learning_rate: float = option(0.001, "of the training", gt=0)
    group: Literal["equal_active", "equal_compute", "both"] = option("both", "what it is equal to the MoC in")
    steps: int = option(0, "of each training; 0 = the setup's", ge=0)

    def check(self) -> None:
        if not (self.name and self.label_en and self.label_pt):
            raise ConfigError("name, label_en and label_pt must say something, got an empty one; fill them in")
        if not self.bpb or not all(math.isfinite(value) for value in self.bpb):
            raise ConfigError("bpb must be one number per seed, got none or one that is not finite; measure it again")


@dataclass(frozen=True)
class Setup(BaseConfig):
    """What all variants had in common."""

    steps: int = option(1, "of each training at equal active parameters", ge=1)
    batch_size: int = option(1, "texts of a step", ge=1)
    seq_len: int = option(2, "tokens of a text", ge=2)
    text: str = option("", "what they learned from")
    eval_tokens: int = option(0, "of its validation text, the first ones, that were scored; 0 = not told", ge=0)
    seeds: tuple[int, ...] = option((), "of the trainings")
    command: str = option("", "that measures it all again")


@dataclass(frozen=True)
class Difference(BaseConfig):
    """MoC minus a row, bits per byte, pair by pair of equal seeds."""

    mean: float = option(0.0, "below 0, MoC is better")
    half: float = option(0.0, "half the width of the 95 % interval", ge=0)


@dataclass(frozen=True)
class Comparison:
    setup: Setup
    rows: tuple[Row, ...]
    curves: Mapping[str, Curve]
    verdict: Mapping[str, str]
    differences: Mapping[str, Difference]

    def rows_of(self, group: str) -> list[Row]:
        return [row for row in self.rows if row.group in (group, "both")]


AGAIN = "run benchmarks/moc_compare.py again"


def read(path: Path) -> Comparison:
    """The comparison in a file; what the file says beyond it is left alone. Raises FileNotFoundError when there is none, `ConfigError`
    when something is missing or makes no sense."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path.name} must be JSON, got a file that is not: {error}; {AGAIN}") from None
    if not isinstance(table, dict) or not {"setup", "rows", "curves", "verdict"} <= table.keys():
        raise ConfigError(f"{path.name} must have setup, rows, curves and verdict, got {str(list(table))[:80]}; {AGAIN}")
    setup = _known(Setup, table["setup"], "setup", optional=("eval_tokens",))
    rows = tuple(_known(Row, row, f"rows[{i}]", optional=("steps",)) for i, row in enumerate(table["rows"]))
    if not rows or len({row.name for row in rows}) < len(rows):
        raise ConfigError(f"rows must be variants with different names, got {len(rows)}; {AGAIN}")
    for row in rows:
        if len(row.bpb) != len(setup.seeds):
            raise ConfigError(f"bpb of {row.name} must be one per seed, {len(setup.seeds)}, got {len(row.bpb)}; {AGAIN}")
    curves = {name: [tuple(map(float, point)) for point in curve] for name, curve in dict(table["curves"]).items()}
    points = [point for curve in curves.values() for point in curve]
    if not curves.keys() <= {row.name for row in rows} or any(len(p) != 3 or not all(map(math.isfinite, p)) for p in points):
        raise ConfigError(f"curves must have lists of [step, mean, sd] for variants of the rows, got others; {AGAIN}")
    verdict = table["verdict"]
    if not isinstance(verdict, dict) or not all(isinstance(verdict.get(tag), str) and verdict[tag].strip() for tag in ("en", "pt")):
        raise ConfigError(f"verdict must say something in en and in pt, got less; {AGAIN}")
    differences = {name: _known(Difference, gap, f"differences.{name}") for name, gap in dict(table.get("differences") or {}).items()}
    return Comparison(setup, rows, curves, verdict, differences)


def _known(cls: type[BaseConfig], table: Any, where: str, optional: Sequence[str] = ()) -> Any:
    """The fields of `cls` in a table that may hold more."""
    if not isinstance(table, dict):
        raise ConfigError(f"{where} must be a table, got {str(table)[:40]!r}; {AGAIN}")
    names = [f.name for f in fields(cls)]
    missing = [name for name in names if name not in table and name not in optional]
    if missing:
        raise ConfigError(f"{where} must have {missing[0]}, got none; {AGAIN}")
    return cls.from_dict({name: table[name] for name in names if name in table}, prefix=f"{where}.")


# --- on the page -----------------------------------------------------------------------------------------------------------------


def markup(path: Path = FILE) -> str:
    """The whole view; without a sound file one sentence."""
    try:
        found = read(path)
    except FileNotFoundError:
        return f'<p class="lunaris-hint">{TEXTS.html("no_comparison")}</p>'
    except (ValueError, TypeError) as error:
        log.warning("the comparison cannot be shown: %s", error)
        return f'<p class="lunaris-hint">{TEXTS.html("bad_comparison", reason=str(error))}</p>'
    said = ui.both(html.escape(found.verdict["en"]), html.escape(found.verdict["pt"]))
    return (
        f'<div class="moc-compare"><p class="verdict">{said}</p><div class="panels">{panels(found)}</div>'
        f"{table_html(found)}{setup_html(found.setup)}</div>"
    )


def panels(found: Comparison) -> str:
    """The figures of both readings, and how each variant came there."""
    parts = []
    for group in GROUPS:
        if rows := found.rows_of(group):
            parts.append(f"<figure><figcaption>{TEXTS.html(f'dots_{group}')}</figcaption>{dots_svg(rows)}</figure>")
    for group in GROUPS:
        if rows := [row for row in found.rows_of(group) if len(found.curves.get(row.name, ())) > 1]:
            picture = curves_svg(rows, found.curves) + legend(rows)
            parts.append(f"<figure><figcaption>{TEXTS.html(f'curves_{group}')}</figcaption>{picture}</figure>")
    return "".join(parts)


def label(row: Row) -> str:
    return ui.both(html.escape(row.label_en), html.escape(row.label_pt))


def _svg_label(row: Row, x: float, y: float) -> str:
    return "".join(
        f'<text class="i18n" lang="{tag}" x="{x}" y="{y:.0f}">{html.escape(text)}</text>'
        for tag, text in (("en", row.label_en), ("pt-BR", row.label_pt))
    )


WIDTH, LEFT, RIGHT = 360, 8, 352  # as wide as a phone, so that its letters can be read there


def _axis(values: Sequence[float]) -> tuple[Callable[[float], float], list[float]]:
    """Where a value lies between 0 and 1, and round values to mark: the range of `values` and a little more."""
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - margin, high + margin
    step = 10 ** math.floor(math.log10((high - low) / 2))
    step = next(step * k for k in (1, 2, 5, 10) if (high - low) / (step * k) <= 5)
    ticks = [step * k for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return (lambda value: (value - low) / (high - low)), ticks


def dots_svg(rows: Sequence[Row]) -> str:
    """Per variant the mean as a dot, one standard deviation to either side as a bar, and each seed as a small ring."""
    at, ticks = _axis([edge for row in rows for edge in (row.bpb_mean - row.bpb_sd, row.bpb_mean + row.bpb_sd, *row.bpb)])

    def x(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * at(value)

    height = 44 * len(rows) + 34
    parts = [
        f'<line class="grid" x1="{x(t):.1f}" x2="{x(t):.1f}" y1="0" y2="{height - 26}"/>'
        f'<text class="tick" x="{x(t):.1f}" y="{height - 10}" text-anchor="middle">{t:.3g}</text>'
        for t in ticks
    ]
    best = min(row.bpb_mean for row in rows)
    for i, row in enumerate(rows):
        y = 44 * i + 32
        rings = "".join(f'<circle class="seed" cx="{x(value):.1f}" cy="{y}" r="3.5"/>' for value in row.bpb)
        bar = f'<line class="sd" x1="{x(row.bpb_mean - row.bpb_sd):.1f}" x2="{x(row.bpb_mean + row.bpb_sd):.1f}" y1="{y}" y2="{y}"/>'
        dot = f'<circle class="{"mean best" if row.bpb_mean == best else "mean"}" cx="{x(row.bpb_mean):.1f}" cy="{y}" r="6"/>'
        parts.append(f"{_svg_label(row, LEFT, y - 14)}{bar}{dot}{rings}")
    said = "; ".join(f"{row.label_en} {row.bpb_mean:.3f} ± {row.bpb_sd:.3f}" for row in rows)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(said)}">{"".join(parts)}</svg>'


def curves_svg(rows: Sequence[Row], curves: Mapping[str, Curve]) -> str:
    """The bits per byte over the steps; a band of one standard deviation to either side."""
    points = [point for row in rows for point in curves[row.name]]
    first, last = min(step for step, *_ in points), max(step for step, *_ in points)
    at, ticks = _axis([value for _, mean, sd in points for value in (mean - sd, mean + sd)])
    height, bottom, left = 260, 232, 36

    def x(step: float) -> float:
        return left + (RIGHT - left) * (step - first) / ((last - first) or 1)

    def y(value: float) -> float:
        return bottom - (bottom - 6) * at(value)

    parts = [
        f'<line class="grid" x1="{left}" x2="{RIGHT}" y1="{y(t):.1f}" y2="{y(t):.1f}"/>'
        f'<text class="tick" x="{left - 4}" y="{y(t) + 4:.1f}" text-anchor="end">{t:.3g}</text>'
        for t in ticks
    ]
    for i, row in enumerate(rows):
        curve = curves[row.name]
        upper = [f"{x(step):.1f},{y(mean + sd):.1f}" for step, mean, sd in curve]
        lower = [f"{x(step):.1f},{y(mean - sd):.1f}" for step, mean, sd in reversed(curve)]
        line = " ".join(f"{x(step):.1f},{y(mean):.1f}" for step, mean, _ in curve)
        parts.append(f'<polygon class="band c{i % 8}" points="{" ".join(upper + lower)}"/><polyline class="c{i % 8}" points="{line}"/>')
    ends = "".join(
        f'<text class="tick" x="{x(s):.0f}" y="{height - 8}" text-anchor="{a}">{s:g}</text>' for s, a in ((first, "start"), (last, "end"))
    )
    said = "; ".join(f"{row.label_en} {curves[row.name][0][1]:.3f} → {curves[row.name][-1][1]:.3f}" for row in rows)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(said)}">{"".join(parts)}{ends}</svg>'


def legend(rows: Sequence[Row]) -> str:
    """Which line is whose; every line has a dash pattern of its own too."""
    keys = "".join(
        f'<li><svg viewBox="0 0 34 8" aria-hidden="true"><polyline class="c{i % 8}" points="1,4 33,4"/></svg>{label(row)}</li>'
        for i, row in enumerate(rows)
    )
    return f'<ul class="legend">{keys}</ul>'


def table_html(found: Comparison) -> str:
    """All figures, reading by reading."""
    keys = ("variant", "bpb", "gap", "active", "parameters", "macs", "steps", "cpu", "rate")
    head = "".join(f'<th scope="col">{TEXTS.html(f"col_{key}")}</th>' for key in keys)
    bodies = []
    for group in GROUPS:
        lines = "".join(_line(row, found) for row in found.rows_of(group))
        if lines:
            title = f'<tr><th class="group" scope="colgroup" colspan="{len(keys)}">{TEXTS.html(group)}</th></tr>'
            bodies.append(f"<tbody>{title}{lines}</tbody>")
    caption = f'<caption id="moc-table">{TEXTS.html("table")}</caption>'
    table = f"<table>{caption}<thead><tr>{head}</tr></thead>{''.join(bodies)}</table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-labelledby="moc-table">{table}</div>'


def _line(row: Row, found: Comparison) -> str:
    gap = found.differences.get(row.name)
    seeds = " ".join(f"{value:.3f}" for value in row.bpb)
    cells = (
        f"<b>{row.bpb_mean:.3f}</b> ± {row.bpb_sd:.3f}<small>{seeds}</small>",
        f"{gap.mean:+.4f}<small>± {gap.half:.4f}</small>" if gap else "",
        _short(row.params_active),
        _short(row.params_total),
        _short(row.macs_per_token),
        _short(row.steps or found.setup.steps),
        f"{row.cpu_seconds:,.0f} s".replace(",", "\u202f"),
        f"{row.learning_rate:g}",
    )
    return f'<tr><th scope="row">{label(row)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _short(count: int) -> str:
    return f"{count / 1e6:.2f} M" if count >= 1e6 else f"{count:,}".replace(",", "\u202f")


def setup_html(setup: Setup) -> str:
    said = TEXTS.html("setup", steps=setup.steps, batch=setup.batch_size, length=setup.seq_len, n=len(setup.seeds), text=setup.text)
    said += " " + TEXTS.html("scored", n=_short(setup.eval_tokens)) if setup.eval_tokens else ""
    return f'<p class="lunaris-hint">{said}</p><pre tabindex="0"><code>{html.escape(setup.command)}</code></pre>'


def build(page: Page) -> None:
    ui.raw(f'<p class="lunaris-hint">{TEXTS.html("compare_intro")}</p>')
    ui.raw(markup(), elem_id="moc-compare")
    gr.Button(TEXTS("to_write"), size="sm", elem_id="moc-to-write").click(
        lambda: gr.Tabs(selected="write"), None, page.tabs, api_visibility="private", show_progress="hidden"
    )
