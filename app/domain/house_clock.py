"""The restaurant's own clock: hours at which something is served, in local time."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")  # as people name them, from 0 on
DAY_MINUTES = 24 * 60
_WEEK_DAYS = 8  # whatever begins or ends does so within a week and a day


@dataclass(frozen=True, slots=True)
class Serving:
    """Hours of some weekdays: 0 is Monday; none means each day.

    `start` and `end` are minutes after midnight, `end` not included. One that is not above `start` is on the next day.
    """

    start: int
    end: int
    days: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        """Minutes from start to end, by the clock on the wall."""
        return (self.end - self.start - 1) % DAY_MINUTES + 1


def wall_time(minutes: int) -> str:
    """So many minutes after midnight as a clock on the wall shows them; a day's end is 24:00."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


class HouseClock:
    """Tells the local time of one time zone."""

    def __init__(self, time_zone: str) -> None:
        self._zone = ZoneInfo(time_zone)

    def is_within(self, served: Collection[Serving], at: int) -> bool:
        """Whether this time (ms since 1970, UTC) is in one of these hours."""
        local = datetime.fromtimestamp(at // 1000, UTC).astimezone(self._zone)
        minute = local.hour * 60 + local.minute
        return any(
            _begins_on(serving, (local.weekday() - days) % 7)
            and serving.start <= minute + days * DAY_MINUTES < serving.start + serving.length
            for serving in served
            for days in (0, 1)
        )

    def next_turn(self, served: Collection[Serving], after: int) -> int:
        """The first time after this one at which some of these hours may begin or end (ms since 1970, UTC)."""
        today = datetime.fromtimestamp(after // 1000, UTC).astimezone(self._zone).date()
        days = [today + timedelta(days=number) for number in range(-1, _WEEK_DAYS)]
        minutes = {minute for serving in served for minute in (serving.start, serving.end % DAY_MINUTES)}
        times = [self._ms(datetime.combine(day, time(minute // 60, minute % 60))) for day in days for minute in minutes]
        # Where the clocks change, hours may begin or end at a time that is none of the wall's.
        return min(moment for moment in (*times, *self._clock_changes(after)) if moment > after)

    def next_at(self, minute: int, after: int) -> int:
        """The first time after this one at which the clock on the wall shows this minute of a day (both: ms, UTC)."""
        today = self.local(after).date()
        wall = time(minute // 60, minute % 60)
        times = [
            self._ms(datetime.combine(today + timedelta(days=days), wall)) for days in range(3)
        ]  # a zone may skip one
        return next(moment for moment in times if moment > after)

    def local(self, at: int) -> datetime:
        """A time (ms since 1970, UTC) by the restaurant's own clock, to the second."""
        return datetime.fromtimestamp(at // 1000, UTC).astimezone(self._zone)

    def _clock_changes(self, after: int) -> list[int]:
        """Hours after this one at which the clocks are set."""
        start = after - after % 3_600_000
        hours = [start + hour * 3_600_000 for hour in range(25)]
        offsets = [datetime.fromtimestamp(hour // 1000, UTC).astimezone(self._zone).utcoffset() for hour in hours]
        return [hours[at] for at in range(1, len(hours)) if offsets[at] != offsets[at - 1]]

    def _ms(self, wall: datetime) -> int:
        return int(wall.replace(tzinfo=self._zone).timestamp() * 1000)


def _begins_on(serving: Serving, weekday: int) -> bool:
    return not serving.days or weekday in serving.days
