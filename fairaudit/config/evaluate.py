"""A whole run of one command, as a file keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from fairaudit.config.audit import AuditSettings
from fairaudit.config.base import Settings
from fairaudit.config.explain import ExplainSettings
from fairaudit.config.model import InferenceSettings, ModelSettings
from fairaudit.config.policy import OnInconclusive


class EvaluateConfig(Settings):
    """A whole run of ``fairaudit evaluate``; ``config.toml`` in a run folder is one of these.

    Attributes:
        model: checkpoint file.
        data: dataset name.
        root: dataset folder; None looks in ``$FAIRAUDIT_DATA``, ``./data`` and the user's config file.
        split: None takes the card's.
        data_options: options of this dataset's source (``balanced``, ``strict``, ``path_column`` …).
        limit: size of a seeded stratified sample; None takes every image.
        network: how the checkpoint is read.
        inference: how it is run.
        audit: what is audited.
        on_inconclusive: see ``Policy``.
        explain: what ``fairaudit explain`` does with the same model and images; ``evaluate`` leaves it alone.
    """

    model: Path
    data: str
    root: Path | None = None
    split: str | None = None
    data_options: Mapping[str, Any] = Field(default_factory=dict)
    limit: Annotated[int, Field(ge=1)] | None = None
    network: ModelSettings = Field(default_factory=ModelSettings)
    inference: InferenceSettings = Field(default_factory=InferenceSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    on_inconclusive: OnInconclusive = "error"
    explain: ExplainSettings = Field(default_factory=ExplainSettings)

    @model_validator(mode="before")
    @classmethod
    def _no_nulls(cls, values: Any) -> Any:
        return {k: v for k, v in values.items() if v is not None} if isinstance(values, dict) else values
