"""A loss that compares with real samples in the generator's update: what it costs, and that others do not pay for it."""

import copy

import pytest
import torch
from gan_terms import TERMS, with_terms
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.testing import assert_close

from lipschitz.constraints.spectral_normalization import SpectralNormalization
from lipschitz.datasets.images.digits import Digits
from lipschitz.models.dcgan import DCGAN
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.losses import LOSSES, GANLoss, Hinge, Relativistic

CPU = torch.device("cpu")


class OwnHinge(Hinge):
    """A loss of a user, whose generator takes D(generated) alone."""

    def generator(self, generated: Tensor) -> Tensor:  # type: ignore[override]
        return -generated.mean()


def task(loss: GANLoss, **fields: object) -> GANTraining:
    return GANTraining(Digits().load(None, CPU), with_terms(TERMS, loss=loss, **fields))


def judged(built: GANTraining) -> list[tuple[Tensor, ...]]:
    """Return the arguments of the discriminator's passes in one update of the generator."""
    seen: list[tuple[Tensor, ...]] = []
    hook = built.discriminator.register_forward_pre_hook(lambda _, args: seen.append(args))
    built.generator_step()
    hook.remove()
    return seen


@pytest.mark.parametrize("name", [name for name, kind in LOSSES.items() if issubclass(kind, GANLoss)])
def test_one_pass_on_real_samples_is_paid_by_losses_that_see_them_alone(name: str) -> None:
    built = task(LOSSES[name]())
    expected = 2 if name == "relativistic" else 1
    assert len(judged(built)) == expected
    assert ("data_generator" in built.state_dict()["streams"]) == (expected == 2)


def test_a_loss_of_a_user_that_takes_generated_outputs_alone_trains_as_before() -> None:
    ours, theirs = task(OwnHinge()), task(Hinge())
    for one in (ours, theirs):
        one.step(0.0)
    for a, b in zip(ours.generator.parameters(), theirs.generator.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_discriminator_sees_the_same_batches_under_every_loss() -> None:
    ours, theirs = task(Relativistic()), task(Hinge())
    for one in (ours, theirs):
        one.step(0.0)
    for name in ("data", "latents_discriminator", "latents_generator"):
        assert torch.equal(*(one.state_dict()["streams"][name] for one in (ours, theirs)))


def test_the_generator_s_loss_pairs_real_and_generated_samples_of_one_class() -> None:
    built = task(Relativistic(), model=DCGAN(width=4, conditional=True), generator_batch_size=6)
    (generated, labels), (real, of_real) = judged(built)
    assert torch.equal(labels, of_real)
    assert generated.shape == real.shape == (6, 1, 8, 8)
    assert generated.requires_grad
    assert not real.requires_grad
    with torch.no_grad():
        outputs = [built.discriminator(images, labels) for images in (generated, real)]
    assert_close(built._generator.loss, softplus(outputs[1] - outputs[0]).mean())


def test_a_reparametrised_weight_is_computed_once_for_both_passes() -> None:
    built = task(Relativistic(), constraints=(SpectralNormalization(),))
    layers = [module for module in built.discriminator.modules() if hasattr(module, "parametrizations")]
    calls: list[nn.Module] = []
    for layer in layers:
        layer.parametrizations.weight.register_forward_hook(lambda module, *_: calls.append(module))
    built.generator_step()
    assert len(calls) == len(layers)


def test_a_restored_run_goes_on_alike() -> None:
    ours, theirs = task(Relativistic()), task(Relativistic())
    ours.step(0.0)
    theirs.load_state_dict(copy.deepcopy(ours.state_dict()))
    for one in (ours, theirs):
        one.step(0.0)
    for a, b in zip(ours.generator.parameters(), theirs.generator.parameters(), strict=True):
        assert torch.equal(a, b)
