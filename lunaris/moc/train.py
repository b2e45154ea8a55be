"""Training a MoC: its settings, the spec's own YAML file (MC-07, MC-08), the loss in its parts (MC-06, MC-09), the collapse alarm, `train`.

    loss = main + aux_loss_weight · (balance + diversity_weight · diversity + z_loss_weight · z)

main is the cross-entropy in nats per token; perplexity comes from it alone. The loop itself is `core.training.fit`.
"""

import contextlib
import difflib
import logging
import math
import os
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
from filelock import FileLock
from torch import Tensor

import lunaris
from lunaris.core import hub, runtime, training
from lunaris.core.checkpoint import check_elsewhere
from lunaris.core.config import PRESETS, ConfigError, as_flags, load_yaml, option, read_yaml
from lunaris.core.isolation import generators_put_back
from lunaris.core.parallel import on_main
from lunaris.core.tokenizer import BpeTokenizer
from lunaris.core.training import Callback, Loss, Run, fit
from lunaris.core.training_state import latest_state
from lunaris.moc.checkpoint import check_fits, load, new_model, save
from lunaris.moc.config import MoCModelConfig
from lunaris.moc.data import META, Batches, Prepared, asked, mixture, open_prepared, prepare, read_meta, tokenizer_hash
from lunaris.moc.metrics import Score, score_stream
from lunaris.moc.model import MoCForCausalLM, parameter_counts, upcycle

log = logging.getLogger("lunaris")

# --- settings ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MoCTrainConfig(training.TrainConfig):
    """The training run; the defaults are the spec's, and what it leaves open."""

    steps: int = option(600_000, "optimiser steps", ge=1)
    batch_size: int = option(64, "texts in the global batch of one step; the spec's 16, four times accumulated", ge=1, le=1 << 20)
    accumulation_steps: int = option(4, "micro-batches that a step's batch is cut into, to need less memory", ge=1)
    learning_rate: float = option(3e-4, "peak learning rate", gt=0, le=1)
    beta2: float = option(0.95, "AdamW's decay of the second moment", ge=0, le=0.999999)
    weight_decay: float = option(0.1, "AdamW's weight decay, on parameters of two or more dimensions", ge=0)
    warmup_steps: int = option(2000, "steps over which the learning rate rises to its peak", ge=0)
    eval_every: int = option(1000, "steps between evaluations; 0 = only at the end", ge=0)
    save_every: int = option(1000, "steps between saved training states; 0 = only at the end", ge=0)
    seq_len: int = option(0, "tokens of one text of a batch; 0 = the model's max_seq_len", ge=0)
    stories: int = option(20_000, "documents of the procedural source", ge=10, le=1_000_000)
    echoes: float = option(
        0.0, "share of the texts that are a piece of one over and over: they teach to copy from what stands there already", ge=0, le=1
    )
    eval_tokens: int = option(65_536, "validation tokens, spread over all, that each evaluation of the training scores; 0 = all", ge=0)
    alarm_after: int = option(
        3, "evaluations in a row with an expert below a tenth of its fair share, until the alarm; 0 = never", ge=0, le=1000
    )
    init_from: str = option("", "checkpoint to go on from, of the same sizes, or a dense one that is made a mixture of copies (upcycling)")
    save_dtype: Literal["fp32", "fp16", "bf16"] = option("fp32", "weights on disk; fp16 and bf16 halve the file")

    def check(self) -> None:
        super().check()
        if self.seq_len == 1:
            raise ConfigError("seq_len must be at least 2, one token to see and one to predict, or 0 for max_seq_len, got 1; try 256")

    @classmethod
    def tiny(cls) -> "MoCTrainConfig":
        """Seconds on a CPU: tests, CI, a notebook without a GPU."""
        return _on_one_core(
            cls, steps=300, batch_size=4, learning_rate=3e-3, warmup_steps=30, stories=400, eval_every=100, eval_tokens=4096,
            ema_decay=0.97, tracker="none",
        )  # fmt: skip

    @classmethod
    def small(cls) -> "MoCTrainConfig":
        """What checkpoints/ ships: an hour or two on one CPU core."""
        return _on_one_core(
            cls, steps=3600, batch_size=8, optimizer="muon", learning_rate=4e-3, warmup_steps=100, min_lr_ratio=0.02, ema_decay=0.995,
            eval_every=300, save_every=100, eval_tokens=32_768, stories=8000, save_dtype="fp16",
        )  # fmt: skip

    @classmethod
    def full(cls) -> "MoCTrainConfig":
        """The spec's own sizes, for a GPU."""
        return cls()


