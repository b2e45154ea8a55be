"""The seeded writing of a MoC: what the tab, REST, MCP, the command line and notebooks call. Same order, same text.

generate(model, "Era uma vez", seed=7)              the text alone
generate_request(model, request)                    the text and what is to be said about it
for piece in stream(model, request): …              the same text, as it is written
"""

import codecs
import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from lunaris.core import provenance
from lunaris.core.config import ConfigError
from lunaris.core.decoding import Sampling, TextStream, token_bytes, tokens
from lunaris.core.images import write_file
from lunaris.core.tokenizer import BpeTokenizer
from lunaris.moc.checkpoint import special_ids, tokenizer_of
from lunaris.moc.config import MoCModelConfig
from lunaris.moc.data import Encoder
from lunaris.moc.fast import MoCStepper
from lunaris.moc.model import MoCForCausalLM
from lunaris.moc.request import MoCFile, MoCRequest

CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]")  # MoCRequest refuses a prompt with one


@dataclass(frozen=True)
class Written:
    """What an order gave.

    text            without the prompt and without the stop text; never half a character
    ids             the tokens of `text`, so neither the end of text nor a stop text's: those that were chosen, and where one is shown in
                    part, that part's own
    prompt_tokens   how many tokens the prompt has, the end of text in front of it not counted
    cut_tokens      how many of the oldest tokens of prompt and text were not seen any more at the end, since the model's window is full
    finish          end (the model ended the text), stop (a stop text came) or length (max_new_tokens were written)
    note            one sentence where something must be said, else empty
    """

    prompt: str
    text: str
    ids: tuple[int, ...]
    prompt_tokens: int
    cut_tokens: int
    finish: Literal["end", "stop", "length"]
    note: str


def generate(model: MoCForCausalLM, prompt: str = "", **order: Any) -> str:
    """The text after `prompt`; `order` has the fields of `MoCRequest`: max_new_tokens, temperature, top_p, seed, stop, mute, …

    Raises `ConfigError` for a bad order. Use `generate_request` to learn why it ended and what was cut.
    """
    return generate_request(model, MoCRequest.from_dict({"prompt": prompt, **order})).text


def generate_request(model: MoCForCausalLM, request: MoCRequest) -> Written:
    """What a checked order gives. Raises `ConfigError` for an expert that the model lacks, or when too few are left to choose from."""
    writing = stream(model, request)
    for _ in writing:
        pass
    return writing.result


def stream(model: MoCForCausalLM, request: MoCRequest) -> "Writing":
    """The text of an order piece by piece, as soon as each is certain. Bad orders raise here, not at the first piece."""
    return Writing(model, request)


class Writing(Iterator[str]):
    """A text that is being written: iterate over its pieces, whole characters each. `result` has what there is so far, at any time, so
    whoever stops iterating loses nothing."""

    def __init__(self, model: MoCForCausalLM, request: MoCRequest):
        tokenizer = tokenizer_of(model)
        encoder = Encoder(tokenizer)
        prompt = encoder(lines_joined(request.prompt))
        stepper = MoCStepper(model, expert_bias=bias_table(request, model.config.model_config))
        self._encoder, self._table = encoder, token_bytes(tokenizer)
        self._request, self._window = request, stepper.max_len
        self._prompt_tokens, self._cut, self._ids, self._pieces = len(prompt), 0, [], []
        self._ended = False
        self._text = TextStream(self._table, [encoder.normalised(lines_joined(text)) for text in request.stop])
        sampling = Sampling(request.temperature, request.top_p, request.top_k, request.repetition_penalty, request.seed)
        self._tokens = tokens(
            stepper,
            [encoder.end, *prompt],  # as every text of the training began
            max_new_tokens=request.max_new_tokens,
            sampling=sampling,
            end=(encoder.end,),
            bias=_never_written(model, encoder.end),
            on_cut=self._on_cut,
        )

    def _on_cut(self, count: int) -> None:
        self._cut += count

    def __next__(self) -> str:
        while not self._ended:
            token = next(self._tokens, None)
            if token is None:
                self._ended = True
                piece = self._text.close()
            else:
                self._ids.append(token)
                piece = self._text.push(token)
                self._ended = self._text.stopped is not None
            if piece:
                self._pieces.append(piece)
                return piece
        raise StopIteration

    @property
    def result(self) -> Written:
        """All that was written so far, and how it ended; "length" while it has not."""
        stopped, full = self._text.stopped is not None, len(self._ids) == self._request.max_new_tokens
        cut = max(0, self._cut - 1)  # the end of text in front is none of prompt and text
        note = (
            f"the model looks back on {self._window:,} tokens, and the oldest {cut:,} of prompt and text are out of sight by now; "
            "give a shorter prompt or a smaller max_new_tokens to keep all in sight"
        )
        text = "".join(self._pieces)
        return Written(
            prompt=self._request.prompt,
            text=text,
            ids=_ids_of(text, self._ids, self._table, self._encoder),
            prompt_tokens=self._prompt_tokens,
            cut_tokens=cut,
            finish="stop" if stopped else "end" if self._ended and not full else "length",
            note=note if cut else "",
        )


