"""Refs, fetching and publishing, through the real client and the local Hub (HB-07, HB-10).

Every failure is one sentence, ends in time, loses nothing and shows no token. Each test starts from an empty Hub and an empty cache.
"""

import json
import logging
import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from local_hub import OTHER_TOKEN, READ_TOKEN, WRITE_TOKEN, LocalHub
from torch import nn

from lunaris.core import hub, space
from lunaris.core.ui import in_portuguese

CARD = hub.render_card(
    name="Test", family="pixel", what="A test.", data="None.", licence="mit", command="python -m lunaris pixel train", metrics={"loss": 0.5}
)


def make(folder: Path, value: float = 1.0, **files: str | bytes) -> Path:
    """A small sound checkpoint."""
    tensors = {"weight": torch.full((3, 4), value), "bias": torch.zeros(3)}
    return hub.save(folder, tensors=tensors, config={"family": "pixel", "value": value}, files={"README.md": CARD} | files)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def one_sentence(text: str) -> bool:
    return "\n" not in text and not text.endswith(".") and text[0].islower() or text[0] in "'/" and "\n" not in text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path / "checkpoint")


@pytest.fixture
def published(fresh_hub: LocalHub, folder: Path) -> str:
    """The checkpoint as lunar/pixel on the Hub, put there without the code under test."""
    fresh_hub.add_repo("lunar/pixel", contents(folder))
    return "lunar/pixel"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second of silence is enough to give up, and two tries without a pause."""
    monkeypatch.setenv("LUNARIS_HUB_TIMEOUT", "0.5")
    monkeypatch.setattr(hub, "COMMIT_TRIES", 2)
    monkeypatch.setattr(hub, "_pause", lambda attempt: None)


# --- refs -------------------------------------------------------------------------------------------------------------------------


def test_a_folder_is_itself_as_text_or_path(folder, monkeypatch):
    assert hub.resolve(folder) == folder and hub.resolve(str(folder)) == folder
    monkeypatch.chdir(folder.parent)
    assert hub.resolve("checkpoint") == Path("checkpoint")


def test_a_bundled_name_is_its_folder_and_a_folder_here_comes_first(tmp_path, monkeypatch, fresh_hub):
    make(tmp_path / "bundled" / "pixel-16")
    (tmp_path / "bundled" / "no-config").mkdir()
    (tmp_path / "bundled" / ".hidden").mkdir()
    monkeypatch.setenv("LUNARIS_CHECKPOINTS", str(tmp_path / "bundled"))
    assert hub.bundled() == {"pixel-16": tmp_path / "bundled" / "pixel-16"}
    monkeypatch.chdir(tmp_path)
    assert hub.resolve("pixel-16") == tmp_path / "bundled" / "pixel-16"
    make(tmp_path / "pixel-16")
    assert hub.resolve("pixel-16") == Path("pixel-16")
    assert fresh_hub.log == []


def test_the_repository_brings_bundled_checkpoints_or_none():
    """Without LUNARIS_CHECKPOINTS: checkpoints/ beside the package, when it is there."""
    root = Path(hub.lunaris.__file__).parents[1] / "checkpoints"
    expected = {path.parent.name for path in root.glob("*/config.json")}
    assert set(hub.bundled()) == expected


def test_an_unknown_name_lists_what_is_bundled(tmp_path, monkeypatch):
    make(tmp_path / "b" / "pixel-16")
    make(tmp_path / "b" / "pixel-32")
    monkeypatch.setenv("LUNARIS_CHECKPOINTS", str(tmp_path / "b"))
    for ref in ("pixel-61", "/no/such/folder", Path("nowhere")):
        with pytest.raises(FileNotFoundError, match=r"bundled one \(pixel-16, pixel-32\), a folder, or owner/name on the Hub"):
            hub.resolve(ref)
    with pytest.raises(ValueError, match="pixel-16 is bundled and has no revisions"):
        hub.resolve("pixel-16@v1")


@pytest.mark.parametrize(
    "ref",
    [
        "../pixel",
        "a/../b",
        "..",
        "lunar/..",
        "a\\..\\b",
        "",
        "   ",
        "lunar/pi\nxel",
        "lunar/pixel\x00",
        "lunar/pixel\x1b[31m",
        "x" * 5000,
        f"lunar/{'x' * 97}",
        "lunar/a/b",
        "lunar//a",
        "lunar/",
        "lunar/-a",
        "lunar/a--b",
        "lunar/a..b",
        "lunar/a.git",
        "lunar/a b",
        "lunar/ação",
        "http://127.0.0.1/x",
        "file:///etc",
        "lunar/a@",
        "lunar/a@../x",
        "lunar/a@v 1",
        "lunar/a@" + "v" * 101,
        "lunar/a@x//y",
        "lunar/a@b@c",
        "a b",
    ],
)
def test_malformed_refs_are_refused_in_one_sentence_without_a_request(fresh_hub, ref):
    for call in (hub.resolve, hub.card, lambda r: hub.resolve(r, folders=False)):
        with pytest.raises(ValueError) as caught:
            call(ref)
        assert one_sentence(str(caught.value)) and len(str(caught.value)) < 300
    assert fresh_hub.log == []


@pytest.mark.parametrize("model_id", ["", "not a repo!", "pixel-16", "/tmp", "lunar/pixel@", "lunar/pixel@a b", "lunar/../x"])
def test_a_space_is_built_for_a_model_that_can_exist(tmp_path, model_id):
    """Any text was taken for --model-id, and an empty one gave a Space without a checkpoint: its visitors were the first to hear of it."""
    with pytest.raises(ValueError, match=r"a repository is owner/name .*; try lunar/pixel-16|a revision is a tag, .*; try main"):
        space.build("pixel", tmp_path / "bundle", model_id=model_id)
    assert not (tmp_path / "bundle").exists()


def test_a_ref_for_visitors_never_opens_a_folder(folder, fresh_hub):
    with pytest.raises(FileNotFoundError, match="no folder"):
        hub.resolve(str(folder), folders=False)
    with pytest.raises(FileNotFoundError, match="no folder"):
        hub.resolve("/", folders=False)


def test_two_revisions_are_one_too_many(published):
    assert hub.resolve("lunar/pixel@main", revision="main")
    with pytest.raises(ValueError, match="name two revisions; give one"):
        hub.resolve("lunar/pixel@main", revision="v1")


def test_a_folder_that_is_no_checkpoint_says_what_it_lacks(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no model\.safetensors; a checkpoint holds"):
        hub.resolve(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
        hub.resolve(tmp_path)


# --- fetch ------------------------------------------------------------------------------------------------------------------------


def test_what_was_pushed_is_what_is_fetched(folder, fresh_hub):
    result = hub.push(folder, "lunar/pixel", tag="v1")
    assert result.url == f"{fresh_hub.url}/lunar/pixel"
    for ref in ("lunar/pixel", "lunar/pixel@v1", f"lunar/pixel@{result.revision}"):
        got = hub.resolve(ref)
        assert hub.weight_hash(got) == hub.weight_hash(folder) and hub.load_config(got) == hub.load_config(folder)
    module = nn.Linear(4, 3)
    hub.load_into(module, hub.resolve("lunar/pixel"))
    assert torch.equal(module.weight, torch.ones(3, 4))


def test_a_revision_pins_what_it_named(fresh_hub, tmp_path):
    first = hub.push(make(tmp_path / "a", 1.0), "lunar/pixel", tag="v1")
    hub.push(make(tmp_path / "b", 2.0), "lunar/pixel", tag="rel/2")
    value = lambda ref, **kw: hub.load_config(hub.resolve(ref, **kw))["value"]  # noqa: E731
    assert [value("lunar/pixel"), value("lunar/pixel@v1"), value("lunar/pixel@rel/2")] == [2.0, 1.0, 2.0]
    assert value("lunar/pixel", revision=first.revision) == 1.0


def test_only_allowed_files_are_fetched(fresh_hub, folder):
    extra = {
        "pytorch_model.bin": b"\x80\x04pickle",
        "run.py": "print()",
        ".env": "SECRET=1",
        "state/step-1/optimizer.safetensors": b"\0",
        "sub/.hidden/x.json": "{}",
        "sub/vocab.json": "{}",
        "sample.png": b"\0PNG",
        "setup.exe": b"MZ\0",
    }
    fresh_hub.add_repo("lunar/pixel", contents(folder) | extra)
    got = contents(hub.resolve("lunar/pixel"))
    assert sorted(got) == ["README.md", "config.json", "model.safetensors", "sample.png", "sub/vocab.json"]
    assert not fresh_hub.requests(r"(bin|py|env|exe|state|hidden)$")


def test_a_repository_with_nothing_but_a_pickle_is_refused_before_anything_is_fetched(fresh_hub):
    fresh_hub.add_repo("lunar/bad", {"pytorch_model.bin": b"\x80\x04", "config.json": "{}"})
    with pytest.raises(
        ValueError, match=r"lunar/bad has no safetensors, only pickle 'pytorch_model\.bin', which could run code when opened"
    ):
        hub.resolve("lunar/bad")
    assert fresh_hub.requests("/resolve/") == []


def test_a_repository_that_is_no_checkpoint_says_so(fresh_hub):
    fresh_hub.add_repo("lunar/empty")
    with pytest.raises(FileNotFoundError, match=r"lunar/empty has no model\.safetensors"):
        hub.resolve("lunar/empty")


def test_what_is_too_large_is_not_fetched(published, fresh_hub, monkeypatch):
    monkeypatch.setattr(hub, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match=r"lunar/pixel has 3 files of .* are fetched"):
        hub.resolve(published)
    assert fresh_hub.requests("/resolve/") == []


def test_a_visitor_cannot_have_as_much_fetched_as_the_owner(published, fresh_hub, monkeypatch):
    """Whoever typed a Hub name into a public page could once make the server fetch ten gigabytes."""
    monkeypatch.setattr(hub, "VISITOR_BYTES", 100)
    with pytest.raises(ValueError, match=r"lunar/pixel has 3 files of .* are fetched"):
        hub.resolve(published, folders=False)
    assert fresh_hub.requests("/resolve/") == []
    assert hub.resolve(published).is_dir()


@pytest.mark.parametrize("kept", ["private", "gated"])
def test_a_visitor_sees_nothing_that_only_the_operator_may(published, fresh_hub, monkeypatch, kept):
    """What visitors typed was fetched with the operator's token, and answered from the operator's downloads: anybody who guessed its name
    could use a private model of whoever runs the page. The sentence told them to log in with `hf auth login`, in a terminal they lack."""
    repo = fresh_hub.repos["models", "lunar/pixel"]
    setattr(repo, kept, True if kept == "private" else "manual")
    commit = repo.branches["main"]
    assert hub.resolve(published).is_dir() and hub.resolve(f"{published}@{commit}").is_dir()
    for ref in (published, f"{published}@{commit}"):
        with pytest.raises(hub.HubError) as caught:
            hub.resolve(ref, folders=False)
        assert "the Hub has no model lunar/pixel" in str(caught.value) and "hf auth login" not in str(caught.value)
        assert str(caught.value).endswith("that everybody may see; check the name, or choose a public one")
        assert in_portuguese(str(caught.value)).endswith("que todos possam ver; confira o nome, ou escolha um público")
    monkeypatch.setenv("LUNARIS_OFFLINE", "1")
    for ref in (published, f"{published}@{commit}"):
        with pytest.raises(hub.HubError, match="is not on this machine"):
            hub.resolve(ref, folders=False)


def test_what_anybody_may_see_is_fetched_for_a_visitor_without_a_token(published, fresh_hub, folder, monkeypatch):
    assert contents(hub.resolve(published, folders=False)) == contents(folder)
    assert not any(entry["authorized"] for entry in fresh_hub.log)
    monkeypatch.setenv("LUNARIS_OFFLINE", "1")
    assert contents(hub.resolve(published, folders=False)) == contents(folder)


def test_a_dataset_is_fetched_as_pictures_and_texts(fresh_hub):
    fresh_hub.add_repo("lunar/sprites", {"a.png": b"\0P", "captions.jsonl": "{}\n", "script.py": "1"}, kind="datasets")
    got = hub.resolve("lunar/sprites", repo_type="dataset")
    assert sorted(contents(got)) == ["a.png", "captions.jsonl"]
    fresh_hub.add_repo("lunar/scripts", {"script.py": "1"}, kind="datasets")
    with pytest.raises(FileNotFoundError, match="dataset lunar/scripts has no file that Lunaris reads"):
        hub.resolve("lunar/scripts", repo_type="dataset")


def test_the_card_is_fetched_alone(published, fresh_hub, folder):
    assert hub.card(published) == CARD == hub.card(folder)
    assert {entry["path"].split("/")[-1] for entry in fresh_hub.requests("/resolve/")} == {"README.md"}
    fresh_hub.add_repo("lunar/bare", {"config.json": "{}"})
    with pytest.raises(FileNotFoundError, match=r"lunar/bare has no card"):
        hub.card("lunar/bare")


def test_a_broken_connection_is_taken_up_again(fresh_hub, folder):
    fresh_hub.add_repo("lunar/pixel", contents(folder))
    fresh_hub.faults.append({"match": "GET /_lfs/", "cut": 50, "times": 1})
    assert hub.weight_hash(hub.resolve("lunar/pixel")) == hub.weight_hash(folder)


# --- offline and the cache --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("switch", ["LUNARIS_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_uses_what_was_fetched_and_asks_nobody(published, fresh_hub, monkeypatch, switch):
    fetched = hub.resolve("lunar/pixel@main")
    monkeypatch.setenv(switch, "1")
    fresh_hub.log.clear()
    assert hub.resolve("lunar/pixel@main") == fetched == hub.resolve("lunar/pixel")
    assert fresh_hub.log == []


def test_offline_without_a_copy_says_what_works(fresh_hub, monkeypatch, tmp_path):
    make(tmp_path / "b" / "pixel-16")
    monkeypatch.setenv("LUNARIS_CHECKPOINTS", str(tmp_path / "b"))
    monkeypatch.setenv("LUNARIS_OFFLINE", "yes")
    with pytest.raises(hub.HubError, match=r"lunar/pixel is not on this machine and the network is off .*give a bundled one \(pixel-16\)"):
        hub.resolve("lunar/pixel")
    assert fresh_hub.log == []


def test_a_copy_that_is_not_complete_is_no_copy(published, monkeypatch):
    hub.card("lunar/pixel")  # leaves a snapshot with nothing but the card
    monkeypatch.setenv("LUNARIS_OFFLINE", "1")
    with pytest.raises(hub.HubError, match="is not on this machine"):
        hub.resolve("lunar/pixel")


def test_a_commit_id_that_is_here_needs_no_request(published, fresh_hub):
    commit = fresh_hub.repos["models", "lunar/pixel"].branches["main"]
    first = hub.resolve(f"lunar/pixel@{commit}")
    fresh_hub.log.clear()
    assert hub.resolve(f"lunar/pixel@{commit}") == first and fresh_hub.log == []


@pytest.mark.parametrize("missing", ["model.safetensors", "vocab.json"])
def test_a_download_that_broke_off_is_gone_on_with(fresh_hub, tmp_path, missing):
    """What an interrupted download of a commit left, its config.json alone, was taken for the whole from then on; and without a network
    so was what lacked a smaller file."""
    folder = make(tmp_path / "checkpoint", **{"vocab.json": "{}"})
    fresh_hub.add_repo("lunar/pixel", contents(folder))
    pinned = f"lunar/pixel@{fresh_hub.repos['models', 'lunar/pixel'].branches['main']}"
    fresh_hub.faults.append({"match": f"/resolve/.*{missing}", "status": 403})
    for offline in (False, True):
        with pytest.raises(hub.HubError), pytest.MonkeyPatch.context() as patch:
            patch.setenv("LUNARIS_OFFLINE", str(int(offline)))
            hub.resolve(pinned)
    fresh_hub.faults.clear()
    assert contents(hub.resolve(pinned)) == contents(folder)


def test_a_dataset_that_broke_off_is_gone_on_with(fresh_hub):
    """Nothing in a dataset's copy says whether all of it came, so the Hub is asked even about a commit."""
    fresh_hub.add_repo("lunar/sprites", {"a.png": b"\0P", "captions.jsonl": "{}\n"}, kind="datasets")
    pinned = f"lunar/sprites@{fresh_hub.repos['datasets', 'lunar/sprites'].branches['main']}"
    fresh_hub.faults.append({"match": r"/resolve/.*captions\.jsonl", "status": 403})
    with pytest.raises(hub.HubError):
        hub.resolve(pinned, repo_type="dataset")
    fresh_hub.faults.clear()
    assert sorted(contents(hub.resolve(pinned, repo_type="dataset"))) == ["a.png", "captions.jsonl"]


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 503}, {"status": 429}, {"hang_s": 5}, {"cut": 0}])
def test_a_hub_in_trouble_leaves_the_copy_usable_with_one_line(published, fresh_hub, quick, caplog, fault):
    fetched = hub.resolve("lunar/pixel")
    fresh_hub.faults.append({"match": "."} | fault)
    with caplog.at_level(logging.WARNING, logger="lunaris"):
        assert hub.resolve("lunar/pixel") == fetched
    lines = [record.getMessage() for record in caplog.records if record.name == "lunaris"]
    assert len(lines) == 1 and "using the copy of lunar/pixel that was fetched earlier" in lines[0]


