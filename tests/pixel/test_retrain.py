"""Retraining on a visitor's own pictures: what an upload may hold, what is learned from it, and that a stop costs nothing."""

import io
import json
import random
import shutil
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lunaris.core import hub, images, jobs, space
from lunaris.core.config import ConfigError, given_flags
from lunaris.pixel import PixelConfig, PixelTrainConfig, load, retrain, save, sprites, verbs
from lunaris.pixel.data import SpriteSet, fit_palette, load_source
from lunaris.pixel.metrics import psnr
from lunaris.pixel.retrain import RetrainRequest, adapted, hold_out, read_uploads
from lunaris.pixel.train import prepare

ROOT = Path(__file__).parents[2]
SMALL = PixelConfig.tiny().replace(latent_dim=8, filters=(8, 16))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A checkpoint that has only its palette, its tokenizer and its first weights."""
    torch.manual_seed(0)
    model = prepare(SMALL, PixelTrainConfig.tiny().replace(device="cpu"), load_source("procedural", side=16, n=64))
    return save(model, tmp_path_factory.mktemp("base") / "base", card="---\nlicense: mit\n---\n")


def png(image: np.ndarray | Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def drawn(n: int, seed: int = 0) -> dict[str, bytes]:
    """`n` different sprites under names that say what they show."""
    made = sprites.make(4 * n, side=16, seed=seed)
    unique = dict(zip((image.tobytes() for image in made.images), zip(made.captions, made.images, strict=True), strict=True))
    return {f"{caption.replace(' ', '_')}-{i:03}.png": png(image) for i, (caption, image) in enumerate(list(unique.values())[:n])}


@pytest.fixture
def upload(tmp_path):
    """`upload({name: bytes})` as `read_uploads` takes it: names, and files with other names on the disk."""

    def put(files: dict[str, bytes]) -> list[tuple[str, Path]]:
        paths = [tmp_path / f"upload-{i}" for i in range(len(files))]
        for path, content in zip(paths, files.values(), strict=True):
            path.write_bytes(content)
        return list(zip(files, paths, strict=True))

    return put


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def notes_of(pictures) -> dict[str, str]:
    return {note.name: note.why for note in pictures.notes}


# --- reading ------------------------------------------------------------------------------------------------------------------------


def test_pictures_come_with_captions_from_their_names(upload):
    files = drawn(4)
    renamed = dict(zip(["Red_Potion-02.png", "big blue KEY.png", "maçã3.png", "0042.png"], files.values(), strict=True))
    pictures = read_uploads(upload(renamed), side=16)
    assert pictures.data.captions == ("red potion", "big blue key", "maçã", "sprite") and not pictures.notes
    assert pictures.data.groups == ("red potion", "big blue key", "maçã", "0042.png")  # numbers alone say nothing about what is alike
    for name, image in zip(pictures.names, pictures.data.images, strict=True):
        expected = np.asarray(Image.open(io.BytesIO(renamed[name])).convert("RGBA"))
        assert np.array_equal(image[..., 3], expected[..., 3])
        assert np.array_equal(image[image[..., 3] > 0], expected[expected[..., 3] > 0])


def test_captions_come_from_lists_and_texts_before_names_and_a_typed_one_between(upload):
    files = dict(zip(["a1.png", "b1.png", "c1.png", "d1.png"], drawn(4).values(), strict=True))
    files["captions.txt"] = b"A1.PNG: a red   apple\nthis line names no picture\n"
    files["captions.jsonl"] = '{"file": "b1.png", "caption": "a\u2028green\\tapple"}\r\n{"file": 3}\n[]\n'.encode()
    files["c1.txt"] = b"\xef\xbb\xbfa blue\napple"
    pictures = read_uploads(upload(files), side=16, caption="  some\n fruit ")
    assert dict(zip(pictures.names, pictures.data.captions, strict=True)) == {
        "a1.png": "a red apple",
        "b1.png": "a green apple",
        "c1.png": "a blue apple",
        "d1.png": "some fruit",
    }
    assert notes_of(pictures) == {"captions.txt": "lines", "captions.jsonl": "lines"}


def test_a_zip_gives_what_its_files_give(upload):
    files = drawn(5)
    inside = {f"art/{name}": content for name, content in files.items()} | {"__MACOSX/._x.png": b"", "art/.DS_Store": b"", "art/": b""}
    together, alone = read_uploads(upload({"all.zip": zipped(inside)}), side=16), read_uploads(upload(files), side=16)
    assert np.array_equal(together.data.images, alone.data.images) and together.data.captions == alone.data.captions
    assert not together.notes


def test_a_text_speaks_for_its_own_folder_and_archive(upload):
    """One table held the captions of a whole upload, by name alone: the cats of one ZIP were trained as the dogs of another."""
    cats, dogs, other = (dict(zip(("0.png", "1.png"), list(drawn(6).values())[i : i + 2], strict=True)) for i in (0, 2, 4))
    listed = {f"cat/{name}": content for name, content in cats.items()} | {"cat/captions.txt": b"0.png: a cat\n1.png: two cats"}
    beside = {f"dog/{name}": content for name, content in dogs.items()} | {"dog/0.txt": b"a dog", "dog/1.txt": b"two dogs"}
    above = {f"sub/{name}": content for name, content in other.items()} | {"captions.txt": b"sub/0.png: a hat\n1.png: two hats"}
    expected = ["a cat", "two cats", "a dog", "two dogs", "a hat", "two hats"]
    together = read_uploads(upload({"all.zip": zipped(listed | beside)}), side=16)
    assert list(together.data.captions) == expected[:4]
    apart = read_uploads(upload({"cats.zip": zipped(listed), "dogs.zip": zipped(beside), "hats.zip": zipped(above)}), side=16)
    assert list(apart.data.captions) == expected and not apart.notes
    loose = read_uploads(upload({"hats.zip": zipped(other), "cats.zip": zipped(listed), "captions.txt": b"0.png: a thing"}), side=16)
    assert list(loose.data.captions) == ["a thing", "sprite", "a cat", "two cats"]


def test_long_names_and_lines_take_no_time(upload):
    """The digits of a name were matched in every way there is, two to the power of their number, while nobody else was served: the names
    of downloaded photographs have forty. A line of captions.txt took the square of its length."""
    photo, number = "425678901_1234567890123456_1234567890123456789_n.jpg", "1" * 60 + "a.png"
    files = dict(zip([photo, number, "apple-12 34.png", "x.png"], drawn(4).values(), strict=True))
    lines = [b" " * 10**6 + b"x", b"x.png" + b"\t" * 10**6, b"x.png" * 10**5, b"x.png\t =  a red thing  "]
    started = time.process_time()
    texts = {"a.zip": zipped({f"{i}/captions.txt": line for i, line in enumerate(lines)}), "captions.txt": lines[-1]}
    pictures = read_uploads(upload(files | texts), side=16)
    assert time.process_time() - started < 5
    assert pictures.data.captions == ("425678901 1234567890123456 1234567890123456789 n", "1" * 60 + "a", "apple", "a red thing")


def test_larger_and_smaller_pictures_are_fitted(upload):
    files = drawn(4)
    (name, content), *rest = files.items()
    large = np.asarray(Image.open(io.BytesIO(content))).repeat(8, 0).repeat(8, 1)
    pictures = read_uploads(upload({name: png(large), **dict(rest)}), side=16)
    assert np.array_equal(pictures.data.images, read_uploads(upload(files), side=16).data.images)  # eight times as large, the same sprite


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes whose header promises width x height pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def noisy(mode: str, seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, len(mode)), np.uint8)
    return Image.fromarray(pixels if len(mode) > 1 else pixels[..., 0], mode)


def walk() -> bytes:
    frames = [noisy("RGB", seed) for seed in range(3)]
    return png(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50)


GOOD = drawn(4)
HALF = next(iter(drawn(1, seed=9).values()))


def written(archive: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    """The ZIP with `value` at `offset` of its first record of that signature."""
    at = archive.find(signature) + offset
    return archive[:at] + value + archive[at + len(value) :]


BAD = {
    "cut.png": (HALF[: len(HALF) // 2], "unreadable"),
    "letter.png": (b"Dear reader, I am a text.", "unreadable"),
    "nothing.png": (b"", "unreadable"),
    "huge.png": (png_of_size(10_000, 10_000), "unreadable"),
    "heavy.png": (b"\x89PNG\r\n\x1a\n" + bytes(3 << 20), "bytes"),
    "clear.png": (png(np.zeros((16, 16, 4), np.uint8)), "empty"),
    "again.png": (next(iter(GOOD.values())), "twin"),
    "virus.exe": (b"MZ", "unknown"),
    "broken.zip": (b"PK\x03\x04 and so on", "unreadable"),
    "slip.zip": (zipped({"../../evil.png": HALF}), "outside"),
    "root.zip": (zipped({"/etc/evil.png": HALF}), "outside"),
    "nest.zip": (zipped({"inner.zip": zipped({"x.png": HALF})}), "unknown"),
    "bomb.zip": (zipped({"flat.png": bytes(300 << 20)}), "bytes"),
    "newer.zip": (written(zipped({"x.png": HALF}), b"PK\x01\x02", 6, b"\x63"), "unreadable"),  # "needs version 9.9"
    "lzma.zip": (written(zipped({"lzma.png": HALF}, zipfile.ZIP_LZMA), b"PK\x03\x04", 30 + len("lzma.png") + 4, b"\xff"), "unreadable"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_left_out_by_name_and_costs_the_others_nothing(name, upload):
    """A ZIP of a later version (NotImplementedError) and one with damaged LZMA (LZMAError) were a report number to the visitor."""
    content, why = BAD[name]
    pictures = read_uploads(upload({**GOOD, name: content}), side=16)
    assert len(pictures.data) == 4
    (note,) = pictures.notes
    assert note.why == why
    if not name.endswith(".zip") or why == "unreadable":
        assert note.name in (name, "lzma.png")  # the table of lzma.zip is sound, its only picture is not
    if why == "unreadable":
        assert note.detail.startswith(note.name) and "the picture" not in note.detail


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("print.jpg", png(noisy("CMYK", 1), "JPEG")),
        ("deep.png", png(Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 257))),
    ],
)
def test_cmyk_and_16_bit_pictures_are_used(name, content, upload):
    pictures = read_uploads(upload({**GOOD, name: content}), side=16)
    assert len(pictures.data) == 5 and not pictures.notes


def test_an_animation_gives_its_first_frame_and_says_so(upload):
    pictures = read_uploads(upload({**GOOD, "walk.gif": walk()}), side=16)
    assert len(pictures.data) == 5 and notes_of(pictures) == {"walk.gif": "animated"}


def test_a_zip_that_lies_about_a_size_is_read_no_further_than_the_limit(upload):
    bomb = bytearray(zipped({"flat.png": bytes(8 << 20)}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):  # the size of the unpacked file, in both places
        at = bomb.find(signature) + offset
        bomb[at : at + 4] = struct.pack("<I", 1000)
    pictures = read_uploads(upload({**GOOD, "bomb.zip": bytes(bomb)}), side=16)
    assert len(pictures.data) == 4 and notes_of(pictures).keys() == {"flat.png"}


def test_damage_inside_a_zip_costs_one_picture(upload):
    files = drawn(6)
    archive = bytearray(zipped(files, zipfile.ZIP_STORED))
    at = archive.find(files[list(files)[2]]) + 40
    archive[at] ^= 255
    pictures = read_uploads(upload({"all.zip": bytes(archive)}), side=16)
    assert len(pictures.data) == 5 and notes_of(pictures) == {list(files)[2]: "unreadable"}


def test_5000_uploads_are_refused_before_any_is_opened(tmp_path):
    missing = [(f"{i}.png", tmp_path / "nowhere") for i in range(5000)]
    with pytest.raises(ValueError, match="give at most 200 pictures, got 5,000; choose the best ones"):
        read_uploads(missing, side=16)


def test_more_than_200_in_zips_and_files_together_are_refused(upload):
    crowd = {f"{i}.png": b"not even a picture" for i in range(150)}
    with pytest.raises(ValueError, match="give at most 200 pictures, got 300; choose the best ones"):
        read_uploads(upload({"one.zip": zipped(crowd), "two.zip": zipped(crowd)}), side=16)


def test_too_few_pictures_are_refused_with_the_first_reason(upload):
    with pytest.raises(ValueError, match=r"give at least 4 different pictures, got 2 \(cut.png is not a readable picture .*\); add PNG"):
        read_uploads(upload({**dict(list(GOOD.items())[:2]), "cut.png": BAD["cut.png"][0]}), side=16)
    with pytest.raises(ValueError, match="give at least 4 different pictures, got 0; add PNG files or a ZIP of them"):
        read_uploads([], side=16)


def test_too_few_pictures_are_refused_in_a_whole_sentence_whatever_was_wrong(upload):
    """The count of unreadable lines stood there alone: "got 1 (3)"."""
    with pytest.raises(ValueError, match=r"got 2 \(captions.txt: 3 lines are not of the form <name.png: caption>\); add PNG"):
        read_uploads(upload({**dict(list(GOOD.items())[:2]), "captions.txt": b"a\nb\nc"}), side=16)


def test_invisible_colour_makes_no_two_pictures_different(upload):
    name, content = next(iter(GOOD.items()))
    painted = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA")).copy()
    painted[painted[..., 3] == 0, :3] = 77
    pictures = read_uploads(upload({**GOOD, "painted.png": png(painted)}), side=16)
    assert [(note.why, note.detail) for note in pictures.notes] == [("twin", name)]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"steps": 5}, "steps must be"),
        ({"steps": 10**6}, "steps must be"),
        ({"learning_rate": 1.0}, "learning_rate must be"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_settings_out_of_range_are_refused(values, sentence):
    with pytest.raises(ConfigError, match=sentence):
        RetrainRequest(**values)


# --- what is learned ----------------------------------------------------------------------------------------------------------------


def set_of(captions: list[str], groups: list[str] | None = None) -> SpriteSet:
    pixels = np.random.default_rng(0).integers(0, 256, (len(captions), 16, 16, 4), np.uint8)
    return SpriteSet(pixels, tuple(captions), tuple(groups or captions))


def test_every_colour_takes_the_place_of_the_nearest_one():
    model = prepare(SMALL.replace(palette_size=4), PixelTrainConfig.tiny(), set_of(["a"]))
    colours = torch.tensor([[0, 0, 0, 0], [1, 0, 0, 1], [0, 1, 0, 1.0]])
    model.head.fit_palette(colours)
    model.head.adopt_palette(torch.tensor([[0, 0.9, 0, 1], [0.8, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 1.0]]))
    expected = torch.tensor([[0, 0, 0, 0], [0.8, 0, 0, 1], [0, 0.9, 0, 1], [0, 0, 1, 1.0]])
    torch.testing.assert_close(model.head.palette, expected)
    assert model.head.used.tolist() == [1, 1, 1, 1]


def test_places_that_no_colour_takes_keep_theirs():
    model = prepare(SMALL.replace(palette_size=4), PixelTrainConfig.tiny(), set_of(["a"]))
    model.head.fit_palette(torch.tensor([[0, 0, 0, 0], [1, 0, 0, 1], [0, 1, 0, 1.0]]))
    model.head.adopt_palette(torch.tensor([[0, 0, 0, 0], [0.9, 0, 0, 1]]))
    assert model.head.palette[2].tolist() == [0, 1, 0, 1] and model.head.used.tolist() == [1, 1, 1, 0]


def test_an_adapted_model_has_the_weights_of_its_base_the_visitors_colours_and_both_their_words(base):
    data = set_of(["uma flauta mágica", "a magic flute"])
    old, new = load(base), adapted(load(base), data)
    for name, parameter in new.named_parameters():
        torch.testing.assert_close(parameter, old.get_parameter(name), rtol=0, atol=0)
    wanted = fit_palette(data.images, SMALL.palette_size, 4)
    assert {tuple(colour) for colour in wanted.tolist()} <= {tuple(colour) for colour in new.head.palette.tolist()}
    assert {"mágica", "flute", "red"} <= new.words.keys() and "flute" not in old.words


def test_a_word_that_was_brought_keeps_how_often_the_base_saw_it(base):
    """Its few pictures replaced the base's hundreds, and the Portuguese for it then went to another word ("taça": trophy, cup)."""
    old, data = load(base), set_of(["red thing"] * 3)
    new = adapted(load(base), data)
    assert new.words["red"] == old.words["red"] + 3 > new.words["thing"] == 3


