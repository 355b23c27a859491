"""A method from outside the package, written as a file or as an installed package."""

from pathlib import Path
from textwrap import dedent

METHOD = '''\
    """A method of one's own."""

    from typing import ClassVar, Literal

    import torch
    from pydantic import NonNegativeFloat
    from torch import Tensor, nn

    from lipschitz.constraints.base import Batch, Constraint
    from lipschitz.constraints.weight_clipping import WeightClipping as Another


    class Decay(Constraint):
        """Add λ Σ ‖W‖² to the loss."""

        source: ClassVar[str] = "Doe 2031, arXiv:3101.00001"
        promise: ClassVar[Literal["certified", "heuristic", "none"]] = "heuristic"

        weight: NonNegativeFloat = 0.01
        """λ, the factor of the penalty."""

        def penalty(self, net: nn.Module, batch: Batch, rng: torch.Generator) -> Tensor:
            """Return λ Σ ‖W‖²."""
            return self.weight * torch.stack([value.square().sum() for value in net.parameters()]).sum()
    '''


def write_method(folder: Path, text: str = METHOD, name: str = "mine.py") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(dedent(text))
    return path


def install(folder: Path, package: str, *points: str, version: str = "1.0") -> None:
    """Write the metadata of an installed package with entry points ``points`` ("name = module:Class")."""
    info = folder / f"{package}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text("\n".join(["[lipschitz.constraints]", *points, ""]))
