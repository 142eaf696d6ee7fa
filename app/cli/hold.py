"""`python -m app hold NAME`: stop one process and leave it so; `--release` starts it again."""

import click

from app.settings import SettingsError, load
from app.stack import client
from app.stack.layout import Layout, StackError


@click.command()
@click.argument("name")
@click.option("--release", "is_release", is_flag=True, help="Start it again.")
def command(name: str, *, is_release: bool) -> None:
    """Stop the process NAME (as `status` shows it), for maintenance; all else runs on."""
    try:
        layout = Layout(load().data_dir)
        (client.release if is_release else client.hold)(layout, name)
    except (SettingsError, StackError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{name} {'is started' if is_release else 'is stopped until: python -m app hold --release ' + name}")
