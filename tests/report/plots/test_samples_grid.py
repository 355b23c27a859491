"""The samples of conditional runs are a grid of classes by latents. Panels of one seed share their latents."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from synthetic import Plan, write_sweep

from lipschitz.report.plots.data import comparison_data
from lipschitz.report.plots.look import report_style
from lipschitz.report.plots.samples import samples
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary

CLASSES, LATENTS = 3, 4


def drawn(folder: Path, names: list[str] | None) -> Figure:
    """Draw samples of two methods. An image of class k has grey level 20 + 50 k, plus 10 or 20 for the method."""
    write_sweep(folder, Plan(("digits",), ("none", "weight_clipping"), seeds=(0,), evaluations=1))
    labels = np.repeat(np.arange(CLASSES), LATENTS)
    for index, path in enumerate(sorted((folder / "runs").glob("*/samples.npz"))):
        images = np.broadcast_to((20 + 50 * labels)[:, None, None, None], (len(labels), 8, 8, 1)).astype(np.uint8)
        arrays = {"samples": images + 10 * (index + 1), "real": images, "labels": labels}
        np.savez(path, **arrays, **({} if names is None else {"class_names": np.array(names)}))
    return figure_of(folder)


def figure_of(folder: Path) -> Figure:
    (data,) = comparison_data(Summary(load(folder)))
    with report_style():
        figure = samples(data)
    assert figure is not None
    return figure


@pytest.mark.parametrize("names", [None, ["Ankle boot", "Bag", "Coat"]], ids=["numbers", "names"])
def test_a_row_is_a_class_in_every_panel(tmp_path: Path, names: list[str] | None) -> None:
    figure = drawn(tmp_path, names)
    sheets = [np.asarray(panel.get_images()[0].get_array()) for panel in figure.axes]
    assert [sheet.shape for sheet in sheets] == [(CLASSES * 9 - 1, LATENTS * 9 - 1)] * 3
    for more, sheet in zip((0, 10, 20), sheets, strict=True):
        for row in range(CLASSES):
            assert (sheet[9 * row : 9 * row + 8, :8] == 20 + 50 * row + more).all()
            assert (sheet[9 * row : 9 * row + 8, -8:] == 20 + 50 * row + more).all()
    said = [[label.get_text() for label in panel.get_yticklabels()] for panel in figure.axes]
    assert said == [names or ["0", "1", "2"], [], []]
    # A name stands at the middle of its row.
    assert figure.axes[0].get_yticks().tolist() == [3.5, 12.5, 21.5]
    words = [text.get_text() for text in figure.texts]
    assert "A row is a class, a column one latent" in " ".join(words)


def test_class_names_fit_and_images_are_square(tmp_path: Path) -> None:
    figure = drawn(tmp_path, ["a very long name of a class", "b", "c"])
    figure.draw_without_rendering()
    panel = figure.axes[0]
    assert panel.get_yticklabels()[0].get_text() == "a very long name of…"
    left = min(label.get_window_extent().x0 for label in panel.get_yticklabels())
    assert left > 0
    width, height = figure.get_size_inches() * panel.get_position().size
    assert height / width == pytest.approx(CLASSES / LATENTS)


def test_the_caption_says_that_latents_are_shared(tmp_path: Path) -> None:
    write_sweep(tmp_path, Plan(("digits",), ("none",), seeds=(0,), evaluations=1))
    figure = figure_of(tmp_path)
    assert not figure.axes[0].get_yticklabels()
    assert "the same latents, place by place, in every panel of one seed" in figure.texts[1].get_text()
