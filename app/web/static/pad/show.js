// Putting what changed on the page, without taking anything from under a guest's finger.

import { arrange } from "../dom.js";

export const byId = (id) => document.getElementById(id);

// Puts new nodes in the place of a part's old ones. The focus stays where it was: at what has the same `data-focus`, else
// at the heading of its section.
export function rebuild(part, nodes) {
  keepFocus(part, () => part.replaceChildren(...nodes.filter(Boolean)));
}

export function keepFocus(part, change) {
  const active = part.contains(document.activeElement) ? document.activeElement : null;
  const name = active?.dataset.focus;
  change();
  if (!active || (active.isConnected && document.activeElement === active)) return;
  const same = name && part.querySelector(`[data-focus="${CSS.escape(name)}"]:not(:disabled)`);
  (same || part.closest("section")?.querySelector("h2"))?.focus({ preventScroll: true });
}

// A list of nodes of which only those are made anew that show something else: entries are {key, shown, make}, `shown` being
// all that `make` shows.
export class NodeList {
  #part;
  #kept = new Map();

  constructor(part) {
    this.#part = part;
  }

  show(entries) {
    const kept = new Map();
    for (const { key, shown, make } of entries) {
      const text = JSON.stringify(shown);
      const before = this.#kept.get(key);
      kept.set(key, before?.text === text ? before : { text, node: make() });
    }
    this.#kept = kept;
    keepFocus(this.#part, () =>
      arrange(
        this.#part,
        [...kept.values()].map(({ node }) => node),
      ),
    );
  }
}

// Builds a part anew only where it would show something else.
export class Part {
  #part;
  #text = null;

  constructor(part) {
    this.#part = part;
  }

  show(shown, make) {
    const text = JSON.stringify(shown);
    if (text === this.#text) return;
    this.#text = text;
    rebuild(this.#part, make());
  }
}
