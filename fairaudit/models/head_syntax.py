"""Settle what a network's outputs mean, from what the user asks, what the file says and what the dataset's card declares.

``--head`` is one of

- ``softmax``: one task, an output for each class;
- ``sigmoid``: one task, one output, above 0.5 the second class; with ``--merge`` any number of outputs, each for itself;
- ``multilabel``: a yes-or-no task for each output;
- ``race:0-6,gender:7-8,age:9-17``: slices of the outputs, one task each (a slice of one output is a sigmoid);
- ``fairface-18``: the published FairFace network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairaudit.config import ModelSettings
from fairaudit.errors import CheckpointError, UnknownNameError, UsageError, suggest
from fairaudit.models.head import Activation, Head, Task

Levels = Mapping[str, tuple[str, ...]]
"""Column of the dataset → its levels in the card's order."""

FAIRFACE_18: tuple[tuple[str, tuple[str, ...]], ...] = (
    # Order of the outputs of the authors' predict.py (7-race model, Kärkkäinen & Joo 2021); levels as the CSV spells them.
    ("race", ("White", "Black", "Latino_Hispanic", "East Asian", "Southeast Asian", "Indian", "Middle Eastern")),
    ("gender", ("Male", "Female")),
    ("age", ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")),
)
KINDS = ("softmax", "sigmoid", "multilabel", "fairface-18")
_NEGATIVE = {"no", "false", "0", "-1", "absent", "negative", "none"}
_POSITIVE = {"yes", "true", "1", "present", "positive"}


@dataclass(frozen=True)
class Asked:
    """Everything that may decide the meaning of the outputs.

    Attributes:
        outputs: number of logits.
        target: name of the audited target; empty where several labels are audited.
        levels: column of the dataset → levels, in the card's order.
        classes: names in output order, from ``--classes`` or else from the file.
        names_from: where ``classes`` came from, in words.
    """

    outputs: int
    target: str
    levels: Levels
    classes: tuple[str, ...] | None
    names_from: str


def choose_head(
    outputs: int, settings: ModelSettings, target: str, levels: Levels, own: Head | None, said: tuple[str, ...] | None
) -> tuple[Head, tuple[str, ...]]:
    """Settle the head.

    Args:
        outputs: number of logits.
        settings: ``head``, ``classes``, ``merge`` and ``merge_by`` are read.
        target: name of the audited target; empty where several labels are audited.
        levels: column of the dataset → levels, in the card's order.
        own: the head in fairaudit's own record; it holds unless the user asks for another.
        said: class names in the file, in output order.

    Returns:
        The head, and what was assumed on the way.

    Raises:
        CheckpointError: the outputs do not fit the classes.
        UsageError: ``--head`` or ``--merge`` cannot be understood.
    """
    if own is not None and own.outputs != outputs:
        raise CheckpointError(
            f"the checkpoint's record speaks of {own.outputs} outputs but the model has {outputs}; save it again"
        )
    if own is not None and not (settings.head or settings.classes or settings.merge):
        if target and target not in own.tasks:
            raise CheckpointError(
                f"this checkpoint predicts {', '.join(own.tasks)}, not {target}; audit that with --target, "
                "or say what the outputs mean with --head"
            )
        return own, ()
    if own is not None and len(own.parts) == 1 and len(own.parts[0].classes) == outputs:
        said = own.parts[0].classes
    classes = settings.classes or said
    asked = Asked(outputs, target, levels, classes, "--classes" if settings.classes else "the checkpoint")
    kind = (settings.head or "").strip() or ("" if target else "multilabel")
    if not target and (settings.merge or kind in ("softmax", "sigmoid")):
        raise UsageError("several labels need a task each: --head multilabel, or slices; --merge makes one target")
    if settings.merge:
        return _merged(asked, settings, kind)
    if kind == "fairface-18":
        return _fairface(asked)
    if ":" in kind:
        return _slices(asked, kind)
    if kind == "multilabel":
        return _multilabel(asked)
    if kind not in ("", "softmax", "sigmoid"):
        raise UsageError(f"unknown head {kind!r}{suggest(kind, KINDS)} or give slices such as race:0-6,gender:7-8")
    return _single(asked, kind)


def _single(asked: Asked, kind: str) -> tuple[Head, tuple[str, ...]]:
    assumptions: tuple[str, ...] = ()
    classes = asked.classes
    if classes is None:
        if asked.target not in asked.levels:
            raise CheckpointError(f"the classes of {asked.target} are not known; name them in output order with --classes")
        classes = asked.levels[asked.target]
        assumptions = (f"classes in the order of the dataset card ({_shown(classes)}): assumed; --classes states another",)
    n, k = asked.outputs, len(classes)
    if n == 1 and k == 2 and kind != "softmax":
        if not kind:
            assumptions += (f"one output read as a sigmoid, above 0.5 is {classes[1]}: assumed; --head sigmoid states it",)
        return Head(1, (Task(asked.target, classes, (0,), "sigmoid"),)), assumptions
    if kind == "sigmoid":
        raise CheckpointError(
            f"--head sigmoid needs one output and two classes; the model has {_outputs(n)} and {asked.target} has "
            f"{k} classes ({_shown(classes)}); use softmax, multilabel or slices"
        )
    if n == k and n > 1:
        return Head(n, (Task(asked.target, classes, tuple(range(n))),)), assumptions
    raise CheckpointError(_wrong_count(asked, classes))


def _wrong_count(asked: Asked, classes: Sequence[str]) -> str:
    n, k = asked.outputs, len(classes)
    if asked.classes is not None and asked.names_from == "--classes":
        return f"the model has {_outputs(n)} but --classes names {k} ({_shown(classes)}); name every output, in order"
    start = f"the model has {_outputs(n)} but {asked.target} has {k} classes ({_shown(classes)})"
    if n == 18:
        return (
            f"{start}; for the published FairFace network use --head fairface-18, else slices such as race:0-6,gender:7-8"
        )
    if n > 2 and len(_binary(asked.levels)) == n:
        return f"{start}; the dataset has {n} two-level columns: if each output is one of them, use --head multilabel"
    merge = " ".join(f"--merge {_quoted(name)}=…" for name in classes[:2])
    return f"{start}; name its outputs with --classes, merge them with {merge}, or say what they mean with --head"


def _merged(asked: Asked, settings: ModelSettings, kind: str) -> tuple[Head, tuple[str, ...]]:
    if kind not in ("", "softmax", "sigmoid", "multilabel"):
        raise UsageError(f"--merge goes with --head softmax, sigmoid or multilabel, not {kind!r}")
    if asked.classes is not None and len(asked.classes) != asked.outputs:
        raise CheckpointError(
            f"the model has {_outputs(asked.outputs)} but {asked.names_from} names {len(asked.classes)}; "
            "with --merge the names are those of the outputs"
        )
    positions = {name: _positions(asked, name, sources) for name, sources in settings.merge.items()}
    seen: dict[int, str] = {}
    for name, numbers in positions.items():
        for number in numbers:
            if number in seen:
                raise UsageError(f"--merge counts output {number} both as {seen[number]} and as {name}")
            seen[number] = name
    if len(positions) < 2:
        raise UsageError(f"--merge names one class only ({', '.join(positions)}); name two or more")
    activation: Activation = "softmax" if kind in ("", "softmax") else "sigmoid"
    task = Task(
        asked.target,
        tuple(positions),
        tuple(range(asked.outputs)),
        activation,
        tuple(positions.values()),
        settings.merge_by,
    )
    note = "outputs merged from a softmax: assumed; --head sigmoid for outputs that stand each for itself"
    return Head(asked.outputs, (task,)), () if kind else (note,)


def _positions(asked: Asked, name: str, sources: Sequence[str]) -> tuple[int, ...]:
    names = {_folded(n): i for i, n in enumerate(asked.classes or ())}
    found: dict[int, None] = {}
    for source in sources:
        span = re.fullmatch(r"(\d+)(?:-(\d+))?", source.strip())
        if _folded(source) in names:
            numbers = range(names[_folded(source)], names[_folded(source)] + 1)
        elif span:
            numbers = range(int(span[1]), int(span[2] or span[1]) + 1)
        elif names:
            raise UnknownNameError("output", source, asked.classes or ())
        else:
            raise UsageError(
                f"--merge {name}={source}: the checkpoint does not name its outputs; give indices, or all names with "
                "--classes"
            )
        if not numbers or numbers[-1] >= asked.outputs:
            raise UsageError(f"--merge {name}={source}: the model has {_outputs(asked.outputs)}, counted from 0")
        found.update(dict.fromkeys(numbers))
    if not found:
        raise UsageError(f"--merge {name}= names no output")
    return tuple(found)


def _fairface(asked: Asked) -> tuple[Head, tuple[str, ...]]:
    if asked.outputs != 18:
        raise CheckpointError(f"--head fairface-18 needs 18 outputs, the model has {asked.outputs}")
    parts, start = [], 0
    for name, classes in FAIRFACE_18:
        parts.append(Task(name, classes, tuple(range(start, start + len(classes)))))
        start += len(classes)
    return _with_target(Head(18, tuple(parts)), asked), ()


def _slices(asked: Asked, text: str) -> tuple[Head, tuple[str, ...]]:
    parts: list[Task] = []
    used: set[int] = set()
    assumptions: list[str] = []
    for piece in text.split(","):
        match = re.fullmatch(r"\s*([^:]+?)\s*:\s*(\d+)\s*(?:-\s*(\d+))?\s*", piece)
        if not match:
            raise UsageError(
                f"--head {text!r}: {piece.strip()!r} is no slice; write TASK:FIRST-LAST, for example gender:7-8"
            )
        first, last = int(match[2]), int(match[3] or match[2])
        columns = tuple(range(first, last + 1))
        if not columns or last >= asked.outputs:
            raise UsageError(
                f"--head {text!r}: {piece.strip()!r} leaves the model's {_outputs(asked.outputs)}, counted from 0"
            )
        if used & set(columns):
            raise UsageError(f"--head {text!r}: {piece.strip()!r} overlaps another slice")
        used |= set(columns)
        parts.append(_slice(asked, _column(match[1], asked.levels), columns, assumptions))
    unused = asked.outputs - len(used)
    if unused:
        assumptions.append(f"{_outputs(unused)} of {asked.outputs} belong to no slice and are not read")
    return _with_target(Head(asked.outputs, tuple(parts)), asked), tuple(assumptions)


def _slice(asked: Asked, name: str, columns: tuple[int, ...], assumptions: list[str]) -> Task:
    k = 2 if len(columns) == 1 else len(columns)
    activation: Activation = "sigmoid" if len(columns) == 1 else "softmax"
    given = asked.classes if name == asked.target and asked.names_from == "--classes" else None
    classes = given or asked.levels.get(name, ())
    if len(classes) == k:
        if given is None:
            assumptions.append(f"classes of {name} in the order of the dataset card ({_shown(classes)}): assumed")
    elif name == asked.target:
        whose = "--classes names" if given else "it has"
        names = f" ({_shown(classes)})" if classes else ""
        raise CheckpointError(
            f"the slice of {name} means {k} classes but {whose} {len(classes)}{names}; "
            "correct the slice, or name its classes with --classes"
        )
    else:
        classes = tuple(map(str, range(k)))
        assumptions.append(f"classes of {name} are not known and are called by their number")
    return Task(name, classes, columns, activation)


def _multilabel(asked: Asked) -> tuple[Head, tuple[str, ...]]:
    names = asked.classes
    assumptions: list[str] = []
    if names is None:
        names = tuple(_binary(asked.levels))
        assumptions.append("outputs in the order of the dataset card's columns: assumed; --classes states another")
    if len(names) != asked.outputs:
        whose = f"{asked.names_from} names" if asked.classes is not None else "the dataset has"
        what = "outputs" if asked.classes is not None else "two-level columns"
        raise CheckpointError(
            f"--head multilabel: the model has {_outputs(asked.outputs)} but {whose} {len(names)} {what}; "
            "name them with --classes"
        )
    parts = tuple(
        Task(_column(name, asked.levels), _no_yes(asked.levels.get(_column(name, asked.levels), ())), (i,), "sigmoid")
        for i, name in enumerate(names)
    )
    head = _with_target(Head(asked.outputs, parts), asked)
    no, yes = head.tasks.get(asked.target, ("no", "yes"))
    assumptions.append(f"an output above 0.5 means {asked.target or 'its label'} is {yes}, else {no}")
    return head, tuple(assumptions)


def _no_yes(levels: Sequence[str]) -> tuple[str, str]:
    """The two levels of a column, the one that its name affirms last."""
    if len(levels) != 2:
        return "no", "yes"
    first, second = levels
    if _folded(first) in _POSITIVE or _folded(second) in _NEGATIVE:
        return second, first
    return first, second


def _with_target(head: Head, asked: Asked) -> Head:
    if asked.target and asked.target not in head.tasks:
        raise UnknownNameError("task of this head", asked.target, head.tasks)
    return head


def _binary(levels: Levels) -> list[str]:
    return [name for name, values in levels.items() if len(values) == 2]


def _column(name: str, levels: Levels) -> str:
    """The dataset's spelling of a column."""
    return next((column for column in levels if _folded(column) == _folded(name)), name.strip())


def _folded(name: str) -> str:
    return (
        name.strip().casefold().replace("_", " ").replace("-", " ")
        if not name.strip().lstrip("-").isdigit()
        else name.strip()
    )


def _shown(classes: Sequence[str]) -> str:
    return ", ".join(classes) if len(classes) <= 8 else f"{', '.join(classes[:8])} and {len(classes) - 8} more"


def _quoted(name: str) -> str:
    return f"'{name}'" if " " in name else name


def _outputs(n: int) -> str:
    return f"{n} output" if n == 1 else f"{n} outputs"
