"""Probes: predictions without the region of an attribute, compared with those of the images as they are."""

from __future__ import annotations

from fairaudit.attribution.probes import probe_regions, without
from fairaudit.comparison import PairComparison
from fairaudit.engine.predict import predict
from fairaudit.results.explanation import Probe, ProbeChange
from fairaudit.workflows.compare import Side, compare
from fairaudit.workflows.explain_scene import Progress, Scene, joined

METRIC = "accuracy"


def probe(scene: Scene, progress: Progress | None) -> tuple[Probe, ...]:
    """Take the region of every attribute away, and see whose errors vanish.

    Args:
        scene: network, images, their predictions and the maps.
        progress: told (images done, images in all) of each run.
    """
    config, manifest = scene.config, scene.plan.manifest
    settings = scene.plan.audit.model_copy(update={"rules": (), "by": scene.plan.audit.by[:1]})
    found = []
    for name, values in scene.maps.items():
        region, control = probe_regions(values, config.explain.quantile)
        sides = []
        for what, area in ((f"without {name}", region), ("without as much elsewhere", control)):
            masked = without(scene.classifier, area, config.explain.baseline)
            said = predict(masked, manifest, config.inference, progress)
            sides.append(Side(what, joined(said, scene.plan, scene.spelt)))
        first, second = compare([Side("as it is", scene.predictions)], sides, settings).pairs
        found.append(Probe(name, float(region.mean()), _changes(first), _changes(second)))
    return tuple(found)


def _changes(pair: PairComparison) -> tuple[ProbeChange, ...]:
    every = [*(change for grouping in pair.groupings for change in grouping.changes), *pair.overall.changes]
    return tuple(
        ProbeChange(
            c.group, c.before.value, c.after.value, c.change.value, c.change.ci_low, c.change.ci_high, c.p_adjusted,
            c.gained, c.lost, c.trend.value,
        )
        for c in every
        if c.metric == METRIC and c.kind is None
    )  # fmt: skip
