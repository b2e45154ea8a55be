"""pixel.palette: sprites stay in their colours exactly, whatever the dither and the batch; palettes that are none are refused."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lunaris.core.config import ConfigError
from lunaris.pixel import palette
from lunaris.pixel.palette import DITHERS, NAMED, apply, extract, foreign_pixels, parse, reduce


def noise(n=3, side=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 4), np.uint8)


def soft(n=3, side=16, seed=0):
    """Smooth opaque pictures, which dithering is for: three ramps across each other."""
    angle = np.random.default_rng(seed).uniform(0, 6, (n, 1, 1, 3))
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j][:, None, ..., None]
    return np.insert((127.5 + 90 * (x * np.cos(angle) + y * np.sin(angle))).round().astype(np.uint8), 3, 255, 3)


def colours_of(image):
    return {tuple(map(int, pixel)) for pixel in image.reshape(-1, 4)}


def oklab(rgb):
    """Ottosson's formulas on plain floats."""
    r, g, b = ((v / 255 / 12.92) if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in map(int, rgb[:3]))
    l = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    m = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    s = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
        1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
        0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
    )


def distance(one, other):
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


# --- names and lists --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [("gameboy", 4), ("pico8", 16), ("nes", 54), ("c64", 16)])
def test_a_named_palette_has_the_published_number_of_different_colours(name, count):
    assert len(parse(name)) == len(set(NAMED[name])) == count


@pytest.mark.parametrize("text", ["PICO-8", " pico 8 ", "Pico8"])
def test_a_name_is_found_however_it_is_written(text):
    assert np.array_equal(parse(text), parse("pico8"))


@pytest.mark.parametrize("text", ["#0f380f, #9bbc0f,#f00", "0F380F 9BBC0F #f00", "#0f380f;#9bbc0f\n#ff0000 #F00"])
def test_a_hex_list_is_read_in_any_separator_and_repeats_count_once(text):
    assert parse(text).tolist() == [[15, 56, 15], [155, 188, 15], [255, 0, 0]] and parse(text).dtype == np.uint8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#ff0000", "palette must have from 2 to 256 different colours, got 1; try"),
        ("#ff0000 #f00", "got 1; try"),
        ("", "got 0; try"),
        ("warm autumn colours", "palette must be one of gameboy, pico8, nes, c64 or a list of hex colours, got 'warm'; try"),
        ("#ff0000 and #00ff00", "got 'and'"),
        ("#ff000 #00ff00", "got '#ff000'"),
        ("#ff0000ff #00ff00ff", "got '#ff0000ff'"),
        (" ".join(f"{i:06x}" for i in range(257)), "from 2 to 256 different colours, got 257"),
        ("x" * 100_000, f"got '{'x' * 40}'; try"),
    ],
)
def test_a_palette_of_one_colour_or_of_text_is_refused_in_one_sentence(text, message):
    with pytest.raises(ConfigError, match=message) as error:
        parse(text)
    assert "\n" not in str(error.value) and len(str(error.value)) < 200


def test_a_palette_is_checked_without_loading_torch():
    code = "import sys; from lunaris.pixel import palette; palette.parse('nes'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# --- apply ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dither", DITHERS)
@pytest.mark.parametrize("name", NAMED)
def test_no_pixel_leaves_the_palette(name, dither):
    images, colours = noise(), parse(name)
    result = apply(images, colours, dither=dither)
    assert foreign_pixels(images, colours) > 100 and foreign_pixels(result, colours) == 0
    assert np.array_equal(result[..., 3], np.where(images[..., 3] >= 128, 255, 0)) and not result[result[..., 3] == 0].any()


@pytest.mark.parametrize("dither", DITHERS)
def test_a_sprite_already_in_the_palette_comes_back_bit_for_bit(dither):
    colours = parse("nes")
    images = apply(noise(), colours)
    assert np.array_equal(apply(images, colours, dither=dither), images)


@pytest.mark.parametrize("dither", DITHERS)
def test_a_sprite_alone_gets_what_it_gets_in_a_batch(dither):
    images, colours = soft(n=5), parse("pico8")
    alone = np.concatenate([apply(image[None], colours, dither=dither) for image in images])
    assert np.array_equal(apply(images, colours, dither=dither), alone)


def test_every_pixel_takes_the_colour_that_a_plain_loop_finds_nearest_in_oklab():
    images, colours = noise(n=1), parse("c64")
    result = apply(images, colours)
    for pixel, got in zip(images.reshape(-1, 4), result.reshape(-1, 4), strict=True):
        if pixel[3] >= 128:
            nearest = min(colours.tolist(), key=lambda colour: distance(oklab(pixel), oklab(colour)))
            assert distance(oklab(pixel), oklab(got)) == pytest.approx(distance(oklab(pixel), oklab(nearest)), abs=1e-4)


def test_the_first_of_two_equal_colours_wins_and_no_two_bytes_colours_look_equal():
    dark = np.array([[0, 0, b] for b in range(256)], np.uint8)  # where 8-bit colours lie closest
    images = np.insert(dark, 3, 255, 1).reshape(1, 16, 16, 4)
    assert np.array_equal(apply(images, dark), images)


def test_floyd_steinberg_equals_a_plain_loop_over_one_sprite():
    image, colours = soft(n=1)[0], parse("gameboy")
    image[4:9, 5:7, 3] = 0
    labs = [oklab(colour) for colour in colours]
    low, high = np.min(labs, 0), np.max(labs, 0)
    error = np.zeros((18, 18, 3))
    result = apply(image[None], colours, dither="floyd-steinberg")[0]
    for y, x in np.ndindex(16, 16):
        if image[y, x, 3]:
            wanted = np.clip(oklab(image[y, x]) + error[y, x], low, high)
            best = min(range(4), key=lambda i: distance(wanted, labs[i]))
            assert result[y, x, :3].tolist() == colours[best].tolist(), (y, x)
            rest = wanted - labs[best]
            for dy, dx, share in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
                if x + dx >= 0:
                    error[y + dy, x + dx] += rest * share / 16
        assert result[y, x, 3] == image[y, x, 3]


