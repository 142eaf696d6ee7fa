"""What managers and operators do to the menu at the command line."""

import getpass
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import structlog
from click.testing import CliRunner, Result

from app.adapters import menu_editor
from app.adapters.menu_file import FILE
from app.cli.menu import command
from app.domain.menu import Menu
from app.domain.menu_edits import alter_each
from app.ports import UnavailableError
from app.settings import Settings
from tests.house import HouseEditor, HouseMenu

NOON = 1_777_629_600_000  # 1 May 2026 in Paris; ms since 1970, UTC
EXPORTED = """\
dishes:
- {id: m1, name: Grilled Salmon, price: '18.99', category: Mains, station: grill}
- {id: m4, name: Bread, price: '3.50', category: Sides, station: cold}
"""


class Manager:
    """Somebody at the command line, beside the store."""

    def __init__(self) -> None:
        self.store = HouseEditor(HouseMenu())

    @property
    def menu(self) -> Menu:
        return self.store.menu.current()

    def __call__(self, *arguments: str, answer: str = "") -> Result:
        return CliRunner().invoke(command, arguments, input=answer)

    def does(self, *arguments: str, answer: str = "") -> str:
        """What a command prints that does what it is to do."""
        done = self(*arguments, answer=answer)
        assert done.exit_code == 0, done.output
        return done.output

    def fails(self, *arguments: str) -> str:
        """What a command says that cannot do it, and does nothing."""
        before = self.menu
        failed = self(*arguments)
        assert (failed.exit_code, self.menu) == (1, before), failed.output
        return failed.stderr


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Manager]:
    manager = Manager()

    @asynccontextmanager
    async def open_editor(settings: Settings) -> AsyncIterator[HouseEditor]:
        yield manager.store

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(menu_editor, "open_editor", open_editor)
    monkeypatch.setattr(getpass, "getuser", lambda: "anna")
    monkeypatch.setattr("time.time_ns", lambda: NOON * 1_000_000)
    before = structlog.get_config()
    yield manager
    structlog.configure(**before)


def test_a_price_is_changed_and_the_history_tells_by_whom(manager: Manager) -> None:
    said = manager.does("set", "m1", "price=19.50", "name=Grilled Trout")
    dish = manager.menu.find("m1")
    assert dish is not None
    assert (dish.price, dish.name, dish.description, dish.allergens) == (1950, "Grilled Trout", "With lemon", ("fish",))
    change = "m1 Grilled Trout: name Grilled Salmon → Grilled Trout; price 18.99 → 19.50"
    assert said == f"  {change}\nrevision 2; the workers show it within a second\n"
    history = manager.does("history")
    assert "m1: price, name, by command line: anna" in history
    assert change in history


def test_fields_are_given_as_in_the_file(manager: Manager) -> None:
    served = 'served=[{"from": "12:00", "to": "14:30"}]'
    manager.does("set", "m2", 'allergens=["milk"]', served, "tax_rate=5.5", "available=false")
    dish = manager.menu.find("m2")
    assert dish is not None
    assert (dish.allergens, dish.served[0].start, dish.tax_rate, dish.available) == (("milk",), 720, 550, False)
    manager.does("set", "m2", "served=", "description=", "available=")
    dish = manager.menu.find("m2")
    assert dish is not None
    assert (dish.served, dish.description, dish.available) == ((), "", True)


def test_what_would_be_no_dish_is_refused_with_every_mistake(manager: Manager) -> None:
    said = manager.fails("set", "m1", "price=19.505", "station=roof", "spicy=true")
    assert [line.split(":")[0].strip() for line in said.split("\n")[1:4]] == ["price", "station", "spicy"]


def test_a_dish_that_changed_since_it_was_seen_is_shown(manager: Manager) -> None:
    manager.does("set", "m1", "price=19.50")
    said = manager.fails("set", "m1", "price=21", "--seen", "1")
    assert "m1 was last changed by revision 2" in said
    assert "price: '19.50'" in said
    manager.does("set", "m1", "price=21", "--seen", "2")


def test_what_stands_so_already_makes_no_revision(manager: Manager) -> None:
    assert manager.does("set", "m1", "price=18.99") == "nothing to change: so it stands at revision 1\n"


