"""`python -m app drill`: faults while orders flow, and whether anything was lost, doubled or left broken."""

import fnmatch
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from app.cli._stack import OFFSET, told
from app.drill import run as drills
from app.drill.catalogue import BY_NAME, DRILLS
from app.drill.drill import Drill
from app.drill.stand import PLAIN
from app.settings import load

TABLE, SECOND = "table.txt", "second"
APART = 500  # ports between the two stacks of a run side by side


@click.command()
@click.argument("names", metavar="[NAME…]", nargs=-1)
@click.option("--list", "is_list", is_flag=True, help="Show what there is.")
@click.option(
    "--seed", type=int, help="Of the random moments and choices; it is printed, so that a run can be had again."
)
@click.option("--offset", default=OFFSET, show_default=True, help="Added to the ports of the drills' stacks.")
@click.option(
    "--side-by-side", is_flag=True, help="Those that need more than a plain stack on a second one, at the same time."
)
@click.option("--folder", type=click.Path(path_type=Path), help="For pictures and results; by default below data_dir.")
def command(
    names: tuple[str, ...], *, is_list: bool, seed: int | None, offset: int, side_by_side: bool, folder: Path | None
) -> None:
    """Break things while orders flow, on stacks of its own; all drills, or those named (`alert-*` names several).

    Ends with 1 where an order was lost or placed twice, an answer was wrong, or something stayed broken.
    """
    if is_list:
        for drill in DRILLS:
            click.echo(f"{drill.name:<24} {drill.title}")
        return
    unknown = [name for name in names if not fnmatch.filter(BY_NAME, name)]
    if unknown:
        raise click.ClickException(f"there is no drill {', '.join(unknown)}; python -m app drill --list")
    seed = int(time.time()) if seed is None else seed
    with told():
        kept = folder or load().data_dir / "drills" / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
        chosen = [
            drill for drill in DRILLS if not names or any(fnmatch.fnmatchcase(drill.name, name) for name in names)
        ]
        beside = [drill for drill in chosen if drill.stand != PLAIN] if side_by_side else []
        second = _second(beside, seed, offset, kept) if beside else None
        mine = [drill for drill in chosen if drill not in beside]
        finished = drills.run(mine, seed=seed, folder=kept, offset=offset, say=click.echo)
    lines = [f"seed {seed}", *drills.table(finished)]
    is_bad = any(one.failed for one in finished)
    if second is not None:
        is_bad = bool(second.wait()) or is_bad
        lines += (kept / SECOND / TABLE).read_text(encoding="utf-8").splitlines()[2:]
    (kept / TABLE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    click.echo("\n".join(["", *lines, f"pictures and results: {kept}"]))
    if is_bad:
        sys.exit(1)


def _second(beside: Sequence[Drill], seed: int, offset: int, kept: Path) -> "subprocess.Popen[bytes]":
    """The same command for these drills, on stacks of its own beside this one's."""
    names = [drill.name for drill in beside]
    options = ["--seed", str(seed), "--offset", str(offset + APART), "--folder", str(kept / SECOND)]
    return subprocess.Popen([sys.executable, "-m", "app", "drill", *names, *options])
