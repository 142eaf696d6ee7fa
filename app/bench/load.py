"""A run of load: guests at many tables, closed loop or at a rate, and what came of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, process_time
from typing import Any
from urllib.parse import urlsplit

from app.bench.contract import Contract
from app.bench.guest import Guest, Shares
from app.bench.http import LostError, Pool
from app.bench.pace import open_loop
from app.bench.processes import Meter, Usage
from app.bench.series import Second
from app.bench.tally import Acknowledged, Tally

PATIENCE = 15.0  # s after the end until an order that got no answer is given up
GRACE = 30.0  # s after the end until guests are sent away
WARM_AGAIN = 3.0  # s of load before each repetition: the server is warm already

During = Callable[[], Awaitable[None]]


class LoadError(Exception):
    """The load could not be run; the message says why."""


@dataclass(frozen=True)
class Plan:
    """What is run: `rate` in orders/s over all tables, None for the closed loop; `pids` are (name, process id)."""

    url: str
    tokens: Sequence[tuple[str, str]]
    seconds: float
    warmup: float = 0.0
    rate: float | None = None
    shares: Shares = field(default_factory=Shares)
    extras: bool = True
    acks: Path | None = None
    pids: Sequence[tuple[str, int]] = ()
    connections: int = 0  # 0: two per table
    answer_within: float = 15.0  # s until a pad gives up on a connection and asks again on another
    seed: int | None = None  # of what the guests choose; None: by chance
    heard: Acknowledged | None = None  # told of every acknowledged order
    at_once: bool = False  # told in the result only
    is_long: bool = False  # so many orders that latencies are kept in buckets

    @property
    def pace(self) -> str:
        """How the load is paced, in words."""
        if self.at_once:
            return "all at once"
        return f"{self.rate:g} orders/s wanted" if self.rate else "closed loop"


@dataclass(frozen=True)
class Process:
    """What a process used: CPU in ms per order; resident memory in MB, its peak and at the end."""

    name: str
    pid: int
    cpu_ms_per_order: float
    peak_mb: float
    resident_mb: float = 0.0


@dataclass(frozen=True)
class Result:
    """What came of it; latencies in ms, CPU in ms per order."""

    tables: int
    pace: str
    seconds: float
    orders: int
    orders_per_second: float
    p50: float
    p90: float
    p99: float
    max: float
    longest_gap: float
    answers: dict[str, int]
    kinds: dict[str, int]
    unknown: int
    violations: int
    first_violations: list[str] = field(default_factory=list)
    generator_cpu: float = 0.0
    processes: list[Process] = field(default_factory=list)
    timeline: list[Second] = field(default_factory=list)


async def run(plan: Plan, during: During | None = None) -> Result:
    """Run the plan; `during` runs beside it once it is warm, and the load lasts until both are done.

    Raises:
        LoadError: nobody answers, or there is no menu.
    """
    async with seated(plan) as house:
        return await house.run(plan.warmup, during)


@asynccontextmanager
async def seated(plan: Plan) -> AsyncIterator["Seated"]:
    """The plan's guests at their tables.

    Raises:
        LoadError: nobody answers, or there is no menu.
    """
    tally = Tally(plan.acks, plan.heard, is_long=plan.is_long)
    try:
        async with pool_of(plan) as pool:
            house = Seated(plan, pool, tally)
            await house.sit_down()
            yield house
    finally:
        tally.close()


class Seated:
    """Guests at their tables, who may be run more than once: each knows its table's version from one run to the next.

    A server need not tell a version; a guest who sat down anew would have to guess it.
    """

    def __init__(self, plan: Plan, pool: Pool, tally: Tally) -> None:
        self._plan = plan
        self._pool = pool
        self._tally = tally
        self._is_over = asyncio.Event()
        self._guests: list[Guest] = []

    async def sit_down(self) -> None:
        """Learn the tables' versions; LoadError where nobody answers, or there is no menu."""
        plan = self._plan
        self._guests = await make_guests(plan, self._pool, self._tally, self._is_over.is_set)
        await self._pool.open(min(len(self._guests), plan.connections or len(self._guests)))

    async def run(self, warmup: float, during: During | None = None) -> Result:
        """One run of the plan after `warmup` s of the same load; LoadError where a guest breaks down."""
        plan, tally, ending = self._plan, self._tally, asyncio.Event()
        self._is_over.clear()
        before = tally.violations, tally.unknown
        if plan.rate is None:
            tasks = [asyncio.create_task(_closed_loop(guest, ending)) for guest in self._guests]
        else:
            tasks = [asyncio.create_task(open_loop(self._guests, plan.rate, ending))]
        await _first_of(tasks, asyncio.sleep(warmup))
        tally.begin()
        meter, cpu = Meter(plan.pids), process_time()
        await _first_of(tasks, _measured(plan.seconds, during))
        tally.end()
        usages, cpu = meter.read(), process_time() - cpu
        ending.set()
        giving_up = asyncio.get_running_loop().call_later(PATIENCE, self._is_over.set)
        _, late = await asyncio.wait(tasks, timeout=GRACE)
        giving_up.cancel()
        for task in late:
            task.cancel()
        return result_of(plan, tally, usages, cpu, before)


