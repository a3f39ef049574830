"""The published layout of ``mitigation.json``: what is validated when one is read, and its JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from fairaudit.artifacts.comparison_schema import Deviation, P
from fairaudit.artifacts.schema import Count, _Record
from fairaudit.results.mitigation import READABLE

Attributes = Annotated[list[str], Field(description="the crossed attributes; empty for all images together")]


class NumberRecord(_Record):
    """One number on the test images, over seeds, and how it differs from the baseline's."""

    metric: str
    kind: Literal["worst_group", "gap", "spread"] | None
    by: Attributes
    value: float | None = Field(description="mean over seeds; null where it is undefined")
    sd: Deviation | None = Field(description="standard deviation over seeds; null with one")
    change: float | None = Field(description="from the baseline; null for the baseline itself and where there is none")
    ci_low: float | None = Field(description="limits of the change over seeds (with one seed: over images)")
    ci_high: float | None
    p_seeds: P | None = Field(description="paired t-test over seeds; null with one seed, or where nothing scatters")
    image_low: float | None = Field(description="limits over images, all seeds together, each image one cluster")
    image_high: float | None
    p_images: P | None
    trend: Literal["better", "worse", "higher", "lower", "undecided"] = Field(
        description="what both tests show (with one seed: the one over images)"
    )
    by_seed: list[float | None] = Field(default=[], description="the value of each run, in their order; from version 2 on")
    group: dict[str, str] | None = Field(default=None, description="of a group's own number; from version 3 on")


class LoserRecord(_Record):
    """The group that lost most against the baseline."""

    by: Attributes
    group: dict[str, str]
    before: float
    after: float
    p: P | None = Field(description="adjusted over the groups (Holm); null where nothing scatters")
    shown: bool


class EpochRecord(_Record):
    """One epoch of a training."""

    epoch: Annotated[int, Field(ge=1, le=10**9)]
    loss: float | None = Field(description="mean of the loss that was minimised, over the epoch's batches")
    score: float | None = Field(description="what epochs are selected by; null without validation")
    mean: float | None = Field(description="accuracy on validation images, mean over groups, each counting once")
    worst: float | None = Field(description="likewise, of the worst group")
    group_accuracies: list[float | None] = Field(description="in the order of groups; empty without validation")


class SeedRunRecord(_Record):
    """One training."""

    seed: Count
    folder: str = Field(description="of its checkpoint, predictions and audit, below the experiment's")
    selected: Count = Field(description="epoch whose weights were kept; 0 where nothing was trained by epochs")
    seconds: Annotated[float, Field(ge=0.0)]
    epochs: list[EpochRecord] = Field(default=[], description="of the last stage; from version 2 on")


class ArmRecord(_Record):
    """One thing that was tried."""

    name: str
    loss: str
    method: str | None
    runs: list[SeedRunRecord]
    numbers: list[NumberRecord]
    losers: list[LoserRecord]
    on_front: bool = Field(description="no other arm has both a higher accuracy and a smaller gap (first grouping)")
    notes: list[str]
    groups: list[NumberRecord] = Field(default=[], description="accuracy of every group; from version 3 on")


class ExperimentSettings(_Record):
    """What was asked, as far as a report tells it; an experiment may record more."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    target: Annotated[list[str], Field(min_length=1)]
    by: Annotated[list[list[str]], Field(min_length=1)]
    seeds: Annotated[int, Field(ge=1)]
    architecture: str
    start: str
    select: str
    confidence: Annotated[float, Field(gt=0.0, lt=1.0)]
    __pydantic_extra__: dict[str, JsonValue]


class ImagesRecord(_Record):
    """How many images each split has."""

    train: Count
    validation: Count
    test: Count


class MitigationRecord(_Record):
    """What an experiment found."""

    schema_version: Annotated[int, Field(ge=min(READABLE), le=max(READABLE))]
    settings: ExperimentSettings
    images: ImagesRecord
    groups: dict[str, Count] = Field(description="group → its training images")
    baseline: str | None
    arms: Annotated[list[ArmRecord], Field(min_length=1, description="the baseline first")]
    notes: list[str]


def mitigation_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of ``mitigation.json``."""
    schema = MitigationRecord.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "fairaudit mitigation"}
