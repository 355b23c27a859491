"""SOC, Cayley and LOT: circular convolutions against values by hand, dense matrices, and the package orthogonium."""

import copy
import math
import pickle
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from layer_strategies import dense
from numpy.testing import assert_allclose
from torch import nn

from lipschitz.constraints.base import CONSTRAINTS, Constraint, Refusal, constrain
from lipschitz.constraints.cayley import Cayley
from lipschitz.constraints.lot import LOT
from lipschitz.constraints.soc import SOC
from lipschitz.estimation.layers import WeightedLayer, raw_weight, reparametrizations
from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.estimation.upper_bound.gram_iteration import convolution_bound
from lipschitz.estimation.upper_bound.operator_bounds import _circle
from lipschitz.estimation.upper_bound.polyphase import Kernel

METHODS = [SOC(), Cayley(), LOT(iterations=40)]
LAYERS = [
    (nn.Linear(3, 5), (3,)),
    (nn.Linear(5, 3), (5,)),
    (nn.Conv2d(2, 3, 3, padding=1), (2, 4, 4)),
    (nn.Conv2d(4, 4, 4, 2, padding=1, groups=2), (4, 6, 6)),
    (nn.Conv2d(3, 2, 3, padding=2, dilation=2), (3, 5, 6)),
    (nn.Conv2d(1, 2, 2, stride=2), (1, 4, 4)),
    (nn.Conv2d(2, 3, 3, padding="same"), (2, 2, 1)),
    (nn.Conv1d(2, 3, 3, padding=1), (2, 7)),
    (nn.ConvTranspose2d(2, 3, 2, stride=2), (2, 3, 3)),
]


@pytest.fixture(params=METHODS, ids=Constraint.label)
def method(request: pytest.FixtureRequest) -> Constraint:
    return request.param


def orthogonal(method: Constraint, layer: nn.Module, shape: tuple[int, ...]) -> WeightedLayer:
    net = constrain(copy.deepcopy(layer).double(), [method], shape)
    assert isinstance(net, WeightedLayer)
    return net


def linear(weight: list[list[float]]) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight), bias=False)
    layer.weight.data = torch.tensor(weight)
    return layer


def circulant(layer: nn.Conv2d, shape: tuple[int, ...]) -> np.ndarray:
    """Return the matrix of a convolution of stride one with its own kernel, on a circle."""
    circular = copy.deepcopy(layer).double()
    circular.padding_mode = "circular"
    return dense(circular, torch.Size(shape))


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
def test_every_singular_value_is_the_coefficient(
    method: Constraint, layer: WeightedLayer, shape: tuple[int, ...]
) -> None:
    bare = layer(torch.zeros(1, *shape))
    for coefficient in (1.0, 0.3):
        net = orthogonal(method.model_copy(update={"coefficient": coefficient}), layer, shape)
        assert torch.equal(raw_weight(net), layer.weight.double())
        assert net(torch.zeros(1, *shape, dtype=torch.float64)).shape == bare.shape
        values = np.linalg.svd(dense(net, torch.Size(shape)), compute_uv=False)
        assert_allclose(values, coefficient, rtol=1e-6)
        assert values[0] <= coefficient


def test_few_steps_and_terms_keep_the_bound() -> None:
    torch.manual_seed(0)
    for method in (LOT(iterations=1), SOC(terms=2), SOC(terms=3)):
        values = np.linalg.svd(dense(orthogonal(method, *LAYERS[2]), torch.Size(LAYERS[2][1])), compute_uv=False)
        assert values[-1] < 0.95
        assert values[0] <= 1


def test_cayley_by_hand() -> None:
    # A = W - Wᵀ = [[0, 1], [-1, 0]], and (I - A)(I + A)^-1 = -A.
    net = orthogonal(Cayley(), linear([[3.0, 1.0], [0.0, 5.0]]), (2,))
    assert_allclose(net.weight.detach(), [[0, -1], [1, 0]], atol=1e-6)
    # U = 4 and V = 3: A = VᵀV = 9, and Q = [(1 - 9) / 10, -2 * 3 / 10].
    for weight, expected in (([[4.0], [3.0]], [[-0.8], [-0.6]]), ([[4.0, 3.0]], [[-0.8, -0.6]])):
        net = orthogonal(Cayley(), linear(weight), (len(weight[0]),))
        assert_allclose(net.weight.detach(), expected, atol=1e-6)


