"""What a stream goes on with: nothing is told twice, and nothing is left out, at whatever worker."""

import random
from collections.abc import Sequence

import pytest

from app.domain.decide import At
from app.domain.kitchen import NO_TABLE, KitchenTable, OrderChanged, decide_cancel, decide_change, decide_placed
from app.domain.row import BadRowError
from app.domain.tickets import KitchenOrder, TicketLine
from app.tables.kitchen import encode_order, encode_table, order_key, put_newer, table_key
from app.web.board import Board, Cursor, Entry
from tests.property.test_tickets import Command, Event

LOG = "abc"
LINES = (TicketLine("1", "m1", "Salmon", 1, "grill"), TicketLine("2", "m2", "Beer", 1, "bar"))
Record = tuple[int, int, bytes, bytes]  # partition, offset, key, value


def every_ticket(entry: Entry) -> Sequence[bytes]:
    return [f"data: {t.order.order_id[-3:]}.{t.station} {t.version}".encode() for t in entry.tickets()]


def of_the_bar(entry: Entry) -> Sequence[bytes]:
    return [event for event in every_ticket(entry) if b".bar " in event]


def changelog(seed: int, partitions: int = 2) -> list[Record]:
    """An evening's records of two partitions."""
    dice, records, offsets = random.Random(seed), [], [0] * partitions
    orders: dict[int, list[KitchenOrder]] = {0: [], 1: []}

    def put(partition: int, order: KitchenOrder) -> None:
        records.append((partition, offsets[partition], order_key(order.table, order.order_id), encode_order(order)))
        offsets[partition] += 1

    for step in range(60):
        partition, at = dice.randrange(partitions), At(step, 1000 + step)
        if dice.random() < 0.4 or not orders[partition]:
            event = Event(order_id=f"o{step:032x}", table=f"T{partition}", version=step + 1)
            decision: object = decide_placed(NO_TABLE, None, event, LINES, at)
        elif dice.random() < 0.2:
            order = dice.choice(orders[partition])
            event = Event(order_id=order.order_id, table=order.table)
            decision = decide_cancel(NO_TABLE, order, event, at)  # two tickets at once
        else:
            command = Command("bump", f"c{step}", station=dice.choice(["grill", "bar"]))
            decision = decide_change(dice.choice(orders[partition]), command, at)
        if isinstance(decision, OrderChanged):
            known = [order for order in orders[partition] if order.order_id != decision.order.order_id]
            orders[partition] = [*known, decision.order]
            put(partition, decision.order)
            if dice.random() < 0.2:
                put(partition, decision.order)  # said again
            if dice.random() < 0.2 and known:
                put(partition, dice.choice(known))
    return records


def interleaved(records: list[Record], seed: int) -> list[Record]:
    """The same, each partition in its order, as another worker may have read them."""
    dice, queues = random.Random(seed), [[r for r in records if r[0] == p] for p in (0, 1)]
    found = []
    while any(queues):
        found.append(dice.choice([queue for queue in queues if queue]).pop(0))
    return found


def events(told: bytes) -> list[tuple[str, str]]:
    """Id and data of each."""
    found = []
    for block in told.decode().split("\n\n")[:-1]:
        id_line, data = block.split("\n")
        found.append((id_line.removeprefix("id: "), data))
    return found


def board_of(records: list[Record], kept: int = 1000) -> Board:
    board = Board(2, kept)
    board.begin(LOG, [0, 0])
    for record in records:
        board.take(*record)
    return board


@pytest.mark.parametrize("select", [every_ticket, of_the_bar])
@pytest.mark.parametrize("seed", range(12))
def test_a_stream_that_breaks_off_anywhere_goes_on_at_any_worker(seed: int, select: object) -> None:
    records, dice = changelog(seed), random.Random(seed)
    boards = [board_of(interleaved(records, number)) for number in range(3)]
    start = f"{LOG}:0.0"
    cursor = boards[0].after(start)
    assert cursor is not None
    whole = sorted(data for _, data in events(cursor.take(select)))  # type: ignore[arg-type]
    assert len(whole) == len(set(whole))
    got: list[str] = []
    place = start
    for _ in range(200):
        again = dice.choice(boards).after(place)
        assert again is not None
        found = events(again.take(select))  # type: ignore[arg-type]
        if not found:
            break
        for _, data in (batch := found[: dice.randint(1, 4)]):  # then the connection breaks
            got.append(data)
        place = batch[-1][0]
    assert sorted(got) == whole


