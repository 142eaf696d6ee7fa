"""A dish of the menu: read, written, changed, taken off and sold out."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from aiohttp import hdrs, web
from pydantic import ValidationError

from app.clock import wall_clock
from app.dishes import DishError, DishForm, loads_exact, read_dish, write_dish
from app.domain.claims import Claims
from app.domain.menu import MenuItem
from app.domain.menu_edits import (
    AlreadyThere,
    ChangedSince,
    Edited,
    NoSuchDish,
    Refused,
    Seen,
    alter,
    create,
    remove,
)
from app.domain.moments import LAST_MOMENT, to_milliseconds
from app.ports import MenuTooLargeError
from app.web.access import manager
from app.web.answers import answer_json, refuse
from app.web.bodies import read_body
from app.web.forms import menu_entry
from app.web.limits import limited_write
from app.web.preconditions import BadRequestError, if_match, must_be_new
from app.web.services import Services
from app.web.shapes import MAX_DETAIL, SoldOutRequest, describe

MENU_REVISION = "Menu-Revision"

Change = Callable[[web.Request, bytes, Claims], Awaitable[web.Response]]


class MenuEdits:
    """The views of one dish; it is changed for who has seen it as it is, all others are told how it is."""

    def __init__(self, services: Services, now: Callable[[], int] = wall_clock) -> None:
        self._services = services
        self._restaurant = services.settings.restaurant
        self._limit = services.settings.orders.body_limit
        self._now = now

    async def read(self, request: web.Request) -> web.Response:
        """The dish as the list shows it."""
        menu = self._services.menu.current()
        item = menu.find(request.match_info["item_id"])
        if item is None:
            return refuse(404)
        response = self._show(item, menu.revision, language=request.query.get("lang", ""))
        response.headers[hdrs.CACHE_CONTROL] = "no-cache"  # its hours begin and end without a revision
        return response

    async def put(self, request: web.Request) -> web.Response:
        """Replace the dish that was seen, or put a new one on the menu: 201."""
        return await self._answered(request, self._put)

    async def patch(self, request: web.Request) -> web.Response:
        """Change some fields of the dish that was seen; null makes one as it is by default."""
        return await self._answered(request, self._patch)

    async def delete(self, request: web.Request) -> web.Response:
        """Take the dish that was seen off the menu: 204."""
        return await self._answered(request, self._delete)

    async def sold_out(self, request: web.Request) -> web.Response:
        """Sell the dish out, until a time or further notice, or bring it back."""
        return await self._answered(request, self._sold_out)

    async def _answered(self, request: web.Request, change: Change) -> web.Response:
        body = await read_body(request, self._limit)
        if body is None:
            return refuse(413)
        claims = manager(self._services, request)
        if isinstance(claims, web.Response):
            return claims

        async def work() -> web.Response:  # what is refused in here has its answer, and counts
            try:
                return await change(request, body, claims)
            except (BadRequestError, DishError) as error:
                return refuse(400, str(error)[:MAX_DETAIL])
            except MenuTooLargeError as error:
                return refuse(413, str(error))

        return await limited_write(self._services, request, work)

    async def _put(self, request: web.Request, body: bytes, claims: Claims) -> web.Response:
        item_id, is_new, seen = request.match_info["item_id"], must_be_new(request), if_match(request)
        form = {"id": item_id} | _object(body, item_id)
        item = read_dish(form, currency=self._restaurant.currency, stations=self._restaurant.stations)
        edit = create(item) if seen is None else alter(item_id, seen, lambda _: item)
        outcome = await self._services.editor.apply(edit, claims.who, f"PUT {item_id}")
        if isinstance(outcome, NoSuchDish):
            return refuse(412)  # it was seen, and is gone
        if isinstance(outcome, AlreadyThere):
            return self._stale(outcome.current) if is_new else refuse(428)
        return self._told(outcome, item_id, 201 if seen is None else 200)

    async def _patch(self, request: web.Request, body: bytes, claims: Claims) -> web.Response:
        item_id, seen = request.match_info["item_id"], if_match(request)
        if seen is None:
            return refuse(428)
        changes = _object(body, item_id)
        edit = alter(item_id, seen, lambda item: self._changed(item, changes))
        what = f"{', '.join(changes)} of {item_id}"
        outcome = await self._services.editor.apply(edit, claims.who, what)
        return self._told(outcome, item_id)

    def _changed(self, item: MenuItem, changes: dict[str, Any]) -> MenuItem:
        """The dish with these fields; its station may stay also where the house no longer has it."""
        form = write_dish(item, self._restaurant.currency) | changes
        form = {name: value for name, value in form.items() if value is not None or name not in DishForm.model_fields}
        stations = (*self._restaurant.stations, *({item.station} - {*self._restaurant.stations}))
        return read_dish(form, currency=self._restaurant.currency, stations=stations)

    async def _delete(self, request: web.Request, body: bytes, claims: Claims) -> web.Response:
        item_id, seen = request.match_info["item_id"], if_match(request)
        if seen is None:
            return refuse(428)
        if body:
            raise BadRequestError("no body is allowed here")
        outcome = await self._services.editor.apply(remove(item_id, seen), claims.who, f"DELETE {item_id}")
        if isinstance(outcome, Edited):
            return web.Response(status=204, headers={MENU_REVISION: str(outcome.menu.revision)})
        return self._told(outcome, item_id)

    async def _sold_out(self, request: web.Request, body: bytes, claims: Claims) -> web.Response:
        item_id, seen = request.match_info["item_id"], if_match(request) or Seen()
        is_available, until = self._read_sold_out(body)
        edit = alter(item_id, seen, lambda item: replace(item, available=is_available, sold_out_until=until))
        what = f"{'sold out' if until or not is_available else 'back'} {item_id}"
        return self._told(await self._services.editor.apply(edit, claims.who, what), item_id)

    def _read_sold_out(self, body: bytes) -> tuple[bool, int]:
        """Whether the dish can be had, and from when on (ms since 1970, UTC; 0: at once).

        Raises:
            BadRequestError: the body says neither.
        """
        try:
            asked = SoldOutRequest.model_validate_json(body or b"{}")
        except ValidationError as error:
            raise BadRequestError(describe(error)) from error
        if asked.until is None:
            return not asked.sold_out, 0
        until = to_milliseconds(asked.until)
        if not asked.sold_out:
            raise BadRequestError("until: what is not sold out comes back at once; no time is allowed")
        if not self._now() < until <= LAST_MOMENT:
            raise BadRequestError("until: a time in the future, up to 2100, is allowed")
        return True, until

    def _told(self, outcome: Edited | Refused, item_id: str, status: int = 200) -> web.Response:
        match outcome:
            case Edited(menu):
                item = menu.find(item_id)
                assert item is not None
                return self._show(item, menu.revision, status)
            case NoSuchDish():
                return refuse(404)
            case ChangedSince(current):
                return refuse(412) if current is None else self._stale(current)
        raise AssertionError(outcome)

    def _show(self, item: MenuItem, revision: int, status: int = 200, language: str = "") -> web.Response:
        response = answer_json(self._entry(item, language), status)
        response.headers.update({hdrs.ETAG: f'"{item.revision}"', MENU_REVISION: str(revision)})
        return response

    def _stale(self, current: MenuItem) -> web.Response:
        response = refuse(412, current=self._entry(current))
        response.headers[hdrs.ETAG] = f'"{current.revision}"'
        return response

    def _entry(self, item: MenuItem, language: str = "") -> dict[str, Any]:
        now = self._now()
        available = item.can_be_ordered(now, self._services.clock)
        return menu_entry(item, self._restaurant.currency, available, language, now)


def _object(body: bytes, item_id: str) -> dict[str, Any]:
    """The fields that were sent.

    Raises:
        BadRequestError: this is none of them, or names another dish than the path.
    """
    try:
        value = loads_exact(body)
    except ValueError as error:
        raise BadRequestError(str(error)) from error
    if not isinstance(value, dict):
        raise BadRequestError("a JSON object of a dish's fields is allowed")
    if value.get("id", item_id) != item_id:
        raise BadRequestError("id: the path's is allowed, or none")
    return value
