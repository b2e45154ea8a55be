"""What the browser tests share beside the fixtures of conftest.py: Chromium, screens, and the rules that every view keeps."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
WIDE, PHONE, SMALL = (1280, 900), (390, 844), (360, 740)
PROBES = (Path(__file__).parent / "browser_probes.js").read_text(encoding="utf-8")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)")


@contextmanager
def chromium() -> Iterator[Browser]:
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield launched
        launched.close()


def is_here(url: str, here: str) -> bool:
    return url.startswith((here, "data:", "blob:", "about:"))
