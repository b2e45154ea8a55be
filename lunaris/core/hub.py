"""Checkpoints and the Hub: find, fetch, publish (HB-07, HB-10).

A *ref* is a folder, the name of a bundled checkpoint ("pixel-16"), or owner/name[@revision] on the Hugging Face Hub. Everything works
with no network and no account, and says in one sentence what it could not do. Only the file types below travel, in either direction.

The client (`huggingface_hub`) is imported where it is used: it reads HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE once, at import.
LUNARIS_OFFLINE=1 stays off the network, LUNARIS_HUB_TIMEOUT sets how long the Hub may be silent (seconds, default 10),
LUNARIS_CHECKPOINTS names another folder of bundled checkpoints.
"""

import contextlib
import glob
import logging
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import lunaris
from lunaris.core.card import LIBRARY, card_for, render_card, validate_card
from lunaris.core.checkpoint import (
    CARD,
    CONFIG,
    MAX_WEIGHTS_BYTES,
    WEIGHTS,
    check_checkpoint,
    load_config,
    load_into,
    load_tensors,
    recover,
    save,
    weight_hash,
    write_folder,
)
from lunaris.core.hub_client import LOGIN, HubClient, HubError, offline, timeout

__all__ = [
    "HubError",
    "PushResult",
    "bundled",
    "card",
    "check_hub_ref",
    "commit_files",
    "list_models",
    "load_config",
    "load_into",
    "load_tensors",
    "no_token_sentence",
    "pull",
    "push",
    "render_card",
    "resolve",
    "save",
    "uploading",
    "validate_card",
    "weight_hash",
    "write_folder",
]

ALLOWED = (".safetensors", ".json", ".jsonl", ".md", ".png", ".gif", ".txt", ".yaml")
MAX_BYTES = MAX_WEIGHTS_BYTES  # of one checkpoint, either way
VISITOR_BYTES = 1 << 30  # of a checkpoint that a visitor of a public page names: it is this computer's disk and line
MAX_FILES = 20_000
UPLOAD_RATE = 50_000  # bytes/s that an upload is given time for, on top of the time-out
COMMIT_TRIES = 4

log = logging.getLogger("lunaris")


@dataclass(frozen=True)
class PushResult:
    """Where a push ended: `url` on the Hub or None, the local `folder` either way, one `sentence` for the person who pushed.

    `revision` is the commit id that `owner/name@revision` pins.
    """

    url: str | None
    folder: Path
    sentence: str
    revision: str | None = None


# --- refs -----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Repo:
    """owner/name on the Hub at a revision (None: the newest). `visitor`: named by one, who gets what anybody may see, and less of it."""

    id: str
    revision: str | None
    kind: str = "model"
    visitor: bool = False

    @property
    def max_bytes(self) -> int:
        return min(MAX_BYTES, VISITOR_BYTES) if self.visitor else MAX_BYTES

    def access(self) -> dict[str, Any]:
        """The client's arguments for a visitor: no token, and a cache that nothing was fetched into with the operator's."""
        from huggingface_hub import constants

        return {"token": False, "cache_dir": Path(constants.HF_HUB_CACHE) / "visitors"} if self.visitor else {}

    def __str__(self) -> str:
        return f"{self.id}@{self.revision}" if self.revision else self.id


def resolve(ref: str | Path, *, revision: str | None = None, repo_type: str = "model", folders: bool = True) -> Path:
    """The local folder behind a ref: itself, a bundled checkpoint, or a download from the Hub (from the cache when it is offline).

    `repo_type="dataset"` fetches a dataset's pictures and texts instead of a checkpoint. `folders=False` is for refs that visitors
    type: bundled names and the Hub only, where it is asked without a token, and no more than a gigabyte of it. Raises ValueError for a
    malformed ref, a pickle or too much, FileNotFoundError for what is not there, HubError for what the Hub refuses.
    """
    found = _parse(ref, revision, repo_type, folders)
    if isinstance(found, Path):
        if repo_type == "model":
            check_checkpoint([path.name for path in found.iterdir()], str(found))
        return found
    return _fetch(found)


def bundled() -> dict[str, Path]:
    """Name -> folder of the checkpoints that come with Lunaris."""
    root = os.environ.get("LUNARIS_CHECKPOINTS")
    package = Path(lunaris.__file__).parent
    # A wheel carries them inside the package; in the repository and in a Space they lie beside it.
    candidates = [Path(root)] if root else [package / "checkpoints", package.parent / "checkpoints"]
    folder = next((path for path in candidates if path.is_dir()), None)
    if folder is None:
        return {}
    return {path.name: path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and (path / CONFIG).is_file()}


