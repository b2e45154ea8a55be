"""Model cards: the README.md of a checkpoint, with the YAML front matter that the Hub indexes (HB-07).

A card says what the model is, how to try it, what it was trained on and under which licence, with which command, what was measured and
what it cannot do. It is checked here, offline, by the rules that the Hub applies when it is pushed.
"""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

LIBRARY = "lunaris"
REPO = "OWNER/NAME"  # stands for the repository in a card that has not been pushed yet
REQUIRED = ("license", "library_name", "tags")
MAX_SHOWN = 100_000  # characters of a card that a page shows
_LICENCES = (
    "afl-3.0 agpl-3.0 apache-2.0 apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0 bigscience-openrail-m bsd "
    "bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 "
    "cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 "
    "cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 "
    "epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 gemma gfdl gpl gpl-2.0 gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 "
    "lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openrail openrail++ osl-3.0 other pddl postgresql unknown unlicense wtfpl zlib"
)
LICENCES = tuple(_LICENCES.split())


def render_card(
    *,
    name: str,
    family: str,
    what: str,
    data: str,
    licence: str,
    command: str,
    metrics: Mapping[str, float | int] | None = None,
    limits: Sequence[str] = (),
    tags: Sequence[str] = (),
    prompt: str | None = None,
    pipeline_tag: str | None = None,
    dataset: str = "held-out split of the training data",
) -> str:
    """A whole model card, checked. `licence` is a Hub licence id ("mit", "cc0-1.0", "other").

    `what`, `data` and `limits` are sentences in Markdown; `command` is the line that trained the model; `metrics` are measured on
    `dataset`; `prompt` goes into the example. The front matter's tags begin with "lunaris" and the family.
    Raises ValueError for a card that the Hub would refuse.
    """
    metrics = dict(metrics or {})
    for metric, value in metrics.items():
        if not math.isfinite(value):
            raise ValueError(f"metric {metric!r} of a card must be a finite number, got {value}; leave it out")
    front: dict[str, Any] = {"license": licence, "library_name": LIBRARY}
    if pipeline_tag:
        front["pipeline_tag"] = pipeline_tag
    front["tags"] = list(dict.fromkeys([LIBRARY, family, *tags]))
    if metrics:
        front["model-index"] = [_model_index(name, metrics, dataset, pipeline_tag)]
    arguments = f'model, "{prompt}", seed=7' if prompt else "model, seed=7"
    sections = {
        "What it is": what,
        "Try it": (
            "```python\n"
            f"from lunaris import {family}\n\n"
            f'model = {family}.load("{REPO}")\n'
            f"result = {family}.generate({arguments})\n"
            "```\n\n"
            f"or in the browser: `python -m lunaris {family} demo --model {REPO}`."
        ),
        "Data and licences": f"{data}\n\nLicence of the weights: `{licence}`.",
        "How it was trained": f"```bash\n{command}\n```",
        "Numbers": _numbers(metrics, dataset),
        "Limits": "\n".join(f"- {limit}" for limit in limits) or "Not measured yet.",
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    text = join_card(front, f"\n# {name}\n\n{body}\n")
    validate_card(text)
    return text


def _model_index(name: str, metrics: Mapping[str, float | int], dataset: str, pipeline_tag: str | None) -> dict[str, Any]:
    """The measured numbers in the form that the Hub shows beside the card."""
    values = [{"type": _slug(metric), "name": metric, "value": value} for metric, value in metrics.items()]
    task = {"type": pipeline_tag or "other"}
    return {"name": name, "results": [{"task": task, "dataset": {"name": dataset, "type": _slug(dataset)}, "metrics": values}]}


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "value"


def _numbers(metrics: Mapping[str, float | int], dataset: str) -> str:
    if not metrics:
        return "Not measured yet."
    rows = "\n".join(f"| {metric} | {value:.6g} |" for metric, value in metrics.items())
    return f"Measured on: {dataset}.\n\n| measure | value |\n|---|---|\n{rows}"


def join_card(front: Mapping[str, Any], body: str) -> str:
    return f"---\n{yaml.safe_dump(dict(front), sort_keys=False, allow_unicode=True, width=1000)}---\n{body}"


def parse_card(text: str) -> tuple[dict[str, Any], str]:
    """(front matter, text below it) of a card. Raises ValueError when there is none or it is not YAML."""
    match = re.match(r"\ufeff?---[ \t]*\r?\n(.*?\n)---[ \t]*(?:\r?\n|$)", text, re.DOTALL)
    if not match:
        raise ValueError("a card begins with front matter: a line ---, keys such as license, a line ---; write it with render_card")
    try:
        front = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        raise ValueError(f"the card's front matter is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(front, dict):
        raise ValueError("the card's front matter must be a table of keys and values")
    return front, text[match.end() :]


def validate_card(text: str) -> dict[str, Any]:
    """The front matter, checked as the Hub would: required keys, licence ids, the shapes of tags and numbers. Raises ValueError."""
    front, _ = parse_card(text)
    for key in REQUIRED:
        if key not in front:
            raise ValueError(f"the card's front matter lacks {key}; a Lunaris card has {', '.join(REQUIRED)}")
    licences = front["license"] if isinstance(front["license"], list) else [front["license"]]
    for licence in licences:
        if licence not in LICENCES:
            raise ValueError(f"license in a card must be a licence id of the Hub, got {licence!r}; try '{_nearest_licence(str(licence))}'")
    for key in ("tags", "datasets"):
        values = front.get(key, [])
        if not isinstance(values, list) or not all(_is_tag(value) for value in values):
            raise ValueError(f"{key} in a card must be a list of words of up to 96 letters, digits and .-_/:+, got {values!r}")
    languages = front.get("language", [])
    for code in [languages] if isinstance(languages, str) else languages or []:
        if not isinstance(code, str) or not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z]{2,8})?|code|multilingual", code):
            raise ValueError(f"language in a card must be ISO codes such as en or pt, got {code!r}")
    for key in ("library_name", "pipeline_tag"):
        if key in front and not _is_tag(front[key]):
            raise ValueError(f"{key} in a card must be one word, got {front[key]!r}")
    _check_model_index(front.get("model-index", []))
    return front


