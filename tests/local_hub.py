"""A Hugging Face Hub on this machine that speaks the real protocol to the real `huggingface_hub` client (HB-10).

    with LocalHub() as hub:
        os.environ.update(hub.env)      # before huggingface_hub is imported: it reads HF_ENDPOINT once
        ...

or, for another process, `python tests/local_hub.py --port 8765` (prints the variables to export and serves until interrupted).

Everything lives in memory: repositories of models, datasets and Spaces with commits, branches and tags, files over git-LFS, accounts
with read and write tokens. `hub.log` is the list of requests, `hub.faults` makes the Hub misbehave:

    hub.faults.append({"match": r"POST .*/commit/", "status": 503, "times": 2})     # fail twice, then work
    hub.faults.append({"match": r"GET /api/models", "hang_s": 60})                  # no answer for a minute
    hub.faults.append({"match": r"GET /_lfs/", "cut": 100})                         # the connection ends after 100 bytes

A fault is a dict: `match` (regex searched in "METHOD path?query"), `times` (how often it strikes, default: always), and what it does:
`status` with optional `message`, `code` (X-Error-Code), `body`, `headers`; `after` (with `status`: the request is carried out and only
its answer is lost); `hang_s` (seconds before anything else); `cut` (bytes).

Large files are served from `localhost` while the Hub is `127.0.0.1`: the client follows a redirect on one origin itself and then asks
the storage for headers that only the Hub sends, so storage must be another origin, as it is in the real world.
"""

import argparse
import asyncio
import base64
import binascii
import contextlib
import datetime
import fnmatch
import hashlib
import json
import re
import secrets
import signal
import socket
import tempfile
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlencode

import uvicorn
import yaml
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

KINDS = ("models", "datasets", "spaces")
PREFIX = {"models": "", "datasets": "datasets/", "spaces": "spaces/"}
PAGE_SIZE = 1000
_LFS = (
    ".7z .arrow .bin .bz2 .ckpt .ftz .gz .h5 .joblib .mlmodel .model .msgpack .npy .npz .onnx .ot .parquet .pb .pickle .pkl .pt .pth "
    ".rar .safetensors .tar .tflite .tgz .wasm .xz .zip .zst"
)
LFS_SUFFIXES = tuple(_LFS.split())
LFS_SIZE = 10 * 1024 * 1024
GITATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES).encode()


# --- accounts -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Account:
    """Who a token belongs to and what it may do."""

    name: str
    role: str = "write"  # or "read"
    organizations: tuple[str, ...] = ()


WRITE_TOKEN, READ_TOKEN, OTHER_TOKEN = "hf_local_write", "hf_local_read", "hf_local_other"
ACCOUNTS = {
    WRITE_TOKEN: Account("lunar", "write", ("moonlab",)),
    READ_TOKEN: Account("lunar", "read", ("moonlab",)),
    OTHER_TOKEN: Account("stranger", "write"),
}


# --- repositories ---------------------------------------------------------------------------------------------------------------


def git_sha1(data: bytes) -> str:
    """The id git gives a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass(frozen=True)
class Blob:
    """One file's content; `lfs` when it is kept in large-file storage."""

    data: bytes
    lfs: bool = False

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def pointer(self) -> bytes:
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()

    @property
    def oid(self) -> str:
        return git_sha1(self.pointer if self.lfs else self.data)


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str | None
    title: str
    message: str
    author: str
    date: str
    files: dict[str, Blob]


@dataclass
class Repo:
    """A repository; `commits` maps ids to commits, branches and tags point into it."""

    kind: str
    id: str
    private: bool = False
    gated: str | bool = False
    sdk: str | None = None
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    variables: dict[str, dict] = field(default_factory=dict)
    secrets: dict[str, dict] = field(default_factory=dict)
    hardware: str = "cpu-basic"
    stage: str = "RUNNING"
    sleep_time: int | None = 172800
    restarts: int = 0
    created_at: str = field(default_factory=lambda: _now())

    @property
    def owner(self) -> str:
        return self.id.split("/")[0]

    def resolve(self, revision: str) -> Commit | None:
        """The commit of a branch, a tag or an id (at least 5 hex digits of it)."""
        oid = self.branches.get(revision) or self.tags.get(revision)
        if oid is None and re.fullmatch(r"[0-9a-f]{5,40}", revision):
            oid = next((known for known in self.commits if known.startswith(revision)), None)
        return self.commits.get(oid) if oid else None

    def commit(self, files: dict[str, Blob], title: str, *, message: str = "", author: str = "lunar", branch: str = "main") -> Commit:
        """Record `files` (the whole tree) as the newest commit of `branch`."""
        parent = self.branches.get(branch)
        tree = sorted((path, blob.oid) for path, blob in files.items())
        oid = hashlib.sha1(json.dumps([self.kind, self.id, parent, title, message, tree, len(self.commits)]).encode()).hexdigest()
        self.commits[oid] = Commit(oid, parent, title, message, author, _now(), dict(files))
        self.branches[branch] = oid
        return self.commits[oid]

    def history(self, commit: Commit) -> list[Commit]:
        line = [commit]
        while line[-1].parent:
            line.append(self.commits[line[-1].parent])
        return line

    def card(self, commit: Commit) -> dict:
        """The YAML front matter of README.md, empty when there is none or it is broken."""
        readme = commit.files.get("README.md")
        try:
            return front_matter(readme.data.decode()) if readme else {}
        except ValueError:
            return {}


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


# --- cards ----------------------------------------------------------------------------------------------------------------------

