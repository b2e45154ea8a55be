"""The verbs of the command line against the handlers of tab, REST and MCP: equal arguments, equal bytes; every mistake one sentence."""

import dataclasses
import inspect
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lunaris.cli import main
from lunaris.core import hub, jobs, provenance
from lunaris.core.images import png_bytes, read_image, upscale, write_file
from lunaris.pixel import PixelConfig, load, replay, retrain, save, sprites, verbs
from lunaris.pixel.config import PixelTrainConfig
from lunaris.pixel.data import load_source
from lunaris.pixel.request import RetrainRequest
from lunaris.pixel.run import Request
from lunaris.pixel.train import prepare

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ref(tmp_path_factory):
    """A tiny model on disk, untrained: its sprites are noise, which shows any difference."""
    torch.manual_seed(0)
    config = PixelConfig.tiny().replace(latent_dim=16, filters=(8, 16))
    model = prepare(config, PixelTrainConfig.tiny().replace(device="cpu"), load_source("procedural", side=16, n=64)).eval()
    return str(save(model, tmp_path_factory.mktemp("verbs") / "model", card="---\nlicense: mit\n---\n"))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty folder to stand in, with two pictures: a.png of 16x16 pixels and b.png, larger than high."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    first, last = sprites.make(2, side=16, seed=3).images
    (tmp_path / "a.png").write_bytes(png_bytes(first))
    (tmp_path / "b.png").write_bytes(png_bytes(upscale(last, 4)[:40]))


@pytest.fixture(scope="module")
def tab():
    """The handlers of the tab's views; gradio takes seconds to import, and most tests do without."""
    from lunaris.pixel.demo import create, explore, morph, studio

    return SimpleNamespace(
        **{
            handler.__name__: handler
            for view in (create, explore, morph, studio)
            for handler in vars(view).values()
            if callable(handler) and getattr(handler, "__name__", "").startswith("pixel_")
        }
    )


def run(*words) -> bytes:
    """The file that a verb writes."""
    out = "out.gif" if "out.gif" in words else "out.png"
    assert main(["pixel", *map(str, words), *([] if "--out" in words else ["--out", out])]) == 0
    return Path(out).read_bytes()


def upload(name: str) -> dict:
    return {"path": name}


# --- equal to the tab -------------------------------------------------------------------------------------------------------------


def test_interpolate_gives_the_strip_and_the_gif_of_the_tab(tab, ref):
    words = ["interpolate", "a red potion", "um gato azul", "--steps", 4, "--seed", 9, "--temperature", 1, "--model", ref]
    gif, _, strip, _ = tab.pixel_interpolate_prompts("a red potion", "um gato azul", 4, 9, 1, model=ref)
    assert run(*words) == Path(strip).read_bytes()
    assert run(*words, "--out", "out.gif") == Path(gif).read_bytes()
    gif, _, strip, _ = tab.pixel_interpolate(upload("a.png"), upload("b.png"), model=ref, palette="pico8")
    words = ["interpolate", "a.png", "b.png", "--palette", "pico8", "--model", ref]
    assert run(*words) == Path(strip).read_bytes()
    assert run(*words, "--out", "out.gif") == Path(gif).read_bytes()


@pytest.mark.parametrize("cells", ["", "3:91823, 2:7"])
def test_generate_writes_every_file_of_the_tab(tab, ref, cells):
    """The command line had the sheet alone: the atlas, the GIF, single sprites, the ZIP and cells drawn again were the tab's."""
    order = {"prompt": "uma poção vermelha", "n": 5, "seed": 9, "palette": "pico8", "cells": cells}
    pictures, sheet, bundle, _, atlas, gif = tab.pixel_generate(**order, scale=4, model=ref)
    words = ["generate", *(f"--{name}={value}" for name, value in order.items()), "--model", ref]
    stem = Path(bundle).stem
    for out, expected, *more in (
        (f"{stem}.zip", bundle, "--scale", 4),
        (f"{stem}.gif", gif, "--scale", 4),
        (f"{stem}-sheet.png", sheet, "--atlas"),
    ):
        assert main(["pixel", *map(str, (*words, "--out", out, *more))]) == 0
        assert Path(out).read_bytes() == Path(expected).read_bytes(), out
    assert Path(f"{stem}-sheet.json").read_bytes() == Path(atlas).read_bytes()
    with zipfile.ZipFile(f"{stem}.zip") as files:
        assert [files.read(f"x1/{Path(path).name}") for path, _ in pictures] == [Path(path).read_bytes() for path, _ in pictures]
        assert len(files.namelist()) == 2 * 5 + 3
    assert replay.check(f"{stem}-sheet.png", ref).outcome == "identical"


