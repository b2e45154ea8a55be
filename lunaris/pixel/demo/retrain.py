"""Retrain: the model in use learns a visitor's own pictures, in a job that outlives the page (C1-8, C1-13).

Handlers keep no state: a job's token, which only its visitor has, is an argument of every call. The page keeps it in the visitor's
browser, so a reload finds the training again. Arguments come as JSON has them and are checked here. The training itself is
`pixel.retrain`, in a process of its own (`core.jobs`).
"""

import base64
import contextlib
import html
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from lunaris.core import hub, jobs, ui
from lunaris.core.config import ConfigError
from lunaris.pixel.demo.common import Page, default_ref, model_for, picture_grid
from lunaris.pixel.request import MAX_PROMPT, WHY
from lunaris.pixel.run import slug

TEXTS = ui.Texts(
    "pixel_retrain",
    {
        "retrain": ("Retrain", "Retreinar"),
        "intro": (
            "Teach the model in use your own sprites: 4 to 200 pictures, a minute or two on this server's processor. "
            "Your pictures and the new model stay here for an hour after their last use. Only this browser can see the pictures and take "
            "the model home; whoever has a link to sprites that you drew with it can draw with it too, as long as it is here.",
            "Ensine seus próprios sprites ao modelo em uso: de 4 a 200 imagens, um ou dois minutos no processador deste servidor. "
            "Suas imagens e o novo modelo ficam aqui por uma hora depois do último uso. Só este navegador vê as imagens e pode levar "
            "o modelo; quem tiver um link para sprites que você desenhou com ele também pode desenhar com ele, enquanto estiver aqui.",
        ),
        "files": ("Your pictures, or a ZIP", "Suas imagens, ou um ZIP"),
        "files_info": (
            "PNG, GIF, WebP or JPEG, up to 2 MB each; a ZIP up to 5 MB; 64 MB in all. Captions come from the file names "
            "(<code>red_potion-2.png</code> is “red potion”), from a <code>captions.txt</code> with lines such as "
            "<code>a.png: a red potion</code>, or from a <code>captions.jsonl</code>.",
            "PNG, GIF, WebP ou JPEG, até 2 MB cada; um ZIP, até 5 MB; 64 MB ao todo. As legendas vêm dos nomes dos arquivos "
            "(<code>pocao_vermelha-2.png</code> é “pocao vermelha”), de um <code>captions.txt</code> com linhas como "
            "<code>a.png: uma poção vermelha</code>, ou de um <code>captions.jsonl</code>.",
        ),
        "caption": ("One caption for all (optional)", "Uma legenda para todas (opcional)"),
        "caption_hint": ("a potion in my style", "uma poção no meu estilo"),
        "steps": ("Training steps", "Passos de treino"),
        "steps_info": (
            "32 pictures each. More steps follow your pictures more closely.",
            "32 imagens cada. Mais passos seguem mais de perto.",
        ),
        "more": ("Fine-tuning", "Ajuste fino"),
        "name": ("Name of the new model", "Nome do novo modelo"),
        "rate": ("Learning rate", "Taxa de aprendizado"),
        "seed": ("Seed", "Semente (seed)"),
        "start": ("Start training", "Começar o treino"),
        "cancel": ("Stop", "Parar"),
        "resume": ("Go on", "Continuar"),
        "checkpoint": ("Checkpoint (ZIP)", "Checkpoint (ZIP)"),
        "space": ("Space folder (ZIP)", "Pasta do Space (ZIP)"),
        "use": ("Use it in this tab", "Usar nesta aba"),
        "empty": ("Your model grows here", "Seu modelo cresce aqui"),
        "empty_hint": ("Choose pictures, and press Start training.", "Escolha imagens e clique em Começar o treino."),
        "ready": (
            "<b>{pictures}</b> pictures as the model will see them, {captions} different captions.",
            "<b>{pictures}</b> imagens como o modelo as verá, {captions} legendas diferentes.",
        ),
        "why_unreadable": (WHY["unreadable"], "{detail}"),
        "why_bytes": (WHY["bytes"], "{name} tem mais de 2 MB"),
        "why_empty": (WHY["empty"], "{name} não mostra nada: todos os pixels são transparentes"),
        "why_twin": (WHY["twin"], "{name} é igual a {detail}"),
        "why_outside": (WHY["outside"], "{name} aponta para fora do ZIP"),
        "why_unknown": (WHY["unknown"], "{name} não é um arquivo PNG, GIF, WebP ou JPEG"),
        "why_locked": (WHY["locked"], "{name} pede uma senha"),
        "why_animated": (WHY["animated"], "{name} é animada: vale o primeiro quadro"),
        "why_lines": (WHY["lines"], "{name}: {detail} linhas não têm a forma <nome.png: legenda>"),
        "more_notes": ("and {count} more", "e mais {count}"),
        "waiting": ("Waiting: place {position} in the queue", "Na fila: lugar {position}"),
        "starting": ("Starting …", "Começando …"),
        "running": ("Training: step {step} of {steps}", "Treinando: passo {step} de {steps}"),
        "stopping": ("Stopping, and saving what was learned …", "Parando, e salvando o que foi aprendido …"),
        "stopped": (
            "Stopped at step {step} of {steps}. Go on whenever you like.",
            "Parado no passo {step} de {steps}. Continue quando quiser.",
        ),
        "done": ("Done: {steps} steps on {pictures} pictures", "Pronto: {steps} passos com {pictures} imagens"),
        "failed": ("This training could not go on", "Este treino não pôde continuar"),
        "left": ("about {seconds} s left", "faltam uns {seconds} s"),
        "before": ("before", "antes"),
        "step": ("step {step}", "passo {step}"),
        "same": ("The same prompts and seeds each time:", "As mesmas descrições e sementes a cada vez:"),
        "loss": ("Loss (nats per sprite)", "Perda (nats por sprite)"),
        "redrawn": ("How well it redraws", "Quão bem redesenha"),
        "redrawn_held": ("{held} of your pictures that it never trained on", "{held} imagens suas que ficaram fora do treino"),
        "redrawn_all": (
            "your own training pictures (too few, or too alike by name, to keep some apart: this flatters)",
            "suas próprias imagens de treino (poucas, ou de nomes parecidos demais, para separar algumas: o número é otimista)",
        ),
        "numbers": (
            "{psnr_before} → <b>{psnr_after} dB</b> PSNR · KL {kl_before} → <b>{kl_after}</b> nats",
            "{psnr_before} → <b>{psnr_after} dB</b> PSNR · KL {kl_before} → <b>{kl_after}</b> nats",
        ),
        "in_use": (
            "Your model is in use in this tab. It draws in instant mode; the quality sampler knows other pictures.",
            "Seu modelo está em uso nesta aba. Ele desenha no modo instantâneo; o amostrador de qualidade conhece outras imagens.",
        ),
    },
)

