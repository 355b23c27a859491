"""Measurement of a network: lower <= upper for every network, and errors for wrong inputs."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.constraints.gradient_normalization import GradientNormalization
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.estimation.measure import measure
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.group_sort import GroupSort

CHANNELS, SIZE = 4, 6


class Residual(nn.Module):
    """A residual block as in SN-GAN's discriminator, with or without pooling and a learned shortcut."""

    def __init__(self, pooled: bool, learned: bool, activation: nn.Module) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(2))
        self.shortcut = nn.Conv2d(CHANNELS, CHANNELS, 1) if learned else nn.Identity()
        self.activation, self.pooled = activation, pooled

    def forward(self, x: Tensor) -> Tensor:
        h = self.second(self.activation(self.first(F.relu(x))))
        shortcut = self.shortcut(x)
        return F.avg_pool2d(h, 2) + F.avg_pool2d(shortcut, 2) if self.pooled else h + shortcut


class Concatenated(nn.Module):
    """Two convolutions to half the channels each, concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = (nn.Conv2d(CHANNELS, CHANNELS // 2, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.left(x), 2 * self.right(x)], dim=1)


ACTIVATIONS = st.sampled_from([nn.ReLU, nn.Tanh, nn.SiLU, nn.GELU, GroupSort, lambda: nn.LeakyReLU(2.0)])


def convolution(draw: st.DrawFn) -> nn.Module:
    kernel = draw(st.integers(1, 4))
    mode = draw(st.sampled_from(["zeros", "zeros", "circular"]))
    options = {"stride": draw(st.integers(1, 2)), "padding": kernel // 2, "padding_mode": mode}
    return nn.Conv2d(CHANNELS, CHANNELS, kernel, groups=draw(st.sampled_from([1, 2])), **options)


def pooling(draw: st.DrawFn) -> nn.Module:
    kind = draw(st.sampled_from([nn.MaxPool2d, nn.AvgPool2d]))
    return kind(3, draw(st.integers(1, 2)), 1)


def normalisation(draw: st.DrawFn) -> nn.Module:
    norm = draw(st.sampled_from([nn.BatchNorm2d(CHANNELS), nn.GroupNorm(2, CHANNELS, eps=0.1)]))
    norm.weight.data.uniform_(-2, 2)
    if isinstance(norm, nn.BatchNorm2d):
        norm.running_var.uniform_(0.1, 2)
    return norm


def residual(draw: st.DrawFn) -> nn.Module:
    return Residual(False, draw(st.booleans()), draw(ACTIVATIONS)())


@st.composite
def networks(draw: st.DrawFn) -> nn.Module:
    """Draw a network of one to four blocks on 4x6x6 and a Linear layer with one output or three."""
    torch.manual_seed(draw(st.integers(0, 10**6)))
    parts = st.sampled_from([convolution, pooling, normalisation, residual, lambda _: Concatenated()])
    blocks: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 4))):
        blocks += [draw(parts)(draw), draw(ACTIVATIONS)()]
    blocks.append(draw(st.sampled_from([nn.Flatten(), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())])))
    body = nn.Sequential(*blocks)
    features = body(torch.zeros(2, CHANNELS, SIZE, SIZE)).shape[1]
    return nn.Sequential(body, nn.Linear(features, draw(st.sampled_from([1, 3]))))


def is_constant(net: nn.Module) -> bool:
    """Say whether the outputs at 200 random points of several sizes are equal."""
    far = torch.logspace(-1, 2, 200, dtype=torch.float64).view(-1, 1, 1, 1)
    points = far * torch.randn(200, CHANNELS, SIZE, SIZE, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        outputs = copy.deepcopy(net).double().eval()(points)
    return bool(torch.allclose(outputs, outputs[:1].expand_as(outputs), rtol=1e-9, atol=0))


@settings(deadline=None, max_examples=25)
@given(networks())
def test_lower_is_never_above_upper(net: nn.Module) -> None:
    # Bounds are never mended: one that is contradicted is infinite, and in tests an error.
    points = torch.randn(4, CHANNELS, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    found = measure(net, (CHANNELS, SIZE, SIZE), points)
    assert found.lower <= found.upper < math.inf
    # All units of a layer may be dead: such a network is constant.
    assert found.lower > 0 or is_constant(net)
    for layer in found.layers:
        assert layer.operator <= layer.upper * (1 + 1e-12)


@pytest.mark.parametrize("pooled", [False, True])
def test_a_residual_block_with_a_learned_shortcut(pooled: bool) -> None:
    torch.manual_seed(0)
    found = measure(Residual(pooled, True, nn.ReLU()), (CHANNELS, SIZE, SIZE))
    assert found.lower <= found.upper < 10 * found.lower


def test_the_bounds_of_a_linear_network_are_equal() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    found = measure(net, (3, 2, 2))
    assert found.lower <= found.upper
    assert found.ratio == pytest.approx(1, abs=1e-8)
    assert found.upper == pytest.approx(float(net[1].weight.detach().double().norm()), rel=1e-9)
    assert found.reasons == ()


def test_every_layer_is_measured_with_its_name_and_type() -> None:
    torch.manual_seed(0)
    net = SpectralNormalization().wrap(DCGAN(width=4).build((1, 8, 8)).discriminator, (1, 8, 8))
    found = measure(net, (1, 8, 8))
    assert [layer.name for layer in found.layers] == [*(f"blocks.{i}.conv" for i in range(7)), "output"]
    assert {layer.type for layer in found.layers} == {"Conv2d", "Linear"}
    for layer in found.layers:
        assert layer.reshaped == pytest.approx(1, abs=0.01)
        assert layer.operator == pytest.approx(layer.upper, rel=1e-3), "small maps are bounded by their dense matrix"
    assert found.product == pytest.approx(math.prod(layer.upper for layer in found.layers), rel=1e-9)
    assert found.lower < found.upper < found.product / 5


def test_measuring_changes_nothing_and_is_reproducible() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1))
    net = SpectralNormalization().wrap(net, (1, 4, 4))
    net(torch.randn(4, 1, 4, 4)).sum().backward()
    net[1].eval()
    before = copy.deepcopy(net.state_dict())
    gradients = [parameter.grad.clone() for parameter in net.parameters()]
    modes = [module.training for module in net.modules()]
    points, state = torch.randn(3, 1, 4, 4), torch.get_rng_state()
    given_points = points.clone()
    first = measure(net, (1, 4, 4), points)
    assert first == measure(net, (1, 4, 4), points)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(points, given_points)
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(torch.equal(p.grad, grad) for p, grad in zip(net.parameters(), gradients, strict=True))
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_an_unknown_function_is_named_and_the_lower_bound_is_finite() -> None:
    class Square(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.square()

    torch.manual_seed(0)
    found = measure(nn.Sequential(nn.Linear(2, 2), Square(), nn.Linear(2, 1)), (2,))
    assert found.upper == found.ratio == math.inf
    assert found.reasons == ("square in '1' (Square) has no Lipschitz constant over all inputs",)
    assert found.lower > 0
    assert all(layer.upper < math.inf for layer in found.layers)


def test_a_network_that_declares_an_infinite_constant() -> None:
    net = GradientNormalization().wrap(nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)), (2,))
    found = measure(net, (2,))
    assert found.upper == math.inf
    assert "gradient normalisation" in found.reasons[0]
    assert found.lower > 0


def test_a_network_that_mixes_samples_is_measured_on_a_batch_of_one() -> None:
    class Centred(nn.Module):
        """Subtract the batch's mean; a single sample x is mapped to 5 (x - x) + x = x."""

        def forward(self, x: Tensor) -> Tensor:
            return (x - x.mean(0, keepdim=True)) * 5 + x

    class Counting(nn.Module):
        """Multiply by the number of samples."""

        def forward(self, x: Tensor) -> Tensor:
            return x * x.shape[0]

    for net in (Centred(), Counting()):
        found = measure(net, (2,))
        assert any("mixes the samples" in reason for reason in found.reasons)
        assert found.lower == pytest.approx(1, rel=1e-6)
        assert found.lower <= found.upper


