"""Portuguese for the words of the real sprite sets, whose captions are English: `to_english` reads a visitor's prompt with a model's
words in mind, `portuguese_caption` writes captions to train on.

The words are our own list, glossary.json: by topic, an English word or phrase and its translations, the usual one first, each with its
kind: m, f noun · mp, fp noun in the plural · mf noun with a feminine · a adjective (masculine) · v verb · x anything else. Plurals and
feminines that follow a rule are made here, the others are listed there. "Folded" text is lower case without accents.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

WORD = re.compile(r"[^\W_]+")
PREPOSITIONS = {"de", "da", "do", "para", "em", "com", "sem"}
JOINTS = {"with": "com", "of": "de", "and": "e", "in": "em", "on": "em", "for": "para", "from": "de", "by": "por", "to": "para", "the": "o"}
HEADS = {"cajado", "gema", "nuvem", "parede", "runa", "sigilo", "escudo", "baralho", "elmo", "capacete"}  # see _head_first_or_last


@dataclass(frozen=True)
class Term:
    """A Portuguese word or phrase and its kind (see above)."""

    text: str
    kind: str

    @property
    def is_noun(self) -> bool:
        return self.kind[0] in "mf"

    def forms(self) -> Iterator[tuple[str, bool]]:
        """What a visitor may type for it, each with whether it is a plural."""
        for text in dict.fromkeys((self.text, _inflected(self.text, feminine)) if self.kind in ("a", "mf") else (self.text,)):
            yield text, self.kind.endswith("p")
            if self.kind in ("m", "f", "mf", "a"):
                yield _inflected(text, plural), True

    def in_plural(self) -> "Term":
        return Term(_inflected(self.text, plural), self.kind[0] + "p")

    def agreeing(self, noun: "Term | None") -> str:
        """An adjective in the noun's gender and number."""
        text = _inflected(self.text, feminine) if noun and noun.kind[0] == "f" else self.text
        return _inflected(text, plural) if noun and noun.kind.endswith("p") else text


@dataclass(frozen=True)
class Glossary:
    """terms: English word or phrase -> its usual translation. english: folded Portuguese without articles and prepositions -> English,
    best first. stop: folded small words -> English, "" where a prompt does without. names: what both languages write alike."""

    terms: dict[str, Term]
    english: dict[str, tuple[str, ...]]
    stop: dict[str, str]
    names: frozenset[str]


LONGEST = 5  # words of a phrase, in either language
FAR_MORE = 4  # times as often in training: then a later translation is better


def fold(text: str) -> str:
    """Lower case without accents: "Poção" -> "pocao"."""
    if text.isascii():
        return text.lower()
    return "".join(char for char in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(char))


# --- from Portuguese -------------------------------------------------------------------------------------------------------------


def to_english(prompt: str, known: Collection[str]) -> str:
    """The prompt with English in place of the Portuguese words that a model does not know.

    `known` is the model's words: a set, or a dict of how often training saw them, which decides between translations ("livros" is book
    where books are rare). A word in it stays, and so does one whose English is not in it: a hint about unknown words then names what the
    visitor typed. The longest phrase wins ("cota de malha" is chain mail). Articles and prepositions that the model does not know go.
    A prompt of nothing else stays as it is, as does any prompt where nothing is known.
    """
    if not known:
        return prompt
    counts = _folded(tuple(known.items() if isinstance(known, Mapping) else known))
    clauses = re.split(r"([^\w\s-]+)", unicodedata.normalize("NFC", prompt))  # no phrase goes across a comma
    english = " ".join("".join(_clause_in_english(clause, counts) for clause in clauses).split())
    return english if WORD.search(english) else prompt


@lru_cache(maxsize=8)
def _folded(known: tuple) -> dict[str, int]:
    """How often each folded word was seen, 1 where nobody counted."""
    counts: dict[str, int] = {}
    for entry in known:
        word, count = entry if isinstance(entry, tuple) else (entry, 1)
        counts[fold(word)] = counts.get(fold(word), 0) + count
    return counts


def _clause_in_english(clause: str, known: Mapping[str, int]) -> str:
    spans = [match.span() for match in WORD.finditer(clause)]
    words = [fold(clause[start:end]) for start, end in spans]
    pieces, place, i = [], 0, 0
    while i < len(words):
        count, english = _replacement(words[i:], known)
        start, end = spans[i][0], spans[i + count - 1][1]
        pieces += [clause[place:start], clause[start:end] if english is None else english]
        place, i = end, i + count
    return "".join([*pieces, clause[place:]])


