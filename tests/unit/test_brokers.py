"""Connections to the brokers, and who is asked who leads what, when brokers come and go."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError

from app.adapters import brokers as module
from app.adapters.brokers import NOBODY, Brokers
from app.adapters.fatal import end_process
from app.settings import Kafka, Settings


class Client:
    """In the place of aiokafka's."""

    def __init__(self, port: int = 1) -> None:
        self.port = port
        self.boots = self.updates = self.closed = 0
        self.knows_any = True  # whether a broker that it knows answers
        self.hangs = False
        self.error: Exception | None = None
        self.cluster = self
        self._sync_task = asyncio.ensure_future(asyncio.Event().wait())

    async def bootstrap(self) -> None:
        self.boots += 1
        self.knows_any = True

    async def set_topics(self, topics: set[str]) -> None:
        assert topics == {"rows"}
        if self.hangs:
            await asyncio.Event().wait()

    def add_topic(self, topic: str) -> None: ...

    def leader_for_partition(self, place: Any) -> None: ...

    def broker_metadata(self, node: int) -> Any:
        return SimpleNamespace(host="127.0.0.1", port=self.port) if node == 1 else None

    def force_metadata_update(self) -> "asyncio.Future[bool]":
        self.updates += 1
        found: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        found.set_result(self.knows_any)
        return found

    async def send(self, node: int, request: Any) -> Any:
        del node, request
        assert self.error is not None
        raise self.error

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = Client(server.sockets[0].getsockname()[1])
    monkeypatch.setattr(module, "AIOKafkaClient", lambda **_: client)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.001)
    yield client
    client._sync_task.cancel()
    server.close()


@pytest.fixture
async def brokers(client: Client) -> AsyncIterator[Brokers]:
    found = Brokers(Settings(kafka=Kafka(bootstrap="127.0.0.1:1")), "test", end_process)
    assert await found.connect(["rows"])
    yield found
    await found.close()
    await asyncio.sleep(0.01)  # the server learns of it


async def test_where_no_broker_that_is_known_answers_those_of_the_settings_are_asked(
    client: Client, brokers: Brokers
) -> None:
    await brokers.wait_after([KafkaError("away")])
    assert client.boots == 1
    client.knows_any = False
    await brokers.wait_after([KafkaError("away")])
    assert client.boots == 2
    client.knows_any = False
    await brokers.look_for_leaders([])
    assert client.boots == 3


async def test_a_client_that_hangs_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.01)
    client.hangs = True
    brokers = Brokers(Settings(), "test", end_process)
    assert not await brokers.connect(["rows"])
    assert not brokers.is_connected
    assert client.closed == 1


async def test_two_who_connect_at_once_share_one_connection(brokers: Brokers) -> None:
    assert await asyncio.gather(*(brokers.reach(1) for _ in range(2))) == [True, True]
    [line] = brokers._lines.values()
    assert not line.is_closed
    assert await brokers.reach(1)
    assert list(brokers._lines.values()) == [line]


async def test_a_broker_that_is_not_known_or_not_there_is_not_reached(client: Client, brokers: Brokers) -> None:
    assert not await brokers.reach(NOBODY)
    client.port = 1
    assert not await brokers.reach(1)
    with pytest.raises(KafkaConnectionError):
        await brokers.fetch(1, "rows", {0: 0}, 1, 1, 1)


async def test_after_the_end_nothing_is_opened(brokers: Brokers) -> None:
    await brokers.close()
    assert not await brokers.reach(1)


@pytest.mark.parametrize("error", [RuntimeError("the handler is closed"), KeyError((1, 0)), OSError("broken")])
async def test_whatever_a_broken_connection_raises_is_an_error_of_kafka(
    client: Client, brokers: Brokers, error: Exception
) -> None:
    client.error = error
    with pytest.raises(KafkaConnectionError):
        await brokers.first_offsets(1, "rows", [0])
