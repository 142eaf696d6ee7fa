"""Asking the worker that owns a table, over HTTP."""

from types import SimpleNamespace
from typing import cast

import pytest
from aiohttp import web
from faust.types import TP

from app.adapters.owners import FaustOwners, OwnRows
from app.domain.claims import Claims
from app.messages import OrderPlaced, TableState
from app.topics import TABLES_CHANGELOG
from app.web.internal import add_internal_routes


class Tables:
    """The rows of the worker that is asked: whatever the table, its session is 7."""

    def table(self, table: str) -> TableState:
        return TableState(table, 7, True, 0, 0, 0)

    async def order(self, table: str, order_id: str) -> OrderPlaced | None: ...

    async def order_of_any_table(self, order_id: str) -> OrderPlaced | None: ...

    async def orders_of_session(self, table: str, session: int, after: int) -> list[OrderPlaced]:
        raise NotImplementedError


class WorkersOnly:
    def verify(self, token: str) -> Claims | None:
        return Claims("worker", 2**40, "", 0) if token == "worker" else None


@pytest.mark.parametrize("table", ["T1", ".", "..", "a:b"])
async def test_a_table_of_any_number_is_found_at_its_owner(table: str) -> None:
    application = web.Application()
    add_internal_routes(application, Tables(), WorkersOnly())
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    app = SimpleNamespace(assignor=SimpleNamespace(_tps_url={TP(TABLES_CHANGELOG, 0): url}))
    nothing = cast(OwnRows, SimpleNamespace(partition_of=lambda _: 0, owns=lambda _: False))
    owners = FaustOwners(app, nothing, lambda: "worker")
    try:
        assert await owners.table(table) == TableState(table, 7, True, 0, 0, 0)
    finally:
        await owners.stop()
        await runner.cleanup()
