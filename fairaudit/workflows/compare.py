"""Compare: what changed between two models, for whom, and whether the data show it. Torch is never needed.

Images are paired by row id. Several runs of each side (seeds) are compared by what the runs scatter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fairaudit.artifacts.comparisons import COMPARISON, comparison_file, write_comparison
from fairaudit.artifacts.tables import TableColumns, read_predictions
from fairaudit.comparison import ComparisonResult, comparison_json
from fairaudit.config import AuditSettings
from fairaudit.errors import UsageError
from fairaudit.workflows.audit import _asked_besides
from fairaudit.workflows.changes import over_seeds, pair_sides
from fairaudit.workflows.pages import write_page
from fairaudit.workflows.sides import Side, aligned

__all__ = ["Side", "compare", "compare_files"]

_OF_TWO = (
    "rows are pairs of images: tests and intervals of changes know the person of the first image, not of the second, and "
    "may be too narrow where a few people are in many pairs"
)


def compare(
    before: Sequence[Side], after: Sequence[Side], settings: AuditSettings, *, seeds: bool = False, unpaired: bool = False
) -> ComparisonResult:
    """Compare models.

    Args:
        before: the first model; with ``seeds``, its runs.
        after: the models that are compared with it, each by itself; with ``seeds``, the runs of the second model, in the
            order of those of the first.
        settings: target (``race,gender`` for both at once), groupings, subset, threshold, confidence, replicates and seed,
            and whether people are taken into account; rules are not judged.
        seeds: whether each side is one model trained several times.
        unpaired: treat the images as different ones even where their row ids agree.

    Raises:
        UsageError: an attribute, class or target does not exist, or the numbers of runs do not fit.
        PredictionsError: the sides disagree on labels or attributes of the same images.
    """
    if not seeds and (len(before) != 1 or not after):
        raise UsageError("a comparison needs one table before and at least one after; several seeds are --before, --after")
    sides, asked = aligned([*before, *after], settings)
    if seeds:
        pairs = [over_seeds(sides[: len(before)], sides[len(before) :], asked)]
    else:
        pairs = [pair_sides(sides[0], other, asked, len(after), unpaired) for other in sides[1:]]
    if any(side.predictions.second is not None for side in (*before, *after)):
        pairs = [replace(pair, notes=(*pair.notes, _OF_TWO)) for pair in pairs]
    classes = sides[0].task.classes
    record = {
        "target": asked.target,
        "classes": list(classes),
        "positive": None if asked.positive is None else classes[asked.positive],
        "where": settings.where,
        "confidence": settings.confidence,
        "min_support": settings.min_support,
        "bootstrap": settings.bootstrap,
        "seed": settings.seed,
        **_asked_besides(settings),
    }
    return ComparisonResult(record, tuple(pairs))


def compare_files(
    before: Sequence[Path],
    after: Sequence[Path],
    settings: AuditSettings,
    columns: TableColumns | None,
    *,
    seeds: bool = False,
    unpaired: bool = False,
    out: Path | None = None,
    page: bool = False,
) -> tuple[ComparisonResult, Path | None]:
    """Compare tables of predictions.

    Args:
        before: files or run folders, see ``compare``.
        after: likewise.
        settings: what is compared.
        columns: which columns mean what; None where the files declare them.
        seeds: whether each side is one model trained several times.
        unpaired: treat the images as different ones.
        out: file to write, or folder for a ``comparison.json``; None writes nothing.
        page: whether a folder gets ``report.html`` and figures as well; a file is the record alone.

    Returns:
        What was found, and the file that was written.

    Raises:
        FairauditError: see ``compare``; also a file that cannot be read or written.
    """
    if seeds and len(before) != len(after):
        raise UsageError(
            f"{len(before)} runs before and {len(after)} after cannot be paired; give as many --after as --before, in order"
        )
    if seeds and len(before) < 2:
        raise UsageError("one run on each side has no scatter; name both tables without --before and --after")
    paths = [*before, *after]
    short = [path.name for path in paths]
    names = short if len(set(short)) == len(short) else [str(path) for path in paths]
    sides = [Side(name, read_predictions(path, columns)) for name, path in zip(names, paths, strict=True)]
    if columns is not None and settings.target is None and "," in columns.y_true:
        settings = settings.model_copy(update={"target": ",".join(sides[0].predictions.tasks)})
    result = compare(sides[: len(before)], sides[len(before) :], settings, seeds=seeds, unpaired=unpaired)
    if out is None:
        return result, None
    target = comparison_file(out)
    if page and target != out:
        write_page(result, out, {COMPARISON: comparison_json(result)})
    else:
        write_comparison(result, target)
    return result, target
