"""W / σ(W): gradients against the paper's equations in NumPy, and parity with torch's spectral_norm."""

import numpy as np
import pytest
import torch
from call_counters import Launches
from numpy.testing import assert_allclose
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from lipschitz.constraints.normalized_weight import (
    DivideBySigma,
    NormalizedWeight,
    divide_by_sigma,
    gradient_in_few_launches,
)
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.estimation.layers import raw_weight


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(vector: Tensor) -> Tensor:
    return vector / vector.norm()


def normalized(layer: nn.Module) -> NormalizedWeight:
    return layer.parametrizations["weight"][0]


def normalized_linear(weight: Tensor) -> nn.Module:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False).double()
    layer.weight.data = weight
    return SpectralNormalization().wrap(layer, (weight.shape[1],))


def test_the_gradient_matches_equation_12() -> None:
    matrix, gradient = draw(4, 6), draw(4, 6, seed=1)
    u, v = unit(draw(4, seed=2)), unit(draw(6, seed=3))
    sigma = (u @ matrix @ v).item()
    weight = matrix.clone().requires_grad_()
    quotient, ours = DivideBySigma.apply(weight, u, v)
    assert ours.item() == pytest.approx(sigma, rel=1e-14)
    assert_allclose(quotient.detach(), matrix / sigma, rtol=1e-14)
    (by_weight,) = torch.autograd.grad(quotient, weight, gradient)
    along = (gradient.numpy() * matrix.numpy() / sigma).sum()
    expected = (gradient.numpy() - along * np.outer(u, v)) / sigma
    assert_allclose(by_weight, expected, rtol=1e-12)
    assert_allclose(gradient_in_few_launches(gradient, quotient.detach(), ours.detach(), u, v), expected, rtol=1e-12)


def test_of_the_two_outputs_either_may_have_no_gradient() -> None:
    u, v = unit(draw(4, seed=2)), unit(draw(6, seed=3))
    weight = draw(4, 6).requires_grad_()
    quotient, sigma = DivideBySigma.apply(weight, u, v)
    (alone,) = torch.autograd.grad(sigma, weight, retain_graph=True)
    assert_allclose(alone, np.outer(u, v), rtol=1e-13)
    (other,) = torch.autograd.grad(quotient.sum(), weight, retain_graph=True)
    (both,) = torch.autograd.grad(quotient.sum() + sigma, weight)
    assert_allclose(both, alone + other, rtol=1e-12)


def test_on_a_gpu_a_layer_costs_five_launches_forward_and_four_backward() -> None:
    weight, u, v = (torch.empty(shape, device="meta") for shape in ((4, 6), 4, 6))
    with Launches() as forward:
        normalized = divide_by_sigma(weight.requires_grad_(), u, v)
    gradient = torch.empty_like(normalized)
    with Launches() as backward:
        normalized.backward(gradient)
    assert (forward.count, backward.count) == (5, 4)


def test_the_gradient_of_a_loss_matches_the_papers_formula() -> None:
    # dV/dW = (E[δ hᵀ] - λ u₁ v₁ᵀ) / σ with δ = ∂V/∂(W̄ h) and λ = E[δᵀ W̄ h], here for V = E[Σ tanh(W̄ h)].
    weight, hidden = draw(4, 6), draw(10, 6, seed=1)
    layer = normalized_linear(weight.clone())
    layer(hidden).tanh().sum(dim=1).mean().backward()
    left, sigmas, right = np.linalg.svd(weight.numpy(), full_matrices=False)
    images = hidden.numpy() @ (weight.numpy() / sigmas[0]).T
    deltas = 1 - np.tanh(images) ** 2
    product = deltas.T @ hidden.numpy() / len(hidden)
    penalised = (deltas * images).sum(axis=1).mean()
    expected = (product - penalised * np.outer(left[:, 0], right[0])) / sigmas[0]
    assert_allclose(raw_weight(layer).grad, expected, rtol=1e-11, atol=1e-13)
    assert abs(penalised) > 0.1, "the test needs a nonzero second term"


