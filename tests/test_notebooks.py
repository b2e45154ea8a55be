"""The notebooks read as style asks, and what they leave to the reader works. nbval runs their cells (and test_round_trip.py some)."""

import ast
import json
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import pixel_ablation

from lunaris import moc, pixel
from lunaris.core.images import from_model
from lunaris.moc.grammar import EN_NUMBERS
from lunaris.moc.train import CollapseAlarm
from lunaris.pixel.data import load_source
from lunaris.pixel.train import prepare

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
HEADINGS = ["Setup", "The data", "The model", "Train", "Look", "Push and reload", "Exercise"]  # after the title and What we build


def cells(path: Path, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == kind]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_the_seven_headings_and_an_exercise(path):
    texts = [re.sub(r"<details>.*</details>", "", text, flags=re.DOTALL) for text in cells(path, "markdown")]
    assert "**What we build.**" in texts[0]
    assert re.findall(r"^## (.+)$", "\n".join(texts), flags=re.MULTILINE) == HEADINGS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_text_is_there_in_portuguese_and_every_cell_is_short(path):
    assert [text[:60] for text in cells(path, "markdown") if "<details><summary>Em português</summary>" not in text] == []
    assert [source[:60] for source in cells(path, "code") if sum(map(bool, source.splitlines())) > 16] == []


