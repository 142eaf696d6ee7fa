"""`python -m app bench recovery`: what a long past costs when a worker dies."""

import dataclasses
import json
import logging
import sys
from pathlib import Path

import click
import structlog

from app.bench import recovery
from app.cli import _bench_options as common
from app.cli._bench_options import Keep
from app.cli._stack import open_stack


@click.command("recovery")
@click.option("--orders", default=1_000_000, show_default=True, type=click.IntRange(1000, 100_000_000))
@click.option("--tables", default=200, show_default=True, type=click.IntRange(16, 10_000))
@click.option("--rate", default=100.0, show_default=True, type=click.FloatRange(1, 5000), help="Orders/s at the kill.")
@click.option("--lag", type=click.FloatRange(1, 3600), help="s of compaction lag in the end; else the setting's.")
@common.save_option
@common.against_option
@common.json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    orders: int,
    tables: int,
    rate: float,
    lag: float | None,
    save: Path | None,
    against: Path | None,
    as_json: bool,
) -> None:
    """Kill -9 a worker after so many past orders: before any compaction, and once Kafka has compacted."""
    assert ctx.parent is not None
    if ctx.parent.params["running"]:
        raise click.UsageError("a stack of its own only: the past stays, and settings of topics are changed meanwhile")
    keep = common.checked(Keep(save=save, against=against, as_json=as_json))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with open_stack(ctx) as stack:
        stack.command("scale", "ledger=0")  # the events wait in Kafka: a million of them would be written for minutes
        report = recovery.run(
            stack, orders=orders, count=tables, lag=lag, rate=rate, say=lambda text: click.echo(text, err=True)
        )
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report), indent=2))
    else:
        click.echo("\n".join(report.lines()))
    common.record(ctx, keep, report.figures, [report.figures], dataclasses.asdict(report))
    if report.problems:
        sys.exit(1)
