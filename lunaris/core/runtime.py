"""The machine a run lands on: hardware profile, device, preset, threads, seeds (LG-51, HB-06).

What counts is what this process may use, not what the host has: a container's cgroup limits come before the numbers of the machine.
"""

import dataclasses
import functools
import importlib.metadata
import math
import os
import platform
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

F = TypeVar("F", bound=Callable)
GIB = 1024**3


@dataclass(frozen=True)
class Gpu:
    """One CUDA device; memory in bytes."""

    name: str
    memory_total: int


@dataclass(frozen=True)
class HardwareProfile:
    """What this process may use. Memory in bytes; `cpu_threads` may be a fraction of a core in a container."""

    cpu_count: int
    cpu_threads: float
    memory_total: int
    memory_available: int
    load_average: float
    cuda_devices: tuple[Gpu, ...]
    has_mps: bool

    @property
    def has_cuda(self) -> bool:
        return bool(self.cuda_devices)

    @property
    def system_type(self) -> str:
        """high-end, mid or low: by the largest GPU's memory (10 and 6 GB), else mid for 6 cores and 16 GB, else low."""
        gpu_gb = max((gpu.memory_total for gpu in self.cuda_devices), default=0) / GIB
        if gpu_gb >= 10:
            return "high-end"
        roomy_cpu = self.cpu_threads >= 6 and self.memory_total >= 16 * GIB
        return "mid" if gpu_gb >= 6 or roomy_cpu else "low"


def detect_hardware() -> HardwareProfile:
    """The hardware this process may use, every GPU included. Costs one torch import the first time."""
    import psutil
    import torch

    memory = psutil.virtual_memory()
    limit = cgroup_memory_limit()
    total = min(memory.total, limit or memory.total)
    gpus = tuple(
        Gpu(torch.cuda.get_device_name(i), torch.cuda.get_device_properties(i).total_memory) for i in range(torch.cuda.device_count())
    )
    return HardwareProfile(
        cpu_count=psutil.cpu_count(logical=False) or os.cpu_count() or 1,  # None in many containers
        cpu_threads=usable_cpus(),
        memory_total=total,
        memory_available=min(memory.available, total),
        load_average=_load_average(),
        cuda_devices=gpus,
        has_mps=torch.backends.mps.is_available(),
    )


def usable_cpus(root: Path = Path("/sys/fs/cgroup")) -> float:
    """CPUs this process may use: the affinity mask, cut down by the cgroup quota (v2, then v1)."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _words(root / "cpu.max") or [*_words(root / "cpu/cpu.cfs_quota_us"), *_words(root / "cpu/cpu.cfs_period_us")]
    if len(quota) == 2 and all(word.isdigit() for word in quota) and int(quota[1]):  # "max" and -1 mean no limit
        return min(cpus, int(quota[0]) / int(quota[1]))
    return cpus


def cgroup_memory_limit(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """The container's memory limit in bytes (cgroup v2, then v1); None when there is none."""
    words = _words(root / "memory.max") or _words(root / "memory/memory.limit_in_bytes")
    limit = int(words[0]) if words and words[0].isdigit() else None
    return limit if limit and limit < 2**60 else None  # v1 writes "no limit" as a number near 2**63


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _load_average() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


# --- choices ---------------------------------------------------------------------------------------------------------------------


def get_optimal_device(choice: str = "auto") -> "torch.device":
    """The device for `choice`: auto takes the CUDA device with most free memory, then MPS, then the CPU.

    Raises ValueError for an unknown choice or a device this machine lacks.
    """
    import torch

    if choice == "auto":
        if torch.cuda.is_available():
            free = [torch.cuda.mem_get_info(i)[0] for i in range(torch.cuda.device_count())]
            return torch.device("cuda", max(range(len(free)), key=free.__getitem__))
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, index = choice.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not index.isdigit()):
        raise ValueError(f"device must be auto, cpu, cuda, cuda:N or mps, got {choice!r}; try 'auto'")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {choice!r} is not on this machine ({torch.cuda.device_count()} CUDA devices); try 'auto'")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device 'mps' is not on this machine; try 'auto'")
    return torch.device(choice)


def preset(*, announce: bool = True) -> str:
    """tiny, small or full: LUNARIS_PRESET when set, else full on a GPU of 6 GB or more and tiny without one. Prints one line.

    Raises ValueError for an unknown LUNARIS_PRESET.
    """
    from lunaris.core.config import PRESETS

    chosen = os.environ.get("LUNARIS_PRESET", "")
    if chosen and chosen not in PRESETS:
        raise ValueError(f"LUNARIS_PRESET must be one of {', '.join(PRESETS)}, got {chosen!r}; try 'tiny'")
    if chosen:
        reason = "from LUNARIS_PRESET"
    else:
        hardware = detect_hardware()
        gpu_gb = max((gpu.memory_total for gpu in hardware.cuda_devices), default=0) / GIB
        chosen = "full" if gpu_gb >= 6 else "small" if gpu_gb or hardware.has_mps else "tiny"
        reason = (
            f"on {hardware.cuda_devices[0].name}"
            if gpu_gb
            else "on Apple MPS"
            if hardware.has_mps
            else "no GPU found, so minutes on the CPU"
        )
    if announce:
        print(f"preset: {chosen} ({reason}; set LUNARIS_PRESET to tiny, small or full to choose)")
    return chosen


