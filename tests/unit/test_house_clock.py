"""Hours at which something is served, in the restaurant's own time."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.house_clock import DAY_MINUTES, HouseClock, Serving

PARIS = ZoneInfo("Europe/Paris")
CLOCK = HouseClock("Europe/Paris")
LUNCH = Serving(11 * 60 + 30, 14 * 60 + 30)
NIGHT = Serving(22 * 60, 2 * 60, (4, 5))  # Friday and Saturday


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp() * 1000)


@pytest.mark.parametrize(
    ("serving", "time", "is_on"),
    [
        (LUNCH, "2026-11-24T11:29:59", False),
        (LUNCH, "2026-11-24T11:30:00", True),
        (LUNCH, "2026-11-24T14:29:59", True),
        (LUNCH, "2026-11-24T14:30:00", False),
        (NIGHT, "2026-11-27T21:59:59", False),
        (NIGHT, "2026-11-27T22:00:00", True),
        (NIGHT, "2026-11-28T01:59:59", True),  # Friday's night
        (NIGHT, "2026-11-28T02:00:00", False),
        (NIGHT, "2026-11-29T01:00:00", True),  # Saturday's night, on Sunday
        (NIGHT, "2026-11-30T01:00:00", False),
        (Serving(0, DAY_MINUTES), "2026-11-24T23:59:59", True),
        (Serving(600, 600), "2026-11-24T03:00:00", True),  # round the clock
    ],
)
def test_a_dish_is_on_in_its_hours(serving: Serving, time: str, is_on: bool) -> None:
    assert CLOCK.is_within((serving,), at(time)) is is_on


def test_the_next_turn_is_the_end_of_lunch() -> None:
    assert CLOCK.next_turn((LUNCH,), at("2026-11-24T12:00:00")) == at("2026-11-24T14:30:00")


servings = st.builds(
    Serving,
    st.integers(0, DAY_MINUTES - 1),
    st.integers(0, DAY_MINUTES),
    st.sets(st.integers(0, 6)).map(lambda days: tuple(sorted(days))),
)


@given(
    served=st.lists(servings, min_size=1, max_size=3),
    # The weeks round both nights at which the clocks change in 2026.
    after=st.integers(at("2026-03-25T00:00:00"), at("2026-04-02T00:00:00"))
    | st.integers(at("2026-10-21T00:00:00"), at("2026-10-29T00:00:00")),
    share=st.floats(0, 1, exclude_max=True),
)
def test_nothing_begins_or_ends_before_the_next_turn(served: list[Serving], after: int, share: float) -> None:
    turn = CLOCK.next_turn(served, after)
    assert turn > after
    between = after + int((turn - after) * share)
    assert CLOCK.is_within(served, between) == CLOCK.is_within(served, after)


@pytest.mark.parametrize(
    ("now", "minute", "then"),
    [
        ("2026-11-24T18:29:59", 18 * 60 + 30, "2026-11-24T18:30:00"),
        ("2026-11-24T18:30:00", 18 * 60 + 30, "2026-11-25T18:30:00"),
        ("2026-10-24T23:00:00", 0, "2026-10-25T00:00:00"),
        ("2026-10-25T00:00:00", 12 * 60, "2026-10-25T12:00:00"),  # the clocks are set back in between
    ],
)
def test_a_time_of_day_is_the_next_one(now: str, minute: int, then: str) -> None:
    assert CLOCK.next_at(minute, at(now)) == at(then)
