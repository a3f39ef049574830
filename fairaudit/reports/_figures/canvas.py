"""Canvas: the look that all figures share, and how one becomes SVG, PNG and a part of a page.

Colours are the Okabe–Ito ones, which people with any colour vision tell apart, in an order of growing darkness so that they
are told apart in grey too; nothing is said by colour alone. Ink, lines and paper have colours of their own that a page
replaces by its own, so that a figure is light on a light page and dark on a dark one.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

from fairaudit.reports._wording import clean
from fairaudit.results import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Text stays text in a figure: a reader's own fonts have the letters that the one for measuring lacks.
warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)

INK, MUTED, RULE, PAPER, SHADE = "#1b1d21", "#5b616b", "#c9ced6", "#ffffff", "#f1f3f6"
"""Text; secondary text; lines; background; fields that stand out a little from it."""

PASS, FAIL, OPEN, PLAIN = "#0072b2", "#d55e00", "#8a8f98", "#4a5568"
"""Of a verdict: held, broken, cannot be decided; and of numbers that nobody ruled on."""

DARK, LIGHT = "#14161a", "#fdfdfd"
"""Text on a coloured cell, which is the same on every page."""

_ON_PAGE: Mapping[str, str] = {
    INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)", PAPER: "var(--paper)", SHADE: "var(--shade)",
    PASS: "var(--blue, #0072b2)", PLAIN: "var(--plain, #4a5568)",
}  # fmt: skip
_HEX = re.compile(r"#[0-9a-f]{6}\b")

SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b38600", "#3a94c9", "#5b616b")
"""Of groups and arms, in turn; lines differ by dashes and marks besides."""

DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)), (0, (3, 1)), (0, (1, 3)))
MARKS = ("o", "s", "^", "D", "v", "P", "X")

VERDICT_COLOURS: Mapping[Verdict, str] = {
    Verdict.PASS: PASS, Verdict.FAIL: FAIL, Verdict.INCONCLUSIVE: OPEN, Verdict.NONE: PLAIN,
}  # fmt: skip
VERDICT_MARKS: Mapping[Verdict, str] = {
    Verdict.PASS: "o", Verdict.FAIL: "X", Verdict.INCONCLUSIVE: "D", Verdict.NONE: "o",
}  # fmt: skip
"""Shapes that say in grey what the colours say."""

WIDTH = 7.2
"""Inches that a figure is wide on a page; smaller ones may be narrower."""

DOTS = 144
"""Per inch of a PNG."""

_STYLE: Any = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.facecolor": PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "figure.constrained_layout.use": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.5,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "text.hinting": "no_hinting",
    "hatch.linewidth": 0.6,
}


@contextmanager
def _style(salt: str = "") -> Iterator[None]:
    """The common style, without complaints of letters that its font lacks: pages and SVG files keep them as text."""
    import matplotlib as mpl

    settings: Any = {**_STYLE, "svg.hashsalt": salt or None}
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


@dataclass(frozen=True, eq=False)
class Picture:
    """A finished figure.

    Attributes:
        name: stem of its files, and unique on a page: lower-case letters, digits and hyphens.
        title: its heading.
        alt: what it shows, its finding first, in a sentence or two for those who cannot see it.
        caption: what a reader needs to read it; empty where the title says all.
    """

    name: str
    title: str
    alt: str
    caption: str
    _figure: Figure = field(repr=False)

    @cached_property
    def _svg(self) -> str:
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        stream = io.StringIO()
        with _style(self.name):
            # Not savefig, which draws everything twice.
            canvas = self._figure.canvas
            FigureCanvasSVG(self._figure).print_svg(  # type: ignore[no-untyped-call]
                stream, metadata={"Date": None, "Creator": None, "Title": self.title}
            )
            self._figure.set_canvas(canvas)
        return stream.getvalue()

    def svg(self) -> str:
        """A file that stands alone; the same figure gives the same text."""
        return self._svg

    def png(self) -> bytes:
        """The same in dots, ``DOTS`` per inch."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        stream = io.BytesIO()
        with _style():
            canvas = self._figure.canvas
            # The canvas that it was laid out on knows every text's size already.
            drawn = canvas if isinstance(canvas, FigureCanvasAgg) else FigureCanvasAgg(self._figure)
            drawn.print_png(  # type: ignore[no-untyped-call]
                stream, metadata={"Software": None}, pil_kwargs={"compress_level": 1}
            )
        return stream.getvalue()

    def inline(self) -> str:
        """An ``<svg>`` element for a page: in the page's colours, with the title and the finding for screen readers."""
        text = self.svg()
        body = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
        size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
        width, height = (float(size[1]), float(size[2])) if size else (WIDTH * 72, WIDTH * 54)
        # A style element of one figure would hold for the whole page; fonts are the page's.
        body = re.sub(r"<(metadata|style)\b.*?</\1>", "", body, flags=re.DOTALL)
        body = re.sub(r"^\s*<title>.*?</title>", "", body, count=1, flags=re.DOTALL)
        # Only within tags: a group may be called what an attribute or a colour is.
        body = re.sub(r"<[^>]*>", lambda tag: self._on_page(tag[0]), body)
        return (
            f'<svg viewBox="0 0 {width:g} {height:g}" width="{width / 0.72:.0f}" xmlns="http://www.w3.org/2000/svg" '
            f'xmlns:xlink="http://www.w3.org/1999/xlink" role="img" aria-labelledby="{self.name}-t {self.name}-d">'
            f'<title id="{self.name}-t">{escape(self.title)}</title><desc id="{self.name}-d">{escape(self.alt)}</desc>'
            f"{body.strip()}</svg>"
        )

    def _on_page(self, tag: str) -> str:
        """A tag in the page's fonts and colours, its ids apart from those of other figures."""
        tag = tag.replace("'DejaVu Sans', sans-serif", "inherit")
        tag = re.sub(r'\b(id="|xlink:href="#|url\(#)', rf"\g<1>{self.name}-", tag)
        return _HEX.sub(lambda colour: _ON_PAGE.get(colour[0], colour[0]), tag)


def ramp(share: float) -> str:
    """The colour of a cell: light for 0, dark for 1, in one hue; the same on every page, with DARK or LIGHT text on it."""
    light, dark = (0xE9, 0xF1, 0xF8), (0x0B, 0x3F, 0x72)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(light, dark, strict=True))


def ink_on(share: float) -> str:
    """The colour of text on a cell of that colour: the one of the two that stands out more."""
    return LIGHT if share > 0.63 else DARK


@contextmanager
def canvas(width: float = WIDTH, height: float = 3.0) -> Iterator[Figure]:
    """An empty figure in the common style; draw on it inside the block, then hand it to ``picture``.

    Args:
        width: in inches.
        height: in inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with _style():
        figure = Figure(figsize=(width, height), dpi=DOTS)
        FigureCanvasAgg(figure)
        yield figure
        # Laid out once: a second layout would start from the first and end elsewhere.
        if (layout := figure.get_layout_engine()) is not None:
            layout.execute(figure)
        figure.set_layout_engine("none")


def picture(figure: Figure, name: str, title: str, alt: str, caption: str = "") -> Picture:
    """A figure that ``canvas`` has laid out, as a ``Picture``; to be called after its block.

    Args:
        figure: what was drawn.
        name: made of any text; what file names and ids do not take is replaced.
        title: its heading.
        alt: what it shows.
        caption: how to read it.
    """
    stem = re.sub(r"[^a-z0-9]+", "-", name.casefold())[:80].strip("-") or "figure"
    return Picture(stem, clean(title), clean(alt), clean(caption) if caption else "", figure)
