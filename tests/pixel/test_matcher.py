"""The matcher: its parts against plain loops, its training stage, its place in the checkpoint, and what it is for: choosing drafts."""

import numpy as np
import pytest
import torch

from lunaris.core.config import ConfigError
from lunaris.core.images import to_model
from lunaris.pixel import PixelConfig, PixelTrainConfig, generate, load, train
from lunaris.pixel.config import FlowConfig, MatcherConfig
from lunaris.pixel.data import load_source
from lunaris.pixel.matcher import Matcher, contrast, shifted
from lunaris.pixel.metrics import retrieval_r1
from lunaris.pixel.model import Decoder, LunarCore

SMALL = PixelConfig.tiny().replace(latent_dim=16, filters=(8, 16))
CONFIG = SMALL.replace(ranking="matcher", matcher=MatcherConfig(filters=(8, 16), dim=24))
QUICK = PixelTrainConfig.tiny().replace(steps=3, batch_size=8, sprites=24, warmup_steps=0, tracker="none", device="cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(folder with the VAE alone, folder with the matcher added to it)."""
    root = tmp_path_factory.mktemp("matcher")
    vae = train(SMALL, QUICK, root / "vae", progress=False)
    matcher = train(CONFIG, QUICK.replace(stage="matcher", init_from=str(vae)), root / "matcher", progress=False)
    return vae, matcher


def test_contrast_is_the_mean_of_two_plain_cross_entropies():
    """Against a loop: picture i among all prompts, prompt i among all pictures, equal prompts left out."""
    logits = torch.randn(4, 4, dtype=torch.float64)
    same = torch.eye(4, dtype=torch.bool)
    same[0, 2] = same[2, 0] = True
    total = 0.0
    for i in range(4):
        others = [j for j in range(4) if j == i or not same[i, j]]
        total -= logits[i, i] - torch.stack([logits[i, j] for j in others]).exp().sum().log()
        total -= logits[i, i] - torch.stack([logits[j, i] for j in others]).exp().sum().log()
    assert torch.allclose(contrast(logits, same), total / 8)
    wrong = torch.randn(3, 4, dtype=torch.float64)  # further pictures, right for no prompt: they stand beside the others in its sum
    more = 0.0
    for i in range(4):
        others = torch.stack([logits[j, i] for j in range(4) if j == i or not same[i, j]])
        more += torch.cat([others, wrong[:, i]]).exp().sum().log() - others.exp().sum().log()
    assert torch.allclose(contrast(logits, same, wrong), (total + more) / 8)


def test_shifted_moves_each_picture_by_at_most_a_pixel():
    images = torch.rand(64, 4, 8, 8)
    moved = shifted(images)
    ways = set()
    for before, after in zip(images, moved, strict=True):
        fits = []
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                expected = torch.zeros_like(before)
                ys, xs = slice(max(0, down), 8 + min(0, down)), slice(max(0, right), 8 + min(0, right))
                from_ys, from_xs = slice(max(0, -down), 8 + min(0, -down)), slice(max(0, -right), 8 + min(0, -right))
                expected[:, ys, xs] = before[:, from_ys, from_xs]
                if torch.equal(expected, after):
                    fits.append((down, right))
        assert len(fits) == 1
        ways.update(fits)
    assert len(ways) == 9  # all of them occur: 64 draws miss one with a chance of 1 in 200, and the suite's seed is fixed


@torch.no_grad()
def test_both_towers_give_unit_vectors_and_padding_has_no_say():
    net = Matcher(CONFIG).eval()
    tokens = torch.tensor([[5, 6, 7, 0, 0]])
    mask = torch.tensor([[True, True, True, False, False]])
    padded = net.words(tokens, mask)
    assert torch.allclose(padded, net.words(tokens[:, :3], mask[:, :3])) and padded.norm() == pytest.approx(1, abs=1e-5)
    assert torch.equal(padded, net.words(torch.tensor([[5, 6, 7, 9, 9]]), mask))
    assert net.picture(torch.rand(3, 4, 16, 16)).norm(dim=-1).tolist() == pytest.approx([1, 1, 1], abs=1e-5)
    assert torch.isfinite(net.words(tokens, torch.zeros_like(mask))).all()  # an empty prompt is no NaN


@torch.no_grad()
def test_dropped_words_never_leave_a_prompt_empty():
    net = Matcher(CONFIG).train()
    net.words.dropout_rate = 0.9
    one = torch.tensor([[5]]), torch.tensor([[True]])
    assert torch.equal(net.words(*one), net.eval().words(*one))


def test_the_stage_trains_the_matcher_and_leaves_the_rest_as_it_was(trained):
    before, after = load(trained[0]), load(trained[1])
    weights = before.state_dict()
    assert weights and all(torch.equal(value, after.state_dict()[name]) for name, value in weights.items())
    assert {name.split(".")[0] for name in after.state_dict()} - {name.split(".")[0] for name in weights} == {"matcher"}
    assert after.words == before.words and after.config.ranking == "matcher"


def test_sixty_steps_teach_it_to_tell_sprites_by_their_captions(trained, tmp_path):
    """R@1 of 32 on sprites it was trained on: chance is .03, so .3 is the stage training what it says it trains."""
    run = QUICK.replace(stage="matcher", init_from=str(trained[0]), steps=60, batch_size=32, sprites=64, learning_rate=3e-3, drafts=False)
    model = load(train(CONFIG, run, tmp_path / "m", progress=False))
    data = load_source("procedural", side=16, split="train", n=64, seed=run.seed)
    assert retrieval_r1(model, data) > 0.3 > 2 * retrieval_r1(load(trained[1]), data)


def test_drafts_as_wrong_answers_teach_it_to_tell_them_from_drawings(trained, tmp_path):
    """With them it prefers the drawing to the draft for the same caption nearly always; without them it cannot know the difference."""
    run = QUICK.replace(stage="matcher", init_from=str(trained[0]), steps=60, batch_size=32, sprites=64, learning_rate=3e-3)
    data = load_source("procedural", side=16, split="train", n=64, seed=run.seed)
    preferred = {}
    for drafts in (True, False):
        model = load(train(CONFIG, run.replace(drafts=drafts), tmp_path / f"{drafts}", progress=False))
        with torch.no_grad():
            drawn = model.decode(0.7 * model.noise(9, 64), model.embed(list(data.captions)))
        pictures = (model.head.snap(to_model(data.images)), drawn)
        real, made = (model.match(images, list(data.captions)).diagonal() for images in pictures)
        preferred[drafts] = float((real > made).float().mean())
    assert preferred[True] > 0.9, preferred


def test_the_best_draft_is_the_one_the_matcher_likes_most(trained):
    """Against the long way: every draft drawn alone, every one compared alone."""
    model = load(trained[1])
    for mode_prompt in ("a red potion", "chave azul"):
        drafts = torch.cat([model.decode_each(0.7 * model.noise(5, draft=d), model.embed([mode_prompt])) for d in range(4)])
        scores = [float(model.match(draft[None], [mode_prompt])) for draft in drafts]
        best = model.generate(1, mode_prompt, seed=5, temperature=0.7, candidates=4)
        assert torch.equal(best[0], drafts[int(np.argmax(scores))])
    assert model.match(drafts, ["a red potion", "chave azul"]).shape == (4, 2)
    assert float(model.match(drafts, ["x"]).abs().max()) <= 1 + 1e-5


def test_a_flow_and_a_matcher_live_in_one_checkpoint(trained, tmp_path):
    """Stages may come in either order, and none forgets what an earlier one added."""
    flow = FlowConfig(filters=(8, 16), blocks=(1, 1), word_dim=16, condition_dim=16)
    both = CONFIG.replace(sampler="flow", flow=flow)
    folder = train(both, QUICK.replace(stage="flow", init_from=str(trained[1])), tmp_path / "both", progress=False)
    model, matcher = load(folder), load(trained[1])
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in matcher.state_dict().items())
    again = load(train(both, QUICK.replace(stage="matcher", init_from=str(folder)), tmp_path / "again", progress=False))
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items() if name.startswith("flow."))
    assert generate(again, "a red potion", n=2, mode="quality", steps=2, candidates=3).shape == (2, 16, 16, 4)


