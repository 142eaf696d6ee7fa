"""The API description and a page that makes it readable, with everything it needs served from here."""

from pathlib import Path

import orjson
from aiohttp import web

from app.settings import Settings
from app.web.answers import answer
from app.web.openapi import describe_api

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
# The page loads nothing from elsewhere, and no page of another site may frame it.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-cache",
}


class Pages:
    """The description and the page's files, read once."""

    def __init__(self, settings: Settings) -> None:
        self._description = orjson.dumps(describe_api(settings))
        self._files = {path.name: path.read_bytes() for path in _FOLDER.iterdir() if path.suffix in _TYPES}

    async def home(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """The way to the page."""
        return web.Response(status=302, headers={"Location": "/docs"})

    async def description(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """The API description."""
        return answer(self._description, headers={"Cache-Control": "no-cache"})

    async def page(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """The page."""
        return self._file("docs.html")

    async def file(self, request: web.Request) -> web.Response:
        """A file that the page loads."""
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound
        return self._file(name)

    def _file(self, name: str) -> web.Response:
        kind = _TYPES[Path(name).suffix]
        return web.Response(body=self._files[name], content_type=kind, charset="utf-8", headers=_HEADERS)
