"""Cross-entropy, reweight and max-group against plain loops, absent groups, and what they refuse."""

from __future__ import annotations

import pytest
import torch

from fairaudit.errors import DataError, UsageError
from fairaudit.losses import cross_entropy, max_group, reweight
from fairaudit.losses._group_means import batch_mean, group_means, group_rates
from fairaudit.losses.base import CrossEntropy, TrainingGroups
from tests.losses.plain_loops import GROUPS, LABELS, batch, counted, plain_group_means, plain_losses


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("soft", [False, True])
def test_cross_entropy_is_the_mean_of_a_plain_loop(smoothing: float, soft: bool) -> None:
    logits, targets, groups = batch(0, GROUPS)
    if soft:
        targets = torch.softmax(torch.randn(9, 3, dtype=torch.float64), dim=1)
    losses = plain_losses(logits.detach(), targets, smoothing)
    loss = cross_entropy.build(counted([9, 9, 0, 9]), CrossEntropy(smoothing))
    assert loss(logits, targets, groups).item() == pytest.approx(sum(losses) / 9, abs=1e-12)


def test_reweight_is_a_plain_loop_over_images() -> None:
    logits, targets, groups = batch(1, GROUPS)
    counts = [10, 40, 0, 200]
    inverse = [1 / n if n else 0.0 for n in counts]
    weights = [3 * i / sum(inverse) for i in inverse]
    losses = plain_losses(logits.detach(), targets)
    expected = sum(weights[g] * loss for g, loss in zip(GROUPS, losses, strict=True)) / 9
    assert reweight.build(counted(counts))(logits, targets, groups).item() == pytest.approx(expected, rel=1e-6)


def test_reweighted_training_set_has_equal_groups() -> None:
    """Over the whole training set the loss is proportional to the unweighted mean of the group means."""
    groups = [0] * 12 + [1] * 3 + [3] * 5
    logits, targets, ids = batch(2, groups)
    means = plain_group_means(plain_losses(logits.detach(), targets), groups)
    loss = reweight.build(counted([12, 3, 0, 5]))(logits, targets, ids).item()
    harmonic = 3 / (1 / 12 + 1 / 3 + 1 / 5)
    assert loss == pytest.approx(sum(means.values()) / 3 * harmonic * 3 / 20, rel=1e-6)


def test_an_empty_level_changes_nothing_for_the_others() -> None:
    logits, targets, groups = batch(3, [0, 1, 1, 0])
    with_empty = reweight.build(counted([5, 20, 0], LABELS[:3]))(logits, targets, groups)
    without = reweight.build(counted([5, 20], LABELS[:2]))(logits, targets, groups)
    assert torch.equal(with_empty, without)


def test_max_group_is_the_largest_mean_of_the_groups_present() -> None:
    for seed in range(20):
        logits, targets, groups = batch(seed, GROUPS)
        means = plain_group_means(plain_losses(logits.detach(), targets), GROUPS)
        value = max_group.build(counted([9, 9, 9, 9]))(logits, targets, groups)
        assert value.item() == pytest.approx(max(means.values()), abs=1e-12)


def test_only_the_worst_group_gets_a_gradient() -> None:
    logits, targets, groups = batch(5, GROUPS)
    max_group.build(counted([9, 9, 9, 9]))(logits, targets, groups).backward()
    means = plain_group_means(plain_losses(logits.detach(), targets), GROUPS)
    worst = max(means, key=lambda g: means[g])
    assert logits.grad is not None
    assert [bool(row.any()) for row in logits.grad] == [g == worst for g in GROUPS]


def test_groups_below_the_smallest_count_are_not_chosen() -> None:
    logits, targets, groups = batch(6, GROUPS)
    logits = logits.detach()
    logits[4] = torch.tensor([9.0, -9.0, -9.0])
    targets[4] = 2  # group 1 (two images) is by far the worst
    means = plain_group_means(plain_losses(logits, targets), GROUPS)
    groups_of = counted([9, 9, 9, 9])
    assert max_group.build(groups_of, min_count=2)(logits, targets, groups).item() == pytest.approx(means[1])
    assert max_group.build(groups_of, min_count=3)(logits, targets, groups).item() == pytest.approx(means[3])
    losses = plain_losses(logits, targets)
    assert max_group.build(groups_of, min_count=6)(logits, targets, groups).item() == pytest.approx(sum(losses) / 9)


