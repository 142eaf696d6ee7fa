// Server-sent events, read with fetch: EventSource sends no Authorization header, and a token in a query ends up in logs.
//
//   const stream = new Stream({
//     path: "/kitchen/stations/grill/stream",
//     token,                                  // of token.js; anything with a fetch(path, options)
//     on: { snapshot(data) {}, ticket(data) {}, beat(data) {} },
//     onStale(since) {},                      // no byte for 6 s, or for `stale` ms; performance.now() of the last one
//     onFresh() {},                           // something comes, at first and after having been stale
//     onDenied(status) {},                    // 401, 403 or another of `final`: it has stopped for good
//   });
//   stream.start(); … stream.clock.now() …; stream.stop();

const STALE = 6000; // ms without a byte; the server beats every 2 s
const LOOK = 500; // ms between looks at it
const FIRST = 250; // ms to the next attempt, doubled each time
const LONGEST = 5000;
const STOOD = 5000; // ms after which a connection counts as a good one

// Text in, events out: [{event, data, id}]. `id` is the last one given, also by an event of before.
export class EventParser {
  retry = null; // ms, where the server told
  #rest = "";
  #event = "";
  #data = [];
  #id;

  constructor(id = "") {
    this.#id = id;
  }

  feed(text) {
    const events = [];
    this.#rest += text;
    // A \r at the end may be half of a \r\n.
    const lines = this.#rest.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    for (const line of lines) {
      if (line) this.#line(line);
      else this.#end(events);
    }
    return events;
  }

  #line(line) {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }

  #end(events) {
    if (this.#data.length) events.push({ event: this.#event || "message", data: this.#data.join("\n"), id: this.#id });
    this.#event = "";
    this.#data = [];
  }
}

// The server's time, from the moments that it told. Each arrives late by what the way took, so that the one furthest
// ahead is the nearest; only the last ones count, since clocks drift. Our own wall clock is not looked at.
export class ServerClock {
  #ahead = [];

  constructor(ticks = () => performance.now()) {
    this.ticks = ticks;
  }

  hear(moment) {
    const at = Date.parse(moment);
    if (Number.isNaN(at)) return;
    this.#ahead.push(at - this.ticks());
    if (this.#ahead.length > 15) this.#ahead.shift();
  }

  // ms since 1970.
  now() {
    return this.#ahead.length ? this.ticks() + Math.max(...this.#ahead) : Date.now();
  }
}

// ms to wait before the attempt, which is counted from 0. With jitter: all displays lose a worker at the same moment.
export function pause(attempt, first = FIRST, random = Math.random) {
  const most = Math.min(first * 2 ** attempt, LONGEST);
  return most / 2 + (most / 2) * random();
}

export class Stream {
  clock = new ServerClock();
  #options;
  #id = "";
  #attempt = 0;
  #first = FIRST;
  #heard = 0; // performance.now() of the last byte
  #began = 0; // … of this attempt
  #fresh = false;
  #stale = false;
  #running = null; // aborted when the stream stops
  #connection = null;
  #wake = null;

  constructor(options) {
    const nothing = { onStale() {}, onFresh() {}, onDenied() {} };
    this.#options = { on: {}, final: [401, 403], stale: STALE, ...nothing, ...options };
  }

  start() {
    if (this.#running) return;
    this.#running = new AbortController();
    this.#heard = performance.now();
    const { signal } = this.#running;
    const look = setInterval(() => this.#look(), LOOK);
    signal.addEventListener("abort", () => clearInterval(look));
    addEventListener("online", () => this.#hurry(), { signal });
    addEventListener("pageshow", () => this.#hurry(), { signal });
    // A page that is left may be kept for "back", with its connection, of which a browser has six.
    addEventListener("pagehide", () => this.#connection?.abort(), { signal });
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry(), { signal });
    this.#run(signal);
  }

  stop() {
    this.#running?.abort();
    this.#connection?.abort();
    this.#wake?.();
    this.#running = null;
  }

  async #run(signal) {
    while (!signal.aborted) {
      this.#began = performance.now();
      try {
        const status = await this.#connect();
        if (signal.aborted) return;
        if (this.#options.final.includes(status)) {
          this.stop();
          this.#options.onDenied(status);
          return;
        }
      } catch {
        // The network, the server, or a stream that gave no sign of life: all the same here.
      }
      if (signal.aborted) return;
      if (this.#heard - this.#began > STOOD) this.#attempt = 0;
      await this.#sleep(pause(this.#attempt++, this.#first));
    }
  }

  // One connection until it ends; the status where it was none.
  async #connect() {
    const connection = (this.#connection = new AbortController());
    const headers = { Accept: "text/event-stream" };
    if (this.#id) headers["Last-Event-ID"] = this.#id;
    try {
      const answer = await this.#options.token.fetch(this.#options.path, { headers, signal: connection.signal });
      const isStream = (answer.headers.get("Content-Type") || "").startsWith("text/event-stream");
      if (!answer.ok || !isStream) return answer.status;
      const parser = new EventParser(this.#id);
      const decoder = new TextDecoder();
      const reader = answer.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || connection.signal.aborted) return 0;
        this.#heard = performance.now();
        for (const event of parser.feed(decoder.decode(value, { stream: true }))) this.#tell(event, connection);
        if (connection.signal.aborted) return 0;
        this.#alive();
        if (parser.retry !== null) this.#first = Math.min(Math.max(parser.retry, FIRST), LONGEST);
      }
    } finally {
      connection.abort(); // a body that nobody reads any more would hold its connection
    }
  }

  #tell({ event, data, id }, connection) {
    if (connection.signal.aborted) return;
    try {
      const told = JSON.parse(data);
      if (told?.now) this.clock.hear(told.now);
      this.#options.on[event]?.(told);
    } catch (error) {
      this.#id = ""; // what could not be taken in leaves a gap, and only a snapshot closes that
      console.error(`event ${event} ${id}`, error);
      throw error;
    }
    this.#id = id;
  }

  // Also by a comment: a stream that resumes where nothing has happened has nothing else to say.
  #alive() {
    if (this.#fresh) return;
    this.#fresh = true;
    this.#stale = false;
    this.#options.onFresh();
  }

  #look() {
    const now = performance.now();
    if (now - this.#heard < this.#options.stale) return;
    if (!this.#stale) {
      this.#stale = true;
      this.#fresh = false;
      this.#options.onStale(this.#heard);
    }
    if (now - this.#began >= this.#options.stale) this.#connection?.abort();
  }

  #hurry() {
    this.#attempt = 0;
    this.#wake?.();
  }

  async #sleep(milliseconds) {
    await new Promise((resolve) => {
      this.#wake = resolve;
      setTimeout(resolve, milliseconds);
    });
    this.#wake = null;
  }
}
