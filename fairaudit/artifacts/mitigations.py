"""An experiment's record: ``mitigation.json``, written whole and validated when it is read."""

from __future__ import annotations

from pathlib import Path

from fairaudit.artifacts.folder import write_whole
from fairaudit.artifacts.records import read_json
from fairaudit.errors import ArtifactError
from fairaudit.results.mitigation import READABLE, MitigationResult, mitigation_from_record, mitigation_json

MITIGATION = "mitigation.json"


def write_mitigation(result: MitigationResult, path: Path) -> None:
    """Write ``mitigation.json``.

    Args:
        result: the experiment.
        path: the file.

    Raises:
        OutputError: it could not be written.
    """
    write_whole(path, mitigation_json(result))


def read_mitigation(path: Path) -> MitigationResult:
    """Read a ``mitigation.json``, validated against its published schema.

    A file of the first version is read as well: it knows no epochs and no numbers of single seeds.

    Args:
        path: the file, or the folder of the experiment.

    Raises:
        ArtifactError: there is no such file, it is not JSON, of another schema version, or a key is missing or wrong.
    """
    from pydantic import ValidationError

    from fairaudit.artifacts.mitigation_schema import MitigationRecord

    name = path / MITIGATION if path.is_dir() else path
    if not name.is_file():
        raise ArtifactError(f"{name}: no such file; name a {MITIGATION} or the folder of an experiment")
    record = read_json(name)
    if not isinstance(record, dict) or "arms" not in record or "schema_version" not in record:
        raise ArtifactError(f"{name} is not an experiment; name what 'fairaudit mitigate' wrote")
    version = record["schema_version"]
    if version not in READABLE or isinstance(version, bool):
        raise ArtifactError(
            f"{name} has the schema version {version!r}, and this fairaudit reads versions 1 to {max(READABLE)}; "
            "run the experiment again with --resume, which keeps what is trained, or use the fairaudit that wrote it"
        )
    try:
        MitigationRecord.model_validate(record)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        said = problem["msg"][:1].lower() + problem["msg"][1:]
        raise ArtifactError(f"{name} is not a valid experiment: {place}: {said}") from error
    return mitigation_from_record(record)
