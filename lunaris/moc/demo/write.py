"""Write: text as it is written, stopped, edited and continued, the council's minutes below it, and the endpoint moc_generate."""

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from lunaris.core import ui
from lunaris.moc.demo import common, minutes, story
from lunaris.moc.demo.common import HEAVY, Page, chip
from lunaris.moc.demo.minutes import moc_council
from lunaris.moc.demo.orders import ARGUMENTS, FILLED, Order, from_link
from lunaris.moc.demo.texts import EXAMPLES, TEXTS

TOLD_EVERY = 0.1  # seconds between two looks at a text that is being written

# --- the endpoint ----------------------------------------------------------------------------------------------------------------


@ui.friendly
def moc_generate(
    prompt: str = "",
    max_new_tokens: int = 200,
    temperature: float = 0.8,
    top_p: float = 0.95,
    seed: int = 0,
    top_k: int = 0,
    repetition_penalty: float = 1.0,
    stop: str = "",
    mute: str = "",
    expert_bias: str = "",
    model: str = "",
    request: gr.Request | None = None,
) -> Iterator[tuple[str, dict]]:
    """Write on from a prompt, in Portuguese or English, and send the text as it grows. The same arguments give the same text.

    Args:
        prompt: The beginning of the text, at most 100000 characters; empty begins a text of the model's own.
        max_new_tokens: Tokens to write at most, 1 to 1024.
        temperature: 0 always takes the most probable token, 1 is as trained, up to 2 is wilder.
        top_p: Only the most probable tokens that together reach this share, above 0 to 1.
        seed: 0 to 4294967295.
        top_k: Only so many of the most probable tokens; 0 is all.
        repetition_penalty: Makes tokens that were there before less probable, 0.5 to 2; 1 is off.
        stop: Texts that end the writing, one per line, at most four; \\n in one is a line break.
        mute: Experts that are never chosen, such as "3 0.5" (3 in every layer, 5 in layer 0).
        expert_bias: What is added to experts' scores, such as "2=1.5 0.3=-1"; above 0 favours.
        model: A bundled checkpoint such as "moc-pt", or owner/name[@revision] on the Hugging Face Hub; empty is the default.

    Returns:
        The text without the prompt; why it ended, its token ids, speed, what was cut, what made it.
    """
    yield from run(
        Order.of(prompt, max_new_tokens, temperature, top_p, seed, top_k, repetition_penalty, stop, mute, expert_bias, model), request
    )


