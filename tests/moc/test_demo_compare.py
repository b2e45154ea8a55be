"""The view "Does it help?": a sound file is drawn, a missing or unsound one is one sentence (MC-12)."""

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from lunaris.core.config import ConfigError
from lunaris.moc.demo import compare


def table() -> dict:
    """A file in the form of benchmarks/moc_compare.py, with more in it than the view reads."""
    rows, curves = [], {}
    for i, (name, group) in enumerate([("moc", "both"), ("top_k", "equal_active"), ("top_k_compute", "equal_compute"), ("dense", "both")]):
        bpb = [2.0 + 0.1 * i, 2.02 + 0.1 * i]
        rows.append(
            {
                "name": name,
                "label_en": f"{name} <b>",
                "label_pt": f"{name} em português",
                "params_total": 4_000_000,
                "params_active": 2_000_000,
            }
            | {
                "macs_per_token": 5_000_000,
                "cpu_seconds": 12.5,
                "bpb": bpb,
                "bpb_mean": sum(bpb) / 2,
                "bpb_sd": 0.01,
                "learning_rate": 0.003,
            }
            | {"group": group, "steps": 500 + i, "tuning": {"0.003": 2.1}, "load_min": None}
        )
        curves[name] = [[100, 3.0 + 0.1 * i, 0.02], [500, 2.0 + 0.1 * i, 0.01]]
    setup = {
        "steps": 500,
        "batch_size": 8,
        "seq_len": 128,
        "text": "books & stories",
        "seeds": [1, 2],
        "command": "python x.py",
        "d_model": 96,
    }
    differences = {"dense": {"mean": -0.3, "half": 0.01, "sure": True}}
    verdict = {"en": "MoC wins & loses.", "pt": "O MoC ganha e perde."}
    return {"setup": setup, "rows": rows, "curves": curves, "differences": differences, "verdict": verdict}


def written(tmp_path, value) -> object:
    path = tmp_path / "comparison.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def test_all_figures_are_in_the_table_and_both_readings_have_their_pictures(tmp_path):
    markup = compare.markup(written(tmp_path, table()))
    assert "MoC wins &amp; loses." in markup and "O MoC ganha e perde." in markup and "books &amp; stories" in markup
    assert "<b>2.010</b> ± 0.010<small>2.000 2.020</small>" in markup and "-0.3000<small>± 0.0100</small>" in markup
    assert markup.count("<figure>") == 4 and "<td>502</td>" in markup
    assert "moc <b>" not in markup and "moc &lt;b&gt;" in markup
    body = re.findall(r"<tbody>.*?</tbody>", markup)
    assert [part.count('scope="row"') for part in body] == [3, 3]  # what is in both readings stands in both


def test_it_says_on_what_the_variants_are_scored(tmp_path):
    """The first validation tokens are those of few works, or of one, which nobody could know from the page."""
    told = table()
    told["setup"]["eval_tokens"] = 32_768
    markup = compare.markup(written(tmp_path, told))
    assert "the first 32\u202f768 tokens" in markup and "os primeiros 32\u202f768 tokens" in markup and "mostly one" in markup
    assert "What is scored" not in compare.markup(written(tmp_path, table())) and "32\u202f768" in compare.markup()


def test_pictures_are_sound_and_put_less_to_the_left_and_below(tmp_path):
    found = compare.read(written(tmp_path, table()))
    rows = found.rows_of("equal_active")
    drawn = ElementTree.fromstring(compare.dots_svg(rows))
    means = [float(circle.get("cx")) for circle in drawn.iter("circle") if "mean" in circle.get("class")]
    assert means == sorted(means) and len(set(means)) == 3 and all(0 < x < compare.WIDTH for x in means)
    assert [circle.get("class") for circle in drawn.iter("circle") if "best" in circle.get("class")] == ["mean best"]
    assert sum(circle.get("class") == "seed" for circle in drawn.iter("circle")) == 6
    curves = ElementTree.fromstring(compare.curves_svg(rows, found.curves))
    ends = [float(line.get("points").split()[-1].split(",")[1]) for line in curves.iter("polyline")]
    assert ends == sorted(ends, reverse=True)  # y grows downwards
    assert "moc <b> 2.010 ± 0.010" in drawn.get("aria-label")


def test_one_row_and_equal_values_can_be_drawn(tmp_path):
    one = table()
    one["rows"] = [one["rows"][0] | {"bpb": [2.0, 2.0], "bpb_mean": 2.0, "bpb_sd": 0.0}]
    one["curves"] = {"moc": [[1, 2.0, 0.0], [1, 2.0, 0.0]]}
    one["differences"] = {}
    ElementTree.fromstring(compare.dots_svg(compare.read(written(tmp_path, one)).rows))
    assert "<figure>" in compare.markup(written(tmp_path, one))


def test_without_a_file_it_says_so_in_one_sentence(tmp_path):
    markup = compare.markup(tmp_path / "comparison.json")
    assert "No comparison ships with this copy yet" in markup and "Esta cópia ainda não traz" in markup and "<table" not in markup


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("{", "comparison.json must be JSON"),
        ("[]", "must have setup, rows, curves and verdict"),
        (lambda t: t.pop("verdict"), "must have setup, rows, curves and verdict"),
        (lambda t: t["verdict"].pop("pt"), "verdict must say something in en and in pt"),
        (lambda t: t["rows"].clear(), "rows must be variants with different names, got 0"),
        (lambda t: t["rows"].append(t["rows"][0]), "rows must be variants with different names, got 5"),
        (lambda t: t["rows"].append(3), "rows[4] must be a table, got '3'"),
        (lambda t: t["rows"][1].pop("bpb_sd"), "rows[1] must have bpb_sd, got none"),
        (lambda t: t["rows"][1].update(params_total="many"), "rows[1].params_total must be a whole number"),
        (lambda t: t["rows"][1].update(group="none"), "rows[1].group must be one of"),
        (lambda t: t["rows"][1].update(bpb=[2.0]), "bpb of top_k must be one per seed, 2, got 1"),
        (lambda t: t["curves"].update(other=[[1, 2, 3]]), "curves must have lists of [step, mean, sd]"),
        (lambda t: t["curves"].update(moc=[[1, 2]]), "curves must have lists of [step, mean, sd]"),
        (lambda t: t["setup"].update(steps=0), "setup.steps must be a whole number"),
    ],
)
def test_an_unsound_file_is_one_sentence_and_the_page_goes_on(tmp_path, change, sentence):
    value = change if isinstance(change, str) else table()
    if callable(change):
        change(value)
    path = written(tmp_path, value)
    with pytest.raises(ConfigError) as error:
        compare.read(path)
    assert sentence in str(error.value) and "\n" not in str(error.value)
    assert "The comparison cannot be shown" in compare.markup(path)


def test_the_file_that_ships_is_sound():
    assert {"moc", "top_k", "dense_total"} <= {row.name for row in compare.read(compare.FILE).rows}
    assert "<table" in compare.markup()
