"""The plainest read of the menu, answered from its bytes.

Nearly all that a house is asked is `GET /menu_items`, in the same words each time. Such a request is one look-up here
and one write; what is in any way out of the ordinary (app/web/plain.py) is aiohttp's.
"""

import re
from typing import NamedTuple

from aiohttp import hdrs, web
from aiohttp.helpers import rfc822_formatted_time

from app.ports import LiveMenu, UnavailableError
from app.web.answers import JSON
from app.web.headers import SERVER, AnswerHeaders, Pairs
from app.web.menu_pages import MenuPages, Page
from app.web.menu_reads import knows, page_headers, tag_headers, takes_gzip
from app.web.middleware import REQUEST_ID, new_request_id
from app.web.plain import plain_headers
from app.web.services import Answered, unheard

MAX_HEAD = 2048  # bytes of a request
_MAX_HEADS = 256  # so many are remembered; then the memory begins anew
_MAX_WHOLE = 64 * 1024  # a longer body may make aiohttp pause its parser

_LINE = b"GET /menu_items HTTP/1.1\r\n"
_whole = re.compile(rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) [!-~]+ HTTP/1\.1\r\n")
_length = re.compile(rb"\r\ncontent-length: *(\d{1,6})\r\n")


class _Asked(NamedTuple):
    """What a plain head asks for."""

    is_gzipped: bool
    if_none_match: str


class _Ready(NamedTuple):
    """An answer but for its request id, as it is for one page and one second."""

    page: Page
    date: str
    start: bytes
    rest: bytes


class FastMenu:
    """Answers plain reads of the whole menu, byte for byte as the view behind aiohttp would."""

    def __init__(self, menu: LiveMenu, pages: MenuPages, headers: AnswerHeaders, answered: Answered = unheard) -> None:
        self._menu = menu
        self._pages = pages
        self._fixed = headers.fixed
        self._answered = answered
        self._heads: dict[bytes, _Asked] = {}
        self._ready: dict[tuple[bool, bool], _Ready] = {}

    def answer(self, chunk: bytes) -> bytes | None:
        """The answer to a chunk that is one plain read of the menu and nothing else; None: it is aiohttp's."""
        if len(chunk) > MAX_HEAD:
            return None
        asked = self._heads.get(chunk) or self._learn(chunk)
        if asked is None or self._menu.stale_since is not None:
            return None
        try:
            page = self._pages.page()
        except UnavailableError:
            return None
        is_known = bool(asked.if_none_match) and knows(page, asked.if_none_match)
        date, key = rfc822_formatted_time(), (asked.is_gzipped, is_known)
        ready = self._ready.get(key)
        if ready is None or ready.page is not page or ready.date is not date:
            ready = self._ready[key] = _make(page, date, self._fixed, asked.is_gzipped, is_known)
        self._answered("not_modified" if is_known else "fresh")
        return b"".join((ready.start, new_request_id().encode(), ready.rest))

    def _learn(self, chunk: bytes) -> _Asked | None:
        asked = _read(chunk)
        if asked is not None:
            if len(self._heads) >= _MAX_HEADS:
                self._heads.clear()
            self._heads[chunk] = asked
        return asked


FAST_MENU = web.AppKey("fast_menu", FastMenu)


def _read(chunk: bytes) -> _Asked | None:
    headers = plain_headers(chunk, _LINE, {"if-none-match"})
    if headers is None:
        return None
    return _Asked(takes_gzip(headers.get("accept-encoding", "")), headers.get("if-none-match", ""))


def _make(page: Page, date: str, fixed: Pairs, is_gzipped: bool, is_known: bool) -> _Ready:
    """An answer as aiohttp writes it, header by header in its order."""
    if is_known:
        start, body, about_body = "HTTP/1.1 304 Not Modified", b"", {}
        headers = tag_headers(page, is_gzipped)
    else:
        start, body = "HTTP/1.1 200 OK", page.gzipped if is_gzipped else page.body
        headers = page_headers(page, is_gzipped) | {hdrs.CONTENT_TYPE: JSON}
        about_body = {hdrs.CONTENT_LENGTH: str(len(body))}
    before = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    after = (*about_body.items(), (hdrs.DATE, date), (hdrs.SERVER, SERVER), *fixed)
    rest = "".join(f"\r\n{name}: {value}" for name, value in after)
    return _Ready(
        page, date, f"{start}\r\n{before}{REQUEST_ID}: ".encode("ascii"), f"{rest}\r\n\r\n".encode("ascii") + body
    )


def is_whole(chunk: bytes) -> bool:
    """Whether a chunk that begins a request is also its end, beyond doubt: aiohttp's parser stands between two then."""
    end = chunk.find(b"\r\n\r\n") + 4
    if not 4 <= end <= len(chunk) <= _MAX_WHOLE or not _whole.match(chunk):
        return False
    head = chunk[:end].lower()
    if b"transfer-encoding" in head or b"content-encoding" in head or b"upgrade" in head:
        return False
    if head.count(b"\n") != head.count(b"\r\n"):
        return False
    lengths = head.count(b"content-length")
    if lengths == 0:
        return end == len(chunk)
    length = _length.match(head, head.find(b"\r\ncontent-length"))
    return lengths == 1 and length is not None and int(length[1]) == len(chunk) - end
