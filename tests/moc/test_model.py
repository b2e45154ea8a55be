"""The language model: compared with transformers' Llama and Mixtral, with itself without a cache, and with the profiler."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from lunaris.core import checkpoint
from lunaris.core.config import ConfigError
from lunaris.moc.checkpoint import load
from lunaris.moc.config import MoCModelConfig
from lunaris.moc.model import CACHE, MoCConfig, MoCForCausalLM, ffn_macs, macs_per_token, parameter_counts, upcycle

torch.set_num_threads(1)
ROOT = Path(__file__).parents[2]
V = 512
KINDS = {
    "moc": {},
    "cross_all": {"cross_all": True},
    "no_meeting": {"meeting": False},
    "no_peers": {"peer_attention": False},
    "moc_k1": {"top_k": 1},
    "moc_all": {"top_k": 4},
    "moc_more": {"consensus": True, "refine": True},
    "top_k": {"ffn": "top_k"},
    "switch": {"ffn": "switch", "top_k": 1},
    "soft_all": {"ffn": "soft_all"},
    "dense": {"ffn": "dense"},
    "untied": {"tie_embeddings": False},
}


def model(seed: int = 0, **changes) -> MoCForCausalLM:
    """A small model whose meeting and peers have a say, in eval mode."""
    torch.manual_seed(seed)
    lm = MoCForCausalLM(MoCModelConfig.tiny().replace(**changes)).eval()
    with torch.no_grad():
        for name, p in lm.named_parameters():
            if name.endswith(("peers.out", "meeting.score")):
                p.normal_(std=0.3)
            elif p.ndim > 1:
                p.mul_(4)  # far enough from a uniform prediction that a wrong cache shows
    return lm


def ids(b: int, t: int, seed: int = 1) -> Tensor:
    return torch.randint(3, V, (b, t), generator=torch.Generator().manual_seed(seed))


def logits(lm: MoCForCausalLM, x: Tensor, **kwargs) -> Tensor:
    with torch.no_grad():
        return lm(x, **kwargs).logits


# --- the same weights in other people's code ------------------------------------------------------------------------------------


def test_dense_model_equals_transformers_llama():
    """The attention, the norms, the positions and the head, with grouped queries, are Llama's: <= 1e-5."""
    lm = model(ffn="dense", tie_embeddings=False)
    config = lm.config.model_config
    llama = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=V, hidden_size=config.d_model, intermediate_size=config.hidden, num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads, num_key_value_heads=config.n_kv_heads, rms_norm_eps=config.norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta}, attn_implementation="eager",
        )
    ).eval()  # fmt: skip
    llama.load_state_dict(lm.state_dict())
    x = ids(2, 40)
    theirs = logits(llama, x)
    assert theirs.std() > 0.5
    torch.testing.assert_close(logits(lm, x), theirs, rtol=0, atol=1e-5)
    mask = torch.ones_like(x)
    mask[0, :7] = 0
    torch.testing.assert_close(logits(lm, x, attention_mask=mask)[0, 7:], logits(llama, x, attention_mask=mask)[0, 7:], rtol=0, atol=1e-5)
    loss = lm(x, labels=x).loss
    torch.testing.assert_close(loss, llama(x, labels=x).loss, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["moc", "top_k"])
