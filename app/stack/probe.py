"""Is it ready? Asked in each server's own protocol, since an open port alone says little."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from functools import partial

from app.stack.part import Address, Kind

TIMEOUT = 1.0  # s; a server that takes longer is not ready

# Kafka: ApiVersions v0, correlation id 1, no client id. Answer: length, correlation id, error code.
API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)
# Cassandra: an OPTIONS frame of protocol 4. Answer: the same header with the opcode SUPPORTED.
OPTIONS = struct.pack(">BBHBI", 0x04, 0, 0, 0x05, 0)
SUPPORTED = 0x06


async def ready(kind: Kind, address: Address) -> bool:
    """Whether the server at `address` serves."""
    return await _asked(address, TIMEOUT, partial(_ask, kind))


async def live(address: Address, timeout: float) -> bool:
    """Whether the worker at `address` answers within `timeout` s, ready or not."""
    return await _asked(address, timeout, partial(_get, "/health/live"))


async def _asked(
    address: Address, timeout: float, ask: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]]
) -> bool:
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(*address)
            try:
                return await ask(reader, writer)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError, IndexError):
        return False


async def _ask(kind: Kind, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    if kind == "kafka":
        writer.write(API_VERSIONS)
        _, correlation, error = struct.unpack(">iih", await reader.readexactly(10))
        return bool(correlation == 1 and error == 0)
    if kind == "cassandra":
        writer.write(OPTIONS)
        return (await reader.readexactly(9))[4] == SUPPORTED
    if kind == "redis":
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    return await _get("/-/ready" if kind == "prometheus" else "/health/ready", reader, writer)


async def _get(path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    return (await reader.readline()).split()[1] == b"200"
