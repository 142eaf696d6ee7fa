// What the table has ordered, and how far it is.

import { element } from "../dom.js";
import { lineList, named, totalLine } from "./order-lines.js";
import { byId, NodeList, Part } from "./show.js";

const STEPS = ["received", "seen", "cooking", "ready", "served"];

export class OrdersView {
  #pad;
  #tab = new Part(byId("tab"));
  #orders = new NodeList(byId("placed"));

  constructor(pad) {
    this.#pad = pad;
  }

  show() {
    const { texts, table, money, locale } = this.#pad;
    byId("orders-title").textContent = texts.orders;
    this.#tab.show([table.total, texts.language, locale], () => [
      table.total !== null && totalLine(texts.tableTotal, money(table.total)),
    ]);
    const orders = this.#pad.orders();
    const none = { key: "", shown: texts.language, make: () => element("li", { className: "plain" }, texts.noOrders) };
    this.#orders.show(orders.length ? orders.map((order) => this.#entry(order)) : [none]);
  }

  #entry(order) {
    const { texts, locale, menu, state, cancelling } = this.#pad;
    const isMine = state.mine.includes(order.clientId);
    const names = order.lines.map((line) => named(line, menu));
    const shown = [order, isMine, names, cancelling.get(order.id), texts.language, locale];
    return { key: order.id, shown, make: () => this.#order(order, isMine) };
  }

  #order(order, isMine) {
    const { texts, money, clockTime } = this.#pad;
    const { state, tickets } = order;
    const partReady = state === "cooking" && tickets.some((ticket) => ["ready", "served"].includes(ticket.state));
    return element(
      "li",
      { className: `card order ${state}`, "data-order": order.id, "data-state": state },
      element(
        "h3",
        {},
        texts.orderAt(clockTime(order.placedAt)),
        isMine && element("span", { className: "small" }, ` ${texts.fromHere}`),
      ),
      element("p", { className: "state" }, texts.states[state]),
      STEPS.includes(state) && this.#steps(state),
      partReady && element("p", {}, texts.partReady),
      order.isUnseen && element("p", { className: "unseen-yet" }, texts.unseen),
      order.reason && element("p", {}, texts.reasonIs(order.reason)),
      lineList(order.lines, this.#pad),
      order.note && element("p", { className: "said" }, texts.orderNoteIs(order.note)),
      totalLine(texts.total, money(order.total)),
      this.#cancel(order),
    );
  }

  // For the eyes; the words beside it say the same.
  #steps(state) {
    const { texts } = this.#pad;
    const at = STEPS.indexOf(state);
    const step = (name, index) =>
      element("li", { className: index < at ? "past" : index === at ? "now" : "" }, texts.steps[name]);
    return element("ol", { className: "steps", "aria-hidden": "true" }, ...STEPS.map(step));
  }

  #cancel(order) {
    const { texts, cancelling } = this.#pad;
    const how = cancelling.get(order.id);
    if (how?.state === "asked") {
      return element(
        "p",
        { className: "small", role: "status" },
        texts.cancelling,
        " ",
        how.failed && texts.cancelAgain,
      );
    }
    const refused = how?.state === "refused";
    return element(
      "div",
      {},
      refused &&
        element(
          "p",
          { className: "wrong", role: "alert" },
          how.station ? texts.cannotCancelBegun(how.station) : texts.cannotCancel,
        ),
      refused && !how.station && how.detail && element("p", { className: "small" }, how.detail),
      order.canBeCancelled &&
        !refused &&
        element(
          "button",
          { type: "button", "data-focus": `cancel ${order.id}`, onclick: () => this.#pad.askToCancel(order) },
          texts.cancel,
        ),
    );
  }
}
