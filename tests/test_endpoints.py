"""Every endpoint of every family, asked over REST and over MCP: both answer what the library makes of the same values, byte for byte.

A case is a function with the endpoint's name. It is given the family's model and the values of the call, and says what comes back.
"""

import ast
import asyncio
import base64
import importlib
import inspect
import io
import json
import pkgutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from app_server import App, Refused, mcp_call, running_app
from PIL import Image

from lunaris import FAMILIES, moc, pixel
from lunaris.core import hub, images, provenance
from lunaris.moc import council as councils
from lunaris.pixel import PixelConfig, PixelTrainConfig, explore, export, palette, replay, retrain, sprites
from lunaris.pixel.data import load_source
from lunaris.pixel.pixelise import pixelise
from lunaris.pixel.tiling import seam_score, tile
from lunaris.pixel.train import prepare

IN_ONE_COURSE = {
    f"pixel_retrain_{verb}" for verb in ("start", "status", "cancel", "resume", "download")
}  # a training has a test of its own


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    with running_app(folder / "app.log", LUNARIS_JOBS=str(folder / "jobs")) as running:
        yield running
    assert "Traceback" not in (folder / "app.log").read_text()


@pytest.fixture(scope="module")
def loaded():
    return {"pixel": pixel.load(pixel.CHECKPOINT), "moc": moc.load(moc.CHECKPOINT)}


@pytest.fixture(scope="module")
def listed(app) -> dict[str, list[dict]]:
    """Every named endpoint with its parameters."""
    endpoints = httpx.get(f"{app.url}/gradio_api/info", timeout=60).json()["named_endpoints"]
    return {name.removeprefix("/"): endpoint["parameters"] for name, endpoint in endpoints.items()}


# --- the cases -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """The values of a call by name, of which bytes are files and functions give bytes for the model; and what is to come back."""

    values: dict[str, Any]
    expected: Callable[..., list[Any]]


CASES: dict[str, Case] = {}


