"""Long work in processes of its own: whose it is, its queue, how it stops, and what a dead process or server leaves behind."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from lunaris.core import jobs
from lunaris.core.jobs import Jobs, Limits

ME = Path(__file__).parent
NOW = 120.0  # seconds within which anything here has happened, however busy the machine


# --- the work, done in the job's process --------------------------------------------------------------------------------------------


def count(work: jobs.Work) -> bool:
    """Count on to settings["to"] from what a file says; a file, because a stopped job must find it again."""
    file = work.folder / "count"
    n = int(file.read_text()) if file.exists() else 0
    while n < work.settings["to"] and not work.should_stop():
        n += 1
        file.write_text(str(n))
        work.report(n=n, pid=os.getpid())
        time.sleep(0.01)
    return n == work.settings["to"]


def refuse(work: jobs.Work) -> None:
    raise ValueError(work.settings["say"])


def crash(work: jobs.Work) -> None:
    raise ZeroDivisionError("secret detail")


def ignore_everything(work: jobs.Work) -> None:
    work.report(n=0, pid=os.getpid())
    time.sleep(600)


def take_memory(work: jobs.Work) -> None:
    bytearray(work.settings["bytes"])


# --- what the tests share -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ME))
    made = []

    def make(**limits) -> Jobs:
        made.append(Jobs(tmp_path / "jobs", Limits(**{"free_bytes": 0, **limits})))
        return made[-1]

    yield make
    for one in made:
        if one._process is not None:
            one._process.kill()


def wait(table: Jobs, token: str, *states: str) -> jobs.Status:
    """The job's status once it is in one of `states`."""
    deadline = time.monotonic() + NOW
    while (status := table.status(token)).state not in states:
        assert time.monotonic() < deadline, status
        time.sleep(0.02)
    return status


def running(table: Jobs, token: str) -> jobs.Status:
    """The job's status once its work has reported something."""
    deadline = time.monotonic() + NOW
    while not (status := table.status(token)).progress.get("n"):
        assert time.monotonic() < deadline, status
        time.sleep(0.02)
    return status


# --- a job's life -------------------------------------------------------------------------------------------------------------------


def test_a_job_runs_in_its_own_process_with_its_settings_and_files(table):
    one = table()
    token = one.start("ana", "test_jobs:count", {"to": 3}, {"input/count.txt": b"hello"})
    status = wait(one, token, "done")
    assert status.progress["n"] == 3 and status.progress["pid"] != os.getpid() and status.sentence == ""
    assert (status.folder / "input/count.txt").read_bytes() == b"hello"
    assert "torch" not in sys.modules or (status.folder / "log.txt").read_text() == ""


def test_cancelled_within_a_second_and_resumed_from_what_was_saved(table):
    one = table()
    token = one.start("ana", "test_jobs:count", {"to": 10**6})
    before = running(one, token)
    asked = time.monotonic()
    one.cancel(token)
    assert one.status(token).state in ("stopping", "stopped")
    stopped = wait(one, token, "stopped")
    assert time.monotonic() - asked < 1.0
    assert stopped.progress["n"] >= before.progress["n"] and stopped.sentence == ""
    one.resume("ana", token)
    deadline = time.monotonic() + NOW
    while one.status(token).progress["n"] <= stopped.progress["n"] and time.monotonic() < deadline:
        time.sleep(0.02)
    again = one.status(token)
    assert again.state == "running" and again.progress["n"] > stopped.progress["n"] and again.progress["pid"] != stopped.progress["pid"]
    one.cancel(token)
    wait(one, token, "stopped")


def test_two_visitors_the_second_waits_and_sees_its_place(table):
    one = table()
    first, second, third = (one.start(owner, "test_jobs:count", {"to": 10**6}) for owner in ("ana", "bia", "caio"))
    running(one, first)
    places = [(one.status(token).state, one.status(token).position) for token in (first, second, third)]
    assert places == [
        ("running", 0),
        ("waiting", 1),
        ("waiting", 2),
    ]
    one.cancel(second)  # a waiting job goes at once
    assert one.status(second).state == "stopped" and one.status(third).position == 1
    one.cancel(first)
    assert running(one, third).state == "running"
    one.cancel(third)
    wait(one, third, "stopped")


