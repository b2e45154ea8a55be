"""`python app.py` as a process of its own, and what its callers send: REST, uploads, MCP."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
START_S = 90  # a slow machine under load; how long it may really take is a test of its own


class Refused(Exception):
    """The sentence that a call was answered with instead of a result."""


@dataclass(frozen=True)
class App:
    """A running hub: its address, its process, its log."""

    url: str
    process: subprocess.Popen
    log: Path

    def post(self, path: str, data: object, *, language: str = "en", **options) -> httpx.Response:
        body = data if isinstance(data, (bytes, str)) else json.dumps(data)
        headers = {"content-type": "application/json", "accept-language": language}
        return httpx.post(f"{self.url}{path}", content=body, headers=headers, timeout=60, **options)

    def call(self, name: str, *values, language: str = "en") -> list:
        """What the endpoint answers over Gradio's REST; `Refused` with its sentence when it is an error."""
        return self.result(name, self.post(f"/gradio_api/call/{name}", {"data": values}, language=language))

    def call_named(self, name: str, /, **values) -> list:
        """The same with arguments by name, defaults for the rest."""
        return self.result(f"v2/{name}", self.post(f"/gradio_api/call/v2/{name}", values))

    def result(self, name: str, accepted: httpx.Response) -> list:
        if accepted.status_code != 200:
            raise Refused(f"{accepted.status_code} {accepted.text}")
        stream = httpx.get(f"{self.url}/gradio_api/call/{name}/{accepted.json()['event_id']}", timeout=120).text
        if error := re.search(r"event: error\ndata: (.*)", stream):
            raise Refused((json.loads(error[1]) or {}).get("error"))
        return json.loads(re.search(r"event: complete\ndata: (.*)", stream)[1])

    def fetch(self, file: dict) -> bytes:
        """The content of a file that an endpoint answered with."""
        answer = httpx.get(file["url"], timeout=60)
        answer.raise_for_status()
        return answer.content

    def upload(self, name: str, content: bytes) -> dict:
        answer = httpx.post(f"{self.url}/gradio_api/upload", files={"files": (name, content)}, timeout=60)
        answer.raise_for_status()
        return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False


async def mcp_call(app: App, tool: str, arguments: dict, headers: dict | None = None):
    """The tools that the app offers over MCP, and what one of them answers."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async with (
        streamablehttp_client(f"{app.url}/gradio_api/mcp/", headers=headers) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        return (await session.list_tools()).tools, await session.call_tool(tool, arguments)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_app(log: Path, **env: str) -> Iterator[App]:
    """The hub at a free port of this machine, stopped at the end; its output is in `log`."""
    port = free_port()
    with log.open("w") as output:
        command = [sys.executable, "app.py"]
        environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "PYTHONUNBUFFERED": "1", **env}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    app = App(f"http://127.0.0.1:{port}", process, log)
    try:
        deadline = time.monotonic() + START_S
        while not app.answers():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield app
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()
