"""pixel.replay: what a file says makes it again, bit for bit; and what differs is named."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

import lunaris
from lunaris.cli import main
from lunaris.core import hub, provenance
from lunaris.core.images import png_bytes, read_image, upscale
from lunaris.pixel import PixelConfig, PixelRequest, generate_request, interpolate, load, replay, save, sprites
from lunaris.pixel.config import FlowConfig, PixelTrainConfig
from lunaris.pixel.data import load_source
from lunaris.pixel.train import prepare

PROMPTS = ("", "a red potion", "uma poção vermelha", "a small blue key, outlined", "um gato laranja", "🐉 'quoted\" \\ text")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model on disk, untrained: its sprites are noise, which shows any difference."""
    torch.manual_seed(0)
    flow = FlowConfig(filters=(8, 16), blocks=(1, 1), word_dim=8, condition_dim=16)
    config = PixelConfig.tiny().replace(latent_dim=16, filters=(8, 16), sampler="flow", flow=flow)
    model = prepare(config, PixelTrainConfig(), load_source("procedural", side=16, n=100)).eval()
    return save(model, tmp_path_factory.mktemp("replay") / "model", card=hub.card("pixel-16"))


@pytest.fixture(scope="module")
def model(folder):
    return load(folder)


@pytest.fixture
def stamped(model, folder):
    """A maker of files: stamped(call, args, **what the file shows) -> bytes."""

    def make(call="generate", args=None, **shows):
        args = {"prompt": "a red potion", "n": 9, "seed": 5} if args is None else args
        made = replay.record(model, call, args, ref=folder, weights=hub.weight_hash(folder))
        return replay.png(replay.replay(made, model), made, **shows)

    return make


def restamped(png, image=None, **changes):
    """The file with another picture or other fields in its record, as someone with an editor would make it."""
    record = provenance.read(png)
    return provenance.stamp(png_bytes(read_image(png) if image is None else image), {**record, **changes})


def first_with(png, **args):
    return restamped(png, args={**provenance.read(png)["args"], **args})


# --- identical --------------------------------------------------------------------------------------------------------------------


def job(call, rng):
    """Random arguments for a call, as a visitor could give them."""
    prompts = [str(rng.choice(PROMPTS[1:])) for _ in range(2)]
    settings = {"seed": int(rng.integers(2**31)), "temperature": round(float(rng.uniform(0, 2)), 3)}
    pictures = sprites.make(2, side=16, seed=int(rng.integers(1000)), split="all").images
    return {
        "generate": {
            **settings,
            "prompt": str(rng.choice(PROMPTS)),
            "n": int(rng.integers(1, 6)),
            "mode": str(rng.choice(["instant", "quality"])),
            "steps": int(rng.integers(2, 5)),
            "guidance": round(float(rng.uniform(0, 5)), 3),
            "candidates": int(rng.integers(1, 4)),
            "colours": int(rng.choice([0, 2, 5])),
            "palette": str(rng.choice(["", "gameboy", "#000000 #ff0000 #00ff00"])),
            "background": str(rng.choice(["", "#203040"])),
            "cells": str(rng.choice(["", "1:77"])),
        },
        "interpolate": {
            "image1": upscale(pictures[0], int(rng.integers(1, 4))),
            "image2": np.pad(pictures[1], ((0, int(rng.integers(30))), (0, 3), (0, 0))),
            "steps": int(rng.integers(2, 7)),
            "slerp": bool(rng.integers(2)),
        },
        "interpolate_prompts": {
            **settings,
            "prompt1": prompts[0],
            "prompt2": prompts[1],
            "steps": int(rng.integers(2, 7)),
            "slerp": bool(rng.integers(2)),
        },
        "arithmetic": {**settings, "expression": str(rng.choice(["cat + hat", "red - blue + 1.5*key", '"a red cat"'])), "n": 3},
        "latent_map": {**settings, "prompt": str(rng.choice(["", "a cat", "a cat | a key"])), "x": 0.25, "zoom": 2, "cells": 3},
        "decode_point": {**settings, "x": float(rng.uniform(-2, 2)), "y": 1, "prompt": "a cat | a key"},
        "reconstruct": {"image": pictures[0]},
    }[call]


def test_100_random_jobs_replay_identical(model, folder):
    """The file alone and a freshly loaded model give every picture again: one sprite, an enlarged one, a sheet, frames of both morphs."""
    rng = np.random.default_rng(0)
    weights, fresh, calls = hub.weight_hash(folder), load(folder), list(replay.CALLS)
    for i in range(100):
        call = calls[i % len(calls)]
        args = job(call, rng)
        made = replay.record(model, call, args, ref=folder, weights=weights)
        images = replay.replay(made, model)
        shows = {"index": int(rng.integers(len(images))) if i % 2 else None, "scale": int(rng.integers(1, 5))}
        if shows["index"] is None:
            shows |= {"columns": int(rng.integers(4)), "padding": int(rng.integers(3))}
        file = replay.png(images, made, **shows)
        assert replay.compare(file, fresh, weights) == replay.Verdict("identical", []), (call, args, shows)


