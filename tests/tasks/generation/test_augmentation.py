"""Augmentation of what the discriminator judges: who sees which images, its random stream, and refusals."""

import copy
import json
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from gan_terms import TERMS, with_terms
from pydantic import ValidationError
from torch import Tensor, nn

from lipschitz.constraints.base import Batch, Constraint
from lipschitz.datasets.images.digits import Digits
from lipschitz.datasets.images.random_transforms import random_color, random_cutout, random_shift
from lipschitz.errors import InputError
from lipschitz.models.dcgan import DCGAN
from lipschitz.sweep.definition.dry_step import Configuration, step_failure
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.tasks.augmentation import AUGMENTATIONS, Augmentation, Dequantise, DiffAugment, Flip
from lipschitz.tasks.generation.gan_training import GANTraining
from lipschitz.tasks.generation.generation import GenerationTask
from lipschitz.tasks.losses import Relativistic
from lipschitz.tasks.terms import Training

CPU = torch.device("cpu")
SWEEP = """\
name: small
task: generation
datasets: [digits]
models: [{dcgan: {width: 4}}]
constraints: [none]
seeds: [0]
training: {steps: 4, batch_size: 4}
"""


class Brighter(Augmentation):
    """Add three, which marks the images that were augmented."""

    source = "this test"

    def augment(self, images: Tensor, rng: torch.Generator) -> Tensor:
        return images + 3


class BrighterReal(Brighter):
    """Add three to real images alone."""

    on_generated = False


class Crops(Augmentation):
    """Returns images of another size."""

    source = "this test"

    def augment(self, images: Tensor, rng: torch.Generator) -> Tensor:
        return images[:, :, 1:]


class Keeps(Constraint):
    """Keeps what a penalty sees."""

    source, promise = "this test", "none"

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        seen.append(batch)
        return batch.real.new_zeros(())


seen: list[Batch] = []


def task(*augment: Augmentation, **fields: object) -> GANTraining:
    return GANTraining(Digits().load(None, CPU), with_terms(TERMS, augment=augment, **fields))


def judged(built: GANTraining, update: str) -> list[Tensor]:
    """Return the images of the discriminator's passes in one update."""
    images: list[Tensor] = []
    hook = built.discriminator.register_forward_pre_hook(lambda _, args: images.append(args[0].detach()))
    getattr(built, update)()
    hook.remove()
    return images


@pytest.mark.parametrize(("kind", "of_generated"), [(Brighter, 3), (BrighterReal, 0)])
def test_the_discriminator_judges_augmented_images_in_both_updates(kind: type[Augmentation], of_generated: int) -> None:
    plain, built = (
        task(loss=Relativistic(), constraints=(Keeps(),)),
        task(kind(), loss=Relativistic(), constraints=(Keeps(),)),
    )
    seen.clear()
    (ours, theirs), (_, with_plain) = judged(built, "discriminator_step"), judged(plain, "discriminator_step")
    assert torch.equal(ours, seen[1].real + 3)
    assert torch.equal(theirs, with_plain + of_generated)
    # A penalty sees what the loss was computed from.
    assert torch.equal(seen[0].real, ours)
    assert torch.equal(seen[0].fake, theirs)
    for name in ("data", "latents_discriminator"):
        assert torch.equal(*(one.state_dict()["streams"][name] for one in (plain, built))), "the same batches"
    ours, plains = judged(built, "generator_step"), judged(plain, "generator_step")
    assert ours[0].max() <= 1 + of_generated
    assert ours[0].min() >= -1 + of_generated
    assert torch.equal(ours[1], plains[1] + 3)


def test_diffaugment_is_its_three_transforms_in_turn() -> None:
    images = torch.rand(3, 2, 12, 20, generator=torch.Generator().manual_seed(1)) * 2 - 1
    rng, draws = (torch.Generator().manual_seed(0) for _ in range(2))
    found = DiffAugment().augment(images, rng)
    assert torch.equal(found, random_cutout(random_shift(random_color(images, draws), (2, 3), draws), draws))
    rng, draws = (torch.Generator().manual_seed(0) for _ in range(2))
    found = DiffAugment(color=False, cutout=False).augment(images, rng)
    assert torch.equal(found, random_shift(images, (2, 3), draws))
    with pytest.raises(ValidationError, match="it changes no image; allowed: color, translation or cutout"):
        DiffAugment(color=False, translation=False, cutout=False)


