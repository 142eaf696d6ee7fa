"""Kafka's brokers, as those know them who talk to them on the event loop: connections, and who leads which partition.

Who leads what, and how one begins, is aiokafka's (AIOKafkaClient); what goes to and fro with each order has a
connection of its own to each broker (Line).
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaError, for_code
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.structs import TopicPartition

from app.adapters import wire
from app.adapters.line import Line
from app.ports import Fatal
from app.settings import Settings

log = structlog.get_logger(__name__)

# s without an answer until the connection counts as dead, and what was asked is asked again on a new one.
ANSWER_SECONDS = 3.0
RETRY_SECONDS = 0.1
CONNECT_SECONDS = 15.0
COMPLAIN_SECONDS = 10.0
CLOSE_SECONDS = 1.0

START_OF_LOG = -2  # in place of a time: the first offset there is
NOBODY = -1  # the broker that leads a partition, where none is known to

# What aiokafka raises besides its own errors from a connection that broke a moment ago.
BROKEN = (OSError, RuntimeError, KeyError)


async def _nothing(_: AIOKafkaClient) -> None:
    return None


class Brokers:
    """One client's connections; used on one event loop."""

    def __init__(self, settings: Settings, client_id: str, fatal: Fatal) -> None:
        self._bootstrap = settings.kafka_bootstrap
        self._client_id = client_id
        self._fatal = fatal
        self._client: AIOKafkaClient | None = None
        self._lines: dict[int, Line] = {}
        self._updating: asyncio.Task[None] | None = None
        self._is_closed = False
        self._complained_at = -math.inf

    @property
    def is_connected(self) -> bool:
        """Whether `connect` has succeeded once; connections that break later are made anew."""
        return self._client is not None

    async def connect(
        self, topics: Iterable[str], first: Callable[[AIOKafkaClient], Awaitable[None]] = _nothing
    ) -> bool:
        """Try once to reach any broker and to learn of these topics; `first` is done before anything else."""
        client = AIOKafkaClient(
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            request_timeout_ms=int(ANSWER_SECONDS * 1000),
            retry_backoff_ms=int(RETRY_SECONDS * 1000),
            connections_max_idle_ms=None,
        )
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await client.bootstrap()
                await first(client)
                await client.set_topics(set(topics))
        except (KafkaError, TimeoutError, *BROKEN) as error:
            self.complain(error)
            await _close(client)
            return False
        except asyncio.CancelledError:
            await _close(client)
            raise
        client._sync_task.add_done_callback(self._on_metadata_ended)
        self._client = client
        return True

    def _on_metadata_ended(self, task: asyncio.Task[None]) -> None:
        """Without it, nobody would ever learn that a partition has another leader."""
        if not task.cancelled():
            self._fatal(f"the brokers' metadata is no longer read: {task.exception()!r}")

    async def guarded(self, work: Coroutine[Any, Any, None], failed: str) -> None:
        """Do the work; where it fails, and nobody would notice, the process ends with what `failed` by that."""
        try:
            await work
        except Exception as error:
            log.exception("a client of Kafka failed", client=self._client_id)
            self._fatal(f"{failed}: {error!r}")

    async def close(self) -> None:
        """Close what is open, for good; what is being asked fails."""
        self._is_closed = True
        if self._updating is not None:
            self._updating.cancel()
        for node in list(self._lines):
            self.hang_up(node)
        if self._client is not None:
            await _close(self._client)

    # ── who leads ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def leader(self, place: TopicPartition) -> int:
        """The broker that leads the partition, as far as is known; NOBODY where none is."""
        node = self._connected.cluster.leader_for_partition(place)
        return NOBODY if node is None else int(node)

    def add_topic(self, topic: str) -> None:
        """Learn of this topic, too."""
        if self._client is not None:
            self._client.add_topic(topic)

    async def look_for_leaders(self, places: Iterable[TopicPartition]) -> None:
        """Ask who leads these, and wait a moment where some have no leader."""
        places = list(places)
        for place in places:
            self._connected.add_topic(place.topic)
        await self._update()
        left = [place for place in places if self.leader(place) == NOBODY]
        if left:
            self.complain(KafkaError(f"nobody leads {left}"))
            await asyncio.sleep(RETRY_SECONDS)

    async def wait_after(self, errors: Iterable[BaseException]) -> None:
        """Ask who leads what, since it may be another broker by now, and wait before anything is tried again."""
        for error in errors:
            self.complain(error)
        if self._updating is None or self._updating.done():
            self._updating = asyncio.ensure_future(self._update())
        await asyncio.sleep(RETRY_SECONDS)

    async def _update(self) -> None:
        """Ask who leads what; where no broker that is known can say so, ask those of the settings who there is."""
        if not await self._connected.force_metadata_update():
            with contextlib.suppress(KafkaError, TimeoutError, *BROKEN):
                await self._connected.bootstrap()
                await self._connected.force_metadata_update()

    # ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def reach(self, node: int) -> bool:
        """Connect to the broker, where that is not done yet; whether there is a connection."""
        line = self._lines.get(node)
        if line is not None and not line.is_closed:
            return True
        broker = self._connected.cluster.broker_metadata(node)
        if broker is None:
            return False
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                _, line = await asyncio.get_running_loop().create_connection(
                    partial(Line, self._client_id, ANSWER_SECONDS), broker.host, broker.port
                )
        except (OSError, TimeoutError):
            return False
        if self._is_closed:
            line.close()
            return False
        self.hang_up(node)  # somebody else may have connected meanwhile
        self._lines[node] = line
        return True

    async def produce(
        self, node: int, batches: Iterable[tuple[str, int, bytes]], replicas_ms: int
    ) -> Sequence[tuple[str, int, int, int]]:
        """Append to partitions that the broker leads; topic, partition, error (0: none) and first offset of each.

        Raises:
            KafkaError: there is no answer.
        """
        request = wire.produce(batches, replicas_ms)
        return list(wire.produced(await self._line(node).ask(wire.PRODUCE, wire.PRODUCE_VERSION, request)))

    async def fetch(
        self, node: int, topic: str, places: Mapping[int, int], wait_ms: int, most: int, most_each: int
    ) -> Sequence[tuple[int, int, int, bytes]]:
        """Fetch from partitions that the broker leads; partition, error (0: none), end of the log, records of each.

        Raises:
            KafkaError: there is no answer.
        """
        request = wire.fetch(topic, places, wait_ms, most, most_each)
        return list(wire.fetched(await self._line(node).ask(wire.FETCH, wire.FETCH_VERSION, request)))

    async def first_offsets(self, node: int, topic: str, partitions: Iterable[int]) -> Mapping[int, int]:
        """Where these partitions begin that the broker leads.

        Raises:
            KafkaError: it does not say so.
        """
        topics = [(topic, [(partition, START_OF_LOG) for partition in partitions])]
        try:
            answer = await self._connected.send(node, OffsetRequest(wire.CONSUMER, 0, topics))
        except BROKEN as error:
            raise KafkaConnectionError(repr(error)) from error
        found = {}
        for partition, code, _, offset, *_ in answer.topics[0][1]:
            if code:
                raise for_code(code)()
            found[partition] = offset
        return found

    def hang_up(self, node: int) -> None:
        """Close the connection: whoever waits for an answer gets an error, and the next request a new one."""
        if (line := self._lines.pop(node, None)) is not None:
            line.close()

    def _line(self, node: int) -> Line:
        """The connection to a broker that was reached.

        Raises:
            KafkaConnectionError: it has been closed since.
        """
        if (line := self._lines.get(node)) is None:
            raise KafkaConnectionError(f"broker {node} is not connected")
        return line

    def complain(self, error: BaseException) -> None:
        """Tell of it, though not each time."""
        now = time.monotonic()
        if now - self._complained_at >= COMPLAIN_SECONDS:
            self._complained_at = now
            log.warning("Kafka does not answer", client=self._client_id, reason=repr(error))

    @property
    def _connected(self) -> AIOKafkaClient:
        assert self._client is not None, "not connected yet"
        return self._client


async def _close(client: AIOKafkaClient) -> None:
    """Close its connections; one whose broker stands still, and that has something to send, would never be."""
    with contextlib.suppress(TimeoutError, KafkaError, *BROKEN):
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.close()
