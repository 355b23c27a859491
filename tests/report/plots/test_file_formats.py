"""Files of a figure: the PNG shows what the PDF shows, pixels of an image stay squares, and bytes are repeatable."""

import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from lipschitz.report.plots.file_formats import FORMATS, render
from lipschitz.report.plots.look import paper_style, report_style


def _checkerboard() -> Figure:
    figure = Figure(figsize=(2.0, 1.0))
    axes = figure.add_axes((0, 0, 0.5, 1))
    axes.set_axis_off()
    axes.imshow(1 - np.eye(2)[::-1], cmap="gray", interpolation="nearest", aspect="auto")
    return figure


def test_the_png_has_the_size_of_the_page_and_the_squares_of_an_image() -> None:
    with report_style():
        image = Image.open(io.BytesIO(render(_checkerboard(), ["png"])["png"]))
    assert image.size == (200, 100)
    pixels = np.asarray(image.convert("L"))
    # White right of the axes; two white and two black squares of 50 pixels in them, without a grey seam between.
    expected = np.full((100, 200), 255)
    expected[:50, 50:100] = expected[50:, :50] = 0
    assert (pixels != expected).mean() < 0.01
    assert set(np.unique(pixels[:, 10:40])) == {0, 255}


def test_a_figure_of_a_paper_has_three_times_the_pixels() -> None:
    with paper_style(3.25):
        assert Image.open(io.BytesIO(render(_checkerboard(), ["png"])["png"])).size == (600, 300)


def test_the_same_figure_gives_the_same_bytes_and_only_the_kinds_that_were_asked_for() -> None:
    with report_style():
        files = [render(_checkerboard()) for _ in range(2)]
        assert files[0] == files[1]
        assert tuple(files[0]) == FORMATS
        assert render(_checkerboard(), ["svg"]) == {"svg": files[0]["svg"]}
