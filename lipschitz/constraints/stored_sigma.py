"""σ of all spectrally normalised layers of a network, computed together before the forward passes that use it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lipschitz.constraints.normalized_weight import find_normalization, make_infinite_where_zero, sigma_of
from lipschitz.estimation.layers import weighted_layers


class StoredSigmas:
    """σ = uᵀ W v of every layer of ``net`` with spectral normalization, from `compute` to the next change of W, u or v.

    `compute` makes the products that each layer's forward pass would make, so every number is the same bit for bit. It
    may run beside other work of a step: it reads W, u and v, and writes to memory of its own alone. It records nothing
    for a backward pass: `DivideBySigma` has the gradient of σ with respect to W, which is u vᵀ with u and v constant.
    """

    def __init__(self, net: nn.Module) -> None:
        found = [(layer, find_normalization(layer)) for _, layer in weighted_layers(net)]
        self._layers = [layer for layer, normalization in found if normalization is not None]
        self._modules = [normalization[0] for _, normalization in found if normalization is not None]
        like = self._modules[0].u if self._modules else torch.empty(0)
        self.values = like.new_empty(len(self._modules))
        """σ of each layer ``(layers,)``, infinite where uᵀ W v is zero; at a fixed address, as a CUDA graph needs."""
        self._each = self.values.unbind()

    def __len__(self) -> int:
        """Return the number of layers with spectral normalization."""
        return len(self._modules)

    @torch.no_grad()
    def compute(self) -> None:
        """Compute σ of all layers from the current weights and singular vectors."""
        if not self._modules:
            return
        found = (find_normalization(layer) for layer in self._layers)
        sigmas = [sigma_of(*module.factors(weight)) for module, weight in filter(None, found)]
        torch.stack(sigmas, out=self.values)
        make_infinite_where_zero(self.values)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let forward passes in the block divide by the stored σ. No W, u or v may have changed since `compute`."""
        self._lend(self._each)
        try:
            yield
        finally:
            self._lend([None] * len(self._modules))

    def _lend(self, sigmas: Sequence[Tensor | None]) -> None:
        for module, sigma in zip(self._modules, sigmas, strict=True):
            module.stored = sigma
