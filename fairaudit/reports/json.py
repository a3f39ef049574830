"""The record itself, the same text as ``audit.json``, for programs."""

from __future__ import annotations

from fairaudit.results import AuditResult, to_json


def render(result: AuditResult) -> str:
    """Write an audit as JSON, laid out as ``fairaudit list schema`` publishes.

    Args:
        result: the audit.
    """
    return to_json(result)
