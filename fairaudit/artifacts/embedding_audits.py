"""The record of an embedding audit: ``embedding.json``, written whole and validated when it is read."""

from __future__ import annotations

from pathlib import Path

from fairaudit.artifacts.folder import write_whole
from fairaudit.artifacts.records import read_json
from fairaudit.errors import ArtifactError
from fairaudit.results.embedding import EMBEDDING_VERSION, EmbeddingResult
from fairaudit.results.embedding_record import embedding_from_record, embedding_json

EMBEDDING = "embedding.json"


def write_embedding_audit(result: EmbeddingResult, path: Path) -> None:
    """Write ``embedding.json``.

    Args:
        result: the audit.
        path: the file.

    Raises:
        OutputError: it could not be written.
    """
    write_whole(path, embedding_json(result))


def read_embedding_audit(path: Path) -> EmbeddingResult:
    """Read an ``embedding.json``, validated against its published schema.

    Args:
        path: the file, or the run folder that holds it.

    Raises:
        ArtifactError: there is no such file, it is not JSON, of another schema version, or a key is missing or wrong.
    """
    from pydantic import ValidationError

    from fairaudit.artifacts.embedding_schema import EmbeddingRecord

    name = path / EMBEDDING if path.is_dir() else path
    if not name.is_file():
        raise ArtifactError(f"{name}: no such file; name an {EMBEDDING} or the run folder of an embedding audit")
    record = read_json(name)
    if not isinstance(record, dict) or "numbers" not in record or "schema_version" not in record:
        raise ArtifactError(f"{name} is not an embedding audit; name what 'fairaudit embed' wrote")
    version = record["schema_version"]
    if version != EMBEDDING_VERSION or isinstance(version, bool):
        raise ArtifactError(
            f"{name} has the schema version {version!r}, and this fairaudit reads version {EMBEDDING_VERSION}; audit the "
            "embeddings again (the folder has them), or use the fairaudit that wrote it"
        )
    try:
        EmbeddingRecord.model_validate(record)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        said = problem["msg"][:1].lower() + problem["msg"][1:]
        raise ArtifactError(f"{name} is not a valid embedding audit: {place}: {said}") from error
    return embedding_from_record(record)
