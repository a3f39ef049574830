"""A progress bar on stderr, where somebody watches it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fairaudit.cli.streams import stderr_is_terminal

Progress = Callable[[int, int], None]


@contextmanager
def image_progress(show: bool = True, what: str = "images") -> Iterator[Progress | None]:
    """A callback for (done, total) that draws a bar with the rate and the time left; None where nobody watches.

    Args:
        show: False for ``--quiet``.
        what: the unit.
    """
    if not show or not stderr_is_terminal():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, rate="")

        def advance(done: int, total: int) -> None:
            elapsed = bar.tasks[0].elapsed or 0.0
            rate = f"{done / elapsed:.0f} {what}/s" if elapsed > 0.2 and done else ""
            bar.update(task, completed=done, total=total, rate=rate)

        yield advance
