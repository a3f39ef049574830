"""Association: which columns of a dataset go together, as a ranking for the target and as a map of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import INK, MUTED, PASS, PLAIN, Picture, canvas, picture
from fairaudit.reports._profile import level_name, strongest
from fairaudit.results.profile import Profile

if TYPE_CHECKING:
    from matplotlib.patches import Rectangle

_MOST_COLUMNS = 14
_MOST_ROWS = 5
_STRONGEST_INK = 0.75  # the darkest field still lets a number be read on it


def ranking(profile: Profile) -> Picture | None:
    """Cramér's V of the target with the columns that go with it most; None where nothing does."""
    shown, _ = strongest(profile)
    if profile.target is None or not shown:
        return None
    asked = {name for grouping in profile.groupings for name in grouping.by}
    with canvas(height=0.8 + 0.27 * len(shown)) as figure:
        axes = figure.add_subplot()
        places = range(len(shown))
        colours = [PASS if one.columns[1] in asked else PLAIN for one in shown]
        axes.barh(places, [one.v for one in shown], color=colours, height=0.7)
        for place, one in zip(places, shown, strict=True):
            said = f"{one.v:.2f}"
            if one.cell is not None and one.v:
                target, its = words.clean(level_name(profile.target, one.cell[0])), words.clean(one.cell[1])
                said += f"  {its} with {target}, {one.times:.1f} × expected"
            axes.annotate(said, (one.v, place), (4, 0), textcoords="offset points", va="center", color=MUTED, fontsize=8)
        axes.set_yticks(list(places), [words.clean(one.columns[1]) for one in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        # the text beside the longest bar needs room, and an axis to 1 would hide what matters below 0.3
        axes.set_xlim(0, max(max(one.v for one in shown) * 1.9, 0.2))
        axes.set_xlabel("Cramér's V")
        axes.grid(axis="x")
        axes.tick_params(length=0)
    target = words.clean(profile.target)
    first = shown[0]
    alt = f"{words.clean(first.columns[1])} goes with {target} most, Cramér's V {first.v:.2f}."
    caption = "Blue: attributes of a grouping. Beside each bar, the levels that meet most beyond expectation."
    return picture(figure, "ranking", f"What goes with {target}", alt, caption)


def heat_map(profile: Profile) -> Picture | None:
    """Cramér's V of pairs of columns; of many, those of the target and of the groupings with what they go with most."""
    v = {frozenset(one.columns): one.v for one in profile.associations if one.v == one.v}
    asked = [name for grouping in profile.groupings for name in grouping.by]
    found = [name for one in profile.associations for name in one.columns]
    names = list(dict.fromkeys([name for name in [profile.target, *asked] if name in found] + found))
    if len(names) < 3 or not v:
        return None
    rows, columns = _axes(profile, names, v)
    with canvas(height=1.4 + 0.36 * len(rows)) as figure:
        axes = figure.add_subplot()
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                value = v.get(frozenset((row, column)))
                if row == column or value is None:
                    axes.text(j, i, "·" if row == column else "–", ha="center", va="center", color=MUTED)
                    continue
                # transparent, so that weak fields are as light or dark as the page
                axes.add_patch(_field(j, i, value))
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", color=INK, fontsize=7.5)
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xticks(range(len(columns)), [words.clean(name) for name in columns], rotation=45, ha="right")
        axes.set_yticks(range(len(rows)), [words.clean(name) for name in rows])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    pair = max(v, key=lambda one: v[one])
    alt = f"{' and '.join(sorted(words.clean(name) for name in pair))} go together most, Cramér's V {v[pair]:.2f}."
    return picture(
        figure, "association", "Which columns go together", alt, "Cramér's V: 0 independent, 1 one decides the other."
    )


def _axes(profile: Profile, names: Sequence[str], v: dict[frozenset[str], float]) -> tuple[list[str], list[str]]:
    if len(names) <= _MOST_COLUMNS:
        return list(names), list(names)
    asked = [name for grouping in profile.groupings for name in grouping.by]
    rows = list(dict.fromkeys([*([profile.target] if profile.target else []), *asked]))[:_MOST_ROWS] or list(
        names[:_MOST_ROWS]
    )
    strength = {
        name: max((v.get(frozenset((row, name)), 0.0) for row in rows if row != name), default=0.0) for name in names
    }
    return rows, sorted(names, key=lambda name: -strength[name])[:_MOST_COLUMNS]


def _field(x: float, y: float, value: float) -> Rectangle:
    from matplotlib.patches import Rectangle as Patch

    return Patch((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=PASS, alpha=_STRONGEST_INK * value, linewidth=0)
