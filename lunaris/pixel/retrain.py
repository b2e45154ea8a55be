"""Retrain a checkpoint on a visitor's own pictures: read what they uploaded, train for a minute or two, hand back a checkpoint.

    pictures = read_uploads([("red_potion.png", path), ("more.zip", path)], side=16)
    token = start(owner, pictures, RetrainRequest(), base=folder, base_ref="pixel-16")      a job of `core.jobs`
    model_folder(ref_of(token))                                                            the checkpoint it made

The command line does the same without a server, and makes the same checkpoint of the same pictures (`retrain_folder`):

    python -m lunaris pixel retrain FOLDER --out DIR

What changes against training from scratch: the palette takes in the visitor's colours, each in the place of the nearest colour the
model knew, so that what it learned about red now draws the new red; words it did not know join the list; the quality sampler
and the matcher, which learned other pictures, are left out.
"""

import hashlib
import io
import json
import math
import re
import shlex
import shutil
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

import lunaris
from lunaris.core import hub, images, jobs
from lunaris.core.checkpoint import write_folder
from lunaris.core.config import as_flags
from lunaris.core.isolation import generators_put_back
from lunaris.core.training import Run, fit
from lunaris.pixel.config import PixelConfig, PixelTrainConfig
from lunaris.pixel.data import Batches, SpriteSet, fit_palette, load_source
from lunaris.pixel.metrics import reconstruction_metrics
from lunaris.pixel.model import LunarCore, PaletteHead, load, save
from lunaris.pixel.request import MAX_PROMPT, WHY, RetrainRequest
from lunaris.pixel.train import Samples, count_words, make_loss, prompts_of, start_from

MAX_PICTURES = 200
MIN_PICTURES = 4
MAX_PICTURE_BYTES = 2 * 2**20
MAX_PICTURE_PIXELS = 2048 * 2048
MAX_TEXT_BYTES = 2**20
MAX_LINE = 2000  # characters of a line that names a picture and its caption
MAX_ZIP_ENTRIES = 5000
PICTURES = (".png", ".gif", ".webp", ".jpg", ".jpeg")
TEXTS = (".txt", ".jsonl")
MAX_PARAMETERS = 20_000_000  # a training state holds each four times over
ROWS = 8  # of samples in the course of a training, after the one before it
REF = "retrained:"  # begins the refs of models that were made here; what follows is the id of the job

# --- what a visitor uploads -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Note:
    """A file that was left out, or used in part. `why` is one of WHY; `detail` the reader's own sentence, or the name of the twin."""

    name: str
    why: str
    detail: str = ""

    def __str__(self) -> str:
        return WHY[self.why].format(name=self.name, detail=self.detail)


