"""Long work that visitors start: each job in a process of its own, one at a time, and only whoever holds its token may see or stop it.

    token = shared().start(owner, "package.module:function", {"steps": 300}, {"data/sprites.npz": b"..."})
    shared().status(token)     waiting (at which place), running, stopping, stopped, done or failed, and what it reported last
    shared().cancel(token)     asks it to stop; what it saved stays, and `resume` goes on from there

A process, because a training sets the number of threads and the random generators of the whole process it runs in, and may take all its
memory with it: here the server goes on, and the training is the same whatever visitors do meanwhile.

A job is a folder: job.json (what to do), progress.json (what it reported), log.txt, and whatever the work puts there. So it outlives
the page that started it and the server: the process stops when the server dies, and the next server finds the folder by the token.
The folder's name is a hash of the token, so it tells nobody the token. An hour after its last use it is swept.
"""

import contextlib
import errno
import hashlib
import importlib
import json
import logging
import math
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import lunaris

log = logging.getLogger("lunaris")

ACTIVE = ("waiting", "running", "stopping")
DONE_AFTER_S = 10.0  # a job that was told to stop and has not: it is killed, and its last saved state remains
NAME = r"[0-9a-f]{32}"  # of a job's folder
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Limits:
    """What a public server grants."""

    seconds: float = 600.0  # of one run of a job; then it is asked to stop, and may be resumed
    waiting: int = 8  # jobs in the queue
    kept: int = 12  # folders on the disk; the one unused for longest goes first
    keep_s: float = 3600.0  # that a folder lives after its last use
    free_bytes: int = 1 << 30  # that must be free on the disk for a job to start
    memory_bytes: int = 8 << 30  # that one job may take, where the system can say so


@dataclass(frozen=True)
class Status:
    """Where a job stands.

    state      waiting, running, stopping, stopped, done or failed; stopped and failed ones can be resumed
    position   1 = next, 2, …; 0 when it does not wait
    sentence   why it stopped or failed
    progress   what the work reported last
    folder     the job's folder
    """

    state: str
    position: int
    sentence: str
    progress: dict[str, Any]
    folder: Path


