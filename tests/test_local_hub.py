"""The local Hub speaks the Hub's protocol to the real client: what the client does and raises here is what the product meets (HB-10).

The expectations come from the Hub's documented behaviour and the installed client's source, not from the server under test.
"""

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    ModelCard,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    BadRequestError,
    DeviceCodeError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from local_hub import OTHER_TOKEN, READ_TOKEN, WRITE_TOKEN, LocalHub

WEIGHTS = bytes(range(256)) * 400
README = "---\nlicense: mit\nlibrary_name: lunaris\ntags: [lunaris, pixel]\n---\n# A\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small checkpoint: two regular files and a large one."""
    path = tmp_path / "checkpoint"
    path.mkdir()
    (path / "model.safetensors").write_bytes(WEIGHTS)
    (path / "config.json").write_text('{"a": 1}')
    (path / "README.md").write_text(README)
    return path


@pytest.fixture
def api(fresh_hub) -> HfApi:
    return HfApi()


# --- the way there and back -------------------------------------------------------------------------------------------------------


def test_upload_and_download_are_byte_equal(api, fresh_hub, folder):
    api.create_repo("lunar/a")
    api.upload_folder(folder_path=folder, repo_id="lunar/a")
    got = Path(snapshot_download("lunar/a"))
    for name in ("model.safetensors", "config.json", "README.md"):
        assert (got / name).read_bytes() == (folder / name).read_bytes()
    assert fresh_hub.files("lunar/a")["model.safetensors"] == WEIGHTS


def test_an_unchanged_folder_makes_no_second_commit(api, folder):
    api.create_repo("lunar/a")
    first = api.upload_folder(folder_path=folder, repo_id="lunar/a")
    second = api.upload_folder(folder_path=folder, repo_id="lunar/a")
    assert first.oid == second.oid
    assert len(api.list_repo_commits("lunar/a")) == 2  # the Hub's own first one and ours


def test_large_files_come_from_another_origin_and_the_token_stays_home(api, fresh_hub, folder):
    """A redirect on the Hub's own origin is followed by the client, which then misses X-Repo-Commit on the storage's answer."""
    api.create_repo("lunar/a")
    api.upload_folder(folder_path=folder, repo_id="lunar/a")
    snapshot_download("lunar/a")
    storage = fresh_hub.requests(r"(GET|PUT) /_lfs/[0-9a-f]{64}")
    assert {entry["method"] for entry in storage} == {"GET", "PUT"}
    assert all(entry["host"] == "localhost" and not entry["authorized"] for entry in storage)
    assert all(entry["host"] == "127.0.0.1" for entry in fresh_hub.requests(r"/(api|lunar)/"))


def test_storage_links_cannot_be_guessed(api, fresh_hub, folder):
    import httpx

    api.create_repo("lunar/a", private=True)
    api.upload_folder(folder_path=folder, repo_id="lunar/a")
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    assert httpx.get(f"{fresh_hub.storage_url}/_lfs/{digest}").status_code == 403
    assert httpx.put(f"{fresh_hub.storage_url}/_lfs/{digest}", content=b"x").status_code == 403


def test_an_upload_that_is_not_what_its_checksum_says_is_refused(fresh_hub):
    import httpx

    url = f"{fresh_hub.storage_url}/_lfs/{'0' * 64}?signature={fresh_hub.signature}"
    assert httpx.put(url, content=b"something else").status_code == 400
    assert fresh_hub.storage == {}


def test_a_commit_adds_deletes_and_keeps(api):
    api.create_repo("lunar/a")
    api.create_commit(
        "lunar/a",
        commit_message="three",
        operations=[CommitOperationAdd(name, name.encode()) for name in ("a.txt", "b/c.txt", "b/d.txt")],
    )
    operations = [CommitOperationDelete("a.txt"), CommitOperationDelete("b/"), CommitOperationAdd("e.txt", b"e")]
    api.create_commit("lunar/a", commit_message="change", operations=operations)
    assert api.list_repo_files("lunar/a") == [".gitattributes", "e.txt"]
    with pytest.raises(RemoteEntryNotFoundError, match="doesn't exist"):
        api.create_commit("lunar/a", commit_message="again", operations=[CommitOperationDelete("a.txt")])