def _replacement(words: Sequence[str], known: Mapping[str, int]) -> tuple[int, str | None]:
    """How many of the first words are replaced together, and by what; (1, None) where the first one stays."""
    glossary = load()
    first, best = words[0], (1, None)
    if first in glossary.stop:
        if first not in known:
            best = 1, glossary.stop[first] if glossary.stop[first] in known else ""
        if not glossary.stop[first]:
            return best
    phrase: list[str] = []
    for count, word in enumerate(words, 1):
        if glossary.stop.get(word) == "":
            continue  # "seta para a esquerda", "seta à esquerda" and "seta esquerda" are one phrase
        phrase.append(word)
        if len(phrase) > LONGEST:
            break
        if any(word not in known for word in phrase):
            english = _best(glossary.english.get(" ".join(phrase), ()), known)
            best = (count, english) if english else best
    if best == (1, None) and first not in known:
        return 1, _best_of_diminutive(first, known)
    return best


def _best_of_diminutive(word: str, known: Mapping[str, int]) -> str | None:
    """What "dragaozinho", "barquinhos" or "espadinha" are small ones of: a word the model knows in either language."""
    match = re.fullmatch("(.{2,}?)(z?)inh[oa]s?", word)
    if not match or word in load().english:  # golfinho is a dolphin, no small golf
        return None
    stem = re.sub("gu$", "g", re.sub("qu$", "c", match[1]))
    for plain in [match[1]] if match[2] else [stem + ending for ending in "oae"]:
        options = load().english.get(plain, ())
        found = plain if options and plain in known else _best(options, known)
        if found:
            return found
    return None


def _best(options: Sequence[str], known: Mapping[str, int]) -> str | None:
    """The first of the English words that the model knows, unless it saw a later one far more often."""
    counts = {}
    for english in options:
        words = english.split()
        if all(word in known for word in words):
            counts[english] = min(known[word] for word in words)
    return next((english for english, count in counts.items() if count * FAR_MORE >= max(counts.values())), None)


# --- to Portuguese ---------------------------------------------------------------------------------------------------------------


def portuguese_caption(english: str) -> str | None:
    """A Portuguese caption for an English one of the sprite sets, None when it has a word without translation.

    "document with arrow icon" -> "ícone de documento com seta"; "cap, armour" -> "gorro, armadura";
    "tin jupiter, alchemy 1-bit icon" -> "ícone 1-bit de alquimia: estanho júpiter".
    """
    name, _, category = re.sub("^(an?|the) ", "", english.lower()).partition(",")
    style = " 1-bit icon"
    if category.endswith(style):
        parts = _phrase(category.removesuffix(style), _in_order), _phrase(name, _in_order)
        layout = "ícone 1-bit de {}: {}"
    elif category:
        parts = _phrase(name, _head_first_or_last), _phrase(category, _head_last)
        layout = "{}, {}"
    elif name.endswith(" icon"):
        parts = (_phrase(name.removesuffix(" icon"), _verbs_first),)
        layout = "ícone de {}"
    else:
        parts = (_phrase(name, _head_first_or_last),)
        layout = "{}"
    return layout.format(*parts) if all(parts) else None


def _phrase(english: str, arranged: Callable[[list[Term]], str]) -> str | None:
    """The words of a caption's part in Portuguese, each stretch between joints ("of", "with") arranged on its own."""
    words = WORD.findall(english)
    stretches: list[list[Term]] = [[]]
    joints = []
    i = 0
    while i < len(words):
        count, term = _term(words[i:])
        if count:
            stretches[-1].append(term)
        elif words[i] in JOINTS:
            joints.append(JOINTS[words[i]])
            stretches.append([])
        else:
            return None
        i += count or 1
    texts = [arranged(stretch) for stretch in stretches]
    return " ".join(" ".join(f"{joint} {text}" for joint, text in zip(["", *joints], texts, strict=True)).split())


def _term(words: Sequence[str]) -> tuple[int, Term]:
    """How many of the first words the glossary knows as one term, and the term; 0 when it does not know the first."""
    glossary = load()
    for count in range(min(LONGEST, len(words)), 0, -1):
        term = glossary.terms.get(" ".join(words[:count]))
        if term:
            return count, term
    stem = re.split(r"\d", words[0])[0]
    if len(stem) > 1 and stem in glossary.terms:  # blood05, lair0b: the rest tells variants apart
        return 1, glossary.terms[stem]
    if words[0] in glossary.names:
        return 1, Term(words[0], "m")
    return int(len(stem) < 2), Term(words[0], "x")  # numbers, letters, d6


def _in_order(terms: list[Term]) -> str:
    """For names that list things: an adjective goes with the noun before it, or follows the first noun."""
    noun, waiting, words = None, [], []
    for term in terms:
        if term.kind != "a":
            words.append(term.text)
        elif noun:
            words.append(term.agreeing(noun))
        else:
            waiting.append(term)
        if term.is_noun:
            noun = term
            words += [adjective.agreeing(noun) for adjective in waiting]
            waiting = []
    return " ".join([*words, *(adjective.text for adjective in waiting)])


