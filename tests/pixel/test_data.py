"""Where sprites come from: procedural, folders in each layout, Hub datasets; split by group; batches as pure functions."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from lunaris.core.images import to_model
from lunaris.core.tokenizer import BpeTokenizer
from lunaris.pixel import PixelConfig, sprites
from lunaris.pixel.data import Batches, SpriteSet, fit_palette, held_out, load_source, read_hub_dataset

SIDE = 16


def drawn(n=6):
    return sprites.make(n, side=SIDE, seed=1, split="all")


def write_packed(folder, images, rows):
    np.savez(folder / "set.npz", images=images)
    (folder / "set.captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def test_procedural_validation_holds_no_pair_of_training():
    train, held = (load_source("procedural", side=8, split=split, n=300) for split in ("train", "validation"))
    assert len(train) == len(held) == 300 and not set(train.groups) & set(held.groups)


def test_procedural_source_may_name_its_kinds_in_either_language():
    found = load_source("procedural:potion,chave", side=8, n=60)
    assert {group.split("/")[0] for group in found.groups} == {"potion", "key"}
    with pytest.raises(ValueError, match="unknown kind 'quark'; known: potion"):
        load_source("procedural:potion,quark", side=8)


def test_packed_layout_and_pngs_with_captions_give_the_same_set(tmp_path):
    """The two layouts a person may have: ../data's npz, and a folder of pictures."""
    made = drawn()
    rows = [{"caption": caption, "group": f"g{i}", "file": f"{i}.png"} for i, caption in enumerate(made.captions)]
    packed, loose = tmp_path / "packed", tmp_path / "loose"
    packed.mkdir(), loose.mkdir()
    write_packed(packed, made.images, rows)
    for i, image in enumerate(made.images):
        Image.fromarray(image).save(loose / f"{i}.png")
    (loose / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    for folder in (packed, loose):
        found = load_source(folder, side=SIDE, split="all")
        assert np.array_equal(found.images, made.images)
        assert found.captions == tuple(made.captions) and found.groups == tuple(f"g{i}" for i in range(6))


def test_a_line_of_captions_ends_where_the_file_says_so(tmp_path):
    """A caption with U+2028, which JSON may hold as it is, was cut in two, and refused as no JSON."""
    made, rows = drawn(2), ['{"caption": "a red\u2028key"}', "", '{"caption": "a blue key"}']
    np.savez(tmp_path / "set.npz", images=made.images)
    (tmp_path / "set.captions.jsonl").write_text("\r\n".join(rows), "utf-8-sig", newline="")
    assert load_source(tmp_path, side=SIDE, split="all").captions == ("a red key", "a blue key")


def test_captions_come_from_text_files_or_file_names(tmp_path):
    image = Image.fromarray(drawn(1).images[0])
    image.save(tmp_path / "red_potion-02.png")
    image.resize((64, 64), Image.Resampling.NEAREST).save(tmp_path / "x.png")
    (tmp_path / "x.txt").write_text("a caption\nin two lines", "utf-8")
    found = load_source(tmp_path, side=SIDE, split="all")
    assert found.captions == ("red potion", "a caption in two lines")
    assert np.array_equal(found.images[0], found.images[1])


def test_split_goes_by_group_and_is_stable():
    """PX-21: split by index, variants of one thing landed on both sides and validation measured memory."""
    groups = tuple(f"group {i // 4}" for i in range(400))
    data = SpriteSet(np.zeros((400, 8, 8, 4), np.uint8), groups, groups)
    train, held = data.split("train"), data.split("validation")
    assert len(train) + len(held) == 400 and not set(train.groups) & set(held.groups)
    assert 0.03 < len(held) / 400 < 0.25 and all(map(held_out, held.groups))
    assert data.take(range(200)).split("validation").groups == tuple(g for g in groups[:200] if held_out(g))


def test_hub_dataset_reads_image_caption_and_class_label(monkeypatch):
    import datasets

    made = drawn(4)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["potion", "key"])})
    table = datasets.Dataset.from_dict({"image": [Image.fromarray(i) for i in made.images], "label": [0, 1, 1, 0]}, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda repo_id, split: table)
    found = read_hub_dataset("someone/sprites", side=SIDE)
    assert np.array_equal(found.images, made.images) and found.captions == ("potion", "key", "key", "potion")
    monkeypatch.setattr(datasets, "load_dataset", lambda repo_id, split: table.remove_columns("label"))
    with pytest.raises(ValueError, match="must have an image column and a caption, text or label column, got image"):
        read_hub_dataset("someone/sprites", side=SIDE)


def test_hub_dataset_pushed_by_the_real_client_is_read_back(fresh_hub, monkeypatch, tmp_path):
    """PX-21: datasets.push_to_hub -> the local Hub -> load_source, picture for picture."""
    import datasets

    made = drawn(4)
    table = datasets.Dataset.from_dict({"image": [Image.fromarray(i) for i in made.images], "caption": made.captions})
    table.cast_column("image", datasets.Image()).push_to_hub("lunar/sprites")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    found = load_source("lunar/sprites", side=SIDE, split="all")
    assert np.array_equal(found.images, made.images) and found.captions == tuple(made.captions)


