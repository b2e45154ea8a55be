"""The contract that every family keeps (design.md), run over FAMILIES: the next family is held to all of it by adding its name.

A family says in CONTRACT below how its tiny run is made quick and how its results are compared; nothing else here names one.
"""

import dataclasses
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lunaris import FAMILIES
from lunaris.core import hub
from lunaris.core.config import PRESETS, BaseConfig
from lunaris.core.training import TrainConfig

ROOT = Path(__file__).parent.parent


@dataclasses.dataclass(frozen=True)
class Quick:
    """How to keep a family's run to a second: changes to the tiny presets, and an order for `generate`."""

    config: dict
    train_config: dict
    order: dict


CONTRACT = {
    "pixel": Quick(
        config={"latent_dim": 8, "filters": (8, 16)},
        train_config={"steps": 6, "batch_size": 8, "sprites": 32, "warmup_steps": 0, "device": "cpu", "tracker": "none"},
        order={"prompt": "a red potion", "n": 3, "seed": 4},
    ),
    "moc": Quick(
        config={"d_model": 32, "n_layers": 1, "n_heads": 2, "vocab_size": 300, "expert_hidden": 32, "rank": 8},
        train_config={"steps": 6, "batch_size": 4, "seq_len": 32, "stories": 40, "warmup_steps": 0, "eval_tokens": 300, "device": "cpu"},
        order={"prompt": "Era uma vez", "max_new_tokens": 12, "temperature": 1.0, "seed": 4},
    ),
}


@dataclasses.dataclass
class Family:
    name: str
    module: object
    config: BaseConfig
    train_config: TrainConfig
    order: dict

    def train(self, out, **options):
        return self.module.train(self.config, self.train_config, out, progress=False, **options)

    def make(self, ref):
        request = self.module.Request.from_dict(self.order)
        made = self.module.generate_request(self.module.load(ref), request)
        return np.asarray(made.ids if hasattr(made, "ids") else made)  # a text is compared by its tokens


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    module, quick = importlib.import_module(f"lunaris.{request.param}"), CONTRACT[request.param]
    return Family(
        request.param,
        module,
        module.Config.tiny().replace(**quick.config),
        module.TrainConfig.tiny().replace(**quick.train_config),
        quick.order,
    )


@pytest.fixture(scope="module")
def trained(family, tmp_path_factory):
    return family.train(tmp_path_factory.mktemp(family.name) / "model")


def test_every_family_has_its_contract_files_space_and_notebook(family):
    folder = ROOT / "lunaris" / family.name
    for name in ("__init__", "config", "model", "data", "train", "generate", "demo"):
        assert (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file(), name
    assert (ROOT / "spaces" / family.name / "app.py").is_file()
    assert list((ROOT / "notebooks").glob(f"[0-9][0-9]_{family.name}.ipynb"))
    assert set(family.module.TITLE) == {"en", "pt-BR"}


def test_presets_build_and_survive_their_written_form(family):
    """Config.tiny()/small()/full() and TrainConfig alike: equal after dict and JSON."""
    for cls in (family.module.Config, family.module.TrainConfig):
        for name in PRESETS:
            config = cls.preset(name)
            assert cls.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert issubclass(family.module.TrainConfig, TrainConfig)


def test_every_field_has_a_help_text(family):
    for cls in (family.module.Config, family.module.TrainConfig, family.module.Request, family.module.Output):
        for field in dataclasses.fields(cls):
            assert field.metadata.get("help"), f"{cls.__name__}.{field.name}"


def test_training_lowers_the_loss(family, tmp_path):
    longer = dataclasses.replace(family, train_config=family.train_config.replace(steps=40, log_every=1, learning_rate=3e-3))
    out = longer.train(tmp_path / "m")
    losses = [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])


