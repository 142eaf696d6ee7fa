import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  content,
  emptyBasket,
  look,
  newLine,
  plainText,
  replaceLine,
  setNote,
  setQuantity,
} from "../../../app/web/static/pad/basket.js";
import { Menu, wrongChoice } from "../../../app/web/static/pad/menu.js";
import { entry, menuOf, SAUCE } from "./house.mjs";

test("the same dish in the same way is one line, until it is full", () => {
  const menu = menuOf(entry("m1"));
  const line = newLine(menu.dish("m1"));
  const twice = add(add(emptyBasket("a"), line, 3), line, 3);
  assert.deepEqual(
    twice.lines.map(({ quantity }) => quantity),
    [2],
  );
  const noted = add(twice, newLine(menu.dish("m1"), { note: "no salt" }), 3);
  assert.equal(noted.lines.length, 2);
  assert.equal(add(twice, { ...line, quantity: 2 }, 3).lines.length, 2);
});

test("a line is changed, made more, and taken out", () => {
  const menu = menuOf(entry("m1"), entry("m2"));
  let basket = add(add(emptyBasket("a"), newLine(menu.dish("m1")), 99), newLine(menu.dish("m2")), 99);
  basket = setQuantity(basket, 0, 4);
  assert.equal(look(basket, menu).count, 5);
  basket = replaceLine(basket, 1, newLine(menu.dish("m2"), { note: "hot" }));
  assert.equal(basket.lines[1].note, "hot");
  assert.deepEqual(
    setQuantity(basket, 0, 0).lines.map(({ dish }) => dish),
    ["m2"],
  );
  assert.equal(basket.order_id, "a");
});

test("modifiers cost what the menu says, and stand in its order", () => {
  const menu = menuOf(entry("m1", { price: 10, modifier_groups: [SAUCE] }));
  const line = newLine(menu.dish("m1"), { quantity: 2, modifiers: ["blue", "pepper"] });
  assert.deepEqual(line.modifiers, ["pepper", "blue"]);
  assert.equal(look(add(emptyBasket("a"), line, 99), menu).total, 2 * (1000 + 200 + 250));
});

test("too few and too many of a choice are told", () => {
  const menu = menuOf(entry("m1", { modifier_groups: [{ ...SAUCE, minimum: 1, maximum: 1 }] }));
  assert.equal(wrongChoice(menu.dish("m1"), []).count, 0);
  assert.equal(wrongChoice(menu.dish("m1"), ["pepper"]), null);
  assert.equal(wrongChoice(menu.dish("m1"), ["pepper", "blue"]).count, 2);
});

test("what sells out while it is in the basket cannot be sent, and says so", () => {
  const menu = menuOf(entry("m1"), entry("m2"));
  const basket = add(add(emptyBasket("a"), newLine(menu.dish("m1")), 99), newLine(menu.dish("m2")), 99);
  assert.equal(look(basket, menu).canBeSent, true);
  menu.change({ menu_revision: 2, items: [entry("m1", { available: false })], removed: [] });
  assert.deepEqual(
    look(basket, menu).lines.map(({ problem }) => problem),
    ["unavailable", null],
  );
  assert.equal(look(basket, menu).canBeSent, false);
  assert.equal(look(setQuantity(basket, 0, 0), menu).canBeSent, true);
  menu.change({ menu_revision: 3, items: [entry("m1")], removed: ["m2"] });
  assert.deepEqual(
    look(basket, menu).lines.map(({ problem }) => problem),
    [null, "gone"],
  );
});

test("a choice that left the menu is told, and so is a price that changed", () => {
  const menu = menuOf(entry("m1", { price: 10, modifier_groups: [SAUCE] }));
  const basket = add(emptyBasket("a"), newLine(menu.dish("m1"), { modifiers: ["pepper"] }), 99);
  const dearer = { ...SAUCE, modifiers: [{ id: "pepper", name: "Pepper", price: 3 }] };
  menu.change({ menu_revision: 2, items: [entry("m1", { price: 10, modifier_groups: [dearer] })], removed: [] });
  assert.deepEqual([look(basket, menu).lines[0].now, basket.lines[0].price], [1300, 1200]);
  menu.change({ menu_revision: 3, items: [entry("m1", { price: 10 })], removed: [] });
  assert.equal(look(basket, menu).lines[0].problem, "choice");
});

test("a basket can be looked at before the menu has come, and not be sent", () => {
  const basket = add(emptyBasket("a"), newLine(menuOf(entry("m1", { price: 10 })).dish("m1")), 99);
  const seen = look(basket, new Menu(2));
  assert.deepEqual([seen.total, seen.lines[0].problem, seen.canBeSent], [1000, null, false]);
});

test("an order's content leaves out what is empty", () => {
  const menu = menuOf(entry("m1"));
  const basket = add(emptyBasket("a"), newLine(menu.dish("m1"), { quantity: 2 }), 99);
  assert.deepEqual(content(basket), { items: [{ menu_item_id: "m1", quantity: 2 }] });
  assert.equal(content(setNote(basket, "hot")).note, "hot");
});

test("notes hold what the interface takes", () => {
  assert.equal(plainText("  a\u0000b\r\nc\u007f ", 200), "ab\nc");
  assert.equal(plainText("🍲🍲🍲", 2), "🍲🍲");
});

test("only a picture that nobody on the way can exchange is shown", () => {
  const picture = (address) => menuOf(entry("m1", { picture: address })).dish("m1").picture;
  assert.equal(picture("https://x.example/a.jpg"), "https://x.example/a.jpg");
  for (const other of ["http://x.example/a.jpg", "javascript:alert(1)", "nothing", undefined])
    assert.equal(picture(other), null);
});

test("a dish keeps its place on the menu when it changes", () => {
  const menu = menuOf(entry("m1"), entry("m2"), entry("m3", { category: "Drinks" }));
  menu.change({ menu_revision: 2, items: [entry("m1", { available: false }), entry("m4")], removed: ["m2"] });
  const shown = menu.categories.map(({ name, dishes }) => [name, dishes.map(({ id }) => id)]);
  assert.deepEqual(shown, [
    ["Mains", ["m1", "m4"]],
    ["Drinks", ["m3"]],
  ]);
});
