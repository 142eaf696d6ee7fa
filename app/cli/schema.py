"""`python -m app schema`: bring Cassandra's tables to what config/cassandra says."""

import click

from app.adapters import schema
from app.settings import SettingsError, load


@click.command()
@click.option("--wait", default=60.0, show_default=True, help="Seconds to wait for Cassandra.")
def command(wait: float) -> None:
    """Create or change Cassandra's keyspace and tables; again, it changes nothing."""
    try:
        schema.apply(load(), wait, click.echo)
    except (SettingsError, schema.SchemaError) as error:
        raise click.ClickException(str(error)) from error
    click.echo("schema up to date")
