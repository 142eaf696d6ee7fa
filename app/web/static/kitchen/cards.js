// Tickets as cards, and those that are ready as a strip below. An element is made once for each ticket, and changed where
// its ticket has: 200 cards cost nothing while one of them changes.

import { arrange, element, setText } from "../dom.js";
import { ageText, band } from "./ages.js";
import { isLoud, isTodo } from "./board.js";
import { dishes, stationName, texts } from "./texts.js";

// A view is {ticket, pending, addition, digit, lines (whether digits strike its lines), fresh, withStation}.
const signature = ({ ticket, pending, addition, digit, lines, fresh, withStation }) =>
  JSON.stringify([ticket.version, pending, addition, digit, lines, fresh, withStation]);

const LONG = 4; // lines; cards with more are set smaller

class Shown {
  #signature = "";

  update(view) {
    const now = signature(view);
    this.ticket = view.ticket;
    if (now === this.#signature) return;
    this.#signature = now;
    this.draw(view);
  }

  select(isSelected) {
    this.node.classList.toggle("selected", isSelected);
    this.focusable.tabIndex = isSelected ? 0 : -1;
  }
}

class Card extends Shown {
  constructor(ticket, act) {
    super();
    this.act = act;
    const id = ticket.ticket_id;
    this.digit = element("span", { className: "digit", "aria-hidden": "true" });
    this.table = element("h2", { className: "table", id: `table-${id}` }, ticket.table_number);
    this.age = element("time", { className: "age", dateTime: ticket.placed_at });
    this.sending = element("span", { className: "sending", title: texts.sending }, element("span", { className: "unseen" }, texts.sending));
    this.facts = element("p", { className: "facts" });
    this.head = element("header", { onclick: () => act.bump(id) }, element("div", { className: "first-line" }, this.digit, this.table, this.sending, this.age), this.facts);
    this.reason = element("p", { className: "reason", hidden: true });
    this.note = element("p", { className: "note", hidden: true });
    this.list = element("ol", { className: "lines", role: "list" });
    this.bump = element("button", { type: "button", className: "bump", onclick: () => act.bump(id) });
    this.more = element("button", { type: "button", className: "actions", onclick: () => act.actions(id) }, "⋯");
    this.more.setAttribute("aria-label", texts.moreActions(ticket.table_number));
    this.article = element("article", { tabIndex: -1 }, this.head, this.reason, this.note, this.list, element("footer", {}, this.bump, this.more));
    this.node = element("li", { className: "card", "data-ticket": id, onpointerdown: () => act.select(id) }, this.article);
    this.focusable = this.article;
  }

  draw({ ticket, pending, addition, digit, lines, fresh, withStation }) {
    const loud = isLoud(ticket);
    const state = isTodo(ticket) && fresh ? "new" : ticket.state;
    Object.assign(this.node.dataset, { state: ticket.state, round: ticket.round, version: ticket.version });
    for (const [name, is] of Object.entries({ loud, fresh: fresh && isTodo(ticket), pending: pending.length > 0, addition, striking: lines, long: ticket.lines.length > LONG })) {
      this.node.classList.toggle(name, is);
    }
    this.article.setAttribute("aria-label", texts.cardLabel(ticket.table_number, ticket.round, texts.state[state].toLowerCase()));
    setText(this.digit, digit);
    this.digit.hidden = !digit;
    this.sending.hidden = pending.length === 0;
    this.facts.replaceChildren(...facts(ticket, state, { addition, withStation }));
    setText(this.reason, loud ? texts.voidReason(ticket.reason) : "");
    this.reason.hidden = !loud;
    setText(this.note, ticket.note);
    this.note.hidden = !ticket.note;
    this.#lines(ticket, lines, loud);
    const struck = ticket.lines.every((line) => line.done);
    setText(this.bump, loud ? texts.acknowledge : struck && ticket.state === "cooking" ? texts.allStruck : texts.bump[ticket.state] || "");
    this.bump.classList.toggle("first", struck || loud);
    this.bump.setAttribute("aria-label", `${this.bump.textContent}: ${ticket.table_number}`);
    this.more.hidden = loud;
  }

  #lines(ticket, striking, loud) {
    // Rebuilt as a whole where lines came or went, else changed in place: the focus stays on the line that was struck.
    const rows = [...this.list.children];
    const isSame = rows.length === ticket.lines.length && rows.every((row, index) => row.dataset.line === ticket.lines[index].line_id);
    if (!isSame) this.list.replaceChildren(...ticket.lines.map((line) => this.#line(ticket.ticket_id, line)));
    ticket.lines.forEach((line, index) => {
      const row = this.list.children[index];
      const button = row.firstChild;
      row.classList.toggle("done", line.done);
      button.setAttribute("aria-pressed", String(line.done));
      button.disabled = loud;
      const number = button.querySelector(".digit");
      setText(number, striking && index < 10 ? String((index + 1) % 10) : "");
      number.hidden = !striking;
    });
  }

  #line(id, line) {
    const button = element(
      "button",
      { type: "button", className: "line", onclick: () => this.act.line(id, line.line_id) },
      element("span", { className: "digit", "aria-hidden": "true", hidden: true }),
      element("span", { className: "quantity" }, String(line.quantity)),
      " ",
      element(
        "span",
        { className: "dish" },
        element("span", { className: "name" }, line.name),
        line.note && element("span", { className: "line-note" }, line.note),
        line.modifiers.length + line.allergens.length > 0 &&
          element(
            "span",
            { className: "extras" },
            ...line.modifiers.map((name) => element("span", { className: "modifier" }, name)),
            line.allergens.length > 0 && element("span", { className: "unseen" }, `${texts.allergens}: `),
            ...line.allergens.map((name) => element("span", { className: "allergen" }, name)),
          ),
      ),
    );
    return element("li", { "data-line": line.line_id }, button);
  }

