"""`python -m app bench`: load on a server with this contract, and what it does with it."""

import dataclasses
import gc
import json
import logging
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click
import structlog
import uvloop

from app.bench import burst, ledger, load, report, tokens
from app.bench.guest import Shares
from app.cli import _bench_recovery
from app.cli._stack import choose, open_stack, stack_options, told
from app.drill.drills import catchup

TABLES = click.IntRange(1, 10_000)
SECONDS = click.FloatRange(0.1, 3600)
WARMUP = click.option(
    "--warmup", default=20.0, show_default=True, type=click.FloatRange(0, 600), help="s under load before."
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
@stack_options
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Measure orders under load, a burst, an idle stack, the ledger's writes, recovery after a long past."""
    choose(ctx, **options)


def _pids(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, int]]:
    named = []
    for value in values:
        name, _, pid = value.rpartition("=")
        if not pid.isdecimal():
            raise click.BadParameter(f"{value!r} is not NAME=PID")
        named.append((name or pid, int(pid)))
    return named


@command.command()
@click.option("--tables", default=32, show_default=True, type=TABLES)
@click.option("--seconds", default=20.0, show_default=True, type=SECONDS)
@WARMUP
@click.option("--rate", type=click.FloatRange(0.1, 100_000), help="Orders/s in all; without it a closed loop.")
@click.option("--duplicates", default=0.0, type=click.FloatRange(0, 1), help="Share sent twice at the same time.")
@click.option("--stale", default=0.0, type=click.FloatRange(0, 1), help="Share of turns with a stale order besides.")
@click.option("--replays", default=0.0, type=click.FloatRange(0, 1), help="Share of turns with an old order besides.")
@click.option("--url", help="Another server with this contract, like http://127.0.0.1:8090; needs --tokens.")
@click.option("--tokens", "tokens_file", type=click.File(), help="Lines TABLE TOKEN, for --url.")
@click.option("--pids", multiple=True, callback=_pids, metavar="NAME=PID", help="A process of --url to measure.")
@click.option("--first-form", is_flag=True, help="Do not ask for what the contract has added behind its first form.")
@click.option("--acks", type=click.Path(path_type=Path, dir_okay=False), help="Write each acknowledged order here.")
@AS_JSON
@click.pass_context
def orders(
    ctx: click.Context,
    *,
    tables: int,
    seconds: float,
    warmup: float,
    rate: float | None,
    duplicates: float,
    stale: float,
    replays: float,
    url: str | None,
    tokens_file: click.utils.LazyFile | None,
    pids: list[tuple[str, int]],
    first_form: bool,
    acks: Path | None,
    as_json: bool,
) -> None:
    """Orders/s, latencies, CPU and memory under load; ends with 1 where an answer is not as the contract says."""
    if (url is None) != (tokens_file is None):
        raise click.UsageError("--url and --tokens belong together")
    plan = load.Plan(
        url=url or "",
        tokens=(),
        seconds=seconds,
        warmup=warmup,
        rate=rate,
        shares=Shares(duplicates, stale, replays),
        extras=not first_form,
        acks=acks,
        pids=pids,
    )
    if tokens_file is None:
        result = _on_stack(ctx, plan, tables, load.run)
    else:
        with told():
            plan = dataclasses.replace(plan, tokens=tokens.parse(tokens_file, tables))
            result = _run(load.run(plan))
    _show(result, as_json=as_json)


@command.command("burst")
@click.option("--tables", default=3000, show_default=True, type=TABLES)
@WARMUP
@AS_JSON
@click.pass_context
def _burst(ctx: click.Context, *, tables: int, warmup: float, as_json: bool) -> None:
    """Every table orders at the same moment: all must get their 201; the slowest, and each worker's memory."""
    plan = load.Plan(url="", tokens=(), seconds=0, warmup=warmup)
    _show(_on_stack(ctx, plan, tables, burst.run), as_json=as_json)


@command.command()
@click.option("--seconds", default=15.0, show_default=True, type=SECONDS)
@click.option("--rate", default=20.0, show_default=True, type=click.FloatRange(0.1, 200), help="Orders/s.")
@WARMUP
@AS_JSON
@click.pass_context
def idle(ctx: click.Context, *, seconds: float, rate: float, warmup: float, as_json: bool) -> None:
    """One order at a time on a stack that has nothing else to do: the median is what a lone guest waits."""

    async def warm_then_idle(plan: load.Plan) -> load.Result:
        if warmup:
            await load.run(dataclasses.replace(plan, seconds=warmup))
        return await load.run(dataclasses.replace(plan, tokens=plan.tokens[:1], rate=rate, warmup=2))

    plan = load.Plan(url="", tokens=(), seconds=seconds)
    _show(_on_stack(ctx, plan, 32, warm_then_idle), as_json=as_json)


@command.command("ledger")
@click.option("--orders", default=5000, show_default=True, type=click.IntRange(100, 100_000))
@click.option("--rate", default=167.0, show_default=True, type=click.FloatRange(1, 5000), help="Orders/s.")
@click.option("--seconds", default=20.0, show_default=True, type=SECONDS)
@AS_JSON
@click.pass_context
def _ledger(ctx: click.Context, *, orders: int, rate: float, seconds: float, as_json: bool) -> None:
    """Orders placed while the ledger is stopped, its drain rate, and how long Cassandra takes for a write."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with open_stack(ctx) as stack:
        outcome = catchup.run(stack, orders=orders)
        events = ledger.queued(stack.settings, orders)
        writes = uvloop.run(ledger.run(stack.settings, events, rate=rate, seconds=seconds))
    if as_json:
        click.echo(json.dumps({**dataclasses.asdict(outcome), "writes": list(map(dataclasses.asdict, writes))}))
    else:
        click.echo("\n".join([*report.columns(outcome.facts.items()), *report.writes(writes), *outcome.problems]))
    if outcome.problems:
        sys.exit(1)


command.add_command(_bench_recovery.command)


def _on_stack(ctx: click.Context, plan: load.Plan, tables: int, work: Any) -> load.Result:
    with open_stack(ctx) as stack:
        names = [f"BENCH-{number}" for number in range(1, tables + 1)]
        ready = dataclasses.replace(plan, url=stack.url, tokens=stack.tokens(names), pids=stack.pids())
        return _run(work(ready))


def _run(work: Coroutine[Any, Any, load.Result]) -> load.Result:
    gc.freeze()  # what is loaded stays; the collector need not walk it while the clock runs
    return uvloop.run(work)


def _show(result: load.Result, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(result), indent=2))
    else:
        click.echo("\n".join(report.lines(result)))
    if result.violations or result.unknown:
        sys.exit(1)
