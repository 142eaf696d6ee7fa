"""`python -m app audit`: is every acknowledged order where it belongs, once?"""

import dataclasses
import json
import sys
import time

import click

from app.audit.log import AuditError
from app.audit.run import audit, read_acknowledgements
from app.settings import SettingsError, load


@click.command()
@click.option("--acks", type=click.File(), help="Look up each order of this file, which `bench orders --acks` wrote.")
@click.option(
    "--wait", default=30.0, show_default=True, type=click.FloatRange(0, 3600), help="s for the ledger and the kitchen."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(acks: click.utils.LazyFile | None, wait: float, as_json: bool) -> None:
    """Compare the tables' rows, the events, Cassandra and the kitchen's tickets; ends with 1 where they disagree."""
    begun = time.monotonic()
    try:
        report = audit(load(), read_acknowledgements(acks or ()), wait)
    except (SettingsError, AuditError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report), indent=2))
    else:
        click.echo(str(report))
        for problem in report.problems:
            click.echo(f"  {problem}", err=True)
        if report.undecodable:
            click.echo("what cannot be decoded is listed by `python -m app dead-letters`", err=True)
        click.echo(f"read and compared in {time.monotonic() - begun:.1f} s", err=True)
    if not report.is_clean:
        sys.exit(1)
