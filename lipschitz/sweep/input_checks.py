"""Check what the runs of a sweep need, before the first one starts: data sets, Inception weights, devices."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, product
from pathlib import Path
from typing import TypeVar

import torch

from lipschitz.datasets.base import Data, Dataset, ImageData, PairData
from lipschitz.errors import InputError, MissingInput, first_line, printable
from lipschitz.extensions.origin import origin_of
from lipschitz.features.inception import read_weights
from lipschitz.features.inception_weights import weights_file
from lipschitz.features.protocols import SPLITS, Protocol
from lipschitz.metrics.random_network import FrechetRandom
from lipschitz.out_of_memory import lacks_memory
from lipschitz.random_streams import begun_on_other_device
from lipschitz.sweep.attempt import Attempt
from lipschitz.sweep.definition.sweep_file import Sweep
from lipschitz.sweep.engine.job import Job
from lipschitz.tasks.precision import Precision, check_device, check_protocol

T = TypeVar("T")
MIN_IMAGES = 2
"""Fewest training, and fewest held-out images."""


def check_data(
    sweep: Sweep, data_root: Path | None, warn: Callable[[str], object] = lambda line: None
) -> dict[str, str]:
    """Load each data set of the sweep once; return its SHA-256 by label. ``warn`` is told what a user should know.

    Raises:
        MissingInput: one is not there.
        InputError: one is broken, does not fit into memory, has fewer images than an evaluation or a protocol needs, or
            holds out nothing but training images; a class from outside the package raises an error. The message has the
            line of the sweep file that names it.
    """
    datasets: dict[str, Dataset] = {run.dataset.label(): run.dataset for run in sweep.runs}
    hashes = {}
    for label, dataset in datasets.items():
        try:
            hashes[label] = _check_dataset(sweep, label, dataset, data_root, warn)
        except MissingInput:
            raise
        except InputError as error:
            raise InputError(f"{sweep.places[label]}: {error}" if label in sweep.places else str(error)) from error
    return hashes


def _check_dataset(
    sweep: Sweep, label: str, dataset: Dataset, data_root: Path | None, warn: Callable[[str], object]
) -> str:
    data = _load(label, dataset, data_root)
    if isinstance(data, ImageData):
        for line in _check_images(label, data):
            warn(line)
        judges = {run.task.judged_by(dataset, run.evaluation)[0] for run in sweep.runs if run.dataset == dataset}
        if FrechetRandom().label() in judges:
            warn(
                f"{label}: no labels, so generated images are judged in features of a network with random weights; "
                "evaluation: {protocols: [modern]} measures FID"
            )
    for seed in sorted({run.seed for run in sweep.runs if run.dataset == dataset}):
        try:
            sweep.task.check_data(data, seed)
        except InputError as error:
            raise InputError(f"{label}: {error}") from None
    protocols = (run.evaluation.protocols for run in sweep.runs if run.dataset == dataset)
    for protocol in dict.fromkeys(chain.from_iterable(protocols)):
        assert isinstance(data, ImageData)
        protocol.check(label, data.sizes)
    return data.hash


def _load(label: str, dataset: Dataset, data_root: Path | None) -> Data | PairData:
    try:
        data = dataset.load(data_root, torch.device("cpu"))
        if not isinstance(data.hash, str):
            raise TypeError(f"hash is no text but {type(data.hash).__name__}")
    except InputError:
        raise
    except Exception as error:
        if lacks_memory(error):
            raise InputError(f"{label}: does not fit into memory") from error
        if origin_of(type(dataset)) is None:
            raise
        raise InputError(f"{label}: cannot be loaded: {printable(first_line(error, with_type=True))[:120]}") from error
    return data


def _check_images(label: str, data: ImageData) -> list[str]:
    """Return the warnings of a data set of images.

    Raises:
        InputError: it cannot be evaluated.
    """
    for split, found in data.sizes.items():
        # A covariance, and an unbiased MMD, need two samples.
        if found < MIN_IMAGES:
            allowed = f"allowed: {MIN_IMAGES} or more of each split"
            raise InputError(f"{label}: {found} {SPLITS[split]} image cannot be evaluated; {allowed}")
    held_out, warnings = data.sizes["held_out"], list(data.warnings)
    if data.repeated == held_out:
        allowed = "allowed: images that are not trained on"
        raise InputError(f"{label}: all {held_out:,} held-out images are also training images; {allowed}")
    if data.repeated:
        warnings.append(f"{label}: {data.repeated:,} of {held_out:,} held-out images are also training images")
    if data.classes is not None and data.train.labels is not None:
        counts = torch.bincount(data.train.labels, minlength=data.classes)
        if empty := (counts == 0).nonzero().flatten().tolist():
            warnings.append(
                f"{label}: {len(empty):,} of {data.classes:,} classes have no training images; the first is {empty[0]}"
            )
    return warnings


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
    _check_each(check_device, precisions, devices)


def check_protocols(protocols: Iterable[Protocol], devices: Iterable[str]) -> None:
    """Refuse a protocol whose precision one of the devices does not support.

    Raises:
        InputError: the protocol, the device and what is supported.
    """
    _check_each(check_protocol, protocols, devices)


def _check_each(check: Callable[[T, torch.device], None], wanted: Iterable[T], devices: Iterable[str]) -> None:
    for one, device in product(dict.fromkeys(wanted), dict.fromkeys(devices)):
        check(one, torch.device(device))


def check_begun(jobs: Sequence[Job]) -> None:
    """Refuse to resume a run on another kind of device than the one that it was begun on.

    Raises:
        InputError: the folder of such a run, both kinds, and what to do.
    """
    for job in jobs:
        folder, here = job.folder, torch.device(job.device).type
        begun = {folder.path: folder.begun_on()} if folder.has_checkpoint() else {}
        # Others that have joined may make the run on theirs.
        if not (begun or job.site.joins):
            others = [other for other in Attempt.others(folder.path, folder.path) if other.has_checkpoint()]
            begun = {other.path: other.begun_on() for other in others}
        if begun and here not in begun.values():
            for path, device in begun.items():
                if device in ("cpu", "cuda"):
                    raise InputError(f"{path}: {begun_on_other_device(device, here)}")
