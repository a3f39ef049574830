"""What an audit found: frozen records without behaviour beyond looking things up.

They mirror ``audit.json`` field by field. In memory an undefined value is ``nan`` and an infinite one is ``inf``; the file
has null for both and the reason tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairaudit.results.sensitivity import LabelNoise
from fairaudit.results.verdicts import RuleResult, Verdict

SCHEMA_VERSION = 1

Group = Mapping[str, str]
"""One cell of a grouping, attribute → level, in the grouping's order."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, how far it can be trusted, and why it is missing if it is.

    Attributes:
        value: the estimate; nan where undefined, inf where infinite.
        ci_low: lower limit of the interval at the audit's confidence; nan where there is none.
        ci_high: upper limit; inf where unbounded.
        support: the denominator behind the value, in images.
        reason: why the value is undefined, infinite, or to be read with care; None otherwise.
    """

    value: float
    ci_low: float
    ci_high: float
    support: int
    reason: str | None = None


@dataclass(frozen=True)
class GroupResult:
    """One group of a grouping.

    Attributes:
        group: attribute → level.
        n: images in the group; 0 for a group that was expected and is absent.
        metrics: metric name → estimate.
        shrunk: metric name → value, drawn towards that of all groups as far as its few images allow; None where it was not
            asked for.
    """

    group: Group
    n: int
    metrics: Mapping[str, Estimate]
    shrunk: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Disparity:
    """One contrast between groups.

    Attributes:
        metric: ``accuracy``, ``true_positive_rate[Female]``, or a disparity such as ``disparate_impact[Female]``.
        kind: difference, ratio, gap, spread, worst_group, min_max_ratio or pairwise_mean; None where the metric is a
            disparity itself. A shortfall, which rules know, is a difference with its sign turned where higher is better.
        group: the group compared with the privileged one, or the worst group; None where all groups make the number.
        estimate: the number.
        p_value: of differences, two-sided: the error rate at which the difference's interval would just reach 0; None
            where the groups cannot be compared.
        p_holm: the same, adjusted for all contrasts of the metric in the grouping so that even one false alarm is rare.
        p_bh: the same, adjusted so that few of all alarms are false.
    """

    metric: str
    kind: str | None
    group: Group | None
    estimate: Estimate
    p_value: float | None = None
    p_holm: float | None = None
    p_bh: float | None = None


@dataclass(frozen=True)
class GroupScores:
    """The scores of one class in one group.

    Attributes:
        negatives: images of other classes in each bin of equal width from 0 to 1; a score on an edge is in the bin above.
        positives: images of the class in each bin.
        reliability: images, mean score and share of positives in each of ten bins of equal width; nan where empty.
    """

    negatives: tuple[int, ...]
    positives: tuple[int, ...]
    reliability: tuple[tuple[int, float, float], ...]


@dataclass(frozen=True)
class Scores:
    """The scores behind a grouping; histograms of shards merge by adding.

    Attributes:
        of: the class that they are of.
        groups: one per group, in the grouping's order.
    """

    of: str
    groups: tuple[GroupScores, ...]


@dataclass(frozen=True)
class Clusters:
    """Who is on the images of a grouping, as far as intervals need it.

    Attributes:
        people: people in each group, in the grouping's order.
        design_effects: rate → per group, per class (one number for rates of all classes): how many images are worth an
            independent one; nan where the rate is undefined.
    """

    people: tuple[int, ...]
    design_effects: Mapping[str, tuple[tuple[float, ...], ...]]


@dataclass(frozen=True)
class Together:
    """What several labels of each image say together, beyond the counts of each label; numbers per group, in order.

    Attributes:
        images: images with a known label of any kind.
        complete: images whose labels are all known.
        exact: of these, images with every label right.
        means: mean over images, such as ``mean_f2``; nan without images.
        sizes: metric → how many independent decisions would say as much, where labels of one image (or images of one
            person) are right or wrong together; nan where it is undefined.
        alike: mean over labels, ``f1[macro]`` → its sampling variance over that of independent labels; at least 1.
    """

    images: tuple[int, ...]
    complete: tuple[int, ...]
    exact: tuple[int, ...]
    means: Mapping[str, tuple[float, ...]]
    sizes: Mapping[str, tuple[float, ...]]
    alike: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class GroupingResult:
    """Every group of one grouping and every disparity between them.

    Attributes:
        by: the attributes that were crossed, in command order.
        privileged: the reference group; None where no group has images.
        privileged_is: ``"named"`` by the user or the dataset card, or ``"largest"``.
        missing: images left out because an attribute is not known for them.
        counts: (g, k, k) nested counts [group, true class, predicted class]; of several labels (g, labels, 4), the true
            negatives, false positives, false negatives and true positives of each.
        groups: one result per group, in declared order, absent ones included.
        disparities: every metric × kind.
        scores: histograms of the positive class's scores, where there are scores of two classes or a positive one.
        clusters: design effects that the intervals take into account, where people are known and on several images, or
            images have weights.
        together: what several labels of each image say together; None where one target was audited.
        given: column → level, where only the images of that level are compared; None where all are.
        named: levels of the reference group that were named, where the largest group of those that have them was taken.
        label_noise: how far disparities could move if group labels are wrong, where that was asked.
        weighted: (g, k, k) the counts weighted, in whole units of each group's own; None where images have no weights.
    """

    by: tuple[str, ...]
    privileged: Group | None
    privileged_is: str
    missing: int
    counts: tuple[tuple[tuple[int, ...], ...], ...]
    groups: tuple[GroupResult, ...]
    disparities: tuple[Disparity, ...]
    scores: Scores | None = None
    clusters: Clusters | None = None
    together: Together | None = None
    given: Group | None = None
    label_noise: LabelNoise | None = None
    named: Group | None = None
    weighted: tuple[tuple[tuple[int, ...], ...], ...] | None = None


@dataclass(frozen=True)
class Conditional:
    """Disparities of a grouping within the levels of other columns, averaged over the levels.

    Attributes:
        by: the grouping's attributes.
        given: the columns whose levels were held fixed; crossed, if several.
        disparities: of every metric, the mean difference of each group from the privileged one, and the mean gap.
    """

    by: tuple[str, ...]
    given: tuple[str, ...]
    disparities: tuple[Disparity, ...]


@dataclass(frozen=True)
class Overall:
    """All images together.

    Attributes:
        n: images audited.
        metrics: metric name → estimate.
        counts: as of a group, where every grouping leaves images out, so that audits merge; None elsewhere.
        together: what several labels of each image say together, likewise.
    """

    n: int
    metrics: Mapping[str, Estimate]
    counts: tuple[tuple[int, ...], ...] | None = None
    together: Together | None = None


@dataclass(frozen=True)
class AuditResult:
    """Everything that an audit found; the same input, settings and seed give the same record.

    Attributes:
        settings: what was asked, in JSON's own types: target, classes, positive, confidence, bootstrap, seed, min_support …
        overall: all images together.
        groupings: one per ``--by``, then the same within each level of ``--given``.
        rules: one per rule, in the order given.
        verdict: of all rules: fail if one fails, else inconclusive if one is, else pass; none without rules.
        notes: sentences that a reader must know (images left out, an attribute with one level …).
        schema_version: version of this record's layout.
        conditional: what ``--given`` leaves of disparities, one per grouping and ``--given``.
    """

    settings: Mapping[str, Any]
    overall: Overall
    groupings: tuple[GroupingResult, ...]
    rules: tuple[RuleResult, ...] = ()
    verdict: Verdict = Verdict.NONE
    notes: tuple[str, ...] = ()
    schema_version: int = field(default=SCHEMA_VERSION)
    conditional: tuple[Conditional, ...] = ()

    @property
    def unconditional(self) -> tuple[GroupingResult, ...]:
        """The groupings of all images, without those within levels of other columns."""
        return tuple(one for one in self.groupings if one.given is None)

    def within(self, by: tuple[str, ...], given: tuple[str, ...]) -> tuple[GroupingResult, ...]:
        """A grouping within every level of other columns, in declared order."""
        return tuple(g for g in self.groupings if g.by == by and g.given is not None and tuple(g.given) == given)


def grouping_text(grouping: GroupingResult) -> str:
    """A grouping as rules and the command line write it: ``race,gender``, ``race given age=20-29``."""
    by = ",".join(grouping.by)
    if grouping.given is None:
        return by
    return f"{by} given {','.join(f'{column}={level}' for column, level in grouping.given.items())}"


def group_label(group: Group | None) -> str:
    """How a group is written for people: ``"Black Female"``, ``"Female Young: no"``, or ``"all groups"`` for None."""
    if group is None:
        return "all groups"
    return " ".join(level if level not in ("yes", "no") else f"{name}: {level}" for name, level in group.items())