def test_the_record_holds_the_calls_own_result(model, folder):
    """Not only equal to itself: a replayed order is what `generate_request` gives, a morph what `interpolate` gives for the uploads."""
    weights, order = hub.weight_hash(folder), PixelRequest(prompt="a blue key", n=3, seed=8, temperature=1.0)
    made = replay.record(model, "generate", order.to_dict(), ref=folder, weights=weights)
    assert np.array_equal(replay.replay(made, model), generate_request(model, order))
    big = np.random.default_rng(0).integers(0, 256, (50, 30, 4), np.uint8)
    made = replay.record(model, "interpolate", {"image1": big, "image2": big[::-1], "steps": 4}, ref=folder, weights=weights)
    assert np.array_equal(replay.replay(made, model), interpolate(model, big, big[::-1], steps=4))


def test_a_record_from_before_cells_had_seeds_of_their_own_replays(stamped, folder):
    old, args = stamped(), {"prompt": "a red potion", "n": 9, "seed": 5}
    assert provenance.read(old)["args"] == args and replay.check(old, str(folder)).outcome == "identical"
    mixed = stamped(args={**args, "cells": "2:1000"})
    different = (read_image(mixed) != read_image(old)).any(-1)
    assert replay.check(mixed, str(folder)).outcome == "identical" and different[:16, 16:32].any()
    different[:16, 16:32] = False
    assert not different.any()


def test_sprite_i_of_a_batch_says_what_it_is_alone(stamped, model, folder):
    """PX-17: picture i of a batch is the file that its own seed gives alone, and either record makes it."""
    ninth = stamped(index=4)
    alone = stamped(args={"prompt": "a red potion", "n": 1, "seed": 9}, index=0)
    assert np.array_equal(read_image(ninth), read_image(alone))
    assert replay.check(ninth, str(folder)).outcome == replay.check(alone, str(folder)).outcome == "identical"


def test_a_fresh_process_says_identical(stamped, folder, tmp_path):
    (tmp_path / "s.png").write_bytes(stamped(scale=3, padding=1))
    command = [sys.executable, "-m", "lunaris", "replay", str(tmp_path / "s.png"), "--model", str(folder)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "identical\n", "")


def test_what_the_command_line_writes_it_replays(folder, tmp_path, capsys):
    words = ["pixel", "generate", "--prompt", "uma poção vermelha", "--n", "5", "--seed", "9", "--scale", "3", "--columns", "2"]
    file = str(tmp_path / "s.png")
    assert main([*words, "--model", str(folder), "--out", file]) == main(["replay", file, "--model", str(folder)]) == 0
    assert capsys.readouterr().out.endswith("identical\n")
    assert main([*words, "--model", str(folder), "--out", file, "--private"]) == 0
    assert main(["replay", file]) == 2 and "kept private" in capsys.readouterr().err
    assert b"AI-generated" in (tmp_path / "s.png").read_bytes()


def test_a_bundled_model_is_found_by_its_name(tmp_path, capsys):
    model, weights = load("pixel-16"), hub.weight_hash(hub.resolve("pixel-16"))
    made = replay.record(model, "generate", {"prompt": "a red potion", "n": 2}, ref="pixel-16", weights=weights)
    (tmp_path / "s.png").write_bytes(replay.png(replay.replay(made, model), made, index=1, scale=8))
    assert main(["replay", str(tmp_path / "s.png")]) == 0
    assert capsys.readouterr().out == "identical\n"


def test_a_model_on_the_hub_is_fetched_by_its_name(stamped, folder, fresh_hub, tmp_path, capsys):
    assert hub.push(folder, "lunar/replayed").url
    (tmp_path / "s.png").write_bytes(restamped(stamped(index=2), model="lunar/replayed", local=False))
    code, out = main(["replay", str(tmp_path / "s.png")]), capsys.readouterr().out
    assert (code, out) == (0, "identical\n")


# --- what differs -----------------------------------------------------------------------------------------------------------------


