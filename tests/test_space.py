"""core.space: a bundle runs by itself, is written whole or not at all, and goes to the Hub as it is (HB-05, HB-08)."""

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

import lunaris
from lunaris.core import hub, images, space

ROOT = Path(__file__).parents[1]


def save_checkpoint(folder: Path, family: str = "pixel", value: float = 1.0) -> Path:
    """A folder with everything that a bundle looks at, and training state that it must leave out."""
    hub.save(folder, tensors={"weight": torch.full((4,), value)}, config={"family": family, "model": {}}, files={"README.md": "card"})
    (folder / "state/step-1").mkdir(parents=True)
    (folder / "state/step-1/optimizer.safetensors").write_bytes(b"x")
    return folder


@pytest.fixture
def checkpoints(tmp_path, monkeypatch) -> Path:
    """Two bundled checkpoints of pixel and one of another family, in place of the shipped ones."""
    folder = tmp_path / "checkpoints"
    for name, family in (("pixel-16", "pixel"), ("pixel-32", "pixel"), ("other-1", "other")):
        save_checkpoint(folder / name, family)
    monkeypatch.setenv("LUNARIS_CHECKPOINTS", str(folder))
    return folder


@pytest.fixture
def bundle(checkpoints, tmp_path) -> Path:
    return space.build("pixel", tmp_path / "bundle")


def contents(folder: Path) -> dict[str, str]:
    """Every file below `folder` and the hash of its bytes, less what running Python leaves."""
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def python(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-s", *arguments], cwd=folder, env=bare_env(**env), capture_output=True, text=True, timeout=120, check=False
    )