def card(ref: str | Path) -> str:
    """The card (README.md) of the checkpoint behind `ref`; from the Hub only that one file is fetched."""
    found = _parse(ref, None, "model", True)
    folder = found if isinstance(found, Path) else _fetch(found, only=CARD)
    return _read_card(folder, str(ref))


def pull(ref: str | Path, out: str | Path, *, revision: str | None = None) -> Path:
    """Copy the checkpoint behind `ref` into `out`, a new or empty folder, whole or not at all; return `out`."""
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not empty; give a new folder, so that nothing is overwritten")
    folder = resolve(ref, revision=revision)
    write_folder(out, dict(checkpoint_files(folder)))
    return out


def list_models(*, author: str | None = None, online: bool = True) -> list[dict[str, Any]]:
    """Bundled checkpoints, then Lunaris models on the Hub (of `author`): dicts with ref, family and where ("bundled" or "hub").

    Never raises for the network: what cannot be reached is left out, with a line in the log.
    """
    models = [{"ref": name, "family": _family(folder), "where": "bundled"} for name, folder in bundled().items()]
    if not online or offline():
        return models
    try:
        found = HubClient(None, "the list of models").run(lambda api: list(api.list_models(author=author, filter=[LIBRARY], limit=100)))
    except HubError as error:
        log.warning("%s; only the bundled models are listed", error)
        return models
    for info in found:
        family = next((name for name in lunaris.FAMILIES if name in (info.tags or [])), None)
        if info.library_name == LIBRARY and family:  # others use the word "lunaris" for models of their own
            models.append({"ref": info.id, "family": family, "where": "hub"})
    return models


def _parse(ref: str | Path, revision: str | None, repo_type: str, folders: bool) -> "Path | _Repo":
    """The folder that exists here, or the repository that is meant."""
    text = str(ref)
    _check_text("a ref", text, 4096)
    if ".." in PurePosixPath(text.replace("\\", "/")).parts:
        raise ValueError(f"a ref may not contain '..', got {_short(text)}; give the whole path of the folder")
    if folders and text:
        with contextlib.suppress(OSError):  # a name too long for the disk, a folder that may not be read
            recover(Path(text))
            if Path(text).is_dir():
                return Path(text)
    name, at, inline = text.partition("@")
    if at and revision is not None and revision != inline:
        raise ValueError(f"{_short(text)} and revision={_short(revision)} name two revisions; give one")
    revision = inline if at else revision
    here = bundled() if repo_type == "model" else {}
    if name in here:
        if revision is not None:
            raise ValueError(f"{name} is bundled and has no revisions; leave out @{_short(revision)}")
        return here[name]
    if isinstance(ref, Path) or text.startswith(("/", ".", "~")) or "\\" in text:
        raise FileNotFoundError(f"no folder {_short(text)}; give {_choices(here)}")
    if "/" not in name:
        _check_name(name, here)
        raise FileNotFoundError(f"no folder and no bundled checkpoint {_short(name)}; give {_choices(here)}")
    return _Repo(_checked_id(name), _checked_revision(revision), repo_type, visitor=not folders)


def _choices(here: Iterable[str]) -> str:
    names = ", ".join(here)
    return f"a bundled one ({names}), a folder, or owner/name on the Hub" if names else "a folder, or owner/name on the Hub"


def _check_name(name: str, here: Iterable[str]) -> None:
    if not re.fullmatch(r"[\w.-]{1,96}", name, re.ASCII):
        raise ValueError(f"a ref is {_choices(here)}, got {_short(name)}")


def _checked_id(repo_id: str) -> str:
    part = r"[A-Za-z0-9_]([\w.-]{0,94}\w)?"
    fits = re.fullmatch(rf"{part}/{part}", repo_id, re.ASCII) and not re.search(r"--|\.\.|\.git$", repo_id)
    if not fits:
        raise ValueError(f"a repository is owner/name in letters, digits and single . _ - marks, got {_short(repo_id)}; try lunar/pixel-16")
    return repo_id


def check_hub_ref(ref: str) -> None:
    """Raise ValueError unless `ref` is owner/name[@revision]."""
    name, at, revision = ref.partition("@")
    _checked_id(name)
    _checked_revision(revision if at else None)


def _checked_revision(revision: str | None) -> str | None:
    if revision is None:
        return None
    if not re.fullmatch(r"\w([\w./+-]{0,98}[\w+-])?", revision, re.ASCII) or ".." in revision or "//" in revision:
        raise ValueError(f"a revision is a tag, a branch or a commit id, got {_short(revision)}; try main")
    return revision