class Jobs:
    """The jobs of one server, in folders under `root`. Any number of threads may ask at once."""

    def __init__(self, root: str | Path | None = None, limits: Limits | None = None):
        self.root = Path(root) if root is not None else default_root()
        self.limits = limits or Limits()
        self._lock = threading.RLock()
        self._queue: list[str] = []  # ids
        self._owners: dict[str, str] = {}  # of waiting and running jobs: id -> owner
        self._running: str | None = None
        self._process: subprocess.Popen | None = None
        self._stop_by: float | None = None  # when the running job is killed
        self._worker: threading.Thread | None = None
        self._timer: threading.Timer | None = None  # of the next sweep
        self._sweep_later()  # what the server before this one left

    # --- what visitors may do

    def start(self, owner: str, target: str, settings: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> str:
        """Queue `target` and return the token, which is the only key to the job.

        `target` is "package.module:function"; it is called with a `Work` and returns whether it finished, or was told to stop before.
        `settings` are JSON values, `files` are put into the folder first. One job per `owner` at a time. Raises ValueError when the
        owner has one already or the queue is full, OSError when the disk is; nothing is left behind then.
        """
        token = secrets.token_urlsafe(24)
        name = id_of(token)
        with self._lock:
            self._check(owner)
            self.sweep(room_for=1)
            folder = self.root / name
            with disk_full_in_one_sentence("the training was not started"):
                _private_folder(self.root)
                if shutil.disk_usage(self.root).free < self.limits.free_bytes:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                try:
                    for path, content in (files or {}).items():
                        (folder / path).parent.mkdir(parents=True, exist_ok=True)
                        (folder / path).write_bytes(content)
                    folder.mkdir(exist_ok=True)
                    _write_json(folder / "job.json", {"target": target, "settings": dict(settings), "started": time.time()})
                except BaseException:
                    shutil.rmtree(folder, ignore_errors=True)
                    raise
            self._enqueue(owner, name)
        return token

    def resume(self, owner: str, token: str) -> None:
        """Queue a stopped or failed job again; the work goes on from what it saved. Raises as `start`, and ValueError for any other job."""
        with self._lock:
            state = self.status(token).state
            if state not in ("stopped", "failed"):
                raise ValueError(f"only a stopped training can be resumed, and this one is {state}; start a new one")
            self._check(owner)
            self._enqueue(owner, id_of(token))

    def cancel(self, token: str) -> None:
        """Take a waiting job out of the queue, or have the running one save and stop. One that has ended stays as it is."""
        with self._lock:
            folder = self.folder(token)
            if folder.name in self._queue:
                self._queue.remove(folder.name)
                del self._owners[folder.name]
                _write_json(folder / "progress.json", {**_read_json(folder / "progress.json"), "state": "stopped", "sentence": ""})
            elif folder.name == self._running and self._stop_by is None:
                self._stop_by = time.monotonic() + DONE_AFTER_S
                if self._process is not None:
                    self._process.stdin.close()

    def status(self, token: str) -> Status:
        """Where the job stands. Raises FileNotFoundError for a token that opens none."""
        with self._lock:
            folder = self.folder(token)
            progress = _read_json(folder / "progress.json")
            state, sentence = progress.pop("state", "stopped"), progress.pop("sentence", "")
            if folder.name in self._queue:
                return Status("waiting", 1 + self._queue.index(folder.name), "", progress, folder)
            if folder.name == self._running:
                return Status("running" if self._stop_by is None else "stopping", 0, "", progress, folder)
            if state in ACTIVE:  # its process was killed, or the server before this one
                state, sentence = "stopped", "the server was restarted or ran out of memory; what was saved is still there, so resume it"
            return Status(state, 0, sentence, progress, folder)

    def folder(self, token: str) -> Path:
        """The job's folder. Raises FileNotFoundError for a token that opens none."""
        return self.folder_of(id_of(token))

    def folder_of(self, name: str) -> Path:
        """The folder of the job whose id is `name` (`id_of` its token): for what others may use, such as a finished model.

        Whoever asks is about to use it, so its hour begins anew.
        """
        folder = self.root / name
        if not re.fullmatch(NAME, name) or not (folder / "job.json").is_file():
            hours = self.limits.keep_s / 3600
            raise FileNotFoundError(f"this server has no such training; it keeps one for {hours:g} h after its last use: start a new one")
        _touch(folder)
        return folder

    # --- the queue

    def _check(self, owner: str) -> None:
        if owner in self._owners.values():
            raise ValueError("you have a training waiting or running already; wait until it ends, or cancel it")
        if len(self._queue) >= self.limits.waiting:
            raise ValueError(f"{len(self._queue)} trainings are waiting, which is all this server takes; try again in a few minutes")

    def _enqueue(self, owner: str, name: str) -> None:
        self._queue.append(name)
        self._owners[name] = owner
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="jobs", daemon=True)
            self._worker.start()

    def _work(self) -> None:
        """Run the waiting jobs one after the other, until none is left."""
        while True:
            with self._lock:
                if not self._queue:
                    self._worker = None
                    break
                self._running, self._stop_by = self._queue.pop(0), None
            folder = self.root / self._running
            try:
                self._run(folder)
            except Exception:
                log.exception("the job %s could not be run", folder.name)
            finally:
                with self._lock:
                    del self._owners[self._running]
                    self._running = self._process = None
                    _touch(folder)
        self._sweep_later()

    def _run(self, folder: Path) -> None:
        """Start the process and wait for its end; kill it when it does not stop in time."""
        _write_json(folder / "progress.json", {**_read_json(folder / "progress.json"), "state": "running", "sentence": ""})
        home = Path(lunaris.__file__).parents[1]
        paths = [str(home), *filter(None, [os.environ.get("PYTHONPATH")])]
        command = [sys.executable, "-m", __name__, str(folder), str(self.limits.seconds), str(self.limits.memory_bytes)]
        with open(folder / "log.txt", "ab") as output, self._lock:
            if self._stop_by is not None:  # cancelled before it began
                _write_json(folder / "progress.json", {**_read_json(folder / "progress.json"), "state": "stopped"})
                return
            self._process = process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=home,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            )
        overrun = time.monotonic() + self.limits.seconds + 60  # start-up, and the last save
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
                break
            if time.monotonic() > (self._stop_by or overrun):
                process.kill()
        with contextlib.suppress(OSError):
            process.stdin.close()
        left = _read_json(folder / "progress.json")
        if self._stop_by is not None and left.get("state") == "running":  # it had to be killed, which is what the visitor wanted
            _write_json(folder / "progress.json", {**left, "state": "stopped"})

    # --- the disk

    def sweep(self, *, room_for: int = 0) -> None:
        """Delete the folders of ended jobs that nobody used for `keep_s`, and as many more as exceed `kept`."""
        with self._lock:
            idle = self._idle()
            surplus = len(idle) + len(self._queue) + (self._running is not None) + room_for - self.limits.kept
            for place, (used, folder) in enumerate(idle):
                if place < surplus or time.time() - used > self.limits.keep_s:
                    shutil.rmtree(folder, ignore_errors=True)

    def _idle(self) -> list[tuple[float, Path]]:
        """The last use and the folder of every job that has ended, the one unused for longest first."""
        try:
            ours = [path for path in self.root.iterdir() if re.fullmatch(NAME, path.name)]  # whatever else lies there is not ours to delete
        except OSError:  # no folder yet, or another user's
            return []
        return sorted((_last_use(path), path) for path in ours if path.name not in (*self._queue, self._running))

    def _sweep_later(self) -> None:
        """Sweep when the first folder is due, even if nobody comes by until then, and so on as long as there are any."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            idle = self._idle()
            if idle:
                due = idle[0][0] + self.limits.keep_s
                self._timer = threading.Timer(max(0.0, due - time.time()) + 1, self._sweep_on_time)
                self._timer.daemon = True
                self._timer.start()

    def _sweep_on_time(self) -> None:
        self.sweep()
        self._sweep_later()


@cache
def shared() -> Jobs:
    """The jobs of this process."""
    return Jobs()


def id_of(token: str) -> str:
    """The name of a job's folder: it finds the job, but gives no right over it."""
    return hashlib.sha256(token.strip().encode()).hexdigest()[:32]


