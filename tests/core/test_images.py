"""core.images: conversions are exact, scaling is nearest-neighbour, reading is bounded."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lunaris.core.images import fit_square, from_model, grid, png_bytes, read_image, to_model, upscale


def random_sprites(n=5, side=8, seed=0, alpha=(0, 255)):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, side, side, 4), np.uint8)
    images[..., 3] = rng.choice(alpha, (n, side, side))
    images[images[..., 3] == 0] = 0
    return images


def png(*arrays, mode="RGBA", **options):
    buffer = io.BytesIO()
    frames = [Image.fromarray(array).convert(mode) for array in arrays]
    frames[0].save(buffer, options.pop("format", "PNG"), append_images=frames[1:], save_all=len(frames) > 1, **options)
    return buffer.getvalue()


def test_sprites_with_binary_alpha_come_back_bit_for_bit():
    images = random_sprites()
    assert np.array_equal(from_model(to_model(images)), images)


def test_partial_alpha_comes_back_within_rounding():
    images = random_sprites(alpha=(128, 255))
    assert np.abs(from_model(to_model(images)).astype(int) - images).max() <= 1


def test_premultiplied_and_white_background_equal_a_plain_loop():
    images = random_sprites(n=1, side=3, alpha=(0, 100, 255))
    rgba, rgb = to_model(images), to_model(images, 3)
    for y in range(3):
        for x in range(3):
            r, g, b, a = images[0, y, x] / 255
            assert rgba[0, :, y, x].tolist() == pytest.approx([r * a, g * a, b * a, a], abs=1e-6)
            assert rgb[0, :, y, x].tolist() == pytest.approx([c * a + 1 - a for c in (r, g, b)], abs=1e-6)


def test_faint_alpha_becomes_transparent_black():
    pictures = to_model(random_sprites(alpha=(20,)))
    assert not from_model(pictures).any()


def test_upscale_repeats_pixels_as_pillow_does():
    image = random_sprites(n=1)[0]
    nearest = np.asarray(Image.fromarray(image).resize((40, 40), Image.Resampling.NEAREST))
    assert np.array_equal(upscale(image, 5), nearest)
    with pytest.raises(ValueError, match="factor must be from 1 to 64, got 65"):
        upscale(image, 65)


def test_grid_puts_every_picture_where_row_and_column_say():
    images = random_sprites(n=5)
    sheet = grid(images, columns=3, gap=1)
    assert sheet.shape == (17, 26, 4)
    for i, image in enumerate(images):
        y, x = i // 3 * 9, i % 3 * 9
        assert np.array_equal(sheet[y : y + 8, x : x + 8], image)
    assert grid(images, scale=2).shape == (32, 48, 4)


def test_png_reads_back_and_is_the_same_file_every_time():
    image = random_sprites(n=1)[0]
    assert np.array_equal(read_image(png_bytes(image)), image) and png_bytes(image) == png_bytes(image.copy())


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "CMYK", "I;16"])
def test_other_picture_modes_are_read_as_rgba(mode):
    gray = np.full((4, 4), 200, np.uint16 if mode == "I;16" else np.uint8)
    buffer = io.BytesIO()
    image = Image.fromarray(gray)
    (image if mode == "I;16" else image.convert(mode)).save(buffer, "TIFF" if mode == "CMYK" else "PNG")
    assert read_image(buffer.getvalue()).shape == (4, 4, 4)


def test_an_animation_gives_its_first_frame():
    first, second = random_sprites(n=2, alpha=(255,))
    assert read_image(png(first, second, format="GIF")).shape == (8, 8, 4)


def bomb(width, height):
    """A PNG of a few hundred bytes whose header promises width x height pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


BAD_FILES = {
    "text": (b"not a picture", "is not a readable picture"),
    "empty": (b"", "is not a readable picture"),
    "truncated": (png(np.random.default_rng(0).integers(0, 255, (64, 64, 4), np.uint8))[:600], "is not a readable picture"),
    "100 megapixels": (bomb(10_000, 10_000), "must have at most 16,777,216 pixels, got 10000x10000"),
    "3.6 gigapixels": (bomb(60_000, 60_000), "pixels, got 60000x60000|is not a readable picture"),
    "21 MB": (bytes(21 * 2**20), "must be at most 20 MB, got 21 MB"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_files_are_refused_in_one_sentence(kind):
    data, message = BAD_FILES[kind]
    with pytest.raises(ValueError, match=message):
        read_image(data)


def test_fit_square_centres_small_keeps_enlarged_pixel_art_and_shrinks_large():
    sprite = random_sprites(n=1, side=8)[0]
    assert np.array_equal(fit_square(sprite, 16)[4:12, 4:12], sprite) and fit_square(sprite, 16)[:4].max() == 0
    assert np.array_equal(fit_square(upscale(sprite, 4), 8), sprite)
    assert fit_square(np.full((30, 90, 4), 255, np.uint8), 16).shape == (16, 16, 4)