def test_a_new_state_on_the_hub_is_noticed(published, fresh_hub, tmp_path):
    hub.resolve("lunar/pixel")
    hub.push(make(tmp_path / "new", 5.0), "lunar/pixel")
    assert hub.load_config(hub.resolve("lunar/pixel"))["value"] == 5.0


def test_a_copy_is_not_used_once_access_is_taken_away(published, fresh_hub, monkeypatch):
    """The client alone would hand out the cached file (see tests/test_local_hub.py); a "no" of the Hub is a no."""
    hub.resolve("lunar/pixel")
    fresh_hub.repos["models", "lunar/pixel"].private = True
    monkeypatch.setenv("HF_TOKEN", OTHER_TOKEN)
    with pytest.raises(hub.HubError, match="the Hub has no model lunar/pixel, or it is private"):
        hub.resolve("lunar/pixel")


# --- what the Hub refuses, on the way in ------------------------------------------------------------------------------------------


def refused(ref: str = "lunar/pixel", **kwargs) -> hub.HubError:
    start = time.monotonic()
    with pytest.raises(hub.HubError) as caught:
        hub.resolve(ref, **kwargs)
    assert time.monotonic() - start < 8
    assert one_sentence(str(caught.value)) and not re.search(r"hf_(?!\*)\w+|Request ID|Traceback", str(caught.value))
    return caught.value