def _nearest_licence(text: str) -> str:
    """The id that was probably meant by "MIT License" or "apache2", else "other"."""
    plain = re.sub(r"\W*licen[cs]e\W*", "", text.lower()).replace(" ", "-")
    return next(iter(difflib.get_close_matches(plain, LICENCES, n=1, cutoff=0.7)), "other")


def _is_tag(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\w[\w .:/+-]{0,95}", value) is not None and value == value.strip()


def _check_model_index(entries: Any) -> None:
    """model-index: a list of {name, results: [{task: {type}, dataset: {name, type}, metrics: [{type, value}]}]}."""
    try:
        for entry in entries:
            complete = isinstance(entry["name"], str)
            for result in entry["results"]:
                complete &= bool(result["task"]["type"]) and bool(result["dataset"]["name"]) and bool(result["dataset"]["type"])
                complete &= all(metric["type"] and metric["value"] is not None for metric in result["metrics"])
            if not complete:
                raise ValueError
    except (TypeError, KeyError, ValueError):
        raise ValueError(
            "model-index in a card must list name and results, each with task.type, dataset.name, dataset.type and metrics"
        ) from None


def card_for(text: str, repo_id: str, family: str | None) -> str:
    """The card as it is pushed to `repo_id`: the example names the repository, the tags name lunaris and the family."""
    front, body = parse_card(text)
    tags = list(dict.fromkeys([LIBRARY, *([family] if family else []), *front["tags"]]))
    if tags != front["tags"]:
        text = join_card(front | {"tags": tags}, body)
    return text.replace(REPO, repo_id)


def for_page(card: str) -> str:
    """A card's text for the page: without front matter, and without pictures, which the visitor's browser would fetch from elsewhere.

    Linear in the card's length, whatever a stranger wrote: no pattern looks past the next mark of its own kind.
    """
    body = re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL)
    body = re.sub(r"<[^<>]*>", "", body).replace("<", "&lt;")  # first, or what is left of !<b>[a](address) would be a picture
    body = re.sub(r"!\[([^\[\]]*)\](\([^()]*\)|\[[^\[\]]*\])", r"\1", body)  # ![alt](address) and ![alt][name]
    body = body.replace("![", "!\\[")  # those in one another, and ![name] alone
    return body.replace("```mermaid", "```text").strip()  # a diagram may hold pictures too
