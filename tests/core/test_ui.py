"""core.ui: two languages, one sentence per error, colours that can be read, nothing from elsewhere (HB-04)."""

import errno
import inspect
import logging
import re
import string
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path

import gradio as gr
import pytest

from lunaris.core import ui
from lunaris.core.config import ConfigError
from lunaris.core.hub import HubError


def request_in(language: str | None) -> gr.Request:
    headers = {} if language is None else {"accept-language": language}
    return gr.Request(headers=headers)


# --- languages -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("pt-BR", "pt-BR"),
        ("pt", "pt-BR"),
        ("pt-PT,pt;q=0.9", "pt-BR"),
        ("en-US,en;q=0.9,pt;q=0.8", "en"),
        ("fr-FR,pt;q=0.5,en;q=0.4", "pt-BR"),
        ("de,fr;q=0.7", "en"),
        ("pt;q=0.2,en;q=0.8", "en"),
        ("pt;q=nonsense", "en"),
        (";;q=,,=", "en"),
    ],
)
def test_the_answer_is_in_the_language_the_client_prefers(header, language):
    assert ui.language_of(request_in(header)) == language


def test_without_a_request_the_answer_is_english():
    assert ui.language_of(None) == "en"


def test_every_text_exists_in_both_languages_with_the_same_placeholders():
    from lunaris.pixel import demo  # registers its texts

    assert demo.TEXTS.table
    for key, pair in ui._catalogue.items():
        fields = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in pair]
        assert all(text.strip() for text in pair), key
        assert fields[0] == fields[1], key


def test_gradio_gets_every_text_for_english_portuguese_and_brazilian_portuguese():
    translations = ui.translations().translations_dict
    assert set(translations) == {"en", "pt", "pt-BR"}
    assert translations["pt"] == translations["pt-BR"]
    assert translations["en"]["page_dark"] == "Dark theme"
    assert translations["pt-BR"]["page_dark"] == "Tema escuro"


def test_the_words_of_gradios_progress_exist_in_portuguese():
    """Gradio has no Portuguese for some of its own, and shows their keys: screen readers heard "common.complete" after every run."""
    assets = Path(gr.__file__).parent / "templates/frontend/assets"
    (tracker,), (portuguese,) = assets.glob("statustracker-*.js"), assets.glob("pt-BR-*.js")
    used = set(re.findall(r"i18n\(`common\.(\w+)`", tracker.read_text(encoding="utf-8")))
    known = set(re.findall(r"\b(\w+):`", portuguese.read_text(encoding="utf-8").partition("},")[0]))
    assert {"complete", "loading"} <= used
    assert used - known <= {key.removeprefix("common.") for key in ui.translations().translations_dict["pt-BR"]}


def test_values_are_escaped_where_a_text_becomes_html():
    texts = ui.Texts("escape_test", {"hello": ("Hello {name}", "Olá {name}")})
    try:
        assert texts.html("hello", name="<b>") == ui.both("Hello &lt;b&gt;", "Olá &lt;b&gt;")
        assert texts.say("hello", "pt-BR", name="<b>") == "Olá <b>"
        with pytest.raises(KeyError, match="no text 'bye'"):
            texts("bye")
    finally:
        del ui._catalogue["escape_test_hello"]


def test_what_a_request_for_sprites_may_answer_reads_as_portuguese():
    from lunaris.pixel.request import PixelRequest

    bad = (
        {"prompt": "x" * 10_000},
        {"prompt": "a\nb"},
        {"prompt": 3},
        {"n": 0},
        {"n": "many"},
        {"seed": -1},
        {"temperature": float("nan")},
        {"guidance": 5.1},
        {"seed": 2**32 - 1, "n": 2},
        {"palette": "sunset"},
        {"palette": "#102030"},
        {"colours": 1},
        {"colours": 65},
        {"background": "red"},
        {"mode": "best"},
    )
    for order in bad:
        with pytest.raises(ConfigError) as error:
            PixelRequest.from_dict(order)
        portuguese = ui.sentence_of(error.value, "pt-BR")
        words = set(re.findall(r"\w+", re.sub(r"'[^']*'", "", portuguese)))
        english = {"must", "be", "got", "try", "from", "to", "at", "most", "whole", "number", "within", "text", "say", "without"}
        assert not words & english, portuguese
        assert ui.sentence_of(error.value, "en") == str(error.value)


