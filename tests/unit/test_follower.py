"""What comes from a follower: in order, once, without a hole, and only what is wanted; the test plays the brokers."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, NoReturn

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from app.adapters import brokers, follower
from app.adapters.brokers import NOBODY, Brokers
from app.adapters.follower import BATCH, Followed, Follower
from app.settings import Kafka, Settings

OUT_OF_RANGE, NOT_LEADER = 1, 6
Answer = list[tuple[int, int, int, bytes]]


class EndedError(Exception):
    """The process would have ended."""


def batch(first: int, count: int, *, bad: bool = False) -> bytes:
    """Records as they are stored, from the offset `first` on."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 10_000_000)
    for number in range(count):
        builder.append(number, 5_000, b"T1", b"%d" % (first + number), [])
    data = bytearray(builder.build())
    data[:8] = first.to_bytes(8)
    if bad:
        data[-1] ^= 1
    return bytes(data)


class House:
    """Partitions that two brokers lead, whose answers the test gives; or, with `stored`, what there is."""

    def __init__(self) -> None:
        self.leaders = {0: 1, 1: 1}
        self.stored: dict[int, Sequence[bytes]] | None = None
        self.starts = {0: 0, 1: 0}
        self.fetches: list[tuple[int, dict[int, int], asyncio.Future[Answer]]] = []
        self.hung_up: list[int] = []
        self.looks = 0
        self.updates: list[BaseException] = []

    async def connect(self, topics: Sequence[str]) -> bool:
        assert topics == ["commands"]
        return True

    async def reach(self, node: int) -> bool:
        assert node != NOBODY
        return True

    async def fetch(self, node: int, topic: str, places: Mapping[int, int], *_: int) -> Answer:
        assert topic == "commands"
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.fetches.append((node, dict(places), answer))
        return await answer

    async def first_offsets(self, node: int, topic: str, partitions: Sequence[int]) -> Mapping[int, int]:
        assert (node, topic) == (1, "commands")
        return {partition: self.starts[partition] for partition in partitions}

    def hang_up(self, node: int) -> None:
        self.hung_up.append(node)
        for asked, _, answer in self.fetches:
            if asked == node and not answer.done():
                answer.set_exception(KafkaConnectionError("hung up"))

    async def look_for_leaders(self, _: object) -> None:
        self.looks += 1
        await asyncio.sleep(0.001)

    async def wait_after(self, errors: Sequence[BaseException]) -> None:
        self.updates += errors
        await asyncio.sleep(0.001)

    async def asked(self, number: int) -> tuple[int, dict[int, int], "asyncio.Future[Answer]"]:
        """The fetch of this number, from 0."""
        await until(lambda: len(self.fetches) > number)
        return self.fetches[number]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - several things bring it about
            await asyncio.sleep(0.001)


