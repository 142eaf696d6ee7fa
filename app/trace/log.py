"""Where an order stands in Kafka: its commands, the row that it led to, and its event."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from app.audit.log import BATCH, BATCH_SECONDS, REQUEST, AuditError, new_consumer
from app.domain.row import BadRowError, row_offset
from app.messages import (
    BadMessageError,
    NoteCancelled,
    OrderCancelled,
    OrderPlaced,
    PlaceOrder,
    decode_command,
    decode_event,
)
from app.settings import Settings
from app.topics import DAY_MS, KITCHEN_TICKETS, LEDGER_APP, ORDER_COMMANDS, ORDER_EVENTS, TABLES_CHANGELOG
from app.trace.records import Found
from app.trace.tickets import Ticket, ticket_of

WINDOW_MS = 60_000  # round what is known of an order, in which its command may stand more than once
CLOCK_MS = 1_000  # by which the clocks of two brokers may differ
MOST = 5_000_000  # records that are read in search of one order
STALL = 10.0  # s without a record or an end, after which reading is given up
SAY_EVERY = 2.0  # s

Say = Callable[[str], None]


class Command(NamedTuple):
    """An order's command where it stands."""

    record: Found
    command: PlaceOrder


class Event(NamedTuple):
    """An order's event where it stands."""

    record: Found
    event: OrderPlaced


class Cancel(NamedTuple):
    """What tells of an order's cancel, where it stands."""

    topic: str
    record: Found
    message: NoteCancelled | OrderCancelled


class _Brief(msgspec.Struct):
    """Of an event, what tells whether to read on."""

    offset: int = -1


_brief = msgspec.json.Decoder(_Brief)


