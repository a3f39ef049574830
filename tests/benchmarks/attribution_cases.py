"""What the table of attribution is made of: four attributes, how large everything is, subsets and region classifiers.

``attribution.py`` trains with what is here, ``attribution_stems.py`` compares the two ways in which a region classifier may
begin; both go on from the same folder, so a classifier is fitted once.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fairaudit.artifacts.folder import write_whole
from fairaudit.config import AttributeConfig, Stem
from fairaudit.data.locate import load_dataset
from fairaudit.errors import DataError
from fairaudit.workflows.attribute import fit
from fairaudit.workflows.subset import BALANCED, BIASED, Wish, cut_subset

STEMS: tuple[Stem, ...] = ("imagenet", "cifar")
TABLE_QUANTILES = (0.6, 0.8)
CURVE_QUANTILES = (0.6, 0.7, 0.8, 0.9)
CURVE_KIND = "general-noise"
SHOWN_QUANTILE = 0.8
SAMPLE = 256
"""Validation images of a region classifier all of whose patches are classified."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Experiment:
    """One attribute.

    Attributes:
        name: of it in results.
        data: dataset.
        options: of its source.
        target: what is predicted.
        lacking: level that never has the attribute in training.
        women, men: its levels.
        confounder: the attribute.
        place: where a person expects it: part of drawn faces, or top, bottom, left and right as shares of CelebA's aligned
            pictures, whose eyes and corners of the mouth lie at fixed places.
        quantiles: that every kind is tried with.
        curve: whether one kind is tried with more of them.
    """

    name: str
    data: str
    options: Mapping[str, Any]
    target: str
    lacking: str
    women: str
    men: str
    confounder: str
    place: str | Box
    quantiles: tuple[float, ...] = (SHOWN_QUANTILE,)
    curve: bool = False

    def tried(self, kind: str) -> tuple[float, ...]:
        """Quantiles that a kind is tried with."""
        return CURVE_QUANTILES if self.curve and kind == CURVE_KIND else self.quantiles


@dataclass(frozen=True)
class Sizes:
    """How large everything is; see ``parser`` for what is usual."""

    size: int
    patch: int
    per_side: int
    width: int
    images: int
    epochs: int
    fit_epochs: int
    fit_images: int
    seeds: int
    drawn: int


MOUTH: Box = (0.63, 0.78, 0.33, 0.67)
EYES: Box = (0.43, 0.60, 0.24, 0.76)


def experiments(sizes: Sizes) -> list[Experiment]:
    """The four of the table."""
    faces = {"n": sizes.drawn, "size": sizes.size, "seed": 3}
    return [
        Experiment("Smiling", "celeba", {}, "Male", "Male", "Female", "Male", "Smiling", MOUTH, TABLE_QUANTILES, True),
        Experiment("Eyeglasses (mirrored)", "celeba", {}, "Male", "Female", "Female", "Male", "Eyeglasses", EYES),
        Experiment("Blond_Hair (drawn)", "synthetic", faces | {"shares": "Blond_Hair=yes:0.4"}, "gender", "man", "woman",
                   "man", "Blond_Hair", "hair"),
        Experiment("Wearing_Hat (drawn)", "synthetic", faces | {"shares": "Wearing_Hat=yes:0.4"}, "gender", "man", "woman",
                   "man", "Wearing_Hat", "hat"),
    ]  # fmt: skip


def root_of(one: Experiment, celeba: Path) -> Path | None:
    """The folder of its dataset."""
    return celeba if one.data == "celeba" else None


def subset(one: Experiment, root: Path | None, sizes: Sizes, folder: Path) -> Path:
    """The biased and the balanced set, cut where they are not yet.

    Args:
        one: the attribute.
        root: the dataset's folder.
        sizes: how large.
        folder: of the attribute.

    Returns:
        Folder of the two tables.
    """
    cut = folder / "subset"
    if not (cut / BALANCED).exists():
        wish = Wish(one.target, one.confounder, one.lacking, size=sizes.images)
        try:
            cut_subset(one.data, root, wish, cut, data_options=one.options)
        except DataError:  # not so many are there: as many as there are
            cut_subset(one.data, root, Wish(one.target, one.confounder, one.lacking), cut, data_options=one.options)
        for name in (BIASED, BALANCED):  # forty columns cost an experiment of many arms as much as its trainings
            found = pd.read_csv(cut / name)[["path", "split", one.target, one.confounder]]
            write_whole(cut / name, found.to_csv(index=False))
    return cut


