// What a station has to cook: tickets from a snapshot and changes, and what follows from them. No DOM, no clock.

const TODO = new Set(["new", "seen"]);
const BEING_COOKED = new Set(["new", "seen", "cooking"]);
const NEXT = { new: "cooking", seen: "cooking", cooking: "ready", ready: "served" };
const RECENT = 10;
const LEFT = 500; // tickets that left, whose versions are kept: what comes late does not bring one back

export const isTodo = (ticket) => TODO.has(ticket.state);
export const isBeingCooked = (ticket) => BEING_COOKED.has(ticket.state);
export const isShown = (ticket) => ticket.state !== "served" && !(ticket.state === "voided" && ticket.acknowledged);
export const isLoud = (ticket) => ticket.state === "voided" && !ticket.acknowledged;

export class Board {
  tickets = new Map();
  recent = []; // newest first
  more = 0;
  limits = { unseenAfter: 15, warnAfter: 480, lateAfter: 900 };
  #left = new Map(); // ticket id -> version
  #begun = false;

  // Forget what was known before. What has come, and which voids are new: {arrived, voided}.
  snapshot(told) {
    const before = this.tickets;
    this.tickets = new Map(told.tickets.filter(isShown).map((ticket) => [ticket.ticket_id, ticket]));
    this.recent = told.recent.slice(0, RECENT);
    this.more = told.more || 0;
    this.limits = { unseenAfter: told.unseen_after, warnAfter: told.warn_after, lateAfter: told.late_after };
    this.#left = new Map(this.recent.map((ticket) => [ticket.ticket_id, ticket.version]));
    const isFirst = !this.#begun;
    this.#begun = true;
    const tickets = [...this.tickets.values()];
    return {
      arrived: isFirst ? [] : tickets.filter((ticket) => isTodo(ticket) && !before.has(ticket.ticket_id)),
      voided: tickets.filter((ticket) => isLoud(ticket) && !(before.has(ticket.ticket_id) && isLoud(before.get(ticket.ticket_id)))),
    };
  }

  // A ticket as it is now, from the stream or from an answer, in whatever order they come: {arrived, voided}.
  ticket(ticket) {
    const id = ticket.ticket_id;
    const before = this.tickets.get(id);
    if (ticket.version <= this.versionOf(id)) return { arrived: [], voided: [] };
    this.recent = this.recent.filter((other) => other.ticket_id !== id);
    if (isShown(ticket)) {
      this.tickets.set(id, ticket);
      this.#left.delete(id);
    } else {
      this.tickets.delete(id);
      this.#leave(ticket);
    }
    return {
      arrived: !before && isTodo(ticket) ? [ticket] : [],
      voided: isLoud(ticket) && !(before && isLoud(before)) ? [ticket] : [],
    };
  }

  // The version that is known of a ticket that is shown or has left; 0: none.
  versionOf(id) {
    return this.tickets.get(id)?.version ?? this.#left.get(id) ?? 0;
  }

  find(id) {
    return this.tickets.get(id) || this.recent.find((ticket) => ticket.ticket_id === id) || null;
  }

  // It is not known any more, by anybody.
  drop(id) {
    this.tickets.delete(id);
    this.recent = this.recent.filter((ticket) => ticket.ticket_id !== id);
  }

  #leave(ticket) {
    this.recent = [ticket, ...this.recent].slice(0, RECENT);
    this.#left.set(ticket.ticket_id, ticket.version);
    if (this.#left.size > LEFT) this.#left.delete(this.#left.keys().next().value);
  }
}

// The ticket as it will be once what is on its way has been done: what was tapped is seen at once. A command of an older
// version than the ticket's has been done, or will be refused; not where a display merely has seen the ticket meanwhile.
export function foreseen(ticket, commands) {
  const waiting = commands.filter(({ version }) => version >= ticket.version || ticket.action === "see");
  const steps = [ticket];
  for (const command of waiting) {
    if (command.action === "undo") {
      if (steps.length > 1) steps.pop();
    } else {
      steps.push(changed(steps.at(-1), command));
    }
  }
  return steps.at(-1);
}

function changed(ticket, { action, line_id: lineId, reason }) {
  switch (action) {
    case "bump":
      return { ...ticket, state: NEXT[ticket.state] || ticket.state };
    case "line_done":
    case "line_undone": {
      const lines = ticket.lines.map((line) => (line.line_id === lineId ? { ...line, done: action === "line_done" } : line));
      return { ...ticket, state: "cooking", lines };
    }
    case "recall":
      return { ...ticket, state: "cooking" };
    case "void":
      return { ...ticket, state: "voided", reason, acknowledged: false };
    case "acknowledge_void":
      return { ...ticket, acknowledged: true };
    case "clear":
      return { ...ticket, state: "served" };
    default:
      return ticket;
  }
}

// Voids first, since they shout; then the oldest.
export function inOrder(tickets) {
  return [...tickets].sort(
    (one, other) =>
      isLoud(other) - isLoud(one) ||
      Date.parse(one.placed_at) - Date.parse(other.placed_at) ||
      one.round - other.round ||
      (one.ticket_id < other.ticket_id ? -1 : 1),
  );
}

// The ids of tickets whose table already has one of an earlier round that is still being cooked at the station.
export function additions(tickets) {
  const earliest = new Map();
  const key = (ticket) => JSON.stringify([ticket.station, ticket.table_number, ticket.session]);
  for (const ticket of tickets) {
    if (!isBeingCooked(ticket)) continue;
    earliest.set(key(ticket), Math.min(earliest.get(key(ticket)) ?? Infinity, ticket.round));
  }
  const found = tickets.filter((ticket) => isBeingCooked(ticket) && earliest.get(key(ticket)) < ticket.round);
  return new Set(found.map((ticket) => ticket.ticket_id));
}

// How many of each dish are still to be made, the most first: [{id, name, count, modifiers: [[text, count], …]}].
export function allDay(tickets) {
  const dishes = new Map();
  for (const ticket of tickets) {
    if (!isBeingCooked(ticket)) continue;
    for (const line of ticket.lines) {
      if (line.done) continue;
      const dish = dishes.get(line.menu_item_id) || { id: line.menu_item_id, name: line.name, count: 0, modifiers: new Map() };
      dishes.set(line.menu_item_id, dish);
      dish.count += line.quantity;
      if (line.modifiers.length) {
        const text = line.modifiers.join(", ");
        dish.modifiers.set(text, (dish.modifiers.get(text) || 0) + line.quantity);
      }
    }
  }
  const most = (one, other) => other[1] - one[1] || one[0].localeCompare(other[0]);
  return [...dishes.values()]
    .map((dish) => ({ ...dish, modifiers: [...dish.modifiers].sort(most) }))
    .sort((one, other) => other.count - one.count || one.name.localeCompare(other.name));
}

// Whether a ticket fits: all words of the text somewhere in it, and the state. Voids fit always, since they shout.
export function fits(ticket, { text = "", state = "all" }) {
  if (isLoud(ticket)) return true;
  if (state === "todo" ? !isTodo(ticket) : state !== "all" && ticket.state !== state) return false;
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return true;
  const parts = [ticket.table_number, ticket.note, ticket.order_id, ticket.station];
  for (const line of ticket.lines) parts.push(line.name, line.note, ...line.modifiers, ...line.allergens);
  const hay = parts.join("\n").toLowerCase();
  return words.every((word) => hay.includes(word));
}