_LICENSES = (
    "apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigcode-openrail-m afl-3.0 artistic-2.0 bsl-1.0 bsd "
    "bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 "
    "cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 "
    "cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 "
    "eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c ms-pl apple-ascl mpl-2.0 odc-by odbl openrail++ "
    "osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license llama2 llama3 gemma unknown other"
)
LICENSES = set(_LICENSES.split())
SPACE_COLORS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
SPACE_SDKS = {"gradio", "docker", "static", "streamlit"}


def front_matter(text: str) -> dict:
    """The YAML table between the two `---` lines on top; ValueError when it is not YAML or no table."""
    match = re.match(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n?---[ \t]*(\r?\n|\Z)", text, re.DOTALL)
    if not match:
        return {}
    try:
        data = yaml.safe_load(match.group(1))
    except yaml.YAMLError as error:
        raise ValueError(f"YAML Metadata Error: {' '.join(str(error).split())}") from None
    if data is not None and not isinstance(data, dict):
        raise ValueError("YAML Metadata Error: metadata must be a table of keys and values")
    return data or {}


def check_card(text: str, kind: str) -> tuple[list[str], list[str]]:
    """(errors, warnings) of a README, by the rules of the Hub that our cards can break."""
    try:
        data = front_matter(text)
    except ValueError as error:
        return [str(error)], []
    if not data:
        return ([], ["empty or missing yaml metadata in repo card"]) if kind != "space" else (["Missing configuration in README"], [])
    errors = [*_shared_errors(data), *(_space_errors(data) if kind == "space" else _model_errors(data) if kind == "model" else [])]
    return errors, []


def _shared_errors(data: dict) -> list[str]:
    errors = []
    licenses = data.get("license")
    for name in licenses if isinstance(licenses, list) else [licenses] if licenses is not None else []:
        if name not in LICENSES:
            errors.append(f'"license" must be one of {sorted(LICENSES)}')
    for key in ("tags", "datasets", "language"):
        values = data.get(key, [])
        if not isinstance(values, (list, str)) or not all(isinstance(value, str) for value in values):
            errors.append(f'"{key}" must be an array of strings')
    languages = data.get("language") or []
    for code in [languages] if isinstance(languages, str) else languages:
        if isinstance(code, str) and not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z]+)?|code|multilingual", code):
            errors.append(f'"language[0]" with value "{code}" is not valid. It must be an ISO 639-1, 639-2 or 639-3 code')
    return errors


def _model_errors(data: dict) -> list[str]:
    errors = [f'"{key}" must be a string' for key in ("library_name", "pipeline_tag") if not isinstance(data.get(key, ""), str)]
    entries = data.get("model-index", [])
    if not isinstance(entries, list):
        return [*errors, '"model-index" must be an array']
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            errors.append(f'"model-index[{i}].name" is required')
            continue
        for j, result in enumerate(entry.get("results") or []):
            where = f"model-index[{i}].results[{j}]"
            if not (result.get("task") or {}).get("type"):
                errors.append(f'"{where}.task.type" is required')
            if not {"name", "type"} <= set(result.get("dataset") or {}):
                errors.append(f'"{where}.dataset" needs name and type')
            for k, metric in enumerate(result.get("metrics") or []):
                if not metric.get("type") or "value" not in metric:
                    errors.append(f'"{where}.metrics[{k}]" needs type and value')
    return errors


def _space_errors(data: dict) -> list[str]:
    errors = [] if data.get("sdk") in SPACE_SDKS else [f'"sdk" must be one of {sorted(SPACE_SDKS)}']
    for key in ("colorFrom", "colorTo"):
        if key in data and data[key] not in SPACE_COLORS:
            errors.append(f'"{key}" must be one of {sorted(SPACE_COLORS)}')
    if len(str(data.get("short_description", ""))) > 60:
        errors.append('"short_description" length must be less than or equal to 60 characters long')
    if not isinstance(data.get("python_version", ""), str):
        errors.append('"python_version" must be a string')  # the YAML trap: 3.10 without quotes is the number 3.1
    if "sdk_version" in data and not re.fullmatch(r"\d+(\.\d+){1,2}\S*", str(data["sdk_version"])):
        errors.append('"sdk_version" must be a version')
    return errors


# --- the server -----------------------------------------------------------------------------------------------------------------


class HubAnswer(Exception):
    """An error answer of the Hub: HTTP status, message and the X-Error-Code the client looks at."""

    def __init__(self, status: int, message: str, code: str | None = None, **body):
        super().__init__(message)
        self.status, self.message, self.code, self.body = status, message, code, body

    def response(self) -> Response:
        headers = {"X-Error-Message": self.message.encode("ascii", "replace").decode()} | ({"X-Error-Code": self.code} if self.code else {})
        return JSONResponse({"error": self.message, **self.body}, self.status, headers)


def not_found() -> HubAnswer:
    # One answer for "missing" and "private, not yours": the Hub does not tell which.
    return HubAnswer(404, "Repository not found", "RepoNotFound")


ROUTES: list[tuple[str, re.Pattern, str]] = []
REPO = r"(?P<id>[^/]+/[^/]+)"
API = rf"/api/(?P<kind>models|datasets|spaces)/{REPO}"
FILES = rf"/(?P<prefix>datasets/|spaces/|){REPO}"


def route(method: str, path: str):
    """Register a method of LocalHub for requests whose raw (still percent-encoded) path matches."""

    def register(function):
        ROUTES.append((method, re.compile(path), function.__name__))
        return function

    return register


