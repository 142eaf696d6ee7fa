"""What every answer says beside its body: to browsers, to caches, and to pages of other houses."""

import asyncio
import re

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from app.settings import Settings, Web
from app.web.headers import AnswerHeaders
from app.web.pages import Files
from tests.board import Counter
from tests.house import Client, House, Reply, order, serving

FILES = Files()
PADS, OTHERS = "https://pads.bistro", "https://pads.bistro.example.org"
PAGES = ("/", "/docs", "/pad", f"/static/{FILES.digest}/docs.js", f"/static/{FILES.digest}/docs.css")


async def answers(house: House, client: Client) -> dict[str, Reply]:
    """An answer of each kind that there is."""
    pad = await house.seat()
    placed = await client.order(order(), pad)
    told = {
        "an order placed": placed,
        "the same again": await client.order(order(), pad),
        "a stale version": await client.order(order(7, "id-7"), pad),
        "a wrong order": await client.order(b"{", pad),
        "no token": await client.order(order(), ""),
        "another table": await client.get("/tables/T1", "pad/T2/1"),
        "a table": await client.get("/tables/T1", pad),
        "a table's orders": await client.get("/tables/T1/orders", pad),
        "an order": await client.get(f"/orders/{placed.body['order_id']}", pad),
        "the menu": await client.get("/menu_items"),
        "the menu of before": await client.get("/menu_items", headers={"If-None-Match": "*"}),
        "a part of the menu": await client.get("/menu_items?category=Mains"),
        "a dish": await client.get("/menu_items/m1"),
        "a dish taken off": await client.send("DELETE", "/menu_items/m3", "manager", headers={"If-Match": "*"}),
        "a session": await client.post("/tables/T5/open", "manager"),
        "no such path": await client.get("/nothing"),
        "no such method": await client.send("PUT", "/orders"),
        "the methods": await client.send("OPTIONS", "/orders"),
        "a head": await client.send("HEAD", "/menu_items"),
        "health": await client.get("/health/ready"),
        "the description": await client.get("/openapi.json"),
        "too large a body": await client.order(b" " * 70_000, pad),
    }
    house.owner.away = True
    told["no owner"] = await client.get("/tables/T1", pad)
    house.menu.dishes = None
    told["no menu"] = await client.get("/menu_items")
    return told | {path: await client.get(path) for path in PAGES}


async def test_every_answer_is_of_one_kind_shown_nowhere_and_tells_no_releases() -> None:
    house = House()
    async with serving(house) as client:
        told = await answers(house, client)
    assert {reply.status for reply in told.values()} == {
        *(200, 201, 204, 302, 304),
        *(400, 401, 403, 404, 405, 409, 413),
        *(500, 503),
    }
    for name, reply in told.items():
        headers = reply.headers
        assert headers.getall("Server") == ["bistro92"], name
        assert headers.getall("X-Content-Type-Options") == ["nosniff"], name
        assert headers.getall("Referrer-Policy") == ["no-referrer"], name
        assert len(headers.getall("X-Request-Id")) == 1, name
        [policy] = headers.getall("Content-Security-Policy")
        assert "default-src 'none'" in policy, name
        assert "frame-ancestors 'none'" in policy, name
        assert ("script-src" in policy) == (name in PAGES[1:]), name
        assert not [header for header in headers if header.startswith("Access-Control-")], name
        assert "Origin" not in headers.get("Vary", ""), name
        if reply.status >= 400 or name in (
            "an order placed",
            "the same again",
            "a table",
            "a table's orders",
            "an order",
        ):
            assert headers.getall("Cache-Control") == ["no-store"], name
    assert "public" in told["the menu"].headers["Cache-Control"]


async def test_what_is_no_http_is_answered_with_the_same_headers() -> None:
    async with serving(House()) as client:
        head = (await raw(client, b"hello there\r\n\r\n")).split(b"\r\n\r\n")[0].decode()
    for header in ("Server: bistro92", "X-Content-Type-Options: nosniff", "Cache-Control: no-store"):
        assert head.count(header) == 1
    assert re.search(r"X-Request-Id: [0-9a-f]{8}-[0-9a-f]+", head)
    assert "aiohttp" not in head


async def raw(client: Client, sent: bytes) -> bytes:
    host, port = client.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return head


async def test_what_is_refused_before_its_body_keeps_the_clients_request_id() -> None:
    async with serving(House()) as client:
        for expect, length, status in ((b"100-continue", b"2097152", b"413"), (b"a wonder", b"2", b"417")):
            for given, kept in ((b"pad-7:1", b"pad-7:1"), (b"<script>", None)):
                lines = (b"Content-Length: " + length, b"Expect: " + expect, b"X-Request-Id: " + given)
                sent = b"\r\n".join((b"POST /orders HTTP/1.1", b"Host: x", *lines, b"", b""))
                head = await raw(client, sent)
                assert head.split()[1] == status
                [found] = re.findall(rb"X-Request-Id: (\S+)", head)
                assert found == kept or (kept is None and found != given)


