"""AOC: composed kernels against values by hand, dense matrices on a torus, and the package orthogonium."""

import numpy as np
import pytest
import torch
from layer_strategies import dense, on_a_torus
from numpy.testing import assert_allclose
from torch import Tensor, nn

from lipschitz.constraints.aoc import AOC, ComposedKernel
from lipschitz.constraints.base import constrain
from lipschitz.estimation.layers import WeightedLayer, raw_weight
from lipschitz.estimation.upper_bound.polyphase import ConvolutionAxis
from lipschitz.models.initialisation import initialise

# Inputs, outputs, kernel size, stride, dilation, groups.
CONVOLUTIONS = [
    (4, 4, 3, 1, 1, 1),
    (2, 6, 3, 1, 1, 1),
    (6, 2, 3, 1, 2, 1),
    (3, 3, 2, 1, 1, 1),
    (4, 4, 4, 2, 1, 1),
    (2, 16, 4, 2, 1, 1),
    (3, 4, 5, 2, 1, 1),
    (4, 4, 3, 3, 2, 1),
    (4, 4, 1, 2, 1, 1),
    (8, 8, 3, 1, 1, 4),
    (1, 1, 3, 1, 1, 1),
]


def composed(layer: WeightedLayer, shape: tuple[int, ...], iterations: int = 15) -> WeightedLayer:
    return constrain(layer.double(), [AOC(iterations=iterations)], shape)  # type: ignore[return-value]


def test_two_taps_by_hand() -> None:
    # The matrix is the identity. V is (3, 4) / 5, so P is [[9, 12], [12, 16]] / 25; the kernel is (I - P) + P z.
    layer = nn.Conv1d(2, 2, 2)
    layer.weight.data = torch.stack([7 * torch.eye(2), torch.tensor([[3.0, 4.0], [0.0, 0.0]])], dim=2)
    weight = composed(layer, (2, 5)).weight.detach()
    assert_allclose(weight[..., 0], [[0.64, -0.48], [-0.48, 0.36]], atol=1e-6)
    assert_allclose(weight[..., 1], [[0.36, 0.48], [0.48, 0.64]], atol=1e-6)


@pytest.mark.parametrize("sizes", CONVOLUTIONS, ids=str)
def test_it_is_orthogonal_on_a_torus(sizes: tuple[int, ...]) -> None:
    inputs, outputs, kernel, stride, dilation, groups = sizes
    torch.manual_seed(0)
    layer = nn.Conv2d(inputs, outputs, kernel, stride, dilation=dilation, groups=groups)
    values = np.linalg.svd(on_a_torus(composed(layer, (inputs, 12, 12), 40), inputs, 12), compute_uv=False)
    assert_allclose(values, 1, atol=1e-5)


@pytest.mark.parametrize("sizes", CONVOLUTIONS[:7], ids=str)
def test_few_iterations_bound_it_too(sizes: tuple[int, ...]) -> None:
    inputs, outputs, kernel, stride, dilation, groups = sizes
    torch.manual_seed(0)
    layer = nn.Conv2d(inputs, outputs, kernel, stride, dilation=dilation, groups=groups)
    values = np.linalg.svd(on_a_torus(composed(layer, (inputs, 12, 12), 1), inputs, 12), compute_uv=False)
    assert values[0] <= 1
    assert values[-1] < 0.9 or kernel == 1 or outputs == inputs == 1


def test_a_transposed_convolution_is_the_adjoint_of_an_orthogonal_one() -> None:
    torch.manual_seed(0)
    transposed, adjoint = nn.ConvTranspose2d(3, 2, 4, 2, padding=1), nn.Conv2d(2, 3, 4, 2, padding=1)
    adjoint.weight.data = transposed.weight.detach().clone()
    assert torch.equal(composed(transposed, (3, 4, 4)).weight, composed(adjoint, (2, 8, 8)).weight)


def test_one_input_reaches_nearly_as_many_directions_as_it_has_taps() -> None:
    # The factors act on all outputs. Nine taps suffice for two columns in each projection: the last adds two directions
    # to the six of the kernel before it.
    torch.manual_seed(0)
    weight = composed(nn.Conv2d(1, 32, 3, padding=1), (1, 8, 8)).weight.detach()
    assert torch.linalg.matrix_rank(weight.flatten(1)) == 8


def test_a_centred_identity_stays_the_identity() -> None:
    layer = nn.Conv2d(4, 4, 3, padding=1)
    initialise(layer, "relu", "dirac")
    start = layer.weight.detach().clone().double()
    assert_allclose(composed(layer, (4, 6, 6)).weight.detach(), start, atol=1e-6)


def test_taps_that_meet_only_padding_are_zero_and_the_others_orthogonal() -> None:
    torch.manual_seed(0)
    layer = composed(nn.Conv2d(3, 5, 3, padding=1), (3, 1, 1))
    assert torch.count_nonzero(layer.weight) == 15
    assert_allclose(np.linalg.svd(dense(layer, torch.Size((3, 1, 1))), compute_uv=False), 1, atol=1e-3)


def test_gradcheck() -> None:
    torch.manual_seed(0)
    for layer, shape in ((nn.Conv2d(2, 2, 3, 2, groups=2), (2, 5, 5)), (nn.Conv2d(2, 2, 2), (2, 4, 4))):
        net = composed(layer, shape, 3)
        (step,) = net.parametrizations["weight"]  # type: ignore[union-attr, index]
        assert torch.autograd.gradcheck(step.bounded, raw_weight(net).detach().requires_grad_())


def test_the_composition_is_that_of_orthogonium() -> None:
    blocks = pytest.importorskip("orthogonium.layers.conv.AOC.fast_block_ortho_conv")
    rng = np.random.default_rng(0)
    frames = torch.from_numpy(np.stack([np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in range(6)]))
    theirs = blocks.BCOPTrivializer(4, 4, 3, 1)(frames[None, :, :, :2].float())
    first = reflection(frames[0, :, :2]) @ reflection(frames[1, :, :2])
    step = ComposedKernel(1.0, 1, 1, [ConvolutionAxis(8, 6, 3)] * 2)
    # Theirs begins with the last axis, and a factor is P + (I - P) z where ours, at first, is (I - P) + P z.
    order = torch.stack([frames[4, :, 2:], frames[2, :, 2:], frames[5, :, :2], frames[3, :, :2]])
    ours = step._with_factors(first.view(1, 4, 4, 1, 1), order[None])
    assert_allclose(ours[0].mT, theirs, atol=1e-5)


def reflection(frame: Tensor) -> Tensor:
    return torch.eye(4, dtype=frame.dtype) - 2 * frame @ frame.mT
