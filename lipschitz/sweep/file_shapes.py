"""Check the shape of what is read from a results folder: a file may be torn, or not written by this program. No torch.

Every function returns its argument, and raises ValueError, in one line, where it is not as it should be.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

T = TypeVar("T")
Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Value = Number | Literal["inf"] | None
Values = dict[str, Value]


class _Shape(BaseModel):
    """The fields that are read; others may be there. A number is no string, and a string no number."""

    model_config = ConfigDict(strict=True)


class _Record(_Shape):
    step: Count
    seconds: Number
    metric: str
    value: Value


class _Best(_Shape):
    step: Count | None = None
    values: Values


class _Result(_Shape):
    status: Literal["finished", "diverged"]
    step: Count = 0
    seconds: Number = 0.0
    last: Values | None = None
    best: _Best | None = None
    floor: Values = {}
    protocols: dict[str, dict[str, Any]] = {}
    measurement: dict[str, str | list[str]] = {}
    files: dict[str, str] = {}


class _Labels(_Shape):
    task: str
    dataset: str
    model: str
    constraint: str
    loss: str
    setting: str


class _Origin(_Shape):
    versions: dict[str, Any] = {}
    kernels: dict[str, Any] = {}


class _Setting(_Shape):
    lr: Number | None = None


class _Training(_Shape):
    batch_size: Count


class _Run(_Shape):
    dataset: dict[str, Any] = {}
    model: dict[str, Any] = {}
    setting: _Setting = _Setting()
    training: _Training


class _Definition(_Shape):
    configuration: str
    labels: _Labels
    seed: Count
    steps: Count
    run: _Run
    provenance: list[_Origin] = []
    sources: dict[str, dict[str, str]] = {}
    outside: dict[str, dict[str, str]] = {}
    metrics: dict[str, dict[str, str | None]] = {}


def _one_component(run_id: str) -> str:
    if run_id in ("", ".", "..") or "/" in run_id or "\0" in run_id:
        raise ValueError(f"{run_id!r} is not the name of a folder")
    return run_id


class _Choice(_Shape):
    group: dict[Literal["dataset", "model", "constraint", "loss"], str]
    setting: str
    metric: str
    value: Number | None
    seeds: list[Count]
    runs: list[str]


class _Sweep(_Shape):
    name: str = ""
    runs: list[Annotated[str, AfterValidator(_one_component)]]
    chosen: list[_Choice] = []
    waiting: Count = 0
    labels: dict[str, dict[str, str]] = {}


class _Part(_Shape):
    median: Annotated[Number, Field(ge=0)]
    low: Number | None = None
    high: Number | None = None


class _Pack(_Shape):
    runs: Annotated[Count, Field(ge=1)]
    iterations_per_second: Annotated[Number, Field(gt=0)]


class _Workers(_Shape):
    workers: Annotated[Count, Field(ge=1)]
    iterations_per_second: Annotated[Number, Field(gt=0)]
    evaluation_seconds: Annotated[Number, Field(gt=0)]
    share: Annotated[Number, Field(gt=0, le=1)]


class _Timing(_Shape):
    device: str = ""
    n_dis: Annotated[Count, Field(ge=1)] = 1
    ms_discriminator_step: _Part | None = None
    ms_generator_step: _Part | None = None
    ms_iteration: _Part | None = None
    peak_memory: Number = 0.0
    launched: dict[str, Any] = {}
    packs: list[_Pack] = []
    pack: Annotated[Count, Field(ge=1)] = 1
    uncaptured: str = ""
    evaluation_seconds: Annotated[Number, Field(ge=0)] = 0.0
    workers: list[_Workers] = []


_RECORDS = TypeAdapter(list[_Record])
# Made once: a sweep may have thousands of runs.
_RESULT, _DEFINITION, _SWEEP, _TIMING = map(TypeAdapter[Any], (_Result, _Definition, _Sweep, _Timing))


def check_records(value: list[Any]) -> list[dict[str, Any]]:
    """Check records: step, seconds, metric, and value, which is a number, "inf" or null."""
    return _checked(_RECORDS, value)


def check_result(value: dict[str, Any]) -> dict[str, Any]:
    """Check the content of ``result.json``."""
    return _checked(_RESULT, value)


def check_definition(value: dict[str, Any]) -> dict[str, Any]:
    """Check the content of ``run.json``."""
    return _checked(_DEFINITION, value)


def check_sweep(value: dict[str, Any]) -> dict[str, Any]:
    """Check the content of ``sweep.json``; the id of a run is the name of its folder, not a path out of ``runs``."""
    return _checked(_SWEEP, value)


def check_timing(value: dict[str, Any]) -> dict[str, Any]:
    """Check one timing of a configuration, by which the time of an iteration can be told."""
    _checked(_TIMING, value)
    if "launched" in value:
        _checked(_TIMING, value["launched"])
    if "ms_iteration" not in value and not {"ms_discriminator_step", "n_dis"} <= value.keys():
        raise ValueError("it has no time of an iteration")
    return value


def check_arrays(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Check the arrays of ``samples.npz`` that the report draws; it draws none of other names."""
    for name, array in arrays.items():
        what = name.partition("/")[0]
        if what in _DIMENSIONS and (
            array.dtype.kind not in ("U" if what == "class_names" else "biuf") or array.ndim not in _DIMENSIONS[what]
        ):
            raise ValueError(f"{name}: not expected: {array.dtype} of shape {array.shape}")
    shapes = {name: array.shape for name, array in arrays.items()}
    samples = shapes.get("samples", ())
    agree = [
        "real" not in shapes or not samples or shapes["real"][1:] == samples[1:],
        "labels" not in shapes or (len(samples) == 4 and shapes["labels"] == samples[:1] and samples[0] > 0),
        "class_names" not in shapes or shapes["class_names"] == (len(np.unique(arrays.get("labels", ()))),),
        all(shapes[name][1:] == (2,) for name in ("source", "target") if name in shapes),
        len(samples) == 4 or not samples or samples[1] >= 2,
        "surface_extent" in shapes or not {"surface", "surface_true"} & shapes.keys(),
        shapes.get("surface_extent", (4,)) == (4,),
        min((side for name in ("surface", "surface_true") for side in shapes.get(name, ())), default=2) >= 2,
    ]
    if not all(agree):
        raise ValueError("its arrays do not fit each other")
    return dict(arrays)


_DIMENSIONS: Mapping[str, tuple[int, ...]] = {
    "samples": (2, 4),
    "real": (2, 4),
    "labels": (1,),
    "class_names": (1,),
    "spectrum": (1,),
    "spectra": (2,),
    "surface": (2,),
    "surface_true": (2,),
    "surface_extent": (1,),
    "source": (2,),
    "target": (2,),
}


def _checked(shape: TypeAdapter[Any], value: T) -> T:
    try:
        shape.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None
    return value
