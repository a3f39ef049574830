"""The published layout of ``comparison.json``: what is validated when one is read, and its JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from fairaudit.artifacts.schema import Count, EstimateRecord, GroupRecord, _Record
from fairaudit.comparison import SCHEMA_VERSION

P = Annotated[float, Field(ge=0.0, le=1.0)]
Deviation = Annotated[float, Field(ge=0.0)]


class ChangeRecord(_Record):
    """One number before and after."""

    metric: str
    kind: Literal["mean", "gap", "spread", "worst_group"] | None = Field(
        description="over groups: mean, each counting once; max − min; standard deviation; the worst. null: a group's own"
    )
    group: GroupRecord
    trend: Literal["better", "worse", "higher", "lower", "undecided"] = Field(
        description="what may be said: anything but undecided is shown by the data at the confidence asked for"
    )
    before: EstimateRecord
    after: EstimateRecord
    change: EstimateRecord = Field(description="after − before; support is the smaller one of both sides")
    test: Literal["mcnemar", "person sign-flip", "permutation", "mover", "paired t"] | None
    p: P | None = Field(description="two-sided, of no change; null where there is no test")
    p_adjusted: P | None = Field(description="after Holm over the groups, and Bonferroni over the models compared")
    p_exact: P | None = Field(description="where p is a mid-p")
    gained: Count | None = Field(description="images that only the second model gets counted")
    lost: Count | None = Field(description="images that only the first model gets counted")
    sd: Annotated[list[Deviation | None], Field(min_length=2, max_length=2)] | None = Field(
        description="standard deviation over seeds, before and after"
    )


class GroupingChangeRecord(_Record):
    """Every change within one grouping."""

    by: Annotated[list[str], Field(min_length=1, description="the crossed attributes, in command order")]
    changes: list[ChangeRecord] = Field(description="metric by metric: groups in declared order, then kinds over groups")


class PairRecord(_Record):
    """Two models, or several runs of each."""

    before: str
    after: str
    design: Literal["paired", "unpaired", "seeds"] = Field(description="how images belong together")
    n: Annotated[list[Count], Field(min_length=2, max_length=2, description="images on each side")]
    overall: list[ChangeRecord] = Field(description="all images together")
    groupings: list[GroupingChangeRecord]
    notes: list[str]


class ComparisonRecord(_Record):
    """What a comparison found: the same input, settings and seed give the same file, byte for byte."""

    schema_version: Annotated[int, Field(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)]
    settings: dict[str, JsonValue]
    comparisons: list[PairRecord] = Field(description="one per model that was compared with the first")


def comparison_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of ``comparison.json``."""
    schema = ComparisonRecord.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "fairaudit comparison"}
