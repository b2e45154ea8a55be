"""A tiny language model, its data and its loss: small enough for a test, with all that makes a training hard to resume exactly."""

import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from lunaris.core.training import Loss, TrainConfig

VOCAB = 11


class Toy(nn.Module):
    """Tied embedding and head, dropout, a norm, and an expert that only examples beginning with an even token use."""

    def __init__(self, *, dropout: float = 0.0, batch_norm: bool = False, init_seed: int = 0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(init_seed)
            self.embed = nn.Embedding(VOCAB, 8)
            self.hidden = nn.Linear(8, 8)
            self.expert = nn.Linear(8, 8)
            self.norm = nn.BatchNorm1d(8) if batch_norm else nn.LayerNorm(8)
            self.head = nn.Linear(8, VOCAB, bias=False)
            self.head.weight = self.embed.weight
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens):  # (b, t) -> (b, t, vocab)
        x = self.dropout(torch.relu(self.hidden(self.embed(tokens))))
        even = tokens[:, 0] % 2 == 0
        if even.any():
            x = torch.where(even[:, None, None], x + self.expert(x), x)
        return self.head(self.norm(x.flatten(0, 1)).view_as(x))


def batches(size: int = 6, length: int = 5):
    """A batch_at: `size` sequences of 2 … `length` tokens, padded, so that micro-batches weigh differently."""

    def batch_at(seed: int, step: int) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed * 100_003 + step)
        tokens = torch.randint(VOCAB, (size, length), generator=generator)
        lengths = torch.randint(2, length + 1, (size, 1), generator=generator)
        return {"tokens": tokens, "mask": torch.arange(length) < lengths}

    return batch_at


def loss(model: nn.Module, batch: dict[str, torch.Tensor], step: int) -> Loss:
    """Cross-entropy of each token against its successor in the vocabulary, a mean over the tokens that are not padding."""
    logits = model(batch["tokens"])
    target = (batch["tokens"] + 1) % VOCAB
    mask = batch["mask"].float()
    each = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(mask)
    hits = (logits.argmax(-1) == target).float()
    weight = mask.sum()
    return Loss((each * mask).sum() / weight, weight, {"accuracy": (hits * mask).sum() / weight})


def evaluate(model: nn.Module, step: int) -> dict[str, float]:
    with torch.no_grad():
        return {"loss": loss(model, batches(size=16)(99, 0), step).total.item()}


def config(**changes) -> TrainConfig:
    """A short training on the CPU that tells no tracker."""
    quick = dict(steps=12, learning_rate=3e-3, device="cpu", tracker="none", log_every=1, save_every=0, ema_decay=0.9, weight_decay=0.1)
    return TrainConfig(**(quick | changes))


def metrics(out: str | Path) -> list[dict[str, float]]:
    """The records of out/metrics.jsonl without the wall clock."""
    records = [json.loads(line) for line in (Path(out) / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in record.items() if name != "examples_per_s"} for record in records]


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
