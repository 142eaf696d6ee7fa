"""Faust's Kafka transport with fetches that suit the service.

A fetch covers all partitions of which nothing is buffered, and there is one fetch per broker at a time: while it waits
for one partition, records that come in for another wait, too. Faust lets it wait 1.5 s and offers no setting.
When each part of this can go: docs/faust.md.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from aiokafka.client import ConnectionGroup
from aiokafka.errors import IllegalStateError
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest
from faust.events import Event
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport, ensure_aiokafka_TP
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from app.adapters.follower import Follower
from app.adapters.librdkafka import ANSWER_SECONDS
from app.ports import Fatal
from app.settings import Settings

MAX_BATCHES_WAITING = 16  # before an agent; more wait in Kafka
RESUME_SECONDS = 0.5  # until it is looked again whether partitions may be read, where nobody said so


# aiokafka fetches the changelogs: the broker answers with the first byte, and an idle partition holds up the others
# for no longer than this.
MIN_BYTES, MAX_WAIT_MS = 1, 20

# s after a fetch until the next one (app/adapters/follower.py). Somebody waits:
PROMPT = 0.0
# Somebody waits, who does not notice so little: what comes together is worked off together, at every step behind it.
GATHERED = 0.1
# Nobody waits: a request each few milliseconds would cost broker, ledger and Cassandra more than the orders themselves.
PATIENT = 0.25


def following_transport(app: Any, settings: Settings, topics: Mapping[str, float], fatal: Fatal) -> Transport:
    """The transport of the app, for its `transport` attribute, whose agents listen to these topics.

    Each is fetched again so many s after the last fetch.
    """

    class Thread(AIOKafkaConsumerThread):  # type: ignore[misc]
        def _create_worker_consumer(self, transport: Any) -> Any:
            created = super()._create_worker_consumer(transport)
            # Can go when Faust has settings for both.
            created._fetch_min_bytes = MIN_BYTES
            created._fetch_max_wait_ms = MAX_WAIT_MS
            give_up_dead_connections(created)
            return created

    class Following(FollowingConsumer):
        def _new_consumer_thread(self) -> Thread:
            return Thread(self, loop=self.loop, beacon=self.beacon)

        def _new_followers(self) -> dict[str, Follower]:
            return {
                topic: Follower(
                    settings,
                    topic,
                    arrived=partial(self._on_followed, topic),
                    has_room=partial(self._has_room, topic),
                    fatal=fatal,
                    rest=rest,
                )
                for topic, rest in topics.items()
            }

    class FetchingTransport(Transport):  # type: ignore[misc]
        pass

    FetchingTransport.Consumer = Following
    return FetchingTransport(app.conf.broker_consumer, app)


def give_up_dead_connections(consumer: Any) -> None:
    """Have a connection closed, and made anew, that owes an answer for ANSWER_SECONDS.

    The library has one time-out for all, and it must be long, as who joins a group waits for all others to join. A
    connection that was lost without a word would hold up fetches and heartbeats for as long.
    """
    client = consumer._client
    send, patience = client.send, client._request_timeout_ms / 1000
    client._request_timeout_ms = int(ANSWER_SECONDS * 1000)  # of each connection that is made from here on

    async def bounded(node_id: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        if not isinstance(request, (JoinGroupRequest, SyncGroupRequest)):
            return await send(node_id, request, group=group)
        await client.ready(node_id, group=group)
        connection = client._conns.get((node_id, group))
        if connection is not None:
            connection._request_timeout = patience
        try:
            return await send(node_id, request, group=group)
        finally:
            if connection is not None:
                connection._request_timeout = ANSWER_SECONDS

    client.send = bounded


class FollowingConsumer(Consumer):  # type: ignore[misc]
    """Its agents' records come from a `Follower`; aiokafka keeps the group, the commits and the changelogs.

    The agent gets one event per fetch and partition, whose value is the list of its records. Faust makes two tasks for
    each record and keeps a list of acknowledged offsets, in which it looks for holes: a third of a worker's time. Here
    the agent, which is done with a partition's records in their order, says by `done` from where they would have to be
    read again, and that is what is committed.

    Faust stops the flow, has the partitions sought anew and resumes the flow at each assignment: between a stop and
    the resumption that comes after a seek nothing is followed, and what was under way at the stop is dropped. Its
    recovery learns of a rebalance's end, though not of its begin: one that is under way when the partitions are revoked
    goes on, and resumes them. What was revoked is not followed before the next assignment.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._streams: set[TP] = set()  # what agents may be given
        self._resumed = asyncio.Event()  # there may be changelogs to be read
        self._is_sought = False
        super().__init__(*args, **kwargs)
        self.is_revoked = False  # between a revocation and the next assignment
        self._done: dict[TP, int] = {}
        self._began: dict[TP, int] = {}  # the first record that was handed over
        self._followers = self._new_followers()

    def _new_followers(self) -> dict[str, Follower]:
        raise NotImplementedError

    # ── how far the agents are ────────────────────────────────────────────────────────────────────────────────────────

    def done(self, tp: TP, offset: int) -> None:
        """All records of the partition before this offset are done with."""
        self._done[tp] = offset

    def place(self, tp: TP) -> int:
        """The offset up to which the partition's records are done with; 0 where nothing is known yet."""
        done = self._done.get(tp, self._began.get(tp))
        return (self._read_offset.get(tp) or 0) if done is None else done

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> list[TP]:
        return [tp for tp in self._done if topics is None or tp in topics or tp.topic in topics]

    # Can go when Faust's does not commit past a hole of one.
    def _new_offset(self, tp: TP) -> int | None:
        return self._done.get(tp)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget how far the agents were: others read on from what was committed."""
        self.is_revoked = True
        self._forget()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Begin anew, also where something of the last assignment was done, or recovered, after its end."""
        self.is_revoked = False
        self._forget()
        await super().on_partitions_assigned(assigned, generation_id)

    def _forget(self) -> None:
        # All partitions: Faust's assignor takes each away before it gives any.
        self._unfollow()
        self._streams.clear()
        self._done.clear()
        self._began.clear()

    # ── changelogs, by aiokafka ───────────────────────────────────────────────────────────────────────────────────────

    # Can go when Faust hands over batches.
    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                await asyncio.sleep(0)
                await self._drain()
        except (*self.consumer_stopped_errors, asyncio.CancelledError):
            if not self.transport.app.should_stop:
                raise

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:
        # Faust resumes the flow before it resumes the partitions that it paused for recovery, and sleeps for a second
        # when it sees none.
        while not self._stopped.is_set():
            if not self.flow_active:
                await self.wait(self.can_resume_flow)
            elif self._get_active_partitions():
                break
            else:
                self._resumed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._resumed.wait(), RESUME_SECONDS)
        found: tuple[Any, Any] = await super()._wait_next_records(timeout)
        return found

    async def _drain(self) -> None:
        records, active = await self._wait_next_records(1.0)
        generation = self.app.consumer_generation_id
        if not self.flow_active:
            # What was fetched is dropped: it is fetched again from the committed offsets.
            try:
                await self.perform_seek()
            except Exception as error:  # noqa: BLE001 - a rebalance may go on; its end seeks again
                self.log.warning("could not seek while the flow is stopped: %r", error)
            return
        for topic_partition, fetched in (records or {}).items():
            tp = TP(topic_partition.topic, topic_partition.partition)
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            if fetched and self._is_changelog_tp(tp) and (active is None or tp in active):
                await self.wait_first(self._hand_over(tp, fetched), self.suspend_flow.wait())

    async def _hand_over(self, tp: TP, fetched: list[Any]) -> None:
        read = self._read_offset[tp]
        for record in fetched:
            if read is None or record.offset >= read:
                await self.callback(self._to_message(tp, record))
        self._read_offset[tp] = max(read or 0, fetched[-1].offset + 1)

    # ── what Faust says of the partitions ─────────────────────────────────────────────────────────────────────────────

    def _set_active_tps(self, tps: set[TP]) -> set[TP]:
        active: set[TP] = super()._set_active_tps({tp for tp in tps if self._is_changelog_tp(tp)})
        self._resumed.set()
        return active

    def pause_partitions(self, tps: Iterable[TP]) -> None:
        """Read nothing more of these."""
        tps = set(tps)
        self._unfollow()
        self._streams -= tps
        super().pause_partitions(tps)
        self._tell_aiokafka("pause", tps)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Read these: changelogs at once, the agents' partitions once they are sought and the flow is resumed."""
        tps = set(tps)
        changelogs = {tp for tp in tps if self._is_changelog_tp(tp)}
        self._streams |= tps - changelogs
        super().resume_partitions(changelogs)
        self._resumed.set()
        self._tell_aiokafka("resume", changelogs)

    def stop_flow(self) -> None:
        """Give the agents nothing more."""
        self._unfollow()
        super().stop_flow()

    async def perform_seek(self) -> None:
        """Go back to what was committed."""
        await super().perform_seek()
        self._is_sought = True

    def resume_flow(self) -> None:
        """Go on."""
        super().resume_flow()
        if self._is_sought and self._streams and not self.is_revoked:
            for topic, follower in self._followers.items():
                places = {tp.partition: self._read_offset.get(tp) for tp in self._streams if tp.topic == topic}
                follower.follow(places)

    async def on_stop(self) -> None:
        """End."""
        for follower in self._followers.values():
            await follower.stop()
        await super().on_stop()

    async def verify_all_partitions_active(self) -> None:
        """Faust would complain that aiokafka reads nothing; the watchdog looks after that."""

    def _unfollow(self) -> None:
        self._is_sought = False
        for follower in self._followers.values():
            follower.follow({})

    def _tell_aiokafka(self, what: str, tps: set[TP]) -> None:
        """Have aiokafka fetch or not: what it holds of a partition that nobody reads is memory and requests."""

        def tell() -> None:
            consumer = self._thread._consumer
            for tp in tps:
                with contextlib.suppress(IllegalStateError):  # no longer assigned
                    getattr(consumer, what)(ensure_aiokafka_TP(tp))

        if self._thread._consumer is not None:
            self._thread.thread_loop.call_soon_threadsafe(tell)

    # ── what comes ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _has_room(self, topic: str) -> bool:
        index = self.app.topics._tp_index
        return all(
            channel.queue.qsize() < MAX_BATCHES_WAITING
            for tp in list(self._streams)
            if tp.topic == topic
            for channel in list(index.get(tp, ()))
        )

    def _on_followed(self, topic: str, partition: int, records: Sequence[Any]) -> None:
        tp = next((tp for tp in self._streams if (tp.topic, tp.partition) == (topic, partition)), None)
        if tp is not None and self.flow_active:
            self._give(tp, records)

    def _give(self, tp: TP, records: Sequence[Any]) -> None:
        """Give an agent's channel the next records of a partition."""
        self._began.setdefault(tp, records[0].offset)
        message = _message(tp, records[-1], self.app.consumer_generation_id)
        for channel in self.app.topics._tp_index.get(tp, ()):
            channel.queue.put_nowait(Event(self.app, None, records, {}, message))
        self._read_offset[tp] = records[-1].offset + 1


def _message(tp: TP, last: Any, generation: int) -> ConsumerMessage:
    """What Faust is to know of a batch: where it ends, and in which assignment it came."""
    nothing = (None,) * 5  # key, value and what Faust keeps of their sizes
    message = ConsumerMessage(
        tp.topic, tp.partition, last.offset, last.timestamp / 1000, None, (), *nothing, tp, generation_id=generation
    )
    message.tracked = True  # not counted among what waits for Faust's acks
    return message
