"""Notebooks in CI: the tiny preset, a Hub on this machine, and a folder of their own, so that a run leaves nothing behind."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

_KEPT: dict[str, str | None] = {}
_FOLDER = tempfile.TemporaryDirectory(prefix="lunaris-notebooks-")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """The kernel starts with a notebook's first cell and takes the environment as it is then; it is put back after every cell."""
    if "HF_ENDPOINT" not in os.environ:  # notebooks/ was run alone, without tests/conftest.py
        from local_hub import LocalHub

        os.environ.update(LocalHub().start().env)
    wanted = {
        "LUNARIS_PRESET": "tiny",
        "LUNARIS_OUT": f"{_FOLDER.name}/{item.path.stem}",
        "LUNARIS_REPO_ID": f"lunar/{item.path.stem}",
        "GRADIO_ANALYTICS_ENABLED": "False",
    }
    for name, value in wanted.items():
        _KEPT.setdefault(name, os.environ.get(name))
        os.environ[name] = value


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item):
    for name, value in _KEPT.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
