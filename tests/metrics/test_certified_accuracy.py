"""Certified radii worked out by hand, bounds of pairs of classes, and the check against attacks."""

import math

import pytest
import torch
from torch import nn

from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.estimation.upper_bound.logit_differences import logit_difference_bounds
from lipschitz.metrics.attacks import withstands_pgd
from lipschitz.metrics.robustness import EPSILONS, certified, certified_radii, contradictions, image_radius
from lipschitz.random_streams import stream


def test_radii_by_hand() -> None:
    logits = torch.tensor([[3.0, 1.0, 0.0], [3.0, 1.0, 0.0], [2.0, 2.0, 0.0]], dtype=torch.float64)
    labels = torch.tensor([0, 1, 0])
    # Jointly: a margin of 2 over √2 · 5; the second is wrong, the third a tie.
    assert certified_radii(logits, labels, 5.0).tolist() == pytest.approx([2 / (5 * math.sqrt(2)), 0, 0])
    # By pairs the class with the largest logit is not the nearest: 2 / 4 = 0.5, but 3 / 10 = 0.3.
    pairs = torch.tensor([[0.0, 4.0, 10.0], [4.0, 0.0, 1.0], [10.0, 1.0, 0.0]])
    radii = certified_radii(logits, labels, pairs)
    assert radii.tolist() == pytest.approx([0.3, 0, 0])
    assert certified(radii, (0.0, 0.299, 0.301)).tolist() == [[True, False, False], [True, False, False], [False] * 3]


def test_unbounded_and_constant_logits() -> None:
    logits, labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64), torch.tensor([0, 0])
    assert certified_radii(logits, labels, math.inf).tolist() == [0, 0]
    assert certified_radii(logits, labels, 0.0).tolist() == [math.inf, 0]
    with pytest.raises(ValueError, match="bounds of 2 classes"):
        certified_radii(logits, labels, math.nan)
    with pytest.raises(ValueError, match="labels from 0 to 2; expected 0 to 1"):
        certified_radii(logits, torch.tensor([0, 2]), 1.0)


def test_a_margin_within_the_rounding_of_float64_certifies_nothing_and_float32_is_refused() -> None:
    logits = torch.tensor([[1000.0, 1000 + 1e-12], [1000.0, 1000 + 1e-10]], dtype=torch.float64)
    assert (certified_radii(logits, torch.tensor([1, 1]), 1e-9) > 0).tolist() == [False, True]
    with pytest.raises(ValueError, match="logits in float32; expected float64"):
        certified_radii(logits.float(), torch.tensor([1, 1]), 1.0)


def test_published_radii_double_for_images_between_minus_one_and_one() -> None:
    assert [round(255 * epsilon, 6) for epsilon in EPSILONS[:3]] == [36, 72, 108]
    assert image_radius(36 / 255) == 72 / 255
    # A classifier of pixels in [0, 1] with Lipschitz constant 1 has 1/2 as one of images in [-1, 1]: a joint margin
    # √2 ε certifies ε for pixels, and 2 ε for images.
    logits, labels = torch.tensor([[1.5 * math.sqrt(2), 0.0]], dtype=torch.float64), torch.tensor([0])
    assert float(certified_radii(logits, labels, 1.0)) == pytest.approx(1.5)
    assert float(certified_radii(logits, labels, 0.5)) == pytest.approx(image_radius(1.5))


def layer(rows: list[list[float]]) -> nn.Linear:
    found = nn.Linear(len(rows[0]), len(rows), dtype=torch.float64)
    found.weight.data = torch.tensor(rows, dtype=torch.float64)
    return found


def test_bounds_of_pairs_by_hand() -> None:
    # The body has slope 2. Rows (1, 0), (0, 1), (1, 0): 2 √2 for both pairs of different rows, 0 for equal ones.
    net = nn.Sequential(layer([[2.0, 0.0], [0.0, 2.0]]), nn.ReLU(), layer([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    bounds = logit_difference_bounds(net.eval().requires_grad_(False), (2,), 2 * math.sqrt(2))
    expected = 2 * math.sqrt(2) * torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]).double()
    torch.testing.assert_close(bounds, expected, atol=1e-6, rtol=0)
    # Another network has the joint bound alone: √2 times 3.
    other = nn.Sequential(net, nn.LogSoftmax(1))
    assert logit_difference_bounds(other, (2,), 3.0)[0].tolist() == pytest.approx(
        [0, 3 * math.sqrt(2), 3 * math.sqrt(2)]
    )
    hooked = nn.Sequential(net, layer([[1.0, 0, 0], [0, 1, 0]]))
    hooked[1].register_forward_hook(lambda module, inputs, output: 10 * output)
    assert float(logit_difference_bounds(hooked, (2,), 30.0)[0, 1]) == pytest.approx(30 * math.sqrt(2))


def test_pairs_are_no_looser_than_the_joint_bound_and_certify_what_no_attack_fools() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Sequential(nn.Linear(12, 4)))
    x = torch.rand(200, 1, 4, 4) * 2 - 1
    with float64_copy(net) as twin:
        joint = upper_bound(twin, (1, 4, 4), flops=0).constant
        by_body = logit_difference_bounds(twin, (1, 4, 4), joint)
        by_pair = logit_difference_bounds(twin, (1, 4, 4), joint, flops=1e8, pair_by_pair=True)
        slopes = torch.func.vmap(torch.func.jacrev(twin))(x.double()[:, None]).view(-1, 4, 16)
    apart = ~torch.eye(4, dtype=torch.bool)
    assert (by_pair[apart] < by_body[apart]).all()
    assert (by_body[apart] < math.sqrt(2) * joint).all()
    found = torch.linalg.vector_norm(slopes[:, :, None] - slopes[:, None], dim=3).amax(dim=0)
    assert (found[apart] <= by_pair[apart]).all()
    labels, epsilons = net(x).argmax(dim=1), (0.02, 0.1, 0.3)
    radii = [image_radius(epsilon) for epsilon in epsilons]
    withstood = withstands_pgd(net, x, labels, radii, stream(0, "attack"), steps=10)
    certificates = [
        certified(certified_radii(net(x).double(), labels, bound), radii) for bound in (joint, by_body, by_pair)
    ]
    shares = [float(one.double().mean()) for one in (*certificates, withstood)]
    assert 0 < shares[0] < shares[1] < shares[2] < shares[3] < 1
    for one in certificates:
        assert contradictions(one, withstood, epsilons, "a bound") == []


def test_a_wrong_bound_is_found_out() -> None:
    # Slope 5 of the difference, and a bound that claims √2 · 0.1.
    net, x, labels = nn.Linear(2, 2, bias=False), torch.tensor([[0.5, 0.5], [1.0, 1.0]]), torch.tensor([0, 0])
    net.weight.data = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    radii = (0.5, 1.0)
    withstood = withstands_pgd(net, x, labels, radii, stream(0, "attack"))
    (line,) = contradictions(
        certified(certified_radii(net(x).double(), labels, 0.1), radii), withstood, radii, "a bound"
    )
    assert (
        line == "an attack within 1 fooled 1 of the 2 samples that are certified there by a bound, which is not valid"
    )
    assert (
        contradictions(certified(certified_radii(net(x).double(), labels, 5.0), radii), withstood, radii, "a bound")
        == []
    )
