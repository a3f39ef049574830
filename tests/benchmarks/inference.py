"""Throughput of prediction against its two halves: ``python -m tests.benchmarks.inference [--help]``.

Decoding alone and the network alone (its images already in memory) run in the same threads as the whole, in turns, so
that a machine that slows down slows all three; each round gives one ratio, and the medians are printed. The aim is 0.9 of
the slower half or more. Cores that do both in turn cannot exceed 1 / (1 / decode + 1 / network), the last column.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
import timm
import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn

from fairaudit.config import InferenceSettings, Precision, Preprocess
from fairaudit.data.images import ImageBatch, ImageBatches
from fairaudit.data.manifest import Card, Manifest
from fairaudit.engine.devices import cores, keep_freed_memory
from fairaudit.engine.forward import Forward
from fairaudit.engine.predict import predict
from tests.benchmarks.rows import Row


@dataclass(frozen=True)
class Memory:
    """Encoded images in memory: the disk is not what is measured."""

    files: Mapping[str, bytes]

    def read(self, row: str) -> bytes:
        """Encoded bytes of one image."""
        return self.files[row]

    def missing(self, rows: Sequence[str]) -> list[str]:
        """None is missing."""
        return [row for row in rows if row not in self.files]


class Softmax:
    """Two classes."""

    tasks: Mapping[str, tuple[str, ...]] = {"gender": ("a", "b")}

    def scores(self, logits: Tensor) -> Mapping[str, Tensor]:
        """Task → (b, 2) probabilities."""
        return {"gender": logits.softmax(dim=1)}


@dataclass(frozen=True)
class Network:
    """A randomly initialised network of timm's."""

    model: nn.Module
    preprocess: Preprocess
    head: Softmax


def pictures(count: int, width: int, height: int) -> dict[str, bytes]:
    """JPEG files of blurred noise: about as many bytes per pixel as photographs have."""
    rng = np.random.default_rng(0)
    files = {}
    for i in range(count):
        noise = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        out = io.BytesIO()
        noise.filter(ImageFilter.GaussianBlur(1.5)).save(out, "JPEG", quality=90)
        files[f"{i}.jpg"] = out.getvalue()
    return files


def rounds(
    network: Network, manifest: Manifest, settings: InferenceSettings, repeats: int
) -> list[tuple[float, float, float]]:
    """Images per second of (decoding, network, whole), one triple per round."""
    workers, size = settings.workers or cores(), settings.batch_size or 16
    batches = ImageBatches(manifest.store, list(manifest.frame["row"]), network.preprocess, size)
    ready: list[ImageBatch] = [batches[i] for i in range(len(batches))]
    forward = Forward(network, torch.device("cpu"), settings.precision, size)
    found = []
    for repeat in range(repeats + 1):
        inside = torch.get_num_threads()
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            started = time.perf_counter()
            list(pool.map(batches.__getitem__, range(len(batches))))
            decoded = time.perf_counter()
            list(pool.map(lambda batch: forward.scores(batch, forward.logits(batch)), ready))
            computed = time.perf_counter()
        torch.set_num_threads(inside)
        whole = predict(network, manifest, settings)
        if repeat:  # the first round warms caches and thread pools up
            n = len(manifest)
            found.append((n / (decoded - started), n / (computed - decoded), whole.images_per_second))
    return found


def sources(arch: str, images: int, width: int, height: int, size: int) -> tuple[Network, Manifest, float]:
    """A network, images for it, and the median size of one in kB."""
    files = pictures(images, width, height)
    manifest = Manifest(pd.DataFrame({"row": list(files), "split": "all"}), Memory(files), Card("rendered here"))
    model = timm.create_model(arch, pretrained=False, num_classes=2).eval()
    preprocess = Preprocess(size=(size, size), interpolation="bicubic")
    kilobytes = statistics.median(len(data) for data in files.values()) / 1000
    return Network(model, preprocess, Softmax()), manifest, kilobytes


def rows_of(arch: str, images: int, repeats: int) -> list[Row]:
    """The whole against what the same cores can do when they decode and compute in turn; CelebA's pictures at 224."""
    keep_freed_memory()
    network, manifest, _ = sources(arch, images, 178, 218, 224)
    settings = InferenceSettings(device="cpu", precision="fp32", batch_size=16)
    found = rounds(network, manifest, settings, repeats)
    ceiling = [whole * (1 / decode + 1 / compute) for decode, compute, whole in found]
    return [Row.of(f"prediction end to end, {arch}", "decoding and the network, each alone, in turn", ceiling, 0.95)]


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--arch", default="resnet18", help="a timm network (default resnet18)")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--width", type=int, default=178)
    parser.add_argument("--height", type=int, default=218)
    parser.add_argument("--size", type=int, default=224, help="of the network's input")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[16])
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    precision: Precision = asked.precision
    told = keep_freed_memory()

    network, manifest, kilobytes = sources(asked.arch, asked.images, asked.width, asked.height, asked.size)
    source = f"{asked.images} JPEGs of {asked.width} × {asked.height} ({kilobytes:.0f} kB)"
    print(f"{asked.arch} {precision}, {source} to {asked.size}")
    print(f"{asked.workers or cores()} threads, allocator {'told' if told else 'untouched'}, {asked.rounds} rounds")
    print(f"{'batch':>5} {'decode':>8} {'network':>8} {'whole':>8} {'whole / slower half':>30} {'in turn':>8}")
    for size in asked.batch_size:
        settings = InferenceSettings(device="cpu", precision=precision, batch_size=size, workers=asked.workers)
        found = rounds(network, manifest, settings, asked.rounds)
        decode, compute, whole = (statistics.median(column) for column in zip(*found, strict=True))
        ratios = sorted(w / min(d, c) for d, c, w in found)
        spread = f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
        in_turn = 1 / (1 / decode + 1 / compute) / min(decode, compute)
        print(f"{size:>5} {decode:>8.1f} {compute:>8.1f} {whole:>8.1f} {spread:>30} {in_turn:>8.3f}")


if __name__ == "__main__":
    main()
