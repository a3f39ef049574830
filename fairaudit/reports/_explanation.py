"""Explanations in words and in tables: what speaks for a decision, how far to believe it, whose errors vanish."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from fairaudit.reports import _wording as words
from fairaudit.reports._layout import TextColumn, printed, tables
from fairaudit.results.explanation import (
    AttentionContrast,
    ExplanationResult,
    Faithful,
    Probe,
    ProbeChange,
    Region,
    RowExplanation,
    Share,
)

NAMES = {
    "lime": "LIME", "integrated-gradients": "Integrated Gradients", "grad-cam": "Grad-CAM", "occlusion": "occlusion",
}  # fmt: skip
FAITH = (
    "gain: area under the insertion curve − under the deletion curve, 0 on average for a random order of the regions; "
    "p: how often random orders do as well"
)
EVEN = "times even: share of the attention in the attribute's region ÷ the region's share of the image; 1 is no preference"
CONTROL = "control: as many pixels taken away where the attribute shows least"
_FEW = 3
"""Doubted explanations that are listed one by one."""
_KINDS = (
    (r" \([^)]*\)$", ""),
    (r"explains \d+% of", "explains less than half of"),
    (r"miss \d+% of", "miss a tenth or more of"),
)
"""Doubts without what differs within a kind: the table has these numbers for each image."""
_TRENDS = {"better": " ✓", "worse": " ✗"}
_PLACES = (("upper left", "top", "upper right"), ("left", "centre", "right"), ("lower left", "bottom", "lower right"))


def title(result: ExplanationResult) -> str:
    """What was explained, in a line."""
    s = result.settings
    return f"Explanations of {words.clean(s['target'])}: {NAMES[s['method']]}, evidence for {words.clean(s['explained'])}"


def called(row: RowExplanation) -> str:
    """What was decided, and what the label says where that differs."""
    decided = words.clean(row.predicted)
    if row.label is None:
        return f"? {decided}"
    return f"✓ {decided}" if row.right else f"✗ {decided}, is {words.clean(row.label)}"


def places(regions: Sequence[Region], most: int = 3) -> str:
    """Where regions are, in words: ``top, upper left``; a dash for none."""
    named = dict.fromkeys(_PLACES[min(2, int(3 * r.centre[0]))][min(2, int(3 * r.centre[1]))] for r in regions)
    return ", ".join(list(named)[:most]) or "–"


def p_text(p: float) -> str:
    """A p-value, short."""
    return "–" if math.isnan(p) else f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def gain(faithful: Faithful) -> str:
    """What the order of regions gains, with its p."""
    p = "" if math.isnan(faithful.p) else f" (p {p_text(faithful.p)})"
    return f"{words.number(faithful.gain, signed=True)}{p}"


def own_check(faithful: Faithful) -> str:
    """The explainer's own number: LIME's R² and agreement of seeds, or what gradients miss; a dash where there is none."""
    said = []
    if faithful.local_r2 is not None:
        said.append(f"R² {faithful.local_r2:.2f}")
    if faithful.stability is not None:
        said.append(f"seeds {faithful.stability:.2f}")
    if faithful.incompleteness is not None:
        said.append(f"misses {faithful.incompleteness:.1%}")
    return ", ".join(said) or "–"


def doubt_lines(rows: Sequence[RowExplanation]) -> list[str]:
    """Why explanations are doubted: image by image where they are few, else how many for each reason."""
    doubted = [row for row in rows if row.faithful.doubts]
    if len(doubted) <= _FEW:
        return [f"? doubted: {words.clean(row.row)}: {'; '.join(map(words.clean, row.faithful.doubts))}" for row in doubted]
    kinds = Counter(_kind(words.clean(doubt)) for row in doubted for doubt in row.faithful.doubts)
    return [f"? doubted, {n} of {len(rows)}: {kind}" for kind, n in kinds.items()]


def _kind(doubt: str) -> str:
    for pattern, instead in _KINDS:
        doubt = re.sub(pattern, instead, doubt)
    return doubt


def share_text(share: Share) -> str:
    """Attention in a region, against an even map: ``× 1.84 (0.55)``."""
    return "–" if math.isnan(share.mass) else f"× {share.times_even:.2f} ({share.mass:.2f})"


def difference_text(share: Share) -> str:
    """How a group's share differs from the reference group's."""
    if math.isnan(share.difference):
        return "–"
    return f"{words.number(share.difference, signed=True)} (p {p_text(share.p)})"


def change_text(change: ProbeChange) -> str:
    """A change of accuracy, its interval and whether it is shown."""
    if math.isnan(change.change):
        return "–"
    limits = words.interval(change.ci_low, change.ci_high, signed=True)
    return f"{words.number(change.change, signed=True)} {limits}".strip() + _TRENDS.get(change.trend, "")


def probe_sentence(probe: Probe) -> str:
    """Whose errors vanish without the region, and whether its control does the same."""
    name = words.clean(probe.name)
    gone = [c for c in probe.changes if c.group is not None and c.trend == "better"]
    lost = [c for c in probe.changes if c.group is not None and c.trend == "worse"]
    also = {tuple(sorted((c.group or {}).items())): c.trend for c in probe.control if c.group is not None}

    def told(found: Sequence[ProbeChange], trend: str) -> str:
        return ", ".join(
            words.group_name(c.group)
            + (" (so does the control)" if also.get(tuple(sorted((c.group or {}).items()))) == trend else "")
            for c in found
        )

    if not gone and not lost:
        return f"Without {name} ({probe.area:.0%} of the image): no group's accuracy is shown to change"
    parts = [f"errors vanish for {told(gone, 'better')}"] if gone else []
    parts += [f"errors appear for {told(lost, 'worse')}"] if lost else []
    return f"Without {name} ({probe.area:.0%} of the image): {'; '.join(parts)}"


def contrast_sentence(contrast: AttentionContrast) -> str:
    """Whether the network looks elsewhere in a group than in the reference group."""
    group, other = words.group_name(contrast.group), words.group_name(contrast.reference)
    cells = sum(map(len, contrast.difference))
    if not contrast.different:
        return f"{group}: not shown to be looked at elsewhere than {other}"
    return f"{group}: looked at elsewhere than {other}, in {contrast.different} of {cells} cells of the face"


def control_of(probe: Probe, change: ProbeChange) -> ProbeChange | None:
    """The control's change of the same group."""
    return next((one for one in probe.control if one.group == change.group), None)


