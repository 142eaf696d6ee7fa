"""What Cassandra takes for the ledger's writes.

Events that stand in the log are written once more, with the ledger's own code: that changes nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from app.adapters.cassandra import CassandraSession
from app.adapters.order_writer import CassandraOrderWriter
from app.audit.log import Topic
from app.bench.load import LoadError
from app.bench.series import percentile
from app.messages import Event, OrderPlaced, decode_event
from app.settings import Settings
from app.topics import ORDER_EVENTS

CONNECT_SECONDS = 30.0
POLL = 0.05


@dataclass(frozen=True)
class Writes:
    """Writes of one way of writing; latencies in ms of a write, which may hold several orders."""

    way: str
    orders: int
    orders_per_second: float
    p50: float
    p99: float
    max: float


def figures(found: Sequence[Writes]) -> dict[str, float]:
    """The key figures by name."""
    kept = {}
    for way, writes in zip(("single", "bulk"), found, strict=True):
        kept[f"{way} writes, orders/s"] = writes.orders_per_second
        kept[f"{way} writes, p50 ms"] = writes.p50
        kept[f"{way} writes, p99 ms"] = writes.p99
    return kept


class TimedSession(CassandraSession):
    """The ledger's connection with a stopwatch; only writes that succeed count."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.latencies: list[float] = []

    async def write(self, query: object) -> None:
        """Execute a bound statement or a batch."""
        begun = perf_counter()
        await super().write(query)
        self.latencies.append(perf_counter() - begun)


def queued(settings: Settings, most: int) -> list[OrderPlaced]:
    """The first orders in the log of events, at most so many.

    Raises:
        AuditError: Kafka does not answer.
    """
    topic = Topic(settings.kafka_bootstrap, ORDER_EVENTS)
    try:
        events: list[OrderPlaced] = []
        for message in topic.read():
            event: Event = decode_event(message.value())
            if isinstance(event, OrderPlaced):
                events.append(event)
            if len(events) == most:
                break
        return events
    finally:
        topic.close()


async def run(settings: Settings, events: Sequence[OrderPlaced], *, rate: float, seconds: float) -> list[Writes]:
    """Write orders one by one at a rate, then all at once in the ledger's portions.

    Raises:
        LoadError: there are none, or Cassandra does not answer.
    """
    if not events:
        raise LoadError("there are no orders in the log: place some first")
    session = TimedSession(settings)
    writer = CassandraOrderWriter(session, settings)
    session.start()
    try:
        await _connected(session)
        await writer.write(events)  # warm up
        single = await _timed(session, f"one order each, {rate:g}/s", lambda: _paced(writer, events, rate, seconds))
        bulk = await _timed(session, f"{len(events)} orders at once", lambda: _bulk(writer, events))
    finally:
        await session.stop()
    return [single, bulk]


async def _paced(writer: CassandraOrderWriter, events: Sequence[OrderPlaced], rate: float, seconds: float) -> int:
    begun, count = perf_counter(), int(rate * seconds)
    async with asyncio.TaskGroup() as writes:
        for number in range(count):
            await asyncio.sleep(max(0.0, begun + number / rate - perf_counter()))
            writes.create_task(writer.write([events[number % len(events)]]))
    return count


async def _bulk(writer: CassandraOrderWriter, events: Sequence[OrderPlaced]) -> int:
    await writer.write(events)
    return len(events)


async def _timed(session: TimedSession, way: str, work: Callable[[], Coroutine[Any, Any, int]]) -> Writes:
    session.latencies = []
    begun = perf_counter()
    orders = await work()
    took, ordered = perf_counter() - begun, sorted(session.latencies)
    shares = [percentile(ordered, share) for share in (0.5, 0.99, 1.0)]
    return Writes(way, orders, round(orders / took, 1), *shares)


async def _connected(session: CassandraSession) -> None:
    deadline = perf_counter() + CONNECT_SECONDS
    while not session.connected:
        if perf_counter() > deadline:
            raise LoadError(f"Cassandra does not answer within {CONNECT_SECONDS:.0f} s")
        await asyncio.sleep(POLL)