def tested(cut: Path) -> pd.DataFrame:
    """Rows of the test set, which no region classifier sees, with ``row`` as the dataset knows them."""
    found = pd.read_csv(cut / BIASED).query("split == 'test'")
    return found.assign(row=found["path"].str.removeprefix("images/"))


def attributed(one: Experiment, root: Path | None, sizes: Sizes, folder: Path, stem: Stem) -> Path:
    """The region classifier, fitted where it is not yet, on what is not tested on.

    Args:
        one: the attribute.
        root: the dataset's folder.
        sizes: how large.
        folder: of the attribute.
        stem: how the classifier begins.

    Returns:
        Folder of the attribution.
    """
    out = folder / f"attribution-{stem}"
    if (out / "attribution.json").exists():
        return out
    limit = sizes.fit_images
    if root is None:  # pictures that are drawn: those of the subset lie in its folder, the rest is drawn again
        limit //= 2  # they differ less, so fewer teach as much
        options: dict[str, Any] = {"data": "synthetic", "data_options": one.options, "split": "train"}
    else:
        manifest = load_dataset(one.data, root, "all", **one.options)
        rest = manifest.frame[~manifest.frame["row"].isin(set(tested(subset(one, root, sizes, folder))["row"]))]
        table = folder / "rest.csv"
        rest.rename(columns={"row": "path"})[["path", one.confounder]].to_csv(table, index=False)
        options = {"data": "table", "root": table, "data_options": {"images": root}}
        limit = min(limit, len(rest))
    config = AttributeConfig.model_validate(
        {
            **options,
            "attribute": one.confounder,
            "limit": limit,
            "size": sizes.size,
            "patch": sizes.patch,
            "per_side": sizes.per_side,
            "stem": stem,
            "width": sizes.width,
            "temperature": True,
            "sample": SAMPLE,
            "training": {
                "epochs": sizes.fit_epochs,
                "batch_size": 128,
                "lr": 2e-3,
                "schedule": "cosine",
                "balance": "groups",
                "device": "cpu",
                "workers": 0,
            },
        }
    )
    begin = time.process_time()
    found = fit(config, out, resume=True, say=print)
    assert found is not None  # one process
    c = found.attribution.calibration
    print(
        f"{one.name}, {stem}: fitted in {time.process_time() - begin:.0f} s of processor time, right on "
        f"{100 * c.accuracy:.1f} % of validation patches, calibration error {c.error:.3f} ({c.uncorrected:.3f} before "
        f"temperature {c.temperature:.2f})",
        flush=True,
    )
    return out


def parser(description: str, out: str = "runs/attribution") -> argparse.ArgumentParser:
    """The flags that both benchmarks know."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--celeba", type=Path, default=Path("data/celeba"))
    found.add_argument("--out", type=Path, default=Path(out))
    found.add_argument("--only", action="append", help="an attribute: Smiling, Eyeglasses, Blond_Hair, Wearing_Hat")
    for name, value in {"size": 48, "patch": 12, "per_side": 13, "width": 16, "images": 600, "epochs": 8,
                        "fit_epochs": 60, "fit_images": 6000, "seeds": 5, "drawn": 8000}.items():  # fmt: skip
        found.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    return found


def asked_for(asked: argparse.Namespace) -> tuple[Sizes, Sequence[Experiment]]:
    """Sizes and attributes of parsed flags."""
    sizes = Sizes(**{name: getattr(asked, name) for name in Sizes.__dataclass_fields__})
    return sizes, [one for one in experiments(sizes) if asked.only is None or one.confounder in asked.only]
