"""`python -m app logs`: what the stack's processes say."""

import time
from pathlib import Path

import click

from app.settings import SettingsError, load
from app.stack.layout import Layout
from app.trace.lines import ACKNOWLEDGED, JOURNAL

POLL = 0.3  # s between looks at a log that is followed


@click.command()
@click.argument("names", nargs=-1)
@click.option("-f", "--follow", is_flag=True, help="go on with what is written from now on")
@click.option("-n", "--lines", default=40, show_default=True, type=click.IntRange(min=0), help="of each log")
@click.option("--orders", is_flag=True, help="also the lines that tell of single orders; `trace` shows those of one")
def command(names: tuple[str, ...], follow: bool, lines: int, orders: bool) -> None:
    """Show the logs of NAMES (orders-1, kafka-1, supervisor, schema, …), or of everything."""
    try:
        layout = Layout(load().data_dir)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    there = sorted(path.stem for path in layout.logs.glob("*.log"))
    unknown = [name for name in names if name not in there]
    if unknown:
        raise click.ClickException(f"no log of {', '.join(unknown)}; there are: {', '.join(there) or 'none'}")
    tails = [Tail(name, layout.log(name), len(names) != 1, orders) for name in names or there]
    for tail in tails:
        tail.show(lines)
    while follow:
        time.sleep(POLL)
        for tail in tails:
            tail.show()


class Tail:
    """A log that is read on from where the last look ended."""

    def __init__(self, name: str, path: Path, prefixed: bool, orders: bool = False) -> None:
        """Begin at the log's start; `orders` are lines of single orders."""
        self.orders = orders
        self.prefix = f"{name} | " if prefixed else ""
        self.path, self.offset = path, 0

    def show(self, last: int | None = None) -> None:
        """Print the whole lines that were added, or the `last` of them."""
        with self.path.open("rb") as log:
            if log.seek(0, 2) < self.offset:  # it was cut, having become too long
                self.offset = 0
            log.seek(self.offset)
            whole = log.read().rpartition(b"\n")[0]
        if not whole:
            return
        self.offset += len(whole) + 1
        added = [line for line in whole.decode(errors="replace").split("\n") if self.orders or not is_of_order(line)]
        for line in added if last is None else added[len(added) - min(last, len(added)) :]:
            click.echo(self.prefix + line)


def is_of_order(line: str) -> bool:
    """Whether a line tells of single orders (app/adapters/journal.py): there are thousands of them."""
    return any(f'event="{event}"' in line for event in (*JOURNAL, ACKNOWLEDGED))