def bare_env(**env: str) -> dict[str, str]:
    """The environment of a fresh machine: nothing of ours, no PYTHONPATH, and a Hub that is nowhere."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "SYSTEMROOT", "GRADIO_TEMP_DIR") if name in os.environ}
    return kept | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"} | env


# --- what a bundle holds ---------------------------------------------------------------------------------------------------------


def test_bundle_holds_the_app_core_one_family_and_its_checkpoints_and_nothing_else(bundle):
    """HB-05."""
    files = contents(bundle)
    top = {path.split("/")[0] for path in files}
    assert top == {"app.py", "README.md", "requirements.txt", "LICENSE", "lunaris", "checkpoints", space.MARKER}
    parts = {path.split("/")[1] for path in files if path.startswith("lunaris/") and path.count("/") > 1}
    assert parts == {"core", "pixel"}
    repository = {path for path in contents(ROOT / "lunaris/core") if not path.endswith(".pyc")}
    assert {path.removeprefix("lunaris/core/") for path in files if path.startswith("lunaris/core/")} == repository
    assert {path for path in files if path.startswith("checkpoints/")} == {
        f"checkpoints/{name}/{file}" for name in ("pixel-16", "pixel-32") for file in ("README.md", "config.json", "model.safetensors")
    }
    assert (bundle / "app.py").read_text() == (ROOT / "spaces/pixel/app.py").read_text()
    assert len([line for line in (bundle / "app.py").read_text().splitlines() if line]) <= 4


def test_marker_lists_every_file_with_its_hash(bundle):
    marker = json.loads((bundle / space.MARKER).read_text())
    assert marker["files"] == {path: digest for path, digest in contents(bundle).items() if path != space.MARKER}
    assert (marker["family"], marker["lunaris"], marker["variables"]) == ("pixel", lunaris.__version__, {})


def test_a_bundle_is_a_lunaris_of_its_own_with_only_its_families(bundle):
    run = python(
        bundle, "-c", "import lunaris, lunaris.pixel as p; print(lunaris.__file__, lunaris.FAMILIES, p.CHECKPOINT, p.Config.tiny().side)"
    )
    assert run.stdout.split(" ", 1) == [str(bundle / "lunaris/__init__.py"), "('pixel',) pixel-16 16\n"], run.stderr


def test_same_input_gives_the_same_bytes_and_renews_an_earlier_bundle(bundle, tmp_path):
    again = space.build("pixel", tmp_path / "again")
    before = contents(bundle)
    assert contents(again) == before
    (bundle / "lunaris/__pycache__").mkdir(exist_ok=True)
    (bundle / "lunaris/__pycache__/x.pyc").write_bytes(b"left by running it")
    assert space.build("pixel", bundle) == bundle
    assert contents(bundle) == before


def test_a_bundle_builds_the_same_bundle_again_without_the_repository(bundle, tmp_path):
    """HB-08: who duplicates a Space can publish their own version from it."""
    run = python(bundle, "-m", "lunaris", "space", "build", "pixel", "--out", str(tmp_path / "copy"))
    assert run.returncode == 0, run.stderr
    assert contents(tmp_path / "copy") == contents(bundle)


def test_with_a_ref_the_bundle_opens_with_that_checkpoint_alone(checkpoints, tmp_path):
    save_checkpoint(tmp_path / "runs/my sprites", value=2.0)
    bundle = space.build("pixel", tmp_path / "bundle", ref=tmp_path / "runs/my sprites")
    assert [path.name for path in (bundle / "checkpoints").iterdir()] == ["my-sprites"]
    assert hub.weight_hash(bundle / "checkpoints/my-sprites") == hub.weight_hash(tmp_path / "runs/my sprites")
    run = python(bundle, "-c", "from lunaris.core import hub; import lunaris.pixel as p; print(p.CHECKPOINT, hub.resolve(p.CHECKPOINT))")
    assert run.stdout == f"my-sprites {bundle}/checkpoints/my-sprites\n", run.stderr


def test_with_a_model_id_the_bundle_has_no_weights_and_loads_from_the_hub(checkpoints, tmp_path):
    bundle = space.build("pixel", tmp_path / "bundle", model_id="lunar/mine@v1")
    assert not (bundle / "checkpoints").exists()
    assert 'CHECKPOINT = "lunar/mine@v1"' in (bundle / "lunaris/pixel/__init__.py").read_text().replace("'", '"')
    front = space.validate_front_matter((bundle / "README.md").read_text())
    assert front["models"] == ["lunar/mine"] and front["python_version"] == "3.12"
    assert front | {"models": None} == space.validate_front_matter((ROOT / "spaces/pixel/README.md").read_text()) | {"models": None}


def write_package(root: Path, monkeypatch, sources: dict[str, str]) -> None:
    for name, source in sources.items():
        (root / "lunaris" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "lunaris" / name).write_text(source)
    monkeypatch.setattr(space, "PACKAGE", root / "lunaris")
    monkeypatch.setattr(lunaris, "FAMILIES", ("alpha", "beta", "gamma", "delta", "epsilon"))


@pytest.mark.parametrize(
    "line",
    [
        "import lunaris.beta",
        "from lunaris.beta import model",
        "from lunaris import beta",
        "from ..beta.model import Model",
        "def later():\n    from lunaris.beta.model import Model",
        "BACKENDS = {'fast': 'lunaris.beta.model'}",
    ],
)
def test_imported_families_are_read_from_the_source_however_the_import_is_written(tmp_path, monkeypatch, line):
    """character needs diffusion; nobody keeps that list by hand."""
    sources = {
        "alpha/model.py": line,
        "beta/model.py": "from lunaris.gamma import x\nfrom lunaris.core import hub",
        "gamma/x.py": "",
        "delta/x.py": "",
    }
    write_package(tmp_path, monkeypatch, sources)
    assert space.imported_families("alpha") == ("alpha", "beta", "gamma")
    assert space.imported_families("gamma") == ("gamma",)


def test_families_that_are_only_mentioned_are_not_bundled(tmp_path, monkeypatch):
    sources = {
        "alpha/model.py": '"""Like lunaris.beta, but smaller."""\nfrom numpy import delta\nimport gamma',
        "beta/model.py": "",
        "gamma/x.py": "",
    }
    write_package(tmp_path, monkeypatch, sources)
    assert space.imported_families("alpha") == ("alpha",)


# --- what build refuses ----------------------------------------------------------------------------------------------------------


def test_a_folder_with_someone_elses_files_is_never_overwritten(checkpoints, tmp_path):
    target = tmp_path / "thesis"
    target.mkdir()
    (target / "chapter.txt").write_text("three years of work")
    with pytest.raises(ValueError, match=r"thesis is not empty and not an earlier bundle; choose a new folder$"):
        space.build("pixel", target)
    assert contents(target).keys() == {"chapter.txt"}


def test_an_empty_folder_is_taken(checkpoints, tmp_path):
    (tmp_path / "empty").mkdir()
    assert (space.build("pixel", tmp_path / "empty") / "app.py").is_file()


@pytest.mark.parametrize(
    ("name", "said"), [("app.py", "was changed after"), ("notes.md", "was not written by"), (".git/HEAD", "was not written by")]
)
def test_a_bundle_that_someone_worked_on_is_never_overwritten(bundle, name, said):
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_text("mine")
    before = contents(bundle)
    with pytest.raises(ValueError, match=rf"^{re.escape(name)} in .*bundle {said} the earlier build; choose a new folder"):
        space.build("pixel", bundle)
    assert contents(bundle) == before


def test_a_target_that_cannot_be_written_is_one_sentence(checkpoints, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match=r"^cannot write .*file/space: .*; choose a folder that you can write to$"):
        space.build("pixel", tmp_path / "file/space")
    with pytest.raises(OSError, match=r"^cannot write .*/file: it is a file, not a folder; choose a folder that you can write to$"):
        space.build("pixel", tmp_path / "file")


def test_a_build_that_fails_half_way_leaves_the_earlier_bundle_and_no_litter(bundle, checkpoints, tmp_path, monkeypatch):
    before = contents(bundle)
    save_checkpoint(checkpoints / "pixel-64", value=3.0)

    def disk_full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", disk_full)
    with pytest.raises(OSError, match="No space left on device"):
        space.build("pixel", bundle)
    assert contents(bundle) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "checkpoints"]


def test_a_bundle_over_the_limit_of_a_space_is_refused_before_anything_is_written(checkpoints, tmp_path, monkeypatch):
    monkeypatch.setattr(space, "MAX_BYTES", 50_000)
    with pytest.raises(ValueError, match=r"the bundle would weigh .* GB and a Space's repository takes .* GB; push the weights as a model"):
        space.build("pixel", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_unknown_families_wrong_checkpoints_and_double_weights_are_one_sentence(checkpoints, tmp_path):
    out = tmp_path / "bundle"
    with pytest.raises(ValueError, match=r"unknown family 'pixle'; did you mean 'pixel'\?"):
        space.build("pixle", out)
    with pytest.raises(ValueError, match="other-1 is a checkpoint of other, not of pixel"):
        space.build("pixel", out, ref="other-1")
    with pytest.raises(ValueError, match="give the weights once"):
        space.build("pixel", out, ref="pixel-16", model_id="lunar/mine")
    (checkpoints / "pixel-32/model.safetensors").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(ValueError, match="is a pickle under another name"):
        space.build("pixel", out)
    assert not out.exists()


def test_a_family_without_bundled_checkpoint_asks_for_one(tmp_path, monkeypatch):
    monkeypatch.setenv("LUNARIS_CHECKPOINTS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no bundled checkpoint of pixel to put in the Space; name one as ref \(--model REF\)"):
        space.build("pixel", tmp_path / "bundle")


# --- front matter ----------------------------------------------------------------------------------------------------------------

GOOD = {
    "title": "Pixel",
    "emoji": "👾",
    "colorFrom": "indigo",
    "sdk": "gradio",
    "sdk_version": "6.31.0",
    "python_version": '"3.12"',
    "app_file": "app.py",
}


def readme(**changes: str | None) -> str:
    lines = [f"{key}: {value}" for key, value in (GOOD | changes).items() if value is not None]
    return "---\n" + "\n".join(lines) + "\n---\n# Pixel\n"


def test_front_matter_is_read_as_the_hub_reads_it():
    assert space.validate_front_matter(readme())["python_version"] == "3.12"
    full = readme(
        emoji="🧑🏽‍🎨",
        python_version="'3.10.13'",
        short_description="x" * 60,
        models="[lunar/pixel-16]",
        pinned="true",
        license="mit",
        tags="[lunaris]",
        header="mini",
        startup_duration_timeout="30m",
        preload_from_hub="\n  - lunar/pixel-16 config.json,model.safetensors v1\n  - lunar/other",
    )
    assert len(space.validate_front_matter(full)) == 15


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"python_version": "3.10"}, r"python_version .* must be the quoted text .*3\.10 is the number 3\.1\), got 3\.1$"),
        ({"python_version": '"3.11"'}, "all that ZeroGPU offers"),
        ({"python_version": None}, "lacks python_version"),
        ({"sdk_version": "6.3"}, r"sdk_version .* must be one exact version .* got 6\.3$"),
        ({"sdk_version": '">=6.31"'}, "one exact version"),
        ({"sdk": "streamlit"}, "sdk .* must be gradio, got 'streamlit'"),
        ({"title": "no"}, "title .* must be a text, got False"),
        ({"title": "2026"}, "title .* must be a text, got 2026"),
        ({"emoji": "moon"}, "emoji .* must be one emoji"),
        ({"emoji": "👾👾👾👾"}, "emoji .* must be one emoji"),
        ({"colorFrom": "violet"}, "colorFrom .* must be one of red, yellow"),
        ({"short_description": "x" * 61}, "short_description .* at most 60 characters"),
        ({"colourFrom": "red"}, "unknown key 'colourFrom'; did you mean 'colorFrom'?"),
        ({"license": "MIT"}, "license .* a licence id of the Hub, such as mit, got 'MIT'"),
        ({"models": "lunar/pixel-16"}, "models .* a list of owner/name"),
        ({"pinned": '"yes"'}, "pinned .* true or false"),
        ({"tags": "[lunaris, 3.1]"}, "tags .* a list of words"),
        ({"app_file": "../app.py"}, "app_file .* path of a Python file"),
        ({"preload_from_hub": "[lunar/pixel-16 config.json,model.safetensors]"}, "preload_from_hub .* splits the entry"),
        ({"title": "Pixel\ntitle: Again"}, "has the key 'title' twice"),
        ({"title": "[Pixel"}, "not valid YAML"),
    ],
)
def test_front_matter_that_the_hub_would_refuse_or_misread_is_one_sentence(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        space.validate_front_matter(readme(**changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["# Pixel", "---\n- a\n---\n", "---\n---\n", ""])
def test_a_readme_without_front_matter_is_refused(text):
    with pytest.raises(ValueError, match="front matter"):
        space.validate_front_matter(text)


# --- it runs ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def running(bundle: Path, **env: str):
    """`python app.py` in the bundle on a fresh machine; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (bundle.parent / "app.log").open("w+")
    command = [sys.executable, "-s", "app.py"]
    process = subprocess.Popen(command, cwd=bundle, env=bare_env(GRADIO_SERVER_PORT=str(port), **env), stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 90
        while not answers(f"{url}/config"):
            assert process.poll() is None and time.monotonic() < deadline, (log.seek(0), log.read())[1]
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def fetch(url: str, data: dict | None = None) -> bytes:
    body = None if data is None else json.dumps(data).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=60) as answer:
        return answer.read()