def default_root() -> Path:
    """LUNARIS_JOBS, else a folder of this user's among the temporary files."""
    given = os.environ.get("LUNARIS_JOBS", "").strip()
    user = getattr(os, "getuid", lambda: "")()
    return Path(given) if given else Path(tempfile.gettempdir()) / f"lunaris-jobs-{user}"


@contextlib.contextmanager
def disk_full_in_one_sentence(what: str):
    """Turn the system's "no space left" into a sentence for the visitor; `what` says what did not happen."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL and not any(f"(os error {code})" in str(error) or os.strerror(code) in str(error) for code in FULL):
            raise
        raise OSError(f"{what}: the disk of this server is full; nothing of yours was lost, try again in an hour") from None


def _private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user; set LUNARIS_JOBS to a folder of your own")


def _touch(folder: Path) -> None:
    """Note that the job is in use: its hour begins anew."""
    with contextlib.suppress(OSError):
        os.utime(folder)


def _last_use(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:  # another server has just swept it
        return 0.0


def _write_json(path: Path, table: Mapping[str, Any]) -> None:
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    half.write_text(json.dumps(table), encoding="utf-8")
    half.replace(path)  # whoever reads sees the table before or the one after


def _read_json(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    return {}


# --- inside the job's process ----------------------------------------------------------------------------------------------------


class Work:
    """What the function of a job is given: its `folder`, its `settings`, and a line to the visitor who waits."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        self.folder, self.settings = folder, settings
        self.cancelled = threading.Event()
        self.deadline = math.inf  # of time.monotonic()
        self._reported = _read_json(folder / "progress.json")

    def should_stop(self) -> bool:
        """Whether to save and return now: the visitor cancelled, the server died, or the time is up."""
        return self.cancelled.is_set() or time.monotonic() > self.deadline

    def report(self, **values: Any) -> None:
        """Add `values` (JSON) to what the visitor sees. A disk too full for that is no reason to stop."""
        self._reported |= values
        with contextlib.suppress(OSError):
            _write_json(self.folder / "progress.json", self._reported)


def run(folder: Path, seconds: float, memory_bytes: int) -> None:
    """Do the job of `folder` and write down how it ended."""
    job = _read_json(folder / "job.json")
    work = Work(folder, job["settings"])
    threading.Thread(target=_watch_server, args=(work,), daemon=True).start()
    _be_modest(memory_bytes)
    try:
        module, _, name = job["target"].partition(":")
        function = getattr(importlib.import_module(module), name)
        work.deadline = time.monotonic() + seconds
        finished = function(work)
    except Exception as error:
        traceback.print_exc()
        from lunaris.core.ui import sentence_of

        ours = type(error).__module__.startswith("lunaris.")  # TrainingError and its like are sentences
        work.report(state="failed", sentence=" ".join(str(error).split()) if ours else sentence_of(error))
        return
    if finished:
        work.report(state="done", sentence="")
    elif work.cancelled.is_set():
        work.report(state="stopped", sentence="")
    else:
        work.report(state="stopped", sentence=f"the {seconds / 60:g} minutes that one run may take are over; resume goes on from here")


def _watch_server(work: Work) -> None:
    """The server closes our input to stop us, and the system closes it when the server dies."""
    while os.read(0, 1):
        pass
    work.cancelled.set()


def _be_modest(memory_bytes: int) -> None:
    """Leave the visitors' clicks the processor first, and the server its memory."""
    with contextlib.suppress(AttributeError, OSError):
        os.nice(5)
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


if __name__ == "__main__":
    run(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
