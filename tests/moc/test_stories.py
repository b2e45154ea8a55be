"""moc.stories: texts that agree in gender and number, tell of one consistent world, and hold out combinations."""

import functools
import itertools
import os
import re
import subprocess
import sys
from collections import defaultdict

import pytest

from lunaris.moc import grammar, stories

# Genders from a dictionary, not from the generator's tables.
NOUNS = {
    "m": """mapa relógio chapéu livro espelho sino balde cobertor tambor pincel mercado jardim porto moinho farol gato cachorro coelho
        papagaio sapo esquilo pato lobo urso elefante cavalo morango abacaxi pêssego menino aniversário presente caminho lugar dia pastor
        oleiro fazendeiro pescador faroleiro vento sol céu canto
        doutor conselheiro capitão padre coronel poeta velho baile retrato testamento xadrez piano anel navio rio mar pão vidro papel
        dinheiro coração sono gelo laço comentário teste erro módulo componente estado trabalho voto governo programa envelope""",
    "f": """chave lanterna bola pipa flauta caixa cesta corda barraca bolsa praia floresta montanha margem beira praça biblioteca fazenda
        ponte estação escola tartaruga formiga abelha borboleta aranha coruja galinha raposa ovelha vaca girafa maçã banana laranja manga
        pera melancia goiaba menina semente árvore cidade vila casa cama jardineira bibliotecária pipoqueira moleira pintora professora
        viúva moça baronesa costureira tia carta dívida febre viagem valsa casa porta chuva árvore semente roda música sombra palavra
        variável função lista condição string paz colheita saúde estrada justiça cidade lei força""",
}
BEFORE = {"m": "o um do no ao pelo seu meu este esse", "f": "a uma da na à pela sua minha esta essa"}
CHILDREN = {
    "f": "Ana Lia Clara Elisa Marina Irene Beatriz Helena Sofia Júlia",
    "m": "Pedro Bento Davi Caio Miguel Rafael Lucas Otávio Artur Hugo",
}
NUMBERS = "um dois três quatro cinco seis sete oito nove dez onze doze treze catorze quinze dezesseis dezessete dezoito dezenove vinte"
MASCULINE, FEMININE, GIRLS, BOYS = NOUNS["m"].split(), NOUNS["f"].split(), CHILDREN["f"].split(), CHILDREN["m"].split()
COLOURS = {"vermelho": "m", "amarelo": "m", "branco": "m", "preto": "m", "roxo": "m", "cinzento": "m"}
COLOURS |= {word[:-1] + "a": "f" for word in COLOURS}


def disagreements(text: str) -> list[str]:
    """Article or possessive + noun (+ colour) whose genders differ."""
    gender = dict.fromkeys(MASCULINE, "m") | dict.fromkeys(FEMININE, "f")
    before = {word: which for which, words in BEFORE.items() for word in words.split()}
    words = re.findall(r"\w+|[^\w\s]", text)
    found = []
    for first, noun, after in zip(words, words[1:], [*words[2:], ""], strict=False):
        if noun not in gender:
            continue
        if before.get(first.lower(), gender[noun]) != gender[noun] or COLOURS.get(after, gender[noun]) != gender[noun]:
            found.append(f"{first} {noun} {after}")
    return found


@pytest.fixture(scope="module")
def portuguese():
    return stories.make(1600, seed=5, languages=("pt",))


@pytest.fixture(scope="module")
def english():
    return stories.make(900, seed=5, languages=("en",))


# --- grammar ---------------------------------------------------------------------------------------------------------------------


def test_articles_possessives_and_colours_agree_with_their_nouns(portuguese):
    assert [found for story in portuguese for found in disagreements(story.text)] == []
    text = " ".join(story.text for story in portuguese)
    seen = set(re.findall(r"\w+", text))
    assert len(seen & set(MASCULINE)) > 70 and len(seen & set(FEMININE)) > 70  # the check had something to look at


@pytest.mark.parametrize("wrong", ["Ela viu a mapa.", "um bola azul", "foi ao praia", "a chave vermelho", "seu caixa", "na mercado"])
def test_the_agreement_check_notices_a_wrong_gender(wrong):
    assert len(disagreements(wrong)) == 1