def call(url: str, name: str, *arguments) -> list:
    """What the endpoint answers over Gradio's REST."""
    event = json.loads(fetch(f"{url}/gradio_api/call/{name}", {"data": list(arguments)}))["event_id"]
    stream = fetch(f"{url}/gradio_api/call/{name}/{event}").decode()
    assert "event: complete" in stream, stream
    return json.loads(re.search(r"event: complete\ndata: (.*)", stream)[1])


def test_the_bundle_alone_serves_the_same_bytes_as_the_library(tmp_path):
    """HB-05, HB-10: started from an empty folder with only its own files, offline."""
    from lunaris import pixel

    bundle = space.build("pixel", tmp_path / "space")
    init = bundle / "lunaris/__init__.py"
    init.write_text(init.read_text().replace(f'"{lunaris.__version__}"', '"0.0.bundled"'))  # so that the page tells whose lunaris it is
    with running(bundle) as url:
        assert b"Lunaris 0.0.bundled" in fetch(f"{url}/config")
        gallery, _, _, report, *_ = call(url, "pixel_generate", "a red potion", 3, 11, 0.7, 1.0, "")
        pictures = [images.read_image(fetch(item["image"]["url"])) for item in gallery]
    expected = pixel.generate(pixel.load("pixel-16"), "a red potion", n=3, seed=11)
    np.testing.assert_array_equal(np.stack(pictures), expected)
    assert report["weights"] == hub.weight_hash(bundle / "checkpoints/pixel-16")
    assert "Traceback" not in (tmp_path / "app.log").read_text()