def test_cayley_keeps_its_bound_for_huge_weights() -> None:
    torch.manual_seed(0)
    for layer, shape in (LAYERS[0], LAYERS[2]):
        huge = copy.deepcopy(layer)
        huge.weight.data *= 1e12
        assert_allclose(np.linalg.norm(dense(orthogonal(Cayley(), huge, shape), torch.Size(shape)), 2), 1, rtol=1e-6)


def test_soc_by_hand() -> None:
    # W - Wᵀ = [[0, 7], [-7, 0]]. Gram iteration bounds its two equal singular values by 7 · 2^(1/128), so L rotates by
    # an angle somewhat below one.
    angle = 2 ** (-1 / 128)
    net = orthogonal(SOC(terms=30), linear([[3.0, 7.0], [0.0, 5.0]]), (2,))
    expected = [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    assert_allclose(net.weight.detach(), expected, atol=1e-6)
    # Three terms: I + L + L²/2, divided by 1 + 1/3!.
    net = orthogonal(SOC(terms=3), linear([[3.0, 7.0], [0.0, 5.0]]), (2,))
    expected = np.array([[1 - angle**2 / 2, angle], [-angle, 1 - angle**2 / 2]]) / (1 + 1 / 6)
    assert_allclose(net.weight.detach(), expected, atol=1e-6)


def test_soc_is_the_exponential_of_the_skew_convolution() -> None:
    torch.manual_seed(0)
    # Blocks of one channel have the exact norm.
    layer, shape = nn.Conv2d(1, 1, 3, padding=1), (1, 5, 4)
    skew = circulant(layer, shape)
    skew = torch.from_numpy(skew - skew.T)
    expected = torch.matrix_exp(skew / torch.linalg.matrix_norm(skew, 2))
    assert_allclose(dense(orthogonal(SOC(), layer, shape), torch.Size(shape)), expected, atol=1e-6)


def test_lot_by_hand_and_as_the_coupled_iteration() -> None:
    # The singular values of diag(1, 0.6) / 1 after a step: 1 and 0.6 (3 - 0.36) / 2.
    net = orthogonal(LOT(iterations=1), linear([[1.0, 0.0], [0.0, 0.6]]), (2,))
    ratio = net.weight.detach().diag()
    # The norm is bounded within 2^(1/32), so the step starts somewhat below one.
    assert 0.9 < ratio[0] <= 1
    assert ratio[1] == pytest.approx(0.792, rel=0.03)
    torch.manual_seed(0)
    layer = nn.Linear(3, 5)
    v = layer.weight.detach().double()
    y, z, eye = v.mT @ v / v.square().sum(), torch.eye(3).double(), torch.eye(3).double()
    for _ in range(40):
        middle = (3 * eye - z @ y) / 2
        y, z = y @ middle, middle @ z
    expected = v @ z / v.norm()
    assert_allclose(orthogonal(LOT(iterations=40), layer, (3,)).weight.detach(), expected, atol=1e-6)


def test_lot_is_the_nearest_orthogonal_convolution() -> None:
    torch.manual_seed(0)
    layer, shape = nn.Conv2d(2, 3, 3, padding=1), (2, 4, 4)
    u, _, vh = np.linalg.svd(circulant(layer, shape), full_matrices=False)
    assert_allclose(dense(orthogonal(LOT(iterations=40), layer, shape), torch.Size(shape)), u @ vh, atol=1e-6)


def test_the_cayley_transform_is_that_of_orthogonium(monkeypatch: pytest.MonkeyPatch) -> None:
    # Their module imports it for strides alone.
    monkeypatch.setitem(sys.modules, "einops", ModuleType("einops"))
    theirs = pytest.importorskip("orthogonium.legacy.cayley_ortho_conv").Cayley(2, 3, 3).double()
    layer = nn.Conv2d(2, 3, 3, padding=1)
    layer.load_state_dict({"weight": theirs.weight.detach(), "bias": theirs.bias.detach()})
    n = 6
    spectrum = torch.fft.rfft2(theirs.weight.detach(), (n, n))
    theirs.alpha.data = torch.linalg.vector_norm(spectrum)
    x = torch.randn(4, 2, n, n, dtype=torch.float64)
    ours = orthogonal(Cayley(), layer, (2, n, n))
    # Theirs keeps its kernel in float32, where it was drawn.
    ours.bias.data = theirs.bias.detach().double()
    assert_allclose(ours(x).detach(), theirs(x).detach(), atol=1e-6)


def test_the_upper_bound_of_a_circular_convolution_is_its_norm() -> None:
    # 2 x 22² inputs are too many for a dense matrix. Padding and convolution apart would count √4 times the norm.
    torch.manual_seed(0)
    for layer in (nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 3, 4, 2, padding=1)):
        net = orthogonal(Cayley(coefficient=2.0), layer, (2, 22, 22))
        net = nn.Sequential(net, nn.ReLU()).requires_grad_(False)
        assert upper_bound(net, (2, 22, 22)).constant == pytest.approx(2, rel=1e-6)
    # A kernel that is no orthogonal one, on a circle of 40 pixels, against its dense matrix.
    plain = nn.Conv1d(2, 3, 5, 2, padding=2, padding_mode="circular").double().requires_grad_(False)
    kernel = Kernel(plain.weight, plain.stride, (0,), plain.dilation, 1, output_padding=(0,))
    axes = _circle(kernel, (2, 40), ("circular", (2, 2)))
    assert axes is not None
    norm = np.linalg.norm(dense(plain, torch.Size((2, 40))), 2)
    assert norm * (1 - 1e-9) <= float(convolution_bound(plain.weight, axes)) <= norm * (1 + 1e-6)
    assert _circle(kernel, (2, 41), ("circular", (2, 2))) is None
    assert _circle(kernel, (2, 40), ("reflect", (2, 2))) is None