def test_model_without_meeting_and_peers_equals_transformers_mixtral(kind):
    lm = model(ffn=kind, meeting=False, peer_attention=False, tie_embeddings=False)
    config = lm.config.model_config
    mixtral = MixtralForCausalLM(
        MixtralConfig(
            vocab_size=V, hidden_size=config.d_model, intermediate_size=config.hidden, num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads, num_key_value_heads=config.n_kv_heads, rms_norm_eps=config.norm_eps,
            num_local_experts=config.n_experts, num_experts_per_tok=config.top_k, sliding_window=None,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            attn_implementation="eager", experts_implementation="eager",
        )
    ).eval()  # fmt: skip
    names = {"mlp.router": "mlp.gate.weight", "gate_up": "gate_up_proj", "experts.down": "experts.down_proj"}
    renamed = {}
    for name, tensor in lm.state_dict().items():
        ending = next((ending for ending in names if name.endswith(ending)), None)
        renamed[name.removesuffix(ending) + names[ending] if ending else name] = tensor
    mixtral.load_state_dict(renamed)
    x = ids(2, 40)
    torch.testing.assert_close(logits(lm, x), logits(mixtral, x), rtol=0, atol=1e-5)
    with torch.no_grad():
        record = lm(x, output_routing=True, output_aux=True)
        routers = mixtral(x, output_router_logits=True).router_logits
    for ours, theirs in zip(record.routing, routers, strict=True):
        torch.testing.assert_close(ours.after.flatten(0, 1), theirs.float(), rtol=0, atol=1e-5)


def test_balance_equals_transformers_up_to_k():
    """transformers' f sums to k and its layers are pooled: with one layer its value is ours times k."""
    lm, x = model(ffn="top_k", n_layers=1), ids(2, 30)
    with torch.no_grad():
        out = lm(x, output_routing=True, output_aux=True)
    theirs = load_balancing_loss_func((out.routing[0].after.flatten(0, 1),), 4, 2)
    torch.testing.assert_close(out.aux.balance, theirs / 2, rtol=1e-5, atol=0)


# --- text in, text out ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_cached_steps_equal_one_pass(kind):
    """Token by token, and in chunks, with the cache: within 2e-5 of the pass over the whole text (MC-11)."""
    lm, x = model(**KINDS[kind]), ids(2, 8)
    whole = logits(lm, x)
    with torch.no_grad():
        for cuts in ([1] * 8, [5, 1, 2]):
            cache, pieces = None, []
            for piece in x.split(cuts, dim=1):
                out = lm(piece, cache=cache, use_cache=True)
                cache = out[CACHE]
                pieces.append(out.logits)
            torch.testing.assert_close(torch.cat(pieces, 1), whole, rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_the_cache_is_known_by_both_its_names(name):
    """transformers 5.24 renamed past_key_values to cache, in `generate` and in its outputs: a fresh installation could not run a model.

    The output has the name of the installed version, and the model takes either.
    """
    lm, x = model(), ids(1, 8)
    with torch.no_grad():
        for part in (lm, lm.model):
            first = part(x[:, :5], use_cache=True)
            assert set(first) & {"cache", "past_key_values"} == {CACHE}
            part(x[:, 5:], use_cache=True, **{name: first[CACHE]})
            assert first[CACHE].get_seq_length() == 8


@pytest.mark.parametrize("kind", KINDS)
def test_later_tokens_do_not_change_earlier_logits(kind):
    lm, x = model(**KINDS[kind]), ids(1, 20)
    changed = x.clone()
    changed[:, 12:] = ids(1, 8, seed=9)
    torch.testing.assert_close(logits(lm, x)[:, :12], logits(lm, changed)[:, :12], rtol=0, atol=1e-5)
    assert not torch.allclose(logits(lm, x)[:, 12:], logits(lm, changed)[:, 12:], atol=1e-2)


@pytest.mark.parametrize("kind", ["moc", "cross_all", "top_k"])
def test_a_text_in_a_batch_equals_the_text_alone(kind):
    lm, x = model(**KINDS[kind]), ids(5, 16)
    torch.testing.assert_close(logits(lm, x), torch.cat([logits(lm, row[None]) for row in x]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"do_sample": True, "top_p": 0.9}], ids=["greedy", "beams", "sampling"])
