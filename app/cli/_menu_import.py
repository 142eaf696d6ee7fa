"""`python -m app menu import`: makes a file the menu."""

from pathlib import Path

import click

from app.adapters.menu_file import MenuFileError, read_menu
from app.cli._menu_store import Done, MenuDesk
from app.domain.menu import MenuItem
from app.domain.menu_diff import compare
from app.domain.menu_edits import replace_all
from app.ports import MenuEditor


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="only show what would become of the menu")
def import_command(file: Path, dry_run: bool) -> None:
    """Make FILE the menu, in its order; dishes that it does not name are removed.

    FILE is YAML or JSON: a list of dishes, or `dishes:` with one. Nothing is changed unless all of it is right; what is
    not is told with its line.
    """
    desk = MenuDesk()
    house = desk.settings.restaurant
    try:
        items = read_menu(file, house.currency, house.stations)
    except MenuFileError as error:
        told = "\n".join(map(desk.teller.plain, str(error).split("\n")))
        raise click.ClickException(f"nothing was changed, since the file has mistakes:\n{told}") from error
    if dry_run:
        before = desk.ask(lambda editor: editor.newest())
        for line in desk.teller.differences(before.items, items):
            click.echo(f"  {line}")
        click.echo(f"{_counts(before.items, items)}; nothing was changed, the menu is at revision {before.revision}")
        return

    async def made(editor: MenuEditor) -> Done:
        return await desk.apply(editor, replace_all(items), f"import of {file.name}")

    done = desk.ask(made)
    click.echo(_counts(done.before.items, items))
    desk.show(done)


def _counts(before: tuple[MenuItem, ...], after: list[MenuItem]) -> str:
    found = compare(before, after)
    counts = {"new": len(found.new), "changed": len(found.changed), "removed": len(found.removed)}
    return ", ".join([*(f"{count} {kind}" for kind, count in counts.items()), f"{found.same} as before"])