async def test_the_stream_of_the_menu_has_them_too() -> None:
    house = House(web={"cors_origins": [PADS]})
    async with serving(house) as client:
        headers = {"Origin": PADS}
        async with client._session.get(f"{client.url}/menu_items/stream", headers=headers) as stream:
            assert stream.headers["Server"] == "bistro92"
            assert stream.headers.getall("Cache-Control") == ["no-store"]
            assert stream.headers["Access-Control-Allow-Origin"] == PADS
            assert stream.headers["X-Content-Type-Options"] == "nosniff"


# ── pages of other origins ────────────────────────────────────────────────────────────────────────────────────────────


async def preflight(client: Client, origin: str, path: str = "/orders", method: str = "POST") -> Reply:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization",
    }
    return await client.send("OPTIONS", path, headers=asked)


def opened(reply: Reply) -> list[str]:
    return [f"{name}: {value}" for name, value in reply.headers.items() if name.startswith("Access-Control-")]


async def test_no_page_of_another_origin_is_served_by_default() -> None:
    house = House()
    pad = await house.seat()
    async with serving(house) as client:
        assert opened(await preflight(client, PADS)) == []
        assert opened(await client.get("/tables/T1", pad, headers={"Origin": PADS})) == []


async def test_a_page_that_is_named_may_ask_and_read() -> None:
    house = House(web={"cors_origins": [PADS, "http://localhost:3000"]})
    pad = await house.seat()
    async with serving(house) as client:
        for origin in (PADS, "http://localhost:3000"):
            reply = await preflight(client, origin)
            assert (reply.status, reply.body) == (204, "")
            assert reply.headers["Access-Control-Allow-Origin"] == origin
            assert reply.headers["Access-Control-Allow-Methods"] == "OPTIONS,POST"
            assert "Authorization" in reply.headers["Access-Control-Allow-Headers"]
            assert reply.headers.getall("Vary") == ["Origin"]
            for reply in (
                await client.order(order(), pad, headers={"Origin": origin}),
                await client.get("/tables/T1", pad, headers={"Origin": origin}),
                await client.get("/tables/T1", headers={"Origin": origin}),
                await client.get("/menu_items", headers={"Origin": origin}),
                await client.get("/nothing", headers={"Origin": origin}),
            ):
                assert reply.headers.getall("Access-Control-Allow-Origin") == [origin]
                assert "X-Request-Id" in reply.headers["Access-Control-Expose-Headers"]
                assert "Origin" in reply.headers.getall("Vary")
                assert "Access-Control-Allow-Credentials" not in reply.headers


@pytest.mark.parametrize(
    "origin",
    [OTHERS, "https://pads.bistro:444", "http://pads.bistro", "https://PADS.bistro", "null", "*", "", f"{PADS}/"],
)
async def test_a_page_that_is_not_named_learns_nothing(origin: str) -> None:
    house = House(web={"cors_origins": [PADS]})
    pad = await house.seat()
    async with serving(house) as client:
        reply = await preflight(client, origin)
        assert (opened(reply), reply.headers.getall("Vary")) == ([], ["Origin"])
        reply = await client.get("/tables/T1", pad, headers={"Origin": origin})
        assert (opened(reply), reply.headers.getall("Vary")) == ([], ["Origin"])


async def test_a_path_that_there_is_not_allows_no_method() -> None:
    async with serving(House(web={"cors_origins": [PADS]})) as client:
        reply = await preflight(client, PADS, "/nothing")
        assert (reply.status, "Access-Control-Allow-Methods" in reply.headers) == (404, False)


@pytest.mark.parametrize(
    "origin", ["*", "https://*", "https://a.b/", "https://a.b/c", "a.b", "null", "https://A.b", "ftp://a.b", ""]
)
def test_only_an_origin_can_be_named(origin: str) -> None:
    with pytest.raises(ValueError, match="cors_origins"):
        Settings(web={"cors_origins": [origin]})


async def test_the_menu_answered_at_once_says_that_it_depends_on_the_origin() -> None:
    heads = []
    for is_fast in (True, False):
        counter = Counter()
        async with counter.serving(is_fast=is_fast, web={"cors_origins": [PADS]}) as port:
            client = Client(f"http://127.0.0.1:{port}", Settings())
            head = (await raw(client, b"GET /menu_items HTTP/1.1\r\nHost: bistro\r\n\r\n")).decode()
            await client.close()
        assert len(counter.fast) == is_fast
        heads.append(re.sub(r"(X-Request-Id|Date): [^\r]+", "", head))
    assert heads[0] == heads[1]
    assert "\r\nVary: Origin\r\n" in heads[0]


def test_it_is_done_once() -> None:
    headers, response, request = AnswerHeaders(Web()), web.Response(), make_mocked_request("GET", "/")
    headers.put_on(request, response)
    first = list(response.headers.items())
    headers.put_on(request, response)
    assert list(response.headers.items()) == first