@pytest.mark.parametrize("kind", ["moc", "dense"])
def test_generate_writes_the_same_with_and_without_a_cache(kind, options):
    lm, x = model(**KINDS[kind]), ids(2, 6)
    texts = []
    for cache in ({"use_cache": True}, {"use_cache": False}, {"cache_implementation": "static"}):
        torch.manual_seed(5)
        texts.append(lm.generate(x, max_new_tokens=6, **{"do_sample": False} | options, **cache, disable_compile=True))
    assert torch.equal(texts[0], texts[1]) and torch.equal(texts[0], texts[2])


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_left_padded_prompts_are_continued_as_if_alone(cache):
    lm, prompts = model(), [ids(1, 9), ids(1, 4, seed=2)]
    padded = torch.cat([prompts[0], torch.cat([torch.zeros(1, 5, dtype=torch.long), prompts[1]], 1)])
    mask = torch.ones_like(padded)
    mask[1, :5] = 0
    options = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 0, "cache_implementation": cache, "disable_compile": True}
    together = lm.generate(padded, attention_mask=mask, **options)
    for row, prompt in zip(together, prompts, strict=True):
        alone = lm.generate(prompt, attention_mask=torch.ones_like(prompt), **options)
        assert torch.equal(row[-5:], alone[0, -5:])


def test_several_texts_per_prompt_and_embeddings_as_input():
    lm, x = model(), ids(2, 5)
    assert lm.generate(x, max_new_tokens=3, do_sample=True, num_return_sequences=3).shape == (6, 8)
    torch.testing.assert_close(logits(lm, None, inputs_embeds=lm.get_input_embeddings()(x)), logits(lm, x))
    assert logits(lm, x, logits_to_keep=1).shape == (2, 1, V)


def test_ids_outside_the_vocabulary_are_refused():
    for wrong in (V, -1):
        with pytest.raises(ValueError, match=f"token ids must be from 0 to {V - 1}, got {wrong}; use the model's own tokenizer"):
            model()(torch.tensor([[5, wrong]]))
    with pytest.raises(ValueError, match="either input_ids or inputs_embeds"):
        model()()
    with pytest.raises(TypeError, match="unknown argument 'expert_bais'"):
        model()(ids(1, 3), expert_bais=1)


# --- files ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_reloaded_model_gives_the_same_logits(kind, tmp_path):
    """from_pretrained builds on the meta device: what is in no file (a buffer of rotary angles) would come back as garbage."""
    lm, x = model(**KINDS[kind]), ids(2, 12)
    lm.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert isinstance(again, MoCForCausalLM) and again.config.model_config == lm.config.model_config
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in lm.state_dict().items()) and not list(lm.buffers())
    torch.testing.assert_close(logits(again, x), logits(lm, x), rtol=0, atol=1e-5)  # MKL's last bit depends on where weights lie in memory
    tied = again.lm_head.weight is again.model.embed_tokens.weight
    assert tied == lm.config.tie_embeddings


def test_the_lines_on_the_card_open_the_shipped_checkpoint_in_transformers():
    """Whoever imported lunaris.moc, as the notebook said, and asked transformers for the folder was told that it knows no such model: the
    package is lazy, and registers nothing before its model is imported."""
    folder = ROOT / "checkpoints/moc-pt"
    blocks = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    (lines,) = (block for block in blocks if "AutoModelForCausalLM" in block)
    ask = "import json, torch\nprint(json.dumps(model(torch.tensor([[2, 300, 301]])).logits[0, -1].tolist()))"
    code = f"{lines.replace('OWNER/NAME', str(folder))}\n{ask}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-500:]
    with torch.no_grad():
        expected = load(folder)(torch.tensor([[2, 300, 301]])).logits[0, -1]
    torch.testing.assert_close(torch.tensor(json.loads(done.stdout)), expected, rtol=0.01, atol=0.05)  # half precision against single


def test_core_checkpoint_holds_a_model(tmp_path):
    """The project's own strict reader loads the same file, tied weights stored once."""
    lm, other, x = model(), model(seed=3), ids(1, 9)
    checkpoint.save(tmp_path / "c", tensors=lm.state_dict(), config=lm.config.to_diff_dict(), files={})
    checkpoint.load_into(other, tmp_path / "c")
    assert torch.equal(logits(other, x), logits(lm, x)) and "lm_head.weight" not in checkpoint.load_tensors(tmp_path / "c")


# --- training ---------------------------------------------------------------------------------------------------------------------


