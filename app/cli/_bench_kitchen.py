"""`python -m app bench kitchen`: from an order's 201 to its card on the displays, while cooks work."""

import dataclasses
import json
import sys
from functools import partial
from pathlib import Path

import click

from app.bench import kitchen, profile
from app.bench.kitchen import Brigade
from app.cli import _bench_options as common
from app.cli._bench_options import RATE, TABLES, Keep
from app.cli._stack import open_stack, told


@click.command("kitchen")
@click.option("--displays", default=4, show_default=True, type=click.IntRange(1, 1000), help="The first shows all.")
@click.option("--cooks", default=64, show_default=True, type=click.IntRange(1, 200), help="With one tap out each.")
@click.option("--bumps", default=3, show_default=True, type=click.IntRange(0, 3), help="Of each ticket; 3 serve it.")
@click.option("--rate", "rates", multiple=True, default=(20.0, 167.0), show_default=True, type=RATE, help="Orders/s.")
@click.option("--reconnects", default=0, type=click.IntRange(0, 10_000), help="Of one more client, at random moments.")
@click.option("--seed", type=int, help="Of these moments.")
@click.option("--profile", "is_profiled", is_flag=True, help="Sample the kitchen's workers in one more run; py-spy.")
@click.option("--tables", default=32, show_default=True, type=TABLES)
@common.seconds_option
@common.warmup_option
@common.save_option
@common.against_option
@common.json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    displays: int,
    cooks: int,
    bumps: int,
    rates: tuple[float, ...],
    reconnects: int,
    seed: int | None,
    is_profiled: bool,
    tables: int,
    seconds: float,
    warmup: float,
    save: Path | None,
    against: Path | None,
    as_json: bool,
) -> None:
    """Orders at each rate, displays that follow and cooks who acknowledge and bump: ms from the 201 to the card.

    Ends with 1 where a display lacks a version of a ticket or was told of one again, or an answer was wrong.
    """
    keep = common.checked(Keep(save=save, against=against, as_json=as_json))
    sampler = profile.find() if is_profiled else None
    if is_profiled and sampler is None:
        raise click.ClickException(profile.HOW_TO_GET_IT)
    with open_stack(ctx) as stack, told():
        brigade = Brigade(displays, cooks, bumps, reconnects, seed, sampler)
        say = partial(click.echo, err=True)
        work = kitchen.run(stack, brigade, rates, tables=tables, seconds=seconds, warmup=warmup, say=say)
        found = common.run(work)
    if as_json:
        click.echo(json.dumps(list(map(dataclasses.asdict, found)), indent=2))
    else:
        click.echo("\n\n".join("\n".join(kitchen.lines(one)) for one in found))
    of_all = kitchen.figures(found)
    common.record(ctx, keep, of_all, [of_all], list(map(dataclasses.asdict, found)))
    if any(one.problems for one in found):
        sys.exit(1)