@pytest.mark.parametrize("dither", ["ordered", "floyd-steinberg"])
def test_dithering_keeps_the_average_colour_where_the_nearest_colour_loses_it(dither):
    grey = np.full((1, 16, 16, 4), (99, 99, 99, 255), np.uint8)  # OKLab lightness 0.5 lies halfway between black and white
    black_white = parse("#000 #fff")
    share = (apply(grey, black_white, dither=dither)[..., 0] == 255).mean()
    assert share == pytest.approx(oklab((99, 99, 99))[0], abs=0.05)
    assert (apply(grey, black_white)[..., 0] == 255).mean() in (0, 1)


def test_ordered_dithering_repeats_every_four_pixels():
    flat = np.full((1, 16, 16, 4), (120, 80, 160, 255), np.uint8)
    result = apply(flat, parse("pico8"), dither="ordered")[0]
    assert len(colours_of(result)) > 1
    assert np.array_equal(result[:4, :4], result[4:8, 8:12])


@pytest.mark.parametrize("dither", DITHERS)
def test_a_colour_that_the_palette_cannot_show_leaves_no_trail(dither):
    """Unclipped, the error of pure red on Game Boy greens grew from pixel to pixel and striped the plain area beside it."""
    image = np.full((1, 16, 16, 4), (255, 0, 0, 255), np.uint8)
    image[:, :, 8:] = (15, 56, 15, 255)
    assert colours_of(apply(image, parse("gameboy"), dither=dither)[0, :, 10:]) == {(15, 56, 15, 255)}


def test_an_unknown_dither_is_refused():
    with pytest.raises(ValueError, match="dither must be one of none, ordered, floyd-steinberg, got 'bayer'; try 'none'"):
        apply(noise(), parse("nes"), dither="bayer")


# --- fewer colours ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 7, 64])
def test_a_reduced_sprite_has_at_most_n_of_its_own_colours(n):
    images = noise()
    for before, after in zip(images, reduce(images, n), strict=True):
        opaque = before[..., 3] >= 128
        own = colours_of(np.insert(before[opaque][:, :3], 3, 255, 1)[None])
        left = colours_of(after[opaque][None])
        assert left <= own and len(left) == min(n, len(own)) and not after[~opaque].any()


def test_a_sprite_with_few_colours_is_not_touched_and_the_others_do_not_matter():
    images = apply(noise(), parse("c64"))
    assert np.array_equal(reduce(images, 16), images)
    assert np.array_equal(reduce(images, 5)[1:2], reduce(images[1:2], 5))


def test_reducing_loses_no_more_than_pillows_median_cut():
    images = soft(n=4)
    ours = pillows = 0
    for image, after in zip(images, reduce(images, 8), strict=True):
        theirs = np.asarray(Image.fromarray(image[..., :3]).quantize(8, Image.Quantize.MEDIANCUT).convert("RGB"))
        for y, x in np.ndindex(16, 16):
            ours += distance(oklab(image[y, x]), oklab(after[y, x]))
            pillows += distance(oklab(image[y, x]), oklab(theirs[y, x]))
    assert ours < pillows


def test_an_extracted_palette_is_the_batchs_own_colours_from_dark_to_light():
    drawn = np.random.default_rng(0).permutation(np.tile(parse("pico8"), (12, 1)))
    images = np.insert(drawn, 3, 255, 1).reshape(3, 8, 8, 4)
    colours = extract(images, 16)
    assert sorted(colours.tolist()) == sorted(parse("pico8").tolist()) and foreign_pixels(images, colours) == 0
    lightness = [oklab(colour)[0] for colour in extract(noise(), 12)]
    assert len(lightness) == 12 and lightness == sorted(lightness)


def test_invisible_colours_do_not_enter_a_palette():
    images = np.full((1, 4, 4, 4), (10, 20, 30, 255), np.uint8)
    images[0, 0] = (200, 0, 0, 0)
    assert extract(images, 4).tolist() == [[10, 20, 30]]
    images[..., 3] = 0
    with pytest.raises(ValueError, match="must have an opaque pixel to take colours from, got none"):
        extract(images, 4)
    assert not reduce(images, 4).any()


@pytest.mark.parametrize("n", [0, 1, 257])
def test_a_number_of_colours_out_of_range_is_refused(n):
    for function in (reduce, extract):
        with pytest.raises(ValueError, match=f"colours must be from 2 to 256, got {n}; try 16"):
            function(noise(), n)


def test_foreign_pixels_are_counted_one_by_one():
    images = np.zeros((1, 4, 4, 4), np.uint8)
    images[0, 0, 0] = (0, 0, 0, 255)  # in the palette
    images[0, 0, 1] = (0, 0, 0, 254)  # partly transparent
    images[0, 0, 2] = (1, 0, 0, 255)  # another colour
    assert foreign_pixels(images, parse("#000 #fff")) == 2


def test_oklab_separates_colours_as_published():
    """Ottosson's own example values: white is lightness 1 without colour; sRGB red, green and blue lie where his page puts them."""
    found = palette.oklab(np.array([[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8))
    published = [[1, 0, 0], [0.62796, 0.22486, 0.12585], [0.86644, -0.23389, 0.17950], [0.45201, -0.03246, -0.31153]]
    assert np.abs(found - published).max() < 5e-5
