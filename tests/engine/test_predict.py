"""Prediction against a plain loop: order, batches, threads, gaps, limits, memory, interruption."""

from __future__ import annotations

import io
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms

from fairaudit.config import InferenceSettings, Precision, Preprocess
from fairaudit.data.images import ImageBatches
from fairaudit.data.manifest import Card, Manifest
from fairaudit.engine.forward import Forward
from fairaudit.engine.predict import _by_loader, _Limit, predict
from fairaudit.errors import CheckpointError, UnreadableImagesError
from fairaudit.predictions import FloatArray

CLASSES = ("female", "male", "other")
PREPROCESS = Preprocess(size=(24, 24), resize="squash")


@dataclass(frozen=True)
class Softmax:
    tasks: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"gender": CLASSES})

    def scores(self, logits: Tensor) -> Mapping[str, Tensor]:
        return {"gender": logits.softmax(dim=1)}


@dataclass
class Classifier:
    model: nn.Module
    head: Softmax = field(default_factory=Softmax)
    preprocess: Preprocess = PREPROCESS


@dataclass(frozen=True)
class Memory:
    files: Mapping[str, bytes]

    def read(self, row: str) -> bytes:
        if row not in self.files:
            raise FileNotFoundError(2, "No such file or directory", row)
        return self.files[row]

    def missing(self, rows: Sequence[str]) -> list[str]:
        return [row for row in rows if row not in self.files]


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    convolutions = [nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU()]
    last = nn.Linear(16, 3)
    nn.init.normal_(last.weight, std=2)
    return nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten(), last).eval()


