"""A run's result as lines for people."""

from collections.abc import Iterable, Iterator

from app.bench.ledger import Writes
from app.bench.load import Result


def columns(facts: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Names and facts, the facts below one another."""
    facts = list(facts)
    width = max((len(name) for name, _ in facts), default=0)
    return (f"{name:<{width}}  {fact}" for name, fact in facts)


def counts(numbers: dict[str, int]) -> str:
    """`201: 40, 409: 2`."""
    return ", ".join(f"{name}: {number}" for name, number in numbers.items()) or "none"


def lines(result: Result) -> Iterator[str]:
    """The figures, the processes, and what went against the contract."""
    yield f"{result.tables} tables, {result.pace}, {result.seconds:g} s"
    yield from columns(
        [
            ("orders/s", f"{result.orders_per_second:,.0f} ({result.orders} orders)"),
            ("p50, p90, p99, max ms", f"{result.p50:.2f}  {result.p90:.2f}  {result.p99:.2f}  {result.max:.2f}"),
            ("longest gap ms", f"{result.longest_gap:.1f}"),
            ("answers", counts(result.answers)),
            ("beside plain orders", counts(result.kinds)),
            ("outcome unknown", str(result.unknown)),
            ("violations", str(result.violations)),
        ]
    )
    yield f"{'process':<22} {'CPU ms per order':>16} {'peak MB':>8}"
    for use in result.processes:
        yield f"{use.name:<22} {use.cpu_ms_per_order:>16.3f} {use.peak_mb:>8.0f}"
    yield f"{'load generator':<22} {result.generator_cpu:>16.3f}"
    yield from (f"  {wrong}" for wrong in result.first_violations)


def writes(found: Iterable[Writes]) -> Iterator[str]:
    """What Cassandra took."""
    yield f"{'Cassandra writes':<26} {'orders/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}"
    for way in found:
        yield f"{way.way:<26} {way.orders_per_second:>9,.0f} {way.p50:>8.2f} {way.p99:>8.2f} {way.max:>8.2f}"
