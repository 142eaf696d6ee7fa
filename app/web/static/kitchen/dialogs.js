// What opens over the cards: the last ten to recall, what else can be done with a ticket, the keys, the stations.

import { element } from "../dom.js";
import { clockText } from "./ages.js";
import { isShown } from "./board.js";
import { digitOf } from "./keys.js";
import { dishes, texts, who } from "./texts.js";

let count = 0;

// A dialog that is open until it is closed: `draw(body, close)` fills it, and again with `redraw()`.
export class Dialog {
  constructor(name, title, draw) {
    const id = `dialog-${(count += 1)}`;
    this.name = name;
    this.title = element("h2", { id }, title);
    this.body = element("div", { className: "dialog-body" });
    const close = element("button", { type: "button", className: "close", onclick: () => this.close() }, texts.close);
    this.node = element("dialog", { className: name, "aria-labelledby": id }, element("header", {}, this.title, close), this.body);
    this.node.addEventListener("close", () => this.node.remove());
    this.node.addEventListener("click", (event) => event.target === this.node && this.close());
    this.draw = () => draw(this.body, () => this.close(), this);
    this.draw();
    document.body.append(this.node);
    this.node.showModal();
  }

  get isOpen() {
    return this.node.open;
  }

  redraw() {
    if (this.isOpen) this.draw();
  }

  close() {
    this.node.close();
  }
}

export function recallDialog(board, recall) {
  let drawn = null;
  return new Dialog("recall", texts.recallTitle, (body, close) => {
    const key = JSON.stringify(board.recent.map((ticket) => [ticket.ticket_id, ticket.version]));
    if (key === drawn) return;
    drawn = key;
    const rows = board.recent.map((ticket, index) =>
      element(
        "li",
        { "data-ticket": ticket.ticket_id },
        element(
          "button",
          {
            type: "button",
            disabled: ticket.state !== "served",
            onclick: () => {
              close();
              recall(ticket);
            },
          },
          element("span", { className: "digit", "aria-hidden": "true" }, digitOf(index)),
          element("span", { className: "table" }, ticket.table_number, " ", element("small", {}, texts.round(ticket.round))),
          element("span", { className: "dishes" }, dishes(ticket)),
          element("span", { className: "when" }, texts.recallAt(texts.state[ticket.state].toLowerCase(), clockText(ticket.changed_at))),
        ),
      ),
    );
    body.replaceChildren(rows.length ? element("ol", { role: "list", className: "recent" }, ...rows) : element("p", {}, texts.recallNothing));
  });
}

// `find()` gives the ticket as it is now, `act(action, more)` does something with it.
export function actionsDialog(find, act) {
  const first = find();
  let drawn = -1;
  return new Dialog("more", texts.actions(first.table_number, first.round), (body, close) => {
    const ticket = find();
    if (ticket && ticket.version === drawn) return;
    drawn = ticket ? ticket.version : -1;
    const done = (action, more) => {
      close();
      act(action, more);
    };
    if (!ticket || !isShown(ticket) || ticket.state === "voided") {
      body.replaceChildren(element("p", {}, texts.actionsNone));
      return;
    }
    const last = texts.lastChange(ticket.action.replace("_", " "), ticket.by && who(ticket), clockText(ticket.changed_at));
    body.replaceChildren(
      element("p", { className: "dishes" }, dishes(ticket)),
      element("p", { className: "when" }, last),
      element(
        "p",
        { className: "buttons" },
        ticket.state === "ready" && element("button", { type: "button", onclick: () => done("recall") }, texts.backDo),
        ["bump", "line_done", "line_undone", "recall"].includes(ticket.action) &&
          element("button", { type: "button", onclick: () => done("undo") }, texts.undoDo),
        element("button", { type: "button", onclick: () => done("clear") }, texts.clearDo),
      ),
      voidForm((reason) => done("void", { reason })),
    );
  });
}

// Nothing is void by one slip of a finger: a reason, and then the button.
function voidForm(done) {
  const other = element("input", { type: "text", name: "other", maxLength: 200, hidden: true, "aria-label": texts.voidOther, autocomplete: "off" });
  const button = element("button", { type: "submit", className: "void-do", disabled: true }, texts.voidDo);
  const option = (reason, value) =>
    element("label", {}, element("input", { type: "radio", name: "reason", value }), element("span", {}, reason));
  const form = element(
    "form",
    {},
    element(
      "fieldset",
      {},
      element("legend", {}, element("strong", {}, texts.voidTitle), " ", texts.voidWhat),
      ...texts.voidReasons.map((reason) => option(reason, reason)),
      option(texts.voidOther, ""),
    ),
    other,
    button,
  );
  const chosen = () => {
    const picked = form.querySelector("input[name=reason]:checked");
    return picked ? picked.value || other.value.trim() : "";
  };
  form.addEventListener("change", () => {
    const wasHidden = other.hidden;
    other.hidden = form.querySelector("input[name=reason]:checked")?.value !== "";
    if (wasHidden && !other.hidden) other.focus();
  });
  form.addEventListener("input", () => (button.disabled = !chosen()));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (chosen()) done(chosen());
  });
  return form;
}

// `resize(step)` makes the type larger (1) or smaller (-1).
export function helpDialog(resize) {
  const size = (text, step) => element("button", { type: "button", onclick: () => resize(step) }, text);
  return new Dialog("help", texts.helpTitle, (body) => {
    if (body.firstChild) return;
    const rows = texts.keys.flatMap(([keys, what]) => [element("dt", {}, element("kbd", {}, keys)), element("dd", {}, what)]);
    body.replaceChildren(element("p", { className: "buttons" }, size(`A− ${texts.smaller}`, -1), size(`A+ ${texts.larger}`, 1)), element("dl", { className: "keys" }, ...rows));
  });
}
