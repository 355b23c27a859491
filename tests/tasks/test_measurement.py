"""What is measured of a discriminator, on one whose gradients are known."""

import pytest
import torch
from torch import nn

from lipschitz.tasks.measurement import measure_discriminator


class HalfSquare(nn.Module):
    """D(x) = s |x|²/2: the gradient's norm is s |x|."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.scale.weight, 2.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.scale(x.square().sum(dim=1, keepdim=True) / 2)
        return output


PLACES = {
    "real": torch.tensor([[3.0, 4.0], [0.0, 1.0]]),
    "fake": torch.tensor([[0.0, 2.0], [0.0, 0.0]]),
    "interpolated": torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
    "noise": torch.tensor([[30.0, 40.0], [0.0, 0.0]]),
}


def test_values_by_hand() -> None:
    values = measure_discriminator(HalfSquare(), PLACES)
    assert values == pytest.approx(
        {
            "sigma_reshaped/scale": 2,
            "sigma_operator/scale": 2,
            "gradient_norm/real": 6,
            "gradient_norm_max/real": 10,
            "gradient_norm/fake": 2,
            "gradient_norm_max/fake": 4,
            "gradient_norm/interpolated": 2,
            "gradient_norm_max/interpolated": 2,
            "gradient_norm/noise": 50,
            "gradient_norm_max/noise": 100,
            "lipschitz_lower": 10,
        }
    )


def test_it_is_measured_in_double_and_in_eval_mode_and_the_network_is_left_alone() -> None:
    seen = []

    class Witness(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append((x.dtype, self.training))
            return x

    net = nn.Sequential(Witness(), nn.BatchNorm1d(2), nn.Linear(2, 1))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    measure_discriminator(net, PLACES)
    assert set(seen) == {(torch.float64, False)}
    assert all(module.training for module in net.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
    for name, value in net.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])
