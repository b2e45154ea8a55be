"""pixel.export: what other programs read back is the sprites, pixel by pixel; equal input gives equal bytes."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageSequence

from lunaris.core import provenance
from lunaris.core.images import png_bytes, read_image, upscale
from lunaris.pixel import PixelRun, export, palette
from lunaris.pixel.export import Sprite, bundle, gif, run_files, sheet
from lunaris.pixel.run import slug


def sprites(n=5, side=8, seed=0, colours=6):
    """Sprites with holes, opaque black among their colours."""
    rng = np.random.default_rng(seed)
    table = np.concatenate([rng.integers(0, 256, (colours, 4)), [[0, 0, 0, 255], [0, 0, 0, 0]]]).astype(np.uint8)
    table[:colours, 3] = 255
    return table[rng.integers(0, len(table), (n, side, side))]


# --- sheets -----------------------------------------------------------------------------------------------------------------------


def cut(png, atlas):
    """The sprites of a sheet by name, as a game engine's loader finds them: from the files alone."""
    picture, data = Image.open(io.BytesIO(png)), json.loads(atlas)
    assert picture.size == (data["meta"]["size"]["w"], data["meta"]["size"]["h"])
    found = {}
    for name, entry in data["frames"].items():
        x, y, w, h = (entry["frame"][key] for key in "xywh")
        assert not entry["rotated"] and not entry["trimmed"] and entry["sourceSize"] == {"w": w, "h": h}
        assert entry["spriteSourceSize"] == {"x": 0, "y": 0, "w": w, "h": h}
        found[name] = np.asarray(picture.crop((x, y, x + w, y + h)))
    return found


@pytest.mark.parametrize(("columns", "scale", "padding"), [(0, 1, 0), (3, 1, 2), (5, 4, 1), (1, 2, 0)])
def test_a_plain_parser_cuts_the_sheet_back_into_the_sprites(columns, scale, padding):
    images, names = sprites(), ["potion", "key", "tree", "cat", "maçã"]
    picture, atlas = sheet(images, names, columns=columns, scale=scale, padding=padding)
    found = cut(png_bytes(picture), json.dumps(atlas))
    assert list(found) == names
    assert all(np.array_equal(found[name], upscale(image, scale)) for name, image in zip(names, images, strict=True))


def test_what_lies_between_sprites_is_transparent():
    images = np.full((4, 8, 8, 4), 255, np.uint8)
    picture, atlas = sheet(images, list("abcd"), padding=3)
    for entry in atlas["frames"].values():
        frame = entry["frame"]
        picture[frame["y"] : frame["y"] + 8, frame["x"] : frame["x"] + 8] = 0
    assert picture.shape == (19, 19, 4) and not picture.any()


def test_equal_names_are_told_apart_and_no_sprite_is_lost():
    images = sprites(n=5)
    picture, atlas = sheet(images, ["potion", "potion", "potion-2", "potion", "potion-2"], file="potions.png")
    found = cut(png_bytes(picture), json.dumps(atlas))
    assert list(found) == ["potion", "potion-2", "potion-2-2", "potion-3", "potion-2-3"] and atlas["meta"]["image"] == "potions.png"
    assert all(np.array_equal(one, image) for one, image in zip(found.values(), images, strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ["a"]}, "one name per sprite and at least one sprite, got 5 sprites and 1 names"),
        ({"columns": 6}, "columns must be from 0 to 5, padding from 0 to 64 and scale from 1 to 64, got 6, 0, 1; try 0, 0, 1"),
        ({"padding": -1}, "got 0, -1, 1; try"),
        ({"scale": 65}, "got 0, 0, 65; try"),
        (
            {"images": np.zeros((64, 64, 64, 4), np.uint8), "names": ["a"] * 64, "scale": 64},
            "at most 16,777,216 pixels, got 1,073,741,824; use a",
        ),
    ],
)
def test_a_sheet_that_cannot_be_is_refused_in_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        sheet(**{"images": sprites(), "names": list("abcde"), **options})


# --- animations -------------------------------------------------------------------------------------------------------------------


def play(data):
    """The GIF's frames as a viewer shows them, one for every 100 ms (Pillow joins equal ones), hidden colours black."""
    shown = []
    for frame in ImageSequence.Iterator(Image.open(io.BytesIO(data))):
        image = np.asarray(frame.convert("RGBA"))
        shown += [np.where(image[..., 3:] > 0, image, 0)] * (frame.info["duration"] // 100)
    return np.stack(shown)


@pytest.mark.parametrize("seed", range(20))
def test_an_animation_shows_every_frame_with_its_own_colours_and_holes(seed):
    """Pillow takes frames and palette entries for equal that differ in transparency alone: opaque black turned transparent."""
    frames = sprites(n=6, side=1 + seed % 5, seed=seed, colours=seed % 3)
    frames[seed % 6] = frames[(seed + 1) % 6]
    assert np.array_equal(play(gif(frames, scale=1, ms=100, bounce=False)), frames)


def test_an_animation_keeps_256_colours_apart_over_its_frames():
    frames = np.random.default_rng(0).integers(0, 256, (8, 15, 15, 4), np.uint8)  # 225 colours each, 1,800 in all
    frames[..., 3] = 255
    assert np.array_equal(play(gif(frames, scale=1, ms=100, bounce=False)), frames)


def test_a_frame_with_more_colours_than_a_gif_can_hold_keeps_255_of_them():
    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 4), np.uint8)
    shown = play(gif(frames, scale=1, ms=100, bounce=False))
    assert np.array_equal(shown, palette.reduce(frames, 255))
    assert all(240 <= len(np.unique(frame[frame[..., 3] > 0], axis=0)) <= 255 for frame in shown)