# --- errors ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ValueError, ConfigError, HubError, FileNotFoundError, ModuleNotFoundError])
def test_an_error_written_for_people_is_told_as_it_is(kind):
    assert ui.sentence_of(kind("the rule, the value;\n try 3")) == "the rule, the value; try 3"


@pytest.mark.parametrize(
    "error", [RuntimeError("secret /home/x"), KeyError("secret"), FileNotFoundError(2, "No such file", "/secret"), ValueError()]
)
def test_an_unexpected_error_is_a_report_number_for_the_visitor_and_a_traceback_in_the_log(error, caplog):
    with caplog.at_level(logging.ERROR, "lunaris"):
        sentence = ui.sentence_of(error)
    number = re.search(r"report ([0-9a-f]{8})\)", sentence)[1]
    assert "secret" not in sentence
    assert number in caplog.text
    assert type(error).__name__ in caplog.text


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate")])
def test_out_of_memory_says_to_ask_for_less(error):
    assert "not enough memory" in ui.sentence_of(error)


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))

    def full(self, data):
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError) as error:
        ui.keep("a.png", b"data")
    assert ui.sentence_of(error.value).startswith("This server's disk is full")
    assert ui.sentence_of(error.value, "pt-BR").startswith("O disco deste servidor está cheio")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_sentence_cannot_carry_markup_into_a_toast():
    assert "<" not in ui.sentence_of(ValueError("got '<img src=x>'"))


def test_a_friendly_handler_keeps_its_name_signature_and_docstring():
    """Gradio reads all three: endpoint and MCP tool names, injected requests, descriptions."""

    def pixel_draw(prompt: str, request: gr.Request | None = None) -> str:
        """Draws."""
        return prompt

    wrapped = ui.friendly(pixel_draw)
    assert (wrapped.__name__, wrapped.__doc__) == ("pixel_draw", "Draws.")
    assert inspect.signature(wrapped) == inspect.signature(pixel_draw)
    assert wrapped("a") == "a"


def test_a_friendly_handler_that_yields_is_told_of_while_it_is_read_and_can_be_closed():
    """The decorator used to guard only the call: what a stream raised after its first piece reached the visitor as a traceback."""
    closed = []

    @ui.friendly
    def moc_write(n: int):
        try:
            yield 1
            if n < 2:
                raise ConfigError("n must be at least 2, got 1; try 2")
            yield 2
        finally:
            closed.append(n)

    assert inspect.isgeneratorfunction(inspect.unwrap(moc_write)) and moc_write.__name__ == "moc_write"
    assert list(moc_write(2)) == [1, 2]
    pieces = moc_write(1)
    assert next(pieces) == 1
    with pytest.raises(gr.Error, match="n must be at least 2, got 1; try 2"):
        next(pieces)
    left = moc_write(3)
    next(left), left.close()
    assert closed == [2, 1, 3]


@pytest.mark.parametrize(("language", "text"), [("en", "n must be a whole number"), ("pt-BR", "n deve ser um número inteiro")])
def test_a_friendly_handler_answers_in_the_visitors_language_without_a_traceback(language, text):
    @ui.friendly
    def handler(n, request):
        raise ConfigError("n must be a whole number")

    with pytest.raises(gr.Error) as error:
        handler(1, request_in(language))
    assert error.value.message == text
    assert error.value.print_exception is False
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_a_gradio_error_of_the_handlers_own_passes_unchanged():
    own = gr.Error("mine")

    @ui.friendly
    def handler():
        raise own

    with pytest.raises(gr.Error) as error:
        handler()
    assert error.value is own


