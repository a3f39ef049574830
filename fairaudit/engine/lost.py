"""A process that decodes images is gone: killed, perhaps because memory ran out."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fairaudit.errors import LostProcessError


@contextmanager
def losses_told() -> Iterator[None]:
    """A killed loader process in a sentence: torch raises wherever the main thread is when it hears of the death."""
    try:
        yield
    except Exception as error:  # as which it may be told, too
        if not _of_a_loader(error):
            raise
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # or torch would raise again while the run is ended in order
        raise LostProcessError(
            "a process that decodes images was killed, perhaps because memory ran out; use fewer --workers"
        ) from error


def _of_a_loader(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, is that of a process that is not there any more."""
    while error is not None:
        gone = any(text in str(error) for text in ("is killed by signal", "exited unexpectedly"))
        if gone or isinstance(error, (ConnectionResetError, EOFError)):
            return True
        error = error.__cause__ or error.__context__
    return False
