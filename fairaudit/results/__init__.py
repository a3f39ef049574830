"""What an audit found: frozen records without behaviour beyond looking things up."""

from fairaudit.results.audit import (
    SCHEMA_VERSION,
    AuditResult,
    Clusters,
    Conditional,
    Disparity,
    Estimate,
    Group,
    GroupingResult,
    GroupResult,
    GroupScores,
    Overall,
    Scores,
    Together,
    group_label,
    grouping_text,
)
from fairaudit.results.reading import from_record
from fairaudit.results.record import SIGNIFICANT_DIGITS, to_json, to_record
from fairaudit.results.sensitivity import LabelNoise, Range
from fairaudit.results.verdicts import EXIT_CODES, RuleOutcome, RuleResult, Verdict

__all__ = [
    "EXIT_CODES",
    "SCHEMA_VERSION",
    "SIGNIFICANT_DIGITS",
    "AuditResult",
    "Clusters",
    "Conditional",
    "Disparity",
    "Estimate",
    "Group",
    "GroupResult",
    "GroupScores",
    "GroupingResult",
    "LabelNoise",
    "Overall",
    "Range",
    "RuleOutcome",
    "RuleResult",
    "Scores",
    "Together",
    "Verdict",
    "from_record",
    "group_label",
    "grouping_text",
    "to_json",
    "to_record",
]
