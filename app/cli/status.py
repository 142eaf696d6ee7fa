"""`python -m app status`: what runs, and whether it is ready."""

import json
from dataclasses import asdict

import click

from app.settings import SettingsError, load
from app.stack import client
from app.stack.layout import Layout, StackError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def command(as_json: bool) -> None:
    """Show what runs, and whether it is ready."""
    try:
        settings = load()
        layout = Layout(settings.data_dir)
        found = client.statuses(settings, layout)
    except (SettingsError, StackError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps({"processes": [asdict(status) for status in found]}))
        return
    overseer = client.supervisor(layout)
    row = "{:<14} {:>8} {:>6} {:<6} {:<30} {:>8}  {}".format
    click.echo(row("NAME", "PID", "PORT", "READY", "SINCE", "RESTARTS", "LAST EXIT").rstrip())
    if overseer:
        click.echo(row("supervisor", overseer.record.pid, "", "yes", overseer.record.since, "", "").rstrip())
    for status in found:
        ready = "yes" if status.ready else "no"
        cells = status.name, status.pid or "-", status.port, ready, status.since or "-", status.restarts
        click.echo(row(*cells, status.last_exit).rstrip())
    if not overseer:
        click.echo("no supervisor runs: python -m app up")
