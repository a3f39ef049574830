"""The published layout of ``audit.json``: what is validated when one is read, and its JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from fairaudit.results import SCHEMA_VERSION

Count = Annotated[int, Field(ge=0)]
GroupRecord = Annotated[dict[str, str] | None, Field(description="attribute → level; null for all groups together")]
Judged = Literal["pass", "fail", "inconclusive"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class EstimateRecord(_Record):
    """A number with its interval; null and a reason where it is undefined, or infinite (``infinite: …``)."""

    value: float | None
    ci_low: float | None = Field(description="null beside a finite ci_high: unbounded below")
    ci_high: float | None = Field(description="null beside a finite ci_low: unbounded above")
    support: Count = Field(description="the denominator behind the value, in images")
    reason: str | None


Chance = Annotated[float | None, Field(ge=0.0, le=1.0)]


class DisparityRecord(EstimateRecord):
    """One contrast between groups; p-values are of differences alone, and of groups that can be compared."""

    metric: str
    kind: (
        Literal["difference", "shortfall", "ratio", "gap", "spread", "worst_group", "min_max_ratio", "pairwise_mean"] | None
    ) = Field(description="null where the metric is a disparity itself")
    group: GroupRecord
    p_value: Chance = Field(default=None, description="two-sided, where the interval of this difference just reaches 0")
    p_holm: Chance = Field(default=None, description="adjusted by Holm's method for all differences of this metric here")
    p_bh: Chance = Field(default=None, description="adjusted likewise by Benjamini and Hochberg's method")


class OverallRecord(_Record):
    """All images together."""

    n: Count
    metrics: dict[str, EstimateRecord]
    counts: list[list[Count]] | None = Field(
        default=None, description="as of a group, where every grouping leaves images out; audits merge by adding"
    )
    together: TogetherRecord | None = Field(default=None, description="likewise, of several labels")


class GroupResultRecord(_Record):
    """One group; n is 0 where it was expected and is absent."""

    group: dict[str, str]
    n: Count
    metrics: dict[str, EstimateRecord]
    shrunk: dict[str, float] | None = Field(
        default=None, description="shares drawn towards that of all groups (empirical Bayes), where asked for"
    )


class ReliabilityRecord(_Record):
    """One of ten bins of equal width."""

    n: Count
    score: float | None = Field(description="mean score; null where the bin is empty")
    share: float | None = Field(description="share of the class; null where the bin is empty")


Histogram = Annotated[
    str,
    Field(pattern=r"^\d+( \d+)*$", description="images per bin of equal width from 0 to 1, separated by spaces"),
]


class GroupScoresRecord(_Record):
    """The scores of one class in one group."""

    negatives: Histogram
    positives: Histogram
    reliability: list[ReliabilityRecord]


class ScoresRecord(_Record):
    """The scores behind a grouping."""

    of: str
    groups: list[GroupScoresRecord]


DesignEffect = Annotated[float | None, Field(ge=1.0)]


class ClustersRecord(_Record):
    """How many images are worth an independent one, where people are on several."""

    people: list[Count]
    design_effects: dict[str, list[list[DesignEffect]]] = Field(
        description="rate → [group][class], of several labels those of the first, of the second …; null where undefined"
    )


Effective = Annotated[float | None, Field(ge=0.0)]
Alike = Annotated[float | None, Field(ge=1.0)]


class TogetherRecord(_Record):
    """What several labels of each image say together, beyond the counts of each label; a number per group."""

    images: list[Count] = Field(description="images with a known label of any kind")
    complete: list[Count] = Field(description="images whose labels are all known; audits merge by adding")
    exact: list[Count] = Field(description="of these, images with every label right; audits merge by adding")
    means: dict[str, list[float | None]] = Field(description="mean over images; null without images")
    sizes: dict[str, list[Effective]] = Field(description="metric → how many independent decisions would say as much")
    alike: dict[str, list[Alike]] = Field(description="mean over labels → its variance over that of independent labels")


class RangeRecord(_Record):
    """How far one disparity could move if group labels are wrong."""

    metric: str
    kind: Literal["gap", "difference"]
    group: GroupRecord
    value: float
    corrected: float | None = Field(description="if errors do not depend on what the model did; null where none is left")
    low: float
    high: float


class LabelNoiseRecord(_Record):
    """What wrong group labels could do; no interval and no verdict includes it."""

    errors: dict[str, float | dict[str, dict[str, float]]] = Field(
        description="attribute → share of wrong labels, or true level → recorded level → share"
    )
    ranges: list[RangeRecord]


class GroupingRecord(_Record):
    """One grouping: its groups in declared order, and every metric × kind between them."""

    by: Annotated[list[str], Field(min_length=1, description="the crossed attributes, in command order")]
    given: dict[str, str] | None = Field(default=None, description="column → level, where only its images are compared")
    privileged: GroupRecord
    privileged_is: Literal["named", "largest"]
    named: dict[str, str] | None = Field(
        default=None, description="levels of the privileged group that were named, where the largest of these was taken"
    )
    missing: Count = Field(description="images left out because an attribute is not known for them")
    counts: list[list[list[Count]]] = Field(
        description="[group][true class][predicted class], or, where settings.multilabel is set, [group][label][true "
        "negatives, false positives, false negatives, true positives]; audits merge by adding"
    )
    weighted: list[list[list[Count]]] | None = Field(
        default=None, description="the counts weighted, where images have weights, in whole units of each group's own"
    )
    groups: list[GroupResultRecord]
    disparities: list[DisparityRecord]
    scores: ScoresRecord | None = Field(default=None, description="where a positive class, or one of two, has scores")
    clusters: ClustersRecord | None = Field(
        default=None, description="where people are known and on several images, or images have weights"
    )
    together: TogetherRecord | None = Field(default=None, description="where several labels of each image were audited")
    label_noise: LabelNoiseRecord | None = Field(default=None, description="where wrong labels of groups were asked about")


class ConditionalRecord(_Record):
    """Disparities within the levels of other columns, averaged over the levels."""

    by: Annotated[list[str], Field(min_length=1)]
    given: Annotated[list[str], Field(min_length=1, description="the columns whose levels are held fixed")]
    disparities: list[DisparityRecord]


class OutcomeRecord(_Record):
    """One contrast of a rule."""

    metric: str
    given: dict[str, str] | None = Field(default=None, description="column → level, where only its images were judged")
    group: GroupRecord
    value: float | None
    ci_low: float | None
    ci_high: float | None
    verdict: Judged
    reason: str | None


class RuleRecord(_Record):
    """A rule, its verdict and every contrast behind it."""

    rule: str
    verdict: Judged
    severity: Literal["error", "warning"] = Field("error", description="a warning does not change the audit's verdict")
    decided_on: Literal["interval", "point"] = Field("interval", description="what was held against the limit")
    outcomes: list[OutcomeRecord]


class AuditRecord(_Record):
    """What an audit found: the same input, settings and seed give the same file, byte for byte."""

    schema_version: Annotated[int, Field(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)]
    settings: dict[str, JsonValue]
    overall: OverallRecord
    groupings: list[GroupingRecord]
    conditional: list[ConditionalRecord] = Field(default=[], description="means over levels, one per grouping and --given")
    rules: list[RuleRecord]
    verdict: Literal["pass", "fail", "inconclusive", "none"]
    notes: list[str]


def audit_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of ``audit.json``."""
    schema = AuditRecord.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "fairaudit audit"}
