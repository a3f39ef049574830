"""Table 1 of De Coninck et al. (2024) tried again: ``python -m tests.benchmarks.attribution --celeba DIR --out DIR``.

A network tells women from men where, in training, nobody of one gender has an attribute and most of the other have it:
Smiling as the paper has it and Eyeglasses mirrored (there are few women with glasses) on CelebA, Blond_Hair and Wearing_Hat
on drawn faces, of which the truth is known. Beside the plain training stand a balanced set of as many images and the four
kinds of ``attribution-mask``, five seeds each, all on one balanced test set. The table has means over seeds with their 95 %
intervals (Student), and p of a paired t-test against the plain training, of |gap| and of how much the attribute itself
leans decisions (a gap may have other reasons). It also draws the paper's Figure 7 (four kinds at one quantile) and Figure 8
(accuracy of both genders over the quantile). Everything goes on where it stopped; ``--table`` trains nothing and prints
what is there, of attributes that are not finished the seeds that every arm has.

Pictures have 48 pixels, patches 12 at 13 × 13 positions, the region classifier a quarter of ResNet-18's channels, training
sets 600 images: sized for an hour on one core, before any result was seen. 8 epochs at 5e-4 were chosen on the balanced
set's validation images. ``--size 128 --patch 32 --per-side 49 --width 64 --images 6000 --epochs 20`` is the paper's.
``--only NAME`` runs one attribute.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student
from scipy.stats import ttest_rel

from fairaudit.artifacts.folder import write_whole
from fairaudit.artifacts.tables import read_predictions
from fairaudit.attribution.masks import KINDS
from fairaudit.config import MitigateConfig, Stem
from fairaudit.engine.devices import keep_freed_memory
from fairaudit.errors import DataError
from fairaudit.predictions import FloatArray
from fairaudit.reports._figures.canvas import DASHES, MARKS, MUTED, SERIES, canvas, picture
from fairaudit.workflows.mitigate import mitigate
from fairaudit.workflows.run_folders import PREDICTIONS, RUN, run_folder
from fairaudit.workflows.study import Watch
from fairaudit.workflows.subset import BALANCED, BIASED
from tests.benchmarks.attribution_cases import (
    CURVE_KIND,
    CURVE_QUANTILES,
    SHOWN_QUANTILE,
    STEMS,
    TABLE_QUANTILES,
    Experiment,
    Sizes,
    asked_for,
    attributed,
    parser,
    root_of,
    subset,
)


@dataclass(frozen=True)
class Cell:
    """What one way left: (seeds,) arrays.

    Attributes:
        name: of the way.
        overall, men, women: accuracy.
        leaning: accuracy on pictures as the biased set has them less that on the contrary ones (of Smiling: men who smile,
            women who do not): what the attribute itself does to decisions.
    """

    name: str
    overall: FloatArray
    men: FloatArray
    women: FloatArray
    leaning: FloatArray

    @property
    def gap(self) -> FloatArray:
        """|women − men| of each seed."""
        return np.abs(self.women - self.men)


def run(
    one: Experiment, root: Path | None, sizes: Sizes, out: Path, stem: Stem, *, only_look: bool = False
) -> dict[str, Cell]:
    """Everything of one attribute.

    Args:
        one: the attribute.
        root: the dataset's folder.
        sizes: how large.
        out: folder of the attribute.
        stem: how the region classifier begins.
        only_look: train nothing.

    Returns:
        Way → what it left; ``original``, ``balanced``, and ``KIND QUANTILE``.
    """
    cut = out / "subset" if only_look else subset(one, root, sizes, out)
    images = root if root is not None else cut
    attribution = out / f"attribution-{stem}" if only_look else attributed(one, root, sizes, out, stem)
    arms = [
        {
            "method": "attribution-mask",
            "method_options": {"attribution": str(attribution), "kind": kind, "quantile": quantile},
            "label": f"{kind} {quantile:g}",
        }
        for kind in KINDS
        for quantile in one.tried(kind)
    ]
    plain = [{"loss": "cross-entropy"}]
    sets = {
        "balanced": experiment(one, sizes, cut / BALANCED, images, plain),
        f"biased-{stem}": experiment(one, sizes, cut / BIASED, images, arms),
    }
    for name, config in sets.items():
        if not only_look and not (out / name / "mitigation.json").exists():
            watch = Watch(
                say=lambda _: None, arm=lambda done, total, way, seed: print(f"{done}/{total} {way} {seed}", flush=True)
            )
            mitigate(config, out / name, resume=(out / name).exists(), watch=watch)
    balanced, biased = (left(one, config, out / name) for name, config in sets.items())
    return {"original": biased.pop("erm"), "balanced": balanced["erm"], **biased}


def experiment(
    one: Experiment, sizes: Sizes, table: Path, images: Path, arms: Sequence[Mapping[str, Any]]
) -> MitigateConfig:
    """Arms that are trained on one table."""
    return MitigateConfig.model_validate(
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
            "training": {"epochs": sizes.epochs, "batch_size": 64, "lr": 5e-4, "weight_decay": 1e-3, "device": "cpu",
                         "workers": 0, "log": "csv"},
            "audit": {"target": one.target, "by": [[one.target, one.confounder]]},
        }
    )  # fmt: skip


def left(one: Experiment, config: MitigateConfig, folder: Path) -> dict[str, Cell]:
    """Arm → what it left, for the seeds that all arms have finished."""
    seeds = [
        seed
        for seed in range(config.seeds)
        if all((run_folder(folder, arm, seed) / RUN).exists() for arm in config.trained)
    ]
    if not seeds:
        raise DataError(f"no seed of all arms is trained in {folder}")
    found = {}
    for arm in config.trained:
        rows = []
        for seed in seeds:
            table = read_predictions(run_folder(folder, arm, seed) / PREDICTIONS)
            task, column = table.tasks[one.target], table.attributes[one.confounder]
            with_it = column.codes == column.levels.index("yes")
            right = task.y_true == task.y_pred
            own = {level: task.y_true == task.classes.index(level) for level in (one.men, one.women)}
            usual = with_it != own[one.lacking]
            rows.append(
                (right.mean(), *(right[who].mean() for who in own.values()), right[usual].mean() - right[~usual].mean())
            )
        numbers = np.array(rows)
        found[arm.name] = Cell(arm.name, *numbers.T)
    return found


def interval(values: FloatArray) -> str:
    """Mean over seeds and its 95 % interval."""
    n = len(values)
    half = float(student.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return f"{values.mean():.2f} ± {half:.2f}"


def paired(one: FloatArray, other: FloatArray) -> str:
    """p of a paired t-test over the seeds that both have, which are trained in their order."""
    n = min(len(one), len(other))
    return f"{ttest_rel(one[:n], other[:n]).pvalue:.3f}" if n > 1 else ""


def markdown(results: Mapping[str, Mapping[str, Cell]]) -> str:
    """The table."""
    lines = [
        "| attribute | way | accuracy | men | women | gap | p | leaning | p |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, cells in results.items():
        plain = cells["original"]
        shown = ["original", "balanced", *(f"{kind} {q:g}" for kind in KINDS for q in TABLE_QUANTILES)]
        for way in (way for way in shown if way in cells):
            cell = cells[way]
            overall, men, women = (interval(v) for v in (cell.overall, cell.men, cell.women))
            lines.append(
                f"| {name} | {way} | {overall} | {men} | {women} | {interval(cell.gap)} | "
                f"{'' if cell is plain else paired(cell.gap, plain.gap)} | {interval(cell.leaning)} | "
                f"{'' if cell is plain else paired(cell.leaning, plain.leaning)} |"
            )
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
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--stem", choices=STEMS, default="imagenet")
    flags.add_argument("--table", action="store_true", help="train nothing, print what is there")
    asked = flags.parse_args(words)
    sizes, chosen = asked_for(asked)
    out: Path = asked.out
    torch.set_num_threads(1)
    keep_freed_memory()
    results = {}
    for one in chosen:
        begin = time.process_time()
        root, folder = root_of(one, asked.celeba), out / one.confounder.lower()
        if asked.table and not (folder / f"biased-{asked.stem}").exists():
            continue
        results[one.name] = run(one, root, sizes, folder, asked.stem, only_look=asked.table)
        print(f"{one.name}: {time.process_time() - begin:.0f} s of processor time", flush=True)
        if one.curve:
            write_whole(out / f"figure_8_{one.confounder.lower()}.png", figure_8(one.name, results[one.name]))
    write_whole(out / "figure_7.png", figure_7(results))
    text = markdown(results)
    write_whole(out / "table.md", text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
