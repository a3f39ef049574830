"""What a network's outputs mean: from logits to one table of class scores for each task.

The meaning is decided once, by name, and never guessed from the values. Every task's scores are (b,k) and their argmax is
the decision; with equal scores the first class wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from fairaudit.config import MergeBy
from fairaudit.errors import CheckpointError

Activation = Literal["softmax", "sigmoid"]


@dataclass(frozen=True)
class Task:
    """One question that a network answers, and the outputs that answer it.

    The score of a class is

    - ``softmax``: its share in the softmax over the task's outputs, and over no others;
    - ``sigmoid`` with one output z: σ(z) for the second class and σ(−z) for the first;
    - with ``merged`` outputs: the activated scores of the outputs that count as it, combined by ``merge_by`` and divided by
      the sum over the merged classes, so that outputs that count as no class have no say.

    Attributes:
        name: of the target or attribute that it predicts.
        classes: names in order.
        columns: indices of its outputs.
        activation: of those outputs.
        merged: for each class the positions in ``columns`` that count as it; None when each output is a class.
        merge_by: how merged scores are combined.
    """

    name: str
    classes: tuple[str, ...]
    columns: tuple[int, ...]
    activation: Activation = "softmax"
    merged: tuple[tuple[int, ...], ...] | None = None
    merge_by: MergeBy = "max"

    def __post_init__(self) -> None:
        k = len(self.classes)
        if len(set(self.classes)) != k or k < 2:
            raise CheckpointError(
                f"a task needs two or more distinct classes; {self.name} has {', '.join(self.classes) or 'none'}"
            )
        answers = len(self.merged) if self.merged is not None else self._answers()
        if answers != k:
            raise CheckpointError(f"{self.name} has {k} classes ({', '.join(self.classes)}) but {answers} are predicted")

    def _answers(self) -> int:
        return 2 if self.activation == "sigmoid" and len(self.columns) == 1 else len(self.columns)

    def scores(self, logits: Tensor) -> Tensor:
        """Class scores (b,k), float32, each row adding up to 1.

        Args:
            logits: (b, outputs of the whole network).
        """
        evidence = self.evidence(logits)
        if self.merged is None and self.activation == "sigmoid":
            return torch.cat([torch.sigmoid(-evidence[:, 1:]), torch.sigmoid(evidence[:, 1:])], dim=1)
        return functional.softmax(evidence, dim=1)

    def evidence(self, logits: Tensor) -> Tensor:
        """What speaks for each class, (b,k) float32: numbers whose softmax are the scores, however sure those are.

        Args:
            logits: (b, outputs of the whole network).
        """
        own = logits[:, list(self.columns)].float()
        if self.merged is None:
            return own if self.activation == "softmax" else torch.cat([torch.zeros_like(own), own], dim=1)
        # In logarithms, because the scores of 18,000 classes may all be too small for a float.
        activated = functional.log_softmax(own, dim=1) if self.activation == "softmax" else functional.logsigmoid(own)
        parts = [activated[:, list(positions)] for positions in self.merged]
        combined = [p.amax(dim=1) if self.merge_by == "max" else p.logsumexp(dim=1) for p in parts]
        return torch.stack(combined, dim=1)

    @property
    def description(self) -> str:
        """For example ``softmax over 2 outputs: female, male``."""
        names = (
            ", ".join(self.classes)
            if len(self.classes) <= 12
            else f"{', '.join(self.classes[:10])} … ({len(self.classes)})"
        )
        n = len(self.columns)
        if self.merged is not None:
            counts = ", ".join(f"{name} = {len(p)} of them" for name, p in zip(self.classes, self.merged, strict=True))
            return f"{self.activation} over {n} outputs, merged by {self.merge_by}: {counts}"
        if self.activation == "sigmoid":
            return f"single-logit sigmoid, above 0.5 is {self.classes[1]}, else {self.classes[0]}"
        return f"softmax over {n} outputs: {names}"


@dataclass(frozen=True)
class Head:
    """The meaning of all outputs of a network.

    Attributes:
        outputs: number of logits.
        parts: the tasks.
    """

    outputs: int
    parts: tuple[Task, ...]

    def __post_init__(self) -> None:
        names = [part.name for part in self.parts]
        if not names or len(set(names)) != len(names):
            raise CheckpointError(f"a head needs tasks of distinct names, not {', '.join(names) or 'none'}")
        outside = [c for part in self.parts for c in part.columns if not 0 <= c < self.outputs]
        if outside:
            raise CheckpointError(f"the head reads output {outside[0]}, but the model has {self.outputs}, counted from 0")

    @property
    def tasks(self) -> dict[str, tuple[str, ...]]:
        """Task → class names in order."""
        return {part.name: part.classes for part in self.parts}

    @property
    def description(self) -> str:
        """For the preflight: ``softmax over 2 outputs: female, male``."""
        if len(self.parts) == 1:
            return self.parts[0].description
        if all(part.activation == "sigmoid" and len(part.columns) == 1 for part in self.parts):
            shown = ", ".join(part.name for part in self.parts[:6])
            more = f" and {len(self.parts) - 6} more" if len(self.parts) > 6 else ""
            return f"multi-label sigmoid over {self.outputs} outputs: {shown}{more}"
        return "; ".join(f"{part.name}: {part.description}" for part in self.parts)

    def scores(self, logits: Tensor) -> dict[str, Tensor]:
        """Task → class scores (b,k), float32; the argmax of a row is the decision.

        Args:
            logits: (b, outputs).

        Raises:
            CheckpointError: the network gave another number of outputs.
        """
        if logits.ndim != 2 or logits.shape[1] != self.outputs:
            raise CheckpointError(f"the model gave outputs of shape {tuple(logits.shape)}, not (batch, {self.outputs})")
        return {part.name: part.scores(logits) for part in self.parts}

    def with_classes(self, task: str, mapping: Mapping[str, str]) -> Head:
        """The same head with classes of one task renamed, for example to a dataset's spelling.

        Args:
            task: a key of ``tasks``.
            mapping: present name → new name; classes that it lacks keep theirs.

        Raises:
            CheckpointError: there is no such task, or two classes would get one name.
        """
        if task not in self.tasks:
            raise CheckpointError(f"the model predicts {', '.join(self.tasks)}, not {task}")
        parts = tuple(
            replace(part, classes=tuple(mapping.get(name, name) for name in part.classes)) if part.name == task else part
            for part in self.parts
        )
        return replace(self, parts=parts)

    def to_record(self) -> dict[str, Any]:
        """Plain values that JSON can hold; ``from_record`` is the inverse."""
        return {
            "outputs": self.outputs,
            "tasks": [
                {
                    "name": part.name,
                    "classes": list(part.classes),
                    "columns": list(part.columns),
                    "activation": part.activation,
                    "merged": None if part.merged is None else [list(positions) for positions in part.merged],
                    "merge_by": part.merge_by,
                }
                for part in self.parts
            ],
        }

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> Head:
        """Read what ``to_record`` gave.

        Args:
            record: plain values.

        Raises:
            CheckpointError: something is missing or of another kind.
        """
        try:
            return Head(
                int(record["outputs"]),
                tuple(
                    Task(
                        str(item["name"]),
                        tuple(map(str, item["classes"])),
                        tuple(map(int, item["columns"])),
                        _choice(item["activation"], "softmax", "sigmoid"),
                        None if item["merged"] is None else tuple(tuple(map(int, p)) for p in item["merged"]),
                        _choice(item["merge_by"], "max", "sum"),
                    )
                    for item in record["tasks"]
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the head's record is damaged: {type(error).__name__} {error}") from error


def _choice(value: Any, *allowed: str) -> Any:
    if value not in allowed:
        raise ValueError(f"{value!r} is none of {', '.join(allowed)}")
    return value
