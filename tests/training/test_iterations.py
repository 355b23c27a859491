"""Captured iterations with a graph that counts: which are launched one by one, which are replayed."""

import re
from collections.abc import Callable
from pathlib import Path

from counter_task import Counter

from lipschitz.training.iterations import TOGETHER, WARM_UP, CapturedIterations, together
from lipschitz.training.loop import SLICE

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


class CountingGraph:
    """Calls the captured work at each replay."""

    def __init__(self) -> None:
        self.captures, self.replays, self.releases = 0, 0, 0

    def capture(self, work: Callable[[], object]) -> None:
        self.captures, self.work = self.captures + 1, work

    def replay(self) -> None:
        self.replays += 1
        self.work()

    def release(self) -> None:
        self.releases += 1


def test_as_many_as_fit_are_replayed_after_the_warm_up() -> None:
    task, graph = Counter(), CountingGraph()
    iterations = CapturedIterations(task, 100, graph, together=5)
    iterations.start(20)
    iterations.release()
    assert iterations.make(WARM_UP + 10, lambda: False) == WARM_UP + 10
    assert (graph.captures, graph.replays) == (1, 2)
    assert iterations.make(7, lambda: False) == 7
    assert iterations.make(5, lambda: False) == 5
    assert (graph.captures, graph.replays) == (1, 4), "two of seven are launched one by one"
    assert task.progress == [step / 100 for step in range(20, 20 + WARM_UP + 22)]
    assert graph.releases == 0, "nothing was captured when it was released"
    iterations.release()
    assert graph.releases == 1


def test_a_graph_of_every_sweep_of_the_repository_holds_as_many_as_it_may() -> None:
    texts = {path.name: path.read_text() for path in BENCHMARKS.glob("*.yaml")}
    found = {(name, int(every)) for name, text in texts.items() for every in re.findall(r"\bevery: (\d+)", text)}
    assert len(found) > 15
    assert {(name, every) for name, every in found if together(SLICE, every) != TOGETHER} == set()
