"""`python -m app down`: stop the stack."""

import click

from app.settings import SettingsError, load
from app.stack import client
from app.stack.layout import Layout


@click.command()
def command() -> None:
    """Stop every process of the stack; its state stays."""
    try:
        layout = Layout(load().data_dir)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    click.echo("stopped" if client.stop(layout) else "nothing was running")
