"""The time limit of a measurement: what is finished is kept, what is not is named, and signals are as before."""

import signal
import sys
import threading
from contextlib import suppress

import pytest
import torch
from torch import nn

from lipschitz.estimation import measure as module
from lipschitz.estimation import measurement_parts
from lipschitz.estimation.lower_bound import search
from lipschitz.estimation.measure import measure
from lipschitz.estimation.measurement_parts import MeasurementParts


def endless() -> int:
    while True:
        # What a part does with errors of a network.
        with suppress(Exception):
            sum(range(100))


def test_a_part_is_interrupted_and_later_parts_have_what_is_left() -> None:
    before, told = signal.getsignal(signal.SIGALRM), []
    parts = MeasurementParts(told.append, 0.1)
    assert parts.run("a", 0.5, endless) is None
    assert parts.run("b", 0.5, lambda: 1) is None, "its share is over"
    assert parts.run("c", 1000, lambda: 1) == 1
    assert told == ["a", "b", "c"]
    assert parts.notes == [f"{name}: not measured (time limit of 0.1 s)" for name in "ab"]
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


class Finalized:
    def __del__(self) -> None:
        signal.pause()


def test_an_interrupt_that_python_drops_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    dropped = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: dropped.append(unraisable.exc_type.__name__))
    monkeypatch.setattr(measurement_parts, "REPEAT_SECONDS", 0.05)

    def part() -> int:
        Finalized()
        return endless()

    assert MeasurementParts(print, 0.05).run("a", 1, part) is None
    assert dropped == ["_TimeLimit"]


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_no_time_is_no_part(seconds: float) -> None:
    assert MeasurementParts(print, seconds).run("a", 1, endless) is None


def test_an_error_of_a_part_is_its_own() -> None:
    with pytest.raises(ZeroDivisionError):
        MeasurementParts(lambda name: None, 60).run("a", 1, lambda: 1 // 0)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_another_thread_is_not_interrupted() -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(MeasurementParts(print, 60).run("a", 1, lambda: 7)))
    thread.start()
    thread.join()
    assert found == [7]


def test_without_time_the_bracket_is_wide_and_says_so() -> None:
    found = measure(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)), (2,), seconds=0)
    assert (found.lower, found.upper) == (0, torch.inf)
    assert [layer.name for layer in found.layers] == ["0", "2"]
    assert all(value != value for layer in found.layers for value in layer[2:])
    assert len([reason for reason in found.reasons if "(time limit of 0 s)" in reason]) == 3


def test_what_was_finished_before_the_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "lower_bound", lambda *arguments, **options: signal.raise_signal(signal.SIGALRM))
    net, told = nn.Linear(2, 1), []
    found = measure(net, (2,), seconds=600, progress=told.append)
    assert told == ["σ of the layers", "upper bounds of the layers", "upper end", "search for the lower end"]
    assert found.lower == 0
    assert found.upper == pytest.approx(float(net.weight.detach().norm()))
    assert found.reasons == ("search for the lower end: not finished (time limit of 600 s)",)


@pytest.mark.parametrize("phase", ["jacobian_norms", "ascend", "_confirmed"])
def test_an_interrupted_search_returns_its_best_so_far(monkeypatch: pytest.MonkeyPatch, phase: str) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        monkeypatch.undo()
        signal.raise_signal(signal.SIGALRM)

    monkeypatch.setattr(search, phase, interrupted)
    told = []
    found = measure(nn.Linear(2, 1, bias=False), (2,), seconds=600, progress=told.append)
    assert told[-2:] == ["search for the lower end", "confirmation of the lower end"]
    assert 0.3 * found.upper < found.lower < found.upper
    assert found.reasons == ("search for the lower end: not finished (time limit of 600 s)",)
