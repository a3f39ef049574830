"""Images that a report shows, each with the row that it is traced by."""

from __future__ import annotations

from dataclasses import dataclass

from fairaudit.results.audit import Group

MISTAKE, CLOSE = "mistake", "close"


@dataclass(frozen=True)
class Face:
    """One image of a gallery.

    Attributes:
        row: its row id.
        group: whose it is.
        kind: ``mistake``, one of those that the model was surest of, or ``close``, a decision that was nearly another.
        true: the labelled class.
        predicted: the class decided on.
        score: of the class decided on; nan where there are no scores.
        image: a small JPEG as a data URI; empty where the image cannot be read.
    """

    row: str
    group: Group
    kind: str
    true: str
    predicted: str
    score: float
    image: str


@dataclass(frozen=True)
class Gallery:
    """The images of one grouping.

    Attributes:
        by: the grouping's attributes.
        faces: group by group, mistakes before close decisions.
        terms: whose images these are and what that means for who may see the report.
    """

    by: tuple[str, ...]
    faces: tuple[Face, ...]
    terms: str
