"""Portuguese prompts for models of English captions, and Portuguese captions for English sprites."""

import re
import time
import unicodedata

import pytest

from lunaris.pixel import glossary, sprites
from lunaris.pixel.glossary import fold, portuguese_caption, to_english

CAPTIONS = {  # of the three real sets, as they are
    "document with arrow icon": "ícone de documento com seta",
    "folder open document icon": "ícone de pasta aberta documento",
    "page white delete icon": "ícone de excluir página branca",
    "traffic light with plus icon": "ícone de semáforo com sinal de mais",
    "cap, armour": "gorro, armadura",
    "short sword, weapon item": "espada curta, item de arma",
    "ring of flames, fire spell icon": "anel de chamas, ícone de feitiço de fogo",
    "staff air, item": "cajado de ar, item",
    "blue dragon scales, armour item": "escamas de dragão azuis, item de armadura",
    "makhleb flame, altar dungeon": "chama de makhleb, altar de masmorra",
    "wall blood05 w": "parede de sangue w",
    "robe red, body player equipment": "túnica vermelha, equipamento de jogador para o corpo",
    "rose flower, tools 1-bit icon": "ícone 1-bit de ferramentas: rosa flor",
    "alembic crafting brewing station empty, alchemy 1-bit icon": (
        "ícone 1-bit de alquimia: alambique artesanato preparo de bebidas estação vazia"
    ),
}
OTHERS = "magnifier arrow left right chain mail door wooden knight clouds and with skull axe battle shopping cart goldfish fish coins"
WORDS = set(re.findall(r"\w+", " ".join([*CAPTIONS, OTHERS])))


@pytest.mark.parametrize(
    ("prompt", "english"),
    [
        ("lupa", "magnifier"),
        ("uma pasta", "folder"),
        ("pasta com seta", "folder with arrow"),
        ("Espada e escama", "sword and scales"),
        ("seta para a esquerda", "arrow left"),
        ("seta pra esquerda", "arrow left"),
        ("setas à direita", "arrow right"),
        ("cota de malha", "chain mail"),
        ("carrinho de compras vermelho", "shopping cart red"),
        ("peixe dourado", "goldfish"),
        ("peixe", "fish"),
        ("machado de batalha", "battle axe"),
        ("moedas, nuvens", "coins, clouds"),
        ("porta de madeira aberta", "door wooden open"),
        ("cavaleiros", "knight"),
        ("caveira.", "skull."),
    ],
)
def test_portuguese_prompts_become_english_where_only_english_is_known(prompt, english):
    assert to_english(prompt, WORDS) == english


@pytest.mark.parametrize("prompt", ["poção dourada", "POÇÃO Dourada", "pocao dourada", unicodedata.normalize("NFD", "poção dourada")])
def test_accents_case_and_their_encoding_do_not_matter(prompt):
    assert to_english(prompt, {"potion", "gold"}) == "potion gold"


def test_words_that_the_model_knows_stay():
    known = {"potion", "red", "uma", "poção", "vermelha"}
    assert to_english("uma poção vermelha", known) == "uma poção vermelha"
    assert to_english("uma pocao vermelha", known) == "uma pocao vermelha"
    assert to_english("duas poções vermelhas", known) == "duas potion red"


def test_words_whose_english_the_model_does_not_know_stay():
    """The hint about unknown words then names what the visitor typed, not a word they never wrote."""
    assert to_english("alambique vermelho", {"red"}) == "alambique red"
    assert to_english("um xyzzy vermelho", {"red"}) == "xyzzy red"


def test_a_phrase_is_not_taken_apart_and_does_not_go_across_a_comma():
    assert to_english("chave inglesa", {"key", "wrench"}) == "wrench"
    assert to_english("chave, inglesa", {"key", "wrench"}) == "key, inglesa"


def test_the_phrase_goes_first_even_where_one_of_its_words_is_known():
    """The word "nota" is procedural (a musical note); a sticky note is something else."""
    assert to_english("nota adesiva", {"nota", "sticky", "note"}) == "sticky note"
    assert to_english("nota", {"nota", "sticky", "note"}) == "nota"


def test_a_word_that_training_saw_far_more_often_wins():
    assert to_english("livros", {"books": 8, "book": 57}) == "book"
    assert to_english("livros", {"books": 30, "book": 57}) == "books"
    assert to_english("livros", {"books", "book"}) == "books"


@pytest.mark.parametrize(
    ("prompt", "english"),
    [
        ("dragãozinho", "dragon"),
        ("barquinhos", "ship"),
        ("foguinho", "fire"),
        ("espadinha", "espada"),
        ("caminho", "path"),
        ("vinho", "vinho"),
    ],
)
def test_a_diminutive_is_read_as_its_word(prompt, english):
    assert to_english(prompt, {"dragon", "ship", "fire", "espada", "sword", "path", "golf"}) == english


@pytest.mark.parametrize("prompt", ["", "o", "de uma", "!!!", "..."])
def test_a_prompt_without_any_content_stays_as_it_is(prompt):
    assert to_english(prompt, {"potion"}) == prompt


def test_a_model_without_words_gets_the_prompt_as_it_is():
    assert to_english("a  pasta", {}) == "a  pasta"


