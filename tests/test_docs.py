"""The documentation: links are valid, examples are valid, and every method and field is documented."""

import csv
import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from command_line import lipschitz
from ruamel.yaml import YAML

from lipschitz.constraints.base import CONSTRAINTS
from lipschitz.extensions.origin import origin_of
from lipschitz.sweep.definition.axes import Axes, json_schema
from lipschitz.sweep.definition.sweep_file import load_sweep

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "results/*/README.md")
    for path in ROOT.glob(pattern)
)
SWEEPS = [
    pytest.param(block, id=f"{document}:{number}")
    for document in DOCUMENTS
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL))
]
BASE: dict[str, Any] = {
    "name": "mine",
    "task": "generation",
    "datasets": ["cifar10"],
    "constraints": ["none"],
    "training": {"steps": 10},
    "evaluation": {"protocols": ["sngan"]},
    "select": {"metric": "fid/sngan"},
}


def generator(name: str) -> ModuleType:
    folder = str(ROOT / "docs" / "generate")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(folder)


repository, pages, examples = map(generator, ("repository", "pages", "examples"))
METHODS = {method.name: method for method in pages.from_package.methods()}


def parsed(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file_and_a_heading(document: str) -> None:
    text = (ROOT / document).read_text()
    for target in filter(repository.is_relative, repository.links(text)):
        path, anchor = repository.resolved(document, target)
        assert (ROOT / path).is_file(), target
        if anchor:
            assert anchor in repository.anchors((ROOT / path).read_text()), target
    for target in repository.links(text):
        if target.startswith("#"):
            assert target.removeprefix("#") in repository.anchors(text), target


@pytest.mark.parametrize("block", SWEEPS)
def test_every_sweep_file_in_the_documents_is_valid(block: str, tmp_path: Path) -> None:
    (tmp_path / "shown.yaml").write_text(block)
    sweep = load_sweep(tmp_path / "shown.yaml", out=tmp_path / "results")
    assert sweep.runs


@pytest.mark.parametrize("name", METHODS)
def test_the_sweep_on_a_method_s_page_runs_the_method_with_its_defaults(name: str, tmp_path: Path) -> None:
    text = pages.method_sweep(METHODS[name])
    (tmp_path / "method.yaml").write_text(text)
    constraints = {run.constraints for run in load_sweep(tmp_path / "method.yaml").runs}
    assert constraints == {(CONSTRAINTS["none"](),), (CONSTRAINTS[name](),)}
    assert all(f"{field}: " in text for field in CONSTRAINTS[name].model_fields)


def test_every_method_has_a_page() -> None:
    own = {name for name, kind in CONSTRAINTS.items() if origin_of(kind) is None}
    table, found = pages.methods_table(), dict(pages.method_pages(ROOT))
    assert found.keys() == own
    for name, page in found.items():
        assert all(f"| `{field}` |" in page for field in CONSTRAINTS[name].model_fields)
        assert f"(methods/{name}.md)" in table


def test_every_field_of_a_sweep_file_has_an_example() -> None:
    schema = json_schema()
    assert examples.TOP.keys() == schema["properties"].keys()
    for name, field in [("training", "Training"), ("evaluation", "Evaluation"), ("select", "Selection")]:
        assert examples.NESTED[name].keys() == schema["$defs"][field]["properties"].keys()
    reference = pages.sweep_reference()
    assert all(f"\n## {key}\n" in f"\n{reference}" for key in schema["properties"])


@pytest.mark.parametrize("key", examples.TOP)
def test_the_example_of_a_key_is_valid(key: str) -> None:
    values = parsed(examples.TOP[key])
    assert list(values) == [key]
    products = values["parts"] if key == "parts" else [values]
    assert all(Axes.model_validate(BASE | product) for product in products)


@pytest.mark.parametrize(
    ("key", "field"), [(key, field) for key, fields in examples.NESTED.items() for field in fields]
)
def test_the_example_of_a_field_is_valid(key: str, field: str) -> None:
    value = parsed(examples.NESTED[key][field])
    assert list(value) == [field]
    if key == "settings":
        # The fields of decay: step are refused without it.
        steps = {"decay": "step"} if field.startswith("decay_") else {}
        every = {"decay_every": 0.1} if field == "decay_factor" else {}
        Axes.model_validate(BASE | {"settings": [steps | every | value]})
    else:
        # Seconds and epochs replace steps, and a start needs an average that is longer.
        others = {"seconds": {}, "epochs": {}, "ema_start": {"steps": 2000, "ema": 0.999}}.get(field, BASE[key])
        Axes.model_validate(BASE | {key: others | value})


@pytest.mark.parametrize("axis", ["datasets", "models"])
def test_the_example_of_an_entry_is_valid(axis: str) -> None:
    entries = pages.record_entries(json_schema()["properties"][axis]["items"])
    assert entries
    for name, fields in entries.items():
        assert Axes.model_validate(BASE | {axis: [{name: fields}]})


def test_the_example_files_extend_every_axis(tmp_path: Path) -> None:
    folder = ROOT / "docs" / "examples"
    options = ["--limit-steps", "4", "--out", tmp_path / "out", "--workers", "1"]
    observer = f"{folder / 'print_values.py'}:PrintValues"
    done = lipschitz("sweep", folder / "extensions.yaml", *options, "--observer", observer, "--no-report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert lipschitz("report", tmp_path / "out", "--plot", folder / "run_plot.py", cwd=tmp_path).returncode == 0
    table = (tmp_path / "out" / "table.md").read_text()
    assert all(name in table for name in ("TwoMoons", "WeightDecay", "SmoothedLabels", "NAdam", "Distance of means"))
    assert (tmp_path / "out" / "plots" / "run_counts_TwoMoons.svg").exists()
    with (tmp_path / "out" / "records.csv").open() as file:
        assert "squared_weights" in next(csv.reader(file))


def test_links_outside_of_code_are_rewritten_for_the_site() -> None:
    text = "[a](../README.md#use) `[b](c.md)`\n```\n[d](e.md)\n```\n![f](../results/s/index.html) [g](https://h.org)"
    assert repository.links(text) == ["../README.md#use", "../results/s/index.html", "https://h.org"]
    moved = repository.rewritten(text, "docs/findings.md")
    assert repository.links(moved) == ["index.md#use", "results/s/report.html", "https://h.org"]
    assert moved.replace("index.md", "../README.md").replace("results/s/report", "../results/s/index") == text


def test_anchors_equal_those_of_github() -> None:
    text = "# The `file`: a, b\n## Estimating σ\n```\n# no heading\n```\n## Estimating σ\n"
    assert repository.anchors(text) == {"the-file-a-b", "estimating-σ", "estimating-σ-1"}


def test_linked_files_are_found_through_links(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("[a](docs/a.md) [missing](b.md)")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("![p](../p.html) `[no](../no.png)`")
    (tmp_path / "p.html").write_text('<img src="q.png"> <a href="#top">')
    (tmp_path / "q.png").write_bytes(b"")
    (tmp_path / "no.png").write_bytes(b"")
    assert repository.linked_files(tmp_path, ["README.md"]) == ["README.md", "docs/a.md", "p.html", "q.png"]


def test_dead_links_of_a_built_site_are_found(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "table.html").touch()
    page = tmp_path / "report" / "index.html"
    page.write_text(
        '<a href="../table.md#top">table</a> <a href="../none.py">none</a> <img src="a%20b.png"> <a href="#here">here</a> '
        '<a href="https://example.org/readme.md">elsewhere</a>'
    )
    repository.pages_instead_of_markdown(tmp_path)
    assert '"../table.html#top"' in page.read_text()
    assert '"https://example.org/readme.md"' in page.read_text()
    assert repository.dead_links(tmp_path) == ["report/index.html: ../none.py", "report/index.html: a%20b.png"]
    (tmp_path / "none.py").touch()
    (tmp_path / "report" / "a b.png").touch()
    assert repository.dead_links(tmp_path) == []