def _verbs_first(terms: list[Term]) -> str:
    """For names of buttons: "page delete" -> "excluir página"."""
    return _in_order(sorted(terms, key=lambda term: term.kind != "v"))


def _head_last(terms: list[Term]) -> str:
    """For compounds as English builds them: "red dragon scales" -> "escamas de dragão vermelho"; adjectives at the end go with the head."""
    groups: list[str] = []
    waiting: list[Term] = []
    head = None
    for term in terms:
        if term.is_noun:
            groups.insert(0, " ".join([term.text, *(adjective.agreeing(term) for adjective in waiting)]))
            waiting, head = [], term
        elif term.kind == "a":
            waiting.append(term)
    verbs, others = ([term.text for term in terms if term.kind == kind] for kind in "vx")
    return " ".join([*verbs, *([" de ".join(groups)] if groups else []), *(adjective.agreeing(head) for adjective in waiting), *others])


def _head_first_or_last(terms: list[Term]) -> str:
    """As `_head_last`, with some words a head wherever they stand: "staff air" is a staff."""
    return _head_last([*terms[1:], terms[0]] if terms and terms[0].text in HEADS else terms)


# --- the words -------------------------------------------------------------------------------------------------------------------


def plural(word: str) -> str:
    """The plural of a Portuguese noun or adjective, in lower case."""
    listed = _table()["plurals"]
    if word in listed:
        return listed[word]
    for ending, many in (("ão", "ões"), ("m", "ns"), ("al", "ais"), ("ol", "óis"), ("ul", "uis"), ("r", "res"), ("z", "zes"), ("x", "x")):
        if word.endswith(ending):
            return word.removesuffix(ending) + many
    if word.endswith(("el", "il")):
        unstressed = fold(word) != word  # túnel, fóssil: the accent is elsewhere
        return word[:-2] + ("eis" if unstressed else "éis" if word.endswith("el") else "is")
    if word.endswith("s"):
        return fold(word) + "es" if fold(word[-2]) != word[-2] else word  # mês, gás; but lápis
    return word + "s"


def feminine(word: str) -> str:
    """The feminine of a Portuguese adjective, or of a noun that has a regular one."""
    listed = _table()["feminines"]
    if word in listed:
        return listed[word]
    for ending, other in (("ão", "ona"), ("o", "a"), ("ês", "esa"), ("ior", "ior"), ("or", "ora"), ("eu", "eia")):
        if word.endswith(ending):
            return word.removesuffix(ending) + other
    return word


def _inflected(phrase: str, form: Callable[[str], str]) -> str:
    """A phrase in another form: every word before its first preposition, of a hyphenated word the last part."""
    words = phrase.split()
    end = next((i for i, word in enumerate(words) if word in PREPOSITIONS), len(words))
    return " ".join([*(_last_part(word, form) for word in words[:end]), *words[end:]])


def _last_part(word: str, form: Callable[[str], str]) -> str:
    head, hyphen, tail = word.rpartition("-")
    return form(word) if word in _table()["plurals"] else head + hyphen + form(tail)


def _english_plurals(word: str) -> tuple[str, ...]:
    """The regular plurals of an English word, the likelier first."""
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return (word + "es",)
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return (word[:-1] + "ies",)
    if word.endswith(("f", "fe")):
        return (word.removesuffix("e").removesuffix("f") + "ves", word + "s")
    return (word + "s", word + "es") if word.endswith("o") else (word + "s",)


@lru_cache(maxsize=1)
def _table() -> dict:
    return json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def load() -> Glossary:
    """The glossary with every form of every word."""
    listed = entries()
    stop = {fold(word): english for word, english in _table()["stop"].items()}
    terms = {english: found[0] for english, found in listed.items()}
    ranked: dict[str, list[tuple[int, int, str]]] = {}
    for order, (english, found) in enumerate(listed.items()):
        plurals = _english_plurals(english)
        if found[0].kind in ("m", "f", "mf"):
            for word in plurals:
                terms.setdefault(word, found[0].in_plural())
        for rank, term in enumerate(found):
            for text, is_plural in term.forms():
                key = " ".join(word for word in WORD.findall(fold(text)) if stop.get(word) != "")
                options = ranked.setdefault(key, [])
                options.append((min(rank, 1), order, english))
                if term.is_noun and not term.kind.endswith("p"):
                    options += [(-1 if is_plural else 2, order, word) for word in plurals]
    english = {key: tuple(dict.fromkeys(word for *_, word in sorted(options))) for key, options in ranked.items() if key}
    return Glossary(terms, english, stop, frozenset(_table()["names"]))


def entries() -> dict[str, list[Term]]:
    """The list as written: English word or phrase -> its translations, the usual one first."""
    topics = _table()["words"].values()
    return {english: [Term(*entry.rsplit(":", 1)) for entry in text.split("|")] for topic in topics for english, text in topic.items()}
