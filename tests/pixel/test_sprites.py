"""The procedural sprites: reproducible, exactly labelled, palette-exact, and told apart by a classifier of templates."""

import re
import subprocess
import sys
import unicodedata
from collections import Counter

import numpy as np
import pytest

from lunaris.pixel import sprites
from lunaris.pixel.sprites import COLOURS, KINDS, PALETTE, SIDES, SIZES, STYLES, Label

KIND = {kind.name_en: i for i, kind in enumerate(KINDS)}
COLOUR = {colour.name_en: i for i, colour in enumerate(COLOURS)}

# Hand-written, so that a wrong gender in the table of kinds is caught here.
FEMININE = """
    poção espada lâmina chave estrela gema joia moeda arca maçã cereja árvore flor margarida casa fortaleza coroa caveira gosma ave lua
    nuvem chama gota carta bomba seta flecha marreta picareta varinha bota caneca xícara vela luminária bexiga sombrinha nave folha nota
    bandeira abóbora borboleta rã âncora taça tartaruga rosquinha camiseta camisa
"""
MASCULINE_FORMS = "um vermelho amarelo roxo preto branco alaranjado castanho cinzento negro pequeno plano sombreado contornado"
FEMININE_FORMS = "uma vermelha amarela roxa preta branca alaranjada castanha cinzenta negra pequena plana sombreada contornada"
FUNCTION_WORDS = "a an pixel art of sprite icon um uma de icone desenho"


def plain(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()


def words(text: str) -> list[str]:
    return re.findall(r"[\w'-]+", text)


@pytest.fixture(scope="module")
def everything():
    return sprites.make(2500, seed=3, split="all")


# ---- The data set


def test_mixing_is_splitmix64():
    """The first number of the published generator for seed 0: the data set must be the same in every version of numpy and Python."""
    assert sprites._mix(0) == 0xE220A8397B1DCDAF
    assert sprites._mix(np.array([0], np.uint64))[0] == 0xE220A8397B1DCDAF


def test_same_seed_same_sprites_and_another_seed_others():
    one, again, other = (sprites.make(60, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.images, again.images)
    assert one.captions == again.captions and (one.labels == again.labels).all()
    assert one.captions != other.captions and (one.images != other.images).any()


def test_any_slice_can_be_made_again():
    whole = sprites.make(90, seed=11)
    part = sprites.make(25, seed=11, start=40)
    np.testing.assert_array_equal(whole.images[40:65], part.images)
    np.testing.assert_array_equal(whole.labels[40:65], part.labels)
    assert whole.captions[40:65] == part.captions


def test_slice_across_the_end_of_a_pass_equals_the_two_halves():
    n = len(sprites.labels("validation"))
    across = sprites.make(20, seed=2, split="validation", start=n - 10)
    halves = [sprites.make(10, seed=2, split="validation", start=n - 10), sprites.make(10, seed=2, split="validation", start=n)]
    np.testing.assert_array_equal(across.images, np.concatenate([half.images for half in halves]))


def test_train_and_validation_share_no_pair_of_kind_and_colour():
    groups = {}
    for split in ("train", "validation"):
        rows = sprites.labels(split).tolist()
        groups[split] = {sprites.group(Label(*row)) for row in rows}
        made = sprites.make(500, seed=1, split=split)
        assert {tuple(row) for row in made.labels.tolist()} <= {tuple(row) for row in rows}
        for kind, colour, *_ in (*rows, *made.labels.tolist()):
            assert ((kind + colour) % 5 == 0) == (split == "validation")
    assert not groups["train"] & groups["validation"]
    assert len(groups["train"] | groups["validation"]) == len(KINDS) * len(COLOURS)


def test_every_kind_and_every_colour_is_seen_in_training():
    train = sprites.labels("train")
    assert set(train[:, 0]) == set(range(len(KINDS))) and set(train[:, 1]) == set(range(len(COLOURS)))


def test_one_pass_has_each_label_once_and_each_pass_its_own_order():
    n = len(sprites.labels("validation"))
    first, second = np.split(sprites.make(2 * n, side=8, seed=3, split="validation").labels, 2)
    for labels in (first, second):
        assert sorted(labels.tolist()) == sprites.labels("validation").tolist()
    assert (first != second).any()


def test_group_names_kind_and_colour():
    assert sprites.group(Label(KIND["potion"], COLOUR["red"], 0, 1)) == "potion/red"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": -1}, "at least 0"),
        ({"n": 1, "side": 12}, "side must be one of"),
        ({"n": 1, "portuguese": 1.5}, "portuguese must be a share"),
        ({"n": 1, "bare": -0.1}, "bare must be a share"),
    ],
)
def test_wrong_arguments_are_refused_with_the_rule(arguments, message):
    with pytest.raises(ValueError, match=message):
        sprites.make(**arguments)


