"""The hub in a browser, as its visitors use it: words, clicks, keys, two languages, two lights, a wide screen and a phone.

LUNARIS_SCREENSHOTS=FOLDER keeps the screenshots.
"""

import io
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from app_server import App, running_app
from browser import PHONE, PROBES, SMALL, WIDE, content, download, needs_chromium, new_result, open_tab, tab, visits
from PIL import Image, ImageSequence
from playwright.sync_api import Locator, Page, expect

from lunaris import pixel
from lunaris.core import images
from lunaris.pixel.sprites import make as made

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> Iterator[App]:
    with running_app(tmp_path_factory.mktemp("app") / "app.log") as running:
        yield running


@pytest.fixture
def visit(app, browser):
    """visit(size, locale, scheme, path) is a page of the hub, as `visits` says."""
    with visits(app, browser) as open_page:
        yield open_page


def prompt(page: Page) -> Locator:
    return page.locator("#pixel-prompt textarea")


def sprites(page: Page) -> Locator:
    return page.locator("#pixel-grid img")


DRAWN = ("#pixel-report", "#pixel-grid img")  # what another run of Create changes


def generate(page: Page, text: str) -> None:
    prompt(page).fill(text)
    with new_result(page, *DRAWN):
        page.locator("#pixel-go").click()
    expect(sprites(page).first).to_be_visible()


def seed_shown(page: Page) -> int:
    return int(re.search(r"seed (\d+)", page.locator("#pixel-report").inner_text().replace("\n", " "))[1])


# --- what visitors come for --------------------------------------------------------------------------------------------------------


def test_typing_and_clicking_draws_what_the_library_draws(visit):
    page = visit()
    generate(page, "a red potion")
    expect(sprites(page)).to_have_count(16)
    expected = pixel.generate(pixel.load("pixel-16"), "a red potion", n=16, seed=seed_shown(page))
    np.testing.assert_array_equal([images.read_image(content(page, sprites(page).nth(i))) for i in range(16)], expected)
    assert page.locator("#pixel-grid .caption-label").nth(3).inner_text() == f"4 · {seed_shown(page) + 3}"


def test_another_prompt_with_the_same_seed_changes_the_pictures_and_the_first_brings_them_back(visit):
    page = visit()
    page.get_by_label("Keep seed").check()
    page.get_by_label("Seed", exact=True).locator("visible=true").fill("77")
    pictures = []
    for text in ("a red potion", "a blue key", "a red potion"):
        generate(page, text)
        assert seed_shown(page) == 77
        expect(sprites(page)).to_have_count(16)
        pictures.append([content(page, sprites(page).nth(i)) for i in range(4)])
    assert pictures[0] != pictures[1]
    assert pictures[0] == pictures[2]


def generate_with_enter(page: Page) -> None:
    prompt(page).fill("a green slime")
    with new_result(page, *DRAWN):
        prompt(page).press("Enter")


def test_enter_generates_and_every_run_has_a_new_seed(visit):
    """The report may be drawn a moment after the sprites: on a busy machine the second run was read with the first one's seed."""
    page = visit()
    generate_with_enter(page)
    first = seed_shown(page)
    generate_with_enter(page)
    expect(page.locator("#pixel-report")).not_to_contain_text(str(first))
    assert seed_shown(page) != first


def test_an_example_fills_the_prompt_and_generates(visit):
    page = visit()
    with new_result(page, *DRAWN):
        page.get_by_role("button", name="a blue sword").click()
    assert prompt(page).input_value() == "a blue sword"
    with new_result(page, *DRAWN):
        page.get_by_role("button", name="anything").click()
    assert prompt(page).input_value() == ""


def test_a_word_joins_the_prompt_where_its_language_puts_it(visit):
    page = visit()
    page.get_by_role("button", name="Words the model knows").click()
    words = page.locator("#pixel-words")
    words.get_by_role("button", name="potion", exact=True).click()
    words.get_by_role("button", name="red", exact=True).click()
    assert prompt(page).input_value() == "red potion"


def test_unknown_words_are_named(visit):
    page = visit()
    generate(page, "a red zyxwv")
    assert "zyxwv" in page.locator("#pixel-report").inner_text()
    assert "does not know" in page.locator("#pixel-report").inner_text()


def test_the_count_decides_how_many(visit):
    page = visit()
    page.get_by_label("number input for Sprites").fill("5")
    generate(page, "a star")
    expect(sprites(page)).to_have_count(5)


