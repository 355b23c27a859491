"""A metric of one's own, from its file or from an installed package to the report, with nothing else edited."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from textwrap import dedent

import pytest
from sweeps import write
from typer.testing import CliRunner

from lipschitz.cli import app
from lipschitz.errors import InputError
from lipschitz.metrics.catalogue import CATALOGUE
from lipschitz.report.write import report
from lipschitz.sweep.definition.sweep_file import load_sweep
from lipschitz.sweep.store import SweepFolder

METRICS = """\
    import numpy as np

    from lipschitz.metrics.base import Metric


    class Spread(Metric):
        \"\"\"Standard deviation of generated points, over that of real ones.\"\"\"

        judges = "points"
        title = "Spread of points"
        better = "higher"
        unit = "σ"
        source = "Doe 2031, arXiv:3101.00001"

        power: float = 1.0

        def measure(self, samples):
            return (samples.generated.std() / samples.real.std()) ** self.power


    class Brightness(Metric):
        \"\"\"Mean of the generated pixels.\"\"\"

        judges = "images"
        title = "Brightness"

        def measure(self, samples):
            return samples.generated.mean()


    class Confidence(Metric):
        \"\"\"Share of generated images in the most frequent class.\"\"\"

        judges = "classifier"
        title = "Most frequent class"
        better = "lower"

        def measure(self, samples):
            return np.bincount(samples.predicted).max() / len(samples.predicted)


    class Norm(Metric):
        \"\"\"Mean norm of Inception features.\"\"\"

        judges = "inception"
        title = "Norm"

        def measure(self, samples):
            return np.linalg.norm(samples.generated, axis=1).mean()


    class loss(Metric):
        \"\"\"Has the name of a recorded value.\"\"\"

        judges = "points"
        title = "Loss"

        def measure(self, samples):
            return 0.0


    class Untitled(Metric):
        \"\"\"Says nothing of itself.\"\"\"

        def measure(self, samples):
            return 0.0
"""
POINTS = """\
    name: mine
    task: generation
    datasets: [eight_gaussians]
    models: [{mlp: {width: 8, depth: 1}}]
    constraints: [none, weight_clipping]
    seeds: [0]
    training: {steps: 4, batch_size: 8}
    evaluation: {every: 2, samples: 32, gradient_samples: 8, metrics: ["mine.py:Spread", {"mine.py:Spread": {power: 2.0}}], select: Spread}
"""
ASKED = '["mine.py:Spread", {"mine.py:Spread": {power: 2.0}}], select: Spread'
IMAGES = """\
    name: mine
    task: generation
    datasets: [digits]
    models: [{dcgan: {width: 2}}]
    constraints: [none]
    seeds: [0]
    training: {steps: 2, batch_size: 8}
    evaluation: {every: 2, samples: 32, gradient_samples: 8, metrics: ["mine.py:Brightness", "mine.py:Confidence"]}
