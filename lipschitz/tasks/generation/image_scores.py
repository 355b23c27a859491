"""Evaluate images: FID, KID, precision and recall of any two folders or .npz files, by a protocol."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from lipschitz.config import Entry
from lipschitz.datasets.base import DATASETS
from lipschitz.datasets.images.image_data import ImageData
from lipschitz.datasets.images.unlabelled import check_path, unlabelled_images
from lipschitz.errors import InputError
from lipschitz.extensions.entry import config_of, error_in_words
from lipschitz.features.inception import load_inception
from lipschitz.features.inception_weights import weights_file
from lipschitz.features.protocols import PROTOCOLS, Protocol
from lipschitz.features.real_statistics import RealStatistics, embed_random_images
from lipschitz.metrics.frechet import moments
from lipschitz.random_streams import stream
from lipschitz.tasks.generation.inception_quality import scores
from lipschitz.tasks.generation.quality import ImageQuality
from lipschitz.tasks.precision import check_protocol

CPU = torch.device("cpu")


class ImageScores(NamedTuple):
    """What `evaluate` found."""

    values: dict[str, float]
    """By metric, with the protocol after the slash: ``fid/modern``, ``kid/modern``, ``precision/modern``, ..."""
    protocols: dict[str, dict[str, Any]]
    """By metric, what its value depends on besides the images: their numbers, feature network and preprocessing."""
    warnings: tuple[str, ...]
    """One line for each thing that must be known, such as that there are fewer images than the protocol asks for."""


def evaluate(
    generated: str | Path,
    real: str | Path,
    protocol: Entry | Protocol = "modern",
    *,
    judge: str | None = None,
    size: int | None = None,
    inception_weights: str | Path | None = None,
    data_root: str | Path | None = None,
    device: str | torch.device = "cpu",
) -> ImageScores:
    """Compare generated images with real ones; each is a folder of images, or an .npz file with ``images``.

    Of more images than the protocol asks for a random draw is taken, always the same. Of fewer all are taken, and the
    metric's name then says how many: values of different numbers of images are not comparable.

    Args:
        generated: images that are judged.
        real: images that they are compared with, the reference.
        protocol: as in a sweep file: ``modern``, ``sngan``, or ``{"modern": {"n_fake": 10_000}}``. Its split has no
            meaning here: the reference is ``real``.
        judge: a labelled data set, such as ``digits``, whose small classifier gives the features instead of the
            Inception network. It is trained once, and needs no download; its distances are no FIDs.
        size: pictures are cropped to the middle square and resized to this; None where all have one size already.
        inception_weights: file of the Inception network's weights; None for the file in the cache.
        data_root: folder of the judge's data set; ``data`` by default.
        device: of the feature network.

    Raises:
        InputError: images cannot be read, differ in size, or are too few; or the network's weights are missing.
    """
    at = torch.device(device)
    if judge is not None:
        return _judged(Path(generated), Path(real), judge, size, data_root, at)
    chosen = _protocol(protocol)
    check_protocol(chosen, at)
    for path in (generated, real):
        check_path(Path(path))
    # Before the images, which may take long to read.
    try:
        weights = weights_file(None if inception_weights is None else Path(inception_weights))
    except InputError as error:
        raise InputError(f"{error}; or judge offline, such as --judge digits for 8x8 grey images") from None
    data, warnings = _pair(Path(generated), Path(real), size)
    used = _fitting(chosen, generated=data.sizes["held_out"], real=data.sizes["train"])
    if used != chosen:
        warnings.append(
            f"{chosen.label()} asks for {chosen.n_fake:,} generated and {chosen.n_real:,} real images, "
            f"{chosen.n_scored:,} for the Inception Score; here are {data.sizes['held_out']:,} and "
            f"{data.sizes['train']:,}: compare these values with those of as many images alone"
        )
    inception = load_inception(weights, at)
    reference = embed_random_images(data, "train", used.n_real, inception, *used.embedding).features
    statistics = RealStatistics(moments(reference), reference[: used.n_compared])
    images = embed_random_images(data, "held_out", used.n_generated, inception, *used.embedding)
    facts = used.facts(inception.sha256, 0)
    return ImageScores(scores(images, statistics, used), _of_files(facts, data, Path(real)), tuple(warnings))


def _pair(generated: Path, real: Path, size: int | None) -> tuple[ImageData, list[str]]:
    """Return real images as the training split and generated ones as the other, and what must be known of them."""
    (judged, of_judged), (reference, of_reference) = (unlabelled_images(path, size) for path in (generated, real))
    if judged.shape[1:] != reference.shape[1:]:
        here, there = ("x".join(map(str, images.shape[:0:-1])) for images in (judged, reference))
        smaller = min(judged.shape[1], reference.shape[1])
        raise InputError(
            f"{generated} has images of {here} pixels, {real} of {there}; allowed: one size, as by --size {smaller}"
        )
    data = ImageData.load(reference, judged, CPU)
    warnings = of_judged + of_reference
    if data.repeated:
        warnings.append(f"{data.repeated:,} images of {generated} are also in {real}, pixel by pixel")
    return data, warnings


def _protocol(entry: Entry | Protocol) -> Protocol:
    if isinstance(entry, Protocol):
        return entry
    try:
        return config_of(PROTOCOLS, entry)
    except PydanticCustomError as error:
        raise InputError(f"protocol: {error.message()}") from None


def _fitting(protocol: Protocol, *, generated: int, real: int) -> Protocol:
    """Return the protocol, or where there are fewer images its variant for as many as there are."""
    fields: dict[str, Any] = {"n_real": min(protocol.n_real, real), "n_fake": min(protocol.n_fake, generated)}
    if (scored := min(protocol.n_scored, generated)) != protocol.sets * fields["n_fake"]:
        fields["score_samples"] = scored
    try:
        return type(protocol).model_validate({**dict(protocol), **fields})
    except ValidationError as failure:
        reason = error_in_words(failure.errors()[0])
        raise InputError(f"{generated} generated and {real} real images: {reason}") from None


def _judged(
    generated: Path, real: Path, judge: str, size: int | None, data_root: str | Path | None, device: torch.device
) -> ImageScores:
    """Compare in the features of the classifier of a data set: equally many images of both."""
    try:
        dataset = config_of(DATASETS, judge)
    except PydanticCustomError as error:
        raise InputError(f"judge: {error.message()}") from None
    if dataset.kind != "images" or dataset.classes is None:
        raise InputError(f"judge {judge}: it has no labelled images, and so no classifier; allowed: such as digits")
    data, warnings = _pair(generated, real, size)
    if data.shape != dataset.shape:
        raise InputError(f"judge {judge}: its classifier takes images {dataset.shape}, not {data.shape} (c, h, w)")
    n = min(data.sizes.values())
    if n < 2:
        raise InputError(f"{generated} or {real} has one image; allowed: two or more")
    known = dataset.load(None if data_root is None else Path(data_root), device)
    assert isinstance(known, ImageData)
    quality = ImageQuality(known, n, device)
    rng = stream(0, "evaluate")
    values = quality.measure(data.reference(n, rng).to(device), data.floor(n, rng).to(device))
    facts = {
        name: {**fact, "features": str(fact["features"]).replace("this data set", dataset.label())}
        for name, fact in quality.protocols.items()
    }
    return ImageScores(values, _of_files(facts, data, Path(real)), tuple(warnings))


def _of_files(protocols: dict[str, dict[str, Any]], data: ImageData, real: Path) -> dict[str, dict[str, Any]]:
    """Return the facts with the files in place of the splits of a data set; there is no floor."""
    files = {"reference": str(real), "data": f"SHA-256 of both {data.hash[:12]}"}
    return {
        name: {key: value for key, value in facts.items() if key != "n_floor"} | files
        for name, facts in protocols.items()
    }
