"""The ledger against real Kafka and Cassandra: every event arrives in every table, whatever is killed meanwhile."""

import json
import signal
import time
import urllib.request
import uuid
from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Any

import confluent_kafka as ck
import pytest

from app.domain.ids import order_id
from app.messages import Event, Line, OrderPlaced, SessionClosed, SessionOpened, encode
from app.topics import DEAD_LETTERS, ORDER_EVENTS
from tests.integration.conftest import connected
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.own_stack]

TABLES = ("orders_by_id", "orders_by_session", "orders_by_day")
WITHIN = 120.0  # s; a Cassandra that was killed is back in less


@pytest.fixture(scope="module")
def stack(spoiled: Stack) -> Stack:
    """A stack whose log of events these tests write to themselves."""
    return spoiled


class Log:
    """`order-events` in the place of the orders service."""

    def __init__(self, stack: Stack) -> None:
        self.table = f"L-{uuid.uuid4().hex[:8]}"
        self._offset = 0
        self._producer = ck.Producer(
            {"bootstrap.servers": stack.settings.kafka_bootstrap, "partitioner": "murmur2_random"}
        )

    def orders(self, count: int, tables: int = 7) -> list[Event]:
        """The next orders of a few tables."""
        events: list[Event] = []
        for number in range(self._offset, self._offset + count):
            table, version = f"{self.table}-{number % tables}", number // tables + 1
            line = Line("m1", "Grilled Salmon", 2, 1899)
            placed = (order_id(table, 1, f"id-{version}"), f"id-{version}", table, 1, version, (line,), 3798, "EUR")
            events.append(OrderPlaced(*placed, placed_at=int(time.time() * 1000), offset=number))
        self._offset += count
        return events

    def append(self, events: Sequence[Event]) -> None:
        for event in events:
            self.append_raw(event.table, encode(event))
        self._producer.flush(30)

    def append_raw(self, table: str, value: bytes | None) -> None:
        self._producer.produce(ORDER_EVENTS, value, table.encode())

    def flush(self) -> None:
        assert self._producer.flush(30) == 0


@pytest.fixture
def log(stack: Stack) -> Log:
    return Log(stack)


def placed_in(stack: Stack, cassandra_table: str, log: Log) -> list[tuple[Any, ...]]:
    """(table, session, version, order id) of each of the log's orders in a Cassandra table."""
    with connected(stack.settings, stack.settings.cassandra.keyspace) as session:
        rows = session.execute(f"SELECT table_number, session, version, order_id FROM {cassandra_table}")
        return sorted(row for row in rows if row[0].startswith(log.table))


def eventually(check: Callable[[], None]) -> None:
    """Wait until it does not fail any more."""
    deadline = time.monotonic() + WITHIN
    while True:
        try:
            return check()
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def all_arrive(stack: Stack, log: Log, events: Sequence[Event]) -> None:
    """Each order stands in every table, and nothing else does."""
    expected = sorted(
        (event.table, event.session, event.version, event.order_id)
        for event in set(events)
        if isinstance(event, OrderPlaced)
    )

    def check() -> None:
        for table in TABLES:
            assert placed_in(stack, table, log) == expected

    eventually(check)


def committed(stack: Stack) -> dict[int, int]:
    """How far the ledger has acknowledged each partition."""
    consumer = ck.Consumer({"bootstrap.servers": stack.settings.kafka_bootstrap, "group.id": "ledger"})
    try:
        partitions = [ck.TopicPartition(ORDER_EVENTS, n) for n in range(stack.settings.kafka.partitions)]
        return {found.partition: max(0, found.offset) for found in consumer.committed(partitions, timeout=10)}
    finally:
        consumer.close()


def ends(stack: Stack) -> dict[int, int]:
    """The end of each partition."""
    consumer = ck.Consumer({"bootstrap.servers": stack.settings.kafka_bootstrap, "group.id": "nobody"})
    try:
        return {
            n: consumer.get_watermark_offsets(ck.TopicPartition(ORDER_EVENTS, n), timeout=10)[1]
            for n in range(stack.settings.kafka.partitions)
        }
    finally:
        consumer.close()


