"""Steps and seconds to reach a target: censored and diverged seeds, bold cells and the default target."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from synthetic import Plan, dump, write_sweep, write_timing
from synthetic_transport import CLIPPING, PENALTY, SORTING, Pairs, write_pairs

from lipschitz.cli import main
from lipschitz.errors import InputError
from lipschitz.exit_codes import WRONG_INPUT
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.statistics.time_to_target import (
    Target,
    check_targets,
    default_target,
    parse_targets,
    time_to_event,
)
from lipschitz.report.tables.build import build
from lipschitz.report.tables.table import Table

EVERY = 100
CURVES: dict[str, Sequence[Sequence[float]]] = {
    # Steps 100, 200 and 300: mean 200, deviation 100, t(0.975, 2) = 4.302653, over sqrt(3).
    "none": ((3, 1, 1, 1), (3, 2, 1, 1), (3, 2, 2, 1)),
    # Crosses at once and comes back: the first crossing counts.
    "weight_clipping": ((3, 1, 2, 2), (3, 1, 2, 2), (3, 2, 2, 2)),
    "gradient_penalty": ((3, 2, 2, 2), (3, 2, 2, 1), (3, 2, 2, 2)),
}


def write_curves(folder: Path, curves: Mapping[str, Sequence[Sequence[float]]] = CURVES, end: str = "finished") -> Path:
    """A sweep whose W1 is said by hand, an evaluation each 100 steps; the last seed of the last method ends as said."""
    identifiers = []
    for constraint, seeds in curves.items():
        labels = {"task": "generation", "dataset": "eight_gaussians", "model": "mlp", "constraint": constraint}
        labels |= {"loss": "hinge", "setting": "C"}
        write_timing(folder, constraint, labels)
        for seed, values in enumerate(seeds):
            path = folder / "runs" / f"{constraint}-{seed}"
            identifiers.append(path.name)
            steps = EVERY * (len(values) - 1)
            identity = {"id": path.name, "configuration": constraint, "labels": labels, "seed": seed, "steps": steps}
            dump(path / "run.json", identity | {"run": {"training": {"steps": steps, "batch_size": 64}}})
            said = [
                {"step": EVERY * i, "seconds": 99.0, "metric": "w1", "value": value} for i, value in enumerate(values)
            ]
            said.append({"step": steps, "seconds": 99.0, "metric": "loss/generator", "value": 0.5})
            (path / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in said))
            last = constraint == list(curves)[-1] and seed == len(seeds) - 1
            result = {"status": end if last else "finished", "step": steps, "seconds": 99.0, "floor": {"w1": 0.1}}
            dump(path / "result.json", result | {"last": {"w1": values[-1]}, "protocols": {"w1": {"n_real": 10}}})
    dump(folder / "sweep.json", {"name": "curves", "task": "generation", "runs": identifiers})
    return folder


def reach_tables(folder: Path, *texts: str) -> list[Table]:
    sweep = load(folder)
    return [table for table in build(Summary(sweep), parse_targets(texts)) if table.title.startswith("Steps and")]


def body(table: Table) -> dict[str, list[str]]:
    return {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}


def test_the_interval_of_steps_is_that_of_the_t_distribution_where_every_seed_came() -> None:
    one = time_to_event([100.0, 300.0, 200.0])
    assert (one.reached, one.of, one.interval.mean, one.median) == (3, 3, 200.0, 200.0)
    assert one.interval.half_width == pytest.approx(4.302652730 * 100 / math.sqrt(3), rel=1e-8)


def test_if_a_seed_never_reaches_the_target_there_is_a_median_or_a_bound() -> None:
    late = math.inf
    assert math.isnan(time_to_event([100.0, 200.0, late]).interval.mean)
    assert time_to_event([100.0, late, 200.0]).median == 200.0
    assert time_to_event([100.0, late, late]).median == late
    # Half of the seeds is no more than half: the middle is not known.
    assert time_to_event([100.0, late]).median == late
    assert time_to_event([100.0, 200.0, 300.0, late]).median == 300.0


def test_the_table_shows_steps_seconds_and_the_seeds_that_reached_the_target(tmp_path: Path) -> None:
    (table,) = reach_tables(write_curves(tmp_path), "w1=1")
    assert table.title.startswith("Steps and seconds to reach W1 to held-out data ≤ 1: eight_gaussians, mlp")
    assert "Evaluations are 100 steps apart." in table.caption
    # A step alone takes 3 + 2.5 ms, of weight clipping 3.03 + 2.5; three evaluations of 100 steps were trained.
    assert body(table) == {
        "none": ["3 of 3", "0", "200 ± 250", "1.1 ± 1.4"],
        "weight_clipping": ["2 of 3", "0", "median 100", "median 0.553"],
        "gradient_penalty": ["1 of 3", "0", "> 300", "> 2.46"],
    }
    assert not any(cell.bold for row in table.rows for cell in row)


def test_a_value_equal_to_the_target_has_reached_it(tmp_path: Path) -> None:
    (at,) = reach_tables(write_curves(tmp_path), "w1=2")
    # A time of equal steps is not known without error.
    assert body(at)["gradient_penalty"] == ["3 of 3", "0", "100 ± 0", "0.820"]
    assert "their ± covers the steps alone" in at.caption
    (below,) = reach_tables(tmp_path, "w1=1.999")
    assert body(below)["gradient_penalty"][:3] == ["1 of 3", "0", "> 300"]


def test_the_fewest_steps_are_bold_among_methods_whose_seeds_all_reach_the_target(tmp_path: Path) -> None:
    # Without any spread, two seeds of each cannot tell methods apart; eight can.
    (table,) = reach_tables(write_curves(tmp_path, {name: curves * 4 for name, curves in CURVES.items()}), "w1=2")
    bold = {row[0].text: [cell.bold for cell in row[3:]] for row in table.rows}
    # All come at the first evaluation; the steps of no constraint take the least time.
    assert bold == {"none": [True, True], "weight_clipping": [True, False], "gradient_penalty": [True, False]}


def test_steps_that_are_not_told_apart_from_the_fewest_are_bold_too(tmp_path: Path) -> None:
    curves = {"none": CURVES["none"], "weight_clipping": ((3, 2, 1, 1), (3, 2, 1, 1), (3, 2, 2, 1))}
    curves |= {"gradient_penalty": ((3, 1, 1, 1), (3, 1, 1, 1), (3, 1, 1, 1))}
    (table,) = reach_tables(write_curves(tmp_path, curves), "w1=1")
    # 200 ± 250, 233 ± 143 and 100 ± 0.
    assert [row[3].bold for row in table.rows] == [True, True, True]
    assert "Holm's correction" in table.caption


def test_a_method_with_a_failed_seed_is_not_bold(tmp_path: Path) -> None:
    folder = write_curves(tmp_path)
    failed = folder / "runs" / "none-2"
    (failed / "result.json").unlink()
    (failed / "error.txt").write_text("Traceback ...")
    (table,) = reach_tables(folder, "w1=2")
    assert [row[3].bold for row in table.rows] == [False, True, True]


def test_seconds_by_an_unsteady_timing_are_never_bold(tmp_path: Path) -> None:
    folder = write_curves(tmp_path)
    path = folder / "timing" / "none.json"
    dump(path, json.loads(path.read_text()) | {"rounds": {"ms_generator_step": [2.5, 2.5, 2.8]}})
    (table,) = reach_tables(folder, "w1=2")
    assert not any(row[4].bold for row in table.rows)
    assert table.caption.endswith("Unsteady, so that seconds are not compared: none.")


def test_a_diverged_seed_has_not_reached_the_target(tmp_path: Path) -> None:
    curves = {"none": CURVES["none"], "gradient_penalty": ((3, 1, 1, 1), (3, 1, 1, 1))}
    (table,) = reach_tables(write_curves(tmp_path, curves, "diverged"), "w1=1")
    assert body(table)["gradient_penalty"] == ["1 of 2", "1", "diverged", "diverged"]


def test_a_diverged_seed_is_no_lower_bound_of_the_time(tmp_path: Path) -> None:
    late, diverged = math.inf, math.nan
    assert math.isnan(time_to_event([100.0, diverged, diverged]).median)
    # The middle one finished: it would have needed more than it was trained.
    assert time_to_event([diverged, late, 100.0]).median == late
    assert time_to_event([diverged, 100.0, 200.0]).median == 200.0
    curves = {"none": CURVES["none"], "gradient_penalty": ((3, 1, 1, 1), (3, 2, 2, 2), (3, 2))}
    (table,) = reach_tables(write_curves(tmp_path, curves, "diverged"), "w1=1")
    assert body(table)["gradient_penalty"] == ["1 of 3", "1", "> 300", "> 2.46"]
    result = tmp_path / "runs" / "gradient_penalty-1" / "result.json"
    dump(result, json.loads(result.read_text()) | {"status": "diverged"})
    (table,) = reach_tables(tmp_path, "w1=1")
    assert body(table)["gradient_penalty"] == ["1 of 3", "2", "diverged", "diverged"]
    assert "or diverged." in table.caption


def test_a_seed_that_did_not_record_the_metric_counts_if_it_diverged(tmp_path: Path) -> None:
    folder = write_curves(tmp_path)
    for seed in (0, 1):
        run = folder / "runs" / f"none-{seed}"
        lines = (run / "records.jsonl").read_text().splitlines(keepends=True)
        (run / "records.jsonl").write_text("".join(line for line in lines if '"w1"' not in line))
        if seed:
            result = json.loads((run / "result.json").read_text())
            dump(run / "result.json", result | {"status": "diverged"})
    (table,) = reach_tables(folder, "w1=1")
    # Of seed 0, which finished, it is not known; seed 1 diverged; seed 2 reached it.
    assert body(table)["none"][:2] == ["1 of 2", "1"]


def test_without_a_timing_seconds_are_not_measured(tmp_path: Path) -> None:
    write_curves(tmp_path)
    dump(tmp_path / "timing" / "none.json", {"n_dis": 1, "device": "cpu"})
    (table,) = reach_tables(tmp_path, "w1=1")
    assert body(table)["none"] == ["3 of 3", "0", "200 ± 250", "not measured"]
    assert body(table)["weight_clipping"][3] == "median 0.553"


def test_seconds_on_different_devices_are_never_bold(tmp_path: Path) -> None:
    write_curves(tmp_path)
    path = tmp_path / "timing" / "none.json"
    dump(path, json.loads(path.read_text()) | {"device": "another"})
    (table,) = reach_tables(tmp_path, "w1=2")
    assert "timed on different devices" in table.caption
    assert not any(row[4].bold for row in table.rows)


def test_no_seconds_are_bold_if_a_method_that_reached_the_target_was_not_timed(tmp_path: Path) -> None:
    write_curves(tmp_path)
    dump(tmp_path / "timing" / "weight_clipping.json", {"n_dis": 1, "device": "cpu"})
    (table,) = reach_tables(tmp_path, "w1=2")
    assert [row[3].bold for row in table.rows] == [True, True, True]
    assert not any(row[4].bold for row in table.rows)
    # Of the two that come to 1.5 in every seed, both were timed.
    curves = {"none": ((3, 1), (3, 1)), "weight_clipping": ((3, 2), (3, 2)), "gradient_penalty": ((3, 1), (3, 1))}
    write_curves(tmp_path, {name: seeds * 4 for name, seeds in curves.items()})
    dump(tmp_path / "timing" / "weight_clipping.json", {"n_dis": 1, "device": "cpu"})
    (table,) = reach_tables(tmp_path, "w1=1.5")
    assert [row[4].bold for row in table.rows] == [True, False, False]


def test_the_default_target_is_the_median_of_the_final_means(tmp_path: Path) -> None:
    assert default_target("w1", [0.12341, 9.0, 0.1]) == Target("w1", 0.124)
    assert default_target("cosine", [0.99961, 0.1, 1.0]) == Target("cosine", 0.999)
    assert default_target("w1", [0.3, 0.3, 0.1]) == Target("w1", 0.3)
    assert default_target("modes", [0.0, 0.0]) == Target("modes", 0.0)
    assert default_target("w1", [0.1, 0.3, math.inf, math.nan]) == Target("w1", 0.2)
    (table,) = reach_tables(write_curves(tmp_path))
    # Final geometric means 1, 2 and the third root of 4.
    assert "≤ 1.59:" in table.title
    assert "median over the rows" in table.caption
    assert "median over the rows" not in reach_tables(tmp_path, "w1=1")[0].caption


def test_the_default_target_is_never_easier_than_the_untrained_network(tmp_path: Path) -> None:
    # Two of three methods end worse than they began: of the seeds 0.9 to 1.1.
    assert default_target("w1", [2.0, 3.0, 0.5], [1.0, 0.9, 1.1]) == Target("w1", 0.5)
    assert default_target("cosine", [0.1, 0.05, 0.6, 0.8], [0.3, math.nan]) == Target("cosine", 0.35)
    assert default_target("cosine", [0.1, 0.05, 0.2, 0.8], [0.3]) == Target("cosine", 0.8)
    assert default_target("w1", [2.0, 3.0], [1.0]) is None
    # Rounded towards the easier side it would be the untrained network's.
    assert default_target("w1", [0.12341, 9.0, 0.1], [0.1235]) == Target("w1", 0.12341)
    curves = {"none": ((1, 3, 3), (1, 3, 3)), "weight_clipping": ((1, 2, 2), (1, 2, 2))}
    folder = write_curves(tmp_path / "worse", curves | {"gradient_penalty": ((1, 0.5, 0.5), (1, 0.5, 0.5))})
    (table,) = reach_tables(folder)
    assert "≤ 0.5:" in table.title
    assert body(table)["none"][0] == "0 of 2"
    assert reach_tables(write_curves(tmp_path / "all", curves)) == []


def test_a_single_method_has_no_default_target(tmp_path: Path) -> None:
    assert default_target("w1", [0.5]) is None
    folder = write_curves(tmp_path, {"none": CURVES["none"]})
    assert reach_tables(folder) == []
    assert body(reach_tables(folder, "w1=1")[0])["none"][0] == "3 of 3"


def test_a_metric_to_be_maximised_reaches_the_target_from_below(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path, Pairs(methods=(CLIPPING, PENALTY, SORTING)))
    table = reach_tables(folder, "cosine=0.5")[0]
    assert "Cosine to the optimal gradient ≥ 0.5" in table.title
    reached = {name: row[-4][0] for name, row in body(table).items()}
    assert reached[CLIPPING.label] == "0"
    assert reached[PENALTY.label] == "3"


def test_several_targets_have_a_table_each_and_other_comparisons_the_default(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, Plan(constraints=("none", "gradient_penalty"), pictures=False))
    tables = reach_tables(folder, "w1=1", "modes=6")
    assert [table.dataset for table in tables] == ["eight_gaussians", "eight_gaussians", "digits"]
    assert "W1 to held-out data ≤ 1:" in tables[0].title
    assert "Modes covered ≥ 6:" in tables[1].title
    assert "median over the rows" in tables[2].caption


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("w1", "METRIC=VALUE"),
        ("=0.3", "METRIC=VALUE"),
        ("w2=0.3", "unknown metric 'w2'; did you mean 'w1'?"),
        ("loss/generator=0.3", "no better direction"),
        ("w1=low", "'low' is not a finite number"),
        ("w1=nan", "'nan' is not a finite number"),
        ("w1=", "'' is not a finite number"),
        ("fid/sngan=20", "'fid/sngan' was not recorded here; allowed: w1"),
    ],
)
def test_an_invalid_target_is_a_one_line_error_and_writes_nothing(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_curves(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr("sys.argv", ["lipschitz", "report", str(folder), "--reach", text])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == WRONG_INPUT
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_only_recorded_metrics_may_be_targets(tmp_path: Path) -> None:
    sweep = load(write_curves(tmp_path))
    check_targets(parse_targets(["w1=0.3"]), sweep)
    with pytest.raises(InputError, match="'modes' was not recorded"):
        check_targets(parse_targets(["modes=3"]), sweep)
