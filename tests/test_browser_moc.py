"""The Collaborative Experts tab in a browser: write, stop, continue, the council, what if, links, both languages.

LUNARIS_SCREENSHOTS=FOLDER keeps the screenshots.
"""

import re
import time
from collections.abc import Iterator

import psutil
import pytest
from app_server import App, running_app
from browser import PHONE, PROBES, WIDE, needs_chromium, visits
from playwright.sync_api import Locator, Page, expect

from lunaris import moc
from lunaris.moc.council import council, what_if

pytestmark = needs_chromium
LINK = "/?moc=Era+uma+vez&seed=5&max_new_tokens=30"
LONG = "/?moc=Era+uma+vez&seed=5&max_new_tokens=1024&temperature=2&top_p=1"  # so wild that no end of text comes soon


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> Iterator[App]:
    with running_app(tmp_path_factory.mktemp("app") / "app.log") as running:
        yield running


@pytest.fixture(scope="module")
def model():
    return moc.load(moc.CHECKPOINT)


@pytest.fixture
def visit(app, browser):
    """visit(size, locale, scheme, path) is the tab, opened by a link."""
    with visits(app, browser, path=LINK, ready="#moc-go") as open_page:
        yield open_page


def text(page: Page) -> Locator:
    return page.locator("#moc-text textarea")


def tokens(page: Page) -> Locator:
    return page.locator("#moc-council .token")


def wait_for_end(page: Page) -> None:
    page.locator("#moc-report [data-finish]:not([data-finish=writing])").wait_for()


def write(page: Page) -> None:
    """The link's text, and the council over it."""
    expect(page.locator("#moc-prompt textarea")).to_have_value("Era uma vez")
    page.locator("#moc-go").click()
    wait_for_end(page)
    tokens(page).first.wait_for()


def test_a_link_fills_the_form_and_one_click_writes_what_the_library_writes_with_its_council(visit, model):
    page = visit()
    assert text(page).input_value() == ""  # nothing is written before it is asked for
    write(page)
    order = moc.MoCRequest(prompt="Era uma vez", seed=5, max_new_tokens=30)
    written = moc.generate_request(model, order)
    assert text(page).input_value() == "Era uma vez" + written.text
    minutes = council(model, "Era uma vez", ids=written.ids)
    expect(tokens(page)).to_have_count(len(minutes.tokens))
    expect(page.locator("#moc-council .token[data-whose=given]")).to_have_count(minutes.given)
    expect(page.locator("#moc-council .token[aria-pressed=true]")).to_have_attribute("data-token", str(minutes.given))

    page.locator("#moc-council .token").nth(5).click()
    layer, shown = minutes.layers[2], page.locator("#moc-council section").nth(2)
    expect(page.locator("#moc-council .facts-now")).to_contain_text(f"{minutes.tokens[5].bits:.2f} bits")
    for expert in range(8):
        row = shown.locator(".scores-table tbody tr").nth(expert)
        expect(row).to_contain_text(f"{float(layer.before[5, expert]):.2f} → {float(layer.after[5, expert]):.2f}")
        expect(row).to_have_class("won" if expert in layer.chosen[5] else "")
    assert re.findall(r"0\.\d\d|1\.00", shown.locator(".peers tbody").inner_text()) == [f"{float(p):.2f}" for p in layer.peers[5].flatten()]
    loads = page.locator("#moc-council .load span").all_inner_texts()
    assert loads == [f"{int(100 * float(share) + 0.5)}%" for share in minutes.layers[0].load]


def test_hovering_previews_a_token_arrow_keys_move_and_the_server_is_not_asked(visit):
    page = visit()
    write(page)
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/queue/" in request.url else None)
    facts = page.locator("#moc-council .facts-now")
    pinned = facts.inner_text()
    tokens(page).nth(9).hover()
    expect(facts).to_contain_text("Token 10 of")
    page.mouse.move(0, 0)
    expect(facts).to_have_text(pinned, use_inner_text=True)
    tokens(page).nth(9).click()
    page.keyboard.press("ArrowRight")
    expect(facts).to_contain_text("Token 11 of")
    expect(tokens(page).nth(10)).to_be_focused()
    page.keyboard.press("Home")
    expect(facts).to_contain_text("Token 1 of")
    page.get_by_role("button", name="Layer 3").click()
    expect(page.locator("#moc-council [data-layer='3']")).to_have_attribute("aria-pressed", "true")
    assert not asked


