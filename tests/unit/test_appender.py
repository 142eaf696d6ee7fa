"""Records into Kafka: what goes into which request, and what becomes of it; at the end on librdkafka's mock broker."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NoReturn

import confluent_kafka as ck
import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    NotLeaderForPartitionError,
    RequestTimedOutError,
)
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from app.adapters import appender, brokers
from app.adapters.appender import BATCH_BYTES, Appender, Outbox
from app.adapters.brokers import NOBODY, Brokers
from app.settings import Kafka, Settings

NOT_LEADER = NotLeaderForPartitionError.errno
TOO_LARGE = 10
PRODUCER, EPOCH = 77, 3


class EndedError(Exception):
    """The process would have ended."""


def fatal(reason: str) -> NoReturn:
    raise EndedError(reason)


@dataclass
class Sent:
    """One request, which waits for its answer."""

    node: int
    batches: dict[tuple[str, int], Any]
    answer: "asyncio.Future[Any]"

    def records(self, topic: str, partition: int) -> list[bytes | None]:
        return [record.value for record in self.batches[topic, partition]]

    def take(self, first: int = 0, **codes: int) -> None:
        """Answer: each partition took it at `first`; but for the topics named with an error's code."""
        self.answer.set_result(
            [(topic, partition, codes.get(topic, 0), first) for topic, partition in self.batches],
        )

    def fail(self, error: Exception) -> None:
        self.answer.set_exception(error)


