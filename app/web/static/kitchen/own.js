// What this display has changed, newest last, so that the last can be undone: kept over reloads, as its commands are.

const KEY = "kitchen.own";
const KEPT = 20;
const CAN_BE_UNDONE = new Set(["bump", "line_done", "line_undone", "recall"]);

export class Own {
  #changes; // [{command_id, ticket_id, table, version}], the version after it; null: not answered yet

  constructor(storage) {
    this.storage = storage;
    try {
      const kept = JSON.parse(storage.getItem(KEY));
      this.#changes = Array.isArray(kept) ? kept : [];
    } catch {
      this.#changes = [];
    }
  }

  // A command was given.
  did({ command_id: commandId, ticket_id: ticketId, action }, table) {
    if (!CAN_BE_UNDONE.has(action)) return;
    this.#changes = [...this.#changes, { command_id: commandId, ticket_id: ticketId, table, version: null }].slice(-KEPT);
    this.#keep();
  }

  // It is done, and the ticket has this version now.
  done({ command_id: commandId, ticket_id: ticketId, action }, version) {
    if (action === "undo") this.#forget((change) => change.ticket_id === ticketId && change.version !== null);
    for (const change of this.#changes) if (change.command_id === commandId) change.version = version;
    this.#keep();
  }

  // It was refused.
  failed({ command_id: commandId }) {
    this.#forget((change) => change.command_id === commandId);
  }

  // Takes the last change off: the one to undo; null: there is none.
  take() {
    const change = this.#changes.at(-1) || null;
    if (change) this.#forget((other) => other === change);
    return change;
  }

  get hasAny() {
    return this.#changes.length > 0;
  }

  #forget(matches) {
    this.#changes = this.#changes.filter((change) => !matches(change));
    this.#keep();
  }

  #keep() {
    try {
      this.storage.setItem(KEY, JSON.stringify(this.#changes));
    } catch {
      // A browser that keeps nothing.
    }
  }
}
