"""Showing an audit: the report format asked for, on stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairaudit.cli.streams import stdout_colour, stdout_width, write_out

if TYPE_CHECKING:
    from fairaudit.results import AuditResult


def check_format(name: str) -> str:
    """The one spelling of a report format, before any work is done.

    Raises:
        UnknownNameError: there is no such format.
    """
    from fairaudit import plugins

    return plugins.canonical("reports", name)


def show(result: AuditResult, name: str, on_inconclusive: str = "error") -> None:
    """Render an audit and write it to stdout.

    Args:
        result: the audit.
        name: a report format.
        on_inconclusive: what the gate makes of an inconclusive verdict, for formats that say how a check ended.
    """
    from fairaudit import plugins

    fitting = {"width": stdout_width(), "color": stdout_colour(), "on_inconclusive": on_inconclusive}
    known = plugins.options("reports", name)
    write_out(plugins.load("reports", name).render(result, **{k: v for k, v in fitting.items() if k in known}))
