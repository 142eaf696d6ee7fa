"""What a request's head must look like to be answered before aiohttp's parser has seen it.

Nothing is to be read twice or differently by who stands in between: a head counts as plain only if all of its headers
are known to be harmless, and each stands once.
"""

import re
from collections.abc import Collection, Mapping

_block = re.compile(rb"((?:[A-Za-z-]+:[ -~]+\r\n)+)\r\n")
_host = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_OF_THE_CLIENT = {"accept", "accept-language", "authorization", "cookie", "dnt", "referer", "user-agent"}
_OF_THE_WAY = {"cache-control", "pragma", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"}
_OF_A_BROWSER = {"priority", "sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform"} | {
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
}
_HARMLESS = frozenset({"host", "connection", "accept-encoding"} | _OF_THE_CLIENT | _OF_THE_WAY | _OF_A_BROWSER)


def plain_headers(head: bytes, line: bytes, more: Collection[str]) -> Mapping[str, str] | None:
    """The headers, by their names in small letters, of a plain head that begins with this request line; else None.

    `head` ends with its empty line. `more` are names that mean something to who asks, beside the harmless ones.
    """
    found = _block.fullmatch(head, len(line)) if head.startswith(line) else None
    if found is None:
        return None
    headers: dict[str, str] = {}
    for each in found[1].decode("ascii").splitlines():
        name, _, value = each.partition(":")
        name = name.lower()
        if name in headers or not (name in _HARMLESS or name in more):
            return None
        headers[name] = value.strip()
    stays = headers.get("connection", "keep-alive").lower() == "keep-alive"
    return headers if stays and _host.fullmatch(headers.get("host", "")) else None
