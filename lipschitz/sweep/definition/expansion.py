"""Expand a product of axes to runs, and refuse combinations that do not fit, in one line with the file's line."""

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import torch

from lipschitz.constraints.base import Constraint, Refusal, constrain, with_start
from lipschitz.datasets.base import Dataset
from lipschitz.errors import nearest, shortened
from lipschitz.estimation.fixed_labels import example_labels
from lipschitz.features.protocols import PROTOCOLS
from lipschitz.metrics.catalogue import CATALOGUE as METRICS
from lipschitz.models.base import Model, PairModel
from lipschitz.sweep.definition.axes import Axes
from lipschitz.sweep.definition.dry_step import Configuration, step_failure, with_one_start
from lipschitz.sweep.definition.run import Run
from lipschitz.sweep.definition.yaml_document import Document, Place
from lipschitz.tasks.base import TaskKind, Unsuitable
from lipschitz.tasks.losses import Loss
from lipschitz.tasks.precision import check_constraint
from lipschitz.tasks.terms import Training

MERGED = ("training", "evaluation")
"""Keys of which a part of the sweep file may override single fields."""


def expand(document: Document, axes: Axes, part: Place) -> Iterator[Run]:
    """Yield the runs of one product, each checked on networks on the meta device, which have no values.

    Raises:
        InputError: two entries do not fit together, or a training step fails; the message says where, and what is
            allowed.
    """
    losses = axes.losses or (axes.task.default_loss(),)
    for at_dataset, dataset in enumerate(axes.datasets):
        for at_model, entry in enumerate(axes.models):
            model = axes.task.default_model(dataset.shape) if entry == "auto" else entry
            place: Place = ("datasets", at_dataset) if entry == "auto" else ("models", at_model)
            for loss, setting, constraints in product(losses, axes.settings, axes.constraints):
                try:
                    axes.task.check(dataset, model, loss, setting)
                except Unsuitable as error:
                    chosen = {"datasets": dataset, "models": entry, "losses": loss, "settings": setting}[error.axis]
                    at: Place = (error.axis, getattr(axes, error.axis).index(chosen))
                    raise document.error(place_of(document, part, at), str(error)) from None
                training = _training(document, axes, part, dataset)
                _check_networks(document, axes, part, _Networks(dataset, model, constraints, place))
                _check_step(document, axes, part, _Networks(dataset, model, constraints, place), loss)
                run = Run(
                    axes.task,
                    dataset,
                    model,
                    constraints,
                    loss,
                    setting,
                    axes.seeds[0],
                    training,
                    axes.evaluation,
                    axes.generator_constraints,
                )
                yield from map(run.with_seed, axes.seeds)


def _training(document: Document, axes: Axes, part: Place, dataset: Dataset) -> Training:
    """Return the product's training, with the steps that epochs mean on ``dataset``."""
    if axes.training.epochs is None:
        return axes.training
    place = place_of(document, part, ("training", "epochs"))
    try:
        images = axes.task.images_of_epoch(dataset)
    except Unsuitable as error:
        raise document.error(place, str(error)) from None
    if images is None:
        said = f"the number of images of {shortened(dataset.label(), 40)} is not known before they are loaded"
        raise document.error(place, f"{said}; allowed: steps or seconds, or train_size of the task")
    return axes.training.with_steps(images)


class _Networks(NamedTuple):
    """Data, networks and constraints of one configuration."""

    dataset: Dataset
    model: Model
    constraints: tuple[Constraint, ...]
    place: Place
    """Place of the model in its product; that of the data set where the model is ``auto``."""

    def described(self) -> str:
        """Return data set and model, as an error names them."""
        return f"{shortened(self.dataset.label(), 40)}, {shortened(self.model.label(), 40)}"


def _check_networks(document: Document, axes: Axes, part: Place, networks: _Networks) -> None:
    """Refuse a model that does not take the data, and constraints that do not fit networks or precision."""
    dataset, model, constraints, place = networks
    try:
        model.check(dataset.shape)
    except ValueError as error:
        said = f"{shortened(dataset.label(), 40)}: {error}"
        raise document.error(place_of(document, part, place), said) from None
    try:
        _check_constraints(axes.task, dataset, model, constraints)
        for constraint in constraints:
            check_constraint(axes.training.precision, constraint)
    except Refusal as error:
        place = ("constraints", axes.constraints.index(constraints))
        raise document.error(place_of(document, part, place), f"{networks.described()}: {error}") from None
    try:
        _check_generator(axes, dataset, model)
    except Unsuitable as error:
        place = (error.axis,)
        raise document.error(place_of(document, part, place), f"{shortened(model.label(), 40)}: {error}") from None


def _check_step(document: Document, axes: Axes, part: Place, networks: _Networks, loss: Loss) -> None:
    """Refuse a configuration of which a training step fails."""
    dataset, model, constraints, place = networks
    configuration = Configuration(
        axes.task, dataset, model, constraints, loss, axes.training, axes.evaluation, axes.generator_constraints
    )
    failure = step_failure(configuration)
    if failure is None:
        return
    places: dict[str, Place] = {
        "training.batch_size": ("training", "batch_size"),
        "constraints": ("constraints", axes.constraints.index(constraints)),
        "generator_constraints": ("generator_constraints",),
        "losses": ("losses", (axes.losses or (loss,)).index(loss)),
        "training.augment": ("training", "augment"),
        "models": place,
    }
    at = places[failure.key]
    said = f"{networks.described()}: {failure.reason}"
    raise document.error(place_of(document, part, at), said)


