"""How fast patches are attributed: ``python -m tests.benchmarks.attribution_speed [--size 128 --per-side 49 …]``.

Each round takes the processor time of the ways in turn on one core, so that a machine that slows down slows all alike; a
round gives one ratio each, and medians are printed. Ways: one patch at a time (a sample, scaled up); large batches in fp32
and, where the processor computes in it, in bf16; the bare network, folded, on patches that are ready; both stems; and
pixel space by two products against Algorithm 1's loop over patches. The error of a coarser stride and of the approximation
against the exact map is measured on drawn faces with a trained classifier where ``--attribution DIR`` gives one, on an
untrained one otherwise.

On one core of a 2.8 GHz Xeon without bf16: ``imagenet`` 13.8 times one patch at a time (the aim is 10) and 1.6 times as
fast as the network as it was trained, because the last two stages, more than half of the time, are matrix products
(``attribution/products.py``; before, 8.7). ``cifar`` 1.9 to 2.3 times (the aim, 3.5, was set with bf16): its 2,401 patches
are 2,670 GFLOP, done at 128 GFLOP/s, 70 % of what the core can do, and one patch alone runs at half of that already; its
maps are too large for products. Pixel space 300 times.

Tried and left out: ``torch.compile`` of the folded network, 1.03 (``imagenet``) and 1.11 times as fast (``cifar``) on one
core of a processor without bf16, after a first call of 10 to 40 seconds. Batches of 1,200 patches instead of 256 are 1.06
times as fast with ``imagenet`` and need four times the memory.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fairaudit.attribution.approximate import approximate_logits
from fairaudit.attribution.confidence import confidence, softmax
from fairaudit.attribution.folding import folded
from fairaudit.attribution.maps import general_map, overlap, to_pixels
from fairaudit.attribution.patches import Positions, some_of_all
from fairaudit.attribution.region_net import AT_ONCE, WIDTH, RegionNet
from fairaudit.attribution.store import open_attribution
from fairaudit.config import Stem
from fairaudit.data.faces import render, sample_face
from fairaudit.engine.devices import keep_freed_memory
from fairaudit.engine.rows import lowered
from tests.benchmarks.processor import computes_in_bf16, processor_seconds
from tests.benchmarks.rows import Row

CPU = torch.device("cpu")
ALONE = 24
"""Patches that are classified one at a time; all 2,401 would take most of a minute a round."""


def medians(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way in each round; one round first that does not count."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            taken = way()
            if number:
                found[name].append(taken)
    return found


def over(found: dict[str, list[float]], slow: str, fast: str) -> list[float]:
    """How many times faster one way is, of each round."""
    return [a / b for a, b in zip(found[slow], found[fast], strict=True)]


def ratio(found: dict[str, list[float]], slow: str, fast: str) -> float:
    """The median over rounds of how many times faster one way is."""
    return statistics.median(over(found, slow, fast))


def measured(positions: Positions, width: int, rounds: int) -> dict[Stem, dict[str, list[float]]]:
    """Seconds of each way to see the patches of one image, for both stems."""
    image = torch.randn(1, 3, positions.image, positions.image)
    ids = positions.ids()
    names: tuple[Stem, ...] = ("imagenet", "cifar")
    found: dict[Stem, dict[str, list[float]]] = {}
    for stem in names:
        net = RegionNet(positions, 2, stem, width).eval().to(memory_format=torch.channels_last)
        found[stem] = medians(
            {
                "alone": lambda net=net: processor_seconds(lambda: one_at_a_time(net, image)) * len(positions) / ALONE,  # type: ignore[misc]
                "batched": lambda net=net: processor_seconds(lambda: net.region_logits(image, ids)),  # type: ignore[misc]
                "bare": lambda net=net: bare(net, image, ids),  # type: ignore[misc]
                **lowered_too(net, image, ids),
            },
            rounds,
        )
    return found


def stems(found: dict[Stem, dict[str, list[float]]]) -> list[str]:
    """Lines about one image, for both stems."""
    lines = [
        "| stem | one patch at a time | batches, fp32 | batches, bf16 | × fp32 | × bf16 | ours ÷ bare, fp32 |",
        "|---|---|---|---|---|---|---|",
    ]
    for stem, ways in found.items():
        times = {name: statistics.median(values) for name, values in ways.items()}
        lines.append(
            f"| {stem} | {times['alone']:.2f} s | {times['batched']:.2f} s | "
            + (f"{times['lowered']:.2f} s" if "lowered" in times else "not here")
            + f" | {ratio(ways, 'alone', 'batched'):.1f} | "
            + (f"{ratio(ways, 'alone', 'lowered'):.1f}" if "lowered" in ways else "")
            + f" | {ratio(ways, 'batched', 'bare'):.2f} |"
        )
    return lines


def rows_of(found: dict[Stem, dict[str, list[float]]], pixel: dict[str, list[float]]) -> list[Row]:
    """Rows of the whole table."""
    rows = []
    for stem, ways in found.items():
        what, target = f"attribution, `{stem}` stem", {"imagenet": 10.0, "cifar": 3.5}[stem]
        rows.append(Row.of(f"{what}, fp32", "one patch at a time", over(ways, "alone", "batched"), target))
        rows.append(Row.of(f"{what}, fp32", "the bare network", over(ways, "bare", "batched"), round(1 / 1.2, 2)))
        if "lowered" in ways:
            aim = 20.0 if stem == "imagenet" else None
            rows.append(Row.of(f"{what}, bf16", "one patch at a time", over(ways, "alone", "lowered"), aim))
    rows.append(Row.of("attribution, pixel space", "Algorithm 1's loop", over(pixel, "loop", "products"), 100.0))
    return rows


def one_at_a_time(net: RegionNet, image: Tensor) -> None:
    """What a loop over patches does: cut, add the place, classify."""
    places = torch.linspace(0, len(net.positions) - 1, ALONE).long()
    for position in places.tolist():
        y, x = net.positions.corner(position)
        k = net.positions.patch
        patch = torch.cat([image[:, :, y : y + k, x : x + k], net.places(torch.tensor([position]))], dim=1)
        net.trunk(patch)


def lowered_too(net: RegionNet, image: Tensor, ids: Tensor) -> dict[str, Callable[[], float]]:
    """Half the precision as one more way, where the processor computes in it."""
    if not computes_in_bf16():
        return {}
    return {"lowered": lambda: processor_seconds(lambda: in_bf16(net, image, ids))}


def in_bf16(net: RegionNet, image: Tensor, ids: Tensor) -> None:
    """Large batches in half the precision."""
    with lowered(CPU, "bf16"):
        net.region_logits(image, ids)


def bare(net: RegionNet, image: Tensor, ids: Tensor) -> float:
    """Seconds of the network alone, on patches that are cut and placed beforehand."""
    patches = torch.cat([some_of_all(image, ids, net.positions)[0], net.places(ids)], dim=1)
    ready = [some.contiguous(memory_format=torch.channels_last) for some in torch.split(patches, AT_ONCE)]
    trunk = folded(net.trunk)
    return processor_seconds(lambda: [trunk(some) for some in ready])


def whole(rounds: int) -> list[Row]:
    """Rows of the whole table at the paper's sizes, on one thread."""
    positions, before = Positions(128, 32, 49), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            return rows_of(measured(positions, WIDTH, rounds), pixels_measured(positions, rounds))
    finally:
        torch.set_num_threads(before)


