"""Pages: the HTML report of a comparison or an experiment and its figures as files, beside the record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from fairaudit.artifacts.folder import write_together
from fairaudit.comparison import ComparisonResult
from fairaudit.reports._figures.canvas import Picture
from fairaudit.reports._html_comparison import comparison_page, comparison_pictures
from fairaudit.reports._html_mitigation import mitigation_page, mitigation_pictures
from fairaudit.results.mitigation import MitigationResult

PAGE = "report.html"
FIGURES = "figures"


def write_page(result: ComparisonResult | MitigationResult, folder: Path, beside: Mapping[str, str] | None = None) -> None:
    """Write ``report.html`` and ``figures/*.svg|png``, all of them or none.

    Args:
        result: what is reported.
        folder: where; it may hold other files.
        beside: name → text of files that are written with them, for example the record.

    Raises:
        OutputError: a file could not be written; none is.
    """
    try:
        drawn = page_files(result)
    except Exception:
        # A defect in a figure must not cost the record.
        write_together(folder, beside or {})
        raise
    write_together(folder, {**(beside or {}), **drawn})


def page_files(result: ComparisonResult | MitigationResult) -> dict[str, str | bytes]:
    """The files of a page: name within the folder → content.

    Args:
        result: what is reported.
    """
    if isinstance(result, ComparisonResult):
        changed = comparison_pictures(result)
        return {PAGE: comparison_page(result, changed), **_figures(changed.values())}
    drawn = mitigation_pictures(result)
    return {PAGE: mitigation_page(result, drawn), **_figures(drawn.values())}


def _figures(pictures: Iterable[Picture]) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {}
    for one in pictures:
        files[f"{FIGURES}/{one.name}.svg"] = one.svg()
        files[f"{FIGURES}/{one.name}.png"] = one.png()
    return files
