"""Figures and the table of rank correlations of classifiers, from a sweep with known values."""

import math
from pathlib import Path

import numpy as np
import pytest
from synthetic_classifiers import Classifier, curve, write_classifiers

from lipschitz.report.plots.accuracy_by_lipschitz import accuracy_by_lipschitz
from lipschitz.report.plots.data import ComparisonData, comparison_data
from lipschitz.report.plots.gap_by_weight import gap_by_weight, varied
from lipschitz.report.plots.look import report_style
from lipschitz.report.plots.robust_accuracy import robust_accuracy
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.build import build
from lipschitz.report.write import report

WEIGHTS = {"none": None, "frobenius_penalty(weight=0.1)": 0.1, "frobenius_penalty": 1.0, "aol": None}


def runs() -> list[Classifier]:
    found = []
    for place, (name, weight) in enumerate(WEIGHTS.items()):
        for seed in (0, 1):
            gap = 0.3 - 0.05 * place + 0.01 * seed
            last = {
                "lipschitz_lower": 8.0 / (place + 1),
                "lipschitz_upper": math.inf if name == "none" else 10.0 / (place + 1),
                "gradient_norm/real": 1.0 + place,
                "sigma_operator/0": 1.0 + place,
                "sigma_product/operator": 8.0 / (place + 1),
                "margin_over_lipschitz/0.5": 0.1 * (4 - place),
                "margin_over_lipschitz_train/0.5": 0.1 * (1 + place),
                "pgd_accuracy/0": 0.8,
                "certified_accuracy/0": 0.75,
                "pgd_accuracy/0.5": 0.6,
                "pgd_accuracy/0.1": 0.7,
                "certified_accuracy/0.1": 0.2 + 0.2 * seed,
                "certified_accuracy/0.5": 0.1,
            }
            points = curve((0.1, 0.1, 2.3, 2.3), (1.0, 1.0 - gap, 0.1, 0.1 + gap))
            definition = {"name": name.partition("(")[0], "weight": weight}
            found.append(Classifier(name, seed, points, last, definition))
    return found


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return Summary(load(write_classifiers(tmp_path_factory.mktemp("classifiers"), runs())))


@pytest.fixture(scope="module")
def data(summary: Summary) -> ComparisonData:
    return comparison_data(summary)[0]


def test_a_vacuous_upper_bound_does_not_stretch_the_axis(tmp_path: Path) -> None:
    vacuous = [
        one._replace(last=one.last | {"lipschitz_upper": 1e15}) if one.constraint == "aol" else one for one in runs()
    ]
    (found, *_) = comparison_data(Summary(load(write_classifiers(tmp_path, vacuous))))
    with report_style():
        figure = accuracy_by_lipschitz(found)
    assert figure is not None
    assert figure.axes[0].get_xlim()[1] < 1e4


def test_the_band_of_robust_accuracy_goes_from_certified_to_attacked(data: ComparisonData) -> None:
    with report_style():
        figure = robust_accuracy(data)
    assert figure is not None
    titles = [panel.get_title(loc="left") for panel in figure.axes]
    assert titles[0] == "none"
    assert len(titles) == 4
    attacked, certified = figure.axes[0].lines[-2:]
    assert np.allclose(attacked.get_xdata(), [0, 0.1, 0.5])
    # Means over both seeds, also at 0 of the attacked images: on all test images the accuracy is 0.695.
    assert np.allclose(attacked.get_ydata(), [0.8, 0.7, 0.6])
    assert np.allclose(certified.get_ydata(), [0.75, 0.3, 0.1])


def test_a_folder_without_the_accuracy_on_attacked_images_has_no_point_at_zero(tmp_path: Path) -> None:
    old = [
        run._replace(last={name: value for name, value in run.last.items() if not name.endswith("_accuracy/0")})
        for run in runs()
    ]
    (data,) = comparison_data(Summary(load(write_classifiers(tmp_path, old))))
    with report_style():
        figure = robust_accuracy(data)
    assert figure is not None
    attacked, certified = figure.axes[0].lines[-2:]
    assert np.allclose(attacked.get_xdata(), [0.1, 0.5])
    assert np.allclose(certified.get_ydata(), [0.3, 0.1])


def test_the_bar_of_accuracy_is_the_bracket(data: ComparisonData) -> None:
    with report_style():
        figure = accuracy_by_lipschitz(data)
    assert figure is not None
    panel = figure.axes[0]
    bars = [segment for lines in panel.collections for segment in lines.get_segments()]
    ends = [sorted(segment[:, 0]) for segment in bars]
    assert any(np.allclose(pair, [4.0, 5.0]) for pair in ends)
    assert any(np.allclose(pair, [8.0, panel.get_xlim()[1]]) for pair in ends)


def test_the_gap_is_drawn_against_the_number_that_varies(data: ComparisonData) -> None:
    (one,) = varied(data)
    assert (one.method, one.field) == ("frobenius_penalty", "weight")
    assert one.values == {"frobenius_penalty(weight=0.1)": 0.1, "frobenius_penalty": 1.0}
    with report_style():
        figure = gap_by_weight(data)
    assert figure is not None
    line = next(line for line in figure.axes[0].lines if len(line.get_xdata()) == 2 and line.get_marker() != "None")
    assert np.allclose(line.get_xdata(), [0.1, 1.0])
    assert np.allclose(line.get_ydata(), [0.255, 0.205])


def test_a_page_of_classifiers_has_no_words_of_gans(summary: Summary) -> None:
    folder = summary.results.folder.path
    report(folder)
    paths = (folder / "index.html", *sorted((folder / "plots").glob("*.svg")))
    # The name of a column in summary.csv is no word of the page.
    texts = [path.read_text().replace("ms_discriminator_step", "") for path in paths]
    assert not [word for word in ("generated", "iscriminator", "enerator") for text in texts if word in text]
    assert "robust_accuracy_digits.svg" in texts[0]


def test_the_table_of_rank_correlations_has_a_row_a_measure(summary: Summary) -> None:
    table = next(table for table in build(summary) if table.title.startswith("Spectral measures"))
    found = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    # Of σ by layers, which leave out the scale of batch normalization, no product is made.
    assert found.keys() == {
        "Product of operator σ",
        "Lip(D), lower bound",
        "Lip(D), upper bound",
        "Mean input-gradient norm",
        "Lip(D), upper bound over the margin",
    }
    # Of training images: large margins, where the gap is small. Those of test images see the gap themselves.
    assert float(found["Lip(D), upper bound over the margin"][2]) > 0.9
    assert "median margin of training images" in table.caption
    assert found["Mean input-gradient norm"][:2] == ["8", "4"]
    assert float(found["Lip(D), lower bound"][2]) > 0.9
    assert float(found["Mean input-gradient norm"][2]) < -0.9
    assert float(found["Product of operator σ"][2]) > 0.9
    # Two of 24 permutations of four methods, corrected for ten tests.
    assert found["Lip(D), lower bound"][4] == "0.83"
