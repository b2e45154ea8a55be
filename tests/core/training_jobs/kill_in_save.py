"""SIGKILL a save at every one of its stages; prints what was left behind as JSON.   kill_in_save.py FOLDER

Stages are the calls that touch the disk: before and half-way through each file, before each flush, before and after each rename, and in
the middle of deleting an old state.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import torch

from lunaris.core import training_state
from lunaris.core.training_state import latest_state, read_state, save_state, sweep


def tensors(step: int) -> dict[str, dict[str, torch.Tensor]]:
    values = torch.arange(1000.0) + step
    return {"model": {"a": values, "b": values[:3]}, "ema": {"a": -values}, "optimizer": {"a/exp_avg": values * 2}}


def save(root: Path, step: int) -> None:
    save_state(root, {"step": step, "config": {}}, tensors(step), keep=2)


def arm(countdown: int) -> None:
    left = [countdown]

    def stage() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    real_save, real_rename, real_fsync = training_state.save_file, os.rename, os.fsync
    real_rmtree, real_write = shutil.rmtree, Path.write_text

    def halve(path: Path) -> None:
        os.truncate(path, path.stat().st_size // 2)

    def save_file(group, path):
        stage()
        real_save(group, path)
        if left[0] == 1:
            halve(path)
        stage()

    def write_text(path, text, **kwargs):
        stage()
        real_write(path, text, **kwargs)
        if left[0] == 1:
            halve(path)
        stage()

    def rename(a, b):
        stage()
        real_rename(a, b)
        stage()

    def fsync(descriptor):
        stage()
        real_fsync(descriptor)

    def rmtree(path, **kwargs):
        if Path(path).exists():
            stage()
            if left[0] == 1:
                next(Path(path).iterdir()).unlink()
            stage()
        real_rmtree(path, **kwargs)

    training_state.save_file, os.rename, os.fsync = save_file, rename, fsync
    shutil.rmtree, Path.write_text = rmtree, write_text


def main(folder: Path) -> None:
    before = folder / "before"
    for step in (1, 2):
        save(before, step)
    report = []
    for countdown in range(1, 100):
        root = folder / f"killed-{countdown}"
        shutil.copytree(before, root)
        child = os.fork()
        if child == 0:
            arm(countdown)
            save(root, 3)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if not os.WIFSIGNALED(status):
            break
        left = sorted(path.name for path in root.iterdir())
        latest = latest_state(root)
        record, groups = read_state(latest)
        expected = tensors(record["step"])
        whole = all(torch.equal(groups[name][key], tensor) for name, group in expected.items() for key, tensor in group.items())
        sweep(root)
        swept = sorted(path.name for path in root.iterdir())
        save(root, 3)
        again = sorted(path.name for path in root.iterdir())
        report.append({"signal": os.WTERMSIG(status), "left": left, "step": record["step"], "whole": whole, "swept": swept, "again": again})
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
