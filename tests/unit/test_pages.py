"""The pages and what they load: kept for ever under a digest, from here alone, with nothing inline."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from app.web import kitchen_routes, routes
from app.web.pages import FOLDER, Files, Page, add_pages, policy

HTML = sorted(FOLDER.rglob("*.html"))
MODULES = sorted(FOLDER.rglob("*.js"))
SHEETS = sorted(FOLDER.rglob("*.css"))
IMPORT = re.compile(r"""^(?:import|export)\s[^;"'()=]*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']""", re.M)
RUNS_TEXT = re.compile(
    r"\.(?:inner|outer)HTML\b|insertAdjacentHTML|document\.write|\beval\(|new Function\b|DOMParser|setHTML"
    r"|createContextualFragment|setAttribute\(\s*[\"'](?:style|on\w+)"
)


def named(paths: list[Path]) -> list[str]:
    return [path.relative_to(FOLDER).as_posix() for path in paths]


class Tags(HTMLParser):
    """Everything in a page that a browser would run, apply or load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.loads: list[str] = []
        self._in = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._in = tag if tag in ("script", "style") and "src" not in given else ""
        self.inline += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        if tag in ("script", "link", "img") or "src" in given:
            self.loads.append(str(given.get("src") or given.get("href")))

    def handle_data(self, data: str) -> None:
        if self._in and data.strip():
            self.inline.append(f"<{self._in}>")

    def handle_endtag(self, tag: str) -> None:
        self._in = ""


@asynccontextmanager
async def serving(folder: Path, *pages: Page) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    application = web.Application()
    add_pages(application, pages, folder)
    async with TestClient(TestServer(application)) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.html").write_text('<!doctype html><script src="{static}/a.js" type="module"></script>')
    (tmp_path / "a.js").write_text('import "./deep/b.js";')
    (tmp_path / "deep" / "b.js").write_text("1;")
    (tmp_path / "notes.txt").write_text("nobody's")
    return tmp_path


def policies(answer: ClientResponse) -> dict[str, str]:
    return dict(part.partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split("; "))


async def test_a_page_is_asked_for_anew_and_what_it_loads_is_kept_for_ever(folder: Path) -> None:
    async with serving(folder, Page("/a", "a.html")) as client:
        page = await client.get("/a")
        assert page.headers["Cache-Control"] == "no-cache"
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        [path] = re.findall(r'src="([^"]+)"', await page.text())
        assert re.fullmatch(r"/static/[0-9a-f]{16}/a\.js", path)
        for loaded in (path, path.replace("a.js", "deep/b.js")):
            script = await client.get(loaded, allow_redirects=False)
            assert script.status == 200
            assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"


def test_the_digest_is_of_every_name_and_every_byte(folder: Path) -> None:
    digests = [Files(folder).digest]
    (folder / "deep" / "b.js").write_text("2;")
    digests.append(Files(folder).digest)
    (folder / "deep" / "b.js").rename(folder / "deep" / "c.js")
    digests.append(Files(folder).digest)
    (folder / "a.js").write_text("")
    digests.append(Files(folder).digest)
    assert len(set(digests)) == 4
    assert Files(folder).digest == digests[-1], "and of nothing else"


async def test_a_page_of_another_release_is_led_to_the_files_of_this_one(folder: Path) -> None:
    async with serving(folder) as client:
        answer = await client.get("/static/0123456789abcdef/deep/b.js", allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (302, f"/static/{Files(folder).digest}/deep/b.js")
        assert "immutable" not in answer.headers.get("Cache-Control", "")


async def test_nothing_but_what_pages_load_is_served(folder: Path) -> None:
    digest = Files(folder).digest
    async with serving(folder) as client:
        for name in ("none.js", "notes.txt", "a.html", "../pages.py", "%2e%2e/pages.py", "deep", "deep/", "/a.js"):
            assert (await client.get(f"/static/{digest}/{name}")).status == 404, name


@pytest.mark.parametrize("page", [*routes.PAGES, *kitchen_routes.PAGES], ids=lambda page: page.path)
async def test_each_page_of_the_services_is_served(page: Page) -> None:
    async with serving(FOLDER, page) as client:
        answer = await client.get(page.path)
        assert answer.status == 200
        assert "{static}" not in await answer.text()


def test_a_page_that_is_missing_is_noticed_before_the_service_starts(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        add_pages(web.Application(), [Page("/b", "b.html")], folder)


async def test_a_page_loads_from_here_alone_and_pictures_where_it_says_so(folder: Path) -> None:
    async with serving(folder, Page("/a", "a.html"), Page("/b", "a.html", pictures="https:")) as client:
        plain = policies(await client.get("/a"))
        pictures = policies(await client.get("/b"))
    assert plain == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
    }
    assert pictures == plain | {"img-src": "'self' data: https:"}
    assert "unsafe" not in policy("https:")


async def test_what_a_page_is_told_stands_in_it_as_data(folder: Path) -> None:
    (folder / "c.html").write_text('<meta name="house" content="{told}">')
    told = '{"name":"<b>\'Chez\' \\"M\\" & fils</b>"}'
    async with serving(folder, Page("/c", "c.html", told=told)) as client:
        text = await (await client.get("/c")).text()
    assert "<b>" not in text
    assert read_meta(text) == told


def read_meta(page: str) -> str:
    found: list[str] = []

    class Meta(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append(str(dict(attrs)["content"]))

    Meta().feed(page)
    return found[0]


@pytest.mark.parametrize("path", HTML, ids=named(HTML))
def test_no_page_has_anything_inline_and_each_loads_files_that_there_are(path: Path) -> None:
    found = Tags(path.read_text(encoding="utf-8"))
    assert found.inline == []
    for loaded in found.loads:
        place, _, name = loaded.partition("/")
        assert loaded == "data:," or (place == "{static}" and (FOLDER / name).is_file()), loaded


@pytest.mark.parametrize("path", MODULES, ids=named(MODULES))
def test_a_module_imports_its_neighbours_and_makes_no_code_or_markup_of_text(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for found in IMPORT.findall(text):
        name = next(filter(None, found))
        assert name.startswith(("./", "../")), name
        assert (path.parent / name).resolve().is_relative_to(FOLDER.resolve())
        assert (path.parent / name).is_file(), name
    assert RUNS_TEXT.findall(text) == []


@pytest.mark.parametrize("path", SHEETS, ids=named(SHEETS))
def test_a_sheet_loads_nothing(path: Path) -> None:
    assert not re.search(r"@import|url\(", path.read_text(encoding="utf-8"))
