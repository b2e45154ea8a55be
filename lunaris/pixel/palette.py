"""Palettes: named ones and your own, and sprites kept to them. Numpy only, so that an order is checked before torch is loaded.

Colours are matched in OKLab (Ottosson 2020, https://bottosson.github.io/posts/oklab/), where equal distances look about equally far
apart, which plain RGB distances do not. Lab values are rounded to 1/65536, far finer than 8-bit colour, and
distances are computed pixel by pixel, so the same pixel gets the same colour in any batch; ties go to the earlier colour.
A pixel counts as opaque from alpha 128 on.
"""

import re

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from lunaris.core.config import ConfigError

RgbaBatch = UInt8[np.ndarray, "_ _ _ 4"]
Colours = UInt8[np.ndarray, "_ 3"]

MAX_COLOURS = 256
DITHERS = ("none", "ordered", "floyd-steinberg")

NAMED: dict[str, tuple[str, ...]] = {
    # the four greens that stand for the screen of the first Game Boy (DMG, 1989)
    "gameboy": ("#0f380f", "#306230", "#8bac0f", "#9bbc0f"),
    # the 16 colours of the PICO-8 fantasy console, in its own order
    "pico8": (
        *("#000000", "#1d2b53", "#7e2553", "#008751", "#ab5236", "#5f574f", "#c2c3c7", "#fff1e8"),
        *("#ff004d", "#ffa300", "#ffec27", "#00e436", "#29adff", "#83769c", "#ff77a8", "#ffccaa"),
    ),
    # the picture chip 2C02 as in the table of the NESdev wiki: 64 codes, 54 different colours
    "nes": (
        *("#545454", "#001e74", "#081090", "#300088", "#440064", "#5c0030", "#540400", "#3c1800", "#202a00", "#083a00", "#004000"),
        *("#003c00", "#00323c", "#000000"),
        *("#989698", "#084cc4", "#3032ec", "#5c1ee4", "#8814b0", "#a01464", "#982220", "#783c00", "#545a00", "#287200", "#087c00"),
        *("#007628", "#006678"),
        *("#eceeec", "#4c9aec", "#787cec", "#b062ec", "#e454ec", "#ec58b4", "#ec6a64", "#d48820", "#a0aa00", "#74c400", "#4cd020"),
        *("#38cc6c", "#38b4cc", "#3c3c3c"),
        *("#a8ccec", "#bcbcec", "#d4b2ec", "#ecaeec", "#ecaed4", "#ecb4b0", "#e4c490", "#ccd278", "#b4de78", "#a8e290", "#98e2b4"),
        *("#a0d6e4", "#a0a2a0"),
    ),
    # the picture chip VIC-II of the C64, PAL, as calculated by Philip "Pepto" Timmermann (2001), in the chip's order
    "c64": (
        *("#000000", "#ffffff", "#68372b", "#70a4b2", "#6f3d86", "#588d43", "#352879", "#b8c76f"),
        *("#6f4f25", "#433900", "#9a6759", "#444444", "#6c6c6c", "#9ad284", "#6c5eb5", "#959595"),
    ),
}

# --- in words ---------------------------------------------------------------------------------------------------------------------


def parse(text: str) -> Colours:
    """The colours a person named: gameboy, pico8, nes, c64 ("PICO-8" is fine too), or 2 to 256 hex colours such as '#0f380f, #9bbc0f'.

    Colours are separated by commas, semicolons or spaces; '#rgb' is short for '#rrggbb', and of six digits the # may be left out.
    Repeated colours count once. Raises `ConfigError` for anything else, such as one colour or a sentence.
    """
    listed = NAMED.get(re.sub(r"[\W_]+", "", text.lower())) or [word for word in re.split(r"[\s,;]+", text) if word]
    for word in listed:
        if not re.fullmatch(r"#[0-9a-fA-F]{3}|#?[0-9a-fA-F]{6}", word):
            raise ConfigError(
                f"palette must be one of {', '.join(NAMED)} or a list of hex colours, got {word[:40]!r}; try 'pico8' or '#0f380f, #9bbc0f'"
            )
    digits = dict.fromkeys(word.lstrip("#").lower() for word in listed)
    rgb = dict.fromkeys(code if len(code) == 6 else "".join(2 * char for char in code) for code in digits)
    if not 2 <= len(rgb) <= MAX_COLOURS:
        raise ConfigError(f"palette must have from 2 to {MAX_COLOURS} different colours, got {len(rgb)}; try '#0f380f, #9bbc0f'")
    return np.array([list(bytes.fromhex(code)) for code in rgb], np.uint8)


