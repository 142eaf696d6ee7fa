"""Records that cannot be decoded, set aside for an operator to look at."""

import asyncio
from collections.abc import Callable
from typing import Annotated

import msgspec
import structlog
from confluent_kafka import KafkaError, KafkaException, Message

from app.adapters.librdkafka import link_config
from app.adapters.polled_producer import PolledProducer
from app.ports import Consumed
from app.settings import Settings
from app.topics import DEAD_LETTERS

log = structlog.get_logger(__name__)

SCHEMA = 1

# As base64 all of this stays below what a broker takes (1 MB), else a letter would be tried for ever. What was cut can
# be read in full where the record stands, for as long as it does.
MAX_VALUE_BYTES = 512 * 1024
MAX_KEY_BYTES = 64 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_REASON = 1000  # characters
RETRY_SECONDS = 1.0


class BadLetterError(ValueError):
    """A record of `dead-letters` that none of our agents or commands wrote, or that a newer release did."""


Partition = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Offset = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


def _this_schema() -> int:
    return SCHEMA


class DeadLetter(msgspec.Struct, frozen=True, tag_field="type", tag="DeadLetter"):
    """A record that was set aside: where it stood, when (log time, ms), why, and the record itself.

    Bytes are base64. `size` is the value's length and `key_size` the key's: above what is here, they were cut.
    `headers` is None where they were too long to be kept.
    """

    topic: str
    partition: Partition
    offset: Offset
    time: int
    reason: str
    key: bytes | None
    key_size: int
    value: bytes | None
    size: int
    headers: tuple[tuple[str, bytes | None], ...] | None
    schema: int = msgspec.field(default_factory=_this_schema)

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the record was cut."""
        kept = len(self.value or b""), len(self.key or b"")
        return kept == (self.size, self.key_size) and self.headers is not None


class Resent(msgspec.Struct, frozen=True, tag_field="type", tag="Resent"):
    """A letter's record was sent again: `letter` is the letter's offset, the rest the new record's place.

    `mended` tells that another value than the record's own was sent.
    """

    letter: Offset
    topic: str
    partition: Partition
    offset: Offset
    mended: bool
    schema: int = msgspec.field(default_factory=_this_schema)


_decoder: msgspec.json.Decoder[DeadLetter | Resent] = msgspec.json.Decoder(DeadLetter | Resent)


def decode_letter(data: bytes | None) -> DeadLetter | Resent:
    """A record of `dead-letters`.

    Raises:
        BadLetterError: it is none that is known here.
    """
    try:
        found = _decoder.decode(data or b"")
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadLetterError(f"not a dead letter: {error}") from error
    if found.schema != SCHEMA:
        raise BadLetterError(f"a dead letter of schema {found.schema}; {SCHEMA} is known here")
    return found


def letter_of(record: Consumed, reason: str) -> DeadLetter:
    """The letter that sets a record aside."""
    headers = tuple((name, value) for name, value in record.headers)
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        time=record.timestamp,
        reason=reason[:MAX_REASON],
        key=record.key if record.key is None else record.key[:MAX_KEY_BYTES],
        key_size=len(record.key or b""),
        value=record.value if record.value is None else record.value[:MAX_VALUE_BYTES],
        size=len(record.value or b""),
        headers=headers if len(msgspec.json.encode(headers)) <= MAX_HEADER_BYTES else None,
    )


class KafkaDeadLetters:
    """Sets records aside in Kafka; `counted` is called with the topic of each that was."""

    def __init__(self, settings: Settings, counted: Callable[[str], None] = lambda _: None) -> None:
        self._counted = counted
        self._producer = PolledProducer(
            "dead-letters",
            {
                **link_config(settings, "bistro92-dead-letters"),
                "enable.idempotence": True,
                "message.timeout.ms": 0,  # tried until the process ends: its record is not acknowledged before
                "partitioner": "murmur2_random",
            },
        )

    async def put(self, record: Consumed, reason: str) -> None:
        """Set the record aside; returns once Kafka has acknowledged that, and tries until then."""
        place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        log.error("a record was set aside", **place, reason=reason[:MAX_REASON])
        letter = msgspec.json.encode(letter_of(record, reason))
        key = f"{record.topic}/{record.partition}".encode()
        while True:
            try:
                await self._send(key, letter)
            except (BufferError, KafkaException) as error:
                log.warning("a dead letter was not taken, trying on", reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._counted(record.topic)
                return

    async def _send(self, key: bytes, value: bytes) -> None:
        loop = asyncio.get_running_loop()
        delivered: asyncio.Future[None] = loop.create_future()

        def settle(error: KafkaError | None) -> None:
            if delivered.done():
                return
            if error is None:
                delivered.set_result(None)
            else:
                delivered.set_exception(KafkaException(error))

        def report(error: KafkaError | None, _message: Message) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, error)

        self._producer.produce(DEAD_LETTERS, value, key, on_delivery=report)
        await delivered

    def stop(self, timeout: float) -> int:
        """Deliver what is under way, for up to `timeout` s; returns what was not delivered."""
        return self._producer.stop(timeout)
