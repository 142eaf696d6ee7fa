"""The browser that the tests of pages use notices what it is to notice; its pages come from a server of the test's."""

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.browser.conftest import NewBrowser
from tests.chromium import Browser

pytestmark = pytest.mark.pages

HEAD = "<!doctype html><html lang=en><head><meta charset=utf-8><title>A page</title><link rel=icon href='data:,'>"
STREAM = """
const heard = { count: 0, last: 0, broken: false };
const stream = new EventSource("/stream");
stream.onmessage = () => { heard.count += 1; heard.last = performance.now(); };
stream.onerror = () => { heard.broken = true; };
"""
ASK = "return fetch('/', { cache: 'no-store' }).then((answer) => answer.ok, () => false)"
WORKER = """
self.onactivate = (event) => event.waitUntil(clients.claim());
const kept = () => new Response("kept", { status: 299 });
self.onfetch = (event) => event.respondWith(fetch(event.request).catch(kept));
"""
REGISTER = (
    "return navigator.serviceWorker.register('/worker.js').then(() => navigator.serviceWorker.ready).then(() => true)"
)
STATUS = "return fetch('/', { cache: 'no-store' }).then((answer) => answer.status)"


class Server(http.server.ThreadingHTTPServer):
    """Serves one page at every path, a stream that never ends, and a worker."""

    daemon_threads = True
    page = f"{HEAD}<main><h1>A page</h1></main>"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kinds = {"/stream": "text/event-stream", "/worker.js": "text/javascript"}
        self.send_response(200)
        self.send_header("Content-Type", kinds.get(self.path, "text/html"))
        self.end_headers()
        if self.path == "/stream":
            with contextlib.suppress(OSError):  # whoever reads it has gone
                while not self.server.over.wait(0.1):
                    self.wfile.write(b"data: here\n\n")
                    self.wfile.flush()
        else:
            self.wfile.write((WORKER if self.path == "/worker.js" else self.server.page).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.over = threading.Event()
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        yield server
        server.over.set()
        server.shutdown()


@pytest.mark.parametrize(
    "script",
    [
        "throw new Error('burnt')",
        "Promise.reject(new Error('burnt'))",
        "console.error('burnt')",
        "document.querySelector('main').innerHTML = '<p onclick=1>'; burnt()",
    ],
)
def test_a_page_is_at_fault_for_what_nobody_catches(server: Server, browser: NewBrowser, script: str) -> None:
    server.page += f"<script>{script}</script>"
    page = browser()
    page.open(server.url)
    page.wait(page.errors, "no error was noticed")
    assert "burnt" in page.errors()[0]
    page.forgive("burnt")
    assert page.errors() == []


def test_what_the_network_refuses_and_what_a_page_logs_is_no_fault(server: Server, browser: NewBrowser) -> None:
    server.page += "<script>fetch('http://127.0.0.1:1/').catch(() => console.warn('salted'))</script>"
    page = browser()
    page.open(server.url)
    page.wait(lambda: any("salted" in complaint.text for complaint in page.console()), "nothing was logged")
    assert page.errors() == []


def test_a_page_has_the_size_that_was_asked_for(server: Server, browser: NewBrowser) -> None:
    server.page = server.page.replace("<title>", "<meta name=viewport content='width=device-width'><title>")
    phone, board = browser(360, 640, touch=True), browser(1920, 1080)
    for page in (phone, board):
        page.open(server.url)
    size = "return [innerWidth, innerHeight, navigator.maxTouchPoints > 0]"
    assert [page.run(size) for page in (phone, board)] == [[360, 640, True], [1920, 1080, False]]
    assert phone.screenshot("a page").stat().st_size > 0


def test_without_network_nothing_comes_through_and_open_streams_break(server: Server, browser: NewBrowser) -> None:
    server.page += f"<script>{STREAM}</script>"
    page = browser()
    page.open(server.url)
    page.wait(lambda: page.run("return heard.count"), "the stream is silent")
    assert page.run(ASK) is True
    with page.offline():
        page.wait(lambda: page.run("return heard.broken"), "the stream did not break")
        assert page.run(ASK) is False
        assert page.run("return navigator.onLine") is False
    assert page.run(ASK) is True
    assert page.run("return navigator.onLine") is True
    assert page.errors() == []


def test_in_silence_streams_stay_open_and_what_was_asked_is_answered_later(server: Server, browser: NewBrowser) -> None:
    server.page += f"<script>{STREAM}</script>"
    page = browser()
    page.open(server.url)
    page.wait(lambda: page.run("return heard.count"), "the stream is silent")
    with page.silence():
        page.run("window.before = performance.now()")
        page.run("window.answered = false; fetch('/?later').then(() => { answered = true; })")
        page.wait(lambda: page.run("return performance.now() - Math.max(before, heard.last) > 1000"), "no silence")
        assert page.run("return [answered, heard.broken]") == [False, False]
    page.wait(lambda: page.run("return answered"), "no answer")
    page.wait(lambda: page.run("return performance.now() - heard.last < 1000"), "the stream is silent")


def test_without_network_service_workers_have_none_either(server: Server, browser: NewBrowser) -> None:
    page = browser()
    page.open(server.url)
    assert page.run(REGISTER) is True
    page.wait(lambda: page.run("return !!navigator.serviceWorker.controller"), "no worker")
    assert page.run(STATUS) == 200
    with page.offline():
        assert page.run(STATUS) == 299
    assert page.run(STATUS) == 200


def test_two_browsers_share_nothing(server: Server, browser: NewBrowser) -> None:
    one, other = browser(), browser()
    for page in (one, other):
        page.open(server.url)
    one.run("localStorage.setItem('order', 'soup')")
    assert other.run("return localStorage.getItem('order')") is None


def test_what_keeps_people_out_is_told_in_words(
    server: Server, browser: NewBrowser, axe: Callable[[Browser], list[str]]
) -> None:
    page = browser()
    page.open(server.url)
    assert axe(page) == []
    page.run("document.querySelector('main').innerHTML += '<img src=\"data:,\"><p style=\"color:#ccc\">pale</p>'")
    contrast, image = sorted(axe(page), key=lambda told: "image-alt" in told)
    assert "critical image-alt: Images must have alternative text" in image
    assert "serious color-contrast" in contrast
    assert "p" in contrast.splitlines()[1]