class Agent:
    """Notes what comes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.house = House()
        for name in ("connect", "reach", "fetch", "first_offsets", "look_for_leaders", "wait_after"):
            monkeypatch.setattr(Brokers, name, lambda _, *what, name=name: getattr(self.house, name)(*what))
        monkeypatch.setattr(Brokers, "hang_up", lambda _, node: self.house.hang_up(node))
        monkeypatch.setattr(Brokers, "leader", lambda _, place: self.house.leaders.get(place.partition, NOBODY))
        monkeypatch.setattr(Brokers, "is_connected", True)
        for module in (brokers, follower):
            monkeypatch.setattr(module, "RETRY_SECONDS", 0.001)
        self.came: list[tuple[int, list[int]]] = []
        self.records: list[Followed] = []
        self.breaks = False
        self.has_room = True
        self.stops_at: int | None = None
        self.ended: list[str] = []
        settings = Settings(kafka=Kafka(bootstrap="127.0.0.1:1"))  # nobody listens there
        self.follower = Follower(
            settings, "commands", arrived=self._arrived, has_room=lambda: self.has_room, fatal=self._fatal, **options
        )

    def _fatal(self, reason: str) -> NoReturn:
        self.ended.append(reason)
        raise EndedError(reason)

    def _arrived(self, partition: int, records: Sequence[Followed]) -> None:
        if self.breaks:
            raise RuntimeError("the queue is full")
        self.came.append((partition, [record.offset for record in records]))
        self.records += records
        if self.stops_at == records[-1].offset:
            self.follower.follow({})


@pytest.fixture
async def agent(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Agent]:
    agent = Agent(monkeypatch)
    yield agent
    await agent.follower.stop()


async def test_one_fetch_asks_for_all_that_a_broker_leads_and_goes_on_where_it_ended(agent: Agent) -> None:
    agent.follower.follow({0: 5, 1: 7})
    node, places, answer = await agent.house.asked(0)
    assert (node, places) == (1, {0: 5, 1: 7})
    answer.set_result([(0, 0, 8, batch(5, 3)), (1, 0, 7, b"")])
    assert (await agent.house.asked(1))[1] == {0: 8, 1: 7}
    assert agent.came == [(0, [5, 6, 7])]
    [first, *_] = agent.records
    place = (first.topic, first.partition, first.offset, first.timestamp, first.key, first.value, tuple(first.headers))
    assert place == ("commands", 0, 5, 5_000, b"T1", b"5", ())
    assert not gc.is_tracked(first), "the collector would walk thousands"


async def test_a_batch_that_is_sent_whole_is_given_from_where_it_was_asked_for(agent: Agent) -> None:
    agent.follower.follow({0: 7})
    (await agent.house.asked(0))[2].set_result([(0, 0, 12, batch(5, 5) + batch(10, 2) + batch(12, 9)[:70])])
    assert (await agent.house.asked(1))[1] == {0: 12}  # the last one was cut
    assert agent.came == [(0, [7, 8, 9, 10, 11])]


async def test_much_comes_in_pieces_as_there_is_room(agent: Agent) -> None:
    agent.follower.follow({0: 0})
    answer = (await agent.house.asked(0))[2]
    agent.has_room = False
    answer.set_result([(0, 0, 2 * BATCH + 1, batch(0, 2 * BATCH + 1))])
    await asyncio.sleep(0.03)
    assert agent.came == []
    agent.has_room = True
    await agent.house.asked(1)
    assert [len(offsets) for _, offsets in agent.came] == [BATCH, BATCH, 1]
    assert [offset for _, offsets in agent.came for offset in offsets] == list(range(2 * BATCH + 1))


async def test_while_there_is_no_room_nothing_is_fetched(agent: Agent) -> None:
    agent.has_room = False
    agent.follower.follow({0: 0})
    await asyncio.sleep(0.03)
    assert agent.house.fetches == []
    agent.has_room = True
    await agent.house.asked(0)


async def test_what_is_wanted_anew_is_asked_for_at_once_and_what_was_under_way_is_dropped(agent: Agent) -> None:
    agent.follower.follow({0: 5})
    await agent.house.asked(0)
    agent.follower.follow({0: 2})
    _, places, answer = await agent.house.asked(1)
    assert (places, agent.house.hung_up) == ({0: 2}, [1])
    answer.set_result([(0, 0, 4, batch(2, 2))])
    await agent.house.asked(2)
    assert agent.came == [(0, [2, 3])]


async def test_an_answer_to_what_is_not_wanted_any_more_is_dropped(agent: Agent) -> None:
    agent.follower.follow({0: 5})
    answer = (await agent.house.asked(0))[2]
    answer.set_result([(0, 0, 6, batch(5, 1))])
    agent.follower.follow({0: 9})
    await agent.house.asked(1)
    assert agent.came == []


async def test_what_waits_for_room_is_dropped_once_it_is_not_wanted_any_more(agent: Agent) -> None:
    agent.follower.follow({0: 5})
    answer = (await agent.house.asked(0))[2]
    agent.has_room = False
    answer.set_result([(0, 0, 6, batch(5, 1))])
    await asyncio.sleep(0.02)
    agent.follower.follow({0: 4})
    agent.has_room = True
    _, places, answer = await agent.house.asked(1)
    assert (places, agent.came) == ({0: 4}, [])
    answer.set_result([(0, 0, 6, batch(4, 2))])
    await agent.house.asked(2)
    assert agent.came == [(0, [4, 5])]


async def test_a_stop_between_two_partitions_of_an_answer_holds_for_the_second(agent: Agent) -> None:
    agent.stops_at = 99
    agent.follower.follow({0: 99, 1: 5})
    (await agent.house.asked(0))[2].set_result([(0, 0, 100, batch(99, 1)), (1, 0, 6, batch(5, 1))])
    await until(lambda: agent.came)
    await asyncio.sleep(0.01)
    assert agent.came == [(0, [99])]


@pytest.mark.parametrize("second", [batch(8, 1), batch(6, 1) + batch(8, 1)])
async def test_a_record_that_does_not_come_ends_the_process(agent: Agent, second: bytes) -> None:
    agent.follower.follow({0: 3, 1: 3})
    first = [(0, 0, 9, batch(4, 2)), (1, 0, 41, batch(40, 1))]  # what is older has left the log
    (await agent.house.asked(0))[2].set_result(first)
    (await agent.house.asked(1))[2].set_result([(0, 0, 9, second)])
    await until(lambda: agent.ended)
    assert "of commands/0" in agent.ended[0]


async def test_of_a_compacted_topic_records_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent(monkeypatch, is_compacted=True)
    agent.follower.follow({0: 3})
    (await agent.house.asked(0))[2].set_result([(0, 0, 9, batch(4, 2) + batch(8, 1))])
    await agent.house.asked(1)
    assert (agent.came, agent.ended) == ([(0, [4, 5, 8])], [])
    await agent.follower.stop()


async def test_what_cannot_be_handed_over_ends_the_process(agent: Agent) -> None:
    agent.breaks = True
    agent.follower.follow({0: 3})
    (await agent.house.asked(0))[2].set_result([(0, 0, 4, batch(3, 1))])
    await until(lambda: agent.ended)
    assert "the queue is full" in agent.ended[0]


async def test_what_is_damaged_is_fetched_again_and_nothing_skipped(agent: Agent) -> None:
    agent.follower.follow({0: 3})
    (await agent.house.asked(0))[2].set_result([(0, 0, 7, batch(3, 2) + batch(5, 1, bad=True) + batch(6, 1))])
    _, places, answer = await agent.house.asked(1)
    assert (places, agent.came) == ({0: 5}, [(0, [3, 4])])
    assert agent.house.updates
    answer.set_result([(0, 0, 7, batch(5, 1) + batch(6, 1))])
    await agent.house.asked(2)
    assert agent.came == [(0, [3, 4]), (0, [5, 6])]


async def test_what_stays_damaged_ends_the_process(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "MOST_DAMAGED", 3)
    agent.follower.follow({0: 3})
    for number in range(3):
        assert not agent.ended
        (await agent.house.asked(number))[2].set_result([(0, 0, 7, batch(3, 1, bad=True))])
    await until(lambda: agent.ended)
    assert "from offset 3 on" in agent.ended[0]


@pytest.mark.parametrize("is_compacted", [False, True])
async def test_a_log_that_no_longer_has_what_is_due_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, is_compacted: bool
) -> None:
    agent = Agent(monkeypatch, is_compacted=is_compacted)
    agent.follower.follow({0: 3})
    (await agent.house.asked(0))[2].set_result([(0, 0, 4, batch(3, 1))])
    (await agent.house.asked(1))[2].set_result([(0, OUT_OF_RANGE, -1, b"")])
    await until(lambda: agent.ended)
    assert "commands/0 was read up to offset 4" in agent.ended[0]
    await agent.follower.stop()


async def test_an_old_leader_that_lacks_what_the_new_one_gave_changes_nothing(agent: Agent) -> None:
    agent.house.leaders[1] = 2
    agent.follower.follow({0: 3, 1: 3})
    await agent.house.asked(1)
    answers = {node: answer for node, _, answer in agent.house.fetches}
    agent.house.leaders = {0: 2, 1: 2}
    answers[2].set_result([(1, 0, 3, b"")])
    (await agent.house.asked(2))[2].set_result([(0, 0, 5, batch(3, 2)), (1, 0, 3, b"")])
    await until(lambda: agent.came)
    answers[1].set_result([(0, OUT_OF_RANGE, -1, b"")])
    assert (await agent.house.asked(3))[1] == {0: 5, 1: 3}
    await asyncio.sleep(0.01)
    assert (agent.came, agent.ended) == ([(0, [3, 4])], [])


async def test_each_partition_is_the_first_of_a_fetch_in_turn(agent: Agent) -> None:
    agent.house.leaders = {0: 1, 1: 1, 2: 1}
    agent.follower.follow({0: 3, 1: 3, 2: 3})
    orders = []
    for number in range(4):
        _, places, answer = await agent.house.asked(number)
        orders.append(list(places))
        answer.set_result([(partition, 0, 9, b"") for partition in places])
    assert orders == [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]


async def test_a_leader_that_has_less_than_was_read_is_not_asked_again_at_once(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "RETRY_SECONDS", 60)
    agent.follower.follow({0: 3})
    (await agent.house.asked(0))[2].set_result([(0, 0, 2, b"")])
    await asyncio.sleep(0.02)
    assert len(agent.house.fetches) == 1


async def test_who_has_stopped_follows_nothing_more(agent: Agent) -> None:
    agent.follower.follow({0: 3})
    await agent.house.asked(0)
    await agent.follower.stop()
    agent.follower.follow({0: 3})
    await asyncio.sleep(0.01)
    assert len(agent.house.fetches) == 1


async def test_a_partition_is_fetched_from_whoever_leads_it_now(agent: Agent) -> None:
    agent.follower.follow({0: 3, 1: 3})
    answer = (await agent.house.asked(0))[2]
    agent.house.leaders[1] = 2
    answer.set_result([(0, 0, 4, batch(3, 1)), (1, NOT_LEADER, -1, b"")])
    await agent.house.asked(2)
    assert sorted((node, places) for node, places, _ in agent.house.fetches[1:]) == [(1, {0: 4}), (2, {1: 3})]


async def test_a_broker_that_does_not_answer_holds_up_no_other(agent: Agent) -> None:
    agent.house.leaders[1] = 2
    agent.follower.follow({0: 3, 1: 3})
    await agent.house.asked(1)
    [second] = [answer for node, _, answer in agent.house.fetches if node == 2]
    second.set_result([(1, 0, 4, batch(3, 1))])
    await agent.house.asked(2)
    assert agent.came == [(1, [3])]


async def test_a_broker_that_is_away_is_asked_again(agent: Agent) -> None:
    agent.follower.follow({0: 3})
    error = KafkaError("away")
    (await agent.house.asked(0))[2].set_exception(error)
    assert (await agent.house.asked(1))[1] == {0: 3}
    assert agent.house.updates == [error]


async def test_a_partition_without_a_leader_is_looked_for(agent: Agent) -> None:
    agent.house.leaders = {0: 1}
    agent.follower.follow({0: 3, 1: 3})
    await until(lambda: agent.house.looks > 2)
    assert [(node, places) for node, places, _ in agent.house.fetches] == [(1, {0: 3})]
    agent.house.leaders[1] = 2
    assert (await agent.house.asked(1))[:2] == (2, {1: 3})


@pytest.mark.parametrize("start", [None, 1_000])
async def test_the_first_record_there_is_comes_where_no_other_can(agent: Agent, start: int | None) -> None:
    agent.house.starts[0] = 40
    agent.follower.follow({0: start})
    if start is not None:
        (await agent.house.asked(0))[2].set_result([(0, OUT_OF_RANGE, -1, b"")])
    assert (await agent.house.asked(int(start is not None)))[1] == {0: 40}


async def test_what_comes_during_a_rest_comes_together_and_nobody_rests_who_is_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rests: list[float] = []
    agent = Agent(monkeypatch, rest=77.0)
    sleep = asyncio.sleep

    async def rest(seconds: float) -> None:
        if seconds > 10:
            rests.append(seconds)
        await sleep(min(seconds, 0.001))

    monkeypatch.setattr(asyncio, "sleep", rest)
    agent.follower.follow({0: 3})
    (await agent.house.asked(0))[2].set_result([(0, 0, 50, batch(3, 1))])
    (await agent.house.asked(1))[2].set_result([(0, 0, 5, batch(4, 1))])
    await agent.house.asked(2)
    assert len(rests) == 1
    await agent.follower.stop()