def test_what_generate_leaves_out_means_the_same_as_in_the_tab(tab, ref):
    defaults = {name: value.default for name, value in inspect.signature(tab.pixel_generate).parameters.items()}
    ours = {field.name: field.default for field in dataclasses.fields(Request)}
    assert {name: defaults[name] for name in ours} == ours
    bundle = tab.pixel_generate("a red cat", 2, model=ref)[2]
    assert main(["pixel", "generate", "--prompt", "a red cat", "--n", "2", "--model", ref, "--out", "x.zip"]) == 0
    assert Path("x.zip").read_bytes() == Path(bundle).read_bytes()


def test_a_private_zip_tells_neither_prompt_nor_seed_nor_model(ref):
    words = ["pixel", "generate", "--prompt", "a red potion", "--n", "2", "--seed", "91823", "--model", ref, "--private"]
    assert main([*words, "--out", "x.zip"]) == main([*words, "--out", "x.png", "--atlas"]) == 0
    for data in (Path("x.zip").read_bytes(), Path("x.json").read_bytes(), Path("x.png").read_bytes()):
        assert not any(word in data for word in (b"potion", b"91823", b"weights"))
    assert Path("x.zip").read_bytes().count(b"iTXtAI-generated") == 2 * 2 + 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--out x.jpg", "--out must end in .png, .gif or .zip, got 'x.jpg'; try sprites.png"),
        ("--out x", "--out must end in .png, .gif or .zip, got 'x'"),
        ("--out x.gif --atlas", "--atlas goes with a PNG sheet, got --out 'x.gif'; try sprites.png, or a .zip, which has one"),
        ("--out x.png --cells 5:1", "cells must name cells from 1 to 2, got 5; try '1:1'"),
        ("--out x.png --cells two:1", "cells must be at most 64 pairs of cell:seed, got 'two:1'; try '3:91823 7:12'"),
        ("--out x.gif --scale 65", "scale must be a whole number from 0 to 64, got 65; try 0"),
        ("--out no/where/x.zip", "cannot write no/where/x.zip: No such file or directory; choose another --out"),
        ("--out no/where/x.png --atlas", "cannot write no/where/x.json: No such file or directory; choose another --out"),
    ],
)
def test_a_mistake_in_generate_is_one_sentence_and_leaves_nothing_behind(words, sentence, ref, capsys):
    before = sorted(Path().rglob("*"))
    assert main(["pixel", "generate", "--n", "2", "--model", ref, *words.split()]) == 2
    err = capsys.readouterr().err
    assert sentence in err and err.count("\n") == 1, err
    assert sorted(Path().rglob("*")) == before


def test_reconstruct_gives_the_tabs_redrawing_at_any_scale(tab, ref):
    small, large, report = tab.pixel_reconstruct(upload("b.png"), 5, ref)
    assert run("reconstruct", "b.png", "--model", ref) == Path(small).read_bytes()
    assert run("reconstruct", "b.png", "--scale", 5, "--model", ref) == Path(large).read_bytes()
    small, *_ = tab.pixel_reconstruct(upload("b.png"), 5, ref, "pico8", 0, "ordered")
    assert run("reconstruct", "b.png", "--palette", "pico8", "--dither", "ordered", "--model", ref) == Path(small).read_bytes()
    small, *_ = tab.pixel_reconstruct(upload("b.png"), 5, ref, colours=4)
    assert run("reconstruct", "b.png", "--colours", 4, "--model", ref) == Path(small).read_bytes()


def test_pixelise_gives_the_tabs_pixel_art_without_an_ai_mark(tab):
    small, large, report = tab.pixel_pixelise(upload("b.png"))
    assert run("pixelise", "b.png") == Path(small).read_bytes()
    assert run("pixelise", "b.png", "--scale", 8) == Path(large).read_bytes()
    small, *_ = tab.pixel_pixelise(upload("b.png"), 8, "gameboy", 4, "ordered", "cover")
    made = run("pixelise", "b.png", "--side", 8, "--palette", "gameboy", "--colours", 4, "--dither", "ordered", "--fit", "cover")
    assert made == Path(small).read_bytes() and b"AI-generated" not in made


