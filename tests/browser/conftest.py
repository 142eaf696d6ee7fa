"""What the tests of pages share: browsers, and what keeps people from using a page."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from app.stack.layout import StackError
from tests import axe as axe_core
from tests import chromium
from tests.chromium import Browser


class NewBrowser(Protocol):
    """Starts a browser with a page of a size, in pixels."""

    def __call__(self, width: int = 1280, height: int = 800, *, touch: bool = False) -> Browser: ...


@pytest.fixture(scope="session")
def _installed() -> None:
    try:
        chromium.install()
    except StackError as error:
        pytest.fail(str(error))


@pytest.fixture
def browser(_installed: None, tmp_path: Path) -> Iterator[NewBrowser]:
    """Starts browsers, each a stranger to the other; the test fails where a page of one is at fault for an error."""
    started: list[Browser] = []

    def start(width: int = 1280, height: int = 800, *, touch: bool = False) -> Browser:
        started.append(Browser(tmp_path / f"browser-{len(started) + 1}", width, height, touch=touch))
        return started[-1]

    yield start
    errors = []
    for one in started:
        try:
            errors += one.errors()
        finally:
            one.close()
    assert errors == [], "\n".join(errors)


@pytest.fixture(scope="session")
def axe() -> Callable[[Browser], list[str]]:
    """The serious and critical violations of accessibility on a browser's page, in words: `assert axe(page) == []`."""
    try:
        axe_core.source()
    except StackError as error:
        pytest.fail(str(error))
    return axe_core.violations
