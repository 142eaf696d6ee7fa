"""What the limits owe a house: one suite, held against the rules in memory and against the script in Redis."""

import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from app.adapters.breaker import BatchBreaker, Breaker
from app.domain.breaker import BreakerRules
from app.domain.windows import REMEMBERED, Ask, Judgement, Quota

TABLE, SOURCE = Quota("table", 5), Quota("source", 12)


def guard(clock: Callable[[], float] = time.monotonic) -> BatchBreaker:
    """After one failure nobody asks for a second."""
    return BatchBreaker(Breaker("redis", BreakerRules(failures=1, open_for=1.0, longest=1.0), lambda _: True, clock))


class Writes(Protocol):
    """What judges, at the time that the test says."""

    async def judge(self, ask: Ask, now: int) -> Judgement: ...
    async def give_back(self, ask: Ask, *, also_source: bool) -> None: ...
    async def accepted(self, ask: Ask, now: int) -> None: ...


Check = Callable[[Writes], Awaitable[None]]
NOW = 1_800_000_000_000
_count = iter(range(1_000_000))


def order(table: str = "T1", source: str = "pad", mark: bytes = b"") -> Ask:
    """An order of its own; one with a mark may be sent again."""
    return Ask(source, f"r{next(_count)}", table, 1, mark)


async def five_orders_fit_and_the_sixth_waits_for_the_first_to_leave(writes: Writes) -> None:
    for second in range(5):
        judged = await writes.judge(order(), NOW + 1000 * second)
        assert (judged.refused, judged.table.left, judged.table.reset) == ("", 4 - second, 60_000 - 1000 * second)
    sixth = await writes.judge(order(), NOW + 10_000)
    assert (sixth.refused, sixth.wait) == ("table", 50_000)
    assert (await writes.judge(order(), NOW + 59_999)).refused == "table"
    assert (await writes.judge(order(), NOW + 60_000)).refused == ""
    assert (await writes.judge(order(), NOW + 60_000)).wait == 1000


async def a_table_that_is_refused_holds_up_no_other(writes: Writes) -> None:
    for _ in range(7):
        await writes.judge(order(), NOW)
    assert (await writes.judge(order("T2", "another"), NOW)).refused == ""


async def what_is_refused_counts_for_its_source_and_not_for_its_table(writes: Writes) -> None:
    judged = [await writes.judge(order(), NOW + step) for step in range(14)]
    assert [one.refused for one in judged] == [""] * 5 + ["table"] * 7 + ["source"] * 2
    assert (await writes.judge(order(), NOW + 60_000)).refused == ""


async def who_waits_as_long_as_told_is_let_in_by_table_and_source(writes: Writes) -> None:
    for step in range(13):
        last = await writes.judge(order(), NOW + 100 * step)
    assert last.refused == "source"
    assert (await writes.judge(order(), NOW + 1200 + last.wait)).refused == ""


async def what_is_given_back_lets_another_in(writes: Writes) -> None:
    asks = [order() for _ in range(5)]
    for ask in asks:
        await writes.judge(ask, NOW)
    await writes.give_back(asks[2], also_source=True)
    judged = await writes.judge(order(), NOW + 1)
    assert (judged.refused, judged.table.left, judged.source.left) == ("", 0, 7)
    assert (await writes.judge(order(), NOW + 1)).refused == "table"
    await writes.give_back(asks[0], also_source=False)
    judged = await writes.judge(order(), NOW + 1)
    assert (judged.refused, judged.source.left) == ("", 5)


async def an_accepted_order_is_free_at_a_table_that_is_full(writes: Writes) -> None:
    first = order(mark=b"soup")
    await writes.judge(first, NOW)
    await writes.accepted(first, NOW)
    for _ in range(5):
        await writes.judge(order(), NOW)
    again = await writes.judge(order(mark=b"soup"), NOW)
    assert (again.refused, again.is_known) == ("", True)
    assert (await writes.judge(order(mark=b"salad"), NOW)).refused == "table"
    assert (await writes.judge(order("T2", mark=b"soup"), NOW)).is_known is False


async def an_accepted_order_is_known_all_day(writes: Writes) -> None:
    first = order(mark=b"soup")
    await writes.accepted(first, NOW)
    assert (await writes.judge(order(mark=b"soup"), NOW + REMEMBERED - 60_000)).is_known is True


async def staff_have_no_table(writes: Writes) -> None:
    judged = [await writes.judge(Ask("manager", f"m{number}"), NOW) for number in range(13)]
    assert [one.refused for one in judged] == [""] * 12 + ["source"]
    assert judged[0].table.left == -1


CHECKS: tuple[Check, ...] = (
    five_orders_fit_and_the_sixth_waits_for_the_first_to_leave,
    a_table_that_is_refused_holds_up_no_other,
    what_is_refused_counts_for_its_source_and_not_for_its_table,
    who_waits_as_long_as_told_is_let_in_by_table_and_source,
    what_is_given_back_lets_another_in,
    an_accepted_order_is_free_at_a_table_that_is_full,
    an_accepted_order_is_known_all_day,
    staff_have_no_table,
)
