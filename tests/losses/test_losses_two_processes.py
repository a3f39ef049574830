"""Two processes, each with a part of the batch, must find the loss and the averaged gradient of the whole batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, multiprocessing, nn

from fairaudit import plugins
from fairaudit.losses.base import GroupLoss, TrainingGroups

Case = tuple[str, dict[str, float]]
CASES: list[Case] = [*((name, {}) for name in plugins.names("losses")), ("max-group", {"ema": 0.5, "min_count": 2})]
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
        features, targets, groups = (part[rows] for part in batch(step))
        value = loss(model(features), targets, groups)
        value.backward()
        gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        found.append(torch.cat([value.detach().reshape(1), *gradients]))
    return found


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    shares = [rows if rank else [i for i in range(9) if i not in rows] for rows in SHARES]
    found = [steps(nn.parallel.DistributedDataParallel(network()), built(case), shares) for case in range(len(CASES))]
    torch.save(found, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def by_process(tmp_path_factory: pytest.TempPathFactory) -> list[list[list[Tensor]]]:
    folder: Path = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(work, args=(str(folder),), nprocs=2)  # type: ignore[no-untyped-call]
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_two_processes_are_as_good_as_one(case: int, by_process: list[list[list[Tensor]]]) -> None:
    alone = steps(network(), built(case), [list(range(9))] * len(SHARES))
    for process in by_process:
        for found, expected in zip(process[case], alone, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
