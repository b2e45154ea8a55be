"""Does collaboration help? MoC, its ablations and its rivals under one trainer, on one text, over several seeds (MC-02, MC-10, MC-12).

Two readings, always both:

equal active parameters   as many parameters at work on a token (a MoC's experts are a little narrower, to pay for the meeting and the peer
                          attention), as many steps. So mixtures are usually judged; it hides that MoC runs every expert's first half
equal compute             as many multiply-accumulates of training as MoC's run: a variant that needs fewer for a token takes more steps,
                          with a whole learning-rate schedule of its own. Here the dense layer and the soft mixture of all parameters
                          take part

The learning rate is tuned for each variant on a seed of its own, over a small grid that grows where its best value lies on its edge; it is
published. All variants see the same batches under the same seed, so differences are taken pair by pair.

Every run is kept in a file (`moc.trial`): a study that is stopped goes on where it was, and what is asked for later runs only what is new.
Nothing here needs torch until a run begins.
"""

import contextlib
import functools
import hashlib
import json
import math
import os
import re
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from lunaris.core.config import BaseConfig, ConfigError, option
from lunaris.moc.config import MoCModelConfig

if TYPE_CHECKING:
    from lunaris.moc.data import Prepared
    from lunaris.moc.trial import Trial

FOLDER = "runs/moc_compare"  # where runs are kept, unless another folder is named
TUNING_SEED = 1000  # of the runs that choose the learning rate; the table's are 1, 2, …
SAME = 0.02  # two numbers of steps that differ by less are one run

# --- settings --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CompareConfig(BaseConfig):
    """The study's size. With the defaults about two hours on one slow core, all seeds and the tuning included."""

    source: str = option("", "text to learn; empty = texto_pt_literatura of the folder LUNARIS_DATA, without that 'procedural'")
    optimizer: Literal["adamw", "muon"] = option("muon", "of all variants: adamw, or muon for the inner matrices and adamw for the rest")
    steps: int = option(300, "optimiser steps at equal active parameters", ge=8, le=1_000_000)
    batch_size: int = option(8, "texts in a batch", ge=1, le=4096)
    seq_len: int = option(128, "tokens of one text of a batch", ge=8, le=4096)
    seeds: int = option(5, "runs of each variant in the table", ge=2, le=100)
    learning_rates: tuple[float, ...] = option((0.008, 0.016, 0.032), "the grid of learning rates; it grows by halves and doubles", gt=0)
    growths: int = option(3, "how often a grid may grow", ge=0, le=10)
    d_model: int = option(96, "width", ge=16, le=4096)
    n_layers: int = option(3, "decoder layers", ge=1, le=64)
    n_heads: int = option(4, "attention heads", ge=1, le=64)
    n_kv_heads: int = option(2, "heads of keys and values", ge=1, le=64)
    vocab_size: int = option(1024, "entries of the tokenizer", ge=259, le=65535)
    n_experts: int = option(8, "experts of a layer", ge=4, le=64)
    top_k: int = option(2, "experts chosen for a token", ge=2, le=32)
    expert_hidden: int = option(128, "hidden width of one expert of the sparse mixture", ge=16, le=16384)
    eval_tokens: int = option(32_768, "validation tokens that are scored: the first ones, so of few works, or mostly of one", ge=256)
    evaluations: int = option(6, "points of a learning curve", ge=1, le=1000)
    stories: int = option(4000, "documents of the procedural source", ge=10, le=1_000_000)
    minutes: float = option(0.0, "stop after so many minutes, to go on with the same command; 0 = run to the end", ge=0)
    jobs: int = option(1, "runs at a time, one process and one thread each", ge=1, le=256)

    def check(self) -> None:
        rates = self.learning_rates
        if not rates or list(rates) != sorted(set(rates)):
            raise ConfigError(f"learning_rates must be numbers that rise, got {' '.join(map(str, rates))}; try 0.008 0.016 0.032")
        if self.n_experts % self.top_k or self.n_experts < 2 * self.top_k:
            raise ConfigError(
                f"n_experts must be a multiple of top_k {self.top_k} and at least twice it, for Switch's wider experts, got "
                f"{self.n_experts}; try {4 * self.top_k}"
            )
        variants(self)  # the model's own rules

    @classmethod
    def quick(cls) -> "CompareConfig":
        """Under a minute: the machinery, no result worth reading."""
        return cls(
            source="procedural", steps=16, batch_size=2, seq_len=32, seeds=2, learning_rates=(0.003,), growths=0, d_model=32, n_layers=1,
            n_heads=2, vocab_size=300, n_experts=4, expert_hidden=32, eval_tokens=512, evaluations=2, stories=60,
        )  # fmt: skip

    @property
    def text(self) -> str:
        """`source`, or what stands for it."""
        if self.source:
            return self.source
        folder = Path(os.environ.get("LUNARIS_DATA", "")) / "texto_pt_literatura"
        return str(folder) if os.environ.get("LUNARIS_DATA") and folder.is_dir() else "procedural"


