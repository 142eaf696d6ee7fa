// Tells the kitchen which tickets this display has shown: the receipt that a guest and the other stations wait for.

import { pause } from "../stream.js";

const EVERY = 500; // ms between two sendings at least
const MOST = 200; // tickets in one
const TIMEOUT = 8000;

export class Receipts {
  #waiting = new Set();
  #told = new Set();
  #running = false;
  #wake = null;

  constructor(token) {
    this.token = token;
    this.stopped = false;
  }

  // These new tickets are in front of somebody's eyes; those told of before are left out.
  shown(ticketIds) {
    for (const id of ticketIds) if (!this.#told.has(id)) this.#waiting.add(id);
    if (this.#waiting.size) this.#run();
  }

  // A snapshot that still holds one as new has not heard of it: it is told of again.
  again(ticketIds) {
    for (const id of ticketIds) this.#told.delete(id);
  }

  hurry() {
    this.#wake?.();
  }

  async #run() {
    if (this.#running) return;
    this.#running = true;
    for (let attempt = 0; this.#waiting.size && !this.stopped; ) {
      const ids = [...this.#waiting].slice(0, MOST);
      const status = await this.#send(ids);
      if (status === 401 || status === 403) break;
      // Another refusal would be the same again for the same tickets.
      if (status >= 200 && status < 500 && status !== 429) {
        attempt = 0;
        for (const id of ids) {
          this.#waiting.delete(id);
          this.#told.add(id);
        }
        await this.#sleep(EVERY);
      } else {
        await this.#sleep(Math.max(EVERY, pause(attempt++)));
      }
    }
    this.#running = false;
  }

  async #send(ids) {
    try {
      const answer = await this.token.fetch("/kitchen/seen", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ ticket_ids: ids }),
        signal: AbortSignal.timeout(TIMEOUT),
      });
      return answer.status;
    } catch {
      return 0;
    }
  }

  async #sleep(milliseconds) {
    await new Promise((resolve) => {
      this.#wake = resolve;
      setTimeout(resolve, milliseconds);
    });
    this.#wake = null;
  }
}
