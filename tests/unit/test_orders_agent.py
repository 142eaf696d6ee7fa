"""The orders agent at its edges: what it refuses to take over, what ends it, and what it sets aside."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from app.agents.orders import OrdersAgent
from app.domain.row import CHUNK_IDS, NO_ROW, Chunk, Row, chunk_key, encode_id
from app.messages import Answer, OrderCancelled, PlaceOrder, decode_event, encode
from app.ports import Record, UnavailableError
from app.tables.rows import Chunks
from app.topics import ORDER_COMMANDS, ORDER_EVENTS, ORDER_IDS_CHANGELOG, TABLES_CHANGELOG
from tests.property.restaurant import cancel, close_session, open_session, place


class EndedError(BaseException):
    """The process would have ended."""


def fatal(reason: str) -> NoReturn:
    raise EndedError(reason)


class CountedLane:
    """A lane whose acknowledgements and strangers the test gives."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes | None]] = []
        self.acked = 0
        self.known = -1
        self.gaps: list[tuple[int, int]] = []

    @property
    def sent(self) -> int:
        return len(self.records)

    def send(self, key: bytes, value: bytes | None) -> None:
        self.records.append((key, value))

    def read_up_to(self, offset: int) -> None:
        self.known = offset

    def strangers(self, end: int) -> list[tuple[int, int]]:
        gaps, self.gaps = self.gaps, []
        return gaps

    def look_again(self, gaps: list[tuple[int, int]]) -> None:
        self.gaps += gaps


