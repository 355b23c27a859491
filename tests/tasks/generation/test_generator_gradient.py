"""The gradient of the generator's loss, against values worked out by hand, and what a loss does to it."""

from collections.abc import Callable

import pytest
import torch
from small_generation_task import task
from torch import Tensor, nn

from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP
from lipschitz.tasks.generation.generator_gradient import generator_gradient
from lipschitz.tasks.losses import GANLoss, Hinge, Minimax, NonSaturating, Relativistic

LATENTS = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
REAL = torch.tensor([[5.0], [7.0]])


def linear(weight: list[list[float]]) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight), bias=False)
    layer.weight.data = torch.tensor(weight)
    return layer


def test_of_two_linear_maps_it_is_known() -> None:
    # G(z) = 3 z1 + 4 z2 gives 3 and 8; D(x) = 2 x. The loss -mean 2 G(z) has the gradient -2 mean z = (-1, -2).
    values = generator_gradient(Hinge(), linear([[3.0, 4.0]]), linear([[2.0]]), LATENTS, REAL)
    assert values["generator_gradient/parameters"] == pytest.approx(5**0.5, rel=1e-12)
    assert values["generator_gradient/samples"] == pytest.approx(2, rel=1e-12)


@pytest.mark.parametrize(
    ("loss", "factor"), [(Minimax(), torch.sigmoid), (NonSaturating(), lambda outputs: torch.sigmoid(-outputs))]
)
def test_a_saturated_loss_has_a_small_gradient_by_samples(loss: GANLoss, factor: Callable[[Tensor], Tensor]) -> None:
    # D(x) = -20 x rejects G(z) = 3 and 8 with the outputs -60 and -160, for which float32 has hardly any sigmoid.
    values = generator_gradient(loss, linear([[3.0, 4.0]]), linear([[-20.0]]), LATENTS, REAL)
    expected = 20 * factor(torch.tensor([-60.0, -160.0], dtype=torch.float64)).mean()
    assert values["generator_gradient/samples"] == pytest.approx(float(expected), rel=1e-9)
    assert values["generator_gradient/samples"] > 0


def test_a_relativistic_generator_is_given_the_real_samples() -> None:
    near, far = (
        generator_gradient(Relativistic(), linear([[3.0, 4.0]]), linear([[2.0]]), LATENTS, REAL + shift)
        for shift in (0.0, 20.0)
    )
    assert far["generator_gradient/samples"] == pytest.approx(2, rel=1e-6)
    assert near["generator_gradient/samples"] < 1.5


@pytest.mark.parametrize("model", [MLP(width=8, depth=2), DCGAN(width=4), DCGAN(width=4, conditional=True)])
def test_runs_record_it_and_keep_their_gradients(model: MLP | DCGAN) -> None:
    gan = task("float32", model=model)
    gan.step(0.0)
    before = [_gradient(one) for one in (*gan.generator.parameters(), *gan.discriminator.parameters())]
    values = gan.evaluate("a")
    assert values["generator_gradient/parameters"] > 0
    # The hinge loss of the generator is linear in D, so this is the mean norm of D's input gradient.
    assert 0.5 < values["generator_gradient/samples"] / values["gradient_norm/fake"] < 2
    after = [_gradient(one) for one in (*gan.generator.parameters(), *gan.discriminator.parameters())]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def _gradient(parameter: Tensor) -> Tensor:
    return torch.zeros(()) if parameter.grad is None else parameter.grad.clone()
