"""A wire between a browser and everything else, to be cut: a SOCKS proxy.

What Chromium itself calls offline leaves streams alone that are open already, and service workers altogether.
"""

import asyncio
import contextlib
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine
from ipaddress import ip_address
from typing import Any

WITHIN = 30.0  # s
PIECE = 65536  # bytes
NO_AUTHENTICATION = b"\x05\x00"
CONNECTED, REFUSED = (bytes([5, code, 0, 1, 0, 0, 0, 0, 0, 0]) for code in (0, 5))
LENGTHS = {1: 4, 4: 16}  # of addresses by their type; 3 is a name


class Cable:
    """Carries all connections of the one browser that was told of its port."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._is_whole, self._flows = True, asyncio.Event()
        self._flows.set()
        self._ends: set[StreamWriter] = set()
        self._server: asyncio.Server = self._done(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Every connection breaks, and no new one is made."""
        self._is_whole = False
        self._do(self._break)

    def mend(self) -> None:
        """All is as before."""
        self._is_whole = True
        self._do(self._flows.set)

    def hush(self) -> None:
        """Nothing comes through any more in either direction, and nothing breaks: both ends wait."""
        self._do(self._flows.clear)

    def close(self) -> None:
        """Take it away."""
        self._is_whole = False
        self._done(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _done(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WITHIN)

    def _do(self, work: Callable[[], object]) -> None:
        async def run() -> None:
            work()

        self._done(run())

    def _break(self) -> None:
        for end in self._ends:
            end.transport.abort()

    async def _end(self) -> None:
        self._server.close()
        self._break()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """One connection, to wherever it asks for."""
        ends = [writer]
        self._ends.add(writer)
        with contextlib.suppress(OSError, EOFError):
            host, port = await self._asked_for(reader, writer)
            if self._is_whole:
                there = await self._reach(host, port, writer)
                ends.append(there[1])
                self._ends.add(there[1])
                writer.write(CONNECTED)
                await asyncio.gather(self._carry(reader, there[1]), self._carry(there[0], writer))
        for end in ends:
            self._ends.discard(end)
            end.transport.abort()

    async def _asked_for(self, reader: StreamReader, writer: StreamWriter) -> tuple[str, int]:
        """RFC 1928's greeting and request."""
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(NO_AUTHENTICATION)
        *_, kind = await reader.readexactly(4)
        length = LENGTHS[kind] if kind in LENGTHS else (await reader.readexactly(1))[0]
        address = await reader.readexactly(length)
        host = str(ip_address(address)) if kind in LENGTHS else address.decode()
        return host, int.from_bytes(await reader.readexactly(2), "big")

    async def _reach(self, host: str, port: int, writer: StreamWriter) -> tuple[StreamReader, StreamWriter]:
        try:
            return await asyncio.open_connection(host, port)
        except OSError:
            writer.write(REFUSED)
            await writer.drain()
            raise

    async def _carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        while piece := await reader.read(PIECE):
            await self._flows.wait()
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
