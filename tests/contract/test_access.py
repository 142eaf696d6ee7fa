"""Who may do what on the running stack: a token ends with its session everywhere, and no other page is to be found."""

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from app.adapters.tokens import SignedTokens
from app.settings import Settings
from app.web.openapi import describe_api
from app.web.permissions import ROUTES, YES, Holder
from tests.contract.conftest import Table
from tests.house import Client
from tests.secrets_in_logs import CANARY, secrets_in_logs
from tests.stack import Stack

pytestmark = pytest.mark.stack

NAMES = {
    "table_number": "T1",
    "table": "T1",
    "order_id": "o" + "0" * 32,
    "item_id": "m1",
    "session": 1,
    "digest": "0",
    "name": "docs.js",
}


@pytest.fixture
async def ledger(settings: Settings) -> AsyncIterator[Client]:
    client = Client(f"http://127.0.0.1:{settings.ports.of('ledger')}", describe_api(settings))
    yield client
    await client.close()


async def test_a_pads_token_ends_with_its_session_at_every_worker_within_a_second(
    table: Table, workers: list[Client], tokens: SignedTokens
) -> None:
    order_id = (await table.order()).body["order_id"]
    paths = (f"/tables/{table.number}", f"/tables/{table.number}/orders", f"/orders/{order_id}")
    for worker in workers:
        assert [(await worker.get(path, table.pad)).status for path in paths] == [200, 200, 200]
    closed = await workers[0].post(f"/tables/{table.number}/close", tokens.sign("manager"))
    assert closed.status == 200
    began = time.monotonic()
    for worker in workers:
        assert [(await worker.get(path, table.pad)).status for path in paths] == [401, 401, 401]
        assert (await worker.order(table.body(1, "id-2"), table.pad)).status == 401
        for action in ("open", "close"):
            assert (await worker.post(f"/tables/{table.number}/{action}", table.pad)).status == 403
        assert (await worker.post("/menu_items/m1/sold_out", table.pad)).status == 403
    assert time.monotonic() - began < 1
    # The next party's session does not bring it back.
    assert (await workers[0].post(f"/tables/{table.number}/open", tokens.sign("manager"))).status == 201
    for worker in workers:
        assert [(await worker.get(path, table.pad)).status for path in paths] == [401, 401, 401]


async def test_without_a_token_each_worker_answers_as_the_table_says(workers: list[Client]) -> None:
    for worker in workers:
        for route in ROUTES:
            url = worker.url + route.path.format_map(NAMES)
            async with worker._session.request(route.method, url, allow_redirects=False) as answer:
                status = YES if answer.status < 400 else answer.status
                assert status == route.verdicts[Holder.NOBODY], f"{route.method} {route.path}"
                assert answer.headers["Server"] == "bistro92"


async def test_rows_are_told_to_other_workers_only(table: Table, workers: list[Client], tokens: SignedTokens) -> None:
    path = f"/internal/tables/{table.number}"
    for worker in workers:
        for token in ("", table.pad, *(tokens.sign(role) for role in ("kitchen", "manager", "operator"))):
            assert (await worker.get(path, token)).status == 404
    told = [(await worker.get(path, tokens.sign("worker"))).status for worker in workers]
    assert sorted(told) == [200, 503], "by its owner, and by nobody else"


FRAMEWORKS = (
    "/stats",
    "/stats/",
    "/graph",
    "/graph/",
    "/table",
    "/table/",
    "/tables/",
    "/router",
    "/router/",
    "/live/",
)
OURS_ELSEWHERE = ("/metrics", "/metrics/", "/status", "/status.json")


@pytest.mark.parametrize("path", [*FRAMEWORKS, "/assignment", "/production_index", *OURS_ELSEWHERE, "/admin", "/debug"])
async def test_there_are_no_pages_of_the_framework_and_no_metrics_where_pads_come(
    path: str, workers: list[Client], ledger: Client, tokens: SignedTokens
) -> None:
    for process in (*workers, ledger):
        for token in ("", tokens.sign("operator")):
            reply = await process.get(path, token)
            assert (reply.status, reply.body) == (404, {"error": "Not found"})


async def test_a_ledger_has_nothing_but_its_health(ledger: Client) -> None:
    assert (await ledger.get("/")).status == 404
    assert (await ledger.get("/health/live")).headers["Server"] == "bistro92"


async def test_no_log_repeats_what_came(table: Table, client: Client, stack: Stack, tokens: SignedTokens) -> None:
    for version in range(3):
        assert (await table.order(version, f"id-{version}", note=f"window seat {CANARY}")).status == 201
    await table.order(0, "id-7", note=CANARY)
    await client.get(f"/tables/{table.number}?token={table.pad}", table.pad[:-1])
    await client.get(f"/{tokens.sign('operator')}", tokens.sign("operator"))
    host, port = client.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET / HTTP/1.1\r\nAuthorization Bearer {table.pad}\r\n\r\n".encode())
    assert b" 400 " in await reader.readuntil(b"\r\n")
    writer.close()
    async with aiohttp.ClientSession() as session, session.get(f"{client.url}/menu_items/stream") as stream:
        assert stream.status == 200
    assert secrets_in_logs(stack) == []
