"""Changes of the menu under load: how long until every worker shows them, and what they cost the database."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import aiohttp
import orjson

from app import metrics
from app.bench import menu
from app.bench.load import LoadError, Plan
from app.bench.pages import figure
from app.bench.stack import Stack
from app.settings import Settings

LOOK_SECONDS = 0.002  # between two looks at a worker; a change is seen so late
WAIT_SECONDS = 10.0  # for a change to show; then it counts as not shown


@dataclass
class Changes:
    """What came of it; ms. `went_back` counts answers of a worker older than one that it had given before."""

    changes: int
    answered: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)
    not_shown: int = 0
    looks: int = 0
    went_back: int = 0
    reads_per_second: float = 0.0
    reads_p99: float = 0.0
    violations: int = 0
    menu_requests: int = 0
    database_reads: int = 0

    @property
    def database_share(self) -> float:
        """Database reads per menu request, in percent."""
        return round(100 * self.database_reads / max(1, self.menu_requests), 4)


class _Watch:
    """Looks at one worker all the time."""

    def __init__(self, client: aiohttp.ClientSession, url: str, found: Changes) -> None:
        self._client = client
        self._url = f"{url}/menu_items"
        self._found = found
        self.revision = 0
        self.at = 0.0  # when the revision was first seen

    async def run(self) -> None:
        while True:
            async with self._client.get(self._url) as response:
                revision = int(response.headers.get("Menu-Revision", "0"))
                await response.read()
            self._found.looks += 1
            if revision < self.revision:
                self._found.went_back += 1
            if revision > self.revision:
                self.revision, self.at = revision, perf_counter()
            await asyncio.sleep(LOOK_SECONDS)


async def run(stack: Stack, *, changes: int, every: float, rate: float, connections: int, warmup: float) -> Changes:
    """Change a price `changes` times, one each `every` s, among `rate` reads/s; looks at each worker on its own port.

    Raises:
        LoadError: nobody answers, there is no menu, or a change is refused.
    """
    found = Changes(changes)
    token = stack.command("token", "--role", "manager").split()[-1]
    numbers = [int(name.rpartition("-")[2]) for name, _ in stack.pids() if name.startswith("orders-")]
    workers = [f"http://127.0.0.1:{stack.settings.ports.of('orders', number)}" for number in numbers]
    plan = Plan(stack.url, (), seconds=0.0, warmup=warmup, rate=rate, connections=connections)
    async with aiohttp.ClientSession() as client, menu.reading(plan) as readers:
        watches = [_Watch(client, url, found) for url in workers]
        tasks = [asyncio.create_task(watch.run()) for watch in watches]
        try:

            async def change() -> None:
                before = await asyncio.to_thread(_counted, stack.settings, numbers)
                await _change(client, stack.url, token, watches, found, every)
                after = await asyncio.to_thread(_counted, stack.settings, numbers)
                found.menu_requests, found.database_reads = after[0] - before[0], after[1] - before[1]

            reads = await readers.run(warmup, change)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    found.reads_per_second, found.reads_p99, found.violations = reads.reads_per_second, reads.p99, reads.violations
    return found


async def _change(
    client: aiohttp.ClientSession, url: str, token: str, watches: Sequence[_Watch], found: Changes, every: float
) -> None:
    async with client.get(f"{url}/menu_items") as response:
        dish = orjson.loads(await response.read())[-1]
    headers = {"Authorization": f"Bearer {token}", "If-Match": "*"}
    due = perf_counter()
    for number in range(found.changes):
        body = orjson.dumps({"price": f"{10 + number % 50}.{number % 2}0"})
        began = perf_counter()
        async with client.patch(f"{url}/menu_items/{dish['id']}", data=body, headers=headers) as response:
            if response.status != 200:
                raise LoadError(f"a change was answered {response.status} {await response.text()}")
            revision = int(response.headers["Menu-Revision"])
        found.answered.append(1000 * (perf_counter() - began))
        if not await _all_show(watches, revision):
            found.not_shown += 1
        found.shown.append(1000 * (max(watch.at for watch in watches) - began))
        due = max(due + every, perf_counter())
        await asyncio.sleep(due - perf_counter())


async def _all_show(watches: Sequence[_Watch], revision: int) -> bool:
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while any(watch.revision < revision for watch in watches):  # noqa: ASYNC110 - they look by themselves
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        return False
    return True


def _counted(settings: Settings, workers: Sequence[int]) -> tuple[int, int]:
    """Menu requests and database reads of these order workers so far."""
    requests = sum(figure(settings, metrics.MENU_ANSWERED, worker) for worker in workers)
    reads = sum(figure(settings, metrics.CASSANDRA_CALLS, worker, kind="read", result="ok") for worker in workers)
    return int(requests), int(reads)


def facts(found: Changes) -> dict[str, Any]:
    """The figures by what they are called."""
    shown, answered = sorted(found.shown), sorted(found.answered)
    return {
        "changes": found.changes,
        "answered: p50, max ms": f"{answered[len(answered) // 2]:.1f}, {answered[-1]:.1f}",
        "shown by every worker: p50, p99, max ms": f"{shown[len(shown) // 2]:.1f}, "
        f"{shown[len(shown) * 99 // 100]:.1f}, {shown[-1]:.1f}",
        "not shown in time": found.not_shown,
        "looks at single workers": found.looks,
        "went back to an older menu": found.went_back,
        "menu reads/s meanwhile, p99 ms": f"{found.reads_per_second:,.0f}, {found.reads_p99:.1f}",
        "violations": found.violations,
        "menu requests": f"{found.menu_requests:,}",
        "database reads": f"{found.database_reads:,} ({found.database_share} % of the requests)",
    }
