"""Every classification network of timm and torchvision, from a state dict with another number of classes."""

from __future__ import annotations

import pytest

from fairaudit.errors import ArchitectureError
from fairaudit.models.architecture import candidates, recognise
from fairaudit.models.index import INDEX, load_index
from fairaudit.models.survey import every_name, outline, shapes_of


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_at_least_95_percent_of_all_names_are_recognised_or_among_the_candidates() -> None:
    index = load_index()
    names = every_name()
    lost: list[str] = []
    refused: dict[str, str] = {}
    plain = 0
    for name in names:
        try:
            shapes = shapes_of(outline(name, 7, {}).state_dict())
        except (RuntimeError, ValueError, TypeError) as error:
            lost.append(f"{name}: {error}")
            continue
        if name not in [entry.name for entry in candidates(shapes, index)]:
            lost.append(name)
            continue
        try:
            recognition = recognise(shapes, index)
        except ArchitectureError as error:
            refused[name] = str(error)
        else:
            plain += recognition.entry.name == name
    share = 1 - len(lost) / len(names)
    assert [name for name, sentence in refused.items() if name not in sentence] == []
    print(f"{len(names)} names: {share:.1%} found, {plain / len(names):.1%} by their own name")
    print(f"{len(refused)} need --arch; not found: {lost}")
    assert share >= 0.95


def test_the_shipped_index_is_small_and_complete() -> None:
    index = load_index()
    assert INDEX.stat().st_size < 400_000
    assert set(index.versions) == {"timm", "torchvision"}
    assert len(index.entries) > 1400
    assert all(entry.head for entry in index.entries)
    assert {"timm/resnet18", "torchvision/mobilenet_v2", "torchvision/regnet_x_400mf"} <= {e.name for e in index.entries}
