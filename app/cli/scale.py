"""`python -m app scale orders=4`: another number of workers, while orders flow."""

import click

from app.settings import SettingsError, load
from app.stack import client, plan
from app.stack.layout import Layout, StackError
from app.stack.wait import until_ready


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="SERVICE=NUMBER…")
def command(targets: tuple[str, ...]) -> None:
    """Run that many workers of a service: `orders=4 ledger=2`; returns when they are ready.

    The number is kept by a later `up`, unless that names one (WORKERS=2). 0 stops a service until the next `up`.
    """
    counts = dict(_parse(target) for target in targets)
    try:
        settings = load()
        layout = Layout(settings.data_dir)
        client.scale(settings, layout, counts)
        until_ready(settings, layout, lambda _: None, list(counts))
    except (SettingsError, StackError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(" ".join(f"{service}={count}" for service, count in counts.items()))


def _parse(target: str) -> tuple[str, int]:
    service, _, number = target.partition("=")
    if service not in plan.SERVICES:
        raise click.UsageError(f"{target!r}: there is no such service; there are {', '.join(plan.SERVICES)}")
    most = plan.MOST_WORKERS[service]
    if not (number.isascii() and number.isdigit() and int(number) <= most):
        raise click.UsageError(f"{target!r}: the number is one from 0 to {most}, as in {service}=4")
    return service, int(number)
