"""The audit of an embedding space: frozen records that mirror ``embedding.json`` field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairaudit.results.audit import Estimate, Group

EMBEDDING_VERSION = 1


@dataclass(frozen=True)
class Verified:
    """One group's pairs of images.

    Attributes:
        genuine: pairs of one class.
        impostors: pairs of different classes.
        fmr: false match rate at the one threshold; a false positive rate in the tables of predictions.
        fnmr: false non-match rate at it; a false negative rate there.
        eer: equal error rate; nan where a kind of pairs is lacking.
        threshold: what this group would need for the false match rate that was aimed at.
        genuine_scores: how many lie in each bin from 0 to 1.
        impostor_scores: likewise.
        curve: (threshold, FMR, FNMR), thresholds rising.
    """

    genuine: int
    impostors: int
    fmr: Estimate
    fnmr: Estimate
    eer: float
    threshold: float
    genuine_scores: tuple[int, ...]
    impostor_scores: tuple[int, ...]
    curve: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class EmbeddedGroup:
    """What was found of one group.

    Attributes:
        group: its cell.
        n: images with a class.
        classes: how many classes they are of.
        full: measure → value, queries of the group against every image: ``recall_at_1``, ``r_precision`` …
        own: likewise against images of the group only.
        geometry: alignment, uniformity, intra, inter, ratio, crowding, density, spectrum; nan where undefined.
        clusters: nmi and f1 of k-means.
        verified: its pairs; None where verification was left out.
    """

    group: Group
    n: int
    classes: int
    full: Mapping[str, Estimate]
    own: Mapping[str, Estimate]
    geometry: Mapping[str, float]
    clusters: Mapping[str, float]
    verified: Verified | None = None


@dataclass(frozen=True)
class EmbeddedLevel:
    """One grouping within one level of other columns.

    Attributes:
        given: column → level.
        n: queries with something to find.
        gaps: measure → gap over groups, ``recall_at_1``, ``fmr``, ``fnmr``.
    """

    given: Group
    n: int
    gaps: Mapping[str, Estimate]


@dataclass(frozen=True)
class EmbeddedGrouping:
    """What was found by one grouping.

    Attributes:
        by: the crossed attributes.
        groups: every group that has images.
        gaps: measure → largest less smallest value over groups; of rates with limits.
        crowding_gap: largest less smallest crowding: are people of one group embedded closer together although they are
            different people (Dullerud et al. 2022, first sense).
        majority_advantage: recall@k of the largest group less the mean of the others: are the features better for the
            majority (second sense); undefined where several groups are the largest.
        spectrum_rows: rows of each group that its spectrum and density were taken of, which depend on their number.
        cluster_classes: classes of each group that were clustered, likewise.
        within: the same within levels of other columns.
    """

    by: tuple[str, ...]
    groups: tuple[EmbeddedGroup, ...]
    gaps: Mapping[str, Estimate]
    crowding_gap: Estimate
    majority_advantage: Estimate
    spectrum_rows: int
    cluster_classes: int
    within: tuple[EmbeddedLevel, ...] = ()


@dataclass(frozen=True)
class Leak:
    """How well a probe recovers an attribute.

    Attributes:
        attribute: its name.
        probe: ``linear`` or ``kNN``.
        levels: how many levels occurred.
        accuracy: on people it was not fitted on.
        balanced: mean over levels; 1 ÷ levels is chance.
        majority: share of the commonest level.
    """

    attribute: str
    probe: str
    levels: int
    accuracy: Estimate
    balanced: float
    majority: float


@dataclass(frozen=True)
class Trained:
    """A classifier on frozen embeddings.

    Attributes:
        classifier: its name.
        by: the grouping.
        training: ``original`` or ``rebalanced``.
        fitted: rows it was fitted on.
        tested: rows it was tested on.
        accuracy: group as a text → accuracy.
        gap: largest less smallest accuracy over groups.
        balanced_gap: likewise of balanced accuracy, in which every class counts once: accuracy differs between groups also
            where they hold classes of different size. Undefined of many classes.
    """

    classifier: str
    by: tuple[str, ...]
    training: str
    fitted: int
    tested: int
    accuracy: Mapping[str, Estimate]
    gap: Estimate
    balanced_gap: Estimate


@dataclass(frozen=True)
class Place:
    """An image on the map.

    Attributes:
        x: from 0 to 1.
        y: likewise.
        group: of the first grouping, an index into its groups; −1 for none.
        of: its class.
    """

    x: float
    y: float
    group: int
    of: str


@dataclass(frozen=True)
class EmbeddingResult:
    """The audit of an embedding space.

    Attributes:
        settings: what was asked: class, k, confidence, seed, pairs, false match rate, threshold, sizes.
        n: images with a class.
        numbers: per embedding, d.
        classes: how many classes.
        groupings: by grouping.
        leaks: by attribute and probe.
        target: what downstream classifiers told.
        trained: by grouping, classifier and training data.
        places: the map; empty where it was left out.
        notes: what a reader must know.
        schema_version: version of this record's layout.
    """

    settings: Mapping[str, Any]
    n: int
    numbers: int
    classes: int
    groupings: tuple[EmbeddedGrouping, ...]
    leaks: tuple[Leak, ...] = ()
    target: str = ""
    trained: tuple[Trained, ...] = ()
    places: tuple[Place, ...] = ()
    notes: tuple[str, ...] = ()
    schema_version: int = EMBEDDING_VERSION
