"""moc.passages: scenes with two people and one matter, explanations, programming and speeches that keep to their subject."""

import ast
import itertools
import re
from functools import partial

import pytest

from lunaris.moc import passages, stories
from lunaris.moc.grammar import Dice

LANGUAGES = ("pt", "en")


def written(genre: str, language: str, n: int = 400):
    """(first row, second row, text) of n documents, over all pairs."""
    firsts, seconds, write = stories._GENRES[genre]
    pairs = list(itertools.product(range(len(firsts)), range(len(seconds))))
    for i in range(n):
        a, b = pairs[i * 7 % len(pairs)]
        yield a, b, write(Dice(genre, language, i), language, a, b)


NAMES = set(passages.WOMEN + passages.MEN)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_scene_keeps_its_two_people_and_its_matter(language):
    # What each matter cannot do without, by its row: independent of the plots, which name it in their own lines or in the opening.
    said = {
        "pt": """carta dívida|mil-réis baile|valsa retrato tio|herança|testamento tabuleiro|xadrez|jog[ao] febre piano|música|[Tt]oque|tocar
            navio|viagem|Viajo|volto anel""",
        "en": "letter debt|pounds ball|waltz portrait will|uncle board|chess|game fever piano|music|play ship|journey|leaving ring",
    }[language].split()
    for a, b, text in written("scene", language):
        row = passages.NEIGHBOURS[a]
        long, short = (row[0], row[1]) if language == "pt" else (row[3], row[4])
        assert long.lower() in text.lower() and short.lower() in text.lower(), text
        assert len(NAMES & set(re.findall(r"\w+", re.sub(long, "", text, flags=re.IGNORECASE)))) == 1, text
        assert re.search(said[b], text), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_nobody_in_a_scene_answers_their_own_words(language):
    """Question and answer were drawn apart: "Who stole it?" asked Dolores, and Dolores went on "Do not blame anybody too soon"; the captain
    said "I do not know whether to go", and then answered himself."""
    verbs = {
        "pt": "disse|perguntou|respondeu|confessou|pediu|anunciou|propôs|contou|explicou|prometeu|aconselhou|sugeriu|reconheceu|quis saber",
        "en": "said|asked|answered|confessed|announced|began|explained|promised|advised|admitted",
    }[language]
    pattern = {
        "pt": rf"(?:{verbs}) (?:o |a )?([\w]+)",
        "en": rf"(?:{verbs}) (?:the )?(\w+)|(?:\" |the )(\w+) (?:{verbs})\b",
    }[language]
    compared = 0
    for _, _, text in written("scene", language):
        for one, other in itertools.pairwise(text.split("\n")):
            if one.startswith(("— ", '"')) and other.startswith(("— ", '"')):
                speakers = [next((found for found in re.search(pattern, line).groups() if found), None) for line in (one, other)
                            if re.search(pattern, line)]  # fmt: skip
                if len(speakers) == 2:
                    compared += 1
                    assert speakers[0] != speakers[1], text
    assert compared > 100


def test_words_about_somebody_in_a_scene_have_their_gender():
    for a, _, text in written("scene", "pt"):
        name = next(word for word in re.findall(r"\w+", text.replace(passages.NEIGHBOURS[a][0], "")) if word in NAMES)
        woman = name in passages.WOMEN
        for word in re.findall(r"\b(distraíd[oa]|sobrinh[oa])\b", text):
            assert (word[-1] == "a") == woman, text
        for word in re.findall(r"\b(sozinh[oa]|parad[oa])\b", text):
            assert (word[-1] == "a") == (passages.NEIGHBOURS[a][2] == "f"), text
        for word in re.findall(r"\bjunt([oa])s\b|\b([OA])s (?:dois|duas) tiraram", text):
            assert ("".join(word).lower() == "a") == (woman and passages.NEIGHBOURS[a][2] == "f"), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_explanation_says_what_it_is_about_and_tells_it_from_another_thing(language):
    said = LANGUAGES.index(language)
    for a, b, text in written("explanation", language):
        row, other = passages.THINGS[a], passages.THINGS[b]
        assert row[3][said] in text and row[5][said] in text and row[4][0][said] in text
        assert (other[3][said] in text.rpartition("\n")[2]) == (a != b)
        facts = [text.find(fact[said]) for fact in row[4]]
        assert facts == sorted(facts, key=lambda place: place if place >= 0 else facts[1]), text  # a story of water needs its order


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_program_is_written_in_one_language(language):
    known = {"Python", "Rust", "JavaScript", "React"}
    for a, _, text in written("code", language):
        named = known & set(re.findall(r"\w+", text))
        own = {row[0] for row in passages.IDEAS[a][8]}
        assert named and (len(named) == 1 or own == {"React"}) and named <= own, text


def test_the_examples_in_python_are_python():
    whole = {"def ": "{}\n    return n", "for ": "{}\n    pass", "if ": "{}\n    pass", "except ": "try:\n    pass\n{}\n    pass"}
    checked = 0
    for *_, ways in passages.IDEAS:
        for lang, *_, in_pt, in_en in ways:
            for example in (in_pt, in_en) if lang == "Python" else ():
                source = example.strip("`")
                frame = next((frame for start, frame in whole.items() if source.startswith(start)), "{}")
                ast.parse(frame.format(source))
                checked += 1
    assert checked == 20


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_speech_is_for_one_cause(language):
    said = LANGUAGES.index(language)
    for a, b, text in written("speech", language):
        assert passages.CAUSES[a][5][said] in text and passages.OCCASIONS[b][said] in text
        others = [row for i, row in enumerate(passages.CAUSES) if i != a and row[3][said] in text and row[3] != passages.CAUSES[a][3]]
        assert not others and re.search(r"\b([Gg]overno|[Gg]overnment)\b", text), text


def test_all_genres_are_drawn():
    drawn = {story.genre for story in map(partial(stories.story, seed=2), range(400))}
    assert drawn == set(stories._GENRES) and {"scene", "explanation", "code", "speech"} < drawn
