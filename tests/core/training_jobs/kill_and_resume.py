"""Train once without a break and once with many SIGKILLs; prints what happened as JSON.   kill_and_resume.py OUT

Python and torch are imported once; every attempt is a fork. Half of the kills come from outside after a random time, the other half
strike inside a save: at a random call of the functions that write, flush, rename and delete.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import accelerate  # noqa: F401 (imported before forking, to fork quickly)
import torch
from toy import Toy, batches, config, evaluate, loss

from lunaris.core import training_state
from lunaris.core.callbacks import DynamicBatchSize, EarlyStopping, ReduceOnPlateau
from lunaris.core.training import fit

CONFIG = config(steps=90, save_every=4, eval_every=10, log_every=3, accumulation_steps=2, ema_decay=0.99, warmup_steps=10)
KILLS = 12


def train(out: Path, started: int) -> None:
    """One attempt, slow enough to be killed in the middle; its first step says so to `started`.

    Once there is a state, each attempt begins with other weights than the one before: what was saved must override them.
    """
    saved = any((out / "state").glob("step-*"))
    model = Toy(dropout=0.2, batch_norm=True, init_seed=os.getpid() if saved else 0)
    batch_at = batches()

    def slow_batch_at(seed: int, step: int):
        os.write(started, b".")
        time.sleep(0.003)
        random.random()  # draws that a resumed process does not repeat must not matter
        torch.rand(1)
        return batch_at(seed, step)

    callbacks = [ReduceOnPlateau(patience=1), DynamicBatchSize(spread=0.2, window=10), EarlyStopping(patience=100)]
    fit(model, slow_batch_at, loss, CONFIG, out, callbacks=callbacks, evaluate=evaluate, resume=True, progress=False)


def die_at_call(countdown: int) -> None:
    """SIGKILL this process at the `countdown`-th call of a function that touches the disk in a save."""
    left = [countdown]

    def deadly(module, name):
        real = getattr(module, name)

        def wrapper(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        setattr(module, name, wrapper)

    deadly(os, "fsync")
    deadly(os, "rename")
    deadly(shutil, "rmtree")
    deadly(training_state, "save_file")


def attempt(out: Path, *, after_s: float | None = None, at_call: int | None = None) -> int:
    """The wait status of a forked training that is killed as said."""
    ready, started = os.pipe()
    child = os.fork()
    if child == 0:
        sys.stdout = sys.stderr = open(out.parent / "log.txt", "a")  # noqa: SIM115
        try:
            if at_call:
                die_at_call(at_call)
            train(out, started)
            os._exit(0)
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
    os.close(started)
    os.read(ready, 1)  # the first step, or the end of the child
    if after_s is not None:
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    os.close(ready)
    return status


def last_logged_step(out: Path) -> int:
    lines = (out / "metrics.jsonl").read_bytes().splitlines() if (out / "metrics.jsonl").exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


def main(root: Path) -> None:
    torch.set_num_threads(1)
    chance = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    whole = attempt(root / "whole")
    kills = []
    while len(kills) < KILLS:
        inside = len(kills) % 2 == 1
        how = {"at_call": chance.randint(1, 20)} if inside else {"after_s": chance.uniform(0.0, 0.1)}
        status = attempt(root / "killed", **how)
        kills.append({**how, "killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == 9, "step": last_logged_step(root / "killed")})
    final = attempt(root / "killed")
    print(json.dumps({"whole": whole, "kills": kills, "final": final, "steps": CONFIG.steps}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
