"""All tables order at the same moment."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from time import process_time

from app.bench import load
from app.bench.guest import Guest
from app.bench.processes import Meter
from app.bench.tally import Tally

PATIENCE = 60.0  # s until an order that gets no answer is given up


async def run(plan: load.Plan) -> load.Result:
    """Connect every table, then send one order from each at once; the warm-up is a closed loop before.

    Raises:
        LoadError: nobody answers, or there is no menu.
    """
    plan = replace(plan, connections=len(plan.tokens) + 1, at_once=True)
    tally = Tally(plan.acks)
    try:
        async with load.pool_of(plan) as pool:
            guests = await load.make_guests(plan, pool, tally, load.after(PATIENCE + plan.warmup))
            await pool.open(len(guests))
            await _warm_up(guests[:32], plan.warmup)
            meter, cpu = Meter(plan.pids), process_time()
            tally.begin()
            # One clock for all: what the client takes to send so many is in the slowest, too.
            placed = await asyncio.gather(*(guest.place(tally.began) for guest in guests))
            tally.end()
    finally:
        tally.close()
    if not all(placed):
        tally.violation("burst", f"{placed.count(False)} of {len(placed)} orders were not acknowledged")
    return load.result_of(plan, tally, meter.read(), process_time() - cpu)


async def _warm_up(guests: Sequence[Guest], seconds: float) -> None:
    is_over = load.after(seconds)

    async def order(guest: Guest) -> None:
        while not is_over():
            await guest.place()

    await asyncio.gather(*map(order, guests))
