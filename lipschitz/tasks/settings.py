"""Settings of training: learning rate and its decay, Adam's betas, n_dis; SN-GAN's settings A to F."""

from typing import Annotated, Any, Self

import torch
from pydantic import AfterValidator, Field, Strict, ValidationInfo, model_validator
from torch import Tensor, nn

from lipschitz.config import Config, Entry, Iterations
from lipschitz.extensions.entry import annotations, config_of, entry_error, entry_of, folder_of, schema_of
from lipschitz.tasks.optimisers import OPTIMISERS, Adam, Optimiser
from lipschitz.tasks.schedules import Decay, factor_at

Beta = Annotated[float, Field(ge=0, lt=1)]
LearningRate = Annotated[float, Field(ge=1e-12, le=10)]
Share = Annotated[float, Field(gt=0, lt=1)]
"""A share of the run."""


STARTING, AGAIN = 25, 500
"""Iterations with ``n_dis_start`` updates: the first ones, and again after so many; of main.py of WassersteinGAN."""


def _without_fields_of_settings(optimiser: Optimiser) -> Optimiser:
    """Refuse an optimiser with a field that a setting has: its label could not tell them apart."""
    if both := sorted(type(optimiser).model_fields.keys() & Setting.model_fields.keys()):
        raise entry_error(
            f"optimiser {optimiser.name()} and settings both have the field '{both[0]}'; rename that of the optimiser"
        )
    return optimiser


def _other_optimiser(entry: Any, info: ValidationInfo) -> Optimiser | None:
    if entry is None or isinstance(entry, Optimiser):
        return entry
    return _without_fields_of_settings(config_of(OPTIMISERS, entry, folder_of(info)))


def _other_optimiser_schema() -> dict[str, Any]:
    return {"anyOf": [schema_of(OPTIMISERS), {"type": "null"}]}


def _other_optimiser_entry(optimiser: Optimiser | None) -> Entry | None:
    return None if optimiser is None else optimiser.entry()


class Setting(Config):
    """Optimisers of both networks, and discriminator updates per generator update."""

    source = "Miyato et al. 2018, arXiv:1802.05957, Table 1"

    optimiser: Annotated[
        Optimiser, *entry_of(OPTIMISERS, Optimiser.entry), AfterValidator(_without_fields_of_settings)
    ] = Field(default=Adam(), json_schema_extra={"default": Adam.name()})
    """Optimiser: adam (arXiv:1412.6980), adamw, muon, rmsprop as in the WGAN paper (arXiv:1701.07875), or sgd."""
    lr: LearningRate = 2e-4
    """Learning rate α."""
    betas: Annotated[tuple[Beta, Beta], Strict(False)] = (0.5, 0.999)
    """β1 and β2 of Adam and AdamW; rmsprop and sgd do not use them."""
    n_dis: Iterations = 1
    """Discriminator updates per generator update."""
    n_dis_start: Iterations | None = None
    """Discriminator updates in each of the first 25 iterations and in every 500th, as in the released code of WGAN
    (arXiv:1701.07875: 100); null for n_dis. Such iterations cannot be captured in a CUDA graph."""
    discriminator_lr: LearningRate | None = None
    """Learning rate of the discriminator (two time scales: Heusel et al. 2017, arXiv:1706.08500); null for lr."""
    discriminator_optimiser: Annotated[
        Optimiser | None, *annotations(_other_optimiser, _other_optimiser_schema, _other_optimiser_entry)
    ] = None
    """Optimiser of the discriminator; null for that of both."""
    decay: Decay = "none"
    """Learning rate schedule. none: constant. linear: linear decay to zero at the end of the run. step: times
    decay_factor at each of decay_at, or every decay_every. cosine: half a cosine to zero. one_cycle: from lr/25 up to
    lr in the first 30 % of the run, and down to lr/250,000."""
    decay_at: Annotated[tuple[Share, ...], Strict(False)] = ()
    """step: shares of the run after which the learning rate falls, such as [0.5, 0.75]."""
    decay_every: Share | None = None
    """step: the share of the run from one fall to the next, such as 0.1; null for decay_at."""
    decay_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """step: what the learning rate is multiplied by at each fall."""

    @model_validator(mode="after")
    def _steps_are_given(self) -> Self:
        given = [name for name in ("decay_at", "decay_every", "decay_factor") if name in self.changed()]
        if self.decay != "step" and given:
            raise entry_error(f"{given[0]} is of decay: step, and decay is {self.decay}; allowed: decay: step")
        if self.decay == "step" and (bool(self.decay_at) == (self.decay_every is not None)):
            raise entry_error("decay step needs the shares at which the rate falls; allowed: decay_at or decay_every")
        return self

    def of_discriminator(self) -> "Setting":
        """Return the setting of the discriminator alone: its optimiser and learning rate in place of those of both."""
        chosen = {
            "lr": self.discriminator_lr or self.lr,
            "optimiser": self.discriminator_optimiser or self.optimiser,
        }
        return self.model_copy(update=chosen | {"discriminator_lr": None, "discriminator_optimiser": None})

    def build(self, net: nn.Module, device: torch.device) -> torch.optim.Optimizer:
        """Return torch's optimiser of the parameters of ``net``; on CUDA a graph can capture its step.

        A learning rate that decays is a tensor: float32 on CUDA, which the fused kernel requires, else float64.
        """
        on_cuda = device.type == "cuda"
        lr: float | Tensor = self.lr
        if self.decay != "none":
            lr = torch.tensor(self.lr, dtype=torch.float32 if on_cuda else torch.float64, device=device)
        return self.optimiser.build_for(net, lr, self.betas, on_cuda=on_cuda)

    def n_dis_at(self, iteration: int) -> int:
        """Return the discriminator updates of an iteration; the first is 0."""
        early = iteration < STARTING or iteration % AGAIN == 0
        return self.n_dis_start if self.n_dis_start is not None and early else self.n_dis

    def lr_at(self, progress: float | Tensor) -> float | Tensor:
        """Return the learning rate after the share ``progress`` in [0, 1] of the run."""
        return self.lr * factor_at(
            self.decay, progress, milestones=self.decay_at, every=self.decay_every, factor=self.decay_factor
        )

    def label(self) -> str:
        """Return the letter of the equal setting of SN-GAN; if there is none, optimiser and changed fields."""
        for letter, setting in SETTINGS.items():
            if setting == self:
                return letter
        optimisers = {"optimiser", "discriminator_optimiser"}
        fields = self.model_dump(mode="json", exclude_defaults=True, exclude=optimisers) | self.optimiser.changed()
        if (other := self.discriminator_optimiser) is not None:
            fields["discriminator_optimiser"] = other.name()
            fields |= {f"discriminator_{key}": value for key, value in other.changed().items()}
        # The ids of earlier runs have the empty brackets of rmsprop.
        if not fields and self.optimiser.name() != "rmsprop":
            return self.optimiser.name()
        return f"{self.optimiser.name()}({', '.join(f'{key}={value}' for key, value in fields.items())})"


SETTINGS: dict[str, Setting] = {
    "A": Setting(lr=1e-4, betas=(0.5, 0.9), n_dis=5),
    "B": Setting(lr=1e-4, betas=(0.5, 0.999), n_dis=1),
    "C": Setting(lr=2e-4, betas=(0.5, 0.999), n_dis=1),
    "D": Setting(lr=1e-3, betas=(0.5, 0.9), n_dis=5),
    "E": Setting(lr=1e-3, betas=(0.5, 0.999), n_dis=5),
    "F": Setting(lr=1e-3, betas=(0.9, 0.999), n_dis=5),
}
"""SN-GAN's settings A to F."""
