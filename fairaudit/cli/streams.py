"""What goes to which stream: results to stdout, everything said along the way to stderr, and a closed pipe is no error."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO, cast

from fairaudit.errors import OutputError

_COLOUR = r"\x1b\[[0-9;]*m"
_CONTROLS = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
_LONGEST = 4000
"""Characters of a sentence, of which a name in a file may be the most."""


class PatientStream:
    """A text stream that goes quiet when its reader has left, instead of failing (``fairaudit audit … | head``).

    Args:
        stream: the stream behind it; None where the process was started without one.
        name: what to call it where it must not lose anything (a full disk is then an error); None where it may.
    """

    def __init__(self, stream: TextIO | None, name: str | None = None) -> None:
        self._stream = stream
        self._name = name

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        """Whether a terminal is behind it."""
        return self._stream is not None and self._stream.isatty()

    def write(self, text: str) -> int:
        """Write text, or pretend to once nobody reads."""
        if self._stream is not None:
            try:
                return self._stream.write(text)
            except OSError as error:
                self._go_quiet(error)
        return len(text)

    def flush(self) -> None:
        """Flush, or pretend to once nobody reads."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except OSError as error:
                self._go_quiet(error)

    def _go_quiet(self, error: OSError) -> None:
        # What the stream has buffered must go somewhere, or the interpreter complains on its way out.
        assert self._stream is not None
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        if self._name is not None and not isinstance(error, BrokenPipeError):
            why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
            raise OutputError(f"the result could not be written to {self._name}: {why}") from error


@contextmanager
def patient_streams() -> Iterator[None]:
    """Within the block, both standard streams are patient."""
    before = sys.stdout, sys.stderr
    sys.stdout = cast(TextIO, PatientStream(sys.stdout, "stdout"))
    sys.stderr = cast(TextIO, PatientStream(sys.stderr))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def speaks() -> bool:
    """Whether this process may speak: of several (``torchrun``), only the main one does."""
    return int(os.environ.get("RANK") or 0) == 0


def harmless(text: str, colour: bool = False) -> str:
    """Text that cannot repaint or rearrange a terminal: controls and marks of direction are spelt out, as JSON does.

    Line ends and tabulators stay. What a JSON text holds is the same afterwards.

    Args:
        text: any, with names from datasets and files in it.
        colour: whether sequences that do nothing but colour stay.
    """
    kept = _COLOUR if colour else "(?!)"
    return re.sub(f"({kept})|({_CONTROLS})", lambda m: m[1] or f"\\u{ord(m[2]):04x}", text)


def write_out(text: str, colour: bool | None = None) -> None:
    """Write a result to stdout; characters that the terminal's encoding lacks are replaced, controls spelt out.

    Args:
        text: the result.
        colour: whether it is coloured; None where that is as ``stdout_colour`` says.

    Raises:
        OutputError: stdout cannot be written to, for another reason than a reader that left.
    """
    if not text.endswith("\n"):
        text += "\n"
    text = harmless(text, stdout_colour() if colour is None else colour)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def say(*sentences: str) -> None:
    """Say something to the user on stderr, if this process may: each sentence a line, whatever names stand in it."""
    if speaks():
        for sentence in sentences:
            insist(sentence)


def insist(sentence: str) -> None:
    """Say something on stderr, whether or not it was this process that was to speak; for what no other one says."""
    line = harmless(sentence).replace("\n", "\\n")
    print(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 500]} … {line[-500:]}", file=sys.stderr)


def warn(sentences: Iterable[str]) -> None:
    """Say warnings on stderr, one a line."""
    say(*(f"warning: {s}" for s in sentences))


def stdout_width() -> int:
    """Columns of the terminal behind stdout; 80 where there is none, $COLUMNS where it is set."""
    return max(40, shutil.get_terminal_size((80, 24)).columns) if _is_tty(sys.stdout) or "COLUMNS" in os.environ else 80


def stdout_colour() -> bool:
    """Whether stdout may be coloured: a terminal, and NO_COLOR is not set."""
    return _is_tty(sys.stdout) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def stderr_is_terminal() -> bool:
    """Whether somebody watches stderr, so that a progress bar of this process makes sense."""
    return speaks() and _is_tty(sys.stderr) and os.environ.get("TERM") != "dumb"


def _is_tty(stream: object) -> bool:
    return bool(getattr(stream, "isatty", lambda: False)())
