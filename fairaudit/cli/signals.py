"""Signals: Ctrl-C and SIGTERM end a command wherever they arrive, also where Python would swallow them.

What a handler raises while a weak reference's callback or a finalizer happens to run is ignored by Python, and the
command would go on as if nobody had asked it to stop. Such a signal is sent once more, a moment later.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_MOMENT = 0.05
"""Seconds; a finalizer is over by then."""


class Terminated(BaseException):
    """SIGTERM arrived."""


@contextmanager
def signals_end_it() -> Iterator[None]:
    """Within the block SIGTERM raises ``Terminated``, and neither it nor Ctrl-C is lost."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: whoever runs us there listens for signals
        yield
        return
    told, waiting = sys.unraisablehook, list[threading.Timer]()

    def lost(what: sys.UnraisableHookArgs) -> None:
        numbers = {KeyboardInterrupt: signal.SIGINT, Terminated: signal.SIGTERM}
        number = next((numbers[kind] for kind in numbers if issubclass(what.exc_type, kind)), None)
        if number is None:
            told(what)
            return
        timer = threading.Timer(_MOMENT, os.kill, (os.getpid(), number))
        timer.daemon = True
        waiting.append(timer)
        timer.start()

    sys.unraisablehook = lost
    try:
        yield
    finally:
        sys.unraisablehook = told
        for timer in waiting:
            timer.cancel()
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
