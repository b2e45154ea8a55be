"""Any picture as pixel art, by shrinking and quantising alone: no model takes part, so it works for everything."""

import math

import numpy as np
from PIL import Image

from lunaris.core.images import Rgba, edges, enlargement, fit_square, to_pil, upscale
from lunaris.pixel import palette as palettes

MIN_EDGES = 8  # fewer say little about a grid that the picture's border cuts


def pixelise(picture: Rgba, *, side: int, palette: str = "", colours: int = 16, dither: str = "none", fit: str = "contain") -> Rgba:
    """The picture as a sprite of side x side pixels (4 to 256), in the colours of `palette`, or in at most `colours` (2 to 256) of its own.

    Pixel art that someone enlarged comes back pixel by pixel. What is larger than the sprite is averaged over areas, with colours
    weighted by alpha; what is smaller is enlarged by a whole factor. fit "contain" keeps the whole picture, with a transparent border
    if it is not square; "cover" fills the sprite and cuts the longer side. For `palette` and `dither` see `palette.parse` and
    `palette.apply`. Alpha comes out 0 or 255.
    """
    if not 4 <= side <= 256:
        raise ValueError(f"side must be from 4 to 256 pixels, got {side}; try 32")
    if fit not in ("contain", "cover"):
        raise ValueError(f"fit must be contain or cover, got {fit!r}; try 'contain'")
    image = native(picture)
    h, w = image.shape[:2]
    if fit == "cover":
        h = w = min(h, w)
        y, x = (image.shape[0] - h) // 2, (image.shape[1] - w) // 2
        image = image[y : y + h, x : x + w]
    if max(h, w) > side:
        size = (max(1, round(w * side / max(h, w))), max(1, round(h * side / max(h, w))))
        image = np.asarray(to_pil(image).resize(size, Image.Resampling.BOX))  # Pillow weights by alpha here
    else:
        image = upscale(image, min(64, side // max(h, w)))
    return quantise(fit_square(image, side), palette=palette, colours=colours, dither=dither)


def quantise(image: Rgba, *, palette: str = "", colours: int = 16, dither: str = "none") -> Rgba:
    """The picture in the colours of `palette`, or in at most `colours` (2 to 256) of its own; alpha comes out 0 or 255."""
    chosen = palettes.parse(palette) if palette else palettes.extract(image[None], colours)
    return palettes.apply(image[None], chosen, dither=dither)[0]


def native(picture: Rgba) -> Rgba:
    """The pixel art behind a nearest-neighbour enlargement, also where its border cuts the outer pixels; any other picture as it is."""
    h, w = picture.shape[:2]
    rows, columns = edges(picture)
    factor = enlargement(picture)
    if factor == 1 and min(len(rows), len(columns)) >= MIN_EDGES:
        factor = math.gcd(*np.diff(rows).tolist(), *np.diff(columns).tolist())
    if factor == 1:
        return picture
    ys, xs = (sorted({0, *range(lines[0] % factor if lines else 0, length, factor)}) for lines, length in ((rows, h), (columns, w)))
    return picture[np.ix_(ys, xs)]