def test_stages_that_do_not_fit_are_refused_before_anything_is_written(trained, tmp_path):
    stage = QUICK.replace(stage="matcher", init_from=str(trained[0]))
    with pytest.raises(ConfigError, match="ranking 'latent', got 'normal' and 'matcher'"):
        train(CONFIG, QUICK, tmp_path / "x", progress=False)
    with pytest.raises(ConfigError, match="stage 'matcher' needs ranking 'matcher'"):
        train(SMALL, stage, tmp_path / "x", progress=False)
    with pytest.raises(ConfigError, match="init_from has no flow"):
        train(CONFIG.replace(sampler="flow"), stage, tmp_path / "x", progress=False)
    with pytest.raises(ConfigError, match="sizes of the matcher must equal those of init_from"):
        again = QUICK.replace(stage="matcher", init_from=str(trained[1]))
        train(CONFIG.replace(matcher=MatcherConfig(filters=(8, 16), dim=16)), again, tmp_path / "x", progress=False)
    with pytest.raises(ConfigError, match="stage 'matcher' needs init_from"):
        QUICK.replace(stage="matcher")
    with pytest.raises(ConfigError, match="needs use_text true"):
        CONFIG.replace(use_text=False, text_gate=False)
    with pytest.raises(ConfigError, match="multiples of 8"):
        MatcherConfig(filters=(10,))
    assert not (tmp_path / "x").exists()


