"""The hub as a web server: FastAPI with the Gradio page at /, /healthz, and the limits that keep a public server up (HB-04).

Nothing here imports torch: models load on the first click, or in the background once the server answers.
"""

import base64
import contextlib
import errno
import functools
import importlib
import logging
import mimetypes
import operator
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import lunaris
from lunaris.core import runtime, ui

if TYPE_CHECKING:
    import gradio as gr
    from fastapi import FastAPI

log = logging.getLogger("lunaris")

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 7860

# --- families --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tab:
    """One family's place in the hub: its demo, or the sentence that says why it has none."""

    title: Mapping[str, str]
    demo: "gr.Blocks | None" = None
    error: str | None = None
    warm: Callable[[], Any] | None = None


def build_tab(name: str, load: Callable[[str], ModuleType] = importlib.import_module) -> Tab:
    """The tab of family `name`. A family that cannot be imported or built gives a tab that says so; the traceback is logged."""
    title = {language: name for language in ui.LANGUAGES}
    try:
        title = load(f"lunaris.{name}").TITLE
        demo = load(f"lunaris.{name}.demo")
        return Tab(title, demo.build_demo(), warm=getattr(demo, "warm", None))
    except Exception as error:
        log.exception("the tab of %s could not be built", name)
        return Tab(title, error=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


# --- the server ------------------------------------------------------------------------------------------------------------------


def create_app(families: Sequence[str] | None = None, *, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT, build=build_tab) -> "FastAPI":
    """The whole hub as an ASGI app. `host` and `port` are where it will listen: MCP calls the server back there."""
    import gradio as gr
    from fastapi import FastAPI

    tabs = {name: build(name) for name in (lunaris.FAMILIES if families is None else families)}
    app = FastAPI(title="Lunaris", version=lunaris.__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.tabs = tabs
    whole = ui.page(
        {name: ui.broken_tab(tab.error) if tab.error else tab.demo for name, tab in tabs.items()},
        {name: tab.title for name, tab in tabs.items()},
    )
    gr.mount_gradio_app(app, whole, path="/", server_name=host, server_port=port, **ui.page_options(lambda: health(tabs)))
    whole.has_launched = True  # only `launch` says so, and without it Gradio lets callers name any file as their upload
    if whole.mcp_server_obj:
        # Otherwise the Host header of the first call would decide where this server sends every MCP call.
        whole.mcp_server_obj._local_url = f"http://{_reachable(host)}:{port}/"
    return app


def _reachable(host: str) -> str:
    """The address at which this machine reaches its own server."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def health(tabs: Mapping[str, Tab]) -> dict[str, Any]:
    """What /healthz answers: ok, or degraded when a tab is broken; the other tabs still work then."""
    from lunaris.core import models

    families = {
        name: {"state": "broken", "error": tab.error} if tab.error else {"state": "ready", "loaded": models.shared().names(name)}
        for name, tab in tabs.items()
    }
    broken = any(tab.error for tab in tabs.values())
    return {"status": "degraded" if broken else "ok", "version": lunaris.__version__, "families": families}


# --- MCP: what Gradio's tools take and give ---------------------------------------------------------------------------------------

FILE_FORMAT = "Gradio File Input - a data: URL such as data:image/png;base64,..., or this server's own URL or path of a file"


def mend_mcp(server: Any) -> None:
    """Make Gradio's MCP `server` describe files as it takes them, take them from itself alone, and give pictures as pictures."""
    server.simplify_filedata_schema = _self_contained(server.simplify_filedata_schema)
    server.convert_strings_to_filedata = functools.partial(_with_files, server)
    server.postprocess_output_data = _each_output(server.postprocess_output_data)


def _self_contained(inner: Callable) -> Callable:
    """Gradio keeps the `$defs` of a list of files inside the argument, where no client finds them, and asks for any address."""

    def simplify_filedata_schema(schema: dict[str, Any]) -> tuple[dict[str, Any], list[list[str]]]:
        simple, places = inner(_without_refs(schema, {}))
        for *way, last in places:
            holder = functools.reduce(operator.getitem, way, simple["properties"])
            said = {} if way else holder[last]  # in a list, what is said of an item is about a class of Gradio's
            holder[last] = {**said, "type": "string", "format": FILE_FORMAT}
        return simple, places

    return simplify_filedata_schema


def _without_refs(schema: Any, defs: dict[str, Any]) -> Any:
    """A schema with what it refers to in place."""
    if isinstance(schema, list):
        return [_without_refs(item, defs) for item in schema]
    if not isinstance(schema, dict):
        return schema
    defs = {**defs, **schema.get("$defs", {})}
    named = defs[schema["$ref"].removeprefix("#/$defs/")] if "$ref" in schema else {}
    return {key: _without_refs(value, defs) for key, value in {**named, **schema}.items() if key not in ("$defs", "$ref")}


def _with_files(server: Any, arguments: dict[str, Any], places: list[list[str]]) -> dict[str, Any]:
    """The arguments of a tool with their files as Gradio wants them; `places` says where the schema has files."""
    from gradio.route_utils import get_root_url

    request = server.mcp_server.request_context.request
    own = {get_root_url(request, server.get_route_path(request), server.root_path), server.local_url or ""}

    def filled(value: Any, place: list[str]) -> Any:
        if isinstance(value, list):
            return [filled(item, [*place, "items"]) for item in value]
        if isinstance(value, dict) and not isinstance(value.get("path"), str):
            return {key: filled(item, [*place, key]) for key, item in value.items()}
        if isinstance(value, dict):
            return file_named(value["path"], own)
        return file_named(value, own) if isinstance(value, str) and place in places else value

    try:
        return filled(arguments, [])
    except ui.UploadError as error:
        raise ui.UploadError(ui.sentence_of(error, ui.language_of(request))) from None


def file_named(text: str, own: Collection[str]) -> dict[str, Any]:
    """The file that a caller over MCP sends as a data: URL, or names by its path or by its URL below one of `own`.

    Nothing is ever fetched, and nothing outside Gradio's upload folder is read: otherwise this raises `ui.UploadError`.
    """
    if text.startswith("data:"):
        path = _kept(text)
    elif "://" in text:
        address, _, path = text.partition("://")[2].partition("/gradio_api/file=")
        if address not in {url.partition("://")[2].rstrip("/") for url in own}:
            host = address.partition("/")[0][:60]
            raise ui.UploadError(
                f"an address of a file must be one that this server gave, got one at {host!r}; send the file as a data: URL"
            )
        path = unquote(path.partition("?")[0])
    else:
        path = text
    if path.isprintable():  # else no file can have the name, and asking for it may raise anything
        ui.check_files({"path": path})
    if not (path.isprintable() and os.path.isfile(path)):
        raise ui.UploadError("this server has no such file, or no longer; send it as a data: URL")
    return {"path": path, "orig_name": Path(path).name, "meta": {"_type": "gradio.FileData"}}


def _kept(data_url: str) -> str:
    head, _, encoded = data_url.partition(",")
    try:
        if not head.endswith(";base64"):
            raise ValueError
        kind = head.removeprefix("data:").partition(";")[0]
        return ui.keep(f"file{mimetypes.guess_extension(kind) or '.bin'}", base64.b64decode(encoded))
    except ValueError:
        raise ui.UploadError("a data: URL must be in base64, got another; write it as data:image/png;base64,...") from None


def _each_output(inner: Callable) -> Callable:
    """Gradio hands several outputs of an MCP tool over as one, as text; taken apart, a picture among them is a picture."""

    def postprocess_output_data(data: Any, root_url: str) -> list:
        several = len(data) == 1 and isinstance(data[0], (list, tuple))
        return inner(list(data[0]) if several else data, root_url)

    return postprocess_output_data


# --- manners: what Gradio's routes answer to a request that makes no sense ---------------------------------------------------------


class BodyLimit:
    """ASGI middleware that refuses a request body over `limit` bytes with 413, announced or not; what goes to UPLOAD may have `upload`."""

    UPLOAD = "/gradio_api/upload"

    def __init__(self, app, limit: int, upload: int | None = None):
        self.app, self.limit, self.upload = app, limit, upload or limit

    async def __call__(self, scope, receive, send):
        from starlette.responses import JSONResponse

        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = self.upload if scope["path"].removeprefix(scope.get("root_path", "")) == self.UPLOAD else self.limit
        refusal = JSONResponse({"error": f"a request must be at most {limit // 2**20} MB; send less"}, 413)
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > limit:
            return await refusal(scope, receive, send)
        received = 0

        async def counted():
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                await refusal(scope, receive, send)
                raise _TooLarge
            return message

        async def unless_refused(message):
            if received <= limit:  # what the app makes of the broken-off body is of no use any more
                await send(message)

        with contextlib.suppress(_TooLarge):
            await self.app(scope, counted, unless_refused)


class _TooLarge(Exception):
    pass


def app_kwargs(healthz: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """FastAPI arguments for Gradio's own app: /healthz, a bound on the request body, `mend_mcp`, and 404, 422 and one sentence where
    Gradio would answer 500 and log a traceback."""
    from fastapi.exceptions import RequestValidationError
    from gradio.route_utils import FnIndexInferError
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    def answer_health(request: Request) -> JSONResponse:
        return JSONResponse(healthz())

    def no_endpoint(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "no such endpoint; GET /gradio_api/info lists them"}, 404)

    def lookup(request: Request, error: Exception) -> JSONResponse:
        # an unknown api_name or fn_index is a KeyError on these routes
        asks_by_name = request.url.path.startswith(("/gradio_api/call/", "/gradio_api/queue/join"))
        return no_endpoint(request, error) if asks_by_name else unexpected(request, error)

    def malformed(request: Request, error: Exception) -> JSONResponse:
        if request.method != "POST":
            return unexpected(request, error)
        return JSONResponse({"error": ui.TEXTS.say("malformed", ui.language_of(request))}, 422)

    def unexpected(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": ui.report(error, ui.language_of(request))}, 500)

    @contextlib.asynccontextmanager
    async def lifespan(app):
        if server := app.get_blocks().mcp_server_obj:
            mend_mcp(server)
        yield

    refusals = (RequestValidationError, TypeError, ValueError, RecursionError)  # the last: JSON nested a thousand deep
    handlers = {FnIndexInferError: no_endpoint, LookupError: lookup, **dict.fromkeys(refusals, malformed), Exception: unexpected}
    return {
        "routes": [Route("/healthz", answer_health)],
        "exception_handlers": handlers,
        "lifespan": lifespan,
        "middleware": [Middleware(BodyLimit, limit=ui.MAX_BODY_SIZE, upload=ui.MAX_UPLOAD_SIZE)],
    }


# --- python app.py ---------------------------------------------------------------------------------------------------------------


def serve(families: Sequence[str] | None = None) -> None:
    """Run the hub until it is stopped, at GRADIO_SERVER_NAME:GRADIO_SERVER_PORT (127.0.0.1:7860).

    A port that is taken or a value that makes no sense ends the process with one sentence and exit code 2.
    """
    try:
        runtime.one_thread_per_request()
        listening = listen(os.environ.get("GRADIO_SERVER_NAME", "").strip(), os.environ.get("GRADIO_SERVER_PORT", "").strip())
    except ValueError as error:
        print(f"app.py: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    import uvicorn

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "mcp"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    host, port = listening.getsockname()[:2]
    app = create_app(families, host=host, port=port)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
    threading.Thread(target=_announce_and_warm, args=(server, app.state.tabs, f"http://{_reachable(host)}:{port}"), daemon=True).start()
    server.run(sockets=[listening])


def listen(host: str, port: str) -> socket.socket:
    """A socket bound to host and port as text ("" = the default). Raises ValueError with one sentence."""
    host, port = host or DEFAULT_HOST, port or str(DEFAULT_PORT)
    if not (port.isascii() and port.isdecimal()) or not 0 <= int(port) <= 65535:
        raise ValueError(f"GRADIO_SERVER_PORT must be a whole number from 0 to 65535, got {port!r}; try {DEFAULT_PORT}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError):
        raise ValueError(f"GRADIO_SERVER_NAME must be an address of this machine, got {host!r}; try {DEFAULT_HOST} or 0.0.0.0") from None
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)  # two servers may bind one address; only one may listen
    except OSError as error:
        listening.close()
        remedy = "stop the other program or set GRADIO_SERVER_PORT to a free port" if error.errno == errno.EADDRINUSE else "choose another"
        raise ValueError(f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0).lower()}; {remedy}") from None
    return listening


def _announce_and_warm(server, tabs: Mapping[str, Tab], url: str) -> None:
    """Say where the hub is once it answers, then load what the first click will need."""
    while not server.started:
        if server.should_exit:
            return
        time.sleep(0.05)
    print(f"Lunaris is ready: {url}", flush=True)
    for name, tab in tabs.items():
        if tab.warm:
            try:
                tab.warm()
            except Exception as error:  # the visitor gets the same error as a sentence, on the first click
                log.warning("the model of %s is not ready: %s", name, " ".join(str(error).split()))