@dataclass(frozen=True)
class Pictures:
    """The usable pictures of an upload, their file names, and what became of the rest."""

    data: SpriteSet
    names: tuple[str, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class _File:
    """One file of the upload, or of the ZIP that is its `archive`-th file; `read(limit)` gives at most `limit` bytes of it."""

    name: str
    size: int
    read: Callable[[int], bytes]
    archive: int | None = None

    @property
    def path(self) -> PurePosixPath:
        return _path_of(self.name)

    @property
    def suffix(self) -> str:
        return self.path.suffix


def read_uploads(files: Sequence[tuple[str, Path]], *, side: int, caption: str = "") -> Pictures:
    """The pictures of `files` (name, where it lies) at side x side pixels: pictures, ZIPs of them, and texts with their captions.

    Captions come from captions.jsonl ({"file", "caption"} a line), captions.txt (`name.png: caption` a line) or a .txt beside the
    picture; without one, from `caption`, else from the file's name: `red_potion-02.png` is "red potion". A text speaks for the folder it
    lies in and those below, the nearest first; one beside the ZIPs for all of them. Nothing is unpacked to the disk. A bad file is left
    out by name and costs the others nothing. Raises ValueError when there are more than 200 pictures, before any is opened, and when
    fewer than 4 different ones are left.
    """
    if len(files) > 2 * MAX_PICTURES + 2:  # each with a text beside it
        raise _too_many(len(files))
    notes: list[Note] = []
    with ExitStack() as stack:
        found = [file for i, (name, path) in enumerate(files) for file in _unpacked(_plain_name(name), path, i, stack, notes)]
        pictures = [file for file in found if file.suffix not in TEXTS]
        if len(pictures) > MAX_PICTURES:
            raise _too_many(len(pictures))
        captions = _captions([file for file in found if file.suffix in TEXTS], notes)
        kept: dict[bytes, tuple[str, np.ndarray, str]] = {}
        for file in pictures:
            image = _picture(file, side, notes)
            if image is None:
                continue
            twin = kept.get(image.tobytes())
            if twin:
                notes.append(Note(file.name, "twin", twin[0]))
                continue
            said = _caption_of(file, captions) or _one_line(caption)
            kept[image.tobytes()] = (file.name, image, said or _words_of(file.name) or "sprite")
    if len(kept) < MIN_PICTURES:
        raise ValueError(_too_few(len(kept), notes))
    names, arrays, said = zip(*kept.values(), strict=True)
    groups = tuple(_words_of(name) or name for name in names)
    return Pictures(SpriteSet(np.stack(arrays), said, groups), names, tuple(notes))


def _too_many(count: int) -> ValueError:
    return ValueError(f"give at most {MAX_PICTURES} pictures, got {count:,}; choose the best ones")


def _too_few(count: int, notes: Sequence[Note]) -> str:
    first = next((note for note in notes if note.why != "animated"), None)
    about = f" ({first})" if first and first.why != "twin" else ""
    return f"give at least {MIN_PICTURES} different pictures, got {count}{about}; add PNG files or a ZIP of them"


def _path_of(name: str) -> PurePosixPath:
    """Where a file lies, as Windows compares names."""
    return PurePosixPath(name.lower().replace("\\", "/"))


def _plain_name(name: str) -> str:
    """A file's name as it is shown: without control characters, at most 120 characters."""
    return "".join(c for c in name if c.isprintable())[-120:] or "file"


def _unpacked(name: str, path: Path, number: int, stack: ExitStack, notes: list[Note]) -> Iterator[_File]:
    """The file itself, the `number`-th of the upload, or what is in it when it is a ZIP, of which only the table of contents is read."""
    if PurePosixPath(name).suffix.lower() != ".zip":
        yield _File(name, path.stat().st_size, lambda limit: _read(path, limit))
        return
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except Exception:  # a damaged table makes it raise nearly anything: BadZipFile, NotImplementedError for "version 9.9", struct.error
        notes.append(Note(name, "unreadable", f"{name} is not a readable ZIP"))
        return
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MAX_ZIP_ENTRIES:
        raise _too_many(len(entries))
    for entry in entries:
        parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
        shown = _plain_name(entry.filename)
        if any(part.startswith((".", "__MACOSX")) and part != ".." for part in parts):
            continue  # what systems add unasked
        if ".." in parts or re.match(r"/|\w:", entry.filename):
            notes.append(Note(shown, "outside"))
        elif entry.flag_bits & 1:
            notes.append(Note(shown, "locked"))
        elif PurePosixPath(shown).suffix.lower() not in (*PICTURES, *TEXTS):
            notes.append(Note(shown, "unknown"))
        else:
            yield _File(shown, entry.file_size, lambda limit, entry=entry: _read_entry(archive, entry, limit), number)


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        return file.read(limit)


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes:
    """At most `limit` bytes, whatever the entry says of its size. Raises ValueError for a damaged one."""
    try:
        with archive.open(entry) as file:
            return file.read(limit)
    except Exception as error:  # each way to compress has errors of its own: zlib.error, LZMAError, EOFError, OSError
        raise ValueError(f"{entry.filename} is damaged in the ZIP ({type(error).__name__})") from None


def _picture(file: _File, side: int, notes: list[Note]) -> images.Rgba | None:
    """The picture at side x side pixels, or None and a note."""
    if file.suffix not in PICTURES:
        notes.append(Note(file.name, "unknown"))
        return None
    if file.size > MAX_PICTURE_BYTES:
        notes.append(Note(file.name, "bytes"))
        return None
    try:
        content = file.read(MAX_PICTURE_BYTES + 1)
        if len(content) > MAX_PICTURE_BYTES:
            notes.append(Note(file.name, "bytes"))
            return None
        image = images.fit_square(images.read_image(content, max_pixels=MAX_PICTURE_PIXELS), side)
        animated = images.ignored_frames(content, max_pixels=MAX_PICTURE_PIXELS) > 0
    except ValueError as error:
        notes.append(Note(file.name, "unreadable", str(error).replace("the picture", file.name)))
        return None
    if not image[..., 3].any():
        notes.append(Note(file.name, "empty"))
        return None
    if animated:
        notes.append(Note(file.name, "animated"))
    return np.where(image[..., 3:] > 0, image, 0)  # invisible colour makes no two pictures different


Place = tuple[int | None, PurePosixPath]  # an archive, and a folder in it


def _captions(texts: Sequence[_File], notes: list[Note]) -> dict[Place, dict[str, str]]:
    """What the texts in each folder say: a picture's path from there, in lower case -> its caption."""
    captions: dict[Place, dict[str, str]] = {}
    for file in texts:
        try:
            text = file.read(MAX_TEXT_BYTES).decode("utf-8-sig", errors="replace")
        except ValueError as error:
            notes.append(Note(file.name, "unreadable", str(error)))
            continue
        lines = re.split(r"[\r\n]+", text)  # splitlines also cuts at what JSON allows inside a text
        here = captions.setdefault((file.archive, file.path.parent), {})
        if file.path.stem == "captions":
            pairs = [_pair(line.strip()) for line in lines if line.strip()]
            here |= {str(_path_of(name)): _one_line(caption) for name, caption in filter(None, pairs)}
            if None in pairs:
                notes.append(Note(file.name, "lines", str(pairs.count(None))))
        else:
            here |= {file.path.stem + suffix: _one_line(" ".join(lines)) for suffix in PICTURES}
    return captions


def _caption_of(file: _File, captions: dict[Place, dict[str, str]]) -> str:
    """What the nearest text says of a picture, by its path from there or by its name alone; "" when none does."""
    for place in (*((file.archive, folder) for folder in file.path.parents), (None, PurePosixPath("."))):
        said, folder = captions.get(place, {}), place[1]
        from_there = file.path.relative_to(folder) if file.path.is_relative_to(folder) else file.path
        if caption := said.get(str(from_there)) or said.get(file.path.name):
            return caption
    return ""


def _pair(line: str) -> tuple[str, str] | None:
    """(file, caption) of `name.png: caption` or of {"file": "name.png", "caption": "caption"}; None for any other line."""
    if len(line) > MAX_LINE:
        return None
    if line.startswith("{"):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return None
        file, caption = row.get("file"), row.get("caption")
        return (file, caption) if isinstance(file, str) and isinstance(caption, str) else None
    match = re.match(rf"(.+?(?:{'|'.join(map(re.escape, PICTURES))}))\s*[\t:=,;|](.*)", line, re.IGNORECASE)
    return (match[1], match[2].strip()) if match and match[2].strip() else None


def _one_line(text: str) -> str:
    """A caption: one line of printable characters, no longer than a prompt may be."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_PROMPT]


def _words_of(name: str) -> str:
    """What a file's name says, without the numbers that tell copies apart; "" for a name of numbers alone."""
    words = re.sub(r"[\W_]+", " ", PurePosixPath(name).stem).strip()
    return words.rstrip("0123456789 ").lower()[:MAX_PROMPT]


# --- start -----------------------------------------------------------------------------------------------------------------------


def check_size(model: LunarCore) -> None:
    """Refuse a checkpoint whose training would take more memory and disk than a visitor may have. Raises ValueError."""
    count = sum(parameter.numel() for name, parameter in model.named_parameters() if not name.startswith(("flow.", "matcher.")))
    if count > MAX_PARAMETERS:
        raise ValueError(
            f"a checkpoint that is retrained here must have at most {MAX_PARAMETERS:,} parameters, got {count:,}; "
            "train it with: python -m lunaris pixel train"
        )


def start(owner: str, pictures: Pictures, request: RetrainRequest, *, base: Path, base_ref: str, name: str = "my-sprites") -> str:
    """Queue a retraining of the checkpoint in `base` and return its token (see `jobs.Jobs.start`).

    `name` is what the new checkpoint is called: letters, digits and hyphens. The pictures go into the job's folder in the packed layout
    that `data.load_source` reads; so does a base that was made here, which may be swept before this job's turn comes.
    """
    settings, files = settings_of(request, base=base, base_ref=base_ref, name=name), packed(pictures)
    if base_ref.startswith(REF):
        files |= {f"base/{path.name}": path.read_bytes() for path in base.iterdir() if path.is_file()}
        settings["base"] = "base"
    return jobs.shared().start(owner, f"{__name__}:run", settings, files)


def settings_of(request: RetrainRequest, *, base: Path, base_ref: str, name: str) -> dict[str, Any]:
    """What `run` is to do, in JSON's values. The card names the base by `base_name`: no paths, no ids."""
    base_name = "MODEL" if base_ref.startswith(REF) else base.name if Path(base_ref).is_dir() else base_ref
    return {**request.to_dict(), "base": str(base.resolve()), "base_name": base_name, "name": name}


def request_of(settings: Mapping[str, Any]) -> RetrainRequest:
    return RetrainRequest(**{field.name: settings[field.name] for field in fields(RetrainRequest)})


def packed(pictures: Pictures) -> dict[str, bytes]:
    """The pictures as the files that `run` reads them from."""
    file = io.BytesIO()
    np.savez_compressed(file, images=pictures.data.images)
    rows = zip(pictures.names, pictures.data.captions, pictures.data.groups, strict=True)
    lines = [json.dumps({"file": file, "caption": caption, "group": group}) for file, caption, group in rows]
    return {"data/sprites.npz": file.getvalue(), "data/sprites.captions.jsonl": ("\n".join(lines) + "\n").encode()}


def ref_of(token: str) -> str:
    """The ref under which this server, and no other, serves the model that the job made."""
    return REF + jobs.id_of(token)


def model_folder(ref: str) -> Path:
    """The checkpoint behind a ref of `ref_of`, kept for another hour. It names no path, so a visitor can reach nothing else with it.

    Raises FileNotFoundError.
    """
    folder = jobs.shared().folder_of(ref.removeprefix(REF))
    made = [path for path in sorted((folder / "model").glob("[a-z0-9]*")) if (path / "config.json").is_file()]
    if not made:
        raise FileNotFoundError("this training has made no model yet; wait for its end, or cancel it to get what it has so far")
    return made[0]


# --- without a server -------------------------------------------------------------------------------------------------------------


def retrain_folder(
    source: str | Path,
    out: str | Path,
    request: RetrainRequest,
    *,
    base_ref: str,
    caption: str = "",
    name: str = "my-sprites",
    tell: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Retrain `base_ref` on the pictures in the folder (or ZIP) `source` and leave the checkpoint in the new folder `out`.

    Returns what a job reports: pictures, held_out, steps, and the figures before and after. The checkpoint is what the tab makes of the
    same files, brought in the order of their names. Whoever interrupts it calls it again to go on: `out`/state holds all it needs.
    `tell` hears of files that are left out. Raises ValueError and OSError in one sentence.
    """
    out, base = Path(out), hub.resolve(base_ref)
    state = out / "state"
    model = load(base)
    check_size(model)
    pictures = read_uploads(pictures_in(Path(source)), side=model.config.side, caption=caption)
    settings, files = settings_of(request, base=base, base_ref=base_ref, name=name), packed(pictures)
    content = hashlib.sha256(pictures.data.images.tobytes() + files["data/sprites.captions.jsonl"]).hexdigest()
    job = json.dumps({**settings, "base": hub.weight_hash(base), "pictures": content})
    if not (state / "job.json").is_file():
        if out.exists() and (not out.is_dir() or any(not path.name.startswith(".") for path in out.iterdir())):
            raise ValueError(f"--out must be a new or empty folder, got {out}, where something is; choose another")
        write_folder(state, {**files, "job.json": job})
    elif (state / "job.json").read_text(encoding="utf-8") != job:
        raise ValueError(f"{out} holds a retraining of other pictures or settings; go on with those, or choose another --out")
    for note in pictures.notes:
        tell(f"note: {note}")
    work = jobs.Work(state, settings)
    learn(work, out, progress=True, go_on="give the same command again to go on")
    report = json.loads((state / "progress.json").read_text(encoding="utf-8"))
    shutil.rmtree(state)
    return {key: report[key] for key in ("pictures", "held_out", "steps", "before", "after")}


def pictures_in(source: Path) -> list[tuple[str, Path]]:
    """The files in a folder as `read_uploads` takes them, in the order of their names; hidden ones are left out."""
    if source.is_file():
        return [(source.name, source)]
    if not source.is_dir():
        raise FileNotFoundError(f"no folder at {source}; give a folder or a ZIP of {MIN_PICTURES} to {MAX_PICTURES} pictures")
    return [(path.name, path) for path in sorted(source.iterdir()) if path.is_file() and not path.name.startswith(".")]


# --- the training, in the job's process -------------------------------------------------------------------------------------------


def run(work: jobs.Work) -> bool:
    """Retrain, or go on with it, and leave the checkpoint in the job's folder; stopped early, it holds what was learned so far.

    Returns whether all steps are done; then the training state, four times the size of the model, is deleted.
    """
    return learn(work, work.folder / "model" / work.settings["name"])


def learn(work: jobs.Work, folder: Path, *, progress: bool = False, go_on: str = "resume it") -> bool:
    """`run` with the checkpoint in `folder`. `progress` shows a bar; `go_on` says what whoever stops it should do to go on."""
    torch.set_num_threads(1)
    settings = work.settings
    base = load(work.folder / settings["base"])
    data = load_source(work.folder / "data", side=base.config.side, split="all")
    part, held, apart = hold_out(data)
    train_config = settings_for(base.config, settings)
    with generators_put_back(torch.device("cpu")):
        torch.manual_seed(train_config.seed)
        model = adapted(base, part, seed=train_config.seed)
    before = reconstruction_metrics(base, held)
    work.report(pictures=len(data), held_out=len(held) if apart else 0, steps=train_config.steps, before=before, after=None)

    batches = Batches(part, train_config.batch_size, model.config, model.tokenizer)
    prompts = prompts_of(data)
    work.report(prompts=prompts if base.config.use_text else [])
    live = Live(work, base, prompts)
    out = work.folder / "training"
    options = {"callbacks": [live], "resume": True, "should_stop": work.should_stop, "progress": progress, "go_on": go_on}
    result = fit(model, batches, make_loss(train_config), train_config, out, **options)
    model = model.cpu().eval()
    save(model, folder, dtype=torch.float16)
    after = reconstruction_metrics(load(folder), held)  # of the very file that is handed out
    card = make_card(model, train_config, settings, data, result.step, before, after, apart)
    save(model, folder, card=card, dtype=torch.float16)
    work.report(step=result.step, after=after, eta_s=0)
    finished = result.step == train_config.steps
    if finished:
        shutil.rmtree(out)
    return finished


def hold_out(data: SpriteSet) -> tuple[SpriteSet, SpriteSet, bool]:
    """(to train on, to measure on, whether they are apart): a tenth of the pictures in whole groups, or all for both when there are few."""
    groups = sorted(set(data.groups), key=lambda group: (zlib.crc32(group.encode()), group))
    wanted, chosen = len(data) // 10, set()
    if len(data) >= 30:
        for group in groups:
            if sum(data.groups.count(name) for name in (*chosen, group)) <= wanted:
                chosen.add(group)
    apart = [i for i, group in enumerate(data.groups) if group in chosen]
    if not apart:
        return data, data, False
    return data.take([i for i, group in enumerate(data.groups) if group not in chosen]), data.take(apart), True


def settings_for(config: PixelConfig, settings: dict[str, Any]) -> PixelTrainConfig:
    """How to train: as the checkpoint's kind was, shorter."""
    preset = PixelTrainConfig() if config.head == "mse" else PixelTrainConfig.small()
    return preset.replace(
        steps=settings["steps"],
        learning_rate=settings["learning_rate"],
        seed=settings["seed"],
        beta=1.0,  # little data: what the pictures say counts more than how tidy the latents are
        batch_size=32,
        warmup_steps=settings["steps"] // 20,
        ema_decay=0.98,
        eval_every=0,
        save_every=200,
        keep_checkpoints=1,
        log_every=10,
        tracker="none",
        init_from=settings["base_name"],
    )


def adapted(base: LunarCore, data: SpriteSet, *, seed: int = 0) -> LunarCore:
    """A copy of `base` that can draw the colours of `data` and knows its words; every weight is still that of `base`."""
    model = LunarCore.from_config(base.config.replace(sampler="normal", ranking="latent"))
    start_from(model, base)
    model.words = dict(Counter(base.words) + Counter(count_words(data.captions))) if base.config.use_text else {}
    if isinstance(model.head, PaletteHead):
        size, channels = base.config.palette_size, base.config.channels
        model.head.adopt_palette(fit_palette(data.images, size, channels, seed=seed))
    return model


class Live(Samples):
    """What the visitor sees while it trains: progress, the curve of the loss, and a row of samples now and then, `base`'s own first."""

    def __init__(self, work: jobs.Work, base: LunarCore, prompts: list[str]):
        super().__init__(prompts, lambda step: work.folder / samples_name(step), looks=ROWS)
        self.work, self.base = work, base
        self.curve: list[tuple[int, float]] = []  # (step, mean loss since the last point)
        self._losses: list[float] = []

    def on_start(self, run: Run) -> None:
        self._since, self._began_at = time.monotonic(), run.step
        if not self.rows:
            self.draw(self.base, 0)
        self._report(run)

    def on_step(self, run: Run) -> None:
        steps = run.config.steps
        self._losses.append(run.metrics()["loss"])
        if run.step % max(1, steps // 60) == 0 or run.step == steps:
            self.curve.append((run.step, round(sum(self._losses) / len(self._losses), 2)))
            self._losses = []
        self.look(run)
        if run.step == steps or time.monotonic() - self._told > 0.5:
            self._report(run)

    def _report(self, run: Run) -> None:
        self._told = time.monotonic()
        done = run.step - self._began_at
        eta_s = round((self._told - self._since) / done * (run.config.steps - run.step), 1) if done else None
        self.work.report(step=run.step, eta_s=eta_s, curve=self.curve, rows=self.rows)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "curve": self.curve, "losses": self._losses}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.curve, self._losses = state["curve"], state["losses"]


def samples_name(step: int) -> str:
    """The file in the job's folder with the samples drawn after `step`."""
    return f"samples-{step}.png"


def make_card(
    model: LunarCore,
    train_config: PixelTrainConfig,
    settings: Mapping[str, Any],
    data: SpriteSet,
    steps: int,
    before: Mapping[str, float],
    after: Mapping[str, float],
    apart: bool,
) -> str:
    """The card of a retrained checkpoint: from what, on what, with which command, and what it is worth before and after."""
    command = ["retrain", "FOLDER", "--model", settings["base_name"], *as_flags(request_of(settings), RetrainRequest())]
    side, measured_on = model.config.side, "a tenth of the pictures, kept out of training"
    if not apart:
        measured_on = "the training pictures themselves: too few, or too alike by name, to keep some apart"
    numbers = {f"{key} {when}": round(value, 4) for when, table in (("before", before), ("after", after)) for key, value in table.items()}
    base = train_config.init_from
    return hub.render_card(
        name=settings["name"],
        family="pixel",
        what=f"LunarisCore {side}x{side}, retrained for {steps} steps from `{base}` on somebody's own pictures.",
        data=f"{len(data)} pictures that somebody brought; whoever publishes this checkpoint should name their authors and licences here.",
        licence="other",
        command=shlex.join(["python", "-m", "lunaris", "pixel", *command, "--name", settings["name"], "--out", "DIR"]),
        metrics={key: value for key, value in numbers.items() if math.isfinite(value)} | {"steps": steps},
        dataset=measured_on,
        limits=[
            f"Pictures are {side}x{side} pixels; finer detail cannot be drawn.",
            "It was trained briefly on few pictures: it repeats them more than it invents, and forgets some of what it drew before.",
            "Words that were in no caption mean what they meant to the checkpoint it started from, if anything.",
        ],
        tags=["pixel-art", "retrained", f"lunaris-{lunaris.__version__}"],
        prompt=re.sub(r"[^\w ,.-]", "", data.captions[0]) if model.config.use_text else None,
    )
