"""Explore, Studio and Retrain in a browser: what they show is what the library makes of the same point, picture or training."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from app_server import App, running_app
from browser import content, download, needs_chromium, new_result, open_tab, visits
from PIL import Image
from playwright.sync_api import Page, expect

from lunaris import pixel
from lunaris.core import images
from lunaris.pixel import PixelConfig, PixelTrainConfig, explore, palette, sprites
from lunaris.pixel.data import load_source
from lunaris.pixel.pixelise import pixelise
from lunaris.pixel.tiling import seam_score
from lunaris.pixel.train import prepare

pytestmark = needs_chromium
MAP, POINT = "#pixel-map .map img", "#pixel-point img"


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def app(tmp_path_factory, jobs) -> Iterator[App]:
    with running_app(tmp_path_factory.mktemp("app") / "app.log", LUNARIS_JOBS=str(jobs)) as running:
        yield running


@pytest.fixture(scope="module")
def model():
    return pixel.load("pixel-16")


@pytest.fixture
def visit(app, browser):
    with visits(app, browser) as open_page:
        yield open_page


def shown(page: Page, picture: str) -> np.ndarray:
    """The pixels of the one <img> at this selector."""
    return images.read_image(content(page, page.locator(picture)))


# --- Explore -----------------------------------------------------------------------------------------------------------------------


def point(page: Page) -> tuple[float, float]:
    """Where on the map the large sprite lies, by its caption."""
    x, y = re.search(r"x (-?[\d.]+) · y (-?[\d.]+)", page.locator("#pixel-point figcaption").inner_text()).groups()
    return float(x), float(y)


def test_a_click_on_the_map_shows_the_sprite_there_arrow_keys_walk_on_and_zooming_draws_the_map_around_it(visit, model):
    page = visit()
    with new_result(page, POINT):
        open_tab(page, "Explore")  # a first map is drawn unasked
    assert point(page) == (0, 0)
    np.testing.assert_array_equal(shown(page, POINT), explore.decode_point(model, 0, 0)[0])

    size = page.locator(".map").bounding_box()["width"]
    with new_result(page, POINT):
        page.locator(".map").click(position={"x": 0.75 * size, "y": 0.25 * size})
    x, y = point(page)
    reach = explore.CELLS / (explore.CELLS - 1)  # from the middle to the edge; the sprites at the edge have their middle at 1
    assert (x, y) == pytest.approx((reach / 2, reach / 2), abs=4 * reach / size)  # a click is on a whole pixel
    sprite = explore.decode_point(model, x, y)[0]
    np.testing.assert_array_equal(shown(page, POINT), sprite)
    np.testing.assert_array_equal(images.read_image(download(page, "PNG ×1")), sprite)

    page.locator(".map").focus()
    quarter = 0.25 * 2 / (explore.CELLS - 1)
    for key, way in (("ArrowRight", (quarter, 0)), ("Shift+ArrowDown", (0, -4 * quarter))):
        with new_result(page, POINT, "#pixel-point figcaption"):
            page.keyboard.press(key)
        assert point(page) == pytest.approx((x + way[0], y + way[1]), abs=2e-4)
        x, y = point(page)
    np.testing.assert_array_equal(shown(page, POINT), explore.decode_point(model, x, y)[0])

    with new_result(page, MAP):
        page.get_by_role("button", name="Zoom in").click()
    np.testing.assert_array_equal(shown(page, MAP), images.grid(explore.latent_map(model, x=x, y=y, zoom=2), columns=explore.CELLS))


# --- Studio ------------------------------------------------------------------------------------------------------------------------


def test_a_picture_becomes_pixel_art_is_redrawn_and_laid_as_a_tile(visit, model, tmp_path):
    y, x = np.mgrid[0:60, 0:90]
    Image.fromarray(np.stack([x * 2, y * 4, 255 - x * 2], -1).astype(np.uint8)).save(tmp_path / "photo.png")
    photo = images.read_image(tmp_path / "photo.png")
    page, after = visit(), "#pixel-studio-pair .sharp"
    open_tab(page, "Studio")
    page.locator("#pixel-studio-picture input[type=file]").set_input_files(tmp_path / "photo.png")
    page.locator("#pixel-studio-picture img").wait_for()
    with new_result(page, after):
        page.locator("#pixel-studio-make").click()
    art = pixelise(photo, side=32)
    np.testing.assert_array_equal(shown(page, after), art)
    assert shown(page, "#pixel-studio-pair img:not(.sharp)").shape == photo.shape

    page.locator("#pixel-studio-tile").click()
    seams, tiling = seam_score(art), page.locator("#pixel-studio-tiling")
    expect(tiling).to_contain_text("Accepted" if seams.accepted else "Rejected")
    expect(tiling).to_contain_text(f"Seam score {seams.score:.2f}", use_inner_text=True)
    np.testing.assert_array_equal(shown(page, "#pixel-studio-tiling img"), np.tile(art, (3, 3, 1)))

    with new_result(page, after):
        page.locator("#pixel-studio-redraw").click()
    np.testing.assert_array_equal(shown(page, after), explore.reconstruct(model, photo)[0])
    expect(tiling.locator("img")).to_have_count(0)  # it was of the last result

    page.get_by_role("button", name="Game Boy").locator("visible=true").click()
    with new_result(page, after):
        page.locator("#pixel-studio-make").click()
    art = pixelise(photo, side=32, palette="gameboy")
    np.testing.assert_array_equal(shown(page, after), art)
    expect(page.locator("#pixel-studio-report")).to_contain_text(f"32×32 {palette.count(art)} colours", use_inner_text=True)
    np.testing.assert_array_equal(images.read_image(download(page, "PNG ×8")), images.upscale(art, 8))


# --- Retrain -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_model(tmp_path_factory):
    """A checkpoint so small that a step of its training takes milliseconds."""
    torch.manual_seed(0)
    train_config = PixelTrainConfig.tiny().replace(device="cpu")
    model = prepare(PixelConfig.tiny().replace(latent_dim=8, filters=(8, 16)), train_config, load_source("procedural", side=16, n=64))
    return pixel.save(model, tmp_path_factory.mktemp("models") / "small", card="---\nlicense: mit\n---\n")


def test_the_model_in_use_learns_own_pictures_is_stopped_and_draws_in_create(visit, small_model, jobs, tmp_path):
    """The whole way of a visitor, who also reloads the page in the middle of it: the training is still theirs."""
    page, panel = visit(), "#pixel-retrain-panel"
    open_tab(page, "Model")
    page.locator("#pixel-picker input").fill(str(small_model))
    with new_result(page, "#pixel-about"):
        page.locator("#pixel-load").click()

    open_tab(page, "Retrain")
    files = [tmp_path / f"red_potion-{i}.png" for i in range(8)]
    for path, sprite in zip(files, sprites.make(8, side=16, seed=1).images, strict=True):
        path.write_bytes(images.png_bytes(sprite))
    page.locator("#pixel-retrain-files input[type=file]").set_input_files(files)
    expect(page.locator("#pixel-retrain-preview img")).to_have_count(8)
    expect(page.locator("#pixel-retrain-preview .caption-label").first).to_have_text("red potion")
    page.locator("#pixel-retrain-steps input[type=number]").fill("1000")
    page.locator("#pixel-retrain-steps input[type=number]").press("Tab")
    page.locator("#pixel-retrain-start").click()
    expect(page.locator(panel)).to_contain_text(re.compile(r"Training: step \d+ of 1000"), use_inner_text=True, timeout=60_000)
    expect(page.locator("#pixel-retrain-start")).to_be_disabled()
    expect(page.locator(f"{panel} .rows img")).not_to_have_count(1, timeout=60_000)  # beside the one of before

    visit.reload(page)
    open_tab(page, "Retrain")
    page.locator("#pixel-retrain-cancel").click()
    expect(page.locator(panel)).to_contain_text(re.compile(r"Stopped at step \d+ of 1000"), use_inner_text=True, timeout=60_000)
    expect(page.locator("#pixel-retrain-resume")).to_be_visible()
    page.locator("#pixel-retrain-use").click()

    page.locator("#pixel-go").wait_for()  # Create opens
    page.locator("#pixel-prompt textarea").fill("a red potion")
    page.get_by_label("Keep seed").check()
    with new_result(page, "#pixel-grid img"):
        page.locator("#pixel-go").click()
    (folder,) = jobs.glob("*/model/my-sprites")
    drawn = pixel.generate(pixel.load(folder), "a red potion", n=16, seed=0)
    np.testing.assert_array_equal(shown(page, "#pixel-grid img >> nth=0"), drawn[0])
    assert not np.array_equal(drawn, pixel.generate(pixel.load(small_model), "a red potion", n=16, seed=0))
