"""Figures for a paper: their width, fonts and text, the reader's own style, captions, and the same bytes every time."""

import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from synthetic import Plan, write_sweep

from lipschitz.cli import main
from lipschitz.exit_codes import WRONG_INPUT
from lipschitz.report.paper import WIDTHS
from lipschitz.report.plots.base import registered_plots
from lipschitz.report.plots.data import SweepData
from lipschitz.report.plots.look import check_style, paper_style, report_style
from lipschitz.report.plots.panels import DoesNotFitError
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.write import report

PLAN = Plan(("eight_gaussians",), ("none", "gradient_penalty", "spectral_normalization"), seeds=(0, 1), evaluations=2)
MANY = (
    *("none", "weight_clipping", "gradient_penalty", "zero_gp", "spectral_regularization", "spectral_normalization"),
    *("bjorck", "orthogonal", "aol", "aoc", "cpl", "sll", "soc", "cayley", "lot", "sandwich"),
    "spectral_normalization+gradient_penalty(weight=1.0)",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = write_sweep(tmp_path_factory.mktemp("paper"), PLAN)
    assert report(found, limit_panels=3, for_paper=True, metrics=["w1", "modes"])
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SweepData:
    plan = Plan(("digits",), MANY, seeds=(0, 1), evaluations=2)
    return SweepData(Summary(load(write_sweep(tmp_path_factory.mktemp("many"), plan))))


def test_figures_have_the_width_of_one_and_two_columns_and_type_42_fonts(folder: Path) -> None:
    for end, inches in WIDTHS.items():
        files = list((folder / "paper").glob(f"*_{end}.pdf"))
        assert {file.name for file in files} >= {f"final_quality_eight_gaussians_{end}.pdf"}
        for file in files:
            content = file.read_bytes()
            (box,) = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ", content)
            assert float(box) == pytest.approx(72 * inches)
            assert b"/FontFile2" in content
            assert b"/Type3" not in content
            assert b"CreationDate" not in content


def test_captions_stand_in_latex_and_not_in_the_figures(folder: Path) -> None:
    text = (folder / "paper" / "figures.tex").read_text()
    assert text.count(r"\begin{figure}") == text.count(r"\caption{") == text.count(r"\end{figure}") > 1
    assert r"\includegraphics{{final_quality_eight_gaussians_column}.pdf}" in text
    assert r"\caption{Final quality $\cdot$ eight\_gaussians. After the last step, geometric mean over 2 seeds" in text
    assert r"10$^{6}$ times" in text
    assert text.isascii()
    assert r"\begin{table}" in (folder / "paper" / "table.tex").read_text()


@pytest.mark.parametrize("width", [None, *WIDTHS.values()])
def test_no_text_of_many_methods_is_cut_and_in_a_paper_all_has_eight_points(
    data: SweepData, width: float | None
) -> None:
    drawn = set()
    with report_style() if width is None else paper_style(width):
        for plot in registered_plots([]):
            for subject in plot.scope(data) if plot.name not in ("samples", "surface") else ():
                try:
                    figure = plot(subject.data)
                except DoesNotFitError:
                    continue
                if figure is None:
                    continue
                drawn.add(plot.name)
                FigureCanvasAgg(figure).draw()
                texts = visible(figure)
                if width is not None:
                    assert figure.get_figwidth() == width
                    assert not figure.texts
                    assert {text.get_fontsize() for text in texts} == {8.0}, plot.name
                for text in texts:
                    box, page = text.get_window_extent(), figure.bbox
                    inside = box.x0 > -1 and box.x1 < page.width + 1 and box.y0 > -1 and box.y1 < page.height + 1
                    assert inside, (plot.name, text.get_text())
    assert drawn >= {"final_quality", "brackets", "sigma", "step_time"}
    assert ("quality_by_step" in drawn) is (width != WIDTHS["column"])


def visible(figure: Figure) -> list[Text]:
    """Return the texts of a figure without the labels of ticks beyond an axis."""
    beyond = {
        tick.label1
        for panel in figure.axes
        for axis, limits in ((panel.xaxis, sorted(panel.get_xlim())), (panel.yaxis, sorted(panel.get_ylim())))
        for tick in axis.get_major_ticks()
        if not limits[0] <= tick.get_loc() <= limits[1]
    }
    return [
        text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible() and text not in beyond
    ]


def test_another_process_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = write_sweep(tmp_path, PLAN)
    code = """
from pathlib import Path
from lipschitz.report.paper import write_paper
from lipschitz.report.plots.data import SweepData
from lipschitz.report.plots.final_quality import final_quality
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
write_paper(Path.cwd(), SweepData(Summary(load(Path.cwd()))), [final_quality], None, None)
"""
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=again, env=environment)
    written = list((again / "paper").glob("*.pdf"))
    assert len(written) == len(WIDTHS)
    for file in written:
        assert file.read_bytes() == (folder / "paper" / file.name).read_bytes(), file.name


def test_the_readers_style_is_applied_but_neither_width_nor_font_type_changes(tmp_path: Path, data: SweepData) -> None:
    own = tmp_path / "mine.mplstyle"
    own.write_text("font.size: 6\naxes.edgecolor: red\npdf.fonttype: 3\nsavefig.bbox: tight\nbackend: TkAgg\n")
    before = mpl.rcParams["backend"]
    (subject,) = data.comparisons
    plots = {plot.name: plot for plot in registered_plots([])}
    with paper_style(6.75, str(own)):
        assert (mpl.rcParams["pdf.fonttype"], mpl.rcParams["savefig.bbox"]) == (42, None)
        figure = plots["sigma"](subject)
        assert figure is not None
        assert {text.get_fontsize() for text in figure.findobj(Text) if text.get_text()} == {6.0}
        assert figure.get_figwidth() == 6.75
        assert mpl.rcParams["axes.edgecolor"] == "red"
    assert mpl.rcParams["backend"] == before
    assert check_style("ggplot")["axes.facecolor"] == "#E5E5E5"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--paper", "--style", "ggplo"],
            "--style ggplo: not a file, nor a style of matplotlib; did you mean 'ggplot'?",
        ),
        (["--paper", "--style", "bad.mplstyle"], "bad.mplstyle: has no parameter of matplotlib"),
        (["--metrics", "w1"], "--metrics w1: is for --paper; expected both"),
        (["--paper", "--metrics", "w2"], "--metrics: 'w2' was not recorded here"),
        (["--paper", "--metrics", " ,"], "--metrics: no metric is named"),
        (["--style", "ggplot"], "--style ggplot: is for --paper; expected both"),
    ],
)
def test_a_wrong_style_is_one_line_and_writes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path / "sweep", Plan(("digits",), ("none",), seeds=(0,), evaluations=1, pictures=False))
    Path("bad.mplstyle").write_text("no such parameter\n")
    monkeypatch.setattr("sys.argv", ["lipschitz", "report", "sweep", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == WRONG_INPUT
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "sweep" / "paper").exists()
    assert not (tmp_path / "sweep" / "index.html").exists()
