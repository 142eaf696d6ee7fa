// An order on its way. The pad's state is a value, {basket, outbox, mine}: what the guest is about to order, what is being
// sent (null: nothing), and the ids of what this pad has sent. It is stored before anything is sent, and what follows is
// decided here, from what is stored and what was heard.
//
// An order goes from the basket into the outbox and stays there, in the same words, until something definite is heard:
// accepted, it is gone from here; refused, the guest decides: the same again, or back into the basket. Its id stays
// the same through all of it, for what was sent and never answered may have arrived.

import { content, emptyBasket, isEmpty } from "./basket.js";

const FIRST = 1000; // ms to the next attempt, doubled each time
const LONGEST = 10_000;
const MINE = 200; // ids
const AT_ONCE = { state: "sending", failures: 0, retryAt: 0 };

// From here the outbox is in one of these states:
//   sending    it is being sent, or will be at `retryAt`
//   limited    429: not before `until`; `armed`: then by itself
//   conflict   409: somebody else at the table ordered; `missed`: what, null where the answer did not say
//   menu       409: prices have changed; the lines' and the total are the new ones, `before` those that were shown
//   item       400: `index` of the line (null: not known), `detail`
//   reused     422: an order with this id stands already, and is another one
//   invalid    400, 404, 413: ours to repair; `detail`

export function newState(orderId) {
  return { basket: emptyBasket(orderId), outbox: null, mine: [] };
}

// Puts the basket, as the guest sees it, into the outbox, and an empty one in its place.
export function send(state, seen, { version, revision, nextId }) {
  if (state.outbox || !seen.canBeSent) return state;
  const lines = seen.lines.map(({ problem, now, ...line }) => ({ ...line, price: now }));
  const basket = { ...state.basket, lines };
  const outbox = { basket, total: seen.total, version, revision, open: false, ...AT_ONCE };
  return { basket: emptyBasket(nextId), outbox, mine: [...state.mine, basket.order_id].slice(-MINE) };
}

// What is sent: the same each time, until the guest decides otherwise.
export function body(outbox, table) {
  return {
    table_number: table,
    ...content(outbox.basket),
    version: outbox.version,
    menu_revision: outbox.revision,
    order_id: outbox.basket.order_id,
  };
}

// What an answer to an order says: {kind, …}. Whatever is not of the interface (a proxy's page, an error of the server) says
// nothing of the order: "unknown".
export function readAnswer(status, text, retryAfter) {
  const seconds = /^\d+$/.test(retryAfter ?? "") ? Number(retryAfter) : 0;
  const told = parsed(text);
  if (status === 201 && typeof told.order_id === "string") {
    return { kind: "accepted", orderId: told.order_id, version: told.version };
  }
  if (typeof told.error !== "string" || status >= 500) return { kind: "unknown", seconds };
  const detail = typeof told.detail === "string" ? told.detail : "";
  switch (status) {
    case 400:
      return told.error === "Invalid item" ? { kind: "item", ...placeOf(detail) } : { kind: "invalid", detail };
    case 401:
      return { kind: "ended" };
    case 403:
      return { kind: "forbidden" };
    case 409:
      return "menu_revision" in told
        ? { kind: "menu", revision: told.menu_revision, items: told.items, total: told.total }
        : { kind: "conflict", version: told.current_version, missed: told.missed ?? null };
    case 422:
      return { kind: "reused" };
    case 429:
      return { kind: "limited", seconds: Math.max(1, seconds) };
    case 404:
    case 405:
    case 413:
      return { kind: "invalid", detail: detail || told.error };
    default:
      return { kind: "unknown", seconds };
  }
}

