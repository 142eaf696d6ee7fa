"""The way of a command from a view to its table's owner, and of the answer back."""

import asyncio
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from app import messages
from app.messages import Answer, Asked, KitchenAsked
from app.ports import UNWATCHED, OrderWatch, UnavailableError

SWEEP_SECONDS = 0.05

# Known to the owner only as "decided before": why is no longer known, so the guest sends the same again.
UNKNOWN = "unknown"


class Commands(Protocol):
    """Where commands are appended."""

    def append(self, table: str, command: bytes, on_failure: Callable[[str], None]) -> None: ...


class KafkaEdge:
    """Asks a table's owner through the log, and waits for its answer up to a deadline.

    All waits last equally long, so the oldest ends first: one sweep over the head of a dictionary takes the place of a
    timer for each.
    """

    def __init__(
        self,
        commands: Commands,
        address: str,
        deadline: float,
        max_waiting: int,
        watch: OrderWatch = UNWATCHED,
        answered: Callable[[float], None] = lambda _: None,
        otherwise: Callable[[Answer], None] = lambda _: None,
    ) -> None:
        """`answered` hears with each answer when it was asked for, in s by the loop's clock.

        `otherwise` is given the answers that nobody waits for here: another edge at the same address may.
        """
        self.address = address
        self._commands = commands
        self._deadline = deadline
        self._max_waiting = max_waiting
        self._watch = watch
        self._answered = answered
        self._otherwise = otherwise
        self._waiting: dict[str, tuple[float, asyncio.Future[Answer]]] = {}
        self._prefix = os.urandom(8).hex()
        self._count = 0
        self.refused = 0  # since too much waited
        self._sweep: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait for their answer."""
        return len(self._waiting)

    def new_request_id(self) -> str:
        """A random id that names a request at this worker."""
        self._count += 1
        return f"{self._prefix}{self._count:x}"

    async def ask(self, command: Asked | KitchenAsked) -> Answer:
        """Append the command and wait for its owner's answer.

        Raises:
            UnavailableError: no answer within the deadline, or too much waits already.
        """
        if len(self._waiting) >= self._max_waiting:
            self.refused += 1
            raise UnavailableError(f"{self._max_waiting} orders wait already")
        loop = self._loop = self._loop or asyncio.get_running_loop()
        request_id = command.request_id
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting[request_id] = (loop.time() + self._deadline, future)
        if self._sweep is None:
            self._sweep = loop.call_later(SWEEP_SECONDS, self._sweep_overdue)
        try:
            self._commands.append(command.table, messages.encode(command), partial(self._fail, request_id))
            return await future
        finally:
            self._waiting.pop(request_id, None)

    def resolve(self, answer: Answer) -> None:
        """Give an answer to the request that waits for it; one that nobody waits for may be another edge's."""
        waiting = self._waiting.get(answer.request_id)
        if waiting is None or waiting[1].done():
            self._otherwise(answer)
            return
        self._answered(waiting[0] - self._deadline)
        if answer.outcome == UNKNOWN:
            waiting[1].set_exception(UnavailableError("the order was decided on before; why is no longer known"))
        else:
            waiting[1].set_result(answer)
            if answer.at:
                self._watch.took("reply", max(0.0, time.time() - answer.at))

    def _fail(self, request_id: str, reason: str) -> None:
        waiting = self._waiting.get(request_id)
        if waiting is not None and not waiting[1].done():
            waiting[1].set_exception(UnavailableError(f"the order did not reach the log: {reason}"))

    def _sweep_overdue(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for due, future in self._waiting.values():
            if due > now:
                break
            if not future.done():
                future.set_exception(UnavailableError(f"no answer within {self._deadline:g} s"))
        self._sweep = loop.call_later(SWEEP_SECONDS, self._sweep_overdue) if self._waiting else None
