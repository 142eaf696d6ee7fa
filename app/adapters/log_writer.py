"""Producers on librdkafka: one for what an owner decided, one for commands.

What one turn of the event loop appends is handed over at its end, in one call per partition: librdkafka sends a request
for each partition as soon as it has a record, and Kafka's work is counted in requests. One request is under way at a
time, so that the longer it takes, the more the next one carries. Waiting for more (`linger.ms`) would do the same and
make a lone guest wait, too.

Faust's own producer is not used on the way of an order: its changelog buffer swallows failures. Can go when
Faust awaits what it writes before it commits.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from confluent_kafka import KafkaError, Message, Producer

from app.adapters.librdkafka import link_config
from app.ports import Fatal
from app.settings import Settings

log = structlog.get_logger(__name__)

COMPLAIN_SECONDS = 10.0
# Requests that are under way to a broker, which works off one connection's in order anyway: what comes meanwhile shares
# the next request. More of them only meant smaller ones, each with its own wake-ups on both sides.
ONE_AT_A_TIME = 1
POLL_SECONDS = 0.5  # a poll returns as soon as there is a delivery report; this bounds how late a stop is seen


class PolledProducer:
    """A librdkafka producer whose delivery reports are collected by a thread of its own."""

    def __init__(self, name: str, config: dict[str, Any], after_poll: Callable[[], None] | None = None) -> None:
        self._name = name
        self._complained_at = 0.0
        self._producer = Producer({"acks": "all", "error_cb": self._complain, "max.in.flight": ONE_AT_A_TIME, **config})
        self._after_poll = after_poll
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name=f"{name}-poll", daemon=True)
        self._thread.start()
        self.produce = self._producer.produce
        self.produce_batch = self._producer.produce_batch

    def _poll(self) -> None:
        while not self._stopping.is_set():
            if self._producer.poll(POLL_SECONDS) and self._after_poll:
                self._after_poll()

    def _complain(self, error: KafkaError) -> None:
        now = time.monotonic()
        if now - self._complained_at >= COMPLAIN_SECONDS:
            self._complained_at = now
            log.warning("Kafka does not answer", producer=self._name, reason=str(error))

    def stop(self, timeout: float) -> int:
        """Wait up to `timeout` s for what is under way; returns how many records were not delivered."""
        self._stopping.set()
        self._thread.join(POLL_SECONDS * 2)
        left: int = self._producer.flush(timeout)
        return left


class KafkaLane:
    """One partition as this process writes it: counts what was sent and what Kafka acknowledged.

    A hole between the offsets of two records of ours was written by somebody else. `known` is the offset before which
    all was written here or read: it stays before the first hole, until somebody has read on from there.
    """

    __slots__ = (
        "_gaps",
        "_next",
        "_pending",
        "_produce_batch",
        "_topic",
        "_writer",
        "acked",
        "known",
        "partition",
        "sent",
    )

    def __init__(self, writer: "KafkaLogWriter", produce_batch: Callable[..., int], topic: str, partition: int) -> None:
        self._writer = writer
        self._produce_batch = produce_batch
        self._topic = topic
        self._pending: list[dict[str, Any]] = []
        self.partition = partition
        self.sent = 0
        self.acked = 0
        self.known = -1
        self._next = -1  # unknown until somebody who read up to the end says so
        self._gaps: list[tuple[int, int]] = []

    def send(self, key: bytes, value: bytes | None) -> None:
        """Append a record to the partition, at the end of this turn of the loop."""
        self._pending.append({"key": key, "value": value})
        self.sent += 1
        if len(self._pending) == 1:
            self._writer.flush_soon(self)

    def flush(self) -> None:
        """Hand over what was sent in this turn."""
        records, self._pending = self._pending, []
        try:
            taken = self._produce_batch(self._topic, records, partition=self.partition, on_delivery=self._delivered)
        except Exception as error:  # noqa: BLE001 - whatever it is, they were counted as sent
            self._writer.fatal(f"records for {self._topic}/{self.partition} were not taken: {error}")
        if taken != len(records):
            # The pipeline bounds what is in flight far below the queue's limit: this is a fault, not a load.
            reason = next((record["_error"] for record in records if "_error" in record), "no reason was given")
            self._writer.fatal(f"a record for {self._topic}/{self.partition} was not taken: {reason}")

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        # On the poll thread. Each lane is counted up by this thread alone.
        if error is not None:
            self._writer.fatal(f"a record for {self._topic}/{self.partition} was not delivered: {error}")
        offset = message.offset()
        if 0 <= self._next < offset:
            self._gaps.append((self._next, offset))
        self._next = offset + 1
        if offset == self.known:
            self.known = offset + 1
        self.acked += 1

    def read_up_to(self, offset: int) -> None:
        """What stands before this offset is known to the owner."""
        self._gaps = [(max(start, offset), stop) for start, stop in self._gaps if stop > offset]
        self._next = max(self._next, offset)
        self.known = max(self.known, offset)

    def strangers(self, end: int) -> list[tuple[int, int]]:
        """Ranges of offsets that this process neither wrote nor read, up to the partition's `end`; told once."""
        gaps, self._gaps = self._gaps, []
        if self.acked == self.sent and 0 <= self._next < end:
            gaps.append((self._next, end))
            self._next = end
        return gaps

    def look_again(self, gaps: list[tuple[int, int]]) -> None:
        """Tell these ranges once more: they could not be looked at."""
        self._gaps += gaps


