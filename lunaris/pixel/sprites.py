"""Procedural sprites: any number of small RGBA pictures with exact labels and captions in English and Portuguese (PX-21).

A label is (kind, colour, style, size). `render` draws it, `caption` says it, `make` gives a data set whose item i depends on (seed, i)
alone. Pairs of kind and colour are the groups of the split: a pair held out for validation never occurs in training, so a model that
draws it has combined a known shape with a known colour. Drawings are in `sprite_kinds.py`; every pixel comes from `PALETTE`.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

import numpy as np

from .sprite_kinds import CLASSES, KINDS, MAP_SIDE, SMALL_SIDE, TINY_SIDE, Kind

__all__ = [
    "COLOURS", "KINDS", "PALETTE", "SIDES", "SIZES", "STYLES", "Colour", "Kind", "Label", "Sprites",
    "caption", "group", "is_validation", "kind_indices", "labels", "make", "parse", "render", "word_lists",
]  # fmt: skip


@dataclass(frozen=True)
class Colour:
    """A main colour: its names, and its tones (light, middle, dark, deep) as RGB."""

    name_en: str
    name_pt_m: str
    name_pt_f: str
    shades: tuple[tuple[int, int, int], ...]
    synonyms_en: tuple[str, ...] = ()
    synonyms_pt: tuple[str, ...] = ()  # "masculine/feminine", or one form for both

    def forms_pt(self) -> tuple[tuple[str, str], ...]:
        """(masculine, feminine) of the name, then of each synonym."""
        pairs = (synonym.partition("/")[::2] for synonym in self.synonyms_pt)
        return ((self.name_pt_m, self.name_pt_f), *((m, f or m) for m, f in pairs))


@dataclass(frozen=True)
class Label:
    """What one sprite shows: indices into `KINDS`, `COLOURS`, `STYLES` and `SIZES`."""

    kind: int
    colour: int
    style: int
    size: int


@dataclass
class Sprites:
    """images: uint8 (n, side, side, 4), alpha 0 or 255, RGB 0 where alpha is 0; labels: int64 (n, 4), columns as in `Label`."""

    images: np.ndarray
    labels: np.ndarray
    captions: list[str]

    def __len__(self) -> int:
        return len(self.captions)


COLOURS = (
    Colour("red", "vermelho", "vermelha", ((255, 124, 112), (224, 50, 56), (160, 24, 52), (92, 12, 38)), ("crimson",)),
    Colour("orange", "laranja", "laranja", ((255, 188, 98), (244, 128, 30), (196, 82, 18), (112, 42, 14)), (), ("alaranjado/alaranjada",)),
    Colour("yellow", "amarelo", "amarela", ((255, 246, 162), (252, 216, 50), (214, 160, 28), (124, 84, 16))),
    Colour("green", "verde", "verde", ((142, 226, 114), (60, 176, 70), (32, 122, 68), (14, 66, 46))),
    Colour("cyan", "ciano", "ciano", ((166, 246, 242), (44, 204, 208), (18, 146, 164), (8, 80, 100)), ("turquoise", "teal"), ("turquesa",)),
    Colour("blue", "azul", "azul", ((124, 176, 255), (48, 102, 232), (32, 62, 172), (18, 28, 98))),
    Colour("purple", "roxo", "roxa", ((206, 152, 255), (140, 74, 214), (96, 44, 156), (54, 20, 92)), ("violet",), ("violeta",)),
    Colour("pink", "rosa", "rosa", ((255, 204, 228), (250, 128, 188), (204, 76, 144), (120, 34, 88)), (), ("cor-de-rosa",)),
    Colour("brown", "marrom", "marrom", ((198, 142, 96), (142, 88, 50), (100, 58, 36), (58, 30, 22)), (), ("castanho/castanha",)),
    Colour("grey", "cinza", "cinza", ((186, 192, 202), (136, 142, 156), (96, 102, 118), (54, 58, 76)), ("gray",), ("cinzento/cinzenta",)),
    Colour("black", "preto", "preta", ((106, 110, 132), (58, 60, 76), (38, 38, 52), (158, 162, 186)), (), ("negro/negra",)),
    Colour("white", "branco", "branca", ((255, 255, 255), (234, 238, 248), (188, 198, 220), (108, 120, 152))),
)
STYLES = ("outlined", "flat", "shaded")
SIZES = ("small", "big")
SIDES = (8, 16, 32, 64)

INK = (22, 18, 34)
FIXED = {
    "k": INK, "w": (250, 250, 254), "s": (206, 214, 226), "S": (122, 134, 156), "b": (164, 106, 62), "n": (104, 62, 42),
    "g": (98, 188, 66), "G": (40, 116, 54), "y": (255, 208, 70), "Y": (192, 130, 36), "r": (208, 40, 66), "o": (250, 142, 40),
    "c": (176, 230, 246), "p": (244, 150, 160), "f": (250, 228, 190), "F": (222, 186, 142),
}  # fmt: skip
PLAIN = str.maketrans("lSnGYFxd", "msbgyfdm")  # the flat style: one tone per material, lines excepted
SWAPS = {  # parts that would vanish in a main colour take another material there
    "red": {"r": "y"}, "orange": {"o": "y"}, "yellow": {"y": "w", "Y": "S"}, "green": {"g": "G"}, "cyan": {"c": "w"}, "pink": {"p": "f"},
    "brown": {"b": "F", "n": "b"}, "grey": {"s": "w", "S": "s"}, "black": {"k": "x"}, "white": {"w": "s", "f": "F"},
}  # fmt: skip
OUTLINE = len(CLASSES)  # the class of the ring that `_outlined` adds


def _palette() -> np.ndarray:
    rgb = [tone for colour in COLOURS for tone in colour.shades] + list(FIXED.values())
    return np.array([(0, 0, 0, 0), *((*tone, 255) for tone in rgb)], np.uint8)


PALETTE = _palette()  # uint8 (K, 4); entry 0 is transparent


# ---- Splits and random choices


def group(label: Label) -> str:
    """The unit of the split: "kind/colour"."""
    return f"{KINDS[label.kind].name_en}/{COLOURS[label.colour].name_en}"


def is_validation(kind: int | np.ndarray, colour: int | np.ndarray) -> bool | np.ndarray:
    """Whether a pair is held out (elementwise for arrays): one colour in five for every kind, and one kind in five for every colour."""
    return (kind + colour) % 5 == 0


Split = Literal["train", "validation", "all"]


@lru_cache(maxsize=len(SIDES))
def labels(split: Split = "all") -> np.ndarray:
    """Every label of a split, int64 (m, 4)."""
    every = np.indices((len(KINDS), len(COLOURS), len(STYLES), len(SIZES))).reshape(4, -1).T
    held_out = is_validation(every[:, 0], every[:, 1])
    chosen = every[{"train": ~held_out, "validation": held_out, "all": held_out | True}[split]]
    chosen.setflags(write=False)
    return chosen


def _mix(x: int | np.ndarray) -> int | np.ndarray:
    """SplitMix64: a well mixed 64-bit number for each number, one int or a uint64 array; the same on every platform and version."""
    x = (x + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return x ^ (x >> 31)


class _Dice:
    """Small random choices out of one 64-bit seed."""

    def __init__(self, seed: int):
        self.state = _mix(seed & 0xFFFFFFFFFFFFFFFF)

    def roll(self, sides: int) -> int:
        self.state = _mix(self.state)
        return (self.state >> 11) % sides

    def pick(self, options):
        return options[self.roll(len(options))]

    def chance(self, probability: float) -> bool:
        return self.roll(1 << 30) < probability * (1 << 30)


# ---- Drawing


def _twice(classes: np.ndarray) -> np.ndarray:
    """Scale2x: twice the size, with diagonal steps smoothed and no new classes."""
    c = classes
    up, down = np.vstack([c[:1], c[:-1]]), np.vstack([c[1:], c[-1:]])
    left, right = np.hstack([c[:, :1], c[:, :-1]]), np.hstack([c[:, 1:], c[:, -1:]])
    free = (up != down) & (left != right)
    big = np.repeat(np.repeat(c, 2, 0), 2, 1)
    big[0::2, 0::2] = np.where(free & (left == up), left, c)
    big[0::2, 1::2] = np.where(free & (up == right), right, c)
    big[1::2, 0::2] = np.where(free & (left == down), left, c)
    big[1::2, 1::2] = np.where(free & (down == right), right, c)
    return big


def _coverage(source: int, target: int) -> np.ndarray:
    """(target, source) matrix: the share of each source cell in each target cell when both span the same length."""
    edges = np.arange(target + 1) * source / target
    cells = np.arange(source)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    return np.clip(overlap, 0, None) * target / source


def _resized(classes: np.ndarray, height: int, width: int) -> np.ndarray:
    """The map at another size: each cell takes the material that covers most of it, small dark details counting for more."""
    if (height, width) == classes.shape:
        return classes
    h = len(classes)
    while len(classes) < max(4 * h, height):  # smoothed first, so that cells are cut along curves
        classes = _twice(classes)
    present = np.unique(classes)
    rows, columns = _coverage(classes.shape[0], height), _coverage(classes.shape[1], width)
    shares = np.stack([rows @ (classes == c).astype(np.float64) @ columns.T for c in present])
    clear = shares[present == 0].sum(0) if 0 in present else 0
    weights = np.where(np.isin(present, [CLASSES.index("k"), CLASSES.index("x")]), 1.6, 1.0)
    weights[present == 0] = 0
    best = present[np.argmax(shares * weights[:, None, None], axis=0)]
    return np.where(clear > 0.55, 0, best).astype(np.uint8)


def _without_seam(classes: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """The map one row (axis 0) or column shorter, without one that nearly repeats its neighbour; unchanged if there is none."""
    lines = classes if axis == 0 else classes.T
    changed = lines[1:] != lines[:-1]
    ink = lines == CLASSES.index("k")  # an eye or a hole is never made thinner
    detail = ~np.isin(lines, [CLASSES.index(c) for c in ".lmd"])
    difference = (changed * np.where(detail[1:] | detail[:-1], 3, 1) + 3 * ink[:-1]).sum(1)
    seams = [i for i in np.argsort(difference, kind="stable") if difference[i] <= 2]
    if rank >= len(seams) or len(lines) < 9:
        return classes
    return np.delete(classes, seams[rank], axis)  # the first of the pair


def _ring(shape: np.ndarray, width: int) -> np.ndarray:
    """The pixels within `width` steps outside of a boolean shape."""
    grown = shape.copy()
    for _ in range(width):
        step = grown.copy()
        step[1:] |= grown[:-1]
        step[:-1] |= grown[1:]
        step[:, 1:] |= grown[:, :-1]
        step[:, :-1] |= grown[:, 1:]
        grown = step
    return grown & ~shape


@cache
def _map(kind: int, size: int, side: int) -> tuple[np.ndarray, float]:
    """The drawing made for this size and side, as classes, and the share of the canvas inside the outline that it takes."""
    thing, small = KINDS[kind], SIZES[size] == "small"
    if side == 8:
        rows, share = thing.tiny, (TINY_SIDE - small) / TINY_SIDE / TINY_SIDE
    elif small and thing.small:
        rows, share = thing.small, 1 / MAP_SIDE
    else:
        rows, share = thing.draw, (SMALL_SIDE / MAP_SIDE if small else 1) / MAP_SIDE
    return np.array([[CLASSES.index(c) for c in row] for row in rows], np.uint8), share


SEAMS = ((None, None), (0, None), (None, 0), (0, 0), (1, None), (None, 1), (1, 1), (0, 1), (1, 0))  # (row, column) left out, by rank


@lru_cache(maxsize=1 << 14)
def _drawing(kind: int, size: int, side: int, seam: int, light: int) -> np.ndarray:
    """Classes of the drawing at its final scale, its outline around it: uint8 (h, w), h and w <= side."""
    classes, share = _map(kind, size, side)
    for axis, rank in enumerate(SEAMS[seam]):
        if rank is not None:
            classes = _without_seam(classes, axis, rank)
    border = max(1, side // 32)
    room = side - 1 if side == 8 else side - 2 * border
    height, width = (max(4, round(length * share * room)) for length in classes.shape)
    classes = _relit(_resized(classes, height, width), light)
    if side == 8:  # no room for a ring: a shadow on the lower right stands for the outline
        classes = np.pad(classes, ((0, 1), (0, 1)))
        shadow = np.roll(classes > 0, 1, 0) | np.roll(classes > 0, 1, 1)
        classes[shadow & (classes == 0)] = OUTLINE
    else:
        classes = np.pad(classes, border)
        classes[_ring(classes > 0, border)] = OUTLINE
    return classes


LIGHTS = 8


def _relit(classes: np.ndarray, light: int) -> np.ndarray:
    """Another light of `LIGHTS`: the highlight as drawn (0), one pixel right (1), down (2) or larger (3) within the middle tone;
    from 4 on the same with the shadow one pixel larger."""
    lit, middle, dark = (CLASSES.index(tone) for tone in "lmd")
    spot, body = classes == lit, classes == middle
    moved = spot.copy() if light % 4 in (0, 3) else np.zeros_like(spot)
    if light % 4 == 1:
        moved[:, 1:] |= spot[:, :-1]
    elif light % 4 > 1:
        moved[1:] |= spot[:-1]
    shadow = np.zeros_like(spot)
    if light >= 4:
        shadow[:-1] |= classes[1:] == dark
    relit = np.where(body & shadow, dark, classes)
    return np.where(spot | body & ~shadow, np.where(moved, lit, middle), relit).astype(np.uint8)


@cache
def _class_colours(colour: int, style: int) -> np.ndarray:
    """RGBA of each class, uint8 (classes + 1, 4), the last one for the outline."""
    first = 1 + 4 * colour
    fixed = {letter: 1 + 4 * len(COLOURS) + i for i, letter in enumerate(FIXED)}
    entries = {".": 0, "l": first, "m": first + 1, "d": first + 2, "x": first + 3} | fixed
    name = COLOURS[colour].name_en
    pale = {"black": "x", "white": "d"}.get(name)  # what shows a black thing on a dark ground and a white one on a light ground
    outline = {
        "outlined": pale if name == "black" else "k",
        "flat": pale if name == "white" else ".",
        "shaded": "k" if name == "black" else "x",
    }
    materials = CLASSES
    if STYLES[style] == "flat":
        materials = materials.translate(PLAIN | ({ord("x"): "x"} if name == "black" else {}))
    elif STYLES[style] == "outlined":
        materials = materials.replace("d", "m")
    materials = materials.translate(str.maketrans(SWAPS.get(name, {}))) + outline[STYLES[style]]
    return PALETTE[[entries[c] for c in materials]]


def render(label: Label, side: int = 16, *, jitter_seed: int | None = None) -> np.ndarray:
    """The sprite of a label, uint8 (side, side, 4). Without a seed: centred and as drawn. With one: mirrored, moved, a row or
    column shorter, lit otherwise; the same seed gives the same sprite."""
    if side not in SIDES:
        raise ValueError(f"side must be one of {SIDES}, got {side}; try 16")
    if jitter_seed is None:
        drawing = _drawing(label.kind, label.size, side, 0, 0)
    else:
        dice = _Dice(jitter_seed)
        mirror = KINDS[label.kind].can_mirror and dice.chance(0.5)
        drawing = _drawing(label.kind, label.size, side, dice.roll(len(SEAMS)), dice.roll(LIGHTS))
        drawing = drawing[:, ::-1] if mirror else drawing
    h, w = drawing.shape
    top, left = (side - h) // 2, (side - w) // 2
    if jitter_seed is not None:
        reach = max(1, side // 8)
        top = min(max(top - reach + dice.roll(2 * reach + 1), 0), side - h)
        left = min(max(left - reach + dice.roll(2 * reach + 1), 0), side - w)
    canvas = np.zeros((side, side), np.uint8)
    canvas[top : top + h, left : left + w] = drawing
    return _class_colours(label.colour, label.style)[canvas]


# ---- Words

SIZE_WORDS = {"en": (("small", "tiny", "little"), ("big", "large")), "pt": ((("pequeno", "pequena"),), (("grande", "grande"),))}
STYLE_WORDS = {
    "en": (("outlined",), ("flat",), ("shaded",)),
    "pt": ((("contornado", "contornada"),), (("plano", "plana"),), (("sombreado", "sombreada"),)),
}
TEMPLATES = {  # {thing} is the noun with its adjectives, {a} its article
    "en": ("{thing}", "{thing}", "{a} {thing}", "{a} {thing}", "pixel art of {a} {thing}", "{thing} sprite", "{thing} icon",
           "pixel art {thing}"),
    "pt": ("{thing}", "{thing}", "{a} {thing}", "{a} {thing}", "pixel art de {a} {thing}", "sprite de {thing}", "ícone de {thing}",
           "desenho de {a} {thing}"),
}  # fmt: skip


def _plain(text: str) -> str:
    """Lower case, no accents, words separated by single spaces."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(re.findall(r"[a-z0-9]+", ascii_text.lower()))