def test_only_the_token_opens_a_job_and_its_folder_does_not_tell_it(table):
    one = table()
    token = one.start("ana", "test_jobs:count", {"to": 10**6})
    running(one, token)
    name = one.folder(token).name
    for other in ("", "x", name, token[:-1], token + "x", f"../{name}"):
        for act in (one.status, one.cancel, one.folder, lambda other: one.resume("eve", other)):
            with pytest.raises(FileNotFoundError, match="this server has no such training"):
                act(other)
    assert one.status(token).state == "running"
    assert token not in "".join(path.read_text() for path in one.folder(token).glob("*.json")) and token not in name
    one.cancel(token)
    wait(one, token, "stopped")


def test_one_job_per_visitor_and_a_full_queue_is_refused(table):
    one = table(waiting=2)
    tokens = [one.start("ana", "test_jobs:count", {"to": 10**6})]
    running(one, tokens[0])
    with pytest.raises(ValueError, match="you have a training waiting or running already; wait until it ends, or cancel it"):
        one.start("ana", "test_jobs:count", {"to": 1})
    tokens += [one.start(owner, "test_jobs:count", {"to": 10**6}) for owner in ("bia", "caio")]
    with pytest.raises(ValueError, match="2 trainings are waiting, which is all this server takes; try again in a few minutes"):
        one.start("dora", "test_jobs:count", {"to": 1})
    assert len(list(one.root.iterdir())) == 3  # what was refused left nothing
    for token in reversed(tokens):
        one.cancel(token)
    wait(one, tokens[0], "stopped")
    with pytest.raises(ValueError, match="only a stopped training can be resumed, and this one is done; start a new one"):
        token = one.start("ana", "test_jobs:count", {"to": 0})
        wait(one, token, "done")
        one.resume("ana", token)


# --- what goes wrong ----------------------------------------------------------------------------------------------------------------


def test_a_refusal_of_the_work_reaches_the_visitor_as_its_sentence_and_a_bug_as_a_number(table):
    one = table()
    refused = one.start("ana", "test_jobs:refuse", {"say": "give at least 4 pictures, got 1; add some"})
    broken = one.start("bia", "test_jobs:crash", {})
    assert wait(one, refused, "failed").sentence == "give at least 4 pictures, got 1; add some"
    status = wait(one, broken, "failed")
    assert "report" in status.sentence and "secret" not in status.sentence
    assert "ZeroDivisionError: secret detail" in (status.folder / "log.txt").read_text()


