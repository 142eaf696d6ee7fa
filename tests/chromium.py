"""A headless Chromium that a test drives, and what it complains of."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from app.stack import packages
from app.stack.packages import Wanted
from tests.cable import Cable

WITHIN = 30.0  # s, on a machine that is busy with other things
WANTED = Wanted(
    "Chromium",
    ["chromium", "chromedriver"],
    ["chromium", "chromium-driver"],
    "Chromium or its chromedriver is missing. Install both: apt-get install --no-install-recommends chromium "
    "chromium-driver (Debian), brew install chromium chromedriver (macOS)",
)
ARGUMENTS = (
    "--headless=new",
    "--lang=en-US",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",  # a container's is too small
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
OFFLINE = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
ONLINE = {**OFFLINE, "offline": False}

Found = TypeVar("Found")


def install(say: Callable[[str], None] = print) -> None:
    """Have Chromium and its driver on this machine.

    Raises:
        StackError: it cannot have them; says what to do.
    """
    packages.fetch(WANTED, say)


@dataclass(frozen=True)
class Complaint:
    """A line of the browser's console; its source is javascript, security, network, console-api, …"""

    level: str
    source: str
    text: str

    @property
    def is_error(self) -> bool:
        """Whether the page is at fault. What the network refuses is not its fault, and it may well expect that."""
        return self.level == "SEVERE" and self.source != "network"


class Browser:
    """One browser with one page, on nobody's profile; `driver` is Selenium's for what is not here."""

    def __init__(self, folder: Path, width: int, height: int, *, touch: bool = False) -> None:
        """`width` and `height` are those of the page, in its own pixels; screenshots go to `folder`."""
        self._cable = Cable()
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for argument in (*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])):
            options.add_argument(argument)
        options.add_argument(f"--proxy-server=socks5://127.0.0.1:{self._cable.port}")
        options.add_argument("--proxy-bypass-list=<-loopback>")  # this machine's own addresses, too, are behind it
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self._temporary = tempfile.TemporaryDirectory(prefix="bistro92-browser-", ignore_cleanup_errors=True)
        # Both programs are named, so that Selenium looks for none on the network. They leave sockets behind.
        service = webdriver.ChromeService(
            executable_path=shutil.which("chromedriver"), env={**os.environ, "TMPDIR": self._temporary.name}
        )
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(WITHIN)
        self.driver.set_script_timeout(WITHIN)
        self._folder = folder
        self._heard: list[Complaint] = []
        self._forgiven: list[re.Pattern[str]] = []
        self.cdp("Network.enable")
        self.resize(width, height, touch=touch)

    def close(self) -> None:
        """End it."""
        self.driver.quit()
        self._cable.close()
        self._temporary.cleanup()

    # ── looking and doing ─────────────────────────────────────────────────────────────────────────────────────────────

    def open(self, url: str) -> None:
        """Go there, and wait for the page's load event."""
        self.driver.get(url)

    def resize(self, width: int, height: int, *, touch: bool = False) -> None:
        """Give the page another size; a window could not be as small as a phone's."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)
        self.cdp("Emulation.setTouchEmulationEnabled", enabled=touch)

    def prefer(self, **features: str) -> None:
        """What the user prefers: `color_scheme="dark"`, `reduced_motion="reduce"`, `contrast="more"`; none resets."""
        named = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
        self.cdp("Emulation.setEmulatedMedia", features=named)

    def find(self, selector: str) -> WebElement:
        """The first element, once there is one."""
        return self.wait(lambda: self.driver.find_element(By.CSS_SELECTOR, selector), f"no {selector}")

    def find_all(self, selector: str) -> list[WebElement]:
        """The elements that are there now."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """What can be read in each of these elements now."""
        return self.run("return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)", selector)

    def click(self, selector: str) -> None:
        """Click an element once it can be."""
        self.wait(lambda: self.find_all(selector)[:1] and self._clicked(selector), f"{selector} cannot be clicked")

    def _clicked(self, selector: str) -> bool:
        [element, *_] = self.find_all(selector)
        if not (element.is_displayed() and element.is_enabled()):
            return False
        element.click()
        return True

    def wait_for_text(self, selector: str, text: str) -> None:
        """Return once such an element contains the text."""
        self.wait(
            lambda: any(text in there for there in self.texts(selector)),
            lambda: f"{text!r} is in none of {self.texts(selector)}",
        )

    def wait(self, condition: Callable[[], Found], why: str | Callable[[], str] = "", seconds: float = WITHIN) -> Found:
        """What the condition gives once it holds; an element that is not there, or no longer, is one that does not."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                found = condition()
            except (NoSuchElementException, StaleElementReferenceException):
                found = None
            if found:
                return found
            if time.monotonic() > deadline:
                said = why if isinstance(why, str) else why()
                shown = self.screenshot("waited-in-vain")
                raise AssertionError(f"{said} after {seconds:g} s on {self.driver.current_url}, see {shown}")
            time.sleep(0.05)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script of the page returns."""
        return self.driver.execute_script(script, *arguments)

    def cdp(self, command: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, parameters)

    def screenshot(self, name: str) -> Path:
        """A picture of what is to be seen, in the test's folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{name}.png"
        self.driver.get_screenshot_as_file(str(path))
        return path

    # ── complaints ────────────────────────────────────────────────────────────────────────────────────────────────────

    def console(self) -> list[Complaint]:
        """All that the console has shown so far."""
        for entry in self.driver.get_log("browser"):
            self._heard.append(Complaint(entry["level"], entry["source"], entry["message"]))
        return self._heard

    def errors(self) -> list[str]:
        """What the page is at fault for: uncaught errors, `console.error`, what its content policy forbids."""
        found = [complaint.text for complaint in self.console() if complaint.is_error]
        return [text for text in found if not any(pattern.search(text) for pattern in self._forgiven)]

    def forgive(self, pattern: str) -> None:
        """An error that the test provokes does not count."""
        self._forgiven.append(re.compile(pattern))

    # ── the network ───────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def offline(self) -> Iterator[None]:
        """For a while the device has no network, and knows it: open streams break, and every request fails at once."""
        self.go_offline()
        try:
            yield
        finally:
            self.go_online()

    def go_offline(self) -> None:
        """Begin that."""
        self._cable.cut()
        self.cdp("Network.emulateNetworkConditions", **OFFLINE)  # so that `navigator.onLine` tells of it

    def go_online(self) -> None:
        """End it."""
        self._cable.mend()
        self.cdp("Network.emulateNetworkConditions", **ONLINE)

    @contextmanager
    def silence(self) -> Iterator[None]:
        """For a while nothing comes through, and nothing breaks: the Wi-Fi is there, and what is behind it is not."""
        self._cable.hush()
        try:
            yield
        finally:
            self._cable.mend()
