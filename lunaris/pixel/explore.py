"""Looking around in the latent space: a map of two dimensions to click through, arithmetic on prompts, a picture through the model.

x, y  a point of a map, x to the right and y upwards; the square that a map opens with has its corners at (±1, ±1)
z, t  latent and text vector, as in model.py

What a map shows is said by its prompts, separated by |:
    four   one at each corner, in reading order; between them lies every mixture of their text vectors, with the seed's z
    two    from the left to the right one turns into the other; up and down, z leaves the seed's
    one    z leaves the seed's in both directions, and the prompt stays
    none   four corners that the seed draws: words that the model knows, or the latents of procedural sprites for a model without text

Why no principal axes, the usual plane: two axes hold 27 % of what the latents of pixel-16 have to say (15 % for its text vectors), so a
plane along them shows the same average blob in other colours. Between four corners, a person sees what turns into what.
"""

import contextlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lunaris.core.images import Rgba, RgbaBatch, fit_square, from_model, to_model
from lunaris.pixel import sprites
from lunaris.pixel.generate import finish, generate_request, understood
from lunaris.pixel.model import LunarCore
from lunaris.pixel.palette import DITHERS
from lunaris.pixel.pixelise import quantise
from lunaris.pixel.request import MAX_PROMPT, PixelRequest

# --- the map ---------------------------------------------------------------------------------------------------------------------

CELLS = 13  # sprites along each side of a map; odd, so that one of them is its very centre
REACH = 4  # how far from the middle a point may lie
ZOOM = (0.5, 64)


@dataclass(frozen=True)
class Plane:
    """A surface through the latent space, from z and text vector at its corners (in reading order) and the ways that z takes from there.

    `names` are the prompts of the corners, drawn ones included.
    """

    names: tuple[str, ...]
    z: Float[Tensor, "4 l"]
    text: Float[Tensor, "4 l"] | None
    ways: Float[Tensor, "2 l"]  # along x, along y; zero where z stays
    guidance: float

    def at(self, x: float, y: float) -> tuple[Float[Tensor, "1 l"], Float[Tensor, "1 l"] | None]:
        """z and text vector of a point; at a corner the corner's own, bit for bit."""
        z = _mix(self.z, x, y)
        moved = z + x * self.ways[0] + y * self.ways[1]
        moved = moved * (z.norm() / moved.norm().clamp_min(1e-6))  # as far from the origin as before, so no point is an unlikely one
        return moved, None if self.text is None else _mix(self.text, x, y)


def _mix(corners: Float[Tensor, "4 l"], x: float, y: float) -> Float[Tensor, "1 l"]:
    """The mixture of four corners at a point; torch.lerp is exact at both ends and between equals."""
    above, below = (torch.lerp(*row, (x + 1) / 2) for row in (corners[:2], corners[2:]))
    return torch.lerp(below, above, (y + 1) / 2)[None]


@torch.no_grad()
def plane(model: LunarCore, prompt: str = "", *, seed: int = 0, temperature: float = 0.7, guidance: float = 1.0) -> Plane:
    """The surface that `prompt` (none, or one, two or four prompts with | between them) and `seed` describe; see the module's top.

    Raises ValueError for another number of prompts, an empty one, or a prompt to a model without text.
    """
    names = [name.strip() for name in prompt.split("|")] if isinstance(prompt, str) and prompt.strip() else []
    if len(names) not in (0, 1, 2, 4) or not all(names):
        raise ValueError(f"a map takes one, two or four prompts with | between them, got {prompt[:40]!r}; try 'a red cat | a blue key'")
    for name in names or [prompt]:
        order = PixelRequest(prompt=name, n=1, seed=seed, temperature=temperature, guidance=guidance)
    z, *ways = (model.noise(order.seed, draft=draft) * order.temperature for draft in range(3))
    free = torch.tensor([[len(names) == 1], [len(names) in (1, 2)]], device=model.device)
    ways = torch.cat(ways) * free
    if not names:
        names, pictures = _drawn(model, order.seed)
        if not names:
            pictures = to_model(pictures, model.config.channels).to(model.device)
            return Plane((), torch.cat([model.encode(picture[None])[0] for picture in pictures]), None, ways, order.guidance)
    text = torch.cat([_embed(model, name) for name in names])
    corners = text[{1: [0, 0, 0, 0], 2: [0, 1, 0, 1], 4: [0, 1, 2, 3]}[len(names)]]
    return Plane(tuple(names), z.expand(4, -1), corners, ways, order.guidance)


