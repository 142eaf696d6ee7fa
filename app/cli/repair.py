"""`python -m app repair`: raise the end of a command log that lost data."""

import click

from app.audit.log import AuditError
from app.audit.repair import raise_ends
from app.settings import SettingsError, load


@click.command()
def command() -> None:
    """After `order-commands` was made anew or lost data: let it end above what the tables have seen.

    Workers stop by themselves until this is done, since new orders would be taken for ones already read.
    """
    try:
        count = raise_ends(load(), click.echo)
    except (SettingsError, AuditError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{count} records appended; start the workers again" if count else "nothing to repair")
