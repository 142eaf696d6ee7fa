"""A stream goes on behind the last event, where it is looked for and however much there is."""

import asyncio
import random

from app.bench.displays import ALL, Display, following
from app.web.board import AT_ONCE, Board, Cursor, Entry
from app.web.ticket_streams import _told
from tests.kitchen_house import PARTITIONS, STATIONS, Kitchen, Log

PIECES = 7
AWAY = (PIECES - 1) * AT_ONCE + 10  # orders that come while a display is away
WITHIN = 8.0  # s: less than a beat after each piece


def board_of(log: Log, seed: int, kept: int = 20_000) -> Board:
    """A worker's board that has read the log, its partitions in an order of its own."""
    dice, board = random.Random(seed), Board(PARTITIONS, kept)
    board.begin("log1", [0] * PARTITIONS)
    rest = [[record for record in log.records if record[0] == partition] for partition in range(PARTITIONS)]
    while any(rest):
        for record in [records.pop(0) for records in dice.choices(rest, k=3) if records]:
            board.take(*record)
    return board


def all_of(cursor: Cursor) -> list[bytes]:
    taken: list[bytes] = []
    while cursor.is_behind:
        taken += cursor.take(lambda entry: [event for _, event in _told(entry)]).split(b"\n\n")[:-1]
    return taken


def test_whatever_a_client_has_it_is_told_of_exactly_the_rest_at_any_worker() -> None:
    log, dice = Log(), random.Random(11)
    for _ in range(150):
        log.place(dice.randrange(8))
    one, other = board_of(log, 1), board_of(log, 2)
    whole = all_of(Cursor(one, 0, [(0, 0)] * PARTITIONS))
    assert len(whole) == 150 * len(STATIONS)
    had: set[bytes] = set()
    for event in dice.sample(range(len(whole)), 40):
        event_id = whole[event].partition(b"\n")[0].removeprefix(b"id: ").decode()
        had = {told.partition(b"\n")[2] for told in whole[: event + 1]}
        for board in (one, other):
            cursor = board.after(event_id)
            assert cursor is not None
            rest = [told.partition(b"\n")[2] for told in all_of(cursor)]
            assert len(rest) == len(whole) - len(had)
            assert had.isdisjoint(rest)


def test_where_a_stream_goes_on_is_found_without_walking_through_what_it_has() -> None:
    log = Log()
    for number in range(400):
        log.place(number)
    board = board_of(log, 3, kept=300)
    looked_at: list[Entry] = []
    cursor = board.after(board.from_now().id)
    assert cursor is not None
    assert not cursor.is_behind
    places = ".".join(str(read - 1) for read in board.next)
    cursor = board.after(f"log1:{places}")
    assert cursor is not None
    while cursor.is_behind:
        cursor.take(lambda entry: looked_at.append(entry) or ())
    assert PARTITIONS <= len(looked_at) < 100


async def test_a_display_that_was_away_for_long_is_told_in_pieces_of_all_that_it_missed() -> None:
    async with Kitchen(seed=5).serving() as kitchen:
        display = Display(kitchen.url, "kitchen", ALL)
        async with following([display]):
            kitchen.log.place(1)
            async with asyncio.timeout(10):
                while not display.told:  # noqa: ASYNC110 - it looks by itself
                    await asyncio.sleep(0.01)
        for number in range(AWAY):
            kitchen.log.place(number % 8)
        async with asyncio.timeout(30):
            while any(board.next != kitchen.log.ends for board in kitchen.boards):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        async with asyncio.timeout(WITHIN), following([display]):
            while len(display.told) < len(STATIONS) * (AWAY + 1):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
    assert (len(display.snapshots), display.repeated, display.went_back) == (1, 0, 0)
    assert max(len(board.entries_from(0)) for board in kitchen.boards) == AT_ONCE