# --- on sprites -------------------------------------------------------------------------------------------------------------------


def apply(images: RgbaBatch, colours: Colours, *, dither: str = "none") -> RgbaBatch:
    """The sprites in these colours alone: every pixel is opaque and in the palette, or transparent black.

    none takes the nearest colour; ordered mixes colours in a 4x4 Bayer pattern (Knoll's pattern dithering), which stays still in
    animations; floyd-steinberg passes each pixel's error on to its neighbours to the right and below, per sprite, and never through
    transparent pixels. What a palette cannot show at all (red on a Game Boy) is clipped to its range first, so no error piles up.
    """
    if dither not in DITHERS:
        raise ValueError(f"dither must be one of {', '.join(DITHERS)}, got {dither!r}; try 'none'")
    opaque = images[..., 3] >= 128
    lab = oklab(colours)
    if dither == "floyd-steinberg":
        index = _diffuse(oklab(images[..., :3]), opaque, lab)  # (n, h, w)
    else:
        unique, inverse = _unique(images[..., :3])
        inverse = inverse.reshape(opaque.shape)
        if dither == "none":
            index = _nearest(oklab(unique), lab)[inverse]
        else:
            y, x = np.indices(opaque.shape[1:]) % 4
            index = _pattern(oklab(unique), lab)[inverse, BAYER[y, x]]
    return np.where(opaque[..., None], np.insert(colours, 3, 255, 1)[index], np.uint8(0))


def reduce(images: RgbaBatch, n: int) -> RgbaBatch:
    """The sprites with at most `n` (2 to 256) colours each, chosen among the sprite's own; alpha is 0 or 255.

    A sprite with no more colours than that keeps them as they are. Each sprite is reduced alone: its batch makes no difference.
    """
    _check_count(n)
    opaque = images[..., 3] >= 128
    reduced = np.where(opaque[..., None], images, np.uint8(0))
    for i, inside in enumerate(opaque):
        unique, inverse, counts = _unique(reduced[i, inside, :3], counts=True)
        reduced[i, inside, :3] = unique[_representatives(unique, counts, n)[inverse]]
    reduced[opaque, 3] = 255
    return reduced


def extract(images: RgbaBatch, n: int) -> Colours:
    """One palette for all the sprites, at most `n` (2 to 256) of their own colours, dark to light. Raises ValueError when all is empty."""
    _check_count(n)
    unique, _, counts = _unique(images[images[..., 3] >= 128][:, :3], counts=True)
    if not len(unique):
        raise ValueError("the pictures must have an opaque pixel to take colours from, got none; choose others")
    kept = unique[np.unique(_representatives(unique, counts, n))]
    return kept[oklab(kept)[:, 0].argsort(kind="stable")]


def count(image: UInt8[np.ndarray, "_ _ 4"]) -> int:
    """How many different colours the visible pixels have, opacity included."""
    return len(np.unique(image[image[..., 3] > 0], axis=0))


def foreign_pixels(images: RgbaBatch, colours: Colours) -> int:
    """How many pixels break the palette: partly transparent ones, and opaque ones in any other colour."""
    partial = (images[..., 3] > 0) & (images[..., 3] < 255)
    foreign = (images[..., 3] == 255) & ~np.isin(_pack(images[..., :3]), _pack(colours))
    return int((partial | foreign).sum())


def _check_count(n: int) -> None:
    if not 2 <= n <= MAX_COLOURS:
        raise ValueError(f"colours must be from 2 to {MAX_COLOURS}, got {n}; try 16")


# --- colour space -----------------------------------------------------------------------------------------------------------------


def oklab(rgb: UInt8[np.ndarray, "*_ 3"]) -> Float[np.ndarray, "*_ 3"]:
    """sRGB bytes in OKLab: lightness in [0, 1], green-red and blue-yellow in about [-0.4, 0.4], in steps of 1/65536."""
    value = np.arange(256) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)[rgb]
    r, g, b = linear[..., 0], linear[..., 1], linear[..., 2]
    # written out: a matrix product may round differently for another batch size
    l = np.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    m = np.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    s = np.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    lab = (
        0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
        1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
        0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
    )
    return np.round(np.stack(lab, -1) * 65536) / 65536