def test_no_sprites_is_an_empty_set():
    empty = sprites.make(0)
    assert empty.images.shape == (0, 16, 16, 4) and empty.labels.shape == (0, 4) and len(empty) == 0


def test_generator_needs_no_torch():
    """It makes test data and notebook data too, where torch is not wanted or not there."""
    code = "import sys; import lunaris.pixel.sprites as s; s.make(2); assert 'torch' not in sys.modules, 'torch was imported'"
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- The pictures


@pytest.mark.parametrize("side", SIDES)
def test_every_pixel_is_of_the_palette_and_alpha_is_binary(side):
    images = sprites.make(160, side=side, seed=4, split="all").images
    assert images.shape == (160, side, side, 4) and images.dtype == np.uint8
    assert set(np.unique(images[..., 3])) == {0, 255}
    assert not images[images[..., 3] == 0].any()
    allowed = {tuple(entry) for entry in PALETTE.tolist()}
    assert len(PALETTE) <= 200 and {tuple(pixel) for pixel in np.unique(images.reshape(-1, 4), axis=0).tolist()} <= allowed
    for image in images:
        assert len(np.unique(image[image[..., 3] > 0], axis=0)) <= 8


@pytest.mark.parametrize("side", SIDES)
def test_every_sprite_fills_a_fair_part_of_its_canvas(side):
    for kind in range(len(KINDS)):
        small, big = (sprites.render(Label(kind, 0, 2, size), side)[..., 3] > 0 for size in (0, 1))
        assert big.mean() > 0.2, KINDS[kind].name_en
        assert 0.35 * big.sum() < small.sum() < (1 if side == 8 else 0.95) * big.sum(), KINDS[kind].name_en


