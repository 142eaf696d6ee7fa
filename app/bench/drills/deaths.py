"""A process killed while orders flow: nothing acknowledged is lost, and the supervisor brings it back."""

import asyncio
import os
import signal

import uvloop

from app.bench import load
from app.bench.drill import Outcome, acks_file, tables
from app.bench.guest import Shares
from app.bench.stack import Stack

READY_WITHIN = 120.0  # s, until the killed process is ready again
LOOK_EVERY = 0.1


def run(
    stack: Stack, name: str, *, before: float = 3.0, after: float = 10.0, count: int = 16, rate: float = 100.0
) -> Outcome:
    """Kill -9 the process called `name` after `before` s of `rate` orders/s at `count` tables; go on for `after` s."""
    outcome = Outcome()
    with acks_file() as acks:
        plan = load.Plan(
            url=stack.url,
            tokens=stack.tokens(tables("DEATH", count)),
            seconds=before + after,
            warmup=0,
            rate=rate,
            shares=Shares(0.1, 0.1, 0.1),
            acks=acks,
        )

        async def kill() -> None:
            await asyncio.sleep(before)
            pid = dict(await asyncio.to_thread(stack.pids))[name]
            os.kill(pid, signal.SIGKILL)
            async with asyncio.timeout(READY_WITHIN):
                while not await asyncio.to_thread(_is_back, stack, name, pid):  # noqa: ASYNC110 - told by a command
                    await asyncio.sleep(LOOK_EVERY)
            await asyncio.sleep(after)

        result = uvloop.run(load.run(plan, kill))
        outcome.facts["killed"] = name
        outcome.facts["longest gap"] = f"{result.longest_gap:.0f} ms between two acknowledgements"
        outcome.facts["slowest order"] = f"{result.max:.0f} ms"
        outcome.load(result)
        outcome.audit(stack, acks)
    return outcome


def _is_back(stack: Stack, name: str, killed: int) -> bool:
    return any(status["name"] == name and status["ready"] and status["pid"] != killed for status in stack.statuses())