def loop_over_patches(regions: np.ndarray, positions: Positions) -> np.ndarray:
    """Algorithm 1."""
    total, counts = np.zeros((positions.image,) * 2), np.zeros((positions.image,) * 2)
    for position, value in enumerate(regions):
        y, x = positions.corner(position)
        total[y : y + positions.patch, x : x + positions.patch] += value
        counts[y : y + positions.patch, x : x + positions.patch] += 1
    return np.asarray(total / counts)


def pixels_measured(positions: Positions, rounds: int) -> dict[str, list[float]]:
    """Seconds of pixel space by Algorithm 1 and by two products."""
    regions, times = np.random.default_rng(0).random(len(positions)), 20
    return medians(
        {
            "loop": lambda: processor_seconds(lambda: loop_over_patches(regions, positions)),
            "products": lambda: processor_seconds(lambda: [to_pixels(regions, positions) for _ in range(times)]) / times,
        },
        rounds,
    )


def pixels(positions: Positions, found: dict[str, list[float]]) -> str:
    """A line about pixel space."""
    regions = np.random.default_rng(0).random(len(positions))
    off = float(np.abs(loop_over_patches(regions, positions) - to_pixels(regions, positions)).max())
    loop_s, products_s = (statistics.median(found[name]) for name in ("loop", "products"))
    return (
        f"pixel space: loop over patches {1e3 * loop_s:.1f} ms, two products {1e6 * products_s:.0f} us, "
        f"{ratio(found, 'loop', 'products'):.0f} times faster, off by at most {off:.0e}"
    )


