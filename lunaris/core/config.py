"""One dataclass is the configuration everywhere: Python, config.json, YAML and the command line.

A config is a frozen dataclass that derives from `BaseConfig`; its fields are made with `option`, which holds the default, the help
text and the range. Every way in (constructor, `from_dict`, YAML, flags) runs the same checks, so a value that is wrong is refused
where it enters, with the key, the rule, the value and one that works.
"""

import argparse
import contextlib
import dataclasses
import difflib
import functools
import json
import math
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

C = TypeVar("C", bound="BaseConfig")


class ConfigError(ValueError):
    """A key, type or value that a config refuses; the message is one sentence for the person who wrote it."""


def option(default: Any, help: str, *, ge: float | None = None, le: float | None = None, gt: float | None = None) -> Any:
    """A dataclass field with a help text (its unit in it) and an allowed range: ge <= value <= le, value > gt."""
    return field(default=default, metadata={"help": help, "ge": ge, "le": le, "gt": gt})


@dataclass(frozen=True)
class BaseConfig:
    """Base of every config and request: checked on construction, equal in all its written forms."""

    __no_type_check__ = True  # the tests' annotation checker stays out: a wrong type is for `ConfigError` to report

    def __post_init__(self):
        hints = _hints(type(self))
        for f in fields(self):
            object.__setattr__(self, f.name, _checked(f, hints[f.name], getattr(self, f.name)))
        self.check()

    def check(self) -> None:
        """Rules that tie several fields together; raise `ConfigError`. Field types and ranges hold when this runs."""

    @classmethod
    def from_dict(cls: type[C], data: Any, *, prefix: str = "") -> C:
        """A config from a table of plain values (JSON or YAML). Unknown keys, wrong types and bad values raise `ConfigError`."""
        values, hints = cls.check_part(data, prefix=prefix), _hints(cls)
        for key, value in values.items():
            if isinstance(value, Mapping) and _nested(hints[key]):
                values[key] = _nested(hints[key]).from_dict(value, prefix=f"{prefix}{key}.")
        with _prefixed(prefix):
            return cls(**values)

    @classmethod
    def check_part(cls, data: Any, *, prefix: str = "") -> dict[str, Any]:
        """The values that a table gives, each in its field's own type (JSON knows lists only, the constructor takes tuples).

        Unknown keys, wrong types and values out of range raise `ConfigError`. `check` does not run: its rules are for the whole, and
        other layers may bring the rest.
        """
        if not isinstance(data, Mapping):
            raise ConfigError(f"{prefix.rstrip('.') or 'the config'} must be a table of keys and values, got {_short(data)}")
        hints = _hints(cls)
        for key in data:
            if key not in hints:
                raise ConfigError(_unknown("key", f"{prefix}{key}", [f"{prefix}{name}" for name in hints]))
        values = {}
        for f in fields(cls):
            if f.name not in data:
                continue
            nested, value = _nested(hints[f.name]), data[f.name]
            if nested and isinstance(value, Mapping):
                values[f.name] = nested.check_part(value, prefix=f"{prefix}{f.name}.")
            else:
                with _prefixed(prefix):
                    values[f.name] = _checked(f, hints[f.name], value)
        return values

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `from_dict` turns back into an equal config."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_json(cls: type[C], path: str | Path) -> C:
        """A config from a JSON file that `save_json` wrote. Raises `ConfigError`, FileNotFoundError."""
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not valid JSON: {error}") from None

    def save_json(self, path: str | Path) -> None:
        Path(path).write_text(json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def replace(self: C, **changes: Any) -> C:
        """A copy with these fields changed; all checks run again."""
        known = [f.name for f in fields(self)]
        for key in changes:
            if key not in known:
                raise ConfigError(_unknown("key", key, known))
        return dataclasses.replace(self, **changes)

    @classmethod
    def preset(cls: type[C], name: str) -> C:
        """The config called `name`: tiny (seconds on CPU), small (what checkpoints/ ships) or full (the spec's own sizes)."""
        if name not in PRESETS:
            raise ConfigError(f"preset must be one of {', '.join(PRESETS)}, got {_short(name)}; try 'tiny'")
        return getattr(cls, name)()


PRESETS = ("tiny", "small", "full")


# --- YAML -----------------------------------------------------------------------------------------------------------------------


class _Yaml12Loader(yaml.SafeLoader):
    """YAML 1.2 where it matters: PyYAML alone reads 2e-4 as the text '2e-4' and lets a repeated key win in silence."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise ConfigError(f"keys must be words, got {_short(key)} on line {key_node.start_mark.line + 1}")
            if key in seen:
                raise ConfigError(f"key '{key}' appears twice, again on line {key_node.start_mark.line + 1}; keep one")
            seen.add(key)
        return super().construct_mapping(node, deep)


_Yaml12Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)$"),
    list("-+0123456789."),
)


def read_yaml(path: str | Path) -> Any:
    """What the file holds, plain values only; an empty file is an empty table. Raises FileNotFoundError, ConfigError."""
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Yaml12Loader) or {}  # a SafeLoader: plain values only
    except FileNotFoundError:
        raise FileNotFoundError(f"no config file at {path}; give the path of a YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None


def load_yaml(path: str | Path, sections: Mapping[str, type[BaseConfig]]) -> dict[str, dict[str, Any]]:
    """The file's sections as plain tables, every key and value checked against the section's config class.

    `sections` maps a section's name to its class, e.g. {"model": PixelConfig, "training": PixelTrainConfig}. A section that the file
    leaves out comes back empty, so a file may name only what it changes.
    """
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must hold the sections {', '.join(sections)}, got {_short(data)}")
    for name in data:
        if name not in sections:
            raise ConfigError(_unknown("section", name, list(sections)))
    tables = {name: data.get(name) or {} for name in sections}
    for name, cls in sections.items():
        cls.check_part(tables[name])  # refuse typos here, before a preset and flags are laid over and under it
    return tables


# --- command line ---------------------------------------------------------------------------------------------------------------


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line on stderr and exit code 2, with the nearest flag for a typo."""

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> typing.NoReturn:
        print(f"{self.prog}: error: {' '.join(message.split())} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)

    def parse_args(self, args=None, namespace=None):
        parsed, rest = self.parse_known_args(args, namespace)
        if rest:
            leaf = self._leaf(parsed)
            known = [flag for action in leaf._actions for flag in action.option_strings]
            flags = [word for word in rest if word.startswith("-")]
            leaf.error(_unknown("flag", flags[0], known, list_all=False) if flags else f"unexpected word {rest[0]!r}")
        return parsed

    def _leaf(self, parsed) -> "OneLineParser":
        """The parser of the chosen subcommand, where the unknown flag was meant for."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction) and getattr(parsed, action.dest, None) in action.choices:
                return action.choices[getattr(parsed, action.dest)]._leaf(parsed)
        return self


@dataclass(frozen=True)
class Verb:
    """One more verb of a family, beside train, generate, evaluate and demo: `lunaris FAMILY NAME WORDS --model REF --out OUT --flags`.

    help        the verb in one line
    order       the dataclass behind its flags
    run         run(order, out, model) makes the file or folder `out`, and returns what is told of it, in JSON's values
    words       fields of `order` that are given in this order without a flag
    model       whether it takes --model, the ref of a checkpoint; without, `run` gets ""
    out         what --out names: FILE or DIR
    """

    help: str
    order: type[BaseConfig]
    run: Callable[[Any, str, str], dict[str, Any]]
    words: tuple[str, ...] = ()
    model: bool = True
    out: str = "FILE"


def add_flags(
    parser: argparse._ActionsContainer,
    cls: type[BaseConfig],
    title: str | None = None,
    *,
    words: Sequence[str] = (),
    prefix: str = "",
    root: str = "",
) -> None:
    """One flag per field of `cls`: --latent-dim, --use-text/--no-use-text, --filters 64 128, --latent-fusion.type gate.

    Fields in `words` are plain words instead, in that order, and must be given. A flag that is not given leaves no trace in the
    namespace, so a preset or a YAML file keeps its say.
    """
    for name in words:
        f = next(f for f in fields(cls) if f.name == name)
        kwargs = {"type": _converter(_inner(_hints(cls)[name])), "metavar": name.upper(), "help": f.metadata["help"].replace("%", "%%")}
        parser.add_argument(f"{root or cls.__name__}:{name}", **kwargs)
    group, root = parser.add_argument_group(title) if title else parser, root or cls.__name__
    for f in fields(cls):
        if f.name in words:
            continue
        hint = _hints(cls)[f.name]
        nested = _nested(hint)
        if nested:
            add_flags(group, nested, prefix=f"{prefix}{f.name}.", root=root)
            continue
        flag = "--" + f"{prefix}{f.name}".replace("_", "-")
        inner = _inner(hint)
        kwargs: dict[str, Any] = {"dest": f"{root}:{prefix}{f.name}", "default": argparse.SUPPRESS}
        kwargs["help"] = f"{f.metadata.get('help', '')} (default: {_flag_text(f.default)})".replace("%", "%%")
        if inner is bool:
            kwargs["action"] = argparse.BooleanOptionalAction
        elif typing.get_origin(inner) is tuple:
            kwargs |= {"nargs": "+", "type": _converter(typing.get_args(inner)[0]), "metavar": f.name.upper()}
        elif typing.get_origin(inner) is Literal:
            kwargs |= {"choices": typing.get_args(inner), "type": type(typing.get_args(inner)[0])}
        else:
            kwargs |= {"type": _converter(inner), "metavar": f.name.upper()}
        group.add_argument(flag, **kwargs)


def given_flags(args: argparse.Namespace, cls: type[BaseConfig]) -> dict[str, Any]:
    """The values of the `cls` flags that were given, as the nested table `from_dict` takes."""
    table: dict[str, Any] = {}
    for dest in _flag_dests(cls):
        if hasattr(args, dest):
            *parents, name = dest.split(":", 1)[1].split(".")
            inner = table
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[name] = getattr(args, dest)
    return table


def as_flags(config: BaseConfig, base: BaseConfig, *, skip: Sequence[str] = (), prefix: str = "") -> list[str]:
    """The flags that turn `base` into `config`, fields in `skip` left out: what to type to get this config again."""
    words: list[str] = []
    for f in fields(config):
        ours, theirs = getattr(config, f.name), getattr(base, f.name)
        name = f"{prefix}{f.name}".replace("_", "-")
        if ours == theirs or f.name in skip:
            continue
        if isinstance(ours, BaseConfig):
            words += as_flags(ours, theirs, skip=skip, prefix=f"{prefix}{f.name}.")
        elif isinstance(ours, bool):
            words.append(f"--{name}" if ours else f"--no-{name}")
        else:
            words += [f"--{name}", *(map(str, ours) if isinstance(ours, tuple) else [str(ours)])]
    return words


def merge(base: Mapping[str, Any], *layers: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of each later layer laid over it, tables merged key by key."""
    merged = dict(base)
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
            merged[key] = merge(merged[key], value) if both else value
    return merged


def _flag_dests(cls: type[BaseConfig], root: str = "", prefix: str = "") -> list[str]:
    root, dests = root or cls.__name__, []
    for f in fields(cls):
        nested = _nested(_hints(cls)[f.name])
        dests += _flag_dests(nested, root, f"{prefix}{f.name}.") if nested else [f"{root}:{prefix}{f.name}"]
    return dests


def _converter(hint: Any):
    def convert(text: str):
        try:
            return hint(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be {_describe(hint)}, got {_short(text)}") from None

    return convert


def _flag_text(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "none" if value is None else str(value)


# --- checks ---------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _prefixed(prefix: str) -> Iterator[None]:
    """Say in a `ConfigError` which table of a larger one the key is in."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(str(error) if str(error).startswith(prefix) else f"{prefix}{error}") from None


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return {f.name: f.type for f in fields(cls)}


@functools.cache
def _adapter(hint: Any) -> TypeAdapter:
    return TypeAdapter(hint)


def _inner(hint: Any) -> Any:
    """T of `T | None`, else the hint itself."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(arg for arg in typing.get_args(hint) if arg is not type(None))
    return hint


def _nested(hint: Any) -> type[BaseConfig] | None:
    inner = _inner(hint)
    return inner if isinstance(inner, type) and issubclass(inner, BaseConfig) else None


def _checked(f: dataclasses.Field, hint: Any, value: Any) -> Any:
    """`value` in the field's own type, or a `ConfigError` that names the key, the rule, the value and one that works."""
    inner = _inner(hint)
    if isinstance(value, list) and typing.get_origin(inner) is tuple:
        value = tuple(value)
    if isinstance(value, Mapping) and _nested(hint):
        value = _nested(hint).from_dict(value, prefix=f"{f.name}.")
    try:
        value = _adapter(hint).validate_python(value, strict=True) if not _nested(hint) else value
    except ValidationError:
        raise ConfigError(_rule(f, hint, value)) from None
    if _nested(hint) and not isinstance(value, _nested(hint)):
        raise ConfigError(_rule(f, hint, value))
    numbers = value if isinstance(value, tuple) else (value,)
    for number in numbers:
        if isinstance(number, (int, float)) and not isinstance(number, bool) and not _in_range(f, number):
            raise ConfigError(_rule(f, hint, value))
    return value


def _in_range(f: dataclasses.Field, number: float) -> bool:
    ge, le, gt = (f.metadata.get(name) for name in ("ge", "le", "gt"))
    try:
        finite = math.isfinite(number)
    except OverflowError:  # a whole number that no float holds
        finite = False
    return finite and (ge is None or number >= ge) and (le is None or number <= le) and (gt is None or number > gt)


def _rule(f: dataclasses.Field, hint: Any, value: Any) -> str:
    ge, le, gt = (f.metadata.get(name) for name in ("ge", "le", "gt"))
    low = f" of at least {ge}" if ge is not None else f" above {gt}" if gt is not None else ""
    bounds = f" from {ge} to {le}" if ge is not None and le is not None else low + (f" and at most {le}" if le is not None else "")
    works = "" if f.default in (MISSING, None) or _nested(hint) else f"; try {json.dumps(f.default, default=str)}"
    return f"{f.name} must be {_describe(hint)}{bounds}, got {_short(value)}{works}"


def _describe(hint: Any) -> str:
    optional = " or null" if _inner(hint) is not hint else ""
    inner = _inner(hint)
    if typing.get_origin(inner) is Literal:
        return f"one of {', '.join(repr(choice) for choice in typing.get_args(inner))}{optional}"
    if typing.get_origin(inner) is tuple:
        plural = {int: "whole numbers", float: "numbers", str: "words"}
        args = typing.get_args(inner)
        count = "" if args[-1] is Ellipsis else f"{len(args)} "
        return f"a list of {count}{plural.get(args[0], 'values')}{optional}"
    names = {int: "a whole number", float: "a finite number", bool: "true or false", str: "a text"}
    return names.get(inner, "a table of keys and values") + optional


def _unknown(what: str, name: str, known: Sequence[str], *, list_all: bool = True) -> str:
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.6)
    hint = f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known)}" if list_all else ""
    return f"unknown {what} '{_clip(str(name))}'{hint}"


def _short(value: Any) -> str:
    return _clip(repr(value))


def _clip(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