def test_a_missing_repository(fresh_hub):
    error = refused("runs/pixle")
    assert str(error).startswith("no folder runs/pixle here, and the Hub has no model runs/pixle, or it is private")
    assert error.status == 404 and not error.unreachable and "hf auth login" in str(error)


def test_a_private_repository_without_a_token_and_with_anothers(published, fresh_hub, monkeypatch):
    fresh_hub.repos["models", "lunar/pixel"].private = True
    for token in (None, OTHER_TOKEN):
        monkeypatch.delenv("HF_TOKEN") if token is None else monkeypatch.setenv("HF_TOKEN", token)
        assert "the Hub has no model lunar/pixel, or it is private and this account may not see it" in str(refused())


def test_a_gated_repository_says_where_to_ask(published, fresh_hub, monkeypatch):
    fresh_hub.repos["models", "lunar/pixel"].gated = "manual"
    monkeypatch.setenv("HF_TOKEN", OTHER_TOKEN)
    assert "model lunar/pixel is gated and this account has no access yet; ask for it on its page" in str(refused())


def test_a_missing_revision(published):
    assert "the Hub has no such revision of model lunar/pixel@v9; check the tag, branch or commit id" in str(refused("lunar/pixel@v9"))
    assert "no such revision" in str(refused(f"lunar/pixel@{'0' * 40}"))


