"""Table 1 of De Coninck et al. (2024) tried again: ``python -m tests.benchmarks.attribution --celeba DIR --out DIR``.

A network tells women from men where, in training, nobody of one gender has an attribute and most of the other have it:
Smiling as the paper has it and Eyeglasses mirrored (there are few women with glasses) on CelebA, Blond_Hair and Wearing_Hat
on drawn faces, of which the truth is known. Beside the plain training stand a balanced set of as many images and the four
kinds of ``attribution-mask``, five seeds each, all on one balanced test set. The table has means over seeds with their 95 %
intervals (Student), and p of a paired t-test of |gap| against the plain training. It also draws the paper's Figure 7 (four
kinds at one quantile) and Figure 8 (accuracy of both genders over the quantile). Everything goes on where it stopped.

Pictures have 64 pixels, patches 16 at 13 × 13 positions, the region classifier a quarter of ResNet-18's channels, training
sets at most 900 images: sized for 40 minutes on one core. ``--size 128 --patch 32 --per-side 49 --width 64 --images 6000
--epochs 20`` is the paper's. ``--only NAME`` runs one attribute.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import t as student
from scipy.stats import ttest_rel

from fairaudit.artifacts.folder import write_whole
from fairaudit.artifacts.tables import read_predictions
from fairaudit.attribution.masks import KINDS
from fairaudit.config import AttributeConfig, MitigateConfig
from fairaudit.data.locate import load_dataset
from fairaudit.engine.devices import keep_freed_memory
from fairaudit.errors import DataError
from fairaudit.predictions import FloatArray
from fairaudit.reports._figures.canvas import DASHES, MARKS, MUTED, SERIES, canvas, picture
from fairaudit.workflows.attribute import fit
from fairaudit.workflows.mitigate import mitigate
from fairaudit.workflows.run_folders import PREDICTIONS, run_folder
from fairaudit.workflows.study import Watch
from fairaudit.workflows.subset import BALANCED, BIASED, Wish, cut_subset

TABLE_QUANTILES = (0.6, 0.8)
CURVE_QUANTILES = (0.5, 0.6, 0.7, 0.8, 0.9)
CURVE_KIND = "general-noise"
SHOWN_QUANTILE = 0.8


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
        curve: whether every quantile is tried; otherwise one.
    """

    name: str
    data: str
    options: Mapping[str, Any]
    target: str
    lacking: str
    women: str
    men: str
    confounder: str
    curve: bool = False

    def quantiles(self, kind: str) -> tuple[float, ...]:
        """Those that a kind is tried with."""
        if not self.curve:
            return (SHOWN_QUANTILE,)
        return CURVE_QUANTILES if kind == CURVE_KIND else TABLE_QUANTILES


@dataclass(frozen=True)
class Sizes:
    """How large everything is; see the module."""

    size: int
    patch: int
    per_side: int
    width: int
    images: int
    epochs: int
    fit_epochs: int
    fit_images: int
    seeds: int
    stem: str


def experiments(drawn: int, size: int) -> list[Experiment]:
    """The four of the table."""
    faces = {"n": drawn, "size": size, "seed": 3}
    return [
        Experiment("Smiling", "celeba", {}, "Male", "Male", "Female", "Male", "Smiling", curve=True),
        Experiment("Eyeglasses (mirrored)", "celeba", {}, "Male", "Female", "Female", "Male", "Eyeglasses", curve=True),
        Experiment("Blond_Hair (drawn)", "synthetic", faces | {"shares": "Blond_Hair=yes:0.4"}, "gender", "man", "woman",
                   "man", "Blond_Hair"),
        Experiment("Wearing_Hat (drawn)", "synthetic", faces | {"shares": "Wearing_Hat=yes:0.4"}, "gender", "man", "woman",
                   "man", "Wearing_Hat"),
    ]  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """What one way left: (seeds,) arrays.

    Attributes:
        name: of the way.
        overall, men, women: accuracy.
    """

    name: str
    overall: FloatArray
    men: FloatArray
    women: FloatArray

    @property
    def gap(self) -> FloatArray:
        """|women − men| of each seed."""
        return np.abs(self.women - self.men)


