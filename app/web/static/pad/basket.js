// What a guest is about to order. A basket is a value: each change makes another one. It has the order's id from its
// beginning until it is known to have been accepted, whatever is refused or lost in between: so nothing is ordered twice.

import { canBeHad, chosen, priceWith } from "./menu.js";

export function emptyBasket(orderId) {
  return { order_id: orderId, lines: [], note: "" };
}

export function isEmpty(basket) {
  return !basket.lines.length && !basket.note;
}

// A line as the guest chose it. `price` is what one piece cost when the guest saw it; name and names are kept for when
// the menu no longer has them.
export function newLine(dish, { quantity = 1, modifiers = [], note = "" } = {}) {
  const taken = chosen(dish, modifiers);
  return {
    dish: dish.id,
    name: dish.name,
    quantity,
    modifiers: taken.map((modifier) => modifier.id),
    names: taken.map((modifier) => modifier.name),
    note,
    price: priceWith(dish, modifiers),
  };
}

// The same dish in the same way is one line, as far as a line goes.
export function add(basket, line, most) {
  const index = basket.lines.findIndex((other) => isSame(other, line) && other.quantity + line.quantity <= most);
  if (index < 0) return { ...basket, lines: [...basket.lines, line] };
  return setQuantity(basket, index, basket.lines[index].quantity + line.quantity);
}

// None of it: the line goes.
export function setQuantity(basket, index, quantity) {
  return replaceLine(basket, index, quantity > 0 ? { ...basket.lines[index], quantity } : null);
}

export function replaceLine(basket, index, line) {
  const lines = basket.lines.map((other, place) => (place === index ? line : other));
  return { ...basket, lines: lines.filter(Boolean) };
}

export function setNote(basket, note) {
  return { ...basket, note };
}

// The basket by the menu as it is now: {lines, total, count, canBeSent}. A line has `now`, what one piece costs, and where
// it cannot be had a `problem`: "gone", "unavailable", or "choice" (something chosen with it is no longer there).
export function look(basket, menu) {
  const lines = basket.lines.map((line) => lookAt(line, menu));
  return {
    lines,
    total: lines.reduce((sum, line) => sum + line.now * line.quantity, 0),
    count: lines.reduce((sum, line) => sum + line.quantity, 0),
    canBeSent: menu.isKnown && lines.length > 0 && lines.every((line) => !line.problem),
  };
}

function lookAt(line, menu) {
  const kept = { ...line, now: line.price, problem: null };
  if (!menu.isKnown) return kept;
  const dish = menu.dish(line.dish);
  if (!dish) return { ...kept, problem: "gone" };
  const fresh = { ...kept, name: dish.name };
  if (!dish.isAvailable) return { ...fresh, problem: "unavailable" };
  if (!canBeHad(dish, line.modifiers)) return { ...fresh, problem: "choice" };
  return {
    ...fresh,
    names: chosen(dish, line.modifiers).map(({ name }) => name),
    now: priceWith(dish, line.modifiers),
  };
}

// The part of an order's body that makes it this order.
export function content(basket) {
  const items = basket.lines.map(({ dish, quantity, modifiers, note }) => ({
    menu_item_id: dish,
    quantity,
    ...(modifiers.length ? { modifiers } : {}),
    ...(note ? { note } : {}),
  }));
  return { items, ...(basket.note ? { note: basket.note } : {}) };
}

// What a guest typed, as the interface takes it: no control characters, and not longer than allowed. Length is counted as
// the server does, in whole characters.
export function plainText(text, most) {
  return [
    ...text
      .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g, "")
      .replace(/\r\n?/g, "\n")
      .trim(),
  ]
    .slice(0, most)
    .join("");
}

function isSame(one, other) {
  const { dish, note, modifiers } = other;
  return one.dish === dish && one.note === note && one.modifiers.join("\n") === modifiers.join("\n");
}
