// Changes on their way to the kitchen: each is sent until it is answered, with the same id, also after a reload.
// Those of one ticket go one after the other; the body of each is fixed when it is tapped, for a repeat must be the same.

import { pause } from "../stream.js";

const KEY = "kitchen.commands";
const TIMEOUT = 8000; // ms without an answer: above the service's own deadline, so that its 503 is seen

// Letters that nobody else gives; randomUUID is not there where a page comes over plain HTTP.
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `c-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

// What an answer means: "done", "conflict", "impossible", "gone", "denied", "forbidden" or "refused"; null: send it again.
export function verdict(status, body) {
  if (status === 200) return body?.ticket_id ? "done" : null;
  if (status === 401) return "denied";
  if (status === 403) return "forbidden";
  if (status === 404) return "gone";
  if (status === 409) return body?.error === "Not possible" ? "impossible" : "conflict";
  return status === 408 || status === 429 || status >= 500 ? null : "refused";
}

export class Commands {
  #lanes = new Map(); // ticket id -> commands, the first one being sent
  #running = new Set();
  #sleeping = new Set(); // what wakes those who wait for their next attempt
  #stopped = false;

  // `send(command)` gives {status, body, retryAfter (s)} or throws; `tell(outcome)` is called with {kind, status, command,
  // body} of each answer, and with `kind` "dropped" of those that were behind a refused one; `changed()` with each change.
  constructor({ send, storage, tell, changed = () => {}, sleep = null, id = newId }) {
    Object.assign(this, { send, storage, tell, changed, id });
    this.sleep = sleep || ((milliseconds) => this.#sleep(milliseconds));
    for (const command of this.#kept()) this.#lane(command.ticket_id).push(command);
  }

  // Sends what was kept from before a reload.
  start() {
    for (const id of this.#lanes.keys()) this.#run(id);
  }

  // The ticket as it is known, and what shall be done: the command.
  add(ticketId, version, action, more = {}) {
    const lane = this.#lane(ticketId);
    const last = lane.at(-1);
    const command = {
      ticket_id: ticketId,
      command_id: this.id(),
      version: last ? Math.max(last.version + 1, version) : version,
      action,
      ...more,
    };
    lane.push(command);
    this.#keep();
    this.#run(ticketId);
    return command;
  }

  of(ticketId) {
    return this.#lanes.get(ticketId) || [];
  }

  get size() {
    let size = 0;
    for (const lane of this.#lanes.values()) size += lane.length;
    return size;
  }

  // Do not wait any longer: the server is there again.
  hurry() {
    for (const wake of [...this.#sleeping]) wake();
  }

  // The token is not taken any more: they stay where they are kept.
  stop() {
    this.#stopped = true;
    this.hurry();
  }

  async #run(ticketId) {
    if (this.#running.has(ticketId)) return;
    this.#running.add(ticketId);
    const lane = this.#lane(ticketId);
    for (let attempt = 0; lane.length && !this.#stopped; ) {
      const { kind, status = 0, body = null, retryAfter = 0 } = await this.#attempt(lane[0]);
      if (kind === "denied") this.stop();
      if (kind && kind !== "denied") {
        attempt = 0;
        this.#answered(lane, { kind, status, body });
      } else if (kind === "denied") {
        this.tell({ kind, status, body, command: lane[0] });
      } else {
        await this.sleep(Math.max(pause(attempt++), retryAfter * 1000));
      }
    }
    this.#running.delete(ticketId);
    if (!lane.length) this.#lanes.delete(ticketId);
    this.changed();
  }

  async #attempt(command) {
    try {
      const answer = await this.send(command);
      return { ...answer, kind: verdict(answer.status, answer.body) };
    } catch {
      return { kind: null }; // no answer: it may have been done, and the same id tells
    }
  }

  #answered(lane, { kind, status, body }) {
    const command = lane[0];
    lane.shift();
    const dropped = kind === "done" ? [] : lane.splice(0); // they were meant for a ticket that has become another
    // A display may have seen the ticket meanwhile, which is a version, and no other cook.
    const seen = kind === "done" ? Math.max(body.version - command.version - 1, 0) : 0;
    for (const later of lane) later.version += seen;
    this.#keep();
    this.tell({ kind, status, body, command });
    for (const later of dropped) this.tell({ kind: "dropped", status, body, command: later });
  }

  #lane(ticketId) {
    if (!this.#lanes.has(ticketId)) this.#lanes.set(ticketId, []);
    return this.#lanes.get(ticketId);
  }

  #kept() {
    try {
      const kept = JSON.parse(this.storage.getItem(KEY));
      return Array.isArray(kept) ? kept.filter((command) => command?.ticket_id && command.command_id && command.action) : [];
    } catch {
      return [];
    }
  }

  #keep() {
    try {
      this.storage.setItem(KEY, JSON.stringify([...this.#lanes.values()].flat()));
    } catch {
      // A browser that keeps nothing: they are sent as long as the page is open.
    }
    this.changed();
  }

  #sleep(milliseconds) {
    return new Promise((resolve) => {
      const wake = () => {
        this.#sleeping.delete(wake);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(wake, milliseconds);
      this.#sleeping.add(wake);
    });
  }
}

// Sends a command with the token of the page.
export const sender = (token) => async ({ ticket_id: ticketId, ...body }) => {
  const answer = await token.fetch(`/kitchen/tickets/${encodeURIComponent(ticketId)}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT),
  });
  return { status: answer.status, body: await bodyOf(answer), retryAfter: Number(answer.headers.get("Retry-After")) || 0 };
};

async function bodyOf(answer) {
  try {
    return await answer.json();
  } catch {
    return null;
  }
}
