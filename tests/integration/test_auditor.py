"""The auditor beside a running stack: each of its alarms, raised for a real reason, and its silence."""

import json
import signal
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import confluent_kafka as ck
import msgspec
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.adapters.cassandra import new_cluster
from app.audit.log import Topic
from app.audit.store import TABLES
from app.domain.ids import order_id
from app.domain.row import Row, newer
from app.messages import Line, OrderPlaced, decode_event, encode
from app.topics import KITCHEN_APP, KITCHEN_TICKETS, ORDER_EVENTS, TABLES_CHANGELOG
from tests.conftest import GRACE
from tests.kitchen_told import messages
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.own_stack]

ORDERS = 5
WITHIN = 90.0  # s


@pytest.fixture(scope="module")
def stack(spoiled: Stack) -> Stack:
    """These tests leave behind what no audit should find."""
    return spoiled


@pytest.fixture(scope="module")
def cassandra(stack: Stack) -> Iterator[Any]:
    """A connection of an operator who can write."""
    cluster = new_cluster(stack.settings, timeout=30)
    yield cluster.connect(stack.settings.cassandra.keyspace)
    cluster.shutdown()


def append(stack: Stack, topic: str, table: str, value: bytes) -> None:
    """A record that no worker wrote."""
    producer = ck.Producer({"bootstrap.servers": stack.settings.kafka_bootstrap, "partitioner": "murmur2_random"})
    producer.produce(topic, value, table.encode())
    assert producer.flush(30) == 0


