"""How far behind a process is in what it consumes: a thread asks Kafka now and then, so that nobody else needs to.

    Kafka ── every second: ends ──> thread ──> Backlog <── scrapes, health checks: places as they are now

While Kafka does not answer, what was behind stays so, and its age goes on growing.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol

import structlog

from app.domain.lag import Backlog
from app.metrics import Values

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
CHANGELOG_LOOKS = 5  # one look at the changelogs for so many at the topic: nothing waits for them
TOLD_SECONDS = 5.0  # so old a backlog is told of; a ledger waits for its writes to settle, and that is no news

Places = Callable[
    [], Mapping[int, int]
]  # partition -> the offset before which all is done, of those that are worked on


class Ends(Protocol):
    """The first and last offsets of a topic's partitions; None while Kafka does not answer. Bounded in time."""

    def of(self, topic: str, partitions: Collection[int]) -> Mapping[int, tuple[int, int]] | None: ...
    def close(self) -> None: ...


class Lags:
    """Of one topic, and of the changelogs beside it. `places` is called from any thread."""

    def __init__(self, topic: str, changelogs: Sequence[str], places: Places, ends: Ends) -> None:
        self.topic = topic
        self._changelogs = changelogs
        self._places = places
        self._ends = ends
        self._backlogs: dict[int, Backlog] = {}
        self._lengths: dict[tuple[str, int], int] = {}
        self._answered = time.monotonic()
        self._over = threading.Event()

    def start(self) -> None:
        """Begin to look, on a thread that ends with the process."""
        threading.Thread(target=self._run, name="lags", daemon=True).start()

    def stop(self) -> None:
        """Look no more; whatever is being asked is not waited for."""
        self._over.set()

    def _run(self) -> None:
        looks = 0
        while not self._over.wait(LOOK_SECONDS):
            try:
                self.look(with_changelogs=looks % CHANGELOG_LOOKS == 0)
            except Exception:  # figures only: no order must wait or fail for them
                log.exception("how far behind this process is could not be looked at")
            looks += 1
        self._ends.close()

    def look(self, *, with_changelogs: bool) -> None:
        """Ask Kafka once."""
        found = self._ends.of(self.topic, self._places().keys())
        if found is None:
            return
        self._answered = now = time.monotonic()
        places = self._places()
        for partition, (first, end) in found.items():
            if partition in places:
                self._backlogs.setdefault(partition, Backlog()).look(first, end, places[partition], now)
        if not places:
            return  # between two assignments: most partitions come back
        self._backlogs = {partition: backlog for partition, backlog in self._backlogs.items() if partition in places}
        if with_changelogs:
            for topic in self._changelogs:
                self._look_at_changelog(topic, places.keys())

    def _look_at_changelog(self, topic: str, partitions: Collection[int]) -> None:
        found = self._ends.of(topic, partitions)
        if found is not None:
            others = {place: length for place, length in self._lengths.items() if place[0] != topic}
            self._lengths = others | {(topic, number): end - first for number, (first, end) in found.items()}

    # ── what is known, as it is now ───────────────────────────────────────────────────────────────────────────────────

    def _now(self) -> Iterator[tuple[int, int, float]]:
        """Partition, records behind, and for how many s."""
        now, backlogs = time.monotonic(), self._backlogs
        for partition, place in sorted(self._places().items()):
            if (backlog := backlogs.get(partition)) is not None:
                yield partition, backlog.records(place), backlog.age(place, now)

    def records(self) -> Values:
        """By topic and partition: the records that are not done with."""
        return [((self.topic, str(partition)), records) for partition, records, _ in self._now()]

    def ages(self) -> Values:
        """By topic and partition: how many s the oldest of them has stood there."""
        return [((self.topic, str(partition)), age) for partition, _, age in self._now()]

    def oldest(self) -> float:
        """How many s the oldest record that is not done with has stood; 0 without one."""
        return max((age for _, _, age in self._now()), default=0.0)

    def owned(self) -> Values:
        """By partition: 1 for each that is worked on."""
        return [((str(partition),), 1) for partition in sorted(self._places())]

    def lengths(self) -> Values:
        """By changelog and partition: from its first offset to its end, of those that are worked on."""
        places = self._places()
        return [
            ((topic, str(partition)), length)
            for (topic, partition), length in sorted(self._lengths.items())
            if partition in places
        ]

    def words(self) -> str:
        """`ok`, or what is behind, and by how much."""
        silent = time.monotonic() - self._answered
        said = [f"kafka has not told the ends for {silent:.0f} s"] if silent > TOLD_SECONDS else []
        said += [
            f"partition {partition} is {records} records behind, for {age:.0f} s"
            for partition, records, age in self._now()
            if age > TOLD_SECONDS
        ]
        return "; ".join(said) or "ok"
