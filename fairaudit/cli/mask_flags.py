"""Flags of ``mitigate`` and ``sweep`` that are options of one method, attribution-mask, spelt out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from fairaudit.errors import UsageError

METHOD = "attribution-mask"
FLAGS = ("confounder", "kind", "quantile", "attribution")
_PANEL = "With --method attribution-mask"

Confounder = Annotated[
    str | None,
    typer.Option("--confounder", metavar="NAME", help="The attribute whose place in the pictures is hidden.",
                 rich_help_panel=_PANEL),
]  # fmt: skip
Kind = Annotated[
    str | None,
    typer.Option("--kind", metavar="NAME", rich_help_panel=_PANEL,
                 help="general-mask, general-noise, specific-mask or specific-noise. Default: general-noise."),
]  # fmt: skip
Quantile = Annotated[
    float | None,
    typer.Option(
        "--quantile", metavar="Q", help="Of the map; 0.7 hides the top 30 %. Default: 0.7.", rich_help_panel=_PANEL
    ),
]
Attribution = Annotated[
    Path | None,
    typer.Option("--attribution", metavar="DIR", help="What 'attribute fit' wrote. Default: a coarse fit comes first.",
                 rich_help_panel=_PANEL),
]  # fmt: skip


def with_mask_flags(arms: list[dict[str, Any]] | None, asked: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The arms, of which those of the method know what its flags say.

    Args:
        arms: from ``arms_of``; they are left as they are.
        asked: every flag by its name.

    Raises:
        UsageError: a flag is given without the method, or what it says is said in ``--method`` too.
    """
    given = {name: asked[name] for name in FLAGS if asked[name] is not None}
    if not given:
        return arms
    first = next(iter(given))
    if not any(arm.get("method") == METHOD for arm in arms or ()):
        raise UsageError(f"--{first} is for --method {METHOD}, which is not asked for")
    found = []
    for arm in arms or ():
        if arm.get("method") == METHOD:
            doubled = next((name for name in given if name in arm["method_options"]), None)
            if doubled is not None:
                raise UsageError(f"--{doubled} and --method {METHOD}:{doubled}=… say the same thing; leave one out")
            arm = {**arm, "method_options": {**arm["method_options"], **{name: str(v) for name, v in given.items()}}}
        found.append(arm)
    return found
