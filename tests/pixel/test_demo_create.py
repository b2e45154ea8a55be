"""What Create adds to a grid of sprites: orders in links and history, cells drawn again, files, replay (PX-17, C0-7, C1-5…10)."""

import io
import json
import re
import shutil
import zipfile
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image, ImageSequence

from lunaris import pixel
from lunaris.core import hub, images, model_view, provenance, ui
from lunaris.core.config import ConfigError
from lunaris.pixel import demo, export, glossary, palette
from lunaris.pixel.demo import again, common, create, history, studio, words
from lunaris.pixel.demo.files import pack
from lunaris.pixel.demo.orders import Order, from_link
from lunaris.pixel.run import slug


@pytest.fixture(autouse=True)
def uploads(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))


def gallery(pictures: list[tuple[str, str]]) -> list[dict]:
    """The sprites of an answer as the page sends them back."""
    return [{"image": {"path": path}, "caption": caption} for path, caption in pictures]


# --- orders ----------------------------------------------------------------------------------------------------------------------

ORDER = Order(prompt="poção & <b>ção</b>", n=3, seed=7, temperature=0.5, palette="#000000, #ffffff", background="#203040", cells="2:91")


def test_a_link_brings_the_whole_order_back():
    assert from_link(ORDER.link()) == ORDER
    assert re.fullmatch(r"\?[\w%+.&=-]*", ORDER.link())
    assert Order().link() == "?seed=0"


