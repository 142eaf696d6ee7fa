"""So many orders, told in tenths: does anything get slower or larger?"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

import psutil

from app.bench import load
from app.bench.load import Plan, Result
from app.bench.processes import resident_mb
from app.bench.series import Histogram
from app.stack.layout import size_on_disk

TENTHS = 10
LOOK_EVERY = 0.02  # s
SERVERS = ("kafka", "cassandra")  # whose folders grow


@dataclass(frozen=True)
class Tenth:
    """A tenth of the orders: latencies in ms; at its end, memory of each process and the servers' folders in MB."""

    orders: int
    seconds: float
    orders_per_second: float
    p50: float
    p99: float
    resident_mb: dict[str, float] = field(default_factory=dict)
    data_mb: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Endurance:
    """The whole run, and its tenths."""

    result: Result
    tenths: Sequence[Tenth]


class _Watch:
    """Counts what is acknowledged, and closes each tenth."""

    def __init__(self, plan: Plan, orders: int, data_dir: Path | None) -> None:
        self._plan = plan
        self._orders = orders
        self._data_dir = data_dir
        self._histogram = Histogram()
        self._count = 0
        self.tenths: list[Tenth] = []

    def heard(self, table: str, since: float, now: float) -> None:
        """An order was acknowledged."""
        self._count += 1
        self._histogram.add(now - since)
        if self._plan.heard is not None:
            self._plan.heard(table, since, now)

    async def watch(self) -> None:
        """Return once all are acknowledged."""
        self._count = done = 0  # what came before was warm-up
        self._histogram, began = Histogram(), perf_counter()
        for number in range(1, TENTHS + 1):
            while self._count < self._orders * number // TENTHS:  # noqa: ASYNC110 - each order would set an event
                await asyncio.sleep(LOOK_EVERY)
            histogram, self._histogram = self._histogram, Histogram()
            now, count = perf_counter(), self._count
            # On a thread: orders go on, and count for the next tenth.
            memory, data = await asyncio.to_thread(self._sizes)
            p50, p99 = histogram.percentile(0.5), histogram.percentile(0.99)
            rate = (count - done) / (now - began)
            self.tenths.append(Tenth(count - done, round(now - began, 2), round(rate, 1), p50, p99, memory, data))
            began, done = now, count

    def _sizes(self) -> tuple[dict[str, float], dict[str, float]]:
        memory = {}
        for name, pid in self._plan.pids:
            try:
                memory[name] = round(resident_mb(pid), 1)
            except psutil.Error:
                continue  # it has ended; the next one of its name is not known here
        return memory, folders(self._data_dir) if self._data_dir else {}


async def run(plan: Plan, orders: int, data_dir: Path | None) -> Endurance:
    """Run the plan until so many orders are acknowledged, or a few more; `data_dir` is the stack's, None for another's.

    Raises:
        LoadError: nobody answers, or there is no menu.
    """
    watch = _Watch(plan, orders, data_dir)
    result = await load.run(replace(plan, seconds=0.0, is_long=True, heard=watch.heard), watch.watch)
    return Endurance(result, watch.tenths)


def folders(data_dir: Path) -> dict[str, float]:
    """MB on disk of each server's nodes together."""
    return {
        server: round(sum(size_on_disk(folder) for folder in data_dir.glob(f"{server}-*") if folder.is_dir()) / 1e6, 1)
        for server in SERVERS
    }


def lines(tenths: Sequence[Tenth]) -> Iterator[str]:
    """A table of the tenths."""
    memory = sorted({name for tenth in tenths for name in tenth.resident_mb})
    data = sorted({name for tenth in tenths for name in tenth.data_mb})
    titles = [f"{name} MB" for name in memory] + [f"{name} on disk MB" for name in data]
    yield " ".join([f"{'orders':>10} {'orders/s':>9} {'p50 ms':>8} {'p99 ms':>8}", *titles])
    total = 0
    for tenth in tenths:
        total += tenth.orders
        sizes = [tenth.resident_mb] * len(memory) + [tenth.data_mb] * len(data)
        cells = [
            f"{size.get(name, 0.0):>{len(title)}.0f}"
            for title, name, size in zip(titles, [*memory, *data], sizes, strict=True)
        ]
        first = f"{total:>10,} {tenth.orders_per_second:>9,.0f} {tenth.p50:>8.2f} {tenth.p99:>8.2f}"
        yield " ".join([first, *cells])
