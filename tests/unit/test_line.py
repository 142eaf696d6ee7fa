"""A connection to a broker: answers in pieces, late ones, wrong ones, none; with a server that the test plays."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiokafka.errors import CorrelationIdError, KafkaConnectionError, KafkaError, RequestTimedOutError

from app.adapters.line import Line

FETCH = (1, 11)


class Broker:
    """Takes requests, and sends what the test says."""

    def __init__(self) -> None:
        self.requests: asyncio.Queue[bytes] = asyncio.Queue()
        self.writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(4))
                self.requests.put_nowait(await reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def send(self, data: bytes) -> None:
        assert self.writer is not None
        self.writer.write(data)

    @staticmethod
    def answer(request: bytes, body: bytes) -> bytes:
        return (4 + len(body)).to_bytes(4) + request[4:8] + body


@pytest.fixture
async def broker() -> Broker:
    return Broker()


@pytest.fixture
async def line(broker: Broker) -> AsyncIterator[Line]:
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    _, line = await asyncio.get_running_loop().create_connection(lambda: Line("pad", 5.0), host, port)
    yield line
    line.close()
    server.close()
    assert broker.writer is not None
    broker.writer.close()
    with contextlib.suppress(ConnectionError):
        await broker.writer.wait_closed()


async def test_a_request_says_what_it_is_and_who_asks(broker: Broker, line: Line) -> None:
    asking = asyncio.ensure_future(line.ask(*FETCH, b"body"))
    request = await broker.requests.get()
    assert request == b"\0\1\0\x0b" + request[4:8] + b"\0\3pad" + b"body"
    broker.send(broker.answer(request, b"found"))
    assert await asking == b"found"


async def test_answers_come_to_who_asked_however_they_are_cut(broker: Broker, line: Line) -> None:
    asking = [asyncio.ensure_future(line.ask(*FETCH, b"%d" % number)) for number in range(3)]
    sent = b"".join([broker.answer(await broker.requests.get(), b"x" * size) for size in (0, 100_000, 7)])
    for start in range(20):
        broker.send(sent[start : start + 1])
        await asyncio.sleep(0)
    broker.send(sent[20:])
    assert [len(await answer) for answer in asking] == [0, 100_000, 7]


async def test_who_was_cancelled_does_not_get_the_answer_and_the_next_one_does(broker: Broker, line: Line) -> None:
    first, second = (asyncio.ensure_future(line.ask(*FETCH, b"")) for _ in range(2))
    requests = [await broker.requests.get() for _ in range(2)]
    first.cancel()
    for request, body in zip(requests, (b"first", b"second"), strict=True):
        broker.send(broker.answer(request, body))
    assert await second == b"second"


async def test_a_broker_that_does_not_answer_in_time_is_left(broker: Broker, line: Line) -> None:
    line._patience = 0.02
    with pytest.raises(RequestTimedOutError):
        await line.ask(*FETCH, b"")
    assert line.is_closed
    with pytest.raises(KafkaConnectionError):
        await line.ask(*FETCH, b"")
    assert broker.requests.qsize() <= 1


@pytest.mark.parametrize(
    "others",
    [b"\0\0\0\x08\xff\xff\xff\xffbody", b"\0\0\0\4\0\0\0\1\0\0\0\4\0\0\0\2"],
    ids=["another one's", "one too many"],
)
async def test_an_answer_to_something_else_closes_it(broker: Broker, line: Line, others: bytes) -> None:
    asking = asyncio.ensure_future(line.ask(*FETCH, b""))
    await broker.requests.get()
    broker.send(others)
    with contextlib.suppress(CorrelationIdError):
        await asking
    async with asyncio.timeout(5):
        while not line.is_closed:  # noqa: ASYNC110 - the server sends when it likes
            await asyncio.sleep(0.001)


async def test_who_waits_for_a_connection_that_breaks_gets_an_error(broker: Broker, line: Line) -> None:
    asking = [asyncio.ensure_future(line.ask(*FETCH, b"")) for _ in range(2)]
    await broker.requests.get()
    assert broker.writer is not None
    broker.writer.transport.abort()
    for answer in await asyncio.gather(*asking, return_exceptions=True):
        assert isinstance(answer, KafkaError)
