"""The gallery of a page: each group's surest mistakes and closest decisions, every picture with the row it is."""

from __future__ import annotations

import math
from collections.abc import Iterator

from fairaudit.reports import _wording as words
from fairaudit.reports._page import Face as Shown
from fairaudit.reports._page import Gallery as Row
from fairaudit.reports._page import Part, Prose, Section
from fairaudit.results.gallery import CLOSE, MISTAKE, Face, Gallery

ID = "faces"
_CAPTIONS = {MISTAKE: "surest mistakes", CLOSE: "closest decisions"}


def gallery_section(gallery: Gallery) -> Section:
    """A gallery as a section of a page.

    Args:
        gallery: what was chosen.
    """
    return Section(ID, f"Faces by {words.grouping_name(gallery.by)}", tuple(_parts(gallery)), short="Faces")


def _parts(gallery: Gallery) -> Iterator[Part]:
    yield Prose((gallery.terms,))
    groups = list(dict.fromkeys(words.group_name(face.group) for face in gallery.faces))
    for name in groups:
        for kind, caption in _CAPTIONS.items():
            own = [f for f in gallery.faces if f.kind == kind and words.group_name(f.group) == name]
            if own:
                yield Row(f"{name}: {caption}", tuple(Shown(f.image, _caption(f)) for f in own if f.image))
                if unread := [words.clean(f.row) for f in own if not f.image]:
                    yield Prose((f"No picture of {', '.join(unread)}: it cannot be read.",))
    if not groups:
        yield Prose(("No image has a label and a group.",))


def _caption(face: Face) -> str:
    score = "" if math.isnan(face.score) else f" {words.number(face.score)}"
    true, predicted = words.clean(face.true), words.clean(face.predicted)
    said = f"{predicted}{score}, labelled {true}" if face.true != face.predicted else f"{predicted}{score}, as labelled"
    return f"{words.clean(face.row)}: {said}"
