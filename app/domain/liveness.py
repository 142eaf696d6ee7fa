"""When a worker must end itself: it hangs, though what it needs is there."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

LOOK_SECONDS = 5.0  # between two looks whether partitions move

# Partition -> offsets of its first record and after its last one; None where Kafka does not answer. It may be asked of
# no partition, too.
Ends = Callable[[Collection[int]], Mapping[int, tuple[int, int]] | None]


@dataclass(frozen=True, slots=True)
class Limits:
    """In seconds."""

    stall: float  # the event loop stands still
    unready: float  # tables are assigned, or waited for, and not served
    stuck: float  # a partition has records to work on, and none is


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a worker says of itself; `at` by a clock that only goes forward."""

    at: float
    is_ready: bool
    recovered: int = 0  # records of the changelogs read so far: a long recovery is no hang
    places: Mapping[int, int] = field(default_factory=dict)  # partition -> offset up to which it is done


class Liveness:
    """Judges a worker by what it says of itself now and then.

    Ending helps against a fault of the process, not against an outage of Kafka, which would end it again and again:
    Kafka is asked first, and time in which it did not answer does not count.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._unready_since: float | None = None
        self._recovered = 0
        self._looked = float("-inf")
        self._places: dict[int, int] = {}
        self._behind: dict[int, float] = {}  # partition -> since when it was seen to stand still with records waiting

    def check(self, now: float, vitals: Vitals, ends: Ends) -> str | None:
        """Why the process must end; None when all is well, or none of its fault."""
        return self.stalled(now, vitals.at) or self._unready(now, vitals, ends) or self._stuck(now, vitals, ends)

    def concern(self, now: float) -> str | None:
        """What ends the process if it goes on; None where nothing does. From any thread."""
        unready_since, behind = self._unready_since, self._behind
        if unready_since is not None and now - unready_since >= LOOK_SECONDS:
            seconds = f"{now - unready_since:.0f} s, the process ends after {self._limits.unready:g}"
            return f"no table was taken over for {seconds}"
        if behind:
            seconds = f"{now - min(behind.values()):.0f} s, the process ends after {self._limits.stuck:g}"
            return f"partitions {sorted(behind)} have records, and none was done for {seconds}"
        return None

    def stalled(self, now: float, last: float) -> str | None:
        """Whether the event loop stood still since `last` for so long that others may own its tables."""
        if now - last <= self._limits.stall:
            return None
        return f"the event loop stood still for {now - last:.1f} s: others may have its tables by now"

    def _unready(self, now: float, vitals: Vitals, ends: Ends) -> str | None:
        moves = vitals.recovered != self._recovered
        self._recovered = vitals.recovered
        if vitals.is_ready:
            self._unready_since = None
        elif self._unready_since is None or moves:
            self._unready_since = now
        elif now - self._unready_since > self._limits.unready:
            if ends(()) is not None:
                return f"no table was taken over in {now - self._unready_since:.0f} s, though Kafka answers"
            self._unready_since = now
        return None

    def _stuck(self, now: float, vitals: Vitals, ends: Ends) -> str | None:
        if now - self._looked < LOOK_SECONDS:
            return None
        self._looked = now
        places = dict(vitals.places) if vitals.is_ready else {}
        still = [partition for partition, place in places.items() if self._places.get(partition) == place]
        self._places = places
        found = (ends(still) if still else None) or {}
        behind = [partition for partition, (first, end) in found.items() if end > max(first, places[partition])]
        self._behind = {partition: self._behind.get(partition, now) for partition in behind}
        stuck = {partition: since for partition, since in self._behind.items() if now - since >= self._limits.stuck}
        if not stuck:
            return None
        seconds = now - min(stuck.values())
        return f"partitions {sorted(stuck)} have records, and none was done in {seconds:.0f} s, though Kafka answers"
