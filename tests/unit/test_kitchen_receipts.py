"""A display's receipt for what it has shown."""

import asyncio

import aiohttp

from app.web.kitchen_commands import KNOWN_SECONDS
from app.web.kitchen_shapes import MOST_SEEN
from tests.kitchen_house import Kitchen

STAFF = {"Authorization": "Bearer kitchen"}


async def test_tickets_that_are_long_forgotten_are_waited_for_once_and_not_one_after_the_other() -> None:
    async with Kitchen().serving() as kitchen, aiohttp.ClientSession(headers=STAFF) as client:
        kitchen.log.place(1)
        known = next(iter(kitchen.log.versions("grill")))[0]
        forgotten = [f"o{number:032x}.grill" for number in range(1000, 1000 + MOST_SEEN - 1)]
        async with (
            asyncio.timeout(20 * KNOWN_SECONDS),
            client.post(f"{kitchen.url}/kitchen/seen", json={"ticket_ids": [*forgotten, known]}) as answer,
        ):
            assert answer.status == 200
            assert await answer.json() == {"seen": 1, "unknown": forgotten}
