"""Training LunarisCore: the loss in its parts (PX-13, PX-14) and `train`; the loop itself is `core.training.fit`.

    loss = reconstruction + beta(step) · KL(q(z|x) || N(0, I)) + alignment_weight · alignment

All in nats per sprite. reconstruction is the head's negative log-likelihood, summed over the pixels. KL is summed over the latent
dimensions, each with `free_bits` nats free, and its weight rises over the first `kl_warmup` of the run: with the spec's plain means the
KL term wins and every latent collapses to noise. alignment ties the text vector to the latent mean of its own picture.
"""

import dataclasses
import logging
import math
import re
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

import lunaris
from lunaris.core import hub, images, provenance, runtime
from lunaris.core.checkpoint import check_elsewhere
from lunaris.core.config import PRESETS, ConfigError, as_flags
from lunaris.core.isolation import eval_mode, generators_put_back
from lunaris.core.parallel import on_main
from lunaris.core.tokenizer import BpeTokenizer
from lunaris.core.training import Callback, Loss, Run, fit
from lunaris.pixel import grow
from lunaris.pixel.config import PixelConfig, PixelTrainConfig
from lunaris.pixel.data import Batches, SpriteSet, fit_palette, load_source, mixture
from lunaris.pixel.flow import flow_loss
from lunaris.pixel.matcher import contrast, shifted
from lunaris.pixel.metrics import reconstruction_metrics
from lunaris.pixel.model import LunarCore, load, save
from lunaris.pixel.request import PixelRequest

log = logging.getLogger("lunaris")

# --- the loss --------------------------------------------------------------------------------------------------------------------


def kl_per_dimension(mean: Float[Tensor, "b l"], logvar: Float[Tensor, "b l"]) -> Float[Tensor, "b l"]:
    """KL(N(mean, exp(logvar)) || N(0, 1)) of each latent dimension, in nats."""
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar)


def infonce(image: Float[Tensor, "b l"], text: Float[Tensor, "b l"], same: Bool[Tensor, "b b"]) -> Float[Tensor, ""]:
    """`contrast` between picture i and caption i, cosines at temperature 0.1."""
    return contrast(F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T / 0.1, same)


def equal_captions(tokens: Int[Tensor, "b t"]) -> Bool[Tensor, "b b"]:
    """Which rows of a batch say the same."""
    return (tokens[:, None] == tokens[None]).all(-1)


def align(config: PixelTrainConfig, mean: Float[Tensor, "b l"], text: Float[Tensor, "b l"], tokens: Tensor) -> Float[Tensor, ""]:
    """The alignment term: InfoNCE, or 1 - cosine."""
    if config.alignment == "cosine":
        return 1 - F.cosine_similarity(mean, text).mean()
    return infonce(mean, text, equal_captions(tokens))


def kl_weight(config: PixelTrainConfig, step: int) -> float:
    """beta, reached linearly over the first `kl_warmup` of the steps."""
    warmup = config.kl_warmup * config.steps
    return config.beta * (min(1.0, step / warmup) if warmup else 1.0)


