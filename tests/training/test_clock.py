"""The clock, with a time that the tests tell."""

from collections.abc import Callable

import pytest
import torch
from scipy.stats import binom

from lipschitz.training import clock
from lipschitz.training.clock import Stopwatch, Timing, median_interval, milliseconds

CPU = torch.device("cpu")


@pytest.fixture
def sleep(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Move the time by so many seconds."""
    now = [100.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


@pytest.mark.parametrize(
    ("n", "median", "low", "high"),
    [
        # Order statistics of the distribution-free 95 % interval of a median, from tables of the binomial law.
        (6, 3.5, 1, 6),
        (10, 5.5, 2, 9),
        (15, 8.0, 4, 12),
        (20, 10.5, 6, 15),
        (40, 20.5, 14, 27),
        (100, 50.5, 40, 61),
        (200, 100.5, 86, 115),
    ],
)
def test_the_interval_is_between_two_order_statistics(n: int, median: float, low: int, high: int) -> None:
    values = [float(value) for value in range(n, 0, -1)]
    assert median_interval(values) == Timing(median, low, high, n)


def test_the_interval_covers_the_median_at_least_95_times_in_100_and_no_wider() -> None:
    for n in range(6, 80):
        timing = median_interval([float(value) for value in range(1, n + 1)])
        rank = int(timing.low)
        assert timing.high == n + 1 - rank
        assert 1 - 2 * binom.cdf(rank - 1, n, 0.5) >= 0.95
        assert 1 - 2 * binom.cdf(rank, n, 0.5) < 0.95


def test_of_few_values_the_interval_is_their_range() -> None:
    assert median_interval([3.0]) == Timing(3, 3, 3, 1)
    assert median_interval([4.0, 1.0, 2.0]) == Timing(2, 1, 4, 3)


def test_a_call_is_timed_in_milliseconds(sleep: Callable[[float], None]) -> None:
    assert milliseconds(lambda: sleep(0.004), CPU) == pytest.approx(4)


def test_a_stopwatch_adds_up_and_goes_on_from_an_earlier_total(sleep: Callable[[float], None]) -> None:
    watch = Stopwatch(CPU)
    watch.seconds = 10.0
    for seconds in (1.0, 2.5):
        with watch:
            sleep(seconds)
        sleep(99.0)
    assert watch.seconds == pytest.approx(13.5)


def test_on_cuda_a_block_is_timed_by_events_until_a_total_is_set(
    sleep: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Event:
        def record(self) -> None:
            self.at = clock.time.perf_counter()

        def synchronize(self) -> None:
            pass

        def elapsed_time(self, end: "Event") -> float:
            return 1e3 * (end.at - self.at)

    monkeypatch.setattr(clock, "_event", Event)
    watch = Stopwatch(torch.device("cuda"))
    for seconds in (1.0, 2.5):
        with watch:
            sleep(seconds)
        sleep(99.0)
    assert watch.seconds == watch.seconds == pytest.approx(3.5), "an event counts once"
    with watch:
        sleep(7.0)
    watch.seconds = 10.0
    with watch:
        sleep(0.5)
    assert watch.seconds == pytest.approx(10.5), "a resume leaves out what was timed before"


def test_a_block_that_fails_is_counted(sleep: Callable[[float], None]) -> None:
    watch = Stopwatch(CPU)

    def fail() -> None:
        with watch:
            sleep(2.0)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert watch.seconds == pytest.approx(2)
