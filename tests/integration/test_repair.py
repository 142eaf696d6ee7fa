"""The repair of a log that lost data, tried on empty topics in the place of the stack's own."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from app.adapters.topic_admin import make_topics
from app.audit import repair
from app.audit.log import Group, Topic
from app.audit.orders import Order, of_record
from app.bench import stack as bench
from app.drill.drills import sequence
from app.topics import KITCHEN_APP, KITCHEN_COMMANDS, ORDER_EVENTS, all_topics
from app.topics import Topic as Made
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.long]


@pytest.fixture
def empty(stack: Stack) -> Iterator[str]:
    """A topic of as many partitions as those keyed by table, without a record; there are orders that it lacks."""
    assert sequence.run(bench.Stack(stack.environment, stack.settings), orders=3).problems == []
    name, bootstrap = f"test-{uuid.uuid4().hex[:12]}", stack.settings.kafka_bootstrap
    made = Made(
        name, "table number", "a test", (), stack.settings.kafka.partitions, all_topics(stack.settings)[0].retention_ms
    )
    make_topics(bootstrap, [made], stack.settings.kafka_replication, lambda _: None)
    yield name
    admin = AdminClient({"bootstrap.servers": bootstrap})  # kept until it has answered: it takes its answers with it
    admin.delete_topics([name])[name].result()


def orders_in(stack: Stack, name: str) -> set[tuple[Order, int]]:
    """The orders of a log of events, each with its partition."""
    topic = Topic(stack.settings.kafka_bootstrap, name)
    found = [(of_record(message.key(), message.value()), message.partition()) for message in topic.read()]
    topic.close()
    return {(order, partition) for order, partition in found if order is not None}


def test_events_that_stand_in_cassandra_alone_are_appended_once(
    stack: Stack, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "ORDER_EVENTS", empty)
    wanted = orders_in(stack, ORDER_EVENTS)
    assert repair.append_lost_events(stack.settings) == len(wanted) >= 3
    assert orders_in(stack, empty) == wanted
    assert repair.append_lost_events(stack.settings) == 0


def test_events_that_may_have_left_by_their_age_stay_away(
    stack: Stack, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "ORDER_EVENTS", empty)
    kafka = stack.settings.kafka.model_copy(update={"event_days": 1e-9})
    assert repair.append_lost_events(stack.settings.model_copy(update={"kafka": kafka})) == 0


def wait_for_the_kitchen(stack: Stack) -> None:
    """Until it has decided on all that it was told: then its records stand still."""
    bootstrap = stack.settings.kafka_bootstrap
    events, commands, kitchen = (
        Topic(bootstrap, ORDER_EVENTS),
        Topic(bootstrap, KITCHEN_COMMANDS),
        Group(bootstrap, KITCHEN_APP),
    )
    deadline = time.monotonic() + 30
    while kitchen.lag(events) or kitchen.lag(commands):
        assert time.monotonic() < deadline, "the kitchen lags"
    for one in (events, commands, kitchen):
        one.close()


@pytest.mark.parametrize("log", repair.logs(), ids=lambda log: log.topic)
def test_commands_end_above_what_was_seen_and_above_what_the_workers_have_committed(
    stack: Stack, empty: str, log: repair.Decided
) -> None:
    wait_for_the_kitchen(stack)
    made_anew = replace(log, topic=empty, workers=f"{empty}-workers")
    needed = dict.fromkeys(range(stack.settings.kafka.partitions), 0)
    needed |= {partition: offset + 1 for partition, offset in repair.seen_offsets(stack.settings, log).items()}
    needed[0] += 5
    workers = Consumer({"bootstrap.servers": stack.settings.kafka_bootstrap, "group.id": made_anew.workers})
    workers.commit(offsets=[TopicPartition(empty, 0, needed[0])], asynchronous=False)
    workers.close()

    assert repair.raise_ends(stack.settings, made_anew, lambda _: None) == sum(needed.values()) > 5
    topic = Topic(stack.settings.kafka_bootstrap, empty)
    assert topic.ends() == needed
    topic.close()
    assert repair.raise_ends(stack.settings, made_anew, lambda _: None) == 0


def test_orders_that_the_kitchen_was_given_and_told_no_ticket_of_are_appended_to_its_log(
    stack: Stack, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_the_kitchen(stack)
    monkeypatch.setattr(repair, "KITCHEN_TICKETS", empty)
    monkeypatch.setattr(repair, "KITCHEN_COMMANDS", empty)
    wanted = orders_in(stack, ORDER_EVENTS)
    assert repair.append_lost_copies(stack.settings) >= len(wanted) >= 3
    assert orders_in(stack, empty) == wanted
