"""What a reader must know of intervals where people are on several images, or pairs share people."""

from __future__ import annotations

import numpy as np

from fairaudit.predictions import MISSING, IntArray


def people_note(identity: IntArray, clustered: bool) -> str | None:
    """What a reader must know of intervals where people are on several images; None where nobody is.

    Args:
        identity: (n,) who is on each audited picture, or ``MISSING``.
        clustered: whether intervals take it into account.
    """
    known = identity[identity != MISSING]
    people = len(np.unique(known))
    if people == len(known):
        return None
    if not clustered:
        return (
            f"{len(known):,} images show {people:,} people: intervals treat images as independent, and are too narrow "
            "where images of one person are right or wrong together"
        )
    return (
        f"{len(known):,} images show {people:,} people: intervals of metrics and their disparities take into account that "
        "images of one person are right or wrong together; those of entropies treat images as independent"
    )


def pairs_note(persons: tuple[IntArray, IntArray], clustered: bool) -> str:
    """What a reader must know of intervals of pairs.

    Args:
        persons: who is on either image of a pair, (n,) each, numbered alike; ``MISSING`` is somebody who is on no other.
        clustered: whether intervals take them into account.
    """
    both = np.concatenate(persons)
    people = len(np.unique(both[both != MISSING])) + int((both == MISSING).sum())
    if not clustered:
        return (
            f"{len(persons[0]):,} pairs are of {people:,} people: intervals treat pairs as independent, and are too narrow "
            "where pairs that share a person are right or wrong together"
        )
    return (
        f"{len(persons[0]):,} pairs are of {people:,} people: intervals of metrics and their disparities take into account "
        "that pairs which share a person, on either side, are right or wrong together; those of entropies treat pairs as "
        "independent"
    )