@pytest.mark.parametrize(
    ("shape", "part"),
    [
        ((1, 6, 6), "expected input"),
        ((3, 6), "does not take samples of shape (3, 6)"),
    ],
)
def test_the_error_for_a_wrong_shape_names_the_first_layer(shape: tuple[int, ...], part: str) -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(32, 1))
    with pytest.raises(ValueError, match="its first layer is '0', Conv2d\\(3, 2, kernel_size=\\(3, 3\\)") as caught:
        measure(net, shape)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_points_and_outputs() -> None:
    net = nn.Linear(2, 1)
    for points in (torch.zeros(3, 3), torch.zeros(0, 2)):
        with pytest.raises(ValueError, match=r"expected points of shape \(n, 2\) with n > 0, got \("):
            measure(net, (2,), points)

    class Pair(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x

    class Total(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum()

    with pytest.raises(ValueError, match="expected the network to return one tensor, got tuple"):
        measure(Pair(), (2,))
    with pytest.raises(ValueError, match=r"expected the network to return \(2, ...\) for two samples, got \(\)"):
        measure(Total(), (2,))


def test_a_network_whose_units_are_all_dead_has_a_lower_bound_of_zero() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))
    net[2].weight.data.abs_().neg_()
    net[2].bias.data.fill_(-1)
    found = measure(net, (2,))
    assert found.lower == 0 < found.upper
    assert found.ratio == math.inf