# --- handlers of tab, REST and MCP ------------------------------------------------------------------------------------------------


@ui.friendly
def pixel_retrain_start(
    files: Any,
    caption: Any = "",
    steps: Any = 300,
    name: Any = "my-sprites",
    learning_rate: Any = 2e-3,
    seed: Any = 0,
    model: Any = "",
    request: gr.Request | None = None,
) -> dict:
    """Retrain a checkpoint on 4 to 200 pictures of your own. Trainings run one after the other; one per visitor at a time.

    Args:
        files: Pictures (PNG, GIF, WebP, JPEG), ZIPs of them, and captions.txt or captions.jsonl with their captions.
        caption: One caption for all pictures that no captions file names; empty takes it from each file's name.
        steps: Training steps of 32 pictures each, 10 to 3000.
        name: What the new checkpoint is called, in letters, digits and hyphens.
        learning_rate: Peak learning rate, 0.00001 to 0.01.
        seed: 0 to 4294967295. The same pictures, settings and seed give the same checkpoint.
        model: The checkpoint to start from, as in pixel_generate; empty is the default.

    Returns:
        The token of the training ("job"), which is the only key to it, and what was made of the files.
    """
    from lunaris.pixel import retrain

    settings = retrain.RetrainRequest(steps=ui.whole(steps), learning_rate=learning_rate, seed=ui.whole(seed))
    base = model_for(model, request)
    retrain.check_size(base.model)
    pictures = retrain.read_uploads(uploaded(files), side=base.model.config.side, caption=text("caption", caption))
    ref = model.strip() or default_ref()
    token = retrain.start(owner_of(request), pictures, settings, base=base.folder, base_ref=ref, name=slug(text("name", name)))
    language = ui.language_of(request)
    return {
        "job": token,
        "pictures": len(pictures.data),
        "captions": len(set(pictures.data.captions)),
        "notes": [note_text(note, language) for note in pictures.notes],
    }


