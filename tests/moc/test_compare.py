"""The comparison: who takes part is equal in what it says, runs are those of `moc train`, and a stopped study goes on where it was."""

import dataclasses
import json
import math
import os
import statistics
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from lunaris.core.config import ConfigError
from lunaris.core.training import TrainingError
from lunaris.moc import compare as comparison
from lunaris.moc import trial as trials
from lunaris.moc.compare import TUNING_SEED, CompareConfig, Difference, Study, compare, fitted, grown, macs, rows, variants
from lunaris.moc.config import MoCModelConfig
from lunaris.moc.data import load_source, prepare
from lunaris.moc.model import MoCForCausalLM, macs_per_token, parameter_counts
from lunaris.moc.train import train

torch.set_num_threads(1)
TINY = CompareConfig.quick()
SIZES = {"quick": TINY, "default": CompareConfig(), "wide": CompareConfig(d_model=128, n_heads=8, top_k=4, n_experts=16, expert_hidden=64)}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text") / "prepared"
    prepare("procedural", folder, vocab_size=TINY.vocab_size, n_stories=TINY.stories)
    return folder


@pytest.fixture
def study(text, tmp_path):
    return Study(TINY.replace(source=str(text)), tmp_path, say=lambda sentence: None)


def a_trial(study: Study, **changes):
    return study.trial(variants(study.config)["moc"].model.replace(**changes), rate=3e-3, seed=1)


# --- who takes part ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_variants_have_equal_active_parameters_and_equal_totals(size):
    config = SIZES[size]
    made = variants(config)
    counts = {name: parameter_counts(v.model) for name, v in made.items()}
    reference = counts["top_k"]
    body = reference.active - reference.embedding
    for name, variant in made.items():
        if variant.active:
            assert -0.15 * body < counts[name].active - reference.active <= 0.011 * body, (
                name
            )  # Switch's router is smaller, MoC's f is rounded
        assert name == "dense_active" or counts[name].total == pytest.approx(reference.total, rel=0.12), name
    for name in ("moc", "moc_no_meeting", "moc_no_peers"):
        model = made[name].model
        assert model.hidden % 8 == 0 and counts[name].active <= reference.active
        assert parameter_counts(model.replace(expert_hidden=model.hidden + 8)).active > reference.active, "wider would fit"


def test_added_parts_are_paid_for_too():
    made = variants(CompareConfig())
    sparse = made["top_k"].model
    for changes in ({"consensus": True}, {"refine": True}, {"consensus": True, "refine": True, "rank": 24}):
        model = fitted(made["moc"].model.replace(**changes), sparse)
        assert parameter_counts(model).active <= parameter_counts(sparse).active
        assert parameter_counts(model.replace(expert_hidden=model.hidden + 8)).active > parameter_counts(sparse).active


@pytest.mark.parametrize("size", ["default", "wide"])
def test_both_readings_are_what_they_say(size):
    config = SIZES[size]
    made, made_rows = variants(config), rows(config)
    spent = {row.name: macs(made[row.variant].model, config) * row.steps for row in made_rows}
    for row in made_rows:
        if row.group != "equal_compute":
            assert row.steps == config.steps and made[row.variant].active
        if row.group != "equal_active":
            assert spent[row.name] == pytest.approx(spent["moc"], rel=0.02), row
    for reading, who in (("equal_active", {name for name in made if made[name].active}), ("equal_compute", set(made))):
        assert {row.variant for row in made_rows if row.group in (reading, "both")} == who
    assert len({row.name for row in made_rows}) == len(made_rows)
    model = made["moc"].model
    assert macs(model, config) == macs_per_token(model, (config.seq_len + 1) // 2, tokens=config.batch_size * config.seq_len)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rates": (0.003, 0.001)}, "numbers that rise, got 0.003 0.001; try"),
        ({"learning_rates": ()}, "numbers that rise, got"),
        ({"n_experts": 6, "top_k": 4}, "multiple of top_k 4 and at least twice it, .* got 6; try 16"),
        ({"n_heads": 5}, "n_heads must divide"),
    ],
)
def test_bad_settings_are_one_sentence(changes, message):
    with pytest.raises(ConfigError, match=message):
        CompareConfig(**changes)


def test_the_text_is_literature_where_there_is_some(monkeypatch, tmp_path):
    monkeypatch.delenv("LUNARIS_DATA", raising=False)
    assert CompareConfig().text == "procedural"
    monkeypatch.setenv("LUNARIS_DATA", str(tmp_path))
    assert CompareConfig().text == "procedural"
    (tmp_path / "texto_pt_literatura").mkdir()
    assert CompareConfig().text == str(tmp_path / "texto_pt_literatura") and CompareConfig(source="x.txt").text == "x.txt"


