"""What a record must fulfil beyond its schema: parts that fit each other, so that nobody who reads it looks twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_MOST = 2**53
"""Images; a larger number is not exact as a float."""
_KINDS: Mapping[str, tuple[type, ...]] = {
    "target": (str,),
    "positive": (str, type(None)),
    "where": (str, type(None)),
    "confidence": (int, float),
    "min_support": (int,),
    "bootstrap": (int,),
    "seed": (int,),
    "threshold": (int, float, type(None)),
    "beta": (list,),
    "aggregate": (list,),
    "multilabel": (dict, type(None)),
}


def audit_inconsistency(record: Mapping[str, Any]) -> str | None:
    """What does not fit in a record that fits the schema of ``audit.json``; None where all does.

    Args:
        record: plain values.
    """
    return next(_of_settings(record["settings"]), None) or next(_of_groupings(record), None)


def description_is_plain(description: Mapping[str, Any]) -> bool:
    """Whether what a table of predictions says of its columns is made of names, as it was written.

    Args:
        description: plain values.
    """
    try:
        named = [*description["tasks"].values(), *description["attributes"].values()]
        named += [one for key in ("identity", "second") if (one := description.get(key)) is not None]
        if not all(isinstance(one, dict) for one in named):
            return False
        lists = [one[key] for one in named for key in ("classes", "levels", "y_score") if key in one]
        lists += description.get("levels", {}).values()
        texts = [one[key] for one in named for key in ("column", "y_true", "y_pred") if key in one]
        texts += [
            *description["numeric"].values(),
            *([description["weight"]] if description.get("weight") is not None else []),
        ]
    except (KeyError, TypeError, AttributeError):
        return False
    return all(isinstance(text, str) for text in texts) and all(_is_names(one) for one in lists)


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value) and len(set(value)) == len(value)


def _of_settings(settings: Mapping[str, Any]) -> Iterator[str]:
    for name, kinds in _KINDS.items():
        value = settings.get(name, kinds[0]())
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            yield f"settings.{name} is {_said(value)}"
    classes, several = settings.get("classes"), settings.get("multilabel")
    if classes is not None and not _is_names(classes):
        yield "settings.classes is no list of different names"
    elif classes and settings.get("positive") not in (None, *classes):
        yield f"settings.positive is {_said(settings['positive'])}, which is none of settings.classes"
    elif several and not all(_is_names(pair) and len(pair) == 2 for pair in several.values()):
        yield "settings.multilabel does not give two classes for each label"
    elif classes and several and list(several) != classes:
        yield "settings.multilabel has other labels than settings.classes"
    if not 0 < settings.get("confidence", 0.95) < 1:
        yield f"settings.confidence is {_said(settings['confidence'])}"
    for name, kind in (("beta", (int, float)), ("aggregate", (str,))):
        if not all(isinstance(one, kind) for one in settings.get(name, [])):
            yield f"settings.{name} holds something else than it should"


def _of_groupings(record: Mapping[str, Any]) -> Iterator[str]:
    k = len(record["settings"].get("classes") or ())
    shape = (k, 4 if record["settings"].get("multilabel") else k)
    if k and (counts := record["overall"].get("counts")) is not None and not _is_table(counts, shape):
        yield "overall.counts has another size than settings.classes asks for"
    for i, one in enumerate(record["groupings"]):
        where, g = f"groupings.{i}", len(one["groups"])
        for name in ("counts", "weighted") if k else ():
            if one.get(name) is not None and not (len(one[name]) == g and all(_is_table(c, shape) for c in one[name])):
                yield f"{where}.{name} has another size than its groups and settings.classes ask for"
        cells = [group["group"] for group in one["groups"]]
        if any(sorted(cell) != sorted(one["by"]) for cell in cells):
            yield f"{where}.groups has a group that does not say its {', '.join(one['by'])}"
        if len({tuple(cell[name] for name in one["by"]) for cell in cells if set(cell) == set(one["by"])}) < g:
            yield f"{where}.groups has a group twice"
        if one["privileged"] is not None and one["privileged"] not in cells:
            yield f"{where}.privileged is none of its groups"
        for name, parts in _per_group(one).items():
            if any(len(part) != g for part in parts):
                yield f"{where}.{name} has another number of groups"
        effects = (one.get("clusters") or {}).get("design_effects", {})
        if any(len({len(row) for row in rows}) > 1 for rows in effects.values()):
            yield f"{where}.clusters has rows of several lengths"
        if (scores := one.get("scores")) is not None:
            sizes = {len(part[of].split()) for part in scores["groups"] for of in ("negatives", "positives")}
            if len(sizes) > 1:
                yield f"{where}.scores has histograms of several sizes"


def _per_group(grouping: Mapping[str, Any]) -> dict[str, list[Sequence[Any]]]:
    """Parts that have one entry per group."""
    found: dict[str, list[Sequence[Any]]] = {}
    if (scores := grouping.get("scores")) is not None:
        found["scores.groups"] = [scores["groups"]]
    if (clusters := grouping.get("clusters")) is not None:
        found["clusters"] = [clusters["people"], *clusters["design_effects"].values()]
    if (together := grouping.get("together")) is not None:
        named = [values for name in ("means", "sizes", "alike") for values in together[name].values()]
        found["together"] = [together["images"], together["complete"], together["exact"], *named]
    return found


def _is_table(rows: Sequence[Sequence[int]], shape: tuple[int, int]) -> bool:
    return len(rows) == shape[0] and all(len(row) == shape[1] and max(row, default=0) <= _MOST for row in rows)


def _said(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
