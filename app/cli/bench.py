"""`python -m app bench`: load on a server with this contract, and what it does with it."""

import dataclasses
import gc
import json
import sys
from pathlib import Path

import click
import uvloop
from rich.console import Console

from app.bench import load, report, tokens
from app.bench.guest import Shares


@click.group()
def command() -> None:
    """Measure: orders under load, the ledger's writes, a burst, an idle stack."""


def _pid(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, int]]:
    named = []
    for value in values:
        name, _, pid = value.rpartition("=")
        if not pid.isdecimal():
            raise click.BadParameter(f"{value!r} is not NAME=PID")
        named.append((name or pid, int(pid)))
    return named


@command.command()
@click.option("--tables", default=32, show_default=True, type=click.IntRange(1, 5000))
@click.option("--seconds", default=20.0, show_default=True, type=click.FloatRange(0.1, 3600))
@click.option("--warmup", default=20.0, show_default=True, type=click.FloatRange(0, 600), help="s under load before.")
@click.option("--rate", type=click.FloatRange(0.1, 100_000), help="Orders/s in all; without it a closed loop.")
@click.option("--duplicates", default=0.0, type=click.FloatRange(0, 1), help="Share sent twice at the same time.")
@click.option("--stale", default=0.0, type=click.FloatRange(0, 1), help="Share of turns with a stale order besides.")
@click.option("--replays", default=0.0, type=click.FloatRange(0, 1), help="Share of turns with an old order besides.")
@click.option("--url", required=True, help="The server, like http://127.0.0.1:8090.")
@click.option("--tokens", "tokens_file", type=click.File(), required=True, help="Lines TABLE TOKEN.")
@click.option("--pids", multiple=True, callback=_pid, metavar="NAME=PID", help="A process to measure; repeatable.")
@click.option("--first-form", is_flag=True, help="Do not ask for what the contract has added behind its first form.")
@click.option("--acks", type=click.Path(path_type=Path, dir_okay=False), help="Write each acknowledged order here.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def orders(
    *,
    tables: int,
    seconds: float,
    warmup: float,
    rate: float | None,
    duplicates: float,
    stale: float,
    replays: float,
    url: str,
    tokens_file: click.utils.LazyFile,
    pids: list[tuple[str, int]],
    first_form: bool,
    acks: Path | None,
    as_json: bool,
) -> None:
    """Orders/s, latencies, CPU and memory under load; ends with 1 where an answer is not as the contract says."""
    try:
        plan = load.Plan(
            url=url,
            tokens=tokens.parse(tokens_file, tables),
            seconds=seconds,
            warmup=warmup,
            rate=rate,
            shares=Shares(duplicates, stale, replays),
            extras=not first_form,
            acks=acks,
            pids=pids,
        )
        gc.freeze()
        result = uvloop.run(load.run(plan))
    except (tokens.TokensError, load.LoadError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(result), indent=2))
    else:
        report.show(result, Console())
    if result.violations or result.unknown:
        sys.exit(1)
