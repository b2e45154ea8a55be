"""core.images: conversions are exact, scaling is nearest-neighbour, reading is bounded."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from lunaris.core.images import enlargement, fit_square, from_model, grid, ignored_frames, png_bytes, read_image, to_model, upscale


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


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "LA"])
def test_other_picture_modes_are_read_as_rgba(mode):
    gray = Image.fromarray(np.full((4, 4), 255, np.uint8)).convert(mode)
    buffer = io.BytesIO()
    gray.save(buffer, "PNG")
    assert (read_image(buffer.getvalue()) == 255).all()


def raw_png(data, depth, kind, *chunks, size=None):
    """A PNG from its packed bytes, for what Pillow cannot write. kind: 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA.

    `size` (width, height) is what the header promises; without it, the data is one row.
    """

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    width, height = size or (8 * len(data) // depth // {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind], 1)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"\0" + data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def test_sixteen_bit_grey_is_scaled_to_eight():
    """Pillow's convert clips such a picture at 255: everything brighter than nearly black came back white."""
    values = (0, 128, 129, 256, 32768, 65535)
    row = read_image(raw_png(struct.pack(">6H", *values), 16, 0))[0]
    assert row[:, 0].tolist() == [round(v * 255 / 65535) for v in values] and (row[:, 3] == 255).all()
    assert (row[:, :1] == row[:, :3]).all()


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bit_colour_and_alpha_keep_their_high_byte(kind, channels):
    pixel = read_image(raw_png(struct.pack(f">{channels}H", *range(0x1234, 0xFFFF, 0x2222)[:channels]), 16, kind))[0, 0]
    high = [0x12, 0x34, 0x56, 0x78][:channels]
    assert pixel.tolist() == {2: [*high, 255], 4: [high[0]] * 3 + high[-1:], 6: high}[kind]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (raw_png(b"\x40", 1, 0, (b"tRNS", b"\0\1")), [(0, 255), (255, 0), (0, 255)]),
        (raw_png(b"\x6c", 2, 0, (b"tRNS", b"\0\2")), [(85, 255), (170, 0), (255, 255)]),
        (raw_png(b"\x59", 4, 0, (b"tRNS", b"\0\x09")), [(85, 255), (153, 0)]),
        (raw_png(b"\x05\x09", 8, 0, (b"tRNS", b"\0\x05")), [(5, 0), (9, 255)]),
        (raw_png(b"\x03\xe8\x9c\x40", 16, 0, (b"tRNS", b"\x03\xe8")), [(4, 0), (156, 255)]),
        (raw_png(b"\0\1", 8, 3, (b"PLTE", b"\1\1\1\4\4\4"), (b"tRNS", b"\0\x4d")), [(1, 0), (4, 77)]),
    ],
    ids=["1 bit", "2 bits", "4 bits", "8 bits", "16 bits", "palette"],
)
def test_a_transparent_grey_or_palette_entry_is_transparent_at_every_depth(data, expected):
    """Pillow compares pixels of 2 and 4 bits, which it has scaled to 8, with the unscaled key: such sprites lost their transparency."""
    assert [(int(r), int(a)) for r, _, _, a in read_image(data)[0]][: len(expected)] == expected


def test_a_cmyk_jpeg_comes_out_in_its_own_colours():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 60)).convert("CMYK").save(buffer, "JPEG", quality=95)
    assert np.abs(read_image(buffer.getvalue())[4, 4].astype(int) - (200, 30, 60, 255)).max() <= 3


def test_a_photo_is_turned_the_way_the_camera_was_held():
    photo = Image.new("RGB", (16, 8), "black")
    photo.paste("white", (0, 0, 8, 8))  # white on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise: left goes up
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", exif=exif, quality=95)
    upright = read_image(buffer.getvalue())
    assert upright.shape == (16, 8, 4) and upright[2, 4, 0] > 250 and upright[13, 4, 0] < 5


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
def test_an_animation_gives_its_first_frame_and_counts_the_rest(format):
    frames = [np.full((8, 8, 4), (value, 0, 0, 255), np.uint8) for value in (250, 120, 10)]
    data = png(*frames, format=format, **{"WEBP": {"lossless": True}}.get(format, {}))
    assert np.array_equal(read_image(data), frames[0])
    assert ignored_frames(data) == 2 and ignored_frames(png(frames[0])) == 0


