import assert from "node:assert/strict";
import { test } from "node:test";
import { add, look, newLine, setQuantity } from "../../../app/web/static/pad/basket.js";
import { toMinor } from "../../../app/web/static/pad/money.js";
import {
  arm,
  asAnother,
  body,
  due,
  heard,
  hurry,
  learn,
  newState,
  readAnswer,
  resend,
  send,
  sendWithout,
  takeBack,
} from "../../../app/web/static/pad/outbox.js";
import { entry, menuOf } from "./house.mjs";

const MENU = menuOf(entry("m1"), entry("m2", { price: 8.5 }));
const ACCEPTED = { kind: "accepted", orderId: "o1", version: 6 };
const NO_ANSWER = { kind: "unknown", seconds: 0 };

function chosen(...dishes) {
  const state = newState("first");
  return { ...state, basket: dishes.reduce((basket, id) => add(basket, newLine(MENU.dish(id)), 99), state.basket) };
}

function sent(...dishes) {
  const state = chosen(...dishes);
  return send(state, look(state.basket, MENU), { version: 5, revision: 1, nextId: "second" });
}

function hears(state, answer, now = 0) {
  return heard(state, state.outbox?.basket.order_id, answer, {
    now,
    random: 1,
    toMinor: (decimal) => toMinor(decimal, 2),
  });
}

const ordered = (state) => body(state.outbox, "T1");

test("an order goes out as the guest saw it, and the next basket has another id", () => {
  const state = sent("m1", "m1", "m2");
  assert.deepEqual(ordered(state), {
    table_number: "T1",
    items: [
      { menu_item_id: "m1", quantity: 2 },
      { menu_item_id: "m2", quantity: 1 },
    ],
    version: 5,
    menu_revision: 1,
    order_id: "first",
  });
  assert.deepEqual([state.basket.order_id, state.basket.lines.length, state.outbox.total], ["second", 0, 4648]);
  assert.equal(due(state, 0), 0);
});

test("while one order is on its way no other is sent", () => {
  const state = sent("m1");
  const more = { ...state, basket: add(state.basket, newLine(MENU.dish("m2")), 99) };
  assert.equal(send(more, look(more.basket, MENU), { version: 5, revision: 1, nextId: "third" }), more);
});

test("without an answer the same goes out again, in the same words, ever more patiently", () => {
  let state = sent("m1");
  const words = JSON.stringify(ordered(state));
  const waits = [];
  for (let now = 0, times = 0; times < 6; times++) {
    state = JSON.parse(JSON.stringify(hears(state, NO_ANSWER, now))); // and reloads change nothing
    assert.equal(JSON.stringify(ordered(state)), words);
    waits.push(due(state, now));
    now += waits.at(-1);
  }
  assert.deepEqual(waits, [1000, 2000, 4000, 8000, 10_000, 10_000]);
  assert.equal(due(hurry(state), 0), 0);
});

test("a 503 that says when is not asked again before", () => {
  assert.equal(due(hears(sent("m1"), { kind: "unknown", seconds: 7 }), 0), 7000);
});

test("an accepted order is gone from here", () => {
  assert.equal(hears(sent("m1"), ACCEPTED).outbox, null);
});

test("an answer to another order changes nothing", () => {
  const state = sent("m1");
  assert.equal(heard(state, "another", ACCEPTED, {}), state);
});

test("what was refused goes out again with the same id when the guest says so, and not before", () => {
  const refused = hears(sent("m1"), { kind: "conflict", version: 7, missed: [] });
  assert.equal(due(refused, 0), null);
  const again = resend(refused);
  assert.deepEqual([ordered(again).version, ordered(again).order_id, due(again, 0)], [7, "first", 0]);
});

test("a changed price goes out only after it was shown", () => {
  const answer = { kind: "menu", revision: 9, items: [{ price: 20 }, { price: 8.5 }], total: 28.5 };
  const refused = hears(sent("m1", "m2"), answer);
  assert.equal(due(refused, 0), null);
  assert.deepEqual([refused.outbox.total, refused.outbox.before], [2850, { prices: [1899, 850], total: 2749 }]);
  assert.equal(ordered(resend(refused)).menu_revision, 9);
});

test("the rest goes out without what cannot be had", () => {
  const refused = hears(sent("m1", "m2"), { kind: "item", index: 0, detail: "Dish m1 is sold out" });
  const rest = sendWithout(refused, 0);
  assert.deepEqual(
    [ordered(rest).items, rest.outbox.total, ordered(rest).order_id],
    [[{ menu_item_id: "m2", quantity: 1 }], 850, "first"],
  );
  const nothing = sendWithout(hears(sent("m1"), { kind: "item", index: 0, detail: "" }), 0);
  assert.deepEqual([nothing.outbox, nothing.basket.lines, nothing.basket.order_id], [null, [], "first"]);
});