def test_downloads_are_the_sprite_its_enlargement_the_sheet_and_everything(visit):
    page = visit()
    generate(page, "a purple ghost")
    page.locator("#pixel-grid .thumbnail-item").nth(2).click()
    expect(page.locator("#pixel-selected")).to_contain_text(f"3 · {seed_shown(page) + 2}")
    small, large, sheet = (images.read_image(download(page, name)) for name in ("PNG ×1", "PNG ×8", "Sheet"))
    np.testing.assert_array_equal(small, images.read_image(content(page, sprites(page).nth(2))))
    np.testing.assert_array_equal(large, images.upscale(small, 8))
    assert sheet.shape == (64, 64, 4)
    np.testing.assert_array_equal(sheet[:16, 32:48], small)
    with zipfile.ZipFile(io.BytesIO(download(page, "All (ZIP)"))) as bundle:
        assert len(bundle.namelist()) == 16 + 16 + 3  # at x1, at x8; sheet, atlas, GIF


def captions(page: Page) -> list[str]:
    return page.locator("#pixel-grid .caption-label").all_inner_texts()


def unfold(page: Page, box: str) -> None:
    page.locator(f"{box} button.label-wrap").first.click()


def test_one_sprite_is_drawn_again_and_the_others_stay(visit):
    page = visit()
    generate(page, "a red potion")
    before, pictures = captions(page), [content(page, sprites(page).nth(i)) for i in range(4)]
    page.locator("#pixel-grid .thumbnail-item").nth(2).click()
    expect(page.locator("#pixel-selected")).to_contain_text(before[2])
    with new_result(page, "#pixel-selected"):
        page.locator("#pixel-reroll").click()
    after = captions(page)
    assert [i for i in range(16) if before[i] != after[i]] == [2]
    expect(page.locator("#pixel-selected")).to_contain_text(after[2])
    assert [content(page, sprites(page).nth(i)) == pictures[i] for i in range(4)] == [True, True, False, True]


def test_a_palette_is_chosen_by_its_colours_and_kept_to(visit):
    page = visit()
    unfold(page, "#pixel-colours")
    chip = page.locator("#pixel-colours").get_by_role("button", name="Game Boy")
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "true")
    generate(page, "a pink heart")
    allowed = {(15, 56, 15), (48, 98, 48), (139, 172, 15), (155, 188, 15)}
    sprite = images.read_image(content(page, sprites(page).first))
    assert {tuple(pixel[:3]) for pixel in sprite.reshape(-1, 4).tolist() if pixel[3]} <= allowed
    page.locator("#pixel-palette textarea").fill("#102030, #f0e0d0")
    expect(page.locator("#pixel-colours .lunaris-choices > .lunaris-swatches i")).to_have_count(2)
    expect(chip).to_have_attribute("aria-pressed", "false")


def test_a_link_brings_the_same_sprites_to_another_browser(visit):
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    generate(page, "a red potion")
    expect(page.locator("#pixel-selected")).to_contain_text("1 · ", timeout=30_000)
    with new_result(page, "#pixel-grid .caption-label"):
        page.locator("#pixel-reroll").click()
    page.locator("#pixel-copy-link").click()
    expect(page.locator("[data-testid=toast-body]")).to_contain_text("clipboard", timeout=30_000)
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(page.url)
    other = visit(path="/" + link.removeprefix(page.url))
    expect(sprites(other)).to_have_count(16, timeout=30_000)
    assert prompt(other).input_value() == "a red potion"
    assert captions(other) == captions(page)
    assert content(other, sprites(other).first) == content(page, sprites(page).first)


def test_the_history_outlives_a_reload_and_brings_a_run_back(visit):
    page = visit()
    unfold(page, "#pixel-history")
    generate(page, "a blue key")
    pictures = [content(page, sprites(page).nth(i)) for i in range(3)]
    generate(page, "a red potion")
    runs = page.locator("#pixel-runs li")
    expect(runs).to_have_count(2, timeout=30_000)
    visit.reload(page)
    unfold(page, "#pixel-history")
    expect(runs).to_have_count(2, timeout=30_000)
    expect(runs.first).to_contain_text("a red potion")
    with new_result(page, *DRAWN):
        runs.nth(1).get_by_role("button", name="Use").click()
    assert prompt(page).input_value() == "a blue key"
    assert [content(page, sprites(page).nth(i)) for i in range(3)] == pictures
    with zipfile.ZipFile(io.BytesIO(download_made(page, "Download all (ZIP)"))) as bundle:
        assert len(bundle.namelist()) == 32
    runs.first.get_by_role("button", name="Delete").click()
    expect(runs).to_have_count(1, timeout=30_000)


