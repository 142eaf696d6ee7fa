"""Displays and cooks of the load generator at a kitchen in memory: what they count is what was told."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable

import pytest

from app.bench.cooks import cooking
from app.bench.displays import ALL, Cuts, Display, following, stations_of
from tests.kitchen_house import STATIONS, Kitchen

TOKEN = "kitchen"
WITHIN = 30.0  # s
CUTS = 40


class Scissors(Cuts):
    """Cuts after few bytes, and comes back at once."""

    def next(self) -> tuple[int, float] | None:
        after = super().next()
        return None if after is None else (min(after[0], 5_000), after[1])

    def pause(self) -> float:
        return 0.0


@pytest.fixture
async def kitchen() -> AsyncIterator[Kitchen]:
    async with Kitchen(seed=3).serving() as kitchen:
        yield kitchen


async def until(holds: Callable[[], bool], work: Callable[[], None] = lambda: None) -> None:
    async with asyncio.timeout(WITHIN):
        while not holds():
            work()
            await asyncio.sleep(0.002)


def is_told(display: Display, kitchen: Kitchen) -> bool:
    return display.told.keys() >= kitchen.log.versions(display.station)


async def test_whoever_cuts_the_connection_at_any_byte_lacks_nothing_and_is_told_of_nothing_twice(
    kitchen: Kitchen,
) -> None:
    dice = random.Random(7)
    steady = [Display(kitchen.url, TOKEN, station) for station in stations_of(3, STATIONS)]
    cutters = [Display(kitchen.url, TOKEN, station, cuts=Scissors(CUTS, 5)) for station in (ALL, *STATIONS)]
    async with (
        cooking(kitchen.url, TOKEN, 4, 3) as cooks,
        following([*steady, *cutters]),
    ):
        kitchen_display = Display(kitchen.url, TOKEN, ALL, heard=cooks.heard)
        async with following([kitchen_display]):
            displays = [*steady, *cutters, kitchen_display]

            def place() -> None:
                if dice.random() < 0.5:
                    kitchen.log.place(dice.randrange(8))

            await until(lambda: all(display.cut >= CUTS for display in cutters), place)
            await until(lambda: cooks.is_idle and all(is_told(display, kitchen) for display in displays))
    assert len(kitchen.log.orders) > 20
    assert cooks.wrong == []
    for display in displays:
        assert display.told.keys() == kitchen.log.versions(display.station)
        assert (display.repeated, display.went_back) == (0, 0)
    assert all(display.connections > CUTS for display in cutters)
    assert all(len(display.snapshots) == 1 and display.broken == 0 for display in steady)
    assert {state for _, state in kitchen_display.states.values()} == {"served"}


async def test_cooks_acknowledge_each_ticket_and_bump_it_as_often_as_they_are_told_to(kitchen: Kitchen) -> None:
    kitchen.log.place(1)
    async with (
        cooking(kitchen.url, TOKEN, 2, 1) as cooks,
        following([Display(kitchen.url, TOKEN, ALL, heard=cooks.heard)]),
    ):
        kitchen.log.place(2)
        await until(lambda: cooks.is_idle and cooks.answers["bump 200"] == 4)
    assert {ticket[1] for ticket in kitchen.log.versions(ALL)} == {1, 2, 3}
    assert cooks.wrong == []


def test_the_first_display_shows_all_and_the_others_a_station_each_in_turn() -> None:
    assert stations_of(4, STATIONS) == ["all", "grill", "bar", "grill"]
    assert stations_of(1, STATIONS) == ["all"]


def test_a_version_that_comes_again_or_late_is_counted() -> None:
    display = Display("http://127.0.0.1:1", TOKEN, ALL)
    for version in (1, 3, 3, 2):
        ticket = b'{"ticket_id":"o1.grill","version":%d,"state":"new","placed_at":"2026"}' % version
        display.feed(b"id: log:%d\nevent: ticket\ndata: %b\n\n" % (version, ticket))
    assert (display.repeated, display.went_back) == (1, 1)
    assert display.states == {"o1.grill": (3, "new")}


def test_half_an_event_counts_for_nothing_and_its_id_neither() -> None:
    display = Display("http://127.0.0.1:1", TOKEN, ALL)
    display.feed(b'id: log:7\nevent: snapshot\ndata: {"tickets":[]}\n\nid: log:8\nevent: ticket\ndata: {"tick')
    assert b"Last-Event-ID: log:7\r\n" in display.request()
    assert not display.told
