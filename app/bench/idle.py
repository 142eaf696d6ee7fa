"""A lone guest at a warm server that has nothing else to do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from app.bench import load
from app.bench.load import Plan, Result, Seated

ALONE = 2.0  # s until the crowd's last traces are gone


class Lone:
    """A guest, and the others who warm the server up before."""

    def __init__(self, crowd: Seated, guest: Seated) -> None:
        self._crowd = crowd
        self._guest = guest

    async def run(self, warmup: float) -> Result:
        """One order at a time, after `warmup` s of a crowd."""
        if warmup:
            await self._crowd.run(0.0, lambda: asyncio.sleep(warmup))
        return await self._guest.run(ALONE)


@asynccontextmanager
async def alone(plan: Plan) -> AsyncIterator[Lone]:
    """The plan's first guest at the plan's rate, the others for the warm-up.

    Raises:
        LoadError: nobody answers, or there is no menu.
    """
    crowd = replace(plan, tokens=plan.tokens[1:], rate=None, seconds=0.0, pids=())
    async with load.seated(crowd) as others, load.seated(replace(plan, tokens=plan.tokens[:1])) as guest:
        yield Lone(others, guest)
