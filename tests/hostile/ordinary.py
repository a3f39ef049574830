"""An ordinary user: whom permissions of files concern, which root and its like pass over."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_VERSION_3 = 0x20080522
_OVERRIDING = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of linux/capability.h."""


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def ordinary_user() -> Iterator[bool]:
    """Within the block this thread, and threads that it starts, may do with files what their permissions say.

    Yields:
        Whether that could be had.
    """
    held = (_Sets * 2)()
    libc = ctypes.CDLL(None, use_errno=True)
    told = hasattr(libc, "capget") and not libc.capget(ctypes.byref(_Header(_VERSION_3, 0)), held)
    before = held[0].effective
    if told and before & _OVERRIDING:
        held[0].effective = before & ~_OVERRIDING
        libc.capset(ctypes.byref(_Header(_VERSION_3, 0)), held)
    try:
        yield not told or _obeys()
    finally:
        if told:
            held[0].effective = before
            libc.capset(ctypes.byref(_Header(_VERSION_3, 0)), held)


def _obeys() -> bool:
    held = (_Sets * 2)()
    ctypes.CDLL(None).capget(ctypes.byref(_Header(_VERSION_3, 0)), held)
    return not held[0].effective & _OVERRIDING


@contextmanager
def forbidden(path: Path, mode: int) -> Iterator[None]:
    """Within the block a file or folder has these permissions.

    Args:
        path: of it.
        mode: for example 0o000, or 0o555 of a folder that nobody may write to.
    """
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.chmod(path, before)  # noqa: PTH101
