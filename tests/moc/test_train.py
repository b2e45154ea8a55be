"""Training a MoC: the spec's own file, the loss in its parts, the collapse alarm, exact resume, checkpoints, and the family's contract."""

import json
import math
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

import lunaris
from lunaris.core import hub, training
from lunaris.core.config import ConfigError
from lunaris.core.gradients import accumulate, combine
from lunaris.core.parallel import Processes
from lunaris.core.tokenizer import BpeTokenizer
from lunaris.core.training import Callback, Run
from lunaris.moc.checkpoint import load, new_model, save
from lunaris.moc.config import MoCModelConfig
from lunaris.moc.data import END, Batches, load_source, prepare, tokenizer_hash
from lunaris.moc.generate import generate
from lunaris.moc.metrics import score_stream
from lunaris.moc.train import CollapseAlarm, MoCTrainConfig, TrainConfig, command_line, figures, load_run, load_spec, make_loss, train

torch.set_num_threads(1)
MODEL = MoCModelConfig.tiny().replace(d_model=32, vocab_size=320, expert_hidden=32, max_seq_len=64)
QUICK = MoCTrainConfig.tiny().replace(
    steps=6, batch_size=4, seq_len=32, stories=40, warmup_steps=0, eval_every=3, eval_tokens=300, device="cpu"
)

SPEC = """
model:
  d_model: 768
  n_layers: 12
  n_heads: 12
  n_kv_heads: 12
  vocab_size: 50257
  max_seq_len: 1024
  n_experts: 8
  top_k: 2
  aux_loss_weight: 0.01
data_dir: "data/tokens"
out_dir: "out/moc"
learning_rate: 3e-4
max_steps: 600000
batch_size: 16
gradient_accumulation_steps: 4
wandb_project: "LunarisCodex-MoC"
wandb_run_name: null
"""

# --- the spec's file ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def spec(tmp_path):
    def write(text=SPEC):
        path = tmp_path / "config_moc.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_specs_file_runs_unchanged(spec):
    """MC-07: every key arrives; a step sees batch_size · gradient_accumulation_steps texts, as many micro-batches as the spec says."""
    model, run, data_dir, out_dir = load_spec(spec())
    assert model == MoCModelConfig.full() and (data_dir, out_dir) == ("data/tokens", "out/moc")
    assert (run.learning_rate, run.steps, run.batch_size, run.accumulation_steps) == (3e-4, 600_000, 64, 4)
    assert run.project == "LunarisCodex-MoC" and run.run_name == "" and run.tracker in ("wandb", "auto")
    assert run.replace(project="lunaris", tracker="auto") == MoCTrainConfig.full()


def test_what_the_spec_leaves_open_may_be_given_flat(spec):
    _, run, _, _ = load_spec(spec(SPEC + "warmup_steps: 5\nseed: 3\ntracker: none\nseq_len: 512\n"))
    assert (run.warmup_steps, run.seed, run.tracker, run.seq_len) == (5, 3, "none", 512)
    model, run, data_dir, out_dir = load_spec(spec("model:\n  top_k: 3\nbatch_size: 2\n"))
    assert model.top_k == 3 and run.batch_size == 8 and (data_dir, out_dir) == ("", "") and run.project == "lunaris"


def test_a_preset_fills_what_the_specs_file_leaves_open(spec):
    """`--preset tiny` beside the spec's file was overruled by defaults that the file never gave: every one of them counted as given."""
    tables, data_dir, out_dir = load_run(spec("model:\n  top_k: 3\nlearning_rate: 1e-3\ndata_dir: d\n"))
    assert tables == {"model": {"top_k": 3}, "training": {"learning_rate": 1e-3}} and (data_dir, out_dir) == ("d", "")
    tables, *_ = load_run(spec())
    assert MoCModelConfig.from_dict(tables["model"]) == MoCModelConfig.full()
    assert MoCTrainConfig.from_dict(tables["training"]) == load_spec(spec())[1]


