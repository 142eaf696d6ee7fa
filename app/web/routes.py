"""Every path of the orders service."""

from functools import partial

from aiohttp import web

from app.web.cancel import Cancelling
from app.web.crowd import CROWD, Crowd
from app.web.description import Description, home
from app.web.fast_menu import FAST_MENU, FastMenu
from app.web.fast_orders import FAST_ORDERS, FastOrders
from app.web.fast_refusal import FAST_REFUSAL, FastRefusal
from app.web.headers import add_headers
from app.web.health import HealthChecks
from app.web.kitchen_relay import KitchenRelay
from app.web.menu_edits import MenuEdits
from app.web.menu_pages import MenuPages
from app.web.menu_reads import MenuReads
from app.web.menu_stream import MenuStream
from app.web.middleware import contract, expect_within
from app.web.openapi import describe_api
from app.web.orders import PlacingOrders
from app.web.pad_page import pad_page
from app.web.pages import Page, add_pages
from app.web.reads import Reads
from app.web.room import Room
from app.web.services import Services
from app.web.sessions import Sessions

# Not the stream: whoever asks what may be done there is not to be told of a dish's methods.
_DISH = "/menu_items/{item_id:(?!stream$)[^{}/]+}"
PAGES = (Page("/docs", "docs.html"),)
READING = web.AppKey("reading", Room)
MENU_STREAM = web.AppKey("menu_stream", MenuStream)
TABLE_STREAM = web.AppKey("table_stream", KitchenRelay)


def add_routes(application: web.Application, services: Services) -> None:
    """Add the views and what stands round them; to be called before the application starts.

    Paths added first win: `/` is taken here before Faust's own page may. The streams of menu and tables end
    with the application, or earlier by `application[MENU_STREAM].stop()`.
    """
    headers = add_headers(application, services.settings.web)
    door = application[FAST_REFUSAL] = FastRefusal(services.admission, services.watch, headers)
    orders, reads, sessions = PlacingOrders(services, door), Reads(services), Sessions(services)
    application[FAST_ORDERS] = FastOrders(orders, services, headers)
    menu_pages = MenuPages(services.menu, services.settings)
    menu, dish = MenuReads(services, menu_pages, services.menu_answered), MenuEdits(services)
    if services.settings.menu.cached:
        application[FAST_MENU] = FastMenu(services.menu, menu_pages, headers, services.menu_answered)
    stream = application[MENU_STREAM] = MenuStream(services)
    relay = application[TABLE_STREAM] = KitchenRelay(services)
    limits = services.settings.orders
    application[CROWD], room = Crowd(limits.max_connections), Room(limits.max_reads)
    application[READING] = room
    health, description = HealthChecks(services), Description(describe_api(services.settings))
    expect = partial(expect_within, limit=services.settings.orders.body_limit)
    application.middlewares.append(contract)
    application.router.add_post("/orders", orders.place, expect_handler=orders.expect)
    application.router.add_get("/orders/{order_id}", room.bounded(reads.order))
    application.router.add_delete("/orders/{order_id}", Cancelling(services).cancel, expect_handler=expect)
    application.router.add_get("/menu_items", menu.menu_items)
    application.router.add_get("/menu_items/stream", stream.stream)
    application.router.add_get(_DISH, dish.read)
    application.router.add_put(_DISH, dish.put, expect_handler=expect)
    application.router.add_patch(_DISH, dish.patch, expect_handler=expect)
    application.router.add_delete(_DISH, dish.delete, expect_handler=expect)
    application.router.add_post(f"{_DISH}/sold_out", dish.sold_out, expect_handler=expect)
    application.router.add_get("/tables/{table_number}", room.bounded(reads.table))
    application.router.add_get("/tables/{table_number}/orders", room.bounded(reads.orders_of_table))
    application.router.add_get("/tables/{table_number}/stream", relay.stream)
    application.router.add_post("/tables/{table_number}/open", sessions.open, expect_handler=expect)
    application.router.add_post("/tables/{table_number}/close", sessions.close, expect_handler=expect)
    application.router.add_get("/health/ready", health.ready)
    application.router.add_get("/health/live", health.live)
    application.router.add_get("/openapi.json", description.read)
    application.router.add_get("/", home)
    add_pages(application, (*PAGES, pad_page(services.settings)))
    application.on_shutdown.append(_end_streams)
    application.on_cleanup.append(_let_go)


async def _end_streams(application: web.Application) -> None:
    application[MENU_STREAM].stop()
    application[TABLE_STREAM].stop()


async def _let_go(application: web.Application) -> None:
    await application[TABLE_STREAM].close()
