"""0-GP: values by hand, the interpolates, and gradients by finite differences."""

import numpy as np
import pytest
import torch
from smooth_nets import HalfSquare, check_parameter_gradients, draw, linear, rng, smooth_net
from torch import nn

from lipschitz.constraints.base import Batch, Refusal, constrain
from lipschitz.constraints.input_gradients import interpolate
from lipschitz.constraints.zero_gp import ZeroGP


def test_a_linear_discriminator_by_hand() -> None:
    penalty = ZeroGP(weight=0.5).penalty(linear([3.0, 4.0]), Batch(draw(7, 2), draw(7, 2, seed=1)), rng())
    assert penalty.item() == pytest.approx(12.5)


def test_the_mean_is_over_the_interpolates() -> None:
    real, generated = draw(6, 3, 2), draw(6, 3, 2, seed=1)
    norms = np.linalg.norm(interpolate(real, generated, rng()).flatten(1).numpy(), axis=1)
    penalty = ZeroGP().penalty(HalfSquare(), Batch(real, generated), rng())
    assert penalty.item() == pytest.approx(100 * (norms**2).mean(), rel=1e-12)


def test_the_parameters_gradient_equals_finite_differences() -> None:
    net, batch = smooth_net(), Batch(draw(3, 1, 3, 3), draw(3, 1, 3, 3, seed=1))
    assert check_parameter_gradients(net, lambda: ZeroGP(weight=1.0).penalty(net, batch, rng())) >= 5


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match="zero_gp needs generated samples"):
        ZeroGP().penalty(HalfSquare(), Batch(draw(2, 2), None), torch.Generator())
    with pytest.raises(Refusal, match="zero_gp"):
        constrain(nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1)), [ZeroGP()], (2,))
