"""Faust's consumer as we have it: fetches, hand-over and commits; on Faust's own objects, without a broker."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types import TP

from app.adapters import transport as module
from app.adapters.fatal import end_process
from app.adapters.follower import Follower
from app.adapters.transport import PROMPT, following_transport
from app.service.common import App, new_app
from app.settings import Settings

HERE = TP("order-commands", 1)
CHANGELOG = TP("orders-tables-changelog", 1)


@pytest.fixture
async def app(tmp_path: Any) -> App:  # in a loop: Faust would make one of its own
    return new_app(Settings(data_dir=tmp_path), "orders", 1, port=6066)


@pytest.fixture
def new_bench(app: App) -> Iterator[Callable[..., "Bench"]]:
    benches: list[Bench] = []

    def new(transport: Any = None) -> Bench:
        benches.append(Bench(app, transport or ours(app)))
        return benches[-1]

    yield new
    for bench in benches:
        bench.consumer._thread.thread_loop.close()  # of the thread that never ran


@pytest.fixture
def bench(new_bench: Callable[..., "Bench"]) -> "Bench":
    return new_bench()


def ours(app: App, rest: float = PROMPT) -> Any:
    return following_transport(app, Settings(), {HERE.topic: rest}, end_process)


class Channel:
    """Where an agent listens."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()


class Bench:
    """A consumer whose fetches the test gives, and an agent's channel."""

    def __init__(self, app: App, transport: Any) -> None:
        self.called: list[int] = []
        self.seeks = 0
        self.fetched: list[Any] = []
        self.channel = Channel()
        self.consumer = transport.create_consumer(
            self._callback, on_partitions_revoked=self._nothing, on_partitions_assigned=self._nothing
        )
        self.consumer._wait_next_records = self._wait_next_records
        self.consumer.seek_to_committed = self._seek
        app.topics._tp_index[HERE] = {self.channel}  # type: ignore[attr-defined]

    async def _nothing(self, *_: Any) -> None: ...

    async def _callback(self, message: Any) -> None:
        self.called.append(message.offset)

    async def _seek(self) -> dict[TP, int]:
        self.seeks += 1
        return {}

    async def _wait_next_records(self, timeout: float) -> Any:
        return self.fetched.pop(0)

    async def fetch(self, *offsets: int, tp: TP = CHANGELOG) -> None:
        self.fetched.append(({tp: [record(tp, offset) for offset in offsets]}, None))
        await self.consumer._drain()

    @property
    def handed_over(self) -> list[list[int]]:
        queue = self.channel.queue
        return [[each.offset for each in queue.get_nowait().value] for _ in range(queue.qsize())]


def record(tp: TP, offset: int) -> Any:
    return SimpleNamespace(
        topic=tp.topic,
        partition=tp.partition,
        offset=offset,
        timestamp=1_700_000_000_000,
        timestamp_type=1,
        headers=(),
        key=b"T1",
        value=b"{}",
        checksum=None,
        serialized_key_size=2,
        serialized_value_size=2,
    )


async def test_a_fetch_waits_as_long_as_we_say(app: App, new_bench: Callable[..., Bench]) -> None:
    def of(consumer: Any, transport: Any) -> Any:
        created = consumer._thread._create_worker_consumer(transport)
        created._closed = True  # it never began
        return created

    stock = Transport(app.conf.broker_consumer, app)
    theirs, consumer = of(new_bench(stock).consumer, stock), new_bench(ours(app, 0.3)).consumer
    assert (theirs._fetch_min_bytes, theirs._fetch_max_wait_ms) == (1, 1500)  # else Faust has changed: look again
    created = of(consumer, stock)
    assert (created._fetch_min_bytes, created._fetch_max_wait_ms) == (module.MIN_BYTES, module.MAX_WAIT_MS)
    assert consumer._followers[HERE.topic]._rest == 0.3


