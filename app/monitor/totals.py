"""Counters of all processes together, over the last seconds."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

Key = str | float  # an outcome, or a bucket's upper bound
Counters = Mapping[Key, float]


class Totals:
    """Sums of counters, which go on where a process begins anew; each `mark` ends a turn."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last: dict[str, Counters] = {}
        self._sums: defaultdict[Key, float] = defaultdict(float)
        self._marks: deque[tuple[float, dict[Key, float]]] = deque()

    def take(self, process: str, counters: Counters) -> bool:
        """Add what a process has counted since it was last asked; whether it has begun anew.

        What it had counted before it was first asked is not told.
        """
        last = self._last.get(process)
        self._last[process] = counters
        if last is None:
            return False
        anew = any(counters.get(key, 0.0) < value for key, value in last.items())
        for key, value in counters.items():
            self._sums[key] += value - (0.0 if anew else last.get(key, 0.0))
        return anew

    def mark(self, at: float) -> None:
        """Remember how it stands at `at`, s; older than is asked for is forgotten."""
        self._marks.append((at, dict(self._sums)))
        while len(self._marks) > 2 and self._marks[1][0] <= at - self._seconds:
            self._marks.popleft()

    def recent(self) -> tuple[float, dict[Key, float]]:
        """How many s are looked back on, 0 after the first mark, and what was counted in them."""
        (begun, before), (ended, after) = self._marks[0], self._marks[-1]
        return ended - begun, {key: value - before.get(key, 0.0) for key, value in after.items()}


def quantile(share: float, buckets: Iterable[tuple[float, float]]) -> float | None:
    """The value below which `share` of all are, as Prometheus reckons it; None without any.

    `buckets` are upper bounds, the last one infinite, with how many are at or below each.
    """
    ordered = sorted(buckets)
    if not ordered or ordered[-1][1] <= 0:
        return None
    rank, lower, below = share * ordered[-1][1], 0.0, 0.0
    for upper, count in ordered[:-1]:
        if count >= rank:
            return lower + (upper - lower) * (rank - below) / (count - below) if count > below else upper
        lower, below = upper, count
    return lower  # in the last bucket, which has no end: at least that
