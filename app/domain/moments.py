"""Moments in ms since 1970, UTC, and how they are written."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

LAST_MOMENT = 4_102_444_800_000  # 2100: later ones are mistakes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_milliseconds(moment: datetime) -> int:
    """By whole numbers: a float of so many seconds does not hold a millisecond for certain."""
    return (moment - _EPOCH) // _MILLISECOND


@lru_cache(maxsize=256)  # the moments of an order stand in each of its tickets
def utc(milliseconds: int) -> str:
    """ISO 8601 in UTC, with milliseconds."""
    return (_EPOCH + milliseconds * _MILLISECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z")
