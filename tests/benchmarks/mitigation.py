"""Published claims of mitigation, tried again: ``python -m tests.benchmarks.mitigation TABLE --images DIR --weights FILE``.

Each table is one experiment of ``fairaudit mitigate`` with five seeds, sized for two processor cores, and resumable: an
interrupted run goes on where it stopped. What is printed is Markdown for the README. Tables:

- ``s0-wild``, ``s0-white``: max-group on UTKFace (Colakovic & Karakatič 2024), trained on a skewed sample and tested on a
  balanced one; the second cuts the sample to 90 % White. DIR holds ``utkface_wild`` and ``utkface``.
- ``s1``: race and gender by one network on UTKFace, val-attention (Oehri et al. 2023). DIR holds ``utkface``.
- ``spurious``: CelebA's Smiling with Male as a shortcut that holds for 95 % of the training images. DIR holds ``celeba``.
- ``drawn``: the same question on drawn faces; nothing is needed.

All but ``drawn`` train the last layer of a frozen MobileNetV2 with ImageNet weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairaudit.config import MitigateConfig
from fairaudit.data.locate import load_dataset
from fairaudit.results.mitigation import ArmResult, MitigationResult, Number
from fairaudit.workflows.mitigate import mitigate
from fairaudit.workflows.study import Watch

FROZEN = {"freeze": "backbone", "batch_size": 256, "epochs": 30, "lr": 3e-3, "select": "last", "workers": 2}


def s0(images: Path, weights: Path, out: Path, table: Path | None) -> MitigateConfig:
    """Gender by race: max-group, with and without a running loss, beside reweight."""
    skewed = (
        {"data": "utkface", "root": images / "utkface_wild"}
        if table is None
        else {"data": "table", "root": table, "data_options": {"images": images / "utkface_wild"}}
    )
    return MitigateConfig.model_validate(
        {
            **skewed,
            "test": {"data": "utkface", "root": images / "utkface"},
            "weights": str(weights),
            "network": {"arch": "torchvision/mobilenet_v2", "preprocess": {"size": (96, 96), "resize": "squash"}},
            "arms": [
                {"loss": "max-group"},
                {"loss": "max-group", "loss_options": {"ema": 0.1}},
                {"loss": "reweight"},
            ],
            "training": FROZEN,
            "audit": {"target": "gender", "by": [["race"]]},
        }
    )


def s0_wild(images: Path, weights: Path, out: Path) -> MitigateConfig:
    """The skew that the sample has by itself."""
    return s0(images, weights, out, None)


def s0_white(images: Path, weights: Path, out: Path) -> MitigateConfig:
    """Cut to 90 % White, the others in their own proportions."""
    frame = load_dataset("utkface", images / "utkface_wild", "all").frame
    rng = np.random.default_rng(0)
    white = np.flatnonzero(frame["race"] == "White")
    others = np.flatnonzero(frame["race"] != "White")
    kept = np.sort(np.concatenate([white, rng.choice(others, len(white) // 9, replace=False)]))
    return s0(images, weights, out, written(frame.iloc[kept], ("gender", "race"), out / "s0-white.csv"))


def s1(images: Path, weights: Path, out: Path) -> MitigateConfig:
    """Race and gender at once, weighted by the validation accuracy of their fourteen (here ten) cells."""
    return MitigateConfig.model_validate(
        {
            "data": "utkface",
            "root": images / "utkface",
            "split_shares": (0.45, 0.15, 0.40),
            "weights": str(weights),
            "network": {"arch": "torchvision/mobilenet_v2", "preprocess": {"size": (96, 96), "resize": "squash"}},
            "arms": [
                {"loss": "val-attention"},
                {"loss": "class-spread"},
                {"loss": "max-group"},
            ],
            "training": FROZEN,
            "audit": {"target": "race,gender", "by": [["race", "gender"]]},
        }
    )


def spurious(images: Path, weights: Path, out: Path) -> MitigateConfig:
    """Smiling with Male as a shortcut in training; validation and test images have it as the data do."""
    frame = load_dataset("celeba", images / "celeba", "all").frame
    rng = np.random.default_rng(0)
    agree = ((frame["Smiling"] == "yes") == (frame["Male"] == "Male")).to_numpy()  # smiling men and serious women
    order = rng.permutation(len(frame))
    split = np.full(len(frame), "train", dtype=object)
    split[order[:1750]] = "test"
    split[order[1750:3150]] = "val"
    train = split == "train"
    against = np.flatnonzero(train & ~agree)
    wanted = int((train & agree).sum()) // 19
    split[rng.permutation(against)[wanted:]] = ""
    kept = frame.assign(split=split)
    kept = kept[kept["split"] != ""]
    table = written(kept, ("split", "Smiling", "Male"), out / "spurious.csv")
    return MitigateConfig.model_validate(
        {
            "data": "table",
            "root": table,
            "data_options": {"images": images / "celeba"},
            "splits": "official",
            "weights": str(weights),
            "network": {"arch": "torchvision/mobilenet_v2", "preprocess": {"size": (96, 96), "resize": "squash"}},
            "arms": SPURIOUS_ARMS,
            "training": FROZEN | {"select": "worst-group"},
            "audit": {"target": "Smiling", "by": [["Smiling", "Male"]]},
        }
    )


def drawn(images: Path, weights: Path, out: Path) -> MitigateConfig:
    """Gender with glasses as a shortcut that holds for 90 %; every layer of a small network from scratch."""
    return MitigateConfig.model_validate(
        {
            "data": "synthetic",
            "data_options": {"n": 6000, "size": 48, "seed": 0, "spurious": "Eyeglasses~gender=woman:0.9"},
            "splits": "official",
            "compare_content": False,
            "network": {"arch": "timm/test_resnet", "preprocess": {"size": (48, 48), "resize": "squash"}},
            "arms": SPURIOUS_ARMS,
            "training": {"epochs": 8, "lr": 3e-3, "warmup": 1, "select": "worst-group"},
            "audit": {"target": "gender", "by": [["gender", "Eyeglasses"]]},
        }
    )


SPURIOUS_ARMS: list[dict[str, Any]] = [
    {"method": "last-layer"},
    {"loss": "group-dro", "training": {"balance": "groups"}, "label": "group-dro (balanced batches)"},
    {"loss": "reweight"},
    {"loss": "max-group", "training": {"balance": "groups"}, "label": "max-group (balanced batches)"},
    {"method": "subsample"},
]
TABLES: Mapping[str, Callable[[Path, Path, Path], MitigateConfig]] = {
    "s0-wild": s0_wild,
    "s0-white": s0_white,
    "s1": s1,
    "spurious": spurious,
    "drawn": drawn,
}


def written(frame: pd.DataFrame, columns: tuple[str, ...], path: Path) -> Path:
    """A table of labels for the ``table`` source.

    Args:
        frame: with ``row``, the images' paths.
        columns: what else is kept.
        path: the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.rename(columns={"row": "path"})[["path", *columns]].to_csv(path, index=False)
    return path.resolve()


