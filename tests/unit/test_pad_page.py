"""The page that guests order on, as it is served; what it does is tried in tests/browser."""

import html
import json
import re

from tests.house import House, serving


async def test_the_page_is_told_what_it_needs_to_know_of_the_house() -> None:
    house = House(restaurant={"name": 'Chez "M" & fils', "currency": "KWD"}, orders={"max_note": 40})
    async with serving(house) as client:
        page = await client.get("/pad")
    [content] = re.findall(r'<meta name="house" content="([^"]*)">', page.body)
    assert json.loads(html.unescape(content)) == {
        "name": 'Chez "M" & fils',
        "currency": "KWD",
        "digits": 3,
        "time_zone": "Europe/Paris",
        "max_lines": 100,
        "max_quantity": 99,
        "max_note": 40,
    }


async def test_pictures_come_from_where_the_menu_says_and_all_else_from_here() -> None:
    async with serving(House()) as client:
        page = await client.get("/pad")
        policy = page.headers["Content-Security-Policy"]
        assert "img-src 'self' data: https:" in policy
        assert policy.count("https:") == 1
        for path in re.findall(r'(?:src|href)="(/[^"]+)"', page.body):
            assert (await client.get(path)).status == 200


async def test_no_token_is_asked_for_and_none_is_in_the_page() -> None:
    house = House()
    async with serving(house) as client:
        token = await house.seat()
        page = await client.get("/pad", token)
        assert page.status == 200
        assert token not in page.body
