"""MoC's settings: presets, every rule that ties fields together, and the form that transformers keeps them in."""

import json

import pytest
import torch
from transformers import AutoConfig, GenerationConfig

from lunaris.core.config import ConfigError
from lunaris.moc.config import Config, MoCModelConfig
from lunaris.moc.model import MoCConfig, MoCForCausalLM, parameter_counts


def test_spec_keys_and_defaults():
    """MC-07: the spec's config, key for key."""
    spec = {
        "d_model": 768, "n_layers": 12, "n_heads": 12, "n_kv_heads": 12, "vocab_size": 50257, "max_seq_len": 1024,
        "n_experts": 8, "top_k": 2, "aux_loss_weight": 0.01,
    }  # fmt: skip
    assert {key: MoCModelConfig.full().to_dict()[key] for key in spec} == spec and Config is MoCModelConfig


def test_small_preset_fits_into_25_megabytes_of_half_precision():
    total = parameter_counts(MoCModelConfig.small()).total
    assert 5e6 < total < 5.2e6 and 2 * total < 25e6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_heads": 5}, "n_heads must divide d_model 64, got 5; try 4"),
        ({"n_heads": 4, "n_kv_heads": 3}, "n_kv_heads must divide n_heads 4, got 3; try 2"),
        ({"d_model": 36, "n_heads": 4, "n_kv_heads": 2}, "must be even for rotary positions, got 36 / 4 = 9; try d_model 40"),
        ({"top_k": 5}, "top_k must be at most n_experts 4, got 5; try 4"),
        ({"top_k": 0}, "top_k must be a whole number from 1 to 256, got 0"),
        ({"n_experts": 1, "top_k": 1}, "n_experts must be at least 2 for ffn 'moc', got 1; try ffn: dense"),
        ({"ffn": "switch"}, "ffn 'switch' chooses one expert, got top_k 2; set top_k: 1"),
        ({"rank": 65}, "rank must be at most d_model 64, got 65; try 8"),
        ({"cross_all": True, "peer_attention": False}, "cross_all needs peer_attention"),
        (
            {"consensus": True, "meeting": False},
            "consensus needs ffn 'moc' with its meeting, got ffn 'moc', meeting False; set consensus: false",
        ),
        ({"refine": True, "ffn": "top_k"}, "refine needs ffn 'moc' with its meeting, got ffn 'top_k'"),
        ({"ffn": "moe"}, "ffn must be one of"),
        ({"rope_theta": 1.0}, "rope_theta must be a finite number above 1"),
    ],
)
def test_impossible_sizes_are_refused_in_one_sentence(changes, message):
    with pytest.raises(ConfigError) as refused:
        MoCModelConfig.tiny().replace(**changes)
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("changes", [{"top_k": 1}, {"top_k": 4}, {"n_experts": 2}, {"ffn": "dense", "n_experts": 1, "top_k": 1}])
def test_any_number_of_ministers_from_one_to_all_is_allowed(changes):
    """MC-05: the story picks 3, the config 2."""
    MoCModelConfig.tiny().replace(**changes)


def test_derived_widths():
    config = MoCModelConfig(d_model=256, n_heads=4, n_kv_heads=4)
    assert config.hidden == 352 and config.summary_rank == 32  # 8/3 · 256 / 2 = 341.3, up to a multiple of 32
    assert config.replace(ffn="dense").hidden == 704  # as much as is active of the experts
    assert config.replace(ffn="dense", dense_hidden=8 * 352).hidden == 8 * 352
    assert config.replace(top_k=1).hidden == 704 and config.replace(rank=8).summary_rank == 8


def test_transformers_form_has_the_same_keys_and_checks():
    config = MoCModelConfig.tiny().replace(top_k=3, ffn="top_k")
    theirs = MoCConfig.from_model_config(config, eos_token_id=3)
    assert theirs.model_config == config and theirs.eos_token_id == 3
    assert (theirs.hidden_size, theirs.num_hidden_layers, theirs.num_key_value_heads, theirs.tie_word_embeddings) == (64, 2, 2, True)
    assert MoCConfig(hidden_size=128, n_heads=4, n_kv_heads=4).d_model == 128
    with pytest.raises(ConfigError, match="top_k must be at most n_experts 2, got 3"):
        MoCConfig(n_experts=2, top_k=3)
    theirs.n_experts = 2  # attributes of a transformers config can be set: the model checks them again
    with pytest.raises(ConfigError, match="top_k must be at most"):
        MoCForCausalLM(theirs)


def test_config_json_holds_every_key(tmp_path):
    """transformers writes only what differs from the defaults; a checkpoint would change with them."""
    config = MoCModelConfig.tiny()
    MoCConfig.from_model_config(config).save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert {key for key in config.to_dict() if key != "top_k"} <= written.keys() and written["num_experts_per_tok"] == 2
    assert AutoConfig.from_pretrained(tmp_path).model_config == config


def test_generate_does_not_take_the_experts_top_k_for_sampling():
    """A config's `top_k` becomes the sampling option top_k in transformers: two experts would have meant two candidates per token."""
    torch.manual_seed(0)
    model = MoCForCausalLM(MoCModelConfig.tiny())
    assert GenerationConfig.from_model_config(model.config).top_k is None and model.generation_config.top_k in (None, 50)
    x = torch.zeros(64, 1, dtype=torch.long)
    drawn = model.eval().generate(x, do_sample=True, max_new_tokens=1, top_k=0)[:, -1]
    assert len(drawn.unique()) > 10  # a fresh model's next token is nearly uniform
