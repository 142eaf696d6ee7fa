"""What the commands that need a stack to try things on have in common."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import click

from app.audit.log import AuditError
from app.bench import stack as stacks
from app.bench.load import LoadError
from app.bench.stack import Stack, StackFailedError
from app.bench.tokens import TokensError
from app.settings import SettingsError

OFFSET = 6000  # of the ports of a stack of its own; the highest stays below those that the kernel gives to clients

LIMITED = (
    "Limits are on here: a table that orders more often than limits.table_per_minute is answered 429, and that is "
    "counted. For a load of few tables start the stack with BISTRO92_LIMITS__ENABLED=false."
)

_OPTIONS = (
    click.option("--running", is_flag=True, help="Use the stack that is up, not one of its own."),
    click.option("--offset", default=OFFSET, show_default=True, help="Added to the ports of a stack of its own."),
    click.option("--nodes", default=1, show_default=True, type=click.Choice([1, 3]), help="Of a stack of its own."),
    click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 16), help="Of a stack of its own."),
)


def stack_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a group whose commands need a stack; `open_stack` opens it."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def choose(ctx: click.Context, *, running: bool, offset: int, nodes: int, workers: int) -> None:
    """Keep the choice for `open_stack`."""
    ctx.obj = partial(stacks.chosen, is_running=running, offset=offset, nodes=nodes, workers=workers)


@contextmanager
def open_stack(ctx: click.Context) -> Iterator[Stack]:
    """The chosen stack; what goes wrong on it ends the command with a message."""
    with told(), ctx.obj() as stack:
        if stack.is_limited:
            click.echo(LIMITED, err=True)
        yield stack


@contextmanager
def told() -> Iterator[None]:
    """Turn what can go wrong into a message for the user."""
    try:
        yield
    except (SettingsError, StackFailedError, LoadError, TokensError, AuditError) as error:
        raise click.ClickException(str(error)) from error