def test_file_ids_are_those_of_git(api, folder):
    """The client compares ids to skip unchanged files: sha1 of the blob, sha256 for large files (checked against git itself)."""
    api.create_repo("lunar/a")
    api.upload_folder(folder_path=folder, repo_id="lunar/a")
    entries = {entry.path: entry for entry in api.list_repo_tree("lunar/a")}
    by_git = subprocess.run(["git", "hash-object", folder / "config.json"], capture_output=True, text=True, check=True).stdout.strip()
    assert entries["config.json"].blob_id == by_git
    assert entries["model.safetensors"].lfs.sha256 == hashlib.sha256(WEIGHTS).hexdigest()


def test_tree_paths_info_and_commits_tell_what_is_there(api, fresh_hub):
    fresh_hub.add_repo("lunar/a", {"top.txt": "1", "sub/x.txt": "2", "sub/deep/y.safetensors": b"\0" * 2000})
    paths = [entry.path for entry in api.list_repo_tree("lunar/a")]
    assert paths == [".gitattributes", "sub", "top.txt"]
    every = [entry.path for entry in api.list_repo_tree("lunar/a", recursive=True, expand=True)]
    assert every == [".gitattributes", "sub", "sub/deep", "sub/deep/y.safetensors", "sub/x.txt", "top.txt"]
    assert [entry.path for entry in api.list_repo_tree("lunar/a", "sub")] == ["sub/deep", "sub/x.txt"]
    info = api.get_paths_info("lunar/a", ["sub", "top.txt", "missing"], expand=True)
    assert [(item.path, item.last_commit.title) for item in info] == [("sub", "Add files"), ("top.txt", "Add files")]
    assert [commit.title for commit in api.list_repo_commits("lunar/a")] == ["Add files", "initial commit"]
    with pytest.raises(RemoteEntryNotFoundError):
        list(api.list_repo_tree("lunar/a", "nowhere"))


def test_long_lists_come_in_pages(api, fresh_hub, monkeypatch):
    import local_hub

    monkeypatch.setattr(local_hub, "PAGE_SIZE", 7)
    fresh_hub.add_repo("lunar/a", {f"{i:02}.txt": str(i) for i in range(20)})
    assert len(api.list_repo_files("lunar/a")) == 21
    assert len(fresh_hub.requests("GET .*/tree/")) == 3


def test_branches_and_tags_pin_what_a_revision_names(api, folder):
    api.create_repo("lunar/a")
    first = api.upload_folder(folder_path=folder, repo_id="lunar/a").oid
    api.create_tag("lunar/a", tag="rel/1")
    api.create_branch("lunar/a", branch="work")
    (folder / "config.json").write_text('{"a": 2}')
    api.upload_folder(folder_path=folder, repo_id="lunar/a", revision="work")
    read = lambda revision: json.loads(Path(hf_hub_download("lunar/a", "config.json", revision=revision)).read_text())  # noqa: E731
    assert [read(revision)["a"] for revision in ("main", "rel/1", first, first[:12], "work")] == [1, 1, 1, 1, 2]
    refs = api.list_repo_refs("lunar/a")
    assert {ref.name for ref in refs.branches} == {"main", "work"} and refs.tags[0].target_commit == first
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_tag("lunar/a", tag="rel/1")
    api.create_tag("lunar/a", tag="rel/1", exist_ok=True)
    api.delete_tag("lunar/a", tag="rel/1")
    api.delete_branch("lunar/a", branch="work")
    with pytest.raises(RevisionNotFoundError):
        api.model_info("lunar/a", revision="rel/1")
    with pytest.raises(HfHubHTTPError, match="main"):
        api.delete_branch("lunar/a", branch="main")


