// The order that is on its way: that it is being sent, or what the guest has to decide.

import { element } from "../dom.js";
import { arm, asAnother, resend, sendWithout, takeBack } from "./outbox.js";
import { lineList, named, totalLine } from "./order-lines.js";
import { newId } from "./store.js";
import { byId, Part } from "./show.js";
import { readLines } from "./table.js";

const PATIENCE = 3; // attempts that failed before a guest is told how to give up

export class OutboxView {
  #pad;
  #sending = new Part(byId("outbox"));
  #decide = new Part(byId("decide"));

  constructor(pad) {
    this.#pad = pad;
  }

  show() {
    const { outbox } = this.#pad.state;
    const isSending = outbox?.state === "sending";
    this.#sending.show(this.#shown(isSending && outbox), () => (isSending ? [this.#onItsWay(outbox)] : []));
    const decides = outbox && !isSending;
    this.#decide.show(this.#shown(decides && outbox), () => (decides ? [this.#decision(outbox)] : []));
    this.tick();
  }

  // Each second: only the figures change, so that no screen reader counts along.
  tick() {
    const { outbox } = this.#pad.state;
    const timer = byId("wait");
    if (outbox?.state !== "limited" || !timer) return;
    const { texts } = this.#pad;
    const seconds = Math.max(0, Math.ceil((outbox.until - Date.now()) / 1000));
    const text = outbox.armed ? texts.limitedArmed : texts.limitedFor;
    timer.textContent = seconds || outbox.armed ? text(this.#pad.duration(seconds)) : texts.limitedOver;
    if (!seconds !== (timer.dataset.over === "true")) this.show();
  }

  // All that is shown of it, and no more: what is retried in silence is not built anew.
  #shown(outbox) {
    if (!outbox) return null;
    const { texts, menu, table } = this.#pad;
    const { retryAt: _, failures = 0, ...seen } = outbox;
    const names = outbox.basket.lines.map((line) => named(line, menu));
    const over = outbox.state === "limited" && Date.now() >= outbox.until;
    return [
      seen,
      Math.min(failures, PATIENCE),
      names,
      over,
      texts.language,
      outbox.state === "conflict" && table.version,
    ];
  }

