"""LunarisCore's loss and training run: every part against a second way to compute it, every YAML key alive, progressive training."""

import dataclasses
import json
import math
import shlex
import threading

import pytest
import torch
import yaml

from lunaris.cli import main
from lunaris.core import training
from lunaris.core.config import ConfigError, load_yaml
from lunaris.core.images import from_model, read_image
from lunaris.core.training import Run
from lunaris.pixel import LunarCore, PixelConfig, PixelTrainConfig, load, train
from lunaris.pixel.data import Batches, load_source
from lunaris.pixel.train import (
    CollapseAlarm,
    Samples,
    align,
    in_steps,
    infonce,
    kl_per_dimension,
    kl_weight,
    make_loss,
    prepare,
    prompts_of,
    start_from,
    watchers,
)

TINY = PixelConfig.tiny().replace(latent_dim=16, filters=(8, 16), palette_size=80)
QUICK = PixelTrainConfig.tiny().replace(steps=4, batch_size=8, sprites=24, warmup_steps=0, tracker="none", device="cpu")


def model_and_batch(config=TINY, train_config=QUICK):
    torch.manual_seed(0)
    data = load_source("procedural", side=config.side, n=24)
    model = prepare(config, train_config, data)
    return model, Batches(data, 8, config, model.tokenizer)(0, 1)


# --- the loss ----------------------------------------------------------------------------------------------------------------------


def test_kl_equals_torch_distributions():
    mean, logvar = torch.randn(5, 3), torch.randn(5, 3)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, (logvar / 2).exp()), normal(0.0, 1.0))
    torch.testing.assert_close(kl_per_dimension(mean, logvar), expected)


def test_infonce_equals_a_loop_and_skips_equal_captions():
    image, text = torch.randn(4, 6), torch.randn(4, 6)
    same = torch.eye(4, dtype=torch.bool)
    same[0, 2] = same[2, 0] = True
    cosine = torch.nn.functional.cosine_similarity
    total = 0.0
    for i in range(4):
        others = [j for j in range(4) if j == i or not same[i, j]]
        rows = torch.tensor([float(cosine(image[i], text[j], dim=0)) / 0.1 for j in others])
        columns = torch.tensor([float(cosine(image[j], text[i], dim=0)) / 0.1 for j in others])
        total += -float(rows.log_softmax(0)[others.index(i)] + columns.log_softmax(0)[others.index(i)]) / 8
    assert float(infonce(image, text, same)) == pytest.approx(total, rel=1e-4)


def test_cosine_alignment_is_zero_for_equal_directions():
    x = torch.randn(3, 4)
    config = QUICK.replace(alignment="cosine")
    assert float(align(config, x, 2 * x, torch.zeros(3, 1))) == pytest.approx(0, abs=1e-6)
    assert float(align(config, x, -x, torch.zeros(3, 1))) == pytest.approx(2, abs=1e-6)


def test_total_is_the_weighted_sum_of_the_logged_parts():
    config = QUICK.replace(beta=3.0, alignment_weight=0.5, steps=10, kl_warmup=1.0)
    model, batch = model_and_batch()
    loss = make_loss(config)(model, batch, 4)
    parts = {name: float(value) for name, value in loss.parts.items()}
    expected = parts["loss/recon"] + 3.0 * 0.4 * parts["loss/kl"] + 0.5 * parts["loss/align"]
    assert float(loss.total) == pytest.approx(expected, rel=1e-5)


def test_kl_weight_rises_and_stays():
    config = QUICK.replace(steps=10, beta=2.0, kl_warmup=0.5)
    assert [round(kl_weight(config, step), 3) for step in (1, 4, 5, 10)] == [0.4, 1.6, 2.0, 2.0]
    assert kl_weight(config.replace(kl_warmup=0.0), 1) == 2.0


def test_mse_loss_does_not_collapse_the_posterior():
    """PX-13: with the spec's plain mean losses the KL term wins and no latent dimension stays in use."""
    torch.manual_seed(0)
    config = TINY.replace(head="mse", use_text=False)
    run = QUICK.replace(steps=60, kl_warmup=0.2)
    data = load_source("procedural", side=16, n=64)
    model, batch_at = prepare(config, run, data), Batches(data, 32, config, None)
    optimizer, loss = torch.optim.Adam(model.parameters(), 3e-3), make_loss(run)
    for step in range(1, 61):
        optimizer.zero_grad()
        loss(model, batch_at(0, step), step).total.backward()
        optimizer.step()
    mean, _ = model.eval().encode(batch_at.images)
    assert int((mean.var(0) > 0.01).sum()) >= 8


