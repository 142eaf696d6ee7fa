// The menu: parts, dishes, and what one touches to order them.

import { element } from "../dom.js";
import { add, newLine } from "./basket.js";
import { wrongChoice } from "./menu.js";
import { byId, NodeList, Part } from "./show.js";

export class MenuView {
  #pad;
  #categories = new Part(byId("categories"));
  #parts = new NodeList(byId("dishes"));
  #dishes = new Map(); // category -> its list of dishes

  constructor(pad) {
    this.#pad = pad;
  }

  show() {
    const { menu, texts } = this.#pad;
    byId("menu-title").textContent = texts.menu;
    byId("categories").setAttribute("aria-label", texts.categories);
    const categories = menu.categories;
    if (!menu.isKnown) return this.#showWaiting();
    this.#categories.show([texts.language, categories.map(({ name }) => name)], () =>
      categories.map(({ name }, index) =>
        element("button", { type: "button", onclick: () => this.#goTo(index) }, name),
      ),
    );
    this.#parts.show(
      categories.map(({ name }, index) => ({ key: name, shown: [name, index], make: () => this.#part(name, index) })),
    );
    for (const { name, dishes } of categories) this.#dishes.get(name).show(dishes.map((dish) => this.#entry(dish)));
  }

  #showWaiting() {
    const { texts } = this.#pad;
    const make = () => element("p", { className: "plain" }, texts.loadingMenu);
    this.#parts.show([{ key: "", shown: texts.language, make }]);
  }

  #goTo(index) {
    const heading = byId(`part-${index}`);
    heading.scrollIntoView({ block: "start" });
    heading.focus({ preventScroll: true });
  }

  #part(name, index) {
    const list = element("ul", { className: "dishes", role: "list" });
    this.#dishes.set(name, new NodeList(list));
    return element("div", { className: "part" }, element("h3", { id: `part-${index}`, tabIndex: -1 }, name), list);
  }

  #entry(dish) {
    const { texts, locale, state } = this.#pad;
    const count = state.basket.lines.reduce((sum, line) => sum + (line.dish === dish.id ? line.quantity : 0), 0);
    return { key: dish.id, shown: [dish, count, texts.language, locale], make: () => this.#dish(dish, count) };
  }

  #dish(dish, count) {
    const { texts, money } = this.#pad;
    const allergens = dish.allergens.map((name) => texts.allergens[name] ?? name).join(", ");
    return element(
      "li",
      { className: dish.isAvailable ? "dish" : "dish out", "data-dish": dish.id },
      dish.picture && this.#picture(dish),
      element("h4", {}, dish.name),
      element("p", { className: "price" }, money(dish.price)),
      dish.description && element("p", { className: "described" }, dish.description),
      element(
        "div",
        { className: "words" },
        allergens && element("p", { className: "allergens" }, texts.contains(allergens)),
        count > 0 && element("p", { className: "count" }, texts.inYourOrder(count)),
      ),
      dish.isAvailable ? this.#button(dish) : element("p", { className: "why" }, this.#why(dish)),
    );
  }

  #picture(dish) {
    const { texts } = this.#pad;
    const properties = { src: dish.picture, alt: texts.picture(dish.name), loading: "lazy", decoding: "async" };
    // A picture that cannot be had leaves no hole.
    return element("img", { ...properties, referrerPolicy: "no-referrer", onerror: (event) => event.target.remove() });
  }

  #button(dish) {
    const { texts, money } = this.#pad;
    const choose = dish.groups.length > 0;
    const label = choose ? texts.chooseDish(dish.name) : texts.addDish(dish.name);
    const properties = {
      type: "button",
      "aria-label": `${label}, ${money(dish.price)}`,
      "data-focus": `add ${dish.id}`,
    };
    const onclick = () => (choose ? this.#pad.dishDialog.open(dish.id) : this.#add(dish));
    return element("button", { ...properties, onclick }, choose ? texts.choose : texts.add);
  }

  #add({ id }) {
    const pad = this.#pad;
    const dish = pad.menu.dish(id);
    if (!dish?.isAvailable) return;
    if (wrongChoice(dish, []))
      pad.dishDialog.open(id); // a choice that came on the menu this moment
    else pad.putIn((basket) => add(basket, newLine(dish), pad.house.max_quantity), dish.name);
  }

  #why(dish) {
    const { texts, clockTime, now } = this.#pad;
    if (dish.soldOutUntil && Date.parse(dish.soldOutUntil) > now()) {
      return texts.soldOutUntil(clockTime(dish.soldOutUntil));
    }
    return dish.served.length
      ? texts.servedAt(dish.served.map((hours) => servedText(hours, texts)).join("; "))
      : texts.soldOut;
  }
}

function servedText({ days, from, to }, texts) {
  const named = days.length < 7 ? `${days.map((day) => texts.days[day] ?? day).join(", ")} ` : "";
  return named + texts.hours(from, to);
}
