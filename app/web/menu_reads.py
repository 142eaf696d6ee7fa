"""Reading the menu: whole or a part of it, compressed, or only whether it is another one."""

import re
import time

from aiohttp import hdrs, web

from app.ports import LiveMenu, UnavailableError
from app.web.answers import FETCH_FAILED, answer, refuse
from app.web.menu_pages import MenuPages, Page
from app.web.services import Answered, Services, unheard

# Whoever stands in between may answer for a second, and for a day while this house does not answer at all.
CACHE_CONTROL = "public, max-age=0, s-maxage=1, stale-if-error=86400"

_tags = re.compile(r'"[^"]*"')
_no_quality = re.compile(r"q\s*=\s*0(\.0*)?")


class MenuReads:
    """The view of the menu; tells `answered` how each request ended."""

    def __init__(self, services: Services, pages: MenuPages, answered: Answered = unheard) -> None:
        self._menu: LiveMenu = services.menu
        self._is_cached = services.settings.menu.cached
        self._pages = pages
        self._answered = answered

    async def menu_items(self, request: web.Request) -> web.Response:
        """The dishes; `category` and `lang` choose among them."""
        try:
            if not self._is_cached:
                await self._menu.reload()
            page = self._pages.page(request.query.get("category", ""), request.query.get("lang", ""))
        except UnavailableError:
            self._answered("failed")
            return refuse(500, error=FETCH_FAILED)
        asked = request.headers
        is_known = knows(page, ",".join(asked.getall(hdrs.IF_NONE_MATCH, ())))
        is_gzipped = takes_gzip(",".join(asked.getall(hdrs.ACCEPT_ENCODING, ())))
        stale = _stale_headers(self._menu.stale_since)
        self._answered("stale" if stale else "not_modified" if is_known else "fresh")
        if is_known:
            return web.Response(status=304, headers=tag_headers(page, is_gzipped) | stale)
        body = page.gzipped if is_gzipped else page.body
        return answer(body, headers=page_headers(page, is_gzipped) | stale)


def tag_headers(page: Page, is_gzipped: bool) -> dict[str, str]:
    """What tells one page from another, with a body or without (304)."""
    return {
        "Menu-Revision": str(page.revision),
        hdrs.CACHE_CONTROL: CACHE_CONTROL,
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
        hdrs.ETAG: page.gzip_etag if is_gzipped else page.etag,
    }


def page_headers(page: Page, is_gzipped: bool) -> dict[str, str]:
    """The same, and how the body is encoded."""
    return tag_headers(page, is_gzipped) | ({hdrs.CONTENT_ENCODING: "gzip"} if is_gzipped else {})


def _stale_headers(since: float | None) -> dict[str, str]:
    if since is None:
        return {}
    return {hdrs.AGE: str(max(0, int(time.time() - since))), "Warning": '110 - "Response is Stale"'}


def knows(page: Page, if_none_match: str) -> bool:
    """Whether the client has this page already, in whatever encoding (RFC 9110: weak comparison)."""
    return if_none_match.strip() == "*" or not {page.etag, page.gzip_etag}.isdisjoint(_tags.findall(if_none_match))


def takes_gzip(accept_encoding: str) -> bool:
    """Whether the client takes gzip: by its name, else by `*`; with a quality of 0 it does not."""
    codings = {}
    for part in accept_encoding.lower().split(","):
        coding, *parameters = (piece.strip() for piece in part.split(";"))
        codings[coding] = not any(_no_quality.fullmatch(parameter) for parameter in parameters)
    return codings.get("gzip", codings.get("x-gzip", codings.get("*", False)))
