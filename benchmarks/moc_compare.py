"""Does collaboration help? Trains MoC, its ablations and its rivals alike, and writes lunaris/moc/comparison.json and RESULTS.md.

    python benchmarks/moc_compare.py [--minutes N] [--jobs N] [--quick] [--json] [--picture FILE]     the comparison
    python benchmarks/moc_compare.py --variance                  where the spread over seeds comes from
    python benchmarks/moc_compare.py --explore                   changes of the layer, against the sparse mixture, before they are believed

`lunaris.moc.compare` says what is compared and how. Each run's figures are a file in benchmarks/moc-runs, so that a call that is stopped
(Ctrl-C, --minutes) goes on with the same command, on another machine too, and --variance and --explore share theirs with the comparison.
To train what is there once more, name another folder with --runs. The text is Portuguese literature when LUNARIS_DATA is set, procedural
stories otherwise. Every setting of the study is a flag.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import results

from lunaris.core.config import ConfigError, OneLineParser, add_flags, as_flags, given_flags
from lunaris.moc.compare import FOLDER, CompareConfig, Difference, Study, compare, fitted, variants
from lunaris.moc.config import MoCModelConfig

if TYPE_CHECKING:
    from lunaris.moc.data import Prepared

ROOT = Path(__file__).parent.parent
COMPARISON = ROOT / "lunaris/moc/comparison.json"
RUNS = ROOT / "benchmarks/moc-runs"  # kept in the repository: the data behind the tables
SPARSE = "sparse mixture"


class Asked(NamedTuple):
    """A line of a side study: the model, its learning rate, what `trial` takes out, and an optimizer other than the comparison's."""

    model: MoCModelConfig
    rate: float
    without: str = ""
    optimizer: str = ""


# Where the spread over seeds comes from: each line is a layer, what differs in its model and training, and what `trial` takes out.
# "as the prototype" has none of the cures; the rate of AdamW is that at which two seeds of the prototype were so many nats apart.
PROTOTYPE, PROTOTYPE_APART = "MoC, AdamW, as the prototype", 0.20
ADAMW = {"optimizer": "adamw", "rate": 3e-3}
CURES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "sparse mixture": ("top_k", {}, {}),
    "sparse mixture, AdamW": ("top_k", {}, ADAMW),
    "MoC": ("moc", {}, {}),
    "MoC, AdamW": ("moc", {}, ADAMW),
    "MoC, whole gradient": ("moc", {"meeting_gradient": 1.0}, {}),
    "MoC, whole gradient, no QK-norm, no z-loss, loud peers": (
        "moc", {"meeting_gradient": 1.0, "meeting_norm": False, "z_loss_weight": 0.0}, {"without": "peer_scale"},
    ),
    PROTOTYPE: (
        "moc", {"meeting_gradient": 1.0, "meeting_norm": False, "z_loss_weight": 0.0}, ADAMW | {"without": "peer_scale"},
    ),
}  # fmt: skip
PLATEAU = 5.6  # nats per token of training: a third of a nat below what the tokens' own frequencies give

# Changes within MoC's idea that may make it learn better, each with its reason.
LOOK_AT_ALL = {"cross_all": True}
IDEAS: dict[str, tuple[dict[str, Any], str]] = {
    "plain": ({}, ""),
    "whole gradient": ({"meeting_gradient": 1.0}, "the experts learn to be heard, too"),
    "a hundredth of the gradient": ({"meeting_gradient": 0.01}, "they hardly do"),
    "no diversity loss": ({"diversity_weight": 0.0}, "the loss pushes the peer attention towards even weights: towards saying nothing"),
    "a tenth of the balance loss": ({"aux_loss_weight": 0.001}, "all experts get a gradient anyway, so evenness can cost less freedom"),
    "look at all": (LOOK_AT_ALL, "what the six experts that were not chosen found is paid for already"),
    "consensus": ({"consensus": True}, "every expert adds a little, and every probability gets a gradient"),
    "refine": ({"refine": True}, "collaboration inside the expert: a product with its hidden units, not only a sum after it"),
    "twice the rank": ({"rank": -2}, "a wider channel between the experts"),
    "look at all, consensus": (LOOK_AT_ALL | {"consensus": True}, "the chosen take what they need, and all add a little"),
    "look at all, consensus, refine": (LOOK_AT_ALL | {"consensus": True, "refine": True}, "the three that let more be said"),
    "look at all, consensus, refine, no diversity loss": (
        LOOK_AT_ALL | {"consensus": True, "refine": True, "diversity_weight": 0.0}, "all four",
    ),
    "look at all, consensus, twice the rank": (LOOK_AT_ALL | {"consensus": True, "rank": -2}, "and more of it"),
}  # fmt: skip
FINALISTS = 4  # ideas that go on to further seeds after the first: successive halving (Jamieson & Talwalkar 2016)


