"""Commands to Redis, gathered: what comes while one batch is under way goes out together with the next one.

So a thousand orders at once need one connection and few round trips, and none waits for a connection to be made for it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ResponseError

log = structlog.get_logger(__name__)

Command = tuple[str | bytes | int, ...]
Batch = list[tuple[Command, asyncio.Future[Any] | None]]


class BatchGuard(Protocol):
    """Knows whether a server is worth asking."""

    def may_ask(self) -> bool:
        """Whether to ask now."""
        ...

    def told(self, answered: bool) -> None:
        """What was asked was answered, or not in time."""
        ...


class RedisBatches:
    """Sends commands, one batch at a time; what has no answer within `timeout` s never gets one, and that is None.

    `called` hears of each batch whether it was answered. A server that does not have one of the `scripts` is given all.
    Talks on a bare connection: with redis-py's client and pipeline above it, a command costs twice as much.
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        scripts: Sequence[str],
        guard: BatchGuard,
        called: Callable[[bool], None] = lambda _: None,
    ) -> None:
        # A timeout of the library's own is one for each read: of a batch, all together must be in time.
        pool = redis.asyncio.ConnectionPool.from_url(url, socket_timeout=None, retry=Retry(NoBackoff(), 0))
        self._connection = pool.make_connection()  # type: ignore[no-untyped-call]  # the library's
        self._timeout = timeout
        self._scripts = scripts
        self._guard = guard
        self._called = called
        self._is_away = False
        self._queue: Batch = []
        self._sender: asyncio.Task[None] | None = None

    async def ask(self, command: Command) -> Any:
        """The answer, None where there is none to be had."""
        if not self._guard.may_ask():
            return None
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._put(command, future)
        return await future

    def tell(self, *commands: Command) -> None:
        """Send commands; nobody waits for them, and where Redis is away they are lost."""
        if commands and self._guard.may_ask():
            for command in commands:
                self._put(command, None)

    async def stop(self) -> None:
        """Send what is queued, and close the connection."""
        if self._sender is not None:
            await self._sender
        await self._connection.disconnect()

    def _put(self, command: Command, future: asyncio.Future[Any] | None) -> None:
        self._queue.append((command, future))
        if self._sender is None:
            self._sender = asyncio.get_running_loop().create_task(self._send_all())

    async def _send_all(self) -> None:
        while self._queue:
            batch, self._queue = self._queue, []
            try:
                async with asyncio.timeout(self._timeout):
                    answers = await self._send([command for command, _ in batch])
            except Exception as error:  # noqa: BLE001 - whatever it is, guests must not wait for ever
                self._failed(batch, str(error) or repr(error))
            else:
                self._answered(batch, answers)
        self._sender = None

    async def _send(self, commands: list[Command]) -> list[Any]:
        """The answers.

        Raises:
            Exception: Redis is away, refused one of the commands or answered what it should not.
        """
        answers = await self._execute(commands)
        missing = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if missing:
            await self._execute([("SCRIPT", "LOAD", script) for script in self._scripts])
            for number, answer in zip(missing, await self._execute([commands[n] for n in missing]), strict=True):
                answers[number] = answer
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def _execute(self, commands: list[Command]) -> list[Any]:
        connection, answers = self._connection, list[Any]()
        try:
            await connection.connect()
            await connection.send_packed_command(connection.pack_commands(commands))
            for _ in commands:
                try:
                    answers.append(await connection.read_response())
                except ResponseError as error:
                    answers.append(error)
        except BaseException:
            await connection.disconnect(nowait=True)  # what comes later must not be taken for another's answer
            raise
        return answers

    def _answered(self, batch: Batch, answers: list[Any]) -> None:
        self._guard.told(True)
        self._called(True)
        if self._is_away:
            self._is_away = False
            log.info("redis is back for the limits")
        for (_, future), answer in zip(batch, answers, strict=True):
            if future is not None and not future.done():
                future.set_result(answer)

    def _failed(self, batch: Batch, reason: str) -> None:
        """Those who wait for this batch go on without, and so do those behind it."""
        self._guard.told(False)
        self._called(False)
        if not self._is_away:
            self._is_away = True
            log.warning("redis cannot be used for the limits: each worker limits alone", reason=reason)
        for _, future in (*batch, *self._queue):
            if future is not None and not future.done():
                future.set_result(None)
        self._queue.clear()
