"""One of several processes under torchrun; writes what it saw to OUT/rank-N.json.   two_processes.py OUT"""

import errno
import json
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from toy import Toy, batches, config, evaluate, loss, metrics

from lunaris.core import training_state
from lunaris.core.callbacks import Callback, DynamicBatchSize
from lunaris.core.training import fit

SETTINGS = dict(steps=20, accumulation_steps=2, eval_every=5, save_every=5)


class Watch(Callback):
    """Notes how many processes there are, how much this one saw, and the weights and statistics it ended with."""

    def on_start(self, run):
        self.seen, self.processes = 0, run.processes.count

    def on_end(self, run):
        self.weights = {name: tensor.double().sum().item() for name, tensor in run.model.state_dict().items()}


def counted(watch):
    def counting_loss(model, batch, step):
        watch.seen += len(batch["tokens"])
        return loss(model, batch, step)

    return counting_loss


def train(out: Path, *, size: int = 7, dropout: float = 0.0, batch_norm: bool = False, resume: bool = False, **options):
    """Each process begins with other weights; the main one's must win."""
    watch, settings = Watch(), {**SETTINGS, **options.pop("settings", {})}
    model = Toy(dropout=dropout, batch_norm=batch_norm, init_seed=options.pop("init_seed", int(os.environ["RANK"])))
    callbacks = [watch, *options.pop("callbacks", [])]
    the_loss = options.pop("loss", None) or counted(watch)
    result = fit(
        model,
        batches(size),
        the_loss,
        config(**settings),
        out,
        callbacks=callbacks,
        evaluate=evaluate,
        resume=resume,
        progress=False,
        **options,
    )
    return {"processes": watch.processes, "seen": watch.seen, "weights": watch.weights, "step": result.step, "cancelled": result.cancelled}


def error_of(action) -> str:
    try:
        action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def main(out: Path) -> None:
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    report = {"plain": train(out / "plain")}
    report["tiny"] = train(out / "tiny", size=1)  # fewer examples than processes
    report["dropout"] = train(out / "dropout", dropout=0.3)
    report["batch_norm"] = train(out / "batch_norm", batch_norm=True)

    asked = iter(range(100))
    report["stopped"] = train(out / "stopped", dropout=0.3, should_stop=lambda: rank == 1 and next(asked) == 7)
    report["resumed"] = train(out / "stopped", dropout=0.3, resume=True, init_seed=7)

    def hungry(model, batch, step):
        if rank == 1 and step == 3 and len(batch["tokens"]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return loss(model, batch, step)

    report["hungry"] = train(out / "hungry", loss=hungry, callbacks=[DynamicBatchSize()])

    def bad(model, batch, step):
        result = loss(model, batch, step)
        return type(result)(result.total * (float("nan") if rank == 1 and step == 4 else 1.0), result.weight)

    report["nan"] = error_of(lambda: train(out / "nan", loss=bad))
    report["refused"] = error_of(lambda: train(out / "plain"))

    real = training_state.save_file

    def full(group, path):
        raise OSError(errno.ENOSPC, "No space left on device")

    training_state.save_file = full
    report["full"] = error_of(lambda: train(out / "full"))
    training_state.save_file = real

    dist.barrier()
    report["world"], report["backend"] = dist.get_world_size(), dist.get_backend()
    report["logged"] = len(metrics(out / "plain"))
    (out / f"rank-{rank}.json").write_text(json.dumps(report))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
