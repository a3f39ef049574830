"""Two processes, each with a part of the batch, must find the loss and the averaged gradient of the whole batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, multiprocessing, nn

from fairaudit import plugins
from fairaudit.losses._processes import gathered
from fairaudit.losses.base import GroupLoss, TrainingGroups

pytestmark = pytest.mark.training

Case = tuple[str, dict[str, Any]]
CASES: list[Case] = [
    *((name, {}) for name in plugins.names("losses")),
    ("max-group", {"ema": 0.5, "min_count": 2}),
    ("group-dro", {"step_size": 1.0}),
    ("balanced-softmax", {"per_group": True}),
    ("val-attention", {"accuracies": (0.5, 0.9, 0.7, 0.8)}),
    ("class-spread", {"measure": "accuracy-std"}),
    ("focal", {"paper_faithful": True}),
    ("cvar", {"alpha": 0.5}),
    ("equalized-odds", {"gap": "pairwise"}),
    ("mindiff", {"width": 0.5}),
    ("fscl", {"group_norm": False}),
]
# Rows of the second process; the first has the rest. Uneven, a group split over both, and nothing at all.
SHARES = [[1, 4, 6], [0, 2, 4, 6, 8], []]
GROUPS = [0, 2, 2, 0, 1, 2, 1, 2, 0]  # group 3 is absent


def built(case: int) -> GroupLoss:
    name, options = CASES[case]
    counts = torch.tensor([[10, 5], [3, 3], [40, 60], [1, 2]])
    loss: GroupLoss = plugins.load("losses", name).build(TrainingGroups(("a", "b", "c", "d"), counts), **options)
    return loss


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(5, 2).double()


def batch(step: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    features = torch.randn(9, 5, generator=generator, dtype=torch.float64)
    return features, torch.randint(0, 2, (9,), generator=generator), torch.tensor(GROUPS)


def steps(model: nn.Module, loss: GroupLoss, share: list[list[int]]) -> list[Tensor]:
    """The loss and the gradient of each step, flattened."""
    found = []
    for step, rows in enumerate(share):
        model.zero_grad()
        loss.update(torch.tensor([0.9, 0.4, 0.7, float("nan")], dtype=torch.float64))
        features, targets, groups = (part[rows] for part in batch(step))
        value = loss(model(features), targets, groups)
        value.backward()
        gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        found.append(torch.cat([value.detach().reshape(1), *gradients]))
    return found


def gathering(rank: int) -> list[Tensor]:
    """Rows of unlike number from both processes, whole numbers too, and the gradient of what is done with them."""
    mine = torch.arange(6.0, dtype=torch.float64).reshape(3, 2)[rank:].requires_grad_()
    both = gathered(10 * rank + mine)
    torch.autograd.backward((both * torch.arange(10.0, dtype=torch.float64).reshape(5, 2)).sum())
    assert mine.grad is not None
    return [both.detach(), gathered(torch.full((2 * rank,), rank)), mine.grad]


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    shares = [rows if rank else [i for i in range(9) if i not in rows] for rows in SHARES]
    found = [steps(nn.parallel.DistributedDataParallel(network()), built(case), shares) for case in range(len(CASES))]
    torch.save({"found": found, "gathered": gathering(rank)}, f"{folder}/{rank}.pt")
    distributed.barrier()  # who leaves while the other is still receiving breaks its connection
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def by_process(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder: Path = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(work, args=(str(folder),), nprocs=2)  # type: ignore[no-untyped-call]
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("case", range(len(CASES)), ids=["-".join([name, *options]) for name, options in CASES])
def test_two_processes_are_as_good_as_one(case: int, by_process: list[dict[str, Any]]) -> None:
    alone = steps(network(), built(case), [list(range(9))] * len(SHARES))
    for process in by_process:
        for found, expected in zip(process["found"][case], alone, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_rows_of_unlike_number_are_gathered(by_process: list[dict[str, Any]]) -> None:
    for rank, process in enumerate(by_process):
        both, whole, gradient = process["gathered"]
        assert both.tolist() == [[0, 1], [2, 3], [4, 5], [12, 13], [14, 15]]
        assert whole.tolist() == [1, 1]
        # Each process is handed the sum over both, which averaging over processes halves again.
        weights = torch.arange(10.0, dtype=torch.float64).reshape(5, 2)
        assert gradient.tolist() == (2 * (weights[3:] if rank else weights[:3])).tolist()
