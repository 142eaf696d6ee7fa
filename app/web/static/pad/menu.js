// The menu as the pad knows it: dishes by id, in the menu's order, kept up to date by the events of its stream.

import { toMinor } from "./money.js";

export class Menu {
  revision = null; // null: not known yet
  #digits;
  #dishes = new Map();

  constructor(digits) {
    this.#digits = digits;
  }

  get isKnown() {
    return this.revision !== null;
  }

  // All of it.
  replace({ menu_revision: revision, items }) {
    this.#dishes = new Map(items.map((entry) => [entry.id, readDish(entry, this.#digits)]));
    this.revision = revision;
  }

  // What is new of it. A dish keeps its place, so that nothing moves under a finger.
  change({ menu_revision: revision, items, removed }) {
    for (const entry of items) this.#dishes.set(entry.id, readDish(entry, this.#digits));
    for (const id of removed) this.#dishes.delete(id);
    this.revision = revision;
  }

  dish(id) {
    return this.#dishes.get(id) ?? null;
  }

  // [{name, dishes}], in the order in which the categories begin.
  get categories() {
    const found = new Map();
    for (const dish of this.#dishes.values()) {
      if (!found.has(dish.category)) found.set(dish.category, { name: dish.category, dishes: [] });
      found.get(dish.category).dishes.push(dish);
    }
    return [...found.values()];
  }
}

// A dish of the interface, with prices in minor units.
export function readDish(entry, digits) {
  return {
    id: entry.id,
    name: entry.name,
    category: entry.category,
    description: entry.description,
    allergens: entry.allergens,
    price: toMinor(entry.price, digits),
    isAvailable: entry.available,
    soldOutUntil: entry.sold_out_until ?? null,
    served: entry.served ?? [],
    picture: safePicture(entry.picture),
    groups: entry.modifier_groups.map((group) => ({
      id: group.id,
      name: group.name,
      minimum: group.minimum,
      maximum: Math.min(group.maximum, group.modifiers.length),
      modifiers: group.modifiers.map(({ id, name, price }) => ({ id, name, price: toMinor(price, digits) })),
    })),
  };
}

// A picture that may be shown: one that nobody on the way can exchange; null where there is none.
function safePicture(address) {
  try {
    return new URL(address).protocol === "https:" ? address : null;
  } catch {
    return null;
  }
}

// The modifiers of a dish that have these ids, in the menu's order.
export function chosen(dish, ids) {
  return dish.groups.flatMap((group) => group.modifiers.filter((modifier) => ids.includes(modifier.id)));
}

// The price of one piece.
export function priceWith(dish, ids) {
  return chosen(dish, ids).reduce((sum, modifier) => sum + modifier.price, dish.price);
}

// What is wrong with a choice, for the guest to see: {group, count}; null where nothing is.
export function wrongChoice(dish, ids) {
  for (const group of dish.groups) {
    const count = group.modifiers.filter((modifier) => ids.includes(modifier.id)).length;
    if (count < group.minimum || count > group.maximum) return { group, count };
  }
  return null;
}

// Whether the dish still has all that was chosen with it, in a number that it allows.
export function canBeHad(dish, ids) {
  return chosen(dish, ids).length === ids.length && !wrongChoice(dish, ids);
}
