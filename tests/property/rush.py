"""A rush on a model of the house, in virtual time: one queue, so many orders a second, workers that admit to it.

`python -m tests.property.rush` prints the table of docs/decisions/0013-overload.md.
"""

import heapq
import itertools
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.domain.admission import Admission, AdmissionRules

BASE = 0.005  # s that an order takes beside its turn
TABLES, EVERY = 40, 15.0  # guests who order as usual, each so often (s)
FLOODING = 10  # tokens that send all the rest


@dataclass(frozen=True)
class Phase:
    """For so many s `load` times what the house can take is sent."""

    seconds: float
    load: float


@dataclass
class Second:
    """What happened in one second; waits are of the orders that were sent in it, in s."""

    offered: int = 0
    through: int = 0
    usual: int = 0
    usual_through: int = 0
    retry_after: int = 0  # the longest that was told
    shares: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def wait(self, quantile: float) -> float:
        waits = sorted(self.waits)
        return waits[int(quantile * len(waits))] if waits else 0.0

    @property
    def share(self) -> float:
        return sum(self.shares) / len(self.shares)


class House:
    """Takes `capacity` orders/s, one after the other; each comes to one of the workers by chance."""

    def __init__(self, capacity: float, seed: int, *, workers: int = 2, rules: AdmissionRules | None = None) -> None:
        self.capacity = capacity
        self.seconds: dict[int, Second] = defaultdict(Second)
        self.now = 0.0
        self._random = random.Random(seed)
        self._workers = [Admission(rules or AdmissionRules(), 0.0) for _ in range(workers)]
        self._free_at = 0.0
        self._turns = itertools.count()
        self._out: list[tuple[float, float, int]] = []  # answered when, asked when, by which worker

    def play(self, phases: Sequence[Phase]) -> "House":
        end = self.now
        for phase in phases:
            end += phase.seconds
            rate = phase.load * self.capacity
            while (arrival := self.now + self._random.expovariate(rate)) < end:
                self._answer_until(arrival)
                self.now = arrival
                self._order(is_usual=self._random.random() < TABLES / EVERY / rate)
            self.now = end
        return self

    def _order(self, *, is_usual: bool) -> None:
        second, number = self.seconds[int(self.now)], self._random.randrange(len(self._workers))
        worker = self._workers[number]
        # Guests take turns: by chance alone one in some thousand would order more than is usual.
        name = f"T{next(self._turns) % TABLES}" if is_usual else f"flood-{self._random.randrange(FLOODING)}"
        wait = worker.ask(name, self.now)
        second.offered += 1
        second.usual += is_usual
        second.shares.append(worker.share)
        second.retry_after = max(second.retry_after, wait)
        if not wait:
            second.through += 1
            second.usual_through += is_usual
            self._free_at = max(self._free_at, self.now) + self._random.expovariate(self.capacity)
            heapq.heappush(self._out, (self._free_at + BASE, self.now, number))

    def _answer_until(self, now: float) -> None:
        while self._out and self._out[0][0] <= now:
            at, asked_at, number = heapq.heappop(self._out)
            self._workers[number].answered(asked_at, at)
            self.seconds[int(asked_at)].waits.append(at - asked_at)


def table(house: House, every: int = 4) -> str:
    """What happened, a line for some seconds."""
    lines = [
        "| s | offered/s | let through/s | share, lowest to highest | p50 ms | p99 ms | longest Retry-After |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, second in sorted(house.seconds.items()):
        if number % every == 0 or 10 <= number < 16 or 70 <= number < 73:
            share = f"{min(second.shares):.2f} to {max(second.shares):.2f}"
            waits = f"{1000 * second.wait(0.5):.0f} | {1000 * second.wait(0.99):.0f}"
            lines.append(
                f"| {number} | {second.offered} | {second.through} | {share} | {waits} | {second.retry_after} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(House(1000, 1).play([Phase(10, 0.5), Phase(60, 3), Phase(10, 0.5)])))