def test_a_transposed_convolution_with_an_output_size_is_bounded_at_that_size() -> None:
    class Sized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(1, 1, 3, 2, 1, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.up(x, output_size=(2, 2))

    net = Sized()
    nn.init.ones_(net.up.weight)
    # One input pixel is written to all four outputs; without the output size to one.
    measurement = measure(net, (1, 1, 1))
    assert measurement.upper == pytest.approx(2)
    assert measurement.lower == pytest.approx(2)


def test_circular_padding_at_two_sizes_is_refused_by_name() -> None:
    class Crop(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[..., :3]

    conv = nn.Conv1d(1, 1, 5, padding=2, padding_mode="circular")
    with pytest.raises(ValueError, match=r"'0' has padding mode 'circular' and is used at \(1, 4\) and \(1, 3\)"):
        measure(nn.Sequential(conv, Crop(), conv), (1, 4))


@pytest.mark.parametrize("offset", [1e4, 1e8, 1e12])
def test_rounding_of_large_hidden_values_keeps_the_bounds_ordered(offset: float) -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1)).double()
    with torch.no_grad():
        net[0].weight.copy_(0.01 * torch.eye(4))
        net[0].bias.fill_(offset)
        net[1].bias.fill_(-offset * float(net[1].weight.sum()))
    measurement = measure(net, (4,))
    assert measurement.lower <= measurement.upper


def test_complex_values_are_named() -> None:
    class Transform(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.fft.fft(x).abs()

    assert any("complex" in reason for reason in measure(Transform(), (4,)).reasons)


def test_an_input_by_keyword() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(input=x)

    assert [layer.name for layer in measure(Named(), (3,)).layers] == ["linear"]


def test_weights_that_are_not_listed_are_named() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.last = nn.LSTM(2, 3, bidirectional=True), nn.Linear(6, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.lstm(x)[0])

    found = measure(Recurrent(), (4, 2))
    assert [layer.name for layer in found.layers] == ["last"]
    assert any(reason.startswith("σ of 'lstm.weight_ih_l0', 'lstm.weight_hh_l0', ") for reason in found.reasons)
    assert any("lstm in 'lstm' (LSTM) is not known" in reason for reason in found.reasons)


def test_a_layer_that_is_not_affine_has_no_singular_value() -> None:
    class Rectified(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).relu()

    found = measure(nn.Sequential(Rectified(2, 2)), (2,))
    assert found.reasons == ("σ of '0' is not measured: its own forward method is not affine",)
    assert found.lower <= found.upper < math.inf


def test_a_printed_measurement_has_a_line_for_each_layer_and_the_bracket() -> None:
    net = nn.Sequential(nn.Linear(2, 1, bias=False), nn.GELU())
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[3.0, 4.0]]))
    measured = measure(net, (2,))
    layer, bracket, *reasons = str(measured).splitlines()
    assert layer == "0 (Linear): σ of the kernel 5, of the operator 5, at most 5"
    assert bracket == f"{measured.lower:.5g} <= Lipschitz constant <= {measured.upper:.5g}"
    assert reasons == [f"- {reason}" for reason in measured.reasons]