def test_changed_pixels_are_counted_and_found(stamped, folder):
    """Nine sprites three abreast with a gap, times 2: a pixel of sprite 2, two of sprite 6."""
    sheet = stamped(scale=2, padding=1)
    image = read_image(sheet).copy()
    for y, x in ((0, 34), (40, 80), (41, 80)):
        image[y, x] = 255 - image[y, x]
    verdict = replay.check(restamped(sheet, image), str(folder))
    assert verdict.outcome == "different" and verdict.notes[0] == "pixels: 3 of 10,000 differ, in pictures 2, 6 of 9"
    assert verdict.notes[1].startswith("all else is as it was: the file was changed")
    assert f"or another state of Lunaris {lunaris.__version__} made it" in verdict.notes[1]
    one = stamped(index=7)
    image = read_image(one).copy()
    image[3, 3] = 255 - image[3, 3]
    assert replay.check(restamped(one, image), str(folder)).notes[0] == "pixels: 1 of 256 differ, in picture 8 of 9"


def test_a_picture_of_another_size_is_said_so(stamped, folder):
    one = stamped(index=7)
    verdict = replay.check(restamped(one, upscale(read_image(one), 2)), str(folder))
    assert verdict == replay.Verdict("different", ["pixels: the file has 32x32, made again it has 16x16", verdict.notes[1]])


def test_another_prompt_or_seed_in_the_record_is_another_picture(stamped, folder):
    for changes in ({"prompt": "a blue key"}, {"seed": 6}, {"temperature": 0.1}):
        verdict = replay.check(first_with(stamped(), **changes), str(folder))
        assert verdict.outcome == "different" and "of 2,304 differ, in pictures" in verdict.notes[0], changes


def test_other_weights_are_named(stamped, folder, tmp_path):
    """A model that was trained on: the picture differs and the list says that the weights do."""
    other = load(folder)
    with torch.no_grad():
        other.decoder.dense.bias += 0.5
    changed = save(other, tmp_path / "other")
    verdict = replay.check(stamped(), str(changed))
    then, now = hub.weight_hash(folder), hub.weight_hash(changed)
    assert verdict.outcome == "different" and verdict.notes[0].startswith("pixels: ")
    assert verdict.notes[1:] == [f"weights: {then} of model then, {now} now"]


def test_other_weights_that_give_the_same_pixels_are_still_named(stamped, folder):
    verdict = replay.check(restamped(stamped(), weights="0" * 16), str(folder))
    assert (verdict.outcome, len(verdict.notes)) == ("different", 1) and verdict.notes[0].startswith("weights: 0000000000000000")


def test_other_versions_and_threads_are_notes_beside_identical_pixels(stamped, folder, monkeypatch):
    """Made here, replayed by another torch on seven threads."""
    file = stamped()
    here = provenance.environment()
    monkeypatch.setattr(provenance, "environment", lambda device="cpu": {**here, "torch": "9.0", "threads": 7})
    verdict = replay.check(file, str(folder))
    assert verdict == replay.Verdict("identical", [f"torch: {here['torch']} then, 9.0 now", f"threads: {here['threads']} then, 7 now"])


def test_a_picture_that_another_version_drew_is_told_as_that(stamped, folder):
    """0.1.0 drew something else with guidance in quality mode, kept its number, and its files were said to be changed or damaged."""
    file = stamped(index=7)
    image = read_image(file).copy()
    image[3, 3] = 255 - image[3, 3]
    older = restamped(file, image, made_with={**provenance.read(file)["made_with"], "lunaris": "0.1.0"})
    verdict = replay.check(older, str(folder))
    told = f"lunaris: 0.1.0 then, {lunaris.__version__} now"
    assert lunaris.__version__ != "0.1.0"
    assert verdict == replay.Verdict("different", ["pixels: 1 of 256 differ, in picture 8 of 9", told])


