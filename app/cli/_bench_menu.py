"""`python -m app bench menu`, `menu-changes` and `mixed`: reads of the menu, alone, and beside changes or orders."""

import dataclasses
import json
import sys
from functools import partial
from typing import Any

import click

from app.bench import menu, menu_changes, mixed, report
from app.bench.load import Plan
from app.cli import _bench_options as common
from app.cli._bench_options import RATE, TABLES
from app.cli._stack import open_stack, told

CONNECTIONS = click.option(
    "--connections", default=32, show_default=True, type=click.IntRange(1, 10_000), help="Kept open, for the menu."
)


@click.command("menu")
@CONNECTIONS
@common.seconds_option
@common.warmup_option
@click.option("--rate", type=RATE, help="Reads/s in all; without it a closed loop.")
@common.url_options
@common.beside_options
@common.keep_options
@click.pass_context
def menu_command(
    ctx: click.Context, /, *, connections: int, seconds: float, warmup: float, rate: float | None, **options: Any
) -> None:
    """Menus/s and latencies of GET /menu_items; at a rate, a latency runs from when the request was due."""
    keep = common.keep_of(options)
    with common.servers(ctx, 1, options) as servers:
        plan = Plan(url="", tokens=(), seconds=seconds, warmup=warmup, rate=rate, connections=connections)
        common.finish(ctx, keep, servers, common.measure(servers, plan, menu.reading, keep.runs))


@click.command("menu-changes")
@click.option("--changes", default=200, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--every", default=0.2, show_default=True, type=click.FloatRange(0, 60), help="s between two changes.")
@click.option("--rate", default=1000.0, show_default=True, type=RATE, help="Menu reads/s in all.")
@CONNECTIONS
@common.warmup_option
@common.json_option
@click.pass_context
def changes_command(
    ctx: click.Context, /, *, changes: int, every: float, rate: float, connections: int, warmup: float, as_json: bool
) -> None:
    """Change a price again and again: until every worker shows it, and database reads by menu requests.

    Ends with 1 where a worker went back to an older menu, or did not show a change.
    """
    with open_stack(ctx) as stack, told():
        work = menu_changes.run(stack, changes=changes, every=every, rate=rate, connections=connections, warmup=warmup)
        found = common.run(work)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found)))
    else:
        click.echo("\n".join(report.columns(menu_changes.facts(found).items())))
    if found.went_back or found.not_shown or found.violations:
        sys.exit(1)


@click.command("mixed")
@click.option("--tables", default=32, show_default=True, type=TABLES)
@click.option("--rate", default=167.0, show_default=True, type=RATE, help="Orders/s in all.")
@click.option("--menu-rate", default=500.0, show_default=True, type=RATE, help="Menu reads/s in all.")
@CONNECTIONS
@common.seconds_option
@common.warmup_option
@common.url_options
@common.beside_options
@common.keep_options
@click.pass_context
def mixed_command(
    ctx: click.Context,
    /,
    *,
    tables: int,
    rate: float,
    menu_rate: float,
    connections: int,
    seconds: float,
    warmup: float,
    **options: Any,
) -> None:
    """Orders at a rate among menu reads at another: both with their latencies. CPU is that of all, by order."""
    keep = common.keep_of(options)
    with common.servers(ctx, tables, options) as servers:
        plan = Plan(url="", tokens=(), seconds=seconds, warmup=warmup, rate=rate)
        opened = partial(mixed.both, menu_rate=menu_rate, connections=connections)
        common.finish(ctx, keep, servers, common.measure(servers, plan, opened, keep.runs))
