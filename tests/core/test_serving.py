"""core.serving: where it listens, what it answers when a family or a request is broken."""

import asyncio
import json
import logging
import socket
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from fastapi.testclient import TestClient
from gradio.routes import App

import lunaris
from lunaris.core import serving, ui

# --- listening -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", ["http", "-1", "65536", "7860.5", "１２"])
def test_a_port_that_is_no_port_is_one_sentence(port):
    with pytest.raises(ValueError, match="GRADIO_SERVER_PORT must be a whole number from 0 to 65535, got .*; try 7860") as error:
        serving.listen("", port)
    assert "\n" not in str(error.value)


def test_a_port_that_is_taken_is_one_sentence():
    with serving.listen("", "0") as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(ValueError, match=f"cannot listen on 127.0.0.1:{port}: address already in use; .*GRADIO_SERVER_PORT"):
            serving.listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no such host", "256.1.1.1", "x" * 300])
def test_an_address_that_is_none_is_one_sentence(host, monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ValueError, match="GRADIO_SERVER_NAME must be an address of this machine, got .*; try 127.0.0.1"):
        serving.listen(host, "0")


def test_it_listens_where_it_is_told():
    with serving.listen("0.0.0.0", "0") as everywhere, serving.listen("", "0") as here:
        assert everywhere.getsockname()[0] == "0.0.0.0"
        assert here.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(("host", "reachable"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("10.0.0.3", "10.0.0.3")])
def test_the_server_knows_how_to_reach_itself(host, reachable):
    assert serving._reachable(host) == reachable


# --- families --------------------------------------------------------------------------------------------------------------------


def families_from(**modules):
    """An importer that knows `lunaris.<name>` and `lunaris.<name>.demo` only as given."""

    def load(name):
        found = modules[name.removeprefix("lunaris.").replace(".demo", "_demo")]
        if isinstance(found, Exception):
            raise found
        return found

    return load


def good_demo():
    with gr.Blocks() as demo:
        box = gr.Textbox()
        box.submit(lambda text: text.upper(), box, box, api_name="good_shout")
    return demo


def broken_demo():
    raise RuntimeError("weights <missing>")


@pytest.fixture
def half_broken():
    """A hub of three families: one works, one cannot be imported, one cannot be built."""
    load = families_from(
        good=SimpleNamespace(TITLE={"en": "Good", "pt-BR": "Bom"}),
        good_demo=SimpleNamespace(build_demo=good_demo),
        bad=ModuleNotFoundError("bad needs badlib: pip install badlib"),
        worse=SimpleNamespace(TITLE={"en": "Worse", "pt-BR": "Pior"}),
        worse_demo=SimpleNamespace(build_demo=broken_demo),
    )
    return serving.create_app(("good", "bad", "worse"), build=lambda name: serving.build_tab(name, load))


def test_a_broken_family_says_so_on_its_own_tab_and_the_rest_work(half_broken):
    with TestClient(half_broken) as client:
        assert client.get("/").status_code == 200
        markup = json.dumps(client.get("/config").json())
        assert "bad needs badlib: pip install badlib" in markup
        assert "weights &lt;missing&gt;" in markup
        event = client.post("/gradio_api/call/good_shout", json={"data": ["hi"]}).json()["event_id"]
        assert 'data: ["HI"]' in client.get(f"/gradio_api/call/good_shout/{event}").text


def test_healthz_names_the_families_that_are_broken(half_broken):
    with TestClient(half_broken) as client:
        answer = client.get("/healthz").json()
    assert answer["status"] == "degraded"
    assert answer["version"] == lunaris.__version__
    assert {name: family["state"] for name, family in answer["families"].items()} == {"good": "ready", "bad": "broken", "worse": "broken"}
    assert answer["families"]["worse"]["error"] == "RuntimeError: weights <missing>"


def test_the_traceback_of_a_broken_family_is_in_the_log(caplog):
    load = families_from(worse=SimpleNamespace(TITLE={"en": "W", "pt-BR": "W"}), worse_demo=SimpleNamespace(build_demo=broken_demo))
    with caplog.at_level(logging.ERROR, "lunaris"):
        tab = serving.build_tab("worse", load)
    assert tab.error
    assert "in broken_demo" in caplog.text


# --- requests --------------------------------------------------------------------------------------------------------------------