def test_interrupted_downloads_go_on_where_they_stopped(api, fresh_hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)  # the client keeps whole chunks only
    data = os.urandom(300_000)
    fresh_hub.add_repo("lunar/a", {"model.safetensors": data})
    fresh_hub.faults.append({"match": "GET /_lfs/", "cut": 100_000, "times": 1})
    assert Path(hf_hub_download("lunar/a", "model.safetensors")).read_bytes() == data
    assert [entry["status"] for entry in fresh_hub.requests("GET /_lfs/")] == [200, 206]


# --- repositories -----------------------------------------------------------------------------------------------------------------


def test_create_again_is_409_unless_it_may_exist(api):
    url = api.create_repo("lunar/a")
    assert api.create_repo("lunar/a", exist_ok=True) == url
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo("lunar/a")
    assert api.create_repo("just-a-name").repo_id == "lunar/just-a-name"
    assert api.create_repo("moonlab/of-an-organization").repo_id == "moonlab/of-an-organization"


def test_settings_move_and_delete(api):
    api.create_repo("lunar/a")
    api.update_repo_settings("lunar/a", private=True)
    assert api.model_info("lunar/a").private
    api.move_repo("lunar/a", "moonlab/b")
    assert api.repo_exists("moonlab/b") and not api.repo_exists("lunar/a")
    api.delete_repo("moonlab/b")
    assert not api.repo_exists("moonlab/b")
    api.delete_repo("moonlab/b", missing_ok=True)


def test_lists_filter_by_author_tag_and_name(api, fresh_hub):
    fresh_hub.add_repo("lunar/pixel", {"README.md": README})
    fresh_hub.add_repo("moonlab/other", {"README.md": README.replace("pixel", "words")})
    fresh_hub.add_repo("lunar/plain")
    fresh_hub.add_repo("lunar/hidden", {"README.md": README}, private=True)
    names = lambda **query: {model.id for model in api.list_models(**query)}  # noqa: E731
    assert names() == {"lunar/pixel", "moonlab/other", "lunar/plain", "lunar/hidden"}
    assert names(token=False) == {"lunar/pixel", "moonlab/other", "lunar/plain"}
    assert names(filter="lunaris", author="lunar", token=OTHER_TOKEN) == {"lunar/pixel"}
    assert names(filter=["lunaris", "words"]) == {"moonlab/other"}
    assert names(search="PLAIN") == {"lunar/plain"}
    assert [model.library_name for model in api.list_models(filter="pixel", token=False)] == ["lunaris"]


def test_model_info_has_sizes_when_asked(api, fresh_hub):
    fresh_hub.add_repo("lunar/a", {"model.safetensors": WEIGHTS, "README.md": README})
    files = {file.rfilename: file for file in api.model_info("lunar/a", files_metadata=True).siblings}
    assert files["model.safetensors"].size == len(WEIGHTS) and files["model.safetensors"].lfs.size == len(WEIGHTS)
    assert files["README.md"].size == len(README) and files["README.md"].lfs is None


def test_datasets_are_repositories_of_their_own_kind(api, tmp_path):
    (tmp_path / "captions.jsonl").write_text("{}\n")
    api.create_repo("lunar/sprites", repo_type="dataset")
    api.upload_folder(folder_path=tmp_path, repo_id="lunar/sprites", repo_type="dataset")
    assert "captions.jsonl" in os.listdir(snapshot_download("lunar/sprites", repo_type="dataset"))
    assert not api.repo_exists("lunar/sprites") and api.dataset_info("lunar/sprites").id == "lunar/sprites"


