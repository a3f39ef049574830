"""Pages to open: an audit with everything a report must cope with, and hostile names in it; a comparison; an experiment."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from fairaudit.config import AuditSettings
from fairaudit.predictions import Column, Predictions, Task
from fairaudit.reports._gallery import gallery_section
from fairaudit.reports._pictures import pictures
from fairaudit.reports.html import document, render, render_comparison, render_mitigation
from fairaudit.results import AuditResult
from fairaudit.results.gallery import CLOSE, MISTAKE, Face, Gallery
from fairaudit.workflows.audit import audit
from tests.reports import records

HOSTILE = "<script>document.title='taken'</script>"
RACES = ("Black", "East Asian", HOSTILE, "Nobody", "White")


def predictions(n: int = 1500, labels: int = 1) -> Predictions:
    """Scores that are worse for some; one race has no image, and one few."""
    rng = np.random.default_rng(0)
    race = np.array([0, 1, 2, 4])[rng.choice(4, n, p=(0.35, 0.25, 0.01, 0.39))]
    gender = rng.integers(0, 2, n)
    tasks = {}
    for i in range(labels):
        y = rng.integers(0, 2, n)
        positive = np.clip(0.5 + 0.35 * (2 * y - 1) + rng.normal(0, 0.25 + 0.1 * (race == 0), n), 0.001, 0.999)
        score = np.stack([1 - positive, positive], 1)
        tasks[f"label {i}" if labels > 1 else "smile"] = Task(("no", "yes"), y, score.argmax(1), score)
    rows = np.array([f"{HOSTILE}/{i}.jpg" for i in range(n)], dtype=object)
    columns = {"race": Column(race, RACES), "gender": Column(gender, ("Female", "Male"))}
    return Predictions(rows, tasks, columns)


def audited() -> AuditResult:
    """Rules that pass, fail and cannot be decided; one and two attributes."""
    settings = {
        "by": [["race"], ["race", "gender"]], "positive": "yes",
        "rules": ["accuracy gap by race <= 0.02", "true_positive_rate difference by race <= 0.12",
                  "accuracy worst_group by race >= 0.5", "accuracy gap by race,gender <= 0.3"],
    }  # fmt: skip
    return audit(predictions(), AuditSettings.model_validate(settings))


def gallery() -> Gallery:
    """Two grey squares with hostile names, and an image that cannot be read."""
    stream = io.BytesIO()
    Image.new("RGB", (96, 64), (120, 110, 100)).save(stream, "JPEG")
    image = "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
    group: Mapping[str, str] = {"race": HOSTILE}
    faces = tuple(
        Face(f"{HOSTILE}{i}.jpg", group, kind, HOSTILE, "yes", 0.97, picture)
        for i, (kind, picture) in enumerate(((MISTAKE, image), (MISTAKE, ""), (CLOSE, image)))
    )
    return Gallery(("race",), faces, "Terms.")


def gallery_page() -> str:
    """An audit's page with faces."""
    result = audited()
    return document(result, pictures(result), model=HOSTILE, data=HOSTILE, besides=(gallery_section(gallery()),))


def labels_page() -> str:
    """Many labels side by side."""
    return render(audit(predictions(600, 12), AuditSettings.model_validate({"by": [["gender"]], "target": "all"})))


PAGES: Mapping[str, Callable[[], str]] = {
    "audit": lambda: render(audited()),
    "gallery": gallery_page,
    "labels": labels_page,
    "comparison": lambda: render_comparison(records.comparison()),
    "hostile comparison": lambda: render_comparison(records.hostile_comparison((HOSTILE, "b", "c"))),
    "experiment": lambda: render_mitigation(records.experiment()),
}
