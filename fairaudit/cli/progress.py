"""A progress bar on stderr, where somebody watches it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

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
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    began, before, last = 0.0, 0, 0

    def advance(done: int, total: int) -> None:
        nonlocal began, before, last
        if not bar.task_ids or done < last:  # work begins, or begins again: what went before was loading, or other work
            began, before = perf_counter(), done
            for task in bar.task_ids:
                bar.remove_task(task)
            bar.add_task(what, total=total, completed=done, rate="")
            bar.start()
        elapsed, more, last = perf_counter() - began, done - before, done
        rate = f"{more / elapsed:.0f} {what}/s" if elapsed > 0.2 and more > 0 else ""
        bar.update(bar.task_ids[0], completed=done, total=total, rate=rate)

    try:
        yield advance
    finally:
        bar.stop()
