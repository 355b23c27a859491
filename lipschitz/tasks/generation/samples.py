"""Samples that the report shows beside real ones: the same latents for every method, and for every class."""

import numpy as np
import torch
from torch import Tensor, nn

from lipschitz.datasets.base import Data, ImageData
from lipschitz.tasks.generation.quality import to_bytes
from lipschitz.tasks.surfaces import evaluated

IMAGES, POINTS = 64, 1000
"""Samples that are shown of an unconditional run."""
ROWS, COLUMNS = 10, 8
"""Of a conditional run: classes, the first of the data set, and samples of each."""
BATCH = 256
"""Samples that are generated at a time."""


@torch.no_grad()
def generate(generator: nn.Module, latents: Tensor, labels: Tensor | None = None) -> Tensor:
    """Return a sample for each of ``latents`` ``(n, latent)``, in eval mode, of the classes ``labels`` ``(n,)``."""
    inputs = [torch.split(rows, BATCH) for rows in (latents, labels) if rows is not None]
    with evaluated(generator):
        return torch.cat([generator(*part) for part in zip(*inputs, strict=True)])


def mixed(data: Data, generator: nn.Module, latent: int, rng: torch.Generator, most: int) -> dict[str, np.ndarray]:
    """Return ``samples`` and as many held-out ``real`` ones, at most ``most`` where they are images.

    Points are float32 ``(n, 2)``, images uint8 ``(n, h, w, c)``. The latents, of ``latent`` dimensions, are the first
    that ``rng`` gives: two generators that are shown with equal ones are shown at the same latents.
    """
    n = min(IMAGES, most) if isinstance(data, ImageData) else POINTS
    latents = torch.randn(n, latent, generator=rng, device=rng.device)
    return {"samples": _drawable(data, generate(generator, latents)), "real": _drawable(data, data.reference(n, rng))}


def by_class(data: ImageData, generator: nn.Module, latent: int, rng: torch.Generator) -> dict[str, np.ndarray]:
    """Return ``samples`` as the rows of a grid, uint8 ``(rows * columns, h, w, c)``: each of a class, of equal latents.

    Beside them ``real`` images of the same classes, place by place, grey where there are too few, and ``labels``, int64
    ``(rows * columns,)``; where the data set has names for its classes, ``class_names``, str ``(rows,)``.
    """
    assert data.classes is not None
    rows = min(ROWS, data.classes)
    latents = torch.randn(COLUMNS, latent, generator=rng, device=rng.device)
    labels = torch.arange(rows, device=rng.device).repeat_interleave(COLUMNS)
    samples = generate(generator, latents.repeat(rows, 1), labels)
    found, places = data.labelled_floor(labels, rng)
    real = torch.zeros_like(samples).index_copy(0, places, found)
    arrays = {"samples": _drawable(data, samples), "real": _drawable(data, real), "labels": labels.cpu().numpy()}
    if data.class_names:
        arrays["class_names"] = np.array(data.class_names[:rows])
    return arrays


def _drawable(data: Data, samples: Tensor) -> np.ndarray:
    if isinstance(data, ImageData):
        return to_bytes(samples).permute(0, 2, 3, 1).cpu().numpy()
    return samples.cpu().numpy()
