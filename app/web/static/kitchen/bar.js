// The bar at the top: station, counts, and what can be switched.

import { element, setText } from "../dom.js";
import { stationName, texts } from "./texts.js";

export class Bar {
  // `act` has station(name), filter(), allDay(), recall(), undo(), mute(), help(), before(), further().
  constructor(node, act) {
    this.node = node;
    const button = (name, text, key, more = {}) =>
      element("button", { type: "button", className: name, "aria-keyshortcuts": key, onclick: () => act[name](), ...more }, text);
    this.station = element("select", { id: "station", "aria-label": texts.chooseStation, "aria-keyshortcuts": "s", onchange: () => act.station(this.station.value) });
    this.open = element("span", { className: "count open" });
    this.late = element("span", { className: "count late", hidden: true });
    this.backward = button("before", "", "Home", { hidden: true });
    this.onward = button("further", "", "End", { hidden: true });
    this.filter = button("filter", texts.filter, "f", { "aria-expanded": "false", "aria-controls": "filter" });
    this.allDay = button("allDay", texts.allDay, "a", { "aria-pressed": "false" });
    this.recall = button("recall", texts.recall, "r");
    this.undo = button("undo", texts.undo, "u");
    this.sound = button("mute", "", "m");
    // All words stand one above the other, one of them to be seen: what unlocks the sound is a tap, and shall move nothing.
    const words = { on: texts.soundOn, off: texts.soundOff, locked: texts.soundLocked };
    this.sound.replaceChildren(...Object.entries(words).map(([state, word]) => element("span", { className: state }, word)));
    node.replaceChildren(
      this.station,
      element("p", { className: "counts" }, this.open, this.late),
      this.backward,
      this.onward,
      element("span", { className: "space" }),
      this.undo,
      this.recall,
      this.allDay,
      this.filter,
      this.sound,
      button("help", "?", "?", { "aria-label": `? ${texts.help}`, title: texts.help }),
    );
  }

  stations(names, chosen) {
    const option = (value, text) => element("option", { value, selected: value === chosen }, text);
    this.station.replaceChildren(...names.map((name) => option(name, stationName(name))), option("all", texts.allStations));
  }

  counts({ open, late, undoable }) {
    setText(this.open, texts.open(open));
    setText(this.late, texts.late(late));
    this.late.hidden = !late;
    this.undo.disabled = !undoable;
  }

  // How many cards are to the left and to the right of those that are seen.
  outOfSight({ before, further }) {
    setText(this.backward, `◂ ${texts.older(before)}`);
    this.backward.hidden = !before;
    setText(this.onward, `${texts.more(further)} ▸`);
    this.onward.hidden = !further;
  }

  soundIs(state) {
    this.sound.dataset.state = state;
    this.sound.setAttribute("aria-label", texts.soundLabel[state]);
    this.sound.setAttribute("aria-pressed", String(state === "off"));
  }

  switched({ filter, allDay }) {
    this.filter.setAttribute("aria-expanded", String(filter));
    this.allDay.setAttribute("aria-pressed", String(allDay));
  }
}