def run(one: Experiment, root: Path | None, sizes: Sizes, out: Path) -> dict[str, Cell]:
    """Everything of one attribute.

    Args:
        one: the attribute.
        root: the dataset's folder.
        sizes: how large.
        out: folder of the experiment.

    Returns:
        Way → what it left; ``original``, ``balanced``, and ``KIND QUANTILE``.
    """
    cut, size = out / "subset", sizes.images
    if not (cut / BIASED).exists():
        wish = Wish(one.target, one.confounder, one.lacking, size=size)
        try:
            cut_subset(one.data, root, wish, cut, data_options=one.options)
        except DataError:  # not so many are there: as many as there are
            cut_subset(one.data, root, Wish(one.target, one.confounder, one.lacking), cut, data_options=one.options)
    images = root if root is not None else cut
    attribution = out / "attribution"
    if not (attribution / "attribution.json").exists():
        fitted(one, root, sizes, cut, attribution)
    quantiles = [(kind, q) for kind in KINDS for q in one.quantiles(kind)]
    arms = [
        {
            "method": "attribution-mask",
            "method_options": {"attribution": str(attribution), "kind": kind, "quantile": quantile},
            "label": f"{kind} {quantile:g}",
        }
        for kind, quantile in quantiles
    ]
    found = {"original": one_cell(one, sizes, cut / BIASED, images, arms, out / "biased", "erm", "original")}
    for arm in arms:
        name = str(arm["label"])
        found[name] = one_cell(one, sizes, cut / BIASED, images, arms, out / "biased", name, name)
    plain: list[dict[str, Any]] = [{"loss": "cross-entropy"}]
    found["balanced"] = one_cell(one, sizes, cut / BALANCED, images, plain, out / "balanced", "erm", "balanced")
    return found


def fitted(one: Experiment, root: Path | None, sizes: Sizes, cut: Path, folder: Path) -> None:
    """The region classifier, on everything that is not tested on."""
    manifest = load_dataset(one.data, root, "all", **one.options)
    tested = pd.read_csv(cut / BIASED).query("split == 'test'")["path"].str.removeprefix("images/")
    if root is None:  # pictures that are drawn: those of the subset lie in its folder, the rest is drawn again
        options: dict[str, Any] = {"data": "synthetic", "data_options": one.options, "split": "train"}
    else:
        rest = manifest.frame[~manifest.frame["row"].isin(set(tested))]
        table = folder.with_name("rest.csv")
        rest.rename(columns={"row": "path"})[["path", one.confounder]].to_csv(table, index=False)
        options = {"data": "table", "root": table, "data_options": {"images": root}}
    config = AttributeConfig.model_validate(
        {
            **options,
            "attribute": one.confounder,
            "limit": min(sizes.fit_images, len(manifest)),
            "size": sizes.size,
            "patch": sizes.patch,
            "per_side": sizes.per_side,
            "stem": sizes.stem,
            "width": sizes.width,
            "temperature": True,
            "training": {"epochs": sizes.fit_epochs, "balance": "groups", "device": "cpu", "workers": 0},
        }
    )
    begin = time.perf_counter()
    found = fit(config, folder, say=print)
    assert found is not None  # one process
    c = found.attribution.calibration
    print(
        f"{one.name}: fitted in {time.perf_counter() - begin:.0f} s, right on {100 * c.accuracy:.1f} % of patches, "
        f"calibration error {c.error:.3f} ({c.uncorrected:.3f} before temperature {c.temperature:.2f})",
        flush=True,
    )


def one_cell(
    one: Experiment, sizes: Sizes, table: Path, images: Path, arms: Sequence[Mapping[str, Any]], folder: Path, arm: str,
    name: str,
) -> Cell:  # fmt: skip
    """What one arm left; all arms of its experiment are trained first where they are not."""
    config = MitigateConfig.model_validate(
        {
            "data": "table",
            "root": table.resolve(),
            "data_options": {"images": images.resolve()},
            "splits": "official",
            "compare_content": False,
            "network": {
                "arch": "fairaudit/gender-cnn",
                "preprocess": {"size": (sizes.size, sizes.size), "resize": "squash"},
            },
            "arms": list(arms),
            "seeds": sizes.seeds,
            "training": {"epochs": sizes.epochs, "batch_size": 64, "lr": 1e-3, "weight_decay": 1e-3, "device": "cpu",
                         "workers": 0, "log": "csv"},
            "audit": {"target": one.target, "by": [[one.target], [one.target, one.confounder]]},
        }
    )  # fmt: skip
    if not (folder / "mitigation.json").exists():
        watch = Watch(
            say=lambda _: None, arm=lambda done, total, way, seed: print(f"{done}/{total} {way} {seed}", flush=True)
        )
        mitigate(config, folder, resume=folder.exists(), watch=watch)
    trained = next(a for a in config.trained if a.name == arm)
    rows = []
    for seed in range(sizes.seeds):
        task = read_predictions(run_folder(folder, trained, seed) / PREDICTIONS).tasks[one.target]
        right = task.y_true == task.y_pred
        own = {level: right[task.y_true == task.classes.index(level)].mean() for level in (one.men, one.women)}
        rows.append((right.mean(), own[one.men], own[one.women]))
    overall, men, women = np.array(rows).T
    return Cell(name, overall, men, women)


