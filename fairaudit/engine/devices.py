"""Where the work runs: the device, this process among its peers, the threads, and the allocator's habits.

Accelerate finds the device and the other processes (``torchrun --nproc-per-node 2 -m fairaudit …``); it is imported only
when work begins, so that ``is_main`` costs nothing.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import torch

from fairaudit.errors import UnknownNameError, UsageError

T = TypeVar("T")

_KINDS = ("auto", "cpu", "cuda", "mps")
_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "could not create a primitive")
"""How CUDA, MPS and torch's allocator on the CPU, old and new, say so."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # glibc's malloc.h


@dataclass(frozen=True)
class Placement:
    """Where this process works.

    Attributes:
        device: of the network and its inputs.
        process: this process's number, 0 for the main one.
        processes: how many processes share the work.
    """

    device: torch.device
    process: int
    processes: int


def is_main() -> bool:
    """Whether this process may speak and write files; the others of a ``torchrun`` must stay silent."""
    return int(os.environ.get("RANK", "0")) == 0


def is_alone() -> bool:
    """Whether this process was started without peers; what is done in one process only is refused otherwise, in each."""
    return int(os.environ.get("WORLD_SIZE", "1")) == 1


def place(device: str) -> Placement:
    """Choose the device and join the other processes, if any.

    Args:
        device: ``auto`` (Accelerate's choice), ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises:
        UsageError: there is no such device on this machine, or several processes are asked to share one GPU.
    """
    kind, _, number = device.partition(":")
    if kind not in _KINDS or (number and not (kind == "cuda" and number.isdecimal())):
        raise UnknownNameError("device", device, [*_KINDS, "cuda:1"])
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UsageError(f"device {device!r} is not on this machine, which has {count} CUDA devices; use 'auto' or 'cpu'")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device 'mps' is not on this machine; use 'auto' or 'cpu'")

    from accelerate import PartialState

    state = PartialState(cpu=kind == "cpu")
    chosen = state.device if kind == "auto" or (kind == "cuda" and not number) else torch.device(device)
    if number and state.num_processes > 1:
        raise UsageError(f"{state.num_processes} processes cannot share {device!r}; use 'cuda', which gives each its own")
    return Placement(torch.device(chosen), state.process_index, state.num_processes)


def gather(item: T, placement: Placement) -> list[T]:
    """What every process has to say, in process order, known to all of them.

    Args:
        item: what this process contributes; must survive pickling.
        placement: this process's place.
    """
    if placement.processes == 1:
        return [item]
    from accelerate.utils import gather_object

    gathered: list[T] = gather_object([item])
    return gathered


def finish() -> None:
    """Leave the group of processes; call it once, at the end of the run, whether or not the run succeeded.

    What ``Accelerator.end_training`` does: without it, about half of all runs with several processes abort while exiting.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        from accelerate import PartialState

        PartialState().destroy_process_group()


@contextmanager
def one_thread() -> Iterator[None]:
    """Within the block, operators run on one thread: small ones are slower on several, much slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cores() -> int:
    """Processor cores that this process may use, shared fairly with the processes beside it."""
    available = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, available // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out.

    Args:
        error: what was raised.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_MEMORY)


def free_memory(device: torch.device) -> None:
    """Give back what the allocator keeps.

    Args:
        device: whose.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


@cache
def keep_freed_memory() -> bool:
    """Let glibc reuse the memory of freed activations instead of returning it to the kernel after every layer.

    By default each large tensor is mapped, zeroed page by page and unmapped again, which costs networks of many cheap
    layers a tenth to a third of their speed. The price is that memory is given back only when the process ends. Set the
    environment variable ``FAIRAUDIT_MALLOPT=0`` to leave the allocator alone.

    Returns:
        Whether the allocator was told; False where it is not glibc's, or was to be left alone.
    """
    if sys.platform != "linux" or os.environ.get("FAIRAUDIT_MALLOPT", "1") == "0":
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return False
    # One arena for all threads: the others are made of pieces of 64 MiB, and what does not fit in one is mapped again.
    wanted = {_M_MMAP_THRESHOLD: 1 << 30, _M_TRIM_THRESHOLD: 2**31 - 1, _M_ARENA_MAX: 1}
    told = [libc.mallopt(option, value) for option, value in wanted.items()]
    return all(told)
