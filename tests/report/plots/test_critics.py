"""Figures of critics: cosine and W1 by dimension, and the critics' surfaces with the optimal potential."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from synthetic_transport import (
    CLIPPING,
    METHODS,
    NORMALIZATION,
    ONE_SIDED,
    PENALTY,
    SORTING,
    Pairs,
    surfaces,
    write_pairs,
)

from lipschitz.report.plots.by_dimension import cosine_as_published, cosine_by_dimension, w1_by_dimension
from lipschitz.report.plots.look import report_style
from lipschitz.report.plots.surfaces import CriticsOfPair, potentials
from lipschitz.report.published.critics import CriticFamily, families
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.style import GREY, styles

Draw = Callable[[CriticFamily], Figure | None]
LABEL = "funnels(published=True)"
SMALL = Pairs((CLIPPING, PENALTY, SORTING), (2,), (4,), seeds=(0, 1))


def family_of(folder: Path, plan: Pairs) -> CriticFamily:
    (found,) = families(Summary(load(write_pairs(folder, plan))))
    return found


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> CriticFamily:
    """Five methods, dimensions 2 and 16, 4 and 64 funnels, three seeds."""
    return family_of(tmp_path_factory.mktemp("pairs"), Pairs())


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def marks(figure: Figure, panel: int, label: str, hollow: bool = False) -> list[tuple[float, float]]:
    """Return dimension (to the nearest power of two) and value of each marker of a constraint in a panel."""
    axes, style = figure.axes[panel], styles([one.label for one in METHODS])[label]
    lines = [
        line
        for line in axes.lines
        if line.get_color() == style.colour
        and line.get_marker() == style.marker
        and (line.get_markerfacecolor() == "none") is hollow
        and line.get_transform() == axes.transData
    ]
    return [
        (2.0 ** round(np.log2(x)), float(y)) for line in lines for x, y in zip(*line.get_data(orig=True), strict=True)
    ]


def texts(figure: Figure) -> str:
    return " ".join(text.get_text() for text in [*figure.texts, *(one for axes in figure.axes for one in axes.texts)])


@pytest.mark.parametrize(("draw", "floor"), [(cosine_by_dimension, 1.0), (cosine_as_published, 0.882)])
def test_cosines_by_dimension_and_number_of_funnels(family: CriticFamily, draw: Draw, floor: float) -> None:
    with report_style():
        figure = drawn(draw(family))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["4 funnels", "64 funnels"]
    for panel, theirs in ((0, [(2, 0.845), (16, 0.964)]), (1, [(2, 0.355), (16, 0.785)])):
        # The synthetic seeds end at .90, .91 and .92, less a thousandth a dimension.
        assert marks(figure, panel, PENALTY.label) == [(2, pytest.approx(0.908)), (16, pytest.approx(0.894))]
        hollow = marks(figure, panel, PENALTY.label, hollow=True)
        assert hollow == (theirs if draw is cosine_as_published else [])
        assert [[floor, floor]] == [
            list(line.get_ydata()) for line in figure.axes[panel].lines if line.get_color() == GREY
        ]
        assert figure.axes[panel].get_xscale() == "log"
        assert [tick.get_text() for tick in figure.axes[panel].get_xticklabels()] == ["2", "16"]
    assert all(method.label in texts(figure) for method in METHODS)
    assert "3 seeds" in texts(figure)
    assert "dashed: critic, activation full_sort" in texts(figure)


def test_published_cosines_are_drawn_only_with_cosines_measured_as_published(tmp_path: Path) -> None:
    found = family_of(tmp_path, replace(SMALL, dims=(2, 16), as_published=False))
    with report_style():
        assert cosine_as_published(found) is None
        assert marks(drawn(cosine_by_dimension(found)), 0, PENALTY.label, hollow=True) == []


def test_the_certified_w1_is_filled_and_the_dual_value_grey(family: CriticFamily) -> None:
    with report_style():
        figure = drawn(w1_by_dimension(family))
    # The synthetic critic's W1 is its cosine times the true one, and Lip(D) lies between 0.8 and 2.
    assert marks(figure, 0, SORTING.label) == [(2, pytest.approx(0.958 / 2)), (16, pytest.approx(0.944 / 2))]
    grey = [
        list(line.get_ydata())
        for line in figure.axes[0].lines
        if line.get_color() == GREY and line.get_marker() == styles([SORTING.label])[SORTING.label].marker
    ]
    assert grey == [[pytest.approx(0.958), pytest.approx(0.944)]]
    assert marks(figure, 0, SORTING.label, hollow=True) == [(16, pytest.approx(1.89 / 1.94))]
    colour = mpl.colors.to_rgb(styles([SORTING.label])[SORTING.label].colour)
    bars = [
        segment[:, 1]
        for bar in figure.axes[0].collections
        if tuple(bar.get_color()[0][:3]) == pytest.approx(colour)
        for segment in bar.get_segments()
    ]
    np.testing.assert_allclose(
        sorted(map(tuple, bars)), [(0.944 / 2, 0.944 / 0.8), (0.958 / 2, 0.958 / 0.8)], atol=1e-9
    )


def test_a_w1_below_zero_does_not_hide_the_others(tmp_path: Path) -> None:
    cosines = {(CLIPPING.label, dim, 4): (-0.01, -0.01) for dim in (2, 16)}
    plan = replace(SMALL, dims=(2, 16), cosines=cosines | {(PENALTY.label, 2, 4): (0.001, 0.001)})
    found = family_of(tmp_path, plan)
    with report_style():
        figure = drawn(w1_by_dimension(found))
    assert figure.axes[0].get_yscale() == "log"
    assert figure.axes[0].get_ylim()[0] > 0


def test_one_constraint_on_two_critics_has_two_lines(tmp_path: Path) -> None:
    both = replace(SMALL, methods=(PENALTY, replace(PENALTY, activation="full_sort"), SORTING), dims=(2, 16))
    found = family_of(tmp_path, both)
    assert list(found.series_names.values()) == [
        "gradient_penalty, critic",
        "gradient_penalty, critic, activation full_sort",
        "sorting out (orthogonal, full_sort)",
    ]
    with report_style():
        figure = drawn(cosine_by_dimension(found))
    colour = styles([PENALTY.label])[PENALTY.label].colour
    dashes = {
        line.get_linestyle()
        for line in figure.axes[0].lines
        if line.get_color() == colour and len(line.get_xdata()) == 2
    }
    assert {"-", "--"} <= dashes


def test_one_dimension_has_no_figure_by_dimension(tmp_path: Path) -> None:
    found = family_of(tmp_path, SMALL)
    with report_style():
        assert cosine_by_dimension(found) is cosine_as_published(found) is w1_by_dimension(found) is None


def contours(artist: object) -> list[float]:
    return list(artist.levels) if isinstance(artist, QuadContourSet) else []


def test_critics_are_drawn_with_the_optimal_potential(family: CriticFamily) -> None:
    with report_style():
        figure = drawn(potentials(CriticsOfPair(family, LABEL)))
        assert potentials(CriticsOfPair(family, "funnels(dim=16, published=True)")) is None
    titles = [axes.get_title(loc="left").replace("\n", "") for axes in figure.axes]
    assert titles == [
        CLIPPING.label,
        PENALTY.label,
        ONE_SIDED.label,
        NORMALIZATION.label,
        "sorting out (orthogonal, full_sort)",
        "optimal potential",
    ]
    levels = [sorted({float(level) for one in axes.collections for level in contours(one)}) for axes in figure.axes]
    # The synthetic potential spans about 3.7, so that lines are .3 apart.
    assert all(np.diff(found) == pytest.approx(0.3) for found in levels)
    assert len(levels[-1]) == 12
    assert "Level lines are 0.3 apart in all panels" in texts(figure)
    np.testing.assert_array_equal(figure.axes[-1].images[0].get_array(), surfaces(1.0)["surface_true"])
    assert figure.axes[-1].get_xlabel().startswith("Potential from")
    assert "Seed 0." in texts(figure)


def test_a_diverged_critic_is_named_in_its_panel(tmp_path: Path) -> None:
    ends = {(PENALTY.label, 2, 4, seed): "diverged" for seed in (0, 1)}
    found = family_of(tmp_path, replace(SMALL, ends=ends))
    with report_style():
        figure = drawn(potentials(CriticsOfPair(found, LABEL)))
    titles = [axes.get_title(loc="left").replace("\n", "") for axes in figure.axes]
    assert titles[1] == "gradient_penalty, seed 0, diverged"
    assert titles[0].endswith("seed 0")