def case(**values: Any) -> Callable:
    def add(expected: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
        CASES[expected.__name__] = Case(values, expected)
        return expected

    return add


def png(image: Any) -> bytes:
    return images.png_bytes(np.asarray(Image.fromarray(image.astype(np.uint8)).convert("RGBA")))


Y, X = np.mgrid[0:40, 0:60]
PHOTO, CHECKS = png(np.stack([X * 4, Y * 6, 255 - X * 4], -1)), png(np.kron(np.eye(2) * 200, np.ones((8, 8))))


@case(prompt="a red potion", n=3, seed=21, palette="gameboy")
def pixel_generate(model, **order):
    made = pixel.generate(model, **order)
    return [made, images.grid(made), ..., {**order, "seeds": [21, 22, 23]}, ..., ...]


@case(first="a red potion", last="a blue key", steps=4, seed=9)
def pixel_interpolate_prompts(model, first, last, steps, seed):
    frames = pixel.interpolate_prompts(model, first, last, steps=steps, seed=seed)
    return [export.gif(frames, scale=8), frames, images.grid(frames, columns=steps), {"first": first, "last": last, "steps": steps}]


@case(first=PHOTO, last=CHECKS, steps=3)
def pixel_interpolate(model, first, last, steps):
    frames = pixel.interpolate(model, images.read_image(first), images.read_image(last), steps=steps)
    return [export.gif(frames, scale=8), frames, images.grid(frames, columns=steps), {"steps": steps}]


@case(seed=5, zoom=2)
def pixel_map(model, seed, zoom):
    names = explore.plane(model, seed=seed).names
    return [images.grid(explore.latent_map(model, seed=seed, zoom=zoom), columns=explore.CELLS), {"names": names, "prompt": ""}]


@case(x=0.31, y=-0.7, prompt="skull | ghost")
def pixel_map_point(model, **order):
    sprite = explore.decode_point(model, **order)[0]
    return [sprite, images.upscale(sprite, 8), order]


@case(expression="red potion - red + 1.5*blue", n=3, seed=5)
def pixel_arithmetic(model, expression, **order):
    found = explore.work_out(model, expression, **order)
    return [found.results, found.of_terms, found.sums, {"expression": expression, **order}]


@case(picture=PHOTO, side=24, colours=6, scale=4)
def pixel_pixelise(model, picture, scale, **order):
    art = pixelise(images.read_image(picture), **order)
    return [art, images.upscale(art, scale), {**order, "colours_used": palette.count(art)}]


@case(picture=PHOTO)
def pixel_reconstruct(model, picture):
    drawn = explore.reconstruct(model, images.read_image(picture))[0]
    return [drawn, images.upscale(drawn, 8), {"colours_used": palette.count(drawn)}]


@case(picture=CHECKS, columns=2)
def pixel_tile(model, picture, columns):
    image = images.read_image(picture)
    return [tile(image, columns, 3), seam_score(image)._asdict()]


def stamped(model) -> bytes:
    """A sprite with its record, as the library writes it."""
    order = pixel.PixelRequest(prompt="a red potion", n=2, seed=3)
    weights = hub.weight_hash(hub.resolve(pixel.CHECKPOINT))
    record = replay.record(model, "generate", order.to_dict(), ref=pixel.CHECKPOINT, weights=weights)
    return replay.png(pixel.generate_request(model, order), record, index=1)


@case(file=stamped)
def pixel_replay(model, file):
    return [{"outcome": "identical", "record": provenance.read(file)}]


@case(model="pixel-16")
def pixel_load(loaded, /, model):
    return [{"model": model, "weights": hub.weight_hash(hub.resolve(model)), "side": loaded.config.side}]


@case(prompt="Era uma vez", max_new_tokens=24, seed=5, mute="3")
def moc_generate(model, mute, **order):
    written = moc.generate_request(model, moc.MoCRequest(**order, mute=(mute,)))
    return [written.text, {"ids": written.ids, "finish": written.finish, "tokens": len(written.ids)}]


@case(text="Era uma vez uma menina", mute="1")
def moc_council(model, text, mute):
    return [councils.council(model, text, mute=[mute]).to_dict()]


@case(text="Era uma vez uma menina", expert_bias="2=1.5", max_new_tokens=12, seed=3)
def moc_what_if(model, text, expert_bias, **order):
    return [councils.what_if(model, text, expert_bias=[expert_bias], **order).to_dict()]


@case(model="moc-pt")
def moc_load(loaded, /, model):
    return [{"model": model, "weights": hub.weight_hash(hub.resolve(model)), "layers": loaded.config.n_layers}]


# --- the two ways ----------------------------------------------------------------------------------------------------------------


def over_rest(app: App, name: str, values: dict[str, Any]) -> list[Any]:
    sent = {key: app.upload(f"{key}.png", value) if isinstance(value, bytes) else value for key, value in values.items()}
    return [plain(app, value) for value in app.call_named(name, **sent)]


def over_mcp(app: App, name: str, values: dict[str, Any]) -> list[Any]:
    """The same by a tool. What it answers is text; a picture comes twice, to look at and as the address of the file itself."""
    sent = {key: data_url(value) if isinstance(value, bytes) else value for key, value in values.items()}
    _, result = asyncio.run(mcp_call(app, name, sent))
    texts = [part.text for part in result.content if part.type == "text"]
    if result.isError:
        raise Refused(texts[0])
    return [plain(app, value_of(app, text)) for text in texts]


def data_url(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def value_of(app: App, text: str) -> Any:
    url = text.removeprefix("Image URL: ")
    if url.startswith(app.url):
        return {"url": url, "path": url}
    return ast.literal_eval(text) if text.startswith(("{", "[")) else text


def plain(app: App, value: Any) -> Any:
    """An answer without what differs from call to call: files as their bytes, no addresses, no times."""
    if isinstance(value, dict) and {"url", "path"} <= value.keys():
        return app.fetch(value)
    if isinstance(value, dict):
        return {key: part for key, part in value.items() if key not in ("seconds", "tokens_per_second")}
    if isinstance(value, list):
        return [(app.fetch(item["image"]), item["caption"]) for item in value]
    return value


def check(answer: Any, wanted: Any) -> None:
    """Arrays are pictures (of a gallery, when there are several), a dict is part of a report."""
    if isinstance(wanted, np.ndarray):
        shown = images.read_image(answer) if wanted.ndim == 3 else np.stack([images.read_image(data) for data, _ in answer])
        np.testing.assert_array_equal(shown, wanted)
    elif isinstance(wanted, dict):
        assert {key: answer[key] for key in wanted} == json.loads(json.dumps(wanted))
    elif wanted is not ...:
        assert answer == wanted


@pytest.mark.parametrize("name", CASES)
def test_rest_and_mcp_answer_what_the_library_makes(app, loaded, name):
    """Of MCP only pixel_generate was ever called: pixel_map could not be without a prompt, which the page may leave empty."""
    model = loaded[name.partition("_")[0]]
    values = {key: value(model) if callable(value) else value for key, value in CASES[name].values.items()}
    answers = over_rest(app, name, values)
    assert over_mcp(app, name, values) == answers
    for answer, wanted in zip(answers, CASES[name].expected(model, **values), strict=True):
        check(answer, wanted)


def test_every_endpoint_is_a_tool_and_has_a_test(app, listed):
    tools, _ = asyncio.run(mcp_call(app, "pixel_load", {}))
    assert set(listed) == {tool.name for tool in tools} == CASES.keys() | IN_ONE_COURSE


def test_a_caller_by_name_may_leave_out_what_the_function_has_a_default_for_and_send_numbers_as_numbers(listed):
    """Gradio describes an argument by its field on the page. Where that was empty, MCP required arguments that the description calls
    optional, and where it was a choice of numbers, as of the side of pixel art, MCP took neither a number nor a text.
    """
    amiss = set()
    for family in FAMILIES:
        demo, default_model = importlib.import_module(f"lunaris.{family}.demo"), importlib.import_module(f"lunaris.{family}").CHECKPOINT
        modules = [importlib.import_module(f"{demo.__name__}.{module.name}") for module in pkgutil.iter_modules(demo.__path__)]
        for endpoint in (name for name in listed if name.startswith(family)):
            handler = next(vars(module)[endpoint] for module in modules if endpoint in vars(module))
            defaults = {p.name: p.default for p in inspect.signature(handler).parameters.values() if p.default is not p.empty}
            for argument in (argument for argument in listed[endpoint] if argument["parameter_name"] in defaults):
                name, default = argument["parameter_name"], defaults[argument["parameter_name"]]
                given = argument["parameter_default"] if argument["parameter_has_default"] else None
                number = isinstance(default, (int, float))
                if given not in (default, default_model if name == "model" else default):
                    amiss.add((endpoint, name))
                if number != (argument["type"].get("type") in ("integer", "number")):
                    amiss.add((endpoint, name))
    assert not amiss


def test_over_mcp_a_file_is_sent_along_or_lies_on_this_server(app):
    """The tools asked for "a http or https url" and refused every one, those of their own results too: only data: URLs got through."""
    path = app.upload("checks.png", CHECKS)["path"]
    url = f"{app.url}/gradio_api/file={path}"
    tiled, seams = over_mcp(app, "pixel_tile", {"picture": CHECKS})
    np.testing.assert_array_equal(images.read_image(tiled), tile(images.read_image(CHECKS), 3, 3))
    for picture in (path, url, f"{url}?download=1"):
        assert over_mcp(app, "pixel_tile", {"picture": picture}) == [tiled, seams]
    _, made = asyncio.run(mcp_call(app, "pixel_tile", {"picture": url, "columns": 1, "rows": 1}))
    result = next(part.text for part in made.content if part.type == "text").removeprefix("Image URL: ")
    assert over_mcp(app, "pixel_tile", {"picture": result}) == [tiled, seams]


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (
            "https://example.com/gradio_api/file=a.png",
            "an address of a file must be one that this server gave, got one at 'example.com'; .*",
        ),
        ("{url}.example.com/gradio_api/file={path}", "an address of a file must be one that this server gave, .*"),
        ("{url}@example.com/gradio_api/file={path}", "an address of a file must be one that this server gave, .*"),
        ("file://{path}", "an address of a file must be one that this server gave, .*"),
        ("{url}/favicon.ico", "an address of a file must be one that this server gave, .*"),
        ("{url}/gradio_api/file=/etc/passwd", "files must be uploaded to this server first, .*"),
        ("{url}/gradio_api/file={path}/../../../../../../etc/passwd", "files must be uploaded to this server first, .*"),
        ("{url}/gradio_api/file=%2Fetc%2Fpasswd", "files must be uploaded to this server first, .*"),
        ("/etc/passwd", "files must be uploaded to this server first, .*"),
        ("{path}\0", "this server has no such file, or no longer; .*"),
        ("{path}.png", "this server has no such file, or no longer; .*"),
        ("data:image/png,abc", "a data: URL must be in base64, .*"),
        ("data:image/png;base64,abcde", "a data: URL must be in base64, .*"),
    ],
)
def test_over_mcp_no_other_file_is_read_and_no_address_asked(app, picture, sentence):
    """Gradio's MCP server opens the path of a file that it is sent as an object, be it any file of the machine, and uploads it itself.

    A tool that takes a file as text refuses an object, but not one in an argument that it does not know.
    """
    path = app.upload("checks.png", CHECKS)["path"]
    named = picture.format(url=app.url, path=path)
    for name, values in (
        ("pixel_tile", {"picture": named}),
        ("pixel_replay", {"file": named}),
        ("pixel_tile", {"picture": path, "other": {"path": named, "meta": {"_type": "gradio.FileData"}}}),
    ):
        with pytest.raises(Refused, match=f"^{sentence}$"):
            over_mcp(app, name, values)


