"""The menu, shown on a terminal."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click

from app.adapters.menu_file import write_menu
from app.cli._text import plain
from app.dishes import write_dish
from app.domain.house_clock import DAYS, HouseClock, Serving, wall_time
from app.domain.menu import MenuItem
from app.domain.menu_diff import changed_fields, compare
from app.domain.money import to_text
from app.ports import Revision
from app.settings import Restaurant

LISTED = 20  # dishes that came, went or changed, of one kind
SHOWN = 60  # characters of a field before and after
_LEAD = 15  # of these before the first that is different
_DAYS = tuple(day.title() for day in DAYS)


class Teller:
    """Says it in the house's currency and local time."""

    def __init__(self, restaurant: Restaurant) -> None:
        self.clock = HouseClock(restaurant.time_zone)
        self._currency = restaurant.currency

    plain = staticmethod(plain)

    def price(self, item: MenuItem) -> str:
        """What the dish costs, without the currency."""
        return to_text(item.price, self._currency)

    def time(self, at: int) -> str:
        """A time (ms since 1970, UTC) by the house's clock, with how far that is from UTC."""
        return self.clock.local(at).strftime("%a %d %b %Y %H:%M %Z")

    def state(self, item: MenuItem, now: int) -> str:
        """Whether a guest can have it, and if not, until when."""
        hours = ", ".join(map(_hours, item.served))
        if not item.available:
            return "sold out"
        if now < item.sold_out_until:
            back = self.clock.local(item.sold_out_until)
            day = "" if back.date() == self.clock.local(now).date() else "%a %d %b "
            return back.strftime(f"sold out until {day}%H:%M")
        if not hours:
            return "available"
        return f"{'available' if item.can_be_ordered(now, self.clock) else 'not now'}, served {hours}"

    def dish(self, item: MenuItem) -> str:
        """All of a dish, as a file has it."""
        return write_menu([item], self._currency).partition("\n")[2].rstrip()

    def name(self, item: MenuItem) -> str:
        """A dish's id and name."""
        return plain(f"{item.id} {item.name}")

    def fields(self, before: MenuItem, after: MenuItem) -> str:
        """The fields that are different, before and after."""
        changes = changed_fields(self._form(before), self._form(after))
        return "; ".join(f"{field} {_change(*values)}" for field, values in changes.items())

    def _form(self, item: MenuItem) -> dict[str, Any]:
        until = {"sold_out_until": self.time(item.sold_out_until)} if item.sold_out_until else {}
        return {**write_dish(item, self._currency), "available": str(item.available).lower(), **until}

    def differences(self, before: Sequence[MenuItem], after: Sequence[MenuItem], only: str | None = None) -> list[str]:
        """A line for each dish that came, went or changed, or for the one of this id alone."""
        found = compare(before, after)
        new = [f"+ {self.name(item)} {self.price(item)} (new)" for item in found.new if only in (None, item.id)]
        changed = [
            f"{self.name(item)}: {self.fields(was, item)}" for was, item in found.changed if only in (None, item.id)
        ]
        removed = [f"- {self.name(item)} (removed)" for item in found.removed if only in (None, item.id)]
        moved = ["the order of the dishes"] if found.is_reordered and only is None else []
        return [line for lines in (new, changed, removed, moved) for line in _first(lines)]

    def revision(self, revision: Revision, only: str | None = None) -> Iterator[str]:
        """Who changed what when, and below it how; of one dish alone where its id is given."""
        said = plain(f"{revision.what}, by {revision.who}")
        yield click.style(f"revision {revision.revision}", bold=True) + f"  {self.time(revision.at)}  {said}"
        if revision.before is None:
            yield "  what stood before is no longer kept"
        else:
            yield from (f"  {line}" for line in self.differences(revision.before.items, revision.after.items, only))


def _first(lines: list[str]) -> list[str]:
    more = len(lines) - LISTED
    return [*lines[:LISTED], f"… and {more} more"] if more > 0 else lines


def _hours(serving: Serving) -> str:
    days = f"{_runs(serving.days)} " if serving.days else ""
    return f"{days}{wall_time(serving.start)}–{wall_time(serving.end)}"


def _runs(days: Sequence[int]) -> str:
    """Weekdays with those that follow one another drawn together."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return " ".join(_DAYS[run[0]] if len(run) == 1 else f"{_DAYS[run[0]]}–{_DAYS[run[-1]]}" for run in runs)


def _change(before: Any, after: Any) -> str:
    """Both values; of long ones the part where they begin to be different."""
    old, new = _shown(before), _shown(after)
    shorter = min(len(old), len(new))
    same = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    start = max(0, same - _LEAD) if max(len(old), len(new)) > SHOWN else 0
    return f"{_cut(old, start)} → {_cut(new, start)}"


def _cut(text: str, start: int) -> str:
    end = "…" if len(text) > start + SHOWN else ""
    return f"{'…' if start else ''}{text[start : start + SHOWN]}{end}"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return plain(", ".join(value))
    return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
