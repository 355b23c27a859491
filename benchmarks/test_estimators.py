"""Time of σ, spectra and certified bounds of a discriminator's layers, for pytest-benchmark.

``pytest benchmarks/test_estimators.py --benchmark-enable``. The networks are small, to find regressions between
commits. ``estimators.py`` measures error against time at the full width.
"""

from typing import NamedTuple

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn

from lipschitz.estimation.layers import WeightedLayer, input_shapes, weighted_layers
from lipschitz.estimation.sigma.layer_sigmas import layer_sigmas, reshaped_sigmas, spectra
from lipschitz.estimation.upper_bound.layer_bounds import layer_bounds
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.resnet import ResNet

MODELS = {"dcgan": DCGAN(width=8), "resnet": ResNet(width=8)}
SHAPE = (3, 32, 32)
MOVED = 1e-2
"""Change of the weights between two measurements, relative to their size: about that of a hundred steps."""


class Subject(NamedTuple):
    """A discriminator in float64, its layers, σ of their kernels, and start vectors from slightly different weights."""

    net: nn.Module
    layers: dict[str, WeightedLayer]
    reshaped: dict[str, float]
    starts: dict[str, Tensor]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(params=MODELS)
def subject(request: pytest.FixtureRequest) -> Subject:
    torch.manual_seed(0)
    net = MODELS[request.param].build_discriminator(SHAPE).double().eval().requires_grad_(False)
    starts: dict[str, Tensor] = {}
    layer_sigmas(net, example(), starts=starts)
    for weight in net.parameters():
        weight.add_(torch.randn_like(weight), alpha=MOVED * float(weight.square().mean().sqrt()))
    layers = dict(weighted_layers(net))
    return Subject(net, layers, reshaped_sigmas(layers), starts)


def example() -> Tensor:
    return torch.zeros(1, *SHAPE, dtype=torch.float64)


@pytest.mark.benchmark(group="σ of reshaped kernels")
def test_reshaped(benchmark: BenchmarkFixture, subject: Subject) -> None:
    assert benchmark(reshaped_sigmas, subject.layers).keys() == subject.layers.keys()


@pytest.mark.benchmark(group="spectra of reshaped kernels")
def test_spectra(benchmark: BenchmarkFixture, subject: Subject) -> None:
    found = benchmark(spectra, subject.layers)
    assert {name: values[0].item() for name, values in found.items()} == pytest.approx(subject.reshaped)


@pytest.mark.benchmark(group="σ of operators")
@pytest.mark.parametrize("start", ["cold", "warm"])
def test_operators(benchmark: BenchmarkFixture, subject: Subject, start: str) -> None:
    kept = subject.starts if start == "warm" else {}

    def measure() -> bool:
        found = layer_sigmas(subject.net, example(), starts=dict(kept), reshaped=subject.reshaped)
        return all(sigma.converged for sigma in found.values())

    assert benchmark(measure)


@pytest.mark.benchmark(group="certified bounds of operators")
def test_bounds(benchmark: BenchmarkFixture, subject: Subject) -> None:
    found = benchmark(layer_bounds, subject.net, input_shapes(subject.net, SHAPE))
    for name, sigma in layer_sigmas(subject.net, example(), reshaped=subject.reshaped).items():
        assert found[name].constant >= sigma.operator
