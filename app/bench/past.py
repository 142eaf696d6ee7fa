"""A past for a restaurant: orders that its workers decided, without HTTP between.

Commands are appended to the log as views append them, and the owners' answers come over the link: each table orders
when its last order was answered, parties come and go. So rows, order ids and events are what guests would have left.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from app import messages
from app.adapters.link import Link, link_key
from app.adapters.polled_producer import PolledProducer
from app.bench.load import LoadError
from app.domain.ids import fingerprint, order_id
from app.messages import Answer, Asked, CloseSession, Line, OpenSession, PlaceOrder
from app.settings import Settings
from app.topics import ORDER_COMMANDS

STALL = 60.0  # s without an answer until it is given up
POLL = 0.05
FEWEST, MOST = 5, 45  # orders of a party
LINES = (Line("m1", "Grilled Salmon", 1, 1899), Line("m2", "Caesar Salad", 2, 1050))
PRINT = fingerprint(LINES, "")


@dataclass
class Seat:
    """A table as its guests know it."""

    table: str
    number: int
    session: int = 0
    version: int = 0
    is_open: bool = False

    @property
    def party(self) -> int:
        """How many orders this session's party places: another number for each."""
        return FEWEST + (7 * self.number + 11 * self.session) % (MOST - FEWEST + 1)


class Past:
    """Places `orders` orders at the tables, which must never have been opened; leaves every table closed."""

    def __init__(self, settings: Settings, tables: Sequence[str], orders: int) -> None:
        self._address = settings.link_address("past")
        self._link = Link(self._address, partial(link_key, settings.keys_dir), self._answered)
        self._producer = PolledProducer(
            "past",
            {
                "bootstrap.servers": settings.kafka_bootstrap,
                "enable.idempotence": True,
                "linger.ms": 2,
                "delivery.report.only.error": True,
                "partitioner": "murmur2_random",
            },
        )
        self._seats = [Seat(table, number) for number, table in enumerate(tables)]
        self._left = orders  # to be placed
        self._busy = len(self._seats)
        self._wrong: str | None = None
        self._heard = perf_counter()

    async def make(self) -> float:
        """Place them; returns the seconds that it took.

        Raises:
            LoadError: an answer is not as it must be, or none comes.
        """
        await self._link.start()
        began = perf_counter()
        try:
            for seat in self._seats:
                self._next(seat)
            while self._busy and self._wrong is None:
                await asyncio.sleep(POLL)
                if perf_counter() - self._heard > STALL:
                    raise LoadError(f"no answer for {STALL:.0f} s; {self._left} orders were still to be placed")
        finally:
            await self._link.stop()
            self._producer.stop(1.0)
        if self._wrong is not None:
            raise LoadError(self._wrong)
        return perf_counter() - began

    def _next(self, seat: Seat) -> None:
        if not seat.is_open and not self._left:
            self._busy -= 1
        elif not seat.is_open:
            self._send(seat, OpenSession(str(seat.number), self._address, seat.table, seat.session + 1))
        elif self._left and seat.version < seat.party:
            self._left -= 1
            self._send(seat, self._order(seat))
        else:
            self._send(seat, CloseSession(str(seat.number), self._address, seat.table, seat.session))

    def _order(self, seat: Seat) -> PlaceOrder:
        client_id = f"past-{seat.session}-{seat.version}"
        return PlaceOrder(
            request_id=str(seat.number),
            reply_to=self._address,
            table=seat.table,
            session=seat.session,
            version=seat.version,
            client_order_id=client_id,
            order_id=order_id(seat.table, seat.session, client_id),
            fingerprint=PRINT,
            lines=LINES,
            total=sum(line.price * line.quantity for line in LINES),
            currency="EUR",
        )

    def _send(self, seat: Seat, command: Asked) -> None:
        self._producer.produce(ORDER_COMMANDS, messages.encode(command), seat.table.encode())

    def _answered(self, answer: Answer) -> None:
        self._heard = perf_counter()
        seat = self._seats[int(answer.request_id)]
        if answer.outcome == "accepted" and answer.version == seat.version + 1:
            seat.version += 1
        elif answer.outcome in ("opened", "closed"):
            seat.session, seat.is_open = answer.session, answer.is_open
            seat.version = 0 if answer.outcome == "opened" else seat.version
        else:
            self._wrong = f"{seat.table} at version {seat.version} of session {seat.session} was answered {answer}"
            return
        self._next(seat)