def test_a_tenth_is_held_out_in_whole_groups_and_nothing_of_few():
    names = [f"kind {i % 20}" for i in range(100)]
    part, held, apart = hold_out(set_of(names))
    assert apart and 5 <= len(held) <= 10 and len(part) + len(held) == 100
    assert not set(part.groups) & set(held.groups)
    few = set_of([f"kind {i}" for i in range(29)])
    assert [len(few), len(few), False] == [len(x) if isinstance(x, SpriteSet) else x for x in hold_out(few)]
    assert hold_out(set_of(["all the same"] * 50))[2] is False


def make_job(folder: Path, base: Path, *, n: int = 12, steps: int = 12, **settings) -> jobs.Work:
    """The folder of a job as `start` makes it, and the work on it."""
    files = drawn(n)
    (folder / "data").mkdir(parents=True)
    captions = [name.partition("-")[0].replace("_", " ") for name in files]
    arrays = np.stack([images.read_image(content) for content in files.values()])
    np.savez_compressed(folder / "data/sprites.npz", images=arrays)
    lines = [json.dumps({"caption": caption, "group": caption}) for caption in captions]
    (folder / "data/sprites.captions.jsonl").write_text("\n".join(lines) + "\n")
    table = {"base": str(base), "base_name": "pixel-16", "name": "mine", "steps": steps, "learning_rate": 2e-3, "seed": 0}
    return jobs.Work(folder, table | settings)


