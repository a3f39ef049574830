"""One seed, every generator; deterministic algorithms only inside the block."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from fairaudit.engine.seeding import deterministic_algorithms, seed_everything


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(()))


@pytest.mark.parametrize("seed", [0, 7, 2**40])
def test_the_same_seed_draws_the_same(seed: int) -> None:
    seed_everything(seed)
    first = draw()
    assert draw() != first
    seed_everything(seed)
    assert draw() == first
    seed_everything(seed + 1)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_determinism_ends_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    inside: list[bool] = []

    def fail() -> None:
        with deterministic_algorithms():
            inside.append(torch.are_deterministic_algorithms_enabled() and not torch.backends.cudnn.benchmark)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside == [True]
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark
