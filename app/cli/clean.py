"""`python -m app clean`: delete the stack's state."""

import shutil

import click

from app.settings import SettingsError, load
from app.stack import client, process
from app.stack.layout import Layout

# By name: a data folder that was set to somebody's home must lose nothing else.
OURS = (
    *("kafka-*", "cassandra-*", "redis-*", "prometheus-*"),
    *("faust", "menu", "logs", "run", "keys", "done", "stack.json"),
)


@click.command()
def command() -> None:
    """Delete the state of a stack that is down: orders, topics, keys, logs."""
    try:
        layout = Layout(load().data_dir)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    running = [name for name, record in process.records(layout).items() if record.alive]
    if client.supervisor(layout) or running:
        raise click.ClickException(f"the stack in {layout.data_dir} is up: python -m app down comes first")
    found = [path for pattern in OURS for path in layout.data_dir.glob(pattern)]
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    if layout.data_dir.is_dir() and not any(layout.data_dir.iterdir()):
        layout.data_dir.rmdir()
    click.echo(f"deleted the state in {layout.data_dir}" if found else f"no state in {layout.data_dir}")