test("after a 429 it waits, and goes by itself only where the guest said so", () => {
  const limited = hears(sent("m1"), { kind: "limited", seconds: 42 }, 1000);
  assert.equal(due(limited, 1000), null);
  assert.equal(due(arm(limited, true), 1000), 42_000);
  assert.equal(due(arm(arm(limited, true), false), 1000), null);
});

test("after a 429 what may have arrived before goes on by itself", () => {
  const limited = hears(hears(sent("m1"), NO_ANSWER), { kind: "limited", seconds: 42 });
  assert.equal(due(limited, 0), 42_000);
});

test("what is taken back keeps its id, and stands before what was chosen meanwhile", () => {
  let state = hears(sent("m1"), { kind: "conflict", version: 7, missed: null });
  state = takeBack({ ...state, basket: add(state.basket, newLine(MENU.dish("m2")), 99) });
  assert.deepEqual(
    state.basket.lines.map(({ dish }) => dish),
    ["m1", "m2"],
  );
  assert.deepEqual([state.outbox, state.basket.order_id], [null, "first"]);
});

test("only who wants it twice gets it twice", () => {
  const state = asAnother(hears(sent("m1"), { kind: "reused" }), "third");
  assert.deepEqual([state.outbox, state.basket.order_id, state.basket.lines.length], [null, "third", 1]);
});

const standing = (items, client = "first") => [{ order_id: "o1", client_order_id: client, items, note: "" }];
const SALMON = { menu_item_id: "m1", quantity: 1, note: "", modifiers: [] };

test("an order whose answer was lost is known by the table's orders", () => {
  const learnt = learn(hears(sent("m1"), NO_ANSWER), standing([SALMON]), "third");
  assert.deepEqual([learnt.settled, learnt.state.outbox], ["sent", null]);
  assert.equal(learn(sent("m1"), standing([SALMON], "another"), "third").settled, null);
});

test("what was taken back and had arrived is not in the basket any more", () => {
  const learnt = learn(takeBack(hears(sent("m1"), NO_ANSWER)), standing([SALMON]), "third");
  assert.deepEqual([learnt.settled, learnt.state.basket.lines, learnt.state.basket.order_id], ["basket", [], "third"]);
});

test("what was taken back, changed, and had arrived as it was, goes on as another order", () => {
  const back = takeBack(hears(sent("m1"), NO_ANSWER));
  const more = { ...back, basket: setQuantity(back.basket, 0, 2) };
  const learnt = learn(more, standing([SALMON]), "third");
  assert.deepEqual(
    [learnt.settled, learnt.state.basket.lines.length, learnt.state.basket.order_id],
    ["changed", 1, "third"],
  );
});

test("another order under the same id is never taken for this one", () => {
  const learnt = learn(sent("m1"), standing([{ ...SALMON, quantity: 2 }]), "third");
  assert.deepEqual([learnt.settled, learnt.state.outbox.state], [null, "reused"]);
});

test("answers are read as the interface writes them", () => {
  const read = (status, told, after = null) => readAnswer(status, JSON.stringify(told), after);
  assert.deepEqual(read(201, { order_id: "o1", status: "received", version: 6 }), ACCEPTED);
  assert.deepEqual(read(409, { error: "Version conflict", current_version: 7 }), {
    kind: "conflict",
    version: 7,
    missed: null,
  });
  assert.equal(read(409, { error: "Menu changed", menu_revision: 9, items: [], total: 0 }).kind, "menu");
  assert.deepEqual(read(400, { error: "Invalid item", detail: "items[3].menu_item_id: Oysters is sold out" }), {
    kind: "item",
    index: 3,
    detail: "Oysters is sold out",
  });
  assert.deepEqual(read(400, { error: "Invalid item" }), { kind: "item", index: null, detail: "" });
  assert.deepEqual(read(400, { error: "Invalid request", detail: "note" }), { kind: "invalid", detail: "note" });
  assert.deepEqual(read(429, { error: "Rate limit" }, "42"), { kind: "limited", seconds: 42 });
  assert.equal(read(429, { error: "Rate limit" }).seconds, 1);
  assert.equal(read(401, { error: "Unauthorized" }).kind, "ended");
  assert.equal(read(403, { error: "Forbidden" }).kind, "forbidden");
  assert.equal(read(422, { error: "Order id reused" }).kind, "reused");
});

test("what is not the house's answer says nothing of the order", () => {
  for (const status of [200, 201, 302, 400, 401, 403, 404, 409, 429, 500, 502, 504]) {
    assert.equal(readAnswer(status, "<html>Sign in to the WLAN</html>", null).kind, "unknown", status);
  }
  assert.deepEqual(readAnswer(503, '{"error":"Service unavailable"}', "1"), { kind: "unknown", seconds: 1 });
  assert.equal(readAnswer(500, '{"error":"Internal error"}', null).kind, "unknown");
});