def test_free_bits_cost_nothing_below_the_floor():
    model, batch = model_and_batch()
    torch.manual_seed(1)
    plain = make_loss(QUICK.replace(beta=1.0))(model, batch, 4)
    torch.manual_seed(1)
    freed = make_loss(QUICK.replace(beta=1.0, free_bits=5.0))(model, batch, 4)
    floor = 5.0 * TINY.latent_dim
    assert float(freed.total - plain.total) == pytest.approx(floor - float(plain.parts["loss/kl"]), rel=0.2)


@pytest.mark.parametrize("head", ["mse", "palette", "slot"])
@pytest.mark.parametrize("fusion", ["concat", "add", "gate"])
def test_every_head_and_fusion_learns_one_batch(head, fusion):
    """C1-2: each trains; one fixed batch gets a lower loss, and every parameter gets a gradient."""
    model, batch = model_and_batch(TINY.replace(head=head, latent_fusion={"type": fusion}), QUICK.replace(text_dropout=0.5))
    loss = make_loss(QUICK.replace(text_dropout=0.5))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    torch.manual_seed(0)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        value = loss(model, batch, 4).total
        value.backward()
        losses.append(float(value.detach()))
        optimizer.step()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert losses[-1] < 0.95 * losses[0] and not without


# --- configuration -------------------------------------------------------------------------------------------------------------------

SPEC = """
model:
  latent_dim: 256
  filters: [64, 128, 256, 512]
  input_shape: [16, 16, 3]
  use_text: true
  text_encoder_config: {hidden_dim: 512, intermediate_dim: 2048, num_layers: 3, num_heads: 8, dropout_rate: 0.1}
  latent_fusion: {type: gate}
training:
  batch_size: 64
  learning_rate: 2e-4
  beta1: 0.5
  beta2: 0.999
  num_epochs: 100
  save_interval: 5
  eval_interval: 1
"""


