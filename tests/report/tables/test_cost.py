"""Tables of cost on a GPU: captured and uncaptured times, and the throughput of several runs at once."""

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from synthetic import METHODS, Plan, dump, write_sweep
from synthetic_transport import PENALTY, Pairs, write_pairs

from lipschitz.report.reading.results import load
from lipschitz.report.statistics.summary import Summary
from lipschitz.report.tables.build import build
from lipschitz.report.tables.markdown_and_latex import latex, markdown
from lipschitz.report.tables.table import Table
from lipschitz.report.write import report

STREAMED = "its images are streamed from the host"
STEP = "Discriminator step: "


def folder_of(path: Path, uncaptured: Iterable[str] = (), **changes: object) -> Path:
    small = {"datasets": ("digits",), "constraints": ("none", "gradient_penalty"), "evaluations": 1, "pictures": False}
    return write_sweep(path, Plan(**small | changes, cuda=True, uncaptured=dict.fromkeys(uncaptured, STREAMED)))  # type: ignore[arg-type]


def tables_of(folder: Path) -> dict[str, Table]:
    sweep = load(folder)
    return {table.title.partition(":")[0]: table for table in build(Summary(sweep))}


def cells(table: Table) -> dict[str, list[str]]:
    """The texts below each head, without those of the network."""
    of_network = {"Constraint", "n", "Diverged"}
    return {
        column.name: [row[place].text for row in table.rows]
        for place, column in enumerate(table.columns)
        if column.name not in of_network and not column.over.startswith(("Fréchet", "Largest", "Lip"))
    }


def test_captured_uncaptured_and_throughput_each_have_a_column(tmp_path: Path) -> None:
    tables = tables_of(folder_of(tmp_path))
    step = {
        STEP + "ms": ["0.800 [0.776, 0.832]", "1.520 [1.474, 1.581]"],
        STEP + "ms, uncaptured": ["4.00 [3.88, 4.16]", "7.20 [6.98, 7.49]"],
        STEP + "× none": ["1.00", "1.90 [1.90, 1.90]"],
    }
    assert cells(tables["Constraint and cost"]) == {
        **step,
        "Iteration: ms": ["4.20 [4.07, 4.37]", "7.98 [7.74, 8.30]"],
        "Iteration: ms, uncaptured": ["23", "39"],
        "Runs at once: number": ["4", "4"],
        "Runs at once: iterations/s of all": ["476", "251"],
        "Peak memory: MiB": ["90", "90"],
    }
    assert cells(tables["Overview"]) == step


def test_notes_say_that_throughput_is_not_the_cost_of_a_method(tmp_path: Path) -> None:
    tables = tables_of(folder_of(tmp_path))
    assert [note.partition(":")[0] for note in tables["Constraint and cost"].notes] == [
        "ms",
        "Iteration",
        "Runs at once",
    ]
    assert tables["Constraint and cost"].notes[-1].endswith("not the cost of a method.")
    assert [note.partition(":")[0] for note in tables["Overview"].notes] == ["ms"]
    assert not [note for note in tables["Quality"].notes if note.startswith(("ms", "Iteration", "Runs"))]


def test_an_uncaptured_method_has_a_reason_and_no_ratio(tmp_path: Path) -> None:
    tables = tables_of(folder_of(tmp_path, uncaptured=["gradient_penalty"]))
    found = cells(tables["Constraint and cost"])
    assert found[STEP + "ms"] == ["0.800 [0.776, 0.832]", "–"]
    assert found[STEP + "ms, uncaptured"] == ["4.00 [3.88, 4.16]", "7.20 [6.98, 7.49]"]
    assert found[STEP + "× none"] == ["1.00", "–"]
    assert found["Iteration: ms"] == ["4.20 [4.07, 4.37]", "–"]
    assert found["Iteration: ms, uncaptured"] == ["23", "39"]
    assert found["Runs at once: number"] == ["4", "–"]
    why = f"Not captured, trained by launching kernel by kernel: gradient_penalty ({STREAMED})."
    assert why in tables["Constraint and cost"].notes
    assert why in tables["Overview"].notes