def markdown(result: MitigationResult) -> str:
    """The table for the README: means over seeds, changes from the baseline, who lost most, seconds of a training."""
    by = tuple(result.settings["by"][0])
    kinds = (("accuracy", None), ("accuracy", "worst_group"), ("accuracy", "gap"), ("accuracy", "spread"))
    lines = [
        "| | accuracy | worst group | gap | SD over groups | lost most | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for arm in result.arms:
        numbers = [arm.number(metric, kind, by if kind else ()) for metric, kind in kinds]
        seconds = float(np.mean([run.seconds for run in arm.runs]))
        lines.append(f"| {arm.name} | {' | '.join(map(cell, numbers))} | {loser(arm)} | {seconds:.0f} |")
    images, s = result.images, result.settings
    return "\n".join([
        *lines, "",
        f"{s['architecture']} at {s['size'][0]} pixels; {images['train']:,} training, {images['validation']:,} validation "
        f"and {images['test']:,} test images; {s['seeds']} seeds; ✓ better, ✗ worse than erm at 95 %, over seeds and over "
        "images.",
    ])  # fmt: skip


def cell(one: Number | None) -> str:
    """``.829 ±.001 (−.009 ✗)``."""
    if one is None or np.isnan(one.value):
        return "undefined"
    value = f"{one.value:.3f} ±{one.sd:.3f}".replace("0.", ".")
    if np.isnan(one.change):
        return value
    mark = {"better": " ✓", "worse": " ✗"}.get(one.trend, "")
    return f"{value} ({one.change:+.3f}{mark})".replace("0.", ".").replace("-", "−")


def loser(arm: ArmResult) -> str:
    """The group that lost most, in the first grouping."""
    if not arm.losers:
        return "–"
    one = arm.losers[0]
    return f"{' '.join(one.group.values())} {one.after - one.before:+.3f}{'' if one.shown else ' (not shown)'}"


def main() -> int:
    """Run one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=sorted(TABLES))
    parser.add_argument("--images", type=Path, default=Path("data"))
    parser.add_argument("--weights", type=Path, default=Path("mobilenet_v2.pth"))
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    config = TABLES[asked.table](asked.images.resolve(), asked.weights.resolve(), asked.out)
    config = config.model_copy(update={"seeds": asked.seeds})
    watch = Watch(say=print, arm=lambda done, total, name, seed: print(f"{done}/{total} {name} seed {seed}", flush=True))
    found = mitigate(config, asked.out / asked.table, resume=(asked.out / asked.table).exists(), watch=watch)
    assert found is not None  # one process
    print(markdown(found.result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