def dead_letters(stack: Stack) -> list[dict[str, Any]]:
    """Those of events; the kitchen has its own of what it copies."""
    consumer = ck.Consumer(
        {"bootstrap.servers": stack.settings.kafka_bootstrap, "group.id": "nobody", "auto.offset.reset": "earliest"}
    )
    try:
        _, end = consumer.get_watermark_offsets(ck.TopicPartition(DEAD_LETTERS, 0), timeout=10)
        consumer.assign([ck.TopicPartition(DEAD_LETTERS, 0, 0)])
        found = [json.loads(message.value()) for message in consumer.consume(end, timeout=10)]
        return [letter for letter in found if letter["topic"] == ORDER_EVENTS]
    finally:
        consumer.close()


def test_events_that_come_twice_stand_once_and_sessions_with_them(stack: Stack, log: Log) -> None:
    orders = log.orders(200)
    table = f"{log.table}-0"
    log.append([SessionOpened(table, 1, 1_790_000_000_000), *orders, SessionClosed(table, 1, 1_790_000_060_000)])
    log.append(orders[50:])
    all_arrive(stack, log, orders)

    def has_closed() -> None:
        with connected(stack.settings, stack.settings.cassandra.keyspace) as session:
            [row] = session.execute("SELECT opened_at, closed_at FROM sessions WHERE table_number = %s", (table,))
        assert (row[1] - row[0]).total_seconds() == 60

    eventually(has_closed)


def test_what_is_no_event_goes_to_the_dead_letters_and_the_next_order_goes_on(stack: Stack, log: Log) -> None:
    before = len(dead_letters(stack))
    first, last = log.orders(1, tables=1), log.orders(1, tables=1)
    rubbish = [b"\xff\x00", b"{}", b"", None, b"x" * 700_000]
    log.append(first)
    for value in rubbish:
        log.append_raw(f"{log.table}-0", value)
    log.append(last)
    all_arrive(stack, log, [*first, *last])

    def all_set_aside() -> None:
        assert len(dead_letters(stack)) >= before + len(rubbish)

    eventually(all_set_aside)
    letters = dead_letters(stack)[before:]
    assert [letter["size"] for letter in letters] == [2, 2, 0, 0, 700_000]
    assert [letter["value"] is None for letter in letters] == [False, False, False, True, False]
    assert b64decode(letters[0]["value"]) == rubbish[0]
    assert len({letter["partition"] for letter in letters}) == 1
    offsets = [letter["offset"] for letter in letters]
    assert offsets == list(range(offsets[0], offsets[0] + 5))
    assert all("not an event" in letter["reason"] for letter in letters)


def test_all_that_was_written_is_acknowledged(stack: Stack, log: Log) -> None:
    log.append(log.orders(50))

    def check() -> None:
        assert committed(stack) == ends(stack)

    eventually(check)


@pytest.mark.parametrize("name", ["cassandra-1", "ledger-1"])
def test_no_order_is_lost_when_a_process_is_killed(stack: Stack, log: Log, name: str) -> None:
    orders = log.orders(1500)
    log.append(orders[:500])
    first = orders[:500]

    def some_arrived() -> None:
        assert len(placed_in(stack, "orders_by_id", log)) >= len(first) // 2

    eventually(some_arrived)
    log.append(orders[500:1000])
    killed = stack.kill(name, signal.SIGKILL)
    log.append(orders[1000:])
    stack.wait_ready(name, other_than=killed)
    all_arrive(stack, log, orders)


def test_a_cassandra_that_answers_nobody_for_a_while_holds_the_ledger_up_but_loses_nothing(
    stack: Stack, log: Log
) -> None:
    orders = log.orders(600)
    log.append(orders[:200])
    ledger, message = stack.pid("ledger-1"), "cassandra takes no orders, trying on"
    before = stack.whole_log("ledger-1").count(message)
    stack.kill("cassandra-1", signal.SIGSTOP)
    try:
        log.append(orders[200:])
        port = stack.settings.ports.of("ledger")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            assert answer.status == 200  # the ledger waits; starting it anew would help nobody

        def noticed() -> None:
            assert stack.whole_log("ledger-1").count(message) == before + 1

        eventually(noticed)
    finally:
        stack.kill("cassandra-1", signal.SIGCONT)
    all_arrive(stack, log, orders)
    assert stack.pid("ledger-1") == ledger


def test_ledgers_come_and_go_while_orders_flow(stack: Stack, log: Log) -> None:
    orders = log.orders(1200)
    log.append(orders[:400])
    stack.command("scale", "ledger=2")
    log.append(orders[400:800])
    stack.command("scale", "ledger=1")
    log.append(orders[800:])
    all_arrive(stack, log, orders)
