"""What the commands of `bench` have in common: options, the servers that are measured, what is done with results."""

import dataclasses
import gc
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import click
import uvloop

from app.bench import chart, figures, report, runs, saved, tokens
from app.bench.load import Plan, Result
from app.bench.menu import Reads
from app.bench.mixed import Mixed
from app.bench.runs import Runs
from app.bench.saved import Measured, SavedError
from app.bench.stack import Stack
from app.cli._stack import open_stack, told

R = TypeVar("R", Result, Reads, Mixed)
T = TypeVar("T")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

TABLES = click.IntRange(1, 10_000)
SECONDS = click.FloatRange(0.1, 3600)
RATE = click.FloatRange(0.1, 100_000)
FILE = click.Path(path_type=Path, dir_okay=False)
# Paths, addresses and ids, and what changes no figure.
NOT_COMPARED = ("save", "against", "chart", "as_json", "acks", "url", "tokens_file", "pids", "offset", "is_audited")

seconds_option = click.option("--seconds", default=20.0, show_default=True, type=SECONDS)
warmup_option = click.option(
    "--warmup", default=20.0, show_default=True, type=click.FloatRange(0, 600), help="s under load before."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
save_option = click.option("--save", type=FILE, help="Write options, machine and results here.")
against_option = click.option("--against", type=FILE, help="Compare with what --save wrote then.")


def _pids(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, int]]:
    named = []
    for value in values:
        name, _, pid = value.rpartition("=")
        if not pid.isdecimal():
            raise click.BadParameter(f"{value!r} is not NAME=PID")
        named.append((name or pid, int(pid)))
    return named


def _together(*options: Decorator) -> Decorator:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


keep_options = _together(
    click.option("--runs", default=1, show_default=True, type=click.IntRange(1, 99), help="The median is the result."),
    save_option,
    against_option,
    click.option("--chart", type=FILE, help="Draw the median run, per second, as SVG."),
    json_option,
)
url_options = _together(
    click.option("--url", help="Another server with this contract, like http://127.0.0.1:8090; needs --tokens."),
    click.option("--tokens", "tokens_file", type=click.File(), help="Lines TABLE TOKEN, for --url."),
    click.option("--pids", multiple=True, callback=_pids, metavar="NAME=PID", help="A process of --url to measure."),
    click.option(
        "--first-form", is_flag=True, help="Do not ask for what the contract has added behind its first form."
    ),
)
beside_options = _together(
    click.option("--beside", metavar="URL", help="Another server, measured in turns with ours; as with --first-form."),
    click.option(
        "--beside-tokens", type=click.File(), help="Lines TABLE TOKEN of its tables, at which nobody ordered."
    ),
    click.option("--beside-name", default="the other", show_default=True, help="What it is called in tables."),
    click.option(
        "--beside-pids", multiple=True, callback=_pids, metavar="NAME=PID", help="A process of it to measure."
    ),
)


@dataclasses.dataclass(frozen=True)
class Keep:
    """What is done with the results."""

    runs: int = 1
    save: Path | None = None
    against: Path | None = None
    chart: Path | None = None
    as_json: bool = False


@dataclasses.dataclass(frozen=True)
class Servers:
    """The server that is measured: a stack of ours, or the one of `--url`; and one beside it, if there is one."""

    url: str
    tokens: Sequence[tuple[str, str]]
    pids: Sequence[tuple[str, int]]
    extras: bool = True
    stack: Stack | None = None
    beside: "Servers | None" = None
    name: str = "ours"

    def plan(self, plan: Plan) -> Plan:
        """The plan at this server."""
        return dataclasses.replace(plan, url=self.url, tokens=self.tokens, pids=self.pids, extras=self.extras)


@contextmanager
def servers(ctx: click.Context, tables: int, options: dict[str, Any]) -> Iterator[Servers]:
    """The servers that the options name; those of a command without `url_options` are a stack's."""
    url, file = options.get("url"), options.get("tokens_file")
    if (url is None) != (file is None):
        raise click.UsageError("--url and --tokens belong together")
    if (options.get("beside") is None) != (options.get("beside_tokens") is None):
        raise click.UsageError("--beside and --beside-tokens belong together")
    with told():
        beside = None
        if options.get("beside"):
            found = tokens.parse(options["beside_tokens"], tables)
            beside = Servers(options["beside"], found, options["beside_pids"], False, name=options["beside_name"])
        if url is not None and file is not None:
            yield Servers(url, tokens.parse(file, tables), options["pids"], not options["first_form"], beside=beside)
            return
    with open_stack(ctx) as stack:
        names = [f"BENCH-{number}" for number in range(1, tables + 1)]
        yield Servers(stack.url, stack.tokens(names), stack.pids(), stack=stack, beside=beside)


@dataclasses.dataclass(frozen=True)
class Found(Generic[R]):
    """What was measured of ours, of the one beside it, and what `after` found."""

    ours: Runs[R]
    beside: Runs[R] | None = None
    more: Any = None


