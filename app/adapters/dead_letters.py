"""Records that cannot be decoded, set aside for an operator to look at."""

import asyncio
from base64 import b64encode

import msgspec
import structlog
from confluent_kafka import KafkaError, KafkaException, Message

from app.adapters.log_writer import PolledProducer
from app.settings import Settings
from app.topics import DEAD_LETTERS

log = structlog.get_logger(__name__)

# In base64 this stays below what a broker takes (1 MB); the whole record stands at its offset still.
MAX_VALUE_BYTES = 512 * 1024
RETRY_SECONDS = 1.0


class DeadLetter(msgspec.Struct, frozen=True):
    """A record of the `dead-letters` topic: where the record stood, why it was set aside, its value as base64.

    `size` is the value's length in bytes: above what `value` holds, the value was cut.
    """

    topic: str
    partition: int
    offset: int
    reason: str
    value: str | None
    size: int


class KafkaDeadLetters:
    """Sets records aside in Kafka."""

    def __init__(self, settings: Settings) -> None:
        self._producer = PolledProducer(
            "dead-letters",
            {
                "bootstrap.servers": settings.kafka_bootstrap,
                "client.id": "bistro92-dead-letters",
                "enable.idempotence": True,
                "message.timeout.ms": 0,  # tried until the process ends: its record is not acknowledged before
                "partitioner": "murmur2_random",
            },
        )

    async def put(self, topic: str, partition: int, offset: int, value: bytes | None, reason: str) -> None:
        """Set the record aside; returns once Kafka has acknowledged that, and tries until then."""
        log.error("a record was set aside", topic=topic, partition=partition, offset=offset, reason=reason)
        data = None if value is None else b64encode(value[:MAX_VALUE_BYTES]).decode()
        letter = msgspec.json.encode(DeadLetter(topic, partition, offset, reason[:1000], data, len(value or b"")))
        key = f"{topic}/{partition}".encode()
        while True:
            try:
                await self._send(key, letter)
            except (BufferError, KafkaException) as error:
                log.warning("a dead letter was not taken, trying on", reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            else:
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
