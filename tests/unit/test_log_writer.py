"""What an owner writes, and what becomes of it: lanes, and librdkafka's producer against its own mock of a broker."""

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NoReturn

import confluent_kafka as ck
import pytest

from app.adapters import log_writer
from app.adapters.log_writer import KafkaCommands, KafkaLane, KafkaLogWriter
from app.adapters.owners import partition_of
from app.settings import Kafka, Orders, Settings

PARTITIONS = 4  # of each topic of librdkafka's mock


class EndedError(Exception):
    """The process would have ended."""


def fatal(reason: str) -> NoReturn:
    raise EndedError(reason)


class Wire:
    """A lane whose deliveries the test reports."""

    def __init__(self) -> None:
        self.reports: list[Any] = []
        self.refuses: Exception | None = None
        self.takes = 1_000
        writer: Any = SimpleNamespace(fatal=fatal, flush_soon=lambda lane: lane.flush())
        self.lane = KafkaLane(writer, self._produce, "rows", 1)

    def _produce(self, topic: str, records: list[dict[str, Any]], partition: int, on_delivery: Any) -> int:
        if self.refuses:
            raise self.refuses
        taken, left = records[: self.takes], records[self.takes :]
        self.reports += [on_delivery] * len(taken)
        for record in left:
            record["_error"] = "the queue is full"
        return len(taken)

    def send(self, count: int = 1) -> None:
        for _ in range(count):
            self.lane.send(b"T1", b"row")

    def deliver(self, offset: int) -> None:
        self.reports.pop(0)(None, SimpleNamespace(offset=lambda: offset))


def test_a_record_counts_as_acknowledged_when_kafka_says_so_and_not_before() -> None:
    wire = Wire()
    wire.send(2)
    assert (wire.lane.sent, wire.lane.acked) == (2, 0)
    wire.deliver(7)
    assert (wire.lane.sent, wire.lane.acked) == (2, 1)


def test_a_failed_delivery_ends_the_process() -> None:
    wire = Wire()
    wire.send()
    with pytest.raises(EndedError, match="rows/1 was not delivered"):
        wire.reports[0](ck.KafkaError(ck.KafkaError._MSG_TIMED_OUT), None)
    assert wire.lane.acked == 0


@pytest.mark.parametrize("refusal", [BufferError("full"), ck.KafkaException("no")])
def test_a_record_that_the_producer_does_not_take_ends_the_process(refusal: Exception) -> None:
    wire = Wire()
    wire.refuses = refusal
    with pytest.raises(EndedError, match="rows/1 were not taken"):
        wire.send()


def test_a_record_that_is_left_out_of_what_the_producer_takes_ends_the_process() -> None:
    wire = Wire()
    wire.takes = 0
    with pytest.raises(EndedError, match="rows/1 was not taken: the queue is full"):
        wire.send()