  // Its age, at the server's time.
  tick(now, limits) {
    const age = now - Date.parse(this.ticket.placed_at);
    setText(this.age, ageText(age));
    const is = isLoud(this.ticket) ? "void" : band(age, limits);
    if (this.node.dataset.age !== is) this.node.dataset.age = is;
  }
}

function facts(ticket, state, { addition, withStation }) {
  const also = ticket.stations.filter((station) => station !== ticket.station);
  const shows = state === "new" || state === "cooking" || state === "voided";
  return [
    shows && element("span", { className: `state ${state}` }, texts.state[state]),
    addition && element("span", { className: "round addition", title: texts.additionTitle(ticket.round) }, texts.addition(ticket.round)),
    !addition && ticket.round > 1 && element("span", { className: "round" }, texts.round(ticket.round)),
    withStation && element("span", { className: "station" }, stationName(ticket.station)),
    also.length > 0 && element("span", { className: "also" }, texts.also(also)),
    element("span", { className: "late-mark" }, texts.lateMark),
  ].filter(Boolean);
}

// One that is ready, until it is carried out.
class Ready extends Shown {
  constructor(ticket, act) {
    super();
    const id = ticket.ticket_id;
    this.digit = element("span", { className: "digit", "aria-hidden": "true" });
    this.table = element("span", { className: "table" }, ticket.table_number);
    this.round = element("span", { className: "round" });
    this.age = element("time", { className: "age" });
    this.serve = element("button", { type: "button", className: "bump", onclick: () => act.bump(id) }, this.digit, this.table, " ", this.round, " ", this.age, element("span", { className: "unseen" }, texts.serve));
    this.back = element("button", { type: "button", className: "back", onclick: () => act.recall(id) }, "↩");
    this.back.setAttribute("aria-label", texts.back(ticket.table_number));
    this.back.title = texts.backDo;
    this.node = element("li", { className: "ready", "data-ticket": id }, this.serve, this.back);
    this.focusable = this.serve;
  }

  draw({ ticket, pending, digit, withStation }) {
    this.node.dataset.state = ticket.state;
    this.node.dataset.version = ticket.version;
    this.node.classList.toggle("pending", pending.length > 0);
    setText(this.digit, digit);
    this.digit.hidden = !digit;
    setText(this.round, [ticket.round > 1 ? texts.round(ticket.round) : "", withStation ? ticket.station : ""].filter(Boolean).join(", "));
    this.serve.title = dishes(ticket);
  }

  tick(now) {
    setText(this.age, ageText(now - Date.parse(this.ticket.changed_at)));
  }
}

export class Cards {
  #cards = new Map(); // ticket id -> Card or Ready
  #order = [];

  // `act` has bump(id), line(id, lineId), actions(id), recall(id) and select(id).
  constructor(board, pass, act) {
    Object.assign(this, { board, pass, act });
  }

  // Views in order, those that are cooked and those that are ready. Whether a card stands elsewhere than before: whoever
  // was about to tap it would hit another.
  show(views, ready) {
    const kept = new Map();
    const made = (Kind) => (view) => {
      const id = view.ticket.ticket_id;
      const old = this.#cards.get(id);
      const card = old instanceof Kind ? old : new Kind(view.ticket, this.act);
      card.update(view);
      kept.set(id, card);
      return card.node;
    };
    const nodes = views.map(made(Card));
    const strip = ready.map(made(Ready));
    this.#cards = kept;
    arrange(this.board, nodes);
    arrange(this.pass, strip);
    const before = this.#order;
    this.#order = [...views, ...ready].map(({ ticket }) => ticket.ticket_id);
    const places = [...nodes, null, ...strip].map((node) => node?.dataset.ticket ?? "");
    const moved = (this.places || []).some((id, index) => id && places[index] !== id);
    this.places = places;
    return moved && before.length > 0;
  }

  get order() {
    return this.#order;
  }

  get(id) {
    return this.#cards.get(id) || null;
  }

  // Whether it is a card, and not in the strip.
  isCard(id) {
    return this.#cards.get(id) instanceof Card;
  }

  select(id) {
    for (const [other, card] of this.#cards) card.select(other === id);
  }

  tick(now, limits) {
    for (const card of this.#cards.values()) card.tick(now, limits);
  }

  boxes() {
    return this.#order.map((id) => {
      const [{ left, top, width, height }] = this.#cards.get(id).node.getClientRects();
      return { left, top, width, height };
    });
  }
}