def test_spaces_have_variables_secrets_a_runtime_and_duplicates(api, fresh_hub, tmp_path):
    (tmp_path / "README.md").write_text("---\ntitle: A\nsdk: gradio\nsdk_version: 6.31.0\n---\n")
    (tmp_path / "app.py").write_text("print(1)\n")
    api.create_repo("lunar/s", repo_type="space", space_sdk="gradio", space_variables=[{"key": "FIRST", "value": "0"}])
    api.upload_folder(folder_path=tmp_path, repo_id="lunar/s", repo_type="space")
    api.add_space_variable("lunar/s", "MODEL", "lunar/a")
    api.add_space_secret("lunar/s", "KEY", "hush")
    assert {name: variable.value for name, variable in api.get_space_variables("lunar/s").items()} == {"FIRST": "0", "MODEL": "lunar/a"}
    assert "KEY" in api.get_space_secrets("lunar/s")
    assert api.space_info("lunar/s").sdk == "gradio" and api.get_space_runtime("lunar/s").stage == "RUNNING"
    assert api.pause_space("lunar/s").stage == "PAUSED" and api.restart_space("lunar/s").stage == "RUNNING"
    assert api.request_space_hardware("lunar/s", "zero-a10g").hardware == "zero-a10g"
    copy = api.duplicate_repo("lunar/s", to_id="stranger/s", repo_type="space", token=OTHER_TOKEN)
    assert copy.repo_id == "stranger/s"
    repo = fresh_hub.repos["spaces", "stranger/s"]
    assert set(repo.variables) == {"FIRST", "MODEL"} and repo.secrets == {}  # variables are public, secrets stay behind
    assert fresh_hub.files("stranger/s", kind="spaces")["app.py"] == b"print(1)\n"
    api.delete_space_variable("lunar/s", "FIRST")
    api.delete_space_secret("lunar/s", "KEY")
    assert set(api.get_space_variables("lunar/s")) == {"MODEL"} and api.get_space_secrets("lunar/s") == {}


def test_an_upload_can_remove_what_the_folder_lacks(api, fresh_hub, folder):
    """How a Space is deployed: delete_patterns="*" keeps .gitattributes, which the Hub needs."""
    fresh_hub.add_repo("lunar/a", {"old.txt": "old"})
    api.upload_folder(folder_path=folder, repo_id="lunar/a", delete_patterns=["*"])
    assert sorted(api.list_repo_files("lunar/a")) == [".gitattributes", "README.md", "config.json", "model.safetensors"]


# --- who may do what --------------------------------------------------------------------------------------------------------------


def test_whoami_knows_the_tokens(api, monkeypatch):
    me = api.whoami()
    assert me["name"] == "lunar" and [org["name"] for org in me["orgs"]] == ["moonlab"]
    assert api.whoami(token=READ_TOKEN)["auth"]["accessToken"]["role"] == "read"
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        api.whoami(token="hf_wrong")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(LocalTokenNotFoundError):
        api.whoami()


def test_a_wrong_token_is_401_and_not_a_missing_repository(api, fresh_hub, folder):
    fresh_hub.add_repo("lunar/a")
    for call in (
        lambda: api.create_repo("lunar/b", token="hf_wrong"),
        lambda: api.upload_folder(folder_path=folder, repo_id="lunar/a", token="hf_wrong"),
        lambda: api.model_info("lunar/a", token="hf_wrong"),
    ):
        with pytest.raises(HfHubHTTPError, match="401") as caught:
            call()
        assert not isinstance(caught.value, RepositoryNotFoundError)


@pytest.mark.parametrize("token", [READ_TOKEN, OTHER_TOKEN])
def test_read_tokens_and_strangers_cannot_write(api, fresh_hub, folder, token):
    fresh_hub.add_repo("lunar/a")
    for call in (
        lambda: api.create_repo("lunar/b", token=token),
        lambda: api.upload_folder(folder_path=folder, repo_id="lunar/a", token=token),
        lambda: api.create_tag("lunar/a", tag="x", token=token),
        lambda: api.delete_repo("lunar/a", token=token),
    ):
        with pytest.raises(HfHubHTTPError, match="403.*rights") as caught:
            call()
        assert caught.value.response.status_code == 403
    assert fresh_hub.files("lunar/a") == {} and ("models", "lunar/b") not in fresh_hub.repos


@pytest.mark.parametrize("token", [OTHER_TOKEN, False])
def test_a_private_repository_looks_missing_to_others(api, fresh_hub, tmp_path, token):
    fresh_hub.add_repo("lunar/a", {"config.json": "{}"}, private=True)
    for name in ("lunar/a", "lunar/missing"):
        with pytest.raises(RepositoryNotFoundError):
            api.model_info(name, token=token)
        with pytest.raises(RepositoryNotFoundError):
            hf_hub_download(name, "config.json", token=token, cache_dir=tmp_path)
    assert api.model_info("lunar/a").private


