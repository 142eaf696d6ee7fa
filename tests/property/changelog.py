"""Changelogs of the model: one partition of a compacted topic."""

from dataclasses import dataclass, field

MINUTE = 60_000
COMPACTION_LAG = 10 * MINUTE  # min.compaction.lag.ms; how long it is does not matter, only how often owners look in it


@dataclass(frozen=True)
class Written:
    """A record of a changelog."""

    place: int
    time: int
    key: bytes
    value: bytes | None
    by: str


@dataclass
class Changelog:
    """A compacted topic's partition."""

    records: list[Written] = field(default_factory=list)
    end: int = 0

    def append(self, time: int, key: bytes, value: bytes | None, by: str) -> None:
        """Take a record."""
        self.records.append(Written(self.end, time, key, value, by))
        self.end += 1

    def since(self, place: int) -> list[Written]:
        """The records from this place on that are left."""
        return [written for written in self.records if written.place >= place]

    def compact(self, now: int) -> None:
        """Keep the last record of each key among those older than the lag."""
        old = [written for written in self.records if now - written.time > COMPACTION_LAG]
        last = {written.key: written.place for written in old}
        kept = [written for written in old if written.place == last[written.key]]
        self.records = kept + self.records[len(old) :]