function parsed(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

function placeOf(detail) {
  const found = /^items\[(\d+)\]\.\w+: /.exec(detail);
  return { index: found ? Number(found[1]) : null, detail: found ? detail.slice(found[0].length) : detail };
}

// The state after an answer to the order of this id; `toMinor` reads the interface's amounts, `random` is 0 to 1.
export function heard(state, orderId, answer, { now, random, toMinor }) {
  const { outbox } = state;
  if (outbox?.basket.order_id !== orderId) return state; // it is settled: by another window, or the guest
  switch (answer.kind) {
    case "accepted":
      return { ...state, outbox: null };
    case "unknown":
      return become(state, failed(outbox, answer.seconds, now, random));
    case "limited":
      // What may have arrived before goes on by itself: no guest should have to care for it.
      return become(state, { state: "limited", until: now + answer.seconds * 1000, armed: outbox.open });
    case "conflict":
      return become(state, { state: "conflict", current: answer.version, missed: answer.missed });
    case "menu":
      return become(state, repriced(outbox, answer, toMinor));
    case "ended":
    case "forbidden":
      return state; // the page locks; what is kept says what was not answered
    default: {
      const { kind, ...told } = answer;
      return become(state, { state: kind, ...told });
    }
  }
}

function failed({ failures = 0 }, seconds, now, random) {
  const pause = Math.min(FIRST * 2 ** failures, LONGEST) * (0.5 + random / 2);
  return { ...AT_ONCE, open: true, failures: failures + 1, retryAt: now + Math.max(pause, seconds * 1000) };
}

function repriced(outbox, { revision, items, total }, toMinor) {
  const lines = outbox.basket.lines.map((line, index) => ({ ...line, price: toMinor(items[index].price) }));
  const before = { prices: outbox.basket.lines.map((line) => line.price), total: outbox.total };
  return { state: "menu", basket: { ...outbox.basket, lines }, total: toMinor(total), revision, before };
}

// The outbox in another state: what belonged to the one before is gone.
function become(state, news) {
  const { basket, total, version, revision, open } = state.outbox;
  return { ...state, outbox: { basket, total, version, revision, open, ...news } };
}

// How many ms from now the outbox is to be sent; null: not before the guest decides.
export function due({ outbox }, now) {
  if (outbox?.state === "sending") return Math.max(0, outbox.retryAt - now);
  if (outbox?.state === "limited" && outbox.armed) return Math.max(0, outbox.until - now);
  return null;
}

// The same order again, now: by the table's version and the prices that the guest has been shown.
export function resend(state) {
  const { outbox } = state;
  return outbox ? become(state, { ...AT_ONCE, version: outbox.current ?? outbox.version }) : state;
}

// There is a network again: no more waiting for it.
export function hurry(state) {
  return state.outbox?.state === "sending" ? { ...state, outbox: { ...state.outbox, retryAt: 0 } } : state;
}

// Whether it goes by itself once the wait is over.
export function arm(state, armed) {
  return state.outbox?.state === "limited" ? { ...state, outbox: { ...state.outbox, armed } } : state;
}

// Without this line, again; the last one out: nothing is left to be sent.
export function sendWithout(state, index) {
  if (!state.outbox) return state;
  const lines = state.outbox.basket.lines.filter((_, place) => place !== index);
  const total = lines.reduce((sum, line) => sum + line.price * line.quantity, 0);
  const less = become(state, { ...AT_ONCE, basket: { ...state.outbox.basket, lines }, total });
  return lines.length ? less : takeBack(less);
}

// Back into the basket, before what was put there meanwhile. It keeps its id: a later sending cannot be a second order.
export function takeBack(state) {
  const { outbox, basket } = state;
  if (!outbox) return state;
  const { basket: sent } = outbox;
  const note = [sent.note, basket.note].filter(Boolean).join("\n");
  const back = { ...sent, lines: [...sent.lines, ...basket.lines], note };
  return { ...state, outbox: null, basket: back };
}

// The guest wants it beside the one that stands: another order then, and the guest said so.
export function asAnother(state, nextId) {
  const back = takeBack(state);
  return { ...back, basket: { ...back.basket, order_id: nextId } };
}

// What the table's orders, as the interface reads them, tell of what was sent and never answered: {state, settled}.
// `settled`: "sent", what was being sent stands; "basket", the basket had been sent as it is, and is emptied; "changed",
// it had been sent and was changed since: it goes on as another order; or null.
export function learn(state, orders, nextId) {
  const { outbox, basket } = state;
  const id = (outbox?.basket ?? basket).order_id;
  const order = orders.find((other) => other.client_order_id === id);
  if (!order || outbox?.state === "reused") return { state, settled: null };
  const stands = told(contentOf(order));
  if (outbox) {
    if (told(content(outbox.basket)) !== stands) return { state: become(state, { state: "reused" }), settled: null };
    return { state: { ...state, outbox: null }, settled: "sent" };
  }
  if (isEmpty(basket) || told(content(basket)) === stands) {
    return { state: { ...state, basket: emptyBasket(nextId) }, settled: "basket" };
  }
  return { state: { ...state, basket: { ...basket, order_id: nextId } }, settled: "changed" };
}

// An order that stands, in the words in which it was sent.
function contentOf({ items, note }) {
  const lines = items.map(({ menu_item_id: dish, quantity, modifiers, note: own }) => ({
    dish,
    quantity,
    modifiers,
    note: own,
  }));
  return content({ lines, note });
}

function told(value) {
  return JSON.stringify(value);
}
