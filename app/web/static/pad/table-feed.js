// Keeps the table up to date: its stream tells what the kitchen does, and reads tell what was ordered, when it begins, when the
// stream names an order that is not known, after the pad's own orders, and now and then.

import { Stream } from "../stream.js";

const EVERY = 60_000; // ms between two reads where nothing happens
const STALE_EVERY = 5000; // … while the stream is down
const FIRST = 1000; // ms until a read that failed is tried again, doubled each time
const LONGEST = 10_000;
const READ = 10_000; // ms that a read may take

export class TableFeed {
  staleSince = null; // performance.now() of the last sign of life; null: the stream is alive
  behindSince = null; // … since when the stream itself knows nothing new
  answered = -Infinity; // performance.now() of the last answer to a read
  clock;
  #stream;
  #table;
  #token;
  #on;
  #timer = null;
  #reading = null;
  #again = false;
  #failures = 0;
  #stopped = false;

  // `on` hears: change(), read(orders) after each read, closed() when the session ended, denied().
  constructor({ token, table, on }) {
    this.#table = table;
    this.#token = token;
    this.#on = on;
    this.#stream = new Stream({
      path: `/tables/${encodeURIComponent(table.number)}/stream`,
      token,
      on: {
        snapshot: (data) => this.#told(() => table.snapshot(data)),
        order: (data) => {
          this.#told(() => table.tell(data));
          if (data.state === "cancelled") this.refresh(); // the table's total is another one
        },
        beat: (data) => this.#beat(data),
        closed: () => on.closed(),
      },
      onFresh: () => {
        this.staleSince = null;
        this.refresh();
        on.change();
      },
      onStale: (since) => {
        this.staleSince = since;
        this.refresh();
        on.change();
      },
      onDenied: (status) => (status === 403 ? on.denied() : on.closed()),
    });
    this.clock = this.#stream.clock;
    addEventListener("online", () => this.refresh());
  }

  start() {
    this.#stream.start();
    this.refresh();
  }

  stop() {
    this.#stopped = true;
    this.#stream.stop();
    clearTimeout(this.#timer);
  }

  // A worker that cannot read the kitchen's log says so.
  #beat({ current }) {
    if (current === (this.behindSince === null)) return;
    this.behindSince = current ? null : performance.now();
    this.#on.change();
  }

  #told(take) {
    take();
    if (this.#table.lacks) this.refresh();
    this.#on.change();
  }

  // Reads table and orders; once more where it is asked for meanwhile.
  async refresh() {
    if (this.#stopped) return;
    this.#again = this.#reading !== null;
    if (this.#again) return;
    clearTimeout(this.#timer);
    this.#reading = this.#read();
    const wait = await this.#reading;
    this.#reading = null;
    if (this.#stopped) return;
    if (this.#again) this.refresh();
    else this.#timer = setTimeout(() => this.refresh(), wait);
  }

  // ms until the next read.
  async #read() {
    const path = `/tables/${encodeURIComponent(this.#table.number)}`;
    try {
      // The table first: what it counts is among the orders that are read after it.
      const table = await this.#get(path);
      if (this.#stopped) return 0;
      this.#table.readTable(table);
      const orders = await this.#get(`${path}/orders`);
      if (this.#stopped) return 0;
      this.#table.readOrders(orders);
      this.#failures = 0;
      this.#on.read(orders);
    } catch (error) {
      this.#on.change();
      return Math.max(error.wait ?? 0, Math.min(FIRST * 2 ** this.#failures++, LONGEST));
    }
    if (this.#table.lacks) return FIRST;
    return this.staleSince === null ? EVERY : STALE_EVERY;
  }

  async #get(path) {
    const answer = await this.#token.fetch(path, { signal: AbortSignal.timeout(READ) });
    if (answer.status < 500) this.answered = performance.now();
    if (answer.status === 401) this.#on.closed();
    else if (answer.status === 403) this.#on.denied();
    else if (answer.ok) return answer.json();
    const wait = 1000 * Number(answer.headers.get("Retry-After") ?? 0);
    throw Object.assign(new Error(`${path}: ${answer.status}`), { wait });
  }
}
