"""``fairaudit demo``: the main job on drawn faces, without downloads, in under two minutes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairaudit.cli import options as o
from fairaudit.cli.show import show
from fairaudit.cli.streams import say, stdout_colour, stdout_width, write_out

if TYPE_CHECKING:
    from fairaudit.results import AuditResult, Estimate

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for checkpoints and run folders.")]


def demo(out: Out = Path("runs/demo"), seed: o.Seed = None, quiet: o.Quiet = False) -> int:
    """Train on a biased sample of drawn faces, audit, retrain with max-group, audit again.

    Takes under two minutes on two cores; nothing is downloaded. Exits 0 whatever the verdicts.
    """
    from fairaudit.cli.progress import image_progress
    from fairaudit.workflows.demo import BASELINE, MITIGATION, RULE
    from fairaudit.workflows.demo import demo as run

    with image_progress(show=not quiet, what="batches") as progress:
        found = run(out, seed=seed or 0, say=None if quiet else say, progress=progress)
    write_out(f"\n== The model trained by {BASELINE} ==\n")
    show(found.before, "terminal")
    write_out(f"\n== Retrained with {MITIGATION}, on the same test faces ==\n")
    _compare(found.before, found.after)
    write_out(
        f"\nThe rule was: {RULE}\n"
        f"Read an audit again:      fairaudit report {out}/{MITIGATION}\n"
        f"Judge it by your rule:    fairaudit gate {out}/{MITIGATION} --rule '{RULE}'\n"
        f"Compare image by image:   fairaudit compare {out}/{BASELINE} {out}/{MITIGATION} --by gender,Eyeglasses"
    )
    return 0


def _compare(before: AuditResult, after: AuditResult) -> None:
    from io import StringIO

    from rich.console import Console
    from rich.table import Table

    from fairaudit.results import group_label

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("accuracy")
    table.add_column("before")
    table.add_column("after")
    table.add_column("change", justify="right")
    for a, b in zip(before.groupings[0].groups, after.groupings[0].groups, strict=True):
        table.add_row(group_label(a.group), *_cells(a.metrics["accuracy"], b.metrics["accuracy"]))
    table.add_row("all images", *_cells(before.overall.metrics["accuracy"], after.overall.metrics["accuracy"]))
    gaps = [
        next(d.estimate for d in r.groupings[0].disparities if (d.metric, d.kind) == ("accuracy", "gap"))
        for r in (before, after)
    ]
    table.add_row("gap", *_cells(*gaps))
    table.add_row("verdict", before.verdict.value, after.verdict.value, "")
    text, colour = StringIO(), stdout_colour()
    console = Console(file=text, width=stdout_width(), force_terminal=colour, color_system="standard" if colour else None)
    console.print(table)
    write_out(text.getvalue())


def _cells(before: Estimate, after: Estimate) -> tuple[str, str, str]:
    def one(e: Estimate) -> str:
        return f"{e.value:.3f} \\[{e.ci_low:.3f}, {e.ci_high:.3f}]"

    return one(before), one(after), f"{after.value - before.value:+.3f}"
