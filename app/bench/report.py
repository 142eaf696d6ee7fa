"""A run's result as lines for people."""

from collections.abc import Iterable, Iterator, Sequence

from app.bench.figures import Figures
from app.bench.ledger import Writes
from app.bench.load import Process, Result
from app.bench.menu import Reads
from app.bench.mixed import Mixed

KEY_FIGURES = ("orders/s", "reads/s", "menu reads/s", "p50 ms", "p99 ms", "menu p50 ms", "menu p99 ms")


def columns(facts: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Names and facts, the facts below one another."""
    facts = list(facts)
    width = max((len(name) for name, _ in facts), default=0)
    return (f"{name:<{width}}  {fact}" for name, fact in facts)


def counts(numbers: dict[str, int]) -> str:
    """`201: 40, 409: 2`."""
    return ", ".join(f"{name}: {number}" for name, number in numbers.items()) or "none"


def lines(result: Result | Reads | Mixed) -> Iterator[str]:
    """The figures, the processes, and what went against the contract."""
    if isinstance(result, Mixed):
        yield from _orders(result.orders)
        yield ""
        yield from _reads(result.menu)
        yield from _processes(result.orders.processes, result.orders.generator_cpu, "order")
        yield from (f"  {wrong}" for wrong in (*result.orders.first_violations, *result.menu.first_violations))
        return
    yield from _orders(result) if isinstance(result, Result) else _reads(result)
    of = "order" if isinstance(result, Result) else "read"
    yield from _processes(result.processes, result.generator_cpu, of)
    yield from (f"  {wrong}" for wrong in result.first_violations)


def every_run(figures: Sequence[Figures]) -> Iterator[str]:
    """A line with the key figures of each run."""
    names = [name for name in KEY_FIGURES if any(name in run for run in figures)]
    yield " ".join(["run", *(f"{name:>13}" for name in names)])
    for number, run in enumerate(figures, 1):
        yield " ".join([f"{number:>3}", *(f"{run.get(name, 0.0):>13,.2f}" for name in names)])


def _orders(result: Result) -> Iterator[str]:
    yield f"{result.tables} tables, {result.pace}, {result.seconds:g} s"
    yield from columns(
        [
            ("orders/s", f"{result.orders_per_second:,.0f} ({result.orders} orders)"),
            *_latencies(result),
            ("answers", counts(result.answers)),
            ("beside plain orders", counts(result.kinds)),
            ("outcome unknown", str(result.unknown)),
            ("violations", str(result.violations)),
        ]
    )


def _reads(result: Reads) -> Iterator[str]:
    yield f"menu on {result.connections} connections, {result.pace}, {result.seconds:g} s"
    yield from columns(
        [
            ("reads/s", f"{result.reads_per_second:,.0f} ({result.reads} reads)"),
            *_latencies(result),
            ("answers", counts(result.answers)),
            ("violations", str(result.violations)),
        ]
    )


def _latencies(result: Result | Reads) -> list[tuple[str, str]]:
    return [
        ("p50, p90, p99, max ms", f"{result.p50:.2f}  {result.p90:.2f}  {result.p99:.2f}  {result.max:.2f}"),
        ("longest gap ms", f"{result.longest_gap:.1f}"),
    ]


def _processes(processes: Sequence[Process], generator_cpu: float, of: str) -> Iterator[str]:
    yield f"{'process':<22} {f'CPU ms per {of}':>16} {'peak MB':>8} {'MB now':>8}"
    for use in processes:
        yield f"{use.name:<22} {use.cpu_ms_per_order:>16.3f} {use.peak_mb:>8.0f} {use.resident_mb:>8.0f}"
    yield f"{'load generator':<22} {generator_cpu:>16.3f}"


def writes(found: Iterable[Writes]) -> Iterator[str]:
    """What Cassandra took."""
    yield f"{'Cassandra writes':<26} {'orders/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}"
    for way in found:
        yield f"{way.way:<26} {way.orders_per_second:>9,.0f} {way.p50:>8.2f} {way.p99:>8.2f} {way.max:>8.2f}"