def _check_text(what: str, text: str, limit: int) -> None:
    if not text.strip() or len(text) > limit or not text.isprintable():
        raise ValueError(f"{what} is 1 to {limit} printable characters, got {_short(text)}; try a bundled name or owner/name")


def _short(text: str) -> str:
    return repr(text) if len(text) <= 60 else f"{text[:57]!r}..."


def _family(folder: Path) -> str | None:
    with contextlib.suppress(ValueError, OSError):
        family = load_config(folder).get("family")
        return family if isinstance(family, str) else None
    return None


# --- which files travel ---------------------------------------------------------------------------------------------------------


def is_allowed(path: str) -> bool:
    """Whether a file of this relative path is ever downloaded or uploaded: a known type, not hidden, not training state."""
    parts = path.split("/")
    plain = path.isprintable() and not any(part in ("", "state") or part.startswith(".") for part in parts[:-1])
    return plain and not parts[-1].startswith(".") and not re.search(r'[\\:*?"<>|]', path) and path.endswith(ALLOWED)


def checkpoint_files(folder: str | Path) -> dict[str, Path]:
    """Relative path -> file, of what of `folder` may travel. Raises ValueError for a link that leads out of it."""
    folder = Path(folder)
    files = {}
    for root, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(root) / name
            relative = path.relative_to(folder).as_posix()
            if is_allowed(relative) and path.is_file():
                if not _stays_inside(path, folder):
                    raise ValueError(f"{path} is a link to a file outside the folder; put the file itself there")
                files[relative] = path
    total = sum(path.stat().st_size for path in files.values())
    if total > MAX_BYTES or len(files) > MAX_FILES:
        raise ValueError(
            f"{folder} has {len(files)} files of {total / 1e9:.1f} GB; a checkpoint has at most {MAX_FILES} of {MAX_BYTES / 1e9:.1f} GB"
        )
    return files


def _stays_inside(path: Path, folder: Path) -> bool:
    target = path.resolve()
    if target.is_relative_to(folder.resolve()):
        return True
    # The client's own cache is made of links into its store.
    if folder.resolve().parent.name == "snapshots":
        from huggingface_hub import constants

        cache = Path(constants.HF_HUB_CACHE).resolve()
        return folder.resolve().is_relative_to(cache) and target.is_relative_to(cache)
    return False


# --- fetch ----------------------------------------------------------------------------------------------------------------------


def _fetch(repo: _Repo, *, only: str | None = None) -> Path:
    """The folder of the download cache that holds `repo` (or just its file `only`)."""
    pinned = re.fullmatch(r"[0-9a-f]{40}", repo.revision or "")  # what a commit id names never changes
    if offline() or (pinned and repo.kind == "model"):  # of a dataset, nothing here says whether all of it came
        cached = _cached(repo, only)
        if cached:
            return cached
    if offline():
        raise HubError(f"{repo} is not on this machine and the network is off (LUNARIS_OFFLINE); give {_choices(bundled())}")
    token = False if repo.visitor else None
    client = HubClient(token, f"{repo.kind} {repo}", prefix="" if repo.revision else f"no folder {repo} here, and ")
    try:
        return client.run(lambda api: _download(api, repo, only, client.beat))
    except HubError as error:
        cached = _cached(repo, only) if error.unreachable else None
        if cached is None:
            raise
        log.warning("%s; using the copy of %s that was fetched earlier", error, repo)
        return cached


def _download(api: Any, repo: _Repo, only: str | None, beat: Callable[[], None]) -> Path:
    """Fetch what is allowed of `repo` into the client's cache; `beat` is called with every sign of life from the Hub."""
    import huggingface_hub
    from huggingface_hub import constants

    constants.DOWNLOAD_CHUNK_SIZE = 1 << 18  # progress is reported per chunk, and 10 MB are minutes on a slow line
    info = api.repo_info(repo.id, revision=repo.revision, repo_type=repo.kind, files_metadata=True, timeout=timeout())
    beat()
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    wanted = {name: size for name, size in sizes.items() if is_allowed(name) and only in (None, name)}
    if only is None:
        _check_listing(repo, sizes, wanted)
    bar = _pulse_bar(beat)
    # One by one in this thread: the pool of snapshot_download would keep a program from ending while the Hub hangs. The weights come last,
    # so a copy that has them is whole (see `_cached`).
    for name in sorted(wanted, key=lambda name: name == WEIGHTS):
        huggingface_hub.hf_hub_download(
            repo.id, name, revision=info.sha, repo_type=repo.kind, etag_timeout=timeout(), tqdm_class=bar, **repo.access()
        )
        beat()
    # Everything is here now; this notes which commit the revision's name stands for, so that it is found with no network too.
    return Path(
        huggingface_hub.snapshot_download(
            repo.id,
            revision=repo.revision,
            repo_type=repo.kind,
            allow_patterns=[glob.escape(name) for name in wanted],
            tqdm_class=bar,
            **repo.access(),
        )
    )