@ui.friendly
def pixel_retrain_status(job: Any, request: gr.Request | None = None) -> tuple[dict, str | None]:
    """Where a training stands: state (waiting, running, stopping, stopped, done or failed), progress, numbers, samples.

    Args:
        job: The token that pixel_retrain_start returned.

    Returns:
        State, position in the queue, step, loss curve, reconstruction of held-out pictures before and after (psnr_db, kl_nats), and
        the ref of the model for the other calls once there is one; a PNG sheet of samples, one row per look, the checkpoint's own first.
    """
    import numpy as np

    from lunaris.core import provenance
    from lunaris.core.images import png_bytes, read_image, upscale

    report, rows = report_of(job, ui.language_of(request))
    if not rows:
        return report, None
    sheet = upscale(np.concatenate([read_image(row) for row in rows]), 4)
    return report, ui.keep("samples.png", provenance.stamp(png_bytes(sheet)))


@ui.friendly
def pixel_retrain_cancel(job: Any) -> dict:
    """Stop a training, or take it out of the queue. It saves what it has learned: the model so far can be used, and resumed.

    Args:
        job: The token that pixel_retrain_start returned.

    Returns:
        The state it is in now.
    """
    jobs.shared().cancel(text("job", job))
    return {"state": jobs.shared().status(job).state}


@ui.friendly
def pixel_retrain_resume(job: Any, request: gr.Request | None = None) -> dict:
    """Go on with a training that was stopped or interrupted. The result equals that of one never stopped, bit for bit.

    Args:
        job: The token that pixel_retrain_start returned.

    Returns:
        The state it is in now.
    """
    jobs.shared().resume(owner_of(request), text("job", job))
    return {"state": jobs.shared().status(job).state}


@ui.friendly
def pixel_retrain_download(job: Any, what: Any = "checkpoint") -> str:
    """The retrained model as a file: its checkpoint folder, or a folder that runs as a Hugging Face Space with it.

    Args:
        job: The token that pixel_retrain_start returned.
        what: "checkpoint" or "space".

    Returns:
        A ZIP file.
    """
    from lunaris.core import space
    from lunaris.pixel import export, retrain

    if what not in ("checkpoint", "space"):
        raise ConfigError(f"what must be one of checkpoint, space, got {str(what)[:40]!r}; try 'checkpoint'")
    folder = retrain.model_folder(retrain.ref_of(text("job", job)))
    with jobs.disk_full_in_one_sentence("the file was not made"), tempfile.TemporaryDirectory() as scratch:
        name = folder.name if what == "checkpoint" else f"{folder.name}-space"
        made = folder if what == "checkpoint" else space.build("pixel", Path(scratch) / name, ref=folder)
        paths = hub.checkpoint_files(made) if what == "checkpoint" else {str(p.relative_to(made)): p for p in files_in(made)}
        data = export.bundle({f"{name}/{Path(path).as_posix()}": source.read_bytes() for path, source in paths.items()})
        return ui.keep(f"{name}.zip", data)


def text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be a text, got {str(value)[:40]!r}; put it in quotes")
    if len(value) > MAX_PROMPT:
        raise ConfigError(f"{name} must be at most {MAX_PROMPT} characters, got {len(value)}; say it shorter, such as 'a red potion'")
    return value


def uploaded(files: Any) -> list[tuple[str, Path]]:
    """(name, where it lies) of uploaded files. Gradio has checked by now that they are ones that were uploaded."""
    found = files if isinstance(files, Sequence) and not isinstance(files, str) else [files] if files else []
    if not all(isinstance(file, Mapping) and isinstance(file.get("path"), str) for file in found):
        raise ConfigError("files must be a list of uploaded files, got something else; send them to /gradio_api/upload first")
    return [(str(file.get("orig_name") or Path(file["path"]).name), Path(file["path"])) for file in found]


def owner_of(request: gr.Request | None) -> str:
    """Who asks, for the limit of one training each: a page of a browser, else an address. The token alone gives rights."""
    if request is None:
        return "python"
    return getattr(request, "session_hash", None) or (request.client.host if request.client else "unknown")


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def report_of(job: Any, language: str) -> tuple[dict[str, Any], list[bytes]]:
    """What a job says of itself, and its samples: one PNG per look, in the order of the report's `rows`."""
    from lunaris.pixel import retrain

    status = jobs.shared().status(text("job", job))
    sentence = ui.in_portuguese(status.sentence) if language == "pt-BR" else status.sentence
    report = {"state": status.state, "position": status.position, "sentence": sentence, "model": None, **status.progress}
    with contextlib.suppress(FileNotFoundError):
        retrain.model_folder(retrain.ref_of(job))
        report["model"] = retrain.ref_of(job)
    return report, [(status.folder / retrain.samples_name(step)).read_bytes() for step in report.get("rows", [])]


