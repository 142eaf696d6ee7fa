// What stands where there are no cards to show: no token, no station chosen, no answer yet.

import { element, setText } from "../dom.js";
import { stationName, texts } from "./texts.js";

const PATIENCE = 4; // s without a word before it is said that there is none

const page = (name, ...children) => element("div", { className: `gate ${name}` }, ...children);

export const needsToken = (title, what = texts.noTokenWhat) =>
  page("needs-token", element("h2", {}, title), element("p", {}, what), element("p", {}, element("code", {}, texts.tokenCommand)));

// `tell(seconds)` says how long it has been asking for.
export function connecting() {
  const text = element("p", {}, texts.connecting);
  const node = page("connecting", text);
  const tell = (seconds) => setText(text, seconds < PATIENCE ? texts.connecting : texts.connectingFor(seconds));
  return { node, tell };
}

export function stationChoice(names, choose, unknown = "") {
  const button = (name, text) => element("button", { type: "button", value: name, onclick: () => choose(name) }, text);
  return page(
    "stations",
    element("h2", {}, texts.chooseStation),
    unknown && element("p", {}, texts.unknownStation(unknown)),
    element("div", { className: "choices" }, ...names.map((name) => button(name, stationName(name))), button("all", texts.allStations)),
    element("p", {}, texts.chooseStationWhy),
  );
}
