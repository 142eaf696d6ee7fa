// A menu for the tests of the pad.

import { Menu } from "../../../app/web/static/pad/menu.js";

export const SAUCE = {
  id: "sauce",
  name: "Sauce",
  minimum: 0,
  maximum: 2,
  modifiers: [
    { id: "pepper", name: "Pepper", price: 2 },
    { id: "blue", name: "Blue cheese", price: 2.5 },
  ],
};

// A dish as the interface tells it.
export function entry(id, more = {}) {
  const plain = {
    name: `Dish ${id}`,
    price: 18.99,
    category: "Mains",
    station: "grill",
    description: "",
    allergens: [],
  };
  return { id, ...plain, available: true, modifier_groups: [], tax_rate: 10, revision: 1, ...more };
}

export function menuOf(...items) {
  const menu = new Menu(2);
  menu.replace({ menu_revision: 1, items });
  return menu;
}
