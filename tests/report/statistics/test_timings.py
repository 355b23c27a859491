"""Unsteady rounds and ratios of times: what is withheld, in tables, page and csv."""

import json
from pathlib import Path

import pandas as pd
import pytest
from synthetic import Plan, dump, write_sweep

from lipschitz.report.statistics.timings import UNSTEADY, drift, ratio_text, step_ratio
from lipschitz.report.write import report

STEP = "ms_discriminator_step"
PLAN = Plan(("digits",), ("none", "weight_clipping", "gradient_penalty"), seeds=(0,), evaluations=1, pictures=False)


def timing(*rounds: float, device: str = "cpu: synthetic") -> dict[str, object]:
    part = {"median": sorted(rounds)[1], "low": min(rounds), "high": max(rounds), "n": 45}
    return {STEP: part, "n_dis": 1, "rounds": {STEP: list(rounds)}, "device": device}


def test_the_ends_of_a_ratio_are_those_of_single_rounds() -> None:
    """A machine that slows down by 8 % from round to round slows both steps: their ratio stays."""
    none, other = timing(1.0, 1.04, 1.08), timing(1.1, 1.144, 1.199)
    found = step_ratio(other, none)
    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx((1.1, 1.1, 1.199 / 1.08))
    assert ratio_text(other, none, "–") == "1.10 [1.10, 1.11]"
    assert ratio_text(none, none, "–") == "1.00"


@pytest.mark.parametrize(("none", "other"), [((1.0, 1.0, 1.0), (1.08, 1.0, 2.54)), ((1.0, 1.2, 1.0), (1.1, 1.1, 1.1))])
def test_a_ratio_is_withheld_where_the_rounds_of_either_step_disagree(
    none: tuple[float, ...], other: tuple[float, ...]
) -> None:
    assert ratio_text(timing(*other), timing(*none), "–") == UNSTEADY
    assert ratio_text(timing(1.0, 1.09, 1.09), timing(1.0, 1.0, 1.0), "–") == "1.09 [1.00, 1.09]"


def test_the_drift_of_a_time() -> None:
    assert drift(timing(1.0, 1.5, 1.2), STEP) == pytest.approx(0.5)
    assert drift(timing(1.0, 1.05, 1.1), STEP) == pytest.approx(0.1, abs=0.1)
    assert drift({}, STEP) == drift(timing(1.0, 1.5, 1.2), "ms_generator_step") == 0


def test_a_timing_of_an_early_version_has_a_ratio_without_ends() -> None:
    old = {name: value for name, value in timing(1.0, 1.0, 1.0).items() if name != "rounds"}
    assert ratio_text(old, old | {STEP: {"median": 0.5}}, "–") == "2.00"
    assert ratio_text(timing(1.0, 1.0, 1.0, device="another"), old, "–") == "–"


def test_an_unsteady_time_is_named_in_every_file_and_has_no_ratio(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, PLAN)
    for method, rounds in (("none", (7.5, 7.5, 7.5)), ("weight_clipping", (7.6, 19.05, 19.05))):
        path = folder / "timing" / f"digits-hinge-C-{method}.json"
        dump(path, json.loads(path.read_text()) | timing(*rounds, device="cpu: synthetic, 1 thread"))
    report(folder, limit_panels=0)
    note = "weight_clipping (151%)"
    for name in ("index.html", "table.md"):
        text = (folder / name).read_text()
        assert note in text
        assert "2.54" not in text
        assert "--retime" in text
    latex = (folder / "table.tex").read_text()
    assert r"weight\_clipping (151\%)" in latex
    assert "2.54" not in latex
    cells = [
        line.split(" | ") for line in (folder / "table.md").read_text().splitlines() if "| weight_clipping" in line
    ]
    assert cells[0][-1].startswith(UNSTEADY)
    assert cells[0][-2] == f"19.1 [7.6, 19.1] {UNSTEADY}"
    rows = pd.read_csv(folder / "summary.csv").query(f"metric == '{STEP}'").set_index("constraint")
    assert rows.loc["weight_clipping", "note"] == "unsteady: rounds differ by 151%"
    assert rows["note"].notna().sum() == 1
