"""A run's records: ``audit.json`` (what was found), ``run.json`` (provenance), ``config.toml`` (how to repeat it)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from fairaudit.artifacts.folder import write_whole
from fairaudit.errors import ArtifactError
from fairaudit.results import SCHEMA_VERSION, AuditResult, from_record, to_json

AUDIT = "audit.json"
_HALF_A_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")


def write_audit(result: AuditResult, path: Path) -> None:
    """Write ``audit.json``: deterministic, without times, paths or versions.

    Args:
        result: the audit.
        path: the file.

    Raises:
        OutputError: it could not be written.
    """
    write_whole(path, to_json(result))


def read_audit(path: Path) -> AuditResult:
    """Read an ``audit.json``, validated against its published schema.

    Args:
        path: the file, or the run folder that holds it.

    Raises:
        ArtifactError: there is no such file, it is not JSON, of another schema version, or a key is missing or wrong.
    """
    from pydantic import ValidationError

    from fairaudit.artifacts.consistency import audit_inconsistency
    from fairaudit.artifacts.schema import AuditRecord

    record = read_json(_audit_file(path))
    name = _audit_file(path)
    if not isinstance(record, dict) or "schema_version" not in record:
        raise ArtifactError(f"{name} is not an audit: it has no schema_version; name an audit.json or a run folder")
    version = record["schema_version"]
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise ArtifactError(
            f"{name} has the schema version {version!r}, and this fairaudit reads version {SCHEMA_VERSION}; "
            "audit the predictions again, or use the fairaudit that wrote it"
        )
    try:
        AuditRecord.model_validate(record)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        said = problem["msg"][:1].lower() + problem["msg"][1:]
        raise ArtifactError(f"{name} is not a valid audit: {place}: {said}") from error
    if (misfit := audit_inconsistency(record)) is not None:
        raise ArtifactError(f"{name} is not a valid audit: {misfit}")
    return from_record(record)


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write any record as JSON; paths and enumerations become text.

    Args:
        path: the file.
        record: keys in the order in which they are written.

    Raises:
        OutputError: it could not be written.
    """
    write_whole(path, json.dumps(record, indent=1, ensure_ascii=False, default=_text) + "\n")


def write_toml(path: Path, record: Mapping[str, Any]) -> None:
    """Write any record as TOML; a value that is None is left out, because TOML has no null.

    Args:
        path: the file.
        record: for example ``EvaluateConfig.model_dump()``.

    Raises:
        OutputError: it could not be written.
    """
    import tomli_w

    write_whole(path, tomli_w.dumps(_without_none(record), multiline_strings=False))


def _audit_file(path: Path) -> Path:
    return path / AUDIT if path.is_dir() else path


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Args:
        path: the file.

    Raises:
        ArtifactError: it is not there, cannot be read, or is not JSON.
    """
    try:
        data = path.read_bytes()
        record = json.loads(data)
        if _HALF_A_CHARACTER.search(data):
            json.dumps(record, ensure_ascii=False).encode("utf-8")
        return record
    except FileNotFoundError as error:
        if path.name == AUDIT and path.parent.is_dir() and path.parent != Path():
            raise ArtifactError(f"{path.parent} is not a run folder: it holds no {AUDIT}") from error
        raise ArtifactError(f"{path}: no such file; name an {AUDIT} or a run folder") from error
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeEncodeError as error:
        raise ArtifactError(f"{path} holds text that is no Unicode (half of a surrogate pair)") from error
    except (ValueError, RecursionError) as error:  # a number of more digits than Python reads is a plain ValueError
        raise ArtifactError(f"{path} is not valid JSON: {error}") from error


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value if item is not None]
    return _text(value) if isinstance(value, Path | Enum) else value


def _text(value: Any) -> str:
    return str(value.value) if isinstance(value, Enum) else str(value)
