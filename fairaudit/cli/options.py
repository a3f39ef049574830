"""Flags that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AUDIT, RUN, MODEL, DATA, OUTPUT, GATE = "What is audited", "How it is run", "The model", "The data", "Output", "The gate"

By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        metavar="A[,B]",
        help="Grouping; a comma crosses attributes: race,gender. Repeatable.",
        rich_help_panel=AUDIT,
    ),
]
Privileged = Annotated[
    list[str] | None,
    typer.Option(
        "--privileged",
        metavar="A=LEVEL",
        help="Reference group: race=White or race=White,gender=Male. Repeatable. Default: the card's, or the largest.",
        rich_help_panel=AUDIT,
    ),
]
Positive = Annotated[
    str | None,
    typer.Option(
        "--positive",
        metavar="CLASS",
        help="The class that plain metric names mean. Of labels: LABEL=CLASS,…",
        rich_help_panel=AUDIT,
    ),
]
Where = Annotated[
    str | None,
    typer.Option("--where", metavar="EXPR", help="Restrict to a subset: 'gender == \"Female\"'.", rich_help_panel=AUDIT),
]
Given = Annotated[
    list[str] | None,
    typer.Option(
        "--given",
        metavar="A[,B]",
        help="Audit every grouping within each level of this column too, and average over levels: age. Repeatable.",
        rich_help_panel=AUDIT,
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option("--confidence", metavar="P", help="Of every interval. Default: 0.95.", rich_help_panel=AUDIT),
]
Bootstrap = Annotated[
    int | None,
    typer.Option(
        "--bootstrap", metavar="N", help="Replicates where no closed form exists. Default: 1000.", rich_help_panel=AUDIT
    ),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", help="Of everything that is drawn at random. Default: 0.", rich_help_panel=AUDIT),
]
MinSupport = Annotated[
    int | None,
    typer.Option(
        "--min-support",
        metavar="N",
        help="Groups with a smaller denominator are marked and cannot pass a rule. Default: 20.",
        rich_help_panel=AUDIT,
    ),
]
Rules = Annotated[
    list[str] | None,
    typer.Option(
        "--rule",
        metavar="RULE",
        help="METRIC\\[CLASS] KIND by A\\[,B] \\[given C] OP NUMBER. Repeatable.",
        rich_help_panel=GATE,
    ),
]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", metavar="FILE", help="TOML file with rules.", rich_help_panel=GATE)
]
OnInconclusive = Annotated[
    str | None,
    typer.Option(
        "--on-inconclusive",
        metavar="WHAT",
        help="What an inconclusive verdict ends with: error (exit 3), fail (1), pass (0). Default: error.",
        rich_help_panel=GATE,
    ),
]
ExitZero = Annotated[
    bool, typer.Option("--exit-zero", metavar="", help="Exit 0 whatever the verdict.", rich_help_panel=GATE)
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        "-f",
        metavar="NAME",
        help="What is printed on stdout: terminal, json, markdown, html, csv, junit, github, model-card.",
        rich_help_panel=OUTPUT,
    ),
]
Out = Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Run folder.", rich_help_panel=OUTPUT)]
NoReport = Annotated[
    bool,
    typer.Option("--no-report", metavar="", help="Write no report.html and no figures.", rich_help_panel=OUTPUT),
]
Gallery = Annotated[
    int | None,
    typer.Option(
        "--gallery",
        metavar="N",
        help="Show N faces of each group in report.html: its surest mistakes and closest decisions. Default: none.",
        rich_help_panel=OUTPUT,
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", metavar="", help="Say nothing but errors on stderr.", rich_help_panel=OUTPUT)
]
Root = Annotated[
    Path | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Folder of the dataset. Default: $FAIRAUDIT_DATA/NAME, ./data/NAME, or the user's config file.",
        rich_help_panel=DATA,
    ),
]
DataOption = Annotated[
    list[str] | None,
    typer.Option(
        "--data-option",
        metavar="KEY=VALUE",
        help="Option of the dataset's source; 'fairaudit list datasets NAME' tells them. Repeatable.",
        rich_help_panel=DATA,
    ),
]
YTrue = Annotated[
    str | None,
    typer.Option("--y-true", metavar="COLUMN", help="The labels; A,B: jointly; A+B: side by side.", rich_help_panel=DATA),
]
YPred = Annotated[
    str | None,
    typer.Option(
        "--y-pred",
        metavar="COLUMN",
        help="The predicted classes. Default: that of the labels with _pred.",
        rich_help_panel=DATA,
    ),
]
YScore = Annotated[
    list[str] | None,
    typer.Option(
        "--y-score",
        metavar="COLUMN",
        help="The score of the positive class, or CLASS=COLUMN. Repeatable.",
        rich_help_panel=DATA,
    ),
]
RowId = Annotated[str | None, typer.Option("--id", metavar="COLUMN", help="What names each image.", rich_help_panel=DATA)]
Identity = Annotated[
    str | None, typer.Option("--identity", metavar="COLUMN", help="Who is on each image.", rich_help_panel=DATA)
]
Weight = Annotated[
    str | None,
    typer.Option(
        "--weight", metavar="COLUMN", help="How many images of the population each row stands for.", rich_help_panel=DATA
    ),
]
Classes = Annotated[
    str | None,
    typer.Option("--classes", metavar="A,B,…", help="Every class. Default: those that occur.", rich_help_panel=DATA),
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="NAME",
        help="Which target, in a table of several. A,B: jointly; A+B: labels side by side; all: every one of two classes.",
        rich_help_panel=AUDIT,
    ),
]
