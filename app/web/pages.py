"""The pages of a service, with everything that they load served from here.

A page is asked for anew each time; what it loads stands under a path that holds a digest of all of it, so that it may
be kept for ever, and no page runs with files of another release: `/static/0f3a…/kitchen/board.js`. Modules import
each other by relative paths. In a page, `{static}` stands for that path, and `{told}` in an attribute for what the page
is told of the house.
"""

import hashlib
import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

FOLDER = Path(__file__).parent / "static"
STATIC = "/static/{digest}/{name:.+}"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_PLACE = b"{static}"
_TOLD = b"{told}"
_KEPT = "public, max-age=31536000, immutable"
_ASKED_ANEW = "no-cache"


@dataclass(frozen=True)
class Page:
    """A page of a service."""

    path: str
    file: str
    pictures: str = ""  # from where it shows pictures beside ours: `https:` where a menu names them
    told: str = ""  # what its scripts are told of the house


class Files:
    """What pages are made of, read once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in _TYPES)
        self._folder = folder
        self._bodies = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        self.digest = _digest(self._bodies)

    def path(self, name: str) -> str:
        """Where the file is served."""
        return f"/static/{self.digest}/{name}"

    def page(self, page: Page) -> Handler:
        """What answers with the page; FileNotFoundError if there is none."""
        body = (self._folder / page.file).read_bytes().replace(_PLACE, f"/static/{self.digest}".encode())
        body = body.replace(_TOLD, html.escape(page.told).encode())

        async def show(request: web.Request) -> web.Response:  # noqa: ARG001 - aiohttp's signature
            return _answer(body, "text/html", page.pictures)

        return show

    async def file(self, request: web.Request) -> web.Response:
        """A file that a page loads.

        Who comes from a page of another release, which another worker may have answered, is shown the way: what that
        module imports is then of this release too.
        """
        name = request.match_info["name"]
        if name not in self._bodies:
            raise web.HTTPNotFound
        if request.match_info["digest"] != self.digest:
            return web.Response(status=302, headers={hdrs.LOCATION: self.path(name)})
        return _answer(self._bodies[name], _TYPES[Path(name).suffix], kept=_KEPT)


def add_pages(application: web.Application, pages: Iterable[Page], folder: Path = FOLDER) -> None:
    """Serve the pages and what they load."""
    files = Files(folder)
    for page in pages:
        application.router.add_get(page.path, files.page(page))
    application.router.add_get(STATIC, files.file)


def policy(pictures: str = "") -> str:
    """What a page may load: scripts, styles and data from here alone, and nothing inline; and nobody may frame it."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            f"img-src 'self' data: {pictures}".strip(),
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",  # no text becomes markup or code, not even by a mistake of ours
        )
    )


def _answer(body: bytes, kind: str, pictures: str = "", kept: str = _ASKED_ANEW) -> web.Response:
    headers = {"Content-Security-Policy": policy(pictures), hdrs.CACHE_CONTROL: kept}
    return web.Response(body=body, content_type=kind, charset="utf-8", headers=headers)


def _digest(bodies: Mapping[str, bytes]) -> str:
    found = hashlib.sha256()
    for name, body in bodies.items():
        found.update(f"{name}\n{len(body)}\n".encode())
        found.update(body)
    return found.hexdigest()[:16]