def run(order: Order, request: gr.Request | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is written so far and what is to be said about it, ten times a second at most, and once at the end.

    Whoever closes this iterator ends the writing: it happens in here, token by token, and in no thread of its own.
    """
    from lunaris.moc import stream

    asked, language = order.request(), ui.language_of(request)
    loaded = common.model_for(order.model, request)
    writing = stream(loaded.model, asked)
    facts = {**order.to_dict(), "link": order.link(), **common.origin(loaded, order.model)}
    started = told = time.perf_counter()

    def report(over: bool) -> tuple[str, dict[str, Any]]:
        result, seconds = writing.result, time.perf_counter() - started
        return result.text, {
            **facts,
            "text": result.text,
            "ids": list(result.ids),
            "finish": result.finish if over else "writing",
            "tokens": len(result.ids),
            "prompt_tokens": result.prompt_tokens,
            "cut_tokens": result.cut_tokens,
            "note": ui.in_portuguese(result.note) if language == "pt-BR" else result.note,
            "seconds": round(seconds, 3),
            "tokens_per_second": round(len(result.ids) / seconds, 1) if seconds else 0.0,
        }

    yield report(False)
    for _ in writing:
        if time.perf_counter() - told >= TOLD_EVERY:
            told = time.perf_counter()
            yield report(False)
    yield report(True)


# --- on the page -----------------------------------------------------------------------------------------------------------------


@ui.friendly
def write_on(
    prompt: str,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
    top_k: int,
    repetition_penalty: float,
    stop: str,
    mute: str,
    expert_bias: str,
    model: str,
    request: gr.Request,
) -> Iterator[tuple[str, dict]]:
    """The same from the form, with the prompt in front: what stands in the box can be edited, and written on from."""
    order = Order.of(prompt, max_new_tokens, temperature, top_p, seed, top_k, repetition_penalty, stop, mute, expert_bias, model)
    for written, report in run(order, request):
        yield order.prompt + written, report


@ui.friendly
def look(text: str, report: dict | None, active: str, request: gr.Request) -> Any:
    """The minutes of what stands in the box: token by token as it was written, afresh when it was edited."""
    if not text:
        return None
    known = isinstance(report, dict) and report.get("prompt", "") + report.get("text", "") == text and report.get("ids")
    if known:
        said = {name: report[name] for name in ("mute", "expert_bias", "model")}
        answer = moc_council(report["prompt"], report["ids"], **said, request=request)
    else:
        answer = moc_council(text, model=active, request=request)
    return minutes.as_shown(answer, ui.language_of(request))


@ui.friendly
def fill_from_link(query: str) -> tuple[Any, ...]:
    """The form as the page's address says it, and whether it said so. Nothing is written before the visitor asks for it."""
    order = from_link(query)
    return (*order.filled(), True) if order else ((gr.skip(),) * len(FILLED) + (False,))


@ui.friendly
def say_copied(where: str, request: gr.Request) -> None:
    """`where` the page has put the link: "clipboard", "address", or nowhere, since the prompt is too long for one."""
    key = {"clipboard": "in_clipboard", "address": "in_address"}.get(where, "no_link")
    gr.Info(TEXTS.say(key, ui.language_of(request)), duration=4)


# What the report says of itself; a template that the browser fills in, so that REST and MCP get the plain values.
# It is said aloud when it is over, not ten times a second.
REPORT = """${!value ? "" : `<p class="lunaris-report" data-finish="${value.finish.replace(/[^a-z]/g, "")}"
    ${value.finish === "writing" ? "" : "role=status"}>
  <b>${({[finishes]})[value.finish] ?? ""}</b>
  <span><b>${value.tokens}</b> [tokens]</span>
  ${value.seconds ? `<span>${value.tokens_per_second.toFixed(0)} [per_second]</span>` : ""}
  <span>[seed] <b>${value.seed}</b></span>
  <span>${value.model.replace(/[^\\w@/.-]/g, "")} <code>${value.weights.slice(0, 8)}</code></span>
</p>${value.note ? `<p class="lunaris-hint">${value.note.replace(/[<>&]/g, "")}</p>` : ""}`}"""
FINISHES = ("writing", "end", "stop", "length", "stopped")

SEED_FOR_THIS_RUN = "(seed, keep) => keep ? seed : Math.floor(Math.random() * 1e6)"
STOPPED = "(report) => report && report.finish === 'writing' ? { ...report, finish: 'stopped' } : report"
COPY = "(report) => report?.link ? window.lunaris.copyLink(report.link) : ''"
OPEN_TAB = """(linked) => { if (linked) setTimeout(() => document.querySelector("#tab-moc-button")?.click(), 0); }"""


def report_component() -> gr.HTML:
    finishes = ", ".join(f"{name}: '{TEXTS.html(f'finish_{name}')}'" for name in FINISHES)
    template = REPORT.replace("[finishes]", finishes)
    for key in ("tokens", "per_second", "seed"):
        template = template.replace(f"[{key}]", TEXTS.html(key))
    return ui.raw(None, html_template=template, elem_id="moc-report")


def example_chips() -> str:
    """Beginnings to click, by language; each fills the prompt and writes."""
    rows = []
    for language, prompts in EXAMPLES.items():
        chips = "".join(chip(prompt, label, press="#moc-go") for label, prompt in prompts)
        chips += chip("", ui.TEXTS.say("anything", language), press="#moc-go")
        rows.append(f'<div class="i18n lunaris-chips" lang="{language}"><span>{ui.TEXTS.say("examples", language)}</span>{chips}</div>')
    return "".join(rows)


def build(page: Page) -> None:
    """The fields, the text, and the council below it; fills `page.form` and `page.text`."""
    form = page.form
    with gr.Row(elem_id="moc-ask", elem_classes="lunaris-bar"):
        form["prompt"] = gr.Textbox(
            "",
            label=TEXTS("prompt"),
            placeholder=TEXTS("prompt_hint"),
            info=TEXTS("prompt_info"),
            lines=2,
            max_lines=8,
            max_length=common.MAX_PROMPT,
            elem_id="moc-prompt",
            scale=5,
        )
        go = gr.Button(TEXTS("go"), variant="primary", elem_id="moc-go", scale=1, min_width=140)
    ui.raw(example_chips(), elem_id="moc-examples", elem_classes="lunaris-examples")
    with gr.Row(elem_id="moc-work"):
        with gr.Column(scale=8, min_width=300, elem_id="moc-result"):
            with gr.Row(elem_id="moc-summary", elem_classes="lunaris-summary"):
                report = report_component()
                copy = gr.Button(ui.TEXTS("copy_link"), size="sm", scale=0, min_width=120, elem_id="moc-copy-link")
            page.text = gr.Textbox(
                "",
                label=TEXTS("text"),
                placeholder=TEXTS("text_hint"),
                lines=13,
                max_lines=20,
                max_length=common.MAX_PROMPT,
                elem_id="moc-text",
            )
            with gr.Row(elem_classes="lunaris-downloads"):
                more = gr.Button(TEXTS("more"), size="sm", elem_id="moc-more")
                stop = gr.Button(TEXTS("stop_now"), variant="stop", size="sm", elem_id="moc-stop")
                see = gr.Button(TEXTS("see"), size="sm", elem_id="moc-see")
                page.ask_what_if = gr.Button(TEXTS("ask_what_if"), size="sm", elem_id="moc-ask-what-if")
        with gr.Column(scale=4, min_width=280, elem_id="moc-options", elem_classes="lunaris-options"):
            form["max_new_tokens"] = common.order_slider("max_new_tokens", step=1)
            form["temperature"] = common.order_slider("temperature", step=0.05)
            form["top_p"] = common.order_slider("top_p", step=0.01)
            with gr.Column(elem_classes="lunaris-card"):
                form["seed"] = ui.seed_field(TEXTS("seed_info"), elem_id="moc-seed")
                form["keep_seed"] = gr.Checkbox(label=ui.TEXTS("keep_seed"), container=False)
            with gr.Accordion(ui.TEXTS("tuning"), open=False, elem_id="moc-tuning"):
                form["top_k"] = common.order_slider("top_k", step=1, high=500)
                form["repetition_penalty"] = common.order_slider("repetition_penalty", step=0.05)
                for name, length in (("stop", 1000), ("mute", 4000), ("expert_bias", 4000)):
                    form[name] = gr.Textbox(
                        "", label=TEXTS(name), info=TEXTS(f"{name}_info"), max_lines=4, max_length=length, elem_id=f"moc-{name}"
                    )
    form["model"] = page.active
    ui.raw(minutes.heading())
    council = minutes.component()
    story.build(page)

    inputs = [form[name] for name in ARGUMENTS]  # in the order of moc_generate's arguments
    options = {"preprocess": False, "api_visibility": "private", "show_progress": "minimal", **HEAVY}
    hidden = {"api_visibility": "private", "show_progress": "hidden"}
    seeded = {"fn": None, "inputs": [form["seed"], form["keep_seed"]], "outputs": form["seed"], "js": SEED_FOR_THIS_RUN, **hidden}
    fresh = gr.on([go.click, form["prompt"].submit], **seeded).then(write_on, inputs, [page.text, report], **options)
    further = more.click(**seeded).then(write_on, [page.text, *inputs[1:]], [page.text, report], **options)
    looked = {"fn": look, "inputs": [page.text, report, page.active], "outputs": council, "preprocess": False, **hidden, **HEAVY}
    for writing in (fresh, further):
        writing.success(**looked)
    stopped = {"fn": None, "inputs": report, "outputs": report, "js": STOPPED, **hidden}
    # said at once, and again when the server has answered: a last piece may still have been on its way
    stop.click(**stopped, cancels=[fresh, further]).then(**looked).then(**stopped)
    see.click(**{**looked, "show_progress": "minimal"})
    copy.click(say_copied, report, None, js=COPY, preprocess=False, **hidden)

    query, linked = gr.Textbox(visible=False), gr.Checkbox(visible=False)
    page.demo.load(None, None, query, js="() => location.search", api_visibility="private").then(
        fill_from_link, query, [*(form[name] for name in FILLED), linked], preprocess=False, **hidden
    ).then(None, linked, None, js=OPEN_TAB, api_visibility="private")
    endpoints(inputs)


def endpoints(inputs: list[Any]) -> None:
    """moc_generate and moc_council for REST and MCP: they answer without the prompt, and change nothing on the page."""
    written, facts, answer = (
        gr.Textbox(visible=False, label="text"),
        gr.JSON(visible=False, label="report"),
        gr.JSON(visible=False, label="minutes"),
    )
    options = {"preprocess": False, "show_progress": "hidden", **HEAVY}
    gr.Button(visible=False).click(moc_generate, inputs, [written, facts], api_name="moc_generate", **options)
    text, ids = gr.Textbox("", visible=False, label="text"), gr.Textbox("", visible=False, label="ids")
    asked = [text, ids, *(gr.Textbox("", visible=False, label=name) for name in ("mute", "expert_bias")), inputs[-1]]
    gr.Button(visible=False).click(moc_council, asked, answer, api_name="moc_council", **options)
