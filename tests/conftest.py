"""What every test runs with: a Hub on this machine, fresh folders for caches, one thread, and nothing outside this machine.

The environment is set while pytest imports this file, before any test module can import huggingface_hub, torch, gradio or trackio:
each of them reads its variables once, at import. Sockets are closed to all but this machine by pytest's own options (pyproject.toml).
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # so that every test can say `from local_hub import LocalHub`

from local_hub import LocalHub

assert "huggingface_hub" not in sys.modules, "huggingface_hub was imported before tests/conftest.py could point it to the local Hub"

_FOLDER = tempfile.mkdtemp(prefix="lunaris-tests-")
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
_HUB = LocalHub().start()
atexit.register(_HUB.stop)

os.environ.update(_HUB.env)
os.environ.update(
    HF_HOME=f"{_FOLDER}/hf",
    TRACKIO_DIR=f"{_FOLDER}/trackio",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    GRADIO_ANALYTICS_ENABLED="False",
    GRADIO_TEMP_DIR=f"{_FOLDER}/gradio",
    OMP_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
    WANDB_MODE="offline",
)
for name in (
    "LUNARIS_PRESET",
    "LUNARIS_CHECKPOINTS",
    "LUNARIS_OFFLINE",
    "LUNARIS_HUB_TIMEOUT",
    "HF_HUB_OFFLINE",
    "HF_HUB_CACHE",
    "SPACE_ID",
):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def local_hub() -> LocalHub:
    """The Hub that this whole test session talks to; `hub.repos`, `hub.faults`, `hub.log` are yours to look at and change."""
    return _HUB


@pytest.fixture(autouse=True)
def _no_faults_left():
    """A fault that one test injects never strikes another."""
    yield
    _HUB.faults.clear()


@pytest.fixture
def fresh_hub(local_hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalHub:
    """The same Hub, emptied, with an empty download cache: a cached file would answer where the Hub refuses."""
    import huggingface_hub.constants as constants

    local_hub.reset()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf-cache"))
    return local_hub


@pytest.fixture(scope="module")
def browser():
    """Chromium, for a module of tests that need one."""
    from browser import chromium

    with chromium() as launched:
        yield launched


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Where screenshots go; LUNARIS_SCREENSHOTS keeps them."""
    folder = Path(os.environ.get("LUNARIS_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