def test_prepositions_are_contracted_with_articles(portuguese):
    text = "\n".join(story.text for story in portuguese)
    assert not re.search(r"\b(de|em|por) (o|a|os|as) (?=[a-zà-ü])", text)
    assert not re.search(r"\ba (o|a|os|as) (?=[a-zà-ü])", text)


def test_number_words_agree_and_plurals_follow_them(portuguese):
    text = "\n".join(story.text for story in portuguese)
    assert not re.search(r"\b(dois|um) (maçãs?|bananas?|laranjas?|xícaras?|colheres|semanas|horas|patas)\b", text)
    assert not re.search(r"\b(duas|uma) (ovos?|copos?|limões|morangos?|pêssegos?|dentes?|anos?|minutos?)\b", text)
    assert not re.search(r"\b(duas|três|quatro|cinco) (maçã|banana|laranja|xícara|colher|semana|pata)\b", text)
    assert re.search(r"\bduas xícaras de\b", text) and re.search(r"\bdois ovos\b", text)


def test_words_about_a_child_have_the_childs_gender(portuguese):
    text = "\n".join(story.text for story in portuguese)
    called = re.findall(r"\b(menin[oa])[^.]*? chamad([oa]) (\w+)", text)
    thanked = re.findall(r"— (?:Muito o|O)brigad([oa])[^\n]*? — disse (\w+)", text)
    assert len(called) > 100 and len(thanked) > 15
    for child, ending, name in called:
        assert child[-1] == ending == ("a" if name in GIRLS else "o")
    for ending, name in thanked:
        assert name in GIRLS + BOYS and ending == ("a" if name in GIRLS else "o")


def test_english_articles_fit_the_sound_that_follows(english):
    text = "\n".join(story.text for story in english)
    assert not re.search(r"\b[Aa] [aeiou]", text) and not re.search(r"\b[Aa]n (?!hour)[^aeiou]", text)
    assert len(re.findall(r"\b[Aa]n [aeiou]", text)) > 15


def test_english_pronouns_fit_the_only_child_of_a_description(english):
    girls = {row[1] for row in stories.KIDS if row[0] in GIRLS}
    for story in english:
        if story.genre == "person":
            name = story.group.split("/")[1]
            words = set(re.findall(r"\w+", story.text))
            assert not words & ({"He", "he", "his", "him"} if name in girls else {"She", "she", "her"})


def test_texts_are_clean(portuguese, english):
    for story in portuguese + english:
        assert not re.search(r"[{}|?]{2}|[{}|\\]|  |\s[,.;:!?]|\.\.", story.text), story.text
        assert story.text == story.text.strip()
        for sentence in re.findall(r"(?:^|[.] )([^\W\d_])", story.text, re.MULTILINE):
            assert sentence.isupper(), story.text
        assert story.genre in ("letter", "recipe", "how-to", "facts") or story.text[-1] in '.!?"', story.text


# --- sense -----------------------------------------------------------------------------------------------------------------------


def test_a_reply_fits_the_words_it_answers(portuguese, english):
    """Questions and replies were drawn apart, so "See you tomorrow, Beatrice!" could be answered by "I won't, see you tomorrow!", "did
    Fumaça come this way?" by "Yes, I have", and "I want to learn to swim" by "I will"."""
    fitting = {
        r"\"I won't": r"Don't be late!",
        r"— Pode deixar, até": r"Não se atrase!",
        r"\"See you tomorrow!": r"See you tomorrow,",
        r"\"Yes, I have": r"Have you ",
        r"— Vi,": r"Você viu ",
        r"\"I will,": r"Will you ",
    }
    answered = set()
    for story in portuguese + english:
        for said, reply in itertools.pairwise(story.text.split("\n")):
            for answer, question in fitting.items():
                if re.match(answer, reply):
                    answered.add(answer)
                    assert re.search(question, said), f"{said}\n{reply}"
    assert len(answered) >= 3


def test_what_has_gone_on_since_then_is_told_in_the_perfect(english):
    """Three plots ended with "Since then Kai closes the gate every night"."""
    since = re.findall(r"(?:Since then|Since that day|Ever since),? ([^.]+)\.", "\n".join(story.text for story in english))
    assert len(since) > 5 and all(re.search(r"\b(has|have) ", told) for told in since)


