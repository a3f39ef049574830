"""How the profile of a dataset is said in words and tables, the same in a terminal, in Markdown and on a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from fairaudit.reports import _wording as words
from fairaudit.reports._sheets import Sheet, in_markdown, in_terminal
from fairaudit.results import Estimate, group_label
from fairaudit.results.profile import Association, GroupingProfile, GroupProfile, PictureSummary, Profile

STRONGEST = 10
"""How many pairs of columns are listed with the target, and how many without it."""
SCALE = (
    "V: Cramér's, corrected for bias; 0 independent, 1 one decides the other. The levels are those that meet most often "
    "beyond what independent columns would show, '× expected' how many times as often"
)
_CLASSES = 2
_BARE_LEVELS = frozenset({"yes", "no", "true", "false", "0", "1"})


def terminal(profile: Profile, width: int = 80, color: bool = False) -> str:
    """For a terminal.

    Args:
        profile: what the dataset holds.
        width: columns of the terminal.
        color: whether headings are bold.
    """
    return in_terminal(title(profile), facts(profile), sheets(profile, most_classes=_CLASSES), width, color)


def markdown(profile: Profile) -> str:
    """As GitHub-flavoured Markdown, notes of the source included."""
    notes = [Sheet("Notes", (), (), notes=profile.notes)] if profile.notes else []
    return in_markdown(title(profile), facts(profile), [*sheets(profile), *notes])


def title(profile: Profile) -> str:
    """``Profile of utkface: 6,000 images``."""
    part = "" if profile.split == "all" else f", split {profile.split}"
    return f"Profile of {profile.dataset}: {words.count(profile.overall.n, 'image')}{part}"


def facts(profile: Profile) -> list[str]:
    """Sentences on the whole dataset."""
    told = []
    if profile.identities is not None:
        told.append(f"{words.count(profile.identities, 'person', 'people')}; intervals take images as independent")
    if profile.card_note:
        told.append(f"the labels: {profile.card_note.rstrip('.')}")
    elif profile.self_identified:
        told.append("the labels are how people identify themselves")
    if profile.missing:
        told.append("without a label: " + ", ".join(f"{name} {n:,}" for name, n in profile.missing.items()))
    return told


def sheets(profile: Profile, most_classes: int | None = None) -> list[Sheet]:
    """Every table.

    Args:
        profile: what the dataset holds.
        most_classes: how many classes of the target are shown, where there are more than two; None for all.
    """
    made = [counts(profile, grouping, most_classes) for grouping in profile.groupings]
    if not made:
        made = [overall(profile, most_classes)]
    if len(profile.splits) > 1:
        rows = [(name, f"{n:,}", percent(n / profile.overall.n)) for name, n in profile.splits.items()]
        made.insert(0, Sheet("By split", ("split", "images", "share"), rows, (1, 2)))
    if profile.pictures is not None:
        made += [pictures(profile, grouping) for grouping in profile.groupings]
    return _said_once(made + associations(profile))


def _said_once(made: list[Sheet]) -> list[Sheet]:
    """A note stands below the first table that needs it."""
    said: set[str] = set()
    kept = []
    for sheet in made:
        kept.append(replace(sheet, notes=tuple(note for note in sheet.notes if note not in said)))
        said |= set(sheet.notes)
    return kept


def overall(profile: Profile, most_classes: int | None = None) -> Sheet:
    """All images, for a profile without groupings; ``most_classes`` as in ``sheets``."""
    counted = _counted(profile, [("all images", profile.overall)], most_classes, True)
    return Sheet("All images", *counted, _counts_notes(profile, most_classes, True))


def counts(profile: Profile, grouping: GroupingProfile, most_classes: int | None = None) -> Sheet:
    """Images, ages and the target's balance of every group.

    Args:
        profile: what the dataset holds.
        grouping: one of its groupings.
        most_classes: as in ``sheets``.
    """
    rows = [(group_name(group), group) for group in grouping.groups]
    inside = profile.target in grouping.by  # within one class of the target its share says nothing
    columns, cells, right = _counted(profile, [*rows, ("all images", profile.overall)], most_classes, not inside)
    if grouping.missing:
        unknown = ["(not known)", f"{grouping.missing:,}", percent(grouping.missing / profile.overall.n)]
        cells.insert(-1, unknown + [""] * (len(columns) - 3))
    notes = _counts_notes(profile, most_classes, not inside)
    return Sheet(f"By {words.grouping_name(grouping.by)}", columns, cells, right, notes, last_apart=True)


def _counts_notes(profile: Profile, most: int | None, balance: bool) -> list[str]:
    told = ["age: median (quartiles) in years"] if profile.overall.age is not None else []
    if profile.target and balance:
        classes, shown = len(profile.overall.target), len(classes_shown(profile, most))
        some = f", the first {shown} of {classes} classes (--format json has all)" if 1 < shown < classes else ""
        told.append(f"{profile.target}: share [{100 * profile.confidence:g} % interval]{some}")
    return told


def pictures(profile: Profile, grouping: GroupingProfile) -> Sheet:
    """Sizes and brightness of every group's pictures.

    Args:
        profile: what the dataset holds; it has looked at pictures.
        grouping: one of its groupings.
    """
    named = [*((group_name(group), group.pictures) for group in grouping.groups), ("all images", profile.overall.pictures)]
    rows = [[name, f"{one.n:,}", size(one), bright(one)] for name, one in named if one is not None]
    columns = ("group", "looked at", "width × height", "brightness")
    return Sheet(
        f"Pictures by {words.grouping_name(grouping.by)}",
        columns,
        rows,
        (1, 3),
        (_pictures_note(profile),),
        last_apart=True,
    )


def _pictures_note(profile: Profile) -> str:
    sample = profile.pictures
    assert sample is not None
    drawn = f"from {words.count(sample.read, 'picture')} drawn at random"
    drawn += f", as many of each {words.grouping_name(sample.by)} where there are enough" if sample.by else ""
    return (
        f"{drawn if sample.drawn < profile.overall.n else 'from every picture'}; width × height in pixels is the median "
        "(smallest to largest), brightness the mean ± SD over pictures, from 0 black to 255 white"
    )


def associations(profile: Profile) -> list[Sheet]:
    """The strongest pairs of columns: those with the target, then the others."""
    made = []
    mine, others = strongest(profile)
    if mine:
        heading = f"What goes with {profile.target}, and could stand in for it (a shortcut)"
        columns = ("column", "V", "its level", f"{profile.target}", "images", "× expected")
        rows = []
        for one in mine:
            target, its = _cell(one)
            rows.append([one.columns[1], f"{one.v:.2f}", its, target, *_together(one)])
        made.append(Sheet(heading, columns, rows, (1, 4, 5), (SCALE,)))
    if others:
        n = sum(profile.target not in one.columns for one in profile.associations)
        more = f", the strongest {len(others)} of {n:,}" if n > len(others) else ""
        heading = f"{'Other p' if mine else 'P'}airs of columns{more}"
        rows = [
            [" × ".join(one.columns), f"{one.v:.2f}", " + ".join(_cell(one)) if one.v else "–", *_together(one)]
            for one in others
        ]
        made.append(
            Sheet(heading, ("pair", "V", "levels", "images", "× expected"), rows, (1, 3, 4), () if mine else (SCALE,))
        )
    return made


def strongest(profile: Profile) -> tuple[list[Association], list[Association]]:
    """The pairs that are listed: with the target, those with an attribute of a grouping always; and the others."""
    known = [one for one in profile.associations if not math.isnan(one.v)]
    mine = [one for one in known if profile.target in one.columns]
    asked = {name for grouping in profile.groupings for name in grouping.by}
    shown = [one for i, one in enumerate(mine) if i < STRONGEST or (profile.groupings and asked & {*one.columns[1:]})]
    return shown, [one for one in known if profile.target not in one.columns][:STRONGEST]


def group_name(group: GroupProfile) -> str:
    """A group for people; a bare yes or no carries its attribute, because "Female no" would not say what she is not."""
    return words.clean(group_label({k: level_name(k, v) for k, v in (group.group or {}).items()}))


def size(one: PictureSummary) -> str:
    """``200 × 200``, or ``250 × 250 (100 × 90 to 900 × 800)``."""
    if not one.n:
        return "–"
    (width, narrowest, widest), (height, lowest, highest) = one.width, one.height
    text = f"{width:g} × {height:g}"
    if (narrowest, lowest) == (widest, highest):
        return text
    return f"{text} ({narrowest:g} × {lowest:g} to {widest:g} × {highest:g})"


def bright(one: PictureSummary) -> str:
    """``118 ± 32``."""
    spread = "" if math.isnan(one.brightness_sd) else f" ± {one.brightness_sd:.0f}"
    return "–" if math.isnan(one.brightness) else f"{one.brightness:.0f}{spread}"


def percent(share: float) -> str:
    """``40.0 %``."""
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"


def share(one: Estimate) -> str:
    """``40.0 % [35.1, 45.2]``."""
    if math.isnan(one.value):
        return "–"
    return f"{percent(one.value)} [{100 * one.ci_low:.1f}, {100 * one.ci_high:.1f}]"


def classes_shown(profile: Profile, most: int | None = None) -> list[str]:
    """Classes of the target that have a column: of two, the last, the conventional positive, says it all."""
    classes = list(profile.overall.target)
    return classes[-1:] if len(classes) <= _CLASSES else classes[:most]


def _counted(
    profile: Profile, rows: Sequence[tuple[str, GroupProfile]], most: int | None, balance: bool
) -> tuple[list[str], list[list[str]], list[int]]:
    shown = classes_shown(profile, most) if balance else []
    ages = profile.overall.age is not None
    columns = ["group", "images", "share", *(["age"] if ages else []), *(f"{profile.target} {name}" for name in shown)]
    cells = []
    for name, group in rows:
        row = [name, f"{group.n:,}", percent(group.share)]
        if ages:
            row.append(_age(group))
        cells.append(row + [share(group.target[name]) for name in shown])
    return columns, cells, list(range(1, len(columns)))


def _age(group: GroupProfile) -> str:
    age = group.age
    return "–" if age is None or math.isnan(age.median) else f"{age.median:.0f} ({age.q1:.0f}–{age.q3:.0f})"


def level_name(name: str, level: str) -> str:
    """A level for people; a bare yes or no carries its column."""
    return f"{name}: {level}" if level.casefold() in _BARE_LEVELS else level


def _cell(one: Association) -> tuple[str, str]:
    return one.cell if one.cell is not None and one.v else ("–", "–")


def _together(one: Association) -> list[str]:
    return [f"{one.together:,}", f"{one.times:.1f}"] if one.v else ["–", "–"]
