"""A MoC as a checkpoint folder that both Lunaris and transformers read: model.safetensors, config.json, tokenizer files, card.

config.json is transformers' own form (`MoCConfig`) with "family": "moc" beside it, so `AutoModelForCausalLM.from_pretrained(folder)` works
once lunaris.moc.model is imported. A tied head is stored once, as the embedding. A loaded or trained model carries its tokenizer as
`model.tokenizer`, and as `model.seen` which documents it was trained on (`data.Seen`, or None), so that none of them measures it.
"""

import difflib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from lunaris.core import hub
from lunaris.core.config import ConfigError
from lunaris.core.runtime import get_optimal_device
from lunaris.core.tokenizer import PAD, BpeTokenizer
from lunaris.moc.config import MoCModelConfig
from lunaris.moc.data import SEEN, Encoder, Seen, tokenizer_files
from lunaris.moc.model import MoCConfig, MoCForCausalLM

FAMILY = "moc"
TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def new_model(config: MoCModelConfig, tokenizer: BpeTokenizer) -> MoCForCausalLM:
    """A model with fresh weights, from torch's generator, that knows `tokenizer` and where a text ends. Raises `ConfigError`."""
    check_fits(config, tokenizer, "the data's tokenizer")
    ids = special_ids(tokenizer)
    end, pad = Encoder(tokenizer).end, ids.get(PAD)
    model = MoCForCausalLM(
        MoCConfig.from_model_config(config, bos_token_id=end, eos_token_id=end, pad_token_id=end if pad is None else pad)
    )
    model.tokenizer = tokenizer
    return model


def check_fits(config: MoCModelConfig, tokenizer: BpeTokenizer, whose: str) -> None:
    """Raise `ConfigError` when the tokenizer has ids that the model lacks. A model may have more: they are never written."""
    if tokenizer.vocab_size > config.vocab_size:
        raise ConfigError(
            f"vocab_size must be at least the {tokenizer.vocab_size:,} entries of {whose}, got {config.vocab_size:,}; "
            f"set vocab_size: {tokenizer.vocab_size}"
        )


def special_ids(tokenizer: BpeTokenizer) -> dict[str, int]:
    """The tokenizer's special entries, such as the end of text, and their ids."""
    return {entry["content"]: entry["id"] for entry in json.loads(tokenizer.to_files()["tokenizer.json"])["added_tokens"]}


def tokenizer_of(model: MoCForCausalLM) -> BpeTokenizer:
    """The tokenizer that came with the model. Raises ValueError for a model that was built without one."""
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is None:
        raise ValueError("the model has no tokenizer; load it with moc.load, or set model.tokenizer")
    return tokenizer


def save(model: MoCForCausalLM, folder: str | Path, *, card: str = "", dtype: torch.dtype | None = None) -> Path:
    """Write the checkpoint `folder` and return it; `dtype` is what the weights are stored as. Raises what `core.checkpoint.save` does."""
    files: dict[str, str | bytes] = {"README.md": card} if card else {}
    if getattr(model, "tokenizer", None) is not None:
        files |= tokenizer_files(model.tokenizer)
    own = model.config.to_diff_dict()
    if getattr(model, "seen", None) is not None:
        files[SEEN] = model.seen.to_json()
    config = {"family": FAMILY} | own | {"architectures": [type(model).__name__], "dtype": str(dtype or model.dtype).removeprefix("torch.")}
    return hub.save(folder, tensors=model.state_dict(), config=config, files=files, dtype=dtype)


def load(ref: str | Path, *, revision: str | None = None, device: str = "cpu") -> MoCForCausalLM:
    """The checkpoint behind `ref` (folder, bundled name, owner/name[@revision]) in float32, ready to write, its tokenizer with it.

    Raises HubError, FileNotFoundError, ConfigError or ValueError with one sentence; a missing, surplus or misshapen weight is an error,
    and so is a key of config.json that means nothing.
    """
    folder = hub.resolve(ref, revision=revision)
    config = hub.load_config(folder)
    if config.get("family") != FAMILY:
        raise ValueError(f"{ref} is a checkpoint of family {config.get('family')!r}, not {FAMILY!r}; load it in its own tab")
    with torch.device("meta"):  # no fresh weights: every one is read from the file, or it is an error
        model = MoCForCausalLM(_config(config))
    model = model.to_empty(device="cpu")
    model.tie_weights()
    hub.load_into(model, folder)
    model.tokenizer, model.seen = BpeTokenizer.load(folder), Seen.read(folder)
    check_fits(model.config.model_config, model.tokenizer, f"the tokenizer of {ref}")
    return model.to(get_optimal_device(device)).eval()


def _config(table: dict[str, Any]) -> MoCConfig:
    """config.json as a `MoCConfig`, checked key by key: transformers itself keeps whatever it does not know."""
    known = {*MoCConfig().to_dict(), *(f.name for f in fields(MoCModelConfig)), *MoCConfig.attribute_map, *TOKEN_IDS, "family"}
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.6)
            raise ConfigError(f"unknown key '{key}' in config.json; {f'did you mean {near[0]!r}?' if near else 'take it out'}")
    kept = {
        key: value for key, value in table.items() if key not in ("family", "model_type", "architectures", "dtype", "transformers_version")
    }
    return MoCConfig(**kept)