def test_what_a_thing_is_for_fits_whoever_uses_it(english):
    """A mirror served to "see your own face", so texts said "Now I can see your own face!" and "Luke uses the mirror to see your own
    face"; "To wash your hands well, Ralph uses water" was of the kind."""
    said = [use for *_, (_, use), _ in stories.OBJECTS] + [name for (_, name), *_ in stories.CRAFTS]
    assert not [words for words in said if re.search(r"\b(my|your|his|her|their|own|one's)\b", words)]
    text = "\n".join(story.text for story in english)
    assert "see a face in the glass" in text


@pytest.mark.parametrize("language", stories.LANGUAGES)
def test_a_recipe_lists_as_many_as_its_steps_speak_of(language):
    """Pancakes for two listed "um ovo", and the first step was "Bata os ovos com o leite"."""
    several = {"ovo": "ovos", "limão": "limões", "egg": "eggs", "lemon": "lemons"}
    made = [stories._recipe(grammar.Dice("recipe", i), language, dish, 0) for dish in range(len(stories.RECIPES)) for i in range(9)]
    assert any(" ovos com" in text or " eggs with" in text for text in made) and any(" duas " in text or " two " in text for text in made)
    for text in made:
        assert not [many for one, many in several.items() if f" {many} " in text and re.search(rf"- (um|one) {one}\n", text)], text


def test_a_place_is_not_said_to_be_for_what_is_done_elsewhere(portuguese, english):
    """Places and what children like were drawn apart: "Júlia gosta de ir até lá [à biblioteca] para andar de bicicleta"."""
    for story in portuguese + english:
        assert story.genre != "place" or not re.search(r"gosta de ir até lá para|likes to go there to", story.text), story.text


def test_nobody_speaks_or_writes_from_where_they_no_longer_are(portuguese, english):
    """Clara came back from the square with a seed, and Della, whom she had left there, said "Plant it"; a letter told "Today I went to the
    lakeshore" and went on "one hears the frogs here all day long"."""
    for story in portuguese + english:
        seed = re.search(r"voltou d[oa] [^.]* semente|came back from [^.]* seed", story.text)
        assert not (seed and re.search(r"— (Plante|Com água)|\"(Plant it|With water)", story.text)), story.text
        gone = re.search(r"Hoje eu fui|Today I went", story.text)
        assert story.genre != "letter" or not (gone and re.search(r"\b(aqui|here)\b", story.text)), story.text


# --- one world -------------------------------------------------------------------------------------------------------------------


def test_a_fact_is_the_same_in_every_document(portuguese, english):
    told = defaultdict(set)
    pets = "gato|cachorro|coelho|tartaruga|papagaio"
    patterns = [
        (portuguese, r"(\w+) tem (\w+) anos"),
        (portuguese, r"(\w+) trabalha ((?:no|na) [^.]+)\."),
        (portuguese, r"([OA]s \w+) comem ([^.]+)\."),
        (portuguese, r"([OA] \w+) tem (\w+) patas"),
        (portuguese, rf"(?:{pets}) de (\w+) se chama (\w+)"),
        (english, r"(\w+) is (\w+) years old"),
        (english, r"(\w+) works ((?:at|in|on) the [^.]+)\."),
        (english, r"(The \w+) has (\w+) legs"),
    ]
    for corpus, pattern in patterns:
        for story in corpus:
            for who, what in re.findall(pattern, story.text):
                told[pattern, who].add(what)
    assert len(told) > 100
    assert {key: found for key, found in told.items() if len(found) > 1} == {}


def test_sums_and_shares_are_right(portuguese):
    values = {word: value for value, word in enumerate(NUMBERS.split(), 1)} | {"uma": 1, "duas": 2}
    text = "\n".join(story.text for story in portuguese)
    sums = re.findall(r"(\w+) mais (\w+) são (\w+)\.", text)
    shares = re.findall(r"eram (\w+)\.\s— [^\n]*(?:deu|ficou com) (\w+) ", text)
    assert len(sums) > 20 and len(shares) > 20
    assert all(values[a.lower()] + values[b] == values[c] for a, b, c in sums)
    assert all(values[all_of_them] == 2 * values[half] for all_of_them, half in shares)


def test_answers_repeat_what_the_passage_says(portuguese):
    checked = 0
    for story in portuguese:
        passage = story.text.split("\n")[0]
        for answer in re.findall(r"\?\n(?:Resposta|R): (?:\w+ )+de \w+ é (\w+)\.", story.text) if story.genre == "questions" else []:
            assert re.search(rf"\b{answer}\b", passage)
            checked += 1
    assert checked > 15


