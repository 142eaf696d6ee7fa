"""The menu as a file of YAML or JSON, judged whole before anything is changed; every mistake has its line."""

import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import yaml

from app.adapters.marked import Marked, Mistake, UnreadableError, read_json, read_yaml
from app.dishes import DishError, read_dish, write_dish
from app.domain.menu import MenuItem

FILE = Path(__file__).parents[2] / "config" / "menu.yaml"
SUFFIXES = (".yaml", ".yml", ".json")
SHOWN = 100  # mistakes; who has more made the same one everywhere

_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class MenuFileError(Exception):
    """The file is no menu; the text has a line `file:line: dish: what is wrong` for each mistake, the first 100."""

    def __init__(self, path: Path, mistakes: Sequence[Mistake]) -> None:
        shown = [f"{path}:{mistake.line}: {mistake.text}" for mistake in mistakes[:SHOWN]]
        more = len(mistakes) - SHOWN
        super().__init__("\n".join([*shown, f"… and {more} more"] if more > 0 else shown))
        self.mistakes = mistakes


def read_menu(path: Path, currency: str, stations: Collection[str] | None) -> list[MenuItem]:
    """The dishes of a list of them, or of `dishes: […]`, in the file's order; prices in minor units of `currency`.

    Raises:
        MenuFileError: with every mistake in it.
    """
    mistakes: list[Mistake] = []
    try:
        text = _text(path)
        root = read_json(text, mistakes) if path.suffix == ".json" else read_yaml(text, mistakes)
    except UnreadableError as error:
        raise MenuFileError(path, [error.mistake]) from error
    items = _read_dishes(_dishes(root, mistakes), currency, stations, mistakes)
    if mistakes:
        raise MenuFileError(path, sorted(mistakes, key=lambda mistake: mistake.line))
    return items


def write_menu(items: Iterable[MenuItem], currency: str, *, as_json: bool = False) -> str:
    """The text of a file that `read_menu` reads as these dishes."""
    menu = {"dishes": [write_dish(item, currency) for item in items]}
    if as_json:
        return json.dumps(menu, ensure_ascii=False, indent=2) + "\n"
    text: str = yaml.dump(menu, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
    return text


def _text(path: Path) -> str:
    if path.suffix not in SUFFIXES:
        raise UnreadableError(1, f"a menu is a file of YAML or JSON: its name ends in {', '.join(SUFFIXES)}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableError(1, f"cannot be read: {error.strerror}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError(line, f"no UTF-8: byte {data[error.start]:#04x}; save the file as UTF-8") from error


def _dishes(root: Marked, mistakes: list[Mistake]) -> list[Marked]:
    listed = root
    if isinstance(root.inner, dict):
        strange = {name: value for name, value in root.inner.items() if name != "dishes"}
        mistakes += [Mistake(value.line, f"{name}: only `dishes` stands here") for name, value in strange.items()]
        listed = root.inner.get("dishes", Marked(root.line, None))
    if not isinstance(listed.inner, list):
        mistakes.append(Mistake(listed.line, "a list of dishes was expected, or `dishes:` with a list of them"))
        return []
    if not listed.inner:
        mistakes.append(Mistake(listed.line, "there are no dishes in it"))
    return listed.inner


def _read_dishes(
    dishes: Sequence[Marked], currency: str, stations: Collection[str] | None, mistakes: list[Mistake]
) -> list[MenuItem]:
    """The dishes that are right; of the others, and of ids that stand twice, the mistakes are told."""
    items: list[MenuItem] = []
    lines: dict[str, int] = {}
    for place, dish in enumerate(dishes, start=1):
        if not isinstance(dish.inner, dict):
            mistakes.append(Mistake(dish.line, f"dish {place}: fields like `id: m1` were expected"))
            continue
        value = dish.plain()
        item_id = value.get("id")
        name = item_id if item_id and isinstance(item_id, str) else f"dish {place}"
        try:
            items.append(read_dish(value, currency=currency, stations=stations))
        except DishError as error:
            mistakes += [Mistake(dish.line_of(said.partition(":")[0]), f"{name}: {said}") for said in error.mistakes]
        if isinstance(item_id, str) and item_id in lines:
            mistakes.append(Mistake(dish.line_of("id"), f"{name}: the id stands twice, first in line {lines[item_id]}"))
        elif isinstance(item_id, str):
            lines[item_id] = dish.line_of("id")
    return items