def test_without_captured_steps_ratios_are_of_uncaptured_steps(tmp_path: Path) -> None:
    tables = tables_of(folder_of(tmp_path, uncaptured=METHODS))
    assert cells(tables["Constraint and cost"]) == {
        STEP + "ms, uncaptured": ["4.00 [3.88, 4.16]", "7.20 [6.98, 7.49]"],
        STEP + "× none": ["1.00", "1.80 [1.80, 1.80]"],
        "Iteration: ms, uncaptured": ["23", "39"],
        "Peak memory: MiB": ["90", "90"],
    }
    assert tables["Overview"].notes == [f"Not captured, trained by launching kernel by kernel: all ({STREAMED})."]


def test_methods_with_the_same_reason_are_noted_together(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, constraints=METHODS, uncaptured=METHODS[1:3])
    path = folder / "timing" / "digits-hinge-C-spectral_normalization.json"
    dump(
        path,
        json.loads((folder / "timing" / f"digits-hinge-C-{METHODS[1]}.json").read_text()) | {"uncaptured": "It waits."},
    )
    said = (
        "weight_clipping, gradient_penalty (its images are streamed from the host); spectral_normalization (It waits)."
    )
    assert tables_of(folder)["Overview"].notes[-1].endswith(f": {said}")


def test_a_gpu_and_a_cpu_in_one_table_are_not_compared(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    path = folder / "timing" / "digits-hinge-C-none.json"
    on_cpu = {"median": 50.0, "low": 50.0, "high": 50.0, "n": 45}
    dump(path, {"ms_discriminator_step": on_cpu, "ms_generator_step": on_cpu, "n_dis": 5, "device": "cpu: synthetic"})
    found = cells(tables_of(folder)["Constraint and cost"])
    assert found[STEP + "ms"] == ["50 ± 0", "1.520 [1.474, 1.581]"]
    assert found[STEP + "ms, uncaptured"] == ["–", "7.20 [6.98, 7.49]"]
    assert STEP + "× none" in found
    assert found[STEP + "× none"] == ["1.00", "–"]


def test_the_table_of_a_critic_has_no_iteration(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path, Pairs(methods=(PENALTY,), dims=(2,), widths=(4,), seeds=(0,), pictures=False))
    for path in (folder / "timing").glob("*.json"):
        timing = json.loads(path.read_text()) | {"device": "cuda: synthetic"}
        slow = {"median": 9.0, "low": 8.0, "high": 10.0, "n": 45}
        packs = [{"runs": 1, "iterations_per_second": 300.0, "memory": 10.0}]
        captured = {"ms_iteration": timing["ms_discriminator_step"], "packs": packs, "pack": 1}
        dump(path, timing | captured | {"launched": {"ms_discriminator_step": slow}})
    found = cells(tables_of(folder)["Constraint and cost"])
    kept = {head: texts for head, texts in found.items() if not head.startswith("Peak")}
    assert kept == {
        "Critic step: ms": ["3.00 [2.90, 3.10]"],
        "Critic step: ms, uncaptured": ["9.0 [8.0, 10]"],
        "Runs at once: number": ["1"],
        "Runs at once: iterations/s of all": ["300"],
    }


@pytest.mark.parametrize("uncaptured", [(), ("none",)])
def test_tables_of_a_gpu_in_markdown_and_latex(tmp_path: Path, uncaptured: tuple[str, ...]) -> None:
    tables = list(tables_of(folder_of(tmp_path, uncaptured)).values())
    assert "| Discriminator step: ms, uncaptured |" in markdown(tables, "gpu")
    assert r"\multicolumn{2}{c}{Runs at once}" in latex(tables)


def test_the_page_shows_the_notes_of_a_table_below_it(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, uncaptured=["gradient_penalty"], ends={("digits", "none", 0): "failed"})
    report(folder, limit_panels=0)
    page = (folder / "index.html").read_text()
    heads = ("Overview", "Quality", "Constraint and cost", "Steps and seconds")
    overview, quality, cost = (page[start:end] for start, end in pairwise(page.index(f">{head}") for head in heads))
    assert STREAMED in overview
    assert STREAMED in cost
    assert "Runs at once: how many" in cost
    assert "Runs at once: how many" not in overview
    assert 'class="note"' not in quality
    assert page.count("because they did not end: 1 failed") == 1
