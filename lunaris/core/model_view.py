"""What every family's tab shares of its checkpoints: who may use which, and the Model view, which describes one and loads another.

A family makes one `Checkpoints` and one `ModelView` of its own, and says there what only its models have. This module knows no family
and imports gradio inside.
"""

import html
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lunaris.core import hub, models, ui
from lunaris.core.card import MAX_SHOWN, for_page
from lunaris.core.checkpoint import count_parameters
from lunaris.core.config import ConfigError

if TYPE_CHECKING:
    import gradio as gr

MAX_REF = 1000  # characters of a ref; the path of a folder fits

log = logging.getLogger("lunaris")

TEXTS = ui.Texts(
    "model_view",
    {
        "picker": ("Checkpoint", "Checkpoint"),
        "picker_info": (
            "A checkpoint that ships with Lunaris, or owner/name@revision on the Hugging Face Hub.",
            "Um checkpoint que vem com o Lunaris, ou dono/nome@revisão no Hugging Face Hub.",
        ),
        "picker_info_local": (
            "A checkpoint that ships with Lunaris, owner/name@revision on the Hugging Face Hub, or a folder on this computer.",
            "Um checkpoint que vem com o Lunaris, dono/nome@revisão no Hugging Face Hub, ou uma pasta neste computador.",
        ),
        "load": ("Load", "Carregar"),
        "loaded": ("{ref} is in use.", "{ref} está em uso."),
        "later": ("Press Load to fetch this checkpoint.", "Clique em Carregar para buscar este checkpoint."),
        "in_use": ("In use", "Em uso"),
        "parameters": ("Parameters", "Parâmetros"),
        "weights": ("Weights", "Pesos"),
        "yes": ("yes", "sim"),
        "no": ("no", "não"),
        "limits": ("What it cannot do", "O que ele não faz"),
        "card": ("Model card", "Cartão do modelo"),
        "duplicate": ("Duplicate this Space", "Duplicar este Space"),
        "folder_refused": (
            "this server loads no folders: give the name of a bundled checkpoint ({names}) or owner/name[@revision]",
            "este servidor não carrega pastas: dê o nome de um checkpoint incluído ({names}) ou dono/nome[@revisão]",
        ),
    },
)

# --- checkpoints -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one family, as its tab and its endpoints may use them."""

    family: str
    bundled: str  # the name of the bundled one that the tab opens with
    load: Callable[[Path], Any]  # a folder's model

    def default_ref(self) -> str:
        """LUNARIS_MODEL (a Space's variable), unless it lies on this computer and is another family's; else the bundled one."""
        ref = os.environ.get("LUNARIS_MODEL", "").strip()
        folder = hub.bundled().get(ref) or (Path(ref) if ref and (Path(ref) / "config.json").is_file() else None)
        return self.bundled if not ref or (folder and hub.load_config(folder).get("family") != self.family) else ref

    def bundled_refs(self) -> list[str]:
        """The names of the family's bundled checkpoints."""
        return [name for name, folder in hub.bundled().items() if hub.load_config(folder).get("family") == self.family]

    def model_for(self, ref: Any, request: "gr.Request | None", *, refresh: bool = False, folders: bool = True) -> models.Loaded:
        """The model behind a visitor's `ref` ("" = the default), from memory when it is there. Only who may name folders can load one.

        Others name what anybody may see on the Hub. `folders=False` is for a ref that somebody else wrote, such as the one in a dropped
        file: then nobody may name one. The default is the operator's choice for everybody, a folder or private as it may be.
        """
        if not isinstance(ref, str):
            raise ConfigError(f"model must be a text, got {str(ref)[:40]!r}; try '{self.bundled}'")
        if len(ref) > MAX_REF:
            raise ConfigError(f"model must be at most {MAX_REF:,} characters, got {len(ref):,}; try '{self.bundled}'")
        ref = ref.strip() or self.default_ref()
        folders = ref == self.default_ref() or (folders and ui.serves_only_this_machine(request))
        if not folders and ref.startswith(("/", ".", "~")):
            raise ConfigError(TEXTS.say("folder_refused", ui.language_of(request), names=", ".join(self.bundled_refs())))
        return models.shared().get(self.family, ref, self.load, folders=folders, refresh=refresh)

    def folder_of(self, ref: str, request: "gr.Request | None") -> Path | None:
        """Where the checkpoint `ref` lies on this computer, for who may use it; None when it would have to be fetched."""
        if ref in hub.bundled() or (ref == self.default_ref() and Path(ref).is_dir()):
            return hub.resolve(ref)
        here = ref in models.shared().names(self.family) or (ui.serves_only_this_machine(request) and Path(ref).is_dir())
        return self.model_for(ref, request).folder if here else None

    def origin(self, loaded: models.Loaded, ref: str) -> dict[str, Any]:
        """What a result came from, so that it can be made again."""
        return {"model": ref.strip() or self.default_ref(), "weights": loaded.weights}