@pytest.mark.parametrize("side", [32, 64])
def test_larger_sides_are_drawn_and_not_enlarged(side):
    for kind in range(len(KINDS)):
        blocks = sprites.render(Label(kind, 3, 0, 1), side)
        enlarged = sprites.render(Label(kind, 3, 0, 1), 16).repeat(side // 16, 0).repeat(side // 16, 1)
        assert (blocks != enlarged).any(-1).mean() > 0.03, KINDS[kind].name_en
        halves = blocks.reshape(side // 2, 2, side // 2, 2, 4)
        assert (halves != halves[:, :1, :, :1]).any(), "curves have steps finer than an enlarged pixel"


def test_outline_follows_the_style():
    """Outlined sprites are ringed in ink, shaded ones in a deep tone of their colour, flat ones not at all."""
    image = {style: sprites.render(Label(KIND["heart"], COLOUR["red"], i, 1)) for i, style in enumerate(STYLES)}

    def rim(image):
        solid = np.pad(image[..., 3] > 0, 1)
        inner = solid[1:-1, 1:-1] & solid[:-2, 1:-1] & solid[2:, 1:-1] & solid[1:-1, :-2] & solid[1:-1, 2:]
        return {tuple(pixel[:3]) for pixel in image[(image[..., 3] > 0) & ~inner].tolist()}

    assert rim(image["outlined"]) == {sprites.INK}
    assert rim(image["shaded"]) == {COLOURS[COLOUR["red"]].shades[3]}
    assert rim(image["flat"]) == {COLOURS[COLOUR["red"]].shades[1]}
    assert len(np.unique(image["flat"].reshape(-1, 4), axis=0)) < len(np.unique(image["shaded"].reshape(-1, 4), axis=0))


@pytest.mark.parametrize("ground", [(255, 255, 255), (24, 24, 32)], ids=["light", "dark"])
@pytest.mark.parametrize("colour", ["black", "white"])
@pytest.mark.parametrize("style", range(len(STYLES)))
def test_black_and_white_sprites_show_on_light_and_dark_grounds(colour, style, ground):
    for kind in range(len(KINDS)):
        image = sprites.render(Label(kind, COLOUR[colour], style, 1)).astype(float)
        visible = (image[..., 3] > 0) & (np.abs(image[..., :3] - ground).sum(-1) > 60)
        assert visible.sum() >= 30, KINDS[kind].name_en


def test_the_main_colour_is_the_largest_material():
    for kind in range(len(KINDS)):
        for colour, entry in enumerate(COLOURS):
            image = sprites.render(Label(kind, colour, 2, 1))
            tones, counts = np.unique(image[image[..., 3] > 0][:, :3], axis=0, return_counts=True)
            main = sum(count for tone, count in zip(tones.tolist(), counts, strict=True) if tuple(tone) in entry.shades[:3])
            others = [count for tone, count in zip(tones.tolist(), counts, strict=True) if tuple(tone) not in (*entry.shades, sprites.INK)]
            assert main > max(others, default=0), f"{entry.name_en} {KINDS[kind].name_en}"


def test_colours_are_far_apart():
    middles = np.array([colour.shades[1] for colour in COLOURS], float)
    distance = np.linalg.norm(middles[:, None] - middles[None], axis=-1) + 1e9 * np.eye(len(COLOURS))
    assert distance.min() > 60


def test_a_repeated_label_gives_different_sprites():
    for kind in range(len(KINDS)):
        drawn = {sprites.render(Label(kind, 1, 2, 1), jitter_seed=seed).tobytes() for seed in range(40)}
        assert len(drawn) >= 20, KINDS[kind].name_en


def test_the_music_note_is_never_mirrored():
    """A mirrored note is a wrong note: its upper left corner is empty, its upper right one is not."""
    for seed in range(60):
        solid = sprites.render(Label(KIND["note"], 5, 1, 1), jitter_seed=seed)[..., 3] > 0
        top, left, right = solid.any(1).argmax(), solid.any(0).argmax(), len(solid) - 1 - solid.any(0)[::-1].argmax()
        assert not solid[top, left] and solid[top, right]


def test_a_wrong_side_is_refused():
    with pytest.raises(ValueError, match="side must be one of .* got 20; try 16"):
        sprites.render(Label(0, 0, 0, 0), 20)


def features(image: np.ndarray) -> np.ndarray:
    """The drawing's bounding box stretched to 12 x 12 by linear interpolation, in [0, 1], and its two lengths."""
    solid = image[..., 3] > 0
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    box = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] / np.float32(255)
    for axis in (0, 1):
        at = np.linspace(0, box.shape[axis] - 1, 12)
        low = np.minimum(at.astype(int), box.shape[axis] - 2)
        weight = np.expand_dims(at - low, (1, 2) if axis == 0 else (0, 2))
        box = box.take(low, axis) * (1 - weight) + box.take(low + 1, axis) * weight
    return np.append(box, [solid.any(1).sum() / 4, solid.any(0).sum() / 4]).astype(np.float32)


def test_nearest_template_recovers_kind_and_colour():
    """Jittered sprites against the undisturbed drawings of every label: at least 99 % get their kind and their colour back."""
    templates, answers = [], []
    for label in sprites.labels("all").tolist():
        image = sprites.render(Label(*label))
        templates += [features(image), features(image[:, ::-1])]
        answers += [label[:2]] * 2
    templates, answers = np.stack(templates), np.array(answers)
    made = sprites.make(600, seed=21, split="all")
    queries = np.stack([features(image) for image in made.images])
    distances = (templates**2).sum(1) - 2 * queries @ templates.T
    found = answers[distances.argmin(1)]
    right = (found == made.labels[:, :2]).all(1)
    wrong = [(made.captions[i], KINDS[found[i, 0]].name_en, COLOURS[found[i, 1]].name_en) for i in np.flatnonzero(~right)]
    assert right.mean() >= 0.99, wrong


@pytest.mark.parametrize(("side", "at_least"), [(8, 3), (16, 20), (32, 80)])
def test_no_two_kinds_look_alike(side, at_least):
    for size in range(len(SIZES)):
        images = [sprites.render(Label(kind, 5, 2, size), side).astype(int) for kind in range(len(KINDS))]
        for a in range(len(KINDS)):
            for b in range(a + 1, len(KINDS)):
                differing = min((np.abs(images[a] - other).sum(-1) > 60).sum() for other in (images[b], images[b][:, ::-1]))
                assert differing >= at_least, f"{KINDS[a].name_en} and {KINDS[b].name_en}"


def test_a_sprite_takes_well_under_half_a_millisecond():
    """In a process of its own: here every call is also checked for types, which takes ten times longer than the drawing."""
    code = """if True:
        import time
        from lunaris.pixel import sprites
        sprites.make(300, seed=1)
        times = []
        for _ in range(3):
            start = time.process_time()
            sprites.make(500, seed=1)
            times.append((time.process_time() - start) / 500)
        print(min(times))"""
    seconds = float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert seconds < 0.25e-3


# ---- The words


def test_every_caption_names_its_kind_and_colour(everything):
    for row, text in zip(everything.labels.tolist(), everything.captions, strict=True):
        assert sprites.parse(text) == (row[0], row[1]), text


def test_size_and_style_words_in_captions_are_true(everything):
    true_words = {
        "sizes": ("small tiny little pequeno pequena", "big large grande"),
        "styles": ("outlined contornado contornada", "flat plano plana", "shaded sombreado sombreada"),
    }
    size_of, style_of = ({word: i for i, group in enumerate(groups) for word in group.split()} for groups in true_words.values())
    seen = Counter()
    for (_, _, style, size), text in zip(everything.labels.tolist(), everything.captions, strict=True):
        for word in words(text):
            assert size_of.get(word, size) == size and style_of.get(word, style) == style, text
            seen[word in size_of, word in style_of] += 1
    assert seen[True, False] > 200 and seen[False, True] > 200


@pytest.mark.parametrize(
    ("kind", "colour", "portuguese"),
    [
        ("potion", "red", "poção vermelha"),
        ("key", "blue", "chave azul"),
        ("house", "yellow", "casa amarela"),
        ("sword", "black", "espada preta"),
        ("star", "white", "estrela branca"),
        ("crown", "purple", "coroa roxa"),
        ("tree", "green", "árvore verde"),
        ("flower", "pink", "flor rosa"),
        ("skull", "grey", "caveira cinza"),
        ("apple", "orange", "maçã laranja"),
        ("boot", "brown", "bota marrom"),
        ("drop", "cyan", "gota ciano"),
        ("heart", "red", "coração vermelho"),
        ("shield", "yellow", "escudo amarelo"),
        ("chest", "black", "baú preto"),
        ("cat", "white", "gato branco"),
        ("planet", "purple", "planeta roxo"),
        ("ghost", "white", "fantasma branco"),
        ("umbrella", "red", "guarda-chuva vermelho"),
        ("hat", "black", "chapéu preto"),
        ("magnet", "red", "ímã vermelho"),
        ("snowflake", "white", "floco de neve branco"),
        ("note", "yellow", "nota musical amarela"),
        ("robot", "green", "robô verde"),
    ],
)
def test_portuguese_agrees_with_the_noun(kind, colour, portuguese):
    label = Label(KIND[kind], COLOUR[colour], 1, 0)
    assert sprites.caption(label, "pt") == portuguese
    assert sprites.caption(label, "en") == f"{colour} {kind}"


def test_no_portuguese_caption_mixes_genders():
    feminine, masculine_forms, feminine_forms = (set(plain(text).split()) for text in (FEMININE, MASCULINE_FORMS, FEMININE_FORMS))
    for text in sprites.make(1500, seed=8, split="all", portuguese=1.0).captions:
        found = {plain(word) for word in words(text)}
        wrong = masculine_forms if found & feminine else feminine_forms
        assert not wrong & found, text


def test_captions_use_no_word_outside_the_word_lists(everything):
    lists = sprites.word_lists()
    assert set(lists) == {"en", "pt"} and set(lists["en"]) == {"kinds", "colours", "sizes", "styles"} == set(lists["pt"])
    allowed = {plain(word) for language in lists.values() for group in language.values() for entry in group for word in words(entry)}
    allowed |= set(FUNCTION_WORDS.split())
    assert {plain(word) for text in everything.captions for word in words(text)} <= allowed


def test_no_phrase_names_two_things():
    lists = sprites.word_lists()
    kinds = [{plain(phrase) for phrase in (k.name_en, k.name_pt, *k.synonyms_en, *(word for word, _ in k.synonyms_pt))} for k in KINDS]
    counts = Counter(phrase for phrases in kinds for phrase in phrases)
    assert [phrase for phrase, count in counts.items() if count > 1] == []
    colours = {plain(word) for language in lists.values() for word in language["colours"]}
    assert not colours & set(counts)


@pytest.mark.parametrize(
    ("text", "kind", "colour"),
    [
        ("UMA POÇÃO VERMELHA!", "potion", "red"),
        ("uma pocao roxa", "potion", "purple"),
        ("a gray wizard hat", "hat", "grey"),
        ("ice cream, pink", "ice cream", "pink"),
        ("ice crystal", "snowflake", None),
        ("blue crystal", "gem", "blue"),
        ("t-shirt", "shirt", None),
        ("guarda-chuva cor-de-rosa", "umbrella", "pink"),
        ("turquoise", None, "cyan"),
        ("a submarine", None, None),
        ("", None, None),
    ],
)
def test_parse_reads_both_languages_without_accents_or_case(text, kind, colour):
    assert sprites.parse(text) == (KIND.get(kind), COLOUR.get(colour))


def test_captions_vary_and_follow_the_asked_share():
    label = Label(KIND["potion"], COLOUR["red"], 2, 1)
    english, portuguese = ({sprites.caption(label, language, variant) for variant in range(200)} for language in ("en", "pt"))
    assert {"a red potion", "pixel art of a red potion", "red potion"} <= english and len(english) > 30
    assert {"uma poção vermelha", "pocao vermelha", "poção vermelha"} <= portuguese and len(portuguese) > 30
    for share in (0.0, 1.0):
        made = sprites.make(300, seed=1, portuguese=share)
        assert any("poção" in text or "chave" in text or "livro" in text for text in made.captions) == (share == 1.0)


def test_articles_fit_the_next_word():
    for text in sprites.make(1000, seed=2, split="all", portuguese=0.0).captions:
        for article, following in re.findall(r"\b(a|an) (\w)", text):
            assert (article == "an") == (following in "aeiou"), text


def test_bare_captions_name_the_kind_alone():
    made = sprites.make(1000, seed=9, bare=0.3)
    parsed = [sprites.parse(text) for text in made.captions]
    assert [kind for kind, _ in parsed] == made.labels[:, 0].tolist()
    assert 0.2 < np.mean([colour is None for _, colour in parsed]) < 0.4


def test_an_unknown_language_is_refused():
    with pytest.raises(Exception, match="(?s)en.*pt.*fr"):
        sprites.caption(Label(0, 0, 0, 0), "fr")
