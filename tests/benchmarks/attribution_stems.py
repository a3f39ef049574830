"""Which stem a region classifier should begin with: ``python -m tests.benchmarks.attribution_stems --celeba DIR``.

For each attribute of ``attribution.py`` and both stems: how many patches of pictures that were not trained on are
classified rightly, all and those whose middle lies where a person expects the attribute (mouth or eyes of CelebA's aligned
pictures; of drawn faces the pixels that are known to show it); the calibration error before and after a temperature; and
the general map: where it peaks, which share of its mass lies on that place and which share of its surest pixels, as many as
the place has, beside the share that chance would give. All of it on the balanced test set of the attribute's subset.
Classifiers are those of the table, fitted where they are not yet; as many epochs for both, one seed. Times are interleaved
on the same pictures.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fairaudit.artifacts.folder import write_whole
from fairaudit.attribution.calibrate import Calibration, calibration
from fairaudit.attribution.confidence import confidence, softmax
from fairaudit.attribution.fit import all_logits
from fairaudit.attribution.maps import general_map
from fairaudit.attribution.overlay import overlay, png, sheet
from fairaudit.attribution.patches import Positions
from fairaudit.attribution.store import Attribution, open_attribution
from fairaudit.config import Stem, TrainingSettings
from fairaudit.data.faces import RenderedStore, regions
from fairaudit.data.locate import load_dataset
from fairaudit.engine.devices import keep_freed_memory
from fairaudit.engine.image_sources import ImageSource, open_images
from fairaudit.predictions import BoolArray, FloatArray, IntArray
from fairaudit.workflows.attribute import average_of
from tests.benchmarks.attribution_cases import (
    STEMS,
    Experiment,
    Sizes,
    asked_for,
    attributed,
    parser,
    root_of,
    subset,
    tested,
)

SHOWN_BY = 0.3
"""Share of the drawn faces with an attribute whose pixel shows it, from which a pixel belongs to its place."""
ROUNDS = 5


@dataclass(frozen=True, eq=False)
class Seen:
    """Pictures that no region classifier was trained on, and where the attribute is in them.

    Attributes:
        images: m pictures.
        y_true: (m,) 1 where they have the attribute.
        place: (I, I) where a person expects it.
    """

    images: ImageSource
    y_true: IntArray
    place: BoolArray


@dataclass(frozen=True, eq=False)
class Found:
    """What one classifier says of them.

    Attributes:
        calibration: of all patches; the temperature is fitted on every other picture.
        on_place: share of the patches in the place that are classified rightly; elsewhere: of the others.
        elsewhere: see there.
        general: (I, I) map.
    """

    calibration: Calibration
    on_place: float
    elsewhere: float
    general: FloatArray

    @property
    def peak(self) -> tuple[float, float]:
        """Down and across, as shares of the side."""
        row, column = np.unravel_index(int(self.general.argmax()), self.general.shape)
        return float(row + 0.5) / len(self.general), float(column + 0.5) / len(self.general)

    def mass(self, place: BoolArray) -> float:
        """Share of the map, which is 0 at its lowest, that lies on a place."""
        return float(self.general[place].sum() / self.general.sum())

    def surest(self, place: BoolArray) -> float:
        """Share of the surest pixels, as many as the place has, that lie on it."""
        order = np.argsort(-self.general, axis=None, kind="stable")[: int(place.sum())]
        return float(place.flat[order].mean())


def seen(one: Experiment, root: Path | None, sizes: Sizes, folder: Path, stem: Stem) -> Seen:
    """The test set of an attribute's subset."""
    rows = tested(subset(one, root, sizes, folder))
    manifest = load_dataset(one.data, root, "all", **one.options)
    preprocess = open_attribution(attributed(one, root, sizes, folder, stem)).preprocess
    images = open_images(manifest.store, [str(row) for row in rows["row"]], preprocess)
    y_true = (rows[one.confounder] == "yes").to_numpy().astype(np.int64)
    if isinstance(one.place, str):
        assert isinstance(manifest.store, RenderedStore)
        having = [manifest.store.faces[str(row)] for row, has in zip(rows["row"], y_true, strict=True) if has]
        place = np.mean([regions(face, sizes.size)[one.place] for face in having], axis=0) > SHOWN_BY
    else:
        top, bottom, left, right = (round(share * sizes.size) for share in one.place)
        place = np.zeros((sizes.size, sizes.size), dtype=bool)
        place[top:bottom, left:right] = True
    return Seen(images, y_true, place)


