"""Endings that nobody foresaw: whether the machine, another process or fairaudit is at fault, in one sentence each."""

from __future__ import annotations

import errno
import os

from fairaudit.cli.streams import say

REFUSED, INTERNAL_ERROR = 2, 70
_WORLD = frozenset(
    getattr(errno, name)
    for name in (
        # no room, no right, nothing there or something else
        "ENOSPC", "EDQUOT", "EFBIG", "EACCES", "EPERM", "EROFS", "ENOENT", "EEXIST", "ENOTEMPTY", "EISDIR", "ENOTDIR",
        "ENAMETOOLONG", "EILSEQ", "ELOOP", "EMLINK", "EXDEV", "ENODEV", "ENXIO", "ENOTSUP", "EOPNOTSUPP", "ENOSYS",
        # a disk or a network that is broken or busy
        "EIO", "EUCLEAN", "ESTALE", "EREMOTEIO", "ENOMEDIUM", "ENOLINK", "ENOLCK", "EBUSY", "ETXTBSY", "EAGAIN", "EDEADLK",
        "EINTR", "ETIMEDOUT", "ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "ENOTCONN", "EPIPE", "ENETDOWN", "ENETUNREACH",
        "EHOSTDOWN", "EHOSTUNREACH", "EADDRINUSE", "EADDRNOTAVAIL",
        # too small a machine
        "EMFILE", "ENFILE", "ENOMEM", "EUSERS",
    )
    if hasattr(errno, name)
)  # fmt: skip
"""What a system may refuse whatever a program does right. The rest (a closed file, a position or an argument that is none)
is asked for by mistake, as is what a library raises without a number."""
_NO_MEMORY = (
    "can't allocate memory", "cannot allocate memory", "not enough memory", "out of memory", "bad_alloc",
    "failed to map segment", "can't start new thread", "could not create a primitive",
)  # fmt: skip
"""How libraries say that there is no memory: torch, the system, C++, the loader of shared libraries, Python's threads."""


def ending(error: Exception) -> int:
    """Say in one sentence why a command could not go on.

    Args:
        error: what nobody expected.

    Returns:
        The exit code: 2 where the machine or another process is at fault, 70 where fairaudit is.
    """
    if lacks_memory(error):
        return _starved(error)
    if isinstance(error, OSError) and error.errno in _WORLD:
        return _failed(error)
    if _deserted(error):
        say("fairaudit: another process of this run has ended, and its share of the work is missing")
        return REFUSED
    return _internal(error)


def lacks_memory(error: BaseException) -> bool:
    """Whether the machine is too small: Python, numpy and Arrow say so by one class, others by their words.

    Args:
        error: what was raised.
    """
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    told = str(error).casefold()
    return isinstance(error, RuntimeError | ImportError | SystemError) and any(words in told for words in _NO_MEMORY)


def _deserted(error: Exception) -> bool:
    """Whether one of several processes waited for another that is gone; torch's backends say so by names and words."""
    several = int(os.environ.get("WORLD_SIZE") or 1) > 1
    told = type(error).__name__.startswith("Dist") or "gloo" in str(error) or "onnection closed by peer" in str(error)
    return several and isinstance(error, RuntimeError) and told


def _starved(error: Exception) -> int:
    what = " ".join(str(error).split())[:300]
    say(
        f"fairaudit: there is not enough memory{f' ({what})' if what else ''}; "
        "use a smaller file, batch or image size, or a larger machine"
    )
    return REFUSED


def _failed(error: OSError) -> int:
    """What the system could not do where nobody expected it: a broken disk, a file that vanished under way."""
    _trace()
    what = error.filename if error.filename is not None else "a file"
    say(f"fairaudit: {os.fsdecode(what) if isinstance(what, bytes) else what} cannot be used: {error.strerror or error}")
    return REFUSED


def _internal(error: Exception) -> int:
    """A fault of ours must never look like a failed rule, which exits 1."""
    _trace()
    what = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    say(f"fairaudit: internal error, please report it: {what} (FAIRAUDIT_DEBUG=1 shows where)")
    return INTERNAL_ERROR


def _trace() -> None:
    if os.environ.get("FAIRAUDIT_DEBUG"):
        import traceback

        traceback.print_exc()
