"""A family as a Space of its own: a folder that runs by itself, and its upload to the Hub (HB-05, HB-08).

The folder holds the family's app.py, README.md (front matter) and requirements.txt from spaces/<family>/, its weights, and the lunaris
package cut down to what the family imports. The library travels with the app instead of being installed from a repository: it is
pinned with the app, copied by the Duplicate button, and in a fork it is the fork's own code that runs.
"""

import ast
import difflib
import hashlib
import importlib.util
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

import lunaris
from lunaris.core import hub
from lunaris.core.card import LICENCES, join_card, parse_card
from lunaris.core.checkpoint import write_folder

PACKAGE = Path(lunaris.__file__).parent
MARKER = "lunaris-space.json"  # names the bundle's files and their hashes: what `build` may replace and `push` may upload
MAX_BYTES = 1_000_000_000  # what a Space's repository takes
ZEROGPU = "zero-a10g"  # the Hub's name for the hardware

Files = dict[str, Path | bytes]  # path inside the bundle -> a file to copy, or its content


# --- build -----------------------------------------------------------------------------------------------------------------------


def build(family: str, out: str | Path, *, ref: str | Path | None = None, model_id: str | None = None) -> Path:
    """`out`, now a folder in which `python app.py` runs `family` with nothing but its own files and requirements.txt.

    The weights are the family's bundled checkpoints, or the checkpoint `ref` (a folder, a bundled name or owner/name[@revision]). With
    `model_id` there are none: the app then loads owner/name[@revision] from the Hub, and `push` names it in the Space's variable
    LUNARIS_MODEL, where it can be changed without another build.
    The same input gives the same bytes. The folder is written whole or not at all; it may replace an earlier bundle that nobody
    changed, and nothing else. Raises ValueError, FileNotFoundError, HubError.
    """
    if ref is not None and model_id is not None:
        raise ValueError("give the weights once: ref puts them in the bundle, model_id loads them from the Hub")
    if model_id is not None:
        hub.check_hub_ref(model_id)
    template = _template(family)
    families = imported_families(family)
    readme = (template / "README.md").read_text(encoding="utf-8")
    front = validate_front_matter(readme)
    files: Files = {
        "app.py": template / "app.py",
        "README.md": (_with_model(readme, model_id) if model_id else readme).encode(),
        "requirements.txt": template / "requirements.txt",
        **_library(families),
        **_weights(family, families, ref, model_id),
    }
    licence = _beside_package("LICENSE")
    if licence:
        files["LICENSE"] = licence
    if front["app_file"] not in files:
        raise ValueError(f"app_file in {template / 'README.md'} names {front['app_file']}, which the bundle lacks; name app.py")
    _check_size(files)
    variables = {"LUNARIS_MODEL": model_id} if model_id else {}
    files[MARKER] = _marker(family, variables, files)
    out = Path(out)
    _check_target(out)
    write_folder(out, files)
    return out


def imported_families(family: str) -> tuple[str, ...]:
    """`family` and every family its files import, directly or through another, in the order of FAMILIES."""
    needed: set[str] = set()
    waiting = {family}
    while waiting:
        name = waiting.pop()
        needed.add(name)
        for path in sorted((PACKAGE / name).rglob("*.py")):
            waiting |= _parts_of_lunaris(path) & set(lunaris.FAMILIES) - needed
    return tuple(name for name in lunaris.FAMILIES if name in needed)