def test_running_losses_choose_the_group_and_the_batch_gives_the_value() -> None:
    gamma = 0.3
    loss = max_group.build(counted([9, 9, 9, 9]), ema=gamma)
    running: dict[int, float] = {}
    surprises = 0
    for seed in range(30):
        members = [[0, 1, 3, 3, 1, 0], [2, 2, 3, 0], [1, 3]][seed % 3]
        logits, targets, groups = batch(seed, members)
        means = plain_group_means(plain_losses(logits.detach(), targets), members)
        for g, mean in means.items():
            running[g] = (1 - gamma) * running[g] + gamma * mean if g in running else mean
        chosen = max(means, key=lambda g: running[g])
        surprises += means[chosen] < max(means.values())
        assert loss(logits, targets, groups).item() == pytest.approx(means[chosen], abs=1e-6)
    assert surprises > 3, "the batches must be able to tell a running loss from the batch's own"
    buffer = loss.state_dict()["running_losses"]
    assert buffer.tolist() == pytest.approx([running[g] for g in range(4)], abs=1e-5)


def test_running_losses_rest_in_evaluation_mode() -> None:
    loss = max_group.build(counted([9, 9, 9, 9]), ema=0.5)
    logits, targets, groups = batch(0, GROUPS)
    loss(logits, targets, groups)
    before = loss.state_dict()["running_losses"].clone()
    assert before.isnan().tolist() == [False, False, True, False]
    loss.eval()
    loss(logits * 3, targets, groups)
    torch.testing.assert_close(loss.state_dict()["running_losses"], before, rtol=0, atol=0, equal_nan=True)


def test_group_means_list_only_groups_that_occur() -> None:
    losses = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64, requires_grad=True)
    found = group_means(losses, torch.tensor([4, 1, 4]), 6)
    assert found.ids.tolist() == [1, 4]
    assert found.means.tolist() == [2.0, 3.5]
    assert found.counts.tolist() == [1, 2]
    torch.autograd.backward(found.means @ torch.tensor([10.0, 100.0], dtype=torch.float64))
    assert losses.grad is not None
    assert losses.grad.tolist() == [50.0, 10.0, 50.0]
    assert batch_mean(losses).item() == 3.0


def test_group_rates_weigh_each_sample_and_tell_who_has_none() -> None:
    values = torch.tensor([[0.2, 0.5], [0.6, 0.5], [1.0, 0.9]], dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([[1.0, 0.0], [0.25, 0.0], [0.0, 1.0]], dtype=torch.float64)
    found = group_rates(values, weights, torch.tensor([1, 1, 0]), 3)
    assert found.present.tolist() == [[False, True], [True, False], [False, False]]
    assert found.rates[1, 0].item() == pytest.approx((0.2 + 0.25 * 0.6) / 1.25)
    assert found.rates[0, 1].item() == pytest.approx(0.9)
    torch.autograd.backward(found.rates.sum())
    assert values.grad is not None
    assert values.grad.isfinite().all()


def test_an_empty_training_group_is_refused_by_max_group() -> None:
    with pytest.raises(DataError) as caught:
        max_group.build(counted([9, 0, 3, 0]))
    assert str(caught.value) == (
        "the group 'East Asian' (and 1 more) has no training images, and the loss max-group needs some of every group; "
        "add images of it, or group by other attributes"
    )


def test_options_out_of_range_are_refused() -> None:
    groups = counted([1, 1, 1, 1])
    with pytest.raises(UsageError, match=r"^ema must be between 0 and 1, not 1\.5$"):
        max_group.build(groups, ema=1.5)
    with pytest.raises(UsageError, match=r"^min_count must be at least 1, not 0$"):
        max_group.build(groups, min_count=0)
    with pytest.raises(UsageError, match=r"^the label smoothing must be at least 0 and below 1, not 1$"):
        CrossEntropy(1.0)


def test_counting_a_training_set() -> None:
    groups = TrainingGroups.count(torch.tensor([0, 2, 2, 2]), torch.tensor([1, 0, 1, 1]), ("a", "b", "c"), 2)
    assert groups.counts.tolist() == [[0, 1], [0, 0], [1, 2]]
    assert groups.group_counts.tolist() == [1, 0, 3]
    assert groups.class_counts.tolist() == [1, 3]
    with pytest.raises(ValueError, match="must be"):
        TrainingGroups(("a",), torch.zeros(2, 2, dtype=torch.int64))


def test_a_comparison_needs_two_groups() -> None:
    counted([0, 3, 0, 1]).require_two_groups("the loss hsic")
    with pytest.raises(DataError) as caught:
        counted([0, 3, 0, 0]).require_two_groups("the loss hsic")
    assert str(caught.value) == (
        "the loss hsic compares groups, but all training images are of the group 'East Asian'; "
        "group by attributes with several levels"
    )