def test_parts_of_the_loss_are_apart():
    """MC-06: loss is the cross-entropy alone; total = w · (balance + λ · diversity + z_weight · z)."""
    lm, x = model(aux_loss_weight=0.5, diversity_weight=0.25, z_loss_weight=0.125), ids(2, 15)
    out = lm(x, labels=x)
    expected = F.cross_entropy(out.logits[:, :-1].flatten(0, 1).double(), x[:, 1:].flatten())
    torch.testing.assert_close(out.loss.double(), expected, rtol=1e-6, atol=0)
    aux = out.aux
    torch.testing.assert_close(aux.total, 0.5 * (aux.balance + 0.25 * aux.diversity + 0.125 * aux.z))
    assert 1 - 1e-3 < aux.balance < 2 and 0 < aux.diversity < 1 and aux.z > 0  # collapsed: e/k = 2
    torch.testing.assert_close(aux.load.sum(-1), torch.ones(2))
    assert aux.load.shape == (2, 4) and bool((aux.router_entropy <= math.log(4)).all()) and not aux.load.requires_grad
    torch.testing.assert_close(aux.peer_entropy, 1 - aux.diversity.detach())
    assert model(top_k=1).train()(ids(1, 8)).aux.peer_entropy is None
    assert lm(x).aux is None and lm.train()(x).aux is not None and lm(x, output_aux=False).aux is None
    assert model(ffn="dense")(x, labels=x).aux is None


