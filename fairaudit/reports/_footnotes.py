"""Cells of a table for a terminal, and what is too long for them, below it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from fairaudit.reports import _wording as words
from fairaudit.reports._rules import SEVERITY
from fairaudit.results import Estimate, Verdict

STYLES = {Verdict.FAIL: "bold red", Verdict.INCONCLUSIVE: "bold yellow", Verdict.PASS: "green", Verdict.NONE: ""}
SMALL = "†"
_SAYS = {Verdict.FAIL: "broken", Verdict.INCONCLUSIVE: "cannot be decided", Verdict.PASS: "held"}


class Footnotes:
    """Cells of one table, with what is too long for them written once below it."""

    room = 24

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self.reasons: list[str] = []
        self.small = False
        self.verdicts: set[Verdict] = set()
        self.said: list[str] = []

    def cell(
        self, value: Estimate | None, verdict: tuple[Verdict, str] | None = None, signed: bool = False, mark: str = ""
    ) -> Text:
        """An estimate with a mark of its own and that of the rule on it, if there is one."""
        if value is None:
            return Text("–")
        shown, style = words.estimate(value, signed) + mark, ""
        if math.isnan(value.value):
            style = "dim"
            if len(shown) > self.room:
                shown = f"undefined {self.number(shown)}"
        else:
            if value.support < self.floor:
                self.small = True
                shown += f" {SMALL}"
            if value.reason is not None and not value.reason.startswith(("too small", "infinite")):
                shown += f" {self.number(words.clean(value.reason))}"
        if verdict is not None:
            self.verdicts.add(verdict[0])
            shown, style = f"{shown} {words.SYMBOLS[verdict[0]]}", STYLES[verdict[0]]
        return Text(shown, style=style)

    def number(self, reason: str) -> str:
        """The number of a footnote."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        return f"({self.reasons.index(reason) + 1})"

    def lines(self) -> Iterable[RenderableType]:
        """What stands below the table."""
        lines = [f"({i}) {reason}" for i, reason in enumerate(self.reasons, start=1)]
        if self.small:
            lines.append(f"{SMALL} fewer than {self.floor} images behind the number: shown, not judged")
        told = [f"{words.SYMBOLS[v]} {_SAYS[v]}" for v in SEVERITY if v in self.verdicts]
        if told:
            lines.append("a rule on this number: " + ", ".join(told))
        lines += dict.fromkeys(self.said)
        return [Padding(Text(line, style="dim"), (0, 0, 0, 2)) for line in lines]