class House:
    """An agent with its tables, log, lanes, answers and dead letters."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.stale: dict[int, set[str]] = {}
        self.chunks: Chunks = {}
        self.lanes: dict[str, CountedLane] = {}
        self.ends = {ORDER_COMMANDS: 1_000, TABLES_CHANGELOG: 50}
        self.changelog: list[Record] = []
        self.away = False
        self.answers: list[Answer] = []
        self.noted: list[tuple[str, int, int, str, int]] = []
        self.set_aside: list[tuple[int, bytes | None]] = []
        self.letters_go = asyncio.Event()
        self.letters_go.set()
        self.done: list[int] = []
        self.delivered: Callable[[], None] = lambda: None
        rows: Any = SimpleNamespace(rows=lambda _: self.rows, stale=self.stale, read_up_to=lambda _: 40)
        chunks: Any = SimpleNamespace(chunks=lambda _: self.chunks, read_up_to=lambda _: 0)
        this: Any = self
        self.parts: list[tuple[str, float]] = []
        done = self.done.append
        self.agent = OrdersAgent(
            rows,
            chunks,
            this,
            this,
            this,
            this,
            fatal,
            lambda _, offset: done(offset),
            100,
            lambda _: 0,
            this,
            this,
        )

    def decided(self, command: PlaceOrder, partition: int, offset: int, outcome: str, version: int) -> None:
        self.noted.append((command.client_order_id, partition, offset, outcome, version))

    def lane(self, topic: str, partition: int) -> CountedLane:
        return self.lanes.setdefault(topic, CountedLane())

    def on_delivered(self, callback: Callable[[], None]) -> None:
        self.delivered = callback

    async def end(self, topic: str, partition: int) -> int:
        return self.ends[topic]

    async def read(self, topic: str, partition: int, start: int, stop: int) -> Sequence[Record]:
        if self.away:
            raise UnavailableError("no Kafka")
        return [record for record in self.changelog if start <= record.offset < stop]

    def give(self, reply_to: str, answer: Answer) -> None:
        self.answers.append(answer)

    def took(self, part: str, seconds: float) -> None:
        self.parts.append((part, seconds))

    async def put(self, record: Any, reason: str) -> None:
        await self.letters_go.wait()
        self.set_aside.append((record.offset, record.value))

    async def take_over(self) -> None:
        await self.agent.take_over({0})

    async def read_commands(self, *values: bytes, first: int = 0) -> None:
        """The agent takes these records as one fetch."""
        records = [
            SimpleNamespace(offset=first + n, timestamp=1_000, key=b"T1", value=value) for n, value in enumerate(values)
        ]

        class Stream:
            acked = True

            def noack(self) -> "Stream":
                self.acked = False
                return self

            async def events(self) -> AsyncIterator[Any]:
                assert not self.acked, "Faust would acknowledge what failed"
                yield SimpleNamespace(message=SimpleNamespace(partition=0), value=records)

        await self.agent.run(Stream())

    def acknowledge(self) -> None:
        for lane in self.lanes.values():
            lane.acked = lane.sent
        self.delivered()

    def sent(self, topic: str) -> list[Row]:
        return [Row.decode(value or b"") for _, value in self.lanes[topic].records]


ROW = replace(NO_ROW, session=1, is_open=True, offset=7)


@pytest.fixture
async def house() -> House:
    return House()


@pytest.mark.parametrize(("end", "is_taken"), [(7, False), (8, True)])
async def test_a_log_that_ends_before_a_row_is_not_taken_over(house: House, end: int, is_taken: bool) -> None:
    house.rows["T1"] = ROW
    house.ends[ORDER_COMMANDS] = end
    if is_taken:
        await house.take_over()
    else:
        with pytest.raises(EndedError, match="Restore the topic"):
            await house.take_over()
    assert list(house.agent.partitions) == [0] * is_taken


async def test_a_row_that_a_stranger_wrote_over_is_written_again_at_the_takeover(house: House) -> None:
    house.rows["T1"] = ROW
    house.stale[0] = {"T1"}
    await house.take_over()
    assert house.sent(TABLES_CHANGELOG) == [ROW]


async def test_order_ids_whose_chunk_did_not_arrive_are_sent_by_the_next_owner(house: House) -> None:
    ids = b"".join(encode_id(bytes([n]) * 16, bytes(8), n) for n in range(CHUNK_IDS))
    house.rows.update(T1=replace(ROW, version=CHUNK_IDS, offset=99, ids=ids), T2=ROW)
    await house.take_over()
    [(key, chunk)] = house.lanes[ORDER_IDS_CHANGELOG].records
    assert key == chunk_key("T1", 1, 0)
    assert Chunk.decode(0, chunk or b"").ids == ids


async def test_what_a_stranger_writes_while_the_worker_takes_over_is_looked_at_too(house: House) -> None:
    await house.take_over()
    assert house.lanes[TABLES_CHANGELOG].known == 40  # as far as recovery has read, though the end is 50


async def test_a_strangers_row_is_written_over_with_our_own_and_a_stranger_that_cannot_be_read_is_not_forgotten(
    house: House,
) -> None:
    house.rows.update(T1=ROW, T2=ROW)
    await house.take_over()
    house.changelog = [Record(41, 0, b"T1", b"older"), Record(42, 0, b"T9", b"not ours")]
    lane = house.lanes[TABLES_CHANGELOG]
    lane.gaps = [(41, 43)]
    house.away = True
    with pytest.raises(UnavailableError):
        await house.agent.repair()
    assert lane.records == []
    house.away = False
    await house.agent.repair()
    assert lane.records == [(b"T1", ROW.encode())]


async def test_a_command_of_newer_rules_ends_the_process_and_is_neither_answered_nor_done(house: House) -> None:
    await house.take_over()
    newer = encode(place("a")).replace(b'"schema":1', b'"schema":2')
    with pytest.raises(EndedError, match="offset 0"):
        await house.read_commands(newer)
    assert (house.answers, house.done, house.set_aside) == ([], [], [])


async def test_what_is_no_command_is_set_aside_before_it_is_done_and_the_next_one_goes_on(house: House) -> None:
    house.letters_go.clear()
    await house.take_over()
    reading = asyncio.create_task(house.read_commands(b"tip: 5", encode(open_session())))
    for _ in range(10):
        await asyncio.sleep(0)
    assert (house.set_aside, house.done) == ([], [])
    house.letters_go.set()
    await reading
    house.acknowledge()
    assert house.set_aside == [(0, b"tip: 5")]
    assert [answer.outcome for answer in house.answers] == ["opened"]
    assert house.done[-1] == 2


async def test_a_fault_of_ours_ends_the_process_and_acknowledges_nothing(house: House) -> None:
    await house.take_over()
    house.agent._rows = house.rows["T1"] = object()  # type: ignore[assignment]
    with pytest.raises(EndedError, match="the orders agent failed"):
        await house.read_commands(encode(place("a")))
    assert house.done == []


async def test_what_is_read_again_is_written_and_told_again(house: House) -> None:
    # The row in memory may be ahead of what Kafka has; the next owner's may not be.
    commands = [encode(open_session()), encode(place("a")), encode(close_session())]
    await house.take_over()
    await house.read_commands(*commands)
    house.acknowledge()
    row = house.rows["T1"]
    house.answers.clear()
    await house.read_commands(*commands)
    house.acknowledge()
    assert house.sent(TABLES_CHANGELOG)[3:] == [row, row, row]
    told = [value for _, value in house.lanes[ORDER_EVENTS].records]
    assert told[3:] == told[:3]
    assert [answer.outcome for answer in house.answers] == ["opened", "accepted", "closed"]


async def test_a_cancelled_order_is_told_of_and_nobody_waits_for_an_answer(house: House) -> None:
    commands = [encode(open_session()), encode(place("a")), encode(cancel(1)), encode(cancel(2))]
    await house.take_over()
    await house.read_commands(*commands)
    house.acknowledge()
    row = house.rows["T1"]
    assert (row.version, row.total, row.cancelled) == (1, 0, (1,))
    assert house.sent(TABLES_CHANGELOG)[2:] == [row]
    placed, cancelled = (decode_event(value) for _, value in house.lanes[ORDER_EVENTS].records[1:])
    assert isinstance(cancelled, OrderCancelled)
    assert (cancelled.order_id, cancelled.version) == (placed.order_id, placed.version)  # type: ignore[union-attr]
    assert [answer.outcome for answer in house.answers] == ["opened", "accepted"]
    assert house.done[-1] == 4
    await house.read_commands(*commands[2:3], first=2)
    assert house.sent(TABLES_CHANGELOG)[3:] == [row]
    assert [decode_event(value) for _, value in house.lanes[ORDER_EVENTS].records[3:]] == [cancelled]


async def test_after_a_rebalance_the_rest_of_a_fetch_is_left_to_the_next_owner(house: House) -> None:
    await house.take_over()
    await house.read_commands(encode(open_session()))
    house.agent.give_up()
    await house.read_commands(encode(place("a")), first=1)
    house.acknowledge()
    assert [answer.outcome for answer in house.answers] == ["opened"]  # what was decided is still answered
    assert house.done == []
    assert house.agent.in_flight == 0


async def test_a_takeover_that_a_rebalance_overtakes_takes_nothing_over(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rebalance(topic: str, partition: int) -> int:
        house.agent.give_up()
        return house.ends[topic]

    monkeypatch.setattr(house, "end", rebalance)
    assert not await house.agent.take_over({0, 1})
    assert house.agent.partitions == {}
    monkeypatch.undo()
    assert await house.agent.take_over({0})
    assert list(house.agent.partitions) == [0]


async def test_one_order_in_eight_is_timed_from_its_log_time_to_its_answer(house: House) -> None:
    await house.take_over()
    await house.read_commands(encode(open_session()), first=7)
    await house.read_commands(*(encode(place(f"{n}", version=n)) for n in range(9)), first=8)
    assert [part for part, _ in house.parts] == ["log", "decision"] * 2  # offsets 8 and 16; the log's time is 1970
    assert house.parts[0][1] > 1_000_000_000
    house.acknowledge()
    assert [part for part, _ in house.parts[4:]] == ["acknowledgement"] * 2
    assert all(seconds >= 0 for _, seconds in house.parts)
    timed = [number for number, answer in enumerate(house.answers[1:]) if answer.at]
    assert timed == [0, 8]
    assert {answer.outcome for answer in house.answers[1:]} == {"accepted"}


async def test_a_refusal_is_timed_too_and_an_opening_is_not(house: House) -> None:
    await house.take_over()
    await house.read_commands(encode(open_session()), first=8)
    await house.read_commands(encode(place("a", version=5)), first=16)
    house.acknowledge()
    assert [part for part, _ in house.parts] == ["log", "decision", "acknowledgement"]
    assert [bool(answer.at) for answer in house.answers] == [False, True]


async def test_the_journal_hears_of_each_decision_on_an_order_with_its_place(house: House) -> None:
    await house.take_over()
    await house.read_commands(encode(open_session()), encode(place("a")), encode(place("b")), encode(place("a")))
    assert house.noted == [
        ("a", 0, 1, "accepted", 1),
        ("b", 0, 2, "version_conflict", 1),
        ("a", 0, 3, "replayed", 1),
    ]