def lines_joined(text: str) -> str:
    """`text` with the line breaks that the texts of the training have."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _ids_of(text: str, ids: Sequence[int], table: Sequence[bytes], encoder: Encoder) -> tuple[int, ...]:
    """The tokens of `text`, the beginning of what `ids` say: those that end within it at a whole character, and those of the rest."""
    decoder, place, whole = codecs.getincrementaldecoder("utf-8")("replace"), 0, (0, 0)
    for count, index in enumerate(ids, 1):
        place += len(decoder.decode(table[index]))
        if place > len(text):
            break
        if not decoder.getstate()[0]:
            whole = count, place
    count, place = whole
    return (*ids[:count], *encoder(text[place:]))


def _never_written(model: MoCForCausalLM, end: int) -> Float[Tensor, "v"]:
    """-inf for padding and the like, for ids that the tokenizer lacks, and for control characters: a hot model would write them, and they
    are no text, or none that it could go on from."""
    tokenizer = tokenizer_of(model)
    bias = torch.zeros(model.config.vocab_size, device=model.device)
    bias[tokenizer.vocab_size :] = -torch.inf
    bias[[*_controls(tokenizer), *(index for index in special_ids(tokenizer).values() if index != end)]] = -torch.inf
    return bias


@functools.lru_cache(maxsize=4)
def _controls(tokenizer: BpeTokenizer) -> tuple[int, ...]:
    """The tokens with a control character."""
    return tuple(index for index, piece in enumerate(token_bytes(tokenizer)) if CONTROL.search(piece))


def bias_table(request: MoCRequest, config: MoCModelConfig) -> list[list[float]] | None:
    """What an order adds to the scores: one row per layer, one number per expert; None when it has no such wish. Raises `ConfigError`."""
    wishes = request.biases()
    if not wishes:
        return None
    if config.ffn == "dense":
        raise ConfigError("mute and expert_bias need a model with experts, got one with ffn 'dense'; leave them out")
    table = [[0.0] * config.n_experts for _ in range(config.n_layers)]
    for layer, expert, value in wishes:
        if expert >= config.n_experts:
            raise ConfigError(f"an expert must be from 0 to {config.n_experts - 1}, got {expert}; try 0")
        if layer is not None and layer >= config.n_layers:
            raise ConfigError(f"a layer must be from 0 to {config.n_layers - 1}, got {layer}; try 0")
        for index in range(config.n_layers) if layer is None else (layer,):
            table[index][expert] += value
    needed = 1 if config.ffn == "soft_all" else config.top_k
    left = min(sum(value > float("-inf") for value in row) for row in table)
    if left < needed:
        raise ConfigError(f"mute must leave at least {needed} experts of a layer to choose, got {left}; mute fewer")
    return table


def save_result(written: Written, path: str | Path, output: MoCFile | None = None, record: Mapping[str, Any] | None = None) -> Path:
    """The text as a .txt file, or as .json with all of `Written`, the AI-generated mark, and `record`, what `lunaris replay` makes it by.

    Raises ValueError for another file type, OSError with the reason when it cannot be written.
    """
    path, output = Path(path), output or MoCFile()
    if path.suffix.lower() not in (".txt", ".json"):
        raise ValueError(f"--out must end in .txt or .json, got {path.name!r}; try text.txt")
    if path.suffix.lower() == ".txt":
        content = (written.prompt if output.with_prompt else "") + written.text + "\n"
    else:
        table = {"ai_generated": True} | asdict(written) | ({provenance.KEY: dict(record)} if record else {})
        content = json.dumps(table, ensure_ascii=False, indent=2) + "\n"
    return write_file(path, content.encode())
