"""Several labels of one image side by side (CelebA's 40): a table of two-class tables, and what is pooled over labels.

Where a table of one target has classes, this one has labels, each with its own labels, decisions and scores: everything
that exists for a target of two classes exists for each label by the same name, ``accuracy[Smiling]``, and everything that
is said of "each class" is said of each label. An image whose label is not known for one of them counts for the others.

Over labels there are means (``f1[macro]``), pooled decisions (``f1[micro]``, ``hamming_accuracy``), and measures of whole
images (``subset_accuracy``, ``mean_f2``). Their limits know that labels of one image depend (``together``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.metrics.counts import Cells, label_cells
from fairaudit.metrics.design_effects import DesignEffects
from fairaudit.metrics.label_rows import HAMMING, pooled_rates
from fairaudit.metrics.measure import Described, Measure, Metric, Table, described
from fairaudit.metrics.rates import AGGREGATES, BALANCED_ACCURACY, MACRO, MICRO
from fairaudit.metrics.scored import SEVERAL_LABELS, scored_named
from fairaudit.predictions import IntArray
from fairaudit.results import Together

OF_LABEL = 1
"""In a label's own table the class that it affirms."""


@dataclass(frozen=True, eq=False)
class LabelTable(Table):
    """Counts of every label in every group.

    ``counts`` are (g, l, 4), the true negatives, false positives, false negatives and true positives of each label, and
    ``classes`` the labels' names.

    Attributes:
        levels: (l,) the two classes of each label, the one that it affirms second.
        scores: (l,) what needs the label's scores, see ``Table.rows``.
        together: what labels of one image say together; None where only counts are known.
        each_effects: (l,) design effects of each label, or none at all.
    """

    levels: tuple[tuple[str, str], ...] = ()
    scores: tuple[Mapping[Metric, Measure], ...] = ()
    together: Together | None = None
    each_effects: tuple[DesignEffects, ...] = ()

    several: ClassVar[bool] = True

    @cached_property
    def n(self) -> IntArray:
        """(g,) images with a known label of any kind; without ``together``, those of the label that most have."""
        if self.together is not None:
            return np.array(self.together.images, dtype=np.int64)
        return np.asarray(self.counts.sum(-1).max(-1), dtype=np.int64)

    @cached_property
    def each(self) -> tuple[Table, ...]:
        """(l,) the tables of the labels."""
        return tuple(
            Table(
                self.counts[:, i].reshape(-1, 2, 2), self.levels[i], OF_LABEL, self.betas,
                rows=self.scores[i] if self.scores else {},
                effects=self.each_effects[i] if self.each_effects else None,
            )
            for i in range(len(self.classes))
        )  # fmt: skip

    @cached_property
    def _cells(self) -> Cells:
        return label_cells(self.counts)

    @property
    def listed_classes(self) -> Sequence[int]:
        """Every label."""
        return range(len(self.classes))

    def has_mean(self, rate: str) -> bool:
        """Whether a rate's mean over labels is known."""
        return Metric(rate, MACRO) in self.rows

    def seen_from(self, of: int) -> tuple[Table, int]:
        """The label's own table, and the class that it affirms."""
        return self.each[of], OF_LABEL

    def catalogue(self) -> list[Metric]:
        """Images as wholes; then every metric of a label, for each of them, and over labels."""
        return [*dict.fromkeys(self._listed())]

    def _listed(self) -> Iterator[Metric]:
        yield from (m for m in self.rows if m.of is None)
        by_name: dict[str, list[int]] = {}
        for i, table in enumerate(self.each):
            for metric in table.catalogue():
                by_name.setdefault(_name(metric), []).append(i)
        for name, labels in by_name.items():
            yield from (Metric(name, i) for i in labels)
            yield from (m for m in self.rows if m.rate == name and m.of is not None)
        yield from self.rows

    def resolve(self, name: str, of: str | None) -> list[Metric]:
        """The metrics that a name and an optional label mean; without one, every label.

        Raises:
            UnknownNameError: no such metric or label.
            UsageError: a label is given to a measure of whole images, or the metric needs what is not known here.
        """
        rate_name, kind = described(name)
        found = [Metric(rate_name, c) for c in self.classes_of(kind, rate_name, of)]
        for metric in found:
            if isinstance(metric.of, int):
                self.each[metric.of].resolve(rate_name, None)  # scores that are not known are missed there
            elif metric not in self.rows:
                raise UsageError(
                    f"{self.key(metric)} is made of images, not of counts, and is not known here; audit the predictions"
                )
        return found

    def classes_of(self, kind: Described | None, name: str, of: str | None) -> Sequence[int | str | None]:  # noqa: ARG002
        """Which labels a metric of this name is about."""
        if _of_images(name):
            if of is not None:
                raise UsageError(f"{name} is of all labels; write it without [{of}]")
            return [None]
        if of is None:
            return [*self.listed_classes]
        folded = {c.casefold(): i for i, c in enumerate(self.classes)}
        wanted = of.strip().casefold()
        if of not in self.classes and wanted in AGGREGATES and (wanted == MACRO or wanted not in folded):
            self._check_over(name, wanted)
            return [wanted]
        if wanted not in folded:
            raise UnknownNameError("label", of, [*self.classes, MACRO])
        return [self.classes.index(of) if of in self.classes else folded[wanted]]

    def _check_over(self, name: str, how: str) -> None:
        if name in ("accuracy", "error_rate"):
            raise UsageError(f"{name} over labels is {HAMMING}; write that, or name a label instead of [{how}]")
        if name not in {rate.name for rate in pooled_rates(self.betas)}:
            raise UsageError(f"{name} has no {how} over labels; name a label")
        if how not in (MACRO, MICRO) and Metric(name, how) not in self.rows:
            raise UsageError(f"{name}[{how}] was not asked for; audit with --aggregate {how}")

    def _measure(self, metric: Metric) -> Measure:
        if metric in self.rows:
            return self.rows[metric]
        assert isinstance(metric.of, int)  # ``resolve`` and ``catalogue`` know which are there
        table = self.each[metric.of]
        one = table.measure(_own(metric.rate))
        if not (lacking := (table.n == 0) & (self.n > 0)).any():
            return replace(one, key=self.key(metric))
        why = "undefined: 0 images with a known label"
        reason = tuple(why if lacks else said for lacks, said in zip(lacking, one.reason, strict=True))
        return replace(one, key=self.key(metric), reason=reason)


def _name(metric: Metric) -> str:
    """What a metric of a label's own table is called here."""
    return BALANCED_ACCURACY if metric.of == BALANCED_ACCURACY else metric.rate


def _own(name: str) -> Metric:
    """The metric of that name in a label's own table."""
    _, kind = described(name)
    if kind is None:
        return Metric("true_positive_rate", BALANCED_ACCURACY)
    return Metric(name, OF_LABEL if kind.per_class else None)


def _of_images(name: str) -> bool:
    scored = scored_named(name)
    return scored is not None and scored.needs == SEVERAL_LABELS


def together_of(table: Table) -> Together | None:
    """What labels of one image say together, as an audit stores it; None of a table of one target."""
    return table.together if isinstance(table, LabelTable) else None
