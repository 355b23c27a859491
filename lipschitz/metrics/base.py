"""The base class of metrics: numbers that judge or describe generated samples, one file each.

Titles and sources are read where neither torch nor SciPy is imported. The file of a metric therefore imports them
inside `measure`, not at its top.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

from lipschitz.config import Config
from lipschitz.errors import InputError
from lipschitz.extensions.origin import origin_of
from lipschitz.metrics.description import Description, Direction

Judged = Literal["points", "classifier", "random_network", "inception", "images"]
JUDGED: tuple[Judged, ...] = ("points", "classifier", "random_network", "inception", "images")
"""What metrics judge, in the order of tables."""


class Metric(Config):
    """A metric of generated samples. A subclass is a class in the module of what it judges, or in a file of yours.

    The first line of its docstring says what it measures. Fields are parameters of the metric; values other than the
    defaults are part of the recorded name.
    """

    judges: ClassVar[Judged]
    """Which samples it compares, and so the types that `measure` and `protocol` receive:

    - ``points``: `PointSamples`, `PointContext`.
    - ``classifier``: images in the features of the data set's own classifier, `ClassifierSamples`, `ImageContext`.
    - ``random_network``: images without labels in the features of a network with random weights, `FeatureSamples`,
      `ImageContext`.
    - ``inception``: images in Inception features, for each protocol, `InceptionSamples`, `InceptionContext`.
    - ``images``: images as 8-bit pixels, `ImageSamples`, `ImageContext`.
    """
    title: ClassVar[str]
    """Label of an axis or a column, without the unit."""
    better: ClassVar[Direction | None] = None
    """Which direction is better; None for a value that describes rather than judges."""
    unit: ClassVar[str] = ""
    """Unit; empty for a pure number."""
    order: ClassVar[int] = 100
    """Place in tables among metrics that judge the same samples; metrics with the same number are sorted by name."""

    @abstractmethod
    def measure(self, samples: Any) -> float | Mapping[str, float] | None:
        """Return the value for ``samples``, or values by place, which are recorded as ``name/place``.

        None if the samples lack what the metric needs, such as modes or labels: then nothing is recorded.
        """

    def applies(self, context: Any) -> bool:
        """Return whether such data have what the metric needs. If not, it is not measured, and no run selects by it."""
        return True

    def protocol(self, context: Any) -> dict[str, Any]:
        """Return the facts that are recorded beside the number: values with other facts never share a column."""
        return dict(context.facts())

    def places(self, context: Any) -> tuple[str, ...]:
        """Return the places of values that `measure` returns by place; empty for a single value."""
        return ()

    def plan(self, samples: Any) -> None:
        """Announce what this metric shares with others, before any of them is measured."""

    def names(self, context: Any) -> tuple[str, ...]:
        """Return the names under which values are recorded."""
        return tuple(f"{self.label()}/{place}" for place in self.places(context)) or (self.label(),)

    def describe(self) -> Description:
        """Return the description under which the value is recorded: fields other than the defaults are named."""
        changed = "".join(f", {name} {value}" for name, value in self.changed().items())
        return Description(self.label(), self.title + changed, self.better, self.unit, self.source, self.summary())

    @classmethod
    def check_class(cls) -> None:
        """Check that a class from outside the package declares what it judges, its title and direction.

        Raises:
            InputError: one is missing or not supported.
        """
        if getattr(cls, "judges", None) not in JUDGED:
            found = repr(getattr(cls, "judges", None))
            raise InputError(f"{cls.__name__}: expected judges to be one of {', '.join(JUDGED)}, got {found}")
        if not getattr(cls, "title", None):
            raise InputError(f"{cls.__name__}: expected a title, the label of its axis or column, got none")
        if cls.better not in ("lower", "higher", None):
            raise InputError(f"{cls.__name__}: expected better to be lower, higher or None, got {cls.better!r}")


def measure_all(metrics: Iterable[Metric], samples: Any) -> dict[str, float]:
    """Return the values of ``metrics`` for ``samples`` by recorded name."""
    metrics = list(metrics)
    for metric in metrics:
        metric.plan(samples)
    values: dict[str, float] = {}
    for metric in metrics:
        found = metric.measure(samples)
        if isinstance(found, Mapping):
            values |= {f"{metric.label()}/{place}": float(value) for place, value in found.items()}
        elif found is not None:
            values[metric.label()] = float(found)
    return values


def protocol_facts(metrics: Iterable[Metric], context: Any) -> dict[str, dict[str, Any]]:
    """Return the facts of ``metrics`` by recorded name; of a metric from a file or another package also its origin."""
    found: dict[str, dict[str, Any]] = {}
    for metric in metrics:
        origin = origin_of(type(metric))
        facts = metric.protocol(context) | (origin.identity() if origin else {})
        found |= dict.fromkeys(metric.names(context), facts)
    return found
