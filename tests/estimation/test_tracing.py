"""A graph is the network's function, or there is no bound: branches on values, state, randomness, and hidden slopes."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.upper_bound.composition import UpperBound, upper_bound
from lipschitz.estimation.upper_bound.graph_checks import _same_outputs
from lipschitz.tf32 import Float32, float32_products


def upper(net: nn.Module, shape: tuple[int, ...] = (2,)) -> UpperBound:
    with float64_copy(net) as twin:
        return upper_bound(twin, shape)


class WithBuffer(nn.Module):
    """A network with a buffer ``last`` ``(1, 2)`` and a count of its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("last", torch.zeros(1, 2))
        self.register_buffer("calls", torch.zeros(()))


class WrittenThenRead(WithBuffer):
    def forward(self, x: Tensor) -> Tensor:
        self.last.copy_(5 * x.mean(0, keepdim=True))
        return torch.add(self.last, x)


class ReadThenWritten(WithBuffer):
    def forward(self, x: Tensor) -> Tensor:
        output = self.last + x
        self.last.copy_(5 * x)
        return output


class Counted(WithBuffer):
    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return 3 * x


class MultipliedByTheCount(WithBuffer):
    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.calls * x


class PlainAttribute(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = torch.zeros(1, 2, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        output = self.last + x
        self.last.copy_(5 * x)
        return output


class PythonState(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.calls * x


class BranchOfTensors(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 100 * x if isinstance(x, torch.Tensor) and x.mean() > 0 else x


class BranchOfShapes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        while x.shape[-1] > 1:
            x = F.avg_pool1d(x, 2) if x.shape[-1] % 2 == 0 else x[..., 1:]
        return x


class NumberOfElements(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * len(x[x > 0])


class Noise(nn.Module):
    """Draws numbers that are far smaller than its output."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 1e-15 * torch.rand_like(x)


class NoiseAlone(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1e-15 * torch.rand(1, dtype=x.dtype)


def statistics_by_attribute() -> nn.Module:
    norm = nn.InstanceNorm1d(3, track_running_stats=True)
    norm.track_running_stats = False
    return norm


def test_a_value_that_is_written_and_then_read_is_part_of_the_function() -> None:
    assert upper(WrittenThenRead()) == UpperBound(6, [], 6)


def test_a_count_that_the_output_does_not_use_does_not_matter() -> None:
    assert upper(Counted()) == UpperBound(3, [], 3)


def test_control_flow_on_shapes_is_followed() -> None:
    assert upper(BranchOfShapes(), (1, 6)) == UpperBound(pytest.approx(1 / 2), [], pytest.approx(1 / 2))


def test_gradients_in_the_forward_pass_are_part_of_the_graph() -> None:
    class Gradient(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with torch.enable_grad():
                y = x.detach().requires_grad_()
                (gradient,) = torch.autograd.grad(y.sin().sum(), y)
            return x + gradient

    # The derivative of x + cos x is 1 - sin x.
    assert upper(Gradient()) == UpperBound(2, [], 2)


@pytest.mark.parametrize(
    ("net", "shape", "reason"),
    [
        (ReadThenWritten(), (2,), "the network changes 'last' at each call"),
        (MultipliedByTheCount(), (2,), "the network changes 'calls' at each call"),
        (PlainAttribute(), (2,), "mutated in the forward method"),
        (PythonState(), (2,), "does not return what the network returns"),
        (BranchOfTensors(), (2,), "the network (BranchOfTensors) cannot be traced by torch.export: it branches"),
        (nn.Sequential(nn.Linear(2, 2), BranchOfTensors()), (2,), "'1' (BranchOfTensors) cannot be traced"),
        (NumberOfElements(), (2,), "cannot be traced by torch.export"),
        (Noise(), (2,), "rand_like in the network (Noise) draws random numbers"),
        (NoiseAlone(), (2,), "rand in the network (NoiseAlone) draws random numbers"),
        (statistics_by_attribute(), (3, 4), "the network changes 'running_mean', 'running_var' at each call"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_what_is_no_function_of_the_input_has_no_bound(net: nn.Module, shape: tuple[int, ...], reason: str) -> None:
    found = upper(net, shape)
    assert found.constant == math.inf
    assert any(reason in each for each in found.reasons), found.reasons


def test_an_operator_of_another_library_is_not_taken_for_one_of_torch() -> None:
    @torch.library.custom_op("lipschitz_tests::relu", mutates_args=())
    def steep(x: Tensor) -> Tensor:
        return 5 * x

    steep.register_fake(torch.empty_like)

    class Steep(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return steep(x)

    assert upper(Steep()) == UpperBound(math.inf, ["lipschitz_tests::relu in the network (Steep) is not known"])


@pytest.mark.parametrize("size", [1.0, 1e-12, 1e-30])
def test_outputs_are_compared_relative_to_how_much_they_differ(size: float) -> None:
    class Drifting(nn.Module):
        """x -> size x at the first call, and then steeper from call to call; an offset hides it."""

        def __init__(self) -> None:
            super().__init__()
            self.factor = size

        def forward(self, x: Tensor) -> Tensor:
            self.factor *= 1 + 1e-6
            return self.factor * x

    assert upper(Drifting()).constant == math.inf


def test_a_failed_export_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    upper(BranchOfTensors())
    assert capfd.readouterr() == ("", "")


def test_a_module_is_as_before_after_it_was_kept_as_one_call() -> None:
    class Declared(nn.Module):
        lipschitz_constant = 2.0

        def forward(self, x: Tensor) -> Tensor:
            return x

    net = nn.Sequential(nn.Linear(2, 2), Declared(), BranchOfTensors()).double()
    upper_bound(net, (2,))
    assert not any("forward" in vars(module) for module in net)


@pytest.mark.parametrize("precision", ["ieee", "tf32"])
def test_a_network_is_traced_at_any_precision_of_float32_and_the_switches_are_left_alone(precision: Float32) -> None:
    with float32_products(precision):
        assert upper(nn.Linear(2, 1)).constant < math.inf
        assert torch.backends.cudnn.conv.fp32_precision == precision
        assert torch.backends.cudnn.rnn.fp32_precision == precision
        assert torch.backends.cuda.matmul.fp32_precision == precision


def test_small_outputs_may_differ_by_the_rounding_of_large_ones() -> None:
    # The first and the last input are equal, so that these outputs do not show how large inner values are.
    expected = [torch.tensor([value], dtype=torch.float64) for value in (0.0254, 0.03, 9.0, 0.0254)]
    found = [value + 1e-15 for value in expected]
    assert _same_outputs(found, expected)
    assert not _same_outputs([value + 1e-7 for value in expected], expected)
    offset = [value + 1e10 for value in expected]
    assert _same_outputs([value + 1e-5 for value in offset], offset)
    infinite = [*expected[:3], torch.tensor([torch.inf], dtype=torch.float64)]
    assert _same_outputs(infinite, infinite)
    assert not _same_outputs(expected, infinite)
    assert not _same_outputs([value + 1e-7 for value in infinite], infinite)