def errors(net: RegionNet, images: Tensor, temperature: float) -> list[str]:
    """How far coarser strides and the approximation are from the exact map of the same pictures."""
    positions = net.positions

    def regions(logits: Tensor) -> np.ndarray:
        return confidence(softmax(logits.numpy(), temperature), "top")

    exact_s = processor_seconds(lambda: net.region_logits(images, positions.ids()))
    exact = regions(net.region_logits(images, positions.ids()))
    fine, own = general_map(exact, positions), to_pixels(exact, positions)
    lines = ["| way | times faster | general map: r | top 30 %: IoU | specific maps: mean r |", "|---|---|---|---|---|"]
    steps = positions.per_side - 1
    coarse = [n for n in range(2, steps + 1) if steps % n == 0 and n * positions.stride <= positions.patch]
    ways: list[tuple[str, Positions, Callable[[], Tensor]]] = [
        (f"every {n}.", positions.coarser(n), lambda n=n: net.region_logits(images, positions.ids(n)))  # type: ignore[misc]
        for n in coarse
    ]
    if positions.image // (32 if net.stem == "imagenet" else 8) > 1:
        ways.append(("approximate", positions, lambda: approximate_logits(net, images, positions)))
    for name, where, way in ways:
        taken = processor_seconds(way)
        found = regions(way())
        maps = to_pixels(found, where)
        each = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(own, maps, strict=True)]
        shared = overlap(fine, general_map(found, where), 0.7)
        lines.append(
            f"| {name} | {exact_s / taken:.1f} | {shared.correlation:.3f} | {shared.iou:.2f} | {np.nanmean(each):.3f} |"
        )
    return lines


def main(words: Sequence[str] | None = None) -> int:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--patch", type=int, default=32)
    parser.add_argument("--per-side", type=int, default=49)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=8, help="drawn faces that errors are measured on")
    parser.add_argument("--attribution", type=Path)
    asked = parser.parse_args(words)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    keep_freed_memory()
    positions = Positions(asked.size, asked.patch, asked.per_side)
    with torch.inference_mode():
        print("\n".join(stems(measured(positions, asked.width, asked.rounds))))
        print(pixels(positions, pixels_measured(positions, asked.rounds)), flush=True)
        if asked.attribution is None:
            net, temperature, mean, std = (
                RegionNet(positions, 2, "imagenet", asked.width).eval(),
                1.0,
                (0.5,) * 3,
                (0.25,) * 3,
            )
        else:
            stored = open_attribution(asked.attribution)
            net, temperature = stored.net, stored.calibration.temperature
            mean, std = stored.preprocess.mean, stored.preprocess.std
        faces = [render(sample_face(np.random.default_rng(k)), net.positions.image) for k in range(asked.images)]
        held = torch.from_numpy(np.stack([np.asarray(face) for face in faces])).permute(0, 3, 1, 2).float() / 255
        images = (held - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
        print("\n".join(errors(net, images, temperature)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