def figures(stack: Stack) -> dict[str, float]:
    """The auditor's metrics: name without prefix and unit's noise, of Cassandra by table."""
    port = stack.settings.ports.metrics_of("auditor")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    return {
        sample.labels.get("table", sample.name.removeprefix("bistro92_audit_")): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def until(stack: Stack, condition: Callable[[dict[str, float]], object]) -> dict[str, float]:
    """The figures once the condition holds."""
    deadline = time.monotonic() + WITHIN
    while True:
        found = figures(stack)
        if condition(found):
            return found
        assert time.monotonic() < deadline, f"{found}\n{stack.log('auditor-1')}"
        time.sleep(0.1)


def place(stack: Stack, orders: int = ORDERS) -> str:
    """Place orders at a table of its own, one after the other; the table's number."""
    table = f"A-{uuid.uuid4().hex[:8]}"
    headers = {"Authorization": f"Bearer {stack.token(table)}"}
    for version in range(orders):
        items = [{"menu_item_id": "m1", "quantity": 1}]
        body = {"table_number": table, "items": items, "version": version, "order_id": f"id-{version}"}
        request = urllib.request.Request(f"{stack.url}/orders", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 201
    return table


def event_of(table: str, client_id: str, offset: int) -> bytes:
    """The event of a table's first order."""
    line = Line("m1", "Soup", 1, 550)
    placed_at = int(time.time() * 1000)
    the_id = order_id(table, 1, client_id)
    return encode(OrderPlaced(the_id, client_id, table, 1, 1, (line,), 550, "EUR", placed_at, offset))


def stop_the_kitchen(stack: Stack) -> None:
    """Returns once its worker has ended: it still decides while it is stopped."""
    worker = psutil.Process(stack.pid("kitchen-1"))
    stack.command("scale", "kitchen=0")
    worker.wait(WITHIN)


def skip_for_the_kitchen(stack: Stack) -> None:
    """Commit for the kitchen, which does not run, that it has done what it has not."""
    consumer = ck.Consumer({"bootstrap.servers": stack.settings.kafka_bootstrap, "group.id": KITCHEN_APP})
    try:
        for number in range(stack.settings.kafka.partitions):
            end = consumer.get_watermark_offsets(ck.TopicPartition(ORDER_EVENTS, number), timeout=30)[1]
            place = ck.TopicPartition(ORDER_EVENTS, number, end)
            consumer.commit(offsets=[place], asynchronous=False)
    finally:
        consumer.close()


def event_at(stack: Stack, table: str, version: int) -> OrderPlaced:
    """What the log tells of a table's order."""
    topic = Topic(stack.settings.kafka_bootstrap, ORDER_EVENTS)
    try:
        events = [decode_event(message.value()) for message in topic.read()]
    finally:
        topic.close()
    return next(
        event for event in events if isinstance(event, OrderPlaced) and (event.table, event.version) == (table, version)
    )


def tell_tickets(stack: Stack, event: OrderPlaced) -> None:
    """Say what the kitchen would of an order."""
    for message in messages(event):
        append(stack, KITCHEN_TICKETS, event.table, message)


def all_verified(found: dict[str, float]) -> bool:
    counts = {found[f"{name}_orders"] for name in ("acknowledged", "event", "ticketed")}
    counts |= {found.get(table) for table in TABLES}  # none before the first check
    behind = ("unverified_events", "unwritten_events", "unwritten_age_seconds", "tickets_behind_orders")
    return len(counts) == 1 and not any(found[name] for name in behind)


def acknowledged(stack: Stack) -> int:
    """The orders that the rows count by now."""
    rows: dict[bytes, Row] = {}
    topic = Topic(stack.settings.kafka_bootstrap, TABLES_CHANGELOG)
    try:
        for message in topic.read():
            if message.value() is not None:
                rows[message.key()] = newer(rows.get(message.key()), Row.decode(message.value()))
    finally:
        topic.close()
    return sum(row.placed for row in rows.values())


def settled(stack: Stack, condition: Callable[[dict[str, float]], object] = lambda _: True) -> dict[str, float]:
    """The figures once they tell of all that stands by now, everything is verified, and the condition holds."""
    orders = acknowledged(stack)
    return until(
        stack,
        lambda found: found["acknowledged_orders"] == orders and all_verified(found) and condition(found),
    )


def test_what_was_acknowledged_is_what_the_log_tells_and_every_table_holds(stack: Stack) -> None:
    before = settled(stack)["acknowledged_orders"]
    place(stack)
    found = settled(stack)
    assert found["acknowledged_orders"] == before + ORDERS
    assert (found["lost_orders"], found["duplicated_orders"], found["differing_orders"]) == (0, 0, 0)
    assert abs(time.time() - found["check_timestamp_seconds"]) < WITHIN


@pytest.mark.parametrize("table", TABLES)
def test_a_row_that_is_gone_is_a_lost_order_until_it_is_back(stack: Stack, cassandra: Any, table: str) -> None:
    place(stack)
    settled(stack)
    result = cassandra.execute(f"SELECT * FROM {table} LIMIT 1")
    row = dict(zip(result.column_names, result.one(), strict=True))
    key = [column.name for column in cassandra.cluster.metadata.keyspaces[cassandra.keyspace].tables[table].primary_key]
    where = " AND ".join(f"{name} = %s" for name in key)
    cassandra.execute(f"DELETE FROM {table} WHERE {where}", [row[name] for name in key])

    def is_missed(found: dict[str, float]) -> bool:
        lacking = found["acknowledged_orders"] - found[table]
        return found["lost_orders"] == lacking == 1 and found["unwritten_age_seconds"] >= GRACE

    until(stack, is_missed)
    named = f"{row['order_id']} at table {row['table_number']}, session {row['session']}, version {row['version']}"
    assert f"{named} is lost: it is missing in {table}" in stack.whole_log("auditor-1")
    columns = ", ".join(row), ", ".join(["%s"] * len(row))
    cassandra.execute(f"INSERT INTO {table} ({columns[0]}) VALUES ({columns[1]})", list(row.values()))
    settled(stack, lambda found: not found["lost_orders"])
    assert f"{named} is found again" in stack.whole_log("auditor-1")


def test_an_order_that_its_row_accepted_is_lost_while_its_event_is_missing(stack: Stack) -> None:
    table = "GHOST"
    append(stack, TABLES_CHANGELOG, table, Row(session=1, version=1, placed=1, offset=0).encode())
    assert until(stack, lambda found: found["lost_orders"])["lost_orders"] == 1
    assert f"table {table}'s row counts 1 orders, the log 0" in stack.whole_log("auditor-1")
    append(stack, ORDER_EVENTS, table, event_of(table, "id-1", 0))
    found = settled(stack, lambda found: not found["lost_orders"])
    assert found["differing_orders"] == 0


def test_while_cassandra_stands_still_the_age_grows_and_nothing_is_lost(stack: Stack) -> None:
    before = settled(stack)
    stack.kill("cassandra-1", signal.SIGSTOP)
    try:
        began = time.time()
        place(stack)
        found = until(stack, lambda found: found["unwritten_age_seconds"] > 3 * GRACE)
        assert found["unwritten_age_seconds"] <= time.time() - began

        def all_told(found: dict[str, float]) -> bool:
            grown = {found[name] - before[name] for name in ("acknowledged_orders", "event_orders")}
            return grown == {ORDERS} and found["unwritten_events"] > ORDERS  # and its session's

        found = until(stack, all_told)
        assert (found["lost_orders"], found["orders_by_day"]) == (0, before["orders_by_day"])
        until(stack, lambda found: time.time() - found["check_timestamp_seconds"] > 3 * GRACE)
    finally:
        stack.kill("cassandra-1", signal.SIGCONT)
    later = began + 3 * GRACE
    found = settled(stack, lambda found: found["check_timestamp_seconds"] > later)
    assert (found["lost_orders"], found["duplicated_orders"]) == (0, 0)


def test_kafka_and_the_ledger_may_go_away_and_the_auditor_goes_on(stack: Stack) -> None:
    pid = stack.pid("auditor-1")
    waits = stack.whole_log("auditor-1").count("the audit waits")
    killed = {name: stack.kill(name, signal.SIGKILL) for name in ("kafka-1", "ledger-1")}
    back = time.time()
    for name, gone in killed.items():
        stack.wait_ready(name, other_than=gone)
    place(stack)
    found = settled(stack, lambda found: found["check_timestamp_seconds"] > back)
    assert (found["lost_orders"], found["duplicated_orders"]) == (0, 0)
    assert stack.pid("auditor-1") == pid
    log = stack.whole_log("auditor-1")
    assert log.count("the audit waits") <= waits + 1
    assert "rdkafka" not in log


def test_while_there_is_no_kitchen_its_orders_are_behind_and_not_lost(stack: Stack) -> None:
    before = settled(stack)
    stop_the_kitchen(stack)
    try:
        place(stack)
        found = until(stack, lambda found: found["tickets_behind_orders"] == ORDERS)
        until(stack, lambda now: now["check_timestamp_seconds"] > found["check_timestamp_seconds"] + 3 * GRACE)
        found = figures(stack)
        assert (found["ticketed_orders"], found["unticketed_orders"]) == (before["ticketed_orders"], 0)
        assert (found["lost_orders"], found["differing_orders"]) == (0, 0)
        done = stack.run("audit", "--wait", "0")
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.endswith(f" lost=0 duplicated=0 behind={ORDERS}\n")
    finally:
        stack.command("scale", "kitchen=1")
    found = settled(stack)
    assert found["lost_orders"] == 0


def test_an_order_without_its_tickets_is_lost_until_it_has_them(stack: Stack) -> None:
    settled(stack)
    stop_the_kitchen(stack)
    try:
        table = place(stack, orders=2)
        until(stack, lambda found: found["tickets_behind_orders"] == 2)
        skip_for_the_kitchen(stack)
        until(
            stack,
            lambda found: (
                found["unticketed_orders"] == found["lost_orders"] == 2 and found["tickets_behind_orders"] == 0
            ),
        )
        assert f"table {table} has 2 orders without all of their tickets" in stack.whole_log("auditor-1")
        done = stack.run("audit", "--wait", "0")
        assert done.returncode == 1
        assert " lost=2 duplicated=0" in done.stdout
        assert f"at table {table}, session 1, version 1 is missing in kitchen-tickets" in done.stderr
        for version in (1, 2):
            tell_tickets(stack, event_at(stack, table, version))
        settled(stack, lambda found: not found["lost_orders"])
    finally:
        stack.command("scale", "kitchen=1")
    assert f"table {table} has all of its tickets" in stack.whole_log("auditor-1")


def test_a_second_order_at_a_place_is_a_duplicate(stack: Stack) -> None:
    table = place(stack)
    settled(stack)
    append(stack, ORDER_EVENTS, table, event_of(table, "stranger", 10**9))
    found = until(stack, lambda found: found["duplicated_orders"] and found["unverified_events"] == 0)
    assert (found["duplicated_orders"], found["lost_orders"]) == (1, 0)
    stranger = f"{order_id(table, 1, 'stranger')} at table {table}, session 1, version 1"
    assert f"duplicated: {stranger}, orders_by_session has {order_id(table, 1, 'id-0')}" in stack.whole_log("auditor-1")
    round_of = found["round_timestamp_seconds"]
    found = until(stack, lambda found: found["round_timestamp_seconds"] > round_of + 2 * GRACE)
    assert (found["duplicated_orders"], found["lost_orders"]) == (1, 0)


def test_a_line_in_two_tickets_is_a_duplicate(stack: Stack) -> None:
    table = place(stack, orders=1)
    settled(stack)
    event = event_at(stack, table, 1)
    elsewhere = tuple(msgspec.structs.replace(line, station="elsewhere") for line in event.lines)
    tell_tickets(stack, msgspec.structs.replace(event, lines=elsewhere))
    found = until(stack, lambda found: found["duplicated_orders"] == 2)
    assert found["lost_orders"] == 0
    assert f"duplicated: {event.order_id}.elsewhere at table {table}" in stack.whole_log("auditor-1")


def test_a_restarted_auditor_begins_again_and_comes_to_the_same_figures(stack: Stack) -> None:
    before = settled(stack, lambda found: found["duplicated_orders"] == 2)
    killed = stack.kill("auditor-1", signal.SIGTERM)
    stack.wait_ready("auditor-1", other_than=killed)
    counted = (
        "acknowledged_orders",
        "event_orders",
        "ticketed_orders",
        *TABLES,
        "lost_orders",
        "duplicated_orders",
        "differing_orders",
    )
    checked = before["check_timestamp_seconds"]
    until(
        stack,
        lambda found: (
            all(found.get(name) == before[name] for name in counted) and found["check_timestamp_seconds"] > checked
        ),
    )
    assert "Traceback" not in stack.whole_log("auditor-1")