class KafkaLogWriter:
    """Rows, chunks and events: tried until delivered; a failure for good ends the process."""

    def __init__(self, settings: Settings, fatal: Fatal) -> None:
        self.fatal = fatal
        self._lanes: dict[tuple[str, int], KafkaLane] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake_pending = False
        self._sending: list[KafkaLane] = []  # lanes with records of this turn
        self._producer = PolledProducer(
            "log-writer",
            {
                **link_config(settings, "bistro92-log-writer"),
                "enable.idempotence": True,
                # Tried until the process ends: an owner that gave up would have decided what nobody learns of.
                "message.timeout.ms": 0,
                "linger.ms": 0,
                "queue.buffering.max.messages": 1_000_000,
                "partitioner": "murmur2_random",
            },
            self._wake,
        )

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop on which callbacks are called."""
        self._loop = loop

    def lane(self, topic: str, partition: int) -> KafkaLane:
        """The lane of this partition, always the same one."""
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = KafkaLane(self, self._producer.produce_batch, topic, partition)
        return lane

    def flush_soon(self, lane: KafkaLane) -> None:
        """Hand over the lane's records at the end of this turn; at once where no loop turns."""
        self._sending.append(lane)
        if self._loop is None:
            self.flush()
        elif len(self._sending) == 1:
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Hand over what was sent in this turn."""
        lanes, self._sending = self._sending, []
        for lane in lanes:
            lane.flush()

    def on_delivered(self, callback: Callable[[], None]) -> None:
        """Have `callback` called on the event loop after some records were acknowledged."""
        self._callbacks.append(callback)

    def _wake(self) -> None:
        # One wake-up for all that was delivered since the loop last looked.
        if not self._wake_pending and self._loop is not None and not self._loop.is_closed():
            self._wake_pending = True
            self._loop.call_soon_threadsafe(self._call)

    def _call(self) -> None:
        self._wake_pending = False
        for callback in self._callbacks:
            callback()

    def stop(self, timeout: float) -> int:
        """Deliver what is under way, for up to `timeout` s; returns what was not delivered."""
        self.flush()
        return self._producer.stop(timeout)


class KafkaCommands:
    """Commands: appended within the view's deadline or not at all."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._topic = topic
        self._pending: list[dict[str, Any]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        # An expired record makes an idempotent producer drain every partition first; a doubled command is harmless.
        self._producer = PolledProducer(
            "commands",
            {
                **link_config(settings, "bistro92-commands"),
                "enable.idempotence": False,
                "message.timeout.ms": int(settings.orders.view_deadline * 1000),
                "request.timeout.ms": int(settings.orders.view_deadline * 1000),
                "linger.ms": 0,
                "delivery.report.only.error": True,
                "partitioner": "murmur2_random",
            },
        )

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop on which commands are appended."""
        self._loop = loop

    def append(self, key: bytes, value: bytes, on_failure: Callable[[str], None]) -> None:
        """Append a command to its table's partition, at the end of this turn of the loop.

        `on_failure` is called with the reason, on another thread or on this one.
        """

        def report(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                on_failure(str(error))

        self._pending.append({"key": key, "value": value, "callback": report})
        if self._loop is None:
            self.flush()
        elif len(self._pending) == 1:
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Hand over what was appended in this turn; what Kafka's client does not take fails at once."""
        records, self._pending = self._pending, []
        try:
            self._producer.produce_batch(self._topic, records)
        except Exception as error:  # noqa: BLE001 - whatever it is, guests wait
            for record in records:
                record.setdefault("_error", error)
        for record in records:
            if (reason := record.get("_error")) is not None:
                record["callback"](reason, None)

    def stop(self, timeout: float) -> int:
        """Deliver what is under way, for up to `timeout` s; returns what was not delivered."""
        self.flush()
        return self._producer.stop(timeout)