def solution_of(path: Path) -> str:
    (text,) = (text for text in cells(path, "markdown") if "<summary>Solution</summary>" in text)
    (solution,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    return solution


def test_the_solution_of_the_pixel_exercise_is_what_candidates_draws():
    """A reader whose lines are right must not be told otherwise: the solution in the text goes through the notebook's own check."""
    solution = solution_of(NOTEBOOKS[0])
    config, settings = pixel.Config.tiny(), pixel.TrainConfig.tiny()
    torch.manual_seed(0)
    model = prepare(config, settings, load_source("procedural:heart,star", side=config.side, n=64)).eval()
    names = {"model": model, "torch": torch}
    exec(compile(solution, "solution", "exec"), names)
    order = {"n": 1, "temperature": 2.0}  # far apart, since a model without training draws nearly the same for any latent
    first_kept = []
    for seed in range(11, 19):
        with torch.no_grad():
            mine = from_model(names["best_of"]("a red heart", 4, seed=seed, temperature=2.0))
        assert (mine == pixel.generate(model, "a red heart", seed=seed, candidates=4, **order)).all()
        first_kept.append((mine == pixel.generate(model, "a red heart", seed=seed, **order)).all())
    assert not all(first_kept)  # else a reader who returns the first draft would pass


def test_the_moc_notebook_says_how_large_its_model_is_and_how_much_it_reads():
    """It promised ten million parameters on a GPU and three hundred thousand tokens without one; they are five, and two."""
    text = " ".join("\n".join(cells(NOTEBOOKS[1], "markdown")).split())
    millions = EN_NUMBERS[round(moc.parameter_counts(moc.Config.small()).total / 1e6)]
    assert f"the small preset, {millions} million parameters" in text
    (quick,) = re.findall(r"^QUICK = (.*)$", "\n".join(cells(NOTEBOOKS[1], "code")), flags=re.MULTILINE)
    tokens = ast.literal_eval(quick)["steps"] * moc.TrainConfig.tiny().batch_size * moc.Config.tiny().max_seq_len
    assert f"have read {EN_NUMBERS[round(tokens / 1e5)]} hundred thousand tokens" in text


def test_the_dashed_line_of_the_moc_notebook_is_where_its_alarm_sounds():
    """The picture drew 0.5 and 2, and the text said that the alarm sounds beyond: experts that fell to 0.2 seemed to have been missed."""
    (picture,) = (source for source in cells(NOTEBOOKS[1], "code") if "share of the choices" in source)
    config, rows = moc.Config.tiny(), [{"step": step} for step in (50, 100)]
    for row in rows:
        row.update({f"eval/load/{layer}/{expert}": 1.0 for layer in range(config.n_layers) for expert in range(config.n_experts)})
    names = {"CONFIG": config, "logs": dict.fromkeys(("top-2", "MoC"), rows), "plt": plt}
    exec(compile(picture, "notebook", "exec"), names)
    dashed = [line.get_ydata() for ax in names["axes"].flat for line in ax.get_lines() if line.get_linestyle() == "--"]
    assert [list(heights) for heights in dashed] == [[CollapseAlarm.STARVED] * 2] * (2 * config.n_layers)
    assert CollapseAlarm.STARVED == 0.1 and "under a tenth of it" in "\n".join(cells(NOTEBOOKS[1], "markdown"))
    plt.close("all")


def test_the_moc_notebook_tells_every_line_of_the_study_of_spread():
    """It left out the line built like the prototype, which scatters least with the optimizer that was said to make it scatter."""
    results = (NOTEBOOKS[1].parents[1] / "benchmarks/RESULTS.md").read_text(encoding="utf-8")
    (text,) = (text for text in cells(NOTEBOOKS[1], "markdown") if "--variance" in text)
    for name in ("sparse mixture", "sparse mixture, AdamW", "MoC", "MoC, AdamW", "MoC, AdamW, as the prototype"):
        (spread,) = re.findall(rf"^\| {name} \| 3 \| [\d.]+ ± ([\d.]+) \| \d", results, flags=re.MULTILINE)
        told = f"{float(spread):.3f}"
        assert told in text and told.replace(".", ",") in text, name


@pytest.mark.parametrize("larger", [False, True], ids=["tiny", "larger"])
def test_the_ladder_of_the_pixel_notebook_begins_at_the_plain_vae_of_the_benchmark(larger):
    """Its "plain VAE" once had InfoNCE, group norm and a KL too heavy for a squared error: learners saw it lose for reasons untold."""
    tiny, budget = pixel.Config.tiny(), pixel.TrainConfig.tiny()
    names = {"PixelConfig": pixel.Config, "PixelTrainConfig": pixel.TrainConfig, "SIX": "heart,star", "OUT": "mine"}
    names |= {"PRESET": "small" if larger else "tiny", "CONFIG": tiny.replace(latent_dim=64) if larger else tiny, "TRAIN": budget}
    names |= {"folder": "your own model", "train": lambda config, settings, out, **_: (config, settings, out)}
    for source in (source for source in cells(NOTEBOOKS[0], "code") if "rung(" in source):
        exec(compile(source, "notebook", "exec"), names)
    plain, aligned, indexed, words = names["ladder"].values()
    spec = pixel_ablation.SPEC | {"text_encoder_config": tiny.text_encoder_config.replace(kind="transformer")}
    run = pixel_ablation.SPEC_RUN | {"alignment_weight": pixel_ablation.RUN.alignment_weight}
    assert plain[:2] == (tiny.replace(**spec), budget.replace(**run, alignment="none"))
    assert aligned[:2] == (tiny.replace(**spec), budget.replace(**run))
    assert indexed[:2] == (tiny.replace(text_gate=False, text_encoder_config=spec["text_encoder_config"]), budget)
    assert words == ((tiny, budget, "mine-words") if larger else "your own model")
    assert len({rung[2] for rung in (plain, aligned, indexed)} | {"mine"}) == 4  # a folder each: training goes on where it stopped


@pytest.fixture(scope="module")
def council() -> dict:
    """What the cells of the MoC exercise find: a model, whose weights are large, so that every expert is missed, and a text's ids."""
    torch.manual_seed(0)
    model = moc.MoCForCausalLM(moc.Config.tiny().replace(init_std=0.3)).eval().requires_grad_(False)
    return {"mine": model, "ids": torch.randint(3, 512, (1, 24)), "torch": torch, "plt": plt}


def moc_exercise(council: dict, answer: str) -> dict:
    """The names after a reader who wrote `answer` has run the cells that check and draw it."""
    path = NOTEBOOKS[1]
    (check,) = (source for source in cells(path, "code") if "right: the reader of the app says the same" in source)
    (picture,) = (source for source in cells(path, "code") if "if None not in losses:" in source)
    names = dict(council)
    for source in (answer, check, picture):
        exec(compile(source, "notebook", "exec"), names)
    return names


def test_the_moc_exercise_knows_a_right_answer_and_draws_it(council, capsys):
    names = moc_exercise(council, solution_of(NOTEBOOKS[1]))
    assert "right:" in capsys.readouterr().out and names["missed"].shape == (2, 4)
    plt.close("all")


WRONG = {  # what the solution says, and what a reader may write instead
    "nobody is muted": ("table[layer, expert] = -torch.inf", "pass"),
    "another expert is muted": ("table[layer, expert]", "table[layer, 0]"),
    "every layer is muted": ("table[layer, expert]", "table[:, expert]"),
    "not the main loss": (").loss", ").aux.total"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_the_moc_exercise_knows_a_wrong_answer(council, mistake):
    """Its first check looked at one expert of one layer: where the sentence did without that one, who muted nobody was told "right"."""
    solution = solution_of(NOTEBOOKS[1])
    answer = solution.replace(*WRONG[mistake])
    assert answer != solution
    with pytest.raises(AssertionError, match="is it muted"):
        moc_exercise(council, answer)


def test_the_moc_exercise_says_so_when_it_is_not_solved(council, capsys):
    (template,) = (source for source in cells(NOTEBOOKS[1], "code") if "# your lines here" in source)
    moc_exercise(council, template)
    assert "not solved yet" in capsys.readouterr().out