def measure(
    servers: Servers,
    plan: Plan,
    opened: Callable[[Plan], AbstractAsyncContextManager[Any]],
    runs_wanted: int,
    after: Callable[[Any, Runs[Any]], Awaitable[Any]] | None = None,
) -> Found[Any]:
    """Run what `opened` opens on each server; `after` may go on with what ran on ours.

    Raises:
        LoadError: the load could not be run.
    """

    async def work() -> Found[Any]:
        async with AsyncExitStack() as open_ones:
            ours = await open_ones.enter_async_context(opened(servers.plan(plan)))
            theirs: Runs[Any] | None = None
            if servers.beside is None:
                own: Runs[Any] = await runs.repeat(ours.run, plan.warmup, runs_wanted)
            else:
                other_plan = dataclasses.replace(servers.beside.plan(plan), acks=None)
                other = await open_ones.enter_async_context(opened(other_plan))
                theirs, own = await runs.take_turns(other.run, ours.run, plan.warmup, runs_wanted)
            more = await after(ours, own) if after else None
            return Found(own, theirs, more)

    with told():
        return run(work())


def run(work: Coroutine[Any, Any, T]) -> T:
    """What comes of it, on a loop of its own."""
    gc.freeze()  # what is loaded stays; the collector need not walk it while the clock runs
    return uvloop.run(work)


def options_of(ctx: click.Context) -> dict[str, Any]:
    """What was asked for, as far as it matters for a comparison; no paths, addresses or tokens."""
    given = {**(ctx.parent.params if ctx.parent else {}), **ctx.params}
    return {
        name: value
        for name, value in given.items()
        if name not in NOT_COMPARED and not name.startswith("beside") and isinstance(value, str | int | float)
    }


def finish(ctx: click.Context, keep: Keep, servers: Servers, found: Found[Any]) -> None:
    """Show, keep and compare what was measured; end with 1 where an answer was not as the contract says."""
    if not tell(ctx, keep, servers, found):
        sys.exit(1)


def tell(ctx: click.Context, keep: Keep, servers: Servers, found: Found[Any], more: Sequence[str] = ()) -> bool:
    """Show, keep and compare what was measured; whether every answer was as the contract says."""
    ours, beside = found.ours, found.beside
    if keep.as_json:
        click.echo(json.dumps(_as_json(found), indent=2))
    else:
        click.echo("\n".join([*shown(ours), *more]))
        if beside is not None and servers.beside is not None:
            click.echo("\n".join(["", f"{servers.beside.name}:", *shown(beside), ""]))
            names = servers.beside.name[:12], servers.name
            click.echo("\n".join(figures.compared(figures.figures(beside.median), figures.figures(ours.median), names)))
    if keep.chart is not None:
        draw(keep.chart, ctx.info_name or "", ours.median)
    every = [figures.figures(run) for run in ours.every]
    record(ctx, keep, figures.figures(ours.median), every, _as_json(found))
    return not any(map(is_bad, [*ours.every, *(beside.every if beside else ())]))


def record(
    ctx: click.Context, keep: Keep, of_median: figures.Figures, every: Sequence[figures.Figures], results: Any
) -> None:
    """Save and compare, where that is asked for."""
    measured = Measured(ctx.info_name or "", options_of(ctx), of_median, every, results)
    try:
        if keep.against is not None:
            click.echo("\n".join(["", *measured.against(saved.read(keep.against))]), err=keep.as_json)
        if keep.save is not None:
            measured.save(keep.save)
    except SavedError as error:
        raise click.ClickException(str(error)) from error


def checked(keep: Keep) -> Keep:
    """The same, once it is certain that the file to compare with can be read: minutes of load come before."""
    if keep.against is not None:
        try:
            saved.read(keep.against)
        except SavedError as error:
            raise click.ClickException(str(error)) from error
    return keep


def keep_of(options: dict[str, Any]) -> Keep:
    """What `keep_options` were given."""
    return checked(Keep(**{field.name: options[field.name] for field in dataclasses.fields(Keep)}))


def shown(found: Runs[Any]) -> list[str]:
    """The median run, and the key figures of each where there are several."""
    more = report.every_run([figures.figures(run) for run in found.every]) if len(found.every) > 1 else ()
    title = [f"median of {len(found.every)} runs:"] if len(found.every) > 1 else []
    return [*title, *report.lines(found.median), *more]


def draw(path: Path, name: str, result: Result | Reads | Mixed) -> None:
    """Write a picture of a run."""
    of = result.orders if isinstance(result, Mixed) else result
    what = "reads" if isinstance(of, Reads) else "orders"
    subtitle = f"{of.pace}, p50 {of.p50:g} ms, p99 {of.p99:g} ms"
    try:
        path.write_text(chart.draw(f"bench {name}", subtitle, what, of.timeline), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error


def _as_json(found: Found[Any]) -> Any:
    """The result alone where it is one, as it always was; else with all that belongs to it."""
    median = dataclasses.asdict(found.ours.median)
    if found.beside is None and len(found.ours.every) == 1:
        return median
    every = [dataclasses.asdict(run) for run in found.ours.every]
    beside = [dataclasses.asdict(run) for run in found.beside.every] if found.beside else []
    return {"median": median, "runs": every, "beside": beside}


def is_bad(result: Result | Reads | Mixed) -> bool:
    """Whether an answer was not as the contract says, or an order's outcome is not known."""
    if isinstance(result, Mixed):
        return is_bad(result.orders) or is_bad(result.menu)
    return bool(result.violations or (isinstance(result, Result) and result.unknown))