def download_made(page: Page, name: str) -> bytes:
    """The file that a button makes first and then downloads."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name=name, exact=True).click()
    return Path(waiting.value.path()).read_bytes()


def test_a_downloaded_sprite_is_dropped_and_proves_to_be_identical(visit, tmp_path):
    page = visit()
    generate(page, "a purple ghost")
    (tmp_path / "ghost.png").write_bytes(download(page, "PNG ×8"))
    seed = seed_shown(page)
    prompt(page).fill("something else")
    unfold(page, "#pixel-replay")
    with new_result(page, "#pixel-verdict"):
        page.locator("#pixel-replay input[type=file]").set_input_files(tmp_path / "ghost.png")
    expect(page.locator("#pixel-verdict")).to_contain_text("Identical")
    expect(prompt(page)).to_have_value("a purple ghost", timeout=30_000)
    assert seed_shown(page) == seed


def test_pixels_are_drawn_as_squares_on_a_checkerboard(visit):
    page = visit()
    generate(page, "a red potion")
    for box in ("#pixel-grid img", "#pixel-selected img"):
        assert page.locator(box).first.evaluate("e => getComputedStyle(e).imageRendering") == "pixelated"
    assert "conic-gradient" in page.locator("#pixel-grid .thumbnail-item").first.evaluate("e => getComputedStyle(e).backgroundImage")


def test_two_prompts_morph(visit):
    page = visit()
    tab(page, "Morph").click()
    page.locator("#pixel-from textarea").fill("a red potion")
    page.locator("#pixel-to textarea").fill("a blue key")
    with new_result(page, "#pixel-morph-report"):
        page.locator("#pixel-morph-prompts").click()
    expect(page.locator("#pixel-frames img")).to_have_count(10)
    with Image.open(io.BytesIO(content(page, page.locator("#pixel-animation img")))) as gif:
        assert gif.format == "GIF"
        assert sum(frame.info["duration"] for frame in ImageSequence.Iterator(gif)) == 18 * 120  # there and back
    assert download(page, "GIF ×8") == content(page, page.locator("#pixel-animation img"))


def test_a_sprite_of_the_grid_and_an_uploaded_picture_morph(visit, tmp_path):
    Image.new("RGB", (300, 200), "orange").save(tmp_path / "photo.png")
    page = visit()
    generate(page, "a red potion")
    page.get_by_role("button", name="Start of a morph").click()
    expect(page.locator("#pixel-picture-from img")).to_be_visible()
    page.locator("#pixel-picture-to input[type=file]").set_input_files(tmp_path / "photo.png")
    expect(page.locator("#pixel-picture-to img")).to_be_visible()
    with new_result(page, "#pixel-morph-report"):
        page.locator("#pixel-morph-pictures").click()
    first = content(page, page.locator("#pixel-frames img").first)
    model = pixel.load("pixel-16")
    start, end = images.read_image(content(page, page.locator("#pixel-picture-from img"))), images.read_image(tmp_path / "photo.png")
    np.testing.assert_array_equal(images.read_image(first), pixel.interpolate(model, start, end, steps=10)[0])


def test_the_model_tab_shows_limits_and_card_and_a_failed_load_changes_nothing(visit):
    page = visit()
    tab(page, "Model").click()
    about = page.locator("#pixel-about")
    expect(about).to_contain_text("16×16")
    expect(about).to_contain_text("no room for fine detail")
    page.locator("#pixel-picker input").fill("no-such-model")
    page.locator("#pixel-load").click()
    expect(page.locator("[data-testid=toast-body]")).to_contain_text("no-such-model")
    expect(about).to_contain_text("pixel-16")
    tab(page, "Create").click()
    generate(page, "a red potion")
    assert "pixel-16" in page.locator("#pixel-report").inner_text()


# --- languages and lights ----------------------------------------------------------------------------------------------------------

ENGLISH = re.compile(
    r"\b(the|what|draw|generate|words|seed is|keep|same|pictures|model knows|download|sheet|leave|picture|steps|load|files?|drop|image)\b"
    r"|common\.",  # Gradio's key, where it lacks the word
    re.IGNORECASE,
)


def visible_text(page: Page) -> str:
    """All that can be read or heard: text, placeholders, names."""
    attributes = page.eval_on_selector_all(
        "gradio-app [placeholder], gradio-app [aria-label], gradio-app [title]",
        "es => es.filter(e => e.offsetParent).map(e => ['placeholder', 'aria-label', 'title'].map(a => e.getAttribute(a) || '').join(' '))",
    )
    return "\n".join([page.locator("body").inner_text(), *attributes])


def english_left(page: Page, *but: str) -> list[str]:
    """English words on a page in Portuguese; `but` are the visitor's own."""
    text = visible_text(page)
    for own in ("English", *but):
        text = text.replace(own, "")
    return ENGLISH.findall(text)


