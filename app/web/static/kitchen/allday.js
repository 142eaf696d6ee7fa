// How many of each dish are still to be made, beside the cards.

import { element } from "../dom.js";
import { texts } from "./texts.js";

export class AllDay {
  #drawn = "";

  // `pick(name)` shows the cards with the dish only.
  constructor(pick) {
    this.pick = pick;
    this.list = element("ol", { role: "list" });
    this.nothing = element("p", {}, texts.allDayNothing);
    this.node = element("aside", { id: "all-day", "aria-labelledby": "all-day-title", hidden: true }, element("h2", { id: "all-day-title" }, texts.allDay), this.nothing, this.list);
  }

  show(dishes) {
    this.nothing.hidden = dishes.length > 0;
    const now = JSON.stringify(dishes);
    if (now === this.#drawn) return;
    this.#drawn = now;
    this.list.replaceChildren(
      ...dishes.map(({ name, count, modifiers }) =>
        element(
          "li",
          {},
          element("button", { type: "button", onclick: () => this.pick(name) }, element("span", { className: "quantity" }, String(count)), " ", element("span", { className: "name" }, name)),
          modifiers.length > 0 && element("ul", { role: "list" }, ...modifiers.map(([text, number]) => element("li", {}, `${number} × ${text}`))),
        ),
      ),
    );
  }
}
