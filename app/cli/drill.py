"""`python -m app drill`: scenarios that a restaurant must survive, each with the audit at its end."""

import sys
from collections.abc import Callable
from typing import Any

import click

from app.bench import report
from app.bench.drill import Outcome
from app.bench.drills import catchup, deaths, mixed, replay, scaling, sequence
from app.bench.stack import Stack
from app.cli._stack import choose, open_stack, stack_options


@click.group()
@stack_options
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Run a scenario and audit what it left; ends with 1 where anything is not as promised."""
    choose(ctx, **options)


def _run(ctx: click.Context, title: str, drill: Callable[[Stack], Outcome]) -> None:
    with open_stack(ctx) as stack:
        outcome = drill(stack)
    click.echo("\n".join([title, *report.columns(outcome.facts.items())]))
    for problem in outcome.problems:
        click.echo(f"  {problem}", err=True)
    if outcome.problems:
        sys.exit(1)


@command.command("mixed")
@click.option("--tables", default=32, show_default=True, type=click.IntRange(1, 1000))
@click.option("--seconds", default=30.0, show_default=True, type=click.FloatRange(1, 600))
@click.pass_context
def _mixed(ctx: click.Context, tables: int, seconds: float) -> None:
    """Many tables; a tenth each sent twice at once, stale, and again later."""
    _run(ctx, f"{tables} tables", lambda stack: mixed.run(stack, count=tables, seconds=seconds))


@command.command("replay")
@click.option("--orders", default=5000, show_default=True, type=click.IntRange(1, 100_000))
@click.pass_context
def _replay(ctx: click.Context, orders: int) -> None:
    """One order, many more at its table, then the first again."""
    _run(ctx, f"an order again after {orders} more", lambda stack: replay.run(stack, orders=orders))


@command.command("sequence")
@click.option("--orders", default=1000, show_default=True, type=click.IntRange(1, 100_000))
@click.pass_context
def _sequence(ctx: click.Context, orders: int) -> None:
    """One table's orders in a row: each version once."""
    _run(ctx, f"{orders} orders in a row", lambda stack: sequence.run(stack, orders=orders))


@command.command("catchup")
@click.option("--orders", default=5000, show_default=True, type=click.IntRange(1, 100_000))
@click.pass_context
def _catchup(ctx: click.Context, orders: int) -> None:
    """Orders while the ledger is stopped; all arrive once it runs again."""
    _run(ctx, f"{orders} orders without ledger", lambda stack: catchup.run(stack, orders=orders))


@command.command("scaling")
@click.option("--hold", default=8.0, show_default=True, type=click.FloatRange(1, 300), help="s at each step.")
@click.option("--rate", default=100.0, show_default=True, type=click.FloatRange(1, 5000), help="Orders/s.")
@click.pass_context
def _scaling(ctx: click.Context, hold: float, rate: float) -> None:
    """From one order worker to four and back while orders flow."""
    _run(ctx, "1, 4, 1 order workers", lambda stack: scaling.run(stack, hold=hold, rate=rate))


@command.command("kill")
@click.argument("name", default="orders-1")
@click.option("--rate", default=100.0, show_default=True, type=click.FloatRange(1, 5000), help="Orders/s.")
@click.pass_context
def _kill(ctx: click.Context, name: str, rate: float) -> None:
    """Kill -9 a process by NAME (orders-1, kafka-1, …) while orders flow."""
    _run(ctx, f"{name} killed", lambda stack: deaths.run(stack, name, rate=rate))