class Stopping(jobs.Work):
    """Work that is told to stop when it asks for the `after`-th time, which is before the step of that number."""

    def __init__(self, work: jobs.Work, after: int):
        super().__init__(work.folder, work.settings)
        self.left = after

    def should_stop(self) -> bool:
        self.left -= 1
        return self.left < 0


def weights(work: jobs.Work) -> dict[str, torch.Tensor]:
    return hub.load_tensors(work.folder / "model/mine")


@pytest.fixture(scope="module")
def retrained(base, tmp_path_factory):
    """A retraining of 40 steps that nobody stopped."""
    work = make_job(tmp_path_factory.mktemp("job") / "whole", base, n=40, steps=40)
    retrain.run(work)
    return work


def test_retraining_gives_a_checkpoint_that_draws_the_visitors_pictures_better(base, retrained):
    report = json.loads((retrained.folder / "progress.json").read_text())
    assert report["step"] == report["steps"] == 40 and report["pictures"] == 40
    assert report["after"]["psnr_db"] > report["before"]["psnr_db"] + 1
    model, data = load(retrained.folder / "model/mine"), load_source(retrained.folder / "data", side=16, split="all")
    _, held, apart = hold_out(data)
    pictures = images.to_model(held.images)
    by_hand = psnr(model.reconstruct(pictures), pictures)
    assert apart and report["held_out"] == len(held) and report["after"]["psnr_db"] == pytest.approx(by_hand, abs=0.05)
    assert set(data.captions[0].split()) <= model.words.keys()


