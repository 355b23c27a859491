"""FGSM and PGD-l2 on linear classifiers, whose robust radius is known, and against the library ART."""

import math

import pytest
import torch
from torch import nn

from lipschitz.metrics.attacks import fgsm, pgd, withstands_fgsm, withstands_pgd
from lipschitz.metrics.predictions import evaluated
from lipschitz.metrics.robustness import image_radius
from lipschitz.random_streams import stream


def linear(rows: list[list[float]]) -> nn.Linear:
    net = nn.Linear(len(rows[0]), len(rows), bias=False, dtype=torch.float64)
    net.weight.data = torch.tensor(rows, dtype=torch.float64)
    return net


def convolutional() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.BatchNorm1d(256), nn.Linear(256, 3)
    )


def test_radii_of_a_linear_classifier_are_those_by_hand() -> None:
    # The difference of the logits is 3 x + 4 y, of slope 5: (1, 0.5) lies 1 from the boundary, (-1, 1) 0.2; (0, -1) is
    # on the wrong side. Along the signs (l∞) the boundary of the first is 5 / 7 away.
    net, x = linear([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.5], [-1.0, 1.0], [0.0, -1.0]]).double()
    labels, rng = torch.zeros(3, dtype=torch.int64), stream(0, "attack")
    found = withstands_pgd(net, x, labels, (0.0, 0.199, 0.201, 0.999, 1.001), rng, allowed=None)
    assert found.tolist() == [[True, True, False]] * 2 + [[True, False, False]] * 2 + [[False] * 3]
    by_sign = withstands_fgsm(net, x, labels, (5 / 7 - 1e-3, 5 / 7 + 1e-3), allowed=None)
    assert by_sign[:, 0].tolist() == [True, False]


def test_points_stay_in_the_allowed_range() -> None:
    # The boundary y = 0 is 0.5 away, outside of the allowed range.
    net, x, labels = linear([[0.0, 1.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.5]]).double(), torch.tensor([0])
    assert withstands_pgd(net, x, labels, (0.6,), stream(0, "attack"), allowed=(0.1, 1.0)).all()
    assert not withstands_pgd(net, x, labels, (0.6,), stream(0, "attack")).any()


def test_a_published_radius_is_of_pixels_between_zero_and_one() -> None:
    # On pixels p in [0, 1] the classifier 2 p_1 - 1 > 0 has its boundary 0.25 from p_1 = 0.75, the image 0.5.
    net, image, labels = linear([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.5, 0.0]]).double(), torch.tensor([0])
    radii = [image_radius(epsilon) for epsilon in (0.249, 0.251)]
    assert withstands_pgd(net, image, labels, radii, stream(0, "attack")).tolist() == [[True], [False]]
    assert withstands_fgsm(net, image, labels, radii).tolist() == [[True], [False]]


@pytest.mark.parametrize("radius", [1e-3, 0.3, 5.0])
def test_points_lie_within_the_radius_in_float32(radius: float) -> None:
    torch.manual_seed(0)
    x, y = torch.rand(8, 3, 32, 32) * 2 - 1, torch.arange(8) % 3
    net = nn.Sequential(nn.Flatten(), nn.Linear(3072, 3))
    start = torch.randn_like(x)
    points = [point for point, _ in pgd(net, x, y, start, radius, 5, (-1.0, 1.0))]
    assert len(points) == 6
    for point in points:
        distances = torch.linalg.vector_norm((point.double() - x.double()).flatten(1), dim=1)
        assert distances.max() <= radius
        assert point.abs().max() <= 1
    assert distances.min() > 0.4 * radius


def test_it_is_deterministic_and_leaves_the_network_as_it_was() -> None:
    net, (x, y) = convolutional().train(), (torch.rand(20, 1, 8, 8) * 2 - 1, torch.arange(20) % 3)
    net[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    runs = []
    for _ in range(2):
        torch.rand(1)
        runs.append(withstands_pgd(net, x, y, (0.1, 0.5), stream(3, "attack"), steps=5, restarts=3, batch=7))
    assert torch.equal(*runs)
    assert net.training
    assert net[2].training
    assert [parameter.requires_grad for parameter in net.parameters()] == [False, *[True] * 5]
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    # Some samples fall, and none that fell at the smaller radius stands at the larger.
    assert not (runs[0][1] & ~runs[0][0]).any()
    assert 0 < runs[0][1].sum() < runs[0][0].sum()


def test_restarts_find_what_one_start_does_not() -> None:
    # The gradient at zero vanishes: only a random start leaves the flat part.
    class Flat(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([torch.full_like(x, 0.5), torch.relu(x.abs() - 0.4)], dim=1)

    x, y = torch.zeros(4, 1), torch.zeros(4, dtype=torch.int64)
    assert withstands_pgd(Flat(), x, y, (1.0,), stream(0, "attack"), restarts=1).all()
    assert not withstands_pgd(Flat(), x, y, (1.0,), stream(0, "attack"), restarts=8).any()


def test_confident_predictions_are_attacked() -> None:
    # With a margin of 80 the probability is 1 in floating point, where its gradient vanishes.
    net = linear([[400.0, 0.0], [0.0, 0.0]]).float()
    x, y = torch.tensor([[0.2, 0.0]]), torch.tensor([0])
    assert not withstands_pgd(net, x, y, (0.25,), stream(0, "attack"), restarts=1).any()


def test_wrong_arguments_are_named() -> None:
    class Constant(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.eye(2)[(x.detach()[:, 0] < 0).long()]

    x, y, rng = torch.ones(2, 2), torch.zeros(2, dtype=torch.int64), stream(0, "attack")
    with pytest.raises(ValueError, match="no gradient by the sample"):
        withstands_pgd(Constant(), x, y, (1.0,), rng)
    with pytest.raises(ValueError, match=r"radii .*nan.*at least 0"):
        withstands_fgsm(linear([[1.0, 0], [0, 1]]), x, y, (math.nan,))
    with pytest.raises(ValueError, match="0 steps and 1 starts"):
        withstands_pgd(linear([[1.0, 0], [0, 1]]), x, y, (1.0,), rng, steps=0, restarts=1)


def test_the_attacks_are_those_of_art() -> None:
    evasion = pytest.importorskip("art.attacks.evasion")
    classification = pytest.importorskip("art.estimators.classification")
    net = convolutional().eval()
    x, y = torch.rand(16, 1, 8, 8) * 2 - 1, torch.arange(16) % 3
    # ART clips before it projects, so the range is one that no point reaches.
    theirs = classification.PyTorchClassifier(
        net, nn.CrossEntropyLoss(), (1, 8, 8), 3, clip_values=(-9.0, 9.0), device_type="cpu"
    )
    attack = evasion.ProjectedGradientDescentPyTorch(
        theirs, norm=2, eps=0.5, eps_step=2.5 * 0.5 / 10, max_iter=10, num_random_init=0, verbose=False
    )
    with evaluated(net):
        *_, (ours, _) = pgd(net, x, y, torch.zeros_like(x), 0.5, 10, (-9.0, 9.0))
        sign = fgsm(net, x, y, 0.1, (-9.0, 9.0))
    torch.testing.assert_close(ours, torch.from_numpy(attack.generate(x.numpy(), y.numpy())), atol=1e-4, rtol=0)
    attack = evasion.FastGradientMethod(theirs, eps=0.1)
    torch.testing.assert_close(sign, torch.from_numpy(attack.generate(x.numpy(), y.numpy())), atol=1e-6, rtol=0)