async def test_only_what_is_done_is_committed_and_nothing_beyond_a_hole(
    app: App, new_bench: Callable[..., Bench]
) -> None:
    theirs, ours = new_bench(Transport(app.conf.broker_consumer, app)).consumer, new_bench().consumer
    for consumer in (theirs, ours):
        consumer._committed_offset[HERE] = 4
    theirs._acked[HERE] = [6]
    assert theirs._new_offset(HERE) is None
    theirs._committed_offset[HERE] = 5
    theirs._acked[HERE] = [6]
    assert theirs._new_offset(HERE) == 7  # 5 was not acknowledged: once this fails, Faust has it right
    ours.done(HERE, 5)
    ours._acked[HERE] = [6, 7]
    committed: list[Mapping[TP, int]] = []

    async def commit(offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        committed.append(dict(offsets))
        ours._committed_offset.update(offsets)
        return True

    ours._commit_offsets = commit
    await ours.force_commit()
    await ours.force_commit()
    assert committed == [{HERE: 5}]


async def test_who_loses_a_partition_commits_no_more_of_it(bench: Bench) -> None:
    consumer = bench.consumer
    consumer.done(HERE, 5)
    await consumer.on_partitions_revoked({HERE})
    assert list(consumer._filter_tps_with_pending_acks()) == []


async def test_the_changelog_goes_to_recovery_record_by_record(app: App, bench: Bench) -> None:
    app.tables._changelogs[CHANGELOG.topic] = None  # type: ignore[attr-defined,assignment]
    await bench.fetch(1, 2)
    await bench.fetch(2, 3)  # after a seek, some of it once more
    assert bench.called == [1, 2, 3]


async def test_what_was_fetched_for_another_assignment_is_dropped(app: App, bench: Bench) -> None:
    app.tables._changelogs[CHANGELOG.topic] = None  # type: ignore[attr-defined,assignment]
    bench.consumer.stop_flow()
    await bench.fetch(5)
    assert (bench.called, bench.seeks) == ([], 1)
    bench.consumer.resume_flow()
    bench.fetched.append(({CHANGELOG: [record(CHANGELOG, 5)]}, {HERE}))  # paused since
    await bench.consumer._drain()
    assert bench.called == []

    async def hand_over_and_rebalance(tp: TP, fetched: Any) -> None:
        app.consumer_generation_id += 1
        await real(tp, fetched)

    real, bench.consumer._hand_over = bench.consumer._hand_over, hand_over_and_rebalance
    other = TP(CHANGELOG.topic, 2)
    bench.fetched.append(({CHANGELOG: [record(CHANGELOG, 5)], other: [record(other, 6)]}, None))
    await bench.consumer._drain()
    assert bench.called == [5]  # the second partition's records are of the assignment before


@pytest.mark.parametrize(
    "name", ["_new_offset", "_filter_tps_with_pending_acks", "_drain_messages", "on_partitions_revoked"]
)
def test_what_we_put_in_the_place_of_fausts_own_is_still_called_so(name: str) -> None:
    assert hasattr(Consumer, name)


async def test_partitions_that_may_be_read_again_are_read_at_once(new_bench: Callable[..., Bench]) -> None:
    consumer = new_bench().consumer
    del consumer._wait_next_records  # the bench's own
    consumer.stop_flow()
    asyncio.get_running_loop().call_later(0.01, consumer.resume_flow)  # before the partitions, as Faust does it
    ready: list[set[TP]] = [set(), set(), {HERE}, {HERE}]

    async def getmany(active_partitions: set[TP], timeout: float) -> Any:
        del timeout
        return dict.fromkeys(active_partitions, ())

    async def sleep(seconds: float) -> None:
        pytest.fail(f"{seconds} s in which nobody is served")

    consumer._getmany, consumer.sleep = getmany, sleep
    consumer._get_active_partitions = lambda: ready.pop(0)
    assert await consumer._wait_next_records(1.0) == ({HERE: ()}, {HERE})


class Followings:
    """Stands in for the follower: notes what is asked for."""

    def __init__(self) -> None:
        self.asked: list[Mapping[int, int | None]] = []

    def follow(self, starts: Mapping[int, int | None]) -> None:
        self.asked.append(starts)

    @property
    def now(self) -> Mapping[int, int | None]:
        return self.asked[-1]


@pytest.fixture
def following(app: App, new_bench: Callable[..., Bench]) -> Any:
    """A following consumer to which HERE and its changelog were assigned, as Faust does it."""
    app.tables._changelogs[CHANGELOG.topic] = None  # type: ignore[attr-defined,assignment]
    settings = Settings()
    bench = new_bench(following_transport(app, settings, {HERE.topic: PROMPT}, end_process))
    consumer = bench.consumer
    assert isinstance(consumer._followers[HERE.topic], Follower)
    consumer._followers = {HERE.topic: Followings()}

    async def seek() -> Mapping[TP, int]:
        return {HERE: 7}

    consumer.seek_to_committed = seek
    consumer.stop_flow()
    consumer._set_active_tps({HERE, CHANGELOG})
    consumer.pause_partitions({HERE, CHANGELOG})
    consumer.bench = bench
    return consumer


async def resume(consumer: Any) -> None:
    consumer.resume_partitions({HERE})
    await consumer.perform_seek()
    consumer.resume_flow()


async def test_commands_are_followed_from_the_committed_offset_once_recovery_has_ended(following: Any) -> None:
    following.resume_partitions({CHANGELOG})
    following.resume_flow()
    assert (following._get_active_partitions(), following._followers[HERE.topic].now) == ({CHANGELOG}, {})
    following.pause_partitions({CHANGELOG})
    following.resume_partitions({HERE})
    assert not any(following._followers[HERE.topic].asked)  # not before it is known from where
    await following.perform_seek()
    following.resume_flow()
    assert following._followers[HERE.topic].now == {HERE.partition: 7}
    assert not following._get_active_partitions()  # of aiokafka's


async def test_what_comes_is_given_to_the_agent_until_the_flow_stops(following: Any) -> None:
    await resume(following)
    following._on_followed(HERE.topic, HERE.partition, [record(HERE, 7), record(HERE, 9)])
    assert following.place(HERE) == 7
    assert following._read_offset[HERE] == 10
    assert not following.unacked  # nothing that a stop or a rebalance would wait for
    event = following.bench.channel.queue.get_nowait()  # one for all
    assert [each.offset for each in event.value] == [7, 9]
    assert (event.message.offset, event.message.tracked) == (9, True)
    following.stop_flow()
    assert following._followers[HERE.topic].now == {}
    following._on_followed(HERE.topic, HERE.partition, [record(HERE, 10)])
    following._on_followed(HERE.topic, 2, [record(TP(HERE.topic, 2), 1)])
    assert following.bench.handed_over == []


async def test_after_a_stop_nothing_is_followed_before_it_was_sought_anew(following: Any) -> None:
    await resume(following)
    following.stop_flow()
    following.resume_flow()
    assert following._followers[HERE.topic].now == {}
    await following.on_partitions_revoked({HERE})
    following._read_offset[HERE] = 99  # of another assignment
    await following.on_partitions_assigned({HERE}, 2)
    following.pause_partitions({HERE})  # as the app does then
    await resume(following)
    assert following._followers[HERE.topic].now == {HERE.partition: 7}


async def test_what_a_recovery_resumes_after_a_revocation_is_not_followed_and_forgotten_at_the_next_assignment(
    following: Any,
) -> None:
    other = TP(HERE.topic, 2)
    await resume(following)
    following._on_followed(HERE.topic, HERE.partition, [record(HERE, 7)])
    following.done(HERE, 8)
    await following.on_partitions_revoked({HERE})
    following.done(HERE, 8)  # of an agent that does not know yet
    await resume(following)  # Faust's recovery does not, either
    assert following._followers[HERE.topic].now == {}
    await following.on_partitions_assigned({other}, 2)
    assert list(following._filter_tps_with_pending_acks()) == []
    following.pause_partitions({other})
    following.resume_partitions({other})
    await following.perform_seek()
    following.resume_flow()
    assert following._followers[HERE.topic].now == {other.partition: None}


async def test_an_agent_that_is_behind_has_no_room(following: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BATCHES_WAITING", 1)
    await resume(following)
    assert following._has_room(HERE.topic)
    following._on_followed(HERE.topic, HERE.partition, [record(HERE, 7)])
    assert not following._has_room(HERE.topic)
    assert following.bench.handed_over == [[7]]
    assert following._has_room(HERE.topic)


def test_what_the_following_consumer_hangs_on_is_still_called_so() -> None:
    partitions = ("_set_active_tps", "pause_partitions", "resume_partitions", "verify_all_partitions_active")
    for name in (*partitions, "stop_flow", "resume_flow", "perform_seek"):
        assert hasattr(Consumer, name)
