"""Frozen, validated hyperparameters: the base class of constraints, models, data sets, losses and settings.

Numbers have bounds, far from what is used, so that a slip of the pen is refused before training.
"""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

Factor = Annotated[float, Field(ge=0, le=1e6)]
"""A factor of a penalty, or a distance; zero is allowed."""
Bound = Annotated[float, Field(ge=1e-6, le=1e6)]
"""A constant that a norm is bounded by or divided by."""
Iterations = Annotated[int, Field(ge=1, le=1000)]
"""Iterations of an algorithm within one step, or updates of one network."""
Width = Annotated[int, Field(ge=1, le=2**20)]
"""Channels, units or dimensions of a network."""
Depth = Annotated[int, Field(ge=1, le=128)]
"""Layers of a network."""
Pixels = Annotated[int, Field(ge=1, le=4096)]
"""Side of an image."""
Dimensions = Annotated[int, Field(ge=1, le=4096)]
"""Dimensions of points."""
Classes = Annotated[int, Field(ge=1, le=10**5)]
"""Number of class labels."""
Samples = Annotated[int, Field(ge=1, le=10**6)]
"""Samples of a batch, or that an evaluation looks at."""
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""The seed of random numbers."""

Entry = str | dict[str, dict[str, Any]]
"""How a config is written in a sweep file: its name, or its name with the fields that differ from their defaults."""


class Config(BaseModel):
    """A frozen set of hyperparameters, named after the module that defines it, or by ``named``.

    Unknown fields, wrong types and non-finite numbers raise `pydantic.ValidationError`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    source: ClassVar[str] = ""
    """Paper, arXiv number and equation that the class implements."""

    named: ClassVar[str] = ""
    """Name of the class, where its module defines several."""

    shares_process: ClassVar[bool] = False
    """Whether runs with a class from outside the package may share a process with other runs, as they do on a GPU.

    Its code must then change nothing global, such as torch's default dtype, and must never end the process.
    """

    @classmethod
    def name(cls) -> str:
        """Return the name by which a sweep file calls this class: that of its module, or the one in ``named``."""
        return str(vars(cls).get("named") or cls.__module__.rpartition(".")[2])

    @classmethod
    def check_class(cls) -> None:
        """Check what a class from outside the package must declare.

        Raises:
            InputError: something is missing.
        """

    def changed(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults, as JSON values."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def entry(self) -> Entry:
        """Return the shortest sweep-file entry that makes this config."""
        changed = self.changed()
        return {self.name(): changed} if changed else self.name()

    def label(self) -> str:
        """Return the bare name, or ``name(field=value, ...)`` where fields differ from their defaults."""
        changed = ", ".join(f"{key}={value}" for key, value in self.changed().items())
        return f"{self.name()}({changed})" if changed else self.name()

    @classmethod
    def summary(cls) -> str:
        """Return the first line of the class's docstring."""
        return (cls.__doc__ or "").strip().partition("\n")[0]
