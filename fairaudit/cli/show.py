"""Showing a record: the report format asked for, on stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fairaudit.cli.streams import stdout_colour, stdout_width, write_out

if TYPE_CHECKING:
    from fairaudit.workflows.report import Record


def check_format(name: str, kind: type[Record] | None = None) -> str:
    """The one spelling of a report format, before any work is done.

    Args:
        name: as the user wrote it.
        kind: of the record that it must be able to show; None means an audit.

    Raises:
        UnknownNameError: there is no such format.
        UsageError: it cannot show such a record.
    """
    from fairaudit import plugins

    if kind is None:
        return plugins.canonical("reports", name)
    from fairaudit.workflows.report import format_for

    return format_for(kind, name)


def show(result: Record, name: str, on_inconclusive: str = "error", **options: Any) -> None:
    """Render an audit, a comparison or an experiment and write it to stdout.

    Args:
        result: the record.
        name: a report format.
        on_inconclusive: what the gate makes of an inconclusive verdict, for formats that say how a check ended.
        options: what the user asked of the format; None leaves its default.
    """
    from fairaudit.workflows.report import rendered

    fitting = fitted(type(result), name) | {"on_inconclusive": on_inconclusive}
    write_out(rendered(result, name, **_known(type(result), name, fitting), **options))


def fitted(kind: type[Record], name: str) -> dict[str, Any]:
    """The options of a format that fit it to the terminal behind stdout.

    Args:
        kind: of the record.
        name: a report format.
    """
    return _known(kind, name, {"width": stdout_width(), "color": stdout_colour()})


def _known(kind: type[Record], name: str, options: dict[str, Any]) -> dict[str, Any]:
    from fairaudit.workflows.report import options_of

    known = options_of(kind, name)
    return {key: value for key, value in options.items() if key in known}