def test_a_token_that_nobody_knows(published, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "the Hub refused the token (401); make a new one" in str(refused())


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 401, "message": "Invalid credentials in Authorization header"}, "refused the token (401)"),
        ({"status": 403, "message": "blocked here"}, "403: blocked here"),
        ({"status": 403, "message": "Access to this resource is disabled."}, "was disabled on the Hub"),
        ({"status": 404}, "(404: injected 404)"),
        ({"status": 418, "message": "teapot"}, "the Hub refused model lunar/pixel (418: teapot)"),
        ({"status": 429}, "asks to slow down (429)"),
        ({"status": 500}, "a problem of its own (500)"),
        ({"status": 502, "body": "<html>bad gateway</html>", "headers": {"Content-Type": "text/html"}}, "a problem of its own (502)"),
        ({"status": 503}, "a problem of its own (503)"),
        ({"status": 200, "body": "<html>a hotel's login page</html>"}, "is not a Hugging Face Hub; check HF_ENDPOINT"),
        ({"hang_s": 5}, "did not answer within 0.5 s"),
        ({"cut": 3}, "cannot be reached for model lunar/pixel"),
    ],
)
def test_whatever_the_hub_answers_to_a_question_is_one_sentence(published, fresh_hub, quick, fault, said):
    fresh_hub.faults.append({"match": "GET /api/models"} | fault)
    assert said in str(refused())


@pytest.mark.parametrize("match", ["GET /api/models/lunar/pixel/tree", "HEAD .*/resolve/", "GET .*/resolve/", "GET /_lfs/"])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"hang_s": 5}, "did not answer within 0.5 s"),
        ({"status": 503}, "(503)"),
        ({"cut": 0}, "did not answer within 0.5 s|cannot be reached|Consistency"),
    ],
)
def test_trouble_in_the_middle_of_a_download_ends_in_time(published, fresh_hub, quick, match, fault, said):
    """After the listing has worked: the client alone retries these for a minute."""
    if match.startswith("HEAD") and "cut" in fault:
        pytest.skip("an answer to HEAD has no body to cut")
    fresh_hub.faults.append({"match": match} | fault)
    assert re.search(said, str(refused()))


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
def test_no_network_is_one_sentence(fresh_hub, monkeypatch, endpoint):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    error = refused()
    assert "cannot be reached for model lunar/pixel" in str(error) and "check the network" in str(error) and error.unreachable


