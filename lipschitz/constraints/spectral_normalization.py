"""Spectral normalization: every weight is divided by its spectral norm σ, from power iteration, in the forward pass."""

from collections.abc import Mapping
from typing import Literal, Self

import torch
from pydantic import model_validator
from torch import nn
from torch.nn.utils import parametrize

from lipschitz.config import Bound, Iterations
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.convolution_operator import convolution_of, input_maps_shape
from lipschitz.constraints.normalized_weight import (
    BidirectionalWeight,
    Normalized,
    NormalizedConvolution,
    NormalizedWeight,
    ScaledWeight,
    advance_all,
    find_normalization,
)
from lipschitz.constraints.restarted_vectors import Restart, initial_state, restart_vector
from lipschitz.estimation.layers import WeightedLayer, input_shapes, is_transposed, raw_weight, weighted_layers


class SpectralNormalization(Constraint):
    """Divide every weight by its spectral norm σ(W) in the forward pass, with σ(W) from power iteration.

    Miyato et al. 2018, Algorithm 1. Before each discriminator update, the stored u and v take a step of power
    iteration. Until the next update they are constant and σ = uᵀ W v is a function of the current W, in training and
    eval mode, with the gradient of eq. 12. Generator steps, penalties, evaluations and measurements never change u and
    v. A zero weight stays zero, with a gradient of zero.
    """

    source = (
        "Miyato et al. 2018, arXiv:1802.05957, Algorithm 1; gain: Appendix E; bidirectional: Lin et al. 2021, "
        "arXiv:2009.02773"
    )
    promise = "heuristic"
    scale_invariant = True
    start = "normal"
    start_of_residual = "glorot"
    updates_buffers_only = True

    operator: Literal["reshaped", "convolution", "bidirectional"] = "reshaped"
    """``reshaped``: σ of the kernel as a matrix; ``convolution``: σ at the true input size, stride and padding;
    ``bidirectional``: the mean of σ of the kernel with output units as rows and of that with input units as rows (BSN,
    Lin et al. 2021)."""
    coefficient: Bound = 1.0
    """c, the spectral norm after normalization: W is replaced by c W / σ(W). Lin et al. call c ≠ 1 SSN, and BSSN with
    ``bidirectional``."""
    gain: bool = False
    """Whether each layer has a trained factor γ, which starts at one (Appendix E): W is replaced by γ c W / σ(W), and
    nothing bounds it."""
    power_iterations: Iterations = 1
    """Steps of power iteration before each discriminator update, or at each forward pass."""
    advance: Literal["update", "forward"] = "update"
    """When u and v take steps of power iteration. ``update``: before each discriminator update, as in Algorithm 1.
    ``forward``: whenever a forward pass of training uses the weight, as in the authors' code, so also
    in the generator's update and in penalties. Real and generated samples then have passes of their own."""
    restart: Restart = "never"
    """Whether power iteration starts anew before each discriminator update instead of going on from the last u.
    ``random``: from a random u, another one each time; ``ones``: from equal entries. With few steps σ is then too
    small, and the effective weight too large."""

    @model_validator(mode="after")
    def _restarts_before_updates(self) -> Self:
        if self.restart != "never" and self.advances_in_forward():
            raise ValueError(f"restart {self.restart} is of advance: update, not forward")
        return self

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Reparametrise the weight of each layer.

        Raises:
            Refusal: ``operator`` is ``convolution``, and a convolution is not used by the forward pass, has several
                groups, or its padding is not supported.
        """
        shapes = input_shapes(net, shape) if self.operator == "convolution" else {}
        # Layers that share a weight share γ.
        gains: dict[int, ScaledWeight] = {}
        for name, layer in list(weighted_layers(net)):
            raw = raw_weight(layer)
            module = self._normalization(name, layer, shapes)
            module.steps_in_forward = self.power_iterations if self.advances_in_forward() else 0
            if self.restart == "random":
                for place, one in enumerate(module.iterated(layer.weight.detach())):
                    module.register_buffer(f"restart_{place}", initial_state(one.u))
            parametrize.register_parametrization(layer, "weight", module)
            if self.gain:
                scaled = gains.setdefault(id(raw), ScaledWeight(raw.detach()))
                parametrize.register_parametrization(layer, "weight", scaled)
        return net

    def _normalization(self, name: str, layer: WeightedLayer, shapes: Mapping[str, torch.Size]) -> Normalized:
        # For a matrix, both reshaped kernels have the same σ, and so has the operator.
        if self.operator == "reshaped" or isinstance(layer, nn.Linear):
            return NormalizedWeight(layer.weight, is_transposed(layer), self.coefficient)
        if self.operator == "bidirectional":
            return BidirectionalWeight(layer.weight, is_transposed(layer), self.coefficient)
        maps, convolution = input_maps_shape(self.name(), name, shapes), convolution_of(self.name(), name, layer)
        return NormalizedConvolution(layer.weight, convolution, maps, self.coefficient)

    def advances_in_forward(self) -> bool:
        """Return whether forward passes of training take the steps of power iteration."""
        return self.advance == "forward"

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Advance the power iteration of all layers, on the weight that the normalization receives."""
        if self.advances_in_forward():
            return
        layers = (find_normalization(layer) for _, layer in weighted_layers(net))
        found = [one for one in layers if one is not None]
        iterated = [one for module, weight in found for one in module.iterated(weight)]
        if self.restart != "never":
            for module, weight in found:
                for place, one in enumerate(module.iterated(weight)):
                    restart_vector(one.u, getattr(module, f"restart_{place}", None))
        advance_all(iterated, self.power_iterations)
        for module, _ in found:
            module.after_steps()