def test_the_browsers_language_is_the_pages(visit):
    page = visit(locale="pt-BR")
    assert page.evaluate("document.documentElement.lang").startswith("pt")
    expect(page.locator("#pixel-go")).to_have_text("Gerar")
    for name in ("Criar", "Transformar", "Explorar", "Estúdio", "Retreinar", "Modelo"):
        tab(page, name).click()
        page.wait_for_timeout(300)
        assert not english_left(page)


def test_the_language_switch_changes_the_whole_page_at_once_and_is_remembered(visit):
    page = visit(locale="en-US")
    generate(page, "a red zyxwv")
    pictures = [content(page, sprites(page).nth(i)) for i in range(2)]
    page.get_by_role("button", name="Português do Brasil").click()
    expect(page.locator("#pixel-go")).to_have_text("Gerar")
    expect(tab(page, "Transformar")).to_be_visible()
    page.wait_for_timeout(300)
    assert not english_left(page, "zyxwv")
    assert "não conhece" in visible_text(page)
    assert prompt(page).input_value() == "a red zyxwv"  # nothing typed or drawn is lost
    assert [content(page, sprites(page).nth(i)) for i in range(2)] == pictures
    visit.reload(page)
    expect(page.locator("#pixel-go")).to_have_text("Gerar")
    assert page.evaluate("document.documentElement.lang") == "pt-BR"
    page.get_by_role("button", name="English").click()
    expect(page.locator("#pixel-go")).to_have_text("Generate")
    expect(tab(page, "Morph")).to_be_visible()


def test_errors_are_told_in_the_language_of_the_switch(visit):
    page = visit(locale="en-US")
    page.get_by_role("button", name="Português do Brasil").click()
    prompt(page).evaluate("e => e.removeAttribute('maxlength')")
    prompt(page).fill("x" * 301)
    page.locator("#pixel-go").click()
    toast = page.locator("[data-testid=toast-body]")
    expect(toast).to_contain_text("pode ter no máximo 300 caracteres, mas veio com 301")
    expect(toast).to_contain_text("Isso não deu certo")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_browser_and_the_switch_is_remembered(visit, scheme):
    page = visit(scheme=scheme)
    is_dark = "document.body.classList.contains('dark')"
    switch = page.get_by_role("button", name="Dark theme")
    assert page.evaluate(is_dark) is (scheme == "dark")
    assert switch.get_attribute("aria-pressed") == str(scheme == "dark").lower()
    switch.click()
    assert page.evaluate(is_dark) is (scheme != "dark")
    visit.reload(page)
    page.wait_for_function(f"{is_dark} === {str(scheme != 'dark').lower()}")
    switch.click()  # back to the browser's own: followed from here on
    page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
    page.wait_for_function(f"{is_dark} === {str(scheme == 'light').lower()}")


def test_what_is_chosen_lasts_as_long_as_the_page_where_nothing_may_be_stored(visit, browser, app):
    """A private window, or a Space inside another page."""
    page = visit()
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('refused'); }; }")
    page.get_by_role("button", name="Português do Brasil").click()
    page.get_by_role("button", name="Tema escuro").click()
    expect(page.locator("#pixel-go")).to_have_text("Gerar")
    assert page.evaluate("document.body.classList.contains('dark')")


