// What the table has ordered, and how far each order is: from the orders service's reads, and from the table's stream, which
// tells what the kitchen does. Either may come first, or lag.

import { toMinor } from "./money.js";

const FINISHED = 15 * 60_000; // ms; so old, an order that the kitchen does not tell of has been served

export class Table {
  number;
  version = null; // null: not read yet
  total = null;
  isLive = false; // whether the stream has told anything
  #digits;
  #orders = new Map();
  #told = new Map();
  #unseenAfter = Infinity; // ms

  constructor(number, digits) {
    this.number = number;
    this.#digits = digits;
  }

  // `GET /tables/{n}`. A read that was overtaken by an order of this pad is older than what is known.
  readTable({ version, total }) {
    if (this.version !== null && version < this.version) return;
    this.version = version;
    this.total = toMinor(total, this.#digits);
  }

  // `GET /tables/{n}/orders`.
  readOrders(orders) {
    for (const order of orders) this.#orders.set(order.order_id, readOrder(order, this.#digits));
  }

  // An order that was just accepted here, until it is read.
  placed({ orderId, version }, outbox, now) {
    this.version = Math.max(this.version ?? 0, version ?? 0);
    if (this.#orders.has(orderId)) return;
    const { basket, total } = outbox;
    this.#orders.set(orderId, {
      id: orderId,
      clientId: basket.order_id,
      version: version ?? this.version,
      lines: basket.lines,
      note: basket.note,
      total,
      placedAt: now,
      isCancelled: false,
    });
  }

  cancelled(id) {
    const order = this.#orders.get(id);
    if (order) order.isCancelled = true;
  }

  snapshot({ orders, unseen_after: seconds }) {
    this.isLive = true;
    this.#unseenAfter = seconds * 1000;
    this.#told = new Map(orders.map((order) => [order.order_id, order]));
  }

  tell(order) {
    this.#told.set(order.order_id, order);
  }

  // Whether the kitchen tells of orders that have not been read: another pad's.
  get lacks() {
    return [...this.#told.keys()].some((id) => !this.#orders.has(id));
  }

  get clientIds() {
    return new Set([...this.#orders.values()].map((order) => order.clientId));
  }

  // All orders, the newest first, each with its state at `now`, the server's time in ms.
  orders(now) {
    const newest = [...this.#orders.values()].sort((one, other) => other.version - one.version);
    const past = Math.max(0, ...newest.filter(({ id }) => this.#told.has(id)).map(({ version }) => version));
    return newest.map((order) => {
      const told = this.#told.get(order.id);
      const state = order.isCancelled ? "cancelled" : (told?.state ?? this.#untold(order, past, now));
      return {
        ...order,
        state,
        reason: told?.reason ?? "",
        tickets: told?.tickets ?? [],
        isUnseen: state === "received" && this.isLive && now - order.placedAt > this.#unseenAfter,
        canBeCancelled: ["received", "seen", "unknown"].includes(state),
      };
    });
  }

  // The kitchen does not tell of it: it has not come there, or was finished long ago.
  #untold({ version, placedAt }, past, now) {
    if (!this.isLive) return "unknown";
    return version < past || now - placedAt > FINISHED ? "served" : "received";
  }
}

function readOrder(order, digits) {
  return {
    id: order.order_id,
    clientId: order.client_order_id,
    version: order.version,
    lines: readLines(order.items, digits),
    note: order.note,
    total: toMinor(order.total, digits),
    placedAt: Date.parse(order.placed_at),
    isCancelled: order.status === "cancelled",
  };
}

// The lines of an order as the interface reads them; modifiers have ids there, and names only on the menu.
export function readLines(items, digits) {
  return items.map((item) => ({
    dish: item.menu_item_id,
    name: item.name,
    modifiers: item.modifiers,
    quantity: item.quantity,
    note: item.note,
    price: toMinor(item.price, digits),
  }));
}
