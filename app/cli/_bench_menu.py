"""`python -m app bench menu` and `mixed`: reads of the menu, alone and beside orders."""

from functools import partial
from typing import Any

import click

from app.bench import menu, mixed
from app.bench.load import Plan
from app.cli import _bench_options as common
from app.cli._bench_options import RATE, TABLES

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
