"""Report: any format again from a stored run, without torch and without the images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairaudit import plugins
from fairaudit.artifacts.records import read_audit
from fairaudit.errors import UsageError, suggest


def report(run: Path, format: str, **options: Any) -> str:  # noqa: A002 - the command's own word
    """Render a stored audit.

    Args:
        run: a run folder, or an ``audit.json``.
        format: a name that ``plugins.names("reports")`` lists.
        options: keyword arguments of that format's ``render``; None leaves its default.

    Raises:
        UnknownNameError: there is no such format.
        UsageError: the format has no such option.
        ArtifactError: there is no audit, or it cannot be read.
    """
    name = plugins.canonical("reports", format)
    given = {key: value for key, value in options.items() if value is not None}
    known = plugins.options("reports", name)
    for key in given:
        if key not in known:
            raise UsageError(f"the report format {name!r} has no option {key!r}{suggest(key, known)}")
    result = read_audit(run)
    return str(plugins.load("reports", name).render(result, **given))
