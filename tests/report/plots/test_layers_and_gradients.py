"""Heat maps of layers and the dot plot of gradients: what is in each cell, and where a row stands."""

from pathlib import Path

import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from synthetic import METHODS, Plan, write_sweep

from lipschitz.report.plots.base import Plot
from lipschitz.report.plots.data import ComparisonData, comparison_data
from lipschitz.report.plots.gradients import gradients, gradients_table
from lipschitz.report.plots.layers import effective_rank, rank_table, sigma, sigma_by_step, sigma_table
from lipschitz.report.plots.look import report_style
from lipschitz.report.plots.spectra import spectra
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ComparisonData:
    plan = Plan(("digits",), METHODS, seeds=(0, 1), evaluations=2)
    return comparison_data(Summary(load(write_sweep(tmp_path_factory.mktemp("layers"), plan))))[0]


def draw(plot: Plot[ComparisonData], data: ComparisonData) -> Figure:
    with report_style():
        figure = plot(data)
    assert figure is not None
    return figure


def test_a_cell_of_sigma_is_the_final_mean_over_seeds(data: ComparisonData) -> None:
    table = sigma_table(data)
    last = table[table["step"] == table["step"].max()]
    layers = list(dict.fromkeys(last["layer"]))
    figure = draw(sigma, data)
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["true operator", "reshaped kernel"]
    for panel, part in zip(figure.axes, ("sigma_operator", "sigma_reshaped"), strict=True):
        cells = {text.get_position(): float(text.get_text()) for text in panel.texts}
        assert len(cells) == len(METHODS) * len(layers)
        for row, method in enumerate(data.constraints):
            for column, layer in enumerate(layers):
                chosen = (last["constraint"] == method) & (last["layer"] == layer) & (last["part"] == part)
                (mean,) = last.loc[chosen, "mean"]
                assert cells[column, row] == pytest.approx(mean, rel=0.06)


def test_the_effective_rank_is_a_heat_map_with_a_table(data: ComparisonData) -> None:
    (panel,) = draw(effective_rank, data).axes
    assert len(panel.texts) == len(rank_table(data))


def test_lines_of_layers_are_not_drawn_of_more_than_eight_methods(tmp_path: Path) -> None:
    names = tuple(f"aol(version={version})" for version in range(9))
    many = comparison_data(Summary(load(write_sweep(tmp_path, Plan(("digits",), names, seeds=(0,), evaluations=1)))))[0]
    with report_style():
        assert sigma_by_step(many) is None
        assert spectra(many) is None
        assert sigma(many) is not None


def test_a_row_of_gradients_is_a_method_and_a_panel_a_place(data: ComparisonData) -> None:
    figure, table = draw(gradients, data), gradients_table(data)
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["real", "interpolated", "fake", "old", "noise"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == data.constraints
    limits = {panel.get_xlim() for panel in figure.axes}
    assert len(limits) == 1
    chosen = (table["place"] == "fake") & (table["kind"] == "gradient_norm")
    means = table[chosen].set_index("constraint")["mean"]
    _, marks = [one for one in figure.axes[2].collections if isinstance(one, PathCollection)]
    filled = {float(row): float(norm) for norm, row in marks.get_offsets()}
    assert filled == {float(row): pytest.approx(means[name]) for row, name in enumerate(data.constraints)}
