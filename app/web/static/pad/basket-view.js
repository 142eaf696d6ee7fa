// What the guest is about to order.

import { element } from "../dom.js";
import { look, plainText, setNote, setQuantity } from "./basket.js";
import { noteField } from "./dish-dialog.js";
import { lineList } from "./order-lines.js";
import { byId, NodeList, Part } from "./show.js";

export class BasketView {
  #pad;
  #news = new Part(byId("news"));
  #lines = new NodeList(byId("lines"));
  #note = new Part(byId("order-note"));
  #sending = new Part(byId("sending"));

  constructor(pad) {
    this.#pad = pad;
  }

  show() {
    const { state, menu, texts } = this.#pad;
    const { basket } = state;
    const seen = look(basket, menu);
    byId("basket-title").textContent = texts.basket;
    this.#showNews();
    this.#lines.show(this.#entries(seen));
    this.#showNote(basket);
    this.#showSending(seen);
  }

  #showNews() {
    const { news, texts, menu } = this.#pad;
    this.#news.show([news, texts.language, menu.revision], () => [
      news.length > 0 &&
        element(
          "div",
          { className: "card tell" },
          element("h3", {}, texts.news),
          lineList(news, this.#pad),
          element(
            "div",
            { className: "buttons" },
            element("button", { type: "button", onclick: () => this.#pad.readNews() }, texts.newsRead),
          ),
        ),
    ]);
  }

  #entries({ lines }) {
    const { state, texts, locale } = this.#pad;
    if (!lines.length) {
      const shown = [texts.language, Boolean(state.outbox)];
      return [
        { key: "", shown, make: () => element("li", { className: "plain" }, state.outbox ? "" : texts.emptyBasket) },
      ];
    }
    const count = new Map(); // the same line twice: where one was full
    return lines.map((line, index) => {
      const same = JSON.stringify([line.dish, line.modifiers, line.note]);
      const times = (count.get(same) ?? 0) + 1;
      count.set(same, times);
      const key = `${same} ${times}`;
      return { key, shown: [line, index, texts.language, locale], make: () => this.#line(line, index, key) };
    });
  }

  #line(line, index, key) {
    const { texts, money } = this.#pad;
    const changed = !line.problem && line.now !== line.price;
    return element(
      "li",
      { className: line.problem ? "line out" : "line", "data-dish": line.dish },
      element(
        "div",
        { className: "words" },
        element("p", { className: "name" }, line.name),
        line.names.length > 0 && element("p", { className: "names" }, line.names.join(", ")),
        line.note && element("p", { className: "said" }, `“${line.note}”`),
        line.problem && element("p", { className: "wrong" }, texts.problems[line.problem]),
        changed && element("p", { className: "changed" }, texts.priceChanged(money(line.price))),
      ),
      element(
        "p",
        { className: "price" },
        money(line.now * line.quantity),
        line.quantity > 1 && element("span", { className: "small" }, texts.each(money(line.now))),
      ),
      this.#buttons(line, index, key),
    );
  }

  #buttons(line, index, key) {
    const { texts, house } = this.#pad;
    const button = (name, label, text, onclick, more = {}) =>
      element(
        "button",
        { type: "button", "aria-label": label, "data-focus": `${name} ${key}`, onclick, ...more },
        text,
      );
    const set = (quantity) => () => this.#pad.changeBasket((basket) => setQuantity(basket, index, quantity));
    const takeOut = () => {
      set(0)();
      this.#pad.say(texts.takenOut(line.name));
    };
    const isFull = line.quantity >= house.max_quantity;
    const steps = [
      button("less", texts.lessOf(line.name), "−", set(line.quantity - 1), { disabled: line.quantity <= 1 }),
      element(
        "span",
        { className: "count" },
        element("span", { className: "unseen" }, `${texts.quantity}: `),
        String(line.quantity),
      ),
      button("more", texts.moreOf(line.name), "+", set(line.quantity + 1), { disabled: isFull }),
    ];
    const edit = button("change", texts.changeOf(line.name), texts.change, () =>
      this.#pad.dishDialog.open(line.dish, index),
    );
    return element(
      "div",
      { className: "doing" },
      ...(line.problem ? [] : steps),
      (!line.problem || line.problem === "choice") && edit,
      button("out", texts.takeOutOf(line.name), texts.takeOut, takeOut, { className: line.problem ? "first" : "" }),
    );
  }

  #showNote(basket) {
    const { texts, house } = this.#pad;
    this.#note.show([basket.order_id, basket.lines.length > 0, texts.language], () => [
      basket.lines.length > 0 &&
        noteField({
          label: texts.orderNote,
          hint: texts.orderNoteHint,
          value: basket.note,
          most: house.max_note,
          texts,
          name: "order-note-text",
          onInput: (text) => this.#pad.changeBasket((now) => setNote(now, plainText(text, house.max_note))),
        }),
    ]);
    const field = byId("order-note-text");
    if (field && field !== document.activeElement && field.value !== basket.note) field.value = basket.note;
  }

  #showSending(seen) {
    const { texts, money, state, table, house } = this.#pad;
    const tooMany = seen.lines.length > house.max_lines;
    const waits = table.version === null;
    const gone = seen.lines
      .filter(({ problem }) => problem === "gone" || problem === "unavailable")
      .map(({ name }) => name);
    const blocked = seen.lines.some((line) => line.problem);
    const why =
      (state.outbox && texts.sendAfter) ||
      (gone.length && texts.notAvailable(gone.join(", "))) ||
      (blocked && texts.sendBlocked) ||
      (tooMany && texts.tooManyLines(house.max_lines)) ||
      ((waits || !seen.canBeSent) && texts.sendWaits);
    this.#sending.show([seen.lines.length, seen.total, why, gone, texts.language, this.#pad.locale], () => {
      if (!seen.lines.length) return [];
      const onclick = () => this.#pad.send();
      const properties = {
        type: "button",
        className: "first",
        id: "send",
        "data-focus": "send",
        disabled: Boolean(why),
        onclick,
      };
      return [
        why && element("p", { className: blocked ? "wrong" : "small" }, why),
        gone.length > 0 &&
          element(
            "button",
            { type: "button", id: "take-out", "data-focus": "take-out", onclick: () => this.#takeOutGone() },
            texts.takeOutAll(gone.length),
          ),
        element("button", properties, texts.send(money(seen.total))),
      ];
    });
  }

  #takeOutGone() {
    const { menu } = this.#pad;
    this.#pad.changeBasket((basket) => {
      const lines = basket.lines.filter((line) => menu.dish(line.dish)?.isAvailable);
      return { ...basket, lines };
    });
  }
}