def test_a_flag_may_make_the_specs_file_whole(spec):
    """`top_k: 9` in the spec's file was refused for 8 experts though the command line said 16."""
    tables, *_ = load_run(spec("model:\n  top_k: 9\n"))
    assert MoCModelConfig.from_dict(tables["model"] | {"n_experts": 16}).top_k == 9


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("learning_rte: 1e-3", "unknown key 'learning_rte' in .*; did you mean 'learning_rate'?"),
        ("steps: 5", "unknown key 'steps' in .*; did you mean 'max_steps'?"),
        ("zzzz: 5", "unknown key 'zzzz' in .*; known: model, data_dir"),
        ("seq_len: 1", "seq_len must be at least 2"),
        ("seed: x", "seed must be a whole number"),
        ("out_dir: [1]", "key 'out_dir' appears twice"),
    ],
)
def test_a_typo_in_the_specs_file_is_one_sentence(spec, line, message):
    with pytest.raises(ConfigError, match=message):
        load_spec(spec(f"{SPEC}{line}\n"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  top_k: 2", "  top_k: 9", "model.top_k must be at most n_experts 8, got 9; try 8"),
        ("  top_k: 2", "  topk: 2", "unknown key 'model.topk'; did you mean 'model.top_k'?"),
        ("max_steps: 600000", "max_steps: 0", "max_steps must be a whole number of at least 1, got 0"),
        ("gradient_accumulation_steps: 4", "gradient_accumulation_steps: no", "gradient_accumulation_steps must be a whole number"),
        ("batch_size: 16", "batch_size: 0", "batch_size must be a whole number from 1"),
        ('out_dir: "out/moc"', "out_dir: [1]", r"out_dir must be a text, the path of a folder, got \[1\]"),
    ],
)
def test_a_wrong_value_in_the_specs_file_names_the_specs_own_key(spec, old, new, message):
    with pytest.raises(ConfigError, match=message):
        load_spec(spec(SPEC.replace(old, new)))


def test_a_file_that_is_not_there_or_no_table(spec, tmp_path):
    with pytest.raises(FileNotFoundError, match="no config file at"):
        load_spec(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="must hold keys such as model: and learning_rate:"):
        load_spec(spec("- a\n"))
    with pytest.raises(ConfigError, match="is not valid YAML"):
        load_spec(spec("a: [\n"))


def test_presets_survive_their_written_form():
    assert TrainConfig is MoCTrainConfig
    for name in ("tiny", "small", "full"):
        config = MoCTrainConfig.preset(name)
        assert MoCTrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


# --- the loss -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizer():
    return BpeTokenizer.train(["era uma vez um gato"] * 2, vocab_size=280, special_tokens=[END])


def fresh(tokenizer, **changes):
    torch.manual_seed(0)
    return new_model(MODEL.replace(**changes), tokenizer).train()


def batch_of(rows=4, t=12):
    ids = torch.randint(3, 280, (rows, t), generator=torch.Generator().manual_seed(1))
    return {"input_ids": ids, "labels": ids.clone()}


def test_total_is_the_weighted_sum_of_the_logged_parts_and_main_is_the_cross_entropy(tokenizer):
    model = fresh(tokenizer, aux_loss_weight=0.3, diversity_weight=2.0, z_loss_weight=0.5)
    batch = batch_of()
    loss = make_loss(QUICK)(model, batch, 1)
    parts = {name: value.item() for name, value in loss.parts.items()}
    logits = model(batch["input_ids"], use_cache=False).logits
    main = F.cross_entropy(logits.detach()[:, :-1].flatten(0, 1).double(), batch["labels"][:, 1:].flatten())
    assert parts["loss/main"] == pytest.approx(float(main), rel=1e-5) and parts["perplexity"] == pytest.approx(math.exp(main), rel=1e-5)
    assert parts["loss/aux"] == pytest.approx(parts["loss/balance"] + 2 * parts["loss/diversity"] + 0.5 * parts["loss/z"], rel=1e-5)
    assert loss.total.item() == pytest.approx(parts["loss/main"] + 0.3 * parts["loss/aux"], rel=1e-5)
    assert float(loss.weight) == 4 * 11
    assert 0 <= parts["load_min"] <= 1 <= parts["load_max"] <= 2 and 0 < parts["router_entropy"] <= math.log(4)
    assert parts["peer_entropy"] == pytest.approx(1 - parts["loss/diversity"], rel=1e-5)
    assert "peer_entropy" not in make_loss(QUICK)(fresh(tokenizer, peer_attention=False), batch, 1).parts  # there is none, and it said 1