# --- the view --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelView:
    """The Model view of one family's tab: which checkpoint is in use, what it can and cannot do, and how to load another one.

    What only this family's models have is said in three functions. `rows` and `limits` are given a whole description.
    """

    checkpoints: Checkpoints
    details: Callable[[Path, int], dict[str, Any]]  # of a folder and its number of parameters, from its files alone
    rows: Callable[[Mapping[str, Any]], Iterable[tuple[str, str]]]  # title and value of each row of the table, as HTML
    limits: Callable[[Mapping[str, Any]], Iterable[str]]  # a sentence each, as HTML

    def describe(self, ref: str, folder: Path) -> dict[str, Any]:
        """What there is to say about a checkpoint, from its own files; no weight is read."""
        parameters, card = count_parameters(folder / "model.safetensors"), folder / "README.md"
        return {
            "model": ref,
            "parameters": parameters,
            **self.details(folder, parameters),
            "weights": hub.weight_hash(folder),
            "card": _start(card, MAX_SHOWN) if card.is_file() else "",
        }

    def describe_without_network(self, ref: str, request: "gr.Request | None" = None) -> dict[str, Any] | None:
        """`describe` for a checkpoint that lies on this computer; None for one that must be fetched or cannot be shown."""
        try:
            folder = self.checkpoints.folder_of(ref, request)
            about = self.describe(ref, folder) if folder else None
            return about if about and self.markup(about) else None
        except (ValueError, OSError, LookupError, TypeError) as error:
            log.warning("%s cannot be described: %s", ref, error)
            return None

    def markup(self, about: Mapping[str, Any]) -> str:
        """A description as a table and the limits, in both languages."""
        rows = (
            (TEXTS.html("in_use"), f"<code>{html.escape(about['model'])}</code>"),
            (TEXTS.html("parameters"), number(about["parameters"])),
            *self.rows(about),
            (TEXTS.html("weights"), f"<code>{html.escape(about['weights'])}</code>"),
        )
        facts = "".join(f"<div><dt>{title}</dt><dd>{value}</dd></div>" for title, value in rows)
        limits = "".join(f"<li>{sentence}</li>" for sentence in self.limits(about))
        title = f'<h3 class="lunaris-title">{TEXTS.html("limits")}</h3>'
        return f'<dl class="lunaris-facts">{facts}</dl>{title}<ul class="lunaris-limits">{limits}</ul>'

    def in_words(self, about: Mapping[str, Any] | None) -> tuple[str, str]:
        """A description and the card for the page; without one, how to get it."""
        if about is None:
            return f'<p class="lunaris-hint">{TEXTS.html("later")}</p>', ""
        return self.markup(about), for_page(about["card"])

    def build(self, active: "gr.Textbox", endpoint: Callable[..., dict]) -> None:
        """The view's components. `endpoint` loads what the picker names and answers with its `describe`; then `active` names it."""
        import gradio as gr

        family, ref = self.checkpoints.family, self.checkpoints.default_ref()
        known = self.describe_without_network(ref)
        with gr.Row(elem_id=f"{family}-model", elem_classes="lunaris-bar"):
            picker = gr.Textbox(
                ref,
                label=TEXTS("picker"),
                info=TEXTS("picker_info_local" if ui.serves_only_this_machine(None) else "picker_info"),
                max_lines=1,
                max_length=MAX_REF,
                elem_id=f"{family}-picker",
                scale=5,
            )
            load = gr.Button(TEXTS("load"), variant="primary", scale=1, min_width=120, elem_id=f"{family}-load")
        names = dict.fromkeys([ref, *self.checkpoints.bundled_refs()])
        chips = "".join(ui.chip(name, fill=f"#{family}-picker", press=f"#{family}-load") for name in names)
        ui.raw(f'<div class="lunaris-chips">{chips}</div>')
        described = gr.JSON(known, visible=False, label="checkpoint")
        about_now, card_now = self.in_words(known)
        about = ui.raw(about_now, elem_id=f"{family}-about")
        with gr.Accordion(TEXTS("card"), open=False):
            card = gr.Markdown(card_now, elem_id=f"{family}-card", elem_classes="lunaris-prose")

        @ui.friendly
        def show_model(about: dict, request: gr.Request) -> tuple[str, str, str]:
            gr.Info(TEXTS.say("loaded", ui.language_of(request), ref=about["model"]), duration=4)
            return about["model"], *self.in_words(about)

        @ui.friendly
        def show_known(ref: str, request: gr.Request) -> tuple[str, str]:
            return self.in_words(self.describe_without_network(ref, request))

        loading = gr.on(
            [load.click, picker.submit],
            endpoint,
            picker,
            described,
            api_name=f"{family}_load",
            preprocess=False,
            concurrency_limit=1,  # downloads one at a time
            show_progress_on=about,
        )  # a failure ends here, and the model in use stays
        quiet = {"api_visibility": "private", "show_progress": "hidden"}
        loading.success(show_model, described, [active, about, card], **quiet)
        active.change(show_known, active, [about, card], **quiet)  # other views or a link may bring another model into use


def _start(path: Path, length: int) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(length)


def number(value: int) -> str:
    """A whole number with thin spaces between its thousands, which both languages read."""
    return f"{value:,}".replace(",", "\u202f")


def yes_or_no(value: Any) -> str:
    return TEXTS.html("yes" if value else "no")
