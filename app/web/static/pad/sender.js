// Sends what is in the outbox, one attempt at a time, until something definite is heard of it.

import { body, due, heard, hurry, readAnswer } from "./outbox.js";

const ATTEMPT = 15_000; // ms; above the 8 s after which the server itself gives up

export class Sender {
  #busy = null; // aborted when the guest takes back what is being sent
  #timer = null;
  #stopped = false;

  // `read()` gives the pad's state, `write(state)` stores and shows it; `onAnswer(answer, outbox)` hears every answer after that.
  constructor({ token, table, toMinor, read, write, onAnswer }) {
    Object.assign(this, { token, table, toMinor, read, write, onAnswer });
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
  }

  // To be called when the outbox is another one.
  wake() {
    const { outbox } = this.read();
    if (this.#busy && this.#busy.orderId !== outbox?.basket.order_id) this.#busy.abort();
    clearTimeout(this.#timer);
    const wait = due(this.read(), Date.now());
    if (this.#stopped || this.#busy || wait === null) return;
    this.#timer = setTimeout(() => this.#send(), wait);
  }

  hurry() {
    const state = this.read();
    const sooner = hurry(state);
    if (this.#busy || this.#stopped || sooner === state) return;
    this.write(sooner);
    this.wake();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#busy?.abort();
  }

  async #send() {
    if (this.#busy || this.#stopped || due(this.read(), Date.now()) !== 0) return this.wake();
    const { outbox } = this.read();
    const orderId = outbox.basket.order_id;
    const attempt = (this.#busy = new AbortController());
    attempt.orderId = orderId;
    const answer = await this.#post(body(outbox, this.table), attempt);
    this.#busy = null;
    if (this.#stopped) return;
    const how = { now: Date.now(), random: Math.random(), toMinor: this.toMinor };
    this.write(heard(this.read(), orderId, answer, how));
    this.onAnswer(answer, outbox);
    this.wake();
  }

  async #post(order, attempt) {
    const timer = setTimeout(() => attempt.abort(), ATTEMPT);
    try {
      const headers = { "Content-Type": "application/json" };
      const options = { method: "POST", headers, body: JSON.stringify(order), signal: attempt.signal };
      const response = await this.token.fetch("/orders", options);
      return readAnswer(response.status, await response.text(), response.headers.get("Retry-After"));
    } catch {
      return { kind: "unknown", seconds: 0 }; // no network, no answer in time, or one that broke off
    } finally {
      clearTimeout(timer);
    }
  }
}