# --- the decoder that draws squares -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [8, 16, 32])
@pytest.mark.parametrize("upsample", ["transpose", "resize"])
def test_a_decoder_of_squares_gives_the_asked_size(side, upsample):
    plain, squares = (Decoder(16, (side, side, 5), (32, 16, 8), "group", upsample, patch) for patch in (1, 2))
    assert plain(torch.zeros(2, 16)).shape == squares(torch.zeros(2, 16)).shape == (2, 5, side, side)
    assert squares.stages[-1].out_channels == 4 * 5


def test_squares_train_and_come_back(tmp_path):
    folder = train(SMALL.replace(input_shape=(32, 32, 4), patch=2), QUICK, tmp_path / "m", progress=False)
    assert load(folder).config.patch == 2 and generate(load(folder), "a red potion", n=2).shape == (2, 32, 32, 4)
    assert LunarCore.from_config(SMALL).decoder.patch == 1


# --- sketch or painting -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def painter(trained, tmp_path_factory):
    flow = FlowConfig(filters=(8, 16), blocks=(1, 1), word_dim=16, condition_dim=16)
    run = QUICK.replace(stage="flow", init_from=str(trained[1]))
    return load(train(CONFIG.replace(sampler="flow", flow=flow), run, tmp_path_factory.mktemp("painter") / "m", progress=False))


def test_the_sketch_stays_where_it_fits_about_as_well(painter, monkeypatch):
    """A flow that doubts its sketches drew icons better and simple things worse (kind and colour right: .75 after .88 of the sketches);
    keeping the sketch where the matcher sees no gain gave both."""
    prompts = ["a red potion", "chave azul", "a cat"]
    sketches = painter.decode_each(painter.noise(1, 3), painter.embed(prompts))
    painted = painter.paint(sketches, prompts, seed=4, steps=2)
    assert not torch.equal(painted, sketches)
    for gains, kept in (((0.2, 0.0, -0.2), (False, True, True)), ((0.04, 0.06, 1.0), (True, False, False))):
        cosines = torch.cat([torch.full((3, 3), 0.1), 0.1 + torch.diag(torch.tensor(gains))])
        monkeypatch.setattr(painter, "match", lambda pictures, prompts, cosines=cosines: cosines)
        done = painter.finish(sketches, prompts, seed=4, steps=2)
        for i in range(3):
            assert torch.equal(done[i], sketches[i] if kept[i] else painted[i])


