"""core.config: one dataclass is JSON, YAML and the command line, with one set of checks."""

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lunaris.core.config import BaseConfig, ConfigError, OneLineParser, add_flags, as_flags, given_flags, load_yaml, merge, option


@dataclass(frozen=True)
class Inner(BaseConfig):
    width: int = option(8, "channels", ge=1, le=64)
    rate: float = option(0.1, "dropout", ge=0, le=1)


@dataclass(frozen=True)
class Outer(BaseConfig):
    size: int = option(16, "side, pixels", ge=8, le=64)
    lr: float = option(2e-4, "learning rate", gt=0)
    outline: bool = option(True, "draw an outline")
    kind: Literal["a", "b"] = option("a", "which")
    filters: tuple[int, ...] = option((4, 8), "channels per stage", ge=1)
    note: str = option("", "free text")
    top: int | None = option(None, "limit", ge=1)
    inner: Inner = option(Inner(), "the inner part")

    def check(self) -> None:
        if self.kind == "b" and self.size > 32:
            raise ConfigError(f"size must be at most 32 with kind 'b', got {self.size}; try 32")


CHANGED = {
    "size": 32,
    "lr": 0.5,
    "outline": False,
    "kind": "b",
    "filters": [1, 2, 3],
    "note": "é",
    "top": 3,
    "inner": {"width": 2, "rate": 0},
}


def parse(*flags):
    parser = OneLineParser(prog="prog")
    add_flags(parser, Outer, "outer")
    return Outer.from_dict(given_flags(parser.parse_args(list(flags)), Outer))


def test_json_yaml_flags_and_constructor_give_the_same_config(tmp_path):
    built = Outer.from_dict(CHANGED)
    built.save_json(tmp_path / "config.json")
    (tmp_path / "c.yaml").write_text(
        "outer: {size: 32, lr: 5e-1, outline: false, kind: b, filters: [1, 2, 3], note: é, top: 3, inner: {width: 2, rate: 0}}", "utf-8"
    )
    flags = [
        "--size",
        "32",
        "--lr",
        "0.5",
        "--no-outline",
        "--kind",
        "b",
        "--filters",
        "1",
        "2",
        "3",
        "--note",
        "é",
        "--top",
        "3",
        "--inner.width",
        "2",
        "--inner.rate",
        "0",
    ]
    assert Outer.from_json(tmp_path / "config.json") == built
    assert Outer.from_dict(load_yaml(tmp_path / "c.yaml", {"outer": Outer})["outer"]) == built
    assert parse(*flags) == built
    assert Outer.from_dict(built.to_dict()) == built
    assert built.inner == Inner(2, 0.0) and isinstance(built.inner.rate, float) and built.filters == (1, 2, 3)


def test_as_flags_names_what_differs_and_gives_the_config_back():
    built = Outer.from_dict(CHANGED | {"top": None})
    words = as_flags(built, Outer())
    assert words[:4] == ["--size", "32", "--lr", "0.5"] and "--no-outline" in words and "--inner.width" in words
    assert parse(*words) == built and as_flags(Outer(), Outer()) == []
    assert "--size" not in as_flags(built, Outer(), skip=["size"])


def test_flags_not_given_leave_the_lower_layers_their_say():
    parser = OneLineParser(prog="prog")
    add_flags(parser, Outer)
    flags = given_flags(parser.parse_args(["--inner.width", "5"]), Outer)
    merged = Outer.from_dict(merge({"size": 64, "inner": {"rate": 0.5}}, flags))
    assert flags == {"inner": {"width": 5}}
    assert (merged.size, merged.inner.rate, merged.inner.width) == (64, 0.5, 5)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"sizee": 16}, r"unknown key 'sizee'; did you mean 'size'\?"),
        ({"zzz": 1}, r"unknown key 'zzz'; known: size, lr"),
        ({"inner": {"widht": 3}}, r"unknown key 'inner\.widht'; did you mean 'inner\.width'\?"),
        ({"size": "16"}, r"size must be a whole number from 8 to 64, got '16'; try 16"),
        ({"size": True}, r"size must be a whole number from 8 to 64, got True; try 16"),
        ({"size": 16.0}, r"size must be a whole number"),
        ({"size": 7}, r"size must be a whole number from 8 to 64, got 7; try 16"),
        ({"lr": 0}, r"lr must be a finite number above 0, got 0"),
        ({"lr": math.nan}, r"lr must be a finite number above 0, got nan; try 0\.0002"),
        ({"lr": math.inf}, r"lr must be a finite number"),
        ({"outline": 1}, r"outline must be true or false, got 1; try true"),
        ({"kind": "c"}, r"kind must be one of 'a', 'b', got 'c'; try \"a\""),
        ({"filters": 4}, r"filters must be a list of whole numbers of at least 1, got 4; try \[4, 8\]"),
        ({"filters": [4, 0]}, r"filters must be a list of whole numbers of at least 1, got \(4, 0\)"),
        ({"filters": ["4"]}, r"filters must be a list of whole numbers"),
        ({"note": None}, r"note must be a text, got None"),
        ({"top": 0}, r"top must be a whole number or null of at least 1, got 0"),
        ({"inner": 3}, r"inner must be a table of keys and values, got 3"),
        ({"inner": {"rate": 2}}, r"inner\.rate must be a finite number from 0 to 1, got 2"),
        ({"kind": "b", "size": 64}, r"size must be at most 32 with kind 'b', got 64; try 32"),
        ("text", r"the config must be a table of keys and values, got 'text'"),
    ],
)
def test_bad_value_is_refused_with_key_rule_value_and_remedy(data, message):
    with pytest.raises(ConfigError, match=message):
        Outer.from_dict(data)


