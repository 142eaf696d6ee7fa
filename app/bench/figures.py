"""The key figures of a result by name, in the order in which they are shown: to keep, compare, put side by side."""

from collections.abc import Iterator, Mapping

from app.bench.load import Process, Result
from app.bench.menu import Reads
from app.bench.mixed import Mixed

Figures = dict[str, float]


def figures(result: Result | Reads | Mixed) -> Figures:
    """Rates, latencies in ms, CPU in ms per order or read, memory in MB."""
    if isinstance(result, Mixed):
        reads = {f"menu {name}": value for name, value in _latencies(result.menu).items()}
        return figures(result.orders) | {"menu reads/s": result.menu.reads_per_second} | reads
    if isinstance(result, Reads):
        return {"reads/s": result.reads_per_second} | _latencies(result) | _processes(result, "read")
    return {"orders/s": result.orders_per_second} | _latencies(result) | _processes(result, "order")


def compared(then: Mapping[str, float], now: Mapping[str, float], names: tuple[str, str]) -> Iterator[str]:
    """A table of figure, both values and their ratio, of what either has."""
    width = max([len(name) for name in (*then, *now)], default=0)
    yield f"{'':<{width}} {names[0]:>12} {names[1]:>12} {'ratio':>8}"
    for name in [*now, *(name for name in then if name not in now)]:
        before, after = then.get(name), now.get(name)
        ratio = f"{after / before:.2f}" if before and after is not None else "-"
        yield f"{name:<{width}} {_shown(before):>12} {_shown(after):>12} {ratio:>8}"


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _latencies(result: Result | Reads) -> Figures:
    return {
        "p50 ms": result.p50,
        "p90 ms": result.p90,
        "p99 ms": result.p99,
        "max ms": result.max,
        "longest gap ms": result.longest_gap,
    }


def _processes(result: Result | Reads, of: str) -> Figures:
    found: Figures = {}
    for process in result.processes:
        found |= _of_process(process, of)
    total = sum(process.cpu_ms_per_order for process in result.processes)
    return found | {
        f"CPU ms per {of}, load generator": result.generator_cpu,
        f"CPU ms per {of}, servers": round(total, 4),
    }


def _of_process(process: Process, of: str) -> Figures:
    return {
        f"CPU ms per {of}, {process.name}": process.cpu_ms_per_order,
        f"memory MB, {process.name}": process.resident_mb,
    }
