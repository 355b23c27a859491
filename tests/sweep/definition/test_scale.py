"""A plan describes each configuration once, whatever its number of seeds. Only the id is computed for every run."""

from collections import Counter
from pathlib import Path

import pytest
from sweeps import SMALL, write

from lipschitz.config import Config
from lipschitz.extensions.entry import check_unique
from lipschitz.sweep.definition import run as runs
from lipschitz.sweep.definition.sweep_file import load_sweep


def test_a_run_is_described_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, SMALL.replace("[0, 1]", str(list(range(50)))))
    load_sweep(path)
    calls: Counter[str] = Counter()
    digest, changed = runs._digest, Config.changed
    monkeypatch.setattr(runs, "_digest", lambda value: (calls.update(["digest"]), digest(value))[1])
    monkeypatch.setattr(Config, "changed", lambda self: (calls.update(["changed"]), changed(self))[1])
    sweep = load_sweep(path)
    for _ in range(3):
        assert len({run.id for run in sweep.runs}) == 100
        assert len({run.configuration for run in sweep.runs}) == 2
    assert calls["digest"] == 100 + 2
    described = calls["changed"]
    path = write(tmp_path, SMALL.replace("[0, 1]", str(list(range(100)))))
    calls.clear()
    assert len({run.id for run in load_sweep(path).runs}) == 200
    assert calls["changed"] == described


def test_a_run_with_another_seed_is_the_run_of_that_seed(tmp_path: Path) -> None:
    first, second, *_ = load_sweep(write(tmp_path)).runs
    assert first.with_seed(1) == second
    assert (first.with_seed(1).id, first.with_seed(1).definition(5)) == (second.id, second.definition(5))
    assert first.id != second.id


def test_values_are_not_compared_pair_by_pair() -> None:
    compared = 0

    class Value(int):
        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return int(self) == other

        __hash__ = int.__hash__

    check_unique(tuple(map(Value, range(1000))))
    assert compared == 0