def test_hub_dataset_that_cannot_be_had_is_one_sentence(monkeypatch):
    import datasets

    def refuse(*args, **kwargs):
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(ValueError, match="cannot load the dataset someone/sprites: ConnectionError; check the name, the network"):
        load_source("someone/sprites", side=SIDE)


def test_bad_folders_are_refused_in_one_sentence(tmp_path):
    made, rows = drawn(2), [{"caption": "a"}, {"caption": "b"}]
    with pytest.raises(FileNotFoundError, match="source must be 'procedural', a folder or a Hub dataset owner/name, got 'nowhere'"):
        load_source("nowhere", side=SIDE)
    with pytest.raises(ValueError, match="holds no PNG and no .npz"):
        load_source(tmp_path, side=SIDE)
    cases = {
        "shape": (made.images[..., :3], rows, "images must be uint8 of shape"),
        "count": (made.images, rows[:1], "has 2 pictures but its captions file has 1 lines"),
        "text": (made.images, [{"caption": 3}, rows[1]], 'line 1 has no text under "caption"'),
    }
    for name, (images, captions, message) in cases.items():
        folder = tmp_path / name
        folder.mkdir()
        write_packed(folder, images, captions)
        with pytest.raises(ValueError, match=message):
            load_source(folder, side=SIDE)
    (tmp_path / "text/set.captions.jsonl").write_bytes('{"caption": "poção"}'.encode("latin-1"))
    with pytest.raises(ValueError, match="set.captions.jsonl must be UTF-8 text, got bytes that are none; save it as UTF-8"):
        load_source(tmp_path / "text", side=SIDE)
    (tmp_path / "text/set.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"set.npz must hold an array 'images' without Python objects \(EOFError\); pack it again"):
        load_source(tmp_path / "text", side=SIDE)
    (tmp_path / "count" / "set.captions.jsonl").unlink()
    with pytest.raises(FileNotFoundError, match="no set.captions.jsonl beside the pictures"):
        load_source(tmp_path / "count", side=SIDE)


def test_npz_with_a_pickle_inside_does_not_run_it(tmp_path):
    """np.load would run the pickle's code with allow_pickle; ours refuses the file and the trap stays unsprung."""

    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    np.savez(tmp_path / "set.npz", images=np.array([Trap()], dtype=object))
    (tmp_path / "sprung").unlink(missing_ok=True)
    with pytest.raises(ValueError, match="must hold an array 'images' without Python objects"):
        load_source(tmp_path, side=SIDE)
    assert not (tmp_path / "sprung").exists()


def test_captions_file_cannot_point_out_of_its_folder(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    Image.fromarray(drawn(1).images[0]).save(tmp_path / "secret.png")
    (inside / "captions.jsonl").write_text(json.dumps({"file": "../secret.png", "caption": "x"}) + "\n")
    with pytest.raises(ValueError, match="which is not a file in"):
        load_source(inside, side=SIDE)


def test_damaged_picture_in_a_folder_is_named(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(drawn(1).images[0]).save(buffer, "PNG")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:40])
    with pytest.raises(ValueError, match="cut.png is not a readable picture"):
        load_source(tmp_path, side=SIDE)


# --- batches -----------------------------------------------------------------------------------------------------------------------


def batches(n=10, batch_size=4):
    made = drawn(n)
    data = SpriteSet(made.images, tuple(made.captions), tuple(made.captions))
    tokenizer = BpeTokenizer.train(data.captions, vocab_size=300, fold=True)
    return data, Batches(data, batch_size, PixelConfig.tiny(), tokenizer)


def test_batch_is_a_pure_function_of_seed_and_step():
    _, first = batches()
    _, second = batches()
    for step in (5, 1, 9, 5):
        for name, value in first(3, step).items():
            assert torch.equal(value, second(3, step)[name])
    assert not torch.equal(first(3, 1)["images"], first(4, 1)["images"])


def test_an_epoch_shows_every_sprite_and_keeps_caption_with_picture():
    data, batch_at = batches(n=8)
    pictures = to_model(data.images)
    seen = []
    for step in (1, 2):
        batch = batch_at(0, step)
        for image, tokens in zip(batch["images"], batch["tokens"], strict=True):
            row = next(i for i, picture in enumerate(pictures) if torch.equal(picture, image) and torch.equal(batch_at.tokens[i], tokens))
            seen.append(row)
    assert sorted(seen) == list(range(8))
    assert not torch.equal(batch_at(0, 1)["images"], batch_at(0, 3)["images"])  # the next epoch has another order


def test_last_batch_is_full():
    """A short last batch would weigh its sprites more."""
    _, batch_at = batches(n=10, batch_size=4)
    assert batch_at.per_epoch == 3 and all(len(batch_at(0, step)["images"]) == 4 for step in range(1, 8))


# --- palette -----------------------------------------------------------------------------------------------------------------------


def test_palette_of_few_colours_is_exact_and_starts_with_the_most_used():
    made = sprites.make(200, side=SIDE, seed=0, split="all")
    palette = fit_palette(made.images, 256, 4)
    expected = {tuple(map(float, to_model(c.reshape(1, 1, 1, 4))[0, :, 0, 0])) for c in np.unique(made.images.reshape(-1, 4), axis=0)}
    assert {tuple(map(float, row)) for row in palette} == expected and not palette[0].any()


def test_what_no_one_sees_takes_no_place_in_a_palette():
    """Editors keep colours under alpha 0. Where these alone were too many, there was nothing left to draw samples from, and a traceback."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 8, 8, 4), np.uint8)
    images[..., 3] = 0
    images[:, 2:4, 2:6] = [200, 30, 30, 255]
    assert fit_palette(images, 16, 4).tolist() == fit_palette(np.where(images[..., 3:] > 0, images, 0), 16, 4).tolist()
    assert len(fit_palette(images, 16, 4)) == 2


def test_kmeans_palette_is_better_than_random_colours():
    rng = np.random.default_rng(0)
    centres = rng.integers(30, 220, (6, 3))
    noisy = np.concatenate([centres[rng.integers(0, 6, (50, 8, 8))] + rng.integers(-4, 5, (50, 8, 8, 3)), np.full((50, 8, 8, 1), 255)], -1)
    noisy = noisy.astype(np.uint8)
    pixels = to_model(noisy).movedim(1, -1).reshape(-1, 4)
    palette = fit_palette(noisy, 13, 4)
    assert len(palette) == 13 and not palette[0].any()

    def error(colours):
        return float(torch.cdist(pixels, colours).min(1).values.mean())

    assert error(palette) < 0.5 * error(pixels[torch.randperm(len(pixels), generator=torch.Generator().manual_seed(1))[:6]])
    assert torch.equal(palette, fit_palette(noisy, 13, 4))


# --- mixtures ----------------------------------------------------------------------------------------------------------------------


def packed(folder, captions, side=16):
    """A folder in the packed layout, one grey level per picture."""
    folder.mkdir()
    images = np.stack([np.full((side, side, 4), 10 * i + 10, np.uint8) for i in range(len(captions))])
    np.savez(folder / "set.npz", images=images)
    lines = [json.dumps({"caption": caption, "group": f"{caption} {i}"}) for i, caption in enumerate(captions)]
    (folder / "set.captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_a_mixture_has_every_part_as_often_as_it_says(tmp_path):
    folder = packed(tmp_path / "tiles", ["folder with plus icon", "qwertz"])
    mixed = load_source(f"procedural:key+3*{folder}", side=16, split="train", n=10, seed=4)
    alone = load_source("procedural:key", side=16, split="train", n=10, seed=4)
    theirs = load_source(folder, side=16, split="train")
    assert len(mixed) == 10 + 3 * len(theirs)
    assert np.array_equal(mixed.images[:10], alone.images) and mixed.captions[:10] == alone.captions
    assert mixed.captions[10:] == 3 * theirs.captions
    once = load_source(f"procedural:key+3*{folder}", side=16, split="all", n=10, seed=4)
    assert len(once) == 10 + 2  # repetition is a matter of training


def test_bilingual_adds_the_pictures_whose_captions_the_lexicon_can_say(tmp_path):
    folder = packed(tmp_path / "tiles", [f"folder with {word} icon" for word in ("plus", "arrow", "qwertz")])
    plain, both = (load_source(folder, side=16, split="train", bilingual=flag) for flag in (False, True))
    added = both.captions[len(plain) :]
    assert both.captions[: len(plain)] == plain.captions
    assert len(added) == sum("qwertz" not in caption for caption in plain.captions) and all("pasta" in caption for caption in added)
    rows = [plain.captions.index(caption) for caption in plain.captions if "qwertz" not in caption]
    assert np.array_equal(both.images[len(plain) :], plain.images[rows])
    assert both.groups[len(plain) :] == tuple(plain.groups[row] for row in rows)


def test_a_folder_whose_name_looks_like_a_mixture_is_a_folder(tmp_path):
    folder = packed(tmp_path / "2*red+blue", ["a tile", "another tile", "a third tile"])
    assert len(load_source(folder, side=16, split="all")) == 3


def test_frequent_colours_stay_exact_when_a_palette_is_fitted():
    """K-means averaged the generator's fixed colours with near ones of photos' tones; a sprite of theirs was then never exact."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 16, 16, 4), np.uint8)
    images[..., 3] = 255
    images[:, :8] = (200, 30, 40, 255)
    images[:, 8:10] = (30, 60, 200, 255)
    palette = fit_palette(images, 32, 4)
    assert len(palette) == 32
    for colour in ((200, 30, 40, 255), (30, 60, 200, 255)):
        assert any(torch.equal(row, torch.tensor(colour) / 255) for row in palette)