def test_samples_and_curve_show_the_way_from_the_checkpoint_before(base, retrained):
    report = json.loads((retrained.folder / "progress.json").read_text())
    assert report["rows"] == [0, 5, 10, 15, 20, 25, 30, 35, 40] and [step for step, _ in report["curve"]] == list(range(1, 41))
    assert report["curve"][-1][1] < 0.9 * report["curve"][0][1]
    rows = [images.read_image(retrained.folder / retrain.samples_name(step)) for step in report["rows"]]
    assert all(row.shape == (16, 128, 4) for row in rows)
    prompt = retrain.prompts_of(load_source(retrained.folder / "data", side=16, split="all"))[0]
    first = images.from_model(load(base).generate(1, prompt, seed=0, temperature=0.7))[0]
    assert np.array_equal(rows[0][:, :16], first) and not np.array_equal(rows[-1], rows[0])


def test_card_tells_source_numbers_and_a_command_that_the_command_line_takes(retrained, tmp_path):
    import shlex

    from lunaris.cli import build_parser

    card = hub.card(retrained.folder / "model/mine")
    assert hub.validate_card(card)["license"] == "other" and "from `pixel-16`" in card and "40 pictures" in card
    assert "kept out of training" in card and "psnr_db before" in card and "psnr_db after" in card
    line = next(line for line in card.splitlines() if line.startswith("python -m lunaris"))
    args = build_parser("pixel").parse_args(shlex.split(line)[3:])
    order = verbs.Retrain.from_dict(given_flags(args, verbs.Retrain))
    assert order == verbs.Retrain(folder="FOLDER", name="mine", steps=40) and args.model == "pixel-16"
    assert str(retrained.folder) not in card


