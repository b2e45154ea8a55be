"""RESULTS.md: each benchmark writes its own part, between its own marks, and leaves the others alone."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from lunaris.core import hub
from lunaris.core.card import join_card, parse_card, validate_card

RESULTS = Path(__file__).parent / "RESULTS.md"
COLUMNS = ("what", "value", "spread over seeds", "n", "wanted", "aim", "baseline")


def table(claims: list[dict]) -> str:
    """The claims as a Markdown table; `wanted` is at least or at most, as the claim says."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for claim in claims:
        low, high = claim.get("at_least"), claim.get("at_most")
        wanted = f">= {low}" if low is not None else f"<= {high}" if high is not None else ""
        cells = (f"{claim['value']} {claim['unit']}", claim["spread"], claim["n"], wanted, claim["aim"], claim["baseline"])
        lines.append(f"| {claim['name']} | " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def publish(name: str, title: str, command: str, claims: list[dict], *, keep: bool, more: str = "") -> None:
    """Print a benchmark's part, `more` (Markdown) at its end; with `keep` also put it into RESULTS.md."""
    text = "\n\n".join(part for part in (f"## {title}", f"`{command}`", table(claims) if claims else "", more) if part) + "\n"
    print(text)
    if keep:
        begin, end = f"<!-- {name} -->\n", f"<!-- end {name} -->\n"
        old = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# Results\n\nWritten by the scripts beside this file.\n"
        before, after = (old.split(begin)[0], old.split(end)[1]) if begin in old else (f"{old}\n", "")
        RESULTS.write_text(f"{before}{begin}{text}{end}{after}", encoding="utf-8")


def add_to_card(ref: str, numbers: dict[str, float], command: str) -> None:
    """Put measured numbers on the card of a local checkpoint: into its table and its model-index, replacing earlier ones of the name.

    What the card said of an earlier run of the same script goes: a table that names two commands cannot be made again by either.
    """
    path = hub.resolve(ref) / "README.md"
    front, body = parse_card(path.read_text(encoding="utf-8"))
    metrics = front["model-index"][0]["results"][0]["metrics"]
    metrics[:] = [metric for metric in metrics if metric["name"] not in numbers]
    metrics += [{"type": "-".join(name.replace(",", "").split()), "name": name, "value": value} for name, value in numbers.items()]
    script = re.escape(command.split()[1])
    body = re.sub(rf"\n*^The shares come from `python {script}[ `].*$", "", body, flags=re.MULTILINE)
    lines = [line for line in body.split("\n") if not line.startswith(tuple(f"| {name} |" for name in numbers))]
    end = max(i for i, line in enumerate(lines) if line.startswith("|"))
    rows = [f"| {name} | {value:g} |" for name, value in numbers.items()]
    lines[end + 1 : end + 1] = [*rows, "", f"The shares come from `{command}`; benchmarks/RESULTS.md has their spread and baselines."]
    text = join_card(front, "\n".join(lines))
    validate_card(text)
    path.write_text(text, encoding="utf-8")