def test_stop_keeps_what_is_written_and_the_edited_text_is_continued(visit):
    page = visit(path=LONG)
    expect(page.locator("#moc-prompt textarea")).to_have_value("Era uma vez")
    page.locator("#moc-go").click()
    page.wait_for_function("document.querySelector('#moc-text textarea').value.length > 30")
    page.locator("#moc-stop").click()
    tokens(page).first.wait_for()
    expect(page.locator("#moc-report")).to_contain_text("stopped")  # it once went back to "writing": a last piece was on its way
    expect(page.locator("#moc-stop")).to_be_hidden()
    kept = text(page).input_value()
    assert len(kept) > 30
    page.wait_for_timeout(1000)
    assert text(page).input_value() == kept
    assert int(re.search(r"(\d+)\s*tokens", page.locator("#moc-report").inner_text())[1]) < 1024
    page.get_by_label("number input for Length").fill("8")
    text(page).fill("A menina olhou para a lua e")
    page.locator("#moc-more").click()
    page.locator("#moc-report [data-finish=length]").wait_for()
    assert text(page).input_value().startswith("A menina olhou para a lua e") and len(text(page).input_value()) > 27
    expect(page.locator("#moc-report")).to_contain_text("8 tokens")


def busy(app: App, seconds: float = 1.5) -> float:
    """The share of these seconds that the server computed."""
    process = psutil.Process(app.process.pid)
    before = sum(process.cpu_times()[:2])
    time.sleep(seconds)
    return (sum(process.cpu_times()[:2]) - before) / seconds


@pytest.mark.parametrize("way", ["stop", "leave"])
def test_nothing_is_written_on_for_nobody(visit, app, way):
    """A stopped text, and one whose visitor has left, would otherwise be written to its end in a thread."""
    page = visit(path=LONG)
    expect(page.locator("#moc-prompt textarea")).to_have_value("Era uma vez")
    page.locator("#moc-go").click()
    page.wait_for_function("document.querySelector('#moc-text textarea').value.length > 30")
    if way == "stop":
        page.locator("#moc-stop").click()
        tokens(page).first.wait_for()
    else:
        page.close()
        time.sleep(1)
    assert busy(app) < 0.2


def test_muting_an_expert_shows_at_once_what_it_does(visit, model):
    page = visit()
    write(page)
    page.locator("#moc-ask-what-if").click()
    expect(page.locator("#moc-if-text textarea")).to_have_value(text(page).input_value())
    page.locator("#moc-board [data-expert='1'][data-wish=mute]").click()
    result = page.locator("#moc-if-result")
    found = what_if(model, page.locator("#moc-if-text textarea").input_value(), mute=["1"], max_new_tokens=40)
    before, after = found.bits_per_byte
    expect(result).to_contain_text(f"{before:.3f} → {after:.3f}")
    expect(result).to_contain_text(f"{found.changed} of {len(found.tokens)} places")
    expect(result.locator("mark[data-first]")).to_have_count(0 if found.first_difference is None else 2)
    page.locator("#moc-board [data-where='0']").click()
    page.locator("#moc-board [data-expert='4'][data-wish=favour]").click()
    found = what_if(model, page.locator("#moc-if-text textarea").input_value(), mute=["1"], expert_bias=["0.4=2"], max_new_tokens=40)
    expect(result).to_contain_text(f"→ {found.bits_per_byte[1]:.3f}")


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (PHONE, "dark")], ids=["1280-light", "390-dark"])
def test_every_view_fits_is_named_readable_and_large_enough_to_touch(visit, shots, size, scheme):
    portuguese = size == PHONE
    page = visit(size, locale="pt-BR" if portuguese else "en-US", scheme=scheme)

    def look(name: str) -> None:
        page.wait_for_timeout(300)
        page.screenshot(path=shots / f"moc-{name}-{size[0]}-{scheme}.png", full_page=True)
        assert page.evaluate(PROBES) == {"overflow": 0, "unnamed": [], "small": [], "faint": []}, name

    write(page)
    page.get_by_role("button", name="Ajuste fino" if portuguese else "Fine-tuning").locator("visible=true").click()
    look("1-write")
    page.locator("#moc-ask-what-if").click()
    page.locator("#moc-board [data-expert='1'][data-wish=mute]").click()
    page.locator(".moc-what-if").wait_for()
    look("2-what-if")
    if portuguese:
        told = page.locator("#moc-if-result").inner_text()
        assert "lugares" in told and "places" not in told
    for i, name in enumerate(("Isso ajuda?", "Modelo") if portuguese else ("Does it help?", "Model")):
        page.get_by_role("tab", name=name, exact=True).locator("visible=true").click()
        look(f"{i + 3}")
