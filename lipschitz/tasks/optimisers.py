"""Optimisers that a setting can name: Adam, AdamW, Muon, RMSProp and SGD."""

from abc import abstractmethod
from typing import Annotated, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from lipschitz.config import Config, Factor
from lipschitz.estimation.layers import raw_weight, weighted_layers
from lipschitz.extensions.point import ExtensionPoint
from lipschitz.tasks.muon import MuonWithAdamW, StepSize

Momentum = Annotated[float, Field(ge=0, lt=1)]
Epsilon = Annotated[float, Field(ge=1e-30, le=1e6)]
"""What an adaptive optimiser adds to the root of its second moment: gradients far below it are not rescaled."""


class Optimiser(Config):
    """An optimiser of a network. A subclass is a class in this module, called ``named``, or a file of yours.

    Learning rate and Adam's betas are fields of the setting; further hyperparameters are fields of the optimiser.
    """

    @abstractmethod
    def build(
        self, parameters: list[torch.nn.Parameter], lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return torch's optimiser of ``parameters``.

        Args:
            parameters: those of one network.
            lr: learning rate α; a scalar tensor where it decays.
            betas: β1 and β2 of the setting.
            on_cuda: whether the step runs on CUDA, where a CUDA graph must be able to capture it.
        """

    def build_for(
        self, net: nn.Module, lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return torch's optimiser of the parameters of ``net``; overridden where it matters what they belong to."""
        return self.build(list(net.parameters()), lr, betas, on_cuda=on_cuda)


class Adam(Optimiser):
    """Adam with the setting's β1 and β2."""

    named = "adam"
    source = "Kingma and Ba 2015, arXiv:1412.6980, Algorithm 1"

    weight_decay: Factor = 0.0
    """λ: λ w is added to the gradient of every parameter w (L2 regularisation); adamw decays apart from it."""
    amsgrad: bool = False
    """Whether to divide by the largest second moment so far (AMSGrad: Reddi et al. 2018, arXiv:1904.09237)."""
    epsilon: Epsilon = 1e-8
    """ε: a step is α m / (√v + ε), with the moments m and v."""

    def build(
        self, parameters: list[torch.nn.Parameter], lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return torch's fused Adam."""
        return torch.optim.Adam(
            parameters,
            lr=lr,
            betas=betas,
            weight_decay=self.weight_decay,
            amsgrad=self.amsgrad,
            eps=self.epsilon,
            fused=True,
            capturable=on_cuda,
        )


class AdamW(Optimiser):
    """Adam with decoupled weight decay: w <- (1 - α λ) w before the step of Adam, for every parameter."""

    named = "adamw"
    source = "Loshchilov and Hutter 2019, arXiv:1711.05101, Algorithm 2"

    weight_decay: Factor = 0.01
    """λ; torch's default. With 0 this is adam."""

    def build(
        self, parameters: list[torch.nn.Parameter], lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return torch's fused AdamW."""
        return torch.optim.AdamW(
            parameters, lr=lr, betas=betas, weight_decay=self.weight_decay, fused=True, capturable=on_cuda
        )


FITS_CACHE = 2**20
"""Most parameters whose values, gradients and averages the caches of a CPU core hold."""


class RMSProp(Optimiser):
    """RMSProp, as in the WGAN paper; the setting's betas are not used."""

    named = "rmsprop"
    source = "Arjovsky et al. 2017, arXiv:1701.07875, Algorithm 1"

    weight_decay: Factor = 0.0
    """λ: λ w is added to the gradient of every parameter w (L2 regularisation)."""
    epsilon: Epsilon = 1e-8
    """ε: a step is α g / (√v + ε), with the gradient g and the second moment v."""

    def build(
        self, parameters: list[torch.nn.Parameter], lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return torch's RMSprop with its default smoothing constant."""
        # On a CPU, updating one parameter tensor after the other is faster if the caches cannot hold all of them.
        foreach = on_cuda or sum(parameter.numel() for parameter in parameters) < FITS_CACHE
        return torch.optim.RMSprop(
            parameters,
            lr=lr,
            weight_decay=self.weight_decay,
            eps=self.epsilon,
            foreach=foreach,
            capturable=on_cuda,
        )


class SGD(Optimiser):
    """Stochastic gradient descent with momentum; the setting's betas are not used."""

    named = "sgd"
    source = "Sutskever et al. 2013, ICML, On the importance of initialization and momentum in deep learning"

    momentum: Momentum = 0.0
    """μ: m <- μ m + gradient, starting from the first gradient, and w <- w - α m."""
    weight_decay: Factor = 0.0
    """λ: λ w is added to the gradient of every parameter w."""
    nesterov: bool = False
    """Whether the step is taken along gradient + μ m instead of m (Sutskever et al. 2013, Sec. 2.1)."""

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs momentum, got 0; allowed: momentum above 0")
        return self

    def build(
        self, parameters: list[torch.nn.Parameter], lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return torch's fused SGD."""
        return torch.optim.SGD(
            parameters,
            lr=lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
            fused=True,
        )


class Muon(Optimiser):
    """Muon for the weights of Linear and convolution layers, and AdamW without weight decay for the rest.

    A step is α times the orthonormal matrix nearest to the momentum (Nesterov's), by five Newton-Schulz iterations. So
    one update changes a weight by about the same spectral norm in every direction. Kernels are reshaped to
    ``(n, ...)`` as they are stored. As with its authors, biases, gains and class embeddings are AdamW's, with the
    setting's betas.
    """

    named = "muon"
    source = (
        "Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; step size: Liu et al. 2025, arXiv:2502.16982, "
        "eq. 4"
    )

    momentum: Momentum = 0.95
    """μ, the decay of the average of gradients."""
    weight_decay: Factor = 0.0
    """λ, decoupled: w <- (1 - α λ) w before the step, for the weights of layers."""
    step_size: StepSize = "match_rms_adamw"
    """Factor of α for an m x n matrix. match_rms_adamw: 0.2 √max(m, n), with which Adam's learning rate suits both
    groups. original: √max(1, m/n), with learning rates such as 0.02."""
    hidden_only: bool = False
    """Whether AdamW also updates the first and the last layer, in order of definition, as its authors advise for input
    and output layers. If not, the steps of all layers are bounded alike."""

    def build(
        self, parameters: list[torch.nn.Parameter], lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return Muon of all parameters with two axes or more, and AdamW of the rest."""
        return self._of([one for one in parameters if one.dim() > 1], parameters, lr, betas, on_cuda)

    def build_for(
        self, net: nn.Module, lr: float | Tensor, betas: tuple[float, float], *, on_cuda: bool
    ) -> torch.optim.Optimizer:
        """Return Muon of the weights of layers, and AdamW of the rest."""
        weights = [raw_weight(layer) for _, layer in weighted_layers(net)]
        return self._of(weights[1:-1] if self.hidden_only else weights, list(net.parameters()), lr, betas, on_cuda)

    def _of(
        self,
        weights: list[Tensor],
        parameters: list[torch.nn.Parameter],
        lr: float | Tensor,
        betas: tuple[float, float],
        on_cuda: bool,
    ) -> MuonWithAdamW:
        chosen = {id(weight) for weight in weights}
        return MuonWithAdamW(
            [one for one in parameters if id(one) in chosen],
            [one for one in parameters if id(one) not in chosen],
            lr,
            betas,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            step_size=self.step_size,
            on_cuda=on_cuda,
        )


OPTIMISERS = ExtensionPoint("optimiser", "optimisers", "lipschitz.tasks.optimisers", Optimiser)