@pytest.mark.parametrize(
    "arguments", [("set", "m9", "price=1"), ("remove", "--yes", "m1", "m9"), ("sold-out", "m1", "m9")]
)
def test_a_dish_that_is_not_there_is_named_and_no_other_changes(manager: Manager, arguments: tuple[str, ...]) -> None:
    assert "there is no dish 'm9'" in manager.fails(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "m1"),
        ("set", "m1", "price"),
        ("set", "m1", "id=m9"),
        ("set", "m1", "price=1", "price=2"),
        ("sold-out", "m1", "--until", "18:00", "--back"),
        ("sold-out", "m1", "--until", "25:00"),
        ("sold-out", "m1", "--until", "2026-06-01T18:00"),
        ("sold-out", "m1", "--until", "2026-04-01T18:00Z"),
        ("export", "menu.txt"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(manager: Manager, arguments: tuple[str, ...]) -> None:
    assert manager(*arguments).exit_code == 2
    assert manager.menu.revision == 1


def test_dishes_go_only_after_a_yes(manager: Manager) -> None:
    assert manager("remove", "m1", "m3", answer="n\n").exit_code == 1
    assert manager.menu.revision == 1
    said = manager.does("remove", "m1", "m3", answer="y\n")
    assert "m3 Oysters 24.00" in said
    assert [item.id for item in manager.menu.items] == ["m2"]
    assert "- m1 Grilled Salmon (removed)" in manager.does("history", "m1")


@pytest.mark.parametrize(
    ("until", "local"),
    [("18:30", "2026-05-01T18:30"), ("9:15", "2026-05-02T09:15"), ("2026-05-03T20:00Z", "2026-05-03T22:00")],
)
def test_a_dish_is_sold_out_until_a_time_of_the_house(manager: Manager, until: str, local: str) -> None:
    manager.does("sold-out", "m1", "m3", "--until", until)
    for item_id in ("m1", "m3"):
        dish = manager.menu.find(item_id)
        assert dish is not None
        assert dish.available
        back = datetime.fromtimestamp(dish.sold_out_until / 1000, ZoneInfo("Europe/Paris"))
        assert back.isoformat().startswith(local)


def test_a_dish_comes_back(manager: Manager) -> None:
    manager.does("sold-out", "m1")
    assert "m1 Grilled Salmon: available false → true" in manager.does("sold-out", "m1", "--back")


def test_a_dish_of_a_station_that_is_closed_can_still_sell_out(manager: Manager) -> None:
    manager.does("sold-out", "m2")  # its stove is none of the settings' stations
    assert "there is no station 'stove'" in manager.fails("set", "m2", "station=stove")


def test_the_list_tells_what_can_be_ordered_now(manager: Manager) -> None:
    manager.does("sold-out", "m1", "--until", "18:30")
    manager.does("set", "m2", 'served=[{"days": ["mon", "tue", "fri"], "from": "18:00", "to": "22:00"}]')
    lines = manager.does("list").split("\n")
    assert lines[0].startswith("Bistro 92: menu revision 3, ")
    assert lines[0].endswith(" by command line: anna")
    assert lines[3].split("  ")[0] == "m1"
    for line, state in zip(
        lines[3:6], ["sold out until 18:30", "not now, served Mon–Tue Fri 18:00–22:00", "sold out"], strict=True
    ):
        assert state in line


@pytest.mark.parametrize("columns", ["30", "100"])
def test_no_price_is_cut_off_on_a_narrow_terminal(
    manager: Manager, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    said = manager.does("list")
    for text in ("18.99", "8.50", "24.00", "Salmon", "sold out"):
        assert text in said


def test_the_list_of_one_category(manager: Manager) -> None:
    said = json.loads(manager.does("list", "--category", "starters", "--json"))
    assert [(dish["id"], dish["price"], dish["can_be_ordered"]) for dish in said["dishes"]] == [
        ("m2", "8.50", True),
        ("m3", "24.00", False),
    ]
    assert "there are: Mains, Starters" in manager.fails("list", "--category", "Pizza")


def test_without_a_menu_the_list_tells_how_to_make_one(manager: Manager) -> None:
    manager.store.menu.menu = Menu()
    assert "menu import config/menu.yaml" in manager.does("list")


def test_a_file_becomes_the_menu(manager: Manager) -> None:
    Path("menu.yaml").write_text(EXPORTED, encoding="utf-8")
    before = manager.menu
    said = manager.does("import", "menu.yaml", "--dry-run")
    assert "1 new, 1 changed, 2 removed, 0 as before; nothing was changed, the menu is at revision 1" in said
    assert "m1 Grilled Salmon: description With lemon → none; allergens fish → none" in said
    assert manager.menu is before
    said = manager.does("import", "menu.yaml")
    assert said.startswith("1 new, 1 changed, 2 removed, 0 as before\n")
    assert said.endswith("revision 2; the workers show it within a second\n")
    assert [item.id for item in manager.menu.items] == ["m1", "m4"]


def test_the_houses_own_file_can_be_imported(manager: Manager) -> None:
    manager.does("import", str(FILE))
    assert len(manager.menu.items) > 60


def test_a_file_with_mistakes_changes_nothing_and_each_has_its_line(manager: Manager) -> None:
    Path("menu.yaml").write_text(EXPORTED.replace("3.50", "3.505"), encoding="utf-8")
    said = manager.fails("import", "menu.yaml")
    assert "\nmenu.yaml:3: m4: price: more digits" in said


@pytest.mark.parametrize("name", ["out.yaml", "out.json"])
def test_what_was_exported_is_the_menu_that_was(manager: Manager, name: str) -> None:
    manager.does("import", str(FILE))
    assert manager.does("export", name) == f"{len(manager.menu.items)} dishes of revision 2 in {name}\n"
    assert manager.does("import", name).endswith("nothing to change: so it stands at revision 2\n")


def test_an_export_writes_over_no_file(manager: Manager) -> None:
    Path("out.yaml").write_text("mine", encoding="utf-8")
    assert "out.yaml is there already; --force" in manager.fails("export", "out.yaml")
    manager.does("export", "out.yaml", "--force")
    assert Path("out.yaml").read_text(encoding="utf-8") == manager.does("export")
    assert "cannot be written" in manager.fails("export", "none/out.yaml")


def test_the_last_change_is_taken_back(manager: Manager) -> None:
    dishes = manager.menu.items
    manager.does("remove", "--yes", "m2")
    assert "+ m2 Onion Soup 8.50 (new)" in manager.does("undo")
    assert [item.id for item in manager.menu.items] == [item.id for item in dishes]


def test_what_changed_since_is_not_taken_back(manager: Manager) -> None:
    manager.does("set", "m1", "price=19")
    manager.does("set", "m1", "price=20")
    manager.does("set", "m2", "price=9")
    assert "nothing was taken back: m1 has changed again since revision 2" in manager.fails("undo", "2")
    assert "price 20.00 → 19.00" in manager.does("undo", "3")


def test_what_cannot_be_taken_back_is_said(manager: Manager) -> None:
    assert "no change is kept" in manager.fails("undo")
    manager.store.menu.menu = Menu()
    manager.does("import", str(FILE))
    assert "it made the first menu" in manager.fails("undo")
    assert "no revision 9 is kept" in manager.fails("undo", "9")


def test_the_history_of_one_dish(manager: Manager) -> None:
    for price in range(20, 26):
        manager.does("set", "m1", f"price={price}")
        manager.does("set", "m2", f"price={price}")
    said = manager.does("history", "m1", "--limit", "2").split("\n")
    assert [line for line in said if "→" in line] == [
        "  m1 Grilled Salmon: price 24.00 → 25.00",
        "  m1 Grilled Salmon: price 23.00 → 24.00",
    ]
    assert "no change of 'm9' is kept" in manager.fails("history", "m9")


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("set", "m1", "price=1"),
        ("remove", "m1"),
        ("export",),
        ("history",),
        ("undo",),
        ("import", str(FILE)),
    ],
)
def test_a_store_that_is_away_is_said(
    manager: Manager, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def open_editor(settings: Settings) -> AsyncIterator[HouseEditor]:
        raise UnavailableError("Cassandra at 127.0.0.1 did not answer within 10 s")
        yield manager.store

    monkeypatch.setattr(menu_editor, "open_editor", open_editor)
    said = manager.fails(*arguments)
    assert said.startswith("Error: Cassandra at 127.0.0.1 did not answer within 10 s; `python -m app status`")


def test_a_change_of_which_nothing_was_heard_may_be_made_again(manager: Manager) -> None:
    async def apply(edit: Callable[..., object], who: str, what: str) -> None:
        edit(manager.menu)
        raise UnavailableError("Cassandra did not answer in time")

    manager.store.apply = apply  # type: ignore[method-assign,assignment] # as it is when an answer is lost
    said = manager.fails("set", "m1", "price=1")
    assert "whether the change was made is not known" in said


def test_two_managers_are_not_in_each_others_way(manager: Manager) -> None:
    apply = manager.store.apply

    async def other_first(edit: Callable[..., object], who: str, what: str) -> object:
        raised = alter_each(["m2"], lambda item: replace(item, price=900))
        await apply(raised, "other", "m2: price")
        return await apply(edit, who, what)  # type: ignore[arg-type]

    manager.store.apply = other_first  # type: ignore[method-assign,assignment] # as if it was a moment earlier
    said = manager.does("set", "m1", "price=20")
    assert said == "  m1 Grilled Salmon: price 18.99 → 20.00\nrevision 3; the workers show it within a second\n"
