"""What the machine says of its processor and of this process, on Linux."""

from __future__ import annotations

import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path


def computes_in_bf16() -> bool:
    """Whether the processor says that it has instructions for bf16; where it says nothing, no."""
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(_told("flags").split() + _told("Features").split())


def processor() -> str:
    """Its name."""
    return _told("model name") or platform.processor() or platform.machine()


def _told(field: str) -> str:
    """What Linux says of the first core; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")


def peak_gib() -> float:
    """GiB that this process held at most; elsewhere than on Linux perhaps what its parent held when it began."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20


def processor_seconds(work: Callable[[], object]) -> float:
    """Processor time of one call, all threads together; other work on the machine lengthens it less than a clock's."""
    began = time.process_time()
    work()
    return time.process_time() - began
