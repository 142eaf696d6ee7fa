"""Which names a station may have: its tickets' ids, the addresses of its streams and the display's page hold it."""

import json

import pytest

from app.settings import Restaurant, SettingsError, load


@pytest.mark.parametrize("name", ["grill", "hot grill", "a/b", "x.y", "küche #1?", "😀%2F"])
def test_a_station_may_have_nearly_any_name(name: str) -> None:
    assert Restaurant(stations=(name, "bar")).stations == (name, "bar")


@pytest.mark.parametrize(
    "names",
    [
        ["all"],  # is every station
        ["."],
        [".."],  # a browser makes another path of it
        ["bar", "bar"],
        ["gr\till"],
        ["gr\nill"],  # receipts with control characters are refused
        [" grill"],
        [""],
        [],
    ],
)
def test_no_station_has_a_name_that_its_display_could_not_open(
    names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BISTRO92_RESTAURANT__STATIONS", json.dumps(names))
    with pytest.raises(SettingsError, match="BISTRO92_RESTAURANT__STATIONS"):
        load()
