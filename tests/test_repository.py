"""The repository's promises: README's paths and commands, versions that agree, nothing that does not belong (HB-02, HB-05, HB-09)."""

import ast
import importlib.metadata
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lunaris
from lunaris.core import space

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUN = "pip install -r requirements.txt && python app.py"
TEST = "pip install -r requirements.txt -r requirements-dev.txt && pytest"
MB = 2**20


def own_files() -> list[Path]:
    """What a commit would hold: git's list, or in a copy without .git every file outside the caches."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode == 0:
        names = [name for name in listing.stdout.split("\0") if name]
    else:
        litter = {"__pycache__", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints", ".venv", "venv", ".git", "runs", "out", ".gradio"}
        names = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if not litter & set(path.relative_to(ROOT).parts)]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


FILES = own_files()


def text_of(path: Path) -> str | None:
    """The file's text; None for a binary file."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


# --- README ----------------------------------------------------------------------------------------------------------------------


def named_paths(readme: str) -> set[str]:
    """Every path of this repository that a README names: link targets, `code` spans with a slash, and the layout tree."""
    targets = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", readme) if not re.match(r"\w+:|#", target)}
    prose = re.sub(r"```.*?```", "", readme, flags=re.DOTALL)
    spans = {span for span in re.findall(r"`([^`\n]+)`", prose) if re.fullmatch(r"[\w.*-]+/([\w.*-]+/?)*", span)} - {"owner/name"}
    tree = re.search(r"## Layout\n.*?```\n(.*?)```", readme, re.DOTALL)
    return targets | spans | (set(tree_paths(tree[1])) if tree else set())


def named_files(readme: str) -> set[str]:
    """The bare file names in `code` spans, such as model.py: each family has one, so they must exist somewhere."""
    return set(re.findall(r"`([\w.-]+\.(?:py|md|txt|toml|yml|ipynb))`", readme)) - {"main.py", "train_moe.py"}  # the spec's own


def tree_paths(tree: str):
    """The paths of an indented tree, two spaces a level, several names a line if need be; what follows two spaces is a remark."""
    folders: list[str] = []
    for line in tree.splitlines():
        if not line.strip():
            continue
        depth = (len(line) - len(line.lstrip())) // 2
        for name in re.split(r"\s{2,}", line.strip())[0].split():
            path = "".join(folders[:depth]) + name
            yield path
            if name.endswith("/"):
                folders[depth:] = [name]


def missing(readme: str) -> set[str]:
    absent = {path for path in named_paths(readme) if not any(ROOT.glob(path.rstrip("/")))}
    return absent | named_files(readme) - {path.name for path in FILES}


def test_every_path_the_readme_names_exists():
    assert len(named_paths(README)) > 40 and len(named_files(README)) > 5
    assert missing(README) == set()


def test_the_path_check_notices_a_wrong_link_span_and_tree_line():
    wrong = "[a](lunaris/nowhere.py) [b](https://example.org/x.py) `lunaris/core/gone.py` `lunaris/core/space.py` `pixel-16` `demos.py`\n"
    tree = "## Layout\n```\nlunaris/  the library\n  core/\n    space.py lost.py  lost.md is a remark\n  away/\n```\n"
    assert missing(wrong + tree) == {"lunaris/nowhere.py", "lunaris/core/gone.py", "demos.py", "lunaris/core/lost.py", "lunaris/away/"}


def test_the_readme_gives_the_two_commands_and_ci_runs_the_second():
    assert f"\n{RUN}\n" in README and f"\n{TEST}\n" in README
    steps = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert steps[-1] == TEST
    assert "set -euo pipefail" in steps and "ruff check ." in steps


