"""Every deliberate error. The message is the whole story: what was wrong, where, and what to do.

::

    FairauditError                exit code 2
    ├── UsageError                a flag, a name or a rule that cannot be understood
    │   └── UnknownNameError      a name that does not exist, with the nearest that does
    ├── ConfigError               a configuration or policy file
    ├── DataError                 a dataset: its files, labels or levels
    │   └── UnreadableImagesError more unreadable images than ``--max-unreadable`` allows
    ├── CheckpointError           a checkpoint: unreadable, wrong keys, wrong class count
    │   ├── UnsafeCheckpointError loading it would run code that it carries
    │   └── ArchitectureError     the network is unknown or cannot be told from others
    ├── TrainingError             a training run that cannot start or go on
    │   └── DivergenceError       its numbers are no numbers any more; going on would not mend them
    ├── LostProcessError          another process that the run needs ended before it
    ├── PredictionsError          a predictions table
    ├── ArtifactError             an audit or run folder that cannot be read
    └── OutputError               a result that could not be written

Exit code 1 is kept for "a rule failed" and 3 for "inconclusive"; neither is an error. Anything that is not a
``FairauditError`` is a fault of fairaudit itself and exits with 70.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FairauditError(Exception):
    """Base of every deliberate error; ``exit_code`` is what the process ends with."""

    exit_code = 2


class UsageError(FairauditError):
    """A flag, a name or a rule that cannot be understood."""


class UnknownNameError(UsageError):
    """A name that does not exist, with the nearest one that does.

    Args:
        what: what kind of thing was named, for example ``"loss"``.
        name: the name as the user wrote it.
        choices: every name that would have been accepted.
    """

    def __init__(self, what: str, name: str, choices: Iterable[str]) -> None:
        super().__init__(f"unknown {what} {name!r}{suggest(name, choices)}")


class ConfigError(FairauditError):
    """A configuration or policy file that cannot be used."""


class DataError(FairauditError):
    """A dataset whose files, labels or levels cannot be used."""


class UnreadableImagesError(DataError):
    """More unreadable images than the run allows."""


class CheckpointError(FairauditError):
    """A checkpoint that cannot be read, or does not fit."""


class UnsafeCheckpointError(CheckpointError):
    """A checkpoint that would run its own code when loaded."""


class ArchitectureError(CheckpointError):
    """A network that is unknown or cannot be told from others."""


class TrainingError(FairauditError):
    """A training run that cannot start or go on."""


class DivergenceError(TrainingError):
    """A training whose loss or weights are no finite numbers any more; the same again ends the same way."""


class LostProcessError(FairauditError):
    """Another process of the run, or one that decodes images for it, ended before its work was done."""


class PredictionsError(FairauditError):
    """A predictions table that cannot be used."""


class ArtifactError(FairauditError):
    """An audit record or run folder that cannot be read."""


class OutputError(FairauditError):
    """A result that could not be written."""


def suggest(name: str, choices: Iterable[str], limit: int = 12) -> str:
    """The tail of an error sentence: the nearest choices, or all of them when few or none is near.

    Args:
        name: what the user wrote.
        choices: what would have been accepted.
        limit: how many choices are listed at the most when none is near.

    Returns:
        For example ``"; did you mean 'group-dro'?"`` or ``"; choose from a, b, c"``.
    """
    known = list(dict.fromkeys(choices))
    folded = {c.casefold().replace("_", "-"): c for c in known}
    near = difflib.get_close_matches(name.casefold().replace("_", "-"), list(folded), n=2, cutoff=0.6)
    if near:
        return "; did you mean " + " or ".join(repr(folded[n]) for n in near) + "?"
    if not known:
        return "; there is none to choose from"
    shown = ", ".join(known[:limit])
    more = f" and {len(known) - limit} more" if len(known) > limit else ""
    return f"; choose from {shown}{more}"
