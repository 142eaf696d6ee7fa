"""`python -m app bench scale`: what an order costs with more workers, and with more tables."""

import dataclasses
import json
import sys
from functools import partial
from typing import Any

import click

from app.bench import scaling
from app.bench.figures import Figures
from app.bench.load import Plan
from app.cli import _bench_options as common
from app.cli._bench_options import RATE, Keep
from app.cli._stack import open_stack


class Numbers(click.ParamType):
    """`1,2,4`; empty for none."""

    name = "N,N…"

    def __init__(self, most: int) -> None:
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """The numbers, each from 1 to the highest that is allowed."""
        if isinstance(value, list):
            return value
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        if not all(part.isdecimal() and 1 <= int(part) <= self.most for part in parts):
            self.fail(f"{value!r}: numbers from 1 to {self.most}, as in 1,2,4", param, ctx)
        return [int(part) for part in parts]


@click.command("scale")
@click.option(
    "--workers-list", "workers", default="1,2,4", show_default=True, type=Numbers(16), help="In a closed loop."
)
@click.option(
    "--tables-list", "tables", default="10,100,2000", show_default=True, type=Numbers(10_000), help="At a rate."
)
@click.option("--rate", default=300.0, show_default=True, type=RATE, help="Orders/s with each number of tables.")
@common.seconds_option
@click.option("--warmup", default=10.0, show_default=True, type=click.FloatRange(0, 600), help="s before each.")
@common.save_option
@common.against_option
@common.json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    workers: list[int],
    tables: list[int],
    rate: float,
    seconds: float,
    warmup: float,
    save: Any,
    against: Any,
    as_json: bool,
) -> None:
    """Orders/s and CPU per order by the number of workers, and CPU per order by the number of tables; on one stack.

    The machine is the same for any number of workers: more of them than cores only share these.
    """
    keep = common.checked(Keep(save=save, against=against, as_json=as_json))
    with open_stack(ctx) as stack:
        plan = Plan(url="", tokens=(), seconds=seconds, warmup=warmup)
        say = partial(click.echo, err=True)
        cases = scaling.run(stack, plan, workers=workers, tables=tables, table_rate=rate, say=say)
    if as_json:
        click.echo(json.dumps(list(map(dataclasses.asdict, cases)), indent=2))
    else:
        click.echo("\n".join(scaling.lines(cases)))
    of_all = _figures(cases)
    common.record(ctx, keep, of_all, [of_all], list(map(dataclasses.asdict, cases)))
    if any(case.result.violations or case.result.unknown for case in cases):
        sys.exit(1)


def _figures(cases: list[scaling.Case]) -> Figures:
    found: Figures = {}
    for case in cases:
        name = f"{case.workers} workers, {case.tables} tables"
        found[f"orders/s, {name}"] = case.result.orders_per_second
        found[f"CPU ms per order, {name}"] = round(sum(case.cpu.values()), 4)
    return found
