// The pad's state in the browser: it survives reloads and restarts, and ends with the table's session.

const PREFIX = "bistro92.pad/";
const SHAPE = 1; // of what is kept; another release's is not read

export class Store {
  #storage;
  #name;
  #kept = null; // where the browser keeps nothing, or is full

  // `onOther(state)` hears what another window of this pad stored.
  constructor(storage, table, session, onOther) {
    this.#storage = storage;
    this.#name = `${PREFIX}${table}/${session}`;
    addEventListener("storage", (event) => {
      if (event.key !== this.#name) return;
      const state = parsed(event.newValue);
      if (state) onOther(state);
    });
  }

  read() {
    try {
      return parsed(this.#storage.getItem(this.#name)) ?? this.#kept;
    } catch {
      return this.#kept;
    }
  }

  write(state) {
    this.#kept = state;
    try {
      this.#storage.setItem(this.#name, JSON.stringify({ shape: SHAPE, state }));
    } catch {
      // The order goes out all the same; only a reload would lose sight of it.
    }
  }

  // What parties before left here is nobody's business.
  forgetOthers() {
    try {
      for (const name of Object.keys(this.#storage)) {
        if (name.startsWith(PREFIX) && name !== this.#name) this.#storage.removeItem(name);
      }
    } catch {
      // Nothing is kept.
    }
  }
}

function parsed(text) {
  try {
    const { shape, state } = JSON.parse(text);
    return shape === SHAPE ? state : null;
  } catch {
    return null;
  }
}

// An id that no other order has. `crypto.randomUUID` is there on https and localhost only.
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
