"""The Retrain view without a browser: its calls over HTTP as tab, REST and MCP make them, whose job is whose, and what it shows (C1-8)."""

import errno
import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import torch

from lunaris.core import hub, images, jobs, models, ui
from lunaris.pixel import PixelConfig, PixelTrainConfig, load, retrain, save, sprites
from lunaris.pixel.data import load_source
from lunaris.pixel.demo import retrain as view
from lunaris.pixel.train import prepare

ROOT = Path(__file__).parents[2]
SOON = 600.0  # seconds within which a small training has ended, however busy the machine


def request_of(session: str, language: str = "en") -> gr.Request:
    request = gr.Request(headers={"host": "127.0.0.1:7860", "accept-language": language}, client={"host": "127.0.0.1", "port": 5000})
    request.session_hash = session
    return request


ANA, BIA = request_of("ana"), request_of("bia")


@pytest.fixture
def table(tmp_path, monkeypatch):
    """The jobs and the models of a server of this test's own."""
    one, cache = jobs.Jobs(tmp_path / "jobs", jobs.Limits(free_bytes=0)), models.ModelCache(10**9)
    monkeypatch.setattr(jobs, "shared", lambda: one)
    monkeypatch.setattr(models, "shared", lambda: cache)
    yield one
    if one._process is not None:
        one._process.kill()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    config = PixelConfig.tiny().replace(latent_dim=8, filters=(8, 16))
    torch.manual_seed(0)
    model = prepare(config, PixelTrainConfig.tiny().replace(device="cpu"), load_source("procedural", side=16, n=64))
    return str(save(model, tmp_path_factory.mktemp("base") / "base", card="---\nlicense: mit\n---\n"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Eight uploaded sprites, as Gradio hands them to a handler."""
    folder, made = tmp_path_factory.mktemp("upload"), sprites.make(8, side=16, seed=1)
    found = []
    for i, image in enumerate(made.images):
        path = folder / f"{i}.png"
        path.write_bytes(images.png_bytes(image))
        found.append({"path": str(path), "orig_name": f"red_thing-{i}.png", "meta": {"_type": "gradio.FileData"}})
    return found


def wait(token: str, *states: str) -> dict:
    deadline = time.monotonic() + SOON
    while (report := view.pixel_retrain_status(token)[0])["state"] not in states:
        assert time.monotonic() < deadline, report
        time.sleep(0.1)
    return report


# --- one visitor --------------------------------------------------------------------------------------------------------------------


def test_from_upload_to_a_model_in_the_tab_and_the_files_to_take_home(table, base, files, tmp_path):
    """The whole way, with the training in its own process: start, watch, download, use."""
    started = view.pixel_retrain_start(files, steps=10, name="My Sprites!", model=base, request=ANA)
    assert started == {"job": started["job"], "pictures": 8, "captions": 1, "notes": []}
    report = wait(started["job"], "done")
    assert (report["step"], report["steps"], report["pictures"], report["held_out"]) == (10, 10, 8, 0)
    assert report["prompts"] == ["red thing"] * 8 and report["after"].keys() == report["before"].keys()
    _, sheet = view.pixel_retrain_status(started["job"])
    assert images.read_image(Path(sheet)).shape == (len(report["rows"]) * 64, 8 * 64, 4)
    assert b"AI-generated" in Path(sheet).read_bytes()

    folder = retrain.model_folder(report["model"])
    with zipfile.ZipFile(view.pixel_retrain_download(started["job"], "checkpoint")) as archive:
        archive.extractall(tmp_path / "home")
    mine, served = load(tmp_path / "home/my-sprites"), load(folder)
    assert torch.equal(mine.generate(2, "red thing", seed=3), served.generate(2, "red thing", seed=3))
    with zipfile.ZipFile(view.pixel_retrain_download(started["job"], "space")) as archive:
        names = archive.namelist()
    assert {"my-sprites-space/app.py", "my-sprites-space/checkpoints/my-sprites/model.safetensors"} <= set(names)
    assert [name for name in names if "/checkpoints/" in name and "/my-sprites/" not in name] == []
    assert started["job"] not in json.dumps(report)


def test_the_same_download_has_the_same_bytes(table, base, files):
    token = view.pixel_retrain_start(files, steps=10, model=base, request=ANA)["job"]
    wait(token, "done")
    first, second = (Path(view.pixel_retrain_download(token)).read_bytes() for _ in range(2))
    assert first == second


def test_a_disk_that_is_full_while_exporting_costs_the_file_and_not_the_job(table, base, files, monkeypatch):
    token = view.pixel_retrain_start(files, steps=10, name="large", model=base, request=ANA)["job"]  # equal files are in the cache
    wait(token, "done")

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for what in ("checkpoint", "space"):
        with monkeypatch.context() as patched:
            patched.setattr(Path, "write_bytes", full)
            with pytest.raises(gr.Error, match="the file was not made: the disk of this server is full; nothing of yours was lost"):
                view.pixel_retrain_download(token, what)
    assert Path(view.pixel_retrain_download(token)).is_file()


# --- two visitors -------------------------------------------------------------------------------------------------------------------


def test_the_second_visitor_waits_sees_it_and_neither_touches_the_others_job(table, base, files):
    first = view.pixel_retrain_start(files, steps=3000, model=base, request=ANA)["job"]
    second = view.pixel_retrain_start(files, steps=3000, model=base, request=BIA)["job"]
    report, sheet = view.pixel_retrain_status(second)
    assert (report["state"], report["position"], sheet, report["model"]) == ("waiting", 1, None, None)
    assert "place 1 in the queue" in view.watch(second, BIA)[1] and "lugar 1" in view.watch(second, BIA)[1]
    with pytest.raises(gr.Error, match="you have a training waiting or running already; wait until it ends, or cancel it"):
        view.pixel_retrain_start(files, steps=10, model=base, request=ANA)
    for act in (view.pixel_retrain_status, view.pixel_retrain_cancel, view.pixel_retrain_resume, view.pixel_retrain_download):
        with pytest.raises(gr.Error, match="this server has no such training"):
            act(jobs.id_of(first))  # the id, which a shared picture tells, is no key
    assert view.pixel_retrain_cancel(second) == {"state": "stopped"}
    assert view.pixel_retrain_status(first)[0]["state"] == "running"
    view.pixel_retrain_cancel(first)
    wait(first, "stopped")


def test_stopped_in_the_middle_it_leaves_a_model_and_goes_on(table, base, files):
    token = view.pixel_retrain_start(files, steps=3000, model=base, request=ANA)["job"]
    deadline = time.monotonic() + SOON
    while (view.pixel_retrain_status(token)[0].get("step") or 0) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with pytest.raises(gr.Error, match="this training has made no model yet; wait for its end, or cancel it"):
        view.pixel_retrain_download(token)
    view.pixel_retrain_cancel(token)
    report = wait(token, "stopped")
    assert 5 <= report["step"] < 3000 and Path(view.pixel_retrain_download(token)).is_file()
    assert view.pixel_retrain_resume(token, ANA)["state"] in ("waiting", "running")
    while (view.pixel_retrain_status(token)[0].get("step") or 0) <= report["step"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    view.pixel_retrain_cancel(token)
    wait(token, "stopped")


# --- bad input ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"files": []}, "give at least 4 different pictures, got 0"),
        ({"files": None}, "give at least 4 different pictures, got 0"),
        ({"files": ["/etc/passwd"]}, "files must be a list of uploaded files"),
        ({"files": "/etc/passwd"}, "files must be a list of uploaded files"),
        ({"files": [{"path": "x.png"}] * 5000}, "give at most 200 pictures, got 5,000; choose the best ones"),
        ({"caption": 7}, "caption must be a text, got '7'; put it in quotes"),
        ({"caption": "x" * 301}, "caption must be at most 300 characters, got 301"),
        ({"name": None}, "name must be a text, got 'None'"),
        ({"steps": 5}, "steps must"),
        ({"steps": "many"}, "steps must be"),
        ({"learning_rate": float("nan")}, "learning_rate must be"),
        ({"seed": -1}, "seed must be"),
        ({"model": 3}, "model must be a text, got '3'"),
    ],
)
def test_a_call_that_makes_no_sense_is_one_sentence(arguments, sentence, table, base, files):
    with pytest.raises(gr.Error, match=sentence) as caught:
        view.pixel_retrain_start(**{"files": files, "steps": 10, "model": base, "request": ANA, **arguments})
    assert "\n" not in str(caught.value.message) and not table.root.exists()


@pytest.mark.parametrize("job", ["", "x", "../../etc", None, 5, ["a"], "x" * 10_000])
def test_a_wrong_token_is_one_sentence(job, table):
    for act in (view.pixel_retrain_status, view.pixel_retrain_cancel, view.pixel_retrain_resume, view.pixel_retrain_download):
        with pytest.raises(gr.Error, match="this server has no such training|job must be a"):
            act(job)


def test_a_download_of_something_else_is_refused(table):
    with pytest.raises(gr.Error, match="what must be one of checkpoint, space, got 'weights'"):
        view.pixel_retrain_download("x", "weights")


def test_a_checkpoint_too_large_for_visitors_is_refused(table, base, files, monkeypatch):
    monkeypatch.setattr(retrain, "MAX_PARAMETERS", 1000)
    with pytest.raises(gr.Error, match="a checkpoint that is retrained here must have at most 1,000 parameters"):
        view.pixel_retrain_start(files, steps=10, model=base, request=ANA)


# --- what the page shows ------------------------------------------------------------------------------------------------------------


def test_the_preview_shows_captions_and_names_what_was_left_out_in_both_languages(base, files, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_text("<b>hello</b>")
    named = [*files, {"path": str(bad), "orig_name": "<i>evil</i>.png"}]
    shown, said = view.look(named, "", base, ANA)
    assert [caption for _, caption in shown] == ["red thing"] * 8
    assert "<b>8</b> pictures as the model will see them" in said and "imagens como o modelo as verá" in said
    assert "&lt;i&gt;evil&lt;/i&gt;.png is not a readable picture" in said and "não é uma imagem legível" in said and "<i>evil" not in said
    assert view.look([], "", base, ANA) == (None, "")


REPORT = {
    "state": "running",
    "position": 0,
    "sentence": "",
    "model": None,
    "step": 40,
    "steps": 100,
    "eta_s": 12.3,
    "pictures": 8,
    "held_out": 0,
    "rows": [0, 13],
    "curve": [[10, 200.0], [20, 150.0], [40, 100.0]],
    "prompts": ["<script>", "a key"],
    "before": {"psnr_db": 9.0, "kl_nats": 5.0},
    "after": {"psnr_db": 15.26, "kl_nats": 7.0},
}


def test_the_panel_shows_progress_samples_and_curve_and_escapes_captions():
    page = view.panel(REPORT, [b"first", b"second"])
    assert "step 40 of 100" in page and "passo 40 de 100" in page and "about 12 s left" in page
    assert 'aria-valuenow="40"' in page and "width: 40%" in page and page.count("data:image/png;base64,") == 2
    assert "&lt;script&gt; · a key" in page and "<script>" not in page
    assert 'points="92.0,12.0 136.0,60.0 224.0,108.0"' in page  # the highest loss on top, the lowest at the bottom
    assert "15.3 dB" not in page  # numbers only at the end


def test_the_panel_is_honest_about_what_the_numbers_are_measured_on():
    few, many = (view.panel({**REPORT, "state": "done", "held_out": held}, []) for held in (0, 7))
    assert "9.0 → <b>15.3 dB</b> PSNR · KL 5.0 → <b>7.0</b> nats" in few
    assert "this flatters" in few and "7 of your pictures that it never trained on" in many and "this flatters" not in many


@pytest.mark.parametrize("kept", ["gone", "", None])
def test_a_browser_with_a_swept_token_or_none_starts_afresh_without_an_error(kept, table):
    """On the first visit the browser holds nothing, which arrives as None: that greeted every visitor with an error."""
    token, shown, timer, *_ = view.watch(kept, ANA)
    assert token == "" and "Your model grows here" in shown and timer.active is False


def test_a_sentence_of_the_job_comes_in_the_visitors_language(table, base, files):
    token = view.pixel_retrain_start(files, steps=3000, model=base, request=ANA)["job"]
    view.pixel_retrain_cancel(token)
    wait(token, "stopped")
    folder = table.folder(token)
    (folder / "progress.json").write_text(json.dumps({"state": "running"}))  # as a killed server leaves it
    english, portuguese = (view.pixel_retrain_status(token, request_of("x", tongue))[0]["sentence"] for tongue in ("en", "pt-BR"))
    assert "what was saved is still there" in english and "o que foi salvo continua lá" in portuguese


# --- over HTTP ----------------------------------------------------------------------------------------------------------------------


def test_a_model_ref_of_a_job_loads_for_any_call_of_this_server_and_no_health_report_tells_it(table, base, files):
    """Its words and its description had to be fetched from the Hub first, by the word panel and the Model view."""
    from lunaris.pixel.demo.about import VIEW
    from lunaris.pixel.demo.common import model_for
    from lunaris.pixel.demo.texts import FAMILY
    from lunaris.pixel.demo.words import words_of

    token = view.pixel_retrain_start(files, steps=10, model=base, request=ANA)["job"]
    ref = wait(token, "done")["model"]
    assert {"red", "thing"} <= words_of(ref, ANA).keys() and words_of(f"{ref}0", ANA) == {}
    assert VIEW.describe_without_network(ref, ANA)["weights"] == hub.weight_hash(retrain.model_folder(ref))
    away = gr.Request(headers={"host": "abc.gradio.live"}, client={"host": "8.8.8.8", "port": 1})
    loaded = model_for(ref, away)
    assert loaded.weights == hub.weight_hash(retrain.model_folder(ref))
    assert not any("retrained" in name or token in name or str(table.root) in name for name in models.shared().names(FAMILY))
    with pytest.raises(FileNotFoundError, match="this server has no such training"):
        model_for("retrained:../../etc", away)


def test_a_model_in_use_stays_and_its_pictures_do_not_give_it_away(table, base):
    """It was swept an hour after the last look at its training, while its visitor drew with it; and the record of every picture that was
    passed on held its ref, with which anybody could draw on that server."""
    from lunaris.pixel import demo
    from lunaris.pixel.demo.common import model_for

    folder = table.root / jobs.id_of("secret")
    shutil.copytree(base, folder / "model/mine")
    (folder / "job.json").write_text("{}")
    os.utime(folder, (time.time() - 3700,) * 2)
    loaded = model_for(retrain.ref_of("secret"), ANA)
    table.sweep()
    assert model_for(retrain.ref_of("secret"), ANA) is loaded
    ((path, _),), *_ = demo.pixel_generate("a key", 1, 3, model=retrain.ref_of("secret"), request=ANA)
    assert folder.name.encode() not in Path(path).read_bytes()
    assert demo.pixel_replay({"path": path}, retrain.ref_of("secret"), ANA)["outcome"] == "identical"


def test_the_view_tells_the_bounds_of_an_upload():
    bounds = (f"{retrain.MAX_PICTURE_BYTES >> 20} MB", f"{ui.MAX_FILE_SIZE >> 20} MB", f"{ui.MAX_UPLOAD_SIZE >> 20} MB")
    assert all(bound in text for text in view.TEXTS.table["files_info"] for bound in bounds)


SERVER = """
import gradio as gr
from lunaris.core import ui
from lunaris.pixel.demo import common, retrain
with gr.Blocks() as demo:
    with gr.Tabs() as tabs:
        page = common.Page(gr.Textbox({base!r}, visible=False), tabs, demo)
        with gr.Tab("x", id="create"):
            retrain.build(page)
ui.launch(demo, server_port={port}, quiet=True)
"""


def test_rest_does_what_the_tab_does(base, files, tmp_path):
    """Upload, start, status, download through the real HTTP interface, with the client that others use."""
    import socket

    from gradio_client import Client, handle_file

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = os.environ | {
        "LUNARIS_JOBS": str(tmp_path / "jobs"),
        "GRADIO_TEMP_DIR": str(tmp_path / "gradio"),
        "GRADIO_SERVER_NAME": "127.0.0.1",
    }
    code = SERVER.format(base=base, port=port)
    server = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + SOON
        client = None
        while client is None:
            assert server.poll() is None, server.stderr.read().decode()
            assert time.monotonic() < deadline
            try:
                client = Client(f"http://127.0.0.1:{port}", verbose=False, download_files=str(tmp_path / "got"))
            except Exception:
                time.sleep(0.3)
        assert {f"/pixel_retrain_{verb}" for verb in ("start", "status", "cancel", "resume", "download")} == {
            name for name in client.view_api(return_format="dict")["named_endpoints"] if "retrain" in name
        }
        uploads = [handle_file(file["path"]) for file in files]
        started = client.predict(uploads, "red thing", 10, "mine", 0.002, 0, base, api_name="/pixel_retrain_start")
        token = started["job"]
        while (answer := client.predict(token, api_name="/pixel_retrain_status"))[0]["state"] not in ("done", "failed"):
            assert time.monotonic() < deadline, answer
            time.sleep(0.3)
        report, sheet = answer
        assert report["state"] == "done" and images.read_image(Path(sheet)).shape[1] == 512
        with zipfile.ZipFile(client.predict(token, "checkpoint", api_name="/pixel_retrain_download")) as archive:
            archive.extractall(tmp_path / "home")
    finally:
        server.kill()
        server.wait()
        server.stderr.close()

    pictures = retrain.read_uploads([(Path(file["path"]).name, Path(file["path"])) for file in files], side=16, caption="red thing")
    packed = io.BytesIO()
    np.savez_compressed(packed, images=pictures.data.images)
    folder = tmp_path / "by-hand"
    (folder / "data").mkdir(parents=True)
    (folder / "data/sprites.npz").write_bytes(packed.getvalue())
    rows = zip(pictures.data.captions, pictures.data.groups, strict=True)
    lines = [json.dumps({"caption": caption, "group": group}) for caption, group in rows]
    (folder / "data/sprites.captions.jsonl").write_text("\n".join(lines))
    settings = {"base": base, "base_name": "x", "name": "mine", "steps": 10, "learning_rate": 0.002, "seed": 0}
    retrain.run(jobs.Work(folder, settings))
    over_rest, by_hand = (hub.load_tensors(path) for path in (tmp_path / "home/mine", folder / "model/mine"))
    assert all(torch.equal(over_rest[name], tensor) for name, tensor in by_hand.items())


def test_building_the_view_loads_no_torch():
    code = (
        "import sys, gradio as gr\nfrom lunaris.pixel.demo import common, retrain\n"
        "with gr.Blocks() as demo, gr.Tabs() as tabs: retrain.build(common.Page(gr.Textbox(), tabs, demo))\n"
        "print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=SOON)
    assert ran.stdout.strip() == "False", ran.stderr


def test_every_text_is_there_in_both_languages():
    assert all(len(pair) == 2 and all(pair) for pair in view.TEXTS.table.values())
    assert {f"why_{why}" for why in retrain.WHY} <= view.TEXTS.table.keys()
    assert ui.both("a", "b")
