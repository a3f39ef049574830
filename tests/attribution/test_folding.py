"""A folded network says what the network says, with no batch normalisation left, and leaves the network as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fairaudit.attribution.folding import folded
from fairaudit.attribution.patches import Positions
from fairaudit.attribution.region_net import RegionNet
from fairaudit.config import Stem


def with_statistics(stem: Stem) -> nn.Module:
    """A trunk whose normalisations have seen something."""
    torch.manual_seed(0)
    trunk = RegionNet(Positions(24, 12, 5), 3, stem, width=8).trunk
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            for values in (module.running_mean, module.weight, module.bias):
                nn.init.normal_(values, 0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.2, 3.0)
    settled: nn.Module = trunk.eval()
    return settled


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_a_folded_network_says_the_same(stem: Stem) -> None:
    trunk = with_statistics(stem)
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    patches = torch.randn(7, 4, 12, 12, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        own = folded(trunk)
        expected = trunk(patches)
        assert expected.std() > 0.01
        assert torch.allclose(own(patches), expected, rtol=1e-4, atol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in own.modules())
    assert all(torch.equal(value, before[name]) for name, value in trunk.state_dict().items())
    assert any(isinstance(module, nn.BatchNorm2d) for module in trunk.modules())


def test_a_normalisation_behind_something_else_stays() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)).eval()
    assert [type(module) for module in folded(network).modules()] == [type(module) for module in network.modules()]


def test_a_network_in_training_is_refused() -> None:
    with pytest.raises(ValueError, match="in training cannot be folded"):
        folded(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