def test_the_generator_learns_through_diffaugment() -> None:
    built, plain = task(DiffAugment()), task()
    for one in (built, plain):
        before = [parameter.detach().clone() for parameter in one.generator.parameters()]
        one.generator_step()
        after = list(one.generator.parameters())
        assert all(torch.isfinite(parameter).all() for parameter in after)
        assert not any(torch.equal(a, b) for a, b in zip(after[:1], before[:1], strict=True))
    assert not torch.equal(next(iter(built.generator.parameters())), next(iter(plain.generator.parameters())))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_restored_run_goes_on_with_the_same_draws(precision: str) -> None:
    ours, theirs = (task(Flip(), DiffAugment(), precision=precision) for _ in range(2))
    ours.step(0.0)
    theirs.load_state_dict(copy.deepcopy(ours.state_dict()))
    for one in (ours, theirs):
        one.step(0.0)
    for a, b in zip(ours.generator.parameters(), theirs.generator.parameters(), strict=True):
        assert torch.equal(a, b)


def test_without_augmentation_there_is_no_stream_and_nothing_changes() -> None:
    assert "augmentation" not in task().state_dict()["streams"]
    assert "augmentation" in task(Flip()).state_dict()["streams"]
    assert set(AUGMENTATIONS) == {"crop", "flip", "dequantise", "diffaugment"}


def test_a_sweep_names_augmentations_and_is_compared_apart(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP)
    (plain,) = load_sweep(path).runs
    assert "augment" not in json.dumps(plain.canonical())
    path.write_text(SWEEP.replace("batch_size: 4", "batch_size: 4, augment: [flip, {diffaugment: {cutout: false}}]"))
    (run,) = load_sweep(path).runs
    assert run.training.augment == (Flip(), DiffAugment(cutout=False))
    assert run.labels()["setting"] == "C [flip, diffaugment(cutout=False)]"
    assert run.id != plain.id
    assert "2006.10738" in run.sources()["augmentation"]["diffaugment"]
    assert run.definition(4)["run"]["training"]["augment"] == ["flip", "diffaugment(cutout=False)"]


def test_an_augmentation_from_a_file_is_part_of_the_id(tmp_path: Path) -> None:
    path, source = tmp_path / "small.yaml", tmp_path / "mine.py"
    path.write_text(SWEEP.replace("batch_size: 4", "batch_size: 4, augment: [mine.py:Darker]"))
    text = (
        "from lipschitz.tasks.augmentation import Augmentation\n\nclass Darker(Augmentation):\n    source = 'mine'\n\n"
        "    def augment(self, images, rng):\n        return images - 1\n"
    )
    source.write_text(text)
    (run,) = load_sweep(path).runs
    assert [name for name, _ in run.outside()] == ["Darker"]
    assert run.canonical()["augment"] == [{"entry": "Darker", "sha256": sha256(text.encode()).hexdigest()}]


def test_an_augmentation_that_fails_is_named_by_the_plan() -> None:
    training = Training(steps=1, batch_size=4, augment=(Crops(),))
    failure = step_failure(
        Configuration(GenerationTask(), Digits(), DCGAN(width=2), (), Relativistic(), training, TERMS.evaluation)
    )
    assert failure is not None
    assert failure.key == "training.augment"


@pytest.mark.parametrize(
    ("augment", "said"),
    [
        (
            "[flip]",
            r"small.yaml:7: training.augment\[0\]: flip augments images, and eight_gaussians has points; allowed",
        ),
        ("[flop]", r"unknown augmentation 'flop'; did you mean 'flip'\?"),
        ("flip", r"training.augment: expected a list, such as \[flip\]"),
        ("[flip, flip]", "flip is listed twice"),
        ("[{diffaugment: {colour: true}}]", "unknown key 'colour'; did you mean 'color'"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, augment: str, said: str) -> None:
    path = tmp_path / "small.yaml"
    text = SWEEP.replace("batch_size: 4", f"batch_size: 4, augment: {augment}")
    if augment == "[flip]":
        text = text.replace("[digits]", "[eight_gaussians]").replace("{dcgan: {width: 4}}", "{mlp: {width: 4}}")
    path.write_text(text)
    with pytest.raises(InputError, match=said) as error:
        load_sweep(path)
    assert "\n" not in str(error.value)


def test_dequantised_pixels_fill_the_range_that_each_integer_stands_for() -> None:
    integers = torch.arange(256).repeat(2, 1, 64, 1).reshape(2, 1, 128, 128)
    images = integers.float().div(127.5).sub(1)
    found = Dequantise().augment(images, torch.Generator().manual_seed(0))
    u = (found + 1) * 128 - integers
    assert u.min() >= -1e-5
    assert u.max() < 1 + 1e-5
    assert abs(u.mean().item() - 0.5) < 0.01
    assert abs(u.std().item() - 12**-0.5) < 0.01
    assert not Dequantise.on_generated