def in_place(place: BoolArray, positions: Positions) -> BoolArray:
    """(p,) whether the middle of each position's patch lies on a place."""
    middles = [tuple(side + positions.patch // 2 for side in positions.corner(k)) for k in range(len(positions))]
    return np.array([place[row, column] for row, column in middles])


def judged(stored: Attribution, pictures: Seen) -> Found:
    """Ask one classifier."""
    logits = all_logits(stored.net, pictures.images, stored.preprocess, on_one_core())
    right = logits.argmax(axis=2) == pictures.y_true[:, None]
    on = in_place(pictures.place, stored.positions)
    found = calibration(logits, pictures.y_true, temperature=True)
    sure = confidence(softmax(logits, found.temperature), "top")
    return Found(
        found,
        float(right[:, on].mean()),
        float(right[:, ~on].mean()),
        general_map(sure, stored.positions),
    )


def on_one_core() -> TrainingSettings:
    """How pictures are looked at."""
    return TrainingSettings(device="cpu", workers=0)


def slower(first: Attribution, second: Attribution, pictures: Seen) -> float:
    """How many times as long the second takes for the same pictures, the median of interleaved rounds."""
    some = pictures.images.take(torch.arange(min(4, len(pictures.images)))).float() / 255
    ratios = []
    with torch.inference_mode():
        for _ in range(ROUNDS):
            taken = []
            for one in (first, second):
                begin = time.process_time()
                one.net.region_logits(some, one.positions.ids())
                taken.append(time.process_time() - begin)
            ratios.append(taken[1] / taken[0])
    return statistics.median(ratios)


def line(one: Experiment, stem: str, found: Found, place: BoolArray, times: float) -> str:
    """A row of the table."""
    c = found.calibration
    down, across = found.peak
    on = "on" if place[int(down * len(place)), int(across * len(place))] else "off"
    return (
        f"| {one.name} | {stem} | {100 * c.accuracy:.1f} | {100 * found.on_place:.1f} | {100 * found.elsewhere:.1f} | "
        f"{c.uncorrected:.3f} | {c.error:.3f} | {down:.2f} down, {across:.2f} across, {on} | "
        f"{100 * found.mass(place):.0f} | {100 * found.surest(place):.0f} | {100 * place.mean():.0f} | {times:.1f} |"
    )


def main(words: Sequence[str] | None = None) -> int:
    """Fit what is not fitted, compare, print."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--stem", action="append", choices=STEMS, help="only this one")
    asked = flags.parse_args(words)
    stems = tuple(asked.stem or STEMS)
    sizes, chosen = asked_for(asked)
    torch.set_num_threads(1)
    keep_freed_memory()
    lines = [
        "| attribute | stem | patches right % | on the place | elsewhere | ECE | after temperature | map's peak | "
        "mass on the place % | surest pixels on it % | by chance % | time |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in chosen:
        root, folder = root_of(one, asked.celeba), asked.out / one.confounder.lower()
        pictures = seen(one, root, sizes, folder, stems[0])
        stored = {stem: open_attribution(attributed(one, root, sizes, folder, stem)) for stem in stems}
        average = average_of(pictures.images)
        shown = [overlay(average, pictures.place.astype(np.float64), pictures.place)]
        for stem, attribution in stored.items():
            found = judged(attribution, pictures)
            times = 1.0 if stem == stems[0] else slower(stored[stems[0]], attribution, pictures)
            lines.append(line(one, stem, found, pictures.place, times))
            print(lines[-1], flush=True)
            shown.append(overlay(average, found.general, pictures.place))
        write_whole(folder / "stems.png", png(sheet([shown])))
    text = "\n".join(lines)
    write_whole(asked.out / "stems.md", text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