class Log:
    """Kafka's topics, looked through for one order; close it."""

    def __init__(self, settings: Settings, say: Say = lambda _: None) -> None:
        """`say` hears of a search that takes long.

        Raises:
            AuditError: Kafka does not answer.
        """
        self._say = say
        self._bootstrap = settings.kafka_bootstrap
        self._consumer = new_consumer(self._bootstrap, **{"fetch.message.max.bytes": 1024 * 1024})
        found = self._ask(lambda: self._consumer.list_topics(ORDER_COMMANDS, timeout=REQUEST))
        self.partitions = sorted(found.topics[ORDER_COMMANDS].partitions)

    def commands(self, order_id: str, partition: int, since: int, until: int) -> list[Command]:
        """The order's commands of this partition and time (ms).

        Raises:
            AuditError: Kafka does not answer.
        """
        span = range(self._offset(ORDER_COMMANDS, partition, since), self._offset(ORDER_COMMANDS, partition, until))
        return [
            Command(found, command)
            for found in self._scan(ORDER_COMMANDS, {partition: span}, order_id.encode())
            if (command := _command(found)) is not None and command.order_id == order_id
        ]

    def first_command(self, needle: str, since: int, is_wanted: Callable[[PlaceOrder], bool]) -> Command | None:
        """The first command of any partition that holds this text and is wanted; reads the log from `since` (ms) on.

        Raises:
            AuditError: Kafka does not answer, or there is too much to read.
        """
        for found in self._scan(ORDER_COMMANDS, self._spans(ORDER_COMMANDS, since), needle.encode()):
            command = _command(found)
            if command is not None and is_wanted(command):
                return Command(found, command)
        return None

    def first_event(self, order_id: str, since: int) -> Event | None:
        """The order's event, from any partition: events are kept for longer than commands.

        Raises:
            AuditError: as above.
        """
        for found in self._scan(ORDER_EVENTS, self._spans(ORDER_EVENTS, since), order_id.encode()):
            event = _event(found)
            if event is not None and event.order_id == order_id:
                return Event(found, event)
        return None

    def event(self, order_id: str, partition: int, since: int, after: int) -> Event | None:
        """The order's event in this partition, None where there is none before those of later commands.

        `since` is its command's time in ms, `after` the offset of the last command that could have led to it.

        Raises:
            AuditError: as above.
        """
        start = self._offset(ORDER_EVENTS, partition, since - CLOCK_MS)
        span = range(start, self._ends(ORDER_EVENTS, partition)[1])
        for found in self._scan(ORDER_EVENTS, {partition: span}, b""):
            if order_id.encode() in found.value:
                event = _event(found)
                if event is not None and event.order_id == order_id:
                    return Event(found, event)
            elif _offset_of(found) > after:
                return None
        return None

    def cancels(self, order_id: str, partition: int, since: int, until: int | None) -> list[Cancel]:
        """What of this partition and time (ms; None: to the end) tells that the order was cancelled.

        Raises:
            AuditError: as above.
        """
        cancels = []
        for topic in (ORDER_COMMANDS, ORDER_EVENTS):
            start, stop = self._offset(topic, partition, since), self._ends(topic, partition)[1]
            if until is not None:
                stop = self._offset(topic, partition, until)
            for found in self._scan(topic, {partition: range(start, stop)}, order_id.encode()):
                message = _cancel(found, topic)
                if message is not None and message.order_id == order_id:
                    cancels.append(Cancel(topic, found, message))
        return cancels

    def row(self, table: str, partition: int, since: int, offset: int) -> tuple[Found | None, int]:
        """The table's row that the command at `offset` led to, and the first later one's command; -1 for none.

        Raises:
            AuditError: as above.
        """
        start = self._offset(TABLES_CHANGELOG, partition, since - CLOCK_MS)
        span = range(start, self._ends(TABLES_CHANGELOG, partition)[1])
        for found in self._scan(TABLES_CHANGELOG, {partition: span}, b"", key=table.encode()):
            try:
                led_to_by = row_offset(found.value)
            except BadRowError:
                continue
            if led_to_by == offset:
                return found, -1
            if led_to_by > offset:
                return None, led_to_by
        return None, -1

    def tickets(self, order_id: str, partition: int, since: int) -> list[Ticket]:
        """What the kitchen told of the order's tickets in the day after `since` (ms).

        Raises:
            AuditError: as above.
        """
        start = self._offset(KITCHEN_TICKETS, partition, since - CLOCK_MS)
        span = range(start, self._offset(KITCHEN_TICKETS, partition, since + DAY_MS))
        found = self._scan(KITCHEN_TICKETS, {partition: span}, order_id.encode())
        tickets = (ticket_of(record) for record in found)
        return [ticket for ticket in tickets if ticket is not None and ticket.told.order_id == order_id]

    def ledger_is_past(self, partition: int, offset: int) -> bool:
        """Whether the ledger has committed past this event.

        Raises:
            AuditError: Kafka does not answer.
        """
        ledger = new_consumer(self._bootstrap, **{"group.id": LEDGER_APP})
        try:
            [place] = self._ask(lambda: ledger.committed([TopicPartition(ORDER_EVENTS, partition)], timeout=REQUEST))
            return int(place.offset) > offset
        finally:
            ledger.close()

    def oldest(self, topic: str, partition: int) -> int:
        """The offset of the oldest record that is left.

        Raises:
            AuditError: Kafka does not answer.
        """
        return self._ends(topic, partition)[0]

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()

    def _ends(self, topic: str, partition: int) -> tuple[int, int]:
        place = TopicPartition(topic, partition)
        low, high = self._ask(lambda: self._consumer.get_watermark_offsets(place, timeout=REQUEST))
        return int(low), int(high)

    def _offset(self, topic: str, partition: int, at: int) -> int:
        """The first record from this time (ms) on; the partition's end where there is none."""
        place = TopicPartition(topic, partition, max(0, at))
        [found] = self._ask(lambda: self._consumer.offsets_for_times([place], timeout=REQUEST))
        return int(found.offset) if found.offset >= 0 else self._ends(topic, partition)[1]

    def _spans(self, topic: str, since: int) -> dict[int, range]:
        spans = {}
        for number in self.partitions:
            low, high = self._ends(topic, number)
            spans[number] = range(self._offset(topic, number, since) if since else low, high)
        return spans

    def _scan(self, topic: str, spans: Mapping[int, range], needle: bytes, key: bytes | None = None) -> Iterator[Found]:
        """The records of these offsets with this text in them and this key, a partition's in their order."""
        left = {number: span for number, span in spans.items() if span}
        total, seen = sum(map(len, left.values())), 0
        self._ask(lambda: self._consumer.assign([TopicPartition(topic, n, span.start) for n, span in left.items()]))
        said = heard = time.monotonic()
        while left:
            messages = self._ask(lambda: self._consumer.consume(BATCH, timeout=BATCH_SECONDS))
            now = time.monotonic()
            heard = now if messages else heard
            if now - heard > STALL:
                raise AuditError(f"topic {topic}: nothing came for {STALL:.0f} s")
            if now - said > SAY_EVERY:
                said = now
                self._say(f"{topic}: {seen:,} of {total:,} records read")
            seen += len(messages)
            if seen > MOST:
                raise AuditError(f"topic {topic}: not found in {MOST:,} records; say --since")
            for message in messages:
                number, span = message.partition(), left.get(message.partition())
                if message.error() is not None:
                    if message.error().code() != KafkaError._PARTITION_EOF:
                        raise AuditError(f"topic {topic}: {message.error().str()}")
                    left.pop(number, None)  # compaction may have taken the last records
                    continue
                if span is None or message.offset() >= span.stop:
                    left.pop(number, None)
                    continue
                value = message.value() or b""
                if needle in value and (key is None or message.key() == key):
                    yield Found(number, message.offset(), message.timestamp()[1], value)
                if message.offset() + 1 >= span.stop:
                    left.pop(number, None)

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except KafkaException as error:
            raise AuditError(f"Kafka at {self._bootstrap}: {error.args[0].str()}") from error


def _command(found: Found) -> PlaceOrder | None:
    try:
        command = decode_command(found.value)
    except BadMessageError:
        return None
    return command if isinstance(command, PlaceOrder) else None


def _cancel(found: Found, topic: str) -> NoteCancelled | OrderCancelled | None:
    try:
        message = decode_command(found.value) if topic == ORDER_COMMANDS else decode_event(found.value)
    except BadMessageError:
        return None
    return message if isinstance(message, NoteCancelled | OrderCancelled) else None


def _event(found: Found) -> OrderPlaced | None:
    try:
        event = decode_event(found.value)
    except BadMessageError:
        return None
    return event if isinstance(event, OrderPlaced) else None


def _offset_of(found: Found) -> int:
    try:
        return _brief.decode(found.value).offset
    except (msgspec.DecodeError, UnicodeDecodeError):
        return -1
