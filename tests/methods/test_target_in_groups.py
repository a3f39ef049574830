"""A grouping may name the target, for methods that balance cells; others must not see it there."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from fairaudit.errors import FairauditError
from fairaudit.methods import contrastive, domain_independent, infer_groups, last_layer, lisa, subsample, thresholds
from fairaudit.methods._cells import cells_of
from fairaudit.methods._target import attributes_of, declared_cells, is_target
from fairaudit.methods.lisa import SelectiveMixer
from fairaudit.methods.thresholds import GroupThresholds
from fairaudit.models.classifier import build_network, save_classifier
from fairaudit.models.head import Head, Task
from tests.methods.studies import PREPROCESS, Bench, bench, biased, same

CROSSED = ("gender", "glasses")


def crossed(by: tuple[str, ...] = CROSSED, **changes: Any) -> Bench:
    parts = [biased(96, share, seed=seed, by=",".join(by)) for share, seed in ((0.8, 1), (0.5, 2))]
    return bench(*parts, by=by, **changes)


def test_groups_without_the_target_keep_their_order_of_levels() -> None:
    found = attributes_of(crossed(("glasses", "gender", "age")).study, "lisa")
    assert found.by == ("glasses", "age")
    assert found.labels[:2] == ("glasses: no young", "glasses: no middle")
    assert found.of_group == (0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5)
    study = crossed().study
    assert is_target(study, "gender")
    assert not is_target(study, "glasses")
    assert attributes_of(study, "lisa").of_group == (0, 1, 0, 1)


@pytest.mark.parametrize("method", [domain_independent, thresholds])
def test_the_network_is_the_one_that_the_attribute_alone_gives(method: ModuleType) -> None:
    assert same(method.run(crossed().study).model, method.run(bench().study).model)


def test_there_is_a_head_for_each_attribute_and_the_loss_still_knows_every_group() -> None:
    asked = crossed()
    domain_independent.run(asked.study)
    (call,) = asked.calls
    assert call.data.classes == (
        "female (glasses: no)", "male (glasses: no)", "female (glasses: yes)", "male (glasses: yes)",
    )  # fmt: skip
    assert torch.equal(call.data.groups, asked.study.train.groups)
    assert call.loss.n_groups == 4
    plain = asked.study.columns["glasses"].codes * 2 + asked.study.train.targets.numpy()
    assert call.data.targets.tolist() == plain.tolist()


def test_contrast_is_within_the_attribute_where_classes_differ() -> None:
    asked = crossed()
    outcome = contrastive.run(asked.study)
    assert asked.calls[0].data.group_labels == ("glasses: no", "glasses: yes")
    assert same(outcome.model, contrastive.run(bench().study).model)
    assert abs(outcome.histories["features"].epochs[0].loss) > 0.1, "no image found another class in its own group"


def test_images_of_one_attribute_and_another_class_are_mixed() -> None:
    asked = crossed()
    lisa.run(asked.study)
    assert asked.calls[0].mixer == SelectiveMixer("mixup", 2.0, 0.5, (0, 1, 0, 1))


def test_nobodys_true_class_is_needed_to_decide() -> None:
    outcome = thresholds.run(crossed().study)
    assert isinstance(outcome.decide, GroupThresholds)
    assert outcome.decide.by == ("glasses",)


def test_the_target_is_not_inferred(tmp_path: Path) -> None:
    network = build_network("timm/test_resnet", 2)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    path = tmp_path / "glasses.pt"
    head = Head(2, (Task("glasses", ("no", "yes"), (0, 1)),))
    save_classifier(path, network, architecture="timm/test_resnet", arch_kwargs={}, head=head, preprocess=PREPROCESS)
    parts = [biased(96, share, seed=seed, by="gender,glasses") for share, seed in ((0.8, 1), (0.5, 4))]
    assert int((parts[1].columns["glasses"].codes == 0).sum()) > 48
    asked = bench(*parts, by=CROSSED)
    infer_groups.run(asked.study, checkpoint=path)
    data = asked.calls[0].data
    assert data.groups.tolist() == (data.targets * 2).tolist(), "the known class, and no glasses for anybody"
    assert data.group_labels == asked.study.train.group_labels


def test_cells_are_the_same_whether_or_not_the_grouping_names_the_target() -> None:
    kept = []
    for asked in (crossed(), bench()):
        subsample.run(asked.study)
        kept.append(asked.calls[0].data)
        assert declared_cells(asked.study) == 4
    assert len(kept[0]) == len(kept[1])
    notes = [last_layer.run(asked.study, grid=(0.1,)).notes[0] for asked in (crossed(), bench())]
    assert notes[0] == notes[1]


def test_cells_of_several_targets_are_counted_without_those_that_cannot_be() -> None:
    for by, cells in (("glasses", 2 * 6), ("gender,glasses", 4 * 3), ("gender,age", 6)):
        parts = [biased(96, 0.5, seed=seed, target="gender,age", by=by) for seed in (1, 2)]
        study = bench(*parts, by=tuple(by.split(","))).study
        assert declared_cells(study) == cells
        assert len(set(cells_of(study.train).tolist())) == cells


@pytest.mark.parametrize("method", [contrastive, domain_independent, lisa, thresholds])
def test_the_target_alone_makes_no_groups_to_compare(method: ModuleType) -> None:
    name = method.__name__.rpartition(".")[2].replace("_", "-")
    with pytest.raises(FairauditError) as caught:
        method.run(crossed(("gender",)).study)
    assert str(caught.value) == (
        f"the method {name} compares groups within a class, and gender is the target itself; "
        "name another attribute with --by"
    )