# --- files that a call names -----------------------------------------------------------------------------------------------------


@pytest.fixture
def uploads(tmp_path, monkeypatch):
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


def test_an_uploaded_file_passes(uploads):
    (uploads / "a.png").write_bytes(b"x")
    ui.check_files([{"path": str(uploads / "a.png"), "meta": {"_type": "gradio.FileData"}}, 3, None, "text", {"path": None}])


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "etc/passwd", "http://example.com/a.png", "//host/a.png", "file:///etc/passwd", "{uploads}/../a.png", "{uploads}/link"],
)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: {"a": [{"b": v}]}, lambda v: [[{"image": v, "caption": ""}]]])
def test_a_file_that_was_not_uploaded_is_refused_wherever_it_hides(uploads, path, wrap):
    """Gradio 6.31 opens any picture of the server for a REST caller who names its path."""
    (uploads / "link").symlink_to("/etc/passwd")
    with pytest.raises(ui.UploadError, match="must be uploaded"):
        ui.check_files(wrap({"path": path.format(uploads=uploads)}))


# --- what handlers share ----------------------------------------------------------------------------------------------------------


def local_request(host: str) -> gr.Request:
    return gr.Request(headers={"host": host}, client={"host": "127.0.0.1", "port": 5000})


def test_numbers_that_json_wrote_as_decimals_are_whole_numbers():
    assert ui.whole(16.0) == 16
    assert isinstance(ui.whole(16.0), int)
    assert ui.whole(16.5) == 16.5
    assert ui.whole("16") == "16"


def test_a_file_is_kept_once_and_never_seen_half_written(uploads):
    first, again = ui.keep("a.png", b"data"), ui.keep("a.png", b"data")
    assert first == again
    assert Path(first).read_bytes() == b"data"
    assert ui.keep("a.png", b"other") != first
    assert not [path for path in uploads.rglob(".*")]


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860", "localhost"])
def test_a_visitor_at_this_computer_may_load_folders(host):
    assert ui.serves_only_this_machine(local_request(host))


# --- look ------------------------------------------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2) of #rrggbb."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [ui.LIGHT, ui.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("text", ["ink", "muted", "accent", "danger"])
@pytest.mark.parametrize("ground", ["ground", "panel", "sunken"])
def test_text_is_readable_on_every_ground_in_both_lights(colours, text, ground):
    assert contrast(colours[text], colours[ground]) >= 4.5


@pytest.mark.parametrize("colours", [ui.LIGHT, ui.DARK], ids=["light", "dark"])
def test_buttons_are_readable_in_both_lights(colours):
    for ground in ("button", "button_hover"):
        assert contrast(colours["button_ink"], colours[ground]) >= 4.5
    assert contrast(colours["ink"], colours["soft"]) >= 4.5


def test_contrast_is_measured_as_wcag_says():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_nothing_of_the_page_names_another_server():
    options = ui.page_options(dict)
    page = options["head"] + ui.header() + ui.footer() + ui.theme()._get_theme_css()
    addresses = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"')]*", page)
    assert set(addresses) <= {"http://www.w3.org/2000/svg"}  # the name of the SVG format, not a request
    assert not ui.theme()._stylesheets
    assert not ui.theme()._font_css


# --- pages -----------------------------------------------------------------------------------------------------------------------


def small_demo(name: str) -> gr.Blocks:
    with gr.Blocks() as demo:
        box = gr.Textbox(elem_id=f"{name}-box")
        box.change(lambda text: text, box, box, api_name=f"{name}_echo")
    return demo