def _check_generator(axes: Axes, dataset: Dataset, model: Model) -> None:
    """Raise Unsuitable where the task has no generator, or its constraints do not fit the model."""
    if not axes.task.has_generator:
        if asked := [key for key in ("generator_batch_size", "ema") if getattr(axes.training, key) is not None]:
            raise Unsuitable("training", f"{axes.task.name()} has no generator; {asked[0]} is not supported")
        if axes.generator_constraints:
            raise Unsuitable("generator_constraints", f"{axes.task.name()} has no generator; not supported")
        return
    try:
        _check_generator_constraints(dataset, model, axes.generator_constraints)
    except Refusal as error:
        raise Unsuitable("generator_constraints", str(error)) from None


@cache
def _check_generator_constraints(dataset: Dataset, model: Model, constraints: tuple[Constraint, ...]) -> None:
    if not constraints:
        return
    assert isinstance(model, PairModel)
    for constraint in constraints:
        if type(constraint).penalty is not Constraint.penalty:
            raise Refusal(
                f"{constraint.name()} adds a penalty to the discriminator's loss; not supported on a generator"
            )
    with torch.device("meta"):
        networks = with_start(model, ()).build(dataset.shape, dataset.classes)
        net = constrain(networks.generator, constraints, (networks.latent,))
        latents = torch.zeros(2, networks.latent)
        try:
            # Some methods support only networks with one scalar output.
            net(latents, *example_labels(net, latents))
        except (ValueError, RuntimeError) as error:
            raise Refusal(f"not supported on a generator: {error}") from None


@cache
def _check_constraints(task: TaskKind, dataset: Dataset, model: Model, constraints: tuple[Constraint, ...]) -> None:
    """Raise Refusal where the constraints cannot bound the task's network; it is built on the meta device."""
    started = with_start(model, constraints)
    with torch.device("meta"):
        task.network(started, dataset)
    _check_wrapping(task, dataset, with_one_start(started), constraints)


@cache
def _check_wrapping(task: TaskKind, dataset: Dataset, model: Model, constraints: tuple[Constraint, ...]) -> None:
    with torch.device("meta"):
        constrain(task.network(model, dataset), constraints, dataset.shape)


def check_metrics(document: Document, axes: Axes, part: Place) -> None:
    """Refuse a metric to measure or to select by that does not judge the product's data sets.

    Raises:
        InputError: the metric, where, and what is allowed.
    """
    for index, metric in enumerate(axes.evaluation.metrics):
        for dataset in axes.datasets:
            try:
                axes.task.check_metric(metric, dataset, axes.evaluation)
            except Unsuitable as error:
                place: Place = ("evaluation", "metrics", index)
                raise document.error(place_of(document, part, place), str(error)) from None
    if axes.select is not None:
        _check_metric(document, axes, axes.select.metric, place_of(document, part, ("select", "metric")))
    if axes.evaluation.select is not None:
        _check_metric(document, axes, axes.evaluation.select, place_of(document, part, ("evaluation", "select")))


def _check_metric(document: Document, axes: Axes, metric: str, place: Place) -> None:
    for dataset in axes.datasets:
        allowed = axes.task.judged_by(dataset, axes.evaluation)
        further = [one.label() for one in axes.evaluation.metrics]
        if metric.partition("/")[0] not in (*METRICS, *further):
            raise document.error(place, f"unknown metric '{metric}'; {nearest(metric, allowed)}")
        if metric not in allowed:
            raise document.error(
                place, f"runs on {dataset.label()} cannot be selected by {metric}; {nearest(metric, allowed)}"
            )


def check_protocols(document: Document, axes: Axes, part: Place) -> None:
    """Refuse protocols on data that are no images, and images without labels if there is no protocol.

    Raises:
        InputError: the data set, where, and what is allowed.
    """
    for index, dataset in enumerate(axes.datasets):
        if axes.evaluation.protocols and dataset.kind != "images":
            place = place_of(document, part, ("evaluation", "protocols"))
            raise document.error(place, f"protocols compare images; {dataset.label()} has {dataset.kind}")
        if not axes.task.judged_by(dataset, axes.evaluation):
            unlabelled = f"{dataset.label()} has no labels to train a reference classifier on"
            allowed = " or ".join(f"{{protocols: [{name}]}}" for name in PROTOCOLS)
            place = place_of(document, part, ("datasets", index))
            raise document.error(place, f"{unlabelled}; allowed: evaluation: {allowed}")


def check_image_fields(document: Document, axes: Axes, part: Place) -> None:
    """Refuse a memory layout and augmentations of images on data that are no images.

    Raises:
        InputError: the layout or the augmentation, where, and what is allowed.
    """
    layout, augment = axes.training.layout, axes.training.augment
    for dataset in axes.datasets:
        if dataset.kind == "images":
            continue
        if layout != "contiguous":
            place = place_of(document, part, ("training", "layout"))
            found = f"{layout} is a layout of images, and {dataset.label()} has {dataset.kind}"
            raise document.error(place, f"{found}; allowed: contiguous")
        if augment:
            place = place_of(document, part, ("training", "augment", 0))
            found = f"{augment[0].label()} augments images, and {dataset.label()} has {dataset.kind}"
            raise document.error(place, f"{found}; allowed: augment: []")


def place_of(document: Document, part: Place, place: Place) -> Place:
    """Return the place of a key of a product: in its part if the part has the key, else at the top of the file."""
    if not part:
        return place
    own: Any = document.values["parts"][part[1]]
    # A part may have some fields of a key, and the top of the file the others.
    for key in place[: 2 if place and place[0] in MERGED else 1]:
        if isinstance(own, dict):
            if key not in own:
                return place
            own = own[key]
    return (*part, *place)