def note_text(note: Any, language: str) -> str:
    detail = ui.in_portuguese(note.detail) if language == "pt-BR" else note.detail
    return TEXTS.say(f"why_{note.why}", language, name=note.name, detail=detail)


# --- what the page shows ----------------------------------------------------------------------------------------------------------

STYLE = """<style>
.gradio-container.gradio-container {
  .pixel-retrain { display: flex; flex-direction: column; gap: 14px; }
  .pixel-retrain :is(h3, p, figure) { margin: 0; }
  .pixel-retrain h3 { font-size: 18px; font-weight: 650; }
  .pixel-retrain .bar { height: 10px; border-radius: 5px; background: var(--moon-line); overflow: hidden; }
  .pixel-retrain .bar i { display: block; height: 100%; background: var(--moon-accent); }
  .pixel-retrain .rows { display: grid; grid-template-columns: max-content minmax(0, 512px); gap: 6px 12px;
    align-items: center; margin-top: 8px; }
  .pixel-retrain .rows img { display: block; width: 100%; image-rendering: pixelated; border-radius: 6px;
    background: repeating-conic-gradient(var(--moon-check-a) 0 25%, var(--moon-check-b) 0 50%) 0 0 / 16px 16px; }
  .pixel-retrain :is(figcaption, .hint, .rows span), .pixel-notes { color: var(--moon-muted); font-size: 14px; line-height: 1.5; }
  .pixel-retrain figcaption { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
  .pixel-retrain svg.curve { display: block; width: 100%; max-width: 560px; height: auto; }
  .pixel-retrain .curve polyline { fill: none; stroke: var(--moon-accent); stroke-width: 2; }
  .pixel-retrain .curve line { stroke: var(--moon-line); }
  .pixel-retrain .curve text { fill: var(--moon-muted); font-size: 13px; }
  .pixel-notes { margin: 6px 0 0; padding-left: 20px; list-style: disc; overflow-wrap: anywhere; }
  .pixel-retrain-pictures { max-height: 330px; overflow-y: auto; }
  .pixel-retrain-pictures:not(:has(.thumbnail-item)) { display: none; }
}
</style>"""
NOTES_SHOWN = 6


def look(files: Any, caption: str, active: str, request: gr.Request) -> tuple[Any, str]:
    """The chosen files as the model will see them, each with its caption, and what is wrong with the rest."""
    if not files:
        return None, ""
    from lunaris.core.images import png_bytes
    from lunaris.pixel import retrain

    side = model_for(active, request).model.config.side
    pictures = retrain.read_uploads(uploaded(files), side=side, caption=text("caption", caption))
    shown = [
        (ui.keep(f"{i}.png", png_bytes(image)), said)
        for i, (image, said) in enumerate(zip(pictures.data.images, pictures.data.captions, strict=True))
    ]
    ready = TEXTS.html("ready", pictures=len(pictures.data), captions=len(set(pictures.data.captions)))
    return shown, f'<p class="lunaris-hint">{ready}</p>{notes_html(pictures.notes)}'


def notes_html(notes: Sequence[Any]) -> str:
    """What was left out of an upload, in both languages."""
    lines = [ui.both(*(html.escape(note_text(note, language)) for language in ui.LANGUAGES)) for note in notes[:NOTES_SHOWN]]
    if len(notes) > NOTES_SHOWN:
        lines.append(TEXTS.html("more_notes", count=len(notes) - NOTES_SHOWN))
    return f'<ul class="pixel-notes">{"".join(f"<li>{line}</li>" for line in lines)}</ul>' if lines else ""


def watch(job: Any, request: gr.Request) -> tuple[Any, ...]:
    """All that the view shows of a job: its token to keep, its panel, whether to look again, and the buttons that make sense now."""
    try:
        report, rows = report_of(job or "", ui.language_of(request))
    except FileNotFoundError:  # swept, or there was none: the browser forgets it
        return "", ui.empty_state(TEXTS, "empty"), gr.Timer(active=False), *(gr.update(visible=False),) * 3, gr.update(interactive=True)
    active, over = report["state"] in jobs.ACTIVE, report["state"] in ("stopped", "failed")
    return (
        job,
        panel(report, rows),
        gr.Timer(active=active),
        gr.update(visible=active),
        gr.update(visible=over),
        gr.update(visible=report["model"] is not None and not active),
        gr.update(interactive=not active),
    )


