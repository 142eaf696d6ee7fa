"""Reads of the menu: closed loop over some connections, or at a rate."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from time import perf_counter, process_time

import orjson

from app.bench.http import LostError, Response
from app.bench.load import GRACE, During, LoadError, Plan, Process, address_of, ms_per_each, pool_of, processes_of
from app.bench.pace import Pacer
from app.bench.processes import Meter, Usage
from app.bench.repeat import Repeats
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

    def __init__(self, plan: Plan) -> None:
        """`plan.rate` is in reads/s, None for the closed loop; LoadError where the plan's address is none."""
        self._plan = plan
        self._repeats = Repeats(
            address_of(plan), REQUEST, timeout=plan.answer_within, due=lambda: self._due(), heard=self._heard
        )
        self._due: Callable[[], float | None] = _never
        self._series = Series()
        self._counts = False  # whether an answer that comes now belongs to the measurement
        self._answers: Counter[str] = Counter()
        self._violations = 0
        self._wrong: list[str] = []
        self._checked = b""

    async def open(self) -> None:
        """Connect, and see that there is a menu; LoadError where there is none."""
        try:
            async with pool_of(self._plan) as pool:
                response = await pool.send(REQUEST)
            await self._repeats.open(self._plan.connections)
        except (LostError, OSError, TimeoutError) as error:
            raise LoadError(f"{self._plan.url} does not answer: {error}") from error
        wrong = self._what_is_wrong(response)
        if wrong is not None:
            raise LoadError(f"{self._plan.url}/menu_items: {wrong}")

    def close(self) -> None:
        """Hang up."""
        self._repeats.close()

    async def run(self, warmup: float, during: During | None = None) -> Reads:
        """One run after `warmup` s of the same load; where there is `during`, it lasts as long as that."""
        plan, violations = self._plan, self._violations
        with self._at_rate(plan.rate) if plan.rate else self._closed_loop():
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
        await self._last_answers()
        return self._result(ended - began, usages, cpu, self._violations - violations)

    @contextmanager
    def _closed_loop(self) -> Iterator[None]:
        self._due = perf_counter
        self._repeats.wake()
        try:
            yield
        finally:
            self._due = _never

    @contextmanager
    def _at_rate(self, rate: float) -> Iterator[None]:
        """The clock of a read runs from when it should have been sent, also while no connection is free for it."""
        waiting: deque[float] = deque()

        def due(start: int, times: Sequence[float]) -> None:
            del start
            waiting.extend(times)
            self._repeats.wake()

        self._due = lambda: waiting.popleft() if waiting else None
        pacer = Pacer(rate, asyncio.get_running_loop(), due)
        try:
            yield
        finally:
            pacer.stop()
            self._due = _never

    async def _last_answers(self) -> None:
        """Wait for what is under way, so that the next run does not begin with it."""
        deadline = perf_counter() + GRACE
        while self._repeats.under_way and perf_counter() < deadline:  # noqa: ASYNC110 - each answer may be the last
            await asyncio.sleep(0.01)

    def _heard(self, response: Response | None, since: float) -> None:
        now = perf_counter()
        if response is None:
            self._answers["lost"] += self._counts
            return
        wrong = self._what_is_wrong(response)
        if wrong is not None:
            self._violations += 1
            if len(self._wrong) < KEPT_VIOLATIONS:
                self._wrong.append(wrong)
        if self._counts:
            self._answers[str(response.status)] += 1
            if wrong is None:
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


def _never() -> None:
    """No read is due."""


@asynccontextmanager
async def reading(plan: Plan) -> AsyncIterator[Readers]:
    """Connections to the plan's server, `plan.connections` of them.

    Raises:
        LoadError: nobody answers, or there is no menu.
    """
    readers = Readers(plan)
    try:
        await readers.open()
        yield readers
    finally:
        readers.close()
        await asyncio.sleep(0)


async def run(plan: Plan, during: During | None = None) -> Reads:
    """Read as the plan says; LoadError where nobody answers, or there is no menu."""
    async with reading(plan) as readers:
        return await readers.run(plan.warmup, during)
