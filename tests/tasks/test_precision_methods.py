"""Methods in bfloat16: each keeps its bound, or is refused."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import pytest
import torch
from small_generation_task import task
from torch import nn

from lipschitz.constraints.base import CONSTRAINTS, Constraint, Refusal
from lipschitz.constraints.gradient_normalization import GradientNormalization
from lipschitz.estimation.float64_copy import float64_copy
from lipschitz.estimation.layers import raw_weight, reparametrizations, reshaped_weight, weighted_layers
from lipschitz.estimation.sigma.layer_sigmas import layer_sigmas
from lipschitz.tasks.precision import check_constraint

IN_FORWARD = {name for name, kind in CONSTRAINTS.items() if kind is GradientNormalization}


def reshaped(net: nn.Module) -> float:
    return max(float(torch.linalg.matrix_norm(reshaped_weight(layer), 2)) for _, layer in weighted_layers(net))


def product(net: nn.Module) -> float:
    return math.prod(float(torch.linalg.matrix_norm(reshaped_weight(layer), 2)) for _, layer in weighted_layers(net))


def operators(net: nn.Module) -> float:
    with float64_copy(net) as twin:
        return max(sigma.operator for sigma in layer_sigmas(twin, torch.zeros(1, 1, 8, 8).double()).values())


def frobenius(net: nn.Module) -> float:
    return max(float(layer.weight.norm()) for _, layer in weighted_layers(net))


def units(net: nn.Module) -> float:
    return max(float(layer.weight.flatten(1).norm(dim=1).max()) for _, layer in weighted_layers(net))


def entries(net: nn.Module) -> float:
    return max(float(layer.weight.abs().max()) for _, layer in weighted_layers(net))


ROUNDED, ITERATED = 1 + 1e-6, 1.01
"""Room above a bound: of float32 (bfloat16 rounds by up to 1.004), and of a step of power iteration."""
BOUNDS: Mapping[str, tuple[Callable[[nn.Module], float], float]] = MappingProxyType(
    {
        "weight_clipping": (entries, 0.01 * ROUNDED),
        "frobenius_clipping": (frobenius, ROUNDED),
        "frobenius_normalization": (frobenius, ROUNDED),
        "weight_normalization": (units, ROUNDED),
        "spectral_projection": (reshaped, ITERATED),
        "spectral_cap": (reshaped, ROUNDED),
        "spectral_compensation": (reshaped, ITERATED),
        "spectral_budget": (product, ITERATED),
        "spectral_normalization": (reshaped, ITERATED),
        "gouk_projection": (operators, ITERATED),
        "bjorck": (operators, ROUNDED),
        "orthogonal": (operators, ROUNDED),
        "aol": (operators, ROUNDED),
        "gram_normalization": (operators, ROUNDED),
        "aoc": (operators, ROUNDED),
        "bcop": (operators, ROUNDED),
        "cpl": (operators, ROUNDED),
        "sll": (operators, ROUNDED),
        "soc": (operators, ROUNDED),
        "cayley": (operators, ROUNDED),
        "lot": (operators, ROUNDED),
        "sandwich": (operators, ROUNDED),
    }
)


@pytest.mark.parametrize("name", sorted(set(CONSTRAINTS) - IN_FORWARD))
def test_every_method_makes_a_step_in_bf16_and_keeps_its_bound(name: str) -> None:
    kind = CONSTRAINTS[name]
    built = task("bf16", kind())
    before = [raw_weight(layer).detach().clone() for _, layer in weighted_layers(built.discriminator)]
    built.step(0.0)
    assert built.is_finite()
    for net in (built.discriminator, built.generator):
        assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
        assert not {torch.bfloat16} & {buffer.dtype for buffer in net.buffers()}
    layers = [layer for _, layer in weighted_layers(built.discriminator)]
    for old, layer in zip(before, layers, strict=True):
        assert not torch.equal(old, raw_weight(layer))
        assert layer.weight.dtype == torch.float32
    bounds_weights = kind.project is not Constraint.project or any(reparametrizations(layer) for layer in layers)
    assert bounds_weights == (name in BOUNDS)
    if bounds_weights:
        measured, most = BOUNDS[name]
        with torch.no_grad():
            assert measured(built.discriminator) <= most


def test_methods_that_differentiate_in_every_forward_pass_are_refused() -> None:
    for name, kind in CONSTRAINTS.items():
        for precision in ("float32", "tf32"):
            check_constraint(precision, kind())
        if name in IN_FORWARD:
            with pytest.raises(
                Refusal, match=rf"^{name} takes the input gradient .* supported: precision: float32 or tf32$"
            ):
                check_constraint("bf16", kind())
        else:
            check_constraint("bf16", kind())