def _check_listing(repo: _Repo, sizes: dict[str, int], wanted: dict[str, int]) -> None:
    """Refuse, before anything is fetched, what is no checkpoint or too large."""
    if repo.kind == "model":
        check_checkpoint(sizes, str(repo))
    if not wanted:
        raise FileNotFoundError(f"{repo.kind} {repo} has no file that Lunaris reads ({' '.join(ALLOWED)})")
    total = sum(wanted.values())
    if total > repo.max_bytes or len(wanted) > MAX_FILES:
        raise ValueError(
            f"{repo} has {len(wanted)} files of {total / 1e9:.1f} GB; at most {MAX_FILES} of {repo.max_bytes / 1e9:.1f} GB are fetched"
        )


def _pulse_bar(beat: Callable[[], None]) -> type:
    """A progress bar class that calls `beat` whenever bytes arrive, and draws only on a terminal."""
    from tqdm.auto import tqdm

    class PulseBar(tqdm):
        def __init__(self, *args, **kwargs):
            kwargs.pop("name", None)
            super().__init__(*args, **kwargs | {"disable": not sys.stderr.isatty()})

        def update(self, n: float | None = 1) -> bool | None:
            beat()
            return super().update(n)

    return PulseBar


def _cached(repo: _Repo, only: str | None) -> Path | None:
    """The copy of `repo` in the download cache, if there is one; of a model only a whole one."""
    import huggingface_hub

    patterns = [only] if only else [f"*{suffix}" for suffix in ALLOWED]
    try:
        path = huggingface_hub.snapshot_download(
            repo.id,
            revision=repo.revision,
            repo_type=repo.kind,
            local_files_only=True,
            allow_patterns=patterns,
            ignore_patterns=["state/*", "*/state/*", ".*", "*/.*"],
            **repo.access(),
        )
    except Exception:  # whatever is wrong with the cache, the copy is of no use
        return None
    needed = [only] if only else [CONFIG, WEIGHTS] if repo.kind == "model" else []
    return Path(path) if all((Path(path) / name).exists() for name in needed) else None


# --- publish --------------------------------------------------------------------------------------------------------------------


def push(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    token: str | None = None,
    tag: str | None = None,
    message: str = "Lunaris checkpoint",
) -> PushResult:
    """Publish the checkpoint `folder` as the model `repo_id` (owner/name, or just a name in your own account).

    The repository is made if need be, the files go up as one commit, `tag` names it. The same folder twice changes nothing. Whatever
    goes wrong on the way, the folder stays as it is and the result's sentence says what happened and what to do; a folder that is no
    sound checkpoint (no card, NaN weights, a pickle) or a malformed name raises ValueError or FileNotFoundError before any request.
    """
    folder = Path(folder)
    _check_repo_name(repo_id)
    _checked_revision(tag)
    files = _publishable(folder)
    flags = (["--private"] if private else []) + (["--tag", tag] if tag else [])
    again = shlex.join(["python", "-m", "lunaris", "hub", "push", str(folder), repo_id, *flags])
    try:
        with uploading(folder, repo_id, token=token, again=again) as api:
            if api is None:
                return PushResult(None, folder, no_token_sentence(folder, again))
            url, full_id = _create(api, repo_id, private)
            readme = card_for(_read_card(folder, str(folder)), full_id, _family(folder))
            revision = commit_files(api, full_id, {**files, CARD: readme.encode()}, message)
            late = _tag(api, full_id, tag, revision, again) if tag else ""
    except HubError as error:
        return PushResult(None, folder, str(error))
    return PushResult(url, folder, f"{folder} is published at {url}" + (f" as {tag}" if tag and not late else "") + late, revision)


def no_token_sentence(folder: str | Path, again: str) -> str:
    """What to tell someone who has no token: where the result is and how to publish it."""
    return f"not published, because there is no Hugging Face token: the result is in {folder}; publish it with `{LOGIN}`, then `{again}`"