def test_labels_say_where_to_learn():
    lm, x = model(), ids(2, 10)
    labels = x.clone()
    labels[0, :6] = -100
    out = lm(x, labels=labels)
    each = F.cross_entropy(out.logits[:, :-1].transpose(1, 2), x[:, 1:], reduction="none")
    kept = labels[:, 1:] != -100
    torch.testing.assert_close(out.loss, each[kept].mean())
    torch.testing.assert_close(lm(x, labels=labels, num_items_in_batch=100).loss, each[kept].sum() / 100)
    assert lm(x, labels=torch.full_like(x, -100)).loss == 0


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_neither_logits_nor_auxiliary_losses(side):
    lm, x = model(), ids(1, 9)
    pad = torch.zeros(1, 6, dtype=torch.long)
    padded = torch.cat([pad, x] if side == "left" else [x, pad], 1)
    mask = (torch.arange(15) >= 6 if side == "left" else torch.arange(15) < 9).long()[None]
    with torch.no_grad():
        alone, beside = lm(x, output_aux=True), lm(padded, attention_mask=mask, output_aux=True)
        unmasked = lm(padded, output_aux=True)
    here = mask[0].bool()
    torch.testing.assert_close(beside.logits[:, here], alone.logits, rtol=0, atol=1e-5)
    for name in ("balance", "diversity", "z", "total", "load", "router_entropy"):
        torch.testing.assert_close(getattr(beside.aux, name), getattr(alone.aux, name), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(unmasked.aux.load, alone.aux.load, atol=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_steps_lower_the_loss_and_move_every_weight(kind):
    torch.manual_seed(0)
    lm, x = MoCForCausalLM(MoCModelConfig.tiny().replace(**KINDS[kind])).train(), ids(4, 24)
    start = {name: p.detach().clone() for name, p in lm.named_parameters()}
    optimizer = torch.optim.AdamW(lm.parameters(), lr=3e-3)
    losses = []
    for _ in range(6):
        out = lm(x, labels=x)
        (out.loss + (out.aux.total if out.aux else 0.0)).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(out.loss.item())
    assert losses[-1] < losses[0] - 0.2
    assert all(not torch.equal(p, start[name]) for name, p in lm.named_parameters())


def test_gradient_checkpointing_gives_the_same_gradients():
    x, gradients = ids(2, 12), []
    for checkpointed in (False, True):
        lm = model().train()
        if checkpointed:
            lm.gradient_checkpointing_enable()
        out = lm(x, labels=x)
        (out.loss + 10 * out.aux.total).backward()
        gradients.append({name: p.grad for name, p in lm.named_parameters()})
        assert lm.model.layers[0].mlp.router.grad.abs().max() > 0
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=0, atol=0)


def test_reentrant_checkpointing_is_refused():
    """It returns the right loss and loses the router's part of the gradient in silence."""
    with pytest.raises(ValueError, match="use_reentrant=True, which loses the router's gradient in silence; use use_reentrant=False"):
        model().gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": True})


def test_bfloat16_stays_close():
    lm, x = model(), ids(2, 20)
    exact = logits(lm, x)
    with torch.autocast("cpu", torch.bfloat16):  # how the trainer's mixed precision runs it
        out = lm(x, labels=x, output_routing=True)
    (out.loss + out.aux.total).backward()
    assert out.routing[0].after.dtype == out.loss.dtype == torch.float32
    assert F.cosine_similarity(out.logits.float().flatten(), exact.flatten(), dim=0) > 0.99
    half = model().bfloat16()
    assert logits(half, x).dtype == torch.bfloat16
    cosine = F.cosine_similarity(logits(half, x).float().flatten(), exact.flatten(), dim=0)
    assert cosine > 0.99
    assert half.generate(x, max_new_tokens=3, do_sample=False).shape == (2, 23)
    out = half.train()(x, labels=x)
    (out.loss + out.aux.total).backward()
    assert all(bool(p.grad.isfinite().all()) for p in (*half.parameters(), *lm.parameters()))


def test_lora_adapts_attention_and_leaves_the_router_alone():
    """ "all-linear" reaches attention; router, meeting and experts are no nn.Linear (for the experts, see the next test)."""
    peft = pytest.importorskip("peft")
    lm, x = model(), ids(2, 10)
    before = logits(lm, x)
    adapted = peft.get_peft_model(lm, peft.LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    torch.testing.assert_close(logits(adapted, x), before)
    trainable = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert trainable and all("self_attn" in name for name in trainable)
    out = adapted.train()(x, labels=x)
    out.loss.backward()
    adapted.eval()
    with torch.no_grad():
        for name, p in adapted.named_parameters():
            if "lora_B" in name:
                p.normal_(std=0.1)
        changed = adapted(x).logits
        assert not torch.allclose(changed, before, atol=1e-2)
        torch.testing.assert_close(adapted.merge_and_unload()(x).logits, changed, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("kind", "checkpointed"), [("moc", True), ("moc_more", False), ("no_meeting", False), ("soft_all", False)])
def test_lora_adapts_the_experts_by_name(kind, checkpointed):
    """PEFT wraps the module that holds the parameter and adapts it while that module is called. The layer took `down` from the wrapper
    instead, so whoever adapted the experts met "'ParamWrapper' object has no attribute 'down'" in the first forward pass."""
    peft = pytest.importorskip("peft")
    lm, x, few = model(**KINDS[kind]), ids(2, 10), ids(1, 3)  # few tokens go another way, where folds are kept
    names = set(lm.state_dict())
    before, before_few = logits(lm, x), logits(lm, few)
    config = peft.LoraConfig(r=4, target_modules=[], target_parameters=["experts.gate_up", "experts.down"], task_type="CAUSAL_LM")
    adapted = peft.get_peft_model(lm, config)
    torch.testing.assert_close([logits(adapted, x), logits(adapted, few)], [before, before_few])
    if checkpointed:
        adapted.gradient_checkpointing_enable()
    out = adapted.train()(x, labels=x)
    (out.loss + out.aux.total).backward()
    learning = {name for name, p in adapted.named_parameters() if p.grad is not None}
    assert len(learning) == 8 and all("lora" in name for name in learning)  # two matrices of two weights of two layers
    with torch.no_grad():
        for name, p in adapted.named_parameters():
            if "lora_B" in name:
                p.normal_(std=0.1)
    adapted.eval()
    changed, changed_few = logits(adapted, x), logits(adapted, few)
    assert not torch.allclose(changed, before, atol=1e-2) and not torch.allclose(changed_few, before_few, atol=1e-2)
    merged = adapted.merge_and_unload()
    assert merged is lm and set(lm.state_dict()) == names
    torch.testing.assert_close([logits(lm, x), logits(lm, few)], [changed, changed_few], rtol=0, atol=1e-4)


def test_a_merged_adapter_is_in_the_kept_fold_too():
    """PEFT merges by `weight.data += …`, which no version counter shows: a fold kept from before would speak for the old experts, though
    nothing was called between wrapping and merging (an adapter that was loaded)."""
    peft = pytest.importorskip("peft")
    lm, few = model(), ids(1, 3)
    before = logits(lm, few)  # keeps the folds
    for seed in (1, 2):
        torch.manual_seed(seed)
        config = peft.LoraConfig(r=4, target_modules=[], target_parameters=["experts.down"], init_lora_weights=False)
        lm = peft.get_peft_model(lm, config).merge_and_unload()
        fresh = MoCForCausalLM(lm.config).eval()
        fresh.load_state_dict(lm.state_dict())
        after = logits(lm, few)
        assert not torch.allclose(after, before, atol=1e-2)
        torch.testing.assert_close(after, logits(fresh, few))
        before = after


# --- the council ------------------------------------------------------------------------------------------------------------------


def test_routing_record_covers_every_layer_and_token():
    lm, x = model(), ids(2, 7)
    with torch.no_grad():
        out = lm(x, output_routing=True, output_hidden_states=True)
    assert len(out.routing) == 2 and len(out.hidden_states) == 3
    for minutes in out.routing:
        assert minutes.before.shape == minutes.after.shape == (2, 7, 4) and minutes.peers.shape == (2, 7, 2, 2)
        assert torch.equal(minutes.chosen, minutes.after.topk(2).indices) and not torch.allclose(minutes.before, minutes.after)
        torch.testing.assert_close(minutes.weights, minutes.after.topk(2).values.softmax(-1))
        torch.testing.assert_close(minutes.peers.sum(-1), torch.ones(2, 7, 2))
    assert torch.equal(out.logits, logits(lm, x)) and model(ffn="dense")(x, output_routing=True).routing is None


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}], ids=["greedy", "beams"])
def test_experts_are_muted_and_favoured_while_generating(options):
    """transformers repeats tensor arguments once per beam; a bias of (layers, experts) must come through as it is."""
    lm, x = model(), ids(1, 6)
    bias = torch.zeros(2, 4)
    bias[:, 1] = -math.inf
    options = {"max_new_tokens": 6, "do_sample": False} | options
    muted = lm.generate(x, expert_bias=bias, **options)
    assert torch.equal(muted, lm.generate(x, expert_bias=bias.tolist(), **options))
    with torch.no_grad():
        routing = lm(muted, expert_bias=bias, output_routing=True).routing
    assert all(not bool((minutes.chosen == 1).any()) for minutes in routing)
    assert not torch.equal(logits(lm, x), logits(lm, x, expert_bias=bias))
    assert torch.equal(logits(lm, x), logits(lm, x, expert_bias=torch.zeros(2, 4)))


