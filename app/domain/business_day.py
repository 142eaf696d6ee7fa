"""The business day: it begins at an hour of the restaurant's own time, so that an evening is one day."""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

SLOT_MS = 5 * 60_000

_DAY = timedelta(days=1)


class Slot(NamedTuple):
    """Five minutes of a business day, counted from its start: 0 to 287, 275 or 299 when the clocks change."""

    day: date
    number: int


class BusinessDays:
    """The business days of one time zone that begin at `starts` o'clock."""

    def __init__(self, time_zone: str, starts: int) -> None:
        self._zone = ZoneInfo(time_zone)
        self._starts = time(starts)
        self._day = date.min
        self._from_ms = self._until_ms = 0

    def slot(self, at_ms: int) -> Slot:
        """The slot of an instant, given in ms since 1970 (UTC)."""
        if not self._from_ms <= at_ms < self._until_ms:  # orders come by day: the last one's bounds mostly hold
            self._day = self._find_day(at_ms)
            self._from_ms, self._until_ms = self.bounds(self._day)
        return Slot(self._day, (at_ms - self._from_ms) // SLOT_MS)

    def bounds(self, day: date) -> tuple[int, int]:
        """When a day begins and ends, in ms since 1970 (UTC); the end is the next one's beginning."""
        return self._start_ms(day), self._start_ms(day + _DAY)

    def slots(self, day: date) -> range:
        """The numbers of a day's slots."""
        start, end = self.bounds(day)
        return range(-((start - end) // SLOT_MS))

    def _find_day(self, at_ms: int) -> date:
        day = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self._zone).date()
        return day - _DAY if at_ms < self._start_ms(day) else day

    def _start_ms(self, day: date) -> int:
        # An hour that the clocks skip begins when they jump; one that comes twice counts the first time.
        return int(datetime.combine(day, self._starts, self._zone).timestamp() * 1000)
