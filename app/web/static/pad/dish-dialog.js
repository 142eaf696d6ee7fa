// One dish: how many, which choices, and a wish. The same for one that is added and for a line that is changed.

import { element } from "../dom.js";
import { add, newLine, plainText, replaceLine } from "./basket.js";
import { priceWith, wrongChoice } from "./menu.js";
import { byId, rebuild } from "./show.js";

export class DishDialog {
  #pad;
  #dialog = byId("dish");
  #open = null; // {id, place: index of the line that is changed or null, quantity, modifiers, note}

  constructor(pad) {
    this.#pad = pad;
    this.#dialog.addEventListener("close", () => (this.#open = null));
    closeOutside(this.#dialog);
  }

  open(id, place = null) {
    const line = place === null ? null : this.#pad.state.basket.lines[place];
    this.#open = {
      id,
      place,
      line,
      quantity: line?.quantity ?? 1,
      modifiers: [...(line?.modifiers ?? [])],
      note: line?.note ?? "",
    };
    this.#build();
    this.#dialog.showModal();
    byId("dish-title").focus();
  }

  // The menu or the language has changed: the dish as it is now, or the end of it.
  show() {
    if (!this.#open) return;
    const dish = this.#pad.menu.dish(this.#open.id);
    if (!dish?.isAvailable && this.#open.place === null) this.#dialog.close();
    else if (this.#shown() !== this.#built) this.#build();
  }

  #built = "";

  #shown() {
    const { menu, texts } = this.#pad;
    return JSON.stringify([menu.dish(this.#open.id), texts.language]);
  }

  #build() {
    const { menu, texts, money } = this.#pad;
    const dish = menu.dish(this.#open.id);
    if (!dish) return this.#dialog.close();
    this.#built = this.#shown();
    const known = new Set(dish.groups.flatMap((group) => group.modifiers.map(({ id }) => id)));
    this.#open.modifiers = this.#open.modifiers.filter((id) => known.has(id));
    const allergens = dish.allergens.map((name) => texts.allergens[name] ?? name).join(", ");
    rebuild(this.#dialog, [
      element(
        "div",
        { className: "inside" },
        element("h2", { id: "dish-title", tabIndex: -1 }, dish.name),
        dish.description && element("p", { className: "described" }, dish.description),
        element("p", { className: "allergens" }, allergens ? texts.contains(allergens) : texts.noAllergens),
        ...dish.groups.map((group) => this.#group(group)),
        this.#note(),
      ),
      element("p", { id: "dish-wrong", className: "wrong", role: "alert" }),
      element(
        "div",
        { className: "buttons" },
        this.#quantity(),
        element("button", { type: "button", "data-focus": "back", onclick: () => this.#dialog.close() }, texts.back),
        element("button", {
          type: "button",
          className: "first",
          id: "dish-done",
          "data-focus": "done",
          onclick: () => this.#done(),
        }),
      ),
    ]);
    this.#price(dish, money);
  }

  #price(dish, money) {
    const { quantity, modifiers, place } = this.#open;
    const price = money(priceWith(dish, modifiers) * quantity);
    const { texts } = this.#pad;
    byId("dish-done").textContent = place === null ? texts.addFor(price) : texts.changeFor(price);
  }

  #changed() {
    const dish = this.#pad.menu.dish(this.#open.id);
    if (dish) this.#price(dish, this.#pad.money);
    byId("dish-wrong").textContent = "";
  }

  #group(group) {
    const { texts } = this.#pad;
    const single = group.maximum === 1;
    const options = group.modifiers.map((modifier) => this.#option(group, modifier, single));
    if (single && group.minimum === 0)
      options.push(this.#option(group, { id: "", name: texts.noChoice, price: 0 }, true));
    const box = element(
      "fieldset",
      { id: `group-${group.id}` },
      element("legend", {}, group.name, " ", element("span", { className: "rule" }, `(${rule(group, texts)})`)),
      ...options,
    );
    this.#bound(group, box);
    return box;
  }

  #option(group, modifier, single) {
    const { money } = this.#pad;
    const ids = group.modifiers.map(({ id }) => id);
    const checked = modifier.id
      ? this.#open.modifiers.includes(modifier.id)
      : !ids.some((id) => this.#open.modifiers.includes(id));
    const onchange = ({ target }) => {
      const rest = this.#open.modifiers.filter((id) => (single ? !ids.includes(id) : id !== modifier.id));
      this.#open.modifiers = target.checked && modifier.id ? [...rest, modifier.id] : rest;
      this.#bound(group, target.closest("fieldset"));
      this.#changed();
    };
    const input = {
      type: single ? "radio" : "checkbox",
      name: `group ${group.id}`,
      value: modifier.id,
      checked,
      onchange,
    };
    const price = modifier.price ? `${modifier.price > 0 ? "+ " : ""}${money(modifier.price)}` : "";
    return element(
      "label",
      { className: "option" },
      element("input", { ...input, "data-focus": `option ${group.id} ${modifier.id}` }),
      element("span", {}, modifier.name),
      element("span", { className: "price" }, price),
    );
  }

  // What is beyond the most that may be taken cannot be touched.
  #bound(group, box) {
    const inputs = [...box.querySelectorAll("input[type=checkbox]")];
    const full = inputs.filter((input) => input.checked).length >= group.maximum;
    for (const input of inputs) input.disabled = full && !input.checked;
  }

  #note() {
    const { texts, house } = this.#pad;
    return noteField({
      label: texts.dishNote,
      hint: texts.dishNoteHint,
      value: this.#open.note,
      most: house.max_note,
      texts,
      name: "dish-note",
      onInput: (text) => (this.#open.note = text),
    });
  }

  #quantity() {
    const { texts, house } = this.#pad;
    const shown = element("output", { "aria-live": "polite" }, String(this.#open.quantity));
    const step = (by) => () => {
      const most = house.max_quantity;
      this.#open.quantity = Math.min(Math.max(this.#open.quantity + by, 1), most);
      shown.textContent = String(this.#open.quantity);
      this.#changed();
    };
    return element(
      "div",
      { className: "quantity", role: "group", "aria-label": texts.quantity },
      element("button", { type: "button", "aria-label": texts.less, "data-focus": "less", onclick: step(-1) }, "−"),
      shown,
      element("button", { type: "button", "aria-label": texts.more, "data-focus": "more", onclick: step(1) }, "+"),
    );
  }

  #done() {
    const { menu, texts, house } = this.#pad;
    const { id, place, line: before, quantity, modifiers } = this.#open;
    const dish = menu.dish(id);
    if (!dish) return this.#dialog.close();
    const wrong = wrongChoice(dish, modifiers);
    if (wrong) {
      const { group, count } = wrong;
      byId("dish-wrong").textContent =
        count < group.minimum ? texts.choiceMissing(group.name) : texts.choiceTooMany(group.name, group.maximum);
      byId(`group-${group.id}`).querySelector("input")?.focus();
      return;
    }
    const line = newLine(dish, { quantity, modifiers, note: plainText(this.#open.note, house.max_note) });
    this.#dialog.close();
    this.#pad.putIn((basket) => {
      // Another window may have changed the basket meanwhile: then it is added, and nothing is written over.
      const same = place !== null && JSON.stringify(basket.lines[place]) === JSON.stringify(before);
      return same ? replaceLine(basket, place, line) : add(basket, line, house.max_quantity);
    }, dish.name);
  }
}

function rule({ minimum, maximum }, texts) {
  if (minimum === maximum) return texts.chooseExactly(minimum);
  return minimum ? texts.chooseBetween(minimum, maximum) : texts.chooseUpTo(maximum);
}

// A field for a note that says how much more it takes, near its end.
export function noteField({ label, hint, value, most, texts, name, onInput }) {
  const left = element("p", { className: "left", id: `${name}-left`, "aria-live": "polite" });
  const told = (text) => {
    const rest = most - [...text].length;
    left.textContent = rest <= 30 ? texts.letters(Math.max(0, rest)) : "";
  };
  const input = element("textarea", {
    id: name,
    rows: 2,
    value,
    placeholder: hint,
    maxLength: most,
    autocomplete: "off",
    "data-focus": name,
    "aria-describedby": `${name}-left`,
    oninput: ({ target }) => {
      told(target.value);
      onInput(target.value);
    },
  });
  told(value);
  return element("div", { className: "note" }, element("label", { htmlFor: name }, label), input, left);
}

// A touch beside a dialog closes it.
export function closeOutside(dialog) {
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}