class Client:
    """In the place of aiokafka's: the test says who leads what, and answers."""

    def __init__(self, leaders: dict[tuple[str, int], int]) -> None:
        self.leaders = leaders
        self.sent: list[Sent] = []
        self.refusals = 0  # attempts to connect that fail
        self.updates = 0  # times that it was asked who leads what
        self.topics: set[str] = set()
        self.closed = 0
        self.closing = asyncio.Event()
        self.closing.set()
        self.away: set[int] = set()  # brokers that cannot be reached
        self.cluster = self
        self._sync_task = asyncio.ensure_future(asyncio.Event().wait())

    async def bootstrap(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise KafkaError("nobody there")

    def get_random_node(self) -> int:
        return 1

    async def set_topics(self, topics: set[str]) -> None:
        self.topics |= topics

    def add_topic(self, topic: str) -> None:
        self.topics.add(topic)

    def leader_for_partition(self, place: TopicPartition) -> int | None:
        return self.leaders.get((place.topic, place.partition))

    async def _updated(self) -> bool:
        return True

    def force_metadata_update(self) -> "asyncio.Future[bool]":
        self.updates += 1
        return asyncio.ensure_future(self._updated())

    async def send(self, node: int, request: Any) -> Any:
        del node, request
        return SimpleNamespace(error_code=0, producer_id=PRODUCER, producer_epoch=EPOCH)

    async def produce(self, node: int, batches: Iterable[tuple[str, int, bytes]], replicas_ms: int) -> Any:
        assert replicas_ms
        found = {(topic, partition): _batches(data)[0] for topic, partition, data in batches}
        one = Sent(node, found, asyncio.get_running_loop().create_future())
        self.sent.append(one)
        return await one.answer

    async def reach(self, node: int) -> bool:
        await asyncio.sleep(0)
        return node not in self.away

    async def close(self) -> None:
        self.closed += 1
        await self.closing.wait()


def _batches(data: bytes) -> Sequence[Any]:
    records = MemoryRecords(data)
    found = []
    while (batch := records.next_batch()) is not None:
        found.append(Whole(batch))
    assert len(found) == 1  # Kafka refuses more
    return found


class Whole:
    """A batch with its records, which can be read once."""

    def __init__(self, batch: Any) -> None:
        assert batch.validate_crc()
        self.producer = batch.producer_id, batch.producer_epoch, batch.base_sequence
        self._records = list(batch)

    def __iter__(self) -> Any:
        return iter(self._records)


class Scene:
    """An appender with outboxes `rows/0`, `events/0` and `rows/1`, of which another broker leads the last."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, is_idempotent: bool = True) -> None:
        self.client = Client({("rows", 0): 1, ("events", 0): 1, ("rows", 1): 2})
        monkeypatch.setattr(brokers, "AIOKafkaClient", lambda **_: self.client)
        monkeypatch.setattr(Brokers, "produce", lambda _, *what: self.client.produce(*what))
        monkeypatch.setattr(Brokers, "reach", lambda _, node: self.client.reach(node))
        for module in (appender, brokers):
            monkeypatch.setattr(module, "RETRY_SECONDS", 0.001)
        self.heard: list[tuple[str, int, Any]] = []  # place, how many, and the first one's offset or why not
        self.told = 0
        self.ended: list[str] = []
        self.appender = Appender(
            Settings(kafka=Kafka(bootstrap="127.0.0.1:1")),
            "test",
            self._end,  # type: ignore[arg-type] # it would not return
            is_idempotent=is_idempotent,
            delivered=self._delivered,
        )
        self.rows, self.events, self.others = (
            self._outbox("rows", 0),
            self._outbox("events", 0),
            self._outbox("rows", 1),
        )

    def _outbox(self, topic: str, partition: int) -> Outbox:
        name = f"{topic}/{partition}"
        return self.appender.outbox(
            topic,
            partition,
            lambda offset, count: self.heard.append((name, count, offset)),
            lambda count, reason: self.heard.append((name, count, reason)),
        )

    def _delivered(self) -> None:
        self.told += 1

    def _end(self, reason: str) -> None:
        self.ended.append(reason)

    async def start(self) -> "Scene":
        self.appender.start(asyncio.get_running_loop())
        await until(lambda: self.client.topics)
        return self

    async def request(self, number: int) -> Sent:
        """The request of this number, from 0."""
        await until(lambda: len(self.client.sent) > number)
        return self.client.sent[number]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - several things bring it about
            await asyncio.sleep(0.001)


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    scene = Scene(monkeypatch)
    await scene.start()
    yield scene
    await scene.appender.stop(0)
    assert not scene.ended


async def test_what_one_turn_sends_is_one_request_to_each_broker(scene: Scene) -> None:
    for number in range(3):
        scene.rows.send(b"T1", b"row %d" % number)
        scene.events.send(b"T1", None)
    scene.others.send(b"T2", b"elsewhere")
    assert not scene.client.sent
    first, second = await scene.request(0), await scene.request(1)
    assert (first.node, second.node) == (1, 2)
    assert first.records("rows", 0) == [b"row 0", b"row 1", b"row 2"]
    assert first.records("events", 0) == [None] * 3
    assert second.records("rows", 1) == [b"elsewhere"]
    first.take(7)
    await until(lambda: scene.told)
    assert scene.heard == [("rows/0", 3, 7), ("events/0", 3, 7)]  # whatever the other broker does


async def test_what_comes_meanwhile_shares_the_next_request(scene: Scene) -> None:
    scene.rows.send(b"T1", b"one")
    first = await scene.request(0)
    scene.rows.send(b"T1", b"two")
    scene.events.send(b"T1", b"three")
    scene.rows.send(b"T1", b"four")
    await asyncio.sleep(0.01)
    assert len(scene.client.sent) == 1
    first.take(0)
    second = await scene.request(1)
    assert second.records("rows", 0) == [b"two", b"four"]
    assert second.records("events", 0) == [b"three"]
    second.take(1)
    await until(lambda: len(scene.heard) == 3)
    assert len(scene.client.sent) == 2


async def test_each_batch_continues_the_sequence_of_its_partition(scene: Scene) -> None:
    for number, count in enumerate((2, 3, 1)):
        for _ in range(count):
            scene.rows.send(b"T1", b"row")
        request = await scene.request(number)
        assert request.batches["rows", 0].producer == (PRODUCER, EPOCH, (0, 2, 5)[number])
        request.take(0)
        await until(lambda told=number + 1: scene.told == told)


@pytest.mark.parametrize(
    "error",
    [
        RequestTimedOutError(),
        NodeNotReadyError("not connected"),
        KafkaConnectionError("it broke"),
    ],
)
async def test_what_was_not_answered_is_sent_again_as_it_was(scene: Scene, error: Exception) -> None:
    scene.rows.send(b"T1", b"one")
    first = await scene.request(0)
    scene.rows.send(b"T1", b"two")
    first.fail(error)
    again = await scene.request(1)
    assert again.records("rows", 0) == [b"one"]
    assert again.batches["rows", 0].producer == first.batches["rows", 0].producer  # so that it is taken once
    assert scene.client.updates
    again.take(4)
    last = await scene.request(2)
    assert last.records("rows", 0) == [b"two"]
    assert last.batches["rows", 0].producer == (PRODUCER, EPOCH, 1)
    last.take(5)
    await until(lambda: len(scene.heard) == 2)
    assert scene.heard == [("rows/0", 1, 4), ("rows/0", 1, 5)]


async def test_what_its_broker_no_longer_leads_goes_to_the_one_that_does(scene: Scene) -> None:
    scene.rows.send(b"T1", b"row")
    scene.events.send(b"T1", b"event")
    first = await scene.request(0)
    scene.client.leaders["rows", 0] = 2
    first.take(3, rows=NOT_LEADER)
    again = await scene.request(1)
    assert (again.node, list(again.batches)) == (2, [("rows", 0)])
    again.take(9)
    await until(lambda: len(scene.heard) == 2)
    assert scene.heard == [("events/0", 1, 3), ("rows/0", 1, 9)]


@pytest.mark.parametrize("answers", [True, False])
async def test_no_second_broker_is_asked_while_the_one_before_has_not_answered(scene: Scene, answers: bool) -> None:
    scene.rows.send(b"T1", b"one")
    first = await scene.request(0)
    scene.client.leaders["rows", 0] = 2
    scene.rows.send(b"T1", b"two")
    scene.others.send(b"T2", b"elsewhere")
    other = await scene.request(1)
    assert list(other.batches) == [("rows", 1)]
    other.take(0)
    await until(lambda: scene.heard)
    await asyncio.sleep(0.02)
    assert len(scene.client.sent) == 2
    if answers:
        first.take(7)
        last = await scene.request(2)
    else:
        first.fail(RequestTimedOutError())
        again = await scene.request(2)
        assert (again.node, again.records("rows", 0)) == (2, [b"one"])
        again.take(7)
        last = await scene.request(3)
    assert (last.node, last.records("rows", 0)) == (2, [b"two"])
    last.take(8)
    await until(lambda: len(scene.heard) == 3)
    assert scene.heard[1:] == [("rows/0", 1, 7), ("rows/0", 1, 8)]


async def test_nothing_is_taken_out_before_its_broker_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene(monkeypatch, is_idempotent=False).start()
    now = asyncio.get_running_loop().time()
    scene.client.away = {1}
    scene.rows.send(b"T1", b"late", now + 0.2)
    scene.rows.send(b"T1", b"in time", now + 60)
    await until(lambda: scene.client.updates)
    assert scene.rows.left == 2
    await asyncio.sleep(0.25)
    scene.client.away = set()
    request = await scene.request(0)
    assert request.records("rows", 0) == [b"in time"]
    assert [heard[:2] for heard in scene.heard] == [("rows/0", 1)]
    request.take(0)
    assert await scene.appender.stop(1) == 0


async def test_what_waits_for_another_try_ends_with_its_deadline_before_what_came_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = await Scene(monkeypatch, is_idempotent=False).start()
    now = asyncio.get_running_loop().time()
    scene.rows.send(b"T1", b"first", now + 0.3)
    scene.rows.send(b"T1", b"first", now + 0.3)
    first = await scene.request(0)
    scene.rows.send(b"T1", b"second", now + 0.4)
    scene.client.leaders = {}
    first.take(0, rows=NOT_LEADER)
    await until(lambda: len(scene.heard) == 2)  # though no leader is known, and nothing can be sent
    assert [heard[:2] for heard in scene.heard] == [("rows/0", 2), ("rows/0", 1)]
    assert len(scene.client.sent) == 1
    assert await scene.appender.stop(1) == 0


async def test_what_can_never_be_taken_is_given_up_and_said(scene: Scene) -> None:
    scene.rows.send(b"T1", b"row")
    scene.rows.send(b"T1", b"row")
    (await scene.request(0)).take(0, rows=TOO_LARGE)
    await until(lambda: scene.heard)
    [(place, count, reason)] = scene.heard
    assert (place, count) == ("rows/0", 2)
    assert "TooLarge" in reason


async def test_a_record_waits_for_its_partitions_leader(scene: Scene) -> None:
    leaders, scene.client.leaders = scene.client.leaders, {("events", 0): 1, ("rows", 1): -1}
    scene.rows.send(b"T1", b"row")
    scene.others.send(b"T2", b"row")
    await until(lambda: scene.client.updates >= 2)
    scene.events.send(b"T1", b"event")
    (await scene.request(0)).take(0)  # nobody waits for those without one
    await until(lambda: scene.heard)
    scene.client.leaders = leaders
    for number in (1, 2):
        (await scene.request(number)).take(0)
    await until(lambda: len(scene.heard) == 3)
    assert NOBODY not in scene.appender._busy


async def test_what_is_overdue_is_not_sent_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene(monkeypatch, is_idempotent=False).start()
    now = asyncio.get_running_loop().time()
    scene.rows.send(b"T1", b"first", now + 60)
    first = await scene.request(0)
    scene.rows.send(b"T1", b"late", now - 1)
    scene.rows.send(b"T1", b"in time", now + 60)
    first.take(0)
    second = await scene.request(1)
    assert second.records("rows", 0) == [b"in time"]
    assert scene.heard == [("rows/0", 1, 0), ("rows/0", 1, "it was not sent in time")]
    assert second.batches["rows", 0].producer == (-1, -1, -1)
    second.take(1)
    await scene.appender.stop(1)


async def test_what_is_overdue_once_it_failed_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene(monkeypatch, is_idempotent=False).start()
    due = asyncio.get_running_loop().time() + 0.3
    scene.rows.send(b"T1", b"late", due)
    request = await scene.request(0)
    await until(lambda: asyncio.get_running_loop().time() > due)
    request.fail(RequestTimedOutError())
    await until(lambda: scene.heard)
    assert scene.heard[0][:2] == ("rows/0", 1)
    assert await scene.appender.stop(1) == 0
    assert len(scene.client.sent) == 1


async def test_it_connects_for_as_long_as_it_takes_and_gives_up_what_is_overdue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(monkeypatch)
    scene.client.refusals = 5
    scene.rows.send(b"T1", b"late", 0.0)
    scene.events.send(b"T1", b"kept")
    await scene.start()
    request = await scene.request(0)
    assert list(request.batches) == [("events", 0)]
    assert scene.heard == [("rows/0", 1, "it was not sent in time")]
    assert scene.client.closed == 5
    request.take(0)
    assert await scene.appender.stop(1) == 0


async def test_more_than_a_batch_holds_goes_in_several(scene: Scene) -> None:
    large = bytes(BATCH_BYTES // 3)
    for _ in range(5):
        scene.rows.send(b"T1", large)
    scene.events.send(b"T1", bytes(2 * BATCH_BYTES))  # alone, whatever its size
    first = await scene.request(0)
    assert len(first.records("rows", 0)) == 2
    assert len(first.records("events", 0)) == 1
    first.take(0)
    (await scene.request(1)).take(2)
    (await scene.request(2)).take(4)
    await until(lambda: sum(count for _, count, _ in scene.heard) == 6)


async def test_a_stop_waits_for_what_is_under_way_and_tells_what_is_left(scene: Scene) -> None:
    scene.rows.send(b"T1", b"row")
    scene.rows.send(b"T1", b"row")
    stopping = asyncio.ensure_future(scene.appender.stop(5))
    (await scene.request(0)).take(0)
    assert await stopping == 0
    scene.events.send(b"T1", b"too late")
    assert await scene.appender.stop(0) == 1
    assert len(scene.client.sent) == 1


async def test_a_stop_ends_although_a_broker_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appender, "CLOSE_SECONDS", 0.05)
    scene = await Scene(monkeypatch).start()
    scene.rows.send(b"T1", b"row")
    await scene.request(0)
    scene.client.closing.clear()
    async with asyncio.timeout(5):
        assert await scene.appender.stop(0) == 1


async def test_a_stop_ends_while_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.client.refusals = 1_000_000
    scene.appender.start(asyncio.get_running_loop())
    await until(lambda: scene.client.closed > 2)
    async with asyncio.timeout(5):
        assert await scene.appender.stop(0) == 0


async def test_metadata_that_is_no_longer_read_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.client._sync_task.cancel()
    failing = asyncio.get_running_loop().create_future()
    scene.client._sync_task = failing  # type: ignore[assignment]
    await scene.start()
    failing.set_exception(RuntimeError("the handler is closed"))
    await until(lambda: scene.ended)
    assert "metadata" in scene.ended[0]
    await scene.appender.stop(0)


async def test_sequences_begin_anew_after_the_last_one(scene: Scene) -> None:
    scene.rows.sequence = 2**31 - 1
    scene.rows.send(b"T1", b"row")
    scene.rows.send(b"T1", b"row")
    (await scene.request(0)).take(0)
    await until(lambda: scene.told)
    assert scene.rows.sequence == 1


async def test_a_fault_of_its_own_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await Scene(monkeypatch).start()
    scene.rows.send(b"T1", b"row")
    (await scene.request(0)).answer.set_exception(ValueError("unforeseen"))
    await until(lambda: scene.ended)
    assert "unforeseen" in scene.ended[0]
    await scene.appender.stop(0)


@pytest.mark.parametrize("is_idempotent", [True, False])
async def test_a_broker_takes_what_is_sent(is_idempotent: bool) -> None:
    mock = ck.Producer({"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 3})
    brokers = mock.list_topics(timeout=10).brokers.values()
    address = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    for topic in ("rows", "events"):
        mock.list_topics(topic, timeout=10)  # the mock makes it
    sender = Appender(Settings(kafka=Kafka(bootstrap=address)), "test", fatal, is_idempotent=is_idempotent)
    found: dict[tuple[str, int], list[tuple[int, int]]] = {}
    outboxes = []
    for topic in ("rows", "events"):
        for partition in range(4):
            heard = found[topic, partition] = []
            outboxes.append(
                sender.outbox(
                    topic, partition, lambda *told, heard=heard: heard.append(told), lambda *why: fatal(str(why))
                )
            )
    sender.start(asyncio.get_running_loop())
    for number in range(200):
        for outbox in outboxes:
            outbox.send(b"T%d" % number, b"value", math.inf)
        await asyncio.sleep(0)
    assert await sender.stop(10) == 0
    for told in found.values():
        assert sum(count for _, count in told) == 200
        assert [offset for offset, _ in told] == [sum(count for _, count in told[:n]) for n in range(len(told))]
    reader = ck.Consumer({"bootstrap.servers": address, "group.id": "test"})
    reader.assign([ck.TopicPartition("rows", 3, 0)])
    keys = [message.key() for message in reader.consume(200, timeout=10)]
    reader.close()
    assert keys == [b"T%d" % number for number in range(200)]