def from_yaml(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    tables = load_yaml(tmp_path / "c.yaml", {"model": PixelConfig, "training": PixelTrainConfig})
    return PixelConfig.from_dict(tables["model"]), PixelTrainConfig.from_dict(tables["training"])


def test_spec_yaml_is_the_default_configuration(tmp_path):
    """PX-16: the spec's file runs unchanged and says what our defaults say."""
    model, training = from_yaml(tmp_path, SPEC)
    assert model == PixelConfig.full() and training == PixelTrainConfig()


def effect(model: PixelConfig, training: PixelTrainConfig):
    """What a run with these settings amounts to: parameter shapes, dropout, the schedule in steps, the optimizer's numbers."""
    run = in_steps(training, steps_per_epoch=10)
    core = LunarCore.from_config(model)
    shapes = {name: tuple(p.shape) for name, p in core.state_dict().items()}
    dropout = {m.p for m in core.modules() if isinstance(m, torch.nn.Dropout)}
    heads = {m.num_heads for m in core.modules() if hasattr(m, "num_heads")}
    kinds = type(getattr(core, "fusion", None)).__name__
    return shapes, dropout, heads, kinds, run.steps, run.save_every, run.eval_every, run.batch_size, run.learning_rate, run.beta1, run.beta2


CHANGES = {
    "model.latent_dim": 8,
    "model.filters": [8, 16],
    "model.input_shape": [32, 32, 3],
    "model.use_text": False,
    "model.text_encoder_config.hidden_dim": 32,
    "model.text_encoder_config.intermediate_dim": 64,
    "model.text_encoder_config.num_layers": 1,
    "model.text_encoder_config.num_heads": 4,
    "model.text_encoder_config.dropout_rate": 0.3,
    "model.latent_fusion.type": "concat",
    "training.batch_size": 32,
    "training.learning_rate": 1e-3,
    "training.beta1": 0.9,
    "training.beta2": 0.99,
    "training.num_epochs": 7,
    "training.save_interval": 2,
    "training.eval_interval": 3,
}


@pytest.mark.parametrize("key", CHANGES)
def test_every_yaml_key_is_live(tmp_path, key):
    """PX-16: flipping any key of the spec's file changes what the run does."""
    table = yaml.safe_load(SPEC.replace("2e-4", "2.0e-4").replace("hidden_dim: 512", "vocab_size: 400, hidden_dim: 64"))
    base = effect(*from_yaml(tmp_path, yaml.safe_dump(table)))
    *parents, name = key.split(".")
    inner = table
    for parent in parents:
        inner = inner[parent]
    inner[name] = CHANGES[key]
    assert effect(*from_yaml(tmp_path, yaml.safe_dump(table))) != base


def test_yaml_covers_exactly_the_spec_keys():
    """The table above flips every key that the spec's file has."""

    def keys(table, prefix=""):
        for name, value in table.items():
            yield from keys(value, f"{prefix}{name}.") if isinstance(value, dict) else [f"{prefix}{name}"]

    assert set(keys(yaml.safe_load(SPEC))) == set(CHANGES)


def test_steps_count_instead_of_epochs_when_given():
    run = in_steps(QUICK.replace(steps=0, num_epochs=3, save_interval=2, eval_interval=1), 10)
    assert (run.steps, run.save_every, run.eval_every) == (30, 20, 10)
    assert in_steps(QUICK.replace(steps=5), 10).steps == 5


# --- runs --------------------------------------------------------------------------------------------------------------------------


def test_run_leaves_a_checkpoint_with_card_words_and_log(tmp_path):
    out = train(TINY, QUICK, tmp_path / "run", progress=False)
    model = load(out)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "python -m lunaris pixel train" in card and "psnr_db" in card
    assert model.config == TINY and "sprite" in model.words and model.generate(2, "a red potion").shape == (2, 4, 16, 16)
    steps = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert steps[-1] == 4


def test_the_command_on_the_card_trains_the_same_model_again(tmp_path):
    """The card of a run with changed settings named only seed, steps and batch size: nobody could have repeated it."""
    out = train(TINY, QUICK, tmp_path / "run", source="procedural:potion,chave", progress=False)
    card = (out / "README.md").read_text(encoding="utf-8")
    command = next(line for line in card.splitlines() if line.startswith("python -m lunaris"))
    words = shlex.split(command.replace("DIR", shlex.quote(str(tmp_path / "again"))))[3:]
    assert main([*words, "--device", "cpu", "--tracker", "none"]) == 0
    assert (out / "model.safetensors").read_bytes() == (tmp_path / "again" / "model.safetensors").read_bytes()


def test_fp16_on_disk_halves_the_file_and_keeps_the_palette_exact(tmp_path):
    full = train(TINY, QUICK, tmp_path / "fp32", progress=False)
    half = train(TINY, QUICK.replace(save_dtype="fp16"), tmp_path / "fp16", progress=False)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (full, half)]
    assert sizes[1] < 0.6 * sizes[0]
    colours = [from_model(load(folder).head.palette[:, :, None, None]) for folder in (full, half)]
    assert (colours[0] == colours[1]).all()


def test_training_on_a_folder_says_so_on_the_card(tmp_path):
    from PIL import Image

    from lunaris.pixel import sprites

    folder = tmp_path / "my sprites"
    folder.mkdir()
    made = sprites.make(40, side=16, split="all")
    for i, (image, caption) in enumerate(zip(made.images, made.captions, strict=True)):
        Image.fromarray(image).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(caption, "utf-8")
    for i in range(40):  # groups come from the names; let some be held out
        (folder / f"{i}.png").rename(folder / f"sprite {chr(97 + i % 26)}{chr(97 + i // 26)}.png")
        (folder / f"{i}.txt").rename(folder / f"sprite {chr(97 + i % 26)}{chr(97 + i // 26)}.txt")
    out = train(TINY, QUICK, tmp_path / "run", source=folder, progress=False)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "my sprites" in card and str(tmp_path) not in card and "drawn by Lunaris" not in card


