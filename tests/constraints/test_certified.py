"""All certified methods: layers against the SVD of the dense matrix, networks on pairs of points, and refusals."""

import copy
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_strategies import Drawn, convolutions, dense, linears, transposed_convolutions
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipschitz.constraints.aol import AOL
from lipschitz.constraints.base import CONSTRAINTS, Constraint, Refusal, constrain
from lipschitz.constraints.bjorck import Bjorck
from lipschitz.constraints.cayley import Cayley
from lipschitz.constraints.gradient_normalization import GradientNormalization
from lipschitz.constraints.gram_normalization import GramNormalization
from lipschitz.constraints.layer_normalization import LayerNormalization
from lipschitz.constraints.orthogonal import Orthogonal
from lipschitz.constraints.sandwich import Sandwich
from lipschitz.constraints.soc import SOC
from lipschitz.constraints.weight_clipping import WeightClipping
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.layers import raw_weight, weighted_layers
from lipschitz.estimation.upper_bound.composition import upper_bound
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP
from lipschitz.models.mlp_classifier import MLPClassifier

METHODS = [kind for kind in CONSTRAINTS.values() if kind.promise == "certified"]
ANY = st.one_of(convolutions(), transposed_convolutions(), linears())
RAW = "parametrizations.weight.original"
SHAPES = {"points": (2,), "images": (1, 8, 8)}
NETS = [MLP(width=16, activation="group_sort"), MLP(width=16), DCGAN(width=4)]
PAIRS = {"points": 10_000, "images": 1_000}
"""Random pairs of samples. On images ascent from 50 of them comes three times nearer to the bound than any of them."""


class Spread(nn.Module):
    """Repeat one pixel on a 4x4 map, divided by four, which preserves the norm."""

    lipschitz_constant = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return x.expand(-1, -1, 4, 4) / 4


@pytest.fixture(params=METHODS, ids=lambda kind: kind.name(), scope="module")
def kind(request: pytest.FixtureRequest) -> type[Constraint]:
    return request.param


def test_known_certified_methods_are_found() -> None:
    assert {Bjorck, AOL, GramNormalization} <= set(METHODS)


def constrained(method: Constraint, layer: nn.Module, shape: tuple[int, ...]) -> nn.Module | None:
    """Return the layer with a certified weight, or None where its sizes do not suit the method, which then says so."""
    try:
        return constrain(layer, [method], shape)
    except Refusal as reason:
        sizes = r"it pads in a circle, but|\d+ taps are no multiple of the stride"
        if not re.match(f"{method.name()} cannot bound .* ({sizes})", str(reason)):
            raise
        return None


def bare(net: nn.Module) -> nn.Module:
    """Return a float64 copy with the effective weights as plain parameters."""
    net = copy.deepcopy(net)
    for _, layer in weighted_layers(net):
        # A tensor that is computed from the raw weight comes before the weight.
        for name in sorted(getattr(layer, "parametrizations", ())):
            parametrize.remove_parametrizations(layer, name, leave_parametrized=True)
    return net.double().requires_grad_(False)


@pytest.mark.parametrize("coefficient", [1.0, 0.3])
@settings(deadline=None, max_examples=40)
@given(drawn=ANY, single=st.booleans(), exponent=st.integers(-3, 3))
def test_the_operator_norm_of_every_layer_is_bounded(
    kind: type[Constraint], coefficient: float, drawn: Drawn, single: bool, exponent: int
) -> None:
    layer, shape = drawn
    with torch.no_grad():
        layer.weight.mul_(10.0**exponent)
    raw = layer.weight.detach().clone()
    net = constrained(kind(coefficient=coefficient), layer.float() if single else layer, tuple(shape))
    if net is None:
        return
    assert torch.equal(raw_weight(net), raw.float() if single else raw)
    assert np.linalg.norm(dense(bare(net), shape), 2) <= coefficient


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_bound_holds_in_low_precision(kind: type[Constraint], dtype: torch.dtype) -> None:
    # All n weights are 1 / √n, which low precision often rounds up.
    for n in range(1, 40):
        layer = nn.Linear(n, 1, dtype=dtype)
        nn.init.constant_(layer.weight, n**-0.5)
        norm = torch.linalg.vector_norm(constrain(layer, [kind()], (n,)).weight.double()).item()
        assert 1 - 8 * math.sqrt(n) * torch.finfo(dtype).eps - 1e-6 <= norm <= 1