def test_on_zerogpu_the_app_declares_a_gpu_function_before_it_launches(bundle):
    """ZeroGPU, the one free home of a Gradio Space, stops an app that has none when it launches."""
    code = """
import runpy, sys, types
declared = []
sys.modules["spaces"] = types.ModuleType("spaces")
sys.modules["spaces"].GPU = lambda **options: lambda function: declared.append(function) or function
from lunaris.core import ui
ui.launch = lambda demo: print(type(demo).__name__, len(declared))
runpy.run_path("app.py")
"""
    run = python(bundle, "-c", code, SPACES_ZERO_GPU="true")
    assert run.stdout == "Blocks 1\n", run.stderr


# --- publish ---------------------------------------------------------------------------------------------------------------------


def published(fresh_hub, repo_id: str = "lunar/my-space") -> dict[str, str]:
    repo = fresh_hub.repos["spaces", repo_id]
    return {path: blob.sha256 for path, blob in repo.commits[repo.branches["main"]].files.items()}


def test_push_publishes_exactly_the_bundle_and_a_second_push_changes_nothing(bundle, fresh_hub):
    (bundle / "secrets.env").write_text("not part of the bundle")
    first = space.push(bundle, "lunar/my-space")
    assert first.url == f"{fresh_hub.url}/spaces/lunar/my-space" and first.sentence == f"{bundle} is published at {first.url}"
    expected = {path: digest for path, digest in contents(bundle).items() if path != "secrets.env"}
    assert {path: digest for path, digest in published(fresh_hub).items() if path != ".gitattributes"} == expected
    assert fresh_hub.repos["spaces", "lunar/my-space"].sdk == "gradio"
    second = space.push(bundle, "lunar/my-space")
    assert second.revision == first.revision and second.url == first.url