def _nearest(lab: Float[np.ndarray, "m 3"], palette: Float[np.ndarray, "p 3"]) -> Int[np.ndarray, "m"]:
    """Index of the nearest palette colour."""
    parts = np.array_split(lab, len(lab) * len(palette) // 2**15 + 1)  # the distances of one part fit into the processor's cache
    return np.concatenate([sum((part[:, i, None] - palette[:, i]) ** 2 for i in range(3)).argmin(1) for part in parts])


def _pack(rgb: UInt8[np.ndarray, "*_ 3"]) -> Int[np.ndarray, "*_"]:
    return rgb @ np.array([65536, 256, 1])


def _unique(rgb: UInt8[np.ndarray, "*_ 3"], counts: bool = False):
    """The different colours (u, 3), for every pixel which one it is (flat), and if asked how often each occurs."""
    packed, inverse, *more = np.unique(_pack(rgb).ravel(), return_inverse=True, return_counts=counts)
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], 1).astype(np.uint8), inverse, *more


# --- dithering --------------------------------------------------------------------------------------------------------------------

BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])


def _pattern(lab: Float[np.ndarray, "u 3"], palette: Float[np.ndarray, "p 3"]) -> Int[np.ndarray, "u 16"]:
    """For each colour the 16 palette colours that mix to it, dark to light: one for each cell of the Bayer pattern."""
    low, high = palette.min(0), palette.max(0)
    goal = lab.clip(low, high)
    error, picks = np.zeros_like(goal), []
    for _ in range(BAYER.size):
        picks.append(_nearest((goal + error).clip(low, high), palette))
        error += goal - palette[picks[-1]]
    dark_to_light = palette[:, 0].argsort(kind="stable")
    rank = dark_to_light.argsort(kind="stable")
    return dark_to_light[np.sort(rank[np.stack(picks, 1)], 1)]


def _diffuse(
    lab: Float[np.ndarray, "n h w 3"], opaque: Bool[np.ndarray, "n h w"], palette: Float[np.ndarray, "p 3"]
) -> Int[np.ndarray, "n h w"]:
    """Floyd and Steinberg's error diffusion, all sprites at once, line after slanted line: on one, no pixel waits for another."""
    n, h, w, _ = lab.shape
    low, high = palette.min(0), palette.max(0)
    index = np.zeros((n, h, w), int)
    error = np.zeros((n, h + 1, w + 2, 3))  # of pixel (y, x) at [y + 1, x + 1]: the edges need no special case
    for line in range(w + 2 * h - 2):
        y = np.arange(max(0, (line - w) // 2 + 1), min(h - 1, line // 2) + 1)
        x = line - 2 * y
        passed = error[:, y, x] + 5 * error[:, y, x + 1] + 3 * error[:, y, x + 2] + 7 * error[:, y + 1, x]  # (n, pixels, 3)
        goal = (lab[:, y, x] + passed / 16).clip(low, high)
        index[:, y, x] = _nearest(goal.reshape(-1, 3), palette).reshape(n, -1)
        error[:, y + 1, x + 1] = np.where(opaque[:, y, x, None], goal - palette[index[:, y, x]], 0)
    return index


# --- fewer colours ----------------------------------------------------------------------------------------------------------------


def _representatives(rgb: Colours, counts: Int[np.ndarray, "u"], n: int) -> Int[np.ndarray, "u"]:
    """For each of `rgb`'s different colours the index of the one that stands for it; at most `n` of them do.

    Splits the group with the largest squared error along its widest axis, at its mean, until there are n; the colour nearest to a
    group's mean stands for it, and at last every colour goes to the nearest one that stands.
    """
    if len(rgb) <= n:
        return np.arange(len(rgb))
    lab, group = oklab(rgb), np.zeros(len(rgb), int)
    moments = counts[:, None] * np.concatenate([np.ones((len(lab), 1)), lab, lab**2], 1)  # (u, 7): weight, sums, sums of squares
    total, error = np.zeros((n, 7)), np.zeros((n, 3))  # of every group; the squared error along each axis
    total[0] = moments.sum(0)
    error[0] = _error(total[0])
    for new in range(1, n):
        worst = error.sum(1).argmax()
        axis = error[worst].argmax()
        above = (group == worst) & (lab[:, axis] > total[worst, 1 + axis] / total[worst, 0])
        group[above] = new
        total[new] = moments[above].sum(0)
        total[worst] -= total[new]
        error[new], error[worst] = _error(total[new]), _error(total[worst])
    kept = _nearest(total[:, 1:4] / total[:, :1], lab)
    return kept[_nearest(lab, lab[kept])]


def _error(moments: Float[np.ndarray, "7"]) -> Float[np.ndarray, "3"]:
    return moments[4:] - moments[1:4] ** 2 / moments[0]
