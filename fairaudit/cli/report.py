"""``fairaudit report``: print a stored run again, in any format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairaudit.cli import options as o
from fairaudit.cli.show import check_format, show

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, or an audit.json.")]


def report(run: Run, format_: o.Format = "terminal") -> int:
    """Print a stored run again, in any format.

    fairaudit report runs/mine --format markdown
    """
    from fairaudit.artifacts.records import read_audit

    format_ = check_format(format_)
    show(read_audit(run), format_)
    return 0
