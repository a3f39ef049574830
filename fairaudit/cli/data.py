"""``fairaudit data``: look at a dataset before looking at a model."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli.streams import stdout_colour, stdout_width, warn, write_out
from fairaudit.errors import UsageError

data = typer.Typer(help="Look at a dataset before looking at a model.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Dataset; see 'fairaudit list datasets'.")]
Split = Annotated[str | None, typer.Option("--split", metavar="NAME", help="Default: every image.", rich_help_panel=o.DATA)]
Target = Annotated[
    str | None,
    typer.Option("--target", metavar="NAME", help="Show how balanced it is within each group.", rich_help_panel=o.AUDIT),
]
ProfileFormat = Annotated[
    str, typer.Option("--format", "-f", metavar="NAME", help="terminal or json.", rich_help_panel=o.OUTPUT)
]


@data.callback()
def _data() -> None:
    pass


@data.command("profile")
def profile(
    name: Name,
    root: o.Root = None,
    split: Split = None,
    by: o.By = None,
    target: Target = None,
    data_option: o.DataOption = None,
    format_: ProfileFormat = "terminal",
) -> int:
    """Count images per group and cell, with ages where they are known.

    fairaudit data profile utkface --root faces/UTKFace --by race,gender
    """
    if format_ not in ("terminal", "json"):
        raise UsageError(f"--format {format_!r}: a profile is printed as terminal or json")
    from fairaudit.workflows.profile import profile_dataset, profile_table

    options = p.data_options(data_option)
    p.check_data_options(options)
    found, notes = profile_dataset(name, root, split or "all", p.groupings(by) or (), target, options)
    warn(notes)
    if format_ == "json":
        write_out(json.dumps(found.to_record(), indent=2, ensure_ascii=False))
        return 0
    from io import StringIO

    from rich.console import Console

    text, colour = StringIO(), stdout_colour()
    console = Console(file=text, width=stdout_width(), force_terminal=colour, color_system="standard" if colour else None)
    console.print(profile_table(found))
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    if found.identities is not None:
        lines += ["", f"{found.identities:,} people"]
    if found.self_identified:
        lines += ["", "the labels are how people identify themselves"]
    write_out("\n".join(lines))
    return 0
