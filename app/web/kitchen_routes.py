"""Every path of the kitchen service."""

from functools import partial

from aiohttp import web

from app.web.crowd import CROWD, Crowd
from app.web.description import Description, home
from app.web.headers import add_headers
from app.web.health import HealthChecks
from app.web.kitchen_commands import BODY_LIMIT, KitchenCommands
from app.web.kitchen_openapi import describe_kitchen
from app.web.kitchen_services import KitchenServices
from app.web.middleware import contract, expect_within
from app.web.pages import Page, add_pages
from app.web.ticket_streams import TicketStreams

PAGES = (Page("/kitchen", "kitchen.html"), Page("/docs", "docs.html"))
TICKET_STREAMS = web.AppKey("ticket_streams", TicketStreams)


def add_kitchen_routes(application: web.Application, services: KitchenServices) -> None:
    """Add the views and what stands round them; to be called before the application starts.

    The streams end with the application, or earlier by `application[TICKET_STREAMS].stop()`.
    """
    add_headers(application, services.settings.web)
    streams = application[TICKET_STREAMS] = TicketStreams(services)
    commands, health = KitchenCommands(services), HealthChecks(services)
    description = Description(describe_kitchen(services.settings))
    application[CROWD] = Crowd(services.settings.orders.max_connections)
    expect = partial(expect_within, limit=BODY_LIMIT)
    application.middlewares.append(contract)
    router = application.router
    router.add_get("/kitchen/stations", streams.stations)
    router.add_get("/kitchen/stations/{station}/stream", streams.station)
    router.add_get("/tables/{table_number}/stream", streams.table)
    router.add_post("/kitchen/tickets/{ticket_id}", commands.change, expect_handler=expect)
    router.add_post("/kitchen/seen", commands.seen, expect_handler=expect)
    router.add_get("/openapi.json", description.read)
    router.add_get("/", home)
    add_pages(application, PAGES)
    router.add_get("/health/ready", health.ready)
    router.add_get("/health/live", health.live)
    application.on_shutdown.append(_end_streams)


async def _end_streams(application: web.Application) -> None:
    application[TICKET_STREAMS].stop()