def test_tile_repeats_and_measures_as_the_tab_does(tab, capsys):
    path, report = tab.pixel_tile(upload("b.png"), 2, 4)
    assert run("tile", "b.png", "--columns", 2, "--rows", 4, "--json") == Path(path).read_bytes()
    told = json.loads(capsys.readouterr().out)
    assert told == {"out": "out.png", **{key: report[key] for key in ("horizontal", "vertical", "score", "accepted")}}
    run("tile", "b.png", "--columns", 2, "--rows", 4)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "wrote out.png" and lines[3].split() == ["score", f"{report['score']:.4g}"]


def test_what_is_made_of_a_generated_file_keeps_its_mark(ref):
    """Tiled or made pixel art again, a generated sprite passed for a person's work."""
    Path("ours.png").write_bytes(run("generate", "--n", 1, "--model", ref))
    for verb in ("tile", "pixelise"):
        assert b"AI-generated" in run(verb, "ours.png") and b"AI-generated" not in run(verb, "a.png")


def test_map_and_point_give_the_tabs_sprites(tab, ref, capsys):
    prompt = "a red cat | a blue potion"
    path, report = tab.pixel_map(prompt, 3, 1, 1, 0, -0.5, 2, ref)  # whole numbers, as JSON has them
    words = ["--prompt", prompt, "--seed", 3, "--temperature", 1, "--model", ref]
    assert run("map", *words, "--x", 0, "--y", -0.5, "--zoom", 2, "--json") == Path(path).read_bytes()
    assert json.loads(capsys.readouterr().out)["corners"] == report["names"]
    assert run("map", "--model", ref) == Path(tab.pixel_map(model=ref)[0]).read_bytes()
    small, large, _ = tab.pixel_map_point(-1, 0.25, prompt, 3, 1, model=ref)
    assert run("point", -1, 0.25, *words) == Path(small).read_bytes()
    assert run("point", -1, 0.25, *words, "--scale", 8) == Path(large).read_bytes()


def test_arithmetic_draws_the_tabs_results_as_one_sheet(tab, ref, capsys):
    results, *_, report = tab.pixel_arithmetic("cat + zorblax - red", 4, 5, guidance=2, palette="nes", model=ref)
    words = ["--n", 4, "--seed", 5, "--guidance", 2, "--palette", "nes", "--columns", 4, "--model", ref, "--json"]
    sheet = run("arithmetic", "cat + zorblax - red", *words)
    np.testing.assert_array_equal(read_image(sheet), np.concatenate([read_image(path) for path, _ in results], 1))
    ours, theirs = provenance.read(sheet), provenance.read(results[0][0])
    assert {**ours, "index": 0, "columns": 0} == theirs
    assert json.loads(capsys.readouterr().out)["unknown_words"] == report["unknown_words"] == ["zorblax"]


HANDLERS = {
    "interpolate": "pixel_interpolate_prompts",
    "reconstruct": "pixel_reconstruct",
    "pixelise": "pixel_pixelise",
    "tile": "pixel_tile",
    "map": "pixel_map",
    "point": "pixel_map_point",
    "arithmetic": "pixel_arithmetic",
}


@pytest.mark.parametrize("name", HANDLERS)
def test_what_is_left_out_means_the_same_as_in_the_tab(tab, name):
    """Only `scale` differs: there it is that of a second file."""
    verb, parameters = verbs.VERBS[name], inspect.signature(getattr(tab, HANDLERS[name])).parameters
    defaults = {field.name: field.default for field in dataclasses.fields(verb.order) if field.name not in (*verb.words, "scale")}
    shared = defaults.keys() & parameters.keys()
    assert {key: defaults[key] for key in shared} == {key: parameters[key].default for key in shared}
    assert {key for key in parameters if key not in ("request", "model", "scale", "picture")} <= {*shared, *verb.words}