def test_versions_of_a_ticket_are_told_in_their_order() -> None:
    cursor = board_of(changelog(3)).after(f"{LOG}:0.0")
    assert cursor is not None
    versions: dict[str, int] = {}
    for _, data in events(cursor.take(every_ticket)):
        ticket, version = data.removeprefix("data: ").split()
        assert int(version) == versions.get(ticket, 0) + 1
        versions[ticket] = int(version)


def test_a_worker_that_lags_behind_the_client_tells_nothing_twice() -> None:
    records = changelog(5)
    ahead, behind = board_of(records), board_of(records[:20])
    cursor = ahead.after(f"{LOG}:0.0")
    assert cursor is not None
    told = events(cursor.take(every_ticket))
    middle = len(told) * 2 // 3
    late = behind.after(told[middle][0])
    assert late is not None
    got = [data for _, data in events(late.take(every_ticket))]
    for record in records[20:]:
        behind.take(*record)
    got += [data for _, data in events(late.take(every_ticket))]
    assert sorted(got) == sorted(data for _, data in told[middle + 1 :])
    assert late.id == f"{LOG}:{behind.next[0]}.{behind.next[1]}"


@pytest.mark.parametrize("place", ["", "other:0.0", f"{LOG}:0", f"{LOG}:0.0.0", f"{LOG}:0.x", f"{LOG}:-1.0", "1-2"])
def test_what_is_no_place_in_this_log_is_answered_with_a_snapshot(place: str) -> None:
    assert board_of(changelog(1)).after(place) is None


def test_who_was_away_too_long_is_answered_with_a_snapshot() -> None:
    board = board_of(changelog(1), kept=10)
    assert board.after(f"{LOG}:0.0") is None
    now = board.from_now()
    assert board.after(now.id) is not None
    slow = Cursor(board, 0, [(0, 0), (0, 0)])
    with pytest.raises(LookupError):
        slow.take(every_ticket)


def test_what_was_read_of_a_compacted_log_is_known_and_not_told() -> None:
    records = changelog(2)
    board = Board(2, 1000)
    for record in records:
        board.take(*record, is_recent=False)
    board.begin(LOG, [record[1] + 1 for p in (0, 1) for record in [[r for r in records if r[0] == p][-1]]])
    assert board.after(f"{LOG}:0.0") is None
    assert board.from_now().take(every_ticket) == b""
    assert len(board.open) + len(board.finished) == len({record[2] for record in records})


def test_an_older_record_changes_nothing_and_a_deletion_takes_all_away() -> None:
    board = Board(2, 1000)
    decision = decide_placed(NO_TABLE, None, Event(table="T0"), LINES, At(0, 1))
    assert isinstance(decision, OrderChanged)
    changed = decide_change(decision.order, Command("bump"), At(3, 4))
    assert isinstance(changed, OrderChanged)
    key, order_id = order_key("T0", decision.order.order_id), decision.order.order_id
    board.take(0, 0, key, encode_order(changed.order))
    board.take(0, 1, key, encode_order(decision.order))
    assert board.order("T0", order_id) == changed.order
    assert board.table_of(order_id) == "T0"
    assert list(board.open) == list(board.unseen) == [key]  # the bar has not seen it
    board.take(0, 2, key, None)
    assert (board.order("T0", order_id), board.table_of(order_id)) == (None, None)
    assert not (board.open)
    assert not (board.unseen)
    assert not (board.finished)
    assert board.next == [3, 0]


def test_a_tables_session_is_known_from_its_record() -> None:
    board = Board(2, 10)
    board.take(1, 0, table_key("T1"), encode_table(KitchenTable(3, 2, is_closed=True)))
    assert board.table("T1") == KitchenTable(3, 2, is_closed=True)
    assert board.table("T2") == NO_TABLE
    assert not (board.open)
    assert not (board.unseen)


@pytest.mark.parametrize("damaged", [b"", b"garbage" * 6, b"\x02" + bytes(40)], ids=("empty", "damaged", "newer"))
def test_a_record_that_cannot_be_read_takes_no_others_place(damaged: bytes) -> None:
    mine = encode_table(KitchenTable(3, 2, offset=7))
    records = {b"T1": mine}
    for key in (b"T1", b"T2"):
        with pytest.raises(BadRowError):
            put_newer(records, key, damaged)
    assert records == {b"T1": mine}
    assert not put_newer(records, b"T1", encode_table(KitchenTable(3, 1, offset=6)))
    assert put_newer(records, b"T1", again := encode_table(KitchenTable(3, 2, is_closed=True, offset=7)))
    assert records == {b"T1": again}