def test_a_kernel_that_sees_only_padding_stays_finite(kind: type[Constraint]) -> None:
    net = constrain(nn.Conv1d(1, 1, 1, stride=2, padding=1), [kind()], (1, 1))
    assert torch.isfinite(net.weight).all()


def trained(method: Constraint, model: MLP | DCGAN) -> nn.Module:
    """Return a float32 discriminator after a few large training steps."""
    torch.manual_seed(0)
    shape = SHAPES[model.kind]
    try:
        net = constrain(model.build(shape).discriminator, [method], shape)
    except Refusal as reason:
        if "slopes in [0, 1]" not in str(reason):
            raise
        pytest.skip(str(reason))
    x = torch.randn(64, *shape)
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-2)
    for _ in range(10):
        loss = (net(x) * torch.linspace(-1, 1, 64)[:, None]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.requires_grad_(False)


def quotients(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return (net(x) - net(y)).flatten(1).norm(dim=1) / (x - y).flatten(1).norm(dim=1)


def ascended(net: nn.Module, x: Tensor, y: Tensor, steps: int = 40) -> tuple[Tensor, Tensor]:
    """Move each pair of points by gradient ascent on its difference quotient."""
    pair = torch.stack([x, y]).requires_grad_()
    optimiser = torch.optim.Adam([pair], lr=0.05)
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(-quotients(net, pair[0], pair[1]).sum(), pair)
        pair.grad = gradient
        optimiser.step()
    return pair.detach()[0], pair.detach()[1]


@pytest.mark.parametrize("model", NETS, ids=lambda model: model.label())
def test_no_pair_of_points_violates_the_bound(kind: type[Constraint], model: MLP | DCGAN) -> None:
    shape = SHAPES[model.kind]
    single = trained(kind(), model)
    torch.manual_seed(1)
    x, y = torch.randn(2, PAIRS[model.kind], *shape)
    # In float32 up to rounding.
    assert quotients(single, x, y).max() <= 1 + 1e-6
    net = bare(single)
    rng = torch.Generator().manual_seed(1)

    def draw(n: int) -> Tensor:
        return torch.randn(n, *shape, generator=rng, dtype=torch.float64)

    x, y = draw(PAIRS[model.kind]), draw(PAIRS[model.kind])
    x[: len(x) // 10] = y[: len(x) // 10] + 1e-3 * draw(len(x) // 10)
    before = quotients(net, x, y)
    assert before.max() <= 1
    after = quotients(net, *ascended(net, x[-50:], y[-50:]))
    assert before[-50:].mean() < after.mean() <= after.max() <= 1


def test_the_coefficient_scales_every_layer(kind: type[Constraint]) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)).double()
    matrices = []
    for coefficient in (1.0, 2.0):
        ours = constrain(copy.deepcopy(net), [kind(coefficient=coefficient)], (3,))
        matrices.append(ours[1].weight @ ours[0].weight)
    assert torch.allclose(matrices[1], 4 * matrices[0], rtol=1e-9)


def test_a_zero_weight_stays_zero_with_a_finite_gradient(kind: type[Constraint]) -> None:
    for layer, shape in ((nn.Linear(3, 2), (3,)), (nn.Conv2d(2, 4, 3, padding=1, groups=2), (2, 4, 4))):
        nn.init.zeros_(layer.weight)
        net = constrain(layer, [kind()], shape)
        # Orthogonal replaces a zero weight by an orthonormal matrix, and that of SOC and Cayley is the identity.
        assert kind in (Orthogonal, SOC, Cayley) or torch.equal(net.weight, torch.zeros_like(net.weight))
        net.weight.sum().backward()
        assert torch.isfinite(raw_weight(net).grad).all()


def test_wrapping_works_on_the_meta_device(kind: type[Constraint]) -> None:
    with torch.device("meta"):
        net = constrain(DCGAN(width=4).build((3, 16, 16)).discriminator, [kind()], (3, 16, 16))
        assert net(torch.empty(2, 3, 16, 16)).shape == (2, 1)


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (nn.Conv3d(1, 1, 1), (1, 2, 2, 2), r"'1' \(Conv3d\): nothing bounds its parameters"),
        (nn.BatchNorm1d(3), (3,), r"'1' \(BatchNorm1d\): it divides by a standard deviation"),
        (nn.LayerNorm(3), (3,), r"'1' \(LayerNorm\): it divides by a standard deviation"),
        (nn.RNN(3, 3), (3,), r"'1' \(RNN\): nothing bounds its parameters"),
        (nn.SiLU(), (3,), r"'1' \(SiLU\): its Lipschitz constant 1\.1 exceeds one"),
        (
            nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"),
            (1, 4, 4),
            r"'1' \(Conv2d\): its padding mode is 'refl",
        ),
        (nn.Sequential(nn.ReLU(), nn.GELU()), (3,), r"'1\.1' \(GELU\)"),
        (nn.AlphaDropout(0.5), (3,), r"'1' \(AlphaDropout\): it has no finite Lipschitz constant"),
    ],
    ids=str,
)
def test_unsupported_modules_are_refused_by_name(
    kind: type[Constraint], module: nn.Module, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(Refusal, match=f"^{kind.name()} cannot bound {message}.*; allowed: Linear, Conv1d") as raised:
        constrain(nn.Sequential(nn.Identity(), module), [kind()], shape)
    assert "\n" not in str(raised.value)


def test_a_custom_container_is_refused(kind: type[Constraint]) -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.branch(x)

    for net, where in ((Residual(), "'Residual'"), (nn.Sequential(Residual()), "'0'")):
        with pytest.raises(
            Refusal, match=rf"{where} \(Residual\): it is not known how its forward combines its children"
        ):
            constrain(net, [kind()], (3,))


def test_a_layer_subclass_with_a_custom_forward_is_refused(kind: type[Constraint]) -> None:
    class Doubled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    with pytest.raises(Refusal, match=r"'0' \(Doubled\): its class has a custom forward"):
        constrain(nn.Sequential(Doubled(3, 3)), [kind()], (3,))


def test_a_layer_used_at_two_input_sizes_is_bounded_at_both(kind: type[Constraint]) -> None:
    # On a 4x4 map all taps of the 3x3 kernel are used, on a 1x1 map only the central one, which is the smallest here.
    for sizes in ((4, 1), (1, 4)):
        layer = nn.Conv2d(1, 1, 3, padding=1).double()
        layer.weight.data = torch.ones_like(layer.weight)
        layer.weight.data[..., 1, 1] = 0.1
        between = nn.AdaptiveAvgPool2d(1) if sizes[0] == 4 else Spread()
        net = constrained(kind(), nn.Sequential(layer, between, layer), (1, sizes[0], sizes[0]))
        if net is None:
            return
        names = {name for name, _ in net.named_parameters()}
        # What a method trains besides belongs to its reparametrisation.
        assert {name for name in names if ".weight.0." not in name} == {"0.bias", f"0.{RAW}"}
        effective = bare(net)[0]
        for size in sizes:
            assert np.linalg.norm(dense(effective, torch.Size((1, size, size))), 2) <= 1


def test_the_children_of_a_module_with_a_declared_constant_are_not_wrapped(kind: type[Constraint]) -> None:
    class Quarter(nn.Module):
        lipschitz_constant = 0.25

        def __init__(self) -> None:
            super().__init__()
            self.inside = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return 0.25 * torch.sin(x)

    net = constrain(nn.Sequential(nn.Linear(3, 3), Quarter()), [kind()], (3,))
    assert parametrize.is_parametrized(net[0], "weight")
    assert not parametrize.is_parametrized(net[1].inside)


class Doubles(Constraint):
    """Reparametrises every weight as twice the raw one."""

    source, promise = "this test", "none"

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        class Double(nn.Module):
            def forward(self, weight: Tensor) -> Tensor:
                return 2 * weight

        for _, layer in list(weighted_layers(net)):
            parametrize.register_parametrization(layer, "weight", Double())
        return net


def test_a_later_reparametrisation_is_refused(kind: type[Constraint]) -> None:
    for other in (Doubles, *(each for each in METHODS if each is not kind and not each.scale_invariant)):
        with pytest.raises(Refusal, match=rf"^{kind.name()} no longer bounds the weight of 'blocks\.0\.linear'"):
            constrain(MLP(width=4).build((2,)).discriminator, [kind(), other()], (2,))


def test_an_earlier_reparametrisation_is_bounded(kind: type[Constraint]) -> None:
    net = constrain(MLP(width=4).build((2,)).discriminator, [Doubles(), kind()], (2,))
    for _, layer in weighted_layers(net):
        assert torch.linalg.matrix_norm(layer.weight.double(), 2) <= 1


def test_a_method_that_adds_an_unbounded_module_is_refused(kind: type[Constraint]) -> None:
    for other, module in ((LayerNormalization(), "GroupNorm"), (GradientNormalization(), "GradientNormal")):
        with pytest.raises(Refusal, match=rf"^{kind.name()} cannot bound .*{module}"):
            constrain(MLP(width=4).build((2,)).discriminator, [kind(), other], (2,))


def test_weight_clipping_can_be_combined_with_a_certified_method(kind: type[Constraint]) -> None:
    net = constrain(MLP(width=4).build((2,)).discriminator, [kind(), WeightClipping()], (2,))
    assert all(parametrize.is_parametrized(layer, "weight") for _, layer in weighted_layers(net))


def test_hooks_and_replaced_forwards_are_refused(kind: type[Constraint]) -> None:
    class Tripled(nn.Conv2d):
        def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            return 3 * super()._conv_forward(x, weight, bias)

    with pytest.raises(Refusal, match=r"'0' \(Tripled\): its class has a custom forward"):
        constrain(nn.Sequential(Tripled(1, 1, 1)), [kind()], (1, 2, 2))
    for index, module in enumerate((nn.Linear(2, 2), nn.ReLU())):
        net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        net[index] = module
        module.forward = lambda x: 9 * x  # type: ignore[method-assign]
        with pytest.raises(Refusal, match=f"'{index}' .*forward"):
            constrain(net, [kind()], (2,))
    for register in (nn.Module.register_forward_hook, nn.Module.register_forward_pre_hook):
        register(layer := nn.Linear(2, 2), lambda *_: None)
        with pytest.raises(Refusal, match="a forward hook may change"):
            constrain(nn.Sequential(layer), [kind()], (2,))


def test_the_same_method_twice_is_refused(kind: type[Constraint]) -> None:
    with pytest.raises(Refusal, match=f"{kind.name()} is listed twice"):
        constrain(nn.Linear(2, 2), [kind(), kind(coefficient=3.0)], (2,))


def test_dropout_changes_nothing_in_eval_mode(kind: type[Constraint]) -> None:
    nets = []
    for dropout in (0.0, 0.5):
        torch.manual_seed(0)
        net = MLPClassifier(width=8, depth=2, dropout=dropout).build_classifier((1, 2, 2), 3)
        nets.append(constrain(net, [kind()], (1, 2, 2)))
    plain, dropping = nets
    x = torch.randn(20, 1, 2, 2)
    assert not torch.equal(dropping(x), dropping(x)), "in training it drops units"
    assert torch.equal(dropping.eval()(x), plain.eval()(x)), "the same layers, also where a method replaces blocks"
    assert dropping(x).equal(dropping(x))
    with float64_copy(dropping) as twin:
        assert upper_bound(twin, (1, 2, 2)).constant <= 1 + 1e-6 or kind is Sandwich
