"""Flags that say what is counted and listed: levels, decisions, and metrics beside the usual ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Annotated, Any

import typer

from fairaudit.errors import UsageError

_PANEL = "What is audited"

Bins = Annotated[
    list[str] | None,
    typer.Option(
        "--bins",
        metavar="A=N,N,…",
        help="Levels of a numeric attribute, by where each starts: age=0,18,40,65. Repeatable.",
        rich_help_panel=_PANEL,
    ),
]
Missing = Annotated[
    str | None,
    typer.Option(
        "--missing",
        metavar="WHAT",
        help="Images whose attribute is not known: exclude (and count) or group. Default: exclude.",
        rich_help_panel=_PANEL,
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        metavar="P",
        help="Of two classes, call the positive one where its score reaches P.",
        rich_help_panel=_PANEL,
    ),
]
Beta = Annotated[
    list[float] | None,
    typer.Option("--beta", metavar="N", help="List F-scores of this beta too. Repeatable.", rich_help_panel=_PANEL),
]
Aggregate = Annotated[
    str | None,
    typer.Option(
        "--aggregate",
        metavar="A,B,…",
        help="Over classes list, beside the mean: micro, weighted, worst.",
        rich_help_panel=_PANEL,
    ),
]
TopK = Annotated[
    list[int] | None,
    typer.Option("--top-k", metavar="K", help="List top-k accuracy. Repeatable. Default: 3 and 5.", rich_help_panel=_PANEL),
]

NoCluster = Annotated[
    bool,
    typer.Option(
        "--no-cluster",
        metavar="",
        help="Take images of one person as independent, which makes intervals too narrow.",
        rich_help_panel=_PANEL,
    ),
]
LabelNoise = Annotated[
    list[str] | None,
    typer.Option(
        "--label-noise",
        metavar="RATE|A=FILE",
        help="How far disparities could move if so many labels of groups are wrong: 0.05, race=0.05, or race=matrix.csv "
        "(rows true, columns recorded). Repeatable.",
        rich_help_panel=_PANEL,
    ),
]
Shrink = Annotated[
    bool,
    typer.Option(
        "--shrink",
        metavar="",
        help="List shares of groups drawn towards their mean as well, the small ones most.",
        rich_help_panel=_PANEL,
    ),
]


def counting(
    bins: Iterable[str] | None,
    missing: str | None,
    threshold: float | None,
    beta: Iterable[float] | None,
    aggregate: str | None,
    top_k: Iterable[int] | None,
    no_cluster: bool = False,
) -> dict[str, Any]:
    """What the user set of these, as the audit's settings name it; None where nothing was.

    Raises:
        UsageError: edges cannot be read.
    """
    return {
        "bins": edges(bins),
        "missing": missing,
        "threshold": threshold,
        "beta": tuple(beta) if beta else None,
        "aggregate": tuple(part.strip().casefold() for part in aggregate.split(",")) if aggregate else None,
        "top_k": tuple(top_k) if top_k else None,
        "cluster": False if no_cluster else None,
    }


def asked_besides(label_noise: Sequence[str] | None, shrink: bool, by: Iterable[Sequence[str]]) -> dict[str, Any]:
    """What the user set of these, as the audit's settings name it; None where nothing was.

    Args:
        label_noise: words of ``--label-noise``.
        shrink: whether ``--shrink`` was said.
        by: the groupings named.

    Raises:
        UsageError: the words cannot be understood.
        ConfigError: an error matrix cannot be read.
    """
    noise = None
    if label_noise:
        from fairaudit.config.label_noise import label_noise as read

        noise = read(label_noise, list(dict.fromkeys(name for names in by for name in names)))
    return {"label_noise": noise, "shrink": True if shrink else None}


def edges(bins: Iterable[str] | None) -> dict[str, tuple[float, ...]] | None:
    """``age=0,18,40`` … as attribute → where its levels start; None where there is none."""
    return dict(_edges(text) for text in bins) if bins else None


def _edges(text: str) -> tuple[str, tuple[float, ...]]:
    name, _, numbers = text.partition("=")
    try:
        edges = tuple(float(part) for part in numbers.split(","))
    except ValueError as error:
        raise UsageError(f"--bins {text!r}: write an attribute and where each level starts, age=0,18,40,65") from error
    if not all(a < b for a, b in pairwise((float("-inf"), *edges, float("inf")))):
        raise UsageError(f"--bins {text!r}: the edges must be finite and rise")
    return name.strip(), edges
