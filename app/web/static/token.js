// The token that a page was opened with: `/kitchen#token=…`. A fragment is sent to no server, and so is in no log; it is
// taken out of the address bar at once, and the token goes to our own origin only, in a header.

export class Token {
  #value;

  constructor(value) {
    this.#value = value;
  }

  // What the token says of itself, like {role, name, table, session, exp}; {} where that cannot be read. Who is asked
  // to do something judges for himself.
  get claims() {
    try {
      const part = this.#value.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
      const bytes = Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0));
      return Object(JSON.parse(new TextDecoder().decode(bytes)));
    } catch {
      return {};
    }
  }

  // fetch() of a path of our own origin, with the token. Nothing is followed, and no cookie sent.
  fetch(path, { headers = {}, ...options } = {}) {
    const url = new URL(path, location.origin);
    if (url.origin !== location.origin) throw new TypeError("not our own origin");
    return fetch(url, {
      ...options,
      headers: { ...headers, Authorization: `Bearer ${this.#value}` },
      mode: "same-origin",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
      cache: "no-store",
    });
  }
}

// The token of the fragment, or else the one that was kept under the name; null: there is none. It is kept for the tab,
// or beyond it in `localStorage`.
export function takeToken(name, storage = kept("sessionStorage")) {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const given = fragment.get("token");
  if (given !== null) {
    fragment.delete("token");
    const rest = fragment.size ? `#${fragment}` : "";
    history.replaceState(history.state, "", location.pathname + location.search + rest);
  }
  let value = (given || "").trim();
  try {
    if (value) storage.setItem(name, value);
    else value = storage.getItem(name) || "";
  } catch {
    // A browser that keeps nothing: the token is good until the page is closed.
  }
  return value && /^[\w.~+/=-]+$/.test(value) ? new Token(value) : null;
}

export function dropToken(name, storage = kept("sessionStorage")) {
  try {
    storage.removeItem(name);
  } catch {
    // Nothing was kept.
  }
}

// A link with a token, opened where the page is open already, changes only the fragment.
export function onTokenGiven(callback) {
  addEventListener("hashchange", () => {
    if (new URLSearchParams(location.hash.slice(1)).has("token")) callback();
  });
}

// `window.localStorage` itself throws where a browser is told to keep nothing.
export function kept(kind) {
  try {
    return window[kind];
  } catch {
    return null;
  }
}