def test_same_seed_same_output_and_other_seed_other_output(family, trained):
    first, again = family.make(trained), family.make(trained)
    other = dataclasses.replace(family, order=family.order | {"seed": family.order["seed"] + 1000}).make(trained)
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_checkpoint_holds_only_safe_files_and_a_valid_card(family, trained):
    suffixes = {path.suffix for path in trained.iterdir() if path.is_file() and not path.name.startswith(".")}
    assert suffixes <= {".safetensors", ".json", ".jsonl", ".md"}
    card = hub.card(trained)
    assert card.startswith("---\n") and "lunaris" in card and family.name in card


def test_saved_copied_and_reloaded_is_equal(family, trained, tmp_path):
    copy = hub.pull(trained, tmp_path / "copy")
    assert np.array_equal(family.make(copy), family.make(trained))


def test_killed_and_resumed_equals_never_killed(family, trained, tmp_path):
    """Stopped after any step and resumed in a fresh process image of the model: the same weights, bit for bit."""
    calls = iter(range(1000))
    out = family.train(tmp_path / "m", should_stop=lambda: next(calls) >= 3)
    resumed = family.train(out, resume=True)
    ours, whole = hub.load_tensors(resumed), hub.load_tensors(trained)
    assert ours.keys() == whole.keys() and all(torch.equal(ours[name], whole[name]) for name in whole)


def test_training_leaves_the_callers_random_numbers_alone(family, tmp_path):
    """Seeding the weights' initialisation used to reseed the caller too: whoever trained in a notebook drew the same numbers ever after."""
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    family.train(tmp_path / "m")
    assert torch.equal(torch.rand(3), expected)


def test_strict_loading_names_the_weight(family, trained, tmp_path):
    tensors, config = hub.load_tensors(trained), hub.load_config(trained)
    name = sorted(tensors)[0]
    files = {path.name: path.read_bytes() for path in trained.glob("*.json") if path.name != "config.json"}
    missing = hub.save(tmp_path / "missing", tensors={k: v for k, v in tensors.items() if k != name}, config=config, files=files)
    surplus = hub.save(tmp_path / "surplus", tensors=tensors | {"extra.weight": torch.zeros(2)}, config=config, files=files)
    for folder, word in ((missing, name), (surplus, "extra.weight")):
        with pytest.raises(ValueError, match=word.replace(".", r"\.")):
            family.module.load(folder)


def test_another_familys_checkpoint_is_refused(family, trained, tmp_path):
    config = hub.load_config(trained) | {"family": "someone-else"}
    folder = hub.save(tmp_path / "other", tensors=hub.load_tensors(trained), config=config)
    with pytest.raises(ValueError, match="someone-else"):
        family.module.load(folder)


def test_result_can_be_written_and_evaluated(family, trained):
    parameters = inspect.signature(family.module.save_result).parameters
    assert list(parameters)[:2] and "output" in parameters
    report = family.module.evaluate(family.module.load(trained), "procedural", n=40)
    assert report["n"] == 40 and json.dumps(report)


def test_shipped_checkpoint_is_small_and_loads(family):
    """HB-10: what the tab opens with is in the repository."""
    folder = hub.bundled()[family.module.CHECKPOINT]
    assert (folder / "model.safetensors").stat().st_size < 25 * 2**20
    assert family.make(family.module.CHECKPOINT).size


def test_demo_builds_and_names_its_endpoints_after_the_family(family):
    demo = family.module.build_demo()
    names = [fn.api_name for fn in demo.fns.values() if fn.api_name and fn.api_visibility == "public"]
    assert f"{family.name}_generate" in names and all(name.startswith(f"{family.name}_") for name in names)


def test_family_package_is_lazy(family):
    """The tab is built before any model is wanted: importing the package or its demo must not load torch."""
    code = f"import sys, lunaris.{family.name}.demo; assert 'torch' not in sys.modules, 'torch was imported'"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]


def test_contract_covers_every_family():
    assert set(CONTRACT) == set(FAMILIES)