def test_push_removes_what_an_earlier_bundle_left_and_keeps_the_hubs_own_file(bundle, checkpoints, tmp_path, fresh_hub):
    space.push(bundle, "lunar/my-space")
    assert "checkpoints/pixel-32/config.json" in published(fresh_hub)
    smaller = space.build("pixel", tmp_path / "smaller", ref="pixel-16")
    space.push(smaller, "lunar/my-space")
    files = published(fresh_hub)
    assert {path for path in files if path.startswith("checkpoints/")} == {
        f"checkpoints/pixel-16/{name}" for name in ("README.md", "config.json", "model.safetensors")
    }
    assert ".gitattributes" in files


def test_push_names_the_model_in_a_public_variable_and_leaves_it_alone_when_it_is_right(checkpoints, tmp_path, fresh_hub):
    bundle = space.build("pixel", tmp_path / "bundle", model_id="lunar/mine@v1")
    space.push(bundle, "lunar/my-space", variables={"LUNARIS_THREADS": "1"})
    repo = fresh_hub.repos["spaces", "lunar/my-space"]
    assert {key: entry["value"] for key, entry in repo.variables.items()} == {"LUNARIS_MODEL": "lunar/mine@v1", "LUNARIS_THREADS": "1"}
    fresh_hub.log.clear()
    space.push(bundle, "lunar/my-space")
    assert [entry for entry in fresh_hub.log if entry["method"] == "POST" and "variables" in entry["path"]] == []


