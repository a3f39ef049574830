"""``fairaudit merge``: audits of shards become the audit of their union."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairaudit.cli import options as o
from fairaudit.cli.show import check_format, show
from fairaudit.cli.streams import say
from fairaudit.cli.verdict import read_gate

Audits = Annotated[list[Path], typer.Argument(metavar="AUDIT AUDIT …", help="audit.json files, or run folders.")]


def merge(
    audits: Audits,
    on_inconclusive: o.OnInconclusive = None,
    exit_zero: o.ExitZero = False,
    format_: o.Format = "terminal",
    out: o.Out = None,
    no_report: o.NoReport = False,
    quiet: o.Quiet = False,
) -> int:
    """Merge audits of different images into the audit of all of them, exactly, through their counts.

    Target, classes, groupings, rules and settings must be the same.

    fairaudit merge runs/part1 runs/part2 --out runs/whole
    """
    from fairaudit.workflows.merge import merge_files

    format_ = check_format(format_)
    gate = read_gate(None, None, on_inconclusive, exit_zero)
    result, written = merge_files(audits, out, not no_report)
    show(result, format_)
    if written is not None and not quiet:
        say(f"written: {written}")
    return gate.exit_code(result)
