"""Imports run one way, core -> family -> its demo -> app.py and spaces/*/app.py, and `import lunaris` stays light (design.md, HB-02).

The rules are checked twice: in the source of every file, and in a subprocess for what is really loaded. Both checks are run on small
packages that break one rule each, so that they are known to be able to fail.
"""

import ast
import json
import os
import re
import subprocess
import sys
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("gradio", "transformers", "diffusers", "peft", "onnxruntime", "datasets", "trackio", "wandb", "accelerate", "spaces")
FAMILY_EDGES = {("character", "diffusion")}


# --- what the source says --------------------------------------------------------------------------------------------------------


def violations(root: Path) -> list[str]:
    """Every place under `root` where a file imports, or core names, what its layer must not know."""
    families = families_of(root)
    paths = [*sorted((root / "lunaris").rglob("*.py")), root / "app.py", *sorted(root.glob("spaces/*/app.py"))]
    found = {path.relative_to(root).as_posix(): broken_rules(path, root, families) for path in paths if path.exists()}
    return [f"{name}: {what}" for name, broken in found.items() for what in broken]


def families_of(root: Path) -> tuple[str, ...]:
    source = (root / "lunaris/__init__.py").read_text(encoding="utf-8")
    return next(ast.literal_eval(node.value) for node in ast.parse(source).body if isinstance(node, ast.Assign) and names_families(node))


def names_families(node: ast.Assign) -> bool:
    return ast.unparse(node.targets[0]) == "FAMILIES"


def broken_rules(path: Path, root: Path, families: tuple[str, ...]):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ".".join(path.relative_to(root).parent.parts)
    parts = path.relative_to(root).parts
    in_lunaris, layer, file = parts[0] == "lunaris", parts[1] if len(parts) > 2 else "", parts[-1]
    is_demo = in_lunaris and "demo" in (path.stem, *parts[2:-1])
    at_load = {id(node) for node in nodes_run_on_import(tree)}

    for node, module in imports(tree, package):
        head, top = module.split(".")[0], module.split(".")[1:2]
        family = top[0] if head == "lunaris" and top and top[0] in families else ""
        derives = head == "transformers" and in_lunaris and file == "model.py"  # what its classes derive from; the package loads it lazily
        if head in HEAVY and id(node) in at_load and not (head == "gradio" and (is_demo or file == "app.py")) and not derives:
            yield f"imports {head} when it is loaded"
        if not in_lunaris:
            continue
        if head == "app" or (layer and module.startswith(("lunaris.cli", "lunaris.__main__"))):
            yield f"imports {module}, which is above it"
        if layer == "core" and family:
            yield f"core imports the family {family}"
        if layer in families and family and family != layer and (layer, family) not in FAMILY_EDGES:
            yield f"the family {layer} imports the family {family}"
        if layer in families and not is_demo:
            if head == "gradio" or module.startswith("lunaris.core.ui"):
                yield f"knows {module}, which only its demo may"
            if module.startswith(f"lunaris.{layer}.demo"):
                yield f"imports {module}, which is above it"
    if layer == "core":
        name_of_family = re.compile(rf"(lunaris\.)?({'|'.join(families)})(\.\w+)*")
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and name_of_family.fullmatch(node.value):
                yield f"core names the family in {node.value!r}"


def imports(tree: ast.AST, package: str):
    """(node, absolute name of the imported module or member) for every import of a file in `package`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
            yield from ((node, f"{base}.{alias.name}") for alias in node.names)


def nodes_run_on_import(tree: ast.AST):
    """The nodes outside functions and `if TYPE_CHECKING:`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from nodes_run_on_import(node)


# --- what is loaded --------------------------------------------------------------------------------------------------------------


