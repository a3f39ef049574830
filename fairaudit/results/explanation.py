"""What a network was seen to look at: frozen records that mirror ``explain.json`` field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fairaudit.results.audit import Group
from fairaudit.results.plain import plain

EXPLANATION_VERSION = 1


@dataclass(frozen=True)
class Region:
    """A superpixel that speaks for or against a class.

    Attributes:
        segment: its number in the row's array ``segments``.
        weight: sum of the map in it.
        area: share of the image.
        centre: (down, across) of its centre, each as a share of the side.
    """

    segment: int
    weight: float
    area: float
    centre: tuple[float, float]


@dataclass(frozen=True)
class Faithful:
    """How far an explanation may be believed; see ``attribution.faithfulness``.

    Attributes:
        deletion: area under the deletion curve.
        insertion: area under the insertion curve.
        gain: insertion − deletion; 0 on average for an order that knows nothing.
        p: share of random orders whose gain is at least as large, this one counted in.
        local_r2: of LIME's line.
        incompleteness: of Integrated Gradients.
        stability: mean correlation between seeds.
        doubts: why it is not to be believed; empty where nothing speaks against it.
    """

    deletion: float
    insertion: float
    gain: float
    p: float
    local_r2: float | None
    incompleteness: float | None
    stability: float | None
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class MapOverlap:
    """How far attention lies where an attribute shows; see ``attribution.group_maps``."""

    name: str
    mass: float
    area: float
    times_even: float
    points_inside: bool | None
    correlation: float


@dataclass(frozen=True)
class RowExplanation:
    """One explanation.

    Attributes:
        row: of which image.
        group: its group in the first grouping; None where an attribute is not known.
        label: the labelled class; None where it is not known.
        predicted: the class decided on.
        score: of the class that is explained.
        explained: the class that the map speaks for.
        for_: regions in favour of it, the strongest first.
        against: regions against it, the strongest first.
        faithful: how far it may be believed.
        overlaps: with the maps of attributes.
    """

    row: str
    group: Group | None
    label: str | None
    predicted: str
    score: float
    explained: str
    for_: tuple[Region, ...]
    against: tuple[Region, ...]
    faithful: Faithful
    overlaps: tuple[MapOverlap, ...] = ()

    @property
    def right(self) -> bool | None:
        """Whether the decision is that of the label; None where there is no label."""
        return None if self.label is None else self.label == self.predicted


@dataclass(frozen=True)
class Share:
    """Attention of a group inside an attribute's region.

    Attributes:
        name: of the attribute.
        mass: mean share of the attention over images (people).
        times_even: the same, ÷ the region's share of the image.
        difference: from the reference group; nan for itself and where there is none.
        p: two-sided permutation p of that difference, adjusted over the groups (Holm).
    """

    name: str
    mass: float
    times_even: float
    difference: float
    p: float


@dataclass(frozen=True)
class GroupAttention:
    """What the network looks at in a group.

    Attributes:
        group: which one.
        n: images explained.
        people: people on them; as many as images where that is not known.
        doubted: how many of the explanations are doubted.
        shares: of its attention, one per attribute's map.
    """

    group: Group
    n: int
    people: int
    doubted: int
    shares: tuple[Share, ...]


@dataclass(frozen=True)
class AttentionContrast:
    """Where on the face the attention to two groups differs.

    Attributes:
        group: the group.
        reference: the group it is compared with.
        difference: rows of a grid of cells: mean map of the group − that of the reference.
        p_adjusted: the same cells: permutation p for all of them together (max-T) and for all groups (Bonferroni).
        different: how many cells differ at the audit's confidence.
        permutations: how many there were.
    """

    group: Group
    reference: Group
    difference: tuple[tuple[float, ...], ...]
    p_adjusted: tuple[tuple[float, ...], ...]
    different: int
    permutations: int


@dataclass(frozen=True)
class ProbeChange:
    """Accuracy with and without a region; see ``comparison.Change``.

    Attributes:
        group: which one; None for all images.
        before: accuracy on the images as they are.
        after: without the region.
        change: after − before.
        ci_low: its lower limit.
        ci_high: its upper limit.
        p: adjusted over the groups.
        gained: images that are right only without the region.
        lost: images that are right only with it.
        trend: better, worse or undecided.
    """

    group: Group | None
    before: float
    after: float
    change: float
    ci_low: float
    ci_high: float
    p: float
    gained: int | None
    lost: int | None
    trend: str


@dataclass(frozen=True)
class Probe:
    """What becomes of the predictions without a region.

    Attributes:
        name: of the attribute.
        area: share of the image that is taken away.
        changes: without the attribute's region, per group and for all images.
        control: the same for as many pixels where the attribute shows least.
    """

    name: str
    area: float
    changes: tuple[ProbeChange, ...]
    control: tuple[ProbeChange, ...]


@dataclass(frozen=True)
class ExplanationResult:
    """Everything that ``fairaudit explain`` found.

    Attributes:
        settings: method, what was cut and spent, target, grouping, seed, in JSON's own types.
        rows: explanations, images in the order of the figure.
        groups: attention per group; empty without ``per_group``.
        contrasts: of every group with the reference.
        probes: one per attribute's map, where asked for.
        notes: sentences that a reader must know.
        schema_version: version of this record's layout.
    """

    settings: Mapping[str, Any]
    rows: tuple[RowExplanation, ...]
    groups: tuple[GroupAttention, ...] = ()
    contrasts: tuple[AttentionContrast, ...] = ()
    probes: tuple[Probe, ...] = ()
    notes: tuple[str, ...] = ()
    schema_version: int = EXPLANATION_VERSION


def explanation_json(result: ExplanationResult) -> str:
    """The text of ``explain.json``: numbers to ten significant digits, null where undefined."""
    record = asdict(result)
    first = {"schema_version": record.pop("schema_version")}
    rows = [{name.rstrip("_"): value for name, value in row.items()} for row in record.pop("rows")]
    return json.dumps(plain({**first, **record, "rows": rows}), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
