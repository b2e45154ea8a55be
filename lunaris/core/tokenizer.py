"""Byte-level BPE (Sennrich et al. 2016; byte alphabet of GPT-2): train, save, load, in transformers' file format.

Every text can be encoded: a word that training never saw falls back to pieces and, at the end, to bytes.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Int
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

PAD, UNK = "<pad>", "<unk>"


class BpeTokenizer:
    """Text to ids and back. `fold` lower-cases and strips accents first, so "Poção" and "pocao" are one word."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer

    @classmethod
    def train(cls, texts: Iterable[str], *, vocab_size: int, fold: bool = False, special_tokens: Sequence[str] = ()) -> "BpeTokenizer":
        """A tokenizer of at most `vocab_size` entries (256 bytes, the specials, merges) from `texts`; the same texts give the same one."""
        specials = [PAD, UNK, *special_tokens]
        least = 256 + len(specials)
        if vocab_size < least:
            raise ValueError(f"vocab_size must be at least {least} (256 bytes and {len(specials)} specials), got {vocab_size}; try 1024")
        tokenizer = Tokenizer(models.BPE(unk_token=UNK))
        steps = [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()] if fold else [normalizers.NFC()]
        tokenizer.normalizer = normalizers.Sequence(steps)
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=fold)  # "red" is one entry at the start of a caption too
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    @property
    def vocab_size(self) -> int:
        return self._tokenizer.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def pieces(self, other: "BpeTokenizer", index: int) -> list[int]:
        """What this tokenizer makes of an entry of another one: its own ids for the same bytes, the entry itself where it has it."""
        entry = other._tokenizer.id_to_token(index)
        known = self._tokenizer.token_to_id(entry)
        return [known] if known is not None else [token.id for token in self._tokenizer.model.tokenize(entry)]

    def batch(self, texts: Sequence[str], max_length: int) -> tuple[Int[Tensor, "b t"], Bool[Tensor, "b t"]]:
        """Ids and mask (True = a real token), padded to the longest text and cut at `max_length`. Never narrower than one column."""
        rows = [encoding.ids[:max_length] for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]
        width = max(1, *map(len, rows)) if rows else 1
        pad = self._tokenizer.token_to_id(PAD)
        ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows], dtype=torch.long).reshape(len(rows), width)
        lengths = torch.tensor([len(row) for row in rows])
        return ids, torch.arange(width)[None] < lengths[:, None]

    def to_files(self) -> dict[str, str]:
        """The two files that `transformers.AutoTokenizer` reads: name to text."""
        config = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": PAD, "unk_token": UNK}
        return {"tokenizer.json": self._tokenizer.to_str(), "tokenizer_config.json": json.dumps(config, indent=2) + "\n"}

    @classmethod
    def load(cls, folder: str | Path) -> "BpeTokenizer":
        """The tokenizer in a checkpoint folder. Raises FileNotFoundError, or ValueError when the file is damaged."""
        path = Path(folder) / "tokenizer.json"
        if not path.is_file():
            raise FileNotFoundError(f"no tokenizer.json in {folder}; take a checkpoint that was trained with text")
        try:
            return cls(Tokenizer.from_str(path.read_text(encoding="utf-8")))
        except Exception as error:  # the Rust side raises a bare Exception
            raise ValueError(f"{path} is not a tokenizer file: {error}") from None