def test_the_tools_say_which_files_they_take(app):
    """What a list of files refers to stood where no client looks for it, so that no call of pixel_retrain_start got through its check;
    pixel_replay asked for an object, and did not say what belongs into it."""
    tools, _ = asyncio.run(mcp_call(app, "pixel_load", {}))
    schemas = {tool.name: tool.inputSchema for tool in tools}
    assert "$" not in json.dumps(schemas)
    tiled, retrained = schemas["pixel_tile"]["properties"]["picture"], schemas["pixel_retrain_start"]["properties"]["files"]
    replayed = schemas["pixel_replay"]["properties"]["file"]
    assert "data: URL" in tiled["format"]
    assert tiled["description"].startswith("The picture")
    assert (replayed["type"], replayed["format"]) == ("string", tiled["format"])
    assert (retrained["type"], retrained["items"]) == ("array", {"type": "string", "format": tiled["format"]})


def test_a_text_comes_as_it_grows(app, loaded):
    """moc_generate tells over REST what it has written so far: each piece goes on from the one before, up to what the library writes."""
    accepted = app.post("/gradio_api/call/v2/moc_generate", {"prompt": "Era uma vez", "max_new_tokens": 200, "seed": 5}).json()
    stream = httpx.get(f"{app.url}/gradio_api/call/v2/moc_generate/{accepted['event_id']}", timeout=120).text
    told = [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: [")]
    texts = [text for text, _ in told]
    assert texts[-1] == moc.generate(loaded["moc"], "Era uma vez", max_new_tokens=200, seed=5)
    assert any(0 < len(text) < len(texts[-1]) for text in texts)
    assert all(later.startswith(earlier) for earlier, later in zip(texts, texts[1:], strict=False))
    assert told[0][1]["finish"] == "writing" != told[-1][1]["finish"]


# --- a training ------------------------------------------------------------------------------------------------------------------


def test_a_training_is_started_watched_and_taken_home_as_the_command_line_does(app, tmp_path):
    """Over REST and MCP with equal answers; started over MCP, where no list of files was accepted."""
    torch.manual_seed(0)
    config = PixelConfig.tiny().replace(latent_dim=8, filters=(8, 16))
    small = prepare(config, PixelTrainConfig.tiny().replace(device="cpu"), load_source("procedural", side=16, n=64))
    base = str(pixel.save(small, tmp_path / "base", card="---\nlicense: mit\n---\n"))
    (tmp_path / "pictures").mkdir()
    for i, sprite in enumerate(sprites.make(8, side=16, seed=1).images):
        (tmp_path / f"pictures/red_thing-{i}.png").write_bytes(images.png_bytes(sprite))

    uploads = [app.upload(path.name, path.read_bytes())["path"] for path in sorted((tmp_path / "pictures").iterdir())]
    uploads = [f"{app.url}/gradio_api/file={path}" if i % 2 else path for i, path in enumerate(uploads)]
    order = {"caption": "a red thing", "steps": 10, "name": "mine", "model": base}
    (started,) = over_mcp(app, "pixel_retrain_start", {"files": uploads, **order})
    assert (started["pictures"], started["notes"]) == (8, [])
    job, deadline = {"job": started["job"]}, time.monotonic() + 120
    while (status := over_rest(app, "pixel_retrain_status", job))[0]["state"] != "done":
        assert status[0]["state"] in ("waiting", "running") and time.monotonic() < deadline, status
        time.sleep(0.3)
    assert over_mcp(app, "pixel_retrain_status", job) == status
    assert over_rest(app, "pixel_retrain_cancel", job) == over_mcp(app, "pixel_retrain_cancel", job) == [{"state": "done"}]
    for way in (over_rest, over_mcp):
        with pytest.raises(Refused, match="^only a stopped training can be resumed, and this one is done; start a new one$"):
            way(app, "pixel_retrain_resume", job)
    (checkpoint,) = over_rest(app, "pixel_retrain_download", job)
    assert over_mcp(app, "pixel_retrain_download", job) == [checkpoint]

    with zipfile.ZipFile(io.BytesIO(checkpoint)) as archive:
        archive.extractall(tmp_path / "home")
    request = retrain.RetrainRequest(steps=10)
    retrain.retrain_folder(tmp_path / "pictures", tmp_path / "mine", request, base_ref=base, caption="a red thing", name="mine", tell=str)
    served, own = (hub.load_tensors(folder) for folder in (tmp_path / "home/mine", tmp_path / "mine"))
    assert served.keys() == own.keys() and all(torch.equal(served[name], tensor) for name, tensor in own.items())
