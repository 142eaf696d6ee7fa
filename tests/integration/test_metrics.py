"""What the processes of a running stack tell of themselves: figures that move with what happens, and words."""

import json
import signal
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import confluent_kafka as ck
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app import metrics
from app.metrics import PREFIX, SERVED, Metric
from app.topics import KITCHEN_COMMANDS, ORDER_COMMANDS, ORDER_EVENTS, ORDER_IDS_CHANGELOG, TABLES_CHANGELOG
from tests.display import display
from tests.stack import Stack

pytestmark = pytest.mark.stack

WITHIN = 60.0  # s
WORKED_OFF = 240.0  # s for a cook who has the tickets of all tests before this one to do first
ORDERS = 64  # so many behind one another in a partition that eight are timed
WORKERS = (("orders", 1), ("orders", 2), ("ledger", 1), ("kitchen", 1), ("kitchen", 2))
PARTS = ("edge", "log", "decision", "acknowledgement", "reply")


class Page:
    """What some processes serve, added up."""

    def __init__(self, stack: Stack, service: str, *indices: int) -> None:
        self.kinds: dict[str, str] = {}
        self.samples: list[tuple[str, Mapping[str, str], float]] = []
        for index in indices or [number for name, number in WORKERS if name == service]:
            port = stack.settings.ports.metrics_of(service, index)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                families = list(text_string_to_metric_families(answer.read().decode()))
            self.kinds |= {family.name: family.type for family in families}
            self.samples += [
                (sample.name, sample.labels, sample.value) for family in families for sample in family.samples
            ]

    def __call__(self, metric: Metric, **labels: str) -> float:
        """The sum of what bears these labels; of a histogram, how often it was observed."""
        name = metric.full_name + {"counter": "_total", "histogram": "_count", "gauge": ""}[metric.kind]
        found = [value for there, of, value in self.samples if there == name and labels.items() <= of.items()]
        return sum(found)

    def labels(self, metric: Metric, label: str) -> list[str]:
        """The values of a label, as often as they come."""
        return [of[label] for there, of, _ in self.samples if there == metric.full_name]


def eventually(check: Callable[[], object], within: float = WITHIN) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + within
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def health(stack: Stack, service: str, index: int = 1) -> tuple[int, Any]:
    """Status and body of a worker's readiness."""
    port = stack.settings.ports.of(service, index)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


