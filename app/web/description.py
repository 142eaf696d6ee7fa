"""The description of the interface, for machines."""

import orjson
from aiohttp import web

from app.settings import Settings
from app.web.answers import answer
from app.web.openapi import describe_api


class Description:
    """The description, made once."""

    def __init__(self, settings: Settings) -> None:
        self._body = orjson.dumps(describe_api(settings))

    async def read(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """`GET /openapi.json`."""
        return answer(self._body, headers={"Cache-Control": "no-cache"})


async def home(request: web.Request) -> web.Response:  # noqa: ARG001 - aiohttp's signature
    """The way to the page that shows it."""
    return web.Response(status=302, headers={"Location": "/docs"})
