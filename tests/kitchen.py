"""A kitchen service that says what a test has it say, for the relay of its streams."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from aiohttp import web


class FakeKitchen:
    """Streams what is put into `said`, None to end; notes who came, and counts the streams that are open."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.came: list[tuple[str, Mapping[str, str]]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.opened = self.ended = 0
        self.url = ""

    async def stream(self, request: web.Request) -> web.StreamResponse:
        self.came.append((request.path, request.headers))
        if self.status != 200:
            return web.Response(status=self.status, headers=self.headers)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.opened += 1
        try:
            while (events := await self.said.get()) is not None:
                await response.write(events)
        finally:
            self.ended += 1
        return response


@contextlib.asynccontextmanager
async def fake_kitchen() -> AsyncIterator[FakeKitchen]:
    """One at a port of its own; it notices at once who hangs up."""
    kitchen = FakeKitchen()
    application = web.Application()
    application.router.add_get("/tables/{table_number}/stream", kitchen.stream)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        kitchen.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield kitchen
    finally:
        await runner.cleanup()
