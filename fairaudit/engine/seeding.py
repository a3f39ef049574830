"""Randomness under control: one seed for every generator, and algorithms that give the same bits twice."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed_everything(seed: int) -> None:
    """Seed Python's, numpy's and torch's global generators, on every device.

    Args:
        seed: not negative; numpy takes it modulo 2³².
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Within the block every global generator starts from a seed; after it they are as they were before it.

    Args:
        seed: not negative.
        device: whose generator is used beside the CPU's.
    """
    before = random_state(device)
    seed_everything(seed)
    try:
        yield
    finally:
        restore_random_state(before, device)


@contextmanager
def numpy_seeded(seed: int) -> Iterator[None]:
    """Within the block numpy's global generator starts from a seed; after it it is as it was before it.

    Args:
        seed: below 2³².
    """
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


def random_state(device: torch.device) -> dict[str, Any]:
    """State of every global generator, in plain values and tensors.

    Args:
        device: whose generator is told beside the CPU's.
    """
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
        "torch": torch_state(device),
    }


def restore_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Set every global generator.

    Args:
        state: what ``random_state`` told.
        device: as it was there.
    """
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    restore_torch_state(state["torch"], device)


def torch_state(device: torch.device) -> list[Tensor]:
    """State of torch's generator on the CPU, and of the device's where it has its own.

    Args:
        device: where the network runs.
    """
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    elif device.type == "mps":
        states.append(torch.mps.get_rng_state())
    return states


def restore_torch_state(states: list[Tensor], device: torch.device) -> None:
    """Set torch's generators.

    Args:
        states: what ``torch_state`` told.
        device: as it was there.
    """
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(states[1])


@contextmanager
def deterministic_algorithms() -> Iterator[None]:
    """Only algorithms that give the same bits on every run, within the block; what was set before is restored after it.

    An operation that has no such algorithm warns and runs as it is. CUDA's matrix products are deterministic only if
    ``CUBLAS_WORKSPACE_CONFIG`` is set before their first use, which entering the block does where nobody else has.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        torch.backends.cudnn.benchmark = benchmark
