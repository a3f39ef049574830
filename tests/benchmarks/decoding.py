"""What decoding at a fraction of the sides gains and changes: ``python -m tests.benchmarks.decoding [--side 1500]``.

``evaluate --scaled-decoding`` against the usual way, for JPEGs that are much larger than the network's input, cropped as
torchvision's networks want them (the shorter side to 256, its centre of 224). Pictures are scikit-image's photographs,
enlarged, and blurred noise, which has more detail per pixel than photographs have. Processor seconds of one thread, ways in
turns; differences are of 255, over all pictures. Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Mapping, Sequence

import numpy as np
import skimage.data
from PIL import Image

from fairaudit.config import Preprocess
from fairaudit.data.decoding import decode
from fairaudit.engine.devices import one_thread
from tests.benchmarks.inference import pictures
from tests.benchmarks.rows import Row, markdown

CROP = Preprocess(size=(224, 224), resize="crop", crop_pct=0.875)
TARGET = 1.2


def photographs(side: int) -> list[bytes]:
    """Scikit-image's colour photographs, enlarged and encoded."""
    files = []
    for name in ("astronaut", "coffee", "chelsea"):
        image = Image.fromarray(getattr(skimage.data, name)())
        scale = side / min(image.size)
        out = io.BytesIO()
        image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS).save(
            out, "JPEG", quality=92
        )
        files.append(out.getvalue())
    return files


def seconds(files: Sequence[bytes], scaled: bool) -> float:
    """Processor seconds of all files."""
    started = time.process_time()
    for data in files:
        decode(data, CROP, scaled=scaled)
    return time.process_time() - started


def difference(files: Sequence[bytes]) -> tuple[int, float]:
    """The greatest and the mean difference of a pixel, of 255."""
    off = np.stack([(decode(data, CROP, scaled=True).int() - decode(data, CROP).int()).abs().numpy() for data in files])
    return int(off.max()), float(off.mean())


def rows_of(cases: Mapping[str, Sequence[bytes]], side: int, rounds: int) -> list[Row]:
    """How many times faster, of each kind of picture."""
    found = []
    with one_thread():
        for name, files in cases.items():
            ratios = []
            for round_ in range(rounds + 1):
                usual, scaled = seconds(files, False), seconds(files, True)
                if round_:  # one round more warms caches up
                    ratios.append(usual / scaled)
            found.append(Row.of(f"--scaled-decoding of {name} of {side} px", "the usual decoding", ratios, TARGET))
    return found


def main() -> int:
    """Print differences and the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--side", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    noise = [*pictures(4, asked.side, asked.side).values()]
    cases = {"photographs": photographs(asked.side), "blurred noise": noise}
    for name, files in cases.items():
        most, mean = difference(files)
        print(
            f"{name} ({np.mean([len(data) for data in files]) / 1000:.0f} kB): off by {most} of 255, {mean:.2f} on average"
        )
    rows = rows_of(cases, asked.side, asked.rounds)
    print(markdown(rows))
    return 1 if any(row.missed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