def test_replay_takes_as_many_threads_as_the_file_names_and_says_where_it_cannot(stamped, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    before, file = torch.get_num_threads(), stamped()
    made_with = {**provenance.read(file)["made_with"], "threads": 500}
    (tmp_path / "s.png").write_bytes(restamped(file, made_with=made_with))
    assert main(["replay", str(tmp_path / "s.png"), "--model", str(folder)]) == 0
    assert capsys.readouterr().out == "identical\n  threads: 500 then, 1 now\n"
    torch.set_num_threads(before)


def test_a_picture_from_a_device_that_is_not_here_is_made_on_the_cpu(stamped, folder):
    for device in ("cuda:63", "nonsense", 7):
        made_with = {**provenance.read(stamped())["made_with"], "device": device}
        assert replay.check(restamped(stamped(), made_with=made_with), str(folder)).notes == [f"device: {device} then, cpu now"]


def test_a_missing_model_is_said_so(stamped, tmp_path, capsys, fresh_hub):
    file = stamped()
    assert replay.check(file) == replay.Verdict(
        "not replayed", ["model missing: it was made with a folder called 'model' on the maker's computer; name it with --model"]
    )
    for ref, message in (("lunar/gone", "lunar/gone"), ("pixel-999", "no folder and no bundled checkpoint 'pixel-999'")):
        (tmp_path / "s.png").write_bytes(restamped(file, model=ref, local=False))
        assert main(["replay", str(tmp_path / "s.png")]) == 1
        out = capsys.readouterr().out
        assert out.startswith("not replayed\n  model missing: ") and message in out


# --- files from strangers ---------------------------------------------------------------------------------------------------------

BAD = {
    "unknown call": ({"call": "os.system"}, r"names the call 'os\.system'; this Lunaris can replay generate, interpolate"),
    "too many": ({"args": {"n": 10**9}}, "n must be a whole number from 1 to 64"),
    "unknown argument": ({"args": {"path": "/etc/passwd"}}, "unknown key 'path'"),
    "wrong type": ({"args": {"prompt": ["a"]}}, "prompt must be a text"),
    "picture 40 of 9": ({"index": 40}, "names picture 41 of a call that makes 9"),
    "no pictures": ({"call": "interpolate", "args": {}}, "interpolate takes image1, image2, steps.*'image1' is unknown or missing"),
    "picture of a path": ({"call": "interpolate", "args": {"image1": "/etc/passwd", "image2": 1}}, "must be a table with png and sha256"),
    "steps": ({"call": "interpolate_prompts", "args": {"prompt1": "a", "prompt2": "b", "steps": 10**9}}, "steps must be a whole number"),
    "prompt of numbers": ({"call": "interpolate_prompts", "args": {"prompt1": 1, "prompt2": "b"}}, "prompt1 must be of type str, got '1'"),
    "slerp of text": ({"call": "interpolate_prompts", "args": {"prompt1": "a", "prompt2": "b", "slerp": 1}}, "slerp must be of type bool"),
    "surplus": ({"call": "interpolate_prompts", "args": {"prompt1": "a", "prompt2": "b", "x\x1b": 1}}, r"'x\\x1b' is unknown or missing"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_record_that_makes_no_sense_is_one_sentence_and_exit_2(kind, stamped, folder, tmp_path, capsys):
    changes, message = BAD[kind]
    data = restamped(stamped(), **changes)
    with pytest.raises(ValueError, match=message):
        replay.check(data, str(folder))
    (tmp_path / "s.png").write_bytes(data)
    assert main(["replay", str(tmp_path / "s.png"), "--model", str(folder)]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and captured.err.startswith("lunaris: error: ") and captured.out == ""


def test_a_changed_upload_in_the_record_is_refused(stamped, folder):
    pictures = sprites.make(2, side=16, split="all").images
    file = stamped("interpolate", {"image1": pictures[0], "image2": pictures[1], "steps": 3})
    args = provenance.read(file)["args"]
    swapped = {**args, "image1": {**args["image1"], "png": args["image2"]["png"]}}
    with pytest.raises(ValueError, match="not the one that was used: its SHA-256 differs"):
        replay.check(restamped(file, args=swapped), str(folder))


def test_a_small_file_that_claims_a_giant_sheet_costs_nothing(stamped, folder):
    """64 sprites of 16 pixels times 64 with gaps of 64 are 1.6 gigapixels: the sizes are compared before anything is drawn."""
    file = restamped(stamped(index=0), index=None, args={"n": 64}, scale=64, padding=64)
    tracemalloc.start()
    verdict = replay.check(file, str(folder))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert verdict.notes[0] == "pixels: the file has 16x16, made again it has 36864x36864" and peak < 32 * 2**20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read"),
        (b"", "is not a readable PNG"),
        (b"text named .png", "is not a readable PNG"),
        (png_bytes(np.zeros((4, 4, 4), np.uint8)), "holds no Lunaris record"),
    ],
)
def test_a_file_without_a_record_is_one_sentence_and_exit_2(content, message, tmp_path, capsys):
    if content is not None:
        (tmp_path / "s.png").write_bytes(content)
    assert main(["replay", str(tmp_path / "s.png")]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and captured.out == ""


def test_a_missing_model_of_the_callers_own_is_a_mistake(stamped, tmp_path, capsys):
    (tmp_path / "s.png").write_bytes(stamped())
    assert main(["replay", str(tmp_path / "s.png"), "--model", str(tmp_path / "none")]) == 2
    assert "no folder" in capsys.readouterr().err


def test_a_private_file_cannot_be_replayed(stamped, model):
    private = replay.png(replay.replay(provenance.read(stamped()), model), None, index=1)
    assert np.array_equal(read_image(private), read_image(stamped(index=1))) and b"potion" not in private
    with pytest.raises(ValueError, match="kept private"):
        replay.check(private)


def test_only_calls_that_can_be_replayed_are_recorded(model, folder):
    with pytest.raises(ValueError, match="names the call 'dream'"):
        replay.record(model, "dream", {}, ref=folder, weights=hub.weight_hash(folder))
