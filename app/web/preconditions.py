"""What the sender of a change has seen: the headers `If-Match` and `If-None-Match`."""

import re

from aiohttp import hdrs, web

from app.domain.menu_edits import Seen

# A dish's tag is a revision of the menu; the list's has its revision in front.
_tag = re.compile(r'(W/)?"(\d{1,15})(?:\.[0-9a-f]{1,64}(?:-gz)?)?"|(\d{1,15})')
_NEVER = -1


class BadRequestError(Exception):
    """A request that cannot be read; the text names what is wrong in it and what is allowed."""


def if_match(request: web.Request) -> Seen | None:
    """What the sender has seen; None where the header is missing.

    Of several tags the newest counts: whatever has not changed since an older one has not changed since.

    Raises:
        BadRequestError: it is neither `*` nor made of the tags that were given here.
    """
    if hdrs.IF_MATCH not in request.headers:
        return None
    tags = [tag.strip() for tag in ",".join(request.headers.getall(hdrs.IF_MATCH)).split(",")]
    if tags == ["*"]:
        return Seen()
    found = [_tag.fullmatch(tag) for tag in tags]
    if not all(found):
        raise BadRequestError('If-Match: an ETag of the dish or the menu is allowed, like "17", or *')
    return Seen(max(_revision(tag) for tag in found if tag is not None))


def _revision(tag: re.Match[str]) -> int:
    """A weak tag does not promise that nothing has changed."""
    return _NEVER if tag[1] else int(tag[2] or tag[3])


def must_be_new(request: web.Request) -> bool:
    """Whether there must be no such dish yet.

    Raises:
        BadRequestError: the header has something else to say.
    """
    given = request.headers.get(hdrs.IF_NONE_MATCH)
    if given is None:
        return False
    if given.strip() != "*" or hdrs.IF_MATCH in request.headers:
        raise BadRequestError("If-None-Match: * is allowed here, and then no If-Match")
    return True