def send_body(
    *parts: bytes, limit: int = 10, announced: str | None = None, path: str = "/gradio_api/call/x", root: str = ""
) -> tuple[list[dict], list[bytes]]:
    """What `BodyLimit` sends back for a body in these parts, and what reached the app behind it."""
    sent, reached = [], []
    messages = [{"type": "http.request", "body": part, "more_body": i + 1 < len(parts)} for i, part in enumerate(parts)]
    headers = [] if announced is None else [(b"content-length", announced.encode())]

    async def app(scope, receive, send):
        more = True
        while more:
            message = await receive()
            reached.append(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": headers, "path": root + path, "root_path": root}
    asyncio.run(serving.BodyLimit(app, limit, upload=4 * limit)(scope, receive, send))
    return sent, reached


def test_a_body_within_the_limit_passes():
    sent, reached = send_body(b"12345", b"67890")
    assert reached == [b"12345", b"67890"]
    assert sent[0]["status"] == 200


@pytest.mark.parametrize("announced", ["11", "x", "-1"])
def test_an_announced_body_over_the_limit_is_refused_unread(announced):
    sent, reached = send_body(b"12345678901", announced=announced)
    assert reached == []
    assert sent[0]["status"] == 413


def test_an_unannounced_body_is_refused_where_it_passes_the_limit():
    sent, reached = send_body(b"12345", b"678901", b"more")
    assert reached == [b"12345"]
    assert [message["status"] for message in sent if "status" in message] == [413]


@pytest.mark.parametrize("root", ["", "/behind/a/proxy"])
def test_an_upload_may_be_larger_up_to_a_bound_of_its_own(root):
    upload = {"path": serving.BodyLimit.UPLOAD, "root": root}
    assert send_body(b"1" * 20, b"2" * 20, announced="40", **upload)[0][0]["status"] == 200
    for announced in ("41", None):
        assert [m["status"] for m in send_body(b"1" * 20, b"2" * 21, announced=announced, **upload)[0] if "status" in m] == [413]
    assert send_body(b"1" * 20, path="/gradio_api/mcp" + serving.BodyLimit.UPLOAD)[0][0]["status"] == 413


def test_five_pictures_of_two_megabytes_are_uploaded_in_one_go():
    """The Retrain view takes 200 pictures of up to 2 MB. The browser sends them all in one request, which had to stay under 8 MB."""
    with TestClient(serving.create_app(())) as client:
        sent = client.post("/gradio_api/upload", files=[("files", (f"{i}.png", bytes([i]) * 2 * 2**20)) for i in range(5)])
        assert sent.status_code == 200
        assert [Path(path).stat().st_size for path in sent.json()] == [2 * 2**20] * 5
        large = {"content-length": str(ui.MAX_UPLOAD_SIZE + 1)}
        refused = client.post("/gradio_api/upload", content=b"x", headers={"content-type": "multipart/form-data; boundary=y", **large})
        assert (refused.status_code, refused.json()["error"]) == (413, "a request must be at most 64 MB; send less")
        call = client.post("/gradio_api/queue/join", content=b" " * (ui.MAX_BODY_SIZE + 1))
        assert (call.status_code, call.json()["error"]) == (413, "a request must be at most 8 MB; send less")


def test_an_error_nobody_expected_is_a_report_number_not_a_traceback(caplog):
    app = serving.create_app(())
    inner = app.routes[-1].app

    @inner.get("/gradio_api/fail", name="fail")
    def fail():
        raise RuntimeError("secret")

    inner.router.routes.insert(0, inner.router.routes.pop())
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/gradio_api/fail")
    assert answer.status_code == 500
    assert "report" in answer.json()["error"]
    assert "secret" not in answer.text
    assert "secret" in caplog.text


# --- MCP -------------------------------------------------------------------------------------------------------------------------


def list_demo():
    with gr.Blocks() as demo:
        given = gr.File(file_count="multiple")
        given.upload(lambda files: len(files), given, gr.Number(), api_name="count_files")
    return demo


def test_a_space_describes_its_files_as_the_hub_does(monkeypatch):
    """What Gradio's MCP tools lack was mended in the hub alone: in a Space several outputs came as one text."""
    monkeypatch.setattr(gr.Blocks, "launch", lambda self, app_kwargs, **_: App.create_app(self, app_kwargs=app_kwargs, mcp_server=True))
    hub = serving.create_app(("x",), build=lambda name: serving.Tab({"en": "X", "pt-BR": "X"}, list_demo()))
    for app in (hub, ui.launch(list_demo())):
        with TestClient(app) as client:
            (tool,) = client.get("/gradio_api/mcp/schema").json()
        (files,) = tool["inputSchema"]["properties"].values()
        assert files["items"] == {"type": "string", "format": serving.FILE_FORMAT}


@pytest.mark.parametrize(
    "text", ["https://example.com/a.png", "/etc/passwd", "nothing.png", "x" * 5000, "a\ud800.png", "data:image/png,abc"]
)
def test_what_is_wrong_with_a_file_reads_as_portuguese(text, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ui.UploadError) as error:
        serving.file_named(text, ["http://localhost:7860"])
    english = str(error.value)
    portuguese = ui.in_portuguese(english)
    assert portuguese.split(";")[0] != english.split(";")[0]
    assert not {"file", "server", "send", "got", "must"} & set(portuguese.replace(",", "").replace(";", "").split())
