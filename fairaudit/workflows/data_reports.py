"""What ``fairaudit data`` shows and writes: the profile or the check of a dataset, in the formats that each has."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from fairaudit.artifacts.folder import write_whole
from fairaudit.errors import UsageError, suggest
from fairaudit.results.data_check import DataCheck
from fairaudit.results.profile import Profile

Found = Profile | DataCheck

_SUFFIXES: Mapping[str, str] = {
    ".json": "json", ".md": "markdown", ".markdown": "markdown", ".html": "html", ".htm": "html", ".txt": "terminal",
}  # fmt: skip
_FILES: Mapping[str, str] = {"terminal": "txt", "json": "json", "markdown": "md", "html": "html"}
FORMATS: Mapping[type[Found], tuple[str, ...]] = {
    Profile: ("terminal", "json", "markdown", "html"),
    DataCheck: ("terminal", "json", "markdown"),
}
_NAMES: Mapping[type[Found], str] = {Profile: "profile", DataCheck: "check"}


def check_format(kind: type[Found], name: str) -> str:
    """The one spelling of a format, before any work is done.

    Args:
        kind: of what is shown.
        name: as the user wrote it.

    Raises:
        UsageError: there is no such format.
    """
    if name.casefold() not in FORMATS[kind]:
        raise UsageError(f"--format {name!r}: a {_NAMES[kind]} has no such format{suggest(name, FORMATS[kind])}")
    return name.casefold()


def places(kind: type[Found], out: Path, format_: str | None) -> dict[Path, str]:
    """Which files are written, and in which format, before any work is done.

    Args:
        kind: of what is shown.
        out: a file, whose suffix says the format where ``format_`` does not; or a folder, existing or without a suffix,
            which gets a file of every format but the terminal's.
        format_: the only format, where the user named one.

    Raises:
        UsageError: the suffix is that of no format.
    """
    if out.is_dir() or not out.suffix:
        wanted = [format_] if format_ else [name for name in FORMATS[kind] if name != "terminal"]
        return {out / f"{_NAMES[kind]}.{_FILES[name]}": name for name in wanted}
    found = format_ or _SUFFIXES.get(out.suffix.casefold())
    if found not in FORMATS[kind]:
        known = ", ".join(suffix for suffix, name in _SUFFIXES.items() if name in FORMATS[kind])
        raise UsageError(f"--out {out}: a {_NAMES[kind]} is written as {known}, or say --format; a folder gets all of them")
    return {out: found}


def text(found: Found, format_: str, width: int = 80, color: bool = False) -> str:
    """A profile or a check in one format.

    Args:
        found: what is shown.
        format_: one of ``FORMATS``.
        width: columns of the terminal.
        color: whether the terminal's headings are bold.
    """
    if format_ == "json":
        return _json(found) + "\n"
    return _renderers(found)[format_](width, color)


def write(found: Found, files: Mapping[Path, str]) -> None:
    """Write files, each whole or not at all.

    Args:
        found: what is shown.
        files: as ``places`` says.

    Raises:
        OutputError: one cannot be written.
    """
    for path, format_ in files.items():
        write_whole(path, text(found, format_))


def _json(found: Found) -> str:
    """A profile indented; a check with a line per finding, which may name a million files."""
    record = found.to_record()
    if isinstance(found, Profile):
        return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
    # Without an indentation it is written by compiled code, which takes a tenth of the time.
    lines = [_line(one) for one in record.pop("findings")]
    parts = [f'"{key}": {_line(value)}' for key, value in record.items()]
    parts.append('"findings": [' + ",".join(f"\n  {line}" for line in lines) + ("\n ]" if lines else "]"))
    return "{\n " + ",\n ".join(parts) + "\n}"


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _renderers(found: Found) -> dict[str, Callable[[int, bool], str]]:
    if isinstance(found, DataCheck):
        from fairaudit.reports import _data_check as checked

        return {
            "terminal": lambda width, color: checked.terminal(found, width, color),
            "markdown": lambda *_: checked.markdown(found),
        }
    from fairaudit.reports import _profile as profiled

    def page(*_: object) -> str:
        from fairaudit.reports._html_profile import render_profile

        return render_profile(found)

    return {
        "terminal": lambda width, color: profiled.terminal(found, width, color),
        "markdown": lambda *_: profiled.markdown(found),
        "html": page,
    }
