"""Timings in the summary: on a GPU captured and launched times, and the throughput of several runs at once."""

from pathlib import Path

import pytest
from synthetic import Plan, on_gpu, write_sweep

from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.report.reading.comparisons import rows_of
from lipschitz.report.reading.results import load
from lipschitz.report.reading.timing import TIMES, is_captured, uncaptured_parts, values_of
from lipschitz.report.statistics.summary import Summary

STREAMED = "its images are streamed from the host"
SUMS = {"ms_iteration_uncaptured"}
"""Times that are added up from others, and have no interval."""
PLAN = Plan(
    ("digits",), ("none", "spectral_normalization"), seeds=(0,), evaluations=1, pictures=False, cuda=True,
    uncaptured={"spectral_normalization": STREAMED},
)  # fmt: skip


def test_captured_and_launched_times_on_a_gpu() -> None:
    timing = on_gpu("none", PLAN)
    assert is_captured(timing)
    assert values_of(timing) == pytest.approx(
        {
            "ms_discriminator_step": 0.8,
            "ms_discriminator_step_uncaptured": 4.0,
            "ms_generator_step": 0.5,
            "ms_iteration": 4.2,
            "ms_iteration_uncaptured": 5 * 4.0 + 3.0,
            "peak_memory": 90.0,
            "runs_at_once": 4,
            "throughput": 2 * 1000 / 4.2,
        }
    )


def test_an_uncaptured_method_has_no_captured_time() -> None:
    timing = on_gpu("spectral_normalization", PLAN)
    assert not is_captured(timing)
    assert values_of(timing) == pytest.approx(
        {
            "ms_discriminator_step": 6.0,
            "ms_discriminator_step_uncaptured": 6.0,
            "ms_generator_step": 3.0,
            "ms_iteration_uncaptured": 5 * 6.0 + 3.0,
            "peak_memory": 90.0,
        }
    )


def test_on_a_cpu_there_are_plain_step_times_only() -> None:
    part = {"median": 3.0, "low": 2.9, "high": 3.1, "n": 50}
    timing = {"ms_discriminator_step": part, "ms_generator_step": part, "n_dis": 1, "device": "cpu: synthetic"}
    assert uncaptured_parts(timing) == {}
    assert values_of(timing) == {"ms_discriminator_step": 3.0, "ms_generator_step": 3.0}


def test_a_task_with_one_kind_of_step_has_no_iteration() -> None:
    timing = on_gpu("none", PLAN)
    del timing["ms_generator_step"], timing["launched"]["ms_generator_step"]
    assert not {"ms_iteration", "ms_iteration_uncaptured"} & values_of(timing).keys()


def test_a_given_number_of_runs_at_once_has_no_throughput() -> None:
    timing = on_gpu("none", PLAN)
    del timing["packs"], timing["pack"]
    assert not {"runs_at_once", "throughput"} & values_of(timing).keys()


def test_the_summary_and_the_list_of_metrics_include_timings(tmp_path: Path) -> None:
    sweep = load(write_sweep(tmp_path, PLAN))
    rows = rows_of(Summary(sweep).frame, {"constraint": "none"}).set_index("metric")
    timed = values_of(on_gpu("none", PLAN))
    assert rows.loc[list(timed), "mean"].to_dict() == pytest.approx(timed)
    assert rows.loc[list(timed), "n"].to_dict() == {name: 50 if name in TIMES - SUMS else 1 for name in timed}
    assert rows.loc[sorted(SUMS), "ci95"].isna().all()
    assert {CATALOGUE[name] for name in timed} <= set(Summary(sweep).measured_metrics)
