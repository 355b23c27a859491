"""Sweep files for tests, small enough to run in seconds."""

from pathlib import Path
from textwrap import dedent

SMALL = """\
    name: small
    task: generation
    datasets: [eight_gaussians]
    models: [{mlp: {width: 8, depth: 1}}]
    constraints: [none, spectral_normalization]
    seeds: [0, 1]
    training: {steps: 120, batch_size: 8}
    evaluation: {every: 40, samples: 32, gradient_samples: 8}
"""


def write(folder: Path, text: str = SMALL, name: str = "small.yaml") -> Path:
    path = folder / name
    path.write_text(dedent(text))
    return path