def test_time_is_limited_and_the_job_may_go_on(table):
    one = table(seconds=0.5)
    token = one.start("ana", "test_jobs:count", {"to": 10**6})
    status = wait(one, token, "stopped")
    assert "minutes that one run may take are over; resume goes on from here" in status.sentence
    one.resume("ana", token)
    deadline = time.monotonic() + NOW
    while one.status(token).progress["n"] <= status.progress["n"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_work_that_ignores_the_request_is_killed(table, monkeypatch):
    monkeypatch.setattr(jobs, "DONE_AFTER_S", 0.3)
    one = table()
    token = one.start("ana", "test_jobs:ignore_everything", {})
    deadline = time.monotonic() + NOW
    while "pid" not in one.status(token).progress:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    one.cancel(token)
    status = wait(one, token, "stopped")
    assert status.sentence == "" and not alive(status.progress["pid"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit a process's memory")
def test_memory_is_limited(table):
    one = table(memory_bytes=1 << 30)
    token = one.start("ana", "test_jobs:take_memory", {"bytes": 2 << 30})
    assert wait(one, token, "failed").sentence == "There is not enough memory for this; ask for less at once."


def test_a_killed_process_leaves_a_job_that_can_be_resumed(table):
    """What the system does to a training that takes too much memory."""
    one = table()
    token = one.start("ana", "test_jobs:count", {"to": 10**6})
    os.kill(running(one, token).progress["pid"], signal.SIGKILL)
    status = wait(one, token, "stopped")
    assert "what was saved is still there" in status.sentence
    one.resume("ana", token)
    one.cancel(token)
    wait(one, token, "stopped")


SERVER = """
import sys, time
from lunaris.core.jobs import Jobs, Limits
table = Jobs(sys.argv[1], Limits(free_bytes=0))
print(table.start("ana", "test_jobs:count", {"to": 10**6}), flush=True)
time.sleep(600)
"""


def test_the_process_stops_with_a_killed_server_and_the_next_server_resumes_it(table):
    import subprocess

    one = table()
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(one.root)], stdout=subprocess.PIPE, text=True)
    try:
        token = server.stdout.readline().strip()
        deadline = time.monotonic() + NOW
        while not (one.root / jobs.id_of(token) / "count").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        pid = running(one, token).progress["pid"]
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    status = one.status(token)
    assert status.state == "stopped"
    one.resume("ana", token)
    while one.status(token).progress["n"] <= status.progress["n"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z" if Path("/proc").is_dir() else True


# --- the disk -----------------------------------------------------------------------------------------------------------------------


def test_a_full_disk_refuses_a_job_in_one_sentence_and_leaves_nothing(table):
    one = table(free_bytes=1 << 60)
    with pytest.raises(OSError, match="the training was not started: the disk of this server is full; nothing of yours was lost"):
        one.start("ana", "test_jobs:count", {"to": 1}, {"a": b"b"})
    assert not any(one.root.iterdir())
    one.limits = Limits(free_bytes=0)
    wait(one, one.start("ana", "test_jobs:count", {"to": 1}), "done")  # and the visitor may try again


def test_folders_are_swept_an_hour_after_their_last_use_and_the_oldest_make_room(table):
    one = table(kept=3)
    tokens = []
    for owner in ("ana", "bia", "caio"):
        tokens.append(one.start(owner, "test_jobs:count", {"to": 0}))
        wait(one, tokens[-1], "done")
    for token, age in zip(tokens, (3700, 100, 200), strict=True):
        os.utime(one.folder(token), (time.time() - age,) * 2)
    stranger = one.root / "holidays"
    stranger.mkdir()
    os.utime(stranger, (1, 1))
    one.sweep()
    assert stranger.is_dir()  # LUNARIS_JOBS may name a folder with more in it
    assert [(one.root / jobs.id_of(token)).is_dir() for token in tokens[1:]] == [True, True]
    with pytest.raises(FileNotFoundError, match="it keeps one for 1 h after its last use: start a new one"):
        one.status(tokens[0])
    one.sweep(room_for=2)  # caio's was used before bia's
    assert one.folder(tokens[1]).is_dir()
    with pytest.raises(FileNotFoundError):
        one.folder(tokens[2])


def test_a_visit_starts_the_hour_anew_and_a_job_in_work_is_never_swept(table):
    one = table(keep_s=0.0)
    token = one.start("ana", "test_jobs:count", {"to": 10**6})
    running(one, token)
    folder = one.folder(token)
    os.utime(folder, (1, 1))
    one.sweep()
    assert one.status(token).state == "running"
    assert folder.stat().st_mtime > 1
    one.cancel(token)
    wait(one, token, "stopped")


def test_whoever_uses_what_a_job_made_starts_its_hour_anew(table):
    """Only a look at the training counted as its use: a visitor who drew with the new model all the time lost it after an hour."""
    one = table()
    tokens = [one.start(owner, "test_jobs:count", {"to": 0}) for owner in ("ana", "bia")]
    folders = [wait(one, token, "done").folder for token in tokens]
    for folder in folders:
        os.utime(folder, (time.time() - 3700,) * 2)
    assert one.folder_of(jobs.id_of(tokens[0])) == folders[0]
    one.sweep()
    assert [folder.is_dir() for folder in folders] == [True, False]


def gone(folder: Path) -> bool:
    """Whether `folder` goes with nobody there."""
    deadline = time.monotonic() + NOW
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not folder.exists()


def test_a_folder_that_was_used_once_more_goes_an_hour_after_that(table):
    """The one sweep was set when the queue emptied: whoever looked at the training later put its hour off, and no other sweep followed."""
    one = table(keep_s=0.2)
    folder = wait(one, one.start("ana", "test_jobs:count", {"to": 0}), "done").folder
    os.utime(folder, (time.time() + 1.5,) * 2)  # after the time of that sweep
    assert gone(folder)


def test_a_server_sweeps_what_the_one_before_it_left(table, tmp_path):
    """After a restart nothing was deleted until somebody trained again."""
    folder = tmp_path / "jobs" / jobs.id_of("of a server that is no more")
    folder.mkdir(parents=True)
    table(keep_s=0.0)
    assert gone(folder)


def test_progress_is_always_whole_json(table):
    one = table()
    token = one.start("ana", "test_jobs:count", {"to": 60})
    file = one.folder(token) / "progress.json"
    deadline = time.monotonic() + NOW
    reads = 0
    while one.status(token).state != "done":
        if file.exists():
            json.loads(file.read_text())
            reads += 1
        assert time.monotonic() < deadline
    assert reads > 20
