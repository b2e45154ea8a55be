"""core.model_view: who may use which checkpoint, how one is described, and that loading one changes the tab only where it worked."""

import json
import re
import struct

import gradio as gr
import pytest
import torch
from torch import nn

from lunaris.core import hub, model_view, models, ui
from lunaris.core.config import ConfigError
from lunaris.core.model_view import Checkpoints, ModelView

WORDS = ui.Texts("model_view_test", {"colour": ("Colour", "Cor"), "limit": ("It is a toy.", "É de brinquedo.")})
for key in WORDS.table:  # the words of this test are none of the page's
    del ui._catalogue[f"model_view_test_{key}"]
HERE = gr.Request(headers={"host": "127.0.0.1:7860"}, client={"host": "127.0.0.1", "port": 5000})
AWAY = gr.Request(headers={"host": "abc.gradio.live", "accept-language": "pt-BR"}, client={"host": "127.0.0.1", "port": 5000})


class Toy(nn.Module):
    def __init__(self, folder):
        super().__init__()
        self.weight = nn.Parameter(hub.load_tensors(folder)["weight"])


def checkpoint(folder, family: str = "toys", **config):
    card = hub.render_card(name="Toy", family=family, what="A <b>toy</b>.", data="None.", licence="mit", command="none")
    hub.save(folder, tensors={"weight": torch.ones(1234, 2)}, config={"family": family, **config}, files={"README.md": card})
    return folder


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Bundled checkpoints: two of toys, one of another family; and an empty memory."""
    for name, family in (("ball", "toys"), ("car", "toys"), ("spoon", "tools")):
        checkpoint(tmp_path / "shelf" / name, family, colour="red")
    monkeypatch.setenv("LUNARIS_CHECKPOINTS", str(tmp_path / "shelf"))
    monkeypatch.delenv("LUNARIS_MODEL", raising=False)
    cache = models.ModelCache(10**9)
    monkeypatch.setattr(models, "shared", lambda: cache)
    return tmp_path / "shelf"


@pytest.fixture
def toys(shelf):
    return Checkpoints("toys", "ball", Toy)


@pytest.fixture
def view(toys):
    return ModelView(
        toys,
        details=lambda folder, parameters: {"colour": hub.load_config(folder)["colour"], "half": parameters // 2},
        rows=lambda about: [(WORDS.html("colour"), about["colour"].upper())],
        limits=lambda about: [WORDS.html("limit")],
    )


# --- checkpoints -----------------------------------------------------------------------------------------------------------------


def test_a_family_has_its_own_bundled_checkpoints_and_opens_with_one(toys):
    assert toys.bundled_refs() == ["ball", "car"]
    assert toys.default_ref() == "ball"


@pytest.mark.parametrize(
    ("named", "opens"),
    [("", "ball"), (" car ", "car"), ("spoon", "ball"), ("{other}", "ball"), ("{own}", "{own}"), ("someone/toy@v1", "someone/toy@v1")],
)
def test_the_tab_opens_with_what_the_operator_names_unless_it_is_another_familys(named, opens, toys, tmp_path, monkeypatch):
    folders = {"own": checkpoint(tmp_path / "own"), "other": checkpoint(tmp_path / "other", "tools")}
    monkeypatch.setenv("LUNARIS_MODEL", named.format(**folders))
    assert toys.default_ref() == opens.format(**folders)


def test_a_folder_is_for_who_sits_at_this_computer_and_the_operators_own_for_everybody(toys, tmp_path, monkeypatch):
    own = str(checkpoint(tmp_path / "own"))
    for asked in (None, HERE):
        assert toys.model_for(own, asked).folder == tmp_path / "own"
        assert toys.folder_of(own, asked) == tmp_path / "own"
    with pytest.raises(ConfigError, match=r"^este servidor não carrega pastas: dê o nome de um checkpoint incluído \(ball, car\)"):
        toys.model_for(own, AWAY)
    with pytest.raises(ConfigError, match="^this server loads no folders"):
        toys.model_for(own, HERE, folders=False)  # a ref that somebody else wrote
    monkeypatch.setenv("LUNARIS_MODEL", own)
    assert toys.model_for("", AWAY).folder == toys.model_for(own, AWAY).folder == toys.folder_of(own, AWAY) == tmp_path / "own"


def test_what_would_have_to_be_fetched_has_no_folder_until_it_is_here(toys, tmp_path, fresh_hub):
    hub.push(checkpoint(tmp_path / "own"), "lunar/toy", token="hf_local_write")
    asked = len(fresh_hub.log)
    assert toys.folder_of("lunar/toy", AWAY) is None
    assert len(fresh_hub.log) == asked
    loaded = toys.model_for("lunar/toy", AWAY)
    assert toys.folder_of("lunar/toy", AWAY) == loaded.folder
    assert toys.folder_of("car", AWAY) == hub.bundled()["car"]


def test_a_private_model_is_for_visitors_where_the_operator_made_it_the_default(toys, tmp_path, fresh_hub, monkeypatch):
    """Any visitor could load the operator's private models by their names; now only the default one, which is for everybody, as is a file
    that names it."""
    hub.push(checkpoint(tmp_path / "own"), "lunar/toy", token="hf_local_write", private=True)
    with pytest.raises(hub.HubError, match="that everybody may see"):
        toys.model_for("lunar/toy", AWAY)
    monkeypatch.setenv("LUNARIS_MODEL", "lunar/toy")
    assert toys.model_for("", AWAY) is toys.model_for("lunar/toy", AWAY, folders=False)


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        (None, "model must be a text, got 'None'; try 'ball'"),
        (["car"], "model must be a text, got \"['car']\"; try 'ball'"),
        ("a" * 1001, "model must be at most 1,000 characters, got 1,001; try 'ball'"),
    ],
)
def test_a_ref_that_cannot_be_one_is_one_sentence_in_both_languages(ref, sentence, toys):
    with pytest.raises(ConfigError) as error:
        toys.model_for(ref, None)
    assert str(error.value) == sentence
    assert not re.search(r"\b(must|got|try|characters)\b", ui.in_portuguese(sentence))


def test_a_result_says_which_checkpoint_made_it(toys):
    loaded = toys.model_for("", None)
    assert toys.origin(loaded, " ") == {"model": "ball", "weights": hub.weight_hash(hub.bundled()["ball"])}
    assert toys.origin(loaded, "car ")["model"] == "car"


# --- the view --------------------------------------------------------------------------------------------------------------------


def test_a_description_comes_from_the_files_and_from_the_family(view, shelf):
    """The parameters as the header of the safetensors file has them."""
    data = (shelf / "car/model.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    assert header["weight"]["shape"] == [1234, 2]
    assert view.describe("car", shelf / "car") == {
        "model": "car",
        "parameters": 2468,
        "colour": "red",
        "half": 1234,
        "weights": hub.weight_hash(shelf / "car"),
        "card": (shelf / "car/README.md").read_text(encoding="utf-8"),
    }
    (shelf / "car/README.md").unlink()
    assert view.describe("car", shelf / "car")["card"] == ""


def test_of_a_long_card_only_the_beginning_comes_to_the_page(view, shelf):
    """A card of any length went to every visitor's page, and through the patterns that take its pictures out."""
    (shelf / "car/README.md").write_text("é" * 300_000, encoding="utf-8")
    assert view.describe("car", shelf / "car")["card"] == "é" * 100_000


