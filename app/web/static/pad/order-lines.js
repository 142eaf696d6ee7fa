// The lines of an order as they are read: what, how many, with what, and what it costs.

import { element } from "../dom.js";
import { chosen } from "./menu.js";

// Names in the guest's language as far as the menu has the dish, else as they were when it was ordered.
export function named(line, menu) {
  const dish = menu.dish(line.dish);
  const found = dish ? chosen(dish, line.modifiers) : [];
  const names = found.length === line.modifiers.length ? found.map(({ name }) => name) : (line.names ?? []);
  return { name: dish?.name ?? line.name, names };
}

export function lineList(lines, { menu, money }, { before = [], gone = null } = {}) {
  const item = (line, index) => {
    const { name, names } = named(line, menu);
    const was = before[index];
    return element(
      "li",
      { className: index === gone ? "gone" : "" },
      element("span", { className: "quantity" }, `${line.quantity} × `),
      element(
        "span",
        { className: "words" },
        element("span", { className: "name" }, name),
        names.length > 0 && element("span", { className: "names" }, names.join(", ")),
        line.note && element("span", { className: "said" }, `“${line.note}”`),
      ),
      element(
        "span",
        { className: "price" },
        was !== undefined && was !== line.price && element("s", {}, money(was * line.quantity)),
        " ",
        money(line.price * line.quantity),
      ),
    );
  };
  return element("ul", { className: "list", role: "list" }, ...lines.map(item));
}

export function totalLine(label, total) {
  return element("p", { className: "total" }, element("span", {}, label), " ", element("strong", {}, total));
}