@pytest.mark.parametrize("caption", CAPTIONS)
def test_english_prompts_stay(caption):
    assert to_english(caption, WORDS) == caption


def test_the_procedural_captions_stay_in_both_languages():
    """They are bilingual: a model trained on them knows every word, so nothing of the glossary may touch them."""
    labels = [sprites.Label(*row) for row in sprites.labels().tolist()]
    captions = [
        sprites.caption(label, language, variant) for label in labels[::7] for language in ("en", "pt") for variant in (0, 1, 12345)
    ]
    known = {word for caption in captions for word in re.findall(r"\w+", fold(caption))}
    assert [to_english(caption, known) for caption in captions] == captions


@pytest.mark.parametrize("language", ["kinds", "colours"])
def test_the_procedural_words_are_in_the_glossary_too(language):
    """A model of real sprites alone understands the examples of the procedural set: each first Portuguese word finds its English one."""
    lists = sprites.word_lists()
    english = {fold(word) for word in " ".join(lists["en"][language]).split()}
    prompts = [kind.name_pt for kind in sprites.KINDS] if language == "kinds" else [colour.name_pt_f for colour in sprites.COLOURS]
    lost = [prompt for prompt in prompts if not set(to_english(prompt, english - {fold(prompt)}).split()) & english]
    assert [prompt for prompt in lost if fold(prompt) not in english] == []


def test_translating_twice_changes_nothing_more():
    prompts = [*CAPTIONS.values(), "cavaleiro com espada e escudo", "um dragão dourado cuspindo fogo", "pôr do sol na praia"]
    once = [to_english(prompt, WORDS) for prompt in prompts]
    assert [to_english(prompt, WORDS) for prompt in once] == once


@pytest.mark.parametrize(("english", "portuguese"), CAPTIONS.items())
def test_captions_of_the_sprite_sets_in_portuguese(english, portuguese):
    assert portuguese_caption(english) == portuguese


@pytest.mark.parametrize("caption", CAPTIONS)
def test_a_portuguese_caption_leads_back_to_the_english_words(caption):
    words = set(re.findall("[a-z]+", caption)) - set(glossary.JOINTS)
    assert words <= {*re.findall("[a-z]+", to_english(portuguese_caption(caption), words))}


def test_a_caption_with_a_word_without_translation_has_no_portuguese():
    assert portuguese_caption("xyzzy with arrow icon") is None
    assert portuguese_caption("sword, xyzzy item") is None
    assert portuguese_caption("") is None


def test_adjectives_agree_with_their_noun():
    assert portuguese_caption("red potion") == "poção vermelha"
    assert portuguese_caption("a red potion") == "poção vermelha"
    assert portuguese_caption("white clouds") == "nuvens brancas"
    assert portuguese_caption("round yellow shields") == "escudos redondos amarelos"


PLURALS = """mão mãos, pão pães, cão cães, dragão dragões, anel anéis, papel papéis, túnel túneis, sol sóis, cristal cristais, azul azuis,
    funil funis, réptil répteis, nuvem nuvens, luz luzes, flor flores, mês meses, gás gases, lápis lápis, ônibus ônibus, tórax tórax,
    chave inglesa chaves inglesas, caixa de som caixas de som, guarda-chuva guarda-chuvas, morto-vivo mortos-vivos"""
FEMININES = "vermelho vermelha, azul azul, verde-claro verde-clara, caçador caçadora, superior superior, ladrão ladra, português portuguesa"


@pytest.mark.parametrize("pair", PLURALS.split(","))
def test_plurals(pair):
    words = pair.split()
    one, many = " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])
    assert glossary.Term(one, "m").in_plural().text == many


@pytest.mark.parametrize("pair", FEMININES.split(","))
def test_feminines(pair):
    masculine, feminine = pair.split()
    assert glossary.Term(masculine, "a").agreeing(glossary.Term("casa", "f")) == feminine


def test_every_entry_can_be_typed_in_every_form():
    """For a model that knows nothing but its English words, no form of an entry may be lost or taken for another entry."""
    lost = []
    for english, found in glossary.entries().items():
        known = set(english.split())
        for form in {form for term in found for form, _ in term.forms()}:
            words = {fold(word) for word in glossary.WORD.findall(to_english(form, known))}
            if not words & known and fold(form) not in glossary.load().stop:
                lost.append((english, form))
    assert lost == []


def test_every_entry_has_a_kind_and_plain_english():
    for english, found in glossary.entries().items():
        assert re.fullmatch("[a-z0-9]+( [a-z0-9]+)*", english), english
        assert len(english.split()) <= glossary.LONGEST, english
        for term in found:
            assert term.kind in ("m", "f", "mf", "mp", "fp", "a", "v", "x"), english
            assert term.text == term.text.strip() != "", english


def test_the_longest_prompt_takes_a_moment_only():
    known = {"arrow", "left"}
    to_english("seta", known)  # the words are read once
    prompt = ("seta para a esquerda " * 15)[:300]
    start = time.perf_counter()
    for hostile in (prompt, "a " * 150, "de" * 150, "seta-" * 60, "," * 300):
        to_english(hostile[:300], known)
    assert time.perf_counter() - start < 1
