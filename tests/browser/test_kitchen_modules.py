# ruff: noqa: E501 - scripts in another language
"""The parts of the display that need no page: what is on the board, how old it is, what a key means, what is sent."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.kitchen import open_kitchen
from tests.chromium import Browser

pytestmark = pytest.mark.pages

Run = Callable[..., Any]

TICKETS = """
  const ticket = (id, more = {}) => ({ticket_id: id, version: 1, state: "new", order_id: id, table_number: "T1", session: 1,
    round: 1, station: "grill", stations: ["grill"], note: "", placed_at: "2026-11-26T20:00:00.000Z", action: "place", by: "",
    reason: "", acknowledged: false, lines: [{line_id: "1", menu_item_id: "m1", name: "Salmon", quantity: 2, note: "",
    modifiers: [], allergens: [], done: false}], ...more});
  const snapshot = (tickets, recent = []) => ({tickets, recent, more: 0, unseen_after: 15, warn_after: 480, late_after: 900});
"""


@pytest.fixture(scope="module")
def run(_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs a script with a module of the page as `m`; what it returns."""
    page = Browser(tmp_path_factory.mktemp("browser"), 1024, 600)
    with open_kitchen() as kitchen:
        page.open(f"{kitchen.url}/kitchen")
        sheet = page.find('link[href$="kitchen/kitchen.css"]').get_attribute("href")
        folder = str(sheet).removesuffix("kitchen/kitchen.css")

        def run(module: str, script: str) -> Any:
            told = page.driver.execute_async_script(
                f"""const done = arguments[arguments.length - 1];
                import("{folder}{module}").then(async (m) => {{ {TICKETS} {script} }})
                  .then((value) => done({{value}}), (error) => done({{error: error.stack}}));"""
            )
            assert "error" not in told, told["error"]
            return told.get("value")

        yield run
    page.close()


BOARD = "kitchen/board.js"


def test_an_older_version_changes_nothing_and_brings_nothing_back(run: Run) -> None:
    assert run(
        BOARD,
        """const board = new m.Board();
        board.snapshot(snapshot([ticket("a", {version: 3, state: "cooking"})]));
        board.ticket(ticket("a", {version: 2, state: "seen"}));
        const kept = board.find("a").state;
        board.ticket(ticket("a", {version: 5, state: "served"}));
        board.ticket(ticket("a", {version: 4, state: "ready"}));
        return [kept, board.tickets.size, board.recent.map((one) => one.version)];""",
    ) == ["cooking", 0, [5]]


def test_a_snapshot_is_all_there_is_and_tells_what_came_meanwhile(run: Run) -> None:
    assert run(
        BOARD,
        """const board = new m.Board();
        const first = board.snapshot(snapshot([ticket("a"), ticket("b")]));
        const then = board.snapshot(snapshot([ticket("b"), ticket("c"), ticket("d", {state: "voided"})]));
        const ids = (list) => list.map((one) => one.ticket_id);
        return [ids(first.arrived), ids(then.arrived), ids(then.voided), [...board.tickets.keys()]];""",
    ) == [[], ["c"], ["d"], ["b", "c", "d"]]


def test_what_leaves_can_be_recalled_ten_times_back_and_comes_again(run: Run) -> None:
    assert run(
        BOARD,
        """const board = new m.Board();
        board.snapshot(snapshot(Array.from({length: 12}, (_, n) => ticket(`t${n}`))));
        for (let n = 0; n < 12; n += 1) board.ticket(ticket(`t${n}`, {version: 2, state: "served"}));
        const recent = board.recent.map((one) => one.ticket_id);
        board.ticket(ticket("t11", {version: 3, state: "cooking"}));
        return [recent.length, recent[0], board.recent[0].ticket_id, board.tickets.has("t11")];""",
    ) == [10, "t11", "t10", True]


def test_what_was_tapped_is_foreseen_step_by_step_and_not_twice(run: Run) -> None:
    assert run(
        BOARD,
        """const bump = (version) => ({version, action: "bump"});
        const state = (one, ...commands) => m.foreseen(one, commands).state;
        const cooking = ticket("a", {version: 2, state: "cooking", action: "bump"});
        return [
          state(ticket("a"), bump(1)), state(ticket("a"), bump(1), bump(2)), state(ticket("a"), bump(1), bump(2), bump(3)),
          state(cooking, bump(1)),
          state(ticket("a", {version: 2, state: "seen", action: "see"}), bump(1)),
          state(ticket("a"), bump(1), bump(2), {version: 3, action: "undo"}),
          m.foreseen(ticket("a"), [{version: 1, action: "line_done", line_id: "1"}]).lines[0].done,
          m.isShown(m.foreseen(ticket("a", {state: "voided"}), [{version: 1, action: "acknowledge_void"}])),
        ];""",
    ) == ["cooking", "ready", "served", "cooking", "cooking", "cooking", True, False]


