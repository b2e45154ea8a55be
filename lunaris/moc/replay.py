"""Texts that can be written again: a text saved as JSON carries its record, and `check` proves it or says what differs."""

from pathlib import Path

from lunaris.core import hub, provenance
from lunaris.core.provenance import Verdict
from lunaris.moc.checkpoint import load
from lunaris.moc.generate import Written, generate_request
from lunaris.moc.request import MoCRequest

CALL = "generate"


def check(file: bytes | str | Path, ref: str = "") -> Verdict:
    """Write the text in a file again and compare. `ref` names the checkpoint, else the record does.

    Raises ValueError in one sentence for a file that holds no sound record.
    """
    data = file if isinstance(file, bytes) else provenance.file_bytes(file)
    record = provenance.read(data)
    if record["call"] != CALL:
        raise ValueError(f"the record names the call {record['call'][:40]!a}; this Lunaris can replay {CALL}")
    request = MoCRequest.from_dict(record["args"])
    shown = provenance.read_json(data).get("text")
    if not isinstance(shown, str):
        raise ValueError("the file must hold a text to compare with, under 'text'; it was changed")
    try:
        folder = provenance.checkpoint(record, ref)
    except (FileNotFoundError, hub.HubError) as error:
        if ref:
            raise
        return Verdict("not replayed", [f"model missing: {error}"])
    model = load(folder)
    differs = _difference(shown, generate_request(model, request))
    weights = hub.weight_hash(folder)
    if record["weights"] != weights:
        differs.append(f"weights: {record['weights']} of {record['model']} then, {weights} now")
    notes = provenance.changes(record, provenance.environment(str(model.device)))
    if differs and not notes and record["weights"] == weights:
        notes = [provenance.unexplained(record)]
    return Verdict("different" if differs else "identical", differs + notes)


def _difference(shown: str, again: Written) -> list[str]:
    """Where two texts part: one line, or none."""
    if shown == again.text:
        return []
    same = next((i for i, (a, b) in enumerate(zip(shown, again.text, strict=False)) if a != b), min(len(shown), len(again.text)))
    before = shown[max(0, same - 20) : same]
    return [
        f"text: the first {same:,} of {len(shown):,} characters are the same, up to {before!r}; written again it has {len(again.text):,}"
    ]