@pytest.mark.parametrize("token", [OTHER_TOKEN, False])
def test_a_gated_repository_shows_itself_but_not_its_files(api, fresh_hub, tmp_path, token):
    fresh_hub.add_repo("lunar/a", {"config.json": "{}"}, gated="manual")
    assert api.model_info("lunar/a", token=token).gated == "manual"
    with pytest.raises(GatedRepoError):
        hf_hub_download("lunar/a", "config.json", token=token, cache_dir=tmp_path)
    with pytest.raises(GatedRepoError):
        api.auth_check("lunar/a", token=token)
    assert hf_hub_download("lunar/a", "config.json")


def test_device_login_gives_a_token_or_a_device_code_error(fresh_hub):
    from huggingface_hub.utils._oauth_device import poll_device_token, request_device_code

    assert poll_device_token(request_device_code())["access_token"] == WRITE_TOKEN
    fresh_hub.approve_devices = False
    with pytest.raises(DeviceCodeError, match="denied"):
        poll_device_token(request_device_code())
    fresh_hub.approve_devices = True


# --- what is refused --------------------------------------------------------------------------------------------------------------


def test_missing_files_and_revisions_have_their_own_errors(api, fresh_hub):
    fresh_hub.add_repo("lunar/a", {"config.json": "{}"})
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download("lunar/a", "nope.json")
    with pytest.raises(RevisionNotFoundError):
        hf_hub_download("lunar/a", "config.json", revision="nope")
    assert api.file_exists("lunar/a", "config.json") and not api.file_exists("lunar/a", "nope.json")


def test_a_commit_on_an_old_parent_is_412(api, folder):
    api.create_repo("lunar/a")
    old = api.model_info("lunar/a").sha
    api.upload_folder(folder_path=folder, repo_id="lunar/a", parent_commit=old)
    with pytest.raises(HfHubHTTPError, match="412"):
        api.create_commit("lunar/a", [CommitOperationAdd("x.txt", b"x")], commit_message="late", parent_commit=old)


@pytest.mark.parametrize("path", ["../x", "a/../../x", ".git/config"])
def test_paths_out_of_the_repository_are_refused(fresh_hub, path):
    """The client checks too, so the request is made by hand."""
    import httpx

    fresh_hub.add_repo("lunar/a")
    lines = [{"key": "header", "value": {"summary": "x"}}, {"key": "file", "value": {"path": path, "content": "eA=="}}]
    body = "".join(json.dumps(line) + "\n" for line in lines)
    headers = {"Authorization": f"Bearer {WRITE_TOKEN}"}
    assert httpx.post(f"{fresh_hub.url}/api/models/lunar/a/commit/main", content=body, headers=headers).status_code == 400
    assert fresh_hub.files("lunar/a") == {}


