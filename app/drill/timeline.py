"""What the pads saw over the time of a drill, and when which fault was injected."""

import time
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import ceil


@dataclass(frozen=True)
class Mark:
    """A moment to remember: a fault, or its end.

    `at` is `perf_counter`, `since_epoch` the wall clock in s, for what stands in logs.
    """

    text: str
    is_fault: bool
    at: float
    since_epoch: float

    @property
    def moment(self) -> str:
        """The wall clock as logs write it."""
        return datetime.fromtimestamp(self.since_epoch, UTC).isoformat(timespec="milliseconds")


class Timeline:
    """Every acknowledged order, in the order of the acknowledgements, and the marks."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.marks: list[Mark] = []
        self._tables: list[str] = []
        self._due = array("d")
        self._acknowledged = array("d")
        self._last_due: dict[str, float] = {}  # table -> when the last acknowledged order of it was due

    @property
    def count(self) -> int:
        """How many orders are acknowledged."""
        return len(self._tables)

    def heard(self, table: str, due: float, now: float) -> None:
        """An order that was due at `due` is acknowledged (`perf_counter`)."""
        self._tables.append(table)
        self._due.append(due)
        self._acknowledged.append(now)
        self._last_due[table] = max(due, self._last_due.get(table, due))

    def mark(self, text: str, *, is_fault: bool = True) -> Mark:
        """Remember this moment."""
        mark = Mark(text, is_fault, time.perf_counter(), time.time())
        self.marks.append(mark)
        return mark

    def unserved(self, tables: Iterable[str], mark: Mark) -> list[str]:
        """Tables of which no order that was due after the mark has been acknowledged yet."""
        return [table for table in tables if self._last_due.get(table, 0.0) <= mark.at]

    def served_again(self, mark: Mark) -> float:
        """Seconds from the mark until every table was served, the one that waited longest.

        After a fault a table is served with the first order that was due after it, and waited from when that was due:
        told is how long the table was out, not how rarely its guests order. After the end of a fault it is served with
        the first order of all, since those that are overdue come first.
        """
        waits: dict[str, float] = {}
        for table, due, now in zip(self._tables, self._due, self._acknowledged, strict=True):
            if now >= mark.at and (due >= mark.at or not mark.is_fault):
                waits.setdefault(table, now - max(due, mark.at))
        return max(waits.values(), default=0.0)

    def longest_gap(self) -> tuple[float, float]:
        """Start (in s from the beginning) and length of the longest time without any acknowledgement."""
        times = sorted(self._acknowledged)
        gaps = [(after - before, before) for before, after in pairwise(times)]
        length, start = max(gaps, default=(0.0, self.began))
        return start - self.began, length

    def slowest(self) -> float:
        """Seconds from due to acknowledged of the order that took longest."""
        return max((now - due for due, now in zip(self._due, self._acknowledged, strict=True)), default=0.0)

    def per_second(self, width: float = 0.5) -> Sequence[tuple[float, float]]:
        """Acknowledged orders per second in steps of `width` s: (s from the beginning, orders/s)."""
        if not self._acknowledged:
            return []
        counts = [0] * (int((max(self._acknowledged) - self.began) / width) + 1)
        for now in self._acknowledged:
            counts[int((now - self.began) / width)] += 1
        return [(number * width, count / width) for number, count in enumerate(counts)]


def median(values: Sequence[float]) -> float:
    """The value below or at which half of them lie."""
    return sorted(values)[ceil(len(values) / 2) - 1]
