"""The business day of a restaurant, also on the nights on which the clocks change."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.business_day import SLOT_MS, BusinessDays

PARIS = BusinessDays("Europe/Paris", 4)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_an_order_after_midnight_belongs_to_the_evening_before() -> None:
    assert PARIS.slot(at("2026-11-24T01:30")) == (date(2026, 11, 23), (22 * 60 + 30) // 5)
    assert PARIS.slot(at("2026-11-24T02:59:59.999")) == (date(2026, 11, 23), 287)
    assert PARIS.slot(at("2026-11-24T03:00")) == (date(2026, 11, 24), 0)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 23), ("2026-10-24", 25), ("2026-06-01", 24)])
def test_a_day_is_as_long_as_the_clocks_make_it(day: str, hours: int) -> None:
    start, end = PARIS.bounds(date.fromisoformat(day))
    assert end - start == hours * 3_600_000
    assert len(PARIS.slots(date.fromisoformat(day))) == hours * 12


def test_a_day_that_starts_in_the_hour_that_the_clocks_skip_starts_when_they_jump() -> None:
    days = BusinessDays("Europe/Paris", 2)
    assert days.bounds(date(2026, 3, 29))[0] == at("2026-03-29T01:00")
    assert days.slot(at("2026-03-29T00:59")).day == date(2026, 3, 28)
    assert days.slot(at("2026-03-29T01:00")) == (date(2026, 3, 29), 0)


def test_a_day_that_starts_in_the_hour_that_comes_twice_starts_at_the_first() -> None:
    days = BusinessDays("Europe/Paris", 2)
    assert days.slot(at("2026-10-25T00:00")) == (date(2026, 10, 25), 0)
    assert days.slot(at("2026-10-25T01:00")) == (date(2026, 10, 25), 12)


@given(
    moments=st.lists(st.integers(min_value=0, max_value=4_000_000_000_000), min_size=1, max_size=5),
    zone=st.sampled_from(["Europe/Paris", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe"]),
    starts=st.integers(min_value=0, max_value=23),
)
def test_every_instant_lies_in_its_slot_whatever_was_asked_before(moments: list[int], zone: str, starts: int) -> None:
    days = BusinessDays(zone, starts)
    for moment in moments:
        day, number = days.slot(moment)
        start, end = days.bounds(day)
        assert start <= moment < end
        assert start + number * SLOT_MS <= moment < start + (number + 1) * SLOT_MS
        assert number in days.slots(day)