def test_bouncing_plays_back_without_showing_an_end_twice_and_scale_enlarges():
    frames = sprites(n=4)
    shown = play(gif(frames, scale=3, ms=100))
    assert np.array_equal(shown, np.stack([upscale(frames[i], 3) for i in (0, 1, 2, 3, 2, 1)]))
    assert np.array_equal(play(gif(frames[:1], scale=1, ms=100)), frames[:1])


def blocks(data):
    """(delay, disposal, has transparency) of every frame, read from the bytes by the GIF89a specification."""
    at, found = 13 + (3 * 2 ** (data[10] % 8 + 1) if data[10] & 128 else 0), []
    while data[at] != 0x3B:
        if data[at : at + 2] == b"\x21\xf9":
            found.append((int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 3] >> 2 & 7, data[at + 3] & 1))
        at += 2 if data[at] == 0x21 else 11 + (3 * 2 ** (data[at + 9] % 8 + 1) if data[at + 9] & 128 else 0)
        while data[at]:
            at += data[at] + 1
        at += 1
    return found


def test_every_frame_is_cleared_before_the_next_and_lasts_as_asked():
    data = gif(sprites(n=3), ms=250, bounce=False)
    assert blocks(data) == [(25, 2, 1)] * 3 and b"NETSCAPE2.0\x03\x01\x00\x00" in data  # loops for ever


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ms": 10}, "ms must be from 20 to 10000, got 10; try 120"),
        ({"frames": np.zeros((0, 8, 8, 4), np.uint8)}, "a GIF needs at least one frame, got none"),
        ({"scale": 65}, "scale must be from 1 to 64, got 65; try 8"),
        ({"frames": np.zeros((64, 64, 64, 4), np.uint8), "scale": 64}, "the GIF must have at most 134,217,728 pixels, got 2,113,929,216"),
    ],
)
def test_an_animation_that_cannot_be_is_refused_in_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        gif(**{"frames": sprites(), **options})


# --- a run ------------------------------------------------------------------------------------------------------------------------


def test_private_files_of_a_run_tell_nothing_and_bear_the_mark():
    """Names are made of the prompt: a ZIP that was asked to be private would have given it away."""
    images = sprites(n=3)
    files = run_files([Sprite(image, None) for image in images], scale=2)
    assert list(files) == [
        *(f"x{times}/sprite-{i}.png" for times in (1, 2) for i in (1, 2, 3)),
        *("sprites-sheet.png", "sprites-sheet.json", "sprites.gif"),
    ]
    for name, data in files.items():
        if name.endswith(".png"):
            assert b"AI-generated" in data
            with pytest.raises(ValueError, match="holds no Lunaris record"):
                provenance.read(data)
    assert list(cut(files["sprites-sheet.png"], files["sprites-sheet.json"])) == ["sprite-1.png", "sprite-2.png", "sprite-3.png"]
    assert np.array_equal(read_image(files["x2/sprite-2.png"]), upscale(images[1], 2))


@pytest.mark.parametrize("cells", ["", "2:70", "3:1 1:4000000000"])
def test_every_sprite_of_a_run_has_a_record_of_its_own_and_the_sheet_one_of_all(cells):
    """The seeds in the records are those that `seeds` counts; the sheet's record names the cells in their order."""
    run = PixelRun(prompt="a red potion", n=3, seed=9, cells=cells)
    made = provenance.record("pixel", "generate", run.recorded(), model="pixel-16", weights="0" * 16)
    parts = export.sprites(sprites(n=3), made)
    records = [provenance.read(part.png()) for part in parts]
    assert [record["args"]["seed"] + record["index"] for record in records] == run.seeds()
    assert all("cells" not in record["args"] for record in records)
    whole = provenance.read(run_files(parts, run)[f"{run.stem}-sheet.png"])
    assert PixelRun.from_dict(whole["args"]).seeds() == run.seeds() and whole["index"] is None
    assert whole["args"].get("cells", "") == " ".join(sorted(cells.split()))


# --- files ------------------------------------------------------------------------------------------------------------------------


def test_a_bundle_unpacks_to_its_files_and_is_the_same_file_every_time():
    files = {"sprites/potion.png": png_bytes(sprites(n=1)[0]), "sprites.json": b"{}", "leia-me ção.txt": b""}
    data = bundle(files)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None and {name: archive.read(name) for name in archive.namelist()} == files
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert bundle(dict(files)) == data


@pytest.mark.parametrize("name", ["../evil.png", "/etc/passwd", "a/../../b", "C:\\evil.png", "", ".", "a//b", "c:evil"])
def test_a_bundle_refuses_names_that_could_leave_the_folder(name):
    with pytest.raises(ValueError, match="a name in a ZIP must be a relative path such as sprites/potion.png, got "):
        bundle({name: b""})


def test_equal_sprites_give_equal_animations():
    assert gif(sprites()) == gif(sprites().copy())


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("a red potion", "a-red-potion"),
        ("Poção Vermelha!", "pocao-vermelha"),
        ("", "sprite"),
        ("../../etc", "etc"),
        ("日本", "sprite"),
        ("x" * 99, "x" * 40),
    ],
)
def test_a_prompt_becomes_a_plain_file_name(prompt, name):
    assert slug(prompt) == name