@contextlib.contextmanager
def uploading(folder: str | Path, repo_id: str, *, token: str | None = None, again: str = "") -> Iterator[HubClient | None]:
    """The Hub's client for an upload of `folder` to `repo_id`, or None when there is no token.

    Its methods are those of `huggingface_hub.HfApi`, each bounded in time; whatever one raises becomes a HubError whose sentence says
    that the result is still in `folder` and to run `again`.
    """
    rest = f"; the result is safe in {folder}" + (f", try again with `{again}`" if again else "")
    if offline():
        raise HubError(f"not published, because the network is off (LUNARIS_OFFLINE){rest}")
    size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    client = HubClient(token, repo_id, prefix="not published: ", suffix=rest, upload_s=size / UPLOAD_RATE)
    yield client if client.has_token() else None


def _publishable(folder: Path) -> dict[str, Path]:
    """The files to upload, after every check that needs no network."""
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}; give the folder of a checkpoint")
    files = checkpoint_files(folder)
    check_checkpoint([path.name for path in folder.iterdir()], str(folder))
    load_config(folder)
    for name in files:
        if name.endswith(".safetensors"):
            load_tensors(folder, name)
    validate_card(_read_card(folder, str(folder)))
    return files


def _read_card(folder: Path, what: str) -> str:
    if not (folder / CARD).is_file():
        raise FileNotFoundError(f"{what} has no card ({CARD}); lunaris.core.hub.render_card writes one")
    try:
        return (folder / CARD).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"the card of {what} is not a text in UTF-8; save it as UTF-8") from None


def _check_repo_name(repo_id: str) -> None:
    _check_text("a repository", repo_id, 200)
    _checked_id(repo_id if "/" in repo_id else f"you/{repo_id}")


def _create(api: HubClient, repo_id: str, private: bool) -> tuple[str, str]:
    """(address, owner/name) of the repository, made if it is missing."""
    created = api.create_repo(repo_id, private=private, exist_ok=True)
    full_id = created.repo_id
    if private and not api.repo_info(full_id).private:
        raise api.error(f"{full_id} exists already and is public; choose another name, or make it private on {created}")
    return str(created), full_id


def commit_files(
    api: HubClient, repo_id: str, files: Mapping[str, Path | bytes], message: str, *, repo_type: str = "model", replace: bool = False
) -> str:
    """Upload the files (path in the repository -> file or content) as one commit and return its id, the present one if nothing differs.

    `replace` deletes what else the repository holds. A Hub that is busy for a moment is asked again, which the client does for every
    request but this one; each try looks anew at what is there, so a commit whose answer got lost is found and not made twice.
    """
    for attempt in range(COMMIT_TRIES):
        operations = _operations(api, repo_id, files, repo_type, replace)
        try:
            for operation in operations:
                if _is_large(operation):  # one by one: the client's pool for several would keep a program from ending while the Hub hangs
                    api.preupload_lfs_files(repo_id, additions=[operation], repo_type=repo_type)
            return api.create_commit(repo_id, operations=operations, commit_message=message, repo_type=repo_type).oid
        except HubError as error:
            if error.status not in (409, 412, 429, 500, 502, 503, 504) or attempt == COMMIT_TRIES - 1:
                raise
            _pause(attempt)
    raise AssertionError("the last try returns or raises")


def _pause(attempt: int) -> None:
    time.sleep(min(0.5 * 2**attempt, timeout()))


def _operations(api: HubClient, repo_id: str, files: Mapping[str, Path | bytes], repo_type: str, replace: bool) -> list[Any]:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    there = api.list_repo_files(repo_id, repo_type=repo_type) if replace else []
    surplus = [name for name in there if name not in files and name != ".gitattributes"]  # the Hub keeps its own settings in that one
    add = [CommitOperationAdd(name, content if isinstance(content, bytes) else str(content)) for name, content in files.items()]
    return [CommitOperationDelete(name, is_folder=False) for name in surplus] + add


def _is_large(operation: Any) -> bool:
    """Whether the Hub may want this file in large-file storage: not a text, or long."""
    info = getattr(operation, "upload_info", None)
    return info is not None and (
        info.size > 1 << 20 or not operation.path_in_repo.endswith((".json", ".jsonl", ".md", ".txt", ".yaml", ".py"))
    )


def _tag(api: HubClient, repo_id: str, tag: str, revision: str, again: str) -> str:
    """Name the commit `tag`; what to add to the sentence when that could not be done, since by now the files are published."""
    try:
        known = {ref.name: ref.target_commit for ref in api.list_repo_refs(repo_id).tags}
        if tag not in known:
            api.create_tag(repo_id, tag=tag, revision=revision)
        return (
            "" if known.get(tag, revision) == revision else f", but the tag {tag} names an earlier state and stays there; choose a new one"
        )
    except HubError:
        return f", but the tag {tag} could not be set; try again with `{again}`"