def test_a_story_keeps_its_thing_and_its_colour(portuguese):
    """Only one coloured thing is in a story, so every later mention must have the colour of the first."""
    colours = [form for pair, _ in stories.COLOURS for form in pair.split("/")]
    pattern = re.compile(rf"\b({'|'.join(row[0] for row in stories.OBJECTS)}) ({'|'.join(colours)})\b")
    several = 0
    for story in portuguese:
        if story.genre in ("story", "person"):
            found = pattern.findall(story.text)
            assert len(set(found)) <= 1
            several += len(found) > 1
    assert several > 100


# --- many, reproducible, held out -------------------------------------------------------------------------------------------------


def test_a_document_depends_on_its_key_alone():
    made = stories.make(50, seed=3)
    assert [stories.story(i, seed=3) for i in reversed(range(50))] == made[::-1]
    assert stories.make(50, seed=4) != made != stories.make(50, seed=3, split="validation")


def test_another_process_with_another_hash_seed_makes_the_same_texts():
    code = "from lunaris.moc import stories; import hashlib; print(hashlib.sha256(repr(stories.make(300)).encode()).hexdigest())"
    run = functools.partial(subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True)
    digests = {run(env=os.environ | {"PYTHONHASHSEED": seed}).stdout for seed in ("1", "2")}
    assert len(digests) == 1


def test_no_training_text_of_a_genre_is_about_a_pair_held_out_of_it_in_either_language():
    """The notebook said that the model never reads of the held-out pairs; but a child and a place held out of the stories may be those of a
    description: a pair is held out of one genre at a time."""
    train, held = (stories.make(500, seed=1, split=split) for split in ("train", "validation"))
    pairs, other_pairs = ({frozenset(story.group.split("/")[1:]) for story in side} for side in (train, held))
    assert pairs & other_pairs
    assert not {story.group for story in train} & {story.group for story in held}
    assert {story.genre for story in train} == {story.genre for story in held} and len({story.language for story in held}) == 2
    assert not {story.text for story in train} & {story.text for story in held}


@pytest.mark.parametrize("firsts, seconds", [(20, 16), (16, 20), (20, 20), (7, 20), (6, 20), (12, 10), (12, 20)])
def test_about_one_pair_in_ten_is_held_out_and_everything_is_trained_on(firsts, seconds):
    held = [[stories.is_validation(a, b) for b in range(seconds)] for a in range(firsts)]
    share = sum(map(sum, held)) / (firsts * seconds)
    assert 0.08 <= share <= 0.12 and all(map(any, held))
    assert not any(map(all, held)) and not any(map(all, zip(*held, strict=True)))


def test_documents_hardly_ever_repeat(portuguese, english):
    for made in (portuguese, english):
        assert len({story.text for story in made}) > 0.97 * len(made)
        assert len({story.text for story in made if story.genre == "story"}) == sum(story.genre == "story" for story in made)


@pytest.mark.parametrize("language", stories.LANGUAGES)
def test_the_docstrings_count_of_documents_holds(language):
    """Every errand names its child, both places, its coloured thing and its friend, so those alone tell more than ten million apart."""
    plot = stories._PLOTS["errand"][language]
    names = set()
    for i in range(200):
        dice = grammar.Dice("count", i)
        roles = stories._roles(dice, language, dice.pick(stories.KIDS), dice.pick(stories.PLACES))
        text = grammar.fill(dice, plot, roles)
        for role in "hpqxf":
            assert roles[role].words in text
        names.add(text)
    pairs = sum(not stories.is_validation(a, b) for a, b in itertools.product(range(len(stories.KIDS)), range(len(stories.PLACES))))
    things = len(stories.OBJECTS) * len(stories.COLOURS)
    assert len(names) == 200 and pairs * (len(stories.PLACES) - 1) * things * (len(stories.KIDS) - 1) > 10_000_000


def test_bad_inputs_are_one_sentence():
    with pytest.raises(ValueError, match="languages of stories must be of pt, en, got fr; try pt"):
        stories.story(0, languages=("fr",))
    with pytest.raises(ValueError, match="split must be one of train, validation, got 'test'; try 'train'"):
        stories.story(0, split="test")