def test_copies_pickles_and_state_dicts(method: Constraint) -> None:
    net = nn.Sequential(orthogonal(method, *LAYERS[3]))
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    other = nn.Sequential(orthogonal(method, nn.Conv2d(4, 4, 4, 2, padding=1, groups=2), (4, 6, 6)))
    other.load_state_dict(net.state_dict())
    for twin in (copy.deepcopy(net), other):
        assert torch.equal(twin(x), net(x))
    assert (
        pickle.loads(pickle.dumps(net[0].parametrizations["weight"][0])).axes
        == net[0].parametrizations["weight"][0].axes
    )


def test_gradcheck() -> None:
    torch.manual_seed(0)
    for method in (Cayley(), LOT(iterations=3), SOC(terms=4)):
        for layer, shape in ((nn.Linear(3, 2), (3,)), (nn.Conv2d(2, 2, 3, 2, padding=1, groups=2), (2, 4, 4))):
            net = orthogonal(method, layer, shape)
            (step,) = reparametrizations(net)
            assert torch.autograd.gradcheck(step.bounded, raw_weight(net).detach().requires_grad_())


def test_what_has_no_circular_form_is_refused_in_one_line(method: Constraint) -> None:
    name = method.name()
    cases = [
        (nn.Conv2d(1, 1, 3), (1, 4, 4), r"the layer makes a map \(2, 2\) of a map \(4, 4\) with stride \(1, 1\)"),
        (nn.Conv2d(1, 1, 4, 2, padding=1), (1, 5, 5), r"the layer makes a map \(2, 2\) of a map \(5, 5\)"),
        (nn.ConvTranspose2d(1, 1, 4, 2), (1, 4, 4), "torch has no ConvTranspose2d that does"),
    ]
    for layer, shape, message in cases:
        with pytest.raises(
            Refusal, match=rf"^{name} cannot bound '0' \({type(layer).__name__}\): it pads in"
        ) as raised:
            constrain(nn.Sequential(layer), [method], shape)
        assert raised.match(message)
        assert raised.match("; allowed: ")
        assert "\n" not in str(raised.value)
    shared = nn.Conv2d(1, 1, 3, padding=1)
    with pytest.raises(Refusal, match=r"used on maps \(1, 4, 4\) and \(1, 2, 2\); allowed: maps of one size"):
        constrain(nn.Sequential(shared, nn.AvgPool2d(2), shared), [method], (1, 4, 4))


def test_a_later_certified_method_is_refused_in_one_line(method: Constraint) -> None:
    for later in (kind for kind in CONSTRAINTS.own.values() if kind.promise == "certified"):
        if later is not type(method) and not (method.scale_invariant and later.scale_invariant):
            message = rf"^{later.name()} cannot bound '0' \(Conv2d\): an earlier certified method"
            with pytest.raises(Refusal, match=message):
                constrain(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1)), [method, later()], (1, 4, 4))