# --- what a file says of itself ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["interpolate", "a cat", "a key", "--steps", "3"],
        ["reconstruct", "a.png"],
        ["map", "--scale", "2"],
        ["point", "0", "1", "--scale", "3"],
        ["arithmetic", "cat + hat", "--columns", "3"],
    ],
    ids=lambda words: words[0],
)
def test_a_file_can_be_replayed_and_a_private_one_bears_the_mark_alone(words, ref):
    shown = run(*words, "--model", ref)
    assert replay.check(shown, ref).outcome == "identical"
    hidden = run(*words, "--model", ref, "--private")
    np.testing.assert_array_equal(read_image(hidden), read_image(shown))
    assert b"AI-generated" in hidden and b"AI-generated" in shown
    with pytest.raises(ValueError, match="holds no Lunaris record"):
        provenance.read(hidden)


def test_a_full_disk_leaves_the_old_file_whole(monkeypatch):
    """The file was written in place once: a kill in the middle left half a picture where a whole one had been."""
    before = Path("a.png").read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="cannot write a.png: No space left on device; choose another --out"):
        write_file("a.png", b"new")
    assert Path("a.png").read_bytes() == before and sorted(path.name for path in Path().iterdir()) == ["a.png", "b.png"]


# --- mistakes ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("interpolate cat", "the following arguments are required: LAST"),
        ("interpolate cat a.png", "give two prompts or two picture files, got the file 'a.png' and 'cat'"),
        ("interpolate a.png none.png", "cannot read none.png: No such file or directory; give a PNG"),
        ("interpolate a.png b.png --seed 3", "seed has no say between two pictures, got 3; leave it out"),
        ("interpolate cat hat --steps 33", "steps must be a whole number from 2 to 32, got 33; try 10"),
        ("interpolate cat hat --palette red", "palette must be one of gameboy, pico8, nes, c64 or a list"),
        ("interpolate cat hat --out out.jpg", "--out must end in .png or .gif, got 'out.jpg'"),
        ("reconstruct .", "is not a readable picture"),
        ("reconstruct a.png --scale 65", "scale must be a whole number from 1 to 64, got 65"),
        ("reconstruct a.png --model no-such-model", "no-such-model"),
        ("reconstruct a.png --colours 1", "colours must be 0 (as drawn) or 2 to 64, got 1"),
        ("reconstruct a.png --dither lots", "argument --dither: invalid choice: 'lots'"),
        ("pixelise a.png --side 7", "side must be a whole number from 8 to 128, got 7; try 32"),
        ("pixelise a.png --fit stretch", "argument --fit: invalid choice: 'stretch'"),
        ("pixelise a.png --model pixel-16", "unknown flag '--model'"),
        ("pixelise a.png --out no/where/out.png", "cannot write no/where/out.png: No such file or directory; choose another --out"),
        ("tile huge.png", "a tile must be at most 256 pixels a side, got 257x20; make pixel art of it first"),
        ("tile a.png --rows 0", "rows must be a whole number from 1 to 8, got 0; try 3"),
        ("map --prompt a|b|c", "a map takes one, two or four prompts with | between them, got 'a|b|c'"),
        ("map --zoom nan", "zoom must be a finite number from 0.5 to 64, got nan; try 1.0"),
        ("map --x 5", "x must be a finite number from -4 to 4, got 5.0; try 0.0"),
        ("point 9 0", "x must be a finite number from -8 to 8, got 9.0"),
        ("point left 0", "argument X: must be a finite number, got 'left'"),
        ("arithmetic cat+", "cannot read '+' as a term"),
        ("arithmetic cat --n 65", "n must be a whole number from 1 to 64, got 65"),
        ("arithmetic cat --seed -1", "seed must be a whole number from 0 to 4294967295, got -1"),
        ("retrain nowhere", "no folder at nowhere; give a folder or a ZIP of 4 to 200 pictures"),
        ("retrain few", "give at least 4 different pictures, got 1"),
        ("retrain few --steps 9", "steps must be a whole number from 10 to 3000, got 9; try 300"),
        ("retrain few --name ../x", "name must be up to 40 small letters, digits and hyphens, got '../x'"),
        ("retrain few --model no-such-model", "no-such-model"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing_behind(words, sentence, ref, capsys):
    Path("few").mkdir()
    Path("few/cat.png").write_bytes(Path("a.png").read_bytes())
    Path("huge.png").write_bytes(png_bytes(np.zeros((20, 257, 4), np.uint8)))
    before = sorted(Path().rglob("*"))
    words = ["pixel", *words.split(), *([] if "--out" in words else ["--out", "out.png"])]
    if "--model" not in words and verbs.VERBS[words[1]].model:
        words += ["--model", ref]
    try:
        code = main(words)
    except SystemExit as stop:
        code = stop.code
    err = capsys.readouterr().err
    assert code == 2 and sentence in err and err.count("\n") == 1, err
    assert sorted(Path().rglob("*")) == before


def test_every_number_has_a_range_and_every_option_a_help():
    for name, verb in verbs.VERBS.items():
        for field in dataclasses.fields(verb.order):
            assert field.metadata["help"], f"{name} {field.name}"
            if field.type in (int, float):
                assert field.metadata["ge"] is not None and field.metadata["le"] is not None, f"{name} {field.name}"


@pytest.mark.parametrize("words", [["--help"], ["map", "--help"], ["generate", "--help"], ["arithmetic"]], ids=" ".join)
def test_help_and_mistakes_come_without_torch(words):
    code = (
        "import sys\nfrom lunaris.cli import main\ntry:\n    main(['pixel', *sys.argv[1:]])\nexcept SystemExit: pass\n"
        "print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "False False", done.stderr
    if words == ["--help"]:
        assert all(f"\n    {name}" in done.stdout for name in ("train", "generate", "evaluate", "demo", *verbs.VERBS))


# --- retrain ------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """Eight sprites under names that say what they show, and a text that is no picture."""
    made = sprites.make(60, side=16, seed=1)
    unique = {image.tobytes(): (caption, image) for caption, image in zip(made.captions, made.images, strict=True)}
    (tmp_path / "mine").mkdir()
    for i, (caption, image) in enumerate(list(unique.values())[:8]):
        (tmp_path / f"mine/{caption.replace(' ', '_')}-{i}.png").write_bytes(png_bytes(image))
    (tmp_path / "mine/NOTES.md").write_text("mine")
    return tmp_path / "mine"


def interrupted_at(step, monkeypatch):
    """Ctrl-C is pressed during that step of every training."""

    def on_step(self, run, real=retrain.Live.on_step):
        real(self, run)
        if run.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(retrain.Live, "on_step", on_step)


def test_retrain_gives_the_tabs_checkpoint_also_after_ctrl_c(folder, ref, tmp_path, monkeypatch, capsys):
    words = ["pixel", "retrain", str(folder), "--steps", "10", "--seed", "4", "--name", "mine", "--model", ref, "--out", "model"]
    pictures = retrain.read_uploads([(path.name, path) for path in sorted(folder.iterdir())], side=16)
    settings = retrain.settings_of(RetrainRequest(steps=10, seed=4), base=Path(ref), base_ref=ref, name="mine")
    work = jobs.Work(tmp_path / "job", settings)
    for name, data in retrain.packed(pictures).items():
        (work.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (work.folder / name).write_bytes(data)
    assert retrain.run(work)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with Ctrl-C ignored
    try:
        with monkeypatch.context() as patched:
            interrupted_at(6, patched)
            assert main(words) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    told = capsys.readouterr()
    assert "stopped after step 6 of 10" in told.out and "give the same command again to go on" in told.out
    assert "NOTES.md is no PNG, GIF, WebP or JPEG file" in told.err
    assert main([*words, "--seed", "5"]) == 2
    assert "model holds a retraining of other pictures or settings; go on with those, or choose another --out" in capsys.readouterr().err
    assert main([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    progress = json.loads((work.folder / "progress.json").read_text())
    assert report["pictures"] == 8 and report["psnr_db_after"] == progress["after"]["psnr_db"]

    theirs = work.folder / "model/mine"
    assert sorted(path.name for path in Path("model").iterdir()) == sorted(path.name for path in theirs.iterdir())
    assert all((Path("model") / path.name).read_bytes() == path.read_bytes() for path in theirs.iterdir())
    assert load("model").generate(1, "a red potion", seed=1).shape == (1, 4, 16, 16)
    assert "pixel retrain FOLDER" in hub.card("model")


def test_retrain_does_not_overwrite_a_checkpoint(folder, ref, capsys):
    files = {path.name: path.read_bytes() for path in Path(ref).iterdir()}
    assert main(["pixel", "retrain", str(folder), "--model", ref, "--out", ref]) == 2
    assert "--out must be a new or empty folder" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in Path(ref).iterdir()} == files
