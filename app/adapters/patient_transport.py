"""Kafka's records in portions, for a service that nobody waits for."""

from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport

# The broker answers once it has so much, or after so long: a request each few milliseconds would cost broker and
# ledger more than the orders themselves.
FETCH_BYTES = 200_000
FETCH_MS = 100


class _Thread(AIOKafkaConsumerThread):  # type: ignore[misc]
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_min_bytes = FETCH_BYTES
        consumer._fetch_max_wait_ms = FETCH_MS
        return consumer


class _Consumer(Consumer):  # type: ignore[misc]
    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class PatientTransport(Transport):  # type: ignore[misc]
    """Faust's transport with a consumer that lets records gather on the broker."""

    Consumer = _Consumer
