"""What comes from a follower after it was asked for something else, or with a hole in it; without a broker."""

import asyncio
import gc
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar, NoReturn

import pytest
from confluent_kafka import Message, TopicPartition

from app.adapters.follower import Followed, Follower, _followed
from app.settings import Kafka, Settings

LAST = 99


class EndedError(Exception):
    """The process would have ended."""


def fatal(reason: str) -> NoReturn:
    raise EndedError(reason)


def records(*offsets: int) -> Any:
    return [SimpleNamespace(offset=offset) for offset in offsets]


class Agent:
    """Notes what comes."""

    def __init__(self) -> None:
        self.came: list[tuple[int, list[int]]] = []
        self.breaks = False
        settings = Settings(kafka=Kafka(bootstrap="127.0.0.1:1"))  # nobody listens there
        self.follower = Follower(settings, "commands", arrived=self._arrived, has_room=lambda: True, fatal=fatal)

    def _arrived(self, partition: int, batch: Sequence[Followed]) -> None:
        if self.breaks:
            raise RuntimeError("the queue is full")
        self.came.append((partition, [record.offset for record in batch]))
        if batch[-1].offset == LAST:
            self.follower.follow({})


@pytest.fixture
def agent() -> Iterator[Agent]:
    agent = Agent()
    yield agent
    agent.follower.stop()


async def test_what_was_under_way_when_something_else_was_asked_for_is_dropped(agent: Agent) -> None:
    agent.follower.follow({0: 5})
    agent.follower._arrive({0: records(5, 6)}, epoch=1)
    assert agent.came == [(0, [5, 6])]
    agent.follower.follow({0: 5})
    agent.follower._arrive({0: records(7)}, epoch=1)
    assert agent.came == [(0, [5, 6])]
    agent.follower._arrive({0: records(5)}, epoch=2)
    assert agent.came == [(0, [5, 6]), (0, [5])]


async def test_a_stop_between_two_partitions_of_a_batch_holds_for_the_second(agent: Agent) -> None:
    agent.follower.follow({0: 5, 1: 5})
    agent.follower._arrive({0: records(LAST), 1: records(5)}, epoch=1)
    assert agent.came == [(0, [LAST])]


@pytest.mark.parametrize("second", [(8,), (6, 8), (5,)])
async def test_a_record_that_does_not_come_ends_the_process(agent: Agent, second: tuple[int, ...]) -> None:
    agent.follower.follow({0: 3, 1: 3})
    agent.follower._arrive({0: records(4, 5), 1: records(40)}, epoch=1)  # what is older has left the log
    with pytest.raises(EndedError, match="of commands/0"):
        agent.follower._arrive({0: records(*second)}, epoch=1)
    agent.follower.follow({0: 3})
    agent.follower._arrive({0: records(4)}, epoch=2)
    assert agent.came[-1] == (0, [4])


async def test_what_cannot_be_handed_over_ends_the_process(agent: Agent) -> None:
    agent.follower.follow({0: 3})
    agent.breaks = True
    with pytest.raises(EndedError, match="the queue is full"):
        agent.follower._arrive({0: records(3)}, epoch=1)


class StalledConsumer:
    """The first one made gives nothing of a partition of ten records; the next one does."""

    made: ClassVar[list["StalledConsumer"]] = []

    def __init__(self, _config: object) -> None:
        self.made.append(self)
        self.at: int | None = None
        self.closed = False

    def assign(self, places: Sequence[TopicPartition]) -> None:
        [place] = places
        self.at = place.offset

    def unassign(self) -> None:
        self.at = None

    def poll(self, patience: float) -> Message | None:
        if self.at is None or self.at > 9 or (len(self.made) == 1 and self.at == 7):
            time.sleep(min(patience, 0.001))
            return None
        self.at += 1
        return Message(topic="commands", partition=0, offset=self.at - 1, key=b"T1", value=b"{}", timestamp=(2, 5_000))

    def consume(self, _most: int, timeout: float) -> list[Message]:
        assert timeout == 0
        return []

    def get_watermark_offsets(self, _place: TopicPartition, timeout: float) -> tuple[int, int]:
        assert timeout
        return 0, 10

    def close(self) -> None:
        self.closed = True


async def test_records_that_do_not_come_are_followed_anew_from_where_they_are_due(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StalledConsumer, "made", [])
    monkeypatch.setattr("app.adapters.follower.Consumer", StalledConsumer)
    monkeypatch.setattr("app.adapters.follower.LOOK_SECONDS", 0.05)
    agent.follower.follow({0: 5})
    async with asyncio.timeout(10):
        while sum(len(offsets) for _, offsets in agent.came) < 5:  # noqa: ASYNC110 - a thread of its own gives them
            await asyncio.sleep(0.01)
    assert [offset for _, offsets in agent.came for offset in offsets] == [5, 6, 7, 8, 9]
    await asyncio.sleep(0.2)
    assert [consumer.closed for consumer in StalledConsumer.made] == [True, False], "there is nothing more"


def test_a_record_is_all_of_its_message_and_nothing_that_the_collector_walks() -> None:
    message = Message(topic="commands", partition=3, offset=7, key=b"T1", value=b"{}", timestamp=(2, 5_000))
    record = _followed(message)
    assert not gc.is_tracked(record)
    assert record.headers == ()
    place = (record.topic, record.partition, record.offset, record.timestamp)
    assert (*place, record.key, record.value) == ("commands", 3, 7, 5_000, b"T1", b"{}")
    message.set_headers([("a", b"1")])
    assert list(_followed(message).headers) == [("a", b"1")]