  #onItsWay(outbox) {
    const { texts } = this.#pad;
    const { failures } = outbox;
    return card(
      failures ? texts.sendingAgain : texts.sending,
      { className: "card way" },
      element("div", { className: "moving", "aria-hidden": "true" }),
      failures > 0 && element("p", {}, texts.sendingAgainHow),
      ...this.#whole(outbox),
      failures >= PATIENCE && this.#choices([texts.stopSending, takeBack]),
      failures >= PATIENCE && element("p", { className: "small" }, texts.stopSendingHow),
    );
  }

  #decision(outbox) {
    switch (outbox.state) {
      case "conflict":
        return this.#conflict(outbox);
      case "menu":
        return this.#menu(outbox);
      case "item":
        return this.#item(outbox);
      case "limited":
        return this.#limited(outbox);
      case "reused":
        return this.#reused(outbox);
      default:
        return this.#invalid(outbox);
    }
  }

  #conflict(outbox) {
    const { texts, money, house } = this.#pad;
    const missed = outbox.missed
      ? outbox.missed.flatMap(({ items }) => readLines(items, house.digits))
      : this.#pad
          .orders()
          .filter(({ version }) => version > outbox.version)
          .flatMap(({ lines }) => lines);
    return card(
      texts.conflict,
      {},
      missed.length ? lineList(missed, this.#pad) : element("p", {}, texts.conflictUnread),
      element("p", {}, texts.conflictHow),
      ...this.#whole(outbox, { gone: outbox.index }),
      this.#choices([texts.sendMine(money(outbox.total)), resend, "first"], [texts.changeOrder, takeBack]),
    );
  }

  #menu(outbox) {
    const { texts, money } = this.#pad;
    const { total, before } = outbox;
    return card(
      texts.pricesChanged,
      {},
      element("p", {}, texts.pricesChangedHow),
      lineList(outbox.basket.lines, this.#pad, { before: before.prices }),
      totalLine(texts.total, texts.fromTo(money(before.total), money(total))),
      this.#choices([texts.sendAtNewPrice(money(total)), resend, "first"], [texts.changeOrder, takeBack]),
    );
  }

  #item(outbox) {
    const { texts, money, menu } = this.#pad;
    const line = outbox.basket.lines[outbox.index];
    if (!line) {
      const about = element("p", {}, outbox.detail);
      const choices = this.#choices([texts.changeOrder, takeBack, "first"]);
      return card(texts.somethingCannotBeHad, {}, about, element("p", {}, texts.notSentYet), choices);
    }
    const rest = outbox.total - line.price * line.quantity;
    const label = outbox.basket.lines.length > 1 ? texts.takeOutAndSend(money(rest)) : texts.takeOutOnly;
    return card(
      texts.cannotBeHad(named(line, menu).name),
      {},
      element("p", {}, texts.whyNot[whyNot(outbox.detail)], " ", texts.notSentYet),
      ...this.#whole(outbox, { gone: outbox.index }),
      this.#choices([label, (state) => sendWithout(state, outbox.index), "first"], [texts.changeOrder, takeBack]),
    );
  }

  #limited(outbox) {
    const { texts, money } = this.#pad;
    const over = Date.now() >= outbox.until;
    const now = [texts.sendNow(money(outbox.total)), resend, "first"];
    const later = outbox.armed
      ? [texts.sendThenNot, (state) => arm(state, false)]
      : [texts.sendThen, (state) => arm(state, true), "first"];
    return card(
      texts.limited,
      {},
      element("p", {}, texts.limitedHow),
      element("p", { id: "wait", className: "wait", role: "timer", "aria-live": "off", "data-over": String(over) }),
      ...this.#whole(outbox),
      // What may have arrived is sent until that is known.
      this.#choices(over && !outbox.armed ? now : !outbox.open && later, [texts.changeOrder, takeBack]),
    );
  }

  #reused(outbox) {
    const { texts } = this.#pad;
    const stands = this.#pad.orders().find(({ clientId }) => clientId === outbox.basket.order_id);
    return card(
      texts.reused,
      {},
      stands && element("p", {}, texts.reusedHow),
      stands && lineList(stands.lines, this.#pad),
      element("p", {}, texts.reusedWhat),
      ...this.#whole(outbox),
      this.#choices(
        [texts.orderAsWell, (state) => asAnother(state, newId())],
        [texts.throwAway, (state) => ({ ...state, outbox: null })],
      ),
    );
  }

  #invalid(outbox) {
    const { texts, money } = this.#pad;
    return card(
      texts.invalid,
      {},
      element("p", {}, texts.invalidHow),
      outbox.detail && element("p", { className: "small" }, outbox.detail),
      ...this.#whole(outbox),
      this.#choices([texts.changeOrder, takeBack, "first"], [texts.sendAgain(money(outbox.total)), resend]),
    );
  }

  #whole({ basket, total }, marks = {}) {
    const { texts, money } = this.#pad;
    return [
      lineList(basket.lines, this.#pad, marks),
      basket.note && element("p", { className: "said" }, texts.orderNoteIs(basket.note)),
      totalLine(texts.total, money(total)),
    ];
  }

  #choices(...choices) {
    const button = ([text, decide, className = ""], index) =>
      element(
        "button",
        { type: "button", className, "data-focus": `choice ${index}`, onclick: () => this.#pad.decide(decide) },
        text,
      );
    return element("div", { className: "buttons" }, ...choices.filter(Boolean).map(button));
  }
}

function card(title, properties, ...children) {
  return element("div", { className: "card decide", ...properties }, element("h3", {}, title), ...children);
}

// The server's words for why an item is refused are English; what they mean is told in the guest's.
function whyNot(detail) {
  if (/is sold out$/.test(detail)) return "soldOut";
  if (/not served at this hour$/.test(detail)) return "hours";
  if (/^there is no dish/.test(detail)) return "gone";
  if (/are allowed$/.test(detail)) return "quantity";
  return /chosen|modifier/.test(detail) ? "choice" : "other";
}
