"""Answers between workers: a unix socket on one machine, TCP with a shared key across machines.

A frame is its length (4 bytes, big-endian) and a MessagePack array of answers. All answers of one turn of the loop to
one worker go in one write. Nothing here is durable: a lost answer is a 503, and the
guest's same order id brings it again.
"""

import asyncio
import hashlib
import hmac
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec
import structlog

from app.messages import Answer

log = structlog.get_logger(__name__)

_LENGTH = struct.Struct(">I")
MAX_FRAME = 16 * 1024 * 1024
MAX_BUFFERED = 8 * 1024 * 1024  # to a worker that does not read: its views have given up long before
NONCE_BYTES = 32
KEY_BYTES = 32
CONNECT_SECONDS = 2.0

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Answer])


def _proof(key: bytes, nonce: bytes) -> bytes:
    return hmac.new(key, nonce, hashlib.sha256).digest()


class Frames(asyncio.Protocol):
    """Cuts what arrives on a connection into frames; the first proves that the peer knows the key."""

    def __init__(self, key: bytes, on_answer: Callable[[Answer], None], open_ones: "set[Frames]") -> None:
        """`open_ones` holds it while its connection stands."""
        self._open_ones = open_ones
        self._key = key
        self._on_answer = on_answer
        self._nonce = os.urandom(NONCE_BYTES)
        self._proven = False
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Challenge the peer."""
        self._open_ones.add(self)
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none of asyncio's classes
        self._transport.write(self._nonce)

    def data_received(self, data: bytes) -> None:
        """Take in bytes, hand out whole frames."""
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, at)
            if length > (MAX_FRAME if self._proven else NONCE_BYTES):
                return self._close("a frame is too long")
            end = at + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            if not self._frame(bytes(self._buffer[at + _LENGTH.size : end])):
                return None
            at = end
        del self._buffer[:at]
        return None

    def _frame(self, frame: bytes) -> bool:
        if not self._proven:
            self._proven = hmac.compare_digest(frame, _proof(self._key, self._nonce))
            if not self._proven:
                self._close("the peer does not know the key")
            return self._proven
        try:
            answers = _decoder.decode(frame)
        except msgspec.DecodeError as error:
            self._close(f"not a frame of answers: {error}")
            return False
        for answer in answers:
            self._on_answer(answer)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone, or was refused."""
        del exc
        self._open_ones.discard(self)

    def _close(self, reason: str) -> None:
        log.warning("a link was refused", reason=reason)
        self.abort()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()


class _Peer(asyncio.Protocol):
    """The connection to one other worker, made when it is first needed and again after it broke."""

    def __init__(self, address: str, key: Callable[[], bytes]) -> None:
        self._address = address
        self._key = key
        self._answers: list[Answer] = []
        self._nonce = b""
        self._ready = False
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None

    def add(self, answer: Answer) -> bool:
        """Take an answer; True where a flush is due at the end of this turn."""
        self._answers.append(answer)
        return len(self._answers) == 1

    def flush(self) -> None:
        """Write what was taken, or connect first."""
        if not self._ready or self._transport is None:
            if self._connecting is None and self._transport is None:
                self._connecting = asyncio.get_running_loop().create_task(self._connect())
            return
        answers, self._answers = self._answers, []
        if answers and self._transport.get_write_buffer_size() < MAX_BUFFERED:
            payload = _encoder.encode(answers)
            self._transport.write(_LENGTH.pack(len(payload)) + payload)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        kind, _, rest = self._address.partition(":")
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                if kind == "unix":
                    await loop.create_unix_connection(lambda: self, rest)
                else:
                    host, _, port = rest.rpartition(":")
                    await loop.create_connection(lambda: self, host, int(port))
        except (OSError, TimeoutError, ValueError) as error:  # the last: an address that is none
            self._lost(repr(error))
        finally:
            self._connecting = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the peer's challenge."""
        self._transport = cast(asyncio.Transport, transport)
        self._nonce = b""
        self._ready = False

    def data_received(self, data: bytes) -> None:
        """Answer the challenge; nothing else comes from there."""
        if self._ready or self._transport is None:
            return
        self._nonce += data
        if len(self._nonce) >= NONCE_BYTES:
            proof = _proof(self._key(), self._nonce[:NONCE_BYTES])
            self._transport.write(_LENGTH.pack(len(proof)) + proof)
            self._ready = True
            self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """The worker is gone, or refused the key."""
        self._transport = None
        self._ready = False
        self._lost(repr(exc))

    def _lost(self, why: str) -> None:
        if self._answers:
            log.warning("answers to another worker were lost", to=self._address, count=len(self._answers), why=why)
            self._answers.clear()

    def close(self) -> None:
        """Close the connection."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.close()


class Link:
    """This worker's end of the links: listens at its own address, and sends to the others'.

    `read_key` is called for each connection: where the key was made anew, all workers go over to it without a restart.
    """

    def __init__(self, address: str, read_key: Callable[[], bytes], on_answer: Callable[[Answer], None]) -> None:
        """Read the key; raises OSError or ValueError where there is none to be had."""
        self.address = address
        self._read_key = read_key
        self._last_key = read_key()
        self._on_answer = on_answer
        self._peers: dict[str, _Peer] = {}
        self._due: list[_Peer] = []
        self._server: asyncio.Server | None = None
        self._incoming: set[Frames] = set()

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is taken or not allowed.
        """
        loop = asyncio.get_running_loop()
        kind, _, rest = self.address.partition(":")
        if kind == "unix":
            _clear_socket(Path(rest))
            self._server = await loop.create_unix_server(self._protocol, path=rest)
            os.chmod(rest, 0o600)
        else:
            host, _, port = rest.rpartition(":")
            self._server = await loop.create_server(self._protocol, host, int(port))

    def _protocol(self) -> Frames:
        return Frames(self._key(), self._on_answer, self._incoming)

    def _key(self) -> bytes:
        try:
            self._last_key = self._read_key()
        except (OSError, ValueError) as error:
            log.warning("the key of the links cannot be read, the last one goes on", reason=str(error))
        return self._last_key

    def give(self, reply_to: str, answer: Answer) -> None:
        """Send an answer to the worker at this address; to this one itself, hand it over."""
        if reply_to == self.address:
            self._on_answer(answer)
            return
        peer = self._peers.get(reply_to)
        if peer is None:
            peer = self._peers[reply_to] = _Peer(reply_to, self._key)
        if peer.add(answer):
            if not self._due:
                asyncio.get_running_loop().call_soon(self._flush)
            self._due.append(peer)

    def _flush(self) -> None:
        due, self._due = self._due, []
        for peer in due:
            peer.flush()

    async def stop(self) -> None:
        """Stop listening and close what is open."""
        if self._server is not None:
            self._server.close()
        for peer in self._peers.values():
            peer.close()
        # A loop of uvloop's that is closed over open connections may never return.
        for frames in list(self._incoming):
            frames.abort()
        while self._incoming:  # noqa: ASYNC110 - each goes within a turn of the loop
            await asyncio.sleep(0)


def _clear_socket(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # of an earlier process: only one worker has this index


def link_key(folder: Path) -> bytes:
    """The key that workers share, from a file in the folder of keys; made by the first that asks."""
    path = folder / "link.secret"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f".link.{os.getpid()}"
    draft.write_bytes(b"")
    draft.chmod(0o600)
    draft.write_text(os.urandom(KEY_BYTES).hex())
    try:
        os.link(draft, path)  # whole or not at all, and never in the place of another's
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return bytes.fromhex(path.read_text())
