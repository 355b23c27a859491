"""Spectral cap: the singular values of every weight are capped at c after each update, softly or exactly."""

from typing import Literal

import torch
from torch import Tensor, nn

from lipschitz.config import Bound
from lipschitz.constraints.base import Constraint
from lipschitz.constraints.tied_weights import distinct_layers
from lipschitz.estimation.layers import as_matrix, is_transposed, raw_weight
from lipschitz.estimation.upper_bound.gram_iteration import spectral_norm_bound

GRAM_ITERATIONS = 10
"""The bound of W Wᵀ is then at most 0.4 % above its norm for 4,096 rows; each iteration is one product."""
LARGEST_RATIO = 81 / 62
"""Largest k / c of the soft cap. There αk² is 1/3, up to which f increases on [0, k], so that no value exceeds f(k)."""
ROOT_ITERATIONS = 12
"""Each divides the error of α by 5 or more."""
LARGEST_FOR_HARD = 30
"""Largest k / c of the hard cap. Its error grows with the square of k / c."""
QUINTIC = (3.4445, -4.7750, 2.0315)
"""a, b and c of x <- a x + b x³ + c x⁵, which sends (0, 1] into [0.6, 1.2] after some iterations (Jordan et al. 2024,
Muon)."""
QUINTIC_ITERATIONS = 13
"""Each multiplies what is near zero by 3.4, so that of the largest value 3.4445^-13 = 1e-7 is still seen as zero."""
SIGN_ITERATIONS = 6
"""Steps of Newton's iteration for the sign, from [0.6, 1.2]; then the error is below 1e-9."""
SQUARE_ROOT_ITERATIONS = 16
"""Enough where the largest singular value is up to 80 c."""


class SpectralCap(Constraint):
    """Cap the singular values of every reshaped kernel at c after each update; smaller ones change little, or not.

    Newhouse et al. 2025 cap the weights of transformers after each step of an optimiser whose steps have a bounded
    spectral norm, such as Muon (the setting's ``optimiser: muon``). Spectral projection divides the whole weight by σ
    instead, so that all singular values shrink with the largest.

    ``soft``: f(x) = q(p(x)) on the singular values, with p(x) = x - α x³ and q(x) = x + α x³, so that
    f(x) = x - 3 α² x⁵ + ... For their optimiser the authors choose α by the learning rate. Here it follows from
    f(k) = c, with k a certified bound of the largest singular value before the cap, so it suits every optimiser. Where
    k exceeds 1.306 c, as it may for the initial weights, the whole weight is divided first, down to there.

    ``hard``: min(x, c), by the sign of the symmetric matrix W Wᵀ / c² - I, up to 3e-5 of c. Where k exceeds 30 c the
    whole weight is divided first, down to there.

    Both are made of matrix products in float64, without state; a weight whose k is at most c keeps every bit. If the
    layer is reparametrised, the raw (trained) weight is capped, and a weight that layers share once. The first update
    uses the initial weights. A convolution applies its reshaped kernel to overlapping windows, so its operator may
    exceed c.
    """

    source = "Newhouse et al. 2025, arXiv:2507.13338, Sec. 3 (spectral soft cap and spectral hard cap)"
    promise = "heuristic"

    mode: Literal["soft", "hard"] = "soft"
    """``soft``: an odd polynomial; ``hard``: min(σ, c), which costs about seven times as many matrix products."""
    c: Bound = 1.0
    """Largest singular value of a reshaped kernel."""

    @torch.no_grad()
    def project(self, net: nn.Module) -> None:
        """Cap in place."""
        weights, capped = [], []
        for _, layer in distinct_layers(net):
            weight, transposed = raw_weight(layer).detach(), is_transposed(layer)
            matrix = self.capped(as_matrix(weight, transposed))
            if transposed:
                matrix = matrix.view(weight.shape[1], weight.shape[0], *weight.shape[2:]).transpose(0, 1)
            weights.append(weight)
            # Contiguous, so that a GPU copies all of them by one kernel.
            capped.append(matrix.reshape(weight.shape).contiguous())
        torch._foreach_copy_(weights, capped)

    def capped(self, matrix: Tensor) -> Tensor:
        """Return ``matrix`` ``(m, n)`` with its singular values capped, in its dtype."""
        tall = matrix.shape[0] > matrix.shape[1]
        # With W = U S Vᵀ an odd function x h(x²) of the singular values is h(W Wᵀ) W.
        wide = (matrix.T if tall else matrix).double() / self.c
        gram = wide @ wide.T
        squared = spectral_norm_bound(gram, GRAM_ITERATIONS)
        factor = _soft_factor if self.mode == "soft" else _hard_factor
        capped = self.c * (factor(gram, squared.clamp_min(1)) @ wide)
        return torch.where(squared > 1, capped.T if tall else capped, matrix.double()).to(matrix.dtype)


def _soft_factor(gram: Tensor, squared: Tensor) -> Tensor:
    """Return h(G) of the soft cap at 1 for singular values up to k, with k² = ``squared`` >= 1.

    With t = α x², f(x) / x is (1 - t) (1 + t (1 - t)²) = 1 - t² (3 - 3 t + t²). At x = k it is 1 / k, which gives
    y = α k² by fixed-point iteration.
    """
    divisor = (squared.sqrt() / LARGEST_RATIO).clamp_min(1)
    excess = 1 - divisor * squared.rsqrt()
    y = torch.zeros_like(excess)
    for _ in range(ROOT_ITERATIONS):
        y = (excess / (3 - 3 * y + y.square())).sqrt()
    eye, t = torch.eye(len(gram), dtype=gram.dtype, device=gram.device), gram * (y / squared)
    rest = eye - t
    return (rest + t @ rest @ rest @ rest) / divisor


def _hard_factor(gram: Tensor, squared: Tensor) -> Tensor:
    """Return max(I, G)^(-1/2), the factor of min(x, 1), for eigenvalues of G up to ``squared`` >= 1.

    Beyond ``LARGEST_FOR_HARD``² G is divided first, and so is the factor.
    """
    divisor = (squared.sqrt() / LARGEST_FOR_HARD).clamp_min(1)
    gram, squared = gram / divisor.square(), squared / divisor.square()
    eye = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    excess = gram - eye
    sign = excess / (squared - 1).clamp_min(1)
    a, b, c = QUINTIC
    for _ in range(QUINTIC_ITERATIONS):
        square = sign @ sign
        sign = sign @ (a * eye + square @ (b * eye + c * square))
    for _ in range(SIGN_ITERATIONS):
        sign = 1.5 * sign - 0.5 * sign @ sign @ sign
    # max(1, x) = (1 + x + |x - 1|) / 2.
    root, inverse = (eye + gram + excess @ sign) / (2 * squared), eye
    for _ in range(SQUARE_ROOT_ITERATIONS):
        step = 1.5 * eye - 0.5 * inverse @ root
        root, inverse = root @ step, step @ inverse
    return inverse * squared.rsqrt() / divisor
