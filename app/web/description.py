"""The description of the interface, for machines."""

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from app.web.answers import answer


class Description:
    """The description of a service, made once."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._body = orjson.dumps(document)

    async def read(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """`GET /openapi.json`."""
        return answer(self._body, headers={"Cache-Control": "no-cache"})


async def home(request: web.Request) -> web.Response:  # noqa: ARG001 - aiohttp's signature
    """The way to the page that shows it."""
    return web.Response(status=302, headers={"Location": "/docs"})