def test_bad_front_matter_stops_the_upload_before_any_file(api, fresh_hub, folder):
    api.create_repo("lunar/a")
    (folder / "README.md").write_text("---\nlicense: my-own\n---\n")
    with pytest.raises(ValueError, match="Invalid metadata in README.md"):
        api.upload_folder(folder_path=folder, repo_id="lunar/a")
    assert fresh_hub.requests("PUT|preupload|/commit/main") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("license: mine", "license"),
        ("tags: 7", "tags"),
        ("language: portuguese!", "ISO 639"),
        ("license: [", "YAML"),
        ("- a\n- b", "table"),
        ("library_name: [a]", "library_name"),
        ("model-index: [{name: a, results: [{task: {}, dataset: {name: a, type: b}, metrics: []}]}]", "task.type"),
        ("model-index: [{name: a, results: [{task: {type: t}, dataset: {name: a}, metrics: []}]}]", "dataset"),
        ("model-index: [{name: a, results: [{task: {type: t}, dataset: {name: a, type: b}, metrics: [{type: m}]}]}]", "value"),
    ],
)
def test_model_cards_are_checked(api, fresh_hub, text, said):
    """By way of an upload: ModelCard cannot even hold some of these."""
    fresh_hub.add_repo("lunar/a")
    with pytest.raises(ValueError, match=f"Invalid metadata in README.md(.|\n)*{re.escape(said)}"):
        api.upload_file(path_or_fileobj=f"---\n{text}\n---\n".encode(), path_in_repo="README.md", repo_id="lunar/a")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sdk: flask", "sdk"),
        ("sdk: gradio\ncolorFrom: teal", "colorFrom"),
        (f"sdk: gradio\nshort_description: {'x' * 61}", "60"),
        ("sdk: gradio\npython_version: 3.10", "python_version"),
        ("sdk: gradio\nsdk_version: latest", "sdk_version"),
    ],
)
def test_space_cards_are_checked(fresh_hub, text, said):
    with pytest.raises(ValueError, match=said):
        ModelCard(f"---\n{text}\n---\n").validate(repo_type="space")


def test_good_cards_pass(fresh_hub):
    ModelCard(README).validate()
    ModelCard("---\ntitle: A\nsdk: gradio\ncolorFrom: indigo\nsdk_version: 6.31.0\npython_version: '3.10'\n---\n").validate(
        repo_type="space"
    )


# --- faults -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("match", ["POST .*/preupload/", "PUT /_lfs/"])
def test_the_client_gets_over_a_passing_fault(api, fresh_hub, folder, match):
    api.create_repo("lunar/a")
    fresh_hub.faults.append({"match": match, "status": 503, "times": 1})
    api.upload_folder(folder_path=folder, repo_id="lunar/a")
    assert fresh_hub.files("lunar/a")["model.safetensors"] == WEIGHTS
    assert [entry["status"] for entry in fresh_hub.requests(match)] == [503, 200]


def test_a_fault_on_the_commit_itself_is_not_retried_by_the_client(api, fresh_hub, folder):
    api.create_repo("lunar/a")
    fresh_hub.faults.append({"match": "POST .*/commit/", "status": 503, "times": 1})
    with pytest.raises(HfHubHTTPError, match="503"):
        api.upload_folder(folder_path=folder, repo_id="lunar/a")
    assert len(fresh_hub.requests("POST .*/commit/")) == 1


def test_faults_have_a_status_a_message_a_code_and_an_end(api, fresh_hub):
    fresh_hub.add_repo("lunar/a")
    fresh_hub.faults.append({"match": r"GET /api/models/lunar/a", "status": 403, "message": "no way", "code": "GatedRepo", "times": 1})
    with pytest.raises(GatedRepoError, match="no way"):
        api.model_info("lunar/a")
    assert api.model_info("lunar/a").id == "lunar/a"
    fresh_hub.faults.append({"match": r"blobs=true", "status": 400})
    assert api.model_info("lunar/a")
    with pytest.raises(BadRequestError):
        api.model_info("lunar/a", files_metadata=True)


def test_a_hang_lasts_as_long_as_it_says(api, fresh_hub):
    import httpx2

    fresh_hub.add_repo("lunar/a")
    fresh_hub.faults.append({"match": "GET /api/models", "hang_s": 30, "times": 1})
    start = time.monotonic()
    with pytest.raises(httpx2.TimeoutException):
        api.model_info("lunar/a", timeout=0.3)
    assert time.monotonic() - start < 5
    fresh_hub.faults.append({"match": "GET /api/models", "hang_s": 0.3, "times": 1})
    start = time.monotonic()
    assert api.model_info("lunar/a").id == "lunar/a"  # late, but an answer
    assert time.monotonic() - start > 0.3


def test_a_cut_download_that_never_completes_is_an_error(fresh_hub, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda s: None)  # the client waits a second before each of its five tries
    fresh_hub.add_repo("lunar/a", {"config.json": "x" * 5000})
    fresh_hub.faults.append({"match": "GET /lunar/a/resolve/", "cut": 0})
    with pytest.raises(Exception, match="peer closed|Consistency check|incomplete"):
        hf_hub_download("lunar/a", "config.json")