def test_github_runs_the_same_script_on_every_supported_python():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["test"]
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]
    supported = Requirement(f"python{PYPROJECT['project']['requires-python']}").specifier
    assert job["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(8, 20) if supported.contains(f"3.{minor}")]


def test_every_lunaris_command_in_the_readme_is_one_the_command_line_takes():
    from lunaris.cli import build_parser

    commands = re.findall(r"^python -m lunaris (.+)$", README, re.MULTILINE)
    assert len(commands) >= 10
    for command in commands:
        words = shlex.split(command, comments=True)
        build_parser(words[0]).parse_args(words)


def test_the_readme_explains_every_environment_variable_that_the_code_reads():
    code = "\n".join(text for path in [*ROOT.glob("lunaris/**/*.py"), ROOT / "app.py"] if (text := text_of(path)))
    names = set(re.findall(r"\b(LUNARIS_[A-Z_]+)\b", code))
    assert {"LUNARIS_PRESET", "LUNARIS_MODEL"} <= names
    assert {name for name in names if f"`{name}`" not in README} == set()


# --- versions --------------------------------------------------------------------------------------------------------------------

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SPACE_REQUIREMENTS = sorted(ROOT.glob("spaces/*/requirements.txt"))


def requirements(path: Path) -> dict[str, Requirement]:
    lines = [line.split(" #")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return by_name(line for line in lines if line and not line.startswith("#"))


def by_name(lines) -> dict[str, Requirement]:
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}


def lines_without_torch(table: dict[str, Requirement]) -> set[str]:
    return {str(requirement) for name, requirement in table.items() if name != "torch"}


LIBRARY = by_name(PYPROJECT["project"]["dependencies"])
EXTRAS = {name: by_name(lines) for name, lines in PYPROJECT["project"]["optional-dependencies"].items()}
HUB, DEV = requirements(ROOT / "requirements.txt"), requirements(ROOT / "requirements-dev.txt")


TESTED = {"requirements": HUB, "dev": DEV, "library": LIBRARY, "app": EXTRAS["app"], "data": EXTRAS["data"], "track": EXTRAS["track"]}


@pytest.mark.parametrize("table", TESTED.values(), ids=TESTED)
def test_pinned_ranges_admit_the_versions_these_tests_run_on(table):
    """HB-09: a range that was never run is a guess."""
    for name, requirement in table.items():
        installed = importlib.metadata.version(name)
        assert requirement.specifier.contains(installed.partition("+")[0], prereleases=True), f"{name} {installed} against {requirement}"
        assert requirement.specifier, f"{name} has no range"


def test_requirements_are_the_ranges_of_the_library_and_its_app_extra():
    wanted = LIBRARY | EXTRAS["app"]
    assert lines_without_torch(HUB) == lines_without_torch(wanted)
    pin = re.fullmatch(r"==([\d.]+)", str(HUB["torch"].specifier))
    assert pin and LIBRARY["torch"].specifier.contains(pin[1])


@pytest.mark.parametrize("path", SPACE_REQUIREMENTS, ids=lambda path: path.parent.name)
def test_space_requirements_are_the_library_with_a_torch_that_zerogpu_offers(path):
    table = requirements(path)
    text = EXTRAS["text"] if "transformers" in table else {}  # the language models need it; the family's own tests would fail without
    assert lines_without_torch(table) == lines_without_torch(LIBRARY | text | {"mcp": DEV["mcp"]})
    low, high = "2.8.0", "2.11.0"  # ZeroGPU's list
    assert table["torch"].specifier.contains(low) and table["torch"].specifier.contains(high)
    assert not table["torch"].specifier.contains("2.12.0") and not table["torch"].specifier.contains("2.7.1")


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted(ROOT.glob("spaces/*/README.md"))], ids=lambda path: path.parent.name)
def test_pinned_sdk_version_is_the_gradio_these_tests_run_on(path):
    """HB-05, HB-09: duplicated Spaces break when their gradio is not the tested one."""
    front = space.validate_front_matter(path.read_text(encoding="utf-8"))
    assert front["sdk_version"] == importlib.metadata.version("gradio")
    assert (path.parent / front["app_file"]).is_file()
    supported = Requirement(f"python{PYPROJECT['project']['requires-python']}").specifier
    assert supported.contains(front["python_version"])
    assert front["license"] == "mit"


