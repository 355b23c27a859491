"""MaxGP: values by hand, the steepest interpolate alone, and gradients by finite differences."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from smooth_nets import HalfSquare, check_parameter_gradients, draw, linear, rng, smooth_net
from torch import nn

from lipschitz.constraints.base import Batch, Refusal, constrain
from lipschitz.constraints.input_gradients import interpolate
from lipschitz.constraints.max_gradient_penalty import MaxGradientPenalty


def test_a_linear_discriminator_by_hand() -> None:
    net = linear([3.0, 4.0])
    penalty = MaxGradientPenalty(weight=0.5).penalty(net, Batch(draw(7, 2), draw(7, 2, seed=1)), rng())
    assert penalty.item() == pytest.approx(12.5)
    penalty.backward()
    # d λ ‖w‖² = 2 λ w.
    assert_allclose(net.weight.grad, np.array([[3.0, 4.0]]), rtol=1e-12)


def test_only_the_steepest_interpolate_counts() -> None:
    real, generated = draw(6, 3, 2), draw(6, 3, 2, seed=1)
    norms = np.linalg.norm(interpolate(real, generated, rng()).flatten(1).numpy(), axis=1)
    penalty = MaxGradientPenalty().penalty(HalfSquare(), Batch(real, generated), rng())
    assert penalty.item() == pytest.approx(norms.max() ** 2, rel=1e-12)


def test_the_parameters_gradient_equals_finite_differences() -> None:
    net, batch = smooth_net(), Batch(draw(3, 1, 3, 3), draw(3, 1, 3, 3, seed=1))
    assert check_parameter_gradients(net, lambda: MaxGradientPenalty().penalty(net, batch, rng())) >= 5


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match="max_gradient_penalty needs generated samples"):
        MaxGradientPenalty().penalty(HalfSquare(), Batch(draw(2, 2), None), torch.Generator())
    with pytest.raises(Refusal, match="max_gradient_penalty"):
        constrain(nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1)), [MaxGradientPenalty()], (2,))