def jpeg(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 4, 3), dtype=np.uint8))
    out = io.BytesIO()
    small.resize((31, 37), Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
    return out.getvalue()


FILES = {f"faces/{i:02d}.jpg": jpeg(i) for i in range(37)}


def manifest(files: Mapping[str, bytes] = FILES, rows: Sequence[str] = tuple(FILES)) -> Manifest:
    return Manifest(pd.DataFrame({"row": list(rows), "split": "all"}), Memory(files), Card("made here"))


def loop(model: nn.Module) -> FloatArray:
    """What anybody would write: Pillow, torchvision's transforms, one image at a time."""
    normalise = transforms.Normalize(PREPROCESS.mean, PREPROCESS.std)
    prepare = transforms.Compose([transforms.Resize(PREPROCESS.size), transforms.ToTensor(), normalise])
    images = [prepare(Image.open(io.BytesIO(data)).convert("RGB")) for data in FILES.values()]
    with torch.no_grad():
        rows = [model(image[None])[0].softmax(0).tolist() for image in images]
    return np.array(rows)


def test_equals_a_plain_loop_in_manifest_order() -> None:
    expected = loop(network())
    result = predict(Classifier(network()), manifest(), InferenceSettings(device="cpu", batch_size=8, workers=2))
    assert list(result.rows) == list(FILES)
    assert result.scores["gender"].shape == (37, 3)
    assert result.scores["gender"].dtype == np.float64
    # Two of 255 levels apart at the most, so close scores; and no decision moves.
    assert np.abs(result.scores["gender"] - expected).max() < 5e-3
    assert (result.scores["gender"].argmax(1) == expected.argmax(1)).all()
    assert len(set(expected.argmax(1))) > 1
    assert (result.device, result.precision, result.batch_size, result.workers) == ("cpu", "fp32", 8, 2)
    assert result.images_per_second == pytest.approx(37 / result.seconds)


def test_threads_do_not_change_a_bit_and_batches_hardly_any() -> None:
    results = {
        (size, workers): predict(
            Classifier(network()), manifest(), InferenceSettings(device="cpu", batch_size=size, workers=workers)
        )
        for size, workers in ((8, 1), (8, 2), (8, 5), (37, 1), (1, 3), (5, 0))
    }
    first = results[8, 1].scores["gender"]
    for (size, _), result in results.items():
        assert list(result.rows) == list(FILES)
        same = result.scores["gender"]
        assert np.allclose(same, first, atol=1e-5, rtol=0)
        assert (same.argmax(1) == first.argmax(1)).all()
        if size == 8:
            assert same.tobytes() == first.tobytes()


def test_scores_are_rounded_to_what_a_file_keeps() -> None:
    scores = predict(Classifier(network()), manifest(), InferenceSettings(device="cpu")).scores["gender"]
    assert (scores == scores.round(6)).all()


@pytest.mark.parametrize("workers", [0, 1])
def test_the_loader_of_a_gpu_gives_the_same(workers: int) -> None:
    classifier = Classifier(network())
    by_threads = predict(classifier, manifest(), InferenceSettings(device="cpu", batch_size=8))
    batches = ImageBatches(manifest().store, list(FILES), PREPROCESS, 8)
    forward = Forward(classifier, torch.device("cpu"), "fp32", 8)
    torch.set_num_threads(1)
    done = list(_by_loader(batches, range(len(batches)), forward, _Limit(0, 0), workers))
    assert [each.index for each in done] == list(range(5))
    assert [row for each in done for row in each.rows] == list(FILES)
    assert np.allclose(np.concatenate([each.scores["gender"] for each in done]), by_threads.scores["gender"], atol=1e-6)


def test_the_number_of_threads_inside_operators_is_restored() -> None:
    torch.set_num_threads(2)
    predict(Classifier(network()), manifest(), InferenceSettings(device="cpu", workers=2))
    assert torch.get_num_threads() == 2


def test_progress_ends_at_all_images() -> None:
    seen: list[tuple[int, int]] = []
    settings = InferenceSettings(device="cpu", batch_size=4, workers=2)
    predict(Classifier(network()), manifest(), settings, lambda done, total: seen.append((done, total)))
    assert len(seen) == 10
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (37, 37)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_is_used_only_when_asked_for(precision: Precision) -> None:
    full = predict(Classifier(network()), manifest(), InferenceSettings(device="cpu"))
    lower = predict(Classifier(network()), manifest(), InferenceSettings(device="cpu", precision=precision))
    apart = np.abs(lower.scores["gender"] - full.scores["gender"]).max()
    assert 0 < apart < 0.05
    assert lower.precision == precision


def test_unreadable_images_up_to_the_limit_are_listed_and_left_out() -> None:
    files = {**FILES, "faces/03.jpg": b"", "faces/20.jpg": FILES["faces/20.jpg"][:200]}
    del files["faces/36.jpg"]
    whole = predict(Classifier(network()), manifest(), InferenceSettings(device="cpu", batch_size=8))
    result = predict(
        Classifier(network()), manifest(files), InferenceSettings(device="cpu", batch_size=8, max_unreadable=3)
    )
    assert [row for row, _ in result.unreadable] == ["faces/03.jpg", "faces/20.jpg", "faces/36.jpg"]
    assert result.unreadable[0] == ("faces/03.jpg", "the file is empty")
    assert result.unreadable[2] == ("faces/36.jpg", "No such file or directory")
    kept = [i for i, row in enumerate(FILES) if row in set(result.rows)]
    assert list(result.rows) == [row for row in FILES if row not in dict(result.unreadable)]
    assert np.allclose(result.scores["gender"], whole.scores["gender"][kept], atol=1e-5)


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.inner = network()

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        return self.inner(images)  # type: ignore[no-any-return]


def test_more_unreadable_images_than_allowed_are_all_counted() -> None:
    files = dict(FILES)
    for i in (0, 7, 9, 11, 30, 36):
        files[f"faces/{i:02d}.jpg"] = b""
    del files["faces/05.jpg"]
    model = Counting()
    with pytest.raises(UnreadableImagesError) as caught:
        predict(Classifier(model), manifest(files), InferenceSettings(device="cpu", batch_size=4))
    assert str(caught.value) == (
        "7 of 37 images cannot be read, and --max-unreadable allows 0: faces/00.jpg (the file is empty); "
        "faces/05.jpg (No such file or directory); faces/07.jpg (the file is empty); faces/09.jpg (the file is empty); "
        "faces/11.jpg (the file is empty); and 2 more; mend or remove them, or allow more"
    )
    assert model.calls == 0  # the missing file was known beforehand, so that the network was spared


def test_the_network_is_spared_once_the_limit_is_exceeded() -> None:
    files = {row: b"" if i < 4 else data for i, (row, data) in enumerate(FILES.items())}
    model = Counting()
    with pytest.raises(UnreadableImagesError, match="4 of 37 images"):
        predict(
            Classifier(model), manifest(files), InferenceSettings(device="cpu", batch_size=1, workers=1, max_unreadable=2)
        )
    assert model.calls < 30


def test_nothing_readable_is_an_empty_result_where_that_is_allowed() -> None:
    result = predict(Classifier(network()), manifest({}), InferenceSettings(device="cpu", max_unreadable=37))
    assert len(result.rows) == 0
    assert result.scores["gender"].shape == (0, 3)
    assert len(result.unreadable) == 37


class Forgetful(Counting):
    """Has memory for three images only."""

    def __init__(self, error: Exception, most: int = 3) -> None:
        super().__init__()
        self.error, self.most = error, most

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > self.most:
            raise self.error
        return super().forward(images)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried …"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "cpu-old", "python"],
)
def test_the_batch_is_halved_when_memory_runs_out(error: Exception) -> None:
    whole = predict(Classifier(network()), manifest(), InferenceSettings(device="cpu", batch_size=16, workers=2))
    halved = predict(Classifier(Forgetful(error)), manifest(), InferenceSettings(device="cpu", batch_size=16, workers=2))
    assert halved.batch_size == 2
    assert list(halved.rows) == list(FILES)
    assert np.allclose(halved.scores["gender"], whole.scores["gender"], atol=1e-5)


