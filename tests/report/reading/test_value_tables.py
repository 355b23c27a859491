"""Tables of measured values are read back exactly, and those of earlier versions are read, too."""

import math
from pathlib import Path

import pandas as pd
import pytest

from lipschitz.report.reading.value_tables import read_values, write_values

RUNS = pd.DataFrame({"dataset": ["a, b", "NA"], "seed": [0, 1]}, index=pd.Index(["r0", "r1"], name="run"))
VALUES = [
    ("r0", 0, 0.0, "w1", 0.1),
    ("r0", 0, 0.0, "modes", math.nan),
    ("r0", 5, 1.25, "w1", math.inf),
    ("r0", 5, 1.25, "seed", 1e-300),
    ("r1", 5, 1.25, "w1", -0.0),
    ("r1", 5, 1.25, "value", 1 / 3),
    ("r1", 5, 1.25, "w1", 2.0),
    ("r1", 5, 1.5, "w1", 3.0),
]
"""With metrics named as columns are, a metric that was measured twice, and two times of one step."""
COLUMNS = ["run", "step", "seconds", "metric", "value"]


def test_values_are_read_back_exactly(tmp_path: Path) -> None:
    values = pd.DataFrame(VALUES, columns=COLUMNS)
    write_values(tmp_path / "records.csv", values, RUNS)
    found = read_values(tmp_path / "records.csv", "seconds")
    assert list(found.columns) == ["run", "dataset", "seed", *COLUMNS[1:]]
    pd.testing.assert_frame_equal(found[COLUMNS], values, check_dtype=False, check_exact=True)
    assert math.copysign(1, found["value"][4]) == -1
    assert list(found["dataset"].unique()) == ["a, b", "NA"]
    assert (tmp_path / "records.csv").read_text().splitlines() == [
        "run,dataset,seed,step,seconds,w1,modes,seed,value",
        'r0,"a, b",0,0,0.0,0.1,nan,,',
        'r0,"a, b",0,5,1.25,inf,,1e-300,',
        "r1,NA,1,5,1.25,-0.0,,,0.3333333333333333",
        "r1,NA,1,5,1.25,2.0,,,",
        "r1,NA,1,5,1.5,3.0,,,",
    ]


def test_rows_beyond_those_that_are_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipschitz.report.reading.value_tables._ROWS_AT_ONCE", 2)
    values = pd.DataFrame(VALUES, columns=COLUMNS)
    write_values(tmp_path / "records.csv", values, RUNS)
    pd.testing.assert_frame_equal(
        read_values(tmp_path / "records.csv", "seconds")[COLUMNS], values, check_dtype=False, check_exact=True
    )


def test_an_empty_table_is_read(tmp_path: Path) -> None:
    write_values(tmp_path / "records.csv", pd.DataFrame(VALUES[:0], columns=COLUMNS), RUNS)
    assert read_values(tmp_path / "records.csv", "seconds").empty


def test_a_row_for_each_value_is_read(tmp_path: Path) -> None:
    path = tmp_path / "records.csv"
    path.write_text("run,seed,step,seconds,metric,value,picked\nr,0,1,0.5,w1,,A\nr,0,1,0.5,w1,inf,A\n")
    found = read_values(path, "seconds")
    assert list(found.columns) == ["run", "seed", "step", "seconds", "metric", "value"]
    assert list(found["metric"]) == ["w1", "w1"]
    assert math.isnan(found["value"][0])
    assert found["value"][1] == math.inf


@pytest.mark.parametrize("text", ["", "run,step,w1\n", "run,step,seconds,w1\nr,0,1.0\n", "run,step,seconds\nr,x,0\n"])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "records.csv").write_text(text)
    with pytest.raises(ValueError):  # noqa: PT011  # csv, int and float have messages of their own
        read_values(tmp_path / "records.csv", "seconds")
