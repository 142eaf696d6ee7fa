"""Links that open a pad or a display, and QR codes of them.

The token stands in the fragment, which no browser sends: so it is in no log of a server or a proxy.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import segno

from app.domain.claims import Role
from app.settings import ORIGIN, Settings

PAGES: Mapping[str, str] = {"pad": "pad", "kitchen": "kitchen"}  # whose page is where
DRAWN = "-"  # instead of a file: in the terminal
_MARGIN = 4  # modules; scanners want so many
_SCALE = 6  # pixels a module; a code of 70 modules is 470 wide


class BadUrlError(Exception):
    """This is no address of a service; the message says what is."""


def address_of(role: Role, settings: Settings, public_url: str | None) -> str:
    """Where this role's page is.

    Raises:
        BadUrlError: the `public_url` has no form of an address, or more than one.
    """
    if public_url is None:
        return settings.kitchen_url if role == "kitchen" else settings.web.public_url or settings.orders_url
    if not re.fullmatch(ORIGIN, public_url.rstrip("/").lower()):
        raise BadUrlError(f"{public_url!r} is no address like https://orders.example.org or http://192.168.1.20:8090")
    return public_url.rstrip("/")


def link(base: str, page: str, token: str) -> str:
    """What opens the page with this token."""
    return f"{base}/{page}#token={token}"


def note_on(base: str) -> str:
    """What is to be known of this address; empty where nothing is."""
    host = urlsplit(base).hostname
    if host not in ("127.0.0.1", "::1", "localhost"):
        return ""
    return (
        f"Only this machine opens {host}. For others: --public-url http://ADDRESS:PORT, or the setting web.public_url\n"
    )


def print_codes(target: str) -> None:
    """Draw the code in the terminal."""
    _code(target).terminal(out=sys.stdout, border=_MARGIN, compact=True)


def save_codes(path: Path, links: Sequence[tuple[str, str]]) -> Iterator[tuple[str, Path]]:
    """Write each code into a file: this one, or with several links one for each, named by whose it is.

    Raises:
        OSError: it cannot be written.
    """
    for whose, target in links:
        file = path if len(links) == 1 else path.with_stem(f"{path.stem}-{whose}")
        # On white of its own: a scanner reads it on any page.
        _code(target).save(str(file), scale=_SCALE, border=_MARGIN, light="white")
        yield whose, file


def _code(target: str) -> segno.QRCode:
    return segno.make_qr(target, error="l")
