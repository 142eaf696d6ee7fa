"""The running stack as the contract's tests see it: through HTTP, and by what reached the log of events."""

import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import confluent_kafka as ck
import pytest

from app.adapters.tokens import SignedTokens, signed_tokens
from app.messages import OrderPlaced, decode_event
from app.settings import Settings
from app.topics import ORDER_EVENTS
from app.web.openapi import describe_api
from tests.house import Client, Reply, order
from tests.stack import Stack


class Events:
    """What was added to `order-events` since the last look."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = ck.Consumer(
            {
                "bootstrap.servers": settings.kafka_bootstrap,
                "group.id": "contract-tests",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
            }
        )
        self._partitions = range(settings.kafka.partitions)
        self._ends: dict[int, int] = self._now()

    def close(self) -> None:
        self._consumer.close()

    def _now(self) -> dict[int, int]:
        return {
            number: self._consumer.get_watermark_offsets(ck.TopicPartition(ORDER_EVENTS, number), timeout=10)[1]
            for number in self._partitions
        }

    def placed_at(self, table: str) -> list[OrderPlaced]:
        """This table's orders among the new events; an answer is given after its event is there."""
        before, self._ends = self._ends, self._now()
        left = sum(self._ends.values()) - sum(before.values())
        grown = [number for number, end in self._ends.items() if end > before[number]]
        self._consumer.assign([ck.TopicPartition(ORDER_EVENTS, number, before[number]) for number in grown])
        found = []
        while left > 0:
            [message] = self._consumer.consume(1, timeout=10)
            assert message.error() is None
            left -= 1
            event = decode_event(message.value())
            if isinstance(event, OrderPlaced) and event.table == table:
                found.append(event)
        return found


class Table:
    """A table of this test alone, with its pad."""

    def __init__(self, client: Client, number: str, pad: str) -> None:
        self.client = client
        self.number = number
        self.pad = pad

    def body(self, version: int = 0, order_id: str = "id-1", **more: Any) -> dict[str, Any]:
        return order(version, order_id, self.number, **more)

    async def order(self, version: int = 0, order_id: str = "id-1", **more: Any) -> Reply:
        return await self.client.order(self.body(version, order_id, **more), self.pad)

    async def get(self, path: str = "") -> Reply:
        return await self.client.get(f"/tables/{self.number}{path}", self.pad)


@pytest.fixture(scope="session")
def settings(stack: Stack) -> Settings:
    """The settings of the running stack."""
    return stack.settings


@pytest.fixture(scope="session")
def tokens(settings: Settings) -> SignedTokens:
    """Tokens of the running stack."""
    return signed_tokens(settings)


@pytest.fixture(scope="session")
def events(settings: Settings) -> Iterator[Events]:
    """The log of events."""
    log = Events(settings)
    yield log
    log.close()


@pytest.fixture
async def workers(settings: Settings) -> AsyncIterator[list[Client]]:
    """Each order worker by its own port."""
    ports = [settings.ports.of("orders", index) for index in range(1, settings.workers + 1)]
    clients = [Client(f"http://127.0.0.1:{port}", describe_api(settings)) for port in ports]
    yield clients
    for client in clients:
        await client.close()


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Client]:
    """The address that pads use."""
    client = Client(settings.orders_url, describe_api(settings))
    yield client
    await client.close()


@pytest.fixture
async def table(client: Client, tokens: SignedTokens) -> Table:
    """A table that was just opened."""
    return await opened(client, tokens)


async def opened(client: Client, tokens: SignedTokens) -> Table:
    """Open a table that no test had before."""
    number = f"C-{uuid.uuid4().hex[:12]}"
    reply = await client.post(f"/tables/{number}/open", tokens.sign("operator"))
    assert reply.status == 201
    return Table(client, number, tokens.sign("pad", number, reply.body["session"]))
