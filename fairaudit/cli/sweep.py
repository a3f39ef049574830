"""``fairaudit sweep``: several losses, methods and settings in one experiment, searched for where asked."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from fairaudit.cli import training_flags as t
from fairaudit.cli.mitigate import asked_for, experiment, mitigate
from fairaudit.errors import UsageError

Grid = Annotated[
    list[str] | None,
    typer.Option("--grid", metavar="KEY=V,V…", rich_help_panel=t.ARMS,
                 help="Values of a training setting (lr), of the loss's options (loss.step_size) or the method's "
                      "(method.KEY). Repeatable: every combination is an arm. Write | where values have commas."),
]  # fmt: skip
Tune = Annotated[
    int | None,
    typer.Option("--tune", metavar="N", rich_help_panel=t.ARMS,
                 help="Search each arm's settings in N trials on the validation images, then train it with the best."),
]  # fmt: skip
TuneSpace = Annotated[
    list[str] | None,
    typer.Option("--tune-space", metavar="KEY=A..B|…", rich_help_panel=t.ARMS,
                 help="What is searched: ranges and choices. Default: lr=1e-4..2e-3,epochs=5..15,batch_size=64|128, and "
                      "freeze=none|backbone where there are weights to start from."),
]  # fmt: skip


def sweep(grid: Grid = None, tune: Tune = None, tune_space: TuneSpace = None, **flags: Any) -> int:
    """Train several losses, methods and settings in one experiment: one table, and which arms no other arm beats.

    fairaudit sweep --loss max-group --loss group-dro --grid lr=1e-3,1e-4 --grid loss.step_size=0.01,0.1 --data utkface

    Every flag of mitigate, and --grid and --tune. Interrupted, it goes on with --resume.
    """
    from fairaudit.config import SweepConfig

    space = varied("--tune-space", tune_space)
    if space is not None and tune is None and flags["config"] is None:
        raise UsageError("--tune-space says what is searched; --tune N says how often")
    search = {"trials": tune, "space": space}
    wanted = {key: value for key, value in search.items() if value is not None}
    config, drawn = asked_for(SweepConfig, flags, grid=varied("--grid", grid), tune=wanted or None)

    from fairaudit.workflows.sweep_arms import sweep_arms

    arms = sweep_arms(config)
    settle = None
    if config.tune is not None:
        from fairaudit.workflows.tuning import Tuner

        settle = Tuner(config)
    where = {name: flags[name] for name in ("out", "resume", "format_", "quiet")}
    return experiment(arms, **where, page=not flags["no_report"], drawn=drawn, settle=settle)


def varied(flag: str, texts: Sequence[str] | None) -> dict[str, str] | None:
    """``["lr=1e-3,1e-4", "loss.step_size=0.1"]`` as setting → the text of its values; None stays None.

    Args:
        flag: which one, for the error.
        texts: what was given; one may name several settings, ``lr=1e-4..2e-3,epochs=5..15``.

    Raises:
        UsageError: an item is not KEY=VALUES, or names a setting again.
    """
    if not texts:
        return None
    found: dict[str, str] = {}
    for text in texts:
        for item in re.split(r",(?=[^,=|]+=)", text):
            key, sign, values = (part.strip() for part in item.partition("="))
            if not (sign and key and values):
                raise UsageError(f"{flag} {text!r} cannot be read; write KEY=VALUES, for example lr=1e-3,1e-4")
            key = key.replace("-", "_")
            if key in found:
                raise UsageError(f"{flag} names {key} twice; give all of its values at once")
            found[key] = values
    return found


def _with_flags_of_mitigate() -> None:
    """Typer reads a command's flags from its signature: these are mitigate's, with the three above after --method."""
    own = [one for one in inspect.signature(sweep).parameters.values() if one.kind is not one.VAR_KEYWORD]
    shared = list(inspect.signature(mitigate).parameters.values())
    after = 1 + [one.name for one in shared].index("method")
    parameters = [*shared[:after], *own, *shared[after:]]
    types = inspect.get_annotations(mitigate, eval_str=True) | inspect.get_annotations(sweep, eval_str=True)
    types.pop("flags")
    resolved = [one.replace(annotation=types[one.name]) for one in parameters]
    sweep.__annotations__ = types
    sweep.__signature__ = inspect.Signature(resolved, return_annotation=int)  # type: ignore[attr-defined]


_with_flags_of_mitigate()
