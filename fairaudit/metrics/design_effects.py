"""Design effects of a grouping: for every rate, how many pictures are worth one, where people are on several.

They are all that an interval needs of who is on which picture. An audit stores them beside its counts, so that a rule that
is judged later meets the intervals of the audit.

Rates that add up to 1 have one design effect, and so has what is the same proportion by two names. An F-score depends on
the Jaccard index and on the share of false negatives among errors: the larger of their design effects holds. A person's
pictures may be of several classes, whose rates then err together: means over classes have a design effect of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fairaudit.metrics.clusters import PersonCounts
from fairaudit.metrics.rates import MACRO, RATES, Rate
from fairaudit.metrics.statistics import STATISTICS, one_vs_rest
from fairaudit.predictions import FloatArray
from fairaudit.results import Clusters

_SAME: Mapping[str, str] = {
    "error_rate": "accuracy",
    "positive_predictive_value": "precision",
    "false_discovery_rate": "precision",
    "false_negative_rate": "true_positive_rate",
    "true_negative_rate": "false_positive_rate",
    "false_omission_rate": "negative_predictive_value",
}
_OWN = tuple(r for r in RATES.values() if r.beta is None and r.name not in _SAME)


@dataclass(frozen=True, eq=False)
class DesignEffects:
    """Design effects of every proportion in every group.

    Attributes:
        people: (g,) people in each group.
        effects: rate → (g, k) per class, (g, 1) of all classes; ``RATE[macro]`` → (g, 1); at least 1, nan where undefined.
    """

    people: tuple[int, ...]
    effects: Mapping[str, FloatArray]

    def of_class(self, rate: Rate, index: int | None) -> FloatArray:
        """(g,) of a rate of one class, or of all classes."""
        return np.asarray(self.of_classes(rate)[:, 0 if index is None else index])

    def of_classes(self, rate: Rate) -> FloatArray:
        """(g, k) of a rate per class, (g, 1) of one of all classes."""
        if rate.beta is None:
            return self._known(_SAME.get(rate.name, rate.name))
        jaccard = self._known("jaccard")
        return jaccard if rate.beta == 1 else np.maximum(jaccard, self._known("false_negative_share"))

    def over_classes(self, rate: Rate) -> FloatArray:
        """(g, k) for what combines classes: pictures of one class, and of several, may err together."""
        name = "jaccard" if rate.beta is not None else _SAME.get(rate.name, rate.name)
        return np.maximum(self.of_classes(rate), self._known(f"{name}[{MACRO}]"))

    def of_statistic(self, name: str, index: int | None) -> FloatArray:
        """(g,) of Matthews' correlation or Cohen's kappa."""
        return np.asarray(self._known(name)[:, 0 if index is None else index])

    def record(self) -> Clusters:
        """As an audit stores them."""
        return Clusters(
            self.people,
            {name: tuple(tuple(float(e) for e in row) for row in effect) for name, effect in self.effects.items()},
        )

    def _known(self, name: str) -> FloatArray:
        return np.nan_to_num(self.effects[name], nan=1.0)  # without images there is nothing to widen


def design_effects(people: PersonCounts) -> DesignEffects:
    """Estimate the design effect of everything that is proportional to counts.

    Args:
        people: confusion matrices person by person.
    """
    found: dict[str, FloatArray] = {}
    for rate in _OWN:
        effect = people.design_effect(rate.parts)
        found[rate.name] = effect if rate.per_class else effect[:, None]
        if rate.per_class and rate.macro:
            found[f"{rate.name}[{MACRO}]"] = people.mean_effect(rate.parts)[:, None]
    for name, statistic in STATISTICS.items():
        matrices = one_vs_rest(people.cells) if statistic.per_class else people.counts[:, None]
        found[name] = people.statistic_effect(np.asarray(matrices, dtype=np.float64), statistic.slopes)
    # as exactly as a record keeps them: what is judged later must meet the same intervals
    rounded = {name: np.ceil(effect * 1e4 - 1e-6) / 1e4 for name, effect in found.items()}
    return DesignEffects(tuple(int(n) for n in people.people), rounded)


def stored_effects(record: Clusters) -> DesignEffects:
    """The design effects that an audit stored."""
    return DesignEffects(
        record.people, {name: np.array(rows, dtype=np.float64) for name, rows in record.design_effects.items()}
    )