GIF_AND_TEXT = png(np.zeros((2, 2, 4), np.uint8), format="GIF")[:20] + b"and then some text"
BAD_FILES = {
    "text": (b"not a picture", "is not a readable picture"),
    "empty": (b"", "is not a readable picture"),
    "truncated": (png(np.random.default_rng(0).integers(0, 255, (64, 64, 4), np.uint8))[:600], "is not a readable picture"),
    "text after a picture's first bytes": (GIF_AND_TEXT, "is not a readable picture"),
    "another kind of picture": (png(np.zeros((2, 2, 4), np.uint8), format="TIFF"), "is not a readable picture"),
    "100 megapixels": (raw_png(bytes(100), 8, 6, size=(10_000, 10_000)), "must have at most 16,777,216 pixels, got 10000x10000"),
    "3.6 gigapixels": (raw_png(b"", 8, 6, size=(60_000, 60_000)), "must have at most 16,777,216 pixels, got more than 178,956,970; make"),
    "text that unpacks to 64 MB": (
        raw_png(bytes(4), 8, 6, (b"zTXt", b"k\0\0" + zlib.compress(bytes(2**26), 9))),
        r"is not a readable picture \(ValueError\); use a PNG, GIF, WebP or JPEG file",
    ),
    "21 MB": (bytes(21 * 2**20), "must be at most 20 MB, got 21 MB"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_files_are_refused_in_one_sentence(kind):
    data, message = BAD_FILES[kind]
    with pytest.raises(ValueError, match=message) as error:
        read_image(data)
    assert "\n" not in str(error.value) and len(str(error.value)) < 200


def test_a_zip_bomb_is_refused_before_a_pixel_is_decoded(monkeypatch):
    data = raw_png(bytes(5000 * 5000), 8, 0, size=(5000, 5000))
    assert len(data) < 30_000  # and 100 MB as RGBA
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: pytest.fail("it was decoded"))
    with pytest.raises(ValueError, match="the picture must have at most 16,777,216 pixels, got 5000x5000; make it smaller"):
        read_image(data)


def test_a_text_file_named_png_is_refused_by_name(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("remember the milk")
    with pytest.raises(ValueError, match="^notes.png is not a readable picture .*; use a PNG, GIF, WebP or JPEG file$"):
        read_image(path)


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP", "JPEG"])
def test_a_file_with_any_byte_damaged_is_read_or_refused_but_never_breaks(format):
    data = png(*random_sprites(n=1 if format == "JPEG" else 2, side=12), mode="RGB", format=format)
    rng = np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(data)
        for at in rng.integers(0, len(data), 3):
            damaged[at] = rng.integers(256)
        try:
            assert read_image(bytes(damaged)).dtype == np.uint8
        except ValueError as error:
            assert "; " in str(error)


def test_an_enlargement_is_found_and_only_where_there_is_one():
    sprite = random_sprites(n=1, side=8)[0]
    assert [enlargement(upscale(sprite, k)) for k in (1, 2, 7)] == [1, 2, 7]
    stretched = upscale(sprite, 6)
    stretched[13, 13] ^= 1
    assert enlargement(stretched) == 1
    hidden = upscale(sprite, 6)
    hidden[hidden[..., 3] == 0, :3] = random_sprites(n=1, side=48, alpha=(255,))[0][hidden[..., 3] == 0, :3]
    assert enlargement(hidden) == 6  # colours under full transparency do not count


def test_a_drawing_twice_as_large_is_averaged_down_not_thinned_out():
    """A sprite of exactly 2, 3... times the side lost every second row and column, and with them its one-pixel outlines."""
    drawing = np.full((32, 32, 4), 255, np.uint8)
    drawing[1::2] = (0, 0, 0, 255)
    assert (fit_square(drawing, 16)[..., 0] == 128).all()


def test_fit_square_centres_small_keeps_enlarged_pixel_art_and_shrinks_large():
    sprite = random_sprites(n=1, side=8)[0]
    assert np.array_equal(fit_square(sprite, 16)[4:12, 4:12], sprite) and fit_square(sprite, 16)[:4].max() == 0
    assert np.array_equal(fit_square(upscale(sprite, 4), 8), sprite)
    assert fit_square(np.full((30, 90, 4), 255, np.uint8), 16).shape == (16, 16, 4)