def make_loss(config: PixelTrainConfig) -> Callable[[LunarCore, dict[str, Tensor], int], Loss]:
    """The loss of the run's stage, as `fit` calls it: nats per sprite with its parts for the log; for a flow the squared error of the
    velocity; for a matcher nats per pair."""

    def flow(model: LunarCore, batch: dict[str, Tensor], step: int) -> Loss:
        n, device = len(batch["images"]), batch["images"].device
        prompted = torch.rand(n, 1, device=device) >= config.text_dropout
        sketched = torch.rand(n, 1, device=device) >= config.sketch_dropout
        strangeness = torch.rand(n, 1, device=device) * (torch.rand(n, 1, device=device) < config.sketch_noise)
        starting = torch.rand(n, device=device) < config.start_share if config.start_share else None
        return Loss(total=flow_part(model, batch, prompted, sketched, strangeness, starting), weight=n)

    def loss(model: LunarCore, batch: dict[str, Tensor], step: int) -> Loss:
        images = batch["images"]
        mean, logvar = model.encode(images)
        text, alignment = None, None
        if model.config.use_text:
            words = model.text_encoder(batch["tokens"], batch["mask"])
            if config.alignment != "none":
                alignment = align(config, mean, words, batch["tokens"])
            prompted = torch.rand(len(images), 1, device=images.device) >= config.text_dropout
            text = torch.where(prompted, words, model.null)
            mean, logvar = model.posterior(mean, logvar, words, prompted)
        z = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
        latent = model.fuse(z, text)
        recon = model.head.nll(model.decoder(latent), latent, images, config.recon_sigma).mean()
        kl = kl_per_dimension(mean, logvar)  # (b, l)
        total = recon + kl_weight(config, step) * kl.clamp_min(config.free_bits).sum(1).mean()  # KL is never below 0
        parts = {"loss/recon": recon, "loss/kl": kl.sum(1).mean()}
        if alignment is not None:
            total = total + config.alignment_weight * alignment
            parts["loss/align"] = alignment
        return Loss(total=total, weight=len(images), parts=parts)

    def match(model: LunarCore, batch: dict[str, Tensor], step: int) -> Loss:
        n = len(batch["images"])
        if not config.drafts:
            return Loss(total=matcher_part(model, batch, shifted(batch["images"])), weight=n)
        with torch.no_grad(), eval_mode(model):
            drafts = drafts_for(model, batch)
            real = batch["images"] if model.config.head == "mse" else model.head.snap(batch["images"])  # no colour shall give a draft away
        pictures = shifted(torch.cat([real, drafts]))
        return Loss(total=matcher_part(model, batch, pictures[:n], pictures[n:]), weight=n)

    return {"vae": loss, "flow": flow, "matcher": match}[config.stage]


def drafts_for(model: LunarCore, batch: dict[str, Tensor]) -> Float[Tensor, "b c h w"]:
    """What the VAE draws for the prompts of a batch with a visitor's temperature."""
    words = model.text_encoder(batch["tokens"], batch["mask"])
    return model.decode(PixelRequest().temperature * torch.randn_like(words), words)


def matcher_part(
    model: LunarCore, batch: dict[str, Tensor], images: Float[Tensor, "b c h w"], drafts: Float[Tensor, "b c h w"] | None = None
) -> Float[Tensor, ""]:
    """The matcher's loss on a batch whose pictures may have been moved; `drafts` are wrong for every prompt."""
    logits = model.matcher(images if drafts is None else torch.cat([images, drafts]), batch["tokens"], batch["mask"])
    return contrast(logits[: len(images)], equal_captions(batch["tokens"]), None if drafts is None else logits[len(images) :])


def flow_part(
    model: LunarCore,
    batch: dict[str, Tensor],
    prompted: Bool[Tensor, "b 1"],
    sketched: Bool[Tensor, "b 1"],
    strangeness: Float[Tensor, "b 1"] | None = None,
    starting: Bool[Tensor, "b"] | None = None,
) -> Float[Tensor, ""]:
    """The flow's loss beside a VAE that stays as it is. A sketch is the picture's reconstruction from what its prompt leaves to z.

    `strangeness` in [0, 1] turns z towards another picture of that prompt; at 1 the sketch is a draft as when sampling. A flow that saw
    only reconstructions believes every line of a draft (Ho et al. 2022, "conditioning augmentation").
    """
    images, tokens, mask = batch["images"], batch["tokens"], batch["mask"]
    with torch.no_grad(), eval_mode(model):
        words = model.text_encoder(tokens, mask)
        mean, logvar = model.posterior(*model.encode(images), words, prompted)
        z = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
        if strangeness is not None:
            z = (1 - strangeness.square()).sqrt() * z + strangeness * torch.randn_like(z)
        sketch = model.decode(z, torch.where(prompted, words, model.null)) * 2 - 1
    meaning = torch.where(prompted, words, 0.0)
    sketch = torch.where(sketched[..., None, None], sketch, 0.0)
    return flow_loss(model.flow, images, tokens, mask, prompted, meaning, sketch, starting)