def panel(report: Mapping[str, Any], rows: Sequence[bytes]) -> str:
    """A job's state, progress, curve, samples and numbers as HTML in both languages."""
    state = report["state"] if report["state"] != "running" or report.get("step") is not None else "starting"
    values = {key: report.get(key) or 0 for key in ("position", "step", "steps", "pictures")}
    parts = [f"<h3>{TEXTS.html(state, **values)}</h3>"]
    if report["sentence"]:
        parts.append(f'<p class="hint">{html.escape(report["sentence"])}</p>')
    if values["steps"] and state in ("running", "stopping", "stopped"):
        left = report.get("eta_s") if state == "running" else None
        about = f'<p class="hint">{TEXTS.html("left", seconds=round(left))}</p>' if left else ""
        share = 100 * values["step"] / values["steps"]
        bar = f'<div class="bar" role="progressbar" aria-valuenow="{share:.0f}" aria-valuemin="0" aria-valuemax="100">'
        parts.append(f'<div>{bar}<i style="width: {share:.0f}%"></i></div>{about}</div>')
    if rows:
        steps = [TEXTS.html("step", step=step) if step else TEXTS.html("before") for step in report["rows"]]
        lines = "".join(
            f'<span>{label}</span><img alt="" src="data:image/png;base64,{base64.b64encode(row).decode()}">'
            for label, row in zip(steps, rows, strict=False)
        )
        prompts = html.escape(" · ".join(dict.fromkeys(report.get("prompts", []))))
        said = f"<figcaption>{TEXTS.html('same')} {prompts}</figcaption>" if prompts else ""
        parts.append(f'<figure>{said}<div class="rows">{lines}</div></figure>')
    if len(report.get("curve", ())) > 1:
        parts.append(f"<figure><figcaption>{TEXTS.html('loss')}</figcaption>{curve_svg(report['curve'], values['steps'])}</figure>")
    if report.get("after") and state in ("done", "stopped"):
        before, after = report["before"], report["after"]
        numbers = {
            f"{short}_{when}": f"{table[key]:.1f}"
            for when, table in (("before", before), ("after", after))
            for short, key in (("psnr", "psnr_db"), ("kl", "kl_nats"))
        }
        on = TEXTS.html("redrawn_held", held=report["held_out"]) if report["held_out"] else TEXTS.html("redrawn_all")
        parts.append(f'<div><p>{TEXTS.html("redrawn")}: {TEXTS.html("numbers", **numbers)}</p><p class="hint">{on}</p></div>')
    return f'<div class="pixel-retrain" data-state="{state}">{"".join(parts)}</div>'


def curve_svg(curve: Sequence[Sequence[float]], steps: int) -> str:
    """The loss over the steps; highest and lowest value at the axis."""
    losses = [loss for _, loss in curve]
    low, high = min(losses), max(losses)
    points = " ".join(f"{48 + 440 * step / steps:.1f},{12 + 96 * (high - loss) / ((high - low) or 1):.1f}" for step, loss in curve)
    return (
        f'<svg class="curve" viewBox="0 0 500 130" role="img" aria-label="{high:.0f} → {losses[-1]:.0f}">'
        f'<line x1="48" y1="108" x2="488" y2="108"/><line x1="48" y1="12" x2="48" y2="108"/>'
        f'<text x="42" y="16" text-anchor="end">{high:.0f}</text><text x="42" y="108" text-anchor="end">{low:.0f}</text>'
        f'<text x="488" y="126" text-anchor="end">{steps}</text><text x="48" y="126">0</text><polyline points="{points}"/></svg>'
    )


@ui.friendly
def use(job: str, request: gr.Request) -> tuple[str, Any]:
    """The retrained model becomes the tab's, and Create opens."""
    from lunaris.pixel.retrain import ref_of

    ref = ref_of(text("job", job))
    model_for(ref, request)
    gr.Info(TEXTS.say("in_use", ui.language_of(request)), duration=6)
    return ref, gr.Tabs(selected="create")


SAVE = "() => setTimeout(() => document.querySelector('#pixel-retrain-file')?.click(), 300)"  # once Gradio has the file's address