def test_a_network_that_does_not_fit_at_all() -> None:
    with pytest.raises(CheckpointError) as caught:
        predict(Classifier(Forgetful(MemoryError(), most=0)), manifest(), InferenceSettings(device="cpu"))
    assert str(caught.value) == "the network does not fit into the memory of 'cpu', even with one image at a time"


class Poisoned(Counting):
    """Answers nan for dark images."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        logits[images.mean(dim=(1, 2, 3)) < -9] = torch.nan
        return logits


def test_an_output_that_is_no_number_names_the_first_row() -> None:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    files = {**FILES, **{f"faces/{i}.jpg": out.getvalue() for i in (17, 18, 30)}}
    preprocess = PREPROCESS.model_copy(update={"mean": (2.0, 2.0, 2.0), "std": (0.2, 0.2, 0.2)})
    for workers in (1, 4):
        settings = InferenceSettings(device="cpu", batch_size=4, workers=workers)
        with pytest.raises(CheckpointError) as caught:
            predict(Classifier(Poisoned(), preprocess=preprocess), manifest(files), settings)
        assert str(caught.value) == (
            "the network's output for 'faces/17.jpg' is not a finite number; its weights or its mean and std are broken"
        )


def test_a_network_of_another_input_size_is_one_sentence() -> None:
    from timm.models.vision_transformer import VisionTransformer

    model = VisionTransformer(img_size=64, patch_size=16, embed_dim=32, depth=1, num_heads=2, num_classes=3)
    preprocess = PREPROCESS.model_copy(update={"size": (32, 32)})
    with pytest.raises(CheckpointError) as caught:
        predict(Classifier(model, preprocess=preprocess), manifest(), InferenceSettings(device="cpu"))
    assert str(caught.value) == (
        "the network fails on images of 32 × 32 pixels: Input height (32) doesn't match model (64); "
        "give the size that it was trained with (--size)"
    )


def test_a_network_that_is_no_classifier() -> None:
    with pytest.raises(CheckpointError) as caught:
        predict(Classifier(nn.Conv2d(3, 4, 3)), manifest(), InferenceSettings(device="cpu", batch_size=16))
    assert str(caught.value) == (
        "the network returned shape (16, 4, 22, 22) for 16 images; a classifier returns one row of numbers per image"
    )


class Endless(nn.Module):
    """A network of very many slow layers."""

    def __init__(self, started: threading.Event) -> None:
        super().__init__()
        self.layer = nn.Identity()
        self.started = started

    def forward(self, images: Tensor) -> Tensor:
        self.started.set()
        for _ in range(2000):
            time.sleep(0.01)
            images = self.layer(images)
        return images


def test_an_interruption_ends_within_a_second() -> None:
    started = threading.Event()
    asked: list[float] = []
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        started.wait(10)
        time.sleep(0.1)
        asked.append(time.perf_counter())
        signal.pthread_kill(main, signal.SIGINT)

    before = threading.active_count()
    hand = threading.Thread(target=interrupt)
    hand.start()
    with pytest.raises(KeyboardInterrupt):
        predict(Classifier(Endless(started)), manifest(), InferenceSettings(device="cpu", batch_size=4, workers=2))
    assert time.perf_counter() - asked[0] < 1
    hand.join()
    assert threading.active_count() == before