def test_a_cache_that_cannot_be_written_is_one_sentence(published, tmp_path, monkeypatch):
    from huggingface_hub import constants

    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "cache"))
    assert "the download cache cannot be used" in str(refused()) and "HF_HOME" in str(refused())


def test_a_wrong_time_out_is_said(published, monkeypatch):
    for text in ("soon", "0", "-1", "nan", "inf"):
        monkeypatch.setenv("LUNARIS_HUB_TIMEOUT", text)
        with pytest.raises(ValueError, match=r"LUNARIS_HUB_TIMEOUT must be a number of seconds above 0, got .*; try 10"):
            hub.resolve("lunar/pixel")


@pytest.mark.parametrize("match", ["GET /api/models", "HEAD .*/resolve/", "GET /_lfs/"])
def test_a_program_ends_while_the_hub_still_hangs(published, fresh_hub, tmp_path, match):
    """The bug this would catch: a thread pool's threads are waited for at exit, for as long as the client retries."""
    fresh_hub.faults.append({"match": match, "hang_s": 60})
    code = """
        import time
        from lunaris.core import hub
        start = time.monotonic()
        try:
            hub.resolve("lunar/pixel")
        except hub.HubError as error:
            print(f"{time.monotonic() - start:.1f}|{error}", flush=True)
    """
    env = os.environ | {"LUNARIS_HUB_TIMEOUT": "1", "HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env=env, stdout=subprocess.PIPE, text=True)
    seconds, _, sentence = process.stdout.readline().partition("|")
    said = time.monotonic()
    assert float(seconds) < 3 and "did not answer within 1 s" in sentence
    assert process.wait(timeout=30) == 0 and time.monotonic() - said < 5


# --- publish ----------------------------------------------------------------------------------------------------------------------


def test_a_push_makes_the_repository_uploads_and_tags(folder, fresh_hub):
    before = contents(folder)
    result = hub.push(folder, "lunar/pixel", tag="v1.0", message="First night")
    assert result.sentence == f"{folder} is published at {fresh_hub.url}/lunar/pixel as v1.0" and result.folder == folder
    repo = fresh_hub.repos["models", "lunar/pixel"]
    assert repo.tags == {"v1.0": result.revision} and repo.commits[result.revision].title == "First night" and not repo.private
    up = fresh_hub.files("lunar/pixel")
    assert {name: up[name] for name in ("config.json", "model.safetensors")} == {
        name: before[name] for name in ("config.json", "model.safetensors")
    }
    assert up["README.md"].decode() == CARD.replace("OWNER/NAME", "lunar/pixel")
    assert contents(folder) == before


def test_the_same_push_again_changes_nothing(folder, fresh_hub):
    first = hub.push(folder, "lunar/pixel", tag="v1")
    fresh_hub.log.clear()
    assert hub.push(folder, "lunar/pixel", tag="v1") == first
    assert len(fresh_hub.repos["models", "lunar/pixel"].commits) == 2 and not fresh_hub.requests("PUT|/commit/")


def test_a_name_alone_goes_to_ones_own_account(folder, fresh_hub):
    result = hub.push(folder, "my-sprites")
    assert result.url == f"{fresh_hub.url}/lunar/my-sprites" and 'pixel.load("lunar/my-sprites")' in hub.card("lunar/my-sprites")


def test_only_allowed_files_are_uploaded(folder, fresh_hub):
    for name in (
        "state/step-1/optimizer.safetensors",
        "model.bin",
        ".env",
        ".git/config.json",
        "notes.py",
        "sub/.x/a.json",
        "sub/words.json",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"{}")
    assert hub.push(folder, "lunar/pixel").url
    assert sorted(fresh_hub.files("lunar/pixel")) == ["README.md", "config.json", "model.safetensors", "sub/words.json"]


def test_a_link_out_of_the_folder_is_refused(folder, fresh_hub, tmp_path):
    (tmp_path / "secret.json").write_text('{"key": "hush"}')
    (folder / "extra.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(ValueError, match=r"extra\.json is a link to a file outside the folder"):
        hub.push(folder, "lunar/pixel")
    (folder / "extra.json").unlink()
    (folder / "extra.json").symlink_to(folder / "config.json")
    assert hub.push(folder, "lunar/pixel").url and fresh_hub.files("lunar/pixel")["extra.json"] == (folder / "config.json").read_bytes()


def test_a_fetched_checkpoint_can_be_pushed_on(published, fresh_hub):
    """The client's cache is made of links; they lead to its own store and are fine."""
    assert hub.push(hub.resolve(published), "moonlab/copy").url
    assert fresh_hub.files("moonlab/copy")["model.safetensors"] == fresh_hub.files("lunar/pixel")["model.safetensors"]


def test_private_is_private_or_nothing_goes_up(folder, fresh_hub):
    assert hub.push(folder, "lunar/mine", private=True).url and fresh_hub.repos["models", "lunar/mine"].private
    fresh_hub.add_repo("lunar/open")
    result = hub.push(folder, "lunar/open", private=True)
    assert result.url is None and "lunar/open exists already and is public; choose another name" in result.sentence
    assert fresh_hub.files("lunar/open") == {}


def test_a_tag_in_use_stays_where_it_was(folder, fresh_hub, tmp_path):
    first = hub.push(folder, "lunar/pixel", tag="v1")
    second = hub.push(make(tmp_path / "other", 9.0), "lunar/pixel", tag="v1")
    assert second.url and second.sentence.endswith("but the tag v1 names an earlier state and stays there; choose a new one")
    assert fresh_hub.repos["models", "lunar/pixel"].tags == {"v1": first.revision}


def test_a_tag_that_fails_does_not_deny_that_the_files_are_up(folder, fresh_hub, quick):
    fresh_hub.faults.append({"match": "POST .*/tag/", "status": 500})
    result = hub.push(folder, "lunar/pixel", tag="v1")
    assert (
        result.url and "is published at" in result.sentence and "the tag v1 could not be set; try again with `python -m" in result.sentence
    )


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda f: (f / "README.md").unlink(), "has no card"),
        (lambda f: (f / "README.md").write_text("# no front matter"), "begins with front matter"),
        (lambda f: (f / "README.md").write_text(CARD.replace("license: mit", "license: mine")), "licence id of the Hub"),
        (lambda f: (f / "README.md").write_bytes(b"---\nlicense: mit\n---\n\xff"), "is not a text in UTF-8"),
        (lambda f: (f / "config.json").write_text("{"), "not valid JSON"),
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
        (lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-4]), "weight 'weight' is incomplete"),
        (lambda f: (f / "model.safetensors").unlink(), "has no model.safetensors"),
    ],
)
def test_what_is_no_sound_checkpoint_is_refused_before_any_request(folder, fresh_hub, break_it, said):
    break_it(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(said)):
        hub.push(folder, "lunar/pixel")
    assert fresh_hub.log == []


