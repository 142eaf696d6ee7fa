"""`python -m app bench`: load on a server with this contract, and what it does with it."""

import dataclasses
import json
import logging
import sys
from pathlib import Path
from typing import Any

import click
import structlog
import uvloop

from app.bench import burst, idle, ledger, load, report
from app.cli import _bench_kitchen, _bench_menu, _bench_orders, _bench_overload, _bench_recovery, _bench_scale
from app.cli import _bench_options as common
from app.cli._bench_options import SECONDS, TABLES, Keep
from app.cli._stack import choose, open_stack, stack_options
from app.drill.drills import catchup

IDLE_TABLES = 33  # one of them is the lone guest's


@click.group()
@stack_options
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Measure orders and menu reads under load, overload, a burst, an idle stack, the ledger, scale, the kitchen."""
    choose(ctx, **options)


@command.command("burst")
@click.option("--tables", default=3000, show_default=True, type=TABLES)
@common.warmup_option
@common.keep_options
@click.pass_context
def _burst(ctx: click.Context, /, *, tables: int, warmup: float, **options: Any) -> None:
    """Every table orders at the same moment: all must get their 201; the slowest, and each worker's memory."""
    keep = common.keep_of(options)
    with common.servers(ctx, tables, options) as servers:
        plan = load.Plan(url="", tokens=(), seconds=0, warmup=warmup)
        common.finish(ctx, keep, servers, common.measure(servers, plan, burst.gathered, keep.runs))


@command.command("idle")
@click.option("--seconds", default=15.0, show_default=True, type=SECONDS)
@click.option("--rate", default=20.0, show_default=True, type=click.FloatRange(0.1, 200), help="Orders/s.")
@common.warmup_option
@common.keep_options
@click.pass_context
def _idle(ctx: click.Context, /, *, seconds: float, rate: float, warmup: float, **options: Any) -> None:
    """One order at a time on a stack that has nothing else to do: the median is what a lone guest waits."""
    keep = common.keep_of(options)
    with common.servers(ctx, IDLE_TABLES, options) as servers:
        plan = load.Plan(url="", tokens=(), seconds=seconds, warmup=warmup, rate=rate)
        common.finish(ctx, keep, servers, common.measure(servers, plan, idle.alone, keep.runs))


@command.command("ledger")
@click.option("--orders", default=5000, show_default=True, type=click.IntRange(100, 100_000))
@click.option("--rate", default=167.0, show_default=True, type=click.FloatRange(1, 5000), help="Orders/s.")
@common.seconds_option
@common.save_option
@common.against_option
@common.json_option
@click.pass_context
def _ledger(
    ctx: click.Context,
    *,
    orders: int,
    rate: float,
    seconds: float,
    save: Path | None,
    against: Path | None,
    as_json: bool,
) -> None:
    """Orders placed while the ledger is stopped, its drain rate, and how long Cassandra takes for a write."""
    keep = common.checked(Keep(save=save, against=against, as_json=as_json))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with open_stack(ctx) as stack:
        outcome = catchup.run(stack, orders=orders)
        events = ledger.queued(stack.settings, orders)
        writes = uvloop.run(ledger.run(stack.settings, events, rate=rate, seconds=seconds))
    found = {**dataclasses.asdict(outcome), "writes": list(map(dataclasses.asdict, writes))}
    if as_json:
        click.echo(json.dumps(found))
    else:
        click.echo("\n".join([*report.columns(outcome.facts.items()), *report.writes(writes), *outcome.problems]))
    of_writes = ledger.figures(writes)
    common.record(ctx, keep, of_writes, [of_writes], found)
    if outcome.problems:
        sys.exit(1)


for _command in (
    _bench_orders.command,
    _bench_menu.menu_command,
    _bench_menu.changes_command,
    _bench_menu.mixed_command,
    _bench_scale.command,
    _bench_recovery.command,
    _bench_overload.command,
    _bench_kitchen.command,
):
    command.add_command(_command)