def _embed(model: LunarCore, prompt: str) -> Float[Tensor, "1 l"]:
    """The text vector that `generate` draws this prompt with."""
    return model.embed([" ".join(understood(model, prompt).split())])


def _drawn(model: LunarCore, seed: int) -> tuple[list[str], RgbaBatch]:
    """Four sprites of different things in different colours, and their captions as far as the model can read all four."""
    items = sprites.make(64, side=model.config.side, seed=seed)
    labels = [sprites.Label(*row) for row in items.labels.tolist()]
    captions = [sprites.caption(label) for label in labels]

    def different(candidates: Iterable[int]) -> list[int]:
        chosen: list[int] = []
        for i in candidates:
            if len(chosen) < 4 and all(labels[i].kind != labels[j].kind and labels[i].colour != labels[j].colour for j in chosen):
                chosen.append(i)
        return chosen

    readable = different(i for i, caption in enumerate(captions) if model.config.use_text and model.words.keys() >= set(caption.split()))
    if len(readable) == 4:
        return [captions[i] for i in readable], items.images[readable]
    return [], items.images[different(range(len(labels)))]


@torch.no_grad()
def latent_map(
    model: LunarCore,
    prompt: str = "",
    *,
    seed: int = 0,
    temperature: float = 0.7,
    guidance: float = 1.0,
    x: float = 0.0,
    y: float = 0.0,
    zoom: float = 1.0,
    cells: int = CELLS,
) -> RgbaBatch:
    """The map around (x, y) as cells·cells sprites, row by row from the top left. Each is what `decode_point` gives there, bit for bit.

    At zoom 1 the outer sprites lie one unit from the middle, at zoom 4 a quarter of one.
    """
    if isinstance(cells, bool) or not isinstance(cells, int) or not 3 <= cells <= 21:
        raise ValueError(f"cells must be a whole number from 3 to 21, got {cells!r}; try {CELLS}")
    xs, ys = ticks(x, zoom, cells), ticks(y, zoom, cells)[::-1]
    surface = plane(model, prompt, seed=seed, temperature=temperature, guidance=guidance)
    points = [surface.at(across, up) for up in ys for across in xs]
    z, text = torch.cat([z for z, _ in points]), None if surface.text is None else torch.cat([text for _, text in points])
    return from_model(model.decode_each(z, text, surface.guidance))


def ticks(middle: float, zoom: float, cells: int = CELLS) -> list[float]:
    """Where along an axis the sprites of a map lie."""
    _check_number("x and y", middle, -REACH, REACH, "0")
    _check_number("zoom", zoom, *ZOOM, "1")
    return [middle + (2 * i / (cells - 1) - 1) / zoom for i in range(cells)]


@torch.no_grad()
def decode_point(
    model: LunarCore, x: float, y: float, *, prompt: str = "", seed: int = 0, temperature: float = 0.7, guidance: float = 1.0
) -> RgbaBatch:
    """The one sprite at a point of the map that `prompt` and `seed` describe; both coordinates within ±8.

    With one or two prompts, (0, 0) and (±1, 0) are what `generate` draws for prompt and seed; with four, the corners (±1, ±1) are.
    """
    for value in (x, y):
        _check_number("x and y", value, -2 * REACH, 2 * REACH, "0")  # as far as the furthest map shows
    surface = plane(model, prompt, seed=seed, temperature=temperature, guidance=guidance)
    return from_model(model.decode(*surface.at(x, y), surface.guidance))


def _check_number(name: str, value: float, low: float, high: float, good: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name} must be a finite number from {low:g} to {high:g}, got {str(value)[:40]}; try {good}")