@pytest.mark.parametrize("key", ["size", "lr", "top", "filters"])
def test_a_number_that_no_float_holds_is_out_of_range(key):
    """`--seed` with 400 digits ended in a traceback: whether such a number is finite Python answers with an OverflowError."""
    with pytest.raises(ConfigError, match=rf"^{key} must be .*, got \(?10+…"):
        Outer.from_dict({key: [10**400] if key == "filters" else 10**400})


def test_constructor_and_replace_run_the_same_checks():
    with pytest.raises(ConfigError, match="size must be"):
        Outer(size=1000)
    with pytest.raises(ConfigError, match="at most 32 with kind 'b'"):
        Outer(kind="b").replace(size=64)
    with pytest.raises(ConfigError, match=r"unknown key 'siz'"):
        Outer().replace(siz=1)


def test_yaml_reads_2e_4_as_a_number(tmp_path):
    """PyYAML follows YAML 1.1, in which 2e-4 (no dot) is text: the spec's own learning_rate failed as "must be a finite number"."""
    (tmp_path / "c.yaml").write_text("outer:\n  lr: 2e-4\n")
    assert load_yaml(tmp_path / "c.yaml", {"outer": Outer}) == {"outer": {"lr": 0.0002}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("outer: {size: 16, size: 32}", "key 'size' appears twice"),
        ("outter: {size: 16}", r"unknown section 'outter'; did you mean 'outer'\?"),
        ("outer: {sise: 16}", r"unknown key 'sise'; did you mean 'size'\?"),
        ("outer: [1, 2", "is not valid YAML"),
        ("just text", "must hold the sections outer"),
        ("outer: !!python/object/apply:os.system ['echo hi']", "is not valid YAML"),
        ("outer: {3: 4}", "keys must be words, got 3"),
    ],
)
def test_bad_yaml_is_one_sentence(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_yaml(tmp_path / "c.yaml", {"outer": Outer})


def test_a_file_may_give_what_a_preset_or_a_flag_makes_whole(tmp_path):
    """Each section was checked as though nothing came before or after it, so `training: {stage: flow}` was refused with --init-from, and
    `model: {sampler: flow}` with --preset small. The whole is checked all the same."""
    (tmp_path / "c.yaml").write_text("outer: {kind: b, size: 64, inner: {width: 2}}")
    part = load_yaml(tmp_path / "c.yaml", {"outer": Outer})["outer"]
    assert Outer.from_dict(merge(part, {"size": 32})) == Outer(kind="b", size=32, inner=Inner(width=2))
    with pytest.raises(ConfigError, match="size must be at most 32 with kind 'b', got 64"):
        Outer.from_dict(part)


def test_missing_and_binary_yaml_files_are_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="no config file at"):
        load_yaml(tmp_path / "none.yaml", {"outer": Outer})
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="cannot read|not valid YAML"):
        load_yaml(tmp_path / "c.yaml", {"outer": Outer})


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--sizee", "3"], "prog: error: unknown flag '--sizee'; did you mean '--size'? (see prog --help)"),
        (["--siz", "32"], "prog: error: unknown flag '--siz'; did you mean '--size'?"),
        (["--size", "many"], "argument --size: must be a whole number, got 'many'"),
        (["--kind", "z"], "argument --kind: invalid choice: 'z'"),
        (["stray"], "unexpected word 'stray'"),
    ],
)
def test_bad_flag_is_one_line_and_exit_2(capsys, flags, message):
    with pytest.raises(SystemExit) as stop:
        parse(*flags)
    captured = capsys.readouterr()
    assert stop.value.code == 2 and message in captured.err and captured.err.count("\n") == 1


def test_every_field_has_help_and_shows_its_default(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    text = " ".join(capsys.readouterr().out.split())
    for flag in ("--size", "--no-outline", "--filters", "--inner.width"):
        assert flag in text
    assert "side, pixels (default: 16)" in text and "channels per stage (default: 4 8)" in text


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_no_value_from_outside_escapes_as_anything_but_a_config_error(value):
    """Whatever JSON holds, the answer is a config or a ConfigError of bounded length: never a TypeError from the depths."""
    for data in (value, {f.name: value for f in dataclasses.fields(Outer)}):
        try:
            json.dumps(Outer.from_dict(data).to_dict())
        except ConfigError as error:
            assert len(str(error)) < 400
