"""Whether a worker's process, which lives, answers at all: one that is stopped or hangs cannot end itself."""

import asyncio
import time

from app.stack import probe
from app.stack.part import Address

PERIOD = 2.0  # s between two questions, and for an answer
STARTING = 120.0  # s in which a worker that has never answered may still be starting, on a slow machine


async def unanswered(address: Address, seconds: float, *, period: float = PERIOD, starting: float = STARTING) -> None:
    """Return once the worker has answered no question for `seconds`.

    Questions in a row are counted, and not the time since an answer: that passes, too, while the supervisor or the
    whole machine is stopped.
    """
    answered, missed, begun = False, 0, time.monotonic()
    while missed * period < seconds:
        asked = time.monotonic()
        if await probe.live(address, period):
            answered, missed = True, 0
        elif answered or asked - begun > starting:
            missed += 1
        await asyncio.sleep(max(0.0, period - (time.monotonic() - asked)))