def _on_one_core(cls: type[MoCTrainConfig], **settings: Any) -> MoCTrainConfig:
    return cls(accumulation_steps=1, **settings)


TrainConfig = MoCTrainConfig  # the name every family gives it

# What the spec calls otherwise. Its batch_size is that of one micro-batch: a step sees batch_size · gradient_accumulation_steps texts.
SPEC_NAMES = {
    "max_steps": "steps",
    "gradient_accumulation_steps": "accumulation_steps",
    "wandb_project": "project",
    "wandb_run_name": "run_name",
}


def load_spec(path: str | Path) -> tuple[MoCModelConfig, MoCTrainConfig, str, str]:
    """(model, training, data_dir, out_dir) of the spec's YAML file, read unchanged: a section `model:` and flat keys beside it.

    Besides the spec's keys (MC-07) every other field of `MoCTrainConfig` may be given flat, such as warmup_steps or seed. A key that is
    missing has its default; data_dir and out_dir are then empty. With a wandb_project the run is logged to wandb where that is
    installed; metrics.jsonl is written always. Raises `ConfigError` for an unknown key, naming the nearest, FileNotFoundError.
    """
    model, table, source, out = _spec_tables(path)
    return MoCModelConfig.from_dict(model, prefix="model."), MoCTrainConfig.from_dict(table), source, out