def choose_threads(cpus: float, load: float) -> int:
    """Threads for torch: one per usable CPU while the machine is idle, one alone under load.

    With more threads than free cores the small operators of tiny models wait for each other and run up to ten times slower.
    """
    free = math.floor(cpus - load + 0.5)
    return max(1, free) if load < cpus / 2 else 1


def set_threads(threads: int = 0) -> int:
    """Set torch's threads (0 = LUNARIS_THREADS, else `choose_threads`) and return the number."""
    import torch

    wanted = threads or _positive_int("LUNARIS_THREADS") or choose_threads(usable_cpus(), _load_average())
    torch.set_num_threads(wanted)
    return wanted


def one_thread_per_request() -> None:
    """For servers, before torch is imported: LUNARIS_THREADS threads, else one. OMP_NUM_THREADS wins where it is set.

    Two visitors then run side by side, tiny operators do not wait for each other, and hub, Space and notebook sum in the same order.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(_positive_int("LUNARIS_THREADS") or 1))


def _positive_int(name: str) -> int:
    text = os.environ.get(name, "").strip()
    if not text:
        return 0
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {text!r}; try 1")
    return int(text)


def seed_everything(seed: int) -> None:
    """Seed Python's, numpy's and torch's generators (all devices)."""
    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def gpu(fn: F | None = None, *, duration: int = 60) -> F:
    """`spaces.GPU` on a ZeroGPU Space, the function itself anywhere else."""
    if fn is None:
        return functools.partial(gpu, duration=duration)
    if not os.environ.get("SPACES_ZERO_GPU"):
        return fn
    import spaces

    return spaces.GPU(duration=duration)(fn)


# --- doctor ----------------------------------------------------------------------------------------------------------------------

OPTIONAL = {
    "gradio": ("the hub app and Spaces", "gradio[mcp]"),
    "mcp": ("tools for AI assistants (MCP)", "mcp"),
    "datasets": ("training on Hub datasets", "datasets"),
    "trackio": ("local experiment tracking", "trackio"),
    "wandb": ("tracking on Weights & Biases", "wandb"),
    "tensorboard": ("tracking in TensorBoard", "tensorboard"),
}


def installed_version(package: str) -> str | None:
    """The version of an installed package, or None. A folder of that name beside us, which Python would import, is no package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def optional_packages() -> list[dict[str, str | None]]:
    """Each optional package: name, what it is for, installed version or None, and the pip line that adds it."""
    return [
        {"package": name, "for": purpose, "version": installed_version(name), "install": f"pip install '{extra}'"}
        for name, (purpose, extra) in OPTIONAL.items()
    ]


def doctor() -> dict:
    """Everything `python -m lunaris doctor` prints, as plain values. No token is read, only whether there is one."""
    import torch

    import lunaris

    hardware = detect_hardware()
    return {
        "lunaris": lunaris.__version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "torch": torch.__version__,
        "hardware": dataclasses.asdict(hardware) | {"system_type": hardware.system_type},
        "device": str(get_optimal_device()),
        "preset": preset(announce=False),
        "threads": choose_threads(usable_cpus(), _load_average()),
        "hub_token": _has_token(),
        "packages": optional_packages(),
    }


def doctor_text(report: dict) -> str:
    """The report of `doctor` for a person."""
    hardware = report["hardware"]
    gpus = ", ".join(f"{gpu['name']} ({gpu['memory_total'] / GIB:.0f} GB)" for gpu in hardware["cuda_devices"])
    token = "found" if report["hub_token"] else "none (pushing to the Hub needs one: run hf auth login, or set HF_TOKEN)"
    lines = [
        f"lunaris {report['lunaris']} · Python {report['python']} · torch {report['torch']} · {report['platform']}",
        f"CPU      {hardware['cpu_threads']:g} usable of {hardware['cpu_count']} cores, load {hardware['load_average']:.1f}",
        f"memory   {hardware['memory_total'] / GIB:.1f} GB, {hardware['memory_available'] / GIB:.1f} GB free",
        f"GPU      {gpus or ('Apple MPS' if hardware['has_mps'] else 'none')}",
        f"system   {hardware['system_type']} → device {report['device']}, preset {report['preset']}, {report['threads']} thread(s)",
        f"token    {token}",
        "optional packages",
    ]
    for row in report["packages"]:
        state = f"found {row['version']}" if row["version"] else f"missing: {row['install']}"
        lines.append(f"  {row['package']:<12} {row['for']:<32} {state}")
    return "\n".join(lines)


def _has_token() -> bool:
    from huggingface_hub import get_token

    return bool(get_token())