class LocalHub:
    """The server. `with LocalHub() as hub:` starts it on a free port and stops it at the end."""

    def __init__(self, port: int = 0):
        self.port = port
        self.log: list[dict] = []  # one dict per request: method, path, query, status, token (masked), host
        self.faults: list[dict] = []
        self.reset()

    def reset(self) -> None:
        """Forget every repository, fault and log line; accounts come back to what they were."""
        self.repos: dict[tuple[str, str], Repo] = {}
        self.storage: dict[str, bytes] = {}  # large files by sha256
        self.accounts = dict(ACCOUNTS)
        self.devices: dict[str, int] = {}  # OAuth device codes and how often each was polled
        self.approve_devices = True
        self.generation = getattr(self, "generation", 0) + 1  # a request that hung through a reset belongs to a test that is over
        self.signature = secrets.token_hex(16)  # storage links carry it, so that a link cannot be guessed
        self.faults.clear()
        self.log.clear()

    # - life cycle -

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def storage_url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """What a process needs in its environment, before it imports huggingface_hub, to talk to this Hub."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": self._home.name,
            "HF_TOKEN": WRITE_TOKEN,
            "HF_HUB_DISABLE_XET": "1",  # with Xet on, every upload of a large file asks for a server that is not here
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        }

    def start(self) -> "LocalHub":
        self._home = tempfile.TemporaryDirectory(prefix="local-hub-", ignore_cleanup_errors=True)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(self._app, interface="asgi3", lifespan="off", log_level="critical", timeout_keep_alive=60)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="local-hub", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError("the local Hub did not start")
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True  # force: a hanging fault must not hold the tests
        self._thread.join(timeout=5)
        self._home.cleanup()

    def __enter__(self) -> "LocalHub":
        return self.start()

    def __exit__(self, *_) -> None:
        self.stop()

    # - for tests -

    def add_repo(self, repo_id: str, files: dict[str, bytes | str] | None = None, *, kind: str = "models", **settings) -> Repo:
        """A repository with these files, made without going through the client."""
        repo = self._new_repo(kind, repo_id, **settings)
        blobs = {path: _blob(path, data.encode() if isinstance(data, str) else data) for path, data in (files or {}).items()}
        self.storage |= {blob.sha256: blob.data for blob in blobs.values() if blob.lfs}
        if blobs:
            repo.commit(repo.commits[repo.branches["main"]].files | blobs, "Add files", author=repo.owner)
        return repo

    def files(self, repo_id: str, revision: str = "main", *, kind: str = "models") -> dict[str, bytes]:
        """Path -> content at a revision, .gitattributes left out."""
        commit = self.repos[kind, repo_id].resolve(revision)
        return {path: blob.data for path, blob in commit.files.items() if path != ".gitattributes"}

    def requests(self, match: str) -> list[dict]:
        """The logged requests whose "METHOD path" matches the regex."""
        return [entry for entry in self.log if re.search(match, f"{entry['method']} {entry['path']}")]

    # - one request -

    async def _app(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        path, query = scope["raw_path"].decode("ascii"), scope["query_string"].decode("ascii")
        entry = {
            "method": request.method,
            "path": path,
            "query": query,
            "host": request.headers.get("host", "").split(":")[0],
            "authorized": "authorization" in request.headers,
            "status": None,
        }
        self.log.append(entry)
        fault = self._next_fault(f"{request.method} {path}{'?' + query if query else ''}")
        generation = self.generation
        try:
            await asyncio.sleep(fault.get("hang_s", 0) if fault else 0)
            body = await request.body()
        except (ClientDisconnect, asyncio.CancelledError):  # cancelled: the Hub is stopped in the middle of a hang
            return
        response = self._respond(request, path, body, fault if generation == self.generation else {"status": 503})
        entry["status"] = response.status_code
        if fault and "cut" in fault:
            send = _cut(send, fault["cut"])
        await response(scope, receive, send)

    def _respond(self, request: Request, path: str, body: bytes, fault: dict | None) -> Response:
        lost = fault and "status" in fault
        if lost and not fault.get("after"):
            return _fault_response(fault)
        try:
            response = self._answer(request, path, body)
        except HubAnswer as answer:
            response = answer.response()
        return _fault_response(fault) if lost else response

    def _next_fault(self, line: str) -> dict | None:
        for fault in self.faults:
            if re.search(fault["match"], line) and fault.get("times", 1) > 0:
                if "times" in fault:
                    fault["times"] -= 1
                return fault
        return None

    def _answer(self, request: Request, path: str, body: bytes) -> Response:
        for method, pattern, name in ROUTES:
            match = pattern.fullmatch(path)
            if match and request.method == method:
                call = Call(request, body, {key: unquote(value or "") for key, value in match.groupdict().items()}, self)
                return getattr(self, name)(call)
        raise HubAnswer(404, f"Sorry, we can't find the page you are looking for: {request.method} {path}")

    # - accounts -

    @route("GET", "/api/whoami-v2")
    def whoami(self, call: "Call") -> Response:
        account = call.account(required=True)
        organizations = [
            {"type": "org", "id": _id(name), "name": name, "fullname": name, "roleInOrg": "write", "isEnterprise": False, "avatarUrl": ""}
            for name in account.organizations
        ]
        auth = {
            "type": "access_token",
            "accessToken": {"displayName": "local", "role": account.role, "createdAt": "2026-01-01T00:00:00.000Z"},
        }
        user = {
            "type": "user",
            "id": _id(account.name),
            "name": account.name,
            "fullname": account.name,
            "email": f"{account.name}@localhost",
        }
        return JSONResponse(
            user | {"emailVerified": True, "canPay": False, "isPro": False, "avatarUrl": "", "orgs": organizations, "auth": auth}
        )

    @route("GET", "/api/agent-harnesses")
    def agent_harnesses(self, call: "Call") -> Response:
        return JSONResponse({"standardEnvVars": [], "harnesses": {}})

    @route("POST", "/oauth/device")
    def device_code(self, call: "Call") -> Response:
        code = secrets.token_hex(8)
        self.devices[code] = 0
        page = f"{self.url}/device"
        return JSONResponse({"device_code": code, "user_code": "MOON-1234", "verification_uri": page, "expires_in": 60, "interval": 1})

    @route("POST", "/oauth/token")
    def device_token(self, call: "Call") -> Response:
        form = call.form
        code = form.get("device_code", [""])[0]
        if code not in self.devices:
            return JSONResponse({"error": "invalid_grant", "error_description": "unknown device code"}, 400)
        if not self.approve_devices:
            return JSONResponse({"error": "access_denied", "error_description": "The user denied the request"}, 400)
        return JSONResponse({"access_token": WRITE_TOKEN, "token_type": "bearer", "expires_in": 3600})

    # - repositories: create, settings, delete -

    def _new_repo(self, kind: str, repo_id: str, **settings) -> Repo:
        repo = Repo(kind, repo_id, **settings)
        repo.sdk = repo.sdk or ("gradio" if kind == "spaces" else None)
        files = {".gitattributes": Blob(GITATTRIBUTES)}
        if kind == "spaces":  # the Hub writes a first card; pushing a Space overwrites it
            title = repo_id.split("/")[1]
            files["README.md"] = Blob(f"---\ntitle: {title}\ncolorFrom: gray\ncolorTo: gray\nsdk: {repo.sdk}\n---\n".encode())
        repo.commit(files, "initial commit", author=repo.owner)
        self.repos[kind, repo_id] = repo
        return repo

    @route("POST", "/api/repos/create")
    def create_repo(self, call: "Call") -> Response:
        account, data = call.account(required=True), call.json
        kind = f"{data.get('type') or 'model'}s"
        repo_id = f"{data.get('organization') or account.name}/{data['name']}"
        call.require_write(repo_id, "create a repo")
        if not re.fullmatch(r"[\w\-.]{1,96}", data["name"], re.ASCII):
            raise HubAnswer(400, f"Invalid repo name: {data['name']}")
        url = f"{self.url}/{PREFIX[kind]}{repo_id}"
        if (kind, repo_id) in self.repos:
            # The client's exist_ok=True reads `url` from this answer.
            raise HubAnswer(409, f"You already created this {data.get('type') or 'model'} repo: {repo_id}", url=url)
        if kind == "spaces" and data.get("sdk") not in SPACE_SDKS:
            raise HubAnswer(400, f'"sdk" must be one of {sorted(SPACE_SDKS)}')
        private = bool(data.get("private")) or data.get("visibility") == "private"
        repo = self._new_repo(kind, repo_id, private=private, sdk=data.get("sdk"))
        repo.variables |= {item["key"]: _setting(item) for item in data.get("variables") or []}
        repo.secrets |= {item["key"]: _setting(item) for item in data.get("secrets") or []}
        repo.hardware = data.get("hardware") or repo.hardware
        return JSONResponse({"url": url, "name": repo_id, "id": _id(repo_id)})

    @route("DELETE", "/api/repos/delete")
    def delete_repo(self, call: "Call") -> Response:
        account, data = call.account(required=True), call.json
        repo = call.repo(f"{data.get('type') or 'model'}s", f"{data.get('organization') or account.name}/{data['name']}", write=True)
        del self.repos[repo.kind, repo.id]
        return JSONResponse({"success": True})

    @route("POST", "/api/repos/move")
    def move_repo(self, call: "Call") -> Response:
        data = call.json
        repo = call.repo(f"{data['type']}s", data["fromRepo"], write=True)
        call.require_write(data["toRepo"], "move a repo")
        if (repo.kind, data["toRepo"]) in self.repos:
            raise HubAnswer(409, f"{data['toRepo']} already exists")
        self.repos[repo.kind, data["toRepo"]] = self.repos.pop((repo.kind, repo.id))
        repo.id = data["toRepo"]
        return JSONResponse({"success": True})

    @route("PUT", f"{API}/settings")
    def settings(self, call: "Call") -> Response:
        repo, data = call.repo(write=True), call.json
        repo.gated = data.get("gated", repo.gated)
        if "visibility" in data or "private" in data:
            repo.private = bool(data.get("private")) or data.get("visibility") == "private"
        return JSONResponse({"private": repo.private, "gated": repo.gated})

    @route("POST", f"{API}/duplicate")
    def duplicate(self, call: "Call") -> Response:
        source, data = call.repo(), call.json
        target = data["repository"]
        call.require_write(target, "duplicate a repo")
        url = f"{self.url}/{PREFIX[source.kind]}{target}"
        if (source.kind, target) in self.repos:
            raise HubAnswer(409, f"{target} already exists", url=url)
        repo = self._new_repo(source.kind, target, sdk=source.sdk, private=data.get("visibility") == "private")
        repo.commit(source.resolve("main").files, f"Duplicate from {source.id}", author=repo.owner)
        repo.variables = dict(source.variables)  # public settings travel, secrets do not
        repo.variables |= {item["key"]: _setting(item) for item in data.get("variables") or []}
        repo.secrets |= {item["key"]: _setting(item) for item in data.get("secrets") or []}
        repo.hardware = data.get("hardware") or "cpu-basic"
        return JSONResponse({"url": url, "filesCopyPending": False})

    # - repositories: read -

    @route("GET", "/api/(?P<kind>models|datasets|spaces)")
    def list_repos(self, call: "Call") -> Response:
        query = call.query
        text = query.get("search", [""])[0].lower()
        wanted = {tag for value in query.get("filter", []) for tag in value.split(",")}
        author = query.get("author", [None])[0]
        found = []
        for repo in self.repos.values():
            if repo.kind != call.args["kind"] or not call.can_read(repo):
                continue
            info = self._info(repo, repo.resolve("main"), blobs=False)
            if text in repo.id.lower() and author in (None, repo.owner) and wanted <= set(info["tags"]):
                found.append(info)
        found.sort(key=lambda info: info["lastModified"], reverse=True)
        return self._page(call, found, int(query.get("limit", [PAGE_SIZE])[0]))

    @route("GET", API)
    @route("GET", f"{API}/revision/(?P<revision>[^/]+)")
    def info(self, call: "Call") -> Response:
        # A gated repository shows its card and file names to everyone; its files are what needs access.
        repo = call.repo(content=False)
        return JSONResponse(self._info(repo, call.commit(repo), blobs=call.query.get("blobs", ["false"])[0].lower() == "true"))

    @route("GET", f"{API}/auth-check(?P<write>/write)?")
    def auth_check(self, call: "Call") -> Response:
        call.repo(write=bool(call.args["write"]))
        return JSONResponse({"success": True})

    @route("GET", f"{API}/tree/(?P<revision>[^/]+)(/(?P<path>.*))?")
    def tree(self, call: "Call") -> Response:
        repo = call.repo(content=False)
        commit, folder = call.commit(repo), call.args["path"].strip("/")
        recursive = call.query.get("recursive", ["false"])[0].lower() == "true"
        expand = call.query.get("expand", ["false"])[0].lower() == "true"
        prefix = f"{folder}/" if folder else ""
        entries: dict[str, dict] = {}
        for path, blob in sorted(commit.files.items()):
            if not path.startswith(prefix):
                continue
            parts = path[len(prefix) :].split("/")
            for depth in range(1, len(parts)):
                if recursive or depth == 1:
                    name = prefix + "/".join(parts[:depth])
                    entries.setdefault(name, self._folder_entry(repo, commit, name, expand))
            if recursive or len(parts) == 1:
                entries[path] = self._file_entry(repo, commit, path, blob, expand)
        if prefix and not entries:
            raise HubAnswer(404, f'{folder} does not exist on "{call.args["revision"]}"', "EntryNotFound")
        return self._page(call, list(entries.values()), PAGE_SIZE)

    @route("POST", f"{API}/paths-info/(?P<revision>[^/]+)")
    def paths_info(self, call: "Call") -> Response:
        repo = call.repo(content=False)
        commit = call.commit(repo)
        if call.request.headers.get("content-type", "").startswith("application/json"):
            paths, expand = call.json["paths"], bool(call.json.get("expand"))
        else:
            paths, expand = call.form.get("paths", []), call.form.get("expand", ["false"])[0].lower() == "true"
        entries = []
        for path in paths:
            if path in commit.files:
                entries.append(self._file_entry(repo, commit, path, commit.files[path], expand))
            elif any(name.startswith(f"{path.rstrip('/')}/") for name in commit.files):
                entries.append(self._folder_entry(repo, commit, path.rstrip("/"), expand))
        return JSONResponse(entries)

    @route("GET", f"{API}/refs")
    def refs(self, call: "Call") -> Response:
        repo = call.repo(content=False)
        branches = [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": oid} for name, oid in repo.branches.items()]
        tags = [{"name": name, "ref": f"refs/tags/{name}", "targetCommit": oid} for name, oid in repo.tags.items()]
        return JSONResponse({"branches": branches, "converts": [], "tags": tags, "pullRequests": []})

    @route("GET", f"{API}/commits/(?P<revision>[^/]+)")
    def commits(self, call: "Call") -> Response:
        repo = call.repo(content=False)
        items = [
            {"id": c.oid, "title": c.title, "message": c.message, "authors": [{"user": c.author, "_id": _id(c.author)}], "date": c.date}
            for c in repo.history(call.commit(repo))
        ]
        return self._page(call, items, PAGE_SIZE)

    def _info(self, repo: Repo, commit: Commit, *, blobs: bool) -> dict:
        card = repo.card(commit)
        tags = card.get("tags") or []
        tags = list(dict.fromkeys([tags] if isinstance(tags, str) else [str(tag) for tag in tags]))
        for key, label in (("library_name", "{}"), ("pipeline_tag", "{}"), ("license", "license:{}"), ("sdk", "{}")):
            if isinstance(card.get(key), str):
                tags.append(label.format(card[key]))
        siblings = [{"rfilename": path} | (_blob_fields(blob) if blobs else {}) for path, blob in sorted(commit.files.items())]
        info = {
            "_id": _id(repo.id),
            "id": repo.id,
            "author": repo.owner,
            "sha": commit.oid,
            "lastModified": commit.date,
            "createdAt": repo.created_at,
            "private": repo.private,
            "gated": repo.gated,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": list(dict.fromkeys(tags)),
            "cardData": card,
            "siblings": siblings,
            "usedStorage": sum(len(blob.data) for blob in commit.files.values()),
        }
        if repo.kind == "models":
            info |= {"modelId": repo.id, "library_name": card.get("library_name"), "pipeline_tag": card.get("pipeline_tag")}
        if repo.kind == "spaces":
            subdomain = repo.id.replace("/", "-").lower()
            info |= {"sdk": repo.sdk, "subdomain": subdomain, "host": self.url, "runtime": _runtime(repo)}
        return info

    def _file_entry(self, repo: Repo, commit: Commit, path: str, blob: Blob, expand: bool) -> dict:
        entry = {"type": "file", "oid": blob.oid, "size": len(blob.data), "path": path}
        if blob.lfs:
            entry["lfs"] = {"oid": blob.sha256, "size": len(blob.data), "pointerSize": len(blob.pointer)}
        if expand:
            entry |= {"lastCommit": _last_commit(repo, commit, path), "securityFileStatus": _SAFE}
        return entry

    def _folder_entry(self, repo: Repo, commit: Commit, path: str, expand: bool) -> dict:
        entry = {"type": "directory", "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0, "path": path}
        return entry | ({"lastCommit": _last_commit(repo, commit, path)} if expand else {})

    def _page(self, call: "Call", items: list[dict], size: int) -> Response:
        """One page of a list, with the Link header that leads to the next."""
        start = int(call.query.get("cursor", ["0"])[0])
        headers = {}
        if start + size < len(items):
            query = {**call.query, "cursor": [str(start + size)]}
            headers["Link"] = f'<{self.url}{call.request.scope["raw_path"].decode()}?{urlencode(query, doseq=True)}>; rel="next"'
        return JSONResponse(items[start : start + size], headers=headers)

    # - files: read -

    @route("HEAD", f"{FILES}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
    @route("GET", f"{FILES}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
    def resolve(self, call: "Call") -> Response:
        repo = call.repo()
        commit, path = call.commit(repo), call.args["path"]
        headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes", "Cache-Control": "no-store"}
        blob = commit.files.get(path)
        if blob is None:
            answer = HubAnswer(404, "Entry not found", "EntryNotFound").response()
            answer.headers["X-Repo-Commit"] = commit.oid
            return answer
        if blob.lfs:
            location = f"{self.storage_url}/_lfs/{blob.sha256}?signature={self.signature}"
            linked = {"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(len(blob.data)), "Location": location}
            return Response("", 302, headers | linked | {"ETag": f'"{blob.oid}"'})
        return _content(call.request, blob.data, headers | {"ETag": f'"{blob.oid}"'})

    @route("GET", "/_lfs/(?P<sha>[0-9a-f]{64})")
    @route("HEAD", "/_lfs/(?P<sha>[0-9a-f]{64})")
    def storage_get(self, call: "Call") -> Response:
        if call.query.get("signature") != [self.signature]:
            raise HubAnswer(403, "Access Denied")
        data = self.storage.get(call.args["sha"])
        if data is None:
            raise HubAnswer(404, "No such key")
        return _content(call.request, data, {"ETag": f'"{call.args["sha"]}"', "Accept-Ranges": "bytes"})

    # - files: write -

    @route("POST", f"{API}/preupload/(?P<revision>[^/]+)")
    def preupload(self, call: "Call") -> Response:
        repo, data = call.repo(write=True), call.json
        commit = call.commit(repo)
        ignored = [line.strip() for line in data.get("gitIgnore", "").splitlines() if line.strip() and not line.startswith("#")]
        files = []
        for item in data["files"]:
            path, blob = item["path"], commit.files.get(item["path"])
            try:
                sample = base64.b64decode(item["sample"], validate=True)
            except binascii.Error:
                raise HubAnswer(400, f"sample of {path} is not base64") from None
            files.append(
                {
                    "path": path,
                    "uploadMode": "lfs" if _is_large(path, sample, item["size"]) else "regular",
                    "shouldIgnore": any(fnmatch.fnmatch(path, rule) or path.startswith(f"{rule.rstrip('/')}/") for rule in ignored),
                    # The client skips a file whose id it finds here: this is what makes a second push a no-op.
                    "oid": (blob.sha256 if blob.lfs else blob.oid) if blob else None,
                }
            )
        return JSONResponse({"files": files, "commitOid": commit.oid})

    @route("POST", rf"{FILES}\.git/info/lfs/objects/batch")
    def lfs_batch(self, call: "Call") -> Response:
        repo = call.repo(write=call.json["operation"] == "upload")
        objects = []
        for item in call.json["objects"]:
            entry = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.storage:
                upload = {"href": f"{self.storage_url}/_lfs/{item['oid']}?signature={self.signature}"}
                verify = {"href": f"{self.url}/_lfs/verify?repo={repo.kind}/{repo.id}", "header": {}}
                entry["actions"] = {"upload": upload, "verify": verify}
            objects.append(entry)
        return JSONResponse({"transfer": "basic", "objects": objects}, media_type="application/vnd.git-lfs+json")

    @route("PUT", "/_lfs/(?P<sha>[0-9a-f]{64})")
    def storage_put(self, call: "Call") -> Response:
        if call.query.get("signature") != [self.signature]:
            raise HubAnswer(403, "Access Denied")
        if hashlib.sha256(call.body).hexdigest() != call.args["sha"]:
            raise HubAnswer(400, "The content does not match its checksum")
        self.storage[call.args["sha"]] = call.body
        return Response("", headers={"ETag": f'"{call.args["sha"]}"'})

    @route("POST", "/_lfs/verify")
    def lfs_verify(self, call: "Call") -> Response:
        call.account(required=True)
        data = self.storage.get(call.json["oid"])
        if data is None or len(data) != call.json["size"]:
            raise HubAnswer(404, "The object is not in storage")
        return JSONResponse({"message": "ok"})

    @route("POST", "/api/validate-yaml")
    def validate_yaml(self, call: "Call") -> Response:
        errors, warnings = check_card(call.json["content"], call.json.get("repoType") or "model")
        body = {"errors": [{"message": text} for text in errors], "warnings": [{"message": text} for text in warnings]}
        return JSONResponse(body, 400 if errors else 200)

    @route("POST", f"{API}/commit/(?P<revision>[^/]+)")
    def make_commit(self, call: "Call") -> Response:
        repo, branch = call.repo(write=True), call.args["revision"]
        if branch not in repo.branches:
            raise HubAnswer(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        head = repo.commits[repo.branches[branch]]
        header, files = {}, dict(head.files)
        for line in call.body.splitlines():
            item = json.loads(line)
            header = self._apply(item["key"], item["value"], files) or header
        parent = header.get("parentCommit")
        if parent and not head.oid.startswith(parent):
            raise HubAnswer(412, "A commit has happened since. Please refresh and try again.")
        if "README.md" in files and files["README.md"] != head.files.get("README.md"):
            errors, _ = check_card(files["README.md"].data.decode("utf-8", "replace"), repo.kind[:-1])
            if errors:
                raise HubAnswer(400, "Invalid metadata in README.md. " + " ".join(errors))
        author = call.account(required=True).name
        commit = repo.commit(files, header.get("summary", ""), message=header.get("description", ""), author=author, branch=branch)
        url = f"{self.url}/{PREFIX[repo.kind]}{repo.id}/commit/{commit.oid}"
        return JSONResponse({"success": True, "commitOid": commit.oid, "commitUrl": url, "hookOutput": ""})

    def _apply(self, key: str, value: dict, files: dict[str, Blob]) -> dict | None:
        """One line of a commit, done to `files`; the header line is returned."""
        path = value.get("path", "")
        if key != "header" and not re.fullmatch(r"(?!(.*/)?(\.|\.\.|\.git)(/|$))[^/]+(/[^/]+)*/?", path):
            raise HubAnswer(400, f"Invalid path: {path}")
        if key == "header":
            return value
        if key == "file":
            files[path] = Blob(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            if value["oid"] not in self.storage:
                raise HubAnswer(400, f"LFS pointer pointed to a file that does not exist: {path}")
            files[path] = Blob(self.storage[value["oid"]], lfs=True)
        elif key == "deletedFile":
            if files.pop(path, None) is None:
                raise HubAnswer(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
        elif key == "deletedFolder":
            inside = [name for name in files if name.startswith(f"{path.rstrip('/')}/")]
            if not inside:
                raise HubAnswer(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
            for name in inside:
                del files[name]
        else:
            raise HubAnswer(400, f"Unknown operation {key}")
        return None

    # - branches and tags -

    @route("POST", f"{API}/(?P<what>tag|branch)/(?P<name>[^/]+)")
    def create_ref(self, call: "Call") -> Response:
        repo, what, name = call.repo(write=True), call.args["what"], call.args["name"]
        data = call.json if call.body else {}
        if what == "tag":  # the path carries the revision, the body the tag's name
            start, name, table = name, data["tag"], repo.tags
        else:
            start, table = data.get("startingPoint", "main"), repo.branches
        if not re.fullmatch(r"[\w./\-+]{1,100}", name) or name.startswith("refs/") or ".." in name:
            raise HubAnswer(400, f"Invalid {what} name: {name}")
        if name in table:
            raise HubAnswer(409, f"{what.title()} {name} already exists")
        table[name] = call.commit(repo, start).oid
        return JSONResponse({"success": True})

    @route("DELETE", f"{API}/(?P<what>tag|branch)/(?P<name>[^/]+)")
    def delete_ref(self, call: "Call") -> Response:
        repo, what, name = call.repo(write=True), call.args["what"], call.args["name"]
        if (what, name) == ("branch", "main"):
            raise HubAnswer(403, "Cannot delete the main branch")
        if (repo.tags if what == "tag" else repo.branches).pop(name, None) is None:
            raise HubAnswer(404, f"{what.title()} {name} not found", "RevisionNotFound")
        return JSONResponse({"success": True})

    # - Spaces -

    @route("GET", "/api/spaces/hardware")
    def list_hardware(self, call: "Call") -> Response:
        return JSONResponse([])

    @route("GET", f"{API}/(?P<what>variables|secrets)")
    @route("POST", f"{API}/(?P<what>variables|secrets)")
    @route("DELETE", f"{API}/(?P<what>variables|secrets)")
    def space_settings(self, call: "Call") -> Response:
        repo, what = call.repo(write=True), call.args["what"]
        table = repo.variables if what == "variables" else repo.secrets
        if call.request.method == "POST":
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", call.json["key"]):
                raise HubAnswer(400, f"Invalid key: {call.json['key']}")
            table[call.json["key"]] = _setting(call.json)
        elif call.request.method == "DELETE":
            table.pop(call.json["key"], None)
        hidden = {"value"} if what == "secrets" else set()  # a secret can be written, never read
        return JSONResponse({key: {k: v for k, v in values.items() if k not in hidden} for key, values in table.items()})

    @route("GET", f"{API}/runtime")
    def runtime(self, call: "Call") -> Response:
        return JSONResponse(_runtime(call.repo()))

    @route("POST", f"{API}/(?P<what>restart|pause|hardware|sleeptime)")
    def change_runtime(self, call: "Call") -> Response:
        repo, what = call.repo(write=True), call.args["what"]
        if what == "restart":
            repo.stage, repo.restarts = "RUNNING", repo.restarts + 1
        elif what == "pause":
            repo.stage = "PAUSED"
        elif what == "sleeptime":
            repo.sleep_time = call.json["seconds"]
        else:
            repo.hardware, repo.sleep_time = call.json["flavor"], call.json.get("sleepTimeSeconds", repo.sleep_time)
        return JSONResponse(_runtime(repo))


@dataclass
class Call:
    """One request to the Hub: its parts and the checks that several endpoints share."""

    request: Request
    body: bytes
    args: dict[str, str]
    hub: LocalHub

    @property
    def json(self) -> dict:
        try:
            return json.loads(self.body)
        except ValueError:
            raise HubAnswer(400, "Invalid JSON body") from None

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode())

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(self.request.scope["query_string"].decode())

    def account(self, *, required: bool = False) -> Account | None:
        """Whose token came along; a token that nobody owns is refused, no token is a visitor unless `required`."""
        header = self.request.headers.get("authorization")
        if header is None:
            if required:
                raise HubAnswer(401, "Invalid username or password.")
            return None
        account = self.hub.accounts.get(header.removeprefix("Bearer "))
        if account is None:
            # The client takes any other 401 on a repository's address for a missing repository.
            raise HubAnswer(401, "Invalid credentials in Authorization header")
        return account

    def can_read(self, repo: Repo) -> bool:
        return not repo.private or self.owns(repo.id)

    def owns(self, repo_id: str) -> bool:
        account = self.account()
        return account is not None and repo_id.split("/")[0] in (account.name, *account.organizations)

    def require_write(self, repo_id: str, what: str) -> None:
        account = self.account(required=True)
        if not self.owns(repo_id):
            raise HubAnswer(403, f'You don\'t have the rights to {what} under the namespace "{repo_id.split("/")[0]}"')
        if account.role != "write":
            raise HubAnswer(403, f"You don't have the rights to {what}: this token is read-only")

    def repo(self, kind: str | None = None, repo_id: str | None = None, *, write: bool = False, content: bool = True) -> Repo:
        """The repository this request names; `content`: its files are asked for, which a gated repository refuses to strangers."""
        kind = kind or self.args.get("kind") or (self.args.get("prefix") or "models/").rstrip("/")
        repo = self.hub.repos.get((kind, repo_id or self.args["id"]))
        account = self.account(required=write)
        if repo is None or not self.can_read(repo):
            # Without a token the Hub says 401, which the client reports as "repository not found" as well.
            raise not_found() if account else HubAnswer(401, "Invalid username or password.", "RepoNotFound")
        if write:
            self.require_write(repo.id, "write to this repo")
        if content and repo.gated and not self.owns(repo.id):
            status = 403 if account else 401
            raise HubAnswer(status, f"Access to model {repo.id} is restricted and you are not in the authorized list.", "GatedRepo")
        return repo

    def commit(self, repo: Repo, revision: str | None = None) -> Commit:
        revision = revision or self.args.get("revision") or "main"
        commit = repo.resolve(revision)
        if commit is None:
            raise HubAnswer(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit


# --- small parts ----------------------------------------------------------------------------------------------------------------

_SAFE = {"status": "safe", "avScan": {"virusFound": False, "virusNames": None}, "pickleImportScan": None}


def _id(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()[:24]


def _blob(path: str, data: bytes) -> Blob:
    return Blob(data, lfs=bool(data) and _is_large(path, data[:512], len(data)))


def _is_large(path: str, sample: bytes, size: int) -> bool:
    return path.endswith(LFS_SUFFIXES) or size > LFS_SIZE or b"\0" in sample


def _blob_fields(blob: Blob) -> dict:
    lfs = {"lfs": {"sha256": blob.sha256, "size": len(blob.data), "pointerSize": len(blob.pointer)}} if blob.lfs else {}
    return {"blobId": blob.oid, "size": len(blob.data)} | lfs


def _last_commit(repo: Repo, commit: Commit, path: str) -> dict:
    """The newest commit at or before `commit` that changed `path` (a file, or anything in a folder)."""

    def part(c: Commit | None) -> dict[str, str]:
        return {name: blob.oid for name, blob in c.files.items() if name == path or name.startswith(f"{path}/")} if c else {}

    line = repo.history(commit)
    for newer, older in zip(line, [*line[1:], None], strict=True):
        if part(newer) != part(older):
            return {"id": newer.oid, "title": newer.title, "date": newer.date}
    return {"id": commit.oid, "title": commit.title, "date": commit.date}


def _setting(item: dict) -> dict:
    return {"value": item["value"], "description": item.get("description"), "updatedAt": _now()}


def _runtime(repo: Repo) -> dict:
    hardware = {"current": repo.hardware, "requested": repo.hardware}
    return {"stage": repo.stage, "hardware": hardware, "storage": None, "gcTimeout": repo.sleep_time, "replicas": {"current": 1}}


def _content(request: Request, data: bytes, headers: dict[str, str]) -> Response:
    """The bytes, or the part that a Range header asks for."""
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    status = 200
    if match:
        start, stop = int(match.group(1)), min(int(match.group(2) or len(data) - 1), len(data) - 1)
        if start > stop:
            return Response("", 416, headers | {"Content-Range": f"bytes */{len(data)}"})
        headers = headers | {"Content-Range": f"bytes {start}-{stop}/{len(data)}"}
        data, status = data[start : stop + 1], 206
    if request.method == "HEAD":
        return Response("", status, headers | {"Content-Length": str(len(data))})
    return Response(data, status, headers, media_type="application/octet-stream")


def _fault_response(fault: dict) -> Response:
    headers = dict(fault.get("headers", {}))
    if "code" in fault:
        headers["X-Error-Code"] = fault["code"]
    if "message" in fault:
        headers["X-Error-Message"] = fault["message"]
    body = fault.get("body", json.dumps({"error": fault.get("message", f"injected {fault['status']}")}))
    return Response(body, fault["status"], headers, media_type=headers.get("Content-Type", "application/json"))


def _cut(send, limit: int):
    """A `send` that passes on only `limit` bytes of the body; uvicorn then closes the connection in the middle."""

    async def cut_send(message):
        if message["type"] == "http.response.body":
            message = message | {"body": message.get("body", b"")[:limit]}
        await send(message)

    return cut_send


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8765, help="port to serve on; 0 takes a free one")
    with LocalHub(parser.parse_args().port) as hub:
        for name, value in hub.env.items():
            print(f"export {name}={value}", flush=True)
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        with contextlib.suppress(KeyboardInterrupt):
            stop.wait()


if __name__ == "__main__":
    main()
