"""``fairaudit data subset``: cut a biased experiment out of a dataset, beside a balanced one with the same test images."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli.streams import say, warn, write_out
from fairaudit.errors import UsageError

if TYPE_CHECKING:
    from fairaudit.workflows.subset import Subset

WHAT = "What is cut out"

Name = Annotated[str, typer.Argument(metavar="NAME", help="Dataset; see 'fairaudit list datasets'.")]
Target = Annotated[
    str, typer.Option("--target", metavar="NAME", help="What is to be predicted; two levels.", rich_help_panel=WHAT)
]
Confounder = Annotated[
    str, typer.Option("--confounder", metavar="NAME", help="What is tied to it; two levels.", rich_help_panel=WHAT)
]
Lacking = Annotated[
    str | None,
    typer.Option("--lacking", metavar="LEVEL", rich_help_panel=WHAT,
                 help="Level of the target that never has the confounder in training. Default: the first."),
]  # fmt: skip
Present = Annotated[
    str | None,
    typer.Option("--present", metavar="LEVEL", rich_help_panel=WHAT,
                 help="Level of the confounder that is tied. Default: the last, yes of no and yes."),
]  # fmt: skip
Size = Annotated[
    int | None,
    typer.Option("--size", metavar="N", rich_help_panel=WHAT,
                 help="Training images of the biased set. Default: as many as there are, up to 6,000."),
]  # fmt: skip
TestPerCell = Annotated[
    int,
    typer.Option("--test-per-cell", metavar="N", help="Test images of each cell, or what is there.", rich_help_panel=WHAT),
]
Validation = Annotated[
    float,
    typer.Option("--validation", metavar="SHARE", rich_help_panel=WHAT,
                 help="Images to select on, as a share of the training images and as biased."),
]  # fmt: skip
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Of every draw.", rich_help_panel=WHAT)]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the tables.", rich_help_panel=o.OUTPUT)]
Format = Annotated[str, typer.Option("--format", "-f", metavar="NAME", help="terminal or json.", rich_help_panel=o.OUTPUT)]


def subset(
    name: Name,
    target: Target,
    confounder: Confounder,
    out: Out,
    lacking: Lacking = None,
    present: Present = None,
    size: Size = None,
    test_per_cell: TestPerCell = 182,
    validation: Validation = 0.125,
    seed: Seed = 0,
    root: o.Root = None,
    data_option: o.DataOption = None,
    format_: Format = "terminal",
) -> int:
    """Cut a biased experiment out of a dataset, as tables that --data table reads.

    fairaudit data subset celeba --target Male --confounder Smiling --lacking Male --out subset

    Half of the training images have one level of the target and never the confounder; of the other half two thirds have it.
    A balanced set of as many images and the same balanced test images lie beside it.
    """
    if format_ not in ("terminal", "json"):
        raise UsageError(f"--format {format_!r}: a subset is printed as terminal or json")
    from fairaudit.workflows.subset import Wish, cut_subset

    options = p.data_options(data_option)
    p.check_data_options(options)
    wish = Wish(target, confounder, lacking, present, size, test_per_cell, validation, seed)
    found = cut_subset(name, root, wish, out, data_options=options, command=["fairaudit", *sys.argv[1:]])
    warn(found.notes)
    write_out(json.dumps({"cells": found.cells}, indent=2, ensure_ascii=False) if format_ == "json" else _shown(found))
    images = f" --data-option images={found.images}" if found.images is not None else ""
    say(f"written: {out}", f"train on it with --data table --root {out / 'biased.csv'}{images} --splits official")
    return 0


def _shown(found: Subset) -> str:
    names = list(found.cells["biased"]["train"])
    width = max(map(len, names))
    columns = [(kind, split) for kind, parts in found.cells.items() for split in parts]
    heads = [f"{kind} {split}" for kind, split in columns]
    lines = [" " * width + "".join(f"  {head}" for head in heads)]
    for name in names:
        counts = [f"{found.cells[kind][split][name]:,}" for kind, split in columns]
        lines.append(name.ljust(width) + "".join(f"  {n:>{len(h)}}" for n, h in zip(counts, heads, strict=True)))
    return "\n".join(lines)
