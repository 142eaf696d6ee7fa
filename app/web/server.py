"""aiohttp's server, answering as the contract says also where no view or middleware is reached."""

import asyncio
from functools import partial
from typing import cast

import structlog
from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from app.web.answers import refuse
from app.web.crowd import CROWD, Crowd
from app.web.fast_menu import FAST_MENU, FastMenu, is_whole
from app.web.fast_orders import FAST_ORDERS, FastOrders
from app.web.fast_refusal import FAST_REFUSAL, FastRefusal
from app.web.headers import ANSWER_HEADERS, AnswerHeaders
from app.web.middleware import new_request_id
from app.web.orders import Asked

_log = structlog.get_logger(__name__)

# A pad that is used less often connects anew. Each open connection takes one of the process's file descriptors.
IDLE_SECONDS = 75.0


class ContractHandler(RequestHandler):
    """One connection; it ends after `IDLE_SECONDS` without a whole request, or with an answer that nobody reads."""

    __slots__ = (
        "_crowd",
        "_fast_menu",
        "_fast_orders",
        "_fast_refusal",
        "_held",
        "_idle_check",
        "_is_between",
        "_is_closing",
        "_order",
        "_requests_before",
    )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, and look from time to time whether the connection is still used; or end, where there is no room."""
        self._crowd = cast(ContractServer, self._manager).crowd
        self._idle_check: asyncio.TimerHandle | None = None
        self._order: asyncio.Task[web.Response | None] | None = None  # one that is under way beside aiohttp
        self._held: list[bytes] = []  # what came meanwhile
        self._is_closing = False  # once it is answered
        if self._crowd is not None and not self._crowd.come(self, _port_of(transport)):
            self._send_away(cast(asyncio.Transport, transport))
            return
        super().connection_made(transport)
        self._fast_menu = cast(ContractServer, self._manager).fast_menu
        self._fast_refusal = cast(ContractServer, self._manager).fast_refusal
        self._fast_orders = cast(ContractServer, self._manager).fast_orders
        self._is_between = True  # two requests: all that came was whole requests, one a chunk
        self._requests_before = 0
        self._idle_check = self._loop.call_later(IDLE_SECONDS, self._end_if_idle)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        if self._idle_check is None:
            return  # there was no room
        self._idle_check.cancel()
        if self._crowd is not None:
            self._crowd.leave(self)
        super().connection_lost(exc)

    @property
    def is_silent(self) -> bool:
        """Whether nothing is asked now."""
        return not self._request_in_progress and self._order is None

    @property
    def has_asked(self) -> bool:
        """Whether anything was asked, ever."""
        return self._request_count > 0

    def hang_up(self) -> None:
        """Close at once: others need the room."""
        if (transport := self.transport) is not None:
            transport.abort()

    def _send_away(self, transport: asyncio.Transport) -> None:
        headers = cast(ContractServer, self._manager).headers
        if headers is not None:
            transport.write(headers.write_response(refuse(503), new_request_id(), is_last=True))
        transport.close()

    def data_received(self, data: bytes) -> None:
        """Take a chunk: plain reads of the menu and plain orders are answered by their bytes, all else is aiohttp's."""
        if self._idle_check is None:
            return  # there was no room
        if self._crowd is not None:
            self._crowd.heard(self)
        if self._order is not None:
            self._hold(data)
        # aiohttp itself calls with nothing, to have its parser go on.
        elif not (data and self._is_between and self._take(data)):
            super().data_received(data)

    def _hold(self, data: bytes) -> None:
        """Keep what comes before the order is answered; no more is read."""
        self._held.append(data)
        if self.transport is not None:
            self.transport.pause_reading()

    def _take(self, data: bytes) -> bool:
        """Whether the chunk is answered, or will be; else it is aiohttp's."""
        is_at_rest, answer = self._is_at_rest, None
        if self._fast_menu is not None and is_at_rest:
            answer = self._fast_menu.answer(data)
        if answer is None:
            self._is_between = is_whole(data)
            if not (is_at_rest and self._is_between):
                return False
            if self._fast_refusal is not None:
                answer = self._fast_refusal.answer(data)
            if answer is None:
                return self._begin(data)
        self._answer_at_once(answer)
        return True

    @property
    def _is_at_rest(self) -> bool:
        """Whether all requests are answered, the connection stays open and the client reads what it is sent.

        While aiohttp's loop waits for a request, none is queued or under way; to close, it is woken first.
        """
        waits = self._waiter is not None and not self._waiter.done()
        return waits and not (self._paused or self._upgraded or self._close or self._force_close)

    def _answer_at_once(self, answer: bytes) -> None:
        assert self.transport is not None
        self.transport.write(answer)
        self._request_count += 1
        self._stay_open()

    def _stay_open(self) -> None:
        """Begin anew to count how long nothing is asked."""
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout

    def _begin(self, data: bytes) -> bool:
        """Have a plain order placed; False where it is none."""
        orders = self._fast_orders
        asked = orders.read(data, self._is_gone) if orders is not None else None
        if orders is None or asked is None:
            return False
        self._stay_open()
        self._order = self._loop.create_task(orders.place(asked))
        self._order.add_done_callback(partial(self._finish, orders, asked))
        return True

    def _is_gone(self) -> bool:
        return self.transport is None or self.transport.is_closing()

    def _finish(self, orders: FastOrders, asked: Asked, order: asyncio.Task[web.Response | None]) -> None:
        """Send the order's answer, and go on with what came meanwhile."""
        self._order = None
        if self._is_gone() or order.cancelled() or (response := order.result()) is None:
            self.force_close()
            return
        self._answer_at_once(orders.write(asked, response, is_last=self._is_closing))
        if self._is_closing:
            super().close()
        elif self._held:
            held, self._held = self._held, []
            cast(asyncio.Transport, self.transport).resume_reading()
            for data in held:
                if self.transport is not None:
                    self.data_received(data)

    def close(self) -> None:
        """End the connection once what was asked is answered; nothing more is taken."""
        if self._order is not None:
            self._is_closing = True
        else:
            super().close()

    def _end_if_idle(self) -> None:
        # aiohttp's own limit holds only between two requests: the first may never come, or stop half-way.
        waits = self.is_silent or self._paused
        if waits and self._request_count == self._requests_before and self.transport is not None:
            self.transport.abort()
            return
        self._requests_before = self._request_count
        self._idle_check = self._loop.call_later(IDLE_SECONDS, self._end_if_idle)

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """End the connection, a request that is being answered first.

        Where one was answered before its body had come (413), aiohttp goes on reading for ten seconds, so that the
        client gets to the answer; a worker that stops has no use for that.
        """
        if self._order is not None:
            self._is_closing = True
            await asyncio.wait({self._order}, timeout=timeout)
        if not self._request_in_progress and self._task_handler is not None:
            self._task_handler.cancel()
        await super().shutdown(timeout)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes what came, tokens too
    ) -> web.StreamResponse:
        """The answer to what could not be parsed, or failed outside the views; the connection closes after it."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already, another cannot follow")
        if isinstance(exc, HttpProcessingError):
            # A client's mistake, not ours: no traceback of it in the log.
            _log.info("not HTTP", remote=request.remote, reason=type(exc).__name__)
            response = refuse(400, "this is not HTTP as the server reads it")
        else:
            _log.error("request failed outside the views", status=status, exc_info=exc)
            response = refuse(500)
        response.force_close()
        headers = cast(ContractServer, self._manager).headers
        if headers is not None:
            headers.put_on(request, response)  # no application saw the request that would do it
        return response


def _port_of(transport: asyncio.BaseTransport) -> int:
    """At which port of ours a connection came; 0 where it is no TCP."""
    name = transport.get_extra_info("sockname")
    return int(name[1]) if isinstance(name, tuple) and len(name) > 1 else 0


class ContractServer(web.Server):
    """Makes our handler for each connection; `crowd` bounds connections, what is fast answers before aiohttp does."""

    fast_menu: FastMenu | None = None
    headers: AnswerHeaders | None = None
    fast_refusal: FastRefusal | None = None
    fast_orders: FastOrders | None = None
    crowd: Crowd | None = None

    def __call__(self) -> RequestHandler:
        """A handler for a new connection."""
        return ContractHandler(self, loop=self._loop, **self._kwargs)


class ContractRunner(web.AppRunner):
    """Runs an application on our server; in place of `web.AppRunner`."""

    __slots__ = ()

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        # aiohttp has no way to name the server's or the handler's class; can go when it has.
        server.__class__ = ContractServer
        cast(ContractServer, server).fast_menu = self._app.get(FAST_MENU)
        cast(ContractServer, server).headers = self._app.get(ANSWER_HEADERS)
        cast(ContractServer, server).fast_refusal = self._app.get(FAST_REFUSAL)
        cast(ContractServer, server).fast_orders = self._app.get(FAST_ORDERS)
        cast(ContractServer, server).crowd = self._app.get(CROWD)
        return server