def test_every_family_has_a_space_folder():
    """HB-05."""
    assert {path.name for path in (ROOT / "spaces").iterdir()} == set(lunaris.FAMILIES)
    for family in lunaris.FAMILIES:
        names = {path.name for path in FILES if path.is_relative_to(ROOT / "spaces" / family)}
        assert names == {"README.md", "app.py", "requirements.txt"}


def imported_packages(paths) -> set[str]:
    """The distributions that these files import, at whatever depth."""
    distributions = importlib.metadata.packages_distributions()
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return {canonicalize_name(distribution) for name in names for distribution in distributions.get(name, [])[:1]}


def test_everything_the_code_imports_is_declared():
    """A package that comes along with another one today may be gone tomorrow."""
    declared = set(LIBRARY).union(*EXTRAS.values())
    brought = {"lunaris", "huggingface-hub", "starlette", "spaces"}  # starlette is fastapi's, spaces is ZeroGPU's own
    assert imported_packages([*ROOT.glob("lunaris/**/*.py"), ROOT / "app.py"]) - declared - brought == set()
    tests = {"packaging", "tomli", "gradio-client", "httpx2"}  # pytest brings the first two, gradio and the Hub's client theirs
    assert imported_packages(ROOT.glob("tests/**/*.py")) - declared - brought - set(DEV) - tests == set()


# --- what may be in the repository -----------------------------------------------------------------------------------------------

TOP_FOLDERS = {".ci", ".github", "benchmarks", "checkpoints", "docs", "lunaris", "notebooks", "spaces", "tests"}
TOP_FILES = {".gitignore", ".pre-commit-config.yaml", "CREDITS.md", "LICENSE", "README.md", "app.py", "pyproject.toml"}
TOP_FILES |= {"requirements.txt", "requirements-dev.txt"}


def test_the_top_level_holds_what_the_design_names_and_nothing_else():
    """HB-02."""
    assert {path.relative_to(ROOT).parts[0] for path in FILES} <= TOP_FOLDERS | TOP_FILES


def test_no_file_is_over_25_mb_and_the_checkpoints_weigh_at_most_90():
    assert [(path.name, path.stat().st_size) for path in FILES if path.stat().st_size > 25 * MB] == []
    assert sum(path.stat().st_size for path in FILES if path.is_relative_to(ROOT / "checkpoints")) <= 90 * MB


PRE_COMMIT = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
HOOKS = {hook["id"]: hook for repo in PRE_COMMIT["repos"] for hook in repo["hooks"]}
TOKEN = re.compile(HOOKS["no-token"]["entry"])
# Folders of one person's or one runner's machine, and hosts that only a package client's settings should name.
FOREIGN = re.compile(
    r"(?<![\w.~$}])/(?:root|work|home/\w+|Users/\w+|opt/\w+)/\w"
    r"|(?:pypi|pythonhosted|debian|npmjs)\.org\b|download\.pytorch\.org|--(?:extra-)?index-url"
)


def test_no_file_holds_a_token_a_machine_path_or_a_registry_host():
    texts = {path: text for path in FILES if (text := text_of(path)) is not None}
    assert len(texts) > 40
    assert {path.name: found[0] for path, text in texts.items() if (found := TOKEN.search(text))} == {}
    assert {path.name: found[0] for path, text in texts.items() if (found := FOREIGN.search(text))} == {}


@pytest.mark.parametrize("secret", ["hf_" + "aB3" * 11 + "x", "ghp_" + "a1B2" * 9, "sk-" + "proj-" + "x9" * 20, "AKIA" + "Q7" * 8])
def test_the_token_pattern_knows_the_usual_tokens(secret):
    assert TOKEN.search(f'token = "{secret}"')
    assert not TOKEN.search("hf_local_write hf_hub_download sk-learn AKIA")


