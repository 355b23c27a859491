"""Who is ahead on a data set: the sentence for no, some and all methods that are significantly worse."""

import json
from pathlib import Path

import pytest
from synthetic import Plan, dump, write_sweep

from lipschitz.report.reading.results import load
from lipschitz.report.statistics.final_quality import Contest, FinalQuality, final_quality
from lipschitz.report.statistics.summary import Summary


def of(folder: Path, values: dict[str, tuple[float, ...]], **fields: object) -> FinalQuality:
    """Return the final quality of a sweep on points in which each method's seeds end with these W1."""
    seeds = range(max(map(len, values.values())))
    plan = Plan(("eight_gaussians",), tuple(values), seeds=seeds, evaluations=1, pictures=False, **fields)  # type: ignore[arg-type]
    write_sweep(folder, plan)
    for run in (folder / "runs").iterdir():
        if (run / "result.json").exists():
            *_, method, seed = run.name.split("-")
            edit(run / "result.json", values[method][int(seed)])
    (found,) = final_quality(Summary(load(folder)))
    return found


def edit(path: Path, w1: float) -> None:
    result = json.loads(path.read_text())
    result["last"]["w1"] = w1
    dump(path, result)


GOOD, SAME, BAD = (0.10, 0.11, 0.12), (0.10, 0.12, 0.13), (0.90, 0.91, 0.93)


def contest(found: FinalQuality) -> Contest:
    (one,) = found.contests
    return one


def test_one_method_is_ahead(tmp_path: Path) -> None:
    one = contest(of(tmp_path, {"none": BAD, "aol": GOOD}))
    assert one.sentence.startswith(
        "`aol` (0.110 [0.087, 0.138]) is ahead: the other method is significantly worse (3 seeds, W"
    )
    assert one.not_worse == {"aol"}


def test_some_cannot_be_told_apart_and_others_are_worse(tmp_path: Path) -> None:
    found = of(tmp_path, {"none": BAD, "aol": GOOD, "bjorck": SAME})
    assert (found.metric, found.is_lower_better) == ("w1", True)
    sentence = contest(found).sentence
    assert (
        "`aol` (0.110 [0.087, 0.138]) has the best mean; `bjorck` cannot be told apart from it, and 1 is sig"
        in sentence
    )
    assert sentence.endswith("(3 seeds, Welch's test at 5 %, Holm's correction for 3 pairs).")


def test_no_method_is_worse(tmp_path: Path) -> None:
    sentence = contest(of(tmp_path, {"aol": GOOD, "bjorck": SAME})).sentence
    assert "`aol` (0.110 [0.087, 0.138]) has the best mean, and no method is significantly worse (3 seeds" in sentence


def test_one_seed_is_not_tested(tmp_path: Path) -> None:
    one = contest(of(tmp_path, {"aol": (0.1,), "none": (0.9,)}))
    assert one.sentence.startswith("Nothing was tested for significance")
    assert one.not_worse == set()


def test_a_method_with_a_diverged_seed_is_named_and_not_tested(tmp_path: Path) -> None:
    ends = {("eight_gaussians", "aol", 2): "diverged"}
    one = contest(of(tmp_path, {"none": BAD, "aol": GOOD, "bjorck": SAME}, ends=ends))
    assert "`bjorck` (0.116 [0.083, 0.162]) is ahead" in one.sentence
    assert one.sentence.endswith("Not tested, for lack of a second seed or with a seed that failed: `aol`.")
    assert [(method.name, method.diverged, len(method.seeds)) for method in one.methods] == [
        ("none", 0, 3),
        ("bjorck", 0, 3),
        ("aol", 1, 2),
    ]


@pytest.mark.parametrize("count", [6, 7])
def test_many_names_are_shortened(tmp_path: Path, count: int) -> None:
    values = {f"m{place}": tuple(value + place / 1000 for value in GOOD) for place in range(count + 1)} | {"none": BAD}
    sentence = contest(of(tmp_path, values)).sentence
    assert ("`m1`, `m2`, `m3` and 4 more cannot be told apart" in sentence) is (count == 7)
    assert ("`m5` and `m6` cannot be told apart" in sentence) is (count == 6)
