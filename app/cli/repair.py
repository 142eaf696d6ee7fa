"""`python -m app repair`: set right a log that was made anew or lost data."""

import click

from app.audit.log import AuditError
from app.audit.repair import append_lost_copies, append_lost_events, logs, raise_ends
from app.settings import SettingsError, load
from app.topics import KITCHEN_COMMANDS, ORDER_EVENTS


@click.command()
def command() -> None:
    """After a topic was made anew or lost data; with the workers stopped.

    `order-commands` and `kitchen-commands` are raised until they end above what tables and tickets have seen: workers
    stop by themselves until this is done, since new commands would be taken for ones already read. To `order-events`
    the orders are appended again that stand in Cassandra alone, to `kitchen-commands` those that have no ticket.
    """
    try:
        settings = load()
        raised = 0
        for log in logs():
            if count := raise_ends(settings, log, click.echo):
                click.echo(f"{log.topic}: {count} records appended that change nothing")
            raised += count
        appended = append_lost_events(settings)
        if appended:
            click.echo(f"{ORDER_EVENTS}: {appended} orders appended that stood in Cassandra alone")
        copied = append_lost_copies(settings)
        if copied:
            click.echo(f"{KITCHEN_COMMANDS}: {copied} orders appended that had no ticket")
    except (SettingsError, AuditError) as error:
        raise click.ClickException(str(error)) from error
    click.echo("start the workers again" if raised or appended or copied else "nothing to repair")
