"""What an owner writes and a view asks for, and what becomes of it, over an appender in the hand of the test."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from aiokafka.structs import TopicPartition

from app.adapters import log_writer
from app.adapters.log_writer import KafkaCommands, KafkaLane, KafkaLogWriter
from app.adapters.owners import partition_of
from app.settings import Orders, Settings


class EndedError(Exception):
    """The process would have ended."""


def fatal(reason: str) -> NoReturn:
    raise EndedError(reason)


class Outbox:
    """Keeps what it is given; the test says what becomes of it."""

    def __init__(self, topic: str, partition: int, delivered: Callable[..., None], failed: Callable[..., None]) -> None:
        self.place = TopicPartition(topic, partition)
        self.delivered = delivered
        self.failed = failed
        self.sent: list[tuple[bytes, bytes | None, float]] = []

    def send(self, key: bytes, value: bytes | None, due: float = -1) -> None:
        self.sent.append((key, value, due))


class Appender:
    """In the place of the one that ships."""

    def __init__(self, *_: Any, **options: Any) -> None:
        self.options = options
        self.outboxes: list[Outbox] = []
        self.started_on: Any = None

    def outbox(self, *given: Any) -> Outbox:
        self.outboxes.append(Outbox(*given))
        return self.outboxes[-1]

    def start(self, loop: Any) -> None:
        self.started_on = loop

    async def stop(self, seconds: float) -> int:
        return int(seconds)


class Wire:
    """A lane whose deliveries the test reports."""

    def __init__(self) -> None:
        appender: Any = Appender()
        self.lane = KafkaLane(appender, "rows", 1, fatal)
        [self.outbox] = appender.outboxes

    def send(self, count: int = 1) -> None:
        for _ in range(count):
            self.lane.send(b"T1", b"row")

    def deliver(self, offset: int, count: int = 1) -> None:
        self.outbox.delivered(offset, count)


def test_a_record_counts_as_acknowledged_when_kafka_says_so_and_not_before() -> None:
    wire = Wire()
    wire.send(3)
    assert (wire.lane.sent, wire.lane.acked) == (3, 0)
    wire.deliver(7, 2)
    assert (wire.lane.sent, wire.lane.acked) == (3, 2)
    assert wire.outbox.sent == [(b"T1", b"row", -1)] * 3  # without an end of its own


def test_a_failed_delivery_ends_the_process() -> None:
    wire = Wire()
    wire.send(2)
    with pytest.raises(EndedError, match="2 records for rows/1 were not delivered: too large"):
        wire.outbox.failed(2, "too large")
    assert wire.lane.acked == 0


def test_offsets_between_our_own_are_a_strangers_and_told_once() -> None:
    wire = Wire()
    wire.lane.read_up_to(5)
    wire.send(3)
    wire.deliver(5)
    assert wire.lane.strangers(6) == []
    wire.deliver(8)  # 6 and 7 were not ours
    wire.deliver(9)
    assert wire.lane.strangers(12) == [(6, 8), (10, 12)]
    assert wire.lane.strangers(12) == []
    wire.lane.look_again([(6, 8)])
    assert wire.lane.strangers(12) == [(6, 8)]


def test_what_is_not_acknowledged_yet_is_not_taken_for_a_strangers() -> None:
    wire = Wire()
    wire.lane.read_up_to(5)
    wire.send()
    assert wire.lane.strangers(6) == []
    wire.deliver(5)
    assert wire.lane.strangers(6) == []


def test_what_recovery_has_read_is_known() -> None:
    wire = Wire()
    wire.send(2)
    wire.deliver(1)
    wire.deliver(9)
    wire.lane.read_up_to(6)
    assert wire.lane.strangers(10) == [(6, 9)]


def test_what_is_known_ends_before_the_first_record_of_a_stranger_until_it_is_read() -> None:
    wire = Wire()
    wire.lane.read_up_to(5)
    wire.send(3)
    wire.deliver(5)
    assert wire.lane.known == 6
    wire.deliver(8, 2)  # 6 and 7 were not ours: a recovery that began behind 8 would never read them
    assert wire.lane.known == 6
    wire.lane.read_up_to(10)
    assert wire.lane.known == 10


# ── commands ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def appenders(monkeypatch: pytest.MonkeyPatch) -> list[Appender]:
    """Each appender that is made."""
    made: list[Appender] = []

    def new(*given: Any, **options: Any) -> Appender:
        made.append(Appender(*given, **options))
        return made[-1]

    monkeypatch.setattr(log_writer, "Appender", new)
    return made


async def started() -> KafkaCommands:
    commands = KafkaCommands(Settings(orders=Orders(view_deadline=2.0)), "commands", fatal)
    commands.start(asyncio.get_running_loop())
    return commands


async def test_rows_and_events_are_sent_again_without_being_taken_twice(appenders: list[Appender]) -> None:
    writer = KafkaLogWriter(Settings(), fatal)
    [appender] = appenders
    assert appender.options["is_idempotent"] is True  # else, a retry may be taken twice
    lane = writer.lane("rows", 2)
    assert writer.lane("rows", 2) is lane
    assert writer.lane("rows", 3) is not lane
    calls: list[int] = []
    writer.on_delivered(lambda: calls.append(1))
    writer.on_delivered(lambda: calls.append(2))
    appender.options["delivered"]()
    assert calls == [1, 2]
    writer.start(asyncio.get_running_loop())
    assert appender.started_on is asyncio.get_running_loop()
    assert await writer.stop(3) == 3


async def test_commands_go_to_the_partition_of_their_tables_owner(appenders: list[Appender]) -> None:
    commands = await started()
    tables = [f"T{number}" for number in range(40)]
    for table in tables:
        commands.append(table, b"{}", pytest.fail)
    [appender] = appenders
    found = {key.decode(): outbox.place.partition for outbox in appender.outboxes for key, _, _ in outbox.sent}
    assert found == {table: partition_of(table, Settings().kafka.partitions) for table in tables}
    assert {outbox.place.topic for outbox in appender.outboxes} == {"commands"}


async def test_a_command_is_given_up_with_its_views_deadline(
    appenders: list[Appender], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = await started()
    monkeypatch.setattr(commands, "_loop", SimpleNamespace(time=lambda: 100.0))
    commands.append("T1", b"{}", pytest.fail)
    [sent] = [sent for outbox in appenders[0].outboxes for sent in outbox.sent]
    assert sent == (b"T1", b"{}", 102.0)


async def test_who_asked_is_told_of_the_command_that_failed_and_of_no_other(appenders: list[Appender]) -> None:
    commands = await started()
    failed: list[tuple[int, str]] = []
    for number in range(5):
        commands.append("T1", b"{}", lambda reason, number=number: failed.append((number, reason)))
    [outbox] = [outbox for outbox in appenders[0].outboxes if outbox.sent]
    outbox.delivered(0, 2)
    assert not failed
    outbox.failed(2, "not in time")
    assert failed == [(2, "not in time"), (3, "not in time")]
    outbox.delivered(2, 1)
    assert len(failed) == 2
    assert await commands.stop(0) == 0
