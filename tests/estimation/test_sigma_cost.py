"""The limit of the operations of all Lanczos iterations together: how it is shared, and what is said of it."""

import math

import pytest
import torch
from torch import nn

from lipschitz.estimation.measure import measure
from lipschitz.estimation.sigma.lanczos import MAX_STEPS
from lipschitz.estimation.sigma.layer_sigmas import LEAST_STEPS, _step_flops, _step_limits, layer_sigmas


def test_each_layer_has_its_share_and_what_cheaper_ones_leave() -> None:
    assert _step_limits({"cheap": 1.0, "dear": 100.0}, 8200.0) == {"cheap": MAX_STEPS, "dear": 80}
    assert _step_limits({"dear": 100.0, "cheap": 1.0}, 0.0) == {"dear": LEAST_STEPS, "cheap": LEAST_STEPS}
    assert _step_limits({"dear": 1e30}, math.inf) == {"dear": MAX_STEPS}
    assert _step_limits({}, 0.0) == {}


@pytest.mark.parametrize(
    ("layer", "shape", "products"),
    [
        (nn.Linear(3, 5), (7, 3), 7 * 3 * 5),
        (nn.Conv2d(4, 6, 3, padding=1, groups=2), (4, 8, 8), 6 * 2 * 9 * 64),
        (nn.Conv1d(2, 3, 4, stride=2, padding=1), (2, 16), 3 * 2 * 4 * 8),
        (nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1), (2, 5, 5), 2 * 3 * 16 * 25),
    ],
)
def test_the_cost_of_a_step_by_hand(layer: nn.Module, shape: tuple[int, ...], products: int) -> None:
    # Two passes, each with an addition and a multiplication for each product.
    assert _step_flops(layer, torch.Size(shape)) == 4 * products


def convolution() -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(16, 16, 3, padding=1).double()


def test_a_layer_that_was_given_too_few_steps_did_not_converge() -> None:
    example = torch.zeros(1, 16, 12, 12, dtype=torch.float64)
    whole, limited = (
        layer_sigmas(convolution(), example, tolerance=1e-6, flops=flops)[""] for flops in (math.inf, 1.0)
    )
    assert (whole.converged, limited.converged) == (True, False)
    assert 0.9 * whole.operator < limited.operator < whole.operator


def test_the_measurement_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipschitz.estimation.measure.SIGMA_FLOPS", 1.0)
    found = measure(nn.Sequential(convolution()), (16, 12, 12), torch.randn(2, 16, 12, 12).double(), tolerance=1e-6)
    assert "σ of '0' as an operator did not converge to the tolerance" in found.reasons
    assert found.layers[0].operator < found.layers[0].upper
