"""Batches of several images of each class: counts by plain loops."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from fairaudit.engine.batches import PerClass


def drawn(batches: PerClass, seed: int = 0) -> list[Tensor]:
    return batches(torch.Generator().manual_seed(seed))


def test_every_batch_has_m_images_of_each_of_its_classes() -> None:
    classes = torch.arange(60) % 10
    found = drawn(PerClass(classes, 3, 12))
    assert len(found) == 5
    for batch in found:
        assert len(batch) == 12
        held = classes[batch].tolist()
        assert [held[i : i + 3] for i in range(0, 12, 3)] == [[one] * 3 for one in held[::3]]
        assert len(set(held)) == 4
        assert len(set(batch.tolist())) == 12, "no image is repeated while its class has others"
    turns = [int(classes[batch[i]]) for batch in found for i in range(0, 12, 3)]
    assert sorted(turns[:10]) == sorted(turns[10:]) == list(range(10)), "classes take turns"


def test_a_small_class_is_repeated_and_a_single_image_left_out() -> None:
    classes = torch.tensor([0, 0, 1, 2, 2, 2, 2, 2, 2])
    batches = PerClass(classes, 4, 8)
    assert batches.alone == 1
    [batch] = drawn(batches)
    assert Counter(classes[batch].tolist()) == {0: 4, 2: 4}
    assert Counter(batch.tolist()) == {0: 2, 1: 2, **Counter(batch[classes[batch] == 2].tolist())}


def test_groups_take_turns_where_owners_are_known() -> None:
    classes = torch.arange(100) // 4
    owners = (classes >= 22).long()  # three classes of twenty-five
    assert Counter(owners[torch.cat(drawn(PerClass(classes, 2, 20)))].tolist())[1] < 20
    found = drawn(PerClass(classes, 2, 20, owners))
    assert all(Counter(owners[batch].tolist()) == {0: 10, 1: 10} for batch in found)


def test_a_class_of_two_groups_is_drawn_within_each() -> None:
    classes, owners = torch.arange(40) % 2, torch.arange(40) // 2 % 2
    for batch in drawn(PerClass(classes, 2, 8, owners)):
        for i in range(0, 8, 2):
            assert len({(int(classes[p]), int(owners[p])) for p in batch[i : i + 2]}) == 1


def test_the_generator_alone_decides() -> None:
    batches = PerClass(torch.arange(40) // 4, 2, 8)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = drawn(batches, 1), drawn(batches, 1), drawn(batches, 2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert torch.equal(torch.random.get_rng_state(), before)
