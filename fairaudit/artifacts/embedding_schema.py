"""The published layout of ``embedding.json``: what is validated when one is read, and its JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue

from fairaudit.artifacts.schema import Count, _Record
from fairaudit.results.embedding import EMBEDDING_VERSION

Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Share = Annotated[float, Field(ge=-1e-6, le=1 + 1e-6, description="from 0 to 1, but for rounding")]
Attributes = Annotated[list[str], Field(min_length=1, description="the crossed attributes")]
Curve = Annotated[
    list[Annotated[list[Share | None], Field(min_length=3, max_length=3)]],
    Field(description="threshold, false match rate, false non-match rate; thresholds rising"),
]


class NumberRecord(_Record):
    """A number with its limits; null where it is undefined."""

    value: float | None
    ci_low: float | None
    ci_high: float | None
    support: Count = Field(description="images, pairs or people behind the value")
    reason: str | None = Field(default=None, description="why it is undefined")


class RateRecord(NumberRecord):
    """A number that is a share."""

    value: Share | None
    ci_low: Share | None
    ci_high: Share | None


class VerifiedRecord(_Record):
    """One group's pairs of images, at the one threshold of all groups."""

    genuine: Count = Field(description="pairs of one class")
    impostors: Count = Field(description="pairs of different classes")
    fmr: RateRecord = Field(description="false match rate")
    fnmr: RateRecord = Field(description="false non-match rate")
    eer: Unit | None = Field(description="equal error rate")
    threshold: Unit | None = Field(description="what this group would need; null where its impostors cannot tell")
    genuine_scores: list[Count] = Field(description="how many lie in each bin from 0 to 1")
    impostor_scores: list[Count]
    curve: Curve


GEOMETRY = frozenset(("alignment", "uniformity", "intra", "inter", "ratio", "crowding", "density", "spectrum"))


def _whole(geometry: dict[str, float | None]) -> dict[str, float | None]:
    if geometry and not geometry.keys() >= GEOMETRY:
        raise ValueError(f"{min(GEOMETRY - geometry.keys())} is missing")
    return geometry


class EmbeddedGroupRecord(_Record):
    """One group that has images."""

    group: dict[str, str] = Field(description="attribute → level")
    n: Count
    classes: Count
    full: dict[str, NumberRecord] = Field(description="measure → value, against every image")
    own: dict[str, NumberRecord] = Field(description="likewise, against images of the group only")
    geometry: Annotated[dict[str, float | None], AfterValidator(_whole)] = Field(description="empty where it was left out")
    clusters: dict[str, float | None]
    verified: VerifiedRecord | None = Field(description="null where there are no pairs")


class LevelRecord(_Record):
    """One grouping within one level of other columns."""

    given: dict[str, str]
    n: Count
    gaps: dict[str, NumberRecord]


class EmbeddedGroupingRecord(_Record):
    """One grouping."""

    by: Attributes
    groups: list[EmbeddedGroupRecord]
    gaps: dict[str, NumberRecord] = Field(description="measure → largest less smallest value over groups")
    crowding_gap: NumberRecord = Field(description="of the cosine distance of images of different classes")
    majority_advantage: NumberRecord = Field(description="recall of the largest group less the mean of the others")
    spectrum_rows: Count = Field(description="images of each group that density and spectrum are of")
    cluster_classes: Count = Field(description="classes of each group that were clustered, at the most")
    within: list[LevelRecord]


class LeakRecord(_Record):
    """How well a probe recovers an attribute."""

    attribute: str
    probe: str
    levels: Count
    accuracy: NumberRecord
    balanced: Unit | None = Field(description="mean over levels; 1 ÷ levels is chance")
    majority: Unit | None


class TrainedRecord(_Record):
    """A classifier on frozen embeddings."""

    classifier: str
    by: Attributes
    training: Literal["original", "rebalanced"]
    fitted: Count
    tested: Count
    accuracy: dict[str, NumberRecord] = Field(description="group as a text → accuracy")
    gap: NumberRecord
    balanced_gap: NumberRecord = Field(description="of balanced accuracy; undefined of many classes")


class PlaceRecord(_Record):
    """An image on the map."""

    x: float
    y: float
    group: Annotated[int, Field(ge=-1, description="index into the groups of the first grouping; −1 for none")]
    of: str = Field(description="its class")


class EmbeddingSettings(_Record):
    """What was asked, as far as a report tells it; an audit may record more."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    k: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
    by: Annotated[list[list[str]], Field(min_length=1)]
    confidence: Annotated[float, Field(gt=0.0, lt=1.0)]
    class_: str = Field(alias="class", description="what images are to be found by")
    __pydantic_extra__: dict[str, JsonValue]


class EmbeddingRecord(_Record):
    """The audit of an embedding space."""

    schema_version: Annotated[int, Field(ge=EMBEDDING_VERSION, le=EMBEDDING_VERSION)]
    settings: EmbeddingSettings
    n: Count = Field(description="images with a class")
    numbers: Count = Field(description="per embedding")
    classes: Count
    groupings: Annotated[list[EmbeddedGroupingRecord], Field(min_length=1)]
    leaks: list[LeakRecord]
    target: str = Field(description="what downstream classifiers told; empty without them")
    trained: list[TrainedRecord]
    places: list[PlaceRecord]
    notes: list[str]


def embedding_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of ``embedding.json``."""
    schema = EmbeddingRecord.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "fairaudit embedding"}