def test_stopping_the_hub_does_not_wait_for_a_hang():
    import httpx

    with LocalHub() as hub:
        hub.faults.append({"match": ".", "hang_s": 600})
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{hub.url}/api/models", timeout=0.2)
        start = time.monotonic()
    assert time.monotonic() - start < 6
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{hub.url}/api/models", timeout=1)


# --- how tests use it -------------------------------------------------------------------------------------------------------------


def test_two_hubs_at_once_know_nothing_of_each_other(fresh_hub):
    with LocalHub() as other:
        HfApi(endpoint=other.url, token=WRITE_TOKEN).create_repo("lunar/there")
        assert HfApi(endpoint=other.url).repo_exists("lunar/there") and not HfApi().repo_exists("lunar/there")


def test_reset_forgets_everything(api, fresh_hub):
    fresh_hub.add_repo("lunar/a", {"config.json": "{}"})
    fresh_hub.faults.append({"match": "x"})
    fresh_hub.reset()
    assert list(api.list_models()) == [] and fresh_hub.faults == [] and fresh_hub.storage == {}


def test_a_cached_file_answers_where_the_hub_refuses(fresh_hub, tmp_path):
    """Why negative tests take a fresh cache: the client falls back to what it has, whoever asks."""
    fresh_hub.add_repo("lunar/a", {"config.json": "{}"}, private=True)
    hf_hub_download("lunar/a", "config.json", cache_dir=tmp_path / "used")
    assert hf_hub_download("lunar/a", "config.json", cache_dir=tmp_path / "used", token=OTHER_TOKEN)
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download("lunar/a", "config.json", cache_dir=tmp_path / "fresh", token=OTHER_TOKEN)


def test_the_command_line_serves_another_process(tmp_path):
    server = subprocess.Popen([sys.executable, Path(__file__).with_name("local_hub.py"), "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        env = {}
        while len(env) < 6:
            name, _, value = server.stdout.readline().strip().removeprefix("export ").partition("=")
            env[name] = value
        code = "from huggingface_hub import HfApi; a = HfApi(); a.create_repo('lunar/cli'); print([m.id for m in a.list_models()])"
        done = subprocess.run([sys.executable, "-c", code], env=os.environ | env, capture_output=True, text=True, timeout=60)
        assert done.stdout.strip() == "['lunar/cli']", done.stderr
    finally:
        server.terminate()
        assert server.wait(timeout=20) == 0


def test_the_hf_command_line_works_against_it(fresh_hub, folder, tmp_path):
    hf = Path(sys.executable).with_name("hf")
    if not hf.exists():
        pytest.skip("the hf command is not installed")
    run = lambda *args: subprocess.run([hf, *args], capture_output=True, text=True, timeout=120, check=True).stdout  # noqa: E731
    assert "lunar" in run("auth", "whoami")
    run("upload", "lunar/a", str(folder))
    run("download", "lunar/a", "--local-dir", str(tmp_path / "out"))
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == WEIGHTS


# --- what conftest promises -------------------------------------------------------------------------------------------------------


def test_sockets_are_closed_to_all_but_this_machine():
    from pytest_socket import SocketConnectBlockedError

    with socket.socket() as outside, pytest.raises(SocketConnectBlockedError):
        outside.settimeout(1)
        outside.connect(("192.0.2.1", 80))


def test_the_environment_points_every_library_to_this_session(local_hub):
    from huggingface_hub import constants

    assert local_hub.url == constants.ENDPOINT
    assert constants.HF_HUB_DISABLE_XET
    home = Path(constants.HF_HOME)
    assert home.parent.name.startswith("lunaris-tests-") and Path(os.environ["TRACKIO_DIR"]).parent == home.parent
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_offline_and_uncached_is_an_error(fresh_hub):
    with pytest.raises(LocalEntryNotFoundError):
        snapshot_download("lunar/a", local_files_only=True)
