"""`python -m app menu load`: make config/menu.yaml the menu."""

from pathlib import Path

import click

from app.adapters.menu_file import FILE, MenuFileError, read_menu
from app.adapters.menu_store import MenuLoadError, load_menu
from app.settings import SettingsError, load


@click.group(name="menu")
def command() -> None:
    """The menu that guests order from."""


@command.command(name="load")
@click.argument("file", type=click.Path(path_type=Path), default=FILE, required=False)
def load_command(file: Path) -> None:
    """Judge FILE (config/menu.yaml) and make it the menu; dishes that it does not name are removed."""
    try:
        settings = load()
        items = read_menu(file, settings.restaurant.currency)
        removed, told = load_menu(settings, items)
    except (SettingsError, MenuFileError, MenuLoadError) as error:
        raise click.ClickException(str(error)) from error
    seconds = settings.menu.refresh if told else settings.menu.fresh
    click.echo(f"{len(items)} dishes loaded, {removed} removed; the workers show them within {seconds:g} s")
