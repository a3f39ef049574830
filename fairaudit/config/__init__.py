"""What a user may ask for, validated once: how images are prepared, how a model is run, what is audited, which rules hold.

Command-line flags and TOML files both end here. A file's keys are these models' fields; an unknown key is an error that
names the nearest known one.
"""

from fairaudit.config.attribute import REGION_TRAINING, AttributeConfig, Measure, Stem
from fairaudit.config.audit import Aggregate, AuditSettings, MissingLevels
from fairaudit.config.base import Confidence, Settings
from fairaudit.config.embed import EmbedSettings
from fairaudit.config.evaluate import EvaluateConfig
from fairaudit.config.explain import ExplainSettings
from fairaudit.config.files import read_toml, read_values, validated
from fairaudit.config.mitigate import Arm, MitigateConfig, TestSettings
from fairaudit.config.model import (
    InferenceSettings,
    Interpolation,
    MergeBy,
    ModelSettings,
    Precision,
    Preprocess,
    PreprocessOverrides,
    Resize,
)
from fairaudit.config.policy import DecideOn, OnInconclusive, Policy, PolicyRule, Severity
from fairaudit.config.sweep import Range, SweepConfig, TuneSettings
from fairaudit.config.training import Augment, Balance, Cache, Log, Schedule, Select, TrainingSettings

__all__ = [
    "REGION_TRAINING",
    "Aggregate",
    "Arm",
    "AttributeConfig",
    "AuditSettings",
    "Augment",
    "Balance",
    "Cache",
    "Confidence",
    "DecideOn",
    "EmbedSettings",
    "EvaluateConfig",
    "ExplainSettings",
    "InferenceSettings",
    "Interpolation",
    "Log",
    "Measure",
    "MergeBy",
    "MissingLevels",
    "MitigateConfig",
    "ModelSettings",
    "OnInconclusive",
    "Policy",
    "PolicyRule",
    "Precision",
    "Preprocess",
    "PreprocessOverrides",
    "Range",
    "Resize",
    "Schedule",
    "Select",
    "Settings",
    "Severity",
    "Stem",
    "SweepConfig",
    "TestSettings",
    "TrainingSettings",
    "TuneSettings",
    "read_toml",
    "read_values",
    "validated",
]
