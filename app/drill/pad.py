"""One pad, by hand: single requests whose answer is looked at, beside the load."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.bench.http import LostError, Pool, Response
from app.bench.load import Plan, pool_of
from app.bench.stack import Stack

LINES = b'[{"menu_item_id":"%b","quantity":1}]'


class Pad:
    """Sends what it is told to, once; an answer is None where none came."""

    def __init__(self, pool: Pool, table: str, token: str) -> None:
        self.table = table
        self._pool = pool
        self._token = token

    async def order(
        self, client_order_id: str, version: int, dish: str = "m1", *, shown: int | None = None
    ) -> Response | None:
        """Send an order of one dish, by the menu of the revision `shown`."""
        body = b'{"table_number":"%b","items":%b,"version":%d,"order_id":"%b"%b}' % (
            self.table.encode(),
            LINES % dish.encode(),
            version,
            client_order_id.encode(),
            b"" if shown is None else b',"menu_revision":%d' % shown,
        )
        return await self._send(b"POST /orders", body)

    async def get(self, path: str) -> Response | None:
        """Read."""
        return await self._send(f"GET {path}".encode())

    async def _send(self, what: bytes, body: bytes = b"") -> Response | None:
        head = b"%b HTTP/1.1\r\nHost: drill\r\nAuthorization: Bearer %b\r\n" % (what, self._token.encode())
        length = b"Content-Length: %d\r\n\r\n" % len(body) if body else b"\r\n"
        try:
            return await self._pool.send(head + length + body)
        except LostError:
            return None


@asynccontextmanager
async def pads(stack: Stack, tables: list[str]) -> AsyncIterator[list[Pad]]:
    """Pads of these tables, which are opened where they were not open."""
    tokens = stack.tokens(tables)
    async with pool_of(Plan(url=stack.url, tokens=tokens, seconds=0)) as pool:
        yield [Pad(pool, table, token) for table, token in tokens]


def told(answer: Response | None) -> str:
    """An answer in words."""
    if answer is None:
        return "no answer"
    return f"{answer.status}{' (a replay)' * answer.replayed} {answer.body[:200].decode(errors='replace')}"
