"""A pad at one table: it orders, repeats itself, comes too late, and checks every answer."""

import asyncio
import base64
import json
import os
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

from app.bench.contract import Contract, current_version, order_id
from app.bench.http import LostError, Pool, Response
from app.bench.tally import Tally

REMEMBERED = 256  # accepted orders of a table that may be sent again, besides its first
RETRY_FIRST = 0.05  # s
RETRY_LONGEST = 1.0  # s
SESSION_CLAIM = "session"


@dataclass(frozen=True)
class Shares:
    """Of 1: orders sent twice at the same time, orders at a stale version, accepted orders sent again."""

    duplicates: float = 0.0
    stale: float = 0.0
    replays: float = 0.0


class Order(NamedTuple):
    """An order as the pad keeps it; `first` is the body of its first answer."""

    client_order_id: str
    lines: bytes
    version: int
    first: bytes = b""


class Guest:
    """The pad of one table, which is alone with it: what the server says of the version can be foretold.

    `give_up` tells when an order that got no answer is left alone; it counts as unknown then.
    """

    def __init__(
        self,
        table: str,
        token: str,
        *,
        pool: Pool,
        contract: Contract,
        tally: Tally,
        menu: Sequence[str],
        shares: Shares,
        give_up: Callable[[], bool],
        seed: int | None = None,
    ) -> None:
        """With a `seed` the choices are the same each time, order ids apart."""
        self.table = table
        self.version = 0
        self._session = session_of(token)
        self._knows_version = False
        self._pool = pool
        self._contract = contract
        self._tally = tally
        self._shares = shares
        self._give_up = give_up
        self._random = random.Random(None if seed is None else f"{seed} {table}")  # noqa: S311 - dishes, no secret
        self._run = os.urandom(6).hex()  # ids of another run would be answered with its orders
        self._count = 0
        self._refused = ""  # an id that was refused: refusals are not remembered, so the next order has it
        self._known: deque[Order] = deque(maxlen=REMEMBERED)
        self._very_first: Order | None = None
        self._baskets = [self._basket(menu) for _ in range(16)]
        self._post = f"POST /orders HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n".encode()
        self._get = f"GET /tables/{table} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode()

    async def sit_down(self) -> None:
        """Learn the table's version; where the server cannot tell it, 0 until a conflict tells."""
        response = await self._pool.send(self._get)
        if response.status == 200:
            self.version = int(json.loads(response.body)["version"])
            self._knows_version = True

    async def turn(self, since: float | None = None) -> bool:
        """Place one order, and by chance do what guests do; False where the order was not acknowledged.

        `since`: when the order should have been sent (`perf_counter`); now, if None.
        """
        shares, draw = self._shares, self._random.random()
        if not await self.place(since, twice=self._random.random() < shares.duplicates):
            return False
        if draw < shares.replays:
            await self.send_again(self._random.choice(self._known), self._random.random() < 0.5)
        elif draw < shares.replays + shares.stale:
            await self._come_too_late()
        return True

    async def place(self, since: float | None = None, *, twice: bool = False) -> bool:
        """Place one order at the table's version, `twice` at the same time; False where it was not acknowledged."""
        since = perf_counter() if since is None else since
        order = self._next_order()
        request = self._request(order, self.version)
        if twice:
            self._tally.kind("sent twice at once")
            one, other = await asyncio.gather(self._answer(request), self._answer(request))
        else:
            one = other = await self._answer(request)
        if one is None or other is None:
            self._tally.unknown += 1
            return False
        (response, tries), (twin, twin_tries) = one, other
        may_be_replay = twice or tries > 1
        wrong = self._contract.placed(response, self.version, may_be_replay=may_be_replay)
        if wrong:
            if self._knows_version or current_version(response) is None:
                self._tally.violation(self.table, wrong)
            await self._learn_version(response)
            return False
        if twice:
            once = tries == twin_tries == 1
            self._tally.violation(self.table, self._contract.twins(response, twin, sent_once_each=once))
        self._tally.acknowledged(self.table, since)
        self._keep(order._replace(first=response.body), order_id(response))
        return True

    async def send_again(self, order: Order, with_current_version: bool) -> None:
        """Send an accepted order again, with its old version or the current one."""
        self._tally.kind("sent again later")
        answer = await self._answer(self._request(order, self.version if with_current_version else order.version))
        if answer is not None:
            self._tally.violation(self.table, self._contract.replayed(answer[0], order.first))

    @property
    def known(self) -> list[Order]:
        """The newest accepted orders, as many as are remembered."""
        return list(self._known)

    @property
    def very_first(self) -> Order:
        """The first order that was accepted here."""
        assert self._very_first is not None
        return self._very_first

    async def _come_too_late(self) -> None:
        self._tally.kind("stale version")
        order = self._next_order()
        answer = await self._answer(self._request(order, self._random.randrange(self.version)))
        if answer is not None:
            self._refused = order.client_order_id
            self._tally.violation(self.table, self._contract.refused(answer[0], self.version))

    async def _answer(self, request: bytes) -> tuple[Response, int] | None:
        """The answer and how often the request was sent for it; None where it was given up."""
        delay, tries = RETRY_FIRST, 0
        while True:
            tries += 1
            try:
                response = await self._pool.send(request)
            except LostError:
                self._tally.answer("lost")
            else:
                self._tally.answer(str(response.status))
                if response.status not in {429, 503}:
                    return response, tries
            if self._give_up():
                return None
            await asyncio.sleep(delay * self._random.uniform(0.5, 1))
            delay = min(delay * 2, RETRY_LONGEST)

    async def _learn_version(self, response: Response) -> None:
        told = current_version(response) if response.status == 409 else None
        if told is not None:
            self.version, self._knows_version = told, True
            return
        await asyncio.sleep(RETRY_FIRST)  # a server that refuses everything is not hammered
        try:
            await self.sit_down()
        except LostError:
            pass  # the next order asks again

    def _keep(self, order: Order, server_order_id: str) -> None:
        self.version += 1
        self._very_first = self._very_first or order
        self._known.append(order)
        self._tally.note(self.table, self._session, self.version, server_order_id, order.client_order_id)

    def _next_order(self) -> Order:
        self._count += 1
        client_order_id, self._refused = self._refused or f"{self._run}-{self._count}", ""
        return Order(client_order_id, self._random.choice(self._baskets), self.version)

    def _basket(self, menu: Sequence[str]) -> bytes:
        dishes = self._random.sample(menu, min(len(menu), self._random.choice((1, 2, 2, 3, 4))))
        return json.dumps([{"menu_item_id": dish, "quantity": self._random.randint(1, 4)} for dish in dishes]).encode()

    def _request(self, order: Order, version: int) -> bytes:
        body = b'{"table_number":"%b","items":%b,"version":%d,"order_id":"%b"}' % (
            self.table.encode(),
            order.lines,
            version,
            order.client_order_id.encode(),
        )
        return b"%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (self._post, len(body), body)


def session_of(token: str) -> int:
    """The session that a token names, unchecked; 0 where it names none."""
    try:
        payload = token.split(".")[1]
        return int(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))[SESSION_CLAIM])
    except (IndexError, ValueError, KeyError, TypeError):
        return 0
