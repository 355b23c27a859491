"""Names that come from files: markup and control characters in them reach no output as such."""

import json
import re
import warnings
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from command_line import Done, lipschitz
from rich.markup import escape
from synthetic import Plan, write_sweep

from lipschitz.errors import printable
from lipschitz.terminal import Terminal

NAME = 'a\x1b[31m[red]\r\n| & <b> $x$ \\ {\x00\u202e\ud800\uffff %_"'
SHOWN = r'a\x1b[31m[red] | & <b> $x$ \ {\x00\u202e\ud800\uffff %_"'


def test_the_printable_form_of_a_name() -> None:
    assert printable(NAME) == SHOWN
    assert printable("σ × ℓ ± 3") == "σ × ℓ ± 3"


def test_the_terminal_shows_brackets_and_escapes() -> None:
    console = Terminal(width=200)
    console.file = StringIO()
    console.print(NAME, style="red")
    console.print(escape("[red]"))
    text = console.file.getvalue()
    assert SHOWN.replace(" | ", "\n| ") in text
    assert "\\[red]" in text, "no markup, so what escapes markup is shown, too"


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """A report whose names are all hostile, of one conditional run a method, and what the command printed."""
    constraints = ("none", "gradient_penalty")
    folder = tmp_path_factory.mktemp("hostile") / "results"
    write_sweep(folder, Plan(datasets=["digits"], constraints=constraints, seeds=[0], evaluations=1))
    replaced = {
        "digits": NAME,
        "none": f"none({NAME})",
        "linear": NAME,
        "synthetic": NAME,
        "w1_classifier": f"w1/{NAME}",
    }
    for path in (*folder.glob("runs/*/r*.json*"), folder / "provenance.json", *folder.glob("timing/*")):
        text = path.read_text(encoding="utf-8")
        for name, hostile in replaced.items():
            escaped = json.dumps(hostile)[1:-1].replace("\\", "\\\\")
            text = re.sub(rf'("|/){name}("|,)', rf"\g<1>{escaped}\g<2>", text)
        path.write_text(text, encoding="utf-8")
    definition = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    group = {"dataset": NAME, "constraint": NAME}
    chosen = {"group": group, "setting": NAME, "metric": NAME, "at": "last", "value": 1.0, "seeds": [1], "runs": []}
    sweep = {**definition, "name": NAME, "chosen": [chosen]}
    (folder / "sweep.json").write_text(json.dumps(sweep), encoding="utf-8")
    for path in folder.glob("runs/*/samples.npz"):
        arrays = dict(np.load(path))
        layer = {"spectrum/" + NAME.replace("\ud800", "").replace("\x00", ""): arrays["spectrum/linear"]}
        classes = {"labels": np.arange(64) // 8, "class_names": np.array([NAME.replace("\ud800", "")] * 8)}
        np.savez(path, **arrays, **classes, **layer)  # type: ignore[arg-type]
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("error")
        patch.setattr("lipschitz.commands.report.PANELS", 24)
        return folder, lipschitz("report", folder, cwd=folder)


def test_nothing_raw_reaches_the_terminal(reported: tuple[Path, Done]) -> None:
    _, done = reported
    # Where a report takes longer, lines of its progress stand on the error output.
    assert done.returncode == 0
    assert all(line.startswith("report: ") for line in done.stderr.splitlines())
    assert not re.search(r"[^\n\x20-\x7e\xa1-\u1fff\u2030-\u2fff]", done.stderr)
    assert "\\x1b[31m[red]" in done.stdout
    assert not re.search(r"[^\n\x20-\x7e\xa1-\u1fff\u2030-\u2fff]", done.stdout)


def test_no_text_file_has_control_characters(reported: tuple[Path, Done]) -> None:
    folder, _ = reported
    for path in (folder / name for name in ("table.md", "table.tex", "references.bib", "index.html", "summary.csv")):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800\uffff]", path.read_text(encoding="utf-8")), path


def test_every_figure_is_valid_xml(reported: tuple[Path, Done]) -> None:
    folder, _ = reported
    figures = list(folder.glob("plots/*.svg"))
    assert any("samples" in path.name for path in figures)
    assert all(ElementTree.parse(path).getroot().tag.endswith("svg") for path in figures)
    assert any("\\x1b[31m[red]" in path.read_text(encoding="utf-8") for path in figures)


def test_markdown_html_and_latex_keep_their_structure(reported: tuple[Path, Done]) -> None:
    folder, _ = reported
    markdown, page, tex = (
        (folder / name).read_text(encoding="utf-8") for name in ("table.md", "index.html", "table.tex")
    )
    for table in re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1
    assert r"\&" in markdown
    assert "<b> $x$" not in page
    assert "&lt;b&gt; $x$" in page
    unescaped = re.sub(r"\\[\\{}$&%#_]", "", tex)
    assert unescaped.count("{") == unescaped.count("}")
    assert "$x$" not in tex
