"""What an audit found: frozen records without behaviour beyond looking things up."""

from fairaudit.results.audit import (
    EXIT_CODES,
    SCHEMA_VERSION,
    AuditResult,
    Clusters,
    Disparity,
    Estimate,
    Group,
    GroupingResult,
    GroupResult,
    GroupScores,
    Overall,
    RuleOutcome,
    RuleResult,
    Scores,
    Verdict,
    group_label,
)
from fairaudit.results.record import SIGNIFICANT_DIGITS, from_record, to_json, to_record

__all__ = [
    "EXIT_CODES",
    "SCHEMA_VERSION",
    "SIGNIFICANT_DIGITS",
    "AuditResult",
    "Clusters",
    "Disparity",
    "Estimate",
    "Group",
    "GroupResult",
    "GroupScores",
    "GroupingResult",
    "Overall",
    "RuleOutcome",
    "RuleResult",
    "Scores",
    "Verdict",
    "from_record",
    "group_label",
    "to_json",
    "to_record",
]