def loaded_by(modules: list[str], root: Path = ROOT) -> tuple[set[str], float]:
    """The names in sys.modules after importing `modules` in a fresh interpreter that sees `root`, and the seconds it took."""
    code = (
        "import importlib, json, sys, time; start = time.perf_counter()\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(json.dumps([time.perf_counter() - start, *sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", code, *modules], cwd=root, env=clean_env(root), capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    seconds, *names = json.loads(run.stdout.splitlines()[-1])
    return set(names), seconds


def clean_env(root: Path) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}


def modules_of(part: str, root: Path = ROOT) -> list[str]:
    """Every module of lunaris/<part> but its demo (demo.py or demo/)."""
    paths = sorted((root / "lunaris" / part).rglob("*.py"))
    dotted = [".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    names = [name for name in dotted if name.split(".")[2:3] != ["demo"]]
    assert names, part
    return names


def strangers(part: str, root: Path = ROOT) -> set[str]:
    """What importing all of lunaris/<part> loads although its layer must not know it: heavy packages, other families, demos."""
    families = families_of(root)
    names, _ = loaded_by(modules_of(part, root), root)
    allowed = {part, *(b for a, b in FAMILY_EDGES if a == part)}
    foreign = {f"lunaris.{family}" for family in families if family not in allowed}
    model = root / "lunaris" / part / "model.py"
    derives = model.is_file() and "from transformers" in model.read_text(
        encoding="utf-8"
    )  # `violations` sees to it that no other file does
    known = {"transformers", "accelerate"} if derives else set()  # the former loads the latter
    return {name for name in names if (name in HEAVY and name not in known) or name in foreign or re.fullmatch(r"lunaris\.\w+\.demo", name)}


# --- tests -----------------------------------------------------------------------------------------------------------------------


def test_imports_run_one_way_in_every_file():
    assert violations(ROOT) == []


@pytest.mark.parametrize("part", ["core", *families_of(ROOT)])
def test_importing_a_layer_loads_nothing_above_it_and_no_optional_package(part):
    assert strangers(part) == set()


def test_import_lunaris_takes_under_a_second_and_loads_nothing_heavy():
    names, seconds = min((loaded_by(["lunaris"]) for _ in range(3)), key=lambda result: result[1])
    assert seconds < 1
    assert not names & {*HEAVY, "torch", "numpy", "huggingface_hub", "PIL"}


@pytest.mark.parametrize("family", families_of(ROOT))
def test_importing_a_family_loads_neither_torch_nor_gradio(family):
    names, _ = loaded_by([f"lunaris.{family}"])
    assert not names & {*HEAVY, "torch"}


def test_help_is_shown_without_loading_torch_or_gradio():
    command = [sys.executable, "-X", "importtime", "-m", "lunaris", "--help"]
    run = subprocess.run(command, cwd=ROOT, env=clean_env(ROOT), capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert "usage:" in run.stdout
    imported = {line.split("|")[-1].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}
    assert "lunaris" in imported
    assert not imported & {*HEAVY, "torch"}


CLEAN = {
    "lunaris/__init__.py": 'FAMILIES = ("alpha", "beta", "character", "diffusion")',
    "lunaris/cli.py": "def main():\n    import gradio\n    from lunaris.alpha import model",
    "lunaris/core/__init__.py": "",
    "lunaris/core/tools.py": "import json\n\n\ndef tracker():\n    import trackio",
    "lunaris/alpha/__init__.py": "",
    "lunaris/alpha/model.py": "from lunaris.core import tools",
    "lunaris/alpha/demo.py": "import gradio\n\nfrom lunaris.alpha import model\nfrom lunaris.core import ui",
    "lunaris/beta/__init__.py": "",
    "lunaris/beta/demo/__init__.py": "import gradio\n\nfrom lunaris.beta.demo import create",
    "lunaris/beta/demo/create.py": "import gradio\n\nfrom lunaris.core import ui",
    "lunaris/character/__init__.py": "from lunaris.diffusion import model",
    "lunaris/diffusion/__init__.py": "",
    "lunaris/diffusion/model.py": "",
    "app.py": "import gradio\n\nfrom lunaris.alpha.demo import build_demo",
    "spaces/alpha/app.py": "from lunaris.alpha.demo import build_demo",
    "gradio.py": "",
}


def package(root: Path, **changed: str) -> Path:
    for name, source in (CLEAN | changed).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source + "\n", encoding="utf-8")
    return root


def test_the_source_check_passes_a_package_that_keeps_the_rules(tmp_path):
    assert violations(package(tmp_path)) == []
    assert strangers("core", tmp_path) == strangers("alpha", tmp_path) == strangers("character", tmp_path) == set()


@pytest.mark.parametrize(
    ("path", "source", "found"),
    [
        ("lunaris/core/tools.py", "from lunaris.alpha import model", "core imports the family alpha"),
        ("lunaris/core/tools.py", "from ..alpha.model import Model", "core imports the family alpha"),
        ("lunaris/core/tools.py", "def f():\n    import lunaris.alpha.model", "core imports the family alpha"),
        ("lunaris/core/tools.py", "from lunaris import alpha", "core imports the family alpha"),
        ("lunaris/core/tools.py", "import gradio", "imports gradio when it is loaded"),
        ("lunaris/core/tools.py", "class A:\n    from gradio import Blocks", "imports gradio when it is loaded"),
        ("lunaris/core/tools.py", "DEFAULT = 'alpha'", "core names the family in 'alpha'"),
        ("lunaris/core/tools.py", "__import__('lunaris.alpha.model')", "core names the family in 'lunaris.alpha.model'"),
        ("lunaris/core/tools.py", "def f():\n    from lunaris.cli import main", "imports lunaris.cli.main, which is above it"),
        ("lunaris/alpha/model.py", "from lunaris.beta import model", "the family alpha imports the family beta"),
        ("lunaris/diffusion/model.py", "import lunaris.character", "the family diffusion imports the family character"),
        ("lunaris/alpha/model.py", "def f():\n    import gradio", "knows gradio, which only its demo may"),
        ("lunaris/alpha/model.py", "from lunaris.core import ui", "knows lunaris.core.ui, which only its demo may"),
        ("lunaris/alpha/model.py", "from lunaris.alpha.demo import build_demo", "imports lunaris.alpha.demo.build_demo, which is above it"),
        ("lunaris/alpha/model.py", "from app import hub", "imports app.hub, which is above it"),
        ("lunaris/alpha/demo.py", "import transformers", "imports transformers when it is loaded"),
        ("lunaris/beta/demo/create.py", "import transformers", "imports transformers when it is loaded"),
        ("lunaris/beta/model.py", "from lunaris.beta.demo import create", "imports lunaris.beta.demo.create, which is above it"),
        ("lunaris/cli.py", "if True:\n    import accelerate", "imports accelerate when it is loaded"),
        ("spaces/alpha/app.py", "import diffusers", "imports diffusers when it is loaded"),
    ],
)
def test_the_source_check_catches(tmp_path, path, source, found):
    assert violations(package(tmp_path, **{path: source})) == [f"{path}: {found}"]


@pytest.mark.parametrize(
    ("part", "source", "found"),
    [
        ("core", "import importlib\nimportlib.import_module('lunaris' + '.al' + 'pha')", "lunaris.alpha"),
        ("core", "import importlib\nimportlib.import_module('gra' + 'dio')", "gradio"),
        ("alpha", "__import__('lunaris.' + 'beta')", "lunaris.beta"),
        ("alpha", "__import__('lunaris.alpha.' + 'demo', fromlist=['x'])", "gradio"),
    ],
)
def test_the_check_of_what_is_loaded_catches_what_the_source_hides(tmp_path, part, source, found):
    path = {"core": "lunaris/core/tools.py", "alpha": "lunaris/alpha/model.py"}[part]
    root = package(tmp_path, **{path: source, "lunaris/core/ui.py": ""})
    assert violations(root) == []
    assert found in strangers(part, root)
