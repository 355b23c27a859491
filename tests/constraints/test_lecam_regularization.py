"""LeCam regularization: the penalty and its anchors by hand, and that no pass is made."""

import pytest
import torch
from pydantic import ValidationError
from small_generation_task import task
from smooth_nets import linear, rng
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Refusal, constrain
from lipschitz.constraints.lecam_regularization import LeCamRegularization
from lipschitz.estimation.fixed_labels import Labelled


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(-1, 1)


def batch(real: Tensor, fake: Tensor) -> Batch:
    samples = torch.zeros(len(real), 2, dtype=torch.float64)
    return Batch(samples, samples, None, real, fake)


def test_two_updates_by_hand() -> None:
    method = LeCamRegularization(weight=2.0, decay=0.75)
    net = method.wrap(linear([1.0, 1.0]), (2,))
    first, second = batch(column(1, 3), column(-1, 0)), batch(column(4, 6), column(2, 2))
    method.track(net, first)
    # The first anchors are the first means: α_R = 2, α_F = -0.5.
    expected = 2 * ((1.5**2 + 3.5**2) / 2 + (3**2 + 2**2) / 2)
    assert method.penalty(net, first, rng()).item() == pytest.approx(expected, rel=1e-12)
    method.track(net, second)
    # Weights 0.1875 and 0.25 of the two means, divided by their sum.
    of_real, of_fake = ((0.1875 * a + 0.25 * b) / 0.4375 for a, b in ((2, 5), (-0.5, 2)))
    expected = 2 * (((4 - of_fake) ** 2 + (6 - of_fake) ** 2) / 2 + (2 - of_real) ** 2)
    assert method.penalty(net, second, rng()).item() == pytest.approx(expected, rel=1e-12)
    assert net.get_buffer("lecam_weight").item() == pytest.approx(1 - 0.75**2)


def test_no_gradient_passes_through_the_anchors() -> None:
    method = LeCamRegularization(weight=1.0)
    net = method.wrap(linear([1.0, 1.0]), (2,))
    real, fake = column(1, 3).requires_grad_(), column(-1, 0).requires_grad_()
    with torch.no_grad():
        method.track(net, batch(real, fake))
    method.penalty(net, batch(real, fake), rng()).backward()
    # 2 (D(x) - α_F) / n with α_F = -0.5; were the anchor differentiated, the gradients of fake outputs would differ.
    assert real.grad is not None
    assert fake.grad is not None
    assert real.grad.flatten().tolist() == pytest.approx([1.5, 3.5])
    assert fake.grad.flatten().tolist() == pytest.approx([-3.0, -2.0])


def test_a_conditional_network_s_anchors_are_found() -> None:
    method = LeCamRegularization()
    net = method.wrap(linear([1.0, 1.0]), (2,))
    seen = batch(column(1), column(0))
    method.track(net, seen)
    labelled = Labelled(net, torch.zeros(1, dtype=torch.int64))
    assert torch.equal(method.penalty(labelled, seen, rng()), method.penalty(net, seen, rng()))


def test_a_discriminator_s_step_makes_no_pass_more_and_updates_the_anchors_once() -> None:
    built, plain = task("float32", LeCamRegularization()), task("float32")
    passes: dict[str, int] = {"built": 0, "plain": 0}
    for name, one in (("built", built), ("plain", plain)):

        def count(module: nn.Module, args: object, name: str = name) -> None:
            passes[name] += 1

        one.discriminator.register_forward_pre_hook(count)
        one.discriminator_step()
    assert passes["built"] == passes["plain"]
    assert built.discriminator.get_buffer("lecam_weight").item() == pytest.approx(0.01)
    # With both anchors at the present means, each output is pulled to the other kind's mean.
    assert built.discriminator.get_buffer("lecam_means").abs().min() > 0
    built.generator_step()
    assert built.discriminator.get_buffer("lecam_weight").item() == pytest.approx(0.01)
    for one in (built, plain):
        for _ in range(2):
            one.discriminator_step()
    ours, theirs = built.discriminator.parameters(), plain.discriminator.parameters()
    assert not all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True)), "the penalty acts"


def test_a_batch_without_outputs_is_an_error() -> None:
    method = LeCamRegularization()
    net = method.wrap(linear([1.0, 1.0]), (2,))
    expected = (
        "lecam_regularization needs outputs on real and generated samples, but this task has none; allowed: task: gen"
    )
    for call in (method.track, lambda net, batch: method.penalty(net, batch, rng())):
        with pytest.raises(ValueError, match=expected):
            call(net, Batch(torch.zeros(1, 2), torch.zeros(1, 2)))


def test_the_defaults_are_those_of_the_authors_and_wrong_ones_are_refused() -> None:
    assert (LeCamRegularization().weight, LeCamRegularization().decay) == (0.3, 0.99)
    with pytest.raises(ValidationError, match="decay"):
        LeCamRegularization(decay=1.0)
    with pytest.raises(Refusal, match="lecam_regularization is listed twice"):
        constrain(linear([1.0]), [LeCamRegularization(), LeCamRegularization()], (1,))
