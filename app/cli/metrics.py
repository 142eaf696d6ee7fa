"""`python -m app metrics`: every metric, as docs/metrics.md shows them."""

import click

from app.metrics import ALL, SERVED, Metric

_HEAD = """\
# Metrics

Made by `python -m app metrics`. Each process serves its own at `/metrics`, on its own port + 1100 (`orders-1`: 9192),
and what Prometheus tells of every process: `process_cpu_seconds_total`, `process_resident_memory_bytes` and others.
A histogram is served as `…_bucket`, `…_sum` and `…_count`.

| metric | kind | unit | labels | served by | meaning |
|---|---|---|---|---|---|"""


@click.command()
def command() -> None:
    """Print every metric: name, kind, unit, labels, who serves it, meaning."""
    click.echo(_HEAD)
    for metric in ALL:
        click.echo(_line(metric))


def _line(metric: Metric) -> str:
    name = metric.full_name + ("_total" if metric.kind == "counter" else "")
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
    processes = ", ".join(process for process, served in SERVED.items() if metric in served)
    return f"| `{name}` | {metric.kind} | {metric.unit} | {labels} | {processes} | {metric.meaning} |"