# --- what a run shows of itself --------------------------------------------------------------------------------------------------


def prompts_of(data: SpriteSet, count: int = 8) -> list[str]:
    """Up to `count` different captions, evenly spread over the data; repeated in turn when there are fewer."""
    distinct = list(dict.fromkeys(data.captions))
    chosen = [distinct[i * len(distinct) // count] for i in range(count)] if len(distinct) >= count else distinct
    return [chosen[i % len(chosen)] for i in range(count)]


class Samples(Callback):
    """Sprites at the evaluations of a training, at most `looks` times and once more at its end, spread evenly over its steps (PX-20).

    The same prompts and seeds every time, so that only the model makes the difference: a sheet in rows of eight goes to `file(step)`,
    marked as AI-generated. `rows` are the steps so far.
    """

    def __init__(self, prompts: Sequence[str], file: Callable[[int], Path], *, mode: str = "instant", looks: int = 24):
        self.prompts, self.file, self.mode, self.looks = prompts, file, mode, looks
        self.rows: list[int] = []

    def on_eval(self, run: Run, metrics: dict[str, float]) -> None:
        self.look(run)

    def look(self, run: Run) -> None:
        """Draw with the averaged weights, if it is time to."""
        if run.step >= len(self.rows) * run.config.steps / self.looks:
            with run.averaged(), eval_mode(run.model):
                self.draw(run.model, run.step)

    def draw(self, model: LunarCore, step: int) -> None:
        on_main(lambda: self._write(model, self.file(step)))
        self.rows.append(step)

    def _write(self, model: LunarCore, file: Path) -> None:
        prompts = self.prompts if model.config.use_text else [None] * len(self.prompts)
        drawn = [model.generate(1, prompt, seed=i, temperature=0.7, mode=self.mode) for i, prompt in enumerate(prompts)]
        sheet = images.grid(images.from_model(torch.cat(drawn)), columns=8)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(provenance.stamp(images.png_bytes(sheet)))

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows = state["rows"]


class CollapseAlarm(Callback):
    """Says once, in one sentence, when no latent dimension is in use in `after` evaluations in a row, or in the last one.

    That is posterior collapse (Bowman et al. 2016): the decoder draws by the prompt alone, and no longer listens to z. Evaluations count
    once the KL weight has its full height and a quarter of the run is over: where there is no warm-up, latents sleep at first and then
    wake. It reads eval/active_dims, and keeps its count over a resume. `sentence` is what it said.
    """

    EARLY = 0.25

    def __init__(self, config: PixelTrainConfig, after: int = 3):
        self.config, self.after = config, after
        self.sentence, self._asleep = "", 0

    def on_eval(self, run: Run, metrics: dict[str, float]) -> None:
        config = self.config
        counts = run.step >= max(config.kl_warmup, self.EARLY) * config.steps
        self._asleep = self._asleep + 1 if counts and metrics.get("eval/active_dims") == 0 else 0
        if self.sentence or self._asleep < (self.after if run.step < config.steps else 1):
            return
        self.sentence = (
            f"no latent dimension is in use after step {run.step} (active_dims is 0): the posterior has collapsed, and a seed changes "
            f"nothing; start again with free_bits above {config.free_bits:g}, beta below {config.beta:g} or a longer kl_warmup"
        )
        run.say(self.sentence)
        if run.is_main:
            log.info(self.sentence)

    def state_dict(self) -> dict[str, Any]:
        return {"sentence": self.sentence, "asleep": self._asleep}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sentence, self._asleep = state["sentence"], state["asleep"]


def watchers(config: PixelTrainConfig, held: SpriteSet, out: Path) -> list[Callback]:
    """Samples of held-out prompts in `out`/samples, drawn by the part that is trained, and the alarm; a matcher draws nothing."""
    if config.stage == "matcher":
        return []
    mode = "quality" if config.stage == "flow" else "instant"
    samples = Samples(prompts_of(held, 16), lambda step: out / "samples" / f"{step}.png", mode=mode)
    return [samples, CollapseAlarm(config)] if config.stage == "vae" and len(held) > 1 else [samples]  # of one picture no latent can vary


# --- the run ---------------------------------------------------------------------------------------------------------------------


def train(
    config: PixelConfig,
    train_config: PixelTrainConfig,
    out: str | Path,
    *,
    source: str | Path = "procedural",
    resume: bool = False,
    should_stop: Callable[[], bool] | None = None,
    callbacks: tuple = (),
    progress: bool = True,
) -> Path:
    """Train on `source` (see `data.load_source`) and return `out`, a checkpoint folder ready for `load` and `push`.

    `out`/state holds what `resume=True` continues from; `out`/metrics.jsonl is the log, `out`/samples what it drew on the way. A run that
    `should_stop` ends early leaves a usable checkpoint too; one that still waited for another training of this process leaves `out` as it
    is. Raises ValueError and FileNotFoundError with one sentence, before anything is written.
    """
    out = Path(out)
    check_elsewhere(out)  # before the hours, not after them
    check_stage(config, train_config)
    data = load_source(
        source, side=config.side, split="train", n=train_config.sprites, seed=train_config.seed, bilingual=train_config.bilingual
    )
    held = load_source(source, side=config.side, split="validation", n=512, seed=train_config.seed + 1)
    with generators_put_back(torch.device("cpu")):
        runtime.seed_everything(train_config.seed)
        model = prepare(config, train_config, data)
    batches = Batches(data, train_config.batch_size, config, model.tokenizer)
    run = in_steps(train_config, batches.per_epoch)

    def evaluate(model: LunarCore, step: int) -> dict[str, float]:
        return measure(model, held, run)

    result = fit(
        model,
        batches,
        make_loss(run),
        run,
        out,
        callbacks=(*watchers(run, held, out), *callbacks),
        evaluate=evaluate,
        resume=resume,
        should_stop=should_stop,
        progress=progress,
    )
    if result.state is None:  # cancelled before it began: the model is not what `out` holds
        return out
    model = model.cpu().eval()
    card = make_card(model, train_config, source=str(source), data=data, steps=result.step, numbers=measure(model, held, run))
    return on_main(lambda: save(model, out, card=card, dtype=torch.float16 if run.save_dtype == "fp16" else None))


def measure(model: LunarCore, held: SpriteSet, config: PixelTrainConfig) -> dict[str, float]:
    """The figures of an evaluation: the reconstructions', or the loss of the flow (with the same noise each time) or of the matcher
    on held-out sprites."""
    if config.stage == "vae":
        return reconstruction_metrics(model, held)
    with torch.no_grad(), generators_put_back(model.device):
        torch.manual_seed(0)
        batch = Batches(held, min(512, len(held)), model.config, model.tokenizer)(0, 1)
        batch = {name: part.to(model.device) for name, part in batch.items()}
        if config.stage == "matcher":
            return {"matcher_loss": float(matcher_part(model, batch, batch["images"]))}
        everyone = torch.ones(len(batch["images"]), 1, dtype=torch.bool, device=model.device)
        return {"flow_loss": float(flow_part(model, batch, everyone, everyone))}


def added_parts(config: PixelConfig) -> set[str]:
    """What a model has beside its VAE; a stage of training each."""
    return {name for name, wanted in (("flow", config.sampler == "flow"), ("matcher", config.ranking == "matcher")) if wanted}


def check_stage(config: PixelConfig, train_config: PixelTrainConfig) -> None:
    """A stage trains one part; what else the model has beside its VAE must come from init_from."""
    stage, parts = train_config.stage, added_parts(config)
    if stage == "vae" and parts and not train_config.init_from:
        raise ConfigError(
            f"stage 'vae' trains sampler 'normal' and ranking 'latent', got {config.sampler!r} and {config.ranking!r}; "
            "add the others with stage 'flow' or 'matcher' and init_from"
        )
    if stage != "vae" and stage not in parts:
        option = "sampler" if stage == "flow" else "ranking"
        raise ConfigError(f"stage {stage!r} needs {option} {stage!r}, got {getattr(config, option)!r}; set {option}: {stage}")


def prepare(config: PixelConfig, train_config: PixelTrainConfig, data: SpriteSet) -> LunarCore:
    """A fresh model with its tokenizer and palette fitted to the training data; weights from `init_from` where it names a checkpoint.

    Only what the stage trains is left free to change. From a checkpoint of half the side, the model grows (grow.py).
    """
    model = LunarCore.from_config(config)
    if config.use_text:
        model.tokenizer = BpeTokenizer.train(data.captions, vocab_size=config.text_encoder_config.vocab_size, fold=True)
        model.words = count_words(data.captions)
    if config.head != "mse":
        model.head.fit_palette(fit_palette(data.images, config.palette_size, config.channels, seed=train_config.seed))
    if train_config.init_from:
        trained = load(train_config.init_from)
        if missing := sorted(added_parts(config) - {train_config.stage} - added_parts(trained.config)):
            raise ConfigError(f"init_from has no {missing[0]}, which this model has; train one with stage {missing[0]!r} first")
        if grow.fits(config, trained.config):
            grow.grow(model, trained)
        else:
            start_from(model, trained)
    for name, parameter in model.named_parameters():
        if train_config.stage != "vae":
            parameter.requires_grad_(name.startswith(f"{train_config.stage}."))
        else:
            fixed = ("encoder.", "decoder.", "head.") if train_config.freeze else ()
            parameter.requires_grad_(not name.startswith(("flow.", "matcher.", *fixed)))
    return model


def start_from(model: LunarCore, trained: LunarCore) -> None:
    """Progressive training (PX-19): take over every weight `trained` has.

    A picture model starts a text model: encoder, decoder and head are the same in both. A model with text also brings its tokenizer.
    """
    for name in ("latent_dim", "filters", "input_shape", "head", "palette_size", "slots", "norm", "upsample", "patch"):
        ours, theirs = getattr(model.config, name), getattr(trained.config, name)
        if ours != theirs:
            raise ConfigError(f"{name} must equal that of init_from, got {ours} and {theirs}; set {name} to {theirs}")
    if trained.config.use_text and trained.config.text_encoder_config != model.config.text_encoder_config:
        raise ConfigError("text_encoder_config must equal that of init_from; copy it from its config.json")
    for part in sorted(added_parts(model.config) & added_parts(trained.config)):
        if getattr(model.config, part) != getattr(trained.config, part):
            raise ConfigError(f"the sizes of the {part} must equal those of init_from; copy the section {part!r} from its config.json")
    weights = trained.state_dict()
    wanted = model.state_dict()
    model.load_state_dict(wanted | {name: value for name, value in weights.items() if name in wanted})
    if trained.config.use_text and model.config.use_text:
        model.tokenizer, model.words = trained.tokenizer, trained.words


def in_steps(config: PixelTrainConfig, steps_per_epoch: int) -> PixelTrainConfig:
    """The spec's epochs as optimiser steps: how long, how often to save and to evaluate."""
    steps = config.steps or config.num_epochs * steps_per_epoch
    return dataclasses.replace(
        config,
        steps=steps,
        save_every=min(steps, config.save_interval * steps_per_epoch),
        eval_every=min(steps, config.eval_interval * steps_per_epoch),
        warmup_steps=min(config.warmup_steps, steps // 10),
    )


def count_words(captions: tuple[str, ...]) -> dict[str, int]:
    """How often each word occurs in the captions, most frequent first: what a prompt may use with effect."""
    counts = Counter(word for caption in captions for word in re.findall(r"\w+", caption.lower()))
    return dict(counts.most_common(20_000))


# --- the card --------------------------------------------------------------------------------------------------------------------

WHEREABOUTS = ("device", "threads", "tracker", "project", "run_name", "log_every")  # of the machine, not of the model


def command_line(config: PixelConfig, train_config: PixelTrainConfig, source: str) -> str:
    """The command that trains this model again: the nearest preset and every flag in which it differs."""

    train_config = train_config.replace(init_from=shown_name(train_config.init_from)) if train_config.init_from else train_config

    def flags(preset: str) -> list[str]:
        model = as_flags(config, PixelConfig.preset(preset))
        return ["--preset", preset, *model, *as_flags(train_config, PixelTrainConfig.preset(preset), skip=WHEREABOUTS)]

    where = [] if source == "procedural" else ["--source", source]
    return shlex.join(["python", "-m", "lunaris", "pixel", "train", *min(map(flags, PRESETS), key=len), *where, "--out", "DIR"])


def shown_name(source: str) -> str:
    """A source as the card names it: of a folder only its own name."""
    return Path(source).name if Path(source).is_dir() else source


def origin(source: str) -> str:
    """Where a folder's pictures are from: the heading of its SOURCE.md, else nothing but that they are a folder's."""
    told = Path(source) / "SOURCE.md"
    heading = next((line for line in told.read_text(encoding="utf-8").splitlines() if line.startswith("# ")), "") if told.is_file() else ""
    return heading.removeprefix("# ").partition(" - ")[2] or "pictures of this folder"


def make_card(model: LunarCore, config: PixelTrainConfig, *, source: str, data: SpriteSet, steps: int, numbers: dict[str, float]) -> str:
    """The model card that goes with the checkpoint: what, data, command, numbers, limits. Of a folder only its name is told."""
    side, parameters = model.config.side, sum(p.numel() for p in model.parameters())
    text = "steered by prompts in English or Portuguese" if model.config.use_text else "without prompts"
    parts = [name for _, name in mixture(source)]
    procedural = all(name.partition(":")[0] == "procedural" for name in parts)
    name = "+".join(f"{count}*{shown_name(part)}" if count > 1 else shown_name(part) for count, part in mixture(source))
    flow = " A second network, a flow in pixel space, paints over its sprites in quality mode." if model.config.sampler == "flow" else ""
    drawn = "drawn by Lunaris' own generator, captions in English and Portuguese; the validation pairs of kind and colour never occur"
    told = [f"`{shown_name(part)}`: {drawn if part.startswith('procedural') else origin(part)}." for part in parts]
    twice = " Pictures with English captions are also shown with Portuguese ones, by Lunaris' lexicon." if config.bilingual else ""
    return hub.render_card(
        name=f"LunarisCore {side}x{side}",
        family="pixel",
        what=f"A variational autoencoder that draws {side}x{side} pixel art, {text}.{flow} {parameters / 1e6:.1f} million parameters.",
        data=f"{len(data):,} sprites in an epoch, repetitions counted.{twice}\n\n" + "\n".join(f"- {line}" for line in told),
        licence="mit" if procedural else "other",
        command=command_line(model.config, config, name),
        metrics={f"validation {key}": round(value, 4) for key, value in numbers.items() if math.isfinite(value)} | {"steps": steps},
        limits=[
            f"Pictures are {side}x{side} pixels; finer detail cannot be drawn.",
            "A word that is not in words.json means little to the model.",
            "It draws what its training data show, one object at a time; a scene or a sentence is beyond it.",
            "Training from scratch takes minutes to hours on a CPU; a GPU is the efficient way to larger models.",
        ],
        tags=["pixel-art", f"lunaris-{lunaris.__version__}"],
        prompt=data.captions[0] if model.config.use_text else None,
    )
