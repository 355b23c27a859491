"""Layer normalization against torch's layer_norm: trained parameters, combinations and refusals."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn
from torch.nn import functional as F

from lipschitz.constraints.base import Batch, Refusal, constrain
from lipschitz.constraints.batch_dependence import batch_dependent
from lipschitz.constraints.gradient_penalty import GradientPenalty
from lipschitz.constraints.layer_normalization import LayerNormalization
from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.models.base import Model
from lipschitz.models.dcgan import DCGAN
from lipschitz.models.mlp import MLP

MODELS = [(MLP(width=6), (2,), (6,)), (DCGAN(width=2), (3, 8, 8), (2, 8, 8))]
"""A model, the shape of its samples, and the input shape of its first slot."""


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def bare(model: Model, shape: tuple[int, ...]) -> nn.Module:
    torch.manual_seed(0)
    return model.build(shape).discriminator.double()


def wrapped(model: Model, shape: tuple[int, ...], *, gain: bool = False) -> nn.Module:
    return LayerNormalization(gain=gain).wrap(bare(model, shape), shape)


def randomised(norm: nn.Module) -> nn.Module:
    with torch.no_grad():
        for seed, parameter in enumerate(norm.parameters()):
            parameter.copy_(draw(*parameter.shape, seed=seed))
    return norm


@pytest.mark.parametrize(("model", "shape", "seen"), MODELS)
def test_it_is_initially_torchs_layer_norm_over_all_axes_except_the_batch(
    model: Model, shape: tuple[int, ...], seen: tuple[int, ...]
) -> None:
    x = 3 + 2 * draw(5, *seen)
    for gain in (False, True):
        norm = wrapped(model, shape, gain=gain).blocks[0].norm
        assert_allclose(norm(x).detach(), F.layer_norm(x, seen), rtol=1e-12, atol=1e-14)
        flat = norm(x).detach().flatten(1).numpy()
        assert_allclose(flat.mean(axis=1), 0, atol=1e-12)
        assert_allclose(flat.std(axis=1), 1, rtol=1e-4)


@pytest.mark.parametrize(("model", "shape", "seen"), MODELS)
def test_shift_and_gain_are_per_channel(model: Model, shape: tuple[int, ...], seen: tuple[int, ...]) -> None:
    x, channels = draw(5, *seen), (-1,) + (1,) * (len(seen) - 1)
    shifted = randomised(wrapped(model, shape).blocks[0].norm)
    expected = F.layer_norm(x, seen) + shifted.bias.view(channels)
    assert_allclose(shifted(x).detach(), expected.detach(), rtol=1e-12, atol=1e-14)
    scaled = randomised(wrapped(model, shape, gain=True).blocks[0].norm)
    expected = F.layer_norm(x, seen) * scaled.weight.view(channels) + scaled.bias.view(channels)
    assert_allclose(scaled(x).detach(), expected.detach(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("model", "shape", "seen"), MODELS)
def test_existing_parameters_keep_name_and_value(model: Model, shape: tuple[int, ...], seen: tuple[int, ...]) -> None:
    before = dict(bare(model, shape).named_parameters())
    for gain, added in ((False, {"bias"}), (True, {"bias", "weight"})):
        ours = wrapped(model, shape, gain=gain)
        after = dict(ours.named_parameters())
        assert all(torch.equal(after[name], value) for name, value in before.items())
        new = after.keys() - before.keys()
        assert new == {f"blocks.{i}.norm.{name}" for i in range(len(ours.blocks)) for name in added}


def test_training_changes_shift_and_gain_but_not_a_frozen_gain() -> None:
    model, shape, _ = MODELS[0]
    for gain in (False, True):
        ours = wrapped(model, shape, gain=gain)
        norm = ours.blocks[0].norm
        # The training step calls this before each update. It must not unfreeze the gain.
        ours.requires_grad_(True)
        optimiser = torch.optim.Adam(ours.parameters(), lr=0.1)
        ours(draw(5, *shape)).square().mean().backward()
        optimiser.step()
        assert not torch.equal(norm.bias, torch.zeros_like(norm.bias))
        assert torch.equal(norm.weight, torch.ones_like(norm.weight)) is not gain


def test_the_lipschitz_constant_is_one_over_root_epsilon() -> None:
    model, shape, seen = MODELS[0]
    norm = wrapped(model, shape).blocks[0].norm
    for at, expected in ((torch.full(seen, 3.0), 1e5**0.5), (draw(*seen), None)):
        jacobian = torch.autograd.functional.jacobian(lambda x: norm(x[None])[0], at.double()).numpy()
        sigma = np.linalg.norm(jacobian, 2)
        assert sigma <= 1e5**0.5 * (1 + 1e-9)
        if expected is not None:
            assert sigma == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("model", "shape", "seen"), MODELS)
@pytest.mark.parametrize("gain", [False, True])
def test_it_works_with_a_gradient_penalty(
    model: Model, shape: tuple[int, ...], seen: tuple[int, ...], gain: bool
) -> None:
    penalty = GradientPenalty()
    ours = constrain(bare(model, shape), [LayerNormalization(gain=gain), penalty], shape)
    assert not any(batch_dependent(ours))
    batch = Batch(draw(5, *shape), draw(5, *shape, seed=1))
    penalty.penalty(ours, batch, torch.Generator().manual_seed(0)).backward()
    gradients = [layer.weight.grad for layer in ours.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    assert all(torch.isfinite(gradient).all() and gradient.norm() > 0 for gradient in gradients)


def test_a_samples_output_does_not_depend_on_the_batch() -> None:
    model, shape, _ = MODELS[1]
    ours, x = wrapped(model, shape), draw(5, *shape)
    assert_allclose(ours(x)[:1].detach(), ours(x[:1]).detach(), rtol=1e-9)


def test_gradcheck_and_gradgradcheck() -> None:
    model, shape, _ = MODELS[0]
    for gain in (False, True):
        norm = randomised(wrapped(model, shape, gain=gain).blocks[0].norm)
        x = draw(3, 6).requires_grad_()
        assert torch.autograd.gradcheck(norm, (x,))
        assert torch.autograd.gradgradcheck(norm, (x,))


@pytest.mark.parametrize("order", [1, -1])
def test_it_combines_with_spectral_normalization_in_either_order(order: int) -> None:
    model, shape, _ = MODELS[1]
    ours = constrain(bare(model, shape), [LayerNormalization(), SpectralNormalization()][::order], shape)
    for block in ours.blocks:
        assert isinstance(block.norm, nn.GroupNorm)
        sigma = np.linalg.norm(block.conv.weight.detach().flatten(1).numpy(), 2)
        assert sigma == pytest.approx(1, rel=1e-9)


def test_dtype_and_device_match_the_network() -> None:
    model, shape, _ = MODELS[1]
    assert wrapped(model, shape).blocks[0].norm.weight.dtype == torch.float64
    with torch.device("meta"):
        ours = LayerNormalization().wrap(model.build(shape).discriminator, shape)
    assert all(value.is_meta for value in ours.state_dict().values())
    assert ours(torch.empty(2, *shape, device="meta")).shape == (2, 1)


def test_a_network_without_empty_slots_is_refused() -> None:
    model, shape, _ = MODELS[0]
    with pytest.raises(Refusal, match="layer_normalization fills the 'norm' slots"):
        LayerNormalization().wrap(nn.Linear(2, 1), (2,))
    with pytest.raises(Refusal, match="layer_normalization fills the 'norm' slots"):
        LayerNormalization().wrap(wrapped(model, shape), shape)
