"""The page that describes the interface, as people read it."""

from collections.abc import Callable

import pytest

from tests.browser.conftest import NewBrowser
from tests.chromium import Browser
from tests.stack import Stack

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 640)], ids=["desk", "phone"])
def test_the_description_can_be_read_by_everybody(
    stack: Stack, browser: NewBrowser, axe: Callable[[Browser], list[str]], width: int, height: int, scheme: str
) -> None:
    page = browser(width, height)
    page.prefer(color_scheme=scheme)
    page.open(f"{stack.url}/docs")
    page.wait(lambda: not page.find_all("#status"), "the description is not shown")
    assert "POST /orders Place an order" in page.texts("#paths summary")
    for closed in page.find_all("details:not([open]) > summary"):
        closed.click()
    assert page.run("return document.documentElement.scrollWidth") <= width
    assert axe(page) == []
    page.screenshot(scheme)
