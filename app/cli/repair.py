"""`python -m app repair`: set right a log that was made anew or lost data."""

import click

from app.audit.log import AuditError
from app.audit.repair import append_lost_events, raise_ends
from app.settings import SettingsError, load
from app.topics import ORDER_COMMANDS, ORDER_EVENTS


@click.command()
def command() -> None:
    """After a topic was made anew or lost data; with the workers stopped.

    `order-commands` is raised until it ends above what the tables have seen: workers stop by themselves until this is
    done, since new orders would be taken for ones already read. To `order-events` the orders are appended again that
    stand in Cassandra alone.
    """
    try:
        settings = load()
        raised = raise_ends(settings, click.echo)
        if raised:
            click.echo(f"{ORDER_COMMANDS}: {raised} records appended that change nothing")
        appended = append_lost_events(settings)
        if appended:
            click.echo(f"{ORDER_EVENTS}: {appended} orders appended that stood in Cassandra alone")
    except (SettingsError, AuditError) as error:
        raise click.ClickException(str(error)) from error
    click.echo("start the workers again" if raised or appended else "nothing to repair")