def interval(values: FloatArray) -> str:
    """Mean over seeds and its 95 % interval."""
    n = len(values)
    half = float(student.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return f"{values.mean():.2f} ± {half:.2f}"


def markdown(results: Mapping[str, Mapping[str, Cell]]) -> str:
    """The table."""
    lines = ["| attribute | way | accuracy | men | women | gap | p |", "|---|---|---|---|---|---|---|"]
    for name, cells in results.items():
        plain = cells["original"]
        shown = ["original", "balanced", *(f"{kind} {q:g}" for kind in KINDS for q in TABLE_QUANTILES)]
        for way in (way for way in shown if way in cells):
            cell = cells[way]
            p = "" if cell is plain or len(cell.gap) < 2 else f"{ttest_rel(cell.gap, plain.gap).pvalue:.3f}"
            numbers = " | ".join(interval(v) for v in (cell.overall, cell.men, cell.women, cell.gap))
            lines.append(f"| {name} | {way} | {numbers} | {p} |")
    return "\n".join(lines)


def figure_7(results: Mapping[str, Mapping[str, Cell]], quantile: float = SHOWN_QUANTILE) -> bytes:
    """Gap of the four kinds at one quantile, beside the original and the balanced set."""
    ways = ["original", "balanced", *(f"{kind} {quantile:g}" for kind in KINDS)]
    with canvas(7.2, 3.2) as figure:
        axes = figure.subplots()
        width = 0.8 / len(ways)
        for i, way in enumerate(ways):
            gaps = [cells[way].gap.mean() for cells in results.values()]
            places = [k + (i - (len(ways) - 1) / 2) * width for k in range(len(gaps))]
            axes.bar(places, gaps, 0.92 * width, label=way, color=SERIES[i % len(SERIES)])
            for place, cells in zip(places, results.values(), strict=True):
                axes.scatter([place] * len(cells[way].gap), cells[way].gap, s=4, color=MUTED, zorder=3)
        axes.set_xticks(range(len(results)), list(results))
        axes.set_ylabel("|women − men| in accuracy")
        axes.legend(ncols=3, fontsize=7)
    return picture(figure, "figure 7", "Gap by kind", "Gap in accuracy between women and men, by kind of treatment").png()


def figure_8(name: str, cells: Mapping[str, Cell]) -> bytes:
    """Accuracy of men and women over the quantile."""
    with canvas(4.6, 3.2) as figure:
        axes = figure.subplots()
        for i, who in enumerate(("women", "men")):
            values = [getattr(cells[f"{CURVE_KIND} {q:g}"], who) for q in CURVE_QUANTILES]
            mean = [float(v.mean()) for v in values]
            spread = [float(v.std(ddof=1)) if len(v) > 1 else 0.0 for v in values]
            axes.errorbar(CURVE_QUANTILES, mean, spread, label=who, color=SERIES[i], linestyle=DASHES[i], marker=MARKS[i])
            axes.axhline(float(getattr(cells["original"], who).mean()), color=SERIES[i], linewidth=0.7, linestyle=DASHES[2])
        axes.set(xlabel="quantile (to the right less is hidden)", ylabel="accuracy", title=f"{name}: {CURVE_KIND}")
        axes.legend()
    return picture(figure, f"figure 8 {name}", name, "Accuracy of both genders over the quantile; dotted: original").png()


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--celeba", type=Path, default=Path("data/celeba"))
    parser.add_argument("--out", type=Path, default=Path("runs/attribution"))
    parser.add_argument("--only", action="append", help="an attribute: Smiling, Eyeglasses, Blond_Hair, Wearing_Hat")
    for name, value in {"size": 64, "patch": 16, "per_side": 13, "width": 16, "images": 900, "epochs": 8,
                        "fit_epochs": 60, "fit_images": 6000, "seeds": 5, "drawn": 8000}.items():  # fmt: skip
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    parser.add_argument("--stem", choices=("cifar", "imagenet"), default="imagenet")
    asked = vars(parser.parse_args(words))
    torch.set_num_threads(1)
    keep_freed_memory()
    celeba, out, only, drawn = (asked.pop(name) for name in ("celeba", "out", "only", "drawn"))
    sizes = Sizes(**asked)
    results = {}
    for one in experiments(drawn, sizes.size):
        if only is None or one.confounder in only:
            begin = time.perf_counter()
            results[one.name] = run(one, celeba if one.data == "celeba" else None, sizes, out / one.confounder.lower())
            print(f"{one.name}: {time.perf_counter() - begin:.0f} s", flush=True)
            if one.curve:
                write_whole(out / f"figure_8_{one.confounder.lower()}.png", figure_8(one.name, results[one.name]))
    write_whole(out / "figure_7.png", figure_7(results))
    text = markdown(results)
    write_whole(out / "table.md", text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
