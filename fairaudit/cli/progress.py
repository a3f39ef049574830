"""A progress bar on stderr, where somebody watches it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from fairaudit.cli.streams import say, stderr_is_terminal

if TYPE_CHECKING:
    from fairaudit.engine.history import Progress as Training

Progress = Callable[[int, int], None]
Arm = Callable[[int, int, str, int], None]


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


@contextmanager
def training_progress(show: bool = True) -> Iterator[tuple[Arm, Callable[[Training], None]]]:
    """Callbacks that draw one bar for the training that runs: epoch, loss, and the worst group of the last epoch.

    Where nobody watches, the start of each training is a line on stderr.

    Args:
        show: False for ``--quiet``.
    """
    if not show:
        yield (lambda *_: None), (lambda _: None)
        return
    if not stderr_is_terminal():
        yield (lambda done, total, name, seed: say(f"training {done} of {total}: {name}, seed {seed}")), (lambda _: None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(compact=True),
    )  # fmt: skip
    bar = Progress(*columns, console=Console(stderr=True), transient=True)

    def arm(done: int, total: int, name: str, seed: int) -> None:
        for task in bar.task_ids:
            bar.remove_task(task)
        bar.add_task(f"{done}/{total} {name} seed {seed}", total=None, state="")
        bar.start()

    def advance(now: Training) -> None:
        state = f"epoch {now.epoch}/{now.epochs} loss {now.loss:.3f}"
        checked = None if now.finished is None else now.finished.validation
        if checked is not None:
            known = [a for a in checked.group_accuracies if a == a]
            state += f" worst group {min(known):.3f}" if known else ""
        done, total = (now.epoch - 1) * now.batches + now.batch, now.epochs * now.batches
        bar.update(bar.task_ids[0], completed=done, total=total, state=state)

    try:
        yield arm, advance
    finally:
        bar.stop()
