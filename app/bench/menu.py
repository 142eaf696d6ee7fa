"""Reads of the menu: closed loop over some connections, or at a rate."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter, process_time

import orjson

from app.bench.http import LostError, Pool, Response
from app.bench.load import GRACE, During, LoadError, Plan, Process, ms_per_each, pool_of, processes_of
from app.bench.pace import Pacer
from app.bench.processes import Meter, Usage
from app.bench.series import Second, Series
from app.bench.tally import KEPT_VIOLATIONS

REQUEST = b"GET /menu_items HTTP/1.1\r\nHost: bench\r\n\r\n"
KEYS = ("id", "name", "price")  # what each dish has by the contract


@dataclass(frozen=True)
class Reads:
    """What came of reading; latencies in ms, CPU in ms per read."""

    connections: int
    pace: str
    seconds: float
    reads: int
    reads_per_second: float
    p50: float
    p90: float
    p99: float
    max: float
    longest_gap: float
    answers: dict[str, int]
    violations: int
    first_violations: list[str] = field(default_factory=list)
    generator_cpu: float = 0.0
    processes: list[Process] = field(default_factory=list)
    timeline: list[Second] = field(default_factory=list)


class Readers:
    """Keep-alive connections on which the menu is read over and over; each answer is checked.

    The kernel gives the connections to the workers that share the port, by chance: few may be spread unevenly.
    """

    def __init__(self, plan: Plan, pool: Pool) -> None:
        """`plan.rate` is in reads/s, None for the closed loop."""
        self._plan = plan
        self._pool = pool
        self._series = Series()
        self._counts = False  # whether an answer that comes now belongs to the measurement
        self._answers: Counter[str] = Counter()
        self._violations = 0
        self._wrong: list[str] = []
        self._checked = b""

    async def open(self) -> None:
        """Connect, and see that there is a menu; LoadError where there is none."""
        try:
            await self._pool.open(self._plan.connections)
            response = await self._pool.send(REQUEST)
        except LostError as error:
            raise LoadError(f"{self._plan.url} does not answer: {error}") from error
        wrong = self._what_is_wrong(response)
        if wrong is not None:
            raise LoadError(f"{self._plan.url}/menu_items: {wrong}")

    async def run(self, warmup: float, during: During | None = None) -> Reads:
        """One run after `warmup` s of the same load; where there is `during`, it lasts as long as that."""
        ending, plan, violations = asyncio.Event(), self._plan, self._violations
        tasks = [asyncio.create_task(self._at_rate(plan.rate, ending) if plan.rate else self._closed_loops(ending))]
        await asyncio.sleep(warmup)
        began = perf_counter()
        self._series.begin(began)
        self._answers.clear()
        self._counts = True
        meter, cpu = Meter(plan.pids), process_time()
        await asyncio.gather(asyncio.sleep(plan.seconds), during() if during else asyncio.sleep(0))
        self._counts = False
        ended = perf_counter()
        self._series.end(ended)
        usages, cpu = meter.read(), process_time() - cpu
        ending.set()
        _, late = await asyncio.wait(tasks, timeout=GRACE)
        for task in late:
            task.cancel()
        return self._result(ended - began, usages, cpu, self._violations - violations)

    async def _closed_loops(self, ending: asyncio.Event) -> None:
        async def read_on() -> None:
            while not ending.is_set():
                await self._read(perf_counter())

        async with asyncio.TaskGroup() as readers:
            for _ in range(self._plan.connections):
                readers.create_task(read_on())

    async def _at_rate(self, rate: float, ending: asyncio.Event) -> None:
        """The clock of a read runs from when it should have been sent, also while no connection is free for it."""
        queue: asyncio.Queue[float | None] = asyncio.Queue()

        def due(start: int, times: Sequence[float]) -> None:
            del start
            for time in times:
                queue.put_nowait(time)

        async def read_on() -> None:
            while (since := await queue.get()) is not None:
                await self._read(since)

        pacer = Pacer(rate, asyncio.get_running_loop(), due)
        try:
            async with asyncio.TaskGroup() as readers:
                for _ in range(self._plan.connections):
                    readers.create_task(read_on())
                await ending.wait()
                pacer.stop()
                await asyncio.sleep(0)  # what the pacer handed over last
                for _ in range(self._plan.connections):
                    queue.put_nowait(None)
        finally:
            pacer.stop()

    async def _read(self, since: float) -> None:
        try:
            response = await self._pool.send(REQUEST)
        except LostError:
            self._answers["lost"] += self._counts
            await asyncio.sleep(0.01)  # a server that is away is not hammered
            return
        now = perf_counter()
        self._answers[str(response.status)] += self._counts
        wrong = self._what_is_wrong(response)
        if wrong is not None:
            self._violations += 1
            if len(self._wrong) < KEPT_VIOLATIONS:
                self._wrong.append(wrong)
        elif self._counts:
            self._series.add(now - since, now)

    def _what_is_wrong(self, response: Response) -> str | None:
        if response.status == 200 and response.body == self._checked:
            return None
        if response.status != 200:
            return f"200 expected, answered {response.status} {response.body[:200].decode(errors='replace')}"
        try:
            menu = orjson.loads(response.body)
        except orjson.JSONDecodeError as error:
            return f"a menu that cannot be read: {error}"
        if not (isinstance(menu, list) and menu and all(set(KEYS) <= dish.keys() for dish in menu)):
            return f"no list of dishes: {response.body[:200].decode(errors='replace')}"
        self._checked = response.body
        return None

    def _result(self, seconds: float, usages: Sequence[Usage], cpu: float, violations: int) -> Reads:
        count = self._series.count
        p50, p90, p99, highest = self._series.percentiles(0.5, 0.9, 0.99, 1.0)
        return Reads(
            connections=self._plan.connections,
            pace=f"{self._plan.rate:g} reads/s wanted" if self._plan.rate else "closed loop",
            seconds=round(seconds, 3),
            reads=count,
            reads_per_second=round(count / seconds, 1),
            p50=p50,
            p90=p90,
            p99=p99,
            max=highest,
            longest_gap=round(1000 * self._series.longest_gap, 2),
            answers=dict(sorted(self._answers.items())),
            violations=violations,
            first_violations=self._wrong,
            generator_cpu=ms_per_each(cpu, count),
            processes=processes_of(usages, count),
            timeline=list(self._series.seconds),
        )


@asynccontextmanager
async def reading(plan: Plan) -> AsyncIterator[Readers]:
    """Connections to the plan's server, `plan.connections` of them.

    Raises:
        LoadError: nobody answers, or there is no menu.
    """
    async with pool_of(plan) as pool:
        readers = Readers(plan, pool)
        await readers.open()
        yield readers


async def run(plan: Plan, during: During | None = None) -> Reads:
    """Read as the plan says; LoadError where nobody answers, or there is no menu."""
    async with reading(plan) as readers:
        return await readers.run(plan.warmup, during)