def test_stopped_at_any_step_and_resumed_equals_never_stopped(base, tmp_path):
    """Bit for bit, wherever it stops: before the first step, in the middle, at the end; and what it has then can be used."""
    whole = make_job(tmp_path / "whole", base)
    retrain.run(whole)
    chance = random.Random(0)
    stops = [0, *(chance.randrange(1, 12) for _ in range(3))]
    broken = make_job(tmp_path / "broken", base)
    for after in stops:
        retrain.run(Stopping(broken, after))
        assert load(broken.folder / "model/mine").generate(1, "a red potion", seed=1).shape == (1, 4, 16, 16)
    retrain.run(broken)
    first, second = weights(whole), weights(broken)
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    reports = [json.loads((work.folder / "progress.json").read_text()) for work in (whole, broken)]
    assert all(reports[0][key] == reports[1][key] for key in ("step", "rows", "curve", "before", "after"))
    for step in reports[0]["rows"]:
        name = retrain.samples_name(step)
        assert (whole.folder / name).read_bytes() == (broken.folder / name).read_bytes()


def test_a_model_without_text_and_one_with_the_mse_head_are_retrained_too(tmp_path):
    config = SMALL.replace(use_text=False, text_gate=False, head="mse")
    model = prepare(config, PixelTrainConfig().replace(device="cpu"), load_source("procedural", side=16, n=8))
    work = make_job(tmp_path / "job", save(model, tmp_path / "plain"), n=5, steps=10)
    retrain.run(work)
    report = json.loads((work.folder / "progress.json").read_text())
    assert report["step"] == 10 and report["held_out"] == 0
    assert "too few, or too alike by name, to keep some apart" in hub.card(work.folder / "model/mine")


