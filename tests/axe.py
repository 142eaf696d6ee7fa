"""axe-core on a page: what keeps people from using it."""

import zipfile
from collections.abc import Collection
from functools import cache
from typing import Any

from app.stack import jars
from tests.chromium import Browser

GRAVE = ("serious", "critical")
RUN = """
const done = arguments[arguments.length - 1];
const told = (found) => done(found.violations);
axe.run(document, { resultTypes: ["violations"] }).then(told, (error) => done(String(error)));
"""


@cache
def source() -> str:
    """The script; its jar is fetched where it is missing.

    Raises:
        StackError: it cannot be fetched.
    """
    jars.fetch(print, ["axe"])
    [jar] = jars.folder("axe").glob("*.jar")
    with zipfile.ZipFile(jar) as files:
        return files.read("axe.min.js").decode()


def violations(browser: Browser, impacts: Collection[str] = GRAVE) -> list[str]:
    """The violations on the page as it is now, in words, one for each rule; of every impact where none is named."""
    if not browser.run("return typeof axe === 'object'"):
        browser.run(source())
    found: list[dict[str, Any]] | str = browser.driver.execute_async_script(RUN)
    assert not isinstance(found, str), found
    return [_told(one) for one in found if one["impact"] in impacts or not impacts]


def _told(violation: dict[str, Any]) -> str:
    places = [
        f"  {' '.join(map(str, node['target']))}\n    {node['html'][:200]}\n    "
        + node["failureSummary"].replace("\n", "\n    ")
        for node in violation["nodes"]
    ]
    return "\n".join(
        [f"{violation['impact']} {violation['id']}: {violation['help']} ({violation['helpUrl']})", *places]
    )
