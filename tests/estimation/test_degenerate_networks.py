"""Degenerate networks: measuring one gives the right number, or one line that says why it cannot be measured."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, spectral_norm, weight_norm

from lipschitz.estimation.measure import measure

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning", "ignore:Lazy modules", "ignore:Initializing zero"
)
NOT_FINITE = "weight' is not finite once it is reparametrised"


class Returns(nn.Module):
    """A network that is a function."""

    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(x)


class WithUnusedLayer(nn.Module):
    """A linear layer that is used, and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(3, 2), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.used(x)
        return output


def zero(layer: nn.Linear | nn.Conv2d | nn.Conv3d, rows: int | None = None) -> nn.Module:
    nn.init.zeros_(layer.weight[:rows])
    return layer


def linear(entry: float) -> nn.Module:
    layer = nn.Linear(3, 2)
    layer.weight.data[0, 0] = entry
    return layer


def hidden_layer() -> nn.Module:
    layer = nn.Linear(3, 2)
    return Returns(lambda x: layer(x))


def of_dtype(dtype: torch.dtype) -> nn.Module:
    layer = nn.Linear(3, 2)
    layer.weight = nn.Parameter(torch.ones(2, 3, dtype=dtype), requires_grad=False)
    return layer


REFUSED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "old spectral norm": (lambda: spectral_norm(zero(nn.Linear(3, 2))), (3,), NOT_FINITE),
    "old spectral norm of a convolution": (lambda: spectral_norm(zero(nn.Conv2d(2, 2, 3))), (2, 5, 5), NOT_FINITE),
    "old weight norm": (lambda: weight_norm(zero(nn.Linear(3, 2))), (3,), NOT_FINITE),
    "old weight norm of one zero unit": (lambda: weight_norm(zero(nn.Linear(3, 2), 1)), (3,), NOT_FINITE),
    "spectral norm": (lambda: parametrizations.spectral_norm(zero(nn.Linear(3, 2))), (3,), NOT_FINITE),
    "spectral norm of a convolution": (
        lambda: nn.Sequential(parametrizations.spectral_norm(zero(nn.Conv2d(2, 2, 3)))),
        (2, 5, 5),
        "'0." + NOT_FINITE,
    ),
    "weight norm": (lambda: parametrizations.weight_norm(zero(nn.Linear(3, 2))), (3,), NOT_FINITE),
    "NaN": (lambda: linear(float("nan")), (3,), "'weight' is not finite"),
    "infinity": (lambda: linear(float("inf")), (3,), "'weight' is not finite"),
    "no outputs": (lambda: nn.Linear(3, 0), (3,), r"'weight' is empty, of shape \(0, 3\)"),
    "no channels": (lambda: nn.Conv2d(3, 0, 3), (3, 5, 5), "'weight' is empty"),
    "integers": (lambda: of_dtype(torch.int64), (3,), "'weight' is int64; allowed: real floating weights"),
    "complex numbers": (lambda: of_dtype(torch.complex64), (3,), "'weight' is complex64"),
    "lazy": (lambda: nn.LazyLinear(2), (3,), "'weight' has no shape yet: call the network once"),
    "meta": (lambda: nn.Linear(3, 2, device="meta"), (3,), "'weight' is on the meta device"),
    "zero kernel of a layer without σ": (
        lambda: parametrizations.spectral_norm(zero(nn.Conv3d(1, 1, 2))),
        (1, 3, 3, 3),
        NOT_FINITE,
    ),
    "old spectral norm of such a layer": (lambda: spectral_norm(zero(nn.Conv3d(1, 1, 2))), (1, 3, 3, 3), NOT_FINITE),
    "compiled": (lambda: torch.jit.trace(nn.Linear(3, 2), torch.ones(1, 3)), (3,), "network was compiled by torch.jit"),
    "a compiled layer": (
        lambda: nn.Sequential(torch.jit.trace(nn.Linear(3, 2), torch.ones(1, 3))),
        (3,),
        "'0' was compiled by torch.jit",
    ),
    "a function that holds a layer": (
        hidden_layer,
        (3,),
        "'function' of the network is a function that holds a Linear",
    ),
    "integer outputs": (lambda: Returns(lambda x: x.argmax(1)), (3,), "to return real numbers, got int64"),
    "complex outputs": (lambda: Returns(torch.fft.fft), (3,), "to return real numbers, got complex128"),
    "two outputs": (lambda: Returns(lambda x: (x, x)), (3,), "to return one tensor, got tuple"),
    "nothing": (lambda: Returns(lambda _: None), (3,), "to return one tensor, got NoneType"),
    "detached": (lambda: Returns(lambda x: 2 * x.detach()), (3,), "cannot be differentiated by its input"),
    "NaN outputs": (lambda: Returns(lambda x: x / 0 - x / 0), (3,), "returns NaN or infinity"),
    "a scalar sample": (nn.Identity, (), r"one or more positive sizes, got \(\)"),
    "an empty sample": (nn.Identity, (0,), r"one or more positive sizes, got \(0,\)"),
}


@pytest.mark.parametrize(("build", "shape", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_measured_is_one_line(
    build: Callable[[], nn.Module], shape: tuple[int, ...], message: str
) -> None:
    with torch.no_grad():
        net = build()
    with pytest.raises(ValueError, match=message) as caught:
        measure(net, shape)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 200


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_frozen_weights_are_measured(dtype: torch.dtype) -> None:
    net = of_dtype(dtype)
    net.bias = None
    assert measure(net, (3,)).upper == pytest.approx(6**0.5, rel=1e-6)


def test_zero_weights_have_a_constant_of_zero() -> None:
    with torch.no_grad():
        net = nn.Sequential(zero(nn.Conv2d(2, 3, 3)), nn.ReLU(), nn.Flatten(), zero(nn.Linear(27, 1)))
    found = measure(net, (2, 5, 5))
    assert [layer[2:] for layer in found.layers] == [(0, 0, 0), (0, 0, 0)]
    assert (found.lower, found.upper) == (0, 0)


def test_layers_that_are_not_used_and_networks_without_layers() -> None:
    assert [layer.name for layer in measure(WithUnusedLayer(), (3,)).layers] == ["used"]
    found = measure(Returns(lambda x: 2 * x), (3,))
    assert found.layers == ()
    assert found.lower == pytest.approx(2)
