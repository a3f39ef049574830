"""``fairaudit list``: what there is to choose from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from fairaudit.cli.streams import stdout_width, write_out
from fairaudit.errors import UnknownNameError, UsageError

WHAT = ("datasets", "losses", "metrics", "reports", "schema")
What = Annotated[str, typer.Argument(metavar="WHAT", help=" | ".join(WHAT))]
Name = Annotated[
    str | None, typer.Argument(metavar="NAME", help="One dataset, loss or report: everything that is said of it.")
]


def list_(what: What, name: Name = None) -> int:
    """List datasets, losses, metrics and reports, or print the JSON Schema of audit.json.

    fairaudit list datasets fairface
    """
    from fairaudit import plugins

    if what not in WHAT:
        raise UnknownNameError("list", what, WHAT)
    if name is not None and what in ("metrics", "schema"):
        raise UsageError(f"'fairaudit list {what}' prints everything that there is; leave {name!r} out")
    if what == "schema":
        import json

        from fairaudit.artifacts.schema import audit_schema

        write_out(json.dumps(audit_schema(), indent=2))
    elif what == "metrics":
        _two_columns(_metrics())
    elif name is not None:
        write_out(
            "\n".join([*_rewrapped(plugins.card(what, name)), *(_options(name) if what == "datasets" else ())]).strip()
        )
    else:
        _two_columns([(n, plugins.summary(what, n)) for n in plugins.names(what)])
    return 0


def _metrics() -> list[tuple[str, str]]:
    from fairaudit.metrics.registry import entries

    better = {1: "higher is better", -1: "lower is better", 0: "neither is better"}
    notes = {"scores": "; needs scores, or several targets", "disparity": "; a disparity: takes no kind in rules"}
    return [(e.name, f"{e.formula}; {better[int(e.direction)]}; {e.source}{notes.get(e.what, '')}") for e in entries()]


def _options(name: str) -> list[str]:
    """What ``--data-option`` understands for a dataset."""
    from fairaudit import plugins

    known = plugins.options("datasets", name)
    if not known:
        return []
    texts = [f"{key} ({p.default!r})" if p.default not in (None, "", ()) else key for key, p in known.items()]
    return ["Options (--data-option KEY=VALUE):", *_wrapped(", ".join(texts), "    ")]


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
