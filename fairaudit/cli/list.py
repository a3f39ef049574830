"""``fairaudit list``: what there is to choose from."""

from __future__ import annotations

from typing import Annotated

import typer

from fairaudit import plugins
from fairaudit.cli.streams import stdout_width, write_out
from fairaudit.errors import UnknownNameError

WHAT = ("datasets", "losses", "metrics", "reports", "schema")
What = Annotated[str, typer.Argument(metavar="WHAT", help=" | ".join(WHAT))]
Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Of one dataset or loss: its whole card.")]


def list_(what: What, name: Name = None) -> int:
    """List datasets, losses, metrics and reports, or print the JSON Schema of audit.json.

    fairaudit list datasets fairface
    """
    if what not in WHAT:
        raise UnknownNameError("list", what, WHAT)
    if what == "schema":
        import json

        from fairaudit.artifacts.schema import audit_schema

        write_out(json.dumps(audit_schema(), indent=2))
    elif what == "metrics":
        _metrics()
    elif name is not None:
        write_out(plugins.card(what, name))
    else:
        found = plugins.names(what)
        _two_columns([(n, plugins.summary(what, n)) for n in found])
    return 0


def _metrics() -> None:
    from fairaudit.metrics.disparity import NAMED
    from fairaudit.metrics.rates import BALANCED_ACCURACY, RATES

    better = {1: "higher is better", -1: "lower is better", 0: "neither is better"}
    rows = [(r.name, f"{r.formula}; {better[int(r.direction)]}") for r in RATES.values()]
    rows.insert(2, (BALANCED_ACCURACY, "mean true positive rate over classes; higher is better"))
    rows += [(name, f"{named.formula}; a disparity: takes no kind in rules") for name, named in NAMED.items()]
    _two_columns(rows)


def _two_columns(rows: list[tuple[str, str]]) -> None:
    import textwrap

    if not rows:
        return
    indent = max(len(name) for name, _ in rows) + 2
    lines = []
    for name, text in rows:
        wrapped = textwrap.wrap(text, max(20, stdout_width() - indent)) or [""]
        lines += [f"{name:<{indent}}{wrapped[0]}", *(" " * indent + line for line in wrapped[1:])]
    write_out("\n".join(lines))