def build(page: Page) -> None:
    jobs.shared()  # from now on it sweeps, also what the server before this one left
    kept = gr.BrowserState("", storage_key="lunaris-pixel-retrain", secret="lunaris")  # fixed: it must be read after a restart
    job, started, report = gr.Textbox("", visible=False, label="job"), gr.JSON(visible=False), gr.JSON(visible=False)
    samples = gr.Image(visible=False, type="filepath", format="png")
    timer = gr.Timer(1.5, active=False)
    ui.raw(f'{STYLE}<p class="lunaris-hint">{TEXTS.html("intro")}</p>')
    with gr.Row(elem_id="pixel-retrain"):
        with gr.Column(scale=5, min_width=300):
            files = gr.File(
                label=TEXTS("files"),
                file_count="multiple",
                file_types=["image", ".zip", ".txt", ".jsonl"],
                height=180,
                elem_id="pixel-retrain-files",
            )
            ui.raw(f'<p class="lunaris-hint">{TEXTS.html("files_info")}</p>')
            read = ui.raw(elem_id="pixel-retrain-read")
            with gr.Column(elem_classes="pixel-retrain-pictures"):
                preview = picture_grid(TEXTS("files"), "pixel-retrain-preview")
            caption = gr.Textbox(
                "", label=TEXTS("caption"), placeholder=TEXTS("caption_hint"), max_length=MAX_PROMPT, elem_id="pixel-retrain-caption"
            )
            steps = gr.Slider(50, 1000, 300, step=50, label=TEXTS("steps"), info=TEXTS("steps_info"), elem_id="pixel-retrain-steps")
            with gr.Accordion(TEXTS("more"), open=False):
                name = gr.Textbox("my-sprites", label=TEXTS("name"), max_length=40)
                rate = gr.Slider(0.0002, 0.01, 0.002, step=0.0002, label=TEXTS("rate"))
                seed = gr.Number(0, precision=0, minimum=0, maximum=2**32 - 1, label=TEXTS("seed"))
            start = gr.Button(TEXTS("start"), variant="primary", elem_id="pixel-retrain-start")
        with gr.Column(scale=6, min_width=300, elem_id="pixel-retrain-job"):
            shown = ui.raw(ui.empty_state(TEXTS, "empty"), elem_id="pixel-retrain-panel")
            stop = gr.Button(TEXTS("cancel"), variant="stop", visible=False, elem_id="pixel-retrain-cancel")
            again = gr.Button(TEXTS("resume"), variant="primary", visible=False, elem_id="pixel-retrain-resume")
            with gr.Row(visible=False, elem_id="pixel-retrain-take") as take:
                adopt = gr.Button(TEXTS("use"), variant="primary", min_width=150, elem_id="pixel-retrain-use")
                checkpoint = gr.Button(TEXTS("checkpoint"), min_width=150, elem_id="pixel-retrain-checkpoint")
                space = gr.Button(TEXTS("space"), min_width=150, elem_id="pixel-retrain-space")
            file = gr.DownloadButton(visible="hidden", elem_id="pixel-retrain-file")
    view = [kept, shown, timer, stop, again, take, start]
    quiet = {"preprocess": False, "show_progress": "hidden"}
    hidden = {**quiet, "api_visibility": "private"}

    for chosen in (files.change, caption.submit):
        chosen(ui.friendly(look), [files, caption, page.active], [preview, read], **hidden, trigger_mode="always_last")
    begun = start.click(
        pixel_retrain_start,
        [files, caption, steps, name, rate, seed, page.active],
        started,
        api_name="pixel_retrain_start",
        preprocess=False,
        show_progress_on=shown,
    )
    changed = [
        begun.success(None, started, job, js="(started) => started.job", api_visibility="private"),
        stop.click(pixel_retrain_cancel, job, report, api_name="pixel_retrain_cancel", **quiet),
        again.click(pixel_retrain_resume, job, report, api_name="pixel_retrain_resume", **quiet),
        kept.change(lambda token: token, kept, job, **hidden),  # read when the view is first opened: until then it is not in the page
    ]
    for event in changed:
        event.success(ui.friendly(watch), job, view, **hidden)
    timer.tick(ui.friendly(watch), job, view, **hidden, trigger_mode="once")
    gr.Button(visible=False).click(pixel_retrain_status, job, [report, samples], api_name="pixel_retrain_status", **quiet)
    for button, what, visibility in ((checkpoint, "checkpoint", "public"), (space, "space", "private")):
        kind = gr.Textbox(what, visible=False, label="what")
        options = {"api_name": "pixel_retrain_download"} if visibility == "public" else {}
        button.click(
            pixel_retrain_download, [job, kind], file, preprocess=False, show_progress_on=shown, api_visibility=visibility, **options
        ).success(None, None, None, js=SAVE, api_visibility="private")
    adopt.click(use, job, [page.active, page.tabs], **hidden)
