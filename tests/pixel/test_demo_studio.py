"""The Studio view without a browser: pictures in, pixel art out, redrawn, tiled; every bad picture one sentence."""

import inspect
import io
import re
from functools import cache
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from lunaris import pixel
from lunaris.core import images, provenance
from lunaris.pixel import demo, explore, palette, replay
from lunaris.pixel.demo import studio


@pytest.fixture(autouse=True)
def uploads(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))


@pytest.fixture
def photo(tmp_path):
    """A smooth picture of many colours, wider than high."""
    y, x = np.mgrid[0:60, 0:90]
    pixels = np.stack([x * 2, y * 4, 255 - x * 2], -1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return {"path": str(tmp_path / "photo.png")}


def colours(image: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(pixel) for pixel in image.reshape(-1, 4).tolist() if pixel[3]}


# --- pixel art -------------------------------------------------------------------------------------------------------------------


def test_a_photo_becomes_small_and_of_few_colours_and_bears_no_ai_mark(photo):
    """No model took part: calling it AI-generated would be wrong."""
    small, large, report = studio.pixel_pixelise(photo, 24, colours=6, scale=4)
    image = images.read_image(small)
    assert image.shape == (24, 24, 4) and 2 <= len(colours(image)) <= 6
    assert report["colours_used"] == len(colours(image)) and report["side"] == 24
    assert {row for row in np.nonzero(image[..., 3])[0].tolist()} == set(range(4, 20))  # 3:2, centred
    np.testing.assert_array_equal(images.read_image(large), np.kron(image, np.ones((4, 4, 1), np.uint8)))
    for path in (small, large):
        assert b"AI-generated" not in Path(path).read_bytes()
        with pytest.raises(ValueError, match="holds no Lunaris record"):
            provenance.read(path)


def test_a_palette_is_kept_to_and_the_square_can_be_filled(photo):
    small, _, report = studio.pixel_pixelise(photo, 32, "gameboy", dither="floyd-steinberg", fit="cover")
    image = images.read_image(small)
    assert palette.foreign_pixels(image[None], palette.parse("gameboy")) == 0
    assert (image[..., 3] == 255).all()
    assert report["palette"] == "gameboy" and report["colours_used"] <= 4


def test_the_same_order_gives_the_same_file(photo):
    assert studio.pixel_pixelise(photo, 16)[:2] == studio.pixel_pixelise(photo, 16)[:2]


# --- through the model -----------------------------------------------------------------------------------------------------------


def test_a_redrawn_picture_is_the_models_and_replays(photo):
    small, large, report = studio.pixel_reconstruct(photo, 2)
    expected = explore.reconstruct(pixel.load("pixel-16"), images.read_image(photo["path"]))[0]
    np.testing.assert_array_equal(images.read_image(small), expected)
    assert images.read_image(large).shape == (32, 32, 4)
    assert (report["side"], report["model"], report["colours_used"]) == (16, "pixel-16", len(colours(expected)))
    for path in (small, large):
        assert b"AI-generated" in Path(path).read_bytes()
        assert replay.check(path).outcome == "identical"


def test_a_redrawing_takes_palette_and_dithering_and_replays(photo):
    """The Studio offered both for pixel art alone, beside a redrawing that ignored them."""
    small, _, report = studio.pixel_reconstruct(photo, palette="gameboy", dither="ordered")
    image = images.read_image(small)
    assert palette.foreign_pixels(image[None], palette.parse("gameboy")) == 0
    assert (report["palette"], report["dither"], report["colours_used"]) == ("gameboy", "ordered", len(colours(image)))
    few, _, report = studio.pixel_reconstruct(photo, colours=3)
    assert len(colours(images.read_image(few))) == report["colours_used"] <= 3
    for path in (small, few):
        assert replay.check(path).outcome == "identical"


def test_a_redrawing_recorded_before_it_took_colours_replays(photo, tmp_path):
    path = Path(studio.pixel_reconstruct(photo)[0])
    record = provenance.read(path)
    old = {**record, "args": {"image": record["args"]["image"]}}
    assert record["args"].keys() > old["args"].keys()
    assert replay.check(provenance.stamp(images.png_bytes(images.read_image(path)), old)).outcome == "identical"


# --- tiling ----------------------------------------------------------------------------------------------------------------------


def as_file(tmp_path, image: np.ndarray) -> dict:
    (tmp_path / "tile.png").write_bytes(images.png_bytes(image))
    return {"path": str(tmp_path / "tile.png")}


def test_a_periodic_picture_is_accepted_and_a_gradient_is_not(tmp_path):
    y, x = np.mgrid[0:16, 0:16]
    wave = 128 + 100 * np.sin(2 * np.pi * x / 16) * np.cos(2 * np.pi * y / 16)
    for values, accepted in ((wave, True), (x * 16, False)):
        image = np.dstack([values, values, values, np.full_like(values, 255)]).astype(np.uint8)
        path, report = studio.pixel_tile(as_file(tmp_path, image), 2, 3)
        assert report["accepted"] == accepted, report
        np.testing.assert_array_equal(images.read_image(path), np.tile(image, (3, 2, 1)))
        assert (report["columns"], report["rows"], report["width"], report["height"]) == (2, 3, 16, 16)


# --- the AI-generated mark --------------------------------------------------------------------------------------------------------


def test_what_is_made_of_a_generated_picture_keeps_its_mark(photo, tmp_path):
    """A sprite sent to the Studio lost its mark by being tiled or made pixel art again: the file passed for a person's work."""
    sprite = {"path": demo.pixel_generate("a blue key", 1, 9)[0][0][0]}
    other = {"path": str(tmp_path / "other.jpg")}  # another program's, marked by XMP as IPTC asks
    Image.open(photo["path"]).convert("RGB").save(other["path"], xmp=provenance.XMP.encode())
    for source, marked in ((sprite, True), (other, True), (photo, False)):
        made = [*studio.pixel_pixelise(source, 16)[:2], studio.pixel_tile(source)[0]]
        for path in made:
            assert (b"trainedAlgorithmicMedia" in Path(path).read_bytes()) == (b"AI-generated" in Path(path).read_bytes()) == marked
            with pytest.raises(ValueError, match="holds no Lunaris record"):
                provenance.read(path)


# --- bad input -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda p: studio.pixel_pixelise(p, 7), "side must be a whole number from 8 to 128, got 7; try 32"),
        (lambda p: studio.pixel_pixelise(p, 129), "side must be a whole number from 8 to 128, got 129"),
        (lambda p: studio.pixel_pixelise(p, colours=1), "colours must be a whole number from 2 to 64, got 1; try 16"),
        (lambda p: studio.pixel_pixelise(p, palette="red"), "palette must be one of gameboy, pico8, nes, c64 or a list of hex colours"),
        (lambda p: studio.pixel_pixelise(p, palette="#ff0000"), "palette must have from 2 to 256 different colours, got 1"),
        (lambda p: studio.pixel_pixelise(p, dither="lots"), "dither must be one of none, ordered, floyd-steinberg, got 'lots'"),
        (lambda p: studio.pixel_pixelise(p, fit="stretch"), "fit must be contain or cover, got 'stretch'"),
        (lambda p: studio.pixel_pixelise(p, scale=33), "scale must be a whole number from 1 to 32, got 33"),
        (lambda p: studio.pixel_pixelise({}), "picture must be a picture, got none; upload a PNG"),
        (lambda p: studio.pixel_pixelise({"path": __file__}), "is not a readable picture"),
        (lambda p: studio.pixel_reconstruct({}), "picture must be a picture, got none"),
        (lambda p: studio.pixel_reconstruct(p, model="no-such-model"), "no-such-model"),
        (lambda p: studio.pixel_reconstruct(p, palette="red"), "palette must be one of gameboy, pico8, nes, c64 or a list of hex colours"),
        (lambda p: studio.pixel_reconstruct(p, colours=1), "colours must be 0 (as drawn) or 2 to 64, got 1"),
        (lambda p: studio.pixel_reconstruct(p, palette="nes", dither="lots"), "dither must be one of none, ordered, floyd-steinberg"),
        (lambda p: studio.pixel_tile({}), "picture must be a picture, got none"),
        (lambda p: studio.pixel_tile(p, 9), "columns must be a whole number from 1 to 8, got 9; try 3"),
        (lambda p: studio.pixel_tile(p, 3, 0), "rows must be a whole number from 1 to 8, got 0; try 3"),
    ],
)
def test_a_bad_order_is_one_sentence(call, sentence, photo):
    with pytest.raises(gr.Error) as error:
        call(photo)
    assert sentence in error.value.message
    assert "\n" not in error.value.message


