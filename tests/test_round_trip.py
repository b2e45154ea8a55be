"""HB-07, C0-2: a notebook trains and publishes, the app's tab and a Space of its own load it, and all three make the same bytes."""

import json
from pathlib import Path

import numpy as np
import pytest
from app_server import App, running_app
from test_space import running as running_space

from lunaris import moc, pixel
from lunaris.core import hub, space
from lunaris.core.images import read_image

ROOT = Path(__file__).parent.parent
ORDER = ("uma poção azul", 3, 21, 0.6, 1.5)


def notebook_code(name: str, first: str, last: str) -> list[str]:
    """The code cells of a notebook from the one that mentions `first` to the one that mentions `last`, pictures and plots left out."""
    cells = [
        "".join(cell["source"])
        for cell in json.loads((ROOT / "notebooks" / name).read_text("utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    start = next(i for i, cell in enumerate(cells) if first in cell)
    end = next(i for i, cell in enumerate(cells) if last in cell)
    assert start < end
    return [cell for cell in cells[start : end + 1] if "plt." not in cell]


def run_notebook(name: str, folder: Path, *, shorter: dict) -> dict:
    """What the notebook's own cells leave behind, run with a few training steps: the folder, and the ref it was published under."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("LUNARIS_PRESET", "tiny")
        patch.setenv("LUNARIS_OUT", str(folder / "mine"))
        patch.setenv("LUNARIS_REPO_ID", f"lunar/round-trip-{name[3:].removesuffix('.ipynb')}")
        names: dict = {}
        knobs, *rest = notebook_code(name, first="PRESET = runtime.preset()", last="hub.push(")
        exec(compile(knobs, "knobs", "exec"), names)
        names["TRAIN"] = names["TRAIN"].replace(**shorter)
        for cell in rest:
            exec(compile(cell, "notebook", "exec"), names)
    return names


@pytest.fixture(scope="module")
def published(tmp_path_factory, local_hub):
    return run_notebook("01_pixel.ipynb", tmp_path_factory.mktemp("pixel"), shorter={"steps": 12, "sprites": 120, "batch_size": 16})


@pytest.fixture(scope="module")
def published_moc(tmp_path_factory, local_hub):
    return run_notebook("02_moc.ipynb", tmp_path_factory.mktemp("moc"), shorter={"steps": 12, "stories": 60, "batch_size": 4})


def sprites(app: App, ref: str) -> np.ndarray:
    gallery, _, _, report, *_ = app.call("pixel_generate", *ORDER, ref)
    assert report["seed"] == ORDER[2]
    return np.stack([read_image(app.fetch(item["image"])) for item in gallery])


def test_notebook_tab_and_space_give_the_same_bytes(published, tmp_path, local_hub):
    ref = published["REF"]
    assert ref.startswith("lunar/round-trip-pixel@") and published["published"].url
    prompt, n, seed, temperature, guidance = ORDER
    expected = pixel.generate(pixel.load(published["folder"]), prompt, n=n, seed=seed, temperature=temperature, guidance=guidance)

    fetched = hub.resolve(ref)  # from the Hub, not the training folder
    assert fetched != Path(published["folder"]) and hub.weight_hash(fetched) == hub.weight_hash(published["folder"])

    with running_app(tmp_path / "app.log") as app:
        assert app.call("pixel_load", ref)[0]["weights"] == hub.weight_hash(published["folder"])
        np.testing.assert_array_equal(sprites(app, ref), expected)

    bundle = space.build("pixel", tmp_path / "space", model_id=ref)
    assert not list(bundle.rglob("*.safetensors"))  # it brings no weights: what it draws with came from the Hub
    cache = {"HF_HOME": str(tmp_path / "fresh-cache"), "HF_HUB_OFFLINE": "0", "LUNARIS_MODEL": ref}
    with running_space(bundle, **local_hub.env | cache) as url:
        space_app = App(url, None, tmp_path / "app.log")
        np.testing.assert_array_equal(sprites(space_app, ""), expected)


def test_notebook_trains_a_flow_of_its_own_when_asked(published):
    """FLOW_STEPS is 0 in CI and for most readers: without this, the branch that trains would only ever run at a visitor's."""
    (cell,) = (cell for cell in notebook_code("01_pixel.ipynb", "PRESET = runtime.preset()", "hub.push(") if "FLOW_STEPS = 0" in cell)
    names = dict(published)
    exec(compile(cell.replace("FLOW_STEPS = 0", "FLOW_STEPS = 2"), "notebook", "exec"), names)
    painter, how = names["rows"]["your larger run + flow"]
    assert painter.config.sampler == "flow"
    assert pixel.generate(painter, "a red heart", **how).shape == (1, 16, 16, 4)


def test_space_that_carries_the_checkpoint_needs_no_hub(published, tmp_path):
    """The same checkpoint inside the bundle: started alone, with the Hub out of reach, it draws the same bytes."""
    prompt, n, seed, temperature, guidance = ORDER
    expected = pixel.generate(pixel.load(published["folder"]), prompt, n=n, seed=seed, temperature=temperature, guidance=guidance)
    bundle = space.build("pixel", tmp_path / "space", ref=str(published["folder"]))
    with running_space(bundle, HF_HUB_OFFLINE="1") as url:
        np.testing.assert_array_equal(sprites(App(url, None, tmp_path / "app.log"), ""), expected)


# --- the same for MoC --------------------------------------------------------------------------------------------------------------

WRITING = {"prompt": "Era uma vez", "max_new_tokens": 24, "temperature": 0.9, "seed": 5}


def test_moc_notebook_tab_and_space_give_the_same_text(published_moc, tmp_path, local_hub):
    ref = published_moc["REF"]
    assert ref.startswith("lunar/round-trip-moc@") and published_moc["published"].url
    expected = moc.generate(moc.load(published_moc["folder"]), **WRITING)
    assert expected and expected != moc.generate(moc.load("moc-pt"), **WRITING)

    fetched = hub.resolve(ref)  # from the Hub, not the training folder
    assert fetched != Path(published_moc["folder"]) and hub.weight_hash(fetched) == hub.weight_hash(published_moc["folder"])

    with running_app(tmp_path / "app.log") as app:
        assert app.call("moc_load", ref)[0]["weights"] == hub.weight_hash(published_moc["folder"])
        text, report = app.call_named("moc_generate", **WRITING, model=ref)
        assert (text, report["seed"]) == (expected, WRITING["seed"])

    bundle = space.build("moc", tmp_path / "space", model_id=ref)
    assert not list(bundle.rglob("*.safetensors"))  # it brings no weights: what it writes with came from the Hub
    cache = {"HF_HOME": str(tmp_path / "fresh-cache"), "HF_HUB_OFFLINE": "0", "LUNARIS_MODEL": ref}
    with running_space(bundle, **local_hub.env | cache) as url:
        text, report = App(url, None, tmp_path / "app.log").call_named("moc_generate", **WRITING)
        assert (text, report["model"]) == (expected, ref)
