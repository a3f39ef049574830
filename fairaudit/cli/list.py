"""``fairaudit list``: what there is to choose from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from fairaudit.cli.streams import stdout_width, write_out
from fairaudit.errors import UnknownNameError, UsageError

WHAT = ("datasets", "losses", "metrics", "intervals", "reports", "schema")
What = Annotated[str, typer.Argument(metavar="WHAT", help=" | ".join(WHAT))]
Name = Annotated[
    str | None, typer.Argument(metavar="NAME", help="One dataset, loss or report: everything that is said of it.")
]


def list_(what: What, name: Name = None) -> int:
    """List datasets, losses, metrics, intervals and reports, or print the JSON Schema of audit.json.

    fairaudit list datasets fairface
    """
    from fairaudit import plugins

    if what not in WHAT:
        raise UnknownNameError("list", what, WHAT)
    if name is not None and what in ("metrics", "intervals", "schema"):
        raise UsageError(f"'fairaudit list {what}' prints everything that there is; leave {name!r} out")
    if what == "schema":
        import json

        from fairaudit.artifacts.schema import audit_schema

        write_out(json.dumps(audit_schema(), indent=2))
    elif what == "metrics":
        _two_columns(_metrics())
    elif what == "intervals":
        write_out("\n".join(_intervals(stdout_width())))
    elif name is not None:
        flag = {"datasets": "--data-option", "reports": "--option"}.get(what)
        told = _options(what, name, flag) if flag is not None else []
        write_out("\n".join([*_rewrapped(plugins.card(what, name)), *told]).strip())
    else:
        _two_columns([(n, plugins.summary(what, n)) for n in plugins.names(what)])
    return 0


def _metrics() -> list[tuple[str, str]]:
    from fairaudit.metrics.registry import entries

    better = {1: "higher is better", -1: "lower is better", 0: "neither is better"}
    notes = {"scores": "; needs scores, or several targets", "disparity": "; a disparity: takes no kind in rules"}
    return [(e.name, f"{e.formula}; {better[int(e.direction)]}; {e.source}{notes.get(e.what, '')}") for e in entries()]


_INTERVAL_COLUMNS = ("quantity", "method", "simulated on", "mean", "least")


def _intervals(width: int) -> Iterable[str]:
    """How often each kind of interval contained the truth, in columns that are wrapped to the terminal's width."""
    from fairaudit.metrics.coverage import COVERAGE

    share = (width - 2 * 4 - 11) // 3
    widths = (share, share, share, 5, 6)
    yield from _cells(_INTERVAL_COLUMNS, widths)
    before: tuple[str, str] | None = None
    for one in COVERAGE:
        same = before == (one.quantity, one.method)
        before = (one.quantity, one.method)
        yield ""
        yield from _cells(
            (*(("", "") if same else before), one.simulated, f"{100 * one.mean:.1f}", f"{100 * one.least:.1f}"), widths
        )
    yield ""
    yield from _wrapped(
        "Of 95 % intervals, the percentage that contained the truth: the mean over all cells of a simulation, and the "
        "worst cell. What compares groups is conservative by design. Rows must be independent: name repeated people with "
        "--identity.",
        "",
    )


def _cells(texts: Iterable[str], widths: Iterable[int]) -> Iterable[str]:
    """One row of a table, its cells wrapped."""
    import textwrap
    from itertools import zip_longest

    sizes = list(widths)
    columns = [textwrap.wrap(text, size) for text, size in zip(texts, sizes, strict=True)]
    for line in zip_longest(*columns, fillvalue=""):
        yield "  ".join(f"{part:<{size}}" for part, size in zip(line, sizes, strict=True)).rstrip()


def _options(what: str, name: str, flag: str) -> list[str]:
    """What a flag understands for a plug-in."""
    from fairaudit import plugins

    known = plugins.options(what, name)
    if not known:
        return []
    texts = [f"{key} ({p.default!r})" if p.default not in (None, "", ()) else key for key, p in known.items()]
    return [f"Options ({flag} KEY=VALUE):", *_wrapped(", ".join(texts), "    ")]


def _rewrapped(card: str) -> Iterable[str]:
    """A card at the terminal's width, paragraph by paragraph."""
    paragraph: list[str] = []
    indent = ""
    for line in [*card.replace("``", "`").splitlines(), ""]:
        here = line[: len(line) - len(line.lstrip())]
        if paragraph and (not line or here != indent):
            yield from _wrapped(" ".join(paragraph), indent)
            paragraph = []
        if line:
            paragraph.append(line.strip())
        else:
            yield ""
        indent = here


def _wrapped(text: str, indent: str) -> list[str]:
    import textwrap

    return textwrap.wrap(
        text,
        stdout_width(),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _two_columns(rows: list[tuple[str, str]]) -> None:
    import textwrap

    indent = max(len(name) for name, _ in rows) + 2
    lines = []
    for name, text in rows:
        wrapped = textwrap.wrap(text, max(20, stdout_width() - indent)) or [""]
        lines += [f"{name:<{indent}}{wrapped[0]}", *(" " * indent + line for line in wrapped[1:])]
    write_out("\n".join(lines))