@pytest.mark.parametrize("repo_id", ["", "a b", "../x", "lunar/a/b", "x" * 97, "lunar/a\n", "-a", "https://huggingface.co/lunar/a"])
def test_a_malformed_name_is_refused_before_any_request(folder, fresh_hub, repo_id):
    with pytest.raises(ValueError) as caught:
        hub.push(folder, repo_id)
    assert one_sentence(str(caught.value)) and fresh_hub.log == []


# --- what the Hub refuses, on the way out -----------------------------------------------------------------------------------------


def not_published(folder: Path, repo_id: str = "lunar/pixel", **kwargs) -> str:
    """Push, and hold the result to all that holds for every failure; returns the sentence."""
    before, start = contents(folder), time.monotonic()
    result = hub.push(folder, repo_id, **kwargs)
    assert result.url is None and result.folder == folder and result.revision is None
    assert time.monotonic() - start < 12
    assert contents(folder) == before
    assert result.sentence.startswith("not published") and one_sentence(result.sentence)
    assert f"the result is {'in' if 'no Hugging Face token' in result.sentence else 'safe in'} {folder}" in result.sentence
    assert f"`python -m lunaris hub push {folder} {repo_id}" in result.sentence
    assert not re.search(r"hf_local\w*|hf_wrong|Request ID|Traceback", result.sentence)
    return result.sentence


def test_without_a_token_the_sentence_says_how_to_publish(folder, fresh_hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    assert "there is no Hugging Face token" in (sentence := not_published(folder)) and "publish it with `hf auth login`, then" in sentence
    assert fresh_hub.log == []


def test_offline_the_sentence_says_so(folder, fresh_hub, monkeypatch):
    monkeypatch.setenv("LUNARIS_OFFLINE", "1")
    assert "the network is off (LUNARIS_OFFLINE)" in not_published(folder)
    assert fresh_hub.log == []


def test_read_tokens_strangers_and_unknown_tokens(folder, fresh_hub):
    assert "may not write to lunar/pixel (403: You don't have the rights to create a repo: this token is read-only)" in not_published(
        folder, token=READ_TOKEN
    )
    assert "may not write to lunar/pixel (403:" in not_published(folder, token=OTHER_TOKEN)
    assert "refused the token (401)" in not_published(folder, token="hf_wrong")
    fresh_hub.add_repo("stranger/theirs")
    assert "may not write to stranger/theirs" in not_published(folder, "stranger/theirs")
    assert fresh_hub.files("stranger/theirs") == {}


STEPS = {
    "create": "POST /api/repos/create",
    "card": "POST /api/validate-yaml",
    "preupload": "POST .*/preupload/",
    "batch": "POST .*/objects/batch",
    "put": "PUT /_lfs/",
    "verify": "POST /_lfs/verify",
    "commit": "POST .*/commit/",
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 401, "message": "Invalid credentials in Authorization header"}, r"refused the token \(401\)"),
        ({"status": 403, "message": "no rights"}, r"may not write to lunar/pixel \(403: no rights\)"),
        ({"status": 404, "code": "RepoNotFound", "message": "Repository not found"}, r"the Hub has no lunar/pixel, or it is private"),
        ({"status": 413}, r"larger than the Hub takes \(413\)"),
        ({"status": 500}, r"a problem of its own \(500\)"),
        ({"status": 503}, r"a problem of its own \(503\)"),
        ({"hang_s": 4}, r"did not answer within 0.5 s for lunar/pixel"),
        ({"cut": 2}, r"cannot be reached for lunar/pixel|did not answer within|is not a Hugging Face Hub"),
    ],
)
def test_every_failure_at_every_step_is_one_sentence_and_loses_nothing(folder, fresh_hub, quick, step, fault, said):
    if step == "put" and "cut" in fault:
        pytest.skip("the answer to PUT has no body to cut")
    if step == "verify" and fault.get("status", 0) >= 500:
        pytest.skip("the next try finds the file in storage and succeeds")
    fresh_hub.faults.append({"match": STEPS[step]} | fault)
    assert re.search(said, not_published(folder))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"match": "repos/create", "status": 402, "message": "Upgrade"}, "asks for a paid plan for lunar/pixel (402: Upgrade)"),
        ({"match": "/commit/", "status": 412}, "was changed by someone else at the same moment (412)"),
        ({"match": "/preupload/", "status": 429, "headers": {"Retry-After": "60"}}, "asks to slow down (429)"),
        ({"match": "validate-yaml", "status": 400, "body": '{"errors": [{"message": "bad key"}], "warnings": []}'}, "README.md. - bad key"),
        ({"match": "validate-yaml", "status": 502, "body": "<html>"}, "is not a Hugging Face Hub"),
        ({"match": "/commit/", "status": 400, "message": "bad request here"}, "bad request here"),
        ({"match": "/preupload/", "status": 200, "body": '{"files": 7}'}, "improperly formatted"),
        ({"match": "objects/batch", "status": 200, "body": "{}"}, "Malformed response from server"),
    ],
)
def test_the_rarer_failures_are_one_sentence_too(folder, fresh_hub, quick, fault, said):
    fresh_hub.faults.append(fault)
    assert said in not_published(folder)


