"""The bell that wakes many at once, and lets others have their turn between."""

import asyncio
from itertools import pairwise

from app.web.bell import AT_A_TIME, Bell


async def test_all_who_wait_are_woken_and_nobody_waits_afterwards() -> None:
    bell = Bell()
    waiting = [asyncio.create_task(bell.wait()) for _ in range(3 * AT_A_TIME)]
    await asyncio.sleep(0)
    bell.ring()
    await asyncio.wait_for(asyncio.gather(*waiting), 1)
    await asyncio.wait_for(bell.wait(), 1)


async def test_others_have_their_turn_between() -> None:
    bell, woken = Bell(), 0

    async def wait() -> None:
        nonlocal woken
        await bell.wait()
        woken += 1

    waiting = [asyncio.create_task(wait()) for _ in range(3 * AT_A_TIME)]
    await asyncio.sleep(0)
    bell.ring()
    seen = [0]
    while woken < len(waiting):
        await asyncio.sleep(0)
        seen.append(woken)
    assert max(after - before for before, after in pairwise(seen)) <= AT_A_TIME


async def test_who_gave_up_waiting_is_no_trouble() -> None:
    bell = Bell()
    gone, waiting = asyncio.create_task(bell.wait()), asyncio.create_task(bell.wait())
    await asyncio.sleep(0)
    gone.cancel()
    bell.ring()
    await asyncio.wait_for(waiting, 1)