def test_voids_stand_first_then_the_oldest(run: Run) -> None:
    assert run(
        BOARD,
        """const at = (time) => ({placed_at: `2026-11-26T20:0${time}:00.000Z`});
        const list = [ticket("c", at(3)), ticket("a", at(1)), ticket("v", {...at(5), state: "voided"}), ticket("b", at(1))];
        return m.inOrder(list).map((one) => one.ticket_id);""",
    ) == ["v", "a", "b", "c"]


def test_an_addition_is_of_the_same_table_session_and_station_while_the_earlier_is_cooked(run: Run) -> None:
    assert run(
        BOARD,
        """const first = (state) => ticket("a", {state});
        const found = (...list) => [...m.additions(list)];
        const second = ticket("b", {round: 2});
        return [found(first("cooking"), second), found(first("ready"), second), found(second),
          found(first("new"), ticket("b", {round: 2, session: 2})), found(first("new"), ticket("b", {round: 2, station: "fry"}))];""",
    ) == [["b"], [], [], [], []]


def test_all_day_counts_what_is_still_to_be_made(run: Run) -> None:
    assert run(
        BOARD,
        """const line = (id, name, quantity, more = {}) => ({line_id: id + quantity, menu_item_id: id, name, quantity, note: "",
          modifiers: [], allergens: [], done: false, ...more});
        const rare = {modifiers: ["Rare"]};
        return m.allDay([
          ticket("a", {lines: [line("m1", "Salmon", 2), line("m2", "Steak", 1, rare), line("m1", "Salmon", 4, {done: true})]}),
          ticket("b", {state: "cooking", lines: [line("m2", "Steak", 2, rare), line("m2", "Steak", 1)]}),
          ticket("c", {state: "ready"}), ticket("d", {state: "voided"}),
        ]).map(({name, count, modifiers}) => [name, count, modifiers]);""",
    ) == [["Steak", 4, [["Rare", 3]]], ["Salmon", 2, []]]


def test_a_filter_finds_words_anywhere_and_never_hides_a_void(run: Run) -> None:
    assert run(
        BOARD,
        """const one = ticket("a", {note: "No Nuts"});
        const fits = (text, state = "all", which = one) => m.fits(which, {text, state});
        return [fits("salm"), fits("t1 nuts"), fits("t1 steak"), fits("", "todo"), fits("", "cooking"),
          fits("steak", "ready", ticket("v", {state: "voided"}))];""",
    ) == [True, True, False, True, False, True]


def test_an_age_is_read_and_its_band_is_exact(run: Run) -> None:
    assert run(
        "kitchen/ages.js",
        """const limits = {warnAfter: 480, lateAfter: 900};
        const bands = [479_999, 480_000, 899_999, 900_000].map((age) => m.band(age, limits));
        return [bands, [-5, 7_000, 754_900, 3_900_000].map(m.ageText)];""",
    ) == [["fresh", "warn", "warn", "late"], ["0:00", "0:07", "12:34", "1 h 05"]]


def test_a_ticket_becomes_late_once_and_one_that_was_is_no_news(run: Run) -> None:
    assert run(
        "kitchen/ages.js",
        """const watch = new m.LateWatch();
        const start = Date.parse("2026-11-26T20:00:00.000Z");
        const old = ticket("old", {placed_at: "2026-11-26T19:00:00.000Z"});
        const look = (seconds) => watch.look([ticket("a"), old], start + seconds * 1000, {lateAfter: 900, warnAfter: 480})
          .map((one) => one.ticket_id);
        return [look(0), look(899), look(900), look(901)];""",
    ) == [[], [], ["a"], []]


def test_a_key_means_what_the_list_of_keys_says(run: Run) -> None:
    assert run(
        "kitchen/keys.js",
        """const does = (key, mode, more = {}) => { const found = m.intent({key, ...more}, mode); return found && (found.index ?? found.do); };
        return [
          ["1", "9", "0"].map((key) => does(key)), ["1", "0"].map((key) => m.intent({key}, "lines").do),
          does("Enter"), does(" "), does("U"), does("u"), does("?"), does("q"), does("l", "lines"),
          m.intent({key: "3"}, "recall").do, does("Enter", "recall"), does("r", "recall"),
          does("r", "board", {ctrlKey: true}), does("Enter", "board", {repeat: true}), does("ArrowLeft", "board", {repeat: true}),
        ];""",
    ) == [
        *([0, 8, 9], ["line", "line"], "bump", "bump", "undo", "undo", "help", None, "leave"),
        *("recallOne", None, "leave", None, "nothing", "move"),
    ]


def test_arrows_go_through_columns_and_stop_at_the_ends(run: Run) -> None:
    assert run(
        "kitchen/keys.js",
        """const box = (left, top) => ({left, top, width: 100, height: 90});
        const boxes = [box(0, 0), box(0, 100), box(110, 0), box(110, 100), box(220, 0)];
        const go = (from, way) => m.neighbour(boxes, from, way);
        return [go(1, "right"), go(3, "right"), go(4, "right"), go(3, "left"), go(0, "left"), go(0, "up"), go(4, "down"),
          go(2, "up"), go(-1, "right"), go(2, "last"), m.neighbour([], -1, "down")];""",
    ) == [3, 4, 4, 1, 0, 0, 4, 1, 0, 4, -1]