"""


def sweep_file(folder: Path, text: str = POINTS) -> Path:
    (folder / "mine.py").write_text(dedent(METRICS))
    return write(folder, text, "mine.yaml")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The results of a sweep with metrics of a file."""
    folder = tmp_path_factory.mktemp("mine")
    arguments = ["sweep", str(sweep_file(folder)), "--out", str(folder / "out"), "--workers", "1", "--no-report"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    yield folder / "out"
    # What a report declares stays for the process; other tests look at the package's own.
    CATALOGUE._declared.clear()


def test_it_is_recorded_with_its_floor_and_protocol(out: Path) -> None:
    result = json.loads(next(out.glob("runs/*none*/result.json")).read_text())
    last = result["last"]
    assert last["Spread(power=2.0)"] == pytest.approx(last["Spread"] ** 2)
    assert result["floor"]["Spread"] == pytest.approx(1, abs=0.5)
    facts = {"reference": "fresh draw of the distribution", "n_real": 32, "n_fake": 32}
    content = sha256(dedent(METRICS).encode()).hexdigest()
    data = result["protocols"]["Spread"].pop("data")
    assert data.startswith("SHA-256 ")
    assert result["protocols"]["Spread"] == facts | {"sha256": content}


def test_the_best_step_is_chosen_by_it(out: Path) -> None:
    for run in out.glob("runs/*"):
        lines = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
        spread = {line["step"]: line["value"] for line in lines if line["metric"] == "Spread"}
        assert json.loads((run / "result.json").read_text())["best"]["step"] == max(
            spread, key=lambda step: spread[step]
        )


def test_settings_are_chosen_by_it(tmp_path: Path) -> None:
    tuned = "    settings: [A, C]\n    parts:\n      - seeds: [10]\n      - select: {metric: Spread}\n"
    path, folder = sweep_file(tmp_path, POINTS + tuned), SweepFolder(tmp_path / "out")
    sweep = load_sweep(path, out=folder.path)
    for run in sweep.runs:
        where = folder.run(run.id)
        with where.writing():
            where.define(run.definition(4))
            last = {"Spread": {"A": 1.0, "C": 2.0}[run.setting.label()]}
            where.finish({"status": "finished", "last": last, "best": None}, {})
    folder.define(sweep.definition())
    # Higher is better.
    assert {run.setting.label() for run in load_sweep(path, out=folder.path).runs if run.seed == 0} == {"C"}


def test_the_run_describes_it(out: Path) -> None:
    definition = json.loads(next(out.glob("runs/*/run.json")).read_text())
    assert definition["metrics"]["Spread(power=2.0)"] == {
        "title": "Spread of points, power 2.0",
        "better": "higher",
        "unit": "σ",
        "source": "Doe 2031, arXiv:3101.00001",
        "summary": "Standard deviation of generated points, over that of real ones.",
    }
    assert definition["run"]["evaluation"]["metrics"] == ["Spread", "Spread(power=2.0)"]
    assert definition["outside"]["Spread"]["file"].endswith("mine.py")


def test_a_report_titles_and_cites_it_without_its_file(out: Path) -> None:
    (out.parent / "mine.py").rename(out.parent / "moved.py")
    report(out, limit_panels=0, reach=["Spread=0.001"])
    table = (out / "table.md").read_text()
    assert "Spread of points (σ) ↑" in table
    assert "Spread of points (σ) ≥ 0.001" in table
    assert "eprint = {3101.00001}" in (out / "references.bib").read_text()
    with (out / "summary.csv").open() as file:
        metrics = list(dict.fromkeys(row["metric"] for row in csv.DictReader(file)))
    # After the package's own metrics of quality.
    assert metrics[:5] == ["w1", "modes", "high_quality", "Spread", "Spread(power=2.0)"]


def test_an_edited_file_makes_other_runs_and_none_leaves_ids_alone(tmp_path: Path) -> None:
    path = sweep_file(tmp_path)
    before = [run.id for run in load_sweep(path).runs]
    (tmp_path / "mine.py").write_text(dedent(METRICS) + "# edited\n")
    assert not set(before) & {run.id for run in load_sweep(path).runs}
    absent = load_sweep(write(tmp_path, POINTS.replace(f", metrics: {ASKED}", ""), "absent.yaml")).runs
    empty = load_sweep(write(tmp_path, POINTS.replace(ASKED, "[]"), "empty.yaml")).runs
    assert [run.id for run in empty] == [run.id for run in absent]
    assert "metrics" not in absent[0].definition(4)


def test_images_are_judged_as_they_are_and_in_features(tmp_path: Path) -> None:
    path = sweep_file(tmp_path, IMAGES)
    done = CliRunner().invoke(
        app, ["sweep", str(path), "--out", str(tmp_path / "out"), "--workers", "1", "--no-report"]
    )
    assert done.exit_code == 0, done.output
    result = json.loads(next(tmp_path.glob("out/runs/*/result.json")).read_text())
    assert 0 <= result["last"]["Brightness"] <= 255
    assert 0.1 <= result["last"]["Confidence"] <= 1
    # What describes and does not judge has no floor.
    assert "Confidence" in result["floor"]
    assert "Brightness" not in result["floor"]
    assert "accuracy" in result["protocols"]["Confidence"]
    assert "features" not in result["protocols"]["Brightness"]


WRONG = {
    "of images": (POINTS, '["mine.py:Brightness"]', "evaluation.metrics[0]: Brightness does not apply to eight_gaussians; it judges images"),
    "of points": (IMAGES, '["mine.py:Spread"]', "evaluation.metrics[0]: Spread does not apply to digits; it judges points"),
    "of a protocol": (IMAGES, '["mine.py:Norm"]', "evaluation.metrics[0]: Norm does not apply to digits; it judges images by a protocol, such as {protocols: [sngan]}"),
    "the package's own": (POINTS, "[w1]", "evaluation.metrics[0]: w1 is measured wherever it applies; allowed: metrics of other packages, or path/to/file.py:ClassName"),
    "a recorded name": (POINTS, '["mine.py:loss"]', "evaluation.metrics[0]: 'loss' is the name of another recorded value; give the metric another name"),
    "twice": (POINTS, '["mine.py:Spread", "mine.py:Spread"]', "evaluation.metrics: Spread is listed twice"),
    "undeclared": (POINTS, '["mine.py:Untitled"]', "evaluation.metrics[0]: Untitled: expected judges to be one of points, "),
    "a wrong field": (POINTS, '[{"mine.py:Spread": {powre: 2}}]', "evaluation.metrics[0]: Spread.powre: unknown key 'powre'; did you mean 'power'?"),
    "to choose by another": (POINTS, '["mine.py:Spread"], select: Sprawl', "evaluation.select: unknown metric 'Sprawl'; did you mean 'Spread'?"),
    "to choose by what judges nothing": (IMAGES, '["mine.py:Brightness"], select: Brightness', "evaluation.select: runs on digits cannot be selected by Brightness; "),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_one_line_that_says_where(tmp_path: Path, case: str) -> None:
    text, metrics, said = WRONG[case]
    asked = ASKED if text is POINTS else '["mine.py:Brightness", "mine.py:Confidence"]'
    path = sweep_file(tmp_path, text.replace(asked, metrics))
    with pytest.raises(InputError) as error:
        load_sweep(path)
    assert str(error.value).startswith(f"{path}:8: {said}")
    assert "\n" not in str(error.value)


def test_the_task_transport_measures_none(tmp_path: Path) -> None:
    text = """\
        name: pairs
        task: transport
        datasets: [funnels]
        constraints: [none]
        settings: [C]
        training: {steps: 2}
        evaluation: {metrics: ["mine.py:Spread"]}
    """
    with pytest.raises(
        InputError, match=r"evaluation\.metrics\[0\]: task transport measures no further metrics; allowed: "
    ):
        load_sweep(sweep_file(tmp_path, text))


def test_an_installed_package_offers_it(tmp_path: Path) -> None:
    (tmp_path / "spreads.py").write_text(dedent(METRICS))
    info = tmp_path / "spreads-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: spreads\nVersion: 1.0\n")
    offered = "[lipschitz.metrics]\noffered = spreads:Spread\nbroken = nowhere:Spread\n"
    (info / "entry_points.txt").write_text(offered)
    path = write(tmp_path, POINTS.replace(ASKED, "[offered]"), "offered.yaml")
    code = f"""
from pathlib import Path
from lipschitz.commands.list import LISTINGS
from lipschitz.sweep.definition.sweep_file import load_sweep
rows = {{row[0]: row[1:] for row in LISTINGS["metrics"].rows()}}
print(rows["offered"])
print(rows["broken"][1])
print(load_sweep(Path({str(path)!r})).runs[0].evaluation.metrics[0].label())
"""
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listed, refused, label = done.stdout.splitlines()
    assert listed.startswith("('higher', 'Standard deviation of generated points, over that of real ones.', 'Doe 2031")
    assert "spreads 1.0" in listed
    assert refused.startswith("Refused: nowhere:Spread, offered by spreads 1.0, cannot be imported")
    assert label == "offered"
