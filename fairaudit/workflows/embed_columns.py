"""What an audit of embeddings does to their columns first: levels of numbers, and the subset that is audited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fairaudit.artifacts.embeddings import Embeddings
from fairaudit.config import AuditSettings
from fairaudit.errors import DataError, UnknownNameError, UsageError
from fairaudit.metrics.groups import binned
from fairaudit.metrics.rules import Rule, groupings_asked, parse_requirement
from fairaudit.metrics.subset import parse_subset
from fairaudit.predictions import Column, FloatArray
from fairaudit.workflows.audit_extras import spelled_given
from fairaudit.workflows.matching import match


def prepared(embeddings: Embeddings, settings: AuditSettings, notes: list[str]) -> Embeddings:
    """Embeddings with the columns, and of the images, that are audited.

    Args:
        embeddings: all of them.
        settings: levels of numbers, and a subset.
        notes: is told what was left out.

    Raises:
        DataError: nothing is left.
        UsageError: a column to be binned, or in the subset, does not exist or holds no numbers.
    """
    return _restricted(_with_levels(embeddings, settings.bins), settings.where, notes)


def groupings(embeddings: Embeddings, settings: AuditSettings) -> tuple[tuple[str, ...], ...]:
    """The groupings that are named, and those of rules, in the spelling of the columns.

    Raises:
        UsageError: there is none, or there is no such column, or it is numeric and has no levels.
    """
    columns, numbers = embeddings.attributes, {name.casefold(): name for name in embeddings.numeric}
    found: list[tuple[str, ...]] = []
    for names in groupings_asked(settings.by, [parse_requirement(text) for text in settings.rules]):
        for name in names:
            if (number := numbers.get(name.casefold())) is not None:
                raise UsageError(
                    f"{number} is numeric and makes no groups; say where each level starts, --bins {number}=0,18,40,65"
                )
        spelled = tuple(match("attribute", name, columns) for name in names)
        if len(set(spelled)) < len(spelled):
            raise UsageError(f"--by {','.join(names)} names an attribute twice")
        if all(sorted(spelled) != sorted(known) for known in found):
            found.append(spelled)
    if not found:
        raise UsageError(f"name at least one grouping with --by ({', '.join(columns) or 'the data have no attribute'})")
    return tuple(found)


def held_fixed(embeddings: Embeddings, settings: AuditSettings) -> tuple[str, ...]:
    """The columns within whose levels groupings are audited as well, those of rules among them.

    Raises:
        UnknownNameError: there is no such column.
        UsageError: it is numeric and has no levels.
    """
    rules = (parse_requirement(text) for text in settings.rules)
    asked = [*settings.given, *(rule.given for rule in rules if isinstance(rule, Rule) and rule.given)]
    return tuple(dict.fromkeys(n for one in asked for n in spelled_given(one, embeddings.columns(), embeddings.numeric)))


def _with_levels(embeddings: Embeddings, bins: Mapping[str, tuple[float, ...]]) -> Embeddings:
    if not bins:
        return embeddings
    attributes, numeric = dict(embeddings.attributes), dict(embeddings.numeric)
    for name, edges in bins.items():
        # an archive of somebody's holds ages as whole numbers, which are levels as well as numbers
        values = numeric.pop(name, None) if name in numeric else _numbers(name, attributes.get(name))
        if values is None:
            raise UnknownNameError("numeric column in --bins:", name, [*numeric, *attributes])
        attributes[name] = binned(values, edges)
    return replace(embeddings, attributes=attributes, numeric=numeric)


def _numbers(name: str, column: Column | None) -> FloatArray | None:
    if column is None:
        return None
    try:
        levels = np.array([*map(float, column.levels), np.nan])
    except ValueError as error:
        raise UsageError(f"--bins {name}: {error.args[0].rpartition(' ')[2]} is a level and no number") from error
    return np.asarray(levels[column.codes])


def _restricted(embeddings: Embeddings, where: str | None, notes: list[str]) -> Embeddings:
    if where is None:
        return embeddings
    keep = parse_subset(where).rows(embeddings.columns(), embeddings.numeric)
    if not keep.any():
        raise DataError(f"no images are left after --where {where!r}; all {len(embeddings):,} were ruled out")
    notes.append(
        f"restricted to {int(keep.sum()):,} images by --where {where}: neither asked for nor in a gallery are others"
    )
    return replace(
        embeddings,
        values=embeddings.values[keep],
        rows=embeddings.rows[keep],
        attributes={name: column.take(keep) for name, column in embeddings.attributes.items()},
        identity=None if embeddings.identity is None else embeddings.identity.take(keep),
        numeric={name: values[keep] for name, values in embeddings.numeric.items()},
    )