# --- who takes part --------------------------------------------------------------------------------------------------------------


class Variant(NamedTuple):
    """One model of the study. `active`: whether it has the sparse mixture's active parameters, so that it takes part in both readings."""

    label_en: str
    label_pt: str
    model: MoCModelConfig
    active: bool


@functools.lru_cache(maxsize=8)
def variants(config: CompareConfig) -> dict[str, Variant]:
    """Name -> variant. Experts' widths: the dense layer of all parameters is as wide as all experts together, Switch's one as k of them."""
    e, k, f = config.n_experts, config.top_k, config.expert_hidden
    sizes = {name: getattr(config, name) for name in ("d_model", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "n_experts", "top_k")}
    moc = MoCModelConfig(**sizes, max_seq_len=config.seq_len, expert_hidden=f)
    top = moc.replace(ffn="top_k")
    switch = moc.replace(ffn="switch", n_experts=e // k, top_k=1, expert_hidden=k * f)
    dense_total = moc.replace(ffn="dense", dense_hidden=e * f)
    found = {
        "dense_active": Variant(f"dense, as wide as {k} experts", f"densa, larga como {k} especialistas", moc.replace(ffn="dense"), True),
        "switch": Variant(f"Switch, 1 of {e // k}", f"Switch, 1 de {e // k}", switch, True),
        "top_k": Variant(f"sparse mixture, {k} of {e}", f"mistura esparsa, {k} de {e}", top, True),
        "moc": Variant(f"MoC, {k} of {e}", f"MoC, {k} de {e}", moc, True),
        "moc_no_meeting": Variant("MoC without the meeting", "MoC sem a reunião", moc.replace(meeting=False), True),
        "moc_no_peers": Variant("MoC without the peer attention", "MoC sem a atenção entre pares", moc.replace(peer_attention=False), True),
        "dense_total": Variant(f"dense, as wide as all {e}", f"densa, larga como todos os {e}", dense_total, False),
        "soft_all": Variant(f"all {e} experts, weighted", f"todos os {e} especialistas, ponderados", moc.replace(ffn="soft_all"), False),
    }  # fmt: skip
    return {name: v._replace(model=fitted(v.model, top)) if v.model.ffn == "moc" else v for name, v in found.items()}


def fitted(moc: MoCModelConfig, like: MoCModelConfig) -> MoCModelConfig:
    """`moc` with the widest experts, in steps of 8, with which it has no more active parameters than `like`, a sparse mixture.

    Reckoned by hand, since counting takes torch: chosen experts, summary, meeting, peer attention; the rest is alike in both.
    """
    d, r, e, k = moc.d_model, moc.summary_rank, moc.n_experts, moc.top_k
    part = e * r + 3 * r * r  # names, queries, keys and values
    confer = (r * d if moc.meeting or moc.peers else 0) + (part + r * r + e * r if moc.meeting else 0) + (part + r * d if moc.peers else 0)
    confer += r * d if moc.consensus else 0
    width = (3 * d * k * like.hidden - confer) // (k * (3 * d + (r if moc.refine else 0)))
    return moc.replace(expert_hidden=max(8, width // 8 * 8))


class Row(NamedTuple):
    """One line of the table: a variant in one reading, or in both at once where its compute is MoC's."""

    name: str
    variant: str
    group: str
    steps: int


@functools.lru_cache(maxsize=8)
def rows(config: CompareConfig) -> tuple[Row, ...]:
    """The lines: `moc` in both readings, the others in one or each."""
    made, all_variants = [], variants(config)
    work = {name: macs(v.model, config) for name, v in all_variants.items()}
    for name, variant in all_variants.items():
        steps = max(1, round(config.steps * work["moc"] / work[name]))
        if variant.active and abs(steps / config.steps - 1) < SAME:
            made.append(Row(name, name, "both", config.steps))
            continue
        if variant.active:
            made.append(Row(name, name, "equal_active", config.steps))
        made.append(Row(f"{name}_compute" if variant.active else name, name, "equal_compute", steps))
    return tuple(sorted(made, key=lambda row: row.group == "equal_compute"))


def macs(model: MoCModelConfig, config: CompareConfig) -> int:
    """Multiply-accumulates of the forward pass for one token of the training, the fold's share included."""
    from lunaris.moc.model import macs_per_token

    return macs_per_token(model, (config.seq_len + 1) // 2, tokens=config.batch_size * config.seq_len)


# --- the runs --------------------------------------------------------------------------------------------------------------------

Say = Callable[[str], None]


class Study:
    """The runs of one setting on one text: which there are, which are wanted, and running them. `folder` keeps them all."""

    def __init__(self, config: CompareConfig, folder: str | Path = FOLDER, *, say: Say = print):
        self.config, self.folder, self.say = config, Path(folder), say
        self.folder.mkdir(parents=True, exist_ok=True)
        self._until = time.time() + 60 * config.minutes if config.minutes else math.inf
        self._data: Prepared | None = None

    @property
    def data(self) -> "Prepared":
        """The text as tokens, made once, and anew when there are other texts in its place."""
        from lunaris.moc.data import META, open_prepared, prepare, read_meta
        from lunaris.moc.train import difference

        if self._data is None:
            config = self.config
            folder = Path(config.text)
            if not (folder / META).is_file():
                name = hashlib.sha256(repr((config.text, config.vocab_size, config.stories)).encode()).hexdigest()[:12]
                folder = self.folder / f"text-{name}"
                wishes = {"vocab_size": config.vocab_size, "tokenizer": None, "n_stories": config.stories}
                if not (folder / META).is_file() or difference(read_meta(folder), config.text, 0, wishes, known=False):
                    prepare(config.text, folder, **wishes)
            self._data = open_prepared(folder)
        return self._data

    def trial(
        self, model: MoCModelConfig, *, rate: float, seed: int, steps: int = 0, points: int = 0, without: str = "", optimizer: str = ""
    ) -> "Trial":
        """A run of this study: only what is named differs. `points` of its curve, else as many as the study's."""
        from lunaris.moc.train import MoCTrainConfig
        from lunaris.moc.trial import Trial

        config = self.config
        steps = steps or config.steps
        train = MoCTrainConfig(
            steps=steps, batch_size=config.batch_size, accumulation_steps=1, learning_rate=rate, warmup_steps=max(1, steps // 20),
            optimizer=optimizer or config.optimizer,
            ema_decay=0.0, eval_every=-(-steps // (points or config.evaluations)), save_every=250, keep_checkpoints=1, seed=seed,
            seq_len=config.seq_len, eval_tokens=config.eval_tokens, device="cpu", threads=1, tracker="none",
        )  # fmt: skip
        return Trial(model, train, f"{self.data.text_hash('train')}+{self.data.text_hash('validation')}", without)

    def kept(self, trial: "Trial") -> dict[str, Any] | None:
        from lunaris.moc.trial import kept

        return kept(trial, self.folder)

    def run(self, wanted: Mapping[str, "Trial"]) -> bool:
        """Run those of `wanted` (a name for the person who waits, and the run) that are missing; False when the minutes are over."""
        todo = {name: trial for name, trial in wanted.items() if self.kept(trial) is None}
        place = self.data.folder
        done = 0

        def ended(name: str, found: dict[str, Any] | None) -> None:
            nonlocal done
            done += found is not None
            if found is not None:
                what = found["diverged"] or f"{found['bits_per_byte']:.4f} bits per byte"
                self.say(f"{name}: {what}, {found['cpu_seconds']:.0f} s of CPU ({done} of {len(todo)})")

        if self.config.jobs == 1:
            for name, trial in todo.items():
                if time.time() >= self._until:
                    break
                ended(name, run_one(trial, place, self.folder, self._until))
        else:
            with ProcessPoolExecutor(self.config.jobs, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
                futures = {pool.submit(run_one, trial, place, self.folder, self._until, os.getpid()): name for name, trial in todo.items()}
                for future in as_completed(futures):
                    ended(futures[future], future.result())
        return done == len(todo)

    def left(self, wanted: Iterable["Trial"]) -> str:
        """How much of `wanted` is missing, in words."""
        todo = [trial for trial in wanted if self.kept(trial) is None]
        return f"{len(todo)} runs are left; give the same command again to go on"


def _end_with_parent() -> None:
    """End this process a while after the one that started it, which it would outlive, waiting for work for ever; `run_one` saves first."""

    def wait() -> None:
        parent_process().join()
        time.sleep(60)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def run_one(trial: "Trial", data: Path, folder: Path, until: float, parent: int = 0) -> dict[str, Any] | None:
    """A run in whatever process this is, on one thread. None when the time was up before its end, or the process `parent` was gone."""
    import torch

    from lunaris.moc import trial as trials
    from lunaris.moc.data import open_prepared

    def over() -> bool:
        return time.time() >= until or (parent != 0 and os.getppid() != parent)

    if over():
        return None
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return trials.run(trial, open_prepared(data), folder, should_stop=over)
    finally:
        with contextlib.suppress(RuntimeError):
            torch.set_num_threads(before)


# --- the study -------------------------------------------------------------------------------------------------------------------


def compare(config: CompareConfig, folder: str | Path = FOLDER, *, say: Say = print, command: str = "") -> dict[str, Any] | None:
    """The comparison, in JSON's values (`table`), or None when `config.minutes` were over first: the same call goes on.

    Raises what reading the text raises, and ValueError for a variant that diverged at every learning rate.
    """
    study = Study(config, folder, say=say)
    rates: dict[str, dict[float, float]] = {}
    open_grids = dict.fromkeys(variants(config), config.learning_rates)
    for growth in range(config.growths + 1):  # all grids first, then those that grow
        asked = {(name, rate): _tuning(study, name, rate) for name, grid in open_grids.items() for rate in grid}
        if not study.run({f"tuning {name}, learning rate {rate:g}": trial for (name, rate), trial in asked.items()}):
            return _stopped(study, asked.values())
        for (name, rate), trial in asked.items():
            found = study.kept(trial)["bits_per_byte"]
            rates.setdefault(name, {})[rate] = math.inf if found is None else found
        open_grids = {name: more for name in open_grids if (more := grown(rates[name]))}
        if not open_grids or growth == config.growths:
            break
    for name, grid in rates.items():
        if min(grid.values()) == math.inf:
            raise ValueError(f"{name} diverged at every learning rate, {', '.join(f'{r:g}' for r in sorted(grid))}; add lower ones")
    best = {name: min(grid, key=grid.get) for name, grid in rates.items()}
    runs = {}
    for seed in range(1, config.seeds + 1):  # seed by seed, so that a busy hour of the machine meets all variants
        for row in rows(config):
            model = variants(config)[row.variant].model
            runs[row.name, seed] = study.trial(model, rate=best[row.variant], seed=seed, steps=row.steps)
    if not study.run({f"{name}, seed {seed}": trial for (name, seed), trial in runs.items()}):
        return _stopped(study, runs.values())
    return table(config, {key: study.kept(trial) for key, trial in runs.items()}, rates, command=command)


def _tuning(study: Study, name: str, rate: float) -> "Trial":
    row = next(row for row in rows(study.config) if row.variant == name)  # its first reading
    return study.trial(variants(study.config)[name].model, rate=rate, seed=TUNING_SEED, steps=row.steps, points=1)


def _stopped(study: Study, trials: Iterable["Trial"]) -> None:
    study.say(f"the {study.config.minutes:g} minutes are over: of this part, {study.left(trials)}")


def grown(grid: Mapping[float, float]) -> tuple[float, ...]:
    """The learning rates to try next, of a grid's bits per byte (inf: diverged): beyond the edge on which its best lies; none inside."""
    rates = sorted(grid)
    best = min(rates, key=lambda rate: grid[rate])
    if best == rates[0]:
        return (best / 2,)
    return (best * 2,) if best == rates[-1] else ()


def run_verb(order: CompareConfig, out: str, ref: str) -> dict[str, Any]:
    """`lunaris moc compare`: the folder `out` keeps the runs and, when all are done, comparison.json; returns what there is to tell."""
    found = compare(order, out, say=lambda sentence: print(sentence, file=sys.stderr, flush=True), command="python -m lunaris moc compare")
    path = Path(out) / "comparison.json"
    if found is None:
        return {"out": out, "finished": False}
    path.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    scores = {f"{row['name']}_bits_per_byte": row["bpb_mean"] for row in found["rows"]}
    return {"out": str(path), "finished": True, **scores, "verdict": found["verdict"]["en"]}


# --- the table -------------------------------------------------------------------------------------------------------------------

T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)  # Student's t, two-sided 95 %, 1 … 9 degrees of freedom


class Difference(NamedTuple):
    """Mean of the differences of pairs, and half the width of its 95 % interval (Student's t)."""

    mean: float
    half: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> "Difference":
        gaps = [a - b for a, b in zip(ours, theirs, strict=True)]
        quantile = T95[min(len(gaps) - 2, len(T95) - 1)]
        return cls(statistics.mean(gaps), quantile * statistics.stdev(gaps) / math.sqrt(len(gaps)))

    @property
    def sure(self) -> bool:
        return abs(self.mean) > self.half


def table(
    config: CompareConfig,
    found: Mapping[tuple[str, int], Mapping[str, Any]],
    rates: Mapping[str, Mapping[float, float]],
    *,
    command: str = "",
) -> dict[str, Any]:
    """The comparison of finished runs, (row, seed) -> figures: setup, rows, curves, differences, verdict.

    rows          one for each line of `rows`; bpb per seed with mean and sample standard deviation; CPU seconds: the median run's
    curves        name -> [[step, mean, sd], …]; the last point is the row's figure
    differences   MoC minus each other row, pair by pair of equal seeds, with half the width of the 95 % interval
    """  # fmt: skip
    from lunaris.moc.model import parameter_counts

    seeds = list(range(1, config.seeds + 1))
    all_variants, lines, curves = variants(config), [], {}
    for row in rows(config):
        runs, variant = [found[row.name, seed] for seed in seeds], all_variants[row.variant]
        failed = next((run["diverged"] for run in runs if run["diverged"]), "")
        if failed:
            raise ValueError(f"{row.name} diverged in the table ({failed}); lower learning_rates")
        bpb = [run["bits_per_byte"] for run in runs]
        counts = parameter_counts(variant.model)
        work = macs(variant.model, config)
        lines.append({
            "name": row.name, "label_en": variant.label_en, "label_pt": variant.label_pt, "group": row.group, "variant": row.variant,
            "params_total": counts.total, "params_active": counts.active, "macs_per_token": work, "steps": row.steps,
            "training_macs": 3 * work * row.steps * config.batch_size * config.seq_len,
            "cpu_seconds": round(statistics.median(run["cpu_seconds"] for run in runs), 1),
            "bpb": [round(value, 5) for value in bpb],
            "bpb_mean": round(statistics.mean(bpb), 5), "bpb_sd": round(statistics.stdev(bpb), 5),
            "loss_mean": round(statistics.mean(run["loss"] for run in runs), 5),
            "loss_sd": round(statistics.stdev(run["loss"] for run in runs), 5),
            "learning_rate": min(rates[row.variant], key=rates[row.variant].get),
            "tuning": {f"{rate:g}": None if value == math.inf else round(value, 5) for rate, value in sorted(rates[row.variant].items())},
            "load_min": _median(runs, "load_min"), "load_max": _median(runs, "load_max"),
            "router_entropy": _median(runs, "router_entropy"),
            "peer_entropy": _median(runs, "peer_entropy") if variant.model.peers else None,  # older runs say 1 where there are no peers
        })  # fmt: skip
        points = zip(*(run["curve"] for run in runs), strict=True)
        curves[row.name] = [[p[0][0], *(round(f([b for _, b in p]), 5) for f in (statistics.mean, statistics.stdev))] for p in points]
    text = Path(config.text)
    setup = {
        "optimizer": config.optimizer, "steps": config.steps, "batch_size": config.batch_size, "seq_len": config.seq_len,
        "text": text.name if text.exists() else config.text, "seeds": seeds,
        "command": command, "eval_tokens": config.eval_tokens, "vocab_size": config.vocab_size, "d_model": config.d_model,
        "n_layers": config.n_layers, "n_experts": config.n_experts, "top_k": config.top_k, "tuning_seed": TUNING_SEED,
    }  # fmt: skip
    gaps = {line["name"]: Difference.of(lines[_index(lines, "moc")]["bpb"], line["bpb"]) for line in lines if line["name"] != "moc"}
    differences = {name: {"mean": round(gap.mean, 5), "half": round(gap.half, 5), "sure": gap.sure} for name, gap in gaps.items()}
    return {"setup": setup, "rows": lines, "curves": curves, "differences": differences, "verdict": verdict(lines, gaps, len(seeds))}


def _index(lines: Sequence[Mapping[str, Any]], name: str) -> int:
    return next(i for i, line in enumerate(lines) if line["name"] == name)


def _median(runs: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [run[name] for run in runs if run.get(name) is not None]
    return round(statistics.median(values), 4) if values else None


def verdict(lines: Sequence[Mapping[str, Any]], gaps: Mapping[str, Difference], n_seeds: int) -> dict[str, str]:
    """What the table says about MoC, in two languages: against the sparse mixture, and against the best at equal compute."""
    by_name = {line["name"]: line for line in lines}
    moc, sparse = by_name["moc"], by_name["top_k"]
    best = min(
        (line for line in lines if line["group"] == "equal_compute" and line["variant"][:3] != "moc"), key=lambda line: line["bpb_mean"]
    )
    work, seconds = (moc[name] / max(sparse[name], 1e-9) for name in ("macs_per_token", "cpu_seconds"))
    told = {"top_k": gaps["top_k"], "best": gaps[best["name"]]}
    en, pt = ({key: words[_outcome(gap)] for key, gap in told.items()} for words in (OUTCOMES_EN, OUTCOMES_PT))
    numbers = {key: f"{gap.mean:+.4f} ± {gap.half:.4f}" for key, gap in told.items()}
    return {
        "en": (
            f"At equal active parameters MoC {en['top_k']} the sparse mixture ({numbers['top_k']} bits per byte, {n_seeds} seeds), with "
            f"{work:.1f} times its work per token and {seconds:.1f} times its CPU time. At equal compute MoC {en['best']} the best of the "
            f"others, {best['label_en']} ({numbers['best']})."
        ),
        "pt": _decimal_commas(
            f"Com os mesmos parâmetros ativos, o MoC {pt['top_k']} a mistura esparsa ({numbers['top_k']} bits por byte, "
            f"{n_seeds} sementes), com {work:.1f} vezes o trabalho por token e {seconds:.1f} vezes o tempo de CPU. Com a mesma computação, "
            f"o MoC {pt['best']} a melhor das outras, {best['label_pt']} ({numbers['best']})."
        ),
    }


OUTCOMES_EN = {"win": "beats", "loss": "loses to", "tie": "cannot be told from"}
OUTCOMES_PT = {"win": "vence", "loss": "perde para", "tie": "empata com"}


def _outcome(gap: Difference) -> str:
    return "tie" if not gap.sure else "win" if gap.mean < 0 else "loss"


def _decimal_commas(text: str) -> str:
    return re.sub(r"(?<=\d)\.(?=\d)", ",", text)
