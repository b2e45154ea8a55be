"""The grammar of the procedural texts: noun phrases that agree, counts in words, and templates whose lines have alternatives.

A template is put together line by line from alternatives ("a | b"); "{…}" names a role of the text and the form it takes there, so
articles, contractions, pronouns and adjectives agree by construction:

    {p.ao}           "à praia", "ao mercado": a with the article             {h[cansado/cansada]}   the form for the gender of h
    {x.seu} {x.meu}  "sua bola vermelha", "meu chapéu azul"                 {p.Do}                 a capital asks for one
"""

import hashlib
import random
import re
from collections.abc import Sequence

LANGUAGES = ("pt", "en")


class Dice:
    """Choices out of a hash of the key; only `random()` is used, whose numbers Python keeps from version to version."""

    def __init__(self, *key: int | str):
        self._random = random.Random(int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "big"))

    def pick(self, options):
        return options[int(self._random.random() * len(options))]

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def some(self, options: Sequence, n: int) -> list:
        """n different ones, in a random order."""
        left, chosen = list(options), []
        for _ in range(n):
            chosen.append(left.pop(int(self._random.random() * len(left))))
        return chosen


class Pt:
    """A Portuguese noun phrase, singular: forms by attribute ("o", "um", "do", "no", "ao", "pelo", "ele", "dele", "seu", "meu", "esse").

    A name takes no article: `{h.do}` is "de Ana". Square brackets choose by gender: `{h[cansado/cansada]}`.
    """

    def __init__(self, words: str, gender: str, *, name: bool = False):
        self.words, self.gender, self.name = words, gender, name

    def __str__(self) -> str:
        return self.words

    def __format__(self, spec: str) -> str:
        return self.words

    def __getitem__(self, forms: str) -> str:
        return forms.split("/")[self.gender == "f"]

    def __getattr__(self, form: str) -> str:
        if form[0].isupper():
            found = getattr(self, form.lower())
            return found[0].upper() + found[1:]
        feminine = self.gender == "f"
        if form in _PT_PREPOSITIONS and self.name:
            return f"{_PT_PREPOSITIONS[form][2]}{self.words}"
        if form in _PT_PREPOSITIONS:
            return f"{_PT_PREPOSITIONS[form][feminine]} {self.words}"
        if form in _PT_PRONOUNS:
            return _PT_PRONOUNS[form][feminine]
        raise AttributeError(form)


_PT_PREPOSITIONS = {  # with the article, masculine and feminine; before a name
    "o": ("o", "a", ""), "do": ("do", "da", "de "), "no": ("no", "na", "em "), "ao": ("ao", "à", "a "), "pelo": ("pelo", "pela", "por "),
    "um": ("um", "uma", ""), "seu": ("seu", "sua", ""), "meu": ("meu", "minha", ""), "esse": ("esse", "essa", ""),
    "este": ("este", "esta", ""), "nosso": ("nosso", "nossa", ""), "outro": ("outro", "outra", ""), "todo": ("todo", "toda", ""),
}  # fmt: skip
_PT_PRONOUNS = {"ele": ("ele", "ela"), "dele": ("dele", "dela"), "nele": ("nele", "nela"), "lo": ("lo", "la")}


class En:
    """An English noun phrase, singular: "a" (a or an), "the", "at" (with the place's own preposition), and pronouns by gender m, f or n.

    The pronouns are "he", "him" and "his", each for the phrase's gender.
    """

    def __init__(self, words: str, gender: str = "n", *, name: bool = False):
        self.words, self.gender, self.name = words, gender, name

    def __str__(self) -> str:
        return self.words

    def __format__(self, spec: str) -> str:
        return self.words

    def __getattr__(self, form: str) -> str:
        if form[0].isupper():
            found = getattr(self, form.lower())
            return found[0].upper() + found[1:]
        if form == "a":
            return f"{'an' if self.words[0].lower() in 'aeiou' and not self.words.startswith('uni') else 'a'} {self.words}"
        if form == "the":
            return f"the {self.words}"
        if form == "at":
            return f"{_EN_PLACES.get(self.words, 'at')} the {self.words}"
        if form in _EN_PRONOUNS:
            return _EN_PRONOUNS[form]["mfn".index(self.gender)]
        raise AttributeError(form)


_EN_PLACES = {"forest": "in", "mountain": "on", "square": "in", "garden": "in", "library": "in", "bridge": "on", "farm": "on"}
_EN_PRONOUNS = {"he": ("he", "she", "it"), "him": ("him", "her", "it"), "his": ("his", "her", "its")}

PT_NUMBERS = ("zero", "um", "dois", "três", "quatro", "cinco", "seis", "sete", "oito", "nove", "dez", "onze", "doze", "treze", "catorze",
              "quinze", "dezesseis", "dezessete", "dezoito", "dezenove", "vinte")  # fmt: skip
EN_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
              "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty")  # fmt: skip


def pt_count(n: int, noun: str, plural: str, gender: str = "m") -> str:
    """ "uma xícara", "dois ovos": the number in words, agreeing with the noun."""
    word = {("f", 1): "uma", ("f", 2): "duas"}.get((gender, n), PT_NUMBERS[n])
    return f"{word} {noun if n == 1 else plural}"


def en_count(n: int, noun: str, plural: str) -> str:
    """ "one cup", "two eggs": the number in words."""
    return f"{EN_NUMBERS[n]} {noun if n == 1 else plural}"


_SPEECH = ("— ", '"')


def fill(dice: Dice, template: str, roles: dict[str, object]) -> str:
    """A template's lines, each with one of its alternatives; "?" before a line leaves it out two times in five; "/" starts a paragraph."""
    text = ""
    for line in template.strip().splitlines():
        line = line.strip()
        if line.startswith("?"):
            line = line[1:].strip()
            if dice.chance(0.4):
                continue
        if line == "/":
            text += "\n\n"
            continue
        sentence = dice.pick(line.split(" | ")).format(**roles).replace("\\n", "\n")
        speech = sentence.startswith(_SPEECH)
        own_line = text and (speech or text.rpartition("\n")[2].startswith(_SPEECH))  # a line for each speaker
        text += "\n" if own_line and not text.endswith("\n") else "" if not text or text.endswith("\n") else " "
        text += sentence
    return tidy(text)


def tidy(text: str) -> str:
    """A capital at the start of every sentence."""
    return re.sub(r'((?:^|\n)(?:— |- |")?|[.!?] |\." )([a-zà-ü])', lambda m: m[1] + m[2].upper(), text.strip())