def test_a_sketch_that_fits_badly_goes_even_where_the_painting_fits_no_better(painter, monkeypatch):
    """pixel-32's drafts of dungeon tiles are fragments which its matcher likes about as well as the paintings, at a cosine of .4; those of
    procedural sprites stand at .6. Kept, the fragments hid what the flow had learned. Where the painting fits worse still, as its black
    robot of many colours did, the sketch is the better of the two."""
    prompts = ["a red potion", "chave azul", "a cat"]
    sketches = painter.decode_each(painter.noise(1, 3), painter.embed(prompts))
    painted = painter.paint(sketches, prompts, seed=4, steps=2)
    before, after = torch.diag(torch.tensor([0.49, 0.5, 0.3])), torch.diag(torch.tensor([0.52, 0.54, 0.2]))
    monkeypatch.setattr(painter, "match", lambda pictures, prompts: torch.cat([before, after]))
    for floor, kept in ((-1.0, (True, True, True)), (0.5, (False, True, True)), (0.6, (False, False, True))):
        monkeypatch.setattr(painter, "config", painter.config.replace(sketch_fit=floor))
        done = painter.finish(sketches, prompts, seed=4, steps=2)
        assert all(torch.equal(done[i], sketches[i] if kept[i] else painted[i]) for i in range(3))


@pytest.mark.parametrize("ranking", ["matcher", "latent"])
def test_nobody_is_shown_an_empty_painting(painter, monkeypatch, ranking):
    """pixel-32 knows "heart, icon" as a few pixels in a corner, and for one seed in two painted none: the visitor saw an empty square."""
    prompts = ["a red potion", "chave azul", "a cat"]
    sketches = painter.decode_each(painter.noise(1, 3), painter.embed(prompts))
    painted = painter.paint(sketches, prompts, seed=4, steps=2).clone()
    painted[0, 3], painted[1, 3] = 0.09, 0.09  # cleaned as faint, but for one pixel of the second
    painted[1, 3, 5, 5] = 0.4
    monkeypatch.setattr(painter, "paint", lambda *order, **how: painted)
    monkeypatch.setattr(painter, "match", lambda pictures, prompts: torch.cat([torch.zeros(3, 3), torch.ones(3, 3)]))
    monkeypatch.setattr(painter, "config", painter.config.replace(ranking=ranking))
    done = painter.finish(sketches, prompts, seed=4, steps=2)
    assert torch.equal(done, torch.cat([sketches[:1], painted[1:]]))


def test_a_checkpoint_may_count_a_requests_guidance_for_more(painter, monkeypatch):
    """`flow_guidance`: what 1 means is the checkpoint's own, and 0 still ignores the words."""
    sketches = painter.decode_each(painter.noise(1, 2))
    plain, twice, none = (painter.paint(sketches, ["a red potion", "a cat"], seed=4, steps=2, guidance=g) for g in (1.0, 2.0, 0.0))
    monkeypatch.setattr(painter, "config", painter.config.replace(flow_guidance=2.0))
    assert torch.equal(painter.paint(sketches, ["a red potion", "a cat"], seed=4, steps=2), twice) and not torch.equal(twice, plain)
    assert torch.equal(painter.paint(sketches, ["a red potion", "a cat"], seed=4, steps=2, guidance=0.0), none)


@pytest.mark.parametrize(("mode", "candidates"), [("quality", 0), ("quality", 1), ("instant", 8)])
def test_guidance_0_is_as_if_nothing_had_been_asked_for(mode, candidates):
    """The prompt came in again by the choice among drafts, by the sketch that the flow follows, and by the choice between the two."""
    model = load("pixel-16")
    order = {"n": 2, "seed": 3, "steps": 2, "mode": mode, "candidates": candidates, "guidance": 0.0}
    asked = [generate(model, prompt, **order) for prompt in ("a red potion", "chave azul", "")]
    assert (asked[0] == asked[1]).all() and (asked[0] == asked[2]).all()
    assert (generate(model, "a red potion", **order | {"guidance": 1.0}) != asked[0]).any()


def test_without_a_prompt_there_is_nothing_to_fit_so_the_painting_is_shown(painter):
    sketches = painter.decode_each(painter.noise(1, 2))
    assert torch.equal(painter.finish(sketches, ["", ""], seed=4, steps=2), painter.paint(sketches, ["", ""], seed=4, steps=2))
