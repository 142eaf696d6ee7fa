"""`GET /menu_items`: encodings, conditions, and what is told while the newest menu is in doubt."""

import gzip
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

from app.web.menu_reads import takes_gzip
from tests.board import MENU, Counter


async def get(
    counter: Counter,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    **settings: Any,
) -> tuple[int, bytes, Mapping[str, str]]:
    async with (
        counter.serving(is_fast=False, **settings) as port,
        aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=["Accept-Encoding"]) as session,
        session.request(method, f"http://127.0.0.1:{port}/menu_items{query}", headers=headers) as answer,
    ):
        return answer.status, await answer.read(), answer.headers


async def test_the_menu_tells_its_revision_its_tag_and_how_long_it_may_be_kept() -> None:
    status, body, headers = await get(Counter())
    assert (status, headers["Menu-Revision"], headers["Content-Type"]) == (200, "7", "application/json")
    assert headers["Cache-Control"] == "public, max-age=0, s-maxage=1, stale-if-error=86400"
    assert headers["Vary"] == "Accept-Encoding"
    assert headers["ETag"].startswith('"7.')
    assert body.startswith(b'[{"id":"m1","name":"Grilled Salmon","price":18.99,')
    assert "Age" not in headers


async def test_a_category_can_be_asked_for_and_other_parameters_are_passed_over() -> None:
    assert (await get(Counter(), "?category=Starters&table=T1"))[1].startswith(b'[{"id":"m2"')
    assert (await get(Counter(), "?category=nothing"))[1] == b"[]"
    assert (await get(Counter(), "?category=%ff%00"))[1] == b"[]"


async def test_who_takes_gzip_gets_gzip() -> None:
    _, plain, _ = await get(Counter())
    _, body, headers = await get(Counter(), headers={"Accept-Encoding": "gzip, br"})
    assert headers["Content-Encoding"] == "gzip"
    assert headers["ETag"].endswith('-gz"')
    assert gzip.decompress(body) == plain


@pytest.mark.parametrize(
    ("header", "is_gzipped"),
    [
        ("", False),
        ("gzip", True),
        ("GZip;q=0.1", True),
        ("br, gzip", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("br", False),
        ("identity", False),
        (";;,,gzip", True),
    ],
)
def test_gzip_is_for_those_who_do_not_rule_it_out(header: str, is_gzipped: bool) -> None:
    assert takes_gzip(header) is is_gzipped


async def test_who_has_the_menu_is_told_so_whatever_its_encoding() -> None:
    tag = (await get(Counter()))[2]["ETag"]
    gzip_tag = tag.removesuffix('"') + '-gz"'
    for known in (tag, f"W/{tag}", f'"other", {tag}', gzip_tag, "*"):
        status, body, headers = await get(Counter(), headers={"If-None-Match": known})
        assert (status, body, headers["ETag"], headers["Menu-Revision"]) == (304, b"", tag, "7")
        assert {"Vary", "Cache-Control"} <= headers.keys()
    for unknown in ('"7.00000000"', tag.strip('"'), "**", '""'):
        assert (await get(Counter(), headers={"If-None-Match": unknown}))[0] == 200


async def test_a_head_request_tells_the_same_without_the_menu() -> None:
    _, body, full = await get(Counter())
    status, nothing, headers = await get(Counter(), method="HEAD")
    assert (status, nothing, headers["Content-Length"]) == (200, b"", str(len(body)))
    assert headers["ETag"] == full["ETag"]


async def test_a_menu_in_doubt_is_shown_with_its_age() -> None:
    counter = Counter()
    counter.board.stale_since = time.time() - 90
    status, _, headers = await get(counter)
    assert (status, headers["Warning"]) == (200, '110 - "Response is Stale"')
    assert 90 <= int(headers["Age"]) <= 100
    assert (await get(counter, headers={"If-None-Match": "*"}))[2]["Age"] >= "90"
    assert counter.slow == ["stale", "stale"]


async def test_without_a_menu_the_fetch_failed() -> None:
    counter = Counter()
    counter.board.menu = None
    status, body, _ = await get(counter)
    assert (status, body, counter.slow) == (500, b'{"error":"Fetch failed"}', ["failed"])


async def test_each_answer_is_counted_once() -> None:
    counter = Counter()
    await get(counter)
    await get(counter, headers={"If-None-Match": "*"})
    assert counter.slow == ["fresh", "not_modified"]


async def test_where_nothing_is_kept_each_read_asks_the_store() -> None:
    counter = Counter()
    await get(counter, menu={"cached": False})
    assert (counter.board.reloads, counter.board.menu) == (1, MENU)