def _parts_of_lunaris(path: Path) -> set[str]:
    """What comes after `lunaris.` in the imports of one file, names written as text for importlib included."""
    parents = PurePosixPath(path.relative_to(PACKAGE.parent).as_posix()).parent.parts
    modules = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), ".".join(parents)) if node.level else node.module
            modules += [f"{module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"lunaris(\.\w+)+", node.value):
            modules.append(node.value)
    return {module.split(".")[1] for module in modules if module.startswith("lunaris.")}


def _library(families: tuple[str, ...]) -> Files:
    """The package's own modules, core and `families`; FAMILIES names only these."""
    folders = [PACKAGE / name for name in ("core", *families)]
    paths = [*PACKAGE.glob("*.py"), *(path for folder in folders for path in _plain_files(folder))]
    files: Files = {f"lunaris/{path.relative_to(PACKAGE).as_posix()}": path for path in paths}
    return files | {"lunaris/__init__.py": _with_constant(PACKAGE / "__init__.py", "FAMILIES", families)}


def _with_constant(path: Path, name: str, value: Any) -> bytes:
    """The source file with the value of its top-level constant `name` replaced; comments and all else stay."""
    source = path.read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return source.replace(ast.get_source_segment(source, node), f"{name} = {value!r}", 1).encode()
    raise ValueError(f"{path} must set {name} to a constant")


def _weights(family: str, families: tuple[str, ...], ref: str | Path | None, model_id: str | None) -> Files:
    """The checkpoints as checkpoints/<name>/..., and the family's CHECKPOINT where the app opens with another than usual."""
    needed = {name: folder for name, folder in hub.bundled().items() if _family_of(folder) in families}
    others = {name: folder for name, folder in needed.items() if _family_of(folder) != family}
    own, opens_with = {name: folder for name, folder in needed.items() if name not in others}, model_id
    if ref is not None:
        folder, opens_with = hub.resolve(ref), _name_of(ref)
        if _family_of(folder) != family:
            raise ValueError(f"{ref} is a checkpoint of {_family_of(folder)}, not of {family}; name one that {family} train made")
        own = {opens_with: folder}
    elif model_id is not None:
        own = {}
    elif not own:
        raise FileNotFoundError(f"no bundled checkpoint of {family} to put in the Space; name one as ref (--model REF)")
    files: Files = {}
    for name, folder in (others | own).items():
        for path, source in hub.checkpoint_files(folder).items():
            if path.endswith(".safetensors"):
                hub.load_tensors(folder, path)  # damaged weights are found here, not by the Space's visitors
            files[f"checkpoints/{name}/{path}"] = source
    if opens_with:
        files[f"lunaris/{family}/__init__.py"] = _with_constant(PACKAGE / family / "__init__.py", "CHECKPOINT", opens_with)
    return files


def _family_of(checkpoint: Path) -> str:
    return str(hub.load_config(checkpoint).get("family"))


def _name_of(ref: str | Path) -> str:
    """What the checkpoint `ref` is called in the bundle: mine for runs/mine, owner/mine and owner/mine@v1."""
    path = Path(ref) if Path(ref).is_dir() else Path(str(ref).partition("@")[0])
    return re.sub(r"[^\w.]+", "-", path.resolve().name)


def _plain_files(folder: Path) -> list[Path]:
    """The folder's files, sorted, less caches and whatever begins with a dot."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in paths if not _is_litter(path.relative_to(folder).parts)]


def _is_litter(parts: Iterable[str]) -> bool:
    return any(part == "__pycache__" or part.startswith(".") or part.endswith(".pyc") for part in parts)


def _template(family: str) -> Path:
    """spaces/<family> of the repository or the wheel; inside a bundle of the family, that bundle itself."""
    if family not in lunaris.FAMILIES:
        near = difflib.get_close_matches(str(family), lunaris.FAMILIES, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(lunaris.FAMILIES)}"
        raise ValueError(f"unknown family {family!r}; {hint}")
    folder = _beside_package(f"spaces/{family}")
    if folder:
        return folder
    marker = PACKAGE.parent / MARKER
    if marker.is_file() and json.loads(marker.read_text(encoding="utf-8"))["family"] == family:
        return PACKAGE.parent
    raise FileNotFoundError(f"no spaces/{family} beside this lunaris package; build Spaces in a clone of the repository")


def _beside_package(name: str) -> Path | None:
    """`name` in an installed wheel (inside the package) or in the repository (beside it)."""
    return next((root / name for root in (PACKAGE, PACKAGE.parent) if (root / name).exists()), None)


def _with_model(readme: str, model_id: str) -> str:
    """The README with the model named in its front matter, which links the Space on the model's page.

    Not preload_from_hub: that fails the build of the Space for a private model, and ties it to one revision.
    """
    front, body = parse_card(readme)
    return join_card(front | {"models": [model_id.partition("@")[0]]}, body)


def _check_size(files: Files) -> None:
    total = sum(len(content) if isinstance(content, bytes) else content.stat().st_size for content in files.values())
    if total > MAX_BYTES:
        raise ValueError(
            f"the bundle would weigh {total / 1e9:.1f} GB and a Space's repository takes {MAX_BYTES / 1e9:g} GB; "
            "push the weights as a model and build with model_id (--model-id owner/name)"
        )


# --- the marker: what a bundle is ------------------------------------------------------------------------------------------------


def _marker(family: str, variables: Mapping[str, str], files: Files) -> bytes:
    hashes = {path: _sha256(content) for path, content in sorted(files.items())}
    table = {"family": family, "lunaris": lunaris.__version__, "variables": variables, "files": hashes}
    return (json.dumps(table, indent=1) + "\n").encode()


def _sha256(content: Path | bytes) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256()
    with content.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read_marker(folder: Path) -> dict[str, Any]:
    """The marker of the bundle `folder`. Raises ValueError when it is none."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        if set(marker) >= {"family", "variables", "files"}:
            return marker
    except (OSError, ValueError, TypeError):
        pass  # not there or not ours: the same sentence either way
    raise ValueError(f"{folder} is not a Space bundle; make one with: python -m lunaris space build FAMILY --out {folder}")


def _check_target(out: Path) -> None:
    """Refuse a target that holds anything but an earlier bundle as it was built: a person's work is never overwritten."""
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not (out / MARKER).is_file():
        raise ValueError(f"{out} is not empty and not an earlier bundle; choose a new folder")
    known = _read_marker(out)["files"]
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = path.relative_to(out).as_posix()
        if name == MARKER or name.startswith(".gradio/") or "__pycache__" in path.parts:
            continue  # left by running the app
        if name not in known or _sha256(path) != known[name]:
            what = "was changed after" if name in known else "was not written by"
            raise ValueError(f"{name} in {out} {what} the earlier build; choose a new folder, so that it is not lost")


# --- push ------------------------------------------------------------------------------------------------------------------------


def push(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    token: str | None = None,
    variables: Mapping[str, str] | None = None,
    hardware: str | None = None,
) -> hub.PushResult:
    """Create the Space `repo_id` (owner/name) if need be and make its files those of the bundle `folder`, as one upload.

    `variables` are set as public Space variables beside those the bundle asks for; `hardware` (ZEROGPU, "cpu-basic", ...) is what a new
    Space asks for. Files of an earlier upload that the bundle lacks are deleted; the same bundle twice changes nothing. Whatever
    goes wrong on the way, the folder stays as it is and the result's sentence says what happened and what to do. A folder that is no
    sound bundle and a malformed name raise ValueError before any request.
    """
    folder = Path(folder)
    marker = _read_marker(folder)
    absent = [name for name in marker["files"] if not (folder / name).is_file()]
    if absent:
        raise ValueError(f"{folder} lacks {absent[0]}, which the build wrote; build it again into a new folder")
    validate_front_matter((folder / "README.md").read_text(encoding="utf-8"))
    _check_repo_id(repo_id)
    again = f"python -m lunaris space push {folder} {repo_id}{' --private' if private else ''}"
    try:
        with hub.uploading(folder, repo_id, token=token, again=again) as api:
            if api is None:
                return hub.PushResult(None, folder, hub.no_token_sentence(folder, again))
            url, full_id = _create(api, repo_id, private, hardware)
            _set_variables(api, full_id, {**marker["variables"], **(variables or {})})
            commit = api.upload_folder(
                repo_id=full_id,
                repo_type="space",
                folder_path=folder,
                commit_message=f"Lunaris {lunaris.__version__}: {marker['family']}",
                allow_patterns=[*marker["files"], MARKER],
                delete_patterns=["*"],  # what an earlier upload left; the Hub's own .gitattributes stays
            )
    except hub.HubError as error:
        sentence = _paid_plan_sentence(folder, again, hardware) if error.status == 402 else str(error)
        return hub.PushResult(None, folder, sentence)
    return hub.PushResult(url, folder, f"{folder} is published at {url}", commit.oid)


def _check_repo_id(repo_id: str) -> None:
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(repo_id)
    except HFValidationError:
        raise ValueError(f"a Space is owner/name in letters, digits and single . _ - marks, got {repo_id!r}; try lunar/pixel-art") from None


def _create(api, repo_id: str, private: bool, hardware: str | None) -> tuple[str, str]:
    """(address, owner/name) of the Space, made if it is missing."""
    created = api.create_repo(repo_id, repo_type="space", space_sdk="gradio", space_hardware=hardware, private=private, exist_ok=True)
    if private and not api.repo_info(created.repo_id, repo_type="space").private:
        raise api.error(f"{created.repo_id} exists already and is public; choose another name, or make it private on {created}")
    return str(created), created.repo_id


def _paid_plan_sentence(folder: Path, again: str, hardware: str | None) -> str:
    """What to do about 402: who pays nothing may still have two Gradio Spaces, on ZeroGPU."""
    if hardware == ZEROGPU:
        why = "the Hub gives this account no further ZeroGPU Space (402); a free one hosts two, with a verified e-mail and after 30 days"
    else:
        why = "a new Gradio Space needs a paid plan (402), except on ZeroGPU, where a free account in good standing may host two"
    return f"not published: {why}; the result is safe in {folder}; try again with `{again} --hardware {ZEROGPU}`"


def _set_variables(api, repo_id: str, variables: Mapping[str, str]) -> None:
    """Set the variables that differ; each change restarts the Space."""
    current = api.get_space_variables(repo_id) if variables else {}
    for key, value in variables.items():
        if key not in current or current[key].value != value:
            api.add_space_variable(repo_id, key, value)


# --- front matter ----------------------------------------------------------------------------------------------------------------

COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
REQUIRED = ("title", "sdk", "sdk_version", "app_file", "python_version")


def validate_front_matter(readme: str) -> dict[str, Any]:
    """The front matter of a Gradio Space's README.md as a table; ValueError with one sentence for what the Hub would refuse or misread.

    The client checks nothing offline, and YAML has traps that no one reports: an unquoted 3.10 is the number 3.1, an unquoted `no`
    is false, the second of two equal keys wins.
    """
    front, body = parse_card(readme)
    keys = [key.value for key, _ in next(yaml.compose_all(readme.removesuffix(body), Loader=yaml.SafeLoader)).value]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"README.md's front matter has the key {key!r} twice; keep one")
    for key in REQUIRED:
        if key not in front:
            raise ValueError(f"README.md's front matter lacks {key}, which must be {_RULES[key][1]}")
    for key, value in front.items():
        if key not in _RULES:
            near = difflib.get_close_matches(str(key), _RULES, n=1)
            raise ValueError(f"README.md's front matter has the unknown key {key!r}" + (f"; did you mean '{near[0]}'?" if near else ""))
        holds, rule = _RULES[key]
        if not holds(value):
            raise ValueError(f"{key} in README.md's front matter must be {rule}, got {value!r}")
    return front


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _one_of(*choices: str) -> Callable[[Any], bool]:
    return lambda value: value in choices