def test_the_table_has_every_row_once_in_both_languages_and_a_strangers_name_is_no_markup(view, shelf):
    markup = view.markup(view.describe("<img src=x>", shelf / "car"))
    for language, titles in (("en", ["In use", "Parameters", "Colour", "Weights"]), ("pt-BR", ["Em uso", "Parâmetros", "Cor", "Pesos"])):
        assert re.findall(rf'<dt>.*?lang="{language}">(.*?)</span>.*?</dt>', markup) == titles
    values = re.findall(r"<dd>(.*?)</dd>", markup)
    assert values[:3] == ["<code>&lt;img src=x&gt;</code>", "2\u202f468", "RED"]
    assert markup.count("<li>") == 1 and "It is a toy." in markup and "É de brinquedo." in markup


def test_without_a_description_the_page_says_how_to_get_one(view):
    markup, card = view.in_words(None)
    assert "Press Load to fetch this checkpoint." in markup and "Clique em Carregar" in markup and card == ""


def test_what_cannot_be_described_or_shown_is_left_out_with_a_line_in_the_log(view, toys, tmp_path, caplog):
    assert view.describe_without_network("someone/not-here") is None and not caplog.messages
    colourless = str(checkpoint(tmp_path / "colourless"))
    assert view.describe_without_network(colourless) is None
    odd = str(checkpoint(tmp_path / "odd", colour="red"))
    assert view.describe_without_network(odd)["colour"] == "red"
    nothing_to_show = ModelView(toys, view.details, rows=lambda about: [("", about["size"])], limits=lambda about: [])
    assert nothing_to_show.describe_without_network(odd) is None
    assert [message.split(" cannot be described")[0] for message in caplog.messages] == [colourless, odd]