# --- arithmetic on prompts ---------------------------------------------------------------------------------------------------------

MAX_TERMS = 8
MAX_WEIGHT = 4.0
EXAMPLE = "'cat + hat - red'"

_TERM = re.compile(
    r"""\s*(?P<sign>[+−-])?\s*
    (?:(?P<weight>\d+(?:[.,]\d+)?|[.,]\d+)\s*[*×]\s*)?
    (?:"(?P<quoted>[^"]*\w[^"]*)"|(?P<words>(?:[^+−*×"-]|(?<=\w)-(?=\w))+))\s*""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Term:
    """A prompt and how much of it is added (weight > 0) or taken away (weight < 0)."""

    text: str
    weight: float

    def __str__(self) -> str:
        text = self.text if re.fullmatch(r"[\w ]+", self.text) else f'"{self.text}"'
        return text if abs(self.weight) == 1 else f"{Decimal(repr(abs(self.weight))).normalize():f}*{text}"


@dataclass(frozen=True)
class Workings:
    """What a sum is made of, in pictures: each term's own sprite, the sum after each term, and the results, `n` of them.

    All but the results have the z of the first; sums[-1] is results[0]. `steps` are the terms of each sum: where those so far cancel each
    other out, there is nothing to draw, and no step.
    """

    terms: tuple[Term, ...]
    of_terms: RgbaBatch
    steps: tuple[tuple[Term, ...], ...]
    sums: RgbaBatch
    results: RgbaBatch


def parse(expression: str) -> tuple[Term, ...]:
    """The terms of an expression such as 'cat + 1.5*hat - red'.

        expression = term, then up to seven times + or - and a term
        term       = [weight *] words, or [weight *] "any text in quotes"
        weight     = a number above 0, at most 4; 1 when it is left out

    A hyphen between two letters belongs to its word (cor-de-rosa). The first term is added. Raises ValueError for anything else.
    """
    if not isinstance(expression, str):
        raise ValueError(f"expression must be a text, got {str(expression)[:40]}; try {EXAMPLE}")
    if len(expression) > MAX_PROMPT:
        raise ValueError(f"expression must be at most {MAX_PROMPT} characters, got {len(expression)}; say it shorter, such as {EXAMPLE}")
    rest = " ".join(re.sub("[“”„]", '"', expression).split())
    terms: list[Term] = []
    while rest:
        found = _TERM.match(rest)
        if not found or (terms and not found["sign"]) or not (found["quoted"] or re.search(r"\w", found["words"])):
            raise ValueError(f"cannot read {rest[:30]!r} as a term; join prompts with + and -, such as {EXAMPLE}")
        weight = float((found["weight"] or "1").replace(",", "."))
        if not 0 < weight <= MAX_WEIGHT:
            raise ValueError(f"a weight must be above 0 and at most {MAX_WEIGHT:g}, got {found['weight'][:20]}; try '1.5*cat + hat'")
        negative = found["sign"] in ("-", "−")
        terms.append(Term((found["quoted"] or found["words"]).strip(), -weight if negative else weight))
        rest = rest[found.end() :]
    if not 1 <= len(terms) <= MAX_TERMS:
        raise ValueError(f"expression must have from 1 to {MAX_TERMS} terms, got {len(terms)}; try {EXAMPLE}")
    if terms[0].weight < 0:
        raise ValueError(f"the first term must be added, got '- {terms[0]}'; start with what the picture shows, such as {EXAMPLE}")
    return tuple(terms)


def written(terms: tuple[Term, ...]) -> str:
    """An expression of these terms; `parse` gives them back."""
    first, *others = terms
    return " ".join([str(first), *(f"{'+' if term.weight > 0 else '-'} {term}" for term in others)])


class CancelledError(ValueError):
    """A sum of which nothing is left."""


def combine(texts: Float[Tensor, "k l"], weights: list[float]) -> Float[Tensor, "1 l"]:
    """The weighted sum of the directions of text vectors, as long as the added ones are on average; a single term is itself.

    A bag of words gives "red" a vector twice as long as "a red cat", so a plain sum follows whoever says least. With pixel-16 and 150
    sums of each form, the right kind and colour came out, by the nearest of all 960 sprites, for
                            kind + colour   sprite - colour + colour   kind + colour - colour   sprite - kind + kind
        the plain sum                 .93                        .99                      .95                    .94
        its direction                 .81                        .75                      .77                    .93
        the mean vector               .83                        .99                      .95                    .94
        this                          .98                       1.00                      .97                    .99
    """
    if len(weights) == 1:
        return texts
    lengths = texts.norm(dim=1, keepdim=True)
    share = torch.tensor(weights, device=texts.device)[:, None]
    total = (share * texts / lengths.clamp_min(1e-6)).sum(0, keepdim=True)
    if total.norm() < 1e-3:
        raise CancelledError(f"the terms cancel each other out, so nothing is left to draw; try {EXAMPLE}")
    return total / total.norm() * lengths[share > 0].mean()


@torch.no_grad()
def work_out(
    model: LunarCore,
    expression: str,
    *,
    n: int = 8,
    seed: int = 0,
    temperature: float = 0.7,
    guidance: float = 1.0,
    palette: str = "",
) -> Workings:
    """`arithmetic` with its workings: what each term looks like alone, and what each one did to the sum."""
    terms = parse(expression)
    order = {"seed": seed, "temperature": temperature, "guidance": guidance, "palette": palette}
    alone = [PixelRequest(prompt=term.text, n=1, **order) for term in terms]  # refuses what no prompt may be
    count = PixelRequest(n=n, **order).n
    texts = torch.cat([_embed(model, term.text) for term in terms])
    weights = [term.weight for term in terms]
    sums = {}
    for k in range(1, len(terms)):
        with contextlib.suppress(CancelledError):
            sums[terms[:k]] = combine(texts[:k], weights[:k])
    sums[terms] = combine(texts, weights)
    noise = model.noise(seed, count) * temperature

    def draw(z: Tensor, text: Tensor) -> RgbaBatch:
        return finish(from_model(model.decode_each(z, text, guidance)), palette=palette)

    own = np.concatenate([generate_request(model, request) for request in alone])
    steps = draw(noise[:1].expand(len(sums), -1), torch.cat([*sums.values()]))
    return Workings(terms, own, tuple(sums), steps, draw(noise, sums[terms]))


def arithmetic(
    model: LunarCore,
    expression: str,
    *,
    n: int = 8,
    seed: int = 0,
    temperature: float = 0.7,
    guidance: float = 1.0,
    palette: str = "",
) -> RgbaBatch:
    """`n` sprites of a sum of prompts such as 'cat + hat - red' (see `parse`). Picture i is what seed + i gives alone, bit for bit.

    A single term is what `generate` draws for it. Raises ValueError in one sentence for an expression that cannot be read.
    """
    return work_out(model, expression, n=n, seed=seed, temperature=temperature, guidance=guidance, palette=palette).results


# --- a picture through the model ---------------------------------------------------------------------------------------------------


def reconstruct(model: LunarCore, image: Rgba, *, palette: str = "", colours: int = 0, dither: str = "none") -> RgbaBatch:
    """The model's own drawing of one picture: fitted to its size, encoded, decoded without a prompt.

    It is kept to `palette`, or to at most `colours` of its own (2 to 64), dithered as `pixelise` does; without either it is as drawn.
    """
    order = PixelRequest(palette=palette, colours=colours)  # refuses what no order may be
    if dither not in DITHERS:
        raise ValueError(f"dither must be one of {', '.join(DITHERS)}, got {dither!r}; try 'none'")
    fitted = fit_square(image, model.config.side)[None]
    drawn = from_model(model.reconstruct(to_model(fitted, model.config.channels).to(model.device)))
    if not (order.palette or order.colours):
        return drawn
    return quantise(drawn[0], palette=order.palette, colours=order.colours, dither=dither)[None]
