"""Orders, and guests who read the menu meanwhile: both on one server, each with its own figures."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from app.bench import load, menu
from app.bench.load import Plan, Result
from app.bench.menu import Readers, Reads


@dataclass(frozen=True)
class Mixed:
    """Both loads; CPU is that of all, by acknowledged orders."""

    orders: Result
    menu: Reads


class Both:
    """Guests who order and guests who read, who may be run more than once."""

    def __init__(self, house: load.Seated, readers: Readers) -> None:
        self._house = house
        self._readers = readers

    async def run(self, warmup: float) -> Mixed:
        """One run of both, which measure the same seconds; LoadError where a guest breaks down."""
        begun, ended = asyncio.Event(), asyncio.Event()

        async def while_orders_flow() -> None:
            begun.set()
            await ended.wait()

        async def while_menus_are_read() -> None:
            await begun.wait()

        reading = asyncio.create_task(self._readers.run(warmup, while_orders_flow))
        try:
            orders = await self._house.run(warmup, while_menus_are_read)
        finally:
            ended.set()
        return Mixed(orders, await reading)


@asynccontextmanager
async def both(plan: Plan, menu_rate: float, connections: int) -> AsyncIterator[Both]:
    """The plan's guests, and `menu_rate` reads/s on so many connections.

    Raises:
        LoadError: nobody answers, or there is no menu.
    """
    reads = replace(plan, rate=menu_rate, connections=connections, seconds=0.0, pids=())
    async with load.seated(plan) as house, menu.reading(reads) as readers:
        yield Both(house, readers)
