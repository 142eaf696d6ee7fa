// Short messages, and what is said to who cannot see the cards.

import { element } from "../dom.js";

const STAYS = 6000; // ms
const MOST = 3;
const SAID_TOGETHER = 400; // ms: of ten tickets at once a screen reader tells in one sentence

export class Messages {
  #news = [];
  #timer = null;

  constructor(toasts, polite, assertive) {
    Object.assign(this, { toasts, polite, assertive });
  }

  // `kind` is "info" or "bad".
  tell(text, kind = "info") {
    const node = element("p", { className: `toast ${kind}` }, text);
    this.toasts.append(node);
    while (this.toasts.children.length > MOST) this.toasts.firstChild.remove();
    setTimeout(() => node.remove(), STAYS);
  }

  // To be said when the reader has time; `join(list)` makes a sentence of all that came together.
  say(news, join) {
    this.#news.push(...news);
    this.#timer ??= setTimeout(() => {
      this.polite.textContent = join(this.#news);
      this.#news = [];
      this.#timer = null;
    }, SAID_TOGETHER);
  }

  // To be said at once.
  shout(text) {
    this.assertive.textContent = "";
    setTimeout(() => (this.assertive.textContent = text), 50);
  }
}