def test_progressive_training_takes_over_the_picture_weights_and_freezes_them(tmp_path):
    """PX-19: pictures first, prompts after; PX-12: concat is projected back, so the same decoder serves both."""
    pictures = train(TINY.replace(use_text=False), QUICK, tmp_path / "pictures", progress=False)
    run = QUICK.replace(init_from=str(pictures), freeze=True, learning_rate=1e-2)
    prompts = load(train(TINY, run, tmp_path / "prompts", progress=False))
    before = load(pictures).state_dict()
    after = prompts.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert prompts.config.use_text and prompts.generate(1, "a red potion").isfinite().all()
    free = load(train(TINY, run.replace(freeze=False), tmp_path / "free", progress=False)).state_dict()
    assert any(not torch.equal(free[name], value) for name, value in before.items())


def test_progressive_start_draws_what_the_picture_model_drew(tmp_path):
    """Before its first step the text model without a prompt is the picture model: the null vector is zero and concat starts as z."""
    data = load_source("procedural", side=16, n=24)
    pictures = prepare(TINY.replace(use_text=False), QUICK, data).eval()
    model = prepare(TINY, QUICK, data)
    start_from(model, pictures)
    torch.testing.assert_close(model.eval().generate(3, seed=5), pictures.generate(3, seed=5))


def test_starting_from_an_unequal_model_names_the_key():
    data = load_source("procedural", side=16, n=24)
    with pytest.raises(ConfigError, match=r"latent_dim must equal that of init_from, got 16 and 8; set latent_dim to 8"):
        start_from(prepare(TINY, QUICK, data), prepare(TINY.replace(latent_dim=8), QUICK, data))
    with pytest.raises(ConfigError, match="freeze needs init_from"):
        QUICK.replace(freeze=True)


def test_cancelled_run_leaves_a_checkpoint_that_loads_and_resumes(tmp_path):
    calls = []

    def stop_after_two():
        calls.append(1)
        return len(calls) > 2

    out = train(TINY, QUICK, tmp_path / "run", should_stop=stop_after_two, progress=False)
    assert load(out).generate().shape == (1, 4, 16, 16)
    resumed = load(train(TINY, QUICK, tmp_path / "run", resume=True, progress=False)).state_dict()
    whole = load(train(TINY, QUICK, tmp_path / "whole", progress=False)).state_dict()
    assert all(torch.equal(whole[name], value) for name, value in resumed.items())