def _without_accents(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def caption(label: Label, language: Literal["en", "pt"] = "en", variant: int = 0, *, bare: float = 0.0) -> str:
    """A sentence for a label. `variant` 0 is the plain "red potion" / "poção vermelha"; any other number chooses words, order and
    optional parts (article, size, style, synonyms, accents). A share `bare` of the other variants names the kind alone."""
    if language not in TEMPLATES:
        raise ValueError(f"language must be 'en' or 'pt', got {language!r}")
    dice = _Dice(variant)
    fancy = variant != 0
    bare_kind = fancy and dice.chance(bare)
    with_size, with_style = (fancy and not bare_kind and dice.chance(p) for p in (0.3, 0.25))
    build = _english if language == "en" else _portuguese
    text = build(label, dice, fancy, bare_kind, with_size, with_style)
    return _without_accents(text) if language == "pt" and fancy and dice.chance(0.3) else text


def _english(label: Label, dice: _Dice, fancy: bool, bare: bool, with_size: bool, with_style: bool) -> str:
    kind, colour = KINDS[label.kind], COLOURS[label.colour]
    noun = _word(kind.name_en, kind.synonyms_en, dice, fancy)
    tone = _word(colour.name_en, colour.synonyms_en, dice, fancy)
    size = dice.pick(SIZE_WORDS["en"][label.size]) if with_size else ""
    style = STYLES[label.style] if with_style else ""
    style_first = dice.chance(0.5)
    words = [style if style_first else "", size, "" if bare else tone, noun]
    thing = " ".join(word for word in words if word)
    template = dice.pick(TEMPLATES["en"]) if fancy else "{thing}"
    text = template.format(thing=thing, a="an" if thing[0] in "aeiou" else "a")
    return f"{text}, {style}" if style and not style_first else text


def _portuguese(label: Label, dice: _Dice, fancy: bool, bare: bool, with_size: bool, with_style: bool) -> str:
    kind, colour = KINDS[label.kind], COLOURS[label.colour]
    noun, gender = _word((kind.name_pt, kind.gender_pt), kind.synonyms_pt, dice, fancy)
    form = 0 if gender == "m" else 1
    tone = _word(colour.forms_pt()[0], colour.forms_pt()[1:], dice, fancy)[form]
    size = dice.pick(SIZE_WORDS["pt"][label.size])[form] if with_size else ""
    style = STYLE_WORDS["pt"][label.style][0][form] if with_style else ""
    size_first = dice.chance(0.3)
    style_apart = dice.chance(0.5)
    words = [size if size_first else "", noun, "" if bare else tone, "" if size_first else size, "" if style_apart else style]
    thing = " ".join(word for word in words if word)
    template = dice.pick(TEMPLATES["pt"]) if fancy else "{thing}"
    text = template.format(thing=thing, a=("um", "uma")[form])
    return f"{text}, {style}" if style and style_apart else text


def _word(name, synonyms, dice: _Dice, fancy: bool):
    """The name, or one time in four a synonym."""
    return dice.pick(synonyms) if fancy and synonyms and dice.chance(0.25) else name


@lru_cache(maxsize=1)
def _dictionary() -> tuple[dict[str, int], dict[str, int]]:
    """Plain phrase -> index, for kinds and for colours, in both languages."""
    kinds, colours = {}, {}
    for i, kind in enumerate(KINDS):
        for word in (kind.name_en, *kind.synonyms_en, kind.name_pt, *(word for word, _ in kind.synonyms_pt)):
            kinds[_plain(word)] = i
    for i, colour in enumerate(COLOURS):
        for word in (colour.name_en, *colour.synonyms_en, *(form for pair in colour.forms_pt() for form in pair)):
            colours[_plain(word)] = i
    return kinds, colours


def parse(text: str) -> tuple[int | None, int | None]:
    """(kind, colour) that a text in either language names, None where it names none; accents and case do not matter."""
    words = _plain(text).split()
    kinds, colours = _dictionary()
    return _find(words, kinds), _find(words, colours)


def _find(words: list[str], phrases: dict[str, int]) -> int | None:
    """The index of the longest phrase that occurs among the words, the first one of equals."""
    for length in (3, 2, 1):
        for start in range(len(words) - length + 1):
            index = phrases.get(" ".join(words[start : start + length]))
            if index is not None:
                return index
    return None


def word_lists() -> dict[str, dict[str, list[str]]]:
    """The words captions can contain, by language, then by "kinds", "colours", "sizes" and "styles"."""
    return {
        "en": {
            "kinds": [word for kind in KINDS for word in (kind.name_en, *kind.synonyms_en)],
            "colours": [word for colour in COLOURS for word in (colour.name_en, *colour.synonyms_en)],
            "sizes": [word for words in SIZE_WORDS["en"] for word in words],
            "styles": list(STYLES),
        },
        "pt": {
            "kinds": [word for kind in KINDS for word in (kind.name_pt, *(synonym for synonym, _ in kind.synonyms_pt))],
            "colours": _forms(pair for colour in COLOURS for pair in colour.forms_pt()),
            "sizes": _forms(pair for words in SIZE_WORDS["pt"] for pair in words),
            "styles": _forms(pair for words in STYLE_WORDS["pt"] for pair in words),
        },
    }


def _forms(pairs) -> list[str]:
    """Masculine and feminine forms, each word once."""
    return list(dict.fromkeys(form for pair in pairs for form in pair))


# ---- Data sets


def make(
    n: int,
    *,
    side: int = 16,
    seed: int = 0,
    split: Split = "train",
    portuguese: float = 0.5,
    start: int = 0,
    bare: float = 0.0,
    kinds: Sequence[str] = (),
) -> Sprites:
    """Items start .. start + n - 1 of an endless data set. Item i depends on (seed, i) alone, so any slice can be made again;
    every run of len(labels(split)) items has each label once. `portuguese` is the share of Portuguese captions in [0, 1], `bare` the
    share that names the kind without its colour; `kinds` keeps to these, named in either language (none = all)."""
    if n < 0 or start < 0:
        raise ValueError(f"n and start must be at least 0, got {n} and {start}")
    for name, share in (("portuguese", portuguese), ("bare", bare)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} must be a share between 0 and 1, got {share}")
    all_labels = labels(split)
    if kinds:
        all_labels = all_labels[np.isin(all_labels[:, 0], kind_indices(kinds))]
    each = len(all_labels)
    rows = np.array([all_labels[_order(each, seed, i // each)[i % each]] for i in range(start, start + n)], np.int64)
    rows = rows.reshape(n, 4)
    images, captions = np.zeros((n, side, side, 4), np.uint8), []
    for offset, row in enumerate(rows.tolist()):
        label = Label(*row)
        item = _mix(_mix(seed) ^ (start + offset))
        images[offset] = render(label, side, jitter_seed=item)
        dice = _Dice(item ^ 0x5EED)
        captions.append(caption(label, "pt" if dice.chance(portuguese) else "en", dice.roll(1 << 40), bare=bare))
    return Sprites(images, rows, captions)


def kind_indices(names: Sequence[str]) -> tuple[int, ...]:
    """Indices into KINDS of kinds named in either language, without repeats. Raises ValueError for a name that is none."""
    found = [parse(name)[0] for name in names]
    if None in found:
        raise ValueError(f"unknown kind {names[found.index(None)]!r}; known: {', '.join(kind.name_en for kind in KINDS)}")
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=64)
def _order(n: int, seed: int, epoch: int) -> np.ndarray:
    """The order in which one pass visits n labels."""
    return np.argsort(_mix(np.arange(n, dtype=np.uint64) ^ np.uint64(_mix(_mix(seed) ^ (epoch << 32)))), kind="stable")
