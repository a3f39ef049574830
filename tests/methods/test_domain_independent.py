"""A head for every group: own head in the loss, the sum of heads in the saved network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from fairaudit.errors import DataError, FairauditError
from fairaudit.losses import cross_entropy, group_dro, max_group, val_attention
from fairaudit.losses.base import CrossEntropy, TrainingGroups
from fairaudit.methods import domain_independent
from fairaudit.methods.domain_independent import GroupHeads, OwnHead, OwnHeadLoss
from tests.methods.studies import bench, biased, labelled, logits, same, small_network

GROUPS = TrainingGroups(("a", "b", "c"), torch.tensor([[4, 6], [5, 5], [9, 1]]))


def batch(n: int = 12) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    heads = torch.randn(n, 6, generator=generator, dtype=torch.float64)
    return heads, torch.randint(2, (n,), generator=generator), torch.randint(3, (n,), generator=generator)


def test_the_loss_of_an_image_is_that_of_its_own_head() -> None:
    heads, classes, groups = batch()
    encoded = groups * 2 + classes
    loss = OwnHeadLoss(cross_entropy.build(GROUPS), 2)
    each = [
        -functional.log_softmax(heads[i, 2 * groups[i] : 2 * groups[i] + 2], dim=0)[classes[i]] for i in range(len(heads))
    ]
    torch.testing.assert_close(loss.criterion(heads, encoded), torch.stack(each))
    torch.testing.assert_close(loss(heads, encoded, groups), torch.stack(each).mean())


def test_another_groups_head_has_no_gradient() -> None:
    heads, classes, groups = batch()
    heads.requires_grad_()
    OwnHeadLoss(cross_entropy.build(GROUPS), 2)(heads, groups * 2 + classes, groups).backward()
    grad = heads.grad
    assert isinstance(grad, torch.Tensor)
    own = functional.one_hot(groups, 3).repeat_interleave(2, dim=1).bool()
    assert not grad[~own].any()
    assert grad[own].abs().min() > 0


@pytest.mark.parametrize("build", [max_group.build, group_dro.build])
def test_a_loss_over_groups_is_one_over_own_heads(build: Any) -> None:
    heads, classes, groups = batch()
    own = torch.stack([heads[i, 2 * groups[i] : 2 * groups[i] + 2] for i in range(len(heads))])
    loss = OwnHeadLoss(build(GROUPS), 2)
    assert loss.whole_batch
    torch.testing.assert_close(loss(heads, groups * 2 + classes, groups), build(GROUPS)(own, classes, groups))


def test_a_loss_that_adapts_still_hears_of_the_groups() -> None:
    inner = val_attention.build(GROUPS)
    OwnHeadLoss(inner, 2).update(torch.tensor([0.9, 0.5, 0.7], dtype=torch.float64))
    weights = inner.get_buffer("group_weights")
    assert weights[1] > weights[0]


def test_what_the_criterion_says_of_all_heads_fits_together() -> None:
    heads, classes, groups = batch()
    criterion = OwnHead(CrossEntropy(), 2)
    shares = criterion.shares(heads, groups * 2 + classes)
    assert shares.sum(dim=1).eq(1).all()
    torch.testing.assert_close(
        -(shares * criterion.probabilities(heads).log()).sum(dim=1), criterion(heads, groups * 2 + classes)
    )
    assert [head.stop - head.start for head in criterion.tasks(6)] == [2, 2, 2]


def test_in_evaluation_the_heads_are_summed() -> None:
    torch.manual_seed(0)
    heads = GroupHeads(nn.Linear(5, 6), 3)
    features = torch.randn(7, 5)
    every = heads.train()(features)
    assert every.shape == (7, 6)
    torch.testing.assert_close(heads.eval()(features), every[:, 0:2] + every[:, 2:4] + every[:, 4:6])


def test_the_saved_network_is_an_ordinary_one_that_says_the_sum_of_the_heads() -> None:
    asked = bench()
    outcome = domain_independent.run(asked.study)
    plain = small_network(2, 0)
    assert {k: v.shape for k, v in outcome.model.state_dict().items()} == {
        k: v.shape for k, v in plain.state_dict().items()
    }
    assert type(outcome.model.get_submodule("6")) is nn.Linear
    several = asked.calls[0].model.eval()
    several.get_submodule("6").train()
    test = biased(30, 0.5, seed=9).data
    pixels = test.images.take(torch.arange(30)).float() / 255
    every = several((pixels - 0.5) / 0.25)
    assert every.shape == (30, 4)
    torch.testing.assert_close(logits(outcome.model, test), every[:, :2] + every[:, 2:], atol=1e-5, rtol=1e-5)


def test_what_is_validated_is_the_sum() -> None:
    asked = bench(select="worst-group", epochs=3)
    history = domain_independent.run(asked.study).histories["model"]
    best = max(epoch.validation.score for epoch in history.epochs if epoch.validation)
    outcome = domain_independent.run(bench(select="worst-group", epochs=3).study)
    right = logits(outcome.model, asked.study.validation).argmax(dim=1) == asked.study.validation.targets
    groups = asked.study.validation.groups
    assert best == pytest.approx(min(float(right[groups == g].double().mean()) for g in (0, 1)))


@pytest.mark.parametrize("changes", [{"freeze": "backbone"}, {"ema": 0.9}, {"balance": "groups"}])
def test_it_goes_with_settings_that_change_how_the_head_is_trained(changes: dict[str, Any]) -> None:
    models = [domain_independent.run(bench(**changes).study).model for _ in range(2)]
    assert same(*models)
    assert not same(models[0], small_network(2, 0))


def test_it_learns_the_target_in_every_group() -> None:
    outcome = domain_independent.run(bench(biased(300, 0.8, seed=1), epochs=12).study)
    test = biased(200, 0.5, seed=9).data
    right = logits(outcome.model, test).argmax(dim=1) == test.targets
    assert float(right.double().mean()) > 0.75


def test_refusals() -> None:
    part = biased(40, 0.5, seed=0, by="")
    with pytest.raises(FairauditError) as caught:
        domain_independent.run(bench(part, part, by=()).study)
    assert str(caught.value) == "the method domain-independent needs groups; name the attributes that make them with --by"
    with pytest.raises(FairauditError) as caught:
        domain_independent.run(bench(augment=("mixup",)).study)
    assert str(caught.value) == (
        "the method domain-independent needs images of one group each, and mixup mixes them; leave it out"
    )
    nobody = labelled(np.arange(40) % 2, np.zeros(40, dtype=np.int64), seed=0)
    with pytest.raises(DataError) as caught:
        domain_independent.run(bench(nobody).study)
    assert str(caught.value) == (
        "the group 'glasses: yes' has no training images, and the method domain-independent needs some of every group; "
        "add images of it, or group by other attributes"
    )