def _list_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(holds(item) for item in value)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _emoji(value: Any) -> bool:
    """One pictograph: a symbol, with the joiners, skin tones and variation selectors that may follow it."""
    if not isinstance(value, str) or not value:
        return False
    kinds = [unicodedata.category(char) for char in value]
    joined = value.count("\u200d")
    return all(kind in ("So", "Sk", "Mn", "Cf") for kind in kinds) and 1 <= kinds.count("So") <= 2 + joined


_REPO = r"[\w.-]+/[\w.-]+"
_REPOS = (_list_of(_matches(_REPO)), "a list of owner/name")
_FLAG = (_flag, "true or false")
_TEXT = (_text, "a text")

# key -> does the value hold, and the rule in words
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "title": _TEXT,
    "emoji": (_emoji, "one emoji"),
    "colorFrom": (_one_of(*COLOURS), f"one of {', '.join(COLOURS)}"),
    "colorTo": (_one_of(*COLOURS), f"one of {', '.join(COLOURS)}"),
    "sdk": (_one_of("gradio"), "gradio"),
    "sdk_version": (_matches(r"\d+\.\d+\.\d+"), 'one exact version as a text, such as "6.31.0"'),
    "python_version": (
        _matches(r"3\.(10|12)(\.\d+)?"),
        'the quoted text "3.12" or "3.10", which are all that ZeroGPU offers (without quotes, 3.10 is the number 3.1)',
    ),
    "app_file": (_matches(r"(\w[\w.-]*/)*\w[\w.-]*\.py"), "the path of a Python file, such as app.py"),
    "base_path": _TEXT,
    "fullWidth": _FLAG,
    "header": (_one_of("mini", "default"), "mini or default"),
    "short_description": (lambda value: _text(value) and len(value) <= 60, "a text of at most 60 characters"),
    "models": _REPOS,
    "datasets": _REPOS,
    "tags": (_list_of(_text), "a list of words"),
    "thumbnail": _TEXT,
    "pinned": _FLAG,
    "license": (_one_of(*LICENCES), "a licence id of the Hub, such as mit"),
    "suggested_hardware": _TEXT,
    "hf_oauth": _FLAG,
    "hf_oauth_scopes": (_list_of(_text), "a list of scopes"),
    "hf_oauth_expiration_minutes": (lambda value: type(value) is int and value > 0, "a whole number of minutes"),
    "hf_oauth_authorized_org": (lambda value: _text(value) or _list_of(_text)(value), "an organisation or a list of them"),
    "disable_embedding": _FLAG,
    "startup_duration_timeout": (_matches(r"\d+(\.\d+)?[smh]?"), "a duration such as 30m"),
    "custom_headers": (lambda value: isinstance(value, dict) and all(map(_text, value.values())), "a table of headers"),
    "preload_from_hub": (
        _list_of(_matches(rf"{_REPO}( [^ ]+( [\w./-]+)?)?")),
        'a block list, one "- owner/name file,file revision" a line (in [brackets] the comma between files splits the entry)',
    ),
}