@pytest.mark.parametrize("bad", ["cd /ro" + "ot/lunaris", "/ho" + "me/ana/x", "--index" + "-url https://a.b", "https://py" + "pi.org/x"])
def test_the_machine_pattern_knows_paths_and_hosts(bad):
    assert FOREIGN.search(bad)
    assert not FOREIGN.search("https://example.org/root/x ./work/x /usr/bin/chromium /tmp/x owner/work/x")


def stored_outputs(notebook: str) -> list[int]:
    """The cells of a notebook's JSON that keep an output or a run count."""
    cells = json.loads(notebook)["cells"]
    return [i for i, cell in enumerate(cells) if cell["cell_type"] == "code" and (cell["outputs"] or cell["execution_count"] is not None)]


def test_notebooks_keep_no_outputs():
    notebooks = [path for path in FILES if path.suffix == ".ipynb"]
    assert len(notebooks) >= len(lunaris.FAMILIES)
    assert {path.name: cells for path in notebooks if (cells := stored_outputs(path.read_text(encoding="utf-8")))} == {}


def test_the_output_check_notices_an_output_and_a_run_count():
    cells = [
        {"cell_type": "markdown"},
        {"cell_type": "code", "outputs": [], "execution_count": None},
        {"cell_type": "code", "outputs": [{"output_type": "stream"}], "execution_count": None},
        {"cell_type": "code", "outputs": [], "execution_count": 3},
    ]
    assert stored_outputs(json.dumps({"cells": cells})) == [2, 3]


def test_the_licence_is_mit_and_pyproject_says_so():
    """LG-71."""
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("MIT License\n\nCopyright (c) 2025-2026 Syra Team / Lunaris contributors\n")
    assert "Permission is hereby granted, free of charge" in licence and "WITHOUT WARRANTY OF ANY KIND" in licence
    assert PYPROJECT["project"]["license"] == "MIT" and PYPROJECT["project"]["license-files"] == ["LICENSE"]


def test_precommit_checks_what_these_tests_check():
    assert {"ruff", "nbstripout", "check-added-large-files", "detect-private-key", "no-token"} <= set(HOOKS)
    assert HOOKS["check-added-large-files"]["entry"].endswith(f"--maxkb={25 * 1024}")
    pinned = by_name(HOOKS["ruff"]["additional_dependencies"])["ruff"]
    assert all(DEV["ruff"].specifier.contains(version.version) for version in pinned.specifier)


def uncredited(card: str, checkpoint: str, credits: str) -> set[str]:
    """The data sources that a checkpoint's card names and that have no row for this checkpoint in the credits."""
    section = card.partition("## Data and licences")[2].partition("Licence of the weights")[0].partition("\n## ")[0]
    sources = set(re.findall(r"`([^`]+)`", section)) or {"no source at all"}
    rows = [line for line in credits.splitlines() if line.startswith("|") and f"`checkpoints/{checkpoint}`" in line]
    return {source for source in sources if not any(f"`{source}`" in row.split("|")[1] for row in rows)}


def test_credits_name_every_data_source_of_every_shipped_checkpoint():
    credits = (ROOT / "CREDITS.md").read_text(encoding="utf-8")
    cards = {path.parent.name: path.read_text(encoding="utf-8") for path in ROOT.glob("checkpoints/*/README.md")}
    assert set(cards) == {path.name for path in (ROOT / "checkpoints").iterdir()}
    assert {name: missing for name, card in cards.items() if (missing := uncredited(card, name, credits))} == {}


def test_the_credits_check_notices_a_source_without_a_row():
    card = "## Data and licences\n\n100 sprites of the source `icons16`.\n\n## Numbers\n\nsource `other`\n"
    row = "| `icons16`: Fugue Icons | `checkpoints/pixel-16` | CC BY 3.0 | (C) Yusuke Kamiyamane |"
    assert uncredited(card, "pixel-16", row) == set()
    assert uncredited(card, "pixel-16", row.replace("icons16", "icons")) == {"icons16"}
    assert uncredited(card, "pixel-32", row) == {"icons16"}
    assert uncredited("## Data and licences\n\nSome.\n", "pixel-16", row) == {"no source at all"}