def orderable(menu: Iterable[Mapping[str, Any]]) -> list[str]:
    """The ids of the dishes that can be ordered as they are for as long as the load lasts: no hours, no choice due."""
    return [
        dish["id"]
        for dish in menu
        if dish.get("available", True)
        and not dish.get("served")
        and not any(group["minimum"] for group in dish.get("modifier_groups", ()))
    ]


async def make_guests(plan: Plan, pool: Pool, tally: Tally, give_up: Callable[[], bool]) -> list[Guest]:
    """A guest per token, each of whom knows its table's version.

    Raises:
        LoadError: nobody answers, or there is no menu.
    """
    try:
        response = await pool.send(b"GET /menu_items HTTP/1.1\r\nHost: bench\r\n\r\n")
        if response.status != 200:
            raise LoadError(f"{plan.url}/menu_items answers {response.status}")
        menu = orderable(json.loads(response.body))
        guests = [
            Guest(
                table,
                token,
                pool=pool,
                contract=Contract(extras=plan.extras),
                tally=tally,
                menu=menu,
                shares=plan.shares,
                give_up=give_up,
                seed=plan.seed,
            )
            for table, token in plan.tokens
        ]
        for guest in guests:
            await guest.sit_down()
    except LostError as error:
        raise LoadError(f"{plan.url} does not answer: {error}") from error
    return guests


def pool_of(plan: Plan) -> Pool:
    """Connections to the plan's server.

    Raises:
        LoadError: its address is none.
    """
    limit = plan.connections or 2 * len(plan.tokens) + 2
    return Pool(*address_of(plan), limit=limit, timeout=plan.answer_within)


def address_of(plan: Plan) -> tuple[str, int]:
    """Host and port of the plan's server.

    Raises:
        LoadError: its address is none.
    """
    address = urlsplit(plan.url)
    if address.scheme != "http" or not address.hostname:
        raise LoadError(f"{plan.url} is no address like http://127.0.0.1:8090")
    return address.hostname, address.port or 80


async def _measured(seconds: float, during: During | None) -> None:
    await asyncio.gather(asyncio.sleep(seconds), during() if during else asyncio.sleep(0))


async def _first_of(tasks: Sequence[asyncio.Task[None]], work: Awaitable[None]) -> None:
    """Wait for the work; a guest that breaks down in the meantime breaks the run down."""
    mine = asyncio.ensure_future(work)
    done, _ = await asyncio.wait([mine, *tasks], return_when=asyncio.FIRST_COMPLETED)
    if mine not in done:
        mine.cancel()
    for task in done:
        await task
    if mine not in done:
        raise LoadError("the load ended by itself")


async def _closed_loop(guest: Guest, ending: asyncio.Event) -> None:
    while not ending.is_set():
        await guest.turn()


def result_of(
    plan: Plan, tally: Tally, usages: Sequence[Usage], cpu: float, before: tuple[int, int] = (0, 0)
) -> Result:
    """The figures of a tally; `cpu` is what this process used (s), `before` violations and unknown of earlier runs."""
    series = tally.series
    orders, seconds = series.count, tally.ended - tally.began
    p50, p90, p99, highest = series.percentiles(0.50, 0.90, 0.99, 1.0)
    return Result(
        tables=len(plan.tokens),
        pace=plan.pace,
        seconds=round(seconds, 3),
        orders=orders,
        orders_per_second=round(orders / seconds, 1),
        p50=p50,
        p90=p90,
        p99=p99,
        max=highest,
        longest_gap=round(1000 * series.longest_gap, 2),
        answers=dict(sorted(tally.statuses.items())),
        kinds=dict(sorted(tally.kinds.items())),
        unknown=tally.unknown - before[1],
        violations=tally.violations - before[0],
        first_violations=tally.first_violations,
        generator_cpu=ms_per_each(cpu, orders),
        processes=processes_of(usages, orders),
        timeline=list(series.seconds),
    )


def ms_per_each(used: float, count: int) -> float:
    """`used` s shared by so many, in ms; 0 where there are none."""
    return round(1000 * used / count, 4) if count else 0.0


def processes_of(usages: Sequence[Usage], count: int) -> list[Process]:
    """What each process used, its CPU by each of so many."""
    return [
        Process(use.name, use.pid, ms_per_each(use.cpu, count), round(use.peak_mb, 1), round(use.resident_mb, 1))
        for use in usages
    ]


def after(seconds: float) -> Callable[[], bool]:
    """Tells whether so many seconds have passed from now on."""
    over = monotonic() + seconds
    return lambda: monotonic() > over
