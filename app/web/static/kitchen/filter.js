// What the cards are filtered by, in a row of its own that is open or not.

import { element, setText } from "../dom.js";
import { texts } from "./texts.js";

export class Filter {
  text = "";
  state = "all";

  constructor(node, changed) {
    this.node = node;
    this.changed = changed;
    this.search = element("input", { type: "search", name: "text", placeholder: texts.search, "aria-label": texts.search, autocomplete: "off", enterKeyHint: "search" });
    this.search.addEventListener("input", () => this.set({ text: this.search.value }));
    this.radios = Object.entries(texts.states).map(([value, text]) => {
      const radio = element("input", { type: "radio", name: "state", value, checked: value === "all", onchange: () => this.set({ state: value }) });
      return element("label", {}, radio, element("span", {}, text));
    });
    const all = element("button", { type: "button", onclick: () => this.close() }, texts.showAll);
    this.hidden = element("strong", { className: "hidden-count" });
    node.replaceChildren(this.search, element("fieldset", {}, element("legend", { className: "unseen" }, texts.filter), ...this.radios), all, this.hidden);
    node.addEventListener("submit", (event) => {
      event.preventDefault();
      this.search.blur();
    });
  }

  // How many tickets it hides, and how many of them nobody has seen.
  hides(count, fresh) {
    setText(this.hidden, texts.filtered(count, fresh));
    this.hidden.classList.toggle("warn", fresh > 0);
  }

  get isOpen() {
    return !this.node.hidden;
  }

  get isOn() {
    return this.text.trim() !== "" || this.state !== "all";
  }

  set({ text = this.text, state = this.state }) {
    Object.assign(this, { text, state });
    if (this.search.value !== text) this.search.value = text;
    for (const label of this.radios) label.firstChild.checked = label.firstChild.value === state;
    this.changed();
  }

  open() {
    this.node.hidden = false;
    this.search.focus();
    this.changed();
  }

  // Everything is shown again.
  close() {
    this.node.hidden = true;
    this.set({ text: "", state: "all" });
  }
}
