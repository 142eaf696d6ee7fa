// What a cook must know beside the cards: that they may be old, that others do not see theirs.

import { arrange, element, setText } from "../dom.js";
import { seconds } from "./ages.js";
import { texts } from "./texts.js";

// What is to be said now, the worst first: [{name, kind, text, more}]. `staleFor` in ms, or null; `now` the server's time;
// `beatAge` ms since the last beat.
export function banners({ staleFor = null, denied = false, beat = null, beatAge = 0, waiting = 0, leftOut = 0, station, now }) {
  const found = [];
  if (denied) found.push({ name: "denied", kind: "bad", text: texts.deniedBanner, more: texts.tokenCommand });
  else if (staleFor !== null) {
    const sent = waiting ? ` ${texts.waiting(waiting)}` : "";
    found.push({ name: "stale", kind: "bad", text: texts.stale(seconds(staleFor)), more: texts.staleWhat + sent });
  } else {
    if (beat && !beat.current) found.push({ name: "behind", kind: "bad", text: texts.behind(Math.round(beat.behind + beatAge / 1000)) });
    const others = Object.entries(beat?.unseen || {}).filter(([other, { count }]) => other !== station && count);
    // One line, since it takes its room from the cards; with another station in it, it is said anew.
    if (others.length)
      found.push({
        name: `unseen-${others.map(([other]) => other).join("-")}`,
        kind: "warn",
        text: others.map(([other, { count, since }]) => texts.unseen(other, count, seconds(now - Date.parse(since)))).join(" "),
      });
  }
  if (leftOut) found.push({ name: "left-out", kind: "warn", text: texts.leftOut(leftOut) });
  return found;
}

export class Banners {
  #nodes = new Map();

  // `appeared(banner)` is called once for each that was not there before.
  constructor(place, appeared) {
    Object.assign(this, { place, appeared });
  }

  // Whether one came or went: the cards have moved.
  show(list) {
    const before = [...this.#nodes.keys()].join();
    const nodes = new Map();
    for (const banner of list) {
      const node = this.#nodes.get(banner.name) || this.#make(banner);
      node.className = `banner ${banner.kind}`;
      setText(node.firstChild, banner.text);
      setText(node.children[1], banner.more || "");
      nodes.set(banner.name, node);
    }
    this.#nodes = nodes;
    arrange(this.place, [...nodes.values()]);
    return before !== [...nodes.keys()].join();
  }

  // Not a live region: the seconds would be read out each second. That it appeared is said once.
  #make(banner) {
    this.appeared(banner);
    return element("div", { "data-banner": banner.name }, element("strong", {}), element("span", {}));
  }
}
