"""`python -m app bench overload`: three times what a stack can take."""

import dataclasses
import json
import sys
from pathlib import Path

import click

from app.bench import overload
from app.bench import stack as stacks
from app.cli import _bench_options as common
from app.cli._bench_options import TABLES, Keep
from app.cli._stack import told


@click.command("overload")
@click.option("--seconds", default=60.0, show_default=True, type=common.SECONDS, help="Of the overload.")
@click.option("--tables", default=400, show_default=True, type=TABLES, help="That send; each has one order out.")
@click.option("--capacity", type=common.RATE, help="Orders/s that can be taken; without it they are measured.")
@common.save_option
@common.against_option
@common.json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    seconds: float,
    tables: int,
    capacity: float | None,
    save: Path | None,
    against: Path | None,
    as_json: bool,
) -> None:
    """Find what can be taken, then offer three times that, in an open loop, with what bounds the load switched on.

    What can be taken is found before and after: machines are faster at one time than at another.

    Ends with 1 where an answer was not as the contract says, or all was not as before in the end.
    """
    assert ctx.parent is not None
    of = ctx.parent.params
    if of["running"]:
        raise click.UsageError("on stacks of its own only: one without limits, and one with")
    keep = common.checked(Keep(save=save, against=against, as_json=as_json))
    size = {"offset": of["offset"], "workers": of["workers"], "nodes": of["nodes"]}

    def measured() -> float:
        with stacks.own(**size, more=overload.UNLIMITED) as stack:
            return common.run(overload.capacity(stack))

    with told():
        before = capacity or measured()
        with stacks.own(**size, more=overload.LIMITED) as stack:
            found = common.run(overload.run(stack, before, seconds, tables=tables))
        if not capacity:
            found = overload.with_capacity_after(found, measured())
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found), indent=2))
    else:
        click.echo("\n".join(found.lines()))
    common.record(ctx, keep, found.figures(), [found.figures()], dataclasses.asdict(found))
    if found.violations or found.recovered is None:
        sys.exit(1)