def render_explanation(result: ExplanationResult, *, width: int = 80, color: bool = False) -> str:
    """Write what was found for a terminal.

    Args:
        result: the record.
        width: columns of the terminal; tables are split, never cut.
        color: whether headings are bold.
    """
    return printed(_parts(result, max(40, width)), width, color)


def _parts(result: ExplanationResult, width: int) -> Iterable[RenderableType]:
    yield Text(title(result), style="bold")
    yield from _rows(result, width)
    yield from _groups(result, width)
    for probe in result.probes:
        yield from _probe(probe, width)
    yield Text()
    for note in result.notes:
        yield Padding(Text(f"· {words.clean(note)}"), (0, 0, 0, 2))


def _rows(result: ExplanationResult, width: int) -> Iterable[RenderableType]:
    if not result.rows:
        return
    rows = result.rows
    several = len({row.explained for row in rows}) > 1 and len({row.row for row in rows}) < len(rows)
    columns = [TextColumn("called", [Text(called(row)) for row in rows])]
    if several:
        columns.append(TextColumn("evidence for", [Text(words.clean(row.explained)) for row in rows]))
    columns += [
        TextColumn("score", [Text(f"{row.score:.2f}") for row in rows], right=True),
        TextColumn("for", [Text(places(row.for_, 2)) for row in rows]),
        TextColumn("against", [Text(places(row.against, 2)) for row in rows]),
        TextColumn("gain", [Text(gain(row.faithful)) for row in rows]),
        TextColumn("itself", [Text(own_check(row.faithful) + " ?" * bool(row.faithful.doubts)) for row in rows]),
    ]
    for i, one in enumerate(rows[0].overlaps):
        texts = [Text("–" if math.isnan(o.mass) else f"× {o.times_even:.2f}") for o in (row.overlaps[i] for row in rows)]
        columns.append(TextColumn(f"{words.clean(one.name)}\ntimes even", texts, right=True))
    yield Text()
    yield from tables([TextColumn("image", [Text(words.clean(row.row)) for row in rows])], columns, width)
    yield Text()
    for line in doubt_lines(rows):
        yield Padding(Text(line), (0, 0, 0, 2))
    yield Padding(Text(FAITH, style="dim"), (0, 0, 0, 2))
    if rows[0].overlaps:
        yield Padding(Text(EVEN, style="dim"), (0, 0, 0, 2))


def _groups(result: ExplanationResult, width: int) -> Iterable[RenderableType]:
    if not result.groups:
        return
    groups = result.groups
    yield Text()
    yield Text(f"By {words.grouping_name(tuple(result.settings['by']))}: mean attention of each group", style="bold")
    columns = [
        TextColumn("images", [Text(f"{g.n:,}") for g in groups], right=True),
        TextColumn("doubted", [Text(f"{g.doubted:,}") for g in groups], right=True),
    ]
    for i, one in enumerate(groups[0].shares):
        name = words.clean(one.name)
        columns.append(TextColumn(f"in {name}\n× even (share)", [Text(share_text(g.shares[i])) for g in groups]))
        columns.append(TextColumn(f"{name},\nfrom reference", [Text(difference_text(g.shares[i])) for g in groups]))
    differs = {tuple(c.group.items()): f"{c.different} of {sum(map(len, c.difference))}" for c in result.contrasts}
    if differs:
        texts = [Text(differs.get(tuple(g.group.items()), "reference")) for g in groups]
        columns.append(TextColumn("cells that\ndiffer", texts))
    yield Text()
    yield from tables([TextColumn("group", [Text(words.group_name(g.group)) for g in groups])], columns, width)


def _probe(probe: Probe, width: int) -> Iterable[RenderableType]:
    yield Text()
    yield Text(probe_sentence(probe), style="bold")
    yield Text()
    changes = probe.changes
    controls = [control_of(probe, c) for c in changes]
    leads = [
        TextColumn("accuracy", [Text("all images" if c.group is None else words.group_name(c.group)) for c in changes])
    ]
    columns = [
        TextColumn("before", [Text(words.number(c.before)) for c in changes], right=True),
        TextColumn("without", [Text(words.number(c.after)) for c in changes], right=True),
        TextColumn("change", [Text(change_text(c)) for c in changes]),
        TextColumn("p", [Text(p_text(c.p)) for c in changes], right=True),
        TextColumn("control", [Text("–" if c is None else change_text(c)) for c in controls]),
    ]
    yield from tables(leads, columns, width, last_apart=True)
    yield Padding(Text(CONTROL, style="dim"), (0, 0, 0, 2))
