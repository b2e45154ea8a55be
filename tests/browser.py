"""What the browser tests share beside the fixtures of conftest.py: Chromium, screens, visits, and the rules that every view keeps."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from app_server import App
from playwright.sync_api import Browser, Locator, Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

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


@contextmanager
def visits(app: App, browser: Browser, *, path: str = "/", ready: str = "#pixel-go") -> Iterator[Callable[..., Page]]:
    """visit(size, locale, scheme, path) is a page of the hub; at the end nothing may have failed in it and nothing left this machine.

    visit.reload(page) loads it again.
    """
    pages, trouble = [], []

    def open_page(size=WIDE, locale="en-US", scheme="light", path=path) -> Page:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, locale=locale, color_scheme=scheme, accept_downloads=True
        )
        page = context.new_page()
        page.set_default_timeout(45_000)
        page.on("console", lambda message: trouble.append(f"console: {message.text}") if message.type == "error" else None)
        page.on("pageerror", lambda error: trouble.append(f"page: {error}"))
        page.on("request", lambda request: None if is_here(request.url, app.url) else trouble.append(f"left this machine: {request.url}"))
        page.goto(app.url + path)
        page.locator(ready).wait_for(timeout=60_000)
        page.wait_for_function("window.lunaris && document.querySelector('[data-language][aria-pressed=true]')")
        pages.append(page)
        return page

    def reload(page: Page) -> None:
        """The page that is left may say of its own streams that they were cut: by us, so that is no trouble.

        On a slow machine the theme test reloaded while an answer was on its way, and failed for "BodyStreamBuffer was aborted", or for
        "signal is aborted", since Gradio closes its client when a page is left.
        """
        before = len(trouble)
        page.reload()
        page.locator(ready).wait_for()
        cut = ("BodyStreamBuffer was aborted", "signal is aborted", "Connection errored out")
        trouble[before:] = [line for line in trouble[before:] if not any(words in line for words in cut)]

    open_page.reload = reload
    yield open_page
    for page in pages:
        page.context.close()
    assert not trouble


# --- what is on a page -----------------------------------------------------------------------------------------------------------


def content(page: Page, picture: Locator) -> bytes:
    """The bytes behind an <img>."""
    return page.request.get(picture.get_attribute("src")).body()


def tab(page: Page, name: str) -> Locator:
    return page.get_by_role("tab", name=name, exact=True).locator("visible=true")


def open_tab(page: Page, name: str) -> None:
    """Go to a tab; on a phone those that do not fit are behind one button."""
    page.wait_for_timeout(300)
    if not tab(page, name).count():
        page.locator("#pixel-tabs .overflow-menu > button").first.click()
        page.locator("#pixel-tabs .overflow-dropdown button").get_by_text(name, exact=True).click()
    else:
        tab(page, name).click()


RESULT = "(boxes) => boxes.map((box) => document.querySelector(box)?.outerHTML ?? '').join()"


@contextmanager
def new_result(page: Page, *boxes: str) -> Iterator[None]:
    """What happens inside brings a new result; waits until it is there."""
    before = page.evaluate(RESULT, boxes)
    yield
    page.wait_for_function(f"([boxes, before]) => ({RESULT})(boxes) !== before", arg=[boxes, before])


def download(page: Page, name: str) -> bytes:
    """The file behind a download button, which gets it a moment after the result is shown."""
    button = page.get_by_role("button", name=name, exact=True).locator("visible=true")
    for _ in range(20):
        with contextlib.suppress(PlaywrightTimeout), page.expect_download(timeout=1500) as waiting:
            button.click()
            return Path(waiting.value.path()).read_bytes()
    raise AssertionError(f"{name} downloads nothing")