COMMANDS = """
  const kept = {}, told = [], sent = [];
  const storage = {getItem: (key) => kept[key] ?? null, setItem: (key, value) => (kept[key] = value)};
  let answers = [];
  const make = () => new m.Commands({storage, sleep: async () => {}, tell: (one) => told.push(`${one.kind} ${one.command.action} ${one.command.version}`),
    send: async (command) => { sent.push({...command}); const answer = answers.shift(); if (!answer) return new Promise(() => {});
      if (answer === "lost") throw new TypeError("Failed to fetch"); return {retryAfter: 0, ...answer}; }});
  const done = (version) => ({status: 200, body: {ticket_id: "a", version}});
  const settled = () => new Promise((resolve) => setTimeout(resolve, 20));
"""


def test_a_command_is_sent_until_it_is_answered_always_the_same(run: Run) -> None:
    times, ids, told, left = run(
        "kitchen/commands.js",
        COMMANDS
        + """answers = ["lost", {status: 503, body: null}, {status: 429, body: {}}, done(4)];
        const commands = make(); commands.add("a", 3, "bump"); await settled();
        return [sent.length, new Set(sent.map((one) => JSON.stringify(one))).size, told, JSON.parse(kept["kitchen.commands"]).length];""",
    )
    assert (times, ids, told, left) == (4, 1, ["done bump 3"], 0)


def test_those_of_one_ticket_wait_for_each_other_and_count_what_was_merely_seen(run: Run) -> None:
    assert run(
        "kitchen/commands.js",
        COMMANDS
        + """const commands = make(); answers = [done(3), done(4)];
        commands.add("a", 1, "bump"); commands.add("a", 1, "bump"); commands.add("b", 7, "bump"); await settled();
        return [sent.map((one) => [one.ticket_id, one.version]), told];""",
    ) == [[["a", 1], ["b", 7], ["a", 3]], ["done bump 1", "done bump 7"]]


def test_what_waits_behind_a_refused_one_is_dropped(run: Run) -> None:
    assert run(
        "kitchen/commands.js",
        COMMANDS
        + """const commands = make(); answers = [{status: 409, body: {error: "Version conflict", ticket: {}}}];
        commands.add("a", 1, "bump"); commands.add("a", 1, "bump"); await settled();
        return [told, commands.size];""",
    ) == [["conflict bump 1", "dropped bump 2"], 0]


def test_after_a_reload_they_go_on_with_their_ids(run: Run) -> None:
    assert run(
        "kitchen/commands.js",
        COMMANDS
        + """const before = make(); answers = []; const {command_id} = before.add("a", 1, "bump"); await settled();
        const after = make(); answers = [done(2)]; after.start(); await settled();
        return [sent.length, sent.every((one) => one.command_id === command_id), after.size];""",
    ) == [2, True, 0]


def test_an_answer_means_one_thing(run: Run) -> None:
    assert run(
        "kitchen/commands.js",
        """return [[200, {ticket_id: "a"}], [200, null], [401], [403], [404], [409, {error: "Not possible"}], [409, {error: "Version conflict"}],
          [422], [429], [500], [503]].map(([status, body]) => m.verdict(status, body));""",
    ) == ["done", None, "denied", "forbidden", "gone", "impossible", "conflict", "refused", None, None, None]


STREAM = "stream.js"


def test_events_are_read_however_the_bytes_are_cut(run: Run) -> None:
    assert run(
        STREAM,
        r"""const text = "retry: 300\n\nid: 1\r\nevent: ticket\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n: beat\n\nevent: beat\ndata:{}\n\ndata: x\rid: 2\r\r\nnever: ended";
        const whole = new m.EventParser(); const all = whole.feed(text);
        const letters = new m.EventParser(); const each = [...text].flatMap((letter) => letters.feed(letter));
        return [all, JSON.stringify(all) === JSON.stringify(each), whole.retry];""",
    ) == [
        [
            {"event": "ticket", "data": '{"a":\n1}', "id": "1"},
            {"event": "beat", "data": "{}", "id": "1"},
            {"event": "message", "data": "x", "id": "2"},
        ],
        True,
        300,
    ]


def test_the_servers_time_is_the_one_that_came_fastest(run: Run) -> None:
    assert (
        run(
            STREAM,
            """let ticks = 0; const clock = new m.ServerClock(() => ticks);
            const start = Date.parse("2026-11-26T20:00:00.000Z");
            const hear = (at, late) => { ticks = at + late; clock.hear(new Date(start + at).toISOString()); };
            hear(0, 400); hear(2000, 30); hear(4000, 900); clock.hear("nonsense");
            return clock.now() - start - ticks;""",
        )
        == -30
    )


def test_attempts_come_apart_and_never_all_at_once(run: Run) -> None:
    assert run(
        STREAM,
        """return [[0, 1, 2, 9].map((attempt) => m.pause(attempt, 250, () => 1)), m.pause(0, 250, () => 0), m.pause(9, 250, () => 0)];""",
    ) == [[250, 500, 1000, 5000], 125, 2500]