# --- every screen ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "scheme"),
    [(WIDE, "light"), (WIDE, "dark"), (PHONE, "light"), (PHONE, "dark"), (SMALL, "light")],
    ids=["1280-light", "1280-dark", "390-light", "390-dark", "360-light"],
)
def test_every_view_fits_is_named_readable_and_large_enough_to_touch(visit, shots, tmp_path, size, scheme):
    """Only Create, Morph and Model were looked at once. In the others an uploaded picture was taken out by a button too small for a finger,
    and in Portuguese the list of files called its own "common.upload" and "Remove this file".
    """
    portuguese = size == PHONE
    page = visit(size, locale="pt-BR" if portuguese else "en-US", scheme=scheme)

    def named(english: str, translated: str) -> str:
        return translated if portuguese else english

    wrong = []

    def look(name: str) -> None:
        page.wait_for_timeout(400)
        if "LUNARIS_SCREENSHOTS" in os.environ:  # they take longer than all that is asked of the page
            page.screenshot(path=shots / f"{name}-{size[0]}-{scheme}.png", full_page=True)
        found = page.evaluate(PROBES)
        if portuguese and name != "10-model":  # the card is in English
            found["English"] = english_left(page)
        wrong.extend((name, rule, what) for rule, what in found.items() if what)

    look("1-empty")
    generate(page, named("a red potion", "uma poção vermelha"))
    look("2-sprites")
    if size != WIDE:  # the result came into sight by itself
        assert 0 <= page.locator("#pixel-grid").bounding_box()["y"] < size[1] / 2
    unfold_all(page)
    look("3-open")
    open_tab(page, named("Morph", "Transformar"))
    page.locator("#pixel-from textarea").fill("a red potion")
    page.locator("#pixel-to textarea").fill("a blue sword")
    with new_result(page, "#pixel-morph-report"):
        page.locator("#pixel-morph-prompts").click()
    look("4-morph")
    tab(page, named("Two pictures", "Duas imagens")).click()
    look("5-pictures")
    open_tab(page, named("Explore", "Explorar"))
    page.locator("#pixel-point img").wait_for()
    unfold_all(page)
    look("6-map")
    tab(page, named("Arithmetic", "Aritmética")).click()
    with new_result(page, "#pixel-steps", "#pixel-sum-grid img"):
        page.get_by_role("button", name=named("cat + hat", "gato + chapéu")).click()
    unfold_all(page)
    look("7-arithmetic")
    files = [tmp_path / f"red_potion-{i}.png" for i in range(4)]
    for path, sprite in zip(files, made(4, side=16, seed=1).images, strict=True):
        path.write_bytes(images.png_bytes(sprite))
    open_tab(page, named("Studio", "Estúdio"))
    page.locator("#pixel-studio-picture input[type=file]").set_input_files(files[0])
    page.locator("#pixel-studio-picture img").wait_for()
    page.locator("#pixel-studio-make").click()
    page.locator("#pixel-studio-pair .sharp").wait_for()
    page.locator("#pixel-studio-tile").click()
    page.locator("#pixel-studio-tiling img").wait_for()
    look("8-studio")
    open_tab(page, named("Retrain", "Retreinar"))
    page.locator("#pixel-retrain-files input[type=file]").set_input_files(files)
    expect(page.locator("#pixel-retrain-preview img")).to_have_count(4, timeout=30_000)
    unfold_all(page)
    look("9-retrain")
    open_tab(page, named("Model", "Modelo"))
    unfold_all(page)  # the card
    look("10-model")
    assert not wrong, "\n".join(map(str, wrong))


def unfold_all(page: Page) -> None:
    for accordion in page.locator("button.label-wrap").locator("visible=true").all():
        expect(accordion).to_have_attribute("aria-expanded", "false")
        accordion.click()
        expect(accordion).to_have_attribute("aria-expanded", "true")


FOCUSED = """() => {
  const e = document.activeElement, style = getComputedStyle(e), name = e.innerText || e.getAttribute("aria-label") || "";
  if (e === document.body) return null; // past the last one
  return [e.closest("[id]")?.id ?? "", name.trim(), style.outlineStyle, style.boxShadow];
}"""


def test_everything_can_be_reached_and_seen_with_the_keyboard(visit):
    page = visit()
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
    names = [name for _, name, *_ in filter(None, reached)]
    assert "Skip to the models" in names[0]
    for name in ("EN", "PT", "Dark theme", "Create", "Generate", "a red potion", "New seed"):
        assert any(name in reached_name for reached_name in names), name
    assert any(box == "pixel-prompt" for box, *_ in filter(None, reached))
    for _, name, outline, shadow in filter(None, reached):
        assert outline != "none" or shadow != "none", name


def test_stop_shows_when_a_run_takes_longer_than_a_second_and_frees_the_page(visit):
    page = visit()
    held = []
    page.route("**/queue/data*", lambda route: held.append(route))
    page.locator("#pixel-go").click()
    page.wait_for_timeout(400)
    assert not page.locator("#pixel-stop").is_visible()
    expect(page.locator("#pixel-stop")).to_be_visible(timeout=5000)
    page.locator("#pixel-stop").click()
    expect(page.locator("#pixel-stop")).to_be_hidden()
    page.unroute("**/queue/data*")  # lets go of what was held
    generate(page, "a red potion")


def test_the_api_link_opens_the_page_of_examples(visit):
    page = visit()
    page.locator("[data-api]").click()
    expect(page.get_by_text("pixel_generate").first).to_be_visible()
