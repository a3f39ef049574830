"""Page: what every HTML report is made of, and the one document around it: self-contained, readable without script.

A report says what it shows in parts (figures, tables, sentences); the templates decide how parts look. Texts are plain:
names from a dataset are stripped of controls here and escaped by the templates, so that no part can bring markup along.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import Picture
from fairaudit.results import Verdict

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True)
class Mark:
    """A sign beside a text, told apart without colour.

    Attributes:
        symbol: one character.
        word: what it means; read out, and shown where ``spelled`` says so.
        tone: ``pass``, ``fail``, ``open`` or ``plain``: its colour.
        spelled: whether the word is shown beside the symbol.
    """

    symbol: str
    word: str
    tone: str = "plain"
    spelled: bool = False


_TONES: Mapping[Verdict, str] = {
    Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.INCONCLUSIVE: "open", Verdict.NONE: "plain",
}  # fmt: skip
_SAYS: Mapping[Verdict, str] = {
    Verdict.PASS: "held", Verdict.FAIL: "broken", Verdict.INCONCLUSIVE: "cannot be decided", Verdict.NONE: "not judged",
}  # fmt: skip


def mark(verdict: Verdict, spelled: bool = False) -> Mark:
    """The sign of a verdict: of a rule where ``spelled`` (``✗ fail``), of a number under a rule otherwise (``✗``)."""
    word = verdict.value if spelled else _SAYS[verdict]
    return Mark(words.SYMBOLS[verdict], word, _TONES[verdict], spelled)


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what it says; a newline breaks the line.
        mark: a sign after the text.
        value: what the column is sorted by; the text where None. A nan comes last either way.
        dim: whether it is secondary, as a number that is undefined.
        strong: whether it is what to look at.
    """

    text: str
    mark: Mark | None = None
    value: float | None = None
    dim: bool = False
    strong: bool = False

    @property
    def key(self) -> str:
        """The sort key as an attribute; empty where there is none."""
        if self.value is None:
            return ""
        # As many digits as records keep, so that a page of a stored run is the same as that of a new one.
        return "nan" if math.isnan(self.value) else f"{float(self.value):.10g}"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its heading.
        number: whether it is of numbers, which stand at the right in figures of one width.
        wide: whether it is of sentences, which a narrow screen must not press into a word a line.
    """

    name: str
    number: bool = False
    wide: bool = False


@dataclass(frozen=True)
class Table:
    """A table that a reader may sort.

    Attributes:
        caption: what it shows.
        columns: headings, or ``Column`` for those of numbers.
        rows: cells, or plain texts.
        notes: sentences below it.
        last_apart: whether the last row sums the others up; it stays last.
        leads: how many first columns say what a row is.
        sortable: whether a reader may sort it.
    """

    caption: str
    columns: Sequence[Column | str]
    rows: Sequence[Sequence[Cell | str]]
    notes: Sequence[str] = ()
    last_apart: bool = False
    leads: int = 1
    sortable: bool = True


@dataclass(frozen=True)
class Prose:
    """Paragraphs of plain text."""

    paragraphs: Sequence[str]


@dataclass(frozen=True)
class Points:
    """A list of plain sentences; ``title`` stands above it where given."""

    items: Sequence[str]
    title: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and what they stand for, side by side: (name, text)."""

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Finding:
    """The one sentence that a page is about.

    Attributes:
        mark: its sign.
        sentence: the finding.
        points: what stands below it: (sign or None, sentence).
    """

    mark: Mark
    sentence: str
    points: Sequence[tuple[Mark | None, str]] = ()


@dataclass(frozen=True)
class Face:
    """An image of a gallery.

    Attributes:
        source: a ``data:image/…`` URI.
        caption: which row it is and what was predicted.
        alt: what a reader who cannot see it must know; the caption where empty.
    """

    source: str
    caption: str
    alt: str = ""


@dataclass(frozen=True)
class Gallery:
    """Images side by side, and what they were chosen by."""

    caption: str
    faces: Sequence[Face]


@dataclass(frozen=True)
class Folded:
    """Parts behind a line that opens them; printed open."""

    summary: str
    parts: Sequence[Part]
    open: bool = False


@dataclass(frozen=True)
class Section:
    """A section, or one within another.

    Attributes:
        id: its anchor; letters, digits and hyphens, unique on the page.
        heading: plain text.
        parts: what it holds, sections of the next level among them.
        listed: whether the navigation lists it; only sections of the page itself are.
        short: how the navigation calls it; the heading where empty.
    """

    id: str
    heading: str
    parts: Sequence[Part]
    listed: bool = True
    short: str = ""


Part = Picture | Table | Prose | Points | Facts | Finding | Gallery | Folded | Section


def page(title: str, lead: Sequence[Part], sections: Sequence[Section], *, kind: str = "audit", subtitle: str = "") -> str:
    """A whole HTML document.

    Args:
        title: its heading, and the window's title.
        lead: what the first screen shows, before every section.
        sections: in order; those without parts are left out.
        kind: what kind of report it is, for the line above the title.
        subtitle: a line below the title.
    """
    shown = [section for section in sections if section.parts]
    template = _environment().get_template("page.html.j2")
    text: str = template.render(title=title, lead=lead, sections=shown, kind=kind, subtitle=subtitle, script_hash=_hash())
    return text.rstrip() + "\n"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("fairaudit.reports", "_templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_plain,
    )
    made.filters["form"] = _form
    made.filters["cell"] = lambda one: one if isinstance(one, Cell) else Cell(one)
    made.filters["column"] = lambda one: one if isinstance(one, Column) else Column(one)
    made.filters["lines"] = lambda text: text.split("\n")
    made.globals["inline"] = _inline
    return made


def _form(part: Part) -> str:
    """Which template draws a part."""
    return type(part).__name__.casefold()


def _plain(value: Any) -> Any:
    """Text without what could rearrange a page; markup that the templates made is left alone."""
    if isinstance(value, str) and not hasattr(value, "__html__") and value.strip():
        cleaned = words.clean(value)
        # Words on both sides of a tag are kept apart by the spaces around it.
        return (" " if value[0] == " " else "") + cleaned + (" " if value[-1] == " " else "")
    return value


def _inline(figure: Picture) -> Any:
    from markupsafe import Markup

    return Markup(figure.inline())


@cache
def _hash() -> str:
    """Of the page's own script, the only one that its content security policy lets run."""
    source = _environment().get_template("page.js").render()
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def anchor(*texts: str) -> str:
    """An id made of any text; letters that ids of a page do not take become hyphens.

    Args:
        texts: joined; the same texts give the same id, and names that differ only in such letters share one.
    """
    return re.sub(r"[^a-z0-9]+", "-", " ".join(texts).casefold()).strip("-") or "part"
