"""``fairaudit list``: what there is to choose from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from fairaudit.cli.streams import stdout_width, write_out
from fairaudit.errors import UnknownNameError, UsageError

WHAT = ("datasets", "losses", "methods", "metrics", "intervals", "reports", "schema")
What = Annotated[str, typer.Argument(metavar="WHAT", help=" | ".join(WHAT))]
_FLAGS = {
    "datasets": "--data-option KEY=VALUE",
    "losses": "--loss NAME:KEY=VALUE,…",
    "methods": "--method NAME:KEY=VALUE,…",
    "reports": "--option KEY=VALUE",
}
SCHEMAS = ("audit", "comparison", "embedding", "mitigation")
Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="One dataset, loss, method or report: all of its card. Of schema: audit (default), comparison, embedding, "
        "mitigation.",
    ),
]


def list_(what: What, name: Name = None) -> int:
    """List datasets, losses, methods, metrics, intervals and reports, or print the JSON Schema of a record.

    fairaudit list datasets fairface
    """
    from fairaudit import plugins

    if what not in WHAT:
        raise UnknownNameError("list", what, WHAT)
    if name is not None and what in ("metrics", "intervals"):
        raise UsageError(f"'fairaudit list {what}' prints everything that there is; leave {name!r} out")
    if what == "schema":
        write_out(_schema(name or "audit"))
    elif what == "metrics":
        _two_columns(_metrics())
    elif what == "intervals":
        write_out("\n".join(_intervals(stdout_width())))
    elif name is not None:
        told = _options(what, name, _FLAGS[what]) if what in _FLAGS else []
        write_out("\n".join([*_rewrapped(plugins.card(what, name)), *told]).strip())
    else:
        _two_columns([(n, plugins.summary(what, n)) for n in plugins.names(what)])
    return 0


def _schema(name: str) -> str:
    import json

    if name not in SCHEMAS:
        raise UnknownNameError("schema", name, SCHEMAS)
    if name == "comparison":
        from fairaudit.artifacts.comparison_schema import comparison_schema

        return json.dumps(comparison_schema(), indent=2)
    if name == "embedding":
        from fairaudit.artifacts.embedding_schema import embedding_schema

        return json.dumps(embedding_schema(), indent=2)
    if name == "mitigation":
        from fairaudit.artifacts.mitigation_schema import mitigation_schema

        return json.dumps(mitigation_schema(), indent=2)
    from fairaudit.artifacts.schema import audit_schema

    return json.dumps(audit_schema(), indent=2)


def _metrics() -> list[tuple[str, str]]:
    from fairaudit.metrics.registry import entries

    better = {1: "higher is better", -1: "lower is better", 0: "neither is better"}
    notes = {"scores": "; needs scores, or several targets or labels", "disparity": "; a disparity: takes no kind in rules"}
    return [(e.name, f"{e.formula}; {better[int(e.direction)]}; {e.source}{notes.get(e.what, '')}") for e in entries()]


def _intervals(width: int) -> Iterable[str]:
    """How often each kind of interval contained the truth: its name, and a line of figures for each simulation."""
    from itertools import groupby

    from fairaudit.metrics.coverage import COVERAGE, EXACT, SEED

    yield from _figures("95 % intervals that contained the truth, %", ("cells", "trials", "mean", "worst"), width)
    for (quantity, method), lines in groupby(COVERAGE, lambda one: (one.quantity, one.method)):
        yield ""
        yield from _wrapped(f"{quantity}: {method}", "", width)
        for one in lines:
            trials = "exact" if one.trials == EXACT else f"{one.trials:,}"
            shares = f"{100 * one.mean:.1f}", f"{100 * one.least:.1f}"
            yield from _figures("  " + one.simulated, (f"{one.cells}", trials, *shares), width)
    yield ""
    sampled = sorted((one for one in COVERAGE if one.trials != EXACT), key=lambda one: one.trials)
    noise = " and ".join(f"{100 * one.noise:.1f} points at {one.trials:,} trials" for one in (sampled[0], sampled[-1]))
    yield from _wrapped(
        "A cell is one combination of true rates and supports of 2, 7 or 14 groups; worst is the cell that was covered "
        f"least. Standard error of a cell: {noise}; seed {SEED}. What compares groups is conservative by design. Rows must "
        "be independent: name repeated people with --identity.",
        "",
        width,
    )


def _figures(text: str, figures: tuple[str, str, str, str], width: int) -> Iterable[str]:
    """Text, wrapped, with figures at the right end of its first line."""
    import textwrap

    right = "".join(f"{figure:>{size}}" for figure, size in zip(figures, (6, 8, 7, 7), strict=True))
    indent = text[: len(text) - len(text.lstrip())]
    first, *rest = textwrap.wrap(text.strip(), width - len(right) - len(indent), break_on_hyphens=False)
    yield f"{indent + first:<{width - len(right)}}{right}"
    yield from (indent + line for line in rest)


def _options(what: str, name: str, flag: str) -> list[str]:
    """What a flag understands for a plug-in."""
    from fairaudit import plugins

    known = plugins.options(what, name)
    if not known:
        return []
    texts = [f"{key} ({p.default!r})" if p.default not in (None, "", ()) else key for key, p in known.items()]
    return [f"Options ({flag}):", *_wrapped(", ".join(texts), "    ")]


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


def _wrapped(text: str, indent: str, width: int | None = None) -> list[str]:
    import textwrap

    return textwrap.wrap(
        text,
        width or stdout_width(),
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
