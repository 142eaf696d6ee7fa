"""What goes over a connection, chunk by chunk: the same with and without what is answered before the parser."""

import asyncio
import re
from collections.abc import Coroutine, Sequence
from typing import Any

import uvloop

from app.web.server import ContractHandler

LAST = b"GET /end HTTP/1.1\r\nHost: bistro\r\nConnection: close\r\n\r\n"


async def exchange(port: int, chunks: Sequence[bytes], turns: int) -> bytes:
    """All that comes back for these chunks, each received by itself; after each the server has `turns` of the loop."""
    taken = 0
    received = ContractHandler.data_received

    def counted(self: ContractHandler, data: bytes) -> None:
        nonlocal taken
        taken += len(data)
        received(self, data)

    ContractHandler.data_received = counted  # type: ignore[method-assign]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading = asyncio.create_task(read_on(reader))
    try:
        sent = 0
        for chunk in (*chunks, LAST):
            if not reading.done():
                writer.write(chunk)
            sent += len(chunk)
            while taken < sent and not reading.done():  # noqa: ASYNC110 - it is the server's loop as well
                await asyncio.sleep(0)
            for _ in range(turns):
                await asyncio.sleep(0)
        async with asyncio.timeout(10):
            return alike(await reading)
    finally:
        ContractHandler.data_received = received  # type: ignore[method-assign]
        writer.close()


async def read_on(reader: asyncio.StreamReader) -> bytes:
    received = b""
    try:
        while piece := await reader.read(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def alike(answer: bytes) -> bytes:
    """An answer without what differs from one to the next."""
    answer = re.sub(rb"(X-Request-Id: )[0-9a-f]{8}-[0-9a-f]+", rb"\1#", answer)
    return re.sub(rb"(Date: )[^\r]+ GMT", rb"\1#", answer)


def run(work: Coroutine[Any, Any, object]) -> None:
    """On the loop that workers run on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)
