"""Faults at the n-th touch of a file: the disk is full, a signal arrives, memory is out, a file has vanished, somebody
else writes there.

Python announces whatever it is about to do with files to audit hooks, and what a hook raises stops it. One hook, which can
never be taken away, is armed and disarmed here. Bytes that are written are not announced: the streams that ``folder`` opens
are wrapped instead.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from fairaudit.artifacts import folder

EVENTS = ("open", "os.rename", "os.mkdir", "os.chmod", "os.listdir", "os.scandir", "tempfile.mkstemp", "tempfile.mkdtemp")
"""Not the removal of what was begun: nobody can clean up where cleaning up fails."""
FAULTS = ("full", "broken", "read-only", "vanished", "memory", "interrupted", "terminated")
_ERRORS = {"full": errno.ENOSPC, "broken": errno.EIO, "read-only": errno.EROFS, "vanished": errno.ENOENT}
SECOND = "second run"
"""Another run into the same folder begins and ends at that touch."""
CODES = {"interrupted": 130, "terminated": 143}
"""Exit codes; everything else is a refusal."""


@dataclass
class _Trap:
    """What is armed.

    Attributes:
        below: only what is touched below this folder counts.
        fault: one of ``FAULTS``; None only counts.
        at: which touch, from 1.
        seen: touches so far.
        sprung: whether the fault was raised.
        then: what ``SECOND`` does.
    """

    below: str
    fault: str | None
    at: int
    seen: int = 0
    sprung: bool = False
    then: Callable[[], object] | None = None

    def touch(self) -> None:
        self.seen += 1
        if self.fault is not None and self.seen == self.at:
            self.sprung = True
            if self.then is not None and self.fault == SECOND:
                self.then()
            else:
                _raise(self.fault)


_armed: list[_Trap] = []


def _raise(fault: str) -> None:
    if fault == "memory":
        raise MemoryError
    if fault in CODES:
        os.kill(os.getpid(), signal.SIGINT if fault == "interrupted" else signal.SIGTERM)
        return  # Python's own handler raises before the next instruction
    raise OSError(_ERRORS[fault], os.strerror(_ERRORS[fault]))


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _armed and event in EVENTS:
        place = arguments[0] if arguments else None
        if isinstance(place, str | os.PathLike) and os.path.abspath(place).startswith(_armed[-1].below):  # noqa: PTH100
            _armed[-1].touch()


class _Stream:
    """A stream whose writes are touches too."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def write(self, data: bytes) -> int:
        half = len(data) // 2
        self._stream.write(data[:half])
        if _armed:
            _armed[-1].touch()
        return half + self._stream.write(data[half:])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


_fdopen = os.fdopen
_hooked: list[bool] = []


class _Os:
    """``os`` as ``folder`` sees it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fdopen(self, handle: int, mode: str) -> _Stream:
        return _Stream(_fdopen(handle, mode))


@contextmanager
def armed(below: Path, fault: str | None = None, at: int = 0, then: Callable[[], object] | None = None) -> Iterator[_Trap]:
    """Within the block the ``at``-th touch of a file below a folder goes wrong; without a fault they are counted.

    Args:
        below: the folder.
        fault: one of ``FAULTS``, or ``SECOND``.
        at: from 1.
        then: the second run.
    """
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked.append(True)
    trap = _Trap(str(below.resolve()), fault, at, then=then)
    setattr(folder, "os", _Os())  # noqa: B010 - a module that it uses and does not export
    _armed.append(trap)
    try:
        yield trap
    finally:
        _armed.pop()
        setattr(folder, "os", os)  # noqa: B010