def test_the_current_folder_is_refused_before_the_training(tmp_path, monkeypatch):
    """--out . trained to the end, and then the save deleted the folder in which the process and its shell were."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="must not be the current one or one above it"):
        train(TINY, QUICK, ".", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_cancelled_while_it_waits_leaves_the_checkpoint_as_it_is(tmp_path, monkeypatch):
    """A second training that resumed, waited for the first one of the process and was cancelled put its untrained model over the result."""
    out = train(TINY, QUICK, tmp_path / "run", progress=False)
    before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    busy = threading.Lock()
    busy.acquire()
    monkeypatch.setattr(training, "_ONE_AT_A_TIME", busy)
    assert train(TINY, QUICK, out, resume=True, should_stop=lambda: True, progress=False) == out
    assert {path: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


# --- what a run shows of itself ------------------------------------------------------------------------------------------------------


def sheets(out):
    return {int(path.stem): path for path in (out / "samples").iterdir()}


def test_a_run_draws_the_same_prompts_and_seeds_at_every_evaluation(tmp_path):
    """PX-20: a run on the command line showed numbers only. The last sheet is what the checkpoint draws, and every file has the mark."""
    run = QUICK.replace(learning_rate=1e-2)
    out = train(TINY.replace(head="mse"), run, tmp_path / "run", progress=False)  # four steps of another head draw nothing yet
    assert sheets(out).keys() == {3, 4}  # 24 sprites in batches of 8: an evaluation every three steps, and one at the end
    model, held = load(out), load_source("procedural", side=16, split="validation", n=512, seed=run.seed + 1)
    for i, prompt in enumerate(prompts_of(held, 16)):
        y, x = 16 * (i // 8), 16 * (i % 8)
        expected = from_model(model.generate(1, prompt, seed=i, temperature=0.7))[0]
        assert (read_image(sheets(out)[4])[y : y + 16, x : x + 16] == expected).all()
    assert all(b"trainedAlgorithmicMedia" in path.read_bytes() for path in sheets(out).values())
    assert (read_image(sheets(out)[3]) != read_image(sheets(out)[4])).any()


def test_a_flow_paints_its_samples_and_a_matcher_has_none(tmp_path):
    plain = TINY.replace(head="mse")
    flow = plain.replace(sampler="flow", flow={"filters": [8, 16], "blocks": [1, 1], "word_dim": 16, "condition_dim": 16})
    once = QUICK.replace(steps=2, eval_interval=100)
    vae = train(plain, once, tmp_path / "vae", progress=False)
    out = train(flow, once.replace(stage="flow", init_from=str(vae)), tmp_path / "flow", progress=False)
    held = load_source("procedural", side=16, split="validation", n=512, seed=QUICK.seed + 1)
    sketch, painted = (
        from_model(load(out).generate(1, prompts_of(held, 16)[0], seed=0, temperature=0.7, mode=mode))[0] for mode in ("instant", "quality")
    )
    assert (read_image(sheets(out)[2])[:16, :16] == painted).all() and (sketch != painted).any()
    assert watchers(QUICK.replace(stage="matcher", init_from=str(vae)), held, out) == []


def test_a_long_run_draws_a_bounded_number_of_sheets_also_when_it_is_resumed(tmp_path):
    model, _ = model_and_batch()
    samples = Samples(["a key"], lambda step: tmp_path / f"{step}.png", looks=5)
    for step in range(10, 1001, 10):
        run = Run(model, QUICK.replace(steps=1000), tmp_path / "run")
        run.step = step
        samples.on_eval(run, {})
        if step == 500:
            state, samples = samples.state_dict(), Samples(["a key"], samples.file, looks=5)
            samples.load_state_dict(json.loads(json.dumps(state)))
    drawn = sorted(int(path.stem) for path in tmp_path.glob("*.png"))
    assert drawn == samples.rows == [10, 200, 400, 600, 800, 1000]


class Said(Run):
    """As much of a run as the alarm sees."""

    def __init__(self):
        self.step, self.is_main, self.sentences = 0, True, []

    def say(self, sentence):
        self.sentences.append(sentence)


def heard(dims: dict[int, int], config: PixelTrainConfig) -> list[str]:
    """What the alarm says of active_dims by step; it is stopped and resumed after each."""
    run, alarm = Said(), CollapseAlarm(config)
    for step, active in dims.items():
        run.step = step
        alarm.on_eval(run, {"eval/active_dims": float(active)})
        state, alarm = alarm.state_dict(), CollapseAlarm(config)
        alarm.load_state_dict(json.loads(json.dumps(state)))
    return run.sentences


def test_the_alarm_tells_a_collapse_once_and_lets_latents_wake_late():
    """C1-12. Without a warm-up the latents of the tiny preset sleep in the first evaluations, and wake: no alarm."""
    config = QUICK.replace(steps=100, kl_warmup=0.4)
    (said,) = heard({step: 0 for step in range(10, 101, 10)}, config)
    assert said.startswith("no latent dimension is in use after step 60 (active_dims is 0): the posterior has collapsed")
    assert "free_bits above 0, beta below 3 or a longer kl_warmup" in said
    woken = {10: 0, 20: 0, 30: 0, 40: 0, 50: 1, 60: 0, 70: 0, 80: 5, 100: 9}
    assert heard(woken, config.replace(kl_warmup=0.0)) == []
    assert len(heard({100: 0}, config)) == 1  # the only evaluation: it will not wake any more


def test_a_run_that_collapses_says_so(tmp_path, capsys):
    """From the loss to the sentence, with a KL weight no latent can bear."""
    run = QUICK.replace(steps=30, beta=1000.0, learning_rate=1e-2, ema_decay=0.0, eval_interval=100)
    train(TINY.replace(head="mse", use_text=False), run, tmp_path / "run", progress=False)
    last = json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[-1])
    assert last["eval/active_dims"] == 0
    assert "the posterior has collapsed" in "".join(capsys.readouterr())


def test_presets_build_quickly_and_have_the_promised_sizes():
    """PX-08: the full preset keeps the spec's 50257 tokens; tiny is small enough for seconds."""
    assert PixelConfig.full().text_encoder_config.vocab_size == 50257
    assert sum(p.numel() for p in LunarCore.from_config(PixelConfig.tiny()).parameters()) < 1_000_000
    assert sum(p.numel() for p in LunarCore.from_config(PixelConfig.small()).parameters()) * 2 < 25 * 2**20
    assert math.isfinite(dataclasses.asdict(PixelTrainConfig.small())["learning_rate"])
