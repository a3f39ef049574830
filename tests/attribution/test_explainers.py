"""Every explainer finds a planted shortcut, and what cannot be explained is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fairaudit.attribution.explainers import METHODS, Explainer
from fairaudit.attribution.explanations import Effort, explain_image
from fairaudit.attribution.gradients import grad_cam, integrated_gradients, last_feature_map
from fairaudit.attribution.lime import Ridge, lime
from fairaudit.attribution.removal import removed
from fairaudit.attribution.superpixels import superpixels
from fairaudit.errors import UsageError
from fairaudit.metrics.attention import mass_share, points_inside
from fairaudit.models.factory import build_network
from tests.attribution.planted import SIZE, classifier, hatted, looks_at, subject

LEAST = 0.8
"""Share of the attention that must lie where the network provably looks."""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_planted_shortcut_is_found(method: str, seed: int) -> None:
    pixels, hat = hatted(seed)
    explainer = Explainer(subject(looks_at(hat)), method, samples=300, steps=16)
    found = explain_image(explainer, pixels, 1, Effort(segments=60, repeats=2))
    assert mass_share(found.heat, hat) >= LEAST
    assert points_inside(found.heat, hat)
    assert found.faithfulness.doubts == ()
    assert found.faithfulness.p == 1 / 20, "no random order is as good"
    best = found.in_favour(1)[0]
    assert hat[found.segments == best].mean() > 0.5


@pytest.mark.parametrize("method", METHODS)
def test_what_speaks_for_one_of_two_classes_speaks_against_the_other(method: str) -> None:
    pixels, hat = hatted(1)
    explainer = Explainer(subject(looks_at(hat)), method, samples=100, steps=8)
    one, other = (explain_image(explainer, pixels, of, Effort(repeats=1, random_orders=0)) for of in (0, 1))
    np.testing.assert_allclose(one.heat, -other.heat, rtol=1e-3, atol=1e-4 * np.abs(other.heat).max())
    assert one.against(3) == other.in_favour(3)


def test_two_seeds_of_lime_differ_and_one_does_not() -> None:
    pixels, hat = hatted(0)
    asked = subject(looks_at(hat))
    segments = superpixels(pixels, "slic", 40, 0)
    inputs = asked.inputs(pixels[None])
    maps = [lime(asked, inputs, 1, removed(inputs, "blur"), segments, 100, seed)[0] for seed in (3, 3, 4)]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert np.abs(maps[0] - maps[2]).max() > 0


def test_limes_line_is_weighted_ridge_regression() -> None:
    """Against scikit-learn, and R² against its definition."""
    from sklearn.linear_model import Ridge as Oracle
    from torch.utils.data import DataLoader, TensorDataset

    rng = np.random.default_rng(0)
    x, w = rng.integers(0, 2, (80, 6)).astype(np.float64), rng.uniform(0.1, 1, 80)
    y = x @ rng.normal(size=6) + rng.normal(size=80) + 3
    line = Ridge()
    line.fit(DataLoader(TensorDataset(*(torch.from_numpy(a) for a in (x, y, w))), batch_size=80))
    # LIME penalises sums over samples whose weights add up to their number
    oracle = Oracle(alpha=1.0).fit(x, y, sample_weight=w / w.mean())
    np.testing.assert_allclose(line.coefficients, oracle.coef_, rtol=1e-9)
    assert line.intercept == pytest.approx(oracle.intercept_)
    assert line.r2 == pytest.approx(oracle.score(x, y, sample_weight=w))
    np.testing.assert_allclose(line(torch.from_numpy(x)), oracle.predict(x))


def test_integrated_gradients_add_up() -> None:
    pixels, hat = hatted(2)
    asked = subject(looks_at(hat))
    inputs = asked.inputs(pixels[None])
    baseline = removed(inputs, "blur")
    heat, missing = integrated_gradients(asked, inputs, 1, baseline, 64)
    with torch.no_grad():
        change = float(asked.log_odds(1)(inputs) - asked.log_odds(1)(baseline))
    assert heat.sum() == pytest.approx(change, rel=0.02)
    assert missing < 0.02


def test_grad_cam_by_hand() -> None:
    """One map, read by one weight: the map itself times that weight, divided by the number of its places."""

    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 1, 1, bias=False)
            self.last = nn.Linear(1, 2)
            with torch.no_grad():
                self.conv.weight.fill_(1 / 3)
                self.last.weight.copy_(torch.tensor([[0.0], [5.0]]))
                self.last.bias.zero_()

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.last(self.conv(x).mean((2, 3)))
            return out

    network = One().eval()
    asked = subject(network, 16)
    inputs = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = grad_cam(asked, inputs, 1, last_feature_map(network, (16, 16)))
    np.testing.assert_allclose(found, 5 / 256 * inputs[0].mean(0).numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "kind", "channels", "side"),
    [
        ("timm/test_resnet", "Sequential", 96, 2),
        ("timm/test_efficientnet", "BatchNormAct2d", 256, 2),
        ("timm/test_convnext", "Identity", 64, 2),
        ("torchvision/mobilenet_v3_small", "Sequential", 576, 2),
        ("torchvision/densenet121", "Sequential", 1024, 2),
        ("torchvision/squeezenet1_1", "ReLU", 2, 3),
    ],
)
def test_the_last_feature_map(name: str, kind: str, channels: int, side: int) -> None:
    network = build_network(name, 2, {}).eval()
    layer = last_feature_map(network, (64, 64))
    shapes: list[torch.Size] = []
    layer.register_forward_hook(lambda _, __, out: shapes.append(out.shape))
    with torch.no_grad():
        network(torch.zeros(1, 3, 64, 64))
    assert type(layer).__name__ == kind
    assert [tuple(shape) for shape in shapes] == [(1, channels, side, side)]


def test_grad_cam_refuses_a_network_without_convolutions() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 2)).eval()
    with pytest.raises(UsageError, match=r"^Grad-CAM needs a network with convolutions, and this one has none over more"):
        Explainer(subject(flat), "grad-cam", 10, 10)
    Explainer(subject(flat), "lime", 10, 10)


def test_grad_cam_refuses_a_transformer() -> None:
    network = build_network("timm/test_vit", 2, {}).eval()
    with pytest.raises(
        UsageError, match=r"^Grad-CAM needs feature maps that are pooled, and in this network layers of anoth"
    ):
        last_feature_map(network, (160, 160))


def test_log_odds_stay_finite_and_differentiable_where_scores_do_not() -> None:
    class Sure(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([-400 * x.mean((1, 2, 3)), 400 * x.mean((1, 2, 3))], dim=1)

    asked = subject(Sure(), 8)
    inputs = torch.ones(1, 3, 8, 8, requires_grad=True)
    odds = asked.log_odds(1)(inputs)
    odds.sum().backward()
    assert float(odds.detach()) == pytest.approx(800)
    assert inputs.grad is not None
    assert float(inputs.grad.sum()) == pytest.approx(800)
    assert asked.scores(inputs.detach())[0, 1] == 1.0


def test_the_subject_says_what_its_classifier_says() -> None:
    pixels, hat = hatted(3)
    made = classifier(looks_at(hat))
    asked = subject(looks_at(hat))
    inputs = asked.inputs(torch.stack([pixels, pixels.flip(-1)]))
    expected = made.head.scores(made.model(inputs))["hat"].detach().double().numpy()
    np.testing.assert_allclose(asked.scores(inputs), expected, atol=1e-6)
    np.testing.assert_allclose(asked.scores([inputs[0], inputs[1]]), expected, atol=1e-6)
    odds = np.log(expected[:, 1]) - np.log(expected[:, 0])
    np.testing.assert_allclose(asked.log_odds(1)(inputs).detach().numpy(), odds, rtol=1e-4)