@pytest.mark.parametrize(
    ("bias", "message"),
    [
        (torch.tensor([[0, -math.inf, -math.inf, -math.inf], [0.0] * 4]), "must leave at least 2 experts of a layer to choose, got 1"),
        (torch.zeros(3, 4), r"\(2, 4\), got \(3, 4\); start from torch.zeros\(2, 4\)"),
        (torch.full((2, 4), math.nan), "must hold numbers, or -inf to mute an expert, got NaN"),
        (torch.full((2, 4), math.inf), "must hold numbers"),
    ],
)
def test_impossible_bias_is_refused(bias, message):
    with pytest.raises(ValueError, match=message):
        model()(ids(1, 4), expert_bias=bias)


def test_bias_needs_experts():
    with pytest.raises(ValueError, match="expert_bias needs a model with experts"):
        model(ffn="dense")(ids(1, 4), expert_bias=torch.zeros(2, 4))


# --- upcycling ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["moc", "cross_all", "no_meeting", "no_peers", "moc_all", "top_k", "soft_all"])
def test_upcycled_model_has_the_dense_logits(kind):
    dense = model(ffn="dense", dense_hidden=96)
    config = MoCModelConfig.tiny().replace(expert_hidden=96, **KINDS[kind])
    lm, x = upcycle(dense, config), ids(2, 20)
    torch.testing.assert_close(logits(lm, x), logits(dense, x), rtol=0, atol=1e-5)
    assert torch.equal(logits(lm, x), logits(upcycle(dense, config), x)) and not lm.training
    lm.train()
    out = lm(x, labels=x)
    (out.loss + out.aux.total).backward()
    gradients = lm.model.layers[0].mlp.experts.gate_up.grad
    assert all(not torch.allclose(gradients[0], gradients[e], rtol=1e-3) for e in range(1, 4))  # the copies part


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"top_k": 1}, "with top_k of at least 2, got top_k 1"),
        ({"ffn": "dense"}, "got ffn 'dense'"),
        ({"n_layers": 3}, "n_layers must be that of the dense model, 2, got 3; set n_layers: 2"),
        ({"expert_hidden": 64}, "expert_hidden must be the dense model's hidden width 96, got 64; set it to 96"),
    ],
)
def test_upcycling_to_another_shape_is_refused(changes, message):
    dense = model(ffn="dense", dense_hidden=96)
    with pytest.raises(ConfigError, match=message):
        upcycle(dense, MoCModelConfig.tiny().replace(**{"expert_hidden": 96} | changes))
    with pytest.raises(ConfigError, match="starts from a model with ffn 'dense', got 'moc'"):
        upcycle(model(), MoCModelConfig.tiny())


