"""Consistency regularization, CR and bCR: outputs must not change when an image is flipped and shifted."""

from typing import Annotated, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from lipschitz.config import Factor
from lipschitz.constraints.base import Batch, Constraint, Refusal
from lipschitz.constraints.input_gradients import generated_samples
from lipschitz.datasets.images.random_transforms import random_flip, random_shift


class ConsistencyRegularization(Constraint):
    """Let D's output not change when an image is flipped and shifted: add λ E[(D(x) - D(T(x)))²] to the loss.

    T flips an image from left to right with probability 1/2, and shifts it by up to 4 pixels (Zhang et al. 2020,
    Algorithm 1). With ``generated_weight: 10`` it is balanced: generated images are treated alike (bCR, Zhao et al.
    2021, Algorithm 1). D(x) is that of the loss's forward pass, and D(T(x)) one pass more. Both are differentiated.
    It limits how D changes along these transforms alone, not its slope.

    If the run augments images, x is the augmented image. In bf16 D(x) is rounded as in the loss, and D(T(x)) is not.
    """

    source = (
        "Zhang et al. 2020, arXiv:1910.12027, Algorithm 1; balanced: Zhao et al. 2021, arXiv:2002.04724, Algorithm 1"
    )
    promise = "heuristic"

    weight: Factor = 10.0
    """λ of real images."""
    generated_weight: Factor = 0.0
    """λ of generated images; 10 in bCR."""
    shift: Annotated[int, Field(ge=0, le=4096)] = 4
    """Largest shift of rows and of columns, in pixels; zeros come in at the border."""
    flip: bool = True
    """Whether T flips. Of digits and letters the mirror images are others."""

    @model_validator(mode="after")
    def _changes_images(self) -> Self:
        if not self.flip and self.shift == 0:
            raise ValueError("shift 0 without flip changes no image; allowed: shift of 1 or more, or flip: true")
        return self

    def wrap(self, net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
        """Return ``net`` as it is.

        Raises:
            Refusal: samples are no images, or the shift could move one out of sight.
        """
        if len(shape) != 3:
            raise Refusal(f"{self.name()} flips and shifts images, and a sample has shape {shape}; allowed: images")
        if self.shift >= min(shape[1:]):
            said = f"{self.name()} shifts by up to {self.shift} pixels, and an image has {shape[1]}x{shape[2]}"
            raise Refusal(f"{said}; allowed: shift below {min(shape[1:])}")
        return net

    def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return λ times the mean of (D(x) - D(T(x)))² over real images, and the same over generated ones if balanced.

        Raises:
            Refusal: ``generated_weight`` is not zero, and the task has no generated samples.
            ValueError: the batch has no outputs on real images.
        """
        if self.generated_weight == 0:
            if batch.real_outputs is None:
                raise ValueError(f"{self.name()} needs the outputs on real images, got None")
            return self.weight * self._change(net, batch.real, batch.real_outputs, rng)
        generated = generated_samples(batch, f"{self.name()} with generated_weight", "generated_weight: 0")
        real, of_generated = batch.outputs(self.name())
        penalty = self.weight * self._change(net, batch.real, real, rng)
        return penalty + self.generated_weight * self._change(net, generated, of_generated, rng)

    def _change(self, net: nn.Module, images: Tensor, outputs: Tensor, rng: torch.Generator) -> Tensor:
        """Return the mean squared change of ``outputs`` of ``images`` under T."""
        if self.flip:
            images = random_flip(images, rng)
        if self.shift:
            images = random_shift(images, (self.shift, self.shift), rng)
        change: Tensor = (outputs - net(images)).square().mean()
        return change
