"""core.runtime: limits of a container, devices, presets, threads."""

import os
import sys

import psutil
import pytest
import torch

from lunaris.core import runtime
from lunaris.core.runtime import GIB, Gpu, HardwareProfile, cgroup_memory_limit, choose_threads, usable_cpus


def test_cpu_quota_of_a_container_counts(tmp_path):
    """LG-51: cpu_count() says 64 on a host where the container may use one and a half."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert usable_cpus(tmp_path / "none") == cores
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert usable_cpus(tmp_path) == 0.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert usable_cpus(tmp_path) == cores


def test_cpu_quota_of_cgroup_v1(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("75000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cpus(tmp_path) == 0.75
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert usable_cpus(tmp_path) >= 1


def test_memory_limit_of_a_container_counts(tmp_path):
    assert cgroup_memory_limit(tmp_path) is None
    (tmp_path / "memory.max").write_text(f"{4 * GIB}\n")
    assert cgroup_memory_limit(tmp_path) == 4 * GIB
    (tmp_path / "memory.max").write_text("max\n")
    assert cgroup_memory_limit(tmp_path) is None
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (tmp_path / "memory.max").unlink()
    assert cgroup_memory_limit(tmp_path) is None


def test_profile_agrees_with_psutil_and_torch():
    profile = runtime.detect_hardware()
    assert profile.cpu_count >= 1 and profile.cpu_threads > 0
    assert 0 < profile.memory_available <= profile.memory_total <= psutil.virtual_memory().total
    assert len(profile.cuda_devices) == torch.cuda.device_count() and profile.has_cuda == torch.cuda.is_available()


def test_cpu_count_survives_a_machine_that_does_not_tell(monkeypatch):
    """LG-51: psutil.cpu_count(logical=False) is None in many containers."""
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: None)
    assert runtime.detect_hardware().cpu_count >= 1


@pytest.mark.parametrize(
    ("gpus", "threads", "memory", "expected"),
    [([24], 2, 8, "high-end"), ([4, 12], 2, 8, "high-end"), ([8], 2, 8, "mid"), ([], 8, 32, "mid"), ([], 8, 8, "low"), ([4], 2, 8, "low")],
)
def test_system_type_looks_at_every_gpu(gpus, threads, memory, expected):
    devices = tuple(Gpu("gpu", gb * GIB) for gb in gpus)
    assert HardwareProfile(threads, threads, memory * GIB, memory * GIB, 0.0, devices, False).system_type == expected


def test_device_choice(monkeypatch):
    assert runtime.get_optimal_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="device must be auto, cpu, cuda, cuda:N or mps, got 'gpu'"):
        runtime.get_optimal_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda i: ([1, 9, 3][i], 10))
    assert runtime.get_optimal_device() == torch.device("cuda", 1)
    with pytest.raises(ValueError, match=r"device 'cuda:7' is not on this machine \(3 CUDA devices\)"):
        runtime.get_optimal_device("cuda:7")


@pytest.mark.parametrize(("gpu_gb", "mps", "expected"), [(0, False, "tiny"), (16, False, "full"), (4, False, "small"), (0, True, "small")])
def test_preset_follows_the_hardware_and_says_so_in_one_line(monkeypatch, capsys, gpu_gb, mps, expected):
    """HB-06: GPU on Colab, tiny on a CPU, and one printed line says which and why."""
    gpus = (Gpu("T4", gpu_gb * GIB),) if gpu_gb else ()
    monkeypatch.setattr(runtime, "detect_hardware", lambda: HardwareProfile(2, 2.0, GIB, GIB, 0.0, gpus, mps))
    assert runtime.preset() == expected
    assert capsys.readouterr().out.startswith(f"preset: {expected} (")


def test_preset_from_the_environment_wins(monkeypatch, capsys):
    monkeypatch.setenv("LUNARIS_PRESET", "small")
    assert runtime.preset() == "small" and "from LUNARIS_PRESET" in capsys.readouterr().out
    monkeypatch.setenv("LUNARIS_PRESET", "huge")
    with pytest.raises(ValueError, match="LUNARIS_PRESET must be one of tiny, small, full, got 'huge'"):
        runtime.preset()


@pytest.mark.parametrize(
    ("cpus", "load", "expected"), [(2, 0.1, 2), (2, 1.0, 1), (2, 8.0, 1), (8, 0.4, 8), (8, 2.0, 6), (8, 5.0, 1), (0.5, 0.0, 1)]
)
def test_threads_shrink_to_one_under_load(cpus, load, expected):
    assert choose_threads(cpus, load) == expected


def test_threads_from_the_environment(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setenv("LUNARIS_THREADS", "1")
    assert runtime.set_threads() == 1 == torch.get_num_threads()
    monkeypatch.setenv("LUNARIS_THREADS", "many")
    with pytest.raises(ValueError, match="LUNARIS_THREADS must be a whole number"):
        runtime.set_threads()
    torch.set_num_threads(before)


def test_seeding_makes_all_three_generators_repeat():
    import random

    import numpy as np

    def draw():
        runtime.seed_everything(2**40 + 1)
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    assert draw() == draw()


def test_gpu_marker_is_nothing_off_zerogpu(monkeypatch):
    monkeypatch.delitem(sys.modules, "spaces", raising=False)  # gradio's `import spaces` finds our folder of that name

    def work():
        return 1

    assert runtime.gpu(work) is work and runtime.gpu(duration=30)(work) is work
    assert "spaces" not in sys.modules


def test_a_folder_called_like_a_package_is_none(tmp_path, monkeypatch):
    """`lunaris doctor` ended in a traceback beside a wandb/ that an earlier run had left, which Python would import as a package."""
    (tmp_path / "lunaris_no_such_package").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(runtime.OPTIONAL, "lunaris_no_such_package", ("nothing", "nothing"))
    versions = {row["package"]: row["version"] for row in runtime.optional_packages()}
    assert versions["lunaris_no_such_package"] is None
