// Keeps the menu up to date: by its stream, and by reading it now and then where the stream cannot be had.

import { Stream } from "../stream.js";

const STALE = 40_000; // ms; the stream gives a sign of life every 15 s
const PATIENCE = 3000; // ms for the stream to begin
const EVERY = 10_000;

export class MenuFeed {
  #stream;
  #timer = null;
  #isFresh = false;
  #options;

  constructor({ token, menu, language, onChange }) {
    this.#options = { token, menu, language, onChange };
    const told = (take) => (data) => {
      take(data);
      onChange();
    };
    this.#stream = new Stream({
      path: `/menu_items/stream?lang=${encodeURIComponent(language)}`,
      token,
      stale: STALE,
      final: [],
      on: { menu: told((data) => menu.replace(data)), change: told((data) => menu.change(data)) },
      onFresh: () => (this.#isFresh = true),
      onStale: () => {
        this.#isFresh = false;
        this.#readSoon(0);
      },
    });
  }

  start() {
    this.#stream.start();
    this.#readSoon(PATIENCE);
  }

  stop() {
    this.#stream.stop();
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#options.onChange = () => {};
  }

  #readSoon(wait) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#read(), wait);
  }

  async #read() {
    if (this.#isFresh) return;
    const { token, menu, language } = this.#options;
    try {
      const answer = await token.fetch(`/menu_items?lang=${encodeURIComponent(language)}`);
      const revision = Number(answer.headers.get("Menu-Revision"));
      if (answer.ok && !this.#isFresh && this.#timer !== null) {
        menu.replace({ menu_revision: revision, items: await answer.json() });
        this.#options.onChange();
      }
    } catch {
      // No network; the stream and the next look go on.
    }
    if (this.#timer !== null) this.#readSoon(EVERY);
  }
}