def test_a_dense_model_has_a_main_loss_alone(tokenizer):
    loss = make_loss(QUICK)(fresh(tokenizer, ffn="dense"), batch_of(), 1)
    assert set(loss.parts) == {"loss/main", "perplexity", "tokens_per_s"} and torch.equal(loss.total, loss.parts["loss/main"])


def test_uneven_micro_batches_weigh_by_tokens(tokenizer):
    """The second half of the batch has few labels: cut or whole, the main loss and its gradient are the same (aux is per micro-batch)."""
    batch = batch_of()
    batch["labels"][2:, 3:] = -100
    gradients, mains = [], []
    for cuts in (1, 2, 4):
        model = fresh(tokenizer, aux_loss_weight=0.0)
        processes = Processes("cpu", "no")
        sums = accumulate(model, batch, make_loss(QUICK), 1, accumulation_steps=cuts, processes=processes, seed=0)
        names, values = combine(sums, list(model.parameters()), processes)
        mains.append(float(values[names.index("loss/main")]))
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    for main, gradient in zip(mains[1:], gradients[1:], strict=True):
        assert main == pytest.approx(mains[0], rel=1e-5)
        torch.testing.assert_close(gradient, gradients[0], rtol=1e-3, atol=1e-6)


def test_one_step_lowers_the_loss_on_a_fixed_batch(tokenizer):
    model, batch, loss = fresh(tokenizer), batch_of(), make_loss(QUICK)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    before = loss(model, batch, 1).total
    before.backward()
    optimizer.step()
    assert loss(model, batch, 2).total.item() < before.item()


# --- the alarm ----------------------------------------------------------------------------------------------------------------------


class Said(Run):
    """As much of a run as the alarm sees."""

    def __init__(self):
        self.step, self.is_main, self.sentences = 0, True, []

    def say(self, sentence):
        self.sentences.append(sentence)


def shares(*values):
    return {f"eval/load/0/{expert}": value for expert, value in enumerate(values)} | {"eval/loss": 9.9}


def test_the_alarm_sounds_once_after_so_many_evaluations_in_a_row():
    alarm, run = CollapseAlarm(after=3), Said()
    for step, low in enumerate([0.08, 0.08, 1.0, 0.08, 0.05, 0.03, 0.01, 0.01]):
        run.step = step
        alarm.on_eval(run, shares(low, 2 - low))
        assert len(run.sentences) == (step >= 5)
    said = run.sentences[0]
    assert said.startswith("expert 0 of layer 0 has had 0.03 of its fair share in 3 evaluations") and "\n" not in said


def test_the_alarm_counts_over_a_resume():
    first, run = CollapseAlarm(after=2), Said()
    first.on_eval(run, shares(0.8, 0.02, 0.6, 2.6))
    resumed = CollapseAlarm(after=2)
    resumed.load_state_dict(json.loads(json.dumps(first.state_dict())))
    resumed.on_eval(run, shares(0.8, 0.02, 0.6, 2.6))
    assert len(run.sentences) == 1 and "expert 1 of layer 0 has had 0.02" in run.sentences[0]
    again = CollapseAlarm(after=2)
    again.load_state_dict(json.loads(json.dumps(resumed.state_dict())))
    again.on_eval(run, shares(0.8, 0.02, 0.6, 2.6))
    assert len(run.sentences) == 1  # it was said before the stop


def test_a_healthy_mixture_and_an_alarm_of_0_are_silent():
    """The alarm sounded for the shipped model, whose least used expert had 0.3 of its fair share and whose loss fell to the end."""
    run = Said()
    for alarm, values in ((CollapseAlarm(after=1), (0.26, 2.1, 1.0)), (CollapseAlarm(after=0), (0.0, 3.0, 0.0))):
        alarm.on_eval(run, shares(*values))
    assert run.sentences == []


# --- the run ------------------------------------------------------------------------------------------------------------------------