def test_a_signed_address_is_not_repeated(folder, fresh_hub, quick):
    fresh_hub.faults.append({"match": "PUT /_lfs/", "status": 418, "body": ""})
    assert fresh_hub.signature not in (sentence := not_published(folder)) and "418" in sentence


def test_no_network_on_the_way_out(folder, fresh_hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "the Hub cannot be reached for lunar/pixel" in not_published(folder)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 409, 412, 429])
def test_a_hub_that_is_busy_for_a_moment_is_asked_again(folder, fresh_hub, monkeypatch, status):
    """The client does not retry the commit itself."""
    pauses = []
    monkeypatch.setattr(hub, "_pause", pauses.append)
    fresh_hub.faults.append({"match": "/commit/", "status": status, "times": 2})
    assert hub.push(folder, "lunar/pixel").url
    assert [entry["status"] for entry in fresh_hub.requests("/commit/")] == [status, status, 200]
    assert pauses == [0, 1]


def test_a_commit_whose_answer_got_lost_is_not_made_twice(folder, fresh_hub):
    fresh_hub.faults.append({"match": "/commit/", "status": 504, "after": True, "times": 1})
    result = hub.push(folder, "lunar/pixel")
    repo = fresh_hub.repos["models", "lunar/pixel"]
    assert result.url and len(repo.commits) == 2 and result.revision == repo.branches["main"]


def test_after_a_failure_the_same_push_succeeds(folder, fresh_hub, quick):
    for value, match in enumerate(STEPS.values()):
        make(folder, float(value))  # new weights: what an earlier push has stored is not sent again
        fresh_hub.faults.append({"match": match, "status": 403})
        not_published(folder)
        fresh_hub.faults.clear()
    assert hub.push(folder, "lunar/pixel").url


@pytest.mark.parametrize("kind", ["DeviceCodeError", "OIDCError", "LocalTokenNotFoundError", "ConnectionError", "KeyError", "MemoryError"])
def test_errors_that_only_the_real_world_raises_are_one_sentence(folder, fresh_hub, monkeypatch, kind):
    """A login that expired, a CI token exchange that failed, Xet's own ConnectionError, and what nobody thought of."""
    import huggingface_hub
    from huggingface_hub import errors

    error = {"ConnectionError": ConnectionError, "KeyError": KeyError, "MemoryError": MemoryError}.get(kind) or getattr(errors, kind)

    def fail(*args, **kwargs):
        raise error("the words\nof the error")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_commit", fail)
    said = {
        "DeviceCodeError": "the login to the Hub failed (the words of the error)",
        "OIDCError": "the login to the Hub failed (the words of the error)",
        "LocalTokenNotFoundError": "lunar/pixel needs a Hugging Face token",
        "ConnectionError": "the Hub cannot be reached for lunar/pixel (the words of the error)",
        "KeyError": "KeyError for lunar/pixel",
        "MemoryError": "MemoryError for lunar/pixel: the words of the error",
    }
    assert said[kind] in not_published(folder)


def test_a_login_that_cannot_be_renewed_is_one_sentence(folder, fresh_hub, monkeypatch):
    """get_token() itself may talk to the Hub, and fail."""
    import huggingface_hub
    from huggingface_hub.errors import DeviceCodeError

    def fail():
        raise DeviceCodeError("invalid_grant")

    monkeypatch.setattr(huggingface_hub, "get_token", fail)
    assert "the login to the Hub failed (invalid_grant); log in again with `hf auth login`" in not_published(folder)


