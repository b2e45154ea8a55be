"""pixel.pixelise: enlarged pixel art comes back exactly, photos are averaged and quantised, nothing leaves its palette."""

import numpy as np
import pytest

from lunaris.core.images import upscale
from lunaris.pixel import palette
from lunaris.pixel.pixelise import native, pixelise


def art(side=16, seed=0, colours=6):
    """Pixel art with holes, in a few colours of its own."""
    rng = np.random.default_rng(seed)
    table = np.concatenate([rng.integers(0, 256, (colours, 4)), [[0, 0, 0, 0]]]).astype(np.uint8)
    table[:colours, 3] = 255
    return table[rng.integers(0, len(table), (side, side))]


def photo(h=90, w=120):
    """A smooth picture with far more colours than a palette has."""
    y, x = np.mgrid[0 : 1 : h * 1j, 0 : 1 : w * 1j]
    return np.stack([255 * x, 255 * y, 255 * (1 - x), np.full_like(x, 255)], -1).round().astype(np.uint8)


def colours_of(image):
    return {tuple(map(int, pixel)) for pixel in image.reshape(-1, 4) if pixel[3]}


@pytest.mark.parametrize("factor", [1, 2, 7, 20])
def test_enlarged_pixel_art_comes_back_pixel_by_pixel(factor):
    sprite = art()
    assert np.array_equal(pixelise(upscale(sprite, factor), side=16), sprite)


@pytest.mark.parametrize(("top", "left"), [(0, 3), (5, 0), (4, 6), (6, 1)])
def test_a_screenshot_that_cuts_the_outer_pixels_gives_the_same_art(top, left):
    sprite = art()
    cut = upscale(sprite, 7)[top : -1 if top else None, left : -2 if left else None]
    assert np.array_equal(native(cut), sprite)


def test_a_picture_that_is_no_enlargement_stays_as_it_is():
    assert np.array_equal(native(photo()), photo())
    framed = np.zeros((50, 53, 4), np.uint8)
    framed[9:40, 9:40] = 255  # too few edges to speak of a grid
    assert np.array_equal(native(framed), framed)


def test_smaller_art_is_enlarged_by_a_whole_factor_and_centred():
    sprite = art(side=5)
    result = pixelise(sprite, side=16)
    assert np.array_equal(result[:15, :15], upscale(sprite, 3)) and not result[15].any() and not result[:, 15].any()
    plain = np.full((64, 64, 4), 255, np.uint8)
    assert np.array_equal(pixelise(plain, side=16), plain[:16, :16])


@pytest.mark.parametrize("name", ["gameboy", "#000000 #ffffff #ff0000"])
@pytest.mark.parametrize("dither", palette.DITHERS)
def test_a_photo_keeps_to_the_palette(name, dither):
    result = pixelise(photo(), side=32, palette=name, dither=dither)
    assert palette.foreign_pixels(result[None], palette.parse(name)) == 0 and len(colours_of(result)) > 1


@pytest.mark.parametrize("dither", palette.DITHERS)
def test_a_photo_without_a_palette_gets_at_most_n_colours(dither):
    assert 2 <= len(colours_of(pixelise(photo(), side=32, colours=6, dither=dither))) <= 6


def test_a_photo_is_averaged_over_areas_not_sampled():
    stripes = np.zeros((64, 64, 4), np.uint8)
    stripes[..., 3] = 255
    stripes[:, ::2] = 255
    stripes[0, 0] = (254, 255, 255, 255)  # so that it is no enlargement of anything
    for side in (8, 16):
        assert colours_of(pixelise(stripes, side=side, colours=4)) == {(128, 128, 128, 255)}


def test_invisible_colours_do_not_bleed_into_the_average():
    picture = np.zeros((48, 48, 4), np.uint8)
    picture[:, 1::2] = (0, 0, 255, 255)
    picture[:, ::2] = (255, 0, 0, 0)  # red that nobody sees
    picture[:, ::6] = (0, 0, 255, 255)  # two thirds of every area are visible
    assert colours_of(pixelise(picture, side=8, colours=4)) == {(0, 0, 255, 255)}


def test_contain_shows_everything_and_cover_fills_the_sprite():
    whole, filled = (pixelise(photo(h=60, w=120), side=16, fit=fit) for fit in ("contain", "cover"))
    assert whole[4:12, :, 3].min() == 255 and not whole[:4].any() and not whole[12:].any()
    assert filled[..., 3].min() == 255
    reds = {fit: image[8, :, 0] for fit, image in (("contain", whole), ("cover", filled))}
    assert np.ptp(reds["contain"].astype(int)) > 1.5 * np.ptp(reds["cover"].astype(int))  # cover shows the middle half


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 3}, "side must be from 4 to 256 pixels, got 3; try 32"),
        ({"side": 257}, "got 257; try 32"),
        ({"fit": "stretch"}, "fit must be contain or cover, got 'stretch'; try 'contain'"),
        ({"colours": 1}, "colours must be from 2 to 256, got 1; try 16"),
        ({"palette": "#fff"}, "palette must have from 2 to 256 different colours, got 1"),
        ({"palette": "sunset"}, "or a list of hex colours, got 'sunset'"),
        ({"dither": "noise"}, "dither must be one of none, ordered, floyd-steinberg, got 'noise'; try 'none'"),
        ({"picture": np.zeros((40, 40, 4), np.uint8)}, "must have an opaque pixel to take colours from, got none; choose others"),
    ],
)
def test_a_bad_order_is_refused_in_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        pixelise(**{"picture": photo(), "side": 16, **options})