class Guest:
    """A table of its own, and its pad."""

    def __init__(self, stack: Stack) -> None:
        self.table = f"M-{uuid.uuid4().hex[:8]}"
        self._stack, self._token = stack, stack.token(self.table)

    def order(self, version: int, token: str = "") -> int:
        """Order once; the status of the answer."""
        items = [{"menu_item_id": "m1", "quantity": 1}]
        body = {"table_number": self.table, "items": items, "version": version, "order_id": uuid.uuid4().hex}
        headers = {"Authorization": f"Bearer {token or self._token}"}
        request = urllib.request.Request(f"{self._stack.url}/orders", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code

    def read(self) -> None:
        """Read what was ordered, of which Cassandra is asked."""
        url = f"{self._stack.url}/tables/{self.table}/orders"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self._token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200


def is_written(stack: Stack) -> bool:
    """Whether the ledger has acknowledged all events that there are."""
    consumer = ck.Consumer({"bootstrap.servers": stack.settings.kafka_bootstrap, "group.id": "ledger"})
    try:
        places = [ck.TopicPartition(ORDER_EVENTS, number) for number in range(stack.settings.kafka.partitions)]
        ends = [consumer.get_watermark_offsets(place, timeout=10)[1] for place in places]
        return [max(0, place.offset) for place in consumer.committed(places, timeout=10)] == ends
    finally:
        consumer.close()


@contextmanager
def standing_still(stack: Stack, name: str) -> Iterator[None]:
    """A process that does nothing meanwhile."""
    stack.kill(name, signal.SIGSTOP)
    try:
        yield
    finally:
        stack.kill(name, signal.SIGCONT)


@pytest.mark.parametrize(("service", "index"), [*WORKERS, ("auditor", 1)])
def test_each_process_serves_what_it_is_said_to(stack: Stack, service: str, index: int) -> None:
    kinds = {name: kind for name, kind in Page(stack, service, index).kinds.items() if name.startswith(PREFIX)}
    assert kinds == {metric.full_name: metric.kind for metric in SERVED[service]}


def test_the_kitchen_tells_what_waits_for_it_and_what_cooks_do(stack: Stack) -> None:
    everyone = sorted(str(number) for number in range(stack.settings.kafka.partitions))
    before = Page(stack, "kitchen")
    with display(stack) as cook:
        guest = Guest(stack)
        assert [guest.order(version) for version in range(3)] == [201] * 3

        def all_served() -> bool:
            mine = cook.told_of(guest.table)
            return len(mine) >= 3 and all(ticket["state"] == "served" for ticket in mine)

        eventually(all_served, WORKED_OFF)
        eventually(lambda: Page(stack, "kitchen")(metrics.KITCHEN_STREAMS, kind="display") == 1)
    page = Page(stack, "kitchen")
    assert page(metrics.KITCHEN_MADE) - before(metrics.KITCHEN_MADE) == 3
    changed = {"outcome": "changed"}
    assert page(metrics.KITCHEN_DECIDED, **changed) - before(metrics.KITCHEN_DECIDED, **changed) >= 3 * 4
    eventually(lambda: nothing_lags(Page(stack, "kitchen")))
    page = Page(stack, "kitchen")
    assert sorted(page.labels(metrics.OWNED, "partition")) == everyone
    assert sorted(page.labels(metrics.LAG, "partition")) == sorted(everyone * 2)
    assert set(page.labels(metrics.LAG, "topic")) == {ORDER_EVENTS, KITCHEN_COMMANDS}
    assert page(metrics.READY) == 2
    eventually(lambda: Page(stack, "kitchen")(metrics.KITCHEN_STREAMS) == 0)


def test_what_is_declared_of_orders_streams_and_stores_is_served_by_some_worker(stack: Stack) -> None:
    served = {name for service in ("orders", "ledger") for name in Page(stack, service).kinds}
    for metric in (*metrics.ORDERS, *metrics.STREAMS, *metrics.STORES):
        assert metric.full_name in served


def test_orders_are_counted_by_outcome_and_timed_in_all_their_parts(stack: Stack) -> None:
    guest = Guest(stack)
    eventually(lambda: is_written(stack))
    before, ledger = Page(stack, "orders"), Page(stack, "ledger")
    assert [guest.order(version) for version in range(ORDERS)] == [201] * ORDERS
    assert (guest.order(0), guest.order(0, token="nobody's")) == (409, 401)
    after = Page(stack, "orders")
    expected = {"accepted": ORDERS, "version_conflict": 1, "unauthorized": 1, "unavailable": 0, "fault": 0}
    for outcome, count in expected.items():
        labels = {"outcome": outcome}
        assert after(metrics.ORDER_ANSWERED, **labels) - before(metrics.ORDER_ANSWERED, **labels) == count
    assert after(metrics.ORDER_ANSWER) - before(metrics.ORDER_ANSWER) == ORDERS + 2
    timed = {part: after(metrics.ORDER_PART, part=part) - before(metrics.ORDER_PART, part=part) for part in PARTS}
    assert {timed[part] for part in PARTS[1:]} <= {8, 9}  # of 64 or 65 commands in one partition
    assert 1 <= timed["edge"] <= 9

    def nothing_waits() -> bool:
        page = Page(stack, "orders")
        return page(metrics.ORDERS_WAITING) == page(metrics.COMMANDS_IN_FLIGHT) == 0

    def all_written() -> bool:
        page = Page(stack, "ledger")
        grown = {page(metric) - ledger(metric) for metric in (metrics.EVENTS_WRITTEN, metrics.EVENT_AGE)}
        return grown == {ORDERS} and page(metrics.LEDGER_HELD) == 0

    eventually(nothing_waits)
    eventually(all_written)


def nothing_lags(page: Page) -> bool:
    return page(metrics.LAG) == page(metrics.LAG_AGE) == 0


def test_every_partition_is_owned_once_and_nothing_stays_behind(stack: Stack) -> None:
    Guest(stack).order(0)
    everyone = sorted(str(number) for number in range(stack.settings.kafka.partitions))
    for service, topic in (("orders", ORDER_COMMANDS), ("ledger", ORDER_EVENTS)):
        eventually(lambda service=service: nothing_lags(Page(stack, service)))
        page = Page(stack, service)
        assert sorted(page.labels(metrics.OWNED, "partition")) == everyone
        assert page(metrics.OWNED) == len(everyone)
        assert sorted(page.labels(metrics.LAG, "partition")) == everyone
        assert set(page.labels(metrics.LAG, "topic")) == {topic}
        assert page(metrics.READY) == len([name for name, _ in WORKERS if name == service])
        assert page(metrics.REBALANCES) > 0
        assert page(metrics.LOOP_DELAY) > 0
    eventually(lambda: sorted(Page(stack, "orders").labels(metrics.CHANGELOG, "partition")) == sorted(everyone * 2))
    page = Page(stack, "orders")
    assert set(page.labels(metrics.CHANGELOG, "topic")) == {TABLES_CHANGELOG, ORDER_IDS_CHANGELOG}
    assert page(metrics.CHANGELOG, topic=TABLES_CHANGELOG) > 0


def test_requests_to_the_stores_are_counted(stack: Stack) -> None:
    guest = Guest(stack)
    orders, ledger = Page(stack, "orders"), Page(stack, "ledger")
    guest.order(0)
    guest.read()
    ok = {"result": "ok"}
    asked = Page(stack, "orders")
    for metric, labels in (
        (metrics.CASSANDRA_CALLS, {"kind": "read"} | ok),
        (metrics.CASSANDRA_CALL, {"kind": "read"}),
    ):
        assert asked(metric, **labels) > orders(metric, **labels)
    eventually(lambda: Page(stack, "orders")(metrics.REDIS_CALLS, **ok) > orders(metrics.REDIS_CALLS, **ok))
    written = {"kind": "write"} | ok
    eventually(
        lambda: Page(stack, "ledger")(metrics.CASSANDRA_CALLS, **written) > ledger(metrics.CASSANDRA_CALLS, **written)
    )


def test_a_dead_letter_is_counted_by_its_topic(stack: Stack) -> None:
    def counted() -> float:
        workers = [index for service, index in WORKERS if service == "orders"]
        return sum(Page(stack, "orders", index)(metrics.DEAD_LETTERS, topic=ORDER_COMMANDS) for index in workers)

    before = counted()
    # A command: an event would stand in the log that other tests audit.
    producer = ck.Producer({"bootstrap.servers": stack.settings.kafka_bootstrap})
    producer.produce(ORDER_COMMANDS, b"\xff", b"T1", 0)
    assert producer.flush(30) == 0
    eventually(lambda: counted() == before + 1)


@pytest.mark.parametrize(("service", "index"), WORKERS)
def test_health_is_ok_in_all_its_checks(stack: Stack, service: str, index: int) -> None:
    def all_ok() -> bool:
        status, body = health(stack, service, index)
        return (status, body["status"], set(body["checks"].values())) == (200, "ready", {"ok"})

    eventually(all_ok)


def waits(page: Page) -> bool:
    return page(metrics.LAG) == 5 and page(metrics.LAG_AGE) > 5


def test_what_waits_for_cassandra_is_told_with_its_age_and_makes_nobody_unready(stack: Stack) -> None:
    guest = Guest(stack)
    eventually(lambda: is_written(stack))
    with standing_still(stack, "cassandra-1"):
        assert [guest.order(version) for version in range(5)] == [201] * 5
        eventually(lambda: "is 5 records behind, for " in health(stack, "ledger")[1]["checks"]["lag"])
        assert health(stack, "ledger")[0] == 200
        assert Page(stack, "ledger")(metrics.READY) == 1
        eventually(lambda: waits(Page(stack, "ledger")))
    eventually(lambda: Page(stack, "ledger")(metrics.LAG) == 0)
    eventually(lambda: Page(stack, "ledger")(metrics.CASSANDRA_CALLS, kind="write", result="failed"))


def test_a_worker_that_takes_over_tells_how_long_that_took(stack: Stack) -> None:
    stack.tokens(*(f"M-{uuid.uuid4().hex[:8]}" for _ in range(16)))  # rows in every partition, more or less
    told = (metrics.REBALANCES, metrics.RECOVERY, metrics.RECOVERED)
    before = Page(stack, "orders", 1)
    killed = stack.kill("orders-2", signal.SIGKILL)
    stack.wait_ready("orders-2", other_than=killed)

    def taken_over() -> bool:
        page = Page(stack, "orders", 1)
        return all(page(metric) > before(metric) for metric in told)

    eventually(taken_over)
    fresh = (metrics.RECOVERY, metrics.RECOVERED)
    eventually(lambda: all(Page(stack, "orders", 2)(metric) for metric in fresh))
