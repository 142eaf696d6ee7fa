"""All tables order at the same moment."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from time import monotonic, process_time

from app.bench import load
from app.bench.guest import Guest
from app.bench.http import Pool
from app.bench.processes import Meter
from app.bench.tally import Tally

PATIENCE = 60.0  # s until an order that gets no answer is given up


class Crowd:
    """A guest at each table, connected; they may order at once more than one time."""

    def __init__(self, plan: load.Plan, tally: Tally) -> None:
        self._plan = plan
        self._tally = tally
        self._patient_until = monotonic() + PATIENCE
        self._guests: list[Guest] = []

    async def sit_down(self, pool: Pool) -> None:
        """Connect all; LoadError where nobody answers, or there is no menu."""
        self._guests = await load.make_guests(self._plan, pool, self._tally, self._gives_up)
        await pool.open(len(self._guests))

    async def run(self, warmup: float) -> load.Result:
        """One order from each at once, after `warmup` s in a closed loop."""
        tally, guests = self._tally, self._guests
        before = tally.violations, tally.unknown
        self._patient_until = monotonic() + PATIENCE + warmup
        await _warm_up(guests[:32], warmup)
        meter, cpu = Meter(self._plan.pids), process_time()
        tally.begin()
        # One clock for all: what the client takes to send so many is in the slowest, too.
        placed = await asyncio.gather(*(guest.place(tally.began) for guest in guests))
        tally.end()
        if not all(placed):
            tally.violation("burst", f"{placed.count(False)} of {len(placed)} orders were not acknowledged")
        return load.result_of(self._plan, tally, meter.read(), process_time() - cpu, before)

    def _gives_up(self) -> bool:
        return monotonic() > self._patient_until


@asynccontextmanager
async def gathered(plan: load.Plan) -> AsyncIterator[Crowd]:
    """The plan's guests, each with a connection of its own.

    Raises:
        LoadError: nobody answers, or there is no menu.
    """
    plan = replace(plan, connections=len(plan.tokens) + 1, at_once=True)
    tally = Tally(plan.acks)
    try:
        async with load.pool_of(plan) as pool:
            crowd = Crowd(plan, tally)
            await crowd.sit_down(pool)
            yield crowd
    finally:
        tally.close()


async def run(plan: load.Plan) -> load.Result:
    """Connect every table, then send one order from each at once; LoadError where that cannot be."""
    async with gathered(plan) as crowd:
        return await crowd.run(plan.warmup)


async def _warm_up(guests: Sequence[Guest], seconds: float) -> None:
    is_over = load.after(seconds)

    async def order(guest: Guest) -> None:
        while not is_over():
            await guest.place()

    await asyncio.gather(*map(order, guests))
