"""Connections to Kafka that were lost without a word, as the consumers of Faust see them."""

import asyncio
import struct
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import RequestTimedOutError
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, JoinGroupResponse_v0
from aiokafka.structs import BrokerMetadata

from app.adapters import transport

API_VERSIONS, HEARTBEAT, JOIN = 18, 12, 11
SPOKEN = (API_VERSIONS, HEARTBEAT, JOIN)
VERSIONS = struct.pack(">hi", 0, len(SPOKEN)) + b"".join(struct.pack(">hhh", key, 0, 0) for key in SPOKEN)
JOINED = JoinGroupResponse_v0(0, 7, "range", "me", "me", []).encode()


class Broker:
    """Says what it speaks and lets members join, after a while; owes every other answer."""

    def __init__(self) -> None:
        self.connections = 0
        self.may_join = asyncio.Event()
        self.owed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                key, _, correlation = struct.unpack(">hhi", (await reader.readexactly(size))[:8])
                if key == HEARTBEAT:
                    self.owed.set()
                    continue
                if key == JOIN:
                    self.owed.set()
                    await self.may_join.wait()
                answer = struct.pack(">i", correlation) + (JOINED if key == JOIN else VERSIONS)
                writer.write(struct.pack(">i", len(answer)) + answer)
        except asyncio.IncompleteReadError:
            writer.close()


@pytest.fixture
async def broker(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Broker, AIOKafkaClient]]:
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 0.05)
    fake = Broker()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    client = AIOKafkaClient(bootstrap_servers=f"{host}:{port}", request_timeout_ms=60_000)
    client.cluster._brokers = {1: BrokerMetadata(1, host, port, None)}
    transport.give_up_dead_connections(SimpleNamespace(_client=client))
    yield fake, client
    fake.may_join.set()
    await client.close()
    server.close()
    await server.wait_closed()


async def test_a_connection_that_owes_an_answer_is_made_anew(broker: tuple[Broker, AIOKafkaClient]) -> None:
    fake, client = broker
    async with asyncio.timeout(20):  # far below the client's own time-out
        for _ in range(2):
            with pytest.raises(RequestTimedOutError):
                await client.send(1, HeartbeatRequest("group", 1, "me"))
    assert fake.connections == 2


async def test_who_joins_a_group_waits_until_all_others_have(broker: tuple[Broker, AIOKafkaClient]) -> None:
    fake, client = broker
    request = JoinGroupRequest("group", 5000, 20_000, "", "instance", "consumer", [("range", b"")])
    joining = asyncio.create_task(client.send(1, request))
    await fake.owed.wait()
    done, _ = await asyncio.wait([joining], timeout=transport.ANSWER_SECONDS * 4)
    assert not done
    fake.may_join.set()
    assert (await joining).generation_id == 7
    assert fake.connections == 1
    with pytest.raises(RequestTimedOutError):  # patience ends with the join
        await client.send(1, HeartbeatRequest("group", 1, "me"))
