"""Normalised spectra: squared singular values relative to the largest, one row for each method."""

from pathlib import Path

import numpy as np
from synthetic import Plan, write_sweep

from lipschitz.report.plots.data import comparison_data
from lipschitz.report.plots.look import report_style
from lipschitz.report.plots.spectra import spectra_normalised
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary

PLAN = Plan(("digits",), ("none", "weight_clipping", "gradient_penalty"), seeds=(0,), evaluations=1)


def test_rows_are_squared_values_over_the_largest_and_missing_spectra_are_blank(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path, PLAN)
    for constraint, values in (("none", [4.0, 2.0, 1.0]), ("weight_clipping", [0.0, 0.0, 0.0])):
        spectrum = {"spectrum/conv0": np.array(values), "spectrum/linear": np.array([3.0])}
        np.savez(folder / "runs" / f"digits-hinge-C-{constraint}-0" / "samples.npz", **spectrum)
    np.savez(folder / "runs" / "digits-hinge-C-gradient_penalty-0" / "samples.npz", **{"spectrum/conv1": np.ones(2)})
    with report_style():
        figure = spectra_normalised(comparison_data(Summary(load(folder)))[0])
    assert figure is not None
    first, second, _key = figure.axes
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["conv0", "conv1"]
    shares = np.ma.filled(first.collections[0].get_array(), np.nan)
    expected = [[1, 0.25, 0.0625], [np.nan] * 3, [np.nan] * 3]
    np.testing.assert_array_equal(shares, expected)
    assert [label.get_text() for label in first.get_yticklabels()] == list(PLAN.constraints)


def test_without_spectra_there_is_no_figure(tmp_path: Path) -> None:
    plan = Plan(("digits",), ("none",), seeds=(0,), evaluations=1, pictures=False)
    assert spectra_normalised(comparison_data(Summary(load(write_sweep(tmp_path, plan))))[0]) is None
