"""Faust's Kafka transport with fetches that suit the service.

A fetch covers all partitions of which nothing is buffered, and there is one fetch per broker at a time: while it waits
for one partition, records that come in for another wait, too. Faust lets it wait 1.5 s and offers no setting.
"""

from dataclasses import dataclass
from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport


@dataclass(frozen=True, slots=True)
class Fetching:
    """The broker answers a fetch once it has `min_bytes`, or after `max_wait_ms`."""

    min_bytes: int
    max_wait_ms: int


# Somebody waits: the broker answers at once, and an idle partition holds up the others for no longer than this.
PROMPT = Fetching(1, 20)
# Nobody waits: a request each few milliseconds would cost broker and ledger more than the orders themselves.
PATIENT = Fetching(200_000, 100)


def transport(app: Any, fetching: Fetching) -> Transport:
    """The transport of the app, for its `transport` attribute."""

    class Thread(AIOKafkaConsumerThread):  # type: ignore[misc]
        def _create_worker_consumer(self, transport: Any) -> Any:
            consumer = super()._create_worker_consumer(transport)
            consumer._fetch_min_bytes = fetching.min_bytes
            consumer._fetch_max_wait_ms = fetching.max_wait_ms
            return consumer

    class ThreadedConsumer(Consumer):  # type: ignore[misc]
        def _new_consumer_thread(self) -> Thread:
            return Thread(self, loop=self.loop, beacon=self.beacon)

    class FetchingTransport(Transport):  # type: ignore[misc]
        pass

    FetchingTransport.Consumer = ThreadedConsumer
    return FetchingTransport(app.conf.broker_consumer, app)