async def test_what_one_turn_of_the_loop_sends_goes_in_one_call_for_each_partition(
    configs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = KafkaLogWriter(settings(), fatal)
    calls: list[tuple[str, int, list[Any]]] = []
    monkeypatch.setattr(
        writer._producer,
        "produce_batch",
        lambda topic, records, partition, on_delivery: calls.append((topic, partition, records)) or len(records),
    )
    writer.bind(asyncio.get_running_loop())
    rows, events = writer.lane("rows", 1), writer.lane("events", 1)
    for number in range(3):
        rows.send(b"T1", b"row %d" % number)
        events.send(b"T1", None)
    assert not calls
    await asyncio.sleep(0)
    assert [(topic, partition, len(records)) for topic, partition, records in calls] == [
        ("rows", 1, 3),
        ("events", 1, 3),
    ]
    assert [record["value"] for record in calls[0][2]] == [b"row 0", b"row 1", b"row 2"]
    rows.send(b"T1", b"row 3")
    assert writer.stop(0) == 0  # what was sent in the last turn of all, too
    assert len(calls) == 3


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
    wire.deliver(8)  # 6 and 7 were not ours: a recovery that began behind 8 would never read them
    wire.deliver(9)
    assert wire.lane.known == 6
    wire.lane.read_up_to(10)
    assert wire.lane.known == 10


# ── librdkafka ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def configs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each producer is made with; its broker is a mock in its own process."""
    made: list[dict[str, Any]] = []

    def new(config: dict[str, Any]) -> ck.Producer:
        made.append(config)
        return ck.Producer({**config, "test.mock.num.brokers": 1})

    monkeypatch.setattr(log_writer, "Producer", new)
    return made


def settings(**more: Any) -> Settings:
    return Settings(kafka=Kafka(bootstrap="127.0.0.1:1"), **more)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it comes from another thread
            await asyncio.sleep(0.01)


async def test_the_loop_hears_of_deliveries_on_its_own_thread(configs: list[dict[str, Any]]) -> None:
    writer = KafkaLogWriter(settings(), fatal)
    threads: list[threading.Thread] = []
    writer.on_delivered(lambda: threads.append(threading.current_thread()))
    writer.bind(asyncio.get_running_loop())
    lane = writer.lane("rows", 2)
    assert writer.lane("rows", 2) is lane
    for _ in range(500):
        lane.send(b"T1", b"row")
    await until(lambda: lane.acked == 500 and threads)
    assert set(threads) == {threading.current_thread()}
    assert writer.stop(5) == 0


def test_rows_and_events_are_tried_for_ever_and_by_all_replicas(configs: list[dict[str, Any]]) -> None:
    KafkaLogWriter(settings(), fatal).stop(0)
    [config] = configs
    assert config["acks"] == "all"
    assert config["enable.idempotence"] is True  # without it, a retry may overtake what was sent after it
    assert config["message.timeout.ms"] == 0


def test_commands_go_to_the_partition_of_their_tables_owner(configs: list[dict[str, Any]]) -> None:
    commands = KafkaCommands(settings(), "commands")
    tables = [f"T{number}" for number in range(40)]
    for table in tables:
        commands.append(table.encode(), b"{}", lambda reason: pytest.fail(reason))
    producer = commands._producer._producer
    assert producer.flush(10) == 0
    [broker] = producer.list_topics(timeout=10).brokers.values()
    reader = ck.Consumer({"bootstrap.servers": f"{broker.host}:{broker.port}", "group.id": "test"})
    reader.assign([ck.TopicPartition("commands", partition, 0) for partition in range(PARTITIONS)])
    found = {}
    while len(found) < len(tables):
        [message] = reader.consume(1, timeout=10)
        found[message.key().decode()] = message.partition()
    reader.close()
    commands.stop(5)
    assert found == {table: partition_of(table, PARTITIONS) for table in tables}


def test_a_command_that_is_given_up_holds_up_no_other_partition(configs: list[dict[str, Any]]) -> None:
    KafkaCommands(settings(), "commands").stop(0)
    assert configs[0]["enable.idempotence"] is False  # an idempotent producer drains all partitions first


async def test_a_command_is_given_up_with_its_views_deadline() -> None:
    commands = KafkaCommands(settings(orders=Orders(view_deadline=1.0)), "commands")  # at a port where nobody listens
    failed: list[str] = []
    commands.append(b"T1", b"{}", failed.append)
    await until(lambda: failed)
    assert "timed out" in failed[0].lower()
    assert commands.stop(0) == 0


async def test_a_command_that_finds_no_room_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def small(config: dict[str, Any]) -> ck.Producer:
        return ck.Producer({**config, "queue.buffering.max.messages": 1})

    monkeypatch.setattr(log_writer, "Producer", small)
    commands = KafkaCommands(settings(), "commands")
    commands.bind(asyncio.get_running_loop())
    failed: list[str] = []
    for number in range(3):
        commands.append(b"T1", b"%d" % number, failed.append)
    await asyncio.sleep(0)
    assert len(failed) == 2
    assert "full" in failed[0].lower()
    commands.stop(0)


def test_commands_that_the_client_refuses_as_a_whole_fail_at_once(configs: list[dict[str, Any]]) -> None:
    commands = KafkaCommands(settings(), "commands")
    failed: list[str] = []

    def refuse(topic: str, records: list[dict[str, Any]]) -> int:
        raise ck.KafkaException(ck.KafkaError(ck.KafkaError._UNKNOWN_TOPIC))

    commands._producer.produce_batch = refuse
    commands.append(b"T1", b"{}", failed.append)
    assert len(failed) == 1
    assert commands.stop(0) == 0