def run_training(out, config=MODEL, train_config=QUICK, **options):
    return train(config, train_config, out, progress=False, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return run_training(tmp_path_factory.mktemp("moc") / "model")


def rows_of(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_checkpoint_is_whole_and_its_card_names_data_and_command(trained):
    names = {path.name for path in trained.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "README.md", "metrics.jsonl"} <= names
    card = hub.card(trained)
    assert "`procedural` (40 documents for training)" in card and "license: mit" in card and "2 of 4 experts" in card
    assert command_line(MODEL, QUICK, "procedural") in card and hub.load_config(trained)["family"] == "moc"
    assert "lm_head.weight" not in hub.load_tensors(trained)  # tied: stored once


def test_every_number_is_logged_apart(trained):
    last = rows_of(trained)[-1]
    wanted = "loss/main loss/aux loss/balance loss/diversity loss/z perplexity router_entropy peer_entropy load_min load_max tokens_per_s"
    assert set(wanted.split()) <= last.keys() and last["tokens_per_s"] > 0
    assert {"eval/loss", "eval/perplexity", "eval/bits_per_byte", "eval/load/1/3"} <= last.keys()
    assert sum(last[f"eval/load/0/{expert}"] for expert in range(4)) == pytest.approx(4)
    assert last["perplexity"] == pytest.approx(math.exp(last["loss/main"]), rel=1e-5)


def test_training_lowers_the_loss(tmp_path):
    out = run_training(tmp_path / "m", train_config=QUICK.replace(steps=40, log_every=1, learning_rate=5e-3, eval_every=0))
    losses = [row["loss/main"] for row in rows_of(out)]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_reloaded_model_is_the_saved_one_and_transformers_reads_it_too(trained, tmp_path):
    model = load(trained)
    ids = torch.arange(3, 40)[None]
    with torch.no_grad():
        expected = model(ids).logits
        assert torch.equal(load(hub.pull(trained, tmp_path / "copy"))(ids).logits, expected)
        theirs = AutoModelForCausalLM.from_pretrained(trained)
        assert torch.equal(theirs(ids).logits, expected)
    assert model.lm_head.weight is model.model.embed_tokens.weight and theirs.config.eos_token_id == model.config.eos_token_id
    assert AutoTokenizer.from_pretrained(trained)("Era uma vez").input_ids == model.tokenizer.encode("Era uma vez")
    assert generate(model, "A", seed=1, max_new_tokens=9) == generate(load(trained), "A", seed=1, max_new_tokens=9)


def test_an_untied_head_and_half_precision_survive_saving(tokenizer, tmp_path):
    model = fresh(tokenizer, tie_embeddings=False).eval()
    folder = save(model, tmp_path / "m", dtype=torch.float16)
    again, ids = load(folder), torch.arange(3, 30)[None]
    assert again.lm_head.weight is not again.model.embed_tokens.weight and again.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(again(ids).logits, model(ids).logits, atol=2e-3, rtol=1e-2)
        assert AutoModelForCausalLM.from_pretrained(folder).dtype == torch.float16


def test_a_source_that_is_not_there_leaves_no_folder(tmp_path):
    """A typo in --source left an empty folder with a lock file where the checkpoint would have been."""
    with pytest.raises(FileNotFoundError):
        run_training(tmp_path / "m", source=str(tmp_path / "nowhere"))
    assert not (tmp_path / "m").exists()


def test_killed_and_resumed_equals_never_killed(trained, tmp_path):
    """Bit for bit, with the evaluation, the data position and the prepared data: stopped after step 2, between two evaluations."""
    calls = iter(range(100))
    out = run_training(tmp_path / "m", should_stop=lambda: next(calls) >= 2)
    stamp = (out / ".data" / "train.bin").stat().st_mtime_ns
    resumed = run_training(out, resume=True)
    ours, whole = hub.load_tensors(resumed), hub.load_tensors(trained)
    assert ours.keys() == whole.keys() and all(torch.equal(ours[name], whole[name]) for name in whole)
    assert (out / ".data" / "train.bin").stat().st_mtime_ns == stamp  # prepared once
    assert not any(name.startswith(".data") for name in hub.checkpoint_files(out))  # and pushed never: its meta.json once would have been
    for key in ("loss", "eval/loss", "eval/load/0/0"):
        assert rows_of(resumed)[-1][key] == rows_of(trained)[-1][key]


def test_the_current_folder_is_refused_before_the_training(tmp_path, monkeypatch):
    """--out . trained to the end, and then the save deleted the folder in which the process and its shell were."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="must not be the current one or one above it"):
        run_training(".")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_cancelled_while_it_waits_leaves_the_checkpoint_as_it_is(trained, tmp_path, monkeypatch):
    """A second training that resumed, waited for the first one of the process and was cancelled put its untrained model over the result."""
    out = shutil.copytree(trained, tmp_path / "m")
    busy = threading.Lock()
    busy.acquire()
    monkeypatch.setattr(training, "_ONE_AT_A_TIME", busy)
    assert run_training(out, resume=True, should_stop=lambda: True) == out
    for name in ("model.safetensors", "README.md", "metrics.jsonl"):
        assert (out / name).read_bytes() == (trained / name).read_bytes()


def test_killed_with_signal_9_and_resumed_equals_never_killed(trained, tmp_path):
    """Another process, killed inside step 5 without a chance to say goodbye, dropout and accumulation on: against one that ran through."""
    config, run = MODEL.replace(dropout=0.1), QUICK.replace(save_every=2, accumulation_steps=2, eval_every=0)
    script = (
        "import os, signal, sys, torch; torch.set_num_threads(1)\n"
        "from lunaris.core.training import Callback\n"
        "from lunaris.moc.config import MoCModelConfig\nfrom lunaris.moc.train import MoCTrainConfig, train\n"
        "class Kill(Callback):\n    def on_step(self, run):\n        if run.step == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"train(MoCModelConfig.from_dict({config.to_dict()!r}), MoCTrainConfig.from_dict({run.to_dict()!r}), sys.argv[1], "
        "callbacks=(Kill(),), progress=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "m")], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr[-500:]
    resumed = hub.load_tensors(run_training(tmp_path / "m", config, run, resume=True))
    whole = hub.load_tensors(run_training(tmp_path / "whole", config, run))
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_resuming_with_another_model_or_other_data_is_refused(trained, tmp_path):
    calls = iter(range(100))
    out = run_training(tmp_path / "m", should_stop=lambda: next(calls) >= 1)
    with pytest.raises(ValueError, match="cannot resume with the model's top_k 3: it began with 2; use that, or another --out"):
        run_training(out, MODEL.replace(top_k=3), resume=True)
    with pytest.raises(ValueError, match="was prepared from 'procedural', not from 'procedural:pt'; give that --source"):
        run_training(out, source="procedural:pt", resume=True)
    with pytest.raises(ValueError, match="was prepared with seed 0, not 1; give that --seed"):
        run_training(out, train_config=QUICK.replace(seed=1), resume=True)
    prepare("procedural", tmp_path / "ready", vocab_size=300, n_stories=40, seed=9)
    with pytest.raises(ValueError, match="cannot resume with other data than this run began with"):
        run_training(out, source=tmp_path / "ready", resume=True)


def texts_in(folder, n=30):
    folder.mkdir()
    for i in range(n):
        (folder / f"{i}.txt").write_text(f"Texto {i}. O mar estava calmo e a casa era branca. " * 8, encoding="utf-8")
    return folder


def test_resuming_with_other_validation_texts_is_refused(tmp_path):
    """The training tokens alone were compared: a run could go on, and be measured, on validation texts other than those it began with."""
    texts, calls = texts_in(tmp_path / "texts"), iter(range(100))
    prepare(texts, tmp_path / "before", vocab_size=300)
    held = texts / load_source(texts, split="validation")[0].name
    held.write_text(held.read_text().replace("branca", "azul"))
    prepare(texts, tmp_path / "after", vocab_size=300)
    assert (tmp_path / "before/train.bin").read_bytes() == (tmp_path / "after/train.bin").read_bytes()
    out = run_training(tmp_path / "m", source=tmp_path / "before", should_stop=lambda: next(calls) >= 1)
    with pytest.raises(ValueError, match="cannot resume with other data than this run began with"):
        run_training(out, source=tmp_path / "after", resume=True)


def test_a_training_that_failed_leaves_no_data_to_the_next_one(tmp_path):
    """The texts were too few, and the sentence said to add some; then the old ones were taken again, whatever was added, and so were an
    old --stories and an old vocab_size."""
    texts, out, brief = tmp_path / "texts", tmp_path / "m", QUICK.replace(steps=1, eval_every=0, seq_len=60)
    texts.mkdir()
    (texts / "a.txt").write_text("Um gato via a lua.", encoding="utf-8")
    with pytest.raises(ValueError, match="the data must have at least seq_len = 60 tokens, got .*; add texts or lower seq_len"):
        run_training(out, train_config=brief, source=texts)
    shutil.copytree(texts_in(tmp_path / "more"), texts, dirs_exist_ok=True)
    run_training(out, train_config=brief, source=texts)
    assert json.loads((out / ".data/meta.json").read_text())["sources"][0]["documents"]["train"] > 20

    class Stop(Exception):
        pass

    class Fail(Callback):
        def on_start(self, run):
            raise Stop

    def made(config=MODEL, **changes):
        with pytest.raises(Stop):
            run_training(tmp_path / "n", config, brief.replace(**changes), callbacks=(Fail(),))
        meta = json.loads((tmp_path / "n/.data/meta.json").read_text())
        return meta["sources"][0]["documents"]["train"], meta["vocab_size"]

    assert made() == (40, 320) and made(stories=30) == (30, 320) and made(MODEL.replace(vocab_size=300), stories=30) == (30, 300)


def test_a_run_goes_on_with_its_own_texts_alone(tmp_path):
    """A saved state hangs on the data: a difference is refused and named. A meta.json of before knows of none, and goes on."""
    texts, calls = texts_in(tmp_path / "texts"), iter(range(100))
    run = QUICK.replace(eval_every=0)
    out = run_training(tmp_path / "m", train_config=run, source=f"procedural+{texts}", should_stop=lambda: next(calls) >= 1)
    go_on = {"source": f"procedural+{texts}", "resume": True, "should_stop": lambda: True}
    stamp = (out / ".data/train.bin").stat().st_mtime_ns
    with pytest.raises(ValueError, match="was prepared from 40 stories, not 50; give that --stories, or another --out"):
        run_training(out, train_config=run.replace(stories=50), **go_on)
    with pytest.raises(ValueError, match="was prepared with a vocab_size of 320, not a vocab_size of 310; give that, or another --out"):
        run_training(out, MODEL.replace(vocab_size=310), run, **go_on)
    old = (texts / "3.txt").read_text()
    (texts / "3.txt").write_text(old.replace("calmo", "bravo"))
    with pytest.raises(ValueError, match="was prepared from other texts of 'texts' than are there now; put those back, or another --out"):
        run_training(out, train_config=run, **go_on)
    (texts / "3.txt").write_text(old)
    run_training(out, train_config=run, **go_on)
    meta = json.loads((out / ".data/meta.json").read_text())
    (out / ".data/meta.json").write_text(json.dumps({key: value for key, value in meta.items() if key != "asked"}))
    run_training(out, train_config=run, **go_on)
    assert (out / ".data/train.bin").stat().st_mtime_ns == stamp


def test_the_evaluations_of_a_training_look_at_all_of_the_validation_text(tmp_path, monkeypatch):
    """They read its first tokens alone, mostly of one work, and by that the collapse alarm judged the experts."""
    asked, module = [], sys.modules["lunaris.moc.train"]
    monkeypatch.setattr(
        module, "score_stream", lambda model, ids, **order: asked.append((len(ids), order)) or score_stream(model, ids, **order)
    )
    out = run_training(tmp_path / "m", train_config=QUICK.replace(steps=1, eval_every=1))
    n, order = asked[0]
    assert n > 4 * 300 and order == {"seq_len": 32, "max_tokens": 300, "spread": True}
    model, stream = load(out), np.fromfile(out / ".data/valid.bin", np.uint16)
    assert rows_of(out)[-1]["eval/loss"] == pytest.approx(score_stream(model, stream, **order).loss, rel=1e-4)
    assert rows_of(out)[-1]["eval/loss"] != pytest.approx(score_stream(model, stream, seq_len=32, max_tokens=300).loss, rel=1e-4)


def test_a_prepared_folder_is_used_as_it_is(tmp_path):
    prepare("procedural", tmp_path / "ready", vocab_size=300, n_stories=40)
    out = run_training(tmp_path / "m", source=tmp_path / "ready", train_config=QUICK.replace(steps=1, eval_every=0))
    assert not (out / ".data").exists() and "`procedural` (40 documents" in hub.card(out)
    with pytest.raises(ConfigError, match="vocab_size must be at least the 300 entries of the data's tokenizer, got 290"):
        run_training(tmp_path / "n", MODEL.replace(vocab_size=290), source=tmp_path / "ready")


def test_a_cut_off_token_file_is_one_sentence(tmp_path):
    prepare("procedural", tmp_path / "ready", vocab_size=300, n_stories=40)
    whole = (tmp_path / "ready" / "train.bin").read_bytes()
    (tmp_path / "ready" / "train.bin").write_bytes(whole[:-10])
    with pytest.raises(ValueError, match=r"train.bin must have .* bytes and has .*; run moc prepare again"):
        run_training(tmp_path / "m", source=tmp_path / "ready")


def test_texts_longer_than_the_model_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="seq_len must be at most the model's max_seq_len 64, got 65; try 64"):
        run_training(tmp_path / "m", train_config=QUICK.replace(seq_len=65))


def test_training_leaves_the_callers_random_numbers_alone(tmp_path):
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    run_training(tmp_path / "m", train_config=QUICK.replace(steps=1, eval_every=0))
    assert torch.equal(torch.rand(3), expected)


# --- going on from a checkpoint ------------------------------------------------------------------------------------------------------


def test_a_training_goes_on_from_a_checkpoint_with_its_tokenizer(trained, tmp_path):
    """Step 0 of the second run is the first run's model, on other texts and with a longer window."""
    texts = tmp_path / "texts"
    texts.mkdir()
    for i in range(12):
        (texts / f"{i}.txt").write_text(f"Texto {i} sobre o mar e a casa branca. " * 6, encoding="utf-8")
    first = load(trained)
    seen = {}

    class Look(Callback):
        def on_start(self, run):
            seen.update({name: tensor.clone() for name, tensor in run.model.state_dict().items()})

    run = QUICK.replace(init_from=str(trained), steps=2, eval_every=0)
    out = run_training(tmp_path / "m", MODEL.replace(max_seq_len=128, dropout=0.1), run, source=texts, callbacks=(Look(),))
    assert all(torch.equal(tensor, seen[name]) for name, tensor in first.state_dict().items())
    second = load(out)
    assert tokenizer_hash(second.tokenizer) == tokenizer_hash(first.tokenizer) and second.config.max_seq_len == 128
    assert all(second.seen.unseen(document) is None for document in load_source(texts))
    assert "--init-from model " in hub.card(out) and str(trained.parent) not in hub.card(out)  # the card named the folder's whole path
    with pytest.raises(ConfigError, match="n_experts must be that of init_from, 4, got 8; set n_experts: 4"):
        run_training(tmp_path / "n", MODEL.replace(n_experts=8), run)
    prepare(texts, tmp_path / "other", vocab_size=280)
    with pytest.raises(ValueError, match="was made with another tokenizer than the model's"):
        run_training(tmp_path / "o", train_config=run, source=tmp_path / "other")


def test_a_dense_checkpoint_goes_on_as_a_mixture_with_the_same_logits(tmp_path):
    dense = run_training(tmp_path / "dense", MODEL.replace(ffn="dense", dense_hidden=32))
    ids = torch.arange(3, 20)[None]
    found = {}

    class Look(Callback):
        def on_start(self, run):
            with torch.no_grad():
                found["logits"] = run.model.eval()(input_ids=ids).logits
                run.model.train()

    run_training(tmp_path / "moc", train_config=QUICK.replace(init_from=str(dense), steps=1, eval_every=0), callbacks=(Look(),))
    with torch.no_grad():
        expected = load(dense)(input_ids=ids).logits
    torch.testing.assert_close(found["logits"], expected, rtol=1e-5, atol=1e-6)


def test_a_dense_model_goes_on_from_a_dense_one_of_its_width(tmp_path):
    """The advice was to set expert_hidden: 32, which makes a dense layer of twice that, and whoever took it got a traceback."""
    dense = MODEL.replace(ffn="dense", dense_hidden=32)
    save(new_model(dense, BpeTokenizer.train(["a"], vocab_size=300, special_tokens=[END])), tmp_path / "dense")
    run = QUICK.replace(init_from=str(tmp_path / "dense"), steps=1, eval_every=0)
    with pytest.raises(ConfigError, match="dense_hidden must be that of init_from, 32, got 64; set dense_hidden: 32"):
        run_training(tmp_path / "m", MODEL.replace(ffn="dense"), run)
    run_training(tmp_path / "m", MODEL.replace(ffn="dense", expert_hidden=16), run)  # 2 · 16


def test_two_processes_train_as_one(tmp_path):
    """Under torchrun the balance loss is that of both processes' tokens, texts are prepared once, and one process saves.

    By shards it would be another loss: the product of two means over four texts is not the mean of the products over two and two.
    """
    run = QUICK.replace(steps=4, eval_every=2, accumulation_steps=1)
    config = MODEL.replace(aux_loss_weight=1.0)
    script = tmp_path / "job.py"
    script.write_text(
        "import sys\nimport torch.distributed as dist\nfrom lunaris.moc import MoCModelConfig, MoCTrainConfig, train\n"
        f"train(MoCModelConfig.from_dict({config.to_dict()!r}), MoCTrainConfig.from_dict({run.to_dict()!r}), sys.argv[1], progress=False)\n"
        "assert dist.get_world_size() == 2\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script), str(tmp_path / "two")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(lunaris.__file__).parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    alone = hub.load_tensors(run_training(tmp_path / "one", config, run))
    together = hub.load_tensors(tmp_path / "two")
    for name, tensor in alone.items():
        torch.testing.assert_close(together[name], tensor, rtol=0, atol=2e-5, msg=lambda text, name=name: f"{name}: {text}")
    logs = [[json.loads(line) for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()] for run in ("one", "two")]
    for one, two in zip(*logs, strict=True):
        if "loss/balance" in one:
            assert one["loss/balance"] == pytest.approx(two["loss/balance"], abs=1e-5)


def test_batches_of_the_run_follow_seq_len(trained):
    batch = Batches(trained / ".data", 4, 32)(0, 1)
    assert batch["input_ids"].shape == (4, 32) and rows_of(trained)[-1]["step"] == 6


def test_echoes_reach_the_batches_of_a_run(tmp_path):
    """With nothing but echoes the first step's loss is another one."""
    with_echoes = run_training(tmp_path / "echoes", MODEL, QUICK.replace(echoes=1.0, log_every=1))
    without = run_training(tmp_path / "plain", MODEL, QUICK.replace(log_every=1))
    losses = [[row["loss/main"] for row in rows_of(out) if "loss/main" in row] for out in (with_echoes, without)]
    assert len(losses[0]) == 6 and losses[0][0] != losses[1][0]


def test_figures_of_a_dense_model_have_no_load(tokenizer):
    from lunaris.moc.metrics import score_stream, stream_of

    told = figures(score_stream(fresh(tokenizer, ffn="dense"), stream_of(["era uma vez"], tokenizer)))
    assert set(told) == {"loss", "perplexity", "bits_per_byte"}


# --- loading is strict --------------------------------------------------------------------------------------------------------------


def test_strict_loading_names_the_weight_the_key_and_the_family(trained, tmp_path):
    tensors, config = hub.load_tensors(trained), hub.load_config(trained)
    name = "model.layers.0.mlp.router"
    cases = {
        "missing": (tensors.keys() - {name}, config, "lacks weight 'model.layers.0.mlp.router'"),
        "family": (tensors.keys(), config | {"family": "pixel"}, "is a checkpoint of family 'pixel', not 'moc'"),
        "typo": (tensors.keys(), config | {"n_expert": 4}, "unknown key 'n_expert' in config.json; did you mean 'n_experts'?"),
        "value": (tensors.keys(), config | {"num_experts_per_tok": 9}, "top_k must be at most n_experts 4, got 9"),
        "shape": (tensors.keys(), config | {"n_layers": 3}, "lacks the weights"),
    }
    for case, (kept, table, message) in cases.items():
        folder = hub.save(tmp_path / case, tensors={key: tensors[key] for key in kept}, config=table)
        with pytest.raises(ValueError, match=message):
            load(folder)
    folder = hub.save(tmp_path / "surplus", tensors=tensors | {"extra.weight": torch.zeros(2)}, config=config)
    with pytest.raises(ValueError, match="has weight 'extra.weight' that the model lacks"):
        load(folder)


def test_a_full_disk_while_saving_is_one_sentence(trained, tmp_path, monkeypatch):
    model = load(trained)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lunaris.core.checkpoint._write_weights", full)
    with pytest.raises(OSError, match="cannot write .*: No space left on device; choose a folder that you can write to"):
        save(model, tmp_path / "m")
    assert not (tmp_path / "m").exists()