# --- the comparison ----------------------------------------------------------------------------------------------------------------


def claims(found: Mapping[str, Any]) -> list[dict]:
    """What the comparison says in numbers; none of them is a promise, but for the spread."""
    by_name = {row["name"]: row for row in found["rows"]}
    moc, n = by_name["moc"], len(found["setup"]["seeds"])
    bits = moc["bpb_mean"] / moc["loss_mean"]
    spread = {
        "name": "MoC: standard deviation over seeds", "value": round(moc["loss_sd"], 4), "unit": "nats per token", "spread": None, "n": n,
        "at_most": 0.03, "aim": 0.015,
        "baseline": f"sparse mixture {by_name['top_k']['loss_sd']:.4f}; one nat per token is {bits:.3f} bits per byte",
    }  # fmt: skip
    made = [spread]
    for name, gap in found["differences"].items():
        row = by_name[name]
        reading = "equal compute" if row["group"] == "equal_compute" else "equal active parameters"
        sd = moc["bpb_sd"]
        made.append({
            "name": f"MoC minus {row['label_en']}, {reading}", "value": gap["mean"], "unit": "bits per byte", "spread": gap["half"], "n": n,
            "aim": round(-3 * sd, 4) if name == "top_k" else None,
            "baseline": f"{row['bpb_mean']} ± {row['bpb_sd']}; MoC {moc['bpb_mean']} ± {sd}",
        })  # fmt: skip
    return made


def largest_share(data: "Prepared", n: int) -> float:
    """The share that the longest document has of the first `n` validation tokens."""
    ids = np.asarray(data.validation[:n])
    ends = np.flatnonzero(ids == data.end)
    return float(np.diff([-1, *ends, len(ids) - 1]).max() / len(ids))


def about_the_text(data: "Prepared", n: int) -> str:
    """What is scored, and what a spread is over."""
    share = 100 * largest_share(data, n)
    return (
        f"Of the first {min(n, len(data.validation)):,} validation tokens, which are scored, {share:.0f} % are of one document, and "
        "spreads are over seeds, not over texts: on other texts the differences may be others."
    )


def as_markdown(found: Mapping[str, Any], about: str) -> str:
    """The comparison's table, both readings under one another; `about` its text."""
    columns = (
        "| | parameters | active | MACs per token | steps | training MACs | CPU s | learning rate | bits per byte | load, fair shares |",
        "|---" * 10 + "|",
    )
    lines = [found["verdict"]["en"], ""]
    for group, title in (("equal_active", "Equal active parameters, equal steps"), ("equal_compute", "Equal training MACs")):
        lines += [f"**{title}**", "", *columns]
        for row in found["rows"]:
            if row["group"] not in (group, "both") and row["name"] != "moc":
                continue
            load = "" if row["load_min"] is None else f"{row['load_min']:.2f} … {row['load_max']:.2f}"
            cells = (
                row["label_en"], f"{row['params_total']:,}", f"{row['params_active']:,}", f"{row['macs_per_token']:,}", row["steps"],
                f"{row['training_macs']:.3g}", row["cpu_seconds"], f"{row['learning_rate']:g}",
                f"{row['bpb_mean']:.4f} ± {row['bpb_sd']:.4f}", load,
            )  # fmt: skip
            lines.append(f"| {' | '.join(map(str, cells))} |")
        lines.append("")
    setup = found["setup"]
    lines += [
        f"Text: `{setup['text']}`, a byte-level BPE of {setup['vocab_size']:,} entries; width {setup['d_model']}, {setup['n_layers']} "
        f"layers, {setup['batch_size']} x {setup['seq_len']} tokens a step; seeds {', '.join(map(str, setup['seeds']))}; bits per byte "
        "are mean ± standard deviation over seeds. Differences above are of pairs of equal seeds, with their 95 % interval as spread. "
        f"{about} Learning rates were tuned on another seed (bits per byte there):",
        "",
        *(
            f"- {row['label_en']}: " + ", ".join(f"{rate} → {'diverged' if bpb is None else bpb}" for rate, bpb in row["tuning"].items())
            for row in {row["variant"]: row for row in found["rows"]}.values()
        ),
    ]
    return "\n".join(lines)


