"""The page at `/status`, and what it loads: all of it served from here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson

from app.adapters.exposition import Answer

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
# The page loads nothing from elsewhere, and no page of another site may frame it.
_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)


def pages(tell: Callable[[float], dict[str, Any]]) -> dict[str, Callable[[str], Answer]]:
    """Path -> what is answered, given the query; `tell` gives what there is to tell since a time."""
    files = {path.name: path for path in _FOLDER.iterdir() if path.suffix in _TYPES}
    answers = {f"/static/{name}": _file(path) for name, path in files.items() if path.suffix != ".html"}

    def figures(query: str) -> Answer:
        try:
            since = float(parse_qs(query).get("since", ["0"])[0])
        except ValueError:
            return Answer(400, "application/json", b'{"error":"since is no number of seconds"}', _HEADERS)
        return Answer(200, "application/json", orjson.dumps(tell(since)), _HEADERS)

    def home(_: str) -> Answer:
        return Answer(302, "text/plain", b"", (*_HEADERS, ("Location", "/status")))

    return {"/": home, "/status": _file(files["status.html"]), "/status.json": figures, **answers}


def _file(path: Path) -> Callable[[str], Answer]:
    answer = Answer(200, f"{_TYPES[path.suffix]}; charset=utf-8", path.read_bytes(), _HEADERS)
    return lambda _: answer
