"""A producer on librdkafka, for what is on nobody's way: dead letters, changes of the menu."""

import threading
import time
from typing import Any

import structlog
from confluent_kafka import KafkaError, Producer

log = structlog.get_logger(__name__)

COMPLAIN_SECONDS = 10.0
POLL_SECONDS = 0.5  # a poll returns as soon as there is a delivery report; this bounds how late a stop is seen


class PolledProducer:
    """A librdkafka producer whose delivery reports are collected by a thread of its own."""

    def __init__(self, name: str, config: dict[str, Any]) -> None:
        self._name = name
        self._complained_at = 0.0
        self._producer = Producer({"acks": "all", "error_cb": self._complain, **config})
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name=f"{name}-poll", daemon=True)
        self._thread.start()
        self.produce = self._producer.produce

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(POLL_SECONDS)

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