def test_with_xet_switched_on_its_builtin_connection_error_is_one_sentence(folder, fresh_hub, tmp_path):
    """In production large files go through Xet, whose failures are no HfHubHTTPError (facts: a builtin ConnectionError)."""
    pytest.importorskip("hf_xet")
    code = "import sys; from lunaris.core import hub; print(hub.push(sys.argv[1], 'lunar/pixel'))"
    env = os.environ | {"HF_HUB_DISABLE_XET": "0", "HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code, folder], env=env, capture_output=True, text=True, timeout=120)
    assert "url=None" in done.stdout and "not published: " in done.stdout and "the result is safe in" in done.stdout, done.stderr
    assert "Traceback" not in done.stderr and WRITE_TOKEN not in done.stdout + done.stderr
    assert "set HF_HUB_DISABLE_XET=1" in done.stdout and fresh_hub.requests("xet-write-token")


# --- tokens -----------------------------------------------------------------------------------------------------------------------

SECRET = "hf_" + "aBcDeFgHiJ" * 3


def test_no_token_is_ever_logged_or_printed(folder, fresh_hub, monkeypatch, caplog, capfd, tmp_path):
    """Everything at DEBUG, the HTTP library's own lines too, through success and failure."""
    fresh_hub.accounts[SECRET] = fresh_hub.accounts[WRITE_TOKEN]
    monkeypatch.setenv("HF_TOKEN", SECRET)
    with caplog.at_level(logging.DEBUG):
        assert hub.push(folder, "lunar/pixel", tag="v1").url
        assert hub.push(folder, "lunar/given", token=SECRET).url
        hub.pull("lunar/pixel", tmp_path / "out")
        hub.list_models()
        print(hub.push(folder, "stranger/pixel"))
        with pytest.raises(hub.HubError) as caught:
            hub.resolve("lunar/other")
        logging.getLogger("test").error("failed", exc_info=caught.value)
    captured = capfd.readouterr()
    assert "lunar/given" in caplog.text and "stranger/pixel" in captured.out
    assert SECRET not in caplog.text + captured.out + captured.err


def test_a_token_that_the_hub_quotes_is_blotted_out(folder, fresh_hub, monkeypatch):
    fresh_hub.accounts[SECRET] = fresh_hub.accounts[WRITE_TOKEN]
    monkeypatch.setenv("HF_TOKEN", SECRET)
    fresh_hub.faults.append({"match": "POST /api/repos/create", "status": 403, "message": f"token {SECRET} of yours"})
    fresh_hub.faults.append({"match": "GET /api/models", "status": 418, "message": f"Bearer {SECRET} and {SECRET[:-4]}"})
    assert "token hf_*** of yours" in (sentence := hub.push(folder, "lunar/new").sentence) and SECRET not in sentence
    with pytest.raises(hub.HubError, match=r"418: Bearer hf_\*\*\* and hf_\*\*\*\)") as caught:
        hub.resolve("lunar/other")
    assert caught.value.__cause__ is None and caught.value.__context__ is None  # no trace leads back to the words of the Hub


@pytest.mark.parametrize("token", ["hf_abc\ndef", "hf_café", "hf_a b", "", "hf_abc\x00"])
def test_a_token_with_a_character_no_token_has_is_refused_unsaid(folder, fresh_hub, token):
    """The HTTP library would quote it in its error about an illegal header."""
    result = hub.push(folder, "lunar/pixel", token=token)
    assert result.url is None and "the token holds a character that no token has" in result.sentence
    assert not token or token not in result.sentence
    assert fresh_hub.log == []


def test_a_broken_token_in_the_environment_is_not_quoted(folder, fresh_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_smashed\u20actoken")
    assert "smashed" not in not_published(folder)


# --- pull and list ----------------------------------------------------------------------------------------------------------------


def test_pull_makes_a_folder_of_ones_own(published, tmp_path, folder):
    out = hub.pull("lunar/pixel", tmp_path / "mine")
    assert out == tmp_path / "mine" and contents(out) == contents(folder)
    assert not any(path.is_symlink() for path in out.rglob("*"))
    assert contents(hub.pull(folder, tmp_path / "again")) == contents(folder)


def test_pull_takes_a_revision(published, tmp_path, fresh_hub):
    hub.push(make(tmp_path / "new", 5.0), "lunar/pixel", tag="v2")
    assert hub.load_config(hub.pull("lunar/pixel", tmp_path / "out", revision="v2"))["value"] == 5.0


def test_pull_overwrites_nothing(published, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty; give a new folder"):
        hub.pull("lunar/pixel", tmp_path / "mine")
    assert contents(tmp_path / "mine") == {"notes.txt": b"mine"}
    (tmp_path / "empty").mkdir()
    assert hub.pull("lunar/pixel", tmp_path / "empty")


def test_pull_into_a_place_that_cannot_be_written_is_one_sentence(published, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="cannot write .*; choose a folder that you can write to"):
        hub.pull("lunar/pixel", tmp_path / "file" / "out")


def test_the_list_has_what_is_bundled_and_what_the_hub_has(tmp_path, monkeypatch, fresh_hub, folder):
    make(tmp_path / "b" / "pixel-16")
    monkeypatch.setenv("LUNARIS_CHECKPOINTS", str(tmp_path / "b"))
    hub.push(folder, "lunar/mine")
    hub.push(folder, "moonlab/ours")
    fresh_hub.add_repo("stranger/other", {"README.md": "---\nlicense: mit\ntags: [lunaris, pixel]\nlibrary_name: transformers\n---\n"})
    bundled = {"ref": "pixel-16", "family": "pixel", "where": "bundled"}
    on_hub = [{"ref": name, "family": "pixel", "where": "hub"} for name in ("lunar/mine", "moonlab/ours")]
    listed = hub.list_models()
    assert listed[0] == bundled and sorted(listed[1:], key=lambda model: model["ref"]) == on_hub
    assert hub.list_models(author="moonlab") == [bundled, on_hub[1]]
    fresh_hub.log.clear()
    assert hub.list_models(online=False) == [bundled] and fresh_hub.log == []
    assert json.dumps(listed)


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 401, "message": "Invalid credentials"}, {"hang_s": 5}, {"cut": 1}])
def test_the_list_never_fails_for_the_network(tmp_path, monkeypatch, fresh_hub, quick, caplog, fault):
    make(tmp_path / "b" / "pixel-16")
    monkeypatch.setenv("LUNARIS_CHECKPOINTS", str(tmp_path / "b"))
    fresh_hub.faults.append({"match": "GET /api/models"} | fault)
    assert [model["ref"] for model in hub.list_models()] == ["pixel-16"]
    assert "only the bundled models are listed" in caplog.text


def test_importing_the_module_loads_neither_the_client_nor_torch():
    """The client reads HF_ENDPOINT when it is imported, so we must not do that before the person could set it."""
    code = "import sys; import lunaris.core.hub; print(sorted({'huggingface_hub', 'torch', 'safetensors', 'httpx'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr
