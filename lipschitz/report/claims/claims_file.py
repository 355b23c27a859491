"""Read the claims: one sentence each, with its source, its experiment and a test that was fixed before running."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lipschitz.errors import InputError, nearest
from lipschitz.metrics.catalogue import metric_of

LABELS = ("task", "dataset", "model", "constraint", "loss", "setting")
"""Columns of records.csv by which runs are chosen."""
FEWEST_STARTS = 2
LARGEST = "largest_"
"""Before the name of a metric of layers: its largest value over layers, as in ``largest_sigma_operator``."""


def recorded_name(metric: str) -> str:
    """Return the name of the metric that is recorded."""
    return metric.removeprefix(LARGEST)


def _known(labels: dict[str, str]) -> dict[str, str]:
    for column in labels:
        if column not in LABELS:
            raise ValueError(f"no column '{column}'; {nearest(column, LABELS)}")
    return labels


Labels = Annotated[dict[str, str], AfterValidator(_known)]


class Record(BaseModel):
    """A part of the file: strict, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Arm(Record):
    """The runs of one side of a comparison, and what of them is compared; what is not given is the claim's."""

    runs: Labels = {}
    """By column of records.csv, the label that the runs have."""
    metric: str | None = None
    """As recorded, such as ``gradient_norm/noise``, or ``largest_sigma_operator``."""
    step: int | None = None
    """Step of the value; None for the last one."""

    @property
    def text(self) -> str:
        """What is compared, in one line."""
        parts = [*self.runs.values(), self.metric, None if self.step is None else f"step {self.step:,}"]
        return ", ".join(part for part in parts if part) or "all"


def _arm(value: Any) -> Any:
    """Read both short forms of an arm: the label of a constraint, or labels beside ``metric`` and ``step``."""
    if isinstance(value, str):
        return {"runs": {"constraint": value}}
    if isinstance(value, dict) and "runs" not in value:
        labels = {key: label for key, label in value.items() if key in LABELS}
        return {"runs": labels, **{key: other for key, other in value.items() if key not in LABELS}}
    return value


AnyArm = Annotated[Arm, BeforeValidator(_arm)]
ArmOrNumber = Annotated[AnyArm | float, Field(union_mode="left_to_right")]
Pair = tuple[AnyArm, ArmOrNumber]


class Experiment(Record):
    """A sweep, and the folder of its results."""

    sweep: str
    """Sweep file."""
    results: str
    """Folder with ``records.csv``."""
    cost: str
    """What the sweep takes, such as ``1.5 core-hours``."""
    options: str = ""
    """Further options of its command."""

    @property
    def command(self) -> str:
        """What runs it."""
        return f"lipschitz sweep {self.sweep}{' ' + self.options if self.options else ''}"


class Claim(Record):
    """A claim and its test: one of ``lower``, ``higher``, ``differ``, ``equal``, ``correlated``."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    claim: str
    """One sentence that is true or false."""
    source: str
    experiment: str
    on: Annotated[list[str], Field(min_length=1)]
    """Names of places. The claim is tested from every start of each of them."""
    metric: str
    given: Labels = {}
    """Labels that the runs of both arms have."""
    step: int | None = None
    lower: AnyArm | None = None
    """This arm has a lower value than ``than``."""
    higher: AnyArm | None = None
    """This arm has a higher value than ``than``."""
    than: ArmOrNumber | None = None
    """The other arm, or a number."""
    differ: Pair | None = None
    equal: Pair | None = None
    """The second of a pair may be a number."""
    correlated: Literal["positive", "negative"] | None = None
    """Sign of Spearman's correlation of ``metric`` with ``with_metric`` over the constraints."""
    with_metric: str | None = None
    over: tuple[str, ...] = ()
    """The constraints of a correlation; all of the runs where it is empty."""
    reach: Literal["steps", "seconds"] | None = None
    """Compare the time until ``metric`` is as good as the last median of ``than``, and not ``metric`` itself."""
    margin: Annotated[float, Field(gt=0)] | None = None
    """The smallest difference that matters: a factor above one for metrics with a geometric mean, else a difference."""
    note: str = ""
    """What to know when reading the verdict. It may be written after the sweep, and is no part of the test."""

    @model_validator(mode="after")
    def _has_one_test(self) -> Self:
        tests = [
            name for name in ("lower", "higher", "differ", "equal", "correlated") if getattr(self, name) is not None
        ]
        if len(tests) != 1:
            raise ValueError(
                f"{self.id}: expected one of lower, higher, differ, equal and correlated, got {tests or 'none'}"
            )
        if (self.than is not None) != (tests[0] in ("lower", "higher")):
            raise ValueError(f"{self.id}: 'than' goes with lower and higher")
        if tests[0] == "equal" and self.margin is None:
            raise ValueError(f"{self.id}: equal needs a margin, the largest difference that does not matter")
        if (self.with_metric is not None) != (tests[0] == "correlated"):
            raise ValueError(f"{self.id}: 'with_metric' goes with correlated")
        if self.over and tests[0] != "correlated":
            raise ValueError(f"{self.id}: 'over' goes with correlated")
        if self.reach is not None and not (isinstance(self.than, Arm) and self.step is None):
            raise ValueError(f"{self.id}: 'reach' goes with two arms and without a step")
        return self

    @property
    def arms(self) -> tuple[Arm, Arm | float | None]:
        """Both sides of the comparison; the second is a number, or None for a correlation."""
        if self.correlated is not None:
            return Arm(), None
        if pair := self.differ or self.equal:
            return pair[0], pair[1]
        one = self.lower or self.higher
        assert one is not None
        return one, self.than

    @property
    def kind(self) -> str:
        """The name of the test."""
        return next(
            name for name in ("lower", "higher", "differ", "equal", "correlated") if getattr(self, name) is not None
        )

    @property
    def test(self) -> str:
        """The test in one line."""
        one, other = self.arms
        at = "" if self.step is None else f", at step {self.step:,}"
        if self.correlated is not None:
            over = f", over {'; '.join(self.over)}" if self.over else ""
            return f"{self.metric} and {self.with_metric} are correlated: {self.correlated}{over}{at}"
        second = f"{other:g}" if isinstance(other, float) else other.text if other else ""
        margin = f"; margin {self.margin:g}" if self.margin else ""
        word = {"lower": "lower than", "higher": "higher than", "differ": "differs from", "equal": "equals"}[self.kind]
        what = f"{self.reach} until {self.metric} reaches the last median of {second}:" if self.reach else self.metric
        return f"{what} {'' if self.reach else 'of '}{one.text} {word} {second}{at}{margin}"


class ClaimsFile(Record):
    """All claims, with the experiments and the places that they name."""

    experiments: dict[str, Experiment]
    places: dict[str, dict[str, Labels]]
    """By place, such as ``digits``, and start: the labels of the runs."""
    claims: list[Claim]

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        seen: set[str] = set()
        for claim in self.claims:
            if claim.id in seen:
                raise ValueError(f"{claim.id}: two claims have this id")
            seen.add(claim.id)
            if claim.experiment not in self.experiments:
                raise ValueError(
                    f"{claim.id}: no experiment '{claim.experiment}'; "
                    f"{nearest(claim.experiment, list(self.experiments))}"
                )
            for place in claim.on:
                if place not in self.places:
                    raise ValueError(f"{claim.id}: no place '{place}'; {nearest(place, list(self.places))}")
                if len(self.places[place]) < FEWEST_STARTS:
                    raise ValueError(f"{claim.id}: {place} has one start; allowed: two or more")
            for name in (claim.metric, claim.with_metric, *(arm.metric for arm in claim.arms if isinstance(arm, Arm))):
                if name is not None:
                    _check_metric(claim.id, name)
        return self


def _check_metric(claim: str, name: str) -> None:
    try:
        metric_of(recorded_name(name))
    except InputError as error:
        raise ValueError(f"{claim}: {error}") from None


def read_claims(path: Path) -> ClaimsFile:
    """Read the claims.

    Raises:
        InputError: the file is missing, not YAML, or has a wrong value; the line names it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    try:
        values = YAML(typ="safe", pure=True).load(text)
        return ClaimsFile.model_validate(values)
    except YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{path}: {where + ': ' if where else ''}{said}") from None