def draw(found: Mapping[str, Any], path: str) -> None:
    """The table and the learning curves as one picture; the file's ending says which kind."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    groups = (("equal_active", "equal active parameters"), ("equal_compute", "equal training MACs"))
    for axis, (group, title) in zip(axes, groups, strict=False):
        lines = [row for row in found["rows"] if row["group"] in (group, "both") or row["name"] == "moc"]
        lines.sort(key=lambda row: -row["bpb_mean"])
        for place, row in enumerate(lines):
            mark = {"color": "tab:red" if row["name"] == "moc" else "tab:blue"}
            axis.errorbar(row["bpb_mean"], place, xerr=row["bpb_sd"], fmt="o", capsize=4, **mark)
            axis.plot(row["bpb"], [place] * len(row["bpb"]), "|", alpha=0.6, **mark)
        axis.set_yticks(range(len(lines)), [row["label_en"] for row in lines])
        axis.set(title=title, xlabel="validation bits per byte (less is better)")
    for row in found["rows"]:
        points = found["curves"][row["name"]]
        if row["group"] != "equal_compute" or row["variant"] in ("dense_total", "soft_all"):
            work = [row["training_macs"] * step / row["steps"] for step, *_ in points]
            axes[2].errorbar(work, [p[1] for p in points], yerr=[p[2] for p in points], label=row["label_en"], capsize=2)
    axes[2].set(title="learning curves", xlabel="training MACs", ylabel="bits per byte")
    axes[2].legend(fontsize=7)
    figure.savefig(path)
    plt.close(figure)


# --- the two other studies ------------------------------------------------------------------------------------------------------------


def side_study(
    config: CompareConfig, folder: str | Path, asked: Mapping[str, Asked], seeds: Sequence[int], say: Callable
) -> list[dict] | None:
    """One line for each of `asked` over `seeds`; None when the time was up."""
    study = Study(config, folder, say=say)
    runs = {
        (name, seed): study.trial(line.model, rate=line.rate, seed=seed, without=line.without, optimizer=line.optimizer)
        for seed in seeds
        for name, line in asked.items()
    }
    if not study.run({f"{name}, seed {seed}": trial for (name, seed), trial in runs.items()}):
        say(study.left(runs.values()))
        return None
    lines = []
    for name, line in asked.items():
        found = [study.kept(runs[name, seed]) for seed in seeds]
        losses = [run["loss"] for run in found]
        failed = sum(loss is None for loss in losses)
        kept = [run for run in found if not run["diverged"]] or found
        lines.append({
            "name": name, "learning rate": line.rate, "diverged": failed, "losses": losses, "bpb": [run["bits_per_byte"] for run in found],
            "plateau left at step": [left_plateau(run["log"]) for run in found],
            "grad norm, median": statistics.median(run["grad_norm"]["median"] for run in found),
            "grad norm, largest": max(run["grad_norm"]["max"] for run in found),
            **{key: _mean(run.get(key) for run in kept) for key in FIGURES},
            **({} if line.model.peers else {"peer_entropy": None}),  # older runs say 1 where there are no peers
            "curves": [run["curve"] for run in found], "logs": [run["log"] for run in found],
        })  # fmt: skip
    return lines


def left_plateau(log: Sequence[Sequence[float]]) -> int | None:
    """The first logged step from which on the training loss stays below PLATEAU; None when it never does."""
    step = None
    for row in reversed(log):
        if row[1] >= PLATEAU:
            break
        step = row[0]
    return step


FIGURES = ("router_entropy", "peer_entropy", "load_min", "load_max", "cpu_seconds")


def _mean(values: Any) -> float | None:
    values = [value for value in values if value is not None]
    return round(statistics.mean(values), 4) if values else None


def side_table(lines: list[dict], against: str = "") -> str:
    """The lines as Markdown; `against` a name: the difference to it, pair by pair of equal seeds."""
    columns = ("learning rate", "grad norm, median", "grad norm, largest", *FIGURES)
    gap = f"minus {against} ± 95 % | " if against else ""
    told = [f"| | seeds | nats per token ± sd | {gap}plateau left at step | {' | '.join(columns)} |"]
    told.append("|---" * (len(columns) + (5 if against else 4)) + "|")
    base = next((line["losses"] for line in lines if line["name"] == against), None)
    for line in lines:
        losses, n = line["losses"], len(line["losses"])
        value = f"{line['diverged']} of {n} diverged"
        if not line["diverged"]:
            value = f"{statistics.mean(losses):.4f}" + (f" ± {statistics.stdev(losses):.4f}" if n > 1 else "")
        cells = [", ".join("never" if step is None else str(step) for step in line["plateau left at step"])]
        cells += ["" if line[column] is None else f"{line[column]:.3g}" for column in columns]
        if against:
            pairs = [(a, b) for a, b in zip(losses, base, strict=False) if a is not None and b is not None]
            cells.insert(0, "" if line["name"] == against or not pairs else _gap(*zip(*pairs, strict=True)))
        told.append(f"| {line['name']} | {n} | {value} | {' | '.join(cells)} |")
    return "\n".join(told)


def about_the_spread(lines: list[dict]) -> str:
    """Whether the line built like the prototype scatters as the prototype did; empty where one of its seeds diverged."""
    apart = {line["name"]: max(line["losses"]) - min(line["losses"]) for line in lines if "AdamW" in line["name"] and not line["diverged"]}
    if PROTOTYPE not in apart:
        return ""
    found = apart.pop(PROTOTYPE)
    others = ", ".join(f"{far:.2f} ({name})" for name, far in apart.items())
    back = "is here again" if found >= PROTOTYPE_APART else "was not reproduced: what made it, and what cured it, this table does not show"
    return (
        f"Two seeds of the prototype were {PROTOTYPE_APART:.2f} nats per token apart. Those of the line built like it ({PROTOTYPE}) are "
        f"at most {found:.2f} nats apart, those of the other lines with this optimizer {others}. The prototype's spread {back}."
    )


def _gap(ours: Sequence[float], theirs: Sequence[float]) -> str:
    if len(ours) == 1:
        return f"{ours[0] - theirs[0]:+.4f}"
    gap = Difference.of(ours, theirs)
    return f"{gap.mean:+.4f} ± {gap.half:.4f}"


def cure_models(config: CompareConfig) -> dict[str, Asked]:
    """The lines of CURES, at the middle learning rate of the grid unless they say otherwise."""
    rate = config.learning_rates[len(config.learning_rates) // 2]
    models = {name: variant.model for name, variant in variants(config).items()}
    return {name: Asked(models[kind].replace(**changes), **{"rate": rate} | told) for name, (kind, changes, told) in CURES.items()}


def variance(config: CompareConfig, folder: str | Path, n: int, say: Callable) -> list[dict] | None:
    """The spread over n seeds: by optimizer, and of MoC with its cures taken out."""
    return side_study(config, folder, cure_models(config), range(1, n + 1), say)


def idea_models(config: CompareConfig) -> dict[str, Asked]:
    """The sparse mixture, and each idea's layer as wide as the mixture's active parameters allow, at the middle learning rate."""
    all_variants = variants(config)
    sparse, moc = all_variants["top_k"].model, all_variants["moc"].model
    rate = config.learning_rates[len(config.learning_rates) // 2]
    asked = {SPARSE: Asked(sparse, rate)}
    for name, (changes, _) in IDEAS.items():
        changes = {key: -value * moc.summary_rank if key == "rank" else value for key, value in changes.items()}
        asked[name] = Asked(fitted(moc.replace(**changes), sparse), rate)
    return asked


def explore(config: CompareConfig, folder: str | Path, n: int, say: Callable) -> list[dict] | None:
    """The ideas: all on seed 1, the `FINALISTS` that were best there, and the plain layer, on n seeds. The first line is the sparse
    mixture; of the others those on most seeds come first, the best of them first."""
    asked = idea_models(config)
    first = side_study(config, folder, asked, [1], say)
    if first is None:
        return None
    order = sorted((line for line in first[1:] if None not in line["losses"]), key=lambda line: line["losses"])
    again = [SPARSE, "plain", *(line["name"] for line in order[:FINALISTS] if line["name"] != "plain")]
    more = side_study(config, folder, {name: asked[name] for name in again}, range(1, n + 1), say)
    if more is None:
        return None
    lines = {line["name"]: line for line in [*first, *more]}
    sparse_line = lines.pop(SPARSE)
    return [sparse_line, *sorted(lines.values(), key=lambda line: (None in line["losses"], -len(line["losses"]), _mean(line["losses"])))]


# --- command line ---------------------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="under a minute on a toy scale, written nowhere")
    parser.add_argument("--json", action="store_true", help="print the claims as one JSON object and write nothing")
    parser.add_argument("--picture", default="", metavar="FILE", help="also draw the table and the curves: .svg or .png")
    parser.add_argument("--variance", action="store_true", help="instead: optimizers, and MoC with its cures taken out")
    parser.add_argument("--explore", action="store_true", help="instead: changes of the layer against the sparse mixture")
    parser.add_argument("--runs", default="", metavar="DIR", help="where runs are kept (default: benchmarks/moc-runs)")
    add_flags(parser, CompareConfig, "the study")
    args = parser.parse_args()
    base = CompareConfig.quick() if args.quick else CompareConfig()
    try:
        config = CompareConfig.from_dict(base.to_dict() | given_flags(args, CompareConfig))
        measure(args, config)
    except (ConfigError, ValueError, FileNotFoundError) as error:
        parser.error(str(error))


def measure(args: argparse.Namespace, config: CompareConfig) -> None:
    """What the command asks for."""
    keep, changed = not args.quick, as_flags(config, CompareConfig(), skip=("minutes", "jobs", "source"))
    study = "--variance" if args.variance else "--explore" if args.explore else ""
    command = " ".join(["python benchmarks/moc_compare.py", *([study] if study else []), *(["--quick"] if args.quick else changed)])
    runs = Path(args.runs or (FOLDER if args.quick else RUNS))
    folder = runs / "quick" if args.quick else runs

    def say(sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)

    def about() -> str:
        return about_the_text(Study(config, folder).data, config.eval_tokens)

    if study:
        n = 2 if args.quick else 3
        lines = variance(config, folder, n, say) if args.variance else explore(config, folder, n, say)
        if lines is None:
            return
        if args.json:
            print(json.dumps({"claims": [], "lines": lines}))
            return
        title = (
            f"where the spread over seeds comes from ({n} seeds)"
            if args.variance
            else f"changes of the layer (seed 1; {n} seeds for the best)"
        )
        reasons = about_the_spread(lines) if args.variance else "\n".join(f"- {name}: {why}." for name, (_, why) in IDEAS.items() if why)
        told = "\n\n".join(filter(None, (side_table(lines, "" if args.variance else SPARSE), reasons, about())))
        results.publish(f"moc_compare{study.replace('--', '_')}", f"LunarisCodex-MoC: {title}", command, [], keep=keep, more=told)
        return
    found = compare(config, folder, say=say, command=command)
    if found is None:
        return
    if args.picture:
        draw(found, args.picture)
    if args.json:
        print(json.dumps({"claims": claims(found)}))
        return
    if keep:
        COMPARISON.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    title = f"LunarisCodex-MoC: does collaboration help? ({config.seeds} seeds, {config.steps} steps)"
    results.publish("moc_compare", title, command, claims(found), keep=keep, more=as_markdown(found, about()))


if __name__ == "__main__":
    main()
