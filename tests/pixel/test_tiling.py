"""pixel.tiling: pictures that repeat are told from those that do not, and repeating repeats."""

import numpy as np
import pytest

from lunaris.pixel.tiling import ACCEPTED, seam_score, tile


def waves(n, side, *, periodic, seed=0):
    """Random wavy textures in six shades; periodic ones have whole waves across the picture, so that they repeat without a seam."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    for _ in range(n):
        picture = np.zeros((side, side, 3))
        for _ in range(6):
            fx, fy = rng.integers(-3, 4, 2) if periodic else rng.uniform(-3, 3, 2)
            picture += rng.normal(size=3) * np.cos(2 * np.pi * (fx * x + fy * y) + rng.uniform(0, 6))[..., None]
        shades = np.round(5 * (picture - picture.min()) / np.ptp(picture)) * 51
        yield np.insert(shades.astype(np.uint8), 3, 255, 2)


def opaque(grey):
    return np.stack([*3 * [grey], np.full_like(grey, 255)], -1).astype(np.uint8)


RAMP = opaque(np.tile(np.linspace(0, 255, 16), (16, 1)))  # dark at the left, light at the right


@pytest.mark.parametrize("side", [16, 32])
def test_textures_that_repeat_are_accepted_and_others_are_not(side):
    accepted = [seam_score(picture).accepted for picture in waves(50, side, periodic=True)]
    wrongly = [seam_score(picture).accepted for picture in waves(50, side, periodic=False)]
    assert np.mean(accepted) >= 0.94 and np.mean(wrongly) <= 0.06


def test_a_gradient_has_a_seam_in_its_own_direction_only():
    seams = seam_score(RAMP)
    assert seams.horizontal < 0.2 and seams.vertical == 1 and seams.score == seams.horizontal and not seams.accepted
    turned = seam_score(RAMP.swapaxes(0, 1))
    assert (turned.vertical, turned.horizontal) == (seams.horizontal, seams.vertical)


@pytest.mark.parametrize(
    "picture",
    [
        np.full((8, 8, 4), 90, np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        opaque(np.indices((16, 16)).sum(0) % 2 * 255),
        opaque(np.indices((16, 16))[1] // 4 % 2 * 255),
        np.random.default_rng(0).integers(0, 256, (32, 32, 4), np.uint8),
    ],
    ids=["plain", "empty", "checkers", "stripes", "noise"],
)
def test_what_repeats_by_itself_scores_one_or_nearly(picture):
    assert seam_score(picture).score >= ACCEPTED


def test_scrolling_a_seamless_picture_leaves_it_seamless():
    for picture in waves(5, 32, periodic=True):
        assert seam_score(np.roll(picture, (7, 11), (0, 1))).accepted


def test_the_score_is_the_largest_inner_step_over_the_seam():
    """Columns of alpha 0, 0.4 and 1: steps of 0.4 and 0.6 inside, a seam of 1; the colour under no alpha does not count."""
    picture = np.zeros((4, 3, 4), np.uint8)
    picture[..., 3] = (0, 102, 255)  # over black, where OKLab is 0
    picture[:, 0, :3] = 200
    assert seam_score(picture).horizontal == pytest.approx(0.6 / 1.0)


def test_a_picture_without_neighbours_is_refused():
    with pytest.raises(ValueError, match="the picture must be at least 2x2 pixels to have seams, got 1x8; choose a larger one"):
        seam_score(np.zeros((8, 1, 4), np.uint8))


def test_a_tiled_picture_is_the_picture_at_every_place():
    picture = np.random.default_rng(0).integers(0, 256, (4, 6, 4), np.uint8)
    tiled = tile(picture, 3, 2)
    assert tiled.shape == (8, 18, 4) and tile(picture).shape == (12, 18, 4)
    for y, x in np.ndindex(2, 3):
        assert np.array_equal(tiled[4 * y : 4 * y + 4, 6 * x : 6 * x + 6], picture)


@pytest.mark.parametrize(("nx", "ny", "message"), [(0, 3, "nx must be from 1 to 16, got 0; try 3"), (3, 17, "ny must be .* got 17; try 3")])
def test_a_number_of_tiles_out_of_range_is_refused(nx, ny, message):
    with pytest.raises(ValueError, match=message):
        tile(RAMP, nx, ny)
