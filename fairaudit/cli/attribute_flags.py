"""Flags of ``attribute``: the region classifier, what is looked at, and what is done to pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairaudit.cli import options as o

REGIONS, TREATED = "The region classifier", "What is done"

Attribute = Annotated[
    str | None, typer.Argument(metavar="ATTRIBUTE", help="Column that is looked for; or say it in --config.")
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="What 'attribute fit' wrote.")]
Side = Annotated[
    int | None, typer.Option("--size", metavar="N", help="Pixels of a side. Default: 128.", rich_help_panel=REGIONS)
]
Patch = Annotated[
    int | None, typer.Option("--patch", metavar="N", help="Pixels of a patch's side. Default: 32.", rich_help_panel=REGIONS)
]
PerSide = Annotated[
    int | None,
    typer.Option("--per-side", metavar="N", rich_help_panel=REGIONS,
                 help="Positions of patches on a side; (size - patch) / (N - 1) must be whole. Default: 49."),
]  # fmt: skip
Stem = Annotated[
    str | None,
    typer.Option("--stem", metavar="NAME", rich_help_panel=REGIONS,
                 help="cifar begins at full resolution, as the paper does; imagenet is faster. Default: imagenet."),
]  # fmt: skip
Width = Annotated[
    int | None,
    typer.Option("--width", metavar="N", help="Channels of its first blocks. Default: 64.", rich_help_panel=REGIONS),
]
Measure = Annotated[
    str | None,
    typer.Option("--measure", metavar="NAME", rich_help_panel=REGIONS,
                 help="Confidence that maps show: top softmax, margin or entropy. Default: top."),
]  # fmt: skip
Sample = Annotated[
    int | None,
    typer.Option("--sample", metavar="N", rich_help_panel=REGIONS,
                 help="Validation images all of whose patches are classified. Default: 64."),
]  # fmt: skip
Temperature = Annotated[
    bool | None,
    typer.Option("--temperature", metavar="", help="Divide logits by a fitted temperature.", rich_help_panel=REGIONS),
]
ValidationShare = Annotated[
    float | None,
    typer.Option("--validation-share", metavar="SHARE", help="Of the images. Default: 0.1.", rich_help_panel=o.DATA),
]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", help="Default: 0.", rich_help_panel=o.RUN)]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder that is written.", rich_help_panel=o.OUTPUT)]
Every = Annotated[
    int,
    typer.Option("--every", metavar="N", help="Look at every n-th position of each side.", rich_help_panel=o.RUN),
]
Approximate = Annotated[
    bool,
    typer.Option(
        "--approximate", metavar="", help="One pass over each picture: fast, far from exact.", rich_help_panel=o.RUN
    ),
]
Beside = Annotated[
    list[Path] | None,
    typer.Option("--beside", metavar="DIR", help="Another attribution, to compare. Repeatable.", rich_help_panel=o.OUTPUT),
]
Quantile = Annotated[
    float,
    typer.Option("--quantile", metavar="Q", help="Of the map; 0.7 is the top 30 %.", rich_help_panel=TREATED),
]
Kind = Annotated[
    str,
    typer.Option("--kind", metavar="NAME", rich_help_panel=TREATED,
                 help="general-mask, general-noise, specific-mask or specific-noise."),
]  # fmt: skip
Sigma = Annotated[
    float, typer.Option("--sigma", metavar="S", help="Of noise, in normalised units.", rich_help_panel=TREATED)
]
Faithful = Annotated[
    bool,
    typer.Option("--paper-faithful", metavar="", help="Clip noisy pictures as the original does.", rich_help_panel=TREATED),
]
Format = Annotated[str, typer.Option("--format", "-f", metavar="NAME", help="terminal or json.", rich_help_panel=o.OUTPUT)]
