"""`python -m app menu`: what guests can order, for those who say what that is."""

import json
import os
import shutil
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from app.adapters.menu_file import SUFFIXES, write_menu
from app.cli._menu_edits import EDITS
from app.cli._menu_import import import_command
from app.cli._menu_store import MenuDesk
from app.cli._menu_text import Teller
from app.clock import wall_clock
from app.dishes import write_dish
from app.domain.menu import Menu, MenuItem
from app.ports import MenuEditor, Revision

NARROW = 90  # columns of a terminal, below which a dish takes two lines
PIPED = 200  # columns where there is no terminal: `grep` wants a dish on one line
PAGE_DISHES = 5000  # of all revisions that are read at once, each a whole menu: an answer that comes in time


@click.group(name="menu")
def command() -> None:
    """The menu that guests order from: see it, change it, take changes back."""


for one in (*EDITS, import_command):
    command.add_command(one)


@command.command(name="list")
@click.option("--category", help="only this category's dishes")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def list_command(category: str | None, as_json: bool) -> None:
    """Show the dishes in the menu's order, and which of them can be ordered now."""
    desk = MenuDesk()
    menu, last = desk.ask(_newest)
    dishes = [item for item in menu.items if category is None or item.category.casefold() == category.casefold()]
    if category is not None and not dishes:
        there = ", ".join(dict.fromkeys(item.category for item in menu.items)) or "none"
        raise click.ClickException(f"there is no category {category!r}; there are: {there}")
    now = wall_clock()
    if as_json:
        click.echo(json.dumps(_object(desk, menu, last, dishes, now), ensure_ascii=False))
    elif not menu.revision:
        click.echo("there is no menu yet: `python -m app menu import config/menu.yaml` makes one")
    else:
        by = f" by {desk.teller.plain(last.who)}" if last and last.revision == menu.revision else ""
        house = desk.settings.restaurant
        click.echo(f"{house.name}: menu revision {menu.revision}, {desk.teller.time(menu.at)}{by}")
        click.echo(f"{len(dishes)} of its {len(menu.items)} dishes, prices in {house.currency}")
        _show(desk.teller, dishes, now)


async def _newest(editor: MenuEditor) -> tuple[Menu, Revision | None]:
    menu = await editor.newest()
    history = await editor.history(1)
    return menu, history[0] if history else None


def _object(desk: MenuDesk, menu: Menu, last: Revision | None, dishes: list[MenuItem], now: int) -> dict[str, object]:
    return {
        "revision": menu.revision,
        "at": menu.at,
        "who": last.who if last and last.revision == menu.revision else None,
        "currency": desk.settings.restaurant.currency,
        "dishes": [
            {
                **write_dish(item, desk.settings.restaurant.currency),
                "available": item.available,
                "can_be_ordered": item.can_be_ordered(now, desk.teller.clock),
                "revision": item.revision,
            }
            for item in dishes
        ],
    }


def _show(teller: Teller, dishes: list[MenuItem], now: int) -> None:
    is_terminal = sys.stdout.isatty() or "COLUMNS" in os.environ
    width = shutil.get_terminal_size().columns if is_terminal else PIPED
    if width < NARROW:
        for item in dishes:
            click.echo(f"{teller.name(item)}  {click.style(teller.price(item), bold=True)}")
            click.echo(f"    {teller.plain(item.category)}, {item.station}, {teller.state(item, now)}")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("ID", "NAME"):
        table.add_column(column, overflow="fold")
    table.add_column("PRICE", justify="right", no_wrap=True)
    for column in ("CATEGORY", "STATION", "STATE"):
        table.add_column(column, overflow="fold")
    table.add_column("REVISION", justify="right", no_wrap=True)
    for item in dishes:
        texts = item.name, teller.price(item), item.category, item.station, teller.state(item, now)
        style = "" if item.can_be_ordered(now, teller.clock) else "dim"
        table.add_row(item.id, *map(teller.plain, texts), str(item.revision), style=style)
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)


@command.command(name="export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--force", is_flag=True, help="also over a file that is there")
def export_command(file: Path | None, force: bool) -> None:
    """Write the menu to FILE as YAML or JSON, by its name's end, or else as YAML to the terminal.

    `menu import` makes the same menu of it.
    """
    if file is not None and file.suffix not in SUFFIXES:
        raise click.UsageError(f"the name of FILE ends in {', '.join(SUFFIXES)}")
    desk = MenuDesk()
    menu = desk.ask(lambda editor: editor.newest())
    if not menu.items:
        raise click.ClickException("the menu has no dishes: there is nothing to export")
    text = write_menu(
        menu.items, desk.settings.restaurant.currency, as_json=file is not None and file.suffix == ".json"
    )
    if file is None:
        click.echo(text, nl=False)
        return
    try:
        with file.open("w" if force else "x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise click.ClickException(f"{file} is there already; --force writes over it") from None
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"{len(menu.items)} dishes of revision {menu.revision} in {file}")


@command.command(name="history")
@click.argument("item_id", metavar="[ID]", required=False)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 10_000), help="the newest so many")
def history_command(item_id: str | None, limit: int) -> None:
    """Show who changed what when, newest first; of the dish ID alone, where one is named."""
    desk = MenuDesk()
    found = desk.ask(lambda editor: _history(editor, limit, item_id))
    if not found:
        what = f"of {item_id!r}" if item_id else "of the menu"
        raise click.ClickException(f"no change {what} is kept; `python -m app menu list` shows the dishes")
    for revision in found:
        for line in desk.teller.revision(revision, item_id):
            click.echo(line)


async def _history(editor: MenuEditor, limit: int, item_id: str | None) -> list[Revision]:
    """The last revisions, those that touched a dish where one is named."""
    found: list[Revision] = []
    page = await editor.history(1)
    while page:
        found += [revision for revision in page if item_id is None or _touches(revision, item_id)]
        if len(found) >= limit:
            break
        at_once = max(1, PAGE_DISHES // max(1, len(page[-1].after.items)))
        page = await editor.history(at_once if item_id else min(at_once, limit - len(found)), page[-1].revision)
    return found[:limit]


def _touches(revision: Revision, item_id: str) -> bool:
    after = revision.after.find(item_id)
    if after is not None:
        return after.revision == revision.revision
    return revision.before is not None and revision.before.find(item_id) is not None