# --- the job and its checkpoint -----------------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path, monkeypatch):
    """The jobs of a server of this test's own."""
    one = jobs.Jobs(tmp_path / "jobs", jobs.Limits(free_bytes=0))
    monkeypatch.setattr(jobs, "shared", lambda: one)
    return one


def test_the_ref_of_a_job_leads_to_its_model_and_nowhere_else(base, table, monkeypatch, upload):
    monkeypatch.setattr(table, "_enqueue", lambda owner, name: None)
    pictures = read_uploads(upload(drawn(5)), side=16)
    token = retrain.start("ana", pictures, RetrainRequest(steps=10), base=base, base_ref="pixel-16", name="mine")
    ref = retrain.ref_of(token)
    assert token not in ref
    with pytest.raises(FileNotFoundError, match="this training has made no model yet; wait for its end, or cancel it"):
        retrain.model_folder(ref)
    settings = json.loads((table.folder(token) / "job.json").read_text())["settings"]
    retrain.run(jobs.Work(table.folder(token), settings))
    assert retrain.model_folder(ref) == table.folder(token) / "model/mine"
    for other in (
        ref[:-1] + "0" * (ref[-1] != "0") + "1" * (ref[-1] == "0"),
        "retrained:",
        "retrained:../x",
        f"retrained:{token}",
        "retrained:" + "é" * 32,
    ):
        with pytest.raises(FileNotFoundError, match="this server has no such training"):
            retrain.model_folder(other)


def test_a_base_that_was_made_here_may_be_swept_before_the_turn_of_its_heir(base, table, monkeypatch, upload):
    """A waiting training knew only the path of the other one's model, which the next visitor's start could delete."""
    monkeypatch.setattr(table, "_enqueue", lambda owner, name: None)
    pictures = read_uploads(upload(drawn(5)), side=16)
    first = table.start("ana", "x:y", {}, {f"model/mine/{path.name}": path.read_bytes() for path in Path(base).iterdir()})
    ref = retrain.ref_of(first)
    second = retrain.start("bia", pictures, RetrainRequest(steps=10), base=retrain.model_folder(ref), base_ref=ref, name="heir")
    shutil.rmtree(table.folder(first))
    settings = json.loads((table.folder(second) / "job.json").read_text())["settings"]
    assert retrain.run(jobs.Work(table.folder(second), settings))
    assert str(table.root) not in (retrain.model_folder(retrain.ref_of(second)) / "README.md").read_text()


def test_a_space_built_from_it_opens_with_it_alone(retrained, tmp_path):
    folder = space.build("pixel", tmp_path / "space", ref=retrained.folder / "model/mine")
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["mine"]
    code = "from lunaris import pixel; print(pixel.CHECKPOINT, pixel.load(pixel.CHECKPOINT).generate(1, 'a key', seed=1).shape)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120)
    assert ran.stdout.strip() == "mine torch.Size([1, 4, 16, 16])", ran.stderr


def test_the_packed_pictures_train_on_the_command_line_too(base, retrained, tmp_path, capsys):
    from lunaris.cli import main

    flags = ["--preset", "tiny", "--latent-dim", "8", "--filters", "8", "16", "--steps", "4", "--batch-size", "8", "--device", "cpu"]
    out = tmp_path / "out"
    code = main(["pixel", "train", *flags, "--source", str(retrained.folder / "data"), "--init-from", str(base), "--out", str(out)])
    assert code == 0, capsys.readouterr().err
    assert load(out).config == load(base).config
