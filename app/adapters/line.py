"""One connection to one broker: requests go out as bytes, and Kafka answers them in their order.

aiokafka's connection has a task that reads, a lock, and a time-out made anew for each request: half of what a request
costs a worker, and a third of a millisecond of each order's time.
"""

import asyncio
from collections import deque
from typing import cast

from aiokafka.errors import CorrelationIdError, KafkaConnectionError, KafkaError, RequestTimedOutError

from app.adapters import wire

SIZE_BYTES = 4  # before each answer
HEAD_BYTES = 4  # of it: the number of the request
NUMBERS = 2**31


class Line(asyncio.Protocol):
    """Used on one event loop; closed for good once anything is wrong."""

    def __init__(self, client_id: str, patience: float) -> None:
        """A request that is not answered within `patience` s closes the line."""
        self._client = wire.text(client_id)
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._asked: deque[tuple[int, asyncio.Future[bytes]]] = deque()
        self._number = 0
        self._buffer = bytearray()
        self.is_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It can be used."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no such class

    async def ask(self, request: int, version: int, body: bytes) -> bytes:
        """The answer to a request, without its head.

        Raises:
            KafkaError: there is none.
        """
        if self._transport is None or self.is_closed:
            raise KafkaConnectionError("the connection is closed")
        self._number = number = (self._number + 1) % NUMBERS
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._asked.append((number, answer))
        self._transport.write(wire.head(len(body), request, version, number, self._client) + body)
        late = self._loop.call_later(self._patience, self.close, RequestTimedOutError())
        try:
            return await answer
        finally:
            late.cancel()

    def data_received(self, data: bytes) -> None:
        """Give each answer to who waits for it."""
        if not self._buffer and len(data) - SIZE_BYTES == int.from_bytes(data[:SIZE_BYTES]):
            self._answered(data[SIZE_BYTES:])  # one answer, and all of it: as it mostly is
            return
        self._buffer += data
        while len(self._buffer) >= SIZE_BYTES:
            end = SIZE_BYTES + int.from_bytes(self._buffer[:SIZE_BYTES])
            if len(self._buffer) < end:
                return
            frame = bytes(memoryview(self._buffer)[SIZE_BYTES:end])
            del self._buffer[:end]
            self._answered(frame)

    def _answered(self, frame: bytes) -> None:
        if not self._asked:
            self.close(CorrelationIdError("an answer that nobody asked for"))
            return
        number, answer = self._asked.popleft()
        if int.from_bytes(frame[:HEAD_BYTES]) != number:
            self._asked.appendleft((number, answer))
            self.close(CorrelationIdError("the answer to another request"))
        elif not answer.done():  # who asked may have been cancelled
            answer.set_result(frame[HEAD_BYTES:])

    def connection_lost(self, exc: Exception | None) -> None:
        """Who waits gets an error."""
        self.close(KafkaConnectionError(f"the connection broke: {exc!r}"))

    def close(self, error: KafkaError | None = None) -> None:
        """End; who waits for an answer gets the error."""
        if self.is_closed:
            return
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()
        while self._asked:
            _, answer = self._asked.popleft()
            if not answer.done():
                answer.set_exception(error or KafkaConnectionError("the connection was closed"))