def test_a_page_holds_each_demo_once_and_a_broken_one_as_its_sentence():
    titles = {name: {"en": name.title(), "pt-BR": name.title()} for name in ("one", "two")}
    whole = ui.page({"one": small_demo("one"), "two": ui.broken_tab("<needs> x")}, titles)
    config = whole.get_config_file()
    ids = [component["props"].get("elem_id") for component in config["components"]]
    assert ids.count("one-box") == 1
    assert [fn.api_name for fn in whole.fns.values() if fn.api_visibility == "public"] == ["one_echo"]
    markup = [str(component["props"].get("value")) for component in config["components"]]
    assert sum("&lt;needs&gt; x" in text for text in markup) == 1


def test_a_page_of_one_demo_has_no_tabs():
    whole = ui.page({"one": small_demo("one")}, {})
    assert not [block for block in whole.blocks.values() if isinstance(block, gr.Tab)]


def test_a_page_has_limits():
    whole = ui.page({"one": small_demo("one")}, {})
    assert whole._queue.max_size == 64
    assert whole._queue.default_concurrency_limit == 2
    assert whole.api_open is False  # or callers pass the queue by
    assert whole.delete_cache
    assert not whole.analytics_enabled


def test_a_family_on_a_page_of_its_own_has_the_hubs_look_and_limits(monkeypatch):
    """What its Space and its notebook run."""
    accepted, given = inspect.signature(gr.Blocks.launch).parameters, {}
    monkeypatch.setattr(gr.Blocks, "launch", lambda blocks, **options: given.update(options, blocks=blocks))
    ui.launch(small_demo("one"), inline=False)
    blocks = given["blocks"]
    assert [block for block in blocks.blocks.values() if getattr(block, "elem_id", None) == "lunaris-top"]
    assert given["max_file_size"] == ui.MAX_FILE_SIZE
    assert given["state_session_capacity"] == 500
    assert given["inline"] is False
    assert set(given) - {"blocks"} <= set(accepted)


# --- parts of a tab --------------------------------------------------------------------------------------------------------------


def test_a_links_numbers_are_numbers_and_what_is_none_is_left_for_the_check_to_refuse():
    """Pixel Art took ?seed=007 to the JSON reader, whose words the visitor was shown; so did a number of 5,000 digits in either tab."""
    given = {"seed": "7", "t": "-0.30000000000000004", "zeros": "007", "long": "9" * 5000, "arabic": "٣", "power": "1e9", "text": "7"}
    values = ui.link_values(given, ("seed", "t", "zeros", "long", "arabic", "power"))
    assert values == {**given, "seed": 7, "t": -0.30000000000000004}
    assert type(values["seed"]) is int


def test_a_chip_fills_a_field_and_its_text_is_no_markup():
    class Button(HTMLParser):
        def handle_starttag(self, tag, attributes):
            self.tag, self.attributes = tag, dict(attributes)

        def handle_data(self, data):
            self.text = data

    button = Button()
    button.feed(ui.chip('a "red" <b>', fill="#prompt", press="#go"))
    assert button.tag == "button" and button.text == 'a "red" <b>'
    assert {key: value for key, value in button.attributes.items() if key.startswith("data-")} == {
        "data-fill": "#prompt",
        "data-text": 'a "red" <b>',
        "data-press": "#go",
    }
    button.feed(ui.chip("", "anything", fill="#prompt"))
    assert button.text == "anything" and button.attributes["data-text"] == ""


def test_a_seed_field_takes_every_seed_of_an_order_and_has_dice():
    from lunaris.pixel.request import PixelRequest

    with gr.Blocks() as blocks:
        seed = ui.seed_field(elem_id="s")
    limits = next(field for field in fields(PixelRequest) if field.name == "seed").metadata
    assert (seed.value, seed.minimum, seed.maximum, seed.precision) == (0, limits["ge"], limits["le"], 0)
    (dice,) = blocks.fns.values()
    assert dice.js == ui.NEW_SEED and dice.outputs == [seed] and dice.api_visibility == "private"
