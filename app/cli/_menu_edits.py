"""`python -m app menu set`, `remove`, `sold-out` and `undo`: change single dishes, and take changes back."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import click

from app.cli._menu_store import Done, MenuDesk
from app.clock import wall_clock
from app.dishes import loads_exact, read_dish, write_dish
from app.domain.house_clock import HouseClock
from app.domain.menu import MenuItem, by_id
from app.domain.menu_edits import Seen, alter, alter_each, remove_each, undo
from app.domain.moments import to_milliseconds
from app.ports import MenuEditor
from app.settings import Restaurant

TEXTS = ("name", "category", "station", "description", "picture")  # taken as they are, whatever they look like
NAMED = 5  # dishes named in the history's line

_field = re.compile(r"([a-z_]+)=(.*)", re.DOTALL)
_time_of_day = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


@click.command(name="set")
@click.argument("item_id", metavar="ID")
@click.argument("changes", metavar="FIELD=VALUE…", nargs=-1, required=True)
@click.option("--seen", type=click.IntRange(min=0), help="refuse if the dish has changed since this revision")
def set_command(item_id: str, changes: tuple[str, ...], seen: int | None) -> None:
    """Change fields of the dish ID: price=19.50 available=false name="Grilled Trout" tax_rate=10.

    Fields are those of the file; lists and the like are JSON: allergens='["fish"]'. A field without a value becomes
    what it is by default.
    """
    desk = MenuDesk()
    fields = _read_fields(changes, desk.teller.clock)
    what = f"{item_id}: {', '.join(fields)}"
    desk.change(alter(item_id, Seen(seen), _with(fields, desk.settings.restaurant)), what)


@click.command(name="remove")
@click.argument("item_ids", metavar="ID…", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="do not ask")
def remove_command(item_ids: tuple[str, ...], yes: bool) -> None:
    """Take dishes off the menu, all of them or, where one is not there, none; `undo` brings them back."""
    desk = MenuDesk()
    if not yes:
        there = by_id(desk.ask(lambda editor: editor.newest()).items)
        for item_id in dict.fromkeys(item_ids):
            if item_id in there:
                click.echo(f"  {desk.teller.name(there[item_id])} {desk.teller.price(there[item_id])}")
        if there.keys() >= set(item_ids):
            click.confirm("take this off the menu?", abort=True)
    desk.change(remove_each(item_ids), f"removed {_named(item_ids)}")


@click.command(name="sold-out")
@click.argument("item_ids", metavar="ID…", nargs=-1, required=True)
@click.option("--until", "until_text", metavar="TIME", help="back by itself then: 18:30, or 2026-05-01T18:30+02:00")
@click.option("--back", is_flag=True, help="there is some again")
def sold_out_command(item_ids: tuple[str, ...], until_text: str | None, back: bool) -> None:
    """Tell the guests that dishes are sold out: until --back, or by themselves until TIME by the house's clock."""
    if back and until_text is not None:
        raise click.UsageError("either --until or --back")
    desk = MenuDesk()
    until = None if until_text is None else _moment(until_text, desk.teller.clock)
    fields: dict[str, Any] = {"available": back or until is not None, "sold_out_until": until}
    what = f"{_named(item_ids)} back" if back else f"{_named(item_ids)} sold out"
    if until is not None:
        what += f" until {desk.teller.time(to_milliseconds(datetime.fromisoformat(until)))}"
    desk.change(alter_each(item_ids, _with(fields, desk.settings.restaurant)), what)


@click.command(name="undo")
@click.argument("number", metavar="[REVISION]", type=click.IntRange(min=1), required=False)
def undo_command(number: int | None) -> None:
    """Take back what the last revision changed, or REVISION, where its dishes have not changed since."""
    desk = MenuDesk()

    async def taken_back(editor: MenuEditor) -> Done:
        history = await editor.history(1, None if number is None else number + 1)
        if not history or number not in (None, history[0].revision):
            which = "no change" if number is None else f"no revision {number}"
            raise click.ClickException(f"{which} is kept; `python -m app menu history` shows those that are")
        revision = history[0]
        if revision.before is None:
            raise click.ClickException(
                f"revision {revision.revision} cannot be taken back: what stood before it is no longer kept"
            )
        if not revision.before.revision:
            raise click.ClickException(
                f"revision {revision.revision} cannot be taken back: it made the first menu; "
                "`python -m app menu import` makes another one"
            )
        return await desk.apply(editor, undo(revision.before, revision.after), f"revision {revision.revision} undone")

    desk.show(desk.ask(taken_back))


EDITS = (set_command, remove_command, sold_out_command, undo_command)


def _with(fields: Mapping[str, Any], house: Restaurant) -> Callable[[MenuItem], MenuItem]:
    """Makes a dish one with these fields, None: as by default; app.dishes.DishError where that is none."""

    def change(item: MenuItem) -> MenuItem:
        form = {**write_dish(item, house.currency), **fields}
        given = {name: value for name, value in form.items() if value is not None}
        # The station may be one that the house no longer has: that is no reason to keep the soup on sale.
        stations = house.stations if "station" in fields else None
        return read_dish(given, currency=house.currency, stations=stations)

    return change


def _read_fields(changes: tuple[str, ...], clock: HouseClock) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for text in changes:
        match = _field.fullmatch(text)
        if not match:
            raise click.UsageError(f"{text!r}: write FIELD=VALUE, like price=19.50")
        name, value = match.groups()
        if name == "id":
            raise click.UsageError("an id is for ever, since orders name it; `menu import` brings a new dish")
        if name in fields:
            raise click.UsageError(f"{name} stands twice")
        fields[name] = _value(name, value, clock)
    return fields


def _value(name: str, text: str, clock: HouseClock) -> Any:
    """The value of a field; None: as by default."""
    if not text:
        return None
    if name in TEXTS:
        return text
    if name == "sold_out_until" and text != "null":
        return _moment(text, clock)
    try:
        return loads_exact(text.encode())
    except ValueError:
        return text


def _moment(text: str, clock: HouseClock) -> str:
    """A time to come, as a dish has it: the next one of a time of day by the house's clock, or ISO 8601."""
    now = wall_clock()
    of_day = _time_of_day.fullmatch(text)
    if of_day:
        return clock.local(clock.next_at(int(of_day[1]) * 60 + int(of_day[2]), now)).isoformat()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is no time: write 18:30, or 2026-05-01T18:30+02:00") from None
    if moment.tzinfo is None:
        raise click.UsageError(
            f"{text!r} has no zone: write {text}{clock.local(now).isoformat()[-6:]}, or a time of day like 18:30"
        )
    if to_milliseconds(moment) <= now:
        raise click.UsageError(f"{text!r} is over; name a time to come, or --back")
    return moment.isoformat()


def _named(item_ids: tuple[str, ...]) -> str:
    more = len(item_ids) - NAMED
    return ", ".join(item_ids[:NAMED]) + (f" and {more} more" if more > 0 else "")
