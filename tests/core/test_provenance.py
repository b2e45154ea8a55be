"""core.provenance: what a PNG says about itself is read by others, survives, tells nothing private, and may come from a stranger."""

import getpass
import io
import json
import platform
import struct
import tracemalloc
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

import lunaris
from lunaris.core import hub, provenance
from lunaris.core.config import ConfigError
from lunaris.core.images import png_bytes, read_image

FAMILY = lunaris.FAMILIES[0]
WEIGHTS = "0123456789abcdef"


def picture(side=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 4), np.uint8)


def made(**changes):
    table = {"args": {"prompt": "uma poção 日本 🐉", "n": 3}, "model": "pixel-16", "weights": WEIGHTS, "index": 2, **changes}
    return provenance.record(FAMILY, "generate", table.pop("args"), **table)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(data, kind=b"iTXt"):
    """A sound PNG with one chunk more, right after the header."""
    png = png_bytes(picture())
    return png[:33] + chunk(kind, data) + png[33:]


def with_text(text):
    """A sound PNG whose record is this text, whatever it says."""
    return with_chunk(b"lunaris\0\0\0\0\0" + (text if isinstance(text, bytes) else text.encode()))


def with_record(**changes):
    return with_text(json.dumps({**made(), **changes}))


# --- written ----------------------------------------------------------------------------------------------------------------------


def test_a_stamp_changes_no_pixel_and_reads_back():
    record = made()
    stamped = provenance.stamp(png_bytes(picture()), record)
    assert np.array_equal(read_image(stamped), picture())
    assert provenance.read(stamped) == record
    assert record["args"] == {"prompt": "uma poção 日本 🐉", "n": 3} and (record["index"], record["scale"]) == (2, 1)


def test_a_stamped_file_is_a_sound_png_by_a_plain_walk_over_its_chunks():
    stamped = provenance.stamp(png_bytes(picture()), made())
    at, kinds = 8, []
    while at < len(stamped):
        (length,) = struct.unpack(">I", stamped[at : at + 4])
        body, crc = stamped[at + 4 : at + 8 + length], stamped[at + 8 + length : at + 12 + length]
        assert crc == struct.pack(">I", zlib.crc32(body))
        kinds.append(body[:4])
        at += 12 + length
    assert kinds == [b"IHDR", b"iTXt", b"iTXt", b"iTXt", b"IDAT", b"IEND"]


@pytest.mark.parametrize("record", [made(), None])
def test_machines_and_people_find_the_ai_generated_mark(record):
    """The XMP packet is well-formed and has IPTC's property; the private file has the mark too."""
    image = Image.open(io.BytesIO(provenance.stamp(png_bytes(picture()), record)))
    assert image.text["AI-generated"].startswith("yes, made with a trained model by Lunaris")
    xmp = ElementTree.fromstring(image.text["XML:com.adobe.xmp"])
    (description,) = xmp.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    source_type = description.get("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
    assert source_type == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def test_a_private_picture_has_the_mark_and_nothing_else():
    stamped = provenance.stamp(png_bytes(picture()))
    assert set(Image.open(io.BytesIO(stamped)).text) == {"AI-generated", "XML:com.adobe.xmp"}
    with pytest.raises(ValueError, match="holds no Lunaris record: it was made elsewhere, kept private"):
        provenance.read(stamped)


def test_the_record_names_versions_threads_and_device():
    import torch

    here = made(device="cuda:0")["made_with"]
    assert (here["torch"], here["numpy"], here["threads"]) == (torch.__version__, np.__version__, torch.get_num_threads())
    assert here["lunaris"] == lunaris.__version__ and here["python"] == platform.python_version() and here["device"] == "cuda:0"


def test_equal_calls_give_equal_files():
    """No time, no counter: the same order gives the same bytes."""
    assert provenance.stamp(png_bytes(picture()), made()) == provenance.stamp(png_bytes(picture()), made())


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("/srv/ana/secret/my-sprites", "my-sprites"),
        ("~/secret/my-sprites/", "my-sprites"),
        (r"C:\Users\ana\secret\my-sprites", "my-sprites"),
        ("./my-sprites", "my-sprites"),
        ("secret/ana/my-sprites", "my-sprites"),
        (".", "folder"),
        ("/", "folder"),
        ("secret/line\nbreak\x1b", "linebreak"),
        ("retrained:secret", "retrained"),  # whoever has the id may draw with the model; every picture told it
    ],
)
def test_a_local_folder_is_recorded_by_its_name_only(ref, name):
    record = made(model=ref)
    assert (record["model"], record["local"]) == (name, True)
    assert b"secret" not in provenance.stamp(png_bytes(picture()), record)


