"""`python -m lunaris`: one command line for every family (HB-02).

    lunaris FAMILY train|generate|evaluate|demo     flags come from the family's dataclasses
    lunaris FAMILY VERB                             what else the family can do
    lunaris replay FILE                             make a picture or a text again from what its file says, and compare
    lunaris hub list|resolve|push|pull|card         checkpoints: bundled, local, on the Hub
    lunaris space build|push                        a family as a Space of its own
    lunaris doctor                                  what this machine has

What else a family can do it says in VERBS, a table from a verb's name to its `core.config.Verb`; a family without one has the four.

A mistake of the caller is one line on stderr and exit code 2; Ctrl-C is 130. LUNARIS_DEBUG=1 shows the traceback.
"""

import importlib
import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import ModuleType

from lunaris import FAMILIES, __version__
from lunaris.core.config import PRESETS, BaseConfig, OneLineParser, Verb, add_flags, given_flags, load_yaml, merge

REF_HELP = "a folder, a bundled checkpoint's name, or owner/name[@revision]"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        args = build_parser(*[*words, "", ""][:2]).parse_args(words)
        return args.run(args) or 0
    except KeyboardInterrupt:
        print("lunaris: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `lunaris … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        ours = type(error).__module__.startswith("lunaris.")  # HubError, TrainingError: sentences already
        if os.environ.get("LUNARIS_DEBUG") or not (ours or isinstance(error, (ValueError, OSError, ModuleNotFoundError))):
            raise
        print(f"lunaris: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def build_parser(command: str = "", verb: str | None = None) -> OneLineParser:
    """The parser. Only the family named by `command` is imported, and of its verbs only `verb` gets flags, so that --help answers at once.

    Without a `verb`, all of them do.
    """
    parser = OneLineParser(prog="lunaris", description="Small generative models: train, try, publish.")
    parser.add_argument("--version", action="version", version=f"lunaris {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in FAMILIES:
        family = commands.add_parser(name, help=f"train, generate, evaluate, demo: what the {name} family can do")
        if name == command:
            _add_family(family, name, importlib.import_module(f"lunaris.{name}"), verb)
    replay = commands.add_parser("replay", help="make a picture or a text again from what its file says, and compare")
    replay.add_argument("file", metavar="FILE", help="a PNG, or a text as JSON, that Lunaris wrote")
    replay.add_argument("--model", default="", metavar="REF", help=f"{REF_HELP} (default: what the file names, unless that was a folder)")
    replay.set_defaults(run=_replay)
    _add_hub(commands.add_parser("hub", help="list, find, publish and fetch checkpoints"))
    _add_space(commands.add_parser("space", help="build or publish a family as its own Hugging Face Space"))
    doctor = commands.add_parser("doctor", help="what this machine has: hardware, optional packages, Hub access")
    _add_json(doctor)
    doctor.set_defaults(run=_doctor)
    return parser


def _verb(commands, name: str, run: Callable[[Namespace], int | None], help: str) -> OneLineParser:
    parser = commands.add_parser(name, help=help, description=help)
    parser.set_defaults(run=run)
    return parser


# --- families --------------------------------------------------------------------------------------------------------------------


def _add_family(parser: OneLineParser, name: str, family: ModuleType, chosen: str | None) -> None:
    """The family's verbs. Only the chosen one gets its flags (None: all of them): the dataclasses of some need torch."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add(verb: str, run: Callable[[Namespace], int | None], help: str, flags: Callable[[OneLineParser, ModuleType], None]) -> None:
        leaf = _verb(verbs, verb, run, help)
        if chosen in (None, verb):
            flags(leaf, family)

    add("train", lambda args: _train(family, args), "train a model; continue a stopped run with --resume", _train_flags)
    about = "make something with a checkpoint; the same seed gives the same bytes"
    add("generate", lambda args: _generate(family, args), about, _generate_flags)
    add("evaluate", lambda args: _evaluate(family, args), "measure a checkpoint on the held-out part of any data", _evaluate_flags)
    add("demo", lambda args: _demo(family, args), f"open the {name} tab alone in the browser", _demo_flags)
    for verb, more in getattr(family, "VERBS", {}).items():
        add(verb, partial(_more, more), more.help, partial(_more_flags, more))


def _train_flags(parser: OneLineParser, family: ModuleType) -> None:
    own = hasattr(family, "load_run")
    form = "sections model: and training:" + (", or the spec's own form" if own else "")
    parser.add_argument("config", nargs="?", metavar="CONFIG.yaml", help=f"{form}; flags override it")
    parser.add_argument(
        "--preset", choices=PRESETS, help="sizes to start from: tiny (seconds on a CPU), small (what is shipped), full (GPU)"
    )
    parser.add_argument("--source", default="", help="procedural (default, needs no network), a folder, or a Hub dataset owner/name")
    parser.add_argument("--out", required=not own, default="", metavar="DIR", help="the checkpoint folder to write")
    parser.add_argument("--resume", action="store_true", help="continue from the last saved step in --out")
    add_flags(parser, family.Config, "model")
    add_flags(parser, family.TrainConfig, "training")


def _generate_flags(parser: OneLineParser, family: ModuleType) -> None:
    _add_model(parser, family)
    streams = hasattr(family, "stream")
    about = "the file to write" + ("; without one, the text is printed as it comes" if streams else "")
    parser.add_argument("--out", required=not streams, default="", metavar="FILE", help=about)
    add_flags(parser, family.Request, "what to make")
    add_flags(parser, family.Output, "how to write it")


def _evaluate_flags(parser: OneLineParser, family: ModuleType) -> None:
    _add_model(parser, family)
    parser.add_argument("--data", default="procedural", help="procedural, a folder, or a Hub dataset owner/name")
    if hasattr(family, "Evaluation"):
        add_flags(parser, family.Evaluation, "what to measure on")
    _add_json(parser)


def _demo_flags(parser: OneLineParser, family: ModuleType) -> None:
    parser.add_argument("--model", default="", metavar="REF", help=f"what the tab opens with: {REF_HELP}")


def _more_flags(verb: Verb, parser: OneLineParser, family: ModuleType) -> None:
    if verb.model:
        _add_model(parser, family)
    parser.add_argument("--out", required=True, metavar=verb.out, help=f"the {OUT_HELP[verb.out]} to write")
    _add_json(parser)
    add_flags(parser, verb.order, "what to make", words=verb.words)


OUT_HELP = {"FILE": "file", "DIR": "folder"}


def _add_model(parser: OneLineParser, family: ModuleType) -> None:
    parser.add_argument("--model", default=family.CHECKPOINT, metavar="REF", help=f"{REF_HELP} (default: {family.CHECKPOINT})")


def _add_json(parser: OneLineParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _train(family: ModuleType, args: Namespace) -> None:
    own = args.config and hasattr(family, "load_run")
    configs, source, out = _spec_run(family, args) if own else (_configs(family, args), "", "")
    source, out = args.source or source or "procedural", args.out or out
    if not out:
        raise ValueError("the checkpoint needs a folder; give --out DIR" + (f", or set out_dir in {args.config}" if args.config else ""))
    folder = family.train(*configs, out, source=source, resume=args.resume)
    print(f"checkpoint saved in {folder}; see it with: python -m lunaris {args.command} generate --model {folder} --out OUT")


def _configs(family: ModuleType, args: Namespace, tables: dict[str, dict] | None = None) -> list[BaseConfig]:
    from lunaris.core import runtime

    sections = {"model": family.Config, "training": family.TrainConfig}
    if tables is None:
        tables = load_yaml(args.config, sections) if args.config else {name: {} for name in sections}
    chosen = args.preset or ("" if args.config else runtime.preset())  # a file stands for itself, on the defaults
    configs = []
    for name, cls in sections.items():
        base = cls.preset(chosen).to_dict() if chosen else {}
        configs.append(cls.from_dict(merge(base, tables[name], given_flags(args, cls))))
    return configs


def _spec_run(family: ModuleType, args: Namespace) -> tuple[list[BaseConfig], str, str]:
    """The run that a family's own kind of file describes: configs, where its data are, where it writes."""
    tables, source, out = family.load_run(args.config)
    return _configs(family, args, tables), source, out


def _generate(family: ModuleType, args: Namespace) -> None:
    from lunaris.core import hub, provenance

    request = family.Request.from_dict(given_flags(args, family.Request))
    output = family.Output.from_dict(given_flags(args, family.Output))
    folder = hub.resolve(args.model)
    model = family.load(folder)
    result = family.generate_request(model, request) if args.out else _print_stream(family.stream(model, request))
    if args.out:
        record = provenance.record(args.command, "generate", request.to_dict(), model=args.model, weights=hub.weight_hash(folder))
        print(f"wrote {family.save_result(result, args.out, output, record)}")


def _print_stream(pieces: Iterator[str]) -> None:
    """Print a text while it is written; whoever interrupts it keeps what is there."""
    try:
        for piece in pieces:
            print(piece, end="", flush=True)
    finally:
        print()


def _evaluate(family: ModuleType, args: Namespace) -> None:
    options = given_flags(args, family.Evaluation) if hasattr(family, "Evaluation") else {}
    if options:
        family.Evaluation.from_dict(options)
    _print_report(family.evaluate(family.load(args.model), args.data, **options) | {"model": args.model}, args.json)


def _more(verb: Verb, args: Namespace) -> None:
    order = verb.order.from_dict(given_flags(args, verb.order))
    report = verb.run(order, args.out, args.model if verb.model else "")
    if not args.json:
        print(f"wrote {report.pop('out')}")
    _print_report(report, args.json)


def _demo(family: ModuleType, args: Namespace) -> None:
    from lunaris.core import ui

    if args.model:
        os.environ["LUNARIS_MODEL"] = args.model
    ui.launch(family.build_demo())


# --- replay ---------------------------------------------------------------------------------------------------------------------


def _replay(args: Namespace) -> int:
    """0 = identical, 1 = different or its model is missing; a file that cannot be replayed at all raises."""
    from lunaris.core import provenance

    data = provenance.file_bytes(args.file)
    record = provenance.read(data)
    provenance.same_threads(record)
    verdict = importlib.import_module(f"lunaris.{record['family']}.replay").check(data, args.model)
    print("\n  ".join([verdict.outcome, *verdict.notes]))
    return 0 if verdict.outcome == "identical" else 1


# --- hub, space, doctor ----------------------------------------------------------------------------------------------------------


def _add_hub(parser: OneLineParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = _verb(verbs, "list", _hub_list, "checkpoints that can be loaded by name")
    listing.add_argument("--json", action="store_true", help="print one JSON list")
    resolve = _verb(verbs, "resolve", _hub_resolve, "the local folder of a checkpoint, fetched if need be")
    resolve.add_argument("ref", help=REF_HELP)
    push = _verb(verbs, "push", _hub_push, "publish a checkpoint folder on the Hub")
    push.add_argument("folder", help=REF_HELP)
    push.add_argument("repo_id", help="owner/name on the Hub; created when missing")
    push.add_argument("--private", action="store_true", help="only you can see it")
    push.add_argument("--tag", help="a version name for this state, such as v1.0")
    pull = _verb(verbs, "pull", _hub_pull, "copy a checkpoint into a folder of yours")
    pull.add_argument("ref", help=REF_HELP)
    pull.add_argument("--out", required=True, metavar="DIR", help="a new or empty folder")
    card = _verb(verbs, "card", _hub_card, "show a checkpoint's card")
    card.add_argument("ref", help=REF_HELP)


def _hub_list(args: Namespace) -> None:
    from lunaris.core import hub

    models = hub.list_models()
    if args.json:
        print(json.dumps(models, indent=2, default=str))
    else:
        for model in models:
            print("  ".join(str(value) for value in model.values() if value))


def _hub_resolve(args: Namespace) -> None:
    from lunaris.core import hub

    print(hub.resolve(args.ref))


def _hub_push(args: Namespace) -> int:
    from lunaris.core import hub

    result = hub.push(hub.resolve(args.folder), args.repo_id, private=args.private, tag=args.tag)
    return _say(result)


def _hub_pull(args: Namespace) -> None:
    from lunaris.core import hub

    print(f"saved in {hub.pull(args.ref, args.out)}")


def _hub_card(args: Namespace) -> None:
    from lunaris.core import hub

    print(hub.card(args.ref))


def _add_space(parser: OneLineParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    build = _verb(verbs, "build", _space_build, "write a folder that runs by itself and can be pushed as a Space")
    build.add_argument("family", choices=FAMILIES, help="the family")
    build.add_argument("--out", required=True, metavar="DIR", help="a new folder, or an earlier bundle to renew")
    weights = build.add_mutually_exclusive_group()
    weights.add_argument("--model", metavar="REF", help=f"the checkpoint to put in the folder: {REF_HELP} (default: the bundled ones)")
    weights.add_argument("--model-id", metavar="OWNER/NAME[@REVISION]", help="put no weights in; the Space loads these from the Hub")
    push = _verb(verbs, "push", _space_push, "publish a built folder as a Hugging Face Space")
    push.add_argument("folder", help="a folder made by `space build`")
    push.add_argument("repo_id", help="owner/name of the Space; created when missing")
    push.add_argument("--private", action="store_true", help="only you can see it")
    push.add_argument("--hardware", help="what a new Space runs on: zero-a10g (ZeroGPU, two for a free account), cpu-basic, ...")


def _space_build(args: Namespace) -> None:
    from lunaris.core import space

    folder = space.build(args.family, args.out, ref=args.model, model_id=args.model_id)
    print(f"Space folder written to {folder}; try it: cd {folder} && python app.py")


def _space_push(args: Namespace) -> int:
    from lunaris.core import space

    return _say(space.push(args.folder, args.repo_id, private=args.private, hardware=args.hardware))


def _say(result) -> int:
    """What became of a push: its sentence, and 2 when nothing was published."""
    print(result.sentence, file=sys.stdout if result.url else sys.stderr)
    return 0 if result.url else 2


def _doctor(args: Namespace) -> None:
    from lunaris.core import runtime

    report = runtime.doctor()
    print(json.dumps(report, indent=2) if args.json else runtime.doctor_text(report))


def _print_report(report: dict, as_json: bool) -> None:
    clean = {key: None if isinstance(value, float) and value != value else value for key, value in report.items()}  # JSON has no NaN
    if as_json:
        print(json.dumps(clean, ensure_ascii=False))
    else:
        for key, value in clean.items():
            shown = f"{value:.4g}" if isinstance(value, float) else " | ".join(map(str, value)) if isinstance(value, list) else value
            print(f"{key:<30} {shown}")
