"""Every path of the orders service."""

from functools import partial

from aiohttp import web

from app.web.health import HealthChecks
from app.web.middleware import contract, expect_within
from app.web.orders import PlacingOrders
from app.web.pages import Pages
from app.web.reads import Reads
from app.web.services import Services
from app.web.sessions import Sessions


def add_routes(application: web.Application, services: Services) -> None:
    """Add the views and what stands round them; to be called before the application starts.

    Paths added first win: `/` is taken here before Faust's own page may.
    """
    orders, reads, sessions = PlacingOrders(services), Reads(services), Sessions(services)
    health, pages = HealthChecks(services), Pages(services.settings)
    expect = partial(expect_within, limit=services.settings.orders.body_limit)
    application.middlewares.append(contract)
    application.router.add_post("/orders", orders.place, expect_handler=orders.expect)
    application.router.add_get("/orders/{order_id}", reads.order)
    application.router.add_get("/menu_items", reads.menu_items)
    application.router.add_get("/tables/{table_number}", reads.table)
    application.router.add_get("/tables/{table_number}/orders", reads.orders_of_table)
    application.router.add_post("/tables/{table_number}/open", sessions.open, expect_handler=expect)
    application.router.add_post("/tables/{table_number}/close", sessions.close, expect_handler=expect)
    application.router.add_get("/health/ready", health.ready)
    application.router.add_get("/health/live", health.live)
    application.router.add_get("/openapi.json", pages.description)
    application.router.add_get("/", pages.home)
    application.router.add_get("/docs", pages.page)
    application.router.add_get("/static/{name}", pages.file)
