"""`python -m app bench orders`: load in a closed loop, at a rate, or of so many orders."""

import dataclasses
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from app.audit.run import audit, read_acknowledgements
from app.bench import endurance, figures, load, profile, report
from app.bench.guest import Shares
from app.bench.load import WARM_AGAIN, Plan, Result
from app.bench.runs import Runs
from app.cli import _bench_options as common
from app.cli._bench_options import FILE, RATE, TABLES, Keep, Servers
from app.cli._stack import told

SHARE = click.FloatRange(0, 1)
AUDIT_WAIT = 900.0  # s for the ledger: a million orders may wait


@click.command("orders")
@click.option("--tables", default=32, show_default=True, type=TABLES)
@common.seconds_option
@common.warmup_option
@click.option("--rate", type=RATE, help="Orders/s in all; without it a closed loop.")
@click.option("--orders", "wanted", type=click.IntRange(100), help="Stop after so many; told in tenths.")
@click.option("--duplicates", default=0.0, type=SHARE, help="Share sent twice at the same time.")
@click.option("--stale", default=0.0, type=SHARE, help="Share of turns with a stale order besides.")
@click.option("--replays", default=0.0, type=SHARE, help="Share of turns with an old order besides.")
@common.url_options
@common.beside_options
@click.option("--acks", type=FILE, help="Write each acknowledged order here.")
@click.option("--audit", "is_audited", is_flag=True, help="Audit the stack at the end.")
@click.option("--profile", "is_profiled", is_flag=True, help="Sample the workers in one more run; needs py-spy.")
@common.keep_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    tables: int,
    seconds: float,
    warmup: float,
    rate: float | None,
    wanted: int | None,
    duplicates: float,
    stale: float,
    replays: float,
    acks: Path | None,
    is_audited: bool,
    is_profiled: bool,
    **options: Any,
) -> None:
    """Orders/s, latencies, CPU and memory under load; ends with 1 where an answer is not as the contract says."""
    keep = common.keep_of(options)
    _check(options, keep, wanted, is_audited=is_audited, is_profiled=is_profiled)
    with _acks_file(acks, is_audited) as acks, common.servers(ctx, tables, options) as servers:
        shares = Shares(duplicates, stale, replays)
        plan = Plan(url="", tokens=(), seconds=seconds, warmup=warmup, rate=rate, shares=shares, acks=acks)
        if wanted is not None:
            is_good = _endure(ctx, keep, servers, plan, wanted)
        else:
            is_good = _measure(ctx, keep, servers, plan, is_profiled=is_profiled)
        if is_audited:
            is_good = _audit(servers, acks, keep) and is_good
    if not is_good:
        sys.exit(1)


def _check(options: dict[str, Any], keep: Keep, wanted: int | None, *, is_audited: bool, is_profiled: bool) -> None:
    """Refuse what does not go together, before anything is started."""
    if (is_audited or is_profiled) and options["url"]:
        raise click.UsageError("--audit and --profile are for our own stack")
    if wanted is not None and (options["beside"] or keep.runs > 1 or is_profiled):
        raise click.UsageError("--orders is one long run, of one server: without --runs, --beside and --profile")
    if is_profiled and profile.find() is None:
        raise click.ClickException(profile.HOW_TO_GET_IT)


def _measure(ctx: click.Context, keep: Keep, servers: Servers, plan: Plan, *, is_profiled: bool) -> bool:
    async def sample(house: load.Seated, done: Runs[Result]) -> list[str]:
        """One more run, which is slower for being looked at and does not count: where its CPU goes."""
        program = profile.find()
        assert program is not None
        found = {}

        async def look() -> None:
            found.update(await profile.sampled(program, servers.pids, plan.seconds))

        await house.run(WARM_AGAIN, look)
        return list(profile.table(found, done.median.processes))

    found = common.measure(servers, plan, load.seated, keep.runs, sample if is_profiled else None)
    return common.tell(ctx, keep, servers, found, ["", *found.more] if found.more else [])


def _endure(ctx: click.Context, keep: Keep, servers: Servers, plan: Plan, wanted: int) -> bool:
    data_dir = servers.stack.settings.data_dir if servers.stack else None
    with told():
        found = common.run(endurance.run(servers.plan(plan), wanted, data_dir))
    result = found.result
    if keep.as_json:
        click.echo(json.dumps(dataclasses.asdict(found), indent=2))
    else:
        click.echo("\n".join([*report.lines(result), "", *endurance.lines(found.tenths)]))
    if keep.chart is not None:
        common.draw(keep.chart, "orders", result)
    of_run = figures.figures(result)
    common.record(ctx, keep, of_run, [of_run], dataclasses.asdict(found))
    return not common.is_bad(result)


def _audit(servers: Servers, acks: Path | None, keep: Keep) -> bool:
    assert servers.stack is not None
    assert acks is not None
    with told(), acks.open() as lines:
        found = audit(servers.stack.settings, read_acknowledgements(lines), AUDIT_WAIT)
    click.echo("\n".join([f"audit: {found}", *(f"  {problem}" for problem in found.problems)]), err=keep.as_json)
    return found.is_clean


@contextmanager
def _acks_file(acks: Path | None, is_audited: bool) -> Iterator[Path | None]:
    """Where acknowledged orders are written: an audit needs them, wanted or not."""
    if acks is not None or not is_audited:
        yield acks
        return
    with tempfile.TemporaryDirectory(prefix="bistro92-acks-") as folder:
        yield Path(folder) / "acks.jsonl"