def test_a_git_lfs_pointer_in_place_of_weights_leaves_the_tab_whole(view, shelf):
    """What a clone without LFS leaves was a MemoryError, and the whole tab went with it."""
    (shelf / "car/model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n")
    assert view.describe_without_network("car") is None


def built(view, endpoint=lambda model: {}):
    """The view on a page, and its functions by their names."""
    with gr.Blocks() as page:
        active = gr.Textbox(view.checkpoints.default_ref())
        view.build(active, endpoint)
    return page, {fn.name: fn for fn in page.fns.values()}


def part(page, elem_id: str):
    return next(block for block in page.blocks.values() if block.elem_id == elem_id)


def test_the_view_opens_with_the_default_checkpoint_and_offers_the_bundled_ones(view, shelf):
    page, _ = built(view)
    assert part(page, "toys-picker").value == "ball"
    assert part(page, "toys-about").value == view.markup(view.describe("ball", shelf / "ball"))
    chips = next(block.value for block in page.blocks.values() if isinstance(block, gr.HTML) and "lunaris-chip" in str(block.value))
    assert re.findall(r'data-text="(\w+)" data-press="#toys-load"', chips) == ["ball", "car"]
    assert "<b>" not in part(page, "toys-card").value  # a card is a stranger's text


def test_a_folder_is_offered_to_who_sits_at_this_computer_alone(view, monkeypatch):
    def offered() -> str:
        return str(part(built(view)[0], "toys-picker").info)

    assert "model_view_picker_info_local" in offered()
    monkeypatch.setenv("SPACE_ID", "someone/space")
    assert "model_view_picker_info_local" not in offered()


def test_the_endpoint_is_the_only_one_that_is_listed_and_has_the_familys_name(view):
    page, _ = built(view)
    assert list(page.get_api_info()["named_endpoints"]) == ["/toys_load"]


def test_what_was_loaded_becomes_the_one_in_use_and_what_other_views_chose_is_shown(view, shelf, monkeypatch):
    toasts = []
    monkeypatch.setattr(gr, "Info", lambda text, **options: toasts.append(text))
    page, functions = built(view)
    about = view.describe("car", shelf / "car")
    assert functions["show_model"].fn(about, AWAY) == ("car", *view.in_words(about))
    assert toasts == ["car está em uso."]
    assert functions["show_known"].fn("car", HERE) == view.in_words(about)
    assert functions["show_known"].fn("someone/not-here", HERE) == view.in_words(None)
    after = {fn.name: fn.targets for fn in page.fns.values()}
    assert after["show_model"][0][1] == "success"  # a failed load leaves all as it is


def test_numbers_and_answers_read_in_both_languages():
    assert [model_view.number(value) for value in (0, 999, 1000, 5_123_456)] == ["0", "999", "1\u202f000", "5\u202f123\u202f456"]
    assert model_view.yes_or_no(True) == ui.both("yes", "sim") and model_view.yes_or_no(0) == ui.both("no", "não")
