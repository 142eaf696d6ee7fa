"""Asking Kafka for as long as it takes: a worker that gave up would begin anew, and the others with it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from app.ports import UnavailableError

log = structlog.get_logger(__name__)

RETRY_SECONDS = 0.25

T = TypeVar("T")


async def tried_until_there(ask: Callable[[], Awaitable[T]]) -> T:
    """What `ask` returns once it raises UnavailableError no more; a worker that hangs is the watchdog's."""
    while True:
        try:
            return await ask()
        except UnavailableError as error:
            log.warning("the log cannot be read, trying on", reason=str(error))
            await asyncio.sleep(RETRY_SECONDS)
