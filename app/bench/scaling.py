"""What an order costs with more workers, and with more tables."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import uvloop

from app.bench import load
from app.bench.load import Plan, Result
from app.bench.stack import Stack

TABLES = 32  # while the number of workers changes
CONNECTIONS = 64  # while the number of tables changes: guests share them, as waiting for the server is not the question

Say = Callable[[str], None]


@dataclass(frozen=True)
class Case:
    """One measurement: so many workers and tables."""

    workers: int
    tables: int
    result: Result

    @property
    def cpu(self) -> dict[str, float]:
        """CPU in ms per order of each service, its processes together."""
        found: dict[str, float] = {}
        for process in self.result.processes:
            service = process.name.rpartition("-")[0]
            found[service] = found.get(service, 0.0) + process.cpu_ms_per_order
        return found


def run(
    stack: Stack, plan: Plan, *, workers: Sequence[int], tables: Sequence[int], table_rate: float, say: Say
) -> list[Case]:
    """Measure with each number of workers in a closed loop, then with each number of tables at a rate.

    The stack is scaled while it runs, and left with the last number of workers.

    Raises:
        LoadError, StackFailedError: the load could not be run, or the stack not be scaled.
    """
    cases = []
    for count in workers:
        say(f"{count} workers, {TABLES} tables, closed loop")
        stack.command("scale", f"orders={count}")
        cases.append(Case(count, TABLES, _measure(stack, plan, TABLES)))
    last = workers[-1] if workers else len([name for name, _ in stack.pids() if name.startswith("orders-")])
    for count in tables:
        say(f"{last} workers, {count} tables, {table_rate:g} orders/s")
        at_rate = replace(plan, rate=table_rate, connections=CONNECTIONS)
        cases.append(Case(last, count, _measure(stack, at_rate, count)))
    return cases


def _measure(stack: Stack, plan: Plan, tables: int) -> Result:
    tokens = stack.tokens([f"BENCH-{number}" for number in range(1, tables + 1)])
    return uvloop.run(load.run(replace(plan, url=stack.url, tokens=tokens, pids=stack.pids())))


def lines(cases: Sequence[Case]) -> Iterator[str]:
    """A table, a line for each case; CPU in ms per order."""
    services = sorted({service for case in cases for service in case.cpu})
    titles = [f"{service} CPU" for service in services]
    yield " ".join([f"{'workers':>7} {'tables':>7} {'orders/s':>9} {'p50 ms':>8} {'p99 ms':>8}", *titles, "all CPU"])
    for case in cases:
        result, cpu = case.result, case.cpu
        cells = [f"{cpu.get(name, 0.0):>{len(title)}.3f}" for name, title in zip(services, titles, strict=True)]
        first = f"{case.workers:>7} {case.tables:>7} {result.orders_per_second:>9,.0f}"
        yield " ".join([f"{first} {result.p50:>8.2f} {result.p99:>8.2f}", *cells, f"{sum(cpu.values()):>7.3f}"])