# --- a run -------------------------------------------------------------------------------------------------------------------------


def test_a_trial_is_what_moc_train_does(study, text, tmp_path):
    """The same trainer for all means the family's own: the numbers are those in the metrics.jsonl of `moc.train`, bit for bit. All of the
    validation text is scored, since of less a trial takes the first tokens, as the kept runs did, and a training takes some everywhere."""
    wanted = a_trial(study)
    wanted = dataclasses.replace(wanted, train=wanted.train.replace(eval_tokens=0))
    found = trials.run(wanted, study.data, study.folder)
    train(wanted.model, wanted.train, tmp_path / "out", source=text, progress=False)
    lines = [json.loads(line) for line in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
    assert found["curve"] == [[line["step"], line["eval/bits_per_byte"]] for line in lines if "eval/bits_per_byte" in line]
    assert len(found["curve"]) == TINY.evaluations and found["bits_per_byte"] == found["curve"][-1][1]
    logged = {line["step"]: [line[name] for name in trials.LOGGED] for line in lines if "loss/main" in line}
    assert {step: values for step, *values in found["log"]} == {step: logged[step] for step in (1, 10)}
    assert found["cpu_seconds"] > 0 and found["grad_norm"]["max"] >= found["grad_norm"]["median"] > 0 and not found["diverged"]


def test_a_stopped_trial_goes_on_where_it_was(study, tmp_path):
    wanted = a_trial(study)
    whole = trials.run(wanted, study.data, study.folder)
    asked = iter([False] * 5 + [True])
    assert trials.run(wanted, study.data, tmp_path / "other", should_stop=lambda: next(asked)) is None
    assert trials.kept(wanted, tmp_path / "other") is None
    again = trials.run(wanted, study.data, tmp_path / "other")
    for key in ("curve", "log", "bits_per_byte", "grad_norm", "router_entropy"):
        assert again[key] == whole[key], key
    assert [path.name for path in (tmp_path / "other").iterdir()] == [f"{wanted.key}.json"]  # and nothing else is left behind


def test_a_finished_trial_is_not_run_again(study, monkeypatch):
    found = trials.run(a_trial(study), study.data, study.folder)
    monkeypatch.setattr(trials, "fit", None)
    assert trials.run(a_trial(study), study.data, study.folder) == found


def test_the_key_is_of_what_decides_the_result(study):
    """An option added to the model later must not throw hours of kept runs away: what is off is not in the key."""
    base = a_trial(study)
    same = trials.Trial(base.model, base.train.replace(save_every=7, threads=2, keep_checkpoints=5), base.text)
    assert same.key == base.key and "consensus" not in base.settings["model"]
    others = [
        a_trial(study, meeting=False), a_trial(study, consensus=True), a_trial(study, rank=3),
        trials.Trial(base.model, base.train.replace(seed=0), base.text),
        trials.Trial(base.model, base.train.replace(learning_rate=1e-3), base.text),
        trials.Trial(base.model, base.train, "other text"), trials.Trial(base.model, base.train, base.text, "peer_scale"),
    ]  # fmt: skip
    assert len({trial.key for trial in [base, *others]}) == 8


def test_texts_that_changed_are_read_again(tmp_path):
    """The prepared texts went by the name of their folder: other texts under that name were never read. And a run's key was of the training
    tokens alone, so figures of other validation texts would have been taken from a kept run."""
    texts = tmp_path / "texts"
    texts.mkdir()
    for i in range(30):
        (texts / f"{i}.txt").write_text(f"Texto {i}. O mar estava calmo e a casa era branca. " * 8, encoding="utf-8")
    config = TINY.replace(source=str(texts))

    def now():
        return Study(config, tmp_path / "runs", say=lambda sentence: None)

    keys, hashes = [a_trial(now()).key], [now().data.text_hash("train")]
    assert a_trial(now()).key == keys[0]  # the same texts, the same runs
    held = load_source(texts, split="validation")[0].name
    for name, word in ((held, "azul"), ("1.txt" if held != "1.txt" else "2.txt", "verde")):
        (texts / name).write_text((texts / name).read_text(encoding="utf-8").replace("branca", word), encoding="utf-8")
        keys.append(a_trial(now()).key)
        hashes.append(now().data.text_hash("train"))
    assert len(set(keys)) == 3 and hashes[0] == hashes[1] != hashes[2]


def test_a_run_that_diverges_is_a_result(study, monkeypatch):
    def fails(*args, **kwargs):
        raise TrainingError("the loss became nan at step 3; nothing was saved; start again")

    monkeypatch.setattr(trials, "fit", fails)
    found = trials.run(a_trial(study), study.data, study.folder)
    assert found["bits_per_byte"] is None and found["diverged"] == "the loss became nan at step 3" and study.kept(a_trial(study)) == found
    monkeypatch.setattr(trials, "fit", lambda *args, **kwargs: (_ for _ in ()).throw(TrainingError("the disk is full")))
    with pytest.raises(TrainingError, match="disk"):
        trials.run(a_trial(study, meeting=False), study.data, study.folder)


def test_a_cure_is_taken_out():
    torch.manual_seed(0)
    model = MoCForCausalLM(MoCModelConfig.tiny())
    peers = model.model.layers[0].mlp.peers
    asked = torch.randn(5, 2, 16), torch.tensor([[0, 1]] * 5), None
    before, attention = peers(*asked)
    trials._take_out(model, "peer_scale")
    after, same = peers(*asked)
    torch.testing.assert_close(after, before * 4)
    assert torch.equal(attention, same)
    with pytest.raises(ValueError, match="without must be empty or 'peer_scale', got 'x'"):
        trials._take_out(model, "x")


# --- the study ----------------------------------------------------------------------------------------------------------------------


def test_a_grid_grows_beyond_its_edge():
    assert grown({1e-3: 2.0, 2e-3: 1.9, 4e-3: 2.0}) == ()
    assert grown({1e-3: 2.0, 2e-3: 1.9}) == (4e-3,)
    assert grown({1e-3: 1.8, 2e-3: math.inf}) == (5e-4,)


def test_the_interval_is_students():
    """The table of quantiles against the integral of the density, and an interval reckoned by hand."""
    for freedom, quantile in enumerate(comparison.T95, 1):
        scale = math.gamma((freedom + 1) / 2) / math.sqrt(freedom * math.pi) / math.gamma(freedom / 2)
        width = quantile / 20_000
        inside = 2 * sum(scale * (1 + ((i + 0.5) * width) ** 2 / freedom) ** (-(freedom + 1) / 2) * width for i in range(20_000))
        assert inside == pytest.approx(0.95, abs=5e-4), freedom
    gap = Difference.of([1.0, 2.0, 4.0], [0.9, 1.8, 3.7])  # 0.1, 0.2, 0.3: mean 0.2, standard deviation 0.1
    assert gap.mean == pytest.approx(0.2) and gap.half == pytest.approx(4.30 * 0.1 / math.sqrt(3)) and not gap.sure
    assert Difference.of([1.0, 2.0, 4.0], [0.9, 1.9, 3.9]).sure


def pretended(trial, data, folder, until, parent=0):
    """A run in no time: best at a learning rate of its own, better with more steps, MoC better than the others by 0.1."""
    found = trials.kept(trial, folder)
    if found is not None:
        return found
    PRETENDED.append(trial)
    model, train = trial.model, trial.train
    best = 0.006 if model.ffn == "moc" else 0.003
    bpb = 3 - 0.1 * (model.ffn == "moc") + 0.01 * train.seed % 7 + abs(math.log(train.learning_rate / best)) - 0.1 * math.log(train.steps)
    found = {
        "key": trial.key, "settings": trial.settings, "bits_per_byte": bpb, "loss": bpb / 2,
        "curve": [[train.steps // 2, bpb + 1], [train.steps, bpb]],
        "cpu_seconds": 10.0 + train.seed, "grad_norm": {"median": 1.0, "max": 2.0}, "log": [], "diverged": "",
        "load_min": 0.9, "load_max": 1.1, "router_entropy": 1.0, "peer_entropy": 0.5,
    }  # fmt: skip
    (folder / f"{trial.key}.json").write_text(json.dumps(found))
    return found


PRETENDED: list = []


@pytest.fixture
def pretend(monkeypatch):
    PRETENDED.clear()
    monkeypatch.setattr(comparison, "run_one", pretended)
    return PRETENDED


def test_the_table_is_of_tuned_runs_and_says_who_wins(text, tmp_path, pretend):
    config = TINY.replace(source=str(text), steps=100, seeds=3, learning_rates=(0.0015, 0.003), growths=3)
    said = []
    found = compare(config, tmp_path, say=said.append, command="the command")
    by_name = {row["name"]: row for row in found["rows"]}
    assert set(by_name) == set(found["curves"]) == {row.name for row in rows(config)}
    assert {row["name"]: row["learning_rate"] for row in found["rows"] if row["group"] != "equal_compute"} == {
        "dense_active": 0.003, "switch": 0.003, "top_k": 0.003, "moc": 0.006, "moc_no_meeting": 0.006, "moc_no_peers": 0.006,
    }  # fmt: skip
    assert set(by_name["moc"]["tuning"]) == {"0.0015", "0.003", "0.006", "0.012"}
    assert found["setup"] | {"seeds": [1, 2, 3], "command": "the command", "steps": 100, "text": text.name} == found["setup"]
    for row in found["rows"]:
        assert len(row["bpb"]) == 3 and row["bpb_mean"] == pytest.approx(statistics.mean(row["bpb"]), abs=1e-5)
        assert row["bpb_sd"] == pytest.approx(statistics.stdev(row["bpb"]), abs=1e-5) and row["cpu_seconds"] == 12.0
        assert found["curves"][row["name"]][-1] == [row["steps"], row["bpb_mean"], row["bpb_sd"]]
    peers = {name for name, row in by_name.items() if row["peer_entropy"] is not None}
    assert peers and all(name.startswith("moc") and "no_peers" not in name for name in peers)  # runs of before say 1 where there are none
    assert found["differences"]["top_k"]["mean"] == pytest.approx(-0.1) and found["differences"]["top_k"]["sure"]
    assert "MoC beats the sparse mixture (-0.1000 ± 0.0000 bits per byte, 3 seeds)" in found["verdict"]["en"]
    assert "o MoC vence a mistura esparsa (-0,1000 ± 0,0000 bits por byte, 3 sementes)" in found["verdict"]["pt"]
    tuning = [trial for trial in pretend if trial.train.seed == TUNING_SEED]
    assert len(pretend) == len({trial.key for trial in pretend}) == len(tuning) + 3 * len(by_name) and len(said) == len(pretend)
    pretend.clear()
    assert compare(config, tmp_path, say=said.append, command="the command") == found and not pretend  # all of it was kept
    json.dumps(found, allow_nan=False)


def test_minutes_bound_a_call_and_the_next_one_goes_on(text, tmp_path, pretend, monkeypatch):
    config = TINY.replace(source=str(text), minutes=1.0)
    clock, said = [1000.0], []
    monkeypatch.setattr(comparison.time, "time", lambda: clock[0])

    def slow(*args):
        clock[0] += 13
        return pretended(*args)

    monkeypatch.setattr(comparison, "run_one", slow)
    assert compare(config, tmp_path, say=said.append) is None
    assert len(pretend) == 5
    assert said[-1] == "the 1 minutes are over: of this part, 3 runs are left; give the same command again to go on"
    while compare(config, tmp_path, say=said.append) is None:
        pass
    assert len(pretend) == len({trial.key for trial in pretend}) == len(variants(config)) + 2 * len(rows(config))


def test_a_variant_that_always_diverges_is_named(text, tmp_path, monkeypatch):
    def diverges(trial, data, folder, until):
        found = pretended(trial, data, folder, until) | ({"bits_per_byte": None, "diverged": "x"} if trial.model.ffn == "switch" else {})
        (folder / f"{trial.key}.json").write_text(json.dumps(found))
        return found

    monkeypatch.setattr(comparison, "run_one", diverges)
    with pytest.raises(ValueError, match="switch diverged at every learning rate, 0.003; add lower ones"):
        compare(TINY.replace(source=str(text)), tmp_path, say=lambda sentence: None)


def test_the_verb_keeps_its_runs_and_the_table_in_its_folder(text, tmp_path, pretend):
    told = comparison.run_verb(TINY.replace(source=str(text), learning_rates=(0.003, 0.006)), str(tmp_path / "out"), "")
    assert told["finished"] and told["moc_bits_per_byte"] < told["top_k_bits_per_byte"] and "MoC beats" in told["verdict"]
    assert json.loads((tmp_path / "out/comparison.json").read_text(encoding="utf-8"))["setup"]["steps"] == TINY.steps
    assert told["out"] == str(tmp_path / "out/comparison.json")


def test_a_job_ends_with_the_process_that_gave_it(study, tmp_path):
    """Killed, the study's own process left its jobs behind: they went on with the queue, beside those of the same command given again."""
    trial = a_trial(study)
    assert comparison.run_one(trial, study.data.folder, tmp_path, math.inf, os.getpid()) is None and study.kept(trial) is None
    assert comparison.run_one(trial, study.data.folder, tmp_path, math.inf, os.getppid()) == study.kept(trial)


def test_jobs_run_side_by_side_and_each_result_is_told(text, tmp_path, pretend, monkeypatch):
    """As the processes of a pool do, but in threads: a new process would have to import torch. Afresh, since torch does not fork."""

    def pool(jobs, mp_context, initializer):
        assert (jobs, mp_context.get_start_method(), initializer) == (3, "spawn", comparison._end_with_parent)
        return ThreadPoolExecutor(jobs)

    monkeypatch.setattr(comparison, "ProcessPoolExecutor", pool)
    one, many, said = TINY.replace(source=str(text)), TINY.replace(source=str(text), jobs=3), []
    found = compare(many, tmp_path / "many", say=said.append)
    assert found == compare(one, tmp_path / "one", say=lambda sentence: None) and len(said) == len(pretend) / 2
