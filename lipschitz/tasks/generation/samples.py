"""Generated samples for the report, next to real ones: from the same latents for every method and every class."""

import numpy as np
import torch
from torch import Tensor, nn

from lipschitz.datasets.base import Data, ImageData
from lipschitz.tasks.generation.quality import to_bytes
from lipschitz.tasks.surfaces import eval_mode

IMAGES, POINTS = 64, 1000
"""Samples of an unconditional run."""
CLASSES, PER_CLASS = 10, 8
"""Samples of a conditional run: the first classes of the data set, and how many of each."""
BATCH = 256
"""Samples that are generated at once."""


@torch.no_grad()
def generate(generator: nn.Module, latents: Tensor, labels: Tensor | None = None) -> Tensor:
    """Return a sample for each of ``latents`` ``(n, latent)``, in eval mode, of the classes ``labels`` ``(n,)``."""
    inputs = [torch.split(rows, BATCH) for rows in (latents, labels) if rows is not None]
    with eval_mode(generator):
        return torch.cat([generator(*part) for part in zip(*inputs, strict=True)])


def sample_arrays(
    data: Data, generator: nn.Module, latent: int, rng: torch.Generator, limit: int
) -> dict[str, np.ndarray]:
    """Return ``samples``, and equally many held-out ``real`` ones; of images at most ``limit``.

    Points are float32 ``(n, 2)``, images uint8 ``(n, h, w, c)``. The latents, of ``latent`` dimensions, are drawn from
    ``rng`` first, so that they are the same for every method.
    """
    n = min(IMAGES, limit) if isinstance(data, ImageData) else POINTS
    latents = torch.randn(n, latent, generator=rng, device=rng.device)
    return {"samples": _drawable(data, generate(generator, latents)), "real": _drawable(data, data.reference(n, rng))}


def class_sample_arrays(
    data: ImageData, generator: nn.Module, latent: int, rng: torch.Generator
) -> dict[str, np.ndarray]:
    """Return ``samples`` as the rows of a grid, one class a row, all from the same latents.

    Samples are uint8 ``(rows * PER_CLASS, h, w, c)``. So are ``real`` images of the same classes, which are grey where
    the data set has too few. ``labels`` are int64 ``(rows * PER_CLASS,)``. If the data set names its classes,
    ``class_names`` are str ``(rows,)``.
    """
    assert data.classes is not None
    rows = min(CLASSES, data.classes)
    latents = torch.randn(PER_CLASS, latent, generator=rng, device=rng.device)
    labels = torch.arange(rows, device=rng.device).repeat_interleave(PER_CLASS)
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
