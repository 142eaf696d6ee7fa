"""Tickets told to displays, and the states of a table's orders to its pads, as they change."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence

import orjson
from aiohttp import hdrs, web

from app.clock import wall_clock
from app.domain.claims import STAFF
from app.domain.moments import utc
from app.domain.tickets import NEW, Ticket, tickets_of
from app.tables.kitchen import decode_order
from app.ticket_messages import encode_order_state, encode_ticket, ticket_read
from app.web.access import holder
from app.web.answers import answer_json, not_ready, refuse
from app.web.board import Board, Cursor, Entry, Select
from app.web.kitchen_services import KitchenServices
from app.web.limits import limited_read, unauthorized
from app.web.sse import RETRY_MS, last_event_id, new_stream, write

ALL = "all"
RECENT = 10  # tickets that left a display: so many can be recalled from it
MOST_SHOWN = 1000  # tickets of a snapshot
AGAIN_SECONDS = 10.0  # after a snapshot that left some out, another one: some of those shown may have left
MOST_LOOKED_AT = 2000  # orders for one
RECENT_LOOKS = 500  # at finished orders
AT_A_TIME = 50  # orders that are decoded before others may go on
PAUSE_SECONDS = 0.02  # between two writes: who is told of much is told of several changes at once
MOST_UNSEEN = 200  # orders that are looked at for a beat

Snapshot = Callable[[], Awaitable[tuple[bytes, int]]]  # and how many tickets it leaves out


class TicketStreams:
    """The streams of one worker; to be stopped before it waits for its requests to end."""

    def __init__(self, services: KitchenServices) -> None:
        self._services = services
        self._board: Board = services.board
        self._settings = services.settings.kitchen
        self._stations = services.settings.restaurant.stations
        self._followers: dict[asyncio.Transport, str] = {}  # `display` or `pad`
        self._pads: dict[str, dict[asyncio.Transport, None]] = {}  # those of a table, as they came
        self._is_stopping = False
        self._unseen: tuple[float, bytes] = (-1.0, b"{}")  # when it was looked at, and what was found

    def connected(self, kind: str) -> int:
        """How many displays, or pads, follow."""
        return sum(kind == other for other in self._followers.values())

    def stop(self) -> None:
        """End all streams; no more begin."""
        self._is_stopping = True
        self._board.ring()

    # ── views ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def stations(self, request: web.Request) -> web.Response:
        """The stations of the house."""
        return self._refused_to_staff(request) or answer_json({"stations": self._stations})

    async def station(self, request: web.Request) -> web.StreamResponse:
        """The tickets of a station."""
        if (refusal := self._refused_to_staff(request)) is not None:
            return refusal
        station = request.match_info["station"]
        if station != ALL and station not in self._stations:
            return refuse(404)

        def select(entry: Entry) -> Sequence[bytes]:
            return [event for at, event in _told(entry) if station in (ALL, at)]

        return await self._follow(request, "", select, lambda: self._snapshot(station), self._display_beat)

    async def table(self, request: web.Request) -> web.StreamResponse:
        """How the orders of a table's session stand."""
        claims = holder(self._services, request)
        if claims is None:
            return unauthorized(self._services, request)
        if (refusal := limited_read(self._services, request)) is not None:
            return refusal
        table = request.match_info["table_number"]
        known = self._board.table(table)
        if claims.role == "pad" and claims.table == table:
            session = claims.session
        elif claims.role in STAFF:
            session = known.session
            if session == 0:
                return refuse(404)
        else:
            return refuse(403)
        if known.session > session or (known.session == session and known.is_closed):
            return refuse(401)
        prefix, own = f"{table}/".encode(), table.encode()

        def select(entry: Entry) -> Sequence[bytes]:
            if entry.key == own and self._has_ended(table, session):
                return [_event(b"closed", b"{}")]
            if entry.after is None or not entry.key.startswith(prefix) or not _told(entry):
                return ()
            order = decode_order(entry.after)
            return [_event(b"order", encode_order_state(order))] if order.session == session else ()

        def has_ended() -> bool:
            return self._has_ended(table, session)

        return await self._follow(
            request, table, select, lambda: self._table_snapshot(table, session), self._pad_beat, has_ended
        )

    def _has_ended(self, table: str, session: int) -> bool:
        known = self._board.table(table)
        return known.session > session or (known.session == session and known.is_closed)

    def _refused_to_staff(self, request: web.Request) -> web.Response | None:
        claims = holder(self._services, request)
        if claims is None:
            return unauthorized(self._services, request)
        if (refusal := limited_read(self._services, request)) is not None:
            return refusal
        return None if claims.role in STAFF else refuse(403)

    # ── a stream ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _follow(
        self,
        request: web.Request,
        table: str,  # empty for a display
        select: Select,
        snapshot: Snapshot,
        beat: Callable[[], bytes],
        has_ended: Callable[[], bool] = lambda: False,
    ) -> web.StreamResponse:
        client = request.transport
        if self._is_stopping or client is None or self._services.ready() is not None:
            return not_ready()
        if self._is_full():
            return refuse(503)
        response = new_stream(request)
        self._come(client, table)

        def is_over() -> bool:  # a token ends with its time, or with its key: so does what was opened with it
            return has_ended() or holder(self._services, request) is None

        try:
            await response.prepare(request)
            if request.method != hdrs.METH_HEAD:
                cursor = self._board.after(last_event_id(request))
                # Of a display that resumes tickets may have been left out before, which nothing here knows of.
                may_lack = not table and len(self._board.open) > MOST_SHOWN
                await self._tell(response, cursor, select, snapshot, beat, is_over, may_lack=may_lack)
        except (ConnectionResetError, TimeoutError):
            client.abort()
        finally:
            self._leave(client, table)
        return response

    def _come(self, client: asyncio.Transport, table: str) -> None:
        """Note a follower; where its table has too many, the oldest makes room, which has often hung up long ago.

        One table shall not take the places of the displays and of all other tables.
        """
        self._followers[client] = "pad" if table else "display"
        if not table:
            return
        pads = self._pads.setdefault(table, {})
        pads[client] = None
        while len(pads) > self._settings.max_streams_of_table:
            oldest = next(iter(pads))
            self._leave(oldest, table)
            oldest.abort()

    def _leave(self, client: asyncio.Transport, table: str) -> None:
        self._followers.pop(client, None)
        if (pads := self._pads.get(table)) is not None:
            pads.pop(client, None)
            if not pads:
                del self._pads[table]

    async def _tell(
        self,
        response: web.StreamResponse,
        cursor: Cursor | None,
        select: Select,
        snapshot: Snapshot,
        beat: Callable[[], bytes],
        is_over: Callable[[], bool],
        *,
        may_lack: bool,
    ) -> None:
        loop = asyncio.get_running_loop()
        await write(response, b"retry: %d\n%b" % (RETRY_MS, beat()))
        next_beat = loop.time() + self._settings.heartbeat
        next_snapshot = loop.time() + AGAIN_SECONDS if may_lack else math.inf
        while not self._is_stopping:
            bell = self._board.bell
            try:
                events = b"" if cursor is None else cursor.take(select)
            except LookupError:
                cursor, events = None, b""  # too slow, or away too long
            # Another one comes behind all that was to be told: who counts on each version misses none.
            if cursor is None or (loop.time() >= next_snapshot and cursor.is_level):
                cursor = self._board.from_now()
                place = cursor.id.encode()
                found, left_out = await snapshot()
                events += b"id: %b\n%b\n\n" % (place, _event(b"snapshot", found))
                next_snapshot = loop.time() + AGAIN_SECONDS if left_out else math.inf
            if events:
                await write(response, events)
                if is_over():
                    return
                await asyncio.sleep(PAUSE_SECONDS)
            if loop.time() >= next_beat:
                if is_over():
                    return
                await write(response, beat())
                next_beat = loop.time() + self._settings.heartbeat
            if cursor.is_behind:
                await asyncio.sleep(0)
                continue
            try:
                async with asyncio.timeout(max(0.0, next_beat - loop.time())):
                    await bell.wait()
            except TimeoutError:
                continue

    def _is_full(self) -> bool:
        """Whether as many follow as may; one that hung up is noticed with the next write only."""
        most = self._settings.max_streams
        return len(self._followers) >= most and sum(not one.is_closing() for one in self._followers) >= most

    # ── what is told ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _snapshot(self, station: str) -> tuple[bytes, int]:
        board = self._board
        # Bytes do not change: what is decoded in between belongs to this very moment.
        opened, left_out = list(board.open)[:MOST_LOOKED_AT], max(0, len(board.open) - MOST_LOOKED_AT)
        records = board.records(opened)
        finished = board.records([key for key, _ in zip(reversed(board.finished), range(RECENT_LOOKS), strict=False)])
        shown: list[Ticket] = []
        left: list[Ticket] = []
        for ticket in await _tickets(records, station):
            (shown if ticket.is_shown else left).append(ticket)
        if len(left) < RECENT:
            left += await _tickets(finished, station, enough=RECENT)
        left.sort(key=_left_at, reverse=True)
        settings, more = self._settings, left_out + max(0, len(shown) - MOST_SHOWN)
        found = orjson.dumps(
            {
                "station": station,
                "now": utc(wall_clock()),
                "unseen_after": settings.unseen_after,
                "warn_after": settings.warn_after,
                "late_after": settings.late_after,
                "tickets": [ticket_read(ticket) for ticket in shown[:MOST_SHOWN]],
                "more": more,
                "recent": [ticket_read(ticket) for ticket in left[:RECENT]],
            }
        )
        return found, more

    async def _table_snapshot(self, table: str, session: int) -> tuple[bytes, int]:
        orders = [decode_order(record) for record in self._board.records(self._board.keys_of_table(table))]
        mine = sorted(
            [order for order in orders if order.session == session and order.has_arrived], key=lambda one: one.version
        )
        found = orjson.dumps(
            {
                "table_number": table,
                "session": session,
                "now": utc(wall_clock()),
                "unseen_after": self._settings.unseen_after,
                "orders": [orjson.Fragment(encode_order_state(order)) for order in mine],
            }
        )
        return found, 0

    def _display_beat(self) -> bytes:
        behind = self._services.behind()
        said = b'{"now":"%b","current":%b,"behind":%.1f,"unseen":%b}' % (
            utc(wall_clock()).encode(),
            b"false" if behind else b"true",
            behind,
            self._unseen_now(),
        )
        return _event(b"beat", said) + b"\n\n"

    def _pad_beat(self) -> bytes:
        is_current = b"false" if self._services.behind() else b"true"
        return _event(b"beat", b'{"now":"%b","current":%b}' % (utc(wall_clock()).encode(), is_current)) + b"\n\n"

    def _unseen_now(self) -> bytes:
        """Tickets that no display has shown for too long, by station; looked at once a second at most."""
        now = asyncio.get_running_loop().time()
        if now - self._unseen[0] >= 1.0:
            self._unseen = now, orjson.dumps(self._find_unseen())
        return self._unseen[1]

    def _find_unseen(self) -> dict[str, dict[str, object]]:
        since = wall_clock() - int(1000 * self._settings.unseen_after)
        old = [key for key, at in zip(self._board.unseen, range(MOST_UNSEEN), strict=False) if at is not None]
        found: dict[str, tuple[int, int]] = {}
        for record in self._board.records([key for key in old if self._board.unseen[key] <= since]):
            order = decode_order(record)
            for ticket in tickets_of(order).values():
                if ticket.state == NEW:
                    count, oldest = found.get(ticket.station, (0, order.placed_at))
                    found[ticket.station] = count + 1, min(oldest, order.placed_at)
        return {station: {"count": count, "since": utc(at)} for station, (count, at) in found.items()}


def _event(name: bytes, data: bytes) -> bytes:
    return b"event: %b\ndata: %b" % (name, data)


def _told(entry: Entry) -> Sequence[tuple[str, bytes]]:
    """Station and event of each version of a ticket that a record brought; made once, for all displays."""
    if entry.told is None:
        entry.told = tuple((ticket.station, _event(b"ticket", encode_ticket(ticket))) for ticket in entry.tickets())
    return entry.told


async def _tickets(records: Sequence[bytes], station: str, enough: int | None = None) -> list[Ticket]:
    """The tickets of these orders at a station; others go on in between."""
    found: list[Ticket] = []
    for count, record in enumerate(records, 1):
        found += [t for t in tickets_of(decode_order(record)).values() if station in (ALL, t.station)]
        if enough is not None and len(found) >= enough:
            break
        if count % AT_A_TIME == 0:
            await asyncio.sleep(0)
    return found


def _left_at(ticket: Ticket) -> int:
    return ticket.last.at if ticket.last is not None else 0