# --- what it costs ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_counted_work_is_what_the_profiler_counts(kind):
    """Within 5 %, prompt and decoding step. The counter sees matrix products only (so not the CPU's fused attention), and the causal
    half that is masked too."""
    lm, x = model(**KINDS[kind]), ids(2, 64)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        logits(lm, x)
    ours = 2 * x.numel() * macs_per_token(lm.config.model_config, 64, tokens=x.numel())
    assert abs(ours / counter.get_total_flops() - 1) < 0.05
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        cache = lm(x[:1], use_cache=True)[CACHE]
        lm(x[:1, :1], cache=cache)  # leaves the fold behind
        before = counter.get_total_flops()
        lm(x[:1, :1], cache=cache)
    step = counter.get_total_flops() - before
    assert abs(2 * macs_per_token(lm.config.model_config, 66) / step - 1) < 0.05


def test_work_of_the_layer_is_the_known_formula():
    """facts: deferred = 2Edf + Efr + kfd + the meeting, against 3Edf for all and 3kdf for the sparse layer."""
    config = MoCModelConfig(d_model=256, n_heads=4, n_kv_heads=4, expert_hidden=352)
    dense_active = ffn_macs(config.replace(ffn="dense"))
    assert dense_active == 3 * 256 * 2 * 352 and ffn_macs(config.replace(ffn="top_k")) == dense_active + 8 * 256
    assert 3.2 < ffn_macs(config) / dense_active < 3.5
    assert ffn_macs(config, tokens=1) - ffn_macs(config) == 8 * 32 * 256 * 352  # the fold


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_counted(kind):
    lm = model(**KINDS[kind])
    config = lm.config.model_config
    counts = parameter_counts(config)
    assert counts.total == sum(p.numel() for p in lm.parameters())
    experts = 3 * config.d_model * config.hidden + config.refine * config.hidden * config.summary_rank
    idle = 0 if config.ffn in ("dense", "soft_all") else config.n_layers * (config.n_experts - config.top_k) * experts
    assert counts.total - counts.active == idle and counts.embedding == (1 if config.tie_embeddings else 2) * V * 64


def test_model_takes_either_config():
    config = MoCModelConfig.tiny()
    x, models = ids(1, 5), []
    for form in (config, MoCConfig.from_model_config(config)):
        torch.manual_seed(0)
        models.append(MoCForCausalLM(form).eval())
    assert torch.equal(logits(models[0], x), logits(models[1], x))
