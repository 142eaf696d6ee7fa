"""What the kitchen tells of an order's tickets."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from app.domain.tickets import PLACE
from app.trace.records import Found


class Told(msgspec.Struct, frozen=True):
    """A message of `kitchen-tickets`, as far as it says what happened."""

    ticket_id: str
    version: int
    state: str
    order_id: str
    station: str
    stations: tuple[str, ...]
    lines: tuple[msgspec.Raw, ...]
    action: str
    by: str = ""
    reason: str = ""


class Ticket(NamedTuple):
    """A version of a ticket where it stands."""

    record: Found
    told: Told


_tickets = msgspec.json.Decoder(Told)


def ticket_of(found: Found) -> Ticket | None:
    """None where the record is no ticket."""
    try:
        return Ticket(found, _tickets.decode(found.value))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def firsts(tickets: Iterable[Ticket]) -> Iterator[Ticket]:
    """Each version as it was told first."""
    seen: set[tuple[str, int]] = set()
    for ticket in tickets:
        key = ticket.told.ticket_id, ticket.told.version
        if key not in seen:
            seen.add(key)
            yield ticket


def words(told: Told) -> str:
    """What happened to a ticket."""
    if told.action == PLACE:
        return f"{told.station}: ticket made, {len(told.lines)} line{'' if len(told.lines) == 1 else 's'}"
    by, reason = (f" by {told.by}" if told.by else ""), (f": {told.reason}" if told.reason else "")
    return f"{told.station}: {told.action.replace('_', ' ')}{by}, {told.state}, version {told.version}{reason}"


def lacking(tickets: Iterable[Ticket]) -> list[str]:
    """The stations of the order that no ticket was told of."""
    known = list(tickets)
    told = {ticket.told.station for ticket in known}
    return sorted({station for ticket in known for station in ticket.told.stations} - told)
