"""`python -m app trace ORDER_ID`: what became of one order, in every service."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import partial
from typing import Protocol, TypeVar

import click

from app.adapters.owners import partition_of
from app.audit.log import AuditError
from app.cli._text import plain
from app.cli.dead_letters import since_option
from app.domain.ids import is_order_id
from app.settings import Settings, SettingsError, load
from app.stack.layout import Layout
from app.trace.follow import Follower, Trace, UnknownOrderError
from app.trace.log import Log
from app.trace.store import TraceStore


class Closable(Protocol):
    """A source that is let go of."""

    def close(self) -> None: ...


Source = TypeVar("Source", bound=Closable)


@click.command()
@click.argument("order_id", required=False)
@click.option("--client", nargs=2, metavar="TABLE CLIENT_ORDER_ID", help="a table's order by its pad's own id")
@click.option("--request", metavar="X_REQUEST_ID", help="the order that was asked for with this request id")
@since_option
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def command(
    order_id: str | None, client: tuple[str, str] | None, request: str | None, since: int | None, as_json: bool
) -> None:
    """Follow one order through views, owner, Kafka, ledger and Cassandra, with times; ends with 1 for an unknown one.

    ORDER_ID is the one that a 201 gave. Where logs and Cassandra do not know the order, the log is read from its
    beginning, or from --since on.
    """
    if sum(map(bool, (order_id, client, request))) != 1:
        raise click.UsageError("name one order: by ORDER_ID, --client or --request")
    if order_id and not is_order_id(order_id):
        raise click.ClickException(f"{order_id!r} is no order id: o and 32 hex digits; a pad's own goes with --client")
    try:
        trace = _follow(load(), order_id, client, request, since or 0)
    except (SettingsError, UnknownOrderError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(as_dict(trace), indent=2) if as_json else "\n".join(lines(trace)))


def _follow(
    settings: Settings, order_id: str | None, client: tuple[str, str] | None, request: str | None, since: int
) -> Trace:
    away: list[AuditError] = []
    with ExitStack() as sources:

        def opened(source: Callable[[], Source]) -> Source | None:
            try:
                return sources.enter_context(closing(source()))
            except AuditError as error:
                away.append(error)
                return None

        log = opened(lambda: Log(settings, partial(click.echo, err=True)))
        store = opened(lambda: TraceStore(settings))
        partitions = len(log.partitions) if log else settings.kafka.partitions
        logs = Layout(settings.data_dir).logs
        follower = Follower(logs, log, store, partial(partition_of, partitions=partitions))
        for error in away:
            follower.away(error)
        if client:
            order_id = follower.named_by_pad(*client, since)
        elif request:
            order_id = follower.of_request(request, since)
        assert order_id is not None
        return follower.follow(order_id, since)


def as_dict(trace: Trace) -> dict[str, object]:
    """The trace as JSON tells it: each step with its time and the ms since the first."""
    first = trace.steps[0].at if trace.steps else 0.0
    steps = [
        {"at": _iso(step.at), "ms": round(step.at - first, 3), "where": step.where, "what": step.what}
        for step in trace.steps
    ]
    return {**dataclasses.asdict(trace), "steps": steps}


def lines(trace: Trace) -> Iterator[str]:
    """The trace for people."""
    became = f"{trace.outcome} as version {trace.version}" if trace.version else trace.outcome
    if trace.cancelled_at:
        became += f", cancelled at {_iso(trace.cancelled_at)}"
    yield plain(f"order {trace.order_id}: {became}")
    yield plain(
        f"table {trace.table}, session {trace.session}, its pad's id {trace.client_order_id}, "
        f"partition {trace.partition}, requests {', '.join(trace.request_ids) or '-'}"
    )
    yield ""
    first = trace.steps[0].at if trace.steps else 0.0
    width = max((len(step.where) for step in trace.steps), default=0)
    for step in trace.steps:
        yield plain(f"{step.at - first:>12.1f} ms  {_iso(step.at)}  {step.where:<{width}}  {step.what}")
    yield ""
    if trace.cassandra:
        held = ", ".join(f"{table} {'yes' if is_there else 'NO'}" for table, is_there in trace.cassandra.items())
        yield f"in Cassandra: {held}"
    yield from (plain(f"note: {note}") for note in trace.notes)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