def test_a_folder_that_looks_like_a_hub_name_is_a_folder(tmp_path, monkeypatch):
    (tmp_path / "ana/sprites").mkdir(parents=True)
    (tmp_path / "pixel-16").mkdir()
    monkeypatch.chdir(tmp_path)
    for ref in ("ana/sprites", "pixel-16", tmp_path / "ana/sprites"):
        assert made(model=ref)["local"], ref
    assert made(model="ana/sprites")["model"] == "sprites"


@pytest.mark.parametrize("ref", ["pixel-16", "ana/sprites", "ana/sprites@v1.0"])
def test_a_public_ref_is_recorded_as_it_is(ref):
    record = made(model=ref)
    assert (record["model"], record["local"]) == (ref, False)


def test_nothing_of_this_computer_or_its_user_is_written(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret_value")
    stamped = provenance.stamp(png_bytes(picture()), made(model=Path(__file__).parent / "checkpoint"))
    here = (str(Path.cwd()), str(Path.home()), f"/{getpass.getuser()}/", platform.node(), platform.release(), "hf_secret_value")
    for private in (text for text in here if len(text) > 3):  # a container may be at home in /
        assert private.encode() not in stamped, private


@pytest.mark.parametrize("png", [b"", b"GIF89a", picture().tobytes(), provenance.stamp(png_bytes(picture()), made())])
def test_only_a_png_without_a_record_is_stamped(png):
    """Two records in one file would leave it to the reader which one is true."""
    with pytest.raises(ValueError, match="only a PNG without a record can be stamped"):
        provenance.stamp(png, made())


def test_a_record_that_could_not_be_read_again_is_not_written():
    for changes, message in (
        ({"args": {"noise": "x" * 300_000}}, "a record must be at most 256 KB, got 293"),
        ({"index": 1024}, "index must be a whole number or null from 0 to 1023, got 1024"),
        ({"scale": 65}, "scale must be a whole number from 1 to 64, got 65"),
        ({"weights": "abc"}, "weights must be 16 hex digits, got 'abc'"),
        ({"zoom": 2}, "unknown key 'zoom'"),
    ):
        with pytest.raises(ConfigError, match=message):
            provenance.stamp(png_bytes(picture()), made(**changes))


# --- read: files from strangers ---------------------------------------------------------------------------------------------------


def bomb(key=b"lunaris"):
    """100 MB of zeros in 100 KB: an iTXt chunk that says it is compressed."""
    return with_chunk(key + b"\0\1\0\0\0" + zlib.compress(bytes(100 * 2**20), 9))


def huge_picture():
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 10_000, 10_000, 8, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def jpeg():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    return buffer.getvalue()


HOSTILE = {
    "empty": (lambda: b"", "is not a readable PNG"),
    "text": (lambda: b"not a picture", "is not a readable PNG"),
    "jpeg": (jpeg, "is not a readable PNG"),
    "unstamped": (lambda: png_bytes(picture()), "holds no Lunaris record"),
    "cut off": (lambda: provenance.stamp(png_bytes(picture(64)), made())[:-400], "is not a readable PNG"),
    "100 megapixels": (huge_picture, "must have at most 16,777,216 pixels, got 10000x10000"),
    "21 MB": (lambda: png_bytes(picture()) + bytes(21 * 2**20), "must be at most 20 MB, got 21 MB"),
    "zip bomb": (bomb, "is not a readable PNG"),
    "zip bomb beside a record": (lambda: bomb(b"Comment"), "is not a readable PNG"),
    "not UTF-8": (lambda: with_text(b'{"family": "\xff\xfe"}'), "holds no Lunaris record"),
    "no JSON": (lambda: with_text("family: pixel"), "is no valid JSON"),
    "deeply nested": (lambda: with_text("[" * 200_000), "is no valid JSON"),
    "deeply nested args": (lambda: with_text('{"args": ' + '{"a":' * 40_000 + "1" + "}" * 40_001), "is no valid JSON|must be"),
    "a number of 5,000 digits": (lambda: with_text('{"index": ' + "1" * 5000 + "}"), "is no valid JSON|must be"),
    "300 KB": (lambda: with_record(args={"prompt": "x" * 300_000}), "at most 256 KB, got 293; the file was tampered with"),
    "a list": (lambda: with_text("[1]"), "record must be a table of keys and values"),
    "no fields": (lambda: with_text("{}"), "args must be a table|made_with must be a table"),
    "no arguments": (lambda: with_record(args=None), "args must be a table of keys and values, got None"),
    "unknown family": (lambda: with_record(family="os"), "names the family 'os'; this Lunaris has"),
    "family of a path": (lambda: with_record(family="../../etc"), "names the family"),
    "model of a path": (
        lambda: with_record(model="/etc"),
        "must be a bundled name or owner/name, got '/etc'; a file may not choose a folder",
    ),
    "model of a path up": (lambda: with_record(model="../secret"), "must be a bundled name or owner/name"),
    "unknown key": (lambda: with_record(run="rm -rf"), "unknown key 'record.run'"),
    "index of -1": (lambda: with_record(index=-1), "index must be a whole number or null from 0 to 1023, got -1"),
    "scale of a million": (lambda: with_record(scale=10**6), "scale must be a whole number from 1 to 64"),
    "scale of 400 digits": (lambda: with_record(scale=10**400), "scale must be a whole number from 1 to 64"),  # was an OverflowError
    "format of 400 digits": (lambda: with_record(format=10**400), r"made by a newer Lunaris \(record format 10{39}, known: 1\)"),
    "weights of a path": (lambda: with_record(weights="/etc/passwd"), "weights must be 16 hex digits"),
    "terminal commands": (lambda: with_record(made_with={"torch": "\x1b[2J"}), r"'made_with.torch' must be 1 to 200 printable"),
    "terminal commands in a key": (lambda: with_record(made_with={"\x1b[2J": "1"}), r"'made_with.\\x1b\[2J' must be"),
    "terminal commands in the model": (lambda: with_record(model="\x1b[2J"), r"'model' must be 1 to 200 printable characters, got '\\x1b"),
    "from the future": (lambda: with_record(format=2, dimensions=3), r"made by a newer Lunaris \(record format 2, known: 1\); update"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_files_from_strangers_are_refused_in_one_sentence(kind, tmp_path):
    data, message = HOSTILE[kind][0](), HOSTILE[kind][1]
    path = tmp_path / "file.png"
    path.write_bytes(data)
    tracemalloc.start()
    for source in (data, path) if len(data) <= 20 * 2**20 else (data,):
        with pytest.raises(ValueError, match=message) as refusal:
            provenance.read(source)
        assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 400 and str(refusal.value).isprintable()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * 2**20  # a file is read up to 20 MB; a bomb of 100 MB is never unpacked whole


def test_an_animation_is_refused_before_a_frame_of_it_is_decoded(monkeypatch):
    """To find the texts at a file's end Pillow decodes every frame: an animated PNG of 5 MB held the server for minutes."""
    frames, animation, decoded = [Image.new("L", (8, 8), i) for i in range(20)], io.BytesIO(), []
    frames[0].save(animation, "PNG", save_all=True, append_images=frames[1:])
    monkeypatch.setattr(PngImageFile, "load", lambda image: decoded.append(image))
    with pytest.raises(ValueError, match="must be a still one, got an animation of 20 frames; give it as Lunaris wrote it"):
        provenance.read(animation.getvalue())
    assert decoded == []


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(OSError, match=r"cannot read .*none\.png: No such file or directory; give a PNG"):
        provenance.read(tmp_path / "none.png")
    (tmp_path / "large.png").write_bytes(bytes(21 * 2**20))
    with pytest.raises(ValueError, match="must be at most 20 MB; give a file as Lunaris wrote it"):
        provenance.read(tmp_path / "large.png")


def test_no_cut_and_no_flipped_byte_escapes_as_anything_but_a_sentence():
    """Wherever a download stops or a disk errs, the answer is the record or a ValueError."""
    stamped = provenance.stamp(png_bytes(picture()), made())
    rng = np.random.default_rng(0)
    damaged = [stamped[:cut] for cut in range(0, len(stamped), 7)]
    for at in rng.integers(0, len(stamped), 300):
        damaged.append(stamped[:at] + bytes([stamped[at] ^ int(rng.integers(1, 256))]) + stamped[at + 1 :])
    outcomes = []
    for data in damaged:
        try:
            outcomes.append(provenance.read(data) == made())
        except ValueError:
            outcomes.append(False)
    assert not any(outcomes[: len(stamped) // 7 - 2])  # a file that stops early has lost pixels, and says so


def test_a_compressed_record_is_read_too():
    """Other programs compress long texts when they save a PNG again; the record in it is still good."""
    for kind, start in ((b"iTXt", b"lunaris\0\1\0\0\0"), (b"zTXt", b"lunaris\0\0")):
        assert provenance.read(with_chunk(start + zlib.compress(json.dumps(made()).encode()), kind)) == made()


@settings(deadline=None, max_examples=50)  # time is no part of the fact
@given(
    st.sampled_from(list(made())),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    ),
)
def test_whatever_json_a_record_holds_the_answer_is_a_record_or_a_sentence(key, value):
    for table in (value, {**made(), key: value}):
        try:
            provenance.read(with_text(json.dumps(table).encode()))
        except ValueError as error:
            assert len(str(error)) < 500


# --- pictures in a record ---------------------------------------------------------------------------------------------------------


def test_a_packed_picture_comes_back_bit_for_bit():
    for side in (1, 16, 64):
        packed = json.loads(json.dumps(provenance.pack_picture(picture(side))))
        assert np.array_equal(provenance.unpack_picture(packed), picture(side))


def test_two_of_the_largest_pictures_fit_into_a_record():
    args = {name: provenance.pack_picture(picture(64, seed)) for seed, name in enumerate(("image1", "image2"))}
    assert provenance.read(provenance.stamp(png_bytes(picture()), made(args=args)))["args"] == args


def test_pictures_of_strangers_are_refused_in_one_sentence():
    import base64

    good, other = provenance.pack_picture(picture()), provenance.pack_picture(picture(seed=1))
    with pytest.raises(ValueError, match="at most 64 pixels a side, got 65"):
        provenance.pack_picture(picture(65))
    for packed, message in (
        ("x", "must be a table with png and sha256"),
        ({"png": "x"}, "must be a table with png and sha256"),
        ({"png": [1], "sha256": ""}, "must be a table with png and sha256"),
        ({"png": "é", "sha256": ""}, "is not base64"),
        ({"png": "eA==", "sha256": ""}, "is not a readable picture"),
        ({**good, "png": base64.b64encode(huge_picture()).decode()}, "must have at most 4,096 pixels"),
        ({**good, "png": base64.b64encode(png_bytes(picture(65))).decode()}, "must have at most 4,096 pixels, got 65x65"),
        ({**good, "png": other["png"]}, "its SHA-256 differs"),
    ):
        with pytest.raises(ValueError, match=message):
            provenance.unpack_picture(packed)


# --- made again -------------------------------------------------------------------------------------------------------------------


def test_a_record_never_chooses_a_folder(tmp_path, monkeypatch, fresh_hub):
    """A file from a stranger that names /etc, or a folder that happens to lie here, opens none of them."""
    (tmp_path / "ana/sprites").mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "ana/sprites" / name).write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert hub.resolve("ana/sprites") == Path("ana/sprites")  # what a person types may be a folder
    for ref in (str(tmp_path / "ana/sprites"), "./ana/sprites", "ana/sprites", "~"):
        with pytest.raises((FileNotFoundError, hub.HubError)):
            provenance.checkpoint({**made(), "model": ref})
    with pytest.raises(ValueError, match=r"may not contain '\.\.'"):
        provenance.checkpoint({**made(), "model": "../ana/sprites"})
    with pytest.raises(FileNotFoundError, match="made with a folder called 'sprites' on the maker's computer; name it with --model"):
        provenance.checkpoint(made(model="ana/sprites"))
    assert provenance.checkpoint(made(model="ana/sprites"), "ana/sprites") == Path("ana/sprites")
    assert provenance.checkpoint(made()) == hub.bundled()["pixel-16"]


def test_changes_say_what_was_and_what_is():
    record = made()
    now = provenance.environment()
    assert provenance.changes(record, now) == []
    record["made_with"] |= {"torch": "1.0", "threads": 7}
    del record["made_with"]["cpu"]
    assert provenance.changes(record, now) == [
        f"torch: 1.0 then, {now['torch']} now",
        f"cpu: not recorded then, {now['cpu']} now",
        f"threads: 7 then, {now['threads']} now",
    ]


def test_threads_are_as_many_as_then_where_this_machine_has_them(monkeypatch):
    import torch

    before = torch.get_num_threads()
    try:
        for cpus, then, expected in ((8, 3, 3), (2, 5, 2), (None, 4, 1)):
            monkeypatch.setattr("os.cpu_count", lambda cpus=cpus: cpus)
            provenance.same_threads({"made_with": {"threads": then}})
            assert torch.get_num_threads() == expected
        for nonsense in ({}, {"threads": 0}, {"threads": "many"}, {"threads": -1}):
            provenance.same_threads({"made_with": nonsense})
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