def test_push_asks_for_the_hardware_of_a_new_space_and_keeps_it_private(bundle, fresh_hub):
    result = space.push(bundle, "lunar/my-space", private=True, hardware=space.ZEROGPU)
    repo = fresh_hub.repos["spaces", "lunar/my-space"]
    assert result.url and repo.private and repo.hardware == "zero-a10g"


def test_private_is_never_published_into_a_public_space(bundle, fresh_hub):
    space.push(bundle, "lunar/my-space")
    result = space.push(bundle, "lunar/my-space", private=True)
    assert result.url is None and "exists already and is public" in result.sentence


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            {"match": "POST /api/repos/create", "status": 402, "message": "Payment required"},
            "needs a paid plan (402), except on ZeroGPU, where a free",
        ),
        ({"match": "POST /api/repos/create", "status": 401, "message": "Invalid username or password."}, "refused the token (401)"),
        ({"match": "POST /api/repos/create", "status": 403, "message": "no rights"}, "may not write to lunar/my-space (403: no rights)"),
        ({"match": "POST .*/commit/", "status": 500, "message": "oops"}, "a problem of its own (500)"),
        ({"match": "POST .*/variables", "status": 500, "message": "oops"}, "a problem of its own (500)"),
        (
            {"match": "POST /api/validate-yaml", "status": 400, "body": '{"errors": [{"message": "bad"}], "warnings": []}'},
            "Invalid metadata in README.md",
        ),
        ({"match": "POST /api/repos/create", "hang_s": 1.5}, "did not answer within 0.5 s"),
    ],
)
def test_whatever_the_hub_answers_is_one_sentence_and_the_bundle_stays(checkpoints, tmp_path, fresh_hub, monkeypatch, fault, said):
    monkeypatch.setenv("LUNARIS_HUB_TIMEOUT", "0.5" if "hang_s" in fault else "20")
    bundle = space.build("pixel", tmp_path / "bundle", model_id="lunar/mine")
    before = contents(bundle)
    fresh_hub.faults.append(fault)
    result = space.push(bundle, "lunar/my-space")
    assert result.url is None and result.folder == bundle
    assert said in result.sentence and f"python -m lunaris space push {bundle} lunar/my-space" in result.sentence
    assert str(bundle) in result.sentence and "\n" not in result.sentence
    assert contents(bundle) == before


def test_zerogpu_refused_says_what_a_free_account_has(bundle, fresh_hub):
    fresh_hub.faults.append({"match": "POST /api/repos/create", "status": 402, "message": "quota"})
    sentence = space.push(bundle, "lunar/my-space", hardware=space.ZEROGPU).sentence
    assert "no further ZeroGPU Space (402); a free one hosts two" in sentence


def test_without_a_token_the_sentence_says_where_the_bundle_is_and_how_to_publish_it(bundle, fresh_hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    result = space.push(bundle, "lunar/my-space")
    assert result.url is None
    assert f"the result is in {bundle}" in result.sentence and "hf auth login" in result.sentence
    assert f"python -m lunaris space push {bundle} lunar/my-space" in result.sentence
    assert not fresh_hub.repos


def test_push_refuses_what_is_no_sound_bundle_before_any_request(bundle, tmp_path, fresh_hub):
    with pytest.raises(ValueError, match=r"is not a Space bundle; make one with: python -m lunaris space build"):
        space.push(tmp_path, "lunar/my-space")
    with pytest.raises(ValueError, match=r"a Space is owner/name .* got 'a b/c'"):
        space.push(bundle, "a b/c")
    text = (bundle / "README.md").read_text()
    (bundle / "README.md").write_text(text.replace('"3.12"', "3.10"))
    with pytest.raises(ValueError, match="python_version"):
        space.push(bundle, "lunar/my-space")
    (bundle / "README.md").write_text(text)
    (bundle / "app.py").unlink()
    with pytest.raises(ValueError, match=r"lacks app\.py, which the build wrote"):
        space.push(bundle, "lunar/my-space")
    assert not fresh_hub.repos and not fresh_hub.log
