"""Plots are found in the package's modules, in entry points and in files of the user, and nothing else lists them."""

import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace

import pytest
from synthetic import Plan, write_sweep

from lipschitz.cli import main
from lipschitz.exit_codes import WRONG_INPUT
from lipschitz.report.plots.base import GROUP, Plot, each_comparison, registered_plots
from lipschitz.report.plots.data import SweepData
from lipschitz.report.plots.gallery import gallery
from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary

PLAN = Plan(("eight_gaussians", "digits"), ("none",), seeds=(0,), evaluations=1, pictures=False)
PLOTS = '''\
    """Plots of another package: one of each comparison, and one of each run of the whole sweep."""

    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from lipschitz.report.plots.base import Subject, plot
    from lipschitz.report.plots.curves import quality_by_step
    from lipschitz.report.plots.data import ComparisonData, SweepData


    @plot("Number of runs", order=15)
    def runs(data: ComparisonData) -> Figure | None:
        """Return the number of runs of digits."""
        if data.comparison.dataset != "digits":
            return None
        figure = Figure()
        figure.add_subplot().set_title(f"{len(data.runs)} runs")
        return figure


    def each_run(sweep: SweepData) -> Iterator[Subject[str]]:
        for run in sweep.summary.results.runs.index:
            yield Subject(run, run, f"run {run}")


    @plot("Name of a run", order=5, scope=each_run)
    def name(run: str) -> Figure | None:
        """Return the name of a run."""
        figure = Figure()
        figure.add_subplot().set_title(run)
        return figure
    '''


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages. Modules imported from it are removed after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def few_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the plots of one module of the package: for tests that look at those of others."""
    only = SimpleNamespace(iter_modules=lambda path: [pkgutil.ModuleInfo(None, "curves", ispkg=False)])
    monkeypatch.setattr("lipschitz.report.plots.base.pkgutil", only)


def install(site: Path, *points: str) -> None:
    (site / "plot_package.py").write_text(dedent(PLOTS))
    info = site / "plot_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plot-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *points, ""]))


@pytest.mark.usefixtures("few_plots")
def test_a_plot_of_an_entry_point_is_in_the_gallery(site: Path) -> None:
    install(site, "mine = plot_package")
    warnings: list[str] = []
    data = SweepData(Summary(load(write_sweep(site / "sweep", PLAN))))
    pictures = list(gallery(data, registered_plots(warnings), None, warnings))
    assert warnings == []
    names = [picture.name for picture in pictures]
    assert names[:2] == ["name_eight_gaussians-hinge-C-none-0", "name_digits-hinge-C-none-0"]
    assert "runs_eight_gaussians" not in names
    assert names.index("quality_by_step_digits") < names.index("runs_digits") < names.index("quality_by_seconds_digits")
    (found,) = [picture for picture in pictures if picture.name == "runs_digits"]
    assert (found.caption, found.comparison is not None, found.panels) == ("Number of runs", True, 1)
    assert "1 runs" in found.files["svg"].decode()
    assert (pictures[0].title, pictures[0].comparison) == ("run eight_gaussians-hinge-C-none-0", None)


def test_unusable_entry_points_are_named_and_the_others_are_used(site: Path) -> None:
    install(site, "a = nowhere:plot", "b = plot_package:each_run", "c = plot_package:runs", "d = other:plots")
    (site / "other.py").write_text(
        'from lipschitz.report.plots.base import plot\n\n\ndef runs(data): ...\n\n\nplots = plot("Other", order=1)(runs)\n'
    )
    own = {one.name for one in registered_plots([])} - {"runs"}
    warnings: list[str] = []
    found = {one.name: one for one in registered_plots(warnings)}
    assert set(found) == own | {"runs"}
    assert found["runs"].caption == "Number of runs"
    assert warnings == [
        "entry point a = nowhere:plot (lipschitz.plots) is not used: ModuleNotFoundError: No module named 'nowhere'",
        "entry point b = plot_package:each_run (lipschitz.plots) is not used: "
        "TypeError: expected a plot or a module of plots, got function",
        "entry point d = other:plots (lipschitz.plots) is not used: ValueError: there are two plots named runs",
    ]


def run_report(monkeypatch: pytest.MonkeyPatch, folder: Path, *files: object) -> None:
    options = [text for file in files for text in ("--plot", str(file))]
    monkeypatch.setattr("sys.argv", ["lipschitz", "report", str(folder), *options])
    main()


@pytest.mark.usefixtures("few_plots")
@pytest.mark.parametrize("suffixes", [("",), (":runs", ":name"), (":name",)])
def test_plots_in_a_file_of_the_user_are_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffixes: tuple[str, ...]
) -> None:
    folder, file = write_sweep(tmp_path / "sweep", PLAN), tmp_path / "mine.py"
    file.write_text(dedent(PLOTS))
    with pytest.raises(SystemExit) as ended:
        run_report(monkeypatch, folder, *(f"{file}{suffix}" for suffix in suffixes))
    assert ended.value.code == 0
    drawn = {path.stem for path in (folder / "plots").glob("*.svg")}
    assert {"name_digits-hinge-C-none-0", "quality_by_step_digits"} <= drawn
    assert ("runs_digits" in drawn) is (suffixes != (":name",))
    assert ("Number of runs" in (folder / "index.html").read_text()) is ("runs_digits" in drawn)


@pytest.mark.parametrize(
    ("content", "suffix", "said"),
    [
        (PLOTS, ":run", "mine.py: 'run' is not a plot of this file; did you mean 'runs'?"),
        (PLOTS, ":each_run", "mine.py: 'each_run' is not a plot of this file"),
        (PLOTS, ":", "mine.py:: expected path/to/file.py, or path/to/file.py:NAME"),
        (PLOTS.replace("def runs", "def samples"), "", "mine.py: there are two plots named samples; give the function"),
        ("x = 1", "", "mine.py: has no plot; expected a function under @plot"),
        ("x = 1\ny = 1 / 0", "", "mine.py:2: cannot be executed: ZeroDivisionError"),
        (None, "", "mine.py: cannot be read: No such file"),
    ],
)
def test_a_file_of_plots_that_cannot_be_used_is_one_line_and_writes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    suffix: str,
    said: str,
) -> None:
    folder, file = write_sweep(tmp_path / "sweep", PLAN), tmp_path / "mine.py"
    if content is not None:
        file.write_text(dedent(content))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as ended:
        run_report(monkeypatch, folder, f"{file}{suffix}")
    assert ended.value.code == WRONG_INPUT
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("few_plots")
@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        ("return 1 / 0", 6, "ZeroDivisionError: division by zero"),
        ("raise SystemExit('no\\nmore')", 6, "SystemExit: no more"),
        ("return 'a figure'", 4, "TypeError: expected a matplotlib Figure or None, got str"),
    ],
)
def test_a_plot_of_the_user_that_fails_is_one_warning_and_the_others_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], body: str, line: int, said: str
) -> None:
    folder, file = write_sweep(tmp_path / "sweep", PLAN), tmp_path / "mine.py"
    file.write_text(
        "from lipschitz.report.plots.base import plot\n\n\n"
        f"@plot('Wrong', order=1, headline=True)\ndef wrong(data):\n    {body}\n"
    )
    with pytest.raises(SystemExit) as ended:
        run_report(monkeypatch, folder, file)
    assert ended.value.code == 0
    warned = [text for text in "".join(capsys.readouterr()).splitlines() if "mine.py" in text]
    assert len(warned) == 1
    assert f"{file}:{line}: plot wrong failed for " in warned[0]
    assert warned[0].endswith(f" and is dropped: {said}")
    assert "quality_by_step_digits" in (folder / "index.html").read_text()


def test_a_plot_of_the_package_that_fails_raises(tmp_path: Path) -> None:
    def fail(data: object) -> None:
        raise ValueError("a bug")

    fail.__module__ = "lipschitz.report.plots.curves"
    data = SweepData(Summary(load(write_sweep(tmp_path / "sweep", PLAN))))
    with pytest.raises(ValueError, match="a bug"):
        list(gallery(data, [Plot("fail", "Fails", 1, False, each_comparison, fail)], None, []))


def test_a_module_of_an_entry_point_is_used_in_whole_or_not_at_all(site: Path) -> None:
    install(site, "mine = plot_package")
    with (site / "plot_package.py").open("a") as file:
        file.write("\n\n@plot('Mine', order=1)\ndef samples(data):\n    return None\n")
    warnings: list[str] = []
    assert not {"runs", "name"} & {one.name for one in registered_plots(warnings)}
    assert warnings == [
        "entry point mine = plot_package (lipschitz.plots) is not used: ValueError: there are two plots named samples"
    ]


def test_the_plots_of_the_package_come_in_a_fixed_order() -> None:
    warnings: list[str] = []
    plots = registered_plots(warnings)
    assert warnings == []
    assert [one.name for one in plots if one.scope is each_comparison] == [
        "quality_by_step",
        "quality_by_seconds",
        "quality_by_cost",
        "robust_accuracy",
        "accuracy_by_lipschitz",
        "gap_by_weight",
        "sigma",
        "sigma_by_step",
        "brackets",
        "lipschitz",
        "gradients",
        "samples",
        "effective_rank",
        "spectra",
        "spectra_normalised",
        "step_time",
        "surface",
    ]
    assert [one.name for one in plots if one.scope is not each_comparison] == [
        "final_quality",
        "average_rank",
        "by_setting",
        "cosine_by_dimension",
        "cosine_as_published",
        "w1_by_dimension",
        "potentials",
    ]
    assert [one.name for one in plots if one.headline] == ["brackets"]