@pytest.mark.parametrize("k", [2.5, -0.5])
def test_where_delta_h_is_k_u1_v1_the_gradient_is_zero(k: float) -> None:
    layer = normalized_linear(draw(4, 6))
    u, v = normalized(layer).u, normalized(layer).v
    sizes = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    # With h = s v₁ and δ = k u₁ / s, δ hᵀ = k u₁ v₁ᵀ for each sample.
    loss = (layer(sizes * v) * (k * u / sizes)).sum(dim=1).mean()
    assert loss.item() == pytest.approx(k), "W̄ v₁ = u₁"
    loss.backward()
    assert_allclose(raw_weight(layer).grad, 0, atol=1e-14)


def test_the_gradient_is_orthogonal_to_the_weight() -> None:
    # W / σ(W) does not depend on the scale of W, so <gradient, W> = 0 (Euler), also before convergence.
    layer = normalized_linear(draw(4, 6))
    with torch.no_grad():
        raw_weight(layer).copy_(draw(4, 6, seed=1))
    layer(draw(3, 6)).square().sum().backward()
    gradient = raw_weight(layer).grad
    assert gradient.norm() > 0.1
    assert abs((gradient * raw_weight(layer)).sum().item()) < 1e-10


@pytest.mark.filterwarnings("ignore:Input #:UserWarning")
def test_gradcheck_and_gradgradcheck() -> None:
    matrix = draw(3, 5).requires_grad_()
    u, v = unit(draw(3, seed=2)), unit(draw(5, seed=3))
    assert torch.autograd.gradcheck(DivideBySigma.apply, (matrix, u, v))
    assert torch.autograd.gradgradcheck(DivideBySigma.apply, (matrix, u, v))


def test_a_transposed_convolution_is_normalised_by_output_channel() -> None:
    layer = nn.ConvTranspose2d(3, 2, 2).double()
    raw = layer.weight.detach().clone()
    SpectralNormalization(coefficient=0.5).wrap(layer, (3, 2, 2))
    expected = np.linalg.norm(raw.transpose(0, 1).reshape(2, -1).numpy(), 2)
    assert_allclose(layer.weight.detach(), 0.5 * raw / expected, rtol=1e-12)
    gradient = draw(3, 2, 2, 2, seed=1)
    layer.weight.backward(gradient)
    plain = raw.clone().requires_grad_()
    module = normalized(layer)
    (0.5 * plain / (module.u @ plain.transpose(0, 1).flatten(1) @ module.v)).backward(gradient)
    assert_allclose(raw_weight(layer).grad, plain.grad, rtol=1e-10, atol=1e-12)


def test_parity_with_torch_in_value_gradient_and_double_backward() -> None:
    theirs, ours = (nn.Linear(6, 4).double() for _ in range(2))
    ours.load_state_dict(theirs.state_dict())
    # In eval mode torch does not advance its vectors. Both use the same vectors, which are not singular vectors.
    parametrizations.spectral_norm(theirs, n_power_iterations=1).eval()
    SpectralNormalization().wrap(ours, (6,))
    u, v = unit(draw(4, seed=1)), unit(draw(6, seed=2))
    for module, names in ((normalized(ours), ("u", "v")), (theirs.parametrizations.weight[0], ("_u", "_v"))):
        for name, value in zip(names, (u, v), strict=True):
            module.get_buffer(name).copy_(value)
    assert_allclose(ours.weight.detach(), theirs.weight.detach(), rtol=1e-12)
    x = draw(5, 6).requires_grad_()
    gradients = []
    for layer in (ours, theirs):
        (by_x,) = torch.autograd.grad(layer(x).tanh().sum(), x, create_graph=True)
        gradients.append(torch.autograd.grad(layer(x).square().sum() + by_x.norm(dim=1).sum(), raw_weight(layer)))
    assert_allclose(*(gradient[0] for gradient in gradients), rtol=1e-10)
    # One step updates v first, then u. torch updates u first, so it is given the new v.
    SpectralNormalization().update(ours)
    weight = raw_weight(theirs).detach()
    assert_allclose(normalized(ours).v, unit(weight.T @ u), atol=1e-12)
    theirs.train()
    normalized(theirs)._v.copy_(normalized(ours).v)
    theirs.weight.sum()
    assert_allclose(normalized(ours).u, normalized(theirs)._u, atol=1e-12)
