"""The progress bar: drawn where somebody watches, and honest about the rate."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stderr

import pytest

from fairaudit.cli import progress
from fairaudit.cli.progress import image_progress


class Screen(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "RANK", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return Screen()


def test_the_rate_counts_from_the_first_image_not_from_loading(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress, "perf_counter", lambda: clock[0])
    with redirect_stderr(screen), image_progress() as advance:
        assert advance is not None
        clock[0] = 60.0  # a large checkpoint
        assert screen.text == "", "nothing to be seen while nothing is done"
        for done in range(10, 101, 10):
            advance(done, 100)
            clock[0] += 0.5
    assert "100/100" in screen.text
    assert "20 images/s" in screen.text
    assert screen.text.endswith("\n") or not screen.text.splitlines()[-1].strip(), "the bar is gone at the end"


def test_a_second_round_of_work_starts_at_nothing(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress, "perf_counter", lambda: clock[0])
    with redirect_stderr(screen), image_progress(what="batches") as advance:
        assert advance is not None
        for total, pause in ((40, 1.0), (80, 0.25)):
            for done in range(0, total + 1, 10):
                advance(done, total)
                clock[0] += pause
    assert "0/40" in screen.text
    assert " 0/80" in screen.text
    assert "80/80 40 batches/s" in screen.text


@pytest.mark.parametrize(("name", "value"), [("RANK", "1"), ("TERM", "dumb")])
def test_nothing_is_drawn_where_nobody_watches(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with redirect_stderr(screen):
        with image_progress() as advance:
            assert advance is not None
        with image_progress(show=False) as advance:
            assert advance is None
        monkeypatch.setenv(name, value)
        with image_progress() as advance:
            assert advance is None
    assert screen.text == ""
