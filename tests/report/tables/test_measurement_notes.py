"""The exact constant, the product bound, and the facts of a measurement in tables and in the plot of brackets."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthetic import Plan, dump, write_sweep

from lipschitz.report.plots.brackets import brackets
from lipschitz.report.plots.data import comparison_data
from lipschitz.report.plots.look import report_style
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.build import build
from lipschitz.report.tables.table import Table

PLAN = Plan(("eight_gaussians",), ("none", "gradient_penalty", "weight_clipping"), seeds=(0,), pictures=False)
LOWER, EXACT, UPPER, PRODUCT = (f"lipschitz_{name}" for name in ("lower", "exact", "upper", "upper_product"))


def folder_of(path: Path, last: Mapping[str, Mapping[str, Any]], facts: Mapping[str, Any]) -> Path:
    """Write a sweep whose results also hold, by constraint, values of the last step and facts of the measurement."""
    folder = write_sweep(path, PLAN)
    for constraint in PLAN.constraints:
        (file,) = (folder / "runs").glob(f"*-{constraint}-0/result.json")
        result = json.loads(file.read_text())
        result["last"] |= last.get(constraint, {})
        dump(file, result | ({"measurement": facts[constraint]} if constraint in facts else {}))
    return folder


def cost_table(folder: Path) -> Table:
    return next(table for table in build(Summary(load(folder))) if table.title.startswith("Constraint and cost"))


def columns(table: Table) -> dict[str, list[str]]:
    found = enumerate(table.columns)
    return {one.name: [row[i].text for row in table.rows] for i, one in found if one.over.startswith("Lip(D)")}


MEASURED = {
    "none": {LOWER: 2.0, EXACT: 3.0, UPPER: 8.0, PRODUCT: 20.0},
    "gradient_penalty": {LOWER: 2.0, UPPER: "inf", PRODUCT: "inf"},
    "weight_clipping": {LOWER: 0.5, EXACT: 0.5, UPPER: 1.0, PRODUCT: 1.0},
}


def test_the_table_shows_the_exact_constant_and_the_product_where_there_are_some(tmp_path: Path) -> None:
    assert list(columns(cost_table(folder_of(tmp_path / "old", {}, {})))) == ["Lip(D): at least", "Lip(D): at most"]
    # In the order of every table.
    assert columns(cost_table(folder_of(tmp_path / "new", MEASURED, {}))) == {
        "Lip(D): at least": ["2", "0.500", "2"],
        "Lip(D): exact": ["3", "0.500", "–"],
        "Lip(D): at most": ["8", "1", "∞"],
        "Lip(D) by layers: at most": ["20", "1", "∞"],
    }


def test_notes_say_what_the_measurements_take_for_granted(tmp_path: Path) -> None:
    facts = {
        "none": {"upper_method": "semidefinite", "unconverged": ["a", "b"]},
        "weight_clipping": {"upper_method": "product", "bracket_notes": ["in eval mode", "an attack fooled 1 of 9"]},
        "gradient_penalty": {"upper_method": "product", "no_exact": "it is curved", "upper_reasons": ["x jumps", "y"]},
    }
    assert cost_table(folder_of(tmp_path, MEASURED, facts)).notes == [
        "No exact Lipschitz constant: gradient_penalty (it is curved).",
        "Upper bound on Lip(D) other than by single layers: none (semidefinite).",
        "Conditions of the upper bound on Lip(D), or why there is none: gradient_penalty (x jumps, and 1 more).",
        "On the bracket of Lip(D): weight_clipping (in eval mode; an attack fooled 1 of 9).",
        "σ of an operator did not reach its tolerance in layers: none (a, b).",
    ]


def test_nothing_is_said_of_an_exact_constant_where_no_method_has_one(tmp_path: Path) -> None:
    facts = {"upper_method": "product", "no_exact": "it has 784 inputs"}
    assert cost_table(folder_of(tmp_path, {}, dict.fromkeys(PLAN.constraints, facts))).notes == []


def test_the_plot_of_brackets_marks_the_exact_constant_and_the_product(tmp_path: Path) -> None:
    (data, *_) = comparison_data(Summary(load(folder_of(tmp_path, MEASURED, {}))))
    with report_style():
        figure = brackets(data)
    assert figure is not None
    (axes,) = figure.axes
    marks = {
        (round(float(line.get_xdata()[0]), 9), int(line.get_ydata()[0]), line.get_marker())
        for line in axes.lines
        if len(line.get_xdata()) == 1 and line.get_markersize() in (3.5, 8)
    }
    assert marks == {(3.0, 0, "o"), (0.5, 1, "o"), (20.0, 0, "|")}
    assert "Black dot: exact constant. Thin mark: product bound of single layers." in figure.texts[1].get_text()
    assert axes.get_xlim()[1] > 20


def test_a_vacuous_upper_bound_does_not_stretch_the_axis(tmp_path: Path) -> None:
    vacuous = {**MEASURED, "none": {**MEASURED["none"], "lipschitz_upper": 1e15, "lipschitz_upper_product": 1e16}}
    (data, *_) = comparison_data(Summary(load(folder_of(tmp_path, vacuous, {}))))
    with report_style():
        figure = brackets(data)
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_xlim()[1] < 1e4
    assert any(line.get_marker() == ">" and line.get_ydata()[0] == 0 for line in axes.lines)
    assert "e+1" in axes.texts[0].get_text()
