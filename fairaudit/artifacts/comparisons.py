"""A comparison's record: ``comparison.json``, written whole and validated when it is read."""

from __future__ import annotations

from pathlib import Path

from fairaudit.artifacts.folder import write_whole
from fairaudit.artifacts.records import read_json
from fairaudit.comparison import SCHEMA_VERSION, ComparisonResult, comparison_from_record, comparison_json
from fairaudit.errors import ArtifactError

COMPARISON = "comparison.json"


def comparison_file(path: Path) -> Path:
    """Where a comparison is: the file itself where its name ends in ``.json``, else in that folder."""
    return path if path.suffix == ".json" and not path.is_dir() else path / COMPARISON


def write_comparison(result: ComparisonResult, path: Path) -> None:
    """Write ``comparison.json``: deterministic, without times, paths or versions.

    Args:
        result: the comparison.
        path: the file.

    Raises:
        OutputError: it could not be written.
    """
    write_whole(path, comparison_json(result))


def read_comparison(path: Path) -> ComparisonResult:
    """Read a ``comparison.json``, validated against its published schema.

    Args:
        path: the file, or the folder that holds it.

    Raises:
        ArtifactError: there is no such file, it is not JSON, of another schema version, or a key is missing or wrong.
    """
    from pydantic import ValidationError

    from fairaudit.artifacts.comparison_schema import ComparisonRecord

    name = comparison_file(path)
    if not name.is_file():
        raise ArtifactError(f"{name}: no such file; name a {COMPARISON} or the folder that holds it")
    record = read_json(name)
    if not isinstance(record, dict) or "comparisons" not in record or "schema_version" not in record:
        raise ArtifactError(f"{name} is not a comparison; name what 'fairaudit compare --out' wrote")
    version = record["schema_version"]
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise ArtifactError(
            f"{name} has the schema version {version!r}, and this fairaudit reads version {SCHEMA_VERSION}; "
            "compare the predictions again, or use the fairaudit that wrote it"
        )
    try:
        ComparisonRecord.model_validate(record)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        said = problem["msg"][:1].lower() + problem["msg"][1:]
        raise ArtifactError(f"{name} is not a valid comparison: {place}: {said}") from error
    return comparison_from_record(record)
