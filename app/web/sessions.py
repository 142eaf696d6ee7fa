"""Opening and closing a table's session."""

from aiohttp import web
from pydantic import ValidationError

from app.messages import CloseSession, OpenSession, TableState
from app.web.access import table_for_session
from app.web.answers import answer_json, not_ready, refuse
from app.web.bodies import read_body
from app.web.forms import table_read
from app.web.limits import limited_write
from app.web.services import Services
from app.web.shapes import CloseRequest, describe


class Sessions:
    """A party's stay, opened and closed by commands in the tables' log. Either may be asked for twice."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._limit = services.settings.orders.body_limit

    async def open(self, request: web.Request) -> web.Response:
        """Open the table's next session: 201, or 200 where one is open already."""
        body = await read_body(request, self._limit)
        if body is None:
            return refuse(413)
        if self._services.ready() is not None:
            return not_ready()
        table = table_for_session(self._services, request)
        if isinstance(table, web.Response):
            return table
        if body:
            return refuse(400, "no body is allowed here")
        return await limited_write(self._services, request, lambda: self._open(table))

    async def _open(self, table: str) -> web.Response:
        state = await self._services.owners.table(table)
        if state.is_open:
            return self._show(state)
        edge = self._services.edge
        command = OpenSession(edge.new_request_id(), edge.address, table, state.session + 1)
        outcome = await edge.ask(command)
        if outcome.outcome != "opened":  # another was first: the table as it is now
            return self._show(await self._services.owners.table(table))
        return self._show(TableState(table, command.session, True, 0, 0, 0), 201)

    async def close(self, request: web.Request) -> web.Response:
        """Close the session that is named, or the open one; one that is closed already stays so."""
        body = await read_body(request, self._limit)
        if body is None:
            return refuse(413)
        if self._services.ready() is not None:
            return not_ready()
        table = table_for_session(self._services, request)
        if isinstance(table, web.Response):
            return table
        try:
            session = CloseRequest.model_validate_json(body).session if body else None
        except ValidationError as error:
            return refuse(400, describe(error))
        return await limited_write(self._services, request, lambda: self._close(table, session))

    async def _close(self, table: str, session: int | None) -> web.Response:
        state = await self._services.owners.table(table)
        if not state.session:
            return refuse(404)
        if state.is_open and session in (None, state.session):
            edge = self._services.edge
            await edge.ask(CloseSession(edge.new_request_id(), edge.address, table, state.session))
            state = await self._services.owners.table(table)
        return self._show(state)

    def _show(self, state: TableState, status: int = 200) -> web.Response:
        return answer_json(table_read(state, self._services.settings.restaurant.currency), status)
