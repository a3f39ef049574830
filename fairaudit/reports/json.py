"""The record itself, the same text as ``audit.json``, for programs.

Comparisons are the text of ``comparison.json``, experiments of ``mitigation.json``, audits of embeddings of
``embedding.json``.
"""

from __future__ import annotations

from fairaudit.comparison import ComparisonResult, comparison_json
from fairaudit.results import AuditResult, to_json
from fairaudit.results.embedding import EmbeddingResult
from fairaudit.results.embedding_record import embedding_json
from fairaudit.results.mitigation import MitigationResult, mitigation_json


def render(result: AuditResult) -> str:
    """Write an audit as JSON, laid out as ``fairaudit list schema`` publishes.

    Args:
        result: the audit.
    """
    return to_json(result)


def render_comparison(result: ComparisonResult) -> str:
    """Write a comparison as JSON, laid out as ``fairaudit list schema comparison`` publishes.

    Args:
        result: the comparison.
    """
    return comparison_json(result)


def render_mitigation(result: MitigationResult) -> str:
    """Write an experiment as JSON, laid out as ``fairaudit list schema mitigation`` publishes.

    Args:
        result: the experiment.
    """
    return mitigation_json(result)


def render_embedding(result: EmbeddingResult) -> str:
    """Write an audit of embeddings as JSON, laid out as ``fairaudit list schema embedding`` publishes.

    Args:
        result: the audit.
    """
    return embedding_json(result)