@pytest.mark.parametrize("value", [None, "16", True, 2.5, [3], {}])
def test_a_number_that_is_none_is_one_sentence(value):
    with pytest.raises(ValueError, match="side must be a whole number from 8 to 128, got .*; try 32"):
        studio.checked("side", value, 8, 128, 32)
    assert studio.checked("side", 16.0, 8, 128, 32) == 16  # JSON knows one kind of number


def test_a_photo_is_no_tile_until_it_is_small(tmp_path):
    with pytest.raises(gr.Error, match="a tile must be at most 256 pixels a side, got 257x20; make pixel art of it first"):
        studio.pixel_tile(as_file(tmp_path, np.zeros((20, 257, 4), np.uint8)))


@cache
def bad_pictures() -> dict[str, bytes]:
    def file(kind: str, mode: str = "RGB", size: tuple[int, int] = (20, 20), **options) -> bytes:
        buffer = io.BytesIO()
        Image.new(mode, size).save(buffer, kind, **options)
        return buffer.getvalue()

    whole = file("PNG", size=(200, 200))
    return {
        "bad.png is not a readable picture": whole[: len(whole) // 2],
        "bad.png is not a readable picture (UnidentifiedImageError)": b"a text that someone named .png",
        "bad.png must have at most 16,777,216 pixels, got 10000x10000; make it smaller": file("PNG", "1", (10_000, 10_000)),
        "bad.png must be at most 20 MB, got 21 MB; make it smaller": whole + bytes(21 * 2**20),
    }


@pytest.mark.parametrize("sentence", bad_pictures())
def test_a_picture_that_cannot_be_read_is_one_sentence_everywhere(sentence, tmp_path):
    """Truncated, a text, a small file that unpacks to gigabytes, too large: nothing is decoded, and the server goes on."""
    (tmp_path / "bad.png").write_bytes(bad_pictures()[sentence])
    for handler in (studio.pixel_pixelise, studio.pixel_reconstruct, studio.pixel_tile):
        with pytest.raises(gr.Error) as error:
            handler({"path": str(tmp_path / "bad.png")})
        assert error.value.message.startswith(sentence)
        assert "\n" not in error.value.message


def test_an_empty_picture_has_no_colours_to_take(tmp_path):
    with pytest.raises(gr.Error, match="opaque pixel"):
        studio.pixel_pixelise(as_file(tmp_path, np.zeros((8, 8, 4), np.uint8)))


# --- the page --------------------------------------------------------------------------------------------------------------------


def test_every_argument_of_every_endpoint_is_described_and_taken():
    from gradio.utils import get_function_description

    listed = demo.build_demo().get_api_info()["named_endpoints"]
    for handler in (studio.pixel_pixelise, studio.pixel_reconstruct, studio.pixel_tile):
        description, parameters, returns = get_function_description(handler)
        described = {name for name, text in parameters.items() if text}
        assert set(parameters) - described <= {"request"} and description and returns
        names = [name for name in handler.__annotations__ if name not in ("return", "request")]
        parameters = listed[f"/{handler.__name__}"]["parameters"]
        assert [p["parameter_name"] for p in parameters] == names
        for p in parameters:  # what a caller leaves out is what the page's field shows: it must be the handler's own default
            expected = inspect.signature(handler).parameters[p["parameter_name"]].default
            assert p["parameter_name"] in ("picture", "model") or p["parameter_default"] == expected, p


def test_templates_have_all_their_words():
    for template in (studio.PAIR, studio.REPORT, studio.TILING):
        filled = studio.filled(template)
        assert not re.search(r"\[[a-z_]+\]", filled)
        assert "{{" not in filled  # Gradio would read it as its own
