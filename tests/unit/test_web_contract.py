"""What holds of every path: errors, request ids, methods, health, and the API description."""

import json
import re

import structlog
from aiohttp import web
from openapi_spec_validator import validate

from app.settings import Settings
from app.web.openapi import describe_api
from app.web.routes import add_routes
from tests.house import House, order, serving

PAGES = {("get", path) for path in ("/", "/docs", "/pad", "/static/{digest}/{name}", "/openapi.json")}


def test_the_description_is_valid_and_names_every_path_of_the_router() -> None:
    house = House()
    application = web.Application()
    add_routes(application, house.services)
    routed = {
        (route.method.lower(), route.resource.canonical)
        for route in application.router.routes()
        if route.method != "HEAD"
    }
    description = describe_api(house.settings)
    validate(description)
    described = {(method, path) for path, methods in description["paths"].items() for method in methods}
    assert routed - PAGES == described
    assert routed >= PAGES


def test_the_page_finds_one_media_type_or_none_in_whatever_is_sent_and_answered() -> None:
    for methods in describe_api(Settings())["paths"].values():
        for operation in methods.values():
            for part in (operation.get("requestBody", {"content": {}}), *operation["responses"].values()):
                assert len(part.get("content", {})) <= 1


def test_the_description_shows_the_limits_of_the_settings() -> None:
    orders = {"max_lines": 7, "max_note": 33, "max_quantity": 12, "body_limit": 2048, "max_modifiers": 3}
    description = describe_api(Settings(orders=orders))
    schemas = description["components"]["schemas"]
    assert schemas["OrderRequest"]["properties"]["items"]["maxItems"] == 7
    assert schemas["OrderRequest"]["properties"]["note"]["maxLength"] == 33
    assert schemas["LineRequest"]["properties"]["quantity"]["maximum"] == 12
    assert schemas["LineRequest"]["properties"]["modifiers"]["maxItems"] == 3
    assert "2048 bytes" in description["info"]["description"]


async def test_the_limits_of_the_settings_are_those_that_hold() -> None:
    house = House(orders={"max_lines": 2, "max_note": 3, "max_quantity": 4, "body_limit": 1024})
    pad = await house.seat()
    line = {"menu_item_id": "m1", "quantity": 4}
    async with serving(house) as client:
        assert (await client.order(order(items=[line] * 3), pad)).status == 400
        assert (await client.order(order(note="four"), pad)).status == 400
        assert (await client.order(order(items=[line | {"quantity": 5}]), pad)).body["error"] == "Invalid item"
        assert (await client.order(b" " * 1025, pad)).status == 413
        assert (await client.order(order(items=[line] * 2, note="yes"), pad)).status == 201


async def test_unknown_paths_and_methods_are_answered_in_json() -> None:
    async with serving(House()) as client:
        for path in ("/nothing", "/orders/", "/tables", "/tables//orders", "/internal/x", "/%2e%2e/etc/passwd"):
            reply = await client.get(path)
            assert (reply.status, reply.body) == (404, {"error": "Not found"})
        for method, path in (
            ("GET", "/orders"),
            ("PUT", "/orders"),
            ("DELETE", "/menu_items"),
            ("PATCH", "/health/live"),
        ):
            reply = await client.send(method, path)
            assert (reply.status, reply.body) == (405, {"error": "Method not allowed"})
            assert reply.headers["Allow"]


async def test_head_answers_as_get_without_a_body_and_options_names_the_methods() -> None:
    async with serving(House()) as client:
        get, head = await client.get("/menu_items"), await client.send("HEAD", "/menu_items")
        assert (head.status, head.body) == (200, "")
        assert head.headers["Content-Length"] == get.headers["Content-Length"]
        options = await client.send("OPTIONS", "/orders")
        assert (options.status, options.headers["Allow"], options.body) == (204, "OPTIONS,POST", "")
        assert (await client.send("OPTIONS", "/nothing")).status == 404


async def test_a_fault_of_ours_shows_nothing_and_is_logged_with_the_request_id() -> None:
    house = House()

    async def fail(table: str) -> None:
        raise RuntimeError("the secret of the house")

    house.owner.table = fail
    async with serving(house) as client:
        with structlog.testing.capture_logs() as logs:
            reply = await client.get("/tables/T1", "manager", headers={"X-Request-Id": "mine-1"})
    assert (reply.status, reply.body) == (500, {"error": "Internal error"})
    assert "secret" not in json.dumps(dict(reply.headers))
    assert reply.headers["X-Request-Id"] == "mine-1"
    [log] = [log for log in logs if log["event"] == "request failed"]
    assert (log["request_id"], log["path"]) == ("mine-1", "/tables/T1")


async def test_every_answer_has_a_request_id_and_only_a_plain_one_is_kept() -> None:
    async with serving(House()) as client:
        own = [(await client.get("/health/live")).headers["X-Request-Id"] for _ in range(3)]
        assert len(set(own)) == 3
        for given in ("a b", "x" * 65, "<script>", "ü"):
            reply = await client.get("/nothing", headers={"X-Request-Id": given})
            assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]+", reply.headers["X-Request-Id"])


async def test_health_tells_life_and_readiness_apart() -> None:
    house = House()
    async with serving(house) as client:
        assert (await client.get("/health/ready")).body == {"status": "ready", "checks": house.checks}
        house.not_ready = "tables are being recovered"
        reply = await client.get("/health/ready")
        assert (reply.status, list(reply.body)) == (503, ["error", "detail", "checks"])
        assert reply.body == {"error": "Service unavailable", "detail": house.not_ready, "checks": house.checks}
        assert (await client.get("/health/live")).status == 200


async def test_the_description_and_its_page_come_from_here_alone() -> None:
    async with serving(House()) as client:
        assert (await client.get("/openapi.json")).body["openapi"].startswith("3.1")
        home = await client.get("/")
        assert (home.status, home.headers["Location"]) == (302, "/docs")
        page = await client.get("/docs")
        assert page.headers["Content-Type"].startswith("text/html")
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page.body)
        assert {path.rsplit("/")[-1] for path in loaded} == {"docs.css", "docs.js", "openapi.json", "data:,"}
        for path in loaded:
            assert path.startswith(("/", "data:,"))
            if path.startswith("/"):
                assert (await client.get(path)).status == 200
        for path in ("/static/../routes.py", "/static/%2e%2e%2froutes.py", "/static/none.js"):
            assert (await client.get(path)).status == 404
