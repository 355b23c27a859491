"""Check what the runs of a sweep need, before the first one starts: data sets, Inception weights, precisions."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import torch

from lipschitz.datasets.base import Dataset, ImageData
from lipschitz.features.inception import read_weights
from lipschitz.features.inception_weights import weights_file
from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.tasks.precision import Precision, check_device


def check_data(sweep: Sweep, data_root: Path | None) -> dict[str, str]:
    """Load each data set of the sweep once; return its SHA-256 by label.

    Raises:
        InputError: one is missing or broken, or has fewer images than a protocol needs.
    """
    datasets: dict[str, Dataset] = {run.dataset.label(): run.dataset for run in sweep.runs}
    hashes = {}
    for label, dataset in datasets.items():
        data = dataset.load(data_root, torch.device("cpu"))
        hashes[label] = data.hash
        protocols = (run.evaluation.protocols for run in sweep.runs if run.dataset == dataset)
        for protocol in dict.fromkeys(chain.from_iterable(protocols)):
            assert isinstance(data, ImageData)
            protocol.check(label, data.sizes)
    return hashes


def check_weights(sweep: Sweep, path: Path | None) -> None:
    """Read the weights of the FID's Inception network from ``path``, or from the cache, if a run needs them.

    Raises:
        InputError: there are none, or not the published ones.
    """
    if any(run.evaluation.protocols for run in sweep.runs):
        read_weights(weights_file(path))


def check_precisions(precisions: Iterable[Precision], devices: Iterable[str]) -> None:
    """Refuse a precision that one of the devices does not support.

    Raises:
        InputError: the precision, the device and what is supported.
    """
    names = tuple(dict.fromkeys(devices))
    for precision in dict.fromkeys(precisions):
        for device in names:
            check_device(precision, torch.device(device))
