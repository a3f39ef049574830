"""Choosing a device, and refusing the ones that are not there."""

from __future__ import annotations

import os
import platform

import pytest
import torch

from fairaudit.engine.devices import Placement, cores, finish, gather, is_main, keep_freed_memory, place
from fairaudit.errors import UsageError


def test_the_cpu_and_one_process() -> None:
    placement = place("cpu")
    assert placement == Placement(torch.device("cpu"), 0, 1)
    assert gather("said", placement) == ["said"]
    finish()  # nothing to leave, and no harm done


def test_a_misspelt_device() -> None:
    with pytest.raises(UsageError) as caught:
        place("cuda0")
    assert str(caught.value) == "unknown device 'cuda0'; did you mean 'cuda' or 'cuda:1'?"
    for name in ("gpu", "cpu:1", "cuda:x", ""):
        with pytest.raises(UsageError, match="unknown device"):
            place(name)


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(UsageError) as caught:
        place("cuda:99")
    count = torch.cuda.device_count()
    assert (
        str(caught.value) == f"device 'cuda:99' is not on this machine, which has {count} CUDA devices; use 'auto' or 'cpu'"
    )
    if not torch.backends.mps.is_available():
        with pytest.raises(UsageError, match="'mps' is not on this machine"):
            place("mps")


def test_only_the_first_process_may_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert is_main()
    monkeypatch.setenv("RANK", "0")
    assert is_main()
    monkeypatch.setenv("RANK", "1")
    assert not is_main()


def test_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    all_of_them = cores()
    assert 1 <= all_of_them <= (os.cpu_count() or 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert cores() == max(1, all_of_them // 2)


def test_the_allocator_is_told_unless_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRAUDIT_MALLOPT", "0")
    assert not keep_freed_memory.__wrapped__()
    monkeypatch.delenv("FAIRAUDIT_MALLOPT")
    assert keep_freed_memory.__wrapped__() == (platform.libc_ver()[0] == "glibc")
