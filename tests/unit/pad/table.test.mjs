import assert from "node:assert/strict";
import { test } from "node:test";
import { readCancelled } from "../../../app/web/static/pad/cancel.js";
import { Table } from "../../../app/web/static/pad/table.js";
import { speak } from "../../../app/web/static/pad/texts.js";

const NOW = Date.parse("2026-11-26T20:00:00Z");
const MINUTE = 60_000;

function read(id, version, placedAt = NOW, more = {}) {
  const items = [
    { line_id: "1", menu_item_id: "m1", name: "Salmon", quantity: 2, price: 18.99, note: "", modifiers: [] },
  ];
  const plain = {
    order_id: id,
    client_order_id: `c-${id}`,
    table_number: "T1",
    session: 1,
    version,
    status: "received",
  };
  return {
    ...plain,
    items,
    total: 37.98,
    currency: "EUR",
    placed_at: new Date(placedAt).toISOString(),
    note: "",
    ...more,
  };
}

const told = (id, state, more = {}) => ({ order_id: id, state, reason: "", tickets: [], ...more });
const snapshot = (...orders) => ({ orders, unseen_after: 15 });

function tableOf(orders, kitchen) {
  const table = new Table("T1", 2);
  table.readTable({ version: orders.length, total: 0 });
  table.readOrders(orders);
  if (kitchen) table.snapshot(kitchen);
  return table;
}

const states = (table, now = NOW) => Object.fromEntries(table.orders(now).map(({ id, state }) => [id, state]));

test("an order is as far as the kitchen says", () => {
  const table = tableOf([read("o1", 1), read("o2", 2)], snapshot(told("o1", "cooking"), told("o2", "seen")));
  assert.deepEqual(states(table), { o1: "cooking", o2: "seen" });
  table.tell(told("o1", "ready"));
  assert.deepEqual(states(table), { o1: "ready", o2: "seen" });
  assert.deepEqual(
    table.orders(NOW).map(({ id }) => id),
    ["o2", "o1"],
  );
});

test("what the kitchen tells no more of was served, and what it tells nothing of yet is received", () => {
  const table = tableOf([read("o1", 1), read("o2", 2), read("o3", 3)], snapshot(told("o2", "cooking")));
  assert.deepEqual(states(table), { o1: "served", o2: "cooking", o3: "received" });
  assert.deepEqual(states(table, NOW + 30 * MINUTE), { o1: "served", o2: "cooking", o3: "served" });
});

test("before the kitchen has told anything nothing is said of it", () => {
  assert.deepEqual(states(tableOf([read("o1", 1)], null)), { o1: "unknown" });
});

test("an order that no display has shown for long is told", () => {
  const table = tableOf([read("o1", 1)], snapshot(told("o1", "received")));
  assert.equal(table.orders(NOW + 14_000)[0].isUnseen, false);
  assert.equal(table.orders(NOW + 16_000)[0].isUnseen, true);
  table.tell(told("o1", "seen"));
  assert.equal(table.orders(NOW + 16_000)[0].isUnseen, false);
});

test("an order can be cancelled until a cook has begun", () => {
  const table = tableOf([read("o1", 1)], snapshot());
  for (const [state, can] of [
    ["received", true],
    ["seen", true],
    ["cooking", false],
    ["ready", false],
    ["served", false],
  ]) {
    table.tell(told("o1", state));
    assert.equal(table.orders(NOW)[0].canBeCancelled, can, state);
  }
  table.cancelled("o1");
  assert.equal(states(table).o1, "cancelled");
  assert.equal(states(tableOf([read("o1", 1, NOW, { status: "cancelled" })], snapshot())).o1, "cancelled");
});

test("another pad's order is read when the kitchen names it", () => {
  const table = tableOf([read("o1", 1)], snapshot(told("o1", "seen"), told("o2", "received")));
  assert.equal(table.lacks, true);
  table.readOrders([read("o1", 1), read("o2", 2)]);
  assert.equal(table.lacks, false);
});

test("an order that was just accepted is shown at once, and a read that it overtook is not believed", () => {
  const table = tableOf([], snapshot());
  const line = { dish: "m1", name: "Salmon", names: [], modifiers: [], quantity: 1, note: "", price: 1899 };
  table.placed({ orderId: "o1", version: 1 }, { basket: { order_id: "c", lines: [line], note: "" }, total: 1899 }, NOW);
  table.readTable({ version: 0, total: 0 });
  assert.deepEqual([table.version, states(table)], [1, { o1: "received" }]);
});

test("a cancel is done, refused with who has begun, or asked for again", () => {
  assert.equal(readCancelled(200, '{"order_id":"o1","status":"cancelled"}', null).kind, "cancelled");
  const refused = readCancelled(409, '{"error":"Cannot cancel","detail":"grill has begun"}', null);
  assert.deepEqual([refused.kind, refused.station], ["refused", "grill"]);
  assert.deepEqual(readCancelled(503, '{"error":"Service unavailable"}', "1"), { kind: "unknown", seconds: 1 });
  assert.equal(readCancelled(429, '{"error":"Rate limit"}', "3").seconds, 3);
  assert.equal(readCancelled(200, "<html>", null).kind, "unknown");
  assert.equal(readCancelled(401, '{"error":"Unauthorized"}', null).kind, "ended");
});

test("the pad speaks the guest's language, or English", () => {
  const said = (wanted, ...languages) => {
    const { language, locale } = speak(wanted, languages);
    return [language, locale];
  };
  assert.deepEqual(said(null, "de-DE", "fr-CA", "en"), ["fr", "fr-CA"]);
  assert.deepEqual(said(null, "de-DE"), ["en", "en"]);
  assert.deepEqual(said("fr", "en-GB"), ["fr", "fr"]);
  assert.deepEqual(said("xx", "en-GB"), ["en", "en-GB"]);
});

test("each language says everything", () => {
  const shape = (value) => {
    if (typeof value !== "object") return typeof value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]));
  };
  assert.deepEqual(shape(speak("fr", []).texts), shape(speak("en", []).texts));
});
