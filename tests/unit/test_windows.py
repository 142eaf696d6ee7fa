"""Sliding windows and hold-offs in virtual time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.windows import (
    IN_FLIGHT,
    MINUTE,
    SHORTEST_HOLD,
    Ask,
    HoldOffs,
    Judgement,
    Quota,
    Window,
    Windows,
    Writes,
)
from tests.limits import CHECKS, NOW, SOURCE, TABLE, Check, order

STEPS = st.lists(st.integers(0, 30_000), min_size=1, max_size=60)  # ms between one request and the next


class Here:
    """The rules in memory."""

    def __init__(self) -> None:
        self._writes = Writes(TABLE, SOURCE, keys=100)

    async def judge(self, ask: Ask, now: int) -> Judgement:
        return self._writes.judge(ask, now)

    async def give_back(self, ask: Ask, *, also_source: bool) -> None:
        self._writes.give_back(ask, also_source=also_source)

    async def accepted(self, ask: Ask, now: int) -> None:
        self._writes.accepted(ask, now)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_a_worker_alone(check: Check) -> None:
    await check(Here())


@given(STEPS, st.integers(1, 7))
def test_no_minute_whatever_its_begin_has_more_requests_than_may_be_and_none_is_refused_without_need(
    steps: list[int], most: int
) -> None:
    window, quota, now, taken = Window(), Quota("table", most), 0, list[int]()
    for number, step in enumerate(steps):
        now += step
        counted = [at for at in taken if at > now - MINUTE]
        standing = window.standing(quota, now)
        assert standing.left == most - len(counted) >= 0
        assert standing.reset == (min(counted) + MINUTE - now if counted else MINUTE)
        if standing.left:
            window.take(str(number), now)
            taken.append(now)


@given(STEPS)
def test_the_told_time_is_enough_and_no_longer_than_it_must_be(steps: list[int]) -> None:
    window, quota, now = Window(), Quota("table", 3), 0
    for number, step in enumerate(steps):
        now += step
        standing = window.standing(quota, now)
        if standing.left:
            window.take(str(number), now)
            continue
        looked = Window()
        looked._taken = dict(window._taken)
        assert looked.standing(quota, now + standing.reset - 1).left == 0
        assert looked.standing(quota, now + standing.reset).left > 0


def test_a_limit_that_was_lowered_waits_for_all_that_are_too_many() -> None:
    window = Window()
    for number in range(5):
        window.take(str(number), 1000 * number)
    assert window.standing(Quota("table", 2), 5000).reset == 3000 + MINUTE - 5000


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    windows, quota = Windows(keys=2), Quota("source", 1)
    windows.of("a", NOW).take("1", NOW)
    windows.of("b", NOW).take("2", NOW)
    windows.of("a", NOW)
    windows.of("c", NOW).take("3", NOW)
    assert [windows.of(key, NOW).standing(quota, NOW).left for key in ("a", "c")] == [0, 0]
    assert windows.of("b", NOW).standing(quota, NOW).left == 1


def test_who_has_asked_nothing_for_a_minute_takes_no_memory() -> None:
    windows = Windows(keys=100_000)
    for number in range(1000):
        windows.of(f"pad {number}", NOW + number).take("1", NOW + number)
    assert len(windows._windows) == 1000
    windows.of("another", NOW + 500 + MINUTE)
    assert len(windows._windows) == 500
    windows.give_back("pad 0", "1")
    assert "pad 0" not in windows._windows


def test_of_more_orders_than_are_remembered_the_oldest_is_forgotten() -> None:
    writes, orders = Writes(TABLE, SOURCE, keys=2), [order(mark=bytes([number])) for number in range(3)]
    for one in orders:
        writes.accepted(one, NOW)
    assert [writes.judge(one, NOW).is_known for one in orders] == [False, True, True]


def test_a_quota_of_nought_limits_nothing() -> None:
    writes = Writes(Quota("table", 0), Quota("source", 0), keys=9)
    assert {writes.judge(order(), NOW).refused for _ in range(1000)} == {""}


def test_who_keeps_still_for_as_long_as_told_is_let_in_again() -> None:
    holds = HoldOffs(longest=300_000, keys=9)
    assert holds.hold("pad", 12_000, NOW) == 12_000
    assert holds.wait("pad", NOW + 12_000) == 0
    assert holds.hold("pad", 0, NOW + 13_000) == SHORTEST_HOLD


def test_who_goes_on_is_held_off_twice_as_long_each_time_up_to_the_longest() -> None:
    holds, now, told = HoldOffs(longest=300_000, keys=9), NOW, []
    holds.hold("pad", 12_000, now)
    for _ in range(7):
        now += 2000
        told.append(holds.wait("pad", now))
    assert told == [24_000, 48_000, 96_000, 192_000, 300_000, 300_000, 300_000]
    assert holds.wait("pad", now + 300_000) == 0
    assert holds.wait("pad", now + 300_001) == 0


def test_what_was_sent_before_the_refusal_was_read_is_no_going_on() -> None:
    holds = HoldOffs(longest=300_000, keys=9)
    holds.hold("pad", 12_000, NOW)
    assert [holds.wait("pad", NOW + after) for after in (0, 1, IN_FLIGHT - 1)] == [12_000, 11_999, 11_001]


@given(STEPS, st.integers(1, 100_000))
def test_the_time_that_is_told_last_is_always_enough(steps: list[int], wait: int) -> None:
    holds, now = HoldOffs(longest=300_000, keys=9), NOW
    told = holds.hold("pad", wait, now)
    for step in steps:
        until, now = now + told, now + step
        told = holds.wait("pad", now)
        assert (told == 0) == (now >= until)
        if not told:
            return
        assert told <= max(300_000, wait, SHORTEST_HOLD)


def test_of_more_sources_than_are_remembered_the_oldest_is_let_go() -> None:
    holds = HoldOffs(longest=300_000, keys=2)
    for key in ("a", "b", "c"):
        holds.hold(key, 5000, NOW)
    assert [holds.wait(key, NOW) > 0 for key in ("a", "b", "c")] == [False, True, True]
