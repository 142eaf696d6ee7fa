"""The flood that the overload bench sends: as much as is due, whatever becomes of it, and what is made of it."""

from pathlib import Path

import pytest

from app.bench.flood import flooding
from app.bench.load import LoadError, Plan
from app.bench.overload import recovered
from app.bench.series import Second
from app.bench.tally import Tally
from tests.unit.test_bench_load import Restaurant

TOKENS = [(f"T{number}", "token") for number in range(20)]


async def flooded(restaurant: Restaurant, rate: float = 300.0, seconds: float = 0.5, acks: Path | None = None) -> Tally:
    tally = Tally(acks)
    async with restaurant.open() as url, flooding(Plan(url=url, tokens=TOKENS, seconds=seconds), tally) as flood:
        tally.begin()
        await flood.run(rate, seconds)
        await flood.settle()
        tally.end()
        assert flood.unsent < rate * seconds / 2
    tally.close()
    return tally


async def test_each_table_orders_in_turn_and_every_order_stands_once(tmp_path: Path) -> None:
    restaurant = Restaurant()
    tally = await flooded(restaurant, acks=tmp_path / "acks")
    assert tally.violations == 0, tally.first_violations
    assert tally.statuses["201"] == sum(map(len, restaurant.tables.values())) > 50
    assert len(restaurant.tables) == len(TOKENS)
    assert len((tmp_path / "acks").read_text().splitlines()) == tally.statuses["201"]


async def test_what_is_refused_is_sent_again_when_its_turn_comes_and_not_before() -> None:
    restaurant = Restaurant("unavailable")
    tally = await flooded(restaurant)
    assert tally.violations == 0, tally.first_violations
    assert tally.statuses["503"] == restaurant.requests // 3
    assert sum(tally.statuses.values()) == restaurant.requests


async def test_a_connection_that_is_lost_is_made_anew() -> None:
    tally = await flooded(Restaurant("hangs up"))
    assert tally.violations == 0, tally.first_violations
    assert tally.statuses["lost"] > 5
    assert tally.statuses["201"] > 5


async def test_an_answer_that_breaks_the_contract_is_told() -> None:
    assert (await flooded(Restaurant("takes any version"))).violations == 0, "its versions are right"
    restaurant = Restaurant("marks no replay")
    assert (await flooded(restaurant)).violations == 0, "nothing was sent twice"


async def test_nobody_to_flood_is_no_flood() -> None:
    with pytest.raises(LoadError, match="does not answer"):
        async with flooding(Plan(url="http://127.0.0.1:1", tokens=TOKENS, seconds=1), Tally()):
            pass


def seconds(*p99: float) -> list[Second]:
    return [Second(at, 0 if ms < 0 else 10, ms) for at, ms in enumerate(p99)]


@pytest.mark.parametrize(
    ("p99", "after"),
    [((9, 9, 9), 0.0), ((900, 80, 20, 9), 2.0), ((900, 9, 80, 9), 3.0), ((9, 9, 80), None), ((-1, -1, 9), 2.0)],
)
def test_all_is_as_before_from_the_last_late_second_on(p99: tuple[float, ...], after: float | None) -> None:
    assert recovered(seconds(*p99), normal=50.0) == after