def _spec_tables(path: str | Path) -> tuple[dict[str, Any], dict[str, Any], str, str]:
    """What `load_spec` reads, under Lunaris' names: only the keys that the file gives, each checked by itself."""
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must hold keys such as model: and learning_rate:, got {str(data)[:60]!r}; see config_moc.yaml")
    renamed = {ours: theirs for theirs, ours in SPEC_NAMES.items()}
    known = ["model", "data_dir", "out_dir", *(renamed.get(f.name, f.name) for f in fields(MoCTrainConfig))]
    for key in data:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
            raise ConfigError(f"unknown key '{key}' in {path}; " + (f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"))
    folders = [_text(data, name) for name in ("data_dir", "out_dir")]
    model = data.get("model") or {}
    MoCModelConfig.check_part(model, prefix="model.")
    table = {SPEC_NAMES.get(key, key): value for key, value in data.items() if key not in ("model", "data_dir", "out_dir")}
    if not table.get("run_name", ""):
        table.pop("run_name", None)  # the spec's file may leave it empty, which YAML reads as null
    if not table.get("project", ""):
        table.pop("project", None)
    elif "tracker" not in table:
        table["tracker"] = "wandb" if runtime.installed_version("wandb") else "auto"
        if table["tracker"] == "auto":
            log.warning("wandb is not installed: logging to metrics.jsonl, and to trackio where that is; pip install wandb to have it")
    table |= _global_batch(table)
    try:
        MoCTrainConfig.check_part(table)
    except ConfigError as error:
        text = str(error)
        for theirs, ours in SPEC_NAMES.items():  # the person who wrote the file knows the spec's word
            text = f"{theirs}{text.removeprefix(ours)}" if text.startswith(f"{ours} ") else text
        raise ConfigError(text) from None
    return dict(model), table, folders[0], folders[1]


def load_run(path: str | Path) -> tuple[dict[str, dict[str, Any]], str, str]:
    """({"model": …, "training": …}, data, out) of a run's file, in either form: the spec's (see `load_spec`), or the sections model: and
    training: of every family, which name neither data nor out. Only the keys that the file gives. Raises what `load_spec` does."""
    data = read_yaml(path)
    if isinstance(data, dict) and ("training" in data or not data.keys() - {"model"}):
        return load_yaml(path, {"model": MoCModelConfig, "training": MoCTrainConfig}), "", ""
    model, table, source, out = _spec_tables(path)
    return {"model": model, "training": table}, source, out


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name) or ""
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be a text, the path of a folder, got {str(value)[:60]}; put it in quotes")
    return value


def _global_batch(table: Mapping[str, Any]) -> dict[str, Any]:
    """The batch of a step from the spec's micro-batch, where the file has either; wrong types are left for the config to refuse."""
    if not table.keys() & {"batch_size", "accumulation_steps"}:
        return {}
    micro, times = table.get("batch_size", 16), table.get("accumulation_steps", 4)
    if any(isinstance(number, bool) or not isinstance(number, int) or number < 1 for number in (micro, times)):
        return {}
    return {"batch_size": micro * times, "accumulation_steps": times}


# --- the loss ---------------------------------------------------------------------------------------------------------------------


def make_loss(config: MoCTrainConfig) -> Callable[[MoCForCausalLM, dict[str, Tensor], int], Loss]:
    """The loss of one micro-batch for `fit`, weighted by the tokens that it predicts; what is logged beside it:

    loss/main                main loss, nats per token        perplexity  exp of it, of each micro-batch; their mean, so a trifle above
    loss/aux                 balance + diversity_weight · diversity + z_loss_weight · z    exp(loss/main) where a step is accumulated
    loss/balance, loss/diversity, loss/z
    router_entropy           nats, mean over layers; at most log e
    peer_entropy             H/log m of the peer attention, 0 … 1; not for a model without peers
    load_min, load_max       the least and the most used expert of any layer, in fair shares: 1 is fair
    tokens_per_s             predicted by all processes, since the last step; the step after an evaluation or a save waited for it

    A dense model has the main loss, perplexity and tokens_per_s alone.
    """
    clock = _Clock()

    def loss(model: MoCForCausalLM, batch: dict[str, Tensor], step: int) -> Loss:
        labels = batch["labels"]
        output = model(input_ids=batch["input_ids"], attention_mask=batch.get("attention_mask"), labels=labels, use_cache=False)
        count = (labels[:, 1:] != -100).sum()
        main, aux = output.loss, output.aux
        parts = {"loss/main": main}
        total = main
        if aux is not None:
            settings = model.model.settings
            total = main + aux.total
            fair = aux.load * aux.load.shape[1]
            parts |= {
                "loss/aux": aux.balance + settings.diversity_weight * aux.diversity + settings.z_loss_weight * aux.z,
                "loss/balance": aux.balance,
                "loss/diversity": aux.diversity,
                "loss/z": aux.z,
                "router_entropy": aux.router_entropy.mean(),
                "load_min": fair.min(),
                "load_max": fair.max(),
            }
            if aux.peer_entropy is not None:
                parts["peer_entropy"] = aux.peer_entropy
        parts["perplexity"] = main.detach().clamp(max=80).exp()
        parts["tokens_per_s"] = main.new_tensor(clock.rate(step, count))
        return Loss(total=total, weight=count, parts=parts)

    return loss


class _Clock:
    """Tokens per second of the step before, from how far apart the first micro-batches of two steps are."""

    def __init__(self):
        self._step, self._since, self._rate = 0, time.perf_counter(), 0.0
        self._counts: list[Tensor] = []

    def rate(self, step: int, count: Tensor) -> float:
        if step != self._step:
            now = time.perf_counter()
            if self._counts:
                world = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
                self._rate = world * sum(map(int, self._counts)) / max(now - self._since, 1e-9)
            self._step, self._since, self._counts = step, now, []
        self._counts.append(count)
        return self._rate


# --- the alarm --------------------------------------------------------------------------------------------------------------------

LOAD = "eval/load/"  # + layer/expert: share of that layer's choices, in fair shares


class CollapseAlarm(Callback):
    """Says once, in one sentence, when an expert has got less than a tenth of its fair share in `after` evaluations in a row.

    Where a few experts take everything, the others starve. What a healthy mixture shows depends on the text: moc-pt ended with 0.67 to 1.42
    over all kinds of it, while in the last stage of its training, whose evaluations looked at one stretch of text alone, an expert had
    0.04 and the loss fell to the end. So an evaluation must look at all kinds (`score_stream` with `spread`). It reads
    eval/load/LAYER/EXPERT (1 = fair) of the evaluations, and keeps its count over a resume. `sentence` is what it said.
    """

    STARVED = 0.1

    def __init__(self, after: int = 3):
        self.after = after
        self.sentence = ""
        self._runs: dict[str, int] = {}

    def on_eval(self, run: Run, metrics: dict[str, float]) -> None:
        loads = {name.removeprefix(LOAD): value for name, value in metrics.items() if name.startswith(LOAD)}
        self._runs = {which: self._runs.get(which, 0) + 1 for which, load in loads.items() if load < self.STARVED}
        worst = [which for which, count in self._runs.items() if count >= self.after]
        if not worst or self.sentence or not self.after:
            return
        which = min(worst, key=loads.get)
        layer, expert = which.split("/")
        more = f" (and {len(worst) - 1} more like it)" if len(worst) > 1 else ""
        self.sentence = (
            f"expert {expert} of layer {layer} has had {loads[which]:.2f} of its fair share{more} in {self._runs[which]} evaluations, "
            f"the last after step {run.step}: the experts collapse; start again with a higher aux_loss_weight or a lower learning_rate"
        )
        run.say(self.sentence)
        if run.is_main:
            log.info(self.sentence)

    def state_dict(self) -> dict[str, Any]:
        return {"sentence": self.sentence, "runs": self._runs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sentence, self._runs = state["sentence"], dict(state["runs"])


class _SameRun(Callback):
    """Refuses to resume with another model or other data than the run began with: shapes alone would let top_k or a loss weight change."""

    def __init__(self, model: MoCModelConfig, data: Prepared):
        self._now = {"model": model.to_dict(), "data": data.text_hash("train"), "validation": data.text_hash("validation")}

    def state_dict(self) -> dict[str, Any]:
        return self._now

    def load_state_dict(self, state: dict[str, Any]) -> None:
        before, now = state["model"], self._now["model"]
        for key in sorted(before.keys() | now.keys()):
            if before.get(key) != now.get(key):
                was, wanted = before.get(key), now.get(key)
                raise ValueError(f"cannot resume with the model's {key} {wanted!r}: it began with {was!r}; use that, or another --out")
        if any(state.get(part, self._now[part]) != self._now[part] for part in ("data", "validation")):  # older states name data alone
            raise ValueError("cannot resume with other data than this run began with; give the same --source, or another --out")


# --- the run ----------------------------------------------------------------------------------------------------------------------


def train(
    config: MoCModelConfig,
    train_config: MoCTrainConfig,
    out: str | Path,
    *,
    source: str | Path = "procedural",
    resume: bool = False,
    should_stop: Callable[[], bool] | None = None,
    callbacks: tuple = (),
    progress: bool = True,
) -> Path:
    """Train on `source` and return `out`, a checkpoint folder ready for `load` and `push`.

    `source` is a folder that `prepare` made, or anything that `data.load_source` reads; that is prepared under `out`/.data first, once.
    `out`/state holds what `resume=True` continues from, bit for bit; `out`/metrics.jsonl is the log. A run that `should_stop` ends early
    leaves a usable checkpoint too; one that still waited for another training of this process leaves `out` as it is. Raises ValueError and
    FileNotFoundError with one sentence.
    """
    out = Path(out)
    check_elsewhere(out)  # before the hours, not after them
    seq_len = train_config.seq_len or config.max_seq_len
    if seq_len > config.max_seq_len:
        raise ConfigError(f"seq_len must be at most the model's max_seq_len {config.max_seq_len}, got {seq_len}; try {config.max_seq_len}")
    base = load(train_config.init_from) if train_config.init_from else None
    data = _data(config, train_config, out, source, None if base is None else base.tokenizer)
    check_fits(config, data.tokenizer, "the data's tokenizer")
    batches = Batches(data, train_config.batch_size, seq_len, echoes=train_config.echoes)
    with generators_put_back(torch.device("cpu")):
        runtime.seed_everything(train_config.seed)
        model = new_model(config, data.tokenizer) if base is None else go_on_from(base, config, seed=train_config.seed)
    seen = data.seen if base is None or base.seen is None else base.seen | data.seen

    def evaluate(model: MoCForCausalLM, step: int) -> dict[str, float]:
        return figures(score_stream(model, data.validation, seq_len=seq_len, max_tokens=train_config.eval_tokens, spread=True))

    result = fit(
        model,
        batches,
        make_loss(train_config),
        train_config,
        out,
        callbacks=(_SameRun(config, data), CollapseAlarm(train_config.alarm_after), *callbacks),
        evaluate=evaluate,
        resume=resume,
        should_stop=should_stop,
        progress=progress,
    )
    if result.state is None:  # cancelled before it began: the model is not what `out` holds
        return out
    model = model.cpu().eval()
    model.tokenizer, model.seen = data.tokenizer, seen
    score = score_stream(model, data.validation, seq_len=seq_len)
    tokens = result.step * train_config.batch_size * (seq_len - 1)
    card = make_card(model, train_config, source=str(source), data=data, steps=result.step, tokens=tokens, score=score)
    dtype = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}[train_config.save_dtype]
    return on_main(lambda: save(model, out, card=card, dtype=dtype))


FREE = {  # what may differ from the checkpoint that a training goes on from: no weight's shape or meaning hangs on it
    "max_seq_len", "aux_loss_weight", "diversity_weight", "z_loss_weight", "meeting_gradient", "dropout", "init_std",
}  # fmt: skip


def go_on_from(base: MoCForCausalLM, config: MoCModelConfig, *, seed: int = 0) -> MoCForCausalLM:
    """A model of `config` with the weights of `base`; a dense `base` becomes a mixture (`upcycle`). Raises `ConfigError`."""
    old = base.config.model_config
    if old.ffn == "dense" != config.ffn:
        model = upcycle(base, config, seed=seed)
    else:
        width, other = ("dense_hidden", "expert_hidden") if config.ffn == "dense" else ("expert_hidden", "dense_hidden")
        before, now = (each.to_dict() | {width: each.hidden, "rank": each.summary_rank} for each in (old, config))
        for name in before.keys() - FREE - {other}:
            if before[name] != now[name]:
                raise ConfigError(f"{name} must be that of init_from, {before[name]!r}, got {now[name]!r}; set {name}: {before[name]}")
        model = new_model(config, base.tokenizer)
        model.load_state_dict(base.state_dict())
    model.tokenizer = base.tokenizer
    return model.train()


def _data(config: MoCModelConfig, train_config: MoCTrainConfig, out: Path, source: str | Path, own: BpeTokenizer | None) -> Prepared:
    """The prepared folder that `source` is, or the one made of it under `out`: the same texts and settings are made once.

    Other ones are made anew, as long as no training state hangs on them; then they are refused. `own` is the tokenizer of the model that
    the training goes on from. Of several processes the first prepares, the others wait.
    """
    if (Path(source) / META).is_file():
        return open_prepared(source, tokenizer=own)
    folder = out / ".data"  # hidden: training texts never travel with a checkpoint
    wishes = {"vocab_size": min(config.vocab_size, 65_535), "tokenizer": own, "n_stories": train_config.stories}
    begun = latest_state(out / "state") is not None
    with _one_at_a_time(out):
        differs = ""
        if (folder / META).is_file():
            differs = difference(read_meta(folder), source, train_config.seed, wishes, known=begun)
        if begun and differs:
            raise ValueError(f"{folder} was prepared {differs}, or another --out")
        if differs or not (folder / META).is_file():
            prepare(source, folder, **wishes, seed=train_config.seed)
    return open_prepared(folder, tokenizer=own)


def difference(meta: Mapping[str, Any], source: str | Path, seed: int, wishes: Mapping[str, Any], *, known: bool) -> str:
    """How a prepared folder was made otherwise than is asked for now, and what to give to have it again; empty if it was not.

    known  what its meta.json does not tell (an older one), or what cannot be read any more, is taken to be the same
    """
    parts = [(count, Path(name).name if Path(name).exists() else name) for count, name in mixture(source)]
    before = [(part["times"], part["source"]) for part in meta["sources"]]
    if meta["seed"] != seed:
        return f"with seed {meta['seed']}, not {seed}; give that --seed"
    if parts != before:
        told = "+".join(f"{count}*{name}" if count > 1 else name for count, name in before)
        return f"from {told!r}, not from {str(source)!r}; give that --source"
    if "asked" not in meta:
        return "" if known else "by an older version"
    was, now = meta["asked"], asked(source, **wishes)
    if was["stories"] != now["stories"]:
        return f"from {was['stories']} stories, not {now['stories']}; give that --stories"
    if was["vocab_size"] != now["vocab_size"]:
        sizes = [f"a vocab_size of {size}" if size else "the tokenizer of another model" for size in (was["vocab_size"], now["vocab_size"])]
        return f"with {sizes[0]}, not {sizes[1]}; give that"
    own = wishes["tokenizer"]
    if own is not None and meta["tokenizer"] != tokenizer_hash(own):
        return "with the tokenizer of another model than init_from; give that --init-from"
    for (_, name), old, new in zip(before, was["texts"], now["texts"], strict=True):
        if old != new and not (known and new is None):
            return f"from other texts of {name!r} than are there now; put those back"
    return ""


def _one_at_a_time(out: Path) -> contextlib.AbstractContextManager:
    """A lock in `out` where several processes train together; one alone makes no folder before it knows that its source is sound."""
    if not (dist.is_available() and dist.is_initialized()) and int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return contextlib.nullcontext()
    out.mkdir(parents=True, exist_ok=True)
    return FileLock(out / ".data.lock")


def figures(score: Score) -> dict[str, float]:
    """A score as the metrics of an evaluation; an expert's load is in fair shares, as `CollapseAlarm` reads it."""
    told = {"loss": score.loss, "perplexity": score.perplexity, "bits_per_byte": score.bits_per_byte}
    if score.load is not None:
        fair = score.load * score.load.shape[1]
        told["router_entropy"] = float(score.router_entropy.mean())
        told |= {} if score.peer_entropy is None else {"peer_entropy": score.peer_entropy}
        told |= {"load_min": float(fair.min()), "load_max": float(fair.max())}
        told |= {f"load/{layer}/{expert}": float(share) for layer, row in enumerate(fair) for expert, share in enumerate(row)}
    return told


# --- the card ---------------------------------------------------------------------------------------------------------------------

WHEREABOUTS = ("device", "threads", "tracker", "project", "run_name", "log_every")  # of the machine, not of the model
KINDS = {
    "moc": "whose experts confer before and after they are chosen",
    "dense": "with a dense feed-forward layer",
    "switch": "with one expert per token (Switch)",
    "top_k": "with a sparse mixture of experts",
    "soft_all": "with a weighted sum of all experts",
}


def command_line(config: MoCModelConfig, train_config: MoCTrainConfig, source: str) -> str:
    """The command that trains this model again: the nearest preset and every flag in which it differs."""

    if Path(train_config.init_from).is_dir():  # a folder's place on this machine is nobody's business
        train_config = train_config.replace(init_from=Path(train_config.init_from).name)

    def flags(preset: str) -> list[str]:
        model = as_flags(config, MoCModelConfig.preset(preset))
        return ["--preset", preset, *model, *as_flags(train_config, MoCTrainConfig.preset(preset), skip=WHEREABOUTS)]

    where = [] if source == "procedural" else ["--source", source]
    return shlex.join(["python", "-m", "lunaris", "moc", "train", *min(map(flags, PRESETS), key=len), *where, "--out", "DIR"])


def make_card(
    model: MoCForCausalLM, train_config: MoCTrainConfig, *, source: str, data: Prepared, steps: int, tokens: int, score: Score
) -> str:
    """The model card: what, data with its sources and licences, command, numbers, limits. Of a folder only its name is told."""
    config = model.config.model_config
    counts = parameter_counts(config)
    sources = data.meta["sources"]
    procedural = all(part["source"].partition(":")[0] == "procedural" for part in sources)
    name = "+".join(f"{part['times']}*{part['source']}" if part["times"] > 1 else part["source"] for part in sources)
    experts = "" if config.ffn == "dense" else f", {counts.active / 1e6:.1f} million of them active for a token ({_choice(config)})"
    metrics: dict[str, float | int] = {"bits per byte": score.bits_per_byte, "loss": score.loss, "perplexity": score.perplexity}
    if score.load is not None:
        fair = score.load * score.load.shape[1]
        metrics |= {"least used expert, fair shares": float(fair.min()), "most used expert, fair shares": float(fair.max())}
    metrics = {key: round(value, 4) for key, value in metrics.items()} | {
        "tokens scored": score.tokens,
        "steps": steps,
        "tokens seen": tokens,
    }
    train_side = data.meta["splits"]["train"]
    told = [_told(part) for part in sources]
    return hub.render_card(
        name=f"LunarisCodex-MoC {counts.total / 1e6:.1f}M",
        family="moc",
        what=(
            f"A language model in Llama's form {KINDS[config.ffn]}: {config.n_layers} layers of width {config.d_model}, "
            f"{counts.total / 1e6:.1f} million parameters{experts}, a window of {config.max_seq_len:,} tokens."
        ),
        data=(
            f"{train_side['documents']:,} documents, {train_side['tokens']:,} tokens, repetitions counted; validation texts are others.\n\n"
            + "\n".join(f"- {line}" for line in told)
        ),
        licence="mit" if procedural else "other",
        command=command_line(config, train_config, name),
        metrics={key: value for key, value in metrics.items() if math.isfinite(value)},
        limits=[
            "It is small: it writes sentences in the manner of its training texts, and what it says need not be true.",
            f"It looks back on {config.max_seq_len:,} tokens; of a longer text it has forgotten the beginning.",
            "It was trained to continue text, not to follow instructions or to answer questions.",
            "That conferring experts help is not established; the comparison with other mixtures is published beside it, win or lose.",
        ],
        tags=["text-generation", "mixture-of-experts", f"lunaris-{lunaris.__version__}"],
        prompt="Era uma vez",
        pipeline_tag="text-generation",
        dataset="validation side of the training data",
    )


def _choice(config: MoCModelConfig) -> str:
    return f"all {config.n_experts} experts" if config.ffn == "soft_all" else f"{config.top_k} of {config.n_experts} experts"


def _told(part: Mapping[str, Any]) -> str:
    """One source in the card: its name, how many documents, where it comes from, its licences."""
    if part["source"].partition(":")[0] == "procedural":
        what = "written by Lunaris' own generator"
    else:
        licences = ", ".join(f"{name} ({count:,})" for name, count in part["licences"].items())
        what = (part["heading"] or "texts of this folder") + (f"; licences: {licences}" if licences else "")
    times = f", {part['times']} times" if part["times"] > 1 else ""
    return f"`{part['source']}` ({part['documents']['train']:,} documents for training{times}): {what}."
