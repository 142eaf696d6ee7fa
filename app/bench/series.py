"""Latencies as they come: percentiles of them all, and how each second went."""

import math
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

STEP = math.log(1.02)  # a bucket is 2 % wide, so that its middle is at most 1 % off
SMALLEST = 1e-6  # s; below, all is one bucket


@dataclass(frozen=True)
class Second:
    """A second of a run: how many were answered in it, and the p99 of these in ms (0 where there were none)."""

    at: int
    count: int
    p99: float


class Histogram:
    """Latencies (s) in buckets: any number of them in the same small room, percentiles within 1 %."""

    def __init__(self) -> None:
        self.count = 0
        self._buckets: Counter[int] = Counter()
        self._highest = 0.0

    def add(self, latency: float) -> None:
        """Count a latency."""
        self.count += 1
        self._buckets[round(math.log(max(latency, SMALLEST)) / STEP)] += 1
        self._highest = max(self._highest, latency)

    def percentile(self, share: float) -> float:
        """The latency below or at which this share of them lie, in ms; the highest is exact."""
        wanted, seen = max(1, math.ceil(share * self.count)), 0
        if wanted >= self.count:
            return round(1000 * self._highest, 2)
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return round(1000 * math.exp(bucket * STEP), 2)
        return 0.0


class Series:
    """Latencies of one measurement; where it `is_long` they are not kept, and percentiles are those of a histogram."""

    def __init__(self, *, is_long: bool = False) -> None:
        self._is_long = is_long
        self.begin(0.0)

    def begin(self, at: float) -> None:
        """Forget everything: the measurement starts at this moment (`perf_counter`)."""
        self._began = self._last = at
        self.latencies = array("d")
        self._histogram = Histogram()
        self._seconds: list[Second] = []
        self._of_second = array("d")
        self.longest_gap = 0.0

    @property
    def count(self) -> int:
        """How many there are."""
        return self._histogram.count if self._is_long else len(self.latencies)

    def add(self, latency: float, now: float) -> None:
        """An answer came at `now`, so much later (s) than it was asked for."""
        while now - self._began >= len(self._seconds) + 1:
            self._close_second()
        self._of_second.append(latency)
        if self._is_long:
            self._histogram.add(latency)
        else:
            self.latencies.append(latency)
        self.longest_gap = max(self.longest_gap, now - self._last)
        self._last = now

    def end(self, at: float) -> None:
        """The measurement ends at this moment; what is left of its last second, if less than all, is not told of."""
        while at - self._began >= len(self._seconds) + 1:
            self._close_second()
        self.longest_gap = max(self.longest_gap, at - self._last)

    def percentiles(self, *shares: float) -> list[float]:
        """The latencies (ms) below or at which these shares lie: values that occurred, or within 1 % of them."""
        if self._is_long:
            return [self._histogram.percentile(share) for share in shares]
        ordered = sorted(self.latencies)
        return [percentile(ordered, share) for share in shares]

    @property
    def seconds(self) -> Sequence[Second]:
        """The whole seconds of the measurement."""
        return self._seconds

    def _close_second(self) -> None:
        ordered = sorted(self._of_second)
        self._seconds.append(Second(len(self._seconds), len(ordered), percentile(ordered, 0.99)))
        self._of_second = array("d")


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the ordered seconds below or at which `share` of them lie, in ms; 0 where there are none."""
    if not ordered:
        return 0.0
    return round(1000 * ordered[max(0, math.ceil(share * len(ordered)) - 1)], 2)
