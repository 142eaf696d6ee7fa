// How old a ticket is, in words and in bands. Times are ms since 1970 on the server's clock.

// "0:07", "12:40", "1 h 05".
export function ageText(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${String(seconds % 60).padStart(2, "0")}`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")}`;
}

export const seconds = (milliseconds) => Math.max(0, Math.floor(milliseconds / 1000));

// "fresh", "warn" or "late"; the limits are in s.
export function band(milliseconds, { warnAfter, lateAfter }) {
  if (milliseconds >= lateAfter * 1000) return "late";
  return milliseconds >= warnAfter * 1000 ? "warn" : "fresh";
}

// "19:58", in the display's own zone.
export const clockText = (moment) => new Date(moment).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

// Tells of each ticket once that it has become late, and not of those that were when they were first looked at.
export class LateWatch {
  #known = new Map(); // ticket id -> whether it is late

  // The tickets that have become late since the last look.
  look(tickets, now, limits) {
    const became = [];
    const ids = new Set();
    for (const ticket of tickets) {
      const late = band(now - Date.parse(ticket.placed_at), limits) === "late";
      if (late && this.#known.get(ticket.ticket_id) === false) became.push(ticket);
      this.#known.set(ticket.ticket_id, late);
      ids.add(ticket.ticket_id);
    }
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
    return became;
  }
}
