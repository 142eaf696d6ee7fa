"""A run's result as a table."""

from rich.console import Console
from rich.table import Table

from app.bench.load import Result


def show(result: Result, console: Console) -> None:
    """Print the figures, the processes, and what went against the contract."""
    pace = f"{result.rate:g} orders/s wanted" if result.rate else "closed loop"
    console.print(f"\n{result.tables} tables, {pace}, {result.seconds:g} s", style="bold", highlight=False)
    figures = Table(show_header=False, box=None, pad_edge=False)
    figures.add_column(style="dim")
    figures.add_column(justify="right")
    for name, value in _figures(result):
        figures.add_row(name, value)
    console.print(figures, highlight=False)
    processes = Table("process", "CPU ms per order", "peak MB", box=None, pad_edge=False, header_style="dim")
    for use in result.processes:
        processes.add_row(str(use["name"]), f"{use['cpu_ms_per_order']:.3f}", f"{use['peak_mb']:.0f}")
    processes.add_row("load generator", f"{result.generator_cpu:.3f}", "")
    console.print(processes, highlight=False)
    for wrong in result.first_violations:
        console.print(wrong, style="red", markup=False, highlight=False)


def _figures(result: Result) -> list[tuple[str, str]]:
    answers = ", ".join(f"{status}: {count}" for status, count in result.answers.items())
    kinds = ", ".join(f"{kind}: {count}" for kind, count in result.kinds.items())
    return [
        ("orders/s", f"{result.orders_per_second:,.0f}"),
        ("p50 ms", f"{result.p50:.2f}"),
        ("p90 ms", f"{result.p90:.2f}"),
        ("p99 ms", f"{result.p99:.2f}"),
        ("max ms", f"{result.max:.2f}"),
        ("longest gap ms", f"{result.longest_gap:.1f}"),
        ("answers", answers or "none"),
        ("beside plain orders", kinds or "none"),
        ("outcome unknown", str(result.unknown)),
        ("violations", str(result.violations)),
    ]