def test_a_page_without_an_order_in_its_address_has_none_and_leaves_others_parameters_alone():
    assert from_link("") is None
    assert from_link("?__theme=dark&utm_source=x") is None
    assert from_link("?__theme=dark&prompt=a+cat") == Order(prompt="a cat")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("?n=0", "n must be a whole number from 1 to 64, got 0"),
        ("?seed=abc", "seed must be a whole number from 0 to 4294967295, got 'abc'"),
        ("?seed=1e999", "seed must be a whole number"),
        ("?seed=007", "seed must be a whole number from 0 to 4294967295, got '007'"),
        ("?temperature=nan", "temperature must be a finite number from 0 to 2"),
        ("?palette=red", "palette must be one of gameboy"),
        ("?cells=9:1&n=3", "cells must name cells from 1 to 3, got 9; try '1:1'"),
        ("?cells=" + "+".join(["1:1"] * 65), "cells must be at most 64 pairs of cell:seed"),
    ],
)
def test_a_bad_link_is_one_sentence(query, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        from_link(query)


def test_a_link_never_makes_the_server_fetch_a_checkpoint():
    """Otherwise whoever gets a visitor to click would choose what is downloaded."""
    assert create.fill_from_link("?prompt=a+cat&model=pixel-16")[-1] is True
    assert create.fill_from_link("?prompt=a+cat&model=someone/large")[-1] is False


# --- one cell again --------------------------------------------------------------------------------------------------------------


def test_a_cell_drawn_again_keeps_the_others_and_is_what_the_order_with_that_cell_gives():
    pictures, _, _, report, _, _ = demo.pixel_generate("a red potion", 4, 11)
    outcome = create.reroll(gallery(pictures), 2, report, 5000, 8)
    again, _, bundle, changed, _, _, cells = outcome
    assert cells == "3:5000"
    assert changed["seeds"] == [11, 12, 5000, 14]
    assert [again[i][0] for i in (0, 1, 3)] == [pictures[i][0] for i in (0, 1, 3)]
    assert again[2][1] == "3 · 5000"
    expected = pixel.generate(pixel.load("pixel-16"), "a red potion", n=1, seed=5000)[0]
    np.testing.assert_array_equal(images.read_image(again[2][0]), expected)
    whole = demo.pixel_generate("a red potion", 4, 11, cells=cells)
    assert whole[:3] == outcome[:3]  # the same files, byte for byte
    assert from_link(changed["link"]).cells == cells
    with zipfile.ZipFile(bundle) as files:
        assert "x1/a-red-potion-5000-cell3.png" in files.namelist()


@pytest.mark.parametrize("prompt", ["", "Uma poção & <b>ção</b>!", "../../etc/passwd", "日本", "x" * 99, "a  red-potion_2"])
def test_a_runs_files_are_named_as_those_of_the_other_views(prompt):
    order = Order(prompt=prompt, n=2, seed=7, cells="2:9")
    assert order.stem == f"{slug(prompt)}-7"
    assert order.names() == [f"{slug(prompt)}-7.png", f"{slug(prompt)}-9-cell2.png"]


def test_two_cells_may_have_the_same_seed():
    pictures, _, bundle, report, atlas, _ = demo.pixel_generate("a red potion", 3, 11, cells="1:12 3:12")
    assert report["seeds"] == [12, 12, 12]
    assert len({Path(path).name for path, _ in pictures}) == 3
    assert len(json.loads(Path(atlas).read_text())["frames"]) == 3


def test_a_run_whose_pictures_were_swept_says_so():
    with pytest.raises(gr.Error) as error:
        create.reroll([{"image": {"path": "/nowhere/a.png"}}], 0, demo.pixel_generate("a", 1)[3], 1, 8)
    assert "no longer on the server" in error.value.message
    with pytest.raises(gr.Error) as error:
        create.reroll([], 0, None, 1, 8)
    assert "no run yet" in error.value.message


# --- colours ---------------------------------------------------------------------------------------------------------------------


def colours_in(picture: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(pixel) for pixel in picture.reshape(-1, 4).tolist() if pixel[3]}


def test_a_palette_holds_in_every_sprite_and_over_a_whole_animation():
    allowed = {(*colour, 255) for colour in palette.parse("gameboy").tolist()}
    pictures, *_ = demo.pixel_generate("a pink heart", 4, 3, palette="gameboy")
    gif, frames, *_ = demo.pixel_interpolate_prompts("a red potion", "a blue key", 5, palette="gameboy")
    for path, _ in (*pictures, *frames):
        assert colours_in(images.read_image(path)) <= allowed
    with Image.open(gif) as animation:
        for frame in ImageSequence.Iterator(animation):
            assert colours_in(np.asarray(frame.convert("RGBA"))) <= allowed


def test_colours_and_background_are_kept():
    (path, _), *_ = demo.pixel_generate("a red potion", 1, 3, colours=2, background="#203040")[0]
    assert len(colours_in(images.read_image(path))) <= 2
    assert (images.read_image(path)[..., 3] == 255).all()


# --- files -----------------------------------------------------------------------------------------------------------------------


def test_the_atlas_finds_every_sprite_in_the_sheet_and_the_gif_shows_them_in_turn():
    pictures, sheet, _, _, atlas, gif = demo.pixel_generate("a blue key", 5, 3, scale=3)
    whole, table = images.read_image(sheet), json.loads(Path(atlas).read_text())
    assert table["meta"]["image"] == Path(sheet).name
    for path, _ in pictures:
        frame = table["frames"][Path(path).name]["frame"]
        cut = whole[frame["y"] : frame["y"] + frame["h"], frame["x"] : frame["x"] + frame["w"]]
        np.testing.assert_array_equal(cut, images.read_image(path))
    with Image.open(gif) as animation:
        assert animation.n_frames == 5
        assert animation.size == (48, 48)


def test_every_png_says_how_it_was_made_and_replays():
    """x1, enlarged, sheet, frame and strip: each is made again from its own record alone."""
    model = pixel.load("pixel-16")
    pictures, sheet, bundle, report, _, _ = demo.pixel_generate("a blue key", 3, 9, cells="2:77", palette="pico8")
    plain_sheet = demo.pixel_generate("a blue key", 3, 9)[1]
    _, frames, strip, _ = demo.pixel_interpolate_prompts("a red potion", "a blue key", 3, palette="c64")
    with zipfile.ZipFile(bundle) as files:
        large = [files.read(name) for name in files.namelist() if name.startswith("x8/")]
    stamped = [Path(path).read_bytes() for path in (*(path for path, _ in (*pictures, *frames)), sheet, plain_sheet, strip)] + large
    assert len(stamped) == 3 + 3 + 3 + 3
    for data in stamped:
        verdict = pixel.replay.compare(data, model, report["weights"])
        assert verdict.outcome == "identical", verdict
        assert b"trainedAlgorithmicMedia" in data


def test_a_sheet_with_cells_drawn_again_says_so_and_replays():
    """It bore the mark and no record: whoever had drawn one cell of 64 again could not make the sheet again from its file."""
    model, weights = pixel.load("pixel-16"), hub.weight_hash(hub.resolve("pixel-16"))
    pictures, plain, _, report, _, _ = demo.pixel_generate("a blue key", 3, 9)
    one = create.reroll(gallery(pictures), 1, report, 77, 8)
    every = one
    for cell, seed in ((0, 4294967295), (2, 5)):
        every = create.reroll(gallery(every[0]), cell, every[3], seed, 8)
    cells = []
    for sheet in (plain, one[1], every[1]):
        record = provenance.read(sheet)
        cells.append(record["args"].get("cells"))
        assert pixel.replay.compare(Path(sheet).read_bytes(), model, weights).outcome == "identical"
    assert cells == [None, "2:77", "1:4294967295 2:77 3:5"]  # no such field where it says nothing: older files have none either
    np.testing.assert_array_equal(images.read_image(one[1])[:16, 16:32], images.read_image(one[0][1][0]))
    verdict = demo.pixel_replay({"path": one[1]})
    filled = dict(zip(Order.FILLED, again.show_verdict(verdict, "pixel-16")[1:], strict=False))
    assert (filled["n"], filled["seed"], filled["cells"]) == (3, 9, "2:77")


def test_a_sheet_of_two_models_claims_no_record():
    """The checkpoint was renewed between two cells: no one call makes the sheet again, so it has the mark alone."""
    model, order = pixel.load("pixel-16"), Order(prompt="a blue key", n=2, seed=9)
    made = pixel.replay.record(model, "generate", order.recorded(), ref="pixel-16", weights="0" * 16)
    parts = export.sprites(pixel.generate(model, "a blue key", n=2, seed=9), made)
    assert export.run_record(parts, order)["args"] == order.recorded()
    parts[1] = parts[1]._replace(record={**parts[1].record, "weights": "1" * 16})
    assert export.run_record(parts, order) is None
    sheet = Path(pack(parts, order, 1).sheet).read_bytes()
    assert b"trainedAlgorithmicMedia" in sheet
    with pytest.raises(ValueError, match="holds no Lunaris record"):
        provenance.read(sheet)


# --- history ---------------------------------------------------------------------------------------------------------------------


def a_run(prompt: str = "a red potion", seed: int = 1) -> tuple[dict, list[dict]]:
    pictures, _, _, report, _, _ = demo.pixel_generate(prompt, 2, seed)
    return report, gallery(pictures)


def test_the_history_keeps_the_newest_first_and_a_run_once():
    report, items = a_run()
    runs, _ = history.add([], report, items)
    runs, _ = history.add(runs, *a_run("a blue key"))
    again = create.reroll(items, 0, report, 4000, 8)
    runs, markup = history.add(runs, again[3], gallery(again[0]))
    assert [run["order"]["prompt"] for run in runs] == ["a red potion", "a blue key"]
    assert runs[0]["order"]["cells"] == "1:4000"
    assert markup.count("<li>") == 2
    assert history.find(runs, runs[1]["id"]) == Order.from_report(a_run("a blue key")[0])
    assert len(json.dumps(runs)) < 5_000  # a browser keeps about five million for a whole site


def test_the_history_forgets_the_oldest():
    report, items = a_run()
    runs = []
    for seed in range(history.KEEP + 3):
        runs = history.remember(runs, Order.from_report({**report, "seed": seed}), items)
    assert len(runs) == history.KEEP
    assert runs[0]["order"]["seed"] == history.KEEP + 2


def test_what_a_browser_kept_is_not_trusted():
    """A prompt can come from a stranger's link, and localStorage from anything that ran on this host."""
    report, items = a_run('<img src=x onerror=alert(1)>"')
    (run,), markup = history.add([], report, items)
    assert "<img src=x" not in markup
    for broken in (
        None,
        3,
        [None],
        [{**run, "picture": "javascript:alert(1)"}],
        [{**run, "order": {"n": 99}}],
        [{**run, "id": '"><script>'}],
        [{"id": "x"}],
    ):
        assert history.known(broken) == []
        assert history.cards(broken) == ""


def test_the_history_as_a_zip_is_every_sprite_again():
    runs = []
    for prompt in ("a red potion", "a blue key"):
        runs = history.remember(runs, *[Order.from_report(a_run(prompt)[0]), a_run(prompt)[1]])
    with zipfile.ZipFile(io.BytesIO(Path(history.take_all(runs)).read_bytes())) as files:
        names = files.namelist()
        assert names[0] == "01-a-blue-key-1/a-blue-key-1.png"
        assert len(names) == 4
        assert files.read(names[0]) == Path(a_run("a blue key")[1][0]["image"]["path"]).read_bytes()
    with pytest.raises(gr.Error) as error:
        history.take_all([])
    assert "the history is empty" in error.value.message


def test_a_run_whose_model_is_gone_costs_the_download_of_the_others_nothing():
    """One run with a model that had been swept, and a visitor could take nothing of the whole visit along."""
    report, items = a_run("a blue key")
    kept = history.remember([], Order.from_report(report), items)
    gone = Order(prompt="a cat", n=2, seed=5, model="retrained:" + "0" * 32)
    runs = history.remember(kept, gone, items)
    visitor = gr.Request(headers={"accept-language": "pt-BR"})
    with zipfile.ZipFile(io.BytesIO(Path(history.take_all(runs, visitor)).read_bytes())) as files:
        drawn = [name for name in files.namelist() if name.endswith(".png")]
        assert [name.partition("/")[0] for name in drawn] == ["02-a-blue-key-1"] * report["n"]
        said = files.read("left-out.txt").decode().splitlines()
    assert said[0] == "Estas rodadas não puderam ser desenhadas de novo:"
    assert len(said) == 2
    assert said[1].startswith("01-a-cat-5: ")
    assert "1 h" in said[1]
    with zipfile.ZipFile(io.BytesIO(Path(history.take_all(kept)).read_bytes())) as files:
        assert "left-out.txt" not in files.namelist()
    with pytest.raises(gr.Error, match="this server has no such training"):
        history.take_all(history.remember([], gone, items))


# --- replay ----------------------------------------------------------------------------------------------------------------------


def test_a_dropped_file_is_made_again_and_fills_the_form():
    pictures, *_ = demo.pixel_generate("a blue key", 3, 9, palette="pico8")
    verdict = demo.pixel_replay({"path": pictures[1][0]})
    assert (verdict["outcome"], verdict["notes"]) == ("identical", [])
    markup, *form, now = again.show_verdict(verdict, "pixel-16")
    assert 'data-outcome="identical"' in markup
    assert now is True
    filled = dict(zip(Order.FILLED, form, strict=True))
    assert (filled["prompt"], filled["n"], filled["seed"], filled["palette"], filled["keep_seed"]) == ("a blue key", 3, 9, "pico8", True)


def test_a_dropped_file_never_chooses_a_folder_of_this_computer(tmp_path, monkeypatch, fresh_hub):
    """runs/mine has the shape of owner/name: in a file that a stranger made it means the Hub."""
    shutil.copytree(hub.resolve("pixel-16"), tmp_path / "runs" / "mine")
    monkeypatch.chdir(tmp_path)
    path = Path(demo.pixel_generate("a blue key", 1, 9)[0][0][0])
    record = {**provenance.read(path), "model": "runs/mine"}
    (tmp_path / "named.png").write_bytes(provenance.stamp(images.png_bytes(images.read_image(path)), record))
    with pytest.raises(gr.Error) as error:
        demo.pixel_replay({"path": str(tmp_path / "named.png")})
    assert "the Hub has no model runs/mine" in error.value.message
    assert demo.pixel_replay({"path": str(tmp_path / "named.png")}, "runs/mine")["outcome"] == "identical"  # the visitor's own word


def test_a_changed_file_is_told_apart(tmp_path):
    path = Path(demo.pixel_generate("a blue key", 1, 9)[0][0][0])
    record, changed = provenance.read(path), images.read_image(path).copy()
    changed[3, 4] = (1, 2, 3, 255)
    (tmp_path / "changed.png").write_bytes(provenance.stamp(images.png_bytes(changed), record))
    verdict = demo.pixel_replay({"path": str(tmp_path / "changed.png")})
    assert verdict["outcome"] == "different"
    assert any("1 of 256 differ" in note for note in verdict["notes"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not a readable PNG"),
        (b"just a text, named .png", "is not a readable PNG"),
        (images.png_bytes(np.zeros((4, 4, 4), np.uint8)), "holds no Lunaris record"),
        (images.png_bytes(np.zeros((4, 4, 4), np.uint8))[:40], "PNG"),
    ],
    ids=["empty", "text", "foreign", "truncated"],
)
def test_a_file_that_cannot_be_replayed_is_one_sentence(content, sentence, tmp_path):
    (tmp_path / "file.png").write_bytes(content)
    with pytest.raises(gr.Error) as error:
        demo.pixel_replay({"path": str(tmp_path / "file.png")})
    assert sentence in error.value.message
    assert "\n" not in error.value.message
    with pytest.raises(gr.Error) as error:
        demo.pixel_replay({})
    assert "file must be a PNG, got none" in error.value.message


def test_what_is_said_of_a_file_reads_as_portuguese(tmp_path):
    """Its verdict was in English on the Portuguese page, and so were a dozen sentences, or half of each ("picture deve ser a picture")."""
    path = Path(demo.pixel_generate("a blue key", 1, 9)[0][0][0])
    record, drawn = provenance.read(path), images.read_image(path)
    made_with = {**record["made_with"], "torch": "1.0", "threads": 7}
    heard = [
        "this checkpoint has no flow for quality mode; choose mode 'instant' or another checkpoint",
        "files must be a list of uploaded files, got something else; send them to /gradio_api/upload first",
        "all else is as it was: the file was changed, another processor sums in another order, or another state of Lunaris 0.1.0 made it",
    ]
    for pixels, changed in (
        (np.zeros_like(drawn), {}),
        (np.zeros((8, 8, 4), np.uint8), {}),
        (np.zeros_like(drawn), {"weights": "0" * 16, "made_with": made_with}),
    ):
        (tmp_path / "a.png").write_bytes(provenance.stamp(images.png_bytes(pixels), {**record, **changed}))
        heard += demo.pixel_replay({"path": str(tmp_path / "a.png")})["notes"]
    for refused in (
        lambda: demo.pixel_replay({}),
        lambda: studio.pixel_pixelise({}),
        lambda: history.take_all([]),
        lambda: demo.pixel_generate("a cat", 2, cells="5:1"),
        lambda: demo.pixel_generate("a cat", 2, cells="x"),
    ):
        with pytest.raises(gr.Error) as error:
            refused()
        heard.append(error.value.message)
    assert len(heard) >= 13
    english = set(re.findall(r"\w+", "the of then now must be is was has have got none with made and give use or to from at most differ"))
    for sentence in heard:
        portuguese = ui.in_portuguese(sentence)
        assert not set(re.findall(r"\w+", re.sub(r"'[^']*'", "", portuguese))) & english, portuguese
    several = ui.in_portuguese("pixels: 1,024 of 2,048 differ, in pictures 1, 2 and 6 more of 8")
    assert several == "pixels: 1,024 de 2,048 diferem, nas imagens 1, 2 e mais 6 de 8"


# --- words -----------------------------------------------------------------------------------------------------------------------


def test_words_of_real_sprites_are_searched_and_the_procedural_ones_stay_buttons():
    known = {"red": 9, "potion": 8, "document": 7, "dragon": 6, "of": 5, "x1": 4, "<b>": 3}
    markup = words.markup(known)
    assert 'data-text="potion"' in markup
    assert 'data-text="sword"' not in markup  # this checkpoint never saw one
    lists = re.findall(r'data-words="([^"]*)"', markup)
    assert ["document" in lists[0], "dragon" in lists[0], "of" in lists[0]] == [True, True, False]
    assert "documento" in lists[1]
    assert "<b>" not in markup.replace("</b>", "")


def test_the_words_of_a_large_vocabulary_stay_bounded():
    known = {"word" + "".join(chr(97 + int(digit)) for digit in str(i)): 1 for i in range(20_000)}
    markup = words.markup(known)
    assert len(markup) < 200_000
    assert markup.count('class="lunaris-chip"') <= 2 * words.SHOWN


def test_the_bundled_checkpoints_words_are_found_without_loading_it(monkeypatch):
    monkeypatch.setattr(model_view.Checkpoints, "model_for", None)
    assert 'data-text="potion"' in words.words_html("pixel-16")
    assert words.words_html("someone/not-here")  # what must be fetched first shows the procedural words


# --- the page --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["normal", "flow"])
def test_best_quality_is_offered_by_checkpoints_that_have_it(sampler, tmp_path, monkeypatch):
    folder = tmp_path / "copy"
    shutil.copytree(hub.resolve("pixel-16"), folder)
    config = json.loads((folder / "config.json").read_text())
    config["model"]["sampler"] = sampler
    (folder / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("LUNARIS_MODEL", str(folder))
    (mode,) = (block for block in demo.build_demo().blocks.values() if getattr(block, "elem_id", None) == "pixel-mode")
    assert mode.visible is (sampler == "flow")
    assert mode.value == "instant"  # a REST or MCP call without a mode takes this one, and must give the library's default bytes
    fitted, *_ = create.fit_to_model(str(folder), "quality", gr.Request())
    assert fitted.value == ("quality" if sampler == "flow" else "instant")


def test_examples_in_the_style_of_real_sprites_are_offered_where_the_words_are_known(tmp_path):
    """pixel-16 knows icons and no dungeon; a checkpoint whose words are only the procedural ones has no further examples."""
    *_, chips = create.fit_to_model("pixel-16", "instant", gr.Request())
    assert "magnifier icon" in chips and "ícone de lupa" in chips and "tree, dungeon" not in chips
    assert all(f'data-text="{prompt}"' in chips for prompts in demo.EXAMPLES.values() for prompt in prompts)
    assert "magnifier icon" not in create.example_chips({"red": 3, "potion": 3})
    assert "árvore, masmorra" in create.example_chips({"tree": 1, "dungeon": 1})


@pytest.mark.parametrize("prompts", zip(*create.REAL_EXAMPLES.values(), strict=True), ids=str)
def test_a_portuguese_example_means_its_english_one(prompts):
    english, portuguese = prompts
    known = set(re.findall(r"\w+", english))
    assert set(re.findall(r"\w+", glossary.fold(glossary.to_english(portuguese, known)))) == known  # the model reads it folded


def test_a_palette_is_shown_by_its_colours_and_what_is_typed_cannot_become_markup():
    with gr.Blocks() as blocks:
        common.palette_field("x")
        common.background_field("y", ["#203040"])
    templates = [block.html_template for block in blocks.blocks.values() if isinstance(block, gr.HTML)]
    assert all(colour in templates[0] for colour in palette.NAMED["gameboy"])  # few enough to be shown all
    assert not re.search(r"\$\{value\}", "".join(templates))  # only ever compared, or cut to hex digits


def test_every_text_of_the_tab_exists_in_both_languages():
    for key, (english, portuguese) in demo.TEXTS.table.items():
        assert english.strip() and portuguese.strip(), key
    assert ui.LANGUAGES == ("en", "pt-BR")
