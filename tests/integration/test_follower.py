"""Following partitions as their records come, on real Kafka."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from app.adapters.fatal import end_process
from app.adapters.follower import BATCH, Followed, Follower
from tests.integration.conftest import until
from tests.stack import Stack

pytestmark = pytest.mark.stack

Append = Callable[[int, int], None]


class Agent:
    """What comes, and whether more may come."""

    def __init__(self, stack: Stack, topic: str) -> None:
        self.found: dict[int, list[int]] = defaultdict(list)
        self.values: list[bytes | None] = []
        self.has_room = True
        self.asked = 0  # how often it was asked for room
        self.follower = Follower(
            stack.settings, topic, arrived=self._arrived, has_room=self._has_room, fatal=end_process
        )

    def _has_room(self) -> bool:
        self.asked += 1
        return self.has_room

    def _arrived(self, partition: int, records: Sequence[Followed]) -> None:
        self.found[partition] += [record.offset for record in records]
        self.values += [record.value for record in records]
        assert {(record.partition, tuple(record.headers)) for record in records} == {(partition, ())}
        assert all(record.key == b"key" and record.timestamp > 10**12 for record in records)


@pytest.fixture
def topic(stack: Stack) -> str:
    """Two partitions without a record."""
    name = f"test-{uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": stack.settings.kafka_bootstrap})  # kept: its answers end with it
    for made in admin.create_topics([NewTopic(name, 2, 1)], operation_timeout=30).values():
        made.result()
    return name


@pytest.fixture
def append(stack: Stack, topic: str) -> Append:
    """Appends so many records to a partition."""
    producer = Producer({"bootstrap.servers": stack.settings.kafka_bootstrap})
    count = 0

    def send(partition: int, number: int) -> None:
        nonlocal count
        for _ in range(number):
            producer.produce(topic, str(count), b"key", partition)
            count += 1
        assert producer.flush(30) == 0

    return send


@pytest.fixture
async def agent(stack: Stack, topic: str) -> AsyncIterator[Agent]:
    agent = Agent(stack, topic)
    yield agent
    await agent.follower.stop()


async def test_each_record_comes_once_and_in_order_from_where_it_was_asked_for(agent: Agent, append: Append) -> None:
    append(0, 2 * BATCH + 3)
    append(1, 5)
    agent.follower.follow({0: None, 1: 2})
    await until(lambda: len(agent.found[0]) == 2 * BATCH + 3 and len(agent.found[1]) == 3)
    assert agent.found == {0: list(range(2 * BATCH + 3)), 1: [2, 3, 4]}
    append(1, 2)
    await until(lambda: len(agent.found[1]) == 5)
    assert agent.found[1] == [2, 3, 4, 5, 6]


async def test_what_is_asked_for_anew_comes_again_and_nothing_else(agent: Agent, append: Append) -> None:
    append(0, 3)
    append(1, 3)
    agent.follower.follow({0: None, 1: None})
    await until(lambda: len(agent.values) == 6)
    agent.found.clear()
    agent.follower.follow({0: 1})
    await until(lambda: len(agent.found[0]) == 2)
    append(1, 1)
    append(0, 1)
    await until(lambda: len(agent.found[0]) == 3)
    assert agent.found == {0: [1, 2, 3]}
    agent.follower.follow({})
    append(0, 1)
    agent.follower.follow({1: 3})
    await until(lambda: 1 in agent.found)
    assert agent.found == {0: [1, 2, 3], 1: [3]}


async def test_who_has_no_room_is_given_nothing_until_there_is_some(agent: Agent, append: Append) -> None:
    agent.has_room = False
    agent.follower.follow({0: None, 1: None})
    append(0, 1)
    append(1, 1)
    await until(lambda: agent.asked > 10)
    assert not agent.found
    agent.has_room = True
    await until(lambda: len(agent.values) == 2)
    assert agent.found == {0: [0], 1: [0]}


async def test_an_offset_that_is_gone_means_the_first_that_stands(agent: Agent, append: Append) -> None:
    append(0, 2)
    agent.follower.follow({0: 1000})
    await until(lambda: len(agent.found[0]) == 2)
    assert agent.found[0] == [0, 1]
